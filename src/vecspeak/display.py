"""How results show themselves in notebooks: escaped HTML tables with small bars, and data frames."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from vecspeak.errors import require
from vecspeak.foreign import shown_in_page

LABEL = 80
"""Letters of a label, and of a value, that a line or a cell shows."""
_WIDTH = 90
"""Pixels of a bar of 1."""


def bar(share: float, text: str = "") -> Markup:
    """A bar of a share of 1, with what it says beside it; shares below 0 have no length.

    >>> "width:45px" in bar(0.5, "0.50")
    True
    """
    width = round(_WIDTH * min(max(share, 0.0), 1.0))
    return Markup(
        '<span style="white-space:nowrap"><span style="display:inline-block;background:#4477aa;height:0.6em;'
        'width:{}px"></span> {}</span>'
    ).format(width, text)


def signed_bar(share: float, text: str = "") -> Markup:
    """A bar of a share between -1 and 1 that goes right or left from a line in the middle, with what it says beside it.

    >>> "left:68px;width:22px;background:#cc6677" in signed_bar(-0.25, "-0.25")
    True
    """
    width = round(_WIDTH * min(abs(share), 1.0))
    left, color = (_WIDTH, "#4477aa") if share >= 0 else (_WIDTH - width, "#cc6677")
    return Markup(
        '<span style="white-space:nowrap"><span style="display:inline-block;position:relative;width:{}px;'
        'height:0.8em">'
        '<span style="position:absolute;left:{}px;width:{}px;background:{};height:100%"></span>'
        '<span style="position:absolute;left:{}px;width:1px;background:#888888;height:100%"></span></span> {}</span>'
    ).format(2 * _WIDTH, left, width, color, _WIDTH, text)


def table(heads: Sequence[object], rows: Iterable[Sequence[object]]) -> Markup:
    """A table with its cells to the left; whatever is no Markup is escaped."""
    lines = [_row("th", heads)] if any(heads) else []
    lines += [_row("td", row) for row in rows]
    return Markup("<table>{}</table>").format(Markup("").join(lines))


def _row(tag: str, cells: Sequence[object]) -> Markup:
    one = Markup('<{0} style="text-align:left">{1}</{0}>')
    filled = (one.format(tag, shown_in_page(cell)) for cell in cells)
    return Markup("<tr>{}</tr>").format(Markup("").join(filled))


def element(tag: str, *parts: object) -> Markup:
    """An element around its parts, which are escaped unless they are Markup; nothing where all parts are empty."""
    inside = Markup("").join(escape(shown_in_page(part)) for part in parts)
    return Markup("<{0}>{1}</{0}>").format(tag, inside) if inside else inside


def shaded(text: str, share: float) -> Markup:
    """A text the darker the larger a share of 1 is, which is said when a pointer rests on it.

    >>> "opacity:0.65" in shaded("A man wakes.", 0.5)
    True
    """
    opacity = 0.3 + 0.7 * min(max(share, 0.0), 1.0)
    return Markup('<span style="opacity:{:.2f}" title="{:.2f}">{}</span>').format(
        opacity, share, shown_in_page(text)
    )


def folded(summary: str, inside: Markup) -> Markup:
    """What opens on a click."""
    return Markup("<details><summary>{}</summary>{}</details>").format(shown_in_page(summary), inside)


def bullets(sentences: Iterable[str]) -> Markup:
    """A list of sentences; nothing where there is none."""
    return element("ul", *(element("li", one) for one in sentences))


def to_frame(rows: Iterable[Mapping[str, Any]]) -> Any:
    """A pandas frame of the rows. Raises UserError where pandas is not installed."""
    return require("pandas", "notebook").DataFrame(list(rows))
