"""Tracing: the answers along a concept, where that way leaves the data, and what other ways of equal length do.

Knows points, concepts, askers and whatever judges a text. Prints nothing and fits nothing. Where it goes beyond ELM
(Tennenholtz et al. 2024, section 6): every step is beside the same step along the reverse and along random directions.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from tqdm import tqdm

from vecspeak.asking import OUTSIDE, Answer, Asked, Asker, Near
from vecspeak.bundles import SpaceEntry
from vecspeak.engines import Sampling
from vecspeak.errors import UserError
from vecspeak.points import Concept, Point
from vecspeak.points.expressions import ConceptName, Expression, Within
from vecspeak.spaces import Space
from vecspeak.spaces.spelling import did_you_mean

QUESTION = "Describe {x}."
MOST_STEPS, FARTHEST = 41, 1000.0
"""So many amounts a path has at most, and so far out they may lie, in standard deviations."""
_SCAN, _FINE = 0.5, 0.1
"""The way is looked at every half a standard deviation, and where it leaves the data to a tenth."""
_EXAMPLE = 'type -3..3, "-12..12 by 4" or 0,4,8'

_REVERSE = "the reverse of "

PathKind = Literal["concept", "reverse", "random", "isotropic"]
"""Random: drawn as the items vary. Isotropic: any direction alike. Both hold nothing of the concept."""


class Judge(Protocol):
    """What says of a text how much of an attribute it shows."""

    @property
    def name(self) -> str:
        """How tables call it."""
        ...

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """[N] floats; more is more of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One amount, what lies there and what was said of it."""

    amount: float
    """Standard deviations of the items along the concept."""
    expression: str
    """The point; of a control only a description, for it cannot be typed."""
    percentile: float
    """Share of the real items, in percent, that lie no farther from the data; the starting items are left out."""
    is_outside: bool
    """Whether that is above 99, and the point no real item: do not trust the answer."""
    text: str
    nearest: tuple[Near, ...]
    """The nearest real items, those that the start was made from left out."""
    round_trip: float
    """Cosine of the encoder's vector of the answer with the vector that was read."""
    swapped: float
    """The same with the vectors of other items, on average."""
    judged: Mapping[str, float]
    """How much of the attribute each judge sees in the answer."""
    flags: tuple[str, ...] = ()
    """Attributes that the answer states of a person and that ratings do not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Steps along one direction."""

    kind: PathKind
    name: str
    steps: tuple[Step, ...]
    """Those that were asked, by amount."""
    refused: tuple[float, ...]
    """Amounts that `strict` left out: they, or others before them on the way, lie outside the data."""
    slopes: Mapping[str, float]
    """Least-squares slope of each judge's scores, a standard deviation of amount; empty below two steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The way along a concept from one point, and its controls."""

    space: str
    question: str
    start: str
    """The point it starts from, as an expression."""
    concept: str
    source: str
    """What the concept was fitted from."""
    caution: str
    """Why not to trust the concept; empty when there is no reason."""
    step_length: float
    """How long a standard deviation along the concept is, in the space's own numbers."""
    leaves_above: float | None
    """First amount above 0 that lies outside the data, to 0.1; None where it does not leave on the way asked for."""
    leaves_below: float | None
    """First amount below 0 that does."""
    strict: bool
    path: Path
    controls: tuple[Path, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The concept's and the controls'."""
        return (self.path, *self.controls)


def trace(
    asker: Asker,
    expression: str,
    concept: str,
    amounts: Sequence[float],
    *,
    question: str = QUESTION,
    controls: int = 0,
    reverse: bool = False,
    strict: bool = False,
    judges: Callable[[], Sequence[Judge]] = tuple,
    sampling: Sampling | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Trace:
    """Ask a question at every amount along a concept, and at the controls, all in one batch.

    `controls` random directions of the items' own spread and as many isotropic ones, all orthogonal to the concept and
    drawn by the seed, are gone along for the same lengths; `reverse` goes the other way. With `strict` no point
    outside the data is asked about, nor any beyond it. `judges` are made when all that a person typed has been
    checked: UserError before any model is touched for an unknown concept, impossible amounts, a question that is none,
    and under `strict` where nothing is left to ask.
    """
    wanted = _checked(amounts)
    start = asker.point(expression)
    entry = asker.entry_of(start)
    known = _concept(entry, concept)
    ways = _ways(entry.space, known, controls, reverse, seed)
    leaves = {way.name: _leaving(entry, start, way.step, wanted) for way in ways}
    planned = [
        _plan(asker, question, start, way, wanted, leaves[way.name] if strict else None) for way in ways
    ]
    if not planned[0].asked:
        raise UserError(
            f"every point asked for lies outside the data, {start.expression} at {_listed(wanted)} of {concept}",
            "start from an item, take smaller --steps, or leave out --strict",
        )
    answers = _answers(asker, [asked for plan in planned for asked in plan.asked], sampling, progress)
    texts = [answer.text for answer in answers.values()]
    scores = {judge.name: dict(zip(answers, judge.scores(texts), strict=True)) for judge in judges()}
    paths = [_path(plan, answers, scores) for plan in planned]
    below, above = leaves[ways[0].name]
    return Trace(
        space=entry.space.name,
        question=question,
        start=start.expression,
        concept=concept,
        source=known.source,
        caution=known.caution,
        step_length=known.scale,
        leaves_above=above,
        leaves_below=below,
        strict=strict,
        path=paths[0],
        controls=tuple(paths[1:]),
    )


# --- amounts ---


def amounts_of(text: str) -> tuple[float, ...]:
    """The amounts of `-3..3` (by 1), `-12..12 by 4` or `0,4,8`, ascending, each once. Raises UserError for others."""
    ends, _, by = text.partition(" by ")
    first, dots, last = ends.partition("..")
    if not dots:
        return _checked([_number(part, text) for part in text.split(",")])
    low, high, step = _number(first, text), _number(last, text), _number(by, text) if by else 1.0
    if not (step > 0 and low <= high and math.isfinite(high - low)):
        raise UserError(f"the amounts {text!r} go nowhere", _EXAMPLE)
    if (high - low) / step > MOST_STEPS:
        raise UserError(f"{text!r} has more than {MOST_STEPS} amounts", f"take larger steps: {text} by 4")
    count = int(math.floor((high - low) / step + 1e-9)) + 1
    return _checked([low + step * number for number in range(count)])


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(
            f"the amounts {whole!r} hold {text.strip()!r}, which is no number", _EXAMPLE
        ) from None


def _checked(amounts: Sequence[float]) -> tuple[float, ...]:
    found = tuple(sorted({round(float(amount), 6) + 0.0 for amount in amounts}))
    if not 1 <= len(found) <= MOST_STEPS:
        raise UserError(f"1 to {MOST_STEPS} amounts can be asked for, got {len(found)}", _EXAMPLE)
    if not all(math.isfinite(amount) and abs(amount) <= FARTHEST for amount in found):
        raise UserError(
            f"amounts may lie between -{FARTHEST:g} and {FARTHEST:g} standard deviations", _EXAMPLE
        )
    return found


def _listed(amounts: Sequence[float]) -> str:
    return ", ".join(_written(amount) for amount in amounts)


def _written(amount: float) -> str:
    return f"{amount:.6f}".rstrip("0").rstrip(".")


# --- directions ---


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Way:
    """A direction to go along."""

    kind: PathKind
    name: str
    step: np.ndarray
    """[D] float64: what amount 1 moves by; as long for every way of a concept."""


def random_directions(
    space: Space, concept: Concept, count: int, *, kind: Literal["random", "isotropic"], seed: int
) -> np.ndarray:
    """[count, D] float64 unit directions orthogonal to the concept, so that a point keeps its place along it.

    `random` draws them as the items vary: items weighted by independent normal numbers have the items' covariance,
    so they lead to where items may lie. `isotropic` draws every direction alike: mostly to where none lie.
    """
    number = 0 if kind == "random" else 1
    rng = np.random.default_rng([seed, number])
    if kind == "random":
        rows = rng.permutation(space.num_items)[:_SAMPLE]
        center = space.vectors[rows].mean(0, dtype=np.float64)
        weights = rng.standard_normal((count, len(rows)))
        drawn = weights @ space.vectors[rows] - weights.sum(1, keepdims=True) * center
    else:
        drawn = rng.standard_normal((count, space.dim))
    along = concept.direction.astype(np.float64)
    drawn -= np.outer(drawn @ along, along) / (along @ along)
    lengths = np.linalg.norm(drawn, axis=1, keepdims=True)
    if count and not (lengths > 1e-9 * np.linalg.norm(space.vectors[0])).all():
        raise UserError(
            f"{space.name} varies along {concept.name} alone, so there is no other direction",
            "leave out --controls",
        )
    return np.asarray(drawn / lengths)


_SAMPLE = 5000
"""Items whose spread stands for that of all."""


def _ways(space: Space, concept: Concept, controls: int, reverse: bool, seed: int) -> list[Way]:
    step = concept.scale * concept.direction.astype(np.float64)
    found = [Way(kind="concept", name=concept.name, step=step)]
    if reverse:
        found.append(Way(kind="reverse", name=f"{_REVERSE}{concept.name}", step=-step))
    kinds: tuple[Literal["random", "isotropic"], ...] = ("random", "isotropic")
    for kind in kinds if controls else ():
        drawn = random_directions(space, concept, controls, kind=kind, seed=seed)
        found += [
            Way(kind=kind, name=f"{kind} direction {number}", step=concept.scale * one)
            for number, one in enumerate(drawn, 1)
        ]
    return found


def _concept(entry: SpaceEntry, name: str) -> Concept:
    if name not in entry.concepts:
        known = f"it has {', '.join(entry.concepts)}" if entry.concepts else "it has none"
        raise UserError(
            f"{entry.space.name} has no concept {name!r}; {known}",
            did_you_mean(name, entry.concepts, "fit it with vecspeak concept fit"),
        )
    return entry.concepts[name]


# --- where a way leaves the data ---


def percentiles(entry: SpaceEntry, start: Point, vectors: np.ndarray) -> np.ndarray:
    """[Q] how far vectors [Q, D] lie from the data, in percent of the real items; the start's items left out.

    Left out they must be: an item near its start would hold a point near the data that has long left it. For an item
    that is its own distance, which is leave-one-out too.
    """
    own = [entry.space.index_of(item) for item in start.parents]
    distance = entry.distance("users" if start.kind == "user" else "items")
    return distance.percentile(vectors, exclude=own if distance.space is entry.space else ())


def _leaving(
    entry: SpaceEntry, start: Point, step: np.ndarray, amounts: Sequence[float]
) -> tuple[float | None, float | None]:
    """The first amounts below and above 0 that lie outside the data, as far as the amounts go."""
    below, above = min(amounts[0], 0.0), max(amounts[-1], 0.0)
    return (
        _first_outside(entry, start, step, below) if below else None,
        _first_outside(entry, start, step, above) if above else None,
    )


def _first_outside(entry: SpaceEntry, start: Point, step: np.ndarray, end: float) -> float | None:
    """Scanned every half a standard deviation, then halved down to a tenth, without any language model."""

    def is_outside(amounts: np.ndarray) -> np.ndarray:
        return percentiles(entry, start, _moved(start, step, amounts)) > OUTSIDE

    count = max(1, math.ceil(abs(end) / _SCAN))
    # The start itself counts where it is made; a real item is never outside the data.
    grid = np.linspace(0.0, end, count + 1)[1 if start.item_id is not None else 0 :]
    outside = np.flatnonzero(is_outside(grid))
    if not len(outside):
        return None
    far = float(grid[outside[0]])
    near = float(grid[outside[0] - 1]) if outside[0] else 0.0
    while abs(far - near) > _FINE:
        middle = (near + far) / 2
        near, far = (near, middle) if is_outside(np.array([middle]))[0] else (middle, far)
    return round(far, 2) + 0.0


def _moved(start: Point, step: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """[A, D] float32."""
    return (start.vector.astype(np.float64) + np.outer(amounts, step)).astype(np.float32)


# --- asking ---


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plan:
    """A way with the questions along it."""

    way: Way
    amounts: tuple[float, ...]
    asked: list[Asked]
    percentiles: list[float]
    refused: tuple[float, ...]


def _plan(
    asker: Asker,
    question: str,
    start: Point,
    way: Way,
    amounts: tuple[float, ...],
    leaves: tuple[float | None, float | None] | None,
) -> _Plan:
    """The questions of a way; those beyond where it leaves the data are refused where `leaves` is given."""
    below, above = leaves or (None, None)
    kept = [a for a in amounts if (above is None or a < above) and (below is None or a > below)]
    points = [_point(asker, start, way, amount) for amount in kept]
    far = percentiles(asker.entry_of(start), start, np.array([p.vector for p in points])) if points else ()
    inside = [not leaves or p.item_id is not None or far[i] <= OUTSIDE for i, p in enumerate(points)]
    chosen = [i for i, fits in enumerate(inside) if fits]
    return _Plan(
        way=way,
        amounts=tuple(kept[i] for i in chosen),
        asked=[asker.prepare_points(question, {"x": points[i]}) for i in chosen],
        percentiles=[float(far[i]) for i in chosen],
        refused=tuple(a for a in amounts if a not in {kept[i] for i in chosen}),
    )


def _point(asker: Asker, start: Point, way: Way, amount: float) -> Point:
    """A point of a way. One along the concept is what its expression names; a control's has no name."""
    if amount == 0:
        return start
    if way.kind in ("concept", "reverse"):
        signed = -amount if way.kind == "reverse" else amount
        concept: Expression = ConceptName(name=way.name.removeprefix(_REVERSE))
        if start.space != asker.entry.space.name:
            concept = Within(operand=concept, space=start.space)
        return asker.point(
            f"{start.expression} {'-' if signed < 0 else '+'} {_written(abs(signed))}*{concept}"
        )
    return replace(
        start,
        vector=_moved(start, way.step, np.array([amount]))[0],
        expression=f"{start.expression} + {_written(amount)}*({way.name})",
        item_id=None,
        kind="user" if start.kind == "user" else "made",
    )


_Key = tuple[str, bytes]


def _key(asked: Asked) -> _Key:
    """What an answer depends on."""
    point = asked.points["x"]
    return point.kind, point.vector.tobytes()


def _answers(
    asker: Asker, questions: Sequence[Asked], sampling: Sampling | None, progress: bool
) -> dict[_Key, Answer]:
    """An answer for each different point, all generated together: paths meet at their start."""
    different = {_key(asked): asked for asked in questions}
    asked = list(different.values())
    texts = [""] * len(asked)
    made = asker.engine.answers([one.prompt for one in asked], sampling or Sampling())
    for number, text in tqdm(
        made, desc="along the way", total=len(asked), unit="answer", disable=not progress
    ):
        texts[number] = text
    judged = (asker.judge(one, text) for one, text in zip(asked, texts, strict=True))
    return dict(zip(different, judged, strict=True))


def _path(plan: _Plan, answers: Mapping[_Key, Answer], scores: Mapping[str, Mapping[_Key, float]]) -> Path:
    steps = tuple(
        _step(
            amount,
            asked,
            answers[_key(asked)],
            far,
            {name: float(of[_key(asked)]) for name, of in scores.items()},
        )
        for amount, asked, far in zip(plan.amounts, plan.asked, plan.percentiles, strict=True)
    )
    return Path(
        kind=plan.way.kind,
        name=plan.way.name,
        steps=steps,
        refused=plan.refused,
        slopes={name: slope for name in scores if (slope := _slope(steps, name)) is not None},
    )


def _step(amount: float, asked: Asked, answer: Answer, far: float, judged: Mapping[str, float]) -> Step:
    point, trust = asked.points["x"], answer.trust[0]
    return Step(
        amount=amount,
        expression=point.expression,
        percentile=far,
        is_outside=far > OUTSIDE and point.item_id is None,
        text=answer.text,
        nearest=trust.nearest,
        round_trip=trust.round_trip,
        swapped=trust.swapped,
        judged=judged,
        flags=answer.flags,
    )


def _slope(steps: Sequence[Step], judge: str) -> float | None:
    amounts = np.array([step.amount for step in steps])
    if len(steps) < 2:
        return None
    away = amounts - amounts.mean()
    return float(away @ np.array([step.judged[judge] for step in steps]) / (away @ away))
