"""Stopping: the first Ctrl-C waits for the step and keeps it, the second does not."""

import signal
import threading

import pytest
import torch
from test_trainer import parameters, toy_run

from vecspeak.training.stopping import stop_between_steps
from vecspeak.training.trainer import Trainer


def with_signals(trainer, *, at, times):
    """The trainer, and in that step as many Ctrl-Cs, each after the parameters have moved."""
    step = trainer.step

    def watched():
        step()
        if trainer.progress.step == at:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    trainer.step = watched
    return trainer


def test_a_run_that_ctrl_c_ended_goes_on_as_one_that_was_not_stopped(tmp_path, capsys):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = Trainer(toy_run(tmp_path / "whole", copies=24))
    whole.train()
    stopped = with_signals(Trainer(toy_run(tmp_path / "parts", copies=24)), at=3, times=1)
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    said = capsys.readouterr().err
    assert "ending this step, then keeping it; stop again to leave it" in said
    assert "kept at step 3; the same command goes on" in said
    again = Trainer(toy_run(tmp_path / "parts", copies=24))
    assert again.progress.step == 3
    again.train()
    ours, theirs = parameters(whole), parameters(again)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    trainer = with_signals(Trainer(toy_run(tmp_path, copies=24)), at=3, times=2)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert not (tmp_path / "checkpoint.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_ctrl_c_in_the_last_step_ends_the_run_as_it_would_have_ended(tmp_path):
    trainer = Trainer(toy_run(tmp_path, copies=24))
    with_signals(trainer, at=len(trainer.plan), times=1).train()
    assert trainer.progress.finished and trainer.after is not None


def test_a_program_that_handles_ctrl_c_itself_keeps_its_handler():
    def own(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGINT, own)
    try:
        with stop_between_steps() as stop:
            assert signal.getsignal(signal.SIGINT) is own and not stop.asked
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_nothing_is_handled():
    handlers = []

    def work():
        with stop_between_steps():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
