"""Checks: a hand-worked case for every reason, and what must pass beside it."""

import random

import pytest

from lesson_kit import lesson, task
from vecspeak.teachers import filters as checks
from vecspeak.teachers.base import Generation, truncated
from vecspeak.teachers.filters import (
    DuplicateIndex,
    check_text,
    copies,
    name_forms,
    repeats_instruction,
    repeats_itself,
    says_name,
    shingles_of,
)

GOOD = "A lone sheriff faces the sea and what lives in it. You will not want to swim again."


def reason(text, one=None, kept=None, **more):
    return check_text(Generation(text=text), one or lesson(), kept, **more).reason


POINTS = (
    "A slow start",
    "Cheap sets",
    "No music at all",
    "Weak jokes",
    "A shark of rubber",
    "Loud end",
    "Length",
)


def listed(count):
    return "\n".join(f"{number}. {point}" for number, point in enumerate(POINTS[:count], 1))


def test_a_good_text_passes_as_it_is():
    assert check_text(Generation(text=GOOD), lesson()).text == GOOD


@pytest.mark.parametrize("text", ["", "  \n ", "\x00"])
def test_nothing_is_empty(text):
    assert reason(text) == checks.EMPTY


def test_nothing_from_facts_says_so():
    assert reason("", composed=True) == checks.NOTHING_KNOWN


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that request.",
        "I cannot write a negative review of this movie, as it is about people.",
        "As an AI language model, I have not seen this movie.",
        "I don't have access to the movie. Please provide more details.",
        "I’m unable to provide that.",
    ],
)
def test_refusals_are_dropped(text):
    assert reason(text) == checks.REFUSED


@pytest.mark.parametrize(
    "text",
    [
        "I cannot recommend this movie to anyone who is afraid of water or of sharks.",
        "I can't wait to see it again: the sea has never been this frightening.",
        "The director does not have the courage that the story needs in its last act.",
    ],
)
def test_a_critic_who_cannot_is_no_refusal(text):
    assert reason(text) == ""


def test_what_the_server_filtered_is_a_refusal():
    assert check_text(Generation(text="", refused=True), lesson()).reason == checks.REFUSED


@pytest.mark.parametrize(
    "text",
    [
        "Der Hai jagt die Schwimmer und der Sheriff ist mit dem Meer nicht allein auf der Insel.",
        "Le requin chasse les nageurs et le shérif est seul sur la plage avec une peur dans le ventre.",
        "El tiburón caza a los nadadores y el sheriff no está solo en la isla con su miedo por la noche.",
        "Акула охотится на пловцов у тихого острова, и шериф боится моря больше всего на свете.",
        "鲨鱼在安静的小岛附近猎杀游泳者，警长必须面对大海。",
    ],
)
def test_another_language_is_dropped(text):
    one = lesson(of=task(words=(1, 60)))
    assert reason(text, one) == checks.LANGUAGE
    assert reason(text, one, language="xx") == "", "an unknown language is not checked"


def test_length_is_counted_in_words():
    assert reason("A shark story.") == checks.SHORT
    assert reason(" ".join(f"w{i}" for i in range(61)) + ".") == checks.LONG


def test_a_long_text_is_cut_back_to_whole_sentences():
    long = f"{GOOD} Then " + " ".join(f"w{i}" for i in range(50)) + "."
    assert check_text(Generation(text=long), lesson()).text == GOOD


def test_a_text_that_was_cut_off_ends_with_its_last_whole_sentence():
    assert check_text(Generation(text=f"{GOOD} And then the", cut=True), lesson()).text == GOOD


def test_a_list_needs_all_its_entries_and_no_more():
    of = lesson(of=task(entries=5, words=(5, 110)))
    assert reason(listed(4), of) == checks.FORM
    assert check_text(Generation(text=listed(7)), of).text == listed(5)
    assert reason("A text that is no list at all, and never was.", of) == checks.FORM


def test_the_last_entry_of_a_list_that_was_cut_does_not_count():
    of = lesson(of=task(entries=5, words=(5, 110)))
    assert check_text(Generation(text=listed(5), cut=True), of).reason == checks.FORM


def test_circles_are_dropped_or_cut():
    circle = "The movie is dark and the movie is dark and " * 12
    assert reason(circle[:250] + ".") == checks.REPEATED
    assert check_text(Generation(text=f"{GOOD} {GOOD} {GOOD}"), lesson()).text == GOOD
    assert repeats_itself("1. It is very dark.\n2. It is very dark.\n3. It has a shark.")
    assert not repeats_itself("1. It is dark.\n2. It is long.\n3. It has a shark.")


def test_a_name_that_the_texts_do_not_have_is_a_leak():
    assert reason(f"{GOOD} Watch Jaws tonight with all your friends.") == checks.LEAKED
    told = lesson("In Jaws, a shark hunts swimmers.", names=("Jaws (1975)",))
    assert reason(f"{GOOD} Watch Jaws tonight with all your friends.", told) == ""


@pytest.mark.parametrize(
    ("name", "text", "leaks"),
    [
        ("Matrix, The (1999)", "Enter The Matrix with him.", True),
        ("Matrix, The (1999)", "He dives into the Matrix at night.", True),
        ("Titanic", "It is a titanic struggle.", False),
        ("Titanic", "The Titanics of this world.", False),
        ("Star Wars: Episode IV", "It is Star Wars all over.", True),
        ("Her", "He loves her.", False),
    ],
)
def test_names_are_found_as_they_are_written(name, text, leaks):
    assert says_name(text, name, ("A man and a machine.",)) is leaks


def test_a_name_in_several_forms():
    assert name_forms("Matrix, The (1999)") == ("The Matrix", "Matrix")
    assert name_forms("Star Wars: Episode IV") == ("Star Wars: Episode IV", "Star Wars")


def test_the_instruction_is_not_an_answer():
    assert reason("Pitch this movie in two or three sentences, as a shark would.") == checks.ECHOED


def test_an_answer_may_take_up_what_was_asked():
    told = "Say in two sentences why someone who likes the first movie would also like the second."
    assert not repeats_instruction(
        "Both are dark; someone who likes the first movie would also like the second.", told
    )
    assert repeats_instruction("Say in two sentences why someone would: both are dark.", told)
    best = "Give the one best reason to watch this movie, in one or two sentences."
    assert repeats_instruction(
        "The one best reason to watch this movie, in one or two sentences, is the shark.", best
    )
    assert not repeats_instruction("The one best reason to watch this movie is the shark.", best)


def test_a_copied_text_is_dropped_where_the_task_asks_for_something_else():
    text = "A shark hunts swimmers off a quiet island, and the sheriff alone believes that it will come back."
    assert reason(text, lesson(text)) == checks.COPIED
    assert reason(text, lesson(text, of=task("summary", facts=("{opening}",)))) == ""
    assert reason(text, lesson(text), composed=True) == "", "facts may quote"


def test_half_of_a_text_or_25_words_are_a_copy():
    source = " ".join(f"w{i}" for i in range(60))
    own = " ".join(f"v{i}" for i in range(40))
    assert copies(" ".join(source.split()[:12]) + " v1 v2", source)
    assert not copies(" ".join(source.split()[:11]) + " v1 v2", source)
    assert copies(" ".join(source.split()[:25]) + " " + own, source)
    assert not copies(" ".join(source.split()[:24]) + " " + own, source)


def test_near_duplicates_are_found_within_a_task_only():
    kept = DuplicateIndex()
    kept.add("pitch", GOOD)
    assert reason(GOOD.replace("again", "anymore"), kept=kept) == checks.DUPLICATE
    assert reason(GOOD.replace("again", "anymore"), lesson(of=task("criticize")), kept) == ""
    assert reason("A quite different thing lives in the woods, and it is hungry.", kept=kept) == ""
    assert reason(GOOD, kept=kept, composed=True) == ""


def test_four_of_five_shared_shingles_are_alike():
    kept = DuplicateIndex()
    words = [f"w{i}" for i in range(11)]  # 9 shingles
    kept.add("t", " ".join(words))
    assert kept.has_like("t", " ".join([*words, "w11"]))  # 9 of 10
    assert kept.has_like("t", " ".join([*words, "w11", "w12"]))  # 9 of 11 is 0.82
    assert not kept.has_like("t", " ".join([*words, "w11", "w12", "w13"]))  # 9 of 12
    kept.add("t", "a b c d e f")  # 4 shingles
    assert kept.has_like("t", "a b c d e f g")  # 4 of 5, no more


@pytest.mark.parametrize(
    "more", [{"about": "person", "of_person": True}, {"about": "person"}, {"of_person": True}]
)
def test_people_are_not_told_what_ratings_do_not_tell(more):
    person = lesson(of=task("user_profile", **more), names=())
    assert (
        reason("She is a young woman of 25 who likes horror movies and dislikes romance.", person)
        == checks.PROTECTED
    )
    assert reason("Likes horror movies of the 1980s, and dislikes romance of any time.", person) == ""
    assert reason("She is a young woman of 25 who likes horror movies and dislikes romance.") == "", (
        "a movie's people"
    )


def test_the_rare_fifth_of_the_shingles_finds_what_comparing_all_finds():
    rng = random.Random(0)
    texts = [" ".join(rng.choice("abcd") + str(rng.randrange(2)) for _ in range(12)) for _ in range(150)]
    texts += [text.rsplit(" ", 1)[0] + " end" for text in texts[:60]] + [
        f"{text} end" for text in texts[60:90]
    ]
    kept, known, found = DuplicateIndex(), [], []
    for text in texts:
        mine = shingles_of(text)
        expected = any(len(mine & other) >= 0.8 * len(mine | other) for other in known)
        found.append(kept.has_like("t", text))
        assert found[-1] == expected
        kept.add("t", text)
        known.append(mine)
    assert 20 < sum(found) < 150


def test_long_entries_are_cut_to_their_first_sentence_or_to_what_is_before_a_colon():
    listed = lesson(of=task("points", entries=2, words=(2, 12)))

    def checked(*entries):
        text = "\n".join(f"{number}. {entry}" for number, entry in enumerate(entries, 1))
        return check_text(Generation(text=text), listed)

    long = "and it goes on for many more words than there is any room for here"
    assert checked("Good sets.", "Fine jokes.").text == "1. Good sets.\n2. Fine jokes."
    assert checked(f"Good sets. Also {long}.", "Fine jokes.").text == "1. Good sets.\n2. Fine jokes."
    assert checked(f"**Sets**: {long}.", f"**Jokes**: {long}.").text == "1. Sets\n2. Jokes"
    assert checked(f"Sets {long}.", f"Jokes {long}.").reason == checks.LONG


def test_of_a_reply_without_end_as_much_is_read_as_an_answer_can_need():
    whole = Generation(text="A shark hunts people by the sea. " * 10)
    assert truncated(whole, task(words=(5, 60))) == whole
    endless = truncated(Generation(text="a" * 10**6), task(words=(5, 60)))
    assert endless.cut and 60 * 20 < len(endless.text) < 60 * 200
