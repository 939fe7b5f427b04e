"""Opening millions of vectors: seconds to open, to an item by its id and to the nearest items, and memory.

    python benchmarks/large.py [--rows 5000000] [--dim 128] [--repeats 3] [--work FOLDER] [--out docs/scores]

Writes files of random vectors with ids into FOLDER, by blocks, and removes them: flat FAISS, Parquet (packed, and
PLAIN pages of a list of fixed size without packing), `.npy` with a table of ids. Each is opened `--repeats` times in a
process of its own (conversions and pandas, which take long, once). Baselines are pandas.read_parquet, faiss.read_index
and np.load. Needs three times the room of the vectors. Writes OUT/large.json; scripts/score_pages.py makes the table of
docs/performance.md of it.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from places import out_folder

from vecspeak.storage import write_json

BLOCK = 200_000
K = 10
CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "items.faiss": ("FAISS, flat", ("vecspeak", "faiss")),
    "packed.parquet": ("Parquet, packed by Snappy", ("vecspeak, first time", "vecspeak, later", "pandas")),
    "plain.parquet": ("Parquet, not packed", ("vecspeak, first time", "vecspeak, later")),
    "items.npy": ("`.npy` and a table of ids", ("vecspeak", "numpy")),
}
"""The files, what they are called in the table, and who opens each."""
SLOW = ("vecspeak, first time", "pandas")
"""Those who open a file once."""


def blocks(rows: int, dim: int) -> Iterator[tuple[int, np.ndarray]]:
    """The vectors, the same for every file."""
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        yield start, np.random.default_rng(start).random((count, dim), dtype=np.float32) - np.float32(0.5)


def item_id(row: int) -> str:
    """The id of a row, no row number."""
    return f"sku-{(row * 2_654_435_761) % 2**32:010d}"


def write(path: Path, rows: int, dim: int) -> None:
    """Write one of the files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def ids(start: int, count: int) -> pa.Array:
        return pa.array([item_id(row) for row in range(start, start + count)])

    if path.suffix == ".parquet":
        plain = path.stem == "plain"
        kind = pa.list_(pa.float32(), dim) if plain else pa.list_(pa.float32())
        options: dict[str, Any] = {"compression": "none", "use_dictionary": False} if plain else {}
        with pq.ParquetWriter(path, pa.schema([("id", pa.string()), ("vector", kind)]), **options) as file:
            for start, block in blocks(rows, dim):
                vectors = pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), dim).cast(kind)
                file.write_table(pa.table({"id": ids(start, len(block)), "vector": vectors}))
    elif path.suffix == ".faiss":
        import faiss

        index = faiss.IndexFlatIP(dim)
        for _, block in blocks(rows, dim):
            index.add(block)
        faiss.write_index(index, str(path))
    else:
        with path.open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (rows, dim)}
            np.lib.format.write_array_header_1_0(file, header)
            for _, block in blocks(rows, dim):
                file.write(block.data)
        pq.write_table(pa.table({"id": ids(0, rows)}), path.with_suffix(".parquet"))


def opened(who: str, path: Path) -> tuple[Callable[[str], int], Callable[[np.ndarray], list[int]]]:
    """What looks an item up by its id, and what names the rows of the largest products with a vector."""
    if who.startswith("vecspeak"):
        from vecspeak import Space
        from vecspeak.spaces.search import nearest

        if path.suffix == ".faiss":
            space = Space.read(f"faiss://{path}")
        else:
            named = {"vector": "vector"} if path.suffix == ".parquet" else {}
            space = Space.read(path, id="id", **named)
        return space.index_of, lambda query: nearest(space, query, K, metric="dot").indices[0].tolist()
    if who == "pandas":
        import pandas as pd

        frame = pd.read_parquet(path)

        def products(query: np.ndarray) -> list[int]:
            scores = np.stack(frame["vector"].to_numpy()) @ query
            return np.argsort(-scores)[:K].tolist()

        return lambda wanted: int(np.flatnonzero(frame["id"] == wanted)[0]), products
    if who == "faiss":
        import faiss

        index = faiss.read_index(str(path))
        return int, lambda query: index.search(query[None], K)[1][0].tolist()
    vectors = np.load(path)
    return int, lambda query: np.argsort(-(vectors @ query))[:K].tolist()


def measured(who: str, path: Path, rows: int, dim: int) -> dict[str, Any]:
    """Seconds and memory of this process."""
    start = time.perf_counter()
    look_up, products = opened(who, path)
    open_s, cpu_s = time.perf_counter() - start, time.process_time()
    opened_gb = anonymous()
    numbered = who in ("faiss", "numpy") or path.suffix == ".faiss"
    wanted = rows - 3
    start = time.perf_counter()
    found = look_up(str(wanted) if numbered else item_id(wanted))
    look_up_s = time.perf_counter() - start
    query = next(blocks(1, dim))[1][0]
    start = time.perf_counter()
    near = products(query)
    nearest_s, nearest_cpu_s = time.perf_counter() - start, time.process_time() - cpu_s
    start = time.perf_counter()
    assert products(query) == near and found == wanted
    return {
        "open_s": open_s,
        "open_cpu_s": cpu_s,
        "look_up_s": look_up_s,
        "nearest_s": nearest_s,
        "answer_cpu_s": nearest_cpu_s,
        "again_s": time.perf_counter() - start,
        "near": near,
        "opened_gb": opened_gb,
    }


def anonymous() -> float:
    """GB of this process that belong to no file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 2**20
    return 0.0


def one(who: str, path: Path, rows: int, dim: int) -> dict[str, Any]:
    """The same with the peaks, for which memory is looked at every 20 ms."""
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], anonymous())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        found = measured(who, path, rows, dim)
    finally:
        done.set()
        watching.join()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {**found, "anonymous_gb": peak[0], "resident_gb": most}


def median_and_range(values: list[float]) -> list[float]:
    """Median, smallest and largest."""
    return [round(float(one), 5) for one in (np.median(values), min(values), max(values))]


def main() -> None:
    """Write each file, open it in fresh processes, remove it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("work/large"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        who, path = given.one
        print(json.dumps(one(who, Path(path), given.rows, given.dim)))
        return
    given.work.mkdir(parents=True, exist_ok=True)
    size = 4 * given.rows * given.dim
    free = shutil.disk_usage(given.work).free
    if free < 3 * size:
        sys.exit(f"{given.work} has {free / 1e9:.1f} GB free, and {3 * size / 1e9:.1f} are needed")
    result: dict[str, Any] = {"rows": given.rows, "dim": given.dim, "cores": os.cpu_count(), "files": {}}
    for name in given.only:
        with tempfile.TemporaryDirectory(dir=given.work) as folder:
            result["files"][name] = of_file(Path(folder).resolve() / name, given)
        write_json(given.out / "large.json", result)


def of_file(path: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Everybody who opens one file; all must name the same nearest items."""
    start = time.perf_counter()
    write(path, given.rows, given.dim)
    print(
        f"{path.name}: {path.stat().st_size / 1e9:.2f} GB in {time.perf_counter() - start:.0f} s", flush=True
    )
    found, near = {}, set()
    for who in CASES[path.name][1]:
        runs = []
        for _ in range(1 if who in SLOW else given.repeats):
            cache = path.parent / "cache"
            if who == "vecspeak, first time":
                shutil.rmtree(cache, ignore_errors=True)
            command = [sys.executable, __file__, "--rows", str(given.rows), "--dim", str(given.dim)]
            environment = {**os.environ, "VECSPEAK_CACHE": str(cache)}
            made = subprocess.run(
                [*command, "--one", who, str(path)],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            )
            runs.append(json.loads(made.stdout))
            near.add(tuple(runs[-1].pop("near")))
        found[who] = {key: median_and_range([run[key] for run in runs]) for key in runs[0]}
        print(path.name, who, found[who], flush=True)
    assert len(near) == 1, "they name other nearest items"
    return found


def table(found: dict[str, Any]) -> str:
    """The table of docs/performance.md."""
    lines = [
        "| | | open | of it CPU | item by id | nearest 10 | again | memory of its own | with mapped pages |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    keys = ("open_s", "open_cpu_s", "look_up_s", "nearest_s", "again_s")
    for name, by in found["files"].items():
        for who, one in by.items():
            times = " | ".join(seconds(one[key]) for key in keys)
            sizes = f"{one['anonymous_gb'][0]:.2f} GB | {one['resident_gb'][0]:.2f} GB"
            bold = f"**{who}**" if who.startswith("vecspeak") else who
            lines.append(f"| {CASES[name][0]} | {bold} | {times} | {sizes} |")
    return "\n".join(lines)


def seconds(one: list[float]) -> str:
    """A median with its range, where it was measured more than once."""
    scale, unit = (1, "s") if one[0] >= 0.1 else (1000, "ms")
    middle, low, high = (f"{value * scale:.3g}" for value in one)
    return f"{middle} {unit}" if low == high else f"{middle} {unit} ({low} to {high})"


if __name__ == "__main__":
    main()
