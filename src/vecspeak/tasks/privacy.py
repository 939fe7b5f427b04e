"""Privacy: what may not be asked or said of a person, because what is known of them does not tell it.

A vector made of ratings carries taste. Age, sex, origin and the like go along with taste often enough for a model to
guess them, often wrongly and always without leave. So a question about a person that asks for such an attribute is
refused, and an answer that states one is marked. The list is `privacy.toml`: English words, with the gaps that words
have; a question that does not name what it is after gets through. Knows words. Knows nothing of vectors or models.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vecspeak.errors import UserError

_FILE = Path(__file__).parent / "privacy.toml"
_SLOT = r"\{\w+\}"
_BE = r"(?:is|are|was|were|be|seems?|sounds?|must be|might be|could be|probably|likely)"
_A_WORD = r"(?:\s+(?:an?|the|this|that|probably|likely|very|rather|most|more))*"


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something that may not be said of a person."""

    name: str
    asked: re.Pattern[str]
    """Matches a question that asks for it."""
    said: re.Pattern[str]
    """Matches an answer that states it."""


@cache
def attributes() -> tuple[Attribute, ...]:
    """All attributes of the list."""
    values = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    person = f"(?:{'|'.join(values['person'])})s?"
    return tuple(_attribute(name, one, person) for name, one in values["attributes"].items())


def _attribute(name: str, one: dict[str, list[str]], person: str) -> Attribute:
    whom = rf"(?:{person}\s+{_SLOT}|{_SLOT}|{person})"
    words = f"(?:{'|'.join(one['adjectives'])})"
    about_x = [
        rf"{_BE}{_A_WORD}\s+{whom}{_A_WORD}\s+(?:\w+\s+or\s+)?{words}",
        rf"{whom}\s+{_BE}{_A_WORD}\s+{words}",
        rf"{words}\s+{person}(?:\s+{_SLOT})?",
    ]
    stated = [rf"{words}\s+{person}", rf"{person}\s+{_BE}{_A_WORD}\s+{words}(?!\s+\w+s\b)"]
    asked = [*one["nouns"], *about_x, *one["asked"]]
    said = [*stated, *one["said"]]
    return Attribute(name, asked=_any(asked, whom, person), said=_any(said, whom, person))


def _any(patterns: Sequence[str], whom: str, person: str) -> re.Pattern[str]:
    filled = [pattern.replace("<x>", whom).replace("<person>", person) for pattern in patterns]
    return re.compile(rf"(?<!\w)(?:{'|'.join(filled)})(?!\w)", re.IGNORECASE)


def asked_for(question: str) -> tuple[str, ...]:
    """Names of the attributes that a question asks for."""
    return tuple(one.name for one in attributes() if one.asked.search(question))


def flagged(answer: str) -> tuple[str, ...]:
    """Names of the attributes that an answer about a person states."""
    return tuple(one.name for one in attributes() if one.said.search(f"{answer} "))


def check_about_person(question: str) -> None:
    """Raise UserError when a question about a person asks for what ratings cannot tell."""
    found = asked_for(question)
    if found:
        names = ", ".join(one.name for one in attributes())
        raise UserError(
            f"the question asks for {' and '.join(found)}, which a vector of ratings does not carry: any answer would "
            f"be a guess about a person (refused are {names})",
            'ask about taste, for example "Which movies does {x} like and dislike?"',
        )
