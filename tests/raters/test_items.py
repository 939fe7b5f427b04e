"""Items: what is asked, in which order, and that nothing in it tells who wrote a text."""

import dataclasses

import pytest

from local_rater import evaluated_set, texts_in
from vecspeak.errors import UserError
from vecspeak.raters.items import BETTER, pair_items, resolve_systems, system_items
from vecspeak.raters.llm import JudgeConfig, draw_entities, make_questions


def test_every_answer_gets_every_question_and_every_pair_both_orders():
    evaluated = evaluated_set(3)
    items = list(system_items(evaluated.entities[0], ("reader", "nearest_text")))
    found = [(question.key, *item.systems) for item in items for question in item.questions]
    assert found == [
        *((key, "reader") for key in ("fluent", "fits", "specific")),
        *((key, "nearest_text") for key in ("fluent", "fits", "specific")),
        ("better", "reader", "nearest_text"),
        ("better", "nearest_text", "reader"),
    ]


def test_a_pair_shows_each_text_once_as_a_and_once_as_b():
    entity = evaluated_set(3).entities[0]
    first, second = (
        texts_in(item.prompt(BETTER)) for item in pair_items(entity, ("x", "Alpha."), ("y", "Beta."))
    )
    assert (first["TEXT A"], first["TEXT B"]) == ("Alpha.", "Beta.") == (second["TEXT B"], second["TEXT A"])
    assert first["TRUE TEXT"] == second["TRUE TEXT"] == entity.truth


def test_without_the_reader_there_are_no_pairs():
    items = list(system_items(evaluated_set(3).entities[0], ("nearest_text",)))
    assert {question.key for item in items for question in item.questions} == {"fluent", "fits", "specific"}


def test_no_prompt_names_a_system_an_entity_or_a_planted_kind():
    evaluated = evaluated_set(12)
    told = {item.prompt(question) for item, question in make_questions(evaluated, JudgeConfig())}
    for entity in evaluated.entities:
        texts = {entity.truth, *entity.answers.values()}
        assert not any(entity.label in text for text in texts)
    words = {"reader", "nearest", "baseline", "planted", "Thing ", "system", "broken", "model"}
    assert not [(word, prompt) for prompt in told for word in words if word in prompt]


def test_planted_items_look_like_the_others_and_lie_among_them():
    items = make_questions(evaluated_set(24), JudgeConfig())
    frames = {}
    for item, question in items:
        frame = item.prompt(question)
        for text in texts_in(frame).values():
            frame = frame.replace(text, "")
        frames.setdefault((question.key, frame), set()).add(item.planted)
    planted_too = {key: kinds for (key, _), kinds in frames.items()}
    assert len(frames) == 4  # one frame a question, whoever wrote the text
    assert planted_too == {
        "fluent": {True, False},
        "fits": {True, False},
        "specific": {False},
        "better": {True, False},
    }
    thirds = [items[i * len(items) // 3 : (i + 1) * len(items) // 3] for i in range(3)]
    shares = [sum(item.planted for item, _ in third) / len(third) for third in thirds]
    assert max(shares) < 2 * min(shares)


def test_the_seed_alone_decides_the_draw_and_the_order():
    evaluated = evaluated_set(24)

    def order(seed):
        return [
            (item.entity.id, question.key, item.systems)
            for item, question in make_questions(evaluated, JudgeConfig(count=8, seed=seed))
        ]

    assert order(0) == order(0)
    assert order(0) != order(1)
    assert {e for e, _, _ in order(0)} != {e for e, _, _ in order(1)}
    assert sorted(order(0)) != order(0)


def test_entities_are_drawn_without_return_and_not_more_than_there_are():
    evaluated = evaluated_set(6)
    assert {entity.id for entity in draw_entities(evaluated, 100, 0)} == {f"t{i}" for i in range(6)}
    assert len({entity.id for entity in draw_entities(evaluated, 4, 0)}) == 4


def test_an_entity_without_an_answer_is_passed_over():
    entity = evaluated_set(3).entities[0]
    silent = dataclasses.replace(entity, answers={"nearest_text": "A text."})
    assert {item.systems[0] for item in system_items(silent, ("reader", "nearest_text"))} == {"nearest_text"}


def test_systems_are_those_wanted_or_all_that_answered():
    evaluated = evaluated_set(3)
    assert resolve_systems(evaluated, ()) == ("reader", "nearest_text")
    assert resolve_systems(evaluated, ("nearest_text", "nearest_text")) == ("nearest_text",)
    with pytest.raises(UserError, match="'ceiling'.*reader, nearest_text"):
        resolve_systems(evaluated, ("ceiling",))
    silent = tuple(dataclasses.replace(entity, answers={}) for entity in evaluated.entities)
    with pytest.raises(UserError, match="holds no answers"):
        resolve_systems(dataclasses.replace(evaluated, entities=silent), ())
