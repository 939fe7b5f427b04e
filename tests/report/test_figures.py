import re

import numpy as np
import pytest

from reports import MEASURES
from vecspeak.report.figures import (
    Picture,
    forest_plot,
    line_chart,
    rank_curves,
    rank_histograms,
    share_within,
    ticks,
)
from vecspeak.stats import Estimate

SC, RANK = MEASURES[2], MEASURES[4]


def rows(*estimates):
    return [("reader" if i == 0 else f"s{i}", f"System {i}", one) for i, one in enumerate(estimates)]


def axes_of(picture):
    return picture.figure.axes[0]


def spans(picture):
    """Ends of the intervals in pixels, in the order of the rows."""
    axes = axes_of(picture)
    lines = [line for line in axes.lines if len(line.get_xdata()) == 6]
    ends = [line.get_xydata()[[0, 5]] for line in lines]
    return [tuple(axes.transData.transform(both)[:, 0]) for both in ends]


def dots(picture):
    """Points in pixels, in the order of the rows."""
    axes = axes_of(picture)
    paths = [patch.get_path().vertices for patch in axes.patches if patch.get_capstyle() == "round"]
    return [tuple(axes.transData.transform(vertices)[0]) for vertices in paths]


def texts(picture):
    return [text.get_text() for text in axes_of(picture).texts]


def test_points_keep_their_order_and_lie_within_their_intervals():
    drawn = forest_plot(SC, rows(Estimate(0.5, 0.4, 0.7), Estimate(0.1, 0.0, 0.2), Estimate(0.3, 0.3, 0.3)))
    (first, down), (second, _), (third, _) = dots(drawn)
    assert second < third < first
    width, height = drawn.size
    assert all(
        10 <= low <= x <= high <= width - 10
        for (low, high), (x, _) in zip(spans(drawn), dots(drawn), strict=True)
    )
    assert height > down > dots(drawn)[1][1] > dots(drawn)[2][1] > 0, "the first row on top"
    assert texts(drawn)[:2] == ["System 0", "0.500 [0.400, 0.700]"]
    svg = drawn.svg("label")
    assert svg.count('class="name of-reader"') == svg.count('class="row-back"') == 1


def test_a_name_is_cut_where_its_number_begins():
    long = "base model, given the ten nearest labels only"
    drawn = forest_plot(
        RANK, [("reader", "The reader", Estimate(1, 1, 1)), ("lm", long, Estimate(1500.5, 1200.5, 2000.5))]
    )
    first, _, short, value = texts(drawn)
    assert first == "The reader"
    assert short.endswith("…") and long.startswith(short[:-1])
    name, number = (text.get_window_extent() for text in axes_of(drawn).texts[2:])
    assert name.x1 < number.x0 and value == "1,500.5 [1,200.5, 2,000.5]"
    assert f"<title>{long}: {value}</title>" in drawn.svg("label")


def test_places_are_proportional_to_values():
    drawn = forest_plot(SC, rows(Estimate(0.0, 0.0, 0.0), Estimate(0.25, 0.0, 1.0), Estimate(1.0, 1.0, 1.0)))
    low, middle, high = (x for x, _ in dots(drawn))
    assert (middle - low) / (high - low) == pytest.approx(0.25, abs=0.001)


def test_ranks_lie_on_a_log_axis():
    drawn = forest_plot(RANK, rows(*(Estimate(value, value, value) for value in (1.0, 10.0, 100.0))))
    one, ten, hundred = (x for x, _ in dots(drawn))
    assert ten - one == pytest.approx(hundred - ten, abs=0.2)
    assert 'class="zero"' not in drawn.svg("label")


def test_differences_have_zero_on_the_axis_and_carry_their_sign():
    drawn = forest_plot(RANK, rows(Estimate(3.0, 2.0, 4.0)), signed=True)
    zero = axes_of(drawn).transData.transform((0, 0))[0]
    assert 'class="zero"' in drawn.svg("label") and 0 < zero < spans(drawn)[0][0]
    assert texts(drawn)[1] == "+3 [+2, +4]"
    assert 'class="zero"' not in forest_plot(SC, rows(Estimate(0.5, 0.4, 0.6))).svg("label")
    compared = forest_plot(SC, rows(Estimate(0.5, 0.4, 0.6)), zero=True)
    assert 'class="zero"' in compared.svg("label") and texts(compared)[1] == "0.500 [0.400, 0.600]"


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e-9, 5e7])
def test_a_single_value_has_an_axis_too(value):
    drawn = forest_plot(SC, rows(Estimate(value, value, value)))
    assert dots(drawn)[0][0] == pytest.approx(drawn.size[0] / 2, abs=0.2)
    assert len(axes_of(drawn).get_xticks())


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-0.003, 0.0041), (3.02, 3.19), (-2, 40000), (0.29, 0.31), (9, 11)]
)
def test_ticks_are_round_inside_and_few(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 6
    assert all(low <= value <= high for value in found)
    steps = np.diff(found)
    assert steps == pytest.approx(steps[0])
    assert float(f"{steps[0]:.6e}".split("e")[0]) in (1.0, 2.0, 5.0)


@pytest.mark.parametrize(("low", "high"), [(1, 10), (1, 5000), (0.9, 3), (1, 1e9), (40, 400)])
def test_log_ticks_are_inside_and_few(low, high):
    found = ticks(low, high, log=True)
    assert 1 <= len(found) <= 7
    assert all(low <= value <= high for value in found) and found == sorted(found)


def test_no_rows_are_refused():
    with pytest.raises(ValueError):
        forest_plot(SC, [])


def bars(picture):
    """Title of each bar, in order."""
    return re.findall(r'class="bar"><title>([^<]*)</title>', picture.svg("label"))


def test_a_histogram_counts_each_rank_once_in_its_range():
    ranks = np.array([1, 1, 1, 2, 4, 5, 9, 10, 19, 20, 50, 99, 100.0])
    drawn = rank_histograms({"reader": ("The reader", ranks)}, among=100)
    assert dict(title.split(": ") for title in bars(drawn)) == {
        "rank 1": "23.1%",
        "ranks 2 to 4": "15.4%",
        "ranks 5 to 9": "15.4%",
        "ranks 10 to 19": "15.4%",
        "ranks 20 to 49": "7.7%",
        "ranks 50 to 99": "15.4%",
        "rank 100": "7.7%",
    }
    assert texts(drawn) == ["The reader", "in the first ten: 62%"]


def test_bars_stand_side_by_side_on_their_base_and_share_one_scale():
    ranks = {"reader": ("R", np.full(8, 1.0)), "swapped": ("S", np.array([1.0, 1, 3, 3, 30, 30, 300, 300]))}
    axes = axes_of(rank_histograms(ranks, among=400))
    tallest = []
    for container in axes.containers:
        boxes = [bar.get_bbox() for bar in container]
        assert len({box.y0 for box in boxes}) == 1
        assert all(one.x1 <= other.x0 for one, other in zip(boxes, boxes[1:], strict=False))
        assert axes.get_xlim()[0] <= boxes[0].x0 and boxes[-1].x1 <= axes.get_xlim()[1]
        tallest.append(max(abs(box.height) for box in boxes))
    assert tallest[1] == pytest.approx(tallest[0] / 4, abs=0.1)


def shares(picture):
    """The heights of the curves, guessing last."""
    return [line.get_ydata().tolist() for line in axes_of(picture).lines if len(line.get_ydata()) > 2]


def test_curves_rise_and_a_better_system_is_never_below():
    rng = np.random.default_rng(0)
    worse = rng.integers(1, 1000, size=200).astype(float)
    better = np.maximum(1, worse // 3)
    drawn = rank_curves({"reader": ("R", better), "swapped": ("S", worse)}, among=1000)
    ours, theirs, _ = shares(drawn)
    assert ours == sorted(ours) and theirs == sorted(theirs)
    assert all(one >= other for one, other in zip(ours, theirs, strict=True))
    assert ours[-1] == axes_of(drawn).get_ylim()[1] == 1 and len(ours) <= 121
    assert [text.get_text() for text in axes_of(drawn).get_legend().get_texts()] == ["R", "S", "guessing"]


def test_random_ranks_follow_the_line_of_chance():
    curve, chance = shares(rank_curves({"reader": ("R", np.arange(1.0, 501.0))}, among=500))
    assert curve == pytest.approx(chance)


def test_share_within():
    assert share_within(np.array([1.0, 2.0, 10.0, 11.0]), 10) == 0.75


def test_without_ranks_there_is_no_plot():
    for plot in (rank_histograms, rank_curves):
        assert plot({}, among=10) is None
        assert plot({"reader": ("R", np.zeros(3))}, among=10) is None


@pytest.mark.parametrize("among", [0, 1, 2, 7])
def test_a_rank_beyond_the_pool_and_tiny_pools_are_drawn(among):
    ranks = {"reader": ("R", np.array([1.0, 12.0]))}
    assert sum(not title.endswith(": 0.0%") for title in bars(rank_histograms(ranks, among=among))) == 2
    assert shares(rank_curves(ranks, among=among))[0][-1] == 1


def test_a_chart_keeps_the_order_of_its_values():
    axes = axes_of(line_chart([("concept", [-1, 0, 1], [-2.0, 0.5, 1.0])]))
    (line,) = axes.lines
    places = axes.transData.transform(line.get_xydata())
    assert (np.diff(places, axis=0) > 0).all()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["−1", "0", "+1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["−2", "−1", "0", "1"]
    flat = axes_of(line_chart([("concept", [0, 1], [0.0, 0.0])], span=(0.0, 5.0), limit=5.0))
    limit, line = (line.get_ydata()[0] for line in flat.lines)
    assert limit > line


def test_a_picture_is_the_same_every_time_and_asks_for_nothing():
    def drawn():
        return forest_plot(SC, rows(Estimate(0.5, 0.4, 0.7))).svg("Consistency <of> all")

    assert drawn() == drawn()
    assert not re.search(r"https?:|url\(|\sid=|<style|<metadata|xmlns", drawn())
    assert 'aria-label="Consistency &lt;of&gt; all"' in drawn()
    assert "var(--accent,#3b55c9)" in drawn() and "#000000" not in drawn()


@pytest.mark.parametrize(
    "name", ["</svg><script>", "$x^2$ & $", "a\x00b\x1b[2J", "日本 🎬", "two\nlines", "{x} \\frac"]
)
def test_any_text_is_shown_as_it_is(name):
    picture = Picture(200, 50)
    picture.text(picture.axes(), (0, 0), name, "name", title=name)
    svg = str(picture.svg(name))
    shown = "".join(letter if letter.isprintable() else " " for letter in name)
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f">{shown}</text>" in svg and f"<title>{shown}</title>" in svg
    assert "<script" not in svg and "\x1b" not in svg
