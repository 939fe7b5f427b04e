"""Names of the hub: found where they were downloaded, fetched only when asked, from a real server on loopback."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import pytest
import torch

from tiny_models import base_folder
from vecspeak.errors import UserError
from vecspeak.model.pretrained import download_model, load_language_model, locate_model, model_title

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Answers for one model as the hub does: what it consists of, and each of its files."""

    def __init__(self, files):
        self.files, self.asked, self.agents = files, [], set()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *given):
                pass

            def do_HEAD(self):
                self.answer(body=False)

            def do_GET(self):
                self.answer(body=True)

            def answer(self, *, body):
                hub.asked.append(self.path)
                hub.agents.add(self.headers["User-Agent"])
                status, headers, content = hub.answer(self.path.split("?")[0])
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if body:
                    self.wfile.write(content)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path):
        if path.startswith(("/api/models/some/model/revision/", "/api/models/some/model/tree/")):
            if "/tree/" in path:
                rows = [
                    {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for name, data in self.files.items()
                ]
                return 200, {"Content-Type": "application/json"}, json.dumps(rows).encode()
            siblings = [{"rfilename": name} for name in self.files]
            body = {"id": "some/model", "modelId": "some/model", "sha": COMMIT, "siblings": siblings}
            return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()
        name = path.rsplit("/", 1)[-1]
        if path.startswith("/some/model/resolve/") and name in self.files:
            data = self.files[name]
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            return 200, {"ETag": etag, "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}, data
        return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that has the tiny Llama as some/model, beside files that are never fetched; an empty cache."""
    files = {path.name: path.read_bytes() for path in base_folder().iterdir()}
    files |= {"modeling_evil.py": b"raise SystemExit", "pytorch_model.bin": b"\x80\x02."}
    made = Hub(files)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", made.url)
    template = made.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(huggingface_hub.file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    yield made
    made.close()


def test_nothing_is_fetched_unless_asked_for(hub):
    with pytest.raises(
        UserError, match=r"'some/model' is no folder here, .*; set `download=True` to fetch it"
    ):
        locate_model("some/model")
    assert hub.asked == []


def test_a_model_of_the_hub_is_fetched_without_code_or_pickles_and_found_afterwards(hub):
    folder = download_model("some/model")
    assert not [path.name for path in folder.iterdir() if path.suffix in (".py", ".bin")]
    assert not any("torch" in agent or "agent/" in agent for agent in hub.agents), (
        "nothing of this machine is told"
    )
    asked = len(hub.asked)
    model, tokenizer = load_language_model("some/model", torch.float32)
    assert (
        type(model).__name__ == "LlamaForCausalLM"
        and tokenizer.decode(tokenizer.encode("A shark.")) == "A shark."
    )
    assert locate_model("some/model") == folder and model_title("some/model") == "some/model"
    assert len(hub.asked) == asked


def test_a_model_that_the_hub_does_not_have_is_one_line(hub):
    with pytest.raises(UserError, match="the hub has no model 'some/other'"):
        download_model("some/other")


def test_a_model_without_safetensors_is_not_opened(hub):
    hub.files = {name: data for name, data in hub.files.items() if not name.endswith(".safetensors")}
    with pytest.raises(UserError, match="some/model has no weights as safetensors"):
        download_model("some/model")
    with pytest.raises(UserError, match="was not downloaded"):
        locate_model("some/model")


def test_a_hub_that_does_not_answer_is_one_line(hub):
    hub.close()
    with pytest.raises(UserError, match=r"some/model could not be fetched: .*; check the connection"):
        download_model("some/model")


def test_a_hub_that_breaks_off_is_one_line(hub, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    usual = hub.answer

    def half(path):
        status, headers, content = usual(path)
        if path.endswith(".safetensors"):
            return status, {**headers, "Transfer-Encoding": "chunked"}, b"no chunk at all"
        return status, headers, content

    hub.answer = half
    with pytest.raises(UserError, match=r"some/model could not be fetched: .*; check the connection"):
        download_model("some/model")
    hub.answer = usual
    assert download_model("some/model").is_dir()


def test_what_needs_no_fetching_is_returned_as_it_is(hub, tmp_path):
    assert download_model(str(base_folder())) == base_folder()
    with pytest.raises(UserError, match="is no name of a model on the hub"):
        download_model("not a name")
    assert hub.asked == []
