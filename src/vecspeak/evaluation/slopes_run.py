"""Slopes, measured: held-out items go along concepts, their reverse and random directions, and the answers are judged.

Knows spaces, concepts, prompts, engines and judges. What the numbers are is in `slopes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vecspeak.asking import OUTSIDE
from vecspeak.bundles import SpaceEntry
from vecspeak.engines import Sampling
from vecspeak.errors import UserError
from vecspeak.evaluation.answering import KeptAnswers, answer
from vecspeak.evaluation.cases import SHOWN, choose_rows, column_texts, question_about_x
from vecspeak.evaluation.intervals import Estimate
from vecspeak.evaluation.measures import NO_ANSWER
from vecspeak.evaluation.slopes import (
    AttributeSlopes,
    Judged,
    drift_of,
    slope_flags,
    slope_series,
    slopes_of,
)
from vecspeak.evaluation.tasks import Answerers
from vecspeak.evaluation.text_judges import PhraseJudge, TextJudges
from vecspeak.points import Concept
from vecspeak.prompts import PromptTemplate
from vecspeak.spaces.formats import TEXT_COLUMN
from vecspeak.spaces.neighbours import nearest
from vecspeak.spaces.splits import HOLDOUT
from vecspeak.tasks.texts import opening
from vecspeak.tracing import random_directions

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
class SlopeSettings:
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
class _Ground:
    """Items with what every attribute needs. Shape letters: J attributes, W ways, N items, A amounts, T read width."""

    entry: SpaceEntry
    texts: Sequence[str | None]
    rows: list[int]
    attributes: Sequence[Attribute]
    settings: SlopeSettings
    points: np.ndarray
    """[J, N, A, D] float32 along the concepts."""
    read: np.ndarray
    """[J, W, N, A, T] float32 as they are read."""


def attribute_slopes(
    answerers: Answerers,
    entry: SpaceEntry,
    attributes: Sequence[Attribute],
    judges: TextJudges,
    settings: SlopeSettings,
    kept: KeptAnswers | None = None,
) -> list[AttributeSlopes]:
    """The measured effect of every concept; the reader answers all of it in one call.

    `judges` has a classifier for each, and its `own` scores are of the space's items in order. Raises
    UserError for a split with fewer than five items that have a text.
    """
    ground = _ground(entry, attributes, settings)
    shape = ground.read.shape[:-1]
    template = PromptTemplate(question_about_x(settings.question))
    prompts = [template.fill({"x": one}) for one in ground.read.reshape(-1, ground.read.shape[-1])]
    given = answer(
        answerers.engines["reader"],
        prompts,
        settings.sampling,
        key=f"{answerers.key}/reader",
        kept=kept or KeptAnswers(),
        progress="along concepts",
    )
    different, places = np.unique([text.strip() or NO_ANSWER for text in given], return_inverse=True)
    scores = judges.scores(different.tolist())[places].reshape(*shape, -1)
    vectors = answerers.encoder.encode(different.tolist(), progress=True)[places].reshape(*shape, -1)
    real = answerers.encoder.encode(_openings(ground.texts, _sample(ground)))
    return [
        _measured(ground, number, answerers, judges, scores[number], vectors[number], real)
        for number in range(len(attributes))
    ]


def _ground(entry: SpaceEntry, attributes: Sequence[Attribute], settings: SlopeSettings) -> _Ground:
    texts = column_texts(entry.space, TEXT_COLUMN)
    usable = [row for row, text in enumerate(texts) if text]
    chosen, _ = choose_rows(entry, settings.split, usable)
    rows = np.random.default_rng(settings.seed).permutation(chosen)[: max(settings.items, 1)].tolist()
    ways = np.stack([_ways(entry, one.concept, settings) for one in attributes])
    start = entry.space.vectors[rows].astype(np.float64)
    amounts = np.array(settings.amounts)
    moved = start[:, None] + amounts[:, None] * ways[:, :, None, None]
    moved = moved.astype(np.float32)
    flat = moved.reshape(-1, entry.space.dim)
    return _Ground(
        entry=entry,
        texts=texts,
        rows=rows,
        attributes=attributes,
        settings=settings,
        points=moved[:, _CONCEPT],
        read=entry.alignment(flat, "made").reshape(*moved.shape[:-1], -1),
    )


def _ways(entry: SpaceEntry, concept: Concept, settings: SlopeSettings) -> np.ndarray:
    """[W, D] what amount 1 moves by: the concept, its reverse, then the random directions."""
    along = concept.direction.astype(np.float64)
    drawn = [
        random_directions(entry.space, concept, settings.random, kind="random", seed=settings.seed),
        random_directions(entry.space, concept, settings.isotropic, kind="isotropic", seed=settings.seed),
    ]
    return concept.scale * np.concatenate([along[None], -along[None], *drawn])


def _sample(ground: _Ground) -> list[int]:
    """Rows of real texts that tell how much scores vary: up to 500 that nothing was fitted on."""
    out = [
        row
        for row, text in enumerate(ground.texts)
        if text and ground.entry.space.ids[row] in ground.entry.held_out
    ]
    return out[:500]


def _openings(texts: Sequence[str | None], rows: Sequence[int]) -> list[str]:
    return [opening(texts[row] or NO_ANSWER, SHOWN) for row in rows]


def _measured(
    ground: _Ground,
    number: int,
    answerers: Answerers,
    judges: TextJudges,
    scores: np.ndarray,
    vectors: np.ndarray,
    real: np.ndarray,
) -> AttributeSlopes:
    """One attribute, from scores [W, N, A, K] and unit vectors [W, N, A, T] of its answers."""
    attribute, settings = ground.attributes[number], ground.settings
    concept, amounts = attribute.concept, np.array(settings.amounts)
    judge = attribute.judge or concept.name
    place = judges.names.index(judge)
    found = _nearest_rows(ground, number)
    phrase = PhraseJudge.among(answerers.encoder, attribute.phrase, attribute.neutral, real)
    rows, places = np.unique(found, return_inverse=True)
    searched = phrase.scores(_openings(ground.texts, rows.tolist()))[places].reshape(found.shape)
    by_classifier = slopes_of(
        judges.judge(judge).name,
        _judged(amounts, scores[..., place], judges.own[found, place]),
        seed=settings.seed,
    )
    by_encoder = slopes_of(
        phrase.name, _judged(amounts, phrase.of_vectors(vectors), searched), seed=settings.seed
    )
    shift = (ground.read[number, _CONCEPT, :, -1] - ground.read[number, _CONCEPT, :, 0]).mean(0)
    others = {
        name: slope_series(amounts, scores[_CONCEPT, ..., k])
        for k, name in enumerate(judges.names)
        if k != place
    }
    drift = drift_of(vectors[_CONCEPT], vectors[_FIRST_RANDOM:], shift, others, seed=settings.seed)
    auc = judges.auc[judge]
    score = concept.score
    return AttributeSlopes(
        name=concept.name,
        source=concept.source,
        examples=concept.positives,
        caution=concept.caution,
        fitted=Estimate(score.value, score.low, score.high) if score else None,
        auc=auc,
        items=len(ground.rows),
        amounts=settings.amounts,
        outside=_share_outside(ground, number),
        by_classifier=by_classifier,
        by_encoder=by_encoder,
        drift=drift,
        flags=slope_flags(by_classifier, auc, drift),
    )


def _judged(amounts: np.ndarray, scores: np.ndarray, search: np.ndarray) -> Judged:
    """From one judge's scores [W, N, A]."""
    return Judged(
        amounts=amounts,
        concept=scores[_CONCEPT],
        reverse=scores[_REVERSE],
        random=scores[_FIRST_RANDOM:],
        search=search,
    )


def _nearest_rows(ground: _Ground, number: int) -> np.ndarray:
    """[N, A] row of the nearest item with a text at each point along the concept, the start itself left out."""
    points = ground.points[number]
    blank = [row for row, text in enumerate(ground.texts) if not text]
    exclude = [[row, *blank] for row in ground.rows for _ in range(points.shape[1])]
    found = nearest(ground.entry.space, points.reshape(-1, points.shape[-1]), 1, exclude=exclude)
    return found.indices[:, 0].reshape(points.shape[:2])


def _share_outside(ground: _Ground, number: int) -> float:
    distance = ground.entry.distance()
    far = [
        distance.percentile(point, exclude=[row])[0]
        for row, point in zip(ground.rows, ground.points[number][:, -1], strict=True)
    ]
    return float(np.mean(np.array(far) > OUTSIDE))
