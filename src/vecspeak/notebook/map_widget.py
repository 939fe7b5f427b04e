"""The map of a space as an anywidget: a picture that Python sets, and what somebody picks on it as Python values.

What is drawn goes to the browser once, as bytes. Of what comes back, Python takes two values and three requests, each
checked by `messages`; whatever else a browser sends is left unread.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from vecspeak.engines import Sampling
from vecspeak.errors import UserError, check_one_of, require, shown_value
from vecspeak.evidence import Answer, finite, plain
from vecspeak.explore.atlas import to_json
from vecspeak.explore.point_facts import place_facts, place_point, point_facts
from vecspeak.explore.regions import ids_region
from vecspeak.notebook.messages import (
    AskedPoint,
    ColorChange,
    SharedBySelection,
    place_in,
    request_in,
    rows_in,
)
from vecspeak.points import Point
from vecspeak.report.maps import placed_names
from vecspeak.served import Served
from vecspeak.spaces import Space
from vecspeak.spaces.plane import MapPlace, SpaceMap
from vecspeak.tables.cells import to_python
from vecspeak.trust import evidence_of

_SCRIPT = Path(__file__).parent / "static" / "widget.js"
_NEAREST, _WORDS = 8, 10


class MapWidget(anywidget.AnyWidget):
    """A space's map in a notebook; `VecSpeak.widget` makes it.

    >>> widget.selection = ["m1", "m7"]    # shown on the map
    >>> widget.selected()                  # a frame of what somebody drew around, or of what was set
    >>> vs.ask("Describe {x}.", x=widget.point)
    """

    _esm = _SCRIPT.read_text(encoding="utf-8")

    selection: Any = traitlets.TraitType(())
    """Ids of the selected items, a tuple; set it to a list of ids. `observe(call, "selection")` hears of changes."""
    point: Any = traitlets.Any(None, allow_none=True)
    """The `Point` that was picked: an item, or what a place reads back as; set it to what `VecSpeak.point` takes."""
    answer: Answer | None
    """The last answer that was asked for in the widget."""

    _title = traitlets.Unicode().tag(sync=True)
    _height = traitlets.Int().tag(sync=True)
    _coordinates = traitlets.Bytes().tag(sync=True)
    """[N, 2] little-endian float32."""
    _labels = traitlets.Bytes().tag(sync=True)
    """The N labels as JSON in UTF-8."""
    _ids = traitlets.Bytes().tag(sync=True)
    """The ids of the items that their labels do not tell apart, by their rows, as JSON in UTF-8."""
    _names: Any = traitlets.List().tag(sync=True)
    _sources = traitlets.Dict().tag(sync=True)
    _shades = traitlets.Bytes().tag(sync=True)
    """[N] uint8, see `ItemValues.shades`; empty for one colour."""
    _color = traitlets.Dict().tag(sync=True)
    _info = traitlets.Dict().tag(sync=True)
    """What is told of the point."""
    _rows = traitlets.Bytes().tag(sync=True)
    """Rows of the selection: [M] little-endian int32. The browser sets it too."""
    _place = traitlets.Dict().tag(sync=True)
    """What was clicked, a `PickedPlace`. The browser sets it."""

    def __init__(self, reader: Served, drawn: SpaceMap, *, height: int = 480) -> None:
        space, clusters = drawn.space, reader.entry(drawn.space.name).clusters
        levels = [] if clusters is None else placed_names(drawn.coordinates, clusters)
        self._reader, self._drawn = reader, drawn
        self._read_back: tuple[Point, MapPlace] | None = None
        self.answer = None
        super().__init__(
            _title=space.name,
            _height=height,
            _coordinates=drawn.coordinates.astype("<f4", copy=False).tobytes(),
            _labels=_json(list(space.labels)),
            _ids=_json(_telling_ids(space)),
            _names=plain(levels),
            _sources=reader.value_sources(space.name),
        )
        self.on_msg(self._received)

    def __repr__(self) -> str:
        space = self._drawn.space
        return f"MapWidget({space.name!r}, {space.num_items:,} items, {len(self.selection):,} selected)"

    # --- what Python sets and reads ---

    def color_by(self, source: str = "", name: str = "") -> None:
        """Colour the items by a "column", a "concept", a "word" or the "regions"; without a source by one colour.

        >>> widget.color_by("word", "lawyer")

        Raises UserError for a name that is not there.
        """
        self._check_space()
        check_one_of("source", source, ("column", "concept", "word", "regions", ""))
        color: dict[str, Any] = {}
        shades = b""
        if source:
            found = self._reader.item_values(source, name, space=self._drawn.space.name)  # type: ignore[arg-type]
            shades = found.shades.astype(np.uint8, copy=False).tobytes()
            color = {
                "source": found.source,
                "name": found.name,
                "names": list(found.names),
                "range": finite(found.range),
            }
        with self.hold_sync():
            self._shades, self._color = shades, color

    def selected(self) -> Any:
        """A pandas frame of the selected items: id, label and the columns of the space.

        Raises UserError where pandas is not installed.
        """
        space = self._drawn.space
        rows = np.frombuffer(self._rows, "<i4")
        columns: dict[str, Any] = {"id": list(space.ids.take(rows)), "label": list(space.labels.take(rows))}
        for name in space.metadata.column_names:
            columns[name] = to_python(space.metadata.column(name).take(rows), name)
        return require("pandas", "notebook").DataFrame(columns)

    @traitlets.validate("selection")
    def _known_ids(self, proposal: Any) -> tuple[str, ...]:
        given = () if proposal["value"] is None else proposal["value"]
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise UserError(f"a selection is a list of ids, got {shown_value(given)}", "give ['ID', ...]")
        ids, space = list(given), self._drawn.space
        return tuple(space.ids.take(ids_region(space, ids).rows)) if ids else ()

    @traitlets.observe("selection")
    def _show_selection(self, change: Any) -> None:
        self._rows = self._drawn.space.ids.find(change["new"]).astype("<i4").tobytes()

    @traitlets.observe("_rows")
    def _read_selection(self, change: Any) -> None:
        ids = tuple(self._drawn.space.ids.take(np.frombuffer(change["new"], "<i4")))
        if ids != self.selection:
            self.selection = ids

    @traitlets.validate("point")
    def _any_point(self, proposal: Any) -> Point | None:
        given = proposal["value"]
        self._check_space()
        return None if given is None else self._reader.point(given, space=self._drawn.space.name)

    @traitlets.observe("point")
    def _show_point(self, change: Any) -> None:
        self._info = {} if change["new"] is None else finite(self._facts(change["new"]))

    def _facts(self, point: Point) -> dict[str, Any]:
        """What the panel tells of a point, without a language model."""
        space, asker = self._drawn.space, self._reader.asker(self._drawn.space.name)
        facts = point_facts(asker, self._drawn, point, nearest=_NEAREST, words=_WORDS)
        row, title, about = -1, point.expression, "expression"
        if point.item_id is not None and space.has(point.item_id):
            row = space.index_of(point.item_id)
            label = space.labels[row]
            title, about = label if label.strip() else point.item_id, "item"
        elif self._read_back and self._read_back[0].expression == point.expression:
            facts = place_facts(self._read_back[1], facts)
            title, about = "A place between items", "made of its neighbours on the map"
        facts.pop("vector", None)
        near = [space.index_of(one["id"]) for one in facts["nearest"]]
        return facts | {"title": title, "about": about, "row": row, "near_rows": near}

    # --- what the browser says ---

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take the selected rows and the picked place from the browser, checked; a sentence goes back for a mistake."""
        try:
            taken: dict[str, Any] = {}
            if "_rows" in sync_data:
                taken["_rows"] = rows_in(sync_data["_rows"], self._drawn.space.num_items).tobytes()
            if "_place" in sync_data:
                place_in(sync_data["_place"])
                taken["_place"] = sync_data["_place"]
            super().set_state(taken)
        except UserError as error:
            self.send({"kind": "said", "said": str(error)})
            self.send_state("_rows")

    @traitlets.observe("_place")
    def _pick(self, change: Any) -> None:
        picked, space = place_in(change["new"]), self._drawn.space
        if picked.xy is not None:
            (place,) = self._drawn.unplace(np.array(picked.xy))
            point = self._reader.point(place_point(place), space=space.name)
            self._read_back = point, place
            self.point, self.selection = point, ()
        elif picked.row is not None or picked.id is not None:
            item = space[picked.row if picked.id is None else space.index_of(picked.id)]  # type: ignore[index]
            self.point, self.selection = item, (item.item_id,)
        else:
            self.point = None

    def _received(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Answer a request under its number: with what came of it, or with a sentence of what is wrong."""
        number = content.get("number") if isinstance(content, dict) else None
        try:
            said = self._answered(request_in(content))
        except UserError as error:
            said = {"kind": "failed", "said": str(error)}
        except BaseException as error:  # the browser waits for a reply; Python says the rest
            self.send({"kind": "failed", "said": f"Python stopped: {type(error).__name__}", "number": number})
            raise
        self.send(finite(said) | {"number": number})

    def _check_space(self) -> None:
        """Raises UserError where another space has taken the name of the one that is drawn."""
        drawn = self._drawn.space
        there = self._reader.spaces.get(drawn.name)
        if there is not drawn and (there is None or there.digest != drawn.digest):
            raise UserError(
                f"{drawn.name} has changed since this widget was made", "make another: vs.widget()"
            )

    def _answered(self, asked: ColorChange | AskedPoint | SharedBySelection) -> dict[str, Any]:
        self._check_space()
        match asked:
            case ColorChange():
                self.color_by(asked.source, asked.name)
                return {"kind": "colored"}
            case SharedBySelection():
                found = self._reader.describe(
                    ids=list(self.selection), reader=False, space=self._drawn.space.name
                )
                return {"kind": "shared", "found": to_json(found)}
        return self._asked(asked)

    def _asked(self, asked: AskedPoint) -> dict[str, Any]:
        space = self._drawn.space
        point = self.point if asked.row is None else space[asked.row]
        if point is None:
            raise UserError("no point is picked to ask about", "click an item or a place on the map")
        asker, prepared = self._reader.prepared(
            asked.question, at={"x": point}, effort=asked.effort, space=space.name
        )

        def say(piece: str) -> None:
            self.send({"kind": "piece", "text": piece, "number": asked.number})

        self.answer = answer = asker.answer(prepared, Sampling(), effort=asked.effort, on_text=say)
        return {"kind": "answer", "text": answer.text, "evidence": evidence_of(answer)}


def _json(found: Any) -> bytes:
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")


def _telling_ids(space: Space) -> dict[int, str]:
    """The ids of the items whose label is blank or another's too; all other ids stay in Python."""
    labels = list(space.labels)
    counts = Counter(labels)
    return {row: space.ids[row] for row, label in enumerate(labels) if counts[label] > 1 or not label.strip()}
