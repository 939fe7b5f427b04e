"""Premerging: the numbers of peft's own way, under the same names."""

import copy

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from tiny_models import FAMILIES, tiny_model
from vecspeak.training.lora import (
    MergedLoraLinear,
    StochasticRounding,
    attach_lora,
    undo_merged_lora,
    use_merged_lora,
)
from vecspeak.training.recipe import Lora

IDS = torch.tensor([[5, 6, 7, 8, 9], [9, 4, 3, 8, 2]])
TARGETS = ("q_proj", "k_proj", "o_proj", "down_proj")


def moved_lora(family="llama"):
    """A model with a low-rank change that changes something, and a copy of it, merged."""
    plain = tiny_model(family)
    attach_lora(plain, Lora(rank=2, alpha=3, targets=TARGETS))
    generator = torch.Generator().manual_seed(0)
    for name, parameter in plain.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.3, generator=generator)
    merged = copy.deepcopy(plain)
    use_merged_lora(merged)
    return plain, merged


def enable_lora(model, enabled):
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.enable_adapters(enabled)


def loss_and_gradients(model):
    loss = model(IDS, labels=IDS).loss
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return loss.item(), dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_losses_and_gradients_are_those_of_two_products_and_a_sum(family):
    plain, merged = moved_lora(family)
    loss, wanted = loss_and_gradients(plain)
    assert sum(isinstance(module, MergedLoraLinear) for module in merged.modules()) > 3
    found = loss_and_gradients(merged)
    assert found[0] == pytest.approx(loss, rel=1e-5)
    assert found[1].keys() == wanted.keys() and len(wanted) > 6
    for name, gradient in wanted.items():
        assert torch.allclose(found[1][name], gradient, rtol=1e-3, atol=1e-5), name


def test_the_low_rank_change_is_there_and_can_be_taken_away():
    plain, merged = moved_lora()
    bare = tiny_model()
    with torch.no_grad():
        assert not torch.allclose(merged(IDS).logits, bare(IDS).logits, atol=1e-2)
        enable_lora(merged, False)
        assert torch.equal(merged(IDS).logits, bare(IDS).logits)
        enable_lora(merged, True)
        assert torch.allclose(merged(IDS).logits, plain(IDS).logits, atol=1e-4)
        undo_merged_lora(merged)
        assert torch.equal(merged(IDS).logits, plain(IDS).logits)


def test_what_is_saved_has_the_same_names_and_merges_to_the_same_weights():
    plain, merged = moved_lora()
    assert merged.state_dict().keys() == plain.state_dict().keys()
    layers = [[m for m in model.modules() if hasattr(m, "get_delta_weight")] for model in (plain, merged)]
    for one, other in zip(*layers, strict=True):
        assert torch.equal(one.get_delta_weight("default"), other.get_delta_weight("default"))
    layers[1][0].merge()
    with torch.no_grad():
        assert torch.allclose(merged(IDS).logits, plain(IDS).logits, atol=1e-4)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("more", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}])
def test_a_change_that_is_more_than_two_matrices_stays_as_it_is(more):
    from peft import LoraConfig, get_peft_model

    model = tiny_model()
    get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], **more))
    use_merged_lora(model)
    assert not any(isinstance(module, MergedLoraLinear) for module in model.modules())


def some_weight():
    return torch.randn(192, 576, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)


def test_what_bfloat16_holds_stays_as_it_is():
    weight = torch.cat([some_weight().flatten(), torch.tensor([0.0, -0.0, 1e30, -3e-30]).bfloat16()])
    assert torch.equal(StochasticRounding.apply(weight.float()[None])[0], weight)


@pytest.mark.parametrize("change", [1e-5, -1e-5, 3e-4, -3e-4, 0.02])
def test_a_change_too_small_for_one_place_moves_its_share_of_places(change):
    weight = some_weight().float()
    made = StochasticRounding.apply(weight + change)
    assert made.dtype == torch.bfloat16
    assert (made.float() - weight).mean().item() == pytest.approx(change, rel=0.15)
    if abs(change) < 1e-4:  # to the nearest, nearly all of it is lost
        assert abs(((weight + change).bfloat16().float() - weight).mean().item()) < abs(change) / 50


def test_every_place_goes_to_one_of_its_two_neighbours():
    exact = torch.randn(64, 64, generator=torch.Generator().manual_seed(1))
    made = StochasticRounding.apply(exact).float()
    step = 2.0 ** (exact.abs().log2().floor() - 7)  # bfloat16 has seven bits behind the first
    assert ((made - exact).abs() < step).all()
    assert 0.4 < (made > exact).float().mean() < 0.6


def test_gradients_pass_a_rounding_as_they_are():
    exact = torch.randn(3, 5, requires_grad=True)
    StochasticRounding.apply(exact).backward(torch.full((3, 5), 0.5, dtype=torch.bfloat16))
    assert exact.grad.dtype == torch.float32 and (exact.grad == 0.5).all()


def test_in_bfloat16_answers_and_gradients_are_those_of_float32_to_its_precision():
    plain, merged = (model.to(torch.bfloat16) for model in moved_lora())
    (loss, wanted), (ours, found) = (loss_and_gradients(model) for model in (plain, merged))
    assert ours == pytest.approx(loss, rel=2e-2)
    for name, gradient in wanted.items():
        pair = gradient.float().flatten(), found[name].float().flatten()
        assert torch.nn.functional.cosine_similarity(*pair, dim=0) > 0.97, name
