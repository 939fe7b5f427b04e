"""Planted in pairs of spaces, and looked for by `compare`: merged genres, an unread word, moved items, and nothing.

Beside each stand the plain numbers that people look at: the mean cosine of old and new vectors, and recall@10.
"""

from collections.abc import Callable, Iterable

import numpy as np

from planting.worlds import (
    Row,
    Term,
    World,
    eraser,
    genres_of,
    readable,
    rewritten,
    turned,
    unit_rows,
    with_vectors,
    without_texts,
)
from vecspeak.explore.migration import ComparedTerm, Migration, compare
from vecspeak.spaces import Space
from vecspeak.tables.columns import TEXT_COLUMN

GENRE_ITEMS = 40
"""Items of the sample that must have the one genre and not the other, for both."""
TOLD = 0.75
"""AUC from which on the old space tells a word: what it does not tell, the new one cannot lose."""
MOVERS = 20
_SAME = 0.99
"""Mean cosine, and cosine of an item, below which a plain number would say that something changed."""
_RECALL = 0.9


def plain(old: Space, new: Space, found: Migration) -> Row:
    """What the mean cosine and recall@10 say, and whether each would alarm anybody."""
    cosine = float((unit_rows(old.vectors) * unit_rows(new.vectors)).sum(1, dtype=np.float64).mean())
    return {
        "cosine": cosine,
        "recall": found.recall.value,
        "cosine_alarms": int(cosine < _SAME),
        "recall_alarms": int(found.recall.value < _RECALL),
    }


def merged(world: World, name: str, seed: int) -> Row:
    """Two genres that the new space does not tell apart: both must be among what it tells worse."""
    sample, rest = world.halves(name, seed)
    of_genre = genres_of(sample)
    draw = np.random.default_rng([seed, 3])
    names = [one for one, has in of_genre.items() if has.sum() >= GENRE_ITEMS]
    pairs = [
        (one, other)
        for one in names
        for other in names
        if one < other
        and min((of_genre[one] & ~of_genre[other]).sum(), (of_genre[other] & ~of_genre[one]).sum())
        >= GENRE_ITEMS
    ]
    pair = pairs[draw.integers(len(pairs))]
    whole = world.space(name)
    either = [genres_of(whole)[genre] for genre in pair]
    one_only = either[0] != either[1]
    apart = eraser(unit_rows(whole.vectors)[one_only], either[0][one_only])
    new = with_vectors(sample, unit_rows(sample.vectors) @ apart)
    found = compare(sample, new, count=0, seed=seed)
    named = {one.term for one in found.worse if one.column == "genres"}
    row = {"planted": 2, "hits": len(named & set(pair)), "what": " and ".join(pair)}
    others = _others(found, set(pair), rest, lambda: with_vectors(rest, unit_rows(rest.vectors) @ apart))
    return row | others | {"plain": plain(sample, new, found)}


def word(world: World, name: str, seed: int) -> Row:
    """A word that the new space's encoder never gets: it must be among what it tells worse."""
    sample, rest = world.halves(name, seed)
    told = [
        term.name
        for term, one in readable(sample, least=30, most=sample.num_items // 15).items()
        if term.column == TEXT_COLUMN and one >= TOLD
    ]
    term = told[np.random.default_rng([seed, 4]).integers(len(told))]
    new = rewritten(world, sample, term)
    found = compare(sample, new, count=0, seed=seed)
    row = {"planted": 1, "hits": int(term in {one.term for one in found.worse}), "what": term}
    others = _others(found, {term}, rest, lambda: rewritten(world, rest, term))
    return row | others | {"plain": plain(sample, new, found)}


def _others(found: Migration, planted: set[str], old: Space, new: Callable[[], Space]) -> Row:
    """What else is named, and how much of it is not so of other items: of theirs the old space and the new."""
    others = [one for one in (*found.better, *found.worse) if one.term not in planted]
    if not others:
        return {"others": 0, "invented": 0, "looked_at": found.num_terms}
    keys = {_key(one) for one in others}
    before, after = (readable(space, only=keys) for space in (old, new()))
    checked = [one for one in others if _key(one) in before]
    gaps = np.array([after[_key(one)] - before[_key(one)] for one in checked])
    signs = np.array([np.sign(one.difference.value) for one in checked])
    return {
        "others": len(checked),
        "invented": int((gaps * signs <= 0).sum()),
        "looked_at": found.num_terms,
    }


def _key(one: ComparedTerm) -> Term:
    return Term(one.column or TEXT_COLUMN, one.term)


def moved(world: World, name: str, seed: int, *, noise: float, step: float) -> Row:
    """20 items that lie so much of the way to another item, in a space that was turned: they must be the movers."""
    sample = without_texts(world.halves(name, seed)[0])
    draw = np.random.default_rng([seed, 5])
    order = draw.permutation(sample.num_items)
    movers, others = order[:MOVERS], order[MOVERS : 2 * MOVERS]
    vectors = unit_rows(sample.vectors)
    vectors[movers] = unit_rows((1 - step) * vectors[movers] + step * vectors[others])
    new = turned(with_vectors(sample, vectors), seed, noise=noise)
    found = compare(sample, new, count=1000, seed=seed)
    right = {sample.ids[row] for row in movers}
    named = [one.id for one in found.moved]
    cosines = (unit_rows(sample.vectors) * unit_rows(new.vectors)).sum(1)
    return {
        "planted": MOVERS,
        "hits": len(right & set(named)),
        "others": len(named),
        "invented": len(set(named) - right),
        "looked_at": sample.num_items,
        "plain": plain(sample, new, found)
        | {"named": int((cosines < _SAME).sum()), "hits": int((cosines[movers] < _SAME).sum())},
    }


def nothing(world: World, name: str, seed: int, *, noise: float) -> Row:
    """A space that was only turned and rounded to float16: nothing may be found.

    With noise the new space truly is a little worse, and only words that it tells better, and movers, are invented.
    """
    sample, _ = world.halves(name, seed)
    new = turned(sample, seed, noise=noise)
    found = compare(sample, new, count=1000, seed=seed)
    counted: Iterable[object] = (*found.better, *found.moved, *(() if noise else found.worse))
    axes = () if noise else (*found.new_from_old.separated, *found.old_from_new.separated)
    invented = len(list(counted)) + len(axes)
    return {
        "planted": 0,
        "hits": 0,
        "others": invented,
        "invented": invented,
        "looked_at": found.num_terms + found.num_shared,
        "of": {"words": len(found.better) + (0 if noise else len(found.worse)), "movers": found.num_moved},
        "plain": plain(sample, new, found),
    }
