"""The light reader is the torch reader, to rounding."""

import numpy as np
import pytest
import torch

from prepared_readers import light_adapter, prepared, rounded
from tiny_models import tiny_reader
from vecspeak.errors import UserError
from vecspeak.model.prompt import PromptTemplate

VECTORS = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)


def asked(question, *vectors):
    return PromptTemplate(question).fill(dict(zip("xyz", vectors, strict=False)))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    reader = rounded(tiny_reader())
    return reader, prepared(reader, tmp_path_factory.mktemp("light") / "one").reader


def test_soft_tokens_are_those_of_the_adapter():
    adapter = tiny_reader().adapter
    adapter.set_statistics(torch.from_numpy(VECTORS))
    with torch.no_grad():
        wanted = adapter(torch.from_numpy(VECTORS)).numpy()
    found = light_adapter(adapter)(VECTORS)
    assert found.shape == wanted.shape and found.dtype == np.float32
    assert np.allclose(found, wanted, atol=1e-5 * adapter.config.token_norm)


@pytest.mark.parametrize(
    "prompt",
    [
        asked("Describe {x}.", VECTORS[0]),
        asked("{x}", VECTORS[1]),
        asked("Compare {x} with {y}. Then {x} again.", VECTORS[2], VECTORS[3]),
        ("No vector at all.",),
    ],
)
def test_a_prompt_is_fed_as_injection_lays_it_out(both, prompt):
    reader, light = both
    with torch.no_grad():
        wanted, _ = reader.embed_prompts([prompt])
    (fed,) = light.embed_prompts([prompt])
    assert np.allclose(fed.embeds_TE, wanted[0].numpy(), atol=1e-5)


def test_prompts_fed_together_keep_their_own_vectors(both):
    _, light = both
    prompts = [asked("Compare {x} and {y}.", VECTORS[0], VECTORS[1]), ("None.",), asked("{x}?", VECTORS[2])]
    for together, prompt in zip(light.embed_prompts(prompts), prompts, strict=True):
        (alone,) = light.embed_prompts([prompt])
        assert np.allclose(together.embeds_TE, alone.embeds_TE, atol=1e-6) and together.prefix == alone.prefix


def test_the_prefix_is_what_stands_before_the_first_vector(both):
    reader, light = both
    first, second, none = light.embed_prompts(
        [asked("Describe {x}.", VECTORS[0]), asked("Describe {x} well.", VECTORS[1]), ("Describe.",)]
    )
    assert first.prefix == second.prefix and none.prefix == ()
    table = reader.embedding.weight.detach().numpy()
    assert np.allclose(first.embeds_TE[: len(first.prefix)], table[list(first.prefix)])


def test_the_prefix_of_text_is_the_long_beginning_that_it_shares(both):
    _, light = both
    texts = [f"This is known of X: {number} {'a shark hunts ' * 9}\n\n" for number in "12"]
    endings = ("Describe X.", "Write a positive review.", "Write a negative review.")
    asked_about = [(text + ending,) for ending in endings for text in texts]
    fed = light.embed_prompts([*asked_about, ("Describe X.",), ("Describe Y.",)])
    assert len({one.prefix for one in fed}) == 3
    for number, text in enumerate(texts):
        ids = light.encode(light.chat.before + text, add_special_tokens=False)
        assert {one.prefix for one in fed[number:6:2]} == {tuple(ids)}
    assert fed[6].prefix == fed[7].prefix == ()


def test_a_long_text_is_shared_by_questions_with_and_without_vectors(both):
    _, light = both
    text = "A shark hunts swimmers. " * 9
    mixed = [asked(f"{text}Describe {{x}}.", VECTORS[0]), asked(f"{text}Who likes {{x}}?", VECTORS[1])]
    fed = light.embed_prompts([*mixed, (f"{text}What is it?",)])
    assert len({one.prefix for one in fed}) == 1 and len(fed[0].prefix) >= 32
    table = light.embedding_VE.astype(np.float32)
    for one in fed:
        assert np.array_equal(one.embeds_TE[: len(one.prefix)], table[list(one.prefix)])


def test_equal_texts_share_all_but_their_last_token(both):
    _, light = both
    fed = light.embed_prompts([("A shark hunts swimmers. " * 9,)] * 3)
    assert [len(one.prefix) for one in fed] == [len(fed[0].embeds_TE) - 1] * 3


def test_a_vector_of_another_width_is_refused(both):
    with pytest.raises(UserError, match="vectors of 6 numbers"):
        both[1].embed_prompts([asked("Describe {x}.", np.ones(5, np.float32))])
