"""`vecspeak serve`: a bundle over HTTP on this computer until it is stopped; a foreign address needs a key."""

import os
import re
import signal
import subprocess
import sys
import threading
from shutil import copytree

import httpx
import pytest

from vecspeak import VecSpeak
from vecspeak.cli import main
from vecspeak.server import heaps, make_app
from vecspeak.storage import read_json, write_json


def test_the_command_serves_until_ctrl_c(reader):
    command = [sys.executable, "-m", "vecspeak", "serve", str(reader.folder), "--port", "0", "--log"]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        said = [running.stdout.readline() for _ in range(2)]
        address = re.search(r"http://127\.0\.0\.1:\d+/v1", said[1])[0]
        assert httpx.get(f"{address}/models").json()["data"][0]["id"] == "things"
        running.send_signal(signal.SIGINT)
        out, errors = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 0 and out.strip() == "stopped"
    assert '"route": "/v1/models"' in errors


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0"], "asks for no key"),
        (["--host", "0.0.0.0", "--key-env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE is empty"),
    ],
)
def test_others_are_not_let_in_without_a_key(reader, options, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["serve", str(reader.folder), *options])
    assert ended.value.code == 2 and words in capsys.readouterr().err


def test_two_bundles_of_one_name_are_refused(reader, capsys):
    with pytest.raises(SystemExit):
        main(["serve", str(reader.folder), str(reader.folder)])
    assert "two bundles are called things" in capsys.readouterr().err


def test_bundles_of_one_reader_share_its_models_and_take_turns(bundle, encoder, monkeypatch):
    opened = []
    monkeypatch.setattr("vecspeak.asking.open_engine", lambda bundle, name: opened.append(name) or object())
    first, second = (VecSpeak.load(bundle, engine="openvino", encoder=encoder) for _ in range(2))
    other_engine = VecSpeak.load(bundle, engine="transformers", encoder=encoder)
    assert second.share_models(first) and second.engine is first.engine and second.encoder is encoder
    assert not other_engine.share_models(first) and other_engine.engine is not first.engine
    assert opened == ["openvino", "transformers"]
    serving = make_app({"a": first, "b": second, "c": other_engine}).state.serving
    assert serving.queues["a"] is serving.queues["b"] is not serving.queues["c"]
    serving.stop()


def test_a_reader_without_spaces_is_ready_too(source, encoder):
    serving = make_app({"a": VecSpeak(source, engine=object(), encoder=encoder)}).state.serving
    serving.open_models()
    assert serving.is_ready
    serving.stop()


def test_another_reader_shares_nothing(bundle, encoder, tmp_path):
    folder = copytree(bundle, tmp_path / "other.bundle")
    manifest = read_json(folder / "manifest.json")
    manifest["reader"]["encoder"] = "other words"
    write_json(folder / "manifest.json", manifest)
    first, second = (VecSpeak.load(one, engine="openvino", encoder=encoder) for one in (bundle, folder))
    assert not second.share_models(first)


def test_heaps_are_shared_and_given_back(monkeypatch):
    calls, is_trimmed = [], threading.Event()

    class Library:
        def mallopt(self, option, value):
            calls.append((option, value))

        def malloc_trim(self, pad):
            is_trimmed.set()
            threading.Event().wait()  # once is enough

    monkeypatch.setattr(heaps, "_SECONDS", 0.0)
    monkeypatch.setattr(heaps.ctypes, "CDLL", lambda name: Library())
    heaps.keep_heaps_small()
    assert calls == [(-8, 2)] and is_trimmed.wait(10)


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(heaps.ctypes, "CDLL", lambda name: object())
    heaps.keep_heaps_small()
