"""Corpus: what texts an entity gives, and a split that holds."""

import pytest

from vecspeak.errors import UserError
from vecspeak.tasks.corpus import (
    KINDS,
    build_corpus,
    corpus_table,
    cut,
    load_corpus,
    movie_facts,
    save_corpus,
    split_of,
)
from vecspeak.tasks.sources import CorpusEntity

PLOT = (
    "A shark hunts swimmers off a quiet island. The mayor will not close the beach at all. "
    "A chief, a scientist and a fisherman set out. Their boat is too small for the animal. Fear."
)
SHARES = {"movies": 0.3, "words": 0.3, "packages": 0.3}


def movie(key, text=PLOT, tags=("Thriller",)):
    return CorpusEntity(source="movies", key=key, title=key.title(), text=text, tags=tags)


def word(key, *examples):
    return CorpusEntity(source="words", key=key, title=key, text=f"{key}: what {key} means.", extra=examples)


def kinds(texts):
    return [text.kind for text in texts]


def test_a_movie_gives_its_facts_its_plot_and_parts_of_it():
    texts = cut([movie("jaws")], seed=0, shares=SHARES)
    assert kinds(texts) == ["facts", "plot", *["sentence"] * 4, "pair", "passage"]
    assert texts[0].text == "Jaws is a thriller movie."
    assert texts[1].text == PLOT
    assert texts[2].text == "A shark hunts swimmers off a quiet island."
    assert texts[6].text.startswith("A shark") and texts[6].text.endswith("at all.")
    assert set(kinds(texts)) <= set(KINDS)


def test_a_word_gives_its_definition_and_its_longer_examples():
    texts = cut([word("tide", "short", "the tide rose over the rocks")], seed=0, shares=SHARES)
    assert [(text.kind, text.text) for text in texts] == [
        ("definition", "tide: what tide means."),
        ("example", "the tide rose over the rocks"),
    ]


def test_a_package_gives_its_description_and_its_summary():
    entity = CorpusEntity(
        source="packages", key="s", title="libs", text="Finds sharks.", extra=("a shark finder",)
    )
    assert kinds(cut([entity], seed=0, shares=SHARES)) == ["description", "summary"]


def test_a_movie_with_hardly_a_plot_gives_nothing():
    assert cut([movie("jaws", text="A shark.")], seed=0, shares=SHARES) == []


@pytest.mark.parametrize(
    ("genres", "facts"),
    [
        (("Thriller", "Sea film"), "Jaws is a thriller and sea movie."),
        (("Action",), "Jaws is an action movie."),
        (("Action", "Drama", "Crime", "War", "Noir"), "Jaws is an action, drama, crime and war movie."),
        ((), ""),
    ],
)
def test_facts_name_the_first_genres(genres, facts):
    assert movie_facts("Jaws", genres) == facts


def test_a_long_target_is_the_opening_of_its_text():
    sentence = "The boat sails on and on over the quiet sea. "
    (plot,) = [t for t in cut([movie("sea", text=sentence * 20)], seed=0, shares=SHARES) if t.kind == "plot"]
    assert len(plot.text) > 800
    assert len(plot.target) <= 420
    assert plot.text.startswith(plot.target)


def test_equal_texts_are_kept_once():
    texts = cut([movie("jaws"), movie("jaws again")], seed=0, shares=SHARES)
    assert len({text.text for text in texts}) == len(texts)
    assert [text.kind for text in texts if text.key == "jaws again"] == ["facts"]


def test_no_entity_is_in_both_splits():
    texts = cut([movie(f"m{i}", PLOT + f" Part {i} of it all.") for i in range(60)], seed=0, shares=SHARES)
    held_out = {text.key for text in texts if text.split == "held_out"}
    train = {text.key for text in texts if text.split == "train"}
    assert held_out and train
    assert not held_out & train


def test_the_split_of_an_entity_does_not_depend_on_the_others():
    few = [word(f"w{i}") for i in range(50)]
    many = [*[word(f"new{i}") for i in range(33)], *few]
    splits = [{t.key: t.split for t in cut(words, seed=3, shares=SHARES)} for words in (few, many)]
    assert splits[0].items() <= splits[1].items()


def test_the_share_that_is_held_out_is_about_what_was_asked_for():
    splits = [split_of(f"w{i}", 0, 0.3) for i in range(4000)]
    assert 0.27 < splits.count("held_out") / 4000 < 0.33
    assert {split_of("w", 0, 0.0), split_of("w", 0, 1.0)} == {"train", "held_out"}


def test_another_seed_is_another_split():
    assert [split_of(f"w{i}", 0, 0.5) for i in range(20)] != [split_of(f"w{i}", 1, 0.5) for i in range(20)]


def test_a_text_that_two_entities_share_is_held_out_if_either_is(tmp_path):
    keys = [f"movie {i}" for i in range(40)]
    held_out = next(key for key in keys if split_of(key, 0, 0.3) == "held_out")
    train = next(key for key in keys if split_of(key, 0, 0.3) == "train")
    rows = "".join(f'{i},{key},{{}},"{PLOT}"\n' for i, key in enumerate([train, held_out]))
    (tmp_path / "movies.csv").write_text("ID,Title,Category,Plot\n" + rows)
    texts = build_corpus({"movies": tmp_path / "movies.csv"}, seed=0, shares=SHARES)
    assert {(text.key, text.split) for text in texts} == {(held_out, "held_out")}


def test_a_source_without_a_share_is_refused(tmp_path):
    with pytest.raises(UserError, match="no held-out share for source movies; add it under"):
        build_corpus({"movies": tmp_path / "movies.csv"}, seed=0, shares={})


def test_a_saved_corpus_is_read_back_as_it_was(tmp_path):
    texts = cut([movie("jaws"), word("tide", "the tide rose over the rocks")], seed=0, shares=SHARES)
    save_corpus(texts, tmp_path / "texts.parquet")
    assert load_corpus(tmp_path / "texts.parquet") == texts
    assert corpus_table(texts).num_rows == len(texts)
