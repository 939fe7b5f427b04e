"""The same items through every format: ids, labels, texts, vectors and counts as they were written."""

import bz2
import csv
import gzip
import io
import json
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from delimited_cases import QUOTED
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vecspeak import Space
from vecspeak.errors import UserError
from vecspeak.tables.delimited import TextFormat
from vecspeak.tables.files import read_table
from vecspeak.tables.ledger import Ledger

IDS = [
    "01",
    "1E2",
    "2024-01-01",
    "1.0",
    "NaN",
    "null",
    "0x1F",
    "00:30",
    "True",
    "18446744073709551617",
    "a b",
    "é",
]
LABELS = [
    "7",
    "1/2",
    "+5",
    'Say "hi"',
    "semi; colon",
    "comma, here",
    "tab\there",
    "12:30",
    "-0",
    "1e5",
    "NA",
    "e\u0301",
]
TEXTS = [f'text {number}, of "{name}"' for number, name in enumerate(LABELS)]
VECTORS = np.random.default_rng(0).normal(size=(len(IDS), 4)).astype(np.float32)
ZIPS = [f"0{1000 + number}" for number in range(len(IDS))]
YEARS = list(range(1990, 1990 + len(IDS)))
COLUMNS = {"id": IDS, "label": LABELS, "text": TEXTS, "zip": ZIPS, "year": YEARS}
ROWS = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
ALL = ["id", "label", "text", "zip", "year", "vector"]


def in_lists(rows=ROWS):
    return [
        {**row, "vector": [float(one) for one in vector]} for row, vector in zip(rows, VECTORS, strict=True)
    ]


def delimited(**options):
    file = io.StringIO(newline="")
    writer = csv.writer(file, **options)
    writer.writerow(ALL)
    writer.writerows(
        [*row.values(), json.dumps(row["vector"])][:5] + [json.dumps(row["vector"])] for row in in_lists()
    )
    return file.getvalue()


def arrow():
    return pa.table({**COLUMNS, "vector": list(VECTORS)})


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(path):
    pq.write_table(arrow(), path)


def parts(path):
    path.mkdir()
    for number in range(3):
        pq.write_table(arrow().slice(4 * number, 4), path / f"part-{number}.parquet")


FORMATS = {
    "a.csv": lambda path: path.write_bytes(delimited().encode()),
    "b.csv": lambda path: path.write_bytes(delimited(delimiter=";").encode()),
    "c.csv": lambda path: path.write_bytes(delimited(quoting=csv.QUOTE_ALL).encode("utf-16")),
    "d.csv": lambda path: path.write_bytes(delimited(lineterminator="\n").encode("utf-8-sig")),
    "e.csv": lambda path: path.write_bytes(delimited(doublequote=False, escapechar="\\").encode()),
    "f.csv.gz": lambda path: path.write_bytes(gzip.compress(delimited().encode())),
    "g.tsv": lambda path: path.write_bytes(delimited(delimiter="\t").encode()),
    "h.jsonl": lambda path: path.write_bytes(lines(in_lists())),
    "i.jsonl.bz2": lambda path: path.write_bytes(bz2.compress(lines(in_lists()))),
    "j.json": lambda path: path.write_text(json.dumps(in_lists())),
    "k.json": lambda path: path.write_text(
        json.dumps({name: [row[name] for row in in_lists()] for name in ALL})
    ),
    "l.parquet": parquet,
    "m.parquet": parts,
    "n.feather": lambda path: feather.write_feather(arrow(), path),
    "o.arrow": lambda path: pa.ipc.new_stream(path, arrow().schema).write_table(arrow()),
}


def same(space):
    assert list(space.ids) == IDS and list(space.labels) == LABELS
    assert space.metadata.column("text").to_pylist() == TEXTS
    assert space.metadata.column("zip").to_pylist() == ZIPS
    assert space.metadata.column("year").to_pylist() == YEARS
    np.testing.assert_allclose(space.vectors, VECTORS, atol=1e-6)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.filterwarnings("ignore::vecspeak.spaces.space.ReadingWarning")
def test_every_format_gives_the_same_items(tmp_path, name):
    FORMATS[name](tmp_path / name)
    same(Space.read(tmp_path / name, id="id", label="label", text="text", vector="vector", strict=True))


def test_a_pattern_of_parts_is_one_table_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 1):
        folder = tmp_path / f"day={number}"
        folder.mkdir()
        pq.write_table(pa.table({"id": [f"i{number}"]}), folder / "part.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    table = read_table(tmp_path)
    assert table.to_pydict() == {"id": ["i1", "i9", "i10"], "day": ["1", "9", "10"]}
    assert read_table(tmp_path / "day=*" / "*.parquet").column("id").to_pylist() == ["i1", "i9", "i10"]
    with pytest.raises(UserError, match="no file is like"):
        read_table(tmp_path / "*.csv")


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        *QUOTED,
        ('id,name\na,"The ""Great"" X"\nb,5" pipe\n', ['The "Great" X', '5" pipe']),
        ('id\tname\na\t"Red, big"\nb\tBlue\n', ["Red, big", "Blue"]),
        ('id\tname\n"a"\t"Foo"\n"b"\tNA\n', ["Foo", "NA"]),
        ('id,name\na,"one\ntwo, three"\nb,"x\ny, z"\n', ["one\ntwo, three", "x\ny, z"]),
        ("sep=;\nid;name\na;x, y\n", ["x, y"]),
    ],
)
def test_quotation_marks_quote_or_are_letters(tmp_path, content, wanted):
    path = tmp_path / ("a.tsv" if "\t" in content else "a.csv")
    path.write_text(content)
    assert read_table(path).column("name").to_pylist() == wanted


@pytest.mark.parametrize("content", ['id,name\na,"x"y,"z\n"\n'])
def test_marks_that_make_no_sense_are_refused_with_their_line(tmp_path, content):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(UserError, match="cannot read .*a.csv as a table"):
        read_table(tmp_path / "a.csv")


def test_a_file_in_another_encoding_says_what_to_type(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("id,name\n1,Café\n".encode("latin-1"))
    with pytest.raises(
        UserError, match="line 2 has a letter of another encoding; .*`encoding`, such as latin-1"
    ):
        read_table(path)
    assert read_table(path, form=TextFormat(encoding="latin-1")).column("name").to_pylist() == ["Café"]
    with pytest.raises(UserError, match="no encoding 'klingon'"):
        TextFormat(encoding="klingon")


def test_a_table_without_a_header_has_its_columns_named(tmp_path):
    path = tmp_path / "u.dat"
    path.write_text("1::25::5\n2::26::4\n")
    form = TextFormat(sep="::", columns=("user", "item", "rating"))
    assert read_table(path, form=form).to_pydict() == {"user": [1, 2], "item": [25, 26], "rating": [5, 4]}
    ledger = Ledger()
    assert read_table(path, form=TextFormat(sep="::"), ledger=ledger).num_rows == 1
    assert "the first row of u.dat is taken for names" in ledger.lines[0]
    assert read_table(path, form=TextFormat(sep="::", header=False)).column_names == ["1", "2", "3"]
    with pytest.raises(UserError, match="2 columns are named, and the first row has 3 values"):
        read_table(path, form=TextFormat(sep="::", columns=("user", "item")))


def test_uuids_and_numbers_beyond_64_bits_are_ids_as_they_are_usually_written():
    known = [uuid.UUID(int=5), uuid.uuid5(uuid.NAMESPACE_URL, "b")]
    table = pa.table({"id": pa.array([one.bytes for one in known], pa.uuid()), "v": [[1.0], [2.0]]})
    assert Space.from_arrow(table, id="id", vector="v").ids == tuple(map(str, known))
    assert Space.from_arrow({"id": [1e19, 2e19], "v": [[1.0], [2.0]]}, id="id", vector="v").ids == (
        "10000000000000000000",
        "20000000000000000000",
    )


def test_a_json_line_may_mix_numbers_and_texts(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"id": 7, "year": 1990}\n{"id": "a7", "year": "unknown"}\n{"id": 18446744073709551620}\n'
    )
    ledger = Ledger()
    table = read_table(path, text_columns=("id",), ledger=ledger)
    assert table.to_pydict() == {"id": ["7", "a7", "18446744073709551620"], "year": ["1990", "unknown", None]}
    assert ledger.lines == ["column 'year' mixes int, str and is kept as text"]


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8).filter(
    lambda one: one.strip()
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=2, max_size=6))
def test_whatever_stands_in_a_cell_is_read_as_it_is_written_or_refused(tmp_path, rows):
    ids = [f"{number}{one[0]}" for number, one in enumerate(rows)]
    for name, options in (
        ("a.csv", {}),
        ("b.tsv", {"delimiter": "\t"}),
        ("c.csv", {"delimiter": ";", "quoting": csv.QUOTE_ALL}),
    ):
        file = io.StringIO(newline="")
        writer = csv.writer(file, **options)
        writer.writerow(["id", "label", "more"])
        writer.writerows((own, one[1], one[2]) for own, one in zip(ids, rows, strict=True))
        (tmp_path / name).write_bytes(file.getvalue().encode())
        sep = options.get("delimiter", ",")
        table = read_table(tmp_path / name, text_columns=("id", "label", "more"), form=TextFormat(sep=sep))
        assert table.column("id").to_pylist() == ids
        assert table.column("label").to_pylist() == [one[1] for one in rows]
        assert table.column("more").to_pylist() == [one[2] for one in rows]


def test_numbers_that_would_lose_digits_stay_text(tmp_path):
    (tmp_path / "a.csv").write_text("id,author,big\n1,1234567890123456789,1e+40\n2,1234567890123456788,2\n")
    table = read_table(tmp_path / "a.csv")
    assert table.column("author").to_pylist() == ["1234567890123456789", "1234567890123456788"]
    assert table.column("big").to_pylist() == [1e40, 2.0]


def test_a_separator_of_several_letters_stays_inside_quoted_values(tmp_path):
    (tmp_path / "a.dat").write_text('id::name\na::"X :: Y"\nb::Z\n')
    assert read_table(tmp_path / "a.dat", form=TextFormat(sep="::")).column("name").to_pylist() == [
        "X :: Y",
        "Z",
    ]


@pytest.mark.parametrize(
    "content", ["null\n", "[" * 100_000 + "\n", '{"a": ' + "[" * 100_000 + "\n", '{"a": "\\ud83d"}\n']
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_what_ends_other_readers_is_one_line(tmp_path, content, name):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError):
        read_table(tmp_path / name)


def test_folders_are_walked_with_their_keys_and_other_files_are_counted(tmp_path):
    for folder in ("kind=Sci%2DFi%20x", "kind=__HIVE_DEFAULT_PARTITION__/day=1"):
        (tmp_path / folder).mkdir(parents=True)
        pq.write_table(pa.table({"id": [folder[5:8]]}), tmp_path / folder / "p.parquet")
    (tmp_path / "more.csv").write_text("id\n1\n")
    ledger = Ledger()
    table = read_table(tmp_path, ledger=ledger)
    assert sorted(table.column("kind").to_pylist(), key=str) == [None, "Sci-Fi x"]
    assert ledger.lines == [f"1 files of {tmp_path} are no parts and are left out: more.csv"]
    assert read_table(tmp_path / "**" / "*.parquet").num_rows == 2
    assert read_table(tmp_path / "*" / "p.parquet").num_rows == 1
