"""Console: everything that is printed goes through here, and nothing that a foreign text holds is obeyed by a terminal.

Lines go to standard output, notes and the progress bar to standard error.
"""

import contextlib
import sys
from collections.abc import Iterable
from typing import Any

from vecspeak.foreign import json_line, shown_lines
from vecspeak.foreign import shown as as_shown


def progress_bar(
    steps: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    initial: int = 0,
    desc: str,
    unit: str,
    shown: bool | None = True,
) -> Any:
    """Count the steps as they are taken, or as `update(n)` says; `shown=None` draws it in a terminal only.

    >>> for batch in progress_bar(batches, desc="encoding", unit="batch"): ...
    """
    from tqdm import tqdm  # 0.05 s, which an answer without a bar does not wait for

    disable = None if shown is None else not shown
    return tqdm(
        steps,
        total=total,
        initial=initial,
        desc=as_shown(desc),
        unit=unit,
        disable=disable,
        dynamic_ncols=True,
    )


def print_line(text: str) -> None:
    """Write a line above a bar; nothing where nobody reads any more (`| tee` ends by the same Ctrl-C)."""
    from tqdm import tqdm

    with contextlib.suppress(OSError, ValueError):
        tqdm.write(as_shown(text), file=sys.stderr)


def say(*lines: str, err: bool = False) -> None:
    """Print lines, one an argument: a line break in one of them is shown, not obeyed. Without any, an empty line."""
    import click

    for line in lines or ("",):
        click.echo(as_shown(line), err=err)


def say_text(text: str, *, faint: bool = False, end: str = "\n") -> None:
    """Print a text that may have several lines, such as an answer; faint on a terminal alone."""
    import click

    click.echo(click.style(shown_lines(text), dim=True) if faint else shown_lines(text), nl=False)
    click.echo(end, nl=False)


def say_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    import click

    click.echo(json_line(value))
