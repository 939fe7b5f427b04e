"""Region: a set of items, and how they were chosen: a number of the atlas, a metadata query, or a file of ids.

Knows spaces, regions of an atlas and queries. Knows nothing of what a region is about.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.errors import UserError
from vecspeak.points import Point
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters
from vecspeak.spaces.neighbours import unit_rows

if TYPE_CHECKING:
    from vecspeak.points.queries import Query

_CLUSTER = re.compile(r"\s*cluster\(\s*(\d{1,9})\s*\)\s*")
_NAMED_AT_MOST = 3
_BLOCK = 65_536


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """Some of a space's items."""

    name: str
    """How it was chosen, such as `cluster(7)`."""
    rows: np.ndarray
    """[M] int64 rows of the space, ascending, each once; one or more."""
    number: int | None = None
    """Its number in the atlas; None for what is no region of it."""
    title: str = ""
    """What an atlas called it; empty where none did."""
    columns: tuple[str, ...] = ()
    """Columns of metadata that it was chosen by: what the members have there is no finding."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def full_name(self) -> str:
        """The name with the atlas's, such as `cluster(7) "Horror: zombie"`."""
        return f'{self.name} "{self.title}"' if self.title else self.name

    def point(self, space: Space) -> Point:
        """The mean of the members' vectors, as a point that can be asked about."""
        return Point(
            space=space.name,
            vector=space.vectors[self.rows].mean(0, dtype=np.float64).astype(np.float32),
            expression=self.name,
            item_id=None,
            kind="made",
            parents=(),
        )


def cluster_region(entry: SpaceEntry, number: int) -> Region:
    """A region of the space's atlas. Raises UserError where there is no atlas, or no such region."""
    clusters = atlas_of(entry)
    return Region(
        name=f"cluster({number})",
        rows=clusters.rows_of(number),
        number=number,
        title=clusters.name(number),
    )


def atlas_of(entry: SpaceEntry) -> Clusters:
    """The regions of a space. Raises UserError where no atlas made any."""
    if entry.clusters is None:
        raise UserError(
            f"{entry.space.name!r} has no regions yet",
            f"make them with vecspeak atlas BUNDLE --space {entry.space.name}",
        )
    return entry.clusters


def where_region(space: Space, query: str) -> Region:
    """The items that a metadata query finds. Raises UserError for what is no query, and where it finds none."""
    from vecspeak.points.grammar import parse_query
    from vecspeak.points.queries import rows_where

    tree = parse_query(query)
    rows = rows_where(space, tree)
    if not len(rows):
        raise UserError(f"no item of {space.name!r} is found by {query}", "ask for something wider")
    return Region(name=f"centroid({query.strip()})", rows=rows, columns=_columns(tree))


def _columns(query: "Query") -> tuple[str, ...]:
    """The columns that a query names, each once."""
    from vecspeak.points.queries import And, Comparison, Not, Or

    match query:
        case Comparison(column=column):
            return (column,)
        case Not(operand=operand):
            return _columns(operand)
        case And(parts=parts) | Or(parts=parts):
            return tuple(dict.fromkeys(column for part in parts for column in _columns(part)))
    raise TypeError(f"not a query: {query!r}")


def ids_region(space: Space, path: str | Path) -> Region:
    """The items whose ids a file holds: one a line, or a JSON list of them.

    Raises UserError for a missing file, for one without ids, and for ids that the space does not have.
    """
    path = Path(path)
    ids = list(dict.fromkeys(_ids(path)))
    if not ids:
        raise UserError(f"{path} holds no ids", "write one id a line, or a JSON list of them")
    unknown = [item for item in ids if not space.has(item)]
    if unknown:
        shown = ", ".join(map(repr, unknown[:_NAMED_AT_MOST])) + (", ..." * (len(unknown) > _NAMED_AT_MOST))
        raise UserError(
            f"{len(unknown)} of {len(ids)} ids in {path} are not in {space.name!r}: {shown}",
            f"ids look like {space.ids[0]!r}",
        )
    return Region(name=f"ids of {path.name}", rows=np.sort([space.index_of(item) for item in ids]))


def region_named(entry: SpaceEntry, text: str) -> Region | None:
    """The region that a text names: `cluster(3)`, `where: QUERY` or `ids: FILE`; None where it names none.

    Raises UserError as the functions above do.
    """
    if found := _CLUSTER.fullmatch(text):
        return cluster_region(entry, int(found.group(1)))
    kind, colon, rest = text.partition(":")
    if colon and kind.strip() == "where":
        return where_region(entry.space, rest.strip())
    if colon and kind.strip() == "ids":
        return ids_region(entry.space, rest.strip())
    return None


def surroundings(entry: SpaceEntry, region: Region) -> Region:
    """What lies around a region: for one of the atlas the region with the nearest centroid, else the nearest items.

    As many items as the region has, or as there are outside. Raises UserError when nothing is outside.
    """
    space, clusters = entry.space, entry.clusters
    if len(region) == space.num_items:
        raise UserError(
            f"{region.name} holds all {space.num_items:,} items of {space.name!r}, so nothing is around it",
            "choose fewer",
        )
    if region.number is not None and clusters is not None and clusters.num_regions > 1:
        return cluster_region(entry, int(nearest_regions(clusters.centroids)[region.number]))
    similar = similarities(space, region.point(space).vector)
    similar[region.rows] = -np.inf
    count = min(len(region), space.num_items - len(region))
    nearest = np.argpartition(-similar, count - 1)[:count]
    return Region(name=f"the {count:,} nearest items outside", rows=np.sort(nearest))


def nearest_regions(centroids: np.ndarray) -> np.ndarray:
    """[K] the other region whose centroid points most the same way, of K > 1 regions."""
    units = unit_rows(centroids.astype(np.float64))
    similar = units @ units.T
    np.fill_diagonal(similar, -np.inf)
    return similar.argmax(1)


def similarities(space: Space, vector: np.ndarray) -> np.ndarray:
    """[N] cosine of every item with a vector, which is not all zeros."""
    wanted = unit_rows(vector.astype(np.float64))
    blocks = range(0, space.num_items, _BLOCK)
    return np.concatenate([unit_rows(space.vectors[start : start + _BLOCK]) @ wanted for start in blocks])


def _ids(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}", "check the path") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "check the path") from error
    except UnicodeDecodeError as error:
        raise UserError(f"cannot read {path} as text ({error})", "give a UTF-8 text file") from error
    if not text.lstrip().startswith("["):
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} begins like JSON and is none ({error})", "write one id a line") from error
    if not all(isinstance(item, str) for item in found):
        raise UserError(f"{path} holds more than ids: a list of texts was expected", "write one id a line")
    return list(found)
