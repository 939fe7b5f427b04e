"""Case sets: what is asked about which entities, what is true of them, and what baselines and scorers need.

Case makers: `space_cases` (items of a bundle's space), `corpus_sets` (texts of a training recipe), `plan_tasks` (every
task of a set); the protocols make more. What something was fitted on is refused unless its split is asked for by name.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vecspeak.beginnings import beginning_of
from vecspeak.bundles import SpaceEntry
from vecspeak.encoders.text import Encoder
from vecspeak.errors import UserError, did_you_mean
from vecspeak.evaluation.behavior import Attributes, Ranking, attributes_of, fit_predictor
from vecspeak.evaluation.report import TrainingExample
from vecspeak.evidence import ReadTerm
from vecspeak.lexicon.joint import TermReader
from vecspeak.model.alignment import unit
from vecspeak.model.prompt import Prompt, check_question, vectors_of, with_default_slots
from vecspeak.searching import TermsOf
from vecspeak.spaces import Space
from vecspeak.spaces.search import nearest
from vecspeak.spaces.splits import HOLDOUT, MET
from vecspeak.tables.cells import to_python
from vecspeak.tables.columns import TEXT_COLUMN
from vecspeak.tasks.task_set import opening

NUM_NEAREST = 10
"""Nearest training entities stored for each case of an entity question."""
SHOWN = 420
"""Characters of a text that stand for it as a target, a context or an answer: about 100 tokens."""
TRAIN = "train"
"""Name of the split that everything was fitted on."""
FEWEST = 5
"""Minimum number of entities of an evaluation."""
ENTITY_BASELINES = (
    "reader", "best_of", "no_words", "other_words", "other_vector", "words", "swapped", "mean", "random",
    "nearest_text", "nearest_whole", "lm_texts", "lm_labels", "lm_truth", "truth",
)  # fmt: skip
ENTITY_SCORERS = (
    "loss", "consistency", "variance", "text_retrieval", "second_consistency", "second_retrieval",
    "behavior", "attributes", "word_accuracy", "loops", "repeated", "copied",
)  # fmt: skip
TASK_BASELINES = ("reader", "swapped", "mean", "nearest_text", "lm_texts", "lm_truth")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseSet:
    """N cases of one question or task: vectors for its slots, what is true of each, and who answers and scores.

    A question about single entities is a task with one slot, x. Shape letters: N cases, S slots, T encoder width,
    D width of the space, P pool.
    """

    name: str
    """Such as `movies.semantic` or `movies.semantic / summary`."""
    question: str
    slots: tuple[str, ...] = ("x",)
    """Names of the slots, in the order of the vectors."""
    split: str
    trained_on: bool
    """Whether something was fitted on these entities."""
    ids: list[str]
    labels: list[str]
    inputs: np.ndarray
    """[N, S, T] encoder-space vectors that the reader gets."""
    mean_input: np.ndarray
    """[T] their mean over the training entities."""
    words: Sequence[Sequence[ReadTerm]] = ()
    """What the lexicon reads from the vector of each case; none where it is not told of them."""
    vocabulary: TermReader | None = None
    """The terms that answers and truths are compared by."""
    steps: tuple[float, ...] = (0.0,)
    """Where the points of an entity lie along its way; cases come entity by entity, one a step."""
    own: np.ndarray | None = None
    """[N, S, D] the same points in the space itself; needed for behavioral consistency."""
    truths: list[tuple[str, ...]]
    """True texts: one a slot; of both ends of a point between; of a person what ratings say; empty where unknown."""
    contexts: list[tuple[str, ...]]
    """The texts that the base model reads where it may read the truth."""
    neighbors: list[tuple[tuple[TrainingExample, ...], ...]]
    """For each slot the nearest training entities, nearest first."""
    nearest_by: str
    nearest_truths: list[str] | None = None
    """The whole truth of the nearest training entity; None: the neighbors' texts are what a search shows."""
    training_texts: list[str] = field(default_factory=list)
    """Truths of the training entities, from which an answer might be copied."""
    baselines: tuple[str, ...] = TASK_BASELINES
    """Names in `baselines.BASELINES`, in the order of the table."""
    scorers: tuple[str, ...]
    """Names in `metrics.SCORERS`, in the order of the table."""
    descriptions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Name and description by baseline, where the registry's do not fit."""
    base_contexts: Mapping[str, list[str]] = field(default_factory=dict)
    """What the base model is told, by baseline, where it is not made of neighbors and contexts."""
    neighbor_chars: int = SHOWN
    context_chars: int | None = None
    """Characters of each neighbor's text and of each context in a base model's prompt; None: all of them."""
    beginning: str = ""
    """How searched answers begin; empty where nothing forces it."""
    shuffle: list[int] | None = None
    """For each case the case whose answer is its shuffled control; None: the one before it."""
    # what scorers compare with
    truth: np.ndarray | None = None
    """[N, T] unit vectors of the truths; None: answers are compared with what was read."""
    mean_truth: np.ndarray | None = None
    """[T] mean vector of the training entities' truths."""
    pool: np.ndarray | None = None
    """[P, T] unit vectors to find the right text among, the cases' own first; None where texts are shared."""
    items: np.ndarray | None = None
    """[P, T] all items as the reader sees them, to find the right one among."""
    rows: list[tuple[int, ...]] = field(default_factory=list)
    """Row of the item in each slot; empty where no item sits there."""
    nearest_rows: np.ndarray | None = None
    """[N] row of the nearest known item."""
    of_people: bool = False
    ranking: Ranking | None = None
    attributes: Attributes | None = None
    compared_with: Any = None
    """What a protocol's own scorers need beside all this."""

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, baselines: Collection[str] | None, scorers: Collection[str] | None) -> "CaseSet":
        """The same cases with fewer baselines or scorers; None is all. The reader and the true texts always stay."""
        wanted = {"reader", "truth", *(self.baselines if baselines is None else baselines)}
        return replace(
            self,
            baselines=tuple(key for key in self.baselines if key in wanted),
            scorers=tuple(key for key in self.scorers if scorers is None or key in scorers),
        )

    @property
    def entities(self) -> list[str]:
        """Ids of the entities, each once whatever the number of its steps."""
        return self.ids[:: len(self.steps)]

    @property
    def texts(self) -> list[str]:
        """The truth of each case as one text."""
        return ["\n\n".join(texts) for texts in self.truths]

    @property
    def targets(self) -> list[str]:
        """What the loss is measured on: the truth, or its opening where it is long."""
        return [opening(text, SHOWN) for text in self.texts]

    @property
    def nearest(self) -> list[tuple[TrainingExample, ...]]:
        """The neighbors of all slots together."""
        return [tuple(one for near in slots for one in near) for slots in self.neighbors]

    @property
    def search_answers(self) -> list[str]:
        """What a plain search shows, as long as an answer: the opening of the nearest text, or of each slot's."""
        if self.nearest_truths is not None:
            return [opening(text, SHOWN) for text in self.nearest_truths]
        room = SHOWN // len(self.slots)
        return [" ".join(opening(near[0].text, room) for near in slots) for slots in self.neighbors]

    @property
    def known_texts(self) -> int:
        """How many have word for word the text of a training entity: they are not unseen, whatever their split."""
        known = {_plain(text) for text in self.training_texts}
        return sum(_plain(texts[0]) in known for texts in self.truths if texts)

    @property
    def among(self) -> int:
        """Size of the pool that the right one is searched in; 0 where nothing is searched."""
        if self.items is not None:
            return 0 if self.of_people else len(self.items) + self.is_between
        return 0 if self.pool is None else len(self.pool)

    @property
    def is_between(self) -> bool:
        """Whether each point lies between two items, of which `truths` has the texts."""
        return self.items is not None and not self.of_people and not any(self.rows)

    def roll(self, values: Sequence[Any]) -> list[Any]:
        """Another case's value for each case: the shuffled control of answers and of prompts."""
        return [values[row] for row in (self.shuffle or range(-1, len(values) - 1))]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def question_about_x(question: str) -> str:
    """The question with its one slot, which is called x. Raises UserError for any other slot and for half letters."""
    if not question.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in question):
        raise UserError("the question holds bytes that are no UTF-8", "type it again")
    template = with_default_slots(check_question(question), ["x"])
    if set(template.slots) != {"x"}:
        raise UserError(
            f"the question {question!r} has the slots {', '.join(template.slots)}; an evaluation fills {{x}}",
            'write one slot, for example "Describe {x}."',
        )
    return template.text


def terms_by_prompt(case_sets: Sequence[CaseSet], prompts: Sequence[Prompt]) -> TermsOf | None:
    """What the lexicon holds of a text's terms, by the vector that the prompt of a number reads.

    Nothing for prompts that read the vector of no case, such as a random one; None where no case has a lexicon.
    """
    where = {
        vectors[0].astype(np.float32).tobytes(): (cases.vocabulary, cases.own[row, 0], vectors[0])
        for cases in case_sets
        if cases.vocabulary is not None and cases.own is not None
        for row, vectors in enumerate(cases.inputs)
    }
    if not where:
        return None

    def terms(number: int, texts: Sequence[str]) -> Sequence[Sequence[ReadTerm]]:
        read = vectors_of(prompts[number])
        found = where.get(read[0].astype(np.float32).tobytes()) if len(read) == 1 else None
        return [()] * len(texts) if found is None else found[0].in_texts(texts, found[1], found[2])

    return terms


def choose_rows(entry: SpaceEntry, split: str, usable: Sequence[int]) -> tuple[list[int], list[int]]:
    """Rows to evaluate on and training rows, among the usable ones; the two never share an entity.

    Raises UserError for a split that the bundle does not have or that holds fewer than five usable items.
    """
    train = [row for row in usable if entry.space.ids[row] not in entry.held_out]
    if split == TRAIN:
        if len(train) < FEWEST:
            raise UserError(
                f"the space {entry.space.name!r} has {len(train)} items with a text that were fitted on; "
                f"at least {FEWEST} are needed",
                "evaluate a held-out split, or fit with more texts",
            )
        return train, train
    if split not in entry.splits:
        known = [*entry.splits, TRAIN]
        raise UserError(
            f"no split {split!r} in the space {entry.space.name!r}; it has {', '.join(known)}",
            did_you_mean(
                split, known, f"take split={known[0]!r} ({TRAIN!r} is what the space was fitted on)"
            ),
        )
    wanted = entry.splits[split]
    selected = [row for row in usable if entry.space.ids[row] in wanted]
    if len(selected) < FEWEST or len(train) < FEWEST:
        raise UserError(
            f"the split {split!r} of {entry.space.name!r} has {len(selected)} items with a text and "
            f"{len(train)} to train on; at least {FEWEST} of each are needed",
            "fit with `text` and a larger `holdout`, as 0.2, or give texts to more items",
        )
    return selected, train


def _shown(values: Sequence[object]) -> list[str | None]:
    """A metadata column as texts: lists are joined, what is blank is None."""
    joined = [", ".join(map(str, v)) if isinstance(v, list) else v for v in values]
    return [str(v).strip() or None if v is not None else None for v in joined]


def column_texts(space: Space, column: str) -> list[str | None]:
    """One text an item from a metadata column. Raises UserError when the space has no such column."""
    if column not in space.metadata.column_names:
        known = ", ".join(space.metadata.column_names) or "none"
        raise UserError(
            f"the space {space.name!r} has no column {column!r} to compare answers with; it has {known}",
            "fit it from a table with `text`, or name a column with `target`",
        )
    return _shown(to_python(space.metadata.column(column), column))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _EvaluatedRows:
    """Which items are evaluated, which are known, and what is true of all."""

    evaluated: list[int]
    train: list[int]
    truths: Mapping[int, str]
    contexts: Mapping[int, str]


def _nearest_known(space: Space, rows: _EvaluatedRows) -> list[list[tuple[int, float]]]:
    """For each chosen row its nearest training rows with their cosine, itself left out."""
    table = space.take(rows.train)
    place = {row: index for index, row in enumerate(rows.train)}
    own = [[place[row]] if row in place else [] for row in rows.evaluated]
    found = nearest(table, space.vectors[rows.evaluated], NUM_NEAREST, exclude=own)
    return [
        [(rows.train[i], float(s)) for i, s in zip(indices, scores, strict=True)]
        for indices, scores in zip(found.indices.tolist(), found.scores.tolist(), strict=True)
    ]


def _truth_vectors(
    entry: SpaceEntry, encoder: Encoder, rows: _EvaluatedRows, own_texts: bool
) -> dict[int, np.ndarray]:
    """Unit vectors of the truths; a space that the encoder made of those very texts is not encoded again."""
    wanted = list(rows.truths)
    if own_texts and entry.space.encoder == encoder.name and entry.space.dim == encoder.dim:
        return dict(zip(wanted, unit(entry.space.vectors[wanted]), strict=True))
    vectors = encoder.encode([rows.truths[row] for row in wanted], progress=True)
    return dict(zip(wanted, vectors, strict=True))


def _behavior(entry: SpaceEntry, rows: _EvaluatedRows, vectors: Mapping[int, np.ndarray]) -> Ranking | None:
    if entry.users is None:
        return None
    texts = np.stack([vectors[row] for row in rows.train])
    predictor = fit_predictor(texts, entry.space.vectors[rows.train])
    return Ranking(predictor=predictor, others=entry.users.vectors)


def check_space(entry: SpaceEntry, split: str, target: str, question: str) -> None:
    """Raise UserError for what `space_cases` would refuse, before any text is encoded."""
    question_about_x(question)
    _choose(entry, split, target, count=FEWEST, seed=0)


def _choose(entry: SpaceEntry, split: str, target: str, count: int, seed: int) -> _EvaluatedRows:
    truths = column_texts(entry.space, target)
    contexts = column_texts(entry.space, TEXT_COLUMN) if target != TEXT_COLUMN else truths
    usable = [row for row in range(entry.space.num_items) if truths[row] and contexts[row]]
    selected, train = choose_rows(entry, split, usable)
    selected = np.random.default_rng(seed).permutation(selected)[:count].tolist()
    return _EvaluatedRows(
        evaluated=selected,
        train=train,
        truths={row: str(truths[row]) for row in usable},
        contexts={row: str(contexts[row]) for row in usable},
    )


def space_cases(
    entry: SpaceEntry,
    encoder: Encoder,
    *,
    question: str = "Describe {x}.",
    split: str = HOLDOUT,
    target: str = TEXT_COLUMN,
    count: int = 500,
    with_words: bool = False,
    seed: int = 0,
) -> CaseSet:
    """Items of one split of a space; what is near them is found in the space itself, among its training items.

    `target` is the metadata column with the hoped-for answer; `with_words` reads the words of each item for its
    question. Behavioral consistency is measured where the space has users. Raises UserError for an unknown split or
    column, and for fewer than five items.
    """
    space = entry.space
    reads_words = with_words and bool(entry.term_reader.terms)
    rows = _choose(entry, split, target, count, seed)
    known = _nearest_known(space, rows)
    vectors = _truth_vectors(entry, encoder, rows, own_texts=target == TEXT_COLUMN)
    taken = set(rows.evaluated)
    rest = [row for row in rows.truths if row not in taken]
    # The evaluated texts stand first, so that text i of the pool is the right one for case i.
    everything = np.stack([vectors[row] for row in [*rows.evaluated, *rest]])
    sample = np.sort(np.random.default_rng(seed).permutation(rows.train)[:5000])
    is_text = target == TEXT_COLUMN
    asked = question_about_x(question)
    return CaseSet(
        name=space.name if is_text else f"{space.name} ({target})",
        question=asked,
        beginning=beginning_of(asked),
        split=split,
        trained_on=split in (TRAIN, MET),
        ids=[space.ids[row] for row in rows.evaluated],
        labels=[space.labels[row] for row in rows.evaluated],
        inputs=entry.alignment(space.vectors[rows.evaluated])[:, None],
        mean_input=entry.alignment(space.vectors[sample]).mean(0),
        words=entry.prompt_words(space.vectors[rows.evaluated]) if reads_words else (),
        vocabulary=entry.term_reader if entry.term_reader.terms else None,
        own=space.vectors[rows.evaluated][:, None],
        truths=[(rows.truths[row],) for row in rows.evaluated],
        contexts=[(rows.contexts[row],) for row in rows.evaluated],
        neighbors=[(tuple(_known(space, rows, row, score) for row, score in found),) for found in known],
        nearest_truths=[rows.truths[found[0][0]] for found in known],
        nearest_by="cosine in the space, among its training items",
        training_texts=[rows.truths[row] for row in rows.train] if is_text else [],
        baselines=ENTITY_BASELINES,
        scorers=ENTITY_SCORERS,
        context_chars=2 * SHOWN,
        truth=everything[: len(rows.evaluated)],
        mean_truth=np.mean([vectors[row] for row in rows.train], axis=0),
        pool=everything if is_text else None,
        attributes=attributes_of(space, rows.evaluated),
        ranking=_behavior(entry, rows, vectors) if is_text else None,
    )


def _known(space: Space, rows: _EvaluatedRows, row: int, score: float) -> TrainingExample:
    return TrainingExample(label=space.labels[row], text=opening(rows.contexts[row], SHOWN), similarity=score)
