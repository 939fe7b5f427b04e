"""Language models on this machine as they are, without vectors: teachers and writers are opened here."""

from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from vecspeak.engines.base import Engine
from vecspeak.engines.registry import AUTO
from vecspeak.errors import UserError
from vecspeak.model.chat import chat_format_of
from vecspeak.model.pretrained import has_gpu, has_openvino, load_language_model, locate_model, model_stamp
from vecspeak.model.prompt import ChatFormat
from vecspeak.storage import read_json

if TYPE_CHECKING:
    from vecspeak.model.reader import Reader


def tokenizer_of(model: str) -> Any:
    """The tokenizer of a language model's name or folder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(locate_model(model), local_files_only=True, trust_remote_code=False)


def open_ended(tokenizer: Any) -> ChatFormat:
    """Return the chat format without the end of a question: prompts bring that and the answer's beginning."""
    return replace(chat_format_of(tokenizer), after="")


def open_language_model(model: str, engine: str = AUTO) -> Engine:
    """An engine whose prompts are texts alone; each ends as `chat_format_of` says, for the engine adds no ending.

    Raises UserError where the engine cannot run the model.
    """
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
    size = AdapterConfig(
        vector_dim=1,
        model_dim=loaded.config.get_text_config(decoder=True).hidden_size,
        hidden_dim=1,
        num_soft_tokens=1,
    )
    return Reader(loaded.to(device), tokenizer, Adapter(size).eval().to(device), open_ended(tokenizer))


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

    chat = open_ended(tokenizer_of(model))
    parts = ["teacher", FORMAT, version("openvino"), EXACT, model_stamp(model)]
    folder = prepared_folder(parts)
    build_once(folder, lambda temporary: write_prepared(_reader(model), temporary))
    nothing = {"expand.weight": np.zeros((1, 1), dtype=np.float32)}
    return open_prepared_folder(folder, LightAdapter(arrays=nothing, num_soft_tokens=1, token_norm=1.0), chat)
