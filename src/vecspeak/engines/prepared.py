"""Prepared readers: a bundle's reader as files that open in a fraction of a second, without torch.

The language model with its LoRA merged, as an int8 graph, plain and compiled; its token embeddings; its tokenizer. They
lie in the user's cache, made once for a reader, its base and a version of OpenVINO; deleting them costs the making
only. Knows files, bundles and the shapes of decoders. Generates nothing.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vecspeak.bases import KNOWN_MODELS, cache_folder, fingerprint, locate_model
from vecspeak.bundles import Bundle
from vecspeak.engines.light import LightAdapter, LightReader
from vecspeak.errors import UserError
from vecspeak.files import exclusive, read_json, replace_folder, write_json
from vecspeak.layout import ChatFormat
from vecspeak.machine import has_openvino

if TYPE_CHECKING:
    from vecspeak.model import Reader

FORMAT = 2
"""Of what is prepared; another number makes it anew."""
FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
"""Language models that `graph.py` can build, by the `model_type` of their config."""
EXACT = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
"""For OpenVINO: everything but the weights in float32. One answer waits for the weights, not for the products."""
BFLOAT16 = {**EXACT, "INFERENCE_PRECISION_HINT": "bf16", "KV_CACHE_PRECISION": "bf16"}
"""For many answers, which wait for the products, where the processor multiplies bfloat16."""
ROUNDED = {**EXACT, "DYNAMIC_QUANTIZATION_GROUP_SIZE": "32"}
"""For many answers elsewhere: the inputs of products as int8 too, in groups of 32. Moves the logits twice as far."""
MARKER, GRAPH, COMPILED = "prepared.json", "model.xml", "model.blob"
_EMBEDDING, _TOKENIZER = "embedding.npy", "tokenizer.json"
_FILES = {GRAPH, "model.bin", COMPILED, _EMBEDDING, _TOKENIZER}
_KEPT = 6
"""Prepared readers that stay; of more, those that were opened longest ago are removed."""
_ROTARY = ("default", "linear", "llama3", "yarn")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """An opened prepared reader: the small parts in memory, the graph still on disk."""

    folder: Path
    reader: LightReader
    quantized: bool
    """Whether its matrices are int8; if not, everything is computed in float32."""


def why_not(bundle: Bundle) -> str:
    """Why a bundle's reader cannot be prepared, in words; empty when it can."""
    if not has_openvino():
        return "openvino is not installed"
    if (_folder(bundle) / MARKER).is_file():
        return ""
    base = bundle.manifest.reader.base_model
    if base in KNOWN_MODELS and KNOWN_MODELS[base].family in FAMILIES:
        return ""  # told without converting its file, which takes long
    return unsupported(read_json(locate_model(base) / "config.json"))


def unsupported(config: Mapping[str, Any]) -> str:
    """What of a language model's config the graph cannot do, in words; empty when it can do all."""
    family, rotary = config.get("model_type"), config.get("rope_parameters") or {}
    kinds = set(config.get("layer_types") or ["full_attention"])
    if family not in FAMILIES:
        return f"its language model is of the family {family!r}; known are {', '.join(FAMILIES)}"
    if config.get("hidden_act") != "silu":
        return f"its activation is {config.get('hidden_act')!r}, not 'silu'"
    if kinds != {"full_attention"} or (family == "mistral" and config.get("sliding_window")):
        return "some of its layers look back over a window only"
    if rotary.get("rope_type", "default") not in _ROTARY or rotary.get("partial_rotary_factor", 1) != 1:
        return f"its rotary positions are {rotary}"
    return ""


def is_prepared(bundle: Bundle, *, untouched: bool = False) -> bool:
    """Whether opening takes a fraction of a second, not the time of the making."""
    return _is_whole(_folder(bundle, untouched))


def prepare(bundle: Bundle, *, untouched: bool = False) -> Path:
    """The folder of the prepared reader, made where it is not there yet: some seconds, with torch.

    `untouched` leaves the LoRA out. Raises UserError when the language model is of a kind that the graph cannot do.
    """
    folder = _folder(bundle, untouched)

    def write(beside: Path) -> None:
        if reason := why_not(bundle):
            raise UserError(f"this reader cannot run on OpenVINO: {reason}", "use --engine transformers")
        from vecspeak.bundles.weights import load_reader

        write_prepared(load_reader(bundle, untouched=untouched), beside)

    make_whole(folder, write)
    return folder


def place_of(parts: Sequence[Any]) -> Path:
    """The folder in the user's cache of what depends on these parts, plain values all."""
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return cache_folder() / "prepared" / digest[:24]


def make_whole(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill the folder where it is not whole yet, and make room for it; one process at a time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(folder):
        if not _is_whole(folder):
            with replace_folder(folder, marker=MARKER) as beside:
                write(beside)
            _remove_old(folder.parent)
    (folder / MARKER).touch()


def open_prepared(bundle: Bundle, *, untouched: bool = False) -> Prepared:
    """Open a bundle's prepared reader; it is prepared first where that was not done yet."""
    from safetensors.numpy import load_file

    folder = prepare(bundle, untouched=untouched)
    card = bundle.manifest.reader
    arrays = load_file(bundle.reader_folder / "adapter.safetensors")
    adapter = LightAdapter(
        arrays={name: array.astype(np.float32) for name, array in arrays.items()},
        num_soft_tokens=card.adapter["num_soft_tokens"],
        token_norm=card.adapter["token_norm"],
    )
    return open_folder(folder, adapter, ChatFormat(**card.chat))


def open_folder(folder: Path, adapter: LightAdapter, chat: ChatFormat) -> Prepared:
    """What `write_prepared` wrote, with the adapter and the chat format that stand before it."""
    from tokenizers import Tokenizer

    known = read_json(folder / MARKER)
    reader = LightReader(
        tokenizer=Tokenizer.from_file(str(folder / _TOKENIZER)),
        embedding_VE=np.load(folder / _EMBEDDING, mmap_mode="r", allow_pickle=False),
        adapter=adapter,
        chat=chat,
        stop_ids=tuple(known["stop_ids"]),
    )
    return Prepared(folder=folder, reader=reader, quantized=known["quantized"])


def _folder(bundle: Bundle, untouched: bool = False) -> Path:
    if not has_openvino():
        raise UserError("openvino is not installed", "pip install openvino, or use --engine transformers")
    card = bundle.manifest.reader
    return place_of(
        [
            FORMAT,
            untouched,
            version("openvino"),
            EXACT,
            fingerprint(card.base_model),
            card.chat,
            bundle.manifest.files,
        ]
    )


def _is_whole(folder: Path) -> bool:
    """Whether every file is there with its size and its head; what is not whole is made again."""
    try:
        files = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
        return set(files) == _FILES and all(_mark(folder / name) == mark for name, mark in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _mark(path: Path) -> list[int | str]:
    """Size, and digest of the first 64 KB: the whole would take as long to read as to use."""
    with path.open("rb") as file:
        return [path.stat().st_size, hashlib.sha256(file.read(2**16)).hexdigest()]


def write_prepared(reader: "Reader", folder: Path, *, quantized: bool = True) -> None:
    """Write what a reader with its LoRA merged is on OpenVINO into an empty folder; in float32 unless `quantized`."""
    import openvino as ov

    from vecspeak.engines.graph import decoder_graph

    model = reader.language_model
    weights = {name: value.float().numpy() for name, value in model.state_dict().items()}
    graph = decoder_graph(decoder_shape(model), weights, quantized=quantized)
    ov.save_model(graph, folder / GRAPH, compress_to_fp16=False)
    compiled = ov.Core().compile_model(graph, "CPU", EXACT)
    (folder / COMPILED).write_bytes(compiled.export_model().getvalue())
    np.save(folder / _EMBEDDING, weights["model.embed_tokens.weight"].astype(np.float16))
    reader.tokenizer.backend_tokenizer.save(str(folder / _TOKENIZER))
    files = {path.name: _mark(path) for path in sorted(folder.iterdir())}
    known = {"format": FORMAT, "quantized": quantized, "stop_ids": reader.stop_ids, "files": files}
    write_json(folder / MARKER, known)


def decoder_shape(model: Any) -> Any:
    """The DecoderShape of a language model of transformers, one of FAMILIES."""
    from vecspeak.engines.graph import DecoderShape

    config, rotary = model.config, model.model.rotary_emb
    return DecoderShape(
        num_layers=config.num_hidden_layers,
        model_dim=config.hidden_size,
        num_heads=config.num_attention_heads,
        num_kv_heads=config.num_key_value_heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        norm_epsilon=config.rms_norm_eps,
        frequencies=rotary.inv_freq.float().cpu().numpy(),
        rotary_scale=float(rotary.attention_scaling),
    )


def _remove_old(folder: Path) -> None:
    markers = sorted(folder.glob(f"*/{MARKER}"), key=lambda path: -path.stat().st_mtime)
    for marker in markers[_KEPT:]:
        shutil.rmtree(marker.parent, ignore_errors=True)
