"""Chat formats: what a language model expects around a question, read from its tokenizer.

No list of models: marks of ChatML are looked for, then the tokenizer's chat template is asked, and a model without
either, such as a base model, gets a plain question and answer.
"""

from typing import Any

from vecspeak.errors import UserError, first_line
from vecspeak.model.prompt import CHATML, PLAIN, ChatFormat, TokenEncoder

_MARK = "VECSPEAKMARK"


def chat_format(tokenizer: Any) -> ChatFormat:
    """What a reader is trained with: ChatML where the tokenizer has its marks, else the form of its chat template.

    ChatML needs no system message, which templates with these marks put before each question. Raises UserError for a
    template that drops the question.
    """
    if {"<|im_start|>", "<|im_end|>"} <= set(tokenizer.get_vocab()):
        return CHATML
    return template_format(tokenizer) if getattr(tokenizer, "chat_template", None) else _plain(tokenizer)


def chat_format_of(tokenizer: Any) -> ChatFormat:
    """What a language model as it is was trained with: the form of its chat template, where it has one.

    Raises UserError where the template drops the question.
    """
    return template_format(tokenizer) if getattr(tokenizer, "chat_template", None) else chat_format(tokenizer)


def template_format(tokenizer: Any) -> ChatFormat:
    """What a chat template puts around a question, a system message of its own included.

    Raises UserError where the template fails or drops the question.
    """
    asked = [{"role": "user", "content": _MARK}]
    opened = _rendered(tokenizer, asked, add_generation_prompt=True)
    before, found, after = opened.partition(_MARK)
    if not found:
        raise UserError("the chat template of this model drops the question", "give an instruct model")
    answered = _rendered(tokenizer, [*asked, {"role": "assistant", "content": _MARK}])
    ending = answered.rpartition(_MARK)[2].strip()
    return ChatFormat(before=before, after=after, stop=ending or tokenizer.eos_token or "\n")


def _rendered(tokenizer: Any, messages: list[dict[str, str]], *, add_generation_prompt: bool = False) -> str:
    from jinja2 import TemplateError

    try:  # no thinking aloud: an answer has no room for it
        return str(
            tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=add_generation_prompt, enable_thinking=False
            )
        )
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        raise UserError(
            f"the chat template of this model fails: {first_line(error)}", "give an instruct model"
        ) from error


def _plain(tokenizer: Any) -> ChatFormat:
    """Question and answer as plain text, behind the token that the tokenizer begins each text with, if any."""
    begun = tokenizer("a").input_ids
    first = tokenizer.bos_token if begun and begun[0] == tokenizer.bos_token_id else ""
    return ChatFormat(before=f"{first or ''}{PLAIN.before}", after=PLAIN.after, stop=PLAIN.stop)


def stop_ids(tokenizer: Any, stop: str) -> list[int]:
    """Token ids that end an answer: the tokenizer's own end, and the text `stop` where that is one token.

    >>> class Letters:
    ...     eos_token_id = 7
    ...     def encode(self, text, *, add_special_tokens): return [ord(letter) for letter in text]
    >>> stop_ids(Letters(), "!"), stop_ids(Letters(), "the end")
    ([7, 33], [7])
    """
    found = {tokenizer.eos_token_id, _stop_id(tokenizer, stop)} - {None}
    return sorted(found) or [0]


def _stop_id(tokenizer: TokenEncoder, stop: str) -> int | None:
    # Behind a letter: by itself a text may be begun with a token for the space before it (SentencePiece).
    alone, behind = (tokenizer.encode(text, add_special_tokens=False) for text in (".", f".{stop}"))
    if behind[: len(alone)] != alone:
        alone, behind = [], tokenizer.encode(stop, add_special_tokens=False)
    rest = behind[len(alone) :]
    return rest[0] if len(rest) == 1 else None
