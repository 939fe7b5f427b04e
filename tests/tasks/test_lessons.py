"""Lessons: who is asked about what depends on split and seed alone, and nothing held out is asked for training."""

import re

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.tasks.examples import (
    ItemFacts,
    Target,
    TargetsOrigin,
    clean_kind,
    compose,
    decade,
    example_data,
    is_held_out_person,
    item_facts,
    known_items,
    make_task_examples,
    pair_facts,
    read_about,
    read_targets,
    taste_of,
    topics,
    write_targets,
)
from vecspeak.tasks.task_set import Keywords, load_task_set

N = 60
HELD = {"holdout": frozenset(f"m{i}" for i in range(0, N, 10)), "cold": frozenset(["m1"])}
MOVIES = load_task_set("movies")


def space(**more):
    rng = np.random.default_rng(0)
    columns = {
        "genres": [["Drama", "Crime Fiction"] if i % 2 else ["Comedy film"] for i in range(N)],
        "year": [1950 + i for i in range(N)],
        "text": [
            f"A story of number {i} about a ship in a storm. The crew is afraid of the water."
            if i != 7
            else ""
            for i in range(N)
        ],
        **more,
    }
    return Space(
        name="movies",
        ids=tuple(f"m{i}" for i in range(N)),
        labels=tuple(f"Title {i}" for i in range(N)),
        vectors=rng.standard_normal((N, 6)).astype(np.float32),
        metadata=pa.table({name: column for name, column in columns.items() if column is not None}),
    )


def ratings(people=40):
    return {f"u{p}": {f"m{i}": 5.0 if i % 2 else 2.0 for i in range(20 + p % 3)} for p in range(people)}


@pytest.fixture(scope="module")
def made():
    return example_data(space(), MOVIES, splits=HELD, ratings=ratings())


def lessons(made, task, count=100, **more):
    return make_task_examples(made, counts={task: count}, **more)


@pytest.mark.parametrize("task", MOVIES.tasks)
def test_no_held_out_item_is_in_a_lesson_for_training(made, task):
    out = HELD["holdout"] | HELD["cold"]
    found = lessons(made, task)
    assert found and all(not set(lesson.slots.values()) & out for lesson in found)
    assert {tuple(lesson.slots) for lesson in found} == {MOVIES.task(task).slots}
    if MOVIES.task(task).about != "person":
        assert all("m7" not in lesson.slots.values() for lesson in found)  # it has no text


def test_lessons_of_a_held_out_split_are_about_its_items(made):
    assert {lesson.slots["x"] for lesson in lessons(made, "summary", split="holdout")} == HELD["holdout"]
    for lesson in lessons(made, "similarities", split="holdout"):
        assert set(lesson.slots.values()) <= HELD["holdout"] and lesson.split == "holdout"


def test_a_neighbour_is_the_nearest_item_that_may_be_trained_on(made):
    vectors = made.space.vectors / np.linalg.norm(made.space.vectors, axis=1, keepdims=True)
    allowed = [row for row in made.rows["train"]]
    for split in ("train", "holdout"):
        for lesson in lessons(made, "common_with_neighbour", split=split):
            x = made.space.index_of(lesson.slots["x"])
            best = max((row for row in allowed if row != x), key=lambda row: float(vectors[row] @ vectors[x]))
            assert lesson.slots["y"] == f"m{best}"


def test_people_are_split_whole(made):
    train = {lesson.slots["x"] for lesson in lessons(made, "user_profile")}
    out = {lesson.slots["x"] for lesson in lessons(made, "user_profile", split="holdout")}
    assert train and out and not train & out and len(train | out) == len(made.people)
    assert all(is_held_out_person(person.removeprefix("user:")) for person in out)


def test_more_lessons_are_the_same_and_some_more(made):
    few, many = lessons(made, "summary", 5), lessons(made, "summary", 9)
    assert [one.slots for one in many[:5]] == [one.slots for one in few]
    both = make_task_examples(made, counts={"pitch": 5, "summary": 5})
    assert [one.slots for one in both[5:]] == [one.slots for one in few]
    assert [one.slots for one in lessons(made, "summary", 5, seed=1)] != [one.slots for one in few]


@pytest.mark.parametrize("task", ["summary", "interpolation", "why_like_neighbour"])
def test_a_teacher_reads_texts_and_never_names(made, task):
    for lesson in lessons(made, task, 10):
        assert "Title" not in lesson.context and lesson.context.endswith(lesson.task.teacher)
        for item in lesson.slots.values():
            assert made.known[made.space.index_of(item)].text[:40] in lesson.context
        assert all(name.startswith("Title") for name in lesson.names)


def test_a_teacher_is_shown_what_the_vector_tells_and_asked_to_name_it():
    told = {0: ["ship", "storm"], 3: []}
    shown = example_data(space(), MOVIES, splits={}, words_of=lambda row: told.get(row, ["crew"]))
    for lesson in lessons(shown, "pitch", N):
        row = shown.space.index_of(lesson.slots["x"])
        words = ", ".join(told.get(row, ["crew"]))
        assert (f"Its words: {words}\n" in lesson.context) is bool(words)
        assert "it has to be clear which one is meant" in lesson.context
    assert lessons(shown, "similarities", 1)[0].context.count("Its words") == 2


def test_a_person_is_told_by_what_they_rated_and_nothing_else(made):
    lesson = lessons(made, "user_profile", 1)[0]
    assert "Title" in lesson.context and "crime fiction" in lesson.facts["liked_kinds"]
    assert lesson.facts["disliked_kinds"] == "comedy"
    assert compose(lesson.task, lesson.facts).startswith(
        "Likes crime fiction and drama more than other movies."
    )


def test_a_person_is_told_by_labels_and_not_by_their_id(made):
    for lesson in lessons(made, "user_profile", 5):
        person = lesson.slots["x"].removeprefix("user:")
        assert not re.search(rf"\b{person}\b", lesson.context)


def test_a_set_without_words_for_its_items_has_a_plain_one(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(
        "name = 'own'\nfacts.kinds = ['genres']\n[tasks.taste]\nabout = 'person'\nprompts = ['Describe {x}.']\n"
        "teacher = 'Describe them.'"
    )
    made = example_data(space(), load_task_set(str(path)), splits=HELD, ratings=ratings())
    assert lessons(made, "taste", 1)[0].context.startswith("Items that they rated highest: ")


@pytest.mark.parametrize("mark", [", ", "|", ";", " ; "])
def test_kinds_of_a_text_are_parted_by_any_of_the_usual_marks(mark):
    known = known_items(space(genres=[f"Drama{mark}War film"] * N), MOVIES)
    assert {one.kinds for one in known} == {("drama", "war")}


def test_a_space_without_texts_says_how_to_give_them():
    with pytest.raises(UserError, match="make the space again with text="):
        example_data(space(text=None), MOVIES, splits={})


def test_an_unknown_split_says_which_there_are(made):
    with pytest.raises(UserError, match="train, holdout, cold"):
        lessons(made, "summary", split="test")


# --- facts and tastes ---


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1994, "the 1990s"),
        ("2003-05-01", "the 2000s"),
        ("May 1971", "the 1970s"),
        (None, ""),
        ("", ""),
        (12, ""),
    ],
)
def test_a_year_becomes_its_decade(value, expected):
    assert decade(value) == expected


def test_kinds_lose_the_word_for_what_they_are_kinds_of():
    assert [clean_kind(kind) for kind in ("Comedy film", " Crime  Fiction", "Horror Movie")] == [
        "comedy",
        "crime fiction",
        "horror",
    ]


def test_a_kind_loses_the_words_for_the_items_of_a_set():
    jackets = ("jacket", "jackets")
    kinds = ("Rain jacket", "Down  Jackets", "jacket", "crossjacket", "jacket parts")
    assert [clean_kind(kind, jackets) for kind in kinds] == [
        "rain",
        "down",
        "",
        "crossjacket",
        "jacket parts",
    ]
    assert clean_kind("Microfilm") == "microfilm"


def jacket(text, *kinds):
    return ItemFacts(id="a", label="A", text=text, kinds=kinds)


def test_facts_say_no_word_twice():
    text = "This rain jacket keeps you dry on walks in the rain. Jackets like this have a hood."
    keywords = Keywords.fit([text, "other", "third"], min_count=1)
    found = item_facts(jacket(text, "rain"), keywords, without={"jacket", "jackets"})
    assert found["keywords"] == "dry, walks and hood"
    pitch = load_task_set("items", {"item": "jacket"}).task("pitch")
    assert compose(pitch, found) == f"A rain jacket described by dry, walks and hood. {text}"
    both = pair_facts(jacket(text, "rain"), jacket(text, "down"), keywords, without={"jacket", "jackets"})
    assert both["both_keywords"] == "dry, walks and hood"


def test_the_words_of_a_set_are_left_out_of_its_lessons():
    rain = [f"Jackets of kind {i} keep the rain from a jacket in a storm at sea." for i in range(N)]
    own = load_task_set("items", {"item": "jacket"})
    made = example_data(space(genres=["Rain jacket"] * N, text=rain), own, splits={})
    facts = lessons(made, "pitch", 1)[0].facts
    assert facts["a_kinds"] == "a rain" and not {"jacket", "jackets", "rain"} & set(facts["keywords"].split())


def test_names_are_no_topics():
    text = "Gordon sails. A ship with Gordon meets a storm, and the storm takes Gordon."
    keywords = Keywords.fit([text, "another text", "a third one"], min_count=1)
    assert topics(text, keywords, 3) == ("sails", "ship", "meets")


def test_a_sentence_is_used_only_where_all_that_it_names_is_known():
    keywords = Keywords.fit(["none"], min_count=1)
    pitch = MOVIES.task("pitch")
    bare = item_facts(
        ItemFacts(id="a", label="A", text="A ship sails through the storm of the year."), keywords
    )
    assert compose(pitch, bare) == "A ship sails through the storm of the year."
    assert compose(pitch, {}) is None and compose(MOVIES.task("criticize"), bare) is None


def test_what_both_have_and_what_one_has_is_told_apart():
    first = ItemFacts(id="a", label="A", text="", kinds=("drama", "war"))
    second = ItemFacts(id="b", label="B", text="", kinds=("comedy", "drama"))
    facts = pair_facts(first, second, Keywords.fit([""], min_count=1))
    assert facts["both_kinds"] == "drama" and facts["A_both_kinds"] == "A drama"
    assert facts["x_only_kinds"] == "war" and facts["y_only_kinds"] == "comedy"
    assert facts["a_all_kinds"] == "a drama, war and comedy"


def test_a_taste_is_shrunk_and_names_what_is_known():
    items = {
        f"m{i}": ItemFacts(id=f"m{i}", label=f"T{i}", text="", kinds=("war" if i < 5 else "noir",))
        for i in range(10)
    }
    given = {f"m{i}": 5.0 if i < 5 else 3.0 for i in range(10)} | {"unknown": 1.0}
    taste = taste_of(given, items, {"m3": 9})
    assert taste.kinds_over == ("war",) and taste.kinds_under == ("noir",)
    assert taste.liked[0] == "T3" and set(taste.liked) == {f"T{i}" for i in range(5)}
    one = taste_of({"m0": 5.0, "m9": 1.0}, items, {})
    assert one.kinds_over == () and one.liked == ("T0",) and one.disliked == ("T9",)
    assert taste_of({"unknown": 5.0}, items, {}).liked == ()


# --- targets ---

TARGET = Target(
    task="summary",
    slots={"x": "m2"},
    text="It is\u2028é.",
    context="Plot: ...",
    teacher="facts",
    split="train",
)
ABOUT = TargetsOrigin(space="movies", space_digest="d", task_set="movies", words={}, split="train", seed=0)


def test_targets_come_back_as_they_were_written(tmp_path):
    write_targets(tmp_path / "t", [TARGET, TARGET], ABOUT)
    assert read_targets(tmp_path / "t") == [TARGET, TARGET] and read_about(tmp_path / "t") == ABOUT
    write_targets(tmp_path / "t", [TARGET], ABOUT)
    assert len(read_targets(tmp_path / "t")) == 1


@pytest.mark.parametrize("line", ["{}", "nonsense", '{"task": 1}', "[]", '{"task": "a", "slots": []}'])
def test_a_line_that_is_no_target_is_named(tmp_path, line):
    write_targets(tmp_path, [TARGET], ABOUT)
    with (tmp_path / "targets.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match="line 2 of .*targets.jsonl is no target"):
        read_targets(tmp_path)


def test_a_folder_without_targets_says_what_writes_them(tmp_path):
    with pytest.raises(UserError, match="VecSpeak.teach"):
        read_targets(tmp_path)


def test_damaged_lines_are_named_and_the_marks_of_editors_are_not_minded(tmp_path):
    write_targets(tmp_path, [TARGET], ABOUT)
    path = tmp_path / "targets.jsonl"
    whole = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + whole.replace(b"\n", b"\r\n") + b" \n\n")
    assert read_targets(tmp_path) == [TARGET]
    for broken in (b"\xff\n", b"[" * 100_000 + b"\n", whole.replace(b'"text": "', b'"text": "\\ud800')):
        path.write_bytes(whole + broken)
        with pytest.raises(UserError, match="line 2 of .* (is no target|has brackets more than 64)"):
            read_targets(tmp_path)


def test_a_target_without_a_text_is_none(tmp_path):
    write_targets(tmp_path, [msgspec.structs.replace(TARGET, text=" ")], ABOUT)
    with pytest.raises(UserError, match="an empty text"):
        read_targets(tmp_path)


@pytest.mark.parametrize("value", [{"a": 1}, [{"a": 1}], None, "", [], ",;|"])
def test_a_cell_that_holds_no_words_has_no_kind(value):
    odd = space(genres=[value] * 60)
    assert {known.kinds for known in known_items(odd, load_task_set("movies"))} == {()}
