"""`vecspeak labels`: the regions of a space as files for embedding-atlas, datamapplot and BERTopic."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.report.labels import LabelTool, Outliers


@click.command()
@options.bundle
@click.argument("tool", type=click.Choice(["embedding-atlas", "datamapplot", "bertopic"]))
@options.space
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("labels"),
    show_default=True,
    help="Folder in which the tool gets one of its own.",
)
@click.option(
    "--outliers",
    type=click.Choice(["assign", "leave"]),
    default="assign",
    show_default=True,
    help="Items in no region: labelled after the nearest one, or left without a label.",
)
@options.seed("Of the items that are placed on the map, and of their places.")
@options.as_json
def labels(
    bundle: Path, tool: "LabelTool", *, space: str, out: Path, outliers: "Outliers", seed: int, as_json: bool
) -> None:
    """Write the regions of BUNDLE's atlas, with their names on every level, as files that TOOL opens.

    Make the regions first: vecspeak atlas BUNDLE. The last lines say what opens the files.

    Examples:
        vecspeak labels movies.bundle embedding-atlas

        vecspeak labels movies.bundle bertopic --outliers leave

    """
    from vecspeak.api import VecSpeak

    found = VecSpeak.load(bundle, notify=note).write_labels(
        out, tool, outliers=outliers, seed=seed, space=space
    )
    if as_json:
        emit(found.to_dict())
    else:
        say(*found.lines)
