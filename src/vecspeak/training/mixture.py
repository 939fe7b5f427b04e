"""Mixture: in which order the examples of a run come, so that at any time each task has had its share of the tokens.

A run may end early, by time or by tokens, and its shares hold all the same. Knows numbers of tokens, names of tasks
and shares. Knows nothing of what is asked or answered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

_SHORT = 0.95
"""A task that got less than this of its share, and everything that it has, is short."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mixed:
    """The examples of a run in their order."""

    order: np.ndarray
    """[M] numbers of examples: those of the corpus first, then those of targets."""
    tokens: dict[str, int]
    """Tokens planned of each task of targets."""
    short: dict[str, float]
    """Tasks with too few targets, and how much of their share they give."""
    total: int
    """Tokens of the whole run."""


def levelled(weights: np.ndarray, limits: np.ndarray, total: float) -> np.ndarray:
    """What each gets of a total by weight, none more than its limit; what some cannot take goes to the others."""
    given = np.where(weights > 0, limits, 0.0).astype(float)
    is_open = weights > 0
    while is_open.any():
        level = (total - given[~is_open].sum()) / weights[is_open].sum()
        over = is_open & (weights * level >= limits)
        if not over.any():
            given[is_open] = weights[is_open] * level
            break
        is_open &= ~over
    return given


def interleave(streams: Sequence[np.ndarray], rates: Sequence[float], until: float = np.inf) -> np.ndarray:
    """[M, 2] stream and place in it: streams of examples with these tokens, each let run at its own rate.

    A stream that has ended leaves the others as they are. `until` is the time at which all end.
    """
    times = [(np.cumsum(one) - one / 2) / rate for one, rate in zip(streams, rates, strict=True)]
    numbers = [np.full(len(one), number) for number, one in enumerate(streams)]
    places = [np.arange(len(one)) for one in streams]
    when = np.concatenate(times)
    order = np.argsort(when, kind="stable")
    order = order[when[order] <= until]
    return np.stack([np.concatenate(numbers), np.concatenate(places)], 1)[order]


def _targets_order(
    tokens: np.ndarray, tasks: Sequence[str], weights: Mapping[str, float], total: float
) -> np.ndarray:
    """Numbers of targets with tasks at their rates; with a known total a task of few is spread over all of it."""
    names = [name for name in dict.fromkeys(tasks) if weights.get(name, 1.0) > 0]
    if not names:
        return np.zeros(0, dtype=np.int64)
    of_task = np.asarray(tasks)
    rows = [np.flatnonzero(of_task == name) for name in names]
    rates = np.array([weights.get(name, 1.0) for name in names])
    if total:
        rates = levelled(rates, np.array([tokens[one].sum() for one in rows], dtype=float), total)
    order = interleave([tokens[one] for one in rows], rates.tolist())
    return np.array([rows[stream][place] for stream, place in order], dtype=np.int64)


def mix(
    corpus: np.ndarray,
    targets: np.ndarray,
    tasks: Sequence[str],
    *,
    share: float,
    weights: Mapping[str, float],
    max_tokens: int = 0,
) -> Mixed:
    """The order of a run over [C] tokens of corpus examples and [T] tokens of targets, `tasks` naming those'.

    Each kind of example is taken in the order in which it is given. The run ends with the kind that ends first,
    or at `max_tokens` (0 is no limit). A share of 1 leaves the corpus out.
    """
    chosen = _targets_order(targets, tasks, weights, share * max_tokens)
    streams, rates = [targets[chosen]], [share]
    if share < 1:
        streams, rates = [*streams, corpus], [*rates, 1 - share]
    until = min(one.sum() / rate for one, rate in zip(streams, rates, strict=True))
    both = interleave(streams, rates, until)
    order, is_target = both[:, 1].copy(), both[:, 0] == 0
    order[is_target] = len(corpus) + chosen[order[is_target]]
    sizes = np.concatenate([corpus, targets])[order]
    kept = np.cumsum(sizes) - sizes < (max_tokens or np.inf)
    given, short = _given(order[kept & is_target] - len(corpus), targets, tasks, weights)
    return Mixed(order=order[kept], tokens=given, short=short, total=int(sizes[kept].sum()))


def _given(
    used: np.ndarray, tokens: np.ndarray, tasks: Sequence[str], weights: Mapping[str, float]
) -> tuple[dict[str, int], dict[str, float]]:
    """Tokens that each task gives, and of those with too few targets the part of their share that they give."""
    of_task, is_used = np.asarray(tasks), np.isin(np.arange(len(tokens)), used)
    whole = {name: of_task == name for name in dict.fromkeys(tasks) if weights.get(name, 1.0) > 0}
    given = {name: int(tokens[rows & is_used].sum()) for name, rows in whole.items()}
    share = sum(given.values()) / max(sum(weights.get(name, 1.0) for name in given), 1e-9)
    parts = {name: count / max(share * weights.get(name, 1.0), 1e-9) for name, count in given.items()}
    short = {
        name: round(part, 3) for name, part in parts.items() if part < _SHORT and is_used[whole[name]].all()
    }
    return given, short
