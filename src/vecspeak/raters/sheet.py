"""Sheet: which answers of a report are rated, by which questions, and in which order each rater sees them.

Knows reports. Knows nothing of files, of servers or of what raters said. Nothing here is drawn by a random
generator: things are sorted by hashes of the seed and of what they hold, so a sheet is the same on every
computer and with every version of every library.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vecspeak.errors import UserError
from vecspeak.evaluation.report import READER, Entity, EvaluatedSet, Report
from vecspeak.raters import items as judged

SWAPPED = "swapped"
"""Key of the system that was given another entity's vector: its answers show whether raters read."""
DEFAULT_SYSTEMS = (READER, SWAPPED, "nearest_text", "lm_texts", "mean")
Value = int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a rater is asked about an item; a language model that rates is asked the same."""

    key: str
    text: str
    help: str
    """What the values mean, in full."""
    values: tuple[Value, ...]
    """Every value that may be given."""
    ends: tuple[str, str] = ("", "")
    """What the lowest and the highest value mean; empty where the values say it themselves."""

    def allows(self, value: object) -> bool:
        """Whether this is one of the values; True, 1.0 and "1" are not the value 1."""
        return type(value) is type(self.values[0]) and value in self.values


_SCALE = (1, 2, 3, 4, 5)
FLUENT = Question(
    key="fluent",
    text="Is it fluent?",
    help=judged.FLUENT.ask,
    values=_SCALE,
    ends=("no sentences", "careful writing"),
)
FITS = Question(
    key="fits",
    text="Does it fit what is true?",
    help=judged.FITS.ask,
    values=_SCALE,
    ends=("about something else", "right throughout"),
)
SPECIFIC = Question(
    key="specific",
    text="Is it specific?",
    help=judged.SPECIFIC.ask,
    values=_SCALE,
    ends=("true of anything", "of this one only"),
)
BETTER = Question(
    key="better",
    text="Which text is better?",
    help=judged.BETTER.ask,
    values=("left", "tie", "right"),
)
SCALES = (FLUENT, FITS, SPECIFIC)
"""Asked about one answer; about two it is BETTER."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Item:
    """One answer, or two beside each other, with what is true."""

    id: str
    """16 hex digits; a hash that only who has the report can make, so it tells a rater nothing."""
    set_index: int
    """Which of the report's sets."""
    question: str
    """What the systems were asked, with the entity's label in its slots."""
    entity: Entity
    systems: tuple[str, ...]
    """Who wrote: one, or the left one and the right one. Never shown."""

    @property
    def of(self) -> tuple[int, str]:
        """The set and the id of the entity."""
        return self.set_index, self.entity.id

    @property
    def is_pair(self) -> bool:
        """Whether two answers are compared."""
        return len(self.systems) == 2

    @property
    def questions(self) -> tuple[Question, ...]:
        """What is asked about it."""
        return (BETTER,) if self.is_pair else SCALES

    def shown(self) -> dict[str, Any]:
        """What a rater may see, as plain values: nothing in it tells who wrote.

        Long texts are cut, all by the rule that holds for a language model that rates.
        """
        answers = [self.entity.answers[system] for system in self.systems]
        return {
            "id": self.id,
            "label": self.entity.label,
            "truth": judged.cut(self.entity.truth, judged.TRUTH_WORDS),
            "question": self.question,
            "answers": [judged.cut(answer, judged.ANSWER_WORDS) for answer in answers],
            "questions": [asdict(question) for question in self.questions],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides the items, next to the report."""

    seed: int
    count: int
    """How many entities, at most."""
    systems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sheet:
    """All items of a study; every rater gets all of them."""

    report: Report
    digest: str
    """Of what the report's sets say; the same for two reports with the same entities and answers."""
    settings: Settings
    items: Mapping[str, Item]
    """By id."""

    def order(self, rater: str) -> tuple[Item, ...]:
        """The items as this rater sees them, always the same for one name.

        In each turn every entity has one item, so that items of one entity lie far apart and a rater who stops
        early has seen many entities. Two of one entity follow each other only where no other entity is left.
        """
        turns: dict[int, list[Item]] = {}
        seen: dict[tuple[int, str], int] = {}
        for item in sorted(self.items.values(), key=lambda item: _hash(self.settings.seed, rater, item.id)):
            turn = seen[item.of] = seen.get(item.of, -1) + 1
            turns.setdefault(turn, []).append(item)
        ordered: list[Item] = []
        for _, items in sorted(turns.items()):
            if ordered and items[0].of == ordered[-1].of:
                items.append(items.pop(0))
            ordered += items
        return tuple(ordered)


def make_sheet(report: Report, *, systems: tuple[str, ...] = (), count: int = 50, seed: int = 0) -> Sheet:
    """Draw entities, evenly from the report's sets, and make their items.

    An entity has an item for each system, and one in which the reader stands beside a baseline; the baselines
    take turns. No systems given: those of DEFAULT_SYSTEMS that the report has. Raises UserError for a system that
    the report has no answers of, and where nothing can be rated.
    """
    systems = _systems(report, systems)
    digest = digest_of(report)
    items: dict[str, Item] = {}
    for index, entities in enumerate(_drawn(report, systems, count, (seed, digest))):
        first = int(_hash(digest, seed, index), 16) % 2
        for number, entity in enumerate(entities):
            shown = _with_label(report.sets[index].question, entity.label)
            for wrote in _written(entity, systems, number, first):
                key = _hash(digest, seed, index, entity.id, sorted(wrote))[:16]
                items[key] = Item(id=key, set_index=index, question=shown, entity=entity, systems=wrote)
    if not items:
        raise UserError("this report holds no entity with a true text and an answer, so nothing can be rated")
    settings = Settings(seed=seed, count=count, systems=systems)
    return Sheet(report=report, digest=digest, settings=settings, items=items)


def digest_of(report: Report) -> str:
    """SHA-256 of what raters may see of the report's sets: names, questions, entities and their answers.

    Numbers are left out: a report that was measured again keeps its ratings.
    """
    seen = [
        [s.name, s.question, [[e.id, e.label, e.truth, sorted(e.answers.items())] for e in s.entities]]
        for s in report.sets
    ]
    return _hash(seen)


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()


def _systems(report: Report, asked: tuple[str, ...]) -> tuple[str, ...]:
    there = {key: None for s in report.sets for entity in s.entities for key in entity.answers}
    unknown = [key for key in asked if key not in there]
    if unknown:
        raise UserError(
            f"this report has no answers of the system {unknown[0]!r}",
            f"give --system one of: {', '.join(there) or '(none)'}",
        )
    found = tuple(dict.fromkeys(asked)) or tuple(key for key in DEFAULT_SYSTEMS if key in there)
    if not found:
        raise UserError(
            f"this report has no answers of {', '.join(DEFAULT_SYSTEMS)}",
            f"give --system one of: {', '.join(there) or '(none)'}",
        )
    return found


def _drawn(report: Report, systems: tuple[str, ...], count: int, key: tuple[int, str]) -> list[list[Entity]]:
    """The drawn entities of each set: as even as the sets allow, `count` in all."""
    pools = [_usable(entities, systems, key) for entities in report.sets]
    drawn: list[list[Entity]] = [[] for _ in pools]
    while sum(map(len, drawn)) < min(count, sum(map(len, pools))):
        for taken, pool in zip(drawn, pools, strict=True):
            if len(taken) < len(pool) and sum(map(len, drawn)) < count:
                taken.append(pool[len(taken)])
    return drawn


def _usable(entities: EvaluatedSet, systems: tuple[str, ...], key: tuple[int, str]) -> list[Entity]:
    found = [
        entity
        for entity in entities.entities
        if entity.truth.strip() and any(system in entity.answers for system in systems)
    ]
    return sorted(found, key=lambda entity: _hash(*key, entities.name, entity.id))


def _written(entity: Entity, systems: tuple[str, ...], number: int, first: int) -> list[tuple[str, ...]]:
    """Who writes in each of an entity's items: every system alone, then the reader and a baseline.

    The reader stands left and right by turns, over all pairs and over those with one baseline.
    """
    alone: list[tuple[str, ...]] = [(system,) for system in systems if system in entity.answers]
    baselines = [system for system in systems if system != READER]
    if READER not in systems or not baselines:
        return alone
    turn, place = divmod(number, len(baselines))
    pair = (READER, baselines[place])
    if (first + place + turn) % 2:
        pair = pair[::-1]
    return [*alone, pair] if all(system in entity.answers for system in pair) else alone


def _with_label(question: str, label: str) -> str:
    return re.sub(r"\{\w+\}", lambda _: f"“{label}”", question)
