"""What `benchmarks/kills.py` found, in words and as a table."""

from collections import Counter
from typing import Any

ENDS = ("kill", "random kill", "full disk", "short file", "small disk", "read-only disk")
WRONG = ("lost", "rerun failed", "left behind", "no plain line")


def line(name: str, one: dict[str, Any]) -> str:
    """The figures of a command in a line."""
    ends = ", ".join(f"{one[kind]} {kind}" for kind in ENDS if one.get(kind))
    return f"{name}: {one['events']} events; {ends}; wrong: {sum(one.get(kind, 0) for kind in WRONG)}; {one['took']} s"


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown, a row for each command."""
    head = ["command", "file events", "killed at one", "killed at random", "disk full, short, read-only"]
    head += ["old kept / new taken / some of each", "lost", "rerun failed", "left behind", "no plain line"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    rows = dict(found["commands"])
    total: Counter[str] = Counter()
    for one in rows.values():
        total.update({key: value for key, value in one.items() if isinstance(value, int)})
    for name, one in [*rows.items(), ("**all**", dict(total))]:
        disk = sum(one.get(kind, 0) for kind in ENDS[2:])
        states = " / ".join(str(one.get(kind, 0)) for kind in ("old kept", "new taken", "some of each"))
        cells = [name, one["events"], one.get("kill", 0), one.get("random kill", 0), disk, states]
        lines.append(f"| {' | '.join(map(str, [*cells, *(one.get(kind, 0) for kind in WRONG)]))} |")
    return "\n".join(lines)
