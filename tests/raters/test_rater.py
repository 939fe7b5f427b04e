"""Rater, against a real server on loopback: what is sent, retried, kept, and said when it fails."""

import socket
import threading

import pytest

from local_rater import serve
from vecspeak.errors import UserError
from vecspeak.llm_client import Endpoint
from vecspeak.raters.items import BETTER, FITS
from vecspeak.raters.llm import ChatRater, JudgeReplies

KEY = "sk-the-secret-key"
ASKED = {f"Prompt {i}": FITS for i in range(12)}


def rater(server, kept=None, **more):
    return ChatRater(Endpoint(url=server.url, model="rater", **more), kept or JudgeReplies())


def failure(server, asked=ASKED, kept=None, **more):
    """The one line that a failing run says."""
    with pytest.raises(UserError) as error:
        rater(server, kept, **{"retries": 0, **more}).ask_all(asked, concurrency=2)
    assert "\n" not in str(error.value)
    assert KEY not in str(error.value)
    return str(error.value)


def test_every_prompt_is_asked_once_of_the_named_model():
    with serve(lambda prompt: prompt.split()[-1][0]) as server:
        found = rater(server).ask_all({f"Prompt {i}": FITS for i in range(1, 6)})
    assert {prompt: verdict.value for prompt, verdict in found.items()} == {
        f"Prompt {i}": i for i in range(1, 6)
    }
    assert all(verdict.fresh for verdict in found.values())
    assert sorted(server.prompts) == sorted(found)
    assert {request["model"] for request in server.requests} == {"rater"}
    assert {len(request["messages"]) for request in server.requests} == {1}


def test_one_at_a_time_they_are_asked_in_the_order_given():
    with serve(lambda prompt: "3") as server:
        rater(server).ask_all(ASKED, concurrency=1)
    assert server.prompts == list(ASKED)


def test_many_are_asked_at_a_time():
    together = threading.Barrier(4, timeout=20)

    def says(prompt):
        together.wait()
        return "3"

    with serve(says) as server:
        assert len(rater(server).ask_all(ASKED, concurrency=4)) == 12


def test_what_is_kept_is_not_asked_again_and_needs_no_server(tmp_path):
    path = tmp_path / "replies.jsonl"
    with serve(lambda prompt: "3") as server:
        rater(server, JudgeReplies(path)).ask_all(ASKED)
    again = rater(server, JudgeReplies(path)).ask_all(ASKED)
    assert {(verdict.value, verdict.fresh) for verdict in again.values()} == {(3, False)}
    assert len(server.requests) == 12


def test_an_unusable_reply_is_asked_once_more_in_the_same_conversation():
    replies = iter(["Well, it depends.", "B"])
    with serve(lambda prompt: next(replies)) as server:
        assert rater(server).ask(BETTER, "Which?").value == "B"
    assert [m["role"] for m in server.requests[1]["messages"]] == ["user", "assistant", "user"]
    assert server.requests[1]["messages"][1]["content"] == "Well, it depends."
    assert server.requests[1]["messages"][2]["content"] == BETTER.rule


@pytest.mark.parametrize("said", ["No idea.", ""])
def test_two_unusable_replies_are_no_answer_and_are_not_asked_again(said):
    kept = JudgeReplies()
    with serve(lambda prompt: said) as server:
        first = rater(server, kept).ask(FITS, "Fits?")
        second = rater(server, kept).ask(FITS, "Fits?")
    assert (first.value, first.fresh, second.value, second.fresh) == (None, True, None, False)
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_fails_now_and_then_is_asked_again(status):
    seen = set()

    def says(prompt):
        if prompt in seen:
            return "4"
        seen.add(prompt)
        return status, {"error": {"message": "later"}}

    with serve(says) as server:
        found = rater(server).ask_all(ASKED)
    assert {verdict.value for verdict in found.values()} == {4}
    assert len(server.requests) == 2 * len(ASKED)


def test_the_key_is_sent_and_a_server_that_needs_none_gets_none_of_ours(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serve(lambda prompt: "3") as server:
        rater(server).ask(FITS, "one")
        rater(server, key="another").ask(FITS, "two")
    assert server.keys == ["Bearer none", "Bearer another"]
    assert KEY not in repr(Endpoint(url=server.url, model="m", key=KEY))


def test_an_address_where_nothing_answers_is_one_line():
    with socket.socket() as held:  # bound and not listening: nobody else can take the port
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        with pytest.raises(UserError, match="nothing answers at http.*correct `url`"):
            ChatRater(Endpoint(url=url, model="rater"), JudgeReplies()).ask_all(ASKED)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_one_line_that_does_not_show_it(status):
    with serve(lambda prompt: (status, {"error": {"message": f"Incorrect key\n{KEY}"}})) as server:
        said = failure(server, key=KEY)
    with serve(lambda prompt: (status, {"error": {"message": "No key"}})) as server:
        without = failure(server)
    assert f"refuses the key (status {status}: Incorrect key (the key))" in said
    assert f"refuses a request without a key (status {status}: No key)" in without
    assert "`key_env`" in without


@pytest.mark.parametrize("status", [404, 400, 422])
def test_an_unknown_model_is_one_line_with_those_there_are(status):
    body = {"error": {"message": "no such model"}}
    with serve(lambda prompt: (status, body), models=("small", "large")) as server:
        said = failure(server)
    assert "'rater'" in said
    assert "small, large" in said
    assert "`model`" in said
    assert len(server.requests) < len(ASKED)  # whichever thread wakes first


@pytest.mark.parametrize(("status", "words"), [(429, "lower `concurrency`"), (500, "look at the server")])
def test_a_server_that_keeps_failing_is_one_line(status, words):
    with serve(lambda prompt: (status, {"error": {"message": "no"}})) as server:
        assert words in failure(server)


@pytest.mark.parametrize("body", ["<html>Welcome</html>", {"hello": "world"}])
def test_a_page_that_is_no_api_is_one_line(body):
    with serve(lambda prompt: (200, body)) as server:
        assert "does not reply as OpenAI's API does" in failure(server)


def test_a_reply_that_takes_too_long_is_one_line():
    stopped = threading.Event()

    def says(prompt):
        stopped.wait(20)
        return "3"

    with serve(says) as server:
        said = failure(server, {"one": FITS}, timeout=0.2)
        stopped.set()
    assert "did not reply within 0.2 s" in said


def test_a_model_that_takes_no_temperature_or_length_is_asked_without():
    with serve(lambda prompt: "3") as server:
        usual = server.reply

        def picky(request, authorization):
            for name in ("temperature", "max_tokens"):
                if name in request:
                    return 400, {"error": {"message": f"Unsupported parameter: '{name}'"}}
            return usual(request, authorization)

        server.reply = picky
        found = rater(server).ask_all(ASKED)
    assert {verdict.value for verdict in found.values()} == {3}


def test_a_question_that_is_refused_does_not_stop_the_others():
    def says(prompt):
        return (400, {"error": {"message": "filtered"}}) if prompt in ("Prompt 0", "Prompt 7") else "3"

    kept = JudgeReplies()
    with serve(says) as server:
        found = rater(server, kept).ask_all(ASKED, concurrency=1)
        again = rater(server, kept).ask_all(ASKED, concurrency=1)
    assert [prompt for prompt, verdict in found.items() if verdict.value is None] == ["Prompt 0", "Prompt 7"]
    assert [prompt for prompt, verdict in again.items() if verdict.fresh] == ["Prompt 0", "Prompt 7"]


def test_a_server_that_dies_half_way_costs_nothing(tmp_path):
    path = tmp_path / "replies.jsonl"
    left = iter(range(5))

    def says(prompt):
        return "3" if next(left, None) is not None else (500, {"error": {"message": "out of memory"}})

    with serve(says) as server:
        said = failure(server, kept=JudgeReplies(path))
    assert "5 replies are kept, the same command goes on from there" in said
    with serve(lambda prompt: "3") as server:
        found = rater(server, JudgeReplies(path)).ask_all(ASKED)
    assert len(server.requests) == len(ASKED) - 5
    assert {verdict.value for verdict in found.values()} == {3}
    assert sum(verdict.fresh for verdict in found.values()) == len(ASKED) - 5


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8000", "ftp://host/v1", "http://", "http://[::1/v1", "http://host:99999999/v1"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(UserError, match="`url` takes the address"):
        Endpoint(url=url, model="rater")


def test_neither_passwords_nor_queries_of_an_address_are_shown():
    address = Endpoint(url="https://me:secret@example.org:8443/v1?token=secret", model="rater")
    assert (address.host, address.shown) == ("example.org", "https://example.org:8443/v1")


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(key):
    with pytest.raises(UserError, match="no key has") as error:
        Endpoint(url="http://host/v1", model="rater", key=key)
    assert key not in str(error.value)


def test_half_a_character_in_a_reply_is_no_end_of_the_run(tmp_path):
    path = tmp_path / "replies.jsonl"
    with serve(lambda prompt: "\ud800 who knows") as server:
        for _ in range(2):  # the second run reads what the first kept
            found = rater(server, JudgeReplies(path)).ask_all(ASKED)
    assert all(verdict.value is None for verdict in found.values())
    assert len(server.requests) == 2 * len(ASKED)


def test_a_reply_that_nests_without_end_is_told_in_one_line():
    with serve(lambda prompt: (200, "[" * 100_000)) as server:
        assert "does not reply as OpenAI's API does" in failure(server)
