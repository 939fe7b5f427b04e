"""Rater: a language model behind any OpenAI-compatible address. Knows questions and replies, not reports."""

import dataclasses
import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from vecspeak.errors import UserError
from vecspeak.evaluation.report import READER, EvaluatedSet, Report
from vecspeak.llm_client import ChatClient, Endpoint, Messages, RefusedError
from vecspeak.raters.agreement import (
    Rating,
    by_entity,
    check_rater,
    mean_of,
    outcomes,
    pair_of,
    plant,
    rating_rows,
)
from vecspeak.raters.items import (
    QUESTIONS,
    SCALES,
    Item,
    Question,
    Value,
    choose_systems,
    draw_entities,
    parse,
    shuffled,
    system_items,
)
from vecspeak.storage import Journal, check_target


def content_key(model: str, messages: Messages) -> str:
    """SHA-256, in hex, of the model's name and everything that it is told."""
    return hashlib.sha256(json.dumps([model, list(messages)]).encode()).hexdigest()


class JudgeReplies:
    """Replies by content key, in memory and, where a path is given, in a file. Safe to use from threads."""

    def __init__(self, path: Path | None = None) -> None:
        """Read what is kept already; UserError where the path is a folder or holds something else."""
        self.path = path
        self._lock = threading.Lock()
        self._replies: dict[str, str] = {}
        self._journal: Journal | None = None
        if path is not None:
            check_target(path)
            self._journal = Journal(path)
            self._replies = _read(self._journal)

    @property
    def count(self) -> int:
        """How many replies are kept."""
        return len(self._replies)

    def get(self, key: str) -> str | None:
        """The reply under this key, if one is kept."""
        return self._replies.get(key)

    def keep(self, key: str, reply: str) -> None:
        """Keep a reply; it is in the file when this returns."""
        with self._lock:
            self._replies[key] = reply
            if self._journal is not None:
                self._journal.append([{"key": key, "reply": reply}])


def _read(journal: Journal) -> dict[str, str]:
    """The replies of a file; UserError where it plainly holds something else."""
    rows = list(journal.rows())
    known = {row["key"]: row["reply"] for row in rows if _is_reply(row)}
    path = journal.path
    start = path.open("rb").read(6) if path.exists() else b""
    if start and not known and (rows or not b'{"key"'.startswith(start)):
        raise UserError(f"{path} holds no replies of a rater", "give another file to --cache")
    return known


def _is_reply(row: object) -> bool:
    return isinstance(row, dict) and isinstance(row.get("key"), str) and isinstance(row.get("reply"), str)


_LONGEST_REPLY = 2048
_UNUSABLE_SHOWN = 500
_MOST_REFUSED = 5
"""So many refusals and no reply at all: it is not the questions that are refused."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a question."""

    value: Value | None
    """None where neither of two replies could be used, or the server refused the question."""
    fresh: bool
    """Whether the server was asked; otherwise all was kept from before."""


class ChatRater:
    """Asks a model the questions, and asks nothing twice."""

    def __init__(self, address: Endpoint, kept: JudgeReplies) -> None:
        """Connects to nothing yet. UserError where the package openai is missing."""
        self.address, self.kept = address, kept
        self._chat = ChatClient(address, {"temperature": 0, "max_tokens": _LONGEST_REPLY})
        self._has_replied = False
        self._refusals: list[RefusedError] = []

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
            self._chat.reach()
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
            raise self._chat.explained(self._refusals[-1])
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
        try:
            return self._chat.ask(messages).text
        except RefusedError as error:
            self._refuse(error)
            return None

    def _refuse(self, error: RefusedError) -> None:
        """Pass over a question that the server refuses for what it says; give up where it refuses all of them."""
        self._refusals.append(error)
        if not self._has_replied and len(self._refusals) >= _MOST_REFUSED:
            raise self._chat.explained(error)


def _opening(prompt: str) -> list[dict[str, str]]:
    """The prompt alone, as the user's: not every model takes a system's message."""
    return [{"role": "user", "content": prompt}]


class Answers(Protocol):
    """What a run needs of a rater."""

    address: Endpoint

    def ask_all(self, questions: Mapping[str, Question], *, concurrency: int) -> dict[str, Verdict]:
        """The verdict on every prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeConfig:
    """What is judged."""

    systems: tuple[str, ...] = ()
    """Keys of systems; all that answered when empty."""
    sets: tuple[str, ...] = ()
    """Names of sets; all when empty."""
    count: int = 100
    """How many entities of a set, at most."""
    seed: int = 0
    """Of the draw, the order, the planted items and the intervals."""
    concurrency: int = 4


def judge_report(report: Report, rater: Answers, settings: JudgeConfig) -> Report:
    """The report with this rater's ratings of each set; those of other raters stay.

    They stand under the model's name, and under `MODEL on SET` where the report has several sets.
    """
    chosen = _chosen_sets(report, settings)
    name = rater.address.model
    found = {
        name if len(report.sets) == 1 else f"{name} on {evaluated.name}": judge_set(
            evaluated, rater, settings
        )
        for evaluated in chosen
    }
    return dataclasses.replace(report, judged={**report.judged, **found})


def make_items(evaluated: EvaluatedSet, settings: JudgeConfig) -> list[Item]:
    """Every question about a set in the order in which it is asked, planted ones among the others."""
    systems = choose_systems(evaluated, settings.systems)
    entities = draw_entities(evaluated, settings.count, settings.seed)
    asked = [item for entity in entities for item in system_items(entity, systems)]
    like = READER if READER in systems else systems[0]
    planted = plant(entities, evaluated.entities, like=like, seed=settings.seed)
    return shuffled(asked + planted, settings.seed)


def judge_set(evaluated: EvaluatedSet, rater: Answers, settings: JudgeConfig) -> dict[str, Any]:
    """A rater's ratings of one set as plain values: estimates by system and pair, the checks, every rating."""
    items = make_items(evaluated, settings)
    questions = {item.prompt: item.question for item in items}
    verdicts = rater.ask_all(questions, concurrency=settings.concurrency)
    ratings = [Rating(item=item, value=verdicts[item.prompt].value) for item in items]
    unanswered = sum(verdict.value is None for verdict in verdicts.values())
    asked = sum(verdict.fresh for verdict in verdicts.values())
    of_systems = [rating for rating in ratings if not rating.item.planted]
    systems = choose_systems(evaluated, settings.systems)
    return {
        "model": rater.address.model,
        "url_host": rater.address.host,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": settings.seed,
        "set": evaluated.name,
        "trained_on": evaluated.trained_on,
        "entities": len({rating.item.entity for rating in of_systems}),
        "questions": {question.key: dataclasses.asdict(question) for question in QUESTIONS},
        "systems": {system: _scales(of_systems, system, settings.seed) for system in systems},
        "pairs": _pairs(of_systems, systems, settings.seed),
        "checks": check_rater(ratings, unanswered=unanswered / max(len(verdicts), 1), seed=settings.seed),
        "asked": asked,
        "cached": len(verdicts) - asked,
        "unanswered": unanswered,
        "ratings": rating_rows(ratings, planted=False),
        "planted_ratings": rating_rows(ratings, planted=True),
    }


def _chosen_sets(report: Report, settings: JudgeConfig) -> list[EvaluatedSet]:
    names = [evaluated.name for evaluated in report.sets]
    unknown = [name for name in settings.sets if name not in names]
    if unknown or not names:
        what = f"the report has no set {unknown[0]!r}" if unknown else "the report has no sets"
        raise UserError(f"{what}; it has {', '.join(names) or 'none'}", "give one of these to --set")
    if len(set(names)) < len(names):
        raise UserError("two sets of the report have the same name", "name them apart and evaluate again")
    return [evaluated for evaluated in report.sets if not settings.sets or evaluated.name in settings.sets]


def _scales(ratings: Sequence[Rating], system: str, seed: int) -> dict[str, Any]:
    found = {question.key: mean_of(by_entity(ratings, system, question), seed=seed) for question in SCALES}
    return {key: value for key, value in found.items() if value is not None}


def _pairs(ratings: Sequence[Rating], systems: Sequence[str], seed: int) -> dict[str, Any]:
    found = {
        system: pair_of(outcomes(ratings, READER, system), seed=seed)
        for system in systems
        if system != READER
    }
    return {system: value for system, value in found.items() if value is not None}
