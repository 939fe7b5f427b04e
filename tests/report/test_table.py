import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reports import MEASURES, NAMES, entities, evaluated, report
from vecspeak.evaluation.report import Measure, read_summary, summary_of, without_texts, write_report
from vecspeak.report.tables import (
    TRAINED_ON,
    cell,
    is_read,
    main,
    markdown,
    notices,
    number,
    overview,
    verdict,
)
from vecspeak.report.terminal import WIDTH, plain
from vecspeak.stats import Estimate
from vecspeak.storage import write_json

ROOT = Path(__file__).parents[2]
SHARE = Measure(key="r1", name="R@1", what="", better="higher")
RANK = Measure(key="rank", name="Rank", what="", better="lower", statistic="median")


def with_gap(value, low, high):
    one = evaluated()
    reader = replace(one.systems[0], estimates={"gap": Estimate(value, low, high)})
    return replace(one, systems=(reader, *one.systems[1:]))


@pytest.mark.parametrize(
    ("gap", "kind", "words"),
    [
        ((1.0, 0.9, 1.1), "read", "The vector is read"),
        ((0.1, 0.021, 0.2), "read", "The vector is read"),
        ((0.1, 0.02, 0.2), "not shown", "NOT SHOWN THAT THE VECTOR IS READ"),
        ((0.05, 0.02, 0.1), "not read", "THE VECTOR IS NOT READ"),
        ((0.0, -0.001, 0.001), "not read", "THE VECTOR IS NOT READ"),
        ((-0.5, -0.6, -0.4), "not read", "THE VECTOR IS NOT READ"),
    ],
)
def test_the_swap_gap_decides_whether_the_vector_is_read(gap, kind, words):
    one = with_gap(*gap)
    assert verdict(one).kind == kind and verdict(one).words.startswith(words)
    assert is_read(one) is (kind == "read")
    assert words in " ".join(plain(one))
    assert (words in markdown([one]).replace("\\[", "[")) is (kind != "read")


def test_what_a_flag_says_too_is_told_once():
    one = replace(with_gap(0.0, 0.0, 0.0), trained_on=True)
    one = replace(
        one, flags=("TRAINING ENTITIES: no.", "THE VECTOR IS NOT READ: no.", "ONE ANSWER FOR MANY: 9%.")
    )
    told = notices(one)
    assert [notice.partition(":")[0] for notice in told] == [
        "TRAINING ENTITIES",
        "THE VECTOR IS NOT READ",
        "ONE ANSWER FOR MANY",
    ]
    assert told[0] == TRAINED_ON and told[1] == verdict(one).words
    assert " ".join(plain(one)).count("NOT READ") == markdown([one]).count("NOT READ") == 1


def test_without_a_gap_nothing_is_said_to_be_read():
    one = evaluated()
    one = replace(one, systems=one.systems[1:])
    assert verdict(one).kind == "not measured" and not is_read(one)
    assert any("was not measured" in line for line in plain(one))


@pytest.mark.parametrize(
    ("measure", "value", "written"),
    [
        (SHARE, 0.47999, "0.480"),
        (SHARE, -0.0001, "0.000"),
        (SHARE, 1234.5, "1,234.500"),
        (RANK, 7.0, "7"),
        (RANK, 9.5, "9.5"),
        (RANK, 1204.0, "1,204"),
        (replace(SHARE, key="rank_2"), 2.25, "2.2"),
    ],
)
def test_numbers_have_the_digits_that_tell(measure, value, written):
    assert number(measure, value) == written


def test_a_difference_carries_its_sign_and_zero_is_not_minus_zero():
    assert number(SHARE, 0.25, signed=True) == "+0.250"
    assert number(SHARE, -0.0, signed=True) == "+0.000"
    assert cell(RANK, Estimate(-3.0, -4.5, 0.0), signed=True) == "-3 [-4.5, +0]"


def test_markdown_is_a_row_a_system_and_a_column_a_measure():
    one = with_gap(1.0, 0.9, 1.1)
    lines = markdown([one]).splitlines()
    assert lines[0] == "**plots**: 12 entities of held out, asked `Describe {x}.`"
    table = [[text.strip() for text in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert table[0] == ["", "Loss ↓", "Swap gap ↑", "Semantic consistency ↑", "R@10 ↑", "Median rank ↓"]
    assert [row[0] for row in table[2:]] == ["**The reader**", *list(NAMES.values())[1:]]
    assert {len(row) for row in table} == {6}
    assert table[2][1:] == ["–", "1.000 [0.900, 1.100]", "–", "–", "–"]


def test_every_estimate_stands_in_both_tables_with_its_interval():
    one = evaluated()
    terminal, page = "\n".join(plain(one)), markdown([one])
    for system in one.systems:
        for measure in MEASURES:
            if measure.key in system.estimates:
                written = cell(measure, system.estimates[measure.key])
                assert written in terminal and written in page


def test_a_measure_that_nothing_was_scored_by_has_no_column():
    one = evaluated(measures=(*MEASURES, SHARE))
    assert "R@1 " not in markdown([one]) and not any("R@1 " in line for line in plain(one))


def test_many_measures_are_wrapped_into_blocks_that_fit():
    many = tuple(
        replace(MEASURES[2], key=f"sc_{i}", name=f"Semantic consistency, number {i}") for i in range(11)
    )
    rows = tuple(
        replace(row, values={key: {m.key: 0.5 for m in many} for key in NAMES}, weights={})
        for row in entities()
    )
    one = evaluated(rows, measures=many, flags=("Take care. " * 30,), question="What is {x}? " * 20)
    lines = list(plain(one))
    assert max(map(len, lines)) <= WIDTH
    assert sum(line.startswith("  The reader") for line in lines) == 3
    assert sum(line.count("0.500 [0.500, 0.500]") for line in lines) == 11 * len(NAMES)


def test_training_entities_and_flags_are_told_before_any_number():
    one = evaluated(trained_on=True, flags=("Mind this.",))
    for text in ("\n".join(plain(one)), markdown([one])):
        assert max(text.index(TRAINED_ON), text.index("Mind this.")) < text.index("Swap gap")
    assert TRAINED_ON == TRAINED_ON.upper()
    assert TRAINED_ON not in "\n".join(plain(evaluated())) + markdown([evaluated()])


def test_names_cannot_break_the_table_nor_the_terminal():
    one = evaluated(name="a | b\n<b>", flags=("\x1b[2Jgone",))
    one = replace(one, systems=(replace(one.systems[0], name="x|y"),))
    lines = markdown([one]).splitlines()
    assert lines[0].startswith("**a \\| b \\<b>**")
    assert any(line.startswith("| **x\\|y** |") for line in lines)
    assert "\x1b" not in "\n".join(plain(one))


def test_a_summary_gives_the_same_tables():
    whole = report(evaluated(), evaluated(entities(5), name="words", trained_on=True))
    summary = summary_of(whole)
    assert markdown(summary.sets) == markdown(whole.sets)
    assert [list(plain(one)) for one in summary.sets] == [list(plain(one)) for one in whole.sets]


def test_the_module_prints_reports_and_summaries(tmp_path, capsys):
    whole, path, short = report(), tmp_path / "whole.json", tmp_path / "short.json"
    write_report(path, whole)
    write_json(short, without_texts(whole))
    assert [main([str(path)]), main([str(short)])] == [0, 0]
    assert capsys.readouterr().out == f"{overview(whole.sets)}\n\n{markdown(whole.sets)}\n" * 2


def test_the_module_says_in_one_line_what_is_wrong(tmp_path, capsys):
    assert main([]) == 2
    assert main([str(tmp_path / "none.json")]) == 2
    usage, missing = capsys.readouterr().err.splitlines()
    assert usage == "python -m vecspeak.report.tables REPORT.json" and "there is no file" in missing


def test_the_module_runs_by_name_and_loads_no_torch(tmp_path):
    path = tmp_path / "short.json"
    path.write_text(json.dumps(without_texts(report())))
    code = (
        "import runpy, sys; sys.argv = ['table', sys.argv[1]]\n"
        "try: runpy.run_module('vecspeak.report.tables', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert "| **The reader** |" in done.stdout


def test_the_overview_shows_the_reader_beside_the_chief_baselines():
    one = evaluated()
    head, _, row = overview([one]).splitlines()
    assert head.startswith(
        "| | swap gap, nats a token | gain over the mean | The reader | Another entity's vector |"
    )
    reader, swapped = (one.system(key).estimates["sc"] for key in ("reader", "swapped"))
    assert f"{reader.value:.3f} [{reader.low:.3f}, {reader.high:.3f}]" in row
    assert row.index(f"{reader.value:.3f}") < row.index(f"{swapped.value:.3f}")
    assert row.count("|") == head.count("|")


@pytest.mark.parametrize(("made", "page"), [(overview, "docs/quality.md"), (markdown, "docs/quality.md")])
def test_the_pages_tables_are_what_the_report_says(made, page):
    summary = read_summary(ROOT / "docs" / "scores" / "quality.json")
    assert made(summary.sets) in (ROOT / page).read_text(encoding="utf-8")


def test_the_overview_marks_training_entities():
    rows = overview([evaluated(trained_on=True), evaluated()]).splitlines()[2:]
    assert ["TRAINING ENTITIES" in row for row in rows] == [True, False]
