"""Odd items: what was planted is found, a clean space has hardly any, and order and rotation change nothing."""

import csv
import json
from html import unescape
from types import SimpleNamespace

import numpy as np
import pytest
from odd_worlds import DIM, ITEMS, NAMES, World, rows_of
from odd_worlds import KINDS as VALUES

from fakes import plain_entry
from vecspeak import VecSpeak
from vecspeak.bundles import save_bundle
from vecspeak.bundles.origin import likely_encoder
from vecspeak.cli import main
from vecspeak.display import element, folded
from vecspeak.errors import UserError
from vecspeak.explore.copies import copy_kind
from vecspeak.explore.mislabels import Mislabel, by_value
from vecspeak.explore.neighbourhoods import looked_at
from vecspeak.explore.odd import KINDS, odd
from vecspeak.spaces import Space

SEEDS = range(5)


def one_kind(world, kind, **given):
    return odd(world.entry(**given), kinds=[kind]).kinds[0]


def group(kind, name):
    return next(one for one in kind.groups if one.name == name)


# --- what is there ---


def test_clean_spaces_have_hardly_an_odd_item():
    found = [odd(World(seed).entry()) for seed in SEEDS]
    assert sum(one.num_found for one in found) <= 2
    assert all("NOTHING FOUND" in line for line in found[0].lines if line.startswith(KINDS))
    assert all(one.kind("texts").figures["of_shuffled"] > 0.2 for one in found)


def test_exchanged_texts_are_found_with_their_partners_and_hardly_another():
    hits = wrong = pairs = 0
    for seed in SEEDS:
        world = World(seed)
        planted = world.exchange()
        kind = one_kind(world, "texts")
        found = rows_of(kind)
        hits, wrong = hits + len(found & planted), wrong + len(found - planted)
        for name in {one.name for one in kind.groups} & {"exchanged texts"}:
            items = group(kind, name).items
            pairs += len(items)
            assert {one.row for one in items} <= planted and len(items) % 2 == 0
    assert hits >= 40 and wrong <= 3 and pairs >= 20


def test_shifted_rows_are_one_group_that_names_the_way():
    for seed in SEEDS:
        world = World(seed)
        world.shift(100, 140)
        kind = one_kind(world, "texts")
        first, *others = kind.groups
        assert first.name.endswith("shifted") and "1 row above" in first.reason
        assert len({one.row for one in first.items} & set(range(100, 140))) >= 36
        assert sum(len(one.items) for one in others) <= 3
        assert first.example.note == f"the text of row {first.example.row - 1} fits"


def test_copies_of_one_text_are_duplicates_and_nothing_else_is():
    for seed in SEEDS:
        world = World(seed)
        planted = world.copy()
        kind = one_kind(world, "copies")
        assert [one.name for one in kind.groups] == ["same text"]
        assert rows_of(kind) == set(planted.ravel().tolist())
        assert kind.groups[0].num_sets == len(planted)


def test_copies_with_noise_are_found_beyond_the_spaces_own_near_pairs():
    hits = wrong = 0
    for seed in SEEDS:
        world = World(seed)
        planted = set(world.copy(noise=0.1).ravel().tolist())
        found = rows_of(one_kind(world, "copies"))
        hits, wrong = hits + len(found & planted), wrong + len(found - planted)
    assert hits == 200 and wrong <= 4


def test_copies_say_which_fault_of_the_pipeline_made_them():
    world = World(3)
    default, empty, (first, second) = world.some(5), world.some(4), world.some(2)
    world.vectors[default] = world.vectors[default[0]]
    for row in empty:
        world.vectors[row], world.texts[row] = world.vectors[empty[0]], "" if row % 2 else "  "
    opening = " ".join(NAMES[:25])
    world.vectors[first] = world.vectors[second]
    world.texts[first], world.texts[second] = f"{opening} {NAMES[30]}", f"{opening} {NAMES[40]} {NAMES[41]}"
    kind = one_kind(world, "copies")
    found = {one.name: {item.row for item in one.items} for one in kind.groups}
    assert found == {
        "default vector": set(default.tolist()),
        "no text": set(empty.tolist()),
        "same beginning": {first, second},
    }
    assert [one.name for one in kind.groups] == ["default vector", "no text", "same beginning"]


@pytest.mark.parametrize(
    ("texts", "are_equal", "name"),
    [
        (["A red scarf.", "a  RED scarf"], True, "same text"),
        (["a red warm scarf", "a red warm hat"], False, "nearly the same text"),
        (["a red scarf", "two blue tents"], True, "one vector, two texts"),
        (["a red scarf", "two blue tents"], False, "nearly one vector, other texts"),
        (["a red scarf", "two blue tents", "a knife"], True, "default vector"),
        (["a red scarf", "", "a knife"], True, "default vector"),
        (["", " "], True, "no text"),
    ],
)
def test_a_set_of_copies_is_called_by_its_texts(texts, are_equal, name):
    assert copy_kind(texts, are_equal=are_equal, has_texts=True).name == name
    assert copy_kind(texts, are_equal=are_equal, has_texts=False).name == "one vector"


def test_outliers_are_found_among_clusters_and_a_clean_space_has_none():
    hits = wrong = 0
    for seed in SEEDS:
        world = World(seed, noise=0.2)
        planted = world.estrange(far=1.0)
        kind = one_kind(world, "outliers")
        found = rows_of(kind)
        hits, wrong = hits + len(found & planted), wrong + len(found - planted)
        assert kind.figures["of_random"] > 0.3
    assert hits >= 50 and wrong <= 2


def test_vectors_of_another_make_are_groups_of_their_own():
    world = World(1)
    longer, shorter, constant = world.some(4), world.some(3), world.some(2)
    world.vectors[longer] *= 3
    world.vectors[shorter] /= 5
    world.vectors[constant] = 1 / np.sqrt(DIM)
    kind = one_kind(world, "outliers")
    for name, rows in (
        ("longer vectors", longer),
        ("shorter vectors", shorter),
        ("constant vectors", constant),
    ):
        assert {one.row for one in group(kind, name).items} == set(rows.tolist())


def test_lengths_that_differ_anyway_are_not_odd():
    world = World(1)
    world.vectors *= np.exp(0.4 * world.draw.normal(size=(ITEMS, 1)))
    assert not rows_of(one_kind(world, "outliers"), "longer", "shorter")


def test_wrong_labels_are_found_and_say_what_the_neighbours_have():
    hits = wrong = 0
    for seed in SEEDS:
        world = World(seed)
        right = world.kind.copy()
        planted = world.mislabel()
        kind = one_kind(world, "labels")
        found = rows_of(kind)
        hits, wrong = hits + len(found & planted), wrong + len(found - planted)
        for one in kind.groups:
            for item in one.items:
                if item.row in planted:
                    value = VALUES[world.kind[item.row]]
                    assert one.name.startswith((f"kind: {value}", "kind: single values"))
                    assert f"have {value}" in item.note and item.note.endswith(
                        f"have {VALUES[right[item.row]]}"
                    )
        assert len(kind.groups) <= len(VALUES) + 1
        assert all(one.example.row in planted for one in kind.groups)
    assert hits >= 92 and wrong <= 2


def test_items_that_texts_or_outliers_explain_are_no_wrong_labels():
    both = 0
    for seed in SEEDS:
        world = World(seed)
        wrong, exchanged = world.mislabel(), world.some(20)
        world.vectors[exchanged] = world.vectors[exchanged[::-1]]
        found = odd(world.entry())
        by_texts, labels = rows_of(found.kind("texts")), found.kind("labels")
        alone = rows_of(odd(world.entry(), kinds=["labels"]).kinds[0])
        both += len(alone & by_texts & set(exchanged.tolist()))
        assert rows_of(labels) == alone - by_texts - rows_of(found.kind("outliers"))
        assert f"{len(alone) - len(rows_of(labels))} more items are left out here" in labels.control
        assert len(rows_of(labels) & wrong) >= 15
    assert both >= 15


def test_mislabels_of_rarer_values_are_one_group_of_their_column_with_the_surest_first():
    def one(row, value, share, depth):
        return Mislabel(
            row=row, column="c", value=value, instead="x", depth=depth, share=share, share_instead=0.9
        )

    some = [
        one(0, "a", 0.0, 3),
        one(1, "a", 0.1, 9),
        one(2, "a", 0.0, 4),
        one(3, "b", 0.1, 5),
        one(4, "d", 0.0, 4),
    ]
    assert [[part.row for part in group] for group in by_value(some)] == [[2, 0, 1], [4, 3]]


def test_labels_that_vectors_do_not_tell_are_not_judged():
    world = World(0)
    world.kind = world.draw.permutation(world.kind)
    kind = one_kind(world, "labels")
    assert not kind.num_items and "do not tell 4 values" in kind.control


@pytest.mark.parametrize(("items", "dim"), [(300, 8), (300, 32), (1000, 64)])
def test_random_texts_of_random_vectors_are_no_shifted_rows(items, dim):
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(NAMES, 8)) for _ in range(items)]
    vectors = draw.normal(size=(items, dim))
    kind = odd(plain_entry(Space.from_arrays(vectors, texts=texts, name="random")), kinds=["texts"]).kinds[0]
    assert not kind.groups and "NOTHING COULD BE FOUND" in kind.lines[0]


def test_shifted_rows_are_found_where_single_ones_are_not_and_neighbours_alike_are_none():
    world = World(0, noise=3)
    world.shift()
    kind = one_kind(world, "texts")
    assert rows_of(kind) <= set(range(97, 143)) and len(rows_of(kind)) >= 20
    assert "no single row is judged; runs are longer" in kind.control
    alike = World(0)
    words = alike.words[np.repeat(np.arange(0, ITEMS, 8), 8)]  # eight rows on end share eight of ten words
    words[:, 8:] = alike.words[:, 8:]
    meaning = np.random.default_rng(7).normal(size=(len(NAMES), DIM))
    alike.vectors = 0.5 * meaning[words].sum(1) + 2 * alike.draw.normal(size=(ITEMS, DIM))
    alike.texts = [" ".join(NAMES[one] for one in some) for some in words]
    assert not rows_of(one_kind(alike, "texts"), "rows")


def test_texts_of_one_word_are_not_looked_at():
    vectors = np.random.default_rng(0).normal(size=(300, 8))
    for text in ("hello", "hello world"):
        entry = plain_entry(Space.from_arrays(vectors, texts=[text] * 300, name="same"))
        assert "all texts have the same words" in str(odd(entry, kinds=["texts"]))


@pytest.mark.parametrize("dim", [1, 2, 3, 8])
def test_random_vectors_of_few_numbers_are_neither_copies_nor_of_another_make(dim):
    vectors = np.random.default_rng(1).normal(size=(3000, dim))
    found = odd(plain_entry(Space.from_arrays(vectors, name="random")), kinds=["copies", "outliers"])
    assert not found.kind("copies").groups
    assert not rows_of(found.kind("outliers"), "longer", "shorter")


def test_the_very_same_and_rounded_vectors_are_copies_also_in_two_dimensions():
    vectors = np.random.default_rng(1).normal(size=(1000, 2))
    vectors[1], vectors[3] = vectors[0], 2 * vectors[2]
    kind = odd(plain_entry(Space.from_arrays(vectors, name="flat")), kinds=["copies"]).kinds[0]
    assert rows_of(kind) == {0, 1, 2, 3}


def test_copies_that_differ_by_rounding_are_copies_though_all_items_have_one():
    world = World(0)
    half = ITEMS // 2
    noise = 1e-5 * world.draw.normal(size=(half, DIM))
    world.vectors[half:], world.texts[half:] = world.vectors[:half] + noise, world.texts[:half]
    assert len(rows_of(one_kind(world, "copies"))) == ITEMS


def test_texts_that_vectors_do_not_tell_show_nothing_and_the_answer_says_so():
    world = World(0)
    world.texts = [world.texts[row] for row in world.draw.permutation(ITEMS)]
    kind = one_kind(world, "texts")
    assert not kind.groups and kind.figures["of_shuffled"] < 0.1 and "NOTHING COULD BE FOUND" in kind.lines[0]


def test_outliers_with_something_in_common_are_a_group_by_it():
    world = World(2, noise=0.2)
    planted = sorted(world.estrange(far=1.0))
    for row in planted:
        world.texts[row] += " haunted"
    kind = one_kind(world, "outliers")
    haunted = group(kind, "haunted")
    assert {one.row for one in haunted.items} <= set(planted) and len(haunted.items) >= 8
    assert "haunted" in haunted.over_represented
    assert not any("haunted" in one.text for some in kind.groups if some is not haunted for one in some.items)


# --- embedded again ---


def encode_of(world):
    """An encoder that gives the vectors of the right texts, as they were before anything was planted."""
    known = dict(zip(world.texts, world.vectors.astype(np.float32), strict=True))
    return lambda texts: np.stack([known[text] for text in texts])


def test_what_the_encoder_makes_of_a_text_decides_where_it_is_at_hand():
    world = World(4)
    encode = encode_of(world)
    alone = World(4)
    planted = world.exchange()
    assert planted == alone.exchange()
    kind = odd(world.entry(), kinds=["texts"], encode=encode).kinds[0]
    by_map = rows_of(one_kind(alone, "texts"))
    assert rows_of(kind) <= planted and len(rows_of(kind)) > len(by_map & planted)
    assert "embedded again" in kind.control and kind.figures["differing_low"] <= 20 / ITEMS
    assert len(group(kind, "exchanged texts").items) >= 12


def test_an_encoder_that_did_not_make_the_vectors_is_not_believed():
    world = World(4)
    draw = np.random.default_rng(0)
    kind = odd(
        world.entry(), kinds=["texts"], encode=lambda texts: draw.normal(size=(len(texts), DIM))
    ).kinds[0]
    assert not kind.groups and "embedded_again" not in kind.figures


def test_a_few_texts_are_compared_by_the_encoder_alone():
    world = World(4, items=120)
    encode = encode_of(world)
    planted = world.exchange(10)
    kind = odd(world.entry(), kinds=["texts"], encode=encode).kinds[0]
    assert rows_of(kind, "another text") == planted
    assert "the map needs 200" in one_kind(world, "texts").control


# --- laws ---


@pytest.fixture(scope="module")
def planted():
    world = World(5, noise=0.3)
    world.exchange()
    world.copy()
    world.mislabel()
    world.estrange(far=1.0)
    return world


def by_kind(found):
    return {
        (one.kind, some.name): sorted(item.id for item in some.items)
        for one in found.kinds
        for some in one.groups
    }


def test_the_answer_does_not_depend_on_the_order_of_rows(planted):
    order = np.random.default_rng(1).permutation(ITEMS)
    first, second = (odd(planted.entry(order=one), kinds=KINDS[1:]) for one in (None, order))
    assert by_kind(first) == by_kind(second) and first.num_found > 60


def test_the_answer_does_not_depend_on_a_rotation(planted):
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(DIM, DIM)))
    first, second = (odd(planted.entry(turn=one), kinds=KINDS) for one in (None, turn))
    assert by_kind(first).keys() == by_kind(second).keys()
    # the read-out of labels is rounded to int8 along the coordinates, so that one at the border may change
    apart = [
        set(one) ^ set(other)
        for one, other in zip(by_kind(first).values(), by_kind(second).values(), strict=True)
    ]
    assert sum(map(len, apart)) <= 2


def test_texts_in_another_order_of_rows_are_nearly_the_same(planted):
    order = np.random.default_rng(1).permutation(ITEMS)
    first, second = (
        {
            item.id
            for some in odd(planted.entry(order=one), kinds=["texts"]).kinds[0].groups
            for item in some.items
        }
        for one in (None, order)
    )
    # other items serve as the other texts that a fit is held against
    assert len(first ^ second) <= 0.3 * len(first | second)


def test_of_a_large_space_whole_runs_of_rows_are_looked_at():
    assert looked_at(30_000, 0).tolist() == list(range(30_000))
    some = looked_at(100_000, 0)
    assert len(some) == len(set(some.tolist())) == 20_000 and (np.diff(some) > 0).all()
    assert (np.diff(some) == 1).sum() >= 19_980 and np.array_equal(some, looked_at(100_000, 0))


def test_items_with_one_vector_all_are_copies_and_nothing_else():
    entry = plain_entry(
        Space.from_arrays(np.ones((60, 4)), texts=[f"text {row}" for row in range(60)], name="same")
    )
    found = odd(entry)
    assert found.num_found == 60 and [one.name for one in found.kind("copies").groups] == ["default vector"]
    assert all("one vector" in found.kind(name).control for name in ("texts", "labels", "outliers"))


# --- what is refused, and what is given ---


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kinds": ["outlier"]}, "`kinds` is one of"),
        ({"kinds": "texts"}, "`kinds` is a list"),
        ({"columns": ["kinds"]}, "no column 'kinds' whose values could be judged; did you mean 'kind'"),
        ({"columns": "kind"}, "`columns` is a list"),
        ({"columns": []}, "`columns` is a list"),
        ({"columns": [["kind"]]}, "`columns` is one of 'kind'"),
        ({"seed": -1}, "`seed`"),
    ],
)
def test_what_is_not_there_is_refused(given, message):
    with pytest.raises(UserError, match=message):
        odd(World(0).entry(), **given)


def test_a_numeric_column_is_refused_as_such():
    vectors = World(0).vectors
    columns = {"price": np.arange(ITEMS) / 2, "kind": ["a", "b"] * (ITEMS // 2)}
    entry = plain_entry(Space.from_arrays(vectors, metadata=columns, name="shop"))
    with pytest.raises(UserError, match="'price' of 'shop' is numeric.*its columns with values are 'kind'"):
        odd(entry, columns=["price"])


def test_too_few_items_are_refused():
    with pytest.raises(UserError, match="49 items, and what is odd is told from 50 on"):
        odd(World(0, items=49).entry())


def test_a_space_without_texts_and_columns_says_what_was_not_looked_at():
    found = odd(plain_entry(Space.from_arrays(World(0).vectors, name="bare")))
    assert "the space has no texts" in str(found.kind("texts")) and not found.kind("labels").num_items
    assert found.kind("outliers").num_items == ITEMS


def test_the_result_shows_itself_and_becomes_rows(planted, tmp_path):
    found = odd(planted.entry())
    frame = found.to_pandas()
    assert len(frame) == sum(len(some.items) for one in found.kinds for some in one.groups)
    assert set(frame["row"]) == {row for one in found.kinds for row in rows_of(one)}
    path = tmp_path / "odd.csv"
    assert found.write(path) == len(frame)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == frame["id"].tolist() and rows[0]["text"]
    page = found._repr_html_()
    assert "outliers" in page and found.kinds[0].groups[0].example.label in page
    assert json.loads(json.dumps(found.to_dict()))["num_found"] == found.num_found
    assert all(one.groups and len(str(one)) for one in found.kinds)


def test_long_labels_are_cut_in_lines_and_pages():
    world = World(0)
    world.vectors[5] = world.vectors[6]
    labels = ["L" * 20_000] * ITEMS
    space = Space.from_arrays(world.vectors, labels=labels, texts=world.texts, name="long")
    found = odd(plain_entry(space), kinds=["copies"])
    assert max(map(len, str(found).splitlines())) < 1500 and "L" * 81 not in found._repr_html_()
    assert found.kinds[0].groups[0].items[0].label == labels[0]


def test_the_summary_of_what_opens_shows_hidden_letters():
    assert r"a\x1b[2J\u202eb" in folded("a\x1b[2J\u202eb", element("p", "inside"))


def test_markup_in_labels_and_texts_is_escaped():
    world = World(0)
    world.texts[5] = world.texts[6] = "<b>bold</b>\x1b[2J"
    world.vectors[5] = world.vectors[6]
    found = odd(world.entry(), kinds=["copies"])
    assert "<b>" not in found._repr_html_() and "\x1b" not in str(found)


@pytest.fixture
def folder(source, tmp_path):
    world = World(0)
    world.copy(3)
    world.mislabel(5)
    return save_bundle(
        tmp_path / "world.bundle", source=source, name="world", entries={"world": world.entry()}
    ).folder


def test_the_command_says_what_the_library_finds(folder, tmp_path, capsys):
    main(["odd", str(folder), "--json", "--no-encoder"])
    found = json.loads(capsys.readouterr().out)
    assert [one["kind"] for one in found["kinds"]] == list(KINDS)
    assert found == json.loads(json.dumps(VecSpeak.load(folder).odd(encoder=False).to_dict()))
    path = tmp_path / "odd.csv"
    main(["odd", str(folder), "--kind", "copies", "--kind", "labels", "--column", "kind", "--out", str(path)])
    printed = capsys.readouterr()
    assert "same text: 6 items in 3 sets" in printed.out and "outliers" not in printed.out
    assert len(path.read_text().splitlines()) >= 7 and "rows in" in printed.err


def test_the_page_has_every_group_and_its_reason(planted, tmp_path):
    found = odd(planted.entry())
    page = unescape(VecSpeak.save_page(found, tmp_path / "odd.html").read_text())
    groups = [some for one in found.kinds for some in one.groups]
    assert all(some.name in page and some.reason in page for some in groups) and "Odd items of world" in page


@pytest.mark.parametrize("command", ["odd", "leaks"])
def test_a_result_and_its_page_are_two_files(folder, tmp_path, capsys, command):
    one = tmp_path / "odd.csv"
    with pytest.raises(SystemExit):
        main([command, str(folder), "--out", str(one), "--page", str(tmp_path / "." / "odd.csv")])
    assert "--out and --page both name" in capsys.readouterr().err
    assert not one.exists()


def test_a_column_that_is_not_there_is_said_as_it_was_typed(folder, capsys):
    with pytest.raises(SystemExit):
        main(["odd", str(folder), "--column", "kinds"])
    said = capsys.readouterr().err
    assert "no column 'kinds'" in said and "--columns" not in said


def test_an_encoder_that_the_space_does_not_name_is_recognized_though_rows_are_wrong():
    world = World(4)
    encode = encode_of(world)
    world.exchange()
    reader = SimpleNamespace(name="words", dim=DIM, encode=encode)
    entry = world.entry()
    assert likely_encoder(entry.space, world.texts, lambda: reader) is reader
    kind = odd(entry, kinds=["texts"], encode=encode, likely="words").kinds[0]
    assert (
        "embedded again by words, which made most vectors, though the space does not say so" in kind.control
    )
    draw = np.random.default_rng(0)
    other = SimpleNamespace(name="words", dim=DIM, encode=lambda texts: draw.normal(size=(len(texts), DIM)))
    assert likely_encoder(entry.space, world.texts, lambda: other) is None


def test_a_file_that_cannot_be_written_is_refused_before_the_work(folder, tmp_path):
    with pytest.raises((UserError, SystemExit)):
        main(["odd", str(folder), "--out", str(tmp_path / "missing" / "odd.csv")])
