"""Results of checked profiles: estimates by system, paired differences, the verdict, and their lines for a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vecspeak.bundles import Bundle
from vecspeak.evaluation.report import READER, SHUFFLED
from vecspeak.protocols.hiding import (
    hide,
    interval_of,
    resampled,
)
from vecspeak.protocols.people import named_person, others_than, people_to_check, standing
from vecspeak.protocols.profiles import (
    AUC,
    ORDERS,
    OWN,
    PRECISION,
    PROFILE,
    RECALL,
    TEXTS,
    CheckedDraws,
    Checker,
    hidden_orders,
)
from vecspeak.stats import Estimate, Series, difference
from vecspeak.tasks.privacy import flagged

CHANCE = 0.5
"""What any order reaches that knows nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileEstimate:
    """A number with its 95% interval, where there is one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileResult:
    """All that was found, as plain values."""

    people: tuple[str, ...]
    draws: int
    share: float
    hidden: tuple[float, float]
    """Liked and disliked items that were hidden, the mean over all draws."""
    kept: float
    """Ratings that a profile was made from, the mean over all draws."""
    ranking: Mapping[str, Mapping[str, ProfileEstimate]]
    """By system: AUC, and AUC beyond the average person."""
    kinds: Mapping[str, Mapping[str, ProfileEstimate]]
    """By text: precision and recall of the kinds and times that it says are liked."""
    over_another: Mapping[str, ProfileEstimate]
    """What the profile has over another person's, paired; by measure."""
    vector_over_average: ProfileEstimate
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


def profile_result(checked: CheckedDraws, *, share: float, standing: str, seed: int = 0) -> ProfileResult:
    """What the checks of one person, or of several, come to."""
    shown = [one for draw in range(len(checked.draws)) for one in checked.parts(draw)]
    over = {measure: _difference(checked, READER, SHUFFLED, measure, seed) for measure in (AUC, OWN)}
    ranking = {
        name: {
            measure: _auc(checked, key, measure, seed)
            for measure in (AUC, OWN)
            if checked.series(key, measure)
        }
        for key, name in ORDERS.items()
    }
    texts = [checked.text(j, i) for i in range(len(checked.people)) for j in range(len(checked.draws))]
    return ProfileResult(
        people=checked.people,
        draws=len(checked.draws),
        share=share,
        hidden=(
            float(np.mean([len(one.liked) for one in shown])),
            float(np.mean([len(one.disliked) for one in shown])),
        ),
        kept=float(np.mean([len(one.shown) for one in shown])),
        ranking=ranking,
        kinds=_kinds(checked, seed),
        over_another=over,
        vector_over_average=_difference(checked, "person", "average_person", AUC, seed),
        verdict=_verdict(over[AUC], ranking[PROFILE], len(checked.people)),
        standing=standing,
        flagged=sum(bool(flagged(text)) for text in texts),
    )


def _mean_aucs(checked: CheckedDraws, system: str, measure: str) -> Series:
    """The AUC of each person, the mean over the draws."""
    return Series(np.mean([one.values for one in checked.series(system, measure)], axis=0))


def _resampled(checked: CheckedDraws, system: str, measure: str, seed: int) -> np.ndarray:
    """[R] the AUC of the one person for resamples of the hidden items."""
    orders = [hidden_orders(one.answers(system), one.cases)[measure][0] for one in checked.draws]
    return resampled(orders, seed=seed)


def _auc(checked: CheckedDraws, system: str, measure: str, seed: int) -> ProfileEstimate:
    """Of several people with an interval over people, of one over the hidden items."""
    aucs = _mean_aucs(checked, system, measure)
    if len(checked.people) > 1:
        return _figure(aucs.estimate(seed=seed))
    return _figure(interval_of(float(aucs.values[0]), _resampled(checked, system, measure, seed)))


def _difference(checked: CheckedDraws, one: str, other: str, measure: str, seed: int) -> ProfileEstimate:
    """The AUC by one system minus that by another, both by the same people or the same items."""
    first, second = (_mean_aucs(checked, system, measure) for system in (one, other))
    if len(checked.people) > 1:
        return _figure(difference(first, second, seed=seed))
    # The same seed draws the same items for both, so that the difference is paired.
    drawn = [_resampled(checked, system, measure, seed) for system in (one, other)]
    return _figure(interval_of(float(first.values[0] - second.values[0]), drawn[0] - drawn[1]))


def _kinds(checked: CheckedDraws, seed: int) -> dict[str, dict[str, ProfileEstimate]]:
    """Micro averages; of one person without an interval, for the draws of one hold partly the same items."""
    found: dict[str, dict[str, ProfileEstimate]] = {}
    for key, name in TEXTS.items():
        for measure in (PRECISION, RECALL):
            draws = checked.series(key, measure)
            right = sum((np.rint(one.values * one.counted) for one in draws), np.zeros(len(checked.people)))
            whole = sum((one.counted for one in draws), np.zeros(len(checked.people)))
            if not whole.any():
                continue
            shares = Series(right / np.maximum(whole, 1), whole)
            figure = (
                ProfileEstimate(value=float(shares.values[0]))
                if len(checked.people) == 1
                else _figure(shares.estimate(seed=seed))
            )
            found.setdefault(name, {})[measure] = figure
    return found


def _figure(estimate: Estimate | None) -> ProfileEstimate:
    assert estimate is not None
    return ProfileEstimate(value=estimate.value, low=estimate.low, high=estimate.high)


def _verdict(over: ProfileEstimate, own: Mapping[str, ProfileEstimate], num_people: int) -> str:
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


def _lies_above(figure: ProfileEstimate, bound: float) -> bool:
    return figure.low is not None and figure.low > bound


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProfileCheck:
    """Profiles of one person or several, held against the ratings that were hidden from them."""

    checked: CheckedDraws
    result: ProfileResult

    @property
    def flags(self) -> list[str]:
        """Attributes that profiles state of a person and that ratings do not tell, sorted."""
        return sorted({flag for one in self.checked.profiles() for flag in one["flags"]})

    @property
    def num_profiles(self) -> int:
        """Over all people and draws."""
        return len(self.checked.people) * len(self.checked.draws)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the result, and every text with what was hidden from it."""
        return {**self.result.to_dict(), "profiles": self.checked.profiles()}


def check_profiles(checker: Checker, bundle: Bundle, *, at: str = "", people: int = 0) -> ProfileCheck:
    """Check the person of an expression, or up to `people` held-out people of the ratings.

    Raises UserError for what is not one person, and where too little can be hidden; no model is opened before.
    """
    crowd, config = checker.crowd, checker.settings
    share, seed = config.share, config.seed
    if people:
        checked = checker.check_many(people_to_check(crowd, people, share, seed))
    else:
        person, ratings = named_person(at, crowd)
        hide(ratings, share, [seed])  # of the person first, and before anything is made
        others = others_than(crowd, person, config.draws, share, seed)
        checked = checker.check_one(person, ratings, others)
    known = standing(bundle, checked.people)
    return ProfileCheck(
        checked=checked, result=profile_result(checked, share=share, standing=known, seed=seed)
    )


# --- lines ---

_TITLES = {
    AUC: "AUC",
    OWN: "beyond the average",
    PRECISION: "precision",
    RECALL: "recall",
}


def lines(found: ProfileResult) -> list[str]:
    """The two tables and the verdict, for a terminal."""
    over = "the hidden items" if len(found.people) == 1 else f"{len(found.people)} people"
    shown = [
        f"{found.share:.0%} of the ratings hidden, {found.draws} time{'s' * (found.draws > 1)}: "
        f"{found.kept:.0f} kept, {found.hidden[0]:.0f} liked and {found.hidden[1]:.0f} disliked hidden on average",
        f"intervals: 95%, over {over}",
        "",
        *_table("which of the hidden they liked", found.ranking, (AUC, OWN)),
        f"{'chance':<38} {CHANCE:.3f}",
    ]
    if found.kinds:
        shown += ["", *_table("kinds and times that they like", found.kinds, (PRECISION, RECALL))]
    could = f"What could be known: the vector has AUC {_signed(found.vector_over_average)} over the average person."
    return [*shown, "", found.verdict, could, f"({found.standing})"]


def _table(
    title: str, rows: Mapping[str, Mapping[str, ProfileEstimate]], measures: Sequence[str]
) -> list[str]:
    heads = "".join(f" {_TITLES[measure]:<22}" for measure in measures)
    return [f"{title:<38}{heads}".rstrip()] + [
        f"{name:<38}{''.join(f' {_cell(row.get(measure)):<22}' for measure in measures)}".rstrip()
        for name, row in rows.items()
    ]


def _signed(figure: ProfileEstimate) -> str:
    return f"{figure.value:+z.3f} [{figure.low:+z.3f}, {figure.high:+z.3f}]"


def _cell(figure: ProfileEstimate | None) -> str:
    if figure is None:
        return "–"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
