"""Teachers on this machine: a language model on any engine, and facts put into a task's own sentences."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from vecspeak.engines import AUTO, Engine, Sampling
from vecspeak.engines.language_model import open_language_model, tokenizer_of
from vecspeak.engines.registry import local_engines
from vecspeak.errors import UserError
from vecspeak.model.chat import chat_format_of
from vecspeak.model.pretrained import KNOWN_MODELS, model_stamp, model_title
from vecspeak.model.prompt import PLAIN
from vecspeak.model.special_tokens import ChatMarkup, foreign_ids, joined_ids
from vecspeak.tasks.examples import TaskExample, compose
from vecspeak.teachers.base import (
    FACTS,
    Budget,
    BudgetError,
    Generation,
    Teacher,
    TeacherConfig,
    max_answer_tokens,
)

_CHUNK = 256
"""Examples handed to the engine together: enough to fill its batch, few enough that results come early."""
_ENGINES = (AUTO, *local_engines())


class LocalTeacher(Teacher):
    """Writes with a language model of this machine, which is opened at the first example."""

    def __init__(self, model: str, config: TeacherConfig | None = None) -> None:
        """Raises UserError for an unknown model or engine, and for a temperature out of range."""
        self.model, self.config = model, config or TeacherConfig()
        Sampling(temperature=self.config.temperature, seed=self.config.seed)  # checks both
        if self.config.engine not in _ENGINES:
            raise UserError(
                f"unknown engine {self.config.engine!r}; known are {', '.join(_ENGINES)}",
                "use `engine='auto'`",
            )
        self.name = model_title(model)
        # A folder's name says little of what is in it; a packaged model is one and the same everywhere.
        self._files = [] if model in KNOWN_MODELS else [model_stamp(model)]
        self.budget: Budget = Budget(self.config.limits)
        self._engine: Engine | None = None
        self._chat = PLAIN

    def settings_for(self, example: TaskExample) -> str:
        """Return sampling, length and a folder's files; not the engine, which changes little."""
        config = self.config
        seed = config.seed if config.temperature else 0
        room, start = max_answer_tokens(example.task), example.task.start
        return json.dumps([config.temperature, seed, room, start, *self._files])

    def write(self, examples: Sequence[TaskExample]) -> Iterator[tuple[int, Generation]]:
        """Write in chunks of examples of similar length, so that few wait for a long one.

        Raises BudgetError where the budget ends: after the reply that reached it, since nothing more is known before.
        """
        if not examples:
            return
        self._check_budget()
        engine = self._opened()
        for chunk in chunks(examples, _CHUNK):
            room = max_answer_tokens(examples[chunk[0]].task)
            sampling = Sampling(
                max_new_tokens=room, temperature=self.config.temperature, seed=self.config.seed
            )
            prompts = [self._prompt(examples[number]) for number in chunk]
            for place, text in engine.answers(prompts, sampling):
                written = self._written(engine, examples[chunk[place]], text, room)
                yield chunk[place], written
                self.budget.settle((0, 0), written.tokens_in or 0, written.tokens_out or 0)
                self._check_budget()

    def _check_budget(self) -> None:
        if self.budget.exceeded_by(0, 1):
            raise BudgetError(self.budget.why_not(0, 1))

    def _written(self, engine: Any, example: TaskExample, text: str, room: int) -> Generation:
        tokenizer = engine.reader.tokenizer
        count = len(foreign_ids(tokenizer, text))
        read = len(joined_ids(tokenizer, [ChatMarkup(self._chat.before), *self._prompt(example)]))
        text = f"{example.task.start} {text}".strip() if text else ""  # a beginning alone is nothing
        return Generation(text=text, tokens_in=read, tokens_out=count, cut=count >= room)

    def _prompt(self, example: TaskExample) -> tuple[str, ...]:
        """Return the prompt and the beginning of the answer, with which the model goes on."""
        return example.context, ChatMarkup(self._chat.after), example.task.start

    def _opened(self) -> Engine:
        if self._engine is None:
            self._chat = chat_format_of(tokenizer_of(self.model))
            self._engine = open_language_model(self.model, self.config.engine)
        return self._engine


def chunks(examples: Sequence[TaskExample], size: int) -> Iterator[list[int]]:
    """Yield numbers of examples that may be equally long, the shortest first."""
    order = sorted(
        range(len(examples)), key=lambda n: (max_answer_tokens(examples[n].task), len(examples[n].context))
    )
    chunk: list[int] = []
    for number in order:
        room = max_answer_tokens(examples[number].task)
        if chunk and (len(chunk) == size or max_answer_tokens(examples[chunk[0]].task) != room):
            yield chunk
            chunk = []
        chunk.append(number)
    yield chunk


class FactsTeacher(Teacher):
    """Puts known facts into a task's sentences; writes an empty text where the task needs an opinion."""

    name = FACTS
    uses_tokens = False

    def settings_for(self, example: TaskExample) -> str:
        """Return the sentences and the facts: the prompt of other teachers does not count here."""
        return json.dumps([example.task.facts, dict(example.facts)], sort_keys=True)

    def write(self, examples: Sequence[TaskExample]) -> Iterator[tuple[int, Generation]]:
        """Write one after the other, at once."""
        for number, example in enumerate(examples):
            yield number, Generation(text=self.preview(example) or "", tokens_in=0, tokens_out=0)

    def preview(self, example: TaskExample) -> str | None:
        """Return the text itself."""
        return compose(example.task, example.facts)
