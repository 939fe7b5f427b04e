"""What the docs say of speed is what the benchmark wrote."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def scores(name):
    return json.loads((ROOT / "docs" / "scores" / name).read_text(encoding="utf-8"))


SCORES = scores("speed-cpu.json")


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


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_the_tables_are_those_of_the_file(speed, tmp_path, device):
    page = tmp_path / "page.md"
    marks = f"<!-- speed-{device} -->", f"<!-- end of speed-{device} -->"
    page.write_text(f"before\n{marks[0]}\nold\n{marks[1]}\nafter\n", encoding="utf-8")
    speed.write_tables(page, device, scores(f"speed-{device}.json"))
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


def test_what_the_page_says_of_a_gpu_is_in_the_files():
    page = said("docs/performance.md")
    step, utilisation = (one["timings"] for one in scores("speed-gpu.json")["training"]["results"])
    plain, ours, by_rule = step[0], step[-1], utilisation[-1]
    assert f"**{ours['ratio']:.1f} times**" in page
    places = {"ours": 65_536, "plain": 16_384}
    each = ours["peak_mb"] / places["ours"], plain["peak_mb"] / places["plain"]
    assert f"at {each[0] / each[1]:.2f} of its peak memory" in page
    assert f"{each[0]:.2f} MB each" in page and f"{each[1]:.2f} MB each" in page
    found = f"**{by_rule['ratio']:.2f}** ({by_rule['low']:.2f} to {by_rule['high']:.2f})"
    assert f"{found}; {utilisation[1]['ratio']:.2f} by what" in page
    lines = (ROOT / "docs" / "scores" / "reader-gpu.jsonl").read_text(encoding="utf-8").splitlines()
    run = [json.loads(line) for line in lines]
    assert f"{run[-1]['examples']:,} pairs" in page and f"in {run[-1]['seconds']:.0f} s" in page
    (before, after) = [
        (one["examples"], one["seconds"]) for one in run if 2e5 < one.get("examples", 0) < 2.2e5
    ][:2]
    share = (203_300 - before[0]) / (after[0] - before[0])
    assert f"done after {before[1] + share * (after[1] - before[1]):.0f} s" in page
    assert f"{run[0]['gap']:.2f} before, {run[-1]['gap']:.2f} after" in page
    kept = scores("training-gpu.json")
    for name in ("loss", "swap_gap"):
        plain, pair = kept["plain"][name], kept[f"{name}_ours_minus_plain"]
        assert f"{kept['ours'][name]['value']:.3f} against {plain['value']:.3f} [{plain['low']:.3f}, " in page
        assert f"{pair['value']:+.3f} [{pair['low']:.3f}, {pair['high']:.3f}]" in page


def test_what_the_page_says_of_the_reader_of_a_gpu_is_in_its_file():
    sets, page = scores("reader-h200.json")["sets"], said("docs/how-it-works.md")
    plots, ratings = (sets[name]["consistency"] for name in ("movies.semantic", "movies.behavioral"))
    gain = plots["difference"]
    assert f"{plots['second']['value']:.3f} instead of {plots['first']['value']:.3f} on" in page
    assert f"{gain['value']:+.3f} [{gain['low']:.3f}, {gain['high']:.3f}]" in page
    assert f"ratings {ratings['second']['value']:.3f} instead of {ratings['first']['value']:.3f}" in page


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
