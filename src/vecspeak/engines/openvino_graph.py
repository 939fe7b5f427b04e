"""Graph: a decoder-only language model as an OpenVINO graph, from its shape and weights.

Built by hand and not traced, so it needs no torch and takes input embeddings.
Covers pre-norm decoders with rotary positions, grouped-query attention and gated SiLU: Llama, Mistral, Qwen2, Qwen3.

The matrices are kept as int8 with a scale for every 32 numbers of a row, which moves the logits little more than
bfloat16 does; they are widened again inside the products, whose inputs stay as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from vecspeak.model.quiet_openvino import opset6, ov
from vecspeak.model.quiet_openvino import opset15 as ops

Weights = Mapping[str, np.ndarray]
GROUP = 32
"""Numbers of a row that share a scale."""
_LOWEST = -65504.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecoderShape:
    """What a decoder is beside its weights."""

    num_layers: int
    model_dim: int
    """Width of the hidden states (E)."""
    num_heads: int
    num_kv_heads: int
    head_dim: int
    norm_epsilon: float
    frequencies: np.ndarray
    """[head_dim / 2] of the rotary positions, radians a place."""
    rotary_scale: float = 1.0
    """By which the rotary cosines and sines are multiplied (1 but for YaRN)."""


def quantize(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 values [out, groups, size] and float32 scales [out, groups, 1] of a matrix [out, groups * size].

    `values * scales` is nearest to it. A group is 32 numbers of a row; the whole row where 32 does not divide it.
    """
    size = GROUP if weight.shape[1] % GROUP == 0 else weight.shape[1]
    groups = weight.reshape(len(weight), -1, size)
    # symmetric: the largest number of a group becomes 127, so 0 stays 0 and no offset is stored
    scales = np.abs(groups).max(-1, keepdims=True).astype(np.float32) / 127
    scales[scales == 0] = 1  # a group of zeros divides by anything
    return np.round(groups / scales).astype(np.int8), scales


def _const(value: Any, kind: Any = None) -> Any:
    array = np.asarray(value, dtype=kind)
    return ops.constant(array if array.ndim == 0 else np.ascontiguousarray(array))


def _ints(*values: int) -> Any:
    return _const(values, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Source:
    """Weights as nodes of the graph."""

    arrays: Weights
    epsilon: float
    quantized: bool

    def matrix(self, array: np.ndarray) -> Any:
        """A constant [out, in], as int8 times scales where that is wanted."""
        if not self.quantized:
            return _const(array, np.float32)
        values, scales = quantize(array)
        # OpenVINO recognizes convert -> multiply -> reshape -> matmul and widens int8 inside the product
        wide = ops.multiply(ops.convert(_const(values), np.float32), _const(scales))
        return ops.reshape(wide, _ints(*array.shape), False)

    def linear(self, inputs: Any, *names: str) -> Any:
        """One product for the matrices of these names, one under the other, and their biases where they have any."""
        # one wide product reads the inputs once; q, k and v (or gate and up) are split from its outputs
        joined = np.concatenate([self.arrays[f"{name}.weight"] for name in names])
        out = ops.matmul(inputs, self.matrix(joined), False, True)
        if f"{names[0]}.bias" not in self.arrays:
            return out
        bias = np.concatenate([self.arrays[f"{name}.bias"] for name in names])
        return ops.add(out, _const(bias.reshape(1, 1, -1), np.float32))

    def norm(self, hidden: Any, name: str) -> Any:
        """Root mean square norm over the last axis (Zhang and Sennrich 2019)."""
        rank = (1,) * (hidden.get_output_partial_shape(0).rank.get_length() - 1)
        filled = partial(np.full, (*rank, 1), dtype=np.float32)
        mean = ops.reduce_mean(ops.power(hidden, _const(filled(2))), _ints(-1), True)
        root = ops.sqrt(ops.add(mean, _const(filled(self.epsilon))))
        scaled = ops.multiply(hidden, ops.divide(_const(filled(1)), root))
        return ops.multiply(scaled, _const(self.arrays[f"{name}.weight"].reshape(*rank, -1), np.float32))


class _Inputs:
    """Parameters of the graph and what all layers share: rotary positions and the attention mask.

    The mask and the rows' order are what OpenVINO's transformation to paged attention looks for; it replaces them.
    """

    def __init__(self, shape: DecoderShape) -> None:
        self.embeds = self._parameter("inputs_embeds", np.float32, [-1, -1, shape.model_dim])
        self.mask = self._parameter("attention_mask", np.int64, [-1, -1])
        self.places = self._parameter("position_ids", np.int64, [-1, -1])
        self.order = self._parameter("beam_idx", np.int32, [-1])
        self.sampled = self._parameter("sampled", np.int64, [-1])
        # angle of place t and pair i: t * frequencies[i]; computed in the graph, so that any length fits [B,
        # T, D/2]
        angles = ops.multiply(
            ops.convert(ops.unsqueeze(self.places, _ints(2)), np.float32),
            _const(shape.frequencies.reshape(1, 1, -1), np.float32),
        )
        doubled = ops.concat([angles, angles], -1)  # both numbers of a pair, which lie half a head apart
        self.cosines, self.sines = (
            self._scaled(ops.unsqueeze(wave(doubled), _ints(1)), shape.rotary_scale)
            for wave in (ops.cos, ops.sin)
        )
        self.num_rows = self._size(self.embeds, 0)
        self.attention = self._attention_mask()

    @staticmethod
    def _parameter(name: str, kind: Any, shape: list[int]) -> Any:
        made = ops.parameter(ov.PartialShape(shape), kind, name=name)
        made.output(0).set_names({name})
        return made

    @staticmethod
    def _scaled(wave: Any, scale: float) -> Any:
        return wave if scale == 1 else ops.multiply(wave, _const(scale, np.float32))

    @staticmethod
    def _size(node: Any, axis: int) -> Any:
        return ops.gather(ops.shape_of(node), _ints(axis), _const(0, np.int64))

    def _attention_mask(self) -> Any:
        # past and new tokens are the keys [0, total), the new ones alone the queries [total - new, total)
        total, new = (ops.squeeze(self._size(node, 1), _ints(0)) for node in (self.mask, self.embeds))
        one = _const(1, np.int64)
        keys = ops.unsqueeze(ops.range(_const(0, np.int64), total, one, "i64"), _ints(0))
        queries = ops.unsqueeze(ops.range(ops.subtract(total, new), total, one, "i64"), _ints(1))
        causal = ops.unsqueeze(ops.less_equal(keys, queries), _ints(0, 1))
        # padding on the left of a batch has 0 in the mask and is seen by nobody
        real = ops.unsqueeze(ops.equal(self.mask, _const([[1]], np.int64)), _ints(1, 2))
        return ops.select(ops.logical_and(causal, real), _const(0, np.float32), _const(_LOWEST, np.float32))

    @property
    def parameters(self) -> list[Any]:
        """In the order in which the model lists them."""
        return [self.embeds, self.mask, self.places, self.order, self.sampled]


def _rotate(states: Any, inputs: _Inputs, head_dim: int) -> Any:
    """Rotary positions in the halves form of transformers (Su et al. 2021)."""
    # (a, b) -> (a cos - b sin, b cos + a sin) for the pair (i, i + D/2), as x * cos + (-b, a) * sin
    half, end = _ints(head_dim // 2), _ints(2**62)
    first = ops.slice(states, _ints(0), half, _ints(1), _ints(3))
    second = ops.slice(states, half, end, _ints(1), _ints(3))
    turned = ops.concat([ops.multiply(second, _const(np.full((1, 1, 1, 1), -1, np.float32))), first], -1)
    return ops.add(ops.multiply(states, inputs.cosines), ops.multiply(turned, inputs.sines))


def _heads(states: Any, count: int, head_dim: int) -> Any:
    return ops.transpose(ops.reshape(states, _ints(0, 0, count, head_dim), True), _ints(0, 2, 1, 3))


def _cached(states: Any, name: str, inputs: _Inputs, shape: DecoderShape) -> tuple[Any, Any]:
    """Keys or values so far with the new ones at the end, and the node that keeps them."""
    form = ov.PartialShape([-1, shape.num_kv_heads, -1, shape.head_dim])
    empty = ops.broadcast(
        _const(0, np.float32), ops.concat([inputs.num_rows, _ints(shape.num_kv_heads, 0, shape.head_dim)], 0)
    )
    # beam_idx reorders rows before anything is added: [0, 1, ...] leaves them, and paged attention wants to
    # see it
    past = ops.gather(opset6.read_value(empty, name, np.float32, form), inputs.order, _const(0, np.int64))
    both = ops.concat([past, states], 2)
    return both, opset6.assign(both, name)


def _repeated(states: Any, shape: DecoderShape) -> Any:
    """Each head of keys or values for the query heads that share it."""
    times = shape.num_heads // shape.num_kv_heads
    if times == 1:
        return states
    sizes = [_Inputs._size(states, axis) for axis in (0, 2)]
    # [B, Hkv, T, D] -> [B, Hkv, times, T, D] -> [B, H, T, D]
    wide = ops.concat([sizes[0], _ints(shape.num_kv_heads, times), sizes[1], _ints(shape.head_dim)], 0)
    repeated = ops.broadcast(ops.unsqueeze(states, _ints(2)), wide, broadcast_spec="BIDIRECTIONAL")
    return ops.reshape(repeated, _ints(0, shape.num_heads, -1, shape.head_dim), True)


def _attention(
    hidden: Any, layer: int, source: _Source, inputs: _Inputs, shape: DecoderShape
) -> tuple[Any, list[Any]]:
    name = f"model.layers.{layer}.self_attn"
    widths = [count * shape.head_dim for count in (shape.num_heads, shape.num_kv_heads, shape.num_kv_heads)]
    joined = source.linear(hidden, f"{name}.q_proj", f"{name}.k_proj", f"{name}.v_proj")
    parts = ops.variadic_split(joined, _const(2, np.int64), _ints(*widths)).outputs()
    counts = (shape.num_heads, shape.num_kv_heads, shape.num_kv_heads)
    queries, keys, values = (_heads(p, n, shape.head_dim) for p, n in zip(parts, counts, strict=True))
    if f"{name}.q_norm.weight" in source.arrays:
        queries, keys = source.norm(queries, f"{name}.q_norm"), source.norm(keys, f"{name}.k_norm")
    queries, keys = (_rotate(states, inputs, shape.head_dim) for states in (queries, keys))
    # the names that paged_attention_transformation looks for
    mark = f"past_key_values.{layer}.{{0}}present.{layer}.{{0}}"
    keys, retained_keys = _cached(keys, mark.format("key"), inputs, shape)
    values, retained_values = _cached(values, mark.format("value"), inputs, shape)
    mixed = ops.scaled_dot_product_attention(
        queries,
        _repeated(keys, shape),
        _repeated(values, shape),
        inputs.attention,
        _const(shape.head_dim**-0.5, np.float32),
        False,
    )
    flat = ops.reshape(ops.transpose(mixed, _ints(0, 2, 1, 3)), _ints(0, 0, widths[0]), True)
    return source.linear(flat, f"{name}.o_proj"), [retained_keys, retained_values]


def _feed_forward(hidden: Any, layer: int, source: _Source) -> Any:
    name = f"model.layers.{layer}.mlp"
    width = len(source.arrays[f"{name}.gate_proj.weight"])
    joined = source.linear(hidden, f"{name}.gate_proj", f"{name}.up_proj")
    gate, up = ops.variadic_split(joined, _const(2, np.int64), _ints(width, width)).outputs()
    return source.linear(ops.multiply(ops.swish(gate), up), f"{name}.down_proj")


def decoder_graph(shape: DecoderShape, weights: Weights, *, quantized: bool = True) -> ov.Model:
    """The graph: `inputs_embeds` [B, T, E] to `logits` [S, T, V] of the rows in `sampled` [S]; it keeps what it read.

    The head is the token embedding where the weights have none of their own. Without `quantized` the matrices stay
    float32.
    """
    source = _Source(arrays=weights, epsilon=shape.norm_epsilon, quantized=quantized)
    inputs = _Inputs(shape)
    hidden: Any = inputs.embeds
    retained: list[Any] = []
    for layer in range(shape.num_layers):
        name = f"model.layers.{layer}"
        # pre-norm: each half adds to the residual stream what it makes of its normed copy
        normed = source.norm(hidden, f"{name}.input_layernorm")
        attended, caches = _attention(normed, layer, source, inputs, shape)
        retained += caches
        hidden = ops.add(hidden, attended)
        normed = source.norm(hidden, f"{name}.post_attention_layernorm")
        hidden = ops.add(hidden, _feed_forward(normed, layer, source))
    # With paged attention the first axis is that of all rows' tokens, so there the wanted ones are picked.
    hidden = source.norm(ops.gather(hidden, inputs.sampled, _const(0, np.int64)), "model.norm")
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    logits = ops.result(ops.matmul(hidden, source.matrix(head), False, True))
    logits.output(0).set_names({"logits"})
    return ov.Model([logits], retained, inputs.parameters, "reader")


def with_paged_attention(model: ov.Model) -> ov.Model:
    """The same graph, changed in place, for rows of different lengths: `inputs_embeds` [T, E] to `logits` [S, 1, V].

    The new tokens of all rows lie one after the other; blocks of keys and values come as inputs (see `paged.py`), so
    nothing is padded and rows come and go. S counts the tokens in `sampled`.
    """
    from openvino._offline_transformations import paged_attention_transformation

    paged_attention_transformation(model)
    return model
