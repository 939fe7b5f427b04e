"""Chat formats: what a language model expects around a question, read from its tokenizer.

No list of models: marks of ChatML are looked for, then the tokenizer's chat template is asked, and a model without
either, such as a base model, gets a plain question and answer.
"""

from typing import Any

from vecspeak.errors import UserError, first_line
from vecspeak.model.prompt import CHATML, PLAIN, ChatFormat

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
    if not found or _MARK in after:
        what = "repeats" if found else "drops"
        raise UserError(f"the chat template of this model {what} the question", "give an instruct model")
    answered = _rendered(tokenizer, [*asked, {"role": "assistant", "content": _MARK}])
    if answered.count(_MARK) != 2:
        raise UserError("the chat template of this model drops the answer", "give an instruct model")
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
    except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
        raise UserError(
            f"the chat template of this model fails: {first_line(error)}", "give an instruct model"
        ) from error


def _plain(tokenizer: Any) -> ChatFormat:
    """Question and answer as plain text, behind the token that the tokenizer begins each text with, if any."""
    begun = tokenizer("a").input_ids
    first = tokenizer.bos_token if begun and begun[0] == tokenizer.bos_token_id else ""
    return ChatFormat(before=f"{first or ''}{PLAIN.before}", after=PLAIN.after, stop=PLAIN.stop)


def stop_ids(tokenizer: Any, stop: str) -> list[int]:
    """Token ids that end an answer: the tokenizer's own end, and the text `stop` by its first token.

    A stop of several tokens ends an answer only where its first is a token of its own, as marks of turns are.

    >>> class Letters:
    ...     eos_token_id = 7
    ...     def encode(self, text, *, add_special_tokens): return [ord(letter) for letter in text]
    >>> stop_ids(Letters(), "!"), stop_ids(Letters(), "the end")
    ([7, 33], [7])
    """
    found, marks = stop_tokens(tokenizer, stop), getattr(tokenizer, "added_tokens_decoder", {})
    ends = {found[0]} if len(found) == 1 or (found and found[0] in marks) else set[int]()
    return sorted(ends if tokenizer.eos_token_id is None else ends | {tokenizer.eos_token_id})


def stop_tokens(tokenizer: Any, stop: str) -> list[int]:
    """Token ids of what stands behind an answer, whatever letter that ends with: an answer learns to stop by them."""
    # Behind a letter: by itself a text may be begun with a token for the space before it (SentencePiece).
    alone, behind = (tokenizer.encode(text, add_special_tokens=False) for text in (".", f".{stop}"))
    if behind[: len(alone)] != alone:  # "." and the stop are one token
        alone, behind = [], tokenizer.encode(stop, add_special_tokens=False)
    return behind[len(alone) :]
