"""Facts: what is known of items and people as words, and targets made of them without a model.

A sentence of a task's `facts` is used where everything that it names is known; nothing is in it that texts, tables and
ratings lack. Knows texts and metadata as plain values. Knows nothing of vectors, spaces or models.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from vecspeak.tasks.names import NAMED, names_in
from vecspeak.tasks.sets import Task, article
from vecspeak.tasks.texts import Keywords, join_words, opening, split_sentences

Facts = Mapping[str, str]
"""Words by the name that a sentence calls them; what is not known is not there."""
_LOWER = re.compile(r"\b[a-z][a-z'-]{2,}\b")
_OPENING, _LONG_OPENING, _SENTENCE = 300, 600, 220
_KEYWORDS = 4
_MOST_KINDS = 3
_NO_TOPIC = frozenset(
    "keeps kept packs suits fits gives lets helps needs brings holds lasts turns works looks feels offers shows leaves "
    "starts becomes stays seems uses includes contains provides little large small good great best".split()
)
"""Words that say nothing of a subject by themselves, however rare they are in a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of one item."""

    id: str
    label: str
    text: str
    """Its text, white space collapsed; empty where it has none."""
    kinds: tuple[str, ...] = ()
    """Genres, tags or categories, in lower case."""
    era: str = ""
    """The decade, as in `the 1990s`."""
    maker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """What a person's own ratings say. Nothing else about them is read."""

    liked: tuple[str, ...]
    """Labels of the items that they rated highest."""
    disliked: tuple[str, ...]
    """Labels of the items that they rated lowest."""
    kinds_over: tuple[str, ...]
    """Kinds that they rate above their own average, the most liked first."""
    kinds_under: tuple[str, ...]
    eras_over: tuple[str, ...]
    eras_under: tuple[str, ...]


def clean_kind(kind: str, items: Collection[str] = ()) -> str:
    """A genre in lower case without the word for what it is a genre of: `films`, or one of the words of `items`.

    `rain jacket` among jackets is `rain`, for sentences put the word behind it; empty where it was that word alone.
    """
    words = "|".join(["films?", "movies?", *map(re.escape, sorted(map(str.casefold, items)))])
    return re.sub(rf"(?:^|\s+)(?:{words})$", "", " ".join(kind.casefold().split()))


def decade(value: object) -> str:
    """`the 1990s` of a year, a date or a text that begins or ends with one; empty where there is none."""
    found = re.search(r"\b(1[0-9]|20)(\d)\d\b", str(value if value is not None else ""))
    return f"the {found[1]}{found[2]}0s" if found else ""


def topics(
    text: str, keywords: Keywords, limit: int, *, without: Collection[str] = frozenset()
) -> tuple[str, ...]:
    """Keywords that the text writes in lower case somewhere: names of people and places tell little of a subject.

    Those of `without`, in lower case, are left out, and words that tell nothing by themselves.
    """
    common = set(_LOWER.findall(text)) - _NO_TOPIC - set(without)
    found: tuple[str, ...] = ()
    for wide in range(limit, 6 * limit, limit):
        found = tuple(word for word in keywords.of(text, wide) if word in common)
        if len(found) >= limit:
            break
    return found[:limit]


def item_facts(known: Known, keywords: Keywords, *, without: Collection[str] = frozenset()) -> dict[str, str]:
    """Facts of one item: opening, long_opening, first_sentence, keywords, kinds, a_kinds, A_kinds, era, maker.

    `without` are no keywords, nor are the words of its kinds: a sentence that names both would say them twice.
    """
    sentences = [s for s in split_sentences(known.text) if 20 < len(s) <= _SENTENCE]
    found = {
        "opening": opening(known.text, _OPENING) if known.text else "",
        "long_opening": opening(known.text, _LONG_OPENING) if known.text else "",
        "first_sentence": sentences[0] if sentences else "",
        "keywords": join_words(topics(known.text, keywords, _KEYWORDS, without=_said(without, known))),
        "era": known.era,
        "maker": known.maker,
        **_kinds("kinds", known.kinds),
    }
    return _that_are_known(found)


def pair_facts(
    first: Known, second: Known, keywords: Keywords, *, without: Collection[str] = frozenset()
) -> dict[str, str]:
    """Facts of two items: kinds and keywords of both, of all, and of one only; keywords as in `item_facts`."""
    out = _said(without, first, second)
    words = [topics(known.text, keywords, _KEYWORDS, without=out) for known in (first, second)]
    wide = [topics(known.text, keywords, 5 * _KEYWORDS, without=out) for known in (first, second)]
    both = tuple(word for word in wide[0] if word in wide[1])
    found = {
        "x_keywords": join_words(words[0]),
        "y_keywords": join_words(words[1]),
        "both_keywords": join_words(both[:_KEYWORDS]),
        "x_only_keywords": join_words(tuple(word for word in words[0] if word not in wide[1])),
        "y_only_keywords": join_words(tuple(word for word in words[1] if word not in wide[0])),
        **_kinds("both_kinds", tuple(kind for kind in first.kinds if kind in second.kinds)),
        **_kinds("all_kinds", tuple(dict.fromkeys((*first.kinds[:2], *second.kinds[:2])))),
        **_kinds("x_only_kinds", tuple(kind for kind in first.kinds if kind not in second.kinds)),
        **_kinds("y_only_kinds", tuple(kind for kind in second.kinds if kind not in first.kinds)),
    }
    return _that_are_known(found)


def person_facts(taste: Taste) -> dict[str, str]:
    """Facts of a person: liked and disliked kinds and eras."""
    found = {
        "liked_kinds": join_words(taste.kinds_over[:_MOST_KINDS]),
        "disliked_kinds": join_words(taste.kinds_under[:_MOST_KINDS]),
        "liked_eras": join_words(taste.eras_over[:2]),
        "disliked_eras": join_words(taste.eras_under[:2]),
    }
    return _that_are_known(found)


def compose(task: Task, facts: Facts) -> str | None:
    """A target of the task's sentences whose names are all known; None where the task has none or none is known."""
    sentences = [
        NAMED.sub(lambda match: facts[match[1]], sentence)
        for sentence in task.facts
        if all(name in facts for name in names_in(sentence))
    ]
    return " ".join(sentences) or None


def _said(without: Collection[str], *known: Known) -> set[str]:
    """Words that are said anyway: those given, and those of the items' kinds."""
    return {*without, *(word for one in known for kind in one.kinds for word in re.findall(r"[\w'-]+", kind))}


def _kinds(name: str, kinds: Sequence[str]) -> dict[str, str]:
    words = join_words(tuple(kinds[:_MOST_KINDS]))
    with_article = f"{article(words)} {words}" if words else ""
    capital = with_article[:1].upper() + with_article[1:]
    return {name: words, f"a_{name}": with_article, f"A_{name}": capital}


def _that_are_known(found: dict[str, str]) -> dict[str, str]:
    return {name: words for name, words in found.items() if words}
