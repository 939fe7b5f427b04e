"""Taught: examples made of what a teacher wrote about the vectors of a bundle's spaces.

Only targets of the split `train` train, in wordings that are not held out, about entities that are not. Knows bundles,
task sets and folders of targets. Knows nothing of tokens, of models or of who the teacher was.
"""

import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.errors import UserError
from vecspeak.prompts import PromptTemplate
from vecspeak.tasks.lessons import TRAIN, is_held_out_person
from vecspeak.tasks.sets import Task, TaskSet, load_task_set
from vecspeak.tasks.targets import PERSON, About, Target, read_about, read_targets
from vecspeak.training.data import Example
from vecspeak.training.recipe import Recipe, Targets


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taught:
    """All examples that targets give, and the vectors that they are about."""

    examples: list[Example]
    """Task by task, pass after pass, each pass in an order of its own."""
    watched: list[Example]
    """About one held-out vector each; nothing trains on them."""
    vectors: np.ndarray
    """[N, T] float32 unit vectors as the reader reads them."""
    facts: dict[str, Any]
    """What a manifest says of the targets."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Folder:
    path: Path
    about: About
    entry: SpaceEntry
    task_set: TaskSet
    targets: list[Target]


@dataclass(slots=True)
class _Vectors:
    """Rows of the vectors asked for, each entity once."""

    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    read: list[np.ndarray] = field(default_factory=list)

    def row(self, entry: SpaceEntry, entity: str, is_person: bool) -> int:
        key = (entry.space.name, entity)
        if key not in self.rows:
            self.rows[key] = len(self.read)
            self.read.append(_vector(entry, entity, is_person))
        return self.rows[key]


def _vector(entry: SpaceEntry, entity: str, is_person: bool) -> np.ndarray:
    """[T] what the reader sees of an entity: what asking about it gives."""
    space = entry.users if is_person else entry.space
    if space is None:
        raise UserError(
            f"targets are about people, and the space {entry.space.name!r} of the bundle has none",
            "make the bundle from the space with its people, or set the weight of those tasks to 0",
        )
    row = space.index_of(entity.removeprefix(PERSON) if is_person else entity)
    return entry.alignment(space.vectors[row][None], "user" if is_person else "item")[0]


def with_names(recipe: Recipe) -> Recipe:
    """The recipe with the space and the task set of its first folder of targets, as it is kept in a bundle."""
    if recipe.targets is None:
        return recipe
    if not recipe.targets.folders:
        raise UserError(f"the recipe {recipe.name!r} names no folder of targets", "give --targets FOLDER")
    about = read_about(Path(recipe.targets.folders[0]))
    targets = dataclasses.replace(recipe.targets, space=about.space, task_set=about.task_set)
    return dataclasses.replace(recipe, targets=targets)


def read_taught(targets: Targets, bundle: Bundle, seed: int) -> Taught:
    """Examples of all folders.

    Raises UserError for targets of another space, about an entity that is held out or unknown, in a task that
    their set lacks, and when none is left.
    """
    _check_different(targets.folders)
    folders = [_open(Path(path), bundle) for path in targets.folders]
    _check_weights(targets.weights, folders)
    vectors = _Vectors()
    by_task: defaultdict[str, list[tuple[_Folder, Target]]] = defaultdict(list)
    held_out: list[tuple[_Folder, Target]] = []
    for folder in folders:
        for target in folder.targets:
            if targets.weights.get(target.task, 1.0) > 0:
                (by_task[target.task] if target.split == TRAIN else held_out).append((folder, target))
    examples = [
        example
        for name, told in by_task.items()
        for example in _of_task(told, targets.passes, [seed, *name.encode()], vectors)
    ]
    if not examples:
        raise UserError(
            f"no target to train on in {', '.join(targets.folders)}",
            f"write some with vecspeak teach {bundle.folder} --teacher facts --out {targets.folders[0]}, "
            "and leave some task its weight",
        )
    watched = _watched(held_out, seed, vectors)
    facts = _facts(folders, by_task)
    return Taught(examples=examples, watched=watched, vectors=np.stack(vectors.read), facts=facts)


def _check_different(folders: Sequence[str]) -> None:
    """Raise UserError for a folder that is given twice: its targets would count twice."""
    seen: set[Path] = set()
    for one in folders:
        if (path := Path(one).resolve()) in seen:
            raise UserError(f"the folder of targets {one} is given twice", "give it once")
        seen.add(path)


def _open(path: Path, bundle: Bundle) -> _Folder:
    about = read_about(path)
    entry = bundle.entry(about.space)
    if entry.space.digest != about.space_digest:
        raise UserError(
            f"the targets in {path} are about another space {about.space!r} than that of {bundle.folder}: "
            f"digest {about.space_digest[:12]}, not {entry.space.digest[:12]}",
            "give the bundle that they were written for, or write them again",
        )
    folder = _Folder(
        path=path,
        about=about,
        entry=entry,
        task_set=load_task_set(about.task_set, about.words),
        targets=read_targets(path),
    )
    for target in folder.targets:
        _check(target, folder)
    return folder


def _check(target: Target, folder: _Folder) -> None:
    """Raise UserError for a target that fits no task, or trains on what is held out."""
    task = folder.task_set.task(target.task)
    if set(target.slots) != set(task.slots):
        raise UserError(
            f"a target in {folder.path} has the slots {', '.join(target.slots)}; the task {task.name} has "
            f"{', '.join(task.slots)}",
            "write the targets again",
        )
    held_out = [entity for entity in target.slots.values() if _is_held_out(entity, task, folder.entry)]
    if target.split == TRAIN and held_out:
        raise UserError(
            f"a target in {folder.path} is for training and about {held_out[0]}, which is held out",
            "write the targets again from this bundle, or mark that target with its split",
        )
    if target.split != TRAIN and not held_out:
        raise UserError(
            f"a target in {folder.path} is of the split {target.split!r} and about "
            f"{' and '.join(target.slots.values())}, which {folder.entry.space.name!r} does not hold out: "
            "what is watched may not be what is trained on",
            "write the targets again from this bundle",
        )


def _is_held_out(entity: str, task: Task, entry: SpaceEntry) -> bool:
    if task.about == "person":
        return is_held_out_person(entity.removeprefix(PERSON))
    return entity in entry.held_out


def _check_weights(weights: Mapping[str, float], folders: Sequence[_Folder]) -> None:
    known = list(dict.fromkeys(name for folder in folders for name in folder.task_set.tasks))
    if unknown := [name for name in weights if name not in known]:
        raise UserError(
            f"targets.weights has {unknown[0]!r}; the task set has {', '.join(known)}", "correct the recipe"
        )


def _of_task(
    told: Sequence[tuple[_Folder, Target]], passes: int, seed: list[int], vectors: _Vectors
) -> list[Example]:
    """All targets of a task, as often as they may come, each time in a wording that training may ask."""
    rng = np.random.default_rng(seed)
    examples = []
    for _ in range(passes):
        for number in rng.permutation(len(told)).tolist():
            folder, target = told[number]
            prompts = folder.task_set.task(target.task).prompts
            wording = prompts[rng.integers(len(prompts))]
            examples.append(_example(folder, target, wording, vectors))
    return examples


def _example(folder: _Folder, target: Target, wording: str, vectors: _Vectors) -> Example:
    task: Task = folder.task_set.task(target.task)
    is_person = task.about == "person"
    rows = tuple(
        vectors.row(folder.entry, target.slots[slot], is_person) for slot in PromptTemplate(wording).slots
    )
    return Example(task=task.name, question=wording, rows=rows, target=target.text, told=target.told)


def _watched(held_out: Sequence[tuple[_Folder, Target]], seed: int, vectors: _Vectors) -> list[Example]:
    """Targets about one held-out vector, in random order, in the task's first wording."""
    order = np.random.default_rng([seed, 3]).permutation(len(held_out))
    asked = [held_out[i] for i in order if len(held_out[i][1].slots) == 1]
    return [
        _example(folder, target, folder.task_set.task(target.task).question, vectors)
        for folder, target in asked
    ]


def _facts(
    folders: Sequence[_Folder], by_task: Mapping[str, Sequence[tuple[_Folder, Target]]]
) -> dict[str, Any]:
    used = [target for told in by_task.values() for _, target in told]
    digest = hashlib.sha256()
    for target in used:
        digest.update(json.dumps(dataclasses.asdict(target), sort_keys=True).encode() + b"\0")
    return {
        "targets": {name: len(told) for name, told in by_task.items()},
        "teachers": sorted({target.teacher for target in used}),
        "sha256": digest.hexdigest(),
        "task_sets": {folder.about.space: folder.about.task_set for folder in folders},
        "words": {folder.about.space: dict(folder.about.words) for folder in folders},
        "spaces": {folder.entry.space.name: folder.entry.space.digest for folder in folders},
    }
