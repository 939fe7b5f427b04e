"""Grammar: from text to an expression or a query, or one line on where the text goes wrong and what may stand there."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any, cast

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from vecspeak.errors import UserError, check_text
from vecspeak.points.expressions import (
    CALLS,
    FUNCTION_NAMES,
    RESERVED_NAMES,
    Between,
    Call,
    Cluster,
    ConceptName,
    Expression,
    FoundItems,
    Function,
    ItemName,
    Negative,
    Number,
    Part,
    Person,
    Product,
    Random,
    Sum,
    User,
    VectorLiteral,
    Within,
)
from vecspeak.points.queries import And, ColumnComparison, Not, Or, QueryTree, unescaped

_BAD_EXPRESSION = "bad_expression"
"""Code of an error whose text has no other."""
MAX_CHARACTERS = 2000
MAX_NESTED = 100
MAX_NAME = 100
"""Most letters of a concept's name, which is the name of its file too."""
MAX_STEPS = 1000
"""Most points of a path."""

_ARRAY = re.compile(r"\[[^\[\]\"']*\]")

EXAMPLE = 'write labels in quotes, as in mid("Heat", "Alien", 0.3) or "Heat" + 0.8*funny'
QUERY_EXAMPLE = 'write a query as in genres = "Horror" and year >= 1990'

_GRAMMAR = r"""
?start: sum | between
between: BETWEEN "(" sum "," sum ")" STEPS NUMBER
sum: product ((PLUS | MINUS) product)*
product: unary ((STAR | SLASH) unary)*
?unary: negative | _atom
negative: MINUS _atom
_atom: _primary | within
within: _primary (SPACE | AT STRING)
_primary: number | item | concept | reference | person | found | numbered | call | vector | whose | "(" sum ")"
number: NUMBER
item: STRING
concept: NAME
reference: (USER | ID) "(" (STRING | NUMBER) ")"
person: USER "(" "{" rating ("," rating)* "}" ")"
rating: (item | rated) ":" signed
rated: ID "(" (STRING | NUMBER) ")"
signed: MINUS? NUMBER
found: (ITEM | CENTROID) "(" query ")"
vector: ARRAY | FILE
whose: USER "(" vector ")"
numbered: (CLUSTER | RANDOM) "(" NUMBER ")"
call: NAME "(" (sum ("," sum)*)? ")"

query: conjunction (OR conjunction)*
conjunction: condition (AND condition)*
?condition: negation | comparison | "(" query ")"
negation: NOT condition
comparison: _column (EQUALS | ORDER | HAS) (STRING | NAME | signed)
_column: NAME | STRING | USER | ID | ITEM | CENTROID | CLUSTER | RANDOM | BETWEEN | STEPS

PLUS: "+"
MINUS: "-"
STAR: "*"
SLASH: "/"
USER: "user"
ID: "id"
ITEM: "item"
CENTROID: "centroid"
CLUSTER: "cluster"
RANDOM: "random"
BETWEEN: "between"
FILE.2: /vector\(\s*("([^"\\]|\\.)*"|'([^'\\]|\\.)*'|[^\s"'()][^"'()]*)\s*\)/
ARRAY: /\[[^\[\]"']*\]/
STEPS: "steps"
AND: "and"
OR: "or"
NOT: "not"
EQUALS: "=" | "!="
ORDER: /[<>]=?/
HAS: "~"
SPACE: /@[A-Za-z0-9_][A-Za-z0-9_.]*/
AT: "@"
NUMBER: /([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?/
STRING: /"([^"\\]|\\.)*"|'([^'\\]|\\.)*'/s
NAME: /[A-Za-z_][A-Za-z0-9_]*/
%ignore /\s+/
"""

_WORDS = {
    "STRING": "an item in quotes",
    "ID": 'id("...")',
    "USER": "user(...)",
    "NAME": "mid(...), mean(...), another function, a concept",
    "NUMBER": "a number",
    "ARRAY": "a vector [0.1, 0.2, ...]",
    "NOT": "not",
    "LPAR": "(",
    "RPAR": ")",
    "LBRACE": 'ratings such as {"Heat": 5}',
    "RBRACE": "}",
    "COLON": ": and a rating",
    "COMMA": "a comma",
    "PLUS": "+",
    "MINUS": "-",
    "STAR": "*",
    "SLASH": "/",
    "AT": "@ and a space",
    "STEPS": "steps and a number",
    "EQUALS": "= or !=",
    "ORDER": "<, <=, >, >=",
    "HAS": "~",
    "AND": "and",
    "OR": "or",
    "$END": "the end",
}
"""Terminals in the words of an error message, in the order in which they are listed; the others go without saying."""
_QUERY_WORDS = {
    "NOT": "not",
    "NAME": "a column, or a word",
    "STRING": "a text in quotes",
    "NUMBER": "a number",
    **{name: _WORDS[name] for name in ("LPAR", "RPAR", "EQUALS", "ORDER", "HAS", "AND", "OR", "$END")},
}
"""The same where a query is read."""


@lru_cache(maxsize=64)  # a question looks which space an expression names before it evaluates it there
def parse(text: str) -> Expression:
    """The tree of an expression; UserError with the character's number (from 1) and what may stand there.

    Trees are not changed by anybody: the same text gives the same tree.
    """
    if len(_ARRAY.sub("[]", text)) > MAX_CHARACTERS:
        raise UserError(
            f"the expression has {len(text)} characters; at most {MAX_CHARACTERS} are allowed",
            EXAMPLE,
            code=_BAD_EXPRESSION,
        )
    if not text.strip():
        raise UserError("the expression is empty; it must name a point", EXAMPLE, code=_BAD_EXPRESSION)
    return cast(Expression, _read(text, "start"))


def parse_query(text: str) -> QueryTree:
    """The tree of a query; UserError as `parse` raises it."""
    if not text.strip() or len(text) > MAX_CHARACTERS:
        raise UserError(f"a query has 1 to {MAX_CHARACTERS} characters, got {len(text)}", QUERY_EXAMPLE)
    return cast(QueryTree, _read(text, "query"))


def _read(text: str, start: str) -> Any:
    tokens, stopped_at = _tokens(text)
    _check_nesting(tokens)
    cursor = _parser().parse_interactive(start=start)
    for number, token in enumerate(tokens):
        try:
            cursor.feed_token(token)
        except UnexpectedToken as error:
            raise _unexpected(text, tokens[:number], token.start_pos or 0, start) from error
    if stopped_at is not None:
        raise _unexpected(text, tokens, stopped_at, start)
    try:
        return cursor.feed_eof()
    except UnexpectedToken as error:
        raise _unexpected(text, tokens, len(text), start) from error


def located(start: int, message: str, hint: str = "", *, code: str = "") -> UserError:
    """A UserError that says at which character (counted from 1) the trouble begins."""
    return UserError(f"at character {start + 1}: {message}", hint, code=code or _BAD_EXPRESSION)


def check_concept_name(name: str) -> None:
    """Raise UserError unless an expression can name a concept so."""
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", check_text("name", name)):
        raise UserError(
            f"{name!r} cannot name a concept; allowed are letters a-z, digits and _, a digit not in front",
            "choose a name such as horror or slow_paced",
        )
    if len(name) > MAX_NAME:
        raise UserError(
            f"{name[:20] + '...'!r} has {len(name)} letters; a concept's name has at most {MAX_NAME}",
            "choose a shorter name",
        )
    if name in RESERVED_NAMES:
        raise UserError(
            f"{name!r} cannot name a concept; {', '.join(sorted(RESERVED_NAMES))} are kept for functions",
            f"choose another name, such as {name}_like",
        )


@cache
def _parser() -> Lark:
    starts = ["start", "query"]
    return Lark(_GRAMMAR, parser="lalr", lexer="basic", transformer=_Builder(), start=starts)


def _tokens(text: str) -> tuple[list[Token], int | None]:
    """The tokens up to the first character that begins none, and where that one stands."""
    tokens: list[Token] = []
    stream: Iterator[Token] = _parser().lex(text)
    try:
        tokens.extend(stream)
    except UnexpectedCharacters as error:
        return tokens, error.pos_in_stream
    return tokens, None


def _check_nesting(tokens: list[Token]) -> None:
    """Every bracket is a level, and so is every `not`: both are walked by recursion once they are a query."""
    opened: list[int] = []
    nots = 0
    for token in tokens:
        if token.type == "NOT":
            nots += 1
        else:
            if token.type == "LPAR":
                opened.append(1 + nots)
            elif token.type == "RPAR" and opened:
                opened.pop()
            nots = 0
        if sum(opened) + nots > MAX_NESTED:
            message = f"brackets are nested more than {MAX_NESTED} deep, every not counted; {MAX_NESTED} are allowed"
            raise located(token.start_pos or 0, message, EXAMPLE)


def _unexpected(text: str, before: list[Token], position: int, start: str) -> UserError:
    if text[position : position + 1] in ('"', "'") and not _is_closed(text, position):
        message = f"the quote {text[position]} opened here is never closed"
        return located(position, message, 'close it; a quote inside quotes is written \\"')
    if text[position : position + 1] == "[" and "]" not in text[position:]:
        return located(position, "the bracket [ opened here is never closed", "close it, as in [0.12, -0.5]")
    if (
        _in_query(before, start)
        and before[-1:]
        and before[-1] == "="
        and text[position : position + 1] == "="
    ):
        return located(position - 1, "== is no comparison", f"use one =: {text.replace('==', '=')}")
    found = _found(text, position)
    message = f"{found} cannot stand here; allowed here: {_allowed(before, start)}"
    curly = text[position : position + 1] in tuple("“”„‘’«»`")
    return located(
        position, message, 'use straight quotes: "Heat"' if curly else _example(text, position, before, start)
    )


def _is_closed(text: str, position: int) -> bool:
    return re.compile(r"(\"|')(?:(?!\1)[^\\]|\\.)*\1", re.DOTALL).match(text, position) is not None


def _found(text: str, position: int) -> str:
    if position >= len(text):
        return "the end of the expression"
    word = re.compile(r"\w{1,40}|\"[^\"]{1,40}\"|'[^']{1,40}'|.", re.DOTALL).match(text, position)
    assert word is not None
    return word.group() if len(word.group()) > 2 else repr(word.group())


def _example(text: str, position: int, before: list[Token], start: str) -> str:
    """What to type: a query's form in a query, quotes where an id or a label stands without, else a point's form."""
    if _in_query(before, start):
        return QUERY_EXAMPLE
    bare = re.compile(r"\w[\w.:-]*(?=\s*\))").match(text, position)
    if bare and [token.type for token in before[-2:]] in (["USER", "LPAR"], ["ID", "LPAR"]):
        return f'ids go in quotes: {before[-2]}("{bare[0]}")'
    is_words = re.fullmatch(r"\s*[A-Za-z][\w' :&!?.,-]*", text) is not None
    return f'labels go in quotes: "{text.strip()}"' if is_words and position else EXAMPLE


def _allowed(before: list[Token], start: str) -> str:
    cursor = _parser().parse_interactive(start=start)
    for token in before:
        cursor.feed_token(token)
    accepted = cursor.accepts()
    if before and before[-1].type == "AT":
        return "the name of a space, in quotes or not"
    if accepted - {"LBRACE"} == {"STRING", "NUMBER"}:
        more = ', or ratings such as {"Heat": 5}' if "LBRACE" in accepted else ""
        return f"an id in quotes, or a whole number{more}"
    words = _QUERY_WORDS if _in_query(before, start) else _WORDS
    named = [word for terminal, word in words.items() if terminal in accepted]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"


def _in_query(before: list[Token], start: str) -> bool:
    """Whether the last bracket that is still open, but for a query's own, belongs to a query."""
    opened: list[bool] = [start == "query"]
    for last, token in zip([None, *before], before, strict=False):
        if token.type == "LPAR":
            opened.append(opened[-1] or (last is not None and last.type in ("ITEM", "CENTROID")))
        elif token.type == "RPAR":
            opened.pop()
    return opened[-1]


@v_args(inline=True)
class _Builder(Transformer[Token, Expression]):
    """Makes each node as soon as its rule is complete, so that no walk over a parse tree is needed."""

    def number(self, token: Token) -> Number:
        value = float(token)
        if not math.isfinite(value):
            raise located(_start(token), "this number is too large", "the largest is about 1.8e308")
        return Number(value=value, start=_start(token))

    def item(self, token: Token) -> ItemName:
        return ItemName(name=_unquoted(token), start=_start(token))

    def concept(self, token: Token) -> ConceptName:
        if token in RESERVED_NAMES:
            raise located(_start(token), f"{token} is a function, not a concept", _usage(str(token)))
        return ConceptName(name=str(token), start=_start(token))

    def reference(self, function: Token, name: Token) -> Expression:
        if name.type == "NUMBER" and not name.isdigit():
            message = f"{name} is not an id; an id is a whole number or text in quotes"
            raise located(_start(name), message, f'type {function}("{name}")')
        text = _unquoted(name) if name.type == "STRING" else str(name)
        if function == "user":
            return User(user_id=text, start=_start(function))
        return ItemName(name=text, by_id=True, start=_start(function))

    def signed(self, *parts: Token) -> float:
        text = "".join(parts)
        value = float(text)
        if not math.isfinite(value):
            raise located(_start(parts[0]), "this number is too large", "the largest is about 1.8e308")
        # Whole numbers of a column may have more digits than a float: 9007199254740993 is not its neighbour.
        return int(text) if parts[-1].isdigit() and int(text) != value else value

    def rated(self, function: Token, name: Token) -> Expression:
        return self.reference(function, name)

    def rating(self, item: ItemName, value: float) -> tuple[ItemName, float]:
        return item, value

    def person(self, function: Token, *ratings: tuple[ItemName, float]) -> Person:
        return Person(ratings=ratings, start=_start(function))

    def found(self, function: Token, query: QueryTree) -> FoundItems:
        name: Any = str(function)
        return FoundItems(function=name, query=query, start=_start(function))

    def vector(self, token: Token) -> VectorLiteral:
        if token.type == "ARRAY":
            return VectorLiteral(numbers=_numbers(token), start=_start(token))
        path = token.partition("(")[2][:-1].strip()
        return VectorLiteral(
            path=unescaped(path[1:-1], str) if path[0] in "\"'" else path, start=_start(token)
        )

    def whose(self, function: Token, vector: VectorLiteral) -> VectorLiteral:
        return replace(vector, is_user=True, start=_start(function))

    def numbered(self, function: Token, number: Token) -> Expression:
        if not number.isdigit() or len(number) > 9:
            message = f"{function} takes a whole number from 0 to 999999999, got {number}"
            raise located(_start(number), message, f"type {function}(7)")
        if function == "cluster":
            return Cluster(number=int(number), start=_start(function))
        return Random(seed=int(number), start=_start(function))

    def call(self, function: Token, *arguments: Expression) -> Call:
        start, given = _start(function), len(arguments)
        if function not in CALLS:
            message = f"there is no function {function}; there are {', '.join(FUNCTION_NAMES)}"
            raise located(start, message, EXAMPLE)
        name = cast(Function, str(function))
        fewest, most = _ARGUMENTS[name]
        if not fewest <= given <= (most or given):
            allowed = (
                f"{fewest}" if fewest == most else f"{fewest} or {most}" if most else "one point or more"
            )
            counted = f"{allowed} argument{'s' * (most > 1)}" if most else allowed
            message = f"{name} takes {counted}, got {given or 'none'}"
            raise located(start, message, _usage(name))
        return Call(function=name, arguments=arguments, start=start)

    def within(self, operand: Expression, *name: Token) -> Within:
        space = _unquoted(name[1]) if len(name) > 1 else str(name[0])[1:]
        return Within(operand=operand, space=space, start=operand.start)

    def between(
        self, function: Token, first: Expression, second: Expression, _: Token, steps: Token
    ) -> Between:
        if not steps.isdigit() or not 2 <= int(steps) <= MAX_STEPS:
            message = f"a path has 2 to {MAX_STEPS} steps, both ends among them, got {steps}"
            raise located(_start(steps), message, _usage("between"))
        return Between(first=first, second=second, steps=int(steps), start=_start(function))

    def comparison(self, column: Token, operator: Token, value: Token | float) -> ColumnComparison:
        name = _unquoted(column) if column.type == "STRING" else str(column)
        found = value if isinstance(value, float | int) else _text_of(value)
        how: Any = str(operator)
        return ColumnComparison(column=name, operator=how, value=found)

    def negation(self, _: Token, operand: QueryTree) -> Not:
        return Not(operand=operand)

    def conjunction(self, *parts: Token | QueryTree) -> QueryTree:
        return (
            And(parts=cast(tuple[QueryTree, ...], parts[::2]))
            if len(parts) > 1
            else cast(QueryTree, parts[0])
        )

    def query(self, *parts: Token | QueryTree) -> QueryTree:
        return (
            Or(parts=cast(tuple[QueryTree, ...], parts[::2])) if len(parts) > 1 else cast(QueryTree, parts[0])
        )

    def negative(self, sign: Token, operand: Expression) -> Negative:
        return Negative(operand=operand, start=_start(sign))

    def sum(self, first: Expression, *rest: Token | Expression) -> Expression:
        return Sum(first=first, rest=_parts(rest), start=first.start) if rest else first

    def product(self, first: Expression, *rest: Token | Expression) -> Expression:
        return Product(first=first, rest=_parts(rest), start=first.start) if rest else first


def _parts(tail: tuple[Token | Expression, ...]) -> tuple[Part, ...]:
    operators = cast(tuple[Token, ...], tail[::2])
    operands = cast(tuple[Expression, ...], tail[1::2])
    return tuple(
        Part(operator=operator.value, operand=operand, start=_start(operator))
        for operator, operand in zip(operators, operands, strict=True)
    )


def _numbers(token: Token) -> tuple[float, ...]:
    """The numbers of `[0.1, 2]`; UserError at the first that is none."""
    found: list[float] = []
    place = _start(token) + 1
    for part in token[1:-1].split(","):
        try:
            found.append(float(part))
        except ValueError:
            message = f"{part.strip() or 'nothing'!r} stands where a number of a vector is expected"
            hint = "write numbers with commas between them, as in [0.12, -0.5]"
            if "..." in part:
                hint = "a shortened vector cannot be typed again: give the array, or vector(query.npy)"
            raise located(place, message, hint) from None
        place += len(part) + 1
    return tuple(found)


def _start(token: Token) -> int:
    return token.start_pos or 0


_ARGUMENTS: dict[Function, tuple[int, int]] = {
    "mid": (2, 3),
    "slerp": (2, 3),
    "mean": (1, 0),
    "toward": (2, 3),
    "away": (2, 3),
    "negate": (1, 1),
    "axis": (1, 1),
    "pc": (1, 1),
}
"""Fewest and most arguments of a function; 0 is as many as one likes."""
_USAGES = {
    "mid": 'mid("Heat", "Alien", 0.3)',
    "slerp": 'slerp("Heat", "Alien", 0.3)',
    "mean": 'mean("Heat", "Alien")',
    "toward": 'toward("Heat", funny, 2)',
    "away": 'away("Heat", funny, 2)',
    "negate": 'negate("Heat")',
    "axis": '"Heat" + 2*axis(12)',
    "pc": '"Heat" + 2*pc(3)',
    "between": 'between("Heat", "Alien") steps 5',
    "user": 'user({"Heat": 5, "Alien": 1})',
}


def _usage(function: str) -> str:
    return f"type {_USAGES[function]}" if function in _USAGES else EXAMPLE


def _text_of(token: Token) -> str:
    return _unquoted(token) if token.type == "STRING" else str(token)


def _unquoted(token: Token) -> str:
    def unknown(match: re.Match[str]) -> str:
        message = f"{match.group()!r} is no escape; allowed after a backslash: \\ \" ' n t r"
        raise located(_start(token) + 1 + match.start(), message, "write \\\\ for a backslash")

    return unescaped(token[1:-1], unknown)
