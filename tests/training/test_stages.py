"""Stages: exactly what should move moves."""

import numpy as np
import pytest
import torch

from tiny_models import base_folder, tiny_model, tiny_recipe
from vecspeak.errors import UserError
from vecspeak.training.lora import (
    attach_lora,
    gradients_to_masters,
    make_optimizer,
    masters_to_parameters,
    set_stages,
    stage_at,
    trainables,
)
from vecspeak.training.recipe import Lora, Schedule, Stage
from vecspeak.training.run import fresh_reader
from vecspeak.training.step import StepLoss

STAGES = (Stage(name="adapter", share=0.25), Stage(name="joint", share=0.75))


def tensors(reader):
    parts = {"model": reader.language_model, "adapter": reader.adapter}
    return {
        f"{part}.{n}": t.clone() for part, module in parts.items() for n, t in module.state_dict().items()
    }


def moved(stage, together=()):
    """Names of the tensors that two steps in a stage change, and of all tensors; more stages may take gradients."""
    from vecspeak.training.batching import collate, make_rows
    from vecspeak.training.dataset import Example
    from vecspeak.training.feed import step_input

    reader = fresh_reader(tiny_recipe(base_folder()), 6, device="cpu")
    items = trainables(reader.language_model, reader.adapter)
    optimizer = make_optimizer(items, Schedule())
    example = Example(task="describe", question="Sum up {x}.", rows=(0,), target="A boat.")
    batch = collate(make_rows([example], reader), 1)
    made = step_input(batch, np.ones((1, 6), np.float32), reader.adapter.config.num_soft_tokens)
    before = tensors(reader)
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    for _ in range(2):  # LoRA's A has no gradient while B is zero, so one step is not enough
        set_stages(items, together or [stage])
        StepLoss(reader)(made).backward()
        gradients_to_masters(items, stage)
        optimizer.step()
        optimizer.zero_grad()
        masters_to_parameters(items)
    after = tensors(reader)
    return {name for name in before if not torch.equal(before[name], after[name])}, set(before)


def parameters_of(names, part):
    kept = {"adapter": ("expand", "project"), "lora": ("lora_",), "base": ()}[part]
    return {name for name in names if any(piece in name for piece in kept)}


@pytest.mark.parametrize("together", [(), ("adapter", "joint")])
def test_the_adapter_stage_moves_the_adapter_alone(together):
    changed, names = moved("adapter", together)
    assert changed == parameters_of(names, "adapter")


def test_the_joint_stage_moves_adapter_and_lora_and_leaves_the_base_bit_identical():
    changed, names = moved("joint")
    assert changed == parameters_of(names, "adapter") | parameters_of(names, "lora")
    assert len(parameters_of(names, "lora")) == 2 * 4 * 2  # A and B, four targets, two layers


def test_a_fresh_lora_changes_nothing():
    model = tiny_model()
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        before = model(ids).logits
        attach_lora(model, Lora(rank=2, alpha=4))
        assert torch.equal(model(ids).logits, before)


def test_only_the_lora_of_an_attached_model_takes_gradients():
    model = tiny_model()
    attach_lora(model, Lora(rank=2, alpha=4, targets=("q_proj",)))
    assert all(("lora_" in name) == parameter.requires_grad for name, parameter in model.named_parameters())


@pytest.mark.parametrize("target", ["w_proj", "embed_tokens", "mlp", "lm_head"])
def test_a_target_that_is_no_linear_layer_is_refused(target):
    with pytest.raises(
        UserError, match=f"lora.targets names '{target}'; the linear layers here are .*q_proj"
    ):
        attach_lora(tiny_model(), Lora(targets=("q_proj", target)))


def test_stages_follow_each_other_by_their_shares():
    found = [stage_at(STAGES, progress) for progress in (0, 0.24, 0.25, 0.9, 1.0)]
    assert found == ["adapter", "adapter", "joint", "joint", "joint"]


def test_a_low_precision_parameter_keeps_steps_too_small_for_itself_in_its_master():
    model = torch.nn.Module()
    model.lora_A = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    (item,) = trainables(model, torch.nn.Module())
    assert item.master.dtype == torch.float32
    for step in range(1, 9):
        with torch.no_grad():
            item.master.add_(0.001)  # bfloat16 cannot hold 1.001
        masters_to_parameters([item])
        assert item.master[0].item() == pytest.approx(1 + step * 0.001)
    assert item.parameter[0].item() == pytest.approx(1.008, abs=0.004)
    assert item.parameter[0].item() > 1


def test_gradients_move_to_the_masters():
    model = torch.nn.Module()
    model.lora_A = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    (item,) = trainables(model, torch.nn.Module())
    (item.parameter * 2).sum().backward()
    gradients_to_masters([item], "joint")
    assert item.master.grad.tolist() == [2, 2, 2]
    assert item.parameter.grad is None


def test_a_parameter_that_no_gradient_reaches_is_noticed():
    model = torch.nn.Module()
    model.lora_A = torch.nn.Parameter(torch.ones(3))
    items = trainables(model, torch.nn.Module())
    gradients_to_masters(items, "adapter")
    with pytest.raises(RuntimeError, match="no gradient came to lora_A, which trains in the joint stage"):
        gradients_to_masters(items, "joint")


def test_a_float32_parameter_is_its_own_master():
    (item, _) = trainables(torch.nn.Module(), torch.nn.Linear(2, 2))
    assert item.master is item.parameter
