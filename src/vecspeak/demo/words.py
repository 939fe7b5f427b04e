"""Words: what the numbers of the trace and the atlas come to, in sentences that the page and the terminal share.

Knows results only. What a sentence claims is decided here by rule.
"""

from dataclasses import dataclass

from vecspeak.demo.charts import signed
from vecspeak.demo.results import STRUCTURE, AtlasChapter, TraceChapter
from vecspeak.explore.trace import Path

_KINDS = {"random": "a random direction", "isotropic": "a random direction of any kind"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceWords:
    """A trace in four sentences."""

    slopes: str
    """How much of the concept the answers show more, a standard deviation of amount, beside the controls."""
    near: str
    """What lies near at both ends, beside the controls; no answer plays a part in it."""
    verdict: str
    """What that shows, and what it does not."""
    edges: str
    """Where the way leaves the data."""

    @classmethod
    def of(cls, found: TraceChapter) -> "TraceWords":
        """The sentences of one trace."""
        return cls(slopes=_slopes(found), near=_near(found), verdict=_verdict(found), edges=_edges(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class AtlasWords:
    """An atlas in three sentences."""

    verdict: str
    silhouette: str
    kept: str

    @classmethod
    def of(cls, found: AtlasChapter) -> "AtlasWords":
        """The sentences of one atlas."""
        share, count = found.found_share, len(found.regions)
        verdict = (
            f"{found.found_back} of {count} answers ({share.value:.0%}, 95% interval {share.low:.0%} to "
            f"{share.high:.0%}) fit their own region best among all {count}; guessing would give 1."
        )
        return cls(verdict=verdict, silhouette=_silhouette(found), kept=_kept(found))


def _slopes(found: TraceChapter) -> str:
    told = ", ".join(f"{_number(path.slopes[found.judge])} along {_name(path)}" for path in found.trace.paths)
    return (
        f"With every standard deviation of the way, {found.trace.concept} in the answers changes by {told}, in "
        f"standard deviations of real texts. Judged by: {found.judge}."
    )


def _near(found: TraceChapter) -> str:
    paths = found.trace.paths
    counts = [
        f"{row[0]} and {row[-1]} along {_name(path)}" for path, row in zip(paths, found.near, strict=True)
    ]
    first, last = (signed(paths[0].steps[end].amount) for end in (0, -1))
    most = len(paths[0].steps[0].nearest)
    return f"{found.value} movies among the {most} nearest, at {first} and at {last}: {', '.join(counts)}."


def _verdict(found: TraceChapter) -> str:
    seen = (
        "In the answers it rises along the concept, and more than a random direction changes it"
        if found.is_clear
        else "In the answers a random direction changes it, up or down, by as much as the concept does or more, so "
        "this trace alone does not show that the concept is read"
    )
    return (
        f"{seen}. One movie is an example and no measurement, so these numbers have no interval; benchmarks/points.py "
        "measures them on many."
    )


def _edges(found: TraceChapter) -> str:
    trace = found.trace
    amounts = [step.amount for step in trace.path.steps]
    edges = [edge for edge in (trace.leaves_below, trace.leaves_above) if edge is not None]
    if not edges:
        span = f"{signed(amounts[0])} to {signed(amounts[-1])}"
        return f"The way along {trace.concept} stays inside the data, from {span} standard deviations."
    told = " and at ".join(signed(round(edge, 1)) for edge in edges)
    return (
        f"The way along {trace.concept} leaves the data at {told} standard deviations: what is said beyond is "
        "a guess."
    )


def _name(path: Path) -> str:
    return _KINDS.get(path.kind, path.name)


def _silhouette(found: AtlasChapter) -> str:
    told = (
        f"The silhouette of these regions is {found.silhouette:.3f} (1: groups far apart; 0: no groups); of a normal "
        f"cloud of the same spread, which has no groups and was cut the same way, it is {found.of_cloud:.3f}."
    )
    if found.is_cloud:
        return (
            f"{told} So they are cuts through a cloud, a way of going through it, and not groups found in it."
        )
    return f"{told} From {STRUCTURE:g} on one may speak of groups."


def _kept(found: AtlasChapter) -> str:
    if not found.is_kept:
        return "The bundle holds other regions, which somebody put there; these are not in it."
    last = len(found.regions) - 1
    return f"The regions are kept in the bundle: cluster(0) to cluster({last}) are points that can be asked about."


def _number(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
