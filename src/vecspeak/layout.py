"""Layout: a question as token ids, with slots where soft tokens will stand. Needs no torch.

Knows the chat format, a tokenizer and how many soft tokens a vector becomes. Knows no embeddings and no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from vecspeak.prompts import Prompt

SLOT = -1
"""Stands in a row of token ids where a soft token will be; no vocabulary has it."""


class Encodes(Protocol):
    """What injection needs of a tokenizer."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Token ids of a text."""


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


def chat_format(tokenizer: Any) -> ChatFormat:
    """ChatML where the tokenizer of transformers has its marks, else plain question and answer."""
    return CHATML if {"<|im_start|>", "<|im_end|>"} <= set(tokenizer.get_vocab()) else PLAIN


def lay_out(
    pieces: Sequence[str | None], tokenizer: Encodes, chat: ChatFormat, num_soft_tokens: int
) -> list[int]:
    """Token ids of one question: K times SLOT for each `None`, the text between slots tokenised by itself."""
    ids: list[int] = []
    text = chat.before
    for piece in pieces:
        if piece is None:
            ids += tokenizer.encode(text, add_special_tokens=False) if text else []
            ids += [SLOT] * num_soft_tokens
            text = ""
        else:
            text += piece
    return ids + tokenizer.encode(text + chat.after, add_special_tokens=False)


def pieces_of(prompt: Prompt) -> list[str | None]:
    """A filled prompt with its vectors replaced by `None`."""
    return [part if isinstance(part, str) else None for part in prompt]
