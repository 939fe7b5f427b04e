"""Targets: what a teacher wrote and the checks let pass, in a folder that a training run reads.

    targets.jsonl   a target a line      about.json   which space, set and split they were made of

Knows the files. Knows nothing of who writes targets or of what they are trained into.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vecspeak.errors import UserError
from vecspeak.files import read_json, replace_file, write_json

TARGETS, ABOUT = "targets.jsonl", "about.json"
PERSON = "user:"
"""Before the id of a person in a slot; items stand by their id alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One text that a reader is to write about the vectors in its slots."""

    task: str
    slots: Mapping[str, str]
    """Id of the item in each slot; of a person, `user:ID`."""
    text: str
    told: str
    """What the teacher read: all of it but the vectors' numbers."""
    teacher: str
    split: str
    """`train`, or the name of the split whose entities it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the targets of a folder were made of."""

    space: str
    space_digest: str
    task_set: str
    """Name of the task set, or the path of its file."""
    words: Mapping[str, str]
    """Words that replace those of the set."""
    split: str
    seed: int


def write_targets(folder: Path, targets: Sequence[Target], about: About) -> None:
    """Replace the folder's targets; a kill leaves the old ones or the new ones."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ABOUT, asdict(about))
    with replace_file(folder / TARGETS) as beside:
        lines = (json.dumps(asdict(target), ensure_ascii=False) for target in targets)
        beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_targets(folder: Path) -> list[Target]:
    """The targets of a folder, in order. Raises UserError where there are none and where a line is not one."""
    path = folder / TARGETS
    if not path.is_file():
        raise UserError(
            f"there are no targets in {folder}", f"write some with vecspeak teach ... --out {folder}"
        )
    targets = []
    lines = path.read_bytes().split(b"\n")  # not splitlines: JSON keeps other line ends as they are
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            targets.append(_target(json.loads(line.decode("utf-8-sig"))))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise UserError(
                f"line {number} of {path} is no target ({error})",
                "write the targets again with vecspeak teach",
            ) from error
    return targets


def read_about(folder: Path) -> About:
    """What the targets of a folder were made of. Raises UserError where that is not told."""
    if not (folder / ABOUT).is_file():
        raise UserError(
            f"there are no targets in {folder}", f"write some with vecspeak teach ... --out {folder}"
        )
    values = read_json(folder / ABOUT)
    try:
        return _about(values)
    except TypeError as error:
        raise UserError(
            f"{folder / ABOUT} is not complete ({error})", "write the targets again with vecspeak teach"
        ) from error


def _about(values: Any) -> About:
    about = About(**values)
    texts = (about.space, about.space_digest, about.task_set, about.split)
    if not isinstance(about.words, dict) or not all(
        isinstance(text, str) for text in (*texts, *about.words.values())
    ):
        raise TypeError("a value that is no text")
    return about


def _target(values: Any) -> Target:
    target = Target(**values)
    texts = (target.task, target.text, target.told, target.teacher, target.split, *target.slots.values())
    if not all(isinstance(text, str) for text in (*texts, *target.slots)):
        raise TypeError("a value that is no text")
    if not target.text.strip() or not target.split:
        raise ValueError("an empty text or split")
    "".join(texts).encode()  # half a letter raises ValueError: no model reads it
    return target
