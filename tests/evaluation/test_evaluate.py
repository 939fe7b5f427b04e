"""The whole evaluation, on a tiny reader that truly reads, and on two that only pretend to."""

import dataclasses
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import worlds
from vecspeak.bundles.weights import load_reader
from vecspeak.engines import Sampling
from vecspeak.engines.transformers import TransformersEngine
from vecspeak.errors import UserError
from vecspeak.evaluation.baselines import BASELINES, random_vectors
from vecspeak.evaluation.cases import (
    ENTITY_BASELINES,
    TRAIN,
    check_space,
    choose_rows,
    question_about_x,
    space_cases,
)
from vecspeak.evaluation.evaluate import EvaluationConfig, Models, flat_scores
from vecspeak.evaluation.evaluate import evaluate as evaluate_sets
from vecspeak.evaluation.report import Report, read_report, write_report
from vecspeak.evidence import ReadTerm
from vecspeak.storage import Cache

SETTINGS = EvaluationConfig(sampling=Sampling(max_new_tokens=10), best_of=3)
CONTROLS = {"swapped", "mean", "random", "nearest_text", "lm_texts", "lm_labels", "lm_truth", "truth"}


class Letters:
    """A second encoder, which made nothing: it counts letters."""

    name = "letters"
    dim = 27

    def encode(self, texts, *, progress=False, batch_size=64):
        counts = np.array([[1, *(t.casefold().count(chr(97 + i)) for i in range(26))] for t in texts])
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


def models_of(bundle, second=None):
    readers = {"reader": load_reader(bundle), "base": load_reader(bundle, base_model=True)}
    return Models(
        engines={name: TransformersEngine(reader, batch_size=128) for name, reader in readers.items()},
        encoder=worlds.ENCODER,
        second=second,
        key=json.dumps(bundle.manifest.files, sort_keys=True),
        reader=readers.__getitem__,
    )


def evaluate(models, cases, config, cache=None):
    (found,) = evaluate_sets(models, [cases], config, cache)
    return found


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return models_of(worlds.bundle(tmp_path_factory.mktemp("worlds") / "true.bundle"), Letters())


@pytest.fixture(scope="module")
def found(models):
    return evaluate(models, space_cases(worlds.entry(), worlds.ENCODER), SETTINGS)


def spoiled(folder, change):
    """The evaluation of the same bundle with its adapter changed."""
    return evaluate(
        models_of(worlds.bundle(folder / "spoiled.bundle", change)),
        space_cases(worlds.entry(), worlds.ENCODER),
        SETTINGS,
    )


def noise(state):
    draw = torch.Generator().manual_seed(0)
    return {
        key: torch.randn(value.shape, generator=draw).to(value.dtype) * value.float().std().nan_to_num(1)
        if "weight" in key
        else value
        for key, value in state.items()
    }


def one_answer(state):
    """Soft tokens that do not depend on the vector: whatever is asked about, the answer is the same."""
    return {
        key: torch.zeros_like(value) if key == "project.weight" else value for key, value in state.items()
    }


def test_every_number_stands_with_its_interval_and_beside_every_baseline(found):
    keys = {system.key for system in found.systems}
    assert keys == CONTROLS | {"reader", "best_of"}
    for system in found.systems:
        for key, estimate in system.estimates.items():
            assert estimate.low <= estimate.value + 1e-9 and estimate.value <= estimate.high + 1e-9, key
    assert "precision" in found.system("reader").estimates  # a system that names nothing has none
    answering = [system for system in found.systems if system.key != "truth"]
    for key in ("sc", "sc_2", "r1", "r10", "mrr", "rank", "fve", "recall", "repeated", "copied"):
        assert all(key in system.estimates for system in answering), key
    assert all("loss" in s.estimates for s in answering if s.key not in ("nearest_text", "best_of"))
    assert {measure.key for measure in found.measures} >= set(found.system("reader").estimates)


def test_a_reader_that_reads_is_told_from_its_controls(found):
    reader, swapped = found.system("reader").estimates, found.system("swapped").estimates
    assert reader["gap"].low > 0.02
    assert reader["sc"].value > swapped["sc"].value + 0.1
    assert [flag.partition(":")[0] for flag in found.flags] == ["FEW ENTITIES"]
    assert reader["gap"].value == pytest.approx(swapped["loss"].value - reader["loss"].value, abs=1e-5)
    mean = found.system("mean").estimates["loss"].value
    assert reader["gap_mean"].value == pytest.approx(mean - reader["loss"].value, abs=1e-5)


def test_an_adapter_of_noise_is_said_not_to_be_read(tmp_path):
    spoilt = spoiled(tmp_path, noise)
    gap = spoilt.system("reader").estimates["gap"]
    assert gap.low <= 0.02
    assert any("VECTOR IS" in flag and "READ" in flag for flag in spoilt.flags)


def test_a_reader_with_one_answer_is_caught_by_distinctness(tmp_path):
    spoilt = spoiled(tmp_path, one_answer)
    reader = spoilt.system("reader").estimates
    assert reader["repeated"].value == 1.0
    assert reader["gap"].value == pytest.approx(0, abs=1e-6)
    assert any(flag.startswith("ONE ANSWER FOR MANY: 100%") for flag in spoilt.flags)
    assert any(flag.startswith("THE VECTOR IS NOT READ") for flag in spoilt.flags)
    assert reader["gap_mean"].value == pytest.approx(0, abs=1e-6)
    assert any(flag.startswith("NO MORE THAN THE MEAN") for flag in spoilt.flags)


def test_no_entity_that_was_fitted_on_reaches_a_held_out_score():
    entry = worlds.entry()
    train = set(entry.space.ids) - entry.held_out
    for split, ids in entry.splits.items():
        cases = space_cases(entry, worlds.ENCODER, split=split, count=1000)
        assert set(cases.ids) == set(ids) and not set(cases.ids) & train
        assert not cases.trained_on
        assert {text.label for near in cases.nearest for text in near} <= {
            entry.space.labels[entry.space.index_of(item)] for item in train
        }


def test_a_held_out_entity_with_the_text_of_a_training_one_is_called_so(models):
    cases = space_cases(worlds.entry(), worlds.ENCODER)
    assert cases.known_texts == 0
    twin = dataclasses.replace(cases, training_texts=[*cases.training_texts, cases.texts[0].upper() + " "])
    assert twin.known_texts == 1
    made = evaluate(models, twin, EvaluationConfig(sampling=Sampling(max_new_tokens=2)))
    assert made.flags[0].startswith("KNOWN TEXTS: 1 of the 9 entities")


def test_training_entities_are_evaluated_only_by_name_and_then_labelled(models, tmp_path):
    entry = worlds.entry()
    cases = space_cases(entry, worlds.ENCODER, split=TRAIN, count=6)
    assert cases.trained_on and not set(cases.ids) & entry.held_out
    assert all(cases.labels[i] not in {k.label for k in near} for i, near in enumerate(cases.nearest))
    made = evaluate(models, cases, EvaluationConfig(sampling=Sampling(max_new_tokens=2)))
    assert made.trained_on and made.split == TRAIN
    assert made.flags[0].startswith("TRAINING ENTITIES")


@pytest.mark.parametrize("count", [1, 3, 30])
def test_what_is_chosen_and_what_is_known_never_share_an_entity(count):
    """A law of the splits, over many random ones."""
    rng = np.random.default_rng(count)
    ids = np.array(worlds.space().ids)
    for _ in range(50):
        order = rng.permutation(ids)
        cut = rng.integers(5, 15, size=2)
        splits = {
            "holdout": frozenset(order[: cut[0]].tolist()),
            "cold": frozenset(order[cut[0] : cut.sum()].tolist()),
        }
        entry = worlds.entry(splits=splits)
        for split in splits:
            chosen, train = choose_rows(entry, split, range(45))
            assert not {ids[row] for row in train} & (splits["holdout"] | splits["cold"])
            assert {ids[row] for row in chosen} == splits[split]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"split": "moon"}, "no split 'moon'.*holdout, cold, train; take split='holdout' "),
        ({"target": "plot"}, "no column 'plot'.*text, tags"),
        ({"question": "Compare {x} with {y}."}, "slots x, y"),
        ({"question": " "}, "the question is empty"),
        ({"question": "Describe \udcff {x}."}, "no UTF-8"),
    ],
)
def test_what_cannot_be_evaluated_is_told_before_any_work(changes, said):
    given = {"split": "holdout", "target": "text", "question": "Describe {x}.", **changes}
    with pytest.raises(UserError, match=said):
        check_space(worlds.entry(), **given)


def test_a_split_of_fewer_than_five_is_refused():
    entry = worlds.entry(splits={"holdout": frozenset({"p1", "p2"})})
    with pytest.raises(UserError, match="2 items with a text"):
        check_space(entry, "holdout", "text", "Describe {x}.")


def test_fewer_than_five_training_entities_are_refused():
    entry = worlds.entry(splits={"holdout": frozenset(f"p{row}" for row in range(41))})
    with pytest.raises(UserError, match="4 items with a text that were fitted on"):
        check_space(entry, TRAIN, "text", "Describe {x}.")


def test_another_column_can_be_the_answer_that_is_hoped_for():
    cases = space_cases(worlds.entry(), worlds.ENCODER, target="tags", question="Tags of {x}:")
    row = int(cases.ids[0][1:])
    assert cases.texts[0] == ", ".join(worlds.PAIRS[row].split())
    assert cases.contexts[0] == (worlds.PAIRS[row],)
    assert cases.pool is None and cases.training_texts == []


def test_a_question_without_a_slot_gets_the_vector_after_it():
    assert question_about_x("Describe this.") == "Describe this. {x}"


def test_random_vectors_are_as_long_as_the_right_ones_and_point_elsewhere():
    vectors = np.random.default_rng(1).normal(size=(50, 64)) * 3
    drawn = random_vectors(vectors, seed=0)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), np.linalg.norm(vectors, axis=1), rtol=1e-5)
    assert abs(np.mean((drawn * vectors).sum(1) / (vectors**2).sum(1))) < 0.1


def test_the_baselines_read_what_they_say_they_read():
    cases = space_cases(worlds.entry(), worlds.ENCODER)
    prompts = {
        key: made[0] for key, one in BASELINES.items() if one.prompts and (made := one.prompts(cases, 0))
    }
    near = cases.nearest[0]
    assert all(known.text in prompts["lm_texts"][0] for known in near[:3])
    assert near[3].text not in prompts["lm_texts"][0]
    assert all(known.label in prompts["lm_labels"][0] for known in near)
    assert cases.texts[0] in prompts["lm_truth"][0]
    assert cases.texts[0] not in prompts["lm_texts"][0] + prompts["lm_labels"][0]
    for key in ("lm_texts", "lm_labels", "lm_truth"):
        assert prompts[key][0].endswith("\n\nDescribe X.") and len(prompts[key]) == 1
    np.testing.assert_array_equal(prompts["reader"][1].values, cases.inputs[0, 0])
    of_words = {"words", "no_words", "other_words", "other_vector"}
    assert set(ENTITY_BASELINES) == CONTROLS | {"reader", "best_of", "nearest_whole"} | of_words
    assert set(ENTITY_BASELINES) <= set(BASELINES), "protocols register more"
    assert not of_words & set(prompts), "nothing is read of a space without texts"


def test_words_stand_in_the_readers_question_and_each_control_changes_one_thing():
    cases = space_cases(worlds.entry(), worlds.ENCODER)
    words = [[ReadTerm(term=f"word{row}", probability=0.5, rate=0.1)] for row in range(len(cases))]
    cases = replace(cases, words=words)
    asked = {
        key: BASELINES[key].prompts(cases, 0)[1]
        for key in ("reader", "no_words", "other_words", "other_vector", "mean")
    }
    told = {key: prompt[-1].partition("It has to do with ")[2] for key, prompt in asked.items()}
    assert told == {
        "reader": "word1.",
        "no_words": "",
        "other_words": "word0.",
        "other_vector": "word1.",
        "mean": "",
    }
    for key, row in (("reader", 1), ("no_words", 1), ("other_words", 1), ("other_vector", 0)):
        np.testing.assert_array_equal(asked[key][1].values, cases.inputs[row, 0])
    assert BASELINES["words"].texts(cases)[1] == "word1"


def test_an_evaluation_that_was_stopped_asks_only_what_is_missing(models, tmp_path, monkeypatch):
    cases = space_cases(worlds.entry(), worlds.ENCODER)
    first = evaluate(models, cases, SETTINGS, Cache(tmp_path / "answers.sqlite"))

    def never(*args, **named):
        raise AssertionError("asked again")

    monkeypatch.setattr("vecspeak.engines.transformers.decode", never)
    monkeypatch.setattr("vecspeak.training.loss.row_losses", never)
    assert evaluate(models, cases, SETTINGS, Cache(tmp_path / "answers.sqlite")) == first


def test_the_best_of_several_is_never_less_consistent_than_one_of_them(models):
    cases = space_cases(worlds.entry(), worlds.ENCODER)
    cache = Cache()
    few, many = (
        evaluate(models, cases, dataclasses.replace(SETTINGS, best_of=n), cache)
        .series("best_of", "sc")
        .values
        for n in (2, 5)
    )
    assert (many >= few - 1e-6).all() and (many > few + 1e-6).any()


def test_a_long_nearest_text_is_measured_whole_as_well(models):
    cases = space_cases(worlds.entry(), worlds.ENCODER)
    long = [f"{text}. " + "It says much more than an answer may. " * 20 for text in cases.nearest_truths]
    made = evaluate(models, dataclasses.replace(cases, nearest_truths=long), SETTINGS)
    shown, whole = (made.entities[0].answers[key] for key in ("nearest_text", "nearest_whole"))
    assert whole == long[0] and len(shown) <= 420 and whole.startswith(shown)
    assert "sc" in made.system("nearest_whole").estimates
    assert found_keys(evaluate(models, cases, SETTINGS)) == CONTROLS | {"reader", "best_of"}


def found_keys(made):
    return {system.key for system in made.systems}


def test_a_report_of_it_is_written_and_read_whole(found, tmp_path):
    report = Report(bundle="toy", made="2026-01-01T00:00:00+00:00", settings={}, digests={}, sets=(found,))
    write_report(tmp_path / "report.json", report)
    assert read_report(tmp_path / "report.json") == report
    assert flat_scores(found)["swap_gap"]["value"] == found.system("reader").estimates["gap"].value
