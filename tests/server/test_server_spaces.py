"""Routes of spaces say what the calls of the library say, and read no file of the server."""

import httpx
import pytest

from vecspeak.explore.atlas import to_json


@pytest.fixture
def ask(served):
    def call(method, path, **given):
        got = httpx.request(method, f"{served.address}/v1/spaces{path}", **given)
        return got.status_code, got.json()

    return call


def test_spaces_and_their_items_are_listed_page_by_page(ask, reader):
    _, found = ask("GET", "")
    assert [one["name"] for one in found["spaces"]] == ["things"] and found["spaces"][0]["num_items"] == 120
    _, page = ask("GET", "/things/items", params={"search": "thing 1", "offset": 1, "limit": 3})
    labels = [label for label in reader.space.labels if "thing 1" in label.casefold()]
    assert page["total"] == len(labels) and [one["label"] for one in page["items"]] == labels[1:4]


def test_a_point_has_its_neighbours_words_and_distance(ask, reader):
    _, found = ask(
        "POST", "/things/points", json={"expression": 'mid("Thing 1", "Thing 2", 0.5)', "nearest": 3}
    )
    point = reader.point('mid("Thing 1", "Thing 2", 0.5)')
    near = reader.asker().near(point, 3)
    assert [one["id"] for one in found["nearest"]] == [one.id for one in near]
    assert found["percentile"] == reader.asker().percentile(point)
    _, same = ask("POST", "/things/points", json={"vector": point.vector.tolist(), "nearest": 1, "words": 2})
    assert len(same["nearest"]) == 1 and len(same["words"]) <= 2


def test_why_and_diff_are_those_of_the_library(ask, reader):
    pair = {"first": {"expression": '"Thing 1"'}, "second": {"expression": '"Thing 2"'}}
    _, found = ask("POST", "/things/why", json=pair)
    assert found["score"] == pytest.approx(reader.why("Thing 1", "Thing 2").score)
    _, found = ask("POST", "/things/diff", json=pair)
    assert found["cosine"] == pytest.approx(
        to_json(reader.diff("Thing 1", "Thing 2", reader=False))["cosine"]
    )


@pytest.mark.parametrize(
    ("method", "path", "given", "status"),
    [
        ("GET", "/other", {}, 404),
        ("GET", "/things/items", {"params": {"limit": 100000}}, 422),
        ("GET", "/things/regions/0", {}, 400),
        ("POST", "/things/points", {"json": {}}, 400),
        ("POST", "/things/points", {"json": {"expression": "ids: /etc/passwd"}}, 400),
        ("POST", "/things/points", {"json": {"vector": [1.0, 2.0]}}, 400),
        ("POST", "/things/why", {"json": {"first": {"expression": '"Thing 1"'}}}, 422),
        ("POST", "/things/traces", {"json": {"start": {"expression": '"Thing 1"'}, "concept": "none"}}, 400),
    ],
)
def test_what_is_not_there_is_refused_without_a_path_of_the_machine(ask, method, path, given, status):
    got, said = ask(method, path, **given)
    assert got == status and set(said["error"]) == {"message", "type", "param", "code"}
    assert "/root" not in said["error"]["message"] and "root:" not in said["error"]["message"]


def test_a_space_is_refused_to_who_has_seen_another_content_of_it(served):
    (known,) = httpx.get(f"{served.address}/v1/spaces", timeout=60).json()["spaces"]
    point = {"type": "embedding", "expression": 'id("t3")'}
    asked = {"model": "things", "messages": [{"role": "user", "content": [point]}], "max_tokens": 4}
    calls = (
        ("/v1/spaces/things/points", {"expression": 'id("t3")'}),
        ("/v1/compare", {"old": {}, "new": {"space": "things"}}),
        ("/v1/chat/completions", asked | {"vecspeak": {"effort": "quick"}}),
        ("/v1/chat/completions", asked | {"stream": True}),
    )
    asked["messages"][0]["content"].insert(0, {"type": "text", "text": "Describe {x}."})
    for path, body in calls:

        def status(if_match, path=path, body=body):
            headers = {"if-match": if_match}
            return httpx.post(f"{served.address}{path}", json=body, headers=headers, timeout=60)

        assert status(f'"{known["digest"]}"').status_code == status("*").status_code == 200
        refused = status('"another"')
        assert refused.status_code == 412 and refused.json()["error"]["code"] == "space_changed"


def test_a_digest_is_of_concepts_and_regions_too(reader, tmp_path):
    before = reader.entry().digest
    even, odd = ([f"Thing {n}" for n in range(start, 40, 2)] for start in (0, 1))
    reader.concept("even", positives=even, negatives=odd, force=True)
    with_concept = reader.entry().digest
    reader.atlas(n_regions=8, method="kmeans", reader=False)
    assert len({before, with_concept, reader.entry().digest}) == 3
    reader.save(tmp_path / "things.bundle")
    assert type(reader).load(tmp_path / "things.bundle").entry().digest == reader.entry().digest
