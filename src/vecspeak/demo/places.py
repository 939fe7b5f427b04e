"""Places: a space on a page. Two directions that hold most of its variance (PCA), and genres as colours.

Knows vectors and genre names. Knows nothing of SVG, questions or answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COLOURS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Horror", ("horror",)),
    ("Science fiction", ("science fiction", "sci-fi")),
    ("Family", ("animation", "family film", "children")),
    ("Action", ("action", "adventure", "war", "western", "martial")),
    ("Crime and thriller", ("crime", "thriller", "mystery", "noir", "suspense")),
    ("Comedy", ("comedy", "parody", "slapstick", "satire")),
    ("Romance and drama", ("romance", "romantic", "drama", "melodrama")),
)
"""Names of the colours with words of genres; an item takes the first whose word one of its genres has."""
OTHER = "Other"


def colour_of(genres: Sequence[str]) -> str:
    """The one colour of an item that may have many genres: the most telling first."""
    folded = " | ".join(genre.casefold() for genre in genres)
    for name, words in COLOURS:
        if any(word in folded for word in words):
            return name
    return OTHER


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """The two directions along which vectors differ most."""

    center: np.ndarray
    """[D]."""
    axes: np.ndarray
    """[D, 2] of length 1, at right angles; the sign makes the largest entry positive."""
    share: float
    """Share of the variance that they hold, 0 to 1."""

    @classmethod
    def of(cls, vectors: np.ndarray) -> "Projection":
        """Fit on [N, D]; the singular vectors of the covariance [D, D]."""
        center = vectors.mean(0)
        centred = (vectors - center).astype(np.float64)
        directions, variances, _ = np.linalg.svd(centred.T @ centred)
        axes = directions[:, :2]
        signs = np.sign(axes[np.abs(axes).argmax(0), [0, 1]])
        return cls(center=center, axes=axes * signs, share=float(variances[:2].sum() / variances.sum()))

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """[N, 2] places of [N, D] vectors."""
        return (vectors - self.center) @ self.axes
