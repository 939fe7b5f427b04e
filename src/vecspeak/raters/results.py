"""Results: what the raters of a study said of each system, whether they agree, and whether they read.

Knows studies and intervals. Knows nothing of servers. An entity's number is the mean of its raters' values, and an
interval is a bootstrap over entities: it says how sure the study is of other entities, not of other raters.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from vecspeak.errors import UserError
from vecspeak.evaluation.report import READER
from vecspeak.raters.agreement import krippendorff_alpha
from vecspeak.raters.sheet import BETTER, FITS, SCALES, SWAPPED, Item, Value
from vecspeak.raters.study import Rating, Study, is_done
from vecspeak.report.tables import TRAINED_ON
from vecspeak.stats import Estimate, Series, difference, estimate
from vecspeak.storage import replace_file

_FEWEST = 5
"""Entities under which it is not said whether a rater reads."""
_WON = {"win": 1.0, "tie": 0.5, "loss": 0.0}
COLUMNS = (
    *(
        "rater",
        "set",
        "id",
        "label",
        "system",
        "against",
        "side",
        "question",
        "value",
        "seconds",
        "at",
        "item",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One system, rated alone."""

    system: str
    name: str
    raters: int
    ratings: int
    questions: Mapping[str, Estimate]
    """Mean of each question that anybody answered, 1 to 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferred:
    """The reader beside one baseline."""

    against: str
    name: str
    raters: int
    wins: int
    ties: int
    losses: int
    share: Estimate
    """How often the reader is preferred, 0 to 1; a tie counts one half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResults:
    """One of the report's sets."""

    name: str
    scored: tuple[Scored, ...]
    preferred: tuple[Preferred, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rater:
    """One rater."""

    name: str
    done: int
    """Items of which every question is answered."""
    total: int
    seconds: float
    """In all."""
    reads: bool | None
    """Whether their `fits` sets the best system apart from swapped answers; None where too little is rated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What a study has found so far."""

    sets: tuple[SetResults, ...]
    agreement: Mapping[str, float | None]
    """Krippendorff's alpha by question; None where it is not defined, as for a single rater."""
    raters: tuple[Rater, ...]
    flags: tuple[str, ...]
    """What must be told first, in plain sentences."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    rater: str
    item: Item
    rating: Rating

    @property
    def outcome(self) -> str:
        """Of a pair: win, tie or loss of the reader."""
        if self.rating.value == "tie":
            return "tie"
        chosen = self.item.systems[0 if self.rating.value == "left" else 1]
        return "win" if chosen == READER else "loss"

    @property
    def against(self) -> str:
        """Of a pair: the baseline."""
        return next(system for system in self.item.systems if system != READER)


def results(study: Study) -> Results:
    """Count a study. Raises UserError when nobody has rated yet, or a file of ratings is broken."""
    rows = _rows(study)
    together: dict[str, dict[str, dict[str, Value]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        together[row.rating.question][row.rater][row.item.id] = row.rating.value
    agreement = {
        q.key: krippendorff_alpha(together[q.key], level="nominal" if q is BETTER else "ordinal")
        for q in (*SCALES, BETTER)
        if together[q.key]
    }
    raters = tuple(_rater(study, name, rows) for name in study.raters())
    sets = tuple(_set_results(study, index, rows) for index in range(len(study.sheet.report.sets)))
    return Results(
        sets=tuple(found for found in sets if found.scored or found.preferred),
        agreement=agreement,
        raters=raters,
        flags=(*_trained_on(study), *_flags(raters)),
    )


def export(study: Study, path: Path) -> int:
    """Write every rating that counts as CSV, whole or not at all; how many there are.

    Of a pair the system is the reader, and the value its win, tie or loss against the baseline. A text that a
    spreadsheet would take for a formula begins with an apostrophe.
    """
    rows = _rows(study)
    with replace_file(path) as temporary:
        with temporary.open("w", encoding="utf-8", errors="replace", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(map(_safe, _cells(study, row)) for row in rows)
    return len(rows)


def plain(found: Results) -> Iterator[str]:
    """Lines for a terminal."""
    yield from (f"NOTE: {flag}" for flag in found.flags)
    for each in found.sets:
        yield from _plain_set(each)
    yield "agreement of the raters (Krippendorff's alpha: 1 is full, 0 is chance)"
    for key, alpha in found.agreement.items():
        yield f"  {key:<12}{'not defined' if alpha is None else f'{alpha:.2f}'}"
    yield "raters"
    width = max(len(rater.name) for rater in found.raters)
    for rater in found.raters:
        yield f"  {rater.name:<{width}}  {rater.done} of {rater.total} items, {rater.seconds / 60:.0f} minutes"


def _plain_set(each: SetResults) -> Iterator[str]:
    names = [*(scored.name for scored in each.scored), *(f"than {pair.name}" for pair in each.preferred)]
    width = max(map(len, names)) + 2
    yield f"{each.name}: the mean of what raters said, 1 to 5"
    yield f"  {'':<{width}}{''.join(f'{q.key:<20}' for q in SCALES)}raters  ratings"
    for scored in each.scored:
        cells = "".join(f"{_written(scored.questions.get(q.key)):<20}" for q in SCALES)
        yield f"  {scored.name:<{width}}{cells}{scored.raters:>6}{scored.ratings:>9}"
    if each.preferred:
        yield "  how often the reader is better, a tie counting one half"
    for pair in each.preferred:
        counts = f"{pair.wins} better, {pair.ties} equal, {pair.losses} worse"
        line = f"  {f'than {pair.name}':<{width}}{_written(pair.share):<20}{counts:<40}"
        yield f"{line}{pair.raters:>6}{pair.wins + pair.ties + pair.losses:>9}"


def _rows(study: Study) -> list[_Row]:
    rows = [
        _Row(rater=rater, item=study.sheet.items[rating.item], rating=rating)
        for rater in study.raters()
        for rating in study.given(rater).values()
    ]
    if not rows:
        raise UserError(f"nobody has rated in {study.folder} yet", "run vecspeak rate on the report and rate")
    return rows


def _set_results(study: Study, index: int, rows: Iterable[_Row]) -> SetResults:
    mine = [row for row in rows if row.item.set_index == index]
    alone: dict[str, list[_Row]] = defaultdict(list)
    beside: dict[str, list[_Row]] = defaultdict(list)
    for row in mine:
        if row.item.is_pair:
            beside[row.against].append(row)
        else:
            alone[row.item.systems[0]].append(row)
    order = study.sheet.settings.systems
    return SetResults(
        name=study.sheet.report.sets[index].name,
        scored=tuple(_scored(study, index, key, alone[key]) for key in order if key in alone),
        preferred=tuple(_preferred(study, index, key, beside[key]) for key in order if key in beside),
    )


def _scored(study: Study, index: int, system: str, rows: list[_Row]) -> Scored:
    by_question: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for row in rows:
        by_question[row.rating.question].append((row.item.entity.id, float(row.rating.value)))
    return Scored(
        system=system,
        name=_name(study, index, system),
        raters=len({row.rater for row in rows}),
        ratings=len(rows),
        questions={q.key: _mean(by_question[q.key]) for q in SCALES if q.key in by_question},
    )


def _preferred(study: Study, index: int, against: str, rows: list[_Row]) -> Preferred:
    outcomes = [row.outcome for row in rows]
    return Preferred(
        against=against,
        name=_name(study, index, against),
        raters=len({row.rater for row in rows}),
        wins=outcomes.count("win"),
        ties=outcomes.count("tie"),
        losses=outcomes.count("loss"),
        share=_mean((row.item.entity.id, _WON[row.outcome]) for row in rows),
    )


def _mean(values: Iterable[tuple[str, float]]) -> Estimate:
    """Of values beside their entities: the mean of the entities' means."""
    return estimate(np.array(list(_by_entity(values).values())))


def _by_entity(values: Iterable[tuple[Any, float]]) -> dict[Any, float]:
    found: dict[Any, list[float]] = defaultdict(list)
    for entity, value in values:
        found[entity].append(value)
    return {entity: fmean(given) for entity, given in found.items()}


def _rater(study: Study, name: str, rows: list[_Row]) -> Rater:
    given = study.given(name)
    items = study.sheet.items.values()
    return Rater(
        name=name,
        done=sum(is_done(item, given) for item in items),
        total=len(items),
        seconds=sum(rating.seconds for rating in given.values()),
        reads=_reads(name, rows),
    )


def _reads(rater: str, rows: list[_Row]) -> bool | None:
    """Whether one rater's `fits` is surely higher for the system that all rate best than for swapped answers.

    The best is taken over all raters, so that one who answers at random finds none by luck. None when there are
    no swapped answers, or too few entities of which the rater has rated both.
    """
    fits: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        if row.rating.question == FITS.key:
            fits[row.item.systems[0]].append(row)
    planted = fits.pop(SWAPPED, [])
    if not planted or not fits:
        return None
    best = max(fits.values(), key=lambda given: fmean(float(row.rating.value) for row in given))
    mine = [
        _by_entity((row.item.of, float(row.rating.value)) for row in given if row.rater == rater)
        for given in (best, planted)
    ]
    both = [entity for entity in mine[0] if entity in mine[1]]
    if len(both) < _FEWEST:
        return None
    highest, lowest = (Series(np.array([given[entity] for entity in both])) for given in mine)
    gap = difference(highest, lowest)
    return gap is not None and gap.low > 0


def _trained_on(study: Study) -> Iterator[str]:
    names = [one.name for one in study.sheet.report.sets if one.trained_on]
    if names:
        yield f"{TRAINED_ON} ({', '.join(names)})"


def _flags(raters: Iterable[Rater]) -> Iterator[str]:
    for rater in raters:
        if rater.reads is False:
            yield (
                f"{rater.name} does not tell the best answers from another entity's (swapped): either the "
                "answers were not read, or no system fits"
            )


def _cells(study: Study, row: _Row) -> list[Any]:
    item, rating = row.item, row.rating
    system, against, side = (READER, row.against, _side(item)) if item.is_pair else (item.systems[0], "", "")
    value = row.outcome if item.is_pair else rating.value
    named = study.sheet.report.sets[item.set_index].name
    said = [system, against, side, rating.question, value, rating.seconds, rating.at, item.id]
    return [row.rater, named, item.entity.id, item.entity.label, *said]


def _side(item: Item) -> str:
    """Where the reader's answer stood."""
    return "left" if item.systems[0] == READER else "right"


def _safe(cell: Any) -> Any:
    """A number as it is; a text so that no spreadsheet runs it."""
    return (
        f"'{cell}"
        if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
        else cell
    )


def _name(study: Study, index: int, system: str) -> str:
    found = study.sheet.report.sets[index].system(system)
    return found.name if found else system


def _written(value: Estimate | None) -> str:
    return f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]" if value else "-"
