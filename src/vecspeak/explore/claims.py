"""Claims: whether what anybody says of a vector holds, clause by clause, beside the same text of other vectors.

A text that fits everything fits this vector too. So each clause is weighed as those of answers are, and its encoder's
vector is held against those of random other items: it holds where it is likelier true than not, nearer to this vector
than to nearly all others, and no word of it is less likely of the vector than of any text. Names, numbers, negations
and words that the lexicon lacks are read by no sign, so that a clause with them is never said to hold.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from markupsafe import Markup

from vecspeak.asking import Asker
from vecspeak.bundles import SpaceEntry
from vecspeak.clauses import split_clauses
from vecspeak.display import element, shaded, table, to_frame
from vecspeak.errors import UserError, check_seed, check_text, check_whole
from vecspeak.evidence import OUTSIDE, SUPPORTED, Clause
from vecspeak.foreign import shown
from vecspeak.model.alignment import unit
from vecspeak.points import Point
from vecspeak.tasks.privacy import flagged

MOST_LETTERS = 4000
MOST_CLAUSES = 40
"""Of a text that is checked."""
_SPECIFIC = 90.0
"""Percent of other vectors from which a clause must lie farther to say something of this one."""
_FEWEST = 20
"""Other items below which nothing can be said of what holds of others."""
_LEAST_LIFT = 1.0
"""Times that every word of a clause that holds is at least as likely of the vector as of any text."""
Verdict = Literal["holds", "possible", "fits others too", "not supported", "not read"]
"""Possible is what lies near the vector and is no likelier than not: the subject is right, the detail is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedClause:
    """A part of a text that can be true or false by itself, held against one vector and against others."""

    text: str
    probability: float
    """That it holds of the point's own text, as `Clause.probability`."""
    nearer_than: float
    """Percent of the other vectors from which it lies farther, by the encoder's cosine."""
    unread: tuple[str, ...]
    """Names, numbers, negations and words without a term in it, which nothing that was weighed reads."""
    least_lift: float = 1.0
    """How many times as likely as of any text that word of it is of the vector which is so least; 1 without words."""

    @property
    def verdict(self) -> Verdict:
        """What became of it; that it has words which are not read matters where it would hold else."""
        is_near = self.nearer_than >= _SPECIFIC
        if self.probability < SUPPORTED or self.least_lift < _LEAST_LIFT:
            return "possible" if is_near else "not supported"
        if self.unread:
            return "not read"
        return "holds" if is_near else "fits others too"

    def __str__(self) -> str:
        unread = f" ({', '.join(self.unread)})" if self.unread else ""
        return (
            f"{self.probability:.2f} {self.text.strip()}  [{self.verdict}{unread}; nearer to it than to "
            f"{self.nearer_than:.0f}% of others]"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedClaims:
    """A text that somebody says of a point, its clauses with what becomes of each.

    >>> found = vs.check_claims("A rancher fights for his land.", "The Thaw")
    >>> found.clauses[0].verdict
    '...'
    """

    how_to_read: ClassVar[str] = (
        "A clause holds if it is likelier true of the vector than not, nearer to it than to 90% of others, and has no "
        "word that is less likely of it than of any text. What fits others too says nothing of this one. What is "
        "possible lies as near, and as a whole or in a word is not likely enough; what is not supported may be true "
        "all the same, and the vector does not tell it. Names, numbers, negations and words that the lexicon lacks are "
        "not read from a vector."
    )

    text: str
    question: str
    expression: str
    clauses: tuple[CheckedClause, ...]
    fits_better_than: float
    """Percent of the other vectors from which the whole text lies farther."""
    num_others: int
    """Random other items, or people, of the space that the text was weighed for too."""
    percentile: float
    """How far out the point lies, as `Evidence.percentile`."""
    is_outside: bool
    flags: tuple[str, ...] = ()
    """Attributes that it states of a person although ratings do not show them."""
    caution: str = ""
    """What must be known of the space before anything is believed."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each reason why the text is not what the vector says; empty where none was found."""
        found = [self.caution] if self.caution else []
        found += [f"it states {' and '.join(self.flags)} of a person, which ratings do not tell"] * bool(
            self.flags
        )
        found += [f"{self.expression} lies outside the data"] * self.is_outside
        found += [f"the space has only {self.num_others} other vectors to hold the text against"] * (
            self.num_others < _FEWEST
        )
        if self.fits_better_than < _SPECIFIC:
            found.append(
                f"the text as a whole fits {100 - self.fits_better_than:.0f}% of other vectors as well or better"
            )
        counts = Counter(one.verdict for one in self.clauses)
        said: dict[Verdict, str] = {
            "not supported": "not told by the vector",
            "possible": "near to the vector and not likely enough",
            "not read": "with names, numbers, negations or rare words, for which no vector is read",
            "fits others too": "as likely of many other vectors",
        }
        total = len(self.clauses)
        found += [f"{counts[key]} of {total} clauses: {words}" for key, words in said.items() if counts[key]]
        return tuple(found)

    @property
    def heading(self) -> str:
        """What was asked."""
        return f"Whether it holds of {self.expression}"

    def __repr__(self) -> str:
        return shown(
            f"CheckedClaims({self.expression}, clauses={len(self.clauses)}, warnings={len(self.warnings)})"
        )

    def __str__(self) -> str:
        lines = [str(one) for one in self.clauses]
        lines.append(
            f"as a whole it fits better than {self.fits_better_than:.0f}% of {self.num_others} other vectors"
        )
        return "\n".join(map(shown, [*lines, *(f"(!) {one}" for one in self.warnings)]))

    def _repr_html_(self) -> Markup:
        """The clauses, the darker the likelier, with what becomes of each."""
        rows = [
            [
                shaded(one.text, one.probability),
                one.verdict,
                f"{one.nearer_than:.0f}%",
                ", ".join(one.unread),
            ]
            for one in self.clauses
        ]
        return element(
            "div",
            element("p", element("code", self.expression)),
            table(["", "", "nearer than to", "not read"], rows),
            *(element("p", one) for one in self.warnings),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        clauses = [asdict(one) | {"verdict": one.verdict} for one in self.clauses]
        return asdict(self) | {"clauses": clauses, "warnings": list(self.warnings)}

    def to_pandas(self) -> Any:
        """A frame with a row for each clause. Raises UserError where pandas is not installed."""
        return to_frame(asdict(one) | {"verdict": one.verdict} for one in self.clauses)


def check_claims(
    asker: Asker, point: Point, text: str, *, question: str, others: int = 500, seed: int = 0
) -> CheckedClaims:
    """Weigh a text for a point and for `others` random items of its space (people, for a person).

    Raises UserError for a text that says nothing or too much.
    """
    check_whole("others", others, 1, 100_000)
    clauses = split_clauses(check_text("text", text, MOST_LETTERS))
    if not 1 <= len(clauses) <= MOST_CLAUSES:
        raise UserError(
            f"the text has {len(clauses)} clauses, and 1 to {MOST_CLAUSES} can be checked",
            "give a few sentences about the point",
        )
    asked = asker.prepare_points(question, {"x": point})
    weighed = asker.clauses_of(asked, text)
    words = asker.read_words(asked, [one.text for one in weighed])
    vectors = unit(asker.encoder.encode([text, *(one.text for one in weighed)]))
    others_MT = _others(asker.entry_of(point), point, others, check_seed(seed))
    percents = _lower(vectors @ asker.read(point), others_MT @ vectors.T).tolist()
    percentile = asker.percentile(point)
    return CheckedClaims(
        text=text,
        question=question,
        expression=point.expression,
        clauses=tuple(
            CheckedClause(
                text=one.text,
                probability=_share(one),
                nearer_than=percent,
                unread=read.unread,
                least_lift=read.least_lift,
            )
            for one, percent, read in zip(weighed, percents[1:], words, strict=True)
        ),  # fmt: skip
        fits_better_than=percents[0],
        num_others=len(others_MT),
        percentile=percentile,
        is_outside=percentile > OUTSIDE and point.item_id is None,
        flags=flagged(text) if asked.is_about_person else (),
        caution=asker.entry_of(point).caution,
    )


def _share(clause: Clause) -> float:
    if clause.probability is None:
        raise UserError("no weights of clauses are installed", "install the package again")
    return clause.probability


def _lower(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[C] percent of others [M, C] that lie below each of own [C]; of equal ones half, of none at all none."""
    if not len(others):
        return np.zeros(len(own))
    lower = (others < own - 1e-9).mean(0) + (np.abs(others - own) <= 1e-9).mean(0) / 2
    return np.asarray(100 * lower)


def _others(entry: SpaceEntry, point: Point, count: int, seed: int) -> np.ndarray:
    """[M, T] what the reader sees of random items, or of people where the point is one; its own parts are left out."""
    is_person = point.kind == "user" and entry.users is not None
    space = entry.users if is_person and entry.users is not None else entry.space
    own = {point.item_id, *point.parents}
    drawn = np.random.default_rng(seed).permutation(space.num_items)[: count + len(own)].tolist()
    rows = [row for row in drawn if space.ids[row] not in own][:count]
    return entry.alignment(space.vectors[rows], "user" if is_person else "item")
