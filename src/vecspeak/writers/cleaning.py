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
    rf"\bthe {_GIVEN} (?:does|do|did|{_SAYS}|is|are)\b|\b(?:based on|according to|as evidenced by) the\b"
    r"|\b(?:the|this|these) drafts?\b|\bprobabilit|\bembedding|\bpercent of the items\b|\bpresence of (?:the )?words?\b"
    r"|\bthe words? [\"“]|\bevidence (?:provided|given)\b",
    re.IGNORECASE,
)
"""Speaks of what was sent; "they find evidence of a murder" does not."""


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
    """The text with the name of its only point left out, behind a noun, or replaced by "it"."""
    noun = rf"\b((?:the|this) (?!of\b|by\b|in\b|and\b)[\w-]+) [\"'“]?{name}\b[\"'”]?"
    text = re.sub(noun, r"\1", text, flags=re.IGNORECASE)
    text = re.sub(rf"(^|[.!?] +){name}\b(?!')", r"\1It", text)
    return re.sub(rf"\b{name}\b(?!')", "it", text)
