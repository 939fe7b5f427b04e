"""How long `vecspeak fit` takes on 10,000 vectors of 64 numbers with short texts, and where the time goes.

    python benchmarks/fit.py [ROWS]

The texts are titles and genres of the shipped movies; the vectors are a random linear image of their encodings
with noise, so that there is something to find. Encoding is what `fit` must do; the rest is ours.
"""

import sys
import time

import numpy as np
import pyarrow as pa

from vecspeak.bundles.bundle import shipped_space
from vecspeak.bundles.fitting import fit_space
from vecspeak.encoders.text import load_encoder
from vecspeak.spaces import Space
from vecspeak.spaces.splits import choose_splits
from vecspeak.tasks.corpus import movie_facts


class Clocked:
    """The encoder, with the seconds that it took."""

    def __init__(self) -> None:
        self.encoder = load_encoder()
        self.name, self.dim, self.seconds = self.encoder.name, self.encoder.dim, 0.0

    def encode(self, texts: list[str], *, progress: bool = False, batch_size: int = 64) -> np.ndarray:
        """The encoder's vectors, on the clock."""
        started = time.perf_counter()
        vectors = self.encoder.encode(texts, progress=progress, batch_size=batch_size)
        self.seconds += time.perf_counter() - started
        return vectors


def main(rows: int) -> None:
    """Make the space, fit it, print where the time went."""
    movies = Space.load(shipped_space())
    genres = movies.metadata.column("genres").to_pylist()
    facts = [movie_facts(t, g) or t for t, g in zip(movies.labels, genres, strict=True)]
    texts = [f"{facts[i % 5000]} ({i})" for i in range(rows)]
    rng = np.random.default_rng(0)
    image = movies.vectors[np.arange(rows) % 5000] @ rng.normal(size=(movies.dim, 64))
    vectors = (image + rng.normal(size=image.shape)).astype(np.float32)
    ids = tuple(str(i) for i in range(rows))
    space = Space(name="bench", ids=ids, labels=ids, vectors=vectors, metadata=pa.table({"text": texts}))
    encoder = Clocked()
    started = time.perf_counter()
    splits = choose_splits(space, share=0.1, seed=0)
    entry = fit_space(space, texts=texts, encoder=encoder, splits=splits, progress=True)
    seconds = time.perf_counter() - started
    print(f"{rows:,} x 64: {seconds:.1f} s, of which encoding {encoder.seconds:.1f} s, the rest ", end="")
    print(f"{seconds - encoder.seconds:.1f} s; {entry.report}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
