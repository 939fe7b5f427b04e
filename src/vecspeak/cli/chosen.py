"""Chosen: which task set a command asks, and in whose words; for all commands that take `--tasks` and `--word`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vecspeak.errors import UserError
from vecspeak.tasks.names import DEFAULT, SHIPPED, resolved

if TYPE_CHECKING:
    from vecspeak.bundles import Bundle

SETS = ", ".join((DEFAULT, *(name for name in SHIPPED if name != DEFAULT)))
"""Names of the package's sets, as help tells them."""
SET_HELP = f"Task set: {SETS}, or a .toml file; by default the one that the reader learned."


def chosen_set(opened: "Bundle", space: str, given: str, words: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The set that was named, or else the one that the bundle's reader learned for the space; and replaced words.

    A file is given back by its whole path, so that it is found from any folder when it is remembered. A space of which
    the reader learned no tasks has the neutral set. Raises UserError for a word that is none, and where the file of a
    remembered set is gone.
    """
    from vecspeak.tasks.task_set import split_words

    if given:
        return resolved(given), split_words(words)
    name, learned = opened.manifest.task_set(opened.entry(space).space.name)
    if name not in SHIPPED and not Path(name).is_file():
        raise UserError(
            f"the bundle remembers the task set {name}, and no such file is there",
            f"give it where it is now with --tasks FILE, or another: {SETS}",
        )
    return name, learned | split_words(words)
