"""The README's first table, and docs/your-data.md: what benchmarks/own_table.py and efforts.py wrote."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCORES = ROOT / "docs" / "scores"
FOUND = json.loads((SCORES / "own-table.json").read_text(encoding="utf-8"))


def cell(one, digits=2):
    """An estimate with its interval."""
    return f"{one['value']:.{digits}f} [{one['low']:.{digits}f}, {one['high']:.{digits}f}]"


def share(one):
    return f"{one['value']:.0%} [{one['low']:.0%}, {one['high']:.0%}]"


def said(page):
    return " ".join((ROOT / page).read_text(encoding="utf-8").split())


def rows():
    """The rows of the README's table."""
    concepts, groups, answers = FOUND["concepts"]["mean"], FOUND["groups"], FOUND["answers"]["consistency"]
    words, found = FOUND["keywords"]["in_the_text"], groups["groups"]
    efforts = json.loads((SCORES / "efforts.json").read_text(encoding="utf-8"))["sets"]["diagnoses"]
    diagnoses = {
        key: dict(zip(("value", "low", "high"), one["sc_2"], strict=False)) for key, one in efforts.items()
    }
    return [
        f"| a genre as a concept: AUC, mean of {len(FOUND['concepts']['by_concept'])} genres "
        f"| **{cell(concepts['auc'])}** | shuffled labels {cell(concepts['shuffled'])} |",
        f"| words that set a genre apart in half of the rows: hold in the other half "
        f"| **{share(found['holds'])}** of {found['found']} | any word {found['any_word_holds']:.0%} |",
        f"| five words of a vector: stand in its text | {share(words['reader'])} "
        f"| another vector's {words['shuffled']['value']:.0%}; "
        f"the most frequent {words['most_frequent']['value']:.0%}; "
        f"nearest item's keywords {words['nearest_text']['value']:.0%} |",
        f"| description of a vector: cosine with its text | {cell(answers['reader'], 3)} "
        f"| another vector's {answers['shuffled']['value']:.3f}; "
        f"nearest item's text {answers['nearest_text_whole']['value']:.3f} |",
        f"| the same for diagnoses | {cell(diagnoses['normal'], 3)} "
        f"| another vector's {diagnoses['other_vector']['value']:.3f}; nearest item's text "
        f"{diagnoses['nearest_text']['value']:.3f} |",
    ]


def test_the_readmes_table_is_what_the_benchmarks_wrote():
    assert "\n".join(rows()) in (ROOT / "README.md").read_text(encoding="utf-8")
    gain = FOUND["answers"]["reader_minus_nearest_text_whole"]
    assert f"by {cell(gain, 3)}" in said("README.md")


def details():
    """The rows of the page's table."""
    concepts = FOUND["concepts"]
    yield from (
        f"| {genre} | {one['positives']} | {cell(one['auc'])} | {cell(one['shuffled'])} |"
        for genre, one in concepts["by_concept"].items()
    )
    mean = concepts["mean"]
    yield f"| mean | | {cell(mean['auc'])} | {cell(mean['shuffled'])} |"


def test_the_pages_numbers_are_those_of_the_file():
    page, raw = said("docs/your-data.md"), (ROOT / "docs" / "your-data.md").read_text(encoding="utf-8")
    assert "\n".join(details()) in raw
    found, random = FOUND["groups"]["groups"], FOUND["groups"]["random"]
    assert f"{found['found']} words in {found['with_words']} of {found['groups']} genres" in page
    assert f"{random['groups']} random groups of the same sizes have {random['found']}" in page
    assert share(found["holds"]) in page and f"{found['any_word_holds']:.1%}" in page
    answers, words = FOUND["answers"]["consistency"], FOUND["keywords"]["in_the_text"]
    names = {
        "reader": "the reader",
        "shuffled": "another vector's answer",
        "mean_vector": "the mean vector's answer",
        "most_frequent": "the most frequent words",
        "nearest_text": "the nearest known item's, as long as an answer",
        "nearest_text_whole": "the nearest known item's, whole",
    }
    for key, name in names.items():
        cosine = cell(answers[key], 3) if key in answers else "–"
        assert f"| {name} | {cosine} | {share(words[key]) if key in words else '–'} |" in raw
    for key in ("reader_minus_nearest_text", "reader_minus_nearest_text_whole"):
        assert cell(FOUND["answers"][key], 3) in page
    aligned = FOUND["alignment"]
    assert f"{aligned['cosine']:.3f}" in page and f"{aligned['cosine_of_mean']:.3f}" in page


def views_rows(found):
    """The rows of the page's table of views."""
    right, shuffled = found["right"], found["shuffled"]

    def percent(one):
        return f"{one['value']:.0f}% [{one['low']:.0f}%, {one['high']:.0f}%]"

    centered = "centered_median_rank_percent"
    yield f"| all | {percent(right[centered])} | {percent(shuffled[centered])} |"
    names = ("opened once or twice", "3 to 9 times", "10 to 29 times")
    for name, one, other in zip(names, right["by_count"], shuffled["by_count"], strict=False):
        yield f"| {name} | {percent(one[centered])} | {percent(other[centered])} |"
    key = "median_rank_percent"
    yield f"| all, the mean text left in | {percent(right[key])} | {percent(shuffled[key])} |"
    counts = f"{right['nothing_shows']} of 20 | {shuffled['nothing_shows']} of 20"
    yield f"| tenths of which `fit` says that nothing shows | {counts} |"


def test_the_pages_table_of_views_is_what_the_benchmark_wrote():
    found = json.loads((SCORES / "views.json").read_text(encoding="utf-8"))
    world = found["some eight views a reader"]
    page = (ROOT / "docs" / "your-data.md").read_text(encoding="utf-8")
    assert "\n".join(views_rows(world)) in page and f"{world['articles']:,} articles" in page
    assert found["tries"] == 20 and world["median_views"] == 4
