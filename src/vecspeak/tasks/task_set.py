"""Task sets: tasks as data. A readable file says what is asked, what a teacher is told, and how answers are scored.

The tasks are the paper's: 24 about movies, and the user profile. Wordings that its figures do not show are ours.
"""

import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from vecspeak.errors import UserError
from vecspeak.model.prompt import PromptTemplate
from vecspeak.tasks.names import CAN_BE_KNOWN, DEFAULT, FOLDER, NAMED, SHIPPED, names_in, resolved
from vecspeak.tasks.privacy import asked_for, shown_to_say

TABLES = ("words", "facts", "rename", "tasks")
_PLAIN = ("name", "extends", "without", "language", "text_letters")
_COLUMNS = ("kinds", "era", "maker")
"""What is known of an item by columns."""
_NAME = re.compile(r"\w[\w-]*")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_RESERVED = "all"
"""What commands call all tasks."""
_LETTERS = (40, 100_000)
_MOST_WORDS, _MOST_ENTRIES = 10_000, 100
_LISTS = ("prompts", "held_out", "facts", "score")


def check_set(name: str, values: dict[str, Any]) -> None:
    """Raise UserError for a key that no set has, and for a value that is not of its kind; missing tables are added."""
    if unknown := [key for key in values if key not in {*TABLES, *_PLAIN}]:
        raise UserError(f"the task set {name} has {unknown[0]!r}, which no set has", "see the set items.toml")
    for table in TABLES:
        if not isinstance(values.setdefault(table, {}), dict):
            raise UserError(f"{table} of the task set {name} is no table", f"write [{table}]")
    for task, value in values["tasks"].items():
        if not isinstance(value, dict):
            raise UserError(f"the task {task} of the set {name} is no table", f"write [tasks.{task}]")
    if not is_list(values.get("without", [])):
        raise UserError(f"without of the task set {name} is no list of names", 'write without = ["funnier"]')
    for key, value in {**values["rename"], "extends": values.get("extends", "")}.items():
        if not isinstance(value, str):
            raise UserError(f"{key} of the task set {name} is no text", f'write {key} = "a name"')
    _check_fact_names(name, values["facts"])
    _check_plain(name, values)
    if "extends" not in values and (idle := [key for key in ("without", "rename") if values.get(key)]):
        raise UserError(
            f"{idle[0]} of the task set {name} changes another set, and it extends none",
            'write extends = "items" at its top, or leave it out',
        )


def _check_fact_names(name: str, facts: Mapping[str, Any]) -> None:
    for key, value in facts.items():
        if not is_list(value):
            raise UserError(f"facts.{key} of the set {name} is no list", f'write {key} = ["column"]')
        if key not in _COLUMNS:
            raise UserError(
                f"facts of the task set {name} has {key!r}; allowed are {', '.join(_COLUMNS)}", "correct it"
            )


def _check_plain(name: str, values: Mapping[str, Any]) -> None:
    language, letters = values.get("language", "en"), values.get("text_letters", _LETTERS[0])
    if not (isinstance(language, str) and _LANGUAGE.fullmatch(language)):
        raise UserError(
            f"language of the task set {name} must be a code of two or three small letters, got {language!r}",
            'write language = "en"',
        )
    if not is_whole(letters, *_LETTERS):
        raise UserError(
            f"text_letters of the task set {name} must be a whole number from {_LETTERS[0]} to {_LETTERS[1]:,}, "
            f"got {letters!r}",
            "write text_letters = 700",
        )
    check_words(values["words"], f"words of the task set {name}", 'write item = "jacket"')


def check_words(words: Mapping[str, Any], of: str, hint: str) -> None:
    """Raise UserError for a word that cannot stand in a sentence: none, no text, or one with marks that sets use."""
    for key, word in words.items():
        if not isinstance(word, str) or not word.strip() or not word.isprintable() or set(word) & set("{}<>"):
            raise UserError(
                f"{of}: {key} must be a word on one line without any of {{}}<>, got {word!r}", hint
            )


def check_task(name: str, values: Mapping[str, Any]) -> None:
    """Raise ValueError for a name that cannot be typed, and for a value of a task that is not of its kind."""
    if not _NAME.fullmatch(name) or name == _RESERVED:
        raise ValueError(f"a task is called {name!r}: a name has letters, digits, - and _, and is not all")
    for key in _LISTS:
        if not is_list(values.get(key, [])):
            raise ValueError(f"{key} of the task {name} is no list of texts")
    for key in ("about", "teacher", "start"):
        if key in values and not isinstance(values[key], str):
            raise ValueError(f"{key} of the task {name} is no text, got {values[key]!r}")
    if not values["teacher"].strip():
        raise ValueError(f"teacher of the task {name} is empty; write what a teacher is told")
    if not isinstance(values.get("of_person", False), bool):
        raise ValueError(f"of_person of the task {name} is true or false, got {values['of_person']!r}")
    score = values.get("score", ["sc"])
    if not score or len(set(score)) < len(score):
        raise ValueError(f"score of the task {name} must name each of its scores once, got {score!r}")
    _check_length(name, values)


def _check_length(name: str, values: Mapping[str, Any]) -> None:
    words, entries = values.get("words", [3, 150]), values.get("entries", 0)
    is_pair = isinstance(words, list) and len(words) == 2
    if not (is_pair and all(is_whole(one, 1, _MOST_WORDS) for one in words) and words[0] <= words[1]):
        raise ValueError(
            f"{name}: words must be [shortest, longest], whole numbers from 1 to {_MOST_WORDS:,}, got {words!r}"
        )
    if not is_whole(entries, 0, min(_MOST_ENTRIES, words[1])):
        raise ValueError(
            f"{name}: entries must be a whole number from 0 to {_MOST_ENTRIES}, and no more than its longest "
            f"target has words, got {entries!r}"
        )


def is_list(value: object) -> bool:
    """Whether it is a list of texts."""
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def is_whole(value: object, low: int, high: int) -> bool:
    """Whether it is a whole number between the two; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


About = Literal["item", "pair", "neighbour", "person"]
Score = Literal["sc", "bc", "retrieval", "attributes"]
_SLOTS: dict[str, tuple[str, ...]] = {
    "item": ("x",),
    "pair": ("x", "y"),
    "neighbour": ("x", "y"),
    "person": ("x",),
}
_WORD = re.compile(r"<(a:)?([A-Za-z_]+)>")
_MARKED = re.compile(r"<[^<>\s]+>")
"""What looks like a word of the set, and would stay in the text as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A question about vectors: its wordings, what a teacher is told, what a target may look like."""

    name: str
    about: About
    """What stands in the slots: an item; two; an item and its nearest neighbour; a person."""
    prompts: tuple[str, ...]
    """Wordings that training asks; the first is the one that is asked by name."""
    teacher: str
    """What a teacher is told after it was shown the texts."""
    start: str = ""
    """How a target begins, where the teacher can be made to begin so: it keeps a small model on its task."""
    held_out: tuple[str, ...] = ()
    """Wordings that training never asks."""
    words: tuple[int, int] = (3, 150)
    """Shortest and longest target, in words."""
    entries: int = 0
    """Entries of a list; 0 is running text."""
    of_person: bool = False
    """Whether targets speak of a person, so that they may not state what `privacy.toml` lists."""
    facts: tuple[str, ...] = ()
    """Sentences of a target made without a model; empty where only a teacher can know."""
    score: tuple[Score, ...] = ("sc",)

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the slots, in order."""
        return _SLOTS[self.about]

    @property
    def question(self) -> str:
        """The wording that is asked when the task is called by its name."""
        return self.prompts[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSet:
    """Tasks of one domain, its words filled in."""

    name: str
    tasks: Mapping[str, Task]
    words: Mapping[str, str]
    """The domain's words: item, items, person, people, use, text, author."""
    facts: Mapping[str, tuple[str, ...]]
    """Columns of a table that may hold what is known of an item, the first that is there counts."""
    language: str = "en"
    text_letters: int = 700
    """So much of a text is shown to a teacher."""
    source: str = ""
    """What it was loaded as: a name of the package, or a path."""

    @property
    def item_words(self) -> tuple[str, ...]:
        """What an item is called, and several."""
        return tuple(self.words[name] for name in ("item", "items") if name in self.words)

    @property
    def own_words(self) -> frozenset[str]:
        """Words for items and people in lower case: every text of the domain may have them, so they tell nothing."""
        people = (self.words[name] for name in ("person", "people") if name in self.words)
        return frozenset(word for name in (*self.item_words, *people) for word in name.casefold().split())

    def task(self, name: str) -> Task:
        """The task of that name. Raises UserError for an unknown one."""
        if name not in self.tasks:
            raise UserError(
                f"no task {name!r} in the set {self.name!r}; it has {', '.join(self.tasks)}",
                self._where(name),
            )
        return self.tasks[name]

    def _where(self, name: str) -> str:
        """Where to find a task that this set lacks: another set of the package that has it, or this one's list."""
        for other in (DEFAULT, *SHIPPED):
            if other != self.source and name in load_task_set(other).tasks:
                return f"it is in the set {other}: add `tasks={other}`"
        return f"`load_task_set({self.source or self.name})` names them all"


def load_task_set(name: str = DEFAULT, words: Mapping[str, str] | None = None) -> TaskSet:
    """A set of the package by its name, or a .toml file by its path; `words` replace its own.

    Where `item` or `person` is replaced and its plural is not, that becomes the regular one. Raises UserError for an
    unknown set and for a file that is not of the form.
    """
    values = _whole(name)
    known: dict[str, str] = dict(values["words"])
    unknown = [key for key in words or {} if key not in known]
    if unknown:
        raise UserError(
            f"the set {values['name']!r} has no word {unknown[0]!r}; it has {', '.join(known)}",
            "give words={'item': 'jacket'}, for example",
        )
    check_words(words or {}, "`words`", "for example words={'item': 'jacket'}")
    known |= _plurals(known, words or {}) | dict(words or {})
    try:
        return _task_set(values, known, name)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UserError(
            f"the task set {name} is not of the form: {error}", "see the set items.toml"
        ) from error


def _plurals(known: Mapping[str, str], words: Mapping[str, str]) -> dict[str, str]:
    """Regular plurals of new words, so that nobody reads of one jacket and of two items."""
    pairs = {"item": "items", "person": "people"}
    return {
        many: plural(words[one])
        for one, many in pairs.items()
        if one in words and many in known and many not in words
    }


def plural(word: str) -> str:
    """The regular English plural of a word."""
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return word + ("es" if re.search(r"(s|x|z|ch|sh)$", word) else "s")


def split_words(given: Sequence[str]) -> dict[str, str]:
    """`item=jacket` as a person types it. Raises UserError for what has no name or no word."""
    words = {}
    for one in given:
        name, equals, word = one.partition("=")
        if not equals or not name.strip() or not word.strip():
            raise UserError(f"`words` takes NAME=WORD, got {one!r}", "for example words={'item': 'jacket'}")
        words[name.strip()] = word.strip()
    return words


def _whole(name: str) -> dict[str, Any]:
    """All tables of a set. Raises UserError where it has no name."""
    values = _values(name, ())
    if not isinstance(values.get("name"), str) or not values["name"].strip():
        raise UserError(f"the task set {name} has no name", 'write name = "jackets", for example, at its top')
    return values


def _values(name: str, inside: tuple[str, ...]) -> dict[str, Any]:
    """The tables of a set, with those of the set that it extends underneath."""
    if resolved(name) in inside:
        raise UserError(f"the task sets {', '.join(inside)} extend each other", "let one stand by itself")
    values = _read(name)
    check_set(name, values)
    if "extends" not in values:
        return values
    below = _values(_beside(name, str(values["extends"])), (*inside, resolved(name)))
    return _extended(below, values)


def _beside(name: str, other: str) -> str:
    """A set that a file extends: one of the package, or a file beside it."""
    return other if other in SHIPPED else str(Path(name).parent / other)


def _read(name: str) -> dict[str, Any]:
    path = FOLDER / f"{name}.toml" if name in SHIPPED else Path(name)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin a file with a mark
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"the task set {name} is not TOML: {error}", "correct it") from error
    except (OSError, ValueError) as error:  # a name that no file can have is a ValueError
        raise UserError(
            f"no task set {name!r}: neither one of {', '.join(SHIPPED)} nor a .toml file", "correct `tasks`"
        ) from error


def _extended(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    tasks = {name: dict(task) for name, task in below["tasks"].items()}
    for name in above.get("without", []):
        if tasks.pop(name, None) is None:
            raise UserError(f"without names {name!r}, which {below['name']!r} lacks", "correct the task set")
    for name, task in above["tasks"].items():
        tasks[name] = tasks.get(name, {}) | task
    renamed = {above["rename"].get(name, name): task for name, task in tasks.items()}
    if unknown := [name for name in above["rename"] if name not in tasks]:
        raise UserError(f"rename names {unknown[0]!r}, which {below['name']!r} lacks", "correct the task set")
    if len(renamed) < len(tasks):
        raise UserError(
            f"rename of the task set {above.get('name', below['name'])} gives two tasks one name",
            "correct the task set",
        )
    both = {key: below[key] | above[key] for key in ("words", "facts")}
    return (
        below | {key: value for key, value in above.items() if key not in TABLES} | both | {"tasks": renamed}
    )


def _task_set(values: dict[str, Any], words: dict[str, str], source: str) -> TaskSet:
    tasks = {name: _task(name, task, words) for name, task in values["tasks"].items()}
    if not tasks:
        raise ValueError("it has no tasks")
    facts = {key: tuple(columns) for key, columns in values["facts"].items()}
    return TaskSet(
        name=values["name"],
        source=source,
        tasks=tasks,
        words=words,
        facts=facts,
        language=values.get("language", "en"),
        text_letters=values.get("text_letters", 700),
    )


def _task(name: str, values: dict[str, Any], words: Mapping[str, str]) -> Task:
    known = {field.name: field for field in fields(Task)}
    unknown = [key for key in values if key not in known or key == "name"]
    missing = [
        key for key, field in known.items() if field.default is MISSING and key not in {**values, "name": 0}
    ]
    if unknown or missing:
        what = f"has {unknown[0]!r}" if unknown else f"lacks {missing[0]!r}"
        raise ValueError(f"the task {name} {what}; a task has {', '.join(k for k in known if k != 'name')}")
    check_task(name, values)
    filled = {key: _filled(value, words) for key, value in values.items()}
    task = Task(name=name, **filled)
    _check(task)
    return task


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return tuple(_filled(one, words) for one in value)
    if not isinstance(value, str):
        return value
    filled = fill_words(value, words)
    if left := _MARKED.search(filled):
        raise ValueError(f"{left[0]} is no word of the set; write <item>, <Item> or <a:item>")
    return filled


def fill_words(text: str, words: Mapping[str, str]) -> str:
    """`<item>` as the domain's word, `<Item>` with a capital, `<a:item>` with its article. Raises ValueError."""

    def fill(match: re.Match[str]) -> str:
        key = match[2].casefold()
        if key not in words:
            raise ValueError(f"<{match[2]}> is no word of the set; it has {', '.join(words)}")
        word = words[key]
        word = word[:1].upper() + word[1:] if match[2][0].isupper() else word
        return f"{article(word)} {word}" if match[1] else word

    return _WORD.sub(fill, text)


def article(word: str) -> str:
    """`a` or `an`, by the first letter."""
    return "an" if word[:1].casefold() in "aeiou" else "a"


def _check(task: Task) -> None:
    """Raise ValueError for what no task may be."""
    if task.about not in get_args(About):
        raise ValueError(f"{task.name} is about {task.about!r}; allowed are {', '.join(get_args(About))}")
    if unknown := [score for score in task.score if score not in get_args(Score)]:
        raise ValueError(f"{task.name} is scored by {unknown[0]!r}; allowed are {', '.join(get_args(Score))}")
    if not task.prompts:
        raise ValueError(f"{task.name} has no prompts")
    for prompt in (*task.prompts, *task.held_out):
        template = PromptTemplate(prompt)
        if set(template.slots) != set(task.slots):
            raise ValueError(f"{task.name}: {prompt!r} must have the slots {', '.join(task.slots)}")
        if any(brace in piece for piece in template.segments if piece for brace in "{}"):
            raise ValueError(f"{task.name}: {prompt!r} has a brace that is no slot")
    if set(task.prompts) & set(task.held_out):
        raise ValueError(f"{task.name} holds out a wording that it trains on")
    _check_facts(task)
    if task.about == "person":
        _check_privacy(task)


def _check_facts(task: Task) -> None:
    """Raise ValueError where a sentence is none, or names what is never known: it would be left out in silence."""
    for sentence in task.facts:
        if not sentence.strip() or set(NAMED.sub("", sentence)) & set("{}"):
            raise ValueError(
                f"facts of {task.name} have {sentence!r}; a sentence names what is known as {{kinds}}"
            )
    known = CAN_BE_KNOWN[task.about]
    if unknown := [name for sentence in task.facts for name in names_in(sentence) if name not in known]:
        raise ValueError(
            f"facts of {task.name} name {{{unknown[0]}}}; known of its kind are {', '.join(known)}"
        )


def _check_privacy(task: Task) -> None:
    """Raise ValueError where a wording or the teacher's instruction asks for what ratings do not tell."""
    texts = {text: asked_for(text) for text in (*task.prompts, *task.held_out)}
    for text, found in {**texts, task.teacher: shown_to_say(task.teacher)}.items():
        if found:
            raise ValueError(
                f"{task.name} asks for {' and '.join(found)} of a person, which ratings do not tell: {text!r}"
            )


_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]?\s+(?=[\"'(]?[A-Z0-9])")
_ABBREVIATION = re.compile(r"\b(Mr|Mrs|Ms|Dr|St|Jr|Sr|vs|Lt|Col|Gen|Capt|Sgt|Prof|No|[A-Z])\.$")
_WORD_PATTERN = re.compile(r"[A-Za-z][A-Za-z'-]{2,}")


@cache
def stop_words() -> frozenset[str]:
    """Words that carry no topic (scikit-learn's English list and a few of prose)."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    prose = "named called using used just like new old way make makes made get gets going does did one two"
    prose += " tells told says said asks takes taken begins finds comes goes wants tries film movie package"
    return frozenset(ENGLISH_STOP_WORDS) | frozenset(prose.split())


def split_sentences(text: str) -> list[str]:
    """Sentences in order; a split after a title or an initial (`Dr.`, `J.`) is undone."""
    sentences: list[str] = []
    for part in _SENTENCE_END.split(text):
        if sentences and _ABBREVIATION.search(sentences[-1]):
            sentences[-1] += " " + part
        elif part.strip():
            sentences.append(part.strip())
    return sentences


def opening(text: str, max_chars: int) -> str:
    """Whole sentences from the start while they fit in `max_chars`; a long first one is cut at a word."""
    retained = ""
    for sentence in split_sentences(text):
        longer = f"{retained} {sentence}".strip()
        if len(longer) > max_chars:
            break
        retained = longer
    return retained or (text if len(text) <= max_chars else text[:max_chars].rsplit(" ", 1)[0] + " ...")


def content_words(text: str) -> list[str]:
    """Lower-case words that are not stop words, in order, possessives dropped."""
    words = (re.sub(r"'s?$", "", word.casefold()) for word in _WORD_PATTERN.findall(text))
    return [word for word in words if len(word) > 2 and word not in stop_words()]


def join_words(words: tuple[str, ...]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


@dataclass(frozen=True, slots=True)
class Keywords:
    """Inverse document frequencies of a corpus, and the keywords of a text by tf-idf."""

    weights: Mapping[str, float]

    @classmethod
    def fit(cls, texts: Iterable[str], min_count: int = 5) -> "Keywords":
        """Count in how many texts each word stands; words in fewer than `min_count` texts are dropped."""
        counts: Counter[str] = Counter()
        total = 0
        for text in texts:
            counts.update(set(content_words(text)))
            total += 1
        return cls({w: math.log((1 + total) / (1 + n)) for w, n in counts.items() if n >= min_count})

    def of(self, text: str, limit: int = 5) -> tuple[str, ...]:
        """The `limit` words of highest tf-idf, in the order in which the text has them."""
        counts = Counter(word for word in content_words(text) if word in self.weights)
        ranked = sorted(counts, key=lambda w: -math.sqrt(counts[w]) * self.weights[w])[:limit]
        return tuple(word for word in counts if word in ranked)
