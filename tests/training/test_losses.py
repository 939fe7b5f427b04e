"""Losses: each row's is its own, whatever it is batched with, and the swap gap is made of the same numbers."""

import numpy as np
import pytest
import torch

from tiny_models import tiny_reader
from vecspeak.model.prompt import PLACEHOLDER
from vecspeak.training import loss as losses
from vecspeak.training.batching import TokenRow, make_row
from vecspeak.training.dataset import Example
from vecspeak.training.loss import others, row_losses, swapped_losses

QUESTIONS = ("Describe {x}.", "Compare {x} with {y}.", "{x}{y} and {x}", "Describe a movie.")
TARGETS = ("A shark.", "Two old friends rob a bank and run.", "", "A ghost train.", "A horse laughs. " * 5)


@pytest.fixture(scope="module")
def reader():
    return tiny_reader()


@pytest.fixture(scope="module")
def given(reader):
    """Twenty rows of many lengths, of no, one, two and three slots, and what stands in their slots."""
    rng = np.random.default_rng(0)
    rows, vectors = [], []
    for index in range(20):
        question = QUESTIONS[index % 4]
        example = Example(task="t", question=question, rows=(), target=TARGETS[index % 5])
        rows.append(make_row(example, reader, 128))
        vectors.append(rng.normal(size=(question.count("{"), 6)).astype(np.float32))
    return rows, vectors


@torch.no_grad()
def by_hand(reader, row, vectors):
    """One row alone: embeddings laid side by side, whole logits, the negative logarithm of each answer token."""
    soft = reader.adapter(torch.from_numpy(vectors)).reshape(-1, 32)
    slots, embeds = iter(soft), []
    for token in row.ids.tolist():
        embeds.append(next(slots) if token == PLACEHOLDER else reader.embedding(torch.tensor(token)))
    logits = reader.language_model(inputs_embeds=torch.stack(embeds)[None]).logits[0].double()
    places = range(row.num_prompt, len(row.ids))
    return -sum(logits[place - 1].log_softmax(-1)[row.ids[place]].item() for place in places)


def test_every_row_has_the_loss_that_it_has_alone_by_hand(reader, given):
    rows, vectors = given
    sums, counts = row_losses(reader, rows, vectors)
    expected = [by_hand(reader, row, own) for row, own in zip(rows, vectors, strict=True)]
    np.testing.assert_allclose(sums, expected, rtol=1e-4)
    assert counts.tolist() == [len(row.ids) - row.num_prompt for row in rows]


def test_neither_order_nor_batching_changes_a_loss(reader, given, monkeypatch):
    rows, vectors = given
    sums, counts = row_losses(reader, rows, vectors)
    order = np.random.default_rng(1).permutation(len(rows))
    for limit in (1, 150, 700):
        monkeypatch.setattr(losses, "_MAX_TOKENS", limit)
        found = row_losses(reader, [rows[i] for i in order], [vectors[i] for i in order])
        np.testing.assert_allclose(found[0], sums[order], rtol=1e-4)
        np.testing.assert_array_equal(found[1], counts[order])


@pytest.mark.parametrize(("limit", "fewest"), [(1, 20), (300, 4), (10**9, 1)])
def test_batches_hold_every_row_once_within_the_limit_padding_included(
    reader, given, monkeypatch, limit, fewest
):
    rows, vectors = given
    made, original = [], losses.collate

    def collate(of, pad_id):
        made.append([len(row.ids) for row in of])
        return original(of, pad_id)

    monkeypatch.setattr(losses, "collate", collate)
    monkeypatch.setattr(losses, "_MAX_TOKENS", limit)
    row_losses(reader, rows, vectors)
    assert sorted(length for batch in made for length in batch) == sorted(len(row.ids) for row in rows)
    assert all(len(batch) == 1 or len(batch) * max(batch) <= limit for batch in made)
    assert len(made) >= fewest and (limit < 10**9 or len(made) == 1)


def test_another_vector_in_one_slot_changes_that_rows_loss_alone(reader, given):
    rows, vectors = given
    before, _ = row_losses(reader, rows, vectors)
    others = [own.copy() for own in vectors]
    others[5][1] += 2.0
    after, _ = row_losses(reader, rows, others)
    changed = np.abs(after - before) > 1e-3 * before
    assert changed.nonzero()[0].tolist() == [5]


def test_vectors_of_other_types_are_taken_as_float32(reader, given):
    rows, vectors = given
    doubled, _ = row_losses(reader, rows, [own.astype(np.float64) for own in vectors])
    np.testing.assert_allclose(doubled, row_losses(reader, rows, vectors)[0], rtol=1e-6)


def test_slots_that_vectors_do_not_fill_are_refused(reader, given):
    rows, vectors = given
    with pytest.raises(ValueError, match="soft token slots"):
        row_losses(reader, rows[:2], [vectors[0], vectors[1][:1]])


def test_an_answer_of_more_tokens_is_less_likely_by_the_tokens_it_has_more(reader, given):
    """The chain rule: the loss of a whole answer is that of its beginning and that of its rest."""
    row, own = given[0][0], given[1][0]
    cut = row.num_prompt + 3
    start = TokenRow(ids=row.ids[:cut], num_prompt=row.num_prompt, rows=())
    rest = TokenRow(ids=row.ids, num_prompt=cut, rows=())
    whole, first, last = row_losses(reader, [row, start, rest], [own] * 3)[0]
    assert whole == pytest.approx(first + last, rel=1e-4)


def test_no_rows_have_no_losses(reader):
    sums, counts = row_losses(reader, [], [])
    assert sums.shape == counts.shape == (0,)


def test_measuring_leaves_no_gradients(reader, given):
    row_losses(reader, *given)
    assert all(parameter.grad is None for parameter in reader.language_model.parameters())


# --- the swap gap ---


@pytest.fixture(scope="module")
def singles(reader):
    examples = [Example(task="t", question=QUESTIONS[0], rows=(), target=target) for target in TARGETS]
    vectors = np.random.default_rng(2).normal(size=(5, 6)).astype(np.float32)
    return [make_row(example, reader, 128) for example in examples], vectors


def test_swapped_losses_give_each_row_the_vector_of_the_one_before(reader, singles):
    rows, vectors = singles
    tokens = sum(len(row.ids) - row.num_prompt for row in rows)
    right = sum(by_hand(reader, row, vectors[i : i + 1]) for i, row in enumerate(rows))
    wrong = sum(by_hand(reader, row, vectors[[i - 1]]) for i, row in enumerate(rows))
    found = swapped_losses(reader, rows, vectors)
    assert (found.right, found.swapped) == pytest.approx((right / tokens, wrong / tokens), rel=1e-4)
    assert abs(found.right - found.swapped) > 1e-3


def test_where_all_vectors_are_one_there_is_no_gap(reader, singles):
    rows, vectors = singles
    found = swapped_losses(reader, rows, np.tile(vectors[0], (5, 1)))
    assert found.right == found.swapped


def test_a_row_is_never_swapped_with_one_about_the_same_vector():
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 1, 2, 0]]
    assert others(vectors).tolist() == [5, 5, 1, 1, 1, 4, 5]
    assert others(np.eye(3)).tolist() == [2, 0, 1]
    assert others(np.ones((3, 2))).tolist() == [2, 0, 1]
