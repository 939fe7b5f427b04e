"""What a caller gives: the points that `x` means, and whether question, task and slots fit each other."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from inspect import signature
from typing import Any, Literal

import numpy as np

from vecspeak.asking import Asker, with_person_noticed
from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.errors import UserError, check_one_of
from vecspeak.model.prompt import PromptTemplate, check_question
from vecspeak.points import Concept, Point, evaluate, find_item, parse
from vecspeak.points.expressions import Expression, VectorLiteral, Within, fold
from vecspeak.points.frames import column_values, point_of_row, rows_of_frame
from vecspeak.points.raw import raw_point
from vecspeak.spaces import Space
from vecspeak.spaces.point import Direction
from vecspeak.tables.convert import as_array
from vecspeak.tasks.names import SHIPPED, resolved
from vecspeak.tasks.task_set import split_words


def points_of(
    x: Any, bundle: Bundle, ask: Callable[[], Asker], *, kind: Literal["user"] | None = None
) -> tuple[Point, ...]:
    """The points that `x` means in the space of an asker, which is made when needed; of a path or a list several.

    `x` is a label, an id (text or a whole number), an expression, a `Point`, a `Space`, an array [D] or [N, D], a row,
    the rows or a column of a frame, or a list of these. `kind="user"` declares that a person is in it; one that nobody
    declared is noticed when the question is prepared. Raises UserError for what is none of these.
    """
    check_one_of("kind", kind, (None, "user"))
    points = _points(x, bundle, ask, kind)
    if kind is None:
        return points
    return tuple(_declared_person(with_person_noticed(point, bundle.entries)) for point in points)


def _declared_person(point: Point) -> Point:
    """A vector of one's own becomes a user; in anything else, such as an item, a person is only said to be."""
    if point.form == "vector":
        return replace(point, kind="user", expression=f"user({point.expression})", form="atom", notes=())
    return replace(point, about_person=True)


def _points(
    x: Any, bundle: Bundle, ask: Callable[[], Asker], kind: Literal["user"] | None
) -> tuple[Point, ...]:
    if isinstance(x, Point):
        return (_checked_point(x, bundle),)
    if isinstance(x, Concept | Direction):
        raise _no_point(x)
    if isinstance(x, str):
        return _named(x, ask(), kind)
    if isinstance(x, Space):
        return tuple(_checked_point(point, bundle) for point in x)
    if isinstance(x, list | tuple) and x and not all(isinstance(one, int | float | np.number) for one in x):
        return tuple(one_point(_points(one, bundle, ask, kind)) for one in x)
    entry = ask().entry
    if isinstance(x, int | np.integer) and not isinstance(x, bool):  # an id of a column of whole numbers
        return (entry.space[find_item(entry.space, str(x), by_id=True)],)
    if (column := column_values(x, entry.space)) is not None:
        return _points(column, bundle, ask, kind)
    rows = rows_of_frame(x, entry.space)
    array = as_array(x) if rows is None else np.empty(len(rows))
    if not array.size:
        raise UserError("no point is given to ask about: what stands there is empty", "give one or more")
    if rows is not None:
        return tuple(point_of_row(row, entry.space, entry.users, kind) for row in rows)
    vectors = array if array.ndim == 2 else [array]
    return tuple(raw_point(entry.space, entry.users, vector, kind=kind) for vector in vectors)


def _of_person(tree: Expression) -> Expression:
    """The expression; one that is only a vector becomes a user's: `[0.1]@films` is read as `user([0.1])@films`."""
    if isinstance(tree, Within):
        return replace(tree, operand=_of_person(tree.operand))
    return replace(tree, is_user=True) if isinstance(tree, VectorLiteral) else tree


def _no_point(x: Concept | Direction) -> UserError:
    moved = f"2*{x.name}" if isinstance(x, Concept) else x.expression
    what = f"{x.name} is a concept" if isinstance(x, Concept) else f"{x.expression} is a direction"
    return UserError(f"{what}, not a point; add it to an item or a user", f'as in "LABEL" + {moved}')


def space_of(x: Any) -> str:
    """The only space that a point, a list of points or an expression names; "" for none, and for several.

    >>> space_of('mid("Heat"@films, "Alien"@films)'), space_of('"Heat"')
    ('films', '')
    """
    if isinstance(x, Point):
        return x.space
    if isinstance(x, list | tuple) and x and all(isinstance(one, Point | str) for one in x):
        return space_of(x[0])
    if isinstance(x, str):
        with suppress(UserError):  # a label as it stands is no expression
            named = _spaces_in(parse(x))
            return next(iter(named)) if len(named) == 1 else ""
    return ""


def _spaces_in(tree: Expression) -> set[str]:
    """The spaces that are named anywhere in an expression."""

    def combine(node: Expression, below: list[set[str]]) -> set[str]:
        return set().union(*below, {node.space} if isinstance(node, Within) else ())

    return fold(tree, combine)


_QUERY = "text:"


def is_query(x: Any) -> bool:
    """Whether it is a text to embed, written "text: warm scarf"."""
    return isinstance(x, str) and x.lstrip().startswith(_QUERY)


def reads_like_query(x: Any) -> bool:
    """Whether a text may be a query whose "text:" was left out: several words, and nothing that expressions have.

    >>> reads_like_query("a courier lost my tent"), reads_like_query('mid("A tent", "A lamp")')
    (True, False)
    """
    return isinstance(x, str) and len(x.split()) > 1 and not set(x) & set("\"'()[]{}*+@:")


def query_text(x: str) -> str:
    """The text behind "text:". Raises UserError where there is none."""
    text = x.strip().removeprefix(_QUERY).strip()
    if not text:
        raise UserError("the query has no text", "write it behind 'text:', as in 'text: warm scarf'")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError("the query is not UTF-8", "type it in a terminal that is set to UTF-8") from error
    return text


def check_asked(question: str, task: str, slots: Mapping[str, Any]) -> None:
    """Raise UserError unless either a question or a task is given, and a point for it."""
    if bool(task) == bool(question):
        raise UserError(
            "a question and a `task` are given" if task else "neither a question nor a `task` is given",
            "ask 'Describe {x}.' or a task such as summary, and say what x is",
        )
    if not slots:
        raise UserError("no point is given to ask about", "write {x} in the question and give x='LABEL'")


def check_slots(question: str, names: Collection[str], function: Callable[..., Any]) -> None:
    """Raise UserError for a keyword that is no slot of the question, but may be a misspelt argument of `function`."""
    template = check_question(question) if question else PromptTemplate("")
    arguments = [name for name, one in signature(function).parameters.items() if one.kind is one.KEYWORD_ONLY]
    for name in names:
        near = [] if name in template.slots else get_close_matches(name, arguments, 1, 0.7)
        if name in near:
            raise UserError(f"`{name}` cannot be given here", "call ask(...), which takes it")
        if near:
            raise UserError(f"there is no argument {name!r}", f"did you mean {near[0]!r}?")
    if template.slots:
        template.check_names(names)


def one_point(points: Sequence[Point]) -> Point:
    """The only one of several points. Raises UserError where there are more or none."""
    if len(points) != 1:
        raise UserError(
            f"{len(points)} points are given where one is needed", "`VecSpeak.ask_batch(...)` takes several"
        )
    return points[0]


def _checked_point(point: Point, bundle: Bundle) -> Point:
    """The point itself; UserError where it lies in no space here, or is an item of another table of that name."""
    entry = bundle.entry(point.space)
    if point.vector.size != entry.space.dim:
        raise UserError(
            f"{point.expression} has width {point.vector.size}, and {point.space!r} has {entry.space.dim}",
            "take points of the space that was fitted",
        )
    if point.item_id is not None:
        known = entry.space.has(point.item_id)
        own = entry.space.vectors[entry.space.index_of(point.item_id)] if known else None
        if own is None or not np.array_equal(own, point.vector):
            raise UserError(
                f"{point.expression} has another vector in the fitted space {point.space!r}",
                "fit the space that the point comes from, or ask about point.vector",
            )
    if any(name in entry.concepts for name in point.concepts):
        _check_same_concepts(point, entry)
    return point


def _check_same_concepts(point: Point, entry: SpaceEntry) -> None:
    """Raise UserError where a concept was fitted again since: the expression would be that of another point."""
    try:
        now = evaluate(point.expression, entry.scope).vector
    except UserError:  # something else in it is of another bundle
        return
    if not np.allclose(now, point.vector, rtol=1e-3, atol=1e-5 * float(np.abs(point.vector).max())):
        raise UserError(
            f"{point.expression} is another point now: {' or '.join(point.concepts)} was fitted again",
            f"make it again, or ask about point.vector; now it is vs.point({point.expression!r})",
        )


def _named(text: str, asker: Asker, kind: Literal["user"] | None) -> tuple[Point, ...]:
    """A label or an id as it stands, or else an expression."""
    entry = asker.entry
    if entry.space.rows_labelled(text) or entry.space.has(text):
        return (entry.space[text],)
    try:
        return asker.path(_of_person(parse(text)) if kind == "user" else parse(text))
    except UserError:
        if text.strip() in entry.concepts:
            raise
        if not any(mark in text for mark in "\"'(@[+*/"):  # a name rather than a mistake in an expression
            return (entry.space[entry.space.ids[find_item(entry.space, text)]],)
        raise


def selected_task_set(
    bundle: Bundle, space: str, given: str, words: Mapping[str, str] | Sequence[str]
) -> tuple[str, dict[str, str]]:
    """The set that was named, or else the one that the bundle's reader learned for the space; and replaced words.

    Words are {"item": "jacket"} or ["item=jacket"].

    A file is given back by its whole path, so that a folder of targets finds it again. A space of which the reader
    learned no tasks has the neutral set. Raises UserError for a word that is none, and where the reader learned the
    tasks of a file: a path in a bundle, which anybody may have made, is not followed.
    """
    replaced = dict(words) if isinstance(words, Mapping) else split_words(words)
    if given:
        return resolved(given), replaced
    name, learned = bundle.manifest.task_set(bundle.entry(space).space.name)
    if name not in SHIPPED:
        raise UserError(
            f"the bundle names the task set {name[:200]!r}, and a path in a bundle is not followed",
            f"give the file with tasks=FILE, or another: {', '.join(SHIPPED)}",
        )
    return name, learned | replaced
