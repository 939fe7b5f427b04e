"""How many ratings a person must give before what is read of them is theirs.

    python benchmarks/few_ratings.py [--people 150] [--work work/clauses] [--out docs/scores]

People of MovieLens 100K with 80 ratings or more. One of them is folded in from 1 to 40 of their ratings, drawn by lot,
and read; the same person is folded in from ratings that were not among these. Rank correlation of all terms between the
two, the same with another person, and of what the few ratings tell as liked more than by 80% of the people, the share
that the others put above the middle. The items' vectors know all ratings. Writes OUT/few-ratings.json.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from places import out_folder
from quality import movies_bundle
from scipy.stats import spearmanr

from vecspeak.api import VecSpeak
from vecspeak.demo.data import BEHAVIORAL, find_sources
from vecspeak.encoders.factorization import read_ratings
from vecspeak.explore.tastes import TasteReader
from vecspeak.stats import Estimate, estimate
from vecspeak.storage import write_json

COUNTS = (1, 2, 3, 5, 10, 20, 40)
_FEWEST, _TOLD, _MIDDLE = 80, 80.0, 50.0


def ratings_of_people(known: set[str]) -> list[dict[str, float]]:
    """What each person with enough ratings gave to the known items."""
    read = read_ratings(
        find_sources().ratings / "ml-100k.inter", user="user_id", item="item_id", rating="rating"
    )
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for person, item, value in zip(read.user_ids, read.item_ids, read.values, strict=True):
        if item in known:
            found[person][item] = float(value)
    return [one for one in found.values() if len(one) >= _FEWEST]


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        "| ratings | rank correlation with the person's other ratings | with another person's | "
        "told as liked: above the middle by the other ratings |",
        "|---|---|---|---|",
    ]
    for count, one in found["counts"].items():
        own, other, told = (Estimate(*one[name]) for name in ("own", "another", "told"))
        lines.append(f"| {count} | {own:.2f} | {other:.2f} | {told:.0%} |")
    return "\n".join(lines)


def measured(vs: VecSpeak, people: int) -> dict[str, Any]:
    """The figures by the number of ratings."""
    entry, rng = vs.bundle.entry(BEHAVIORAL), np.random.default_rng(0)
    reader, fold_in = TasteReader(entry), entry.fold_in
    assert fold_in is not None
    everybody = ratings_of_people(set(entry.space.ids))
    drawn = [everybody[row] for row in rng.permutation(len(everybody))[:people]]

    def read(ratings: dict[str, float]) -> np.ndarray:
        return reader.percentiles(fold_in.vector(entry.space, ratings)[None])[0]

    orders = [rng.permutation(list(one)) for one in drawn]
    held = [read({i: one[i] for i in order[max(COUNTS) :]}) for one, order in zip(drawn, orders, strict=True)]
    counts = {}
    for count in COUNTS:
        few = [read({i: one[i] for i in order[:count]}) for one, order in zip(drawn, orders, strict=True)]
        own = [spearmanr(a, b).statistic for a, b in zip(few, held, strict=True)]
        another = [spearmanr(a, b).statistic for a, b in zip(few, [*held[1:], held[0]], strict=True)]
        clear = np.array([(one >= _TOLD).sum() for one in few], float)
        right = np.array(
            [((one >= _TOLD) & (true > _MIDDLE)).sum() for one, true in zip(few, held, strict=True)]
        )
        made = {
            "own": estimate(np.array(own)),
            "another": estimate(np.array(another)),
            "told": estimate(right / np.maximum(clear, 1), clear),
        }
        counts[str(count)] = {name: [one.value, one.low, one.high] for name, one in made.items()}
    return {"people": len(drawn), "counts": counts}


def main() -> None:
    """Fold in, read, write, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=150)
    parser.add_argument("--work", type=Path, default=Path("work/clauses"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    given = parser.parse_args()
    found = measured(VecSpeak.load(movies_bundle(given.work).folder), given.people)
    write_json(given.out / "few-ratings.json", found)
    print(table(found))


if __name__ == "__main__":
    main()
