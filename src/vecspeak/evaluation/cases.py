"""Cases: evaluated entities with the vector that is read, the truth, and what every baseline needs.

Two ways in: the items of a bundle's space, and the texts of a training recipe. Entities that something was fitted on
are refused unless their split is asked for by its name. Knows no model and computes no score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.alignment import unit
from vecspeak.bundles import SpaceEntry
from vecspeak.embedders.semantic import Encodes
from vecspeak.errors import UserError
from vecspeak.evaluation.attributes import Attributes, attributes_of
from vecspeak.evaluation.behavior import Predictor, fit_predictor
from vecspeak.evaluation.report import Known
from vecspeak.prompts import check_question, with_default_slots
from vecspeak.spaces import Space
from vecspeak.spaces.formats import TEXT_COLUMN
from vecspeak.spaces.neighbours import nearest
from vecspeak.spaces.splits import HOLDOUT, MET
from vecspeak.tasks.texts import opening

NUM_NEAREST = 10
"""Nearest training entities that are kept for each case."""
SHOWN = 420
"""Letters of a text that stand for it where it is a target, a context or an answer: about 100 tokens."""
TRAIN = "train"
"""Name of the split that everything was fitted on."""
FEWEST = 5
"""So many entities are the least that is evaluated."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Behavior:
    """What behavioral consistency is measured with."""

    predictor: Predictor
    """From text vectors to the space, fitted on training items alone."""
    vectors: np.ndarray
    """[N, D] the cases' own vectors in the space."""
    others: np.ndarray
    """[U, D] the users that rank them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cases:
    """N entities, asked one question."""

    name: str
    question: str
    split: str
    trained_on: bool
    """Whether something was fitted on these entities."""
    ids: list[str]
    labels: list[str]
    texts: list[str]
    """What is true of each: the answer that is hoped for."""
    contexts: list[str]
    """The text of each that a language model is given where it may read the truth."""
    read: np.ndarray
    """[N, T] the vectors that the reader sees."""
    mean_read: np.ndarray
    """[T] their mean over the training entities."""
    truth: np.ndarray
    """[N, T] unit vectors of `texts`."""
    mean_truth: np.ndarray
    """[T] mean vector of the training entities' truths."""
    pool: np.ndarray | None
    """[P, T] unit vectors to find the right one among, the cases' own first; None where texts are shared."""
    nearest: list[tuple[Known, ...]]
    """Training entities near each, nearest first, with their contexts."""
    nearest_truths: list[str]
    """The truth of the nearest training entity: the answer of a plain search."""
    nearest_by: str
    training_texts: list[str]
    """Truths of the training entities, from which an answer might be copied."""
    attributes: Attributes | None = None
    behavior: Behavior | None = None

    @property
    def known_texts(self) -> int:
        """How many have word for word the text of a training entity: they are not unseen, whatever their split."""
        known = {" ".join(text.casefold().split()) for text in self.training_texts}
        return sum(" ".join(text.casefold().split()) in known for text in self.texts)

    @property
    def targets(self) -> list[str]:
        """What the loss is measured on: the truth, or its opening where it is long."""
        return [opening(text, SHOWN) for text in self.texts]


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
        known = ", ".join([*entry.splits, f"{TRAIN} (nothing there is held out)"])
        raise UserError(
            f"no split {split!r} in the space {entry.space.name!r}; it has {known}", "use --split"
        )
    wanted = entry.splits[split]
    chosen = [row for row in usable if entry.space.ids[row] in wanted]
    if len(chosen) < FEWEST or len(train) < FEWEST:
        raise UserError(
            f"the split {split!r} of {entry.space.name!r} has {len(chosen)} items with a text and "
            f"{len(train)} to train on; at least {FEWEST} of each are needed",
            "fit with --text and a larger --holdout, as 0.2, or give texts to more items",
        )
    return chosen, train


def _told(values: Sequence[object]) -> list[str | None]:
    """A metadata column as texts: lists are joined, what is blank is None."""
    joined = [", ".join(map(str, v)) if isinstance(v, list) else v for v in values]
    return [str(v).strip() or None if v is not None else None for v in joined]


def column_texts(space: Space, column: str) -> list[str | None]:
    """One text an item from a metadata column. Raises UserError when the space has no such column."""
    if column not in space.metadata.column_names:
        known = ", ".join(space.metadata.column_names) or "none"
        raise UserError(
            f"the space {space.name!r} has no column {column!r} to compare answers with; it has {known}",
            "fit it from a table with --text, or name a column with --target",
        )
    return _told(space.metadata.column(column).to_pylist())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """Which items are evaluated, which are known, and what is true of all."""

    chosen: list[int]
    train: list[int]
    truths: Mapping[int, str]
    contexts: Mapping[int, str]


def _nearest_known(space: Space, rows: _Rows) -> list[list[tuple[int, float]]]:
    """For each chosen row its nearest training rows with their cosine, itself left out."""
    table = space.take(rows.train)
    place = {row: index for index, row in enumerate(rows.train)}
    own = [[place[row]] if row in place else [] for row in rows.chosen]
    found = nearest(table, space.vectors[rows.chosen], NUM_NEAREST, exclude=own)
    return [
        [(rows.train[i], float(s)) for i, s in zip(indices, scores, strict=True)]
        for indices, scores in zip(found.indices.tolist(), found.scores.tolist(), strict=True)
    ]


def _truth_vectors(
    entry: SpaceEntry, encoder: Encodes, rows: _Rows, own_texts: bool
) -> dict[int, np.ndarray]:
    """Unit vectors of the truths; a space that the encoder made of those very texts is not encoded again."""
    wanted = list(rows.truths)
    if own_texts and entry.space.encoder == encoder.name and entry.space.dim == encoder.dim:
        return dict(zip(wanted, unit(entry.space.vectors[wanted]), strict=True))
    vectors = encoder.encode([rows.truths[row] for row in wanted], progress=True)
    return dict(zip(wanted, vectors, strict=True))


def _behavior(entry: SpaceEntry, rows: _Rows, vectors: Mapping[int, np.ndarray]) -> Behavior | None:
    if entry.users is None:
        return None
    texts = np.stack([vectors[row] for row in rows.train])
    predictor = fit_predictor(texts, entry.space.vectors[rows.train])
    return Behavior(predictor=predictor, vectors=entry.space.vectors[rows.chosen], others=entry.users.vectors)


def check_space(entry: SpaceEntry, split: str, target: str, question: str) -> None:
    """Raise UserError for what `space_cases` would refuse, before any text is encoded."""
    question_about_x(question)
    _choose(entry, split, target, count=FEWEST, seed=0)


def _choose(entry: SpaceEntry, split: str, target: str, count: int, seed: int) -> _Rows:
    truths = column_texts(entry.space, target)
    contexts = column_texts(entry.space, TEXT_COLUMN) if target != TEXT_COLUMN else truths
    usable = [row for row in range(entry.space.num_items) if truths[row] and contexts[row]]
    chosen, train = choose_rows(entry, split, usable)
    chosen = np.random.default_rng(seed).permutation(chosen)[:count].tolist()
    return _Rows(
        chosen=chosen,
        train=train,
        truths={row: str(truths[row]) for row in usable},
        contexts={row: str(contexts[row]) for row in usable},
    )


def space_cases(
    entry: SpaceEntry,
    encoder: Encodes,
    *,
    question: str = "Describe {x}.",
    split: str = HOLDOUT,
    target: str = TEXT_COLUMN,
    count: int = 500,
    seed: int = 0,
) -> Cases:
    """Items of one split of a space; what is near them is found in the space itself, among its training items.

    `target` is the metadata column with the hoped-for answer. Behavioral consistency is measured where the space
    has users. Raises UserError for an unknown split or column, and for fewer than five items.
    """
    space = entry.space
    rows = _choose(entry, split, target, count, seed)
    known = _nearest_known(space, rows)
    vectors = _truth_vectors(entry, encoder, rows, own_texts=target == TEXT_COLUMN)
    taken = set(rows.chosen)
    rest = [row for row in rows.truths if row not in taken]
    everything = np.stack([vectors[row] for row in [*rows.chosen, *rest]])
    sample = np.sort(np.random.default_rng(seed).permutation(rows.train)[:5000])
    return Cases(
        name=space.name if target == TEXT_COLUMN else f"{space.name} ({target})",
        question=question_about_x(question),
        split=split,
        trained_on=split in (TRAIN, MET),
        ids=[space.ids[row] for row in rows.chosen],
        labels=[space.labels[row] for row in rows.chosen],
        texts=[rows.truths[row] for row in rows.chosen],
        contexts=[rows.contexts[row] for row in rows.chosen],
        read=entry.alignment(space.vectors[rows.chosen]),
        mean_read=entry.alignment(space.vectors[sample]).mean(0),
        truth=everything[: len(rows.chosen)],
        mean_truth=np.mean([vectors[row] for row in rows.train], axis=0),
        pool=everything if target == TEXT_COLUMN else None,
        nearest=[tuple(_known(space, rows, row, score) for row, score in found) for found in known],
        nearest_truths=[rows.truths[found[0][0]] for found in known],
        nearest_by="cosine in the space, among its training items",
        training_texts=[rows.truths[row] for row in rows.train] if target == TEXT_COLUMN else [],
        attributes=attributes_of(space, rows.chosen),
        behavior=_behavior(entry, rows, vectors) if target == TEXT_COLUMN else None,
    )


def _known(space: Space, rows: _Rows, row: int, score: float) -> Known:
    return Known(label=space.labels[row], text=opening(rows.contexts[row], SHOWN), similarity=score)
