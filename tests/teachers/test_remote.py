"""Remote teacher, against a real server on loopback: failures of every kind, budget, pace, and a kill."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lesson_kit import ABOUT, ANSWERS, FakeTime, answer_to, completion, lessons, task
from local_rater import serve
from vecspeak.errors import UserError
from vecspeak.llm_client import Endpoint
from vecspeak.tasks.examples import read_targets
from vecspeak.teachers import remote
from vecspeak.teachers.base import (
    BudgetError,
    Clock,
    SpendLimits,
    TeacherConfig,
    estimate_tokens,
    max_answer_tokens,
    max_request_tokens,
)
from vecspeak.teachers.generate import REPLIES, generate_targets
from vecspeak.teachers.remote import RemoteTeacher


def well(prompt):
    return completion(answer_to(prompt))


def teacher_of(server, clock=None, timeout=20.0, **settings):
    clock = clock or FakeTime()
    return RemoteTeacher(
        Endpoint(url=server.url, model="m", timeout=timeout, option="teacher"),
        TeacherConfig(clock=Clock(now=clock.now, sleep=clock.sleep), **settings),
    )


def failing(times, failure):
    """Fails so many times, then answers well."""
    left = iter(range(times))
    lock = threading.Lock()

    def says(prompt):
        with lock:
            is_failing = next(left, None) is not None
        return (failure() if callable(failure) else failure) if is_failing else well(prompt)

    return says


def test_what_is_written_comes_with_its_tokens():
    with serve(well) as server:
        teacher = teacher_of(server)
        found = dict(teacher.write(lessons(9)))
    assert [found[i].text for i in range(9)] == ANSWERS[:9]
    assert {(one.tokens_in, one.tokens_out, one.cut) for one in found.values()} == {(10, 5, False)}
    assert (teacher.budget.tokens_in, teacher.budget.tokens_out) == (90, 45)
    assert teacher.name == f"m at {server.url[7:-3]}", "with the port: another may be another server"
    sent = server.requests[0]
    assert (sent["max_tokens"], sent["temperature"], sent["model"]) == (max_answer_tokens(task()), 0.0, "m")


def test_a_server_that_does_not_count_leaves_tokens_open():
    with serve(answer_to) as server:
        found = dict(teacher_of(server).write(lessons(2)))
    assert {(one.tokens_in, one.tokens_out) for one in found.values()} == {(None, None)}


def test_several_are_asked_at_once():
    together = threading.Barrier(4, timeout=20)

    def says(prompt):
        together.wait()
        return well(prompt)

    with serve(says) as server:
        assert len(dict(teacher_of(server, concurrency=4).write(lessons(8)))) == 8


FAILURES = {
    "500": (500, {"error": {"message": "broken"}}),
    "429": (429, {"error": {"message": "slow down"}}),
    "503 page": (503, "<html>Bad gateway</html>"),
    "a page": (200, "<html>Welcome</html>"),
    "half a JSON": (200, "[1, 2"),
    "a list": (200, "[]"),
    "no choices": (200, {"choices": []}),
    "nothing in it": (200, {}),
    "empty": completion("", end=None),
    "no text": completion(None, end=None),
    "white space": completion(" \n ", end="error"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_server_that_fails_for_a_while_is_waited_for(failure, tmp_path):
    time_, usual = FakeTime(), failing(7, failure)
    with serve(lambda prompt: usual(prompt) if len(server.requests) > 1 else well(prompt)) as server:
        teacher = teacher_of(server, time_, concurrency=1)
        summary = generate_targets(lessons(6), teacher, tmp_path, ABOUT)
    assert [target.text for target in read_targets(tmp_path)] == ANSWERS[:6]
    assert summary.unanswered == 0
    assert len(server.requests) == 13
    assert 60 < sum(time_.waits) < 130  # 1, 2, 4, 8, 16, 32 and 60 seconds, each by chance a little less


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_server_that_keeps_failing_ends_the_run_in_one_line_and_later_goes_on(failure, tmp_path):
    with serve(failing(10**6, failure)) as server, pytest.raises(UserError) as error:
        generate_targets(lessons(30), teacher_of(server), tmp_path, ABOUT)
    assert "\n" not in str(error.value)
    assert ("8 times in a row" in str(error.value)) != ("twice and never otherwise" in str(error.value))
    assert len(server.requests) <= 8 + 4
    assert read_targets(tmp_path) == []
    with serve(well) as server:
        assert generate_targets(lessons(30), teacher_of(server), tmp_path, ABOUT).accepted == 30


NEVER = ("500", "a page", "half a JSON", "a list", "no choices", "nothing in it")


@pytest.mark.parametrize("failure", [FAILURES[name] for name in NEVER], ids=NEVER)
def test_a_server_that_never_answered_as_one_does_is_asked_twice(failure, tmp_path):
    time_ = FakeTime()
    with (
        serve(failing(10**6, failure)) as server,
        pytest.raises(UserError, match="twice and never otherwise"),
    ):
        generate_targets(lessons(30), teacher_of(server, time_), tmp_path, ABOUT)
    assert len(server.requests) <= 4 + 1, "those that were sent together count once"
    assert sum(time_.waits) <= 1


def test_what_is_waited_for_is_told(tmp_path, capsys):
    with serve(failing(3, FAILURES["429"])) as server:
        generate_targets(lessons(1), teacher_of(server, concurrency=1), tmp_path, ABOUT)
    assert "takes no more requests (status 429: slow down); it is asked again in" in capsys.readouterr().err


def test_a_server_that_hangs_is_given_up_after_its_time():
    over = threading.Event()

    def hangs(prompt):
        over.wait(20)
        return well(prompt)

    with serve(hangs) as server:
        with pytest.raises(UserError, match="did not reply within 0.2 s.*3 times in a row.*`timeout`"):
            dict(teacher_of(server, timeout=0.2, max_failures=3).write(lessons(5)))
        over.set()


def test_a_server_that_hangs_once_loses_nothing():
    first = threading.Event()

    def says(prompt):
        if not first.is_set():
            first.set()
            time.sleep(0.6)
        return well(prompt)

    with serve(says) as server:
        assert len(dict(teacher_of(server, timeout=0.3, concurrency=1).write(lessons(4)))) == 4


def test_one_lesson_that_always_fails_is_left_for_another_run(tmp_path):
    def says(prompt):
        return FAILURES["500"] if "number 2 " in prompt else well(prompt)

    with serve(says) as server:
        summary = generate_targets(lessons(30), teacher_of(server), tmp_path, ABOUT)
        assert (summary.accepted, summary.unanswered) == (29, 1)
        assert sum("number 2 " in prompt for prompt in server.prompts) == 4
        server.says, before = well, len(server.requests)
        assert generate_targets(lessons(30), teacher_of(server), tmp_path, ABOUT).accepted == 30
        assert len(server.requests) == before + 1


def test_a_wait_that_the_server_asks_for_is_kept(monkeypatch):
    monkeypatch.setattr("vecspeak.llm_client.retry_after", lambda error: 42.0)
    time_ = FakeTime()
    with serve(failing(1, FAILURES["429"])) as server:
        assert len(dict(teacher_of(server, time_, concurrency=1).write(lessons(1)))) == 1
    assert time_.waits == [42.0]


def test_one_request_alone_tries_whether_a_server_is_back():
    flying, most, lock = [0], [0], threading.Lock()
    left = iter(range(8))

    def says(prompt):
        with lock:
            is_failing = next(left, None) is not None
            flying[0] += 1
            most[0] = max(most[0], flying[0]) if is_failing and len(server.requests) > 4 else most[0]
        time.sleep(0.01)
        with lock:
            flying[0] -= 1
        return FAILURES["503 page"] if is_failing else well(prompt)

    with serve(says) as server:
        assert len(dict(teacher_of(server).write(lessons(20)))) == 20
    assert most[0] == 1


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "`key_env`"), (403, "`key_env`"), (404, "check `model` and `teacher`")]
)
def test_what_waiting_does_not_mend_ends_the_run_at_once(status, hint):
    with serve(lambda prompt: (status, {"error": {"message": "no"}}), models=()) as server:
        with pytest.raises(UserError, match=hint):
            dict(teacher_of(server, concurrency=1).write(lessons(20)))
    assert len(server.requests) == 1


def refusing(is_refused, code=None):
    def says(prompt):
        no = (400, {"error": {"message": "no", "code": code}})
        return no if is_refused(int(prompt.split("number ")[1].split()[0])) else well(prompt)

    return says


def test_a_lesson_that_a_filter_refuses_is_written_down_as_refused(tmp_path):
    with serve(refusing(lambda number: number == 2, "content_filter")) as server:
        summary = generate_targets(lessons(5), teacher_of(server, concurrency=1), tmp_path, ABOUT)
        assert summary.dropped == {"refused": 1}
        assert generate_targets(lessons(5), teacher_of(server), tmp_path, ABOUT).asked == 0


def test_a_lesson_that_is_refused_otherwise_is_asked_again(tmp_path):
    with serve(refusing(lambda number: number == 2)) as server:
        summary = generate_targets(lessons(5), teacher_of(server, concurrency=1), tmp_path, ABOUT)
        assert (summary.dropped, summary.unanswered, summary.accepted) == ({}, 1, 4)
        server.says = well
        assert generate_targets(lessons(5), teacher_of(server), tmp_path, ABOUT).accepted == 5


def test_a_server_that_came_back_as_another_spoils_nothing(tmp_path):
    """It answered well, and then has another model: the rest is left for another run."""
    with serve(refusing(lambda number: number >= 6)) as server:
        with pytest.raises(UserError, match="refuses the request for 'm'.*the same command goes on"):
            generate_targets(lessons(60), teacher_of(server, concurrency=1), tmp_path, ABOUT)
        assert len(server.requests) == 6 + 5
        server.says = well
        assert generate_targets(lessons(60), teacher_of(server), tmp_path, ABOUT).accepted == 60


def test_refusals_with_replies_between_them_do_not_end_a_run(tmp_path):
    with serve(refusing(lambda number: number % 2)) as server:
        summary = generate_targets(lessons(40), teacher_of(server, concurrency=1), tmp_path, ABOUT)
    assert (summary.accepted, summary.unanswered) == (20, 20)


def test_an_empty_reply_that_came_to_its_end_is_kept_and_not_paid_for_again(tmp_path):
    def says(prompt):
        return completion(" \n", end="length") if "number 2 " in prompt else well(prompt)

    with serve(says) as server:
        summary = generate_targets(lessons(5), teacher_of(server), tmp_path, ABOUT)
        assert (summary.dropped, summary.unanswered) == ({"empty": 1}, 0)
        assert generate_targets(lessons(5), teacher_of(server), tmp_path, ABOUT).asked == 0
    assert len(server.requests) == 5


def test_a_server_that_has_nothing_to_say_is_given_up(tmp_path):
    with serve(lambda prompt: completion("")) as server:
        with pytest.raises(UserError, match="sends empty replies, 8 times in a row"):
            generate_targets(lessons(30), teacher_of(server, concurrency=1), tmp_path, ABOUT)
    assert len(server.requests) == 8


def test_a_server_that_refuses_everything_ends_the_run():
    with serve(lambda prompt: (400, {"error": {"message": "unknown model"}})) as server:
        with pytest.raises(UserError, match="unknown model.*give one of these to `model`"):
            dict(teacher_of(server).write(lessons(30)))
    assert len(server.requests) <= 9


def test_nothing_at_the_address_is_one_line():
    with serve(well) as server:
        pass
    with pytest.raises(UserError, match="nothing answers at http.*correct `teacher`"):
        dict(teacher_of(server).write(lessons(3)))


def test_a_budget_of_tokens_is_never_overrun(tmp_path):
    most = 600
    with serve(lambda prompt: completion(answer_to(prompt), tokens=(50, 100))) as server:
        teacher = teacher_of(server, limits=SpendLimits(tokens=most))
        summary = generate_targets(lessons(30), teacher, tmp_path, ABOUT)
    assert "the budget of 600 tokens is spent" in summary.stopped
    assert "`max_tokens_total`" in summary.stopped
    used = teacher.budget.tokens_in + teacher.budget.tokens_out
    assert used == 150 * len(server.requests) <= most
    assert most - used < 250, "it goes on while another surely fits"
    assert summary.accepted == len(server.requests) == len(read_targets(tmp_path))


def test_a_budget_of_money_is_never_overrun():
    limits = SpendLimits(cost=0.001, price_in=1.0, price_out=2.0)
    with serve(lambda prompt: completion(answer_to(prompt), tokens=(50, 100))) as server:
        teacher = teacher_of(server, limits=limits)
        with pytest.raises(BudgetError, match="the budget of 0.001 is spent.*`max_cost`"):
            dict(teacher.write(lessons(30)))
    assert teacher.budget.cost == pytest.approx(len(server.requests) * 250e-6)
    assert teacher.budget.cost <= 0.001


def test_a_budget_that_fits_nothing_sends_nothing():
    with serve(well) as server:
        with pytest.raises(BudgetError):
            dict(teacher_of(server, limits=SpendLimits(tokens=20)).write(lessons(3)))
    assert server.requests == []


def test_a_budget_is_for_all_runs_of_a_teacher_on_a_folder(tmp_path):
    with serve(lambda prompt: completion(answer_to(prompt), tokens=(50, 100))) as server:
        generate_targets(lessons(2), teacher_of(server), tmp_path, ABOUT)
        for _ in range(2):
            summary = generate_targets(
                lessons(30), teacher_of(server, limits=SpendLimits(tokens=600)), tmp_path, ABOUT
            )
        assert "the budget of 600 tokens is spent (450 in this folder so far" in summary.stopped
        assert len(server.requests) == 3
        assert (
            generate_targets(
                lessons(30), teacher_of(server, limits=SpendLimits(tokens=750)), tmp_path, ABOUT
            ).asked
            == 1
        )


def test_what_nobody_counted_is_estimated_for_the_budget(tmp_path):
    with serve(answer_to) as server:
        generate_targets(lessons(2), teacher_of(server), tmp_path, ABOUT)
        teacher = teacher_of(server)
        generate_targets(lessons(2), teacher, tmp_path, ABOUT)
    assert teacher.budget.before_in == sum(max_request_tokens(one)[0] for one in lessons(2))
    assert teacher.budget.before_out == sum(estimate_tokens(text) for text in ANSWERS[:2])


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (SpendLimits(tokens=20), r"may take \d+, more than the budget of 20 tokens; .* `max_tokens_total`"),
        (
            SpendLimits(cost=1e-9, price_in=1),
            r"may take 0\.\d+, more than the budget of 1e-09; .* `max_cost`",
        ),
        (SpendLimits(tokens=20, cost=9, price_in=1), "`max_tokens_total`"),
        (SpendLimits(tokens=10**6, cost=1e-9, price_in=1), "`max_cost`"),
    ],
)
def test_the_limit_that_a_lesson_never_fits_is_named(limits, said):
    with serve(well) as server, pytest.raises(BudgetError, match=said):
        dict(teacher_of(server, limits=limits).write(lessons(3)))


def test_a_reply_that_never_came_is_counted_with_the_most_that_it_may_have_cost():
    first = threading.Event()

    def says(prompt):
        if not first.is_set():
            first.set()
            time.sleep(0.6)
        return well(prompt)

    (one,) = lessons(1)
    with serve(says) as server:
        teacher = teacher_of(server, timeout=0.3, concurrency=1)
        assert len(dict(teacher.write([one]))) == 1
    assert (teacher.budget.tokens_in, teacher.budget.tokens_out) == (
        max_request_tokens(one)[0] + 10,
        max_request_tokens(one)[1] + 5,
    )


def test_what_a_server_says_it_failed_costs_nothing():
    with serve(failing(2, FAILURES["503 page"])) as server:
        teacher = teacher_of(server, concurrency=1)
        dict(teacher.write(lessons(1)))
    assert (teacher.budget.tokens_in, teacher.budget.tokens_out) == (10, 5)


def test_a_cost_needs_prices():
    with pytest.raises(UserError, match="`price_in`"):
        SpendLimits(cost=1.0)


def test_requests_keep_the_pace():
    time_ = FakeTime()
    with serve(well) as server:
        dict(teacher_of(server, time_, per_minute=30, concurrency=1).write(lessons(6)))
    assert time_.waits == [2.0] * 5


def test_options_that_a_server_does_not_take_are_left_out_or_renamed():
    def says(prompt):
        sent = server.requests[-1]
        if "temperature" in sent:
            return 400, {"error": {"message": "temperature is not supported"}}
        if "max_tokens" in sent:
            return 400, {"error": {"message": "'max_tokens': use 'max_completion_tokens' instead"}}
        return well(prompt)

    with serve(says) as server:
        assert len(dict(teacher_of(server, concurrency=1).write(lessons(3)))) == 3
    assert len(server.requests) == 5
    assert server.requests[-1]["max_completion_tokens"] == max_answer_tokens(task())


def test_a_reply_that_ran_out_of_room_and_one_that_was_filtered_are_told():
    ends = iter(["length", "content_filter"])
    with serve(lambda prompt: completion(answer_to(prompt), end=next(ends))) as server:
        found = dict(teacher_of(server, concurrency=1).write(lessons(2)))
    assert (found[0].cut, found[0].refused, found[1].cut, found[1].refused) == (True, False, False, True)


def test_a_stop_by_hand_keeps_what_is_on_its_way(tmp_path, monkeypatch):
    """The hand comes while the first replies are waited for."""
    all_sent = threading.Event()

    def says(prompt):
        if len(server.requests) == 3:
            all_sent.set()
        return well(prompt)

    usual, stops = remote.wait, iter([KeyboardInterrupt()])

    def interrupted(*given, **more):
        if stop := next(stops, None):
            assert all_sent.wait(20)
            raise stop
        return usual(*given, **more)

    monkeypatch.setattr(remote, "wait", interrupted)
    with serve(says) as server, pytest.raises(KeyboardInterrupt):
        generate_targets(lessons(30), teacher_of(server, concurrency=3), tmp_path, ABOUT)
    assert len(server.requests) == 3
    assert [target.text for target in read_targets(tmp_path)] == ANSWERS[:3]


def test_a_second_stop_by_hand_does_not_wait(tmp_path):
    over = threading.Event()

    def says(prompt):
        if answer_to(prompt) not in ANSWERS[:4]:  # whichever of those in flight comes first
            over.wait(60)
        return well(prompt)

    with serve(says) as server:
        process = _started(server.url, tmp_path, 40, stderr=subprocess.PIPE, text=True)
        _wait_for(lambda: len(server.requests) == 8, process)
        process.send_signal(signal.SIGINT)
        while "stop again" not in (line := process.stderr.readline()):
            assert line
        time.sleep(0.5)  # no hand is faster; sent while the line was being written, one in forty was lost
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()
            over.set()
    assert [target.text for target in read_targets(tmp_path)] == ANSWERS[:4]


def test_a_run_that_is_killed_goes_on_and_comes_to_the_same(tmp_path):
    def slowly(prompt):
        time.sleep(0.03)
        return well(prompt)

    with serve(slowly) as server:
        kept = tmp_path / "killed" / REPLIES
        process = _started(server.url, tmp_path / "killed", 40)
        _wait_for(lambda: kept.exists() and kept.read_bytes().count(b"\n") >= 8, process)
        process.kill()
        process.wait()
        before = len(server.prompts)
        known = kept.read_bytes().count(b"\n")
        assert 8 <= known < 40
        summary = generate_targets(lessons(40), teacher_of(server), tmp_path / "killed", ABOUT)
        assert summary.asked == 40 - known
        assert len(server.prompts) == before + 40 - known
        twice = [prompt for prompt in set(server.prompts) if server.prompts.count(prompt) > 1]
        assert len(twice) <= 4, "no more than were on their way"
        generate_targets(lessons(40), teacher_of(server), tmp_path / "whole", ABOUT)
    for name in ("targets.jsonl", "dropped.jsonl", "about.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def _started(url, folder, count, **more):
    here = Path(__file__).parent
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(here.parent), os.environ.get("PYTHONPATH", "")]),
    }
    return subprocess.Popen(
        [sys.executable, here / "killed_run.py", url, folder, str(count)], env=environment, **more
    )


def _wait_for(is_so, process):
    end = time.monotonic() + 60
    while not is_so():
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_key_is_in_no_file(tmp_path):
    with serve(well) as server:
        address = Endpoint(url=server.url, model="m", key="sk-secret")
        generate_targets(lessons(2), RemoteTeacher(address, TeacherConfig()), tmp_path, ABOUT)
        assert server.keys == ["Bearer sk-secret"] * 2
    assert not any(b"sk-secret" in path.read_bytes() for path in tmp_path.iterdir())


def test_settings_that_change_what_is_written_change_the_key():
    with serve(well) as server:
        one = lessons(1)[0]
        plain, warm, more = (
            teacher_of(server, temperature=t, seed=s) for t, s in ((0, 0), (0.7, 0), (0.7, 1))
        )
        assert len({json.dumps(t.settings_for(one)) for t in (plain, warm, more)}) == 3
        assert plain.settings_for(one) == teacher_of(server, seed=1, per_minute=9).settings_for(one)
        assert plain.settings_for(one) != plain.settings_for(replace(one, task=task(words=(5, 90))))


def test_of_a_reply_without_end_no_more_is_kept_than_an_answer_can_need(tmp_path):
    with serve(lambda prompt: completion("word " * 500_000)) as server:
        summary = generate_targets(lessons(2), teacher_of(server), tmp_path, ABOUT)
    assert summary.accepted == 0 and summary.unanswered == 0
    assert (tmp_path / REPLIES).stat().st_size < 50_000
