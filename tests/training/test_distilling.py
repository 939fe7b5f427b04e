"""Distilling: what is told lines up with what is read, token by token, and the untouched model is untouched."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from packed import QUESTIONS, TARGETS, VECTORS

from tiny_models import base_folder, tiny_recipe
from vecspeak.training import distilling
from vecspeak.training import loss as head
from vecspeak.training.batching import PaddedPlan, make_rows, plan_packs
from vecspeak.training.dataset import Example
from vecspeak.training.distilling import ToldRows, told_example, told_states, without_lora
from vecspeak.training.feed import Feed
from vecspeak.training.recipe import Noise
from vecspeak.training.run import fresh_reader
from vecspeak.training.step import StepLoss

TOLD = ("A shark near {an} island.", "", "Two friends, a bank. " * 9, "x")


def a_reader(*, changed=True):
    """A reader with its LoRA attached: changed so that it says something else, or still at zero."""
    reader = fresh_reader(tiny_recipe(base_folder()), 6, device="cpu")
    torch.manual_seed(3)
    for name, parameter in reader.language_model.named_parameters():
        if "lora_B" in name and changed:
            torch.nn.init.normal_(parameter, std=0.2)
    return dataclasses.replace(reader, language_model=reader.language_model.float())


def some_examples(count=9):
    questions = [QUESTIONS[i % 4] for i in range(count)]
    return [
        Example(
            task="t",
            question=question,
            rows=tuple((3 * i + slot) % 64 for slot in range(question.count("{"))),
            target=TARGETS[i % 5],
            told=TOLD[i % 3],
        )
        for i, question in enumerate(questions)
    ]


def a_feed(reader, examples, *, packed=False):
    rows = make_rows(examples, reader)
    told = make_rows([told_example(example) for example in examples], reader)
    numbers = np.array([i if example.told else -1 for i, example in enumerate(examples)])
    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    return Feed(
        rows=rows,
        vectors=VECTORS,
        plan=plan_packs(rows, 512, 512, 0) if packed else PaddedPlan([order]),
        noise=Noise(),
        seed=0,
        pad_id=1,
        num_soft_tokens=2,
        told=ToldRows(told, numbers),
    )


def reference(reader, examples, share):
    """Mean loss over all answer tokens in float64, one row at a time, from whole logits."""
    total, count = torch.zeros((), dtype=torch.float64), 0
    for example in examples:
        row = make_rows([example], reader)[0]
        told = make_rows([told_example(example)], reader)[0]
        feed = a_feed(reader, [dataclasses.replace(example, told="")])
        hidden = StepLoss(reader).states(feed[0])[0, row.num_prompt - 1 : -1]
        weight = reader.language_model.get_output_embeddings().weight.double()
        logs = F.log_softmax(hidden.double() @ weight.T, -1)
        labels = torch.from_numpy(row.ids[row.num_prompt :].astype(np.int64))
        likely = F.nll_loss(logs, labels, reduction="sum")
        if example.told:
            with torch.no_grad(), without_lora(reader.language_model):
                ids = torch.from_numpy(told.ids.astype(np.int64))[None]
                scores = reader.language_model(input_ids=ids, use_cache=False).logits[
                    0, told.num_prompt - 1 : -1
                ]
            wanted = F.log_softmax(scores.double(), -1)
            likely = (1 - share) * likely + share * F.kl_div(logs, wanted, reduction="sum", log_target=True)
        total, count = total + likely, count + len(labels)
    return total / count


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_the_loss_and_its_gradients_are_those_of_whole_logits_row_by_row(share, packed, monkeypatch):
    monkeypatch.setattr(head, "_CHUNK", 7)
    monkeypatch.setattr(distilling, "_MAX_TOKENS", 300)
    reader, examples = a_reader(), some_examples()
    made = a_feed(reader, examples, packed=packed)[0]
    assert made.num_rows == len(examples) and len(made.told.parts) > 1
    parameters = list(reader.adapter.parameters())
    ours, wanted = StepLoss(reader, distill=share)(made), reference(reader, examples, share)
    assert ours.item() == pytest.approx(wanted.item(), rel=1e-4)
    pairs = zip(torch.autograd.grad(ours, parameters), torch.autograd.grad(wanted, parameters), strict=True)
    for one, other in pairs:
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)


def test_a_reader_that_reads_what_its_teacher_reads_is_at_no_distance_from_it():
    told = "A shark hunts swimmers off a quiet island."
    asked = Example(task="t", question=told, rows=(), target="A shark.", told=told)
    vector = dataclasses.replace(some_examples(1)[0], told="")  # beside it, a row of which nothing is told
    same, changed = a_reader(changed=False), a_reader()
    losses = {}
    for name, reader in (("same", same), ("changed", changed)):
        reader.adapter.requires_grad_(True)
        made = a_feed(reader, [asked, vector])[0]
        made = dataclasses.replace(made, told=dataclasses.replace(made.told, rest_R=made.told.rest_R[:0]))
        losses[name] = StepLoss(reader, distill=1.0)(made)
    assert losses["same"].item() == pytest.approx(0, abs=1e-6)
    assert losses["changed"].item() > 0.1
    gradients = torch.autograd.grad(losses["same"], list(same.adapter.parameters()), allow_unused=True)
    assert all(one is None or one.abs().max() < 1e-6 for one in gradients)


def test_what_is_told_is_read_without_the_lora_and_the_lora_is_as_it_was_afterwards():
    plain, changed = a_reader(changed=False), a_reader()
    named = dict(changed.language_model.named_parameters())
    for name, parameter in named.items():
        parameter.requires_grad_("q_proj.lora_A" in name)
    told = a_feed(plain, some_examples())[0].told
    with without_lora(changed.language_model), pytest.raises(KeyError):
        raise KeyError
    assert torch.equal(told_states(changed, told), told_states(plain, told))
    assert {name for name, p in named.items() if p.requires_grad} == {
        n for n in named if "q_proj.lora_A" in n
    }
    ids = torch.arange(9)[None]
    assert not torch.equal(changed.language_model(ids).logits, plain.language_model(ids).logits)


def test_without_a_share_nothing_is_told_and_the_loss_is_as_it_was():
    reader, examples = a_reader(), some_examples()
    made = a_feed(reader, examples)[0]
    bare = dataclasses.replace(made, told=None)
    assert StepLoss(reader)(made).item() == StepLoss(reader)(bare).item()
    assert a_feed(reader, [dataclasses.replace(one, told="") for one in examples])[0].told is None


def test_answers_that_do_not_line_up_are_refused():
    reader, examples = a_reader(), some_examples(2)
    feed = a_feed(reader, examples)
    other = make_rows([dataclasses.replace(told_example(one), target="Else.") for one in examples], reader)
    with pytest.raises(ValueError, match="have different answers"):
        dataclasses.replace(feed, told=ToldRows(other, np.arange(2)))[0]


def test_the_input_of_a_step_moves_as_a_whole():
    made = a_feed(a_reader(), some_examples())[0].to(torch.device("cpu"))
    assert made.told.told_D.tolist() and made.told.rest_R.tolist()
    both = torch.cat([made.told.told_D, made.told.rest_R])
    assert sorted(both.tolist()) == list(range(made.num_answers))
