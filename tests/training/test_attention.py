"""Attention: rows in packs have the losses and gradients that they have alone, and nothing of their neighbours."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from packed import a_reader, gradients, packed, padded, some_rows
from torch.nn.attention import flex_attention as flex

from tiny_models import FAMILIES, tiny_reader
from vecspeak.errors import UserError
from vecspeak.training.step import BLOCK, StepLoss, block_mask, plain_mask, windows

WAYS = [(family, way) for family in FAMILIES for way in ("eager", "flex")] + [("llama", "sdpa")]


@pytest.fixture(autouse=True)
def flex_backward_on_a_cpu(monkeypatch):
    """torch refuses flex attention's gradients on CPUs; uncompiled, it computes them all the same."""
    monkeypatch.setattr(flex, "_validate_device", lambda *_: None)


def alone(family, rows):
    """Summed loss and its gradients of each row by itself, by transformers' own attention and masks."""
    reader = a_reader(family, "eager")
    return reader, [StepLoss(reader)(padded([row])) * padded([row]).num_answers for row in rows]


@pytest.mark.parametrize(("family", "way"), WAYS)
def test_packed_rows_have_the_losses_and_gradients_of_padded_ones(family, way):
    rows = some_rows(tiny_reader())
    reader, losses = alone(family, rows)
    made = packed(rows, [[3, 0, 1, 7], [8, 2, 6, 5, 4]])
    wanted = torch.stack(losses).sum() / made.num_answers
    ours = a_reader(family, way)
    loss = StepLoss(ours)(made)
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    found, expected = gradients(ours, loss), gradients(reader, wanted)
    for name, gradient in expected.items():
        scale = gradient.abs().max()
        assert scale > 0
        assert torch.allclose(found[name], gradient, atol=2e-5 * float(scale), rtol=1e-3), name


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_both_ways_stay_apart_where_windows_are_shorter_than_rows(family):
    reader = a_reader(family, "eager", window=4)
    rows = some_rows(reader)
    assert min(len(row.ids) for row in rows) > 4
    wanted = StepLoss(reader)(padded(rows)).item()
    assert StepLoss(a_reader(family, "flex", window=4))(packed(rows, [range(9)])).item() == pytest.approx(
        wanted, rel=1e-5
    )


@pytest.mark.parametrize("way", ["eager", "flex"])
def test_changing_one_row_changes_no_other(way):
    """Neither the states of the others nor what their losses say about their own vectors."""
    reader = a_reader("llama", way)
    rows = some_rows(reader)
    made = []
    for neighbour in (1, 4):  # of two lengths, with two vectors and with one
        step = packed(rows, [[0, neighbour, 5]])
        step.vectors_SN.requires_grad_()
        states = StepLoss(reader).states(step)[0]
        own = [states[step.documents_BT[0] == number] for number in (1, 3)]
        gradient = torch.autograd.grad(sum(part[:, :7].square().sum() for part in own), step.vectors_SN)[0]
        made.append((own, gradient[[0, -2, -1]], gradient[1:-2]))
    (first, ours, others), (second, theirs, _) = made
    for one, other in zip(first, second, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert torch.allclose(ours, theirs, atol=1e-5 * float(ours.abs().max())) and ours.abs().sum() > 0
    assert (others == 0).all()


@pytest.mark.parametrize("window", [None, 40, 200])
def test_blocks_that_are_skipped_hold_nothing_and_whole_ones_hold_all(window):
    torch.manual_seed(0)
    lengths = [3, 10, 200, 300, 1, 90, 60, 20, 400, 196]
    documents = torch.cat([torch.full((n,), i, dtype=torch.int32) for i, n in enumerate(lengths)])[None]
    positions = torch.cat([torch.arange(3), *(torch.arange(3, 3 + n) for n in lengths[1:])])[None]
    assert documents.shape[1] == 10 * BLOCK
    sees = plain_mask(documents, positions, window, torch.float32)[0, 0] == 0
    tiles = sees.unflatten(0, (-1, BLOCK)).unflatten(2, (-1, BLOCK)).transpose(1, 2)
    mask = block_mask(documents, positions, window)
    computed, whole = torch.zeros(10, 10, dtype=torch.bool), torch.zeros(10, 10, dtype=torch.bool)
    for query in range(10):
        computed[query, mask.kv_indices[0, 0, query, : mask.kv_num_blocks[0, 0, query]].long()] = True
        whole[query, mask.full_kv_indices[0, 0, query, : mask.full_kv_num_blocks[0, 0, query]].long()] = True
    assert not (computed & whole).any()
    assert not tiles.any(-1).any(-1)[~(computed | whole)].any()
    assert tiles[whole].all()
    if window is None:
        assert torch.equal(computed | whole, tiles.any(-1).any(-1))
        assert whole.any()


def test_flex_and_plain_masks_are_one_rule():
    documents = torch.tensor([[0, 0, 1, 1, 1, 2, 2, 3]]).repeat_interleave(16, dim=1)
    positions = torch.arange(128)[None]
    query, key, value = torch.randn(3, 1, 2, 128, 8).unbind(0)
    plain = F.scaled_dot_product_attention(
        query, key, value, plain_mask(documents, positions, 9, torch.float32)
    )
    ours = flex.flex_attention(query, key, value, block_mask=block_mask(documents, positions, 9))
    assert torch.allclose(ours, plain, atol=1e-5)


def test_what_is_no_pack_is_attended_to_as_before():
    reader = a_reader("llama", "flex")
    rows = some_rows(reader)
    wanted = StepLoss(a_reader("llama", "sdpa"))(padded(rows)).item()
    assert StepLoss(reader)(padded(rows)).item() == pytest.approx(wanted, rel=1e-6)


def test_layers_that_carry_a_state_along_are_refused():
    with pytest.raises(UserError, match="rows cannot be packed for layers of linear_attention"):
        windows(SimpleNamespace(layer_types=["full_attention", "linear_attention"]))
    assert windows(SimpleNamespace(sliding_window=16)) == {"": 16}
    assert windows(tiny_reader("qwen2").language_model.config) == {"": None}
