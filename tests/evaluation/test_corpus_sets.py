"""Splits of a training recipe: what is evaluated was never trained on, unless its name says so."""

import pytest

from tiny_models import tiny_recipe
from vecspeak.errors import UserError
from vecspeak.evaluation.corpus_cases import corpus_sets
from vecspeak.training.dataset import choose_texts, prepare_texts

ENDINGS = (
    "falls in love with a ghost.",
    "buys a train to space.",
    "fights the alien horse.",
    "laughs at a joke.",
)


@pytest.fixture
def movies(tmp_path):
    """80 movies of four sentences, so that each has plots, sentences, pairs and passages."""
    rows = ["ID,Title,Category,Plot"]
    for row in range(80):
        plot = " ".join(f"The hero number {row} of the town {ENDINGS[(row + i) % 4]}" for i in range(5))
        rows.append(f'm{row},"Movie {row}","{{""a"": ""Drama""}}","{plot}"')
    path = tmp_path / "movies.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def recipe_of(movies, **changes):
    values = {
        "sources": {"movies": str(movies)},
        "texts": {"plot": 100, "sentence": 100, "pair": 100},
        "tasks": {"describe": 1.0, "keywords": 1.0},
        **changes,
    }
    return tiny_recipe("nowhere", **values)


def test_the_plain_split_is_of_held_out_entities_only(movies, tmp_path, encoder):
    recipe = recipe_of(movies)
    sets = corpus_sets(recipe, encoder, tmp_path / "work", count=30)
    trained = {text.key for text in choose_texts(prepare_texts(recipe, tmp_path / "work"), recipe)}
    assert [cases.name for cases in sets] == ["texts of other kinds", "movie plots"]
    for cases in sets:
        assert not cases.trained_on
        assert not {name.split("/")[1] for name in cases.ids} & trained
        assert len(cases.ids) == 30 and len(set(cases.ids)) == 30
        assert (cases.truth == cases.inputs[:, 0]).all() and len(cases.pool) > 30
        assert {known.label.casefold() for near in cases.nearest for known in near} <= trained


def test_training_texts_are_evaluated_by_name_and_are_not_their_own_neighbours(movies, tmp_path, encoder):
    recipe = recipe_of(movies)
    for cases in corpus_sets(recipe, encoder, tmp_path / "work", split="train", count=10):
        assert cases.trained_on and cases.split == "train"
        assert all(
            text not in {k.text for k in near} for text, near in zip(cases.texts, cases.nearest, strict=True)
        )


def test_held_out_kinds_are_evaluated_on_entities_that_were_held_out_too(movies, tmp_path, encoder):
    recipe = recipe_of(movies, hold_out={"kinds": ["pair"], "tasks": []})
    (cases,) = corpus_sets(recipe, encoder, tmp_path / "work", split="kinds", count=20)
    trained = choose_texts(prepare_texts(recipe, tmp_path / "work"), recipe)
    assert "pair" not in {text.kind for text in trained}
    assert {name.split("/")[2] for name in cases.ids} == {"pair"}
    assert not {name.split("/")[1] for name in cases.ids} & {text.key for text in trained}


def test_a_held_out_task_is_asked_in_its_own_words(movies, tmp_path, encoder):
    recipe = recipe_of(movies, hold_out={"kinds": [], "tasks": ["one_sentence"]})
    (cases,) = corpus_sets(recipe, encoder, tmp_path / "work", split="tasks", count=10)
    assert cases.question == "Describe {x} in one sentence."
    assert cases.pool is None and not cases.trained_on
    assert all(
        context.startswith(text) and len(text) < len(context)
        for text, context in zip(cases.texts, [one[0] for one in cases.contexts], strict=True)
    )


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ("moon", "holdout, kinds, tasks, train"),
        ("kinds", "held out no kinds"),
        ("tasks", "held out no tasks"),
    ],
)
def test_a_split_that_the_recipe_does_not_have_is_refused(movies, tmp_path, encoder, split, said):
    with pytest.raises(UserError, match=said):
        corpus_sets(recipe_of(movies), encoder, tmp_path / "work", split=split)
