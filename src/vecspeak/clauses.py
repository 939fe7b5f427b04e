"""Clauses: the parts of an answer that can be true or false each, and how far the vector supports every one of them.

Four signs, none of which asks a model whether it is right: how much likelier the vector made the clause than the mean
vector would have; how probable the lexicon holds its content words; in how many of the other drafts they come; what
the round trip loses without it. A logistic regression makes one probability of them, fitted on held-out items, where
the true text says whether a clause holds.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from vecspeak.errors import UserError
from vecspeak.lexicon.lexicon import ReadTerm
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
_WEIGHTS = Path(__file__).parent / "assets" / "clauses.json"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseSigns:
    """What speaks for a clause; NaN where a sign is not to be had."""

    lift: float
    """Nats a token by which the vector made it likelier than the mean vector would have."""
    probability: float
    """Mean probability that the lexicon gives its terms."""
    log_lift: float
    """Mean of log(probability / rate) of its terms."""
    least: float
    """Least probability of a term."""
    agreement: float
    """Mean share of the drafts in which its terms come."""
    loss: float
    """What the round trip of the answer loses without it."""


def signs_of(
    clauses: Sequence[str],
    terms: Sequence[Sequence[ReadTerm]],
    *,
    nats_own: Sequence[float],
    nats_mean: Sequence[float],
    agreement: Sequence[float],
    losses: Sequence[float],
) -> list[ClauseSigns]:
    """The signs of each of C clauses, from what was measured of each; all sequences are as long."""
    found = []
    for row in range(len(clauses)):
        shares = np.array([term.probability for term in terms[row]])
        rates = np.array([term.rate for term in terms[row]])
        has_terms = len(shares) > 0
        lifts = (
            np.log(np.maximum(shares, 1e-4) / np.maximum(rates, 1e-4)) if has_terms else np.array([np.nan])
        )
        found.append(
            ClauseSigns(
                lift=float(nats_mean[row] - nats_own[row]),
                probability=float(shares.mean()) if has_terms else np.nan,
                log_lift=float(lifts.mean()),
                least=float(shares.min()) if has_terms else np.nan,
                agreement=float(agreement[row]),
                loss=float(losses[row]),
            )
        )
    return found


def nats_by_clause(clauses: Sequence[str], starts: Sequence[int], nats: np.ndarray) -> list[float]:
    """Mean nats of the tokens that begin in each clause; NaN for a clause in which none begins.

    The space before a word belongs to its token.
    """
    ends, text = np.cumsum([len(clause) for clause in clauses]), "".join(clauses)
    letters = [start + (text[start : start + 1].isspace()) for start in starts]
    place = np.searchsorted(ends, np.array(letters, int), side="right").clip(max=len(clauses) - 1)
    return [
        float(nats[place == row].mean()) if (place == row).any() else np.nan for row in range(len(clauses))
    ]


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
        return sigmoid(self._standardized(signs) @ np.array(self.weights) + self.intercept)

    def _standardized(self, signs: Sequence[ClauseSigns]) -> np.ndarray:
        values = np.array([astuple(one) for one in signs], float)
        return np.nan_to_num((values - np.array(self.means)) / np.array(self.scales))


def fit_clause_model(signs: Sequence[ClauseSigns], holds: Sequence[bool], origin: str) -> ClauseModel:
    """Fit on clauses of held-out items. Raises UserError where all hold, or none."""
    y = np.array(holds, float)
    if not 0 < y.sum() < len(y):
        raise UserError("the clauses to fit on all hold, or none does", "give answers about more items")
    values = np.array([astuple(one) for one in signs], float)
    names = tuple(field.name for field in fields(ClauseSigns))
    # A sign that nothing has, such as agreement of a single draft, has no say.
    known = ~np.isnan(values).all(0)
    means = np.where(known, np.nanmean(np.where(known, values, 0), axis=0), 0)
    scales = np.where(known, np.nanstd(np.where(known, values, 0), axis=0), 1)
    scales = np.where(scales > 1e-9, scales, 1)
    x = np.nan_to_num((values - means) / scales)
    found = fit_logistic(np.column_stack([x, np.ones(len(x))]), y, np.ones(len(y)), penalty=1.0)
    return ClauseModel(
        signs=names, means=tuple(means.tolist()), scales=tuple(scales.tolist()), weights=tuple(found[:-1].tolist()),
        intercept=float(found[-1]), origin=origin, num_clauses=len(y),
    )  # fmt: skip


@cache
def shipped_clause_model() -> ClauseModel:
    """The model that comes with the package."""
    return msgspec.json.decode(_WEIGHTS.read_bytes(), type=ClauseModel)
