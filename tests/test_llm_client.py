"""Chat: what replies and failures say. What is sent and how failures are explained is tested with those who ask."""

import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from lesson_kit import completion
from local_rater import serve
from raw_server import serve_raw, whole
from vecspeak.llm_client import ChatClient, Endpoint, RefusedError, Reply, RequestFailedError, retry_after

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
    assert retry_after(failure(headers)) == seconds


def test_a_wait_until_a_date_is_read():
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < retry_after(failure({"retry-after": until})) <= 30


def test_a_failure_without_a_response_asks_for_nothing():
    assert retry_after(RuntimeError("lost")) == 0.0


def ask(says, **options):
    with serve(says) as server:
        return ChatClient(Endpoint(url=server.url, model="m", retries=0), options).ask(QUESTION)


def test_a_reply_has_its_text_tokens_and_end():
    assert ask(lambda prompt: completion("So.", (3, 2), "length")) == Reply(
        text="So.", tokens_in=3, tokens_out=2, end="length"
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "So "}, {"type": "text", "text": "it is."}], "So it is."),
        ([{"type": "image", "url": "x"}, "loose"], ""),
        ({"text": "no list"}, ""),
        (None, ""),
    ],
)
def test_a_reply_in_parts_is_joined_and_no_structure_becomes_a_text(content, text):
    assert ask(lambda prompt: completion(content)).text == text


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": "many"}, {"prompt_tokens": -1}, {"prompt_tokens": None}]
)
def test_tokens_that_are_not_told_are_open(usage):
    status, body = completion("So.")
    reply = ask(lambda prompt: (status, {**body, "usage": usage}))
    assert (reply.text, reply.tokens_in, reply.tokens_out) == ("So.", None, None)


def test_what_a_request_needs_is_renamed_once_and_never_left_out():
    def says(prompt):
        sent = server.requests[-1]
        name = "max_tokens" if "max_tokens" in sent else "max_completion_tokens"
        return 400, {
            "error": {"message": f"{name} is too large: use less max_tokens or max_completion_tokens"}
        }

    with serve(says) as server:
        chat = ChatClient(Endpoint(url=server.url, model="m", retries=0), {"temperature": 0})
        for _ in range(2):
            with pytest.raises(RefusedError):
                chat.ask(QUESTION, max_tokens=10**6)
        server.says = lambda prompt: completion("So.")
        assert chat.ask(QUESTION, max_tokens=7).text == "So."
    names = [[name for name in sent if name.startswith("max_")] for sent in server.requests]
    assert names == [["max_tokens"], ["max_completion_tokens"]] * 2 + [["max_tokens"]]


@pytest.mark.parametrize(("code", "filtered"), [("content_filter", True), ("too_long", False), (None, False)])
def test_a_refusal_says_whether_a_filter_is_the_cause(code, filtered):
    with pytest.raises(RefusedError) as error:
        ask(lambda prompt: (400, {"error": {"message": "no", "code": code}}))
    assert error.value.filtered is filtered


def test_only_a_reply_that_was_lost_may_cost():
    over = threading.Event()
    with serve(lambda prompt: over.wait(20) and "late") as server:
        with pytest.raises(RequestFailedError) as error:
            ChatClient(Endpoint(url=server.url, model="m", retries=0, timeout=0.2), {}).ask(QUESTION)
        over.set()
    assert error.value.may_cost
    with pytest.raises(RequestFailedError) as error:
        ChatClient(Endpoint(url=server.url, model="m", retries=0), {}).ask(QUESTION)
    assert not error.value.may_cost, "nothing is there any more"


@pytest.mark.parametrize(
    ("url", "place", "is_here"),
    [
        ("http://127.0.0.1:8000/v1", "127.0.0.1:8000", True),
        ("http://localhost/v1", "localhost", True),
        ("http://[::1]:9/v1", "::1:9", True),
        ("https://api.example.com/v1", "api.example.com", False),
        ("http://192.168.0.2:8000/v1", "192.168.0.2:8000", False),
    ],
)
def test_an_address_says_where_it_is(url, place, is_here):
    address = Endpoint(url=url, model="m")
    assert (address.place, address.is_here) == (place, is_here)


@pytest.mark.parametrize(
    ("status", "passing"), [(500, True), (429, True), (408, True), (401, False), (404, False)]
)
def test_a_failure_says_whether_waiting_may_mend_it(status, passing):
    with pytest.raises(RequestFailedError) as error:
        ask(lambda prompt: (status, {"error": {"message": "no"}}))
    assert error.value.passing is passing


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_neither_texts_nor_the_key_elsewhere(status):
    with serve(lambda prompt: completion("So.")) as elsewhere:
        there = elsewhere.url.replace("//", "//me:secret@")
        head = b"HTTP/1.1 %d Moved\r\nLocation: %s/chat/completions?token=secret\r\n" % (
            status,
            there.encode(),
        )
        with serve_raw(lambda _: [whole(b"", head)]) as server:
            with pytest.raises(RequestFailedError) as error:
                ChatClient(Endpoint(url=server.url, model="m", key="sk-secret"), {}).ask(QUESTION)
        assert elsewhere.requests == []
    assert f"sends on to {elsewhere.url}/chat/completions (status {status})" in str(error.value)
    assert "secret" not in str(error.value)
    assert len(server.requests) == 1 and not error.value.passing


@pytest.fixture
def waits(monkeypatch):
    """Seconds that were waited for, of which none pass."""
    found = []
    monkeypatch.setattr("vecspeak.llm_client.time.sleep", found.append)
    return found


UNUSABLE = {
    "page": (200, "<html>Log in</html>"),
    "garbage": (200, "[\x00garbage"),
    "nested": (200, "[" * 100_000),
    "other shape": (200, {"result": "So."}),
    "broken within": (500, {"error": {"message": "boom"}}),
}


@pytest.mark.parametrize("said", UNUSABLE.values(), ids=UNUSABLE)
def test_what_no_waiting_mends_is_asked_twice(said, waits):
    with serve(lambda prompt: said) as server, pytest.raises(RequestFailedError) as error:
        ChatClient(Endpoint(url=server.url, model="m"), {}).ask(QUESTION)
    assert len(server.requests) == 2
    assert "twice and never otherwise" in str(error.value) and not error.value.passing


@pytest.mark.parametrize("said", UNUSABLE.values(), ids=UNUSABLE)
def test_a_server_that_has_answered_is_given_all_its_retries(said, waits):
    with serve(lambda prompt: completion("So.")) as server:
        client = ChatClient(Endpoint(url=server.url, model="m", retries=3), {})
        client.ask(QUESTION)
        server.says = lambda prompt: said
        with pytest.raises(RequestFailedError) as error:
            client.ask(QUESTION)
    assert len(server.requests) == 1 + 4
    assert error.value.passing


def limited(seconds):
    head = b"HTTP/1.1 429 Too many\r\nRetry-After: %s\r\n" % seconds.encode()
    return serve_raw(lambda _: [whole(b"{}", head)])


def test_what_a_server_asks_to_wait_is_waited_and_told(waits, capsys):
    with limited("200") as server, pytest.raises(RequestFailedError):
        ChatClient(Endpoint(url=server.url, model="m", retries=2), {}).ask(QUESTION)
    assert waits == [200.0] * 2
    assert (
        capsys.readouterr().err.count("takes no more requests (status 429); it is asked again in 200 s") == 2
    )


@pytest.mark.parametrize("seconds", ["86400", "1e999", "601"])
def test_a_server_that_asks_to_wait_too_long_ends_it(seconds, waits):
    with (
        limited(seconds) as server,
        pytest.raises(RequestFailedError, match="600 s are waited at most") as error,
    ):
        ChatClient(Endpoint(url=server.url, model="m", retries=2), {}).ask(QUESTION)
    assert waits == [] and not error.value.passing
    assert len(server.requests) == 1
