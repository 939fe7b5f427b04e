"""Prepared readers: a bundle's reader as files that open in a fraction of a second, without torch.

The language model with its LoRA merged, as an int8 graph, plain and compiled; its token embeddings; its tokenizer. They
lie in the user's cache, made once for a reader, its base and a version of OpenVINO; deleting them costs the making
only. Generates nothing.
"""

import json
import math
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from vecspeak.bundles import Bundle
from vecspeak.errors import UserError, first_line
from vecspeak.model.alignment import unit
from vecspeak.model.named import base_place
from vecspeak.model.pretrained import KNOWN_MODELS, has_openvino, locate_model, model_stamp
from vecspeak.model.prompt import PLACEHOLDER, ChatFormat, Prompt, build_input_ids, segments_of, vectors_of
from vecspeak.storage import cache_folder, digest, lock, read_json, recover_all, replace_folder, write_json

if TYPE_CHECKING:
    from vecspeak.model.reader import Reader


Row = TypeVar("Row", str, tuple[int, ...])
"""A text, or token ids."""


def shared_prefix_lengths(rows: Sequence[Row], *, shortest: int) -> list[int]:
    """How many first tokens of each row are to be read once with other rows; `shortest` at least, or 0 for none.

    Rows of one such beginning are a group, and groups are as they save most, all rows together: questions after the
    same long text are one group, also where some of them go on alike; texts that share a short opening are none.
    """
    order = sorted(range(len(rows)), key=lambda number: rows[number])
    forks = [_PrefixFork(depth=0)]
    for number, following in zip_longest(order, order[1:]):
        common = 0 if following is None else _common(rows[number], rows[following])
        groups = [_PrefixGroup(numbers=(number,))]
        while forks[-1].depth > common:
            groups = _grouped(forks[-1].groups + groups, forks.pop().depth, shortest)
        if forks[-1].depth < common:
            forks.append(_PrefixFork(depth=common))
        forks[-1].groups += groups
    depths = {number: group.depth for group in forks[0].groups for number in group.numbers}
    return [depths[number] for number in range(len(rows))]


def _common(one: Row, other: Row) -> int:
    """How many first tokens are the same in both."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True, slots=True, kw_only=True)
class _PrefixGroup:
    """Rows whose first tokens are read once, or one row by itself."""

    numbers: tuple[int, ...]
    depth: int = 0
    """Tokens that are read once."""

    @property
    def saved(self) -> int:
        """Tokens that need not be read."""
        return (len(self.numbers) - 1) * self.depth

    def gains_at(self, depth: int) -> int:
        """Tokens that it saves more as a part of a group of fewer first tokens, beside what that group reads."""
        return len(self.numbers) * depth - self.saved


@dataclass(slots=True, kw_only=True)
class _PrefixFork:
    """Where rows of the same first tokens begin to differ."""

    depth: int
    """Tokens that are the same in all of them."""
    groups: list[_PrefixGroup] = field(default_factory=list)


def _grouped(groups: list[_PrefixGroup], depth: int, shortest: int) -> list[_PrefixGroup]:
    """The groups; those that save more as one, whose first `depth` tokens are read once, are one."""
    joining = [group for group in groups if group.gains_at(depth) > 0]
    gain = sum(group.gains_at(depth) for group in joining) - depth
    if depth < shortest or gain <= 0:
        return groups
    joined = _PrefixGroup(numbers=tuple(number for group in joining for number in group.numbers), depth=depth)
    return [*(group for group in groups if group.gains_at(depth) <= 0), joined]


_SHORTEST = 32
"""Tokens of text that are worth a pass of their own through the model."""
_erf = np.frompyfunc(math.erf, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LightAdapter:
    """The adapter's arrays, float32, by the names that its file has."""

    arrays: dict[str, np.ndarray]
    num_soft_tokens: int
    """Soft tokens that one vector becomes (K)."""
    token_norm: float
    """Euclidean norm of every soft token."""

    @property
    def vector_dim(self) -> int:
        """Width of one vector (N)."""
        return int(self.arrays["expand.weight"].shape[1])

    def __call__(self, vectors_BN: np.ndarray) -> np.ndarray:
        """[B, N] vectors to [B, K, E] soft tokens. Raises UserError for vectors of another width."""
        if vectors_BN.shape[1:] != (self.vector_dim,):
            raise UserError(
                f"the reader takes vectors of {self.vector_dim} numbers, got shape {vectors_BN.shape[1:]}",
                "map the space first: `VecSpeak.fit(...)`",
            )
        unit_BN = unit(vectors_BN.astype(np.float32))
        inputs_BN = (unit_BN - self.arrays["center_N"]) / self.arrays["spread"]
        hidden_BH = _gelu(self._linear(inputs_BN, "expand"))
        soft_BKE = self._linear(hidden_BH, "project").reshape(len(vectors_BN), self.num_soft_tokens, -1)
        return np.asarray(unit(soft_BKE) * np.float32(self.token_norm))

    def _linear(self, inputs: np.ndarray, name: str) -> np.ndarray:
        return np.asarray(inputs @ self.arrays[f"{name}.weight"].T + self.arrays[f"{name}.bias"])


def _gelu(values: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * values * (1 + np.asarray(_erf(values / math.sqrt(2)), dtype=np.float32)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PromptInputs:
    """A prompt as it is fed to the language model."""

    embeds_TE: np.ndarray
    """[T, E] float32 input embeddings, T at least 1."""
    prefix: tuple[int, ...] = ()
    """Token ids of its first tokens, none of them a vector's, that others may have too; shorter than T."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LightReader:
    """What stands before the language model: tokenizer, token embeddings, adapter and chat format."""

    tokenizer: Any
    """A `tokenizers.Tokenizer`."""
    embedding_VE: np.ndarray
    """[V, E] float16, or float32 where another computer's language model reads them; memory-mapped."""
    adapter: LightAdapter
    chat: ChatFormat
    stop_ids: tuple[int, ...]
    """Token ids that end an answer."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Token ids of a text of ours, special tokens that it spells among them."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=add_special_tokens).ids
        return ids

    def build_input_ids(self, pieces: Sequence[str | None]) -> list[int]:
        """Token ids of a question, PLACEHOLDER where soft tokens will be."""
        return build_input_ids(pieces, self.tokenizer, self.chat, self.adapter.num_soft_tokens)

    def embed_prompts(self, prompts: Sequence[Prompt]) -> list[PromptInputs]:
        """Input embeddings of each prompt.

        Its prefix is the beginning that saves most among these prompts; where none does, what is before the first
        vector.
        """
        if not prompts:  # all answers were there already
            return []
        counts = [len(vectors_of(prompt)) for prompt in prompts]
        stacked = [vector for prompt in prompts for vector in vectors_of(prompt)]
        made = self.adapter(np.stack(stacked)) if stacked else np.empty((0, 1, self.embedding_VE.shape[1]))
        parts = np.split(made, np.cumsum(counts)[:-1])
        built = [self.build_input_ids(segments_of(prompt)) for prompt in prompts]
        return [
            PromptInputs(embeds_TE=self._embedded(np.array(ids), soft), prefix=prefix)
            for ids, soft, prefix in zip(built, parts, _prefixes(built), strict=True)
        ]

    def _embedded(self, ids_T: np.ndarray, soft_SKE: np.ndarray) -> np.ndarray:
        embeds_TE = self.embedding_VE[np.maximum(ids_T, 0)].astype(np.float32)
        embeds_TE[ids_T == PLACEHOLDER] = soft_SKE.reshape(-1, embeds_TE.shape[1])
        return embeds_TE


def _prefixes(built: Sequence[list[int]]) -> list[tuple[int, ...]]:
    plain = [tuple(ids[: ids.index(PLACEHOLDER)] if PLACEHOLDER in ids else ids[:-1]) for ids in built]
    lengths = shared_prefix_lengths(plain, shortest=_SHORTEST)
    return [
        before[:length] if length or PLACEHOLDER not in ids else before
        for ids, before, length in zip(built, plain, lengths, strict=True)
    ]


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
EMBEDDING, TOKENIZER = "embedding.npy", "tokenizer.json"
_FILES = {GRAPH, "model.bin", COMPILED, EMBEDDING, TOKENIZER}
_RETAINED = 6
"""Prepared readers that stay; of more, those that were opened longest ago are removed."""
_ROTARY = ("default", "linear", "llama3", "yarn")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """An opened prepared reader: the small parts in memory, the graph still on disk."""

    folder: Path
    reader: LightReader
    quantized: bool
    """Whether its matrices are int8; if not, everything is computed in float32."""


def unsupported_reason(bundle: Bundle) -> str:
    """Why a bundle's reader cannot be prepared, in words; empty when it can."""
    if not has_openvino():
        return "openvino is not installed"
    if (_folder(bundle) / MARKER).is_file():
        return ""
    base = base_of(bundle)
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


def is_prepared(bundle: Bundle, *, base_model: bool = False) -> bool:
    """Whether opening takes a fraction of a second, not the time of the making."""
    return is_whole(_folder(bundle, base_model))


def prepare(bundle: Bundle, *, base_model: bool = False) -> Path:
    """The folder of the prepared reader, made where it is not there yet: some seconds, with torch.

    `base_model` leaves the LoRA out. Raises UserError when the language model is of a kind that the graph cannot do.
    """
    folder = _folder(bundle, base_model)

    def write(beside: Path) -> None:
        if reason := unsupported_reason(bundle):
            raise UserError(f"this reader cannot run on OpenVINO: {reason}", "use `engine='transformers'`")
        from vecspeak.bundles.weights import load_reader

        write_prepared(load_reader(bundle, base_model=base_model), beside)

    build_once(folder, write)
    return folder


def prepared_folder(parts: Sequence[Any]) -> Path:
    """The folder in the user's cache of what depends on these parts, plain values all."""
    return cache_folder() / "prepared" / digest(parts)[:24]


def build_once(
    folder: Path, write: Callable[[Path], None], files: Collection[str] = frozenset(_FILES)
) -> None:
    """Let `write` fill the folder with these files where it is not whole yet, and make room for it.

    One process at a time.
    """
    # Looked at first: the lock takes 0.1 s to import, which every first answer waits for.
    if not is_whole(folder, files):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(folder):
            if not is_whole(folder, files):  # still: another process may just have built it
                with replace_folder(folder, marker=MARKER) as beside:
                    write(beside)
                _remove_old(folder.parent)
    (folder / MARKER).touch()


def open_prepared(bundle: Bundle, *, base_model: bool = False) -> Prepared:
    """Open a bundle's prepared reader; it is prepared first where that was not done yet."""
    folder = prepare(bundle, base_model=base_model)
    return open_prepared_folder(folder, *adapter_of(bundle, opened_embedding(folder).shape[1]))


def adapter_of(bundle: Bundle, width: int) -> tuple[LightAdapter, ChatFormat]:
    """What stands in a bundle before a language model of that width. Raises UserError where it does not fit."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    card = bundle.manifest.reader
    try:
        arrays = load_file(bundle.reader_folder / "adapter.safetensors")
        adapter = LightAdapter(
            arrays={name: array.astype(np.float32) for name, array in arrays.items()},
            num_soft_tokens=card.adapter["num_soft_tokens"],
            token_norm=card.adapter["token_norm"],
        )
        chat = ChatFormat(**card.chat)
        outputs = len(arrays["project.weight"])
    except (OSError, SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"the reader in {bundle.folder} is damaged ({first_line(error)})", "copy or make the bundle again"
        ) from error
    if outputs != adapter.num_soft_tokens * width:
        raise UserError(
            f"the reader in {bundle.folder} is damaged: its adapter makes {outputs:,} numbers of a vector, and "
            f"{adapter.num_soft_tokens:,} soft tokens of the language model have {width:,} each",
            "copy or make the bundle again",
        )
    return adapter, chat


def open_prepared_folder(folder: Path, adapter: LightAdapter, chat: ChatFormat) -> Prepared:
    """What `write_prepared` wrote, with the adapter and the chat format that stand before it."""
    known = read_json(folder / MARKER)
    reader = opened_reader(folder, known["stop_ids"], adapter, chat)
    return Prepared(folder=folder, reader=reader, quantized=known["quantized"])


def opened_reader(
    folder: Path, stop_ids: Sequence[int], adapter: LightAdapter, chat: ChatFormat
) -> LightReader:
    """What stands before a language model, from the folder that has its tokenizer and token embeddings."""
    from tokenizers import Tokenizer

    return LightReader(
        tokenizer=Tokenizer.from_file(str(folder / TOKENIZER)),
        embedding_VE=opened_embedding(folder),
        adapter=adapter,
        chat=chat,
        stop_ids=tuple(stop_ids),
    )


def opened_embedding(folder: Path) -> np.ndarray:
    """[V, E] token embeddings of a prepared folder, memory-mapped."""
    found: np.ndarray = np.load(folder / EMBEDDING, mmap_mode="r", allow_pickle=False)
    return found


def _folder(bundle: Bundle, base_model: bool = False) -> Path:
    if not has_openvino():
        raise UserError("openvino is not installed", "pip install openvino, or use `engine='transformers'`")
    card = bundle.manifest.reader
    return prepared_folder(
        [
            FORMAT,
            base_model,
            version("openvino"),
            EXACT,
            model_stamp(base_of(bundle)),
            card.chat,
            bundle.manifest.files,
        ]
    )


def base_of(bundle: Bundle) -> str:
    """What opens the base model of a bundle's reader here."""
    card = bundle.manifest.reader
    return base_place(card.base_model, card.base_sha256)


def is_whole(folder: Path, files: Collection[str] = frozenset(_FILES)) -> bool:
    """Whether every file is there with its size and its head; what is not whole is made again."""
    try:
        found = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
        return set(found) == set(files) and all(_mark(folder / name) == mark for name, mark in found.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _mark(path: Path) -> list[int | str]:
    """Size, and digest of the first 64 KB: the whole would take as long to read as to use."""
    with path.open("rb") as file:
        return [path.stat().st_size, digest(file.read(2**16))]


def write_prepared(reader: "Reader", folder: Path, *, quantized: bool = True) -> None:
    """Write what a reader with its LoRA merged is on OpenVINO into an empty folder; in float32 unless `quantized`."""
    from vecspeak.engines.openvino_graph import decoder_graph
    from vecspeak.model.quiet_openvino import ov

    model = reader.language_model
    weights = {name: value.float().numpy() for name, value in model.state_dict().items()}
    graph = decoder_graph(decoder_shape(model), weights, quantized=quantized)
    ov.save_model(graph, folder / GRAPH, compress_to_fp16=False)
    compiled = ov.Core().compile_model(graph, "CPU", EXACT)
    (folder / COMPILED).write_bytes(compiled.export_model().getvalue())
    np.save(folder / EMBEDDING, weights["model.embed_tokens.weight"].astype(np.float16))
    reader.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    write_marker(folder, quantized=quantized, stop_ids=reader.stop_ids)


def write_marker(folder: Path, **known: Any) -> None:
    """Note what is known of a prepared folder and which files it has: it is whole from then on."""
    files = {path.name: _mark(path) for path in sorted(folder.iterdir())}
    write_json(folder / MARKER, {"format": FORMAT, **known, "files": files})


def decoder_shape(model: Any) -> Any:
    """The DecoderShape of a language model of transformers, one of FAMILIES."""
    from vecspeak.engines.openvino_graph import DecoderShape

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
    """What kills left, and all but the last used."""
    recover_all(folder)
    markers = sorted(folder.glob(f"*/{MARKER}"), key=lambda path: -path.stat().st_mtime)
    for marker in markers[_RETAINED:]:
        shutil.rmtree(marker.parent, ignore_errors=True)
