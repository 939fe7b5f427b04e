"""Packing: every row exactly once, packs nearly full, and places that restart in each row."""

import numpy as np
import pytest
import torch
from packed import packed, some_rows

from tiny_models import tiny_reader
from vecspeak.errors import UserError
from vecspeak.model.prompt import PLACEHOLDER
from vecspeak.model.reader import IGNORED
from vecspeak.training.batching import TokenRow, common_front, first_fit, lay_packs, plan_packs


def rows_of(lengths):
    return [TokenRow(ids=np.arange(n, dtype=np.int32), num_prompt=5, rows=(n,)) for n in lengths]


def lengths_of(count):
    return np.random.default_rng(0).integers(26, 148, size=count)


@pytest.fixture(scope="module")
def rows():
    return some_rows(tiny_reader())


@pytest.mark.parametrize("count", [1, 7, 20_000])
def test_a_plan_has_every_row_exactly_once(count):
    plan = plan_packs(rows_of(lengths_of(count)), 4096, 1024, seed=0)
    assert sorted(i for step in plan.steps for pack in step for i in pack) == list(range(count))
    assert {len(step) for step in plan.steps[:-1]} <= {4}


@pytest.mark.parametrize(("length", "share"), [(4096, 0.99), (2048, 0.985), (512, 0.95)])
def test_packs_are_nearly_full_and_never_over(length, share):
    lengths = lengths_of(16_000)
    plan = plan_packs(rows_of(lengths), length, length, seed=0)
    front = len(plan.front_F)
    used = [front + sum(lengths[i] - front for i in pack) for (pack,) in plan.steps]
    assert max(used) < length
    assert np.mean(used) > share * length


def test_first_fit_puts_each_where_there_is_room_first():
    assert first_fit(np.array([5, 6, 4, 5, 1]), 10) == [[0, 2, 4], [1], [3]]


def test_a_plan_depends_on_its_seed_alone():
    rows = rows_of(lengths_of(500))
    same = [plan_packs(rows, 1024, 512, seed=1).steps for _ in range(2)]
    assert same[0] == same[1] != plan_packs(rows, 1024, 512, seed=2).steps


def test_a_row_that_fits_no_pack_is_refused():
    with pytest.raises(UserError, match="a row of 300 tokens does not fit a pack of 256"):
        plan_packs(rows_of([30, 300]), 256, 256, seed=0)


def test_the_front_ends_before_a_slot_and_before_the_token_that_opens_an_answer(rows):
    def front(*ids, num_prompt=9):
        made = [TokenRow(ids=np.array(row), num_prompt=num_prompt, rows=()) for row in ids]
        return common_front(made).tolist()

    assert front([1, 2, 3, 4, 5], [1, 2, 9, 4, 5]) == [1, 2]
    assert front([1, PLACEHOLDER, 3], [1, PLACEHOLDER, 3]) == [1]
    assert front([1, 2, 3, 4], [1, 2, 3, 4], num_prompt=3) == [1, 2]
    assert front([7, 2], [1, 2]) == []
    opening = tiny_reader().tokenizer.encode("<|im_start|>user\n", add_special_tokens=False)
    assert common_front(rows).tolist()[: len(opening)] == opening


def test_every_row_of_a_pack_reads_as_it_does_alone(rows):
    """Its tokens at its places, its answer's labels, its vectors in order; the front is there once."""
    front = common_front(rows)
    batch = lay_packs([rows[:5], rows[5:], []], front, length=512, pad_id=1)
    for pack, given in enumerate((rows[:5], rows[5:])):
        for number, row in enumerate(given, start=1):
            own = batch.documents_BT[pack] == number
            ids = torch.cat([torch.tensor(front), batch.ids_BT[pack][own]])
            labels = torch.cat([torch.full((len(front),), IGNORED), batch.labels_BT[pack][own]])
            assert ids.tolist() == row.ids.tolist()
            assert batch.positions_BT[pack][own].tolist() == list(range(len(front), len(row.ids)))
            assert labels[row.num_prompt :].tolist() == row.ids[row.num_prompt :].tolist()
            assert set(labels[: row.num_prompt].tolist()) == {IGNORED}
    assert batch.rows_S.tolist() == [r for row in rows for r in row.rows]
    assert (batch.num_rows, batch.num_tokens) == (len(rows), sum(len(row.ids) for row in rows))


def test_rows_stand_in_order_and_the_last_token_of_a_pack_is_padding(rows):
    batch = lay_packs([rows[:5], rows[5:], []], common_front(rows), length=512, pad_id=1)
    assert (batch.documents_BT.diff(dim=1) >= 0).all()
    assert batch.documents_BT[:, -1].tolist() == [6, 5, 1]
    assert (batch.ids_BT[:, -1] == 1).all() and (batch.labels_BT[:, -1] == IGNORED).all()


def test_the_sizes_of_a_plan_hold_for_every_step_of_it():
    reader = tiny_reader()
    rows = some_rows(reader, 60)
    plan = plan_packs(rows, 1024, 512, seed=0)
    batches = [plan.batch(step, rows, 1) for step in range(len(plan))]
    assert {batch.ids_BT.shape for batch in batches} == {(2, 512)}
    assert max(len(batch.rows_S) for batch in batches) <= plan.num_vectors < 128
    assert max(int((batch.labels_BT != IGNORED).sum()) for batch in batches) <= plan.num_answers


def test_places_of_answers_lie_before_their_targets(rows):
    made = packed(rows, [range(9)])
    labels = [t for row in rows for t in row.ids[row.num_prompt :].tolist()]
    assert made.targets_A.tolist() == labels and made.num_answers == len(labels)
