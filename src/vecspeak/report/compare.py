"""What changed between two reports, or between two systems of one, paired by entity."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from vecspeak.errors import UserError
from vecspeak.evaluation.report import ALIKE, TASK_ACCURACY, EvaluatedSet, Measure, Report
from vecspeak.stats import Estimate, Series, Statistic, difference

COMPARISON_VERSION = 1
_MUST_AGREE = ("space", "encoder")
"""Words in the names of digests: where these differ, the two reports measured with different rulers."""
_AMONG_TASKS = (ALIKE, TASK_ACCURACY)
"""Measures that hold tasks against each other: among more tasks, as their words say, they are not the same."""

SetKey = tuple[str, str, str]
"""Name, question and split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One measure of one system in both reports."""

    system: str
    measure: str
    first: float
    second: float
    """Both over the common entities alone."""
    difference: Estimate
    """Second minus first."""
    verdict: Literal["better", "worse", "higher", "lower", "unclear"]
    """Unclear: the interval holds 0. Higher or lower: the measure has no good direction."""

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.verdict != "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetComparison:
    """One set that both reports have."""

    name: str
    question: str
    split: str
    count: int
    """Entities in both."""
    only_first: int
    only_second: int
    """Entities that were left out, because the other report lacks them."""
    measures: tuple[Measure, ...]
    systems: Mapping[str, str]
    """Names by key."""
    changes: tuple[Change, ...]

    def of(self, system: str) -> tuple[Change, ...]:
        """The changes of one system."""
        return tuple(change for change in self.changes if change.system == system)

    def measure(self, key: str) -> Measure:
        """The measure of that key."""
        return next(measure for measure in self.measures if measure.key == key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two reports, paired by entity."""

    first: str
    second: str
    """Bundle and time of each."""
    warnings: tuple[str, ...]
    """What makes the difference say less than it seems to."""
    settings: tuple[str, ...]
    """Settings and digests that differ, one line each."""
    unmatched: tuple[str, ...]
    """Sets that only one report has, one line each."""
    sets: tuple[SetComparison, ...]
    version: int = COMPARISON_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def compare(first: Report, second: Report) -> Comparison:
    """What is different in the second: sets are matched by name, question and split, entities by id.

    Only entities of both count. Raises UserError when no set matches, or when a matching one has fewer than two
    entities in common.
    """
    ours, theirs = _by_key(first.sets), _by_key(second.sets)
    common = [key for key in ours if key in theirs]
    if not common:
        raise UserError(
            f"no set is in both reports: the first has {_named(ours)}; the second has {_named(theirs)}",
            "evaluate the same sets with the same question: `VecSpeak.evaluate(question=...)`",
        )
    pairs = [(ours[key], theirs[key]) for key in common]
    return Comparison(
        first=f"{first.bundle}, {first.made}",
        second=f"{second.bundle}, {second.made}",
        warnings=tuple(_warnings(first, second, pairs)),
        settings=tuple(_differing(first, second)),
        unmatched=(
            *(f"only in the first: {_named([key])}" for key in ours if key not in theirs),
            *(f"only in the second: {_named([key])}" for key in theirs if key not in ours),
        ),
        sets=tuple(_compare_sets(*pair) for pair in pairs),
    )


def system_difference(one: EvaluatedSet, system: str, baseline: str, measure: Measure) -> Estimate | None:
    """A system minus a baseline in the same set, paired by entity; None where either was not measured so."""
    series = (one.series(system, measure.key), one.series(baseline, measure.key))
    if series[0] is None or series[1] is None:
        return None
    return difference(series[0], series[1], measure.statistic)


def verdict_of(
    measure: Measure, change: Estimate
) -> Literal["better", "worse", "higher", "lower", "unclear"]:
    """What a difference means; unclear when its interval holds 0."""
    if change.low <= 0 <= change.high:
        return "unclear"
    direction: Literal["higher", "lower"] = "higher" if change.low > 0 else "lower"
    if not measure.better:
        return direction
    return "better" if direction == measure.better else "worse"


# --- one set ---


def _by_key(sets: Iterable[EvaluatedSet]) -> dict[SetKey, EvaluatedSet]:
    found: dict[SetKey, EvaluatedSet] = {}
    for one in sets:
        key = (one.name, one.question, one.split)
        if key in found:
            raise UserError(
                f"a report has the set {_named([key])} twice", "compare reports that have it once"
            )
        found[key] = one
    return found


def _named(keys: Iterable[SetKey]) -> str:
    return ", ".join(f"{name} ({split}) asked {question!r}" for name, question, split in keys) or "none"


def _compare_sets(first: EvaluatedSet, second: EvaluatedSet) -> SetComparison:
    ids = sorted({entity.id for entity in first.entities} & {entity.id for entity in second.entities})
    if len(ids) < 2:
        raise UserError(
            f"the two reports have {len(ids)} of the entities of {first.name!r} in common, and a comparison needs 2",
            "evaluate both on the same entities: the same space, `count` and seed",
        )
    pair = _retained(first, ids), _retained(second, ids)
    keys = {system.key for system in first.systems}
    systems = {system.key: system.name for system in second.systems if system.key in keys}
    measures = tuple(measure for measure in second.measures if _is_same(measure, first.measures))
    found = (_change(*pair, system, measure) for system in systems for measure in measures)
    return SetComparison(
        name=second.name,
        question=second.question,
        split=second.split,
        count=len(ids),
        only_first=first.count - len(ids),
        only_second=second.count - len(ids),
        measures=measures,
        systems=systems,
        changes=tuple(change for change in found if change is not None),
    )


def _retained(one: EvaluatedSet, ids: Sequence[str]) -> EvaluatedSet:
    """The set with these entities only, in this order: the same order in both makes the pairs."""
    rows = {entity.id: entity for entity in one.entities}
    return replace(one, entities=tuple(rows[name] for name in ids))


def _is_same(measure: Measure, others: Iterable[Measure]) -> bool:
    """Whether the others have a measure that can be subtracted from this one."""
    return any(
        (other.key, other.statistic, other.better) == (measure.key, measure.statistic, measure.better)
        and (other.what == measure.what or measure.key not in _AMONG_TASKS)
        for other in others
    )


def _change(first: EvaluatedSet, second: EvaluatedSet, system: str, measure: Measure) -> Change | None:
    before, after = first.series(system, measure.key), second.series(system, measure.key)
    if before is None or after is None:
        return None
    found = difference(after, before, measure.statistic)
    if found is None:
        return None
    return Change(
        system=system,
        measure=measure.key,
        first=_whole(before, measure.statistic),
        second=_whole(after, measure.statistic),
        difference=found,
        verdict=verdict_of(measure, found),
    )


def _whole(series: Series, statistic: Statistic) -> float:
    """The statistic itself, without an interval."""
    counts = series.counted
    if statistic == "median":
        return float(np.median(series.values[counts > 0]))
    return float(np.average(np.where(counts > 0, series.values, 0.0), weights=counts))


# --- what else is different ---


def _warnings(
    first: Report, second: Report, pairs: Iterable[tuple[EvaluatedSet, EvaluatedSet]]
) -> Iterator[str]:
    differing = _differing_digests(first, second)
    digests = [name for name in differing if any(word in name.lower() for word in _MUST_AGREE)]
    if digests:
        yield f"The digests of {', '.join(digests)} differ: what was measured is not the same in both reports."
    for ours, theirs in pairs:
        for which, one in (("first", ours), ("second", theirs)):
            if one.trained_on:
                yield (
                    f"TRAINING ENTITIES: in the {which} report the reader was trained on those of {one.name!r}, "
                    "so the difference says nothing about what was not seen."
                )
        if (ours.among, ours.nearest_by) != (theirs.among, theirs.nearest_by):
            yield (
                f"In {ours.name!r} the right text is searched among {ours.among:,} by {ours.nearest_by!r} in the first "
                f"report and among {theirs.among:,} by {theirs.nearest_by!r} in the second: ranks and nearest items "
                "cannot be compared."
            )
        truths = {entity.id: entity.truth for entity in ours.entities}
        changed = sum(truths.get(entity.id, entity.truth) != entity.truth for entity in theirs.entities)
        if changed:
            yield f"In {ours.name!r} the truth of {changed:,} entities is not the same text in both reports."
        keys = {measure.key for measure in ours.measures}
        others = [m.name for m in theirs.measures if m.key in keys and not _is_same(m, ours.measures)]
        if others:
            yield (
                f"In {ours.name!r} these are not the same measure in both reports and are left out: "
                f"{', '.join(others)}."
            )


def _differing(first: Report, second: Report) -> Iterator[str]:
    ours, theirs = dict(flat(first.settings)), dict(flat(second.settings))
    for name in _keys(ours, theirs):
        if ours.get(name, "none") != theirs.get(name, "none"):
            yield f"{name}: {ours.get(name, 'none')} in the first, {theirs.get(name, 'none')} in the second"
    for name in _differing_digests(first, second):
        digests = (report.digests.get(name, "none")[:12] or "none" for report in (first, second))
        yield "digest of {}: {} in the first, {} in the second".format(name, *digests)


def _differing_digests(first: Report, second: Report) -> list[str]:
    names = _keys(first.digests, second.digests)
    return [name for name in names if first.digests.get(name) != second.digests.get(name)]


def _keys(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys([*first, *second]))


def flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as rows: `sampling.temperature` and its value as text."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{before}{key}.")
        elif isinstance(value, list | tuple):
            yield f"{before}{key}", ", ".join(map(str, value))
        else:
            yield f"{before}{key}", str(value)


# --- sentences ---


def about(one: SetComparison) -> str:
    """What was compared, and how many entities were left out."""
    left = one.only_first + one.only_second
    out = (
        f"; left out: {one.only_first:,} only in the first, {one.only_second:,} only in the second"
        if left
        else ""
    )
    return f"{one.name}: {one.count:,} entities of {one.split!r} in both reports, asked {one.question!r}{out}"


def caution(one: SetComparison) -> str:
    """How many differences chance alone would call clear."""
    many = len(one.changes)
    return f"Of {many} intervals at 95%, chance alone puts about {many * 0.05:.0f} clear of 0."
