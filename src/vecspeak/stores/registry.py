"""The stores by the scheme of their addresses, and one way to read each: docs/stores.md says how to add one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from vecspeak.errors import UserError, did_you_mean, first_line, listed
from vecspeak.stores import databases, indexes, servers, sqlite, vector_stores
from vecspeak.stores.address import Address, parse_address
from vecspeak.tables.ledger import Ledger

Batches = Iterator[pa.Table]
"""Tables of rows in the store's order: "id" of texts or numbers, "vector" of numbers, and what else there is."""


@dataclass(frozen=True, slots=True)
class Store:
    """How one kind of store is read."""

    read: Callable[[Address, int, Ledger], Batches]
    """Batches of at most so many rows, or one of all where that takes no memory; only ever reads."""
    example: str
    """An address."""
    in_path: bool = True
    """Whether the last part of a path names the collection."""


STORES: dict[str, Store] = {
    "faiss": Store(indexes.read_faiss, "faiss:///data/shop.faiss", in_path=False),
    "usearch": Store(indexes.read_usearch, "usearch:///data/shop.usearch", in_path=False),
    "duckdb": Store(databases.read_duckdb, "duckdb:///data/shop.duckdb?table=items", in_path=False),
    "sqlite": Store(sqlite.read_sqlite, "sqlite:///data/shop.db?table=items", in_path=False),
    "postgresql": Store(
        databases.read_postgresql, "postgresql://user@localhost/shop?table=items", in_path=False
    ),
    "lancedb": Store(vector_stores.read_lancedb, "lancedb:///data/lance/items"),
    "qdrant": Store(vector_stores.read_qdrant, "qdrant://localhost:6333/items"),
    "chroma": Store(vector_stores.read_chroma, "chroma:///data/chroma/items"),
    "milvus": Store(vector_stores.read_milvus, "milvus:///data/shop.db/items"),
    "elasticsearch": Store(servers.read_elasticsearch, "elasticsearch://localhost:9200/items"),
    "opensearch": Store(servers.read_elasticsearch, "opensearch://localhost:9200/items"),
    "weaviate": Store(servers.read_weaviate, "weaviate://localhost:8080/Items"),
    "pinecone": Store(
        servers.read_pinecone, "pinecone://shop-abc.svc.pinecone.io/NAMESPACE?key_env=PINECONE_API_KEY"
    ),
}
"""By the scheme of an address."""
_ALIASES = {
    "postgres": "postgresql",
    "postgresql+psycopg": "postgresql",
    "lance": "lancedb",
    "chromadb": "chroma",
}
BATCH = 2048
"""Rows that are asked for at a time."""


def open_address(text: str) -> tuple[Store, Address]:
    """The store and the collection of an address. Raises UserError for an unknown scheme, with those that are known."""
    scheme = text.partition("://")[0].lower()
    scheme = _ALIASES.get(scheme, scheme)
    if scheme not in STORES:
        examples = listed((store.example for store in STORES.values()), 20)
        hint = did_you_mean(scheme, STORES, f"addresses look like {examples}")
        raise UserError(f"no store is called {scheme!r}; there are {', '.join(STORES)}", hint)
    store = STORES[scheme]
    found = parse_address(text, collections_in_path=store.in_path)
    return store, replace(found, scheme=scheme)


def read_store(text: str, *, ledger: Ledger, batch: int = BATCH) -> tuple[pa.Table, Address]:
    """All rows of the collection at an address, and the address. Columns are "id", "vector" and the payload's.

    Raises UserError for a client that is not installed, a path or a collection that is not there, with those that
    are, and a collection without rows.
    """
    store, address = open_address(text)
    try:
        tables = [table for table in store.read(address, batch, ledger) if table.num_rows]
    except UserError:
        raise
    except Exception as error:  # each client has errors of its own
        raise UserError(
            f"cannot read {address}: {first_line(error)}", "check the address and its client"
        ) from error
    if not tables:
        raise UserError(f"{address} holds no rows", "give a collection with one row or more")
    try:
        return pa.concat_tables(tables, promote_options="permissive"), address
    except pa.ArrowException:
        return _as_text(tables, ledger), address


def _as_text(tables: list[pa.Table], ledger: Ledger) -> pa.Table:
    """Batches whose columns are of other types, together: a column of several kinds becomes text."""
    kinds: dict[str, set[str]] = {}
    for table in tables:
        for one in table.schema:
            if not pa.types.is_null(one.type):
                kinds.setdefault(one.name, set()).add(str(one.type))
    mixed = sorted(name for name, found in kinds.items() if len(found) > 1)
    for name in mixed:
        ledger.say(f"column {name!r} mixes {listed(sorted(kinds[name]))} and is kept as text")
    changed = []
    for table in tables:
        for name in mixed:
            if name in table.column_names:
                texts = [None if one is None else str(one) for one in table.column(name).to_pylist()]
                place = table.column_names.index(name)
                table = table.set_column(place, name, pa.array(texts, pa.string()))
        changed.append(table)
    return pa.concat_tables(changed, promote_options="permissive")
