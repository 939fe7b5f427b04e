"""Words of up to ten million vectors: rows a second, how time grows with rows, and memory, on two cores.

    python benchmarks/narrate.py [--rows 100000 1000000 10000000] [--work work/narrate] [--out docs/scores/narrate.json]

The space is that of 5,000 plots as word counts cut to 128 numbers (own_table.py has why), fitted once into
WORK/plots.bundle: its lexicon is that of its own texts and columns joined with the encoder's. The rows are made up:
each lies between two of the items with noise around it, a fifth of the spread of each number, written as Parquet by
blocks. `vecspeak narrate` runs in a process of its own, which is watched every 20 ms, its start counted in. A stopped
benchmark goes on where it was, and the times of its parts are added up. The baseline is `VecSpeak.words`' own reading
of 64 rows at a time, by processor time, on some of the same rows, whose words must be the same. Needs 8 GB of disk,
and half an hour of two idle cores.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from large import anonymous
from places import out_file
from threadpoolctl import threadpool_limits

from vecspeak import Space, VecSpeak
from vecspeak.storage import read_json, replace_file, write_json

BLOCK = 100_000
WIDTH = 128
CORES = 2
COMPARED = 2000
"""Rows that are read the plain way too."""
NOISE = 0.2


def bundle(folder: Path) -> Path:
    """The space and its lexicon, made once."""
    path = folder / "plots.bundle"
    if path.exists():
        return path
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    from vecspeak.demo.data import find_sources
    from vecspeak.tasks.sources import read_movies

    movies = list(read_movies(find_sources().movies))
    texts = [movie.text for movie in movies]
    counts = TfidfVectorizer(sublinear_tf=True, min_df=3, stop_words="english")
    cut = make_pipeline(counts, TruncatedSVD(WIDTH, random_state=0)).fit(texts)
    space = Space.from_arrays(
        cut.transform(texts), labels=[movie.title for movie in movies], texts=texts,
        metadata={"genres": [list(movie.tags) for movie in movies]}, name="plots",
    )  # fmt: skip
    VecSpeak.from_pretrained().fit(space).save(path)
    return path


def made_up(items: np.ndarray, start: int, count: int) -> np.ndarray:
    """[count, D] rows from the row `start` on, the same every time."""
    rng = np.random.default_rng(start)
    first, second = rng.integers(0, len(items), (2, count))
    share = rng.uniform(0.5, 1, (count, 1)).astype(np.float32)
    noise = rng.standard_normal((count, items.shape[1]), dtype=np.float32) * (NOISE * items.std(0))
    return (share * items[first] + (1 - share) * items[second] + noise).astype(np.float32)


def write_rows(path: Path, items: np.ndarray, rows: int) -> None:
    """The rows with ids, by blocks."""
    schema = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float32(), WIDTH))])
    with (
        replace_file(path) as beside,
        pq.ParquetWriter(beside, schema, compression="none", use_dictionary=False) as file,
    ):
        for start in range(0, rows, BLOCK):
            block = made_up(items, start, min(BLOCK, rows - start))
            ids = pa.array([f"row-{row}" for row in range(start, start + len(block))])
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), WIDTH)
            file.write_table(pa.table([ids, vectors], schema=schema))


def plain(vs: VecSpeak, rows: np.ndarray) -> float:
    """Processor seconds of reading the rows as single ones are read; a second thread of BLAS would wait and count."""
    entry = vs.entry()
    with threadpool_limits(1, user_api="blas"):
        entry.words(rows[:1])  # what is made once
        start = time.process_time()
        entry.words(rows)
        return time.process_time() - start


def one(folder: Path, path: Path, out: Path) -> dict[str, Any]:
    """Run in this process, and say what it took; every second it is noted, should the process be stopped."""
    peak, done, started = [0.0], threading.Event(), time.perf_counter()
    notes = out.with_suffix(".parts")
    notes.mkdir(exist_ok=True)
    part = notes / f"{time.time_ns()}.json"

    def note() -> None:
        spent = {
            "seconds": time.perf_counter() - started,
            "cpu_s": time.process_time(),
            "anonymous_gb": peak[0],
        }
        write_json(part, spent)

    def watch() -> None:
        noted = 0.0
        while not done.wait(0.02):
            peak[0] = max(peak[0], anonymous())
            if time.perf_counter() - noted > 1:
                note()
                noted = time.perf_counter()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        vs = VecSpeak.load(bundle(folder))
        found = vs.narrate(out, path, threads=CORES, progress=True)
    finally:
        done.set()
        watching.join()
    note()
    parts = [read_json(one) for one in sorted(notes.iterdir())]
    return {
        "rows": found.rows,
        "written": found.written,
        "parts": len(parts),
        "seconds": sum(one["seconds"] for one in parts),
        "cpu_s": sum(one["cpu_s"] for one in parts),
        "anonymous_gb": max(one["anonymous_gb"] for one in parts),
    }


def in_a_process(given: argparse.Namespace, rows: int, items: np.ndarray) -> dict[str, Any]:
    """One size, with the bytes that came of it."""
    path, out = given.work / f"{rows}.parquet", given.work / f"words-{rows}"
    if not path.exists():
        write_rows(path, items, rows)
    load = os.getloadavg()[0]
    command = [sys.executable, __file__, "--work", str(given.work), "--one", str(path), str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(CORES)}
    made = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(made.stdout.splitlines()[-1])
    written = sum(one.stat().st_size for one in (out / "words").iterdir())
    return {
        **found, "load_before": round(load, 1), "load_after": round(os.getloadavg()[0], 1),
        "gb_in": path.stat().st_size / 1e9, "gb_out": written / 1e9,
    }  # fmt: skip


def same_words(vs: VecSpeak, rows: np.ndarray, out: Path) -> float:
    """Share of the rows of which a run wrote the same words in the same order as are read of each alone."""
    written = (
        pq.read_table(sorted((out / "words").iterdir())[0]).slice(0, len(rows)).column("words").to_pylist()
    )
    read = vs.entry().words(rows)
    same = [
        [t["term"] for t in one] == [t.term for t in words] for one, words in zip(written, read, strict=True)
    ]
    return float(np.mean(same))


def main() -> None:
    """Every size in turn, the smallest first."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--work", type=Path, default=Path("work/narrate"))
    parser.add_argument("--out", type=out_file, default="docs/scores/narrate.json")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    if given.one:
        print(json.dumps(one(given.work, *map(Path, given.one))))
        return
    vs = VecSpeak.load(bundle(given.work))
    found = {**(read_json(given.out) if given.out.exists() else {}), **about(vs)}
    sizes = found.setdefault("sizes", {})
    for rows in sorted(given.rows):
        if str(rows) not in sizes:
            sizes[str(rows)] = in_a_process(given, rows, vs.space.vectors)
            print(rows, sizes[str(rows)], flush=True)
        if "compared" not in found:
            some = made_up(vs.space.vectors, 0, BLOCK)[:COMPARED]
            same = same_words(vs, some, given.work / f"words-{rows}")
            found["compared"] = {"rows": COMPARED, "plain_cpu_s": plain(vs, some), "same_words": same}
        write_json(given.out, {**found, **summary(sizes)})


def about(vs: VecSpeak) -> dict[str, Any]:
    """What the runs have in common."""
    return {"dim": WIDTH, "cores": CORES, "terms": len(vs.entry().term_reader), "items": len(vs.space)}


def summary(sizes: dict[str, Any]) -> dict[str, Any]:
    """Slopes of the logarithms of time over those of rows, by the clock and by the processor's time."""
    logs = np.log([one["rows"] for one in sizes.values()])
    if len(logs) < 2:
        return {}
    return {
        f"slope_{name}": float(np.polyfit(logs, np.log([one[name] for one in sizes.values()]), 1)[0])
        for name in ("seconds", "cpu_s")
    }


def table(found: dict[str, Any]) -> str:
    """The table of docs/bulk.md."""
    lines = [
        "| rows | seconds | rows a second | processor seconds | memory of its own | in | out | load before |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in found["sizes"].values():
        times = f"{one['seconds']:,.0f} | {one['rows'] / one['seconds']:,.0f} | {one['cpu_s']:,.0f}"
        sizes = " | ".join(f"{one[name]:.2f} GB" for name in ("anonymous_gb", "gb_in", "gb_out"))
        lines.append(f"| {one['rows']:,} | {times} | {sizes} | {one['load_before']:.1f} |")
    slopes = ""
    if "slope_cpu_s" in found:
        slopes = (
            f"Slope of log time over log rows: {found['slope_seconds']:.2f} by the clock, "
            f"{found['slope_cpu_s']:.2f} by processor time."
        )
    compared, largest = found["compared"], list(found["sizes"].values())[-1]
    alone, here = compared["plain_cpu_s"] / compared["rows"], largest["cpu_s"] / largest["rows"]
    ratio = (
        f"Processor time a row: {here * 1e6:.0f} µs, {alone / here:.1f} times less than the {alone * 1e6:.0f} µs of "
        f"one that is read as single ones are; words and their order are the same for {compared['same_words']:.1%} of "
        f"{compared['rows']:,} rows."
    )
    return "\n".join([*lines, "", slopes, ratio])


if __name__ == "__main__":
    main()
