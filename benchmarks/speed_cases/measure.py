"""Measure: ways to do one thing, run in turns in one process, with rates, ratios and peak memory.

Knows clocks, memory and tables. Knows nothing of what is measured.
"""

import ctypes
import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

Work = Callable[[], float]
"""Does the work once and returns how much it was: tokens that count, rows, answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One way to do a case's work."""

    way: str
    """What it is, in words; the first way of a case is the plain one."""
    seconds: float
    """Median over the repeats."""
    rate: float
    """Median of work a second."""
    ratio: float
    """Median over the turns of this way's rate by the plain way's in the same turn."""
    low: float
    """Smallest of these ratios."""
    high: float
    """Largest of these ratios."""
    peak_mb: float
    """Most memory during the work above what was held before: of the process, or of the GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A case with all its ways."""

    case: str
    unit: str
    """Of the work: `token`, `row`, `answer`."""
    timings: tuple[Timing, ...]
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How the seconds of some work grow with a size."""

    case: str
    size: str
    """What grows: `rows`, `batch`, `tokens`."""
    points: tuple[tuple[float, float], ...]
    """Size and median seconds."""

    @property
    def slope(self) -> float:
        """Least-squares slope of log seconds over log size: 1 is linear."""
        logs = [(math.log(size), math.log(seconds)) for size, seconds in self.points]
        x, y = (sum(column) / len(logs) for column in zip(*logs, strict=True))
        return sum((a - x) * (b - y) for a, b in logs) / sum((a - x) ** 2 for a, _ in logs)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "slope": self.slope}


def compare(
    case: str, ways: Mapping[str, Work], *, unit: str, repeats: int = 3, warm: int = 1, note: str = ""
) -> Result:
    """Run every way `warm` times uncounted, then all in turns `repeats` times; the first way is the plain one."""
    for work in ways.values():
        for _ in range(warm):
            work()
    turns = [{way: _once(work) for way, work in ways.items()} for _ in range(repeats)]
    plain = next(iter(ways))
    return Result(case=case, unit=unit, note=note, timings=tuple(_timing(way, plain, turns) for way in ways))


def grow(
    case: str, size: str, sizes: Sequence[float], make: Callable[[Any], Work], repeats: int = 3
) -> Growth:
    """Median seconds of the work that `make` prepares for each size, after one uncounted run each."""
    points = []
    for one in sizes:
        work = make(one)
        work()
        points.append((one, median(_once(work)[0] for _ in range(repeats))))
    return Growth(case=case, size=size, points=tuple(points))


def _once(work: Work) -> tuple[float, float, float]:
    """Seconds, work and peak memory of one run."""
    gc.collect()
    before = _reset_peak()
    started = time.perf_counter()
    done = work()
    _synchronise()
    seconds = time.perf_counter() - started
    return seconds, done, max(0.0, _peak_mb() - before)


def _timing(way: str, plain: str, turns: Sequence[Mapping[str, tuple[float, float, float]]]) -> Timing:
    def rate(turn: Mapping[str, tuple[float, float, float]], which: str) -> float:
        seconds, done, _ = turn[which]
        return done / seconds

    ratios = [rate(turn, way) / rate(turn, plain) for turn in turns]
    return Timing(
        way=way,
        seconds=median(turn[way][0] for turn in turns),
        rate=median(rate(turn, way) for turn in turns),
        ratio=median(ratios),
        low=min(ratios),
        high=max(ratios),
        peak_mb=max(turn[way][2] for turn in turns),
    )


def has_gpu() -> bool:
    """Whether torch sees a GPU; everything is then measured on it."""
    import torch

    return torch.cuda.is_available()


def _synchronise() -> None:
    if has_gpu():
        import torch

        torch.cuda.synchronize()


def _reset_peak() -> float:
    """MB held now; the peak starts from here."""
    if has_gpu():
        import torch

        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 1e6
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc keeps freed memory, which the next way would find
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status_mb("VmRSS")


def _peak_mb() -> float:
    if has_gpu():
        import torch

        return torch.cuda.max_memory_allocated() / 1e6
    return _status_mb("VmHWM")


def _status_mb(key: str) -> float:
    """A figure of this process in MB; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) / 1e3 for line in lines if line.startswith(key)), 0.0)


def _short(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:,.3g}"


def tables(results: Sequence[Result], growths: Sequence[Growth]) -> str:
    """Two Markdown tables: cases and how things grow."""
    lines = [
        "| case | way | seconds | per second | ratio to plain (range) | peak memory, MB |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        for index, one in enumerate(result.timings):
            name = f"{result.case}, {result.unit}s" if index == 0 else ""
            ratio = "1" if index == 0 else f"**{one.ratio:.2f}** ({one.low:.2f} to {one.high:.2f})"
            peak = f"{one.peak_mb:,.0f}" if one.peak_mb >= 10 else "–"
            cells = (name, one.way, f"{one.seconds:,.2f}", _short(one.rate), ratio, peak)
            lines.append(f"| {' | '.join(cells)} |")
    if growths:
        lines += ["", "| grows | with | seconds at sizes | log-log slope |", "|---|---|---|---|"]
    for growth in growths:
        points = ", ".join(f"{seconds:.3g} s at {size:,.0f}" for size, seconds in growth.points)
        lines.append(f"| {growth.case} | {growth.size} | {points} | {growth.slope:.2f} |")
    return "\n".join(lines)
