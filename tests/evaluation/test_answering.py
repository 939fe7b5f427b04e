"""Answering: nothing is asked twice, and nothing that was answered is lost, wherever a run is cut."""

from itertools import islice

import numpy as np
import pytest

from tiny_models import tiny_reader
from vecspeak.engines import Sampling
from vecspeak.evaluation import answering
from vecspeak.evaluation.answering import answer, losses
from vecspeak.model.prompt import PromptTemplate
from vecspeak.storage import Cache
from vecspeak.training import loss

GREEDY = Sampling(max_new_tokens=8)


class EchoEngine:
    """A true tiny engine: repeats the question and the vector's first number; fails after so many batches."""

    name = "echo"

    def __init__(self, batches=1000):
        self.left = batches
        self.asked = []

    def generate(self, prompts, sampling):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.asked.append(list(prompts))
        return [self.say(prompt, sampling) for prompt in prompts]

    def answers(self, prompts, sampling):
        """Those of a batch come from the last to the first."""
        yield from reversed(list(enumerate(self.generate(prompts, sampling))))

    @staticmethod
    def say(prompt, sampling):
        parts = [part if isinstance(part, str) else f"{part.values[0]:.6f}" for part in prompt]
        return f"{sampling.temperature}/{sampling.seed}:{''.join(parts)}"

    @property
    def count(self):
        return sum(map(len, self.asked))


def prompts_of(count, question="Describe {x}."):
    vectors = np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)
    return [PromptTemplate(question).fill({"x": vector}) for vector in vectors]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answers.sqlite"


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(answering, "_BATCH", 4)
    monkeypatch.setattr(answering, "_CALL", 4)


# --- answers ---


def test_answers_are_in_the_order_of_the_prompts_however_they_are_batched(small_batches):
    questions = ("Describe {x}.", "What is {x}?", "What does {x} say, and what is it about?")
    prompts = [prompts_of(11, questions[i % 3])[i] for i in range(11)]
    engine = EchoEngine()
    found = answer(engine, prompts, GREEDY, key="k", cache=Cache())
    assert found == [EchoEngine.say(prompt, GREEDY) for prompt in prompts]
    assert [len(batch) for batch in engine.asked] == [4, 4, 3]
    lengths = [len(prompt[0]) + len(prompt[2]) for batch in engine.asked for prompt in batch]
    assert lengths == sorted(lengths)


def test_prompts_of_one_long_beginning_are_asked_together_and_the_shortest_first(monkeypatch):
    monkeypatch.setattr(answering, "_CALL", 6)
    texts = [f"{number} is known: " + "a shark hunts swimmers. " * more for number, more in ((1, 9), (2, 6))]
    asked = [(text + ending,) for ending in ("What is it?", "Who?", "Write a review.") for text in texts]
    short = prompts_of(5)
    engine = EchoEngine()
    found = answer(engine, [*asked, *short], GREEDY, key="k", cache=Cache())
    assert found == [EchoEngine.say(prompt, GREEDY) for prompt in [*asked, *short]]
    order = [prompt for batch in engine.asked for prompt in batch]
    assert order == [*short, *(asked[number] for number in (3, 1, 5, 2, 0, 4))]


def test_equal_prompts_are_asked_once(small_batches):
    prompts = prompts_of(3)
    asked = [*prompts, *prompts_of(3), prompts[1]]
    engine = EchoEngine()
    found = answer(engine, asked, GREEDY, key="k", cache=Cache())
    assert engine.count == 3
    assert found == [EchoEngine.say(prompt, GREEDY) for prompt in asked]


def test_what_was_answered_is_never_asked_again_in_another_run_either(path):
    prompts = prompts_of(5)
    first = answer(EchoEngine(), prompts, GREEDY, key="k", cache=Cache(path))
    assert answer(EchoEngine(0), prompts[::-1], GREEDY, key="k", cache=Cache(path)) == first[::-1]


@pytest.mark.parametrize(
    ("key", "sampling"),
    [
        ("other weights", GREEDY),
        ("k", Sampling(max_new_tokens=9)),
        ("k", Sampling(max_new_tokens=8, seed=1)),
        ("k", Sampling(max_new_tokens=8, temperature=0.7)),
    ],
)
def test_other_weights_and_another_sampling_are_other_answers(key, sampling):
    kept, prompts = Cache(), prompts_of(3)
    answer(EchoEngine(), prompts, GREEDY, key="k", cache=kept)
    engine = EchoEngine()
    found = answer(engine, prompts, sampling, key=key, cache=kept)
    assert engine.count == 3
    assert found == [EchoEngine.say(prompt, sampling) for prompt in prompts]


def test_another_vector_and_another_question_are_other_answers():
    kept, prompt = Cache(), prompts_of(1)[0]
    answer(EchoEngine(), [prompt], GREEDY, key="k", cache=kept)
    engine = EchoEngine()
    moved = np.nextafter(prompt[1].values, np.float32(9))
    others = [
        PromptTemplate("Describe {x}.").fill({"x": moved}),
        PromptTemplate("Describe {x}!").fill({"x": prompt[1].values}),
        PromptTemplate("{x} Describe.").fill({"x": prompt[1].values}),
        PromptTemplate("Describe {x}{x}.").fill({"x": prompt[1].values}),
        ("Describe .",),
    ]
    answer(engine, others, GREEDY, key="k", cache=kept)
    assert engine.count == len(others)


@pytest.mark.parametrize("batches", [0, 1, 3])
def test_a_run_that_is_killed_goes_on_with_exactly_the_rest(path, small_batches, batches):
    prompts = prompts_of(14)
    killed = EchoEngine(batches)
    with pytest.raises(KeyboardInterrupt):
        answer(killed, prompts, GREEDY, key="k", cache=Cache(path))
    resumed = EchoEngine()
    found = answer(resumed, prompts, GREEDY, key="k", cache=Cache(path))
    assert found == [EchoEngine.say(prompt, GREEDY) for prompt in prompts]
    assert (killed.count, resumed.count) == (4 * batches, 14 - 4 * batches)
    before, after = ({p[1].values.tobytes() for b in e.asked for p in b} for e in (killed, resumed))
    assert not before & after


def test_no_prompts_have_no_answers():
    assert answer(EchoEngine(0), [], GREEDY, key="k", cache=Cache()) == []


@pytest.mark.parametrize("said", [0, 1, 7, 11])
def test_what_an_engine_said_before_a_kill_is_kept_while_others_are_on_their_way(path, monkeypatch, said):
    """An engine with all prompts before it is killed after some answers: whole groups of three are kept."""
    monkeypatch.setattr(answering, "_KEEP", 3)
    prompts = prompts_of(14)

    class Killed(EchoEngine):
        def answers(self, prompts, sampling):
            yield from islice(super().answers(prompts, sampling), said)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer(Killed(), prompts, GREEDY, key="k", cache=Cache(path))
    resumed = EchoEngine()
    found = answer(resumed, prompts, GREEDY, key="k", cache=Cache(path))
    assert found == [EchoEngine.say(prompt, GREEDY) for prompt in prompts]
    assert resumed.count == 14 - said // 3 * 3


# --- losses ---

TARGETS = ("A shark.", "Two old friends rob a bank.", "A ghost train\nto nowhere.", "é", "A horse.")


@pytest.fixture(scope="module")
def reader():
    return tiny_reader()


@pytest.fixture(scope="module")
def loss_prompts():
    vectors = np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)
    both = PromptTemplate("Compare {x} with {y}.").fill({"x": vectors[0], "y": vectors[1]})
    one = [PromptTemplate("Describe {x}.").fill({"x": vector}) for vector in vectors[:3]]
    return [*one, both, ("Describe a movie.",)]


def measured(reader, prompts, targets, cache=None, key="k"):
    return losses(reader, prompts, targets, key=key, cache=Cache() if cache is None else cache, progress="")


@pytest.fixture
def counted(monkeypatch):
    """How many rows were measured."""
    made = []

    def measure(reader, rows, vectors):
        made.append(len(rows))
        return original(reader, rows, vectors)

    original = loss.row_losses
    monkeypatch.setattr(loss, "row_losses", measure)
    return made


def test_a_loss_is_that_of_the_target_after_its_own_prompt(reader, loss_prompts, small_batches):
    sums, tokens = measured(reader, loss_prompts, TARGETS)
    for row, (prompt, target) in enumerate(zip(loss_prompts, TARGETS, strict=True)):
        alone = measured(reader, [prompt], [target])
        assert sums[row] == pytest.approx(alone[0][0], rel=1e-5)
        ids = reader.tokenizer.encode(target + "<|im_end|>", add_special_tokens=False)
        assert tokens[row] == alone[1][0] == len(ids)
    assert len(set(np.round(sums / tokens, 3))) == 5


def test_losses_are_kept_to_their_last_bit_and_not_measured_again(
    reader, loss_prompts, path, counted, small_batches
):
    first = measured(reader, loss_prompts, TARGETS, Cache(path))
    again = measured(reader, loss_prompts[::-1], TARGETS[::-1], Cache(path))
    assert counted == [4, 1]
    np.testing.assert_array_equal(np.array(first)[:, ::-1], np.array(again))


def test_a_killed_measurement_goes_on_with_exactly_the_rest(
    reader, loss_prompts, path, monkeypatch, small_batches
):
    left, original = [1], loss.row_losses

    def killed(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loss, "row_losses", killed)
        with pytest.raises(KeyboardInterrupt):
            measured(reader, loss_prompts, TARGETS, Cache(path))
    seen = []
    monkeypatch.setattr(loss, "row_losses", lambda *given: (seen.append(len(given[1])), original(*given))[1])
    found = measured(reader, loss_prompts, TARGETS, Cache(path))
    assert seen == [1]
    np.testing.assert_allclose(found, measured(reader, loss_prompts, TARGETS), rtol=1e-5)


def test_another_target_vector_or_reader_is_another_loss_and_equal_pairs_are_one(
    reader, loss_prompts, counted
):
    kept = Cache()
    one, other = loss_prompts[:2]
    measured(reader, [one], ["A shark."], kept)
    measured(reader, [one, other, one, one], ["A shark!", "A shark.", "A shark.", "A shark!"], kept)
    measured(reader, [one], ["A shark."], kept, key="other weights")
    assert counted == [1, 2, 1]


def test_a_prompt_answered_and_measured_is_kept_twice(reader, loss_prompts, counted):
    kept = Cache()
    answer(EchoEngine(), loss_prompts, GREEDY, key="k", cache=kept)
    sums, _ = measured(reader, loss_prompts, TARGETS, kept)
    assert counted == [5] and np.isfinite(sums).all()


def test_of_a_long_target_the_first_tokens_count(reader, loss_prompts):
    long = "a ghost on a train " * 60
    sums, tokens = measured(reader, loss_prompts[:1] * 2, [long, long + "and much more"])
    assert tokens.tolist() == [256, 256] and sums[0] == pytest.approx(sums[1])


def test_nothing_to_measure_is_empty(reader):
    sums, tokens = measured(reader, [], [])
    assert sums.shape == tokens.shape == (0,)


@pytest.mark.parametrize("spoiled", ["garbage", ["a", 1], {"nats": 3}, [0.0, 0], [1.0], None, b"[" * 100_000])
def test_a_kept_loss_that_is_no_loss_is_measured_again(spoiled):
    reader, asked = tiny_reader(), [PromptTemplate("Describe {x}.").fill({"x": np.ones(6, np.float32)})]
    first, again = Cache(), Cache()
    named = {"key": "k", "progress": ""}
    wanted = losses(reader, asked, ["a cat"], cache=first, **named)
    again.put({key: spoiled for key, _ in first.items()})
    found = losses(reader, asked, ["a cat"], cache=again, **named)
    assert (found[0], found[1]) == (wanted[0], wanted[1])
