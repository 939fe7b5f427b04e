"""Map: the items of a space on a page, coloured by region, with the names where they fit.

Places are t-SNE's (van der Maaten and Hinton 2008): who is near stays near, and what lies far apart on the map tells
little. Knows vectors, regions and places in a picture. Writes no markup.
"""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.report.figures import Box, Frame, free_spot
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters
from vecspeak.spaces.search import unit_rows

SIZE = (1080, 760)
_ITEMS = 5000
"""Items that are drawn where there are more."""
_DIMS, _PERPLEXITY = 50, 30
_LETTER, _LINE = 7.3, 14.0
_LONGEST = 24
_OFFSETS = ((0, 4), (0, -12), (0, 20), (0, -28), (0, 36), (10, 4), (-10, 4), (0, -44), (0, 52))
_GOLDEN = 0.618034
"""Steps of the hue that keep neighbouring numbers apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """The items of one region as one SVG path of dots, and where its name stands."""

    number: int
    """-1 for the items without a region."""
    path: str
    label: str
    x: float
    y: float
    label_x: float
    label_y: float
    anchor: str
    """SVG's text-anchor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A picture of a space."""

    patches: tuple[Patch, ...]
    num_drawn: int
    size: tuple[int, int] = SIZE


def make_map(space: Space, clusters: Clusters, *, seed: int = 0) -> Map:
    """Lay out the items, or 5,000 of them; the larger regions get their names first."""
    rows = np.arange(space.num_items)
    if len(rows) > _ITEMS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _ITEMS, replace=False))
    places = _places(unit_rows(space.vectors[rows]), seed)
    frame = Frame.around(places, size=SIZE)
    labels = clusters.labels[rows]
    taken: list[Box] = []
    numbers = [number for number in range(clusters.num_regions) if (labels == number).any()]
    patches = [_patch(number, clusters, places[labels == number], frame, taken) for number in numbers]
    if (labels < 0).any():
        patches.append(_patch(-1, clusters, places[labels < 0], frame, taken))
    return Map(patches=tuple(patches), num_drawn=len(rows))


def colours(count: int) -> tuple[tuple[str, str], ...]:
    """A colour on white and one on black for each region; numbers near each other get hues that are far apart."""
    return tuple(
        (
            _hex(number * _GOLDEN, (0.40, 0.47)[number % 2], 0.66),
            _hex(number * _GOLDEN, (0.66, 0.58)[number % 2], 0.70),
        )
        for number in range(count)
    )


def _hex(hue: float, lightness: float, saturation: float) -> str:
    return "#" + "".join(
        f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue % 1, lightness, saturation)
    )


def _places(vectors: np.ndarray, seed: int) -> np.ndarray:
    """[N, 2]; the first two principal directions where there are too few items for t-SNE."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    count, width = vectors.shape
    dims = min(_DIMS, count, width)
    with threadpool_limits(1):
        main = PCA(dims, random_state=seed).fit_transform(vectors)
        if count < 3 * _PERPLEXITY:
            return np.hstack([main, np.zeros((count, 2))])[:, :2]
        return np.asarray(
            TSNE(perplexity=_PERPLEXITY, init="pca", random_state=seed, n_jobs=1, max_iter=500).fit_transform(
                main
            )
        )


def _patch(number: int, clusters: Clusters, places: np.ndarray, frame: Frame, taken: list[Box]) -> Patch:
    dots = [frame(x, y) for x, y in places.tolist()]
    x, y = frame(*np.median(places, axis=0).tolist())
    label = f"{number} {_short(clusters.name(number))}".strip() if number >= 0 else ""
    label_x, label_y, anchor = x, y, "middle"
    if label:
        label_x, label_y, anchor = free_spot(
            x, y, _LETTER * len(label), _LINE, offsets=_OFFSETS, size=SIZE, taken=taken
        )
    return Patch(
        number=number,
        path="".join(f"M{across:.0f} {down:.0f}h0" for across, down in dots),
        label=label,
        x=round(x, 1),
        y=round(y, 1),
        label_x=round(label_x, 1),
        label_y=round(label_y, 1),
        anchor=anchor,
    )


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1].rstrip(" ,:") + "…"


def drawn_names(patches: Sequence[Patch]) -> tuple[str, ...]:
    """The names on the map, in the order of the regions."""
    return tuple(patch.label for patch in patches if patch.label)
