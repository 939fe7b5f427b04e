"""What the raters of a study said of each system, whether they agree, and whether they read what they rated.

An entity's number is the mean of its raters' values. An interval says how sure the study is of other entities, not of
other raters.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from vecspeak.evaluation.report import READER
from vecspeak.foreign import write_csv
from vecspeak.raters.agreement import Rating, by_entity, krippendorff_alpha, outcomes
from vecspeak.raters.items import FITS, QUESTIONS, SCALES
from vecspeak.raters.study import SWAPPED, Study, is_done
from vecspeak.report.tables import TRAINED_ON
from vecspeak.stats import Estimate, Series, difference, estimate
from vecspeak.storage import replace_file

_FEWEST = 5
"""Entities below which it is not said whether a rater reads."""
_WON = {"win": 1.0, "tie": 0.5, "loss": 0.0}
COLUMNS = tuple("rater set id label system against side question value seconds at item".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemRatings:
    """One system, rated alone."""

    system: str
    name: str
    raters: int
    ratings: int
    questions: Mapping[str, Estimate]
    """Mean, 1 to 5, of each question that anybody answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """The reader next to one baseline."""

    against: str
    name: str
    raters: int
    wins: int
    ties: int
    losses: int
    share: Estimate
    """How often the reader is preferred, 0 to 1; a tie counts one half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRatings:
    """One of the report's sets."""

    name: str
    scored: tuple[SystemRatings, ...]
    preferred: tuple[Preference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterProgress:
    """One rater's work."""

    name: str
    done: int
    """Items of which every question is answered."""
    total: int
    seconds: float
    reads: bool | None
    """Whether their `fits` sets the best system apart from swapped answers; None where too little is rated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResults:
    """Everything that a study has found so far."""

    sets: tuple[SetRatings, ...]
    agreement: Mapping[str, float | None]
    """Krippendorff's alpha by question; None where it is not defined, as for a single rater."""
    raters: tuple[RaterProgress, ...]
    flags: tuple[str, ...]
    """Warnings, in plain sentences."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def results(study: Study) -> StudyResults:
    """Summarize a study. Raises UserError when nobody has rated yet, or a file of ratings is broken."""
    ratings = study.ratings()
    values: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for one in ratings:
        values[one.question.key][one.rater][one.item.id] = one.value
    agreement = {
        q.key: krippendorff_alpha(values[q.key], level="nominal" if q.is_pair else "ordinal")
        for q in QUESTIONS
        if q.key in values
    }
    sets = (_set_ratings(study, index, ratings) for index in range(len(study.sheet.report.sets)))
    raters = tuple(_progress(study, name, ratings) for name in study.raters())
    trained = [one.name for one in study.sheet.report.sets if one.trained_on]
    warnings = [f"{TRAINED_ON} ({', '.join(trained)})"] if trained else []
    warnings += [
        f"{rater.name} does not tell the best answers from another entity's (swapped): either the answers were not "
        "read, or no system fits"
        for rater in raters
        if rater.reads is False
    ]
    return StudyResults(
        sets=tuple(found for found in sets if found.scored or found.preferred),
        agreement=agreement,
        raters=raters,
        flags=tuple(warnings),
    )


def _set_ratings(study: Study, index: int, ratings: Sequence[Rating]) -> SetRatings:
    """Group one set's ratings by system, and its pairs by baseline."""
    evaluated = study.sheet.report.sets[index]
    alone: defaultdict[str, list[Rating]] = defaultdict(list)
    pairs: defaultdict[str, list[Rating]] = defaultdict(list)
    for rating in ratings:
        if rating.item.set_index == index:
            (pairs if rating.item.is_pair else alone)[_baseline(rating)].append(rating)
    scored, preferred = [], []
    for key in study.sheet.settings.systems:
        system = evaluated.system(key)
        name = system.name if system else key
        if group := alone[key]:
            found = {q.key: by_entity(group, key, q) for q in SCALES}
            scored.append(
                SystemRatings(
                    system=key,
                    name=name,
                    raters=len({rating.rater for rating in group}),
                    ratings=len(group),
                    questions={q: _mean(values) for q, values in found.items() if values},
                )
            )
        if group := pairs[key]:
            by_outcome = [rating.outcome_for(READER) for rating in group]
            shares = {
                entity: fmean(map(_WON.__getitem__, given))
                for entity, given in outcomes(group, READER, key).items()
            }
            preferred.append(
                Preference(
                    against=key,
                    name=name,
                    raters=len({rating.rater for rating in group}),
                    wins=by_outcome.count("win"),
                    ties=by_outcome.count("tie"),
                    losses=by_outcome.count("loss"),
                    share=_mean(shares),
                )
            )
    return SetRatings(name=evaluated.name, scored=tuple(scored), preferred=tuple(preferred))


def _baseline(rating: Rating) -> str:
    """Return the system that wrote alone, or the one next to the reader."""
    systems = rating.item.systems
    return systems[-1] if systems[0] == READER else systems[0]


def _mean(values: Mapping[str, float]) -> Estimate:
    return estimate(np.array(list(values.values())))


def _progress(study: Study, rater: str, ratings: Sequence[Rating]) -> RaterProgress:
    given = study.given(rater)
    items = study.sheet.items.values()
    return RaterProgress(
        name=rater,
        done=sum(is_done(item, given) for item in items),
        total=len(items),
        seconds=sum(rating.seconds for rating in given.values()),
        reads=_reads(rater, ratings),
    )


def _reads(rater: str, ratings: Sequence[Rating]) -> bool | None:
    """Return whether one rater's `fits` is surely higher for the system that all rate best than for swapped answers.

    The best is taken over all raters, so that one who answers at random finds none by luck. None without swapped
    answers, or with too few entities of which the rater has rated both.
    """
    fits: defaultdict[str, list[Rating]] = defaultdict(list)
    for rating in ratings:
        if rating.question is FITS:
            fits[rating.item.systems[0]].append(rating)
    swapped = fits.pop(SWAPPED, [])
    if not swapped or not fits:
        return None
    best = max(fits.values(), key=lambda given: fmean(float(str(rating.value)) for rating in given))
    # An entity is a set and an id: two sets may call different entities alike.
    mine = [
        {rating.item.key: float(str(rating.value)) for rating in given if rating.rater == rater}
        for given in (best, swapped)
    ]
    both = [entity for entity in mine[0] if entity in mine[1]]
    if len(both) < _FEWEST:
        return None
    highest, lowest = (Series(np.array([given[entity] for entity in both])) for given in mine)
    gap = difference(highest, lowest)
    return gap is not None and gap.low > 0


def export(study: Study, path: Path) -> int:
    """Write every rating that counts as CSV, whole or not at all, and return how many there are.

    For a pair `system` is the reader, and `value` its win, tie or loss against the baseline. A text that a
    spreadsheet would take for a formula begins with an apostrophe.
    """
    ratings = study.ratings()
    with replace_file(path) as temporary:
        return write_csv(temporary, [COLUMNS, *(_cells(study, rating) for rating in ratings)])


def _cells(study: Study, rating: Rating) -> list[Any]:
    item, entity = rating.item, rating.item.entity
    who: tuple[str, str, str] = (item.systems[0], "", "")
    if item.is_pair:
        who = (READER, _baseline(rating), "left" if item.systems[0] == READER else "right")
    value = rating.outcome_for(READER) if item.is_pair else rating.value
    where = [rating.rater, study.sheet.report.sets[item.set_index].name, entity.id, entity.label]
    return [*where, *who, rating.question.key, value, rating.seconds, rating.at, item.id]


def plain(found: StudyResults) -> Iterator[str]:
    """Yield the results as lines for a terminal."""
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


def _plain_set(each: SetRatings) -> Iterator[str]:
    names = [*(scored.name for scored in each.scored), *(f"than {pair.name}" for pair in each.preferred)]
    width = max(map(len, names)) + 2
    yield f"{each.name}: the mean of what raters said, 1 to 5"
    yield f"  {'':<{width}}{''.join(f'{q.key:<20}' for q in SCALES)}raters  ratings"
    for scored in each.scored:
        cells = "".join(f"{_interval(scored.questions.get(q.key)):<20}" for q in SCALES)
        yield f"  {scored.name:<{width}}{cells}{scored.raters:>6}{scored.ratings:>9}"
    if each.preferred:
        yield "  how often the reader is better, a tie counting one half"
    for pair in each.preferred:
        counts = f"{pair.wins} better, {pair.ties} equal, {pair.losses} worse"
        line = f"  {f'than {pair.name}':<{width}}{_interval(pair.share):<20}{counts:<40}"
        yield f"{line}{pair.raters:>6}{pair.wins + pair.ties + pair.losses:>9}"


def _interval(value: Estimate | None) -> str:
    return f"{value:.2f}" if value else "-"
