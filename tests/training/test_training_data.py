"""Data: what a run sees, and what it must not."""

import hashlib
import json

import numpy as np
import pytest

from fakes import WordEncoder
from tiny_models import tiny_recipe
from vecspeak.errors import UserError
from vecspeak.tasks.corpus import CORPUS_TASKS, Text
from vecspeak.training import dataset as data
from vecspeak.training.dataset import (
    TrainingTexts,
    choose_texts,
    encode_texts,
    held_out_kinds,
    held_out_tasks,
    make_examples,
    prepare,
    summary,
    texts_digest,
)


def text(number, kind="plot", split="train"):
    body = f"A shark number {number} hunts a boat near an island. The mayor waits for number {number}."
    return Text(
        source="movies",
        kind=kind,
        key=f"k{number}",
        title="T",
        text=body,
        target=body,
        tags=("Sea",),
        split=split,
    )


def training_texts(count=60):
    texts = [text(number, "plot" if number % 2 else "sentence") for number in range(count)]
    vectors = np.random.default_rng(0).standard_normal((count, 8)).astype(np.float32)
    return TrainingTexts(texts=texts, vectors=vectors)


class CountingEncoder(WordEncoder):
    def __init__(self, fail_after=10**9):
        self.texts, self.fail_after = 0, fail_after

    def encode(self, texts, *, progress=False, batch_size=64):
        if self.texts >= self.fail_after:
            raise KeyboardInterrupt
        self.texts += len(texts)
        return super().encode(texts)


def test_held_out_texts_are_never_chosen():
    texts = [text(number, split="held_out" if number % 3 else "train") for number in range(30)]
    chosen = choose_texts(texts, tiny_recipe())
    assert len(chosen) == 10
    assert {one.split for one in chosen} == {"train"}


def test_at_most_as_many_of_a_kind_as_the_recipe_says_and_none_of_other_kinds():
    texts = [text(number, kind) for number in range(30) for kind in ("plot", "sentence", "pair")]
    chosen = choose_texts(texts, tiny_recipe(texts={"plot": 5, "sentence": 100}))
    kinds = [one.kind for one in chosen]
    assert (kinds.count("plot"), kinds.count("sentence"), len(kinds)) == (5, 30, 35)


def test_a_kind_that_is_held_out_gives_no_training_text_and_leaves_the_others_as_they_are():
    texts = [text(number, kind) for number in range(30) for kind in ("plot", "pair", "sentence")]
    kinds = {"plot": 5, "pair": 7, "sentence": 100}
    recipe = tiny_recipe(texts=kinds, hold_out={"kinds": ["pair"]})
    chosen = choose_texts(texts, recipe)
    assert held_out_kinds(recipe) == {"pair"}
    assert chosen == [one for one in choose_texts(texts, tiny_recipe(texts=kinds)) if one.kind != "pair"]
    assert len(chosen) == 35


@pytest.mark.parametrize("never", [["compare"], ["describe"], ["plot", "genres", "common"]])
def test_a_task_that_is_held_out_is_never_asked(never):
    recipe = tiny_recipe(tasks=dict.fromkeys(CORPUS_TASKS, 1.0), hold_out={"tasks": never})
    examples = make_examples(training_texts(400), recipe)
    assert held_out_tasks(recipe) == set(never)
    assert {example.task for example in examples} == set(CORPUS_TASKS) - set(never)
    wordings = {wording for name in never for wording in CORPUS_TASKS[name].wordings}
    assert not wordings & {example.question for example in examples}


def test_a_recipe_that_leaves_no_question_is_refused():
    plots = TrainingTexts(texts=[text(1, "sentence")] * 5, vectors=np.eye(5, dtype=np.float32))
    recipe = tiny_recipe(tasks={"genres": 1.0, "describe": 1.0}, hold_out={"tasks": ["describe"]})
    with pytest.raises(UserError, match="the recipe 'tiny' leaves no question to train on"):
        make_examples(plots, recipe)


def test_a_recipe_that_holds_out_nothing_makes_what_it_always_made():
    examples = make_examples(training_texts(200), tiny_recipe(tasks=dict.fromkeys(CORPUS_TASKS, 1.0)))
    told = repr([(one.task, one.question, one.rows, one.target) for one in examples])
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "80a2d66414c774a4"
    texts = [text(number, kind) for number in range(30) for kind in ("plot", "sentence", "pair")]
    chosen = choose_texts(texts, tiny_recipe(texts={"plot": 5, "sentence": 7}))
    told = repr([(one.kind, one.key) for one in chosen])
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "7534c36c0491ec70"


def test_what_was_prepared_for_a_recipe_is_found_again_unless_it_holds_out_kinds():
    assert data._corpus_key(tiny_recipe()) == "bdda6f2447fa1946"
    assert data._corpus_key(tiny_recipe(hold_out={"tasks": ["plot"]})) == "bdda6f2447fa1946"
    assert data._corpus_key(tiny_recipe(hold_out={"kinds": ["plot"]})) != "bdda6f2447fa1946"


def test_a_text_is_asked_about_as_often_as_its_kind_passes():
    recipe = tiny_recipe(passes={"plot": 3})
    counts = np.bincount([example.rows[0] for example in make_examples(training_texts(), recipe)])
    assert counts.tolist() == [3 if row % 2 else 1 for row in range(60)]


def test_every_task_gets_its_slots_its_target_and_its_wording():
    everything = training_texts(400)
    recipe = tiny_recipe(tasks=dict.fromkeys(CORPUS_TASKS, 1.0))
    examples = make_examples(everything, recipe)
    assert {example.task for example in examples} >= {"describe", "plot", "genres", "compare", "common"}
    for example in examples:
        task = CORPUS_TASKS[example.task]
        assert example.question in task.wordings
        assert len(example.rows) == task.num_slots
        if example.task == "describe":
            assert example.target == everything.texts[example.rows[0]].target


def test_movie_questions_are_asked_of_movie_texts_alone():
    everything = training_texts(200)
    examples = make_examples(everything, tiny_recipe(tasks={"plot": 1.0, "genres": 1.0}))
    asked = {(everything.texts[example.rows[0]].kind, example.task) for example in examples}
    assert {task for kind, task in asked if kind == "sentence"} == {"describe"}
    assert {task for kind, task in asked if kind == "plot"} == {"plot", "genres"}


def test_examples_depend_on_the_recipe_alone():
    recipe = tiny_recipe(tasks=dict.fromkeys(CORPUS_TASKS, 1.0))
    assert make_examples(training_texts(), recipe) == make_examples(training_texts(), recipe)
    assert make_examples(training_texts(), recipe) != make_examples(
        training_texts(), tiny_recipe(tasks=dict.fromkeys(CORPUS_TASKS, 1.0), seed=1)
    )


@pytest.mark.parametrize("near", [False, True])
def test_a_partner_is_never_the_row_itself(near):
    vectors = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    rows = np.arange(2000) % 20
    partners = data._partners(rows, vectors, near, np.random.default_rng(1))
    assert (partners != rows).all()
    assert set(partners.tolist()) <= set(range(20))


def test_a_near_partner_is_the_nearest_other_row():
    angles = np.array([0.0, 0.1, 1.0, 1.2, 3.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    partners = data._partners(np.arange(5), vectors, True, np.random.default_rng(0))
    assert partners.tolist() == [1, 0, 3, 2, 3]


def test_encoding_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "_CHUNK", 4)
    texts = [text(number) for number in range(10)]
    stopped = CountingEncoder(fail_after=8)
    with pytest.raises(KeyboardInterrupt):
        encode_texts(texts, stopped, tmp_path / "vectors.npy")
    again = CountingEncoder()
    vectors = encode_texts(texts, again, tmp_path / "vectors.npy")
    assert (stopped.texts, again.texts) == (8, 2)
    assert np.allclose(vectors, WordEncoder().encode([one.text for one in texts]))


def test_what_was_prepared_is_found_again_and_another_split_is_not_mixed_with_it(tmp_path):
    plots = "".join(f'{i},Movie {i},,"{text(i).text}"\n' for i in range(40))
    (tmp_path / "movies.csv").write_text("ID,Title,Category,Plot\n" + plots)
    sources = {"movies": str(tmp_path / "movies.csv")}
    encoder = CountingEncoder()
    first = prepare(tiny_recipe(sources=sources), encoder, tmp_path / "run")
    counted = encoder.texts
    second = prepare(tiny_recipe(sources=sources), encoder, tmp_path / "run")
    assert counted == encoder.texts == len(first.texts) > 0
    assert second.texts == first.texts and np.array_equal(first.vectors, second.vectors)
    other = prepare(tiny_recipe(sources=sources, seed=1), encoder, tmp_path / "run")
    assert {one.key for one in other.texts} != {one.key for one in first.texts}
    assert len(other.vectors) == len(other.texts)


def test_the_digest_tells_texts_and_their_order_apart():
    one, two = text(1), text(2)
    assert texts_digest([one, two]) != texts_digest([two, one]) != texts_digest([one])


def test_the_summary_counts_kinds_and_tasks():
    everything = training_texts(10)
    counted = summary(everything, make_examples(everything, tiny_recipe()))
    assert counted == {"texts": {"sentence": 5, "plot": 5}, "examples": {"describe": 10}}
    assert json.dumps(counted)


def test_words_stand_behind_a_share_of_the_questions_about_one_vector_some_left_out_and_some_wrong():
    words = [[f"w{row}-{place}" for place in range(16)] for row in range(60)]
    recipe = tiny_recipe(words={"share": 0.5, "most": 10, "missing": 0.5, "wrong": 0.2}, passes={"plot": 9})
    plain, worded = make_examples(training_texts(), recipe), make_examples(training_texts(), recipe, words)
    behind = [
        after.question.removeprefix(before.question) for before, after in zip(plain, worded, strict=True)
    ]
    assert [(one.rows, one.target) for one in plain] == [(one.rows, one.target) for one in worded]
    assert not any(said for said, one in zip(behind, plain, strict=True) if len(one.rows) > 1)
    single = [(said, one.rows[0]) for said, one in zip(behind, plain, strict=True) if len(one.rows) == 1]
    listed = [
        (said.removeprefix(" It has to do with ").rstrip(".").split(", "), row)
        for said, row in single
        if said
    ]
    assert 0.4 < len(listed) / len(single) < 0.6
    counts = [len(some) for some, _ in listed]
    assert 1 <= min(counts) and max(counts) <= 10 and 3 < np.mean(counts) < 4
    own = [word.startswith(f"w{row}-") for some, row in listed for word in some]
    assert 0.7 < np.mean(own) < 0.9


def test_words_of_texts_are_read_once_and_an_encoder_without_a_lexicon_is_refused(tmp_path, monkeypatch):
    texts = training_texts(5)
    unit = np.eye(384, dtype=np.float32)[:5]
    worded = TrainingTexts(texts=texts.texts, vectors=unit)
    recipe = tiny_recipe(words={"share": 1.0})
    first = data.read_words(worded, "all-minilm-l6-v2", tmp_path, recipe)
    assert len(first) == 5 and all(1 <= len(some) <= 16 for some in first)
    monkeypatch.setattr("vecspeak.lexicon.lexicon.Lexicon.words_of_all", None)
    assert data.read_words(worded, "all-minilm-l6-v2", tmp_path, recipe) == first
    with pytest.raises(UserError, match="no lexicon of tiny"):
        data.read_words(worded, "tiny", tmp_path, recipe)
