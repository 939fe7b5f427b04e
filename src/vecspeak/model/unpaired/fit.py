"""Fitting without pairs: the proof, and the alignment of a map that it holds for."""

from typing import Any

import numpy as np

from vecspeak.errors import UserError
from vecspeak.model.alignment import Alignment, unit
from vecspeak.model.unpaired.proof import prove
from vecspeak.model.unpaired.search import Clouds, Found

MIN_VECTORS = 500
"""Fewest vectors of a space, and fewest texts of a pile, that are matched: halves of fewer have no shape."""
_MOST = 20_000
"""Most of each that are read."""


def fit_unpaired(
    vectors: np.ndarray,
    pile: np.ndarray,
    *,
    pairs: tuple[np.ndarray, np.ndarray] | None = None,
    users: np.ndarray | None = None,
    seed: int = 0,
) -> tuple[Alignment, dict[str, Any]]:
    """Map [N, D] vectors into the place of [M, T] texts' vectors of which none belongs to any known vector.

    `pairs` are [P, D] and [P, T] of items whose texts are known, if only a few. Returns the alignment and a report
    with the proof. Raises UserError, with the figures, where chance does as well, and for fewer than 500 of either.
    """
    for count, what in ((len(vectors), "vectors"), (len(pile), "texts in the pile")):
        if count < MIN_VECTORS:
            raise UserError(
                f"there are {count:,} {what}; without pairs at least {MIN_VECTORS} are needed",
                "give more, or give at least 20 items a text with `text` and leave `unpaired` out",
            )
    clouds = Clouds(source=_sample(vectors, seed), target=_sample(pile, seed), pairs=pairs)
    proof, found = prove(clouds, seed)
    if not proof.holds:
        raise UserError(
            f"no map was found without pairs that chance would not find too: {proof}",
            "give a pile of texts about the same subjects with `pile`, or at least 20 items a text with `text`",
        )
    report = {
        "items": len(vectors),
        "pile": len(pile),
        "pairs": 0 if pairs is None else len(pairs[0]),
        "seed": seed,
        "proof": proof.to_dict(),
        "without_pairs": _said(len(pile), 0 if pairs is None else len(pairs[0]), str(proof)),
    }
    return _alignment(found, clouds, users), report


def _said(pile: int, pairs: int, figures: str) -> str:
    how = (
        f"from {pairs:,} texts and a pile of {pile:,} others"
        if pairs
        else f"without a text, from a pile of {pile:,}"
    )
    return f"this space's map was found {how}: {figures}"


def _alignment(found: Found, clouds: Clouds, users: np.ndarray | None) -> Alignment:
    """The map with a gain by which mapped vectors spread as widely as the pile's."""
    source, matrix = found.source.deviations(clouds.source), found.matrix()
    target = found.target.deviations(clouds.target)
    gain = float(np.sqrt((target**2).mean() / max(((source @ matrix) ** 2).mean(), 1e-12)))
    user_center, user_spread = None, 1.0
    if users is not None:
        directions = unit(users.astype(np.float64))
        user_center = directions.mean(0)
        user_spread = float((directions - user_center).std() / max(source.std(), 1e-12))
    return Alignment(
        dim=matrix.shape[0],
        encoder_dim=matrix.shape[1],
        unit=True,
        center=found.source.mean.astype(np.float32),
        user_center=None if user_center is None else user_center.astype(np.float32),
        user_spread=user_spread,
        matrix=matrix.astype(np.float32),
        offset=found.target.mean.astype(np.float32),
        gain=gain,
    )


def _sample(vectors: np.ndarray, seed: int) -> np.ndarray:
    if len(vectors) <= _MOST:
        return vectors
    return vectors[np.sort(np.random.default_rng([seed, 6]).choice(len(vectors), _MOST, replace=False))]
