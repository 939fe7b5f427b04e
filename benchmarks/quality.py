"""Quality of the shipped reader on movies (by plots and by ratings) and on words, with every baseline.

    python benchmarks/quality.py [--work work/quality] [--count 500] [--words 2000] [--best-of 8] [--out docs/scores]

Restartable: killed at any moment, the same command goes on; answers, vectors and finished sets are kept in the work
folder as they come. Writes report.json and report.html there, and the numbers alone, without any text, to
OUT/quality.json: the tables of docs/quality.md and the README's are made of that file.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from places import out_folder
from words import words_space

from vecspeak.bundles import Bundle, load_bundle, save_bundle
from vecspeak.bundles.bundle import shipped_reader
from vecspeak.bundles.fitting import fit_space
from vecspeak.demo.build import demo_bundle
from vecspeak.demo.data import BEHAVIORAL, SEMANTIC, find_sources
from vecspeak.encoders.text import Encoder, load_encoder
from vecspeak.engines import Sampling
from vecspeak.evaluation.cases import CaseSet, space_cases
from vecspeak.evaluation.evaluate import EvaluationConfig, Evaluator
from vecspeak.evaluation.report import EvaluatedSet, Report, read_report, without_texts, write_report
from vecspeak.report.html import render_page, write_page
from vecspeak.report.tables import markdown
from vecspeak.spaces import Space
from vecspeak.spaces.io import save_space
from vecspeak.spaces.splits import choose_splits
from vecspeak.storage import write_json
from vecspeak.tables.columns import TEXT_COLUMN

WORDS = "words.glove"


def movies_bundle(work: Path, reader: Bundle | None = None) -> Bundle:
    """The demo's bundle, movies by plots and by ratings, with a reader: the shipped one where none is given."""
    work.mkdir(parents=True, exist_ok=True)
    return demo_bundle(
        work / "movies.bundle",
        reader=reader or shipped_reader(),
        sources=find_sources(),
        encoder=load_encoder(),
        say=lambda line: print(line, flush=True),
    )


def words_bundle(work: Path) -> Bundle:
    """The words, mapped to the reader by the glosses of those that are not held out."""
    folder = work / "words.bundle"
    if (folder / "manifest.json").is_file():
        return load_bundle(folder)
    reader = shipped_reader()
    path = work / "words.parquet"
    if not path.is_file():
        save_space(words_space(reader), path)
    space = Space.load(path)
    entry = fit_space(
        space,
        texts=space.metadata.column(TEXT_COLUMN).to_pylist(),
        encoder=load_encoder(),
        splits=choose_splits(space, share=0.0, seed=0),
        progress=True,
    )
    return save_bundle(folder, source=reader, name="words", entries={space.name: entry})


def plan(count: int, words: int) -> list[tuple[str, str, Callable[[Bundle, Encoder], CaseSet], int]]:
    """What is run: a name for its file, whose bundle, how its cases are made, and the longest answer in tokens."""
    ask_movie = "Describe the movie {x}."
    ask_genres = "List the genres of the movie {x}."
    return [
        (
            "behavioral",
            "movies",
            lambda b, e: space_cases(b.entry(BEHAVIORAL), e, count=count),
            48,
        ),
        (
            "behavioral-regions",
            "movies",
            lambda b, e: space_cases(b.entry(BEHAVIORAL), e, count=count, split="regions"),
            48,
        ),
        (
            "behavioral-cold",
            "movies",
            lambda b, e: space_cases(b.entry(BEHAVIORAL), e, count=count, split="cold"),
            48,
        ),
        (
            "semantic",
            "movies",
            lambda b, e: space_cases(b.entry(SEMANTIC), e, count=count, question=ask_movie),
            96,
        ),
        (
            "genres",
            "movies",
            lambda b, e: space_cases(b.entry(SEMANTIC), e, count=count, question=ask_genres, target="genres"),
            24,
        ),
        ("words", "words", lambda b, e: space_cases(b.entry(WORDS), e, count=words), 40),
    ]


def main() -> None:
    """Run what is not finished, then write the reports."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("work/quality"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    parser.add_argument("--count", type=int, default=500, help="movies of each kind, at most")
    parser.add_argument("--words", type=int, default=2000, help="words, at most")
    parser.add_argument("--best-of", type=int, default=8)
    parser.add_argument("--only", nargs="*", help="names of sets to run")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    bundles = {"movies": movies_bundle(given.work), "words": words_bundle(given.work)}
    runs = {
        name: Evaluator(bundle, keep=given.work / "kept" / name, precision="bfloat16", engine="transformers")
        for name, bundle in bundles.items()
    }
    sets: list[EvaluatedSet] = []
    for name, whose, make, longest in plan(given.count, given.words):
        if given.only and name not in given.only:
            continue
        settings = EvaluationConfig(best_of=given.best_of, sampling=Sampling(max_new_tokens=longest))
        sets.append(finished(given.work / f"{name}.json", runs[whose], make, settings))
    write_all(runs["movies"].gather(sets, EvaluationConfig(best_of=given.best_of)), given.work, given.out)


def finished(
    path: Path, run: Evaluator, make: Callable[[Bundle, Encoder], CaseSet], settings: EvaluationConfig
) -> EvaluatedSet:
    """The set as it was finished before with the same weights and settings, else run now and kept."""
    wanted = run.gather([], settings)
    if path.is_file():
        known = read_report(path)
        if (known.settings, known.digests) == (wanted.settings, wanted.digests):
            return known.sets[0]
    (found,) = run.run([make(run.bundle, run.encoder)], settings)
    write_report(path, run.gather([found], settings))
    return found


def write_all(report: Report, work: Path, out: Path) -> None:
    """The whole report beside the kept answers, and its numbers where they may be shared."""
    write_report(work / "report.json", report)
    write_page(work / "report.html", render_page(report))
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "quality.json", without_texts(report))
    print(markdown(report.sets))


if __name__ == "__main__":
    main()
