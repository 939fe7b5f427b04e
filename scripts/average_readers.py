"""A reader between one and what was trained from it: most of what training added, little of what it cost.

    python scripts/average_readers.py BEFORE AFTER --share 0.5 --out FOLDER [--work work/one --count 150]

BEFORE and AFTER are bundles, or `reader`, the shipped one. FOLDER becomes a bundle without spaces. Its manifest has
scores where the work folder of AFTER's training is given: on plots of held-out movies, as training writes them.
"""

import argparse
import dataclasses
from pathlib import Path

from vecspeak.bundles import load_bundle
from vecspeak.bundles.bundle import open_reader
from vecspeak.bundles.manifest import MANIFEST
from vecspeak.bundles.weights import average_readers
from vecspeak.evaluation.corpus_cases import corpus_sets
from vecspeak.evaluation.evaluate import EvaluationConfig, Evaluator, flat_scores
from vecspeak.storage import write_json
from vecspeak.training.recipe import recipe_from_dict


def score(folder: Path, work: Path, count: int) -> None:
    """Ask the reader about held-out plots, and write what came of it into its manifest."""
    run = Evaluator(load_bundle(folder), keep=work / "evaluation")
    manifest = run.bundle.manifest
    *_, plots = corpus_sets(recipe_from_dict(manifest.reader.recipe), run.encoder, work, count=count)
    (found,) = run.run([plots], EvaluationConfig())
    scored = dataclasses.replace(manifest.reader, scores=flat_scores(found))
    write_json(folder / MANIFEST, dataclasses.replace(manifest, reader=scored).to_dict())
    print(scored.scores)


def main() -> None:
    """Write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--share", type=float, default=0.5, help="0 is BEFORE, 1 is AFTER")
    parser.add_argument("--name", default="reader")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="where AFTER was trained: scores it")
    parser.add_argument("--count", type=int, default=150, help="held-out plots")
    given = parser.parse_args()
    average_readers(
        given.out, open_reader(given.before), open_reader(given.after), given.share, name=given.name
    )
    print(f"written: {given.out}")
    if given.work:
        score(given.out, given.work, given.count)


if __name__ == "__main__":
    main()
