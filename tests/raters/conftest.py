"""Reports, studies and real servers on loopback that stop by themselves."""

import json
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from vecspeak.evaluation.report import Entity, EvaluatedSet, Report, System
from vecspeak.http_guard import listen, make_server
from vecspeak.raters.server import make_app

NAMES = {
    "reader": "the studied one",
    "swapped": "of another vector",
    "nearest_text": "a neighbour's words",
    "lm_texts": "base model",
    "mean": "average vector",
    "ceiling": "told the truth",
}


def entity(name, number, systems):
    answers = {key: f"Draft {place} on {name} {number}." for place, key in enumerate(systems)}
    return Entity(
        id=f"{name}-{number}",
        label=f"Thing {number}",
        truth=f"All that holds of {name} {number}.",
        nearest=(),
        answers=answers,
        values={},
        weights={},
    )


def evaluated(name, entities, question="Describe the thing {x}."):
    return EvaluatedSet(
        name=name,
        question=question,
        split="held out",
        trained_on=False,
        among=len(entities),
        nearest_by="cosine",
        flags=(),
        measures=(),
        systems=tuple(System(key=key, name=NAMES[key], what="", estimates={}) for key in NAMES),
        entities=tuple(entities),
    )


def report(*sets):
    return Report(bundle="things", made="2026-01-01T00:00:00Z", settings={}, digests={}, sets=sets)


@pytest.fixture
def names():
    """What systems are called in the reports, by key."""
    return NAMES


@pytest.fixture(scope="session")
def make_report():
    """A report of sets with so many entities each, answered by these systems."""

    def make(*counts, systems=tuple(NAMES)):
        names = [f"kind{place}" for place in range(len(counts))]
        return report(
            *(
                evaluated(name, [entity(name, number, systems) for number in range(count)])
                for name, count in zip(names, counts, strict=True)
            )
        )

    return make


class Client:
    """Calls a server and keeps every answer that it gave, as text."""

    def __init__(self, base):
        self.base, self.bodies = base, []

    def raw(self, path, data=None, **headers):
        request = urllib.request.Request(self.base + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                found = response.status, response.read().decode(), response.headers
        except urllib.error.HTTPError as error:
            found = error.code, error.read().decode(), error.headers
        self.bodies.append(found[1] + str(found[2]))
        return found

    def get(self, path):
        status, text, _ = self.raw(path)
        return status, json.loads(text)

    def post(self, path, value):
        status, text, _ = self.raw(path, json.dumps(value).encode(), **{"Content-Type": "application/json"})
        return status, json.loads(text)


@pytest.fixture(scope="session")
def serving():
    """A context in which a study is served by a thread; gives a client."""

    @contextmanager
    def serve(study, **options):
        server = make_server(make_app(study, **options))
        with listen("127.0.0.1", 0) as listener:
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            try:
                while not server.started:
                    assert thread.is_alive(), "the server did not start"
                    time.sleep(0.01)
                yield Client(f"http://127.0.0.1:{listener.getsockname()[1]}")
            finally:
                server.should_exit = True
                thread.join()

    return serve
