"""Slopes: what moving a point along a concept does to the answers, with the reverse and random directions as controls.

An attribute is judged in every answer; its slope a standard deviation of amount is least squares within each item, so
that what items are does not count, only what the way changes. Each way of each concept is a case set of the one
evaluator, and a slope is a metric of an item in its table; intervals are by bootstrap over items. Shape letters:
N items, A amounts from 0 up, T width of the encoder, D of the space.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.encoders.text import Encoder
from vecspeak.engines import Sampling
from vecspeak.errors import UserError
from vecspeak.evaluation.cases import SHOWN, TRAIN, CaseSet, choose_rows, column_texts, question_about_x
from vecspeak.evaluation.evaluate import EvaluationConfig, Models, score, scoring_contexts
from vecspeak.evaluation.metrics import ScoringContext, SystemAnswers, register
from vecspeak.evaluation.report import READER, Measure, TrainingExample
from vecspeak.evaluation.table import concat, series_of
from vecspeak.evaluation.wording import NO_ANSWER
from vecspeak.evidence import OUTSIDE
from vecspeak.explore.trace import random_directions
from vecspeak.points import Concept
from vecspeak.protocols.text_judges import PhraseJudge, TextJudges
from vecspeak.spaces.search import nearest
from vecspeak.spaces.splits import HOLDOUT, MET
from vecspeak.stats import Estimate, Series, difference
from vecspeak.storage import Cache
from vecspeak.tables.columns import TEXT_COLUMN
from vecspeak.tasks.task_set import opening

SEARCH = "nearest_text"
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


def slopes_of(
    judge: str, *, concept: Series, reverse: Series, random: Sequence[Series], search: Series, seed: int = 0
) -> Slopes:
    """The slopes of every way, one number an item, and how they differ."""
    average = _mean(random)
    # The random direction that moves the attribute most, whichever way: the hardest control of all.
    most = max(random, key=lambda one: abs(one.values.mean()))
    strongest = Series(most.values * (1.0 if most.values.mean() >= 0 else -1.0))
    return Slopes(
        judge=judge,
        concept=_whole(concept.estimate(seed=seed)),
        reverse=_whole(reverse.estimate(seed=seed)),
        random=_whole(average.estimate(seed=seed)),
        strongest=_whole(strongest.estimate(seed=seed)),
        search=_whole(search.estimate(seed=seed)),
        over_random=_whole(difference(concept, average, seed=seed)),
        over_strongest=_whole(difference(concept, strongest, seed=seed)),
        over_search=_whole(difference(concept, search, seed=seed)),
        draws=tuple(_whole(one.estimate(seed=seed)) for one in random),
    )


def _mean(several: Sequence[Series], dtype: type = np.float64) -> Series:
    return Series(np.mean([one.values.astype(dtype) for one in several], axis=0))


def _whole(found: Estimate | None) -> Estimate:
    assert found is not None, "every item has a slope"
    return found


def side_effects(
    kept: Series, random: Sequence[Series], others: Mapping[str, Series], *, seed: int = 0
) -> SideEffects:
    """What else changes: what is kept along the concept and along random ways, and slopes of other attributes."""
    found = {name: _whole(one.estimate(seed=seed)) for name, one in others.items()}
    return SideEffects(
        kept=_whole(kept.estimate(seed=seed)),
        # In float32, as the vectors are of which these are cosines.
        kept_random=_whole(_mean(random, np.float32).estimate(seed=seed)),
        others=dict(sorted(found.items(), key=lambda one: -abs(one[1].value))),
    )


def retention(vectors: np.ndarray, direction: np.ndarray) -> Series:
    """Cosine of each item's last answer with its first, unit vectors [N, A, T], the direction [T] taken out of both."""
    along = direction / np.linalg.norm(direction)
    rest = vectors - (vectors @ along)[..., None] * along
    rest = rest / np.maximum(np.linalg.norm(rest, axis=-1, keepdims=True), 1e-12)
    return Series(np.asarray((rest[:, -1] * rest[:, 0]).sum(-1)))


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
class _Judges:
    """What a way's answers are judged by."""

    texts: TextJudges
    phrase: PhraseJudge
    shift: np.ndarray
    """[T] what the concept changes in the vectors that are read."""


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
    models = models.encoding_once
    cases = [way for one in attributes for way in slope_cases(entry, one, judges, models.encoder, config)]
    asked = EvaluationConfig(sampling=config.sampling, seed=config.seed)
    contexts = list(scoring_contexts(models, cases, asked, cache))
    # All answers in one call, each different one once, whichever way it came from.
    said = {text.strip() or NO_ANSWER for one in contexts for text in one.texts[READER]}
    models.encoder.encode(sorted(said), progress=True)
    series = series_of(concat(map(score, contexts)))
    count = len(cases) // len(attributes)
    return [
        _measured(entry, one, judges, cases[number * count : (number + 1) * count], series, config)
        for number, one in enumerate(attributes)
    ]


def slope_cases(
    entry: SpaceEntry, attribute: Attribute, judges: TextJudges, encoder: Encoder, config: SlopeConfig
) -> list[CaseSet]:
    """A case set for each way from the same items: along the concept, its reverse, then the random directions.

    Every way has the same amounts. Of the points along the concept the nearest items with a text are known too, the
    start itself left out: what a search would show.
    """
    space, concept = entry.space, attribute.concept
    texts = column_texts(space, TEXT_COLUMN)
    selected, _ = choose_rows(entry, config.split, [row for row, text in enumerate(texts) if text])
    items = np.random.default_rng(config.seed).permutation(selected)[: max(config.items, 1)].tolist()
    rows = [row for row in items for _ in config.amounts]
    start = space.vectors[items].astype(np.float64)[:, None]
    amounts = np.array(config.amounts)[:, None]
    ways = _ways(entry, concept, config)
    points = [(start + amounts * way).astype(np.float32).reshape(len(rows), -1) for way in ways.values()]
    inputs = [entry.alignment(moved, "made") for moved in points]
    by_amount = inputs[0].reshape(len(items), len(amounts), -1)
    judged = _Judges(
        texts=judges,
        phrase=PhraseJudge.among(encoder, attribute.phrase, attribute.neutral, _real(entry, texts, encoder)),
        shift=(by_amount[:, -1] - by_amount[:, 0]).mean(0),
    )
    blank = [row for row, text in enumerate(texts) if not text]
    # A search must not show the text that the way starts from, nor an item without one.
    found = nearest(space, points[0], 1, exclude=[[row, *blank] for row in rows])
    known = found.indices[:, 0]
    near = [
        TrainingExample(label=space.labels[row], text=opening(texts[row] or "", SHOWN), similarity=score)
        for row, score in zip(known.tolist(), found.scores[:, 0].tolist(), strict=True)
    ]
    return [
        CaseSet(
            name=f"along {concept.name} / {way}",
            question=question_about_x(config.question),
            split=config.split,
            trained_on=config.split in (TRAIN, MET),
            ids=[space.ids[row] for row in rows],
            labels=[space.labels[row] for row in rows],
            inputs=read[:, None],
            mean_input=read.mean(0),
            steps=config.amounts,
            own=moved[:, None],
            truths=[(texts[row] or "",) for row in rows],
            contexts=[(texts[row] or "",) for row in rows],
            neighbors=[((one,),) for one in near] if way == "concept" else [((),)] * len(rows),
            nearest_by="cosine in the space, among all its items with a text",
            nearest_rows=known,
            baselines=(READER, SEARCH) if way == "concept" else (READER,),
            scorers=("slope",),
            compared_with=judged,
        )
        for way, moved, read in zip(ways, points, inputs, strict=True)
    ]


def _ways(entry: SpaceEntry, concept: Concept, config: SlopeConfig) -> dict[str, np.ndarray]:
    """By way the [D] that amount 1 moves by."""
    along = concept.direction.astype(np.float64)
    drawn = [
        *random_directions(entry.space, concept, config.random, kind="random", seed=config.seed),
        *random_directions(entry.space, concept, config.isotropic, kind="isotropic", seed=config.seed),
    ]
    ways = {"concept": along, "reverse": -along} | {f"random {n}": one for n, one in enumerate(drawn, 1)}
    return {name: concept.scale * way for name, way in ways.items()}


def _real(entry: SpaceEntry, texts: Sequence[str | None], encoder: Encoder) -> np.ndarray:
    """[M, T] vectors of real texts that tell how much scores vary: up to 500 that nothing was fitted on."""
    out = [text for text, item in zip(texts, entry.space.ids, strict=True) if text and item in entry.held_out]
    return encoder.encode([opening(text, SHOWN) for text in out[:500]])


def _slope_measures(context: ScoringContext) -> list[Measure]:
    judges: _Judges = context.cases.compared_with
    unit = "in standard deviations of real texts a standard deviation of amount"
    by = [(f"slope {name}", f"the classifier of {name}") for name in judges.texts.names]
    by.append(("slope by encoder", judges.phrase.name))
    slopes = [
        Measure(key=key, name=key, what=f"Slope of an item's answers by {judge}, {unit}.", better="")
        for key, judge in by
    ]
    what = "Cosine of the last answer with the first, what the concept changes taken out of both."
    return [*slopes, Measure(key="kept", name="kept", what=what, better="higher")]


@register("slope", _slope_measures)
def _slope(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    """An item's slope by each classifier and by the encoder, and what its last answer keeps of its first."""
    judges: _Judges = cases.compared_with
    if answers.system == SEARCH:  # texts of items, so by classifiers that did not see them
        scores = judges.texts.own[cases.nearest_rows]
    else:
        scores = judges.texts.scores(answers.texts)
    amounts = np.array(cases.steps)
    vectors = answers.vectors.reshape(-1, len(amounts), answers.vectors.shape[1])
    columns = {f"slope {name}": scores[:, k] for k, name in enumerate(judges.texts.names)}
    columns["slope by encoder"] = judges.phrase.of_vectors(vectors)
    if answers.system == SEARCH:  # one item may be the nearest of many points: its text is scored once
        assert cases.nearest_rows is not None
        _, first, places = np.unique(cases.nearest_rows, return_index=True, return_inverse=True)
        columns["slope by encoder"] = judges.phrase.scores([answers.texts[i] for i in first])[places]
    found = {key: slope_series(amounts, one.reshape(-1, len(amounts))) for key, one in columns.items()}
    return {**found, "kept": retention(vectors, judges.shift)}


def _measured(
    entry: SpaceEntry,
    attribute: Attribute,
    judges: TextJudges,
    ways: Sequence[CaseSet],
    series: Mapping[tuple[str, str, str], Series],
    config: SlopeConfig,
) -> AttributeSlopes:
    """One attribute, from the series of its ways by set, system and metric."""
    concept, (along, reverse, *random) = attribute.concept, [way.name for way in ways]
    judge = judges.judge(attribute.judge or concept.name)

    def slopes(name: str, metric: str) -> Slopes:
        return slopes_of(
            name,
            concept=series[along, READER, metric],
            reverse=series[reverse, READER, metric],
            random=[series[way, READER, metric] for way in random],
            search=series[along, SEARCH, metric],
            seed=config.seed,
        )

    by_classifier = slopes(judge.name, f"slope {judge.attribute}")
    others = {
        name: series[along, READER, f"slope {name}"] for name in judges.names if name != judge.attribute
    }
    kept = [series[way, READER, "kept"] for way in (along, *random)]
    drift = side_effects(kept[0], kept[1:], others, seed=config.seed)
    auc, score = judges.auc[judge.attribute], concept.score
    return AttributeSlopes(
        name=concept.name,
        source=concept.source,
        examples=concept.positives,
        caution=concept.caution,
        fitted=Estimate(score.value, score.low, score.high) if score else None,
        auc=auc,
        items=len(ways[0].entities),
        amounts=config.amounts,
        outside=_share_outside(entry, ways[0]),
        by_classifier=by_classifier,
        by_encoder=slopes(ways[0].compared_with.phrase.name, "slope by encoder"),
        drift=drift,
        flags=slope_flags(by_classifier, auc, drift),
    )


def _share_outside(entry: SpaceEntry, cases: CaseSet) -> float:
    """Share of the points at the largest amount that lie outside the data."""
    assert cases.own is not None
    distance = entry.distance()
    last = zip(cases.entities, cases.own[len(cases.steps) - 1 :: len(cases.steps), 0], strict=True)
    far = [distance.percentile(point, exclude=[entry.space.index_of(item)])[0] for item, point in last]
    return float(np.mean(np.array(far) > OUTSIDE))
