"""A command of vecspeak in a process of its own that dies, or meets a full disk, at a chosen moment.

The process is a fork of this one, which has imported the libraries already: it starts in milliseconds, and a SIGKILL
ends it as it ends any other. Events are seen by an audit hook: every file that Python opens for writing, every rename,
removal, folder, link and database. What libraries in C++ and Rust write between two of them is met by the kills at
random times alone.
"""

import atexit
import errno
import os
import random
import resource
import selectors
import signal
import sys
import tempfile
import time
import traceback
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHANGING = {
    *("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink", "os.chmod"),
    *("shutil.rmtree", "shutil.copymode", "shutil.move", "sqlite3.connect"),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_REMOVING = {"os.remove", "os.rmdir", "shutil.rmtree"}
_ELSEWHERE = ("/dev", "/proc")
LONGEST = 120.0
"""Seconds after which a run counts as one that hangs."""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What happens to a run; by default nothing."""

    kill_at: int = 0
    """The event before which it is killed; 0 is none."""
    kill_after: float | None = None
    """Seconds after which it is killed."""
    full_at: int = 0
    """The event from which on the disk is full: whatever would take room fails, removing does not."""
    largest_file: int | None = None
    """Bytes that no file may exceed, which libraries in C++ meet too."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run ended."""

    status: int
    """Of the process; -9 where it was killed."""
    out: str
    err: str
    events: int
    """Changes of files that were seen; 0 of a run that was killed."""
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.status == -signal.SIGKILL

    @property
    def shown(self) -> tuple[int, str, str]:
        """What a person sees of it."""
        return self.status, self.out, self.err


class _Events:
    """The audit hook of a run: counts what changes files, and lets the chosen one meet its end."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble, self.seen, self.is_on = trouble, 0, True
        self.process = os.getpid()

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.is_on or not _changes(event, args) or os.getpid() != self.process:
            return
        self.seen += 1
        if self.seen == self.trouble.kill_at:
            os.kill(self.process, signal.SIGKILL)
        if self.trouble.full_at and self.seen >= self.trouble.full_at and event not in _REMOVING:
            if event == "sqlite3.connect":
                return  # it has its own errors, which RLIMIT_FSIZE meets
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(args[0]))


def _changes(event: str, args: tuple[Any, ...]) -> bool:
    if event == "open":
        path, _, flags = args
        return not isinstance(path, int) and bool(flags & _WRITING) and not str(path).startswith(_ELSEWHERE)
    return event in _CHANGING


def run(
    arguments: Sequence[str], folder: Path, *, prepare: Callable[[], None], trouble: Trouble | None = None
) -> Ended:
    """Run `vecspeak` with these arguments in a folder, with its cache and its temporary files in it.

    `prepare` is called in the process before, and may replace what is slow. A run of more than two minutes is killed
    and has the status -14.
    """
    pipes = {name: os.pipe() for name in ("out", "err", "events")}
    started = time.monotonic()
    process = os.fork()
    if not process:
        _become(
            arguments, folder, prepare, trouble or Trouble(), {name: two[1] for name, two in pipes.items()}
        )
    for _, writing in pipes.values():
        os.close(writing)
    after = None if trouble is None else trouble.kill_after
    said, hung = _read({name: two[0] for name, two in pipes.items()}, process, started, after)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return Ended(
        status=-signal.SIGALRM if hung else status,
        out=said["out"],
        err=said["err"],
        events=int(said["events"] or 0),
        seconds=time.monotonic() - started,
    )


def _read(
    pipes: dict[str, int], process: int, started: float, after: float | None
) -> tuple[dict[str, str], bool]:
    """What the process says until its end, and whether it had to be ended; it is killed in time where it is to be."""
    parts: dict[str, list[bytes]] = {name: [] for name in pipes}
    hung = False
    with selectors.DefaultSelector() as selector:
        for name, pipe in pipes.items():
            selector.register(pipe, selectors.EVENT_READ, name)
        while selector.get_map():
            passed = time.monotonic() - started
            if after is not None and passed >= after:
                os.kill(process, signal.SIGKILL)
                after = None
            if passed > LONGEST and not hung:
                os.kill(process, signal.SIGKILL)
                hung = True
            wait = 1.0 if after is None else max(0.0, after - passed)
            for key, _ in selector.select(wait):
                if data := os.read(key.fd, 65_536):
                    parts[key.data].append(data)
                else:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return {name: b"".join(one).decode(errors="replace") for name, one in parts.items()}, hung


def _become(
    arguments: Sequence[str],
    folder: Path,
    prepare: Callable[[], None],
    trouble: Trouble,
    pipes: dict[str, int],
) -> None:
    """In the fork: be the command, and never come back."""
    status = 1
    try:
        os.setsid()
        # what this process is to remove at its end is its parent's
        atexit._clear()
        weakref.finalize._registry.clear()  # type: ignore[attr-defined]
        for name, number in (("out", 1), ("err", 2)):
            os.dup2(pipes[name], number)
        with open(1, "w", closefd=False) as sys.stdout, open(2, "w", closefd=False) as sys.stderr:
            os.chdir(folder)
            os.environ |= {"TMPDIR": str(folder / "tmp"), "VECSPEAK_CACHE": str(folder / "cache")}
            tempfile.tempdir = None
            random.seed()
            prepare()
            if trouble.largest_file is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (trouble.largest_file, resource.RLIM_INFINITY))
            events = _Events(trouble)
            sys.addaudithook(events)
            status = _status(arguments)
            atexit._run_exitfuncs()
            events.is_on = False
            sys.stdout.flush(), sys.stderr.flush()
        os.write(pipes["events"], str(events.seen).encode())
    finally:
        os._exit(status)


def _status(arguments: Sequence[str]) -> int:
    from vecspeak.cli import main

    try:
        main(list(arguments))
        return 0
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
        return 1
