"""Points table: slopes along concepts and answers about points between, as Markdown, from the file of their numbers.

    python -m vecspeak.evaluation.points_table docs/scores/points.json

Knows the file and the flags. Computes nothing.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vecspeak.errors import UserError
from vecspeak.protocols.interpolation import MEASURES, POINT, READER, Interpolations
from vecspeak.protocols.slopes import AttributeSlopes, means
from vecspeak.storage import read_json

FORMAT_VERSION = 1
_EMPTY = "-"


def points_scores(
    slopes: Sequence[AttributeSlopes], interpolations: Sequence[Interpolations], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The numbers as plain values for a file; no text of any item or answer is among them."""
    return {
        "format_version": FORMAT_VERSION,
        "settings": dict(settings),
        "slopes": [asdict(one) for one in slopes],
        "interpolations": [asdict(one) for one in interpolations],
    }


def read_points(path: str | Path) -> dict[str, Any]:
    """The numbers of a file. Raises UserError for another kind of file or another version."""
    plain = read_json(path)
    version = plain.get("format_version") if isinstance(plain, dict) else None
    if version != FORMAT_VERSION or not {"slopes", "interpolations"} <= plain.keys():
        raise UserError(
            f"{path} holds no scores of points of version {FORMAT_VERSION}", "python benchmarks/points.py"
        )
    return dict(plain)


def slopes_markdown(plain: Mapping[str, Any]) -> str:
    """A row an attribute: the classifier's slopes along every way, the encoder's, and what else changes."""
    rows = plain["slopes"]
    if not rows:
        return "*Not measured yet.*"
    heads = (
        "attribute",
        "texts: AUC",
        "concept",
        "reverse",
        "random",
        "strongest random",
        "concept minus strongest",
        "search",
        "by encoder",
        "kept (random)",
        "moves most beside",
        "flags",
    )
    lines = [_row(heads), "|---|" + "---|" * (len(heads) - 1), *(_row(_cells(one)) for one in rows)]
    flags = {flag for one in rows for flag in one["flags"]}
    told = [f"- {words}" for words in means(sorted(flags))]
    return "\n".join([*lines, *(["", *told] if told else [])])


def _cells(one: Mapping[str, Any]) -> Iterator[str]:
    ours, drift = one["by_classifier"], one["drift"]
    yield f"{one['name']} ({one['source']})"
    yield _value(one["auc"], 2)
    yield f"**{_interval(ours['concept'], signed=True)}**"
    for key in ("reverse", "random", "strongest", "over_strongest", "search"):
        yield _interval(ours[key], signed=True)
    yield _interval(one["by_encoder"]["concept"], signed=True)
    yield f"{_value(drift['kept'], 2)} ({_value(drift['kept_random'], 2)})"
    other = next(iter(drift["others"].items()), None)
    yield f"{other[0]} {_interval(other[1], signed=True)}" if other else _EMPTY
    yield ", ".join(one["flags"]) or "none"


def interpolations_markdown(plain: Mapping[str, Any]) -> str:
    """A table for each kind of pairs: a row a system, and under each rival the reader minus it."""
    parts = [_between(one) for one in plain["interpolations"]]
    return "\n\n".join(parts) or "*Not measured yet.*"


def _between(one: Mapping[str, Any]) -> str:
    shares = ", ".join(f"{share:g}" for share in one["shares"])
    title = (
        f"**{one['kind'].capitalize()} pairs**: {one['pairs']:,}, of which {one['pairs_with_attributes']:,} have an "
        f"attribute at each end that the other lacks; the ends' cosine is {one['similarity']:.2f}; t = {shares}"
    )
    heads = ["", *(measure.name for measure in MEASURES)]
    lines = [_row(heads), "|---|" + "---|" * len(MEASURES)]
    for system in one["systems"]:
        mark = "**" if system["key"] == READER else ""
        lines.append(_row([f"{mark}{system['name']}{mark}", *_measured(system["estimates"])]))
    for system in one["systems"]:
        if system["key"] not in (READER, POINT):
            lines.append(
                _row([f"*reader minus {system['name']}*", *_measured(system["reader_minus"], signed=True)])
            )
    return "\n".join([title, "", *lines])


def _measured(estimates: Mapping[str, Any], *, signed: bool = False) -> Iterator[str]:
    for measure in MEASURES:
        found = estimates.get(measure.key)
        yield _interval(found, signed=signed) if found else _EMPTY


def _row(texts: Any) -> str:
    return f"| {' | '.join(texts)} |"


def _value(estimate: Mapping[str, float], digits: int = 3) -> str:
    return f"{estimate['value']:z.{digits}f}"


def _interval(estimate: Mapping[str, float], *, signed: bool = False) -> str:
    form = f"{'+' if signed else ''}z.3f"
    return f"{estimate['value']:{form}} [{estimate['low']:{form}}, {estimate['high']:{form}}]"


def main(arguments: Sequence[str]) -> int:
    """Print both tables of the file that is named; the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m vecspeak.evaluation.points_table FILE\n")
        return 2
    try:
        plain = read_points(arguments[0])
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{slopes_markdown(plain)}\n\n{interpolations_markdown(plain)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
