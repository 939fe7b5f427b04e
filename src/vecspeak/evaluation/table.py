"""Table: the rows of a report, for the terminal and for Markdown. Knows reports as plain values only.

`python -m vecspeak.evaluation.table REPORT.json` prints the Markdown table that the README carries.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Row = tuple[str, dict[str, float]]


def rows(scores: dict[str, Any]) -> list[Row]:
    """What is measured and its estimate, in the order in which it is read, from one entry of a report."""
    gap, meaning, found = scores["swap_gap"], scores["semantic_consistency"], scores["retrieval"]
    return [
        ("loss with the right vector, nats a token", gap["right"]),
        ("loss with another entity's vector", gap["swapped"]),
        ("swap gap", gap["gap"]),
        ("semantic consistency of the answer", meaning["answer"]),
        ("... of another entity's answer", meaning["swapped"]),
        ("... of the nearest training text", meaning["nearest_text"]),
        ("answer minus nearest training text", meaning["gain"]),
        (f"right entity first among {found['among']:,}", found["recall_at_1"]),
        ("right entity among the first ten", found["recall_at_10"]),
        ("... searching with the nearest training text", found["nearest_text_recall_at_10"]),
        ("mean reciprocal rank", found["mean_reciprocal_rank"]),
        ("median rank", found["median_rank"]),
    ]


def is_read(scores: dict[str, Any]) -> bool:
    """Whether the swap gap's interval is clear of zero by more than noise (0.02 nats a token)."""
    return bool(scores["swap_gap"]["gap"]["low"] > 0.02)


def plain(scores: dict[str, Any]) -> Iterator[str]:
    """Lines for a terminal."""
    yield f"{scores['name']}: {scores['count']} held-out entities, asked {scores['question']!r}"
    for name, value in rows(scores):
        yield f"  {name:<46}{value['value']:>9.3f}   [{value['low']:.3f}, {value['high']:.3f}]"
    if not is_read(scores):
        yield "  THE VECTOR IS NOT READ: another entity's vector does as well as the right one."


def markdown(reports: Sequence[dict[str, Any]]) -> str:
    """One Markdown table, a column a set of entities; retrieval pools must be of one size."""
    heads = [f"{scores['name']} ({scores['count']})" for scores in reports]
    lines = [f"| on held-out | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for together in zip(*(rows(scores) for scores in reports), strict=True):
        cells = [f"{v['value']:.3f} [{v['low']:.3f}, {v['high']:.3f}]" for _, v in together]
        names = dict.fromkeys(name for name, _ in together)
        lines.append(f"| {' / '.join(names)} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write(markdown(report["scores"]) + "\n")
