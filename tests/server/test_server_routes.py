"""What routes add to the first ones: two spaces compared, a person's tastes, counted tokens, the rating sheet."""

import base64
import threading

import httpx
import pytest
from openai import OpenAI

import reports
import tastes
from fakes import NearestEngine
from vecspeak import VecSpeak
from vecspeak.bundles import save_bundle
from vecspeak.bundles.fitting import fit_space
from vecspeak.errors import UserError
from vecspeak.http_guard import listen, make_server
from vecspeak.raters import server as raters
from vecspeak.raters.study import start_study
from vecspeak.server import RunningServer, Settings, make_app

ABOUT = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Describe it."},
            {"type": "embedding", "expression": '"Thing 3"'},
        ],
    }
]


class CountingEngine(NearestEngine):
    """Counts letters of what is asked and words of what is said."""

    def num_tokens(self, prompt, text):
        return sum(len(part) if isinstance(part, str) else 1 for part in prompt), len(text.split())


def test_two_spaces_are_compared_as_by_the_library(serve, reader, texts, encoder, source, tmp_path):
    other = reader.space.vectors[:, ::-1] * 2 + 1
    space = tastes.Space.from_arrays(
        other, ids=reader.space.ids, labels=reader.space.labels, texts=texts, name="new"
    )
    entries = {"things": reader.entry(), "new": fit_space(space, texts=texts, encoder=encoder)}
    both = save_bundle(tmp_path / "both.bundle", source=source, name="both", entries=entries)
    reader = VecSpeak.load(both.folder, engine=NearestEngine(texts, encoder), encoder=encoder)
    with RunningServer({"both": reader}, Settings()) as server:
        body = {"old": {"space": "things"}, "new": {"space": "new"}, "k": 5}
        found = httpx.post(f"{server.url}/compare", json=body, timeout=60).json()
        assert found["recall"]["value"] == VecSpeak.compare(*reader.spaces.values(), k=5).recall.value
        body["new"]["model"] = "other"
        assert httpx.post(f"{server.url}/compare", json=body).status_code == 404


def test_tastes_of_a_person_are_those_of_the_library(source, tmp_path):
    entry = tastes.entry()
    name = entry.space.name
    bundle = save_bundle(tmp_path / "people.bundle", source=source, name="people", entries={name: entry})
    reader = VecSpeak.load(
        bundle.folder, engine=NearestEngine(tastes.TEXTS, tastes.ENCODER), encoder=tastes.ENCODER
    )
    with RunningServer({"people": reader}, Settings()) as server:
        url = f"{server.url}/spaces/{name}/tastes"
        found = httpx.post(url, json={"expression": 'user("u1")', "limit": 3}, timeout=60).json()
        expected = reader.tastes('user("u1")', 3)
        assert [one["term"] for one in found["more"]] == [one.term for one in expected.more] != []
        item = f'"{entry.space.labels[0]}"'
        assert httpx.post(url, json={"expression": item}).status_code == 400


def test_tokens_are_counted_where_the_engine_counts_them(reader, serve, texts, encoder):
    with serve() as served:
        assert served.client.chat.completions.create(model="", messages=ABOUT).usage is None
    reader.__dict__["engine"] = CountingEngine(texts, encoder)
    reader._askers.clear()
    with serve() as served:
        found = served.client.chat.completions.create(model="", messages=ABOUT)
        said = len(found.choices[0].message.content.split())
        assert found.usage.completion_tokens == said and found.usage.prompt_tokens > 10
        assert found.usage.total_tokens == found.usage.prompt_tokens + said
        streamed = served.client.chat.completions.create(
            model="", messages=ABOUT, stream=True, stream_options={"include_usage": True}
        )
        *_, before, last = streamed
        assert last.usage == found.usage and last.choices == [] and before.choices[0].finish_reason == "stop"


def test_an_answer_that_fills_its_room_says_so(reader, serve, texts, encoder):
    reader.__dict__["engine"] = CountingEngine(texts, encoder)
    with serve() as served:
        for room, reason in ((2, "length"), (50, "stop")):
            found = served.client.chat.completions.create(model="", messages=ABOUT, max_tokens=room)
            assert found.choices[0].finish_reason == reason


class Sheeted:
    """A server with a rating sheet."""

    def __init__(self, reader, sheet, settings):
        app = make_app({"things": reader}, settings, sheet=sheet)
        self.server, self.listener = make_server(app), listen("127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.should_exit = True
        self.thread.join(10)
        self.listener.close()


@pytest.fixture
def sheet(tmp_path):
    study = start_study(tmp_path / "study", reports.report(reports.evaluated()), count=4)
    return raters.make_app(study)


def test_the_rating_sheet_lies_under_rate_with_its_own_policy(reader, sheet):
    with Sheeted(reader, sheet, Settings()) as served:
        page = httpx.get(f"{served.address}/rate", follow_redirects=True)
        assert page.status_code == 200 and "script-src 'sha256-" in page.headers["content-security-policy"]
        begun = httpx.post(f"{served.address}/rate/api/start", json={"rater": "ann"})
        assert begun.status_code == 200 and begun.json()["done"] == 0
        assert httpx.get(f"{served.address}/rate/api/item?rater=ann&at=1").json()["item"]
        assert httpx.get(f"{served.address}/rate/", headers={"host": "evil.example"}).status_code == 421
        assert httpx.get(f"{served.address}/v1/models").status_code == 200


def test_a_browser_is_asked_for_the_key_of_the_sheet(reader, sheet):
    with Sheeted(reader, sheet, Settings(api_key="secret")) as served:
        refused = httpx.get(f"{served.address}/rate/")
        assert refused.status_code == 401 and refused.headers["www-authenticate"].startswith("Basic")
        assert httpx.get(f"{served.address}/rate/", auth=("ann", "secret")).status_code == 200
        assert httpx.get(f"{served.address}/rate/", auth=("ann", "other")).status_code == 401
        wrong = {"authorization": "Basic " + base64.b64encode(b"no colon").decode()[:-1]}
        assert httpx.get(f"{served.address}/rate/", headers=wrong).status_code == 401
        assert httpx.get(f"{served.address}/v1/models", auth=("ann", "secret")).status_code == 401


def test_a_notebook_serves_for_a_quick_look(reader):
    with reader.serve() as server:
        client = OpenAI(base_url=server.url, api_key="none", max_retries=0)
        found = client.chat.completions.create(model="things", messages=ABOUT)
        assert (
            found.choices[0].message.content == reader.ask("Describe it.", x="Thing 3", effort="quick").text
        )
        assert server.url in server._repr_html_() and server.is_running
        threads = threading.active_count()
        for _ in range(3):
            with pytest.raises(UserError, match="cannot listen"):
                reader.serve(port=int(server.url.split(":")[2].removesuffix("/v1")))
        assert threading.active_count() <= threads
    assert not server.is_running and "stopped" in repr(server)
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/models")
