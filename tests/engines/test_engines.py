import numpy as np
import pytest
import torch

from tiny_models import tiny_reader
from vecspeak.engines import Sampling, open_engine
from vecspeak.engines.base import TOP_K, TOP_P
from vecspeak.engines.registry import ENGINES
from vecspeak.engines.transformers import TransformersEngine
from vecspeak.errors import UserError
from vecspeak.model.prompt import PromptTemplate

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


def generated(reader, prompt, sampling):
    """What transformers' own `generate` makes of a prompt, alone."""
    embeds, mask = reader.embed_prompts([prompt])
    drawn = sampling.temperature > 0
    with torch.inference_mode():
        ids = reader.language_model.generate(
            inputs_embeds=embeds,
            attention_mask=mask,
            max_new_tokens=sampling.max_new_tokens,
            do_sample=drawn,
            **({"temperature": sampling.temperature, "top_k": TOP_K, "top_p": TOP_P} if drawn else {}),
            eos_token_id=reader.stop_ids,
            pad_token_id=reader.stop_ids[0],
        )
    return reader.tokenizer.decode(ids[0], skip_special_tokens=True).strip()


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gemma"])
def test_a_batch_gives_what_transformers_itself_generates(family):
    """Answers of several lengths end one by one, and the prompts that waited take their places."""
    engine = TransformersEngine(tiny_reader(family), batch_size=4)
    asked = prompts(9)
    sampling = Sampling(max_new_tokens=80)
    together = engine.generate(asked, sampling)
    assert together == [generated(engine.reader, prompt, sampling) for prompt in asked]
    assert together == ["".join(engine.stream(prompt, sampling)).strip() for prompt in asked]
    assert len({len(text) for text in together}) > 2


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_answers_depend_on_no_batch_size(temperature):
    reader, asked = tiny_reader(), prompts(11) + prompts(2)
    sampling = Sampling(max_new_tokens=40, temperature=temperature, seed=5)
    made = [TransformersEngine(reader, batch_size=size).generate(asked, sampling) for size in (1, 2, 5, 64)]
    assert made[1:] == made[:1] * 3
    assert (made[0][:2] == made[0][11:]) == (temperature == 0)


def test_answers_come_as_they_end_each_with_its_number(engine):
    asked, sampling = prompts(9), Sampling(max_new_tokens=80)
    made = list(engine.answers(asked, sampling))
    assert sorted(made) == list(enumerate(engine.generate(asked, sampling)))
    assert made != sorted(made)
    assert list(engine.answers([], sampling)) == engine.generate([], sampling) == []


def test_two_calls_read_in_turn_do_not_touch_each_other(engine):
    sampling, (one, *others) = Sampling(max_new_tokens=30), prompts(8)
    first, second = engine.answers([one], sampling), engine.answers(others, sampling)
    streamed, found = "", []
    pieces = engine.stream(one, sampling)
    for answer in second:
        found.append(answer[1])
        streamed += next(pieces, "")
    streamed += "".join(pieces)
    assert [(0, streamed.strip())] == list(first)
    assert sorted(found) == sorted(engine.generate(others, sampling))


def test_a_letter_of_several_tokens_is_streamed_whole(engine, monkeypatch):
    ids = engine.reader.tokenizer.encode("né – 鲨鱼", add_special_tokens=False)
    told = [*((0, token) for token in ids), (0, None)]
    monkeypatch.setattr(engine, "_tokens", lambda *given: iter(told))
    pieces = list(engine.stream(prompts(1)[0], SAMPLING))
    assert "".join(pieces) == "né – 鲨鱼" and "é" in pieces and "鱼" in pieces
    monkeypatch.setattr(engine, "_tokens", lambda *given: iter([*told[:-2], told[-1]]))
    assert "".join(engine.stream(prompts(1)[0], SAMPLING)) == "né – 鲨\ufffd"


def test_streaming_gives_the_same_text(engine):
    prompt = prompts(1)[0]
    for sampling in (SAMPLING, Sampling(max_new_tokens=30, temperature=2.0, seed=4)):
        assert "".join(engine.stream(prompt, sampling)).strip() == engine.generate([prompt], sampling)[0]


def test_the_same_seed_draws_the_same_answer(engine):
    warm = Sampling(max_new_tokens=12, temperature=2.0, seed=3)
    other = Sampling(max_new_tokens=12, temperature=2.0, seed=4)
    asked = prompts(3)
    assert engine.generate(asked, warm) == engine.generate(asked, warm)
    assert engine.generate(asked, warm) != engine.generate(asked, other)


def test_equal_prompts_are_drawn_anew_in_every_batch(engine):
    drawn = engine.generate(prompts(1) * 9, Sampling(max_new_tokens=12, temperature=2.0))
    assert len(set(drawn)) > engine.batch_size


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
