"""Modules: what a sentence-transformers folder is made of is checked before the library reads it."""

import json

import pytest

from vecspeak.encoders.modules import KNOWN_MODULES, check_modules
from vecspeak.encoders.text import DEFAULT_ENCODER, locate_encoder
from vecspeak.errors import UserError


@pytest.fixture
def write(tmp_path):
    def put(modules, **files):
        (tmp_path / "modules.json").write_text(
            json.dumps(modules) if not isinstance(modules, str) else modules
        )
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/").replace("_json", ".json").replace("_bin", ".bin")
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        return tmp_path

    return put


def module(kind, path=""):
    return {"idx": 0, "name": "0", "path": path, "type": kind}


@pytest.mark.parametrize("name", KNOWN_MODULES)
def test_the_librarys_own_modules_pass_by_their_old_and_new_paths(write, name):
    for home in ("sentence_transformers.models", "sentence_transformers.base.modules.some"):
        check_modules(write([module(f"{home}.{name}")]))


def test_the_default_encoder_passes():
    check_modules(locate_encoder(DEFAULT_ENCODER))


@pytest.mark.parametrize(
    "kind",
    ["evil.Evil", "os.system", "sentence_transformers.util.import_from_string", "Transformer", "",
     "sentence_transformers.models.Router", "sentence_transformers_x.models.Transformer",
     "sentence_transformers..Transformer", "sentence_transformers.models.Transformer.evil"],
)  # fmt: skip
def test_any_other_class_is_refused(write, kind):
    with pytest.raises(UserError, match="no code of a model is run: only Transformer, Pooling"):
        check_modules(write([module(kind)]))


@pytest.mark.parametrize("path", ["..", "../x", "/etc", "a/../../b", "a\\b", "C:x"])
def test_a_module_lies_inside(write, path):
    with pytest.raises(UserError, match="which is not inside"):
        check_modules(write([module("sentence_transformers.models.Pooling", path)]))


def test_weights_that_are_pickled_alone_are_refused(write, tmp_path):
    folder = write(
        [module("sentence_transformers.models.Dense", "2_Dense")], **{"2_Dense__pytorch_model_bin": "x"}
    )
    with pytest.raises(UserError, match="pytorch_model.bin is a pickle, which can run code"):
        check_modules(folder)
    (tmp_path / "2_Dense" / "model.safetensors").write_bytes(b"")
    check_modules(folder)


def test_an_activation_is_a_layer_of_torch(write):
    dense = [module("sentence_transformers.models.Dense", "2_Dense")]
    check_modules(
        write(
            dense, **{"2_Dense__config_json": '{"activation_function": "torch.nn.modules.linear.Identity"}'}
        )
    )
    for wrong in ("os.system", "torch.hub.load", "torch.load", "evil.Act"):
        folder = write(dense, **{"2_Dense__config_json": json.dumps({"activation_function": wrong})})
        with pytest.raises(UserError, match="is no layer of torch.nn.modules"):
            check_modules(folder)


@pytest.mark.parametrize("content", ["{", "{}", "[3]", '[{"path": ""}]', '[{"type": 3}]'])
def test_a_broken_list_of_modules_is_one_error(write, content):
    with pytest.raises(UserError, match="cannot load an encoder from .*modules.json"):
        check_modules(write(content))
