"""What a newcomer's server refuses, in words that a caller over HTTP can follow, and the shorter spellings it takes."""

import httpx
import pytest

from fakes import NearestEngine
from vecspeak.engines.token_log import TokenLog
from vecspeak.errors import UserError
from vecspeak.server.sentences import for_callers

CHAT = "/v1/chat/completions"
THINGS = "/v1/spaces/things"
POINT = {"type": "embedding", "expression": '"Thing 3"'}


def asking(*parts, **more):
    return {"messages": [{"role": "user", "content": list(parts)}], **more}


@pytest.fixture
def refused(served):
    def call(path, body=None, method="POST", **given):
        given |= {} if body is None else {"json": body}
        got = httpx.request(method, served.address + path, timeout=60, **given)
        error = got.json()["error"]
        return got.status_code, error["message"], error["param"], error["code"]

    return call


@pytest.mark.parametrize(
    ("part", "param", "words"),
    [
        ({"type": "embeding"}, "messages.0.content.0", "did you mean 'embedding'?"),
        (
            {"type": "embedding", "vector": [1, "a"]},
            "messages.0.content.0.vector.1",
            'number, such as 0.5; got "a"',
        ),
        (
            {"type": "embedding", "expresion": "x"},
            "messages.0.content.0.expresion",
            "did you mean 'expression'",
        ),
        ({"text": "no type"}, "messages.0.content.0", "is a part: "),
        ({"type": "text", "text": 1}, "messages.0.content.0.text", "must be a text in quotes"),
        ("Describe it.", "messages.0.content.0", "is a part: "),
    ],
)
def test_a_misspelt_part_is_named_with_what_is_allowed(refused, part, param, words):
    status, message, place, _ = refused(CHAT, asking(part))
    assert (status, place) == (422, param) and words in message
    assert "constrained" not in message and "pydantic" not in message


@pytest.mark.parametrize(
    ("path", "given", "words"),
    [
        ("/points", {"json": {"expresion": "x"}}, "did you mean 'expression'"),
        ("/points", {"json": [1]}, "the body must be an object"),
        (
            "/points",
            {"content": b"{no", "headers": {"content-type": "application/json"}},
            "the body is no JSON",
        ),
        (
            "/points",
            {"json": {"expression": '"Thing 1"', "words": 1000}},
            "words must be 100 or less; got 1000",
        ),
        ("/points", {"json": {"vector": [1.0], "kind": "usr"}}, "did you mean 'user'?"),
        ("/why", {"json": {"first": '"Thing 1"'}}, "second is missing"),
        ("/why", {}, "the body is missing"),
    ],
)
def test_a_body_of_the_wrong_shape_is_refused_in_a_sentence(refused, path, given, words):
    status, message, _, _ = refused(THINGS + path, **given)
    assert status == 422 and words in message


def test_an_unknown_query_parameter_is_refused(refused):
    got = refused(f"{THINGS}/items?serch=gz", method="GET")
    assert got[0] == 422 and "did you mean 'search'?" in got[1] and got[2:] == ("serch", "unknown_parameter")
    assert refused("/v1/models?x=1", method="GET")[0] == 422


def test_unknown_models_and_spaces_are_404_with_a_code(refused):
    assert refused(CHAT, asking(POINT, model="thing"))[::3] == (404, "model_not_found")
    assert refused("/v1/spaces?model=other", method="GET")[::3] == (404, "model_not_found")
    for space, got in (
        ("thngs", refused(CHAT, asking({**POINT, "space": "thngs"}))),
        ("other", refused("/v1/compare", {"old": "other", "new": "things"})),
        ("other", refused("/v1/spaces/other", method="GET")),
    ):
        assert (got[0], got[3]) == (404, "unknown_space") and f"no space '{space}'" in got[1]


def test_a_task_excludes_a_text_and_an_unknown_one_is_said_first(refused):
    text = {"type": "text", "text": "What is it?"}
    both = refused(CHAT, asking(text, POINT, vecspeak={"task": "summary"}))
    unknown = refused(CHAT, asking(text, POINT, vecspeak={"task": "sumary"}))
    assert "a text is given beside it" in both[1] and both[3] == "question_and_task"
    assert "no task 'sumary'" in unknown[1] and "VecSpeak" not in unknown[1]


def test_what_belongs_under_vecspeak_is_sent_there(refused):
    message = refused(CHAT, asking(POINT, effort="high"))[1]
    assert 'write it as "vecspeak": {"effort": ...}' in message
    assert "did you mean 'temperature'?" in refused(CHAT, asking(POINT, temprature=1))[1]


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("choose one with `space=NAME`", 'choose one with "space": "NAME"'),
        ("or leave out strict=True to see", 'or leave out "strict": true to see'),
        ("add `y=EXPRESSION`", 'add a part {"type": "embedding", "slot": "y", "expression": "..."}'),
        ("make them with `VecSpeak.atlas(space='things')`", "ask whoever runs the server"),
        ("ask about taste: `VecSpeak.tastes(x)` says", "ask about taste: `POST /v1/spaces/NAME/tastes` says"),
        ("`VecSpeak.task_set('items')` names them all", "give one of these as `task`"),
        ("remove it; `VecSpeak.map(...)` makes it again", "where the bundle is"),
        ("`VecSpeak.ask_batch(...)` takes several", "leave out the steps"),
        ("did you mean 'horror=1'?", "did you mean 'horror=1'?"),
    ],
)
def test_hints_are_in_the_callers_terms(hint, said):
    found = for_callers(UserError("it cannot be", hint))
    assert said in found and "VecSpeak" not in found and "ask_batch" not in found


def test_an_expression_stands_alone_where_a_point_is_wanted(served):
    def ask(path, body):
        got = httpx.post(served.address + path, json=body, timeout=60)
        assert got.status_code == 200, got.text
        return got.json()

    long = {"first": {"expression": '"Thing 1"'}, "second": {"expression": '"Thing 2"'}}
    short = {"first": '"Thing 1"', "second": '"Thing 2"'}
    for path in ("/why", "/diff"):
        assert ask(THINGS + path, short) == ask(THINGS + path, long)
    same = ask("/v1/compare", {"old": "things", "new": {"space": "things"}})
    assert same["recall"]["value"] == 1


def test_a_text_query_is_a_point_everywhere(served, reader, monkeypatch):
    monkeypatch.setattr(
        type(reader), "query", lambda self, text, *, space="": self.point("Thing 7", space=space)
    )
    query = "text: ghost blood"
    found = httpx.post(f"{served.address}{THINGS}/points", json={"expression": query}).json()
    assert (
        found["nearest"]
        == httpx.post(f"{served.address}{THINGS}/points", json={"expression": '"Thing 7"'}).json()["nearest"]
    )
    pair = {"first": query, "second": '"Thing 7"'}
    assert httpx.post(f"{served.address}{THINGS}/why", json=pair, timeout=60).status_code == 200
    body = asking({"type": "text", "text": "Describe it."}, {"type": "embedding", "expression": query})
    said = httpx.post(served.address + CHAT, json=body, timeout=60).json()
    assert (
        said["choices"][0]["message"]["content"]
        == reader.ask("Describe it.", x="Thing 7", effort="quick").text
    )


def test_models_say_since_when_they_are_served(served):
    (model,) = httpx.get(f"{served.address}/v1/models").json()["data"]
    assert model["created"] > 1_600_000_000


STOP = 0
TEXT = ("A", " ghost", ".", " It", ":")


class LoggingEngine(NearestEngine):
    """Says one text, a token a word, and notes what it draws."""

    def token_log(self):
        return TokenLog(lambda ids: "".join(TEXT[one - 1] for one in ids if one), STOP)

    def _drawn(self, number, sampling, log):
        import numpy as np

        for token in (*range(1, len(TEXT) + 1), STOP)[: sampling.max_new_tokens]:
            if log:
                log.add([number], np.array([token]), np.array([0.5]))
            if token:
                yield TEXT[token - 1]

    def stream(self, prompt, sampling, log=None):
        yield from self._drawn(0, sampling, log)

    def answers(self, prompts, sampling, log=None):
        for number, _ in enumerate(prompts):
            yield number, "".join(self._drawn(number, sampling, log))


@pytest.mark.parametrize(
    ("room", "text", "reason"),
    [
        (4, "A ghost.", "length"),
        (5, "A ghost.", "length"),
        (6, "A ghost. It:", "stop"),
        (9, "A ghost. It:", "stop"),
    ],
)
@pytest.mark.parametrize("effort", ["quick", "plain"])
def test_an_answer_that_its_room_cut_ends_by_length(
    reader, serve, texts, encoder, room, text, reason, effort
):
    reader.__dict__["engine"] = LoggingEngine(texts, encoder)
    reader._askers.clear()
    with serve() as served:
        asked = {"type": "text", "text": "Describe it."}
        body = asking(asked, POINT, max_tokens=room, vecspeak={"effort": effort})
        found = httpx.post(served.address + CHAT, json=body, timeout=60).json()["choices"][0]
    assert found["finish_reason"] == reason
    assert effort == "plain" or found["message"]["content"] == text


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"expression": '"Thing 1000"'}, "unknown_item"),
        ({"expression": 'id("t1000")'}, "unknown_item"),
        ({"expression": '"Thing 1" + odd'}, "unknown_concept"),
        ({"expression": '"Thing 1"@elsewhere'}, "unknown_space"),
        ({"expression": 'user("7")'}, "unknown_user"),
        ({"expression": '"Thing 1" +'}, "bad_expression"),
        ({"vector": [0.5]}, "bad_vector"),
        ({"vector": [0.0] * 16}, "bad_vector"),
        ({"expression": "cluster(3)"}, "bad_expression"),
    ],
)
def test_a_program_reads_why_from_the_code(refused, given, code):
    status, message, _, found = refused(f"{THINGS}/points", given)
    assert (status, found) == (400, code), message


def test_every_refusal_has_a_code(refused):
    assert refused("/nowhere", method="GET")[3] == "no_such_route"
    assert refused(CHAT, method="DELETE")[3] == "no_such_method"
    assert refused(CHAT, {"messages": []})[3] == "too_short"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, '{"messages": [{"role": "user", "content": "x", "content": "y"}]}'),
        (f"{THINGS}/points", '{"expression": "\\"Thing 1\\"", "expression": "\\"Thing 2\\""}'),
    ],
)
def test_a_key_that_comes_twice_is_refused(refused, path, body):
    given = {"content": body, "headers": {"Content-Type": "application/json"}}
    status, message, _, code = refused(path, **given)
    assert (status, code) == (422, "invalid_body") and "twice in one object" in message


def test_a_body_that_is_no_utf8_is_refused_at_its_byte(refused):
    given = {"content": b'{"x": \xff}', "headers": {"Content-Type": "application/json"}}
    status, message, _, code = refused(CHAT, **given)
    assert (status, code) == (400, "invalid_body") and "byte 6" in message


@pytest.mark.parametrize("given", [{"nearest": True}, {"words": False}, {"nearest": "3"}, {"words": 2.5}])
def test_a_whole_number_is_no_truth_value_and_no_text(refused, given):
    (name,) = given
    status, _, place, _ = refused(f"{THINGS}/points", {"expression": '"Thing 1"', **given})
    assert (status, place) == (422, name)
