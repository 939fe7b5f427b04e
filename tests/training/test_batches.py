"""Batches: labels on the answer alone, each row once, never too many tokens."""

import numpy as np
import pytest
import torch

from tiny_models import tiny_reader
from vecspeak.model.prompt import PLACEHOLDER
from vecspeak.model.reader import IGNORED
from vecspeak.training.batching import TokenRow, collate, make_row, make_rows, plan_batches
from vecspeak.training.dataset import Example

SHORT = Example(task="describe", question="Sum up {x}.", rows=(3,), target="A boat.")
LONG = Example(
    task="compare", question="Compare {x} with {y}.", rows=(5, 1), target="A shark hunts swimmers."
)


@pytest.fixture(scope="module")
def reader():
    return tiny_reader()


def rows_of(lengths):
    return [TokenRow(ids=np.arange(n, dtype=np.int32), num_prompt=1, rows=(n,)) for n in lengths]


def test_a_row_is_the_prompt_the_answer_and_its_end(reader):
    row = make_row(SHORT, reader, 128)
    text = reader.tokenizer.decode(
        [i if i != PLACEHOLDER else reader.tokenizer.encode("*")[0] for i in row.ids]
    )
    assert text == "<|im_start|>user\nSum up **.<|im_end|>\n<|im_start|>assistant\nA boat.<|im_end|>"
    assert reader.tokenizer.decode(row.ids[row.num_prompt :]) == "A boat.<|im_end|>"


def test_an_answer_that_is_too_long_is_cut_before_its_end(reader):
    row = make_row(LONG, reader, 4)
    assert len(row.ids) == row.num_prompt + 4
    assert reader.stop_ids[0] not in row.ids[row.num_prompt :]


def test_labels_are_on_the_answer_alone(reader):
    short, long = make_rows([SHORT, LONG], reader)
    batch = collate([short, long], 1)
    for index, row in enumerate((short, long)):
        kept = batch.labels_BT[index] != IGNORED
        assert kept.nonzero()[:, 0].tolist() == list(range(row.num_prompt, len(row.ids)))
        assert batch.labels_BT[index][kept].tolist() == row.ids[row.num_prompt :].tolist()


def test_vectors_are_in_reading_order_and_padding_is_not_counted(reader):
    rows = make_rows([LONG, SHORT], reader)
    batch = collate(rows, 1)
    assert batch.rows_S.tolist() == [5, 1, 3]
    assert batch.num_tokens == sum(len(row.ids) for row in rows)
    assert (batch.ids_BT == PLACEHOLDER).sum() == 3 * 2
    assert batch.ids_BT[1, len(rows[1].ids) :].unique().tolist() == [1]


def test_a_row_has_the_same_loss_padded_beside_another_as_alone(reader):
    rows = make_rows([SHORT, LONG], reader)
    vectors = torch.randn(8, 6)
    with torch.no_grad():
        both, alone = collate(rows, 1), collate(rows[:1], 1)
        together, _ = reader.answer_losses(both.ids_BT, both.labels_BT, vectors[both.rows_S])
        single, _ = reader.answer_losses(alone.ids_BT, alone.labels_BT, vectors[alone.rows_S])
    assert together[0].item() == pytest.approx(single.item(), abs=1e-4)


@pytest.mark.parametrize("count", [1, 7, 5000])
def test_a_plan_has_every_row_exactly_once(count):
    lengths = np.random.default_rng(0).integers(5, 60, size=count)
    plan = plan_batches(rows_of(lengths), 300, seed=0)
    assert sorted(index for batch in plan for index in batch) == list(range(count))


def test_no_batch_has_more_tokens_than_the_limit_padding_included():
    lengths = np.random.default_rng(0).integers(5, 60, size=5000)
    plan = plan_batches(rows_of(lengths), 300, seed=0)
    assert max(len(batch) * lengths[batch].max() for batch in plan) <= 300


def test_rows_of_like_length_share_a_batch():
    lengths = np.random.default_rng(0).integers(5, 60, size=5000)
    plan = plan_batches(rows_of(lengths), 300, seed=0)
    padded = sum(len(batch) * lengths[batch].max() for batch in plan)
    assert padded < 1.05 * lengths.sum()


def test_a_row_longer_than_the_limit_is_a_batch_of_its_own():
    assert sorted(plan_batches(rows_of([10, 400, 20]), 300, seed=0)) == [[0, 2], [1]]


def test_a_plan_depends_on_its_seed_alone():
    rows = rows_of(np.random.default_rng(0).integers(5, 60, size=500))
    assert plan_batches(rows, 300, seed=1) == plan_batches(rows, 300, seed=1)
    assert plan_batches(rows, 300, seed=1) != plan_batches(rows, 300, seed=2)
