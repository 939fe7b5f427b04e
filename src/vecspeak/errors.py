"""Errors that a user can mend, and what their words are made of: nearest spellings, shortened texts and lists."""

import heapq
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from difflib import SequenceMatcher
from errno import ENAMETOOLONG
from importlib import import_module
from inspect import signature
from itertools import islice
from numbers import Integral, Real
from os import PathLike, fspath
from pathlib import Path
from types import ModuleType
from typing import Any

from vecspeak.foreign import shown

_COMPARED, _COMPARED_CHARACTERS = 200, 100
_MOST_CANDIDATES = 500_000
"""Names that a misspelt one is compared with: seconds."""


_LONGEST, _LONGEST_HINT, _LONGEST_VALUE, _SEARCHED = 480, 280, 100, 5000
"""Letters of a message with its hint, of the hint alone, of a value that is repeated, and of what is searched."""
_VALUE = re.compile(
    rf"(?<![^\s(\[{{=:,`])(?P<quote>['\"])(?=.{{{_LONGEST_VALUE}}})(?P<quoted>.+?)(?P=quote)(?=[\s)\]}},;:.?!`]|$)"
    rf"|(?P<word>[^\s/\\'\"]{{{_LONGEST_VALUE + 1},}})"
)
"""What may be a long value: a text in quotes, and a word that is no path."""


def one_line(text: str, most: int = _LONGEST) -> str:
    """A message on one line of at most so many letters: foreign text in it is shown, and long values are cut."""

    def cut(found: re.Match[str]) -> str:
        quote = found["quote"] or ""
        return f"{quote}{shorten(found['quoted'] or found['word'], _LONGEST_VALUE)}{quote}"

    return _without_middle(_VALUE.sub(cut, shown(_without_middle(text, _SEARCHED))), most)


def _without_middle(text: str, most: int) -> str:
    """The beginning and the end of a text of more than so many letters."""
    behind = most // 4
    return text if len(text) <= most else f"{text[: most - behind - 5]} ... {text[-behind:]}"


class UserError(ValueError):
    """A user's mistake: what was given and what is allowed (message), and what to type next (hint).

    The command line prints it as one line and leaves with status 2; no traceback is shown. What it repeats of a table,
    a server or a person's input is made harmless and short here, wherever it is printed.

    >>> vs.ask("Describe {x}.", x="The Thow")
    Traceback (most recent call last):
    vecspeak.errors.UserError: movies.semantic has no item "The Thow"; the nearest spellings: "The Thaw" id("m1146")...
    """

    def __init__(self, message: str, hint: str = "", *, code: str = "") -> None:
        """`code` is one word for programs, such as unknown_item; most mistakes have none of their own."""
        self.message = message  # in full, for an error that says more around it
        self.hint = hint
        self.code = code
        hint = one_line(hint, _LONGEST_HINT)
        message = one_line(message, _LONGEST - len(hint) - 2 * bool(hint))
        super().__init__(f"{message}; {hint}" if hint else message)


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package, or say which extra brings it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(
            f"this needs the package {module}, which is not installed",
            f"pip install 'vecspeak[{extra}]'",
        ) from error


def first_line(error: BaseException) -> str:
    """What an error of another library says first; its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def shorten(text: str, most: int = 40, end: str = "...") -> str:
    """Cut a text to `most` characters, its end included.

    >>> shorten("Annie Hall", 8)
    'Annie...'
    """
    return text if len(text) <= most else text[: most - len(end)].rstrip() + end


def listed(names: Iterable[object], most: int = 3) -> str:
    """Join the first names, with a sign where there are more.

    >>> listed(["a", "b", "c", "d"])
    'a, b, c, ...'
    """
    shown = [str(name) for name in islice(names, most + 1)]
    return ", ".join(shown[:most]) + (", ..." if len(shown) > most else "")


def nearest_rows(word: str, candidates: Sequence[str], count: int = 5, cutoff: float = 0.0) -> list[int]:
    """Rows of up to `count` candidates spelt most like the word, best first; none where nothing resembles it.

    Upper and lower case do not matter; only the first 100 characters count. A mistyped label among 100,000 takes
    less than a second; of more than 500,000 only the first are compared.
    """
    wanted = _padded(word)
    trigrams = {wanted[start : start + 3] for start in range(len(wanted) - 2)}
    scored: list[tuple[float, int]] = []
    for row, candidate in enumerate(islice(candidates, _MOST_CANDIDATES)):
        padded = _padded(candidate)
        shared = sum(trigram in padded for trigram in trigrams)
        if shared:
            scored.append((shared / (len(padded) + len(wanted)), -row))
    # SequenceMatcher takes some 20 microseconds a pair: only the best by trigrams are compared letter by letter.
    likely = [-row for _, row in heapq.nlargest(_COMPARED, scored)]
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted.strip())
    ranked: list[tuple[float, int]] = []
    for row in likely:
        matcher.set_seq1(_padded(candidates[row]).strip())
        if (ratio := matcher.ratio()) >= cutoff:
            ranked.append((-ratio, row))
    return [row for _, row in sorted(ranked)[:count]]


def _padded(text: str) -> str:
    """Folded, with blanks at both ends so that the first and last letters have trigrams of their own."""
    return f"  {text[:_COMPARED_CHARACTERS].casefold()}  "


def nearest_spellings(word: str, allowed: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The allowed names that look most like the word, best first; upper and lower case do not matter.

    Names far from the word are left out, so the answer may be empty.
    """
    by_folded: dict[str, str] = {}
    for name in islice(allowed, _MOST_CANDIDATES):
        by_folded.setdefault(name.casefold(), name)
    names = list(by_folded.values())
    return tuple(names[row] for row in nearest_rows(word, names, count, cutoff=0.5))


def check_one_of(name: str, value: object, allowed: Sequence[Any], otherwise: str = "") -> None:
    """Raise UserError where the argument of that name has a value that is not allowed.

    `otherwise` is what to do where no allowed one is spelled nearly so: by default to take the last of them.
    """
    if not (value is None or isinstance(value, str | bool)) or value not in allowed:
        otherwise = otherwise or f"use `{name}={allowed[-1]!r}`"
        words = [one for one in allowed if isinstance(one, str)]
        hint = did_you_mean(value, words, otherwise) if isinstance(value, str) else otherwise
        raise UserError(f"`{name}` is one of {', '.join(map(repr, allowed))}, got {shown_value(value)}", hint)


def check_some_of(name: str, values: object, allowed: Iterable[Any]) -> None:
    """Raise UserError where the argument of that name is neither None, for all, nor a list of some that are allowed."""
    otherwise = f"leave `{name}` out for all"
    if values is None:
        return
    if isinstance(values, str) or not isinstance(values, Collection) or not values:
        raise UserError(f"`{name}` is a list of names, got {shown_value(values)}", otherwise)
    for value in values:
        check_one_of(name, value, list(allowed), f"take some of them, or {otherwise}")


def check_whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """The argument of that name as an int. Raises UserError for what is no whole number from `low` to `high`.

    >>> check_whole("count", np.int64(5), 1)
    5
    """
    allowed = f"from {low} to {high:,}" if high is not None else f"of {low} or more"
    number = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None
    if number is None or number < low or (high is not None and number > high):
        raise UserError(
            f"`{name}` is a whole number {allowed}, got {shown_value(value)}", f"use `{name}={low}`"
        )
    return number


def check_seed(seed: Any) -> int:
    """A seed as an int. Raises UserError for what is no whole number of 32 bits, which is what scikit-learn takes."""
    return check_whole("seed", seed, 0, 2**32 - 1)


def check_number(name: str, value: Any, low: float, high: float) -> float:
    """The argument of that name as a float. Raises UserError for what is no number from `low` to `high`."""
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else None
    if number is None or not low <= number <= high:
        raise UserError(
            f"`{name}` is a number from {low:g} to {high:g}, got {shown_value(value)}",
            f"use `{name}={low:g}`",
        )
    return number


def check_text(name: str, value: object, most: int | None = None) -> str:
    """The argument of that name as it is. Raises UserError for what is no text, or one over `most` characters."""
    if not isinstance(value, str):
        raise UserError(f"`{name}` is a text, got {shown_value(value)}", f"give `{name}` in quotes")
    if most is not None and len(value) > most:
        raise UserError(f"`{name}` has {len(value):,} characters, and {most:,} are allowed", "shorten it")
    return value


def check_texts(name: str, values: Any) -> list[str]:
    """The argument of that name as a list of texts. Raises UserError for a lone text, for none and for a blank one."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise UserError(
            f"`{name}` is a list of texts, got {shown_value(values)}", f'give `{name}=["...", "..."]`'
        )
    found = [check_text(name, value) for value in values]
    if not found or not all(map(str.strip, found)):
        empty = "has a blank text" if found else "is empty"
        raise UserError(f"`{name}` {empty}", f"give at least one text, or leave `{name}` out")
    return found


def check_path(name: str, value: Any) -> Path:
    """The argument of that name as a path. Raises UserError for what is none, and for one that no disk can have."""
    if not isinstance(value, str | PathLike) or isinstance(fspath(value), bytes):
        raise UserError(f"`{name}` is a path, got {shown_value(value)}", f"give `{name}` in quotes")
    path = Path(value)
    try:
        path.lstat()
    except ValueError as error:  # a null character
        raise UserError(f"`{name}` is no path: {error}", f"give another `{name}`") from error
    except OSError as error:  # that it is not there is for the caller to say
        if error.errno == ENAMETOOLONG:
            named = f"`{name}` has {len(str(path)):,} characters, more than the disk takes"
            raise UserError(named, f"give a shorter `{name}`") from error
    return path


def shown_value(value: object) -> str:
    """A value that was given, in a few words."""
    if value is None or isinstance(value, str | Real):
        return shorten(repr(value) if isinstance(value, str) else str(value))
    return f"a {type(value).__name__}"


def check_arguments(function: Callable[..., Any], given: Iterable[str]) -> None:
    """Raise UserError for the first of the named arguments that a function does not take."""
    allowed = [one.name for one in signature(function).parameters.values() if one.kind is one.KEYWORD_ONLY]
    for name in given:
        if name not in allowed:
            hint = did_you_mean(name, allowed, "leave it out")
            raise UserError(f"there is no argument {name!r}; there are {', '.join(allowed)}", hint)


def did_you_mean(word: str, allowed: Iterable[str], otherwise: str) -> str:
    """A hint: the nearest spellings as a question, or the other text where nothing is near."""
    nearest = nearest_spellings(word, allowed)
    return f"did you mean {' or '.join(repr(name) for name in nearest)}?" if nearest else otherwise
