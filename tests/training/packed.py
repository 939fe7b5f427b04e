"""Rows of many lengths, of no to three vectors, and readers of every family to pack them for."""

import numpy as np
import torch

from tiny_models import tiny_reader
from vecspeak.training.batching import collate, common_front, lay_packs, make_rows
from vecspeak.training.dataset import Example
from vecspeak.training.feed import step_input
from vecspeak.training.step import use_packed_attention

QUESTIONS = ("Describe {x}.", "Compare {x} with {y}.", "{x}{y} and {x}", "Describe a movie.")
TARGETS = ("A shark.", "Two old friends rob a bank and run.", "", "A ghost train.", "A horse laughs. " * 5)
VECTORS = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)


def some_rows(reader, count=9):
    """Rows whose vectors are numbers of VECTORS, no two rows the same."""
    examples = []
    for index in range(count):
        question = QUESTIONS[index % 4]
        used = tuple((3 * index + slot) % 64 for slot in range(question.count("{")))
        examples.append(Example(task="t", question=question, rows=used, target=TARGETS[index % 5]))
    return make_rows(examples, reader)


def a_reader(family, way, window=8):
    """A tiny reader in float32 that trains its adapter and its queries; `way` is eager, sdpa or flex."""
    reader = tiny_reader(family)
    model = reader.language_model
    if getattr(model.config, "sliding_window", None):
        model.config.sliding_window = window
    if way == "flex":
        use_packed_attention(model)
    else:
        model.set_attn_implementation(way)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("q_proj" in name or "down_proj" in name)
    return reader


def packed(rows, packs, length=512):
    """The rows, named by number, as the input of one step of packs."""
    batch = lay_packs(
        [[rows[i] for i in pack] for pack in packs], common_front(rows), length=length, pad_id=1
    )
    return step_input(batch, VECTORS[batch.rows_S], 2)


def padded(rows):
    batch = collate(rows, 1)
    return step_input(batch, VECTORS[batch.rows_S], 2)


def gradients(reader, loss):
    """By name, of everything that trains."""
    named = {f"adapter.{n}": p for n, p in reader.adapter.named_parameters()}
    named |= {n: p for n, p in reader.language_model.named_parameters() if p.requires_grad}
    return dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))
