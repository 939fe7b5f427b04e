"""Step: the way follows the machine and the recipe, and one compiled shape serves all steps."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from packed import VECTORS, a_reader, packed, padded, some_rows
from torch._dynamo.testing import CompileCounterWithBackend

from tiny_models import base_folder, tiny_reader, tiny_recipe
from vecspeak.errors import UserError
from vecspeak.training.batching import plan_packs
from vecspeak.training.feed import Feed
from vecspeak.training.lora import gradients_to_masters, set_stages, trainables
from vecspeak.training.recipe import Noise, Speed
from vecspeak.training.run import fresh_reader
from vecspeak.training.step import (
    ExecutionMode,
    StepLoss,
    can_compile,
    choose_execution_mode,
    decoder_layers,
    uncompiled,
    undo_compiling,
)


def reader_on(device, **config):
    return SimpleNamespace(
        device=torch.device(device), language_model=SimpleNamespace(config=SimpleNamespace(**config))
    )


@pytest.fixture
def compiles(monkeypatch):
    monkeypatch.setattr("vecspeak.training.step.can_compile", lambda device: True)


def test_the_way_follows_the_device_where_the_recipe_says_nothing(compiles):
    assert choose_execution_mode(Speed(), 4096, reader_on("cpu")) == ExecutionMode(
        pack_length=0, compiled=False
    )
    assert choose_execution_mode(Speed(), 65_536, reader_on("cuda")) == ExecutionMode(
        pack_length=4096, compiled=True
    )
    assert choose_execution_mode(Speed(), 3000, reader_on("cuda")).pack_length == 2944


def test_a_gpu_for_which_nothing_can_be_compiled_takes_padded_rows(monkeypatch, capsys):
    can_compile.cache_clear()

    def failing(*given, **named):
        raise RuntimeError("Failed to find C compiler.\nPlease specify one.")

    monkeypatch.setattr(torch, "compile", failing)
    assert choose_execution_mode(Speed(), 4096, reader_on("cuda")) == ExecutionMode(
        pack_length=0, compiled=False
    )
    said = capsys.readouterr().err
    assert said == "rows are padded and nothing is compiled, which is slower: Failed to find C compiler.\n"
    assert (
        choose_execution_mode(Speed(), 4096, reader_on("cuda")).pack_length == 0
        and not capsys.readouterr().err
    )
    can_compile.cache_clear()
    assert not choose_execution_mode(Speed(packing="off"), 4096, reader_on("cuda")).compiled
    assert choose_execution_mode(Speed(packing="on"), 4096, reader_on("cuda")) == ExecutionMode(
        pack_length=4096, compiled=True
    )
    assert not capsys.readouterr().err  # nothing is tried where the recipe has chosen
    can_compile.cache_clear()


def test_the_recipe_has_the_last_word(compiles):
    gpu = reader_on("cuda")
    assert choose_execution_mode(Speed(packing="off"), 4096, gpu) == ExecutionMode(
        pack_length=0, compiled=False
    )
    assert choose_execution_mode(Speed(compile="off"), 4096, gpu) == ExecutionMode(
        pack_length=4096, compiled=False
    )
    assert (
        choose_execution_mode(Speed(packing="on", pack_length=256), 4096, reader_on("cpu")).pack_length == 256
    )


def test_layers_that_cannot_be_packed_are_padded_or_refused(compiles):
    reader = reader_on("cuda", layer_types=["linear_attention"])
    assert choose_execution_mode(Speed(), 4096, reader).pack_length == 0
    with pytest.raises(UserError, match="rows cannot be packed for layers of linear_attention"):
        choose_execution_mode(Speed(packing="on"), 4096, reader)


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_the_layers_are_the_models_own(family):
    model = tiny_reader(family).language_model
    assert decoder_layers(model) == list(model.model.layers)


@pytest.mark.parametrize("way", ["eager", "flex"])
def test_layers_are_compiled_once_however_many_rows_vectors_and_answers_a_step_has(way):
    reader = a_reader("llama", way)
    rows = some_rows(reader, 40)
    plan = plan_packs(rows, 256, 256, 0)
    feed = Feed(rows=rows, vectors=VECTORS, plan=plan, noise=Noise(), seed=0, pad_id=1, num_soft_tokens=2)
    assert len({feed[i].num_rows for i in range(4)}) > 1
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("eager")
    for layer in decoder_layers(reader.language_model):
        layer.compile(backend=counter, dynamic=False)
    with torch.set_grad_enabled(way == "eager"):  # torch has no gradients of flex attention on CPUs
        plain = a_reader("llama", "eager")
        for step in range(4):
            assert StepLoss(reader)(feed[step]).item() == pytest.approx(
                StepLoss(plain)(feed[step]).item(), rel=1e-5
            )
    first = counter.frame_count
    assert first == 1
    with uncompiled(), torch.no_grad():  # held-out rows of any length compile nothing
        for count in (1, 3):
            StepLoss(reader)(padded(rows[:count]))
    assert counter.frame_count == first
    torch._dynamo.reset()


def test_the_layers_compile_once_for_all_stages_and_every_parameter_learns_in_the_last():
    """Without a break in any layer. PyTorch before 2.13 would go on without the gradients that a stage adds."""
    reader = fresh_reader(tiny_recipe(base_folder()), 6, device="cpu")
    items = trainables(reader.language_model, reader.adapter)
    rows = some_rows(reader, 40)
    plan = plan_packs(rows, 256, 256, 0)
    feed = Feed(rows=rows, vectors=VECTORS, plan=plan, noise=Noise(), seed=0, pad_id=1, num_soft_tokens=2)
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    for layer in decoder_layers(reader.language_model):
        layer.compile(backend=counter, dynamic=False, fullgraph=True)
    for stage in ("adapter", "joint"):
        set_stages(items, ["adapter", "joint"])
        for step in range(3):
            StepLoss(reader)(feed[step]).backward()
            gradients_to_masters(items, stage)
        assert counter.frame_count == 1
    assert all(item.master.grad is not None for item in items)
    undo_compiling(reader.language_model)
    StepLoss(reader)(padded(rows[:3]))
    assert counter.frame_count == 1
    torch._dynamo.reset()


def test_a_step_without_packs_is_the_models_own_causal_attention():
    reader = a_reader("llama", "eager")
    rows = some_rows(reader)
    one = StepLoss(reader)(padded(rows)).item()
    made = packed(rows, [range(9)])
    assert StepLoss(reader)(made).item() == pytest.approx(one, rel=1e-5)
    mixed = dataclasses.replace(made, positions_BT=None, documents_BT=None)
    assert abs(StepLoss(reader)(mixed).item() - one) > 1e-2  # the masks are what keeps rows apart
