"""The loop: cases of one class under limits of time and memory; what fails is made short and noted once."""

import contextlib
import json
import os
import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from fuzzing.counts import Batch
from vecspeak.errors import UserError

SECONDS, MEMORY = 10, 2 << 30
"""Most seconds of a processor for a case, and bytes that a batch may take on top of what was there."""
MOST_LETTERS = 500
"""Of a refusal, as the command line prints it."""
_SHORTER = 300
"""Runs that are spent on making a failing case short."""


@dataclass(frozen=True)
class FuzzClass:
    """A kind of input: what is drawn, and what is done with it. `run` ends, or raises UserError, or has failed."""

    name: str
    cases: st.SearchStrategy[Any]
    run: Callable[[Any], None]
    share: float = 1.0
    """Relative share of all cases."""


class _Late(BaseException):
    """A case took too long."""


class _Failed(Exception):
    """What makes Hypothesis look for a shorter case."""


class _Enough(BaseException):
    """The case is short enough."""


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Stop what takes more seconds of a processor, or six times as many on a busy machine. Of a main thread alone."""

    def late(*_: object) -> None:
        raise _Late

    timers = (
        (signal.SIGPROF, signal.ITIMER_PROF, seconds),
        (signal.SIGALRM, signal.ITIMER_REAL, 6 * seconds),
    )
    before = [signal.signal(number, late) for number, *_ in timers]
    for _, timer, limit in timers:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            # one that is late would end the process by its default
            signal.signal(number, signal.SIG_IGN if handler is signal.SIG_DFL else handler)


def problem(run: Callable[[Any], None], case: Any) -> tuple[str, str]:
    """How a case ended: "valid", "refused" or "failed", and of a failure what went wrong and where."""
    try:
        with deadline(SECONDS):
            run(case)
        return "valid", ""
    except UserError as error:
        wrong = unprintable(error)
        return ("failed", f"{wrong} at {_where(error)}") if wrong else ("refused", "")
    except _Late as error:
        return "failed", f"longer than {SECONDS} s at {_where(error)}"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what Rust panics with is no Exception
        return "failed", f"{type(error).__name__} at {_where(error)}"


def unprintable(error: UserError) -> str:
    """What keeps an error from being one short line on a terminal; empty where nothing does."""
    from vecspeak.cli import cli
    from vecspeak.cli.messages import as_options

    said = as_options(str(error), cli)
    if len(said.splitlines()) > 1:
        return "a refusal of several lines"
    return f"a refusal of more than {MOST_LETTERS} letters" if len(said) > MOST_LETTERS else ""


def _where(error: BaseException) -> str:
    """The innermost line of the package, or of what checks its results."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if "/vecspeak/" in one.filename] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}"


def run_batch(one: FuzzClass, number: int, count: int, *, note: Path | None = None) -> Batch:
    """Try `count` cases that the seed `number` gives; with `note` each is written there before it is tried."""
    found = Batch(name=one.name, seed=number)
    while found.tried < count:
        before = found.tried
        _until_failure(one, found, number, count - found.tried, note)
        if found.tried == before:  # there are no more different cases
            break
        number += 1_000_003
    found.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def _until_failure(one: FuzzClass, found: Batch, number: int, count: int, note: Path | None) -> None:
    """Cases until one fails in a new way, which is then made shorter."""
    wanted = ""
    shorter = Counter[str]()

    def body(case: Any) -> None:
        nonlocal wanted
        if note:
            note.write_text(repr(case), encoding="utf-8", errors="backslashreplace")
        start = time.monotonic()
        ended, what = problem(one.run, case)
        if not wanted:
            is_new = what and what not in found.failures
            _count(found, ended, what, case, time.monotonic() - start)
            wanted = what if is_new else ""
        elif what == wanted:
            said = repr(case)
            if len(said) <= len(found.failures[what]["case"]):  # of equal length the simpler one comes later
                found.failures[what]["case"] = said
        if wanted:
            shorter["runs"] += 1
            if shorter["runs"] > _SHORTER or wanted.startswith("longer"):
                raise _Enough
            if what == wanted:
                raise _Failed

    checks = settings(
        max_examples=count,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    tried = checks(given(case=one.cases)(body))
    # Hypothesis gives up where a case takes another way the second time, as where memory ends earlier
    with contextlib.suppress(_Failed, _Enough, Flaky):
        seed(number)(tried)()


def _count(found: Batch, ended: str, what: str, case: Any, seconds: float) -> None:
    found.tried += 1
    found.slowest = max(found.slowest, seconds)
    if not what:
        setattr(found, ended, getattr(found, ended) + 1)
        return
    known = found.failures.setdefault(what, {"count": 0, "seed": found.seed, "case": repr(case)})
    known["count"] += 1
    known["case"] = min(known["case"], repr(case), key=len)


def cover(one: FuzzClass, seconds: int, folder: Path) -> None:
    """Atheris drives the same cases for some seconds and keeps in `folder` what reaches new lines. Does not return.

    What was tried stands in `counts.json` of the folder, as often as a second has passed.
    """
    import atheris

    found, said = Batch(name=one.name, seed=0), 0.0

    def body(case: Any) -> None:
        nonlocal said
        start = time.monotonic()
        ended, what = problem(one.run, case)
        _count(found, ended, what, case, time.monotonic() - start)
        if start > said + 1:
            (folder / "counts.json").write_text(json.dumps(asdict(found)), encoding="utf-8")
            said = start

    given_cases = settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))(
        given(case=one.cases)(body)
    )
    (folder / "inputs").mkdir(parents=True, exist_ok=True)
    options = [
        "fuzz",
        str(folder / "inputs"),
        f"-max_total_time={seconds}",
        "-max_len=8192",
        "-rss_limit_mb=8192",
    ]
    atheris.Setup(options, given_cases.hypothesis.fuzz_one_input)  # type: ignore[attr-defined]
    atheris.Fuzz()


def limit_memory() -> None:
    """No more than MEMORY on top of what the process has now; no core files."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def silence() -> None:
    """Nothing of what the cases print, and what libraries print of broken files, reaches the terminal."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
