"""Expressions and queries by their grammar, about the space of `world`: of the right kinds, then here and there not."""

import json

from hypothesis import strategies as st

from fuzzing.values import ODD_TEXTS, nearly, odd_texts, weighted
from fuzzing.world import COLUMNS, CONCEPTS, DIM, IDS, LABELS, NUM_REGIONS, SPACE, USERS

_Texts = st.SearchStrategy[str]
_PIECES = st.sampled_from(
    (
        "(",
        ")",
        ",",
        " + ",
        "*",
        "-",
        "@",
        "@other",
        "mid(",
        "user(",
        '"',
        "'",
        "[",
        "]",
        "{",
        "}",
        ":",
        " and ",
        "not ",
        "= ",
        " steps ",
        "id(",
        "1e999",
        "0",
        "½",
        "“",
        "\\",
        *ODD_TEXTS,
    )
)


def _written(texts: tuple[str, ...]) -> _Texts:
    """The texts in quotes of either kind."""
    return st.builds(
        lambda text, single: (
            f"'{text}'" if single and not set(text) & set("'\\") else json.dumps(text, ensure_ascii=False)
        ),
        st.sampled_from(texts),
        st.booleans(),
    )


numbers = st.one_of(
    st.sampled_from(("0", "1", "2", "0.3", ".5", "5.", "1e3", "007", "1e-9", "0.1")),
    st.floats(0, 9).map(lambda number: f"{number:.3g}"),
)
_extreme = st.sampled_from(("1e308", "1e-308", "99999999999999999999", "1e-400", "1e30", "0.0"))
_shares = st.one_of(st.sampled_from(("0", "1", "0.5")), st.floats(0, 1).map(lambda share: f"{share:.3f}"))
_factors = weighted((9, numbers), (1, _extreme))
_divisors = weighted((9, st.sampled_from(("2", "0.3", "1e3", "7"))), (1, _factors))


def _joined(pattern: str, *parts: _Texts) -> _Texts:
    return st.tuples(*parts).map(lambda drawn: pattern.format(*drawn))


_VALUES: dict[str, _Texts] = {
    "text": st.one_of(_written(("ghost", "Horror", "a", "")), st.sampled_from(("ghost", "Horror", "1999"))),
    "number": st.one_of(numbers, numbers.map("-{}".format), _written(("1999", "x"))),
    "date": _written(("1999-12-31", "2001-01-01T00:00:00", "2001-01-01T00:00:00+02:00")),
    "truth": st.sampled_from(("true", "false", "1", '"True"')),
}
_OPERATORS = {
    "text": ("=", "!=", "~"),
    "number": ("=", "!=", "<", "<=", ">", ">=", "~"),
    "date": ("=", "<", "<=", ">", ">="),
    "truth": ("=", "!="),
}


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    """A column against a value, of its kind nearly always, and often one that is there."""
    column = draw(st.sampled_from(tuple(COLUMNS)))
    kind, there = COLUMNS[column]
    operator = draw(st.sampled_from(_OPERATORS[kind]))
    way = draw(st.integers(0, 19))
    if kind == "text" and way > 4:
        operator = draw(st.sampled_from(("~", "!=") if column == "text" else ("=", "~")))
    value = there if way > 4 else draw(_VALUES[kind] if way else st.one_of(*_VALUES.values()))
    quoted = draw(st.booleans()) or not column.isidentifier()
    return f"{json.dumps(column) if quoted else column} {operator} {value}"


queries = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        _joined("{} and {}", inner, inner),
        _joined("{} or {}", inner, inner),
        _joined("not {}", comparisons()),
        _joined("({})", inner),
        _joined("not ({})", inner),
    ),
    max_leaves=8,
)
_rated = st.lists(
    st.tuples(st.integers(0, 11), st.booleans(), st.sampled_from(("1", "2", "5", "4.5"))),
    min_size=1,
    max_size=4,
    unique_by=lambda drawn: drawn[0],
)
people = _rated.map(
    lambda ratings: (
        "user({"
        + ", ".join(
            (json.dumps(LABELS[row], ensure_ascii=False) if named else f'id("m{row}")') + f": {value}"
            for row, named, value in ratings
        )
        + "})"
    )
)
vectors = st.lists(st.floats(-2, 2, width=32).filter(bool), min_size=DIM, max_size=DIM).map(repr)
_leaves = st.one_of(
    _written(LABELS[:12]),
    st.sampled_from(IDS).map('id("{}")'.format),
    _written(IDS[:4]),
    st.sampled_from(USERS).map('user("{}")'.format),
    st.integers(0, NUM_REGIONS - 1).map("cluster({})".format),
    st.integers(0, 99).map("random({})".format),
    people,
    vectors,
    vectors.map("user({})".format),
    st.just('vector("query.npy")'),
    comparisons().map("centroid({})".format),
    st.sampled_from(IDS).map('item(id = "{}")'.format),
)
directions = st.recursive(
    st.sampled_from(CONCEPTS),
    lambda inner: st.one_of(
        _joined("{}*{}", _factors, st.sampled_from(CONCEPTS)), _joined("({} + {})", inner, inner)
    ),
    max_leaves=3,
)


def _larger(inner: _Texts) -> _Texts:
    return st.one_of(
        _joined("mid({}, {})", inner, inner),
        _joined("mid({}, {}, {})", inner, inner, _shares),
        _joined("slerp({}, {}, {})", inner, inner, _shares),
        _joined("mean({}, {}, {})", inner, inner, inner),
        _joined("toward({}, {}, {})", inner, directions, _factors),
        _joined("away({}, {})", inner, directions),
        _joined("negate({})", inner),
        _joined("{} + {}", inner, directions),
        _joined("{} - 0.5*{}", inner, _leaves),
        _joined("{} - {}", inner, inner),
        _joined("{} + {}*({})", inner, _factors, inner),
        _joined("({})/{}", inner, _divisors),
        _joined("-({})", inner),
        _joined("({})@" + SPACE, inner),
        _joined('({})@"' + SPACE + '"', inner),
    )


points = st.recursive(_leaves, _larger, max_leaves=10)
paths = _joined("between({}, {}) steps {}", points, points, st.integers(2, 9).map(str))
elsewhere = st.sampled_from(
    ('"Word 1"@words', 'mid("Word 1", "Word 2")@words', '"Film 1" + "Word 1"@words', '("Film 1")@no')
)
expressions = nearly(weighted((12, points), (1, paths), (1, elsewhere)), _PIECES)
"""Text of an expression that mostly names a point or a path."""
query_texts = nearly(queries, _PIECES)
questions = nearly(
    st.lists(
        st.one_of(
            st.sampled_from(
                ("Describe", "{x}", "{x}", "and {y}", "{name_2}", "What is", "?", "Ünïcode", "<|im_end|>")
            ),
            st.text(max_size=6),
        ),
        min_size=1,
        max_size=6,
    ).map(" ".join),
    st.one_of(odd_texts, st.sampled_from(("{1}", "{x.y}", "{{x}}", "{x!r}", "{x", "}"))),
)
