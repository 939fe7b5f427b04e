"""Tasks: each one's target on texts made by hand."""

import re

import pytest

from vecspeak.tasks.corpus import CORPUS_TASKS, KINDS, Text
from vecspeak.tasks.task_set import Keywords

KEYWORDS = Keywords(
    {
        "shark": 5.0,
        "island": 4.0,
        "mayor": 3.0,
        "sharks": 5.0,
        "boat": 2.0,
        "bank": 4.5,
        "friends": 1.0,
        "friend": 1.0,
    }
)
PLOT = "A shark hunts swimmers off a quiet island. The mayor waits. A boat leaves."
BANK = "Two friends rob a bank and run far away. A boat waits."


def text(body=PLOT, kind="plot", tags=()):
    return Text(
        source="movies", kind=kind, key="k", title="T", text=body, target=body, tags=tags, split="train"
    )


def target(task, *texts):
    return CORPUS_TASKS[task].target(texts, KEYWORDS)


def test_describe_is_the_text_itself():
    assert target("describe", text()) == PLOT


def test_a_plot_is_told_only_of_plots_and_passages():
    assert target("plot", text()) == PLOT
    assert target("plot", text(kind="passage")) == PLOT
    assert target("plot", text(kind="sentence")) is None


def test_one_sentence_is_the_first_of_several():
    assert target("one_sentence", text()) == "A shark hunts swimmers off a quiet island."
    assert target("one_sentence", text("A shark hunts swimmers off a quiet island.")) is None
    assert target("one_sentence", text("Short. Then more of it comes along.")) is None


def test_keywords_are_listed_when_there_are_three():
    assert target("keywords", text()) == "shark, island, mayor, boat"
    assert target("keywords", text(BANK)) == "friends, bank, boat"
    assert target("keywords", text("A shark on an island.")) is None


def test_about_names_the_kind_and_three_words():
    assert target("about", text()) == "A movie, about shark, island and mayor."
    assert target("about", text(kind="sentence")) == "A moment in a movie, about shark, island and mayor."
    assert target("about", text("A shark.")) is None


def test_genres_are_the_first_four_tags_of_a_movie():
    tags = ("Thriller", "Sea", "Horror", "Drama", "Noir")
    assert target("genres", text(tags=tags)) == "Thriller, Sea, Horror, Drama"
    assert target("genres", text(kind="sentence", tags=tags)) is None
    assert target("genres", text()) is None


def test_compare_gives_the_opening_of_both_in_order():
    assert (
        target("compare", text(BANK), text("A shark hunts."))
        == f"The first: {BANK} The second: A shark hunts."
    )


def test_what_is_shared_is_found_across_endings():
    assert target("common", text("A friend in a boat."), text(BANK)) == "Both are about boat and friend."


def test_what_shares_nothing_says_what_each_is_about():
    found = target("common", text("A shark near an island."), text("Friends at a bank."))
    assert found == "Little. The first is about shark and island; the second is about friends and bank."
    assert target("common", text("A shark."), text("Nothing here.")) is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_text_has_a_noun(kind):
    assert target("about", text(kind=kind)).endswith("about shark, island and mayor.")


@pytest.mark.parametrize("task", CORPUS_TASKS.values(), ids=CORPUS_TASKS)
def test_every_wording_has_a_slot_for_each_vector(task):
    wanted = ["x", "y"][: task.num_slots]
    assert all(re.findall(r"\{(\w)\}", wording) == wanted for wording in task.wordings)
