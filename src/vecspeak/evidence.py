"""What came of a question: an answer, and for each of its points the evidence to judge it by."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from itertools import groupby
from math import isfinite
from textwrap import shorten
from typing import Any, Literal

from markupsafe import Markup

from vecspeak.display import bar, bullets, element, shaded, table, to_frame
from vecspeak.errors import listed
from vecspeak.foreign import shown

CLEAR_MARGIN = 0.1
"""Rule of thumb: a round trip counts when it exceeds the mean of other items by this cosine."""
OWN_TEXT = 240
"""Characters of an item's own text that are printed beside an answer."""
OUTSIDE = 99.0
"""Percentile of the distance from the data beyond which a point lies outside it."""
SUPPORTED = 0.5
"""Probability from which on a clause counts as supported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbor:
    """A real item near a point.

    >>> print(Neighbor(id="m1", label="Heat", similarity=0.5))
    Heat (0.50)
    """

    id: str
    label: str
    similarity: float
    """Cosine in the space itself; next to a person the dot product, which is the predicted liking and may exceed 1."""

    def __str__(self) -> str:
        return f"{self.label} ({self.similarity:.2f})"


class Neighbors(tuple[Neighbor, ...]):
    """The real items nearest to a point, nearest first; prints on one line, and becomes a frame."""

    __slots__ = ()

    def __str__(self) -> str:
        return shown("; ".join(map(str, self)))

    def _repr_html_(self) -> Markup:
        rows = ([one.label, one.id, bar(one.similarity, f"{one.similarity:.2f}")] for one in self)
        return table(["item", "id", "similarity"], rows)

    def to_pandas(self) -> Any:
        """A frame with a row for each item. Raises UserError where pandas is not installed."""
        return to_frame(map(asdict, self))


TermKind = Literal["word", "name", "fragment", "value"]
"""A value is what a column of the space holds, such as a genre."""


def term_name(term: str, column: str) -> str:
    """How a term is printed, and asked for: a value with its column, for its words alone may be another term.

    >>> term_name("war", ""), term_name("War", "genres")
    ('war', 'War (genres)')
    """
    return f"{term} ({column})" if column else term


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTerm:
    """A word, a two-word term or a column's value that is read from a vector in closed form.

    >>> term = ReadTerm(term="submarine", probability=0.4, rate=0.004)
    >>> print(term, round(term.lift))
    submarine 0.40 100
    """

    term: str
    probability: float
    """That it stands in the vector's text, or in its column; calibrated on texts that the lexicon was not fitted on."""
    rate: float
    """Share of all texts that have it: what would be said of any vector."""
    kind: TermKind = "word"
    column: str = ""
    """Column of a value."""

    @property
    def lift(self) -> float:
        """How many times as probable as in any text."""
        return self.probability / self.rate

    def __str__(self) -> str:
        return f"{term_name(self.term, self.column)} {self.probability:.2f}"


class Words(tuple[ReadTerm, ...]):
    """The terms that say most about a point, best first; prints on one line, and becomes a frame."""

    __slots__ = ()

    def __str__(self) -> str:
        return shown("; ".join(map(str, self)))

    def _repr_html_(self) -> Markup:
        rows = (
            [one.term, one.column, bar(one.probability, f"{one.probability:.2f}"), f"{one.rate:.3f}"]
            for one in self
        )
        return table(["term", "column", "probability", "in all texts"], rows)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Plain values for JSON."""
        return [asdict(one) | {"lift": one.lift} for one in self]

    def to_pandas(self) -> Any:
        """A frame with a row for each term. Raises UserError where pandas is not installed."""
        return to_frame(self.to_dicts())


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How far to trust what was said of one point.

    >>> point = 0.5 * (space["The Thaw"] + space["Pale Rider"])
    >>> found = vs.ask("Describe {x}.", x=point, max_new_tokens=16).evidence[0]
    >>> found.expression, found.is_item, found.is_outside
    ('0.5*("The Thaw" + "Pale Rider")', False, False)
    >>> found.nearest.to_pandas().columns.tolist()
    ['id', 'label', 'similarity']
    """

    slot: str
    expression: str
    nearest: Neighbors
    """The nearest real items, without those that the point was made from."""
    percentile: float
    """Percent of the real items (of the people, for a person) that lie nearer to their neighbors than this point."""
    round_trip: float
    """Cosine of the encoder's vector of the answer with the vector that the reader saw."""
    is_user: bool
    """Whether the point is a person; its nearest items are then those with the highest predicted liking."""
    is_item: bool
    """Whether the point is exactly one real item, which cannot lie outside the data."""
    swapped: float
    """Mean round trip with the vectors of other items: the baseline that a generic answer reaches."""
    space: str = ""
    """Name of the space that the point lies in."""
    label: str = ""
    """The item's label, where the point is an item."""
    text: str | None = None
    """The item's own text, where the point is an item that has one; for showing, not in files."""
    held_out: bool = False
    """Whether the point is an item that nothing of its space was fitted on."""
    warnings: tuple[str, ...] = ()
    """One sentence for each reason to doubt the point: untrusted concepts, uninformative ratings."""
    words: Words = Words()  # noqa: RUF009  # an empty tuple
    """What is read from the point without a language model, with probabilities; empty where no lexicon reads it."""

    @property
    def is_outside(self) -> bool:
        """Whether the point lies farther out than OUTSIDE percent of the real items do."""
        return self.percentile > OUTSIDE and not self.is_item

    @property
    def distance(self) -> str:
        """How far from the data the point lies, in words."""
        share = f"{int(self.percentile)}% of the {'people' if self.is_user else 'items'}"
        if self.is_item:
            return f"A real item; {share} have nearer neighbors."
        if self.is_outside:
            return f"OUTSIDE the data: farther from it than {share}. Do not trust what is said here."
        return f"Inside the data: farther from it than {share}."

    @property
    def is_clear(self) -> bool:
        """Whether the answer fits its own vector better than others by CLEAR_MARGIN or more."""
        return self.round_trip - self.swapped >= CLEAR_MARGIN

    @property
    def point(self) -> str:
        """The expression, and the item's label where the expression does not hold it: id("m12") "Heat"."""
        return f'{self.expression} "{self.label}"' if self.label not in self.expression else self.expression

    @property
    def origin(self) -> str:
        """What was known of an item before it was asked about."""
        return "held out: nothing was fitted on it" if self.held_out else "fitted on"

    @property
    def own_text(self) -> str:
        """The beginning of the item's own text; empty where it has none."""
        return shorten(" ".join((self.text or "").split()), OWN_TEXT, placeholder=" ...")

    def to_dict(self) -> dict[str, Any]:
        """The fields under the names that files and `--json` have: `cautions` for the warnings."""
        found = asdict(self)
        found["cautions"] = found.pop("warnings")
        del found["text"]
        found["words"] = self.words.to_dicts()
        return found

    def __str__(self) -> str:
        doubts = [
            name for name, holds in (("weak", not self.is_clear), ("OUTSIDE", self.is_outside)) if holds
        ]
        return (
            f"{self.slot} = {self.point}: round trip {self.round_trip:.2f}, {self.swapped:.2f} with other "
            f"items; farther from the data than {self.percentile:.0f}% of the items"
            f"{''.join(f' [{one}]' for one in doubts)}; nearest: {self.nearest}"
            f"{f'; words: {self.words}' if self.words else ''}"
        )

    def _repr_html_(self) -> Markup:
        """What the point is, how far from the data, its own text, how the answer fits it, and what is near and read."""
        point = Markup("<code>{{{}}} = {}</code>").format(self.slot, self.point)
        weak = "" if self.is_clear else " weak"
        numbers = table(
            [],
            [
                ["round trip", bar(self.round_trip, f"{self.round_trip:.2f}{weak}")],
                ["with other items' vectors", bar(self.swapped, f"{self.swapped:.2f}")],
            ],
        )
        near = f"{'should like' if self.is_user else 'nearest items'}: {self.nearest}"
        words = element("details", element("summary", "words of the vector"), self.words._repr_html_())
        return element(
            "div", point, element("p", self.distance), element("blockquote", self.text or ""), numbers,
            element("small", near), words if self.words else "",
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseSigns:
    """What speaks for a clause; None where a sign is not to be had."""

    lift: float | None
    """Nats a token by which the vector made it likelier than the mean vector would have."""
    probability: float | None
    """Mean probability that the lexicon gives its terms."""
    log_lift: float | None
    """Mean of log(probability / rate) of its terms."""
    least: float | None
    """Least probability of a term."""
    agreement: float | None
    """Mean share of the drafts in which its terms come."""
    loss: float
    """What the round trip of the answer loses without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A part of an answer that can be true or false by itself, and how far the vector supports it."""

    text: str
    """With the space behind it: joined, the clauses are the answer."""
    probability: float | None
    """That it holds of the item's true text, calibrated on held-out items; None where that was not fitted."""
    terms: tuple[str, ...] = ()
    """Its content words, as the lexicon has them."""
    unread: tuple[str, ...] = ()
    """Names, numbers, negations and rare words in it, which no vector is read for and which may be invented."""
    signs: ClauseSigns | None = None
    """What the probability was made of."""

    @property
    def is_supported(self) -> bool:
        """Whether it is likelier to hold than not."""
        return self.probability is not None and self.probability >= SUPPORTED

    @property
    def doubt(self) -> str:
        """What of it may be invented, to stand behind it; empty where nothing is, or it is doubted as a whole."""
        return f"  (may be invented: {listed(self.unread)})" if self.unread and self.is_supported else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectAnswer:
    """What is said of a question without a language model: of yes and no, and of what a vector cannot say."""

    text: str
    """The answer in words."""
    probability: float | None = None
    """Of yes, by how often such words stand in such texts; None where the vector does not say."""
    raised: float | None = None
    """By how much the vector multiplied the odds of yes; what compares answers about rare and about common words."""
    is_clear: bool = True
    """Whether yes or no is likely; not where the vector makes little difference."""
    terms: tuple[ReadTerm, ...] = ()
    """The words of the question that were looked for."""

    def to_dict(self) -> dict[str, Any]:
        """What stands beside the text in JSON."""
        return {"probability": self.probability, "raised": self.raised, "is_clear": self.is_clear}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer and its evidence, one item per slot of the question, which print below the text.

    >>> answer = vs.ask("Describe {x}.", x="The Thaw", max_new_tokens=16)
    >>> answer.text in str(answer), answer.warnings
    (True, ())
    >>> answer.evidence[0].round_trip > answer.evidence[0].swapped    # fits its own vector better than others
    True
    """

    question: str
    text: str
    evidence: tuple[Evidence, ...]
    flags: tuple[str, ...] = ()
    """Attributes that the answer states of a person although ratings do not show them (`tasks.privacy`)."""
    clauses: tuple[Clause, ...] = ()
    """The text in parts, each with the probability that it holds; none where they were not weighed."""
    direct: DirectAnswer | None = None
    """Where the answer was read in closed form, and no language model asked."""
    writer: str = ""
    """The language model that wrote it from what was read, and never saw the vector; empty for the reader itself."""
    is_cut: bool = False
    """Whether the room for tokens ended it; of a search, and of an engine that counts no tokens, that is not said."""

    @property
    def is_answered(self) -> bool:
        """Whether something was answered: no for an empty text, and where it is said that no vector says it."""
        return bool(self.text) and (self.direct is None or self.direct.probability is not None)

    @property
    def written_by(self) -> str:
        """Who wrote it, as a line; empty for the reader itself."""
        shown = f"written by {self.writer}, which never saw the vector, from what was read of it"
        return shown if self.writer else ""

    @property
    def supported_text(self) -> str:
        """The clauses that are likelier to hold than not, dots between those that stood apart.

        The whole text where clauses were not weighed.
        """
        if not any(one.probability is not None for one in self.clauses):
            return self.text
        pieces = [
            "".join(one.text for one in some).strip()
            for is_supported, some in groupby(self.clauses, key=lambda one: one.is_supported)
            if is_supported
        ]
        return " ... ".join(pieces)

    @property
    def doubt_of_names(self) -> str:
        """What may be invented in the clauses that likely hold, in a sentence; the others are doubted as a whole."""
        doubted = dict.fromkeys(word for one in self.clauses if one.is_supported for word in one.unread)
        said = "no vector is read for names, numbers, negations and rare words, which may be invented"
        return f"{said}: {listed(doubted)}" if doubted else ""

    @property
    def supported(self) -> "Answer":
        """The answer with these clauses alone."""
        if not any(one.probability is not None for one in self.clauses):
            return self
        left = tuple(one for one in self.clauses if one.is_supported)
        return replace(self, text=self.supported_text, clauses=left)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each reason not to believe the answer; empty where none was found."""
        flags = " and ".join(self.flags)
        found = [f"it states {flags} of a person, which ratings do not tell"] if flags else []
        for one in self.evidence:
            found += [f"{one.expression} lies outside the data"] * one.is_outside
            is_vague = not one.is_clear and self.direct is None
            found += [f"it would fit many items nearly as well as {one.expression}"] * is_vague
            found += one.warnings
        return tuple(found)

    def __str__(self) -> str:
        """The text, a line of evidence for each point, and a line for each reason not to believe it."""
        lines = [self.text or "(no answer)"]
        lines += [
            f"  {one.probability:.2f} {one.text.strip()}{one.doubt}"
            for one in self.clauses
            if one.probability is not None
        ]
        for one in self.evidence:
            lines += [f"  {one}", *([f"  {one.slot}'s own text: {one.own_text}"] if one.own_text else [])]
        lines += [f"  {self.written_by}"] if self.writer else []
        return "\n".join([*lines, *(f"  (!) {one}" for one in self.warnings)])

    def __repr__(self) -> str:
        return f"Answer({shorten(self.text, 60, placeholder='...')!r}, warnings={len(self.warnings)})"

    def _repr_html_(self) -> Markup:
        """The answer, what was asked about, and the evidence; shown by notebooks."""
        return element(
            "div",
            element("small", self.question),
            element("p", element("strong", self.shaded_text)),
            element("small", self.written_by),
            *(one._repr_html_() for one in self.evidence),
            bullets(self.warnings),
        )

    @property
    def shaded_text(self) -> Markup | str:
        """The text as HTML, its clauses the darker the likelier they hold."""
        if not self.clauses:
            return self.text or "(no answer)"
        return Markup("").join(
            one.text if one.probability is None else shaded(one.text, one.probability) for one in self.clauses
        )

    def to_dict(self) -> dict[str, Any]:
        """What `vecspeak ask --json` prints."""
        verdicts = [{"is_outside": one.is_outside, "is_clear": one.is_clear} for one in self.evidence]
        return {
            "question": self.question,
            "text": self.text,
            "trust": [one.to_dict() | verdict for one, verdict in zip(self.evidence, verdicts, strict=True)],
            "flags": list(self.flags),
            "clauses": [asdict(one) for one in self.clauses],
            "writer": self.writer,
            "direct": self.direct and self.direct.to_dict(),
        }


class Answers(tuple[Answer, ...]):
    """Answers in the order of the points; prints them with their evidence, and becomes a frame.

    >>> answers = vs.ask_batch("Describe {x}.", x=space.vectors[:3], max_new_tokens=8)
    >>> answers.to_pandas()[["answer", "slot", "is_outside"]]
       answer slot  is_outside
    0       0    x       False
    1       1    x       False
    2       2    x       False
    """

    __slots__ = ()

    def __str__(self) -> str:
        return "\n\n".join(map(str, self))

    @property
    def texts(self) -> list[str]:
        """The texts alone."""
        return [one.text for one in self]

    def _repr_html_(self) -> Markup:
        return Markup("").join(one._repr_html_() for one in self)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Each answer as `Answer.to_dict`."""
        return [one.to_dict() for one in self]

    def to_pandas(self) -> Any:
        """A frame with a row for each answer and point. Raises UserError where pandas is not installed."""
        return to_frame(self._rows())

    def _rows(self) -> Iterator[dict[str, Any]]:
        for number, answer in enumerate(self):
            for one in answer.evidence:
                yield {
                    "answer": number,
                    "question": answer.question,
                    "text": answer.text,
                    "slot": one.slot,
                    "expression": one.expression,
                    "space": one.space,
                    "round_trip": one.round_trip,
                    "swapped": one.swapped,
                    "is_clear": one.is_clear,
                    "percentile": one.percentile,
                    "is_outside": one.is_outside,
                    "nearest": [near.label for near in one.nearest],
                    "warnings": list(one.warnings),
                }


def plain(value: Any) -> Any:
    """A result as dictionaries, lists and numbers for JSON, with evidence under its names in files."""
    if isinstance(value, Evidence):
        return plain(value.to_dict())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def finite(value: Any) -> Any:
    """Plain values with None for what is no number, which JSON has no word for."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, list | tuple) else value
