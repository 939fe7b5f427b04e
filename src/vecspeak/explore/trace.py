"""Tracing: the answers along a concept, where that way leaves the data, and what other ways of equal length do.

Prints nothing and fits nothing. Where it goes beyond ELM (Tennenholtz et al. 2024, section 6): every step is beside
the same step along the reverse and along random directions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
from markupsafe import Markup

from vecspeak.asking import Asker, PreparedQuestion, percentiles
from vecspeak.bundles import SpaceEntry
from vecspeak.display import bar, bullets, element, folded, table, to_frame
from vecspeak.engines import Sampling
from vecspeak.errors import UserError, check_seed, check_text, check_whole, did_you_mean
from vecspeak.evidence import OUTSIDE, Answer, Neighbors, Words
from vecspeak.points import Concept, Point
from vecspeak.points.expressions import ConceptName, Expression, Within
from vecspeak.points.point import (
    SELECTED_REACH,
    IsOutside,
    checked,
    crossings,
    is_mirrored,
    listed,
    selected_amounts,
)
from vecspeak.searching import Effort
from vecspeak.spaces import Space
from vecspeak.spaces.point import Direction, number_text

QUESTION = "Describe {x}."
_REVERSE = "the reverse of "
_MOST_CONTROLS = 100

PathKind = Literal["concept", "reverse", "random", "isotropic"]
"""Random: drawn as the items vary. Isotropic: any direction alike. Both hold nothing of the concept."""


class TextJudge(Protocol):
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
    nearest: Neighbors
    """The nearest real items, those that the start was made from left out."""
    round_trip: float
    """Cosine of the encoder's vector of the answer with the vector that was read."""
    swapped: float
    """The same with the vectors of other items, on average."""
    judged: Mapping[str, float]
    """How much of the attribute each judge sees in the answer."""
    flags: tuple[str, ...] = ()
    """Attributes that the answer states of a person and that ratings do not tell."""
    words: Words = Words()  # noqa: RUF009  # an empty tuple
    """What is read from the point without a language model."""


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
    """Least-squares slope of each judge's scores, a standard deviation of amount; empty below two steps. Doubted
    judges have none."""


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
    looked_at: tuple[float, float]
    """How far below and above 0 the way was looked at: as far as was asked, or 12 where the amounts were chosen."""
    crossings_above: tuple[float, ...]
    """Where it crosses the edge of the data above 0, outward, to 0.1: leaves, is inside again, leaves again, ..."""
    crossings_below: tuple[float, ...]
    """Where it does below 0."""
    leaves_above: float | None
    """The first of the crossings: the first amount above 0 outside the data; None where none was found."""
    leaves_below: float | None
    """First amount below 0 that is."""
    strict: bool
    path: Path
    controls: tuple[Path, ...]
    doubted: tuple[str, ...]
    """Judges that are shown, but from which nothing is concluded."""
    notes: tuple[str, ...]
    """What was chosen, or left out though it was asked for, in words."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The concept's and the controls'."""
        return (self.path, *self.controls)

    def __repr__(self) -> str:
        size = f"{len(self.path.steps)} steps, {len(self.controls)} controls"
        return f"Trace({self.start!r} along {self.concept!r}, {size})"

    def __str__(self) -> str:
        lines = [f"{self.start} along {self.concept}: {self._leaves}"]
        for step in self.path.steps:
            outside = " (outside the data)" if step.is_outside else ""
            lines.append(f"{step.amount:+g}{outside}: {step.text}")
        return "\n".join(lines)

    @property
    def _leaves(self) -> str:
        places = [f"{at:+.1f}" for at in (self.leaves_below, self.leaves_above) if at is not None]
        return f"leaves the data at {' and '.join(places)}" if places else "stays inside the data"

    def _repr_html_(self) -> Markup:
        """The answers along the concept with their evidence, each judge's slopes, and the controls folded."""
        judges = sorted({name for path in self.paths for name in path.slopes})
        slopes = (
            [path.name, *(f"{path.slopes[name]:+.3f}" if name in path.slopes else "" for name in judges)]
            for path in self.paths
        )
        return element(
            "div",
            element("p", element("strong", f"{self.start} along {self.concept}"), f" ({self.source})"),
            element("small", f"{self.question} {self._leaves}"),
            _steps_html(self.path),
            element("small", "slope of each judge's score, a standard deviation of amount"),
            table(["path", *judges], slopes),
            *(folded(path.name, _steps_html(path)) for path in self.controls),
            bullets((self.caution,) if self.caution else ()),
        )

    def to_pandas(self) -> Any:
        """A frame with a row for each step of each path, and a column for each judge.

        Raises UserError where pandas is not installed.
        """
        return to_frame(
            {
                "path": path.name,
                "kind": path.kind,
                "amount": step.amount,
                "expression": step.expression,
                "text": step.text,
                "round_trip": step.round_trip,
                "swapped": step.swapped,
                "percentile": step.percentile,
                "is_outside": step.is_outside,
                "nearest": [near.label for near in step.nearest],
                "words": [word.term for word in step.words],
                **step.judged,
                "flags": list(step.flags),
            }
            for path in self.paths
            for step in path.steps
        )


def _steps_html(path: Path) -> Markup:
    rows = (
        [
            f"{step.amount:+g}",
            step.text,
            bar(step.round_trip, f"{step.round_trip:.2f}"),
            bar(step.swapped, f"{step.swapped:.2f}"),
            bar(step.percentile / 100, f"{step.percentile:.0f}%{' OUTSIDE' if step.is_outside else ''}"),
            ", ".join(word.term for word in step.words[:5]),
            step.nearest[0].label if step.nearest else "",
        ]
        for step in path.steps
    )
    heads = [
        "sd", "answer", "round trip", "with others", "farther from the data than", "words", "nearest item"
    ]  # fmt: skip
    return table(heads, rows)


def trace(
    asker: Asker,
    expression: str | Point,
    concept: str,
    amounts: Sequence[float] | None = None,
    *,
    question: str = QUESTION,
    controls: int = 0,
    reverse: bool = False,
    strict: bool = False,
    judges: Callable[[], Sequence[TextJudge]] = tuple,
    is_doubted: Callable[[TextJudge], bool] = lambda judge: False,
    sampling: Sampling | None = None,
    effort: Effort | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Trace:
    """Ask a question at every amount along a concept, and at the controls, all in one batch and with one effort.

    Without amounts seven are chosen, as far as the way stays in the data (`chosen_amounts`). `controls` random
    directions of the items' own spread and as many isotropic ones, all orthogonal to the concept and drawn by the
    seed, are gone along for the same lengths; `reverse` goes the other way, unless the amounts go both ways alike
    already. With `strict` no point outside the data is asked about, nor any beyond it. `judges` are made when all that
    a person typed has been checked, and those that are doubted get no slope. Raises UserError before any model is
    touched for an unknown concept, impossible amounts, a question that is none,
    and under `strict` where nothing is left to ask.
    """
    check_text("question", question)
    check_whole("controls", controls, 0, _MOST_CONTROLS)
    check_seed(seed)
    typed = None if amounts is None else checked(amounts)
    start = expression if isinstance(expression, Point) else asker.point(expression)
    entry = asker.entry_of(start)
    known = _concept(entry, concept)
    wanted = typed or _selected(entry, start, known)
    adds = reverse and typed is not None and not is_mirrored(wanted)
    notes = _notes(wanted, is_automatic=typed is None, is_idle=reverse and not adds)
    ways = _ways(entry.space, known, controls, adds, seed)
    ends = (-SELECTED_REACH, SELECTED_REACH) if typed is None else (min(wanted[0], 0.0), max(wanted[-1], 0.0))
    edges = {way.name: _edges(entry, start, way.step, ends, wanted) for way in ways}
    planned = [
        _plan(asker, question, start, way, wanted, edges[way.name] if strict else None) for way in ways
    ]
    if not planned[0].asked:
        raise UserError(
            f"every point asked for lies outside the data, {start.expression} at {listed(wanted)} of {concept}",
            "start from an item, take smaller `steps`, or leave out `strict`",
        )
    answers = _answers(asker, [asked for plan in planned for asked in plan.asked], sampling, effort, progress)
    texts = [answer.text for answer in answers.values()]
    made = judges()
    scores = {judge.name: dict(zip(answers, judge.scores(texts), strict=True)) for judge in made}
    doubted = tuple(judge.name for judge in made if is_doubted(judge))
    paths = [_path(plan, answers, scores, doubted) for plan in planned]
    found = edges[ways[0].name]
    return Trace(
        space=entry.space.name,
        question=question,
        start=start.expression,
        concept=concept,
        source=known.source,
        caution=known.caution,
        step_length=known.scale,
        looked_at=ends,
        crossings_above=found.above,
        crossings_below=found.below,
        leaves_above=found.leaves_above,
        leaves_below=found.leaves_below,
        strict=strict,
        path=paths[0],
        controls=tuple(paths[1:]),
        doubted=doubted,
        notes=notes,
    )


def _selected(entry: SpaceEntry, start: Point, concept: Concept) -> tuple[float, ...]:
    is_outside = _outside(entry, start, concept.scale * concept.direction.astype(np.float64))
    return selected_amounts(is_outside, is_item=start.item_id is not None)


def _notes(wanted: tuple[float, ...], *, is_automatic: bool, is_idle: bool) -> tuple[str, ...]:
    """That the amounts were chosen, and that the reverse is idle: it would add nothing."""
    found = []
    if is_automatic:
        reach = "as far as the way stays in the data, 1.2 to 12 either way; other steps can be given"
        found.append(f"amounts chosen: {listed(wanted)} ({reach})")
    if is_idle:
        found.append("the reverse was not asked about: the amounts below 0 are the way back already")
    return tuple(found)


# --- directions ---


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
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
            "leave out `controls`",
        )
    return np.asarray(drawn / lengths)


_SAMPLE = 5000
"""Items whose spread stands for that of all."""


def _ways(space: Space, concept: Concept, controls: int, reverse: bool, seed: int) -> list[Track]:
    step = concept.scale * concept.direction.astype(np.float64)
    found = [Track(kind="concept", name=concept.name, step=step)]
    if reverse:
        found.append(Track(kind="reverse", name=f"{_REVERSE}{concept.name}", step=-step))
    kinds: tuple[Literal["random", "isotropic"], ...] = ("random", "isotropic")
    for kind in kinds if controls else ():
        drawn = random_directions(space, concept, controls, kind=kind, seed=seed)
        found += [
            Track(kind=kind, name=f"{kind} direction {number}", step=concept.scale * one)
            for number, one in enumerate(drawn, 1)
        ]
    return found


def _concept(entry: SpaceEntry, name: str) -> Concept:
    if name not in entry.concepts:
        known = f"it has {', '.join(entry.concepts)}" if entry.concepts else "it has none"
        raise UserError(
            f"{entry.space.name} has no concept {name!r}; {known}",
            did_you_mean(name, entry.concepts, "fit it with `VecSpeak.fit_concept(...)`"),
        )
    return entry.concepts[name]


# --- where a way leaves the data ---


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edges:
    """Where a way crosses the edge of the data, outward from 0."""

    below: tuple[float, ...]
    above: tuple[float, ...]

    @property
    def leaves_below(self) -> float | None:
        """The first amount below 0 that lies outside."""
        return self.below[0] if self.below else None

    @property
    def leaves_above(self) -> float | None:
        """The first amount above 0 that does."""
        return self.above[0] if self.above else None


def _edges(
    entry: SpaceEntry, start: Point, step: np.ndarray, ends: tuple[float, float], amounts: Sequence[float]
) -> _Edges:
    """The crossings between 0 and the ends, found without any language model."""
    is_outside = _outside(entry, start, step)
    is_item = start.item_id is not None  # a real item is never outside the data
    below, above = (crossings(is_outside, end, is_item=is_item, also=amounts) if end else () for end in ends)
    return _Edges(below=below, above=above)


def _outside(entry: SpaceEntry, start: Point, step: np.ndarray) -> IsOutside:
    return lambda amounts: (
        percentiles(entry, start, _moved(start, step, amounts)) > OUTSIDE
        if len(amounts)
        else np.zeros(0, dtype=bool)
    )


def _moved(start: Point, step: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """[A, D] float32."""
    return (start.vector.astype(np.float64) + np.outer(amounts, step)).astype(np.float32)


# --- asking ---


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plan:
    """A way with the questions along it."""

    way: Track
    amounts: tuple[float, ...]
    asked: list[PreparedQuestion]
    percentiles: list[float]
    refused: tuple[float, ...]


def _plan(
    asker: Asker,
    question: str,
    start: Point,
    way: Track,
    amounts: tuple[float, ...],
    edges: _Edges | None,
) -> _Plan:
    """The questions of a way; those beyond where it leaves the data are refused where its edges are given."""
    below, above = (edges.leaves_below, edges.leaves_above) if edges else (None, None)
    retained = [a for a in amounts if (above is None or a < above) and (below is None or a > below)]
    points = [_point(asker, start, way, amount) for amount in retained]
    far = percentiles(asker.entry_of(start), start, np.array([p.vector for p in points])) if points else ()
    inside = [edges is None or p.item_id is not None or far[i] <= OUTSIDE for i, p in enumerate(points)]
    selected = [i for i, fits in enumerate(inside) if fits]
    return _Plan(
        way=way,
        amounts=tuple(retained[i] for i in selected),
        asked=[asker.prepare_points(question, {"x": points[i]}) for i in selected],
        percentiles=[float(far[i]) for i in selected],
        refused=tuple(a for a in amounts if a not in {retained[i] for i in selected}),
    )


def _point(asker: Asker, start: Point, way: Track, amount: float) -> Point:
    """A point of a way. One along the concept is what its expression names; a control's has no name."""
    if amount == 0:
        return start
    if way.kind in ("concept", "reverse"):
        name = way.name.removeprefix(_REVERSE)
        concept: Expression = ConceptName(name=name)
        if start.space != asker.entry.space.name:
            concept = Within(operand=concept, space=start.space)
        step = Direction(
            space=start.space,
            vector=-way.step if way.kind == "reverse" else way.step,
            expression=str(concept),
            concepts=(name,),
        )
        signed = -amount if way.kind == "reverse" else amount
        point: Point = start + signed * step if signed > 0 else start - -signed * step
        return point
    return replace(
        start,
        vector=_moved(start, way.step, np.array([amount]))[0],
        expression=f"{start.expression} + {number_text(amount)}*({way.name})",
        item_id=None,
        kind="user" if start.kind == "user" else "made",
    )


_Key = tuple[str, bytes]


def _key(asked: PreparedQuestion) -> _Key:
    """What an answer depends on."""
    point = asked.points["x"]
    return point.kind, point.vector.tobytes()


def _answers(
    asker: Asker,
    questions: Sequence[PreparedQuestion],
    sampling: Sampling | None,
    effort: Effort | None,
    progress: bool,
) -> dict[_Key, Answer]:
    """An answer for each different point, all generated together: paths meet at their start."""
    different = {_key(asked): asked for asked in questions}
    asked = list(different.values())
    found = asker.find(asked, sampling, effort=effort, progress="along the way" if progress else "")
    judged = (asker.judge(asked_one, one.text) for asked_one, one in zip(asked, found, strict=True))
    return dict(zip(different, judged, strict=True))


def _path(
    plan: _Plan,
    answers: Mapping[_Key, Answer],
    scores: Mapping[str, Mapping[_Key, float]],
    doubted: Sequence[str],
) -> Path:
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
    trusted = [name for name in scores if name not in doubted]
    return Path(
        kind=plan.way.kind,
        name=plan.way.name,
        steps=steps,
        refused=plan.refused,
        slopes={name: slope for name in trusted if (slope := _slope(steps, name)) is not None},
    )


def _step(
    amount: float, asked: PreparedQuestion, answer: Answer, far: float, judged: Mapping[str, float]
) -> Step:
    point, trust = asked.points["x"], answer.evidence[0]
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
        words=trust.words,
    )


def _slope(steps: Sequence[Step], judge: str) -> float | None:
    amounts = np.array([step.amount for step in steps])
    if len(steps) < 2:
        return None
    away = amounts - amounts.mean()
    return float(away @ np.array([step.judged[judge] for step in steps]) / (away @ away))
