"""Points as requests name them: by an expression, or by the numbers of a vector."""

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, Strict, StringConstraints

from vecspeak.errors import UserError
from vecspeak.points import Point
from vecspeak.server.served import Served

Short = Annotated[str, StringConstraints(max_length=20_000)]
Name = Annotated[str, StringConstraints(max_length=1000)]
"""Of a bundle, a space, a concept or a task."""

Number = Annotated[float, Strict()]
"""A number of JSON: no text that spells one, and neither true nor false."""


class StrictModel(BaseModel):
    """Part of a request that has these fields and no others."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Place(StrictModel):
    """A point of a space."""

    expression: Short = Field(
        default="", description='Such as "Heat" in quotes, mid("Heat", "Alien", 0.5), user("7").'
    )
    vector: list[Number] | None = Field(
        default=None, max_length=65_536, description="As many numbers as the space has."
    )
    kind: Literal["item", "user"] = Field(
        default="item", description="Of a vector: an item's, or a person's."
    )

    def point(self, reader: Served, space: str) -> Point:
        """The point. Raises UserError for none, for both an expression and a vector, and as `VecSpeak.point` does."""
        if bool(self.expression) == (self.vector is not None):
            raise UserError(
                "a point needs an expression or a vector, and one of them alone",
                'give "expression": "\\"Heat\\"" or "vector": [...]',
            )
        if self.vector is None:
            return reader.point(self.expression, space=space)
        kind: Literal["user"] | None = "user" if self.kind == "user" else None
        with np.errstate(over="ignore"):  # a number that float32 does not hold is refused as infinite
            vector = np.array(self.vector, np.float32)
        return reader.point(vector, kind=kind, space=space)
