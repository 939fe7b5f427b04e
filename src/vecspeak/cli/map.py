"""`vecspeak map`: the places of a space's items on a plane, and what they keep of the space."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.spaces.plane_scores import MapScores


@click.command(name="map")
@options.bundle
@options.space
@click.option(
    "--out",
    type=options.PATH,
    default=None,
    metavar="FILE",
    help="Write id, label, x, y and region of each item there: .csv or .parquet.",
)
@click.option("--scores/--no-scores", default=True, show_default=True, help="Measure what the map keeps.")
@click.option("--stability", is_flag=True, help="Lay out once more with another seed, and compare.")
@click.option("--no-save", is_flag=True, help="Leave the bundle as it is.")
@click.option(
    "--seed", type=int, default=None, help="Of the layout.  [default: that of the bundle's map, or 0]"
)
@options.as_json
def map_command(
    bundle: Path,
    *,
    space: str,
    out: Path | None,
    scores: bool,
    stability: bool,
    no_save: bool,
    seed: int | None,
    as_json: bool,
) -> None:
    """Lay the items of BUNDLE's space out on a plane, once, and keep the map in the bundle.

    What is near in the space stays near; how far two groups lie apart tells little. Served by vecspeak serve.

    Examples:
        vecspeak map movies.bundle

        vecspeak map movies.bundle --out map.parquet --stability

    """
    from vecspeak.api import VecSpeak
    from vecspeak.spaces.plane import check_table
    from vecspeak.spaces.plane_scores import map_scores

    if out is not None:
        check_table(out)
    vs = VecSpeak.load(bundle, notify=note)
    found = vs.map(space, seed=seed, save=not no_save, on_step=note)
    if out is not None:
        note(f"{found.write(out, vs.entry(space).clusters):,} rows in {out}")
    scored = map_scores(found, again=stability) if scores or stability else None
    if as_json:
        from vecspeak.evidence import plain

        emit(
            {
                "space": found.space.name,
                "digest": found.space.digest,
                "num_items": found.space.num_items,
                "method": found.method,
                "seed": found.seed,
                "bounds": found.bounds,
                "scores": None if scored is None else plain(scored),
            }
        )
    else:
        say(
            f"{found.space.name}: {found.space.num_items:,} items by {found.method}, seed {found.seed}",
            *_lines(scored, scores or stability),
        )


def _lines(scored: "MapScores | None", asked: bool) -> list[str]:
    if scored is None:
        return ["too few items to say what the map keeps"] if asked else []
    return scored.lines
