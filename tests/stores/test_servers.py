"""Stores that are servers only, against one on loopback that plays their replies."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from raw_server import HEAD, serve_raw, whole
from vecspeak import Space
from vecspeak.errors import UserError
from vecspeak.stores.registry import open_address, read_store
from vecspeak.stores.servers import _connection
from vecspeak.tables.ledger import Ledger

VECTORS = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32).tolist()
IDS = [f"0{number}" for number in range(7)]


class Played(BaseHTTPRequestHandler):
    """Answers as the four servers do, three rows at a time at most, and keeps what it was asked."""

    asked: list = []
    version = "9.4.1"
    status = 200

    def do_GET(self):
        self.answer(None)

    def do_POST(self):
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    do_DELETE = do_POST

    def answer(self, body):
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        type(self).asked.append((self.command, parts.path, query, body, dict(self.headers)))
        reply = json.dumps(self.reply(parts.path, query, body)).encode()
        self.send_response(self.status)
        if self.status == 302:
            self.send_header("Location", "http://me:secret@127.0.0.1:1/elsewhere?token=secret")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def reply(self, path, query, body):
        if path == "/":
            return {"version": {"number": self.version}}
        if path == "/items/_search":
            return self.hits(0)
        if path == "/_search/scroll":
            return {} if self.command == "DELETE" else self.hits(int(body["scroll_id"]))
        if path == "/v1/objects":
            after = query.get("after", [""])[0]
            start = IDS.index(after) + 1 if after else 0
            rows = range(start, min(start + 3, 7))
            return {
                "objects": [
                    {"id": IDS[k], "vector": VECTORS[k], "properties": {"kind": f"k{k}"}} for k in rows
                ]
            }
        if path == "/vectors/list":
            start = int(query.get("paginationToken", ["0"])[0])
            found = {"vectors": [{"id": one} for one in IDS[start : start + 3]]}
            return {**found, "pagination": {"next": str(start + 3)}} if start + 3 < 7 else found
        if path == "/vectors/fetch":
            rows = [IDS.index(one) for one in query["ids"]]
            return {
                "vectors": {
                    IDS[k]: {"id": IDS[k], "values": VECTORS[k], "metadata": {"kind": f"k{k}"}} for k in rows
                }
            }
        return {"error": "no such thing"}

    def hits(self, start):
        rows = range(start, min(start + 3, 7))
        hits = [{"_id": IDS[k], "_source": {"kind": f"k{k}", "embedding": VECTORS[k]}} for k in rows]
        return {"_scroll_id": str(start + 3), "hits": {"hits": hits}}

    def log_message(self, *given):
        pass


@pytest.fixture
def server():
    Played.asked, Played.status, Played.version = [], 200, "9.4.1"
    running = ThreadingHTTPServer(("127.0.0.1", 0), Played)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize("scheme", ["elasticsearch", "opensearch", "weaviate", "pinecone"])
def test_all_rows_come_in_batches_with_their_payload(server, scheme, monkeypatch):
    monkeypatch.setenv("STORE_KEY", "s3cret")
    table, address = read_store(f"{scheme}://{server}/items?key_env=STORE_KEY", ledger=Ledger(), batch=3)
    vector = "embedding" if "search" in scheme else "vector"
    assert table.column("id").to_pylist() == IDS
    assert table.column("kind").to_pylist() == [f"k{number}" for number in range(7)]
    np.testing.assert_allclose(table.column(vector).to_pylist(), VECTORS, atol=1e-6)
    assert all("s3cret" in str(headers) for *_, headers in Played.asked) and "s3cret" not in str(address)
    assert Space.read(f"{scheme}://{server}/items").labels == tuple(IDS)


def test_a_scroll_is_closed_and_vectors_are_asked_for_where_they_are_hidden(server):
    read_store(f"elasticsearch://{server}/items", ledger=Ledger())
    first, last = Played.asked[1], Played.asked[-1]
    assert first[3]["_source"] == {"exclude_vectors": False}
    assert last[:2] == ("DELETE", "/_search/scroll")
    Played.version, Played.asked = "8.11.0", []
    read_store(f"elasticsearch://{server}/items", ledger=Ledger())
    assert "_source" not in Played.asked[1][3]


def test_a_key_goes_along_no_redirect_and_a_refusal_is_one_line(server, monkeypatch):
    monkeypatch.setenv("STORE_KEY", "s3cret")
    sent_on = r"sends on to http://127.0.0.1:1/elsewhere \(302\)"
    for status, message in ((302, sent_on), (401, "answers 401: .*key_env=NAME"), (500, "answers 500")):
        Played.status = status
        with pytest.raises(UserError, match=message):
            read_store(f"weaviate://{server}/Items?key_env=STORE_KEY", ledger=Ledger())
    with pytest.raises(UserError, match="cannot read weaviate://127.0.0.1:1/Items: .*refused"):
        read_store("weaviate://127.0.0.1:1/Items", ledger=Ledger())


def read_from(server):
    return read_store(f"weaviate://{server.url[7:-3]}/Items", ledger=Ledger())


def test_a_reply_that_drips_is_given_up_after_the_time_of_a_reply(monkeypatch):
    monkeypatch.setattr("vecspeak.stores.servers._SECONDS", 0.3)

    def drips(_):
        while not server.stopped.wait(0.02):
            yield b"H"

    with serve_raw(drips) as server, pytest.raises(UserError, match="no whole reply within 0.3 s"):
        read_from(server)


def test_a_reply_without_end_is_read_up_to_a_bound(monkeypatch):
    monkeypatch.setattr("vecspeak.stores.servers._MOST_BYTES", 1 << 20)
    with serve_raw(lambda _: chain([HEAD + b"\r\n"], repeat(b" " * 65536))) as server:
        with pytest.raises(UserError, match="sends more than"):
            read_from(server)


@pytest.mark.parametrize(
    "said",
    [b"SSH-2.0\r\n", b"", HEAD + b"Content-Length: 9\r\n\r\n{", whole(b"<html>"), whole(b"[" * 100_000)],
)
def test_what_is_no_reply_is_one_line(said):
    with (
        serve_raw(lambda _: [said]) as server,
        pytest.raises(UserError, match="cannot read weaviate:|64 levels deep") as error,
    ):
        read_from(server)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("scheme", ["elasticsearch", "weaviate", "pinecone"])
@pytest.mark.parametrize(
    "said", [b"[]", b"null", b"{}", b'{"objects": [7], "vectors": [7], "hits": 7}', b'"text"']
)
def test_json_of_another_shape_is_one_line_or_nothing(scheme, said):
    with serve_raw(lambda _: [whole(said)]) as server, pytest.raises(UserError) as error:
        read_store(f"{scheme}://{server.url[7:-3]}/Items", ledger=Ledger())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("scheme", ["weaviate", "pinecone"])
def test_a_server_that_gives_the_same_page_for_ever_is_given_up(scheme):
    one = {"id": "a", "vector": [1.0, 2.0], "values": [1.0, 2.0]}
    page = {"objects": [one], "vectors": [one], "pagination": {"next": "more"}}

    def says(head):
        return [whole(json.dumps({"vectors": {"a": one}} if b"/fetch" in head else page).encode())]

    with serve_raw(says) as server, pytest.raises(UserError, match="gives the same page again"):
        read_store(f"{scheme}://{server.url[7:-3]}/Items", ledger=Ledger())
    assert len(server.requests) <= 5


def test_a_key_that_a_server_says_again_is_not_shown(monkeypatch):
    monkeypatch.setenv("STORE_KEY", "sk-secret/1")
    said = b"bad key sk-secret/1 and sk-secret%2F1"
    refusal = b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)
    onward = b"HTTP/1.1 302 There\r\nLocation: /x/sk-secret/1\r\nContent-Length: 0\r\n\r\n"
    nowhere = b"HTTP/1.1 302 There\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n"
    for reply in (refusal, onward, nowhere):
        with serve_raw(lambda _, reply=reply: [reply]) as server, pytest.raises(UserError) as error:
            read_store(f"weaviate://{server.url[7:-3]}/Items?key_env=STORE_KEY", ledger=Ledger())
        assert "sk-secret" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "host"),
    [("weaviate://[2001:db8::1]/Items", "[2001:db8::1]"), ("weaviate://[::1]:8080/Items", "[::1]:8080")],
)
def test_an_address_of_ipv6_keeps_its_brackets(text, host):
    _, address = open_address(text)
    assert address.host == host
    connection = _connection(address)
    assert (connection.host, connection.port) == (host.partition("]")[0][1:], 8080 if "8080" in host else 443)
