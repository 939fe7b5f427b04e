"""Tables of text with a separator (CSV and its kin), whose values stay as they are written.

Everything is read as text. What no caller needs as text becomes numbers or dates only where the number would be
written just so: "01", "1E2" and "+5" stay text. Separator, encoding and the use of quotation marks are found where
nobody names them, from the whole file and not from its beginning alone.
"""

import codecs
import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from vecspeak.bounds import check_memory
from vecspeak.errors import UserError, listed
from vecspeak.tables.cells import value_of
from vecspeak.tables.ledger import Ledger
from vecspeak.tables.quoting import Quoting, find_quoting, has_one_width

_CANDIDATES = (",", ";", "\t", "|")
"""Separators that are looked for, where the usual one of a file's ending separates nothing."""
_NAMES = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
"""Separators as people type them."""
_STAND_IN = "\x1f"
"""Stands for a separator of several letters: ASCII's own separator of units, which no text has."""
_HEAD, _BLOCK = 1 << 20, 1 << 26
"""Bytes in which the header lies, and bytes that hold the longest row."""
_PART = 1 << 22
_A_CELL = 8
"""Bytes that a value takes beside its letters, and twice while numbers are made of it."""
_NUMBER = r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?([eE][+-][0-9]{2})?$"
"""A number as programs write one: no zero in front, no more digits than are kept, and an exponent with its sign."""
_WHOLE = r"^-?(0|[1-9][0-9]{0,17})$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?$"
_NO_NUMBER = ("", "nan", "NaN", "NA", "N/A", "NULL", "null", "None")
"""Written where a number is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFormat:
    """How a table of text is written, as far as the person who gives it says so."""

    sep: str | None = None
    """What separates the columns, of one letter or several; "\\t" and "tab" are a tabulator."""
    encoding: str | None = None
    """Such as "latin-1"; UTF-8, or what the byte order mark says, where not given."""
    header: bool = True
    """Whether the first row has the columns' names; without it they are "1", "2" and so on."""
    columns: tuple[str, ...] = ()
    """Names of all columns, where the first row has none: no header is looked for then."""

    def __post_init__(self) -> None:
        if self.sep == "":
            raise UserError("an empty separator is given", "give one such as ';' or tab")
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except (LookupError, ValueError) as error:
                raise UserError(
                    f"no encoding {self.encoding!r}", "give one such as latin-1, cp1252 or utf-16"
                ) from error


def read_delimited(
    path: Path,
    data: bytes | pa.Buffer,
    *,
    form: TextFormat,
    usual: str,
    as_written: tuple[str, ...] | None,
    quotes: bool = True,
    ledger: Ledger,
) -> pa.Table:
    """The table in `data`, which was read from `path`; `usual` separates where nothing else is found.

    The columns `as_written` stay text, all of them where it is None. Raises UserError for a file that cannot be read
    so, with the row, and Arrow's errors for rows of other widths.
    """
    data, decoded = _utf8(path, data, form.encoding)
    if decoded:
        ledger.say(f"{path.name} is read as {decoded}")
    if not len(data):
        raise UserError(f"cannot read {path} as a table: Empty CSV file", "give a table with one row or more")
    data, sep = _separated(path, data, form.sep, usual, ledger)
    cells = count_letters(data, sep.encode()) + count_letters(data, b"\n")
    check_memory(path, len(data) + _A_CELL * cells)
    quoting = find_quoting(path, data, sep, ledger) if quotes else Quoting.LITERAL
    names, skipped = _header(data, sep, quoting, form)
    if skipped and len(names) > 1 and all(re.match(_NUMBER, name) for name in names):
        named = listed(map(repr, names), 4)
        ledger.say(
            f"the first row of {path.name} is taken for names: {named}; `header=False` reads it as a row"
        )
    table = _parsed(data, sep, quoting, names, skipped)
    if quoting is Quoting.DOUBLED and sep == "\t" and _marks_belong(data, sep, names, skipped):
        ledger.say(f"quotation marks in {path.name} quote nothing and are kept")
        table = _parsed(data, sep, Quoting.LITERAL, names, skipped)
    table = _with_separator(table, form.sep)
    if as_written is None:
        return table
    return pa.table(
        [table.column(i) if name in as_written else typed(table.column(i)) for i, name in enumerate(names)],
        names=names,
    )


def separator(given: str) -> str:
    """What somebody types for a separator, as it stands in a file.

    >>> separator("tab") == separator(chr(92) + "t") == chr(9)
    True
    """
    return _NAMES.get(given, given)


def typed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers or dates, where every value is written as one is; the same column of text otherwise.

    >>> typed(pa.chunked_array([["1.5", "", "2"]])).to_pylist(), typed(pa.chunked_array([["01", "2"]])).to_pylist()
    ([1.5, None, 2.0], ['01', '2'])
    """
    import pyarrow.compute as pc

    present = pc.fill_null(pc.invert(pc.is_in(column, value_set=pa.array(_NO_NUMBER))), False)
    values = pc.if_else(present, column, None)
    if values.null_count == len(values):
        return column
    for pattern, kind in (
        (_WHOLE, pa.int64()),
        (_NUMBER, pa.float64()),
        (_DATE, pa.date32()),
        (_MOMENT, pa.timestamp("us")),
    ):
        if value_of(pc.all(pc.match_substring_regex(values, pattern))):
            try:
                return values.cast(kind)
            except pa.ArrowInvalid:  # the 31st of February
                return column
    return column


def _utf8(path: Path, data: bytes | pa.Buffer, encoding: str | None) -> tuple[bytes | pa.Buffer, str]:
    """The data in UTF-8 without a byte order mark, and the encoding that it was in where that is another.

    Raises UserError where it is not in this encoding.
    """
    head = bytes(memoryview(data)[:4])
    if encoding is None:
        for mark, name in ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32")):
            encoding = name if head.startswith(mark) else encoding
        if encoding is None and head.startswith((b"\xff\xfe", b"\xfe\xff")):
            encoding = "utf-16"
    if encoding is None or encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig"):
        text = memoryview(data)
        text = text[3:] if head.startswith(b"\xef\xbb\xbf") else text
        _check_utf8(path, text)
        return pa.py_buffer(text), ""
    try:
        return bytes(memoryview(data)).decode(encoding).lstrip("\ufeff").encode(), encoding
    except UnicodeError as error:
        raise UserError(
            f"{path} is not in {encoding}: {error}", "give its true encoding, or save it again as UTF-8"
        ) from error


def _check_utf8(path: Path, text: memoryview) -> None:
    place, checking = 0, codecs.getincrementaldecoder("utf-8")()
    try:
        for place in range(0, len(text), _BLOCK):
            checking.decode(text[place : place + _BLOCK])
        checking.decode(b"", final=True)
    except UnicodeDecodeError as error:
        row = bytes(text[: place + error.start]).count(b"\n") + 1
        zeros = bytes(text[:_HEAD]).count(0)
        guess = "utf-16" if zeros > len(text[:_HEAD]) // 4 else "latin-1"
        raise UserError(
            f"{path} is not UTF-8: line {row:,} has a letter of another encoding",
            f"say which it is in with `encoding`, such as {guess}, or save it again as UTF-8",
        ) from error


def _separated(
    path: Path, data: bytes | pa.Buffer, given: str | None, usual: str, ledger: Ledger
) -> tuple[bytes | pa.Buffer, str]:
    """The data and what separates its columns, of one letter."""
    declared = re.match(rb"\s*sep=(.)\r?\n", bytes(memoryview(data)[:16]))
    if declared:  # a spreadsheet's own first line
        data = pa.py_buffer(memoryview(data)[declared.end() :])
        given = given or declared[1].decode()
    if given is None:
        line = bytes(memoryview(data)[:_HEAD]).decode(errors="ignore").lstrip().partition("\n")[0]
        counts = {one: line.count(one) for one in (usual, *_CANDIDATES)}
        best = max(counts, key=counts.__getitem__)
        if counts[usual] >= counts[best]:
            return data, usual
        ledger.say(f"the columns of {path.name} are separated by {_shown(best)}")
        return data, best
    sep = separator(given)
    if len(sep.encode()) == 1 and sep not in '\0\n\r"':
        return data, sep
    if sep in ("\0", "\n", "\r", '"'):
        raise UserError(f"{given!r} cannot separate columns", "give one such as ';' or tab")
    whole = bytes(memoryview(data))
    if _STAND_IN.encode() in whole:
        raise UserError(
            f"{path} has the letter 0x1F, and the separator {given!r} has several letters",
            "save it again with a separator of one letter",
        )
    return whole.replace(sep.encode(), _STAND_IN.encode()), _STAND_IN


def _shown(sep: str) -> str:
    return "tabulators" if sep == "\t" else repr(sep)


def _header(data: bytes | pa.Buffer, sep: str, quoting: Quoting, form: TextFormat) -> tuple[list[str], int]:
    """Names of the columns, and how many lines they take."""
    head = bytes(memoryview(data)[:_HEAD]).decode(errors="ignore")
    options: dict[str, object] = {"delimiter": sep, "quoting": csv.QUOTE_MINIMAL}
    if quoting is Quoting.LITERAL:
        options["quoting"] = csv.QUOTE_NONE
    if quoting is Quoting.ESCAPED:
        options.update(escapechar="\\", doublequote=False)
    csv.field_size_limit(max(csv.field_size_limit(), _HEAD))
    reader = csv.reader(io.StringIO(head, newline=""), **options)  # type: ignore[arg-type]
    first = next((row for row in reader if row), [])
    if form.header and not form.columns:
        return first, reader.line_num
    names = list(form.columns) or [str(number + 1) for number in range(len(first))]
    if len(names) != len(first):
        raise UserError(
            f"{len(names)} columns are named, and the first row has {len(first)} values: {listed(map(repr, first), 5)}",
            "name each column",
        )
    return names, 0


def _parsed(data: bytes | pa.Buffer, sep: str, quoting: Quoting, names: list[str], skipped: int) -> pa.Table:
    """All columns as text; what is empty is missing."""
    is_quoted = quoting is not Quoting.LITERAL
    parse = pa_csv.ParseOptions(
        delimiter=sep,
        quote_char='"' if is_quoted else False,
        double_quote=quoting is Quoting.DOUBLED,
        escape_char="\\" if quoting is Quoting.ESCAPED else False,
        newlines_in_values=is_quoted,
    )
    held = [f"{i}" for i in range(len(names))]  # names that repeat are refused later
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(held, pa.string()), strings_can_be_null=True, null_values=[""]
    )
    read = pa_csv.ReadOptions(column_names=held, skip_rows=skipped, block_size=_BLOCK)
    source = pa.BufferReader(data)
    table = pa_csv.read_csv(source, read_options=read, parse_options=parse, convert_options=convert)
    return table.rename_columns(names)


def _with_separator(table: pa.Table, given: str | None) -> pa.Table:
    """Inside quoted values a separator of several letters is what it was, not its stand-in."""
    import pyarrow.compute as pc

    if given is None or len(separator(given).encode()) == 1:
        return table
    columns = [pc.replace_substring(one, _STAND_IN, separator(given)) for one in table.columns]
    return pa.table(columns, names=table.column_names)


def _marks_belong(data: bytes | pa.Buffer, sep: str, names: list[str], skipped: int) -> bool:
    """Whether marks around some values of a column are letters: nothing inside needs them, and others go without."""
    import pyarrow.compute as pc

    if not has_one_width(data, sep):
        return False
    for column in _parsed(data, sep, Quoting.LITERAL, names, skipped).columns:
        marked = pc.match_substring_regex(column, r'^".*"$')
        needless = pc.match_substring_regex(column, r'^"[^",;\s]*"$')
        others = pc.invert(pc.or_(marked, pc.is_in(column, value_set=pa.array(_NO_NUMBER))))
        if value_of(pc.any(needless)) and value_of(pc.any(others)):
            return True
    return False


def first_letters(data: bytes | pa.Buffer, most: int = 4096) -> str:
    """The beginning of a file of text, without blanks before it."""
    return re.sub(r"^[\s\ufeff]+", "", bytes(memoryview(data)[:most]).decode(errors="ignore"))


def count_letters(data: bytes | pa.Buffer, letter: bytes) -> int:
    """How often a letter of one byte is in a file."""
    letters = np.frombuffer(data, dtype=np.uint8)
    parts = range(0, len(letters), _PART)
    return sum(int(np.count_nonzero(letters[at : at + _PART] == letter[0])) for at in parts)
