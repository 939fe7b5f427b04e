import copy
import json
import math
import re
from dataclasses import replace

import pytest

from reports import entities, evaluated, report
from vecspeak.errors import UserError
from vecspeak.evaluation.report import (
    read_report,
    read_summary,
    summary_of,
    without_texts,
    write_report,
)
from vecspeak.evaluation.table import series_of
from vecspeak.storage import write_json


@pytest.fixture
def path(tmp_path):
    return tmp_path / "report.json"


def plain(whole=None):
    """As it stands in a file."""
    return json.loads(json.dumps((whole or report()).to_dict()))


def changed(value, place, new):
    """A copy with another value at the place; `...` takes it out."""
    value = copy.deepcopy(value)
    inside = value
    for step in place[:-1]:
        inside = inside[step]
    if new is ...:
        del inside[place[-1]]
    else:
        inside[place[-1]] = new
    return value


def test_what_is_written_is_read_back_field_by_field(path):
    judged = {"rater": {"trusted": True, "fits": {"reader": 3.5}}}
    whole = report(
        evaluated(flags=("One answer is given to half of the entities.",)),
        evaluated(entities(3, seed=1), name="words", trained_on=True),
        evaluated((), name="nothing"),
        judged=judged,
    )
    write_report(path, whole)
    assert read_report(path) == whole


def test_a_number_is_read_back_to_its_last_bit(path):
    row = entities(1)[0]
    value = 0.1 + 0.2
    row = replace(row, values=dict(row.values) | {"reader": dict(row.values["reader"]) | {"sc": value}})
    write_report(path, report(evaluated((row,))))
    assert read_report(path).sets[0].entities[0].values["reader"]["sc"] == value


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_written(path, bad):
    row = entities(1)[0]
    values = dict(row.values) | {"reader": dict(row.values["reader"]) | {"sc": bad}}
    one = replace(evaluated(entities(2)), entities=(entities(1)[0], replace(row, id="bad", values=values)))
    with pytest.raises(
        ValueError, match=r"\$\.sets\[0\]\.entities\[1\]\.values\[\.\.\.\]\[\.\.\.\]: not a finite"
    ):
        write_report(path, report(one))
    with pytest.raises(ValueError, match=r"\$\.settings\.top_p: not a finite"):
        write_report(path, report(settings={"top_p": bad}))
    assert not path.exists()


@pytest.mark.parametrize("written", ["NaN", "Infinity", "1e999", "1" + "0" * 400])
@pytest.mark.parametrize("place", ["systems[0].estimates.sc.low", "entities[2].values.reader.sc"])
def test_what_is_not_finite_is_not_read(path, written, place):
    steps = [
        "sets",
        0,
        *(int(s) if s.isdigit() else s for s in place.replace("[", ".").replace("]", "").split(".")),
    ]
    path.write_text(json.dumps(changed(plain(), steps, "HERE")).replace('"HERE"', written))
    with pytest.raises(UserError, match="not a finite number") as error:
        read_report(path)
    said = place.replace("estimates.sc.", "estimates[...].").replace("values.reader.sc", "values[...][...]")
    assert f"$.sets[0].{said}: " in error.value.message


@pytest.mark.parametrize(
    ("place", "new", "words"),
    [
        (
            ("sets", 0, "measures", 1, "better"),
            "more",
            "$.sets[0].measures[1].better: Invalid enum value 'more'",
        ),
        (
            ("sets", 0, "systems", 2, "estimates", "sc", "low"),
            ...,
            "$.sets[0].systems[2].estimates[...]: Object missing required field `low`",
        ),
        (
            ("sets", 0, "entities", 3, "answers", "reader"),
            5,
            "$.sets[0].entities[3].answers[...]: Expected `str`, got `int`",
        ),
        (
            ("sets", 0, "entities", 3, "weights", "reader", "loss"),
            -1,
            "$.sets[0].entities[3].weights[...][...]: Expected `float` >= 0",
        ),
        (("sets", 0, "entities", 3), "e", "$.sets[0].entities[3]: Expected `object`, got `str`"),
        (("sets", 0, "entities"), {}, "$.sets[0].entities: Expected `array`, got `object`"),
        (("sets",), 1, "$.sets: Expected `array`, got `int`"),
        (("made",), "yesterday", "$.made: Expected `str` matching regex"),
        (("more",), "x" * 5000, "$.more: unknown field"),
        (("sets", 0, "entities", 3, "more"), 1, "$.sets[0].entities[3].more: unknown field"),
        (("judged",), ..., "$.judged: missing field"),
        (("sets", 0, "entities", 4, "id"), "e1", "$.sets[0].entities[4].id: 'e1' is there twice"),
        (("sets", 0, "systems", 1, "key"), "reader", "$.sets[0].systems[1].key: 'reader' is there twice"),
    ],
)
def test_what_does_not_fit_is_one_line_with_its_place(path, place, new, words):
    write_json(path, changed(plain(), place, new))
    with pytest.raises(UserError) as error:
        read_report(path)
    assert words in error.value.message and str(path) in error.value.message
    assert len(error.value.message) < len(str(path)) + 300 and "\n" not in str(error.value)
    assert f"`VecSpeak.evaluate(...)` and write it to {path}" in error.value.hint


def test_the_first_error_in_the_file_is_the_one_that_is_said(path):
    broken = changed(plain(), ("sets", 0, "entities", 5, "truth"), None)
    broken = changed(broken, ("sets", 0, "entities", 2, "values", "reader", "sc"), "high")
    broken = changed(broken, ("judged",), [])
    write_json(path, broken)
    with pytest.raises(
        UserError, match=r"sets\[0\]\.entities\[2\]\.values\[\.\.\.\]\[\.\.\.\]: Expected `float`"
    ):
        read_report(path)
    write_json(path, changed(broken, ("bundle",), 3))
    with pytest.raises(UserError, match=r"\$\.bundle: Expected `str`"):
        read_report(path)


PLACES = [
    ((), None),
    (("id",), 1),
    (("label",), None),
    (("truth",), ...),
    (("nearest",), {}),
    (("nearest",), "text"),
    (("nearest", 0), "k"),
    (("nearest", 0, "text"), ...),
    (("nearest", 0, "similarity"), "near"),
    (("nearest", 0, "similarity"), True),
    (("nearest", 0, "extra"), 1),
    (("answers",), []),
    (("answers", "reader"), None),
    (("values",), []),
    (("values", "reader"), 0.5),
    (("values", "reader", "sc"), "0.5"),
    (("values", "reader", "sc"), False),
    (("values", "reader", "sc"), None),
    (("weights", "reader", "loss"), -0.1),
    (("weights", "reader"), []),
    (("extra",), 1),
    (("id",), "fine"),
    (("values", "reader", "sc"), -3),
    (("weights",), {}),
    (("nearest",), []),
]
FITTING = PLACES[-4:]


@pytest.mark.parametrize(("place", "new"), PLACES)
def test_an_entity_that_does_not_fit_is_refused_and_one_that_does_is_read(path, place, new):
    entity = ("sets", 0, "entities", 0)
    write_json(path, changed(plain(), (*entity, *place), new))
    if (place, new) in FITTING:
        assert read_report(path).sets[0].count == 12
        return
    with pytest.raises(UserError, match=r"\$\.sets\[0\]\.entities\[0\]"):
        read_report(path)


def test_a_report_is_a_tidy_table_too():
    whole = report(evaluated(entities(3)), evaluated(entities(2), name="movies / summary"))
    table = whole.to_table()
    assert table.column_names == ["set", "task", "system", "entity", "metric", "value", "weight"]
    assert set(table["task"].to_pylist()) == {"", "summary"}
    one = whole.sets[0]
    for (name, system, metric), series in series_of(one.to_table()).items():
        given = one.series(system, metric)
        assert name == one.name and series.estimate() == given.estimate()
    means = whole.to_pandas().groupby(["set", "system", "metric"])["value"].mean()
    assert means[one.name, "reader", "sc"] == pytest.approx(one.series("reader", "sc").values.mean())


def test_another_version_says_what_to_type(path):
    write_json(path, plain() | {"report_version": 3})
    with pytest.raises(UserError, match=r"version 3, and this vecspeak reads version 2") as error:
        read_report(path)
    assert "pip install --upgrade vecspeak" in error.value.hint
    write_json(path, {"bundle": "b", "scores": [{"report_version": 1}]})
    with pytest.raises(UserError, match="is a report of version 1,") as error:
        read_report(path)
    assert "`VecSpeak.evaluate(...)`" in error.value.hint


@pytest.mark.parametrize(
    "value", [[], 3, {}, {"scores": 1}, {"report_version": "2"}, {"report_version": True}]
)
def test_what_is_no_report_is_called_so(path, value):
    write_json(path, value)
    with pytest.raises(UserError, match="is not a report of `VecSpeak.evaluate"):
        read_report(path)


def test_broken_json_is_one_line_with_its_place(path):
    path.write_text('{\n "report_version": 2,\n "bundle": }')
    with pytest.raises(UserError, match=r"line 3 column 12"):
        read_report(path)
    with pytest.raises(UserError, match="there is no file"):
        read_report(path.with_name("other.json"))


def test_a_summary_holds_no_text_of_any_entity():
    whole = report(evaluated(flags=("Be careful.",)), judged={"rater": "e1 is poor"})
    written = json.dumps(without_texts(whole))
    for entity in whole.sets[0].entities:
        texts = [entity.truth, entity.label, *entity.answers.values()]
        texts += [text for known in entity.nearest for text in (known.text, known.label)]
        assert not [text for text in texts if text in written]
    assert "e1 is poor" not in written and "Be careful." in written
    assert without_texts(whole)["sets"][0]["count"] == 12


def test_a_summary_is_read_back_and_is_that_of_its_report(path):
    whole = report(evaluated(), evaluated(entities(3), name="words"))
    write_json(path, without_texts(whole))
    assert read_summary(path) == summary_of(whole)
    write_report(path, whole)
    assert read_summary(path) == summary_of(whole)


def test_a_summary_is_no_report(path):
    write_json(path, without_texts(report()))
    with pytest.raises(UserError, match="is a summary") as error:
        read_report(path)
    assert "vecspeak.report.tables" in error.value.hint


def test_a_summary_that_does_not_fit_is_refused_with_the_place(path):
    broken = json.loads(json.dumps(without_texts(report())))
    write_json(path, changed(broken, ("sets", 0, "count"), -1))
    with pytest.raises(UserError, match=r"sets\[0\]\.count: Expected `int` >= 0"):
        read_summary(path)


@pytest.mark.parametrize(
    "place, new, words",
    [
        (("entities", 0, "values", "reader", "rank"), 1e308, "not a finite number up to 1e"),
        (("entities", 0, "values", "reader", "r10"), 1.5, "values.reader.r10: not from 0 to 1"),
        (("entities", 0, "weights", "reader", "loss"), 1e300, "not a finite number up to 1e"),
        (("systems", 0, "estimates", "sc", "high"), 1e308, "estimates.sc.high: no number up to 1e"),
        (("among",), 10**300, "not a finite number up to 1e"),
    ],
)
def test_numbers_that_no_page_can_show_are_refused_with_their_place(path, place, new, words):
    path.write_text(json.dumps(changed(plain(), ["sets", 0, *place], new)))
    with pytest.raises(UserError, match=rf"\$\.sets\[0\].*{re.escape(words)}"):
        read_report(path)


@pytest.mark.parametrize("new", [1e12, -1e12, 0, 1e-300])
def test_a_page_is_made_of_any_numbers_within_bounds(path, new):
    from vecspeak.report.html import render_page

    content = plain()
    for place in (("entities", 0, "values", "reader", "rank"), ("systems", 0, "estimates", "sc", "high")):
        content = changed(content, ["sets", 0, *place], float(new))
    path.write_text(json.dumps(content))
    assert "<html" in render_page(read_report(path))
