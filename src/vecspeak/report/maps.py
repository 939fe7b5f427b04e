"""Maps of a space as inline SVG: every item a dot, points of interest with labels that do not cover each other.

Places are either two principal directions (`Projection`) or t-SNE's (van der Maaten and Hinton 2008), where who is near
stays near, and how far two groups lie apart tells little.
"""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vecspeak.report.figures import ACCENT, CARD, INK, OTHER, OWN, PATHS, SOFT, Picture, printable
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters
from vecspeak.spaces.levels import Level
from vecspeak.spaces.search import unit_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

SIZE, ATLAS_SIZE = (760, 440), (1080, 760)
_ITEMS = 5000
"""Items of an atlas that are drawn at most."""
_DIMS, _PERPLEXITY = 50, 30
_GOLDEN = 0.618034
"""Steps of the hue that keep the colors of neighboring numbers apart."""
_BY_POINT = (
    (18, 0),
    (-18, 0),
    (0, 18),
    (0, -18),
    (18, 18),
    (-18, 18),
    (18, -18),
    (-18, -18),
    (0, 34),
    (0, -34),
)
_BY_STEP = tuple((0.65 * x, 0.75 * y) for x, y in _BY_POINT[2:] + _BY_POINT[:2])
_BY_REGION = tuple((x, y) for x in (0, 50, -50, 90, -90) for y in (0, 16, -16, 32, -32, 48, -48))
"""Pixels to the right and up at which a label may stand, the best first."""

Place = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """The two directions along which vectors differ most (PCA)."""

    center: np.ndarray
    """[D]."""
    axes: np.ndarray
    """[D, 2] of length 1, at right angles; the sign makes the largest entry positive."""
    share: float
    """Share of the variance along the two, 0 to 1."""

    @classmethod
    def from_vectors(cls, vectors: np.ndarray) -> "Projection":
        """Fit on [N, D]; the singular vectors of the covariance [D, D]."""
        center = vectors.mean(0)
        centered = (vectors - center).astype(np.float64)
        directions, variances, _ = np.linalg.svd(centered.T @ centered)
        axes = directions[:, :2]
        signs = np.sign(axes[np.abs(axes).argmax(0), [0, 1]])
        return cls(center=center, axes=axes * signs, share=float(variances[:2].sum() / variances.sum()))

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """[N, 2] places of [N, D] vectors."""
        return (vectors - self.center) @ self.axes


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The part of the plane that a map shows, at one scale in both directions."""

    x: Place
    """From left to right."""
    y: Place
    """From bottom to top."""
    size: tuple[int, int]
    """Pixels."""

    @classmethod
    def around(
        cls, places: np.ndarray, extra: np.ndarray | None = None, *, size: tuple[int, int] = SIZE
    ) -> "Frame":
        """Show 99% of the places [N, 2] and all of the extra ones [P, 2], with a margin."""
        low, high = np.percentile(places, [0.5, 99.5], axis=0)
        if extra is not None and len(extra):
            low, high = np.minimum(low, extra.min(0)), np.maximum(high, extra.max(0))
        scale = (np.maximum(high - low, 1e-9) / (np.array(size) - 52)).max()
        (left, bottom), (right, top) = (
            (low + high) / 2 + side * np.array(size) / 2 * scale for side in (-1, 1)
        )
        return cls(x=(float(left), float(right)), y=(float(bottom), float(top)), size=size)

    def clipped(self, places: np.ndarray) -> np.ndarray:
        """[N, 2] the places, those beyond the frame on its edge."""
        inset = 4 * (self.x[1] - self.x[0]) / self.size[0]
        low, high = (np.array([self.x[end], self.y[end]]) for end in (0, 1))
        return np.clip(places, low + inset, high - inset)

    def draw(self) -> tuple[Picture, "Axes"]:
        """Begin a picture of the frame."""
        picture = Picture(*self.size)
        axes = picture.axes()
        axes.set(xlim=self.x, ylim=self.y)
        axes.xaxis.set_visible(False)
        return picture, axes


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A point of interest: with a number in a disc, or without one a ring."""

    label: str
    at: Place
    number: int = 0
    ties: tuple[Place, ...] = ()
    """Where the items lie that the point was made from."""


def cloud_map(frame: Frame, places: np.ndarray, groups: Mapping[str, np.ndarray]) -> Picture:
    """Draw every item as a dot; `groups` has the rows of each CSS class, which sets the color `--own`."""
    picture, axes = frame.draw()
    places = frame.clipped(places)
    for kind, rows in sorted(groups.items(), key=lambda group: -len(group[1])):
        picture.dots(axes, places[rows], f"dots {kind}", color=OWN, linewidth=4)
    return picture


def point_map(frame: Frame, spots: Sequence[Spot]) -> Picture:
    """Draw points of interest with their labels, tied to what they were made from."""
    picture, axes = frame.draw()
    taken: list[Bbox] = []
    for spot in spots:
        for x, y in spot.ties:
            (tie,) = axes.plot(
                [x, spot.at[0]], [y, spot.at[1]], color=INK, linewidth=1.4, linestyle=(0, (2, 3))
            )
            picture.mark(tie, "tie")
    for spot in spots:
        wide = 23 if spot.number else 12
        picture.dots(axes, [spot.at], "point", spot.label, color=CARD, linewidth=wide + 3)
        picture.dots(axes, [spot.at], "disc", color=ACCENT if spot.number else INK, linewidth=wide)
        if spot.number:
            style: dict[str, Any] = {"color": CARD, "weight": "bold", "fontsize": 13}
            centered = {"ha": "center", "va": "center_baseline"}
            picture.text(axes, spot.at, str(spot.number), "digit", **style, **centered)
        else:
            picture.dots(axes, [spot.at], "ring", color=CARD, linewidth=wide - 5)
        taken.append(_square(axes, spot.at, wide))
    for spot in spots:
        style = {"color": INK, "weight": "bold"} if spot.number else {"color": SOFT}
        _label(picture, axes, spot.at, _cut(spot.label, 30), "name", _BY_POINT, taken, fontsize=15, **style)
    return picture


def trail_map(frame: Frame, trails: Sequence[tuple[str, Sequence[Place], Sequence[str]]]) -> Picture:
    """Draw paths, each a kind, its places and what is written at them, the first on top."""
    picture, axes = frame.draw()
    taken = [_square(axes, place, 10) for _, places, _ in trails for place in places]
    for order, (kind, places, _) in enumerate(reversed(trails)):
        color, dash, width = PATHS.get(kind, (INK, "-", 1.6))
        x, y = zip(*places, strict=True)
        (line,) = axes.plot(x, y, color=color, linestyle=dash, linewidth=width, zorder=2 + order)
        picture.mark(line, f"path of-{kind}")
        picture.dots(axes, places, "rim", color=CARD, linewidth=13, zorder=2 + order)
        picture.dots(axes, places, f"stop of-{kind}", color=color, linewidth=10, zorder=2 + order)
    for _, places, labels in trails:
        for place, label in zip(places, labels, strict=True):
            if label:
                style: dict[str, Any] = {"color": INK, "weight": "bold", "fontsize": 15}
                _label(picture, axes, place, label, "name", _BY_STEP, taken, **style)
    return picture


# --- labels ---


def _square(axes: "Axes", place: Place, width: float) -> "Bbox":
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform(place)
    return Bbox.from_bounds(x - width / 2, y - width / 2, width, width)


def _label(
    picture: Picture,
    axes: "Axes",
    place: Place,
    text: str,
    kind: str,
    offsets: Sequence[Place],
    taken: list["Bbox"],
    **style: Any,
) -> Any:
    """Write a label where it covers nothing, else at the first offset inside the picture; its box is then taken."""
    artist = axes.annotate(
        printable(text), place, (0, 0), textcoords="offset pixels", va="center", parse_math=False, **style
    )
    picture.mark(artist, kind)
    boxes = []
    for x, y in offsets:
        artist.set(position=(x, y), ha="left" if x > 0 else "right" if x < 0 else "center")
        boxes.append(artist.get_window_extent().padded(2))
    width, height = picture.size
    # Free of other labels first, then at least inside the picture, then the first offset.
    inside = [
        n for n, box in enumerate(boxes) if box.x0 > 0 and box.y0 > 0 and box.x1 < width and box.y1 < height
    ]
    free = [n for n in inside if not boxes[n].count_overlaps(taken)]
    best = next(iter([*free, *inside, 0]))
    x, y = offsets[best]
    artist.set(position=(x, y), ha="left" if x > 0 else "right" if x < 0 else "center")
    taken.append(boxes[best])
    return artist


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip(" ,:") + "…"


# --- the atlas ---


def place_items(space: Space, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows [M] of the items to be drawn, at most 5,000 at random, and their t-SNE places [M, 2].

    Two principal directions stand in for t-SNE where there are fewer than 90 items, or vectors of one number.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    rows = np.arange(space.num_items)
    if len(rows) > _ITEMS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _ITEMS, replace=False))
    vectors = unit_rows(space.vectors[rows])
    with threadpool_limits(1):
        main = PCA(min(_DIMS, *vectors.shape), random_state=seed).fit_transform(vectors)
        if len(rows) < 3 * _PERPLEXITY or main.shape[1] < 2:
            return rows, np.hstack([main, np.zeros((len(rows), 2))])[:, :2]
        tsne = TSNE(perplexity=_PERPLEXITY, init="pca", random_state=seed, n_jobs=1, max_iter=500)
        return rows, np.asarray(tsne.fit_transform(main))


def atlas_map(
    places: np.ndarray, regions: np.ndarray, names: Sequence[str], levels: Sequence[Level] = ()
) -> Picture:
    """Draw items at [M, 2] in the colors of their regions [M], -1 for none; each leads to `#region-N`.

    The names of the regions, the largest first, are written in their middles as far as there is room; those of the
    groups of coarser levels too, in the CSS classes `level-0`, `level-1`, of which a page shows one at a time.
    """
    frame = Frame.around(places, size=ATLAS_SIZE)
    picture, axes = frame.draw()
    places = frame.clipped(places)
    taken: list[Bbox] = []
    if (regions < 0).any():
        outside = places[regions < 0]
        picture.dots(axes, outside, "dots none", "in no region", color=OTHER, linewidth=5)
    shown = [number for number in range(len(names)) if (regions == number).any()]
    for number in shown:
        title = f"{number} {names[number]}"
        dots = picture.dots(axes, places[regions == number], f"dots r{number}", title, color=OWN, linewidth=5)
        dots.set_url(f"#region-{number}")
    for number in shown:
        x, y = np.median(places[regions == number], axis=0).tolist()
        style: dict[str, Any] = {"color": INK, "url": f"#region-{number}"}
        picture.text(
            axes, (x, y), str(number), "region-number", ha="center", va="center", fontsize=30, **style
        )
        name = f"{number} {_cut(names[number], 24)}"
        _label(
            picture,
            axes,
            (x, y),
            name,
            "region-name",
            _BY_REGION,
            taken,
            fontsize=12.5,
            weight="bold",
            **style,
        )
    for depth, level in enumerate(levels):
        _write_groups(picture, axes, places, level.labels(regions), level, depth)
    return picture


def _write_groups(
    picture: Picture, axes: "Axes", places: np.ndarray, groups: np.ndarray, level: Level, depth: int
) -> None:
    """The names of a level's groups, the largest first, none over another of its level."""
    taken: list[Bbox] = []
    for group, name in enumerate(level.names):
        if (groups == group).any():
            middle = np.median(places[groups == group], axis=0).tolist()
            style: dict[str, Any] = {"color": INK, "weight": "bold", "fontsize": 20 - 3 * depth}
            _label(
                picture, axes, middle, _cut(name, 34), f"group-name level-{depth}", _BY_REGION, taken, **style
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedName:
    """A region or a group of them with the middle of its items."""

    number: int
    """Of the region, or of the group on its level."""
    name: str
    """Empty where no atlas named it."""
    x: float
    y: float
    num_items: int


def placed_names(places: np.ndarray, clusters: Clusters) -> list[list[PlacedName]]:
    """The names of every level, the coarsest first and the regions last, at the medians of their items' [N, 2]."""
    levels = [(level.names, level.labels(clusters.labels)) for level in clusters.levels]
    placed: list[list[PlacedName]] = []
    for names, groups in (*levels, (clusters.names, clusters.labels)):
        placed.append([])
        for number in range(int(groups.max()) + 1):
            inside = places[groups == number]
            x, y = np.median(inside, axis=0).tolist()
            name = names[number] if names else ""
            placed[-1].append(PlacedName(number=number, name=name, x=x, y=y, num_items=len(inside)))
    return placed


def region_colors(count: int) -> tuple[tuple[str, str], ...]:
    """A color on white and one on black for each region; numbers near each other get hues that are far apart."""
    themes = (((0.40, 0.47), 0.66), ((0.66, 0.58), 0.70))
    return tuple(
        tuple(_hex(number * _GOLDEN, lightness[number % 2], saturation) for lightness, saturation in themes)  # type: ignore[misc]
        for number in range(count)
    )


def _hex(hue: float, lightness: float, saturation: float) -> str:
    parts = colorsys.hls_to_rgb(hue % 1, lightness, saturation)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)
