"""The teacher on this machine: a causal language model from a folder, asked in the way it was trained to be asked.

On OpenVINO in int8 where its family is known and there is no GPU, else on the reference engine. Knows language models,
chat templates and engines. Fetches nothing, keeps nothing but the prepared graph in the user's cache.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from vecspeak.bases import KNOWN_MODELS, fingerprint, load_language_model, locate_model
from vecspeak.engines import AUTO, Engine, Sampling
from vecspeak.errors import UserError
from vecspeak.files import read_json
from vecspeak.layout import PLAIN, ChatFormat, chat_format
from vecspeak.machine import has_gpu, has_openvino
from vecspeak.tasks.lessons import Lesson
from vecspeak.teachers.base import Written, longest_answer

if TYPE_CHECKING:
    from vecspeak.model import Reader

_CHUNK = 256
"""Lessons that are begun together: enough that rows which end make way for others, few enough to hear of early."""
_MARK = "VECSPEAKMARK"
_ENGINES = (AUTO, "openvino", "transformers")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """How a local teacher writes."""

    temperature: float = 0.0
    """0 takes the likeliest token each time."""
    seed: int = 0
    engine: str = AUTO

    def __post_init__(self) -> None:
        Sampling(temperature=self.temperature, seed=self.seed)
        if self.engine not in _ENGINES:
            raise UserError(
                f"unknown engine {self.engine!r}; known are {', '.join(_ENGINES)}", "use --engine auto"
            )


class LocalTeacher:
    """Writes with a language model of this machine. Opens it at the first lesson."""

    def __init__(self, model: str, settings: LocalSettings | None = None) -> None:
        """UserError where there is no such model."""
        self.model, self.settings = model, settings or LocalSettings()
        self.name = model if model in KNOWN_MODELS else locate_model(model).resolve().name
        # A folder's name says little of what is in it; a packaged model is one and the same everywhere.
        self._files = [] if model in KNOWN_MODELS else [fingerprint(model)]
        self._engine: Engine | None = None
        self._chat = PLAIN

    def settings_for(self, lesson: Lesson) -> str:
        """The draw, the room and a folder's files; not the engine, which changes little."""
        chosen = self.settings
        seed = chosen.seed if chosen.temperature else 0
        room, start = longest_answer(lesson.task), lesson.task.start
        return json.dumps([chosen.temperature, seed, room, start, *self._files])

    def write(self, lessons: Sequence[Lesson]) -> Iterator[tuple[int, Written]]:
        """In chunks of lessons of like length, so that few wait for a long one."""
        if not lessons:
            return
        engine = self._opened()
        for chunk in chunks(lessons, _CHUNK):
            room = longest_answer(lessons[chunk[0]].task)
            sampling = Sampling(
                max_new_tokens=room, temperature=self.settings.temperature, seed=self.settings.seed
            )
            prompts = [(self._told(lessons[number]),) for number in chunk]
            for place, text in engine.answers(prompts, sampling):
                yield chunk[place], self._written(engine, lessons[chunk[place]], text, room)

    def _written(self, engine: Any, lesson: Lesson, text: str, room: int) -> Written:
        count = len(_ids(engine.reader.tokenizer, text))
        told = len(_ids(engine.reader.tokenizer, self._chat.before + self._told(lesson)))
        text = f"{lesson.task.start} {text}".strip() if text else ""  # a beginning alone is nothing
        return Written(text=text, tokens_in=told, tokens_out=count, cut=count >= room)

    def _told(self, lesson: Lesson) -> str:
        """What the lesson tells, and the beginning of the answer, which the model then goes on with."""
        return lesson.told + self._chat.after + lesson.task.start

    def _opened(self) -> Engine:
        if self._engine is None:
            self._chat = chat_format_of(_tokenizer(self.model))
            self._engine = _open(self.model, self.settings.engine)
        return self._engine


def _tokenizer(model: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(locate_model(model), local_files_only=True)


def _open_ended(tokenizer: Any) -> ChatFormat:
    """The chat format without what ends a question: prompts bring that, and the answer's beginning, themselves."""
    return replace(chat_format_of(tokenizer), after="")


def chunks(lessons: Sequence[Lesson], size: int) -> Iterator[list[int]]:
    """Numbers of lessons with the same room for their answer, the shortest first."""
    order = sorted(range(len(lessons)), key=lambda n: (longest_answer(lessons[n].task), len(lessons[n].told)))
    chunk: list[int] = []
    for number in order:
        room = longest_answer(lessons[number].task)
        if chunk and (len(chunk) == size or longest_answer(lessons[chunk[0]].task) != room):
            yield chunk
            chunk = []
        chunk.append(number)
    yield chunk


def _ids(tokenizer: Any, text: str) -> list[int]:
    """Token ids of either kind of tokenizer."""
    made = tokenizer.encode(text, add_special_tokens=False)
    return list(getattr(made, "ids", made))


def chat_format_of(tokenizer: Any) -> ChatFormat:
    """What stands around a question by the tokenizer's own chat template; ChatML or plain text where it has none."""
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
    # A template that lets a model think aloud is told not to: a target has no room for it.
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
        raise UserError(f"{model} cannot run on OpenVINO: {reason}", "use --engine transformers")
    from vecspeak.engines.openvino import OpenVINOEngine

    return OpenVINOEngine(_prepared(model))


def why_not_openvino(model: str) -> str:
    """Why a model cannot run on OpenVINO, in words; empty when it can."""
    from vecspeak.engines.prepared import unsupported

    if not has_openvino():
        return "openvino is not installed"
    return unsupported(read_json(locate_model(model) / "config.json"))


def _reader(model: str, *, half: bool = False, device: str = "cpu") -> "Reader":
    """The model as a reader whose adapter is a stand-in: no vector is in these prompts."""
    import torch

    from vecspeak.adapter import Adapter, AdapterConfig
    from vecspeak.model import Reader

    loaded, tokenizer = load_language_model(model, torch.bfloat16 if half else torch.float32)
    size = AdapterConfig(vector_dim=1, model_dim=loaded.config.hidden_size, hidden_dim=1, num_soft_tokens=1)
    return Reader(loaded.to(device), tokenizer, Adapter(size).eval().to(device), _open_ended(tokenizer))


def _prepared(model: str) -> Any:
    """The model's graph from the user's cache, made where it is not there yet."""
    from vecspeak.engines.light import LightAdapter
    from vecspeak.engines.prepared import EXACT, FORMAT, make_whole, open_folder, place_of, write_prepared

    chat = _open_ended(_tokenizer(model))
    parts = ["teacher", FORMAT, version("openvino"), EXACT, fingerprint(model), asdict(chat)]
    folder = place_of(parts)
    make_whole(folder, lambda beside: write_prepared(_reader(model), beside))
    nothing = {"expand.weight": np.zeros((1, 1), dtype=np.float32)}
    return open_folder(folder, LightAdapter(arrays=nothing, num_soft_tokens=1, token_norm=1.0), chat)
