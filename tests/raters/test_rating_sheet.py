import dataclasses
import json
from collections import Counter

import pytest

from vecspeak.errors import UserError
from vecspeak.evaluation.report import READER
from vecspeak.raters import items as judged
from vecspeak.raters.items import BETTER, FITS, SCALES
from vecspeak.raters.study import digest_of, make_sheet


def ids(items):
    return [item.id for item in items]


def changed(report, **changes):
    """The report with its first entity changed."""
    first = report.sets[0]
    entities = (dataclasses.replace(first.entities[0], **changes), *first.entities[1:])
    return dataclasses.replace(report, sets=(dataclasses.replace(first, entities=entities), *report.sets[1:]))


def test_a_seed_and_a_report_always_make_the_same_items(make_report):
    report = make_report(30)
    first, second = (make_sheet(report, count=10, seed=3) for _ in range(2))
    assert ids(first.items.values()) == ids(second.items.values())
    assert not set(first.items) & set(make_sheet(report, count=10, seed=4).items)
    assert {item.key for item in first.items.values()} != {
        item.key for item in make_sheet(report, count=10, seed=4).items.values()
    }


def test_an_entity_has_an_item_for_each_system_and_a_pair_with_the_reader(make_report):
    sheet = make_sheet(make_report(8), count=8)
    assert sheet.settings.systems == ("reader", "swapped", "nearest_text", "lm_texts", "mean")
    assert len(sheet.items) == 8 * 6
    alone = Counter(item.systems for item in sheet.items.values() if not item.is_pair)
    assert alone == {(system,): 8 for system in sheet.settings.systems}
    pairs = [item for item in sheet.items.values() if item.is_pair]
    assert all(READER in item.systems for item in pairs) and len({item.key for item in pairs}) == 8


def test_baselines_take_turns_beside_the_reader_in_every_set(make_report):
    sheet = make_sheet(make_report(8, 8), count=16)
    for index in (0, 1):
        pairs = [item for item in sheet.items.values() if item.is_pair and item.set_index == index]
        beside = Counter(key for item in pairs for key in item.systems if key != READER)
        assert beside == {"swapped": 2, "nearest_text": 2, "lm_texts": 2, "mean": 2}


@pytest.mark.parametrize("systems", [("reader", "mean"), ("reader", "mean", "swapped"), ()])
def test_the_reader_stands_left_as_often_as_right_beside_every_baseline(make_report, systems):
    items = make_sheet(make_report(24), count=24, systems=systems).items.values()
    left = Counter(item.systems[1] for item in items if item.is_pair and item.systems[0] == READER)
    right = Counter(item.systems[0] for item in items if item.is_pair and item.systems[1] == READER)
    assert left == right and sum(left.values()) == 12


def test_the_side_of_the_first_pair_is_drawn(make_report):
    sides = set()
    for seed in range(8):
        sheet = make_sheet(make_report(1), systems=("reader", "mean"), seed=seed)
        sides.add(next(item.systems for item in sheet.items.values() if item.is_pair))
    assert len(sides) == 2


def test_entities_come_evenly_from_the_sets_and_small_sets_give_all(make_report):
    def drawn(*counts, count):
        items = make_sheet(make_report(*counts), count=count).items.values()
        return Counter(index for index, _ in {item.key for item in items})

    assert drawn(20, 20, 20, count=10) == {0: 4, 1: 3, 2: 3}
    assert drawn(2, 20, count=10) == {0: 2, 1: 8}
    assert drawn(2, 3, count=10) == {0: 2, 1: 3}


def test_every_rater_gets_all_items_in_an_order_of_their_own(make_report):
    sheet = make_sheet(make_report(12), count=12)
    orders = {rater: ids(sheet.order(rater)) for rater in ("ann", "bob", "cem")}
    assert all(sorted(order) == sorted(sheet.items) for order in orders.values())
    assert len({tuple(order) for order in orders.values()}) == 3
    assert orders["ann"] == ids(sheet.order("ann"))


@pytest.mark.parametrize("seed", range(5))
def test_items_of_one_entity_lie_apart(make_report, seed):
    sheet = make_sheet(make_report(2, 3), count=5, seed=seed)
    for rater in ("ann", "bob", "cem", "dee"):
        order = [item.key for item in sheet.order(rater)]
        assert all(one != other for one, other in zip(order, order[1:], strict=False))
        assert all(len(set(order[turn : turn + 5])) == 5 for turn in range(0, len(order), 5))


def test_no_place_in_the_order_belongs_to_a_system(make_report):
    sheet = make_sheet(make_report(40), count=40)
    first = Counter(item.systems[0] for item in sheet.order("ann")[:40] if not item.is_pair)
    assert set(first) == set(sheet.settings.systems) and max(first.values()) < 20


def test_what_is_shown_of_two_systems_differs_in_the_texts_alone(make_report):
    sheet = make_sheet(make_report(4), count=4)
    of = next(iter(sheet.items.values())).key
    shown = [item.for_page() for item in sheet.items.values() if item.key == of and not item.is_pair]
    assert len({item["id"] for item in shown}) == len({item["answers"][0] for item in shown}) == 5
    rest = [{k: v for k, v in item.items() if k not in ("id", "answers")} for item in shown]
    assert all(one == rest[0] for one in rest)
    assert set(rest[0]) == {"label", "truth", "question", "questions"}
    assert not any(key in json.dumps(rest[0]) for key in sheet.settings.systems)


def test_ids_are_not_to_be_made_without_the_whole_report(make_report):
    report = make_report(6)
    other = changed(report, truth="Something else.")
    assert not set(make_sheet(report).items) & set(make_sheet(other).items)


def test_the_digest_is_of_what_raters_see_and_not_of_numbers(make_report):
    report = make_report(3)
    assert digest_of(report) == digest_of(changed(report, values={"reader": {"consistency": 0.5}}))
    assert digest_of(report) == digest_of(dataclasses.replace(report, judged={"model": {}}))
    for change in ({"truth": "x"}, {"label": "x"}, {"id": "x"}, {"answers": {"reader": "x"}}):
        assert digest_of(report) != digest_of(changed(report, **change))


def test_long_texts_are_cut_and_the_label_stands_in_the_question(make_report):
    report = changed(make_report(1), truth="word " * 1000, label=r"A \1 {x}")
    shown = next(iter(make_sheet(report).items.values())).for_page()
    assert shown["truth"].endswith("word [...]") and len(shown["truth"].split()) == judged.TRUTH_WORDS + 1
    assert shown["question"] == "Describe the thing “A \\1 {x}”."


def test_what_cannot_be_rated_is_left_out(make_report):
    sheet = make_sheet(changed(make_report(2), truth=" \n"), systems=("reader",))
    assert {item.entity.id for item in sheet.items.values()} == {"kind0-1"}
    sheet = make_sheet(changed(make_report(2), answers={"swapped": "Only this."}))
    assert sum(item.entity.id == "kind0-0" for item in sheet.items.values()) == 1


def test_only_systems_with_answers_are_rated(make_report):
    assert make_sheet(make_report(2, systems=("reader", "mean"))).settings.systems == ("reader", "mean")
    assert make_sheet(make_report(2), systems=("ceiling",)).settings.systems == ("ceiling",)
    with pytest.raises(UserError, match="no answers of the system 'nonsense'; give `system` one of: reader,"):
        make_sheet(make_report(2), systems=("reader", "nonsense"))
    with pytest.raises(UserError, match="give `system` one of: ceiling"):
        make_sheet(make_report(2, systems=("ceiling",)))


def test_a_report_without_entities_is_refused(make_report):
    with pytest.raises(UserError):
        make_sheet(make_report())
    with pytest.raises(UserError, match="nothing can be rated"):
        make_sheet(changed(make_report(1), truth=""))


def test_people_and_models_are_asked_the_same():
    shown = {question.key: question.for_page() for question in (*SCALES, BETTER)}
    told = {q.key: judged.prompt(q, dict.fromkeys(q.shows, "")) for q in judged.QUESTIONS}
    assert shown.keys() == told.keys()
    assert all(told[key].startswith(one["help"]) for key, one in shown.items())


@pytest.mark.parametrize("value", [0, 6, True, 1.0, "1", None, [1], "left"])
def test_a_value_of_another_kind_or_size_is_not_allowed(value):
    assert not FITS.allows(value)
    assert FITS.allows(1) and FITS.allows(5) and BETTER.allows("tie")
    assert not BETTER.allows(1) and not BETTER.allows("LEFT")
