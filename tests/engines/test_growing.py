"""Growing: on a decoder whose logits are written down, and on a tiny model against texts read anew each time."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from prepared_readers import engine as make_engine
from prepared_readers import rounded
from tiny_models import tiny_reader
from vecspeak.engines import Sampling
from vecspeak.engines.growing import Grower, Growth, search
from vecspeak.engines.openvino import OpenVINOEngine
from vecspeak.errors import UserError
from vecspeak.model.prompt import PromptTemplate, segments_of
from vecspeak.tasks.prose import has_loop

STOP = "<stop>"


class WrittenDecoder:
    """A decoder of words; `following` gives those that may come after the words so far, all as likely."""

    def __init__(self, following):
        self.following = following
        self.words = [STOP]
        self.rows, self.most = [], 0

    def number(self, word):
        if word not in self.words:
            self.words.append(word)
        return self.words.index(word)

    def text(self, ids):
        return " ".join(self.words[one] for one in ids).replace(" .", ".")

    def open(self, rows, tokens):
        self.room, self.rows = rows, []

    def begin(self, prompt):
        return self._added([prompt])

    def fork(self, row):
        assert row in self.rows
        return self._added(list(row))

    def _added(self, row):
        self.rows.append(row)
        self.most = max(self.most, len(self.rows))
        assert self.most <= self.room
        return row

    def drop(self, row):
        self.rows = [one for one in self.rows if one is not row]

    def step(self, rows):
        assert len({id(row) for row in rows}) == len(rows)
        allowed = [[self.number(word) for word in self.following(row[0], row[1:])] for row in rows]
        logits = np.full((len(rows), 64), -np.inf, np.float32)
        for row_V, ids in zip(logits, allowed, strict=True):
            row_V[ids] = 0
        return logits

    def feed(self, row, token):
        row.append(self.words[token])


def grown(following, score, prompts="x", at_once=64, **growth):
    """The answers in order, and the decoder."""
    decoder = WrittenDecoder(following)
    grower = Grower(decoder, decoder.text, [0], Growth(**{"piece": 1, "nats_weight": 0.0, **growth}))
    made = dict(grower.grow(list(prompts), [1] * len(prompts), score, at_once=at_once))
    assert not decoder.rows
    return [made[number] for number in range(len(prompts))], decoder


def each(worth):
    return lambda numbers, texts: np.array([worth(text) for text in texts])


def binary(prompt, words):
    """Five words, each capital or small, and the end of a sentence."""
    if len(words) < 5:
        return [letter + "o" for letter in ("ABCDE"[len(words)], "abcde"[len(words)])]
    return ["."] if len(words) == 5 else [STOP]


def capitals(text):
    return sum(letter.isupper() for letter in text)


def test_the_best_texts_go_on():
    """One draw has all five capitals in 1 of 32; of eight rows the better ones go on letter by letter."""
    (found,), _ = grown(binary, each(capitals), patience=9, beams=1, seed=1)
    assert (found.text, found.score, found.rounds) == ("Ao Bo Co Do Eo.", 5.0, 7)
    assert found.num_tokens == 6 * 8 + 8 and found.text not in found.drafts
    (drawn,), _ = grown(binary, each(capitals), patience=9, piece=96)
    assert drawn.score < 5


def test_likelier_texts_go_on_where_nats_cost_more_than_they_are_worth():
    """After `A` eight words are as likely, after `a` one is: 2.1 nats more."""

    def following(prompt, words):
        if not words:
            return ["A", "a"]
        return list("BCDEFGHI") if words == ["A"] else [STOP] if words[-1] == "." else ["."]

    for weight, first in ((0.0, "A"), (3.0, "a")):
        (found,), _ = grown(
            following, each(capitals), piece=2, nats_weight=weight, beams=1, rows=8, patience=9
        )
        assert found.text.startswith(first)


def test_loops_empty_texts_and_equal_ones_are_not_scored_and_do_not_go_on():
    asked = []

    def score(numbers, texts):
        asked.append(texts)
        return np.array([text.count("shy") for text in texts])

    def following(prompt, words):
        return ["shy", "calm", STOP] if len(words) < 4 else ["."] if len(words) == 4 else [STOP]

    (found,), _ = grown(following, score, rows=16, beams=4, patience=9)
    scored = [text for texts in asked for text in texts]
    assert len(scored) == len(set(scored)) == found.num_texts
    assert all(scored) and not any(map(has_loop, scored))
    assert found.text.count("shy") >= 2 and found.text.endswith(".")


def test_the_answer_is_the_opening_that_scores_best_and_drafts_are_no_two_times_of_one():
    words = "A man runs . He sits and waits . Then he".split()

    def following(prompt, said):
        if len(said) == 1 and prompt == "y":
            return ["man", "dog"]
        return [words[len(said)]] if len(said) < len(words) else [STOP]

    (found,), _ = grown(following, each(lambda text: -abs(len(text) - 15)), patience=20)
    assert found.text == "A man runs." and found.drafts == ()
    (found,), _ = grown(following, each(len), patience=20)
    assert found.text == "A man runs. He sits and waits."
    (found,), _ = grown(following, each(lambda text: len(text) + text.count("dog")), prompts="y", patience=20)
    assert (found.text, *found.drafts) == ("A dog runs. He sits and waits.", "A man runs. He sits and waits.")


def test_where_no_sentence_ends_the_best_text_is_the_answer():
    (found,), _ = grown(lambda prompt, words: ["A", "a"], each(capitals), max_new_tokens=2)
    assert (found.text, found.drafts) == ("A A", ())
    (found,), _ = grown(lambda prompt, words: ["shy"], each(len), max_new_tokens=9, piece=9)
    assert found.text == "shy " * 8 + "shy"
    (found,), _ = grown(lambda prompt, words: [STOP], each(len))
    assert (found.text, found.score, found.num_texts) == ("", -np.inf, 0)


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_it_ends_when_nothing_better_comes(patience):
    (found,), _ = grown(
        lambda prompt, words: [f"w{len(words)}"], each(lambda text: -len(text)), patience=patience
    )
    assert found.rounds == patience + 2


def test_groups_refill_the_batch_and_those_that_wait_are_scored_together():
    calls = []

    def score(numbers, texts):
        calls.append(set(numbers))
        return np.array([capitals(text) for text in texts])

    found, decoder = grown(binary, score, prompts="uvwxy", rows=4, at_once=9, patience=9)
    assert decoder.most == 8 and len(found) == 5
    assert all(one.text.endswith(".") for one in found)
    assert {0, 1} in calls and max(map(len, calls)) == 2


def test_what_grows_depends_on_the_seed_and_the_number_alone():
    runs = [
        grown(binary, each(capitals), prompts="xxxxx", rows=4, at_once=at_once)[0] for at_once in (1, 9, 64)
    ]
    assert runs[0] == runs[1] == runs[2] and len({one.drafts for one in runs[0]}) > 2
    assert grown(binary, each(capitals), prompts="xx", rows=4)[0] == runs[0][:2]
    assert grown(binary, each(capitals), prompts="xxxxx", rows=4, seed=1)[0] != runs[0]


def test_rows_are_free_when_nobody_asks_for_the_rest_and_when_the_score_raises():
    decoder = WrittenDecoder(binary)
    grower = Grower(decoder, decoder.text, [0], Growth(piece=1, rows=4))
    made = grower.grow("xxxxx", [1] * 5, each(capitals), at_once=9)
    next(made)
    made.close()
    assert not decoder.rows
    with pytest.raises(ZeroDivisionError):
        list(grower.grow("xxxxx", [1] * 5, each(lambda text: 1 / 0), at_once=9))
    assert decoder.most and not decoder.rows


@pytest.mark.parametrize(
    "wrong", [{"rows": 0}, {"beams": 9}, {"piece": 0}, {"patience": -1}, {"nats_weight": "1"}, {"seed": -1}]
)
def test_a_growth_that_cannot_be_is_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Growth(**wrong)


# --- engines without rows ---


class DrawingEngine:
    """Draws the n-th text for the n-th row."""

    name = "drawing"

    def __init__(self, texts):
        self.texts, self.asked = texts, []

    def answers(self, prompts, sampling):
        self.asked.append((len(prompts), sampling))
        yield from reversed([(row, self.texts[row % len(self.texts)]) for row in range(len(prompts))])


def test_an_engine_that_cannot_grow_draws_and_the_best_opening_without_a_loop_is_taken():
    texts = [
        "Shy, shy, shy, shy.",
        "A dog runs. Then",
        "A cat sits. A cat sits. A cat sits. A cat",
        "A very long text",
    ]
    drawing = DrawingEngine(texts)
    growth = Growth(rows=4, beams=2, seed=3, max_new_tokens=40)
    found = dict(search(drawing, ["x", "y"], growth, each(len)))
    assert drawing.asked == [(8, Sampling(max_new_tokens=40, temperature=0.7, seed=3))]
    assert found[0].text == "A cat sits. A cat sits." and found[0] == found[1]
    assert found[0].drafts == ("A dog runs.",)
    ((_, other),) = search(DrawingEngine([*texts[3:], "no end"]), ["x"], growth, each(len))
    assert (other.text, other.drafts) == ("A very long text", ())


def test_answers_shorter_than_two_pieces_are_drawn_by_any_engine(engine):
    texts = dict(search(engine, prompts(2), Growth(max_new_tokens=16), each(len)))
    drawn = engine.generate(prompts(2)[:1] * 8, Sampling(max_new_tokens=24, temperature=0.7))
    assert texts[0].rounds == 1 and any(text.startswith(texts[0].text) for text in drawn)


# --- a real model ---


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return make_engine(rounded(tiny_reader()), tmp_path_factory.mktemp("engine") / "llama")


GROWTH = Growth(rows=6, beams=2, piece=5, max_new_tokens=45, temperature=1.5, patience=9, seed=2)


def prompts(count):
    vectors = np.random.default_rng(0).normal(size=(count, 6)).astype(np.float32)
    texts = [
        "Describe {x}.",
        "What is {x}, and what does it say? Tell me all about it and leave nothing out, please.",
    ]
    return [PromptTemplate(texts[row % 2]).fill({"x": vector}) for row, vector in enumerate(vectors)]


def worth(numbers, texts):
    """Of random letters: the more different ones the better, and no two texts the same."""
    return np.array([len(set(text)) + sum(map(ord, text)) % 97 / 97 for text in texts])


class RereadingDecoder:
    """Reads the prompt and all tokens again for every one, with the model of transformers."""

    def __init__(self, reader):
        self.reader, self.embedding = reader, reader.language_model.get_input_embeddings()

    def open(self, rows, tokens):
        pass

    def begin(self, prompt):
        embeds_BTE, _ = self.reader.embed_prompts([prompt])
        return {"embeds": embeds_BTE[0].detach()}

    def fork(self, row):
        return dict(row)

    def drop(self, row):
        pass

    @torch.inference_mode()
    def step(self, rows):
        return np.concatenate(
            [
                self.reader.language_model(inputs_embeds=row["embeds"][None]).logits[:, -1].numpy()
                for row in rows
            ]
        )

    @torch.inference_mode()
    def feed(self, row, token):
        row["embeds"] = torch.cat([row["embeds"], self.embedding.weight[token][None]])


def free(engine):
    """Whether all blocks of keys and values are free."""
    pages = engine._paged._pages
    return sorted(pages.free) == list(range(engine._paged._num_blocks)) and not +pages.sharers


def test_shared_keys_and_values_give_what_reading_everything_again_gives(engine):
    reader, asked = rounded(tiny_reader()), prompts(3)
    lengths = [len(reader.build_input_ids(segments_of(prompt))) for prompt in asked]
    assert min(lengths) < 32 < max(lengths)  # blocks of 32 are filled by prompts and by answers
    decode = engine.reader.tokenizer.decode
    grower = Grower(RereadingDecoder(reader), decode, engine.reader.stop_ids, GROWTH)
    expected = dict(grower.grow(asked, lengths, worth))
    assert dict(engine.grow(asked, GROWTH, worth)) == expected and free(engine)
    assert min(one.rounds for one in expected.values()) > 3
    assert dict(engine.grow(asked[:1], GROWTH, worth)) == {0: expected[0]} and free(engine)


def test_blocks_are_free_when_nobody_asks_for_the_rest_and_when_the_score_raises(engine):
    made = engine.grow(prompts(3), GROWTH, worth)
    next(made)
    made.close()
    assert free(engine)
    with pytest.raises(ZeroDivisionError):
        list(engine.grow(prompts(3), GROWTH, each(lambda text: 1 / 0)))
    assert free(engine)


def test_threads_grow_the_answers_of_one_thread_and_what_was_overtaken_says_so(engine):
    wanted = dict(engine.grow(prompts(1), GROWTH, worth))
    half = engine.grow(prompts(12), GROWTH, worth)
    next(half)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: whole(engine), range(4)))
    assert made == [wanted] * 4
    with pytest.raises(UserError, match="overtaken"):
        list(half)
    assert free(engine)


def whole(engine: OpenVINOEngine):
    from vecspeak.engines import turns_of

    with turns_of(engine):
        return dict(engine.grow(prompts(1), GROWTH, worth))


def test_a_score_that_uses_the_memory_of_what_grows_is_an_error_and_not_a_wrong_answer(engine):
    def score(numbers, texts):
        return np.array([len(engine.generate(prompts(1), Sampling(max_new_tokens=2))) for _ in texts])

    with pytest.raises((RuntimeError, UserError), match="overtaken"):
        list(engine.grow(prompts(1), GROWTH, score))


def test_rows_of_the_plain_graph_that_were_left_behind_and_a_second_prompt_are_errors(engine):
    (fed,) = engine.reader.embed_prompts(prompts(1))
    decoder = engine._rows
    decoder.open(3, 99)
    first = decoder.begin(fed)
    decoder.step([first])
    second = decoder.fork(first)
    for row in (first, second):
        decoder.feed(row, 7)
    alike = decoder.step([first, second])
    np.testing.assert_allclose(alike[0], alike[1], rtol=1e-5, atol=1e-5)
    decoder.step([first])
    with pytest.raises(RuntimeError, match="left out"):
        decoder.step([first, second])
    with pytest.raises(RuntimeError, match="one prompt"):
        decoder.begin(fed)
