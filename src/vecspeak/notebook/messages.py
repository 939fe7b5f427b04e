"""What a widget in a browser may say to Python: each message has these fields, of these types, and no others.

A browser is not trusted: a notebook that somebody sent has run its scripts there.
"""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from vecspeak.errors import UserError, shown_value
from vecspeak.explore.item_values import Source

MOST_ASKED = 4000
"""Letters of a question."""
_AGAIN = "run the cell of the widget again"
Row = Annotated[int, msgspec.Meta(ge=0)]
_Text = Annotated[str, msgspec.Meta(max_length=20_000)]


class PickedPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was clicked: an item by its row or its id, or a place on the map; none of them where a point was closed."""

    row: Row | None = None
    id: _Text | None = None
    xy: tuple[float, float] | None = None
    click: int = 0
    """Goes up with every click, so that the same place can be picked again."""


class WidgetRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What is asked of Python; the reply bears the same number."""

    number: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class ColorChange(WidgetRequest, frozen=True, tag="color"):
    """Another colour for all items; an empty source is one colour."""

    source: Source | Literal[""]
    name: _Text = ""


class AskedPoint(WidgetRequest, frozen=True, tag="ask"):
    """A question about the picked point, or about the item in a row."""

    question: Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_ASKED)]
    effort: Literal["quick", "normal"] = "quick"
    row: Row | None = None


class SharedBySelection(WidgetRequest, frozen=True, tag="share"):
    """What the selected items share."""


def request_in(content: Any) -> ColorChange | AskedPoint | SharedBySelection:
    """The request that a message is. Raises UserError for what is none."""
    return _understood(content, ColorChange | AskedPoint | SharedBySelection)


def place_in(content: Any) -> PickedPlace:
    """The place that was picked. Raises UserError for what is none, and for more than one."""
    found: PickedPlace = _understood(content, PickedPlace)
    if sum(one is not None for one in (found.row, found.id, found.xy)) > 1:
        raise UserError("the widget picked an item and a place at once", _AGAIN)
    return found


def _understood(content: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise UserError(f"what the widget sent is not understood: {error}", _AGAIN) from error


def rows_in(content: Any, num_items: int) -> np.ndarray:
    """[M] int32 ascending: the rows in bytes of little-endian int32. Raises UserError for others than there are."""
    if not isinstance(content, bytes | bytearray | memoryview):
        raise UserError(f"selected rows come as bytes, got {shown_value(content)}", _AGAIN)
    data = bytes(content)
    if len(data) % 4:
        raise UserError(f"selected rows come as four bytes each, got {len(data)} bytes", _AGAIN)
    rows = np.unique(np.frombuffer(data, "<i4"))
    if len(rows) and (rows[0] < 0 or rows[-1] >= num_items):
        wrong = rows[0] if rows[0] < 0 else rows[-1]
        raise UserError(f"the widget selected row {wrong}, and there are rows 0 to {num_items - 1}", _AGAIN)
    return rows
