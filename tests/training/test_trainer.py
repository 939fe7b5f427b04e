"""Trainer: it learns, and a run that was stopped ends as one that was not."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tiny_models import base_folder, tiny_recipe
from vecspeak.errors import UserError
from vecspeak.storage import Journal
from vecspeak.training.batching import make_rows
from vecspeak.training.dataset import Example
from vecspeak.training.loss import swapped_losses
from vecspeak.training.recipe import Schedule
from vecspeak.training.run import fresh_reader
from vecspeak.training.trainer import (
    Progress,
    Trainer,
    TrainingRun,
    ValidationRows,
    rate_factor,
    single_vector_rows,
    warmup_steps,
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
    watched = single_vector_rows(rows[:8], vectors)
    return TrainingRun(
        reader=reader, recipe=recipe, rows=rows, vectors=vectors, held_out=watched, folder=folder
    )


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


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
    assert again.progress.step == 4 and again.mode.pack_length == 256
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
    before = swapped_losses(run.reader, run.held_out.rows, run.held_out.vectors)
    assert abs(before.swapped - before.right) < 0.3
    trainer = Trainer(run)
    progress = trainer.train()
    after = swapped_losses(run.reader, run.held_out.rows, run.held_out.vectors)
    assert after.right < 0.5 * before.right
    assert after.swapped - after.right > 1.0
    assert progress.finished and progress.examples == 600
    first, second, *_, last = lines(tmp_path)
    assert last["loss"] < 0.5 * second["loss"]
    assert last["gap"] == pytest.approx(after.swapped - after.right, abs=1e-3)
    assert (first["step"], first["held_out"]) == (0, pytest.approx(before.right, abs=1e-3))
    outcome = trainer.outcome
    assert (outcome.before.loss, outcome.after.loss) == pytest.approx((before.right, after.right), abs=1e-3)
    assert (outcome.steps, outcome.ended_by) == (outcome.planned, "plan")
    assert Trainer(run).train().step == progress.step  # a finished run has nothing left to do


def test_a_run_without_held_out_texts_is_not_watched(tmp_path):
    run = toy_run(tmp_path, copies=4)
    empty = ValidationRows(rows=[], vectors=np.zeros((0, 6), np.float32))
    trainer = Trainer(dataclasses.replace(run, held_out=empty))
    trainer.train()
    assert "gap" not in (tmp_path / "log.jsonl").read_text()
    assert (trainer.outcome.before, trainer.outcome.after) == (None, None)


def test_a_run_that_goes_on_knows_how_it_began(tmp_path):
    first = Trainer(toy_run(tmp_path, copies=12))
    steps(first, 3).save()
    again = Trainer(toy_run(tmp_path, copies=12))
    again.train()
    assert again.before.loss == pytest.approx(first.before.loss, abs=1e-4)
    assert again.before.loss != pytest.approx(again.after.loss, abs=1e-2)
    assert [line["step"] for line in lines(tmp_path)].count(0) == 1
    finished = Trainer(toy_run(tmp_path, copies=12))
    before = (tmp_path / "log.jsonl").read_text()
    finished.train()
    assert finished.after.loss == pytest.approx(again.after.loss, abs=1e-4)
    assert (tmp_path / "log.jsonl").read_text() == before  # nothing is measured twice


def test_how_a_run_began_is_measured_anew_where_the_log_has_it_not(tmp_path):
    """The log is of an older version, was cut short by a kill, or tells of other held-out rows."""
    first = Trainer(toy_run(tmp_path, copies=12))
    steps(first, 3).save()
    whole = (tmp_path / "log.jsonl").read_text()
    for kept in ("", whole[: len(whole) // 2] + "\n", '{"step": 0, "loss": 1.0}\n[]\n'):
        (tmp_path / "log.jsonl").write_text(kept)
        again = Trainer(toy_run(tmp_path, copies=12))
        assert again.progress.step == 3
        assert again.before.loss == pytest.approx(first.before.loss, abs=1e-4)
    run = toy_run(tmp_path, copies=12)
    fewer = ValidationRows(rows=run.held_out.rows[:4], vectors=run.held_out.vectors[:4])
    other = Trainer(dataclasses.replace(run, held_out=fewer))
    assert other.before.num_rows == 4
    assert other.before.loss != pytest.approx(first.before.loss, abs=1e-4)


def test_rows_about_one_vector_are_one_entity(tmp_path):
    run = toy_run(tmp_path, copies=12)
    twice = ValidationRows(
        rows=[*run.held_out.rows, *run.held_out.rows],
        vectors=np.concatenate([run.held_out.vectors, run.held_out.vectors]),
    )
    watched = Trainer(dataclasses.replace(run, held_out=twice)).before
    assert (watched.num_rows, len(watched.sums_E3)) == (16, 8)
    tokens = sum(len(row.ids) - row.num_prompt for row in twice.rows)
    assert watched.sums_E3[:, 2].sum() == tokens


def test_the_time_allowed_ends_a_run_after_the_step_it_is_in(tmp_path):
    schedule = {"tokens_per_step": 256, "warmup_steps": 1, "max_hours": 1e-9}
    trainer = Trainer(toy_run(tmp_path, copies=12, schedule=schedule))
    progress = trainer.train()
    assert progress.finished and progress.step == 1
    assert trainer.outcome.ended_by == "time"


def test_a_run_that_its_time_ended_goes_on_when_it_is_given_more(tmp_path):
    def run(hours):
        return toy_run(tmp_path, copies=12, schedule={"tokens_per_step": 256, "max_hours": hours})

    ended = Trainer(run(1e-9)).train()
    again = Trainer(run(1000.0))
    assert not again.progress.finished
    assert again.progress.seconds == ended.seconds
    assert again.fraction == ended.step / len(again.plan)  # as if it had had that time from the start
    assert again.train().step == len(again.plan)
    assert again.outcome.ended_by == "plan"
    assert Trainer(run(1e-9)).progress.finished


def test_the_most_tokens_allowed_end_a_run(tmp_path):
    schedule = {"tokens_per_step": 256, "max_hours": 1000.0, "max_tokens": 300}
    trainer = Trainer(toy_run(tmp_path, copies=12, schedule=schedule))
    assert 300 <= trainer.train().tokens < 300 + 256
    assert trainer.outcome.ended_by == "tokens"


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


@pytest.mark.parametrize(
    ("asked", "planned", "steps"),
    [(30, 17, 1), (30, 5, 1), (30, 100, 10), (30, 300, 30), (3, 1000, 3), (0, 9, 1)],
)
def test_the_warm_up_takes_at_most_a_tenth_of_the_plan(asked, planned, steps):
    assert warmup_steps(Schedule(warmup_steps=asked), planned) == steps


def test_a_run_that_ends_before_its_plan_has_warmed_up_by_a_tenth_of_it():
    """Ten steps of a plan of thousands, ended by time: progress counts, not steps."""
    warm = [rate_factor(step / 10, step, 30) for step in range(10)]
    assert warm[0] == pytest.approx(1 / 30)
    assert warm[1] == pytest.approx(0.03 + 0.97 * 0.5 * (1 + np.cos(np.pi / 10)))
    assert warm[1:] == sorted(warm[1:], reverse=True)


def test_a_run_that_goes_on_has_the_rates_of_one_that_was_not_stopped(tmp_path):
    """With a warm-up longer than the plan, stopped within the first steps and after them."""
    schedule = {"tokens_per_step": 256, "warmup_steps": 30, "max_hours": 1000.0}

    def rates(folder, stops):
        folder.mkdir()
        trainer, found = Trainer(toy_run(folder, copies=48, schedule=schedule)), []
        assert len(trainer.plan) >= 16
        for step in range(len(trainer.plan)):
            if step in stops:
                trainer.save()
                trainer = Trainer(toy_run(folder, copies=48, schedule=schedule))
            trainer.step()
            found.append([group["lr"] for group in trainer.optimizer.param_groups])
        return np.array(found)

    whole, parts = rates(tmp_path / "whole", ()), rates(tmp_path / "parts", (1, 9))
    assert np.array_equal(whole, parts)
    assert whole[:, 0].max() > 0.9 * Schedule().adapter_rate  # the warm-up ends


def test_progress_starts_at_nothing(tmp_path):
    assert Trainer(toy_run(tmp_path, copies=1)).progress == Progress()


def test_steps_that_are_too_large_end_the_run_and_leave_the_last_checkpoint(tmp_path):
    trainer = Trainer(toy_run(tmp_path, copies=200))
    steps(trainer, 2).save()
    kept = (tmp_path / "checkpoint.safetensors").read_bytes()
    with torch.no_grad():
        trainer.items[0].master.fill_(float("nan"))
    with pytest.raises(UserError, match="the loss is no number any more, by step"):
        trainer.save()
    with pytest.raises(UserError, match="lower adapter_rate and model_rate"):
        trainer.train()
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == kept


@pytest.mark.parametrize("damage", [lambda whole: whole[:-100], lambda whole: b"", lambda whole: b"x" * 1000])
def test_a_damaged_checkpoint_is_told(tmp_path, damage):
    steps(Trainer(toy_run(tmp_path, copies=20)), 1).save()
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="checkpoint .* is damaged"):
        Trainer(toy_run(tmp_path, copies=20))


def test_a_line_that_a_kill_cut_short_does_not_take_the_next_with_it(tmp_path):
    log = Journal(tmp_path / "log.jsonl")
    log.append([{"step": 0}])
    (tmp_path / "log.jsonl").write_bytes(b'{"step": 0}\n{"step": 1, "lo')
    log.append([{"step": 1}])
    log.append([{"step": 2}])
    assert [row["step"] for row in log.rows()] == [0, 1, 2]
    assert (tmp_path / "log.jsonl").read_bytes().split(b"\n")[1:] == [b'{"step": 1}', b'{"step": 2}', b""]
