"""`vecspeak drift`: one space at two dates."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options, show
from vecspeak.cli.show import emit, note_all, write_page
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.explore.drift import Drift
    from vecspeak.spaces import Space


@click.command()
@click.argument("old", type=options.PATH)
@click.argument("new", type=options.PATH)
@options.space
@click.option(
    "--id", "id_column", default="", help="Column of ids, where both are tables and not saved spaces."
)
@click.option("--label", default="", help="Column of labels; by default the ids.")
@click.option("--vector", default="", help="Column of vectors.")
@click.option(
    "--regions",
    type=click.IntRange(2, 500),
    default=None,
    help="How many regions are followed.  [default: up to 40]",
)
@click.option("--count", default=20, show_default=True, type=click.IntRange(0, 1000), help="Movers to name.")
@options.seed("Of all draws.")
@options.memory
@options.page
@options.as_json
def drift(
    old: Path,
    new: Path,
    *,
    space: str,
    id_column: str,
    label: str,
    vector: str,
    regions: int | None,
    count: int,
    seed: int,
    page: Path | None,
    as_json: bool,
) -> None:
    """Compare a space at two dates: OLD and NEW are saved spaces (.parquet), bundles, or tables of these columns.

    The later one is turned onto the earlier by the ids that both have, unless it fits as well as it is, as with one
    encoder. Then: what moved beyond noise, which regions grew, shrank, appeared or vanished, and which items are new
    or gone.
    """
    from vecspeak.api import VecSpeak
    from vecspeak.explore.atlas import to_json

    given: list[Space | Path] = [old, new]
    if id_column:
        from vecspeak.bundles.fitting import read_space

        spaces = [
            read_space(path, id=id_column, label=label or id_column, vector=vector or None)
            for path in (old, new)
        ]
        note_all(line for one in spaces for line in one.notes)
        given = [*spaces]
    found = VecSpeak.drift(*given, regions=regions, count=count, seed=seed, space=space)
    write_page(found, page)
    if as_json:
        emit(to_json(found))
    else:
        _print(found)


def _print(found: "Drift") -> None:
    say(f"{found.num_shared:,} items in both, {found.num_new:,} new, {found.num_gone:,} gone")
    for note in filter(None, [found.note]):
        say(f"note: {note}")
    fit = found.fit
    if fit.is_turned:
        how, other = "turned onto the earlier; on items that the turn was not fitted on", "without a turn"
    else:
        how, other = "as it is, which fits the earlier no worse than turned onto it", "turned"
    say("", f"the later space, {how}")
    say(
        f"  variance missed  {fit.unexplained:.3f} "
        f"({other} {fit.unturned if fit.is_turned else fit.turned:.3f}, with items paired at random {fit.shuffled:.3f})"
    )
    scale = f"scale of the turn {fit.scale:.3f}; " if fit.is_turned else ""
    say(f"  {scale}lengths of vectors, later over earlier: {fit.lengths:.3f}")
    say(f"  10 nearest same  {show.interval(found.neighbours)} (Jaccard, mean over items)")
    say("", f"{found.num_moved:,} items moved beyond the noise")
    for one in found.moved:
        say(
            f"  {one.label} ({one.id}): {one.times:.1f} times the usual; {one.kept:.0%} of its nearest still are"
        )
        say(f"    near then  {'; '.join(one.before)}")
        say(f"    near now   {'; '.join(one.after)}")
    changed = [one for one in found.regions if one.change != "same"]
    say("", f"{len(changed)} of {len(found.regions)} regions changed")
    for change in changed:
        gap = change.difference
        say(
            f"  {change.change:<9} {change.name}: {change.before:,} to {change.after:,} items "
            f"({change.came:,} came, {change.left:,} left; share {gap:+.1%})"
        )
    for name, ids, total in (("new", found.new, found.num_new), ("gone", found.gone, found.num_gone)):
        if ids:
            say("", f"{name}: {', '.join(ids[:10])}{', ...' if total > 10 else ''}")
