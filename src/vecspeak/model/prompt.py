"""Prompts: a vector is a part of a prompt, beside strings, as an image would be."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecspeak.errors import UserError
from vecspeak.model.special_tokens import ChatMarkup, foreign_ids, joined_ids

_SLOT = re.compile(r"\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True, slots=True, eq=False)
class Vector:
    """A vector standing in a prompt."""

    values: np.ndarray
    """[N] float32, in the space that the reader's adapter takes."""


class Beginning(str):
    """How an answer begins: the language model goes on from there. It stands at the end of a prompt."""

    __slots__ = ()


Prompt = tuple[str | Vector, ...]
"""Strings and vectors in the order in which the language model reads them, and a `Beginning` where one is forced."""


def with_beginning(prompt: Prompt, text: str) -> Prompt:
    """The prompt, whose answers begin with the text; as it is without one."""
    return (*prompt, Beginning(text)) if text else prompt


def whole_answer(prompt: Prompt, text: str) -> str:
    """What a language model went on with, behind the beginning that the prompt forced; empty where it said nothing.

    >>> whole_answer(("Praise it.", Beginning("I loved it:")), "the songs.")
    'I loved it: the songs.'
    """
    forced = isinstance(prompt[-1], Beginning) and text
    return f"{prompt[-1]} {text}" if forced else text


def vectors_of(prompt: Prompt) -> list[np.ndarray]:
    """The vectors of a prompt, in order."""
    return [part.values for part in prompt if isinstance(part, Vector)]


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A question with named slots, such as `Compare {x} with {y}`."""

    text: str

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the slots in order of appearance; a name may come twice."""
        return tuple(_SLOT.findall(self.text))

    @property
    def segments(self) -> tuple[str | None, ...]:
        """The text cut at its slots; `None` marks each slot. Empty strings are left out."""
        parts = enumerate(_SLOT.split(self.text))
        return tuple(None if index % 2 else text for index, text in parts if text)

    def fill(self, vectors: Mapping[str, np.ndarray]) -> Prompt:
        """Put a vector into each slot; UserError for a slot without a vector and a vector without a slot."""
        missing = [name for name in self.slots if name not in vectors]
        if missing:
            raise UserError(
                f"the question has a slot {{{missing[0]}}} that nothing fills",
                f"add `{missing[0]}=EXPRESSION`",
            )
        self.check_names(vectors)
        names = iter(self.slots)
        return tuple(Vector(vectors[next(names)]) if piece is None else piece for piece in self.segments)

    def check_names(self, names: Iterable[str]) -> None:
        """Raise UserError for the first name that is no slot."""
        for name in names:
            if name not in self.slots:
                raise UserError(
                    f"`{name}=...` names a slot that the question {self.text!r} does not have",
                    f"write {{{name}}} in the question",
                )


def check_question(text: str) -> PromptTemplate:
    """A template from what a person typed. Raises UserError when it is blank or a brace is left open."""
    if not text.strip():
        raise UserError("the question is empty", 'type one, for example "Describe {x}."')
    if not text.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UserError("the question is not UTF-8", "type it in a terminal that writes UTF-8")
    rest = _SLOT.sub("", text)
    if "{" in rest or "}" in rest:
        raise UserError(
            f"the question {text!r} has a brace that is no slot",
            "write a slot as {x}: letters, digits and underscores",
        )
    return PromptTemplate(text)


def with_default_slots(template: PromptTemplate, names: Sequence[str]) -> PromptTemplate:
    """Put the named vectors after a question that has no slot of its own."""
    if template.slots:
        return template
    return PromptTemplate(f"{template.text} " + " ".join(f"{{{name}}}" for name in names))


PLACEHOLDER = -1
"""Stands in a row of token ids where a soft token will be; no vocabulary has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFormat:
    """What stands around a question; kept in the bundle, so that asking repeats what training did."""

    before: str
    """Opens the user's turn."""
    after: str
    """Ends the user's turn and opens the answer."""
    stop: str
    """Ends the answer."""


CHATML = ChatFormat(
    before="<|im_start|>user\n", after="<|im_end|>\n<|im_start|>assistant\n", stop="<|im_end|>"
)
PLAIN = ChatFormat(before="Question: ", after="\nAnswer:", stop="\n")


def build_input_ids(
    pieces: Sequence[str | None], tokenizer: Any, chat: ChatFormat, num_soft_tokens: int
) -> list[int]:
    """Token ids of one question: K times PLACEHOLDER for each `None`, the text between slots tokenised by itself.

    A `Beginning` stands after what opens the answer, tokenised by itself as a target of training is. Special tokens
    come from the chat format and from `ChatMarkup` alone: every other text is foreign.
    """
    ids: list[int] = []
    parts: list[str] = [ChatMarkup(chat.before)]
    forced = pieces[-1] if pieces and isinstance(pieces[-1], Beginning) else ""
    for piece in pieces[:-1] if forced else pieces:
        if piece is None:
            ids += joined_ids(tokenizer, parts) if any(parts) else []
            ids += [PLACEHOLDER] * num_soft_tokens
            parts = []
        else:
            parts.append(piece)
    ids += joined_ids(tokenizer, [*parts, ChatMarkup(chat.after)])
    return ids + foreign_ids(tokenizer, forced) if forced else ids


def segments_of(prompt: Prompt) -> list[str | None]:
    """A filled prompt with its vectors replaced by `None`."""
    return [part if isinstance(part, str) else None for part in prompt]
