"""One value for every item: hand-worked shades, and a word's that is what the lexicon reads of each vector."""

import numpy as np
import pytest

from vecspeak import Space, UserError, VecSpeak
from vecspeak.bundles.fitting import fit_space
from vecspeak.bundles.lexicons import as_items
from vecspeak.explore.item_values import ItemValues, of_column


@pytest.fixture
def vs(bundle, encoder):
    return VecSpeak.load(bundle, encoder=encoder)


def test_shades_are_ranks_and_ties_share_one():
    found = ItemValues(
        source="column", name="year", values=np.array([1.0, 2.0, 2.0, 4.0, np.nan], np.float32)
    )
    # of four values: none is below 1, 2 lies in the middle of the second and third, all others are below 4
    assert found.shades.tolist() == [0, 127, 127, 254, 255]
    assert found.range == (1.0, 4.0)


def test_a_words_shades_are_its_probabilities():
    found = ItemValues(source="word", name="war", values=np.array([0.0, 0.5, 1.0], np.float32))
    assert found.shades.tolist() == [0, 127, 254]


def test_a_word_of_all_items_is_what_is_read_of_each_by_itself(vs, space):
    entry = vs.entry()
    reader = entry.term_reader
    read = reader.probabilities(
        as_items(entry.alignment, space.vectors, "item"), entry.alignment(space.vectors, "item")
    )
    asked = [column for column in range(len(reader)) if reader.place_of(reader.terms[column]) == column]
    assert len(asked) > 5
    for column in asked:
        found = vs.item_values("word", reader.terms[column]).values
        np.testing.assert_allclose(found, read[:, column], atol=1e-5)


def test_a_column_of_flags_and_one_of_values(vs, space):
    found = vs.item_values("column", "scary")
    scary = np.array(["ghost" in text for text in space.metadata.column("text").to_pylist()])
    assert set(found.names) == {"true", "false"}
    assert (found.values == [found.names.index("true" if one else "false") for one in scary]).all()


def test_whole_numbers_beyond_2_to_the_53_are_coloured_too(space, encoder, texts, source, tmp_path):
    numbers = [2**60 + 3 * row for row in range(space.num_items)]
    numbered = Space.from_arrays(
        space.vectors, ids=space.ids, labels=space.labels, metadata={"number": numbers}, name=space.name
    )
    entry = fit_space(numbered, texts=texts, encoder=encoder)
    found = of_column(entry, "number").values
    np.testing.assert_allclose(found, np.array(numbers, float), rtol=1e-6)


def test_what_is_not_there_is_refused_by_name(vs):
    for source, name in (("column", "nothing"), ("concept", "nothing"), ("word", "qqqq"), ("regions", "")):
        with pytest.raises(UserError):
            vs.item_values(source, name)
    assert vs.value_sources()["column"] == ["scary"]
