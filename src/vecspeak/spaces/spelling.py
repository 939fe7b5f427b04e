"""Nearest spellings: what a person may have meant by a name that does not exist.

Knows strings only; knows nothing of spaces, columns or commands.
"""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest_spellings(word: str, allowed: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The allowed names that look most like the word, best first; upper and lower case do not matter.

    Names far from the word are left out, so the answer may be empty.
    """
    by_folded: dict[str, str] = {}
    for name in allowed:
        by_folded.setdefault(name.casefold(), name)
    folded = get_close_matches(word.casefold(), by_folded.keys(), n=count, cutoff=0.5)
    return tuple(by_folded[name] for name in folded)


def did_you_mean(word: str, allowed: Iterable[str], otherwise: str) -> str:
    """A hint: the nearest spellings as a question, or the other text where nothing is near."""
    nearest = nearest_spellings(word, allowed)
    return f"did you mean {' or '.join(repr(name) for name in nearest)}?" if nearest else otherwise
