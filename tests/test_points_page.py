"""docs/points.md: its tables are what the file of scores says."""

from pathlib import Path

from vecspeak.report.tables import interpolations_markdown, read_points, slopes_markdown

PAGE = Path(__file__).parents[1] / "docs" / "points.md"
SCORES = read_points(PAGE.parent / "scores" / "points.json")
RATINGS = read_points(PAGE.parent / "scores" / "points-ratings.json")


def shown(mark):
    """What stands between two marks of the page."""
    text = PAGE.read_text(encoding="utf-8")
    return text.partition(f"<!-- {mark} -->\n")[2].partition(f"\n<!-- /{mark} -->")[0]


def test_the_page_shows_the_slopes_as_they_were_written():
    assert shown("slopes") == slopes_markdown(SCORES)
    assert shown("ratings") == slopes_markdown(RATINGS)


def test_the_page_shows_the_interpolations_as_they_were_written():
    assert shown("between") == interpolations_markdown(SCORES)


def test_ten_attributes_and_both_kinds_of_pairs_were_measured():
    assert len(SCORES["slopes"]) >= 10
    assert {one["kind"]: one["pairs"] for one in SCORES["interpolations"]} == {"random": 300, "near": 300}
