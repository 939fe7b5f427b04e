"""Who may call a server, how much, how large and how long: each limit refuses in the one shape, and nothing dies."""

import json
import socket
import threading
import time

import httpx
import pytest

from fakes import SlowEngine
from vecspeak.errors import UserError
from vecspeak.server import Settings

ASK = {
    "model": "things",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Describe it."},
                {"type": "embedding", "expression": '"Thing 3"'},
            ],
        }
    ],
}

JSON = {"content-type": "application/json"}


def error_of(got):
    (only,) = got.json()
    assert only == "error" and set(got.json()["error"]) == {"message", "type", "param", "code"}
    return got.json()["error"]["message"]


def test_others_are_let_in_with_a_key_alone():
    with pytest.raises(UserError, match="asks for no key"):
        Settings(host="0.0.0.0")
    Settings(host="0.0.0.0", api_key="secret")
    with pytest.raises(UserError, match="no header can"):
        Settings(api_key="two words")


def test_a_key_is_asked_for_where_there_is_one(serve):
    with serve(api_key="secret") as served:
        url = f"{served.address}/v1/models"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"authorization": "Bearer other"}).status_code == 401
        assert httpx.get(url, headers={"authorization": "Basic secret"}).status_code == 401
        assert httpx.get(url, headers={"authorization": "Bearer secret"}).status_code == 200
        assert httpx.get(f"{served.address}/metrics").status_code == 401
        assert httpx.get(f"{served.address}/health").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({}, 200),
    ],
)
def test_no_page_of_another_site_gets_an_answer(served, headers, status):
    got = httpx.get(f"{served.address}/v1/models", headers=headers)
    assert got.status_code == status
    assert "access-control-allow-origin" not in got.headers
    if status != 200:
        error_of(got)


def test_a_body_that_is_too_large_or_too_slow_is_refused(serve):
    with serve(most_bytes=2000, seconds=0.5) as served:
        url = f"{served.address}/v1/chat/completions"
        assert "2,000 may be" in error_of(httpx.post(url, content=b" " * 3000, headers=JSON))
        chunks = (b" " * 500 for _ in range(10))
        got = httpx.post(url, content=chunks, headers=JSON)
        assert got.status_code == 413
        with socket.create_connection(("127.0.0.1", served.listener.getsockname()[1])) as slow:
            slow.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: 100\r\n\r\n{"
            )
            slow.settimeout(5)
            assert b"408" in slow.recv(100)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"messages": 1}',
        b"[" * 100_000,
        b'{"messages": [{"role": "user", "content": [{"type": "embedding", "vector": [NaN]}]}]}',
        b'{"messages": [{"role": "user", "content": [{"type": "embedding", "vector": [1e999]}]}]}',
        b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
        b'{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "file:///etc/passwd"}]}]}',
    ],
)
def test_bodies_that_are_none_are_refused(served, body):
    url = f"{served.address}/v1/chat/completions"
    got = httpx.post(url, content=body, headers={"content-type": "application/json"})
    assert 400 <= got.status_code < 500
    error_of(got)
    assert httpx.post(url, json=ASK).status_code == 200


def test_unknown_paths_and_methods_have_the_one_shape(served):
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/../x", 404),
    ):
        got = httpx.request(method, served.address + path)
        assert got.status_code == status
        error_of(got)


@pytest.fixture
def slow(reader, texts, encoder):
    SlowEngine.made = 0
    reader.__dict__["engine"] = SlowEngine(texts, encoder)
    return reader


def test_a_question_whose_caller_went_away_stops(slow, serve):
    with serve() as served:
        with httpx.stream(
            "POST", f"{served.address}/v1/chat/completions", json=ASK | {"stream": True}
        ) as got:
            for number, _ in enumerate(got.iter_lines()):
                if number > 8:
                    break
        time.sleep(0.3)
        made = SlowEngine.made
        time.sleep(0.3)
        assert SlowEngine.made == made < 100


def test_more_questions_than_may_wait_are_told_to_come_back(slow, serve):
    with serve(most_waiting=1) as served:
        url = f"{served.address}/v1/chat/completions"
        first = threading.Thread(target=httpx.post, args=(url,), kwargs={"json": ASK, "timeout": 30})
        first.start()
        time.sleep(0.3)
        got = httpx.post(url, json=ASK)
        assert got.status_code == 429 and got.headers["retry-after"]
        error_of(got)
        first.join(30)


def test_an_answer_that_takes_too_long_is_given_up(slow, serve):
    with serve(seconds=0.3) as served:
        got = httpx.post(f"{served.address}/v1/chat/completions", json=ASK)
        assert got.status_code == 504
        assert "no answer in 0.3 s" in error_of(got)


def test_a_client_that_does_not_read_holds_nobody(served):
    body = json.dumps(ASK | {"stream": True}).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.listener.getsockname()[1])) as idle:
        idle.sendall(head.encode() + body)
        assert httpx.post(f"{served.address}/v1/chat/completions", json=ASK).status_code == 200


def test_counts_name_routes_and_no_texts(served):
    httpx.post(f"{served.address}/v1/chat/completions", json=ASK)
    httpx.get(f"{served.address}/v1/spaces/secret-name")
    said = httpx.get(f"{served.address}/metrics").text
    assert 'vecspeak_requests_total{route="/v1/chat/completions",status="200"} 1.0' in said
    assert "secret-name" not in said and "Thing" not in said
