"""A server on loopback that speaks as a stock vLLM does, with a tiny model behind it.

It opens tensors as vLLM opens them, draws with the same parameters, and has the same faults where a test asks for one.
"""

import base64
import contextlib
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch
from transformers.cache_utils import DynamicCache

NO_EMBEDS = "You must set `--enable-prompt-embeds` to input `prompt_embeds`."


class Refused(Exception):
    pass


class ServedModel:
    """Answers requests.

    `mixes_up`: prompts as long as an earlier one get its answer. `counts_others`: on these paths a penalty falls on the
    tokens that stood in the row before. `busy`: so many requests are refused for the time being. `altered` makes other
    bytes of a whole reply, and `streams` are sent as the parts of a streamed one.
    """

    def __init__(
        self, reader, name, *, embeds=True, mixes_up=False, counts_others=("/v1/completions",), busy=0
    ):
        self.reader, self.name, self.embeds, self.busy = reader, name, embeds, busy
        self.mixes_up, self.counts_others = mixes_up, counts_others
        self.bodies, self.paths, self.keys = [], [], []
        self.most_at_once, self.at_once = 0, 0
        self.altered, self.streams, self.num_streamed = lambda said: said, None, 0
        self._remembered, self._before = {}, {}
        self._logits, self._lock = {}, threading.Lock()

    def take(self, path, body):
        """A generator of token ids with their [V] raw logits."""
        self.bodies.append(body)
        self.paths.append(path)
        if body["model"] != self.name:
            raise Refused(f"The model `{body['model']}` does not exist.")
        if path == "/v1/completions":
            data = body["prompt_embeds"]
        else:
            (message,) = body["messages"]
            (part,) = message["content"]
            assert message["role"] == "prompt" and part["type"] == "prompt_embeds"
            data = part["data"]
        if not self.embeds:
            raise Refused(NO_EMBEDS)
        embeds_TE = torch.load(io.BytesIO(base64.b64decode(data, validate=True)), weights_only=True)
        width = self.reader.language_model.config.hidden_size
        if embeds_TE.shape[1] != width:
            raise Refused(
                f"`prompt_embeds` hidden_size {embeds_TE.shape[1]} does not match the model's hidden_size {width}."
            )
        if self.mixes_up and not body.get("cache_salt"):
            embeds_TE = self._remembered.setdefault(len(embeds_TE), embeds_TE)
        return self._tokens(path, body, embeds_TE)

    def _tokens(self, path, body, embeds_TE):
        before = self._before.get(path, {}) if path in self.counts_others else {}
        seen = {token for place, token in before.items() if place < len(embeds_TE)}
        bans = [ids for text in body.get("bad_words", ()) for ids in self._banned(text)]
        draw = torch.Generator().manual_seed(body.get("seed", 0) % 2**63)
        made, row, state = [], {}, {}
        while len(made) < body["max_tokens"]:
            raw_V = self._next(embeds_TE, made, state)
            token = self._drawn(raw_V.clone(), body, made, seen, bans, draw)
            made.append(token)
            row[len(embeds_TE) + len(made) - 1] = token
            self._before[path] = {**before, **row}
            yield token, raw_V
            if token in body["stop_token_ids"] and not body.get("ignore_eos"):
                return

    def _drawn(self, logits_V, body, made, seen, bans, draw):
        if allowed := body.get("allowed_token_ids"):
            rest = torch.ones_like(logits_V, dtype=torch.bool)
            rest[allowed] = False
            logits_V[rest] = -torch.inf
        for ban in bans:
            if made[len(made) - len(ban) + 1 :] == ban[:-1] and len(made) >= len(ban) - 1:
                logits_V[ban[-1]] = -torch.inf
        penalty, repeated = body.get("repetition_penalty", 1.0), sorted(seen | set(made))
        some = logits_V[repeated]
        logits_V[repeated] = torch.where(some > 0, some / penalty, some * penalty)
        if not body["temperature"]:
            return int(logits_V.argmax())
        values_K, ids_K = (logits_V / body["temperature"]).topk(body["top_k"])
        shares_K = values_K.softmax(-1)
        shares_K[shares_K.cumsum(-1) - shares_K >= body["top_p"]] = 0
        return int(ids_K[torch.multinomial(shares_K, 1, generator=draw)])

    def _banned(self, text):
        """A text as vLLM reads it: as it is, and behind a space where that is another first token and as long."""
        tokenizer = self.reader.tokenizer
        plain, spaced = (
            tokenizer.encode(one, add_special_tokens=False) for one in (text.lstrip(), f" {text.lstrip()}")
        )
        return [plain, spaced] if spaced[0] != plain[0] and len(spaced) == len(plain) else [plain]

    def _next(self, embeds_TE, made, state):
        """[V] logits after a prompt and tokens; what was worked out once is remembered."""
        key = (embeds_TE.numpy().tobytes(), tuple(made))
        with self._lock, torch.inference_mode():
            if key not in self._logits:
                model = self.reader.language_model
                rows_TE = torch.cat(
                    [embeds_TE, model.get_input_embeddings()(torch.tensor(made, dtype=torch.long))]
                )
                cache = state.setdefault("cache", DynamicCache())
                out = model(
                    inputs_embeds=rows_TE[None, cache.get_seq_length() :],
                    past_key_values=cache,
                    use_cache=True,
                )
                self._logits[key] = out.logits[0, -1].float()
            return self._logits[key]

    @contextlib.contextmanager
    def counted(self):
        """A request that is being answered."""
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield
        finally:
            with self._lock:
                self.at_once -= 1


def _shown_nats(path, body, token, raw_V):
    """The likelihoods that were asked for, as the form of the request has them."""
    if "logprob_token_ids" not in body:
        return None
    found = raw_V.log_softmax(-1)
    some = {f"token_id:{one}": float(found[one]) for one in (token, *body["logprob_token_ids"])}
    if path == "/v1/completions":
        return {"top_logprobs": [some]}
    return {"content": [{"top_logprobs": [{"token": one, "logprob": nats} for one, nats in some.items()]}]}


def _handler(served):  # noqa: C901
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            self._send(200, {"object": "list", "data": [{"id": served.name, "max_model_len": 512}]})

        def do_POST(self):
            served.keys.append(self.headers.get("Authorization"))
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if served.busy:
                served.busy -= 1
                self._send(503, {"error": {"message": "busy"}})
                return
            with served.counted(), contextlib.suppress(BrokenPipeError, ConnectionResetError):
                try:
                    tokens = served.take(self.path, body)
                except Refused as error:
                    self._send(400, {"error": {"message": str(error), "code": 400}})
                    return
                self._stream(body, tokens) if body.get("stream") else self._whole(body, tokens)

        def _whole(self, body, tokens):
            made = list(tokens)
            nats = _shown_nats(self.path, body, *made[0])
            choice = {"index": 0, "token_ids": [token for token, _ in made], "logprobs": nats}
            self._send(200, {"choices": [choice]}, served.altered)

        def _stream(self, body, tokens):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            if served.streams is not None:
                for said in served.streams:
                    self.wfile.write(b"data: " + said + b"\n\n")
                    served.num_streamed += 1
                return
            for token, _ in tokens:
                self._event({"choices": [{"index": 0, "token_ids": [token]}]})
            self._event({"choices": []})
            self.wfile.write(b"data: [DONE]\n\n")

        def _event(self, value):
            self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
            self.wfile.flush()

        def _send(self, status, value, altered=bytes):
            said = altered(json.dumps(value).encode())
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    return Handler


@contextlib.contextmanager
def serve_model(reader, name, **faults):
    """A `ServedModel` behind an address, which is its `url`."""
    served = ServedModel(reader, name, **faults)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(served))
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
