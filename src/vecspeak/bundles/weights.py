"""Weights: a reader's adapter and LoRA to files and back. The only part of bundles that needs torch."""

import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from vecspeak.bundles.bundle import Bundle
from vecspeak.bundles.contents import file_digests
from vecspeak.bundles.manifest import ADAPTER, LORA, LORA_CONFIG, MANIFEST, READER, Manifest, ReaderCard
from vecspeak.errors import UserError, check_number, first_line
from vecspeak.model.adapter import Adapter, AdapterConfig
from vecspeak.model.named import base_place
from vecspeak.model.pretrained import load_language_model
from vecspeak.model.prompt import ChatFormat
from vecspeak.model.reader import Reader
from vecspeak.storage import copy_folder, read_json, replace_folder, write_json

_KEY = re.compile(r"base_model\.model\.(.+)\.lora_A\.weight")


def save_reader(folder: Path, reader: Reader, *, name: str, card: ReaderCard) -> None:
    """Write a trained reader as a bundle without spaces: adapter and LoRA (in PEFT's format) in float16."""
    with replace_folder(folder, marker=MANIFEST) as beside:
        (beside / LORA).parent.mkdir(parents=True)
        save_file(_halved(reader.adapter.state_dict()), beside / ADAPTER)
        _save_lora(reader.language_model, (beside / LORA).parent, card.base_model)
        _write_manifest(beside, name, card)


def _write_manifest(folder: Path, name: str, card: ReaderCard) -> None:
    made = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = Manifest(name=name, reader=card, files=file_digests(folder, READER), made=made)
    write_json(folder / MANIFEST, manifest.to_dict())


def average_readers(folder: Path, before: Bundle, after: Bundle, share: float, *, name: str) -> None:
    """Write the reader between one and what was trained from it: `share` of the way, adapter and LoRA number by number.

    What training added stays for the most part, and what it cost comes back (Wortsman et al. 2022, "Robust
    fine-tuning"). Sound only where `after` started from `before`. Raises UserError for readers of different shapes, and
    a share outside 0 to 1.
    """
    check_number("share", share, 0, 1)
    names = (ADAPTER, LORA)
    tables = [[load_file(one.folder / part) for part in names] for one in (before, after)]
    shapes = [[{key: value.shape for key, value in state.items()} for state in one] for one in tables]
    if shapes[0] != shapes[1]:
        raise UserError("the two readers have other shapes", "take a reader and one that was trained from it")
    card = after.manifest.reader
    origin = {
        "share": share,
        "before": {path: facts["sha256"] for path, facts in before.manifest.files.items()},
    }
    card = replace(card, data={**card.data, "averaged": origin}, scores={})
    with replace_folder(folder, marker=MANIFEST) as beside:
        copy_folder(after.reader_folder, beside / READER)
        for part, old, new in zip(names, *tables, strict=True):
            mixed = {key: torch.lerp(old[key].float(), new[key].float(), share) for key in new}
            save_file(_halved(mixed), beside / part)
        _write_manifest(beside, name, card)


def _halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().half().contiguous() for key, value in state.items()}


def _save_lora(model: Any, folder: Path, base_model: str) -> None:
    """PEFT's two files, from the language model that the LoRA was injected into, not PEFT's wrapper."""
    from peft.utils import get_peft_model_state_dict

    # Told not to look for the embeddings, peft does not ask the network what the base's vocabulary was.
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    state = {f"base_model.model.{key}": value for key, value in state.items()}
    save_file(_halved(state), folder / "adapter_model.safetensors")
    config = {k: v for k, v in model.peft_config["default"].to_dict().items() if not k.startswith("runtime")}
    config["target_modules"] = sorted(config["target_modules"])
    config["base_model_name_or_path"] = base_model
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=1, default=str), encoding="utf-8")


@torch.no_grad()
def merge_lora(model: nn.Module, lora: dict[str, Tensor], scaling: float) -> int:
    """Add `scaling * B @ A` to each linear layer that the LoRA names; how many there were.

    Raises UserError when half of a pair is missing, or a name or a width does not fit the language model.
    """
    layers = dict(model.named_modules())
    names = [match[1] for key in lora if (match := _KEY.fullmatch(key))]
    pairs = {f"base_model.model.{name}.lora_{side}.weight" for name in names for side in "AB"}
    if unpaired := sorted(pairs ^ set(lora)):
        raise UserError(f"the LoRA lacks one of the pair of {unpaired[0]}", "copy or make the bundle again")
    for name in names:
        down, up = (lora[f"base_model.model.{name}.lora_{side}.weight"].float() for side in "AB")
        layer = layers.get(name)
        weight = getattr(layer, "weight", None)
        if weight is not None and isinstance(layer, Conv1D):  # [inputs, outputs], as GPT-2 keeps it
            weight = weight.T
        if weight is None or weight.shape != (up.shape[0], down.shape[1]):
            raise UserError(
                f"the LoRA names {name}, which does not fit this language model", "use the bundle's own base"
            )
        weight += (scaling * (up @ down)).to(weight.dtype)
    return len(names)


def attach_saved_lora(model: nn.Module, lora: dict[str, Tensor], config: dict[str, Any]) -> None:
    """Let a LoRA in PEFT's form stand beside the layers that it names, for a base whose weights are quantized.

    Raises UserError where it does not fit the language model.
    """
    from peft import LoraConfig, inject_adapter_in_model
    from peft.utils import set_peft_model_state_dict

    wanted = LoraConfig(
        r=config["r"], lora_alpha=config["lora_alpha"], target_modules=config["target_modules"]
    )
    inject_adapter_in_model(wanted, model)
    plain = {key.removeprefix("base_model.model."): value for key, value in lora.items()}
    try:
        loaded: Any = set_peft_model_state_dict(model, plain)
        unknown = loaded.unexpected_keys
    except RuntimeError as error:  # another width
        unknown = [first_line(error)]
    if unknown:
        raise UserError(
            f"the LoRA does not fit this language model: {unknown[0]}", "use the bundle's own base"
        )


def best_device() -> str:
    """Where a reader runs fastest here."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_reader(
    bundle: Bundle, *, dtype: torch.dtype = torch.float32, device: str = "cpu", base_model: bool = False
) -> Reader:
    """A reader ready to generate: base opened, LoRA merged, adapter beside it in float32.

    `base_model` leaves the LoRA out: the language model as it was, which baselines are made with.
    Raises UserError when the weights do not fit each other, when the bundle's files are broken, and for a base that
    neither the package knows nor a person named here.
    """
    card = bundle.manifest.reader
    try:
        adapter, chat = _load_adapter(bundle.folder / ADAPTER, card), ChatFormat(**card.chat)
        config = read_json(bundle.folder / LORA_CONFIG)
        lora = load_file(bundle.folder / LORA)
        scaling = config["lora_alpha"] / config["r"]
    except (
        OSError,
        SafetensorError,
        KeyError,
        TypeError,
        ValueError,
        ArithmeticError,
        RuntimeError,
    ) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"the reader in {bundle.folder} is damaged ({reason})", "copy or make the bundle again"
        ) from error
    model, tokenizer = load_language_model(base_place(card.base_model, card.base_sha256), torch.float32)
    if getattr(
        model, "is_quantized", False
    ):  # 4 bits cannot take a sum, and keep the precision that they have
        if not base_model:
            attach_saved_lora(model, lora, config)
        model = model.to(device)
    else:
        if not base_model:
            merge_lora(model, lora, scaling)
        model = model.to(device=device, dtype=dtype)
    return Reader(model.eval(), tokenizer, adapter.to(device).eval(), chat)


def _load_adapter(path: Path, card: ReaderCard) -> Adapter:
    adapter = Adapter(AdapterConfig(**card.adapter))
    adapter.load_state_dict({key: value.float() for key, value in load_file(path).items()})
    return adapter


def adapter_card(reader: Reader) -> tuple[dict[str, Any], dict[str, str]]:
    """The adapter's configuration and the chat format as plain values."""
    return asdict(reader.adapter.config), asdict(reader.chat)
