import json
import threading

import msgspec
import pytest

from vecspeak.errors import UserError
from vecspeak.raters.study import is_done, open_study, rater_name, start_study


@pytest.fixture
def study(make_report, tmp_path):
    return start_study(tmp_path / "study", make_report(4))


@pytest.fixture
def item(study):
    return next(item for item in study.sheet.items.values() if not item.is_pair)


def rating(item, question="fits", value=3, seconds=1.5):
    return item.id, question, value, seconds


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Ann", "ann"),
        ("  Ann   Lee-2 ", "ann lee-2"),
        ("ZOE\u0308", "zoë"),
        ("हिन्दी", "हिन्दी"),
        ("李", "李"),
        ("7", "7"),
        ("a" * 40, "a" * 40),
    ],
)
def test_names_are_kept_in_one_spelling(given, name):
    assert rater_name(given) == name == rater_name(name)


@pytest.mark.parametrize(
    "given",
    ["", " ", "a" * 41, "../x", "a/b", "a\\b", ".hidden", "-a", "a_b", "a\0", "a\u202eb", "\ud800", None, 7],
)
def test_what_is_no_name_is_refused(given):
    with pytest.raises(UserError, match="a name is 1 to 40 letters"):
        rater_name(given)


def test_ratings_are_there_again_in_another_process(study, item, make_report):
    study.add("ann", *rating(item))
    again = open_study(study.folder, make_report(4))
    assert again.given("ann") == study.given("ann")
    assert again.given("ann")[item.id, "fits"].value == 3
    assert again.given("bob") == {} and again.raters() == ("ann",)


def test_the_last_rating_counts_and_the_first_is_kept_on_the_disk(study, item):
    for value in (1, 5, 2):
        study.add("ann", *rating(item, value=value))
    assert [given.value for given in study.given("ann").values()] == [2]
    assert len((study.folder / "ann.jsonl").read_text().splitlines()) == 3


def test_an_item_is_done_when_all_its_questions_are_answered(study, item):
    for question in ("fluent", "fits"):
        study.add("ann", *rating(item, question))
    assert not is_done(item, study.given("ann"))
    study.add("ann", *rating(item, "specific"))
    assert is_done(item, study.given("ann"))


def test_a_rating_cut_anywhere_by_a_kill_loses_nothing_but_itself(study, item):
    study.add("ann", *rating(item, "fluent"))
    path = study.folder / "ann.jsonl"
    first = path.read_bytes()
    study.add("ann", *rating(item, "fits"))
    whole = path.read_bytes()
    for length in range(len(first), len(whole)):
        path.write_bytes(whole[:length])
        assert list(study.given("ann")) == [(item.id, "fluent")]
        study.add("ann", *rating(item, "specific"))
        assert list(study.given("ann")) == [(item.id, "fluent"), (item.id, "specific")]


def test_many_writers_of_one_rater_lose_no_line(study, item):
    def write():
        for _ in range(20):
            study.add("ann", *rating(item))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (study.folder / "ann.jsonl").read_text().splitlines()
    assert len(lines) == 80 and all(json.loads(line)["value"] == 3 for line in lines)


def test_what_is_not_on_the_sheet_is_refused_and_not_stored(study, item):
    pair = next(item for item in study.sheet.items.values() if item.is_pair)
    for wrong, words in [
        (("nonsense", "fits", 3, 1), "no such item"),
        (rating(item, "better", "left"), "is asked: fluent, fits, specific"),
        (rating(pair, "fits"), "is asked: better"),
        (rating(item, value=6), "fits is one of: 1, 2, 3, 4, 5"),
        (rating(item, value=True), "fits is one of"),
        (rating(pair, "better", "both"), "better is one of: left, tie, right"),
    ]:
        with pytest.raises(UserError, match=words):
            study.add("ann", *wrong)
    assert study.raters() == ()


@pytest.mark.parametrize(
    "sent",
    [
        (None, "fits", 3, 1),
        ("i", None, 3, 1),
        ("i", "fits", None, 1),
        ("i", "fits", 3.0, 1),
        ("i", "fits", 3, None),
        ("i", "fits", 3, -1),
        ("i", "fits", 3, float("nan")),
        ("i", "fits", 3, float("inf")),
        ("i", "fits", 3, 10**400),
        ("i", "fits", 3, True),
    ],
)
def test_values_of_a_wrong_kind_make_no_rating(study, sent):
    with pytest.raises(UserError, match="a rating is|seconds are"):
        study.add("ann", *sent)


def test_a_folder_of_another_report_is_refused(study, make_report):
    for opens in (start_study, open_study):
        with pytest.raises(UserError, match="are of another report"):
            opens(study.folder, make_report(5))


@pytest.fixture
def begun(make_report, tmp_path):
    return start_study(tmp_path / "begun", make_report(6), systems=("reader", "mean"), count=3, seed=7)


@pytest.mark.parametrize("other", [{"seed": 8}, {"count": 4}, {"systems": ("reader",)}])
def test_a_study_goes_on_with_the_settings_it_was_begun_with(begun, make_report, other):
    begun.add("ann", *rating(next(i for i in begun.sheet.items.values() if not i.is_pair)))
    for same in ({}, {"seed": 7, "count": 3}, {"systems": ("reader", "mean")}):
        again = start_study(begun.folder, make_report(6), **same)
        assert list(again.sheet.items) == list(begun.sheet.items)
    with pytest.raises(UserError, match="begun with `seed=7` `count=3` and the systems reader, mean"):
        start_study(begun.folder, make_report(6), **other)
    assert len(open_study(begun.folder, make_report(6)).given("ann")) == 1


def test_until_somebody_has_rated_a_study_can_be_begun_anew(begun, make_report):
    changed = start_study(begun.folder, make_report(6), count=4)
    assert changed.sheet.settings == msgspec.structs.replace(begun.sheet.settings, count=4)
    assert open_study(begun.folder, make_report(6)).sheet.settings.count == 4


def test_a_folder_with_other_things_is_left_alone(make_report, tmp_path):
    (tmp_path / "holiday.jpg").write_text("sun")
    with pytest.raises(UserError, match="holds other things than ratings"):
        start_study(tmp_path, make_report(2))
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_kill_while_the_study_was_begun_does_no_harm(make_report, tmp_path):
    (tmp_path / ".study.json.0123abcd.new").write_text('{"study_')
    assert start_study(tmp_path, make_report(2)).given("ann") == {}


def test_a_missing_study_says_how_to_begin_one(make_report, tmp_path):
    with pytest.raises(
        UserError,
        match=r"there are no ratings in .*; run `vecspeak.raters.study.start_study\(...\)` on the report first",
    ):
        open_study(tmp_path / "none", make_report(2))


@pytest.mark.parametrize(
    "kept", ["[]", "{}", '{"study_version": 1, "settings": {"seed": "x"}, "report": ""}']
)
def test_a_broken_description_of_a_study_is_refused(study, make_report, kept):
    (study.folder / "study.json").write_text(kept)
    with pytest.raises(UserError, match="describes no study"):
        open_study(study.folder, make_report(4))


def test_a_later_version_of_a_study_is_refused(study, make_report):
    kept = json.loads((study.folder / "study.json").read_text())
    (study.folder / "study.json").write_text(json.dumps({**kept, "study_version": 99}))
    with pytest.raises(UserError, match="is of version 99, and this vecspeak knows version 1"):
        open_study(study.folder, make_report(4))


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"item": "x"}', "[" * 100_000])
def test_a_broken_line_is_named(study, item, line):
    study.add("ann", *rating(item))
    with (study.folder / "ann.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(
        UserError, match=r"line 2 of .*ann.jsonl (is no rating of this study|has brackets more than 64)"
    ):
        study.given("ann")


def test_a_file_that_bears_no_raters_name_is_named(study):
    (study.folder / "ann (1).jsonl").write_text("")
    with pytest.raises(UserError, match="does not bear the name of a rater"):
        study.raters()


def test_the_files_do_not_tell_who_wrote_what(study, item):
    study.add("ann", *rating(item))
    text = (study.folder / "ann.jsonl").read_text()
    assert not any(key in text for key in study.sheet.settings.systems)
