"""Filters: a text is cleaned and checked before it becomes a target, or dropped with a reason.

Every rule is plain enough to be worked out by hand; none needs a model.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vecspeak.tasks.examples import TaskExample
from vecspeak.tasks.privacy import flagged
from vecspeak.tasks.replies import entries_of, prose_of
from vecspeak.tasks.task_set import split_sentences
from vecspeak.teachers.base import Generation, truncated

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
"""Minimum lead of another language's share of function words, and minimum of that share."""
_FOREIGN = 0.3
"""Share of letters beyond Latin above which a text is in none of these languages."""


def is_other_language(text: str, language: str) -> bool:
    """Return whether a text is plainly in another language; False for a language that is not in the table."""
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
"""Consecutive words."""
_SHINGLE, _ALIKE = 3, 0.8
"""Words of a shingle, and the Jaccard similarity from which two targets are the same."""
_FOURGRAMS, _DISTINCT = 20, 0.75
_FEWEST_GIVEN, _BEGINNING, _RUN = 4, 6, 8
"""Minimum words of an instruction, words of its beginning, and words of a run inside it."""
_FORMAL = frozenset(("sentence", "sentences", "numbered", "line"))
"""Words about form: no answer has them by accident in such a run."""
_SHORTEST_COPY, _LONGEST_COPY = 12, 25


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The cleaned text, or the reason why it is dropped."""

    text: str = ""
    reason: str = ""
    """Empty where the text is good."""


class DuplicateIndex:
    """Targets by task, with an inverted index of their shingles, to find near duplicates."""

    def __init__(self) -> None:
        self._targets: defaultdict[str, list[frozenset[Run]]] = defaultdict(list)
        self._holders: defaultdict[tuple[str, Run], list[int]] = defaultdict(list)

    def add(self, task: str, text: str) -> None:
        """Add a target."""
        shingles = shingles_of(text)
        for shingle in shingles:
            self._holders[task, shingle].append(len(self._targets[task]))
        self._targets[task].append(shingles)

    def has_like(self, task: str, text: str) -> bool:
        """Return whether some target of the task shares four of five of its shingles with the text."""
        shingles = shingles_of(text)
        # A duplicate lacks at most a fifth of the text's shingles, so it has one of the rarest fifth and one more.
        holders = sorted((self._holders.get((task, one), []) for one in shingles), key=len)
        most_missing = int((1 - _ALIKE) * len(holders) + 1e-9)
        near = {number for one in holders[: most_missing + 1] for number in one}
        others = (self._targets[task][number] for number in near)
        return any(len(shingles & other) >= _ALIKE * len(shingles | other) for other in others)


def check_text(
    written: Generation,
    example: TaskExample,
    index: DuplicateIndex | None = None,
    *,
    language: str = "en",
    composed: bool = False,
) -> CheckResult:
    """Clean a text; returns it, or the first reason against it.

    A text `composed` of facts may quote its source and be like another: the same facts are true of many items. The
    index is only read: whoever accepts the text adds it.
    """
    written = truncated(written, example.task)
    if not written.text.strip():
        return CheckResult(reason=REFUSED if written.refused else NOTHING_KNOWN if composed else EMPTY)
    if written.refused or _REFUSAL.search(written.text):
        return CheckResult(reason=REFUSED)
    text, reason = _formed(written, example)
    if not reason:
        reason = _fault(text, example, language) or ("" if composed else _likeness(text, example, index))
    return CheckResult(reason=reason) if reason else CheckResult(text=text)


def _formed(written: Generation, example: TaskExample) -> tuple[str, str]:
    """Return the text in the form and length that the task asks for, and a reason against it or nothing."""
    task = example.task
    said = written.text.encode("utf-8", "replace").decode()  # half a letter cannot be written to a file
    if task.entries:
        entries = entries_of(said, cut=written.cut)[: task.entries]
        if len(entries) < task.entries:
            return "", FORM
        # Of long entries the first sentence is enough, or what stands before a colon.
        first = [next(iter(split_sentences(entry)), entry) for entry in entries]
        heads = [entry.partition(":")[0].strip() for entry in entries]
        shorter = (
            given for given in (entries, first, heads) if _count(given) <= task.words[1] and all(given)
        )
        entries = next(shorter, entries)
        text = "\n".join(f"{number}. {entry}" for number, entry in enumerate(entries, 1))
        count = _count(entries)
    else:
        text = _within(prose_of(said), task.words[1])
        count = len(words_of(text))
    if not text:
        return "", EMPTY
    return text, SHORT if count < task.words[0] else LONG if count > task.words[1] else ""


def _count(texts: Sequence[str]) -> int:
    return sum(len(words_of(text)) for text in texts)


def _within(text: str, longest: int) -> str:
    """Return the leading sentences of at most so many words; the first one however long it is."""
    within, count = list[str](), 0
    for sentence in split_sentences(text):
        count += len(words_of(sentence))
        if within and count > longest:
            break
        within.append(sentence)
    return text if len(within) == len(split_sentences(text)) else " ".join(within)


def _fault(text: str, example: TaskExample, language: str) -> str:
    """Return what is wrong with a text by itself, and compared with what it may draw on."""
    if is_other_language(text, language):
        return LANGUAGE
    if repeats_itself(text):
        return REPEATED
    if any(says_name(text, name, example.texts) for name in example.names):
        return LEAKED
    if (example.task.of_person or example.task.about == "person") and flagged(text):
        return PROTECTED
    return ""


def _likeness(text: str, example: TaskExample, index: DuplicateIndex | None) -> str:
    """Return what a model's text repeats: the instruction, its source, or another target."""
    if repeats_instruction(text, example.task.teacher):
        return ECHOED
    # Where the first fact is the text's own opening, quoting it is an honest answer.
    may_quote = example.task.facts[:1] in (("{opening}",), ("{long_opening}",))
    if not may_quote and any(copies(text, source) for source in example.texts):
        return COPIED
    return DUPLICATE if index is not None and index.has_like(example.task.name, text) else ""


def words_of(text: str) -> list[str]:
    """Return the words in lower case."""
    return [word.replace("’", "'") for word in _WORD.findall(text.casefold())]


def shingles_of(text: str) -> frozenset[Run]:
    """Return the runs of three words; of a shorter text, the whole."""
    words = words_of(text)
    return frozenset(_runs(words, min(_SHINGLE, len(words))))


def _runs(words: Sequence[str], length: int) -> Iterator[Run]:
    return (tuple(words[at : at + length]) for at in range(len(words) - length + 1))


def repeats_itself(text: str) -> bool:
    """Return whether a sentence or a line comes twice, or many runs of four words do."""
    parts = [words_of(part) for line in text.splitlines() for part in split_sentences(line)]
    parts = [part[1:] if part[:1] and part[0].isdigit() else part for part in parts]
    long = [tuple(part) for part in parts if len(part) >= 3]
    if len(set(long)) < len(long):
        return True
    runs = list(_runs(words_of(text), 4))
    return len(runs) >= _FOURGRAMS and len(set(runs)) < _DISTINCT * len(runs)


def says_name(text: str, name: str, texts: Sequence[str]) -> bool:
    """Return whether the text has the name, as it is written, and the texts that it may draw on do not."""
    known = {word for one in texts for word in words_of(one)}
    return any(
        re.search(rf"(?<!\w){re.escape(form)}(?!\w)", text) is not None
        for form in name_forms(name)
        if not set(words_of(form)) <= known
    )


def name_forms(name: str) -> tuple[str, ...]:
    """Return forms of a name: without brackets, with its article in front and without it, and its main part."""
    plain = " ".join(re.sub(r"\(.*?\)", " ", name).split())
    moved = re.fullmatch(r"(.+), (The|An?|L[ae]s?|Das|De[rn]|Die|El|Il)", plain)
    forms = [f"{moved[2]} {moved[1]}", moved[1]] if moved else [plain]
    main = forms[-1].partition(":")[0].strip()
    if len(main.split()) >= 2:
        forms.append(main)
    return tuple(dict.fromkeys(form for form in forms if len(form) > 1))


def repeats_instruction(text: str, instruction: str) -> bool:
    """Return whether the text has the instruction's beginning, or eight words of it about its form.

    Other words of it may come again: why someone who likes the first would also like the second.
    """
    given = words_of(instruction)
    if len(given) < _FEWEST_GIVEN:
        return False
    runs = {run for run in _runs(given, min(_RUN, len(given))) if _FORMAL & set(run)} | {
        tuple(given[:_BEGINNING])
    }
    said = words_of(text)
    return any(run in set(_runs(said, len(run))) for run in runs)


def copies(text: str, source: str) -> bool:
    """Return whether the source has half of the text in a row: at least 12 words, at most 25."""
    words = words_of(text)
    length = max(_SHORTEST_COPY, min(_LONGEST_COPY, -(-len(words) // 2)))
    return bool(set(_runs(words, length)) & set(_runs(words_of(source), length)))
