"""Foreign text: texts that others wrote, as they go to a terminal, into a page and into a table for a spreadsheet.

Labels, texts, names of columns, answers and what servers say are data: nothing in them is obeyed.
"""

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_JOINERS = "\u200c\u200d"
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_HIDDEN = re.compile(
    "(?P<flag>\U0001f3f4\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|"
    "\U000e0077\U000e006c\U000e0073)\U000e007f)"  # England, Scotland and Wales are spelled with tags
    f"|(?P<run>[{_JOINERS}{_SELECTORS}]+)"
    "|[\x00-\x1f\x7f-\x9f"  # controls, ESC and C1 among them
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction of writing: marks, embeddings, overrides, isolates
    "\u2028\u2029"  # line and paragraph separators
    "\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"  # nothing is seen of these, and they cut words
    "\U000e0000-\U000e00ff"  # tags: a second text that nobody sees
    "\ud800-\udfff]"
)
_SHORT_RUN = re.compile(f"[{_SELECTORS}]?[{_JOINERS}]?")
"""What emoji and some scripts need: a variation selector and a joiner. Longer runs hide a text."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


def shown(text: str, allowed: str = "") -> str:
    r"""A text on one line with what would move a cursor, turn the writing round or stay unseen as escapes.

    Letters of all scripts, emoji and their joiners stay as they are, and so do `allowed` letters.

    >>> shown("a\x1b[2J\u202eb\nc"), shown("שלום 👩‍👧")
    ('a\\x1b[2J\\u202eb\\nc', 'שלום 👩‍👧')
    """

    def escaped(found: re.Match[str]) -> str:
        letters = found[0]
        if letters in allowed or found["flag"] or (found["run"] and _SHORT_RUN.fullmatch(letters)):
            return letters
        return "".join(_NAMED.get(letter) or _escape(letter) for letter in letters)

    return _HIDDEN.sub(escaped, text)


def _escape(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shown_lines(text: str) -> str:
    r"""A text of several lines, such as an answer; each but the first begins with a bar, so that none passes for ours.

    >>> shown_lines("It is fine.\nround trip 1.00")
    'It is fine.\n  | round trip 1.00'
    """
    return "\n  | ".join(map(shown, _BREAK.split(text)))


def shown_in_page(value: Any) -> Any:
    """A value of a page's template: of a text what would turn the writing round or stay unseen is shown.

    Escaping is the template's own. Line breaks stay, which a page takes for blanks; Markup stays as it is.
    """
    return shown(value, "\n\r\t") if isinstance(value, str) and not hasattr(value, "__html__") else value


def json_line(value: Any) -> str:
    """A value as JSON of one line, readable and the same when it is read again; hidden letters are JSON's escapes."""
    made = json.dumps(value, ensure_ascii=False)
    return _HIDDEN.sub(
        lambda found: found[0] if shown(found[0]) == found[0] else json.dumps(found[0])[1:-1], made
    )


def spreadsheet_safe(cell: Any) -> Any:
    """A cell that no spreadsheet runs: a text that begins as a formula gets an apostrophe. Numbers stay as they are.

    >>> spreadsheet_safe("=1+1"), spreadsheet_safe("-1"), spreadsheet_safe(-1.5)
    ("'=1+1", "'-1", -1.5)
    """
    is_formula = isinstance(cell, str) and cell.startswith(_FORMULA)
    return f"'{cell}" if is_formula else cell


def csv_cell(cell: Any) -> Any:
    r"""A cell for a spreadsheet and for whoever prints the file: hidden letters other than line breaks are shown.

    >>> csv_cell("a\x1b[2J\nb")
    'a\\x1b[2J\nb'
    """
    safe = spreadsheet_safe(cell)
    return shown(safe, "\n\r\t") if isinstance(safe, str) else safe


def write_csv(file: Path | TextIO, rows: Iterable[Iterable[Any]]) -> int:
    """Write rows, the head first, as CSV in UTF-8 that a spreadsheet may open; how many there are without the head."""
    if isinstance(file, Path):
        with file.open("w", encoding="utf-8", errors="replace", newline="") as opened:
            return write_csv(opened, rows)
    writer, number = csv.writer(file), -1
    for row in rows:
        writer.writerow(map(csv_cell, row))
        number += 1
    return number
