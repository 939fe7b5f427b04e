"""Counts of what came of made-up inputs, and the table of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Batch:
    """What came of some cases of one class."""

    name: str
    seed: int
    tried: int = 0
    valid: int = 0
    refused: int = 0
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By what went wrong and where: how often, the seed of the batch, and the shortest case."""
    slowest: float = 0.0
    peak_mb: float = 0.0


def table(scores: dict[str, Any]) -> str:
    """Classes with the cases that were tried, that ended in a result, that were refused, and that failed."""
    classes_of = scores["classes"]
    total = {
        key: sum(one[key] for one in classes_of.values()) for key in ("tried", "valid", "refused", "failed")
    }
    total["slowest"] = max(one["slowest"] for one in classes_of.values())
    lines = ["| class | tried | valid | refused | failed | slowest |", "|---|---|---|---|---|---|"]
    for name, one in {**classes_of, "all": total}.items():
        valid = f"{one['valid']:,} ({one['valid'] / one['tried']:.0%})"
        counts = (
            f"{one['tried']:,}",
            valid,
            f"{one['refused']:,}",
            f"{one['failed']:,}",
            f"{one['slowest']:.1f} s",
        )
        lines.append(f"| {' | '.join((name, *counts))} |")
    return "\n".join(lines)


def summed(found: Sequence[Batch]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Counts by class, and every failure once with its shortest case."""
    by_class: dict[str, Any] = {}
    failures: dict[tuple[str, str], dict[str, Any]] = {}
    for one in found:
        total = by_class.setdefault(
            one.name, {"tried": 0, "valid": 0, "refused": 0, "failed": 0, "slowest": 0.0, "peak_mb": 0.0}
        )
        for key in ("tried", "valid", "refused"):
            total[key] += getattr(one, key)
        for key in ("slowest", "peak_mb"):
            total[key] = round(max(total[key], getattr(one, key)), 3)
        for what, failure in one.failures.items():
            total["failed"] += failure["count"]
            known = failures.setdefault(
                (one.name, what), {"class": one.name, "what": what, **failure, "count": 0}
            )
            known["count"] += failure["count"]
            if len(failure["case"]) < len(known["case"]):
                known |= {"case": failure["case"], "seed": failure["seed"]}
    return by_class, sorted(failures.values(), key=lambda one: -one["count"])
