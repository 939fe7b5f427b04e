"""Task sets: tasks as data. A readable file says what is asked, what a teacher is told, and how answers are scored.

The tasks are the paper's: 24 about movies, and the user profile. Wordings that its figures do not show are ours.
"""

import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from vecspeak.bounds import check_nesting, read_small
from vecspeak.errors import UserError, did_you_mean
from vecspeak.model.prompt import PromptTemplate
from vecspeak.tasks.names import CAN_BE_KNOWN, DEFAULT, FOLDER, NAMED, SHIPPED, names_in, resolved
from vecspeak.tasks.privacy import asked_for, shown_to_say

About = Literal["item", "pair", "neighbour", "person"]
Score = Literal["sc", "bc", "retrieval", "attributes"]
_NumWords = Annotated[int, Meta(ge=1, le=10_000)]
_COLUMNS = ("kinds", "era", "maker")
"""What is known of an item by columns."""
_TABLES = ("words", "facts", "rename", "tasks")
_NAME = re.compile(r"\w[\w-]*")
_RESERVED = "all"
"""What commands call all tasks."""
T = TypeVar("T")
_SLOTS: dict[str, tuple[str, ...]] = {
    "item": ("x",),
    "pair": ("x", "y"),
    "neighbour": ("x", "y"),
    "person": ("x",),
}
_MOST_BELOW = 16
"""Sets that one may extend, each extending the next."""
_WORD = re.compile(r"<(a:)?([A-Za-z_]+)>")
_MARKED = re.compile(r"<[^<>\s]+>")
"""What looks like a word of the set, and would stay in the text as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A question about vectors: its wordings, a teacher's instructions, what a target may look like.

    >>> task = vs.task_set("items").task("summary")
    >>> task.name, task.about, task.prompts[0]
    ('summary', 'item', 'Summarize the item {x}.')
    """

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
    words: tuple[_NumWords, _NumWords] = (3, 150)
    """Shortest and longest target, in words."""
    entries: Annotated[int, Meta(ge=0, le=100)] = 0
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
    """Tasks of one domain, its words filled in.

    >>> shop = vs.task_set("items", {"item": "jacket"})
    >>> shop.task("summary").prompts[0]
    'Summarize the jacket {x}.'
    """

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
        return f"`VecSpeak.task_set('{self.source or self.name}')` names them all"


class _SetFile(msgspec.Struct):
    """The top of a file, before the set that it extends is put underneath."""

    name: str = ""
    extends: str | msgspec.UnsetType = msgspec.UNSET
    without: tuple[str, ...] = ()
    language: Annotated[str, Meta(pattern=r"^[a-z]{2,3}\Z")] = "en"
    text_letters: Annotated[int, Meta(ge=40, le=100_000)] = 700
    words: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    rename: dict[str, Any] = {}
    tasks: dict[str, Any] = {}


_MUST = {
    "name": ("a text", '"jackets"'),
    "extends": ("a text", '"items"'),
    "without": ("a list of names", '["funnier"]'),
    "language": ("a code of two or three small letters", '"en"'),
    "text_letters": ("a whole number from 40 to 100,000", "700"),
    **dict.fromkeys(_TABLES, ("a table", '{ summary = "in_short" }')),
}
_ENTRIES: Mapping[str, tuple[Any, str, str]] = {
    "words": (str, "a word on one line without any of {}<>", '"jacket"'),
    "rename": (str, "a text", '"in_short"'),
    "facts": (tuple[str, ...], "a list of columns", '["column"]'),
    "tasks": (dict, "a table", '{ about = "item" }, or a table of its own'),
}
"""What the entries of a file's tables are."""
_TASK_MUST = {
    "about": (f"one of {', '.join(get_args(About))}", '"item"'),
    **dict.fromkeys(("prompts", "held_out", "facts"), ("a list of texts", '["Describe {x}."]')),
    **dict.fromkeys(("teacher", "start"), ("a text", '"Describe it."')),
    "words": ("[shortest, longest], whole numbers from 1 to 10,000", "[3, 150]"),
    "entries": ("a whole number from 0 to 100, and no more than its longest target has words", "5"),
    "of_person": ("true or false", "true"),
    "score": (f"a list of {', '.join(get_args(Score))}, each once", '["sc"]'),
}


def _must(place: str, key: str, must: tuple[str, str], value: object) -> UserError:
    return UserError(f"{place} must be {must[0]}, got {value!r}", f"write {key} = {must[1]}")


def _converted(values: dict[str, Any], kind: type[T], must: Mapping[str, tuple[str, str]], of: str) -> T:
    """Convert a table by its types; UserError names the key, what it must be and what it is."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        # "Expected `array`, got `str` - at `$.without`": the words are ours, the place is msgspec's
        key = re.findall(r"\w+", str(error).partition(" - at `$.")[2])[0]
        raise _must(f"{key} of {of}", key, must[key], values[key]) from error


def _check_file(name: str, values: dict[str, Any]) -> None:
    """Raise UserError for a key that no set has, and for a value that is not of its kind."""
    of = f"the task set {name}"
    for key in values:
        if key not in _MUST:
            hint = did_you_mean(key, _MUST, "see the set items.toml")
            raise UserError(f"{of} has {key!r}, which no set has", hint)
    file = _converted(values, _SetFile, _MUST, of)
    for table, (kind, *must) in _ENTRIES.items():
        for key, value in getattr(file, table).items():
            try:
                msgspec.convert(value, kind)
            except msgspec.ValidationError as error:
                place = f"the task {key}" if table == "tasks" else f"{table}.{key}"
                raise _must(f"{place} of {of}", key, (must[0], must[1]), value) from error
    check_words(file.words, f"words of {of}", 'write item = "jacket"')
    if unknown := [key for key in file.facts if key not in _COLUMNS]:
        raise UserError(f"facts of {of} has {unknown[0]!r}; allowed are {', '.join(_COLUMNS)}", "correct it")
    if file.extends is msgspec.UNSET and (file.without or file.rename):
        raise UserError(
            f"{'without' if file.without else 'rename'} of {of} changes another set, and it extends none",
            'write extends = "items" at its top, or leave it out',
        )


def check_words(words: Mapping[str, Any], of: str, hint: str) -> None:
    """Raise UserError for a word that cannot stand in a sentence: none, several lines, or marks that sets use."""
    for key, word in words.items():
        if not isinstance(word, str) or not word.strip() or not word.isprintable() or set(word) & set("{}<>"):
            raise UserError(
                f"{of}: {key} must be a word on one line without any of {{}}<>, got {word!r}", hint
            )


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
    except UserError:
        raise
    except ValueError as error:
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
    if len(inside) > _MOST_BELOW:
        raise UserError(
            f"{inside[0]} extends {len(inside)} task sets one over the other", "extend one of them"
        )
    values = _read(name)
    _check_file(name, values)
    values = {table: {} for table in _TABLES} | values
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
        values = tomllib.loads(read_small(path).decode("utf-8-sig"))  # some editors begin a file with a mark
        check_nesting(values, f"the task set {name}")
        return values
    except UserError:
        raise
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
        below | {key: value for key, value in above.items() if key not in _TABLES} | both | {"tasks": renamed}
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
    if not _NAME.fullmatch(name) or name == _RESERVED:
        raise ValueError(f"a task is called {name!r}: a name has letters, digits, - and _, and is not all")
    task = _converted({**values, "name": name}, Task, _TASK_MUST, f"the task {name}")
    texts = {key: value for key, value in values.items() if key not in ("about", "words", "score")}
    task = replace(task, **{key: _filled(value, words) for key, value in texts.items()})
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
    """Raise ValueError, or UserError that names a key, for what types cannot say of a task."""
    of = f"of the task {task.name}"
    wrong: dict[str, bool] = {
        "words": task.words[0] > task.words[1],
        "entries": task.entries > task.words[1],
        "score": not task.score or len(set(task.score)) < len(task.score),
    }
    for key in (key for key, is_wrong in wrong.items() if is_wrong):
        raise _must(f"{key} {of}", key, _TASK_MUST[key], getattr(task, key))
    if not task.teacher.strip():
        raise ValueError(f"teacher {of} is empty; write what a teacher is told")
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
