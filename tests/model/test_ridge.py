"""Ridge: the sums do not depend on the blocks, and the map is scikit-learn's."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import RidgeCV

from vecspeak.model import alignment as ridge
from vecspeak.model.alignment import Ridge, Rows, Sums, unit

PENALTIES = 10.0 ** np.arange(-1, 6.5, 0.5)


def data(items=300, dim=8, width=5, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((items, dim)) * 3 + 2
    targets = inputs @ rng.standard_normal((dim, width)) + noise * rng.standard_normal((items, width)) - 7
    return inputs.astype(np.float32), targets.astype(np.float32)


def rows_of(inputs, targets, **options):
    return Rows(inputs=inputs, targets=targets, **options)


@pytest.mark.parametrize(("items", "dim"), [(300, 8), (40, 60), (60, 60), (61, 60)])
@pytest.mark.parametrize("noise", [0.1, 30.0, 1000.0])
def test_penalty_error_and_weights_are_those_of_scikit_learn(items, dim, noise):
    inputs, targets = data(items, dim, noise=noise)
    made = Ridge(rows_of(inputs, targets))
    standard = (inputs - made.sums.center) / made.sums.spread
    theirs = RidgeCV(alphas=PENALTIES, scoring=None).fit(standard, targets.astype(np.float64))
    errors = made.leave_one_out(PENALTIES)
    assert PENALTIES[errors.argmin()] == theirs.alpha_
    assert errors.min() == pytest.approx(-theirs.best_score_, rel=1e-6)
    scale = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(made.weights(theirs.alpha_), theirs.coef_.T, atol=1e-7 * scale)
    np.testing.assert_allclose(made.sums.offset, theirs.intercept_, rtol=1e-6)


def test_a_leave_one_out_error_is_that_of_fitting_without_the_row():
    inputs, targets = data(items=25, dim=4, width=2)
    made, errors = Ridge(rows_of(inputs, targets)), []
    standard = ((inputs - made.sums.center) / made.sums.spread).astype(np.float64)
    for row in range(25):
        kept = np.arange(25) != row
        center, mean = standard[kept].mean(0), targets[kept].mean(0, dtype=np.float64)
        left = standard[kept] - center
        weights = np.linalg.solve(left.T @ left + 10 * np.eye(4), left.T @ (targets[kept] - mean))
        errors.append(((standard[row] - center) @ weights + mean - targets[row]) ** 2)
    assert made.leave_one_out(np.array([10.0]))[0] == pytest.approx(np.mean(errors), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(block_bytes=st.integers(1, 40_000), chosen=st.booleans(), use_unit=st.booleans())
def test_sums_and_errors_do_not_depend_on_the_blocks(block_bytes, chosen, use_unit):
    inputs, targets = data()
    some = np.arange(0, 300, 2) if chosen else None
    rows = rows_of(inputs, targets, selected_rows=some, prepare=unit if use_unit else np.asarray)
    whole = Ridge(rows)
    expected = whole.leave_one_out(PENALTIES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ridge, "BLOCK_BYTES", block_bytes)
        made = Ridge(rows)
        np.testing.assert_allclose(made.sums.gram, whole.sums.gram, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(made.sums.cross, whole.sums.cross, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(made.leave_one_out(PENALTIES), expected, rtol=1e-9)


def test_chosen_rows_are_the_rows_alone():
    inputs, targets = data()
    some = np.arange(7, 300, 3)
    chosen, alone = (
        Ridge(rows_of(inputs, targets, selected_rows=some)),
        Ridge(rows_of(inputs[some], targets[some])),
    )
    np.testing.assert_array_equal(chosen.weights(1.0), alone.weights(1.0))


def test_far_means_do_not_cancel_the_deviations():
    inputs, targets = data()
    near, far = (Sums.from_rows(rows_of(inputs.astype(np.float64) + shift, targets)) for shift in (0, 1e6))
    np.testing.assert_allclose(far.gram, near.gram, rtol=1e-6, atol=1e-4)


def test_a_sample_of_many_rows_chooses_as_well_and_the_weights_are_of_all(monkeypatch):
    inputs, targets = data(items=4000, noise=100.0)
    every = Ridge(rows_of(inputs, targets))
    errors, weights = every.leave_one_out(PENALTIES), every.weights(100.0)
    monkeypatch.setattr(ridge, "LOO_ROWS", 1000)
    sampled = Ridge(rows_of(inputs, targets))
    assert errors[sampled.leave_one_out(PENALTIES).argmin()] < 1.001 * errors.min()
    np.testing.assert_array_equal(sampled.weights(100.0), weights)


def test_memory_does_not_grow_with_the_rows(monkeypatch):
    monkeypatch.setattr(ridge, "BLOCK_BYTES", 1 << 18)
    monkeypatch.setattr(ridge, "LOO_ROWS", 1000)
    inputs, targets = data(items=40_000, dim=16, width=16)
    tracemalloc.start()
    try:
        Ridge(rows_of(inputs, targets)).leave_one_out(PENALTIES)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * ridge.BLOCK_BYTES < inputs.nbytes
