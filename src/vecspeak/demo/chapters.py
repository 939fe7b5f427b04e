"""Chapters: what the demo asks, about what, and what is true of it. Questions and rules stand in one place.

Knows the two spaces, the plots and the viewers. Draws by a fixed seed and a stated rule; knows no answers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.demo.data import BEHAVIORAL, CONCEPTS, SEMANTIC, Sources, plots
from vecspeak.demo.viewers import Viewer, read_viewers
from vecspeak.points.expressions import id_call
from vecspeak.spaces.point import quoted
from vecspeak.spaces.splits import HOLDOUT
from vecspeak.tasks.task_set import join_words, opening

SEED = 2024
MIN_PLOT = 200
"""Shortest plot, in characters, that a person can judge an answer by."""
MIN_MOVIE_RATINGS, MIN_VIEWER_RATINGS = 20, 50
TOWARDS = 12
"""How many standard deviations a movie is moved along a concept.

One direction of 384 holds little: on 60 held-out movies, 2 left the neighbours as they were (7% of the five
nearest were horror, then 13%); with 12 half were, and no point lay outside the data.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One chapter: what it shows, in which space, with which questions."""

    key: str
    title: str
    intro: str
    rule: str
    """How its items are drawn."""
    space: str
    items: int
    """How many items, pairs or viewers."""
    questions: tuple[str, ...]
    """Each is asked of each."""


PLANS = (
    Plan(
        key="unseen",
        title="A movie the reader never saw",
        intro="The vector of a plot that was kept out of training. The reader gets the vector, not the plot.",
        rule=f"Drawn from the movies with a plot of {MIN_PLOT} characters or more that training held out.",
        space=SEMANTIC,
        items=3,
        questions=("Describe the movie {x}.",),
    ),
    Plan(
        key="between",
        title="Halfway between two movies",
        intro="The midpoint of two such vectors. No movie lies there, so both ends are shown.",
        rule="Pairs drawn by the same rule.",
        space=SEMANTIC,
        items=2,
        questions=("Describe the movie {x}.",),
    ),
    Plan(
        key="moved",
        title="A movie moved towards horror and towards comedy",
        intro=f"The same vector as it is, and moved {TOWARDS} standard deviations along a direction that tells "
        "horror (or comedy) from other movies. Look for what changes, and for the genres nearby.",
        rule="Drawn by the same rule from those that are neither horror nor comedy.",
        space=SEMANTIC,
        items=2,
        questions=("Describe the movie {x}.",),
    ),
    Plan(
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
    Plan(
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

STEPS = tuple(float(amount) for amount in range(-TOWARDS, TOWARDS + 1, 4))
"""Amounts of the trace, in standard deviations; those below 0 are the reverse of the concept."""
CONCEPT = next(iter(CONCEPTS))
"""What the trace goes along: the first of the demo's concepts."""
TRACE = Plan(
    key="trace",
    title="One movie, step by step",
    intro=f"One vector moved away from {CONCEPT} and towards it; beside it the same steps in a random direction, which "
    f"knows nothing of {CONCEPT}. Look for where the answers turn, and for what a random direction changes as well.",
    rule=f"Drawn by the rule of chapter 3, the next after its movies. The concept is the first of the demo's, and the "
    f"random directions are drawn with seed {SEED}.",
    space=SEMANTIC,
    items=1,
    questions=("Describe the movie {x}.",),
)
REGIONS, ATLAS_SEED = 30, 0
"""As many regions, and the seed of `vecspeak atlas`, so that the same come out."""
ATLAS = Plan(
    key="atlas",
    title="All movies at once: an atlas",
    intro=f"The space cut into {REGIONS} regions of vectors that point the same way. A region's name is counted from "
    "its movies' genres and plots; the sentence is what the reader says of the region's mean vector, without the name.",
    rule="Every region is here, the largest first. Cut as vecspeak atlas does it.",
    space=SEMANTIC,
    items=REGIONS,
    questions=("Describe {x} in one sentence.",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something true that stands beside an answer."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A point that a chapter asks about, and what is true of it."""

    heading: str
    expression: str
    facts: tuple[Fact, ...]
    mark: str
    """What the map calls it."""
    parents: tuple[tuple[str, str], ...] = ()
    """Label and expression of the items it was made from, where it is not one itself."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deck:
    """Everything that subjects are drawn from, in the order in which they are drawn."""

    semantic: SpaceEntry
    behavioral: SpaceEntry
    plots: dict[str, str]
    viewers: dict[str, Viewer]
    """Those in the draw, in its order."""
    unseen: Iterator[int]
    """Rows of held-out movies; each is drawn once over all chapters."""

    @classmethod
    def of(cls, bundle: Bundle, sources: Sources) -> "Deck":
        """Shuffle by the seed. Raises UserError where the sources are broken."""
        semantic, behavioral = bundle.entry(SEMANTIC), bundle.entry(BEHAVIORAL)
        known = plots(sources.movies)
        return cls(
            semantic=semantic,
            behavioral=behavioral,
            plots=known,
            viewers=read_viewers(sources.ratings, _viewer_order(behavioral)),
            unseen=iter(_unseen_order(semantic, known)),
        )


def _shuffled(count: int) -> list[int]:
    return [int(row) for row in np.random.default_rng(SEED).permutation(count)]


def _unseen_order(entry: SpaceEntry, known: dict[str, str]) -> list[int]:
    space = entry.space
    return [
        row
        for row in _shuffled(space.num_items)
        if space.ids[row] in entry.splits[HOLDOUT] and len(known.get(space.ids[row], "")) >= MIN_PLOT
    ]


def _viewer_order(entry: SpaceEntry) -> list[str]:
    assert entry.users is not None, "the behavioral space is made with its users"
    counts = column(entry, "num_ratings", users=True)
    rows = [row for row in _shuffled(len(counts)) if counts[row] >= MIN_VIEWER_RATINGS]
    plan = next(plan for plan in PLANS if plan.key == "viewer")
    return [entry.users.ids[row] for row in rows[: plan.items]]


def column(entry: SpaceEntry, name: str, *, users: bool = False) -> list:
    """The values of a metadata column, of the items or of the users."""
    table = entry.users if users and entry.users is not None else entry.space
    values: list = table.metadata.column(name).to_pylist()
    return values


def genres_of(entry: SpaceEntry, row: int) -> tuple[str, ...]:
    """An item's genres."""
    return tuple(entry.space.metadata.column("genres")[row].as_py() or ())


def _expression(entry: SpaceEntry, row: int) -> str:
    """How a person would type the item: by its label where that is unique."""
    label = entry.space.labels[row]
    unique = entry.space.labels.count(label) == 1
    return quoted(label) if unique else id_call(entry.space.ids[row])


def _genres_fact(entry: SpaceEntry, row: int, name: str = "Genres") -> Fact:
    return Fact(name=name, text=", ".join(genres_of(entry, row)) or "none given")


def _opening_fact(deck: Deck, row: int, name: str, limit: int) -> Fact:
    return Fact(name=name, text=opening(deck.plots[deck.semantic.space.ids[row]], limit))


def _unseen(deck: Deck) -> list[Subject]:
    row = next(deck.unseen)
    facts = (_genres_fact(deck.semantic, row), _opening_fact(deck, row, "The plot begins", 420))
    label = deck.semantic.space.labels[row]
    return [Subject(heading=label, expression=_expression(deck.semantic, row), facts=facts, mark=label)]


def _between(deck: Deck) -> list[Subject]:
    rows = (next(deck.unseen), next(deck.unseen))
    labels = [deck.semantic.space.labels[row] for row in rows]
    ends = [_expression(deck.semantic, row) for row in rows]
    facts = []
    for row, label in zip(rows, labels, strict=True):
        text = opening(deck.plots[deck.semantic.space.ids[row]], 240)
        facts.append(Fact(name=label, text=f"{', '.join(genres_of(deck.semantic, row)[:3])}. {text}"))
    return [
        Subject(
            heading=f"Between {labels[0]} and {labels[1]}",
            expression=f"mid({ends[0]}, {ends[1]}, 0.5)",
            facts=tuple(facts),
            mark="halfway",
            parents=tuple(zip(labels, ends, strict=True)),
        )
    ]


def _moved(deck: Deck) -> list[Subject]:
    entry = deck.semantic
    row = _unmoved_row(deck)
    label, start = entry.space.labels[row], _expression(entry, row)
    facts = (_genres_fact(entry, row), _opening_fact(deck, row, "The plot begins", 300))
    subjects = [Subject(heading=f"{label}, as it is", expression=start, facts=facts, mark=label)]
    for name in CONCEPTS:
        concept = entry.concepts[name]
        assert concept.score is not None
        right = f"{concept.score.value:.0%}"
        told = f"on movies it was not fitted on, the direction puts {right} of pairs in the right order"
        moved = Fact(
            name="True of this point", text=f"No movie lies here. It is {label}, moved towards {name}."
        )
        direction = Fact(name=f"How well {name} is known", text=f"{concept.source}; {told}.")
        subjects.append(
            Subject(
                heading=f"{label}, moved towards {name}",
                expression=f"{start} + {TOWARDS}*{name}",
                facts=(moved, direction),
                mark=f"towards {name}",
                parents=((label, start),),
            )
        )
    return subjects


def _unmoved_row(deck: Deck) -> int:
    """The next movie of the draw that is neither horror nor comedy."""
    words = tuple(CONCEPTS)
    return next(row for row in deck.unseen if not _is_either(genres_of(deck.semantic, row), words))


def start_of_trace(deck: Deck) -> Subject:
    """The movie that the trace starts from; to be drawn after the chapters before it."""
    row = _unmoved_row(deck)
    facts = (_genres_fact(deck.semantic, row), _opening_fact(deck, row, "The plot begins", 420))
    label = deck.semantic.space.labels[row]
    return Subject(heading=label, expression=_expression(deck.semantic, row), facts=facts, mark=label)


def _is_either(genres: tuple[str, ...], words: tuple[str, ...]) -> bool:
    return any(word in genre.casefold() for genre in genres for word in words)


def _rated_order(entry: SpaceEntry) -> list[int]:
    counts, has_plot = column(entry, "num_ratings"), column(entry, "has_plot")
    rows = [
        row
        for row in _shuffled(entry.space.num_items)
        if entry.space.ids[row] in entry.splits[HOLDOUT] and counts[row] >= MIN_MOVIE_RATINGS
    ]
    return sorted(rows, key=lambda row: has_plot[row])


def _rated_subject(deck: Deck, row: int) -> Subject:
    entry = deck.behavioral
    year, count = column(entry, "year")[row], column(entry, "num_ratings")[row]
    facts = (
        Fact(name="Title", text=f"{entry.space.labels[row]}" + (f", {year}" if year else "")),
        _genres_fact(entry, row),
        Fact(name="Known from", text=f"{count} ratings, and nothing else"),
    )
    return Subject(
        heading=entry.space.labels[row],
        expression=_expression(entry, row),
        facts=facts,
        mark=entry.space.labels[row],
    )


def _viewer_subject(viewer: Viewer) -> Subject:
    tastes = tuple(f"{taste.genre} (+{taste.above:.1f})" for taste in viewer.tastes)
    facts = (
        Fact(name="Rated highest", text="; ".join(viewer.liked)),
        Fact(name="Rated lowest", text="; ".join(viewer.disliked)),
        Fact(name="Genres over their average", text=join_words(tastes) or "none clearly"),
        Fact(name="Known from", text=f"{viewer.num_ratings} ratings, {viewer.mean:.1f} stars on average"),
    )
    shown = viewer.id if viewer.id.isdigit() else quoted(viewer.id)
    return Subject(
        heading=f"Viewer {viewer.id}", expression=f"user({shown})", facts=facts, mark=f"viewer {viewer.id}"
    )


_DRAWN_ONE_BY_ONE: dict[str, Callable[[Deck], list[Subject]]] = {
    "unseen": _unseen,
    "between": _between,
    "moved": _moved,
}


def subjects_of(plan: Plan, deck: Deck) -> list[Subject]:
    """The points of a chapter. Chapters are drawn in order: a movie of one is not drawn again in the next."""
    if plan.key == "rated":
        rows = _rated_order(deck.behavioral)[: plan.items]
        return [_rated_subject(deck, row) for row in rows]
    if plan.key == "viewer":
        return [_viewer_subject(viewer) for viewer in deck.viewers.values()]
    return [subject for _ in range(plan.items) for subject in _DRAWN_ONE_BY_ONE[plan.key](deck)]
