"""Words of a fitted space: read from its own texts and columns, stored with it, and shown by the command."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest

from fakes import WORDS
from vecspeak.api import VecSpeak
from vecspeak.bundles import SpaceEntry
from vecspeak.bundles.fitting import fit_space
from vecspeak.cli import main
from vecspeak.errors import UserError
from vecspeak.evaluation.task_cases import TaskSelection, evaluation_data, plan_tasks, select_tasks
from vecspeak.lexicon.files import load_space_lexicon, save_space_lexicon
from vecspeak.spaces import Space
from vecspeak.tasks.task_set import load_task_set
from vecspeak.teachers.job import words_in_text


def shop(encoder, count=400):
    """Items of five words each; what has the first word is of one category, all others of another."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, size=5, replace=False)) for _ in range(count)]
    image = np.random.default_rng(1).normal(size=(encoder.dim, 12))
    category = ["Good Things" if WORDS[0] in text else "Others" for text in texts]
    return Space(
        name="shop", ids=tuple(f"s{row}" for row in range(count)), labels=tuple(f"S {row}" for row in range(count)),
        vectors=(encoder.encode(texts) @ image).astype(np.float32),
        metadata=pa.table({"text": texts, "category": category}),
    )  # fmt: skip


@pytest.fixture
def fitted(source, encoder):
    space = shop(encoder)
    return VecSpeak(source, encoder=encoder).fit(space, holdout=0.2), space


def held_out(entry: SpaceEntry):
    return [entry.space.index_of(one) for one in sorted(entry.held_out)]


def test_words_of_held_out_items_are_in_their_texts(fitted):
    vs, space = fitted
    entry = vs.entry()
    rows = held_out(entry)
    texts = space.metadata.column("text").to_pylist()
    read = entry.words(space.vectors[rows], limit=3)
    right = [
        one.term in texts[row]
        for row, found in zip(rows, read, strict=True)
        for one in found
        if not one.column
    ]
    assert np.mean(right) > np.mean([5 / len(WORDS)]) + 0.2
    precision = entry.report["lexicon"]["precision"]
    assert precision["lexicon"]["5"] > precision["shuffled vectors"]["5"]


def test_a_columns_value_is_a_term_and_supports_a_text_that_names_it(fitted):
    vs, space = fitted
    entry = vs.entry()
    category = space.metadata.column("category").to_pylist()
    good = next(row for row in held_out(entry) if category[row] == "Good Things")
    other = next(row for row in held_out(entry) if category[row] == "Others")
    chances = [
        next(
            one.probability
            for one in entry.term_probabilities(["good things"], space.vectors[row])[0]
            if one.column
        )
        for row in (good, other)
    ]
    assert chances[0] > chances[1]


def test_the_words_that_are_asked_for_come_with_their_probabilities_and_no_others(fitted):
    vs, space = fitted
    texts = space.metadata.column("text").to_pylist()
    row = held_out(vs.entry())[0]
    there, absent = texts[row].split()[0], next(word for word in WORDS if word not in texts[row])
    found = vs.words(space.ids[row], among=[absent, there, "good things"])
    assert {one.term.casefold() for one in found} == {absent, there, "good things"}
    (whole,) = [one for one in vs.words(space.ids[row], 100) if one.term == there]
    assert whole in found and whole.probability > next(o.probability for o in found if o.term == absent)
    for wrong, reason in ((["the"], "'the' is not read"), (["good deeds"], "not read"), ("word", "`among` is a list"),
                          ([], "is empty"), ([" "], "blank"), ([5], "`among` is a text")):  # fmt: skip
        with pytest.raises(UserError, match=reason):
            vs.words(space.ids[row], among=wrong)


def test_a_teacher_is_shown_words_that_both_vector_and_text_have(fitted):
    vs, space = fitted
    entry = vs.entry()
    texts = space.metadata.column("text").to_pylist()
    shown = [words_in_text(entry, row) for row in range(40)]
    assert sum(map(len, shown)) > 40
    assert all(word in texts[row].split() for row, words in enumerate(shown) for word in words)
    assert max(map(len, shown)) <= 5 and words_in_text(entry, 0, limit=1) == shown[0][:1]


def test_questions_of_tasks_about_one_point_have_its_words(fitted, encoder):
    vs, space = fitted
    entry = vs.entry()
    data = evaluation_data(entry, encoder, split="holdout", seed=0)
    wanted = select_tasks(load_task_set("items"), ["summary", "similarities"])
    plan = plan_tasks(data, TaskSelection(tasks=wanted, count=10, with_words=True))
    asked = {len(cases.slots): cases for cases in plan.cases if "between" not in cases.name}
    assert len(plan.cases) == 3 and set(asked) == {1, 2}
    (rows,) = np.array(asked[1].rows).T
    assert list(asked[1].words) == entry.prompt_words(space.vectors[rows])
    assert asked[1].vocabulary is not None and not asked[2].words
    bare = plan_tasks(data, TaskSelection(tasks=wanted, count=10))
    assert not any(cases.words for cases in bare.cases)


def test_what_is_held_out_does_not_touch_the_lexicon(encoder, source):
    space = shop(encoder)
    ids = space.ids[:80]
    texts = [
        "ghost ghost" if row < 80 else text
        for row, text in enumerate(space.metadata.column("text").to_pylist())
    ]
    first = fit_space(
        space, texts=space.metadata.column("text").to_pylist(), encoder=encoder, splits={"holdout": ids}
    )
    second = fit_space(space, texts=texts, encoder=encoder, splits={"holdout": ids})
    assert np.array_equal(first.lexicon.weights["words"], second.lexicon.weights["words"])
    assert first.lexicon.vocabulary.terms == second.lexicon.vocabulary.terms


def test_a_saved_bundle_reads_the_same_words_and_one_without_a_lexicon_reads_none(fitted, tmp_path, capsys):
    vs, space = fitted
    before = vs.words("S 1", 4)
    vs.save(tmp_path / "shop.bundle")
    again = VecSpeak.load(tmp_path / "shop.bundle")
    assert again.words("S 1", 4) == before
    main(["words", str(tmp_path / "shop.bundle"), '"S 1"', "--limit", "4", "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert [one["term"] for one in printed["words"]] == [one.term for one in before]
    main(
        ["words", str(tmp_path / "shop.bundle"), '"S 1"', "--among", WORDS[0], "--among", WORDS[1], "--json"]
    )
    printed = json.loads(capsys.readouterr().out)
    assert {one["term"] for one in printed["words"]} == set(WORDS[:2])
    bare = dataclasses.replace(again.entry(), lexicon=None)
    assert bare.words(space.vectors[:2]) == [(), ()]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"counts": 2**63}, "counts"),
        ({"counts": -1}, "counts"),
        ({"weights": 1e308}, "weights must be 9 numbers"),
        ({"forms": 10**5}, "100,000 forms"),
    ],
)
def test_a_lexicon_has_bounds(fitted, tmp_path, change, why):
    entry = fitted[0].entry()
    save_space_lexicon(entry.lexicon, tmp_path, "d")
    path = tmp_path / "lexicon.json"
    values = json.loads(path.read_text())
    for name, given in change.items():
        if name == "counts":
            values[name][0] = given
        elif name == "weights":
            values[name]["word"] = [given] * 9
        else:
            values[name] = {f"f{n}": "g" for n in range(given)}
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=why):
        load_space_lexicon(tmp_path, "d", entry.space.dim)


def test_a_lexicon_of_gigabytes_is_not_read(fitted, tmp_path):
    entry = fitted[0].entry()
    save_space_lexicon(entry.lexicon, tmp_path, "d")
    with (tmp_path / "lexicon.json").open("r+b") as file:
        file.truncate(6 << 30)  # sparse
    with pytest.raises(UserError, match="more than the 33.6 MB"):
        load_space_lexicon(tmp_path, "d", entry.space.dim)
