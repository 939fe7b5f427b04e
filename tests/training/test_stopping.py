"""Stopping: the first Ctrl-C waits for the step and keeps it, the second does not."""

import signal
import threading

import pytest
import torch
from test_trainer import parameters, toy_run

from vecspeak.training.lora import MergedLoraLinear, use_merged_lora
from vecspeak.training.stopping import stop_between_steps
from vecspeak.training.trainer import Trainer


def ctrl_c():
    """What the handler of the moment does. No signal is sent: some library leaves this process an alternate signal
    stack that is no longer there, and any signal then ends it (a fresh process has none).
    """
    signal.getsignal(signal.SIGINT)(signal.SIGINT, None)


def with_signals(trainer, *, at, times):
    """The trainer, and in that step as many Ctrl-Cs, each after the parameters have moved."""
    step = trainer.step

    def watched():
        step()
        if trainer.progress.step == at:
            for _ in range(times):
                ctrl_c()

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
    assert "this step is ended and kept, then the run stops; Ctrl-C again loses the step" in said
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


def test_a_ctrl_c_in_the_last_step_or_after_it_stops_too_and_the_same_command_ends_the_run(tmp_path):
    trainer = Trainer(toy_run(tmp_path, copies=24))
    with pytest.raises(KeyboardInterrupt):
        with_signals(trainer, at=len(trainer.plan), times=1).train()
    again = Trainer(toy_run(tmp_path, copies=24))
    assert again.progress.finished
    again.train()
    assert again.after is not None


def test_nobody_has_to_read_what_is_said_for_the_step_to_be_kept(tmp_path, monkeypatch):
    class Gone:
        def write(self, text):
            raise BrokenPipeError

        flush = write

    trainer = with_signals(Trainer(toy_run(tmp_path, copies=24)), at=3, times=1)
    step = trainer.step

    def watched():
        if trainer.progress.step == 2:
            monkeypatch.setattr("sys.stderr", Gone())
        step()

    trainer.step = watched
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    monkeypatch.undo()
    assert Trainer(toy_run(tmp_path, copies=24)).progress.step == 3


def test_an_interrupted_reader_runs_as_it_is_written_again(tmp_path):
    trainer = with_signals(Trainer(toy_run(tmp_path, copies=24)), at=2, times=1)
    use_merged_lora(trainer.run.reader.language_model)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert not any(isinstance(m, MergedLoraLinear) for m in trainer.run.reader.language_model.modules())


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
