"""What routes answer, as OpenAPI describes it."""

import json
from dataclasses import fields
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.responses import Response

from vecspeak.evidence import finite


class Health(BaseModel):
    """That the server runs."""

    status: str
    version: str


class Ready(BaseModel):
    """That questions are taken."""

    status: str


class ServedModel(BaseModel):
    """A bundle, as OpenAI's API lists a model."""

    id: str
    object: str
    created: int
    owned_by: str


class ServedModels(BaseModel):
    """The bundles."""

    object: str
    data: list[ServedModel]


class PartOfAnswer(BaseModel):
    """A clause, how likely it holds, its content words, and the signs that this was worked out from."""

    text: str
    probability: float | None = Field(
        description="That it holds of the true text, fitted on held-out items; null where nothing was fitted."
    )
    terms: list[str]
    signs: dict[str, float | None] | None
    unread: list[str] = Field(description="What of it is not read from vectors, such as names and numbers.")


class WordOfVector(BaseModel):
    """A word or a column's value that is read from a vector without a language model."""

    term: str
    probability: float = Field(description="That it stands in the point's text.")
    rate: float = Field(description="Share of all texts of the space that have it.")
    lift: float = Field(description="The probability by the rate.")
    kind: str
    column: str


class NearItem(BaseModel):
    """An item near a point, with its cosine (for a person the dot product)."""

    id: str
    label: str
    similarity: float


class PointEvidence(BaseModel):
    """A point that a question was about, and how far to trust what is said of it."""

    slot: str
    expression: str
    space: str
    label: str = Field(description="Of the item that the point is; empty where it is none.")
    is_item: bool
    is_user: bool
    held_out: bool = Field(description="Whether it is an item that nothing was fitted on.")
    nearest: list[NearItem] = Field(description="Without those that the point was made of.")
    percentile: float = Field(description="Percent of the real items that lie no farther from the data.")
    is_outside: bool = Field(description="Whether it lies outside the data: a percentile over 99.")
    round_trip: float = Field(
        description="Cosine of the answer's text, encoded, with the vector that was read."
    )
    swapped: float = Field(description="The same with the mean vector of the space: what any answer gets.")
    is_clear: bool = Field(description="Whether the round trip is above the swapped one by 0.1 or more.")
    warnings: list[str] = Field(alias="cautions", description="Why to doubt the point.")
    words: list[WordOfVector]


class DirectProbability(BaseModel):
    """An answer that was read in closed form."""

    probability: float | None = Field(description="Of yes, calibrated; null where no vector says it.")
    raised: float | None = Field(description="By how much the vector multiplied the odds of yes.")
    is_clear: bool = Field(description="Whether yes or no is likely.")


class AnswerEvidence(BaseModel):
    """Whether to trust an answer, and why."""

    trusted: bool
    answered: bool
    reasons: list[str]
    points: list[PointEvidence] = Field(description="In the order of the embeddings.")
    clauses: list[PartOfAnswer]
    flags: list[str] = Field(description="What it states of a person although ratings do not show it.")
    direct: DirectProbability | None = Field(description="Where no language model was asked.")
    notes: list[str] = Field(description="What of the request was not read.")


class AnswerMessage(BaseModel):
    """The answer with its evidence."""

    role: str
    content: str
    refusal: None
    evidence: AnswerEvidence


class AnswerChoice(BaseModel):
    """The only answer."""

    index: int
    message: AnswerMessage
    finish_reason: str
    logprobs: None


class Usage(BaseModel):
    """Tokens of the question with its vectors, and of the answer's text."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(BaseModel):
    """An answer as OpenAI's API sends it."""

    id: str
    object: str
    created: int
    model: str
    choices: list[AnswerChoice]
    usage: Usage | None


class SpaceFacts(BaseModel):
    """A space."""

    name: str
    digest: str = Field(
        description="Of items, vectors, concepts, regions; with it as `if-match` a call is of these."
    )
    num_items: int
    dim: int
    encoder: str
    num_users: int
    concepts: list[str]
    num_regions: int
    caution: str


class SpacesFacts(BaseModel):
    """The spaces of a bundle."""

    spaces: list[SpaceFacts]


class ListedItem(BaseModel):
    """An item."""

    id: str
    label: str


class ItemsPage(BaseModel):
    """Items of a space, some of them."""

    total: int
    offset: int
    items: list[ListedItem]


class PointSummary(BaseModel):
    """A point without a language model."""

    expression: str
    kind: str
    percentile: float = Field(description="Percent of the real items that lie no farther from the data.")
    nearest: list[NearItem]
    words: list[WordOfVector]
    map: list[float] | None = Field(description="Its place on the map; null where none was made.")
    notes: list[str]


class WalkStep(PointSummary):
    """A point on the way from one to another."""

    share: float = Field(description="Of the way: 0 the first point, 1 the second.")
    vector: list[float]


class Walk(BaseModel):
    """What lies on the straight line between two points."""

    steps: list[WalkStep]


class PullStep(PointSummary):
    """A point along a concept."""

    amount: float = Field(description="Standard deviations of the items.")
    vector: list[float]


class Pull(BaseModel):
    """What a point becomes along a concept."""

    caution: str = Field(description="Why not to trust the concept; empty where there is no reason.")
    steps: list[PullStep]


class ItemLabels(BaseModel):
    """Ids and labels of all items, in one order."""

    ids: list[str]
    labels: list[str]


class ItemText(BaseModel):
    """An item with its own text, empty where it has none."""

    id: str
    label: str
    text: str


class ColorSources(BaseModel):
    """The names that a map can be coloured by, for each kind; any word can be one."""

    sources: dict[str, list[str]]


class ItemShades(BaseModel):
    """A shade for each item."""

    source: str
    name: str
    names: list[str] = Field(description="Of values that are no numbers, by shade.")
    range: list[float] = Field(description="The smallest value and the largest.")
    shades: str = Field(description="Base64 of a byte for each item: 0 to 254, 255 for none.")


class ListedTask(BaseModel):
    """A task that the reader was taught."""

    name: str
    question: str
    slots: list[str]
    of_person: bool


class ListedTasks(BaseModel):
    """The tasks, in the words of a space."""

    tasks: list[ListedTask]
    learned: bool = Field(
        description="Whether the reader learned them on this space; of others it can but describe."
    )


class ListedConcept(BaseModel):
    """A concept, and why not to trust it; the caution is empty where there is no reason."""

    name: str
    caution: str
    source: str


class ListedConcepts(BaseModel):
    """The concepts of a space."""

    concepts: list[ListedConcept]


class ListedRegion(BaseModel):
    """A region of the atlas."""

    number: int
    name: str
    num_items: int


class ListedRegions(BaseModel):
    """The regions of a space; none where it has no atlas yet."""

    regions: list[ListedRegion]


@cache
def shape_of(result: type) -> type[BaseModel]:
    """A model with the keys of a result of the library, which says more of itself in `docs/api.md`."""
    keys: dict[str, Any] = {one.name: (Any, ...) for one in fields(result)}
    return create_model(result.__name__, __config__=ConfigDict(extra="allow"), __doc__=result.__doc__, **keys)


def answers(model: type) -> dict[int | str, dict[str, Any]]:
    """How OpenAPI describes what a route answers where it does not refuse."""
    return {200: {"description": "Successful Response", "model": model}}


def reply(value: Any) -> Response:
    """Plain values as JSON in ASCII, so that half a character in a text can be sent too; null for no number."""
    return Response(encoded(value), media_type="application/json")


def encoded(value: Any) -> str:
    """The same as text."""
    return json.dumps(finite(value), allow_nan=False)
