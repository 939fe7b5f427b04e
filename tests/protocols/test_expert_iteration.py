"""Expert iteration: what a search says of training texts becomes targets where the texts support it."""

import json

import numpy as np
import pytest

from vecspeak.errors import UserError
from vecspeak.protocols import expert_iteration as iteration
from vecspeak.protocols.expert_iteration import KeepRule, Searcher
from vecspeak.searching import FoundAnswer
from vecspeak.tasks.corpus import CORPUS_TASKS, Text
from vecspeak.training.dataset import TrainingTexts, make_examples
from vecspeak.training.found_answers import FoundTarget, digest_of, found_examples, read_found, write_found

from tiny_models import tiny_recipe  # isort: skip

TRUE = "A shark hunts a boat near an island while the mayor waits for the summer guests."


def text(number, kind="plot", body=TRUE):
    return Text(
        source="movies", kind=kind, key=f"k{number}", title="T", text=f"{body} {number}.", target=body, tags=(),
        split="train",
    )  # fmt: skip


class LexiconEncoder:
    """Vectors of the width that the shipped lexicon reads; equal beginnings give equal vectors."""

    name, digest, dim = "all-minilm-l6-v2", "stand-in", 384

    def encode(self, texts, *, progress=False, batch_size=64):
        rows = [np.random.default_rng(list(one[:12].encode())).normal(size=384) for one in texts]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)


class NoEngine:
    name = "none"


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Ten texts, and a search that says of each what `says` holds for its number."""
    texts = [text(number) for number in range(10)]
    encoder = LexiconEncoder()
    data = TrainingTexts(texts=texts, vectors=encoder.encode([one.text for one in texts]))
    monkeypatch.setattr(iteration, "prepare", lambda recipe, encoder, folder: data)
    calls, says = [], {}

    def search(engine, encoder, prompts, vectors, *, effort, sampling, terms_of):
        calls.append(len(prompts))
        for number, _ in enumerate(prompts):
            said = says.get(len(calls) - 1, TRUE)
            yield number, FoundAnswer(text=said, drafts=("A horse.",))

    monkeypatch.setattr(iteration, "find_answers", search)
    return data, encoder, calls, says, tmp_path


def run(world, count=10, **more):
    _, encoder, _, _, folder = world
    out = folder / "found.jsonl.gz"
    return iteration.iterate(
        tiny_recipe(), NoEngine(), encoder, folder, out, count=count, **{"weights": "one", **more}
    ), out


def test_what_the_texts_support_is_kept_and_a_second_run_asks_nothing_again(world):
    data, _, calls, _, _ = world
    made, out = run(world)
    assert (made.asked, len(made.kept), calls) == (10, 10, [10])
    assert {one.target for one in read_found(out)} == {TRUE} and made.kept[0].precision == 1.0
    assert {one.question for one in made.kept} <= set(CORPUS_TASKS["plot"].wordings)
    first = out.read_bytes()
    again, _ = run(world)
    assert calls == [10] and again.kept == made.kept and out.read_bytes() == first


def test_a_run_goes_on_where_it_was_stopped(world):
    run(world, count=4)
    made, _ = run(world, count=10)
    assert world[2] == [4, 6] and made.asked == 10


def test_another_reader_is_asked_anew(world):
    run(world, count=4)
    run(world, count=4, weights="two")
    assert world[2] == [4, 4]


def test_every_reason_to_leave_an_answer_out(world):
    data, encoder, _, _, folder = world
    searcher = Searcher(
        tiny_recipe(), NoEngine(), encoder, folder, iteration.shipped_lexicon(encoder.name), "normal", 9
    )
    rule = KeepRule()
    assert searcher.best(0, ["", " "], rule) == iteration.NOTHING
    assert searcher.best(0, ["shark, shark, shark", "A boat that never"], rule) == iteration.CIRCLES
    assert searcher.best(0, ["A shark hun of horses, guns and robots in the city."], rule) == iteration.WRONG
    assert searcher.best(0, ["The mayor waits near a boat."], rule) == iteration.FAR
    best = searcher.best(0, ["A shark hunts horses.", TRUE], rule)
    assert best.target == TRUE and best.text == digest_of(data.texts[0])


def test_an_encoder_without_a_lexicon_and_a_count_of_none_are_refused(world):
    world[1].name = "other"
    with pytest.raises(UserError, match="no lexicon of other"):
        run(world)
    with pytest.raises(UserError, match="count"):
        run(world, count=0)


def found(number, kind="plot"):
    one = text(number, kind)
    return FoundTarget(
        source="movies", kind=kind, key=one.key, text=digest_of(one), question="Describe {x}.", target=f"A{number}.",
        cosine=0.5, precision=0.5,
    )  # fmt: skip


def test_answers_about_texts_that_are_not_trained_on_are_counted_and_never_learned():
    texts = [text(number) for number in range(5)]
    changed = text(1, body="Another text that has the same key.")
    examples, unknown = found_examples([found(0), found(1), found(7)], [texts[0], changed], 3, seed=0)
    assert unknown == 2 and [(one.rows, one.target) for one in examples] == [((0,), "A0.")] * 3
    assert found_examples([], texts, 2, seed=0) == ([], 0)


def test_a_file_that_holds_something_else_is_refused(tmp_path):
    path = tmp_path / "found.jsonl.gz"
    with pytest.raises(UserError, match="no found answers at"):
        read_found(path)
    write_found(path, [found(1)] * 40)
    content = bytearray(path.read_bytes())
    content[20] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match="holds no found answers"):
        read_found(path)
    path.write_bytes(b"not gzip")
    with pytest.raises(UserError, match="holds no found answers"):
        read_found(path)
    write_found(path, [found(1)])
    assert read_found(path) == [found(1)] and not list(tmp_path.glob(".*"))
    import gzip

    path.write_bytes(gzip.compress(json.dumps({"source": "movies"}).encode()))
    with pytest.raises(UserError, match="missing required field"):
        read_found(path)


def test_a_recipe_without_found_answers_makes_what_it_always_made():
    assert "answers" not in tiny_recipe().to_dict()
    recipe = tiny_recipe(answers={"files": ["a.jsonl.gz"]})
    assert recipe.to_dict()["answers"] == {"files": ("a.jsonl.gz",), "passes": 2}
    data = TrainingTexts(texts=[text(n) for n in range(20)], vectors=np.eye(20, dtype=np.float32))
    assert make_examples(data, recipe) == make_examples(data, tiny_recipe())
