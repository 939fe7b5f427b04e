"""Chosen: which task set a command asks, and in whose words; for all commands that take `--tasks` and `--word`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vecspeak.bundles import Bundle

SET_HELP = (
    "Task set: movies, items, packages, words, or a .toml file; by default the one that the reader learned."
)


def chosen_set(opened: "Bundle", space: str, given: str, words: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The set that was named, or else the one that the bundle's reader learned for the space; and replaced words.

    A space of which the reader learned no tasks has the neutral set. Raises UserError for a word that is none.
    """
    from vecspeak.tasks.sets import split_words

    name, learned = (given, {}) if given else opened.manifest.task_set(opened.entry(space).space.name)
    return name, learned | split_words(words)
