"""Concepts: planted directions are recovered, unrelated ones are not trusted, and files are checked."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest

from vecspeak.errors import UserError
from vecspeak.points import (
    Concept,
    Scope,
    concept_from_metadata,
    evaluate,
    fit_concept,
    load_concept,
    save_concept,
)
from vecspeak.points.calibration import FOLDED, score
from vecspeak.points.concept import Score
from vecspeak.points.concept_fit import concept_from_direction
from vecspeak.points.estimators import ConceptExamples
from vecspeak.spaces import Space

NUM_ITEMS, DIM = 400, 8
AXIS = np.eye(DIM)[2]


@pytest.fixture(scope="module")
def cloud() -> Space:
    """Isotropic vectors; items with a large third coordinate are horror, and bear that in every column."""
    vectors = np.random.default_rng(5).normal(size=(NUM_ITEMS, DIM)).astype(np.float32)
    high = vectors[:, 2] > 0.5
    genres = [
        ["Drama", "Horror"] if is_high else ["Comedy"] if row % 2 else [] for row, is_high in enumerate(high)
    ]
    genres[int(np.flatnonzero(~high)[0])] = None  # type: ignore[call-overload]
    return Space(
        name="cloud",
        ids=tuple(f"c{row}" for row in range(NUM_ITEMS)),
        labels=tuple(f"Film {row}" for row in range(NUM_ITEMS)),
        vectors=vectors,
        metadata=pa.table({
            "genres": pa.array(genres, pa.list_(pa.string())),
            "mood": ["Dark" if is_high else "light" for is_high in high],
            "stars": [5 if is_high else 1 for is_high in high],
            "seen": [bool(is_high) for is_high in high],
        }),
    )  # fmt: skip


@pytest.fixture(scope="module")
def horror(cloud: Space) -> Concept:
    return concept_from_metadata(cloud, "horror", "genres", "horror")


def test_a_planted_direction_is_recovered_and_separates_unseen_items(cloud, horror):
    assert float(horror.direction @ AXIS) > 0.95
    assert horror.score.value > 0.98
    assert horror.score.low <= horror.score.value <= horror.score.high <= 1
    assert np.isclose(np.linalg.norm(horror.direction), 1, atol=1e-6)
    assert (horror.space, horror.space_digest, horror.method) == ("cloud", cloud.digest, "logistic")


def test_a_planted_direction_is_recovered_when_axes_are_stretched_alike_for_both_sides(cloud):
    stretch = np.array([1, 5, 2, 0.1, 1, 1, 30, 1])
    stretched = dataclasses.replace(cloud, vectors=(cloud.vectors * stretch).astype(np.float32))
    concept = fit_concept(stretched, "high", cloud.vectors[:, 2] > 0.5)
    assert concept.score.value > 0.98
    scores = stretched.vectors @ concept.direction
    assert np.corrcoef(scores, cloud.vectors[:, 2])[0, 1] > 0.95


def test_an_unrelated_concept_has_an_interval_that_covers_chance(cloud):
    mask = np.random.default_rng(0).permutation(np.arange(NUM_ITEMS) < 60)
    concept = fit_concept(cloud, "noise", mask)
    assert concept.score.low < 0.5 < concept.score.high
    assert concept.score.high - concept.score.low < 0.3


def test_the_auc_of_unrelated_concepts_is_unbiased_and_its_interval_covers_chance_nine_times_in_ten():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(60, 20)).astype(np.float32)
    drawn = [ConceptExamples(features=features, has=rng.permutation(np.arange(60) < 15)) for _ in range(40)]
    scores = [score(examples.outcomes(0), 0, stretch=FOLDED) for examples in drawn]
    assert abs(np.mean([one.value for one in scores]) - 0.5) < 0.06
    assert sum(one.low < 0.5 < one.high for one in scores) >= 35


def test_the_scale_is_the_standard_deviation_of_the_projections(cloud, horror):
    assert np.isclose(horror.scale, np.std(cloud.vectors @ horror.direction), rtol=1e-5)
    point = evaluate('"Film 7" + 2*horror', Scope(space=cloud, concepts={"horror": horror}))
    moved = (point.vector - cloud.vectors[7]) @ horror.direction
    assert np.isclose(moved, 2 * np.std(cloud.vectors @ horror.direction), rtol=1e-4)


def test_fitting_twice_gives_the_same_concept(cloud, horror):
    again = concept_from_metadata(cloud, "horror", "genres", "horror")
    assert np.array_equal(again.direction, horror.direction)
    assert again.facts() == horror.facts()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("genres", "HORROR"),
        ("mood", "dark"),
        ("stars", "5"),
        ("stars", "5.0"),
        ("stars", 5),
        ("seen", "true"),
        ("seen", True),
    ],
)
def test_metadata_values_are_matched_as_a_person_writes_them(cloud, horror, column, value):
    concept = concept_from_metadata(cloud, "horror", column, value)
    assert (concept.positives, concept.negatives) == (horror.positives, horror.negatives)
    assert np.array_equal(concept.direction, horror.direction)
    assert concept.source == f"{column} = {value}"


def test_counts_are_of_items_with_and_without(cloud, horror):
    assert horror.positives == int((cloud.vectors[:, 2] > 0.5).sum())
    assert horror.positives + horror.negatives == NUM_ITEMS


def test_a_missing_column_or_value_names_those_there_are(cloud):
    with pytest.raises(UserError, match="cloud has no metadata column 'genre'; columns there are: genres"):
        concept_from_metadata(cloud, "horror", "genre", "Horror")
    with pytest.raises(UserError, match=r"no item of cloud has genres = Horor; .*: .*Horror \(\d+ items\)"):
        concept_from_metadata(cloud, "horror", "genres", "Horor")
    with pytest.raises(
        UserError, match=r"no item of cloud has stars = many; values there are: 1 \(\d+ items\), 5"
    ):
        concept_from_metadata(cloud, "horror", "stars", "many")


def test_many_values_are_cut_down_to_the_nearest():
    names = tuple(f"value {number}" for number in range(30))
    vectors = np.eye(30, dtype=np.float32)
    space = Space(
        name="s", ids=names, labels=names, vectors=vectors, metadata=pa.table({"kind": list(names)})
    )
    with pytest.raises(UserError) as caught:
        concept_from_metadata(space, "x", "kind", "value 177")
    assert caught.value.hint.startswith("values there are: value 17 (1 items), ")
    assert caught.value.hint.count("items") == 5


@pytest.mark.parametrize("count", [0, 4, NUM_ITEMS - 4, NUM_ITEMS])
def test_fewer_than_five_on_a_side_are_refused(cloud, count):
    with pytest.raises(UserError, match="a concept needs at least 5 of each"):
        fit_concept(cloud, "rare", np.arange(NUM_ITEMS) < count)


def test_five_of_each_are_enough(cloud):
    small = cloud.take(list(range(10)))
    assert fit_concept(small, "few", np.arange(10) < 5).positives == 5


def test_a_mask_that_does_not_fit_is_refused(cloud):
    with pytest.raises(UserError, match=r"has type bool and shape \(3,\); cloud needs one truth value"):
        fit_concept(cloud, "x", np.ones(3, dtype=bool))
    with pytest.raises(UserError, match="has type int64"):
        fit_concept(cloud, "x", np.ones(NUM_ITEMS, dtype=np.int64))


def test_vectors_that_do_not_differ_have_no_direction():
    names = tuple(map(str, range(12)))
    space = Space(name="s", ids=names, labels=names, vectors=np.ones((12, 3)), metadata=pa.table({}))
    with pytest.raises(UserError, match="do not differ"):
        fit_concept(space, "x", np.arange(12) < 6)


@pytest.mark.parametrize("name", ["", "2fast", "slow paced", "a-b", "mid", "user", "grün", "x\n"])
def test_a_name_that_no_expression_could_use_is_refused(cloud, name):
    with pytest.raises(UserError, match="cannot name a concept"):
        fit_concept(cloud, name, cloud.vectors[:, 2] > 0)


def test_an_unknown_method_names_the_known(cloud):
    with pytest.raises(
        UserError, match="there is no method 'svm' for examples; there is logistic, ridge, mean"
    ):
        fit_concept(cloud, "x", cloud.vectors[:, 2] > 0, method="svm")


def test_a_saved_concept_comes_back_the_same(cloud, horror, tmp_path):
    save_concept(horror, tmp_path / "horror.json")
    loaded = load_concept(tmp_path / "horror.json", cloud)
    for field in dataclasses.fields(Concept):
        assert np.array_equal(getattr(loaded, field.name), getattr(horror, field.name)), field.name
    assert loaded.direction.dtype == np.float32


def test_a_concept_without_labels_comes_back_without_a_score(cloud, tmp_path):
    concept = concept_from_direction(cloud, "up", 3 * AXIS, source="a text")
    save_concept(concept, tmp_path / "up.json")
    loaded = load_concept(tmp_path / "up.json", cloud)
    assert loaded.facts() == concept.facts()
    assert (loaded.score, loaded.beats_chance) == (None, None)
    assert loaded.caution == "up comes from a text alone: no item was checked against it"


def test_a_file_of_an_older_version_is_read_and_says_that_chance_was_not_measured(cloud, horror, tmp_path):
    older = {
        "format_version": 1,
        "name": "horror",
        "space": "cloud",
        "space_digest": cloud.digest,
        "scale": 1.5,
        "positives": 120,
        "negatives": 280,
        "method": "logistic",
        "auc": 0.9,
        "auc_low": 0.85,
        "auc_high": 0.95,
        "source": "genres = Horror",
        "direction": [float(number) for number in horror.direction],
    }
    path = tmp_path / "horror.json"
    path.write_text(json.dumps(older))
    loaded = load_concept(path, cloud)
    assert loaded.score == Score(value=0.9, low=0.85, high=0.95)
    assert (loaded.measure, loaded.chance, loaded.stability, loaded.overlap) == ("AUC", None, None, {})
    assert loaded.caution == "horror was fitted by an older version: chance was not measured"
    save_concept(loaded, path)
    assert load_concept(path, cloud).facts() == loaded.facts()
    path.write_text(json.dumps(older | {"auc": "high"}))
    with pytest.raises(UserError, match="score is missing or of the wrong type"):
        load_concept(path, cloud)


def test_a_concept_of_another_space_is_refused_with_how_to_refit(cloud, horror, tmp_path):
    save_concept(horror, tmp_path / "horror.json")
    with pytest.raises(
        UserError,
        match=r"fitted on other content of cloud .* `VecSpeak.fit_concept\(...\)` on cloud from genres",
    ):
        load_concept(tmp_path / "horror.json", cloud.take(list(range(50))))
    narrow = dataclasses.replace(cloud, vectors=np.ascontiguousarray(cloud.vectors[:, :3]))
    with pytest.raises(UserError, match="has width 8; cloud needs 3"):
        load_concept(tmp_path / "horror.json", narrow)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 3}, "has format version 3; this vecspeak reads up to 2"),
        ({"format_version": None}, "it has no format_version"),
        ({"score": {"value": "high"}}, "score is missing or of the wrong type"),
        ({"chance": 0.5}, "chance is missing or of the wrong type"),
        ({"overlap": {"x": "y"}}, "overlap is missing or of the wrong type"),
        ({"measure": "luck"}, "measure is missing or of the wrong type"),
        ({"raters": True}, "raters is missing or of the wrong type"),
        ({"name": "mid"}, "is broken: 'mid' cannot name a concept"),
        ({"direction": [1.0, "x"]}, "direction holds something else than numbers"),
        ({"direction": [0.5] * 8}, "is broken: the direction of horror has shape .8,. and length 1.41"),
        ({"direction": [float("nan")] * 8}, "length nan; it must be one vector of length 1"),
        ({"direction": []}, "it must be one vector of length 1"),
        ({"scale": 0}, "the scale of horror is 0; it must be above 0"),
        ({"scale": 10**400}, "is broken"),
        ({"score": {"value": 1.5, "low": 0.4, "high": 0.6}}, "all three must lie between 0 and 1"),
    ],
)
def test_a_broken_file_is_refused(cloud, horror, tmp_path, change, message):
    path = tmp_path / "horror.json"
    save_concept(horror, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message):
        load_concept(path, cloud)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"x"', "[" * 5000, "\x00"])
def test_what_is_no_concept_file_is_refused(cloud, tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match="x.json"):
        load_concept(tmp_path / "x.json", cloud)


def test_a_missing_file_is_refused(cloud, tmp_path):
    with pytest.raises(UserError, match="x.json"):
        load_concept(tmp_path / "x.json", cloud)


def test_a_failed_save_leaves_the_old_file(horror, tmp_path, monkeypatch):
    path = tmp_path / "horror.json"
    save_concept(horror, path)
    before = path.read_bytes()

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fails)
    with pytest.raises(UserError, match="no space is left"):
        save_concept(dataclasses.replace(horror, scale=9.0), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["horror.json"]


def test_a_dimension_that_hardly_varies_does_not_take_the_direction():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, 8)).astype(np.float32)
    positive = vectors[:, 0] > 0.8
    vectors[:, 7] = 3 + 1e-7 * vectors[:, 0]
    space = Space(name="s", ids=tuple(map(str, range(400))), labels=("a",) * 400, vectors=vectors)
    concept = fit_concept(space, "wide", positive)
    assert concept.direction[0] > 0.9
    assert concept.scale > 0.5


@pytest.fixture(scope="module")
def copied() -> Space:
    """60 places with four items each."""
    vectors = np.repeat(np.random.default_rng(0).normal(size=(60, 64)), 4, axis=0)
    names = tuple(map(str, range(240)))
    return Space(name="copied", ids=names, labels=names, vectors=vectors)


@pytest.mark.parametrize("seed", range(3))
def test_copies_of_an_item_make_no_concept_of_labels_by_chance(copied, seed):
    has = np.repeat(np.random.default_rng(seed).random(60) < 0.5, 4)
    concept = fit_concept(copied, "luck", has, seed=seed)
    assert not concept.beats_chance
    assert concept.positives == has.sum()


def test_five_copies_are_not_five_examples(copied):
    with pytest.raises(UserError, match="the items with luck have 2 different vectors, and those without 58"):
        fit_concept(copied, "luck", np.arange(240) < 8)


@pytest.mark.parametrize(
    "change",
    [
        {"scale": float("nan")},
        {"overlap": {"other": float("nan")}},
        {"chance": {"mean": float("nan"), "high": float("inf"), "draws": 20}},
        {"stability": {"mean": float("-inf"), "low": 0, "refits": 20}},
        {"variance": {"share": float("nan"), "random": 0.1, "random_high": 0.2}},
    ],
    ids=str,
)
def test_numbers_that_are_none_break_a_file_and_the_hint_can_be_followed(cloud, horror, tmp_path, change):
    path = tmp_path / "horror.json"
    save_concept(horror, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError) as caught:
        load_concept(path, cloud)
    assert caught.value.message.startswith(str(path))
    assert caught.value.hint == "remove that file, then fit it again with `VecSpeak.fit_concept(...)`"


def test_a_name_too_long_for_a_file_is_refused(cloud):
    with pytest.raises(UserError, match="has 101 letters; a concept's name has at most 100"):
        fit_concept(cloud, "a" * 101, cloud.vectors[:, 2] > 0)


def test_a_direction_along_which_no_item_differs_is_no_concept():
    names = tuple(map(str, range(12)))
    vectors = np.full((12, 3), 0.1) * [1, 1, 0] + np.outer(np.arange(12), [0, 0, 1])
    space = Space(name="flat", ids=names, labels=names, vectors=vectors)
    with pytest.raises(UserError, match="the items of flat do not vary along x"):
        concept_from_direction(space, "x", np.array([0.3, 0.7, 0.0]))
    assert concept_from_direction(space, "x", np.array([0.0, 0.7, 0.7])).scale > 1
