"""Texts of the reader for rows of a run: of all, of the surest, with evidence, and after a stop."""

import json

import pytest
from narrated import content, said

from fakes import NearestEngine
from vecspeak.api import VecSpeak
from vecspeak.bulk import jobs
from vecspeak.spaces import Space


@pytest.fixture
def speaking(vs, encoder, texts):
    """The same with an engine that says the nearest text."""
    return VecSpeak.load(vs.folder, encoder=encoder, engine=NearestEngine(texts, encoder))


def test_every_item_gets_a_text_with_its_evidence(speaking, tmp_path):
    found = speaking.narrate(tmp_path / "out", task="describe", effort="plain")
    every, words = said(tmp_path / "out", "texts"), said(tmp_path / "out")
    assert found.texts == 120 == len(every) == len(words)
    answer = speaking.ask("Describe {x}.", x=speaking.space[17], effort="plain")
    row = every[17]
    assert (row["id"], row["text"]) == (speaking.space.ids[17], answer.text)
    assert row["round_trip"] == pytest.approx(answer.evidence[0].round_trip, abs=1e-5)
    assert [one["id"] for one in row["nearest"]] == [one.id for one in answer.evidence[0].nearest]
    assert row["trusted"] == (not answer.warnings) and row["flags"] == list(answer.warnings)


def test_the_surest_rows_are_those_of_the_surest_words(speaking, rows, tmp_path):
    given = Space.from_arrays(rows, ids=[f"r{row}" for row in range(500)])
    found = speaking.narrate(
        tmp_path / "out", given, task="describe", prose_for=30, effort="plain", rows_per_shard=64
    )
    words, every = said(tmp_path / "out"), said(tmp_path / "out", "texts")
    best = sorted(words, key=lambda one: (not one["trusted"], -one["sureness"], one["row"]))[:30]
    assert found.texts == 30 and {one["row"] for one in every} == {one["row"] for one in best}
    assert [one["row"] for one in every] == sorted(one["row"] for one in every)
    some = every[3]
    assert some["text"] == speaking.ask("Describe {x}.", x=rows[some["row"]], effort="plain").text


def test_what_the_reader_says_goes_on_where_they_were_stopped(speaking, rows, tmp_path, monkeypatch):
    monkeypatch.setattr("vecspeak.bulk.run._TEXT_ROWS", 16)
    options = {"task": "describe", "prose_for": 50, "effort": "plain", "rows_per_shard": 64}
    given = Space.from_arrays(rows)
    speaking.narrate(tmp_path / "whole", given, **options)
    write, count = jobs.write_shard, []

    def stopped(place, found, shard):
        if "/texts/" in place.path:
            count.append(place)
            if len(count) == 3:
                raise KeyboardInterrupt
        return write(place, found, shard)

    monkeypatch.setattr(jobs, "write_shard", stopped)
    with pytest.raises(KeyboardInterrupt):
        speaking.narrate(tmp_path / "out", given, **options)
    monkeypatch.setattr(jobs, "write_shard", write)
    assert speaking.narrate(tmp_path / "out", given, **options).resumed == 8 + 2
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_reader_that_says_nothing_is_counted(speaking, rows, tmp_path):
    class Silent(NearestEngine):
        def stream(self, prompt, sampling):
            return iter(())

    speaking.engine = Silent(["x"], speaking.encoder)
    found = speaking.narrate(tmp_path / "out", Space.from_arrays(rows[:9]), task="describe", effort="plain")
    assert found.without_text == 9 and "nothing is said of 9 rows" in str(found)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["without_text"] == 9
