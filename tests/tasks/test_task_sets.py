"""Task sets: those that ship are whole, a domain's words are filled in, and a wrong file says what is wrong."""

import pytest

from vecspeak.errors import UserError
from vecspeak.model.prompt import PromptTemplate
from vecspeak.tasks.examples import ItemFacts, TasteProfile, item_facts, pair_facts, person_facts
from vecspeak.tasks.names import CAN_BE_KNOWN, SHIPPED, resolved
from vecspeak.tasks.task_set import Keywords, fill_words, load_task_set, split_words

OWN = """
name = "jackets"
extends = "items"
without = ["scarier"]
[words]
item = "jacket"
items = "jackets"
use = "wear"
[rename]
summary = "in_short"
[tasks.weather]
about = "item"
prompts = ["For which weather is the <item> {x}?"]
teacher = "Say for which weather this <item> is."
"""


def written(tmp_path, text, name="own.toml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def all_tasks():
    return [(name, task) for name in SHIPPED for task in load_task_set(name).tasks.values()]


def test_the_set_of_movies_has_the_papers_24_tasks_and_the_profile():
    tasks = load_task_set("movies").tasks
    about = [task.about for task in tasks.values()]
    assert len(tasks) == 25
    assert [about.count(kind) for kind in ("item", "pair", "neighbour", "person")] == [19, 2, 3, 1]


@pytest.mark.parametrize(
    ("task", "wording"),
    {
        "positive_characteristics": "List five positive characteristics of the movie {x}.",
        "convince_1": "Convince someone to watch the movie {x}.",
        "movie_to_viewer": "Describe a viewer that would like the movie {x}.",
        "long_description": "Write a description of the movie {x}.",
        "positive_review": "Write a positive review for the movie {x}.",
        "similarities": "Compare the movies {x} and {y}.",
    }.items(),
)
def test_the_wordings_of_the_papers_figures_are_asked(task, wording):
    assert load_task_set("movies").task(task).question == wording
    assert "Describe the movie {x}." in load_task_set("movies").task("long_description").prompts


@pytest.mark.parametrize(("name", "task"), all_tasks(), ids=lambda value: getattr(value, "name", value))
def test_every_task_is_whole(name, task):
    assert len(task.prompts) >= 2 and task.held_out and task.teacher and task.score
    for wording in (*task.prompts, *task.held_out):
        assert set(PromptTemplate(wording).slots) == set(task.slots)
        assert "<" not in wording and ">" not in wording
    assert not any("<" in text for text in (task.teacher, *task.facts))


def test_all_wordings_of_a_set_differ():
    for name in SHIPPED:
        wordings = [w for task in load_task_set(name).tasks.values() for w in (*task.prompts, *task.held_out)]
        assert len(wordings) == len(set(wordings))


def test_what_can_be_known_is_what_is_found_of_items_and_people():
    text = "The dog runs. A long story about a dog, a cat and a horse that meet in the snow of the winter."
    first = ItemFacts(id="a", label="A", text=text, kinds=("drama", "war"), era="the 1990s", maker="M")
    second = ItemFacts(id="b", label="B", text=text.replace("horse", "mouse"), kinds=("drama", "noir"))
    keywords = Keywords.fit([text] * 5 + [second.text] * 5, min_count=1)
    taste = TasteProfile(
        liked=("A",), disliked=("B",), kinds_over=("war",), kinds_under=("noir",), eras_over=("the 1990s",),
        eras_under=("the 1930s",),
    )  # fmt: skip
    known = {
        "item": item_facts(first, keywords),
        "pair": pair_facts(first, second, keywords),
        "person": person_facts(taste),
    }
    assert set(known["item"]) == set(CAN_BE_KNOWN["item"])
    assert set(known["pair"]) | {"x_only_keywords", "y_only_keywords"} == set(CAN_BE_KNOWN["pair"])
    assert set(known["person"]) == set(CAN_BE_KNOWN["person"])
    assert CAN_BE_KNOWN["neighbour"] == CAN_BE_KNOWN["pair"]


def test_opinions_are_never_made_of_facts():
    tasks = load_task_set("movies").tasks
    opinions = [name for name in tasks if "review" in name or "characteristics" in name or "dissuade" in name]
    assert opinions and not any(tasks[name].facts for name in (*opinions, "criticize", "improve", "funnier"))


def test_a_set_of_ones_own_extends_another(tmp_path):
    made = load_task_set(written(tmp_path, OWN))
    assert made.name == "jackets" and len(made.tasks) == 25
    assert "scarier" not in made.tasks and "summary" not in made.tasks
    assert made.task("in_short").question == "Summarize the jacket {x}."
    assert made.task("convince_1").question == "Convince someone to wear the jacket {x}."
    assert made.task("weather").question == "For which weather is the jacket {x}?"
    assert made.words["person"] == "person"


def test_words_can_be_replaced_without_a_file():
    made = load_task_set("items", split_words(["item=umbrella", "items = umbrellas"]))
    assert made.task("interpolation").question == "Describe an umbrella that mixes the umbrellas {x} and {y}."


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("<item>", "oak"),
        ("<a:item>", "an oak"),
        ("<A:item>", "<A:item>"),
        ("<Item>", "Oak"),
        ("2 < 3 > 1", "2 < 3 > 1"),
    ],
)
def test_words_are_filled_in(text, filled):
    assert fill_words(text, {"item": "oak"}) == filled


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "tasks.a.about = 'thing'",
            "about of the task a must be one of item, pair, neighbour, person, got 'thing'",
        ),
        ("tasks.a.prompts = ['Say {y}.']", "must have the slots x"),
        ("tasks.a.prompts = []", "has no prompts"),
        ("tasks.a.held_out = ['Say {x}.']", "holds out a wording that it trains on"),
        (
            "tasks.a.score = ['bleu']",
            "score of the task a must be a list of sc, bc, .*, each once, got .*bleu",
        ),
        ("tasks.a.words = [9, 3]", "shortest, longest"),
        ("tasks.a.colour = 1", "has 'colour'"),
        ("tasks.a.teacher = '<thing>'", "no word of the set"),
        ("colour = 1", "has 'colour', which no set has"),
        ('"a\\nb` - at `$.c" = 1', "has 'a.*', which no set has"),
        ("words = 1", "words of the task set"),
        ("extends = 'nothing.toml'", "no task set"),
        ("extends = 'own.toml'", "extend each other"),
        ("tasks.a.facts = ['{opning}']", r"facts of a name \{opning\}; known of its kind are opening, long"),
        ("tasks.a.facts = '{opening}'", "facts of the task a must be a list of texts, got '{opening}'"),
        ("tasks.a.prompts = 'Say {x}.'", "prompts of the task a must be a list of texts, got 'Say {x}.'"),
        ("facts.kinds = 'genres'", "facts.kinds of the task set .* must be a list of columns, got 'genres'"),
        ("tasks.b = 1", "the task b of the task set .* must be a table, got 1"),
        (
            "extends = 'items'\ntasks.summary = 1",
            "the task summary of the task set .* must be a table, got 1",
        ),
        (
            "extends = 'items'\nwithout = 'funnier'",
            "without of the task set .* must be a list of names, got 'funnier'",
        ),
        ("extends = 1", "extends of the task set .* must be a text, got 1"),
        ("extends = 'items'\nrename.summary = 1", "rename.summary of the task set .* must be a text, got 1"),
        ("extends = 'items'\nwithout = ['dancing']", "without names 'dancing'"),
        ("= 1", "is not TOML"),
        ("deep = " + "[" * 5000, "is not TOML"),
        ("tasks.a.words = [1, 2, 3]", "shortest, longest"),
        ("tasks.a.words = [1.5, 2.5]", "whole numbers"),
        ("tasks.a.words = [1, inf]", "whole numbers"),
        ("tasks.a.entries = '5'", "entries of the task a must be a whole number from 0 to 100"),
        ("tasks.a.entries = true", "entries of the task a must be a whole number"),
        ("tasks.a.teacher = ['Say it.']", "teacher of the task a must be a text, got"),
        ("tasks.a.teacher = ' '", "teacher of the task a is empty"),
        ("tasks.a.start = 5", "start of the task a must be a text, got 5"),
        ("tasks.a.of_person = 'no'", "of_person of the task a must be true or false, got 'no'"),
        ("tasks.a.score = []", "must be a list of .*, each once"),
        ("tasks.a.facts = ['It begins: {opening']", "a sentence names what is known as {kinds}"),
        ("tasks.a.prompts = ['Say {x} {of it.']", "has a brace that is no slot"),
        ("tasks.a.teacher = 'Say <A:item>.'", "<A:item> is no word of the set"),
        ("language = 'English'", "language .* must be a code"),
        ("text_letters = inf", "text_letters .* must be a whole number"),
        ("text_letters = -5", "text_letters .* must be a whole number"),
        ("facts.colours = ['colour']", "has 'colours'; allowed are kinds, era, maker"),
        ("words.item = 5", "words.*item.* must be a word on one line"),
        ("words.item = '{x}'", "words.*item.* must be a word on one line"),
        ("without = ['funnier']", "changes another set, and it extends none"),
        ("rename.summary = 'short'", "changes another set, and it extends none"),
        ("extends = 'items'\nrename.dancing = 'b'", "rename names 'dancing'"),
        ("extends = 'items'\nrename.pitch = 'summary'", "gives two tasks one name"),
        ("extends = 'items'\nrename.pitch = 'all'", "a task is called 'all'"),
        ("extends = 'items'\nrename.pitch = 'a b'", "a task is called 'a b'"),
    ],
)
def test_a_wrong_set_says_what_is_wrong(tmp_path, change, message):
    base = {"about": "'item'", "prompts": "['Say {x}.']", "teacher": "'Say it.'"}
    key = change.partition(" ")[0].removeprefix("tasks.a.")
    lines = [f"tasks.a.{name} = {value}" for name, value in base.items() if name != key]
    top = [] if change.startswith("tasks.") else [change]
    own = [change] if change.startswith("tasks.") else []
    path = written(tmp_path, "\n".join([*top, "name = 'own'", *lines, *own]))
    with pytest.raises(UserError, match=message):
        load_task_set(path)


@pytest.mark.parametrize("extends", ["", "extends = 'items'\nname = ''\n"])
def test_a_set_without_a_name_lacks_it(tmp_path, extends):
    path = written(
        tmp_path, extends + "[tasks.a]\nabout = 'item'\nprompts = ['Say {x}.']\nteacher = 'Say it.'"
    )
    with pytest.raises(UserError, match="has no name; write name ="):
        load_task_set(path)


def test_a_set_that_takes_a_way_round_to_itself_extends_itself(tmp_path):
    path = written(tmp_path, f"name = 'own'\nextends = '../{tmp_path.name}/own.toml'")
    with pytest.raises(UserError, match="extend each other"):
        load_task_set(path)


@pytest.mark.parametrize(
    "change",
    [
        "prompts = ['How old is the person {x}?']",
        "held_out = ['Is {x} a man or a woman?']",
        "prompts = ['Describe the <person> {x}.']",
        "teacher = 'Describe them. State their age.'",
    ],
)
def test_a_set_may_not_ask_of_a_person_what_ratings_do_not_tell(tmp_path, change):
    base = {"about": "'person'", "prompts": "['Say {x}.']", "teacher": "'Say it. Say nothing of age or sex.'"}
    lines = ["name = 'own'", "words.person = 'old viewer'", "[tasks.a]"]
    whole = [f"{name} = {value}" for name, value in base.items()]
    assert load_task_set(written(tmp_path, "\n".join([*lines, *whole]))).task("a")
    kept = [line for line in whole if line.split()[0] != change.split()[0]]
    with pytest.raises(UserError, match="a asks for (age|sex) of a person, which ratings do not tell"):
        load_task_set(written(tmp_path, "\n".join([*lines, *kept, change])))


def test_a_file_is_remembered_by_its_whole_path(tmp_path, monkeypatch):
    path = written(tmp_path, OWN)
    monkeypatch.chdir(tmp_path)
    assert resolved("own.toml") == resolved("./own.toml") == resolved(path) == path
    assert [resolved(name) for name in ("items", "nothing")] == ["items", "nothing"]


def test_a_task_without_a_teacher_lacks_it(tmp_path):
    with pytest.raises(UserError, match="lacks 'teacher'"):
        load_task_set(written(tmp_path, "name = 'own'\n[tasks.a]\nabout = 'item'\nprompts = ['Say {x}.']"))


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [("moovies", {}, "movies, packages"), ("items", {"thing": "x"}, "no word 'thing'")],
)
def test_an_unknown_set_or_word_says_what_there_is(name, words, message):
    with pytest.raises(UserError, match=message):
        load_task_set(name, words)


@pytest.mark.parametrize("name", ["a" * 5000, "nul\0"])
def test_a_name_that_no_file_can_have_is_an_unknown_set(name):
    assert resolved(name) == name
    with pytest.raises(UserError, match="no task set"):
        load_task_set(name)


@pytest.mark.parametrize("word", ["{x}", "<use>", "two\nlines", " "])
def test_a_word_that_would_change_what_is_asked_is_refused(word):
    with pytest.raises(UserError, match="`words`: item must be a word"):
        load_task_set("items", {"item": word})


def test_a_file_may_begin_with_the_mark_of_an_editor(tmp_path):
    (tmp_path / "own.toml").write_bytes(b"\xef\xbb\xbf" + OWN.replace("\n", "\r\n").encode())
    assert "weather" in load_task_set(str(tmp_path / "own.toml")).tasks


@pytest.mark.parametrize("given", ["jacket", "=jacket", "item="])
def test_a_word_without_a_name_is_refused(given):
    with pytest.raises(UserError, match="NAME=WORD"):
        split_words([given])


def test_an_unknown_task_says_which_there_are():
    with pytest.raises(
        UserError, match=r"summary, long_description.*`VecSpeak.task_set\('movies'\)` names them all"
    ):
        load_task_set("movies").task("sumary")


def test_a_task_of_another_set_is_said_to_be_there(tmp_path):
    with pytest.raises(UserError, match="it is in the set movies: add `tasks=movies`"):
        load_task_set("items").task("movie_to_viewer")
    path = written(tmp_path, OWN)
    with pytest.raises(UserError, match=f"`VecSpeak.task_set\\('{path}'\\)` names them all"):
        load_task_set(path).task("sumary")


@pytest.mark.parametrize(
    ("one", "many"),
    [("jacket", "jackets"), ("dress", "dresses"), ("box", "boxes"), ("city", "cities"), ("toy", "toys")],
)
def test_a_new_word_has_its_regular_plural(one, many):
    words = load_task_set("items", {"item": one}).words
    assert (words["item"], words["items"], words["people"]) == (one, many, "people")
    assert load_task_set("items", {"item": one, "items": "wares"}).words["items"] == "wares"


def test_words_for_items_and_people_are_the_sets_own():
    own = load_task_set("packages").own_words
    assert {"software", "package", "packages", "user", "users"} == own
