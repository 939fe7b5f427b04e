"""Continued: a reader to train that begins as the saved one of a bundle, instead of a closed-form start.

Knows the files of a saved reader and the names of a LoRA's parameters. Knows nothing of data or of the loop.
"""

import dataclasses
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vecspeak.adapter import Adapter, AdapterConfig
from vecspeak.bundles import Bundle
from vecspeak.errors import UserError
from vecspeak.files import read_json
from vecspeak.injection import ChatFormat
from vecspeak.model import Reader
from vecspeak.training.recipe import Recipe


def check_start(recipe: Recipe, start: Bundle, vector_dim: int) -> None:
    """Raise UserError, naming both, when the recipe's reader is another than the one it is to begin from."""
    card = start.manifest.reader
    config = read_json(start.reader_folder / "lora" / "adapter_config.json")
    wanted: dict[str, Any] = {
        "base.model": recipe.base.model,
        "base.encoder": recipe.base.encoder,
        "vectors of numbers": vector_dim,
        "adapter.hidden_dim": recipe.adapter.hidden_dim,
        "adapter.num_soft_tokens": recipe.adapter.num_soft_tokens,
        "lora.rank": recipe.lora.rank,
        "lora.alpha": recipe.lora.alpha,
        "lora.targets": sorted(recipe.lora.targets),
    }
    given = {
        "base.model": card.base_model,
        "base.encoder": card.encoder,
        "vectors of numbers": card.adapter.get("vector_dim"),
        "adapter.hidden_dim": card.adapter.get("hidden_dim"),
        "adapter.num_soft_tokens": card.adapter.get("num_soft_tokens"),
        "lora.rank": config.get("r"),
        "lora.alpha": config.get("lora_alpha"),
        "lora.targets": sorted(config.get("target_modules", [])),
    }
    for name, value in wanted.items():
        if given[name] != value:
            raise UserError(
                f"the recipe {recipe.name!r} says {name} = {value}, the reader it starts from "
                f"({start.folder}) has {given[name]}",
                "correct the recipe, or start from another reader",
            )


def continue_reader(reader: Reader, start: Bundle) -> Reader:
    """The reader with the weights, the statistics and the chat format of a saved one of the same shape.

    Raises UserError when the files do not hold what the manifest says.
    """
    card = start.manifest.reader
    try:
        adapter = Adapter(AdapterConfig(**card.adapter))
        state = load_file(start.reader_folder / "adapter.safetensors")
        adapter.load_state_dict({name: value.float() for name, value in state.items()})
        _fill_lora(
            reader.language_model, load_file(start.reader_folder / "lora" / "adapter_model.safetensors")
        )
        chat = ChatFormat(**card.chat)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"the reader in {start.folder} is damaged ({reason})", "copy or make the bundle again"
        ) from error
    return dataclasses.replace(reader, adapter=adapter.to(reader.device), chat=chat)


@torch.no_grad()
def _fill_lora(language_model: Any, lora: dict[str, Tensor]) -> None:
    """Copy a LoRA in PEFT's form into the one that is attached. Raises KeyError where they are not the same."""
    attached = {name: value for name, value in language_model.named_parameters() if "lora_" in name}
    saved = {
        f"{key.removeprefix('base_model.model.').removesuffix('.weight')}.default.weight": value
        for key, value in lora.items()
    }
    if unpaired := sorted(set(attached) ^ set(saved)):
        raise KeyError(unpaired[0])
    for name, value in saved.items():
        attached[name].copy_(value)
