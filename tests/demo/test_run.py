import json
import re

import pytest
from click.testing import CliRunner

from vecspeak.cli.demo import demo as command
from vecspeak.demo import build, run
from vecspeak.demo.chapters import PLANS, Deck, subjects_of
from vecspeak.demo.data import BEHAVIORAL, SEMANTIC
from vecspeak.demo.run import make_demo
from vecspeak.demo.transcript import transcript
from vecspeak.errors import UserError

EVIL = "<script>alert`1`</script>"


@pytest.fixture
def make(tmp_path, reader, sources, encoder, open_engine):
    def made(out=tmp_path / "out"):
        lines = []
        demo = make_demo(
            out, reader=reader, sources=sources, encoder=encoder, open_engine=open_engine, say=lines.append
        )
        return demo, out, lines

    return made


def test_every_chapter_is_answered_with_its_evidence(make, open_engine):
    demo, out, _ = make()
    assert [chapter.key for chapter in demo.chapters] == ["unseen", "between", "moved", "rated", "viewer"]
    assert [len(chapter.exhibits) for chapter in demo.chapters] == [3, 2, 6, 3, 2]
    assert open_engine.engine.batches == [11, 5]
    for exhibit in demo.exhibits:
        assert exhibit.answer.startswith("It is like ")
        assert len(exhibit.nearest) == 5 and exhibit.facts
        assert exhibit.outside == (exhibit.percentile > 99)
    assert (out / "report.html").is_file()


def test_subjects_are_held_out_and_drawn_the_same_every_time(make, sources):
    first, out, _ = make()
    again, *_ = make()
    assert first == again
    bundle = build.load_bundle(out / "movies.bundle")
    deck = Deck.of(bundle, sources)
    entry = bundle.entry(SEMANTIC)
    drawn = [subject for plan in PLANS[:3] for subject in subjects_of(plan, deck) if not subject.parents]
    ids = [asked_id(entry, subject.expression) for subject in drawn]
    assert set(ids) <= entry.held_out and len(set(ids)) == len(ids)
    moved = first.chapters[2].exhibits[0]
    assert not re.search("Horror|Comedy", moved.facts[0].text)


def asked_id(entry, expression):
    from vecspeak.points import evaluate

    return evaluate(expression, entry.scope).item_id


def test_a_viewer_is_compared_with_what_the_ratings_say(make):
    demo, *_ = make()
    (viewer, _) = demo.chapters[4].exhibits
    assert re.fullmatch(r"user\(\d+\)", viewer.expression)
    names = [fact.name for fact in viewer.facts]
    assert names == ["Rated highest", "Rated lowest", "Genres over their average", "Known from"]
    assert viewer.facts[3].text.startswith(("59 ratings", "60 ratings"))


def test_a_moved_point_is_tied_to_the_movie_that_it_was_made_from(make):
    demo, *_ = make()
    still, horror, comedy = demo.chapters[2].exhibits[:3]
    assert horror.expression == f"{still.expression} + 2*horror"
    assert comedy.expression == f"{still.expression} + 2*comedy"
    assert still.parents == () and len(horror.parents) == 1
    assert (horror.parents[0].x, horror.parents[0].y) == (still.place.x, still.place.y)
    assert (horror.place.x, horror.place.y) != (still.place.x, still.place.y)


def test_the_bundle_is_made_once_and_used_again(make, encoder, monkeypatch):
    _, out, lines = make()
    assert any(line.startswith("making") for line in lines)
    manifest = (out / "movies.bundle" / "manifest.json").stat().st_ino
    monkeypatch.setattr(build, "behavioral_space", lambda *_: pytest.fail("made again"))
    encoder.texts.clear()
    demo, _, lines = make()
    assert not any(line.startswith("making") for line in lines)
    assert (out / "movies.bundle" / "manifest.json").stat().st_ino == manifest
    assert len(encoder.texts) == len(demo.exhibits)


def test_other_data_or_a_broken_bundle_make_it_again(make, sources):
    _, out, _ = make()
    with (sources.ratings / "ml-100k.inter").open("a") as file:
        file.write("0\t0\t1\t0\n")
    assert any(line.startswith("making") for line in make()[2])
    (out / "movies.bundle" / "spaces" / BEHAVIORAL / "alignment.json").write_text("{")
    assert any(line.startswith("making") for line in make()[2])
    assert not any(line.startswith("making") for line in make()[2])


def test_concepts_are_fitted_without_the_held_out_movies(make):
    _, out, _ = make()
    entry = build.load_bundle(out / "movies.bundle").entry(SEMANTIC)
    horror = entry.concepts["horror"]
    assert horror.positives + horror.negatives == 120 - len(entry.held_out)
    assert horror.auc > 0.9


def test_a_file_in_the_place_of_the_folder_is_refused_and_kept(make, tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(UserError, match="cannot make the folder .*taken.*; choose another with --out"):
        make(tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_the_transcript_fits_the_terminal_and_tells_everything(make):
    demo, *_ = make()
    text = transcript(demo, 60)
    assert max(map(len, text.splitlines())) <= 60
    for chapter in demo.chapters:
        assert chapter.title in text
    assert "percentile" in text and "to other vectors" in text and "Rated highest" in text


def test_the_command_prints_a_transcript_or_one_json_object(make, monkeypatch, tmp_path):
    demo, out, _ = make()
    monkeypatch.setattr(run, "run_demo", lambda out, say: demo)
    printed = CliRunner().invoke(command, ["--out", str(out)])
    assert printed.exit_code == 0 and printed.output.rstrip().endswith(str(out / "report.html"))
    content = json.loads(CliRunner().invoke(command, ["--out", str(out), "--json"]).stdout)
    assert content["report"] == str(out / "report.html")
    assert content["chapters"][4]["exhibits"][1]["answer"] == demo.exhibits[-1].answer
