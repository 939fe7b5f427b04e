"""The paper's own questions at equal training tokens: stages, soft tokens, tasks, what trains, what is learned from.

    python benchmarks/ablations.py [--tokens 150000] [--count 400] [--work work/ablations] [--only NAME ...]

Every variant is recipes/ablations.toml from the closed-form start (no reader before it) with one thing changed. All are
scored on the same targets about movies that nothing was trained on (a folder of another split, by the same teachers):
loss, swap gap (loss with another entity's vectors minus loss) and question gap (loss under another task's question
minus loss: is the question read?), and all paired with the first variant, with 95% bootstrap intervals over entities.
Restartable: training goes on where it stopped, and a variant that was scored by the same recipe and on the same
targets is not run again. Writes OUT/ablations.json and prints
the table in Markdown.
"""

import argparse
import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from places import out_folder

from vecspeak.building import bundles_of
from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.encoders.text import Encoder, load_encoder
from vecspeak.evaluation.answering import losses
from vecspeak.model.prompt import Prompt, PromptTemplate, vectors_of
from vecspeak.model.reader import Reader
from vecspeak.stats import Estimate, Series, difference
from vecspeak.storage import Cache, read_json, write_json
from vecspeak.tasks.examples import PERSON, Target, read_about, read_targets
from vecspeak.tasks.task_set import load_task_set
from vecspeak.training.recipe import Recipe, Stage, Targets, load_recipe
from vecspeak.training.run import train_reader

RECIPE = Path(__file__).parents[1] / "recipes" / "ablations.toml"
FOUR = ("summary", "positive_review", "movie_to_viewer", "similarities")
FIRST = "two stages, 8 soft tokens, all tasks, joint"
PASSES = 8
"""Most times that one target is asked for, in all variants: so that four tasks have enough."""
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
    return _targets(recipe, weights={name: float(name in FOUR) for name in names})


VARIANTS: dict[str, Change] = {
    FIRST: lambda recipe: recipe,
    "one stage: joint from the start": lambda recipe: _stages(recipe, joint=1.0),
    "adapter only, the model frozen": lambda recipe: _stages(recipe, adapter=1.0),
    "one soft token": _one_token,
    f"four tasks ({', '.join(FOUR)})": _four_tasks,
}
"""By what is changed; each beside the first."""


def base_recipe(tokens: int, hours: float) -> Recipe:
    """The recipe for so many tokens."""
    recipe = load_recipe(RECIPE)
    schedule = dataclasses.replace(
        recipe.schedule, max_tokens=tokens, max_hours=hours, adapter_rate=1e-3, model_rate=1e-3
    )
    repeated = _targets(recipe, passes=PASSES)
    return _stages(dataclasses.replace(repeated, schedule=schedule), adapter=0.2, joint=0.8)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exam:
    """Held-out targets as prompts: as they are, with another entity's vectors, and under another task's question."""

    tasks: list[str]
    entities: list[str]
    """What stands in the first slot of each: what intervals are over."""
    texts: list[str]
    right: list[Prompt]
    swapped: list[Prompt]
    asked: list[Prompt]

    @property
    def digest(self) -> str:
        """SHA-256 of everything that is asked and hoped for."""
        found = hashlib.sha256(json.dumps([self.tasks, self.entities, self.texts]).encode())
        for prompt in (*self.right, *self.swapped, *self.asked):
            found.update("{}".join(part for part in prompt if isinstance(part, str)).encode() + b"\0")
            for vector in vectors_of(prompt):
                found.update(vector.tobytes())
        return found.hexdigest()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """A held-out target with its question, its vectors by slot, and other tasks' questions with these slots."""

    target: Target
    space: str
    question: str
    others: list[str]
    read: dict[str, np.ndarray]

    def asked(self, question: str, read: dict[str, np.ndarray]) -> Prompt:
        """A question about these vectors."""
        return PromptTemplate(question).fill({slot: read[slot] for slot in self.target.slots})

    @property
    def entities(self) -> set[tuple[str, str]]:
        """What it is about."""
        return {(self.space, entity) for entity in self.target.slots.values()}


def vector_of(entry: SpaceEntry, entity: str, *, is_person: bool) -> np.ndarray:
    """[T] what the reader sees of an item or a person, as in training."""
    space = entry.users if is_person else entry.space
    assert space is not None, f"{entry.space.name} has no people"
    row = space.index_of(entity.removeprefix(PERSON) if is_person else entity)
    return entry.alignment(space.vectors[row][None], "user" if is_person else "item")[0]


def told_of(folder: Path, bundle: Bundle) -> list[Told]:
    """The targets of a folder with all that is asked of them."""
    about = read_about(folder)
    tasks, entry = load_task_set(about.task_set, about.words), bundle.entry(about.space)
    found = []
    for target in read_targets(folder):
        task = tasks.task(target.task)
        others = [one for one in tasks.tasks.values() if one.name != task.name and one.slots == task.slots]
        read = {
            slot: vector_of(entry, entity, is_person=task.about == "person")
            for slot, entity in target.slots.items()
        }
        found.append(
            Told(
                target=target,
                space=about.space,
                question=task.question,
                others=[one.question for one in others],
                read=read,
            )
        )
    return found


def another(drawn: Sequence[Told], place: int) -> Told | None:
    """The next target of the task that is about other entities alone; None where there is none."""
    own, following = drawn[place], [*drawn[place + 1 :], *drawn[:place]]
    return next((one for one in following if not one.entities & own.entities), None)


def exam_of(folders: Sequence[Path], bundle: Bundle, count: int, seed: int = 0) -> Exam:
    """At most `count` targets, of each task as many; one that has no other to be held against is left out."""
    chosen: dict[str, list[Told]] = {}
    for folder in folders:
        for told in told_of(folder, bundle):
            chosen.setdefault(told.target.task, []).append(told)
    each = max(2, count // len(chosen))
    rng = np.random.default_rng(seed)
    drawn = {name: [told[i] for i in rng.permutation(len(told))[:each]] for name, told in chosen.items()}
    pairs = [
        (told, other)
        for some in drawn.values()
        for place, told in enumerate(some)
        if (other := another(some, place)) is not None and told.others
    ]
    return Exam(
        tasks=[told.target.task for told, _ in pairs],
        entities=[f"{told.space}/{next(iter(told.target.slots.values()))}" for told, _ in pairs],
        texts=[told.target.text for told, _ in pairs],
        right=[told.asked(told.question, told.read) for told, _ in pairs],
        swapped=[told.asked(told.question, other.read) for told, other in pairs],
        asked=[told.asked(told.others[rng.integers(len(told.others))], told.read) for told, _ in pairs],
    )


def score(reader: Reader, exam: Exam, kept: Path) -> dict[str, Any]:
    """Nats and tokens of every target as it is, with another's vectors and under another task's question."""
    found = {}
    for name, prompts in (("right", exam.right), ("swapped", exam.swapped), ("asked", exam.asked)):
        known = Cache(kept)
        nats, counts = losses(
            reader, prompts, exam.texts, key="reader", cache=known, progress=f"loss, {name}"
        )
        found[name], found["tokens"] = nats.tolist(), counts.tolist()
    return {**found, "tasks": exam.tasks, "entities": exam.entities}


def known_scores(path: Path, recipe: Recipe, exam: Exam) -> dict[str, Any] | None:
    """What was scored before; None where it was another recipe or another exam."""
    if not path.is_file():
        return None
    known: dict[str, Any] = read_json(path)
    same = known.get("exam") == exam.digest and known.get("recipe") == plain(recipe)
    return known if same else None


def plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON gives it back."""
    values: dict[str, Any] = json.loads(json.dumps(recipe.to_dict(), default=str))
    return values


def folder_of(work: Path, name: str, recipe: Recipe) -> Path:
    """Where a variant is trained: another recipe has another folder, so nothing of it is taken for this one's."""
    short = name.split(" (")[0].replace(" ", "_").replace(":", "").replace(",", "")
    digest = hashlib.sha256(json.dumps(plain(recipe), sort_keys=True).encode()).hexdigest()
    return work / f"{short}-{digest[:8]}"


def run_variant(
    name: str, recipe: Recipe, encoder: Encoder, exam: Exam, spaces: Bundle, work: Path
) -> dict[str, Any]:
    """What a variant scores; trained where it was not yet."""
    folder = folder_of(work, name, recipe)
    path = folder / "scores.json"
    if known := known_scores(path, recipe, exam):
        return known
    print(f"--- {name}", flush=True)
    for cached in work.glob("shared/*"):  # texts and their vectors are the same in all
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / cached.name).exists():
            (folder / cached.name).symlink_to(cached.resolve())
    trained = train_reader(recipe, encoder, folder, spaces=spaces)
    share(folder, work / "shared")
    scores = {
        **score(trained.reader, exam, folder / "losses.jsonl"),
        "tokens_seen": trained.progress.tokens,
        "seconds": trained.progress.seconds,
        "recipe": plain(recipe),
        "exam": exam.digest,
    }
    write_json(path, scores)
    return scores


def share(folder: Path, shared: Path) -> None:
    """Keep what all variants prepare alike where the next finds it."""
    shared.mkdir(parents=True, exist_ok=True)
    for pattern in ("texts-*.parquet", "vectors-*.npy"):
        for path in folder.glob(pattern):
            if not path.is_symlink():
                path.rename(shared / path.name)


def series_of(found: dict[str, Any], tasks: Sequence[str] | None = None) -> dict[str, Series]:
    """Loss, swap gap and question gap a token, one number an entity; of some tasks only where they are named.

    Targets about one entity are no independent draws, so their nats and tokens are summed.
    """
    names, places = np.unique(found["entities"], return_inverse=True)
    wanted = np.isin(found["tasks"], list(tasks)) if tasks else np.ones(len(places))

    def summed(key: str) -> np.ndarray:
        return np.bincount(places, wanted * np.array(found[key], dtype=float), len(names))

    right, swapped, asked, counts = map(summed, ("right", "swapped", "asked", "tokens"))
    made = {"loss": right, "gap": swapped - right, "question": asked - right}
    return {key: Series(nats / np.maximum(counts, 1), counts) for key, nats in made.items()}


def _cell(found: Estimate | None, *, signed: bool = False) -> str:
    if found is None:
        return "–"
    sign = "+" if signed else ""
    return f"{found.value:{sign}.3f} [{found.low:{sign}.3f}, {found.high:{sign}.3f}]"


def table(scores: dict[str, dict[str, Any]]) -> list[str]:
    """Markdown: each variant, and what it has beyond the first."""
    lines = [
        "| variant | tokens | seconds | loss ↓ | swap gap ↑ | question gap ↑ | loss, minus the first "
        "| swap gap, minus the first | question gap, minus the first | loss on the four tasks |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    first = series_of(scores[FIRST])
    for name, found in scores.items():
        own, four = series_of(found), series_of(found, FOUR)["loss"].estimate()
        beyond = (
            ["–"] * len(own)
            if name == FIRST
            else [_cell(difference(own[key], first[key]), signed=True) for key in own]
        )
        cells = [
            name, f"{found['tokens_seen']:,}", f"{found['seconds']:,.0f}",
            *(_cell(one.estimate()) for one in own.values()), *beyond, _cell(four),
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
    first = scores[FIRST]
    counts = {"targets": len(first["tasks"]), "entities": len(set(first["entities"]))}
    return {**counts, "variants": found, "table": table(scores)}


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
    parser.add_argument("--out", type=out_folder, default="docs/scores")
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
