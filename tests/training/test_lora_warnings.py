"""A LoRA is attached without a warning that the person can do nothing about, and no other one is hidden."""

import warnings

import pytest

from tiny_models import tiny_model
from vecspeak.training.lora import attach_lora
from vecspeak.training.recipe import Lora


def test_no_warning_of_a_name_that_peft_asks_for():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attach_lora(tiny_model(), Lora(rank=2, alpha=4, targets=("q_proj",)))


def test_other_warnings_are_still_shown(monkeypatch):
    def warns(*given, **more):
        warnings.warn("something else is deprecated", FutureWarning, stacklevel=2)

    monkeypatch.setattr("peft.get_peft_model", warns)
    with pytest.warns(FutureWarning, match="something else"):
        attach_lora(tiny_model(), Lora(rank=2, alpha=4, targets=("q_proj",)))
