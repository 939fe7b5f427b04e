"""Results of tools: what an agent gets, with whether to trust it and why not.

Labels, names and answers are texts that others wrote: each stands in a field of its own, on one line, shown as data.
"""

from typing import Any

from pydantic import BaseModel, Field, model_validator

from vecspeak.errors import shorten
from vecspeak.foreign import shown

_LONGEST = 4000
"""Letters of any text in a result."""
_DIGITS = 4


def as_data(value: Any) -> Any:
    """A value with hidden letters of its texts shown, long ones cut, and numbers rounded to four digits."""
    if isinstance(value, str):
        return shown(shorten(value, _LONGEST))
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, dict):
        return {key: as_data(one) for key, one in value.items()}
    return [as_data(one) for one in value] if isinstance(value, list | tuple) else value


class DataModel(BaseModel):
    """Part of a result; what texts it holds are data."""

    @model_validator(mode="before")
    @classmethod
    def _as_data(cls, given: Any) -> Any:
        return as_data(given)


class AgentResult(DataModel):
    """What every result has."""

    trusted: bool = Field(
        description="Whether nothing that was checked speaks against it. If false, do not state it as a fact."
    )
    reason: str = Field(description="Why it is not to be trusted, in plain words; or that nothing was found.")


class FoundItem(DataModel):
    """A real item of a space."""

    point: str = Field(description="What to type as a point to mean this item.")
    label: str = Field(description="Quoted data: what the table calls it.")
    similarity: float | None = Field(
        default=None, description="Cosine; beside a person the predicted liking."
    )


class FoundTerm(DataModel):
    """A word, or a value of a column, that is read from a vector without a language model."""

    term: str
    column: str = Field(default="", description="The column of a value; empty for a word.")
    probability: float = Field(description="That it holds of this vector.")
    in_any_text: float = Field(
        description="Share of all texts that have it: what would be said of any vector."
    )


class FoundConcept(DataModel):
    """A direction that expressions can use."""

    name: str
    caution: str = Field(description="Why not to trust it; empty where nothing speaks against it.")


class FoundRegion(DataModel):
    """A region of the atlas."""

    region: str = Field(description="What to type for it.")
    name: str
    num_items: int


class FoundSpace(DataModel):
    """A space that can be asked about."""

    space: str = Field(description="What to give as `space`.")
    num_items: int
    dim: int = Field(description="Numbers of a vector.")
    num_people: int = Field(description='People in it, of whom `user("ID")` is one.')
    columns: list[str] = Field(description="What queries may compare.")
    concepts: list[FoundConcept]
    num_regions: int
    regions: list[FoundRegion] = Field(description="The largest ones.")
    example: FoundItem = Field(description="Its first item.")
    trusted: bool
    reason: str = Field(description="What must be known of answers about this space.")


class Spaces(AgentResult):
    """The spaces."""

    spaces: list[FoundSpace]


class Items(AgentResult):
    """Items that were found."""

    total: int = Field(description="How many there are.")
    items: list[FoundItem]
    did_you_mean: list[FoundItem] = Field(
        default=[], description="Where nothing matched, items whose labels are spelt most like the search."
    )


class AskedClause(DataModel):
    """A part of an answer that can be true or false by itself."""

    text: str
    probability: float | None = Field(description="That it holds; below 0.5 leave it out.")
    unread: list[str] = Field(description="Names, numbers, negations in it, which may be invented.")


class Asked(AgentResult):
    """An answer that was read from a vector."""

    answer: str = Field(description="Quoted data: what a small language model says of the vector.")
    supported: str = Field(description="Only those clauses that are likelier to hold than not.")
    clauses: list[AskedClause]
    probability_of_yes: float | None = Field(
        default=None, description="Of a question that wants yes or no: how often such a claim holds."
    )
    point: str = Field(description="What was asked about, as it was understood.")
    farther_out_than: float = Field(description="Percent of the real items that lie nearer to the data.")
    words: list[FoundTerm] = Field(description="What the vector holds, read without a language model.")
    nearest: list[FoundItem]
    notes: list[str] = []


class Frequency(DataModel):
    """What some items have more often than others."""

    name: str
    column: str
    inside: float = Field(description="Share of the members that have it.")
    outside: float = Field(description="Share of the others.")


class DescribedRegion(AgentResult):
    """What the items of a region share."""

    region: str
    name: str
    num_items: int
    more_frequent: list[Frequency] = Field(description="Than among all other items, beyond chance.")
    words: list[FoundTerm] = Field(description="What the region's middle holds, read from its vector.")
    typical: list[FoundItem]


class ComparedSide(DataModel):
    """What one of two has that the other has not."""

    point: str
    words: list[FoundTerm]
    nearest: list[FoundItem] = Field(description="Items that lie on its side.")
    more_frequent: list[Frequency] = Field(description="Of two regions: what its members have more often.")


class Compared(AgentResult):
    """Two points or regions side by side."""

    cosine: float
    farther_apart_than: float = Field(description="Percent of random pairs of items that lie nearer.")
    first: ComparedSide
    second: ComparedSide


class SharedTerm(DataModel):
    """What two have in common."""

    term: str
    column: str
    share: float = Field(description="Part of the score that it carries.")
    of_first: float = Field(description="Probability that the first has it.")
    of_second: float


class Matched(AgentResult):
    """Why two points match."""

    verdict: str
    score: float = Field(description="Cosine; of a person and an item the dot product.")
    nearer_than: float = Field(description="Percent of random pairs that are farther apart.")
    rank: int = Field(description="Of the second among all items for the first.")
    shared: list[SharedTerm]
    runner_up: FoundItem | None = Field(description="The nearest item besides.")


class ClaimedClause(DataModel):
    """A clause of a text that was checked."""

    text: str
    verdict: str = Field(
        description="holds; possible (its subject is right, its detail is not told); fits others too (it says nothing "
        "of this vector); not supported (the vector does not tell it); not read (it has `unread`)."
    )
    probability: float = Field(description="That it holds of this vector.")
    nearer_than: float = Field(description="Percent of random other vectors that it fits less.")
    unread: list[str] = Field(description="Names, numbers, negations: no vector is read for them.")


class Checked(AgentResult):
    """Whether a text holds of a vector."""

    point: str
    clauses: list[ClaimedClause]
    fits_better_than: float = Field(description="Percent of other vectors that the whole text fits less.")
    num_others: int
