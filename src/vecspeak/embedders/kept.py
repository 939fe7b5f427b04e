"""Kept vectors: an encoder that remembers on disk what it encoded, so that a long run can be stopped and go on.

Knows texts, vectors and one folder. Knows nothing of what they are for.
"""

import contextlib
import hashlib
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from vecspeak.embedders.semantic import Encodes, TextEncoder
from vecspeak.errors import UserError
from vecspeak.files import replace_file

_CHUNK = 512


class KeptVectors:
    """Wraps an encoder; `folder` holds one file for every 512 texts that were new.

    The folder belongs to one encoder: `key` (its digest) names a folder inside. A file that a kill or a full disk
    spoiled is passed over, and its texts are encoded again. In memory are the known vectors, by file, and a row
    number for each text: no object a vector.
    """

    def __init__(self, encoder: Encodes, folder: Path, *, key: str) -> None:
        self.encoder = encoder
        self.folder = folder / key[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._rows: dict[bytes, int] = {}
        """Row of each text's mark, counted through all chunks."""
        self._chunks: list[np.ndarray] = []
        self._starts: list[int] = []
        """First row of each chunk."""
        for path in sorted(self.folder.glob("*.safetensors")):
            self._read(path)

    @property
    def name(self) -> str:
        """The encoder's name."""
        return self.encoder.name

    @property
    def dim(self) -> int:
        """Width of its vectors."""
        return self.encoder.dim

    def encode(self, texts: Sequence[str], *, progress: bool = False, batch_size: int = 64) -> np.ndarray:
        """[N, D] float32, rows of length 1, in the order of the texts; only new texts are encoded.

        With progress, one bar for all that is new goes to stderr, with rate and time left. Raises UserError for an
        empty text, with its row.
        """
        for row, text in enumerate(texts):
            if not text.strip():
                raise UserError(f"text {row} of {len(texts)} is empty", "drop it or give it a text")
        marks = [hashlib.sha256(text.encode()).digest() for text in texts]
        new = list({m: t for m, t in zip(marks, texts, strict=True) if m not in self._rows}.items())
        new.sort(key=lambda pair: -len(pair[1]))  # the longest first: the time left is not told too short
        with _progress_bar(len(texts), len(new), shown=progress) as bar:
            for start in range(0, len(new), _CHUNK):
                part = new[start : start + _CHUNK]
                made = self.encoder.encode([text for _, text in part], batch_size=batch_size)
                self._keep([mark for mark, _ in part], made)
                bar.update(len(part))
        return self._gathered(marks)

    def _gathered(self, marks: list[bytes]) -> np.ndarray:
        """[N, D] the vectors of these marks, chunk by chunk."""
        vectors = np.empty((len(marks), self.dim), dtype=np.float32)
        if not marks:
            return vectors
        rows = np.fromiter((self._rows[mark] for mark in marks), dtype=np.int64, count=len(marks))
        chunks = np.searchsorted(self._starts, rows, side="right") - 1
        order = np.argsort(chunks, kind="stable")
        used, firsts = np.unique(chunks[order], return_index=True)
        for chunk, places in zip(used, np.split(order, firsts[1:]), strict=True):
            vectors[places] = self._chunks[chunk][rows[places] - self._starts[chunk]]
        return vectors

    def _keep(self, marks: list[bytes], vectors: np.ndarray) -> None:
        rows = np.frombuffer(b"".join(marks), dtype=np.uint8).reshape(len(marks), 32)
        with replace_file(self.folder / f"{uuid.uuid4().hex}.safetensors") as beside:
            save_file({"marks": rows.copy(), "vectors": np.ascontiguousarray(vectors)}, beside)
        self._know(marks, vectors)

    def _know(self, marks: list[bytes], vectors: np.ndarray) -> None:
        start = self._starts[-1] + len(self._chunks[-1]) if self._chunks else 0
        self._chunks.append(vectors)
        self._starts.append(start)
        self._rows.update(zip(marks, range(start, start + len(vectors)), strict=True))

    def _read(self, path: Path) -> None:
        try:
            kept = load_file(path)
            marks, vectors = [mark.tobytes() for mark in kept["marks"]], kept["vectors"]
            if vectors.shape == (len(marks), self.dim) and np.isfinite(vectors).all():
                self._know(marks, vectors)
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return


@contextlib.contextmanager
def kept_beside(encoder: TextEncoder, target: Path) -> Iterator[KeptVectors]:
    """The encoder for as long as the block makes the file at `target`: what it encodes is kept in a folder beside it.

    A run that is stopped leaves the folder, and the next one for the same target and encoder goes on from it. A block
    that ends well removes it; one that fails before anything was encoded leaves nothing.
    """
    folder = target.with_name(f".{target.name}.kept")
    folder.mkdir(exist_ok=True)  # not its parents: a mistyped path is told before the work
    made = KeptVectors(encoder, folder, key=encoder.digest)
    try:
        yield made
    except BaseException:
        for empty in (made.folder, folder):
            with contextlib.suppress(OSError):
                empty.rmdir()
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _progress_bar(total: int, new: int, *, shown: bool) -> tqdm:
    """What is kept already counts as done, and not towards the rate."""
    return tqdm(
        total=total,
        initial=total - new,
        unit="text",
        desc="encoding",
        disable=not shown or not new,
        dynamic_ncols=True,
    )
