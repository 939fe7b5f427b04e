"""Tables: an atlas as CSV, a row a region, and as JSON with everything; whole or not at all.

Knows atlases and files.
"""

import csv
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vecspeak.files import replace_file, write_json
from vecspeak.regions.atlas import Atlas
from vecspeak.regions.contrast import Shared
from vecspeak.regions.describe import Description
from vecspeak.regions.naming import told

COLUMNS = (
    "number",
    "name",
    "items",
    "share",
    "values",
    "words",
    "typical",
    "edge",
    "nearest_region",
    "spread",
    "spread_of_random",
    "answer",
    "round_trip",
    "round_trip_of_others",
    "rank_among_regions",
    "flags",
)
_LISTED = 8


def to_json(found: Any) -> dict[str, Any]:
    """A dataclass as plain values, with the flags of a description beside it, and of all that an atlas holds."""
    made: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(found)))
    if isinstance(found, Description):
        made["flags"] = list(found.flags)
    if isinstance(found, Atlas):
        made["regions"] = [to_json(region) for region in found.regions]
    return made


def write_tables(atlas: Atlas, folder: Path) -> tuple[Path, Path]:
    """Write regions.csv and regions.json into a folder; their paths."""
    table, whole = folder / "regions.csv", folder / "regions.json"
    with replace_file(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(map(_row, atlas.regions))
    write_json(whole, to_json(atlas))
    return table, whole


def _row(one: Description) -> list[object]:
    reading = one.reading
    said: Sequence[object] = ("", "", "", "")
    if reading is not None:
        trust = reading.trust
        said = (reading.text, f"{trust.round_trip:.4f}", f"{trust.swapped:.4f}", reading.rank)
    geometry = one.geometry
    return [
        one.number,
        one.title,
        one.num_items,
        f"{one.share:.4f}",
        _listed(one.shared.values),
        _listed(one.shared.words),
        "; ".join(near.label for near in geometry.typical),
        "; ".join(near.label for near in geometry.edge),
        one.around,
        f"{geometry.spread.value:.4f}",
        f"{geometry.random.value:.4f}",
        *said,
        "; ".join(one.flags),
    ]


def _listed(found: Sequence[Shared]) -> str:
    return "; ".join(told(one) for one in found[:_LISTED])
