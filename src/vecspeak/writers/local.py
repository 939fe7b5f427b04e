"""A writer on this machine."""

from collections.abc import Sequence

from vecspeak.engines import AUTO, Engine, Sampling
from vecspeak.engines.language_model import open_language_model, tokenizer_of
from vecspeak.model.chat import chat_format_of
from vecspeak.model.pretrained import model_title
from vecspeak.model.special_tokens import ChatMarkup
from vecspeak.writers.base import Writer


class LocalWriter(Writer):
    """Writes with a language model of a folder, or one that a package carries."""

    def __init__(self, model: str, *, share_texts: bool = False, engine: str = AUTO) -> None:
        """Raises UserError where there is no such model."""
        self.model, self.share_texts = model, share_texts
        self.name = model_title(model)
        self._engine_name = engine
        self._engine: Engine | None = None
        self._ending = ""

    def write(self, requests: Sequence[str], count: int, sampling: Sampling) -> list[list[str]]:
        """Texts for each request, all drawn in one batch."""
        if self._engine is None:
            self._ending = chat_format_of(tokenizer_of(self.model)).after
            self._engine = open_language_model(self.model, self._engine_name)
        prompts = [(request, ChatMarkup(self._ending)) for request in requests for _ in range(count)]
        texts = self._engine.generate(prompts, sampling)
        return [texts[start : start + count] for start in range(0, len(texts), count)]
