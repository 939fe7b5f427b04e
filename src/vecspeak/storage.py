"""Files that are either the old or the new whole, never half: write beside, flush to the disk, then rename.

Knows files, folders and JSON. Knows nothing of what they hold.

What a kill (or a power cut) leaves behind:

- `replace_file`: the old file, or the new one; beside it perhaps a temporary `.NAME.TOKEN.new`.
- `replace_folder`, while the new folder is being written: the old folder, and `.NAME.TOKEN.new` beside it.
- `replace_folder`, between its two renames: nothing at the path, the old folder whole at `.NAME.TOKEN.old`
  and the new one whole at `.NAME.TOKEN.new`.
- `replace_folder`, after its renames: the new folder, and perhaps the rest of the old at `.NAME.TOKEN.old`.

`recover` brings each of these back to one whole file or folder, the old one in the third case, and removes
the leftovers. Both functions call it first; whoever opens a folder that `replace_folder` made calls it too.
It does not touch what a living process is still writing: a writer holds a lock on its temporary (where the
system has `flock`; elsewhere temporaries stay until they are removed by hand).
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vecspeak.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_CAUSES = {
    errno.ENOSPC: ("no space is left on the device", "free some space or choose another place"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or choose another place"),
    errno.EFBIG: ("the file is too large for this disk", "choose another place"),
    errno.EACCES: ("permission denied", "choose a place that you may write to"),
    errno.EPERM: ("permission denied", "choose a place that you may write to"),
    errno.EROFS: ("the disk is read-only", "choose a place that you may write to"),
    errno.ENOENT: ("its folder does not exist", "make the folder first or choose another place"),
    errno.ENOTDIR: ("its folder is a file", "choose another place"),
    errno.ENOTEMPTY: ("another process wrote it at the same time", "run this again"),
    errno.EEXIST: ("another process wrote it at the same time", "run this again"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter name"),
    errno.EIO: ("the disk reports an error", "choose another place"),
}


@contextlib.contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary file to write; put it in the place of the path when the block ends well.

    When the block raises anything, KeyboardInterrupt included, the temporary is removed and what was at the
    path stays as it was. A full disk, a missing folder or missing rights raise UserError.
    """
    check_target(path)
    target = Path(os.path.realpath(path))
    recover(target)
    temporary = _beside(target, "new")
    with _explained(path, target), _removed_at_the_end(temporary):
        temporary.touch(exist_ok=False)
        if target.exists():
            shutil.copymode(target, temporary)
        with _held(temporary):
            yield temporary
            _flush(temporary)
            os.replace(temporary, target)
        _flush_folder(target.parent)


def check_target(path: str | Path) -> None:
    """Raise UserError when a file cannot be written here: for use before long work whose result goes here."""
    target = Path(os.path.realpath(path))
    _check_plain(path, target)
    if not target.parent.is_dir():
        cause, hint = _CAUSES[errno.ENOENT]
        raise UserError(f"cannot write {path}: {cause}; nothing was written", hint)


def _check_plain(path: str | Path, target: Path) -> None:
    """Refuse a folder, and what only looks like a file: a rename would take a device's or a pipe's place."""
    if target.is_dir():
        raise UserError(f"cannot write {path}: it is a folder", "give the name of a file")
    if target.exists() and not target.is_file():
        raise UserError(
            f"cannot write {path}: it is a device or a pipe, not a plain file", "give the name of a file"
        )


@contextlib.contextmanager
def replace_folder(path: str | Path, *, marker: str = "manifest.json") -> Iterator[Path]:
    """Give a temporary folder to fill; put it in the place of the path when the block ends well.

    When the block raises anything, the temporary is removed and the old folder stays. A folder that holds
    files but not the marker was not made by us and is refused with UserError, so that a mistyped path cannot
    wipe it. The module's docstring says what a kill leaves.
    """
    target = Path(os.path.realpath(path))
    recover(target)
    _check_replaceable(path, target, marker)
    temporary = _beside(target, "new")
    with _explained(path, target), _removed_at_the_end(temporary):
        temporary.mkdir()
        with _held(temporary):
            yield temporary
            for inside in sorted(temporary.rglob("*")):
                _flush_folder(inside) if inside.is_dir() else _flush(inside)
            _flush_folder(temporary)
            _swap(temporary, target)
        _flush_folder(target.parent)


@contextlib.contextmanager
def exclusive(path: str | Path) -> Iterator[None]:
    """Let one process at a time read, change and replace what is at the path: the others wait.

    Without it the later of two writers would put back what it read before the earlier one was done. The lock
    is a small file `.NAME.lock` beside the path, which stays. Where the system has no `flock`, nothing waits.
    """
    target = Path(os.path.realpath(path))
    if fcntl is None:
        yield
        return
    with _explained(path, target):
        descriptor = os.open(target.parent / f".{target.name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with contextlib.suppress(OSError):  # a disk without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder's files one by one, so that a full disk is an OSError that names its file."""
    for path in sorted(source.rglob("*")):
        beside = target / path.relative_to(source)
        if path.is_dir():
            beside.mkdir(parents=True, exist_ok=True)
        else:
            beside.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as read, beside.open("wb") as written:
                shutil.copyfileobj(read, written)


def recover(path: str | Path) -> None:
    """Clean up what a killed `replace_file` or `replace_folder` of this path left; nothing to do is fine.

    When the path itself is missing and the old folder still lies beside it, that is renamed back. Leftovers
    in places that may not be written to are left alone.
    """
    target = Path(os.path.realpath(path))
    with contextlib.suppress(OSError):
        for old in _leftovers(target, "old"):
            if target.exists():
                _remove(old)
            else:
                os.rename(old, target)
        for new in _leftovers(target, "new"):
            if _is_abandoned(new):
                _remove(new)


def package_folder(package: str) -> Path | None:
    """Where an installed package's files lie; None where it is not installed. It is found, not imported."""
    spec = find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hex; raises UserError when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as indented UTF-8 JSON, whole or not at all; NaN and infinities are refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with replace_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; a missing, unreadable or broken one raises UserError with its path."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error})", "restore the file or make it again") from error


def _unreadable(path: str | Path, error: OSError) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"there is no file {path}", "check the path")
    return UserError(f"cannot read {path}: {error.strerror or error}", "check the path and its permissions")


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.{ending}")


def _leftovers(target: Path, ending: str) -> list[Path]:
    pattern = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{8}}\.{ending}")
    with os.scandir(target.parent) as entries:
        return sorted(Path(entry.path) for entry in entries if pattern.fullmatch(entry.name))


def _check_replaceable(path: str | Path, target: Path, marker: str) -> None:
    if target.is_file():
        raise UserError(f"cannot write the folder {path}: it is a file", "give the name of a folder")
    if target.is_dir() and not (target / marker).is_file() and any(target.iterdir()):
        raise UserError(
            f"will not replace the folder {path}: it holds other files and no {marker}",
            "give the name of a new folder",
        )


def _swap(temporary: Path, target: Path) -> None:
    """Put the temporary folder in the target's place; on any failure the old one is back."""
    old = _beside(target, "old")
    try:
        if target.exists():
            os.rename(target, old)
        os.rename(temporary, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.rename(old, target)
        raise
    finally:
        if old.exists() and target.exists():
            shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _removed_at_the_end(temporary: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _held(temporary: Path) -> Iterator[None]:
    """Lock the temporary for as long as it is written, so that nobody takes it for a leftover."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a disk without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _is_abandoned(temporary: Path) -> bool:
    if fcntl is None:
        return False
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _flush(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    """Flush a folder's entries, so that a rename outlives a power cut; not every system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _explained(path: str | Path, target: Path) -> Iterator[None]:
    """Turn a failure to write the path into UserError; other errors, such as reading another file, pass."""
    existed = target.exists()
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        cause = _CAUSES.get(_errno_of(error)) if _is_about(error, target) else None
        if cause is None:
            raise
        rest = "what was there is intact" if existed else "nothing was written"
        raise UserError(f"cannot write {path}: {cause[0]}; {rest}", cause[1]) from error


def _errno_of(error: Exception) -> int:
    """The system's error number; libraries in Rust, such as safetensors, have it only in their message."""
    if isinstance(error, OSError):
        return error.errno or 0
    written = re.search(r"\(os error (\d+)\)", str(error))
    return int(written.group(1)) if written else 0


def _is_about(error: Exception, target: Path) -> bool:
    """Whether the file that the error names, if it names one, is the target or lies in a temporary of it."""
    named = getattr(error, "filename", None)
    return named is None or str(named) == str(target) or f"{os.sep}.{target.name}." in str(named)


class Journal:
    """The file at a path; it need not be there yet."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def rows(self) -> Iterator[Any]:
        """The value of every whole line, in order; a line that is no JSON is passed over."""
        if not self.path.exists():
            return
        for line in self.path.read_bytes().split(b"\n")[:-1]:
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                continue

    def append(self, rows: Iterable[Any]) -> None:
        """Add a line for each value."""
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        with exclusive(self.path), self.path.open("ab+") as file:
            file.truncate(_whole(file.fileno()))
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())


def _whole(descriptor: int) -> int:
    """Bytes of the whole lines: up to and with the last line's end, which is looked for from the back."""
    size = os.fstat(descriptor).st_size
    at = size
    while at > 0:
        start = max(0, at - 65_536)
        found = os.pread(descriptor, at - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0


try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def alone(lock: Path, busy: UserError, option: str = "--out") -> Iterator[None]:
    """Raise `busy` where another process holds the lock; keep others out until the end.

    Raises UserError, naming the `option` that gave the folder, where the lock's file cannot be made.
    """
    if fcntl is None:
        yield
        return
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(
            f"cannot write into {lock.parent}: {error.strerror}",
            f"give a folder to {option} that you may write to",
        ) from error
    try:
        _lock(descriptor, busy)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, busy: UserError) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise busy from error
    except OSError:  # a disk without locks
        return
