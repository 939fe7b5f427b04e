"""Files, caches and locks that survive a kill at any moment.

A file or folder is either the old or the new one, never half: write to a temporary, flush it, then rename.
What a kill (or a power cut) leaves behind:

- `replace_file`: the old file, or the new one; beside it perhaps a temporary `.NAME.TOKEN.new`.
- `replace_folder`, while the new folder is being written: the old folder, and `.NAME.TOKEN.new` beside it.
- `replace_folder`, between its two renames: nothing at the path, the old folder whole at `.NAME.TOKEN.old`
  and the new one whole at `.NAME.TOKEN.new`.
- `replace_folder`, after its renames: the new folder, and perhaps the rest of the old at `.NAME.TOKEN.old`.
- `scratch_folder`: `.NAME.TOKEN.new`, with anything in it.

`recover` brings each of these back to one whole file or folder, the old one in the third case, and removes
the leftovers. The functions call it first; whoever opens a folder that `replace_folder` made calls it too.
`recover_all` does so for every name in a folder: where names are digests, the next run writes others.
Neither touches what a living process is still writing: a writer holds a lock on its temporary (where the
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
import socket
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from vecspeak.bounds import parse_json, read_data
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
    errno.EIO: ("the disk reports an error", "see whether it is full, or choose another place"),
}
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
"""What disks say that cannot lock: work goes on without a lock there."""
_LOCKED: set[tuple[int, int, str]] = set()
"""Locks that are held here: by process (a fork inherits the set, not the locks), thread and file."""
_LEFTOVER = re.compile(r"\.(.+)\.[0-9a-f]{8}\.(?:new|old)", re.DOTALL)
"""What a temporary is called: the name of what it was to become, a token, an ending."""
T = TypeVar("T")


@contextlib.contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary file to write; put it in the place of the path when the block ends well.

    When the block raises anything, KeyboardInterrupt included, the temporary is removed and what was at the
    path stays as it was. A full disk, a missing folder or missing rights raise UserError.
    """
    check_target(path)
    target = Path(os.path.realpath(path))
    recover(target)
    with _explained(path, target):
        with _temporary(target, lambda new: new.touch(exist_ok=False)) as temporary:
            if target.exists():
                shutil.copymode(target, temporary)
            yield temporary
            _flush(temporary)
            os.replace(temporary, target)
        _flush_folder(target.parent)


def check_target(path: str | Path) -> None:
    """Raise UserError when a file cannot be written here: for use before long work whose result goes here."""
    target = Path(os.path.realpath(path))
    _check_plain(path, target)
    check_folder_of(path)


def check_folder_of(path: str | Path) -> None:
    """Raise UserError when the folder that a file or folder is to stand in is missing, or may not be written to."""
    parent = Path(os.path.realpath(path)).parent
    if not parent.is_dir():
        cause, hint = _CAUSES[errno.ENOENT]
    elif not os.access(parent, os.W_OK):
        cause, hint = f"its folder {parent} may not be written to", _CAUSES[errno.EACCES][1]
    else:
        return
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
    with _explained(path, target):
        with _temporary(target, Path.mkdir) as temporary:
            yield temporary
            for inside in sorted(temporary.rglob("*")):
                _flush_folder(inside) if inside.is_dir() else _flush(inside)
            _flush_folder(temporary)
            _swap(temporary, target)
        _flush_folder(target.parent)


@contextlib.contextmanager
def scratch_folder(path: str | Path) -> Iterator[Path]:
    """Give an empty folder beside a path, on its disk, for parts of what is made there; it goes with the block.

    What a kill leaves of it is removed by `recover(path)`. Raises UserError where it cannot be made.
    """
    target = Path(os.path.realpath(path))
    recover(target)
    with _explained(path, target), _temporary(target, Path.mkdir) as temporary:
        yield temporary


@contextlib.contextmanager
def lock(path: str | Path, *, busy: str = "") -> Iterator[None]:
    """Let one process at a time work on a file or folder, which need not exist yet; the others wait.

    Without it the later of two writers would put back what it read before the earlier one was done. With `busy`
    (such as "another run is in work/") nobody waits: UserError begins with that message, names the process that
    holds the lock and says what to do. The lock is a small file `.NAME.lock` next to the path, which stays.
    A thread that holds it already goes on: a bundle may be saved while it is edited.
    """
    from filelock import FileLock, Timeout  # 0.1 s, which reading a file does not wait for

    target = Path(os.path.realpath(path))
    file = target.parent / f".{target.name}.lock"
    owner = (os.getpid(), threading.get_ident(), str(file))
    if owner in _LOCKED and not busy:
        yield
        return
    held = FileLock(file, thread_local=False)
    try:
        with _explained(path, target):
            held.acquire(timeout=0 if busy else -1)
    except Timeout as error:
        raise UserError(f"{busy} ({_holder(file)})", "wait for its end, or choose another place") from error
    # filelock raises NotImplementedError on a system without locks
    except (OSError, NotImplementedError) as error:
        if getattr(error, "errno", errno.ENOSYS) not in _NO_LOCKS:
            raise
    try:
        if held.is_locked:
            with contextlib.suppress(OSError):  # only for the message: the lock holds without it
                file.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        _LOCKED.add(owner)
        yield
    finally:
        _LOCKED.discard(owner)
        held.release()


def _holder(file: Path) -> str:
    """Who wrote the lock's file last: its holder, unless it is just starting."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8")[:200] or "another process"
    return "another process"


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
        is_written = False
        for new in _leftovers(target, "new"):
            with _held(new) as abandoned:
                if abandoned:
                    _remove(new)
                is_written |= not abandoned
        if is_written:
            _wait_for(target)  # a living writer may be between its two renames
        for old in _leftovers(target, "old"):
            if target.exists():
                _remove(old)
            else:
                os.rename(old, target)


def _wait_for(target: Path, seconds: float = 1.0) -> None:
    """Until the path is there, where an old folder lies beside it; no longer than a rename can take."""
    end = time.monotonic() + seconds
    while _leftovers(target, "old") and not target.exists() and time.monotonic() < end:
        time.sleep(0.01)


@contextlib.contextmanager
def replace_pair(first: Path, second: Path, *, key: str) -> Iterator[tuple[Path, Path]]:
    """Give two temporary files; put them in the places of two that belong together when the block ends well.

    `key` is a digest of the first one's content, which can be read in it. The new second file waits under that key
    beside the old one; then the first is renamed, which decides; then the second. A kill leaves both old ones, or the
    new first with a second that waits: `second_of_pair` finds it, `finish_pair` finishes or cleans. Whoever writes
    holds a lock on the first.
    """
    first, second = (Path(os.path.realpath(one)) for one in (first, second))
    for target in (first, second):
        check_target(target)
        recover(target)
    waiting = _waiting(second, key)
    with _explained(first, first), _explained(second, second), contextlib.ExitStack() as stack:
        new_first, new_second = (
            stack.enter_context(_temporary(one, lambda new: new.touch(exist_ok=False)))
            for one in (first, second)
        )
        for old, new in ((first, new_first), (second, new_second)):
            if old.exists():
                shutil.copymode(old, new)
        yield new_first, new_second
        for new in (new_first, new_second):
            _flush(new)
        os.replace(new_second, waiting)
        try:
            _flush_folder(second.parent)
            os.replace(new_first, first)
        except BaseException:
            _remove_if_there(waiting)
            raise
        _flush_folder(first.parent)
        os.replace(waiting, second)
        _flush_folder(second.parent)


def second_of_pair(second: Path, key: str) -> Path:
    """Where the second file of a pair is to be read, whose first has this key: it may wait, where a kill came."""
    waiting = _waiting(second, key)
    return waiting if key and waiting.is_file() else second


def finish_pair(second: Path, key: str) -> None:
    """Put the second file of a pair in place, where its first came before a kill, and remove those that never came."""
    second = Path(os.path.realpath(second))
    with contextlib.suppress(OSError):
        if (waiting := second_of_pair(second, key)) != second:
            os.replace(waiting, second)
        pattern = re.compile(rf"\.{re.escape(second.name)}\.[0-9a-f]{{16}}\.next")
        with os.scandir(second.parent) as entries:
            left = [Path(entry.path) for entry in entries if pattern.fullmatch(entry.name)]
        for one in left:
            one.unlink(missing_ok=True)


def _waiting(second: Path, key: str) -> Path:
    second = Path(os.path.realpath(second))
    return second.with_name(f".{second.name}.{key[:16]}.next")


def recover_all(folder: str | Path) -> None:
    """`recover` every file and folder of a folder, whatever it is called; nothing to do is fine."""
    with contextlib.suppress(OSError):
        with os.scandir(folder) as entries:
            found = [match[1] for entry in entries if (match := _LEFTOVER.fullmatch(entry.name))]
        for name in sorted(set(found)):
            recover(Path(folder) / name)


def package_folder(package: str) -> Path | None:
    """Where an installed package's files lie; None where it is not installed. It is found, not imported."""
    spec = find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def cache_folder() -> Path:
    """The user's cache folder of vecspeak (set VECSPEAK_CACHE to choose another)."""
    import platformdirs

    return Path(os.environ.get("VECSPEAK_CACHE") or platformdirs.user_cache_dir("vecspeak"))


def file_digest(path: str | Path) -> str:
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
        return parse_json(read_data(path).decode("utf-8"), path)
    except OSError as error:
        raise _unreadable(path, error) from error
    except UserError:
        raise
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
def _temporary(target: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """A new file or folder beside the target, held while the block runs and removed when it ends."""
    with contextlib.ExitStack() as stack:
        while True:
            temporary = _beside(target, "new")
            stack.callback(_remove_if_there, temporary)
            make(temporary)
            try:
                stack.enter_context(_held(temporary))
            except FileNotFoundError:
                continue  # another process took it for a leftover before it was held
            if temporary.exists():
                break
        yield temporary


def _remove_if_there(path: Path) -> None:
    with contextlib.suppress(OSError):
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _held(temporary: Path) -> Iterator[bool]:
    """Lock a temporary while it is written, so that nobody takes it for a leftover; yields whether it was free."""
    if fcntl is None:
        yield False
        return
    descriptor = os.open(temporary, os.O_RDONLY)  # a folder too, which `FileLock` could not open
    free = False
    try:
        with contextlib.suppress(OSError):  # somebody else's, or a disk without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        yield free
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
    if "iostream error" in str(error):  # OpenVINO, whose streams do not say why; mostly the disk is full
        return errno.EIO
    return int(written.group(1)) if written else 0


def _is_about(error: Exception, target: Path) -> bool:
    """Whether the file that the error names, if it names one, is the target or lies in a temporary of it."""
    named = getattr(error, "filename", None)
    return named is None or str(named) == str(target) or f"{os.sep}.{target.name}." in str(named)


class Journal:
    """A record for people: JSON lines that are only ever appended. What is only for us goes into a Cache."""

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
        with lock(self.path), self.path.open("ab+") as file:
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


_SCHEMA = 1
_TABLE = "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, type TEXT, value BLOB, crc INTEGER)"
_SPOILED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_KEYS_PER_QUERY = 500


class Cache:
    """Values by the digest of everything they depend on, in one SQLite file: what is in it is not computed again.

    A value is bytes, a float32 array or anything that JSON holds. Several processes may share the file, and a kill
    at any moment loses at most the `put` that was under way. A file that is spoiled, or was written by another
    version, is renamed to NAME.corrupt with a line in the log, and the cache begins empty. Without a path the cache
    is in memory. The file is made by the first `put`.

    >>> with Cache() as cache:
    ...     cache.put({"ab12": ["an answer", 0.5]})
    ...     cache.get("ab12")
    ['an answer', 0.5]

    Raises UserError where the file cannot be written or another process keeps it locked for a minute.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._mutex = threading.RLock()

    def __enter__(self) -> "Cache":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __contains__(self, key: str) -> bool:
        return bool(self.get_many([key]))

    def __len__(self) -> int:
        return int(self._select("SELECT count(*) FROM entries", ())[0][0]) if self._exists() else 0

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key; the default where there is none. Arrays are read-only."""
        return self.get_many([key]).get(key, default)

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """The values of those keys that have one."""
        found: dict[str, Any] = {}
        asked = list(dict.fromkeys(keys))
        for start in range(0, len(asked), _KEYS_PER_QUERY):
            some = asked[start : start + _KEYS_PER_QUERY]
            marks = ",".join("?" * len(some))
            found.update(self._rows(f"SELECT * FROM entries WHERE key IN ({marks})", some))
        return found

    def items(self) -> Iterator[tuple[str, Any]]:
        """Every key with its value, the oldest first."""
        yield from self._rows("SELECT * FROM entries ORDER BY rowid")

    def put(self, values: Mapping[str, Any]) -> None:
        """Write values, all or none; they are on the disk when this returns."""
        rows = [(key, *_encoded(value)) for key, value in values.items()]
        if rows:
            self._write("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", rows)

    def remove(self, keys: Iterable[str]) -> None:
        """Forget these keys; those that are not there do not matter."""
        self._write("DELETE FROM entries WHERE key = ?", [(key,) for key in keys])

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._mutex:
            if self._connection is not None and self.path is not None:
                self._connection.close()
                self._connection = None

    def _exists(self) -> bool:
        return self.path is None or self._connection is not None or self.path.exists()

    def _rows(self, query: str, values: Sequence[str] = ()) -> list[tuple[str, Any]]:
        rows = self._select(query, values) if self._exists() else []
        # SQLite guards the structure of its pages, not their content: a value that a disk spoiled counts as missing
        return [(key, _decoded(kind, value)) for key, kind, value, crc in rows if zlib.crc32(value) == crc]

    def _select(self, query: str, values: Sequence[str]) -> list[tuple[Any, ...]]:
        return self._run(lambda db: db.execute(query, values).fetchall())

    def _write(self, query: str, rows: list[tuple[Any, ...]]) -> None:
        def write(db: sqlite3.Connection) -> None:
            with db:  # one transaction
                db.executemany(query, rows)

        self._run(write)

    def _run(self, work: Callable[[sqlite3.Connection], T], last: bool = False) -> T:
        """The work's result; a spoiled file is set aside once, and the work done with an empty one."""
        with self._mutex:
            try:
                return work(self._opened())
            except sqlite3.DatabaseError as error:
                spoiled = getattr(error, "sqlite_errorcode", 0) & 0xFF in _SPOILED
                if last or not spoiled:
                    raise UserError(
                        f"cannot use the cache {self.path}: {error}",
                        "free some space, choose another place, or wait for the process that uses it",
                    ) from error
                self._set_aside(str(error))
            return self._run(work, last=True)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            where = ":memory:" if self.path is None else self.path
            self._connection = sqlite3.connect(where, timeout=60, check_same_thread=False)
            self._inode = os.stat(self.path).st_ino if self.path else 0
            (schema,) = self._connection.execute("PRAGMA user_version").fetchone()
            if schema not in (0, _SCHEMA):
                self._set_aside(f"its schema is {schema}, not {_SCHEMA}")
                return self._opened()
            if schema == 0:  # a new file; the mode stays with it
                with contextlib.suppress(sqlite3.OperationalError):  # another process is just setting it
                    self._connection.execute("PRAGMA journal_mode=WAL")
                with self._connection as db:
                    db.execute(_TABLE)
                    db.execute(f"PRAGMA user_version={_SCHEMA}")
        return self._connection

    def _set_aside(self, cause: str) -> None:
        import logging  # 0.05 s, for what hardly ever happens

        self.close()
        if self.path is None or not self.path.exists() or os.stat(self.path).st_ino != self._inode:
            return  # another process has set it aside already
        # the log goes first: SQLite would replay it into the new file of this name
        for ending in ("-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        aside = self.path.with_name(self.path.name + ".corrupt")
        os.replace(self.path, aside)
        logging.getLogger(__name__).warning(
            "the cache %s cannot be read (%s): it is now %s, and what it held is computed again",
            self.path,
            cause,
            aside.name,
        )


def _encoded(value: Any) -> tuple[str, bytes, int]:
    if isinstance(value, bytes):
        kind, data = "bytes", value
    elif hasattr(value, "dtype"):
        kind, data = f"float32:{','.join(map(str, value.shape))}", value.astype("<f4").tobytes()
    else:
        kind, data = "json", json.dumps(value).encode()
    return kind, data, zlib.crc32(data)


def _decoded(kind: str, data: bytes) -> Any:
    if kind == "bytes":
        return data
    if kind == "json":
        return json.loads(data)
    import numpy as np  # not at the top: whoever only replaces files waits for no NumPy

    shape = [int(size) for size in kind.removeprefix("float32:").split(",") if size]
    return np.frombuffer(data, dtype="<f4").reshape(shape)


def digest(*parts: object) -> str:
    """SHA-256, in hex, of the parts one after the other: the one way to name content.

    Bytes count as they are, a text as UTF-8, an array by its bytes, an iterator by what it yields, and any other value
    as JSON with sorted keys. Put what must not run together into a list: `digest("ab", "c") == digest("a", "bc")`, but
    not `digest(["ab", "c"])`.
    """
    made = hashlib.sha256()
    for part in parts:
        _add(made, part)
    return made.hexdigest()


def _add(made: "hashlib._Hash", part: Any) -> None:
    if isinstance(part, Iterator):
        for inner in part:
            _add(made, inner)
    elif isinstance(part, str):
        made.update(part.encode("utf-8", "surrogatepass"))
    elif isinstance(part, bytes):
        made.update(part)
    elif hasattr(part, "tobytes"):
        # a contiguous array is read in place: a million vectors are not copied to be hashed
        made.update(part.data if part.flags.c_contiguous else part.tobytes())
    else:
        made.update(json.dumps(part, sort_keys=True).encode())
