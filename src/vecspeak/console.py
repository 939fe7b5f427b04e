"""Console: the progress bar, and a line next to it, on standard error."""

import contextlib
import sys
from collections.abc import Iterable
from typing import Any


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
        steps, total=total, initial=initial, desc=desc, unit=unit, disable=disable, dynamic_ncols=True
    )


def print_line(text: str) -> None:
    """Write a line above a bar; nothing where nobody reads any more (`| tee` ends by the same Ctrl-C)."""
    from tqdm import tqdm

    with contextlib.suppress(OSError, ValueError):
        tqdm.write(text, file=sys.stderr)
