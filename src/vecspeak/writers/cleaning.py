"""What a writer says about what it was sent is taken out: an answer is about the point, not about the evidence."""

import re

from vecspeak.tasks.task_set import split_sentences

_GIVEN = r"(?:evidence|drafts?|information|words?|description)(?: (?:provided|given|above))?"
_SAYS = r"(?:supports?|suggests?|shows?|indicates?|says?|tells?)(?: us)?(?: together)?(?: that)?"
_LEAD = re.compile(
    rf"^(?:(?:based on|according to|from|given) the {_GIVEN},?\s+(?:it (?:is likely|seems|appears) that\s+)?"
    r"(?:the (?:most likely |best )?(?:answer|description)(?: of [\w ]{1,30}?)? is (?:that )?)?"
    rf"|the {_GIVEN} {_SAYS}\s+|(?:the )?evidence:\s*)",
    re.IGNORECASE,
)
_TALK = re.compile(
    "|".join(
        (
            rf"\bthe {_GIVEN} (?:does|do|did) not (?:say|tell|provide|support|mention)\b",
            rf"\b(?:based on|according to) the {_GIVEN}\b",
            r"\bas evidenced by the (?:presence|words?|use)\b",
            r"\b(?:the|this|these) drafts? (?:\(|says?|states?|reads?|describes?|best|incorporates?)",
            r"\bprobabilit(?:y|ies) of (?:\d|each)",
            r"\bembedding vectors?\b",
            r"\b(?:percent|than \d+%) of the items\b",
            r"\bpresence of (?:the )?words?\b",
            r"\bthe words? [\"“]",
            r"\bevidence (?:provided|given)\b",
        )
    ),
    re.IGNORECASE,
)
"""Speaks of what was sent; "they find evidence of a murder" and "based on the novel" do not."""


def about_the_point(text: str, slots: tuple[str, ...]) -> str:
    """The text without lead-ins and sentences about evidence, drafts and probabilities; empty where all are.

    The only point is not called by its slot's name: a writer is asked about "X", a reader asked about a movie.

    >>> about_the_point("The evidence supports that X is a thriller. The draft (0.71) fits best.", ("x",))
    'It is a thriller.'
    >>> about_the_point("The movie X is about bees, and X ends well.", ("x",))
    'The movie is about bees, and it ends well.'
    """
    kept = []
    for sentence in split_sentences(text):
        said = _LEAD.sub("", sentence).strip()
        if said and not _TALK.search(said):
            kept.append(sentence if said == sentence else said[0].upper() + said[1:])
    return _unnamed(" ".join(kept), slots[0].upper()) if len(slots) == 1 else " ".join(kept)


def _unnamed(text: str, name: str) -> str:
    """The text with the name of its only point left out, behind a noun, or replaced by "it".

    Only X, Y and Z, which no sentence has by chance, and not behind a name ("Malcolm X") or in a word ("X-rated").
    """
    if name not in ("X", "Y", "Z"):
        return text
    alone = rf"[\"'“]?{name}[\"'”]?(?![\w'’-])"
    noun = rf"\b((?:the|this) (?:movie|film|item|book|product|word|story|text|package|person|one)),? {alone}"
    text = re.sub(noun, r"\1", text, flags=re.IGNORECASE)
    text = re.sub(rf"(^|[.!?] +){alone}(?= [a-z])", r"\1It", text)
    return re.sub(rf"\b(and|but|that|when|while|as|of|in|about) {alone}(?=[ .,;!?]|$)", r"\1 it", text)
