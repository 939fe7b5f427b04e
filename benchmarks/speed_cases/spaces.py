"""Spaces: neighbours, calibration, alignment, clusters, loading and saving, beside the plain ways to do the same.

    cd benchmarks && python -m speed_cases.spaces

The plain ways are what one writes first with NumPy, scikit-learn and pyarrow: everything in memory at once. They run
on as many rows as memory and patience allow, and ours on the same; how ours grow is measured up to a million rows.
Rows are drawn around 200 centers, for vectors of nothing but noise have no neighbours worth the name.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from speed_cases.measure import Growth, Result, Work, compare, tables
from vecspeak.bundles.bundle import load_distances, save_distances, shipped_space
from vecspeak.encoders.text import DEFAULT_ENCODER, load_encoder, locate_encoder, sentence_transformers
from vecspeak.model.alignment import fit_alignment
from vecspeak.spaces import Space
from vecspeak.spaces.io import save_space
from vecspeak.spaces.search import DataDistance, ExclusionMask, ItemMatrix, nearest, search
from vecspeak.spaces.splits import hold_out_regions
from vecspeak.tasks.corpus import movie_facts

DIM, TEXT_DIM, K = 128, 384, 10
MILLION = 1_000_000


def cloud(rows: int, dim: int = DIM, *, seed: int = 0) -> np.ndarray:
    """[N, D] float32 around 200 centers, the same ones for every seed."""
    centers = np.random.default_rng(99).standard_normal((200, dim), dtype=np.float32)
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((rows, dim), dtype=np.float32)
    vectors += centers[rng.integers(0, 200, rows)]
    return vectors


def space_of(rows: int) -> Space:
    """A space of so many items with short labels and texts."""
    ids = tuple(f"i{row}" for row in range(rows))
    texts = pa.table({"text": [f"a text about item {row}" for row in range(rows)]})
    vectors = cloud(rows)
    vectors.flags.writeable = False
    return Space(
        name="cloud",
        ids=ids,
        labels=tuple(f"Item {row}" for row in range(rows)),
        vectors=vectors,
        metadata=texts,
    )


def plain_neighbours(items: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """[Q, K] by one product of all unit rows and a full sort."""
    units = items / np.linalg.norm(items, axis=1, keepdims=True)
    scores = queries / np.linalg.norm(queries, axis=1, keepdims=True) @ units.T
    return np.argsort(-scores, axis=1, kind="stable")[:, :K]


def neighbours(space: Space, num_queries: int) -> Result:
    """Nearest items of some queries, whole and sorted, and by blocks; the same rows come out, or this stops."""
    queries = cloud(num_queries, seed=1)

    def plain() -> float:
        found["plain"] = plain_neighbours(space.vectors, queries)
        return num_queries

    def ours() -> float:
        found["ours"] = nearest(space, queries, K).indices
        return num_queries

    found: dict[str, np.ndarray] = {}
    ways = {"one product, full argsort (reference)": plain, "vecspeak": ours}
    once = num_queries > 1
    result = compare(
        f"{K} nearest of {space.num_items:,} x {DIM}, {num_queries:,} at once",
        ways,
        unit="vector",
        repeats=1 if once else 3,
        warm=0 if once else 1,
    )
    same = float((found["plain"] == found["ours"]).mean())
    assert same > 0.999, (
        f"other neighbours: only {same:.4%} agree"
    )  # two within float32's rounding may change places
    return result


def calibration(space: Space, folder: Path) -> Result:
    """What an opened bundle needs before it says how far a point lies from the data."""
    save_distances({"items": DataDistance.from_space(space)}, folder)

    def fresh() -> float:
        return len(DataDistance.from_space(space).reference)

    def kept() -> float:
        return len(load_distances({"items": space}, folder)["items"].reference)

    ways = {"calibrated at every opening (reference)": fresh, "kept in the bundle": kept}
    return compare(f"calibration of {space.num_items:,} x {DIM}", ways, unit="item", repeats=1, warm=0)


def texts_of(vectors: np.ndarray) -> np.ndarray:
    """[N, T] float32: a noisy linear image, a block at a time."""
    rng = np.random.default_rng(2)
    image = rng.standard_normal((vectors.shape[1], TEXT_DIM), dtype=np.float32)
    texts = rng.standard_normal((len(vectors), TEXT_DIM), dtype=np.float32)
    for start in range(0, len(vectors), 65_536):
        texts[start : start + 65_536] += 0.1 * vectors[start : start + 65_536] @ image
    return texts


def plain_alignment(vectors: np.ndarray, texts: np.ndarray) -> None:
    """RidgeCV with and without unit length, then once more the better one, as `fit` did."""
    from sklearn.linear_model import RidgeCV

    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    inputs = [(given - given.mean(0)) / given.std() for given in (vectors, units)]
    scores = [RidgeCV(alphas=10.0 ** np.arange(-1, 6.5, 0.5)).fit(one, texts).best_score_ for one in inputs]
    RidgeCV(alphas=10.0 ** np.arange(-1, 6.5, 0.5)).fit(inputs[int(np.argmax(scores))], texts)


def alignment(rows: int) -> Result:
    """Ridge from vectors to texts' vectors with its penalty chosen."""
    vectors = cloud(rows)
    texts = texts_of(vectors)

    def plain() -> float:
        plain_alignment(vectors, texts)
        return rows

    def ours() -> float:
        fit_alignment(vectors, texts)
        return rows

    ways = {"RidgeCV on all rows (as before, reference)": plain, "sums by blocks": ours}
    return compare(f"alignment of {rows:,} x {DIM} to {TEXT_DIM}", ways, unit="row", repeats=1, warm=0)


def clustering(space: Space) -> Result:
    """Regions to leave out: k-means on all items, and on a sample that all are then put into."""

    def plain() -> float:
        from sklearn.cluster import KMeans

        units = space.vectors / np.linalg.norm(space.vectors, axis=1, keepdims=True)
        KMeans(20, n_init=4, random_state=0).fit(units)
        return space.num_items

    def ours() -> float:
        hold_out_regions(space, regions=2, seed=0)
        return space.num_items

    ways = {"k-means of all items (reference)": plain, "vecspeak": ours}
    return compare(f"20 regions of {space.num_items:,} x {DIM}", ways, unit="item", repeats=1, warm=0)


def loading(space: Space, folder: Path) -> Result:
    """A saved space, with all its checks and its digest, beside a Parquet file read without any."""
    save_space(space, folder / "ours.parquet")
    lists = pa.FixedSizeListArray.from_arrays(pa.array(space.vectors.ravel()), DIM)
    columns = {"id": pa.array(space.ids), "label": pa.array(space.labels), "vector": lists}
    pq.write_table(
        pa.table({**columns, "text": space.metadata.column("text")}),
        folder / "plain.parquet",
        compression="zstd",
        write_page_checksum=True,
    )

    def plain() -> float:
        table = pq.ParquetFile(folder / "plain.parquet", page_checksum_verification=True).read()
        tuple(table.column("id").to_pylist()), tuple(table.column("label").to_pylist())
        np.array(table.column("vector").combine_chunks().flatten().to_numpy().reshape(-1, DIM))
        return space.num_items

    def ours() -> float:
        return Space.load(folder / "ours.parquet").num_items

    ways = {"pyarrow, zstd, unchecked (reference)": plain, "vecspeak, checked": ours}
    return compare(f"loading {space.num_items:,} x {DIM}", ways, unit="item", repeats=3, warm=0)


def encoding(count: int) -> Result:
    """Texts to vectors: the plots' first sentences are long, titles with genres short; both kinds, mixed."""
    movies = Space.load(shipped_space())
    genres = movies.metadata.column("genres").to_pylist()
    short = [movie_facts(t, g) or t for t, g in zip(movies.labels[:count], genres[:count], strict=True)]
    texts = [one if i % 2 else " ".join(short[i : i + 8]) for i, one in enumerate(short)]
    ours, plain = load_encoder(), sentence_transformers(locate_encoder(DEFAULT_ENCODER))

    def plain_encode() -> float:
        plain.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False)
        return float(len(texts))

    ways: dict[str, Work] = {
        "sentence-transformers (reference)": plain_encode,
        "vecspeak": lambda: float(len(ours.encode(texts))),
    }
    return compare(f"encoding {count:,} texts", ways, unit="text", repeats=2, warm=0)


def growth(case: str, sizes: Sequence[int], make: Callable[[int], Work]) -> Growth:
    """Seconds of one run each: the larger runs are long enough to need no repeats."""
    points = []
    for size in sizes:
        work = make(size)
        started = time.perf_counter()
        work()
        points.append((float(size), time.perf_counter() - started))
    return Growth(case=case, size="rows", points=tuple(points))


def growths(spaces: dict[int, Space], folder: Path) -> list[Growth]:
    """How ours grow with the rows, from 1,000 to a million; neighbours to ten millions of 16 numbers."""
    sizes = list(spaces)

    def align(rows: int) -> Work:
        vectors = spaces[rows].vectors
        texts = texts_of(vectors)
        return lambda: fit_alignment(vectors, texts).report["items"]

    def narrow(rows: int) -> Work:
        vectors = cloud(rows, 16)
        items = ItemMatrix(vectors, np.sqrt(np.einsum("nd,nd->n", vectors, vectors)))
        queries = cloud(100, 16, seed=1)
        return lambda: len(list(search(items, queries, K, "cosine", ExclusionMask.from_rows([]))))

    def save(rows: int) -> Work:
        def work() -> float:
            save_space(spaces[rows], folder / f"{rows}.parquet")
            return rows

        return work

    hundred = cloud(100, seed=1)
    return [
        growth(
            f"{K} nearest of 100 queries", sizes, lambda n: lambda: len(nearest(spaces[n], hundred, K).scores)
        ),
        growth("the same of 16 numbers", [10**4, 10**5, 10**6, 10**7], narrow),
        growth("calibration", sizes, lambda n: lambda: len(DataDistance.from_space(spaces[n]).reference)),
        growth(f"alignment to {TEXT_DIM}", sizes, align),
        growth("regions", sizes, lambda n: lambda: len(hold_out_regions(spaces[n], regions=2, seed=0))),
        growth("saving", sizes, save),
        growth("loading", sizes, lambda n: lambda: Space.load(folder / f"{n}.parquet").num_items),
    ]


def run() -> tuple[list[Result], list[Growth]]:
    """All cases and growths; about two minutes on two cores."""
    spaces = {rows: space_of(rows) for rows in (1_000, 10_000, 100_000, MILLION)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = [
            neighbours(spaces[MILLION], 1),
            neighbours(spaces[MILLION], 100),
            neighbours(spaces[10_000], 5_000),
            calibration(spaces[100_000], folder),
            alignment(10_000),
            clustering(spaces[100_000].take(range(50_000))),
            loading(spaces[MILLION], folder),
            encoding(2_000),
        ]
        return results, growths(spaces, folder)


if __name__ == "__main__":
    print(tables(*run()))
