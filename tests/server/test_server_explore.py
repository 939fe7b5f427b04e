"""Routes of the page for exploring, and the page itself: open where a key is asked for, under its own policy."""

import base64
from pathlib import Path

import httpx
import numpy as np
import pytest

from vecspeak.server import models, page
from vecspeak.server.page import PAGE_PATHS

ITEM, OTHER = {"expression": 'id("t3")'}, {"expression": 'id("t7")'}


@pytest.fixture
def get(served):
    return lambda path, **query: httpx.get(
        f"{served.address}/v1/spaces/things{path}", params=query, timeout=60
    )


@pytest.fixture
def post(served):
    return lambda path, body: httpx.post(f"{served.address}/v1/spaces/things{path}", json=body, timeout=60)


def test_labels_texts_and_tasks(get, texts):
    found = get("/labels").json()
    assert found["ids"][5] == "t5" and found["labels"][5] == "Thing 5" and len(found["ids"]) == 120
    assert get("/texts", id="t5").json()["text"] == texts[5]
    assert get("/texts", id="nobody").status_code == 400
    tasks = get("/tasks").json()  # a reader that learned none has the neutral ones
    assert not tasks["learned"] and "summary" in [one["name"] for one in tasks["tasks"]]


def test_a_shade_comes_for_every_item(get, reader):
    word = next(term for term in reader.entry().term_reader.terms if " " not in term)
    assert "word" in get("/colors").json()["sources"]
    found = get("/colors/word", name=word).json()
    shades = np.frombuffer(base64.b64decode(found["shades"]), np.uint8)
    assert (shades == reader.item_values("word", word).shades).all() and len(shades) == 120
    assert get("/colors/word", name="qqqq").status_code == 400
    assert get("/colors/anything").status_code == 422


def test_a_walk_begins_and_ends_with_its_points_and_halfway_is_their_mean(post, reader):
    steps = post("/walks", {"first": ITEM, "second": OTHER, "steps": 3}).json()["steps"]
    assert [one["share"] for one in steps] == [0, 0.5, 1]
    ends = reader.space.vectors[[3, 7]]
    for step, vector in zip(steps, (ends[0], ends.mean(0), ends[1]), strict=True):
        np.testing.assert_allclose(step["vector"], vector, atol=1e-5)


def test_a_walk_from_numbers(post, reader):
    first = {"vector": reader.space.vectors[3].tolist()}
    steps = post("/walks", {"first": first, "second": OTHER, "steps": 3}).json()["steps"]
    np.testing.assert_allclose(steps[1]["vector"], reader.space.vectors[[3, 7]].mean(0), atol=1e-5)


def test_a_pull_along_an_unknown_concept_is_refused(post):
    refused = post("/pulls", {"start": ITEM, "concept": "nothing"})
    assert refused.status_code == 400 and "nothing" in refused.json()["error"]["message"]


def test_a_set_is_described(post):
    found = post("/sets", {"ids": [f"t{n}" for n in range(30)]}).json()
    assert found["num_items"] == 30 and found["geometry"]["typical"]
    assert post("/sets", {"ids": ["nobody"]}).status_code == 400


def test_clauses_come_with_their_signs(served):
    part = {"type": "embedding", "space": "things", "expression": 'id("t3")'}
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Describe {x}."}, part]}]}
    found = httpx.post(f"{served.address}/v1/chat/completions", json=body, timeout=60).json()
    for clause in found["choices"][0]["message"]["evidence"]["clauses"]:
        assert {"text", "probability", "terms", "signs"} <= set(clause)


def test_the_page_lies_open_where_a_key_is_asked_for_and_nothing_else_does(serve):
    with serve(api_key="sesame") as plain:
        assert httpx.get(f"{plain.address}/").status_code == 401
    with serve(page=True, api_key="sesame") as server:
        for path in PAGE_PATHS:
            reply = httpx.get(f"{server.address}{path}")
            assert reply.status_code == 200 and reply.content
            policy = reply.headers["content-security-policy"]
            assert "script-src 'self'" in policy and "unsafe" not in policy
        assert httpx.get(f"{server.address}/v1/models").status_code == 401
        assert httpx.get(f"{server.address}/page/../app.py").status_code in (401, 404)
        known = httpx.get(f"{server.address}/v1/models", headers={"authorization": "Bearer sesame"})
        assert "default-src 'none'; base-uri" in known.headers["content-security-policy"]


def test_the_page_holds_no_inline_script_or_style_and_names_no_other_place():
    folder = Path(page.__file__).parent / "page"
    html = (folder / "index.html").read_text()
    assert "<style" not in html and "style=" not in html and "http" not in html
    assert all('src="/page/' in tag for tag in html.split("<script")[1:])
    script = (folder / "page" / "page.js").read_text()
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "https://",
    ):
        assert word not in script


@pytest.mark.parametrize(
    ("path", "asked", "model"),
    [
        ("/labels", {}, models.ItemLabels),
        ("/texts", {"id": "t5"}, models.ItemText),
        ("/colors", {}, models.ColorSources),
        ("/colors/word", {"name": "ghost"}, models.ItemShades),
        ("/tasks", {}, models.ListedTasks),
        ("/points", ITEM, models.PointSummary),
        ("/walks", {"first": ITEM, "second": OTHER, "steps": 3}, models.Walk),
        ("/pulls", {"start": ITEM, "concept": "odd", "amounts": [0, 1]}, models.Pull),
    ],
)
def test_what_comes_is_what_openapi_says(reader, get, post, path, asked, model):
    has, lacks = ([f"t{row}" for row in range(first, 120, 2)] for first in (1, 0))
    reader.fit_concept("odd", positives=has, negatives=lacks, force=True)
    found = post(path, asked) if {"expression", "first", "start"} & set(asked) else get(path, **asked)
    assert found.status_code == 200, found.text
    assert model.model_validate(found.json()).model_dump() == found.json()
