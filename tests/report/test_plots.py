import re

import numpy as np
import pytest

from reports import MEASURES
from vecspeak.report.figures import LEFT, RIGHT, Axis, _log_ticks, _ticks, panel, rank_plot, share_within
from vecspeak.stats import Estimate

SC, RANK = MEASURES[2], MEASURES[4]


def rows(*estimates):
    return [("reader" if i == 0 else f"s{i}", f"System {i}", one) for i, one in enumerate(estimates)]


def test_points_keep_their_order_and_lie_within_their_intervals():
    drawn = panel(SC, rows(Estimate(0.5, 0.4, 0.7), Estimate(0.1, 0.0, 0.2), Estimate(0.3, 0.3, 0.3)))
    first, second, third = drawn.rows
    assert second.x < third.x < first.x
    assert all(LEFT <= row.low <= row.x <= row.high <= RIGHT for row in drawn.rows)
    assert [row.is_reader for row in drawn.rows] == [True, False, False]
    assert first.text == "0.500 [0.400, 0.700]"
    assert first.y < second.y < third.y < drawn.height


def test_a_name_is_cut_where_its_number_begins():
    long = "untouched model, given the ten nearest labels only"
    drawn = panel(
        RANK, [("reader", "The reader", Estimate(1, 1, 1)), ("lm", long, Estimate(1500.5, 1200.5, 2000.5))]
    )
    assert drawn.rows[0].short == "The reader"
    row = drawn.rows[1]
    assert row.name == long and row.short.endswith("…") and long.startswith(row.short[:-1])
    assert len(row.short) + len(row.text) < (RIGHT - LEFT) / 5.9


def test_places_are_proportional_to_values():
    drawn = panel(SC, rows(Estimate(0.0, 0.0, 0.0), Estimate(0.25, 0.0, 1.0), Estimate(1.0, 1.0, 1.0)))
    low, middle, high = (row.x for row in drawn.rows)
    assert (middle - low) / (high - low) == pytest.approx(0.25, abs=0.001)


def test_ranks_lie_on_a_log_axis():
    drawn = panel(RANK, rows(*(Estimate(value, value, value) for value in (1.0, 10.0, 100.0))))
    one, ten, hundred = (row.x for row in drawn.rows)
    assert ten - one == pytest.approx(hundred - ten, abs=0.2)
    assert drawn.zero is None


def test_differences_have_zero_on_the_axis_and_carry_their_sign():
    drawn = panel(RANK, rows(Estimate(3.0, 2.0, 4.0)), signed=True)
    assert drawn.zero is not None and drawn.zero < drawn.rows[0].low
    assert drawn.rows[0].text == "+3 [+2, +4]"
    assert panel(SC, rows(Estimate(0.5, 0.4, 0.6))).zero is None
    held = panel(SC, rows(Estimate(0.5, 0.4, 0.6)), zero=True)
    assert held.zero < held.rows[0].low and held.rows[0].text == "0.500 [0.400, 0.600]"


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e-9, 5e7])
def test_a_single_value_has_an_axis_too(value):
    drawn = panel(SC, rows(Estimate(value, value, value)))
    assert drawn.rows[0].x == pytest.approx((LEFT + RIGHT) / 2, abs=0.2)
    assert drawn.ticks


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-0.003, 0.0041), (3.02, 3.19), (-2, 40000), (0.29, 0.31), (9, 11)]
)
def test_ticks_are_round_inside_and_few(low, high):
    found = _ticks(Axis(low=low, high=high))
    assert 2 <= len(found) <= 6
    assert all(low <= value <= high for value in found)
    steps = np.diff(found)
    assert steps == pytest.approx(steps[0])
    assert float(f"{steps[0]:.6e}".split("e")[0]) in (1.0, 2.0, 5.0)


@pytest.mark.parametrize(("low", "high"), [(1, 10), (1, 5000), (0.9, 3), (1, 1e9), (40, 400)])
def test_log_ticks_are_inside_and_few(low, high):
    found = _log_ticks(Axis(low=low, high=high, log=True))
    assert 1 <= len(found) <= 7
    assert all(low <= value <= high for value in found) and found == sorted(found)


def test_no_rows_are_refused():
    with pytest.raises(ValueError):
        panel(SC, [])


def test_a_histogram_counts_each_rank_once_in_its_range():
    ranks = np.array([1, 1, 1, 2, 4, 5, 9, 10, 19, 20, 50, 99, 100.0])
    drawn = rank_plot({"reader": ("The reader", ranks)}, among=100)
    shares = {bar.label.partition(": ")[0]: bar.label.partition(": ")[2] for bar in drawn.histograms[0].bars}
    assert shares == {
        "rank 1": "23.1%",
        "ranks 2 to 4": "15.4%",
        "ranks 5 to 9": "15.4%",
        "ranks 10 to 19": "15.4%",
        "ranks 20 to 49": "7.7%",
        "ranks 50 to 99": "15.4%",
        "rank 100": "7.7%",
    }
    assert drawn.histograms[0].note == "in the first ten: 62%"


def test_bars_stand_side_by_side_on_their_base_and_share_one_scale():
    ranks = {"reader": ("R", np.full(8, 1.0)), "swapped": ("S", np.array([1.0, 1, 3, 3, 30, 30, 300, 300]))}
    drawn = rank_plot(ranks, among=400)
    for one in drawn.histograms:
        assert all(bar.y + bar.height == pytest.approx(one.base) for bar in one.bars)
        assert all(a.x + a.width <= b.x for a, b in zip(one.bars, one.bars[1:], strict=False))
        assert LEFT <= one.bars[0].x and one.bars[-1].x + one.bars[-1].width <= RIGHT
    tallest = [max(bar.height for bar in one.bars) for one in drawn.histograms]
    assert tallest[1] == pytest.approx(tallest[0] / 4, abs=0.1)


def heights(path):
    """Of a path's steps, in order; smaller is higher."""
    return [float(y) for y in re.findall(r"V([\d.]+)", path)]


def test_curves_rise_and_a_better_system_is_never_below():
    rng = np.random.default_rng(0)
    worse = rng.integers(1, 1000, size=200).astype(float)
    better = np.maximum(1, worse // 3)
    drawn = rank_plot({"reader": ("R", better), "swapped": ("S", worse)}, among=1000)
    ours, theirs = (heights(curve.path) for curve in drawn.curves)
    assert ours == sorted(ours, reverse=True) and theirs == sorted(theirs, reverse=True)
    assert all(one <= other for one, other in zip(ours, theirs, strict=True))
    assert ours[-1] == drawn.levels[-1].x and len(ours) <= 120


def test_random_ranks_follow_the_line_of_chance():
    drawn = rank_plot({"reader": ("R", np.arange(1.0, 501.0))}, among=500)
    assert heights(drawn.curves[0].path) == heights(drawn.chance)


def test_share_within():
    assert share_within(np.array([1.0, 2.0, 10.0, 11.0]), 10) == 0.75


def test_without_ranks_there_is_no_plot():
    assert rank_plot({}, among=10) is None
    assert rank_plot({"reader": ("R", np.zeros(3))}, among=10) is None


@pytest.mark.parametrize("among", [0, 1, 2, 7])
def test_a_rank_beyond_the_pool_and_tiny_pools_are_drawn(among):
    drawn = rank_plot({"reader": ("R", np.array([1.0, 12.0]))}, among=among)
    assert sum(bar.height > 0 for bar in drawn.histograms[0].bars) == 2
