"""Tables: an atlas as CSV, a row a region, and as JSON with everything; whole or not at all.

Knows atlases and files.
"""

import csv
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vecspeak.errors import UserError
from vecspeak.files import read_json, replace_file, write_json
from vecspeak.journal import Journal
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
_WHOLE = "regions.json"


def to_json(found: Any) -> dict[str, Any]:
    """A dataclass as plain values, with the flags of a description beside it, and of all that an atlas holds."""
    made: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(found)))
    if isinstance(found, Description):
        made["flags"] = list(found.flags)
    if isinstance(found, Atlas):
        made["regions"] = [to_json(region) for region in found.regions]
    return made


def check_folder(folder: Path, *, bundle: str, space: str, digest: str) -> None:
    """Raise UserError where a folder holds another atlas than one of this bundle's space, or a file in its place."""
    whole = folder / _WHOLE
    if not whole.exists():
        return
    hint = "choose another folder with --out, or replace it with --force"
    held = read_json(whole)
    if not isinstance(held, dict) or not {"space", "digest", "regions"} <= held.keys():
        raise UserError(f"{whole} is there already, and no atlas", hint)
    of = f"{held['space']} in {held['bundle']}" if held.get("bundle") else f"{held['space']}"
    if held["space"] != space or held.get("bundle", bundle) != bundle:
        raise UserError(f"{folder} holds an atlas of {of}, not of {space} in {bundle}", hint)
    if held["digest"] != digest:
        raise UserError(f"{folder} holds an atlas of {of} with other vectors than it has now", hint)


def names_in(folder: Path) -> tuple[str, ...]:
    """The names of the regions of the atlas that a folder holds; none where it holds none."""
    try:
        return tuple(one["title"] for one in read_json(folder / _WHOLE)["regions"])
    except (UserError, KeyError, TypeError):
        return ()


def forget_answers(kept: Path, atlas: Atlas) -> None:
    """Leave in a file of kept answers only those that the atlas shows; without any the file goes."""
    shown = {one.reading.text for one in atlas.regions if one.reading is not None}
    rows = [row for row in Journal(kept).rows() if isinstance(row, list) and row[-1:] and row[-1] in shown]
    if not rows:
        kept.unlink(missing_ok=True)
        return
    with replace_file(kept) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_tables(atlas: Atlas, folder: Path, *, bundle: str = "") -> tuple[Path, Path]:
    """Write regions.csv and regions.json, which names the bundle, into a folder; their paths."""
    table, whole = folder / "regions.csv", folder / _WHOLE
    with replace_file(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(map(_row, atlas.regions))
    write_json(whole, {"bundle": bundle, **to_json(atlas)})
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
