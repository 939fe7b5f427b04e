"""Whole texts: which of many candidates a vector is of, and which words of a text that is no candidate can be read.

With pairs alone a candidate is scored by the words that the map reads: the cosine of how far each word lies above its
base rate, read from the vector, with the same of the words that the candidate has. With the encoder each candidate is
embedded, and protected as the vectors are; where a protection is drawn in secret, a ridge map from the embeddings of
the pairs' texts to their protected vectors stands for it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.encoders.text import Encoder
from vecspeak.explore.leaks.attacks import MAP, PairSplit, TargetReading
from vecspeak.explore.leaks.findings import ENCODER, LeakReading
from vecspeak.explore.leaks.judging import EMPTY, TestedReading, compared
from vecspeak.explore.leaks.outcomes import Outcome
from vecspeak.explore.leaks.protections import Protection
from vecspeak.explore.leaks.strings import WORDS
from vecspeak.explore.leaks.targets import FEWEST, LeakTarget, NotMeasured
from vecspeak.lexicon.readout import unit_rows
from vecspeak.model.alignment import Ridge, Rows
from vecspeak.spaces import Space
from vecspeak.tables.cells import to_python
from vecspeak.tables.columns import TEXT_COLUMN

_CANDIDATES = 1000
_COMPARED, _SAME = 48, 0.98
"""Texts that are embedded to see whether an encoder made the vectors, and mean cosine from which on it did."""
_SURE = 0.5
"""Probability from which on a word counts as read."""
_PENALTIES = 10.0 ** np.arange(-1, 6.5, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEncoder:
    """An encoder that was shown to make the vectors of a space."""

    name: str
    cosine: float
    """Mean cosine of vectors with what it makes of their texts."""
    num_compared: int

    @property
    def is_same(self) -> bool:
        """Whether it gives the vectors back."""
        return self.cosine >= _SAME

    @classmethod
    def of(cls, space: Space, encoder: Encoder) -> "KnownEncoder":
        """Compare vectors of a space, which may be cut to their first numbers, with those of some of its texts."""
        texts = (
            to_python(space.metadata.column(TEXT_COLUMN), TEXT_COLUMN)
            if TEXT_COLUMN in space.metadata.column_names
            else []
        )
        rows = [row for row, text in enumerate(texts) if text and text.strip()]
        rows = rows[:: max(1, len(rows) // _COMPARED)][:_COMPARED]
        if not rows or space.dim > encoder.dim:
            return cls(name=encoder.name, cosine=0.0, num_compared=0)
        made = encoder.encode([texts[row] for row in rows])[:, : space.dim]
        cosines = (unit_rows(made) * unit_rows(space.vectors[rows].astype(np.float64))).sum(1)
        return cls(name=encoder.name, cosine=float(cosines.mean()), num_compared=len(rows))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextPairs:
    """The candidates, and how well the attacker knows them."""

    words: LeakTarget | None
    """Words of the texts; None where there are none."""
    candidates: np.ndarray
    """[C] places among the held-out items whose texts are the candidates."""
    embeddings: np.ndarray
    """[N, D] what the encoder gives for the items' texts: their vectors, for it was shown to give them."""
    encoder: KnownEncoder | None
    missing: tuple[NotMeasured, ...] = ()

    @classmethod
    def of(
        cls, given: Space, split: PairSplit, texts: Sequence[LeakTarget], encoder: KnownEncoder | None
    ) -> "TextPairs":
        """The held-out items that have words, 1,000 at most."""
        words = next((one for one in texts if one.kind == WORDS), None)
        having = np.empty(0, int) if words is None else np.flatnonzero(words.known[split.held_out])
        missing = []
        enough = len(having) >= 2 * FEWEST
        if not enough:
            missing.append(NotMeasured(name="whole texts", reason="too few items have a text"))
        elif encoder is None:
            missing.append(
                NotMeasured(name="whole texts, with the encoder", reason="no encoder of the space is at hand")
            )
        elif not encoder.is_same:
            reason = f"{encoder.name} makes other vectors of the texts (mean cosine {encoder.cosine:.3f})"
            missing.append(NotMeasured(name="whole texts, with the encoder", reason=reason))
        return cls(
            words=words if enough else None,
            candidates=having[:_CANDIDATES],
            embeddings=given.vectors,
            encoder=encoder if enough and encoder is not None and encoder.is_same else None,
            missing=tuple(missing),
        )


def text_readings(
    whole: TextPairs,
    vectors: np.ndarray,
    split: PairSplit,
    of_words: Sequence[TargetReading],
    draw: np.random.Generator,
    form: Protection | None,
) -> Iterator[TestedReading]:
    """What is read of whole texts by words, and by the encoder where the attacker has it."""
    if whole.words is None:
        return
    for one in of_words:
        if one.attack == MAP:  # whose probabilities are calibrated
            yield _ranked("", MAP, _by_words(whole, one, split), draw)
            yield _words_read(whole.words, one, split, draw)
    if whole.encoder is not None:
        scores = _by_encoder(whole, vectors, split, draw, form)
        yield _ranked("with the encoder", ENCODER, scores, draw)


def _by_words(whole: TextPairs, reading: TargetReading, split: PairSplit) -> np.ndarray:
    """[C, C] how well each candidate (column) fits what was read of each of their vectors (row)."""
    assert whole.words is not None
    has = whole.words.matrix[split.held_out[whole.candidates]][:, reading.columns].toarray()
    rates = (np.asarray(whole.words.matrix[split.pairs][:, reading.columns].sum(0)).ravel() + 0.5) / (
        len(split.pairs) + 1
    )
    above = (has - rates) / np.sqrt(rates * (1 - rates))
    return np.asarray(unit_rows(reading.scores[whole.candidates]) @ unit_rows(above).T)


def _by_encoder(
    whole: TextPairs,
    vectors: np.ndarray,
    split: PairSplit,
    draw: np.random.Generator,
    form: Protection | None,
) -> np.ndarray:
    rows = split.held_out[whole.candidates]
    if form is None:
        embedded = whole.embeddings[rows]
    elif not form.is_secret:
        embedded = form.apply(whole.embeddings, draw)[rows]
    elif vectors.shape[1] == whole.embeddings.shape[1]:
        embedded = whole.embeddings[rows]  # noise: nothing that is drawn anew each time can be learned
    else:
        ridge = Ridge(Rows(inputs=whole.embeddings[split.pairs], targets=vectors[split.pairs]))
        weights = ridge.weights(float(_PENALTIES[int(ridge.leave_one_out(_PENALTIES).argmin())]))
        embedded = (
            whole.embeddings[rows] - ridge.sums.center
        ) / ridge.sums.spread @ weights + ridge.sums.offset
    return np.asarray(unit_rows(vectors[rows]) @ unit_rows(embedded).T)


def _ranked(name: str, attack: str, scores: np.ndarray, draw: np.random.Generator) -> TestedReading:
    """Whether the true text is the first of all candidates; of equal ones none is."""
    count = len(scores)
    ranks = _ranks(scores, np.arange(count))
    shuffled = _ranks(scores, np.roll(np.arange(count), 1)[draw.permutation(count)])
    first = Outcome.mean((ranks == 1).astype(float))
    made = _unfilled(
        name,
        attack,
        f"share whose text is the first of {count:,}",
        f"median rank {float(np.median(ranks)):g} of {count:,}, in the first ten {(ranks <= 10).mean():.0%}",
    )
    return compared(
        made, first, Outcome.constant(1 / count, count), Outcome.mean((shuffled == 1).astype(float))
    )


def _ranks(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    own = scores[np.arange(len(scores)), truth]
    return np.asarray((scores >= own[:, None]).sum(1))  # itself counts: the first has rank 1


def _words_read(
    words: LeakTarget, reading: TargetReading, split: PairSplit, draw: np.random.Generator
) -> TestedReading:
    """Share of the content words of a text that are read with a probability of one half or more."""
    rows = np.flatnonzero(words.known[split.held_out])
    has = words.matrix[split.held_out[rows]]
    counts = np.diff(has.indptr)
    inside = has[:, reading.columns].toarray() > 0
    said = reading.probabilities[rows] >= _SURE
    rates = np.asarray(words.matrix[split.pairs][:, reading.columns].mean(0)).ravel()
    always = np.broadcast_to(rates >= _SURE, inside.shape)
    other = np.empty(len(rows), int)
    order = draw.permutation(len(rows))
    other[order] = np.roll(order, 1)
    true = (said & inside).sum()
    precision = (
        f"{true / said.sum():.0%} of the words read are in the text" if said.any() else "no word is read"
    )
    made = _unfilled(
        "content words",
        reading.attack,
        "share of the words of a text that are read with probability 0.5 or more",
        precision,
    )
    own, base, shuffled = (
        Outcome.mean((one & inside).sum(1) / counts) for one in (said, always, said[other])
    )
    return compared(made, own, base, shuffled)


def _unfilled(name: str, attack: str, measure: str, detail: str) -> LeakReading:
    return LeakReading(kind="whole texts", name=name, attack=attack, measure=measure, detail=detail, **EMPTY)
