"""A client of one language model behind any OpenAI-compatible address, and its failures in plain words.

The key is sent to that address and goes nowhere else: neither to a file, nor into a message, nor along a redirect.
Failed requests are sent again here and not by the package openai, so that a person is told what is waited for.
"""

import json
import random
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from vecspeak.console import print_line
from vecspeak.errors import UserError, require
from vecspeak.network import is_loopback, redirect_target, shown_address

Messages = Sequence[dict[str, str]]

DONE, CUT, FILTERED = "stop", "length", "content_filter"
"""Why a reply ended: it is whole, it ran out of tokens, the server would not give it."""
_OTHER_NAMES = {"max_tokens": "max_completion_tokens"}
_NO_KEY = "none"
"""Sent where no key is given, so that the client does not look for one in the environment."""
_NOT_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout")
"""Names of connection errors before which nothing was sent."""
_BROKEN_OFF = ("disconnected", "peer closed")
"""How httpx words a connection that ended early, among what is no HTTP at all."""
_BAD_CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"
_CONNECT_SECONDS, _LIST_SECONDS = 10.0, 20.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0
"""Seconds before a request is sent again, where the server does not say how many."""
LONGEST_RETRY_AFTER = 600.0
"""Seconds that a server may make us wait by its own word; one that asks for more ends the run."""
_SHOWN_WAIT = 2.0
"""Seconds of waiting from which standard error says why."""
_SHOWN_CHARACTERS, _SHOWN_MODELS = 200, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a language model is and what it is called there. Raises UserError for no address and for no key."""

    url: str
    """Root of the API; most end in /v1."""
    model: str
    key: str = field(default="", repr=False)
    timeout: float = 120.0
    """Seconds that one reply may take, from connecting to its last byte."""
    retries: int = 4
    """How often a request is sent again after a lost connection, a timeout or a status of 408, 409, 429 or 5xx."""
    option: str = "url"
    """Where a person gave the address: hints name it."""

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise UserError(
                f"`{self.option}` takes the address of an API, got {self.shown!r}",
                "for example http://127.0.0.1:8000/v1",
            )
        if not (self.key.isascii() and self.key.isprintable()):
            raise UserError("the key holds letters that no key has", "set the variable again")

    @property
    def host(self) -> str:
        """The host alone."""
        return urlsplit(self.url).hostname or ""

    @property
    def place(self) -> str:
        """The host, with its port where the address names one: a machine may have several servers."""
        port = urlsplit(self.url).port
        return f"{self.host}:{port}" if port else self.host

    @property
    def is_here(self) -> bool:
        """Whether the address is this machine's own."""
        return is_loopback(self.host)

    @property
    def shown(self) -> str:
        """The address for messages: without a name, a password or a query."""
        return shown_address(self.url)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # malformed brackets or port
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One completion."""

    text: str
    tokens_in: int | None = None
    """None where the server does not count."""
    tokens_out: int | None = None
    end: str = ""
    """Why it ended: `stop`, `length`, `content_filter`, or the server's own word."""


class RefusedError(Exception):
    """The server refuses this request; it may accept others."""

    def __init__(self, *, filtered: bool = False) -> None:
        super().__init__()
        self.filtered = filtered
        """Whether a content filter refused it, by the server's word; else its length or the model may be the cause."""


class RequestFailedError(UserError):
    """A request without a reply, explained in one line."""

    def __init__(
        self,
        message: str,
        hint: str,
        *,
        passing: bool,
        wait: float = 0.0,
        may_cost: bool = False,
        unusable: bool = False,
    ) -> None:
        super().__init__(message, hint)
        self.passing = passing
        """Whether the same request may succeed later."""
        self.unusable = unusable
        """Whether the server replied with what is no completion, or failed within: twice and never otherwise, and no
        waiting will do."""
        self.wait = wait
        """Seconds that the server asks to wait; 0 where it does not."""
        self.may_cost = may_cost
        """Whether the server may have written, and may charge for, a reply that was lost."""

    def for_good(self) -> "RequestFailedError":
        """The same of a server that replied in this way again, and in no other."""
        return RequestFailedError(
            f"{self.message}, twice and never otherwise", self.hint, passing=False, may_cost=self.may_cost
        )

    def tell_wait(self, seconds: float) -> None:
        """Say on standard error what is waited for, where that takes a while."""
        if seconds >= _SHOWN_WAIT:
            print_line(f"{self.message}; it is asked again in {seconds:,.0f} s")


class ChatClient:
    """Sends messages to one model. Safe to use from threads."""

    def __init__(self, address: Endpoint, options: Mapping[str, Any], *, retries: int | None = None) -> None:
        """Connects to nothing yet. `options` go with every request. Raises UserError without the package openai."""
        self.address = address
        self._openai = require("openai", "judge")
        from vecspeak.llm_transport import BoundedClient  # needs openai

        self._client = self._openai.OpenAI(
            base_url=address.url,
            api_key=address.key or _NO_KEY,
            timeout=self._openai.Timeout(address.timeout, connect=min(address.timeout, _CONNECT_SECONDS)),
            max_retries=0,
            http_client=BoundedClient(direct=address.host if address.is_here else ""),
        )
        self._retries = address.retries if retries is None else retries
        self._options = dict(options)
        self._unwanted: set[str] = set()
        self._renamed: dict[str, str] = {}
        self._has_replied = False

    def ask(self, messages: Messages, **more: Any) -> Reply:
        """Send one request, and again after failures that may pass; what is waited for is told on standard error.

        An option of all requests that the server does not take is left out from then on; one that is given here is
        never left out, at most sent by its other name. Raises RefusedError where the server refuses the request
        itself, and RequestFailedError for everything else.
        """
        unusable = 0
        for failed in count():
            try:
                reply = self._ask(messages, more)
            except RequestFailedError as error:
                unusable += error.unusable
                if unusable > 1 and not self._has_replied:
                    raise error.for_good() from error
                if failed == self._retries or not error.passing:
                    raise
                grown = min(_LONGEST_WAIT, _FIRST_WAIT * 2**failed) * random.uniform(0.75, 1.0)
                seconds = error.wait or grown
                error.tell_wait(seconds)
                time.sleep(seconds)
            else:
                self._has_replied = True
                return reply
        raise AssertionError("the last failure is raised")

    def _ask(self, messages: Messages, more: Mapping[str, Any]) -> Reply:
        while True:
            given = {**self._options, **more}
            names = {one: self._renamed.get(one, one) for one in given if one not in self._unwanted}
            sent = {names[one]: given[one] for one in names}
            try:
                response = self._client.chat.completions.with_raw_response.create(
                    model=self.address.model, messages=list(messages), **sent
                )
                return reply_of(json.loads(response.content))
            except (self._openai.BadRequestError, self._openai.UnprocessableEntityError) as error:
                # Some models take no temperature, or call the maximum length by another name.
                named = {one: name for one, name in names.items() if name in str(error)}
                if not self._can_do_without(named, more, str(error)):
                    raise RefusedError(filtered=error.code == FILTERED) from error
            except self._openai.OpenAIError as error:
                raise self.explained(error) from error
            except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
                raise self._unusable("does not reply as OpenAI's API does") from error

    def _unusable(self, words: str) -> RequestFailedError:
        return RequestFailedError(
            f"{self.address.shown} {words}",
            f"correct `{self.address.option}`; most end in /v1",
            passing=True,
            may_cost=True,
            unusable=True,
        )

    def _can_do_without(self, unwanted: Mapping[str, str], needed: Container[str], said: str) -> bool:
        """Leave options out, or rename one as the server's words say; False if neither can be done."""
        changed = False
        for one, name in unwanted.items():
            other = _OTHER_NAMES.get(one, "")
            if other and other in said and name != other:
                self._renamed[one] = other
            elif one in needed:
                self._renamed.pop(one, None)
                continue
            else:
                self._unwanted.add(one)
            changed = True
        return changed

    def reach(self) -> None:
        """Raise RequestFailedError at once where nothing answers, before any question waits for its retries."""
        try:
            self._models()
        except self._openai.APITimeoutError:
            return  # a busy server replies in the end
        except self._openai.APIConnectionError as error:
            raise self.explained(error) from error
        except Exception:  # a server without a list of models is fine
            return

    def _models(self) -> list[str]:
        seconds = min(self.address.timeout, _LIST_SECONDS)
        response = self._client.with_options(timeout=seconds).models.with_raw_response.list()
        return [str(model["id"]) for model in json.loads(response.content)["data"]]

    def explained(self, error: BaseException) -> RequestFailedError:
        """Explain an error in one line with what to do, never with the key. A RefusedError counts as its cause."""
        from vecspeak.llm_transport import UnusableReplyError

        known = self._openai
        cause = error.__cause__ if isinstance(error, RefusedError) and error.__cause__ else error
        for one in (cause, cause.__cause__):  # older versions of openai wrap it
            if isinstance(one, UnusableReplyError) or _is_no_http(one):
                return self._unusable(str(one) if isinstance(one, UnusableReplyError) else "speaks no HTTP")
        lasting = (
            known.AuthenticationError,
            known.PermissionDeniedError,
            known.NotFoundError,
            known.BadRequestError,
            known.UnprocessableEntityError,
        )
        was_sent = type(cause.__cause__).__name__ not in _NOT_SENT
        message, hint = self._message(cause)
        wait, status = retry_after(cause), getattr(cause, "status_code", 0)
        if is_too_long := wait > LONGEST_RETRY_AFTER:
            message += f" and asks to wait {wait:,.0f} s, where {LONGEST_RETRY_AFTER:g} s are waited at most"
            hint = "run the same again then"
        return RequestFailedError(
            message,
            hint,
            passing=not (
                isinstance(cause, lasting)
                or is_too_long
                or 300 <= status < 400
                or _BAD_CERTIFICATE in str(cause.__cause__)
            ),
            wait=wait,
            may_cost=isinstance(cause, known.APIConnectionError) and was_sent,  # a timeout is one
            unusable=status == 500,
        )

    def _message(self, error: BaseException) -> tuple[str, str]:
        known, where, said = self._openai, self.address.shown, self._said(error)
        if isinstance(error, known.APITimeoutError):
            return f"{where} did not reply within {self.address.timeout:g} s", "give more with `timeout`"
        if isinstance(error, known.APIConnectionError):
            if _BAD_CERTIFICATE in str(error.__cause__):
                return (
                    f"the certificate of {where} cannot be verified",
                    "put the file of its authority into SSL_CERT_FILE, if you trust it",
                )
            if type(error.__cause__).__name__ in _NOT_SENT:
                return (
                    f"nothing answers at {where}",
                    f"start the server there, or correct `{self.address.option}`",
                )
            return f"{where} broke the connection off", "look at the server, then run the same again"
        if isinstance(error, known.APIStatusError) and 300 <= error.status_code < 400:
            there = redirect_target(self.address.url, error.response.headers.get("location", ""))
            return (
                f"{where} sends on to {self._shown(there, _SHOWN_CHARACTERS)} (status "
                f"{error.status_code}), and what is asked goes to no address but yours",
                f"give the root of that one to `{self.address.option}` if you trust it",
            )
        if isinstance(error, known.AuthenticationError | known.PermissionDeniedError):
            what = "the key" if self.address.key else "a request without a key"
            return f"{where} refuses {what}{said}", "name the variable that holds a key with `key_env`"
        if isinstance(error, known.NotFoundError | known.BadRequestError | known.UnprocessableEntityError):
            return f"{where} refuses the request for {self.address.model!r}{said}", self._model_hint()
        if isinstance(error, known.RateLimitError):
            return f"{where} takes no more requests{said}", "wait, or lower `concurrency`"
        return f"{where} failed{said}", "look at the server, then run the same again"

    def _model_hint(self) -> str:
        try:
            models = [self._shown(one) for one in self._models()]
        except Exception:  # the failure of the request itself is what counts
            models = []
        if models and self.address.model not in models:
            more = ", ..." if len(models) > _SHOWN_MODELS else ""
            return f"it has {', '.join(models[:_SHOWN_MODELS])}{more}: give one of these to `model`"
        return f"check `model` and `{self.address.option}`; most addresses end in /v1"

    def _said(self, error: BaseException) -> str:
        """Format the status and the server's words on one line, without the key: servers quote keys they refuse."""
        status = getattr(error, "status_code", None)
        body = getattr(error, "body", None)
        inner = str(body.get("message") or "") if isinstance(body, dict) else ""
        words = self._shown(inner, _SHOWN_CHARACTERS)
        return f" (status {status}{': ' if words else ''}{words})" if status else ""

    def _shown(self, text: str, most: int = 60) -> str:
        """A server's words on one line, without the key and what a terminal would obey."""
        text = text.replace(self.address.key, "(the key)") if self.address.key else text
        return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:most]


def _is_no_http(error: BaseException | None) -> bool:
    """Whether a server answers in no HTTP, or in headers without end."""
    return type(error).__name__ == "RemoteProtocolError" and not any(
        words in str(error) for words in _BROKEN_OFF
    )


def reply_of(completion: Any) -> Reply:
    """Convert the JSON of a completion. Raises AttributeError, LookupError, TypeError or ValueError where it is none.

    It names no request, and its model may be an alias. What can be known: one choice was asked for, so one comes.
    """
    (choice,) = completion["choices"]
    if choice.get("index", 0) != 0:
        raise ValueError("not the choice that was asked for")
    usage = completion.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Reply(
        text=_text_of(choice["message"].get("content")),
        tokens_in=_count(counts.get("prompt_tokens")),
        tokens_out=_count(counts.get("completion_tokens")),
        end=str(choice.get("finish_reason") or ""),
    )


def _text_of(content: Any) -> str:
    """Join the texts of a list of parts, as some servers reply; anything else but a text is empty."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def retry_after(error: BaseException) -> float:
    """Return the seconds of a failure's `Retry-After`, which is written as seconds or as a date; 0 without one."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            return max(0.0, scale * float(headers[name]))
        except (KeyError, ValueError):
            continue
    try:
        until = parsedate_to_datetime(headers["retry-after"])
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    except (KeyError, ValueError, TypeError):
        return 0.0
