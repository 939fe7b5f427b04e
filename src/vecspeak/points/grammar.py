"""Grammar: from text to an expression, or one line on where the text goes wrong and what may stand there.

Knows nothing of spaces, items or concepts: whether a name exists is found out at evaluation.
"""

import math
import re
from collections.abc import Iterator
from functools import cache
from typing import cast

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from vecspeak.errors import UserError
from vecspeak.points.expressions import (
    ESCAPES,
    FUNCTION_NAMES,
    RESERVED_NAMES,
    Call,
    ConceptName,
    Expression,
    Item,
    Negative,
    Number,
    Part,
    Product,
    Sum,
    User,
)

MAX_CHARACTERS = 2000
MAX_NESTED = 100

EXAMPLE = 'write labels in quotes, as in mid("Heat", "Alien", 0.3) or "Heat" + 0.8*funny'

_GRAMMAR = r"""
?start: sum
sum: product ((PLUS | MINUS) product)*
product: unary ((STAR | SLASH) unary)*
?unary: negative | _primary
negative: MINUS _primary
_primary: number | item | concept | reference | call | "(" sum ")"
number: NUMBER
item: STRING
concept: NAME
reference: (USER | ID) "(" (STRING | NUMBER) ")"
call: NAME "(" (sum ("," sum)*)? ")"

PLUS: "+"
MINUS: "-"
STAR: "*"
SLASH: "/"
USER: "user"
ID: "id"
NUMBER: /([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?/
STRING: /"([^"\\]|\\.)*"|'([^'\\]|\\.)*'/s
NAME: /[A-Za-z_][A-Za-z0-9_]*/
%ignore /\s+/
"""

_WORDS = {
    "STRING": "an item in quotes",
    "ID": 'id("...")',
    "USER": "user(...)",
    "NAME": "mid(...), mean(...), a concept",
    "NUMBER": "a number",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": "a comma",
    "PLUS": "+",
    "MINUS": "-",
    "STAR": "*",
    "SLASH": "/",
    "$END": "the end",
}
"""Terminals in the words of an error message, in the order in which they are listed."""


def parse(text: str) -> Expression:
    """The tree of an expression; UserError with the character's number (from 1) and what may stand there."""
    if len(text) > MAX_CHARACTERS:
        raise UserError(
            f"the expression has {len(text)} characters; at most {MAX_CHARACTERS} are allowed", EXAMPLE
        )
    if not text.strip():
        raise UserError("the expression is empty; it must name a point", EXAMPLE)
    tokens, stopped_at = _tokens(text)
    _check_nesting(tokens)
    cursor = _parser().parse_interactive()
    for number, token in enumerate(tokens):
        try:
            cursor.feed_token(token)
        except UnexpectedToken as error:
            raise _unexpected(text, tokens[:number], token.start_pos or 0) from error
    if stopped_at is not None:
        raise _unexpected(text, tokens, stopped_at)
    try:
        return cast(Expression, cursor.feed_eof())
    except UnexpectedToken as error:
        raise _unexpected(text, tokens, len(text)) from error


def located(start: int, message: str, hint: str = "") -> UserError:
    """A UserError that says at which character (counted from 1) the trouble begins."""
    return UserError(f"at character {start + 1}: {message}", hint)


def check_concept_name(name: str) -> None:
    """Raise UserError unless an expression can name a concept so."""
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        raise UserError(
            f"{name!r} cannot name a concept; allowed are letters a-z, digits and _, a digit not in front",
            "choose a name such as horror or slow_paced",
        )
    if name in RESERVED_NAMES:
        raise UserError(
            f"{name!r} cannot name a concept; {', '.join(sorted(RESERVED_NAMES))} are kept for functions",
            f"choose another name, such as {name}_like",
        )


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="basic", transformer=_Builder())


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
    depth = 0
    for token in tokens:
        depth += (token.type == "LPAR") - (token.type == "RPAR")
        if depth > MAX_NESTED:
            message = f"brackets are nested more than {MAX_NESTED} deep; {MAX_NESTED} are allowed"
            raise located(token.start_pos or 0, message, EXAMPLE)


def _unexpected(text: str, before: list[Token], position: int) -> UserError:
    if text[position : position + 1] in ('"', "'") and not _is_closed(text, position):
        message = f"the quote {text[position]} opened here is never closed"
        return located(position, message, 'close it; a quote inside quotes is written \\"')
    found = _found(text, position)
    message = f"{found} cannot stand here; allowed here: {_allowed(before)}"
    curly = text[position : position + 1] in tuple("“”„‘’«»`")
    return located(position, message, 'use straight quotes: "Heat"' if curly else EXAMPLE)


def _is_closed(text: str, position: int) -> bool:
    return re.compile(r"(\"|')(?:(?!\1)[^\\]|\\.)*\1", re.DOTALL).match(text, position) is not None


def _found(text: str, position: int) -> str:
    if position >= len(text):
        return "the end of the expression"
    word = re.compile(r"\w{1,40}|\"[^\"]{1,40}\"|'[^']{1,40}'|.", re.DOTALL).match(text, position)
    assert word is not None
    return word.group() if len(word.group()) > 2 else repr(word.group())


def _allowed(before: list[Token]) -> str:
    cursor = _parser().parse_interactive()
    for token in before:
        cursor.feed_token(token)
    accepted = cursor.accepts()
    if accepted == {"STRING", "NUMBER"}:
        return "an id in quotes, or a whole number"
    words = [word for terminal, word in _WORDS.items() if terminal in accepted]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


@v_args(inline=True)
class _Builder(Transformer[Token, Expression]):
    """Makes each node as soon as its rule is complete, so that no walk over a parse tree is needed."""

    def number(self, token: Token) -> Number:
        value = float(token)
        if not math.isfinite(value):
            raise located(_start(token), "this number is too large", "the largest is about 1.8e308")
        return Number(value=value, start=_start(token))

    def item(self, token: Token) -> Item:
        return Item(name=_unquoted(token), start=_start(token))

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
        return Item(name=text, by_id=True, start=_start(function))

    def call(self, function: Token, *arguments: Expression) -> Call:
        start = _start(function)
        if function not in ("mid", "mean"):
            message = f"there is no function {function}; there are {', '.join(FUNCTION_NAMES)}"
            raise located(start, message, EXAMPLE)
        if function == "mid" and len(arguments) not in (2, 3):
            raise located(start, f"mid takes 2 or 3 arguments, got {len(arguments)}", _usage("mid"))
        if not arguments:
            raise located(start, "mean takes one point or more, got none", _usage("mean"))
        return Call(function="mid" if function == "mid" else "mean", arguments=arguments, start=start)

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


def _start(token: Token) -> int:
    return token.start_pos or 0


def _usage(function: str) -> str:
    usages = {"mid": 'type mid("Heat", "Alien", 0.3)', "mean": 'type mean("Heat", "Alien")'}
    return usages.get(function, EXAMPLE)


def _unquoted(token: Token) -> str:
    def letter(match: re.Match[str]) -> str:
        if match.group(1) in ESCAPES:
            return ESCAPES[match.group(1)]
        message = f"{match.group()!r} is no escape; allowed after a backslash: \\ \" ' n t r"
        raise located(_start(token) + 1 + match.start(), message, "write \\\\ for a backslash")

    return re.sub(r"\\(.)", letter, token[1:-1], flags=re.DOTALL)
