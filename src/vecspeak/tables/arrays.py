"""Files of vectors alone, or of vectors and what each belongs to: arrays, tensors, word vectors.

Read without unpickling anything: an array of objects and a PyTorch file that holds more than tensors are refused.
Large float32 of `.npy`, `.npz` (as np.savez writes it) and `.safetensors` stay in their file and are mapped.
"""

import io
import json
import tokenize
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError, did_you_mean, first_line
from vecspeak.tables.convert import is_own, own
from vecspeak.tables.mapped import is_large, mapped

ARRAY_ENDINGS = (".npy", ".npz", ".safetensors", ".pt", ".pth")
"""Endings of files that hold vectors and need a table beside them, or bring ids of their own."""
WORD_ENDINGS = (".vec", ".glove", ".w2v", ".txt", ".bin")
"""Endings of word vectors: a word a line, or word2vec's binary form."""
COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""May follow the ending of a table of text or of word vectors, which is then unpacked as it is read."""
_MAPPED = 1 << 20
"""Bytes above which an array's file is mapped, not read."""
_BROKEN = (ValueError, OSError, EOFError, ArithmeticError, MemoryError, SyntaxError, tokenize.TokenError)
_WORD = "word"
_LONGEST_WORD = 1 << 12


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Vectors of a file, and the columns that the file has for their rows."""

    vectors: np.ndarray
    """[N, D]."""
    columns: Mapping[str, pa.Array] = field(default_factory=dict)
    """Of N values each, such as ids; empty where the file has vectors only."""


def read_vectors_file(path: Path, name: str | None = None) -> Vectors:
    """Vectors [N, D] of a file by its ending; `name` is that of one array of several.

    Raises UserError for a broken file, another shape, and where `name` is missing or unknown.
    """
    suffix = path.suffix.lower()
    if suffix in COMPRESSED or (suffix in WORD_ENDINGS and not _is_torch(path)):
        return _read_words(path)
    if suffix == ".npy":
        found = Vectors(_read_npy(path))
    elif suffix == ".npz":
        found = _pick(path, _read_npz(path), name, "arrays")
    elif suffix == ".safetensors":
        found = Vectors(_read_safetensors(path, name))
    else:
        found = _pick(path, _read_torch(path), name, "tensors")
    if found.vectors.dtype.kind not in "fiu":
        raise UserError(f"{path} holds {found.vectors.dtype}, not numbers", "save vectors as float32")
    if found.vectors.ndim == 2 and 0 in found.vectors.shape:
        raise UserError(
            f"{path} is empty: its shape is {list(found.vectors.shape)}", "give one vector or more"
        )
    if found.vectors.ndim != 2:
        raise UserError(
            f"{path} holds an array of shape {list(found.vectors.shape)}", "give one of shape [N, D]"
        )
    return found


def read_array(path: Path) -> np.ndarray:
    """An array of any shape from a `.npy` file. Raises UserError for a broken file, never unpickles."""
    return _read_npy(path)


def _read_npy(path: Path) -> np.ndarray:
    # A large one is mapped, so that one of float64 is never in memory beside its float32.
    mode: Literal["r"] | None = "r" if path.stat().st_size > _MAPPED else None
    try:
        array = np.load(path, allow_pickle=False, mmap_mode=mode)
        if isinstance(array, np.memmap):
            return own(np.asarray(array)) if _stays(array) else _copied(array)
        if isinstance(array, np.ndarray):
            return own(array)
        raise ValueError("it is an archive of several arrays")
    except _BROKEN as error:
        if "Object arrays" in str(error):
            raise _objects(path) from error
        raise broken(path, error, "a plain .npy array") from error


def _stays(array: np.ndarray) -> bool:
    """Whether an array of a file is mapped: a copy of it would take too much memory."""
    fits = array.ndim == 2 and array.dtype == np.dtype("<f4") and array.flags.c_contiguous
    return fits and is_large(*array.shape)


def _copied(mapped: np.memmap) -> np.ndarray:
    """What lies in the file now, read-only: a space must not change with a file. Numbers become float32."""
    with np.errstate(over="ignore"):
        return own(np.array(mapped, dtype=np.float32 if mapped.dtype.kind in "fiu" else None, order="C"))


def _objects(path: Path) -> UserError:
    return UserError(
        f"{path} holds Python objects, which are not read: they could run code",
        "save the numbers alone: np.save(PATH, np.stack(rows)), and ids or texts in a table",
    )


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: _mapped_member(path, file, name) for name in file.files}
    except _BROKEN as error:
        if "Object arrays" in str(error):
            raise _objects(path) from error
        raise broken(path, error, "an .npz of arrays") from error
    except Exception as error:  # zipfile.BadZipFile, zlib.error: what a cut archive raises
        raise broken(path, error, "an .npz of arrays") from error


def _mapped_member(path: Path, file: Any, name: str) -> np.ndarray:
    """An array of an archive: mapped where it is large and not packed, else read."""
    entry = next((one for one in file.zip.infolist() if one.filename == f"{name}.npy"), None)
    if entry is None or entry.compress_type != zipfile.ZIP_STORED or not is_large(entry.file_size // 4, 1):
        return file[name]
    with path.open("rb") as archive:
        archive.seek(entry.header_offset + 26)  # behind the entry's own header: its name and what is extra
        lengths = archive.read(4)
        archive.seek(int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little"), 1)
        version = np.lib.format.read_magic(archive)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, is_fortran, dtype = read(archive)
        fits = len(shape) == 2 and not is_fortran and dtype == np.dtype("<f4")
        return mapped(path, (shape[0], shape[1]), archive.tell()) if fits else file[name]


def _pick(path: Path, arrays: Mapping[str, np.ndarray], name: str | None, what: str) -> Vectors:
    """The vectors by their name, or the only array [N, D] of numbers; arrays of N values beside them are columns."""
    shapes = {key: list(array.shape) for key, array in arrays.items()}
    key_of_vectors = choose(
        path, shapes, name, what, {key for key, array in arrays.items() if array.dtype.kind in "fiu"}
    )
    vectors = arrays[key_of_vectors]
    columns = {
        key: pa.array(array.tolist())
        for key, array in arrays.items()
        if key != key_of_vectors and array.shape == vectors.shape[:1] and array.dtype.kind in "iufUSb"
    }
    return Vectors(vectors if is_own(vectors) else own(np.array(vectors)), columns)


def choose(
    path: Path, shapes: Mapping[str, list[int]], name: str | None, what: str, numbers: set[str] | None = None
) -> str:
    """The array of that name, or the only one of shape [N, D]. Raises UserError with the names there are."""
    if name is not None and name in shapes:
        return name
    tables = [key for key, shape in shapes.items() if len(shape) == 2 and (numbers is None or key in numbers)]
    if name is None and len(tables) == 1:
        return tables[0]
    one = what.removesuffix("s")
    given = f"no {one} {name!r}" if name is not None else f"{len(tables)} {what} of shape [N, D]"
    named = ", ".join(f"{key} {shape}" for key, shape in list(shapes.items())[:20]) or "none"
    hint = did_you_mean(name or "", tables, "name the one that holds the vectors with `vector`")
    raise UserError(f"{path} has {given}; its {what} are {named}", hint)


def _read_safetensors(path: Path, name: str | None) -> np.ndarray:
    """One tensor, also of bfloat16, which NumPy has not: it is the upper half of a float32."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            key_of_vectors = choose(
                path, {key: file.get_slice(key).get_shape() for key in file.keys()}, name, "tensors"
            )
            found = file.get_slice(key_of_vectors)
            kind, shape = found.get_dtype(), found.get_shape()
            stays = kind == "F32" and len(shape) == 2 and is_large(*shape)
            if kind != "BF16" and not stays:
                return own(np.asarray(file.get_tensor(key_of_vectors)))
        if stays:
            return mapped(path, (shape[0], shape[1]), _tensor_start(path, key_of_vectors))
        return _read_bfloat16(path, key_of_vectors, shape)
    except UserError:
        raise
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise broken(path, error, "safetensors of float16, bfloat16, float32 or float64") from error


def _tensor_start(path: Path, name: str) -> int:
    """Where a tensor's numbers begin, by the file's header: its length in 8 bytes, JSON with places, the numbers."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return int(8 + length + json.loads(file.read(length))[name]["data_offsets"][0])


def _read_bfloat16(path: Path, name: str, shape: list[int]) -> np.ndarray:
    halves = np.memmap(path, dtype="<u2", mode="r", offset=_tensor_start(path, name), shape=tuple(shape))
    return own((halves.astype(np.uint32) << 16).view(np.float32))


def _is_torch(path: Path) -> bool:
    """Whether a file called .bin is PyTorch's, which is a zip archive, and not word2vec's."""
    with path.open("rb") as file:
        return path.suffix.lower() == ".bin" and file.read(2) == b"PK"


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    """A tensor, or a dictionary of them such as a network's state. Nothing else is unpickled."""
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # an error of its own for whatever is more than tensors
        raise UserError(
            f"{path} is no PyTorch file of tensors alone: {first_line(error)}",
            "save the embedding table: torch.save(module.weight.detach(), PATH)",
        ) from error
    named = {"tensor": found} if isinstance(found, torch.Tensor) else found
    if not isinstance(named, Mapping) or not all(isinstance(key, str) for key in named):
        raise UserError(
            f"{path} holds {type(found).__name__}", "save a tensor [N, D], or a dictionary of tensors"
        )
    tensors = {key: one for key, one in named.items() if isinstance(one, torch.Tensor) and not one.is_sparse}
    return {
        key: (one.float() if one.is_floating_point() else one).detach().cpu().numpy()
        for key, one in tensors.items()
    }


def _read_words(path: Path) -> Vectors:
    """Word vectors: word2vec's and GloVe's text, and word2vec's binary form; they may be packed."""
    is_binary = ".bin" in (path.suffix.lower(), Path(path.stem).suffix.lower())
    with _unpacked(path) as file:
        first = file.readline(_LONGEST_WORD).removeprefix(b"\xef\xbb\xbf")
        while first and not first.strip():
            first = file.readline(_LONGEST_WORD)
    try:
        head = [int(one) for one in first.split()]
    except ValueError:
        head = []
    if len(head) == 2 and min(head) < 1:
        raise UserError(
            f"{path} says that it has {head[0]:,} words of {head[1]:,} numbers", "mend its first line"
        )
    if len(head) == 2 and is_binary:
        return _read_binary_words(path, len(first), head[0], head[1])
    return _read_text_words(path, head if len(head) == 2 else None)


def _read_text_words(path: Path, head: list[int] | None) -> Vectors:
    """A word and D numbers a line; a first line of two whole numbers says how many and how wide."""
    words: list[str] = []
    rows: list[np.ndarray] = []
    width, is_head, overlong = head[1] if head else 0, bool(head), 0
    with io.TextIOWrapper(_unpacked(path), encoding="utf-8-sig", errors="strict", newline="\n") as file:
        try:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                if is_head:
                    is_head = False
                    continue
                parts = line.split()
                width = width or len(parts) - 1
                if len(parts) <= width or width < 1:
                    raise UserError(
                        f"{path} is no file of word vectors: line {number:,} has {len(parts) - 1} numbers, not {width}",
                        "a line is a word and its numbers, separated by blanks",
                    )
                overlong += len(parts) > width + 1 and _is_number(parts[-width - 1])
                words.append(" ".join(parts[:-width]))
                rows.append(np.array(parts[-width:], dtype=np.float32))
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is not UTF-8", "save it again as UTF-8") from error
        except ValueError as error:
            if isinstance(error, UserError):
                raise
            raise UserError(
                f"{path} is no file of word vectors: line {number:,} has {first_line(error)}",
                "a line is a word and its numbers; give another table as .csv, .tsv or .jsonl",
            ) from error
    if overlong and overlong == len(words):
        raise UserError(
            f"{path} says that vectors have {width} numbers, and every line has more", "mend its first line"
        )
    return _words(path, words, np.array(rows, dtype=np.float32), head)


def _unpacked(path: Path) -> io.BufferedReader:
    """The bytes of a file, unpacked as they are read where its ending says that they are packed."""
    packed = COMPRESSED.get(path.suffix.lower())
    return io.BufferedReader(pa.input_stream(str(path), compression=packed)) if packed else path.open("rb")


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False


def _read_binary_words(path: Path, start: int, count: int, width: int) -> Vectors:
    """A word, a blank and D float32, one after another."""
    with _unpacked(path) as file:
        data, place = file.read(), start
    if count * (4 * width + 1) > len(data):
        raise UserError(
            f"{path} says that it has {count:,} words of {width:,} numbers, and is too short for them",
            "copy it again",
        )
    words, vectors = [], np.empty((count, width), dtype=np.float32)
    for row in range(count):
        end = data.find(b" ", place, place + _LONGEST_WORD)
        stop = end + 1 + 4 * width
        if end < 0 or stop > len(data):
            raise UserError(
                f"{path} ends within word {row + 1:,} of the {count:,} that its first line tells",
                "copy it again",
            )
        words.append(data[place:end].lstrip(b"\n").decode(errors="replace"))
        vectors[row] = np.frombuffer(data, dtype="<f4", count=width, offset=end + 1)
        place = stop
    return _words(path, words, vectors, [count, width])


def _words(path: Path, words: list[str], vectors: np.ndarray, head: list[int] | None) -> Vectors:
    if not words:
        raise UserError(f"{path} holds no word vectors", "give a file with one line or more")
    if head and len(words) != head[0]:
        raise UserError(
            f"{path} says that it has {head[0]:,} words, and holds {len(words):,}",
            "copy it again, or mend its first line",
        )
    return Vectors(own(vectors), {_WORD: pa.array(words)})


def broken(path: Path, error: Exception, wanted: str) -> UserError:
    """The error for a file that is not what its ending says."""
    return UserError(f"cannot read {path} as {wanted}: {first_line(error)}", "check that the file is whole")
