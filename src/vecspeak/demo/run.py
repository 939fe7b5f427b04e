"""Runs the demo: makes its bundle, asks every question, and writes the page."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from vecspeak.asking import Asker
from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.demo import chapters
from vecspeak.demo.build import demo_bundle
from vecspeak.demo.chapters import ATLAS, CONCEPT, PLANS, SEED, STEPS, TRACE, Deck, Subject, genres_of
from vecspeak.demo.data import CONCEPTS, Sources
from vecspeak.demo.page import write_report
from vecspeak.demo.results import AtlasChapter, Chapter, ClauseCount, Demo, Drawing, Exhibit, TraceChapter
from vecspeak.encoders.text import Encoder
from vecspeak.engines import Engine
from vecspeak.errors import UserError
from vecspeak.evaluation.clause_scores import judge_clauses
from vecspeak.evidence import Answer
from vecspeak.explore.atlas import make_atlas
from vecspeak.explore.regions import RegionReader
from vecspeak.explore.trace import Trace, random_directions, trace
from vecspeak.points import Point
from vecspeak.protocols.text_judges import judges_of_concept
from vecspeak.report.maps import Place, Projection, place_items
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters, by_direction
from vecspeak.spaces.search import unit_rows
from vecspeak.spaces.splits import HOLDOUT
from vecspeak.stats import share
from vecspeak.storage import digest, read_json, write_json
from vecspeak.tables.cells import to_python

Say = Callable[[str], None]
"""Takes one line about what is being done now."""
BUNDLE, REPORT, DRAWING = "movies.bundle", "report.html", "movies.map.json"


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
            f"cannot make the folder {out}: {error.strerror}", "choose another with `out`"
        ) from error


def make_demo(
    out: Path,
    *,
    reader: Bundle,
    sources: Sources,
    encoder: Encoder,
    open_engine: Callable[[Bundle], Engine],
    say: Say,
) -> Demo:
    """Make or open the bundle, ask everything, write the page. Raises UserError when the folder cannot be written."""
    _make_folder(out)
    bundle = demo_bundle(out / BUNDLE, reader=reader, sources=sources, encoder=encoder, say=say)
    say("loading the reader")
    engine = open_engine(bundle)
    demo = ask_everything(bundle, engine, encoder, Deck(bundle, sources), drawing=out / DRAWING, say=say)
    write_report(demo, bundle, out / REPORT)
    return demo


def ask_everything(
    bundle: Bundle, engine: Engine, encoder: Encoder, deck: Deck, *, drawing: Path, say: Say
) -> Demo:
    """Answer all chapters, the questions of one space together. `drawing` is the file of the atlas's map."""
    subjects = {plan.key: deck.subjects(plan) for plan in PLANS}
    askers = {
        name: Asker(entry, lambda: engine, lambda: encoder, words_in_prompts=True)
        for name, entry in bundle.entries.items()
    }
    projections = {
        name: Projection.from_vectors(entry.alignment(entry.space.vectors))
        for name, entry in bundle.entries.items()
    }
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
        answers = asker.answer_all([question for _, _, question in asked], effort="normal")
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
        clauses=_counted(bundle, [one.answer for some in exhibits.values() for one in some]),
    )


def _counted(bundle: Bundle, answers: Sequence[Answer]) -> ClauseCount:
    """How many clauses hold by their vectors, and how many of those about movies with a text by that too."""
    weighed = [clause for answer in answers for clause in answer.clauses if clause.probability is not None]
    checked = []
    for answer in answers:
        (one,) = answer.evidence
        if one.text:
            checked += judge_clauses([answer], [one.text], bundle.entry(one.space).term_reader)
    supported = [judged.holds for clause, judged in checked if clause.is_supported]
    others = [judged.holds for clause, judged in checked if not clause.is_supported]
    return ClauseCount(
        weighed=len(weighed),
        supported=sum(clause.is_supported for clause in weighed),
        supported_true=sum(supported),
        supported_checked=len(supported),
        others_true=sum(others),
        others_checked=len(others),
    )


def _exhibit(subject: Subject, answer: Answer, asker: Asker, project: Projection) -> Exhibit:
    nearest = answer.evidence[0].nearest
    places = [
        _place(asker.point(one), asker, project)
        for one in (subject.expression, *dict(subject.parents).values())
    ]
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
        judges=lambda: judges_of_concept(asker, asker.entry, CONCEPT),
        effort="quick",
        seed=SEED,
    )
    point, entry = asker.point(start.expression), asker.entry
    places = []
    for path, vectors in zip(found.paths, step_vectors(entry, point, found), strict=True):
        moved = (replace(point, vector=row.astype(np.float32), item_id=None, kind="made") for row in vectors)
        pairs = zip(path.steps, moved, strict=True)
        places.append(tuple(_place(one if step.amount else point, asker, project) for step, one in pairs))
    genres = dict(
        zip(entry.space.ids, to_python(entry.space.metadata.column("genres"), "genres"), strict=True)
    )
    near = (
        tuple(sum(CONCEPTS[CONCEPT] in (genres[one.id] or ()) for one in step.nearest) for step in path.steps)
        for path in found.paths
    )
    return TraceChapter(start=start, trace=found, near=tuple(near), places=tuple(places))


def step_vectors(entry: SpaceEntry, start: Point, found: Trace) -> Sequence[np.ndarray]:
    """[S, D] for each path of a trace: where its steps lie. The controls have no expression and are drawn again."""
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


def _survey(bundle: Bundle, engine: Engine, encoder: Encoder, drawing: Path, say: Say) -> AtlasChapter:
    """Cut, name and ask. Raises UserError as `make_atlas` does, and when the drawing cannot be written."""
    entry, count = bundle.entry(ATLAS.space), chapters.REGIONS

    def reader(cut: SpaceEntry) -> RegionReader:
        say(f"putting {count} regions into words")
        asker = Asker(cut, lambda: engine, lambda: encoder, words_in_prompts=True)
        return RegionReader.from_bundle(bundle, asker)

    say(f"cutting {ATLAS.space} into {count} regions")
    made, clusters = make_atlas(
        entry, regions=count, seed=chapters.ATLAS_SEED, reader=reader, question=ATLAS.questions[0]
    )
    assert made.found_back is not None, "the reader was asked"
    retained = entry.clusters  # a person may have put other regions into the bundle
    return AtlasChapter(
        atlas=made,
        found_share=share(*made.found_back),
        drawing=_drawing(drawing, entry.space, clusters, say),
        in_bundle=retained is not None
        and retained.names == clusters.names
        and np.array_equal(retained.labels, clusters.labels),
    )


def _drawing(path: Path, space: Space, clusters: Clusters, say: Say) -> Drawing:
    """The drawing from the file, or a new one where that holds none of these regions."""
    parts = [2, space.digest, chapters.ATLAS_SEED, list(clusters.names)]
    key = digest(parts, clusters.labels)
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
