"""Runs the demo: makes its bundle, asks every question, and writes the page.

`Demo` holds what the library returned: answers with their evidence, a trace, an atlas; and where they lie on a map.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vecspeak import __version__
from vecspeak.asking import Asker
from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.demo import chapters
from vecspeak.demo.build import demo_bundle
from vecspeak.demo.chapters import ATLAS, CONCEPT, PLANS, SEED, STEPS, TRACE, Deck, Plan, Subject, genres_of
from vecspeak.demo.data import CONCEPTS, Sources
from vecspeak.encoders.text import Encodes
from vecspeak.engines import Engine
from vecspeak.errors import UserError
from vecspeak.evidence import OUTSIDE, Answer, Evidence
from vecspeak.explore.atlas import Atlas, make_atlas
from vecspeak.explore.regions import Description, RegionReader
from vecspeak.explore.trace import Judge, Trace, random_directions, trace
from vecspeak.points import Point
from vecspeak.protocols.text_judges import PhraseJudge, judge_of_source
from vecspeak.report.maps import Place, Projection, place_items
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters, by_direction
from vecspeak.spaces.search import unit_rows
from vecspeak.spaces.splits import HOLDOUT
from vecspeak.stats import Estimate
from vecspeak.storage import read_json, write_json

Say = Callable[[str], None]
"""Takes one line about what is being done now."""
BUNDLE, REPORT, DRAWING = "movies.bundle", "report.html", "movies.map.json"
STRUCTURE = 0.25
"""Silhouette from which on one may speak of groups (Kaufman and Rousseeuw 1990)."""
_REAL = 2000
"""Items that tell how much real texts vary."""
_TYPICAL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """An answer about a point, next to what is true of it."""

    subject: Subject
    answer: Answer
    genres: tuple[tuple[str, ...], ...]
    """Genres of the nearest items, in their order."""
    place: Place
    """On the map of its space."""
    parents: tuple[Place, ...]
    """Where the items lie that the point was made from."""

    @property
    def evidence(self) -> Evidence:
        """The evidence of its one point."""
        return self.answer.evidence[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        one, subject = self.evidence, self.subject
        near = zip(one.nearest, self.genres, strict=True)
        parents = zip(subject.parents, self.parents, strict=True)
        return {
            "heading": subject.heading,
            "question": self.answer.question,
            "expression": one.expression,
            "answer": self.answer.text,
            "facts": [asdict(fact) for fact in subject.facts],
            "nearest": [
                {"label": item.label, "similarity": item.similarity, "genres": genres} for item, genres in near
            ],
            "percentile": one.percentile,
            "outside": one.percentile > OUTSIDE,
            "round_trip": one.round_trip,
            "swapped": one.swapped,
            "place": _plain_place(subject.mark, self.place),
            "parents": [_plain_place(label, place) for (label, _), place in parents],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One kind of points with its exhibits."""

    plan: Plan
    exhibits: tuple[Exhibit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceChapter:
    """One movie along a concept, and the same steps along random directions."""

    start: Subject
    trace: Trace
    near: tuple[tuple[int, ...], ...]
    """How many of each step's nearest movies have the concept's genre, a row a path; no text plays a part in it."""
    places: tuple[tuple[Place, ...], ...]
    """Where the steps lie on the map, a row a path."""

    @property
    def judge(self) -> str:
        """The first judge, whose scores are drawn: a classifier of real texts where there is one."""
        return next(iter(self.trace.path.slopes))

    @property
    def is_clear(self) -> bool:
        """Whether the concept is seen more in the answers along it, and by more than along any random direction."""
        slope = self.trace.path.slopes[self.judge]
        return all(slope > abs(path.slopes[self.judge]) for path in self.trace.controls)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = zip(self.trace.paths, self.places, strict=True)
        return {
            "plan": asdict(TRACE),
            "heading": self.start.heading,
            "facts": [asdict(fact) for fact in self.start.facts],
            "trace": asdict(self.trace),
            "value": CONCEPTS[CONCEPT],
            "near": self.near,
            "places": [
                [
                    _plain_place(f"{step.amount:+g}" if step.amount else "0", place)
                    for step, place in zip(path.steps, row, strict=True)
                ]
                for path, row in rows
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What depends on the items and their regions alone, and takes time."""

    dots: tuple[tuple[float, float, int], ...]
    """Place of each drawn item and its region, -1 for none."""
    silhouette: float
    """How much nearer items lie to their own region than to the next, -1 to 1, on average."""
    of_cloud: float
    """The same for a normal cloud of the same covariance, which has no groups, cut the same way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtlasChapter:
    """The space of plots in regions."""

    atlas: Atlas
    found_share: Estimate
    """Share of regions whose answer fits them best of all, with its exact binomial interval."""
    drawing: Drawing
    is_kept: bool
    """Whether the bundle holds these regions, so that `cluster(7)` is one of them."""

    @property
    def found_back(self) -> int:
        """Regions whose answer fits them best of all."""
        return sum(one.reading is not None and one.reading.rank == 1 for one in self.atlas.regions)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the drawing."""
        return {
            "plan": asdict(ATLAS),
            "method": self.atlas.method,
            "seed": self.atlas.seed,
            "regions": [_plain_region(one) for one in self.atlas.regions],
            "found_back": self.found_back,
            "found_share": asdict(self.found_share),
            "silhouette": self.drawing.silhouette,
            "of_cloud": self.drawing.of_cloud,
            "is_kept": self.is_kept,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The whole demo."""

    language_model: str
    encoder: str
    engine: str
    spaces: tuple[dict[str, Any], ...]
    """Name, numbers of items, held-out items, dimensions and users of each space, and how the reader reads it."""
    chapters: tuple[Chapter, ...]
    trace: TraceChapter
    atlas: AtlasChapter
    version: str = __version__
    seed: int = SEED

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        """All of them, in order."""
        return tuple(exhibit for chapter in self.chapters for exhibit in chapter.exhibits)

    @property
    def wins(self) -> int:
        """Answers that fit their own vector clearly better than other vectors."""
        return sum(exhibit.evidence.is_clear for exhibit in self.exhibits)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        made = [
            {
                **{name: getattr(chapter.plan, name) for name in ("key", "title", "intro", "rule", "space")},
                "exhibits": [exhibit.to_dict() for exhibit in chapter.exhibits],
            }
            for chapter in self.chapters
        ]
        return {
            "version": self.version,
            "language_model": self.language_model,
            "encoder": self.encoder,
            "engine": self.engine,
            "seed": self.seed,
            "spaces": list(self.spaces),
            "chapters": made,
            "trace": self.trace.to_dict(),
            "atlas": self.atlas.to_dict(),
        }


def _plain_place(label: str, place: Place) -> dict[str, Any]:
    return {"label": label, "x": place[0], "y": place[1]}


def _plain_region(one: Description) -> dict[str, Any]:
    assert one.reading is not None, "every region of the demo is put into words"
    return {
        "number": one.number,
        "title": one.title,
        "items": one.num_items,
        "typical": [near.label for near in one.geometry.typical[:_TYPICAL]],
        "text": one.reading.text,
        "round_trip": one.reading.trust.round_trip,
        "swapped": one.reading.trust.swapped,
        "rank": one.reading.rank,
        "flags": list(one.flags),
    }


# --- the run ---


def run_demo(out: Path, *, say: Say) -> Demo:
    """The demo with what is installed: the shipped reader, real movies, real ratings.

    Leaves the bundle, the drawing of the atlas and `report.html` in `out`. Raises UserError when a package is
    missing or the folder cannot be written.
    """
    # Imported here: with them come the language model and the encoder, which a test does without.
    from vecspeak.bundles.bundle import shipped_reader
    from vecspeak.demo.data import find_sources
    from vecspeak.encoders.text import load_encoder
    from vecspeak.engines import open_engine

    sources, reader = find_sources(), shipped_reader()
    _make_folder(out)
    say("loading the text encoder")
    encoder = load_encoder(reader.manifest.reader.encoder)
    return make_demo(out, reader=reader, sources=sources, encoder=encoder, open_engine=open_engine, say=say)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make the folder {out}: {error.strerror}", "choose another with --out"
        ) from error


def make_demo(
    out: Path,
    *,
    reader: Bundle,
    sources: Sources,
    encoder: Encodes,
    open_engine: Callable[[Bundle], Engine],
    say: Say,
) -> Demo:
    """Make or open the bundle, ask everything, write the page. Raises UserError when the folder cannot be written."""
    from vecspeak.demo.page import write_report

    _make_folder(out)
    bundle = demo_bundle(out / BUNDLE, reader=reader, sources=sources, encoder=encoder, say=say)
    say("loading the reader")
    engine = open_engine(bundle)
    demo = ask_everything(bundle, engine, encoder, Deck(bundle, sources), drawing=out / DRAWING, say=say)
    write_report(demo, bundle, out / REPORT)
    return demo


def ask_everything(
    bundle: Bundle, engine: Engine, encoder: Encodes, deck: Deck, *, drawing: Path, say: Say
) -> Demo:
    """Answer all chapters, the questions of one space together. `drawing` is the file of the atlas's map."""
    subjects = {plan.key: deck.subjects(plan) for plan in PLANS}
    askers = {name: Asker(entry, lambda: engine, lambda: encoder) for name, entry in bundle.entries.items()}
    projections = {name: Projection.from_vectors(read_vectors(entry)) for name, entry in bundle.entries.items()}
    exhibits: dict[str, list[Exhibit]] = {plan.key: [] for plan in PLANS}
    for space in dict.fromkeys(plan.space for plan in PLANS):
        asker = askers[space]
        asked = [
            (plan.key, subject, asker.prepare(question, {"x": subject.expression}))
            for plan in PLANS
            if plan.space == space
            for subject in subjects[plan.key]
            for question in plan.questions
        ]
        say(f"answering {len(asked)} questions about {space}")
        answers = asker.answer_all([question for _, _, question in asked])
        for (key, subject, _), answer in zip(asked, answers, strict=True):
            exhibits[key].append(_exhibit(subject, answer, asker, projections[space]))
    card = bundle.manifest.reader
    return Demo(
        language_model=card.base_model,
        encoder=card.encoder,
        engine=engine.name,
        spaces=tuple(map(_space_facts, bundle.entries.values())),
        chapters=tuple(Chapter(plan=plan, exhibits=tuple(exhibits[plan.key])) for plan in PLANS),
        trace=_follow(askers[TRACE.space], deck.start_of_trace(), projections[TRACE.space], say),
        atlas=_survey(bundle, engine, encoder, drawing, say),
    )


def read_vectors(entry: SpaceEntry) -> np.ndarray:
    """[N, T] the items as the reader reads them: where the map is drawn."""
    return entry.alignment(entry.space.vectors)


def _exhibit(subject: Subject, answer: Answer, asker: Asker, project: Projection) -> Exhibit:
    nearest = answer.evidence[0].nearest
    places = [_place(asker.point(one), asker, project) for one in (subject.expression, *dict(subject.parents).values())]
    return Exhibit(
        subject=subject,
        answer=answer,
        genres=tuple(genres_of(asker.entry, asker.entry.space.index_of(one.id)) for one in nearest),
        place=places[0],
        parents=tuple(places[1:]),
    )


def _place(point: Point, asker: Asker, project: Projection) -> Place:
    ((x, y),) = project(asker.read(point)[None])
    return float(x), float(y)


def _space_facts(entry: SpaceEntry) -> dict[str, Any]:
    space = entry.space
    read_by = "read as it is: its vectors come from the reader's own text encoder"
    if not entry.alignment.is_identity:
        read_by = f"mapped to the reader by ridge regression on {entry.report['items']:,} movies"
        # The plain random share of the items, without the harder splits.
        scores = entry.report.get("splits", {}).get(HOLDOUT) or entry.report.get("held_out") or {}
        if scores.get("items"):
            read_by += (
                f"; on {scores['items']} held-out movies the mapped vector ranks the right one at a median "
                f"{scores['median_rank_percent']:.0f}% of the list (chance 50%)"
            )
    return {
        "name": space.name,
        "items": space.num_items,
        "held_out": len(entry.held_out),
        "dim": space.dim,
        "users": 0 if entry.users is None else entry.users.num_items,
        "read_by": read_by,
    }


# --- the trace ---


def _follow(asker: Asker, start: Subject, project: Projection, say: Say) -> TraceChapter:
    say(f"going along {CONCEPT} in {len(STEPS)} steps, and along random directions")
    found = trace(
        asker,
        start.expression,
        CONCEPT,
        STEPS,
        question=TRACE.questions[0],
        controls=1,
        judges=lambda: _judges(asker),
        seed=SEED,
    )
    point, entry = asker.point(start.expression), asker.entry
    places = []
    for path, vectors in zip(found.paths, step_vectors(entry, point, found), strict=True):
        moved = (replace(point, vector=row.astype(np.float32), item_id=None, kind="made") for row in vectors)
        pairs = zip(path.steps, moved, strict=True)
        places.append(tuple(_place(one if step.amount else point, asker, project) for step, one in pairs))
    genres = dict(zip(entry.space.ids, entry.space.metadata.column("genres").to_pylist(), strict=True))
    near = (
        tuple(sum(CONCEPTS[CONCEPT] in (genres[one.id] or ()) for one in step.nearest) for step in path.steps)
        for path in found.paths
    )
    return TraceChapter(start=start, trace=found, near=tuple(near), places=tuple(places))


def _judges(asker: Asker) -> list[Judge]:
    """A classifier of real texts where there are enough, and the encoder, which proves less in its own space."""
    entry = asker.entry
    real = entry.alignment(entry.space.vectors[:_REAL])
    found: list[Judge] = [PhraseJudge.among(asker.encoder, CONCEPT, "something", real)]
    if classifier := judge_of_source(entry, entry.concepts[CONCEPT]):
        found.insert(0, classifier)
    return found


def step_vectors(entry: SpaceEntry, start: Point, found: Trace) -> Sequence[np.ndarray]:
    """[S, D] for each path of a trace: where its steps lie. No expression names a control's, so they are drawn again."""
    concept = entry.concepts[found.concept]
    directions = [concept.direction.astype(np.float64)]
    for kind in ("random", "isotropic"):
        count = sum(path.kind == kind for path in found.controls)
        directions += list(random_directions(entry.space, concept, count, kind=kind, seed=SEED))
    return [
        start.vector + np.outer([step.amount * concept.scale for step in path.steps], direction)
        for path, direction in zip(found.paths, directions, strict=True)
    ]


# --- the atlas ---


def _survey(bundle: Bundle, engine: Engine, encoder: Encodes, drawing: Path, say: Say) -> AtlasChapter:
    """Cut, name and ask. Raises UserError as `make_atlas` does, and when the drawing cannot be written."""
    entry, count = bundle.entry(ATLAS.space), chapters.REGIONS

    def reader(cut: SpaceEntry) -> RegionReader:
        say(f"putting {count} regions into words")
        return RegionReader.of(bundle, Asker(cut, lambda: engine, lambda: encoder))

    say(f"cutting {ATLAS.space} into {count} regions")
    made, clusters = make_atlas(
        entry, regions=count, seed=chapters.ATLAS_SEED, reader=reader, question=ATLAS.questions[0]
    )
    assert made.found_back is not None, "the reader was asked"
    kept = entry.clusters  # a person may have put other regions into the bundle
    return AtlasChapter(
        atlas=made,
        found_share=_share(*made.found_back),
        drawing=_drawing(drawing, entry.space, clusters, say),
        is_kept=kept is not None and kept.names == clusters.names and np.array_equal(kept.labels, clusters.labels),
    )


def _share(found: int, count: int) -> Estimate:
    """A share with the interval of Clopper and Pearson."""
    from scipy.stats import binomtest

    interval = binomtest(found, count).proportion_ci()
    return Estimate(found / count, float(interval.low), float(interval.high))


def _drawing(path: Path, space: Space, clusters: Clusters, say: Say) -> Drawing:
    """The drawing from the file, or a new one where that holds none of these regions."""
    parts = [2, space.digest, chapters.ATLAS_SEED, list(clusters.names)]
    key = hashlib.sha256(json.dumps(parts).encode() + clusters.labels.tobytes()).hexdigest()
    try:
        known = read_json(path)
        if known.pop("key") == key:
            return Drawing(**known | {"dots": tuple(map(tuple, known["dots"]))})
    except (UserError, KeyError, TypeError, ValueError, AttributeError):
        pass  # none yet, or cut short: it is made again
    say("drawing the map of the regions (once)")
    rows, places = place_items(space, seed=chapters.ATLAS_SEED)
    regions = clusters.labels[rows].tolist()
    drawing = Drawing(
        dots=tuple((x, y, region) for (x, y), region in zip(places.round(3).tolist(), regions, strict=True)),
        silhouette=silhouette(space.vectors, clusters.labels),
        of_cloud=silhouette_of_cloud(space.vectors, clusters.num_regions),
    )
    write_json(path, {"key": key, **asdict(drawing)})
    return drawing


def silhouette(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette (Rousseeuw 1987) of vectors [N, D] in regions [N], by Euclidean distance of unit vectors."""
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(unit_rows(vectors), labels))


def silhouette_of_cloud(vectors: np.ndarray, count: int) -> float:
    """The same for as many normal vectors of the same mean and covariance, cut into `count` regions by k-means."""
    rng = np.random.default_rng(chapters.ATLAS_SEED)
    spread = np.cov(vectors.T.astype(np.float64))
    cloud = rng.multivariate_normal(vectors.mean(0), spread, len(vectors), method="eigh")
    return silhouette(cloud, by_direction(cloud, count, chapters.ATLAS_SEED))
