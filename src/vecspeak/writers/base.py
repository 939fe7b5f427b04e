"""What every writer offers: texts for a request. A request is one message; what comes back is data and never obeyed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from vecspeak.engines import AUTO, Sampling
from vecspeak.errors import UserError


class Writer(ABC):
    """A language model that writes from evidence. Makes one connection, or loads weights, at the first request."""

    name: str
    """The model's name, which its answers carry."""
    share_texts: bool = False
    """Whether it may see texts and labels of the nearest items; words, concepts and drafts it always sees."""

    @abstractmethod
    def write(self, requests: Sequence[str], count: int, sampling: Sampling) -> list[list[str]]:
        """At most `count` texts for each request, as they were drawn; fewer where the model gave fewer.

        Raises UserError where nothing answers.
        """


class Recorder(Writer):
    """Writes nothing and remembers what another writer would have been sent: `--dry-run`."""

    def __init__(self, writer: Writer) -> None:
        self.name, self.share_texts = writer.name, writer.share_texts
        self.requests: list[str] = []

    def write(self, requests: Sequence[str], count: int, sampling: Sampling) -> list[list[str]]:
        """No text for any request."""
        self.requests += requests
        return [[] for _ in requests]


def open_writer(
    address_or_folder: str,
    model: str = "",
    *,
    key: str = "",
    share_texts: bool = False,
    timeout: float = 120.0,
    concurrency: int = 4,
    engine: str = AUTO,
) -> Writer:
    """The writer at an OpenAI-compatible address, called `model` there, or of a Hugging Face folder on this machine.

    The key is sent to that address alone. Raises UserError for an address without a model, and for no model there.
    """
    if address_or_folder.startswith(("http://", "https://")):
        from vecspeak.llm_client import Endpoint
        from vecspeak.writers.remote import RemoteWriter

        if not model:
            raise UserError(
                "no model is given to write at that address", "add `model=NAME`, as it is called there"
            )
        place = Endpoint(url=address_or_folder, model=model, key=key, timeout=timeout, option="writer")
        return RemoteWriter(place, share_texts=share_texts, concurrency=concurrency)
    from vecspeak.writers.local import LocalWriter

    return LocalWriter(address_or_folder, share_texts=share_texts, engine=engine)
