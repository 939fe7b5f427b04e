"""Point: one vector of a space and how it is written; Direction: what may be added to a point. Both do arithmetic."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, Union

import numpy as np

from vecspeak.errors import UserError
from vecspeak.storage import digest

PointKind = Literal["item", "user", "made"]
Form = Literal["vector", "atom", "product", "sum"]
"""How tightly an expression holds together, which says where it needs brackets.

A vector holds as an atom does: it is one that somebody brought, as it is, so that it may be declared a person's."""

ESCAPES = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "t": "\t", "r": "\r"}
"""What a letter after a backslash stands for inside quotes."""
_ROUNDED = 1e-3
"""Share of its largest number by which a vector may change when it becomes float32."""
_WRITTEN_OUT = 8
"""Numbers of a vector up to which its canonical text has all of them."""


def quoted(text: str) -> str:
    """The text in double quotes, on one line, as an expression takes it."""
    letters = {value: f"\\{letter}" for letter, value in ESCAPES.items() if value != "'"}
    return '"' + "".join(letters.get(character, character) for character in text) + '"'


def number_text(value: float) -> str:
    """The shortest text that gives the number back."""
    return str(value) if isinstance(value, int) else repr(value).removesuffix(".0")


def vector_text(vector: np.ndarray) -> str:
    """Canonical text of a vector that a person brings: all of up to 8 numbers, else two and a digest.

    >>> vector_text(np.array([0.5, -1.0], dtype=np.float32))
    '[0.5, -1]'
    """
    vector = np.asarray(vector, dtype=np.float32)
    shown = [number_text(float(str(number))) for number in vector[:_WRITTEN_OUT]]
    if len(vector) <= _WRITTEN_OUT:
        return f"[{', '.join(shown)}]"
    shortened = digest(vector.astype("<f4"))[:12]
    return f"[{shown[0]}, {shown[1]}, ... {len(vector)} numbers, sha256 {shortened}]"


def as_float32(vector: np.ndarray, expression: str) -> np.ndarray:
    """[D] float32; UserError where a vector is so short or so long that float32 loses its direction."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = vector.astype(np.float32)
    largest = float(np.abs(vector).max(initial=0))
    if 0 < largest < np.inf and np.abs(rounded - vector).max() > _ROUNDED * largest:
        far = "so short that its direction is lost" if largest < 1 else "too far out to be computed"
        raise UserError(f"{expression} is {far}", "use numbers nearer to 1")
    return rounded


class Arithmetic(ABC):
    """The operators + - * / of points, directions and concepts; numbers may only be factors."""

    __slots__ = ()
    __array_ufunc__ = None
    """Keeps NumPy from taking `array + point` apart number by number: it comes to `__radd__` whole."""

    @abstractmethod
    def as_term(self) -> "Term":
        """The point or the direction that takes part in a sum."""

    def __add__(self, other: Any) -> Any:
        return _sum(self.as_term(), other, "+")

    def __sub__(self, other: Any) -> Any:
        return _sum(self.as_term(), other, "-")

    def __radd__(self, other: Any) -> Any:
        return _sum(self.as_term(), other, "+")  # never a term, which would have been asked first

    __rsub__ = __radd__

    def __mul__(self, factor: float) -> Any:
        return _product(self.as_term(), factor, "*")

    def __rmul__(self, factor: float) -> Any:
        return _product(self.as_term(), factor, "*", in_front=True)

    def __truediv__(self, divisor: float) -> Any:
        return _product(self.as_term(), divisor, "/")

    def __neg__(self) -> Any:
        return _negated(self.as_term())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Direction(Arithmetic):
    """A weighted sum of concepts: no point by itself, but what moves one.

    >>> space["Red scarf"] + 2 * formal - 0.5 * warm
    """

    space: str
    vector: np.ndarray
    """[D] float64; amount 1 of a concept is one standard deviation of the items along it."""
    expression: str
    concepts: tuple[str, ...]
    form: Form = "atom"

    def as_term(self) -> "Direction":
        """Itself, as what takes part in a sum."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Point(Arithmetic):
    """One place in a space that a reader can be asked about; it need not be an item.

    Points come from a space (`space["Heat"]`), from an expression or an array (`VecSpeak.point`), or from arithmetic.

    >>> point = 0.5 * (space["The Thaw"] + space["Pale Rider"])
    >>> point.expression
    '0.5*("The Thaw" + "Pale Rider")'
    >>> np.array_equal(point.vector, vs.point('mid("The Thaw", "Pale Rider")').vector)
    True
    """

    space: str
    """Name of the space it lies in; for a user, the items' space, where users lie too."""
    vector: np.ndarray
    """[D] float32, read-only."""
    expression: str
    """How the point is written, in canonical form."""
    item_id: str | None
    """Set when the point is exactly one real item."""
    kind: PointKind
    """Whether it is one real item, lies among users (made of users and concepts only), or was made."""
    parents: tuple[str, ...]
    """Ids of the items it was made from, or that a person in it rated, in order of appearance: to show or leave out."""
    concepts: tuple[str, ...] = ()
    """Names of the concepts that moved it, in order of appearance."""
    notes: tuple[str, ...] = ()
    """Reasons to doubt it before anything is asked, one sentence each."""
    about_person: bool = False
    """Whether a person is in it, also in part: questions about it obey the privacy rule. Always true of users."""
    form: Form = "atom"

    def __post_init__(self) -> None:
        vector = np.array(self.vector, dtype=np.float32)
        if vector.ndim != 1 or vector.size == 0:
            raise UserError(f"a point needs one vector of shape [D], got shape {vector.shape}")
        if not np.isfinite(vector).all():
            raise UserError(
                f"the vector of {self.expression} holds NaN or infinite numbers; only finite ones are allowed"
            )
        vector.setflags(write=False)
        object.__setattr__(self, "vector", vector)
        object.__setattr__(self, "about_person", self.about_person or self.kind == "user")

    def __repr__(self) -> str:
        return f"Point({self.expression} in {self.space}, [{self.vector.size}])"

    def as_term(self) -> "Point":
        """Itself, as what takes part in a sum."""
        return self


Term = Union[Point, Direction]  # noqa: UP007  # the names are defined above; a string cannot be joined by |


def _sum(left: Term, right: Any, operator: Literal["+", "-"]) -> Any:
    """`left + right`: a point where one of them is a point. NotImplemented for what is neither, as Python wants it.

    Raises UserError for an array: which space it lies in, and whether it is a person's, only a bundle knows.
    """
    if hasattr(right, "__array__") and getattr(right, "ndim", None):
        raise UserError(
            f"{left.expression} and an array of shape {list(right.shape)} cannot be added or subtracted",
            "make the array a point first, with vs.point(array)",
        )
    if not isinstance(right, Arithmetic):
        return NotImplemented
    right = right.as_term()
    if left.space != right.space:
        raise UserError(
            f"{left.expression} lies in {left.space!r} and {right.expression} in {right.space!r}",
            "ask about points of two spaces in two slots of one question",
        )
    sign = 1.0 if operator == "+" else -1.0
    vector = left.vector.astype(np.float64) + sign * right.vector.astype(np.float64)
    # `a + (b - c)` keeps its brackets; `(a + b) - c` needs none.
    second = f"({right.expression})" if right.form == "sum" else right.expression
    return _made([left, right], vector, f"{left.expression} {operator} {second}", "sum")


def _product(term: Any, factor: Any, operator: Literal["*", "/"], *, in_front: bool = False) -> Any:
    if isinstance(factor, bool) or not isinstance(factor, int | float | np.number):
        return NotImplemented
    number = float(factor)
    if operator == "/" and number == 0:
        raise UserError(f"{term.expression} is divided by zero", "divide by another number")
    inner = f"({term.expression})" if term.form == "sum" else term.expression
    text = number_text(abs(number))
    if in_front:
        # a product in brackets is never needed: 2*3*x is read from the left
        written = f"{'-' if number < 0 else ''}{text}*{inner}"
    else:
        written = f"{inner}{operator}{'-' if number < 0 else ''}{text}"
    wide = term.vector.astype(np.float64)
    scaled = wide * number if operator == "*" else wide / number
    return _made([term], np.asarray(scaled), written, "product")


def _negated(term: Any) -> Any:
    inner = f"({term.expression})" if term.form in ("sum", "product") else term.expression
    return _made([term], -term.vector.astype(np.float64), f"-{inner}", "product")


def _made(terms: list[Term], vector: np.ndarray, expression: str, form: Form) -> Term:
    """The point, or the direction, that terms of one space make; nothing that was known of them is lost."""
    concepts = tuple(dict.fromkeys(name for term in terms for name in term.concepts))
    points = [term for term in terms if isinstance(term, Point)]
    if not points:
        return Direction(
            space=terms[0].space, vector=vector, expression=expression, concepts=concepts, form=form
        )
    if not vector.any():
        raise UserError(f"{expression} is the zero vector, which has no direction", "add a point to it")
    return Point(
        space=points[0].space,
        vector=as_float32(vector, expression),
        expression=expression,
        item_id=None,
        kind="user" if all(point.kind == "user" for point in points) else "made",
        parents=tuple(dict.fromkeys(item for point in points for item in point.parents)),
        concepts=concepts,
        notes=tuple(dict.fromkeys(note for point in points for note in point.notes)),
        about_person=any(point.about_person for point in points),
        form=form,
    )
