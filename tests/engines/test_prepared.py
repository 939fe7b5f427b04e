"""Prepared readers: made once, made again when anything changed, opened without torch."""

import os
import subprocess
import sys

import msgspec
import numpy as np
import pytest

import worlds
from tiny_models import NAMED, tiny_model
from vecspeak.bundles import load_bundle
from vecspeak.engines import Sampling, open_engine, opening_note
from vecspeak.engines import prepared as prepared_module
from vecspeak.engines.prepared import MARKER, is_prepared, open_prepared, prepare, unsupported_reason
from vecspeak.engines.registry import resolve_engine
from vecspeak.errors import UserError
from vecspeak.model.prompt import PromptTemplate
from vecspeak.storage import cache_folder, write_json

HEAVY = (
    *("torch", "transformers", "sentence_transformers", "sklearn", "scipy"),
    *("pandas", "pyarrow.compute", "filelock", "tqdm", "openvino_telemetry"),
)
"""What the first letter of an answer does not wait for."""
PROMPT = PromptTemplate("Describe {x}.").fill({"x": worlds.space().vectors[3]})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def bundle(tmp_path):
    return worlds.bundle(tmp_path / "toy.bundle")


def test_the_fast_engine_reads_as_the_reference_does(bundle):
    """A reader that was trained says the right two words as often in int8."""
    asked = [PromptTemplate(worlds.QUESTION).fill({"x": vector}) for vector in worlds.space().vectors]
    sampling = Sampling(max_new_tokens=24)
    fast, reference = (
        open_engine(bundle, name).generate(asked, sampling) for name in ("openvino", "transformers")
    )
    same, right, wanted = (
        np.mean([one == other for one, other in zip(*pair, strict=True)])
        for pair in ((fast, reference), (fast, worlds.PAIRS), (reference, worlds.PAIRS))
    )
    assert same >= 0.75
    assert right >= wanted - 0.1 and len(set(reference)) > 20


def test_it_is_made_once(bundle, monkeypatch):
    assert not is_prepared(bundle) and "once" in opening_note(bundle)
    folder = prepare(bundle)
    assert is_prepared(bundle) and opening_note(bundle) == ""
    monkeypatch.setattr(prepared_module, "write_prepared", None)
    assert prepare(bundle) == folder == open_prepared(bundle).folder


def test_a_damaged_one_is_made_again(bundle):
    folder = prepare(bundle)
    for path in sorted(folder.iterdir()):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert not is_prepared(bundle)
        assert prepare(bundle) == folder and is_prepared(bundle)


def test_another_adapter_and_another_base_are_other_readers(bundle, tmp_path):
    changed = worlds.bundle(tmp_path / "other", lambda tensors: {k: v * 2 for k, v in tensors.items()})
    folders = {prepare(bundle), prepare(changed), prepare(bundle, base_model=True)}
    assert len(folders) == 3
    assert prepare(load_bundle(bundle.folder)) in folders


def test_a_base_whose_files_changed_is_another(bundle):
    before = prepare(bundle)
    config = worlds.base_folder() / "config.json"
    times = config.stat()
    try:
        os.utime(config, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))
        assert prepare(bundle) != before
    finally:
        os.utime(config, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_of_many_the_oldest_are_removed(bundle, tmp_path, cache, monkeypatch):
    monkeypatch.setattr(prepared_module, "_RETAINED", 2)
    first = prepare(bundle)
    os.utime(first / MARKER, (1, 1))
    prepare(bundle, base_model=True)
    assert first.exists()
    changed = worlds.bundle(tmp_path / "other", lambda tensors: {k: v * 2 for k, v in tensors.items()})
    last = prepare(changed)
    assert not first.exists() and is_prepared(changed) and last.exists()


def test_a_reader_of_another_family_runs_on_transformers(bundle, monkeypatch):
    monkeypatch.setattr(prepared_module, "read_json", lambda path: tiny_model("gemma").config.to_dict())
    assert "gemma" in unsupported_reason(bundle)
    assert resolve_engine(bundle) == "transformers" and opening_note(bundle) == ""
    with pytest.raises(UserError, match="`engine='transformers'`"):
        prepare(bundle)


def test_a_machine_without_openvino_or_with_a_gpu_runs_transformers(bundle, monkeypatch):
    assert resolve_engine(bundle) == "openvino"
    monkeypatch.setattr("vecspeak.engines.registry.has_gpu", lambda: True)
    assert resolve_engine(bundle) == "transformers"
    monkeypatch.setattr("vecspeak.engines.registry.has_gpu", lambda: False)
    monkeypatch.setattr(prepared_module, "has_openvino", lambda: False)
    assert resolve_engine(bundle) == "transformers"


def test_a_prepared_reader_is_opened_without_a_lock(bundle, monkeypatch):
    folder = prepare(bundle)
    os.utime(folder / MARKER, (1, 1))
    monkeypatch.setattr(prepared_module, "lock", None)
    assert prepare(bundle) == folder
    assert (folder / MARKER).stat().st_mtime > 1, "it was opened now, so it is not the oldest"


def test_asking_loads_no_torch(bundle):
    """All of it: bundle, point, answer; what the first token waits for is what is imported."""
    prepare(bundle)
    write_json(cache_folder() / "models.json", msgspec.to_builtins(NAMED))  # another process asks
    code = f"""
import sys
from vecspeak.bundles import load_bundle
from vecspeak.asking import Asker
asker = Asker.from_bundle(load_bundle({str(bundle.folder)!r}))
asked = asker.prepare("Describe {{x}}.", {{"x": '"Pair 3"'}})
print("".join(asker.engine.stream(asked.prompt, __import__("vecspeak.engines").engines.Sampling(max_new_tokens=20))))
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answer, loaded = done.stdout.strip().splitlines()
    assert answer == "".join(open_engine(bundle).stream(PROMPT, Sampling(max_new_tokens=20))).strip()
    assert loaded == "[]"


def test_one_that_is_spoiled_at_its_size_is_made_again(bundle):
    folder = prepare(bundle)
    for name in ("tokenizer.json", "embedding.npy", "model.xml"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(b"\xff" * 100 + content[100:])
        assert not is_prepared(bundle)
        assert open_prepared(bundle).folder == folder and is_prepared(bundle)
    (folder / MARKER).write_text('{"files": {}}', encoding="utf-8")
    assert not is_prepared(bundle)


def test_without_openvino_its_engine_is_refused_in_one_line(bundle, monkeypatch):
    monkeypatch.setattr(prepared_module, "has_openvino", lambda: False)
    with pytest.raises(UserError, match="pip install openvino"):
        open_engine(bundle, "openvino")
