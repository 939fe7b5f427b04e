"""The paper's own questions at equal training tokens: stages, soft tokens, tasks, what trains, what is learned from.

    python benchmarks/ablations.py [--tokens 150000] [--count 400] [--work work/ablations] [--only NAME ...]

Every variant is recipes/tasks.toml from the closed-form start (no reader before it) with one thing changed. All are
scored on the same targets about movies that nothing was trained on (a folder of another split, by the same teachers):
loss and swap gap, and both paired with the first variant, with 95% bootstrap intervals over targets. Restartable:
training goes on where it stopped, and a variant that was scored is not run again. Writes OUT/ablations.json and prints
the table in Markdown.
"""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecspeak.building import bundles_of
from vecspeak.bundles import Bundle
from vecspeak.embedders.semantic import Encodes, load_encoder
from vecspeak.evaluation.answering import KeptAnswers, losses
from vecspeak.evaluation.intervals import Estimate, Series, difference
from vecspeak.files import read_json, write_json
from vecspeak.model import Reader
from vecspeak.prompts import Prompt, PromptTemplate
from vecspeak.tasks.sets import load_task_set
from vecspeak.tasks.targets import Target, read_about, read_targets
from vecspeak.training.recipe import Recipe, Stage, Targets, load_recipe
from vecspeak.training.run import train_reader

RECIPE = Path(__file__).parents[1] / "recipes" / "tasks.toml"
FOUR = ("summary", "positive_review", "movie_to_viewer", "similarities")
FIRST = "two stages, 8 soft tokens, all tasks, joint"
Change = Callable[[Recipe], Recipe]


def _targets(recipe: Recipe, **changes: Any) -> Recipe:
    assert recipe.targets is not None
    return dataclasses.replace(recipe, targets=dataclasses.replace(recipe.targets, **changes))


def _stages(recipe: Recipe, **shares: float) -> Recipe:
    stages = tuple(Stage(name=name, share=share) for name, share in shares.items())  # type: ignore[arg-type]
    return dataclasses.replace(recipe, stages=stages)


def _one_token(recipe: Recipe) -> Recipe:
    return dataclasses.replace(recipe, adapter=dataclasses.replace(recipe.adapter, num_soft_tokens=1))


def _four_tasks(recipe: Recipe) -> Recipe:
    names = load_task_set("movies").tasks
    return _targets(recipe, weights={name: float(name in FOUR) for name in names}, passes=8)


VARIANTS: dict[str, Change] = {
    FIRST: lambda recipe: recipe,
    "one stage: joint from the start": lambda recipe: _stages(recipe, joint=1.0),
    "adapter only, the model frozen": lambda recipe: _stages(recipe, adapter=1.0),
    "one soft token": _one_token,
    f"four tasks ({', '.join(FOUR)})": _four_tasks,
    "half distilled from the model that reads the text": lambda recipe: _targets(recipe, distill=0.5),
    "all distilled": lambda recipe: _targets(recipe, distill=1.0),
}
"""By what is changed; each beside the first."""


def base_recipe(tokens: int, hours: float) -> Recipe:
    """The recipe of tasks without the reader that it starts from, for so many tokens."""
    recipe = load_recipe(RECIPE)
    schedule = dataclasses.replace(
        recipe.schedule, max_tokens=tokens, max_hours=hours, adapter_rate=1e-3, model_rate=1e-3
    )
    base = dataclasses.replace(recipe.base, start="")
    return _stages(dataclasses.replace(recipe, base=base, schedule=schedule), adapter=0.2, joint=0.8)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exam:
    """Held-out targets as prompts, with another's vectors too."""

    tasks: list[str]
    right: list[Prompt]
    swapped: list[Prompt]
    texts: list[str]


def exam_of(folders: Sequence[Path], bundle: Bundle, count: int, seed: int = 0) -> Exam:
    """At most `count` targets, of each task as many; the swapped vectors are those of the task's target before."""
    chosen: dict[str, list[tuple[Target, Prompt]]] = {}
    for folder in folders:
        about = read_about(folder)
        tasks, entry = load_task_set(about.task_set, about.words), bundle.entry(about.space)
        for target in read_targets(folder):
            template = PromptTemplate(tasks.task(target.task).question)
            read = {
                slot: entry.alignment(entry.space.vectors[entry.space.index_of(item)][None])[0]
                for slot, item in target.slots.items()
            }
            chosen.setdefault(target.task, []).append((target, template.fill(read)))
    each = max(2, count // len(chosen))
    rng = np.random.default_rng(seed)
    drawn = {name: [told[i] for i in rng.permutation(len(told))[:each]] for name, told in chosen.items()}
    rows = [row for told in drawn.values() for row in told]
    return Exam(
        tasks=[target.task for target, _ in rows],
        right=[prompt for _, prompt in rows],
        swapped=[prompt for told in drawn.values() for _, prompt in [told[-1], *told[:-1]]],
        texts=[target.text for target, _ in rows],
    )


def score(reader: Reader, exam: Exam, kept: Path) -> dict[str, Any]:
    """Nats and tokens of every target with its own vectors and with another's."""
    found = {}
    for name, prompts in (("right", exam.right), ("swapped", exam.swapped)):
        known = KeptAnswers(kept)
        nats, counts = losses(reader, prompts, exam.texts, key="reader", kept=known, progress=f"loss, {name}")
        found[name], found["tokens"] = nats.tolist(), counts.tolist()
    return {**found, "tasks": exam.tasks}


def run_variant(
    name: str, recipe: Recipe, encoder: Encodes, exam: Exam, spaces: Bundle, work: Path
) -> dict[str, Any]:
    """What a variant scores; trained where it was not yet."""
    folder = work / name.split(" (")[0].replace(" ", "_").replace(":", "").replace(",", "")
    path = folder / "scores.json"
    if path.is_file():
        known: dict[str, Any] = read_json(path)
        return known
    print(f"--- {name}", flush=True)
    for cached in work.glob("shared/*"):  # texts and their vectors are the same in all
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / cached.name).exists():
            (folder / cached.name).symlink_to(cached.resolve())
    trained = train_reader(recipe, encoder, folder, spaces=spaces)
    share(folder, work / "shared")
    scores = score(trained.reader, exam, folder / "losses.jsonl")
    write_json(path, {**scores, "tokens_seen": trained.progress.tokens, "seconds": trained.progress.seconds})
    done: dict[str, Any] = read_json(path)
    return done


def share(folder: Path, shared: Path) -> None:
    """Keep what all variants prepare alike where the next finds it."""
    shared.mkdir(parents=True, exist_ok=True)
    for pattern in ("texts-*.parquet", "vectors-*.npy"):
        for path in folder.glob(pattern):
            if not path.is_symlink():
                path.rename(shared / path.name)


def series_of(found: dict[str, Any], tasks: Sequence[str] | None = None) -> dict[str, Series]:
    """Loss and swap gap a token, one target each; of some tasks only where they are named."""
    right, swapped, counts = (np.array(found[key], dtype=float) for key in ("right", "swapped", "tokens"))
    weights = counts * (np.isin(found["tasks"], list(tasks)) if tasks else 1.0)
    return {"loss": Series(right / counts, weights), "gap": Series((swapped - right) / counts, weights)}


def _cell(found: Estimate | None, *, signed: bool = False) -> str:
    if found is None:
        return "–"
    sign = "+" if signed else ""
    return f"{found.value:{sign}.3f} [{found.low:{sign}.3f}, {found.high:{sign}.3f}]"


def table(scores: dict[str, dict[str, Any]]) -> list[str]:
    """Markdown: each variant, and what it has beyond the first."""
    lines = [
        "| variant | tokens | seconds | loss ↓ | swap gap ↑ | loss, minus the first | swap gap, minus the first "
        "| loss on the four tasks |",
        "|---|---|---|---|---|---|---|---|",
    ]
    first = series_of(scores[FIRST])
    for name, found in scores.items():
        own, four = series_of(found), series_of(found, FOUR)["loss"].estimate()
        beyond = (
            ["–", "–"]
            if name == FIRST
            else [_cell(difference(own[key], first[key]), signed=True) for key in ("loss", "gap")]
        )
        cells = [
            name, f"{found['tokens_seen']:,}", f"{found['seconds']:,.0f}", _cell(own["loss"].estimate()),
            _cell(own["gap"].estimate()), *beyond, _cell(four),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def written(scores: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The numbers without any text, for the repository."""
    found = {}
    for name, one in scores.items():
        series = series_of(one)
        estimates = {key: dataclasses.asdict(series[key].estimate()) for key in series}  # type: ignore[arg-type]
        found[name] = {"tokens": one["tokens_seen"], "seconds": round(one["seconds"]), **estimates}
    return {"targets": len(scores[FIRST]["tasks"]), "variants": found, "table": table(scores)}


def main() -> None:
    """Run what is not finished, then write the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=150_000)
    parser.add_argument("--hours", type=float, default=24.0, help="longest training of one variant")
    parser.add_argument("--count", type=int, default=400, help="held-out targets, at most")
    parser.add_argument("--held-out", type=Path, nargs="+", default=[Path("work/targets/movies-holdout")])
    parser.add_argument("--work", type=Path, default=Path("work/ablations"))
    parser.add_argument("--out", type=Path, default=Path("docs/scores"))
    parser.add_argument(
        "--only", nargs="*", help="beginnings of the names of variants; the first is always run"
    )
    given = parser.parse_args()
    recipe = base_recipe(given.tokens, given.hours)
    _, spaces = bundles_of(recipe)
    assert spaces is not None and isinstance(recipe.targets, Targets)
    encoder, exam = load_encoder(recipe.base.encoder), exam_of(given.held_out, spaces, given.count)
    scores = {
        name: run_variant(name, change(recipe), encoder, exam, spaces, given.work)
        for name, change in VARIANTS.items()
        if name == FIRST or not given.only or any(name.startswith(one) for one in given.only)
    }
    given.out.mkdir(parents=True, exist_ok=True)
    write_json(given.out / "ablations.json", written(scores))
    print("\n".join(table(scores)))


if __name__ == "__main__":
    main()
