"""Items: each question put to a rater once, about a drawn entity's answers, in an order that tells nothing.

Knows reports and questions. An item's prompt holds texts alone: neither a system's name nor an entity's label.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vecspeak.errors import UserError
from vecspeak.evaluation.report import READER, Entity, EvaluatedSet

Shown = Literal["description", "truth", "a", "b"]
Value = int | str
"""1 to 5 for a rating; "A", "B" or "tie" for a pair."""

ANSWER_WORDS = 150
TRUTH_WORDS = 300
RATINGS = ("1", "2", "3", "4", "5")
VERDICTS = ("A", "B", "tie")
_HEADS: dict[Shown, str] = {"description": "DESCRIPTION", "truth": "TRUE TEXT", "a": "TEXT A", "b": "TEXT B"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing that is asked of a text, or of two."""

    key: str
    name: str
    """As a table's head says it."""
    ask: str
    """What the rater is told, whole."""
    shows: tuple[Shown, ...]
    """What the rater sees, in this order."""
    replies: tuple[str, ...]
    """All that may be replied."""

    @property
    def is_pair(self) -> bool:
        """Whether two texts are compared."""
        return self.replies == VERDICTS

    @property
    def rule(self) -> str:
        """How to reply."""
        if self.is_pair:
            return "Reply with A, B or tie, and nothing else."
        return "Reply with one digit from 1 to 5, and nothing else."


FLUENT = Question(
    key="fluent",
    name="fluent",
    ask=(
        "Is the description fluent English? Judge the language alone, not whether it is true or good.\n"
        "1: the words make no sentence. 2: hard to follow. 3: understandable, with clear mistakes.\n"
        "4: good, with small flaws. 5: as a careful native writer would put it."
    ),
    shows=("description",),
    replies=RATINGS,
)
FITS = Question(
    key="fits",
    name="fits",
    ask=(
        "Somebody described a thing. The true text says what the thing really is.\n"
        "Does the description fit that thing? Judge what it says, not how well it is written.\n"
        "1: it is about something else. 2: only the broad kind is right. 3: as much is right as is wrong.\n"
        "4: mostly right. 5: right throughout."
    ),
    shows=("truth", "description"),
    replies=RATINGS,
)
SPECIFIC = Question(
    key="specific",
    name="specific",
    ask=(
        "Somebody described a thing. The true text says what the thing really is.\n"
        "Is the description specific to that thing, or would it be true of many others as well?\n"
        "1: it picks out nothing of this thing. 2: true of a very large group. 3: true of a group of alike things.\n"
        "4: true of few others. 5: it could be of this thing only. What is wrong of this thing is not specific to it."
    ),
    shows=("truth", "description"),
    replies=RATINGS,
)
BETTER = Question(
    key="better",
    name="better",
    ask=(
        "Two people described the same thing. The true text says what the thing really is.\n"
        "Which text describes it better, A or B? Judge what they say, not their length or their order.\n"
        "Where neither is better, it is a tie."
    ),
    shows=("truth", "a", "b"),
    replies=VERDICTS,
)
QUESTIONS = (FLUENT, FITS, SPECIFIC, BETTER)
SCALES = (FLUENT, FITS, SPECIFIC)
"""The questions with a rating from 1 to 5."""


def prompt(question: Question, texts: Mapping[Shown, str]) -> str:
    """Everything that the rater is told and shown, as one text. Long texts are cut, all by the same rule."""
    parts = [question.ask, "Where a text was cut for its length stands [...]; do not mark it down for that."]
    for shown in question.shows:
        head = _HEADS[shown]
        text = cut(texts[shown], TRUTH_WORDS if shown == "truth" else ANSWER_WORDS)
        parts.append(f"=== {head} ===\n{_within(text)}\n=== END OF {head} ===")
    return "\n\n".join([*parts, question.rule])


def cut(text: str, words: int) -> str:
    """At most so many words, with [...] where there were more; of nothing it says so."""
    parts = text.split()
    if not parts:
        return "(nothing was written)"
    return " ".join(text.split() if len(parts) <= words else [*parts[:words], "[...]"])


def _within(text: str) -> str:
    """The text without what could be taken for one of the marks around it."""
    return re.sub(r"={3,}", "=", text)


def parse(question: Question, reply: str) -> Value | None:
    """What a reply means; None where it says nothing or two things. Reasoning in <think> marks is not looked at."""
    said = re.sub(r"(?s)^.*</think>", "", reply)
    if "<think>" in said:
        return None
    return _verdict(said) if question.is_pair else _rating(said)


_LEAD = (
    r"(?:(?:final|overall|my)\W+)?(?:answer|rating|score|verdict|reply|result|text|description)?(?:\W+is)?"
)
_RATING_LINE = re.compile(rf"(?i)\W*{_LEAD}\W*(?<!-)([1-5])(?:\.0)?(?:\s*(?:/|out of)\s*5)?\W*")
_SCALE = re.compile(r"(?i)\b1\s*(?:to|-|\u2013)\s*5\b|(?<=\d)\s*(?:/|out of)\s*5\b(?!\.\d)")
_VERDICT_LINE = re.compile(rf"(?i)\W*{_LEAD}\W*(?:text\W+)?(a|b|(?:a )?tie)\W*")
_NAMED = re.compile(r"\b(?i:text|description|answer|option|choose|pick|prefer)(?i:\W+is)?\W+([AB])\b(?!')")
_PRAISED = re.compile(r"\b([AB]) (?i:is|describes|fits|matches|wins)\b")
_TIED = re.compile(r"(?i)\b(?:a|it's a|is a) tie\b|\bequally (?:good|bad|well)\b")
_NEGATED = re.compile(r"(?i)\b(?:not|neither|nor|isn't|worse|hardly)\b")


def _bare(pattern: re.Pattern[str], said: str) -> list[str]:
    """What the lines say that hold a reply and nothing else; such a line is short."""
    lines = [line for line in said.splitlines() if len(line) < 60]
    return [match[1] for line in lines if (match := pattern.fullmatch(line))]


def _rating(said: str) -> int | None:
    bare = {int(found) for found in _bare(_RATING_LINE, said)}
    if not bare:
        numbers = re.findall(r"-?\d+(?:\.\d+)?", _SCALE.sub(" ", said))
        found = {float(number) for number in numbers}
        bare = {int(number) for number in found if number in {1, 2, 3, 4, 5}}
        bare = bare if len(bare) == len(found) else set()
    return bare.pop() if len(bare) == 1 else None


def _verdict(said: str) -> str | None:
    bare = {"tie" if "tie" in found.lower() else found.upper() for found in _bare(_VERDICT_LINE, said)}
    if not bare and not _NEGATED.search(said):
        bare = {*_NAMED.findall(said), *_PRAISED.findall(said), *(["tie"] if _TIED.search(said) else [])}
    return bare.pop() if len(bare) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question about one text of an entity, or about two."""

    entity: str
    """Id of the entity."""
    question: Question
    of: str
    """Whose text is rated: a system, or a planted kind. Of a pair, whose text is shown as A."""
    against: str = ""
    """Of a pair, whose text is shown as B."""
    planted: bool = False
    """Whether it checks the rater rather than a system."""
    prompt: str = field(repr=False)
    """All that the rater sees."""


def rating_items(
    entity: Entity, of: str, text: str, questions: Sequence[Question] = SCALES
) -> Iterator[Item]:
    """One text of an entity, by each of the questions with a rating from 1 to 5."""
    for question in questions:
        asked = prompt(question, {"truth": entity.truth, "description": text})
        yield Item(entity=entity.id, question=question, of=of, prompt=asked)


def pair_items(entity: Entity, first: tuple[str, str], second: tuple[str, str]) -> Iterator[Item]:
    """Two texts of an entity, each as (whose, text), compared in both orders."""
    for (of, a), (against, b) in ((first, second), (second, first)):
        asked = prompt(BETTER, {"truth": entity.truth, "a": a, "b": b})
        yield Item(entity=entity.id, question=BETTER, of=of, against=against, prompt=asked)


def system_items(entity: Entity, systems: Sequence[str]) -> Iterator[Item]:
    """Every question about the answers of these systems; the reader, if it is one, against each of the others."""
    for system in systems:
        if system not in entity.answers:
            continue
        yield from rating_items(entity, system, entity.answers[system])
        if system != READER and READER in systems and READER in entity.answers:
            yield from pair_items(entity, (READER, entity.answers[READER]), (system, entity.answers[system]))


def draw_entities(evaluated: EvaluatedSet, count: int, seed: int) -> list[Entity]:
    """At most so many entities of a set, drawn without return."""
    order = np.random.default_rng([seed, 1]).permutation(evaluated.count)
    return [evaluated.entities[i] for i in order[:count].tolist()]


def shuffled(items: Sequence[Item], seed: int) -> list[Item]:
    """The items in the order in which they are asked."""
    return [items[i] for i in np.random.default_rng([seed, 2]).permutation(len(items)).tolist()]


def choose_systems(evaluated: EvaluatedSet, wanted: Sequence[str]) -> tuple[str, ...]:
    """The wanted systems, or all that answered; UserError for one that gave no answer in this set."""
    keys = [system.key for system in evaluated.systems]
    answered = [key for key in keys if any(key in entity.answers for entity in evaluated.entities)]
    unknown = [key for key in wanted if key not in answered]
    if unknown:
        raise UserError(
            f"there are no answers of {unknown[0]!r} in {evaluated.name!r}; it has {', '.join(answered)}",
            "give one of these to --system",
        )
    if not answered:
        raise UserError(f"the report holds no answers in {evaluated.name!r}", "evaluate again, with answers")
    return tuple(dict.fromkeys(wanted)) or tuple(answered)
