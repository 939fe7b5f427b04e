"""Rating by a language model behind any OpenAI-compatible address: `judge_report` asks, checks and summarizes."""

import dataclasses
import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vecspeak.console import progress_bar
from vecspeak.errors import UserError
from vecspeak.evaluation.report import READER, Entity, EvaluatedSet, Report, read_report, write_report
from vecspeak.llm_client import ChatClient, Endpoint, Messages, RefusedError
from vecspeak.raters.agreement import Rating, by_entity, mean_of, outcomes, pair_of
from vecspeak.raters.items import (
    QUESTIONS,
    SCALES,
    Item,
    Question,
    Value,
    parse,
    resolve_systems,
    system_items,
)
from vecspeak.raters.planted import check_rater, plant
from vecspeak.storage import Journal, check_target, digest, lock


def content_key(model: str, messages: Messages) -> str:
    """Return the SHA-256, in hex, of the model's name and everything that it reads."""
    return digest(json.dumps([model, list(messages)]))


class JudgeReplies:
    """Replies by content key, in memory and, where a path is given, in a journal. Safe to use from threads."""

    def __init__(self, path: Path | None = None) -> None:
        """Read the journal. Raises UserError where the path is a folder or holds something else."""
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
        """Number of replies."""
        return len(self._replies)

    def get(self, key: str) -> str | None:
        """Return the reply under this key, if there is one."""
        return self._replies.get(key)

    def add(self, key: str, reply: str) -> None:
        """Add a reply; it is on the disk when this returns."""
        with self._lock:
            self._replies[key] = reply
            if self._journal is not None:
                self._journal.append([{"key": key, "reply": reply}])


def _read(journal: Journal) -> dict[str, str]:
    """Read the replies of a file. Raises UserError where it plainly holds something else."""
    rows = list(journal.rows())
    known = {
        row["key"]: row["reply"]
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("key"), str) and isinstance(row.get("reply"), str)
    }
    path = journal.path
    start = path.open("rb").read(6) if path.exists() else b""
    # A file of half a first line is what a kill left of ours; any other content without a reply is foreign.
    if start and not known and (rows or not b'{"key"'.startswith(start)):
        raise UserError(f"{path} holds no replies of a rater", "give another file to `cache`")
    return known


_LONGEST_REPLY = 2048
_UNUSABLE_SHOWN = 500
_MOST_REFUSED = 5
"""Refusals without any reply after which the run stops: the server refuses the model, not the questions."""


@dataclass(frozen=True, slots=True)
class JudgeVerdict:
    """Outcome of one question to a model."""

    value: Value | None
    """As the model names it; None where neither of two replies could be used, or the server refused."""
    fresh: bool
    """Whether the server was asked; otherwise the replies were cached."""


class ChatRater:
    """Asks a model the questions, and asks nothing twice."""

    def __init__(self, address: Endpoint, replies: JudgeReplies) -> None:
        """Connects to nothing yet. UserError where the package openai is missing."""
        self.address, self.replies = address, replies
        self._chat = ChatClient(address, {"temperature": 0, "max_tokens": _LONGEST_REPLY})
        self._has_replied = False
        self._refusals: list[RefusedError] = []

    def ask_all(self, questions: Mapping[str, Question], *, concurrency: int = 4) -> dict[str, JudgeVerdict]:
        """Return a verdict by prompt. Prompts are asked in the order given, `concurrency` at a time.

        Replies are cached as they come. When the server fails for good the rest is not asked, and one UserError says
        what happened and that the same command goes on from there.
        """
        try:
            return self._ask_all(questions, concurrency)
        except UserError as error:
            if not self.replies.count:
                raise
            cached = f"{self.replies.count:,} replies are kept, the same command goes on from there"
            raise UserError(error.message, f"{error.hint}; {cached}") from error

    def _ask_all(self, questions: Mapping[str, Question], concurrency: int) -> dict[str, JudgeVerdict]:
        is_cached = [
            self.replies.get(content_key(self.address.model, _opening(prompt))) is not None
            for prompt in questions
        ]
        self._has_replied |= any(is_cached)
        if not all(is_cached):
            self._chat.reach()
        found: dict[str, JudgeVerdict] = {}
        failures: list[BaseException] = []

        def ask_unless_failed(question: Question, prompt: str) -> JudgeVerdict | None:
            # The thread that fails stops the others itself: until this thread wakes up they would ask on.
            if failures:
                return None
            try:
                return self.ask(question, prompt)
            except BaseException as error:
                failures.append(error)
                return None

        with ThreadPoolExecutor(concurrency) as pool:
            waiting = {
                pool.submit(ask_unless_failed, question, prompt): prompt
                for prompt, question in questions.items()
            }
            try:
                for done in progress_bar(
                    as_completed(waiting), total=len(waiting), desc="judging", unit="question", shown=None
                ):
                    verdict = done.result()
                    if verdict is None:
                        raise failures[0]
                    found[waiting[done]] = verdict
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if self._refusals and not self._has_replied:
            raise self._chat.explained(self._refusals[-1])
        return found

    def ask(self, question: Question, prompt: str) -> JudgeVerdict:
        """Ask one question; after an unusable reply, once more in the same conversation."""
        messages = _opening(prompt)
        reply, fresh = self._reply(messages)
        value = parse(question, reply or "")
        if value is not None or reply is None:
            return JudgeVerdict(value, fresh)
        said = reply.strip()[:_UNUSABLE_SHOWN] or "(nothing)"
        said = said.encode("utf-8", "replace").decode()  # half a character cannot be sent back
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": question.rule}]
        reply, again = self._reply(messages)
        return JudgeVerdict(parse(question, reply or ""), fresh or again)

    def _reply(self, messages: Messages) -> tuple[str | None, bool]:
        """Return the reply, None where the server refuses the question, and whether the server was asked for it."""
        key = content_key(self.address.model, messages)
        reply = self.replies.get(key)
        if reply is not None:
            return reply, False
        try:
            reply = self._chat.ask(messages).text
        except RefusedError as error:
            # One question may be refused for what it says. Refusals alone mean that the server refuses the model.
            self._refusals.append(error)
            if not self._has_replied and len(self._refusals) >= _MOST_REFUSED:
                raise self._chat.explained(error) from error
            return None, True
        self.replies.add(key, reply)
        self._has_replied = True
        return reply, True


def _opening(prompt: str) -> list[dict[str, str]]:
    """Return the prompt as the user's message: not every model takes a system message."""
    return [{"role": "user", "content": prompt}]


class Rater(Protocol):
    """What a run needs of a rater."""

    address: Endpoint

    def ask_all(self, questions: Mapping[str, Question], *, concurrency: int) -> dict[str, JudgeVerdict]:
        """Return a verdict by prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeConfig:
    """What is judged."""

    systems: tuple[str, ...] = ()
    """Keys of systems; all that answered when empty."""
    sets: tuple[str, ...] = ()
    """Names of sets; all when empty."""
    count: int = 100
    """Maximum number of entities of a set."""
    seed: int = 0
    """Of the draw, the order, the planted items and the intervals."""
    concurrency: int = 4


def judge_report(report: Report, rater: Rater, config: JudgeConfig) -> Report:
    """Add this rater's ratings of each set to a copy of the report; those of other raters stay.

    They stand under the model's name, and under `MODEL on SET` where the report has several sets. Raises UserError for
    a set that is not there.
    """
    names = [evaluated.name for evaluated in report.sets]
    unknown = [name for name in config.sets if name not in names]
    if unknown or not names:
        what = f"the report has no set {unknown[0]!r}" if unknown else "the report has no sets"
        raise UserError(f"{what}; it has {', '.join(names) or 'none'}", "give one of these to `set`")
    if len(set(names)) < len(names):
        raise UserError("two sets of the report have the same name", "name them apart and evaluate again")
    model, judged = rater.address.model, dict(report.judged)
    for evaluated in report.sets:
        if not config.sets or evaluated.name in config.sets:
            key = model if len(names) == 1 else f"{model} on {evaluated.name}"
            judged[key] = judge_set(evaluated, rater, config)
    return dataclasses.replace(report, judged=judged)


def judge_file(
    path: Path, address: Endpoint, config: JudgeConfig, *, out: Path | None = None, cache: Path | None = None
) -> tuple[Path, dict[str, Any]]:
    """Judge the report of a file and write it with the ratings; the file's path, and what this rater said.

    By default that is REPORT.judged.json beside the report. What other raters said, in the report or there, stays.
    Replies are cached in a file next to it. Raises UserError where another report is written there.
    """
    report = read_report(path)
    target = out or path.with_name(f"{path.stem}.judged.json")
    _earlier_ratings(report, target)
    rater = ChatRater(address, JudgeReplies(cache or target.with_suffix(".replies.jsonl")))
    judged = judge_report(report, rater, config)
    found = {key: entry for key, entry in judged.judged.items() if entry is not report.judged.get(key)}
    with lock(target):  # another rater may have written meanwhile
        together = {**report.judged, **_earlier_ratings(report, target), **found}
        write_report(target, dataclasses.replace(report, judged=together))
    return target, found


def _earlier_ratings(report: Report, target: Path) -> dict[str, Any]:
    """The ratings that the target holds already; UserError where they are of another report."""
    check_target(target)
    if not target.exists():
        return {}
    earlier = read_report(target)
    if dataclasses.replace(earlier, judged={}) != dataclasses.replace(report, judged={}):
        raise UserError(
            f"{target} holds the ratings of another report", "remove it, or give another file to `out`"
        )
    return dict(earlier.judged)


def make_questions(evaluated: EvaluatedSet, config: JudgeConfig) -> list[tuple[Item, Question]]:
    """Make every question about a set in the order in which it is asked, planted ones among the others."""
    systems = resolve_systems(evaluated, config.systems)
    entities = draw_entities(evaluated, config.count, config.seed)
    items = [item for entity in entities for item in system_items(entity, systems)]
    like = READER if READER in systems else systems[0]
    # Planted items stand among the others, in one drawn order, so that nothing tells the checks from the rest.
    items += plant(entities, evaluated.entities, like=like, seed=config.seed)
    asked = [(item, question) for item in items for question in item.questions]
    return [asked[i] for i in np.random.default_rng([config.seed, 2]).permutation(len(asked)).tolist()]


def draw_entities(evaluated: EvaluatedSet, count: int, seed: int) -> list[Entity]:
    """Draw at most `count` entities of a set without replacement."""
    order = np.random.default_rng([seed, 1]).permutation(evaluated.count)
    return [evaluated.entities[i] for i in order[:count].tolist()]


def judge_set(evaluated: EvaluatedSet, rater: Rater, config: JudgeConfig) -> dict[str, Any]:
    """Rate one set; returns plain values: estimates by system and pair, the checks of the rater, every rating."""
    asked = [(item, question, item.prompt(question)) for item, question in make_questions(evaluated, config)]
    # Equal prompts, such as two equal answers, are asked once.
    questions = {prompt: question for _, question, prompt in asked}
    verdicts = rater.ask_all(questions, concurrency=config.concurrency)
    ratings = [
        Rating(item=item, question=question, value=question.value_of(verdicts[prompt].value))
        for item, question, prompt in asked
    ]
    unanswered = sum(verdict.value is None for verdict in verdicts.values())
    fresh = sum(verdict.fresh for verdict in verdicts.values())
    of_systems = [rating for rating in ratings if not rating.item.planted]
    systems = resolve_systems(evaluated, config.systems)
    pairs = {
        system: pair_of(outcomes(of_systems, READER, system), seed=config.seed)
        for system in systems
        if system != READER
    }
    return {
        "model": rater.address.model,
        "url_host": rater.address.host,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": config.seed,
        "set": evaluated.name,
        "trained_on": evaluated.trained_on,
        "entities": len({rating.item.entity.id for rating in of_systems}),
        "questions": {question.key: question.for_report() for question in QUESTIONS},
        "systems": {system: _means(of_systems, system, config.seed) for system in systems},
        "pairs": {system: found for system, found in pairs.items() if found is not None},
        "checks": check_rater(ratings, unanswered=unanswered / max(len(verdicts), 1), seed=config.seed),
        "asked": fresh,
        "cached": len(verdicts) - fresh,
        "unanswered": unanswered,
        "ratings": rating_rows(ratings, planted=False),
        "planted_ratings": rating_rows(ratings, planted=True),
    }


def _means(ratings: Sequence[Rating], system: str, seed: int) -> dict[str, Any]:
    """Estimate one system's mean of each question that was answered."""
    found = {question.key: mean_of(by_entity(ratings, system, question), seed=seed) for question in SCALES}
    return {key: value for key, value in found.items() if value is not None}


def rating_rows(ratings: Sequence[Rating], *, planted: bool) -> list[dict[str, Any]]:
    """Return every usable rating as plain values; for a pair `system` was shown as A, and `value` is its outcome."""
    rows = []
    for rating in ratings:
        item, question = rating.item, rating.question
        if rating.value is None or item.planted != planted:
            continue
        first = item.systems[0]
        row = {
            "entity": item.entity.id,
            "system": first,
            "question": question.key,
            "value": rating.outcome_for(first) if item.is_pair else rating.value,
        }
        rows.append({**row, "against": item.systems[1]} if item.is_pair else row)
    return rows
