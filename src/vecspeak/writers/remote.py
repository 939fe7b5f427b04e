"""A writer behind an OpenAI-compatible address."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from vecspeak.engines import Sampling
from vecspeak.errors import check_whole
from vecspeak.llm_client import ChatClient, Endpoint, RefusedError
from vecspeak.writers.base import Writer


class RemoteWriter(Writer):
    """Sends each request as one message, as often as texts are wanted: not every server draws several at once."""

    def __init__(self, place: Endpoint, *, share_texts: bool = False, concurrency: int = 4) -> None:
        check_whole("concurrency", concurrency, 1, 64)
        self.place, self.share_texts = place, share_texts
        self.name = place.model
        self._concurrency = concurrency

    def reach(self) -> None:
        """Raise UserError at once where nothing answers at the address."""
        ChatClient(self.place, {}).reach()

    def write(self, requests: Sequence[str], count: int, sampling: Sampling) -> list[list[str]]:
        """Texts for each request. A request that the server refuses, as content filters do, gets none."""
        # The client leaves out what a model does not take; no seed is sent, for texts are to differ.
        options = {"max_tokens": sampling.max_new_tokens, "temperature": sampling.temperature}
        client = ChatClient(self.place, options)

        def one(request: str) -> str:
            try:
                return client.ask([{"role": "user", "content": request}]).text
            except RefusedError:
                return ""

        wanted = [request for request in requests for _ in range(count)]
        with ThreadPoolExecutor(self._concurrency) as pool:
            texts = list(pool.map(one, wanted))
        return [texts[start : start + count] for start in range(0, len(texts), count)]
