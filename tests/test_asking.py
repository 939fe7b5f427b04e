import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fakes import NearestEngine
from vecspeak.asking import Asker
from vecspeak.bundles.fitting import fit_space
from vecspeak.engines import BEST_OF_TEMPERATURE, Sampling
from vecspeak.errors import UserError
from vecspeak.explore.concepts import fit_entry_concept
from vecspeak.spaces import Space
from vecspeak.spaces.splits import choose_splits
from vecspeak.tasks.task_set import load_task_set


def never():
    raise AssertionError("nothing should be loaded for a question that cannot be asked")


@pytest.fixture
def entry(space, texts, encoder):
    splits = choose_splits(space, share=0.2, seed=0)
    return fit_space(space, texts=texts, encoder=encoder, splits=splits)


@pytest.fixture
def asker(entry, texts, encoder):
    return Asker(entry, lambda: NearestEngine(texts, encoder), lambda: encoder)


def test_an_answer_about_an_item_comes_from_its_vector(asker, texts):
    answer = asker.answer(asker.prepare("Describe {x}.", {"x": '"Thing 3"'}))
    assert sorted(set(answer.text.split())) == sorted(set(texts[3].split()))


def test_pieces_are_streamed_as_they_come(asker):
    pieces = []
    answer = asker.answer(asker.prepare("Describe {x}.", {"x": '"Thing 3"'}), on_text=pieces.append)
    assert len(pieces) > 1
    assert "".join(pieces) == answer.text


def test_the_round_trip_of_a_right_answer_is_above_that_of_other_items(asker):
    questions = [asker.prepare("Describe {x}.", {"x": f'"Thing {i}"'}) for i in range(20)]
    found = [answer.evidence[0] for answer in asker.answer_all(questions)]
    assert np.mean([trust.round_trip for trust in found]) > np.mean([trust.swapped for trust in found]) + 0.2


def test_what_a_point_was_made_from_is_not_among_its_nearest(asker):
    answer = asker.answer(asker.prepare("Describe {x}.", {"x": 'mid("Thing 3", "Thing 4")'}))
    labels = [near.label for near in answer.evidence[0].nearest]
    assert len(labels) == 5
    assert not {"Thing 3", "Thing 4"} & set(labels)


def test_an_item_lies_in_the_data_and_a_far_point_does_not(asker):
    near = asker.answer(asker.prepare("Describe {x}.", {"x": '"Thing 3"'})).evidence[0]
    far = asker.answer(asker.prepare("Describe {x}.", {"x": '"Thing 3" - 3*"Thing 4"'})).evidence[0]
    assert near.percentile < 90 < far.percentile


def test_what_a_point_was_made_from_does_not_hold_it_near_the_data(asker, entry):
    point, vectors = asker.point('mid("Thing 3", "Thing 4")'), entry.space.vectors
    cosines = vectors @ point.vector / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(point.vector))
    ten = np.sort(np.delete(cosines, [3, 4]))[-10:]
    reference = entry.distance("items").reference
    assert asker.percentile(point) == pytest.approx(100 * (reference <= 1 - ten.mean()).mean(), abs=1)


def test_a_concept_moves_the_answer_towards_its_items(entry, texts, encoder):
    scary = fit_entry_concept(entry, "scary", "scary", "true")
    entry.concepts["scary"] = scary
    asker = Asker(entry, lambda: NearestEngine(texts, encoder), lambda: encoder)
    calm = [i for i, text in enumerate(texts) if "ghost" not in text][:20]
    moved = [asker.prepare("Describe {x}.", {"x": f'"Thing {i}" + 3*scary'}) for i in calm]
    assert sum("ghost" in answer.text for answer in asker.answer_all(moved)) >= 15


def test_two_slots_each_have_their_evidence(asker):
    asked = asker.prepare("Compare {x} with {y}.", {"x": '"Thing 1"', "y": '"Thing 2"'})
    assert [trust.slot for trust in asker.answer(asked).evidence] == ["x", "y"]


def test_a_question_without_a_slot_gets_the_point_after_it(asker):
    prompt = asker.prepare("Describe this:", {"x": '"Thing 1"'}).prompt
    assert isinstance(prompt[0], str) and not isinstance(prompt[1], str)


@pytest.mark.parametrize(
    ("question", "at", "message"),
    [
        ("Describe {x}.", {}, r"slot \{x\} that nothing fills; add `x="),
        ("Describe {x}.", {"x": '"Thing 1"', "y": '"Thing 2"'}, "names a slot that the question"),
        ("", {"x": '"Thing 1"'}, "the question is empty"),
        ("Describe {x.", {"x": '"Thing 1"'}, "a brace that is no slot"),
        ("Describe {x}.", {"x": '"Thing 1'}, "character"),
        ("Describe {x}.", {"x": '"Thing 999"'}, "Thing 99"),
        ("Describe {x}.", {"x": "funny"}, "funny"),
    ],
)
def test_a_mistake_is_told_before_anything_is_loaded(entry, question, at, message):
    with pytest.raises(UserError, match=message):
        Asker(entry, never, never).prepare(question, at)


def test_a_task_asked_by_its_name_is_kept_with_the_question(asker):
    task = load_task_set("items").task("summary")
    asked = asker.prepare_task(task, {"x": '"Thing 1"'})
    assert asked.task is task and asker.prepare(task.question, {"x": '"Thing 1"'}).task is None


def test_an_answer_that_is_looked_for_begins_as_it_should_and_a_plain_one_as_it_comes(asker):
    task = load_task_set("items").task("positive_review")
    asked = asker.prepare_task(task, {"x": '"Thing 1"'})
    assert asked.searched[-1] == task.start and asked.searched[:-1] == asked.prompt
    assert asker.prepare("Who would like {x}?", {"x": '"Thing 1"'}).beginning == "It is for people who"
    assert asker.prepare("Who would like {x} and {y}?", {"x": '"Thing 1"', "y": '"Thing 2"'}).beginning == ""
    sampling = Sampling(max_new_tokens=12)
    streamed = "".join(asker.stream(asked, sampling, effort="quick"))
    assert (
        streamed.startswith(f"{task.start} ")
        and asker.answer(asked, sampling, effort="quick").text == streamed
    )
    assert not "".join(asker.stream(asked, sampling)).startswith(task.start)


# --- the best of several ---


class DrawingEngine:
    """A true tiny engine: draws an answer for each prompt by the seed, and remembers what it was asked."""

    name = "drawing"

    def __init__(self, texts):
        self.texts = texts
        self.asked = []

    def generate(self, prompts, sampling):
        self.asked.append((len(prompts), sampling))
        rng = np.random.default_rng(sampling.seed)
        return [self.texts[i] for i in rng.integers(len(self.texts), size=len(prompts))]


class FixedEngine:
    """Gives these answers, in this order."""

    name = "fixed"

    def __init__(self, texts):
        self.texts = texts

    def generate(self, prompts, sampling):
        return self.texts[: len(prompts)]


@pytest.fixture
def drawing(entry, texts, encoder):
    engine = DrawingEngine(texts)
    return engine, Asker(entry, lambda: engine, lambda: encoder)


def round_trip(asker, text, point):
    return float(asker.encoder.encode([text])[0] @ asker.read(point))


@pytest.mark.parametrize("count", [1, 2, 9, 64])
def test_of_several_answers_the_one_with_the_best_round_trip_is_kept(drawing, count):
    engine, asker = drawing
    asked = asker.prepare("Describe {x}.", {"x": '"Thing 3"'})
    answer = asker.best_answer(asked, count)
    drawn = DrawingEngine(engine.texts).generate([asked.prompt] * count, Sampling())
    trips = [round_trip(asker, text, asked.points["x"]) for text in drawn]
    assert answer.text == drawn[int(np.argmax(trips))]
    assert answer.evidence[0].round_trip == pytest.approx(max(trips), abs=1e-6)
    assert answer == asker.judge(asked, answer.text)
    assert count == 1 or max(trips) > np.mean(trips)


def test_the_more_are_drawn_the_better_the_best_and_the_seed_decides(drawing):
    _, asker = drawing
    asked = asker.prepare("Describe {x}.", {"x": '"Thing 3"'})
    found = {
        (count, seed): asker.best_answer(asked, count, Sampling(seed=seed)).evidence[0].round_trip
        for count in (1, 4, 32)
        for seed in range(12)
    }
    means = [np.mean([found[count, seed] for seed in range(12)]) for count in (1, 4, 32)]
    assert means == sorted(means) and means[2] > means[0] + 0.1
    assert asker.best_answer(asked, 4, Sampling(seed=5)) == asker.best_answer(asked, 4, Sampling(seed=5))
    assert len({found[4, seed] for seed in range(12)}) > 3


def test_with_two_points_the_answer_that_fits_both_is_kept(entry, encoder):
    """Each of the first two fits one point; the third fits both by half, and more in sum."""
    texts = [entry.space.metadata.column("text")[row].as_py() for row in (1, 2)]
    candidates = [texts[0], texts[1], " ".join(texts)]
    asker = Asker(entry, lambda: FixedEngine(candidates), lambda: encoder)
    asked = asker.prepare("Compare {x} with {y}.", {"x": '"Thing 1"', "y": '"Thing 2"'})
    sums = [sum(round_trip(asker, text, point) for point in asked.points.values()) for text in candidates]
    assert int(np.argmax(sums)) == 2
    answer = asker.best_answer(asked, 3)
    assert answer.text == candidates[2]
    assert sum(trust.round_trip for trust in answer.evidence) == pytest.approx(max(sums), abs=1e-6)


def test_an_empty_answer_among_them_is_judged_as_none_and_does_not_win(entry, encoder, texts):
    asker = Asker(entry, lambda: FixedEngine(["", texts[3], ""]), lambda: encoder)
    asked = asker.prepare("Describe {x}.", {"x": '"Thing 3"'})
    assert asker.best_answer(asked, 3).text == texts[3]
    silent = Asker(entry, lambda: FixedEngine(["", ""]), lambda: encoder)
    assert silent.best_answer(asked, 2) == silent.judge(asked, "")


@pytest.mark.parametrize(("given", "drawn"), [(0.0, BEST_OF_TEMPERATURE), (0.2, 0.2), (1.5, 1.5)])
def test_at_temperature_0_several_are_drawn_at_a_temperature_of_their_own(drawing, given, drawn):
    engine, asker = drawing
    asked = asker.prepare("Describe {x}.", {"x": '"Thing 3"'})
    asker.best_answer(asked, 5, Sampling(temperature=given, max_new_tokens=7, seed=2))
    assert engine.asked == [(5, Sampling(temperature=drawn, max_new_tokens=7, seed=2))]


# --- paths, several spaces, and what lies outside ---


@pytest.fixture
def both(space, entry, texts, encoder):
    """An asker of `things`, whose bundle also holds the encoder's own vectors of the same texts in reverse."""
    backwards = Space(
        name="backwards",
        ids=space.ids,
        labels=space.labels,
        vectors=encoder.encode(texts[::-1]),
        encoder=encoder.name,
    )
    other = fit_space(backwards, texts=texts[::-1], encoder=encoder)
    entries = {"things": entry, "backwards": other}
    return Asker(entry, lambda: NearestEngine(texts, encoder), lambda: encoder, entries)


def test_a_point_of_another_space_is_read_through_its_own_map(both, texts):
    asked = both.prepare("Describe {x}.", {"x": '"Thing 3"@backwards'})
    answer = both.answer(asked)
    assert answer.text == texts[-4]
    (trust,) = answer.evidence
    assert (trust.space, trust.is_item, trust.round_trip) == ("backwards", True, pytest.approx(1.0))


def test_two_spaces_stand_in_one_question_and_each_has_its_evidence(both):
    asked = both.prepare(
        "Compare {x} and {y}.", {"x": '"Thing 3"', "y": 'mid("Thing 3", "Thing 4")@backwards'}
    )
    answer = both.answer(asked)
    assert [trust.space for trust in answer.evidence] == ["things", "backwards"]
    assert not {"Thing 3", "Thing 4"} & {near.label for near in answer.evidence[1].nearest}
    with pytest.raises(UserError, match="mix points of two spaces, things and backwards"):
        both.prepare("Describe {x}.", {"x": '"Thing 3" + "Thing 3"@backwards'})


def test_the_neighbour_of_a_point_of_another_space_is_found_there(both):
    task = load_task_set("items").task("difference_from_neighbour")
    asked = both.prepare_task(task, {"x": '"Thing 3"@backwards'})
    assert asked.points["y"].space == "backwards"
    assert asked.points["y"].item_id == both.near(asked.points["x"], 1)[0].id


def test_a_path_is_one_question_a_point(asker, texts):
    path = asker.prepare_path(
        "Compare {x} and {y}.", {"x": 'between("Thing 1", "Thing 2") steps 3', "y": '"Thing 5"'}
    )
    assert [asked.points["x"].expression for asked in path] == [
        '"Thing 1"',
        'mid("Thing 1", "Thing 2", 0.5)',
        '"Thing 2"',
    ]
    assert {asked.points["y"].item_id for asked in path} == {"t5"}
    ends = asker.answer_all([path[0], path[-1]])
    assert [sorted(set(answer.text.split())) for answer in ends] == [
        sorted(set(texts[i].split())) for i in (1, 2)
    ]
    assert len(asker.prepare_path("Describe {x}.", {"x": '"Thing 1"'})) == 1


def test_two_paths_go_side_by_side_and_must_be_as_long(asker):
    at = {"x": 'between("Thing 1", "Thing 2") steps 3', "y": 'between("Thing 3", "Thing 4") steps 3'}
    path = asker.prepare_path("Compare {x} and {y}.", at)
    assert [asked.points["y"].item_id for asked in path] == ["t3", None, "t4"]
    with pytest.raises(UserError, match="need as many points, got 3 at x and 4 at y"):
        asker.prepare_path("Compare {x} and {y}.", {**at, "y": 'between("Thing 3", "Thing 4") steps 4'})


def test_who_is_strict_asks_about_nothing_outside_the_data(asker):
    far = asker.prepare("Describe {x}.", {"x": '"Thing 3" - 3*"Thing 4" - 3*"Thing 5"'})
    with pytest.raises(UserError, match=r"\{x\} = .* lies outside the data: farther .* 99% are allowed"):
        asker.check_inside(far)
    assert asker.answer(far).evidence[0].is_outside
    asker.check_inside(asker.prepare("Describe {x}.", {"x": '"Thing 3"'}))
    outermost = max(range(120), key=lambda i: asker.percentile(asker.point(f'"Thing {i}"')))
    asker.check_inside(asker.prepare("Describe {x}.", {"x": f'"Thing {outermost}"'}))


def test_a_concept_that_is_not_to_be_trusted_says_so_beside_the_answer(entry, texts, encoder):
    scary = fit_entry_concept(entry, "scary", "scary", "true")
    doubtful = dataclasses.replace(scary, name="doubtful", chance=None)
    concepts = {"scary": scary, "doubtful": doubtful}
    asker = Asker(
        dataclasses.replace(entry, concepts=concepts), lambda: NearestEngine(texts, encoder), lambda: encoder
    )
    at = {"x": '"Thing 3" + scary + doubtful'}
    (trust,) = asker.answer(asker.prepare("Describe {x}.", at)).evidence
    assert trust.warnings == (doubtful.caution,) and doubtful.caution


def test_questions_of_threads_are_answered_one_after_the_other(entry, texts, encoder):
    class Busy(NearestEngine):
        running = 0

        def stream(self, prompt, sampling):
            assert not self.running, "two calls at once"
            self.running += 1
            for piece in super().stream(prompt, sampling):
                time.sleep(0.005)
                yield piece
            self.running -= 1

    asker = Asker(entry, lambda: busy, lambda: encoder)
    busy = Busy(texts, encoder)
    questions = [asker.prepare("Describe {x}.", {"x": f'"Thing {row}"'}) for row in range(6)]
    wanted = [NearestEngine(texts, encoder).generate([one.prompt], Sampling())[0] for one in questions]
    with ThreadPoolExecutor(6) as pool:
        assert [one.text for one in pool.map(asker.answer, questions)] == wanted
