"""Chapters of the demo: what is asked, about which points, and what is true of them.

Points are drawn by a fixed seed and the rule that each chapter states; no answer plays a part in it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.demo.data import BEHAVIORAL, CONCEPTS, SEMANTIC, Sources, Viewer, plots, read_viewers
from vecspeak.explore.tastes import Taste, TasteReader
from vecspeak.points import evaluate
from vecspeak.points.expressions import id_call
from vecspeak.spaces.point import quoted
from vecspeak.spaces.splits import HOLDOUT
from vecspeak.tables.cells import cell, to_python
from vecspeak.tasks.task_set import join_words, opening

SEED = 2024
MIN_PLOT = 200
"""Shortest plot, in characters, that a person can judge an answer by."""
MIN_MOVIE_RATINGS, MIN_VIEWER_RATINGS = 20, 50
_TASTES = 5
"""Terms that a viewer likes more, and less, than others."""
TOWARDS = 12
"""Standard deviations that a movie is moved along a concept.

One direction of 384 holds little: on 60 held-out movies, 2 left the neighbors as they were (7% of the five nearest
were horror, then 13%); with 12 half were, and no point lay outside the data.
"""
STEPS = tuple(float(amount) for amount in range(-TOWARDS, TOWARDS + 1, 4))
"""Amounts of the trace, in standard deviations; those below 0 are the reverse of the concept."""
CONCEPT = next(iter(CONCEPTS))
"""The concept of the trace: the first of the demo's."""
REGIONS, ATLAS_SEED = 30, 0
"""Regions of the atlas, and the seed of `vecspeak atlas`, so that the same come out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChapterPlan:
    """One chapter: what it shows, in which space, with which questions."""

    key: str
    title: str
    intro: str
    rule: str
    """How its points are drawn."""
    space: str
    items: int
    """Items, pairs or viewers that are drawn."""
    questions: tuple[str, ...]
    """Each is asked of each."""


PLANS = (
    ChapterPlan(
        key="unseen",
        title="A movie the reader never saw",
        intro="The vector of a plot that was held out of training. The reader gets the vector, not the plot.",
        rule=f"Drawn from the movies with a plot of {MIN_PLOT} characters or more that training held out.",
        space=SEMANTIC,
        items=3,
        questions=("Describe the movie {x}.",),
    ),
    ChapterPlan(
        key="between",
        title="Halfway between two movies",
        intro="The midpoint of two such vectors. No movie lies there, so both ends are shown.",
        rule="Pairs drawn by the same rule.",
        space=SEMANTIC,
        items=2,
        questions=("Describe the movie {x}.",),
    ),
    ChapterPlan(
        key="moved",
        title="A movie moved towards horror and towards comedy",
        intro=f"The same vector as it is, and moved {TOWARDS} standard deviations along a direction that tells "
        "horror (or comedy) from other movies. Look for what changes, and for the genres nearby.",
        rule="Drawn by the same rule from those that are neither horror nor comedy.",
        space=SEMANTIC,
        items=2,
        questions=("Describe the movie {x}.",),
    ),
    ChapterPlan(
        key="rated",
        title="A movie known only through ratings",
        intro="This vector comes from who rated the movie and how; no word about it went in. A map fitted on "
        "other movies carries it to where the reader reads.",
        rule=f"Drawn from the movies with {MIN_MOVIE_RATINGS} ratings or more that the map held out; those "
        "whose plot the reader's corpus lacks come first.",
        space=BEHAVIORAL,
        items=3,
        questions=("Describe {x}.",),
    ),
    ChapterPlan(
        key="viewer",
        title="A viewer known only through ratings",
        intro="The vector of a person, made from their ratings alone and read as if it were a movie. What comes "
        "out is an inference about taste, not a fact about anyone.",
        rule=f"Drawn from the viewers with {MIN_VIEWER_RATINGS} ratings or more.",
        space=BEHAVIORAL,
        items=2,
        questions=("Describe {x}.",),
    ),
)
TRACE = ChapterPlan(
    key="trace",
    title="One movie, step by step",
    intro=f"One vector moved away from {CONCEPT} and towards it; then the same steps in a random direction, which "
    f"knows nothing of {CONCEPT}. Look for where the answers turn, and for what a random direction changes as well.",
    rule=f"Drawn by the rule of chapter 3, the next after its movies. The concept is the first of the demo's, and the "
    f"random directions are drawn with seed {SEED}.",
    space=SEMANTIC,
    items=1,
    questions=("Describe the movie {x}.",),
)
ATLAS = ChapterPlan(
    key="atlas",
    title="All movies at once: an atlas",
    intro=f"The space cut into {REGIONS} regions of vectors that point the same way. A region's name is counted from "
    "its movies' genres and plots; the sentence is what the reader says of the region's mean vector, without the name.",
    rule="Every region is here, the largest first. Cut as an atlas does it.",
    space=SEMANTIC,
    items=REGIONS,
    questions=("Describe {x} in one sentence.",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something true that stands next to an answer."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A point that a chapter asks about, and what is true of it."""

    heading: str
    expression: str
    facts: tuple[Fact, ...]
    mark: str
    """Label on the map."""
    parents: tuple[tuple[str, str], ...] = ()
    """Label and expression of the items that it was made from, where it is not one itself."""


class Deck:
    """Draws the points of the chapters, which are to be asked for in order: no movie is drawn twice.

    Raises UserError where the sources are broken.
    """

    def __init__(self, bundle: Bundle, sources: Sources) -> None:
        self.semantic, self.behavioral = bundle.entry(SEMANTIC), bundle.entry(BEHAVIORAL)
        self.plots = plots(sources.movies)
        self.viewers = read_viewers(sources.ratings, _viewer_order(self.behavioral))
        self._unseen = _unseen_order(self.semantic, self.plots)

    def subjects(self, plan: ChapterPlan) -> list[Subject]:
        """The points of a chapter."""
        if plan.key == "rated":
            return [_rated(self.behavioral, row) for row in _rated_order(self.behavioral)[: plan.items]]
        if plan.key == "viewer":
            reader = TasteReader(self.behavioral)
            return [self._viewer(viewer, reader) for viewer in self.viewers.values()]
        if plan.key == "unseen":
            return [self._movie(next(self._unseen), 420) for _ in range(plan.items)]
        draw = {"between": self._between, "moved": self._moved}[plan.key]
        return [subject for _ in range(plan.items) for subject in draw()]

    def start_of_trace(self) -> Subject:
        """The movie that the trace starts from."""
        return self._movie(self._next_other(), 420)

    def _movie(self, row: int, letters: int) -> Subject:
        space = self.semantic.space
        facts = (
            Fact(name="Genres", text=", ".join(genres_of(self.semantic, row)) or "none given"),
            Fact(name="The plot begins", text=opening(self.plots[space.ids[row]], letters)),
        )
        label = space.labels[row]
        return Subject(heading=label, expression=_expression(self.semantic, row), facts=facts, mark=label)

    def _viewer(self, viewer: Viewer, reader: TasteReader) -> Subject:
        name = viewer.id if viewer.id.isdigit() else quoted(viewer.id)
        over = tuple(f"{genre} (+{above:.1f})" for genre, above in viewer.tastes.items())
        predicted = reader.read(evaluate(f"user({name})", self.behavioral.scope), _TASTES)
        facts = (
            Fact(name="By the vector, likes more than others", text=_listed(predicted.more)),
            Fact(name="By the vector, likes less than others", text=_listed(predicted.less)),
            Fact(name="More of what is in", text="; ".join(predicted.like[:_TASTES])),
            Fact(name="Less of what is in", text="; ".join(predicted.unlike[:_TASTES])),
            Fact(name="Rated highest", text="; ".join(viewer.liked)),
            Fact(name="Rated lowest", text="; ".join(viewer.disliked)),
            Fact(name="Genres over their average", text=join_words(over) or "none clearly"),
            Fact(name="Known from", text=f"{viewer.num_ratings} ratings, {viewer.mean:.1f} stars on average"),
        )
        return Subject(
            heading=f"Viewer {viewer.id}", expression=f"user({name})", facts=facts, mark=f"viewer {viewer.id}"
        )

    def _next_other(self) -> int:
        """The next movie of the draw that is of neither concept."""
        return next(
            row
            for row in self._unseen
            if not any(
                word in genre.casefold() for genre in genres_of(self.semantic, row) for word in CONCEPTS
            )
        )

    def _between(self) -> list[Subject]:
        rows = (next(self._unseen), next(self._unseen))
        space = self.semantic.space
        labels, ends = [space.labels[row] for row in rows], [_expression(self.semantic, row) for row in rows]
        facts = [
            Fact(
                name=label,
                text=f"{', '.join(genres_of(self.semantic, row)[:3])}. {opening(self.plots[space.ids[row]], 240)}",
            )
            for row, label in zip(rows, labels, strict=True)
        ]
        return [
            Subject(
                heading=f"Between {labels[0]} and {labels[1]}",
                expression=f"mid({ends[0]}, {ends[1]}, 0.5)",
                facts=tuple(facts),
                mark="halfway",
                parents=tuple(zip(labels, ends, strict=True)),
            )
        ]

    def _moved(self) -> list[Subject]:
        start = self._movie(self._next_other(), 300)
        label = start.mark
        found = [
            Subject(heading=f"{label}, as it is", expression=start.expression, facts=start.facts, mark=label)
        ]
        for name in CONCEPTS:
            concept = self.semantic.concepts[name]
            assert concept.score is not None, "the demo's concepts are fitted on enough movies to be scored"
            right = f"{concept.score.value:.0%} of pairs in the right order"
            shown = f"on movies it was not fitted on, the direction puts {right}"
            found.append(
                Subject(
                    heading=f"{label}, moved towards {name}",
                    expression=f"{start.expression} + {TOWARDS}*{name}",
                    facts=(
                        Fact(
                            name="True of this point",
                            text=f"No movie lies here. It is {label}, moved towards {name}.",
                        ),
                        Fact(
                            name=f"How well {name} is known",
                            text=f"{concept.source}; {shown}.",
                        ),
                    ),
                    mark=f"towards {name}",
                    parents=((label, start.expression),),
                )
            )
        return found


def genres_of(entry: SpaceEntry, row: int) -> tuple[str, ...]:
    """An item's genres."""
    return tuple(cell(entry.space.metadata.column("genres"), row, "genres") or ())


def _shuffled(count: int) -> list[int]:
    return [int(row) for row in np.random.default_rng(SEED).permutation(count)]


def _unseen_order(entry: SpaceEntry, known: dict[str, str]) -> Iterator[int]:
    ids = entry.space.ids
    for row in _shuffled(len(ids)):
        if ids[row] in entry.splits[HOLDOUT] and len(known.get(ids[row], "")) >= MIN_PLOT:
            yield row


def _viewer_order(entry: SpaceEntry) -> list[str]:
    assert entry.users is not None, "the behavioral space is made with its users"
    counts = to_python(entry.users.metadata.column("num_ratings"), "num_ratings")
    rows = [row for row in _shuffled(len(counts)) if counts[row] >= MIN_VIEWER_RATINGS]
    return [entry.users.ids[row] for row in rows[: PLANS[-1].items]]


def _rated_order(entry: SpaceEntry) -> list[int]:
    counts, has_plot = (
        to_python(entry.space.metadata.column(name), name) for name in ("num_ratings", "has_plot")
    )
    rows = [
        row
        for row in _shuffled(entry.space.num_items)
        if entry.space.ids[row] in entry.splits[HOLDOUT] and counts[row] >= MIN_MOVIE_RATINGS
    ]
    return sorted(rows, key=lambda row: has_plot[row])


def _listed(tastes: Sequence[Taste]) -> str:
    """Terms with the percent of the people of whom less is predicted."""
    return "; ".join(f"{one.term} ({one.percentile:.0f}%)" for one in tastes) or "nothing clearly"


def _expression(entry: SpaceEntry, row: int) -> str:
    """The item as a person would type it: by its label where that is unique."""
    label = entry.space.labels[row]
    unique = entry.space.labels.count(label) == 1
    return quoted(label) if unique else id_call(entry.space.ids[row])


def _rated(entry: SpaceEntry, row: int) -> Subject:
    year, count = (cell(entry.space.metadata.column(name), row, name) for name in ("year", "num_ratings"))
    label = entry.space.labels[row]
    facts = (
        Fact(name="Title", text=label + (f", {year}" if year else "")),
        Fact(name="Genres", text=", ".join(genres_of(entry, row)) or "none given"),
        Fact(name="Known from", text=f"{count} ratings, and nothing else"),
    )
    return Subject(heading=label, expression=_expression(entry, row), facts=facts, mark=label)
