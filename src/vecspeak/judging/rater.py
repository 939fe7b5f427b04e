"""Rater: a language model behind any OpenAI-compatible address. Knows questions and replies, not reports.

The key is sent to that address and goes nowhere else: neither to a file nor into a message.
"""

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tqdm import tqdm

from vecspeak.errors import UserError, require
from vecspeak.judging.questions import Question, Value, parse
from vecspeak.judging.replies import KeptReplies, Messages, content_key

_NO_KEY = "none"
"""What is sent where no key is given: servers that need none take anything."""
_CONNECT = 10.0
"""Seconds that a connection may take."""
_LONGEST_REPLY = 2048
_UNUSABLE_SHOWN = 500
_WORDS_SHOWN = 200
_MODELS_NAMED = 8
_MOST_REFUSED = 5
"""So many refusals and no reply at all: it is not the questions that are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a rater is and what it is called there."""

    url: str
    """Root of the API; most end in /v1."""
    model: str
    key: str = field(default="", repr=False)
    timeout: float = 120.0
    """Seconds that one reply may take."""
    retries: int = 4
    """How often a request is sent again after a lost connection, a timeout or a status of 408, 409, 429 or 5xx."""

    def __post_init__(self) -> None:
        """Raise UserError for what is no address and for what cannot be a key."""
        if not _is_address(self.url):
            raise UserError(
                f"--url takes the address of an API, got {self.shown!r}",
                "for example http://127.0.0.1:8000/v1",
            )
        if not (self.key.isascii() and self.key.isprintable()):
            raise UserError("the key holds letters that no key has", "set the variable again")

    @property
    def host(self) -> str:
        """The host alone."""
        return urlsplit(self.url).hostname or ""

    @property
    def shown(self) -> str:
        """The address as messages say it: without a name, a password or a query."""
        return re.sub(r"//[^/@]*@", "//", self.url.partition("?")[0])


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or a port that are none
        return False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a question."""

    value: Value | None
    """None where neither of two replies could be used, or the server refused the question."""
    fresh: bool
    """Whether the server was asked; otherwise all was kept from before."""


class Rater:
    """Asks a model the questions, and asks nothing twice."""

    def __init__(self, address: Address, kept: KeptReplies) -> None:
        """Connects to nothing yet. UserError where the package openai is missing."""
        self.address, self.kept = address, kept
        self._openai = require("openai", "judge")
        self._client = self._openai.OpenAI(
            base_url=address.url,
            api_key=address.key or _NO_KEY,
            timeout=self._openai.Timeout(address.timeout, connect=min(address.timeout, _CONNECT)),
            max_retries=address.retries,
        )
        self._options: dict[str, Any] = {"temperature": 0, "max_tokens": _LONGEST_REPLY}
        self._has_replied = False
        self._refusals: list[Exception] = []

    def ask_all(self, questions: Mapping[str, Question], *, concurrency: int = 4) -> dict[str, Verdict]:
        """The verdict on every prompt, asked in the order given, so many at a time.

        Replies are kept as they come. When the server fails for good, what was not asked yet is left, and one
        UserError says what happened and that the same command goes on from there.
        """
        try:
            return self._ask_all(questions, concurrency)
        except UserError as error:
            if not self.kept.count:
                raise
            kept = f"{self.kept.count:,} replies are kept, the same command goes on from there"
            raise UserError(error.message, f"{error.hint}; {kept}") from error

    def _ask_all(self, questions: Mapping[str, Question], concurrency: int) -> dict[str, Verdict]:
        is_kept = [self._kept_reply(prompt) is not None for prompt in questions]
        self._has_replied |= any(is_kept)
        if not all(is_kept):
            self._reach()
        found: dict[str, Verdict] = {}
        with ThreadPoolExecutor(concurrency) as pool:
            waiting = {
                pool.submit(self.ask, question, prompt): prompt for prompt, question in questions.items()
            }
            try:
                for done in tqdm(
                    as_completed(waiting), total=len(waiting), desc="judging", unit="question", disable=None
                ):
                    found[waiting[done]] = done.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if self._refusals and not self._has_replied:
            raise self._explained(self._refusals[-1])
        return found

    def ask(self, question: Question, prompt: str) -> Verdict:
        """One question; where the reply cannot be used it is asked once more, in the same conversation."""
        messages = _opening(prompt)
        reply, fresh = self._reply(messages)
        value = parse(question, reply or "")
        if value is not None or reply is None:
            return Verdict(value, fresh)
        said = reply.strip()[:_UNUSABLE_SHOWN] or "(nothing)"
        said = said.encode("utf-8", "replace").decode()  # half a character cannot be sent back
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": question.rule}]
        reply, again = self._reply(messages)
        return Verdict(parse(question, reply or ""), fresh or again)

    def _kept_reply(self, prompt: str) -> str | None:
        return self.kept.get(content_key(self.address.model, _opening(prompt)))

    def _reply(self, messages: Messages) -> tuple[str | None, bool]:
        """The reply, None where it is refused, and whether the server was asked for it."""
        key = content_key(self.address.model, messages)
        reply = self.kept.get(key)
        if reply is not None:
            return reply, False
        reply = self._request(messages)
        if reply is not None:
            self.kept.keep(key, reply)
            self._has_replied = True
        return reply, True

    def _request(self, messages: Messages) -> str | None:
        while True:
            sent = self._options
            try:
                completion = self._client.chat.completions.create(
                    model=self.address.model, messages=list(messages), **sent
                )
                return _text_of(completion)
            except (self._openai.BadRequestError, self._openai.UnprocessableEntityError) as error:
                # Some models take no temperature or call the length otherwise; a rater can do without both.
                unwanted = [name for name in sent if name in str(error)]
                if not unwanted:
                    self._refuse(error)
                    return None
                self._options = {k: v for k, v in self._options.items() if k not in unwanted}
            except self._openai.OpenAIError as error:
                raise self._explained(error) from error
            except (AttributeError, IndexError, TypeError, ValueError, RecursionError) as error:
                raise UserError(
                    f"{self.address.shown} does not reply as OpenAI's API does",
                    "correct --url; most end in /v1",
                ) from error

    def _refuse(self, error: Exception) -> None:
        """Pass over a question that the server refuses for what it says; give up where it refuses all of them."""
        self._refusals.append(error)
        if not self._has_replied and len(self._refusals) >= _MOST_REFUSED:
            raise self._explained(error)

    def _reach(self) -> None:
        """Raise UserError at once where nothing answers, before any question waits for its retries."""
        try:
            self._models()
        except self._openai.APITimeoutError:
            return  # one that thinks of something else answers in the end
        except self._openai.APIConnectionError as error:
            raise self._explained(error) from error
        except Exception:  # a server without a list of models is fine
            return

    def _models(self) -> list[str]:
        patient = self._client.with_options(max_retries=0, timeout=min(self.address.timeout, 20.0))
        return [str(model.id) for model in patient.models.list().data]

    def _explained(self, error: Exception) -> UserError:
        """One line that says what is wrong and what to do; never the key."""
        return UserError(*self._cause(error))

    def _cause(self, error: Exception) -> tuple[str, str]:
        known, where = self._openai, self.address.shown
        if isinstance(error, known.APITimeoutError):
            return f"{where} did not reply within {self.address.timeout:g} s", "give more with --timeout"
        if isinstance(error, known.APIConnectionError):
            return f"nothing answers at {where}", "start the server there, or correct --url"
        if isinstance(error, known.AuthenticationError | known.PermissionDeniedError):
            what = "the key" if self.address.key else "a request without a key"
            return (
                f"{where} refuses {what}{self._said(error)}",
                "name the variable that holds a key with --key-env",
            )
        if isinstance(error, known.NotFoundError | known.BadRequestError | known.UnprocessableEntityError):
            return (
                f"{where} refuses the request for {self.address.model!r}{self._said(error)}",
                self._model_hint(),
            )
        if isinstance(error, known.RateLimitError):
            return f"{where} takes no more requests{self._said(error)}", "wait, or lower --concurrency"
        return f"{where} failed{self._said(error)}", "look at the server, then run the same again"

    def _model_hint(self) -> str:
        try:
            models = self._models()
        except Exception:  # whatever it is, the request's own failure is what counts
            models = []
        if models and self.address.model not in models:
            more = ", ..." if len(models) > _MODELS_NAMED else ""
            return f"it has {', '.join(models[:_MODELS_NAMED])}{more}: give one of these to --model"
        return "check --model and --url; most addresses end in /v1"

    def _said(self, error: Exception) -> str:
        """The status and the server's own words, on one line; servers quote keys that they refuse."""
        status = getattr(error, "status_code", None)
        body = getattr(error, "body", None)
        inner = str(body.get("message") or "") if isinstance(body, dict) else ""
        if self.address.key:
            inner = inner.replace(self.address.key, "(the key)")
        words = " ".join(inner.split())[:_WORDS_SHOWN]
        return f" (status {status}{': ' if words else ''}{words})" if status else ""


def _opening(prompt: str) -> list[dict[str, str]]:
    """The prompt alone, as the user's: not every model takes a system's message."""
    return [{"role": "user", "content": prompt}]


def _text_of(completion: Any) -> str:
    """What the model said; empty where it said nothing. Raises where this is no completion."""
    return str(completion.choices[0].message.content or "")
