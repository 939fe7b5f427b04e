"""Names as they were made before they were ranked among all regions: the baseline of `names.py`."""

import re
from collections.abc import Sequence

from vecspeak.explore.contrast import Contrast

_STEM, _SOME, _TYPICAL, _LIFT = 4, 0.04, 0.2, 1.3


def names_before(contrasts: Sequence[Contrast]) -> list[tuple[str, list[str]]]:
    """Of each region a name and its terms: the value that tells most, then words that none before with it has.

    Most telling is the largest share times the logarithm of its lift. Where nothing is that of a fifth of the members
    the name says `mixed`.
    """
    found: list[tuple[str, list[str]]] = []
    spent: dict[str, set[str]] = {}
    for one in contrasts:
        values = [value for value in one.values if value.name.casefold() not in ("true", "false")]
        frequent = [word for word in one.words if word.inside >= _SOME and word.lift.low >= _LIFT]
        shares = [feature.inside for feature in (*values, *frequent)]
        is_mixed = bool(shares) and max(shares) < _TYPICAL
        typical = [value.name for value in values if value.inside >= _TYPICAL]
        lead = "" if is_mixed else next(iter(typical), "")
        taken = spent.setdefault("mixed" if is_mixed else lead, set())
        named = [feature.name for feature in ((*values, *frequent) if is_mixed else frequent)]
        words = _unlike(named, [lead, *taken])[: 2 if lead or is_mixed else 3]
        taken.update(words)
        terms = [lead] * bool(lead) + (words or ([] if is_mixed else typical[1:2]))
        text = f"{lead}: {', '.join(words)}" if lead and words else ", ".join(terms)
        found.append((f"mixed: {text}" if is_mixed else text or "around an item", terms))
    return found


def _unlike(words: Sequence[str], taken: Sequence[str]) -> list[str]:
    """The words that do not begin like one before them, or like one of what is taken."""
    stems = {stem for text in taken for stem in _stems(text)}
    retained = []
    for word in words:
        if not stems & _stems(word):
            retained.append(word)
            stems |= _stems(word)
    return retained


def _stems(text: str) -> set[str]:
    return {word[:_STEM] for word in re.findall(r"\w+", text.casefold())}
