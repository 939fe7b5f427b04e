"""Points as requests name them: by an expression, or by the numbers of a vector."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from vecspeak.errors import did_you_mean, listed
from vecspeak.inputs import is_query
from vecspeak.points import Point
from vecspeak.served import Served
from vecspeak.server.failures import Refused

Short = Annotated[str, StringConstraints(max_length=20_000)]
Name = Annotated[str, StringConstraints(max_length=1000)]
"""Of a bundle, a space, a concept or a task."""

Number = Annotated[float, Strict()]
"""A number of JSON: no text that spells one, and neither true nor false."""


class StrictModel(BaseModel):
    """Part of a request that has these fields and no others."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, given: Any) -> Any:
        for name in given if isinstance(given, dict) else ():
            if name not in cls.model_fields:
                allowed = list(cls.model_fields)
                raise PydanticCustomError("unknown_field", "unknown", {"field": name, "allowed": allowed})
        return given


class Place(StrictModel):
    """A point of a space."""

    expression: Short = Field(
        default="",
        description='Such as "Heat" in quotes, mid("Heat", "Alien", 0.5), user("7"), text: warm scarf.',
    )
    vector: list[Number] | None = Field(
        default=None, max_length=65_536, description="As many numbers as the space has."
    )
    kind: Literal["item", "user"] = Field(
        default="item", description="Of a vector: an item's, or a person's."
    )

    def point(self, reader: Served, space: str) -> Point:
        """The point. Raises UserError for none, for both an expression and a vector, and as `VecSpeak.point` does.

        An expression "text: warm scarf" is embedded by the encoder of the space, as `VecSpeak.query` does.
        """
        if bool(self.expression) == (self.vector is not None):
            raise Refused(
                "a point needs an expression or a vector, and one of them alone",
                'give "expression": "\\"Heat\\"" or "vector": [...]',
                code="no_point",
            )
        if is_query(self.expression):
            return reader.query(self.expression, space=space)
        if self.vector is None:
            return reader.point(self.expression, space=space)
        kind: Literal["user"] | None = "user" if self.kind == "user" else None
        with np.errstate(over="ignore"):  # a number that float32 does not hold is refused as infinite
            vector = np.array(self.vector, np.float32)
        return reader.point(vector, kind=kind, space=space)


def check_space(reader: Served, space: str) -> str:
    """The name of a space. Raises Refused for one that is not there."""
    if space not in reader.spaces:
        hint = did_you_mean(space, reader.spaces, f"there is {listed(reader.spaces, 10)}")
        raise Refused(
            f"there is no space {space[:80]!r}", hint, code="space_not_found", status=404, param="space"
        )
    return space


def _from_text(given: Any) -> Any:
    return {"expression": given} if isinstance(given, str) else given


AnyPlace = Annotated[Place, BeforeValidator(_from_text, json_schema_input_type=Short | Place)]
"""A point, or its expression alone."""
