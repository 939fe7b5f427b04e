"""Atlas: a whole space cut into regions, each named, described and, where there is a reader, put into words.

Writes nothing.
"""

import csv
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from vecspeak.bundles import SpaceEntry
from vecspeak.bundles.bundle import check_not_in_bundle
from vecspeak.console import progress_bar
from vecspeak.display import bar, element, table, to_frame
from vecspeak.errors import UserError, check_text
from vecspeak.evidence import plain
from vecspeak.explore.contrast import Facts
from vecspeak.explore.names import RegionName, name_regions, reader_of_middles
from vecspeak.explore.regions import Description, RegionReader, cluster_region, describe, feature_name
from vecspeak.foreign import write_csv
from vecspeak.spaces import Space
from vecspeak.spaces.assignment import Assignment, assign
from vecspeak.spaces.clusters import Clusters, Method, cluster_space
from vecspeak.spaces.levels import Level
from vecspeak.storage import Cache, digest, read_json, recover_all, replace_file, write_json

QUESTION = "Describe {x} in one sentence."
FOLDER = Path("atlas")
"""Where an atlas is written unless another folder is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Regions that are one on a coarser level."""

    number: int
    name: RegionName
    num_items: int
    regions: tuple[int, ...]
    """Their numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Atlas:
    """Every region of a space, the largest first."""

    space: str
    digest: str
    num_items: int
    method: str
    note: str
    """Why another method was taken than was tried first; mostly empty."""
    seed: int
    num_without: int
    """Items that no region holds; each is assigned to the region that lies nearest."""
    assigned_percentile: float | None
    """Percent of the nearest region's members that lie nearer to its middle than half of these; None for none."""
    question: str
    """What the reader was asked; empty where there was none."""
    regions: tuple[Description, ...]
    levels: tuple[tuple[Group, ...], ...] = ()
    """The regions joined into fewer groups, the coarsest level first."""

    @property
    def between(self) -> str:
        """In a sentence how many items are in no region, and how far they lie from the nearest; empty for none."""
        if not self.num_without or self.assigned_percentile is None:
            return ""
        share = round(self.assigned_percentile)
        than = "all" if share == 100 else f"{share}%"
        return (
            f"{self.num_without:,} items are in no region: each is only said to be nearest to one, and half of them "
            f"lie farther from its middle than {than} of its own items"
        )

    @property
    def found_back(self) -> tuple[int, int] | None:
        """Of how many regions the answer fits its own best, and how many have one; None where none was asked for."""
        ranks = [one.reading.rank for one in self.regions if one.reading is not None]
        return (sum(rank == 1 for rank in ranks), len(ranks)) if ranks else None

    @property
    def run(self) -> str:
        """Digest of all that it says. Its tables and the regions in the bundle hold it, and so know each other."""
        return digest(to_json(self))[:16]

    def __repr__(self) -> str:
        return (
            f"Atlas({self.space!r}, {self.num_items:,} items, {len(self.regions)} regions by {self.method})"
        )

    def __str__(self) -> str:
        lines = [repr(self)]
        for one in self.regions:
            said = f": {one.reading.text}" if one.reading else ""
            lines.append(f"{one.number}. {one.title or one.name} ({one.share:.0%}){said}")
        return "\n".join(lines)

    def _repr_html_(self) -> Markup:
        """A row for each region: its size, the reader's words with their round trip, typical items and warnings."""
        rows = (
            [
                one.number,
                element("strong", one.title or one.name),
                bar(one.share, f"{one.num_items:,}"),
                *_said(one),
                "; ".join(near.label for near in one.geometry.typical[:3]),
                ", ".join(one.flags),
            ]
            for one in self.regions
        )
        found = self.found_back
        note = f"; {found[0]} of {found[1]} answers fit their own region best" if found else ""
        heads = ["", "region", "items", "answer", "round trip", "with others", "typical items", "warnings"]
        return element("div", element("small", f"{self!r}{note}"), table(heads, rows))

    def to_pandas(self) -> Any:
        """A frame with a row for each region, in the columns of `regions.csv` as numbers and lists.

        Raises UserError where pandas is not installed.
        """
        return to_frame(map(_record, self.regions))


def make_atlas(
    entry: SpaceEntry,
    *,
    method: Method = "auto",
    regions: int | None = None,
    seed: int = 0,
    reader: Callable[[SpaceEntry], RegionReader] | None = None,
    question: str = QUESTION,
    progress: bool = False,
) -> tuple[Atlas, Clusters]:
    """Cut, name and describe; and the regions, under their names, to be kept with the space.

    `reader` makes one for the entry with its regions; without it nothing is put into words. Raises UserError as
    `cluster_space` does, and for a space that is one region.
    """
    check_text("question", question)
    clusters = cluster_space(entry.space, method, k=regions, seed=seed)
    if clusters.num_regions < 2:
        raise _one_region(entry.space, clusters, regions)
    facts = Facts.from_space(entry.space)
    names = name_regions(entry.space, clusters, facts=facts, read=reader_of_middles(entry))
    clusters = names.on(clusters)
    entry = dataclasses.replace(entry, clusters=clusters)
    assignment = assign(entry.space, clusters)
    assigned = np.bincount(assignment.regions[~assignment.is_member], minlength=clusters.num_regions).tolist()
    described = [
        dataclasses.replace(
            describe(entry, cluster_region(entry, number), facts=facts, seed=seed),
            named=names.regions[number],
            num_assigned=assigned[number],
            groups=tuple(level.name(number) for level in clusters.levels),
        )
        for number in progress_bar(range(clusters.num_regions), desc="regions", unit="region", shown=progress)
    ]
    if reader is not None:
        described = _put_into_words(entry, clusters, described, reader(entry), question, progress)
    atlas = Atlas(
        space=entry.space.name,
        digest=entry.space.digest,
        num_items=entry.space.num_items,
        method=clusters.method,
        note=clusters.note,
        seed=seed,
        num_without=assignment.num_assigned,
        assigned_percentile=_middle_percentile(assignment),
        question=question if reader else "",
        regions=tuple(described),
        levels=tuple(map(_groups, clusters.levels, names.levels, repeat(clusters.sizes))),
    )
    return atlas, clusters.of_run(atlas.run)


def _groups(level: Level, names: Sequence[RegionName], sizes: np.ndarray) -> tuple[Group, ...]:
    members = [np.flatnonzero(level.parents == number) for number in range(level.num_groups)]
    return tuple(
        Group(
            number=number,
            name=name,
            num_items=int(sizes[regions].sum()),
            regions=tuple(regions.tolist()),
        )
        for number, (name, regions) in enumerate(zip(names, members, strict=True))
    )


def _middle_percentile(assignment: Assignment) -> float | None:
    found = assignment.percentiles[~assignment.is_member]
    return float(np.median(found)) if len(found) else None


def _one_region(space: Space, clusters: Clusters, asked: int | None) -> UserError:
    feature_name = f"{space.name!r} is one region: there is nothing to tell apart"
    if clusters.method == "kmeans" and asked != 1 and space.num_items > 1:
        feature_name += f", for its {space.num_items:,} items all point the same way"
        return UserError(feature_name, "take another space")
    return UserError(feature_name, "use `method='kmeans'` and `n_regions=8`")


def _put_into_words(
    entry: SpaceEntry,
    clusters: Clusters,
    described: list[Description],
    reader: RegionReader,
    question: str,
    progress: bool,
) -> list[Description]:
    points = [cluster_region(entry, number).point(entry.space) for number in range(clusters.num_regions)]
    readings = reader.read(
        question,
        points,
        regions=clusters.centroids,
        own=range(clusters.num_regions),
        progress="regions in words" if progress else "",
    )
    return [
        dataclasses.replace(one, reading=reading) for one, reading in zip(described, readings, strict=True)
    ]


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
    "name_coverage",
    "name_precision",
    "name_rank",
    "groups",
    "assigned",
)
_LISTED = 8
_TABLE, _WHOLE = "regions.csv", "regions.json"
_RUN = "run"
"""Last column of the table, and a key of the whole: the digest of the atlas."""


def to_json(found: Any) -> dict[str, Any]:
    """A dataclass as plain values, with the flags of a description beside it, and of all that an atlas holds."""
    made: dict[str, Any] = plain(found)
    if isinstance(found, Description):
        made["flags"] = list(found.flags)
    if isinstance(found, Atlas):
        made["regions"] = [to_json(region) for region in found.regions]
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class AtlasFiles:
    """An atlas that was written to a folder."""

    atlas: Atlas
    written: tuple[Path, ...]
    before: Clusters | None
    """The regions that the bundle had, where they were others and were replaced."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        before = self.before.num_regions if self.before else None
        return {
            **to_json(self.atlas),
            "written": [str(path) for path in self.written],
            "regions_before": before,
        }


def make_folder(out: Path) -> None:
    """Make the folder of an atlas. Raises UserError where that is not possible, and inside a bundle."""
    check_not_in_bundle(out, "out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {out}: {error.strerror}", "choose another `out`") from error
    recover_all(out)


def check_folder(folder: Path, *, bundle: str, space: str, digest: str) -> None:
    """Raise UserError where a folder holds another atlas than one of this bundle's space, or a file in its place."""
    whole = folder / _WHOLE
    if not whole.exists():
        return
    hint = "choose another folder with `out`, or replace it with `force`"
    held = read_json(whole)
    if not isinstance(held, dict) or not {"space", "digest", "regions"} <= held.keys():
        raise UserError(f"{whole} is there already, and no atlas", hint)
    of = f"{held['space']} in {held['bundle']}" if held.get("bundle") else f"{held['space']}"
    if held["space"] != space or held.get("bundle", bundle) != bundle:
        raise UserError(f"{folder} holds an atlas of {of}, not of {space} in {bundle}", hint)
    if held["digest"] != digest:
        raise UserError(f"{folder} holds an atlas of {of} with other vectors than it has now", hint)


def disagreement(folder: Path, clusters: Clusters | None, *, bundle: str, space: str) -> str:
    """In words, that a folder's tables and a bundle's regions are not of one run; empty where they are.

    A kill between the writing of two of them leaves one of another run, and so does `save=False`. Nothing is said of
    another bundle's or space's atlas, and of one that an older vecspeak wrote, without the run's digest.
    """
    try:
        whole = read_json(folder / _WHOLE)
        with (folder / _TABLE).open(encoding="utf-8", newline="") as file:
            in_table = next((row.get(_RUN) for row in csv.DictReader(file)), None)
        run = whole.get(_RUN)
    except (UserError, OSError, ValueError, AttributeError, csv.Error):
        return ""
    if not run or (whole.get("bundle"), whole.get("space")) != (bundle, space):
        return ""
    if in_table != run:
        return f"{_TABLE} and {_WHOLE} in {folder} are of two runs, of which one was stopped"
    if clusters is not None and clusters.run and clusters.run != run:
        return f"the tables in {folder} are of another run than the regions in {bundle}"
    return ""


def names_in(folder: Path) -> tuple[str, ...]:
    """The names of the regions of the atlas that a folder holds; none where it holds none."""
    try:
        return tuple(one["title"] for one in read_json(folder / _WHOLE)["regions"])
    except (UserError, KeyError, TypeError):
        return ()


def forget_answers(path: Path, atlas: Atlas) -> None:
    """Remove from a cache of answers those that the atlas does not show; an empty cache is deleted."""
    shown = {one.reading.text for one in atlas.regions if one.reading is not None}
    with Cache(path) as cache:
        stale = [key for key, found in cache.items() if _text_of(found) not in shown]
        if stale:
            cache.remove(stale)
        is_empty = not len(cache)
    if is_empty:
        for ending in ("", "-wal", "-shm"):  # another connection may have left its log
            path.with_name(path.name + ending).unlink(missing_ok=True)


def _text_of(found: Any) -> Any:
    """The text of an answer as a cache holds it: that of a search has its drafts beside it."""
    return found.get("text") if isinstance(found, dict) else found


def write_tables(atlas: Atlas, folder: Path, *, bundle: str = "") -> tuple[Path, Path]:
    """Write regions.csv and regions.json, which names the bundle, into a folder; their paths. Both name the run.

    In the table, which a spreadsheet may open, a text that would be a formula begins with an apostrophe.
    """
    run = atlas.run
    table, whole = folder / _TABLE, folder / _WHOLE
    with replace_file(table) as temporary:
        write_csv(temporary, [[*COLUMNS, _RUN], *([*_row(one), run] for one in atlas.regions)])
    write_json(whole, {"bundle": bundle, _RUN: run, **to_json(atlas)})
    return table, whole


def _record(one: Description) -> dict[str, object]:
    """A region by the names of COLUMNS; what was not asked for is None."""
    reading, geometry = one.reading, one.geometry
    said: tuple[object, ...] = (None, None, None, None)
    if reading is not None:
        said = (reading.text, reading.trust.round_trip, reading.trust.swapped, reading.rank)
    values = (
        one.number,
        one.title,
        one.num_items,
        one.share,
        [feature_name(found) for found in one.shared.values[:_LISTED]],
        [feature_name(found) for found in one.shared.words[:_LISTED]],
        [near.label for near in geometry.typical],
        [near.label for near in geometry.edge],
        one.around,
        geometry.spread.value,
        geometry.random.value,
        *said,
        list(one.flags),
        *((one.named.coverage, one.named.precision, one.named.rank) if one.named else (None, None, None)),
        list(one.groups),
        one.num_assigned,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _row(one: Description) -> list[object]:
    return [_cell(value) for value in _record(one).values()]


def _cell(value: object) -> object:
    """A value as the table shows it: four decimals, lists in one cell, nothing for None."""
    if isinstance(value, float):
        return Decimal(f"{value:.4f}")  # a number still, which write_csv leaves alone
    return "; ".join(value) if isinstance(value, list) else "" if value is None else value


def _said(one: Description) -> tuple[object, object, object]:
    """What the reader says and its round trip next to that of other items; empty where it was not asked."""
    if one.reading is None:
        return "", "", ""
    trust = one.reading.trust
    return (
        one.reading.text,
        bar(trust.round_trip, f"{trust.round_trip:.2f}"),
        bar(trust.swapped, f"{trust.swapped:.2f}"),
    )
