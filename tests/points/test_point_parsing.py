"""What the expression language takes, how it prints, and what it says of text that it does not take."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecspeak.errors import UserError
from vecspeak.points import Expression, parse
from vecspeak.points.expressions import (
    RESERVED_NAMES,
    Between,
    Call,
    Cluster,
    ConceptName,
    FoundItems,
    ItemName,
    Negative,
    Number,
    Part,
    Person,
    Product,
    Random,
    Sum,
    User,
    Within,
)
from vecspeak.points.parser import parse_query
from vecspeak.points.queries import And, ColumnComparison, Not, Or, QueryTree

numbers = st.floats(min_value=0, allow_nan=False, allow_infinity=False).map(abs)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True).filter(
    lambda name: name not in RESERVED_NAMES
)
texts = st.text(max_size=12)
signed = st.floats(allow_nan=False, allow_infinity=False)
comparisons = st.builds(
    ColumnComparison,
    column=st.one_of(texts, names, st.sampled_from(["and", "item", "steps"])),
    operator=st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~"]),
    value=st.one_of(texts, signed),
)


def parts_of(children: st.SearchStrategy[QueryTree]) -> st.SearchStrategy[tuple[QueryTree, ...]]:
    return st.lists(children, min_size=2, max_size=3).map(tuple)


queries = st.recursive(
    comparisons,
    lambda children: st.one_of(
        st.builds(Not, operand=children),
        st.builds(And, parts=parts_of(children)),
        st.builds(Or, parts=parts_of(children)),
    ),
    max_leaves=6,
)
items = st.builds(ItemName, name=texts, by_id=st.booleans())
leaves = st.one_of(
    st.builds(Number, value=numbers),
    items,
    st.builds(FoundItems, function=st.sampled_from(["item", "centroid"]), query=queries),
    st.builds(Cluster, number=st.integers(0, 999)),
    st.builds(Random, seed=st.integers(0, 999)),
    st.builds(Person, ratings=st.lists(st.tuples(items, signed), min_size=1, max_size=3).map(tuple)),
    st.builds(User, user_id=st.one_of(st.text(max_size=8), st.integers(0, 10**6).map(str))),
    st.builds(ConceptName, name=names),
)


def nodes_of(children: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def chain(kind: type, operators: str) -> st.SearchStrategy[Expression]:
        part = st.builds(Part, operator=st.sampled_from(operators), operand=children)
        return st.builds(kind, first=children, rest=st.lists(part, min_size=1, max_size=3).map(tuple))

    return st.one_of(
        chain(Sum, "+-"),
        chain(Product, "*/"),
        st.builds(Negative, operand=children),
        st.builds(
            Call,
            function=st.sampled_from(["mid", "slerp", "toward", "away"]),
            arguments=st.lists(children, min_size=2, max_size=3).map(tuple),
        ),
        st.builds(
            Call, function=st.just("mean"), arguments=st.lists(children, min_size=1, max_size=4).map(tuple)
        ),
        st.builds(Call, function=st.just("negate"), arguments=st.tuples(children)),
        st.builds(
            Within,
            operand=children,
            space=st.one_of(names, texts, st.just("movies.behavioral"), st.just("a-b")),
        ),
    )


points = st.recursive(leaves, nodes_of, max_leaves=12)
expressions = st.one_of(points, st.builds(Between, first=points, second=points, steps=st.integers(2, 1000)))


def shape(expression: Expression) -> str:
    """All that a tree holds, but for where each node starts."""
    return re.sub(r"start=\d+", "", repr(expression))


def fault(text: str) -> UserError:
    with pytest.raises(UserError) as caught:
        parse(text)
    return caught.value


@given(expressions)
@settings(deadline=None, max_examples=200)
def test_an_expression_printed_and_parsed_again_is_the_same(expression):
    again = parse(str(expression))
    assert again == expression
    assert shape(again) == shape(expression)


@given(expressions)
@settings(deadline=None, max_examples=200)
def test_the_canonical_text_has_no_line_breaks(expression):
    assert not set("\n\r\t") & set(str(expression))


@given(queries)
@settings(deadline=None, max_examples=200)
def test_a_query_printed_and_parsed_again_is_the_same(query):
    assert parse_query(str(query)) == query


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("genres=Horror", 'genres = "Horror"'),
        ("year>=1990 and not(a = 1 or b=-2.50)", "year >= 1990 and not (a = 1 or b = -2.5)"),
        ("'and' ~ 'x' or item != y", '"and" ~ "x" or item != "y"'),
        ("a=1 or b=2 and c=3", "a = 1 or b = 2 and c = 3"),
        ("(a=1 or b=2) and c=3", "(a = 1 or b = 2) and c = 3"),
    ],
)
def test_canonical_queries(text, canonical):
    assert str(parse_query(text)) == canonical
    assert str(parse(f"centroid({text})")) == f"centroid({canonical})"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a query has 1 to 2000 characters, got 0"),
        ("genres", "at character 7: the end .*allowed here: = or !=, <, <=, >, >= or ~; write a query as in"),
        ("genres = ", "at character 10: .*allowed here: a column, or a word, a text in quotes or a number"),
        ("a = 1 b", "at character 7: 'b' cannot stand here; .*and, or or the end"),
        ("a = b +", "at character 7: '\\+' cannot stand here"),
    ],
)
def test_a_fault_in_a_query_is_placed_and_says_what_is_allowed(text, message):
    with pytest.raises(UserError) as caught:
        parse_query(text)
    assert re.match(message, str(caught.value))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("'Heat'", '"Heat"'),
        ("between('A','B')steps 3", 'between("A", "B") steps 3'),
        ("user({'A':5,id(3):-.5})", 'user({"A": 5, id("3"): -0.5})'),
        ('"A"@movies.semantic', '"A"@movies.semantic'),
        ('"A"@"movies.semantic"', '"A"@movies.semantic'),
        ('("A"+"B") @ "a-b"', '("A" + "B")@"a-b"'),
        ('-"A"@s*2', '-"A"@s*2'),
        ("cluster( 7 ) - random(08)", "cluster(7) - random(8)"),
        (r"'it\'s'", '"it\'s"'),
        (r'"a \"b\" \\ c"', r'"a \"b\" \\ c"'),
        ('id( "m4" )', 'id("m4")'),
        ("id(4)", 'id("4")'),
        ('user("42")', "user(42)"),
        ('user("a b")', 'user("a b")'),
        ('(("Heat"))', '"Heat"'),
        ('"Heat"+.50*funny-2.*slow', '"Heat" + 0.5*funny - 2*slow'),
        ('mid("A" ,"B",1e-1)', 'mid("A", "B", 0.1)'),
        ('("A"+"B")/2', '("A" + "B")/2'),
        ('("A"*2)/3', '("A"*2)/3'),
        ('"A"-("B"-"C")', '"A" - ("B" - "C")'),
        ('-("A"-"B")*-2', '-("A" - "B")*-2'),
        ('-("A"*2)', '-("A"*2)'),
        ('-(-"A")', '-(-"A")'),
        ('("A"-"B")-"C"', '("A" - "B") - "C"'),
        ("middle + users + identity", "middle + users + identity"),
    ],
)
def test_canonical_forms(text, canonical):
    assert str(parse(text)) == canonical


def test_a_minus_sign_binds_tighter_than_times_and_times_tighter_than_plus():
    tree = parse('"A" + -2*"B"')
    product = Product(
        first=Negative(operand=Number(value=2.0)), rest=(Part(operator="*", operand=ItemName(name="B")),)
    )
    assert shape(tree) == shape(Sum(first=ItemName(name="A"), rest=(Part(operator="+", operand=product),)))


def test_every_node_knows_where_it_starts():
    tree = parse(' "A" + 2*mid("B", (funny))')
    assert isinstance(tree, Sum)
    (part,) = tree.rest
    assert isinstance(part.operand, Product)
    call = part.operand.rest[0].operand
    assert isinstance(call, Call)
    assert (tree.start, part.start, part.operand.start, part.operand.rest[0].start) == (1, 5, 7, 8)
    assert [argument.start for argument in call.arguments] == [13, 19]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  ", "the expression is empty"),
        ("The Matrix", "at character 5: Matrix cannot stand here; allowed here: .*or the end"),
        (
            '"A" "B"',
            'at character 5: "B" cannot stand here; allowed here: \\+, -, \\*, /, @ and a space or the end',
        ),
        (
            'mid("A"',
            "at character 8: the end of the expression cannot stand here; allowed here: \\), a comma",
        ),
        (
            '"A" +',
            "at character 6: the end of the expression cannot stand here; allowed here: an item in quotes",
        ),
        ('"A" ? 2', "at character 5: '\\?' cannot stand here"),
        ('"A" $ ) ?', "at character 5: '\\$' cannot stand here"),
        ('"A")', "at character 4: '\\)' cannot stand here"),
        (
            "id(funny)",
            "at character 4: funny cannot stand here; allowed here: an id in quotes, or a whole number",
        ),
        ("user(u4)", "at character 6: 'u4' cannot stand here; .*ids go in quotes: user\\(\"u4\"\\)"),
        ('mid("A", id(m-4.2))', '.*ids go in quotes: id\\("m-4.2"\\)'),
        ("user(1.5)", 'at character 6: 1.5 is not an id; .*type user\\("1.5"\\)'),
        ('2 * "A', 'at character 5: the quote " opened here is never closed'),
        ("[0.1, 0.2,", r"at character 1: the bracket \[ opened here is never closed"),
        ('item(kind == "a")', 'at character 11: == is no comparison; use one =: item\\(kind = "a"\\)'),
        ("“A”", "at character 1: '“' cannot stand here; .*use straight quotes"),
        (r'"a\x"', "at character 3: .* is no escape"),
        (
            'near("A", "B")',
            "at character 1: there is no function near; there are mid, slerp, mean, .*, user, id, item",
        ),
        ('mid("A")', "at character 1: mid takes 2 or 3 arguments, got 1"),
        ("2*mean()", "at character 3: mean takes one point or more, got none"),
        ('negate("A", "B")', "at character 1: negate takes 1 argument, got 2"),
        (
            'toward("A")',
            'at character 1: toward takes 2 or 3 arguments, got 1; type toward\\("Heat", funny, 2\\)',
        ),
        ("cluster(-1)", "at character 9: '-' cannot stand here; allowed here: a number"),
        ("random(1.5)", "at character 8: random takes a whole number from 0 to 999999999, got 1.5"),
        (
            'between("A", "B") steps 1',
            "at character 25: a path has 2 to 1000 steps, both ends among them, got 1",
        ),
        ('2*between("A", "B") steps 3', "at character 3: between cannot stand here"),
        (
            "user({user(3): 1})",
            "at character 7: user cannot stand here; allowed here: an item in quotes or id",
        ),
        (
            '"A"@',
            "at character 5: the end of the expression cannot stand here; allowed here: the name of a space",
        ),
        ("The Matrix", '.*labels go in quotes: "The Matrix"'),
        ('"A" + mid', "at character 7: mid is a function, not a concept"),
        ('1e999*"A"', "at character 1: this number is too large"),
    ],
)
def test_a_fault_is_placed_and_says_what_is_allowed(text, message):
    assert re.match(message, str(fault(text)))


def test_what_is_allowed_counts_every_operator_before_a_wrong_bracket():
    assert "allowed here: +, -, *, /, @ and a space or the end" in fault('"A" + "B")').message


def test_a_text_beyond_2000_characters_is_refused_and_one_of_2000_is_not():
    text = '"A"' + "+1*funny" * 249
    assert isinstance(parse(text.ljust(2000)), Sum)
    assert fault(text.ljust(2001)).message == "the expression has 2001 characters; at most 2000 are allowed"


def test_brackets_nested_100_deep_are_taken_and_101_are_refused():
    assert parse("(" * 100 + '"A"' + ")" * 100) == ItemName(name="A")
    assert "at character 101: brackets are nested more than 100 deep" in str(
        fault("(" * 101 + '"A"' + ")" * 101)
    )


def test_the_deepest_trees_print_and_compare_without_running_out_of_stack():
    text = '-mid("A"+2*' * 100 + '"A"' + ',"B")' * 100
    tree = parse(text)
    assert str(parse(str(tree))) == str(tree)
    assert len({parse(str(tree)), tree}) == 1


def test_trees_that_mean_different_things_differ():
    assert (
        len({parse(text) for text in ('"A"', 'id("A")', "A", 'user("A")', '-"A"', '"A"-B+C', '"A"-(B+C)')})
        == 7
    )


@given(
    st.lists(
        st.sampled_from([*"\"'\\()+-*/,. 1e9amidenusr_\n\t“é@{}:=<>~!", "between(", "centroid(", " steps "]),
        max_size=60,
    ).map("".join)
)
@settings(deadline=None)
def test_garbage_only_ever_raises_a_user_error(text):
    try:
        assert parse(str(parse(text))) == parse(text)
    except UserError as error:
        assert error.message


def test_nots_count_as_brackets_do_and_the_deepest_query_prints():
    text = "not " * 50 + "(" * 50 + "year = 1990" + ")" * 50
    assert str(parse_query(str(parse_query(text)))) == str(parse_query(text))
    with pytest.raises(
        UserError, match="at character 401: brackets are nested more than 100 deep, every not"
    ):
        parse_query("not " * 400 + "year = 1990")
    assert parse_query(" and ".join(["not a = 1"] * 140))


def test_a_whole_number_keeps_its_digits():
    assert str(parse_query("post = 9007199254740993")) == "post = 9007199254740993"


def test_a_text_is_parsed_once():
    assert parse('mid("Heat", "Alien")') is parse('mid("Heat", "Alien")')
