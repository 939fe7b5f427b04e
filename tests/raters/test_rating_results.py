import csv
import dataclasses

import krippendorff
import numpy as np
import pytest

from vecspeak.errors import UserError
from vecspeak.evaluation.report import READER
from vecspeak.raters.results import COLUMNS, export, plain, results
from vecspeak.raters.study import start_study
from vecspeak.stats import estimate


@pytest.fixture
def study(make_report, tmp_path):
    return start_study(tmp_path / "study", make_report(3), systems=("reader", "swapped"))


def say(study, rater, system, number, value, question="fits"):
    """Rate one system's answer about the entity of that number."""
    item = next(
        item
        for item in study.sheet.items.values()
        if item.systems == (system,) and item.entity.id == f"kind0-{number}"
    )
    study.add(rater, item.id, question, value, 60)


def prefer(study, rater, number, system):
    """Choose a system, or "tie", in the pair about the entity of that number."""
    item = next(i for i in study.sheet.items.values() if i.is_pair and i.entity.id == f"kind0-{number}")
    value = "tie" if system == "tie" else ("left", "right")[item.systems.index(system)]
    study.add(rater, item.id, "better", value, 2)
    return item.id, value


def test_a_mean_is_of_the_entities_and_its_interval_is_over_them(study):
    for rater, number, value in [("ann", 0, 5), ("bob", 0, 3), ("ann", 1, 2)]:
        say(study, rater, "reader", number, value)
    say(study, "ann", "reader", 1, 1, "fluent")
    say(study, "bob", "swapped", 2, 1)
    found = results(study)
    (each,) = found.sets
    assert [scored.system for scored in each.scored] == ["reader", "swapped"] and each.preferred == ()
    reader, swapped = each.scored
    assert (reader.raters, reader.ratings, swapped.raters, swapped.ratings) == (2, 4, 1, 1)
    assert reader.questions["fits"] == estimate(np.array([4.0, 2.0]))
    assert reader.questions["fits"].value == 3.0
    assert reader.questions["fluent"].value == 1.0 and "specific" not in reader.questions
    assert reader.name == "the studied one"


def test_a_rating_given_again_counts_once(study):
    say(study, "ann", "reader", 0, 1)
    say(study, "ann", "reader", 0, 5)
    scored = results(study).sets[0].scored[0]
    assert scored.questions["fits"].value == 5.0 and scored.ratings == 1


def test_the_better_of_two_is_counted_by_system_whatever_its_side(study):
    chosen = [
        prefer(study, "ann", 0, READER),
        prefer(study, "ann", 1, READER),
        prefer(study, "ann", 2, "tie"),
    ]
    assert {value for _, value in chosen} == {"left", "right", "tie"}
    prefer(study, "bob", 0, "swapped")
    (pair,) = results(study).sets[0].preferred
    assert (pair.against, pair.raters, pair.wins, pair.ties, pair.losses) == ("swapped", 2, 2, 1, 1)
    assert pair.share == estimate(np.array([0.5, 1.0, 0.5]))


def test_agreement_is_the_librarys_alpha(study):
    given = {"ann": [1, 2, 5], "bob": [2, 2, 4], "cem": [1, 3, None]}
    for rater, values in given.items():
        for number, value in enumerate(values):
            if value:
                say(study, rater, "reader", number, value)
    rows = [[np.nan if value is None else value for value in values] for values in given.values()]
    expected = krippendorff.alpha(np.array(rows), level_of_measurement="ordinal")
    assert results(study).agreement == {"fits": pytest.approx(expected)}
    assert 0.5 < expected < 1


def test_one_rater_agrees_with_nobody(study):
    say(study, "ann", "reader", 0, 1)
    prefer(study, "ann", 0, "tie")
    assert results(study).agreement == {"fits": None, "better": None}
    assert sum("not defined" in line for line in plain(results(study))) == 2


def test_sets_are_counted_apart(make_report, tmp_path):
    study = start_study(tmp_path / "study", make_report(2, 2), systems=("reader",))
    for item in study.sheet.items.values():
        study.add("ann", item.id, "fits", 1 + 3 * item.set_index, 1)
    found = results(study)
    assert [(each.name, each.scored[0].questions["fits"].value) for each in found.sets] == [
        ("kind0", 1.0),
        ("kind1", 4.0),
    ]


def rate_all(study, rater, value):
    """Rate every answer's fit; `value` gives it from the system and a number of its own."""
    for number, item in enumerate(study.sheet.items.values()):
        if not item.is_pair:
            study.add(rater, item.id, "fits", value(item.systems[0], number), 1)


def test_raters_who_do_not_tell_swapped_answers_apart_are_named(make_report, tmp_path):
    study = start_study(tmp_path / "study", make_report(12), systems=("reader", "swapped", "mean"))
    rate_all(study, "ann", lambda system, number: {"reader": 5, "swapped": 1, "mean": 2}[system])
    rate_all(study, "bob", lambda system, number: 3)
    rate_all(study, "cem", lambda system, number: 1 + number * 7 % 5)
    rate_all(study, "dee", lambda system, number: {"reader": 1, "swapped": 5, "mean": 2}[system])
    found = results(study)
    assert {rater.name: rater.reads for rater in found.raters} == {
        "ann": True,
        "bob": False,
        "cem": False,
        "dee": False,
    }
    assert [flag.split()[0] for flag in found.flags] == ["bob", "cem", "dee"]
    assert [line for line in plain(found) if line.startswith("NOTE: bob does not tell the best answers")]


def test_little_says_nothing_about_a_rater(make_report, tmp_path):
    study = start_study(tmp_path / "few", make_report(4), systems=("reader", "swapped"))
    rate_all(study, "ann", lambda system, number: 3)
    assert results(study).raters[0].reads is None
    study = start_study(tmp_path / "unplanted", make_report(9), systems=("reader", "mean"))
    rate_all(study, "ann", lambda system, number: 3)
    assert results(study).raters[0].reads is None and results(study).flags == ()


def test_work_done_is_counted_by_rater(study):
    for question in ("fluent", "fits", "specific"):
        say(study, "ann", "reader", 0, 3, question)
    say(study, "ann", "reader", 1, 3)
    (rater,) = results(study).raters
    assert (rater.name, rater.done, rater.total, rater.seconds) == ("ann", 1, 9, 240.0)
    assert "  ann  1 of 9 items, 4 minutes" in list(plain(results(study)))


def test_every_number_of_the_table_stands_with_its_interval(study):
    for number, value in enumerate((5, 3, 1)):
        say(study, "ann", "reader", number, value)
    prefer(study, "ann", 0, READER)
    lines = list(plain(results(study)))
    (scored,) = [line for line in lines if line.startswith("  the studied one")]
    assert scored.split() == ["the", "studied", "one", "-", "3.00", "[1.00,", "5.00]", "-", "1", "3"]
    (pair,) = [line for line in lines if line.startswith("  than of another vector")]
    assert "1.00 [1.00, 1.00]" in pair and "1 better, 0 equal, 0 worse" in pair


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_csv_has_a_row_a_rating(study, tmp_path):
    say(study, "ann", "swapped", 1, 4)
    item, _ = prefer(study, "bob b", 0, "swapped")
    assert export(study, tmp_path / "ratings.csv") == 2
    first, second = read(tmp_path / "ratings.csv")
    assert tuple(first) == COLUMNS
    assert {key: first[key] for key in COLUMNS[:10]} == {
        "rater": "ann",
        "set": "kind0",
        "id": "kind0-1",
        "label": "Thing 1",
        "system": "swapped",
        "against": "",
        "side": "",
        "question": "fits",
        "value": "4",
        "seconds": "60.0",
    }
    assert (second["rater"], second["system"], second["against"]) == ("bob b", "reader", "swapped")
    assert (second["question"], second["value"], second["item"]) == ("better", "loss", item)
    assert second["side"] == ("left" if study.sheet.items[item].systems[0] == READER else "right")


@pytest.mark.parametrize("label", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_text_in_the_csv_is_a_formula(make_report, tmp_path, label):
    report = make_report(1, systems=("reader",))
    (entities,) = report.sets
    named = dataclasses.replace(entities.entities[0], label=label, id=label)
    report = dataclasses.replace(report, sets=(dataclasses.replace(entities, entities=(named,)),))
    study = start_study(tmp_path / "study", report)
    study.add("ann", next(iter(study.sheet.items)), "fits", 2, 0)
    export(study, tmp_path / "ratings.csv")
    (row,) = read(tmp_path / "ratings.csv")
    assert row["label"] == row["id"] == f"'{label}" and row["value"] == "2"


def test_a_csv_that_cannot_be_written_leaves_the_old_one(study, tmp_path, monkeypatch):
    target = tmp_path / "ratings.csv"
    target.write_text("old")
    say(study, "ann", "reader", 0, 3)
    monkeypatch.setattr("vecspeak.raters.results._cells", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(study, target)
    assert target.read_text() == "old" and [path.name for path in tmp_path.glob(".*")] == []


def test_without_ratings_there_is_nothing_to_tell(study, tmp_path):
    for tell in (results, lambda study: export(study, tmp_path / "ratings.csv")):
        with pytest.raises(UserError, match="nobody has rated in .* yet"):
            tell(study)
    assert not (tmp_path / "ratings.csv").exists()


def test_training_entities_are_called_so_first(make_report, tmp_path):
    made = make_report(2, 2)
    trained = dataclasses.replace(made.sets[1], trained_on=True)
    study = start_study(tmp_path / "study", dataclasses.replace(made, sets=(made.sets[0], trained)))
    rate_all(study, "ann", lambda system, number: 3)
    assert next(plain(results(study))).startswith("NOTE: TRAINING ENTITIES")
    assert "(kind1)" in results(study).flags[0]
