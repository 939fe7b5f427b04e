"""A small world of articles that people view: vectors by views alone, and vectors of the articles' texts."""

import numpy as np

from vecspeak.encoders.factorization import Ratings, factorize
from vecspeak.model.alignment import unit

ITEMS, READERS, WIDTH = 500, 600, 32


def views_world(seed=0, sharp=4.0):
    """[N, D] vectors, [N, T] unit vectors of texts, [N] numbers of views.

    Texts share a part, as those of one kind do for every encoder, and some say little else. A reader has one to
    three interests, and opens some six articles near them or that many open; most have a handful of views.
    """
    draw = np.random.default_rng(seed)
    said = unit(draw.normal(size=(ITEMS, 16)) @ draw.normal(size=(16, WIDTH)))
    popular = draw.permutation(1 / np.arange(1, ITEMS + 1) ** 0.8)
    pairs = []
    for reader in range(READERS):
        interests = said[draw.choice(ITEMS, draw.integers(1, 4))]
        wish = popular * np.exp(sharp * (said @ interests.T).max(1))
        opened = draw.choice(ITEMS, draw.integers(2, 11), replace=False, p=wish / wish.sum())
        pairs += [(f"r{reader}", f"a{item}") for item in opened]
    readers, articles = map(list, zip(*pairs, strict=True))
    seen = Ratings(user_ids=readers, item_ids=articles, values=np.ones(len(pairs), np.float32))
    items = factorize(seen, dim=16).items
    rows = [int(item[1:]) for item in items.ids]
    shared = draw.uniform(0.5, 3.0, (len(rows), 1))
    texts = unit(said[rows] + shared * unit(np.ones(WIDTH)))
    return items.vectors, texts.astype(np.float32), np.array(items.metadata["num_ratings"].to_pylist())
