"""Files of stores that claim more than they hold, or make rows without end, are refused in words."""

import sqlite3
import struct
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import numpy as np
import pyarrow as pa
import pytest

from vecspeak.bounds import allow_memory
from vecspeak.errors import UserError
from vecspeak.stores import servers
from vecspeak.stores.address import parse_address
from vecspeak.stores.registry import read_store
from vecspeak.tables.ledger import Ledger


def read(address):
    return read_store(address, ledger=Ledger())


@pytest.mark.parametrize("cell", ["zeroblob(1000)", "hex(zeroblob(20000000))", "n"])
def test_a_view_of_sqlite_that_never_ends_is_stopped(tmp_path, cell):
    with sqlite3.connect(tmp_path / "a.db") as connection:
        counting = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"
        connection.execute(f"CREATE VIEW items AS {counting} SELECT n AS id, {cell} AS vector FROM c")
    with allow_memory("8MB"), pytest.raises(UserError, match=r"a.db.* holds more than the 8 MB"):
        read(f"sqlite://{tmp_path}/a.db?table=items")


def test_a_view_of_duckdb_reads_no_other_file_and_is_stopped(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    (tmp_path / "secret.csv").write_text("id,vector\n1,2\n")
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        connection.execute(f"CREATE VIEW other AS SELECT * FROM read_csv('{tmp_path}/secret.csv')")
        connection.execute(
            "CREATE VIEW much AS SELECT range AS id, repeat('x', 1000) AS v FROM range(100000000000)"
        )
    with pytest.raises(UserError, match="(?i)disabled|permission|not allowed"):
        read(f"duckdb://{tmp_path}/a.duckdb?table=other")
    with allow_memory("20MB"), pytest.raises(UserError, match="holds more than the 20 MB"):
        read(f"duckdb://{tmp_path}/a.duckdb?table=much")


def flat_index(folder):
    faiss = pytest.importorskip("faiss")
    index = faiss.IndexFlatL2(4)
    index.add(np.eye(4, dtype=np.float32))
    faiss.write_index(index, str(folder / "a.faiss"))
    return folder / "a.faiss"


def test_an_index_of_faiss_that_says_more_than_it_holds_is_refused(tmp_path):
    path = flat_index(tmp_path)
    whole = path.read_bytes()
    assert read(f"faiss://{path}")[0].num_rows == 4
    path.write_bytes(whole[:8] + struct.pack("<q", 1 << 40) + whole[16:])
    with pytest.raises(UserError, match="says that it has 1,099,511,627,776 vectors of 4 numbers"):
        read(f"faiss://{path}")
    # the length of the array itself: an index behind its head
    at = whole.index(struct.pack("<q", 16), 33)
    path.write_bytes(whole[:at] + struct.pack("<q", 1 << 34) + whole[at + 8 :])
    with pytest.raises(UserError, match="cannot read .* as a FAISS index"):
        read(f"faiss://{path}")
    path.write_bytes(whole[:10])
    with pytest.raises(UserError, match="too short"):
        read(f"faiss://{path}")


def test_an_index_of_usearch_that_says_more_than_it_holds_is_refused(tmp_path):
    index = pytest.importorskip("usearch.index").Index(ndim=4, dtype="f32")
    index.add(np.arange(4), np.eye(4, dtype=np.float32))
    path = tmp_path / "a.usearch"
    index.save(str(path))
    data = path.read_bytes()
    assert read(f"usearch://{path}")[0].num_rows == 4
    path.write_bytes(struct.pack("<I", 1 << 31) + data[4:])
    with pytest.raises(UserError, match="says that it has 2,147,483,648 vectors"):
        read(f"usearch://{path}")


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"[" * 100_000, "64 levels deep"), (b"[" + b"1," * 100_000, "sends more than 100 kB at once")],
)
def test_a_reply_of_a_server_is_bounded_in_bytes_and_levels(monkeypatch, data, words):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(data)

        def log_message(self, *given):
            return None

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    address = parse_address(f"weaviate://127.0.0.1:{server.server_port}/Items", collections_in_path=True)
    monkeypatch.setattr(servers, "_MOST_BYTES", 1 << 20 if b"1" not in data else 100_000)
    try:
        with pytest.raises(UserError, match=words):
            servers._asked(address, "/", {})
    finally:
        server.shutdown()
        server.server_close()


def test_rows_of_a_store_are_counted_as_they_come(monkeypatch):
    from vecspeak.stores import registry

    def endless(address, batch, ledger):
        while True:
            yield pa.table({"id": ["a"] * 1000, "vector": [[0.5] * 100] * 1000})

    monkeypatch.setitem(registry.STORES, "lancedb", registry.Store(endless, "lancedb:///a/b"))
    with allow_memory("4MB"), pytest.raises(UserError, match="holds more than the 4 MB"):
        read("lancedb:///tmp/none/items")


NEVER = (
    "CREATE VIEW items AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) "
    "SELECT n AS id FROM c WHERE n < 0"
)


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_view_that_never_gives_a_row_is_given_up(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("vecspeak.stores.rows.SECONDS", 0.3)
    path = tmp_path / "shop.db"
    module = sqlite3 if kind == "sqlite" else pytest.importorskip("duckdb")
    connection = module.connect(str(path))
    connection.execute(NEVER)
    connection.close()
    with pytest.raises(UserError, match="gives no rows within 0.3 s"):
        read_store(f"{kind}://{path}?table=items", ledger=Ledger())
    assert list(tmp_path.iterdir()) == [path]
