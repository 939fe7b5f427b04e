"""Kept vectors: an encoder that remembers on disk what it encoded, so that a long run can be stopped and go on.

Knows texts, vectors and one folder. Knows nothing of what they are for.
"""

import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from vecspeak.embedders.semantic import Encodes
from vecspeak.files import replace_file

_CHUNK = 512


class KeptVectors:
    """Wraps an encoder; `folder` holds one file for every 512 texts that were new.

    The folder belongs to one encoder: `key` (its digest) names a folder inside. A file that a kill or a full disk
    spoiled is passed over, and its texts are encoded again.
    """

    def __init__(self, encoder: Encodes, folder: Path, *, key: str) -> None:
        self.encoder = encoder
        self.folder = folder / key[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._known: dict[bytes, np.ndarray] = {}
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
        """[N, D] float32, rows of length 1, in the order of the texts; only new texts are encoded."""
        marks = [hashlib.sha256(text.encode()).digest() for text in texts]
        new = list({m: t for m, t in zip(marks, texts, strict=True) if m not in self._known}.items())
        new.sort(key=lambda pair: len(pair[1]))
        for start in range(0, len(new), _CHUNK):
            part = new[start : start + _CHUNK]
            made = self.encoder.encode([text for _, text in part], progress=progress, batch_size=batch_size)
            self._keep([mark for mark, _ in part], made)
        if not marks:
            return np.empty((0, self.dim), dtype=np.float32)
        return np.stack([self._known[mark] for mark in marks])

    def _keep(self, marks: list[bytes], vectors: np.ndarray) -> None:
        rows = np.frombuffer(b"".join(marks), dtype=np.uint8).reshape(len(marks), 32)
        with replace_file(self.folder / f"{uuid.uuid4().hex}.safetensors") as beside:
            save_file({"marks": rows.copy(), "vectors": np.ascontiguousarray(vectors)}, beside)
        self._known.update(zip(marks, vectors, strict=True))

    def _read(self, path: Path) -> None:
        try:
            kept = load_file(path)
            rows = zip(kept["marks"], kept["vectors"], strict=True)
            self._known.update({mark.tobytes(): vector for mark, vector in rows if len(vector) == self.dim})
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return
