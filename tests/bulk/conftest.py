"""A bundle of 120 things with a lexicon of their words, and rows of its space."""

import numpy as np
import pytest
from narrated import write

from fakes import WORDS
from vecspeak.api import VecSpeak


@pytest.fixture
def vs(source, encoder, space, tmp_path):
    """Saved, so that other processes open it."""
    return VecSpeak(source, encoder=encoder).fit(space, holdout=0.2).save(tmp_path / "things.bundle")


@pytest.fixture
def rows(encoder):
    """[500, 12] of texts that the space has not, by the map that made its vectors."""
    rng = np.random.default_rng(7)
    texts = [" ".join(rng.choice(WORDS, size=5)) for _ in range(500)]
    image = np.random.default_rng(1).normal(size=(encoder.dim, 12))
    return (encoder.encode(texts) @ image).astype(np.float32)


@pytest.fixture
def table(rows, tmp_path):
    """The same as Parquet in groups of 90 rows: ids that are no row numbers."""
    path = tmp_path / "rows.parquet"
    write(path, rows)
    return path
