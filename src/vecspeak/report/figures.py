"""Charts as inline SVG: forest plots, distributions of ranks, and lines along the steps of a trace.

matplotlib lays out and draws; `Picture.svg` makes its file fit for a page. Colors become the page's CSS variables,
so that one picture is right on a light and on a dark page, and text stays text.
"""

import io
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup

from vecspeak.evaluation.report import READER, Measure
from vecspeak.report.tables import cell, is_rank
from vecspeak.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

WIDTH = 360
"""Pixels; as wide as a telephone, so that letters stay legible there."""
ACCENT, OTHER, INK, SOFT, LINE = "#3b55c9", "#8b887d", "#1d1f24", "#5d6270", "#e1dfd8"
TINT, GOOD, WARN, CARD, OWN = "#e9edfb", "#2f7d5b", "#a3541a", "#ffffff", "#00ff01"
_VARIABLES = {
    ACCENT: "var(--accent,#3b55c9)",
    OTHER: "var(--other,#8b887d)",
    INK: "var(--ink,#1d1f24)",
    SOFT: "var(--soft,#5d6270)",
    LINE: "var(--line,#e1dfd8)",
    TINT: "var(--accent-tint,#e9edfb)",
    GOOD: "var(--good,#2f7d5b)",
    WARN: "var(--warn,#a3541a)",
    CARD: "var(--card,#ffffff)",
    OWN: "var(--own,#8b887d)",
}
"""The page's CSS variable for each color that is drawn with; OWN is set by the class of what is drawn."""
_STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "vecspeak"}
_LETTER = 5.9
"""Width of a letter of size 11 in pixels, roughly."""
_STEPS = (1, 2, 5)
_MARGIN, _ROW, _FOOT = 10, 31, 24
_BARS, _GAP = 54, 24
_CURVE_POINTS = 120
_CURVES = {READER: (ACCENT, "-", 3.0), "nearest_text": (GOOD, (0, (4, 2)), 2.2), "swapped": (WARN, ":", 2.2)}
PATHS = {"concept": (ACCENT, "-", 2.6), "random": (WARN, (0, (4, 2)), 1.8), "isotropic": (OTHER, ":", 1.8)}


class Picture:
    """A matplotlib figure whose unit is a CSS pixel.

    Artists that `mark` names carry their kind as CSS class, and a title that shows when they are pointed at.
    """

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.figure import Figure

        self.size = (width, height)
        self._marks: dict[str, tuple[str, str]] = {}
        self.figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        self.figure.patch.set_visible(False)

    def axes(self, *, left: float = 0, right: float = 0, top: float = 0, bottom: float = 0) -> "Axes":
        """Axes without frame and ticks, with margins in pixels."""
        width, height = self.size
        box = (
            left / width,
            bottom / height,
            (width - left - right) / width,
            (height - top - bottom) / height,
        )
        axes = self.figure.add_axes(box, frameon=False)
        axes.tick_params(length=0, labelsize=10.5, labelcolor=SOFT)
        axes.yaxis.set_visible(False)
        axes.set_axisbelow(True)
        return axes

    def mark(self, artist: "Artist", kind: str, title: str = "") -> None:
        """Give an artist the CSS class `kind` and a title."""
        name = f"mark-{len(self._marks)}"
        self._marks[name] = (kind, title)
        artist.set_gid(name)

    def text(
        self, axes: "Axes", at: tuple[float, float], text: str, kind: str, title: str = "", **options: Any
    ) -> Any:
        """Write a text of any origin: nothing in it is markup, and what no XML may hold is left out."""
        options = {"fontsize": 11, "clip_on": False, "parse_math": False} | options
        artist = axes.text(*at, printable(text), **options)
        self.mark(artist, kind, title)
        return artist

    def dots(self, axes: "Axes", places: Any, kind: str, title: str = "", **options: Any) -> Any:
        """Draw round dots at [N, 2] as one path: lines of no length with round ends, the shortest SVG of many dots."""
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        ends = np.repeat(np.asarray(places, dtype=float), 2, axis=0)
        path = Path(ends, np.tile([Path.MOVETO, Path.LINETO], len(ends) // 2))
        path.should_simplify = False  # it would drop the second end of a line of no length
        patch = PathPatch(path, fill=False, capstyle="round", clip_on=False, **options)
        axes.add_patch(patch)
        self.mark(patch, kind, title)
        return patch

    def svg(self, label: str, under: str = "") -> Markup:
        """Inline SVG, described by `label`; `under` is the id of a group of the page that is drawn below it."""
        root = self._root()
        width, height = self.size
        root.attrib = {"viewBox": f"0 0 {width:g} {height:g}", "role": "img", "aria-label": printable(label)}
        if under:
            root.insert(0, ElementTree.Element("use", {"href": f"#{under}"}))
        return _serialized(root)

    def group(self, name: str) -> Markup:
        """The drawing as an SVG group of that id, for other pictures to use."""
        root = self._root()
        root.tag, root.attrib = "g", {"id": name}
        return _serialized(root)

    def _root(self) -> ElementTree.Element:
        from matplotlib import rc_context

        file = io.StringIO()
        with rc_context(_STYLE), warnings.catch_warnings():
            # The browser has its own fonts: a letter that matplotlib's lacks is shown all the same.
            warnings.filterwarnings("ignore", message="Glyph")
            self.figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        root = ElementTree.fromstring(file.getvalue())
        children = _cleaned(root, self._marks)
        root.clear()
        root.tag = "svg"
        root.extend(children)
        return root


def printable(text: str) -> str:
    """One line of the text without what no XML may hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _serialized(root: ElementTree.Element) -> Markup:
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 escaped by ElementTree


def _cleaned(element: ElementTree.Element, marks: Mapping[str, tuple[str, str]]) -> list[ElementTree.Element]:
    """The children without namespaces, matplotlib's ids, empty groups and digits that no eye sees."""
    found: list[ElementTree.Element] = []
    for child in element:
        tag = str(child.tag).rpartition("}")[2]
        if tag in ("defs", "metadata"):
            continue
        retained = ElementTree.Element(tag, _attributes(child, marks))
        retained.text = child.text if tag == "text" else None
        retained.extend(_cleaned(child, marks))
        if title := marks.get(child.get("id", ""), ("", ""))[1]:
            label = ElementTree.Element("title")
            label.text = printable(title)
            retained.insert(0, label)
        if tag == "g" and not retained.attrib:
            found.extend(retained)
        elif tag != "g" or len(retained):
            found.append(retained)
    return found


def _attributes(element: ElementTree.Element, marks: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    found = {}
    for key, value in element.attrib.items():
        name = key.rpartition("}")[2]
        if name == "id" and value in marks:
            found["class"] = marks[value][0]
        elif name == "d":
            numbers = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}", " ".join(value.split()))
            numbers = re.sub(r" ?([MLCz]) ?", r"\1", re.sub(r"\.0(?!\d)", "", numbers))
            found["d"] = re.sub(r"M(\S+ [^ML]+)L\1", r"M\1h0", numbers)
        elif name == "style":
            style = re.sub(r"font-family: [^;]*;? ?|stroke-linejoin: miter;? ?", "", value)
            found["style"] = re.sub(r"#[0-9a-f]{6}", lambda color: _VARIABLES.get(color[0], color[0]), style)
        elif name in ("x", "y"):
            found[name] = f"{float(value):.1f}"
        elif name == "href" or (name == "transform" and "rotate(-0" not in value):
            found[name] = value
    return found


# --- intervals ---


def forest_plot(
    measure: Measure, rows: Sequence[tuple[str, str, Estimate]], *, signed: bool = False, zero: bool = False
) -> Picture:
    """Draw (key, name, estimate) rows of one measure as points with their 95% intervals; ranks on a log axis.

    `signed` is for differences, `zero` for values that are compared with 0: the axis then goes through 0. Raises
    ValueError without rows.
    """
    values = [value for _, _, one in rows for value in (one.low, one.value, one.high)]
    through = signed or zero
    log = is_rank(measure) and not through and min(values) > 0
    low, high = _limits(values + ([0.0] if through else []), log=log)
    picture = Picture(WIDTH, len(rows) * _ROW + _FOOT)
    axes = picture.axes(left=_MARGIN, right=_MARGIN, bottom=_FOOT)
    _scale(axes, low, high, log=log)
    axes.set_ylim(len(rows), 0)
    axes.grid(axis="x", color=LINE, linewidth=1, clip_on=False)
    if not log and low < 0 < high:
        picture.mark(axes.axvline(0, color=SOFT, linewidth=1.4, clip_on=False, zorder=1), "zero")
    for index, (key, name, estimate) in enumerate(rows):
        _forest_row(
            picture, axes, index, name, cell(measure, estimate, signed=signed), estimate, key == READER
        )
    return picture


def _forest_row(
    picture: Picture, axes: "Axes", index: int, name: str, value: str, estimate: Estimate, is_reader: bool
) -> None:
    """Name and value above the interval; of a row y goes from `index` to `index + 1`."""
    color, title = ACCENT if is_reader else OTHER, f"{name}: {value}"
    if is_reader:
        band = axes.axhspan(
            index, index + 0.97, -0.03, 1.03, color=TINT, linewidth=0, clip_on=False, zorder=0
        )
        picture.mark(band, "row-back")
    text, middle, cap = index + 0.42, index + 0.71, 0.13
    across = axes.get_yaxis_transform()
    weight = "bold" if is_reader else "normal"
    color_of_name = ACCENT if is_reader else INK
    room = int((WIDTH - 2 * _MARGIN) / _LETTER) - len(value) - 1
    shown = name if len(name) <= room else name[: max(room - 1, 1)].rstrip() + "…"
    kind = "name of-reader" if is_reader else "name"
    picture.text(axes, (0, text), shown, kind, title, transform=across, color=color_of_name, weight=weight)
    picture.text(axes, (1, text), value, "value", transform=across, color=SOFT, ha="right")
    ends = (estimate.low,) * 3 + (estimate.high,) * 3
    heights = [middle - cap, middle + cap, middle, middle, middle - cap, middle + cap]
    (span,) = axes.plot(ends, heights, color=color, linewidth=2, clip_on=False)
    picture.mark(span, "span", title)
    picture.dots(axes, [(estimate.value, middle)], "dot", title, color=color, linewidth=7.5, zorder=3)


def _limits(values: Sequence[float], *, log: bool) -> tuple[float, float]:
    """The range of the values and a little more; some room around a single value."""
    low, high = min(values), max(values)
    if log:
        return low / 1.15, high * 1.15
    room = 0.05 * (high - low) or 0.05 * abs(low) or 0.05
    return low - room, high + room


def _scale(axes: "Axes", low: float, high: float, *, log: bool) -> None:
    """Set the x axis with a few round ticks on it."""
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log" if log else "linear")
    axes.set_xlim(low, high)
    found = ticks(low, high, log=log)
    axes.set_xticks(found, [_short(value) for value in found])
    axes.xaxis.set_minor_locator(NullLocator())


def ticks(low: float, high: float, *, log: bool = False, most: int = 6) -> list[float]:
    """Round values from low to high, at most `most`, on a log axis one more."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    if not log:
        values = MaxNLocator(most - 1, steps=[1, 2, 5, 10]).tick_values(low, high)
        return [float(f"{value:.12g}") for value in values if low <= value <= high]
    found: list[float] = []
    for subs in (_STEPS, (1, 3), (1,)):
        values = LogLocator(subs=subs, numticks=99).tick_values(low, high)
        found = [float(value) for value in values if low <= value <= high]
        if len(found) <= most + 1:
            return found
    return found[:: math.ceil(len(found) / (most + 1))]


def _short(value: float) -> str:
    if abs(value) >= 10_000 and value % 1000 == 0:
        return f"{value / 1000:,.0f}k"
    return f"{value:z,.6g}" if abs(value) < 1000 else f"{value:,.0f}"


# --- ranks ---

Ranks = Mapping[str, tuple[str, np.ndarray]]
"""Name and ranks [N] of each system, by key; ranks below 1 do not count."""


def share_within(ranks: np.ndarray, k: float) -> float:
    """Share of the ranks that are k or better."""
    return float((ranks <= k).mean())


def _counted(ranks: Ranks, among: int) -> tuple[dict[str, tuple[str, np.ndarray]], int]:
    """Ranks that count, of the systems that have any, and the last rank that there is room for."""
    found = {key: (name, values[values >= 1]) for key, (name, values) in ranks.items()}
    found = {key: one for key, one in found.items() if len(one[1])}
    return found, max([among, 2, *(int(values.max()) for _, values in found.values())])


def rank_histograms(ranks: Ranks, among: int) -> Picture | None:
    """Draw the share of entities in ranges of ranks that begin at 1, 2, 5, 10, 20, ...; None without ranks.

    All systems have one scale.
    """
    found, most = _counted(ranks, among)
    if not found:
        return None
    powers = range(math.ceil(math.log10(most)) + 1)
    edges = [step * 10**power for power in powers for step in _STEPS if step * 10**power <= most] + [most + 1]
    shares = {key: np.histogram(values, edges)[0] / len(values) for key, (_, values) in found.items()}
    highest = max(float(share.max()) for share in shares.values())
    picture = Picture(WIDTH, len(found) * (_BARS + _GAP) + _FOOT)
    axes = picture.axes(left=_MARGIN, right=_MARGIN, bottom=_FOOT)
    _scale(axes, 1, most + 1, log=True)
    axes.set_ylim(len(found) * (_BARS + _GAP), 0)
    across = axes.get_yaxis_transform()
    for index, (key, share) in enumerate(shares.items()):
        name, values = found[key]
        base, is_reader = (index + 1) * (_BARS + _GAP), key == READER
        color = ACCENT if is_reader else OTHER
        weight = "bold" if is_reader else "normal"
        above = base - _BARS - 8
        color_of_name = ACCENT if is_reader else INK
        picture.text(axes, (0, above), name, "name", transform=across, color=color_of_name, weight=weight)
        note = f"in the first ten: {share_within(values, 10):.0%}"
        picture.text(axes, (1, above), note, "value", transform=across, color=SOFT, ha="right")
        bars = axes.bar(
            edges[:-1],
            -share / highest * _BARS,
            np.diff(edges),
            base,
            align="edge",
            color=color,
            edgecolor=CARD,
            clip_on=False,
        )
        for bar, first, after, height in zip(bars, edges, edges[1:], share.tolist(), strict=False):
            words = f"rank {first:,}" if after - first == 1 else f"ranks {first:,} to {after - 1:,}"
            picture.mark(bar, "bar", f"{words}: {height:.1%}")
        axes.axhline(base, color=LINE, linewidth=1, clip_on=False)
    return picture


def rank_curves(ranks: Ranks, among: int) -> Picture | None:
    """Draw the share of entities whose rank is k or better, by k, next to guessing; None without ranks."""
    found, most = _counted(ranks, among)
    if not found:
        return None
    key_height = 17 * (len(found) + 1)
    picture = Picture(WIDTH, 190 + _FOOT + key_height)
    axes = picture.axes(left=_MARGIN, right=_MARGIN, top=12, bottom=_FOOT + key_height)
    _scale(axes, 1, most + 1, log=True)
    axes.set_ylim(0, 1)
    axes.grid(axis="x", color=LINE, linewidth=1, clip_on=False)
    for level in (0.25, 0.5, 0.75, 1.0):
        axes.axhline(level, color=LINE, linewidth=1, clip_on=False)
        across = axes.get_yaxis_transform()
        picture.text(
            axes, (0.01, level + 0.02), f"{level:.0%}", "axis", transform=across, color=SOFT, fontsize=10.5
        )
    at = np.unique(np.geomspace(1, most, _CURVE_POINTS).round().astype(int))
    lines = []
    for key, (name, values) in found.items():
        color, dash, width = _CURVES.get(key, (INK, "-", 1.6))
        shares = [share_within(values, k) for k in at]
        # Steps: nothing is found between two ranks.
        lines += axes.step([*at, most + 1], [*shares, shares[-1]], where="post", label=printable(name))
        lines[-1].set(color=color, linestyle=dash, linewidth=width, clip_on=False, zorder=3 - len(lines) / 10)
        picture.mark(lines[-1], "curve", name)
    lines += axes.step([*at, most + 1], [*(at / most), 1.0], where="post", label="guessing")
    lines[-1].set(color=OTHER, linewidth=1.2, clip_on=False)
    picture.mark(lines[-1], "curve chance", "guessing")
    axes.legend(
        handles=lines,
        loc="upper left",
        bbox_to_anchor=(0, -_FOOT / 178),
        borderaxespad=0,
        borderpad=0,
        fontsize=10.5,
        labelcolor=SOFT,
        handlelength=2.6,
        labelspacing=0.4,
        frameon=False,
    )
    return picture


# --- lines along steps ---


def signed(amount: float) -> str:
    """An amount with its sign, a true minus, and 0 without one."""
    return f"{amount:+g}".replace("-", "−") if amount else "0"


def line_chart(
    lines: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    *,
    span: tuple[float, float] | None = None,
    limit: float | None = None,
) -> Picture:
    """Draw values by amounts along the paths of a trace, each given as kind, amounts and values.

    `span` is the range of the values, by default theirs with 0; `limit` a value that should not be exceeded.
    """
    values = [value for _, _, row in lines for value in row]
    amounts = sorted({amount for _, row, _ in lines for amount in row})
    picture = Picture(330, 230)
    axes = picture.axes(left=40, right=16, top=12, bottom=30)
    low, high = span or _limits([*values, 0.0], log=False)
    axes.set(ylim=(low, high), xlim=(min(amounts), max(amounts) if len(amounts) > 1 else min(amounts) + 1))
    axes.set_xticks(amounts, [signed(amount) for amount in amounts])
    axes.yaxis.set_visible(True)
    axes.set_yticks(found := ticks(low, high), [f"{value:g}".replace("-", "−") for value in found])
    axes.grid(axis="y", color=LINE, linewidth=1, clip_on=False)
    if limit is not None:
        line = axes.axhline(limit, color=WARN, linewidth=1.2, linestyle=(0, (2, 3)), clip_on=False)
        picture.mark(line, "limit", "outside the data above this line")
    for kind, across, row in reversed(lines):
        color, dash, width = PATHS.get(kind, (INK, "-", 1.6))
        (line,) = axes.plot(across, row, color=color, linestyle=dash, linewidth=width, clip_on=False)
        picture.mark(line, f"path of-{kind}")
        picture.dots(
            axes, np.column_stack([across, row]), f"stop of-{kind}", color=color, linewidth=7, zorder=3
        )
    return picture
