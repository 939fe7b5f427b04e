"""What a vector can be asked: yes and no are read from it in closed form, and some things it cannot say.

A language model that is asked for a title or a date makes one up. A question whether something holds is answered by
the probability of the question's own words, which is calibrated: of what is said to be likely by 30%, 30% stands in
the text (benchmarks/yes_no.py). No model that writes is asked in either case.
"""

import re
from collections.abc import Callable, Sequence
from typing import Literal

from vecspeak.beginnings import beginning_of
from vecspeak.evidence import DirectAnswer, ReadTerm

_YES_OR_NO = re.compile(
    r"^\s*(?:is|are|was|were|does|do|did|has|have|had|can|could|will|would|should)(?P<claim>(?:n['’]t)?\b.*)\?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_UNSAID = re.compile(
    r"^\s*(?:(?:(?:in|on|at|by|for|from|under|with) )?(?:what|which)(?:'s| is| are| was| were)? (?:\S+ ){0,3}?"
    r"(?P<what>title|name|id|identifier|number|price|cost|date|year|author|director|actor|actress|cast|studio|company|"
    r"publisher|budget|revenue|rating|score|awards?|address|url|isbn|sku|licen[cs]e|version|homepage|website|e-?mail|"
    r"size|weight|length|colou?r|brand|language|first line|last line)\b"
    r"|(?P<when>when|how (?:many|much|old|long|big|large|small|far|tall|heavy|fast|often))\b"
    r"|where(?:'s| is| are| was| were| did)? (?:\S+ ){0,3}?"
    r"(?P<where>filmed|shot|made|produced|published|recorded|manufactured|sold|located|hosted)\b"
    r"|(?P<based>what|which)\b.*\bbased on"
    r"|(?:what|how) (?:did|do|have) (?P<others>critics|reviewers|audiences|people) (?:say|said|think|thought|rate)"
    r"|(?P<who>who(?:m|se)?)\b)",
    re.IGNORECASE,
)  # fmt: skip
_OUTSIDE = re.compile(
    r"\b(?:oscars?|awards?|box[ -]office|bestsellers?|best-selling|remakes?|netflix|amazon|imdb|out of print|in stock|"
    r"on sale|discontinued|(?:your|my) (?:friends?|mother|father|child(?:ren)?|grand\w+))\b",
    re.IGNORECASE,
)
"""What a yes-or-no question has that asks for what became of something, or of somebody whom nobody knows."""
_SLOT = re.compile(r"\{\w+\}")
NEGATION = re.compile(r"\b(?:not|never|no)\b|\bn['’]t\b|(?<=\w)n['’]t\b", re.IGNORECASE)
_OR = re.compile(r"\bor\b", re.IGNORECASE)
SURE, LIKELY, POSSIBLE = 0.8, 0.5, 0.2
"""Probabilities from which on the answer is yes, likely, and perhaps."""
RAISED = 1.5
"""Times as large as of any text the odds must be, or as small, for the vector to tell anything."""
_CLAIMING_NOTHING = frozenset(
    "about bad be best better come contain deal do feature find get give go good great happen have include involve "
    "kind like look make made mention need play popular run say set show sort take talk tell thing use used want work "
    "written".split()
)
"""Words that claim something, or ask for an opinion: whether they stand in a text says nothing of it."""


def direct_answer(question: str, terms_of: Callable[[str], Sequence[ReadTerm]]) -> DirectAnswer | None:
    """The direct answer to a question that wants yes or no, or something that no vector says; None for any other.

    `terms_of` gives the terms that stand in a text, each with the probability that the vector gives it.
    """
    if asked := _YES_OR_NO.match(question):
        if outside := _OUTSIDE.search(question):
            return _unsaid(outside[0].lower())
        claim = _SLOT.sub(" ", asked["claim"])
        parts = [some for part in _OR.split(NEGATION.sub(" ", claim)) if (some := _claimed(terms_of(part)))]
        return _yes_or_no(parts, is_denied=bool(NEGATION.search(claim)))
    unsaid = _UNSAID.match(question)
    if unsaid and not (unsaid["who"] and beginning_of(question)):
        return _unsaid(next(part for part in unsaid.groups() if part).lower())
    return None


def _unsaid(what: str) -> DirectAnswer:
    return DirectAnswer(
        text=f"These vectors do not say ({what}): whatever a language model answered would be made up."
    )


def _forms(word: str) -> set[str]:
    """The word, and what it may be a form of: "contains" of "contain", "making" of "make"."""
    stems = {word.removesuffix(ending) for ending in ("s", "es", "d", "ed", "ing")}
    return {word, *stems, *(f"{stem}e" for stem in stems if word.endswith("ing"))}


def _claimed(terms: Sequence[ReadTerm]) -> list[ReadTerm]:
    """The terms that claim something. A two-word term stands for its words, or they for it where they are clearer."""
    terms = [term for term in terms if not _forms(term.term.casefold()) & _CLAIMING_NOTHING]
    for pair in [term for term in terms if " " in term.term]:
        words = [term for term in terms if term.term in pair.term.split()]
        are_clearer = len(words) == 2 and min(map(_raised, words)) > _raised(pair)
        terms = [term for term in terms if (term is not pair if are_clearer else term not in words)]
    return terms


def _yes_or_no(parts: Sequence[Sequence[ReadTerm]], is_denied: bool) -> DirectAnswer:
    """The answer to a claim of which one of the parts has to hold, or none of them where it is denied."""
    if not parts:
        return DirectAnswer(
            text="These vectors do not say: no word of the question is among those that can be read."
        )
    # All of a part has to hold, so the least likely of its words decides; of parts the likeliest.
    weakest = [min(terms, key=lambda one: one.probability) for terms in parts]
    deciding = max(weakest, key=lambda one: one.probability)
    share, raised = deciding.probability, _raised(deciding)
    if is_denied:
        share, raised = 1 - share, 1 / raised
    word = verdict(share, raised)
    shown = "; ".join(
        f'"{one.term}" {_percent(one.probability)} (any {_whole(one)} {_percent(one.rate)})'
        for some in parts
        for one in some
    )
    # That a text lacks a word does not say that what the word means is not there.
    is_missed = word in ("rather not", "no") and not is_denied and deciding.kind != "value"
    limit = " Other words for the same are not looked for." if is_missed else ""
    return DirectAnswer(
        text=f"{_SAID[word].format(_percent(share))}: {shown}.{limit}",
        probability=share,
        raised=raised,
        is_clear=word not in ("perhaps", "unclear"),
        terms=tuple(term for some in parts for term in some),
    )


Verdict = Literal["yes", "likely", "perhaps", "rather not", "unclear", "no"]
_SAID: dict[Verdict, str] = {
    "yes": "Yes ({})",
    "likely": "Likely ({})",
    "perhaps": "Perhaps ({})",
    "rather not": "Rather not ({}), though likelier than of others",
    "unclear": "The vector does not tell ({})",
    "no": "Probably not ({})",
}


def verdict(share: float, raised: float) -> Verdict:
    """What a claim of some probability is called; `raised` is by how much the vector multiplied its odds.

    >>> verdict(0.3, 8), verdict(0.09, 20), verdict(0.1, 1.2)
    ('perhaps', 'rather not', 'unclear')
    """
    if share >= LIKELY:
        return "yes" if share >= SURE else "likely"
    if raised > RAISED:
        return "perhaps" if share >= POSSIBLE else "rather not"
    return "unclear" if raised >= 1 / RAISED else "no"


def _whole(term: ReadTerm) -> str:
    """What a base rate is a share of."""
    return "item" if term.kind == "value" else "text"


def _percent(share: float) -> str:
    """A probability in words.

    >>> _percent(0.083), _percent(0.0004), _percent(0.9958)
    ('8%', 'under 1%', 'over 99%')
    """
    if share < 0.005:
        return "under 1%"
    return "over 99%" if share > 0.99 else f"{100 * share:.0f}%"


def _raised(term: ReadTerm) -> float:
    """By how much the vector multiplied the odds that the term stands in the text."""
    share, rate = (min(max(one, 1e-6), 1 - 1e-6) for one in (term.probability, term.rate))
    return share / (1 - share) / (rate / (1 - rate))
