"""Leaks: what is planted in vectors is read, what is not is not found, and attributes of persons wait to be named."""

import dataclasses
import json
import time
import warnings

import numpy as np
import pyarrow as pa
import pytest

from fakes import WORDS, WordEncoder
from vecspeak import VecSpeak
from vecspeak.bundles import SpaceEntry, save_bundle
from vecspeak.cli import main
from vecspeak.errors import UserError
from vecspeak.explore.leaks import leaks
from vecspeak.explore.leaks.assess import _divided
from vecspeak.explore.leaks.attacks import at_common_scale
from vecspeak.explore.leaks.findings import graded
from vecspeak.explore.leaks.outcomes import (
    Outcome,
    aucs_of,
    balanced_accuracy,
    hits,
    mean_auc,
    rank_correlation,
)
from vecspeak.explore.leaks.protections import protections
from vecspeak.explore.leaks.strings import name_parts, strings_in
from vecspeak.explore.leaks.targets import column_targets, text_targets
from vecspeak.model.alignment import Alignment
from vecspeak.points.foldin import FoldIn
from vecspeak.spaces import Space
from vecspeak.spaces.io import FactorSettings
from vecspeak.stats import auc

ITEMS, DIM = 400, 24
FILLERS = [f"filler{one}" for one in "abcdefghijklmnopqrst"]


def plain_entry(space, **others):
    """The space in a bundle, read as it is."""
    made = {
        "users": None,
        "alignment": Alignment(dim=space.dim, encoder_dim=space.dim),
        "splits": {},
        "report": {"kind": "identity", "encoder": "none"},
        "concepts": {},
    }
    return SpaceEntry(space=space, **(made | others))


def world(seed=0, *, shuffled=False, **more):
    """Items whose word, name, class, number and gender are functions of the vector; two columns are not."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(ITEMS, DIM)).astype(np.float32)
    vectors[:, :4] *= 3
    texts = []
    for row in vectors:
        words = [
            *rng.choice(FILLERS, 4, replace=False),
            "war" if row[0] > 1 else "love" if row[0] < -1 else "tea",
        ]
        name = "Ann Smith" if row[1] > 2 else "Bob" if row[1] < -2 else "somebody"
        texts.append(
            f"The {' '.join(words)} of {name} in {rng.integers(1900, 1905)} for {rng.integers(3, 9)} days."
        )
    if shuffled:
        vectors = rng.permutation(vectors)
    table = {
        "kind": [["low", "middle", "high"][int(row > -1) + int(row > 1)] for row in vectors[:, 2]],
        "size": vectors[:, 3] * 2 + rng.normal(size=ITEMS) * 0.5,
        "drawn": rng.choice(["a", "b", "c"], ITEMS),
        "noise": rng.normal(size=ITEMS),
        "gender": ["female" if row > 0 else "male" for row in vectors[:, 0]],
        "split": ["train"] * ITEMS,
    }
    if shuffled:  # the columns were made of the shuffled vectors: they are shuffled too
        order = rng.permutation(ITEMS)
        table = {name: [column[place] for place in order] for name, column in table.items()}
    space = Space.from_arrays(vectors, texts=texts, metadata=table, name="world")
    return plain_entry(space, **more)


def of(found, title):
    """The best reading of a kind of data."""
    return next(one for one in found.best if one.title == title)


@pytest.fixture(scope="module")
def entry():
    return world()


@pytest.fixture(scope="module")
def found(entry):
    return leaks(entry)


# --- what stands in a text ---


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("to Joe.Smith+x@shop.example.org, or bob@b.io.", "addresses", {"joe.smith+x@shop.example.org", "bob@b.io"}),
        ("see https://x.org/a?b=1 and www.y.org.", "addresses", {"https://x.org/a?b=1", "www.y.org"}),
        ("user@host is none, nor is a @ b", "addresses", set()),
        ("on 5 May 1999, May 5th, 1999 and 1999-05-05", "dates", {"1999-05-05"}),
        ("in May 1999, on May 12 and the 3rd of June", "dates", {"1999-05", "--05-12", "--06-03"}),
        ("in 1985, the 1920s and 12/05/99", "dates", {"1985", "1920s", "12/05/99"}),
        ("May we? He may march in June", "dates", set()),
        ("1,200 boats, 3.5% and $1500 for 2,000,000", "numbers", {"1200", "3.5", "1500", "2000000"}),
        ("in 1999 on 5 May 2001, 12 men, 20km", "numbers", {"12", "20"}),
        ("version2 of mail7@x.org", "numbers", set()),
        ("He met Ann. She left New York with Dr. Smith", "names", {"Ann", "New York", "Smith"}),
        ("It is the University of Arizona's dean", "names", {"University of Arizona"}),
        ("it is Anne-Marie O'Neil who goes", "names", {"Anne-Marie O'Neil"}),
        ("Paris is nice. London: Rome is big", "names", set()),
        ("on Monday in May I met nobody", "names", set()),
        ("ALL OF THIS IS A HEADLINE", "names", set()),
        ("The man and the dog", "words", {"man", "dog"}),
    ],
)  # fmt: skip
def test_strings_are_those_that_a_person_counts(text, kind, expected):
    assert strings_in(text)[kind] == expected


def test_time_grows_with_the_text_and_not_with_its_square():
    strings_in("warm")
    for run in ("a", "1", "a_", "a.", "1,", "a@", "May "):
        started = time.perf_counter()
        strings_in((run * 5000)[:5000])
        assert time.perf_counter() - started < 0.1, run


def test_long_runs_lose_nothing_that_is_normal():
    longest = "a" * 64 + "@" + "b" * 63 + ".example"
    found = strings_in(
        f"{'x' * 3000} {longest} {'_' * 300}a1 costs 1,234,567,890,123.50 of {'9' * 30} to Ann_b9."
    )
    assert found["addresses"] == {longest}
    assert found["numbers"] == {"1234567890123.50", "9" * 30}


def test_parts_of_a_name_count_where_five_items_have_them():
    lasts = ["Sato", "Khan"] * 5 + ["Rossi"]
    firsts = [f"F{letter}n" for letter in "abcdefghijk"]
    texts = [f"we met {first} {last} there" for first, last in zip(firsts, lasts, strict=True)]
    space = Space.from_arrays(np.random.default_rng(0).normal(size=(11, 4)), texts=texts)
    names = next(one for one in text_targets(space)[0] if one.kind == "names" and not one.name)
    assert names.terms == ("Fkn Rossi", "Khan", "Sato")
    assert names.matrix.sum(0).tolist() == [[1, 5, 5]]
    assert name_parts("Dr A de la Cruz Gomez") == {"Cruz", "Gomez"} and name_parts("Bob") == set()


# --- outcomes ---


def test_guesses_count_as_many_as_an_item_has():
    from scipy.sparse import csr_matrix

    has = csr_matrix(np.array([[1, 1, 0, 0], [0, 0, 1, 0]]))
    assert hits(np.array([[0, 3], [2, 0]]), has).value == pytest.approx((0.5 + 1) / 2)
    assert hits(np.array([[-1, -1], [0, 2]]), has).value == 0


def test_an_auc_is_that_of_the_statistics_and_its_influences_give_the_error_of_resamples():
    rng = np.random.default_rng(0)
    has = rng.random((300, 3)) < 0.3
    scores = np.round(rng.normal(size=(300, 3)) + has, 1)
    outcome, aucs = mean_auc(scores, has)
    assert aucs == pytest.approx([auc(scores[:, one], has[:, one]) for one in range(3)])
    assert aucs_of(scores, has) == pytest.approx(aucs)
    drawn = [rng.integers(300, size=300) for _ in range(400)]
    spread = np.std([mean_auc(scores[rows], has[rows])[0].value for rows in drawn])
    assert outcome.error == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("seed", range(3))
def test_other_figures_have_the_error_of_resamples_too(seed):
    rng = np.random.default_rng(seed)
    classes = rng.integers(3, size=400)
    scores = rng.normal(size=(400, 3)) + 1.2 * np.eye(3)[classes]
    values = rng.normal(size=400)
    said = values + rng.normal(size=400)
    drawn = [rng.integers(400, size=400) for _ in range(300)]
    for figure in (
        lambda rows: balanced_accuracy(scores[rows], classes[rows]),
        lambda rows: rank_correlation(said[rows], values[rows]),
    ):
        spread = np.std([figure(rows).value for rows in drawn])
        assert figure(np.arange(400)).error == pytest.approx(spread, rel=0.2)


def test_a_difference_is_paired_and_all_alike_is_not_certain():
    same = Outcome.mean(np.array([1.0, 0, 1, 0] * 20))
    gap, chance = same.beyond(same)
    assert gap.value == 0 and chance == pytest.approx(0.5)
    sure = Outcome.mean(np.ones(40))
    assert sure.estimate.low == pytest.approx(1 - 3 / 40) and sure.estimate.high == 1


# --- what is read ---


def test_planted_data_are_read_and_others_are_not(found):
    assert of(found, "column kind").measured.value > 0.7 and of(found, "column kind").base == pytest.approx(
        1 / 3
    )
    assert of(found, "column size").measured.value > 0.8 and of(found, "column size").base == 0
    assert of(found, "names").verdict in ("readable", "readable in part")
    assert any(one.startswith("Ann Smith") for one in of(found, "names").examples)
    words = {one.split()[0] for one in of(found, "words").examples}
    assert {"war", "love"} <= words and not words & set(FILLERS)
    for title in ("column drawn", "column noise", "dates", "numbers"):
        assert of(found, title).verdict == "nothing found", title
    assert found.grade in "DF" and found.reasons and found.num_pairs + found.num_held_out == ITEMS


def test_random_columns_are_hardly_ever_found():
    alarms = tested = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        table = {f"c{one}": rng.choice(["a", "b", "c"], ITEMS) for one in range(5)}
        table |= {f"n{one}": rng.normal(size=ITEMS) for one in range(5)}
        space = Space.from_arrays(rng.normal(size=(ITEMS, DIM)), metadata=table, name="random")
        result = leaks(plain_entry(space), protected=False, seed=seed)
        alarms += sum(one.is_found for one in result.best)
        tested += len(result.best)
    assert tested == 120 and alarms <= 2


@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1e-20, 1e15, 1e19, 2e37, 5e37])
def test_how_long_vectors_are_does_not_hide_what_is_in_them(scale):
    vectors = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    table = {"sign": np.where(vectors[:, 0] > 0, "a", "b").tolist()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        space = Space.from_arrays(vectors * np.float32(scale), metadata=table, name="scaled")
        found = leaks(plain_entry(space), protected=scale > 1e37)
    assert found.grade == "D" and of(found, "column sign").measured.value > 0.85
    assert all(np.isfinite(one.measured.value) for form in found.protections for one in form.readings)


def test_one_scale_rounds_nothing_and_bounds_what_is_far():
    vectors = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    assert (at_common_scale(vectors * 4) * 2.0 ** np.round(np.log2(4)) == at_common_scale(vectors) * 4).all()
    vectors[3] *= 1e30
    made = at_common_scale(vectors)
    assert np.linalg.norm(made[3]) == pytest.approx(2.0**20)
    assert made[3] / np.linalg.norm(made[3]) == pytest.approx(
        vectors[3] / np.linalg.norm(vectors[3].astype(float))
    )


def test_terms_that_look_alike_are_ordered_by_how_many_items_have_them():
    vectors = np.random.default_rng(0).normal(size=(ITEMS, DIM)).astype(np.float32)
    rare, common = vectors[:, 0] > 1.5, vectors[:, 1] > 0
    vectors[:, 0] += 100 * rare
    vectors[:, 1] += 100 * common
    kinds = [
        [word for word, has in (("aaa", a), ("zzz", z)) if has] for a, z in zip(rare, common, strict=True)
    ]
    space = Space.from_arrays(vectors, metadata={"tags": kinds}, name="tagged")
    assert of(leaks(plain_entry(space), protected=False), "column tags").examples == ("zzz 1.00", "aaa 1.00")


def test_the_share_of_the_items_that_values_cover_is_said():
    vectors = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    values = [("a" if row[0] > 0 else "b") if number % 5 == 0 else None for number, row in enumerate(vectors)]
    space = Space.from_arrays(
        vectors, metadata={"home": values, "size": [None, *vectors[1:, 1] * 3]}, name="few"
    )
    found = leaks(plain_entry(space), protected=False)
    measure = of(found, "column home").measure
    share = int(measure.removeprefix("balanced accuracy of 2 values, ").removesuffix("% of the items"))
    assert 15 <= share <= 25 and share == round(100 * of(found, "column home").num_items / 200)
    assert of(found, "column size").measure == "rank correlation", "nearly all are not mentioned"


def test_nothing_is_found_in_the_vectors_of_others():
    results = [leaks(world(seed, shuffled=True), protected=False, seed=seed) for seed in range(8)]
    assert [one.grade for one in results].count("A") >= 7
    calm = next(one for one in results if one.grade == "A")
    assert "no attack read more" in calm.reasons[0] and "nothing found" in str(calm)
    kind = of(calm, "column kind")
    assert kind.base == pytest.approx(1 / 3) and kind.measured.low < kind.base < kind.measured.high


def test_the_same_seed_gives_the_same(entry, found):
    assert leaks(entry).to_dict() == found.to_dict()
    assert leaks(entry, seed=1, protected=False).readings != found.readings


def test_coarser_vectors_cost_more_neighbours_and_say_less(found):
    form = {one.name: one for one in found.protections}
    assert form["float32"].neighbours.value == 1
    assert form["float16"].neighbours.value > 0.99
    assert form["int8"].neighbours.value > form["binary (signs)"].neighbours.value + 0.2
    assert form["int8"].value("column size") > form["binary (signs)"].value("column size")
    weaker = [form[f"noise of {level} times the spread"].value("column size") for level in ("0.25", "1", "2")]
    assert weaker == sorted(weaker, reverse=True)
    assert form["binary (signs)"].bytes_each == 3 and form["first 12 numbers"].bytes_each == 48


def test_forms_of_vectors_by_hand():
    rng = np.random.default_rng(0)
    vectors = np.array([[-1.0, 0.5], [0.0, 1.0], [1.55, -3.0], [0.1, 0.2]], np.float32)
    form = {one.name: one.apply(vectors, rng) for one in protections(2)}
    assert form["binary (signs)"].tolist() == [[-1, 1], [-1, 1], [1, -1], [1, 1]]
    assert np.abs(form["int8"] - vectors).max() <= 4 / 255 / 2 + 1e-6
    assert form["int8"][[0, 2], 0].tolist() == pytest.approx([-1, 1.55])
    wide = rng.normal(size=(50, 16)).astype(np.float32)
    made = {one.name: one.apply(wide, np.random.default_rng(1)) for one in protections(16)}
    assert (made["first 4 numbers"] == wide[:, :4]).all()
    assert made["random projection to 8"].shape == (50, 8)
    away = made["noise of 2 times the spread"] - wide
    assert away.std() / np.sqrt(wide.var(0).mean()) == pytest.approx(2, rel=0.1)


# --- attributes ---


def titles(result):
    return {one.title for one in result.readings}


def test_attributes_are_measured_only_where_they_are_named(entry, found):
    assert "gender" not in " ".join(titles(found))
    assert "gender" in {one.name for one in found.not_measured}
    named = leaks(entry, attributes=["gender"], protected=False)
    assert of(named, "attribute gender").verdict == "readable" and named.grade == "F"
    assert "gender" not in {one.name for one in named.not_measured}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("customer_age", [str(one % 5) for one in range(60)]),
        ("birthYear", [str(1950 + one % 5) for one in range(60)]),
        ("who", ["male", "female", "female"] * 20),
        ("group", ["Muslim", "Christian", "other"] * 20),
    ],
)
def test_columns_that_may_speak_of_persons_are_known_by_name_and_by_values(name, values):
    space = Space.from_arrays(np.random.default_rng(0).normal(size=(60, 4)), metadata={name: values})
    targets, missing = column_targets(space, attributes=())
    assert targets == [] and missing[0].name == name and "persons" in missing[0].reason
    assert len(column_targets(space, attributes=(name,))[0]) == 1


def test_columns_of_people_are_measured_only_where_they_are_named():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, DIM)).astype(np.float32)
    users = Space.from_arrays(
        vectors,
        ids=[f"u{row}" for row in range(200)],
        metadata={"visits": vectors[:, 0] * 2, "town": rng.choice(["x", "y"], 200)},
    )
    entry = world(users=users)
    plain = leaks(entry, protected=False)
    assert not {"column visits", "column town"} & titles(plain)
    assert {"people's visits", "people's town", "ratings"} <= {one.name for one in plain.not_measured}
    named = leaks(entry, attributes=["visits"], protected=False)
    assert of(named, "attribute visits of people").measured.value > 0.8
    assert of(
        named, "attribute visits of people"
    ).held_out_by == "person" and "attribute town of people" not in titles(named)


# --- whole texts and ratings ---


def texts_of_words(encoder):
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(WORDS, size=6)) + f" filler{row}" for row in range(200)]
    return Space.from_arrays(encoder.encode(texts), texts=texts, name="texts", encoder=encoder.name)


def test_an_attacker_with_the_encoder_finds_the_text_and_another_encoder_is_refused():
    encoder = WordEncoder()
    entry = plain_entry(texts_of_words(encoder))
    found = leaks(entry, encoder=encoder)
    whole = of(found, "whole texts, with the encoder")
    assert whole.measured.value > 0.9 and whole.base == pytest.approx(1 / 100)
    assert found.encoder == encoder.name and found.grade == "F"
    assert found.protections[0].grade == "F"
    turned = dataclasses.replace(
        entry.space, vectors=np.random.default_rng(0).normal(size=entry.space.vectors.shape)
    )
    other = leaks(plain_entry(turned), encoder=encoder, protected=False)
    reasons = {one.name: one.reason for one in other.not_measured}
    assert "makes other vectors" in reasons["whole texts, with the encoder"] and other.encoder == ""
    assert (
        "at hand"
        in {one.name: one.reason for one in leaks(entry, protected=False).not_measured}[
            "whole texts, with the encoder"
        ]
    )


def test_few_ratings_are_found_in_a_vector_and_another_persons_are_not():
    rng = np.random.default_rng(0)
    items = Space.from_arrays(rng.normal(size=(150, 40)), ids=[f"i{row}" for row in range(150)], name="films")
    settings = FactorSettings(alpha=10.0, regularization=0.05, lowest=1.0, highest=5.0)
    users = Space.from_arrays(rng.normal(size=(40, 40)), ids=[f"u{row}" for row in range(40)], name="people")
    entry = plain_entry(items, users=users, fold_in=FoldIn(settings=settings))
    people = {
        f"u{one}": {f"i{row}": float(rng.integers(1, 6)) for row in rng.choice(150, 10, replace=False)}
        for one in range(40)
    }
    found = leaks(entry, ratings=people, protected=False)
    ours = {(one.title, one.attack): one for one in found.readings if one.kind == "ratings"}
    exact = ours["ratings in a vector", "equations"]
    assert exact.measured.value > 0.9 and exact.verdict == "readable" and found.grade == "F"
    assert abs(exact.shuffled - 0.5) < 0.1 and abs(exact.base - 0.5) < 0.1
    assert exact.measured.value >= ours["ratings in a vector", "dot product"].measured.value
    forms = {one.name: one for one in leaks(entry, ratings=people).protections}
    coarse = [forms[name].value("ratings in a vector") for name in ("int8", "binary (signs)")]
    assert coarse[0] > 0.9 > coarse[1] and forms["int8"].grade == "F"
    nobody = leaks(entry, ratings={"u1": {"i1": 5.0}}, protected=False)
    assert {one.name: one.reason for one in nobody.not_measured}["ratings"] == "0 people rated enough"


def test_the_front_door_brings_the_encoder_and_the_ratings(source, tmp_path):
    encoder, notes = WordEncoder(), []
    entry = plain_entry(texts_of_words(encoder))
    save_bundle(tmp_path / "texts.bundle", source=source, name="texts", entries={"texts": entry})
    vs = VecSpeak.load(tmp_path / "texts.bundle", encoder=encoder, notify=notes.append)
    assert vs.leaks(protected=False).encoder == encoder.name and not notes
    assert vs.leaks(protected=False, encoder=False).encoder == ""
    bare = VecSpeak.load(tmp_path / "texts.bundle", notify=notes.append)
    assert bare.leaks(protected=False).encoder == "" and "without the encoder" in notes[0]
    with pytest.raises(UserError, match="`encoder` is one of"):
        vs.leaks(encoder="words")
    with pytest.raises(UserError, match="nobody can be folded into"):
        vs.leaks(ratings=tmp_path / "r.csv")


# --- who has what ---


def test_equal_texts_and_groups_are_never_on_both_sides():
    rng = np.random.default_rng(0)
    texts = [f"text {row // 2}" for row in range(200)]
    space = Space.from_arrays(
        rng.normal(size=(200, 4)), texts=texts, metadata={"author": [f"a{row % 20}" for row in range(200)]}
    )
    given, split, _ = _divided(space, None, "", np.random.default_rng(1))
    column = given.metadata.column("text").to_pylist()
    assert not {column[row] for row in split.pairs} & {column[row] for row in split.held_out}
    given, split, what = _divided(space, 60, "author", np.random.default_rng(1))
    column = given.metadata.column("author").to_pylist()
    assert what == "author" and not {column[row] for row in split.pairs} & {
        column[row] for row in split.held_out
    }
    assert len(split.pairs) == 60 and len(split.held_out) == 140


def test_a_large_space_is_sampled_and_says_so():
    rng = np.random.default_rng(0)
    space = Space.from_arrays(
        rng.normal(size=(6000, 4)), metadata={"noise": rng.normal(size=6000)}, name="large"
    )
    found = leaks(plain_entry(space), protected=False)
    assert (found.num_pairs, found.num_held_out, found.num_all) == (2500, 2500, 6000)
    assert "drawn from 6,000" in found.assumed[0]
    assert leaks(plain_entry(space), pairs=5000, protected=False).num_pairs == 5000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attributes": ["gendr"]}, "gender"),
        ({"attributes": ["text"]}, "`attributes` is one of"),
        ({"attributes": "gender"}, "`attributes` is a list"),
        ({"by": "kid"}, "did you mean 'kind'"),
        ({"by": "split"}, "does not divide"),
        ({"pairs": 5}, "`pairs` is a whole number"),
        ({"pairs": 395}, "at least are held out"),
        ({"seed": -1}, "`seed`"),
        ({"protected": "yes"}, "`protected`"),
    ],
)
def test_what_cannot_be_measured_is_refused(entry, options, message):
    with pytest.raises(UserError, match=message):
        leaks(entry, **options)


@pytest.mark.parametrize("texts", [["same"] * 200, ["n/a"] * 185 + [f"word{row}" for row in range(15)]])
def test_texts_that_are_alike_leave_the_columns_to_be_measured(texts):
    vectors = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    space = Space.from_arrays(vectors, texts=texts, metadata={"size": vectors[:, 0]}, name="alike")
    found = leaks(plain_entry(space), protected=False)
    assert of(found, "column size").measured.value > 0.9 and found.held_out_by == "item"
    reasons = {one.name: one.reason for one in found.not_measured}
    assert reasons["texts"] == f"{texts.count(texts[0])} of 200 have the same one" and "words" not in reasons
    with pytest.raises(UserError, match="neither texts nor a column") as told:
        leaks(plain_entry(Space.from_arrays(vectors, texts=texts, name="alike")))
    assert "`attributes`" in str(told.value) and "hold out" not in str(told.value)


def test_blank_texts_are_none():
    space = Space.from_arrays(np.random.default_rng(0).normal(size=(80, 4)), texts=[" "] * 80, name="blank")
    assert leaks(plain_entry(space), protected=False).held_out_by == "item, equal texts together"


def test_few_items_are_refused():
    with pytest.raises(UserError, match="has 30 items"):
        leaks(plain_entry(Space.from_arrays(np.random.default_rng(0).normal(size=(30, 4)), name="few")))


def test_a_space_without_texts_and_columns_is_read_as_nothing():
    found = leaks(plain_entry(Space.from_arrays(np.random.default_rng(0).normal(size=(80, 4)), name="bare")))
    assert found.grade == "A" and found.readings == () and "texts" in {one.name for one in found.not_measured}
    assert found.to_markdown() and found._repr_html_() and str(found)


def test_dates_in_a_column_are_ordered_as_numbers():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 6)).astype(np.float32)
    days = pa.array([int(1000 * value) + 10_000 for value in vectors[:, 0]], pa.int32()).cast(pa.date32())
    space = Space.from_arrays(vectors, metadata=pa.table({"made": days}), name="dated")
    assert of(leaks(plain_entry(space), protected=False), "column made").measured.value > 0.9


# --- how it is shown ---


def test_grades_follow_the_worst_reading(found):
    base = of(found, "column kind")

    def one(kind, gap):
        measured = dataclasses.replace(base.measured, value=0.3 + gap)
        beyond = dataclasses.replace(base.beyond, value=gap, low=gap)
        return dataclasses.replace(base, kind=kind, name="", measured=measured, beyond=beyond, q=0.0)

    assert graded([]) == "A" and graded([dataclasses.replace(one("words", 0.3), q=0.5)]) == "A"
    assert graded([one("words", 0.05)]) == "B" and graded([one("words", 0.2)]) == "C"
    assert graded([one("words", 0.5)]) == "D" and graded([one("names", 0.2)]) == "D"
    assert graded([one("words", 0.2), one("names", 0.5)]) == "F"


def test_what_is_the_same_in_every_row_stands_above_and_the_grade_first(found):
    page, text = str(found._repr_html_()), found.to_markdown()
    for report in (page, text):
        assert report.count("held out by item, equal texts together") == 2, "assumed, and above the table"
    assert "| vectors | grade | bytes |" in text
    assert page.index(">grade<") < page.index(">bytes<")
    mixed = dataclasses.replace(found.readings[0], held_out_by="person", name="other")
    differing = dataclasses.replace(found, readings=(*found.readings, mixed))
    assert "| held out by |" in differing.to_markdown() and "Every line" not in differing.to_markdown()


def test_the_report_is_written_whole_and_foreign_text_obeys_nobody(tmp_path, found):
    odd = dataclasses.replace(found, space="<b>|[x](y)\x1b[2J")
    path = odd.write(tmp_path / "leaks.md")
    text = path.read_text()
    assert r"\<b\>\|\[x\](y)" in text and "\x1b" not in text
    assert "| kind of data |" in text and "## Protected" in text and "no proof that there is none" in text
    assert "&lt;b&gt;|[x](y)" in odd._repr_html_() and "\x1b" not in odd._repr_html_()
    rows = found.write(tmp_path / "leaks.csv").read_text().splitlines()
    assert rows[0].startswith("kind of data,readable?") and len(rows) == 1 + len(found.best)
    with pytest.raises(UserError, match=r"\.md or \.csv"):
        found.write(tmp_path / "leaks.pdf")
    frame = found.to_pandas()
    assert len(frame) == len(found.readings) and {"verdict", "base", "q"} <= set(frame.columns)


def test_the_command_says_what_the_library_finds(entry, found, source, tmp_path, capsys):
    folder = tmp_path / "world.bundle"
    save_bundle(folder, source=source, name="world", entries={"world": entry})
    main(["leaks", str(folder), "--json", "--out", str(tmp_path / "leaks.md")])
    printed = capsys.readouterr()
    assert json.loads(printed.out) == json.loads(json.dumps(found.to_dict()))
    assert "wrote" in printed.err and (tmp_path / "leaks.md").read_text() == found.to_markdown()
    main(["leaks", str(folder), "--attribute", "gender", "--no-protections"])
    assert "attribute gender" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["leaks", str(folder), "--out", str(tmp_path / "no" / "leaks.md")])
    assert "its folder does not exist" in capsys.readouterr().err
