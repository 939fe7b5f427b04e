"""What the docs say of speed is what the benchmark wrote."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCORES = json.loads((ROOT / "docs" / "scores" / "speed-cpu.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def speed():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import speed
    finally:
        sys.path.pop(0)
    return speed


def case(part, name):
    (found,) = (one for one in SCORES[part]["results"] if name in one["case"])
    return found["timings"]


def said(file):
    return " ".join((ROOT / file).read_text(encoding="utf-8").split())


def test_the_tables_are_those_of_the_file(speed, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- speed-cpu -->\nold\n<!-- end of speed-cpu -->\nafter\n", encoding="utf-8")
    speed.write_tables(page, "cpu", SCORES)
    made = page.read_text(encoding="utf-8")
    assert made.startswith("before\n") and made.endswith("\nafter\n") and "\nold\n" not in made
    tables = made.partition("before\n")[2].rpartition("after\n")[0]
    assert tables in (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


def test_what_the_pages_say_in_words_is_in_the_file():
    batched, single = case("generation", "together")[-1], case("generation", "one answer")[-1]
    first, step = case("generation", "first letter")[-1], case("training", "training step")[-1]
    for file in ("README.md", "docs/performance.md"):
        assert f"{first['seconds']:.2f} s" in said(file)
        assert f"{single['ratio']:.1f} times" in said(file) and f"{batched['ratio']:.1f} times" in said(file)
    assert f"{step['ratio']:.1f} times" in said("docs/performance.md")


def test_slopes_ratios_and_medians_are_worked_out_as_they_are_called(speed):
    """By hand: work of 10 in 1, 2 and 4 seconds beside 2, 2 and 2; seconds that grow as the square."""
    measure = speed.measure
    turns = [
        {"plain": (s, 10.0, 5.0), "ours": (2.0, 10.0, m)} for s, m in ((1.0, 1.0), (2.0, 9.0), (4.0, 3.0))
    ]
    plain, ours = (measure._timing(way, "plain", turns) for way in ("plain", "ours"))
    assert (plain.seconds, plain.rate, plain.ratio) == (2.0, 5.0, 1.0)
    assert (ours.ratio, ours.low, ours.high, ours.peak_mb) == (1.0, 0.5, 2.0, 9.0)
    growth = measure.Growth(case="c", size="n", points=((1.0, 3.0), (2.0, 12.0), (8.0, 192.0)))
    assert growth.slope == pytest.approx(2.0)


def test_a_table_has_a_cell_for_every_column(speed):
    lines = [
        line for line in speed.told("generation", SCORES["generation"]).splitlines() if line.startswith("|")
    ]
    cells = [len(line.replace("\\|", "").split("|")) for line in lines]
    assert set(cells[: cells.index(6)]) == {8} and set(cells[cells.index(6) :]) == {6}


def test_ways_run_in_turns_after_their_warm_up(speed):
    calls = []

    def work(name):
        def once():
            calls.append(name)
            return 1.0

        return once

    result = speed.measure.compare("case", {name: work(name) for name in "ab"}, unit="row", repeats=2, warm=1)
    assert "".join(calls) == "ababab" and [one.way for one in result.timings] == ["a", "b"]
