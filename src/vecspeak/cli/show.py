"""What several commands print alike: JSON, notes, and what the commands about regions show."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecspeak.cli.messages import as_options
from vecspeak.console import say, say_json
from vecspeak.errors import UserError

if TYPE_CHECKING:
    from vecspeak.evidence import Evidence, Neighbor
    from vecspeak.explore.contrast import Contrast, FeatureContrast
    from vecspeak.explore.regions import ComparedAnswer, RegionAnswer
    from vecspeak.report.result import HasPage

_SHOWN = 6


def emit(value: Any) -> None:
    """Print one JSON object."""
    say_json(value)


def write_page(found: "HasPage", path: Path | None) -> None:
    """Write a result's page, where one is asked for, and say where."""
    if path is not None:
        from vecspeak.report.result import save_page

        note(f"page: {save_page(found, path)}")


def check_apart(out: Path | None, page: Path | None) -> None:
    """Raise UserError where a result and its page would be written into one file."""
    if out is not None and page is not None and out.resolve() == page.resolve():
        raise UserError(f"`out` and `page` both name {page}", "name two files")


def note(text: str) -> None:
    """Print what a person should know to stderr, so that the output holds only what was asked for."""
    say(as_options(text), err=True)


def note_all(lines: Iterable[str]) -> None:
    """Print what reading left out or guessed."""
    for line in lines:
        note(line)


def print_contrast(found: "Contrast", columns: tuple[str, str] = ("inside", "outside")) -> None:
    """The most telling values, words and numbers of a contrast."""
    from vecspeak.explore.regions import feature_name

    if found.is_empty:
        say(
            f"  nothing: of {found.num_tested:,} values and words none differs beyond a false discovery rate of 5%"
        )
        return
    shown = [(one, feature_name(one)) for one in (*found.values[:_SHOWN], *found.words[:_SHOWN])]
    if shown:
        say(f"  {'':<36} {columns[0]:>8} {columns[1]:>8}   times as frequent (95% interval)")
    for one, name in shown:
        label = _fit(name if one.column == name else f"{one.column}  {name}", 36)
        say(f"  {label:<36} {_share(one.inside):>8} {_share(one.outside):>8}  {_times(one)}")
    for middle in found.numbers[:_SHOWN]:
        inside, outside = (f"{one:.6g}" for one in (middle.inside, middle.outside))
        more = max(middle.above, 1 - middle.above)
        say(
            f"  {_fit(middle.column, 36):<36} median {columns[0]} {inside}, {columns[1]} {outside}; picked at random, "
            f"the {columns[0]} one is {'higher' if middle.above > 0.5 else 'lower'} {more * 100:.0f} times in 100"
        )


def _share(part: float) -> str:
    """Such as `17%`; a part of a percent is not taken for none."""
    return f"{part:.0%}" if part >= 0.01 or not part else f"{max(part, 0.001):.1%}"


def _times(one: "FeatureContrast") -> str:
    """How many times as frequent; of what none outside has only the least is known."""
    low = f"{one.lift.low:.1f}" if one.lift.low < 10 else f"{one.lift.low:.0f}"
    if not one.outside:
        return f"at least {low} times" if one.lift.low > 1 else "none there"
    return f"{one.lift.value:6.1f}  [{one.lift.low:.1f}, {one.lift.high:.1f}]"


def print_near(name: str, near: Sequence["Neighbor"]) -> None:
    """A line of items with their cosines."""
    say(f"  {name:<16} " + "; ".join(f"{one.label} ({one.similarity:.2f})" for one in near))


def print_reading(reading: "RegionAnswer") -> None:
    """An answer about one point, and what checks it."""
    say(f"  {reading.text or '(no answer)'}")
    print_trust(reading.trust, "round trip")
    if reading.rank is not None:
        say(
            f"  {'among regions':<16} rank {reading.rank} of {reading.among}: how well the answer fits this one"
        )


def print_compared(compared: "ComparedAnswer") -> None:
    """An answer about two points, and what checks it."""
    if compared.flags:
        feature_name = " and ".join(compared.flags)
        say(
            f"  PRIVACY: this states {feature_name} of a person, which ratings do not tell: do not believe it"
        )
    say(f"  {compared.text or '(no answer)'}")
    for trust in compared.trust:
        print_trust(trust, f"round trip {{{trust.slot}}}")
    if compared.told_apart is not None:
        weak = "" if compared.is_distinct else "  WEAK: it would fit nearly as well the other way round"
        say(f"  {'separation':<16} by {compared.told_apart:z.2f}, each half against the other's place{weak}")


def print_trust(trust: "Evidence", name: str) -> None:
    """One line of evidence."""
    weak = "" if trust.is_clear else "  WEAK: it would fit many items nearly as well"
    say(f"  {name:<16} {trust.round_trip:.2f} (against other items: {trust.swapped:.2f}){weak}")


def interval(found: Any) -> str:
    """Such as `0.61 [0.60, 0.62]`."""
    return f"{found:.2f}"


def _fit(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
