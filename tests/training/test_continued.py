"""Continued: a reader that starts from a saved one is that reader, to the last digit, and another shape is refused."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tiny_models import base_folder, tiny_recipe
from vecspeak.bundles import load_bundle
from vecspeak.bundles.weights import load_reader
from vecspeak.errors import UserError
from vecspeak.training.batching import collate, make_rows
from vecspeak.training.dataset import Example
from vecspeak.training.feed import step_input
from vecspeak.training.loss import row_losses
from vecspeak.training.run import check_start, continue_reader, fresh_reader
from vecspeak.training.step import StepLoss
from worlds import ENCODER, PAIRS, trained_folder

RECIPE = tiny_recipe(base_folder(), base={"model": str(base_folder()), "encoder": ENCODER.name})


def started(recipe=RECIPE):
    return continue_reader(fresh_reader(recipe, ENCODER.dim, device="cpu"), load_bundle(trained_folder()))


def some_rows(reader):
    examples = [
        Example(task="describe", question="Describe {x}.", rows=(row,), target=PAIRS[row])
        for row in range(12)
    ]
    return make_rows(examples, reader)


def first_loss(reader):
    rows = some_rows(reader)
    return StepLoss(reader)(step_input(collate(rows, 1), ENCODER.encode(PAIRS[:12]), 2)).item()


def test_the_first_loss_is_that_of_the_reader_it_starts_from():
    """Its weights are those of the file, unrounded; merged as a saved reader is, only the rounding differs."""
    reader = started()
    rows, vectors = some_rows(reader), list(ENCODER.encode(PAIRS[:12])[:, None])
    sums, counts = row_losses(load_reader(load_bundle(trained_folder())), rows, vectors)
    assert first_loss(reader) == pytest.approx(sums.sum() / counts.sum(), abs=0.02)
    wide = dataclasses.replace(reader, language_model=reader.language_model.float())
    assert first_loss(wide) == pytest.approx(sums.sum() / counts.sum(), abs=1e-5)
    assert first_loss(fresh_reader(RECIPE, ENCODER.dim, device="cpu")) > first_loss(reader) + 1


def test_every_number_of_the_start_is_there():
    reader, folder = started(), load_bundle(trained_folder()).reader_folder
    state = reader.adapter.state_dict()
    for name, value in load_file(folder / "adapter.safetensors").items():
        assert torch.equal(state[name], value.float()), name
    named = dict(reader.language_model.named_parameters())
    lora = load_file(folder / "lora" / "adapter_model.safetensors")
    assert len(lora) == sum("lora_" in name for name in named)
    for key, value in lora.items():
        name = key.removeprefix("base_model.model.").replace(".weight", ".default.weight")
        assert torch.equal(named[name], value.to(named[name].dtype)), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"adapter": {"hidden_dim": 64, "num_soft_tokens": 2}}, r"adapter.hidden_dim = 64, .* has 32"),
        ({"adapter": {"hidden_dim": 32, "num_soft_tokens": 4}}, r"num_soft_tokens = 4, .* has 2"),
        ({"lora": {"rank": 4, "alpha": 16, "targets": ["q_proj"]}}, r"lora.rank = 4, .* has 8"),
        (
            {"lora": {"rank": 8, "alpha": 16, "targets": ["q_proj"]}},
            r"lora.targets = \['q_proj'\], .* has \['down_proj', 'o_proj', 'q_proj', 'v_proj'\]",
        ),
        ({"lora": {"rank": 8, "alpha": 8, "targets": ["q_proj"]}}, r"lora.alpha = 8, .* has 16"),
        ({"base": {"model": "other", "encoder": "words"}}, r"base.model = other, .* has "),
    ],
)
def test_a_start_of_another_shape_is_refused_and_both_are_named(changes, message):
    base = {"base": {"model": str(base_folder()), "encoder": ENCODER.name}}
    with pytest.raises(UserError, match=message):
        check_start(tiny_recipe(**{**base, **changes}), load_bundle(trained_folder()), ENCODER.dim)


def test_a_start_that_reads_other_vectors_is_refused():
    start = load_bundle(trained_folder())
    check_start(RECIPE, start, ENCODER.dim)
    with pytest.raises(UserError, match="vectors of numbers = 384, .* has 16"):
        check_start(RECIPE, start, 384)


def test_a_low_rank_change_that_is_not_whole_is_told(tmp_path):
    from vecspeak.storage import copy_folder

    copy_folder(trained_folder(), tmp_path / "start")
    start = load_bundle(tmp_path / "start")
    path = start.reader_folder / "lora" / "adapter_model.safetensors"
    lora = load_file(path)
    save_file({name: value for name, value in lora.items() if "layers.1" not in name}, path)
    with pytest.raises(UserError, match="is damaged .*layers.1"):
        continue_reader(fresh_reader(RECIPE, ENCODER.dim, device="cpu"), start)


def test_vectors_are_read_with_the_statistics_of_the_start():
    reader = started()
    assert np.abs(reader.adapter.center_N.numpy()).max() > 0
    saved = load_file(load_bundle(trained_folder()).reader_folder / "adapter.safetensors")
    assert torch.equal(reader.adapter.spread, saved["spread"].float())
