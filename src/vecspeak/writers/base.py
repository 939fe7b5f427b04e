"""What every writer offers: texts for a request. A request is one message; what comes back is data and never obeyed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from vecspeak.engines import Sampling


class Writer(ABC):
    """A language model that writes from evidence. Makes one connection, or loads weights, at the first request."""

    name: str
    """The model's name, which its answers carry."""
    share_texts: bool = False
    """Whether it may see texts and labels of the nearest items; words, concepts and drafts it always sees."""

    def reach(self) -> None:
        """Raise UserError at once where nothing answers; called before a search. Nothing to do for a local one."""
        return

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
