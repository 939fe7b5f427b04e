"""Semantic embedder: vectors from texts, by a sentence-transformers model that is already on this machine.

Without a GPU, models of the BERT kind run on OpenVINO, which gives the same vectors and loads no torch.

Knows how to open an encoder and how to batch texts. Fetches nothing, sets no environment variable,
and knows nothing of what the vectors are used for.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from vecspeak.embedders.packaged import DEFAULT_ENCODER, KNOWN_ENCODERS, locate_encoder
from vecspeak.errors import UserError
from vecspeak.files import sha256_of
from vecspeak.machine import has_gpu, has_openvino
from vecspeak.spaces.formats import TEXT_COLUMN, other_columns
from vecspeak.spaces.space import Space
from vecspeak.spaces.tables import as_ids, as_texts, read_table, require_column


class EncodesBatch(Protocol):
    """A model behind a TextEncoder."""

    dim: int
    """Width of its vectors (D)."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """[N, D] float32, rows of length 1, of texts that share a batch."""
        ...


class Encodes(Protocol):
    """What turns texts into vectors of length 1: a TextEncoder, or a small true thing in a test."""

    @property
    def name(self) -> str:
        """What spaces made with it are marked with."""
        ...

    @property
    def dim(self) -> int:
        """Width of its vectors (D)."""
        ...

    def encode(self, texts: Sequence[str], *, progress: bool = False, batch_size: int = 64) -> np.ndarray:
        """[N, D] float32, rows of length 1, in the order of the texts."""
        ...


class TextEncoder:
    """A sentence-transformers model with a name and a digest; made by `load_encoder`."""

    def __init__(self, name: str, folder: Path, model: EncodesBatch) -> None:
        self._name = name
        self._folder = folder
        self._model = model
        self._digest: str | None = None

    @property
    def name(self) -> str:
        """The encoder's name, or its folder's name when it was loaded from a path."""
        return self._name

    @property
    def dim(self) -> int:
        """Width of its vectors (D)."""
        return self._model.dim

    @property
    def digest(self) -> str:
        """SHA-256 in hex of the model's weights, so that two encoders of one name can be told apart."""
        if self._digest is None:
            self._digest = sha256_of(_weights(self._folder))
        return self._digest

    def encode(self, texts: Sequence[str], *, progress: bool = False, batch_size: int = 64) -> np.ndarray:
        """[N, D] float32, rows of length 1, in the order of the texts.

        Texts of like length share a batch, so that little is padded. What is longer than the model reads (256
        word pieces for the default encoder) is cut by the model. With progress, a bar with rate and time left
        goes to stderr. Raises UserError for an empty text, with its row.
        """
        for row, text in enumerate(texts):
            if not text.strip():
                raise UserError(f"text {row} of {len(texts)} is empty", "drop it or give it a text")
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        longest_first = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        with _progress_bar(len(texts), shown=progress) as bar:
            for start in range(0, len(texts), batch_size):
                rows = longest_first[start : start + batch_size]
                vectors[rows] = self._model.encode([texts[row] for row in rows])
                bar.update(len(rows))
        return vectors


class _SentenceTransformers:
    """A model of sentence-transformers, on the GPU where there is one."""

    def __init__(self, folder: Path) -> None:
        self._model = sentence_transformers(folder)
        self.dim = int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        vectors = self._model.encode(
            list(texts),
            batch_size=len(texts),
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32)


def load_encoder(name_or_path: str = DEFAULT_ENCODER) -> TextEncoder:
    """Load a packaged encoder by its name, or any sentence-transformers model from a folder.

    Nothing is fetched: what is neither a known name nor a folder is refused. Raises UserError for an unknown
    name, for a folder that holds no such model, and when a known encoder's package is not installed.
    """
    folder = locate_encoder(name_or_path)
    _weights(folder)
    name = name_or_path if name_or_path in KNOWN_ENCODERS else folder.resolve().name
    return TextEncoder(name, folder, _model(folder))


def _model(folder: Path) -> EncodesBatch:
    from vecspeak.embedders.bert import BertEncoder, unsupported

    if has_openvino() and not has_gpu() and not unsupported(folder):
        return BertEncoder(folder)
    return _SentenceTransformers(folder)


def embed_texts(
    encoder: Encodes,
    texts: Sequence[str],
    *,
    name: str,
    ids: Sequence[str],
    labels: Sequence[str],
    metadata: pa.Table | None = None,
    progress: bool = False,
) -> Space:
    """A space of the texts' vectors, marked with the encoder's name; the texts become its "text" column.

    Other metadata may be given, N rows. Raises UserError for empty texts and whatever a Space refuses.
    """
    if not len(texts) == len(ids) == len(labels):
        raise UserError(
            f"there are {len(texts)} texts, {len(ids)} ids and {len(labels)} labels",
            "give one of each per item",
        )
    columns = {TEXT_COLUMN: pa.array(texts, type=pa.string())}
    if metadata is not None:
        columns.update({column: metadata.column(column) for column in metadata.column_names})
    return Space(
        name=name,
        ids=tuple(ids),
        labels=tuple(labels),
        vectors=encoder.encode(texts, progress=progress),
        metadata=pa.table(columns),
        encoder=encoder.name,
    )


def embed_table(
    table_path: str | Path, *, id: str, label: str, text: str, encoder: Encodes, name: str | None = None
) -> Space:
    """A space from a table's texts, with progress on stderr; its other columns become metadata.

    It is called `name`, or else after the file. Another column called "text" becomes "text_". Rows without a text,
    missing columns and ids raise UserError.
    """
    rows = read_table(table_path, text_columns=(id, label, text))
    ids = as_ids(require_column(rows, id, table_path), id)
    labels = as_texts(require_column(rows, label, table_path), label)
    texts = as_texts(require_column(rows, text, table_path), text)
    return embed_texts(
        encoder,
        [one or "" for one in texts],
        name=name or Path(table_path).stem,
        ids=ids,
        labels=[ids[row] if one is None else one for row, one in enumerate(labels)],
        metadata=other_columns(rows, used=(id, label), text=text),
        progress=True,
    )


def _weights(folder: Path) -> Path:
    """The file of the model's weights: beside `modules.json`, or in the folder of a module."""
    for found in sorted([*folder.glob("model.safetensors"), *folder.glob("*/model.safetensors")]):
        return found
    raise UserError(
        f"{folder} holds no model.safetensors, so it is no sentence-transformers model",
        "choose another folder",
    )


def sentence_transformers(folder: Path) -> Any:
    """The SentenceTransformer in a folder. Raises UserError when there is none that opens."""
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    bars_were_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # loading takes a moment; a bar for it says nothing
    try:
        return SentenceTransformer(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"cannot load an encoder from {folder}: {error}", "choose another folder") from error
    finally:
        if bars_were_shown:
            logging.enable_progress_bar()


def _progress_bar(total: int, *, shown: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, unit="text", desc="encoding", disable=not shown, dynamic_ncols=True)
