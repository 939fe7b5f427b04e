"""Items out to annotation tools and ratings back: blind, mapped by id, and nothing foreign or repeated comes in."""

import csv
import json

import pytest

from vecspeak.errors import UserError
from vecspeak.raters import export_items, import_ratings
from vecspeak.raters.results import results
from vecspeak.raters.study import start_study


@pytest.fixture
def study(make_report, tmp_path):
    return start_study(tmp_path / "study", make_report(3), systems=("reader", "swapped"))


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def filled(study, path, rater="ann"):
    """The exported rows, each rated: by the first choice, as a spreadsheet would have it."""
    export_items(study, path)
    return [{**row, "value": row["choices"].split("|")[0], "rater": rater} for row in read(path)]


def test_a_row_is_an_item_and_a_question_and_no_system_is_named(study, tmp_path, names):
    path = tmp_path / "items.csv"
    assert export_items(study, path) == 3 * (2 * 3 + 1)
    rows = read(path)
    assert len({(row["item"], row["question"]) for row in rows}) == len(rows) == 21
    assert {row["choices"] for row in rows} == {"1|2|3|4|5", "A|tie|B"}
    assert all(bool(row["text_b"]) == (row["question"] == "better") for row in rows)
    text = path.read_text()
    assert not [word for word in (*names, *names.values()) if word in text]
    alone = [row["item"] for row in rows if row["question"] == "fits"]
    assert alone != [item.id for item in study.sheet.items.values() if not item.is_pair], "shuffled"


def test_ratings_come_back_by_item(study, tmp_path):
    rows = filled(study, tmp_path / "items.csv")
    found = import_ratings(study, write(tmp_path / "rated.csv", rows))
    assert (found.imported, found.known, found.empty, found.raters) == (21, 0, 0, ("ann",))
    given = study.given("ann")
    assert {rating.value for rating in given.values()} == {1, "left"}
    assert results(study).raters[0].done == 9


def test_a_file_that_has_grown_is_imported_again(study, tmp_path):
    rows = filled(study, tmp_path / "items.csv")
    half = [{**row, "value": row["value"] if i < 10 else ""} for i, row in enumerate(rows)]
    first = import_ratings(study, write(tmp_path / "rated.csv", half))
    again = import_ratings(study, write(tmp_path / "rated.csv", rows))
    assert (first.imported, first.empty, again.imported, again.known) == (10, 11, 11, 10)


def broken(rows, kind):
    first, rest = rows[0], rows[1:]
    change = {
        "foreign": {"item": "0123456789abcdef"},
        "other question": {"question": "better" if first["question"] != "better" else "fits"},
        "unusable": {"value": "7"},
        "nameless": {"rater": ""},
        "foreign and empty": {"item": "0123456789abcdef", "value": ""},
    }
    return [first, first, *rest] if kind == "repeated" else [{**first, **change[kind]}, *rest]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (
            "foreign",
            "1 of 21 rows .* 1 of items or questions that are not in this study; nothing was imported",
        ),
        ("other question", "1 of items or questions that are not"),
        ("repeated", "1 of 22 rows .* 1 that repeat an item, question and rater"),
        ("unusable", "1 with a value that the question does not have"),
        ("nameless", "1 without a rater"),
        ("foreign and empty", "1 of items or questions that are not"),
    ],
)
def test_rows_that_do_not_belong_are_counted_and_nothing_is_imported(study, tmp_path, kind, words):
    rows = broken(filled(study, tmp_path / "items.csv"), kind)
    with pytest.raises(UserError, match=words):
        import_ratings(study, write(tmp_path / "rated.csv", rows))
    assert study.raters() == ()


def test_what_a_rater_said_otherwise_in_the_study_is_not_overwritten(study, tmp_path):
    rows = filled(study, tmp_path / "items.csv")
    row = next(row for row in rows if row["question"] == "fits")
    study.add("ann", row["item"], "fits", 5, 1)
    with pytest.raises(UserError, match="1 that differ from what the rater said in the study"):
        import_ratings(study, write(tmp_path / "rated.csv", rows))
    assert len(study.given("ann")) == 1


def test_a_rater_may_be_named_for_a_whole_file(study, tmp_path):
    rows = filled(study, tmp_path / "items.csv", rater="")
    assert import_ratings(study, write(tmp_path / "rated.csv", rows), rater="Bob").raters == ("bob",)


def tasks(study, path, tool):
    export_items(study, path, tool=tool)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_label_studio_takes_the_tasks_and_gives_annotations_back(study, tmp_path):
    exported = tasks(study, tmp_path / "items.jsonl", "")
    assert all(set(task) == {"data"} for task in exported)

    def annotation(task, who):
        choice = task["data"]["choices"].split("|")[-1]
        mark = {"type": "choices", "from_name": "value", "to_name": "text", "value": {"choices": [choice]}}
        return {"completed_by": who, "result": [mark], "lead_time": 3.25, "was_cancelled": False}

    skipped = {"completed_by": 9, "result": [], "was_cancelled": True}
    done = [
        {
            **task,
            "id": i,
            "annotations": [
                annotation(task, 7),
                annotation(task, {"id": 8, "email": "zoe_l@x.org"}),
                skipped,
            ],
        }
        for i, task in enumerate(exported)
    ]
    (tmp_path / "done.json").write_text(json.dumps(done))
    found = import_ratings(study, tmp_path / "done.json")
    assert (found.imported, found.raters) == (42, ("rater 7", "zoe l x org"))
    assert {rating.value for rating in study.given("rater 7").values()} == {5, "right"}
    assert {rating.seconds for rating in study.given("rater 7").values()} == {3.2}


def test_label_studios_small_form_is_read(study, tmp_path):
    one = next(
        task["data"] for task in tasks(study, tmp_path / "a.jsonl", "") if task["data"]["question"] == "fits"
    )
    rows = [{**one, "annotator": 3, "rating": [{"rating": 4}]}, {**one, "annotator": 4, "choice": "2"}]
    (tmp_path / "min.json").write_text(json.dumps(rows))
    assert import_ratings(study, tmp_path / "min.json").imported == 2
    assert [study.given(f"rater {n}")[one["item"], "fits"].value for n in (3, 4)] == [4, 2]


@pytest.mark.parametrize(
    ("said", "seconds"), [("2.5", 2.5), ("", 0.0), ("inf", 0.0), ("nan", 0.0), ("-1", 0.0)]
)
def test_a_time_that_is_none_does_not_spoil_the_study(study, tmp_path, said, seconds):
    rows = [{**row, "lead_time": said} for row in filled(study, tmp_path / "items.csv")]
    import_ratings(study, write(tmp_path / "rated.csv", rows))
    assert {rating.seconds for rating in study.given("ann").values()} == {seconds}


def test_argilla_takes_the_records_and_gives_responses_back(study, tmp_path):
    records = tasks(study, tmp_path / "items.jsonl", "argilla")
    assert len({record["id"] for record in records}) == 21
    assert not any({"item", "question"} & set(record["fields"]) for record in records)
    for record in records:
        choice = record["fields"]["choices"].split("|")[0]
        record["responses"] = {
            "value": [
                {"value": choice, "user_id": "a1-b2", "status": "submitted"},
                {"value": choice, "user_id": "c3", "status": "draft"},
            ]
        }
    (tmp_path / "done.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert import_ratings(study, tmp_path / "done.jsonl").raters == ("a1-b2",)
    assert len(study.given("a1-b2")) == 21


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1]", "row 1 of .* is of no known shape"),
        ('{"data": {"item": "x", "question": "fits"}, "annotations": [7]}', "no known shape"),
        ("{oops", "neither CSV nor JSON nor JSONL"),
        ("[" * 100_000, "brackets more than 64 levels deep"),
        ("name,value\nx,1\n", "does not say its item and question"),
    ],
)
def test_a_file_of_something_else_is_one_line(study, tmp_path, content, words):
    (tmp_path / "file").write_text(content)
    with pytest.raises(UserError, match=words) as error:
        import_ratings(study, tmp_path / "file")
    assert "\n" not in str(error.value)


def test_a_missing_file_and_an_unknown_tool_are_the_users_errors(study, tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        import_ratings(study, tmp_path / "none.csv")
    with pytest.raises(UserError, match="unknown tool 'argila'.*did you mean 'argilla'"):
        export_items(study, tmp_path / "items.jsonl", tool="argila")


def test_a_journal_of_an_earlier_version_still_opens(make_report, tmp_path):
    """Written by the version before: study.json and one rater's lines, byte for byte."""
    study = start_study(tmp_path / "study", make_report(2), systems=("reader", "mean"), count=2, seed=3)
    item = next(item for item in study.sheet.items.values() if item.is_pair)
    (study.folder / "ann.jsonl").write_text(
        f'{{"item": "{item.id}", "question": "better", "value": "left", "seconds": 2.5, '
        '"at": "2026-01-01T00:00:00+00:00"}\n'
    )
    assert json.loads((study.folder / "study.json").read_text()) == {
        "study_version": 1,
        "report": study.sheet.digest,
        "settings": {"seed": 3, "count": 2, "systems": ["reader", "mean"]},
    }
    assert study.given("ann")[item.id, "better"].value == "left"
