"""Interpolation: whether answers about points between two items say what lies between, system by system.

Each kind of pairs is a case set of the one evaluator, with a pair as entity and a step for each share of the way.
Shape letters: P pairs, S shares of the way (t), T width, K attributes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.engines import Sampling
from vecspeak.errors import UserError
from vecspeak.evaluation.answering import batched
from vecspeak.evaluation.baselines import BASELINES
from vecspeak.evaluation.cases import SHOWN, TRAIN, CaseSet, choose_rows, column_texts, question_about_x
from vecspeak.evaluation.evaluate import EvaluationConfig, Models, score, scoring_contexts
from vecspeak.evaluation.metrics import ScoringContext, SystemAnswers, register
from vecspeak.evaluation.report import POINT, READER, SHUFFLED, Measure, TrainingExample
from vecspeak.evaluation.table import concat, series_of
from vecspeak.evaluation.task_cases import midpoint, partners
from vecspeak.evaluation.wording import repeated
from vecspeak.points import evaluate
from vecspeak.protocols.slopes import SEARCH, slope_series
from vecspeak.protocols.text_judges import TextJudges
from vecspeak.spaces.search import nearest
from vecspeak.spaces.splits import HOLDOUT, MET
from vecspeak.stats import Estimate, Series, difference
from vecspeak.storage import Cache
from vecspeak.tables.columns import TEXT_COLUMN
from vecspeak.tasks.task_set import opening

MEASURES = (
    Measure(
        key="sc",
        name="SC",
        what="Cosine of the answer with the point, by the reader's own encoder.",
        better="higher",
    ),
    Measure(
        key="lesser",
        name="lesser end",
        what="Cosine of the answer with whichever end it is farther from: high only where both ends are in it.",
        better="higher",
    ),
    Measure(
        key="both",
        name="both show",
        what="Share of answers that show an attribute which only the first end has, and one which only the second has, "
        "by the classifiers of real texts; counted where each end has one that the other lacks.",
        better="higher",
    ),
    Measure(
        key="follows",
        name="follows t",
        what="How much nearer the second end, and farther from the first, answers come over the whole way: slope on t "
        "of the difference of the two cosines.",
        better="higher",
    ),
    Measure(
        key="alike",
        name="neighbors alike",
        what="Cosine of neighbouring answers along one way.",
        better="",
    ),
    Measure(
        key="repeated",
        name="repeated",
        what="Share of the answers along one way that are nearly equal to another on it.",
        better="lower",
    ),
)
"""In the order of the table."""
BY_SHARE = ("sc", "lesser", "both")
"""What is told for each t too."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InterpolationPoints:
    """P pairs of items and the points between them."""

    shares: tuple[float, ...]
    """The S values of t."""
    points: np.ndarray
    """[P, S, T] unit vectors as they are read."""
    ends: np.ndarray
    """[P, 2, T] unit vectors of both ends as they are read."""
    only: np.ndarray
    """[P, 2, K] bool: which attributes that end has and the other lacks."""
    judges: TextJudges | None = None
    """Of the attributes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemScores:
    """What one system reached, and how far the reader is from it."""

    key: str
    name: str
    what: str
    estimates: Mapping[str, Estimate]
    by_share: Mapping[str, Mapping[str, Estimate]]
    """For each t, as text, the measures that have a value at each."""
    reader_minus: Mapping[str, Estimate]
    """The reader minus this system, paired by pair; empty for the reader itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolations:
    """One kind of pairs."""

    kind: str
    pairs: int
    shares: tuple[float, ...]
    pairs_with_attributes: int
    """Pairs of which each end has an attribute that the other lacks."""
    similarity: float
    """Mean cosine of the two ends as they are read."""
    systems: tuple[SystemScores, ...]


def scored(
    ways: InterpolationPoints,
    vectors: np.ndarray,
    shows: np.ndarray | None = None,
    texts: Sequence[Sequence[str]] | None = None,
) -> dict[str, Series]:
    """Scores of answers: their unit vectors [P, S, T], attributes that they show [P, S, K], and texts [P][S].

    One number a pair by measure; of the measures of BY_SHARE also one for each t, as `sc at 0.25`.
    """
    to_point = (vectors * ways.points).sum(-1)
    to_ends = np.einsum("pst,pet->pse", vectors, ways.ends)
    each = {"sc": to_point, "lesser": to_ends.min(-1)}
    weights = None
    if shows is not None:
        # An end shows where the answer has any attribute that this end has and the other lacks.
        each["both"] = (shows[:, :, None] & ways.only[:, None]).any(-1).all(-1).astype(float)
        weights = ways.only.any(-1).all(-1).astype(float)
    found = {
        "follows": slope_series(np.array(ways.shares), to_ends[..., 1] - to_ends[..., 0]),
        "alike": Series((vectors[:, 1:] * vectors[:, :-1]).sum(-1).mean(1)),
    }
    for key, values in each.items():
        counts = weights if key == "both" else None
        found[key] = Series(values.mean(1), counts)
        at = zip(ways.shares, values.T, strict=True)
        found |= {f"{key} at {share:g}": Series(column, counts) for share, column in at}
    if texts is not None:
        found["repeated"] = Series(np.array([repeated(of_one).values.mean() for of_one in texts]))
    return found


def _between_measures(context: ScoringContext) -> list[Measure]:
    """The measures, those of BY_SHARE also at each share of the way."""
    at = [f" at {share:g}" for share in context.cases.steps]
    by_share = [
        replace(one, key=f"{one.key}{end}", name=f"{one.name}{end}") for one in MEASURES for end in at
    ]
    return [*MEASURES, *(one for one in by_share if one.key.partition(" at ")[0] in BY_SHARE)]


@register("between", _between_measures)
def _between(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    ways: InterpolationPoints = cases.compared_with
    shape = (-1, len(cases.steps), answers.vectors.shape[1])
    vectors = answers.vectors.reshape(shape)
    if answers.system == POINT or ways.judges is None:
        return scored(ways, vectors)
    if answers.system == SEARCH:  # texts of items, so by classifiers that did not see them
        scores = ways.judges.own[cases.nearest_rows]
    else:
        scores = ways.judges.scores(answers.texts)
    shows = (scores > ways.judges.thresholds).reshape(*vectors.shape[:2], -1)
    return scored(ways, vectors, shows, list(batched(answers.texts, len(cases.steps))))


def system_scores(
    key: str,
    described: tuple[str, str],
    found: Mapping[str, Series],
    reader: Mapping[str, Series],
    shares: Sequence[float],
    *,
    seed: int = 0,
) -> SystemScores:
    """Estimates over pairs, and the reader minus this system; `described` are its name and description."""
    keys = [measure.key for measure in MEASURES if measure.key in found]
    made = {name: one for name, series in found.items() if (one := series.estimate(seed=seed)) is not None}
    gaps = {} if key == READER else {one: difference(reader[one], found[one], seed=seed) for one in keys}
    return SystemScores(
        key=key,
        name=described[0],
        what=described[1],
        estimates={one: made[one] for one in keys if one in made},
        by_share={
            f"{share:g}": {one: made[at] for one in BY_SHARE if (at := f"{one} at {share:g}") in made}
            for share in shares
        },
        reader_minus={one: gap for one, gap in gaps.items() if gap is not None},
    )


PairKind = Literal["random", "near"]
KINDS: tuple[PairKind, ...] = ("random", "near")

SYSTEMS = {
    READER: ("the reader", "The reader with the point's vector, and nothing else."),
    SHUFFLED: (
        "another pair's point",
        "The reader's answer about the point of another pair, which shares neither end, at the same t.",
    ),
    "nearest_text": (
        "the nearest item's text",
        f"What a search would show: the opening ({SHOWN} characters) of the text of the known item nearest to the "
        "point; neither end is among those.",
    ),
    "lm_labels": (
        "base model, both labels and t",
        "The same language model before it learned to read vectors, told the labels of both ends and t.",
    ),
    "lm_texts": (
        "base model, both texts and t",
        "An upper reference, not a rival: the same base model, which READS THE TEXTS OF BOTH ENDS, and is told t.",
    ),
    POINT: (BASELINES[POINT].name, BASELINES[POINT].what),
}
"""Name and description of everything in the table, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpolationConfig:
    """What is asked, of how many pairs."""

    question: str = "Describe {x}."
    pairs: int = 300
    shares: tuple[float, ...] = (0.25, 0.5, 0.75)
    split: str = HOLDOUT
    sampling: Sampling = field(default_factory=lambda: Sampling(max_new_tokens=64))
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.shares) < 2 or not all(0 <= share <= 1 for share in self.shares):
            raise UserError(
                "interpolations need two or more shares of the way, from 0 to 1", "use .25, .5, .75"
            )


def interpolations(
    models: Models,
    entry: SpaceEntry,
    judges: TextJudges,
    masks: Mapping[str, np.ndarray],
    config: InterpolationConfig,
    cache: Cache | None = None,
) -> list[Interpolations]:
    """Ask about points between random and near pairs of held-out items, through every baseline.

    `masks` [N] say which items have each of the judges' attributes. Raises UserError for a split with fewer than five
    items that have a text.
    """
    texts = column_texts(entry.space, TEXT_COLUMN)
    usable = [row for row, text in enumerate(texts) if text]
    selected, train = choose_rows(entry, config.split, usable)
    rows = np.random.default_rng(config.seed).permutation(selected).tolist()
    has = np.stack([masks[name] for name in judges.names], axis=1)
    made = [
        pair_cases(entry, kind, pairs_of(entry, kind, rows, config.pairs), train, judges, has, config)
        for kind in KINDS
    ]
    asked = EvaluationConfig(sampling=config.sampling, seed=config.seed)
    contexts = scoring_contexts(models.encoding_once, made, asked, cache)
    found = series_of(concat(map(score, contexts)))
    return [_summary(kind, cases, found, config) for kind, cases in zip(KINDS, made, strict=True)]


def pairs_of(entry: SpaceEntry, kind: PairKind, rows: Sequence[int], count: int) -> list[tuple[int, int]]:
    """Up to `count` different pairs of the rows: any two, or each with the nearest others in turn."""
    if kind == "random":
        return list(zip(rows[:count], partners(rows, min(count, len(rows))), strict=True))
    table = entry.space.take(list(rows))
    found = nearest(table, table.vectors, 3, exclude=[[place] for place in range(len(rows))]).indices
    pairs: dict[frozenset[int], tuple[int, int]] = {}
    for rank in range(found.shape[1]):
        for place, other in enumerate(found[:, rank].tolist()):
            pairs.setdefault(frozenset((place, other)), (rows[place], rows[other]))
    return list(pairs.values())[:count]


def others_of(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """For each pair the place of another that shares no item with it, about half the list away."""
    found = []
    for place, pair in enumerate(pairs):
        steps = ((place + len(pairs) // 2 + step) % len(pairs) for step in range(len(pairs)))
        found.append(next((other for other in steps if not set(pair) & set(pairs[other])), place))
    return found


def pair_cases(
    entry: SpaceEntry,
    kind: PairKind,
    pairs: list[tuple[int, int]],
    train: Sequence[int],
    judges: TextJudges | None,
    has: np.ndarray,
    config: InterpolationConfig,
) -> CaseSet:
    """Make the cases of these pairs of rows; `has` [N, K] says which items have which attribute."""
    space = entry.space
    expressions = [[midpoint(space.ids[a], space.ids[b], share) for share in config.shares] for a, b in pairs]
    scope = entry.scope
    vectors = np.stack([[evaluate(one, scope).vector for one in of_one] for of_one in expressions])
    flat = vectors.reshape(-1, space.dim)
    found = nearest(space.take(list(train)), flat, 1)
    known = np.array(train)[found.indices[:, 0]]
    ends = np.array(pairs)
    inputs = entry.alignment(flat, "made")
    sides = entry.alignment(space.vectors[ends.ravel()]).reshape(len(pairs), 2, -1)
    both = has[ends]
    openings = [opening(text or "", SHOWN) for text in column_texts(space, TEXT_COLUMN)]
    shares = range(len(config.shares))
    return CaseSet(
        name=f"between, {kind} pairs",
        question=question_about_x(config.question),
        split=config.split,
        trained_on=config.split in (TRAIN, MET),
        ids=[f"{space.ids[a]} + {space.ids[b]}" for a, b in pairs for _ in shares],
        labels=[f"{space.labels[a]} + {space.labels[b]}" for a, b in pairs for _ in shares],
        inputs=inputs[:, None],
        mean_input=inputs.mean(0),
        steps=config.shares,
        truths=[(openings[a], openings[b]) for a, b in pairs for _ in shares],
        contexts=[(openings[a], openings[b]) for a, b in pairs for _ in shares],
        neighbors=[
            ((TrainingExample(label=space.labels[row], text=openings[row], similarity=float(score)),),)
            for row, score in zip(known.tolist(), found.scores[:, 0].tolist(), strict=True)
        ],
        nearest_by="cosine in the space, among its training items",
        nearest_rows=known,
        baselines=tuple(SYSTEMS),
        scorers=("between",),
        descriptions=SYSTEMS,
        base_contexts={
            "lm_labels": _ends_of(pairs, space.labels, config.shares),
            "lm_texts": _ends_of(pairs, openings, config.shares),
        },
        shuffle=[other * len(shares) + share for other in others_of(pairs) for share in shares],
        compared_with=InterpolationPoints(
            shares=config.shares,
            points=inputs.reshape(*vectors.shape[:2], -1),
            ends=sides,
            only=both & ~both[:, ::-1],
            judges=judges,
        ),
    )


_WORDS = {0.25: "a quarter", 0.5: "half", 0.75: "three quarters"}


def _ends_of(pairs: Sequence[tuple[int, int]], said: Sequence[str], shares: Sequence[float]) -> list[str]:
    """What is said of both ends, and where X lies, pair by pair and share by share."""
    parts = [_WORDS.get(share, f"{share:.0%}") for share in shares]
    return [
        f"The first: {said[a]}\nThe second: {said[b]}\n"
        f"X lies between the two, {part} of the way from the first to the second."
        for a, b in pairs
        for part in parts
    ]


def _summary(
    kind: PairKind,
    cases: CaseSet,
    found: Mapping[tuple[str, str, str], Series],
    config: InterpolationConfig,
) -> Interpolations:
    """One kind of pairs, from the series of all by set, system and metric."""
    systems: dict[str, dict[str, Series]] = {key: {} for key in SYSTEMS}
    for (name, system, metric), series in found.items():
        if name == cases.name:
            systems[system][metric] = series
    ways: InterpolationPoints = cases.compared_with
    return Interpolations(
        kind=kind,
        pairs=len(ways.ends),
        shares=config.shares,
        pairs_with_attributes=int(ways.only.any(-1).all(-1).sum()),
        similarity=float((ways.ends[:, 0] * ways.ends[:, 1]).sum(-1).mean()),
        systems=tuple(
            system_scores(key, shown, systems[key], systems[READER], config.shares, seed=config.seed)
            for key, shown in SYSTEMS.items()
        ),
    )
