"""Region: a set of items, and how they were chosen: a number of the atlas, a metadata query, or a file of ids."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from vecspeak.asking import Asker, PreparedQuestion
from vecspeak.bounds import parse_json, read_data
from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.display import bullets, element
from vecspeak.engines import Sampling
from vecspeak.errors import UserError, check_path, check_seed, check_text, listed, shown_value
from vecspeak.evidence import Answer, Evidence, Neighbor, Neighbors, Words
from vecspeak.explore.contrast import Contrast, Facts, FeatureContrast, contrast
from vecspeak.explore.names import RegionName
from vecspeak.model.alignment import unit
from vecspeak.points import Point
from vecspeak.searching import Effort
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters
from vecspeak.spaces.search import unit_rows
from vecspeak.stats import Estimate, estimate
from vecspeak.storage import Cache, digest

if TYPE_CHECKING:
    from vecspeak.points.queries import QueryTree


_CLUSTER = re.compile(r"\s*cluster\(\s*(\d{1,9})\s*\)\s*")
_BLOCK = 65_536


_PAIRS = 5000
"""Random pairs of items."""


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
            f"make them with `VecSpeak.atlas(space='{entry.space.name}')`",
        )
    return entry.clusters


def where_region(space: Space, query: str) -> Region:
    """The items that a metadata query finds. Raises UserError for what is no query, and where it finds none."""
    from vecspeak.points.parser import parse_query
    from vecspeak.points.queries import rows_where

    tree = parse_query(query)
    rows = rows_where(space, tree)
    if not len(rows):
        raise UserError(f"no item of {space.name!r} is found by {query}", "ask for something wider")
    return Region(name=f"centroid({query.strip()})", rows=rows, columns=_columns(tree))


def _columns(query: "QueryTree") -> tuple[str, ...]:
    """The columns that a query names, each once."""
    from vecspeak.points.queries import And, ColumnComparison, Not, Or

    match query:
        case ColumnComparison(column=column):
            return (column,)
        case Not(operand=operand):
            return _columns(operand)
        case And(parts=parts) | Or(parts=parts):
            return tuple(dict.fromkeys(column for part in parts for column in _columns(part)))
    raise TypeError(f"not a query: {query!r}")


def ids_region(space: Space, given: str | Path | Sequence[str]) -> Region:
    """The items whose ids a sequence or a file holds: in a file one a line, or a JSON list of them.

    Raises UserError for a missing file, for one without ids, and for ids that the space does not have.
    """
    if isinstance(given, str | Path):
        path = check_path("ids", given)
        found, source, name = _ids(path), str(given), f"ids of {path.name}"
    else:
        if not isinstance(given, Iterable) or hasattr(given, "columns"):
            raise UserError(
                f"`ids` is a list of ids, got {shown_value(given)}", "give ids=['ID', ...] or a file"
            )
        found, source = list(dict.fromkeys(map(str, given))), "the list"
        name = f"{len(found):,} ids"
    ids = list(dict.fromkeys(found))
    if not ids:
        raise UserError(f"{source} holds no ids", "write one id a line, or a JSON list of them")
    rows = space.ids.find(ids)
    unknown = [item for item, row in zip(ids, rows, strict=True) if row < 0]
    if unknown:
        raise UserError(
            f"{len(unknown)} of {len(ids)} ids in {source} are not in {space.name!r}: "
            f"{listed(map(repr, unknown))}",
            f"ids look like {space.ids[0]!r}",
        )
    return Region(name=name, rows=np.sort(rows))


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


def selected_region(
    entry: SpaceEntry, cluster: int | None, where: str, ids: Path | Sequence[str] | None
) -> Region:
    """The region that the one given argument says. Raises UserError for none and for several."""
    given = [cluster is not None, bool(check_text("where", where).strip()), ids is not None]
    if sum(given) != 1:
        raise UserError(
            f"{sum(given)} of `cluster`, `where` and `ids` are given, and one says which items are meant",
            "give cluster=0, where='genres = \"Horror\"' or ids=FILE",
        )
    if cluster is not None:
        return cluster_region(entry, cluster)
    return ids_region(entry.space, ids) if ids is not None else where_region(entry.space, where)


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


def random_cosines(space: Space, seed: int) -> np.ndarray:
    """Cosines of 5,000 random pairs of items, those of an item with itself left out: what a score is held against."""
    ones, others = np.random.default_rng(seed).integers(space.num_items, size=(2, _PAIRS))
    apart = ones != others
    return np.einsum(
        "pd,pd->p", unit_rows(space.vectors[ones[apart]]), unit_rows(space.vectors[others[apart]])
    )


def _ids(path: Path) -> list[str]:
    try:
        text = read_data(path).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}", "check the path") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "check the path") from error
    except UnicodeDecodeError as error:
        raise UserError(f"cannot read {path} as text ({error})", "give a UTF-8 text file") from error
    if not text.lstrip().startswith("["):
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        found = parse_json(text, path)
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} begins like JSON and is none ({error})", "write one id a line") from error
    if not all(isinstance(item, str | int) and not isinstance(item, bool) for item in found):
        raise UserError(
            f"{path} holds more than ids: a list of texts or whole numbers was expected",
            "write one id a line",
        )
    return list(map(str, found))


_JUDGED = 2000
"""Members that the spread is measured on where there are more, and of which random sets are made."""
_DRAWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where the members lie."""

    percentile: float
    """Share of the real items, in percent, that lie nearer to their neighbours than the centroid does."""
    spread: Estimate
    """Mean cosine of a member to the centroid, with its interval over members: 1 is all in one place."""
    random: Estimate
    """The same of as many items drawn at random, each to their own centroid: mean, and 95% of 100 draws."""
    typical: Neighbors
    """The members nearest to the centroid, nearest first."""
    edge: Neighbors
    """The members farthest from it, farthest first."""

    @property
    def is_tight(self) -> bool:
        """Whether the members lie closer together than random items do, beyond chance."""
        return self.spread.low > self.random.high


def geometry(entry: SpaceEntry, region: Region, *, count: int = 5, seed: int = 0) -> Geometry:
    """Measure a region; `count` members are named on each side."""
    space = entry.space
    centroid = region.point(space).vector
    similar = unit_rows(space.vectors[region.rows]) @ unit_rows(centroid.astype(np.float64))
    order = np.argsort(-similar, kind="stable")
    draw = np.random.default_rng(seed)
    judged = similar if len(similar) <= _JUDGED else draw.choice(similar, _JUDGED, replace=False)
    chance = np.array([_closeness(space, len(judged), draw) for _ in range(_DRAWS)])
    low, high = np.percentile(chance, [2.5, 97.5])
    return Geometry(
        percentile=float(entry.distance("items").percentile(centroid[None])[0]),
        spread=estimate(judged, seed=seed),
        random=Estimate(float(chance.mean()), float(low), float(high)),
        typical=_named(space, region.rows, similar, order[:count]),
        edge=_named(space, region.rows, similar, order[::-1][: min(count, max(len(order) - count, 0))]),
    )


def _closeness(space: Space, count: int, draw: np.random.Generator) -> float:
    """Mean cosine of random items to their own centroid."""
    rows = draw.choice(space.num_items, count, replace=False, shuffle=False)
    vectors = space.vectors[rows]
    center = vectors.mean(0, dtype=np.float64)  # sums of numbers near the limit of float32 overflow
    if not center.any():
        return 0.0
    return float((unit_rows(vectors) @ unit_rows(center)).mean())


def _named(space: Space, rows: np.ndarray, similar: np.ndarray, places: np.ndarray) -> Neighbors:
    return Neighbors(
        Neighbor(id=space.ids[rows[place]], label=space.labels[rows[place]], similarity=float(similar[place]))
        for place in places.tolist()
    )


QUESTION = "Describe {x}."
COMPARE = "Compare {x} with {y}."
_SECOND = "The second:"
"""Where the half of an answer begins that is about y, in the words that readers learn."""
_TRIFLE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionAnswer:
    """What was said of a region's centroid."""

    question: str
    text: str
    trust: Evidence
    rank: int | None
    """How many regions of the atlas, and one, the answer fits at least as well as this one: 1 is the best. None
    where there is no atlas."""
    among: int
    """Regions that were looked at for it."""

    def _repr_html_(self) -> Markup:
        rank = "" if self.rank is None else f"fits this region {self.rank}. best of {self.among}"
        return element(
            "div",
            element("p", element("strong", self.text)),
            self.trust._repr_html_(),
            element("small", rank),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedAnswer:
    """What was said of two places at once."""

    question: str
    text: str
    trust: tuple[Evidence, ...]
    """One a slot."""
    told_apart: float | None
    """How much better each half of the answer fits its own place than the other, in cosine, on average of both: 0 or
    less is an answer that would fit as well the other way round. None where the answer has no two halves."""
    flags: tuple[str, ...] = ()
    """Attributes that the answer states of a person and that ratings do not tell."""

    @property
    def is_distinct(self) -> bool:
        """Whether the halves fit their own places by more than a trifle (0.05, a rule of thumb)."""
        return self.told_apart is not None and self.told_apart >= _TRIFLE


_LONGEST = 64
"""Tokens of what is said of a region."""


class RegionReader:
    """Asks about points that no expression names; answers are kept in a file where one is given."""

    def __init__(
        self,
        asker: Asker,
        *,
        weights: str = "",
        cache: Path | None = None,
        sampling: Sampling | None = None,
        effort: Effort | None = "normal",
    ) -> None:
        """`effort` is for what is said of one point; of two the likeliest tokens are taken, as the reader learned."""
        self.asker = asker
        self.effort = effort
        self.sampling = sampling or Sampling(max_new_tokens=_LONGEST)
        self._weights = weights
        self._cache = Cache(cache)

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, asker: Asker, cache: Path | None = None, *, effort: Effort | None = "normal"
    ) -> "RegionReader":
        """A reader of a bundle; `cache` is a file of answers that were given before."""
        weights = digest([bundle.manifest.reader.base_sha256, bundle.manifest.files])
        return cls(asker, weights=weights, cache=cache, effort=effort)

    def read(
        self,
        question: str,
        points: Sequence[Point],
        *,
        regions: np.ndarray | None = None,
        own: Sequence[int | None] = (),
        progress: str = "",
    ) -> list[RegionAnswer]:
        """Ask the same of every point; `regions` [K, D] are the centroids that an answer is held against.

        `own` are the numbers of the regions that the points are the centroids of, None for others.
        Raises UserError for a question that is none.
        """
        asked = [self.asker.prepare_points(question, {"x": point}) for point in points]
        answers = self._answered(asked, self.effort, progress)
        vectors = unit(self.asker.encoder.encode([one.text or "(no answer)" for one in answers]))
        numbers = own or [None] * len(points)
        return [
            RegionAnswer(
                question=question,
                text=answer.text,
                trust=answer.evidence[0],
                rank=None if regions is None else self._rank(vector, answer.evidence[0], regions, number),
                among=0 if regions is None else len(regions) + (number is None),
            )
            for answer, vector, number in zip(answers, vectors, numbers, strict=True)
        ]

    def compare(self, question: str, first: Point, second: Point) -> ComparedAnswer:
        """Ask about two points at once. Raises UserError for a question that is none, or not about both."""
        asked = self.asker.prepare_points(question, {"x": first, "y": second})
        (answer,) = self._answered([asked], None)
        return ComparedAnswer(
            question=question,
            text=answer.text,
            trust=answer.evidence,
            told_apart=self._margin(answer.text, first, second),
            flags=answer.flags,
        )

    def _answered(
        self, asked: Sequence[PreparedQuestion], effort: Effort | None, progress: str = ""
    ) -> list[Answer]:
        from vecspeak.evaluation.answering import answer, search

        engine, prompts = self.asker.engine, [one.prompt for one in asked]
        options: dict[str, Any] = {
            "key": f"{engine.name}/{self._weights}",
            "cache": self._cache,
            "progress": progress,
        }
        if effort:
            found = search(
                engine, self.asker.encoder, prompts, self.sampling, effort,
                terms_of=lambda number, texts: self.asker.terms_in(asked[number], texts), **options,
            )  # fmt: skip
            texts = [one.text for one in found]
        else:
            texts = answer(engine, prompts, self.sampling, **options)
        return [self.asker.judge(one, text) for one, text in zip(asked, texts, strict=True)]

    def _rank(self, vector: np.ndarray, trust: Evidence, regions: np.ndarray, own: int | None) -> int:
        scores = self.asker.entry.alignment(regions, "made") @ vector
        others = np.delete(scores, own) if own is not None else scores
        return 1 + int((others > trust.round_trip).sum())

    def _margin(self, text: str, first: Point, second: Point) -> float | None:
        before, found, after = text.partition(_SECOND)
        if not found or not before.strip() or not after.strip():
            return None
        halves = unit(self.asker.encoder.encode([before.removeprefix("The first:").strip(), after.strip()]))
        apart = self.asker.read(first) - self.asker.read(second)
        return float(((halves[0] - halves[1]) @ apart) / 2)


FAR = 99.0
"""Percentile from which on a point lies outside the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A region in facts, numbers and words."""

    name: str
    """How it was chosen, such as `cluster(7)`."""
    title: str
    """What an atlas called it; empty where none did."""
    number: int | None
    """Its number in the atlas."""
    num_items: int
    share: float
    """Of the space's items."""
    shared: Contrast
    """Its members against all other items."""
    around: str
    """What lies around it: the nearest other region, or the nearest items outside."""
    around_cosine: float
    """Cosine of its centroid and theirs."""
    apart: Contrast
    """Its members against those, as far as they also differ from all other items."""
    geometry: Geometry
    words: Words = Words()  # noqa: RUF009  # an empty tuple
    """What is read from the centroid without a language model, with probabilities."""
    left_out: tuple[str, ...] = ()
    """Columns that the region was chosen by, so that they are in neither contrast."""
    named: RegionName | None = None
    """Its title with how well that fits the members, where an atlas named it."""
    num_assigned: int = 0
    """Items that are in no region and lie nearest to this one; they are counted in nothing else."""
    groups: tuple[str, ...] = ()
    """The groups of the coarser levels that it is in, the coarsest first."""
    reading: RegionAnswer | None = None
    """What the reader says of the centroid; None where it was not asked."""
    difference: ComparedAnswer | None = None
    """What it says of the centroid and that of the surroundings."""

    @property
    def flags(self) -> tuple[str, ...]:
        """What speaks against trusting it, in words; empty where nothing does."""
        reading = self.reading
        found = {
            "as widely spread as random items": not self.geometry.is_tight,
            "centroid outside the data": self.geometry.percentile > FAR,
            "weak round trip": reading is not None and not reading.trust.is_clear,
            "the answer fits another region better": reading is not None and (reading.rank or 1) > 1,
            "nothing is over-represented": self.shared.is_empty,
        }
        return tuple(flag for flag, holds in found.items() if holds)

    def __repr__(self) -> str:
        return f"Description({self.title or self.name!r}, {self.num_items:,} items)"

    def __str__(self) -> str:
        said = [self.reading.text] if self.reading else []
        found = f"over-represented: {', '.join(map(feature_name, self.shared.features)) or 'nothing'}"
        return "\n".join([f"{self.title or self.name}: {self.num_items:,} items", *said, found, *self.flags])

    def _repr_html_(self) -> Markup:
        """What the members share, the reader's words with their evidence, and what speaks against both."""
        return element(
            "div",
            element("strong", f"{self.title or self.name}: {self.num_items:,} items ({self.share:.1%})"),
            element("p", f"words: {self.words}") if self.words else "",
            self.reading._repr_html_() if self.reading else "",
            self.shared._repr_html_(),
            element("small", f"most typical: {self.geometry.typical}"),
            bullets(self.flags),
        )


def describe(
    entry: SpaceEntry,
    region: Region,
    *,
    facts: Facts | None = None,
    shared: Contrast | None = None,
    reader: RegionReader | None = None,
    question: str = QUESTION,
    compare: str = COMPARE,
    seed: int = 0,
) -> Description:
    """Describe a region; without a `reader` only what can be counted and measured.

    `facts` and `shared` are taken where they are known already. Columns that the region was chosen by are in neither
    contrast: they would tell the choice back. Raises UserError for a region that holds everything,
    and for questions that are none.
    """
    check_seed(seed)
    check_text("question", question)
    facts = (Facts.from_space(entry.space) if facts is None else facts).without(region.columns)
    around = surroundings(entry, region)
    points = [one.point(entry.space) for one in (region, around)]
    units = unit_rows(np.stack([point.vector for point in points]).astype(np.float64))
    found = Description(
        name=region.name,
        title=region.title,
        number=region.number,
        num_items=len(region),
        share=len(region) / entry.space.num_items,
        shared=contrast(facts, region.rows) if shared is None else shared,
        around=around.full_name,
        around_cosine=float(units[0] @ units[1]),
        apart=contrast(facts, region.rows, around.rows, beyond_all=True),
        geometry=geometry(entry, region, seed=seed),
        words=entry.words(points[0].vector[None], points[0].kind)[0],
        left_out=region.columns,
    )
    if reader is None:
        return found
    regions = None if entry.clusters is None else entry.clusters.centroids
    reading = reader.read(question, points[:1], regions=regions, own=[region.number])[0]
    return dataclasses.replace(found, reading=reading, difference=reader.compare(compare, *points))


_NO_NAMES = frozenset({"true", "false"})
"""Values that say nothing without their column."""


def feature_name(shared: FeatureContrast) -> str:
    """What a value is called where its column matters: `has plot: true`."""
    return f"{shared.column}: {shared.name}" if shared.name.casefold() in _NO_NAMES else shared.name
