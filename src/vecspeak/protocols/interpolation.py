"""Interpolation: whether answers about points between two items say what lies between, system by system.

Knows vectors, texts and shares. Knows no model. Shape letters: P pairs, S shares of the way (t), T width, K attributes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.engines import Sampling
from vecspeak.errors import UserError
from vecspeak.evaluation.answering import AnswerCache, answer
from vecspeak.evaluation.cases import SHOWN, choose_rows, column_texts, partners, question_about_x
from vecspeak.evaluation.evaluate import Answerers
from vecspeak.evaluation.metrics import NO_ANSWER, repeated
from vecspeak.evaluation.report import Measure
from vecspeak.model.prompt import Prompt, PromptTemplate
from vecspeak.points import evaluate
from vecspeak.points.expressions import Call, ItemName, Number
from vecspeak.protocols.slopes import slope_series
from vecspeak.protocols.text_judges import TextJudges
from vecspeak.spaces.search import nearest
from vecspeak.spaces.splits import HOLDOUT
from vecspeak.spaces.tables import TEXT_COLUMN
from vecspeak.stats import Estimate, Series, difference
from vecspeak.tasks.task_set import opening

READER = "reader"
POINT = "point"
"""The points' own vectors in the place of answers: what the geometry gives."""

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
        name="neighbours alike",
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


Found = dict[str, tuple[Series, np.ndarray | None]]
"""By measure one number a pair, and where it has a value at each t those [P, S]."""


def scored(
    ways: InterpolationPoints,
    vectors: np.ndarray,
    shows: np.ndarray | None = None,
    texts: Sequence[Sequence[str]] | None = None,
) -> Found:
    """Scores of answers: their unit vectors [P, S, T], attributes that they show [P, S, K], and texts [P][S]."""
    to_point = (vectors * ways.points).sum(-1)
    to_ends = np.einsum("pst,pet->pse", vectors, ways.ends)
    lesser = to_ends.min(-1)
    found: Found = {
        "sc": (Series(to_point.mean(1)), to_point),
        "lesser": (Series(lesser.mean(1)), lesser),
        "follows": (slope_series(np.array(ways.shares), to_ends[..., 1] - to_ends[..., 0]), None),
        "alike": (Series((vectors[:, 1:] * vectors[:, :-1]).sum(-1).mean(1)), None),
    }
    if shows is not None:
        each = (shows[:, :, None] & ways.only[:, None]).any(-1).all(-1).astype(float)
        found["both"] = (Series(each.mean(1), ways.only.any(-1).all(-1).astype(float)), each)
    if texts is not None:
        found["repeated"] = (Series(np.array([repeated(of_one).values.mean() for of_one in texts])), None)
    return found


def system_scores(
    key: str, told: tuple[str, str], found: Found, reader: Found, shares: Sequence[float], *, seed: int = 0
) -> SystemScores:
    """Estimates over pairs, and the reader minus this system; `told` are its name and description."""
    estimates, by_share, minus = {}, {f"{share:g}": dict[str, Estimate]() for share in shares}, {}
    for measure in MEASURES:
        if measure.key not in found:
            continue
        series, each = found[measure.key]
        estimate = series.estimate(seed=seed)
        if estimate is None:
            continue
        estimates[measure.key] = estimate
        if measure.key in BY_SHARE and each is not None:
            for column, share in enumerate(shares):
                one = Series(each[:, column], series.weights).estimate(seed=seed)
                assert one is not None
                by_share[f"{share:g}"][measure.key] = one
        if key != READER and (gap := difference(reader[measure.key][0], series, seed=seed)) is not None:
            minus[measure.key] = gap
    return SystemScores(
        key=key, name=told[0], what=told[1], estimates=estimates, by_share=by_share, reader_minus=minus
    )


PairKind = Literal["random", "near"]
KINDS: tuple[PairKind, ...] = ("random", "near")

SYSTEMS = {
    READER: ("the reader", "The reader with the point's vector, and nothing else."),
    "swapped": (
        "another pair's point",
        "The reader's answer about the point of another pair, which shares neither end, at the same t.",
    ),
    "nearest_text": (
        "the nearest item's text",
        f"What a search would show: the opening ({SHOWN} letters) of the text of the known item nearest to the point; "
        "neither end is among those.",
    ),
    "lm_labels": (
        "untouched model, both labels and t",
        "The same language model before it learned to read vectors, told the labels of both ends and t.",
    ),
    "lm_texts": (
        "untouched model, both texts and t",
        "An upper reference, not a rival: the same untouched model, which READS THE TEXTS OF BOTH ENDS, and is told t.",
    ),
    POINT: (
        "(the points themselves)",
        "The points' vectors in the place of answers: what the geometry gives.",
    ),
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ground:
    """Pairs of one kind with everything that is asked about them."""

    kind: PairKind
    pairs: list[tuple[int, int]]
    ways: InterpolationPoints
    known: list[list[int]]
    """[P][S] row of the nearest known item."""
    prompts: Mapping[str, list[Prompt]]
    """By system, pair by pair and share by share."""


def interpolations(
    answerers: Answerers,
    entry: SpaceEntry,
    judges: TextJudges,
    masks: Mapping[str, np.ndarray],
    settings: InterpolationConfig,
    kept: AnswerCache | None = None,
) -> list[Interpolations]:
    """Random and near pairs of held-out items through every system.

    `masks` [N] say which items have each of the judges' attributes. Raises UserError for a split with fewer than five
    items that have a text.
    """
    texts = column_texts(entry.space, TEXT_COLUMN)
    usable = [row for row, text in enumerate(texts) if text]
    chosen, train = choose_rows(entry, settings.split, usable)
    rows = np.random.default_rng(settings.seed).permutation(chosen).tolist()
    has = np.stack([masks[name] for name in judges.names], axis=1)
    grounds = [
        _ground(entry, kind, pairs_of(entry, kind, rows, settings.pairs), train, texts, has, settings)
        for kind in KINDS
    ]
    given = _ask(answerers, grounds, settings, kept or AnswerCache())
    return [
        _scored(answerers, judges, ground, texts, of, settings)
        for ground, of in zip(grounds, given, strict=True)
    ]


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


def _ground(
    entry: SpaceEntry,
    kind: PairKind,
    pairs: list[tuple[int, int]],
    train: Sequence[int],
    texts: Sequence[str | None],
    has: np.ndarray,
    settings: InterpolationConfig,
) -> _Ground:
    space = entry.space
    expressions = [[_mid(space.ids[a], space.ids[b], share) for share in settings.shares] for a, b in pairs]
    scope = entry.scope
    vectors = np.stack([[evaluate(one, scope).vector for one in of_one] for of_one in expressions])
    flat = vectors.reshape(-1, space.dim)
    table = space.take(list(train))
    found = nearest(table, flat, 1).indices[:, 0].reshape(vectors.shape[:2])
    ends = np.array(pairs)
    read = entry.alignment(flat, "made").reshape(*vectors.shape[:2], -1)
    sides = entry.alignment(space.vectors[ends.ravel()]).reshape(len(pairs), 2, -1)
    both = has[ends]
    template = PromptTemplate(question_about_x(settings.question))
    return _Ground(
        kind=kind,
        pairs=pairs,
        ways=InterpolationPoints(shares=settings.shares, points=read, ends=sides, only=both & ~both[:, ::-1]),
        known=[[train[place] for place in of_one] for of_one in found.tolist()],
        prompts={
            READER: [template.fill({"x": one}) for one in read.reshape(-1, read.shape[-1])],
            "lm_labels": _told(template, pairs, space.labels, settings.shares),
            "lm_texts": _told(
                template, pairs, [opening(text or "", SHOWN) for text in texts], settings.shares
            ),
        },
    )


def _mid(first: str, second: str, share: float) -> Call:
    ends = (ItemName(name=first, by_id=True), ItemName(name=second, by_id=True))
    return Call(function="mid", arguments=(*ends, Number(value=share)))


_WORDS = {0.25: "a quarter", 0.5: "half", 0.75: "three quarters"}


def _told(
    template: PromptTemplate, pairs: Sequence[tuple[int, int]], said: Sequence[str], shares: Sequence[float]
) -> list[Prompt]:
    """The question with X in the place of the vector, after what is said of both ends, and where X lies."""
    question = template.text.replace("{x}", "X")
    return [(f"{_ends(said[a], said[b], share)}\n\n{question}",) for a, b in pairs for share in shares]


def _ends(first: str, second: str, share: float) -> str:
    part = _WORDS.get(share, f"{share:.0%}")
    return (
        f"The first: {first}\nThe second: {second}\n"
        f"X lies between the two, {part} of the way from the first to the second."
    )


def _ask(
    answerers: Answerers, grounds: Sequence[_Ground], settings: InterpolationConfig, kept: AnswerCache
) -> list[dict[str, list[str]]]:
    """Every system's answers to each kind of pairs; all of one system's in one call."""
    found: list[dict[str, list[str]]] = [{} for _ in grounds]
    for key, engine in ((READER, "reader"), ("lm_labels", "base"), ("lm_texts", "base")):
        texts = answer(
            answerers.engines[engine],
            [prompt for ground in grounds for prompt in ground.prompts[key]],
            settings.sampling,
            key=f"{answerers.key}/{engine}",
            kept=kept,
            progress=f"between, {SYSTEMS[key][0]}",
        )
        for ground, of_one in zip(grounds, found, strict=True):
            count = len(ground.prompts[key])
            of_one[key], texts = texts[:count], texts[count:]
    return found


def _scored(
    answerers: Answerers,
    judges: TextJudges,
    ground: _Ground,
    texts: Sequence[str | None],
    given: dict[str, list[str]],
    settings: InterpolationConfig,
) -> Interpolations:
    num_shares = len(settings.shares)
    paths = {
        key: [of[i : i + num_shares] for i in range(0, len(of), num_shares)] for key, of in given.items()
    }
    paths["swapped"] = [paths[READER][other] for other in others_of(ground.pairs)]
    paths["nearest_text"] = [[opening(texts[row] or "", SHOWN) for row in of] for of in ground.known]
    found = {}
    for key, of_pairs in paths.items():
        flat = [text.strip() or NO_ANSWER for of_one in of_pairs for text in of_one]
        different, places = np.unique(flat, return_inverse=True)
        shape = (len(of_pairs), num_shares, -1)
        vectors = answerers.encoder.encode(different.tolist())[places].reshape(shape)
        if key == "nearest_text":  # known texts, so by classifiers that did not see them
            scores = judges.own[[row for of in ground.known for row in of]]
        else:
            scores = judges.scores(different.tolist())[places]
        shows = (scores > judges.thresholds).reshape(shape)
        found[key] = scored(ground.ways, vectors, shows, of_pairs)
    found[POINT] = scored(ground.ways, ground.ways.points)
    ways = ground.ways
    return Interpolations(
        kind=ground.kind,
        pairs=len(ground.pairs),
        shares=settings.shares,
        pairs_with_attributes=int(ways.only.any(-1).all(-1).sum()),
        similarity=float((ways.ends[:, 0] * ways.ends[:, 1]).sum(-1).mean()),
        systems=tuple(
            system_scores(key, told, found[key], found[READER], settings.shares, seed=settings.seed)
            for key, told in SYSTEMS.items()
        ),
    )
