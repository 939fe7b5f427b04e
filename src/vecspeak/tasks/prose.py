"""Prose: whole sentences of an answer, and answers that go in circles."""

import re
from collections import Counter

from vecspeak.tasks.task_set import split_sentences

_END = re.compile(r"[.!?][\"'”’)\]]*$")
_SHORT = re.compile(r"(?:^|[\s(\"'])(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|Lt|Col|Capt|Gen|Sgt|Prof|vs|No|[A-Z])\.$")
_LOOPS = ((5, 2), (3, 3))
"""Runs of so many words that may come less often than so many times."""


def ends_sentence(text: str) -> bool:
    """Whether a text ends where a sentence does, and not after `Dr.` or an initial."""
    text = text.rstrip()
    return bool(_END.search(text)) and not _SHORT.search(text)


def openings(text: str) -> list[str]:
    """All beginnings of whole sentences, the shortest first; none where no sentence ends.

    >>> openings("A man wakes. He runs. Then he")
    ['A man wakes.', 'A man wakes. He runs.']
    """
    sentences = [one for one in split_sentences(text) if ends_sentence(one)]
    return [" ".join(sentences[:count]) for count in range(1, len(sentences) + 1)]


def has_loop(text: str) -> bool:
    """Whether a text goes in circles: five words in a row twice, three three times, or one three times in a row.

    So does a list that names something twice.

    >>> has_loop("shy, shy, shy"), has_loop("the end of the world and the end of an age")
    (True, False)
    >>> has_loop("It is a thriller, drama, thriller and drama movie."), has_loop("Again and again, she waits.")
    (True, False)
    """
    words = re.findall(r"\w+", text.casefold())
    for length, times in _LOOPS:
        runs = Counter(tuple(words[start : start + length]) for start in range(len(words) - length + 1))
        if any(count >= times for count in runs.values()):
            return True
    return _lists_twice(text) or any(
        first == second == third for first, second, third in zip(words, words[1:], words[2:], strict=False)
    )


def _lists_twice(text: str) -> bool:
    """Whether an item that commas and conjunctions part, of one or two words, stands before in its sentence."""
    for sentence in re.split(r"[.!?;:]", text.casefold()):
        parts = re.split(r"(,|\b(?:and|or)\b)", sentence)
        items = [re.findall(r"\w+", part) for part in parts[::2]]
        for number, item in enumerate(items[1:], 1):
            # "Again and again" is one expression, and no list.
            before = items[: number if parts[2 * number - 1] == "," else number - 1]
            if 0 < len(item) <= 2 and any(one[-len(item) :] == item for one in before):
                return True
            is_echo = bool(item and before and before[-1]) and before[-1][-1] == item[0]
            if is_echo and parts[2 * number - 1] == ",":
                return True
    return False
