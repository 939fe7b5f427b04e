"""Whether answers show the task, on answers whose numbers are worked out by hand."""

import dataclasses
import random

import numpy as np
import pytest

from fakes import WORDS, NearestEngine
from task_worlds import ENCODER, TEXTS, Counted, Retelling, Still, cases, models
from vecspeak.engines import Sampling
from vecspeak.evaluation.evaluate import EvaluationConfig, evaluate
from vecspeak.evaluation.report import (
    ALIKE,
    NOT_FOLLOWED,
    READER,
    TASK_ACCURACY,
    TASK_NOT_EVIDENT,
    Report,
    System,
    flags_of,
    read_report,
    read_summary,
    without_texts,
    write_report,
)
from vecspeak.evaluation.wording import alike, task_accuracy
from vecspeak.report.compare import compare
from vecspeak.report.html import render_page
from vecspeak.report.tables import TASK_NOT_FOLLOWED, TASK_NOT_SHOWN, task_heads, task_rows
from vecspeak.report.tables import task_cells as cells
from vecspeak.report.terminal import task_lines
from vecspeak.stats import Estimate
from vecspeak.storage import write_json

SHORT = EvaluationConfig(sampling=Sampling(max_new_tokens=10))
TASKS = ("summary", "pitch", "similarities", "interpolation", "why_like_neighbour", "user_profile")
NAMES = ("summary", "pitch", "review")
PLOTS = [" ".join(random.Random(row).sample(WORDS, 3)) for row in range(9)]


class Following:
    """A reader that says what it was asked, five times, before it retells what it reads."""

    name = "following"

    def __init__(self):
        self.inner = NearestEngine(TEXTS, ENCODER)

    def answers(self, prompts, sampling):
        for number, text in self.inner.answers(prompts, sampling):
            asked = " ".join(part for part in prompts[number] if isinstance(part, str))
            yield number, f"{asked} " * 5 + text


def report_of(sets):
    return Report(
        bundle="toy", made="2026-01-01T00:00:00+00:00", settings={"seed": 0}, digests={}, sets=tuple(sets)
    )


def by_name(sets):
    return {one.name.partition(" / ")[2]: one for one in sets}


@pytest.fixture(scope="module")
def retold():
    """The sets of a reader that retells what it reads, whatever is asked."""
    return evaluate(models(), cases(*TASKS).cases, SHORT)


@pytest.fixture(scope="module")
def followed():
    return evaluate(models(Following()), cases(*TASKS).cases, SHORT)


# --- by hand ---


def test_one_answer_to_all_tasks_is_alike_and_told_apart_by_chance_alone():
    answers = [PLOTS] * 3
    assert alike(answers).tolist() == [[1] * 9] * 3
    assert task_accuracy(answers) == pytest.approx(np.full((3, 9), 1 / 3))


def test_answers_that_begin_with_the_tasks_name_are_not_alike_and_told_apart():
    # Of 4 words and 3 pairs of words two answers share 3 and 2: the cosine is 5/7.
    answers = [[f"{name} {plot}" for plot in PLOTS] for name in NAMES]
    assert alike(answers).tolist() == [[0] * 9] * 3
    assert task_accuracy(answers).tolist() == [[1] * 9] * 3


def test_of_two_tasks_with_one_answer_each_has_half_whichever_the_classifier_prefers():
    answers = [PLOTS, PLOTS, [f"review {plot}" for plot in PLOTS]]
    assert alike(answers).tolist() == [[1] * 9, [1] * 9, [0] * 9]
    assert task_accuracy(answers) == pytest.approx(np.repeat([[0.5], [0.5], [1.0]], 9, axis=1))


def test_alike_is_about_the_same_entity_alone():
    # Of the second entity no two answers are equal, though each is an answer about the first.
    answers = [["a b c", "d e f"], ["A, b; c!", "a b c"], ["d e f", "g h i"]]
    assert alike(answers).tolist() == [[1, 0], [1, 0], [0, 0]]


def test_answers_without_a_word_show_nothing():
    answers = [[""] * 9, ["..."] * 9]
    assert alike(answers).tolist() == [[1] * 9] * 2
    assert task_accuracy(answers) is None
    answers = [[*PLOTS[:8], ""], [*PLOTS[:8], "!"]]
    assert task_accuracy(answers) == pytest.approx(np.full((2, 9), 0.5))


@pytest.mark.parametrize(
    "answers",
    [
        [[f"{name} {plot}" for plot in PLOTS[:4]] for name in NAMES],
        [[f"summary {plot}" for plot in PLOTS]],
        [[f"one answer to {name}"] * 9 for name in NAMES],
    ],
    ids=["four entities", "one task", "one answer for all entities"],
)
def test_where_nothing_can_be_learned_nothing_is_measured(answers):
    assert task_accuracy(answers) is None


def noise(count, rng):
    return [" ".join(rng.choices(WORDS, k=12)) for _ in range(count)]


def test_answers_that_know_no_task_are_told_apart_as_often_as_chance_has_it():
    rng = random.Random(0)
    found = task_accuracy([noise(60, rng) for _ in range(4)])
    assert found.mean() == pytest.approx(1 / 4, abs=0.08)


def test_what_copies_of_an_entity_say_is_not_known_by_heart():
    rng = random.Random(1)
    answers = [noise(20, rng) * 3 for _ in range(4)]
    found = task_accuracy(answers)
    assert found.mean() == pytest.approx(1 / 4, abs=0.15)
    np.testing.assert_array_equal(found[:, :20], found[:, 20:40])


# --- in a report ---


def test_a_reader_that_retells_whatever_is_asked_is_marked(retold):
    named = by_name(retold)
    for name in ("summary", "pitch", "summary, between", "similarities"):
        own = named[name].system("reader").estimates
        assert own[ALIKE].value == 1 and own[TASK_ACCURACY].value == pytest.approx(1 / 2)
        wanted = "THE TASK IS NOT FOLLOWED: 100% of the answers are nearly those to another task about the same point."
        assert wanted in named[name].flags
    rows = task_rows(retold)
    marked = {row.task for row in rows if TASK_NOT_FOLLOWED in row.marks}
    assert marked == {"summary", "pitch", "similarities", "interpolation"}
    lines = list(task_lines(retold))
    assert sum(line.startswith(f"  {TASK_NOT_FOLLOWED}: ") for line in lines) == 1
    assert "0.50/0.50" in "\n".join(lines) and max(map(len, lines)) <= 120


def test_a_reader_that_says_what_was_asked_follows_the_task(followed):
    named = by_name(followed)
    for name in ("summary", "pitch", "summary, between", "similarities"):
        own = named[name].system("reader").estimates
        assert own[ALIKE].value == 0 and own[TASK_ACCURACY].value == 1
        assert named[name].system("nearest_text").estimates[ALIKE].value == 1
        assert TASK_ACCURACY in named[name].system("lm_truth").estimates
        assert TASK_ACCURACY not in named[name].system("mean").estimates
        assert ALIKE not in named[name].system("swapped").estimates
    assert not any(TASK_NOT_FOLLOWED in row.marks for row in task_rows(followed))
    words = {measure.key: measure.what for measure in named["summary"].measures}
    assert "Chance is 0.500." in words[TASK_ACCURACY] and "another of the 2 tasks" in words[ALIKE]


def test_a_task_that_is_told_apart_by_chance_alone_is_marked(retold, followed):
    rows = {(row.task, row.points): row for row in task_rows(retold)}
    assert (
        TASK_NOT_SHOWN in rows["summary", "items"].marks and TASK_NOT_SHOWN in rows["pitch", "between"].marks
    )
    assert TASK_NOT_SHOWN not in rows["user_profile", "people"].marks
    assert sum(line.startswith(f"  {TASK_NOT_SHOWN}: ") for line in task_lines(retold)) <= 1
    assert any(line.startswith(f"{TASK_NOT_SHOWN}: ") for line in map(str.strip, task_lines(retold)))
    assert not any(TASK_NOT_SHOWN in row.marks for row in task_rows(followed))


@pytest.mark.parametrize(("low", "flagged"), [(0.2, True), (0.25, True), (0.26, False)])
def test_told_apart_is_at_chance_where_its_interval_includes_chance(low, flagged):
    told = {TASK_ACCURACY: Estimate(0.3, low, 0.4)}
    system = System(key=READER, name="the reader", what="", estimates=told)
    flags = flags_of([system], count=50, trained_on=False, known_texts=0, second=True, num_tasks=4)
    assert [flag.startswith(TASK_NOT_EVIDENT) for flag in flags] == [True] * flagged
    assert not flagged or "picked 30% [" in flags[0] and "more than chance, 25%." in flags[0]


def test_tasks_about_other_points_are_not_held_against_each_other(followed):
    named = by_name(followed)
    for name in ("why_like_neighbour", "user_profile"):
        keys = {measure.key for measure in named[name].measures}
        assert not keys & {ALIKE, TASK_ACCURACY}
    row = next(row for row in task_rows(followed) if row.task == "user_profile")
    assert row.alike is None and row.task_accuracy == (None, None)


def test_it_needs_no_more_answers(followed):
    engine = Counted(Still())
    evaluate(models(engine), cases("summary", "pitch").cases, SHORT)
    assert len(engine.calls) == 2


def test_the_table_and_the_page_show_both_beside_the_untouched_model(followed, retold):
    heads = task_heads(followed)
    row = next(row for row in task_rows(followed) if (row.task, row.points) == ("summary", "items"))
    shown = dict(zip(heads, cells(row), strict=True))
    truth = by_name(followed)["summary"].system("lm_truth").estimates[TASK_ACCURACY]
    assert shown["task accuracy, the reader"] == "1.000 [1.000, 1.000]"
    assert shown["task accuracy, base model, true text"] == f"{truth.value:.3f}"
    assert shown["alike"] == "0.000"
    assert "marked TASK NOT FOLLOWED" in render_page(report_of(followed))
    assert "THE TASK IS NOT FOLLOWED: 100%" in render_page(report_of(retold))


def before(one):
    """The set as it was written before tasks were held against each other."""
    new = {ALIKE, TASK_ACCURACY}

    def old(known):
        return {key: value for key, value in known.items() if key not in new}

    return dataclasses.replace(
        one,
        flags=tuple(flag for flag in one.flags if not flag.startswith((NOT_FOLLOWED, TASK_NOT_EVIDENT))),
        measures=tuple(measure for measure in one.measures if measure.key not in new),
        systems=tuple(dataclasses.replace(made, estimates=old(made.estimates)) for made in one.systems),
        entities=tuple(
            dataclasses.replace(entity, values={key: old(of) for key, of in entity.values.items()})
            for entity in one.entities
        ),
    )


def test_reports_made_before_open_show_and_compare(retold, tmp_path):
    write_report(tmp_path / "old.json", report_of([before(one) for one in retold]))
    old, new = read_report(tmp_path / "old.json"), report_of(retold)
    lines = list(task_lines(old.sets))
    assert not any("Told apart" in line for line in lines)
    assert cells(task_rows(old.sets)[0])[-4:-1] == ["–"] * 3
    assert "TASK NOT FOLLOWED" not in render_page(old)
    for pair in ((old, new), (new, old), (old, old)):
        found = compare(*pair)
        assert found.warnings == () and len(found.sets) == len(retold)
        assert not any(
            change.measure in (ALIKE, TASK_ACCURACY) for one in found.sets for change in one.changes
        )


def test_a_new_report_and_its_summary_are_written_and_read(retold, tmp_path):
    write_report(tmp_path / "r.json", report_of(retold))
    assert read_report(tmp_path / "r.json") == report_of(retold)
    write_json(tmp_path / "s.json", without_texts(report_of(retold)))
    assert task_rows(read_summary(tmp_path / "s.json").sets) == task_rows(retold)


def test_among_more_tasks_it_is_not_the_same_measure(retold):
    more = evaluate(models(), cases("summary", "pitch", "improve", points=("items",)).cases, SHORT)
    found = compare(report_of(retold), report_of(more))
    keys = {measure.key for measure in found.sets[0].measures}
    assert "sc" in keys and not keys & {ALIKE, TASK_ACCURACY}
    assert any("not the same measure" in warning and "task accuracy" in warning for warning in found.warnings)
    same = compare(report_of(retold), report_of(retold))
    assert {ALIKE, TASK_ACCURACY} <= {measure.key for measure in same.sets[0].measures}


def test_an_untouched_model_that_only_retells_is_told_apart_by_chance(followed):
    assert isinstance(models().engines["base"], Retelling)
    truth = by_name(followed)["summary"].system("lm_truth").estimates
    assert truth[ALIKE].value == 1 and truth[TASK_ACCURACY].value == pytest.approx(1 / 2)
