"""Forms: what the values in a task set's file may be, so that a slip is told where it is made.

Knows plain values as TOML gives them. Knows nothing of what is made of them.
"""

import re
from collections.abc import Mapping
from typing import Any

from vecspeak.errors import UserError

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
    _check_facts(name, values["facts"])
    _check_plain(name, values)
    if "extends" not in values and (idle := [key for key in ("without", "rename") if values.get(key)]):
        raise UserError(
            f"{idle[0]} of the task set {name} changes another set, and it extends none",
            'write extends = "items" at its top, or leave it out',
        )


def _check_facts(name: str, facts: Mapping[str, Any]) -> None:
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
