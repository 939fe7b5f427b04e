"""Token ids of texts that others wrote: no label, question or answer becomes a special token of a tokenizer.

Only the chat format has special tokens. A foreign text that spells one, such as `<|im_end|>` in a label, is cut inside
that spelling and tokenised piece by piece: the model reads its letters. All other texts have the ids that they would
have without this.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from vecspeak.errors import UserError

_BRACKETED = re.compile(r"[<\[{|].*\w.*[>\]}|]", re.DOTALL)
"""How a token looks that a tokenizer adds without calling it special, and that still is no ordinary text: `<think>`."""
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
"""A byte of a letter that the vocabulary lacks: ordinary text becomes it, whatever a tokenizer calls it."""


class ChatMarkup(str):
    """A part of a prompt that the chat format wrote: its special tokens count."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class SpecialTokens:
    """Special tokens of a tokenizer that no foreign text may become."""

    texts: tuple[str, ...]
    """Spellings of two letters or more."""
    by_beginning: dict[str, list[str]]
    """The same by their first two letters: a tokenizer may have thousands."""
    letters: dict[int, str]
    """Spellings of one letter, for `str.translate`: they cannot be cut, and give way to U+FFFD."""
    ids: frozenset[int]
    """Without that of the unknown token, which stands for any letter that a vocabulary lacks."""
    of_markup: dict[tuple[str | None, ...], list[int]] = field(default_factory=dict)
    """Those of the chat format alone, by its parts; None where a foreign text is."""

    def among(self, ids: Iterable[int]) -> list[int]:
        """Those of the ids that are special, in order."""
        return [one for one in ids if one in self.ids]


def special_tokens(tokenizer: Any) -> SpecialTokens:
    """Special tokens of a tokenizer of transformers or of tokenizers, remembered until its vocabulary grows."""
    of_tokenizers = hasattr(tokenizer, "get_vocab_size")
    return _special_tokens(tokenizer, tokenizer.get_vocab_size() if of_tokenizers else len(tokenizer))


@lru_cache(maxsize=8)
def _special_tokens(tokenizer: Any, size: int) -> SpecialTokens:
    if hasattr(tokenizer, "get_added_tokens_decoder"):  # of tokenizers
        added, unknown = tokenizer.get_added_tokens_decoder(), getattr(tokenizer.model, "unk_token", None)
    else:
        added, unknown = tokenizer.added_tokens_decoder, tokenizer.unk_token
    found = {
        token.content: number
        for number, token in added.items()
        if (token.special or _BRACKETED.fullmatch(token.content))
        and not (token.content.isspace() or _BYTE.fullmatch(token.content))
    }
    texts = tuple(text for text in found if len(text) > 1)
    by_beginning: dict[str, list[str]] = {}
    for text in texts:
        by_beginning.setdefault(text[:2], []).append(text)
    return SpecialTokens(
        texts=texts,
        by_beginning=by_beginning,
        letters={ord(text): "\ufffd" for text in found if len(text) == 1},
        ids=frozenset(number for text, number in found.items() if text != unknown),
    )


def foreign_ids(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text that somebody else wrote."""
    return joined_ids(tokenizer, [text])


def joined_ids(tokenizer: Any, parts: Sequence[str]) -> list[int]:
    """Token ids of parts that are read as one text, foreign unless they are `ChatMarkup`."""
    return [number for _, made in encoded_pieces(tokenizer, parts) for number in _ids(made)]


def encoded_pieces(tokenizer: Any, parts: Sequence[str]) -> list[tuple[str, Any]]:
    """Pieces that make up the joined parts, each with what the tokenizer makes of it; one piece for ordinary text.

    Raises UserError for a text that becomes a special token letter by letter, which no known tokenizer does.
    """
    special = special_tokens(tokenizer)
    if special.letters:
        parts = [one if isinstance(one, ChatMarkup) else one.translate(special.letters) for one in parts]
    allowed = _of_markup(tokenizer, special, parts)
    # A tokenizer may normalise letters before it looks for special tokens: then only letter by letter helps.
    for cuts in (_inside_spellings(parts, special), _everywhere(parts)):
        made = [(piece, _encode(tokenizer, piece)) for piece in _pieces("".join(parts), cuts)]
        if special.among(number for _, one in made for number in _ids(one)) == allowed:
            return made
    raise UserError(
        "a text becomes special tokens of this model's tokenizer, however it is cut", "use another model"
    )


def _of_markup(tokenizer: Any, special: SpecialTokens, parts: Sequence[str]) -> list[int]:
    """Special tokens that the chat format brings itself, where ordinary text stands in it."""
    if not any(isinstance(one, ChatMarkup) for one in parts):
        return []
    key = tuple(str(one) if isinstance(one, ChatMarkup) else None for one in parts)
    if key not in special.of_markup:
        plain = "".join("a" if one is None else one for one in key)
        special.of_markup[key] = special.among(_ids(_encode(tokenizer, plain)))
    return special.of_markup[key]


def _foreign_spans(parts: Sequence[str]) -> Iterator[tuple[int, int]]:
    start = 0
    for one in parts:
        if one and not isinstance(one, ChatMarkup):
            yield start, start + len(one)
        start += len(one)


def _inside_spellings(parts: Sequence[str], special: SpecialTokens) -> set[int]:
    """Places to cut the joined parts, so that no spelling is whole of which a letter is foreign."""
    text, spans = "".join(parts), list(_foreign_spans(parts))
    beginnings = special.by_beginning.keys() & {text[start : start + 2] for start in range(len(text) - 1)}
    cuts = set[int]()
    for spelling in (one for beginning in beginnings for one in special.by_beginning[beginning]):
        start = text.find(spelling)
        while start >= 0:
            for low, high in spans:
                if start < high and start + len(spelling) > low:
                    cuts.add(low if start < low else start + 1)
            start = text.find(spelling, start + 1)
    return cuts


def _everywhere(parts: Sequence[str]) -> set[int]:
    """Places before each foreign letter but the first of a part, which the chat format may be joined to."""
    return {place for low, high in _foreign_spans(parts) for place in range(low + 1, high)}


def _pieces(text: str, cuts: set[int]) -> list[str]:
    places = [0, *sorted(cuts), len(text)]
    return [text[start:end] for start, end in zip(places, places[1:], strict=False)]


def _encode(tokenizer: Any, text: str) -> Any:
    return tokenizer.encode(text, add_special_tokens=False)


def _ids(made: Any) -> list[int]:
    return list(getattr(made, "ids", made))
