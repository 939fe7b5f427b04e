"""Run: from a recipe and a few texts to a trained reader, found again when it is run again."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from fakes import WORDS, WordEncoder
from tiny_models import base_folder, tiny_recipe
from vecspeak.errors import UserError
from vecspeak.model.chat import chat_format
from vecspeak.model.prompt import CHATML, PLAIN
from vecspeak.tasks.corpus import Text
from vecspeak.training.run import train_reader, validation_examples


class Vocabulary:
    def __init__(self, *words):
        self.words = words

    bos_token = bos_token_id = None

    def get_vocab(self):
        return dict.fromkeys(self.words, 0)

    def __call__(self, text):
        return SimpleNamespace(input_ids=[0])


@pytest.fixture
def recipe(tmp_path):
    town = "come to a quiet town by the sea"
    plots = "".join(
        f'{i},Movie {i},,"The {WORDS[i % 10]} and the {WORDS[i % 7]} {town}, {i} of them."\n'
        for i in range(30)
    )
    (tmp_path / "movies.csv").write_text("ID,Title,Category,Plot\n" + plots)
    return tiny_recipe(base_folder(), sources={"movies": str(tmp_path / "movies.csv")}, texts={"plot": 10})


def test_a_recipe_becomes_a_reader_and_a_finished_run_is_not_run_again(tmp_path, recipe):
    first = train_reader(recipe, WordEncoder(), tmp_path / "run", device="cpu")
    assert first.progress.finished
    assert first.data["examples_seen"] == first.data["examples_planned"] == first.data["texts"]["plot"]
    again = train_reader(recipe, WordEncoder(), tmp_path / "run", device="cpu")
    assert again.progress.step == first.progress.step
    assert again.data["texts_sha256"] == first.data["texts_sha256"]
    theirs = again.reader.adapter.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in first.reader.adapter.state_dict().items())


def test_a_recipe_that_finds_no_training_text_says_so(tmp_path, recipe):
    nothing = dataclasses.replace(recipe, texts={"summary": 10})
    with pytest.raises(UserError, match="the recipe 'tiny' finds no text to train on"):
        train_reader(nothing, WordEncoder(), tmp_path / "run", device="cpu")


def test_a_folder_with_the_run_of_another_recipe_is_refused(tmp_path, recipe):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.json").write_text("{}")
    with pytest.raises(UserError, match="holds the run of another recipe"):
        train_reader(recipe, WordEncoder(), tmp_path / "run", device="cpu")


def test_a_run_may_be_given_more_time_and_nothing_else_may_change(tmp_path, recipe):
    def changed(**schedule):
        return dataclasses.replace(recipe, schedule=dataclasses.replace(recipe.schedule, **schedule))

    short = train_reader(changed(max_hours=1e-9), WordEncoder(), tmp_path / "run", device="cpu")
    assert (short.outcome.steps, short.outcome.ended_by) == (1, "time")
    assert short.outcome.planned > 1
    with pytest.raises(UserError, match=r"another recipe.*: schedule.model_rate is not as it was"):
        train_reader(changed(model_rate=0.5), WordEncoder(), tmp_path / "run", device="cpu")
    whole = train_reader(recipe, WordEncoder(), tmp_path / "run", device="cpu")
    assert (whole.outcome.steps, whole.outcome.ended_by) == (whole.outcome.planned, "plan")
    assert whole.outcome.before.loss == pytest.approx(short.outcome.before.loss, abs=1e-4)


def test_the_chat_format_is_chatml_where_the_tokenizer_has_its_marks():
    assert chat_format(Vocabulary("<|im_start|>", "<|im_end|>", "a")) is CHATML
    assert chat_format(Vocabulary("<|im_start|>", "a")) == PLAIN


def test_what_is_watched_is_held_out():
    texts = [
        Text(
            source="movies",
            kind="plot" if i % 2 else "sentence",
            key=f"k{i}",
            title="T",
            text=f"text {i}",
            target=f"target {i}",
            tags=(),
            split="held_out" if i % 3 else "train",
        )
        for i in range(60)
    ]
    chosen, examples = validation_examples(texts, seed=0)
    assert {text.split for text in chosen} == {"held_out"}
    assert {text.kind for text in chosen} == {"plot", "sentence"}
    assert [example.target for example in examples] == [text.target for text in chosen]
    assert [example.rows for example in examples] == [(row,) for row in range(len(chosen))]
