"""Naming: two to four words for each region, from what its members have more of, no two regions alike.

Knows contrasts and labels. Knows nothing of vectors or readers: a name says what was counted, never what was guessed.
"""

import re
from collections.abc import Iterator, Sequence

from vecspeak.regions.contrast import Contrast, Shared

_STEM = 4
"""Words that begin alike for so many letters are one word in a name: marry, married, marriage."""
_NO_NAMES = frozenset({"true", "false"})
"""Values that say nothing without their column."""
_SOME = 0.04
"""Share of the members that must have a word of the name."""
_LIFT = 1.3
"""How many times as frequent it must be inside, at the low end of its interval."""
_APART = 0.2
"""How far from an even chance a number must be to be in a name."""


def region_names(contrasts: Sequence[Contrast], typical: Sequence[str]) -> tuple[str, ...]:
    """A name for each region, such as `Horror: zombie, blood`; `typical` are labels of their most typical members.

    The first is the value that tells most (its share times the logarithm of its lift), then words that no region before
    with that value has in its name. A region of which no value and no word was found is named after a column of
    numbers, or after its typical member.
    """
    names: list[str] = []
    spent: dict[str, set[str]] = {}
    for found, label in zip(contrasts, typical, strict=True):
        lead = next((one.name for one in found.values if one.name.casefold() not in _NO_NAMES), "")
        taken = spent.setdefault(lead, set())
        words = [one.name for one in found.words if one.inside >= _SOME and one.lift.low >= _LIFT]
        words = _unlike(words, [lead, *taken])[: 2 if lead else 3]
        taken.update(words)
        options = _options(lead, words, found, label)
        names.append(next(name for name in options if name not in names))
    return tuple(names)


def _options(lead: str, words: Sequence[str], found: Contrast, label: str) -> Iterator[str]:
    """Names from the best on, without end."""
    if words:
        yield f"{lead}: {', '.join(words)}" if lead else ", ".join(words)
    others = [one.name for one in found.values if one.name.casefold() not in _NO_NAMES][1:]
    if lead and not others:
        yield lead
    for other in others:
        yield f"{lead}, {other}"
    for one in found.numbers:
        if abs(one.above - 0.5) > _APART:
            yield f"{one.column} about {one.inside.value:.6g}"
    yield f"around {label}"
    number = 2
    while True:
        yield f"around {label} ({number})"
        number += 1


def _unlike(words: Sequence[str], taken: Sequence[str]) -> list[str]:
    """The words that do not begin like one before them, or like one of what is taken."""
    stems = {stem for text in taken for stem in _stems(text)}
    kept = []
    for word in words:
        if not stems & _stems(word):
            kept.append(word)
            stems |= _stems(word)
    return kept


def _stems(text: str) -> set[str]:
    return {word[:_STEM] for word in re.findall(r"\w+", text.casefold())}


def told(shared: Shared) -> str:
    """What a value is called where its column matters: `has plot: true`."""
    return f"{shared.column}: {shared.name}" if shared.name.casefold() in _NO_NAMES else shared.name
