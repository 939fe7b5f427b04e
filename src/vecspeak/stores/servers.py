"""Stores that are servers only, by their plain HTTP: Elasticsearch and OpenSearch, Weaviate, Pinecone.

A key goes to the server that is named, through no proxy and along no redirect. Only requests that read are sent;
Elasticsearch's scroll is closed at the end.
"""

import base64
import json
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any

import pyarrow as pa

from vecspeak.bounds import parse_json, shown_bytes
from vecspeak.errors import UserError, first_line, shorten
from vecspeak.network import Deadline, TooLargeError, is_loopback, read_within, redirect_target
from vecspeak.stores.address import Address
from vecspeak.stores.rows import not_there, table_of_named, table_of_rows
from vecspeak.tables.ledger import Ledger

_SECONDS = 60.0
"""For a whole reply."""
_MOST_BYTES = 1 << 29
"""Of a reply: 2,048 vectors of 8,192 numbers, as text, are less."""
_FETCHED = 100
"""Vectors that Pinecone gives at a time: their ids stand in the address."""
_SCROLL = "2m"
_HIDES_VECTORS = (9, 2)
"""Version from which Elasticsearch leaves vectors out of a document's source unless told otherwise."""


def _connection(address: Address) -> HTTPConnection:
    """To the server: over TLS, but for this machine and where `https=0` stands in the address."""
    name = urllib.parse.urlsplit(f"//{address.host}").hostname or ""
    plain = address.option("https", "0" if is_loopback(name) else "1") == "0"
    return (HTTPConnection if plain else HTTPSConnection)(address.host, timeout=_SECONDS)


def _asked(
    address: Address,
    path: str,
    headers: Mapping[str, str],
    *,
    query: Sequence[tuple[str, str]] = (),
    body: Any = None,
    method: str | None = None,
) -> Any:
    """The JSON of a reply. Raises UserError with the status and the server's own words."""
    tail = f"?{urllib.parse.urlencode(query)}" if query else ""
    data = None if body is None else json.dumps(body).encode()
    sent = {"Accept": "application/json", **({"Content-Type": "application/json"} if data else {}), **headers}
    connection = _connection(address)
    try:
        with Deadline(_SECONDS) as deadline:
            connection.connect()
            deadline.watch(connection.sock)
            connection.request(
                method or ("POST" if data else "GET"), f"{path}{tail}", body=data, headers=sent
            )
            reply = connection.getresponse()
            said = read_within(iter(lambda: reply.read1(1 << 16), b""), _MOST_BYTES)
            if deadline.has_passed:
                raise TimeoutError(f"no whole reply within {_SECONDS:g} s")
    except TooLargeError as error:
        raise UserError(
            f"{address} sends more than {shown_bytes(_MOST_BYTES)} at once", "check the address"
        ) from error
    except (OSError, ValueError, RecursionError, HTTPException) as error:
        late = f"no whole reply within {_SECONDS:g} s" if deadline.has_passed else first_line(error)
        raise UserError(f"cannot read {address}: {late}", "check server and port") from error
    finally:
        connection.close()
    if reply.status < 300:
        return parse_json(said or b"{}", f"a reply of {address}")
    raise _refusal(address, reply.status, said, reply.getheader("Location", ""))


def _refusal(address: Address, status: int, said: bytes, location: str) -> UserError:
    if 300 <= status < 400:
        there = _without_secrets(address, redirect_target(f"http://{address.host}", location))
        return UserError(
            f"{address} sends on to {there} ({status}), and a key goes to no address but yours",
            "give that one if you trust it",
        )
    words = shorten(_without_secrets(address, said[:2000].decode(errors="replace").replace("\n", " ")), 200)
    hint = "name the variable of its key with key_env=NAME" if status in (401, 403) else "check the address"
    return UserError(f"{address} answers {status}: {words}", hint)


def _without_secrets(address: Address, words: str) -> str:
    """A server's words without the key and the password, which it may say again."""
    secrets = [one for one in (address.key, address.password) if one]
    for secret in (*secrets, *(urllib.parse.quote(one, safe="") for one in secrets)):
        words = words.replace(secret, "***")
    return words


def _same_again(address: Address) -> UserError:
    return UserError(f"{address} gives the same page again", "look at the server, then run the same again")


def read_elasticsearch(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """Documents of an index, by a scroll; the columns are the fields of their source."""
    headers = _elastic_headers(address)
    index = urllib.parse.quote(address.collection, safe="")
    if not index:
        found = _asked(address, "/_cat/indices", headers, query=[("format", "json")])
        raise not_there("index", "", [str(one.get("index")) for one in found], address.host)
    first: dict[str, Any] = {"size": batch, "sort": ["_doc"]}
    if _version(_asked(address, "/", headers)) >= _HIDES_VECTORS:
        first["_source"] = {"exclude_vectors": False}
    found = _asked(address, f"/{index}/_search", headers, query=[("scroll", _SCROLL)], body=first)
    try:
        while hits := found["hits"]["hits"]:
            yield _of_hits(hits, ledger)
            body = {"scroll": _SCROLL, "scroll_id": found["_scroll_id"]}
            found = _asked(address, "/_search/scroll", headers, body=body)
    finally:
        if scroll := found.get("_scroll_id"):
            _asked(address, "/_search/scroll", headers, body={"scroll_id": [scroll]}, method="DELETE")


def _elastic_headers(address: Address) -> dict[str, str]:
    if address.user:
        pair = f"{address.user}:{address.password or address.key}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {"Authorization": f"ApiKey {address.key}"} if address.key else {}


def _version(root: Any) -> tuple[int, int]:
    """Elasticsearch's version; (0, 0) of OpenSearch, which counts otherwise."""
    version = root.get("version", {})
    if version.get("distribution") == "opensearch":
        return 0, 0
    major, _, rest = str(version.get("number", "0.0")).partition(".")
    minor = rest.partition(".")[0]
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)


def _of_hits(hits: list[Any], ledger: Ledger) -> pa.Table:
    sources = [dict(one.get("_source") or {}) for one in hits]
    names = {name for one in sources for name, value in one.items() if _is_vector(value)}
    vector = min(names, default="vector")
    vectors = [one.pop(vector, None) for one in sources]
    return table_of_rows([one["_id"] for one in hits], vectors, sources, ledger, name=vector)


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(one, int | float) for one in value)


def read_weaviate(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """Objects of a collection by its cursor; each of several named vectors is a column."""
    headers = {"Authorization": f"Bearer {address.key}"} if address.key else {}
    after = ""
    while True:
        query = [
            ("class", address.collection),
            ("limit", str(batch)),
            ("include", "vector"),
            ("after", after),
        ]
        objects = _asked(address, "/v1/objects", headers, query=query).get("objects") or []
        if not objects:
            return
        named = [one.get("vectors") or {} for one in objects]
        ids, facts = [one["id"] for one in objects], [one.get("properties") for one in objects]
        if any(named):
            yield table_of_named(ids, named, facts, ledger)
        else:
            yield table_of_rows(ids, [one.get("vector") for one in objects], facts, ledger)
        if after == objects[-1]["id"]:
            raise _same_again(address)
        after = objects[-1]["id"]


def read_pinecone(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """Vectors of a namespace with their metadata: ids are listed, then fetched a hundred at a time."""
    headers = {"Api-Key": address.key, "X-Pinecone-API-Version": "2025-04"}
    space, token = ("namespace", address.collection), ""
    while True:
        query = [
            space,
            ("limit", str(min(batch, _FETCHED))),
            *([("paginationToken", token)] if token else []),
        ]
        found = _asked(address, "/vectors/list", headers, query=query)
        ids = [one["id"] for one in found.get("vectors") or []]
        if ids:
            query = [*(("ids", one) for one in ids), space]
            fetched = _asked(address, "/vectors/fetch", headers, query=query)["vectors"]
            rows = [fetched[one] for one in ids if one in fetched]
            facts = [one.get("metadata") for one in rows]
            yield table_of_rows(
                [one["id"] for one in rows], [one.get("values") for one in rows], facts, ledger
            )
        before, token = token, (found.get("pagination") or {}).get("next", "")
        if not token:
            return
        if token == before:
            raise _same_again(address)
