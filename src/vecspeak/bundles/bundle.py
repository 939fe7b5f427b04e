"""Bundle: a folder with a reader's weights and the spaces that it reads; opened without loading a model.

manifest.json
reader/adapter.safetensors, reader/lora/adapter_config.json, reader/lora/adapter_model.safetensors
spaces/NAME/items.parquet [items.users.parquet] alignment.json alignment.safetensors concepts/*.json
spaces/NAME/distances.safetensors [clusters.safetensors] [map.safetensors] [lexicon.json lexicon.safetensors]
"""

import dataclasses
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from vecspeak.bundles.contents import check_files, file_digests, missing_note, walk
from vecspeak.bundles.lexicons import as_items, reader_of
from vecspeak.bundles.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    READER,
    SPACES,
    Manifest,
    check_name,
    read_manifest,
)
from vecspeak.bundles.maps import MAP_FILE, damaged_note, load_map, save_map
from vecspeak.errors import UserError, check_path, check_text, did_you_mean
from vecspeak.evidence import ReadTerm, Words
from vecspeak.lexicon.files import load_space_lexicon, save_space_lexicon
from vecspeak.lexicon.joint import SpaceLexicon, TermReader
from vecspeak.lexicon.readout import LIFT
from vecspeak.model.alignment import Alignment, Kind
from vecspeak.model.map_scores import caution
from vecspeak.model.words import NUM_WORDS, prompt_words
from vecspeak.points import Concept, Point, Scope, load_concept, save_concept
from vecspeak.points.foldin import FoldIn
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters
from vecspeak.spaces.header import PlainTableError
from vecspeak.spaces.io import load_factor_settings, load_users, save_space, save_users
from vecspeak.spaces.levels import Level
from vecspeak.spaces.plane import SpaceMap
from vecspeak.spaces.search import DataDistance
from vecspeak.spaces.space import PRETRAINED
from vecspeak.spaces.splits import HOLDOUT, Splits, check_splits, union
from vecspeak.storage import (
    check_folder_of,
    copy_folder,
    digest,
    read_json,
    recover,
    replace_folder,
    write_json,
)
from vecspeak.tables.files import as_path


class _AlignmentNumbers(msgspec.Struct, forbid_unknown_fields=True):
    dim: int
    encoder_dim: int
    unit: bool = False
    spread: float = 1.0
    user_spread: float = 1.0
    gain: float = 1.0


class _AlignmentFile(msgspec.Struct):
    """alignment.json; a bundle from before there were several splits has only `held_out`."""

    numbers: _AlignmentNumbers
    held_out: frozenset[str]
    report: dict[str, Any]
    splits: dict[str, frozenset[str]] | msgspec.UnsetType = msgspec.UNSET


class _CalibrationHeader(msgspec.Struct):
    digest: str
    num_neighbours: Annotated[int, msgspec.Meta(ge=1, lt=1000)]


class _ClustersHeader(msgspec.Struct):
    method: str
    seed: int
    digest: str
    note: str
    names: tuple[str, ...]
    run: str = ""
    levels: tuple[tuple[str, ...], ...] = ()
    """Names of the groups of each coarser level; an older vecspeak wrote none."""


_DISTANCES_FILE = "distances.safetensors"
_DISTANCES_KEY = "calibration"


def save_distances(distances: Mapping[str, DataDistance], folder: Path) -> None:
    """Write the calibrations of the spaces called "items" and "users" in an entry's folder."""
    known = {
        name: {"digest": one.space.digest, "num_neighbours": one.num_neighbours}
        for name, one in distances.items()
    }
    arrays = {name: np.ascontiguousarray(one.reference) for name, one in distances.items()}
    save_file(arrays, folder / _DISTANCES_FILE, metadata={_DISTANCES_KEY: json.dumps(known)})


def load_distances(spaces: Mapping[str, Space], folder: Path) -> dict[str, DataDistance]:
    """The saved calibrations of these spaces; those of other vectors are left out. UserError for a broken file."""
    path = folder / _DISTANCES_FILE
    if not path.is_file():
        return {}
    try:
        with safe_open(path, framework="np") as file:
            headers = msgspec.json.decode(file.metadata()[_DISTANCES_KEY], type=dict[str, _CalibrationHeader])
            return {
                name: _distance(spaces[name], file.get_tensor(name), header)
                for name, header in headers.items()
                if name in spaces and header.digest == spaces[name].digest
            }
    except (OSError, SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error})", "remove it: it is made again when needed") from error


def _distance(space: Space, reference: np.ndarray, header: _CalibrationHeader) -> DataDistance:
    ascends = reference.ndim == 1 and len(reference) and bool((np.diff(reference) >= 0).all())
    if not ascends or not np.isfinite(reference).all():
        raise ValueError("distances must be finite and ascend")
    return DataDistance(space=space, num_neighbours=header.num_neighbours, reference=reference)


_CLUSTERS_FILE = "clusters.safetensors"
_CLUSTERS_KEY = "regions"


def save_clusters(clusters: Clusters, folder: Path) -> None:
    """Write the regions of the space in an entry's folder."""
    known = {
        "method": clusters.method,
        "seed": clusters.seed,
        "digest": clusters.space_digest,
        "note": clusters.note,
        "names": list(clusters.names),
        "run": clusters.run,
        "levels": [list(level.names) for level in clusters.levels],
    }
    arrays = {"labels": clusters.labels, "centroids": clusters.centroids}
    arrays |= {f"level.{number}": level.parents for number, level in enumerate(clusters.levels)}
    save_file(arrays, folder / _CLUSTERS_FILE, metadata={_CLUSTERS_KEY: json.dumps(known)})


def load_clusters(space: Space, folder: Path) -> Clusters | None:
    """The saved regions; None where there are none, or of other vectors. Raises UserError for a broken file."""
    path = folder / _CLUSTERS_FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="np") as file:
            header = msgspec.json.decode(file.metadata()[_CLUSTERS_KEY], type=_ClustersHeader)
            if header.digest != space.digest:
                return None
            clusters = Clusters(
                labels=file.get_tensor("labels"),
                centroids=file.get_tensor("centroids"),
                method=header.method,
                seed=header.seed,
                space_digest=space.digest,
                note=header.note,
                names=header.names,
                run=header.run,
                levels=tuple(
                    Level(parents=file.get_tensor(f"level.{number}"), names=names)
                    for number, names in enumerate(header.levels)
                ),
            )
        if clusters.names and not all(level.names for level in clusters.levels):
            raise ValueError("its regions have names, and groups of a level have none")
        if clusters.labels.shape != (space.num_items,) or clusters.centroids.shape[1] != space.dim:
            raise ValueError("its regions are of other items")
        return clusters
    except (OSError, SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{path} is damaged ({error})", "remove it; `VecSpeak.atlas(...)` makes it again"
        ) from error


_RESULTS = 4
_Result = TypeVar("_Result")
_FAR = 99.0
"""Percent of the items that lie nearer to the data than a point whose words are not to be believed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpaceEntry:
    """A space of a bundle with everything that was fitted on it."""

    space: Space
    users: Space | None
    alignment: Alignment
    splits: Mapping[str, frozenset[str]]
    """Ids of the items that nothing was fitted on, by the name of their split; no item is in two."""
    report: dict[str, Any]
    """How the alignment was chosen and its held-out score."""
    concepts: dict[str, Concept]
    distances: dict[str, DataDistance] = dataclasses.field(default_factory=dict, repr=False)
    """Calibrations of "items" and "users": kept ones, and those that `distance` has made."""
    clusters: Clusters | None = None
    """The regions of the space's atlas; None before there is one."""
    fold_in: FoldIn | None = None
    """How one more person gets a vector; None where there are no users, or nobody knows how they were made."""
    lexicon: SpaceLexicon | None = None
    """What words are read from its vectors with; None for few texts and for what an older vecspeak fitted."""
    maps: dict[int, SpaceMap] = dataclasses.field(default_factory=dict, repr=False)
    """Maps by seed: the retained one, and those that were made since. Of these the last made is saved."""
    _term_reader: list[TermReader] = dataclasses.field(default_factory=list, init=False, repr=False)
    """What reads words, once it was asked for."""
    _results: dict[Hashable, Any] = dataclasses.field(default_factory=dict, init=False, repr=False)
    """What `once` was asked for."""
    _held_out: frozenset[str] = dataclasses.field(init=False, repr=False)
    """The union, kept: callers ask once an item."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_held_out", union(self.splits))

    @property
    def held_out(self) -> frozenset[str]:
        """Ids of all items that nothing was fitted on."""
        return self._held_out

    def distance(self, of: Literal["items", "users"] = "items") -> DataDistance:
        """How far points lie from the items, or from the users where there are any; worked out once."""
        space = self.users if of == "users" and self.users is not None else self.space
        known = self.distances.get(of)
        if known is None or known.space is not space:
            self.distances[of] = known = DataDistance.from_space(space)
        return known

    @property
    def digest(self) -> str:
        """SHA-256 in hex over the space and what is asked about it by name: its concepts and its regions."""
        return self.once("digest", self._digest)

    def _digest(self) -> str:
        concepts = [
            part
            for name, one in sorted(self.concepts.items())
            for part in (name, [one.scale], np.ascontiguousarray(one.direction, "<f4"))
        ]
        found = self.clusters
        regions = [] if found is None else [np.ascontiguousarray(found.labels, "<i8"), list(found.names)]
        return digest(self.space.digest, *concepts, *regions)

    @property
    def term_reader(self) -> TermReader:
        """What reads words from vectors of the space; made when first asked for."""
        if not self._term_reader:
            encoder = str(self.report.get("encoder", ""))
            self._term_reader.append(
                reader_of(self.space, self.alignment, self.splits, self.lexicon, encoder)
            )
        return self._term_reader[0]

    def once(self, key: Hashable, make: Callable[[], _Result]) -> _Result:
        """What `make` gives, worked out when first asked for under this key; the last four are retained."""
        if key not in self._results:
            while len(self._results) >= _RESULTS:
                self._results.pop(next(iter(self._results)))
            self._results[key] = make()
        found: _Result = self._results[key]
        return found

    def words(self, vectors: np.ndarray, kind: Kind = "item", limit: int = 10) -> list[Words]:
        """The terms that say most about each of [N, D] vectors of the space, best first; none where none is known."""
        items = as_items(self.alignment, vectors, kind)
        return self.term_reader.words(items, self.alignment(vectors, kind), limit)

    def prompt_words(self, vectors: np.ndarray, kind: Kind = "item") -> list[tuple[ReadTerm, ...]]:
        """The words of each of [N, D] vectors that a question about it has, best first."""
        return [prompt_words(found) for found in self.words(vectors, kind, limit=2 * NUM_WORDS)]

    def term_probabilities(
        self, texts: Sequence[str], vector: np.ndarray, kind: Kind = "item"
    ) -> list[Words]:
        """For each text the terms that stand in it, with the probability that a [D] vector gives each."""
        vectors = vector[None]
        items = as_items(self.alignment, vectors, kind)
        return self.term_reader.in_texts(texts, items[0], self.alignment(vectors, kind)[0])

    def words_among(self, words: Sequence[str], vector: np.ndarray, kind: Kind = "item") -> Words:
        """The given words and values with the probability that a [D] vector gives each, best first.

        Raises UserError for one that is none of the terms which are read.
        """
        found = dict[ReadTerm, None]()
        for word, terms in zip(words, self.term_probabilities(words, vector, kind), strict=True):
            # "science fiction" is the term of two words, not one of its words
            whole = [term for term in terms if len(term.term.split()) == len(word.split())]
            if not whole:
                reason = "too few texts have it, or it is a stop word, as numbers are"
                hint = did_you_mean(word, self.term_reader.terms, "leave it out of `among`")
                raise UserError(f"{word!r} is not read from vectors of {self.space.name}: {reason}", hint)
            found[whole[0]] = None
        return Words(sorted(found, key=lambda term: term.probability / term.rate**LIFT, reverse=True))

    def words_apart(
        self, vectors: np.ndarray, kinds: tuple[Kind, Kind] = ("item", "item"), limit: int = 10
    ) -> tuple[Words, Words]:
        """The terms by which two [2, D] vectors of the space differ most: those of the first, those of the second."""
        pairs = [(vectors[n : n + 1], kind) for n, kind in enumerate(kinds)]
        items = np.concatenate([as_items(self.alignment, *one) for one in pairs])
        mapped = np.concatenate([self.alignment(*one) for one in pairs])
        return self.term_reader.apart(items, mapped, limit)

    @property
    def caution(self) -> str:
        """Why answers about the space would be made up, or that its map was found without pairs; else empty."""
        return caution(self.report)

    def caution_of(self, point: Point) -> str:
        """What must be known of the space, and of a point far from its items, before words are believed; else empty."""
        if point.item_id or point.kind == "user":
            return self.caution
        percentile = float(self.distance().percentile(point.vector[None])[0])
        far = (
            f"{point.expression} lies farther from the data than {percentile:.0f}% of the items, where no probability "
            "was compared with a text"
        )
        return "; ".join(filter(None, [self.caution, far if percentile >= _FAR else ""]))

    @property
    def scope(self) -> Scope:
        """What expressions can name."""
        return Scope(
            space=self.space,
            users=self.users,
            concepts=self.concepts,
            clusters=self.clusters,
            fold_in=self.fold_in,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """An opened bundle. Its weights stay on disk until an engine asks for them."""

    folder: Path
    manifest: Manifest
    entries: dict[str, SpaceEntry]
    note: str = ""
    """What a person should know of files that are missing or damaged; else empty."""
    damaged: tuple[str, ...] = ()
    """Maps that it was opened without because they are damaged, by their paths in the bundle."""

    @property
    def reader_folder(self) -> Path:
        """Where the adapter and the LoRA lie."""
        return self.folder / READER

    def entry(self, name: str = "") -> SpaceEntry:
        """The space of that name, or the only one. Raises UserError when that is not clear."""
        if not self.entries:
            raise UserError(
                f"the bundle {self.folder} holds no space yet", "add one with `VecSpeak.fit(...)`"
            )
        if check_text("space", "" if name is None else name) in self.entries:
            return self.entries[name]
        if not name and len(self.entries) == 1:
            return next(iter(self.entries.values()))
        given = f"no space {name!r} in this bundle" if name else "the bundle holds several spaces"
        raise UserError(f"{given}; it has {', '.join(self.entries)}", "choose one with `space=NAME`")


def load_bundle(folder: str | Path) -> Bundle:
    """Open a bundle; its files are held against its manifest, and none outside is read.

    Those of the reader and small ones by digest, large ones by size. Raises UserError for a missing, a broken and a
    newer bundle, and for one with links in it.
    """
    folder = check_path("folder", folder)
    recover(folder)
    if not folder.exists():
        raise UserError(
            f"there is no bundle at {folder}",
            "make one with `VecSpeak.fit(...)`, or try `vecspeak.demo.run.run_demo(...)`",
        )
    manifest = read_manifest(folder)
    missing, damaged = check_files(folder, manifest, links=folder == ASSETS / DEFAULT)
    entries = {name: _load_entry(folder / SPACES / name, name, damaged) for name in manifest.spaces}
    notes = (missing_note(folder, missing), damaged_note(folder, tuple(damaged)))
    return Bundle(
        folder=folder,
        manifest=manifest,
        entries=entries,
        note="; ".join(filter(None, notes)),
        damaged=tuple(damaged),
    )


MAKE_A_SPACE = "fit it first and give the bundle, or give a saved space"
"""What to do with a plain table where a space is wanted."""


def open_space(given: Space | str | Path, name: str = "", *, hint: str = "") -> Space:
    """The space itself, that of a file, or a bundle's space of that name, by default its only one.

    Raises UserError for what is none of these, with a `hint` of what to do with a plain table.
    """
    if isinstance(given, Space):
        return given
    path = as_path(given)
    if path.is_dir():
        return load_bundle(path).entry(name).space
    try:
        return Space.load(path)
    except PlainTableError as error:
        raise UserError(error.message, hint or error.hint) from error


def _load_map(
    folder: Path, name: str, space: Space, distance: DataDistance | None, damaged: list[str]
) -> SpaceMap | None:
    """The map of a space; None where there is none, or a damaged one, which joins those that are."""
    path = f"{SPACES}/{name}/{MAP_FILE}"
    if path in damaged:
        return None
    try:
        return load_map(folder / MAP_FILE, space, distance)
    except UserError:
        damaged.append(path)
        return None


def _load_entry(folder: Path, name: str, damaged: list[str]) -> SpaceEntry:
    """The space of a folder. A damaged map is left out, and its path added to `damaged`."""
    space = Space.load(folder / "items.parquet")
    content = read_json(folder / "alignment.json")
    users = load_users(folder / "items.parquet")
    settings = load_factor_settings(folder / "items.parquet")
    clusters = load_clusters(space, folder)
    distances = load_distances({"items": space} | ({"users": users} if users else {}), folder)
    lexicon = load_space_lexicon(folder, space.digest, space.dim)
    retained = _load_map(folder, name, space, distances.get("items"), damaged)
    concepts = [_load_concept(path, space) for path in sorted((folder / "concepts").glob("*.json"))]
    try:
        values = msgspec.convert(content, _AlignmentFile)
        arrays: dict[str, Any] = load_file(folder / "alignment.safetensors")
        alignment = Alignment(**msgspec.structs.asdict(values.numbers), **arrays)
        if alignment.dim != space.dim:
            raise ValueError(f"it maps vectors of {alignment.dim} numbers, the space has {space.dim}")
        return SpaceEntry(
            space=space,
            users=users,
            alignment=alignment,
            splits=_read_splits(space, values),
            report=values.report,
            concepts={concept.name: concept for concept in concepts},
            distances=distances,
            clusters=clusters,
            fold_in=FoldIn(settings=settings) if users is not None and settings is not None else None,
            lexicon=lexicon,
            maps={} if retained is None else {retained.seed: retained},
        )
    except (OSError, SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"the alignment in {folder} is damaged ({error})",
            "make the bundle again with `VecSpeak.fit(...)`",
        ) from error


def _load_concept(path: Path, space: Space) -> Concept:
    """The concept of a file, which bears its name: else it would take the place of another, or lose its own."""
    concept = load_concept(path, space)
    if concept.name != path.stem:
        raise UserError(
            f"{path} holds the concept {concept.name}, whose file is {concept.name}.json",
            "remove that file, or give it the name of its concept",
        )
    return concept


def _read_splits(space: Space, values: _AlignmentFile) -> Splits:
    """ValueError when they overlap, or name items that are not there."""
    splits = {HOLDOUT: values.held_out} if values.splits is msgspec.UNSET else values.splits
    check_splits(space, splits)
    if union(splits) != values.held_out:
        raise ValueError("its splits are not what it holds out")
    return splits


def _write_entry(entry: SpaceEntry, folder: Path) -> None:
    (folder / "concepts").mkdir(parents=True)
    save_space(entry.space, folder / "items.parquet")
    if entry.users is not None:
        settings = None if entry.fold_in is None else entry.fold_in.settings
        save_users(entry.space, entry.users, folder / "items.parquet", settings)
    save_file(entry.alignment.arrays(), folder / "alignment.safetensors")
    values = {
        "numbers": entry.alignment.numbers(),
        "held_out": sorted(entry.held_out),  # what an older vecspeak reads
        "splits": {name: sorted(ids) for name, ids in entry.splits.items()},
        "report": entry.report,
    }
    write_json(folder / "alignment.json", values)
    kinds: tuple[Literal["items", "users"], ...] = (
        ("items", "users") if entry.users is not None else ("items",)
    )
    save_distances({kind: entry.distance(kind) for kind in kinds}, folder)
    if entry.clusters is not None and entry.clusters.space_digest == entry.space.digest:
        save_clusters(entry.clusters, folder)
    if entry.maps:
        save_map(list(entry.maps.values())[-1], folder / MAP_FILE)
    if entry.lexicon is not None:
        save_space_lexicon(entry.lexicon, folder, entry.space.digest)
    for concept in entry.concepts.values():
        save_concept(concept, folder / "concepts" / f"{concept.name}.json")


def save_bundle(folder: Path, *, source: Bundle, name: str, entries: dict[str, SpaceEntry]) -> Bundle:
    """Write a bundle with the reader of `source` and the given spaces, beside what is there, open it, then swap.

    Raises UserError, and leaves what is there, where what was written could not be opened again.
    """
    for space_name in entries:
        check_name(space_name)
    with replace_folder(folder, marker=MANIFEST) as beside:
        copy_folder(source.reader_folder, beside / READER)
        for path in [path for path, _ in walk(beside, READER) if path not in source.manifest.files]:
            (beside / path).unlink()  # nobody vouches for it
        for space_name, entry in entries.items():
            _write_entry(entry, beside / SPACES / space_name)
        reports = {space_name: entry.report for space_name, entry in entries.items()}
        unpaired = {
            one: str(report["without_pairs"]) for one, report in reports.items() if "without_pairs" in report
        }
        manifest = dataclasses.replace(
            source.manifest,
            name=name,
            spaces=tuple(entries),
            without_pairs=unpaired,
            space_files=file_digests(beside, SPACES),
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            format_version=FORMAT_VERSION,
        )
        write_json(beside / MANIFEST, manifest.to_dict())
        try:
            written = load_bundle(
                beside
            )  # a bundle that cannot be opened never takes the place of one that can
        except UserError as error:
            message = error.message.replace(str(beside), str(folder))
            raise UserError(f"{folder} was not written: {message}", error.hint) from error
    if any(entry.space.has_late_vectors for entry in written.entries.values()):
        return load_bundle(folder)  # large vectors are read from where they lie now
    return dataclasses.replace(written, folder=folder)


def check_not_current(folder: Path, name: str) -> None:
    """Raise UserError for the current folder and those around it: replacing one leaves this process in no folder."""
    with suppress(FileNotFoundError):  # the current folder is gone already
        current = Path.cwd()
        if (given := folder.resolve()) in (current, *current.parents):
            raise UserError(
                f"`{name}={folder}` is {'' if given == current else 'around '}the current folder, and saving "
                "replaces a folder",
                "change to another folder first, or give the name of a new one",
            )


def check_new_bundle(folder: Path) -> None:
    """Raise UserError, before any work, where no bundle can be written."""
    check_not_current(folder, "folder")
    check_not_in_bundle(folder.resolve().parent, "folder")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, and a bundle is a folder", "give the name of a folder")
    if folder.is_dir() and not (folder / "manifest.json").is_file() and any(folder.iterdir()):
        raise UserError(f"{folder} is a folder of something else", "give the name of a new folder")
    if not folder.absolute().parent.is_dir():
        raise UserError(f"{folder} is in no folder that exists", "make that folder first")
    check_folder_of(folder)


def check_not_in_bundle(folder: Path, name: str) -> None:
    """Raise UserError for a bundle's folder, or one inside: the next save of the bundle would delete what is there."""
    for outer in ((given := folder.resolve()), *given.parents):
        if (outer / MANIFEST).is_file() and (outer / READER).is_dir():
            raise UserError(
                f"`{name}={folder}` is a bundle, or lies in one, and saving replaces its folder",
                "give a folder of its own",
            )


def check_same_reader(existing: Bundle | None, source: Bundle, folder: Path) -> None:
    """Raise UserError where the bundle at `folder` has another reader than the source."""
    if existing and existing.manifest.files != source.manifest.files:
        raise UserError(
            f"the bundle {folder} has another reader, which its spaces were fitted for",
            "leave the reader out, or choose another folder",
        )


def save_entry(bundle: Bundle, entry: SpaceEntry) -> Bundle:
    """The same bundle with one space added or replaced."""
    entries = {**bundle.entries, entry.space.name: entry}
    return save_bundle(bundle.folder, source=bundle, name=bundle.manifest.name, entries=entries)


ASSETS = Path(__file__).parents[1] / "assets"
DEFAULT = "reader"


def shipped_reader() -> Bundle:
    """The packaged reader: reads vectors of all-MiniLM-L6-v2, holds no space yet."""
    folder = ASSETS / DEFAULT
    if not folder.exists():
        raise UserError(
            f"this installation lacks the shipped reader ({folder})", "pip install --force-reinstall vecspeak"
        )
    return load_bundle(folder)


def open_reader(name: str | Path) -> Bundle:
    """A bundle by its path, or else the package's reader by its name. Raises UserError where there is neither."""
    if (check_path("reader", name) / MANIFEST).is_file() or name != DEFAULT:
        if not Path(name).exists():
            raise UserError(
                f"no reader {name!r}: neither a bundle's folder nor the package's reader",
                f"give a path, or {DEFAULT}",
            )
        return load_bundle(name)
    return shipped_reader()


def shipped_space() -> Path:
    """5,000 movies as vectors of all-MiniLM-L6-v2, with titles, genres and the split; no plots."""
    return PRETRAINED
