"""The notebook's widget without a browser: what it draws, what comes back from it, and what it refuses."""

import json

import anywidget
import numpy as np
import pytest

from vecspeak import Point, Space, UserError
from vecspeak.notebook import map_widget

HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture
def widget(reader):
    return reader.widget()


@pytest.fixture
def heard(widget, monkeypatch):
    """What Python sent to the browser beside values."""
    sent = []
    monkeypatch.setattr(widget, "send", lambda content, buffers=None: sent.append(content))
    return sent


def rows(*numbers):
    return memoryview(np.array(numbers, "<i4").tobytes())


def clicks(widget, **place):
    """As a browser says it; every click has a number of its own."""
    clicks.number = getattr(clicks, "number", 0) + 1
    widget.set_state({"_place": place | {"click": clicks.number}})


def asks(widget, **content):
    widget._handle_custom_msg({"number": 7} | content, [])


def test_places_labels_and_colours_go_to_the_browser_as_bytes(widget, reader):
    state = widget.get_state()
    places = np.frombuffer(state["_coordinates"], "<f4").reshape(-1, 2)
    assert (places == reader.map().coordinates).all()
    assert json.loads(bytes(state["_labels"])) == list(reader.space.labels)
    assert state["_shades"] == b"" and state["_color"] == {}
    word = next(term for term in reader.entry().term_reader.terms if " " not in term)
    widget.color_by("word", word)
    assert np.array_equal(np.frombuffer(widget._shades, np.uint8), reader.item_values("word", word).shades)
    assert widget._color["name"] == word and json.dumps(widget._color)
    widget.color_by()
    assert widget._shades == b"" and widget._color == {}
    plain = {key: one for key, one in state.items() if key.startswith("_") and not isinstance(one, bytes)}
    assert "t5" not in json.dumps(plain, default=str), "ids stay in Python"


def test_items_that_labels_do_not_tell_apart_come_with_their_ids(reader):
    space = reader.space
    labels = ["same", "same", " ", *space.labels[3:]]
    vectors = space.vectors.astype(np.float32)
    texts = [space.text_of(one) for one in space.ids]
    named = Space.from_arrays(vectors, ids=list(space.ids), labels=labels, texts=texts, name="named")
    assert map_widget._telling_ids(named) == {row: space.ids[row] for row in range(3)}
    assert map_widget._telling_ids(space) == {}


def test_a_lasso_selects_and_the_frame_has_the_columns(widget, reader):
    seen = []
    widget.observe(lambda change: seen.append(change["new"]), "selection")
    widget.set_state({"_rows": rows(5, 3, 5)})
    assert widget.selection == ("t3", "t5") == seen[-1]
    found = widget.selected()
    assert found["id"].tolist() == ["t3", "t5"] and found["label"].tolist() == ["Thing 3", "Thing 5"]
    assert found["text"].tolist() == [reader.space.text_of("t3"), reader.space.text_of("t5")]
    widget.set_state({"_rows": rows()})
    assert widget.selection == () and list(widget.selected().columns) == ["id", "label", "text"]


def test_a_selection_that_python_sets_is_shown(widget):
    for given in (["t7", "t2"], np.array(["t7", "t2"]), ("t2", "t7", "t2")):
        widget.selection = given
        assert widget.selection == ("t2", "t7")
        assert np.frombuffer(widget._rows, "<i4").tolist() == [2, 7]
        widget.selection = None
    assert widget._rows == b""
    widget.selection = ["t1"]
    for wrong, said in (
        (["t1", "nobody"], "not in 'things': 'nobody'"),
        ("t1", "a list of ids"),
        (5, "list of ids"),
    ):
        with pytest.raises(UserError, match=said):
            widget.selection = wrong
        assert widget.selection == ("t1",), "what was selected stays"


def test_a_click_on_an_item_is_its_point(widget, reader):
    clicks(widget, row=3)
    assert isinstance(widget.point, Point) and widget.point.item_id == "t3" and widget.selection == ("t3",)
    assert (widget._info["title"], widget._info["row"]) == ("Thing 3", 3)
    near = reader.asker().near(widget.point, 8)
    assert [one["id"] for one in widget._info["nearest"]] == [one.id for one in near]
    assert [reader.space.ids[row] for row in widget._info["near_rows"]] == [one.id for one in near]
    clicks(widget, id="t9")
    assert widget.point.item_id == "t9"
    clicks(widget)
    assert widget.point is None and widget._info == {}


def test_an_empty_place_is_a_point_that_can_be_asked_about(widget, reader):
    (place,) = reader.map().unplace([0.2, -0.1])
    clicks(widget, xy=[0.2, -0.1])
    np.testing.assert_allclose(widget.point.vector, place.vector, rtol=1e-4, atol=1e-5)
    assert widget.point.expression.count("id(") == len(place.rows)
    assert widget.selection == () and widget._info["percentile"] == place.percentile
    assert widget._info["map"] == pytest.approx([0.2, -0.1])
    assert [one["label"] for one in widget._info["made_of"]] == list(place.labels)
    assert reader.ask("Describe {x}.", x=widget.point, effort="quick").text


def test_python_can_put_any_point_on_the_map(widget, reader):
    widget.point = 'mid("Thing 1", "Thing 2", 0.5)'
    assert widget._info["title"] == 'mid("Thing 1", "Thing 2", 0.5)' and widget._info["row"] == -1
    assert widget._info["map"] == reader.map().place(widget.point.vector)[0].tolist()
    with pytest.raises(UserError, match="Thing 1x"):
        widget.point = "Thing 1x"


def test_a_question_comes_back_with_the_evidence_of_the_server(widget, heard, reader):
    asks(widget, kind="ask", question="Describe {x}.")
    assert heard == [{"kind": "failed", "said": heard[0]["said"], "number": 7}]
    assert heard[0]["said"].startswith("no point is picked to ask about; click")
    clicks(widget, row=3)
    heard.clear()
    asks(widget, kind="ask", question="Describe {x}.")
    answer = heard.pop()
    assert "".join(one["text"] for one in heard if one["kind"] == "piece").strip() == answer["text"]
    assert {"trusted", "reasons", "clauses", "points"} <= set(answer["evidence"]) and answer["number"] == 7
    assert (
        widget.answer.text == answer["text"] == reader.ask("Describe {x}.", x="Thing 3", effort="quick").text
    )
    heard.clear()
    asks(widget, kind="ask", question="Describe {x}.", row=8)
    assert heard[-1]["evidence"]["points"][0]["label"] == "Thing 8" and widget.point.item_id == "t3"


def test_what_the_selection_shares_is_counted(widget, heard):
    widget.selection = [f"t{row}" for row in range(30)]
    asks(widget, kind="share")
    assert heard[-1]["found"]["num_items"] == 30 and json.dumps(heard[-1], allow_nan=False)
    asks(widget, kind="color", source="column", name="nothing")
    assert heard[-1]["kind"] == "failed" and "no column 'nothing'" in heard[-1]["said"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"kind": "run", "code": "1"}, "Invalid value 'run'"),
        ({"kind": "ask", "question": 5}, "Expected `str`, got `int` - at `$.question`"),
        ({"kind": "ask", "question": "x" * 4001}, "length <= 4000"),
        ({"kind": "ask", "question": "{x}", "row": -1}, ">= 0"),
        ({"kind": "ask", "question": "{x}", "row": 120}, "has the rows 0 to 119"),
        ({"kind": "ask", "question": "{x}", "effort": "endless"}, "Invalid enum value 'endless'"),
        ({"kind": "ask", "question": "{x}", "path": "/etc/passwd"}, "unknown field `path`"),
        ({"kind": "color", "source": "file"}, "Invalid enum value 'file'"),
        ({"kind": "share", "number": 1.5}, "Expected `int`"),
        ({"kind": "share"}, "holds no ids"),
        ("share", "Expected `object`, got `str`"),
        ([], "Expected `object`"),
    ],
)
def test_a_message_that_is_none_gets_a_sentence_and_does_nothing(widget, heard, content, said):
    widget._handle_custom_msg({"number": 7} | content if isinstance(content, dict) else content, [])
    assert len(heard) == 1 and heard[0]["kind"] == "failed" and said in heard[0]["said"]
    assert widget.point is None and widget.answer is None and widget.selection == ()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"_rows": rows(120)}, "selected row 120"),
        ({"_rows": rows(-1)}, "selected row -1"),
        ({"_rows": memoryview(b"abc")}, "four bytes each"),
        ({"_rows": 10**12}, "come as bytes"),
        ({"_rows": [1, 2]}, "come as bytes"),
        ({"_place": {"row": 120}}, "has the rows 0 to 119"),
        ({"_place": {"row": True}}, "Expected `int"),
        ({"_place": {"row": 1, "xy": [0, 0]}}, "at once"),
        ({"_place": {"xy": [0]}}, "length 2"),
        ({"_place": {"xy": [float("nan"), 0]}}, "holds NaN"),
        ({"_place": {"xy": [1e9, 0]}}, "beyond 1,000,000"),
        ({"_place": {"id": "nobody"}}, "has the id 'nobody'"),
        ({"_place": {"expression": "user(1)"}}, "unknown field `expression`"),
        ({"_place": 5}, "Expected `object`"),
    ],
)
def test_a_state_that_is_none_gets_a_sentence_and_changes_nothing(widget, heard, state, said):
    widget.selection = ["t1"]
    widget.set_state(state)
    assert [one["kind"] for one in heard] == ["said"] and said in heard[0]["said"]
    assert widget.selection == ("t1",) and widget.point is None


def test_a_browser_sets_nothing_else(widget):
    before = widget.get_state()
    widget.set_state(
        {
            "_esm": HOSTILE,
            "_labels": memoryview(b"[]"),
            "_info": {"title": HOSTILE},
            "_height": 1,
            "selection": [],
        }
    )
    assert widget.get_state() == before


def test_the_built_module_fetches_nothing_and_makes_no_markup_of_text():
    script = map_widget._SCRIPT.read_text(encoding="utf-8")
    for word in ("fetch(", "XMLHttpRequest", "WebSocket", "import(", "innerHTML", "outerHTML", "insertAdjacentHTML",
                 "document.write", "eval(", "new Function", "http://", "https://", "@import"):  # fmt: skip
        assert word not in script
    assert "export" in script and len(script) < 100_000
    assert anywidget.AnyWidget in map_widget.MapWidget.__mro__


def test_without_anywidget_it_is_said_what_to_install(reader, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "anywidget", None)
    with pytest.raises(UserError, match=r"pip install 'vecspeak\[notebook\]'"):
        reader.widget()


def test_a_height_is_checked(reader):
    with pytest.raises(UserError, match="`height` is a whole number from 200"):
        reader.widget(height=10)


def test_a_space_of_the_same_name_with_other_items_is_not_mixed_with_the_drawn_one(
    widget, heard, reader, texts
):
    widget.selection = ["t1", "t2"]
    other = Space.from_arrays(
        reader.space.vectors[::-1].copy(),
        ids=reader.space.ids,
        labels=reader.space.labels,
        texts=list(texts),
        name="things",
    )
    reader.fit(other)
    with pytest.raises(UserError, match="has changed since this widget was made"):
        widget.color_by("word", "thing")
    asks(widget, kind="share")
    assert heard[-1]["kind"] == "failed" and "vs.widget()" in heard[-1]["said"]
