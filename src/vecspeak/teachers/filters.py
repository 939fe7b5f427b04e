"""Checks: a text is cleaned and looked at before it is kept as a target, or dropped with a reason.

Pure functions of texts. Knows a few hundred words of seven languages, and what a task asks for. Knows no teacher and no
file. Every rule is plain enough to be worked out by hand; none needs a model.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vecspeak.tasks.examples import TaskExample
from vecspeak.tasks.privacy import flagged
from vecspeak.tasks.task_set import split_sentences
from vecspeak.teachers.base import Generation, truncated

_TITLES = (
    "summary review description title pitch answer response positive negative balanced neutral version funnier sadder "
    "scarier similarities differences profile critique criticism reason output"
)
_KIND = "|".join(_TITLES.split())
_TITLE = re.compile(rf"^\s*(?:(?:{_KIND}|short|long|a|the|movie)\s*){{1,4}}:\s+", re.IGNORECASE)
_POLITE = r"(?:sure|certainly|of course|absolutely|okay|ok|alright)(?: thing)?"
_OFFER = r"(?:here(?:['’]s| is| are)|below (?:is|are)|the following (?:is|are)|i['’]d be happy to)\b"
_LEAD_IN = re.compile(
    rf"^\s*(?:(?:{_POLITE}[!,.:]\s*)?{_OFFER}"
    rf"(?:[^\n.!?:]*\b(?:{_KIND}|reasons|ways|sentences|characteristics)\b[^\n.!?:]*:\s*|[^\n.!?:]*:\s*\n)"
    rf"|{_POLITE}[!.]\s+)",
    re.IGNORECASE,
)
_BLANK = re.compile(r"\n\s*\n")
"""Blank lines: models write thousands, and what is looked for at the start of each line takes all that follow."""
_HEADING = re.compile(r"^\s*(?:#{1,6}\s+.*|\*\*[^*\n]{1,60}\*\*:?)\s*$", re.MULTILINE)
_ENTRY = re.compile(r"^\s*(?:\(?\d{1,2}[.):]|[-*•–])\s+(.*)$")
_INLINE = re.compile(r"(?:(?<=\s)|^)\d{1,2}[.)]\s+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028\u2029\ufeff\ufffd]")
_QUOTES = (('"', '"'), ("“", "”"), ("«", "»"), ("'", "'"))
_ENDS = (".", "!", "?", "…", '."', '!"', '?"', ".”", "!”", "?”", ".'", ".)", "!)", "?)")


def prose_of(reply: str) -> str:
    """Running text on one line, from the first word of the answer to the end of its last whole sentence."""
    text = _plain(_HEADING.sub("", _BLANK.sub("\n\n", reply)).strip())
    text = _without_lead_in(text)
    text = _unquoted(" ".join(_CONTROL.sub(" ", text).split()))
    return _before_the_loop(_whole(text))


def entries_of(reply: str, *, cut: bool = False) -> list[str]:
    """The entries of a list, each on one line without its number; the last of a reply that was cut is left out."""
    reply = _BLANK.sub("\n\n", reply)
    lines = [line for line in reply.strip().splitlines() if line.strip()]
    entries = _marked(lines)
    if len(entries) < 2:
        pieces = _INLINE.split(reply)
        if len(pieces) > 2:
            entries = pieces[1:]
        elif len(lines) > 1:
            entries = [line for line in lines if not line.rstrip().endswith(":")]
    cleaned = [" ".join(_CONTROL.sub(" ", _plain(entry)).split()).strip(" ;,") for entry in entries]
    found = [entry for entry in cleaned if entry]
    return found[:-1] if cut and found and not found[-1].endswith(_ENDS) else found


def _before_the_loop(text: str) -> str:
    """What stands before the first sentence that was there already: small models end in circles."""
    seen, kept = set[str](), list[str]()
    for sentence in split_sentences(text):
        plain = sentence.casefold()
        if plain in seen:
            return " ".join(kept)
        seen.add(plain)
        kept.append(sentence)
    return text


def _marked(lines: list[str]) -> list[str]:
    """What stands behind numbers or bullets; an indented line goes on with the entry before it."""
    entries: list[str] = []
    for line in lines:
        if match := _ENTRY.match(line):
            entries.append(match[1])
        elif entries and line[:1].isspace():
            entries[-1] += f" {line.strip()}"
        elif entries:
            break
    return entries


def _plain(text: str) -> str:
    """Without marks of bold or italic type, code and headings."""
    text = re.sub(r"(\*\*|__|`)", "", text)
    text = re.sub(r"(?<!\w)\*(\S[^*\n]*\S)\*(?!\w)", r"\1", text)
    return re.sub(r"^\s*(?:#{1,6}|>)\s+", "", text, flags=re.MULTILINE)


def _without_lead_in(text: str) -> str:
    for _ in range(3):
        shorter = _TITLE.sub("", _LEAD_IN.sub("", text, count=1), count=1)
        if shorter == text:
            return text
        text = shorter
    return text


def _unquoted(text: str) -> str:
    for opening, closing in _QUOTES:
        inside = text[1:-1]
        if len(text) > 2 and text[0] == opening and text[-1] == closing and opening not in inside:
            return inside.strip()
    return text


def _whole(text: str) -> str:
    """Without the end that is no whole sentence; as it is where it has one sentence only."""
    if text.endswith(_ENDS):
        return text
    sentences = split_sentences(text)
    return " ".join(sentences[:-1]) if len(sentences) > 1 else text


_WORDS = {
    "en": "the a and of to in is that it with for as was but this not are be they his her by from an or who at no he",
    "de": "der die das und ist nicht ein eine mit für auf dem den von zu sich auch als wird sind aber wenn nur einen",
    "fr": "le la les et est un une des du dans que qui pour pas sur avec il elle ce au plus sont mais par cette",
    "es": "el la los las y es un una de en que por con para se su del no como pero más este esta al son",
    "it": "il lo la gli e è un una di che in per con non si del della sono ma anche come più dei nel questo",
    "pt": "o a os as e é um uma de em que por com para não se do da no na mas mais como são ao",
    "nl": "de het een en van is dat in niet op te met voor zijn die aan er maar om ook als bij wordt naar",
}
FUNCTION_WORDS = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_FEWEST = 8
"""Words below which a text shows no language."""
_AHEAD, _LEAST = 0.1, 0.2
"""So much larger the share of another language's words must be, and so large at least."""
_FOREIGN = 0.3
"""Share of letters that are not Latin from which a text is in none of the languages of the table."""


def is_other_language(text: str, language: str) -> bool:
    """Whether a text is plainly not in the language; always false for a language that is not in the table."""
    if language not in FUNCTION_WORDS:
        return False
    letters = [letter for letter in text if letter.isalpha()]
    if sum(ord(letter) > 0x24F for letter in letters) > _FOREIGN * max(1, len(letters)):
        return True
    words = re.findall(r"[^\W\d_]+", text.casefold())
    if len(words) < _FEWEST:
        return False
    shares = {
        name: sum(word in known for word in words) / len(words) for name, known in FUNCTION_WORDS.items()
    }
    return max(shares.values()) >= max(_LEAST, shares[language] + _AHEAD)


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
class CheckResult:
    """What came of a text: the cleaned text, or why it is dropped."""

    text: str = ""
    reason: str = ""
    """Empty where the text is good."""


class DuplicateIndex:
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


def check_text(
    written: Generation,
    lesson: TaskExample,
    kept: DuplicateIndex | None = None,
    *,
    language: str = "en",
    composed: bool = False,
) -> CheckResult:
    """The cleaned text, or the first reason against it.

    A text `composed` of facts may quote the text and be like another: the same facts are true of many items. `kept`
    is asked and not told: who keeps the text adds it.
    """
    written = truncated(written, lesson.task)
    if not written.text.strip():
        return CheckResult(reason=REFUSED if written.refused else NOTHING_KNOWN if composed else EMPTY)
    if written.refused or _REFUSAL.search(written.text):
        return CheckResult(reason=REFUSED)
    text, reason = _formed(written, lesson)
    if not reason:
        reason = _fault(text, lesson, language) or ("" if composed else _likeness(text, lesson, kept))
    return CheckResult(reason=reason) if reason else CheckResult(text=text)


def _formed(written: Generation, lesson: TaskExample) -> tuple[str, str]:
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


def _fault(text: str, lesson: TaskExample, language: str) -> str:
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


def _likeness(text: str, lesson: TaskExample, kept: DuplicateIndex | None) -> str:
    """What is wrong with a text that a model wrote: it is somebody else's."""
    if repeats_instruction(text, lesson.task.teacher):
        return ECHOED
    if not _may_quote(lesson) and any(copies(text, source) for source in lesson.texts):
        return COPIED
    if kept is not None and kept.has_like(lesson.task.name, text):
        return DUPLICATE
    return ""


def _may_quote(lesson: TaskExample) -> bool:
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
