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
from vecspeak.engines.base import TokenScorer
from vecspeak.errors import UserError
from vecspeak.evidence import Clause, ClauseSigns, ReadTerm
from vecspeak.model.prompt import Prompt
from vecspeak.stats import fit_logistic, sigmoid
from vecspeak.tasks.prose import ends_sentence

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


def weigh(
    found: FoundText, engine: Engine, encoder: Encoder, model: "ClauseModel | None"
) -> tuple[Clause, ...]:
    """The clauses of an answer, each with the probability that it holds; None where no model is there."""
    clauses = split_clauses(found.text)
    if not clauses:
        return ()
    nats_own = nats_mean = list[float | None]([None] * len(clauses))
    if isinstance(engine, TokenScorer):
        own, mean = engine.token_nats([found.prompt, found.mean_prompt], [found.text, found.text])
        nats_own, nats_mean = (nats_by_clause(clauses, one.starts, one.nats) for one in (own, mean))
    terms = found.terms(clauses)
    drafts = [{term.term for term in some} for some in found.terms(found.drafts)] if found.drafts else []
    signs = signs_of(
        terms,
        nats_own=nats_own,
        nats_mean=nats_mean,
        agreement=[_agreement(some, drafts) for some in terms],
        losses=losses_without(clauses, encoder.encode, found.target_T),
    )
    shares = model.probabilities(signs).tolist() if model else [None] * len(signs)
    return tuple(
        Clause(text=text, probability=share, terms=tuple(term.term for term in some), signs=sign)
        for text, share, some, sign in zip(clauses, shares, terms, signs, strict=True)
    )


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


def losses_without(clauses: Sequence[str], encode: Encode, target_T: np.ndarray) -> list[float]:
    """What the cosine with the target loses without each clause; of a single clause its whole cosine."""
    if len(clauses) == 1:
        return [float(encode([clauses[0]])[0] @ target_T)]
    without = ["".join(clauses[:row]) + "".join(clauses[row + 1 :]) for row in range(len(clauses))]
    cosines = encode(["".join(clauses), *without]) @ target_T
    return [float(cosines[0] - one) for one in cosines[1:]]


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
