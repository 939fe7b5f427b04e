"""LoRA: the same numbers as peft's, forward and back, and nothing kept that no gradient needs."""

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from tiny_models import tiny_model
from vecspeak.training.lora import speed_up_lora
from vecspeak.training.recipe import Lora
from vecspeak.training.stages import attach_lora

LORA = Lora(rank=4, alpha=12, targets=("q_proj", "o_proj", "down_proj"))
IDS = torch.tensor([[5, 40, 7, 9, 200, 31, 8], [6, 1, 90, 3, 12, 250, 44]])


def a_model(fast, family="llama"):
    model = tiny_model(family)
    attach_lora(model, LORA)
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    if fast:
        assert speed_up_lora(model) == 6
    return model


def outcome(model, *, trains=True):
    """Loss and gradients of the input embeddings and of every LoRA weight."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trains and "lora_" in name)
    embeds = model.get_input_embeddings()(IDS).detach().requires_grad_()
    loss = model(inputs_embeds=embeds, labels=IDS).loss
    loss.backward()
    return loss.item(), {"input": embeds.grad} | {n: p.grad for n, p in model.named_parameters()}


@pytest.mark.parametrize("trains", [True, False])
def test_losses_and_gradients_are_pefts(trains):
    (ours, found), (theirs, wanted) = (outcome(a_model(fast), trains=trains) for fast in (True, False))
    assert ours == pytest.approx(theirs, rel=1e-6)
    assert {n for n, g in found.items() if g is not None} == {n for n, g in wanted.items() if g is not None}
    for name, gradient in wanted.items():
        if gradient is not None:
            assert torch.allclose(found[name], gradient, atol=1e-5 * float(gradient.abs().max())), name


def test_switching_the_lora_off_still_works():
    model = a_model(fast=True)
    with torch.no_grad():
        on = model(IDS).logits
        for layer in model.modules():
            if isinstance(layer, BaseTunerLayer):
                layer.enable_adapters(False)
        off = model(IDS).logits
        assert torch.allclose(off, tiny_model()(IDS).logits, atol=1e-5)
        assert not torch.allclose(on, off, atol=1e-2)


def test_layers_with_a_bias_stay_pefts():
    model = tiny_model("qwen2")
    attach_lora(model, LORA)
    assert speed_up_lora(model) == 4  # not the two q_proj
