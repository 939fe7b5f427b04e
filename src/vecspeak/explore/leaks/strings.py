"""Strings: what stands in a text that an attacker of its vector could want: words, names, numbers, dates, addresses.

Patterns, not understanding, so that everybody can check what was counted. An address is an e-mail address or one of the
web. A date is a calendar date, a month with a year or a day, a year from 1500 to 2099 or a decade. A number is what is
left of digits then. A name is a run of words with a capital inside a sentence: the first word of a sentence says
nothing, months and days are dates, and a text of which 70% of the words have capitals has no names. Each string counts
once a text.
"""

import re
from collections.abc import Iterator

from vecspeak.tables.spelling import one_form

WORDS, NAMES, NUMBERS, DATES, ADDRESSES = KINDS = ("words", "names", "numbers", "dates", "addresses")
LETTERS = 5000
"""Of a text that are looked at."""

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTH = "|".join(one if one == "May" else f"{one}|{one[:3]}\\.?" for one in _MONTHS)
_NTH = r"(?:st|nd|rd|th)?"
# runs are bounded, so that time grows with the text and not with its square; an e-mail address has 64 letters at most
# before the @, and 63 in each part behind it
_ADDRESS = re.compile(
    r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+|(?:https?://|www\.)[^\s<>\"'()]+", re.IGNORECASE
)
_DATE = re.compile(
    rf"\b(?P<iso>\d{{4}}-\d{{2}}-\d{{2}})\b"
    rf"|\b(?P<plain>\d{{1,2}}[./-]\d{{1,2}}[./-](?:\d{{4}}|\d{{2}}))\b"
    rf"|\b(?P<d1>\d{{1,2}}){_NTH}\s+(?:of\s+)?(?P<m1>{_MONTH})(?:,?\s+(?P<y1>\d{{4}}))?\b"
    rf"|\b(?P<m2>{_MONTH})\s+(?P<d2>\d{{1,2}}){_NTH}\b(?:,?\s+(?P<y2>\d{{4}})\b)?"
    rf"|\b(?P<m3>{_MONTH}),?\s+(?:of\s+)?(?P<y3>\d{{4}})\b"
    rf"|\b(?P<decade>(?:1[5-9]|20)\d0)['’]?s\b"
    rf"|(?<![\d.,$€£])\b(?P<year>(?:1[5-9]|20)\d\d)\b(?![.,]?\d)"
)  # fmt: skip
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+){0,8}(?=(?:st|nd|rd|th|%|[a-zA-Z]{1,2})?\b|$)")
_THOUSANDS = re.compile(r",(?=\d{3}(?:\D|$))")
_WORD = re.compile(r"[^\W\d_]{3,}")
_PIECE = re.compile(r"\w{0,64}\d\w*|[^\W\d_]+(?:['’-][^\W\d_]+)*|\n|\S")
_POSSESSIVE = re.compile(r"['’]s?$")
_ENDS = frozenset('.!?:;"“”(\n')
"""Marks after which a capital says nothing."""
_TITLES = frozenset("mr mrs ms dr st jr sr prof gen lt col sgt capt".split())
"""What a dot after does not end a sentence."""
_LINKS = frozenset("of de la van von der du del di da".split())
"""Small words that may stand inside a name."""
_NO_NAMES = frozenset((*_MONTHS, *_DAYS, "The", "A", "An", "I", "He", "She", "It", "They", "We", "You"))
_HEADLINE = 0.7
"""Share of words with a capital from which on a capital says nothing."""


def strings_in(text: str) -> dict[str, set[str]]:
    """The strings of each kind in the first 5,000 letters of a text.

    >>> found = strings_in("In May 1999 Ann wrote to joe@shop.example about 1,200 boats in New York.")
    >>> found["dates"], sorted(found["names"]), found["numbers"], found["addresses"]
    ({'1999-05'}, ['Ann', 'New York'], {'1200'}, {'joe@shop.example'})
    """
    text = one_form(text)[:LETTERS]
    found: dict[str, set[str]] = {WORDS: words_in(text)}
    found[ADDRESSES] = {one[0].casefold().rstrip(".,;:!?") for one in _ADDRESS.finditer(text)}
    rest = _ADDRESS.sub(" ", text)
    found[NAMES] = set(_names(rest))
    found[DATES] = set(map(_date, _DATE.finditer(rest)))
    rest = _DATE.sub(" ", rest)
    found[NUMBERS] = {_THOUSANDS.sub("", one) for one in _NUMBER.findall(rest)}
    return found


def name_parts(name: str) -> set[str]:
    """The words with a capital that a name of several is made of, initials and titles left out.

    >>> sorted(name_parts("University of Arizona")), name_parts("Ann")
    (['Arizona', 'University'], set())
    """
    words = name.split()
    return {one for one in words if len(one) > 1 and one[0].isupper() and one.casefold() not in _TITLES} - {
        name
    }


def words_in(text: str) -> set[str]:
    """Words of three letters or more, in lower case, without stop words."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return {word.casefold() for word in _WORD.findall(text)} - ENGLISH_STOP_WORDS


def _date(one: re.Match[str]) -> str:
    """One spelling for what is spelled in several: "5 May 1999" and "May 5th, 1999" are 1999-05-05."""
    if one["iso"] or one["plain"] or one["year"]:
        return one[0]
    if one["decade"]:
        return f"{one['decade']}s"
    month = next(filter(None, (one["m1"], one["m2"], one["m3"])))
    number = next(place for place, name in enumerate(_MONTHS, 1) if name.startswith(month.rstrip(".")))
    year = one["y1"] or one["y2"] or one["y3"] or "-"
    day = one["d1"] or one["d2"]
    return f"{year}-{number:02}" + (f"-{int(day):02}" if day else "")


def _names(text: str) -> Iterator[str]:
    """Runs of words with a capital, those that begin a sentence left out."""
    pieces = _PIECE.findall(text)
    words = [one for one in pieces if one[0].isalpha()]
    if sum(one[0].isupper() for one in words) > _HEADLINE * len(words):
        return
    run: list[str] = []
    begins = True
    for place, piece in enumerate([*pieces, "\n"]):
        word = _POSSESSIVE.sub("", piece) if "'" in piece or "’" in piece else piece
        if piece[0].isupper() and word not in _NO_NAMES and not (begins and not run):
            run.append(word)
        elif not (run and piece in _LINKS and _goes_on(pieces, place + 1)):
            if len(name := " ".join(run)) > 1 and name.casefold() not in _TITLES:
                yield name
            run = []
        else:
            run.append(piece)
        if piece != word and run:  # what is owned is no part of the owner's name
            yield " ".join(run)
            run = []
        begins = piece in _ENDS and not _is_title(pieces, place) or (begins and not piece[0].isalpha())


def _goes_on(pieces: list[str], place: int) -> bool:
    return place < len(pieces) and pieces[place][0].isupper() and pieces[place] not in _NO_NAMES


def _is_title(pieces: list[str], place: int) -> bool:
    """Whether a dot stands behind "Dr" or an initial."""
    before = pieces[place - 1] if place else ""
    return place < len(pieces) and pieces[place] == "." and (
        before.casefold() in _TITLES or (len(before) == 1 and before.isupper())
    )  # fmt: skip
