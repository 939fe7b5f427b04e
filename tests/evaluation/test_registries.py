"""The contract of scorers and baselines, for every one that is registered, and the examples of the page."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import point_worlds
import task_worlds
import tastes
import worlds
from task_worlds import ENCODER, TEXTS
from vecspeak.evaluation import baselines, metrics
from vecspeak.evaluation.baselines import BASELINES
from vecspeak.evaluation.cases import space_cases
from vecspeak.evaluation.evaluate import evaluate
from vecspeak.evaluation.metrics import SCORERS, ScoringContext, loss_series, same_points
from vecspeak.evaluation.report import Report, write_table
from vecspeak.model.prompt import vectors_of
from vecspeak.protocols.interpolation import InterpolationConfig, pair_cases
from vecspeak.protocols.slopes import Attribute, SlopeConfig, slope_cases
from vecspeak.protocols.text_judges import train_judges

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-scorer.md"


def context_of(cases, second=ENCODER):
    """Answers and losses of three systems, as if they had been made."""
    count = len(cases)
    texts = {key: [TEXTS[(row * step) % len(TEXTS)] for row in range(count)] for key, step in SYSTEMS.items()}
    losses = {key: loss_series(np.arange(1.0, count + 1), np.full(count, 3)) for key in SYSTEMS}
    (alone,) = same_points([cases], [texts])
    return ScoringContext(cases, ENCODER, second, texts=texts, losses=losses, tasks=alone)


def judges():
    return train_judges(point_worlds.TEXTS, point_worlds.MASKS, point_worlds.HELD_OUT)


def along():
    """Cases along a concept, five amounts an item."""
    world = point_worlds.entry()
    attribute = Attribute(concept=point_worlds.concept(world.space, "ghost"), phrase="ghost", neutral="train")
    config = SlopeConfig(items=8, amounts=(0, 1, 2, 4, 8), random=1)
    return slope_cases(world, attribute, judges(), ENCODER, config)[0]


def halfway():
    """Cases between two items, three shares of the way a pair."""
    has = np.stack(list(point_worlds.MASKS.values()), axis=1)
    pairs = [(0, 4), (8, 12), (16, 20), (24, 28), (32, 36), (40, 44)]
    return pair_cases(
        point_worlds.entry(), "random", pairs, range(1, 199, 4), judges(), has, InterpolationConfig()
    )


def hidden():
    """Cases of people with a part of their ratings hidden."""
    crowd = tastes.crowd()
    return tastes.checker().cases({person: crowd.people[person] for person in tastes.OUT[:6]}, 0)


SYSTEMS = {"reader": 1, "swapped": 2, "mean": 0}
KINDS = {
    "entities": lambda: space_cases(worlds.entry(), worlds.ENCODER),
    "items": lambda: task_worlds.cases("summary", points=("items",)).cases[0],
    "between": lambda: task_worlds.cases("summary", points=("between",)).cases[0],
    "pairs": lambda: task_worlds.cases("similarities").cases[0],
    "people": lambda: task_worlds.cases("user_profile").cases[0],
    "slopes": along,
    "interpolation": halfway,
    "profiles": hidden,
}


@pytest.fixture(scope="module", params=KINDS)
def cases(request):
    return KINDS[request.param]()


def test_a_case_set_names_only_what_is_registered(cases):
    assert set(cases.scorers) <= set(SCORERS) and set(cases.baselines) <= set(BASELINES)


def test_every_scorer_gives_one_finite_number_an_entity_and_describes_it(cases):
    for second in (ENCODER, None):
        context = context_of(cases, second)
        for name in cases.scorers:
            described = {measure.key for measure in SCORERS[name].measures(context)}
            for key, series in context.answers("reader").score(name).items():
                assert key in described, f"{name} does not describe {key}"
                assert series.values.shape == (len(cases.entities),) and np.isfinite(series.values).all(), key
                assert series.weights is None or (series.weights >= 0).all(), key


def test_no_two_scorers_of_a_case_set_have_a_metric_in_common(cases):
    keys = [measure.key for measure in context_of(cases).measures]
    assert len(keys) == len(set(keys)) and all(measure.what for measure in context_of(cases).measures)


def test_scores_do_not_depend_on_what_was_scored_before(cases):
    first, again = context_of(cases).answers("reader"), context_of(cases).answers("reader")
    for name in reversed(cases.scorers):
        again.score(name)
    for key, series in first.scores().items():
        np.testing.assert_array_equal(series.values, again.scores()[key].values)


@pytest.mark.parametrize("key", BASELINES)
def test_every_baseline_has_a_prompt_or_a_text_for_each_case_and_draws_by_the_seed(cases, key):
    baseline = BASELINES[key]
    assert baseline.key == key and baseline.name and baseline.what.endswith(".")
    if key not in cases.baselines:
        return
    if baseline.prompts is not None:
        assert baseline.model in ("reader", "base")
        made, again = baseline.prompts(cases, 3), baseline.prompts(cases, 3)
        assert len(made) in (0, len(cases))
        for one, other in zip(made, again, strict=True):
            assert [p for p in one if isinstance(p, str)] == [p for p in other if isinstance(p, str)]
            assert bool(vectors_of(one)) == (baseline.model == "reader"), "the base model reads no vectors"
            np.testing.assert_array_equal(vectors_of(one), vectors_of(other))
    if baseline.texts is not None:
        assert len(baseline.texts(cases)) in (0, len(cases))


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="a scorer 'repeated' already"):
        metrics.register("repeated", lambda context: [])(lambda answers, cases: {})
    with pytest.raises(ValueError, match="a baseline 'mean' already"):
        baselines.register(BASELINES["mean"])


def test_the_examples_of_the_page_run_and_reach_the_report(monkeypatch, tmp_path):
    monkeypatch.setattr(metrics, "SCORERS", dict(SCORERS))
    monkeypatch.setattr(baselines, "BASELINES", BASELINES)
    known = dict(BASELINES)
    try:
        for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
            exec(compile(code, str(PAGE), "exec"), {})
        given = task_worlds.cases("summary", points=("items",)).cases[0]
        given = dataclasses.replace(
            given, scorers=(*given.scorers, "words"), baselines=(*given.baselines, "zero")
        )
        (found,) = evaluate(task_worlds.models(), [given])
    finally:
        BASELINES.clear()
        BASELINES.update(known)
    words = found.system("reader").estimates["words"]
    assert words.value == np.mean([len(one.answers["reader"].split()) for one in found.entities])
    assert found.system("zero").name == "the zero vector"
    report = Report(bundle="toy", made="2026-01-01T00:00:00+00:00", settings={}, digests={}, sets=(found,))
    write_table(tmp_path / "scores.parquet", report)
    table = pq.read_table(tmp_path / "scores.parquet")
    assert table.equals(report.to_table())
    assert set(table["task"].to_pylist()) == {"summary"} and "words" in table["metric"].to_pylist()


@pytest.mark.parametrize(("left", "gaps"), [("mean", {"gap"}), ("swapped", {"gap_mean"})])
def test_a_gap_is_measured_against_the_controls_that_were_asked(left, gaps):
    context = context_of(KINDS["entities"]())
    context.losses.pop(left)
    found = context.answers("reader").score("loss")
    assert set(found) == {"loss", *gaps}
