"""Checks: a text is cleaned and looked at before it is kept as a target, or dropped with a reason.

Pure functions of texts. Knows a few hundred words of seven languages, and what a task asks for. Knows no teacher and no
file. Every rule is plain enough to be worked out by hand; none needs a model.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vecspeak.tasks.lessons import Lesson
from vecspeak.tasks.privacy import flagged
from vecspeak.tasks.texts import split_sentences
from vecspeak.teachers.base import Written, trimmed
from vecspeak.teachers.cleaning import entries_of, prose_of
from vecspeak.teachers.languages import is_other_language

NOTHING_KNOWN = "facts do not tell"
EMPTY, REFUSED, LANGUAGE = "empty", "refused", "other language"
SHORT, LONG, FORM = "too short", "too long", "not a list of that many"
REPEATED, LEAKED, ECHOED = "repeats itself", "says the name", "repeats the instruction"
COPIED, DUPLICATE, PROTECTED = "copies the text", "like another target", "says what ratings do not tell"

_REFUSAL = re.compile(
    r"\bas an? (ai|artificial intelligence|(large )?language model)\b"
    r"|\bals (ki|sprachmodell)\b|\ben tant qu['’]ia\b|\bcomo (una )?ia\b"
    r"|\b(i cannot|i can['’]?t|i can not|i['’]?m (unable|not able) to|i am (unable|not able) to|i won['’]?t)\s+"
    r"(be able to |really )?(assist|help|provide|create|write|generate|fulfil|fulfill|comply|summari[sz]e|describe"
    r"|answer|complete|continue|offer|engage|produce|list|make|do (that|this)|access|browse)\b"
    r"|\bi (do not|don['’]?t) have (access|the ability|enough information|any information|personal opinions)\b"
    r"|\bi['’]?m sorry,? but\b|\bi am sorry,? but\b|\bcould you (please )?provide\b|\bplease provide (me|the|more)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
Run = tuple[str, ...]
"""Words that follow each other."""
_SHINGLE, _ALIKE = 3, 0.8
"""Words of a shingle, and the share of shared ones from which two targets are the same."""
_FOURGRAMS, _DISTINCT = 20, 0.75
_FEWEST_TOLD, _BEGINNING, _RUN = 4, 6, 8
"""Words of an instruction that can be repeated at all, of its beginning, and of a run inside it."""
_FORMAL = frozenset(("sentence", "sentences", "numbered", "line"))
"""Words of an instruction about form: no answer has them by accident in such a run."""
_SHORTEST_COPY, _LONGEST_COPY = 12, 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of a text: the cleaned text, or why it is dropped."""

    text: str = ""
    reason: str = ""
    """Empty where the text is good."""


class Kept:
    """Targets that were kept, task by task, so that the next may be compared with all of them."""

    def __init__(self) -> None:
        self._targets: defaultdict[str, list[frozenset[Run]]] = defaultdict(list)
        self._holders: defaultdict[tuple[str, Run], list[int]] = defaultdict(list)

    def add(self, task: str, text: str) -> None:
        """Remember a target."""
        shingles = shingles_of(text)
        for shingle in shingles:
            self._holders[task, shingle].append(len(self._targets[task]))
        self._targets[task].append(shingles)

    def has_like(self, task: str, text: str) -> bool:
        """Whether a target of the task and the text share four of five of their shingles.

        One that does has all but a fifth of the text's shingles, so one of the rarest fifth and one more.
        """
        shingles = shingles_of(text)
        holders = sorted((self._holders.get((task, one), []) for one in shingles), key=len)
        most_missing = int((1 - _ALIKE) * len(holders) + 1e-9)
        near = {number for one in holders[: most_missing + 1] for number in one}
        kept = self._targets[task]
        return any(_alike(shingles, kept[number]) for number in near)


def _alike(one: frozenset[Run], other: frozenset[Run]) -> bool:
    return len(one & other) >= _ALIKE * len(one | other)


def check(
    written: Written,
    lesson: Lesson,
    kept: Kept | None = None,
    *,
    language: str = "en",
    composed: bool = False,
) -> Checked:
    """The cleaned text, or the first reason against it.

    A text `composed` of facts may quote the text and be like another: the same facts are true of many items. `kept`
    is asked and not told: who keeps the text adds it.
    """
    written = trimmed(written, lesson.task)
    if not written.text.strip():
        return Checked(reason=REFUSED if written.refused else NOTHING_KNOWN if composed else EMPTY)
    if written.refused or _REFUSAL.search(written.text):
        return Checked(reason=REFUSED)
    text, reason = _formed(written, lesson)
    if not reason:
        reason = _fault(text, lesson, language) or ("" if composed else _likeness(text, lesson, kept))
    return Checked(reason=reason) if reason else Checked(text=text)


def _formed(written: Written, lesson: Lesson) -> tuple[str, str]:
    """The text in the form and the length that the task asks for, or a reason."""
    task = lesson.task
    said = written.text.encode("utf-8", "replace").decode()  # half a letter cannot be written to a file
    if task.entries:
        entries = entries_of(said, cut=written.cut)[: task.entries]
        if len(entries) < task.entries:
            return "", FORM
        entries = _short_entries(entries, task.words[1])
        text = "\n".join(f"{number}. {entry}" for number, entry in enumerate(entries, 1))
        count = sum(len(words_of(entry)) for entry in entries)
    else:
        text = _within(prose_of(said), task.words[1])
        count = len(words_of(text))
    if not text:
        return "", EMPTY
    return text, SHORT if count < task.words[0] else LONG if count > task.words[1] else ""


def _short_entries(entries: list[str], longest: int) -> list[str]:
    """Entries within so many words all in all: of long ones the first sentence, or what stands before a colon."""
    for shorten in (str, _first_sentence, _before_colon):
        kept = [shorten(entry) for entry in entries]
        if sum(len(words_of(entry)) for entry in kept) <= longest and all(kept):
            return kept
    return entries


def _first_sentence(entry: str) -> str:
    return next(iter(split_sentences(entry)), entry)


def _before_colon(entry: str) -> str:
    return entry.partition(":")[0].strip()


def _within(text: str, longest: int) -> str:
    """Whole sentences while there is room; all of a text whose first sentence is too long."""
    kept, count = list[str](), 0
    for sentence in split_sentences(text):
        count += len(words_of(sentence))
        if kept and count > longest:
            break
        kept.append(sentence)
    return text if len(kept) == len(split_sentences(text)) else " ".join(kept)


def _fault(text: str, lesson: Lesson, language: str) -> str:
    """What is wrong with a text by itself, and beside what it may draw on."""
    if is_other_language(text, language):
        return LANGUAGE
    if repeats_itself(text):
        return REPEATED
    if any(says_name(text, name, lesson.texts) for name in lesson.names):
        return LEAKED
    if (lesson.task.of_person or lesson.task.about == "person") and flagged(text):
        return PROTECTED
    return ""


def _likeness(text: str, lesson: Lesson, kept: Kept | None) -> str:
    """What is wrong with a text that a model wrote: it is somebody else's."""
    if repeats_instruction(text, lesson.task.teacher):
        return ECHOED
    if not _may_quote(lesson) and any(copies(text, source) for source in lesson.texts):
        return COPIED
    if kept is not None and kept.has_like(lesson.task.name, text):
        return DUPLICATE
    return ""


def _may_quote(lesson: Lesson) -> bool:
    """Whether the text's own opening is an honest answer to the task, as its first fact says."""
    return lesson.task.facts[:1] in (("{opening}",), ("{long_opening}",))


def words_of(text: str) -> list[str]:
    """Words in lower case."""
    return [word.replace("’", "'") for word in _WORD.findall(text.casefold())]


def shingles_of(text: str) -> frozenset[Run]:
    """Its runs of three words; of a shorter text, the whole."""
    words = words_of(text)
    return frozenset(_runs(words, min(_SHINGLE, len(words))))


def _runs(words: Sequence[str], length: int) -> Iterator[Run]:
    return (tuple(words[at : at + length]) for at in range(len(words) - length + 1))


def repeats_itself(text: str) -> bool:
    """Whether a sentence or a line comes twice, or many runs of four words do."""
    parts = [words_of(part) for line in text.splitlines() for part in split_sentences(line)]
    parts = [part[1:] if part[:1] and part[0].isdigit() else part for part in parts]
    told = [tuple(part) for part in parts if len(part) >= 3]
    if len(set(told)) < len(told):
        return True
    runs = list(_runs(words_of(text), 4))
    return len(runs) >= _FOURGRAMS and len(set(runs)) < _DISTINCT * len(runs)


def says_name(text: str, name: str, texts: Sequence[str]) -> bool:
    """Whether the text has a name, as it is written, that is not in the texts it may draw on."""
    known = {word for one in texts for word in words_of(one)}
    return any(
        re.search(rf"(?<!\w){re.escape(form)}(?!\w)", text) is not None
        for form in name_forms(name)
        if not set(words_of(form)) <= known
    )


def name_forms(name: str) -> tuple[str, ...]:
    """A name without what stands in brackets, with its article moved to the front or left out, and its main part."""
    plain = " ".join(re.sub(r"\(.*?\)", " ", name).split())
    moved = re.fullmatch(r"(.+), (The|An?|L[ae]s?|Das|De[rn]|Die|El|Il)", plain)
    forms = [f"{moved[2]} {moved[1]}", moved[1]] if moved else [plain]
    main = forms[-1].partition(":")[0].strip()
    if len(main.split()) >= 2:
        forms.append(main)
    return tuple(dict.fromkeys(form for form in forms if len(form) > 1))


def repeats_instruction(text: str, instruction: str) -> bool:
    """Whether the text has the instruction's beginning, or eight words of it that say what form it should have.

    Other words of it may come again: why someone who likes the first would also like the second.
    """
    told = words_of(instruction)
    if len(told) < _FEWEST_TOLD:
        return False
    runs = {run for run in _runs(told, min(_RUN, len(told))) if _FORMAL & set(run)} | {
        tuple(told[:_BEGINNING])
    }
    said = words_of(text)
    return any(run in set(_runs(said, len(run))) for run in runs)


def copies(text: str, source: str) -> bool:
    """Whether half of the text, at least 12 words, or 25 words of it, stand in the source in a row."""
    words = words_of(text)
    length = max(_SHORTEST_COPY, min(_LONGEST_COPY, -(-len(words) // 2)))
    return bool(set(_runs(words, length)) & set(_runs(words_of(source), length)))
