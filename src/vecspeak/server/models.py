"""What routes answer, as OpenAPI describes it."""

import json
from dataclasses import fields
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model
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
    probability: float | None
    terms: list[str]
    signs: dict[str, float | None] | None


class AnswerEvidence(BaseModel):
    """Whether to trust an answer, and why."""

    trusted: bool
    answered: bool
    reasons: list[str]
    points: list[dict[str, Any]]
    clauses: list[PartOfAnswer]
    flags: list[Any]
    direct: dict[str, float] | None
    notes: list[str]


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


class NearItem(ListedItem):
    """An item near a point, with its cosine (for a person the dot product)."""

    similarity: float


class PointSummary(BaseModel):
    """A point without a language model."""

    model_config = ConfigDict(extra="allow")
    expression: str
    kind: str
    percentile: float
    nearest: list[NearItem]
    words: list[dict[str, Any]]
    notes: list[str]


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
