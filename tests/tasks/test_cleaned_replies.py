"""Cleaning: what language models put around an answer goes, what is in it stays."""

import pytest

from vecspeak.tasks.replies import entries_of, prose_of

SAID = "A shark hunts swimmers. The sheriff fears the sea."


@pytest.mark.parametrize(
    "reply",
    [
        SAID,
        f"Sure! Here is a summary of the movie:\n\n{SAID}",
        f"Here's a summary: {SAID}",
        f"Certainly. {SAID}",
        f"**Summary:**\n{SAID}",
        f"Positive review: {SAID}",
        f'"{SAID}"',
        f"“{SAID}”",
        f"## A Summary\n\n{SAID}",
        "A **shark** hunts *swimmers*. The sheriff fears the sea.",
        f"{SAID} And when the",
        "A shark hunts\u2028swimmers.\u200b The sheriff\x00 fears the sea.",
        f"{SAID} A shark hunts swimmers. The sheriff fears the sea. A shark hunts swimmers.",
    ],
)
def test_only_the_answer_is_left(reply):
    assert prose_of(reply) == SAID


@pytest.mark.parametrize(
    "text",
    [
        "Here is a movie that knows fear. It shows: nothing is seen, all is felt.",
        "Of course, the shark comes back. Here is a man: he fears the sea.",
        "Yes, it is long. Few will mind.",
        "This is how it goes: a shark comes, and people die.",
        '"No," says the sheriff, and means "yes".',
        "A review of a life: short, wet and loud.",
    ],
)
def test_what_belongs_to_the_answer_stays(text):
    assert prose_of(text) == text


def test_one_sentence_without_its_end_stays():
    assert prose_of("A shark hunts swimmers") == "A shark hunts swimmers"


@pytest.mark.parametrize(
    "reply",
    [
        "1. Fast pace\n2. Great music\n3. A shark",
        "1) Fast pace\n\n2) Great music\n\n3) A shark",
        "Sure! Here are three:\n- Fast pace\n* Great music\n• A shark",
        "Here are three: 1. Fast pace 2. Great music 3. A shark",
        "1. **Fast pace**\n2. Great\n   music\n3. A shark\n\nOverall, it is good.",
        "Three things:\nFast pace\nGreat music\nA shark",
    ],
)
def test_lists_of_any_form_are_entries(reply):
    assert entries_of(reply) == ["Fast pace", "Great music", "A shark"]


def test_the_last_entry_of_a_cut_list_is_left_out_unless_it_is_whole():
    assert entries_of("1. Fast pace\n2. Great mu", cut=True) == ["Fast pace"]
    assert entries_of("1. Fast pace.\n2. Great music.", cut=True) == ["Fast pace.", "Great music."]


def test_nothing_has_no_entries():
    assert entries_of("") == []
    assert entries_of("", cut=True) == []


def test_blank_lines_without_end_are_no_work():
    """Each start of a line would look at all lines after it: minutes, for one reply."""
    endless = "\n" * 100_000
    assert prose_of(f"{endless}{SAID}{endless}") == SAID
    assert entries_of(f"1. red{endless}2. blue{endless}") == ["red", "blue"]
