"""Every task of the movies set, on movies by plots and by ratings, on held-out ones and halfway between two of them.

    python benchmarks/tasks.py [--bundle READER] [--work work/tasks] [--count 50] [--out docs/scores]

Restartable: killed at any moment, the same command goes on; answers and vectors are kept in the work folder as they
come. All tasks' prompts go to the engine together. Writes report.json and report.html in the work folder, and the
numbers alone, without any text, to OUT/tasks.json; prints the table in Markdown.

Points between are asked about in the space of plots alone. Behavioral consistency is measured in the space of ratings.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from places import out_folder
from quality import movies_bundle

from vecspeak.bundles import Bundle
from vecspeak.bundles.bundle import open_reader
from vecspeak.demo.data import BEHAVIORAL, SEMANTIC, Sources, find_sources
from vecspeak.encoders.factorization import read_ratings
from vecspeak.engines import Sampling
from vecspeak.evaluation.cases import CaseSet
from vecspeak.evaluation.evaluate import EvaluationConfig, Evaluator
from vecspeak.evaluation.report import EvaluatedSet, Report, without_texts, write_report
from vecspeak.evaluation.task_cases import (
    ALL,
    Points,
    TaskSelection,
    Tastes,
    evaluation_data,
    plan_tasks,
    select_tasks,
    tastes_of,
)
from vecspeak.report.html import render_page, write_page
from vecspeak.report.tables import task_markdown
from vecspeak.spaces.splits import HOLDOUT
from vecspeak.storage import write_json
from vecspeak.tasks.task_set import TaskSet, load_task_set

POINTS: dict[str, tuple[Points, ...]] = {SEMANTIC: ("items", "between"), BEHAVIORAL: ("items",)}


def viewers(bundle: Bundle, task_set: TaskSet, sources: Sources) -> Tastes:
    """What the ratings say of viewers that no task trains on."""
    ratings = read_ratings(sources.ratings / "ml-100k.inter", user="user_id", item="item_id", rating="rating")
    return tastes_of(bundle.entry(BEHAVIORAL), task_set, task_set.task("user_profile"), ratings)


def cases_of(
    run: Evaluator,
    space: str,
    task_set: TaskSet,
    names: Sequence[str],
    count: int,
    seed: int,
    with_words: bool,
) -> Sequence[CaseSet]:
    """The cases of these tasks, as far as this space can be asked them."""
    tastes = viewers(run.bundle, task_set, find_sources()) if space == BEHAVIORAL else None
    ground = evaluation_data(run.bundle.entry(space), run.encoder, split=HOLDOUT, seed=seed, tastes=tastes)
    wanted = TaskSelection(
        tasks=select_tasks(task_set, names),
        points=POINTS[space],
        count=count,
        seed=seed,
        with_words=with_words,
    )
    return plan_tasks(ground, wanted).cases


def main() -> None:
    """Ask what was not asked yet, then write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--bundle", default="reader", help="whose reader is evaluated: a bundle or a shipped reader"
    )
    parser.add_argument("--work", type=Path, default=Path("work/tasks"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    parser.add_argument("--count", type=int, default=50, help="movies, pairs or viewers a task, at most")
    parser.add_argument("--max-tokens", type=int, default=80)
    parser.add_argument("--spaces", nargs="*", default=list(POINTS), choices=list(POINTS))
    parser.add_argument("--tasks", nargs="*", default=[ALL], help="their names; all where none is named")
    parser.add_argument(
        "--effort", default="normal", choices=["plain", "quick", "normal"], help="of the reader"
    )
    parser.add_argument("--no-words", action="store_true", help="questions without the words that are read")
    parser.add_argument("--engine", default="auto")
    parser.add_argument(
        "--second-encoder", default="", help="where none is named, the default where installed"
    )
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    reader = open_reader(given.bundle)
    run = Evaluator(
        movies_bundle(given.work, reader),
        keep=given.work / "kept",
        second=given.second_encoder,
        engine=given.engine,
    )
    with_words = given.effort != "plain" and not given.no_words
    settings = EvaluationConfig(
        sampling=Sampling(max_new_tokens=given.max_tokens), seed=given.seed,
        effort=None if given.effort == "plain" else given.effort, words_in_prompt=with_words,
    )  # fmt: skip
    task_set = load_task_set("movies")
    cases = [
        one
        for space in given.spaces
        for one in cases_of(run, space, task_set, given.tasks, given.count, given.seed, with_words)
    ]
    more = {"tasks": task_set.name, "count": given.count, "reader": reader.manifest.name}
    sets: list[EvaluatedSet] = run.run(cases, settings)
    write_all(run.gather(sets, settings, more), given.work, given.out)


def write_all(report: Report, work: Path, out: Path) -> None:
    """The whole report beside the kept answers, and its numbers where they may be shared."""
    write_report(work / "report.json", report)
    write_page(work / "report.html", render_page(report))
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "tasks.json", without_texts(report))
    print(task_markdown(report.sets))


if __name__ == "__main__":
    main()
