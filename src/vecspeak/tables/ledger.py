"""Ledger: what reading left out, guessed or kept without counting it, a line each, told before anything slow begins."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vecspeak.errors import UserError, listed


@dataclass(slots=True)
class Ledger:
    """Lines about one table, in the order in which they were found.

    Where `strict` is true, leaving a row out raises UserError instead.

    >>> ledger = Ledger()
    >>> ledger.leave_out("a vector of zeros", ["b7", "c2"], of=60)
    >>> ledger.lines
    ["2 of 60 rows are left out: a vector of zeros (ids 'b7', 'c2')"]
    """

    strict: bool = False
    lines: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Add a line, unless it stands there."""
        if line not in self.lines:
            self.lines.append(line)

    def leave_out(self, why: str, ids: Sequence[str | int], *, of: int) -> None:
        """Tell that these rows, by their ids or numbers, are left out, and why.

        Raises UserError where none may be left out, and where none would be left.
        """
        if not ids:
            return
        what = "rows" if isinstance(ids[0], int) else "ids"
        which = f"({what} {listed(map(repr, ids), 5)})"
        if len(ids) == of:
            raise UserError(f"all {of:,} rows have {why} {which}", "make their vectors again")
        if self.strict:
            raise UserError(
                f"{len(ids):,} of {of:,} rows have {why} {which}", "mend or drop them, or leave `strict` out"
            )
        self.say(f"{len(ids):,} of {of:,} rows are left out: {why} {which}")

    def say_of_texts(self, texts: Iterable[str | None]) -> None:
        """Tell how many texts are empty, and which one many items share."""
        given = list(texts)
        there = [text for text in given if text is not None and text.strip()]
        if empty := len(given) - len(there):
            self.say(f"{empty:,} of {len(given):,} items have no text")
        if not there:
            return
        counts = Counter(there)
        most = max(counts.values())
        if most >= max(_COPIES, _SHARE * len(given)):
            first = min(text for text, count in counts.items() if count == most)
            shown = f"{most:,} of {len(given):,} texts are {_quoted(first)}"
            self.say(f"{shown}: the map learns from them as from any other")


_COPIES, _SHARE = 3, 0.05
"""A text of so many items, and of this share of them, is pointed out."""


def _quoted(text: Any) -> str:
    text = str(text)
    return repr(text if len(text) <= 40 else text[:37].rstrip() + "...")
