"""Bounds of a reply, against real servers on loopback that keep to none."""

import gzip
import json
import ssl
import zlib
from itertools import chain, repeat
from pathlib import Path

import pytest

from lesson_kit import completion
from local_rater import serve
from raw_server import HEAD, serve_raw, whole
from vecspeak.llm_client import ChatClient, Endpoint, RequestFailedError
from vecspeak.llm_transport import MOST_BYTES

QUESTION = [{"role": "user", "content": "Why?"}]
WELL = json.dumps(completion("So.")[1]).encode()
CERTIFICATE = Path(__file__).parent / "data" / "loopback.pem"


def client(server, **more):
    return ChatClient(Endpoint(url=server.url, model="m", **{"retries": 0, **more}), {})


def failure(server, **more):
    with pytest.raises(RequestFailedError) as error:
        client(server, **more).ask(QUESTION)
    assert "\n" not in str(error.value)
    return error.value


DRIPS = {
    "body": (whole(WELL)[:-200], b" "),
    "body without a length": (HEAD + b"\r\n", b" "),
    "headers": (HEAD, b"x"),
    "status": (b"", b"H"),
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize(("start", "drop"), DRIPS.values(), ids=DRIPS)
def test_a_reply_that_drips_is_given_up_after_the_time_of_a_reply(start, drop):
    def drips(_):
        yield start
        while not server.stopped.wait(0.02):
            yield drop

    with serve_raw(drips) as server:
        error = failure(server, timeout=0.15)
    assert "did not reply within 0.15 s" in str(error)
    assert error.passing and error.may_cost


ENDLESS = {
    "body": (HEAD + b"\r\n", b" " * 65536),
    "error": (b"HTTP/1.1 400 Bad\r\n\r\n", b" " * 65536),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
}


@pytest.mark.parametrize(("start", "more"), ENDLESS.values(), ids=ENDLESS)
def test_a_reply_without_end_is_read_up_to_a_bound(start, more):
    with serve_raw(lambda _: chain([start], repeat(more))) as server:
        assert "sends a reply of more than 4 MiB" in str(failure(server))
    assert server.sent < 8 * MOST_BYTES  # what the sockets hold


@pytest.mark.parametrize("line", [b"x: y\r\n", b"x" * 65536], ids=["many", "long"])
def test_headers_without_end_are_read_up_to_a_bound(line):
    with serve_raw(lambda _: chain([HEAD], repeat(line))) as server:
        assert "speaks no HTTP" in str(failure(server))
    assert server.sent < 8 * MOST_BYTES


BOMB = b" " * (16 << 20)


@pytest.mark.parametrize(
    ("coding", "packed"),
    [("gzip", gzip.compress(BOMB)), ("deflate", zlib.compress(BOMB)), ("br", b"\x1b"), ("gzip, zstd", b"x")],
    ids=["gzip", "deflate", "br", "two"],
)
def test_nothing_compressed_is_asked_for_or_unpacked(coding, packed, monkeypatch):
    monkeypatch.setattr(zlib, "decompressobj", None)
    head = HEAD + b"Content-Encoding: %s\r\n" % coding.encode()
    with serve_raw(lambda _: [whole(packed, head)]) as server:
        assert "sends a compressed reply, which was not asked for" in str(failure(server))
    assert "accept-encoding: identity\r\n" in server.requests[0][0].lower()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"220 mail.example ESMTP\r\n\r\n", "speaks no HTTP"),
        (b"", "broke the connection off"),
        (HEAD + b"Content-Length: 900\r\n\r\n{", "broke the connection off"),
    ],
    ids=["other protocol", "nothing", "half"],
)
def test_what_is_no_reply_is_one_line(said, words):
    with serve_raw(lambda _: [said]) as server:
        assert words in str(failure(server))


def test_a_second_reply_on_a_connection_is_nobodys():
    second = json.dumps(completion("Of another request.")[1]).encode()
    with serve_raw(lambda _: [whole(WELL) + whole(second)]) as server:
        asking = client(server)
        assert [asking.ask(QUESTION).text for _ in range(3)] == ["So."] * 3
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "choices",
    [
        [{"index": 0, "message": {"content": "a"}}, {"index": 1, "message": {"content": "b"}}],
        [{"index": 3, "message": {"content": "a"}}],
        [{"index": 0}],
        [None],
        "abc",
    ],
)
def test_choices_that_were_not_asked_for_are_no_reply(choices):
    with serve(lambda prompt: (200, {"choices": choices})) as server:
        assert "does not reply as OpenAI's API does" in str(failure(server))


def test_the_answer_to_a_million_choices_needs_little_memory():
    """The package openai would make an object of each."""
    with serve(lambda prompt: (200, {"choices": [{}] * 500_000})) as server:
        assert "does not reply as OpenAI's API does" in str(failure(server))


def test_a_proxy_is_the_environments_and_never_between_this_machine_and_itself(monkeypatch):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with serve(lambda prompt: completion("So.")) as server, serve_raw(lambda _: [whole(WELL)]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        assert client(server).ask(QUESTION).text == "So."
        assert proxy.requests == []
        elsewhere = ChatClient(Endpoint(url="http://elsewhere.invalid/v1", model="m", retries=0), {})
        assert elsewhere.ask(QUESTION).text == "So."
    assert "http://elsewhere.invalid/v1/chat/completions" in proxy.requests[0][0]


def test_a_certificate_is_verified(monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with serve_raw(lambda _: [whole(WELL)], context) as server:
        error = failure(server, key="sk-secret")
        assert server.requests == [], "neither text nor key"
        assert "certificate" in str(error) and not error.may_cost
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        assert client(server).ask(QUESTION).text == "So.", "one that the environment trusts"


def test_nothing_of_the_environment_is_sent_but_what_was_named(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "of-the-environment")
    with serve_raw(lambda _: [whole(WELL)]) as server:
        client(server).ask(QUESTION)
    head = server.requests[0][0].lower()
    assert "of-the-environment" not in head
    assert "x-stainless" not in head, "nor what runs on this machine"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 500 Bad\r\nContent-Type: text/plain; charset=hex\r\n",
        b"HTTP/1.1 307 Gone\r\nLocation: http://[::1\r\n",
    ],
    ids=["a charset that is of no text", "an address that is none"],
)
def test_a_head_that_no_library_reads_is_a_failure_in_words(head):
    with serve_raw(lambda _: [head + b"Content-Length: 2\r\n\r\nzz"]) as server:
        assert "127.0.0.1" in str(failure(server))
