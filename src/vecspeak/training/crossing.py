"""Crossing: a reader of one encoder begins as a reader of another's vectors, in closed form.

Both encoders read a sample of the training texts. The map between them (`fit_alignment`) is linear but for the length
of what it gives, so it goes into the adapter's first layer: at step 0 the reader says what it says of mapped vectors.

Shape letters: N numbers of a new vector, T of one that the reader knows, H hidden units, B texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vecspeak.encoders.text import Encoder
from vecspeak.model.adapter import Adapter
from vecspeak.model.alignment import Alignment, fit_alignment, unit

SAMPLE = 4_000
"""Texts that the map is fitted on: more change its error by less than its interval."""
_JUDGED = 0.1
"""Share of them that the map is not fitted on, and judged by."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crossing:
    """A map from a new encoder's vectors to those that a reader knows, and how well it does."""

    alignment: Alignment
    length: float
    """Mean length of a mapped vector before it is brought to 1."""
    cosine: float
    """Mean cosine of mapped vectors with the true ones, on texts that the map was not fitted on."""
    by_chance: float
    """The same with another text's true vector."""
    texts: int
    """Texts that the map was fitted on."""


def fit_crossing(
    texts: Sequence[str], vectors_BN: np.ndarray, known: Encoder, *, seed: int, progress: bool = True
) -> Crossing:
    """The map from vectors [B, N] of texts to those that the known encoder makes of the same texts.

    Raises UserError where there are fewer than 20 texts.
    """
    order = np.random.default_rng([seed, 17]).permutation(len(texts))[:SAMPLE]
    own_BN = unit(np.asarray(vectors_BN[np.sort(order)], dtype=np.float32))
    known_BT = known.encode([texts[row] for row in np.sort(order)], progress=progress)
    judged = np.arange(len(order)) < _JUDGED * len(order)
    np.random.default_rng([seed, 18]).shuffle(judged)
    alignment = fit_alignment(own_BN[~judged], known_BT[~judged]).alignment
    found_BT, wanted_BT = alignment(own_BN[judged]), known_BT[judged]
    return Crossing(
        alignment=alignment,
        length=float(np.linalg.norm(_mapped(alignment, own_BN), axis=1).mean()),
        cosine=float((found_BT * wanted_BT).sum(1).mean()),
        by_chance=float((found_BT * np.roll(wanted_BT, 1, axis=0)).sum(1).mean()),
        texts=int((~judged).sum()),
    )


def _mapped(alignment: Alignment, vectors_BN: np.ndarray) -> np.ndarray:
    """[B, T] what an alignment gives before it brings it to length 1."""
    assert alignment.matrix is not None and alignment.offset is not None
    return alignment.gain * alignment.standardize(vectors_BN) @ alignment.matrix + alignment.offset


@torch.no_grad()
def cross(adapter: Adapter, crossing: Crossing) -> Adapter:
    """An adapter of the new vectors that gives the soft tokens that the known one gives of mapped vectors.

    It differs by the length of a mapped vector alone, which stands as its mean.
    """
    alignment, config = crossing.alignment, adapter.config
    assert alignment.matrix is not None and alignment.offset is not None and alignment.center is not None
    made = Adapter(replace(config, vector_dim=alignment.dim)).to(adapter.center_N.device)
    center_N, matrix_NT, offset_T = (
        torch.from_numpy(np.asarray(array)).to(adapter.center_N.device)
        for array in (alignment.center, alignment.matrix, alignment.offset)
    )
    # The known adapter takes ((mapped / length) - center) / spread, and mapped = gain * z M + offset with the new
    # vectors' own standardized z: one linear layer after another is one linear layer.
    weight_HT: Tensor = adapter.expand.weight / adapter.spread
    made.center_N.copy_(center_N)
    made.spread.fill_(alignment.spread)
    made.expand.weight.copy_(weight_HT @ matrix_NT.T * (alignment.gain / crossing.length))
    made.expand.bias.copy_(adapter.expand.bias + weight_HT @ (offset_T / crossing.length - adapter.center_N))
    made.project.load_state_dict(adapter.project.state_dict())
    return made
