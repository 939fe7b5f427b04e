"""Modules of a sentence-transformers folder, checked before the library reads any of it: no code, no pickles."""

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import msgspec

from vecspeak.errors import UserError

KNOWN_MODULES = ("Transformer", "Pooling", "Normalize", "Dense", "LayerNorm", "Dropout", "StaticEmbedding")
"""The library's own modules that a text encoder is made of; others name classes in files of theirs."""
_TYPE = re.compile(rf"sentence_transformers\.(?:\w+\.)*(?:{'|'.join(KNOWN_MODULES)})")
_ACTIVATION = re.compile(r"torch\.nn\.modules\.\w+\.\w+")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


class _Module(msgspec.Struct):
    """A line of modules.json."""

    type: str
    path: Annotated[str, msgspec.Meta(max_length=200)] = ""


class _Dense(msgspec.Struct):
    activation_function: str = "torch.nn.modules.activation.Tanh"


def check_modules(folder: Path) -> None:
    """Raise UserError for a folder whose modules are not the library's own, lie elsewhere, or are pickled.

    A folder without modules.json is a language model alone, which the library pools itself.
    """
    path = folder / "modules.json"
    if not path.is_file():
        return
    for module in _decoded(path, list[_Module]):
        if not _TYPE.fullmatch(module.type):
            raise UserError(
                f"{path} names the module {module.type!r}, and no code of a model is run: only "
                f"{', '.join(KNOWN_MODULES)} of sentence_transformers are opened",
                "choose another folder",
            )
        inside = PurePosixPath(module.path)
        if inside.is_absolute() or ".." in inside.parts or "\\" in module.path or ":" in module.path:
            raise UserError(
                f"{path} names the module folder {module.path!r}, which is not inside",
                "choose another folder",
            )
        _check_files(folder / inside, module.type)


def _check_files(folder: Path, kind: str) -> None:
    """Raise UserError for weights that are only there as pickles, and for an activation that is no layer of torch."""
    pickled = [path for pattern in _PICKLES for path in folder.glob(pattern)]
    if pickled and not any(folder.glob("*.safetensors")):
        raise UserError(
            f"{pickled[0]} is a pickle, which can run code and is never opened",
            "choose a folder with model.safetensors",
        )
    if kind.endswith(".Dense") and (folder / "config.json").is_file():
        given = _decoded(folder / "config.json", _Dense).activation_function
        if not _ACTIVATION.fullmatch(given):
            raise UserError(
                f"{folder / 'config.json'} names the activation {given!r}, which is no layer of torch.nn.modules",
                "choose another folder",
            )


def _decoded(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise UserError(
            f"cannot load an encoder from {path.parent}: {path.name}: {error}", "choose another folder"
        ) from error
