"""Other engines for CPUs, as far as it takes to measure them: the shipped reader on ONNX Runtime and on llama.cpp.

Neither is part of vecspeak. ONNX Runtime's graph is written by hand with its own grouped-query attention and block-wise
quantized products; llama.cpp is called in the library inside the wheel of xllamacpp, whose Python interface takes no
input embeddings. All prompts of a run are equally long. Needs, by hand and without what they depend on: onnxruntime,
onnx, ml_dtypes, protobuf, xllamacpp.
Shape letters: B rows, T tokens, E model width, V vocabulary, S places in the cache.
"""

import ctypes
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

Weights = dict[str, np.ndarray]
Decode = Callable[[np.ndarray, int], np.ndarray]
"""[B, T, E] input embeddings and a number of steps to the [B, V] logits after the prompt; tokens are greedy."""


# --- ONNX Runtime ---


def _blocks(weight: np.ndarray, bits: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """MatMulNBits' form of [out, in]: unsigned values around the middle, and a scale a block."""
    parts = weight.reshape(len(weight), -1, size)
    top = 2 ** (bits - 1)
    scales = np.abs(parts).max(-1) / (top - 1)
    scales[scales == 0] = 1
    values = np.clip(np.round(parts / scales[..., None]) + top, 0, 2 * top - 1).astype(np.uint8)
    if bits == 4:
        values = values[..., 0::2] | (values[..., 1::2] << 4)
    return values, scales.astype(np.float32)


class _OnnxGraph:
    """Collects nodes and weights."""

    def __init__(self, weights: Weights, config: dict[str, Any], bits: int) -> None:
        self.weights, self.config, self.bits = weights, config, bits
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.count = 0

    def constant(self, array: np.ndarray) -> str:
        from onnx import numpy_helper

        self.count += 1
        name = f"c{self.count}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(
        self, kind: str, inputs: list[str], outputs: int = 1, domain: str = "", **more: Any
    ) -> list[str]:
        from onnx import helper

        self.count += 1
        names = [f"n{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **more))
        return names

    def linear(self, inputs: str, *names: str) -> str:
        weight = np.concatenate([self.weights[f"{name}.weight"] for name in names])
        out, width = weight.shape
        if self.bits == 32:
            return self.node("MatMul", [inputs, self.constant(weight.T)])[0]
        if self.bits == 8 and self.config.get("dynamic"):
            scales = np.abs(weight).max(1) / 127
            values = np.round(weight / scales[:, None]).astype(np.int8)
            given = [values.T, scales.astype(np.float32), np.zeros(out, np.int8)]
            return self.node(
                "DynamicQuantizeMatMul", [inputs, *map(self.constant, given)], domain="com.microsoft"
            )[0]
        given = [self.constant(part) for part in _blocks(weight, self.bits, 64)]
        more = {"K": width, "N": out, "bits": self.bits, "block_size": 64, "accuracy_level": 4}
        return self.node("MatMulNBits", [inputs, *given], domain="com.microsoft", **more)[0]

    def norm(self, hidden: str, name: str) -> str:
        weight = self.constant(self.weights[f"{name}.weight"])
        epsilon = float(self.config["rms_norm_eps"])
        return self.node("SimplifiedLayerNormalization", [hidden, weight], epsilon=epsilon, axis=-1)[0]

    def layer(self, hidden: str, layer: int, waves: list[str]) -> tuple[str, list[str]]:
        name, heads = f"model.layers.{layer}", int(self.config["num_attention_heads"])
        normed = self.norm(hidden, f"{name}.input_layernorm")
        parts = [self.linear(normed, f"{name}.self_attn.{part}_proj") for part in "qkv"]
        past = [f"past.{layer}.{part}" for part in "kv"]
        mixed, *present = self.node(
            "GroupQueryAttention",
            [*parts, *past, "lengths", "total", *waves],
            outputs=3,
            domain="com.microsoft",
            num_heads=heads,
            kv_num_heads=int(self.config["num_key_value_heads"]),
            do_rotary=1,
        )
        hidden = self.node("Add", [hidden, self.linear(mixed, f"{name}.self_attn.o_proj")])[0]
        normed = self.norm(hidden, f"{name}.post_attention_layernorm")
        gate, up = (self.linear(normed, f"{name}.mlp.{part}_proj") for part in ("gate", "up"))
        swish = self.node("QuickGelu", [gate], domain="com.microsoft", alpha=1.0)[0]
        wide = self.node("Mul", [swish, up])[0]
        return self.node("Add", [hidden, self.linear(wide, f"{name}.mlp.down_proj")])[0], present


def _onnx_model(weights: Weights, config: dict[str, Any], bits: int, places: int) -> bytes:
    from onnx import TensorProto, helper

    graph = _OnnxGraph(weights, config, bits)
    dim, layers = int(config["head_dim"]), int(config["num_hidden_layers"])
    angles = np.outer(np.arange(places), config["theta"] ** -(np.arange(0, dim, 2) / dim)).astype(np.float32)
    waves = [graph.constant(wave(angles)) for wave in (np.cos, np.sin)]
    hidden, presents = "embeds", list[str]()
    for layer in range(layers):
        hidden, kept = graph.layer(hidden, layer, waves)
        presents += kept
    last = graph.node("Gather", [hidden, graph.constant(np.array(-1))], axis=1)[0]
    graph.weights = {**weights, "head.weight": weights["model.embed_tokens.weight"]}
    logits = graph.linear(graph.norm(last, "model.norm"), "head")
    float_, heads = TensorProto.FLOAT, int(config["num_key_value_heads"])
    form = ["B", heads, "S", dim]
    inputs = [
        helper.make_tensor_value_info("embeds", float_, ["B", "T", int(config["hidden_size"])]),
        helper.make_tensor_value_info("lengths", TensorProto.INT32, ["B"]),
        helper.make_tensor_value_info("total", TensorProto.INT32, []),
        *(helper.make_tensor_value_info(f"past.{i}.{p}", float_, form) for i in range(layers) for p in "kv"),
    ]
    outputs = [helper.make_tensor_value_info(name, float_, None) for name in (logits, *presents)]
    made = helper.make_graph(graph.nodes, "reader", inputs, outputs, graph.constants)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(made, opset_imports=opsets)
    model.ir_version = 10
    return bytes(model.SerializeToString())


def onnx_decoder(weights: Weights, config: dict[str, Any], bits: int, places: int = 160) -> Decode:
    """The reader on ONNX Runtime with products of so many bits; 32 leaves them float32."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    model = _onnx_model(weights, config, bits, places)
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    table, names = weights["model.embed_tokens.weight"], [one.name for one in session.get_outputs()]
    layers, heads, dim = (int(config[k]) for k in ("num_hidden_layers", "num_key_value_heads", "head_dim"))

    def decode(embeds_BTE: np.ndarray, steps: int) -> np.ndarray:
        binding, rows = session.io_binding(), len(embeds_BTE)
        for index in range(2 * layers):
            cache = ort.OrtValue.ortvalue_from_numpy(np.zeros((rows, heads, places, dim), np.float32))
            binding.bind_ortvalue_input(f"past.{index // 2}.{'kv'[index % 2]}", cache)
            binding.bind_ortvalue_output(names[1 + index], cache)  # in place: nothing is copied
        first, done = None, 0
        for _ in range(steps):
            done += embeds_BTE.shape[1]
            binding.bind_cpu_input("embeds", np.ascontiguousarray(embeds_BTE, dtype=np.float32))
            binding.bind_cpu_input("lengths", np.full(rows, done - 1, np.int32))
            binding.bind_cpu_input("total", np.array(done, np.int32))
            binding.bind_output(names[0])
            session.run_with_iobinding(binding)
            logits_BV = binding.get_outputs()[-1].numpy().reshape(rows, -1)
            first = logits_BV if first is None else first
            embeds_BTE = table[logits_BV.argmax(-1)][:, None]
        assert first is not None
        return first

    return decode


# --- llama.cpp ---


def write_gguf(path: Path, weights: Weights, source: Path, kind: str) -> None:
    """The reader as a GGUF file with the source's tokenizer and settings, its matrices as `kind`, such as Q8_0."""
    import gguf

    quantization = gguf.GGMLQuantizationType[kind]
    reader, writer = gguf.GGUFReader(source), gguf.GGUFWriter(path, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        if field.types[0] == gguf.GGUFValueType.ARRAY:
            writer.add_array(field.name, field.contents())
        else:
            writer.add_key_value(field.name, field.contents(), field.types[0])
    heads = {kind: int(reader.fields[f"llama.attention.{key}"].contents()) for kind, key in _HEADS.items()}
    for tensor in reader.tensors:
        weight = _gguf_weight(weights, tensor.name, heads)
        if weight.ndim == 1:
            writer.add_tensor(tensor.name, weight.astype(np.float32))
        else:
            writer.add_tensor(tensor.name, gguf.quants.quantize(weight, quantization), raw_dtype=quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


_HEADS = {"attn_q": "head_count", "attn_k": "head_count_kv"}
_PARTS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def _gguf_weight(weights: Weights, name: str, heads: dict[str, int]) -> np.ndarray:
    """A tensor by llama.cpp's name; queries and keys in its order of rotary pairs."""
    whole = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    if name in whole:
        return weights[whole[name]]
    _, layer, part, _ = name.split(".")
    weight = weights[f"model.layers.{layer}.{_PARTS[part]}.weight"]
    if part not in heads:
        return weight
    pairs = weight.reshape(heads[part], 2, -1, weight.shape[1])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(weight.shape)


class _Batch(ctypes.Structure):
    _fields_ = (
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.POINTER(ctypes.c_float)),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    )


class _Settings(ctypes.Structure):
    """Room for any of llama.cpp's structures of settings, which it fills and reads by its own layout."""

    _fields_ = (("words", ctypes.c_uint32 * 256),)


_SILENT = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *of_call: None)


def _library() -> Any:
    spec = find_spec("xllamacpp")
    assert spec and spec.submodule_search_locations
    import xllamacpp  # noqa: F401  # starts what the library needs

    lib = ctypes.CDLL(str(next(Path(spec.submodule_search_locations[0]).glob("xllamacpp*.so"))))
    pointer, settings = ctypes.c_void_p, _Settings
    for name, result, arguments in (
        ("llama_model_default_params", settings, []),
        ("llama_context_default_params", settings, []),
        ("llama_model_load_from_file", pointer, [ctypes.c_char_p, settings]),
        ("llama_init_from_model", pointer, [pointer, settings]),
        ("llama_batch_init", _Batch, [ctypes.c_int32] * 3),
        ("llama_decode", ctypes.c_int32, [pointer, _Batch]),
        ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), [pointer, ctypes.c_int32]),
        ("llama_get_memory", pointer, [pointer]),
        ("llama_memory_clear", None, [pointer, ctypes.c_bool]),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    lib.llama_log_set(_SILENT, None)
    return lib


class _Llama:
    """A model and a context of llama.cpp, with a batch of embeddings and one of tokens."""

    def __init__(self, path: Path, weights: Weights, rows: int, places: int) -> None:
        self.lib = _library()
        self.size, width = weights["model.embed_tokens.weight"].shape
        model = self.lib.llama_model_load_from_file(str(path).encode(), self.lib.llama_model_default_params())
        settings = self.lib.llama_context_default_params()
        # n_ctx, n_batch, n_ubatch, n_seq_max; then the numbers of threads, which stand at 4 where nothing is set.
        settings.words[0], settings.words[1], settings.words[2], settings.words[3] = (
            rows * places,
            2048,
            512,
            rows,
        )
        for index in range(4, 12):
            settings.words[index] = 2 if settings.words[index] == 4 else settings.words[index]
        self.context = self.lib.llama_init_from_model(model, settings)
        self.fed, self.made = self.lib.llama_batch_init(2048, width, 1), self.lib.llama_batch_init(2048, 0, 1)
        self.inputs = np.ctypeslib.as_array(self.fed.embd, (2048 * width,)).reshape(2048, width)

    @staticmethod
    def place(batch: Any, index: int, row: int, position: int, wanted: bool) -> None:
        """Say where a token of a batch stands."""
        batch.pos[index], batch.n_seq_id[index], batch.seq_id[index][0] = position, 1, row
        batch.logits[index] = wanted

    def run(self, batch: Any, count: int) -> None:
        """Read a batch."""
        batch.n_tokens = count
        assert self.lib.llama_decode(self.context, batch) == 0, "llama.cpp could not decode"

    def logits(self, index: int, count: int) -> np.ndarray:
        """[count, V] logits from that place of the last batch."""
        found = np.ctypeslib.as_array(
            self.lib.llama_get_logits_ith(self.context, index), (count * self.size,)
        )
        return found.reshape(count, self.size)

    def prompts(self, embeds_BTE: np.ndarray) -> np.ndarray:
        """[B, V] logits after the prompts, in batches of up to 512 tokens."""
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)
        num_rows, length = embeds_BTE.shape[:2]
        together, first = 512 // length, list[np.ndarray]()
        for start in range(0, num_rows, together):
            some = range(start, min(start + together, num_rows))
            for index, row in enumerate(some):
                self.inputs[index * length : (index + 1) * length] = embeds_BTE[row]
                for position in range(length):
                    self.place(self.fed, index * length + position, row, position, position == length - 1)
            self.run(self.fed, len(some) * length)
            first += [self.logits((index + 1) * length - 1, 1)[0].copy() for index in range(len(some))]
        return np.array(first)

    def step(self, tokens_B: np.ndarray, position: int) -> np.ndarray:
        """[B, V] logits after one more token of each row."""
        for row, token in enumerate(tokens_B.tolist()):
            self.made.token[row] = token
            self.place(self.made, row, row, position, True)
        self.run(self.made, len(tokens_B))
        return self.logits(0, len(tokens_B))


def llama_decoder(path: Path, weights: Weights, rows: int, places: int = 160) -> Decode:
    """The reader on llama.cpp, for at most so many rows at once."""
    llama = _Llama(path, weights, rows, places)

    def decode(embeds_BTE: np.ndarray, steps: int) -> np.ndarray:
        first = llama.prompts(embeds_BTE)
        tokens = first.argmax(-1)
        for step in range(steps - 1):
            tokens = llama.step(tokens, embeds_BTE.shape[1] + step).argmax(-1)
        return first

    return decode
