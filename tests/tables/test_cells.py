"""Cells that Python cannot hold are told with column and row, and queries on them are answered or refused in words."""

import decimal

import numpy as np
import pyarrow as pa
import pytest

from vecspeak import Space
from vecspeak.errors import UserError
from vecspeak.points.parser import parse_query
from vecspeak.points.queries import rows_where
from vecspeak.tables.cells import cell, check_utf8, is_held, rows_of, to_python, value_of
from vecspeak.tables.names import Names

ROWS = 6
NOT_UTF8 = pa.array([b"ok", b"\xff\xfe"] * 3, pa.binary()).view(pa.string())
ODD = {
    "far seconds": pa.array([2**61] * ROWS, pa.timestamp("s")),
    "far microseconds": pa.array([2**62] * ROWS, pa.timestamp("us")),
    "nanoseconds": pa.array([1] * ROWS, pa.timestamp("ns")),
    "unknown zone": pa.array([1] * ROWS, pa.timestamp("us", tz="No/Where")),
    "unknown offset": pa.array([1] * ROWS, pa.timestamp("us", tz="+99:99")),
    "far days": pa.array([2**31 - 1] * ROWS, pa.date32()),
    "far milliseconds": pa.array([2**62 // 86_400_000 * 86_400_000] * ROWS, pa.date64()),
    "durations": pa.array([2**62] * ROWS, pa.duration("s")),
    "times": pa.array([2**40] * ROWS, pa.time64("us")),
    "decimals": pa.array([decimal.Decimal("1E-30")] * ROWS, pa.decimal128(38, 30)),
    "wide decimals": pa.array([decimal.Decimal(10) ** 70] * ROWS, pa.decimal256(76, 0)),
    "not UTF-8": NOT_UTF8,
    "coded not UTF-8": NOT_UTF8.dictionary_encode(),
    "bytes": pa.array([b"\xff\xfe"] * ROWS),
    "intervals": pa.array([(1, 2, 3)] * ROWS, pa.month_day_nano_interval()),
    "listed moments": pa.array([[2**62]] * ROWS, pa.list_(pa.timestamp("us"))),
    "structs of moments": pa.StructArray.from_arrays([pa.array([2**62] * ROWS, pa.timestamp("us"))], ["t"]),
    "listed not UTF-8": pa.ListArray.from_arrays(pa.array(range(ROWS + 1), pa.int32()), NOT_UTF8),
    "nothing": pa.nulls(ROWS),
    "large": pa.array([2**63 - 1] * ROWS),
    "maps": pa.array([[("a", 1)]] * ROWS, pa.map_(pa.string(), pa.int32())),
}
QUERIES = ('odd = "a"', 'odd ~ "1"', "odd > 3", 'odd >= "2020-01-01"', "not odd = 1", "odd != nothing")


@pytest.mark.parametrize("kind", ODD)
def test_a_column_of_any_kind_is_read_and_asked_or_refused_in_words(kind):
    vectors = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32).tolist()
    table = pa.table({"id": [f"i{row}" for row in range(ROWS)], "v": vectors, "odd": ODD[kind]})
    try:
        space = Space.from_arrow(table, id="id", vector="v")
    except UserError as error:
        assert "odd" in str(error)
        return
    for query in QUERIES:
        try:
            assert rows_where(space, parse_query(query)).dtype == np.int64
        except UserError as error:
            assert "odd" in str(error)
    try:
        assert len(space.digest) == 64
    except UserError as error:
        assert "column 'odd' holds" in str(error) and "row" in str(error)


@pytest.mark.parametrize("kind", ["far microseconds", "far days", "unknown zone", "not UTF-8"])
def test_the_first_cell_that_python_lacks_is_named(kind):
    odd = ODD[kind]
    fine = pa.nulls(3, odd.type)
    column = pa.chunked_array([fine, fine, odd])
    wrong = 7 if kind == "not UTF-8" else 6
    for ask in (lambda: to_python(column, "when"), lambda: list(rows_of(pa.table({"when": column})))):
        with pytest.raises(
            UserError, match=rf"column 'when' holds .*, and Python has no value for row {wrong}: "
        ):
            ask()
    with pytest.raises(UserError, match="for row 107"):
        to_python(column.slice(wrong), "when", first_row=107)
    with pytest.raises(UserError, match=rf"row {wrong}"):
        cell(column, wrong, "when")
    assert cell(column, 0) is None and not is_held(column)


def test_what_python_holds_is_given_as_it_is():
    column = pa.chunked_array([[1, None], [3]])
    assert to_python(column) == [1, None, 3] and cell(column, -1) == 3 and is_held(column)
    assert value_of(pa.scalar(True)) is True and list(rows_of(pa.table({"a": [1, 2]}))) == [
        {"a": 1},
        {"a": 2},
    ]
    with pytest.raises(IndexError):
        cell(column, 9)


@pytest.mark.parametrize("kind", ["not UTF-8", "coded not UTF-8", "listed not UTF-8"])
def test_text_that_is_no_utf8_is_found_by_its_row(kind):
    column = pa.chunked_array([ODD[kind].slice(0, 1), ODD[kind].slice(1)])
    with pytest.raises(UserError, match=r"row \d of column 'odd' in t.parquet is no UTF-8"):
        check_utf8(pa.table({"fine": ["é"] * ROWS, "odd": column}), "t.parquet")
    check_utf8(pa.table({"fine": ["é"] * ROWS, "bytes": ODD["bytes"]}), "t.parquet")


def test_thousands_of_digits_name_no_row():
    names = Names.numbered(5)
    assert names.rows_of("9" * 10_000) == names.rows_of("-" + "9" * 10_000) == [] and names.rows_of("4") == [
        4
    ]
