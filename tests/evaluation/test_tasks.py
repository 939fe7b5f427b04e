"""Every task, from the cases to the report, in a tiny world whose numbers can be worked out by hand."""

import dataclasses

import numpy as np
import pytest

import task_worlds
import worlds
from task_worlds import ENCODER, MOVIES, OUT, TEXTS, Counted, Still, cases, models, taste
from vecspeak.engines import Sampling
from vecspeak.errors import UserError
from vecspeak.evaluation.baselines import BASELINES
from vecspeak.evaluation.behavior import Predictor, Ranking
from vecspeak.evaluation.cases import TASK_BASELINES
from vecspeak.evaluation.evaluate import EvaluationConfig, evaluate
from vecspeak.evaluation.metrics import ScoringContext, retrieval, score_texts, truth_ranks
from vecspeak.evaluation.report import Report, read_report, without_texts, write_report
from vecspeak.evaluation.task_cases import partners, person_predictor, select_tasks
from vecspeak.evaluation.wording import liked_part
from vecspeak.model.prompt import vectors_of
from vecspeak.raters import llm as judging
from vecspeak.raters.llm import make_questions
from vecspeak.raters.study import make_sheet
from vecspeak.report.compare import compare
from vecspeak.report.html import render_page
from vecspeak.report.tables import TASK_NOT_READ as NOT_READ
from vecspeak.report.tables import main, task_markdown, task_rows
from vecspeak.report.terminal import task_lines
from vecspeak.stats import difference
from vecspeak.storage import Cache

SHORT = EvaluationConfig(sampling=Sampling(max_new_tokens=10))


@pytest.fixture(scope="module")
def plan():
    return cases()


@pytest.fixture(scope="module")
def found(plan):
    return evaluate(models(), plan.cases, SHORT)


def by_name(sets):
    return {one.name.partition(" / ")[2]: one for one in sets}


def report_of(sets):
    return Report(
        bundle="toy", made="2026-01-01T00:00:00+00:00", settings={"seed": 0}, digests={}, sets=tuple(sets)
    )


def one_case(**changes):
    """Cases of one task, cut to the changes: for numbers worked by hand."""
    names = {"summary": changes.pop("task", "summary")}
    wanted = cases(names["summary"], points=changes.pop("points", ("items",)), count=5).cases[0]
    return dataclasses.replace(wanted, **changes)


# --- who is asked ---


def test_every_task_of_the_paper_goes_through_with_every_system(plan, found):
    names = [one.name.partition(" / ")[2] for one in found]
    single = [name for name, task in MOVIES.tasks.items() if task.about == "item"]
    assert len(MOVIES.tasks) == 25 and plan.left_out == ()
    assert set(names) == set(MOVIES.tasks) | {f"{name}, between" for name in single}
    for one in found:
        assert [system.key for system in one.systems] == list(TASK_BASELINES), one.name
        main = "bc" if "user_profile" in one.name else "sc"
        assert all(main in system.estimates for system in one.systems), one.name
        assert {m.key for m in one.measures} >= set(one.system("reader").estimates)


def test_only_held_out_items_and_people_are_asked_about(plan):
    made = task_worlds.entry()
    for one in plan.cases:
        for row, rows in enumerate(one.rows):
            first = [made.space.ids[rows[0]]] if rows else []
            assert set(first) <= worlds.HELD_OUT
            known = {known.label for near in one.neighbors[row] for known in near}
            assert not known & {made.space.labels[made.space.index_of(item)] for item in made.held_out}
    people = by_name_of_cases(plan)["user_profile"]
    assert {item.removeprefix("user:") for item in people.ids} == set(OUT)


def by_name_of_cases(plan):
    return {one.name.partition(" / ")[2]: one for one in plan.cases}


def test_a_pair_is_of_two_held_out_items_and_a_neighbour_is_a_training_item(plan):
    made = task_worlds.entry()
    named = by_name_of_cases(plan)
    for x, y in named["similarities"].rows:
        assert x != y and {made.space.ids[x], made.space.ids[y]} <= worlds.HELD_OUT
    for x, y in named["common_with_neighbour"].rows:
        assert made.space.ids[y] not in made.held_out
        train = [row for row in range(45) if made.space.ids[row] not in made.held_out]
        nearest = max(train, key=lambda row: float(made.space.vectors[row] @ made.space.vectors[x]))
        assert y == nearest


@pytest.mark.parametrize("count", [4, 5, 9])
def test_no_pair_shares_an_item_with_the_pair_whose_answer_is_its_control(count):
    rows = cases("similarities", count=count).cases[0].rows
    shared = [bool(set(rows[place]) & set(rows[place - 1])) for place in range(1, len(rows))]
    assert not any(shared)
    if count == 4:
        assert len({row for pair in rows for row in pair}) == 8


@pytest.mark.parametrize(
    ("length", "count"), [(length, count) for length in range(5, 13) for count in range(3, length + 1)]
)
def test_no_two_pairs_are_of_the_same_rows_and_none_is_a_row_with_itself(length, count):
    rows = list(range(length))
    pairs = {frozenset(pair) for pair in zip(rows, partners(rows, count), strict=False)}
    assert len(pairs) == count and all(len(pair) == 2 for pair in pairs)


def test_a_point_between_is_the_middle_of_two_items_and_none_of_them(plan):
    made = task_worlds.entry()
    one = by_name_of_cases(plan)["summary, between"]
    assert one.is_between and one.rows == [()] * 9
    assert one.ids[0].startswith('mid(id("p')
    items = {text: made.space.vectors[row] for row, text in enumerate(TEXTS)}
    for row, (first, second) in enumerate(one.truths):
        middle = (items[first] + items[second]) / 2
        np.testing.assert_allclose(one.own[row, 0], middle, atol=1e-6)
        np.testing.assert_allclose(one.inputs[row, 0], middle / np.linalg.norm(middle), atol=1e-6)


def test_held_out_wordings_are_asked_where_they_are_wanted():
    one = cases("similarities", wording="held-out").cases[0]
    assert one.question == MOVIES.task("similarities").held_out[0]
    assert cases("similarities").cases[0].question == MOVIES.task("similarities").question


def test_a_question_that_names_y_first_still_gets_the_right_vectors():
    one = one_case(task="similarities", question="How is {y} like {x}?")
    prompt = BASELINES["reader"].prompts(one, 0)[0]
    second, first = vectors_of(prompt)
    np.testing.assert_array_equal(first, one.inputs[0, 0])
    np.testing.assert_array_equal(second, one.inputs[0, 1])
    told = BASELINES["lm_truth"].prompts(one, 0)[0][0]
    assert told.endswith("\n\nHow is Y like X?") and f"This is known of Y: {one.truths[0][1]}" in told


def test_what_cannot_be_asked_is_left_out_of_all_and_a_mistake_by_name():
    plan = cases(users=False)
    assert plan.left_out == ("user_profile: the space has no users",)
    with pytest.raises(UserError, match="user_profile: the space has no users"):
        cases("user_profile", users=False, by_name=True)
    with pytest.raises(UserError, match="no task is about points between"):
        cases("similarities", points=("between",))
    with pytest.raises(UserError, match="no task 'moon' in the set 'movies'; it has summary"):
        select_tasks(MOVIES, ["moon"])
    assert [t.name for t in select_tasks(MOVIES, ["pitch,summary"])] == ["summary", "pitch"]


def test_training_entities_are_labelled():
    sets = evaluate(models(), cases("summary", split="train").cases, SHORT)
    assert all(one.trained_on and one.flags[0].startswith("TRAINING ENTITIES") for one in sets)
    assert "TRAINING ENTITIES" in "\n".join(task_lines(sets))


# --- what is measured, by hand ---


def test_consistency_with_two_is_the_mean_of_both_and_the_smaller_is_told_too():
    # Answers at (0.6, 0.8) to points on the two axes: cosines 0.6 and 0.8.
    one = one_case(task="similarities")
    axes = np.tile(np.eye(ENCODER.dim, dtype=np.float32)[None, :2], (5, 1, 1))
    answer = np.zeros((5, ENCODER.dim), dtype=np.float32)
    answer[:, :2] = 0.6, 0.8
    found = score_texts(dataclasses.replace(one, inputs=axes, ranking=None), ["a"] * 5, Fixed(answer))
    assert found["sc"].values == pytest.approx(np.full(5, 0.7))
    assert found["sc_low"].values == pytest.approx(np.full(5, 0.6))


class Fixed:
    """An encoder with the same vectors for any texts, as many as are asked for."""

    name, dim = "fixed", ENCODER.dim

    def __init__(self, *given):
        self.given = list(given)

    def encode(self, texts, *, progress=False, batch_size=64):
        return self.given.pop(0)


def test_the_second_encoder_holds_an_answer_to_a_point_between_against_the_mean_of_both_texts():
    # Texts on two axes, the answer on the first: its cosine with their mean is 1/sqrt(2), and with both 1 and 0.
    axes = np.tile(np.eye(ENCODER.dim)[:2], (5, 1))
    answers = axes[::2]
    between = one_case(points=("between",), ranking=None)
    pair = one_case(task="similarities", ranking=None)
    scores = [score_texts(one, ["a"] * 5, Fixed(answers), Fixed(answers, axes)) for one in (between, pair)]
    assert scores[0]["sc_2"].values == pytest.approx(np.full(5, np.sqrt(0.5)))
    assert "sc_low_2" not in scores[0]
    assert scores[1]["sc_2"].values == pytest.approx(np.full(5, 0.5))
    assert scores[1]["sc_low_2"].values == pytest.approx(np.zeros(5))


def test_a_point_between_is_ranked_among_all_items_and_itself():
    # Items on the axes, the point between the first two. An answer on the point finds it first; an answer on the
    # first axis finds that item first and then the point; one on the third axis finds every item before it or tied.
    items = np.eye(3)
    point = np.array([[1, 1, 0]]) / np.sqrt(2)
    answers = np.array([point[0], items[0], items[2]])
    found = truth_ranks(answers, np.repeat(point, 3, axis=0), items, [None] * 3)
    assert found.tolist() == [1, 2, 4]


def test_an_item_is_ranked_among_the_others_and_a_twin_counts_against_it():
    items = np.array([[1.0, 0], [1, 0], [0, 1]])
    assert truth_ranks(items, items, items, [0, 1, 2]).tolist() == [2, 2, 1]


def test_of_a_pair_the_ten_nearest_hold_either_or_both():
    angles = np.linspace(0, np.pi, 30)
    items = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    one = one_case(task="similarities", items=items, rows=[(0, 1), (0, 29), (28, 29), (0, 9), (0, 10)])
    found = retrieval(one, np.tile(items[0], (5, 1)))
    assert found["either10"].values.tolist() == [1, 1, 0, 1, 1]
    assert found["both10"].values.tolist() == [1, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("task", "points", "wanted"),
    [
        ("summary", "items", {"r1", "r10", "mrr", "rank"}),
        ("summary", "between", {"r1", "r10", "mrr", "rank"}),
        ("criticize", "items", set()),
        ("similarities", "items", {"either10", "both10"}),
        ("user_profile", "items", set()),
    ],
)
def test_the_right_item_is_searched_where_the_task_names_it_and_of_pairs_always(task, points, wanted):
    one = one_case(task=task, points=(points,))
    answers = score_texts(one, ["a ghost"] * len(one.ids), ENCODER)
    searched = {"r1", "r10", "mrr", "rank", "either10", "both10"}
    assert set(answers) & searched == wanted
    assert {measure.key for measure in ScoringContext(one, ENCODER).measures} & searched == wanted


def test_a_profile_ranks_items_as_its_person_does_and_beyond_what_all_like():
    # Items are the axes, so a person's numbers are their liking. The answer predicts 3, 1, 2 where the person has
    # 3, 2, 1: rank differences 0, 1, 1, so 1 - 6*2/(3*8) = 0.5. The average person likes 3, 0, 0. Beyond it the
    # answer predicts 0, 1, 2 and the person has 0, 2, 1: again 0.5. With 1, 1, 1 beyond it nothing is said: 0.
    ranking = Ranking(
        predictor=Predictor(weights=np.eye(3), offset=np.zeros(3), penalty=1.0),
        others=np.eye(3),
        average=np.array([3.0, 0, 0]),
    )
    people = one_case(
        task="user_profile", scorers=("behavior",), ranking=ranking, own=np.tile([3.0, 2, 1], (5, 1, 1))
    )
    answers = np.array([[3.0, 1, 2]] * 4 + [[4.0, 1, 1]])
    found = score_texts(people, ["a"] * 5, Fixed(answers))
    assert found["bc"].values[:4] == pytest.approx(np.full(4, 0.5))
    assert found["bc_own"].values[:4] == pytest.approx(np.full(4, 0.5))
    assert found["bc_own"].values[4] == 0
    assert "sc" not in found and "r1" not in found


def test_what_is_predicted_of_items_is_moved_to_where_people_lie():
    # Items have mean 1 and spread 1, people mean 10 and spread 2: an item at 2 stands for a person at 12.
    items, people = np.array([[0.0], [2.0]]), np.array([[8.0], [12.0]])
    moved = person_predictor(Predictor(weights=np.eye(1), offset=np.zeros(1), penalty=1.0), items, people)
    assert moved.predict(np.array([[2.0], [1.0]])).ravel() == pytest.approx([12.0, 10.0])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Likes horror. Dislikes comedy.", "horror"),
        ("They love horror, but comedy bores them and is boring.", "horror"),
        ("They like horror and dislike comedy.", "horror"),
        ("Likes horror more than other movies. Likes comedy less.", "horror"),
        ("Doesn't care for comedy; horror pleases them.", "horror"),
    ],
)
def test_what_a_profile_dislikes_is_not_said_to_be_liked(text, kept):
    assert kept in liked_part(text) and "comedy" not in liked_part(text)


def test_kinds_that_a_profile_names_are_held_against_the_ratings(plan):
    people = by_name_of_cases(plan)["user_profile"]
    assert people.attributes is not None
    true, both, wanted = [], [], []
    for person, truth, told in zip(people.ids, people.attributes.truth, people.truths, strict=True):
        liked, disliked = taste(person.removeprefix("user:"))
        assert liked in truth and disliked not in truth
        assert f"above their own average: {'; '.join(sorted(truth, key=told[0].find))}" in told[0]
        true.append(f"Likes {' and '.join(truth)}. Dislikes {disliked}.")
        both.append(f"Likes {liked} and {disliked}.")
        wanted.append(len(truth))
    one, other = score_texts(people, true, ENCODER), score_texts(people, both, ENCODER)
    assert one["precision"].estimate().value == one["recall"].estimate().value == 1
    assert other["precision"].estimate().value == 0.5
    assert other["recall"].estimate().value == pytest.approx(len(wanted) / sum(wanted))


def test_without_ratings_a_profile_is_scored_by_behavior_alone():
    (one,) = evaluate(models(), cases("user_profile", rated=False).cases, SHORT)
    assert set(one.system("reader").estimates) == {"bc", "bc_own", "over_swap", "repeated"}
    assert one.system("lm_truth") is None
    assert evaluated_points([one]) == [("user_profile", "people", "BC")]


def evaluated_points(sets):
    return [(row.task, row.points, row.measure) for row in task_rows(sets)]


# --- is it read? ---


def test_a_reader_that_reads_is_told_by_its_difference_to_another_entitys_answer(found):
    one = by_name(found)["summary"]
    own, swapped = one.series("reader", "sc"), one.series("swapped", "sc")
    told, wanted = one.system("reader").estimates["over_swap"], difference(own, swapped)
    assert (told.value, told.low, told.high) == pytest.approx(
        (wanted.value, wanted.low, wanted.high), abs=1e-5
    )
    assert told.low > 0.1
    assert one.system("reader").estimates["r1"].value == 1
    assert not any(flag.startswith(NOT_READ) for flag in one.flags)
    assert one.entities[1].answers["swapped"] == one.entities[0].answers["reader"]


def test_a_reader_that_ignores_its_vector_is_marked_not_read_everywhere(plan):
    sets = evaluate(models(Still()), plan.cases, SHORT)
    assert all(any(flag.startswith(NOT_READ) for flag in one.flags) for one in sets)
    for row in task_rows(sets):
        assert NOT_READ in row.marks and "ONE ANSWER FOR MANY" in row.marks
        assert row.over_swap.low <= 0 <= row.over_swap.high
    assert "\n".join(task_lines(sets)).count("NOT READ, ONE ANSWER FOR MANY") == len(sets)
    assert task_markdown(sets).count(NOT_READ) == len(sets)
    assert NOT_READ in render_page(report_of(sets[:2]))


def test_a_row_is_not_marked_not_read_where_that_was_not_measured(found):
    one = by_name(found)["summary"]
    unmeasured = [
        dataclasses.replace(made, estimates={k: v for k, v in made.estimates.items() if k != "over_swap"})
        for made in one.systems
    ]
    (row,) = task_rows([dataclasses.replace(one, systems=tuple(unmeasured))])
    assert row.over_swap is None and NOT_READ not in row.marks


# --- the run ---


def test_all_tasks_of_a_system_go_to_the_engine_together(plan):
    engine = Counted(models().engines["reader"])
    evaluate(models(engine), plan.cases, SHORT)
    assert len(engine.calls) == 2  # the right vectors of all tasks, then the mean
    right, mean = engine.calls
    assert len(right) == sum(len(one.ids) for one in plan.cases)
    assert len(mean) == len(MOVIES.tasks)


def test_a_stopped_run_asks_only_what_is_missing(plan, tmp_path):
    class Killed(Counted):
        def answers(self, prompts, sampling):
            for number, made in enumerate(super().answers(prompts, sampling)):
                if number == 100:
                    raise KeyboardInterrupt
                yield made

    path = tmp_path / "kept.jsonl"
    with pytest.raises(KeyboardInterrupt):
        evaluate(models(Killed(models().engines["reader"])), plan.cases, SHORT, Cache(path))
    engine = Counted(models().engines["reader"])
    again = evaluate(models(engine), plan.cases, SHORT, Cache(path))
    assert len(engine.calls[0]) == sum(len(one.ids) for one in plan.cases) - 96
    assert again == evaluate(models(), plan.cases, SHORT)


# --- what is shown ---


def test_there_is_one_row_a_task_and_kind_of_points(found):
    rows = task_rows(found)
    assert len(rows) == len(found) == len({(row.task, row.points) for row in rows})
    assert {row.points for row in rows} == {"items", "pairs", "between", "people"}
    lines = list(task_lines(found))
    assert [line for line in lines if line.startswith("pairs, ")] == [
        "pairs, items of 'holdout', n = 9",
        "pairs, between of 'holdout', n = 9",
        "pairs, pairs of 'holdout', n = 9",
        "pairs, people of 'holdout', n = 17 (BC in place of SC)",
    ]
    assert max(map(len, lines)) <= 120
    assert sum(line.startswith("  summary ") for line in lines) == 2
    table = task_markdown(found).splitlines()
    assert len({line.count("|") for line in table if line.startswith("|")}) == 1
    assert sum(line.startswith("| ") for line in table) == len(found) + 1


def test_the_row_says_what_the_set_says(found):
    one = by_name(found)["summary"]
    row = next(row for row in task_rows(found) if (row.task, row.points) == ("summary", "items"))
    assert row.reader == one.system("reader").estimates["sc"]
    assert row.others[0] == one.system("swapped").estimates["sc"]
    assert row.found[1] == one.system("reader").estimates["r1"] and row.count == one.count == 9


def test_the_report_is_written_read_shown_and_summed_up(found, tmp_path, capsys):
    report = report_of(found)
    write_report(tmp_path / "r.json", report)
    assert read_report(tmp_path / "r.json") == report
    page = render_page(report)
    assert page.index("Every task in a row") < page.index("The verdict")
    assert "positive_characteristics" in page
    summary = without_texts(report)
    assert "entities" not in summary["sets"][0] and TEXTS[0] not in str(summary)
    assert main([str(tmp_path / "r.json")]) == 0
    assert capsys.readouterr().out.strip() == task_markdown(found)


def test_comparing_judging_and_rating_take_the_sets_of_tasks(found):
    same = compare(report_of(found), report_of(found))
    assert len(same.sets) == len(found)
    assert all(change.difference.value == 0 for one in same.sets for change in one.changes)
    sheet = make_sheet(report_of(found), count=5)
    assert len({item.set_index for item in sheet.items.values()}) > 1
    assert all(make_questions(one, judging.JudgeConfig(count=5)) for one in found)
