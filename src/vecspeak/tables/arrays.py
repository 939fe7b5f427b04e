"""Files of vectors alone, or of vectors and what each belongs to: arrays, tensors, word vectors.

Read without unpickling anything: an array of objects and a PyTorch file that holds more than tensors are refused.
Large float32 of `.npy`, `.npz` (as np.savez writes it) and `.safetensors` stay in their file and are mapped.
"""

import contextlib
import io
import json
import math
import tokenize
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from vecspeak.bounds import MemoryGauge, check_memory, shown_bytes
from vecspeak.errors import UserError, did_you_mean, first_line, listed, shown_value
from vecspeak.tables.convert import is_own, own
from vecspeak.tables.mapped import is_large, mapped
from vecspeak.tables.packed import COMPRESSED, unpacked

ARRAY_ENDINGS = (".npy", ".npz", ".safetensors", ".pt", ".pth")
"""Endings of files that hold vectors and need a table beside them, or bring ids of their own."""
WORD_ENDINGS = (".vec", ".glove", ".w2v", ".txt", ".bin")
"""Endings of word vectors: a word a line, or word2vec's binary form."""
_MAPPED = 1 << 20
"""Bytes above which an array's file is mapped, not read."""
_BROKEN = (ValueError, OSError, EOFError, ArithmeticError, MemoryError, SyntaxError, tokenize.TokenError)
_WORD = "word"
_LONGEST_WORD, _LONGEST_LINE = 1 << 12, 1 << 24
_A_ROW = 250
"""Bytes that a word takes beside its letters and numbers while it is read."""


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
    size = path.stat().st_size
    mode: Literal["r"] | None = "r" if size > _MAPPED else None
    try:
        with path.open("rb") as file:
            _check_header(path, file, size)
        array = np.load(path, allow_pickle=False, mmap_mode=mode)
        if isinstance(array, np.memmap):
            return own(np.asarray(array)) if _stays(array) else _copied(path, array)
        if isinstance(array, np.ndarray):
            return own(array)
        raise ValueError("it is an archive of several arrays")
    except UserError:
        raise
    except _BROKEN as error:
        if "Object arrays" in str(error):
            raise _objects(path) from error
        raise broken(path, error, "a plain .npy array") from error


def _stays(array: np.ndarray) -> bool:
    """Whether an array of a file is mapped: a copy of it would take too much memory."""
    fits = array.ndim == 2 and array.dtype == np.dtype("<f4") and array.flags.c_contiguous
    return fits and is_large(*array.shape)


def _check_header(path: Path, file: Any, size: int) -> None:
    """Raise ValueError where an array has more numbers than its file of this size; other formats are left alone."""
    try:
        shape, _, dtype = _header(file)
    except ValueError:
        return
    if not dtype.hasobject and (dtype.itemsize == 0 or math.prod(shape) * dtype.itemsize > size):
        raise ValueError(
            f"it says that it holds {dtype} of shape {shown_value(str(list(shape)))}, and has {shown_bytes(size)}"
        )


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of an array of NumPy's form."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _copied(path: Path, mapped: np.memmap) -> np.ndarray:
    """What lies in the file now, read-only: a space must not change with a file. Numbers become float32."""
    check_memory(path, 4 * mapped.size)
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
            entries = {one.filename: one for one in file.zip.infolist()}
            packed = [one for one in entries.values() if not _may_be_mapped(one)]
            check_memory(path, sum(one.file_size for one in packed))
            for one in packed:
                with file.zip.open(one) as member:
                    _check_header(path, member, one.file_size)
            found = {
                name: _mapped_member(path, file, name, entries.get(f"{name}.npy")) for name in file.files
            }
    except UserError:
        raise
    except _BROKEN as error:
        if "Object arrays" in str(error):
            raise _objects(path) from error
        raise broken(path, error, "an .npz of arrays") from error
    except Exception as error:  # zipfile.BadZipFile, zlib.error: what a cut archive raises
        raise broken(path, error, "an .npz of arrays") from error
    for name, array in found.items():
        if not isinstance(array, np.ndarray):
            hint = "save arrays alone: np.savez(PATH, vectors=VECTORS)"
            raise UserError(f"{path} holds {shown_value(name)}, which is no array", hint)
    return found


def _may_be_mapped(entry: zipfile.ZipInfo) -> bool:
    return entry.compress_type == zipfile.ZIP_STORED and is_large(entry.file_size // 4, 1)


def _mapped_member(path: Path, file: Any, name: str, entry: zipfile.ZipInfo | None) -> np.ndarray:
    """An array of an archive: mapped where it is large and not packed, else read."""
    if entry is None or not _may_be_mapped(entry):
        return file[name]
    with path.open("rb") as archive:
        archive.seek(entry.header_offset + 26)  # behind the entry's own header: its name and what is extra
        lengths = archive.read(4)
        archive.seek(int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little"), 1)
        shape, is_fortran, dtype = _header(archive)
        if len(shape) == 2 and not is_fortran and dtype == np.dtype("<f4"):
            return mapped(path, (shape[0], shape[1]), archive.tell())
        check_memory(path, entry.file_size)
        return file[name]


def _pick(path: Path, arrays: Mapping[str, np.ndarray], name: str | None, what: str) -> Vectors:
    """The vectors by their name, or the only array [N, D] of numbers; arrays of N values beside them are columns."""
    shapes = {key: list(array.shape) for key, array in arrays.items()}
    key_of_vectors = choose(
        path, shapes, name, what, {key for key, array in arrays.items() if array.dtype.kind in "fiu"}
    )
    vectors = arrays[key_of_vectors]
    if not is_own(vectors):  # a tensor may repeat its numbers
        check_memory(path, vectors.nbytes)
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
            check_memory(path, 0 if stays else 4 * math.prod(shape))
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

    with (
        contextlib.suppress(zipfile.BadZipFile),
        zipfile.ZipFile(path) as archive,
    ):  # an older form packs nothing
        check_memory(path, sum(one.file_size for one in archive.infolist()))
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # an error of its own for whatever is more than tensors
        is_advice = "weights_only" in str(error)  # torch tells how to run what is not trusted
        why = "it is broken, or a pickle that could run code" if is_advice else first_line(error)
        raise UserError(
            f"{path} is no PyTorch file of tensors alone: {why}",
            "save the embedding table: torch.save(module.weight.detach(), PATH), or as safetensors",
        ) from error
    named = {"tensor": found} if isinstance(found, torch.Tensor) else found
    if not isinstance(named, Mapping) or not all(isinstance(key, str) for key in named):
        raise UserError(
            f"{path} holds {type(found).__name__}", "save a tensor [N, D], or a dictionary of tensors"
        )
    tensors = {key: one for key, one in named.items() if isinstance(one, torch.Tensor)}
    others = {key: why for key, one in tensors.items() if (why := _not_plain(one))}
    if others and len(others) == len(tensors):
        held = listed((f"{shown_value(key)} is {why}" for key, why in others.items()), 5)
        raise UserError(f"{path} holds no plain tensor: {held}", "save plain numbers [N, D] as float32")
    tensors = {key: one for key, one in tensors.items() if key not in others}
    check_memory(path, sum(one.numel() for one in tensors.values() if one.is_floating_point()) * 4)
    return {
        key: (one.float() if one.is_floating_point() else one).detach().cpu().numpy()
        for key, one in tensors.items()
    }


def _not_plain(tensor: Any) -> str:
    """Why a tensor is no array of real numbers; empty for one that is."""
    if tensor.is_meta:
        return "without numbers (meta)"
    if tensor.is_quantized:
        return "quantized"
    if tensor.is_complex():
        return "of complex numbers"
    layout = str(tensor.layout).removeprefix("torch.")
    return "nested" if tensor.is_nested else "" if layout == "strided" else layout


def _read_words(path: Path) -> Vectors:
    """Word vectors: word2vec's and GloVe's text, and word2vec's binary form; they may be packed."""
    is_binary = ".bin" in (path.suffix.lower(), Path(path.stem).suffix.lower())
    with unpacked(path) as file:
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
    width, is_head, overlong, gauge = head[1] if head else 0, bool(head), 0, MemoryGauge(path)
    with io.TextIOWrapper(unpacked(path), encoding="utf-8-sig", errors="strict", newline="\n") as file:
        try:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), ""), start=1):
                gauge.add(_A_ROW + len(line))
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


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False


def _read_binary_words(path: Path, start: int, count: int, width: int) -> Vectors:
    """A word, a blank and D float32, one after another."""
    check_memory(path, path.stat().st_size)
    with unpacked(path) as file:
        data, place = file.read(), start
    if count * (4 * width + 1) > len(data):
        raise UserError(
            f"{path} says that it has {count:,} words of {width:,} numbers, and is too short for them",
            "copy it again",
        )
    check_memory(path, len(data) + count * (4 * width + _A_ROW))
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
