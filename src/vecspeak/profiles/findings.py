"""Findings: what checked profiles come to, each number beside its baselines and with its interval, and a verdict.

Of one person the interval is over the hidden items, of several over the people. Knows what `check` gives. No models.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vecspeak.evaluation.intervals import Estimate, Series, difference
from vecspeak.profiles.check import (
    ANOTHER,
    ANY,
    AUC,
    AVERAGE,
    MEAN,
    OWN,
    POPULAR,
    PROFILE,
    READ,
    RULE,
    VECTOR,
    Checked,
    Named,
)
from vecspeak.profiles.ranking import CHANCE, auc_over_draws, interval_of, resampled

ORDERS = (PROFILE, ANOTHER, RULE, READ, VECTOR, AVERAGE, POPULAR, MEAN)
"""What ranks the hidden items, in the order of the table."""
TEXTS = (PROFILE, ANOTHER, RULE, ANY)
"""What names kinds and times."""
PRECISION, RECALL = "precision", "recall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number with its 95% interval, where there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, estimate: Estimate | None) -> "Figure | None":
        """The same of an estimate."""
        if estimate is None:
            return None
        return cls(value=estimate.value, low=estimate.low, high=estimate.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that was found, as plain values."""

    people: tuple[str, ...]
    draws: int
    share: float
    hidden: tuple[float, float]
    """Liked and disliked items that were hidden, the mean over all draws."""
    kept: float
    """Ratings that a profile was made from, the mean over all draws."""
    ranking: Mapping[str, Mapping[str, Figure]]
    """By system: AUC, and AUC beyond the average person."""
    kinds: Mapping[str, Mapping[str, Figure]]
    """By text: precision and recall of the kinds and times that it says are liked."""
    over_another: Mapping[str, Figure]
    """What the profile has over another person's, paired; by measure."""
    vector_over_average: Figure
    """What the vector of the kept ratings has over the average person, paired: all that a profile could tell."""
    verdict: str
    standing: str
    """Whether the reader may have been trained on these people."""
    flagged: int
    """Profiles that state something of a person that ratings do not tell."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; 0.5 is chance."""
        return {**asdict(self), "chance": CHANCE}


_FEW = 20
"""Below so many people, or draws of one, an interval by bootstrap is too narrow to build on."""


def findings(checked: Sequence[Checked], *, share: float, standing: str, seed: int = 0) -> Findings:
    """What the checks of one person, or of several, come to."""
    told = [one for person in checked for one in person.told]
    estimate: Callable[[str, str], Figure] = (
        _of_people(checked, seed) if len(checked) > 1 else _of_one(checked[0], seed)
    )
    over = {measure: _difference(checked, PROFILE, ANOTHER, measure, seed) for measure in (AUC, OWN)}
    ranking = {
        name: {measure: estimate(name, measure) for measure in told[0].orders[name]} for name in ORDERS
    }
    return Findings(
        people=tuple(one.person for one in checked),
        draws=len(checked[0].told),
        share=share,
        hidden=(
            float(np.mean([len(one.parts.liked) for one in told])),
            float(np.mean([len(one.parts.disliked) for one in told])),
        ),
        kept=float(np.mean([len(one.parts.kept) for one in told])),
        ranking=ranking,
        kinds=_kinds(checked, seed),
        over_another=over,
        vector_over_average=_difference(checked, VECTOR, AVERAGE, AUC, seed),
        verdict=_verdict(over[AUC], ranking[PROFILE], len(checked)),
        standing=standing,
        flagged=sum(bool(one.flags) for one in told),
    )


def _aucs(checked: Sequence[Checked], name: str, measure: str) -> np.ndarray:
    """[people] AUC of each, the mean over the draws."""
    return np.array([auc_over_draws([one.orders[name][measure] for one in each.told]) for each in checked])


def _of_people(checked: Sequence[Checked], seed: int) -> Callable[[str, str], Figure]:
    def estimate(name: str, measure: str) -> Figure:
        found = Figure.of(Series(_aucs(checked, name, measure)).estimate(seed=seed))
        assert found is not None
        return found

    return estimate


def _of_one(checked: Checked, seed: int) -> Callable[[str, str], Figure]:
    def estimate(name: str, measure: str) -> Figure:
        orders = [one.orders[name][measure] for one in checked.told]
        found = Figure.of(interval_of(auc_over_draws(orders), resampled(orders, seed=seed)))
        assert found is not None
        return found

    return estimate


def _difference(checked: Sequence[Checked], one: str, other: str, measure: str, seed: int) -> Figure:
    """The AUC by one system minus that by another, both by the same people or the same items."""
    first, second = (_aucs(checked, name, measure) for name in (one, other))
    if len(checked) > 1:
        found = difference(Series(first), Series(second), seed=seed)
    else:
        drawn = [
            resampled([told.orders[name][measure] for told in checked[0].told], seed=seed)
            for name in (one, other)
        ]
        found = interval_of(float(first[0] - second[0]), drawn[0] - drawn[1])
    figure = Figure.of(found)
    assert figure is not None
    return figure


def _kinds(checked: Sequence[Checked], seed: int) -> dict[str, dict[str, Figure]]:
    """Micro averages; of one person without an interval, for the draws of one hold partly the same items."""
    found: dict[str, dict[str, Figure]] = {}
    for name in TEXTS:
        named = [[one.named[name] for one in each.told if name in one.named] for each in checked]
        for measure, of in ((PRECISION, "said"), (RECALL, "true")):
            figure = _share(named, of, seed)
            if figure is not None:
                found.setdefault(name, {})[measure] = figure
    return found


def _share(named: Sequence[Sequence[Named]], of: str, seed: int) -> Figure | None:
    right = np.array([sum(one.right for one in each) for each in named], dtype=float)
    whole = np.array([sum(getattr(one, of) for one in each) for each in named], dtype=float)
    if not whole.any():
        return None
    if len(named) == 1:
        return Figure(value=float(right[0] / whole[0]))
    return Figure.of(Series(right / np.maximum(whole, 1), whole).estimate(seed=seed))


def _verdict(over: Figure, own: Mapping[str, Figure], num_people: int) -> str:
    """It must beat another person's profile and chance; whether it adds to the average person's taste is told."""
    who = "this person" if num_people == 1 else "these people"
    size = f"AUC {_signed(over)} over another person's profile"
    few = f" ({num_people} people are few: a first look)" if 1 < num_people < _FEW else ""
    if over.high is not None and over.high < 0:
        return f"WRONG: another person's profile says more of what {who} liked: {size}{few}."
    if not _lies_above(over, 0):
        return f"NOT SHOWN that the profile tells anything of {who} that was hidden from it: {size}{few}."
    if not _lies_above(own[AUC], CHANCE):
        reached = f"AUC {_cell(own[AUC])}"
        return (
            f"NOT SHOWN that the profile ranks what {who} liked better than chance, {reached}: {size}{few}."
        )
    is_more = OWN in own and _lies_above(own[OWN], CHANCE)
    average = "" if is_more else ", no more than what the average person likes"
    return f"The profile tells something of {who} that was hidden from it{average}: {size}{few}."


def _lies_above(figure: Figure, bound: float) -> bool:
    return figure.low is not None and figure.low > bound


# --- lines ---

_TITLES = {
    AUC: "AUC",
    OWN: "beyond the average",
    PRECISION: "precision",
    RECALL: "recall",
}


def lines(found: Findings) -> list[str]:
    """The two tables and the verdict, for a terminal."""
    over = "the hidden items" if len(found.people) == 1 else f"{len(found.people)} people"
    told = [
        f"{found.share:.0%} of the ratings hidden, {found.draws} time{'s' * (found.draws > 1)}: "
        f"{found.kept:.0f} kept, {found.hidden[0]:.0f} liked and {found.hidden[1]:.0f} disliked hidden on average",
        f"intervals: 95%, over {over}",
        "",
        *_table("which of the hidden they liked", found.ranking, (AUC, OWN)),
        f"{'chance':<38} {CHANCE:.3f}",
    ]
    if found.kinds:
        told += ["", *_table("kinds and times that they like", found.kinds, (PRECISION, RECALL))]
    could = f"What could be known: the vector has AUC {_signed(found.vector_over_average)} over the average person."
    return [*told, "", found.verdict, could, f"({found.standing})"]


def _table(title: str, rows: Mapping[str, Mapping[str, Figure]], measures: Sequence[str]) -> list[str]:
    heads = "".join(f" {_TITLES[measure]:<22}" for measure in measures)
    return [f"{title:<38}{heads}".rstrip()] + [
        f"{name:<38}{''.join(f' {_cell(row.get(measure)):<22}' for measure in measures)}".rstrip()
        for name, row in rows.items()
    ]


def _signed(figure: Figure) -> str:
    return f"{figure.value:+z.3f} [{figure.low:+z.3f}, {figure.high:+z.3f}]"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
