"""Steps: the demo's trace, a movie along a concept and along random directions, with what judges the answers.

Knows an asker, the chapter's plan and places on the map. Draws by the demo's seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from vecspeak.asking import Asker
from vecspeak.bundles import SpaceEntry
from vecspeak.demo.chapters import CONCEPT, SEED, STEPS, TRACE, Subject, genres_of
from vecspeak.demo.data import CONCEPTS
from vecspeak.demo.places import Projection
from vecspeak.demo.results import Place, TraceChapter
from vecspeak.explore.trace import Judge, Path, Trace, random_directions, trace
from vecspeak.points import Point
from vecspeak.protocols.text_judges import PhraseJudge, judge_of_source

_REAL = 2000
"""Items that tell how much real texts vary."""


def follow(
    asker: Asker, subject: Subject, project: Projection, *, say: Callable[[str], None]
) -> TraceChapter:
    """Ask at every step. Raises UserError as `trace` does."""
    say(f"going along {CONCEPT} in {len(STEPS)} steps, and along random directions")
    found = trace(
        asker,
        subject.expression,
        CONCEPT,
        STEPS,
        question=TRACE.questions[0],
        controls=1,
        judges=lambda: _judges(asker),
        seed=SEED,
    )
    start = asker.point(subject.expression)
    genre = CONCEPTS[CONCEPT]
    return TraceChapter(
        plan=TRACE,
        heading=subject.heading,
        facts=subject.facts,
        trace=found,
        value=genre,
        near=tuple(_near(asker.entry, path, genre) for path in found.paths),
        places=tuple(
            _places(path, vectors, start, asker, project)
            for path, vectors in zip(found.paths, step_vectors(asker.entry, start, found), strict=True)
        ),
    )


def _judges(asker: Asker) -> list[Judge]:
    """A classifier of real texts where there are enough, and the encoder, which proves less in its own space."""
    entry = asker.entry
    real = entry.alignment(entry.space.vectors[:_REAL])
    found: list[Judge] = [PhraseJudge.among(asker.encoder, CONCEPT, "something", real)]
    if classifier := judge_of_source(entry, entry.concepts[CONCEPT]):
        found.insert(0, classifier)
    return found


def _near(entry: SpaceEntry, path: Path, genre: str) -> tuple[int, ...]:
    """How many of each step's nearest items have the genre."""
    return tuple(
        sum(genre in genres_of(entry, entry.space.index_of(one.id)) for one in step.nearest)
        for step in path.steps
    )


def step_vectors(entry: SpaceEntry, start: Point, found: Trace) -> Sequence[np.ndarray]:
    """[S, D] for each path of a trace: where its steps lie. No expression names a control's, so they are made again."""
    concept = entry.concepts[found.concept]
    directions = [concept.direction.astype(np.float64)]
    for kind in ("random", "isotropic"):
        count = sum(path.kind == kind for path in found.controls)
        directions += list(random_directions(entry.space, concept, count, kind=kind, seed=SEED))
    return [
        start.vector + np.outer([step.amount * concept.scale for step in path.steps], direction)
        for path, direction in zip(found.paths, directions, strict=True)
    ]


def _places(
    path: Path, vectors: np.ndarray, start: Point, asker: Asker, project: Projection
) -> tuple[Place, ...]:
    found = []
    for step, vector in zip(path.steps, vectors, strict=True):
        point = replace(start, vector=vector.astype(np.float32), item_id=None, kind="made")
        ((x, y),) = project(asker.read(start if step.amount == 0 else point)[None])
        found.append(Place(label=f"{step.amount:+g}" if step.amount else "0", x=float(x), y=float(y)))
    return tuple(found)
