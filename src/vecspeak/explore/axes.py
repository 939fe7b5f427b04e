"""Axes in words: what the items at each end of a direction have more of, and whether random directions do as well.

The words and values of an end are selected on one half of the items, by the area under the ROC curve (AUC) of their
presence over the items' place on the axis, and scored on the other half. An axis' score is the mean of 2 AUC - 1 over
the first three words of its clearer end: 0 for none, 1 for words that divide the items. It means something where that
is more than with the items shuffled, and stands out where it is more than that of random directions; both at a false
discovery rate below 5%. Where one direction holds most of the variance, random ones lean to it and say the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from markupsafe import Markup
from scipy.special import ndtr
from scipy.stats import rankdata

from vecspeak.bundles import SpaceEntry
from vecspeak.display import LABEL, bar, element, table, to_frame
from vecspeak.errors import UserError, check_one_of, check_seed, check_text, check_whole, shorten, shown_value
from vecspeak.explore.contrast import LEVEL, Facts, discovery_rates
from vecspeak.foreign import shown
from vecspeak.spaces import Space
from vecspeak.spaces.axes import axis, covariance
from vecspeak.spaces.search import unit_rows
from vecspeak.stats import Estimate

_ITEMS = 20_000
"""Items that are looked at: a half chooses, a half scores."""
_RANDOM, _SHUFFLED = 200, 100
"""Random directions, and axes of shuffled items, that scores are held against."""
_LEAST, _LEAST_SPREAD = 0.2, 0.05
"""Score below which an axis has no meaning (an AUC of 0.6), and least standard deviation of a control's scores."""
_WORDS, _SCORED, _SHOWN = 5, 3, 3
"""Words and values of an end, the first of them that make its score, and items of it that are named."""
_FEWEST = 5
"""Items of each half that must have a word or a value."""
_SURE = 1.96
_HOLDS = 0.6
"""AUC on the other half below which a selected word did not hold: it counts in the score, and is not shown."""
KINDS = ("components", "coordinates", "concepts")


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisWord:
    """A word of the texts, or a column's value, that items at one end have more often."""

    term: str
    column: str
    auc: float
    """On items that did not choose it: how often an item that has it lies farther towards this end than one without."""

    def __str__(self) -> str:
        return f"{self.term} {self.auc:.2f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisEnd:
    """One end of an axis."""

    words: tuple[AxisWord, ...]
    items: tuple[str, ...]
    """Labels of the outermost items."""

    @property
    def items_in_short(self) -> str:
        """The labels, each cut for a line or a cell."""
        return "; ".join(shorten(one, LABEL) for one in self.items)

    def __str__(self) -> str:
        return ", ".join(map(str, self.words)) or "no words"


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisMeaning:
    """A direction of a space and what lies at its ends."""

    name: str
    """As expressions write it: "pc(1)", "axis(12)", a concept."""
    variance: float
    """Share of the items' variance along it."""
    score: float
    """Mean |2 AUC - 1| of its words on items that did not choose them."""
    q_shuffled: float
    """False discovery rate at which it would just count as found, against the same axis with the items shuffled."""
    q_random: float
    """The same against random directions."""
    high: AxisEnd
    low: AxisEnd

    @property
    def is_found(self) -> bool:
        """Whether its words divide the items more than they do by chance."""
        return self.q_shuffled < LEVEL and self.score >= _LEAST

    @property
    def beats_random(self) -> bool:
        """Whether they also say more than those of random directions: such an axis stands out from others."""
        return self.is_found and self.q_random < LEVEL

    @property
    def lines(self) -> tuple[str, ...]:
        """What it is, and its two ends where they mean something."""
        head = f"{self.name}: {self.variance:.1%} of the variance, score {self.score:.2f}"
        if not self.is_found:
            return (f"{head}: NO MEANING FOUND",)
        if not self.beats_random:
            head += ": NO MORE THAN A RANDOM DIRECTION SAYS"
        ends = (("+", self.high), ("-", self.low))
        return head, *(f"  {sign} {end} ({end.items_in_short})" for sign, end in ends)

    def __str__(self) -> str:
        return "\n".join(map(shown, self.lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisMeanings:
    """Axes of one space, in the order that was asked for."""

    how_to_read: ClassVar[str] = (
        "Words and values of each end were selected on half of the items; the number behind one is its AUC on the "
        "other half: how often an item that has it lies farther towards that end than one without. The score is "
        "the mean of 2 AUC - 1 over the clearer end's first three. Shuffled items are chance; random directions "
        "are what any direction of the space says."
    )

    space: str
    axes: tuple[AxisMeaning, ...]
    random: Estimate
    """Score of random directions, mean and 95% of them."""
    shuffled: Estimate
    """Score of the axes where the items are shuffled, likewise."""
    num_items: int
    """Items that were looked at."""
    num_features: int
    """Words and values that were."""

    @property
    def lines(self) -> tuple[str, ...]:
        """How many are found, and the lines of each."""
        found, more = (sum(getattr(one, name) for one in self.axes) for name in ("is_found", "beats_random"))
        head = (
            f"of {len(self.axes)} axes of {self.space} {found} mean something (score of shuffled items "
            f"{_spread(self.shuffled)}), {more} of them more than random directions do ({_spread(self.random)})"
        )
        return head, *(line for one in self.axes for line in one.lines)

    def __str__(self) -> str:
        return "\n".join(map(shown, self.lines))

    def _repr_html_(self) -> Markup:
        """A row for each axis: both ends, and the score beside that of random directions."""
        rows = [
            [
                one.name,
                f"{one.variance:.1%}",
                bar(one.score, f"{one.score:.2f}"),
                *(
                    [f"{end} ({end.items_in_short})" for end in (one.high, one.low)]
                    if one.is_found
                    else [element("small", "no meaning found"), ""]
                ),
                "yes" if one.beats_random else "no",
            ]
            for one in self.axes
        ]
        return element(
            "div",
            element("p", element("strong", self.lines[0])),
            table(["", "variance", "score", "+", "-", "more than random"], rows),
        )

    @property
    def heading(self) -> str:
        """What was asked."""
        return f"Axes of {self.space}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = asdict(self)
        for one, axis_found in zip(found["axes"], self.axes, strict=True):
            one |= {"is_found": axis_found.is_found, "beats_random": axis_found.beats_random}
        return found

    def to_pandas(self) -> Any:
        """A frame with a row for each axis. Raises UserError where pandas is not installed."""
        return to_frame(
            {
                "axis": one.name,
                "variance": one.variance,
                "score": one.score,
                "q_shuffled": one.q_shuffled,
                "q_random": one.q_random,
                "is_found": one.is_found,
                "beats_random": one.beats_random,
                "high": ", ".join(word.term for word in one.high.words),
                "low": ", ".join(word.term for word in one.low.words),
            }
            for one in self.axes
        )


def axes(
    entry: SpaceEntry,
    of: str | Mapping[str, np.ndarray] = "components",
    *,
    count: int = 10,
    seed: int = 0,
) -> AxisMeanings:
    """Read both ends of the first `count` principal components or coordinates, of the concepts, or of given directions.

    `of` is "components", "coordinates", "concepts", or a mapping from names to [D] directions. Raises UserError for a
    space whose items have neither texts nor values, and for directions of another width.
    """
    check_whole("count", count, 1, 10_000)
    check_seed(seed)
    return read_axes(entry.space, *_directions(entry, of, count), seed=seed)


def read_axes(space: Space, names: Sequence[str], directions: np.ndarray, *, seed: int = 0) -> AxisMeanings:
    """Read both ends of [A, D] directions of length 1. Raises UserError for items with neither words nor values."""
    draw = np.random.default_rng(seed)
    rows = draw.permutation(space.num_items)[:_ITEMS]
    halves = np.sort(rows[: len(rows) // 2]), np.sort(rows[len(rows) // 2 :])
    features = _Features(space, halves)
    random = unit_rows(draw.standard_normal((_RANDOM, space.dim)))
    selected = features.selected(np.concatenate([directions, random]))
    scores = np.array([one.score for one in selected])
    known, of_random = scores[: len(names)], scores[len(names) :]
    times = max(1, -(-_SHUFFLED // len(names)))
    of_shuffled = np.array([
        one.score for _ in range(times) for one in features.shuffled(draw).selected(directions)
    ])  # fmt: skip
    q_random, q_shuffled = _rates(known, of_random), _rates(known, of_shuffled)
    spread = covariance(space)
    total = max(float(np.trace(spread)), 1e-30)
    found = tuple(
        AxisMeaning(
            name=name,
            variance=float(directions[number] @ spread @ directions[number]) / total,
            score=float(known[number]),
            q_shuffled=float(q_shuffled[number]),
            q_random=float(q_random[number]),
            high=AxisEnd(words=selected[number].high, items=_outermost(space, halves, directions[number])),
            low=AxisEnd(words=selected[number].low, items=_outermost(space, halves, -directions[number])),
        )
        for number, name in enumerate(names)
    )
    return AxisMeanings(
        space=space.name,
        axes=found,
        random=_around(of_random),
        shuffled=_around(of_shuffled),
        num_items=len(rows),
        num_features=len(features.names),
    )


def _rates(known: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """[A] false discovery rates of scores against those of a control, the upper half of which is taken for normal.

    The draws alone would show no rate below one in their number. Of few words and values the scores are skewed, so that
    the spread of all of them would be too small for those above the middle.
    """
    middle = float(np.median(controls))
    above = controls[controls > middle] - middle
    spread = float(np.sqrt((above**2).mean())) if len(above) else 0.0
    return discovery_rates(1 - ndtr((known - middle) / max(spread, _LEAST_SPREAD)))


def _around(scores: np.ndarray) -> Estimate:
    low, high = np.percentile(scores, [2.5, 97.5])
    return Estimate(float(scores.mean()), float(low), float(high))


def _spread(one: Estimate) -> str:
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _direction(name: str, given: Any, dim: int) -> np.ndarray:
    """A direction that a person gave, [D] float64; UserError for anything else."""
    try:
        found = np.asarray(given, np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.empty(0)
    if found.shape != (dim,) or not np.isfinite(found).all() or not found.any():
        what = f"shape {list(np.shape(given))}" if isinstance(given, np.ndarray) else shown_value(given)
        raise UserError(
            f"`of` has the direction {name!r}, which must be {dim} finite numbers, not all 0, got {what}",
            "give an array of the space's width",
        )
    return found


def _directions(
    entry: SpaceEntry, of: str | Mapping[str, np.ndarray], count: int
) -> tuple[list[str], np.ndarray]:
    """Names and [A, D] directions of length 1."""
    space = entry.space
    if not isinstance(of, Mapping):
        check_one_of("of", of, KINDS, "give one of them, or a mapping from names to arrays")
    if isinstance(of, Mapping):
        given = {check_text("of", name): _direction(name, one, space.dim) for name, one in of.items()}
    elif of == "concepts":
        given = {name: one.direction.astype(np.float64) for name, one in entry.concepts.items()}
    else:
        kind, first = ("pc", 1) if of == "components" else ("axis", 0)
        numbers = range(first, first + min(count, space.dim))
        given = {}
        for number in numbers:
            try:
                given[f"{kind}({number})"] = axis(space, kind, number)[0]
            except UserError:  # along which no item differs
                continue
    if not given:
        raise UserError(f"{space.name} has no {of}", "fit a concept first, or choose components")
    return list(given), unit_rows(np.stack(list(given.values())))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Selected:
    high: tuple[AxisWord, ...]
    low: tuple[AxisWord, ...]
    score: float


class _Features:
    """Words and values that enough items of both halves have."""

    def __init__(self, space: Space, halves: tuple[np.ndarray, np.ndarray]) -> None:
        from scipy.sparse import hstack

        facts = Facts.from_space(space)
        matrix = hstack([facts.values.matrix, facts.words.matrix], format="csc")
        parts = [matrix[half] for half in halves]
        counts = np.array([np.asarray(part.sum(0)).ravel() for part in parts]).reshape(2, -1)
        sizes = np.array([[len(half)] for half in halves])
        enough = np.flatnonzero(((counts >= _FEWEST) & (sizes - counts >= _FEWEST)).all(0))
        if not len(enough):
            raise UserError(
                f"items of {space.name} have neither words nor values that enough of them share",
                "fit it with texts or with columns",
            )
        columns = (*facts.values.columns, *("" for _ in facts.words.names))
        names = (*facts.values.names, *facts.words.names)
        self.columns = [columns[place] for place in enough]
        self.names = [names[place] for place in enough]
        self.counts, self.sizes = counts[:, enough], sizes
        self.parts = [part[:, enough] for part in parts]
        self.vectors = [space.vectors[half].astype(np.float64) for half in halves]

    def selected(self, directions: np.ndarray) -> list[_Selected]:
        """The words of both ends of each of [A, D] directions, and their score."""
        choosing, judging = (self._aucs(half, directions) for half in (0, 1))  # [F, A]
        # how sure the choosing half is: the standard error of an AUC where there is nothing
        with_it, without = self.counts[0], self.sizes[0] - self.counts[0]
        error = np.sqrt((self.sizes[0] + 1) / (12.0 * with_it * without))
        sure = np.abs(choosing - 0.5) - _SURE * error[:, None]
        found = []
        for number in range(len(directions)):
            ends = []
            for sign in (1, -1):
                lead = np.where(sign * (choosing[:, number] - 0.5) > 0, sure[:, number], -1)
                best = self._distinct(place for place in np.argsort(-lead, kind="stable") if lead[place] > 0)
                ends.append(
                    tuple(
                        AxisWord(
                            term=self.names[place],
                            column=self.columns[place],
                            auc=float(0.5 + sign * (judging[place, number] - 0.5)),
                        )
                        for place in best
                    )
                )
            # the clearer end counts: what has a kind has one end that says so, and all the others at the other
            score = max(
                float(np.mean([2 * one.auc - 1 for one in end[:_SCORED]])) if end else 0.0 for end in ends
            )
            high, low = (tuple(one for one in end if one.auc >= _HOLDS) for end in ends)
            found.append(_Selected(high=high, low=low, score=score))
        return found

    def shuffled(self, draw: np.random.Generator) -> "_Features":
        """The same features of items whose vectors are another's."""
        made = copy(self)
        made.vectors = [draw.permutation(one) for one in self.vectors]
        return made

    def _distinct(self, places: Iterable[int]) -> list[int]:
        """The first few, of which no two read the same: a value is often a word of the texts too."""
        found: dict[str, int] = {}
        for place in places:
            found.setdefault(self.names[place].casefold(), place)
            if len(found) == _WORDS:
                break
        return list(found.values())

    def _aucs(self, half: int, directions: np.ndarray) -> np.ndarray:
        """[F, A] areas under the ROC curve of each feature's presence over the items' place along each direction."""
        places = rankdata(self.vectors[half] @ directions.T, axis=0)
        with_it, without = self.counts[half][:, None], self.sizes[half] - self.counts[half][:, None]
        above = self.parts[half].T @ places - with_it * (with_it + 1) / 2
        return np.asarray(above / (with_it * without))


def _outermost(space: Space, halves: Sequence[np.ndarray], direction: np.ndarray) -> tuple[str, ...]:
    rows = np.concatenate(halves)
    places = space.vectors[rows] @ direction.astype(np.float32)
    return tuple(space.labels[row] for row in rows[np.argsort(-places, kind="stable")[:_SHOWN]].tolist())
