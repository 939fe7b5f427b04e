import json
from dataclasses import replace

import numpy as np
import pytest

from reports import MEASURES, NAMES, entities, evaluated, report
from vecspeak.errors import UserError
from vecspeak.report.compare import compare, flat, system_difference, verdict_of
from vecspeak.report.terminal import WIDTH, comparison_lines
from vecspeak.stats import Estimate, Series, difference

SC = next(measure for measure in MEASURES if measure.key == "sc")


def lifted(rows, lift, noise=0.0, seed=9):
    """The same entities with the reader's consistency changed."""
    rng = np.random.default_rng(seed)
    found = []
    for row in rows:
        sc = (
            row.values["reader"]["sc"] + lift + float(rng.normal(0, noise))
            if noise
            else row.values["reader"]["sc"] + lift
        )
        found.append(replace(row, values={**row.values, "reader": {**row.values["reader"], "sc": sc}}))
    return tuple(found)


def change(comparison, system="reader", measure="sc"):
    return next(c for c in comparison.sets[0].changes if (c.system, c.measure) == (system, measure))


def test_a_report_and_itself_differ_by_nothing():
    found = compare(report(), report())
    assert found.warnings == found.settings == ()
    assert found.sets[0].count == 12 and found.sets[0].only_first == found.sets[0].only_second == 0
    measured = {(s.key, m) for s in report().sets[0].systems for m in s.estimates}
    assert {(c.system, c.measure) for c in found.sets[0].changes} == measured
    for c in found.sets[0].changes:
        assert c.difference == Estimate(0.0, 0.0, 0.0) and not c.is_clear and c.first == c.second


def test_what_is_compared_is_what_each_report_says():
    whole = report()
    for c in compare(whole, whole).sets[0].changes:
        assert c.first == pytest.approx(whole.sets[0].system(c.system).estimates[c.measure].value, abs=1e-12)


def test_a_known_change_is_found_with_its_direction():
    rows = entities(40)
    found = change(compare(report(evaluated(rows)), report(evaluated(lifted(rows, 0.25)))))
    assert found.difference.value == pytest.approx(0.25)
    assert found.second - found.first == pytest.approx(0.25)
    assert found.verdict == "better" and found.is_clear
    back = change(compare(report(evaluated(lifted(rows, 0.25))), report(evaluated(rows))))
    assert back.verdict == "worse"


def test_swapping_the_reports_turns_every_sign():
    rows = entities(30)
    first = report(evaluated(rows))
    other = tuple(reversed(lifted(entities(30, seed=3), 0.02, noise=0.1)))
    second = report(evaluated(other))
    there, back = compare(first, second).sets[0].changes, compare(second, first).sets[0].changes
    for one, two in zip(there, back, strict=True):
        assert (one.first, one.second) == pytest.approx((two.second, two.first))
        mirrored = (-two.difference.value, -two.difference.high, -two.difference.low)
        assert (one.difference.value, one.difference.low, one.difference.high) == pytest.approx(
            mirrored, abs=1e-12
        )
        assert one.is_clear is two.is_clear


def test_entities_are_paired_by_id_and_not_by_their_order():
    rows = entities(20)
    shuffled = tuple(rows[i] for i in np.random.default_rng(0).permutation(20))
    found = compare(report(evaluated(rows)), report(evaluated(shuffled)))
    assert all(c.difference == Estimate(0.0, 0.0, 0.0) for c in found.sets[0].changes)


def test_pairing_makes_intervals_narrower_where_entities_are_alike_in_both():
    rows = entities(60)
    first, second = evaluated(rows), evaluated(lifted(rows, 0.05, noise=0.02))
    paired = change(compare(report(first), report(second))).difference
    ours, theirs = first.series("reader", "sc").values, second.series("reader", "sc").values
    unpaired = difference(Series(np.roll(theirs, 7)), Series(ours))
    assert paired.high - paired.low < 0.5 * (unpaired.high - unpaired.low)
    assert paired.value == pytest.approx(unpaired.value)
    assert paired.low > 0 > unpaired.low


def test_only_entities_of_both_count_and_the_others_are_counted():
    rows = entities(12)
    found = compare(report(evaluated(rows[:10])), report(evaluated(rows[3:])))
    assert (found.sets[0].count, found.sets[0].only_first, found.sets[0].only_second) == (7, 3, 2)
    assert change(found).first == pytest.approx(np.mean([row.values["reader"]["sc"] for row in rows[3:10]]))
    assert "left out: 3 only in the first, 2 only in the second" in " ".join(
        " ".join(comparison_lines(found)).split()
    )


@pytest.mark.parametrize("common", [0, 1])
def test_fewer_than_two_common_entities_are_refused(common):
    rows = entities(8)
    with pytest.raises(UserError, match=f"have {common} of the entities of 'plots' in common"):
        compare(report(evaluated(rows[: 4 + common])), report(evaluated(rows[4:])))


@pytest.mark.parametrize("other", [{"name": "words"}, {"question": "What is {x}?"}, {"split": "cold"}])
def test_sets_match_by_name_question_and_split(other):
    with pytest.raises(UserError, match="no set is in both reports") as error:
        compare(report(), report(evaluated(**other)))
    assert str(next(iter(other.values()))) in error.value.message
    both = compare(report(evaluated(), evaluated(**other)), report(evaluated(**other)))
    assert len(both.sets) == 1
    assert len(both.unmatched) == 1 and both.unmatched[0].startswith("only in the first: plots (held out)")


def test_a_set_that_is_there_twice_is_refused():
    with pytest.raises(UserError, match="twice"):
        compare(report(evaluated(), evaluated()), report())


def test_only_systems_and_measures_of_both_are_compared():
    one = evaluated()
    fewer = replace(one, systems=one.systems[:2], measures=one.measures[:3])
    found = compare(report(one), report(fewer)).sets[0]
    assert {c.system for c in found.changes} == {"reader", "swapped"}
    assert {c.measure for c in found.changes} == {"loss", "gap", "sc"}


def test_a_measure_that_means_another_thing_is_left_out_and_said():
    one = evaluated()
    other = replace(
        one, measures=tuple(replace(m, statistic="median") if m == SC else m for m in one.measures)
    )
    found = compare(report(one), report(other))
    assert "sc" not in {c.measure for c in found.sets[0].changes}
    assert any("Semantic consistency" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (
            {"digests": {"reader": "ab" * 32, "space": "00" * 32, "encoder": "ef" * 32}},
            "digests of space differ",
        ),
        ({"digests": {"reader": "ab" * 32, "space": "cd" * 32}}, "digests of encoder differ"),
        ({"sets": (evaluated(trained_on=True),)}, "TRAINING ENTITIES: in the second report"),
        ({"sets": (evaluated(among=9),)}, "searched among 500"),
        (
            {"sets": (evaluated(tuple(replace(e, truth="?") for e in entities())),)},
            "the truth of 12 entities",
        ),
    ],
)
def test_what_makes_a_difference_doubtful_is_a_warning(second, words):
    found = compare(report(), report(**second))
    assert [words in warning for warning in found.warnings] == [True]
    assert words in " ".join(" ".join(comparison_lines(found)).split())


def test_another_reader_is_no_warning_but_is_listed_with_the_settings():
    second = report(
        digests=dict(report().digests) | {"reader": "12" * 32},
        settings={"seed": 8, "sampling": {"temperature": 0.0}},
    )
    found = compare(report(), second)
    assert found.warnings == ()
    assert found.settings == (
        "seed: 7 in the first, 8 in the second",
        "versions: 1, 2 in the first, none in the second",
        "digest of reader: abababababab in the first, 121212121212 in the second",
    )


def test_the_terminal_shows_the_reader_whole_and_of_others_what_is_clear():
    rows = entities(30)
    lines = list(comparison_lines(compare(report(evaluated(rows)), report(evaluated(lifted(rows, 0.25))))))
    text = "\n".join(lines)
    assert max(map(len, lines)) <= WIDTH
    reader = [measure.name for measure in MEASURES]
    assert [name for name in reader if f"    {name} " not in text] == []
    assert NAMES["nearest_text"] not in text
    assert "10 differences of other systems are not clear of 0" in text
    assert "Of 15 intervals at 95%, chance alone puts about 1 clear of 0." in text
    assert "+0.250 [+0.250, +0.250]" in text and "better" in text


def test_a_comparison_is_json():
    found = compare(report(), report()).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == json.loads(json.dumps(found))
    assert found["sets"][0]["changes"][0]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}


@pytest.mark.parametrize(
    ("better", "low", "high", "words"),
    [
        ("higher", 0.1, 0.2, "better"),
        ("higher", -0.2, -0.1, "worse"),
        ("lower", -0.2, -0.1, "better"),
        ("lower", 0.1, 0.2, "worse"),
        ("", 0.1, 0.2, "higher"),
        ("", -0.2, -0.1, "lower"),
        ("higher", -0.1, 0.2, "unclear"),
        ("higher", 0.0, 0.2, "unclear"),
    ],
)
def test_a_difference_is_clear_only_when_its_interval_excludes_zero(better, low, high, words):
    assert verdict_of(replace(SC, better=better), Estimate((low + high) / 2, low, high)) == words


def test_two_systems_of_one_set_are_paired_too():
    one = evaluated(entities(50, better=0.1))
    found = system_difference(one, "reader", "nearest_text", SC)
    values = [row.values["reader"]["sc"] - row.values["nearest_text"]["sc"] for row in one.entities]
    assert found.value == pytest.approx(np.mean(values)) and found.low > 0
    assert system_difference(one, "reader", "nearest_text", MEASURES[0]) is None
    assert system_difference(one, "reader", "best_of", SC) is None


def test_settings_are_rows():
    rows = dict(flat({"seed": 1, "sampling": {"top": {"p": 0.9}}, "kinds": ["a", "b"], "none": {}}))
    assert rows == {"seed": "1", "sampling.top.p": "0.9", "kinds": "a, b", "none": "{}"}
