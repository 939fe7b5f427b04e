"""Teachers on this machine: a language model on any engine, and facts put into a task's own sentences."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from vecspeak.engines import AUTO, Engine, Sampling
from vecspeak.engines.registry import ENGINES
from vecspeak.errors import UserError
from vecspeak.model.pretrained import (
    KNOWN_MODELS,
    has_gpu,
    has_openvino,
    load_language_model,
    locate_model,
    model_stamp,
)
from vecspeak.model.prompt import PLAIN, ChatFormat, chat_format
from vecspeak.storage import read_json
from vecspeak.tasks.examples import TaskExample, compose
from vecspeak.teachers.base import FACTS, Generation, Teacher, TeacherConfig, max_answer_tokens

if TYPE_CHECKING:
    from vecspeak.model.reader import Reader

_CHUNK = 256
"""Examples handed to the engine together: enough to fill its batch, few enough that results come early."""
_MARK = "VECSPEAKMARK"
_ENGINES = (AUTO, *ENGINES)


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
        self.name = model if model in KNOWN_MODELS else locate_model(model).resolve().name
        # A folder's name says little of what is in it; a packaged model is one and the same everywhere.
        self._files = [] if model in KNOWN_MODELS else [model_stamp(model)]
        self._engine: Engine | None = None
        self._chat = PLAIN

    def settings_for(self, example: TaskExample) -> str:
        """Return sampling, length and a folder's files; not the engine, which changes little."""
        config = self.config
        seed = config.seed if config.temperature else 0
        room, start = max_answer_tokens(example.task), example.task.start
        return json.dumps([config.temperature, seed, room, start, *self._files])

    def write(self, examples: Sequence[TaskExample]) -> Iterator[tuple[int, Generation]]:
        """Write in chunks of examples of similar length, so that few wait for a long one."""
        if not examples:
            return
        engine = self._opened()
        for chunk in chunks(examples, _CHUNK):
            room = max_answer_tokens(examples[chunk[0]].task)
            sampling = Sampling(
                max_new_tokens=room, temperature=self.config.temperature, seed=self.config.seed
            )
            prompts = [(self._prompt(examples[number]),) for number in chunk]
            for place, text in engine.answers(prompts, sampling):
                yield chunk[place], self._written(engine, examples[chunk[place]], text, room)

    def _written(self, engine: Any, example: TaskExample, text: str, room: int) -> Generation:
        count = len(_ids(engine.reader.tokenizer, text))
        read = len(_ids(engine.reader.tokenizer, self._chat.before + self._prompt(example)))
        text = f"{example.task.start} {text}".strip() if text else ""  # a beginning alone is nothing
        return Generation(text=text, tokens_in=read, tokens_out=count, cut=count >= room)

    def _prompt(self, example: TaskExample) -> str:
        """Return the prompt and the beginning of the answer, with which the model goes on."""
        return example.context + self._chat.after + example.task.start

    def _opened(self) -> Engine:
        if self._engine is None:
            self._chat = chat_format_of(_tokenizer(self.model))
            self._engine = _open(self.model, self.config.engine)
        return self._engine


def _tokenizer(model: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(locate_model(model), local_files_only=True)


def _open_ended(tokenizer: Any) -> ChatFormat:
    """Return the chat format without the end of a question: prompts bring that and the answer's beginning."""
    return replace(chat_format_of(tokenizer), after="")


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


def _ids(tokenizer: Any, text: str) -> list[int]:
    """Encode a text with a tokenizer of transformers or of tokenizers."""
    made = tokenizer.encode(text, add_special_tokens=False)
    return list(getattr(made, "ids", made))


def chat_format_of(tokenizer: Any) -> ChatFormat:
    """Return what the tokenizer's chat template puts around a question; ChatML or plain text without a template.

    Raises UserError where the template drops the question.
    """
    if not getattr(tokenizer, "chat_template", None):
        return chat_format(tokenizer)
    asked = [{"role": "user", "content": _MARK}]
    opened = _rendered(tokenizer, asked, add_generation_prompt=True)
    before, found, after = opened.partition(_MARK)
    if not found:
        raise UserError("the chat template of this model drops the question", "give an instruct model")
    answered = _rendered(tokenizer, [*asked, {"role": "assistant", "content": _MARK}])
    ending = answered.rpartition(_MARK)[2].strip()
    return ChatFormat(before=before, after=after, stop=ending or tokenizer.eos_token or "\n")


def _rendered(tokenizer: Any, messages: list[dict[str, str]], *, add_generation_prompt: bool = False) -> str:
    # No thinking aloud: a target has no room for it.
    return str(
        tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt, enable_thinking=False
        )
    )


def _open(model: str, engine: str) -> Engine:
    if engine == AUTO:
        engine = "openvino" if not has_gpu() and not why_not_openvino(model) else "transformers"
    if engine == "transformers":
        from vecspeak.bundles.weights import best_device
        from vecspeak.engines.transformers import TransformersEngine

        device = best_device()
        return TransformersEngine(_reader(model, half=device == "cuda", device=device))
    if reason := why_not_openvino(model):
        raise UserError(f"{model} cannot run on OpenVINO: {reason}", "use `engine='transformers'`")
    from vecspeak.engines.openvino import OpenVINOEngine

    return OpenVINOEngine(_prepared(model))


def why_not_openvino(model: str) -> str:
    """Return why a model cannot run on OpenVINO; empty when it can."""
    from vecspeak.engines.prepared import unsupported

    if not has_openvino():
        return "openvino is not installed"
    return unsupported(read_json(locate_model(model) / "config.json"))


def _reader(model: str, *, half: bool = False, device: str = "cpu") -> "Reader":
    """Load the model as a reader with a placeholder adapter: no vector is in these prompts."""
    import torch

    from vecspeak.model.adapter import Adapter, AdapterConfig
    from vecspeak.model.reader import Reader

    loaded, tokenizer = load_language_model(model, torch.bfloat16 if half else torch.float32)
    size = AdapterConfig(vector_dim=1, model_dim=loaded.config.hidden_size, hidden_dim=1, num_soft_tokens=1)
    return Reader(loaded.to(device), tokenizer, Adapter(size).eval().to(device), _open_ended(tokenizer))


def _prepared(model: str) -> Any:
    """Open the model's graph in the user's cache, and build it where it is not there yet."""
    from vecspeak.engines.prepared import (
        EXACT,
        FORMAT,
        LightAdapter,
        build_once,
        open_prepared_folder,
        prepared_folder,
        write_prepared,
    )

    chat = _open_ended(_tokenizer(model))
    parts = ["teacher", FORMAT, version("openvino"), EXACT, model_stamp(model), asdict(chat)]
    folder = prepared_folder(parts)
    build_once(folder, lambda temporary: write_prepared(_reader(model), temporary))
    nothing = {"expand.weight": np.zeros((1, 1), dtype=np.float32)}
    return open_prepared_folder(folder, LightAdapter(arrays=nothing, num_soft_tokens=1, token_norm=1.0), chat)


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
