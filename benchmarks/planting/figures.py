"""What `benchmarks/understand.py` found, summed over seeds, and as a table.

A row of a seed has `planted` things, of which `hits` were found, and `invented` ones among `others`; `plain` says the
same of a plain number. Which things these are says the case.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Rows = Sequence[Mapping[str, Any]]


def wilson(hits: float, count: float) -> list[float]:
    """A share with its 95% interval (Wilson 1927), which does not close where all or none are hits.

    >>> [round(one, 2) for one in wilson(20, 20)]
    [1.0, 0.84, 1.0]
    """
    z = 1.96
    share = hits / count
    middle, reach = (
        share + z**2 / (2 * count),
        z * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2),
    )
    low, high = ((middle + sign * reach) / (1 + z**2 / count) for sign in (-1, 1))
    return [share, float(max(low, 0.0)), float(min(high, 1.0))]


def share_of(counts: Sequence[float], totals: Sequence[float]) -> list[float]:
    """Of all together, with an interval over seeds: as many as the spread between seeds says that they are worth.

    Things of one seed lie in one sample. Where the shares of seeds differ by more than chance lets them, the count
    that Wilson's interval is made of is divided by how much more (the design effect). [0, 0, 1] for no things at all.
    """
    hits, count = np.asarray(counts, float), np.asarray(totals, float)
    if not count.sum():
        return [0.0, 0.0, 1.0]
    share = hits.sum() / count.sum()
    expected = (count * share * (1 - share)).sum()
    effect = float(((hits - count * share) ** 2).sum() / expected) if expected else 1.0
    effect = max(1.0, effect)
    return [round(one, 4) for one in wilson(hits.sum() / effect, count.sum() / effect)]


def summed(rows: Rows) -> dict[str, Any]:
    """The figures of a case over its seeds."""
    found: dict[str, Any] = {"seeds": len(rows), "planted": _sum(rows, "planted")}
    if found["planted"]:
        found["found"] = _share(rows, "hits", "planted")
        if all("first" in row for row in rows):
            found["first"] = _share(rows, "first", "planted")
    found["others"], found["invented"] = _sum(rows, "others"), _sum(rows, "invented")
    found["invented_share"] = _share(rows, "invented", "others")
    found["seeds_with_invented"] = share_of([row["invented"] > 0 for row in rows], [1] * len(rows))
    plain: dict[str, Any] = {}
    for key in ("hits", "invented", "named", "cosine_alarms", "recall_alarms"):
        if all(key in row["plain"] for row in rows):
            plain[key] = sum(row["plain"][key] for row in rows)
    for key in ("cosine", "recall"):
        if all(key in row["plain"] for row in rows):
            plain[key] = round(float(np.median([row["plain"][key] for row in rows])), 4)
    return found | {"plain": plain}


def _sum(rows: Rows, key: str) -> int:
    return sum(int(row[key]) for row in rows)


def _share(rows: Rows, key: str, of: str) -> list[float]:
    return share_of([row[key] for row in rows], [row[of] for row in rows])


def table(cases: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures as Markdown, a row for each case."""
    lines = ["| planted | seeds | found | invented | what a plain number says |", "|---|---|---|---|---|"]
    for name, one in cases.items():
        found = f"{_percent(one['found'])} of {one['planted']:,}" if one["planted"] else "–"
        lines.append(f"| {name} | {one['seeds']} | {found} | {_invented(one)} | {_plain(one)} |")
    return "\n".join(lines)


def _percent(share: Sequence[float]) -> str:
    return f"{share[0]:.0%} [{share[1]:.0%}, {share[2]:.0%}]"


def _invented(one: Mapping[str, Any]) -> str:
    if not one["planted"]:
        seeds = round(one["seeds_with_invented"][0] * one["seeds"])
        return f"{one['invented']:,} findings, in {seeds} of {one['seeds']} seeds"
    return f"{one['invented']:,} of {one['others']:,}"


def _plain(one: Mapping[str, Any]) -> str:
    plain, parts = one["plain"], []
    if "cosine" in plain:
        parts.append(f"mean cosine {plain['cosine']:.3f}, recall@10 {plain['recall']:.2f}")
    if "named" in plain:
        right = plain["hits"]
        parts.append(
            f"cosine below 0.99: {right:,} of {one['planted']:,}, and {plain['named'] - right:,} others"
        )
    elif "invented" in plain:
        parts.append(f"{plain['hits']:,} of {one['planted']:,}, invents {plain['invented']:,}")
    return "; ".join(parts)
