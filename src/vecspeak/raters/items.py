"""Questions that a rater answers, and items: one text about an entity, or two, with the questions asked of them.

People and language models are asked the same questions in the same words. What a rater sees names neither a system
nor, for a model, the entity.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vecspeak.errors import UserError
from vecspeak.evaluation.report import READER, Entity, EvaluatedSet
from vecspeak.foreign import shown as as_shown

Shown = Literal["description", "truth", "a", "b"]
Value = int | str
"""1 to 5 on a scale; left, tie or right for a pair."""

_OF_PAGE = "\n\r\t" + "".join(map(chr, range(0xD800, 0xE000)))
ANSWER_WORDS = 150
TRUTH_WORDS = 300
_HEADS: dict[Shown, str] = {"description": "DESCRIPTION", "truth": "TRUE TEXT", "a": "TEXT A", "b": "TEXT B"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing asked of a text, or of two."""

    key: str
    text: str
    """Heading on the page for people."""
    ask: str
    """Full wording, with the meaning of each value; part of every model's prompt."""
    shows: tuple[Shown, ...]
    """What a model is shown, in this order."""
    values: tuple[Value, ...] = (1, 2, 3, 4, 5)
    replies: tuple[str, ...] = ("1", "2", "3", "4", "5")
    """How a model names the values, one each."""
    ends: tuple[str, str] = ("", "")
    """Meaning of the lowest and the highest value; empty where the values say it themselves."""

    @property
    def is_pair(self) -> bool:
        """Whether two texts are compared."""
        return "a" in self.shows

    @property
    def rule(self) -> str:
        """How to reply, in words for a model."""
        if self.is_pair:
            return "Reply with A, B or tie, and nothing else."
        return "Reply with one digit from 1 to 5, and nothing else."

    def allows(self, value: object) -> bool:
        """Return whether this is one of the values; True, 1.0 and "1" are not the value 1."""
        return type(value) is type(self.values[0]) and value in self.values

    def value_of(self, reply: Value | None) -> Value | None:
        """Convert what `parse` found to a value: "A" is "left", "B" is "right"; None stays None."""
        return None if reply is None else self.values[self.replies.index(str(reply))]

    def for_page(self) -> dict[str, Any]:
        """Plain values for the page that people rate on."""
        return {
            "key": self.key,
            "text": self.text,
            "help": self.ask,
            "values": self.values,
            "ends": self.ends,
        }

    def for_report(self) -> dict[str, Any]:
        """Plain values for a judged report."""
        return {
            "key": self.key,
            "name": self.key,
            "ask": self.ask,
            "shows": self.shows,
            "replies": tuple(sorted(self.replies)),
        }


FLUENT = Question(
    key="fluent",
    text="Is it fluent?",
    ask=(
        "Is the description fluent English? Judge the language alone, not whether it is true or good.\n"
        "1: the words make no sentence. 2: hard to follow. 3: understandable, with clear mistakes.\n"
        "4: good, with small flaws. 5: as a careful native writer would put it."
    ),
    shows=("description",),
    ends=("no sentences", "careful writing"),
)
FITS = Question(
    key="fits",
    text="Does it fit what is true?",
    ask=(
        "Somebody described a thing. The true text says what the thing really is.\n"
        "Does the description fit that thing? Judge what it says, not how well it is written.\n"
        "1: it is about something else. 2: only the broad kind is right. 3: as much is right as is wrong.\n"
        "4: mostly right. 5: right throughout."
    ),
    shows=("truth", "description"),
    ends=("about something else", "right throughout"),
)
SPECIFIC = Question(
    key="specific",
    text="Is it specific?",
    ask=(
        "Somebody described a thing. The true text says what the thing really is.\n"
        "Is the description specific to that thing, or would it be true of many others as well?\n"
        "1: it picks out nothing of this thing. 2: true of a very large group. 3: true of a group of alike things.\n"
        "4: true of few others. 5: it could be of this thing only. What is wrong of this thing is not specific to it."
    ),
    shows=("truth", "description"),
    ends=("true of anything", "of this one only"),
)
BETTER = Question(
    key="better",
    text="Which text is better?",
    ask=(
        "Two people described the same thing. The true text says what the thing really is.\n"
        "Which text describes it better, A or B? Judge what they say, not their length or their order.\n"
        "Where neither is better, it is a tie."
    ),
    shows=("truth", "a", "b"),
    values=("left", "tie", "right"),
    replies=("A", "tie", "B"),
)
QUESTIONS = (FLUENT, FITS, SPECIFIC, BETTER)
SCALES = (FLUENT, FITS, SPECIFIC)
"""Questions about one text, answered from 1 to 5; about two texts it is BETTER."""


def prompt(question: Question, texts: Mapping[Shown, str]) -> str:
    """Format everything that a model reads about one question. Long texts are cut, all by the same rule."""
    parts = [question.ask, "Where a text was cut for its length stands [...]; do not mark it down for that."]
    for shown in question.shows:
        head = _HEADS[shown]
        text = cut(texts[shown], TRUTH_WORDS if shown == "truth" else ANSWER_WORDS)
        text = re.sub(r"={3,}", "=", text)  # no text can close its own frame
        parts.append(f"=== {head} ===\n{text}\n=== END OF {head} ===")
    return "\n\n".join([*parts, question.rule])


def cut(text: str, words: int) -> str:
    """Cut a text to `words` words, with [...] where there were more; an empty text says that it is empty."""
    parts = text.split()
    if not parts:
        return "(nothing was written)"
    return " ".join(parts if len(parts) <= words else [*parts[:words], "[...]"])


def parse(question: Question, reply: str) -> Value | None:
    """Read a model's reply: 1 to 5, or A, B or tie; None where it says nothing or two things.

    Reasoning in <think> marks is ignored. For example "Rating: 4/5" is 4, and "4 or 5" is None.
    """
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
    """One text about an entity, or two next to each other, with the questions that are asked of it."""

    entity: Entity
    systems: tuple[str, ...]
    """Who wrote each text: a system, or a planted kind; of two the left one first. Never shown."""
    texts: tuple[str, ...]
    questions: tuple[Question, ...]
    id: str = ""
    """In a study, 16 hex digits of a hash that only who has the report can make, so it tells a rater nothing."""
    set_index: int = 0
    """Which of the report's sets."""
    asked: str = ""
    """What the systems were asked, with the entity's label in its slots."""
    planted: bool = False
    """Whether it checks the rater rather than a system."""

    @property
    def key(self) -> tuple[int, str]:
        """Set and id of the entity."""
        return self.set_index, self.entity.id

    @property
    def is_pair(self) -> bool:
        """Whether two texts are compared."""
        return len(self.texts) == 2

    def prompt(self, question: Question) -> str:
        """Format the question for a model; it holds texts alone."""
        names: tuple[Shown, ...] = ("a", "b") if self.is_pair else ("description",)
        return prompt(question, {"truth": self.entity.truth, **dict(zip(names, self.texts, strict=True))})

    def for_page(self) -> dict[str, Any]:
        """Plain values that a person may see, cut by the same rule as for a model."""
        return {
            "id": self.id,
            "label": _shown(self.entity.label),
            "truth": _shown(cut(self.entity.truth, TRUTH_WORDS)),
            "question": _shown(self.asked),
            "answers": [_shown(cut(text, ANSWER_WORDS)) for text in self.texts],
            "questions": [question.for_page() for question in self.questions],
        }


def _shown(text: str) -> str:
    """A text as the page shows it: line breaks stay, and so do halves of letters, which JSON has."""
    return as_shown(text, _OF_PAGE)


def text_item(entity: Entity, system: str, text: str, questions: tuple[Question, ...] = SCALES) -> Item:
    """Make the item of one text."""
    return Item(entity=entity, systems=(system,), texts=(text,), questions=questions)


def pair_items(entity: Entity, first: tuple[str, str], second: tuple[str, str]) -> Iterator[Item]:
    """Yield two texts of an entity, each as (who wrote it, text), in both orders."""
    for pair in ((first, second), (second, first)):
        systems, texts = zip(*pair, strict=True)
        yield Item(entity=entity, systems=systems, texts=texts, questions=(BETTER,))


def system_items(entity: Entity, systems: Sequence[str]) -> Iterator[Item]:
    """Yield each system's answer alone; the reader's, if it is among them, also against each other's."""
    answers = entity.answers
    for system in systems:
        if system not in answers:
            continue
        yield text_item(entity, system, answers[system])
        if system != READER and READER in systems and READER in answers:
            yield from pair_items(entity, (READER, answers[READER]), (system, answers[system]))


def resolve_systems(evaluated: EvaluatedSet, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the wanted systems, or all that answered. Raises UserError for one without answers in this set."""
    keys = [system.key for system in evaluated.systems]
    answered = [key for key in keys if any(key in entity.answers for entity in evaluated.entities)]
    unknown = [key for key in wanted if key not in answered]
    if unknown:
        raise UserError(
            f"there are no answers of {unknown[0]!r} in {evaluated.name!r}; it has {', '.join(answered)}",
            "give one of these to `system`",
        )
    if not answered:
        raise UserError(f"the report holds no answers in {evaluated.name!r}", "evaluate again, with answers")
    return tuple(dict.fromkeys(wanted)) or tuple(answered)
