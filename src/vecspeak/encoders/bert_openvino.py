"""BERT on OpenVINO: sentence encoders of the BERT kind with mean pooling, in float32, without torch.

Gives the vectors that sentence-transformers gives, to rounding, and opens in a fraction of the time. Covers absolute
positions, GELU, mean pooling and, after it, normalisation; `unsupported` says what of a folder is something else. Reads
the files of a sentence-transformers folder. Fetches nothing.
Shape letters: B texts, T word pieces, D width of a vector.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

_MODULES = ("Transformer", "Pooling", "Normalize")


def unsupported(folder: Path) -> str:
    """What of a sentence-transformers folder is not covered here, in words; empty when all is."""
    try:
        config, pooling = _read(folder / "config.json"), _read(folder / "1_Pooling" / "config.json")
        modules = [str(one["type"]).rpartition(".")[2] for one in _read(folder / "modules.json")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"its files are laid out otherwise ({error})"
    if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
        return f"it is of the family {config.get('model_type')!r} with {config.get('hidden_act')!r}"
    if config.get("position_embedding_type", "absolute") != "absolute":
        return "its positions are relative"
    if modules not in ([*_MODULES], [*_MODULES[:2]]) or not _is_mean(pooling):
        return f"its modules are {', '.join(modules)}"
    if not all((folder / name).is_file() for name in ("model.safetensors", "tokenizer.json")):
        return "it lacks model.safetensors or tokenizer.json"
    return ""


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _is_mean(pooling: dict[str, Any]) -> bool:
    """Whether mean pooling is all that is done; newer files name the mode, older ones have a switch for each."""
    if "pooling_mode" in pooling:
        return bool(pooling["pooling_mode"] == "mean")
    on = [name for name, value in pooling.items() if name.startswith("pooling_mode_") and value is True]
    return on == ["pooling_mode_mean_tokens"]


class BertEncoder:
    """A BERT encoder on OpenVINO, opened from a folder for which `unsupported` says nothing."""

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        from vecspeak.model.quiet_openvino import (
            ov,  # `unsupported` is asked where OpenVINO is not installed too
        )

        config = _read(folder / "config.json")
        self.dim = int(config["hidden_size"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(self._longest(folder, config))
        self._tokenizer.enable_padding()
        self._tokenizer.encode_special_tokens = True  # "[SEP]" in a text is five letters, not the token
        self._lock = Lock()
        weights = load_file(folder / "model.safetensors")
        self._weights = {name.removeprefix("bert."): array for name, array in weights.items()}
        graph = _Graph(self._weights, config).model()
        self._request = (
            ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
        )

    @staticmethod
    def _longest(folder: Path, config: dict[str, Any]) -> int:
        path = folder / "sentence_bert_config.json"
        given = _read(path).get("max_seq_length") if path.is_file() else None
        return min(int(given or 10**9), int(config["max_position_embeddings"]))

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """[B, D] float32, rows of length 1; the texts share one batch."""
        from vecspeak.model.quiet_openvino import ov

        pieces = self._tokenizer.encode_batch(list(texts))
        given = {
            "input_ids": np.array([one.ids for one in pieces], dtype=np.int64),
            "attention_mask": np.array([one.attention_mask for one in pieces], dtype=np.float32),
        }
        with self._lock:  # a request runs once at a time, and its output is overwritten by the next
            for name, value in given.items():
                self._request.set_tensor(name, ov.Tensor(value))
            self._request.infer()
            means_BD = self._request.get_output_tensor(0).data.copy()
        return np.asarray(means_BD / np.maximum(np.linalg.norm(means_BD, axis=1, keepdims=True), 1e-12))


class _Graph:
    """Builds the graph: `input_ids` and `attention_mask` [B, T] to mean hidden states [B, D]."""

    def __init__(self, weights: dict[str, np.ndarray], config: dict[str, Any]) -> None:
        from vecspeak.model.quiet_openvino import opset15 as ops

        self.ops = ops
        self.weights = weights
        self.num_layers = int(config["num_hidden_layers"])
        self.num_heads = int(config["num_attention_heads"])
        self.head_dim = int(config["hidden_size"]) // self.num_heads
        self.epsilon = float(config["layer_norm_eps"])

    def model(self) -> Any:
        """The whole graph."""
        from vecspeak.model.quiet_openvino import ov

        ops = self.ops
        ids = ops.parameter(ov.PartialShape([-1, -1]), np.int64, name="input_ids")
        mask = ops.parameter(ov.PartialShape([-1, -1]), np.float32, name="attention_mask")
        for one, name in ((ids, "input_ids"), (mask, "attention_mask")):
            one.output(0).set_names({name})
        hidden = self._embedded(ids)
        penalty = ops.multiply(
            ops.subtract(self._const([[1.0]]), mask), self._const([[np.finfo(np.float32).min]])
        )
        penalty = ops.unsqueeze(penalty, self._ints(1, 2))
        for layer in range(self.num_layers):
            hidden = self._layer(hidden, penalty, f"encoder.layer.{layer}")
        weight = ops.unsqueeze(mask, self._ints(2))
        sums = ops.reduce_sum(ops.multiply(hidden, weight), self._ints(1))
        means = ops.divide(sums, ops.reduce_sum(weight, self._ints(1)))
        return ov.Model([ops.result(means)], [ids, mask], "encoder")

    def _const(self, value: Any) -> Any:
        return self.ops.constant(np.ascontiguousarray(value, dtype=np.float32))

    def _ints(self, *values: int) -> Any:
        return self.ops.constant(np.array(values, dtype=np.int64))

    def _embedded(self, ids: Any) -> Any:
        ops, zero = self.ops, self.ops.constant(np.int64(0))
        words = ops.gather(self._const(self.weights["embeddings.word_embeddings.weight"]), ids, zero)
        width = ops.squeeze(ops.gather(ops.shape_of(ids), self._ints(1), zero), self._ints(0))
        places = ops.range(zero, width, ops.constant(np.int64(1)), "i64")
        kind = self.weights["embeddings.token_type_embeddings.weight"][0]
        added = ops.gather(
            self._const(self.weights["embeddings.position_embeddings.weight"] + kind), places, zero
        )
        return self._norm(ops.add(words, added), "embeddings.LayerNorm")

    def _norm(self, hidden: Any, name: str) -> Any:
        ops = self.ops
        normed = ops.mvn(hidden, self._ints(-1), True, self.epsilon, "inside_sqrt")
        scaled = ops.multiply(normed, self._const(self.weights[f"{name}.weight"].reshape(1, 1, -1)))
        return ops.add(scaled, self._const(self.weights[f"{name}.bias"].reshape(1, 1, -1)))

    def _linear(self, hidden: Any, *names: str) -> Any:
        weight, bias = (
            np.concatenate([self.weights[f"{name}.{part}"] for name in names]) for part in ("weight", "bias")
        )
        product = self.ops.matmul(hidden, self._const(weight), False, True)
        return self.ops.add(product, self._const(bias.reshape(1, 1, -1)))

    def _layer(self, hidden: Any, penalty: Any, name: str) -> Any:
        ops, inside = self.ops, f"{name}.attention.self"
        joined = self._linear(hidden, *(f"{inside}.{part}" for part in ("query", "key", "value")))
        split = ops.reshape(joined, self._ints(0, 0, 3, self.num_heads, self.head_dim), True)
        parts = ops.split(
            ops.transpose(split, self._ints(2, 0, 3, 1, 4)), ops.constant(np.int64(0)), 3
        ).outputs()
        queries, keys, values = (ops.squeeze(part, self._ints(0)) for part in parts)
        scale = ops.constant(np.float32(self.head_dim**-0.5))
        mixed = ops.scaled_dot_product_attention(queries, keys, values, penalty, scale, False)
        flat = ops.reshape(ops.transpose(mixed, self._ints(0, 2, 1, 3)), self._ints(0, 0, -1), True)
        attended = ops.add(hidden, self._linear(flat, f"{name}.attention.output.dense"))
        hidden = self._norm(attended, f"{name}.attention.output.LayerNorm")
        wide = ops.gelu(self._linear(hidden, f"{name}.intermediate.dense"), "erf")
        return self._norm(
            ops.add(hidden, self._linear(wide, f"{name}.output.dense")), f"{name}.output.LayerNorm"
        )
