"""Laws of decoding, for the three ways in which it runs: rows that close up, fixed steps, plain batches."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
import transformers

from tiny_models import FAMILIES, tiny_model
from vecspeak.engines import Sampling
from vecspeak.engines import batching as decoding
from vecspeak.engines.base import TOP_K
from vecspeak.engines.batching import (
    BatchingConfig,
    FixedSteps,
    PromptBatch,
    Slots,
    decode,
    fits_slots,
    next_tokens,
    sampling_draws,
)
from vecspeak.engines.openvino import Sampler

NO_STOP = [10_000]
LENGTHS = [3, 9, 5, 5, 12, 1, 7, 8]
WAYS = {
    "closing up": {},
    "refilled": {"rows": 3},
    "one by one": {"rows": 1},
    "fixed": {"fixed": True},
    "fixed, refilled, seldom looked at": {"rows": 3, "fixed": True, "window": 7},
}
"""Ways of batching under which nothing may change."""


def ids_of(lengths, prefix=()):
    """Random prompts, as token ids."""
    draw = torch.Generator().manual_seed(4)
    return [[*prefix, *torch.randint(2, 290, (length,), generator=draw).tolist()] for length in lengths]


def work_of(model, rows: Sequence[Sequence[int]], prefixes: Sequence[int] | None = None) -> PromptBatch:
    """Prompts as the engine gives them; `prefixes` says how many first tokens may be shared."""
    embedding = model.get_input_embeddings()
    return PromptBatch(
        lengths=[len(row) for row in rows],
        prefixes=[tuple(row[:n]) for row, n in zip(rows, prefixes or [0] * len(rows), strict=True)],
        embed=lambda numbers: [embedding(torch.tensor(rows[number])).detach() for number in numbers],
    )


def said(model, work, sampling, stops=NO_STOP, spare=None, **batching):
    """Token ids of each answer."""
    answers = [[] for _ in work.lengths]
    ended = []
    for number, token in decode(model, work, sampling, stops, BatchingConfig(**batching), spare):
        assert number not in ended
        if token is None:
            ended.append(number)
        else:
            answers[number].append(token)
    assert sorted(ended) == list(range(len(answers)))
    return answers


def windowed(family):
    """A model whose layers look back over 8 tokens only, if they look back over a window at all."""
    model = tiny_model(family)
    model.config.sliding_window = 8
    return model


def until(row, stops):
    """A row up to its first stop token."""
    ends = [place for place, token in enumerate(row) if token in stops]
    return row[: ends[0]] if ends else row


def check_that_ended_rows_change_no_other(model, **batching):
    """What each row says without stop tokens, cut at the first of them, is what it says with them."""
    work = work_of(model, ids_of(LENGTHS))
    free = said(model, work, Sampling(max_new_tokens=40))
    stops = [free[2][6], free[6][1], free[7][0], free[4][20]]
    expected = [until(row, stops) for row in free]
    assert len({len(row) for row in expected}) > 3
    assert said(model, work, Sampling(max_new_tokens=40), stops, **batching) == expected


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_rows_that_end_change_no_other_row(family, way):
    check_that_ended_rows_change_no_other(tiny_model(family), **WAYS[way])


@pytest.mark.parametrize("family", ["llama", "gemma2", "gemma3"])
@pytest.mark.parametrize("live_share", [0.0, 0.8, 2.0])
def test_rows_that_end_change_no_other_row_whether_they_leave_or_stay(family, live_share, monkeypatch):
    model = windowed(family)
    monkeypatch.setattr(decoding, "fits_slots", lambda model: False)
    monkeypatch.setattr(decoding, "_LIVE_SHARE", live_share)
    check_that_ended_rows_change_no_other(model)
    check_that_ended_rows_change_no_other(model, rows=3)


def check_that_tokens_are_those_of_generate(model, **batching):
    rows = ids_of(LENGTHS)
    with torch.inference_mode():
        wanted = [
            model.generate(torch.tensor([row]), max_new_tokens=30, do_sample=False, eos_token_id=None)
            for row in rows
        ]
    wanted = [ids[0, len(row) :].tolist() for ids, row in zip(wanted, rows, strict=True)]
    assert len(set(map(tuple, wanted))) == len(rows)
    assert said(model, work_of(model, rows), Sampling(max_new_tokens=30), **batching) == wanted


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("count", [64, 2])
def test_tokens_are_those_of_transformers_own_generate(family, count):
    check_that_tokens_are_those_of_generate(windowed(family), rows=count)


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_draws_depend_on_no_number_of_rows(family):
    model = windowed(family)
    work, sampling = work_of(model, ids_of(LENGTHS)), Sampling(max_new_tokens=20, temperature=1.5, seed=2)
    made = [said(model, work, sampling, list(range(30)), rows=count) for count in (64, 1, 3)]
    assert made[1:] == made[:1] * 2 and len({len(row) for row in made[0]}) > 3


@pytest.mark.parametrize("way", WAYS)
def test_slots_give_what_plain_batches_give(way, monkeypatch):
    model, rows = tiny_model(), ids_of([*LENGTHS, 70, 2, 33], prefix=(5, 6, 7))
    ours = said(model, work_of(model, rows, [3] * len(rows)), Sampling(max_new_tokens=60), **WAYS[way])
    monkeypatch.setattr(decoding, "fits_slots", lambda model: False)
    assert ours == said(model, work_of(model, rows), Sampling(max_new_tokens=60))


def test_bfloat16_is_decoded_as_with_transformers_own_cache(monkeypatch):
    model = tiny_model().to(torch.bfloat16)
    work = work_of(model, ids_of([4, 9, 6]))
    ours = said(model, work, Sampling(max_new_tokens=90))
    monkeypatch.setattr(decoding, "fits_slots", lambda model: False)
    assert ours == said(model, work, Sampling(max_new_tokens=90))


@pytest.mark.parametrize("way", WAYS)
def test_in_bfloat16_ways_part_only_where_two_tokens_are_as_likely(way):
    """Products of other shapes are rounded otherwise, in transformers' own batches as well."""
    model, rows = tiny_model().to(torch.bfloat16), ids_of(LENGTHS)
    work = work_of(model, rows)
    plain = said(model, work, Sampling(max_new_tokens=60))
    for asked, one, other in zip(
        rows, plain, said(model, work, Sampling(max_new_tokens=60), **WAYS[way]), strict=True
    ):
        parted = [place for place in range(60) if one[place] != other[place]]
        if parted:
            logits = model(torch.tensor([asked + one[: parted[0]]])).logits[0, -1].float()
            assert logits[other[parted[0]]] > logits.max() - 0.03 * logits.abs().max()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [1, 2, 17, 100])
def test_an_answer_has_at_most_the_tokens_that_were_asked_for(count, way):
    model = tiny_model()
    work = work_of(model, ids_of([4, 2, 6, 3]))
    longest = said(model, work, Sampling(max_new_tokens=100))
    found = said(model, work, Sampling(max_new_tokens=count), **WAYS[way])
    assert [len(row) for row in found] == [count] * 4
    assert found == [row[:count] for row in longest]


@pytest.mark.parametrize("way", ["closing up", "fixed"])
def test_rows_that_all_end_at_once_end_the_work(way):
    model = tiny_model()
    work = work_of(model, ids_of([4, 4]))
    first = said(model, work, Sampling(max_new_tokens=1))
    calls = []
    model.register_forward_hook(lambda *of_call: calls.append(1))
    stops = [row[0] for row in first]
    assert said(model, work, Sampling(max_new_tokens=50), stops, **WAYS[way]) == [[], []]
    assert len(calls) == 1


def test_a_step_has_as_many_rows_as_are_left():
    model, sizes = tiny_model(), []
    work = work_of(model, ids_of(LENGTHS))
    free = said(model, work, Sampling(max_new_tokens=30))
    model.register_forward_pre_hook(
        lambda model, args, given: sizes.append(len(given["position_ids"])), with_kwargs=True
    )
    said(model, work, Sampling(max_new_tokens=30), [free[0][3], free[1][9]])
    steps = [size for size in sizes[-28:]]
    assert steps == sorted(steps, reverse=True) and 0 < steps[-1] < len(LENGTHS)


def refilling(model, asked, prefixes=None, **batching):
    """A decoder before its first step."""
    work = work_of(model, asked, prefixes)
    return decoding.ContinuousBatcher(
        model, work, Sampling(max_new_tokens=3), NO_STOP, BatchingConfig(**batching)
    )


def test_prompts_are_read_in_groups_of_one_prefix_and_of_like_length(monkeypatch):
    lengths, shared = [40, 8, 39, 7, 30, 38, 29], [0, 0, 2, 0, 0, 2, 0]
    rows = [[5, 6, *row] if n else row for row, n in zip(ids_of(lengths), shared, strict=True)]
    made = refilling(tiny_model(), rows, shared)
    order = made.work.longest_first()
    assert order == [2, 0, 5, 4, 6, 1, 3]
    assert list(made._groups(order)) == [[0, 4], [6], [1, 3], [2, 5]]
    monkeypatch.setattr(decoding, "_READ_TOKENS", 50)
    assert list(made._groups(order)) == [[0], [4], [6], [1, 3], [2], [5]]


def test_of_long_prompts_fewer_are_answered_at_once(monkeypatch):
    model, rows = tiny_model(), ids_of([*LENGTHS, 70])
    monkeypatch.setattr(decoding, "_MOST_PLACES", 400)
    assert refilling(model, rows)._shape()[:2] == (3, 128)
    assert refilling(model, rows[:8])._shape()[:2] == (6, 64)
    assert refilling(model, rows[:8], rows=4)._shape()[:2] == (4, 64)
    monkeypatch.setattr(decoding, "_MOST_PLACES", 10)
    assert refilling(model, rows)._shape()[0] == 1


# --- prefixes ---


@pytest.mark.parametrize("way", WAYS)
def test_shared_prefixes_change_no_answer_and_are_read_once(way):
    model, read = tiny_model(), []
    rows = [*ids_of([4, 9, 1, 6], (11, 12, 13, 14, 15)), *ids_of([3, 8, 2], (11, 12, 99)), *ids_of([7, 5])]
    shared = work_of(model, rows, [5, 5, 5, 5, 3, 3, 3, 2, 0])
    plain = said(model, work_of(model, rows), Sampling(max_new_tokens=40))
    model.register_forward_pre_hook(
        lambda model, args, given: read.append(given.get("inputs_embeds")), with_kwargs=True
    )
    assert said(model, shared, Sampling(max_new_tokens=40), **WAYS[way]) == plain
    embedding = model.get_input_embeddings()
    for prefix in ([11, 12, 13, 14, 15], [11, 12, 99]):
        alone = embedding(torch.tensor([prefix])).detach()
        assert sum(one is not None and torch.equal(one, alone) for one in read) == 1


def test_a_prefix_is_forgotten_when_nobody_waits_who_has_it():
    rows = [*ids_of([9, 9, 9], (5, 6)), *ids_of([1, 1, 1], (7, 8))]
    made = refilling(tiny_model(), rows, [2] * 6, rows=2)
    known = [set(made._known) for _ in made.tokens({})]
    assert {(5, 6)} in known and {(7, 8)} in known
    assert not made._known


# --- fixed steps: what a captured graph needs ---


def test_fixed_steps_have_one_shape_and_write_where_they_wrote(monkeypatch):
    model, seen = tiny_model(), set()
    step = Slots.step

    def watched(slots, num_rows, width):
        tokens = step(slots, num_rows, width)
        buffers = (buffer.data_ptr() for layer in slots.layers for buffer in layer.buffers)
        seen.add((num_rows, width, *buffers, *(part.data_ptr() for part in slots.state), tokens.data_ptr()))
        return tokens

    monkeypatch.setattr(Slots, "step", watched)
    work, spare = work_of(model, ids_of(LENGTHS)), {}
    for temperature in (0.0, 1.0):
        seen.clear()
        for seed in range(3):
            sampling = Sampling(max_new_tokens=20, temperature=temperature, seed=seed)
            said(model, work, sampling, [17, 40, 41], spare, rows=4, fixed=True, window=4)
        assert len(seen) == 1 and len(spare) == 1


def test_slots_used_again_remember_nothing():
    model, spare = tiny_model(), {}
    sampling = Sampling(max_new_tokens=40, temperature=1.0)
    long, short = (work_of(model, ids_of(lengths, (3,))) for lengths in ([20] * 6, [1, 2, 3, 4, 5, 6]))
    fresh = said(model, short, sampling)
    made = []
    for work in (short, long, short):
        made.append(said(model, work, sampling, NO_STOP, spare, fixed=True, window=3))
    assert made[0] == made[2] == fresh and len(spare) == 1


def test_a_call_that_is_left_early_gives_its_slots_back():
    model, spare = tiny_model(), {}
    work = work_of(model, ids_of(LENGTHS))
    wanted = said(model, work, Sampling(max_new_tokens=20))
    left = decode(model, work, Sampling(max_new_tokens=20), NO_STOP, BatchingConfig(fixed=True), spare)
    assert [next(left)[1] for _ in range(12)] and not spare
    left.close()
    assert len(spare) == 1
    assert said(model, work, Sampling(max_new_tokens=20), NO_STOP, spare, fixed=True) == wanted


def test_without_a_gpu_nothing_is_captured():
    steps = FixedSteps(Slots(tiny_model(), 2, 64, Sampling()))
    assert not steps._captures


# --- which models ---


@pytest.mark.parametrize("family", FAMILIES)
def test_slots_are_for_full_attention_with_rotary_places(family):
    assert fits_slots(tiny_model(family)) == (family not in ("gemma2", "gemma3"))


STRETCHED = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
OTHERS = {
    "mistral": {"num_key_value_heads": 2, "intermediate_size": 64, "sliding_window": 8},
    "llama": {"intermediate_size": 64, "rope_parameters": STRETCHED},
    "gpt2": {"n_positions": 100},
    "falcon": {"alibi": True, "new_decoder_architecture": False},
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_models_answer_over_their_own_cache(kind):
    sizes = {"vocab_size": 290, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.AutoConfig.for_model(kind, **sizes, initializer_range=0.2, **OTHERS[kind])
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    assert not fits_slots(model)
    check_that_tokens_are_those_of_generate(model, rows=3)


# --- draws ---


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stops", [NO_STOP, list(range(2, 60))])
def test_what_is_drawn_depends_on_the_seed_and_the_temperature_alone(stops, way):
    model = tiny_model()
    work = work_of(model, ids_of([4, 2, 6, 3]))

    def drawn(seed, temperature, **batching):
        sampling = Sampling(max_new_tokens=30, temperature=temperature, seed=seed)
        torch.rand(7)  # the draw has its own streams
        return said(model, work, sampling, stops, **batching)

    assert drawn(3, 0.9, **WAYS[way]) == drawn(3, 0.9)
    assert drawn(3, 0.9, **WAYS[way]) != drawn(4, 0.9)
    assert drawn(3, 0.9, **WAYS[way]) != drawn(3, 2.0)
    assert drawn(3, 0.0, **WAYS[way]) == drawn(4, 0.0)


def test_equal_prompts_of_a_batch_are_drawn_each_for_itself():
    model = tiny_model()
    found = said(model, work_of(model, ids_of([5]) * 8), Sampling(max_new_tokens=12, temperature=1.5))
    assert len(set(map(tuple, found))) > 4


def test_draws_are_those_of_the_engine_without_torch():
    """`choosing.py` and this engine give a prompt the same stream of numbers, and pick the same tokens."""
    sampling = Sampling(max_new_tokens=50, temperature=1.3, seed=9)
    logits = torch.randn(50, 3, 290, generator=torch.Generator().manual_seed(0)) * 3
    numbers, choose = [4, 0, 7], Sampler(sampling)
    draws = sampling_draws(numbers, sampling)
    ours = [next_tokens(one, 1.3, draws[:, step]).tolist() for step, one in enumerate(logits)]
    assert ours == [choose(one.numpy(), numbers).tolist() for one in logits]


def uniform(count):
    return torch.from_numpy(np.random.default_rng(0).random(count).astype(np.float32))


def test_a_drawn_token_is_among_those_that_make_up_the_nucleus():
    logits = torch.tensor([[3.0, 2.0, -1.0, -9.0]]).expand(4000, 4)
    drawn = next_tokens(logits, 1.0, uniform(4000))
    share = logits[0, :2].softmax(-1)[0]  # the first two make up 98%, so that the third is cut off
    assert set(drawn.tolist()) == {0, 1}
    assert (drawn == 0).float().mean() == pytest.approx(float(share), abs=0.03)


def test_a_drawn_token_is_among_the_likeliest_fifty():
    logits = torch.linspace(0, 0.01, 200).expand(3000, 200)
    drawn = next_tokens(logits, 5.0, uniform(3000))
    assert set(drawn.tolist()) <= set(range(200 - TOP_K, 200))
    assert len(set(drawn.tolist())) > 40


def test_a_low_temperature_draws_what_greedy_takes():
    logits = torch.randn(50, 300, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    logits[torch.arange(50), torch.arange(50)] = 9.0
    drawn = next_tokens(logits, 0.01, uniform(50))
    assert torch.equal(drawn, next_tokens(logits, 0.0, uniform(50)))
    assert drawn.tolist() == list(range(50))


def test_the_highest_draw_still_falls_on_a_token_of_the_nucleus():
    logits = torch.tensor([[2.0, 2.0, -9.0], [0.0, 0.0, 0.0]])
    assert next_tokens(logits, 1.0, torch.tensor([1.0, 1.0])).tolist()[0] in (0, 1)


# --- penalties ---

PENALIZED = Sampling(max_new_tokens=60).penalized


def repeats(ids, size=3):
    """Whether a run of so many tokens comes twice."""
    runs = [tuple(ids[start : start + size]) for start in range(len(ids) - size + 1)]
    return len(set(runs)) < len(runs)


@pytest.mark.filterwarnings("ignore:Passing")
@pytest.mark.parametrize(("penalty", "size"), [(1.15, 3), (1.0, 3), (1.3, 0), (1.15, 1), (1.0, 64)])
def test_penalties_are_those_of_transformers_own_generate(penalty, size):
    """Fed with input embeddings `generate` does not see the prompt's tokens, so that only the answer's count."""
    model, rows = tiny_model(seed=3), ids_of(LENGTHS)
    sampling = Sampling(max_new_tokens=60, repetition_penalty=penalty, no_repeat_ngram_size=size)
    embeds = [model.get_input_embeddings()(torch.tensor([row])).detach() for row in rows]
    with torch.inference_mode():
        wanted = [
            model.generate(
                inputs_embeds=one, max_new_tokens=60, do_sample=False, eos_token_id=None,
                repetition_penalty=penalty, no_repeat_ngram_size=size,
            )[0].tolist()
            for one in embeds
        ]  # fmt: skip
    for way in WAYS.values():
        assert said(model, work_of(model, rows), sampling, **way) == wanted


def test_plain_batches_and_slots_have_the_same_penalties(monkeypatch):
    model = tiny_model(seed=3)  # of seed 0 one answer has two tokens that are as likely as float32 can tell
    work = work_of(model, ids_of(LENGTHS))
    stops, warm = list(range(0, 290, 29)), Sampling(max_new_tokens=60, temperature=1.5).penalized
    slots = [said(model, work, one, stops) for one in (PENALIZED, warm)]
    monkeypatch.setattr(decoding, "fits_slots", lambda model: False)
    assert [said(model, work, one, stops) for one in (PENALIZED, warm)] == slots
    assert len({len(answer) for answer in slots[0]}) > 3


def test_a_penalized_answer_has_no_trigram_twice_where_a_plain_one_has():
    model, work = tiny_model(), work_of(tiny_model(), ids_of(LENGTHS))
    assert any(map(repeats, said(model, work, Sampling(max_new_tokens=60))))
    assert not any(map(repeats, said(model, work, PENALIZED)))


def test_penalties_of_the_engine_without_torch_are_these():
    """The same tokens from the same logits, step by step, greedy and drawn, answers of different lengths together."""
    logits = torch.randn(50, 3, 20, generator=torch.Generator().manual_seed(0)) * 3
    for sampling in (PENALIZED, Sampling(max_new_tokens=60, temperature=1.3, seed=9).penalized):
        numbers, choose = [4, 0, 7], Sampler(sampling)
        draws = sampling_draws(numbers, sampling).expand(3, 60)
        first = next_tokens(logits[0], sampling.temperature, draws[:, 0])
        assert first.tolist() == choose(logits[0].numpy().copy(), numbers).tolist()
        answers = first[:, None].repeat(1, 60)
        for step in range(1, 50):
            made = torch.full((3,), step)
            changed = decoding.penalized(logits[step], answers, made, sampling)
            answers[:, step] = next_tokens(changed, sampling.temperature, draws[:, step])
            assert answers[:, step].tolist() == choose(logits[step].numpy().copy(), numbers).tolist()


def test_logits_are_the_same_ones_where_nothing_is_penalized():
    logits = torch.randn(2, 20)
    answers, made = torch.zeros(2, 9, dtype=torch.long), torch.ones(2, dtype=torch.long)
    assert decoding.penalized(logits, answers, made, Sampling()) is logits
