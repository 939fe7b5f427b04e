"""Run: asks the demo's questions and gathers the answers with their evidence.

Knows bundles, an engine, an encoder and the chapters. Prints nothing and writes only below the folder given.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vecspeak import __version__
from vecspeak.asking import Asker, PreparedQuestion
from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.demo.atlas import survey
from vecspeak.demo.build import demo_bundle
from vecspeak.demo.chapters import (
    PLANS,
    SEED,
    TRACE,
    Deck,
    Plan,
    Subject,
    genres_of,
    start_of_trace,
    subjects_of,
)
from vecspeak.demo.data import Sources
from vecspeak.demo.places import Projection
from vecspeak.demo.report import write_report
from vecspeak.demo.results import OUTSIDE, Chapter, Demo, Exhibit, Neighbour, Place, SpaceFacts
from vecspeak.demo.steps import follow
from vecspeak.encoders.text import Encoder
from vecspeak.engines import Engine
from vecspeak.errors import UserError
from vecspeak.evidence import Answer
from vecspeak.spaces.splits import HOLDOUT

Say = Callable[[str], None]
"""Takes one line about what is being done now."""
BUNDLE, REPORT, DRAWING = "movies.bundle", "report.html", "movies.map.json"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Question:
    """A question of a chapter about a point, prepared."""

    plan: Plan
    subject: Subject
    asked: PreparedQuestion


def run_demo(out: Path, *, say: Say) -> Demo:
    """The demo with what is installed: the shipped reader, real movies, real ratings.

    Leaves the bundle, the drawing of the atlas and `report.html` in `out`. Raises UserError when a package is
    missing or the folder cannot be written.
    """
    from vecspeak.bundles.bundle import shipped_reader
    from vecspeak.demo.data import find_sources
    from vecspeak.encoders.text import load_encoder
    from vecspeak.engines import open_engine

    sources, reader = find_sources(), shipped_reader()
    make_folder(out)
    say("loading the text encoder")
    encoder = load_encoder(reader.manifest.reader.encoder)
    return make_demo(out, reader=reader, sources=sources, encoder=encoder, open_engine=open_engine, say=say)


def make_folder(out: Path) -> None:
    """Make the folder of the demo. Raises UserError when that is not possible."""
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
    encoder: Encoder,
    open_engine: Callable[[Bundle], Engine],
    say: Say,
) -> Demo:
    """Make or open the bundle, ask everything, write the report."""
    make_folder(out)
    bundle = demo_bundle(out / BUNDLE, reader=reader, sources=sources, encoder=encoder, say=say)
    say("loading the reader")
    engine = open_engine(bundle)
    demo = ask_everything(bundle, engine, encoder, Deck.of(bundle, sources), drawing=out / DRAWING, say=say)
    write_report(demo, bundle, out / REPORT)
    return demo


def ask_everything(
    bundle: Bundle, engine: Engine, encoder: Encoder, deck: Deck, *, drawing: Path, say: Say
) -> Demo:
    """All chapters; the questions of one space are answered together. `drawing` is the file of the atlas's map."""
    subjects = {plan.key: subjects_of(plan, deck) for plan in PLANS}
    exhibits: dict[str, list[Exhibit]] = {plan.key: [] for plan in PLANS}
    askers = {name: Asker(entry, lambda: engine, lambda: encoder) for name, entry in bundle.entries.items()}
    projections = {name: Projection.of(read_vectors(entry)) for name, entry in bundle.entries.items()}
    for space in dict.fromkeys(plan.space for plan in PLANS):
        asker = askers[space]
        questions = [
            _Question(plan=plan, subject=subject, asked=asker.prepare(question, {"x": subject.expression}))
            for plan in PLANS
            if plan.space == space
            for subject in subjects[plan.key]
            for question in plan.questions
        ]
        say(f"answering {len(questions)} questions about {space}")
        answers = asker.answer_all([question.asked for question in questions])
        for question, answer in zip(questions, answers, strict=True):
            exhibits[question.plan.key].append(_exhibit(question, answer, asker, projections[space]))
    trace = follow(askers[TRACE.space], start_of_trace(deck), projections[TRACE.space], say=say)
    card = bundle.manifest.reader
    return Demo(
        version=__version__,
        language_model=card.base_model,
        encoder=card.encoder,
        engine=engine.name,
        seed=SEED,
        spaces=tuple(_facts(entry) for entry in bundle.entries.values()),
        chapters=tuple(_chapter(plan, exhibits[plan.key]) for plan in PLANS),
        trace=trace,
        atlas=survey(bundle, engine, encoder, drawing=drawing, say=say),
    )


def read_vectors(entry: SpaceEntry) -> np.ndarray:
    """[N, T] the items as the reader reads them: where the map is drawn."""
    return entry.alignment(entry.space.vectors)


def _exhibit(question: _Question, answer: Answer, asker: Asker, project: Projection) -> Exhibit:
    (trust,) = answer.evidence
    subject, entry = question.subject, asker.entry
    near = (
        Neighbour(
            label=one.label,
            similarity=one.similarity,
            genres=genres_of(entry, entry.space.index_of(one.id)),
        )
        for one in trust.nearest
    )
    return Exhibit(
        heading=subject.heading,
        question=answer.question,
        expression=trust.expression,
        answer=answer.text,
        facts=subject.facts,
        nearest=tuple(near),
        percentile=trust.percentile,
        outside=trust.percentile > OUTSIDE,
        round_trip=trust.round_trip,
        swapped=trust.swapped,
        place=_place(subject.mark, question.asked, asker, project),
        parents=tuple(
            _place(label, asker.prepare("{x}", {"x": expression}), asker, project)
            for label, expression in subject.parents
        ),
    )


def _place(label: str, asked: PreparedQuestion, asker: Asker, project: Projection) -> Place:
    (at,) = project(asker.read(asked.points["x"])[None])
    return Place(label=label, x=float(at[0]), y=float(at[1]))


def _chapter(plan: Plan, exhibits: list[Exhibit]) -> Chapter:
    return Chapter(
        key=plan.key,
        title=plan.title,
        intro=plan.intro,
        rule=plan.rule,
        space=plan.space,
        exhibits=tuple(exhibits),
    )


def _plain_scores(entry: SpaceEntry) -> dict[str, Any]:
    """The map's scores on the plain random share of the items, without the harder splits."""
    return entry.report.get("splits", {}).get(HOLDOUT) or entry.report.get("held_out") or {}


def _facts(entry: SpaceEntry) -> SpaceFacts:
    space, scores = entry.space, _plain_scores(entry)
    read_by = "read as it is: its vectors come from the reader's own text encoder"
    if not entry.alignment.is_identity:
        read_by = f"mapped to the reader by ridge regression on {entry.report['items']:,} movies"
        if scores.get("items"):
            read_by += (
                f"; on {scores['items']} held-out movies the mapped vector ranks the right one at a median "
                f"{scores['median_rank_percent']:.0f}% of the list (chance 50%)"
            )
    return SpaceFacts(
        name=space.name,
        items=space.num_items,
        held_out=len(entry.held_out),
        dim=space.dim,
        users=0 if entry.users is None else entry.users.num_items,
        read_by=read_by,
    )
