"""A wrong value of an option is refused with its name and what is allowed, before any model is opened."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from test_people_noticed import people, vs  # noqa: F401  # fixtures
from vecspeak import UserError, VecSpeak
from vecspeak.engines import Sampling
from vecspeak.errors import check_number, check_one_of, check_text, check_whole


def test_a_whole_number_is_taken_from_numpy_too_and_nothing_else_is():
    assert check_whole("count", np.int64(5), 1) == 5 and type(check_whole("count", np.int64(5), 1)) is int
    for wrong in (0, 2.5, True, None, "4", np.float64(2.5), [3]):
        with pytest.raises(UserError, match="`count` is a whole number of 1 or more, got"):
            check_whole("count", wrong, 1)
    for wrong in ("hot", None, float("nan"), 6, True):
        with pytest.raises(UserError, match="`temperature` is a number from 0 to 5, got"):
            check_number("temperature", wrong, 0, 5)
    with pytest.raises(UserError, match="did you mean 'items'"):
        check_one_of("points", "item", ("items", "both"))
    with pytest.raises(UserError, match="`question` has 5 characters, and 4 are allowed"):
        check_text("question", "abcde", 4)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("best_of", value) for value in (0, -2, 1.5)),
        *(("max_new_tokens", value) for value in (8.5, 0, "8")),
        *(("seed", value) for value in (None, 1.5, -1)),
        ("temperature", "hot"),
        ("at", ["Thing 3"]),
    ],
)
def test_asking(vs, name, wrong):  # noqa: F811
    with pytest.raises(UserError, match=f"`{name}`"):
        vs.ask("Describe {x}.", **{"x": "Thing 3", "space": "things", name: wrong})


@pytest.mark.parametrize("question", [5, None, "Describe {x}. " * 1000])
def test_a_question_is_a_text_of_a_length(vs, question):  # noqa: F811
    with pytest.raises(UserError, match="`question`"):
        vs.ask(question, x="Thing 3", space="things")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("count", 0),
        ("count", -3),
        ("count", 2.5),
        ("seed", -1),
        ("best_of", 0),
        ("baselines", []),
        ("scorers", []),
    ],
)
def test_evaluating(vs, name, wrong):  # noqa: F811
    with pytest.raises(UserError, match=f"`{name}`"):
        vs.evaluate(space="things", split="train", **{name: wrong})


@pytest.mark.parametrize(
    ("name", "wrong"), [("count", -1), ("points", "foo"), ("wording", "foo"), ("seed", 1.5)]
)
def test_evaluating_tasks(vs, name, wrong):  # noqa: F811
    with pytest.raises(UserError, match=f"`{name}`"):
        vs.evaluate_tasks(space="things", **{name: wrong})


def test_teaching_and_recipes(vs, tmp_path):  # noqa: F811
    for name, wrong in (("count", -1), ("count", 1.5), ("seed", -1), ("teacher", None)):
        with pytest.raises(UserError, match=f"`{name}`"):
            vs.teach(tmp_path / "t", space="things", **{name: wrong})
    with pytest.raises(UserError, match="`recipe`"):
        vs.evaluate_recipe(5, tmp_path)
    with pytest.raises(UserError, match="`seed`"):
        Sampling(seed=-1)
    for name, wrong in (
        ("repetition_penalty", 0.5),
        ("repetition_penalty", "1"),
        ("no_repeat_ngram_size", -1),
    ):
        with pytest.raises(UserError, match=f"`{name}`"):
            Sampling(**{name: wrong})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("users", value) for value in (np.zeros((3, 12)), "users.parquet")),
        *(("holdout", value) for value in (None, (one for one in "ab"), np.array(0.1), True)),
        *(("holdout_regions", value) for value in (2.5, -1)),
        ("seed", -1),
    ],
)
def test_fitting(vs, name, wrong):  # noqa: F811
    with pytest.raises(UserError, match=f"`{name}`"):
        vs.fit(vs.spaces["things"], **{name: wrong})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("fold_in", 5),
        ("holdout", [["3"]]),
        ("holdout", [3]),
        ("holdout_cold", "3"),
        ("seed", 2**40),
    ],
)
def test_fitting_with_things_of_another_kind(vs, name, wrong):  # noqa: F811
    with pytest.raises(UserError, match=f"`{name}`"):
        vs.fit(vs.spaces["things"], **{name: wrong})


FIT = {"method": "mean", "force": True, "space": "things"}


@pytest.mark.parametrize(
    "kind",
    [
        np.array,
        pd.Series,
        pd.Index,
        pl.Series,
        pa.array,
        tuple,
        iter,
        lambda one: pd.Series(one, range(50, 62)),
    ],
)
def test_a_concept_takes_its_items_from_any_list_of_labels(vs, kind):  # noqa: F811
    labels = list(vs.spaces["things"].labels)
    wanted = vs.concept("a", positives=labels[:12], negatives=labels[20:32], **FIT)
    found = vs.concept("a", positives=kind(labels[:12]), negatives=kind(labels[20:32]), **FIT)
    assert np.array_equal(found.direction, wanted.direction)


def test_a_concept_takes_its_pairs_from_rows_arrays_and_frames(vs):  # noqa: F811
    labels, rng = vs.spaces["things"].labels, np.random.default_rng(0)
    rows = [(labels[a], labels[b]) for a, b in rng.integers(0, 120, (60, 2)) if a != b]
    frame = pd.DataFrame(rows, columns=["more", "less"])
    wanted = vs.concept("p", pairs=rows, space="things", force=True)
    for given in (np.array(rows), frame, pl.from_pandas(frame), pa.Table.from_pandas(frame), iter(rows)):
        found = vs.concept("p", pairs=given, space="things", force=True)
        assert np.array_equal(found.direction, wanted.direction) and found.raters == 0
    rated = [(*pair, f"rater {row % 2}") for row, pair in enumerate(rows)]
    for given in (rated, pd.DataFrame(rated, columns=["more", "less", "rater"])):
        assert vs.concept("p", pairs=given, space="things", force=True).raters == 2
    for wrong in (
        5,
        [("a",)],
        [(1, 2, 3, 4)],
        ["ab", "cd"],
        frame.rename(columns={"more": "most"}),
        [(1, None)],
    ):
        with pytest.raises(UserError, match="`pairs`"):
            vs.concept("p", pairs=wrong, space="things", force=True)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("positives", value) for value in (5, "Thing 1", [2.5], [["Thing 1"]], np.zeros((2, 2)))),
        *((name, value) for name in ("text", "where") for value in (5, ["x"])),
        *((name, 5) for name in ("against", "check")),
        *(("seed", value) for value in (-1, 1.5, None)),
        ("method", "best"),
    ],
)
def test_what_a_concept_is_not_fitted_from(vs, name, wrong):  # noqa: F811
    source = {} if name in ("positives", "text", "where") else {"text": "ghost"}
    source = {"positives": ["Thing 1"]} if name == "method" else source
    with pytest.raises(UserError, match=f"`{name}`"):
        vs.concept("a", space="things", **{**source, name: wrong})


def test_concepts_are_added_and_named(vs):  # noqa: F811
    labels = list(vs.spaces["things"].labels)
    concept = vs.concept("a", positives=labels[:12], **FIT)
    for given in (concept, [concept], iter([concept]), vs.concepts("things"), vs.concepts("things").values()):
        vs.add_concepts(given, space="things")
    for wrong in (5, None, "a", ["a"]):
        with pytest.raises(UserError, match="a concept is added as itself"):
            vs.add_concepts(wrong, space="things")
    for call in (vs.concept, vs.remove_concept, vs.concept_extremes):
        for wrong in (None, 5, ["a"]):
            with pytest.raises(UserError, match="`name` is a text"):
                call(wrong, space="things")
    with pytest.raises(UserError, match="`count`"):
        vs.concept_extremes("a", -1, space="things")
    with pytest.raises(UserError, match="`space`"):
        vs.concepts(["things"])


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("steps", value) for value in (5, ["a"], None, [[1]])),
        *(("controls", value) for value in (-1, 1.5, "1")),
        *(("seed", value) for value in (-1, None)),
        ("question", 5),
    ],
)
def test_tracing(vs, name, wrong):  # noqa: F811
    vs.concept("a", positives=list(vs.spaces["things"].labels[:12]), **FIT)
    with pytest.raises(UserError, match=f"`{name}`"):
        vs.trace("Thing 50", "a", space="things", **{name: wrong})


def test_a_trace_goes_along_one_concept(vs):  # noqa: F811
    concept = vs.concept("a", positives=list(vs.spaces["things"].labels[:12]), **FIT)
    for wrong in (2 * concept, -concept, 5, None, ["a"]):
        with pytest.raises(UserError, match="`concept`"):
            vs.trace("Thing 50", wrong, space="things")
    assert len(vs.trace("Thing 50", concept, steps=np.array([-1, 1]), space="things").path.steps) == 2


def test_regions(vs):  # noqa: F811
    cut = {"space": "things", "reader": False, "method": "kmeans"}
    for name, wrong in (
        ("seed", -1),
        ("seed", None),
        ("n_regions", 2.5),
        ("n_regions", "4"),
        ("question", 5),
    ):
        with pytest.raises(UserError, match=f"`{name}`"):
            vs.atlas(**{**cut, name: wrong})
    vs.atlas(**cut, n_regions=np.int64(4))
    for name, wrong in (
        *(("cluster", value) for value in ("0", 1.5, True)),
        *(("where", value) for value in (5, ["a"])),
        ("ids", 5),
    ):
        with pytest.raises(UserError, match=f"`{name}`"):
            vs.describe(space="things", reader=False, **{name: wrong})
    assert vs.describe(space="things", reader=False, ids=pd.Series(["t1", "t2"])).num_items == 2
    for name, wrong in (("seed", -1), ("question", 5)):
        with pytest.raises(UserError, match=f"`{name}`"):
            vs.diff("Thing 1", "Thing 2", space="things", reader=False, **{name: wrong})
    things = vs.spaces["things"]
    for name, wrong in (("regions", 2.5), ("count", -1), ("seed", -1)):
        with pytest.raises(UserError, match=f"`{name}`"):
            vs.drift(things, things, **{name: wrong})


@pytest.mark.parametrize(
    "wrong", [None, 1, [], np.zeros(16), "pcs", {"a": "b"}, {"a": np.zeros(3)}, {5: [1.0]}]
)
def test_axes_are_kinds_or_directions(vs, wrong):  # noqa: F811
    with pytest.raises(UserError, match="`of`"):
        vs.axes(wrong, space="things")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("kinds", "text"),
        ("kinds", ["text"]),
        ("kinds", []),
        ("columns", 5),
        ("encoder", "words"),
        ("encoder", 1),
        ("seed", 0.5),
    ],
)
def test_odd_items_are_of_kinds_and_columns(vs, name, wrong):  # noqa: F811
    with pytest.raises(UserError, match=f"`{name}`"):
        vs.odd(space="things", **{name: wrong})


@pytest.mark.parametrize("wrong", [5, ["things"], np.zeros(16)])
def test_a_space_is_named_by_a_text(vs, wrong):  # noqa: F811
    calls = (
        lambda: vs.why("Thing 1", "Thing 2", space=wrong),
        lambda: vs.axes("coordinates", space=wrong),
        lambda: vs.odd(space=wrong),
        lambda: vs.leaks(space=wrong),
        lambda: vs.query("text: ghost", space=wrong),
    )
    for call in calls:
        with pytest.raises(UserError, match="`space`"):
            call()


@pytest.mark.parametrize("wrong", [5, 10**400, np.zeros(3), ["a"]])
def test_what_is_no_path(vs, wrong, tmp_path):  # noqa: F811
    things = vs.spaces["things"]
    for name in ("base", "encoder"):
        with pytest.raises(UserError, match=f"`{name}`"):
            VecSpeak.load(vs.folder or vs.bundle.folder, **{name: wrong})
    with pytest.raises(UserError, match="`folder`"):
        VecSpeak.check(wrong)
    with pytest.raises(UserError, match="`path`"):
        VecSpeak.canary(things, wrong)
    for call in (
        lambda: VecSpeak.compare(wrong, things),
        lambda: VecSpeak.canary(wrong, tmp_path / "c.json"),
    ):
        with pytest.raises(UserError, match=r"path|space"):
            call()
