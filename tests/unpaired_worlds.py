"""A world of uneven clusters for tests of maps without pairs, and a search that is short enough for it."""

import numpy as np

from vecspeak.model.unpaired import search as searching

DIM = 24


def world(count, seed):
    """Vectors around uneven clusters, with a mean that is not 0: the same clusters for every seed."""
    fixed = np.random.default_rng(7)
    centers = fixed.normal(size=(12, DIM)) * fixed.uniform(0.6, 1.6, size=(12, 1))
    shares, widths = fixed.dirichlet(np.full(12, 2.0)), fixed.uniform(0.3, 0.7, size=12)
    rng = np.random.default_rng(seed)
    cluster = rng.choice(12, size=count, p=shares)
    return centers[cluster] + widths[cluster, None] * rng.normal(size=(count, DIM)) + 0.5


def rotation(dim=DIM, seed=3):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))[0]


def search_little(monkeypatch):
    """Clear worlds need few starts, and small samples."""
    monkeypatch.setattr(searching, "_ROUNDS", ((6, 3), (2, 6), (1, 6)))
    monkeypatch.setattr(searching, "_LADDER_DRAWS", 6)
    monkeypatch.setattr(searching, "_KNOWN_DRAWS", 10)
    monkeypatch.setattr(searching, "_DRAWN", 400)
    monkeypatch.setattr(searching, "_MOST_DRAWN", 600)
    monkeypatch.setattr(searching, "_SIGNED", 600)
