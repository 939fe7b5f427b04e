"""Asking: a question and named points become an answer, with what is needed to judge it.

Knows bundles, points, tasks, engines and the encoder that checks the answer. Prints nothing.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from vecspeak.alignment import unit
from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.embedders.semantic import Encodes, load_encoder
from vecspeak.engines import AUTO, Engine, Sampling, open_engine
from vecspeak.errors import UserError
from vecspeak.points import Point, evaluate
from vecspeak.prompts import Prompt, check_question, with_default_slots
from vecspeak.spaces.neighbours import Metric, nearest
from vecspeak.tasks.privacy import check_about_person, flagged
from vecspeak.tasks.sets import Task

CLEAR_MARGIN = 0.1
"""How much higher than against other items a round trip must be to count: a rule of thumb, in cosine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """A real item near a point."""

    id: str
    label: str
    similarity: float
    """Cosine in the space itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How far to trust what was said of one point."""

    slot: str
    expression: str
    nearest: tuple[Near, ...]
    """The nearest real items, the items that the point was made from left out."""
    percentile: float
    """Share of the real items, in percent, that lie nearer to their neighbours than this point does."""
    round_trip: float
    """Cosine of the encoder's vector of the answer with the vector that was read."""
    is_user: bool
    """Whether the point is a person: then the nearest items are those predicted to be liked most."""
    is_item: bool
    """Whether the point is a real item, which cannot lie outside the data."""
    swapped: float
    """The same with the vectors of other items, on average: what an answer to anything would reach."""

    @property
    def is_clear(self) -> bool:
        """Whether the answer fits its own vector better than others by CLEAR_MARGIN or more."""
        return self.round_trip - self.swapped >= CLEAR_MARGIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer and its evidence, one Trust a slot."""

    question: str
    text: str
    trust: tuple[Trust, ...]
    flags: tuple[str, ...] = ()
    """Attributes that the answer states of a person and that ratings do not tell (`tasks.privacy`)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """A question with its points, ready to be answered."""

    question: str
    points: dict[str, Point]
    prompt: Prompt
    note: str = ""
    """What a person should know before the answer; mostly empty."""
    task: Task | None = None
    """The task that was asked by its name."""

    @property
    def is_about_person(self) -> bool:
        """Whether a person is in one of its points."""
        return any(names_person(point.expression) for point in self.points.values())


def names_person(expression: str) -> bool:
    """Whether a canonical expression has a person in it, labels left out."""
    return "user(" in re.sub(r'"(?:[^"\\]|\\.)*"', "", expression)


class Asker:
    """Asks about the points of one space of a bundle."""

    def __init__(
        self, entry: SpaceEntry, open_engine: Callable[[], Engine], open_encoder: Callable[[], Encodes]
    ) -> None:
        self.entry = entry
        self._open_engine = open_engine
        self._open_encoder = open_encoder

    @classmethod
    def of(cls, bundle: Bundle, *, space: str = "", engine: str = AUTO) -> "Asker":
        """An asker of a bundle's space; the model and the encoder are loaded when first needed.

        So a mistake in a question or an expression is told at once.
        """
        encoder = bundle.manifest.reader.encoder
        return cls(bundle.entry(space), lambda: open_engine(bundle, engine), lambda: load_encoder(encoder))

    @cached_property
    def engine(self) -> Engine:
        """What generates."""
        return self._open_engine()

    @cached_property
    def encoder(self) -> Encodes:
        """What reads an answer back."""
        return self._open_encoder()

    @cached_property
    def _mean_read(self) -> np.ndarray:
        """[T] mean of the vectors as they are read, over a fixed sample of items."""
        vectors = self.entry.space.vectors
        sample = np.random.default_rng(0).permutation(len(vectors))[:2000]
        return self.entry.alignment(vectors[np.sort(sample)]).mean(0)

    def prepare(self, question: str, at: Mapping[str, str]) -> Asked:
        """Parse and evaluate everything a person typed. Raises UserError before any model is touched."""
        template = with_default_slots(check_question(question), list(at))
        points = {slot: evaluate(expression, self.entry.scope) for slot, expression in at.items()}
        read = {slot: self.read(point) for slot, point in points.items()}
        asked = Asked(question=question, points=points, prompt=template.fill(read))
        if asked.is_about_person:
            check_about_person(template.text)
        return asked

    def prepare_task(self, task: Task, at: Mapping[str, str]) -> Asked:
        """The same for a task's own wording; the neighbour of x is found where nothing stands at y.

        Raises UserError where a slot is empty, or named that the task does not have.
        """
        missing = [slot for slot in task.slots if slot not in at]
        if task.about == "neighbour" and missing == ["y"]:
            at = {**at, "y": self._neighbour(at["x"])}
        elif missing:
            raise UserError(
                f"the task {task.name} is about {len(task.slots)} points, and {missing[0]} is not given",
                f"add --at {missing[0]}='\"LABEL\"'",
            )
        asked = replace(self.prepare(task.question, at), task=task)
        if task.about == "person" and not asked.is_about_person:
            note = f"{task.name} is about a person, and {{x}} is none: read as someone whose taste is that very point"
            return replace(asked, note=note)
        return asked

    def _neighbour(self, expression: str) -> str:
        near = self.near(evaluate(expression, self.entry.scope), 1)
        if not near:
            raise UserError("the space has no second item", "give one with --at y=...")
        return f"id({json.dumps(near[0].id, ensure_ascii=False)})"

    def read(self, point: Point) -> np.ndarray:
        """[T] the vector that the reader sees for a point."""
        return self.entry.alignment(point.vector[None], point.kind)[0]

    def answer(
        self,
        asked: Asked,
        sampling: Sampling | None = None,
        *,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """Generate, streaming pieces to `on_text`, then judge."""
        pieces = []
        for piece in self.engine.stream(asked.prompt, sampling or Sampling()):
            pieces.append(piece)
            if on_text:
                on_text(piece)
        return self.judge(asked, "".join(pieces).strip())

    def best_answer(self, asked: Asked, count: int, sampling: Sampling | None = None) -> Answer:
        """Draw `count` answers and keep the one whose round trip is best, over all points of the question.

        `count` is 1 or more. A sampling at temperature 0 is drawn at BEST_OF_TEMPERATURE, for equal answers leave
        nothing to choose.
        """
        texts = self.engine.generate([asked.prompt] * count, (sampling or Sampling()).varied)
        judged = [self.judge(asked, text) for text in dict.fromkeys(texts)]
        return max(judged, key=lambda answer: sum(trust.round_trip for trust in answer.trust))

    def answer_all(self, questions: Sequence[Asked], sampling: Sampling | None = None) -> list[Answer]:
        """Generate all answers together, then judge each."""
        texts = self.engine.generate([asked.prompt for asked in questions], sampling or Sampling())
        return [self.judge(asked, text) for asked, text in zip(questions, texts, strict=True)]

    def judge(self, asked: Asked, text: str) -> Answer:
        """The evidence beside an answer."""
        vector = self.encoder.encode([text or "(no answer)"])[0]
        trust = tuple(self._trust(slot, point, vector) for slot, point in asked.points.items())
        flags = flagged(text) if asked.is_about_person else ()
        return Answer(question=asked.question, text=text, trust=trust, flags=flags)

    def _trust(self, slot: str, point: Point, answer_vector: np.ndarray) -> Trust:
        distance = self.entry.distance("users" if point.kind == "user" else "items")
        return Trust(
            slot=slot,
            expression=point.expression,
            is_user=point.kind == "user",
            is_item=point.item_id is not None,
            nearest=self.near(point),
            percentile=float(distance.percentile(point.vector[None])[0]),
            round_trip=float(unit(answer_vector) @ self.read(point)),
            swapped=float(unit(answer_vector) @ self._mean_read),
        )

    def near(self, point: Point, count: int = 5) -> tuple[Near, ...]:
        """The nearest real items of a point; what it was made from is left out.

        For a user, items are ranked by the dot product, which is what the ratings model predicts.
        """
        space = self.entry.space
        own = [space.index_of(item) for item in point.parents]
        metric: Metric = "dot" if point.kind == "user" else "cosine"
        found = nearest(space, point.vector[None], count + len(own), metric=metric)
        near = [
            Near(id=space.ids[i], label=space.labels[i], similarity=float(score))
            for i, score in zip(found.indices[0].tolist(), found.scores[0].tolist(), strict=True)
            if i not in own
        ]
        return tuple(near[:count])
