"""Odd items that were planted: how many `vecspeak odd` finds and how many it invents, beside what a plain number says.

    python benchmarks/odd.py [--bundle demo/movies.bundle] [--seeds 20] [--out docs/scores]

Each seed plants 20 of one kind into a real space: exchanged texts, a run of 40 shifted rows, copies with noise and
random directions into the demo's plots, wrong labels into handwritten digits. Plain numbers are what is commonly done:
the farthest or least fitting hundredth, scikit-learn's detectors, a cosine of 0.95, the neighbours' majority. The
spaces as they are count as well: what is found in them is taken for invented. Restartable; writes OUT/odd.json.
"""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from places import out_folder
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor

from vecspeak.bundles import SpaceEntry, load_bundle
from vecspeak.explore.contrast import Facts
from vecspeak.explore.disagreement import fit_texts
from vecspeak.explore.neighbourhoods import neighbourhoods
from vecspeak.explore.odd import odd
from vecspeak.model.alignment import Alignment
from vecspeak.spaces import Space
from vecspeak.spaces.search import unit_rows
from vecspeak.stats import estimate
from vecspeak.storage import read_json, write_json
from vecspeak.tables.columns import TEXT_COLUMN

PLANTED, RUN, HUNDREDTH, COSINE = 20, 40, 0.01, 0.95
NOISE = 0.2
"""Length of what is added to a copy's vector of length 1: a cosine of 0.98."""

Found = dict[str, set[int]]
"""Rows that each system names."""


def with_texts(space: Space, texts: list[str | None], vectors: np.ndarray | None = None) -> Space:
    """The space with other texts, and other vectors."""
    place = space.metadata.column_names.index(TEXT_COLUMN)
    columns = space.metadata.set_column(place, TEXT_COLUMN, pa.array(texts, pa.string()))
    return dataclasses.replace(
        space, metadata=columns, vectors=np.array(space.vectors if vectors is None else vectors)
    )


def rows_of(space: Space, kind: str) -> set[int]:
    """What is found of a kind."""
    entry = SpaceEntry(
        space=space,
        users=None,
        alignment=Alignment(dim=space.dim, encoder_dim=space.dim),
        splits={},
        report={"kind": "identity", "encoder": "none"},
        concepts={},
    )
    found = odd(entry, kinds=[kind]).kinds[0]
    return {item.row for group in found.groups for item in group.items}


def texts_found(space: Space) -> Found:
    """Rows whose text disagrees: ours, and the least fitting hundredth of the same fits."""
    words = Facts.from_space(space).words.matrix
    rows = np.flatnonzero(np.asarray(words.sum(1)).ravel())
    own = fit_texts(space.vectors[rows], words[rows], 0).own
    least = rows[np.argsort(own)[: int(HUNDREDTH * space.num_items)]]
    return {"odd": rows_of(space, "texts"), "least fitting hundredth": set(least.tolist())}


def outliers_found(space: Space) -> Found:
    """Rows far from all: ours, the farthest hundredth, and two detectors of scikit-learn as they come."""
    known = neighbourhoods(space, np.arange(space.num_items))
    far = known.asked[np.argsort(-known.distances.mean(1))[: int(HUNDREDTH * space.num_items)]]
    unit = unit_rows(space.vectors)
    local = LocalOutlierFactor(n_neighbors=20).fit_predict(unit)
    forest = IsolationForest(random_state=0).fit_predict(unit)
    return {
        "odd": rows_of(space, "outliers"),
        "farthest hundredth": set(far.tolist()),
        "local outlier factor": set(np.flatnonzero(local < 0).tolist()),
        "isolation forest": set(np.flatnonzero(forest < 0).tolist()),
    }


def copies_found(space: Space) -> Found:
    """Rows with a copy: ours, and a cosine of 0.95."""
    known = neighbourhoods(space, np.arange(space.num_items))
    near = known.asked[known.distances[:, 0] <= np.sqrt(2 - 2 * COSINE)]
    return {"odd": rows_of(space, "copies"), "cosine of 0.95": set(near.tolist())}


def labels_found(space: Space) -> Found:
    """Rows with a wrong label: ours, and those whose label is not that of most of their ten nearest."""
    known = neighbourhoods(space, np.arange(space.num_items))
    label = np.array(space.metadata.column("digit").to_pylist())
    near = label[known.near]
    most = [max(set(some), key=list(some).count) for some in near.tolist()]
    other = known.asked[[one != two for one, two in zip(most, label[known.asked], strict=True)]]
    return {"odd": rows_of(space, "labels"), "neighbours' majority": set(other.tolist())}


def exchanged(space: Space, draw: np.random.Generator) -> tuple[Space, set[int]]:
    """Texts of pairs exchanged."""
    texts = space.metadata.column(TEXT_COLUMN).to_pylist()
    rows = draw.permutation(space.num_items)[:PLANTED]
    for one, two in rows.reshape(-1, 2):
        texts[one], texts[two] = texts[two], texts[one]
    return with_texts(space, texts), set(rows.tolist())


def shifted(space: Space, draw: np.random.Generator) -> tuple[Space, set[int]]:
    """A run of rows with the text of the next."""
    texts = space.metadata.column(TEXT_COLUMN).to_pylist()
    first = int(draw.integers(space.num_items - RUN))
    texts[first : first + RUN] = texts[first + 1 : first + RUN + 1]
    return with_texts(space, texts), set(range(first, first + RUN))


def copied(space: Space, draw: np.random.Generator) -> tuple[Space, set[int]]:
    """Ten items made copies of ten others, with noise."""
    vectors = unit_rows(space.vectors)
    rows = draw.permutation(space.num_items)[:PLANTED]
    one, two = rows.reshape(2, -1)
    vectors[one] = vectors[two] + NOISE * unit_rows(draw.normal(size=(len(one), space.dim)))
    texts = space.metadata.column(TEXT_COLUMN).to_pylist()
    return with_texts(space, texts, unit_rows(vectors)), set(rows.tolist())


def estranged(space: Space, draw: np.random.Generator) -> tuple[Space, set[int]]:
    """Items in random directions."""
    vectors = unit_rows(space.vectors)
    rows = draw.permutation(space.num_items)[:PLANTED]
    vectors[rows] = unit_rows(draw.normal(size=(PLANTED, space.dim)))
    return with_texts(space, space.metadata.column(TEXT_COLUMN).to_pylist(), vectors), set(rows.tolist())


def digits(draw: np.random.Generator | None) -> tuple[Space, set[int]]:
    """Handwritten digits by their pixels, 20 of them labelled wrongly where there is a draw."""
    data = load_digits()
    label, rows = data.target.copy(), np.empty(0, np.int64)
    if draw is not None:
        rows = draw.permutation(len(label))[:PLANTED]
        label[rows] = (label[rows] + draw.integers(1, 10, PLANTED)) % 10
    columns = {"digit": [f"digit {one}" for one in label]}
    return Space.from_arrays(data.data, metadata=columns, name="digits"), set(rows.tolist())


Plant = Callable[[Space, np.random.Generator], tuple[Space, set[int]]]
CASES: dict[str, tuple[Plant, Callable[[Space], Found]]] = {
    "exchanged texts": (exchanged, texts_found),
    "shifted rows": (shifted, texts_found),
    "copies": (copied, copies_found),
    "random directions": (estranged, outliers_found),
    "wrong labels": (lambda _, draw: digits(draw), labels_found),
}


def main() -> None:
    """Count, a seed at a time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bundle", type=Path, default=Path("demo/movies.bundle"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=out_folder, default=Path("docs/scores"))
    given = parser.parse_args()
    plots = load_bundle(given.bundle).entry("movies.semantic").space
    path = given.out / "odd.json"
    done: dict[str, Any] = read_json(path)["counts"] if path.exists() else {}
    for name, (plant, find) in CASES.items():
        left = [seed for seed in range(given.seeds) if f"{name}, seed {seed}" not in done]
        clean = find(digits(None)[0] if name == "wrong labels" else plots) if left else {}
        for seed in left:
            key = f"{name}, seed {seed}"
            space, planted = plant(plots, np.random.default_rng(seed))
            done[key] = {
                system: {
                    "hits": len(rows & planted),
                    "planted": len(planted),
                    "false": len(rows - planted),
                    "false_as_it_is": len(clean[system]),
                }
                for system, rows in find(space).items()
            }
            print(key, done[key], flush=True)
            write_json(path, {"summary": summary(done), "counts": done})


def summary(counts: dict[str, Any]) -> dict[str, Any]:
    """Share of the planted that is found and mean number of invented ones, with 95% intervals over seeds."""
    found: dict[str, Any] = {}
    for name in CASES:
        runs = [one for key, one in counts.items() if key.startswith(f"{name}, ")]
        for system in runs[0] if runs else ():
            some = [one[system] for one in runs]
            found.setdefault(name, {})[system] = {
                "recall": _interval(np.array([one["hits"] / one["planted"] for one in some])),
                "false": _interval(np.array([float(one["false"]) for one in some])),
                "false_as_it_is": some[0]["false_as_it_is"],
                "seeds": len(some),
            }
    return found


def _interval(values: np.ndarray) -> list[float]:
    one = estimate(values)
    return [round(number, 4) for number in (one.value, one.low, one.high)]


if __name__ == "__main__":
    main()
