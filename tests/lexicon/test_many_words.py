"""The words of many vectors are those that are read of each alone, for every kind of lexicon and for odd vectors."""

import dataclasses

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from vecspeak.lexicon.joint import TermReader
from vecspeak.lexicon.lexicon import fit_lexicon
from vecspeak.lexicon.many import ManyWords, line_above
from vecspeak.lexicon.space_fit import LexiconItems, fit_space_lexicon, known_items
from vecspeak.lexicon.terms import empty_vocabulary
from vecspeak.model.alignment import Alignment

SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "ki", "lo", "mu", "ne")
NAMES = [first + second for first in SYLLABLES for second in ("lom", "ner", "rik", "sut", "tav", "vex")]
PAIRS = {"balom": "banner", "cener": "cesut"}
"""Words after which another one always stands: two-word terms."""
WIDTH, READ = 24, 40


def texts_and_vectors(count, seed):
    """Texts of six words, sums of their directions, and the same as an encoder would have them."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(1).normal(size=(len(NAMES), WIDTH))
    view = np.random.default_rng(2).normal(size=(WIDTH, READ))
    odds = 1 / np.arange(4, len(NAMES) + 4)
    drawn = [rng.choice(len(NAMES), 6, replace=False, p=odds / odds.sum()) for _ in range(count)]
    vectors = np.stack([directions[words].sum(0) for words in drawn]) + rng.normal(size=(count, WIDTH))
    texts = [
        ", ".join(f"{NAMES[one]} {PAIRS.get(NAMES[one], '')}".strip() for one in words) for words in drawn
    ]
    read = vectors @ view + 2.0
    return (
        texts,
        vectors.astype(np.float32),
        (read / np.linalg.norm(read, axis=1, keepdims=True)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def shipped():
    texts, _, read = texts_and_vectors(1200, seed=5)
    held_out = np.arange(len(texts)) % 4 == 0
    return fit_lexicon(texts, read, held_out, stop_words=frozenset(), min_count=5)


@pytest.fixture(scope="module")
def alignment():
    """The very map by which `texts_and_vectors` makes what the encoder has."""
    view = np.random.default_rng(2).normal(size=(WIDTH, READ)).astype(np.float32)
    center, offset = np.full(WIDTH, 0.5, np.float32), np.full(READ, 2.0, np.float32)
    return Alignment(
        dim=WIDTH, encoder_dim=READ, center=center, spread=2.0, matrix=view,
        offset=offset + 0.5 * view.sum(0), gain=2.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def known(alignment):
    texts, vectors, read = texts_and_vectors(600, seed=3)
    codes = np.arange(600) % 3
    values = csr_matrix((np.ones(600, np.float32), (np.arange(600), codes)), (600, 3))
    return LexiconItems(vectors=vectors, texts=texts, values=values, mapped=alignment(vectors))


def fitted(known, shipped):
    names = [("kind", one) for one in ("Good Things", "balom", "Others")]
    return fit_space_lexicon(known, None, names, shipped, stop_words=frozenset())


@pytest.fixture(scope="module")
def lexicon(known, shipped):
    return fitted(known, shipped)


def reader_with(lexicon, known, shipped, sources):
    """A reader that reads by some of its sources; the weights of the others are 0."""
    weights = {}
    for group, fitted in lexicon.weights.items():
        weights[group] = np.array(fitted)
        for number, name in enumerate(("direct", "encoder", "nearest")):
            at = slice(3 + 2 * number, 5 + 2 * number)
            weights[group][at] = np.where(name in sources, [0.9, -0.05], 0)
    return TermReader(dataclasses.replace(lexicon, weights=weights), shipped, known_items(known))


def assert_same(many, reader, alignment, vectors):
    found = many.best(vectors)
    expected = reader.words(vectors, alignment(vectors), many.limit)
    assert found.counts.tolist() == [len(one) for one in expected]
    ends, in_order = np.cumsum(found.counts), []
    for end, count, words in zip(ends, found.counts, expected, strict=True):
        columns, probabilities = found.columns[end - count : end], found.probabilities[end - count : end]
        said = {
            (many.terms[one], many.term_columns[one]): p
            for one, p in zip(columns, probabilities, strict=True)
        }
        wanted = {(one.term, one.column): one.probability for one in words}
        assert said == pytest.approx(wanted, rel=2e-4, abs=1e-6)
        in_order.append(list(said) == list(wanted))
    assert np.mean(in_order) > 0.98  # terms of nearly one rank may change places


SOURCES = (
    ("direct", "encoder", "nearest"), ("direct", "encoder"), ("direct",), ("encoder",), ("nearest",),
    ("direct", "nearest"),
)  # fmt: skip


@pytest.mark.parametrize("sources", SOURCES)
@pytest.mark.parametrize("limit", [1, 10])
def test_words_of_many_are_those_of_each(lexicon, known, shipped, alignment, sources, limit):
    reader = reader_with(lexicon, known, shipped, sources)
    many = ManyWords(reader, alignment, limit)
    assert_same(many, reader, alignment, texts_and_vectors(300, seed=11)[1])


def test_items_that_are_known_are_not_their_own_neighbours(lexicon, known, shipped, alignment):
    reader = reader_with(lexicon, known, shipped, ("direct", "encoder", "nearest"))
    assert_same(ManyWords(reader, alignment), reader, alignment, known.vectors[:150])


def test_vectors_of_any_length_are_read_alike(lexicon, known, shipped, alignment):
    reader = reader_with(lexicon, known, shipped, ("direct", "encoder", "nearest"))
    vectors = texts_and_vectors(140, seed=12)[1] * np.geomspace(1e-3, 1e4, 140, dtype=np.float32)[:, None]
    assert_same(ManyWords(reader, alignment), reader, alignment, vectors)


def test_a_reader_without_a_lexicon_of_its_own_says_the_encoders_words(shipped, alignment, known):
    reader = TermReader(None, shipped, None)
    assert_same(ManyWords(reader, alignment), reader, alignment, texts_and_vectors(99, seed=4)[1])


def test_values_alone_are_joined_with_the_encoders_words(shipped, alignment, known):
    without = dataclasses.replace(known, texts=[])
    reader = reader_with(fitted(without, shipped), without, shipped, ("direct", "nearest"))
    assert set(reader.lexicon.weights) == {"values"}
    assert_same(ManyWords(reader, alignment), reader, alignment, texts_and_vectors(99, seed=4)[1])


def test_tags_in_the_encoders_own_space_are_read_by_both_estimates(shipped):
    texts, _, read = texts_and_vectors(600, seed=3)
    tags = [text.split(",")[0] for text in texts]
    items = LexiconItems(vectors=read, texts=tags, values=csr_matrix((600, 0), dtype=np.float32), mapped=read)
    lexicon = fit_space_lexicon(items, None, (), shipped, stop_words=frozenset())
    reader = TermReader(lexicon, shipped, known_items(items))
    assert reader.has_tags
    identity = Alignment(dim=READ, encoder_dim=READ)
    assert_same(ManyWords(reader, identity), reader, identity, texts_and_vectors(70, seed=9)[2])


def test_what_a_vector_does_not_raise_is_not_said(shipped, alignment, known):
    reader = TermReader(None, shipped, None)
    times = (1.0, 1.1, 1.3, 9.0)
    odds = {one: float(reader.rates[one] / (1 - reader.rates[one])) * times[one] for one in range(4)}
    assert reader.raised(range(4), {column: one / (1 + one) for column, one in odds.items()}) == [2, 3]
    assert reader.raised([0, 1], {0: 1.0, 1: 0.0}) == [0]
    mapped = alignment(known.vectors[:50])
    for words in reader.words(known.vectors[:50], mapped):
        assert all(one.probability > one.rate for one in words)


def test_terms_of_other_texts_are_less_likely_and_not_said(lexicon, shipped):
    expected, term = 400 * shipped.readout.rates[0], shipped.vocabulary.terms[0]
    vocabulary = dataclasses.replace(empty_vocabulary(), num_texts=400)
    for count in (0, round(expected), 10 * round(expected + 1)):
        texts = dataclasses.replace(
            lexicon, vocabulary=vocabulary, values=(), rates=np.zeros(0), rare={term: count}
        )
        reader = TermReader(texts, shipped, None)
        assert reader.shifts[0] == pytest.approx(min(0, np.log((count + 0.5) / (expected + 0.5))), abs=1e-5)
        assert reader.shown[0] == (count > 0)
    assert not TermReader(None, shipped, None).shifts.any()


def test_a_reader_that_knows_no_term_says_none(alignment, known):
    found = ManyWords(TermReader(None, None, None), alignment).best(known.vectors[:3])
    assert found.counts.tolist() == [0, 0, 0] and len(found.columns) == 0


@pytest.mark.parametrize("least", [0.1, 1.0, 3.0, 20.0])
def test_the_line_lies_above_arcsinh_and_touches_it(least):
    slope, start = line_above(least)
    z = np.concatenate([np.linspace(-least, 50, 50_001), np.geomspace(50, 1e6, 100)])
    gap = start + slope * z - np.arcsinh(z)
    assert gap.min() > -1e-9 and gap.min() < 1e-3 and abs(gap[0]) < 1e-9
