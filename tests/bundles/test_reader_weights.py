"""Weights: a saved reader answers as the trained one did, and its LoRA is PEFT's own."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tiny_models import base_folder, tiny_recipe
from vecspeak.bundles import ReaderCard, load_bundle, save_bundle
from vecspeak.bundles.contents import file_digests
from vecspeak.bundles.weights import adapter_card, average_readers, load_reader, merge_lora, save_reader
from vecspeak.errors import UserError
from vecspeak.model.pretrained import model_digest
from vecspeak.model.prompt import PromptTemplate
from vecspeak.training.run import fresh_reader
from worlds import trained_folder

VECTORS = np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)
PROMPT = PromptTemplate("Compare {x} with {y}.").fill({"x": VECTORS[0], "y": VECTORS[1]})
IDS = torch.tensor([[5, 40, 7, 9, 200, 31, 8]])


@pytest.fixture(scope="module")
def trained():
    """A reader as training leaves it: bfloat16 base, LoRA attached, here with a LoRA that does much."""
    reader = fresh_reader(tiny_recipe(base_folder()), 6, device="cpu")
    torch.manual_seed(5)
    for name, parameter in reader.language_model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    reader.adapter.set_statistics(torch.randn(50, 6) + 0.5)
    return reader


def card_of(reader):
    adapter, chat = adapter_card(reader)
    return ReaderCard(
        base_model=str(base_folder()),
        base_sha256=model_digest(str(base_folder())),
        encoder="words",
        encoder_sha256="",
        adapter=adapter,
        chat=chat,
    )


@pytest.fixture
def folder(tmp_path, trained):
    save_reader(tmp_path / "reader.bundle", trained, name="toy", card=card_of(trained))
    return tmp_path / "reader.bundle"


@torch.no_grad()
def logits(reader):
    embeds, mask = reader.embed_prompts([PROMPT])
    return reader.language_model(inputs_embeds=embeds, attention_mask=mask).logits[0]


def test_a_saved_reader_has_the_logits_of_the_trained_one(folder, trained):
    loaded = load_reader(load_bundle(folder))
    wanted = logits(dataclasses.replace(trained, language_model=trained.language_model.float()))
    assert wanted.std() > 0.5
    assert torch.allclose(logits(loaded), wanted, atol=0.02 * wanted.std().item())


def test_without_its_lora_a_reader_answers_otherwise(folder, trained):
    loaded = load_reader(load_bundle(folder))
    bare = fresh_reader(tiny_recipe(base_folder()), 6, device="cpu")
    bare = dataclasses.replace(loaded, language_model=bare.language_model.float())
    assert (logits(bare) - logits(loaded)).abs().mean() > 0.2


@torch.no_grad()
def test_an_untouched_reader_is_the_base_itself_with_the_same_adapter(folder):
    """What baselines are made with: not one weight of the language model is other than the base's."""
    from transformers import AutoModelForCausalLM

    opened = load_bundle(folder)
    whole, untouched = load_reader(opened), load_reader(opened, base_model=True)
    base = AutoModelForCausalLM.from_pretrained(base_folder(), dtype=torch.float32, local_files_only=True)
    assert torch.equal(untouched.language_model(IDS).logits, base(IDS).logits)
    assert (whole.language_model(IDS).logits - base(IDS).logits).abs().mean() > 0.2
    assert (logits(whole) - logits(untouched)).abs().mean() > 0.2
    assert torch.equal(whole.soft_tokens(list(VECTORS)), untouched.soft_tokens(list(VECTORS)))
    assert untouched.chat == whole.chat and untouched.stop_ids == whole.stop_ids


def test_what_is_untouched_is_loaded_in_the_precision_that_is_asked_for(folder):
    untouched = load_reader(load_bundle(folder), base_model=True, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in untouched.language_model.parameters()} == {torch.bfloat16}
    assert torch.isfinite(logits(untouched)).all()


def test_the_saved_lora_is_pefts_own_format(folder):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(base_folder(), dtype=torch.float32, local_files_only=True)
    theirs = PeftModel.from_pretrained(base, folder / "reader" / "lora").merge_and_unload()
    ours = load_reader(load_bundle(folder)).language_model
    with torch.no_grad():
        assert torch.allclose(ours(IDS).logits, theirs(IDS).logits, atol=1e-4)


def test_the_saved_lora_names_the_base_and_no_place_on_this_machine(tmp_path, trained):
    card = dataclasses.replace(card_of(trained), base_model="some-known-model")
    save_reader(tmp_path / "b", trained, name="toy", card=card)
    text = (tmp_path / "b" / "reader" / "lora" / "adapter_config.json").read_text()
    config = json.loads(text)
    assert config["base_model_name_or_path"] == "some-known-model"
    assert config["target_modules"] == ["down_proj", "o_proj", "q_proj", "v_proj"]
    assert str(base_folder()) not in text


def test_weights_are_saved_in_half_precision_and_nothing_of_the_base(folder, trained):
    lora = load_file(folder / "reader" / "lora" / "adapter_model.safetensors")
    adapter = load_file(folder / "reader" / "adapter.safetensors")
    assert {value.dtype for value in [*lora.values(), *adapter.values()]} == {torch.float16}
    assert len(lora) == 2 * 4 * 2
    assert set(adapter) == set(trained.adapter.state_dict())


def test_a_bundle_of_a_reader_has_its_digests_and_no_space(folder):
    opened = load_bundle(folder)
    assert set(opened.manifest.files) == {
        "reader/adapter.safetensors",
        "reader/lora/adapter_config.json",
        "reader/lora/adapter_model.safetensors",
    }
    assert opened.entries == {}


def test_a_reader_can_be_loaded_in_low_precision_with_its_adapter_in_float32(folder):
    loaded = load_reader(load_bundle(folder), dtype=torch.bfloat16)
    assert loaded.language_model.dtype == torch.bfloat16
    assert loaded.adapter.expand.weight.dtype == torch.float32
    assert torch.isfinite(logits(loaded)).all()


def test_merging_adds_the_scaled_product():
    layer = torch.nn.Sequential(torch.nn.Linear(3, 2, bias=False))
    before = layer[0].weight.detach().clone()
    down, up = torch.randn(1, 3), torch.randn(2, 1)
    lora = {"base_model.model.0.lora_A.weight": down, "base_model.model.0.lora_B.weight": up}
    assert merge_lora(layer, lora, 2.0) == 1
    assert torch.allclose(layer[0].weight, before + 2 * up @ down)


@pytest.mark.parametrize(("name", "width"), [("1", 3), ("0", 4)])
def test_a_lora_that_does_not_fit_is_refused(name, width):
    lora = {
        f"base_model.model.{name}.lora_A.weight": torch.ones(1, width),
        f"base_model.model.{name}.lora_B.weight": torch.ones(2, 1),
    }
    with pytest.raises(UserError, match=f"the LoRA names {name}, which does not fit"):
        merge_lora(torch.nn.Sequential(torch.nn.Linear(3, 2)), lora, 1.0)


def rewrite(folder, relative, change):
    """Change a file of the reader and give it the right digest, as a faulty tool would."""
    path = folder / relative
    change(path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = file_digests(folder, "reader")
    (folder / "manifest.json").write_text(json.dumps(manifest))


def without_a_tensor(path):
    state = load_file(path)
    state.popitem()
    save_file(state, path)


@pytest.mark.parametrize(
    ("relative", "change"),
    [
        ("reader/adapter.safetensors", lambda path: path.write_bytes(path.read_bytes()[:-9])),
        ("reader/adapter.safetensors", without_a_tensor),
        ("reader/lora/adapter_model.safetensors", lambda path: path.write_bytes(b"garbage")),
        ("reader/lora/adapter_config.json", lambda path: path.write_text("[]")),
        ("reader/lora/adapter_config.json", lambda path: path.write_text('{"r": 0, "lora_alpha": 1}')),
    ],
)
def test_a_reader_whose_parts_do_not_fit_is_one_user_error(folder, relative, change):
    rewrite(folder, relative, change)
    with pytest.raises(UserError, match="the reader in .* is damaged"):
        load_reader(load_bundle(folder))


def test_a_lora_with_half_of_a_pair_is_refused(folder):
    rewrite(folder, "reader/lora/adapter_model.safetensors", without_a_tensor)
    with pytest.raises(UserError, match="the LoRA lacks one of the pair of base_model.model"):
        load_reader(load_bundle(folder))


def test_an_adapter_of_another_size_than_the_card_says_is_refused(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["reader"]["adapter"]["hidden_dim"] = 7
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="the reader in .* is damaged .*size mismatch"):
        load_reader(load_bundle(folder))


def test_a_save_that_fails_midway_leaves_the_old_reader(folder, trained, monkeypatch):
    before = load_bundle(folder).manifest

    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("vecspeak.bundles.weights._save_lora", fail)
    with pytest.raises(KeyboardInterrupt):
        save_reader(folder, trained, name="other", card=card_of(trained))
    assert load_bundle(folder).manifest == before


@pytest.mark.parametrize("share", [0, 0.25, 1])
def test_a_reader_between_two_lies_at_its_share_of_the_way(tmp_path, share):
    after = load_bundle(trained_folder())
    before = save_bundle(tmp_path / "before", source=after, name="before", entries={})
    path = before.folder / "reader" / "adapter.safetensors"
    moved = {key: value + 1 for key, value in load_file(path).items()}
    save_file(moved, path)
    average_readers(tmp_path / "mean", before, after, share, name="mean")
    mean = load_bundle(tmp_path / "mean")
    found = load_file(mean.folder / "reader" / "adapter.safetensors")
    for key, value in load_file(after.folder / "reader" / "adapter.safetensors").items():
        assert torch.allclose(found[key].float(), value.float() + 1 - share, atol=5e-3)
    assert mean.manifest.reader.data["averaged"]["share"] == share and not mean.manifest.reader.scores


def test_readers_of_other_shapes_have_no_mean(tmp_path):
    after = load_bundle(trained_folder())
    before = save_bundle(tmp_path / "before", source=after, name="before", entries={})
    path = before.folder / "reader" / "adapter.safetensors"
    save_file({key: value.flatten()[:1] for key, value in load_file(path).items()}, path)
    with pytest.raises(UserError, match="other shapes"):
        average_readers(tmp_path / "mean", before, after, 0.5, name="mean")
    assert not (tmp_path / "mean").exists()
