"""Small spaces in which what is odd was planted, or nothing was."""

import numpy as np

from fakes import plain_entry
from vecspeak.spaces import Space

ITEMS, DIM = 800, 32
KINDS = ("boats", "tents", "lamps", "knives")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
NAMES = [f"word{one}{two}" for one in _LETTERS[:8] for two in _LETTERS[:15]]


class World:
    """Items of four kinds, each vector the sum of what its kind and its ten words mean, and noise."""

    def __init__(self, seed=0, items=ITEMS, noise=0.5):
        meaning, self.draw = np.random.default_rng(7), np.random.default_rng(seed)
        of_kinds, of_words = (meaning.normal(size=(count, DIM)) for count in (len(KINDS), len(NAMES)))
        self.kind = self.draw.integers(0, len(KINDS), items)
        self.words = self.draw.integers(0, len(NAMES), (items, 10))
        self.vectors = 1.5 * of_kinds[self.kind] + 0.5 * of_words[self.words].sum(1)
        self.vectors += noise * self.draw.normal(size=self.vectors.shape)
        self.vectors /= np.linalg.norm(self.vectors, axis=1, keepdims=True)
        self.texts = [" ".join(NAMES[one] for one in some) for some in self.words]
        self.ids = [f"i{row}" for row in range(items)]
        self.free = self.draw.permutation(items)

    def some(self, count):
        """Rows that nothing was planted in yet."""
        found, self.free = self.free[:count], self.free[count:]
        return found

    # --- what is planted ---

    def exchange(self, count=20):
        rows = self.some(count)
        for one, two in rows.reshape(-1, 2):
            self.texts[one], self.texts[two] = self.texts[two], self.texts[one]
        return set(rows.tolist())

    def shift(self, first=100, last=140):
        self.texts[first:last] = self.texts[first + 1 : last + 1]
        self.free = self.free[(self.free < first - 5) | (self.free > last + 5)]

    def copy(self, count=20, *, texts=True, noise=0.0):
        rows = self.some(2 * count).reshape(-1, 2)
        for one, two in rows:
            self.vectors[one] = self.vectors[two] + noise * self.draw.normal(size=DIM) / np.sqrt(DIM)
            if texts:
                self.texts[one] = self.texts[two]
        return rows

    def estrange(self, count=20, far=3.0):
        rows = self.some(count)
        away = self.draw.normal(size=(count, DIM))
        self.vectors[rows] = far * away / np.linalg.norm(away, axis=1, keepdims=True)
        return set(rows.tolist())

    def mislabel(self, count=20):
        rows = self.some(count)
        self.kind[rows] = (self.kind[rows] + self.draw.integers(1, len(KINDS), count)) % len(KINDS)
        return set(rows.tolist())

    # --- what is asked ---

    def entry(self, *, order=None, turn=None, texts=True):
        order = np.arange(len(self.ids)) if order is None else order
        vectors = self.vectors if turn is None else self.vectors @ turn
        space = Space.from_arrays(
            vectors[order].astype(np.float32),
            ids=[self.ids[row] for row in order],
            labels=[f"Item {row}" for row in order],
            texts=[self.texts[row] for row in order] if texts else None,
            metadata={"kind": [KINDS[self.kind[row]] for row in order]},
            name="world",
        )
        return plain_entry(space)


def rows_of(kind, *groups):
    """Rows of the items of a kind, of all its groups or of those whose names begin so."""
    return {
        item.row
        for group in kind.groups
        if not groups or group.name.startswith(groups)
        for item in group.items
    }
