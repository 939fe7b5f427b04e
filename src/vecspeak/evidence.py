"""What came of a question: an answer, and for each of its points the evidence to judge it by."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass
from html import escape
from typing import Any

from vecspeak.errors import require

CLEAR_MARGIN = 0.1
"""Rule of thumb: a round trip counts when it exceeds the mean of other items by this cosine."""
OUTSIDE = 99.0
"""Percentile of the distance from the data beyond which a point lies outside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbor:
    """A real item near a point."""

    id: str
    label: str
    similarity: float
    """Cosine in the space itself; next to a person the dot product, which is the predicted liking and may exceed 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How far to trust what was said of one point."""

    slot: str
    expression: str
    nearest: tuple[Neighbor, ...]
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
    text: str | None = None
    """The item's own text, where the point is an item that has one; for showing, not in files."""
    warnings: tuple[str, ...] = ()
    """One sentence for each reason to doubt the point: untrusted concepts, uninformative ratings."""

    @property
    def is_outside(self) -> bool:
        """Whether the point lies farther out than OUTSIDE percent of the real items do."""
        return self.percentile > OUTSIDE and not self.is_item

    @property
    def is_clear(self) -> bool:
        """Whether the answer fits its own vector better than others by CLEAR_MARGIN or more."""
        return self.round_trip - self.swapped >= CLEAR_MARGIN

    def to_dict(self) -> dict[str, Any]:
        """The fields under the names that files and `--json` have: `cautions` for the warnings."""
        found = asdict(self)
        found["cautions"] = found.pop("warnings")
        del found["text"]
        return found

    def _html(self) -> str:
        """What the point is, and its numbers as bars."""
        point = f"<code>{{{escape(self.slot)}}} = {escape(self.expression)}</code>"
        own = f"<blockquote>{escape(self.text)}</blockquote>" if self.text else ""
        rows = "".join(
            f"<tr><td>{name}</td><td>{_bar(share)}</td><td>{shown}</td></tr>"
            for name, share, shown in (
                ("round trip", self.round_trip, f"{self.round_trip:.2f}{'' if self.is_clear else ' weak'}"),
                ("against other items", self.swapped, f"{self.swapped:.2f}"),
                (
                    "farther from the data than",
                    self.percentile / 100,
                    f"{self.percentile:.0f}%{' OUTSIDE' if self.is_outside else ''}",
                ),
            )
        )
        near = "; ".join(f"{escape(one.label)} ({one.similarity:.2f})" for one in self.nearest)
        name = "should like" if self.is_user else "nearest items"
        return f"<div>{point}{own}<table>{rows}</table><small>{name}: {near}</small></div>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer and its evidence, one item per slot of the question."""

    question: str
    text: str
    evidence: tuple[Evidence, ...]
    flags: tuple[str, ...] = ()
    """Attributes that the answer states of a person although ratings do not show them (`tasks.privacy`)."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each reason not to believe the answer; empty where none was found."""
        flags = " and ".join(self.flags)
        found = [f"it states {flags} of a person, which ratings do not tell"] if flags else []
        for one in self.evidence:
            found += [f"{one.expression} lies outside the data"] * one.is_outside
            found += [f"it would fit many items nearly as well as {one.expression}"] * (not one.is_clear)
            found += one.warnings
        return tuple(found)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 60 else self.text[:57] + "..."
        return f"Answer({text!r}, warnings={len(self.warnings)})"

    def _repr_html_(self) -> str:
        """The answer, what was asked about, and the evidence; shown by notebooks."""
        doubts = "".join(f"<li>{escape(one)}</li>" for one in self.warnings)
        return (
            f'<div class="vecspeak-answer"><small>{escape(self.question)}</small>'
            f"<p><strong>{escape(self.text) or '(no answer)'}</strong></p>"
            f"{''.join(one._html() for one in self.evidence)}{f'<ul>{doubts}</ul>' if doubts else ''}</div>"
        )

    def to_dict(self) -> dict[str, Any]:
        """What `vecspeak ask --json` prints."""
        verdicts = [{"is_outside": one.is_outside, "is_clear": one.is_clear} for one in self.evidence]
        return {
            "question": self.question,
            "text": self.text,
            "trust": [one.to_dict() | verdict for one, verdict in zip(self.evidence, verdicts, strict=True)],
            "flags": list(self.flags),
        }


class Answers(tuple[Answer, ...]):
    """Answers in the order of the points; prints one a line, and becomes a frame.

    >>> vs.ask_batch("Describe {x}.", x=matrix).to_pandas()
    """

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def _repr_html_(self) -> str:
        return "".join(one._repr_html_() for one in self)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Each answer as `Answer.to_dict`."""
        return [one.to_dict() for one in self]

    def to_pandas(self) -> Any:
        """A frame with a row for each answer and point. Raises UserError where pandas is not installed."""
        return require("pandas", "notebook").DataFrame(list(self._rows()))

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


def _bar(share: float) -> str:
    """A bar of a share of 1, wide as 120 pixels."""
    width = round(120 * min(max(share, 0.0), 1.0))
    return f'<div style="background:#4477aa;height:0.6em;width:{width}px"></div>'


def plain(value: Any) -> Any:
    """A result as dictionaries, lists and numbers for JSON, with evidence under its names in files."""
    if isinstance(value, Evidence):
        return plain(value.to_dict())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value
