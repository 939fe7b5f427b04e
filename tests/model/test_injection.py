"""Injection: where soft tokens stand, and the law that a token's own embedding changes nothing."""

import pytest
import torch

from tiny_models import FAMILIES, tiny_model, tiny_tokenizer
from vecspeak.model.inject import inject, pad_left, token_norm
from vecspeak.model.prompt import (
    CHATML,
    PLACEHOLDER,
    Vector,
    build_input_ids,
    segments_of,
    whole_answer,
    with_beginning,
)


@pytest.mark.parametrize("family", FAMILIES)
def test_injecting_a_models_own_token_embeddings_gives_the_logits_of_the_plain_text(family):
    model = tiny_model(family)
    embedding = model.get_input_embeddings()
    ids = torch.tensor([[5, 40, 7, 9, 200, 31, 8], [6, 1, 90, 3, 12, 250, 44]])
    with_slots = ids.clone()
    with_slots[0, 1:3] = with_slots[0, 4:6] = with_slots[1, 2:4] = PLACEHOLDER
    own = embedding(torch.stack([ids[0, 1:3], ids[0, 4:6], ids[1, 2:4]]))
    with torch.no_grad():
        plain = model(input_ids=ids).logits
        injected = model(inputs_embeds=inject(with_slots, own, embedding)).logits
    assert torch.equal(plain, injected)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_token_norm_is_that_of_what_the_model_feeds_itself(family):
    model = tiny_model(family)
    embedding = model.get_input_embeddings()
    wanted = embedding(torch.arange(290)).norm(dim=-1).mean().item()
    assert token_norm(embedding, 290) == pytest.approx(wanted, rel=1e-5)


def test_gemma_3_scales_its_embeddings_and_the_token_norm_follows():
    embedding = tiny_model("gemma3").get_input_embeddings()
    unscaled = embedding.weight.norm(dim=-1).mean().item()
    assert token_norm(embedding, 290) == pytest.approx(unscaled * 32**0.5, rel=1e-2)


def test_a_question_is_laid_out_as_chat_with_k_slots_a_vector():
    tokenizer = tiny_tokenizer()
    ids = build_input_ids(["Compare ", None, " with ", None, "."], tokenizer, CHATML, 3)
    text = "".join("*" if i == PLACEHOLDER else tokenizer.decode([i]) for i in ids)
    assert text == ("<|im_start|>user\nCompare *** with ***.<|im_end|>\n<|im_start|>assistant\n")


def test_two_vectors_side_by_side_have_no_token_between_them():
    ids = build_input_ids([None, None], tiny_tokenizer(), CHATML, 2)
    at = [index for index, i in enumerate(ids) if i == PLACEHOLDER]
    assert at == list(range(at[0], at[0] + 4))


def test_a_beginning_stands_where_a_target_of_training_would():
    tokenizer = tiny_tokenizer()
    prompt = ("Praise ", Vector(values=torch.zeros(2).numpy()), ".")
    begun = with_beginning(prompt, "I loved it:")
    plain, forced = (build_input_ids(segments_of(one), tokenizer, CHATML, 2) for one in (prompt, begun))
    assert forced == plain + tokenizer.encode("I loved it:", add_special_tokens=False)
    assert with_beginning(prompt, "") == prompt
    assert whole_answer(begun, "the songs.") == "I loved it: the songs."
    assert whole_answer(begun, "") == "" and whole_answer(prompt, "It sings.") == "It sings."


def test_soft_tokens_stand_at_the_slots_in_reading_order():
    embedding = torch.nn.Embedding(10, 2)
    ids = torch.tensor(
        [[3, PLACEHOLDER, PLACEHOLDER, 4], [PLACEHOLDER, PLACEHOLDER, PLACEHOLDER, PLACEHOLDER]]
    )
    soft = torch.arange(12.0).reshape(3, 2, 2)
    embeds = inject(ids, soft, embedding)
    assert torch.equal(embeds[0, 1:3], soft[0])
    assert torch.equal(embeds[1], soft[1:].flatten(0, 1))
    assert torch.equal(embeds[0, [0, 3]], embedding.weight[[3, 4]])


@pytest.mark.parametrize("num_vectors", [0, 1, 3])
def test_slots_and_soft_tokens_must_count_the_same(num_vectors):
    ids = torch.tensor([[PLACEHOLDER, PLACEHOLDER, PLACEHOLDER, PLACEHOLDER]])
    with pytest.raises(ValueError, match=f"have 4 .* slots, the vectors make {2 * num_vectors}"):
        inject(ids, torch.zeros(num_vectors, 2, 8), torch.nn.Embedding(10, 8))


def test_padding_on_the_left_keeps_the_ends_in_line():
    ids, mask = pad_left([[1, 2, 3], [4]], 9)
    assert ids.tolist() == [[1, 2, 3], [9, 9, 4]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]


def test_pieces_of_a_prompt_have_none_for_each_vector():
    assert segments_of(("a ", Vector(torch.zeros(2).numpy()), "b")) == ["a ", None, "b"]
