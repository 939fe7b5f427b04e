"""Maps without pairs: how well they are found, and whether the proof knows when they are not.

    python benchmarks/unpaired.py [--work work/pairs] [--out docs/scores] [--only curve matching foreign] [--seeds 1 2]

`curve`: half of the glosses (and of the openings of plots) are a pile, by the reader's encoder; the other half is a
space by all-mpnet-base-v2. No text is in both. With 0, 5, 20 and 100 known pairs a map is searched for; ridge and
Procrustes are fitted on the same pairs. 500 items judge that were in neither: their vectors are mapped, the reader's
encoder says where they belong. Cosines have the mean text taken off. FOSCTTM is the share of the 500 texts nearer than
the right one: 0 is perfect, 0.5 chance.

`proof`: 20 spaces that belong to their pile and 20 that do not, and which of them the proof accepts. Its thresholds
were set on other seeds (100 and up). Restartable: what is in OUT/unpaired.json is not measured again.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pairs import predicted
from parallel import Parallel, glosses, plots, ratings
from places import out_folder
from sklearn.datasets import load_digits

from vecspeak.model.alignment import unit
from vecspeak.model.unpaired.proof import agreed, gaussian, prove, shuffled
from vecspeak.model.unpaired.search import Clouds, carried_on
from vecspeak.stats import estimate
from vecspeak.storage import read_json, write_json

PAIRS, JUDGES, SEEDS = (0, 5, 20, 100), 500, 2
Case = tuple[str, np.ndarray, np.ndarray, np.ndarray | None]
"""Name, [N, D] space, [M, T] pile, [N, T] where the space's items belong, if anybody knows."""


def scored(mapped: np.ndarray, texts: np.ndarray, mean: np.ndarray) -> dict[str, list[float]]:
    """Centred cosine, top-1 and FOSCTTM of [J, T] mapped deviations, each with its interval over items."""
    cosines = unit(mapped) @ unit(texts - mean).T
    own = np.diag(cosines)
    before = (cosines > own[:, None]).sum(1)
    measures = {"cosine": own, "top_1": before < 1, "foscttm": before / (len(own) - 1)}
    return {name: triple(values.astype(float)) for name, values in measures.items()}


def triple(values: np.ndarray) -> list[float]:
    """Mean and interval."""
    one = estimate(values)
    return [round(x, 4) for x in (one.value, one.low, one.high)]


def curve(of: Parallel, seed: int, count: int) -> dict[str, Any]:
    """The search with so many pairs, and what ridge and Procrustes make of the same."""
    order = np.random.default_rng([seed, 0]).permutation(len(of.texts))
    judges, rest = order[:JUDGES], order[JUDGES:]
    space, pile = rest[: len(rest) // 2], rest[len(rest) // 2 :]
    known = space[:count]
    vectors, texts = of.made["mpnet"], of.target
    pairs = (vectors[known], texts[known]) if count else None
    started = time.process_time()
    clouds = Clouds(source=vectors[space], target=texts[pile], pairs=pairs)
    proof, found = agreed(clouds, seed)
    found = carried_on(clouds, found, np.random.default_rng(seed), is_known=True)
    systems = {"unpaired": scored(found.mapped(vectors[judges]), texts[judges], found.target.mean)}
    seconds = time.process_time() - started
    for form in ("ridge", "Procrustes") if count >= 5 else ():
        made, *_ = predicted(form, vectors[known].astype(float), texts[known].astype(float), vectors[judges])
        systems[form] = scored(made, texts[judges], texts[known].mean(0))
    about = {name: round(float(value), 4) for name, value in proof.to_dict().items() if value is not None}
    return about | {
        "items": len(space),
        "pile": len(pile),
        "cpu_seconds": round(seconds, 1),
        "systems": systems,
    }


def halved(of: Parallel, by: str, seed: int, most: int = 10**6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A space of half of the items, a pile of the other half, and where the space's items belong."""
    order = np.random.default_rng([seed, 7]).permutation(len(of.texts))
    space, pile = order[: len(order) // 2][:most], order[len(order) // 2 :][:most]
    return of.made[by][space], of.target[pile], of.target[space]


def turned(vectors: np.ndarray, seed: int) -> np.ndarray:
    """The vectors turned by a random rotation."""
    axes, _ = np.linalg.qr(np.random.default_rng([seed, 8]).normal(size=(vectors.shape[1],) * 2))
    return vectors @ axes


def noisy(vectors: np.ndarray, share: float, seed: int) -> np.ndarray:
    """With noise of that share of their spread."""
    spread = share * (vectors - vectors.mean(0)).std()
    return vectors + spread * np.random.default_rng([seed, 9]).normal(size=vectors.shape)


def cut(vectors: np.ndarray, width: int) -> np.ndarray:
    """Their first principal coordinates, mean included."""
    axes = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)[2][:width]
    return vectors @ axes.T


def matching(data: dict[str, Parallel], seed: int) -> Iterator[Case]:
    """Ten spaces whose items are like the pile's."""
    for name in ("glosses", "plots"):
        of = data[name]
        own = Parallel(texts=of.texts, target=of.target, made={"own": of.target})
        vectors, pile, true = halved(of, "mpnet", seed)
        yield f"{name}, mpnet", vectors, pile, true
        yield f"{name}, mpnet with noise of half the spread", noisy(vectors, 0.5, seed), pile, true
        yield f"{name}, mpnet cut to 64", cut(vectors, 64), pile, true
        vectors, pile, true = halved(of, "mpnet", seed + 20, 1_500)
        yield f"{name}, 1,500 of mpnet turned", turned(vectors, seed), pile, true
        vectors, pile, true = halved(own, "own", seed + 40, 1_500)
        yield f"{name}, 1,500 of the reader's own turned", turned(vectors, seed), pile, true


def foreign(data: dict[str, Parallel], seed: int) -> Iterator[Case]:
    """Ten spaces that have nothing to do with the pile."""
    rng = np.random.default_rng([seed, 10])
    words, movies = halved(data["glosses"], "mpnet", seed), halved(data["plots"], "mpnet", seed)
    digits = load_digits().data
    clusters = rng.normal(size=(40, 100))
    yield "Gaussian of the glosses' covariance", gaussian(words[0], seed + 60), words[1], None
    yield "Gaussian of the plots' covariance", gaussian(movies[0], seed + 60), movies[1], None
    yield "glosses, coordinates shuffled", shuffled(words[0], seed + 60), words[1], None
    yield "plots, coordinates shuffled", shuffled(movies[0], seed + 60), movies[1], None
    yield "Gaussian, 128 alike", rng.normal(size=(2_500, 128)), words[1], None
    yield (
        "40 random clusters",
        clusters[rng.integers(0, 40, 3_000)] + rng.normal(size=(3_000, 100)),
        words[1],
        None,
    )
    yield "pixels of digits and glosses", digits, words[1], None
    yield "pixels of digits and plots", digits, movies[1], None
    yield "factors of ratings and plots", data["ratings"].made["ratings"], movies[1], None
    yield "factors of ratings and glosses", data["ratings"].made["ratings"], words[1], None


def judged(case: Case, seed: int) -> dict[str, Any]:
    """Whether the proof accepts a space, its figures, and how good the map is where somebody knows."""
    name, vectors, pile, true = case
    started = time.process_time()
    proof, found = prove(Clouds(source=vectors.astype(np.float32), target=pile), seed)
    seconds = time.process_time() - started
    row: dict[str, Any] = {"name": name, "accepted": proof.holds, "proof": proof.to_dict()}
    if true is not None:
        row["true"] = scored(found.mapped(vectors[:JUDGES]), true[:JUDGES], found.target.mean)
    return row | {"items": len(vectors), "pile": len(pile), "cpu_seconds": round(seconds, 1)}


def main() -> None:
    """Measure what is not in the file yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("work/pairs"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    parser.add_argument("--only", nargs="*", default=["curve", "matching", "foreign"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2], help="of the spaces that are counted")
    given = parser.parse_args()
    path = given.out / "unpaired.json"
    found = read_json(path) if path.is_file() else {"curve": {}, "matching": {}, "foreign": {}}
    data = {"glosses": glosses(given.work), "plots": plots(given.work), "ratings": ratings(given.work)}
    if "curve" in given.only:
        for seed in range(SEEDS):
            for count in PAIRS:
                for name in ("glosses", "plots"):
                    key = f"{name}, {count} pairs, seed {seed}"
                    if key not in found["curve"]:
                        found["curve"][key] = curve(data[name], seed, count)
                        write_json(path, found)
                        print(key, found["curve"][key], flush=True)
    groups: dict[str, Callable[..., Iterator[Case]]] = {"matching": matching, "foreign": foreign}
    for seed in given.seeds:
        for group, make in groups.items():
            for case in make(data, seed) if group in given.only else ():
                key = f"{case[0]}, {seed}"
                if key not in found[group]:
                    found[group][key] = judged(case, seed)
                    write_json(path, found)
                    print(group, found[group][key], flush=True)


if __name__ == "__main__":
    main()
