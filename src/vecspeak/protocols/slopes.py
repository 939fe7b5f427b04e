"""Slopes: what moving a point along a concept does to the answers, beside the reverse and random directions.

An attribute is judged in every answer; its slope a standard deviation of amount is least squares within each item, so
that what items are does not count, only what the way changes. Intervals are by bootstrap over items, of which every
direction is gone along. Shape letters: N items, A amounts from 0 up, R random directions, K judged
attributes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.engines import Sampling
from vecspeak.errors import UserError
from vecspeak.evaluation.cases import SHOWN, TRAIN, CaseSet, choose_rows, column_texts, question_about_x
from vecspeak.evaluation.evaluate import EvaluationConfig, Models, generate
from vecspeak.evaluation.report import READER
from vecspeak.evaluation.wording import NO_ANSWER
from vecspeak.evidence import OUTSIDE
from vecspeak.explore.trace import random_directions
from vecspeak.points import Concept
from vecspeak.protocols.text_judges import PhraseJudge, TextJudges
from vecspeak.spaces.search import nearest
from vecspeak.spaces.splits import HOLDOUT, MET
from vecspeak.spaces.tables import TEXT_COLUMN
from vecspeak.stats import Estimate, Series, difference
from vecspeak.storage import Cache
from vecspeak.tasks.task_set import opening

FLAT = "FLAT"
WRONG_WAY = "WRONG WAY"
NOT_REVERSED = "NOT REVERSED"
NOT_SPECIFIC = "NOT SPECIFIC"
BLIND = "JUDGE BLIND"
SPILLS = "SPILLS"
MEANINGS = {
    FLAT: "nothing shows that the answers have more of the attribute along the concept",
    WRONG_WAY: "the answers have less of it along the concept",
    NOT_REVERSED: "nothing shows that they have less of it along the reverse",
    NOT_SPECIFIC: "the random direction that moves it most, either way, is not shown to move it less than the concept",
    BLIND: "the classifier does not tell real texts with the attribute from those without",
    SPILLS: "another attribute is moved more than this one",
}
"""What the flags say."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedAnswers:
    """One judge's scores of the answers along every way from the same items, at the same amounts."""

    amounts: np.ndarray
    """[A] standard deviations along each way's own direction, ascending."""
    concept: np.ndarray
    """[N, A]."""
    reverse: np.ndarray
    """[N, A] going the other way."""
    random: np.ndarray
    """[R, N, A] along random directions of equal steps."""
    search: np.ndarray
    """[N, A] of the text of the nearest real item at each point along the concept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slopes:
    """By one judge: standard deviations of real texts' scores a standard deviation of amount."""

    judge: str
    concept: Estimate
    reverse: Estimate
    random: Estimate
    """Mean of all random directions, whichever way each goes."""
    strongest: Estimate
    """The random direction that moves the attribute most, signed so that it rises: chosen on these answers."""
    search: Estimate
    """What the nearest real items' texts do: how much of the attribute a search would show."""
    over_random: Estimate
    """Concept minus random, paired by item."""
    over_strongest: Estimate
    """Concept minus the strongest random direction; cautious, for that was chosen to be large."""
    over_search: Estimate
    """Concept minus search: below 0 the reader shows less of it than the items that lie there."""
    draws: tuple[Estimate, ...]
    """Each random direction by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEffects:
    """What else changes at the largest amount."""

    kept: Estimate
    """Cosine of the answer with the one at 0, what the concept changes taken out of both."""
    kept_random: Estimate
    """The same along random directions: an answer changes wherever its point goes."""
    others: Mapping[str, Estimate]
    """Slopes along the concept of the other attributes' classifiers, the steepest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeSlopes:
    """Everything that is measured of one attribute."""

    name: str
    source: str
    examples: int
    """Items that had it when the concept was fitted; 0 where it came from pairs or a text."""
    caution: str
    """Why not to trust the concept; empty when there is no reason."""
    fitted: Estimate | None
    """How well the concept does on items it was not fitted on."""
    auc: Estimate
    """How well the classifier of texts does on held-out real ones."""
    items: int
    amounts: tuple[float, ...]
    outside: float
    """Share of the points at the largest amount that lie outside the data."""
    by_classifier: Slopes
    by_encoder: Slopes
    drift: SideEffects
    flags: tuple[str, ...]


def slope_series(amounts: np.ndarray, scores: np.ndarray) -> Series:
    """The least-squares slope of each item's scores [N, A] on the amounts [A]; their mean is the fixed-effect slope.

    All items have the same amounts, so none weighs more than another.
    """
    away = np.asarray(amounts, dtype=float) - np.mean(amounts)
    return Series(np.asarray(scores, dtype=float) @ away / (away @ away))


def slopes_of(judge: str, judged: JudgedAnswers, *, seed: int = 0) -> Slopes:
    """The slopes of every way and how they differ."""

    def series(scores: np.ndarray) -> Series:
        return slope_series(judged.amounts, scores)

    concept, reverse, search = series(judged.concept), series(judged.reverse), series(judged.search)
    draws = [series(one) for one in judged.random]
    random = Series(np.mean([one.values for one in draws], axis=0))
    most = max(draws, key=lambda one: abs(one.values.mean()))
    strongest = Series(most.values * (1.0 if most.values.mean() >= 0 else -1.0))
    return Slopes(
        judge=judge,
        concept=_whole(concept.estimate(seed=seed)),
        reverse=_whole(reverse.estimate(seed=seed)),
        random=_whole(random.estimate(seed=seed)),
        strongest=_whole(strongest.estimate(seed=seed)),
        search=_whole(search.estimate(seed=seed)),
        over_random=_whole(difference(concept, random, seed=seed)),
        over_strongest=_whole(difference(concept, strongest, seed=seed)),
        over_search=_whole(difference(concept, search, seed=seed)),
        draws=tuple(_whole(one.estimate(seed=seed)) for one in draws),
    )


def _whole(found: Estimate | None) -> Estimate:
    assert found is not None, "every item has a slope"
    return found


def side_effects(
    vectors: np.ndarray,
    random_vectors: np.ndarray,
    direction: np.ndarray,
    others: Mapping[str, Series],
    *,
    seed: int = 0,
) -> SideEffects:
    """What else changes, from unit vectors of answers [N, A, T] along the concept and [R, N, A, T] along the others.

    `direction` [T] is what the concept changes in the vectors that are read. `others` are slopes of other attributes.
    """
    retained = Series(_retained(vectors, direction))
    retained_random = Series(np.mean([_retained(one, direction) for one in random_vectors], axis=0))
    found = {name: _whole(one.estimate(seed=seed)) for name, one in others.items()}
    return SideEffects(
        kept=_whole(retained.estimate(seed=seed)),
        kept_random=_whole(retained_random.estimate(seed=seed)),
        others=dict(sorted(found.items(), key=lambda one: -abs(one[1].value))),
    )


def _retained(vectors: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """[N] cosine of the last answer with the first, the direction taken out."""
    along = direction / np.linalg.norm(direction)
    rest = vectors - (vectors @ along)[..., None] * along
    rest = rest / np.maximum(np.linalg.norm(rest, axis=-1, keepdims=True), 1e-12)
    return np.asarray((rest[:, -1] * rest[:, 0]).sum(-1))


def slope_flags(slopes: Slopes, auc: Estimate, drift: SideEffects) -> tuple[str, ...]:
    """What a reader must be told before the numbers, see MEANINGS; empty when all is as it should be."""
    found = []
    if auc.low <= 0.5:
        found.append(BLIND)
    if slopes.concept.high < 0:
        found.append(WRONG_WAY)
    elif slopes.concept.low <= 0:
        found.append(FLAT)
    if slopes.reverse.high >= 0:
        found.append(NOT_REVERSED)
    if slopes.over_strongest.low <= 0:
        found.append(NOT_SPECIFIC)
    most = next(iter(drift.others.values()), None)
    if most is not None and abs(most.value) > abs(slopes.concept.value):
        found.append(SPILLS)
    return tuple(found)


def means(flags: Sequence[str]) -> list[str]:
    """A sentence for each flag that is there, in the order of MEANINGS."""
    return [f"{flag}: {MEANINGS[flag]}." for flag in MEANINGS if flag in flags]


_CONCEPT, _REVERSE, _FIRST_RANDOM = 0, 1, 2
"""Places of the ways in what follows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attribute:
    """A concept, and the words that the encoder judges it by."""

    concept: Concept
    phrase: str
    """Such as "an animated movie"."""
    neutral: str
    """Such as "a movie"."""
    judge: str = ""
    """Name of the classifier that judges it, where it is not the concept's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlopeConfig:
    """What is asked, of how many items, and how far they go."""

    question: str = "Describe {x}."
    items: int = 40
    amounts: tuple[float, ...] = (0.0, 6.0, 12.0)
    """Standard deviations along the concept, and as far along every other way; the first is 0."""
    random: int = 3
    """Directions drawn as the items vary."""
    isotropic: int = 1
    """Directions drawn alike."""
    split: str = HOLDOUT
    sampling: Sampling = field(default_factory=lambda: Sampling(max_new_tokens=64))
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.amounts) < 2 or self.amounts[0] != 0 or not (np.diff(self.amounts) > 0).all():
            raise UserError("amounts of slopes begin at 0 and rise", "use 0,6,12")
        if self.random + self.isotropic < 1:
            raise UserError("slopes need a random direction to be held against", "ask for 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Slopes:
    """Items with what every attribute needs. Shape letters: J attributes, W ways, N items, A amounts, T read width."""

    entry: SpaceEntry
    texts: Sequence[str | None]
    rows: list[int]
    attributes: Sequence[Attribute]
    config: SlopeConfig
    points: np.ndarray
    """[J, N, A, D] float32 along the concepts."""
    inputs: np.ndarray
    """[J, W, N, A, T] float32 as they are read."""


def attribute_slopes(
    models: Models,
    entry: SpaceEntry,
    attributes: Sequence[Attribute],
    judges: TextJudges,
    config: SlopeConfig,
    cache: Cache | None = None,
) -> list[AttributeSlopes]:
    """The measured effect of every concept; the reader answers all of it in one call.

    `judges` has a classifier for each, and its `own` scores are of the space's items in order. Raises
    UserError for a split with fewer than five items that have a text.
    """
    data = _slopes(entry, attributes, config)
    shape = data.inputs.shape[1:-1]
    asked = EvaluationConfig(sampling=config.sampling, seed=config.seed)
    case_sets = [_case_set(data, number) for number in range(len(attributes))]
    given = [
        text
        for one in generate(models, case_sets, asked, Cache() if cache is None else cache)
        for text in one[READER]
    ]
    # Every different answer is judged once, whichever way it came from.
    different, places = np.unique([text.strip() or NO_ANSWER for text in given], return_inverse=True)
    scores = judges.scores(different.tolist())[places].reshape(len(attributes), *shape, -1)
    encoded = models.encoder.encode(different.tolist(), progress=True)
    vectors = encoded[places].reshape(len(attributes), *shape, -1)
    real = models.encoder.encode(_openings(data.texts, _sample(data)))
    return [
        _measured(data, number, models, judges, scores[number], vectors[number], real)
        for number in range(len(attributes))
    ]


def _case_set(data: "_Slopes", number: int) -> CaseSet:
    """One attribute's points as cases: way by way, item by item, amount by amount."""
    inputs, space = data.inputs[number], data.entry.space
    shape = inputs.shape[:-1]
    rows = [data.rows[item] for _, item, _ in np.ndindex(*shape)]
    return CaseSet(
        name=f"along {data.attributes[number].concept.name}",
        question=question_about_x(data.config.question),
        split=data.config.split,
        trained_on=data.config.split in (TRAIN, MET),
        ids=[
            f"{space.ids[data.rows[item]]}, way {way}, amount {step}"
            for way, item, step in np.ndindex(*shape)
        ],
        labels=[space.labels[row] for row in rows],
        inputs=inputs.reshape(len(rows), 1, -1),
        mean_input=inputs.reshape(len(rows), -1).mean(0),
        truths=[(data.texts[row] or "",) for row in rows],
        contexts=[(data.texts[row] or "",) for row in rows],
        neighbors=[()] * len(rows),
        nearest_by="",
        baselines=(READER,),
        scorers=(),
    )


def _slopes(entry: SpaceEntry, attributes: Sequence[Attribute], config: SlopeConfig) -> _Slopes:
    texts = column_texts(entry.space, TEXT_COLUMN)
    usable = [row for row, text in enumerate(texts) if text]
    selected, _ = choose_rows(entry, config.split, usable)
    rows = np.random.default_rng(config.seed).permutation(selected)[: max(config.items, 1)].tolist()
    ways = np.stack([_ways(entry, one.concept, config) for one in attributes])
    start = entry.space.vectors[rows].astype(np.float64)
    amounts = np.array(config.amounts)
    moved = start[:, None] + amounts[:, None] * ways[:, :, None, None]
    moved = moved.astype(np.float32)
    flat = moved.reshape(-1, entry.space.dim)
    return _Slopes(
        entry=entry,
        texts=texts,
        rows=rows,
        attributes=attributes,
        config=config,
        points=moved[:, _CONCEPT],
        inputs=entry.alignment(flat, "made").reshape(*moved.shape[:-1], -1),
    )


def _ways(entry: SpaceEntry, concept: Concept, config: SlopeConfig) -> np.ndarray:
    """[W, D] what amount 1 moves by: the concept, its reverse, then the random directions."""
    along = concept.direction.astype(np.float64)
    drawn = [
        random_directions(entry.space, concept, config.random, kind="random", seed=config.seed),
        random_directions(entry.space, concept, config.isotropic, kind="isotropic", seed=config.seed),
    ]
    return concept.scale * np.concatenate([along[None], -along[None], *drawn])


def _sample(data: _Slopes) -> list[int]:
    """Rows of real texts that tell how much scores vary: up to 500 that nothing was fitted on."""
    out = [
        row
        for row, text in enumerate(data.texts)
        if text and data.entry.space.ids[row] in data.entry.held_out
    ]
    return out[:500]


def _openings(texts: Sequence[str | None], rows: Sequence[int]) -> list[str]:
    return [opening(texts[row] or NO_ANSWER, SHOWN) for row in rows]


def _measured(
    data: _Slopes,
    number: int,
    models: Models,
    judges: TextJudges,
    scores: np.ndarray,
    vectors: np.ndarray,
    real: np.ndarray,
) -> AttributeSlopes:
    """One attribute, from scores [W, N, A, K] and unit vectors [W, N, A, T] of its answers."""
    attribute, config = data.attributes[number], data.config
    concept, amounts = attribute.concept, np.array(config.amounts)
    judge = attribute.judge or concept.name
    place = judges.names.index(judge)
    found = _nearest_rows(data, number)
    phrase = PhraseJudge.among(models.encoder, attribute.phrase, attribute.neutral, real)
    rows, places = np.unique(found, return_inverse=True)
    searched = phrase.scores(_openings(data.texts, rows.tolist()))[places].reshape(found.shape)
    by_classifier = slopes_of(
        judges.judge(judge).name,
        _judged(amounts, scores[..., place], judges.own[found, place]),
        seed=config.seed,
    )
    by_encoder = slopes_of(
        phrase.name, _judged(amounts, phrase.of_vectors(vectors), searched), seed=config.seed
    )
    shift = (data.inputs[number, _CONCEPT, :, -1] - data.inputs[number, _CONCEPT, :, 0]).mean(0)
    others = {
        name: slope_series(amounts, scores[_CONCEPT, ..., k])
        for k, name in enumerate(judges.names)
        if k != place
    }
    drift = side_effects(vectors[_CONCEPT], vectors[_FIRST_RANDOM:], shift, others, seed=config.seed)
    auc = judges.auc[judge]
    score = concept.score
    return AttributeSlopes(
        name=concept.name,
        source=concept.source,
        examples=concept.positives,
        caution=concept.caution,
        fitted=Estimate(score.value, score.low, score.high) if score else None,
        auc=auc,
        items=len(data.rows),
        amounts=config.amounts,
        outside=_share_outside(data, number),
        by_classifier=by_classifier,
        by_encoder=by_encoder,
        drift=drift,
        flags=slope_flags(by_classifier, auc, drift),
    )


def _judged(amounts: np.ndarray, scores: np.ndarray, search: np.ndarray) -> JudgedAnswers:
    """From one judge's scores [W, N, A]."""
    return JudgedAnswers(
        amounts=amounts,
        concept=scores[_CONCEPT],
        reverse=scores[_REVERSE],
        random=scores[_FIRST_RANDOM:],
        search=search,
    )


def _nearest_rows(data: _Slopes, number: int) -> np.ndarray:
    """[N, A] row of the nearest item with a text at each point along the concept, the start itself left out."""
    points = data.points[number]
    blank = [row for row, text in enumerate(data.texts) if not text]
    exclude = [[row, *blank] for row in data.rows for _ in range(points.shape[1])]
    found = nearest(data.entry.space, points.reshape(-1, points.shape[-1]), 1, exclude=exclude)
    return found.indices[:, 0].reshape(points.shape[:2])


def _share_outside(data: _Slopes, number: int) -> float:
    distance = data.entry.distance()
    far = [
        distance.percentile(point, exclude=[row])[0]
        for row, point in zip(data.rows, data.points[number][:, -1], strict=True)
    ]
    return float(np.mean(np.array(far) > OUTSIDE))
