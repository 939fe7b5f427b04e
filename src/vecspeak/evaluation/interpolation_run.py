"""Interpolation, measured: points between held-out items are asked about, and what else could answer is asked too.

Knows spaces, points, prompts, engines and judges. What the numbers are is in `interpolation`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.engines import Sampling
from vecspeak.errors import UserError
from vecspeak.evaluation.answering import KeptAnswers, answer
from vecspeak.evaluation.cases import SHOWN, choose_rows, column_texts, question_about_x
from vecspeak.evaluation.interpolation import POINT, READER, Interpolations, Ways, scored, system_scores
from vecspeak.evaluation.measures import NO_ANSWER
from vecspeak.evaluation.task_cases import partners
from vecspeak.evaluation.tasks import Answerers
from vecspeak.evaluation.text_judges import TextJudges
from vecspeak.points import evaluate
from vecspeak.points.expressions import Call, Item, Number
from vecspeak.prompts import Prompt, PromptTemplate
from vecspeak.spaces.formats import TEXT_COLUMN
from vecspeak.spaces.neighbours import nearest
from vecspeak.spaces.splits import HOLDOUT
from vecspeak.tasks.texts import opening

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
class InterpolationSettings:
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
    ways: Ways
    known: list[list[int]]
    """[P][S] row of the nearest known item."""
    prompts: Mapping[str, list[Prompt]]
    """By system, pair by pair and share by share."""


def interpolations(
    answerers: Answerers,
    entry: SpaceEntry,
    judges: TextJudges,
    masks: Mapping[str, np.ndarray],
    settings: InterpolationSettings,
    kept: KeptAnswers | None = None,
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
    given = _ask(answerers, grounds, settings, kept or KeptAnswers())
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
    settings: InterpolationSettings,
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
        ways=Ways(shares=settings.shares, points=read, ends=sides, only=both & ~both[:, ::-1]),
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
    ends = (Item(name=first, by_id=True), Item(name=second, by_id=True))
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
    answerers: Answerers, grounds: Sequence[_Ground], settings: InterpolationSettings, kept: KeptAnswers
) -> list[dict[str, list[str]]]:
    """Every system's answers to each kind of pairs; all of one system's in one call."""
    found: list[dict[str, list[str]]] = [{} for _ in grounds]
    for key, engine in ((READER, "reader"), ("lm_labels", "untouched"), ("lm_texts", "untouched")):
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
    settings: InterpolationSettings,
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
