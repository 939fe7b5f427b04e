"""Rater: a language model behind any OpenAI-compatible address. Knows questions and replies, not reports."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from tqdm import tqdm

from vecspeak.chat import Address, Chat, Messages, RefusedError
from vecspeak.errors import UserError
from vecspeak.judging.questions import Question, Value, parse
from vecspeak.judging.replies import KeptReplies, content_key

__all__ = ["Address", "Rater", "Verdict"]

_LONGEST_REPLY = 2048
_UNUSABLE_SHOWN = 500
_MOST_REFUSED = 5
"""So many refusals and no reply at all: it is not the questions that are refused."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a question."""

    value: Value | None
    """None where neither of two replies could be used, or the server refused the question."""
    fresh: bool
    """Whether the server was asked; otherwise all was kept from before."""


class Rater:
    """Asks a model the questions, and asks nothing twice."""

    def __init__(self, address: Address, kept: KeptReplies) -> None:
        """Connects to nothing yet. UserError where the package openai is missing."""
        self.address, self.kept = address, kept
        self._chat = Chat(address, {"temperature": 0, "max_tokens": _LONGEST_REPLY})
        self._has_replied = False
        self._refusals: list[RefusedError] = []

    def ask_all(self, questions: Mapping[str, Question], *, concurrency: int = 4) -> dict[str, Verdict]:
        """The verdict on every prompt, asked in the order given, so many at a time.

        Replies are kept as they come. When the server fails for good, what was not asked yet is left, and one
        UserError says what happened and that the same command goes on from there.
        """
        try:
            return self._ask_all(questions, concurrency)
        except UserError as error:
            if not self.kept.count:
                raise
            kept = f"{self.kept.count:,} replies are kept, the same command goes on from there"
            raise UserError(error.message, f"{error.hint}; {kept}") from error

    def _ask_all(self, questions: Mapping[str, Question], concurrency: int) -> dict[str, Verdict]:
        is_kept = [self._kept_reply(prompt) is not None for prompt in questions]
        self._has_replied |= any(is_kept)
        if not all(is_kept):
            self._chat.reach()
        found: dict[str, Verdict] = {}
        with ThreadPoolExecutor(concurrency) as pool:
            waiting = {
                pool.submit(self.ask, question, prompt): prompt for prompt, question in questions.items()
            }
            try:
                for done in tqdm(
                    as_completed(waiting), total=len(waiting), desc="judging", unit="question", disable=None
                ):
                    found[waiting[done]] = done.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if self._refusals and not self._has_replied:
            raise self._chat.explained(self._refusals[-1])
        return found

    def ask(self, question: Question, prompt: str) -> Verdict:
        """One question; where the reply cannot be used it is asked once more, in the same conversation."""
        messages = _opening(prompt)
        reply, fresh = self._reply(messages)
        value = parse(question, reply or "")
        if value is not None or reply is None:
            return Verdict(value, fresh)
        said = reply.strip()[:_UNUSABLE_SHOWN] or "(nothing)"
        said = said.encode("utf-8", "replace").decode()  # half a character cannot be sent back
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": question.rule}]
        reply, again = self._reply(messages)
        return Verdict(parse(question, reply or ""), fresh or again)

    def _kept_reply(self, prompt: str) -> str | None:
        return self.kept.get(content_key(self.address.model, _opening(prompt)))

    def _reply(self, messages: Messages) -> tuple[str | None, bool]:
        """The reply, None where it is refused, and whether the server was asked for it."""
        key = content_key(self.address.model, messages)
        reply = self.kept.get(key)
        if reply is not None:
            return reply, False
        reply = self._request(messages)
        if reply is not None:
            self.kept.keep(key, reply)
            self._has_replied = True
        return reply, True

    def _request(self, messages: Messages) -> str | None:
        try:
            return self._chat.ask(messages).text
        except RefusedError as error:
            self._refuse(error)
            return None

    def _refuse(self, error: RefusedError) -> None:
        """Pass over a question that the server refuses for what it says; give up where it refuses all of them."""
        self._refusals.append(error)
        if not self._has_replied and len(self._refusals) >= _MOST_REFUSED:
            raise self._chat.explained(error)


def _opening(prompt: str) -> list[dict[str, str]]:
    """The prompt alone, as the user's: not every model takes a system's message."""
    return [{"role": "user", "content": prompt}]
