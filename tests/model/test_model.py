"""Reader: an answer depends on its own prompt and vector alone."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tiny_models import FAMILIES, tiny_reader
from vecspeak.errors import UserError
from vecspeak.model.prompt import PromptTemplate
from vecspeak.model.reader import IGNORED

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((2, 6)).astype(np.float32)
LONG = PromptTemplate("Describe the movie, and what it is about: {x} {y}").fill({"x": X, "y": Y})
SHORT = PromptTemplate("Sum up {x}.").fill({"x": Y})


@torch.no_grad()
def last_logits(reader, prompts):
    embeds, mask = reader.embed_prompts(prompts)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    return reader.language_model(inputs_embeds=embeds, attention_mask=mask, position_ids=positions).logits[
        :, -1
    ]


def greedy(reader, prompts):
    embeds, mask = reader.embed_prompts(prompts)
    ids = reader.language_model.generate(
        inputs_embeds=embeds, attention_mask=mask, max_new_tokens=8, do_sample=False, pad_token_id=1
    )
    return [row.tolist() for row in ids]


@pytest.mark.parametrize("family", FAMILIES)
def test_left_padding_does_not_change_the_logits_of_an_answer(family):
    reader = tiny_reader(family)
    together, alone = last_logits(reader, [SHORT, LONG]), last_logits(reader, [SHORT])
    assert torch.allclose(together[0], alone[0], atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_in_a_batch_is_the_answer_alone(family):
    reader = tiny_reader(family)
    together = greedy(reader, [SHORT, LONG])
    assert together == [greedy(reader, [prompt])[0] for prompt in (SHORT, LONG)]


def test_two_prompts_get_two_answers():
    first, second = greedy(tiny_reader(), [SHORT, LONG])
    assert first != second


def test_the_vectors_of_a_prompt_are_read_in_the_order_of_their_slots():
    reader = tiny_reader()
    embeds, _ = reader.embed_prompts([LONG])
    soft = reader.soft_tokens([X, Y]).flatten(0, 1)
    at = torch.isclose(embeds[0, :, None], soft, atol=1e-6).all(-1).nonzero()
    assert at[:, 1].tolist() == [0, 1, 2, 3]


def test_another_vector_gives_other_logits():
    reader = tiny_reader()
    other = PromptTemplate("Sum up {x}.").fill({"x": X})
    assert not torch.allclose(last_logits(reader, [SHORT]), last_logits(reader, [other]), atol=1e-2)


def test_a_prompt_without_vectors_can_be_asked():
    reader = tiny_reader()
    embeds, mask = reader.embed_prompts([("What is a vector?",)])
    assert embeds.shape[:2] == mask.shape


def test_answer_losses_are_the_cross_entropy_of_the_answer_tokens_alone():
    reader = tiny_reader()
    prompt = reader.build_input_ids(["Sum up ", None])
    rows = [prompt + [30, 31, 32], [*prompt, 40, *([1] * 2)]]
    ids, labels = torch.tensor(rows), torch.full((2, len(rows[0])), IGNORED)
    labels[0, len(prompt) :] = ids[0, len(prompt) :]
    labels[1, len(prompt)] = 40
    with torch.no_grad():
        sums, counts = reader.answer_losses(ids, labels, torch.from_numpy(np.stack([X, Y])))
        embeds, _ = reader.embed_prompts([("Sum up ", *SHORT[1:2])])
        only = F.cross_entropy(reader.language_model(inputs_embeds=embeds).logits[0, -1:], torch.tensor([40]))
    assert counts.tolist() == [3, 1]
    assert sums[1].item() == pytest.approx(only.item(), abs=1e-4)


def test_padding_on_the_right_does_not_change_the_losses():
    reader = tiny_reader()
    prompt = reader.build_input_ids([None])
    ids = torch.tensor([[*prompt, 30, 31]])
    labels = torch.full_like(ids, IGNORED)
    labels[0, -2:] = ids[0, -2:]
    vectors = torch.from_numpy(X[None])
    with torch.no_grad():
        sums, _ = reader.answer_losses(ids, labels, vectors)
        padded, _ = reader.answer_losses(
            F.pad(ids, (0, 5), value=1), F.pad(labels, (0, 5), value=IGNORED), vectors
        )
    assert padded.item() == pytest.approx(sums.item(), abs=1e-4)


def test_a_vector_of_another_width_is_refused_with_both_widths():
    with pytest.raises(UserError, match=r"takes vectors of 6 numbers, got shape \(4,\)"):
        tiny_reader().soft_tokens([np.ones(4, np.float32)])


def test_an_answer_ends_at_the_end_of_the_turn():
    reader = tiny_reader()
    assert reader.stop_ids == [reader.tokenizer.convert_tokens_to_ids("<|im_end|>")]
