import base64
import csv
import dataclasses
import hashlib
import json
import re
import socket
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from vecspeak.errors import UserError
from vecspeak.http_guard import listen
from vecspeak.raters.results import export, results
from vecspeak.raters.study import open_study, start_study

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def study(make_report, tmp_path):
    return start_study(tmp_path / "study", make_report(4), count=4)


@pytest.fixture
def client(study, serving):
    with serving(study) as client:
        yield client


@pytest.fixture(scope="module")
def refusing(make_report, serving, tmp_path_factory):
    """A study and a client of its server that many tests share: they are refused, and change nothing."""
    study = start_study(tmp_path_factory.mktemp("refusing") / "study", make_report(4), count=4)
    with serving(study) as client:
        yield study, client


def play(client, rater, choose, stop=1000):
    """Rate as the page does, from where the rater stopped; `choose` gives a value from what is shown."""
    _, at = client.post("/api/start", {"rater": rater})
    for number in range(at["at"], min(at["total"], at["at"] + stop - 1) + 1):
        status, found = client.get(f"/api/item?rater={quote(rater)}&at={number}")
        assert status == 200 and found["given"] == {} and found["at"] == number
        for question in found["item"]["questions"]:
            sent = {"item": found["item"]["id"], "question": question["key"], "seconds": 1.25}
            value = choose(found["item"], question)
            assert client.post("/api/rating", {**sent, "rater": rater, "value": value})[0] == 200
    return client.post("/api/start", {"rater": rater})[1]


def keen(item, question):
    """Rates each text by its draft's number: 0 is best."""
    drafts = [int(re.search(r"Draft (\d)", answer)[1]) for answer in item["answers"]]
    if len(drafts) == 2:
        return "left" if drafts[0] < drafts[1] else "right"
    return 5 - drafts[0]


def lazy(item, question):
    return question["values"][0]


def test_two_raters_play_to_the_end_and_the_server_is_restarted_in_the_middle(
    study, serving, make_report, tmp_path, names
):
    bodies = []
    with serving(study) as client:
        assert play(client, "Ann", keen, stop=10) == {"rater": "ann", "total": 24, "done": 10, "at": 11}
        bodies += client.bodies
    with serving(open_study(study.folder, make_report(4))) as client:
        assert client.post("/api/start", {"rater": "ann"})[1]["at"] == 11
        assert play(client, "ANN", keen) == {"rater": "ann", "total": 24, "done": 24, "at": 25}
        assert play(client, "Bob 2", keen)["done"] == 24
        client.raw("/")
        bodies += client.bodies
    assert results(study).agreement == {key: 1.0 for key in ("fluent", "fits", "specific", "better")}
    assert export(study, tmp_path / "ratings.csv") == 2 * 4 * (5 * 3 + 1)
    with (tmp_path / "ratings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    worth = {"reader": "5", "swapped": "4", "nearest_text": "3", "lm_texts": "2", "mean": "1"}
    assert all(row["value"] == worth[row["system"]] for row in rows if row["question"] != "better")
    assert {row["value"] for row in rows if row["question"] == "better"} == {"win"}
    assert_blind(bodies, names)


def assert_blind(bodies, names):
    words = re.compile(
        "|".join(rf"\b{re.escape(word)}\b" for word in (*names, *names.values())), re.IGNORECASE
    )
    assert len(bodies) > 100
    assert [found[0] for body in bodies if (found := words.search(body))] == []


def test_another_rater_begins_at_the_start_and_does_not_see_what_others_said(client):
    play(client, "ann", lazy, stop=3)
    assert client.post("/api/start", {"rater": "bob"})[1] == {"rater": "bob", "total": 24, "done": 0, "at": 1}
    assert all(client.get(f"/api/item?rater=bob&at={at}")[1]["given"] == {} for at in range(1, 25))


def test_what_was_said_is_shown_again_and_can_be_changed(client, study):
    play(client, "ann", lazy)
    at, found = next(
        (at, found)
        for at in range(1, 25)
        if len((found := client.get(f"/api/item?rater=ann&at={at}")[1])["item"]["answers"]) == 1
    )
    assert found["given"] == {"fluent": 1, "fits": 1, "specific": 1}
    sent = {"rater": "ann", "item": found["item"]["id"], "question": "fits", "value": 4, "seconds": 0}
    assert client.post("/api/rating", sent) == (200, {"saved": True})
    assert client.get(f"/api/item?rater=ann&at={at}")[1]["given"] == {"fluent": 1, "fits": 4, "specific": 1}
    assert client.post("/api/start", {"rater": "ann"})[1]["done"] == 24


def test_a_good_rating_is_stored(client, study):
    assert client.post("/api/rating", good(study)) == (200, {"saved": True})
    assert [given.value for given in study.given("ann").values()] == [3]


def good(study):
    item = next(item for item in study.sheet.items.values() if not item.is_pair)
    return {"rater": "ann", "item": item.id, "question": "fits", "value": 3, "seconds": 1}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"value": 6}, 400),
        ({"value": 0}, 400),
        ({"value": "3"}, 400),
        ({"value": True}, 400),
        ({"value": 3.0}, 400),
        ({"value": None}, 400),
        ({"question": "better"}, 400),
        ({"question": "nonsense"}, 400),
        ({"question": ["fits"]}, 400),
        ({"item": "0123456789abcdef"}, 404),
        ({"item": None}, 400),
        ({"item": {}}, 400),
        ({"rater": "../ann"}, 400),
        ({"rater": ""}, 400),
        ({"rater": None}, 400),
        ({"seconds": -1}, 400),
        ({"seconds": "1"}, 400),
        ({"seconds": 1e9}, 400),
    ],
)
def test_bad_input_is_refused_in_json_and_nothing_is_stored(refusing, change, status):
    study, client = refusing
    before = sorted(study.folder.iterdir())
    found, error = client.post("/api/rating", {**good(study), **change})
    assert found == status == error["status"] and error["error"]
    assert sorted(study.folder.iterdir()) == before


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {}, 415),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"rater=ann", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"", JSON, 400),
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b"\xff", JSON, 400),
        (b"[" * 4000, JSON, 400),
        (b'{"rater": "' + b"a" * 5000 + b'"}', JSON, 413),
    ],
)
@pytest.mark.parametrize("path", ["/api/start", "/api/rating"])
def test_what_is_not_a_small_json_object_is_refused(refusing, path, body, headers, status):
    _, client = refusing
    found, text, _ = client.raw(path, body, **headers)
    assert found == status and json.loads(text)["status"] == status


@pytest.mark.parametrize("at", ["0", "25", "-1", "x", "", "1e1", "٣", "9" * 400])
def test_an_item_that_is_not_there_is_a_404(refusing, at):
    _, client = refusing
    found, error = client.get(f"/api/item?rater=ann&at={quote(at)}")
    assert found == 404 and error["error"] == "items are numbered from 1 to 24"


def test_wrong_ways_are_refused_in_json(refusing):
    _, client = refusing
    assert client.get("/nonsense")[1]["status"] == 404
    assert client.get("/api/rating")[1]["status"] == 405
    assert client.get("/api/item?at=1")[1]["status"] == 400
    assert client.post("/", {})[1]["status"] == 405


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "", "["]
)
def test_a_foreign_host_name_is_turned_away(refusing, host):
    study, client = refusing
    for path, body in [
        ("/", None),
        ("/api/item?rater=ann&at=1", None),
        ("/api/rating", json.dumps(good(study))),
    ]:
        found, text, _ = client.raw(path, body.encode() if body else None, Host=host, **JSON)
        assert found == 421 and "item" not in text
    assert study.raters() == ()


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:9",
        "http://localhost",
        "file://",
        "",
        "http://HOST.evil.example",
    ],
)
def test_a_call_from_a_page_of_another_site_is_refused(refusing, origin):
    study, client = refusing
    origin = origin.replace("HOST", client.base.removeprefix("http://"))
    for path, body in [
        ("/", None),
        ("/api/start", b'{"rater": "ann"}'),
        ("/api/rating", json.dumps(good(study)).encode()),
    ]:
        found, text, _ = client.raw(path, body, Origin=origin, **JSON)
        assert (
            found == 403
            and json.loads(text)["error"] == "this server takes no call from a page of another site"
        )
    assert study.raters() == ()


def test_a_call_from_the_page_itself_is_answered(refusing):
    _, client = refusing
    assert client.raw("/api/start", b'{"rater": "ann"}', Origin=client.base, **JSON)[0] == 200
    through = {"Host": "localhost:9000", "Origin": "http://LOCALHOST:9000"}  # a tunnel from another port
    assert client.raw("/api/start", b'{"rater": "ann"}', **through, **JSON)[0] == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8123", "127.0.0.1:9", "[::1]:8123"])
def test_a_name_of_this_computer_is_answered(refusing, host):
    _, client = refusing
    assert client.raw("/", Host=host)[0] == 200


def test_a_server_for_others_answers_to_addresses_and_its_own_name_alone(study, serving):
    with serving(study, host="0.0.0.0") as client:
        for host in ("10.0.0.1:8123", "[fe80::1]", socket.gethostname(), "localhost"):
            assert client.raw("/", Host=host)[0] == 200
        assert client.raw("/", Host="evil.example")[0] == 421


def test_a_disk_that_fails_is_told_and_the_server_goes_on(client, study):
    (study.folder / "ann.jsonl").mkdir()
    found, error = client.post("/api/rating", good(study))
    assert found == 500 and "cannot read or write the ratings" in error["error"]
    assert client.post("/api/rating", {**good(study), "rater": "bob"})[0] == 200


def test_half_a_character_in_a_text_can_be_shown(make_report, tmp_path, serving):
    report = make_report(1, systems=("reader",))
    report.sets[0].entities[0].answers["reader"] = "half \ud83d"
    with serving(start_study(tmp_path / "half", report)) as client:
        assert client.get("/api/item?rater=ann&at=1")[1]["item"]["answers"] == ["half \ud83d"]


def test_a_hostile_label_or_answer_reaches_the_page_as_a_text(make_report, tmp_path, serving):
    report = make_report(1, systems=("reader",))
    (entities,) = report.sets
    evil = "<script>alert(1)</script>\x1b[2J\u202eevil\u2066"
    (entity,) = entities.entities
    entity = dataclasses.replace(entity, label=evil, truth=f"{evil} two", answers={"reader": evil})
    report = dataclasses.replace(report, sets=(dataclasses.replace(entities, entities=(entity,)),))
    shown = r"<script>alert(1)</script>\x1b[2J\u202eevil\u2066"
    with serving(start_study(tmp_path / "evil", report)) as client:
        item = client.get("/api/item?rater=ann&at=1")[1]["item"]
        _, raw, headers = client.raw("/api/item?rater=ann&at=1")
    assert (item["label"], item["truth"], item["answers"]) == (shown, f"{shown} two", [shown])
    assert headers["content-type"].startswith("application/json")
    assert headers["x-content-type-options"] == "nosniff" and "\x1b" not in raw and "\u202e" not in raw


class Tags(HTMLParser):
    """The page's tags, attributes by which a browser would ask or run something, and what lies in its script."""

    def __init__(self, page):
        super().__init__()
        self.open, self.asks, self.runs, self.inside = [], [], [], {}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.asks += [value for name, value in attrs if name in ("src", "href", "action", "srcset")]
        self.runs += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        if tag not in ("meta", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style"):
            self.inside[self.open[-1]] = self.inside.get(self.open[-1], "") + data


def test_the_page_runs_its_own_script_alone_and_asks_for_nothing_else(refusing):
    _, client = refusing
    _, page, headers = client.raw("/")
    tags = Tags(page)
    assert tags.open == [] and tags.asks == ["data:,"] and tags.runs == []
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    for tag in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(tags.inside[tag].encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
    assert not re.search(r"https?://|@import|url\(", page)


def test_the_page_puts_texts_in_as_texts(refusing):
    _, client = refusing
    _, page, _ = client.raw("/")
    script = Tags(page).inside["script"]
    assert "textContent" in script
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(", script)


def test_every_id_that_the_script_asks_for_is_on_the_page(refusing):
    _, client = refusing
    _, page, _ = client.raw("/")
    asked = set(re.findall(r'byId\("(\w+)"\)', page))
    there = re.findall(r'\sid="(\w+)"', page)
    assert asked and asked <= set(there) and len(there) == len(set(there))


def test_a_port_that_is_taken_is_told():
    with listen("127.0.0.1", 0) as first:
        with pytest.raises(
            UserError, match="cannot listen on 127.0.0.1 port .*; give another `port` or `host`"
        ):
            listen("127.0.0.1", first.getsockname()[1])


def test_an_address_of_another_computer_is_told():
    with pytest.raises(UserError, match="cannot listen on 203.0.113.7"):
        listen("203.0.113.7", 0)
