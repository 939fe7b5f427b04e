"""The engine for CPUs: the graph is the model, and many answers together are each the answer alone."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from prepared_readers import engine as make_engine
from prepared_readers import prepared, rounded
from tiny_models import FAMILIES as TINY
from tiny_models import tiny_model, tiny_reader
from vecspeak.engines import Sampling
from vecspeak.engines import openvino as paged
from vecspeak.engines.openvino import OpenVINOEngine, PagedDecoder, Sampler
from vecspeak.engines.openvino_graph import quantize
from vecspeak.engines.prepared import FAMILIES, ROUNDED, unsupported
from vecspeak.engines.stateful import single_logits
from vecspeak.engines.transformers import TransformersEngine
from vecspeak.errors import UserError
from vecspeak.model.prompt import PromptTemplate

GREEDY = Sampling(max_new_tokens=40)
QUESTIONS = (
    "Describe {x}.",
    "What is {x}?",
    "What does {x} say, and what is it about?",
    "{x}",
    "Describe {x} well.",
)


def prompts(count):
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(count, 6)).astype(np.float32)
    filled = [PromptTemplate(QUESTIONS[i % 5]).fill({"x": drawn[i]}) for i in range(count)]
    return [*filled, ("No vector. " * 20,)]


def first_logits(engine, fed):
    engine._single.reset_state()
    return single_logits(engine._single, fed.embeds_TE, 0)


@pytest.fixture(scope="module")
def reader():
    return rounded(tiny_reader())


@pytest.fixture(scope="module")
def engine(reader, tmp_path_factory):
    return make_engine(reader, tmp_path_factory.mktemp("engine") / "llama")


@pytest.mark.parametrize("family", [name for name in TINY if name in FAMILIES])
def test_answers_are_those_of_transformers(family, tmp_path):
    """In float32, greedily, together and one by one, for every family that the graph can build."""
    reader = tiny_reader(family)
    fast = make_engine(reader, tmp_path / family)
    asked = prompts(9)
    wanted = TransformersEngine(reader).generate(asked, GREEDY)
    assert fast.generate(asked, GREEDY) == wanted
    assert ["".join(fast.stream(prompt, GREEDY)).strip() for prompt in asked] == wanted
    assert len({len(text) for text in wanted}) > 2
    penalized = GREEDY.penalized
    wanted = TransformersEngine(reader).generate(asked, penalized)
    assert fast.generate(asked, penalized) == wanted
    assert ["".join(fast.stream(prompt, penalized)).strip() for prompt in asked] == wanted


def test_a_penalized_answer_has_no_trigram_twice_and_a_plain_one_has(engine):
    fed = engine.reader.embed_prompts(prompts(9))
    for sampling in (Sampling(max_new_tokens=96), Sampling(max_new_tokens=96).penalized):
        answers = [[] for _ in fed]
        for number, token in engine.decode(fed, Sampler(sampling), [], 96):
            answers[number].append(token)
        trigrams = [set(zip(ids, ids[1:], ids[2:-1], strict=False)) for ids in answers]  # the last is None
        most = [len(ids) - 3 for ids in answers]
        assert (list(map(len, trigrams)) == most) == sampling.has_penalties


def test_a_graph_has_the_logits_of_its_model(reader, engine):
    (fed,) = engine.reader.embed_prompts(prompts(1)[:1])
    with torch.no_grad():
        wanted = (
            reader.language_model(inputs_embeds=torch.from_numpy(fed.embeds_TE)[None]).logits[0, -1].numpy()
        )
    assert np.allclose(first_logits(engine, fed), wanted, atol=1e-4 * wanted.std())


@pytest.mark.parametrize("max_rows", [1, 2, 3, 100])
@pytest.mark.parametrize("step_tokens", [1, 40, 1000])
def test_how_many_rows_run_at_once_changes_no_answer(reader, tmp_path, max_rows, step_tokens):
    """Rows join as others end: stop tokens are common here, so that they end at different steps."""
    fast = make_engine(reader, tmp_path / "one")
    fast.reader = fast.reader.__class__(**{**_fields(fast.reader), "stop_ids": tuple(range(0, 290, 13))})
    asked = prompts(20)
    alone = ["".join(fast.stream(prompt, GREEDY)).strip() for prompt in asked]
    fast._paged.max_rows, fast._paged.step_tokens = max_rows, step_tokens
    assert fast.generate(asked, GREEDY) == alone
    assert len({len(text) for text in alone}) > 5


def test_a_small_cache_makes_the_work_longer_and_changes_no_answer(reader, engine, tmp_path):
    small = make_engine(reader, tmp_path / "one")
    small._paged.max_bytes = 5 * small._paged._block_bytes
    asked = prompts(12)
    assert small.generate(asked, GREEDY) == engine.generate(asked, GREEDY)
    longest = max(len(fed.embeds_TE) for fed in small.reader.embed_prompts(asked)) + GREEDY.max_new_tokens
    assert small._paged._num_blocks <= 6 + -(-longest // small._paged._block)


def _fields(reader):
    return {name: getattr(reader, name) for name in reader.__dataclass_fields__}


def test_a_cache_that_was_used_before_leaves_no_trace(engine):
    """Longer work grows the cache, shorter work finds old keys and values in it."""
    asked = prompts(8)
    first = engine.generate(asked[:2], GREEDY)
    engine.generate(asked, Sampling(max_new_tokens=150))
    assert engine.generate(asked[:2], GREEDY) == first


def test_shared_prefixes_change_no_answer(engine):
    asked = prompts(12)
    fed = engine.reader.embed_prompts(asked)
    stops = engine.reader.stop_ids
    runs = [
        sorted(engine._paged.decode(given, Sampler(GREEDY), stops, 20), key=lambda e: e[0])
        for given in (fed, bare(fed))
    ]
    assert runs[0] == runs[1]


def told_prompts(num_texts, num_questions):
    """Questions after long texts, those of a text far from each other; the last texts are asked about vectors."""
    rng = np.random.default_rng(1)
    texts = [
        f"{number} is known: " + "a shark hunts swimmers. " * (5 + number % 3) for number in range(num_texts)
    ]
    asked = [(f"{text}{'Tell me more. ' * more}",) for more in range(num_questions) for text in texts]
    told = PromptTemplate(texts[-1] + "Describe {x}.")
    vectors = rng.normal(size=(2, 6)).astype(np.float32)
    return [*asked, *(told.fill({"x": vector}) for vector in vectors), *prompts(5)]


def bare(fed):
    return [one.__class__(embeds_TE=one.embeds_TE) for one in fed]


def decoded(paged, fed, count=12):
    """The tokens of each prompt."""
    tokens = [[] for _ in fed]
    for number, token in paged.decode(fed, Sampler(GREEDY), range(0, 290, 13), count):
        tokens[number].append(token)
    return tokens


@dataclass
class Watched:
    """What a decoder read, and the pages of each call."""

    calls: list
    prompt_tokens: int = 0
    most: int = 0
    """Blocks that were in use at once."""


@pytest.fixture
def watched(engine, monkeypatch):
    """A decoder of its own, watched."""
    decoder = PagedDecoder(engine._paged._request.get_compiled_model(), engine.reader.embedding_VE)
    seen, step, pages = Watched(calls=[]), decoder._step, paged._BlockPool

    def watched_step(rows):
        seen.prompt_tokens += sum(len(row.waiting_TE) for row in rows if not row.made)
        seen.most = max(seen.most, decoder._num_blocks - len(seen.calls[-1].free))
        return step(rows)

    monkeypatch.setattr(decoder, "_step", watched_step)
    monkeypatch.setattr(paged, "_BlockPool", lambda free: seen.calls.append(pages(free)) or seen.calls[-1])
    return decoder, seen


@pytest.mark.parametrize(("max_rows", "step_tokens"), [(1, 1), (3, 200), (5, 1000), (100, 1000)])
def test_texts_read_once_change_no_answer(engine, watched, max_rows, step_tokens):
    """Each text is read once, whatever runs at once; all pages are free in the end."""
    decoder, seen = watched
    decoder.max_rows, decoder.step_tokens = max_rows, step_tokens
    fed = engine.reader.embed_prompts(told_prompts(6, 4))
    tokens = decoded(decoder, fed)
    once = sum(len(prefix) for prefix, count in Counter(one.prefix for one in fed).items() if count > 1)
    own = sum(len(one.embeds_TE) - len(one.prefix) for one in fed)
    assert once + own <= seen.prompt_tokens <= once + own + 60  # prefixes of one prompt are read with it
    assert sorted(seen.calls[-1].free) == list(range(decoder._num_blocks))
    assert tokens == decoded(decoder, bare(fed))
    assert len({len(one) for one in tokens}) > 3
    assert sorted(seen.calls[-1].free) == list(range(decoder._num_blocks))


def test_pages_of_texts_that_are_done_are_used_again(engine, watched):
    """Many texts need no more memory than few, and the memory that is given is kept to."""
    decoder, seen = watched
    decoder.max_rows = 4
    few, many = (engine.reader.embed_prompts(told_prompts(count, 4)) for count in (3, 30))
    decoded(decoder, few)
    room = decoder._num_blocks
    decoded(decoder, many)
    assert decoder._num_blocks <= 1.3 * room
    assert seen.most <= decoder._num_blocks


def test_little_memory_for_many_texts_changes_no_answer(engine, watched):
    decoder, seen = watched
    fed = engine.reader.embed_prompts(told_prompts(8, 3))
    longest = max(len(one.embeds_TE) for one in fed) + 12
    most = 1 + -(-longest // decoder._block)
    decoder.max_bytes = most * decoder._block_bytes
    tokens = decoded(decoder, fed)
    assert decoder._num_blocks == most and seen.most <= most
    assert tokens == decoded(engine._paged, bare(fed))


def test_shared_texts_take_less_memory(engine, watched):
    decoder, _ = watched
    fed = engine.reader.embed_prompts(told_prompts(1, 12))
    decoded(decoder, fed)
    shared = decoder._num_blocks
    decoded(decoder, bare(fed))
    assert shared < 0.6 * decoder._num_blocks


def test_a_prefix_of_one_prompt_costs_nothing(engine, watched):
    decoder, seen = watched
    fed = engine.reader.embed_prompts(told_prompts(1, 1))[:1]
    fed = [one.__class__(embeds_TE=one.embeds_TE, prefix=tuple(range(40))) for one in fed]
    decoded(decoder, fed)
    assert seen.prompt_tokens == len(fed[0].embeds_TE)
    assert decoder._num_blocks == decoder._blocks_for(len(fed[0].embeds_TE) + 12)


@pytest.mark.parametrize("count", [1, 2, 33])
def test_an_answer_has_at_most_the_tokens_that_were_asked_for(engine, count):
    made = list(engine._paged.decode(engine.reader.embed_prompts(prompts(3)), Sampler(GREEDY), [], count))
    assert [sum(number == row and token is not None for number, token in made) for row in range(4)] == [
        count
    ] * 4
    assert [event for event in made if event[1] is None] and len(made) == 4 * (count + 1)


def test_nothing_asked_is_nothing_answered(engine):
    assert engine.generate([], GREEDY) == []


def test_draws_depend_on_the_seed_and_differ_for_equal_prompts(engine):
    asked = prompts(1)[:1] * 6
    warm = Sampling(max_new_tokens=12, temperature=2.0, seed=3)
    drawn = engine.generate(asked, warm)
    assert drawn == engine.generate(asked, warm) and len(set(drawn)) > 3
    assert drawn != engine.generate(asked, Sampling(max_new_tokens=12, temperature=2.0, seed=4))
    assert "".join(engine.stream(asked[0], warm)).strip() == drawn[0]


def test_a_vector_of_another_width_is_refused_before_anything_is_said(engine):
    wrong = PromptTemplate("Describe {x}.").fill({"x": np.ones(5, np.float32)})
    with pytest.raises(UserError, match="vectors of 6 numbers"):
        list(engine.stream(wrong, GREEDY))


def test_a_compiled_graph_of_another_machine_is_compiled_anew(reader, tmp_path):
    opened = prepared(reader, tmp_path / "one")
    wanted = "".join(OpenVINOEngine(opened).stream(prompts(1)[0], GREEDY))
    (opened.folder / "model.blob").write_bytes(b"made elsewhere" * 100)
    assert "".join(OpenVINOEngine(opened).stream(prompts(1)[0], GREEDY)) == wanted


# --- int8 ---


@pytest.mark.parametrize(("width", "groups"), [(96, 3), (40, 1)])
def test_int8_is_nearest_to_the_weights(width, groups):
    weight = np.random.default_rng(0).normal(size=(7, width)).astype(np.float32)
    weight[3] = 0
    values, scales = quantize(weight)
    assert values.dtype == np.int8 and values.shape == (7, groups, width // groups)
    assert set(np.abs(values).max(-1).flatten().tolist()) == {0, 127} and not values[3].any()
    apart = np.abs((values * scales).reshape(weight.shape) - weight)
    assert (apart.reshape(values.shape) <= scales / 2 * 1.001).all()


def test_int8_answers_from_nearly_the_same_logits(reader, engine, tmp_path):
    small = make_engine(reader, tmp_path / "int8", quantized=True)
    (fed,) = engine.reader.embed_prompts(prompts(1)[:1])
    found, wanted = (first_logits(one, fed) for one in (small, engine))
    assert not np.allclose(found, wanted, atol=1e-6)
    assert np.abs(found - wanted).mean() < 0.05 * wanted.std()


# --- what is not covered ---


@pytest.mark.parametrize("family", sorted(TINY))
def test_a_family_is_covered_or_refused_with_the_reason(family):
    reason = unsupported(tiny_model(family).config.to_dict())
    assert (reason == "") == (family in FAMILIES)
    assert family in FAMILIES or tiny_model(family).config.model_type in reason


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"hidden_act": "gelu"}, "activation"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "window"),
        ({"model_type": "mistral", "sliding_window": 8}, "window"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "rotary"),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "rotary"),
    ],
)
def test_what_the_graph_cannot_do_is_said(change, told):
    assert told in unsupported({**tiny_model().config.to_dict(), **change})


def test_a_processor_without_bfloat16_rounds_the_inputs_of_products(reader, tmp_path, monkeypatch):
    """Row by row: but for near ties an answer is the same alone and among others."""
    small = make_engine(reader, tmp_path / "int8", quantized=True)
    monkeypatch.setattr(small._core.__class__, "get_property", lambda *of_call: ["FP32", "INT8"])
    assert small._many_properties() == ROUNDED
    asked = prompts(9)
    together = small.generate(asked, GREEDY)
    alone = [small.generate([prompt], GREEDY)[0] for prompt in asked]
    assert np.mean([one == other for one, other in zip(together, alone, strict=True)]) >= 0.7
    assert len(set(together)) > 5


def test_an_iterator_that_was_overtaken_says_so_instead_of_a_wrong_answer(engine):
    asked = prompts(6)
    wanted = engine.generate(asked, GREEDY)
    fed, stops = engine.reader.embed_prompts(asked), engine.reader.stop_ids
    older, stream = engine.decode(fed, Sampler(GREEDY), stops, 40), engine.stream(asked[0], GREEDY)
    next(older)
    next(stream)
    assert engine.generate(asked, GREEDY) == wanted
    list(engine.stream(asked[1], GREEDY))
    for overtaken, error in ((older, RuntimeError), (stream, UserError)):
        with pytest.raises(error, match="overtaken"):
            list(overtaken)


def test_a_negative_seed_is_refused():
    with pytest.raises(UserError, match="-1"):
        Sampling(seed=-1)
