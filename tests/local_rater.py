"""A language model that rates, played by a real server on loopback, and a small report for it to rate."""

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from vecspeak.evaluation.report import Entity, EvaluatedSet, Report, System

PEOPLE = ["A young farmer", "The old sheriff", "One tired nurse", "Some lost sailor", "A proud queen"]
ACTS = ["finds a ghost", "builds a tower", "steals a horse", "writes a letter", "breaks a curse"]
PLACES = [
    "in the cold desert",
    "on a green island",
    "under the city",
    "near a burning mill",
    "at the frozen lake",
]
ENDS = [
    "and nobody believes it.",
    "before the long winter comes.",
    "because the war is lost.",
    "with a stolen map.",
]


def truths(count):
    """Different true texts of two sentences, every one grammatical."""
    rng = np.random.default_rng(3)
    found = {}
    while len(found) < count:
        parts = [str(rng.choice(part)) for part in (PEOPLE, ACTS, PLACES, ENDS, PEOPLE, ACTS, PLACES, ENDS)]
        found[f"{' '.join(parts[:4])} {' '.join(parts[4:])}"] = True
    return list(found)


def evaluated_set(count=24, name="things"):
    """A reader whose answers are half right, and a baseline that shows another entity's text."""
    texts = truths(count)
    entities = tuple(
        Entity(
            id=f"t{i}",
            label=f"Thing {i}",
            truth=text,
            nearest=(),
            answers={
                "reader": f"{text.split('. ')[0]}. {texts[i - 2].split('. ')[1]}",
                "nearest_text": texts[i - 1],
            },
            values={},
            weights={},
        )
        for i, text in enumerate(texts)
    )
    systems = tuple(System(key=key, name=key, what=key, estimates={}) for key in ("reader", "nearest_text"))
    return EvaluatedSet(
        name=name,
        question="Describe {x}.",
        split="held out",
        trained_on=False,
        among=count,
        nearest_by="cosine",
        flags=(),
        measures=(),
        systems=systems,
        entities=entities,
    )


def report(*sets):
    return Report(
        bundle="things",
        made="2026-01-01T00:00:00+00:00",
        settings={},
        digests={},
        sets=sets or (evaluated_set(),),
    )


def texts_in(prompt):
    """What a prompt shows, by its heads."""
    return dict(re.findall(r"(?s)=== ([A-Z ]+) ===\n(.*?)\n=== END OF \1 ===", prompt))


def words(text):
    return re.findall(r"\w+", text.lower())


def couples(text):
    parts = words(text)
    return set(zip(parts, parts[1:], strict=False))


FLUENT_COUPLES = couples(
    " ".join(f"{p} {a} {x} {e}" for p in PEOPLE for a in ACTS for x in PLACES for e in ENDS)
)


def share(text, known):
    """How much of what the text has is known, as a rating from 1 to 5."""
    return 1 + round(4 * len(text & known) / max(len(text), 1))


def honest(prompt):
    """Rates by the words that a description shares with the true text, and English by its pairs of words."""
    shown = texts_in(prompt)
    if "TEXT A" in shown:
        a, b = (share(couples(shown[f"TEXT {x}"]), couples(shown["TRUE TEXT"])) for x in "AB")
        return "tie" if a == b else "A" if a > b else "B"
    if "TRUE TEXT" not in shown:
        return str(share(couples(shown["DESCRIPTION"]), FLUENT_COUPLES))
    return f"Rating: {share(couples(shown['DESCRIPTION']), couples(shown['TRUE TEXT']))}/5"


def flatterer(prompt):
    """Says the best of everything, and the first of two is the better one."""
    return "A" if "TEXT A" in texts_in(prompt) else "5"


def rubbish(prompt):
    return "What a lovely text!"


class Server:
    """An address that takes chat completions. `says` gives a reply, or a (status, body) that fails."""

    def __init__(self, says, *, models=("rater",)):
        self.says, self.models = says, models
        self.requests, self.keys = [], []
        self._lock = threading.Lock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    @property
    def prompts(self):
        return [request["messages"][0]["content"] for request in self.requests]

    def reply(self, request, authorization):
        with self._lock:
            self.requests.append(request)
            self.keys.append(authorization)
        said = self.says(request["messages"][0]["content"])
        if isinstance(said, tuple):
            return said
        message = {"role": "assistant", "content": said}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return 200, {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "rater",
            "choices": [choice],
        }

    def _handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                data = [{"id": m, "object": "model", "created": 0, "owned_by": "me"} for m in server.models]
                self.answer(200, {"object": "list", "data": data})

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(*server.reply(request, self.headers["Authorization"]))

            def answer(self, status, body):
                content = json.dumps(body).encode() if isinstance(body, dict) else body.encode()
                is_json = isinstance(body, dict) or body.startswith("[")
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if is_json else "text/html")
                self.send_header("Content-Length", str(len(content)))
                self.send_header("retry-after-ms", "1")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments):
                """Nothing: the tests' output is for the tests."""

        return Handler


@contextmanager
def serve(says, **more):
    """A server that stops when the block ends."""
    server = Server(says, **more)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()
