"""An encoder remembers the vectors of the latest long list of texts, and only of that very list."""

from pathlib import Path

import numpy as np

from vecspeak.encoders.text import TextEncoder


class Counting:
    """A model of two numbers a text that counts what it is given."""

    dim = 2

    def __init__(self):
        self.count = 0

    def encode(self, texts):
        self.count += len(texts)
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


def test_a_table_is_encoded_once_and_its_copy_may_be_changed():
    model = Counting()
    encoder = TextEncoder("counting", Path("."), model)
    texts = [f"text {number}" for number in range(300)]
    first = encoder.encode(texts)
    first_values = first.copy()
    first[:] = 0
    assert encoder.encode(["one question"]).shape == (1, 2)
    assert np.array_equal(encoder.encode(texts), first_values) and model.count == 301
    encoder.encode(texts[::-1])
    encoder.encode(texts[:10])
    encoder.encode(texts[:10])
    assert model.count == 621


def test_a_text_that_many_rows_share_is_encoded_once_and_stands_in_each():
    model = Counting()
    texts = ["a", "longer", "a", "bc", "longer", "a"]
    found = TextEncoder("counting", Path("."), model).encode(texts, batch_size=2)
    assert found[:, 0].tolist() == [len(text) for text in texts] and model.count == 3
