"""Clauses: the parts of an answer that can be true or false each, and how far the vector supports every one of them.

Four signs, none of which asks a model whether it is right: how much likelier the vector made the clause than the mean
vector would have; how probable the lexicon holds its content words; in how many of the other drafts they come; what
the round trip loses without it. A logistic regression makes one probability of them, fitted on held-out items, where
the true text says whether a clause holds.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from vecspeak.encoders.text import Encoder
from vecspeak.engines import Engine
from vecspeak.engines.base import TokenNats, TokenScorer
from vecspeak.errors import UserError
from vecspeak.evidence import Clause, ClauseSigns, ReadTerm
from vecspeak.model.prompt import Prompt
from vecspeak.stats import fit_logistic, sigmoid
from vecspeak.tasks.prose import ends_sentence
from vecspeak.unread import read_words

_OPENERS = (
    "and|but|or|so|who|whom|whose|which|that|while|when|where|after|before|because|as|then|until|with|in order to"
)  # fmt: skip
_BREAK = re.compile(rf"(?<=[.!?;:])[\"'”’)]*\s+|,\s+|\s+(?=(?:{_OPENERS})\b)", re.IGNORECASE)
Encode = Callable[[list[str]], np.ndarray]
"""[S, T] unit vectors of texts."""
_FEWEST_WORDS = 3
"""Words that a clause has at least, where its sentence has as many."""
WEIGHTS = Path(__file__).parent / "assets" / "clauses.json"


def split_clauses(text: str) -> list[str]:
    """The clauses of a text in order, which joined give the text again.

    Sentences are cut before conjunctions and relative pronouns and after commas, where both parts have three words.

    >>> split_clauses("A man robs a bank, and his wife leaves him. He dies.")
    ['A man robs a bank, ', 'and his wife leaves him. ', 'He dies.']
    """
    cuts = [match.end() for match in _BREAK.finditer(text)]
    found, start = list[str](), 0
    for cut in cuts:
        piece = text[start:cut]
        rest = re.split(r"(?<=[.!?])\s", text[cut:], maxsplit=1)[0]
        if ends_sentence(piece) or min(len(piece.split()), len(rest.split())) >= _FEWEST_WORDS:
            found.append(piece)
            start = cut
    return [*found, text[start:]] if text[start:].strip() else found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoundText:
    """An answer whose clauses are to be weighed."""

    text: str
    drafts: tuple[str, ...]
    """Other answers that were met."""
    prompt: Prompt
    """With the vectors."""
    mean_prompt: Prompt
    """The same question with the mean vector in every slot, and no words."""
    target_T: np.ndarray
    """[T] the vector that the answer should lie at; the mean over slots of unit vectors."""
    terms: Callable[[Sequence[str]], list[list[ReadTerm]]]
    """For each text the terms that stand in it, with their probabilities."""
    own: Collection[str] = ()
    """Words of what the points are called, in lower case."""
    nats: TokenNats | None = None
    """What the text's tokens cost after its own prompt, where that is known from when they were drawn."""


def weigh(
    found: Sequence[FoundText], engine: Engine, encoder: Encoder, model: "ClauseModel | None"
) -> list[tuple[Clause, ...]]:
    """The clauses of each answer, each with the probability that it holds; None where no model is there.

    Many answers are read in fewer passes of the models than one after another.
    """
    split = [split_clauses(one.text) for one in found]
    nats = _nats_of_clauses(found, split, engine)
    losses = losses_without(split, encoder.encode, [one.target_T for one in found])
    weighed = []
    for one, clauses, (own, mean), lost in zip(found, split, nats, losses, strict=True):
        terms = one.terms(clauses)
        drafts = [{term.term for term in some} for some in one.terms(one.drafts)] if one.drafts else []
        agreement = [_agreement(some, drafts) for some in terms]
        signs = signs_of(terms, nats_own=own, nats_mean=mean, agreement=agreement, losses=lost)
        read = read_words(clauses, one.terms, one.own)
        shares = model.probabilities(signs).tolist() if model else [None] * len(signs)
        weighed.append(
            tuple(
                Clause(
                    text=text,
                    probability=share,
                    terms=tuple(term.term for term in some),
                    unread=words.unread,
                    signs=sign,
                )
                for text, share, some, words, sign in zip(clauses, shares, terms, read, signs, strict=True)
            )
        )
    return weighed


def _nats_of_clauses(
    found: Sequence[FoundText], split: Sequence[Sequence[str]], engine: Engine
) -> list[tuple[list[float | None], list[float | None]]]:
    """For each text the mean nats of its clauses, after its own prompt and after the mean vector's."""
    if not isinstance(engine, TokenScorer):
        return [([None] * len(clauses), [None] * len(clauses)) for clauses in split]
    unread = [one for one in found if one.nats is None]
    prompts = [*(one.mean_prompt for one in found), *(one.prompt for one in unread)]
    read = engine.token_nats(prompts, [one.text for one in (*found, *unread)])
    means, rest = read[: len(found)], iter(read[len(found) :])
    owns = [one.nats or next(rest) for one in found]
    own, mean = (
        [nats_by_clause(clauses, one.starts, one.nats) for clauses, one in zip(split, some, strict=True)]
        for some in (owns, means)
    )
    return list(zip(own, mean, strict=True))


def _agreement(terms: Sequence[ReadTerm], drafts: Sequence[Collection[str]]) -> float | None:
    """Mean share of the drafts in which a clause's terms come; None where there are no terms or no drafts."""
    if not terms or not drafts:
        return None
    return float(np.mean([[term.term in draft for draft in drafts] for term in terms]))


def signs_of(
    terms: Sequence[Sequence[ReadTerm]],
    *,
    nats_own: Sequence[float | None],
    nats_mean: Sequence[float | None],
    agreement: Sequence[float | None],
    losses: Sequence[float],
) -> list[ClauseSigns]:
    """The signs of each of C clauses, from what was measured of each; all sequences are as long."""
    found = []
    for some, own, mean, agreed, loss in zip(terms, nats_own, nats_mean, agreement, losses, strict=True):
        shares = [term.probability for term in some]
        lifts = [np.log(max(term.probability, 1e-4) / max(term.rate, 1e-4)) for term in some]
        found.append(
            ClauseSigns(
                lift=None if own is None or mean is None else mean - own,
                probability=float(np.mean(shares)) if some else None,
                log_lift=float(np.mean(lifts)) if some else None,
                least=min(shares, default=None),
                agreement=agreed,
                loss=loss,
            )
        )
    return found


def nats_by_clause(clauses: Sequence[str], starts: Sequence[int], nats: np.ndarray) -> list[float | None]:
    """Mean nats of the tokens that begin in each clause; None for a clause in which none begins.

    The space before a word belongs to its token.
    """
    ends, text = np.cumsum([len(clause) for clause in clauses]), "".join(clauses)
    letters = [start + text[start : start + 1].isspace() for start in starts]
    place = np.searchsorted(ends, np.array(letters, int), side="right").clip(max=len(clauses) - 1)
    return [float(nats[place == row].mean()) if (place == row).any() else None for row in range(len(clauses))]


def losses_without(
    split: Sequence[Sequence[str]], encode: Encode, targets: Sequence[np.ndarray]
) -> list[list[float]]:
    """For each text what its cosine with its target [T] loses without each clause; of a single clause its whole cosine.

    `split` holds the clauses of each text.
    """
    texts = [_without_each(clauses) for clauses in split]
    flat = [text for some in texts for text in some]
    vectors = iter(encode(flat) if flat else ())
    found = []
    for some, target_T in zip(texts, targets, strict=True):
        cosines = [float(next(vectors) @ target_T) for _ in some]
        found.append(cosines if len(cosines) == 1 else [cosines[0] - one for one in cosines[1:]])
    return found


def _without_each(clauses: Sequence[str]) -> list[str]:
    """The whole text, then the text without each of its clauses; the text alone where it has one, nothing for none."""
    whole = ["".join(clauses)] if clauses else []
    if len(clauses) < 2:
        return whole
    return whole + ["".join(clauses[:row]) + "".join(clauses[row + 1 :]) for row in range(len(clauses))]


class ClauseModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The logistic regression from signs to the probability that a clause holds, and what it was fitted on."""

    format: int = 1
    signs: tuple[str, ...]
    """Names of the signs, in the order of the numbers."""
    means: tuple[float, ...]
    """Where a sign is missing its mean stands for it."""
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    origin: str
    """What items it was fitted on."""
    num_clauses: int

    def probabilities(self, signs: Sequence[ClauseSigns]) -> np.ndarray:
        """[C] probability that each clause holds of the true text."""
        if not signs:
            return np.empty(0)
        x = _standardized(_values(signs), np.array(self.means), np.array(self.scales))
        return sigmoid(x @ np.array(self.weights) + self.intercept)


def _values(signs: Sequence[ClauseSigns]) -> np.ndarray:
    """[C, F] the signs as numbers, NaN where one is missing."""
    return np.array([astuple(one) for one in signs], float)


def _standardized(values: np.ndarray, means: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The values in standard deviations from their means; the mean stands for what is missing."""
    return np.nan_to_num((values - means) / scales)


def fit_clause_model(signs: Sequence[ClauseSigns], holds: Sequence[bool], origin: str) -> ClauseModel:
    """Fit on clauses of held-out items. Raises UserError where all hold, or none."""
    y = np.array(holds, float)
    if not 0 < y.sum() < len(y):
        raise UserError("the clauses to fit on all hold, or none does", "give answers about more items")
    values = _values(signs)
    names = tuple(field.name for field in fields(ClauseSigns))
    # A sign that nothing has, such as agreement of a single draft, has no say.
    known = ~np.isnan(values).all(0)
    means = np.where(known, np.nanmean(np.where(known, values, 0), axis=0), 0)
    scales = np.where(known, np.nanstd(np.where(known, values, 0), axis=0), 1)
    scales = np.where(scales > 1e-9, scales, 1)
    x = _standardized(values, means, scales)
    found = fit_logistic(np.column_stack([x, np.ones(len(x))]), y, np.ones(len(y)), penalty=1.0)
    return ClauseModel(
        signs=names, means=tuple(means.tolist()), scales=tuple(scales.tolist()), weights=tuple(found[:-1].tolist()),
        intercept=float(found[-1]), origin=origin, num_clauses=len(y),
    )  # fmt: skip


@cache
def shipped_clause_model() -> ClauseModel | None:
    """The model that comes with the package; None where it has none."""
    return None if not WEIGHTS.exists() else msgspec.json.decode(WEIGHTS.read_bytes(), type=ClauseModel)
