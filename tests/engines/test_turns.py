"""Calls of one engine run one after the other, from whatever threads they come."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from prepared_readers import engine as make_engine
from prepared_readers import rounded
from tiny_models import tiny_reader
from vecspeak.engines import Sampling, turns_of
from vecspeak.engines.transformers import TransformersEngine
from vecspeak.errors import UserError
from vecspeak.model.prompt import PromptTemplate

GREEDY = Sampling(max_new_tokens=12)


@pytest.fixture(scope="module", params=["openvino", "transformers"])
def engine(request, tmp_path_factory):
    reader = rounded(tiny_reader())
    if request.param == "transformers":
        return TransformersEngine(reader)
    return make_engine(reader, tmp_path_factory.mktemp("engine") / "llama")


@pytest.fixture(scope="module")
def prompts():
    vectors = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    return [PromptTemplate("Describe {x}.").fill({"x": vector}) for vector in vectors]


def whole(engine, prompt):
    with turns_of(engine):
        return "".join(engine.stream(prompt, GREEDY)).strip()


def test_threads_have_the_answers_of_one_thread(engine, prompts):
    wanted = [engine.generate([prompt], GREEDY)[0] for prompt in prompts]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            made = pool.map(lambda prompt: engine.generate([prompt], GREEDY)[0], prompts)
            assert list(made) == wanted
            assert list(pool.map(lambda prompt: whole(engine, prompt), prompts)) == wanted


def test_a_half_read_stream_blocks_nobody_and_goes_on_or_says_that_it_was_overtaken(engine, prompts):
    wanted = engine.generate(prompts, GREEDY)
    stream, answers = engine.stream(prompts[0], GREEDY), engine.answers(prompts, GREEDY)
    begun = next(stream)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(engine.generate, prompts[1:2], GREEDY).result(timeout=60)
    if engine.name == "transformers":  # each call has memory of its own
        assert (begun + "".join(stream)).strip() == wanted[0]
        first = next(answers)
        engine.generate(prompts[:1], GREEDY)
        assert [text for _, text in sorted([first, *answers])] == wanted
        return
    with pytest.raises(UserError, match="overtaken"):
        list(stream)
    next(answers)
    engine.generate(prompts[:1], GREEDY)
    with pytest.raises(UserError, match="overtaken"):
        list(answers)
