"""Asking a server of vLLM: what is sent, what is refused, and answers that are those of transformers.

The server here speaks its protocol with a tiny model (tests/served_model.py); test_real_vllm.py asks a real one.
"""

import dataclasses
import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_models
from raw_server import serve_raw, whole
from served_model import serve_model
from vecspeak import VecSpeak
from vecspeak.bundles import load_bundle
from vecspeak.bundles.checking import name_models
from vecspeak.bundles.weights import load_reader
from vecspeak.engines import Sampling, open_engine, resolve_engine
from vecspeak.engines.registry import engine_kind
from vecspeak.engines.transformers import TransformersEngine
from vecspeak.engines.vllm import CHAT, COMPLETION, Repeats, encoded, spelled_ban
from vecspeak.engines.vllm_model import FLAGS, chat_template, export_model, served_name
from vecspeak.errors import UserError
from vecspeak.model.prompt import ChatFormat, PromptTemplate

DATA = Path(__file__).parents[1] / "data" / "bundle-format-1"
SHORT = Sampling(max_new_tokens=12)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("VECSPEAK_CACHE", str(tmp_path_factory.mktemp("cache")))
        opened = load_bundle(DATA / "old.bundle")
        name_models(opened.manifest.reader, base=DATA / "base")
        yield opened


@pytest.fixture(scope="module")
def reader(bundle):
    return load_reader(bundle)


@pytest.fixture(scope="module")
def prompts():
    vectors = np.random.default_rng(4).normal(size=(24, 16)).astype(np.float32)
    return [
        PromptTemplate("Describe {x}." + " Be brief." * (row % 3)).fill({"x": v})
        for row, v in enumerate(vectors)
    ]


def opened(bundle, served):
    return open_engine(bundle, f"vllm:{served.url}")


def refusal(bundle, reader, **faults):
    with serve_model(reader, served_name(bundle), **faults) as served, pytest.raises(UserError) as raised:
        opened(bundle, served)
    return str(raised.value)


def test_answers_are_those_of_transformers(bundle, reader, prompts):
    with serve_model(reader, served_name(bundle)) as served:
        engine, reference = opened(bundle, served), TransformersEngine(reader)
        for sampling in (SHORT, SHORT.penalized):
            expected = reference.generate(prompts, sampling)
            assert engine.generate(prompts, sampling) == expected
            assert "".join(engine.stream(prompts[3], sampling)).strip() == expected[3]
        assert served.most_at_once > 1


def test_no_run_comes_twice_and_what_no_ban_can_say_is_cut_off(bundle, reader, prompts):
    sampling = Sampling(max_new_tokens=40, no_repeat_ngram_size=2)
    with serve_model(reader, served_name(bundle)) as served:
        engine = opened(bundle, served)
        found, expected = (
            engine.generate(prompts, sampling),
            TransformersEngine(reader).generate(prompts, sampling),
        )
        banned = [body["bad_words"] for body in served.bodies if "bad_words" in body]
    same = [one == other for one, other in zip(found, expected, strict=True)]
    # This random model writes halves of letters, which no text spells: those answers end there.
    assert all(other.startswith(one.rstrip("\ufffd")) for one, other in zip(found, expected, strict=True))
    assert sum(same) >= len(prompts) // 4 and banned


@pytest.mark.parametrize(
    ("counts_others", "route"),
    [((), COMPLETION), (("/v1/completions",), CHAT)],
    ids=["neither", "completions"],
)
def test_prompts_travel_in_the_form_in_which_no_other_answer_counts(bundle, reader, counts_others, route):
    with serve_model(reader, served_name(bundle), counts_others=counts_others) as served:
        assert opened(bundle, served).route == route


def test_a_server_that_counts_other_answers_in_every_form_is_refused(bundle, reader):
    said = refusal(bundle, reader, counts_others=(COMPLETION.path, CHAT.path))
    assert "counts tokens of other answers" in said and "export_vllm" in said


def test_what_is_sent_is_the_prompt_and_how_it_is_drawn(bundle, reader, prompts):
    with serve_model(reader, served_name(bundle)) as served:
        engine = opened(bundle, served)
        served.bodies.clear()
        drawn = Sampling(max_new_tokens=5, temperature=0.7, seed=3, repetition_penalty=1.2)
        engine.generate(prompts[:2], drawn)
    body = served.bodies[0]
    assert set(body) == {
        "messages", "model", "stop_token_ids", "return_token_ids", "max_tokens", "temperature", "top_k", "top_p",
        "seed", "repetition_penalty", "stream", "stream_interval",
    }  # fmt: skip
    assert (body["top_k"], body["top_p"], body["temperature"], body["max_tokens"]) == (50, 0.95, 0.7, 5)
    assert served.bodies[0]["seed"] != served.bodies[1]["seed"]


def test_embeddings_are_those_of_the_reader(bundle, reader, prompts):
    with serve_model(reader, served_name(bundle)) as served:
        found = opened(bundle, served).reader.embed_prompts(prompts)
    expected, mask = reader.embed_prompts(prompts)
    for one, row, length in zip(found, expected, mask.sum(1).tolist(), strict=True):
        assert torch.allclose(torch.from_numpy(one.embeds_TE), row[-length:], atol=1e-6)


def test_a_view_is_sent_without_what_it_is_a_view_of():
    rows = np.zeros((1000, 4), np.float32)
    assert len(encoded(rows[:1])) < 4000 < len(encoded(rows))


def test_a_server_of_another_model_is_refused(bundle, reader):
    with serve_model(reader, "gpt-oss-20b") as served, pytest.raises(UserError) as raised:
        opened(bundle, served)
    assert "serves gpt-oss-20b" in str(raised.value) and served_name(bundle) in str(raised.value)


def test_a_server_without_embeddings_is_refused_with_what_to_type(bundle, reader):
    assert "--enable-prompt-embeds --no-enable-prefix-caching" in refusal(bundle, reader, embeds=False)


def test_a_server_that_mixes_prompts_up_is_refused_with_what_to_type(bundle, reader):
    said = refusal(bundle, reader, mixes_up=True)
    assert "what it remembers of another" in said and FLAGS[1] in said


def test_other_weights_under_the_same_name_are_refused(bundle):
    base = load_reader(bundle, base_model=True)
    assert "answers as another model" in refusal(bundle, base)


def test_another_width_is_refused_in_the_servers_own_words(bundle, reader):
    other = dataclasses.replace(reader, language_model=tiny_models.tiny_model(hidden=32))
    width = reader.language_model.config.hidden_size
    assert f"hidden_size {width} does not match" in refusal(bundle, other)


def test_a_busy_server_is_asked_again(bundle, reader, prompts, monkeypatch):
    monkeypatch.setattr("vecspeak.engines.vllm_http._FIRST_WAIT", 0.001)
    with serve_model(reader, served_name(bundle)) as served:
        engine = opened(bundle, served)
        expected = engine.generate(prompts[:1], SHORT)
        served.busy = 2
        assert engine.generate(prompts[:1], SHORT) == expected and not served.busy


def test_who_stops_reading_stops_the_server(bundle, reader, prompts):
    with serve_model(reader, served_name(bundle)) as served:
        engine = opened(bundle, served)
        made = engine.answers(prompts, Sampling(max_new_tokens=400))
        next(made)
        made.close()
        deadline = time.monotonic() + 20
        while served.at_once and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not served.at_once


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://example.org/v1\r\nContent-Length: 0\r\n\r\n",
            "example.org",
        ),
        (whole(b"<html>"), "/v1"),
        (whole(b'{"data": 3}'), "does not reply as vLLM does"),
        (whole(b'{"error": {"message": "no key secret-key here"}}', b"HTTP/1.1 401 No\r\n"), "VLLM_API_KEY"),
    ],
    ids=["redirect", "page", "other JSON", "key"],
)
def test_what_is_no_vllm_is_said(bundle, reply, words, monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "secret-key")
    monkeypatch.setattr("vecspeak.engines.vllm_http._FIRST_WAIT", 0.001)
    with serve_raw(lambda head: [reply]) as server, pytest.raises(UserError) as raised:
        open_engine(bundle, f"vllm:{server.url}")
    assert words in str(raised.value) and "secret-key" not in str(raised.value)
    assert all("authorization: bearer secret-key" in head.lower() for head, _ in server.requests)


@pytest.mark.parametrize(
    "likelihood", [b"NaN", b"-Infinity", b"1e999", b"null", b'"-1.5"', b"1" + b"0" * 400]
)
def test_likelihoods_that_are_no_numbers_are_refused(bundle, reader, likelihood):
    with serve_model(reader, served_name(bundle)) as served:
        served.altered = lambda said: re.sub(rb'("token_id:\d+": )-?[0-9.e+-]+', rb"\g<1>" + likelihood, said)
        with pytest.raises(UserError, match="does not reply as vLLM does"):
            opened(bundle, served)


def test_replies_are_read_as_utf_8_alone(bundle, reader):
    with serve_model(reader, served_name(bundle)) as served:
        served.altered = lambda said: said.decode().encode("utf-16")
        with pytest.raises(UserError, match="does not reply as vLLM does"):
            opened(bundle, served)


def token_event(ids, reason=b"null"):
    return b'{"choices": [{"index": 0, "token_ids": %s, "finish_reason": %s}]}' % (ids, reason)


@pytest.mark.parametrize(
    "ids",
    [b"[-1]", b"[%d]" % 2**40, b"[1e300]", b"[Infinity]", b'["12345"]', b'"12345"', b"[1.5]", b"[true]",
     b"[[1]]", b"5"],
)  # fmt: skip
def test_what_are_no_tokens_of_the_reader_is_refused(bundle, reader, prompts, ids):
    with serve_model(reader, served_name(bundle)) as served:
        engine = opened(bundle, served)
        served.streams = [token_event(ids), token_event(b"[]", b'"stop"'), b"[DONE]"]
        with pytest.raises(UserError, match="does not reply as vLLM does"):
            engine.generate(prompts[:1], SHORT)
        with pytest.raises(UserError, match="does not reply as vLLM does"):
            list(engine.stream(prompts[0], SHORT))


def test_the_first_id_beyond_the_vocabulary_is_refused(bundle, reader, prompts):
    with serve_model(reader, served_name(bundle)) as served:
        engine = opened(bundle, served)
        size = len(engine.reader.embedding_VE)
        served.streams = [token_event(b"[%d]" % (size - 1), b'"length"'), b"[DONE]"]
        engine.generate(prompts[:1], SHORT)
        served.streams = [token_event(b"[%d]" % size, b'"length"'), b"[DONE]"]
        with pytest.raises(UserError, match="does not reply as vLLM does"):
            engine.generate(prompts[:1], SHORT)


@pytest.mark.parametrize("said", [[token_event(b"[]", b'"abort"')], [token_event(b"[]", b'"length"')], []])
def test_an_answer_without_tokens_ends_by_a_stop_alone(bundle, reader, prompts, said):
    with serve_model(reader, served_name(bundle)) as served:
        engine = opened(bundle, served)
        served.streams = [*said, b"[DONE]"]
        with pytest.raises(UserError, match="does not reply as vLLM does"):
            engine.generate(prompts[:1], SHORT)
        served.streams = [token_event(b"[]", b'"stop"'), b"[DONE]"]
        assert engine.generate(prompts[:1], SHORT) == [""]


@pytest.mark.parametrize("together", [1, 100])
def test_no_more_tokens_are_taken_than_were_asked_for(bundle, reader, prompts, together):
    with serve_model(reader, served_name(bundle)) as served:
        engine = opened(bundle, served)
        a_token = engine.reader.tokenizer.encode("a", add_special_tokens=False).ids[0]
        part = token_event(repr([a_token] * together).encode())
        served.streams = (part for _ in range(20_000))  # nobody reads it to its end
        assert "".join(engine.stream(prompts[0], Sampling(max_new_tokens=16))) == "a" * 16
        deadline = time.monotonic() + 20
        while served.at_once and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not served.at_once and served.num_streamed < 20_000


def test_no_server_is_said_with_its_address(bundle):
    with pytest.raises(UserError, match="nothing answers at http://127.0.0.1:1"):
        open_engine(bundle, "vllm:http://127.0.0.1:1")


@pytest.mark.parametrize("name", ["vllm", "vllm:", "openvino:http://127.0.0.1:8000", "vllm:nowhere"])
def test_an_address_stands_where_one_belongs(bundle, name):
    with pytest.raises(UserError, match="address"):
        open_engine(bundle, name)


def test_the_address_is_no_part_of_what_an_engine_is_called(bundle):
    assert engine_kind(resolve_engine(bundle, "vllm:http://127.0.0.1:8000")) == "vllm"


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 4))
@settings(max_examples=60)
def test_a_run_that_was_there_is_seen_at_its_last_token(ids, size):
    repeats = Repeats(size)
    for place, token in enumerate(ids):
        runs = [tuple(ids[start : start + size]) for start in range(place - size + 1)]
        is_new = place < size - 1 or tuple(ids[place - size + 1 : place + 1]) not in runs
        assert repeats.add(token) == is_new
        if not is_new:
            return
    assert repeats.ids == ids


def test_a_ban_holds_where_a_run_comes_again_and_not_where_it_came_first():
    tokenizer = tiny_models.tiny_tokenizer().backend_tokenizer
    ids = tokenizer.encode("a shark, a shark", add_special_tokens=False).ids
    repeats = Repeats(3)
    stopped = next(place for place, token in enumerate(ids) if not repeats.add(token))
    text = spelled_ban(tokenizer, ids[:stopped], ids[stopped], 3)
    banned = tokenizer.encode(text, add_special_tokens=False).ids
    assert banned == ids[stopped - len(banned) + 1 : stopped + 1]
    assert [place for place in range(len(ids)) if ids[place : place + len(banned)] == banned] == [
        stopped - len(banned) + 1
    ]


def test_what_no_text_spells_is_not_banned():
    tokenizer = tiny_models.tiny_tokenizer().backend_tokenizer
    half = tokenizer.encode("\u00e9", add_special_tokens=False).ids[:1]  # a byte of a letter
    assert spelled_ban(tokenizer, half * 6, half[0], 3) == ""


def test_an_exported_model_answers_as_the_reader(bundle, reader, prompts, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = export_model(bundle, tmp_path / "out", dtype="float32")
    model = AutoModelForCausalLM.from_pretrained(found.folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(found.folder)
    state = model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in reader.language_model.state_dict().items())
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "Why?"}], tokenize=False)
    assert asked == f"{reader.chat.before}Why?{reader.chat.after}"
    assert tokenizer.apply_chat_template([{"role": "prompt", "content": "Why?"}], tokenize=False) == "Why?"
    assert model.generation_config.eos_token_id == reader.stop_ids
    assert all(
        part in found.command for part in ("vllm serve", str(found.folder), found.name, found.dtype, *FLAGS)
    )


def test_an_export_replaces_its_own_folder_and_no_other(bundle, tmp_path):
    export_model(bundle, tmp_path / "out", dtype="float16")
    again = export_model(bundle, tmp_path / "out")
    assert again.dtype == "bfloat16" and [path.name for path in tmp_path.iterdir()] == ["out"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    with pytest.raises(UserError):
        export_model(bundle, tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["letter.txt"]
    with pytest.raises(UserError, match="dtype"):
        export_model(bundle, tmp_path / "out", dtype="int8")


def test_a_template_keeps_what_a_format_writes():
    odd = ChatFormat(before='say "{{ x }}"\n\\', after="{% raw %}'", stop="\u2028")
    from jinja2 import Environment

    written = (
        Environment()
        .from_string(chat_template(odd))
        .render(messages=[{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}])
    )
    assert written == f"{odd.before}Q{odd.after}A{odd.stop}"


def test_a_front_door_exports_and_prints_the_same(bundle, tmp_path):
    found = VecSpeak(bundle).export_vllm(tmp_path / "out")
    assert found.command in "\n".join(found.lines) and found.to_dict()["folder"] == str(tmp_path / "out")
