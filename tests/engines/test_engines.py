import numpy as np
import pytest
import torch
from transformers.cache_utils import DynamicLayer

from tiny_models import tiny_model, tiny_reader
from vecspeak.engines import Sampling, decoding, open_engine
from vecspeak.engines.base import ENGINES
from vecspeak.engines.decoding import TOP_K, RoomyLayer, decode, next_tokens
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


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gemma"])
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


# --- decoding ---

NO_STOP = [10_000]


def padded(model, lengths):
    """Input embeddings of random prompts, padded on the left, and their mask."""
    draw = torch.Generator().manual_seed(4)
    rows = [torch.randint(2, 290, (length,), generator=draw) for length in lengths]
    width = max(lengths)
    ids = torch.stack([torch.cat([torch.zeros(width - len(row), dtype=torch.long), row]) for row in rows])
    mask = torch.tensor([[0] * (width - length) + [1] * length for length in lengths])
    return model.get_input_embeddings()(ids).detach(), mask


def until(row, stops):
    """A row up to its first stop token."""
    ends = [place for place, token in enumerate(row) if token in stops]
    return row[: ends[0]] if ends else row


@pytest.mark.parametrize("family", ["llama", "gemma2", "gemma3"])
@pytest.mark.parametrize("live_share", [0.0, 0.8, 2.0])
def test_rows_that_end_change_no_other_row_whether_they_leave_or_stay(family, live_share, monkeypatch):
    """What each row says without stop tokens, cut at the first of them, is what it says with them."""
    model = tiny_model(family)
    model.config.sliding_window = 8  # gemma 2 and 3 have layers that look back over a window only
    given = padded(model, [3, 9, 5, 5, 12, 1, 7, 8])
    free = decode(model, *given, Sampling(max_new_tokens=40), NO_STOP)
    stops = [free[2][6], free[6][1], free[7][0], free[4][20]]
    expected = [until(row, stops) for row in free]
    assert len({len(row) for row in expected}) > 3
    monkeypatch.setattr(decoding, "_LIVE_SHARE", live_share)
    assert decode(model, *given, Sampling(max_new_tokens=40), stops) == expected


@pytest.mark.parametrize("count", [1, 2, 17, 100])
def test_an_answer_has_at_most_the_tokens_that_were_asked_for(count):
    model = tiny_model()
    given = padded(model, [4, 2, 6])
    longest = decode(model, *given, Sampling(max_new_tokens=100), NO_STOP)
    found = decode(model, *given, Sampling(max_new_tokens=count), NO_STOP)
    assert [len(row) for row in found] == [count] * 3
    assert found == [row[:count] for row in longest]


def test_rows_that_all_end_at_once_end_the_work():
    model = tiny_model()
    given = padded(model, [4, 4])
    first = decode(model, *given, Sampling(max_new_tokens=1), NO_STOP)
    calls = []
    model.register_forward_hook(lambda *of_call: calls.append(1))
    assert decode(model, *given, Sampling(max_new_tokens=50), [row[0] for row in first]) == [[], []]
    assert len(calls) == 1


@pytest.mark.parametrize("stops", [NO_STOP, list(range(2, 60))])
def test_what_is_drawn_depends_on_the_seed_and_the_temperature_alone(stops):
    model = tiny_model()
    given = padded(model, [4, 2, 6, 3])

    def drawn(seed, temperature):
        sampling = Sampling(max_new_tokens=30, temperature=temperature, seed=seed)
        torch.rand(7)  # the draw has its own generator
        return decode(model, *given, sampling, stops)

    assert drawn(3, 0.9) == drawn(3, 0.9)
    assert drawn(3, 0.9) != drawn(4, 0.9)
    assert drawn(3, 0.9) != drawn(3, 2.0)
    assert drawn(3, 0.0) == drawn(4, 0.0)


def test_equal_prompts_of_a_batch_are_drawn_each_for_itself():
    model = tiny_model()
    embeds, mask = padded(model, [5])
    sampling = Sampling(max_new_tokens=12, temperature=1.5)
    found = decode(model, embeds.expand(8, -1, -1), mask.expand(8, -1), sampling, NO_STOP)
    assert len(set(map(tuple, found))) > 4


def test_a_drawn_token_is_among_the_likeliest_fifty():
    logits = torch.linspace(0, 0.01, 200).expand(3000, 200)
    drawn = next_tokens(logits, Sampling(temperature=5.0), torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) <= set(range(200 - TOP_K, 200))
    assert len(set(drawn.tolist())) > 40


def test_a_low_temperature_draws_what_greedy_takes():
    logits = torch.randn(50, 300, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    logits[torch.arange(50), torch.arange(50)] = 9.0
    drawn = next_tokens(logits, Sampling(temperature=0.01), torch.Generator().manual_seed(0))
    assert torch.equal(drawn, next_tokens(logits, Sampling(), torch.Generator()))
    assert drawn.tolist() == list(range(50))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("widths", [(8, 8), (12, 4)])
def test_a_layer_with_room_holds_what_the_plain_layer_holds(dtype, widths):
    """Many updates of one and of several tokens; rows leave, and come in another order."""
    draw = torch.Generator().manual_seed(0)
    roomy, plain, rows = RoomyLayer(), DynamicLayer(), 6
    for step in range(200):
        tokens = 9 if step % 50 == 0 else 1
        new = [torch.randn(rows, 2, tokens, width, generator=draw).to(dtype) for width in widths]
        for ours, theirs in zip(roomy.update(*new), plain.update(*new), strict=True):
            assert ours.dtype == dtype and torch.equal(ours, theirs)
        assert roomy.get_seq_length() == plain.get_seq_length()
        assert roomy.get_mask_sizes(3) == plain.get_mask_sizes(3)
        if step in (20, 63, 64, 150):
            kept = torch.randperm(rows, generator=draw)[: rows - 1]
            rows -= 1
            for layer in (roomy, plain):
                layer.batch_select_indices(kept)
            assert torch.equal(roomy.keys, plain.keys) and torch.equal(roomy.values, plain.values)
    assert rows == 2 and roomy.get_seq_length() == 200 + 4 * 8


def test_a_step_copies_no_more_than_its_token():
    """Between growths the buffers stay where they are."""
    layer, places = RoomyLayer(), set()
    for _ in range(60):
        layer.update(torch.ones(2, 2, 1, 4), torch.ones(2, 2, 1, 4))
        places.add((layer.keys.data_ptr(), layer.values.data_ptr()))
    assert len(places) == 1


def test_bfloat16_is_decoded_as_with_transformers_own_cache(monkeypatch):
    model = tiny_model().to(torch.bfloat16)
    embeds, mask = padded(model, [4, 9, 6])
    ours = decode(model, embeds, mask, Sampling(max_new_tokens=90), NO_STOP)
    monkeypatch.setattr(decoding, "RoomyLayer", DynamicLayer)
    assert ours == decode(model, embeds, mask, Sampling(max_new_tokens=90), NO_STOP)
