"""What came of a question: an answer, and for each of its points the evidence to judge it by."""

from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any

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
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer and its evidence, one item per slot of the question."""

    question: str
    text: str
    evidence: tuple[Evidence, ...]
    flags: tuple[str, ...] = ()
    """Attributes that the answer states of a person although ratings do not show them (`tasks.privacy`)."""

    def to_dict(self) -> dict[str, Any]:
        """What `vecspeak ask --json` prints."""
        verdicts = [{"is_outside": one.is_outside, "is_clear": one.is_clear} for one in self.evidence]
        return {
            "question": self.question,
            "text": self.text,
            "trust": [one.to_dict() | verdict for one, verdict in zip(self.evidence, verdicts, strict=True)],
            "flags": list(self.flags),
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
