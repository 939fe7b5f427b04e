"""What the benchmark of planted things plants and counts: genres are merged for any linear map, shares add up."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from vecspeak.stats import auc


@pytest.fixture(scope="module")
def planting():
    sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
    for module in ("planting.figures", "planting.worlds"):
        importlib.import_module(module)
    yield sys.modules["planting"]
    sys.path.pop(0)


def told(vectors, labels):
    """AUC of the labels by least squares on the other half."""
    order = np.random.default_rng(1).permutation(len(labels))
    fitted, judged = order[::2], order[1::2]
    weights = np.linalg.lstsq(np.c_[vectors, np.ones(len(labels))][fitted], labels[fitted], rcond=None)[0]
    return auc(vectors[judged] @ weights[:-1], labels[judged])


def test_erased_labels_are_told_by_no_linear_map(planting):
    draw = np.random.default_rng(0)
    labels = draw.random(2000) < 0.3
    vectors = draw.normal(size=(2000, 12)) @ draw.normal(size=(12, 12)) + np.outer(
        labels, draw.normal(size=12)
    )
    erased = vectors @ planting.worlds.eraser(vectors, labels)
    assert told(vectors, labels) > 0.7 and abs(told(erased, labels) - 0.5) < 0.06
    assert np.allclose(erased[labels].mean(0), erased[~labels].mean(0), atol=1e-6)
    assert np.linalg.matrix_rank(erased - erased.mean(0), tol=1e-6) == 11  # one direction is gone


def test_a_share_has_the_interval_of_its_seeds(planting):
    share_of = planting.figures.share_of
    assert share_of([10] * 20, [20] * 20)[:1] == [0.5]
    alike, split = share_of([10] * 20, [20] * 20), share_of([20] * 10 + [0] * 10, [20] * 20)
    assert split[2] - split[1] > 3 * (alike[2] - alike[1])  # twenty seeds are not four hundred items
    assert share_of([1] * 20, [1] * 20) == [1.0, 0.8389, 1.0] and share_of([0, 0], [0, 0]) == [0.0, 0.0, 1.0]


def test_the_table_says_what_was_found_and_invented(planting):
    plain = {"hits": 3, "invented": 4}
    rows = [{"planted": 5, "hits": 4, "others": 6, "invented": 2, "plain": plain} for _ in range(2)]
    nothing = [{"planted": 0, "hits": 0, "others": n, "invented": n, "plain": plain} for n in (0, 3)]
    found = planting.figures.table({
        "a": planting.figures.summed(rows),
        "b": planting.figures.summed(nothing),
    })  # fmt: skip
    assert "| a | 2 | 80% [49%, 94%] of 10 | 4 of 12 | 6 of 10, invents 8 |" in found
    assert "| b | 2 | – | 3 findings, in 1 of 2 seeds |" in found
