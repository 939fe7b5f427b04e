"""What a larger language model brings: readers of several bases, trained from nothing at the same tokens.

    python benchmarks/bases.py smollm2-135m-instruct FOLDER [--work work/bases] [--count 100] [--out docs/scores]

A base is a name that vecspeak knows, or a folder of safetensors. Each is trained by recipes/base.toml, which makes the
texts and their order the same, and asked about held-out plots with quick and normal effort. A second encoder
and the true text judge. Restartable; writes OUT/bases.json, a base at a time.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from efforts import ASK_MOVIE, METRICS, SCORERS
from places import out_folder
from quality import movies_bundle

from vecspeak import VecSpeak
from vecspeak.bundles import load_bundle
from vecspeak.demo.data import SEMANTIC
from vecspeak.searching import Effort
from vecspeak.storage import read_json, write_json
from vecspeak.training.recipe import Recipe

RECIPE = Path(__file__).parents[1] / "recipes" / "base.toml"
EFFORTS: tuple[Effort, ...] = ("quick", "normal")


def trained(base: str, work: Path) -> dict[str, Any]:
    """Train a reader of the base, where there is none yet; what the run came to."""
    recipe = Recipe.load(RECIPE)
    recipe = dataclasses.replace(recipe, base=dataclasses.replace(recipe.base, model=base))
    made = VecSpeak.train(recipe, work=work / "run", out=work / "reader.bundle", count=0)
    return dict(made.summary)


def scores(work: Path, count: int) -> dict[str, dict[str, list[float]]]:
    """Every metric of the reader with each effort, about held-out plots."""
    bundle = movies_bundle(work, load_bundle(work / "reader.bundle"))
    found: dict[str, dict[str, list[float]]] = {}
    for effort in EFFORTS:
        report = VecSpeak.load(bundle.folder).evaluate(
            ASK_MOVIE, space=SEMANTIC, count=count, effort=effort, max_new_tokens=64, baselines=("swapped",),
            scorers=SCORERS, cache=work / "kept",
        )  # fmt: skip
        for row in report.summary().to_dict("records"):
            if row["metric"] in METRICS and row["system"] in ("reader", "swapped"):
                name = effort if row["system"] == "reader" else f"{effort}, about another"
                found.setdefault(name, {})[row["metric"]] = [row["value"], row["low"], row["high"]]
    return found


def main() -> None:
    """Train and measure each base, next to what the file has."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bases", nargs="+")
    parser.add_argument("--work", type=Path, default=Path("work/bases"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    parser.add_argument("--count", type=int, default=100)
    given = parser.parse_args()
    path = given.out / "bases.json"
    found = read_json(path) if path.is_file() else {}
    for base in given.bases:
        name = Path(base).name
        work = given.work / name
        work.mkdir(parents=True, exist_ok=True)
        found[name] = {"run": trained(base, work), "scores": scores(work, given.count)}
        write_json(path, found)
        print(name, found[name], flush=True)


if __name__ == "__main__":
    main()
