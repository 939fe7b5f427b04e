"""Labels: a space's regions as files that embedding-atlas, datamapplot and BERTopic open.

Each tool gets a folder with `items.parquet`, a row an item: its region's name on every level, whether the cut put it
there or it was assigned because it lies in none, its distance from the region's centroid, and the percent of the
region's members that lie nearer. Texts stand there as they are: these are tables for tools, not for spreadsheets.

    embedding-atlas  labels.parquet: x, y, text, level (0 is seen from afar) and priority of every name
    datamapplot      the columns x and y, and a layer of labels for each level
    bertopic         topics.json, config.json and topic_embeddings.safetensors: what `BERTopic.load` reads
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from vecspeak.bundles import SpaceEntry
from vecspeak.bundles.bundle import check_not_in_bundle
from vecspeak.bundles.lexicons import texts_of
from vecspeak.errors import UserError, check_one_of, check_seed, listed
from vecspeak.explore.contrast import Facts, contrast
from vecspeak.explore.regions import atlas_of
from vecspeak.report.maps import place_items
from vecspeak.spaces import Space
from vecspeak.spaces.assignment import Assignment, assign
from vecspeak.spaces.clusters import Clusters
from vecspeak.storage import recover, replace_folder, write_json
from vecspeak.tables.columns import TEXT_COLUMN

LabelTool = Literal["embedding-atlas", "datamapplot", "bertopic"]
TOOLS: tuple[LabelTool, ...] = get_args(LabelTool)
Outliers = Literal["assign", "leave"]
UNLABELLED = "Unlabelled"
"""What datamapplot takes for an item without a label."""
OUTSIDE = "in no region"
_LEVELS = ("coarse", "middle", "region")
"""Columns of the names on each level, the last for the regions themselves."""
_WORDS = 10
"""Words of a topic."""
_ITEMS, _NAMES = "items.parquet", "labels.parquet"
_FILES = {
    "embedding-atlas": (_ITEMS, _NAMES),
    "datamapplot": (_ITEMS,),
    "bertopic": (_ITEMS, "topics.json", "config.json", "topic_embeddings.safetensors"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFiles:
    """Labels that were written for a tool."""

    tool: LabelTool
    space: str
    written: tuple[Path, ...]
    usage: str
    """What opens them: a command, or lines of Python."""
    levels: tuple[int, ...]
    """How many names each level has, the coarsest first."""
    num_items: int
    """Items of the space."""
    num_written: int
    """Items in the files: a map places at most 5,000."""
    num_outside: int
    """Of these, those that are in no region of the cut."""
    outliers: Outliers
    """Whether these have the label of the nearest region, or none."""
    num_unplaced: int = 0
    """Names that have no item on the map, and so no place."""

    @property
    def lines(self) -> list[str]:
        """What a person should know of them."""
        named = "labelled after the nearest region" if self.outliers == "assign" else "left without a label"
        found = [
            f"{self.space}: {self.num_written:,} of {self.num_items:,} items, {' / '.join(map(str, self.levels))} names"
        ]
        if self.num_outside:
            found.append(f"{self.num_outside:,} items are in no region: {named} (column membership)")
        if self.num_unplaced:
            found.append(f"{self.num_unplaced:,} names have no item on the map and are left out of it")
        return [*found, f"written: {', '.join(map(str, self.written))}", *self.usage.splitlines()]

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "written": list(map(str, self.written)), "levels": list(self.levels)}


def write_labels(
    entry: SpaceEntry, out: Path, tool: LabelTool, *, outliers: Outliers = "assign", seed: int = 0
) -> LabelFiles:
    """Write the labels of an entry's regions into `out/TOOL`.

    The folder is replaced as a whole. Raises UserError where the space has no regions, for another tool, inside a
    bundle, and where the folder holds other files or cannot be written.
    """
    check_one_of("tool", tool, TOOLS)
    check_one_of("outliers", outliers, get_args(Outliers))
    check_seed(seed)
    clusters = atlas_of(entry)
    folder = _folder(out / tool)
    if not clusters.names:
        levels = [[f"group {number}" for number in range(level.num_groups)] for level in clusters.levels]
        clusters = clusters.named([f"cluster({number})" for number in range(clusters.num_regions)], *levels)
    labelled = _Labelled(entry.space, clusters, assign(entry.space, clusters), outliers)
    rows, places, unplaced = np.arange(entry.space.num_items), None, 0
    if tool != "bertopic":
        rows, places = place_items(entry.space, seed=seed)
    with replace_folder(folder, marker=_ITEMS) as beside:
        pq.write_table(labelled.items(rows, places), beside / _ITEMS)
        if tool == "bertopic":
            _write_topics(labelled, beside)
        elif tool == "embedding-atlas" and places is not None:
            names = labelled.placed_names(rows, places)
            pq.write_table(names, beside / _NAMES)
            unplaced = sum(labelled.num_names) - names.num_rows
    return LabelFiles(
        tool=tool,
        space=entry.space.name,
        written=tuple(folder / name for name in _FILES[tool]),
        usage=_usage(tool, folder, labelled),
        levels=tuple(labelled.num_names),
        num_items=entry.space.num_items,
        num_written=len(rows),
        num_outside=int((~labelled.assignment.is_member[rows]).sum()),
        outliers=outliers,
        num_unplaced=unplaced,
    )


def _folder(folder: Path) -> Path:
    """The tool's folder, which holds nothing but what was written for it before, for it is replaced as a whole."""
    check_not_in_bundle(folder, "out")
    tool = folder.name
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        others = (
            sorted({path.name for path in folder.iterdir()} - set(_FILES[tool])) if folder.exists() else []
        )
        # what a killed run left beside any tool's folder, which may never be written again
        for one in TOOLS:
            recover(folder.parent / one)
    except OSError as error:
        raise UserError(
            f"cannot make the folder {folder}: {error.strerror}", "choose another `out`"
        ) from error
    if others:
        raise UserError(f"{folder} holds other files: {listed(others)}", "move them, or choose another `out`")
    return folder


class _Labelled:
    """A space whose items have a label on every level."""

    def __init__(self, space: Space, clusters: Clusters, assignment: Assignment, outliers: Outliers) -> None:
        self.space, self.clusters, self.assignment = space, clusters, assignment
        regions = assignment.regions if outliers == "assign" else clusters.labels
        self.regions = regions
        self.names = [*(level.names for level in clusters.levels), clusters.names]
        self.groups = [*(level.labels(regions) for level in clusters.levels), regions]
        self.columns = (*_LEVELS[: len(clusters.levels)], _LEVELS[-1])

    @property
    def num_names(self) -> list[int]:
        return list(map(len, self.names))

    def items(self, rows: np.ndarray, places: np.ndarray | None) -> pa.Table:
        """A row for each item."""
        texts, found = texts_of(self.space), self.assignment
        columns: dict[str, Any] = {
            "id": [self.space.ids[row] for row in rows.tolist()],
            "label": [self.space.labels[row] for row in rows.tolist()],
        }
        if texts:
            columns[TEXT_COLUMN] = [texts[row] for row in rows.tolist()]
        if places is not None:
            columns |= {"x": places[:, 0].astype(np.float64), "y": places[:, 1].astype(np.float64)}
        for column, names, groups in zip(self.columns, self.names, self.groups, strict=True):
            columns[column] = [
                UNLABELLED if group < 0 else _no_mark(names[group]) for group in groups[rows].tolist()
            ]
        columns |= {
            "number": self.regions[rows],
            "membership": np.where(found.is_member[rows], "member", "assigned").tolist(),
            "distance": found.distances[rows],
            "percentile": found.percentiles[rows],
        }
        return pa.table({name: pa.array(values) for name, values in columns.items()})

    def placed_names(self, rows: np.ndarray, places: np.ndarray) -> pa.Table:
        """Every name in the middle of its members on the map; the larger ones first where they overlap."""
        found: list[dict[str, Any]] = []
        members = self.assignment.is_member[rows]
        for level, (names, groups) in enumerate(zip(self.names, self.groups, strict=True)):
            for group, name in enumerate(names):
                inside = (groups[rows] == group) & members
                if inside.any():
                    x, y = np.median(places[inside], axis=0).tolist()
                    size = int((groups == group).sum())
                    found.append({"x": x, "y": y, "text": name, "level": level, "priority": size})
        return pa.Table.from_pylist(found)


def _no_mark(name: str) -> str:
    """A name that no tool takes for the mark of an item without one."""
    return f"{name} (region)" if name == UNLABELLED else name


def _write_topics(labelled: _Labelled, folder: Path) -> None:
    """What BERTopic saves of a model: topics with their words, labels and vectors, and the topic of each item."""
    space, regions, clusters = labelled.space, labelled.regions, labelled.clusters
    names, vectors = dict(enumerate(clusters.names)), list(clusters.centroids)
    if (regions < 0).any():
        names = {-1: OUTSIDE} | names
        vectors = [space.vectors[regions < 0].mean(0, dtype=np.float64), *vectors]
    topics = {
        "topic_representations": {
            str(number): words for number, words in zip(names, _words(space, regions, names), strict=True)
        },
        "topics": regions.tolist(),
        "topic_sizes": {str(number): int((regions == number).sum()) for number in names},
        "topic_mapper": [[number, number] for number in names],
        "topic_labels": {str(number): f"{number}_{name}" for number, name in names.items()},
        "custom_labels": list(names.values()),
        "_outliers": int(-1 in names),
        "topic_aspects": {},
    }
    config = {"language": None, "n_gram_range": [1, 1], "top_n_words": _WORDS, "verbose": False}
    write_json(folder / "topics.json", topics)
    write_json(folder / "config.json", config)
    vectors_file = folder / "topic_embeddings.safetensors"
    save_file({"topic_embeddings": np.stack(vectors).astype(np.float32)}, vectors_file)


def _words(space: Space, regions: np.ndarray, names: dict[int, str]) -> list[list[list[Any]]]:
    """Of each topic what its items have more of, with how much it tells; its name where nothing was found."""
    facts, found = Facts.from_space(space), []
    for number, name in names.items():
        inside = np.flatnonzero(regions == number)
        features = contrast(facts, inside).features[:_WORDS] if 0 < len(inside) < len(regions) else ()
        found.append([[one.name, round(one.weight, 6)] for one in features] or [[name, 1.0]])
    return found


def _usage(tool: LabelTool, folder: Path, labelled: _Labelled) -> str:
    items = folder / _ITEMS
    if tool == "embedding-atlas":
        text = TEXT_COLUMN if texts_of(labelled.space) else "label"
        options = {"x": "x", "y": "y", "text": text, "labels": folder / _NAMES}
        return f"embedding-atlas {items} {' '.join(f'--{name} {value}' for name, value in options.items())}"
    if tool == "datamapplot":
        layers = ", ".join(f"frame.{column}" for column in reversed(labelled.columns))
        return (
            f"frame = pandas.read_parquet({json.dumps(str(items))})\n"
            f'datamapplot.create_interactive_plot(frame[["x", "y"]].to_numpy(), {layers}, hover_text=frame.label)'
        )
    return f"bertopic.BERTopic.load({json.dumps(str(folder))}).get_topic_info()"
