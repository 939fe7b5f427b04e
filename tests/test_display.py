"""What results show in notebooks and terminals, and the frames that they become: hand-made, and escaped."""

from dataclasses import replace

import pytest

import region_worlds
from fakes import NearestEngine
from reports import evaluated, report
from vecspeak import Neighbor
from vecspeak.asking import Asker
from vecspeak.display import bar, element, table
from vecspeak.evidence import Answer, Answers, Evidence, Neighbors
from vecspeak.explore.atlas import COLUMNS, make_atlas
from vecspeak.explore.compare import diff
from vecspeak.explore.concepts import fit_entry_concept, with_concepts
from vecspeak.explore.regions import describe, where_region
from vecspeak.explore.trace import trace
from vecspeak.stats import Estimate

BAD = '<script>alert("&")</script>'


def evidence(**changes):
    made = Evidence(
        slot="x",
        expression='"Heat"',
        nearest=Neighbors([Neighbor(id="m1", label=BAD, similarity=0.5)]),
        percentile=40.0,
        round_trip=0.62,
        is_user=False,
        is_item=True,
        swapped=0.2,
        text=BAD,
    )
    return replace(made, **changes)


def test_the_pieces_escape_what_is_no_markup():
    assert "<script>" not in table([BAD], [[BAD, bar(0.5, BAD)]]) + element("p", BAD)
    assert "width:45px" in bar(0.5) and "width:0px" in bar(-1.0) and "width:90px" in bar(7.0)
    assert element("p", "", "") == "" and "<th" not in table([], [["a"]])


def test_an_answer_shows_its_own_text_bars_and_doubts():
    answer = Answer(question=BAD, text=BAD, evidence=(evidence(), evidence(round_trip=0.25, percentile=99.5)))
    html = answer._repr_html_()
    assert "<script>" not in html and html.count("&lt;script&gt;") == 6
    assert html.count("width:56px") == 1 and " weak" in html  # 0.62 of 90 pixels
    assert "<ul><li>" in html and "OUTSIDE" not in html  # a real item is never outside
    assert str(answer.evidence[1]).endswith(f"[weak]; nearest: {BAD} (0.50)")
    assert "OUTSIDE" in str(evidence(is_item=False, percentile=99.5))
    assert "A real item; 40% of the items have nearer neighbors." in html
    made = evidence(is_item=False, percentile=99.5)._repr_html_()
    assert "OUTSIDE the data: farther from it than 99% of the items. Do not trust" in made
    assert (
        "Inside the data: farther from it than 40% of the people."
        in evidence(is_item=False, is_user=True)._repr_html_()
    )
    assert Answers([answer, answer])._repr_html_() == html * 2


def test_neighbors_become_a_frame_and_a_line():
    near = Neighbors(
        [Neighbor(id="a", label="Alien", similarity=0.9), Neighbor(id="b", label="Brazil", similarity=0.4)]
    )
    assert str(near) == "Alien (0.90); Brazil (0.40)" and near == tuple(near)
    assert near.to_pandas().to_dict("list") == {
        "id": ["a", "b"],
        "label": ["Alien", "Brazil"],
        "similarity": [0.9, 0.4],
    }
    assert "Brazil" in near._repr_html_()


@pytest.fixture(scope="module")
def planted():
    entry = region_worlds.entry()
    concept = fit_entry_concept(entry, "horror", "genres", "Horror")
    return with_concepts(entry, [concept])


def asker(entry):
    return Asker(
        entry,
        lambda: NearestEngine(region_worlds.texts(), region_worlds.ENCODER),
        lambda: region_worlds.ENCODER,
    )


def test_a_concept_shows_its_score_next_to_shuffled_labels(planted):
    concept = planted.concepts["horror"]
    html = replace(concept, source=BAD)._repr_html_()
    assert "AUC" in html and "with shuffled labels" in html and "<script>" not in html
    assert f"{concept.score.value:.3f}" in html and f"{concept.chance.mean:.3f}" in html


def test_a_trace_is_a_row_for_each_step_of_each_path(planted):
    made = trace(asker(planted), '"Item 3"', "horror", (-1.0, 0.0, 1.0), controls=1)
    frame = made.to_pandas()
    assert frame.path.tolist()[:3] == ["horror"] * 3 and len(frame) == 9
    assert frame.amount.tolist() == [-1.0, 0.0, 1.0] * 3
    assert frame.text.tolist()[1] == made.path.steps[1].text
    bad = replace(made, source=BAD, caution=BAD)
    html = bad._repr_html_()
    assert "<script>" not in html and html.count("<details>") == 2 and "round trip" in html
    assert str(made).splitlines()[1].startswith("-1: ") and "\n" not in repr(made)


def test_an_atlas_is_a_row_for_each_region(planted):
    made, _ = make_atlas(planted, method="kmeans", regions=4, reader=region_worlds.reader)
    frame = made.to_pandas()
    assert tuple(frame.columns) == COLUMNS and len(frame) == 4
    assert (
        frame["items"].sum() == region_worlds.NUM and frame.answer.tolist()[0] == made.regions[0].reading.text
    )
    titled = replace(made, regions=(replace(made.regions[0], title=BAD), *made.regions[1:]))
    html = titled._repr_html_()
    assert "<script>" not in html and html.count("<tr>") == 5 and "answers fit their own region best" in html
    plain, _ = make_atlas(planted, method="kmeans", regions=4)
    assert plain.to_pandas().answer.isna().all() and "1. " in str(plain)


def test_a_description_and_a_difference_show_what_is_over_represented(planted):
    horror = describe(
        planted, where_region(planted.space, "genres = Horror"), reader=region_worlds.reader(planted)
    )
    frame = horror.shared.to_pandas()
    assert {"ghost", "blood"} <= set(frame.name) and (frame.lift_low <= frame.lift).all()
    assert (
        "ghost" in horror._repr_html_()
        and horror.reading.text in horror._repr_html_()
        and "ghost" in str(horror)
    )
    made = diff(planted, "where: genres = Horror", "where: genres = Comedy")
    both = made.to_pandas()
    assert set(both.more_in) == {made.first.name, made.second.name} and "ghost" in str(made)
    assert "joke" in made._repr_html_() and "random sets" in made._repr_html_() and "cosine" in repr(made)
    points = diff(planted, '"Item 3"', '"Item 70"')
    assert points.to_pandas().empty and "Item" in points._repr_html_()


def test_a_report_shows_its_estimates_and_gives_them_as_a_frame():
    whole = report(evaluated(name=BAD, flags=(BAD,)))
    html = whole._repr_html_()
    assert "<script>" not in html and "Semantic consistency (higher is better)" in html
    frame = whole.summary()
    reader = frame[(frame.system == "reader") & (frame.metric == "sc")].iloc[0]
    assert Estimate(reader.value, reader.low, reader.high) == whole.sets[0].systems[0].estimates["sc"]
    assert repr(report()) == "Report('movies', plots (12 of held out))"
