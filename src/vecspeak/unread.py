"""Unread words: those of a clause of which a vector cannot say whether they are true or invented.

Names, numbers, negations, addresses, what stands in quotation marks, and words that the lexicon lacks. A clause with
one may be likely as a whole, for its other words are: the likelihood is not that of the name.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from vecspeak.answerable import NEGATION
from vecspeak.evidence import SUPPORTED, ReadTerm
from vecspeak.tasks.task_set import stop_words

TermsIn = Callable[[Sequence[str]], list[list[ReadTerm]]]
"""For each text the terms that stand in it, with their probabilities."""
_WORD = re.compile(r"[^\W_][^\W_\u0300-\u036f]*(?:[\u0300-\u036f]+[^\W_]*)*(?:['’-][^\W_]+)*")
_ADDRESS = re.compile(r"(?:[a-z]+://|www\.)\S*", re.IGNORECASE)
_QUOTED = re.compile(r"[\"“«„]\s*([^\W\d_a-z][^\"“”«»„]{0,60}?)\s*[\"”»“]")
"""What is called by a name: in quotation marks, with a capital."""
_BEGINNING = '.!?:;"“”('
"""Marks after which a capital says nothing."""
_DENYING = re.compile(
    r"\b(?:without|nobody|nothing|none|neither|nor|nowhere|cannot|except\w*|excluding|unlike|minus|sans|absent|absence|"
    r"devoid|unable|seldom|hardly|scarcely|barely|rarely|almost|nearly|few|less|least|false|untrue|non|"
    r"(?:ai|are|ca|could|did|does|do|had|has|have|is|must|need|should|was|were|wo|would)nt|"
    r"lack\w*|fail\w*|refus\w+|declin\w+|den(?:y|ies|ied|ying|ial)|avoid\w*|stop(?:s|ped|ping)?|ceas(?:e\w*|ing)|"
    r"quit(?:s|ting)?|abstain\w*|prevent\w*|forbid\w*|forbade|reject\w*|neglect\w*|pretend\w*|"
    r"instead of|rather than|other than|anything but|all but|far from|(?:free|rid) (?:of|from)|-(?:free|less))\b"
    r"|(?<=\w)-(?:free|less)\b",
    re.IGNORECASE,
)
_TENS = "twent|thirt|fort|fift|sixt|sevent|eight|ninet"
_NUMBER = re.compile(
    rf"(?:zero|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|"
    rf"hundred|thousand|[mb]illion|trillion|dozen|decade|century|twice|thrice|(?:{_TENS})y)s?|(?:{_TENS})ies|centuries|"
    rf"third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|\w+teenth|(?:{_TENS})ieth|\w+dredth",
    re.IGNORECASE,
)
_CONTENT = frozenset(
    "alone bill bottom cry empty fire interest mill serious sincere system thick thin".split()
)
"""Stop words that claim something all the same; no lexicon has a term for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseWords:
    """What the lexicon makes of the words of a clause."""

    unread: tuple[str, ...]
    """What nothing tells an invented from a true one of."""
    least_lift: float
    """Times that the least likely of the other words is as likely of the vector as of any text; at most 1."""


def read_words(clauses: Sequence[str], terms_in: TermsIn, own: Collection[str] = ()) -> list[ClauseWords]:
    """Of each clause of a text the words that are not read, and how likely the least likely of the others is.

    Not read is a word with a capital in which no term is read or a name that is likelier wrong than right, and one
    without that has no term and is no stop word; words of `own`, in lower case, claim nothing.
    """
    said = [unicodedata.normalize("NFC", one) for one in clauses]
    words = {word for one in said for word in _WORD.findall(one)}
    saying_nothing = stop_words() - _CONTENT
    claiming = sorted(word for word in words if word.casefold() not in saying_nothing)
    terms = dict(zip(claiming, _terms_of(terms_in, claiming), strict=True))

    def is_unread(word: str, before: str) -> bool:
        """At the beginning of a sentence every word has a capital; inside, it makes a name of a word that is read."""
        if word.casefold() in own or word not in terms:
            return False
        is_inside = bool(before) and before[-1] not in _BEGINNING
        is_name = (word[0].isupper() and is_inside) or any(part[:1].isupper() for part in word.split("-")[1:])
        return not any(
            term.probability >= SUPPORTED if term.kind == "name" else not is_name or term.kind == "value"
            for term in terms[word]
        )

    found, before = [], ""
    for text in said:
        unread = _named(text, own)
        taken = [one.span() for pattern in (_ADDRESS, _QUOTED) for one in pattern.finditer(text)]
        lifts = [1.0]
        for word in _WORD.finditer(text):
            if any(start <= word.start() < end for start, end in taken):
                continue
            if _is_number(word[0]) or is_unread(word[0], f"{before}{text[: word.start()]}".rstrip()):
                unread.append(word[0])
            lifts += [term.probability / max(term.rate, 1e-6) for term in terms.get(word[0], ())]
        plain = _plain(text)
        unread += [one[0] for pattern in (NEGATION, _DENYING) for one in pattern.finditer(plain)]
        found.append(ClauseWords(unread=tuple(dict.fromkeys(unread)), least_lift=min(lifts)))
        before += text
    return found


def own_words(labels: Iterable[str]) -> frozenset[str]:
    """The words of labels in lower case: who calls an item by its name claims nothing."""
    return frozenset(word.casefold() for label in labels for word in _WORD.findall(label))


def _named(text: str, own: Collection[str]) -> list[str]:
    """Addresses of a text, and what it calls by a name in quotation marks."""
    quoted = [one[1] for one in _QUOTED.finditer(text)]
    names = [one for one in quoted if not all(word.casefold() in own for word in _WORD.findall(one))]
    return [*(one[0].rstrip(".,;)") for one in _ADDRESS.finditer(text)), *names]


def _terms_of(terms_in: TermsIn, words: Sequence[str]) -> list[list[ReadTerm]]:
    """The terms of each word; of one with hyphens those of its parts, and none where a part has none."""
    parts = [word.split("-") for word in words]
    flat = terms_in([*words, *(part for some in parts for part in some)])
    rest = iter(flat[len(words) :])
    found = []
    for whole, some in zip(flat, parts, strict=False):
        each = [next(rest) for _ in some]
        found.append(whole or ([term for terms in each for term in terms] if all(each) else []))
    return found


def _plain(text: str) -> str:
    """The text without accents and in plain forms of its letters."""
    split = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in split if not unicodedata.combining(letter))


def _is_number(word: str) -> bool:
    plain = _plain(word)
    is_one = any(letter.isnumeric() for letter in plain)
    return is_one or any(_NUMBER.fullmatch(part) for part in re.split(r"['’-]", plain))
