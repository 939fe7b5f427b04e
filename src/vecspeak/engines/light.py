"""Light reader: prompts become input embeddings in NumPy, for engines that do without torch.

The same arithmetic as `adapter.py` and `injection.py`, to rounding; a test holds them together. Knows prompts, token
ids, token embeddings and an adapter's arrays. Generates nothing.
Shape letters: B vectors, N vector width, H hidden, K soft tokens per vector, E model width, T tokens, V vocabulary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecspeak.alignment import unit
from vecspeak.engines.prefixes import shared_lengths
from vecspeak.errors import UserError
from vecspeak.layout import SLOT, ChatFormat, lay_out, pieces_of
from vecspeak.prompts import Prompt, vectors_of

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
                "map the space first: vecspeak fit",
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
class Fed:
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
    """[V, E] float16, memory-mapped."""
    adapter: LightAdapter
    chat: ChatFormat
    stop_ids: tuple[int, ...]
    """Token ids that end an answer."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Token ids of a text."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=add_special_tokens).ids
        return ids

    def feed(self, prompts: Sequence[Prompt]) -> list[Fed]:
        """Input embeddings of each prompt.

        Its prefix is the beginning that saves most among these prompts; where none does, what is before the first
        vector.
        """
        counts = [len(vectors_of(prompt)) for prompt in prompts]
        stacked = [vector for prompt in prompts for vector in vectors_of(prompt)]
        made = self.adapter(np.stack(stacked)) if stacked else np.empty((0, 1, self.embedding_VE.shape[1]))
        parts = np.split(made, np.cumsum(counts)[:-1])
        laid = [
            lay_out(pieces_of(prompt), self, self.chat, self.adapter.num_soft_tokens) for prompt in prompts
        ]
        return [
            Fed(embeds_TE=self._embedded(np.array(ids), soft), prefix=prefix)
            for ids, soft, prefix in zip(laid, parts, _prefixes(laid), strict=True)
        ]

    def _embedded(self, ids_T: np.ndarray, soft_SKE: np.ndarray) -> np.ndarray:
        embeds_TE = self.embedding_VE[np.maximum(ids_T, 0)].astype(np.float32)
        embeds_TE[ids_T == SLOT] = soft_SKE.reshape(-1, embeds_TE.shape[1])
        return embeds_TE


def _prefixes(laid: Sequence[list[int]]) -> list[tuple[int, ...]]:
    plain = [tuple(ids[: ids.index(SLOT)] if SLOT in ids else ids[:-1]) for ids in laid]
    lengths = shared_lengths(plain, shortest=_SHORTEST)
    return [
        before[:length] if length or SLOT not in ids else before
        for ids, before, length in zip(laid, plain, lengths, strict=True)
    ]
