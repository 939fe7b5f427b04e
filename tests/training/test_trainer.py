"""Trainer: it learns, and a run that was stopped ends as one that was not."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tiny_models import base_folder, tiny_recipe
from vecspeak.errors import UserError
from vecspeak.training.batches import make_rows
from vecspeak.training.data import Example
from vecspeak.training.losses import swapped_losses
from vecspeak.training.run import fresh_reader
from vecspeak.training.trainer import (
    HeldOut,
    Progress,
    Run,
    Trainer,
    held_out_rows,
    rate_factor,
)

THINGS = ("red cat", "old king", "big ship", "wet dog")


def toy_run(folder, *, copies, **changes):
    """Each text is determined by its vector: one of four directions, a little noise on each."""
    recipe = tiny_recipe(base_folder(), **changes)
    reader = fresh_reader(recipe, 6, device="cpu")
    rng = np.random.default_rng(0)
    things = rng.permutation(np.repeat(np.arange(4), copies))
    vectors = (np.eye(6)[things] + 0.05 * rng.standard_normal((len(things), 6))).astype(np.float32)
    reader.adapter.set_statistics(torch.from_numpy(vectors))
    examples = [
        Example(task="describe", question="{x}", rows=(row,), target=THINGS[thing])
        for row, thing in enumerate(things)
    ]
    rows = make_rows(examples, reader)
    watched = held_out_rows(rows[:8], vectors)
    return Run(reader=reader, recipe=recipe, rows=rows, vectors=vectors, held_out=watched, folder=folder)


def parameters(trainer):
    return {item.name: item.parameter.detach().clone() for item in trainer.items}


def steps(trainer, count):
    for _ in range(count):
        trainer.step()
    return trainer


@pytest.mark.parametrize("stop", [2, 5])
def test_a_run_that_was_stopped_ends_exactly_as_one_that_was_not(tmp_path, stop):
    """Stopped in the adapter stage, and in the joint stage, of a run with noise."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    noise = {"noise": {"share": 0.5, "max_sd": 0.1}}
    whole = Trainer(toy_run(tmp_path / "whole", copies=24, **noise))
    assert len(whole.plan) >= 8
    steps(whole, 7)
    steps(Trainer(toy_run(tmp_path / "parts", copies=24, **noise)), stop).save()
    again = Trainer(toy_run(tmp_path / "parts", copies=24, **noise))
    assert (again.progress.step, again.progress.examples) == (stop, sum(map(len, again.plan.steps[:stop])))
    steps(again, 7 - stop)
    assert again.progress.tokens == whole.progress.tokens
    ours, theirs = parameters(whole), parameters(again)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_a_run_of_packs_that_was_stopped_ends_exactly_as_one_that_was_not(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    changes = {"noise": {"share": 0.5, "max_sd": 0.1}, "speed": {"packing": "on", "pack_length": 256}}
    whole = steps(Trainer(toy_run(tmp_path / "whole", copies=24, **changes)), 7)
    steps(Trainer(toy_run(tmp_path / "parts", copies=24, **changes)), 4).save()
    again = Trainer(toy_run(tmp_path / "parts", copies=24, **changes))
    assert again.progress.step == 4 and again.way.pack_length == 256
    steps(again, 3)
    assert (again.progress.tokens, again.progress.examples) == (
        whole.progress.tokens,
        whole.progress.examples,
    )
    ours, theirs = parameters(whole), parameters(again)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_a_checkpoint_of_packs_is_not_gone_on_with_in_padded_rows(tmp_path):
    steps(Trainer(toy_run(tmp_path, copies=12, speed={"packing": "on"})), 1).save()
    with pytest.raises(UserError, match="is of steps of packs of 256, this run's are of padded rows"):
        Trainer(toy_run(tmp_path, copies=12))


def test_the_adapter_stage_keeps_no_gradient_and_no_memory_for_what_is_frozen(tmp_path):
    trainer = steps(Trainer(toy_run(tmp_path, copies=12)), 1)
    moved = {item.name for item in trainer.items if item.master in trainer.optimizer.state}
    assert moved == {item.name for item in trainer.items if item.name.startswith("adapter.")}
    model = trainer.run.reader.language_model
    assert all(p.grad is None and not p.requires_grad for p in model.parameters())
    trainer.loss_of(next(trainer.inputs)).backward()
    assert all(p.grad is None for p in model.parameters())
    assert all(p.grad is not None for p in trainer.run.reader.adapter.parameters())


def test_a_step_of_packs_reads_nothing_back(tmp_path):
    """A number read from a tensor, or a place that depends on its values, would make a GPU wait."""
    trainer = Trainer(toy_run(tmp_path, copies=12, speed={"packing": "on"}))
    steps(trainer, 1)
    trainer.inputs = iter([next(trainer.inputs)])  # made on the CPU beforehand, where waiting costs nothing
    trainer.optimizer.step = lambda: None  # fused on a GPU; on a CPU it reads its own step count
    read = set()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func.overloadpacket.__name__ in (
                "_local_scalar_dense",
                "nonzero",
                "masked_select",
                "is_nonzero",
            ):
                read.add(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    with Watch():
        trainer.step()
    assert not read


def test_a_checkpoint_holds_the_masters_and_not_their_roundings(tmp_path):
    trainer = steps(Trainer(toy_run(tmp_path, copies=12, stages=[{"name": "joint", "share": 1.0}])), 3)
    trainer.save()
    again = Trainer(toy_run(tmp_path, copies=12, stages=[{"name": "joint", "share": 1.0}]))
    pairs = list(zip(trainer.items, again.items, strict=True))
    assert all(torch.equal(one.master, other.master) for one, other in pairs)
    assert any(not torch.equal(one.master, one.parameter.float()) for one, _ in pairs)


def test_a_text_that_its_vector_determines_is_learned_from_the_vector(tmp_path):
    schedule = {"tokens_per_step": 256, "adapter_rate": 3e-3, "model_rate": 1e-2, "warmup_steps": 5}
    stages = [{"name": "adapter", "share": 0.1}, {"name": "joint", "share": 0.9}]
    run = toy_run(tmp_path, copies=150, stages=stages, schedule={**schedule, "max_hours": 1000.0})
    before, swapped_before = swapped_losses(run.reader, run.held_out.rows, run.held_out.vectors)
    assert abs(swapped_before - before) < 0.3
    progress = Trainer(run).train()
    right, swapped = swapped_losses(run.reader, run.held_out.rows, run.held_out.vectors)
    assert right < 0.5 * before
    assert swapped - right > 1.0
    assert progress.finished and progress.examples == 600
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < 0.5 * log[0]["loss"]
    assert log[-1]["gap"] == pytest.approx(swapped - right, abs=1e-3)
    assert Trainer(run).train().step == progress.step  # a finished run has nothing left to do


def test_a_run_without_held_out_texts_is_not_watched(tmp_path):
    run = toy_run(tmp_path, copies=4)
    empty = HeldOut(rows=[], vectors=np.zeros((0, 6), np.float32))
    Trainer(dataclasses.replace(run, held_out=empty)).train()
    assert "gap" not in (tmp_path / "log.jsonl").read_text()


def test_the_time_allowed_ends_a_run_after_the_step_it_is_in(tmp_path):
    schedule = {"tokens_per_step": 256, "warmup_steps": 1, "max_hours": 1e-9}
    progress = Trainer(toy_run(tmp_path, copies=12, schedule=schedule)).train()
    assert progress.finished and progress.step == 1


def test_a_save_that_fails_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    trainer = steps(Trainer(toy_run(tmp_path, copies=12)), 2)
    trainer.save()
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    steps(trainer, 1)

    def half(tensors, path, metadata):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("vecspeak.training.trainer.save_file", half)
    with pytest.raises(KeyboardInterrupt):
        trainer.save()
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert Trainer(toy_run(tmp_path, copies=12)).progress.step == 2


def test_rates_warm_up_and_fall_to_three_percent():
    assert rate_factor(0.0, 0, 10) == pytest.approx(0.1)
    assert rate_factor(0.0, 9, 10) == pytest.approx(1.0)
    assert rate_factor(0.5, 100, 10) == pytest.approx(0.515)
    assert rate_factor(1.0, 100, 10) == rate_factor(1.7, 100, 10) == pytest.approx(0.03)


def test_progress_starts_at_nothing(tmp_path):
    assert Trainer(toy_run(tmp_path, copies=1)).progress == Progress()
