"""A tiny teacher's targets about the pairs of words of `worlds`, and about two people, in a folder."""

from pathlib import Path

import numpy as np

from vecspeak.bundles import Bundle, load_bundle, save_bundle
from vecspeak.spaces import Space
from vecspeak.tasks.examples import Target, TargetsOrigin, is_held_out_person, write_targets
from worlds import COLD, ENCODER, HELD_OUT, PAIRS, entry, trained_folder

FREE = [f"p{row}" for row in range(len(PAIRS)) if f"p{row}" not in HELD_OUT | COLD]
PEOPLE = [f"u{number}" for number in range(40)]


def text_of(item: str) -> str:
    return PAIRS[int(item.removeprefix("p"))]


def people() -> Space:
    vectors = ENCODER.encode([f"{name} {PAIRS[row]}" for row, name in enumerate(PEOPLE)])
    return Space(name="people", ids=tuple(PEOPLE), labels=tuple(PEOPLE), vectors=vectors)


def bundle(folder: Path) -> Bundle:
    """The trained reader of `worlds`, its space, and people."""
    source = load_bundle(trained_folder())
    return save_bundle(folder, source=source, name="toy", entries={"pairs": entry(users=people())})


def target(task: str, slots: dict[str, str], text: str, split: str = "train") -> Target:
    context = f"Text: {text}\n\nAnswer."
    return Target(task=task, slots=slots, text=text, context=context, teacher="toy", split=split)


def some_targets() -> list[Target]:
    """A short and a long task about each item that is free, one about pairs and one about people."""
    items = [target("summary", {"x": item}, text_of(item)) for item in FREE]
    items += [target("long_description", {"x": item}, f"{text_of(item)} and " * 6) for item in FREE]
    near = zip(FREE, FREE[1:], strict=False)
    items += [target("similarities", {"x": x, "y": y}, f"{text_of(x)}, {text_of(y)}") for x, y in near]
    persons = [name for name in PEOPLE if not is_held_out_person(name)][:6]
    return items + [target("user_profile", {"x": f"user:{name}"}, "likes a ghost") for name in persons]


def held_out_targets() -> list[Target]:
    return [target("summary", {"x": item}, text_of(item), "holdout") for item in sorted(HELD_OUT)]


def write(folder: Path, of: Bundle, targets: list[Target], **changes: str) -> Path:
    space = of.entry("pairs").space
    values = {"space": "pairs", "space_digest": space.digest, "task_set": "items", "split": "train"}
    write_targets(folder, targets, TargetsOrigin(**{**values, "words": {}, "seed": 0, **changes}))
    return folder


def row_of(vectors: np.ndarray, item: str) -> int:
    """The row with an item's vector, as it is read."""
    wanted = ENCODER.encode([text_of(item)])[0]
    return int(np.abs(vectors - wanted).sum(1).argmin())
