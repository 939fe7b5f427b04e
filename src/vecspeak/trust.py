"""Trust: whether what a call found can be relied upon, and why not, by one rule for every place that says so.

A person sees figures, bars and marks; a program that calls a server, or an agent, reads one yes or no and a sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

from vecspeak.evidence import Answer
from vecspeak.explore.claims import CheckedClaims
from vecspeak.explore.compare import Difference
from vecspeak.explore.regions import Description
from vecspeak.explore.why import Why


@dataclass(frozen=True, slots=True)
class Trust:
    """Whether nothing speaks against a result, and what does.

    >>> Trust(("it lies outside the data",)).reason
    'it lies outside the data'
    """

    reasons: tuple[str, ...] = ()
    """One sentence for each reason not to rely on it; empty where none was found."""

    @property
    def trusted(self) -> bool:
        """Whether none was found."""
        return not self.reasons

    @property
    def reason(self) -> str:
        """All of them in one line."""
        return "; ".join(self.reasons) or "nothing that was checked speaks against it"


def trust_of(found: Any, *more: str) -> Trust:
    """Judge a result of `VecSpeak`; `more` are reasons that the caller knows, such as the caution of its space."""
    return Trust(tuple(dict.fromkeys(one for one in (*more, *_reasons(found)) if one)))


def trust_of_answer(answer: Answer) -> Trust:
    """Judge an answer, and name what may be invented in it."""
    return trust_of(answer, answer.doubt_of_names)


def evidence_of(answer: Answer, notes: Sequence[str] = ()) -> dict[str, Any]:
    """What stands beside an answer: whether to trust it and why, its clauses, and the evidence of each point."""
    found = answer.to_dict()
    trust = trust_of_answer(answer)
    return {
        "trusted": trust.trusted,
        "answered": answer.is_answered,
        "reasons": list(trust.reasons),
        "points": found["trust"],
        "clauses": [{**one, "unread": list(one["unread"])} for one in found["clauses"]],
        "flags": found["flags"],
        "direct": found["direct"],
        "notes": list(notes),
    }


@singledispatch
def _reasons(found: object) -> tuple[str, ...]:
    raise TypeError(f"nothing says whether to trust a {type(found).__name__}")


@_reasons.register
def _of_answer(found: Answer) -> tuple[str, ...]:
    return _unanswered(found), _undecided(found), *found.warnings, _weak_clauses(found)


def _unanswered(found: Answer) -> str:
    """That nothing was answered, which is honest and yet no answer to rely upon; empty where something was."""
    if found.is_answered:
        return ""
    return "it is no answer: the vectors do not say what was asked" if found.direct else "it is no answer"


def _undecided(found: Answer) -> str:
    """That neither yes nor no is likely; empty for any other answer."""
    is_clear = not found.direct or found.direct.probability is None or found.direct.is_clear
    return "" if is_clear else "neither yes nor no is likely"


def _weak_clauses(found: Answer) -> str:
    """How many clauses are likelier wrong than right, those that `vecspeak ask` marks WEAK; empty where none is."""
    weighed = [one for one in found.clauses if one.probability is not None]
    weak = sum(not one.is_supported for one in weighed)
    return f"weak clauses, likelier wrong than right: {weak} of {len(weighed)}" if weak else ""


@_reasons.register
def _of_claims(found: CheckedClaims) -> tuple[str, ...]:
    return found.warnings


@_reasons.register
def _of_why(found: Why) -> tuple[str, ...]:
    return found.caution, "" if found.is_found else found.verdict


@_reasons.register
def _of_difference(found: Difference) -> tuple[str, ...]:
    if found.more_in_first is not None and found.more_in_second is not None:
        is_empty = found.more_in_first.is_empty and found.more_in_second.is_empty
        said = "of all that was counted nothing is more frequent in one than in the other, beyond chance"
    else:
        is_empty = not (found.first.words or found.second.words)
        said = "no word is read that one has and the other has not"
    return (said,) if is_empty else ()


@_reasons.register
def _of_region(found: Description) -> tuple[str, ...]:
    return found.flags
