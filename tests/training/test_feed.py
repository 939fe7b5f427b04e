"""Feed: a step's input is the same whoever makes it and whenever, and its places are right."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from packed import VECTORS, a_reader, gradients, packed, padded, some_rows

from tiny_models import tiny_reader
from vecspeak.model.prompt import PLACEHOLDER
from vecspeak.model.reader import IGNORED
from vecspeak.training.batching import PaddedPlan, collate, plan_batches, plan_packs
from vecspeak.training.feed import Feed, add_noise, ahead, fixed_size, inputs_from, step_input
from vecspeak.training.recipe import Noise
from vecspeak.training.step import StepLoss

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def rows():
    return some_rows(tiny_reader(), 40)


def feed_of(rows, *, is_packed):
    plan = plan_packs(rows, 512, 256, 0) if is_packed else PaddedPlan(plan_batches(rows, 300, 0))
    noise = Noise(share=0.5, max_sd=0.1)
    return Feed(rows=rows, vectors=VECTORS, plan=plan, noise=noise, seed=3, pad_id=1, num_soft_tokens=2)


def same(one, other):
    return not apart(one, other)


def apart(one, other):
    """Names of the tensors that differ."""
    names = ("ids_BT", "vectors_SN", "slots_P", "answers_A", "targets_A")
    return [name for name in names if not torch.equal(getattr(one, name), getattr(other, name))]


@pytest.mark.parametrize("is_packed", [True, False])
def test_a_feed_that_starts_later_gives_the_same_steps(rows, is_packed):
    feed = feed_of(rows, is_packed=is_packed)
    whole = list(inputs_from(feed, 0, CPU))
    rest = list(inputs_from(feed_of(rows, is_packed=is_packed), 2, CPU))
    assert len(whole) == len(feed) == len(rest) + 2 > 3
    assert all(same(one, other) for one, other in zip(whole[2:], rest, strict=True))
    assert sum(made.num_rows for made in whole) == len(rows)
    assert sum(made.num_tokens for made in whole) == sum(len(row.ids) for row in rows)


def test_another_process_makes_the_same_steps():
    """In a fresh Python: training forks no process that holds the threads of every library tested so far."""
    here = Path(__file__).parent
    paths = os.pathsep.join(map(str, (here, here.parent)))
    code = (
        "import test_feed; test_feed.check_another_process(test_feed.some_rows(test_feed.tiny_reader(), 40))"
    )
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def check_another_process(rows):
    feed = feed_of(rows, is_packed=True)
    drawn_before = torch.get_rng_state()
    made = list(ahead(feed, 1, pinned=False))
    assert torch.equal(torch.get_rng_state(), drawn_before)
    assert len(made) == len(feed) - 1 > 2
    for step, one in enumerate(made, start=1):
        assert apart(one, feed[step]) == []
        assert torch.equal(one.documents_BT, feed[step].documents_BT)
        assert (one.num_rows, one.num_answers) == (feed[step].num_rows, feed[step].num_answers)


def test_every_step_of_packs_has_the_same_shapes(rows):
    """So that nothing is compiled twice: whatever varies is filled up."""
    feed = feed_of(rows, is_packed=True)
    shapes = set()
    for made in inputs_from(feed, 0, CPU):
        tensors = (made.ids_BT, made.vectors_SN, made.slots_P, made.answers_A, made.targets_A)
        shapes.add(tuple(tensor.shape for tensor in tensors))
        assert made.num_answers == int((made.targets_A != IGNORED).sum())
    assert len(shapes) == 1


def test_slots_and_answers_are_where_their_places_say(rows):
    made = padded(rows[:7])
    flat = made.ids_BT.flatten()
    assert (flat[made.slots_P] == PLACEHOLDER).all() and len(made.slots_P) == (flat == PLACEHOLDER).sum()
    assert torch.equal(flat[made.answers_A + 1], made.targets_A)


def test_what_fills_a_step_up_changes_neither_loss_nor_gradients():
    reader = a_reader("llama", "eager")
    made = packed(some_rows(reader), [[3, 0, 1, 7], [8, 2, 6, 5, 4]])
    filled = fixed_size(made, 30, 512, 2)
    assert len(filled.vectors_SN) == 30 > len(made.vectors_SN)
    plain, full = StepLoss(reader)(made), StepLoss(reader)(filled)
    assert full.item() == pytest.approx(plain.item(), rel=1e-6)
    found = gradients(reader, full)
    for name, gradient in gradients(reader, plain).items():
        assert torch.allclose(found[name], gradient, atol=1e-6, rtol=1e-4), name


def test_more_than_a_plan_allows_and_slots_without_vectors_are_errors(rows):
    made = packed(some_rows(tiny_reader()), [range(9)])
    with pytest.raises(ValueError, match="a step has .* places, its plan allows 2"):
        fixed_size(made, 2, 512, 2)
    batch = collate(rows[:2], 1)
    with pytest.raises(ValueError, match="the rows have 6 soft token slots, the vectors make 4"):
        step_input(batch, VECTORS[:2], 2)


def test_rows_without_any_vector_make_a_step():
    reader = a_reader("llama", "eager")
    rows = [row for row in some_rows(reader, 16) if not row.rows]
    assert torch.isfinite(StepLoss(reader)(fixed_size(packed(rows, [range(len(rows))]), 64, 512, 2)))


def test_noise_falls_on_about_its_share_of_the_vectors_and_the_rest_are_untouched():
    vectors = np.ones((4000, 3), np.float32)
    noisy = add_noise(vectors, Noise(share=0.4, max_sd=0.5), np.random.default_rng(0))
    untouched = (noisy == vectors).all(1)
    assert 0.57 < untouched.mean() < 0.63
    assert np.abs(noisy[~untouched] - 1).std() > 0.1
    assert noisy.dtype == np.float32


def test_no_noise_changes_nothing():
    vectors = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    assert np.array_equal(add_noise(vectors, Noise(), np.random.default_rng(0)), vectors)
