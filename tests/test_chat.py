"""Chat: what replies and failures say. What is sent and how failures are explained is tested with those who ask."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from lesson_kit import completion
from local_rater import serve
from vecspeak.chat import Address, Chat, FailedError, Reply, wanted_wait

QUESTION = [{"role": "user", "content": "Why?"}]


def failure(headers):
    return SimpleNamespace(response=SimpleNamespace(headers=headers))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, 0.0),
        ({"retry-after-ms": "soon"}, 0.0),
    ],
)
def test_a_wait_is_read_from_the_headers(headers, seconds):
    assert wanted_wait(failure(headers)) == seconds


def test_a_wait_until_a_date_is_read():
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < wanted_wait(failure({"retry-after": until})) <= 30


def test_a_failure_without_a_response_asks_for_nothing():
    assert wanted_wait(RuntimeError("lost")) == 0.0


def ask(says, **options):
    with serve(says) as server:
        return Chat(Address(url=server.url, model="m", retries=0), options).ask(QUESTION)


def test_a_reply_has_its_text_tokens_and_end():
    assert ask(lambda prompt: completion("So.", (3, 2), "length")) == Reply(
        text="So.", tokens_in=3, tokens_out=2, end="length"
    )


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": "many"}, {"prompt_tokens": -1}, {"prompt_tokens": None}]
)
def test_tokens_that_are_not_told_are_open(usage):
    status, body = completion("So.")
    reply = ask(lambda prompt: (status, {**body, "usage": usage}))
    assert (reply.text, reply.tokens_in, reply.tokens_out) == ("So.", None, None)


@pytest.mark.parametrize(
    ("status", "passing"), [(500, True), (429, True), (408, True), (401, False), (404, False)]
)
def test_a_failure_says_whether_waiting_may_mend_it(status, passing):
    with pytest.raises(FailedError) as error:
        ask(lambda prompt: (status, {"error": {"message": "no"}}))
    assert error.value.passing is passing
