"""Which task sets there are, for all commands that take `--tasks` and `--word`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vecspeak.tasks.names import DEFAULT, SHIPPED

if TYPE_CHECKING:
    from vecspeak.bundles import Bundle

SETS = ", ".join((DEFAULT, *(name for name in SHIPPED if name != DEFAULT)))
"""Names of the package's sets, as help tells them."""
SET_HELP = f"Task set: {SETS}, or a .toml file; by default the one that the reader learned."


def selected_set(
    opened: "Bundle", space: str, given: str, words: Sequence[str]
) -> tuple[str, dict[str, str]]:
    """As `asking.chosen_task_set`, which a command loads when it runs."""
    from vecspeak.asking import selected_task_set

    return selected_task_set(opened, space, given, words)


def note(text: str) -> None:
    """Print what a person should know, beside what is asked for."""
    click.echo(text, err=True)
