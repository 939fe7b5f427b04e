"""Vector stores by their own clients: LanceDB, Qdrant, Chroma and Milvus, in a folder or on a server."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from vecspeak.errors import UserError, first_line, require
from vecspeak.stores.address import Address
from vecspeak.stores.rows import not_there, table_of_named, table_of_rows
from vecspeak.tables.ledger import Ledger


def read_lancedb(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """All columns of a table."""
    lancedb = require("lancedb", "lancedb")
    database = lancedb.connect(str(address.file))
    names = _names_of(database)
    if address.collection not in names:
        raise not_there("table", address.collection, names, address.path)
    for part in database.open_table(address.collection).search().to_batches(batch):
        yield pa.Table.from_batches([part])


def _check_holds(address: Address, file: str, store: str) -> None:
    """Raise UserError for a folder that is no store's: its client would make one of it."""
    if not (address.file / file).is_file():
        raise UserError(
            f"{address.path} is no folder of {store}", f"give {address.scheme}:///FOLDER/COLLECTION"
        )


def _names_of(database: Any) -> list[str]:
    if not hasattr(database, "list_tables"):
        return list(database.table_names())
    found = database.list_tables()
    return list(getattr(found, "tables", found))


def read_qdrant(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """Points with their payload; each of several named vectors is a column of its name."""
    module = require("qdrant_client", "qdrant")
    if address.host:
        scheme = "https" if address.option("https") else "http"
        store = module.QdrantClient(url=f"{scheme}://{address.host}", api_key=address.key or None)
    else:
        _check_holds(address, "meta.json", "Qdrant")
        store = module.QdrantClient(path=str(address.file))
    try:
        names = [one.name for one in store.get_collections().collections]
        if address.collection not in names:
            raise not_there("collection", address.collection, names, address.host or address.path)
        params = store.get_collection(address.collection).config.params.vectors
        if "cosine" in str(getattr(params, "distance", "")).lower():
            ledger.say(f"{address.collection} keeps vectors at length 1, since it compares by cosine")
        offset: Any = None
        while True:
            points, offset = store.scroll(
                address.collection, limit=batch, offset=offset, with_vectors=True, with_payload=True
            )
            if points:
                yield _of_points(points, ledger)
            if offset is None:
                return
    except UserError:
        raise
    except Exception as error:  # the client's own errors, and those of its transport
        raise UserError(
            f"cannot read {address}: {first_line(error)}", "check server, key and collection"
        ) from error
    finally:
        store.close()


def _of_points(points: list[Any], ledger: Ledger) -> pa.Table:
    ids, payload = [one.id for one in points], [one.payload for one in points]
    vectors = [_dense(one.vector) for one in points]
    if vectors != [one.vector for one in points]:
        ledger.say(
            "sparse vectors and vectors of several rows are left out: a space has one of numbers for each item"
        )
    if not any(isinstance(one, dict) for one in vectors):
        return table_of_rows(ids, vectors, payload, ledger)
    return table_of_named(ids, vectors, payload, ledger)


def _dense(vector: Any) -> Any:
    """A vector of numbers, or those among several by their names."""
    if isinstance(vector, dict):
        return {name: one for name, one in vector.items() if _dense(one) is not None}
    return vector if isinstance(vector, list) and vector and isinstance(vector[0], int | float) else None


def read_chroma(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """Records with their documents, as the column "document", and their metadata."""
    chromadb = require("chromadb", "chroma")
    settings = chromadb.config.Settings(anonymized_telemetry=False)
    if address.host:
        host, _, port = address.host.partition(":")
        store = chromadb.HttpClient(host=host, port=int(port or 8000), settings=settings)
    else:
        _check_holds(address, "chroma.sqlite3", "Chroma")
        store = chromadb.PersistentClient(path=str(address.file), settings=settings)
    names = [getattr(one, "name", one) for one in store.list_collections()]
    if address.collection not in names:
        raise not_there("collection", address.collection, names, address.host or address.path)
    collection = store.get_collection(address.collection)
    for start in range(0, collection.count(), batch):
        found = collection.get(include=["embeddings", "documents", "metadatas"], limit=batch, offset=start)
        documents = found["documents"] or [None] * len(found["ids"])
        facts_of_all = found["metadatas"] or [None] * len(found["ids"])
        payload = [
            {**({} if document is None else {"document": document}), **(facts or {})}
            for document, facts in zip(documents, facts_of_all, strict=True)
        ]
        yield table_of_rows(found["ids"], found["embeddings"], payload, ledger)


def read_milvus(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """All fields of a collection, under their names."""
    pymilvus = require("pymilvus", "milvus")
    where = f"http://{address.host}" if address.host else str(address.file)
    store = pymilvus.MilvusClient(where, **({"token": address.key} if address.key else {}))
    try:
        names = list(store.list_collections())
        if address.collection not in names:
            raise not_there("collection", address.collection, names, address.host or address.path)
        found = store.query_iterator(address.collection, batch_size=batch, output_fields=["*"])
        while rows := found.next():
            yield pa.Table.from_pylist([dict(row) for row in rows])
        found.close()
    finally:
        store.close()
