"""A small world behind a real server on loopback."""

import threading
import time

import pytest
from openai import OpenAI

from vecspeak.http_guard import listen, make_server
from vecspeak.server import Settings, make_app


class Serving:
    """A server of a reader, as long as a block lasts."""

    def __init__(self, reader, settings, page=False):
        self.app = make_app({"things": reader}, settings, page=page)
        self.server = make_server(self.app)

    def __enter__(self):
        self.listener = listen("127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True
        )
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.app.state.serving.open_models()
        self.client = OpenAI(base_url=f"{self.address}/v1", api_key="none", max_retries=0)
        return self

    def __exit__(self, *_):
        self.server.should_exit = True
        self.app.state.serving.stop()
        self.thread.join(10)
        self.listener.close()


@pytest.fixture
def served(reader):
    with Serving(reader, Settings()) as found:
        yield found


@pytest.fixture
def serve(reader):
    """Makes a server with other settings."""
    return lambda page=False, **given: Serving(reader, Settings(**given), page)
