"""A wrong value of an option is refused with its name and what is allowed, before any model is opened."""

import numpy as np
import pytest

from test_people_noticed import people, vs  # noqa: F401  # fixtures
from vecspeak import UserError
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
