"""Copies: why items have one vector, or nearly one, by what their texts have in common."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from vecspeak.tables.spelling import one_form

_WORD = re.compile(r"\w+")
_ALIKE = 0.5
"""Part of the words of two texts together that both have, from which on they are nearly the same."""
_CUT = 100
"""Letters that texts must begin with alike for the rest to be taken for cut off."""
_CUT_SHARE = 0.5
"""Part of the shorter text that this must be."""
_DEFAULT = 3
"""Items with one vector and different texts from which on it is a default, and no row that was written twice."""
_COMPARED = 50
"""Texts of a set that are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyKind:
    """What a set of copies is."""

    name: str
    reason: str
    is_one_text: bool = False
    """Whether its items say the same, so that they count once where groups are put into words."""


NO_TEXT = CopyKind(
    name="no text",
    reason="items without a text have one vector: that of an empty text; leave them out, or give them texts",
    is_one_text=True,
)
DEFAULT = CopyKind(
    name="default vector",
    reason="three or more items have one vector though their texts differ: a default, or a batch written twice",
)
WRITTEN_TWICE = CopyKind(
    name="one vector, two texts",
    reason="two items have one vector though their texts differ: a row was written twice; embed both again",
)
CUT = CopyKind(
    name="same beginning",
    reason="texts that begin alike and end otherwise have one vector: texts were cut before they were embedded",
)
SAME_TEXT = CopyKind(
    name="same text", reason="one text stands under several ids: duplicates", is_one_text=True
)
ALIKE = CopyKind(
    name="nearly the same text",
    reason="texts that share most of their words have nearly one vector: revisions, or duplicates",
    is_one_text=True,
)
NEAR = CopyKind(
    name="nearly one vector, other texts",
    reason="vectors are nearer than any other two though their texts share few words: read both",
)
NOTHING_KNOWN = CopyKind(
    name="one vector", reason="items have one vector, or nearly one, and no texts that would say why"
)
COPY_KINDS = (DEFAULT, WRITTEN_TWICE, NO_TEXT, CUT, NEAR, NOTHING_KNOWN, SAME_TEXT, ALIKE)
"""Worst first: faults of whatever made the vectors, then duplicates."""


def copy_kind(texts: Sequence[str], *, are_equal: bool, has_texts: bool) -> CopyKind:
    """What the items with these texts are, blank where one has none.

    >>> copy_kind(["A red scarf.", "a red  scarf"], are_equal=False, has_texts=True).name
    'same text'
    """
    if not has_texts:
        return NOTHING_KNOWN
    forms = [" ".join(_WORD.findall(one_form(text).casefold())) for text in texts]
    if not any(forms):
        return NO_TEXT
    if len(set(forms)) == 1:
        return SAME_TEXT
    distinct = sorted(set(forms))[:_COMPARED]
    if are_equal and all(forms):
        alike = len(os.path.commonprefix(distinct))
        if alike >= max(_CUT, _CUT_SHARE * min(map(len, distinct))):
            return CUT
    if _are_alike([set(one.split()) for one in distinct]):
        return ALIKE
    if not are_equal:
        return NEAR
    return DEFAULT if len(texts) >= _DEFAULT else WRITTEN_TWICE


def _are_alike(sets: Sequence[set[str]]) -> bool:
    """Whether each text shares most of its words with some other."""
    return all(
        any(len(one & other) >= _ALIKE * len(one | other) for other in sets if other is not one)
        for one in sets
    )
