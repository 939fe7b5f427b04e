"""Words in a question: what a lexicon reads from the vector stands behind it, and the reader sees both.

    Describe the movie {x}. It has to do with robot, moon, war.

Training has them as asking has, so that what writes the sentence and what knows it again stand here.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

from vecspeak.evidence import ReadTerm
from vecspeak.model.prompt import Prompt, PromptTemplate

NUM_WORDS = 8
"""Words of a point that its question has."""
_SENTENCE = "It has to do with"
_SAID_AGAIN = re.compile(r"\bit (?:has|had) to do with\b", re.IGNORECASE)
_LEAST, _FEWEST = 0.2, 4
_SAYABLE = re.compile(r"[^{}<>|\x00-\x1f\x7f-\x9f\u2028\u2029]{1,60}")
_LISTED = 3
"""Words of the question next to each other in a list that make it a copy."""


def prompt_words(found: Sequence[ReadTerm], limit: int = NUM_WORDS) -> tuple[ReadTerm, ...]:
    """Those of the words that are read from a point that its question has, of twice as many as may be told.

    Names are told where they are as likely as not, for a rare name stands for others like it. Values of columns make
    up for words where there are few. What is below one in five is left out, but the first three; so is a value that
    would be more than words in a question: with braces, line breaks or what marks a turn of a chat.
    """
    sayable = [one for one in found if _SAYABLE.fullmatch(one.term)]
    likely = [one for place, one in enumerate(sayable) if place < 3 or one.probability >= _LEAST]
    words = [one for one in likely if one.kind == "word" or (one.kind == "name" and one.probability >= 0.5)]
    values = [
        one for one in likely if one.kind == "value" and one.term.casefold() not in {w.term for w in words}
    ]
    return tuple([*words, *values[: max(0, _FEWEST - len(words))]][:limit])


def with_words(template: PromptTemplate, words: Mapping[str, Sequence[ReadTerm]]) -> PromptTemplate:
    """The question, and behind it what the lexicon reads from its point; as it is where nothing is read.

    >>> film = {"x": [ReadTerm(term="robot", probability=0.8, rate=0.01)]}
    >>> with_words(PromptTemplate("Describe {x}."), film).text
    'Describe {x}. It has to do with robot.'
    """
    return PromptTemplate(
        with_listed(template.text, [term.term for terms in words.values() for term in terms])
    )


def with_listed(question: str, words: Sequence[str]) -> str:
    """The question, and behind it these words; as it is without any."""
    return f"{question} {_SENTENCE} {', '.join(words)}." if words else question


def words_given(prompt: Prompt) -> frozenset[str]:
    """The words that a question has, lower case."""
    parts = (piece.partition(_SENTENCE)[2] for piece in prompt if isinstance(piece, str))
    return frozenset(word.strip(" .").casefold() for part in parts for word in part.split(","))


def copies_words(text: str, given: Collection[str]) -> bool:
    """Whether a text says the question's sentence about the words again, or lists three of them or more.

    >>> copies_words("Dog, ranch and sheriff.", {"dog", "ranch", "sheriff"})
    True
    >>> copies_words("The sheriff leaves his ranch, and a dog follows.", {"dog", "ranch", "sheriff"})
    False
    """
    known = {word for term in given for word in term.split()}
    items = (re.findall(r"[^\W_]+", item) for item in re.split(r"[,.!?;:]|\band\b|\bor\b", text.casefold()))
    runs = groupby((known.issuperset(item) for item in items if item), key=bool)
    is_list = any(is_given and len(list(run)) >= _LISTED for is_given, run in runs)
    return is_list or _SAID_AGAIN.search(text) is not None
