"""What a vector can be asked: yes and no are read from it in closed form, and some things it cannot say.

A language model that is asked for a title or a date makes one up. A question whether something holds is answered by
the probability of the question's own words; no model that writes is asked in either case.
"""

import re
from collections.abc import Callable, Sequence

from vecspeak.evidence import DirectAnswer, ReadTerm

_YES_OR_NO = re.compile(
    r"^\s*(?:is|are|was|were|does|do|did|has|have|had|can|could|will|would|should)\b(?P<claim>.*)\?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_UNSAID = re.compile(
    r"^\s*(?:(?:what|which)(?:'s| is| are| was| were)? (?:\S+ ){0,3}?"
    r"(?P<what>title|name|id|identifier|number|price|cost|date|year|author|director|address|url|isbn|sku)\b"
    r"|(?P<when>when|how many|how much|how old|how long)\b"
    r"|(?P<who>who)(?:'s| is| are| was| wrote| made| directed| plays?)\b)",
    re.IGNORECASE,
)  # fmt: skip
_SLOT = re.compile(r"\{\w+\}")
LIKELY = 2 / 3
"""Probability from which on the answer is yes; below one half it is no."""


def direct_answer(question: str, terms_of: Callable[[str], Sequence[ReadTerm]]) -> DirectAnswer | None:
    """The direct answer to a question that wants yes or no, or something that no vector says; None for any other.

    `terms_of` gives the terms that stand in a text, each with the probability that the vector gives it.
    """
    if asked := _YES_OR_NO.match(question):
        return _yes_or_no(terms_of(_SLOT.sub(" ", asked["claim"])))
    if unsaid := _UNSAID.match(question):
        what = (unsaid["what"] or unsaid["when"] or unsaid["who"]).lower()
        return DirectAnswer(
            text=f"These vectors do not say ({what}): whatever a language model answered would be made up."
        )
    return None


def _yes_or_no(terms: Sequence[ReadTerm]) -> DirectAnswer:
    # A two-word term stands for its words.
    pairs = [term.term for term in terms if " " in term.term]
    terms = [term for term in terms if not any(term.term in pair.split() for pair in pairs)]
    if not terms:
        return DirectAnswer(
            text="These vectors do not say: no word of the question is among those that can be read."
        )
    # All that is claimed has to hold, so the word that speaks least for it decides.
    share = min(map(_even_odds, terms))
    word = "Yes" if share >= LIKELY else "Perhaps" if share >= 0.5 else "Probably not"
    shown = ", ".join(f"{term.term} {term.probability:.2f} (any text {term.rate:.2f})" for term in terms)
    return DirectAnswer(text=f"{word} ({share:.2f}): {shown}.", probability=share, terms=tuple(terms))


def _even_odds(term: ReadTerm) -> float:
    """The probability of yes, were yes and no as likely before the vector was looked at.

    That a word stands in a text is rare, so its own probability is low even of a text that is about it; by how much the
    vector raised its odds is what tells yes from no (benchmarks/yes_no.py).
    """
    share, rate = (min(max(one, 1e-6), 1 - 1e-6) for one in (term.probability, term.rate))
    raised = share / (1 - share) / (rate / (1 - rate))
    return raised / (1 + raised)
