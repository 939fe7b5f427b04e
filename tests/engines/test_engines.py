import numpy as np
import pytest
import torch

from tiny_models import tiny_reader
from vecspeak.engines import Sampling, open_engine
from vecspeak.engines.base import ENGINES
from vecspeak.engines.decoding import next_tokens
from vecspeak.engines.transformers import TransformersEngine
from vecspeak.errors import UserError
from vecspeak.prompts import PromptTemplate

SAMPLING = Sampling(max_new_tokens=12)


@pytest.fixture(scope="module")
def engine():
    return TransformersEngine(tiny_reader(), batch_size=3)


def prompts(count):
    rng = np.random.default_rng(0)
    questions = ("Describe {x}.", "What is {x}?", "What does {x} say, and what is it about?")
    return [
        PromptTemplate(questions[i % 3]).fill({"x": rng.normal(size=6).astype(np.float32)})
        for i in range(count)
    ]


def test_an_answer_in_a_batch_is_the_answer_alone(engine):
    asked = prompts(7)
    together = engine.generate(asked, SAMPLING)
    assert together == [engine.generate([prompt], SAMPLING)[0] for prompt in asked]
    assert len(set(together)) > 1


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_a_batch_gives_what_transformers_itself_generates(family):
    """The stream is transformers' own `generate`; answers of several lengths leave the batch one by one."""
    engine = TransformersEngine(tiny_reader(family))
    asked = prompts(9)
    sampling = Sampling(max_new_tokens=80)
    together = engine.generate(asked, sampling)
    assert together == ["".join(engine.stream(prompt, sampling)).strip() for prompt in asked]
    assert len({len(text) for text in together}) > 2


def test_a_drawn_token_is_among_those_that_make_up_the_nucleus():
    logits = torch.tensor([[3.0, 2.0, -1.0, -9.0]]).expand(4000, 4)
    drawn = next_tokens(logits, Sampling(temperature=1.0), torch.Generator().manual_seed(0))
    share = logits[0, :2].softmax(-1)[0]  # the first two make up 98%, so that the third is cut off
    assert set(drawn.tolist()) == {0, 1}
    assert (drawn == 0).float().mean() == pytest.approx(float(share), abs=0.03)


def test_streaming_gives_the_same_text(engine):
    prompt = prompts(1)[0]
    assert "".join(engine.stream(prompt, SAMPLING)).strip() == engine.generate([prompt], SAMPLING)[0]


def test_the_same_seed_draws_the_same_answer(engine):
    warm = Sampling(max_new_tokens=12, temperature=2.0, seed=3)
    other = Sampling(max_new_tokens=12, temperature=2.0, seed=4)
    asked = prompts(3)
    assert engine.generate(asked, warm) == engine.generate(asked, warm)
    assert engine.generate(asked, warm) != engine.generate(asked, other)


def test_greedy_is_the_naive_loop(engine):
    reader, prompt = engine.reader, prompts(1)[0]
    embeds, _ = reader.embed_prompts([prompt])
    ids = []
    for _ in range(12):
        with torch.no_grad():
            token = int(reader.language_model(inputs_embeds=embeds).logits[0, -1].argmax())
        if token in reader.stop_ids:
            break
        ids.append(token)
        embeds = torch.cat([embeds, reader.embedding(torch.tensor([[token]]))], dim=1)
    assert (
        reader.tokenizer.decode(ids, skip_special_tokens=True).strip()
        == engine.generate([prompt], SAMPLING)[0]
    )


def test_an_error_while_streaming_is_raised_where_it_is_read(engine):
    wrong = PromptTemplate("Describe {x}.").fill({"x": np.ones(5, np.float32)})
    with pytest.raises(UserError, match="vectors of 6 numbers"):
        list(engine.stream(wrong, SAMPLING))


def test_an_unknown_engine_lists_those_there_are(source):
    with pytest.raises(UserError, match=", ".join(ENGINES)):
        open_engine(source, "steam")


@pytest.mark.parametrize(
    ("setting", "value"), [("max_new_tokens", 0), ("temperature", -1), ("temperature", 9)]
)
def test_settings_out_of_range_are_refused(setting, value):
    with pytest.raises(UserError, match=str(value)):
        Sampling(**{setting: value})
