"""A stranger's bundle runs nothing and reads nothing outside itself: its manifest names models, and no places."""

import json
import os
import shutil

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import tiny_models
from fakes import WordEncoder, note_files
from tiny_models import base_folder
from vecspeak import VecSpeak, building
from vecspeak.bundles import checking, load_bundle
from vecspeak.bundles.checking import name_models
from vecspeak.bundles.weights import load_reader
from vecspeak.encoders.text import load_encoder, load_named_encoder, sentence_transformers
from vecspeak.engines import open_engine
from vecspeak.engines.prepared import open_prepared
from vecspeak.errors import UserError
from vecspeak.inputs import selected_task_set
from vecspeak.model import named
from vecspeak.model.pretrained import model_digest, model_title
from worlds import bundle as world

SAFE = (
    [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}],
    [{"idx": 0, "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}],
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Nothing was named here but by the test itself."""
    monkeypatch.setattr(named, "_FILE", tmp_path / "models.json")


@pytest.fixture
def change(bundle):
    """Change the manifest of the bundle of things; the folder."""

    def made(edit):
        values = json.loads((bundle / "manifest.json").read_text())
        edit(values)
        (bundle / "manifest.json").write_text(json.dumps(values))
        return bundle

    return made


def evil_encoder(folder, mark):
    """A folder whose modules.json names a class of a file of its own, which writes the mark when it is run."""
    folder.mkdir()
    (folder / "modules.json").write_text(
        json.dumps([{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}])
    )
    (folder / "config_sentence_transformers.json").write_text("{}")
    (folder / "config.json").write_text(json.dumps({"model_type": "zzz"}))
    save_file({"a": np.zeros(1, np.float32)}, folder / "model.safetensors")
    (folder / "evil.py").write_text(
        f"open({str(mark)!r}, 'w')\nimport torch\nclass Evil(torch.nn.Module):\n    pass\n"
    )
    return folder


def evil_base(folder, mark):
    """A folder whose config.json names a class of a file of its own."""
    folder.mkdir()
    config = {"model_type": "zzz", "auto_map": {"AutoConfig": "evil.EvilConfig"}}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({"a": np.zeros(1, np.float32)}, folder / "model.safetensors")
    (folder / "evil.py").write_text(
        f"open({str(mark)!r}, 'w')\nfrom transformers import PretrainedConfig\n"
        "class EvilConfig(PretrainedConfig):\n    model_type = 'zzz'\n"
    )
    return folder


def test_an_encoder_inside_the_bundle_is_not_opened(change, bundle, tmp_path):
    inside = evil_encoder(bundle / "x", tmp_path / "mark")
    opened = VecSpeak.load(change(lambda values: values["reader"].update(encoder=str(inside))))
    with pytest.raises(UserError, match="names the encoder .* without a digest"):
        _ = opened.encoder
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("engine", ["transformers", "openvino"])
def test_a_base_model_inside_the_bundle_is_not_opened(change, bundle, tmp_path, engine):
    inside = evil_base(bundle / "x", tmp_path / "mark")
    opened = load_bundle(change(lambda values: values["reader"].update(base_model=str(inside))))
    with pytest.raises(
        UserError, match=r"names the language model .* (is not followed|without a digest)|is damaged"
    ):
        open_engine(opened, engine)
    with pytest.raises(UserError):
        load_reader(opened)
    assert not (tmp_path / "mark").exists()


def test_a_name_of_the_hub_and_a_folder_of_the_working_directory_are_not_looked_for(
    change, tmp_path, monkeypatch
):
    shutil.copytree(base_folder(), tmp_path / "some" / "model")
    monkeypatch.chdir(tmp_path)
    for name in ("some/model", "Qwen/Qwen3-0.6B", "."):
        folder = change(lambda values, name=name: values["reader"].update(base_model=name))
        with pytest.raises(UserError, match="which is none of the package's"):
            named.base_place(load_bundle(folder).manifest.reader.base_model, "")


def test_code_is_not_run_even_where_a_person_names_the_folder(tmp_path):
    folder = evil_encoder(tmp_path / "x", tmp_path / "mark")
    for call in (load_encoder, sentence_transformers):
        with pytest.raises(UserError, match=r"modules.json names the module 'evil.Evil', and no code"):
            call(str(folder) if call is load_encoder else folder)
    assert not (tmp_path / "mark").exists()


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A bundle of a reader whose base model is known by its digest alone, under a name of another machine."""
    opened = world(tmp_path / "made.bundle")
    monkeypatch.setattr(tiny_models, "NAMED", {})
    values = json.loads((opened.folder / "manifest.json").read_text())
    values["reader"].update(base_model="/home/they/tiny", base_sha256=model_digest(str(base_folder())))
    (opened.folder / "manifest.json").write_text(json.dumps(values))
    return load_bundle(opened.folder)


def test_a_base_that_a_person_names_once_opens_from_then_on(made):
    with pytest.raises(UserError, match="name it, if you trust it"):
        load_reader(made)
    vs = VecSpeak.load(made.folder, base=base_folder(), encoder=WordEncoder(), engine="transformers")
    assert vs.ask("Describe {x}.", x="Pair 3", effort="plain", max_new_tokens=4).text
    load_reader(load_bundle(made.folder))


def test_a_base_of_other_weights_is_refused_when_it_is_named(made, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(base_folder("qwen2"), other)
    with pytest.raises(UserError, match="is not the language model '/home/they/tiny' .* have the digest"):
        VecSpeak.load(made.folder, base=other)
    with pytest.raises(UserError, match="no language model"):
        VecSpeak.load(made.folder, base=tmp_path / "nowhere")


def test_a_base_that_became_another_since_it_was_named_is_refused(made, tmp_path):
    place = tmp_path / "mine"
    shutil.copytree(base_folder(), place)
    name_models(made.manifest.reader, base=place)
    load_reader(made)
    os.utime(place / "model.safetensors")
    load_reader(made)  # touched, and the same
    shutil.copy(base_folder("qwen2") / "model.safetensors", place / "model.safetensors")
    with pytest.raises(UserError, match="holds another model than the language model"):
        load_reader(made)
    shutil.rmtree(place)
    with pytest.raises(UserError, match="which is gone"):
        load_reader(made)


def test_a_digest_is_not_enough_for_an_encoder_that_nobody_named(tmp_path):
    with pytest.raises(UserError, match="VecSpeak.load.encoder='FOLDER'"):
        load_named_encoder(str(tmp_path), "00" * 32)


def test_a_task_set_in_a_manifest_is_a_name_of_the_package(change):
    learned = {"targets": {"task_sets": {"things": "/etc/hostname"}}}
    opened = load_bundle(change(lambda values: values["reader"].update(data=learned)))
    with pytest.raises(UserError, match="names the task set '/etc/hostname', and a path in a bundle is not"):
        selected_task_set(opened, "", "", {})
    assert selected_task_set(opened, "", "items", {}) == ("items", {})


FACTS = {"sha256": "0" * 64, "size": 9}


@pytest.mark.parametrize(
    "path",
    ["../../../etc/hostname", "/etc/hostname", "reader/../../x", "reader//x", "reader/./x", "reader", "", "C:\\x",
     "reader/..\\x", "reader/a:b", "spaces/things/items.parquet", "reader/\n"],
)  # fmt: skip
def test_files_of_the_reader_lie_in_its_folder(change, path):
    folder = change(lambda values: values["files"].update({path: FACTS}))
    with pytest.raises(
        UserError, match=r"Expected the path of a file inside `reader/`, got .* at `\$.files`"
    ):
        load_bundle(folder)


@pytest.mark.parametrize("path", ["../x", "/etc/hostname", "reader/adapter.safetensors", "spaces"])
def test_files_of_spaces_lie_in_their_folder(change, path):
    folder = change(lambda values: values["space_files"].update({path: FACTS}))
    with pytest.raises(UserError, match=r"inside `spaces/`, got .* at `\$.space_files`"):
        load_bundle(folder)


@pytest.mark.parametrize(
    "gone", ["adapter.safetensors", "lora/adapter_model.safetensors", "lora/adapter_config.json"]
)
def test_the_check_of_the_weights_cannot_be_left_out(change, gone):
    folder = change(lambda values: values["files"].pop(f"reader/{gone}"))
    with pytest.raises(UserError, match=f"missing required field `reader/{gone}` - at `\\$.files`"):
        load_bundle(folder)


def _linked(path, outside):
    shutil.move(path, outside)
    path.symlink_to(outside)


def _piped(path, _):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("relative", "spoil", "what"),
    [
        ("reader/adapter.safetensors", _linked, "a link"),
        ("reader", _linked, "a link"),
        ("spaces/things", _linked, "a link"),
        ("spaces/things/alignment.json", _linked, "a link"),
        ("spaces/things/distances.safetensors", _piped, "a pipe or a device"),
    ],
)
def test_links_and_pipes_are_refused(bundle, tmp_path, relative, spoil, what):
    spoil(bundle / relative, tmp_path / "outside")
    with pytest.raises(UserError, match=f"{relative} is {what}, and a bundle holds plain files alone"):
        load_bundle(bundle)


WRONG = ([], None, "text", 3, True)


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize(
    "field",
    ["base_model", "base_sha256", "encoder", "encoder_sha256", "adapter", "chat", "recipe", "data", "scores"],
)
def test_a_field_of_the_wrong_kind_is_named(change, field, wrong):
    if isinstance(wrong, str) and not field.startswith(("adapter", "chat", "recipe", "data", "scores")):
        return
    folder = change(lambda values: values["reader"].update({field: wrong}))
    with pytest.raises(UserError, match=rf"Expected .*, got .* - at `\$.reader.{field}`"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("recipe", {"targets": [1]}, "recipe.targets"),
        ("recipe", {"targets": {"space": 1}}, "recipe.targets.space"),
        ("data", {"targets": {"task_sets": {"things": 3}}}, r"data.targets.task_sets\[...\]"),
        ("data", {"targets": {"words": {"things": []}}}, r"data.targets.words\[...\]"),
        ("data", {"terms": {"movies": "mine"}}, r"data.terms\[...\]"),
        ("adapter", {"num_soft_tokens": "8"}, "adapter.num_soft_tokens"),
        ("adapter", {"num_soft_tokens": 10**9}, "adapter.num_soft_tokens"),
        ("adapter", {"token_norm": float("nan")}, "adapter.token_norm"),
        ("adapter", {"more": 1}, "adapter"),
        ("chat", {"stop": 3}, "chat.stop"),
    ],
)
def test_what_is_read_of_a_card_is_of_its_kind(change, field, value, place):
    folder = change(lambda values: values["reader"].update({field: value}))
    with pytest.raises(UserError, match=rf"manifest.json is not complete: .* - at `\$.reader.{place}`"):
        load_bundle(folder)


def test_a_manifest_has_a_size(bundle):
    with (bundle / "manifest.json").open("a") as file:
        file.write(" " * (16 << 20))
    with pytest.raises(UserError, match="a manifest has 16,777,216 at most"):
        load_bundle(bundle)


def test_a_bundle_may_itself_be_reached_by_a_link(bundle, tmp_path):
    (tmp_path / "link").symlink_to(bundle)
    note_files(bundle)
    assert load_bundle(tmp_path / "link").entry().space.name == "things"


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda values: values.update(spaces=["things"] * 2), r"\$.spaces"),
        (lambda values: values.update(spaces=[f"s{n}" for n in range(1001)]), r"\$.spaces"),
        (lambda values: values["reader"].update(chat={"before": "\ud800"}), r"\$.reader.chat"),
        (lambda values: values["reader"].update(chat={"stop": "a" * 10_001}), r"\$.reader.chat"),
        (lambda values: values["reader"].update(adapter={"num_soft_tokens": 10**6}), r"\$.reader.adapter"),
    ],
)
def test_a_manifest_has_bounds(change, edit, place):
    with pytest.raises(UserError, match=place):
        load_bundle(change(edit))


def test_folders_in_folders_end(bundle):
    inside = bundle
    for _ in range(17):
        inside = inside / "a"
    inside.mkdir(parents=True)
    for call in (load_bundle, VecSpeak.check):
        with pytest.raises(UserError, match="16 levels"):
            call(bundle)


def test_a_file_of_another_size_is_not_digested(bundle, monkeypatch):
    path = bundle / "spaces" / "things" / "items.parquet"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 1)
    (bundle / "more.bin").write_bytes(b"x")
    digested = []
    real = checking.file_digest
    monkeypatch.setattr(checking, "file_digest", lambda path: digested.append(path.name) or real(path))
    states = {one.path: one.state for one in VecSpeak.check(bundle).files}
    assert states["spaces/things/items.parquet"] == "changed" and states["more.bin"] == "extra"
    assert digested and not {"items.parquet", "more.bin"} & set(digested)


@pytest.mark.parametrize("kind", ["F8_E4M3", "F4"])
@pytest.mark.parametrize("name", ["alignment", "distances"])
def test_numbers_of_a_kind_that_numpy_has_not(bundle, name, kind):
    path = bundle / "spaces" / "things" / f"{name}.safetensors"
    with safe_open(path, framework="np") as file:
        notes = file.metadata() or {"a": "b"}
    size = 4 if kind == "F4" else 8
    tensor = {"dtype": kind, "shape": [8], "data_offsets": [0, size]}
    text = json.dumps({"__metadata__": notes, "items": tensor}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(size))
    note_files(bundle)
    with pytest.raises(UserError, match="is damaged"):
        load_bundle(bundle)


def test_a_packaged_name_is_that_of_its_weights():
    assert named.base_place("smollm2-135m-instruct", "") == "smollm2-135m-instruct"
    with pytest.raises(UserError, match="is 000000000000, the package's b179c9523d0e"):
        named.base_place("smollm2-135m-instruct", "0" * 64)
    with pytest.raises(UserError, match="is 000000000000, the package's 53aa51172d14"):
        load_named_encoder("all-minilm-l6-v2", "0" * 64)


def test_a_name_without_a_digest_opens_nothing_that_was_named(tmp_path):
    named.name_model("theirs", base_folder(), "0" * 64)
    with pytest.raises(UserError, match="without a digest"):
        named.base_place("theirs", "")


def test_an_adapter_of_other_soft_tokens_is_refused(tmp_path):
    opened = world(tmp_path / "made.bundle")
    values = json.loads((opened.folder / "manifest.json").read_text())
    values["reader"]["adapter"]["num_soft_tokens"] += 1
    (opened.folder / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match="is damaged"):
        open_prepared(load_bundle(opened.folder))
    with pytest.raises(UserError, match="is damaged"):
        load_reader(load_bundle(opened.folder))


def test_what_was_trained_with_is_noted_under_what_the_manifest_says(tmp_path, monkeypatch):
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tiny_models, "NAMED", {})
    base = base_folder()
    building._name_models(tiny_models.tiny_recipe(base), WordEncoder())
    place = named.base_place(model_title(str(base)), model_digest(str(base)))
    assert place == str(base.resolve())
    with pytest.raises(UserError, match="without a digest"):
        named.base_place(model_title(str(base)), "")
