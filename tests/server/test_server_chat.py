"""The server as OpenAI's own client sees it, on loopback: answers, evidence, streams, refusals."""

import threading

import httpx
import pytest
from openai import APIStatusError

from vecspeak.engines import Sampling
from vecspeak.server.answering import QueuedQuestion


def about(**part):
    return [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Describe this."}, {"type": "embedding", **part}],
        }
    ]


def test_the_official_client_gets_an_answer_with_its_evidence(served, reader, texts):
    found = served.client.chat.completions.create(model="things", messages=about(expression='"Thing 3"'))
    message = found.choices[0].message
    assert message.content == reader.ask("Describe this.", x="Thing 3", effort="quick").text
    (point,) = message.model_extra["evidence"]["points"]
    assert point["expression"] == '"Thing 3"' and point["is_item"]
    assert message.model_extra["evidence"]["trusted"] is True


def test_a_raw_vector_is_read(served, reader, texts):
    vector = reader.space.vectors[5].tolist()
    found = served.client.chat.completions.create(model="things", messages=about(vector=vector))
    assert found.choices[0].message.content == reader.ask("Describe this.", x="Thing 5", effort="quick").text


def test_an_answer_streams_and_ends_with_its_evidence(served, reader):
    parts = list(
        served.client.chat.completions.create(
            model="things", messages=about(expression='mid("Thing 1", "Thing 2", 0.5)'), stream=True
        )
    )
    text = "".join(one.choices[0].delta.content or "" for one in parts)
    assert (
        text.strip() == reader.ask("Describe this.", x='mid("Thing 1", "Thing 2", 0.5)', effort="quick").text
    )
    last = parts[-1].choices[0]
    assert last.finish_reason == "stop" and last.delta.model_extra["evidence"]["points"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"messages": []}, 422, "messages"),
        ({"messages": [{"role": "user", "content": "Hello"}]}, 400, "no embedding"),
        ({"messages": about(expression='"Nothing"')}, 400, "nearest spellings"),
        ({"messages": about(expression='"Thing 1"', vector=[1.0])}, 400, "one of them alone"),
        ({"messages": about(vector=[1.0])}, 400, "12"),
        ({"messages": about(expression='"Thing 1"'), "n": 2}, 400, "n is 1 here"),
        ({"messages": about(expression='"Thing 1"'), "tools": [1]}, 400, "tools"),
        ({"messages": about(expression='"Thing 1"'), "model": "other"}, 404, "there is no model"),
        ({"messages": about(expression='"Thing 1"'), "max_tokens": 100_000}, 400, "max_tokens"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_shape(served, body, status, words):
    got = httpx.post(f"{served.address}/v1/chat/completions", json={"model": "things", **body})
    assert got.status_code == status
    assert set(got.json()["error"]) == {"message", "type", "param", "code"}
    assert words in got.json()["error"]["message"]


def test_a_refusal_of_a_stream_has_its_own_status(served):
    with pytest.raises(APIStatusError) as refused:
        served.client.chat.completions.create(
            model="things", messages=about(expression='"Nothing"'), stream=True
        )
    assert refused.value.status_code == 400


def test_64_clients_at_once_get_the_right_answers(served, reader):
    expected = {row: reader.ask("Describe this.", x=f"Thing {row}", effort="quick").text for row in range(64)}
    got = {}

    def ask(row):
        found = served.client.chat.completions.create(
            model="things", messages=about(expression=f'"Thing {row}"')
        )
        got[row] = found.choices[0].message.content

    threads = [threading.Thread(target=ask, args=(row,)) for row in expected]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert got == expected


@pytest.mark.parametrize(
    ("first", "second", "are_together"),
    [
        ((0.0, "quick"), (0.0, "quick"), True),
        ((0.0, None), (0.0, None), True),
        ((0.0, "quick"), (0.0, None), False),
        ((0.7, None), (0.7, None), False),  # a draw depends on its place in a batch
        ((0.0, "normal"), (0.0, "normal"), False),  # so does a search
    ],
)
def test_only_answers_without_chance_are_made_together(first, second, are_together):
    asker = object()
    questions = [
        QueuedQuestion(asker, None, Sampling(temperature=temperature), effort)
        for temperature, effort in (first, second)
    ]
    keys = [one.batch_key for one in questions]
    assert (keys[0] == keys[1]) == are_together
