"""Privacy: what may not be asked or said of a person, because what is known of them does not tell it.

A vector made of ratings carries taste. Age, sex, origin and the like go along with taste often enough for a model to
guess them, often wrongly and always without leave. So a question about a person that asks for such an attribute is
refused, and an answer that states one is marked. The list is `privacy.toml`: English words and a few questions of other
languages, with the gaps that words have; a question that does not name what it is after gets through. A word counts
where it is said of a person, and not where it is said of what a person likes.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vecspeak.errors import UserError

_FILE = Path(__file__).parent / "privacy.toml"
_SLOT = r"\{\w+\}"
_BE = r"(?:is|are|was|were|be|seems?|appears?|sounds?|(?:must|might|could|may|would) be|probably|likely)"
_A_WORD = r"(?:\s+(?:an?|the|this|that|to be|both|probably|likely|very|rather|most|more))*"
_AND_ONE = r"(?:\s+an?\s+(?!fan\b|lover\b)[\w-]+)?"
"""A word between the article and what is said: `a tall man`."""
_ONE_MORE = (
    r"(?:\s+and\s+(?!an?\b|\w+s\b)[\w-]+"
    r"|\s+(?!(?:and|or|who|that|when|in|likes?|loves?|enjoys?|prefers?|\w+ing)\b)[\w-]+)?"
)
"""A word between what is said and what it is said of: `black and white movies`."""
_MAYBE = r"(?:probably|likely|most likely|perhaps|maybe|possibly)\s+"
_PERHAPS = rf"(?:{_MAYBE})?"
_BEGIN = (
    rf"(?:(?:^|(?<=[.!?]))\s*(?:(?:this is|it is|for|suits|describes)\s+)?{_PERHAPS}"
    r"(?:(?:an?|the|this|some)\s+)?)"
)
"""Where a sentence begins, so that people in the plot of a movie that someone likes are not meant."""
_UP_TO_TWO = r"(?:(?!of\b|for\b|about\b|with\b|in\b|who\b|that\b)[\w-]+\s+){0,2}?"
_LIKES = (
    r"(?:(?:who|that|which)\s+)?(?:(?:also|really|mostly|probably|would|often)\s+)*"
    r"(?:(?:dis)?likes?|enjoys?|prefers?|appreciates?|watch(?:es)?|reads?|listens?|rates?|hates?|cares?"
    r"|loves?(?!\s+(?:an?|her|his|the)\b)|(?:is|are) (?:fond|drawn|a fan|fans|into|interested))"
)
_LIKE = r"(?<!i'd )(?<!i would )\b(?:dis)?(?:like|enjoy|love|prefer|watch|hate)(?:s|es)?"
_LIKED_BEFORE = (
    rf"(?:{_LIKE}\s+(?:(?!(?:their|his|her|its|the)\b)[\w-]+\s+)?"
    r"|\b(?:interested in|fond of|fans? of)\s+(?:(?!their|his|her|its)[\w-]+,?\s+){0,2}"
    r"|<items>\s+(?:that|which|who)\s+(?:is|are)\s+"
    rf"|(?:<items>|{_LIKE})\b[^.?!;:,]*(?<!what )(?<!how )(?<!say )(?<!tell )(?<!me )(?<!us )(?<!you )(?<!know )"
    r"(?<!guess )(?<!infer )(?<!reveal )\babout\s+(?:(?!(?:their|his|her|its|this|which|what)\b)\w+\s+){0,2})$"
)
_NAME_BEFORE = re.compile(r"\w,?\s+(?!(?:The|An?|Your|Their|His|Her|Viewer|User|Person)\s)[A-Z]\w*\s+$")
_NAME_AFTER = re.compile(r"(?:\s+(?:and|of|the|to))+\s+[A-Z]\w")
_NOT_A_REQUEST = re.compile(
    r"\b(?:(?:say|tell|state|write|mention) nothing (?:of|about|on)|(?:do not|don't|never) "
    r"(?:say|tell|state|mention|guess|name|speak of|talk about))\b(?:(?!\bbut\b)[^.?!;:])*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class PersonalAttribute:
    """Something that may not be said of a person."""

    name: str
    asked: re.Pattern[str]
    """Matches a question that asks for it."""
    named: re.Pattern[str]
    """Matches a word for it, which asks for it unless it is part of what someone likes."""
    said: re.Pattern[str]
    """Matches an answer that states it."""


@dataclass(frozen=True, slots=True)
class _Words:
    """Expressions that all attributes share."""

    person: str
    """A word for a person."""
    whom: str
    """A slot, or a word for the person that a question is about."""
    item: str
    """A word for what people choose."""
    fan: str
    """A word for someone who likes something."""
    human: str
    """A word for anyone."""


@cache
def _words() -> _Words:
    values = _values()
    person = f"(?:{'|'.join(values['person'])})s?"
    meant = f"(?:{person}|{'|'.join(values['meant'])})"
    return _Words(
        person=person,
        whom=rf"(?:{person}\s+{_SLOT}|{_SLOT}(?:\s+(?:and|or)\s+{_SLOT})*|{meant})",
        item=f"(?:{'|'.join(values['items'])})",
        fan=f"(?:{'|'.join(values['fans'])})",
        human=f"(?:{'|'.join((*values['humans'], *values['fans'], person))})",
    )


@cache
def _values() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


@cache
def attributes() -> tuple[PersonalAttribute, ...]:
    """All attributes of the list."""
    return tuple(_attribute(name, one, _words()) for name, one in _values()["attributes"].items())


def _attribute(name: str, one: dict[str, Any], shared: _Words) -> PersonalAttribute:
    fan = rf"(?!\s+{shared.fan}\b)" if one.get("of_people_only") else ""
    bare = f"(?:{'|'.join(one['adjectives'])})"
    words = rf"{bare}(?![\w-])(?!{_ONE_MORE}[\s-]+{shared.item}\b{fan})"
    named = [*one["nouns"], rf"{bare}\s+or\s+(?:an?\s+)?{bare}(?=\s*(?:[?.!,;:{{]|$))"]
    return PersonalAttribute(
        name,
        asked=_any([*_about_x(words, bare, shared), *one["asked"]], shared),
        named=_any(named, shared, hyphens=False),
        said=_any([*_stated(words, bare, shared), *one["said"]], shared),
    )


def _about_x(words: str, bare: str, shared: _Words) -> tuple[str, ...]:
    """How a question asks whether a person is one of the words."""
    return (
        rf"{_BE}{_A_WORD}\s+{shared.whom}{_A_WORD}{_AND_ONE}\s+(?:\w+\s+or\s+)?{words}",
        rf"{shared.whom}\s+{_BE}{_A_WORD}{_AND_ONE}\s+{words}",
        rf"{bare}\s+{shared.person}(?:\s+{_SLOT})?",
        rf"{shared.whom},\s+{_PERHAPS}an?\s+{_UP_TO_TWO}{words}(?=\s*(?:[?.!,;]|$))",
        rf"how\s+{bare}\s+{_BE}{_A_WORD}\s+{shared.whom}(?!['\u2019])",
    )


def _stated(words: str, bare: str, shared: _Words) -> tuple[str, ...]:
    """How an answer says that a person is one of the words."""
    no_plural = r"(?!\s+\w+s\b)"
    is_one = rf"{shared.person}\s+{_BE}{_A_WORD}"
    who_is = rf"(?:{shared.person}|people),?\s+(?:(?:who|that)\s+{_BE}|who['\u2019]s){_A_WORD}\s+{words}{no_plural}"
    return (
        rf"{bare}\s+{shared.person}",
        rf"{is_one}{_AND_ONE}\s+{words}{no_plural}",
        rf"(?:{_BEGIN}|{is_one}\s+){_UP_TO_TWO}{who_is}",
        rf"{shared.person},\s+{_PERHAPS}an?\s+{_UP_TO_TWO}{words}(?:\s+[\w-]+)?\s*(?=[,.;]|$)",
        rf"{_BEGIN}{_UP_TO_TWO}{words}(?:\s+of\s+\w+|\s+{shared.human})?,?\s+{_LIKES}",
        rf"(?:^|(?<=[.!?]))\s*{_MAYBE}an?\s+{_UP_TO_TWO}{words}\s*(?=[,.;!]|$)",
    )


def _any(patterns: Sequence[str], shared: _Words, *, hyphens: bool = True) -> re.Pattern[str]:
    filled = [pattern.replace("<x>", shared.whom).replace("<person>", shared.person) for pattern in patterns]
    part = r"\w" if hyphens else r"[\w-]"
    return re.compile(rf"(?<!{part})(?:{'|'.join(filled)})(?!{part})", re.IGNORECASE)


def asked_for(question: str) -> tuple[str, ...]:
    """Names of the attributes that a question about a person asks for, its slots in it as {x}."""
    return tuple(one.name for one in attributes() if one.asked.search(question) or any(_named(one, question)))


def shown_to_say(instruction: str) -> tuple[str, ...]:
    """The same for an instruction about a person, which may forbid: `Say nothing of age, sex or origin`."""
    return asked_for(_NOT_A_REQUEST.sub("", instruction))


def _named(one: PersonalAttribute, question: str) -> Iterator[bool]:
    for match in one.named.finditer(question):
        if not _is_liked(question, match):
            yield True


def _is_liked(question: str, match: re.Match[str]) -> bool:
    """Whether a word is part of what someone may like: movies about race, race cars, The Bourne Identity."""
    before, after = question[: match.start()], question[match.end() :]
    if re.match(rf"\s+(?:and \w+ )?of\s+(?:the |this )?{_words().whom}", after, re.IGNORECASE):
        return False
    if _liked_before().search(before) or re.search(r"\bcoming of $", before, re.IGNORECASE):
        return True
    if re.match(rf"(?:[\s-]+|\s+of\s+){_words().item}\b", after, re.IGNORECASE):
        return True
    return match[0][0].isupper() and _is_in_name(before, after)


def _is_in_name(before: str, after: str) -> bool:
    """Whether a word with a capital letter between these is part of a name, as in The Bourne Identity."""
    if re.search(rf"\b{_words().item}(?:\s+(?:called|named))?\s+$", before, re.IGNORECASE):
        return True
    if not any(word[0].islower() for word in re.findall(r"(?<!\{)\b\w+", before + after)):
        return False
    return bool(_NAME_BEFORE.search(before) or _NAME_AFTER.match(after))


@cache
def _liked_before() -> re.Pattern[str]:
    return re.compile(_LIKED_BEFORE.replace("<items>", rf"\b{_words().item}"), re.IGNORECASE)


_BARE = re.compile(
    r"\b(?:islam|muslim|moslem|christian|catholic|protestant|baptist|evangelic|mormon|jew|juda|buddh|hindu|sikh|atheis|"
    r"religio|faith|church|bible|mosque|synagog|gay|lesbian|lgbt|queer|bisexual|transgender|homosexual|hiv|autis|"
    r"depressi|disab|immigra|refugee|kurd|roma\b|romani|israel|palestin|ethnic|under 18|over 65|65\+)",
    re.IGNORECASE,
)
_COLUMNS = frozenset(
    "age ages gender sex religion faith ethnicity ethnic race nationality origin orientation disability health party "
    "politics income marital female male".split()
)

_PERSONAL_COLUMNS = _COLUMNS | frozenset(
    "birth birthdate birthday birthplace birthyear born dob salary salaries wage wages citizenship caste pregnant "
    "pregnancy married disabled disabilities diagnosis diagnoses veteran ssn sexuality genders religions".split()
)


def is_personal_column(column: str) -> bool:
    """Whether a column is called like an attribute of persons.

    >>> is_personal_column("customer_age"), is_personal_column("birthYear"), is_personal_column("page")
    (True, True, False)
    """
    return bool(_PERSONAL_COLUMNS & set(_parts_of(column)))


def _parts_of(column: str) -> list[str]:
    """The words of a column's name: "leadGender" gives lead and gender."""
    return re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column).casefold())


def names_attribute(term: str, column: str = "") -> bool:
    """Whether a bare term, or the column that it is a value of, names what may not be said of a person.

    >>> names_attribute("Christian film"), names_attribute("F", "lead_gender"), names_attribute("War", "genres")
    (True, True, False)
    """
    return bool(
        _BARE.search(term) or flagged(f"They are {term}. {term}") or _COLUMNS & set(_parts_of(column))
    )


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
            "ask about taste: `VecSpeak.tastes(x)` says what they are predicted to like more and less than others",
            code="about_person",
        )
