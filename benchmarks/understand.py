"""Whether what is said of vectors is so: things are planted in real spaces, and what is found and invented is counted.

    python benchmarks/understand.py [--seeds 20] [--only merged word ...] [--sample 1500] [--work work/understand]
        [--out docs/scores/understand.json]

The spaces are the demo's: movies by their plots, by the first 32 words of them, and by ratings; the encoder is the
packaged one. Each seed draws other items, genres, words and directions. `compare` is given two genres that the new
space does not tell apart, a word that the encoder never gets, 20 moved items in a space that was turned (with noise as
well), and a space that was merely turned; `why` pairs that share a word's direction; `axes` a genre's direction;
`leaks` a random column; `odd` copies, exchanged texts and vectors that are no text's. Beside each stands what a plain
number says. What is named besides what was planted is held against items that were not looked at, and is invented
where it does not hold there.

A quarter of an hour on one idle core. Restartable: each seed's row is written to WORK/rows.json before the next;
`--anew` forgets the rows of the cases that are asked for, as after a change of the library.
"""

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from places import out_file
from planting.encoders import merged, moved, nothing, word
from planting.figures import summed, table
from planting.matches import planted_axis, shared_word
from planting.oddities import column, odd_items
from planting.worlds import Row, World

from vecspeak.demo.data import BEHAVIORAL, SEMANTIC
from vecspeak.storage import read_json, write_json

Case = Callable[[World, int], Row]
NOISE = 0.3
"""Of the vectors' spread: what another training run adds; a fifth to a quarter of the neighbours change."""
STEP = 0.5
"""Of the way to another item."""
SIZES = (0.5, 0.8)
"""Length of a word's direction that is added to vectors of length 1."""
STRENGTHS = (0.25, 0.5, 1.0)
"""Of a planted column, in standard deviations of the vectors along its direction."""
MODULES = {"merged": "migration", "word": "migration", "moved": "migration", "nothing": "migration"}
MODULES |= {"why": "why", "axes": "axes", "leaks": "leaks", "odd": "odd"}
"""What looks for what is planted; of a module that is not there nothing is measured."""
ODD = {"copies": "20 near copies", "texts": "20 exchanged texts", "outliers": "20 vectors of no text"}


def _case(make: Callable[..., Row], name: str, **options: object) -> Case:
    return lambda world, seed: make(world, name, seed, **options)


def cases() -> dict[str, dict[str, Case]]:
    """The cases by what looks for them, and by what the table calls them."""
    found: dict[str, dict[str, Case]] = {part: {} for part in ("merged", "word", "moved", "nothing")}
    found |= {part: {} for part in ("why", "axes", "leaks", "odd")}
    found["word"]["`compare`: a word cut out of openings"] = _case(word, "openings")
    found["word"]["`compare`: a word cut out of whole plots"] = _case(word, SEMANTIC)
    for space, short in ((SEMANTIC, "plots"), (BEHAVIORAL, "ratings")):
        found["merged"][f"`compare`: two merged genres, {short}"] = _case(merged, space)
        title = f"`compare`: 20 items moved in a turned space, {short}"
        found["moved"][title] = _case(moved, space, noise=0.0, step=1.0)
        found["moved"][f"{title}, half the way, with noise"] = _case(moved, space, noise=NOISE, step=STEP)
        title = f"`compare`: nothing, turned and rounded to float16, {short}"
        found["nothing"][title] = _case(nothing, space, noise=0.0)
        found["nothing"][f"{title}, with noise"] = _case(nothing, space, noise=NOISE)
        found["axes"][f"`axes`: a genre's direction, {short}"] = _case(planted_axis, space)
    for size in SIZES:
        found["why"][f"`why`: a word shared by {size:g}, plots"] = _case(shared_word, SEMANTIC, size=size)
    for strength in STRENGTHS:
        title = f"`leaks`: a random column by {strength:g} standard deviations, plots"
        found["leaks"][title] = _case(column, SEMANTIC, strength=strength)
    for what, title in ODD.items():
        found["odd"][f"`odd`: {title}, plots"] = _case(odd_items, SEMANTIC, what=what)
    return {part: of for part, of in found.items() if find_spec(f"vecspeak.explore.{MODULES[part]}")}


def measured(world: World, given: argparse.Namespace, path: Path) -> dict[str, list[Row]]:
    """The rows of each case, one a seed; those that are in the file are taken as they are."""
    rows: dict[str, dict[str, Row]] = read_json(path) if path.is_file() else {}
    every = cases()
    if given.anew:
        rows = {name: of for name, of in rows.items() if not any(name in every[part] for part in given.only)}
    for seed in range(given.seeds):
        for part in given.only:
            for name, case in every[part].items():
                key = f"{given.sample} items, seed {seed}"
                if key not in rows.setdefault(name, {}):
                    started = time.process_time()
                    rows[name][key] = case(world, seed) | {
                        "cpu_seconds": round(time.process_time() - started, 1)
                    }
                    write_json(path, rows)
                    print(name, seed, rows[name][key], flush=True)
    keys = [f"{given.sample} items, seed {seed}" for seed in range(given.seeds)]
    names = [name for part in every.values() for name in part]
    found = {name: [rows[name][key] for key in keys if key in rows.get(name, {})] for name in names}
    return {name: of for name, of in found.items() if of}


def main() -> None:
    """Measure what is not there yet, and write the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = list(cases())
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", nargs="*", choices=parts, default=parts)
    parser.add_argument("--sample", type=int, default=1_500, help="items that a comparison sees")
    parser.add_argument("--work", type=Path, default=Path("work/understand"))
    parser.add_argument("--out", type=out_file, default="docs/scores/understand.json")
    parser.add_argument("--anew", action="store_true", help="forget the rows of these cases")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    world = World.make(given.work, given.sample)
    rows = measured(world, given, given.work / "rows.json")
    found = {name: summed(of) for name, of in rows.items()}
    write_json(given.out, {"sample": given.sample, "seeds": given.seeds, "cases": found})
    print(table(found))


if __name__ == "__main__":
    main()
