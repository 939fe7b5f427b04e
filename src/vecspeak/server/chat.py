r"""Chat completions as OpenAI's clients ask for them; vectors stand in a message as parts of their own.

    {"model": "movies", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "What do these two share?"},
        {"type": "embedding", "space": "movies.semantic", "expression": "mid(\\"Heat\\", \\"Alien\\", 0.5)"},
        {"type": "embedding", "vector": [0.1, ...]}]}]}

The parts stand in the slots {x}, {y}, {z}, ... in their order: where the text names a slot there, else where the part
stands between texts, else as a question without slots has them. The answer's evidence is in `message.evidence`.
"""

import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from vecspeak.engines import Sampling, TokenCounter
from vecspeak.errors import did_you_mean
from vecspeak.evidence import Answer
from vecspeak.searching import AskedEffort, checked_effort
from vecspeak.served import Served
from vecspeak.server.answering import QueuedQuestion
from vecspeak.server.failures import Refused
from vecspeak.server.models import encoded
from vecspeak.server.places import Name, Place, Short, StrictModel, check_space
from vecspeak.server.sentences import TAG
from vecspeak.server.settings import Settings
from vecspeak.trust import evidence_of

_SLOTS = (*"xyzuvwst", *(f"x{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"))
_NEUTRAL: Mapping[str, Any] = {
    "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "logprobs": False, "n": 1, "store": False,
    "parallel_tool_calls": True,
}  # fmt: skip
"""What clients send and what it must be to change nothing; another value is refused."""
_UNREAD = frozenset({"user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key"})
"""What changes no answer whatever it is."""


class TextPart(StrictModel):
    """Words of a question."""

    type: Literal["text"]
    text: Short


class EmbeddingPart(Place):
    """A vector that is asked about: by an expression, or by its numbers."""

    type: Literal["embedding"]
    space: Name = Field(default="", description="Name of the space; may be left out where there is one.")
    slot: Annotated[str, StringConstraints(pattern="^[a-z]{0,20}$")] = ""


def _kind_of_part(given: Any) -> str | None:
    kind = given.get("type") if isinstance(given, dict) else getattr(given, "type", None)
    return f"{TAG}{kind}" if isinstance(kind, str) else None


def _kind_of_content(given: Any) -> str | None:
    if isinstance(given, str):
        return f"{TAG}words"
    return f"{TAG}parts" if isinstance(given, list) else None


Part = Annotated[
    Annotated[TextPart, Tag(f"{TAG}text")] | Annotated[EmbeddingPart, Tag(f"{TAG}embedding")],
    Discriminator(_kind_of_part),
]
Content = Annotated[
    Annotated[Short, Tag(f"{TAG}words")] | Annotated[list[Part], Field(max_length=1000), Tag(f"{TAG}parts")],
    Discriminator(_kind_of_content),
]


class Message(BaseModel):
    """A turn; the last one of the user is asked, and no other is read."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, strict=True)
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None


class Options(StrictModel):
    """What vecspeak knows besides, under "vecspeak" of a request."""

    effort: Literal["plain", "quick", "normal", "high"] | None = Field(
        default=None, description="How much is searched: quick (the default) reads one row."
    )
    task: Name = Field(default="", description="A task by its name, instead of a question.")
    strict: bool = Field(default=False, description="Refuse points outside the data.")


class StreamOptions(BaseModel):
    """What comes in a stream besides the answer."""

    model_config = ConfigDict(extra="ignore", strict=True)
    include_usage: bool = False


class ChatRequest(BaseModel):
    """A request for one answer."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, strict=True)
    model: Name = ""
    messages: list[Message] = Field(min_length=1, max_length=1000)
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: float = Field(default=0.0, ge=0, le=2)
    seed: int | None = Field(default=None, ge=0, lt=2**53)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    vecspeak: Options = Options()

    @property
    def asked(self) -> Message:
        """The last turn of the user. Raises UserError where there is none."""
        found = next((one for one in reversed(self.messages) if one.role == "user"), None)
        if found is None:
            raise Refused(
                "no message has the role user",
                "put the question into one",
                code="no_question",
                param="messages",
            )
        return found

    @property
    def wants_usage(self) -> bool:
        """Whether the last piece of a stream says how many tokens there were."""
        return self.stream_options is not None and self.stream_options.include_usage

    def notes(self) -> list[str]:
        """What of the request is not read. Raises UserError for what would change the answer and cannot."""
        for name, value in (self.model_extra or {}).items():
            if name in _UNREAD or value is None or (name in _NEUTRAL and value == _NEUTRAL[name]):
                continue
            if name in _NEUTRAL:
                raise Refused(
                    f"{name} is {json.dumps(_NEUTRAL[name])} here and cannot be changed",
                    f"leave {name[:40]} out",
                    code="unsupported_value",
                    param=name,
                )
            hint = did_you_mean(name, type(self).model_fields, "leave it out")
            if name in Options.model_fields:
                hint = f'write it as "vecspeak": {{"{name}": ...}}'
            raise Refused(f"{name[:80]!r} is not known", hint, code="unknown_parameter", param=name[:80])
        unread = len(self.messages) - 1
        return (
            [f"{unread} other messages were not read: each question is answered by itself"] if unread else []
        )


def parts_of(content: Any, most: int) -> tuple[str, list[EmbeddingPart]]:
    """The question with its slots, and the parts in their order.

    Raises UserError where no part is an embedding or more than `most` are, and where a slot is given twice.
    """
    parts = [one for one in content if isinstance(one, EmbeddingPart)] if isinstance(content, list) else []
    if not parts:
        raise Refused(
            "the message has no embedding to ask about",
            'add a part {"type": "embedding", "space": "NAME", "expression": "..."} or one with "vector": [...]',
            code="no_embedding",
            param="messages",
        )
    if len(parts) > most:
        raise Refused(
            f"{len(parts)} embeddings are given, and {most} may be",
            "ask about fewer",
            code="too_many_embeddings",
        )
    names = _slot_names(parts)
    text = "".join(one.text for one in content if isinstance(one, TextPart))
    pieces, number = list[str](), 0
    for place, one in enumerate(content):
        if isinstance(one, TextPart):
            pieces.append(one.text)
            continue
        name, number = names[number], number + 1
        is_between = any(isinstance(other, TextPart) for other in content[:place]) and any(
            isinstance(other, TextPart) for other in content[place + 1 :]
        )
        if f"{{{name}}}" not in text and is_between:
            pieces.append(f" {{{name}}} ")
    for one, name in zip(parts, names, strict=True):
        one.slot = name
    return " ".join("".join(pieces).split()), parts


def _slot_names(parts: list[EmbeddingPart]) -> list[str]:
    given = [one.slot for one in parts if one.slot]
    if len(set(given)) < len(given):
        raise Refused(
            "two embeddings stand in one slot", "give each a `slot` of its own, or none", code="slot_twice"
        )
    free = (name for name in _SLOTS if name not in given)
    return [one.slot or next(free) for one in parts]


def question_of(reader: Served, asked: ChatRequest, settings: Settings) -> QueuedQuestion:
    """What a request asks. Raises UserError before any model is opened."""
    text, parts = parts_of(asked.asked.content, settings.most_vectors)
    room = asked.max_completion_tokens or asked.max_tokens or min(64, settings.most_tokens)
    if room > settings.most_tokens:
        raise Refused(
            f"max_tokens is {room}, and {settings.most_tokens} may be",
            "ask for fewer",
            code="too_many_tokens",
            param="max_tokens",
        )
    for part in parts:
        if part.space:
            check_space(reader, part.space)
    points = {part.slot: part.point(reader, part.space) for part in parts}
    effort: AskedEffort | None = asked.vecspeak.effort
    search = checked_effort(effort, asked.temperature, otherwise="quick")
    task, space = asked.vecspeak.task, next(iter(points.values())).space
    asker, prepared = reader.prepared("" if task else text, at=points, task=task, effort=search, space=space)
    if task and text:  # a task that is not there was refused before
        raise Refused(
            f"the task {task} is a question of its own, and a text is given beside it",
            "leave out the text parts, or the task",
            code="question_and_task",
            param="vecspeak.task",
        )
    if asked.vecspeak.strict:
        asker.check_inside(prepared)
    sampling = Sampling(max_new_tokens=room, temperature=asked.temperature, seed=asked.seed or 0)
    return QueuedQuestion(asker, prepared, sampling, search)


def usage_of(question: QueuedQuestion, answer: Answer) -> dict[str, int] | None:
    """Tokens of the question as it stands in the prompt, and of the answer's text; drafts and searches do not count.

    None where nobody counts them, and where no reader said the answer: it was read from the vector, or written anew.
    """
    engine = question.asker.engine
    if answer.direct or answer.writer or not isinstance(engine, TokenCounter):
        return None
    asked, said = engine.num_tokens(question.prepared.prompt, answer.text)
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _ended_by(question: QueuedQuestion, answer: Answer, usage: dict[str, int] | None) -> str:
    """Why an answer ended: "length" where its room ended it, also before a sentence that is left out, else "stop"."""
    is_full = usage is not None and usage["completion_tokens"] >= question.sampling.max_new_tokens
    return "length" if answer.is_cut or is_full else "stop"


def completion(model: str, question: QueuedQuestion, answer: Answer, notes: list[str]) -> dict[str, Any]:
    """A whole answer as OpenAI's API sends it."""
    message = {
        "role": "assistant",
        "content": answer.text,
        "refusal": None,
        "evidence": evidence_of(answer, notes),
    }
    usage = usage_of(question, answer)
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": _ended_by(question, answer, usage),
        "logprobs": None,
    }
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "usage": usage,
    }


async def events(
    model: str,
    question: QueuedQuestion,
    pieces: AsyncIterator[str | Answer],
    notes: list[str],
    *,
    with_usage: bool = False,
) -> AsyncIterator[bytes]:
    """The same in pieces, as server-sent events; the evidence comes in the last, and behind it the usage if wanted."""
    head = {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
    }

    def event(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return _event({**head, "choices": [choice]})

    yield event({"role": "assistant", "content": ""})
    async for one in pieces:
        if isinstance(one, Answer):
            usage = usage_of(question, one)
            yield event(
                {"evidence": evidence_of(one, notes)},
                _ended_by(question, one, usage),
            )
            if with_usage:
                yield _event({**head, "choices": [], "usage": usage})
        elif one:
            yield event({"content": one})
    yield b"data: [DONE]\n\n"


def _event(chunk: dict[str, Any]) -> bytes:
    return f"data: {encoded(chunk)}\n\n".encode("ascii")
