"""Names: the sets of the package, and what a sentence of `facts` may name.

Cheap to import, for the help of the command line needs it.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from vecspeak.errors import check_path

FOLDER = Path(__file__).parent / "sets"
SHIPPED = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
"""Names of the sets in the package."""
DEFAULT = "movies"
NAMED = re.compile(r"\{(\w+)\}")
"""A name in a sentence."""


def _kinds(name: str) -> tuple[str, ...]:
    return (name, f"a_{name}", f"A_{name}")


_ITEM = ("opening", "long_opening", "first_sentence", "keywords", "era", "maker", *_kinds("kinds"))
_PAIR = (
    *("x_keywords", "y_keywords", "both_keywords", "x_only_keywords", "y_only_keywords"),
    *(
        name
        for kinds in ("both_kinds", "all_kinds", "x_only_kinds", "y_only_kinds")
        for name in _kinds(kinds)
    ),
)
_PERSON = ("liked_kinds", "disliked_kinds", "liked_eras", "disliked_eras")
CAN_BE_KNOWN: Mapping[str, tuple[str, ...]] = {
    "item": _ITEM,
    "pair": _PAIR,
    "neighbour": _PAIR,
    "person": _PERSON,
}
"""What `tasks.facts` can know, by what a task is about."""


def names_in(sentence: str) -> tuple[str, ...]:
    """What a sentence names in braces, in order."""
    return tuple(NAMED.findall(sentence))


def resolved(name: str) -> str:
    """A set's name as it is remembered: the whole path of a file; as it is for one of the package and for none."""
    if not isinstance(name, str):  # a text that no file is called is an unknown set
        check_path("tasks", name)
    try:
        return name if name in SHIPPED or not Path(name).is_file() else str(Path(name).resolve())
    except (OSError, ValueError):  # no file can be called so
        return name
