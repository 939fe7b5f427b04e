"""Run: nothing is asked twice, targets follow from the replies, a stop leaves what there is, teachers add up."""

import json
from dataclasses import replace

import pytest

from lesson_kit import ABOUT, ANSWERS, Scripted, answer_to, lesson, lessons, task
from vecspeak.errors import UserError
from vecspeak.tasks.examples import read_about, read_targets
from vecspeak.teachers import filters as checks
from vecspeak.teachers.base import BudgetError, Generation
from vecspeak.teachers.generate import DROPPED, REPLIES, generate_targets
from vecspeak.teachers.local import FactsTeacher


def run(folder, made, teacher=None, about=ABOUT, **more):
    return generate_targets(made, teacher or Scripted(), folder, about, **more)


def texts_of(folder):
    return [target.text for target in read_targets(folder)]


def test_targets_come_in_the_order_of_the_lessons(tmp_path):
    summary = run(tmp_path / "out", lessons(6))
    targets = read_targets(tmp_path / "out")
    assert [target.text for target in targets] == ANSWERS[:6]
    assert [target.slots["x"] for target in targets] == [f"t{i}" for i in range(6)]
    assert {(t.task, t.teacher, t.split) for t in targets} == {("pitch", "scripted", "train")}
    assert targets[0].context == lessons(1)[0].context
    assert read_about(tmp_path / "out") == ABOUT
    assert (summary.asked, summary.accepted, summary.targets, summary.tokens_in) == (6, 6, 6, 60)


def test_nothing_is_asked_twice(tmp_path):
    run(tmp_path, lessons(4))
    again = Scripted()
    summary = run(tmp_path, lessons(6), again)
    assert sorted(again.asked) == sorted(one.context for one in lessons(6)[4:])
    assert (summary.asked, summary.accepted) == (2, 6)


def test_other_settings_and_other_teachers_are_asked_again(tmp_path):
    run(tmp_path, lessons(3))
    for other in (Scripted(settings="warmer"), Scripted(name="another")):
        run(tmp_path, lessons(3), other)
        assert len(other.asked) == 3


def test_lessons_that_tell_the_same_are_asked_once(tmp_path):
    teacher = Scripted(lambda one: ANSWERS[0])
    summary = run(tmp_path, [lesson(number=0), lesson(number=1)], teacher)
    assert len(teacher.asked) == 1
    assert summary.dropped == {checks.DUPLICATE: 1}


def test_two_teachers_give_two_targets_whatever_comes_first(tmp_path):
    other = Scripted(lambda one: answer_to(one.context.replace("number ", "number 10")), name="another")
    run(tmp_path / "a", lessons(3))
    run(tmp_path / "a", lessons(3), other)
    run(tmp_path / "b", lessons(3), other)
    run(tmp_path / "b", lessons(3))
    assert read_targets(tmp_path / "a") == read_targets(tmp_path / "b")
    assert [t.teacher for t in read_targets(tmp_path / "a")] == ["another", "scripted"] * 3


def test_targets_of_other_lessons_stay(tmp_path):
    run(tmp_path, lessons(3))
    run(tmp_path, lessons(6)[3:])
    assert texts_of(tmp_path) == ANSWERS[:6]
    run(tmp_path, lessons(2))
    assert sorted(texts_of(tmp_path)) == sorted(ANSWERS[:6])


def test_two_runs_at_a_time_lose_nothing_of_each_other(tmp_path):
    """While one teacher writes, another begins and ends."""
    other = Scripted(lambda one: answer_to(one.context.replace("number ", "number 10")), name="another")

    def says(one):
        if not other.asked:
            run(tmp_path, lessons(6)[:3], other)
        return answer_to(one.context)

    run(tmp_path, lessons(2), Scripted(says))
    found = [(target.slots["x"], target.teacher) for target in read_targets(tmp_path)]
    assert sorted(found) == [
        ("t0", "another"),
        ("t0", "scripted"),
        ("t1", "another"),
        ("t1", "scripted"),
        ("t2", "another"),
    ]


def test_one_teacher_is_in_one_run_at_a_time(tmp_path):
    def says(one):
        with pytest.raises(UserError, match="another run has scripted write into"):
            run(tmp_path, lessons(3))
        run(tmp_path / "elsewhere", lessons(3))
        return answer_to(one.context)

    run(tmp_path, lessons(1), Scripted(says))
    assert run(tmp_path, lessons(2)).accepted == 2


def test_a_broken_line_is_found_before_anybody_is_asked(tmp_path):
    run(tmp_path, lessons(2))
    with (tmp_path / "targets.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(UserError, match="line 3 of .* is no target"):
        run(tmp_path, lessons(4), Scripted(lambda one: pytest.fail("was asked")))


def test_what_is_dropped_is_counted_and_told(tmp_path):
    said = [ANSWERS[0], "", "I cannot help with that.", "Too short."]
    summary = run(tmp_path, lessons(4), Scripted(lambda one: said[int(one.slots["x"][1:])]))
    assert summary.dropped == {checks.EMPTY: 1, checks.REFUSED: 1, checks.SHORT: 1}
    assert summary.tasks["pitch"].accepted == 1
    rows = [json.loads(line) for line in (tmp_path / DROPPED).read_text().splitlines()]
    assert [row["reason"] for row in rows] == [checks.EMPTY, checks.REFUSED, checks.SHORT]
    assert rows[2]["text"] == "Too short."


def test_checks_that_changed_need_no_teacher(tmp_path):
    run(tmp_path, lessons(3))
    strict = task(words=(50, 60))
    nobody = Scripted(lambda one: pytest.fail("was asked"))
    told = [replace(one, task=strict) for one in lessons(3)]
    assert run(tmp_path, told, nobody).dropped == {checks.SHORT: 3}
    assert texts_of(tmp_path) == []
    assert run(tmp_path, lessons(3), nobody).accepted == 3


def stops_after(count, error):
    left = iter([None] * count)
    return Scripted(lambda one: answer_to(one.context) if next(left, error) is None else error)


def test_a_budget_that_ends_leaves_what_there_is(tmp_path):
    summary = run(tmp_path, lessons(5), stops_after(2, BudgetError("the budget is spent")))
    assert summary.stopped == "the budget is spent"
    assert (summary.accepted, summary.unanswered) == (2, 3)
    assert len(texts_of(tmp_path)) == 2


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), UserError("the server fails", "look"), RuntimeError("no")]
)
def test_whatever_ends_a_run_leaves_targets_and_goes_on_later(tmp_path, error):
    with pytest.raises(type(error)) as raised:
        run(tmp_path, lessons(5), stops_after(2, error))
    if isinstance(error, UserError):
        assert (
            str(raised.value)
            == "the server fails; look; 2 replies are kept, the same command goes on from there"
        )
    assert len(texts_of(tmp_path)) == 2
    again = Scripted()
    run(tmp_path, lessons(5), again)
    assert len(again.asked) == 3
    assert texts_of(tmp_path) == ANSWERS[:5]


def test_a_reply_that_was_cut_short_by_a_kill_is_asked_again(tmp_path):
    run(tmp_path, lessons(3))
    path = tmp_path / REPLIES
    path.write_bytes(path.read_bytes()[:-20])
    again = Scripted()
    run(tmp_path, lessons(3), again)
    assert len(again.asked) == 1
    assert texts_of(tmp_path) == ANSWERS[:3]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"space": "others"}, "another space"),
        ({"space_digest": "e"}, "another version of the space.*: d, not e"),
        ({"task_set": "items"}, "another task set"),
        ({"words": {"item": "jacket"}}, "in other words .`words`.: those of the set, not item=jacket"),
        ({"split": "holdout"}, "another split"),
    ],
)
def test_a_folder_of_something_else_is_refused(tmp_path, change, what):
    run(tmp_path, lessons(2))
    nobody = Scripted(lambda one: pytest.fail("was asked"))
    with pytest.raises(UserError, match=f"{what}.*another folder"):
        run(tmp_path, lessons(2), nobody, replace(ABOUT, **change))
    assert len(texts_of(tmp_path)) == 2
    run(tmp_path, lessons(2), about=replace(ABOUT, seed=5))


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / REPLIES).write_text('{"key": 1}\n')
    with pytest.raises(UserError, match="holds no replies of a teacher"):
        run(tmp_path, lessons(2))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        run(tmp_path / "file", lessons(2))


@pytest.mark.parametrize(
    "text", ["a\ud800b", "A \ud800 shark.", "x\x00y", "\u2028", "🦈" * 30, '{"text": "', "\\n\\n"]
)
def test_no_text_breaks_the_files(tmp_path, text):
    run(
        tmp_path, lessons(2), Scripted(lambda one: f"{ANSWERS[0]} {text}" if one.slots["x"] == "t0" else text)
    )
    for target in read_targets(tmp_path):
        assert target.text
    assert run(tmp_path, lessons(2), Scripted(lambda one: pytest.fail("was asked"))).asked == 0


def test_facts_answer_what_they_can(tmp_path):
    of = task(facts=("It is about {keywords}, and {keywords} alone.",))
    made = [lesson(number=0, of=of, facts={"keywords": "sharks"}), lesson(number=1, of=of), lesson(number=2)]
    summary = run(tmp_path, made, FactsTeacher())
    assert texts_of(tmp_path) == ["It is about sharks, and sharks alone."]
    assert summary.dropped == {checks.NOTHING_KNOWN: 2}


def test_facts_that_changed_are_told_anew(tmp_path):
    of = task(facts=("It is about {keywords}, and {keywords} alone.",))
    for word in ("sharks", "whales"):
        run(tmp_path, [lesson(of=of, facts={"keywords": word})], FactsTeacher())
    assert texts_of(tmp_path) == ["It is about whales, and whales alone."]


def test_equal_facts_of_two_items_are_both_kept(tmp_path):
    of = task(facts=("It is about {keywords}, and {keywords} alone.",))
    made = [lesson(number=i, of=of, facts={"keywords": "sharks"}) for i in range(2)]
    assert run(tmp_path, made, FactsTeacher()).accepted == 2


def test_written_values_survive_the_file(tmp_path):
    written = Generation(text=f"{ANSWERS[0]} And then", tokens_in=None, tokens_out=7, cut=True)
    run(tmp_path, lessons(1), Scripted(lambda one: written))
    row = json.loads((tmp_path / REPLIES).read_text())
    assert (row["tokens_in"], row["tokens_out"], row["cut"], row["refused"]) == (None, 7, True, False)
    run(tmp_path, lessons(1), Scripted(lambda one: pytest.fail("was asked")))
    assert texts_of(tmp_path) == [ANSWERS[0]]


def test_a_reply_with_a_count_that_is_none_is_asked_again(tmp_path):
    run(tmp_path, lessons(2))
    path = tmp_path / REPLIES
    first, second = path.read_text().splitlines()
    changed = first.replace('"tokens_in": 10', '"tokens_in": "ten"')
    path.write_text(f"{changed}\n{second}\n")
    again = Scripted()
    run(tmp_path, lessons(2), again)
    assert len(again.asked) == 1 and len(texts_of(tmp_path)) == 2


OLD_ROW = {
    "key": "ef5fb29afef1d3c4e813d7bdc08f202331453ea49974d7382a16047f614b1a7c",
    "teacher": "scripted",
    "lesson": "b9588f2091f648e1b791407c8e01527223aed024e0c9d3f8f866ca6ff92d9231",
    "most_tokens_in": 81,
    "text": ANSWERS[0],
    "tokens_in": 10,
    "tokens_out": 5,
    "refused": False,
    "cut": False,
}
"""A line that the version before wrote for the first example."""


def test_replies_that_an_earlier_version_paid_for_are_read(tmp_path):
    (tmp_path / REPLIES).write_text(json.dumps(OLD_ROW) + "\n")
    again = Scripted()
    assert run(tmp_path, lessons(2), again).accepted == 2
    assert [one.split()[3] for one in again.asked] == ["1"], "the first was answered before"
    first, second = map(json.loads, (tmp_path / REPLIES).read_text().splitlines())
    assert first == OLD_ROW and list(second) == list(OLD_ROW)
