import json
import re
import shutil

import pytest
from click.testing import CliRunner

from vecspeak import VecSpeak
from vecspeak.cli.demo import demo as command
from vecspeak.demo import build, run
from vecspeak.demo.chapters import PLANS, Deck
from vecspeak.demo.data import BEHAVIORAL, SEMANTIC
from vecspeak.demo.page import transcript
from vecspeak.errors import UserError


def test_every_chapter_is_answered_with_its_evidence(demo, shared_world):
    assert [chapter.plan.key for chapter in demo.chapters] == [
        "unseen",
        "between",
        "moved",
        "rated",
        "viewer",
    ]
    rated = len(
        demo.chapters[3].exhibits
    )  # the regions left out, and so what is eligible, depend on the processor
    assert 2 <= rated <= 3
    assert [len(chapter.exhibits) for chapter in demo.chapters] == [3, 2, 6, rated, 2]
    assert shared_world.engine.batches[:2] == [8 * 11, 8 * (rated + 2)]
    for exhibit in demo.exhibits:
        assert exhibit.answer.text.startswith("It is like ")
        assert len(exhibit.evidence.nearest) == 5 and exhibit.subject.facts
        assert exhibit.to_dict()["outside"] == (exhibit.evidence.percentile > 99)
    assert (shared_world.folder / "out" / "report.html").is_file()


def test_subjects_are_held_out_and_drawn_the_same_every_time(demo, bundle, sources):
    entry, deck = bundle.entry(SEMANTIC), Deck(bundle, sources)
    subjects = {plan.key: deck.subjects(plan) for plan in PLANS}
    told = {
        chapter.plan.key: [one.subject.expression for one in chapter.exhibits] for chapter in demo.chapters
    }
    assert {key: [one.heading for one in drawn] for key, drawn in subjects.items()} == {
        chapter.plan.key: [one.subject.heading for one in chapter.exhibits] for chapter in demo.chapters
    }
    ids = [asked_id(entry, told["unseen"][row]) for row in range(3)] + [asked_id(entry, told["moved"][0])]
    ends = [end for subject in subjects["between"] for _, end in subject.parents]
    ids += [asked_id(entry, end) for end in ends] + [asked_id(entry, told["moved"][3])]
    assert set(ids) <= entry.held_out and len(set(ids)) == len(ids) == 9
    assert not re.search("Horror|Comedy", subjects["moved"][0].facts[0].text)
    rated = bundle.entry(BEHAVIORAL)
    assert {asked_id(rated, expression) for expression in told["rated"]} <= rated.held_out


def asked_id(entry, expression):
    from vecspeak.points import evaluate

    return evaluate(expression, entry.scope).item_id


def test_a_viewer_is_compared_with_what_the_ratings_say(demo):
    (viewer, _) = demo.chapters[4].exhibits
    assert re.fullmatch(r"user\(\d+\)", viewer.evidence.expression)
    names = [fact.name for fact in viewer.subject.facts]
    predicted = [f"By the vector, likes {way} than others" for way in ("more", "less")]
    predicted += ["More of what is in", "Less of what is in"]
    assert names == [*predicted, "Rated highest", "Rated lowest", "Genres over their average", "Known from"]
    assert all(viewer.subject.facts[place].text for place in (2, 3))
    assert viewer.subject.facts[7].text.startswith(("59 ratings", "60 ratings"))
    assert re.match(r".+ \(\d+%\)|nothing clearly", viewer.subject.facts[0].text)


def test_a_moved_point_is_tied_to_the_movie_that_it_was_made_from(demo):
    still, horror, comedy = demo.chapters[2].exhibits[:3]
    start = still.evidence.expression
    assert horror.evidence.expression == f"{start} + 12*horror"
    assert comedy.evidence.expression == f"{start} + 12*comedy"
    assert still.parents == () and len(horror.parents) == 1
    assert horror.parents[0] == still.place and horror.place != still.place


def test_the_bundle_is_made_once_and_used_again(world, monkeypatch):
    first = world.make()
    assert any(line.startswith("making") for line in world.lines)
    manifest = (world.folder / "out" / "movies.bundle" / "manifest.json").stat().st_ino
    monkeypatch.setattr(build, "behavioral_space", lambda *_: pytest.fail("made again"))
    world.encoder.texts.clear()
    assert world.make() == first
    assert not any(line.startswith("making") for line in world.lines)
    assert (world.folder / "out" / "movies.bundle" / "manifest.json").stat().st_ino == manifest
    assert world.encoder.texts and not any("of town" in text for text in world.encoder.texts), (
        "no plot is read again"
    )


def test_other_data_or_a_broken_bundle_make_it_again(world):
    world.make()
    with (world.sources.ratings / "ml-100k.inter").open("a") as file:
        file.write("0\t0\t1\t0\n")
    world.make()
    assert any(line.startswith("making") for line in world.lines)
    (world.folder / "out" / "movies.bundle" / "spaces" / BEHAVIORAL / "alignment.json").write_text("{")
    world.make()
    assert any(line.startswith("making") for line in world.lines)


def test_another_choice_of_splits_makes_it_again(world, monkeypatch):
    world.make()
    monkeypatch.setattr(build, "LEFT_OUT", {"regions": 1, "cold": 10})
    world.make()
    assert any(line.startswith("making") for line in world.lines)


def test_every_split_of_the_ratings_is_scored(bundle):
    entry = bundle.entry(BEHAVIORAL)
    assert set(entry.splits) == set(entry.report["splits"]) == {"holdout", "regions", "cold", "met"}
    assert entry.report["held_out"]["items"] == sum(one["items"] for one in entry.report["splits"].values())


def test_concepts_are_fitted_without_the_held_out_movies(bundle):
    entry = bundle.entry(SEMANTIC)
    horror = entry.concepts["horror"]
    assert horror.positives + horror.negatives == 160 - len(entry.held_out)
    assert horror.score.value > 0.9


def test_a_file_in_the_place_of_the_folder_is_refused_and_kept(world):
    (world.folder / "taken").write_text("mine")
    with pytest.raises(UserError, match="cannot make the folder .*taken.*; choose another with `out`"):
        world.make("taken")
    assert (world.folder / "taken").read_text() == "mine"


def test_the_transcript_fits_the_terminal_and_tells_everything(demo):
    text = transcript(demo, 60)
    assert max(map(len, text.splitlines())) <= 60
    for chapter in demo.chapters:
        assert chapter.plan.title in text
    assert "percentile" in text and "to other vectors" in text and "Rated highest" in text


def test_the_command_prints_a_transcript_or_one_json_object(demo, monkeypatch, tmp_path):
    from vecspeak.cli import demo as module

    monkeypatch.setattr(run, "run_demo", lambda out, say: demo)
    laid_out = []
    monkeypatch.setattr(module, "_lay_out", laid_out.append)
    printed = CliRunner().invoke(command, ["--out", str(tmp_path)])
    assert printed.exit_code == 0 and str(tmp_path / "report.html") in printed.stdout.splitlines()[-2]
    assert printed.stdout.splitlines()[-1].endswith(f": vecspeak explore {tmp_path / 'movies.bundle'}")
    assert laid_out == [tmp_path / "movies.bundle"]
    content = json.loads(CliRunner().invoke(command, ["--out", str(tmp_path), "--json"]).stdout)
    assert content["report"] == str(tmp_path / "report.html")
    assert content["chapters"][4]["exhibits"][1]["answer"] == demo.exhibits[-1].answer.text


def test_the_page_opens_with_a_map(bundle, tmp_path, monkeypatch, capsys):
    from vecspeak.cli import demo as module

    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))
    folder = shutil.copytree(bundle.folder, tmp_path / "copy.bundle")
    module._lay_out(folder)
    assert (
        VecSpeak.load(folder).retained_map(SEMANTIC) is not None and "laying out" in capsys.readouterr().err
    )
    module._lay_out(folder)
    assert "laying out" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("called", "found", "typed"),
    [
        (".venv/bin/vecspeak", None, ".venv/bin/vecspeak"),
        ("a b/vecspeak", None, "'a b/vecspeak'"),
        (".venv/bin/vecspeak", "/usr/bin/vecspeak", "vecspeak"),
        ("vecspeak/__main__.py", None, "vecspeak"),
    ],
)
def test_the_command_of_the_page_can_be_typed_where_the_demo_was(monkeypatch, called, found, typed):
    from vecspeak.cli import demo as module

    monkeypatch.setattr(module.sys, "argv", [called])
    monkeypatch.setattr(module.shutil, "which", lambda name: found)
    assert module._as_typed() == typed
