import re
from dataclasses import replace

import numpy as np
import pytest

from page_tags import Tags
from reports import MEASURES, NAMES, entities, evaluated, report
from vecspeak.errors import UserError
from vecspeak.evaluation.report import read_report, write_report
from vecspeak.report.compare import compare
from vecspeak.report.html import (
    cut,
    examples,
    render_comparison,
    render_page,
    rivalries,
    score_of,
    write_page,
)
from vecspeak.report.tables import TRAINED_ON, cell

BAD = '"><script>alert(1)</script>'


def words(page):
    return " ".join(" ".join(Tags(page).words).split())


def whole_report(**changes):
    second = evaluated(
        entities(40, seed=1), name="words", trained_on=True, flags=("ONE ANSWER FOR MANY: 60%.",)
    )
    return report(evaluated(entities(40)), second, judged={"rater": rater()}, **changes)


def rater(trusted=True):
    def estimate(value):
        return {"value": value, "low": value - 0.25, "high": value + 0.25, "count": 9}

    return {
        "url_host": "127.0.0.1:1",
        "made": "2026-01-02T03:04:05+00:00",
        "set": "plots",
        "entities": 9,
        "systems": {
            "reader": {"fluent": estimate(4.0), "fits": estimate(3.0)},
            "nearest_text": {"fluent": estimate(5.0)},
        },
        "pairs": {
            "nearest_text": {"win": estimate(0.3), "tie": estimate(0.2), "loss": estimate(0.5), "flips": 0.1}
        },
        "checks": {"trusted": trusted, "verdict": "What the check says."},
        "ratings": [{"entity": "e1", "value": 4.0}],
    }


def broken_names(one):
    """The set with markup wherever a text may stand."""
    rows = tuple(
        replace(
            row,
            label=BAD,
            truth=BAD,
            nearest=tuple(replace(known, label=BAD) for known in row.nearest),
            answers=dict.fromkeys(row.answers, BAD),
        )
        for row in one.entities
    )
    systems = tuple(replace(system, name=BAD, what=BAD) for system in one.systems)
    measures = tuple(replace(measure, name=BAD, what=BAD) for measure in one.measures)
    texts = {"name": BAD, "question": BAD, "split": BAD, "nearest_by": BAD, "flags": (BAD,)}
    return replace(one, entities=rows, systems=systems, measures=measures, **texts)


def hostile():
    judged = {
        BAD: rater() | {"url_host": BAD, "checks": {"trusted": False, "verdict": BAD}},
        "other": {BAD: BAD},
    }
    return report(
        broken_names(evaluated()),
        bundle=BAD,
        settings={BAD: BAD},
        digests={BAD: BAD},
        judged=judged,
        made=f"2026-01-01T{BAD}",
    )


@pytest.mark.parametrize(
    "page",
    [
        lambda: render_page(whole_report()),
        lambda: render_page(hostile()),
        lambda: render_page(report(evaluated(()))),
        lambda: render_comparison(compare(whole_report(), whole_report())),
        lambda: render_comparison(
            compare(hostile(), replace(hostile(), settings={BAD: 1}, digests={"space": BAD}))
        ),
    ],
    ids=["report", "hostile", "empty", "comparison", "hostile comparison"],
)
def test_a_page_is_whole_asks_for_nothing_and_runs_nothing(page):
    made = page()
    tags = Tags(made)
    assert tags.open == []
    assert all(target.startswith("#") for target in tags.asks)
    assert {target[1:] for target in tags.asks} <= set(tags.ids)
    assert len(set(tags.ids)) == len(tags.ids)
    assert not re.search(r"@import|url\(", made)
    assert not {"script", "link", "iframe", "img", "object", "form"} & tags.names
    assert not re.search(r"\son\w+=", made) and "default-src 'none'" in made


def test_every_text_is_escaped_and_shown():
    page = render_page(hostile())
    assert "<script" not in page.lower()
    assert " ".join(Tags(page).words).count(BAD) > 50


def test_a_page_tells_training_entities_and_flags_before_any_number():
    page = render_page(whole_report())
    second = page[page.index('id="set-2"') :]
    assert second.index(TRAINED_ON) < second.index("The verdict") < second.index("<table")
    assert second.index("ONE ANSWER FOR MANY: 60%.") < second.index("The verdict")
    assert 'class="banner"' not in page[: page.index('id="set-2"')]


def test_every_estimate_is_in_the_page():
    page = words(render_page(report()))
    for system in evaluated().systems:
        for measure in MEASURES:
            if measure.key in system.estimates:
                assert cell(measure, system.estimates[measure.key]) in page


def test_a_vector_that_is_not_read_is_said_loudly():
    read, unread = (words(render_page(report(evaluated(entities(30, gap=gap))))) for gap in (1.0, 0.0))
    assert "The vector is read" in read and "NOT READ" not in read
    assert "THE VECTOR IS NOT READ" in unread and "The vector is read" not in unread


@pytest.mark.parametrize(
    ("better", "verdict"),
    [(0.1, "better"), (-0.1, "worse"), (0.0, "neither better nor worse, as far as this shows,")],
)
def test_the_reader_is_held_against_a_search_and_the_untouched_model(better, verdict):
    one = evaluated(entities(60, seed=4, better=better))
    found = list(rivalries(one))
    assert [rivalry.name for rivalry in found] == [NAMES["nearest_text"], NAMES["lm_texts"]]
    page = words(render_page(report(one)))
    for rivalry in found:
        measure, difference, _ = rivalry.differences[0]
        size = cell(measure, difference, signed=True)
        assert f"Against {rivalry.name} the reader is {verdict} in {measure.name}: {size}." in page


def test_best_worst_and_random_are_what_they_say():
    one = evaluated(entities(60))
    random, best, worst = examples(one, seed=3)
    by_score = sorted(one.entities, key=lambda entity: entity.values["reader"]["sc"])
    assert worst.entities == tuple(by_score[:10])
    assert best.entities == tuple(reversed(by_score))[:10]
    drawn = np.random.default_rng(3).permutation(60)[:10]
    assert [entity.id for entity in random.entities] == [f"e{index}" for index in drawn]
    assert next(iter(examples(one, seed=4))).entities != random.entities


@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (1, [1]), (5, [5, 2, 2]), (20, [10, 10, 10])])
def test_few_entities_are_not_best_and_worst_at_once(count, sizes):
    groups = list(examples(evaluated(entities(count)), seed=0))
    assert [len(group.entities) for group in groups] == sizes
    if len(groups) == 3:
        assert not {e.id for e in groups[1].entities} & {e.id for e in groups[2].entities}


def test_an_entity_that_does_not_count_is_neither_best_nor_worst():
    row = entities(1)[0]
    assert score_of(row) == row.values["reader"]["sc"]
    assert score_of(replace(row, weights={"reader": {"sc": 0.0}})) is None
    assert score_of(replace(row, values={})) is None


def test_only_the_texts_of_examples_go_in():
    one = evaluated(entities(200))
    page = render_page(report(one))
    chosen = {entity.id for group in examples(one, seed=7) for entity in group.entities}
    shown = set(re.findall(r"the truth of (\d+)<", page))
    assert shown == {name[1:] for name in chosen} and len(shown) <= 30
    for text in ("reader says", "nearest_text says", "lm_texts says"):
        assert {f"e{number}" for number in re.findall(rf"{text} (\d+)<", page)} == chosen


def test_the_size_of_a_page_is_bounded():
    long = tuple(
        replace(row, truth="word " * 20_000, answers=dict.fromkeys(row.answers, "word " * 20_000))
        for row in entities(60)
    )
    assert len(render_page(report(evaluated(long)))) < 400_000


def test_a_long_text_is_cut_at_a_word():
    assert cut("short") == "short"
    assert cut("word " * 1000).endswith("word […]") and len(cut("word " * 1000)) < 1220
    assert cut("x" * 5000) == "x" * 1200 + "[…]"


def test_raters_stand_with_their_check():
    page = words(render_page(report(judged={"good": rater(), "bad": rater(trusted=False)})))
    assert "passed its check What the check says." in page and "DO NOT TRUST What the check says." in page
    assert "The reader 4.00 [3.75, 4.25] 3.00 [2.75, 3.25]" in page
    assert f"{NAMES['nearest_text']} 5.00 [4.75, 5.25] –" in page
    assert f"{NAMES['nearest_text']} 0.30 [0.05, 0.55] 0.20 [-0.05, 0.45] 0.50 [0.25, 0.75]" in page
    assert "What raters said" not in words(render_page(report()))


@pytest.mark.parametrize(
    "said",
    [
        "a sentence",
        None,
        [1, 2],
        {},
        {"agreement": {"fits": 0.61}, "sets": [{"name": "plots"}]},
        {"checks": "none", "systems": []},
        {
            "checks": {"trusted": True},
            "systems": {"reader": 3, "other": {"fits": "high"}},
            "pairs": {"x": None},
        },
    ],
)
def test_raters_of_another_kind_are_shown_as_rows(said):
    page = words(render_page(report(judged={"people": said})))
    assert "people" in page
    if isinstance(said, dict) and "agreement" in said:
        assert "agreement.fits 0.61" in page


def test_settings_digests_and_the_glossary_are_there():
    whole = report()
    page = words(render_page(whole))
    assert "sampling.temperature 0.0" in page and "seed 7" in page
    assert all(digest in page for digest in whole.digests.values())
    assert all(f"{measure.name} {measure.what}" in page for measure in MEASURES)
    assert all(f"{system.name} {system.what}" in page for system in whole.sets[0].systems)


def test_a_page_is_the_same_from_the_file(tmp_path):
    whole = whole_report()
    write_report(tmp_path / "report.json", whole)
    assert render_page(read_report(tmp_path / "report.json")) == render_page(whole)


def test_the_pictures_show_each_system_with_the_reader_in_front():
    page = render_page(report())
    panel = page[page.index("<h4>Semantic consistency</h4>") :]
    panel = panel[: panel.index("</svg>")]
    assert panel.count('class="dot"') == panel.count('class="span"') == len(NAMES)
    assert panel.count('class="name of-reader"') == panel.count('class="row-back"') == 1
    assert "higher is better →" in panel


def test_a_comparison_page_shows_what_changed_and_warns():
    first, second = report(), report(evaluated(trained_on=True), digests={"space": "0"})
    comparison = compare(first, second)
    page = words(render_comparison(comparison))
    assert len(comparison.warnings) == 2 and all(warning in page for warning in comparison.warnings)
    assert all(line in page for line in comparison.settings)
    for change in comparison.sets[0].of("reader"):
        measure = comparison.sets[0].measure(change.measure)
        assert cell(measure, change.difference, signed=True) in page


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    write_page(tmp_path / "page.html", "<p>ü")
    assert (tmp_path / "page.html").read_bytes() == "<p>ü".encode()
    with pytest.raises(UserError, match="its folder does not exist"):
        write_page(tmp_path / "none" / "page.html", "")
