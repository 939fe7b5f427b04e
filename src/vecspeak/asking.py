"""Asking: a question and named points become an answer, with what is needed to judge it.

Prints nothing.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from inspect import signature
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vecspeak.answerable import direct_answer
from vecspeak.beginnings import beginning_of
from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.clauses import FoundText, shipped_clause_model, weigh
from vecspeak.console import progress_bar
from vecspeak.encoders.text import Encoder, load_encoder
from vecspeak.engines import AUTO, Engine, Sampling, open_engine, turns_of
from vecspeak.errors import UserError, check_one_of
from vecspeak.evidence import OUTSIDE, Answer, Clause, DirectAnswer, Evidence, Neighbor, Neighbors, ReadTerm
from vecspeak.model.alignment import unit
from vecspeak.model.prompt import (
    Prompt,
    PromptTemplate,
    check_question,
    vectors_of,
    with_beginning,
    with_default_slots,
)
from vecspeak.model.words import with_words
from vecspeak.points import Concept, Point, Scope, evaluate, evaluate_path, find_item, parse
from vecspeak.points.expressions import Expression, ItemName, VectorLiteral, Within
from vecspeak.points.frames import column_values, point_of_row, rows_of_frame
from vecspeak.points.raw import person_note, raw_point
from vecspeak.searching import Effort, FoundAnswer, find_answers, whole_sentences, worth_of
from vecspeak.spaces import Space
from vecspeak.spaces.convert import as_array
from vecspeak.spaces.point import Direction
from vecspeak.spaces.search import Metric, nearest
from vecspeak.tasks.names import SHIPPED, resolved
from vecspeak.tasks.privacy import check_about_person, flagged
from vecspeak.tasks.prose import has_loop
from vecspeak.tasks.replies import prose_of
from vecspeak.tasks.task_set import Task, split_words
from vecspeak.writers import Writer
from vecspeak.writers.evidence import TURN, Draft, Read, request

_WRITTEN: dict[Effort | None, int] = {None: 1, "quick": 1, "normal": 4, "high": 8}
"""Texts that a writer draws for an answer."""
_WORDS, _LEAST, _DRAFTS, _NEAREST, _EXTREME = 16, 0.15, 3, 3, 10.0
"""What a writer is sent: words, the least probability of one, drafts, nearest items; percent of a concept's ends."""
_LETTERS, _SAME = 12, 0.9999
"""Letters of a reply that are read for each token that was asked for; cosine from which on an item is the point."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedQuestion:
    """A question with its points, ready to be answered."""

    question: str
    points: dict[str, Point]
    prompt: Prompt
    """With the words of its points in it, where there are any."""
    words: Mapping[str, tuple[ReadTerm, ...]] = field(default_factory=dict)
    """What the lexicon reads from each point, as far as it stands in the prompt."""
    note: str = ""
    """What a person should know before the answer; mostly empty."""
    task: Task | None = None
    """The task that was asked by its name."""

    @property
    def vectors(self) -> np.ndarray:
        """[S, T] the vectors that are read, in the order of the prompt."""
        return np.stack(vectors_of(self.prompt))

    @property
    def searched(self) -> Prompt:
        """The prompt of an answer that is looked for, with the answer's beginning."""
        return with_beginning(self.prompt, self.beginning)

    @property
    def beginning(self) -> str:
        """How an answer that is looked for begins: as a task's targets do, or as the question wants."""
        if self.task:
            return self.task.start
        return beginning_of(self.question) if len(self.points) == 1 else ""

    @property
    def is_about_person(self) -> bool:
        """Whether a person is in one of its points."""
        return any(point.about_person for point in self.points.values())


Place = str | Expression | Point | Sequence[Point]
"""What may stand in a slot: an expression, its tree, a point, or the points of a path."""


class Asker:
    """Asks about the points of one space of a bundle, and of the others where an expression says `@NAME`."""

    def __init__(
        self,
        entry: SpaceEntry,
        open_engine: Callable[[], Engine],
        open_encoder: Callable[[], Encoder],
        entries: Mapping[str, SpaceEntry] | None = None,
        *,
        words_in_prompts: bool = False,
        writer: Writer | None = None,
    ) -> None:
        """`words_in_prompts`: whether questions have the words that the lexicon reads from their point.

        A `writer` writes every answer again, from what was read and from what the reader said.
        """
        self.entry = entry
        self.entries = {**(entries or {}), entry.space.name: entry}
        self._means: dict[str, np.ndarray] = {}
        self.words_in_prompts = words_in_prompts
        self.writer = writer
        self._open_engine = open_engine
        self._open_encoder = open_encoder

    @classmethod
    def from_bundle(cls, bundle: Bundle, *, space: str = "", engine: str = AUTO) -> "Asker":
        """An asker of a bundle's space; the model and the encoder are loaded when first needed.

        So a mistake in a question or an expression is told at once.
        """
        encoder = bundle.manifest.reader.encoder
        return cls(
            bundle.entry(space),
            lambda: open_engine(bundle, engine),
            lambda: load_encoder(encoder),
            bundle.entries,
        )

    @cached_property
    def engine(self) -> Engine:
        """What generates."""
        return self._open_engine()

    @cached_property
    def encoder(self) -> Encoder:
        """What reads an answer back."""
        return self._open_encoder()

    def entry_of(self, point: Point) -> SpaceEntry:
        """The space that a point lies in."""
        return self.entries[point.space]

    def _mean_read(self, entry: SpaceEntry) -> np.ndarray:
        """[T] mean of the vectors as they are read, over a fixed sample of items; worked out once."""
        name = entry.space.name
        if name not in self._means:
            vectors = entry.space.vectors
            sample = np.random.default_rng(0).permutation(len(vectors))[:2000]
            self._means[name] = entry.alignment(vectors[np.sort(sample)]).mean(0)
        return self._means[name]

    @cached_property
    def _scopes(self) -> dict[str, Scope]:
        return {name: entry.scope for name, entry in self.entries.items()}

    def point(self, expression: str) -> Point:
        """The point of an expression, in any space of the bundle. Raises UserError as `evaluate` does."""
        return evaluate(expression, self._scopes[self.entry.space.name], self._scopes)

    def path(self, given: Place) -> tuple[Point, ...]:
        """The points of an expression, one unless it is a path; points that are given stay as they are."""
        if isinstance(given, Point):
            return (given,)
        if not isinstance(given, str | Expression):
            return tuple(given)
        return evaluate_path(given, self._scopes[self.entry.space.name], self._scopes)

    def prepare(self, question: str, at: Mapping[str, str | Point]) -> PreparedQuestion:
        """A question and its points, evaluated. Raises UserError before any model is touched."""
        check_question(question)  # a mistake in the question is told before one in a point
        points = {slot: self.point(one) if isinstance(one, str) else one for slot, one in at.items()}
        return self.prepare_points(question, points)

    def prepare_path(
        self, question: str, at: Mapping[str, Place], task: Task | None = None
    ) -> tuple[PreparedQuestion, ...]:
        """The question, or a task's, once for each point of a path; once where no slot is a path.

        Raises UserError as `prepare` does, and for paths of different lengths.
        """
        paths = {slot: self.path(given) for slot, given in at.items()}
        counts = {slot: len(points) for slot, points in paths.items() if len(points) != 1}
        if len(set(counts.values())) > 1:
            shown = " and ".join(f"{count} at {slot}" for slot, count in counts.items())
            raise UserError(
                f"paths of one question need as many points, got {shown}", "give both the same steps"
            )
        prepared = []
        for step in range(next(iter(counts.values()), 1)):
            points = {slot: path[step if slot in counts else 0] for slot, path in paths.items()}
            prepared.append(self.prepare_task(task, points) if task else self.prepare(question, points))
        return tuple(prepared)

    def prepare_points(self, question: str, points: Mapping[str, Point]) -> PreparedQuestion:
        """The same for points that are there already. Raises UserError for a question that is none."""
        template = with_default_slots(check_question(question), list(points))
        points = {slot: with_person_noticed(point, self.entries) for slot, point in points.items()}
        read = {slot: self.read(point) for slot, point in points.items()}
        words = self._words_in_prompt(points) if self.words_in_prompts else {}
        prompt = with_words(template, words).fill(read)
        asked = PreparedQuestion(question=question, points=dict(points), prompt=prompt, words=words)
        if asked.is_about_person:
            check_about_person(template.text)
        return asked

    def check_inside(self, asked: PreparedQuestion) -> None:
        """Raise UserError where a point of the question lies outside the data (for the strict)."""
        for slot, point in asked.points.items():
            percentile = self.percentile(point)
            if point.item_id is None and percentile > OUTSIDE:
                raise UserError(
                    f"{{{slot}}} = {point.expression} lies outside the data: farther from it than "
                    f"{percentile:.1f}% of the real {'people' if point.kind == 'user' else 'items'}, and "
                    f"{OUTSIDE:g}% are allowed",
                    "take a point nearer to items, or leave out strict=True to see what is answered",
                )

    def percentile(self, point: Point) -> float:
        """Share of the real items, in percent, that lie no farther from the data than the point; see `percentiles`."""
        return float(percentiles(self.entry_of(point), point, point.vector[None])[0])

    def prepare_task(self, task: Task, at: Mapping[str, str | Point]) -> PreparedQuestion:
        """The same for a task's own wording; the neighbour of x is found where nothing stands at y.

        Raises UserError where a slot is empty, or named that the task does not have.
        """
        points = {slot: self.point(one) if isinstance(one, str) else one for slot, one in at.items()}
        missing = [slot for slot in task.slots if slot not in points]
        if task.about == "neighbour" and missing == ["y"]:
            points["y"] = self._neighbor(points["x"])
        elif missing:
            raise UserError(
                f"the task {task.name} is about {len(task.slots)} points, and {missing[0]} is not given",
                f"give a point at {missing[0]}",
            )
        asked = replace(self.prepare(task.question, points), task=task)
        if task.about == "person" and not asked.is_about_person:
            note = f"{task.name} is about a person, and {{x}} is none: read as someone whose taste is that very point"
            return replace(asked, note=note)
        return asked

    def _neighbor(self, point: Point) -> Point:
        near = self.near(point, 1)
        if not near:
            raise UserError("the space has no second item", "give one at y")
        item = ItemName(name=near[0].id, by_id=True)
        elsewhere = point.space != self.entry.space.name
        return self.point(str(Within(operand=item, space=point.space) if elsewhere else item))

    def read(self, point: Point) -> np.ndarray:
        """[T] the vector that the reader sees for a point."""
        return self.entry_of(point).alignment(point.vector[None], point.kind)[0]

    def answer(
        self,
        asked: PreparedQuestion,
        sampling: Sampling | None = None,
        *,
        effort: Effort | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """Find an answer, then judge it; `on_text` gets its pieces as they come, a grown answer in one piece.

        Without an effort the answer is one plain draw of the sampling, and its clauses are not weighed.
        """
        sampling = sampling or Sampling()
        if self.writer or effort not in (None, "quick"):
            (answer,) = self.answer_all([asked], sampling, effort=effort)
            if on_text:
                on_text(answer.text)
            return answer
        if effort and (direct := self._direct(asked)):
            if on_text:
                on_text(direct.text)
            return replace(self.judge(asked, direct.text), direct=direct)
        pieces = []
        # one turn for the whole answer, so that a question of another thread waits instead of overtaking it
        with turns_of(self.engine):
            for piece in self.stream(asked, sampling, effort=effort):
                pieces.append(piece)
                if on_text:
                    on_text(piece)
        answer = self.judge(asked, "".join(pieces).strip())
        return replace(answer, clauses=self._clauses(asked, answer.text, ())) if effort else answer

    def stream(
        self, asked: PreparedQuestion, sampling: Sampling, *, effort: Effort | None = None
    ) -> Iterator[str]:
        """Yield the pieces of an answer of quick effort, or of a plain draw, as they come."""
        if effort is None:
            return self.engine.stream(asked.prompt, sampling)
        if direct := self._direct(asked):
            return iter([direct.text])
        pieces = whole_sentences(self.engine.stream(asked.searched, sampling.penalized), sampling.max_new_tokens)
        return chain([f"{asked.beginning} "], pieces) if asked.beginning else pieces

    def best_answer(self, asked: PreparedQuestion, count: int, sampling: Sampling | None = None) -> Answer:
        """Draw `count` answers and keep the one whose round trip is best, over all points of the question.

        `count` is 1 or more. A sampling at temperature 0 is drawn at BEST_OF_TEMPERATURE, for equal answers leave
        nothing to choose.
        """
        with turns_of(self.engine):
            texts = self.engine.generate([asked.prompt] * count, (sampling or Sampling()).varied)
        judged = [self.judge(asked, text) for text in dict.fromkeys(texts)]
        return max(judged, key=lambda answer: sum(one.round_trip for one in answer.evidence))

    def answer_all(
        self,
        questions: Sequence[PreparedQuestion],
        sampling: Sampling | None = None,
        *,
        effort: Effort | None = None,
        progress: str = "",
    ) -> list[Answer]:
        """Find all answers together, then judge each; `progress` names the bar that is shown while they come.

        With an effort, yes or no is read from the vector, and of other answers the clauses are weighed.
        """
        directs = [self._direct(asked) if effort else None for asked in questions]
        written = [asked for asked, direct in zip(questions, directs, strict=True) if not direct]
        if self.writer and written:
            self.writer.reach()  # before the search, which takes longer
        drafts = self.find(written, sampling, effort=effort, progress=progress)
        found = iter(self.rewritten(written, drafts, sampling or Sampling(), effort))
        if effort is None:
            return [self.judged(asked, one) for asked, one in zip(written, found, strict=True)]
        return [
            replace(self.judge(asked, direct.text), direct=direct)
            if direct
            else self._weighed(asked, next(found))
            for asked, direct in zip(questions, directs, strict=True)
        ]

    def find(
        self,
        questions: Sequence[PreparedQuestion],
        sampling: Sampling | None = None,
        *,
        effort: Effort | None = None,
        progress: str = "",
    ) -> list[FoundAnswer]:
        """What the language model says of each, not judged; plain draws without an effort."""
        sampling = sampling or Sampling()
        prompts = [asked.searched if effort else asked.prompt for asked in questions]
        if not prompts:
            return []
        with turns_of(self.engine):
            made: Iterator[tuple[int, FoundAnswer]]
            if effort is None:
                drawn = self.engine.answers(prompts, sampling)
                made = ((number, FoundAnswer(text=text)) for number, text in drawn)
            else:
                vectors = [asked.vectors for asked in questions]
                made = find_answers(
                    self.engine, self.encoder, prompts, vectors, effort=effort, sampling=sampling,
                    terms_of=lambda number, texts: self.terms_in(questions[number], texts),
                )  # fmt: skip
            bar = progress_bar(made, total=len(prompts), desc=progress, unit="answer", shown=bool(progress))
            found = [one for _, one in sorted(bar, key=lambda pair: pair[0])]
        return found

    def rewritten(
        self,
        questions: Sequence[PreparedQuestion],
        found: Sequence[FoundAnswer],
        sampling: Sampling,
        effort: Effort | None,
    ) -> list[FoundAnswer]:
        """What the writer makes of each; what the reader said where there is no writer, or it wrote nothing.

        Of several texts the one is taken that fits what was read best, as in a search.
        """
        if self.writer is None or not questions:
            return list(found)
        room = sampling.max_new_tokens
        requests = [
            request(
                asked.question, self.read_of(asked), self.drafts_of(asked, one), words=max(12, room * 3 // 4)
            )
            for asked, one in zip(questions, found, strict=True)
        ]
        drawn = replace(sampling.varied, max_new_tokens=2 * room)
        texts = self.writer.write(requests, _WRITTEN[effort], drawn)
        made = []
        for asked, draft, some in zip(questions, found, texts, strict=True):
            best, *others = self.ranked(asked, some, room) or [""]
            drafts = (*others, draft.text, *draft.drafts)
            made.append(FoundAnswer(text=best, drafts=drafts, writer=self.writer.name) if best else draft)
        return made

    def ranked(self, asked: PreparedQuestion, texts: Sequence[str], room: int) -> list[str]:
        """What a writer wrote, cleaned, in the order in which it fits what was read; what goes in circles is left out.

        Of each text so much is read as an answer of `room` tokens may have.
        """
        plain = (prose_of(TURN.sub(" ", text[: _LETTERS * room])) for text in texts)
        cleaned = [text for text in dict.fromkeys(plain) if text and not has_loop(text)]
        if not cleaned:
            return []
        target, terms = unit(asked.vectors).mean(0), self.terms_in(asked, cleaned)
        order = np.argsort(-worth_of(self.encoder, cleaned, target, terms), kind="stable")
        return [cleaned[place] for place in order]

    def drafts_of(self, asked: PreparedQuestion, found: FoundAnswer) -> list[Draft]:
        """What a writer may know of what the reader said."""
        texts = [text for text in (found.text, *found.drafts[: _DRAFTS - 1]) if text]
        target = unit(asked.vectors).mean(0)
        cosines = self.encoder.encode(texts) @ target if texts else ()
        return [Draft(text=text, round_trip=float(one)) for text, one in zip(texts, cosines, strict=True)]

    def read_of(self, asked: PreparedQuestion) -> list[Read]:
        """What a writer may know of each point."""
        found = []
        for slot, point in asked.points.items():
            entry, nearest = self.entry_of(point), list[tuple[str, str]]()
            if self.writer and self.writer.share_texts:
                # an item whose vector was given, and its copies, are the point itself
                near = [one for one in self.near(point, 4 * _NEAREST) if one.similarity < _SAME][:_NEAREST]
                nearest = [(one.label, entry.space.text_of(one.id) or "") for one in near]
            (words,) = entry.words(point.vector[None], point.kind, _WORDS)
            likely = [word for word in words if word.probability >= _LEAST]
            found.append(Read(slot=slot, words=likely, concepts=self._concepts_of(point), nearest=nearest))
        return found

    def _concepts_of(self, point: Point) -> list[tuple[str, float]]:
        """The trusted concepts along which a point lies in the upper or the lower tenth of the items."""
        entry, found = self.entry_of(point), list[tuple[str, float]]()
        for name, concept in entry.concepts.items():
            if concept.is_trusted and concept.direction.shape == point.vector.shape:
                along = entry.space.vectors @ concept.direction
                percent = 100 * float((along < point.vector @ concept.direction).mean())
                if not _EXTREME < percent < 100 - _EXTREME:
                    found.append((name, percent))
        return found

    def judge(self, asked: PreparedQuestion, text: str) -> Answer:
        """The evidence beside an answer."""
        vector = self.encoder.encode([text or "(no answer)"])[0]
        evidence = tuple(self._evidence(slot, point, vector) for slot, point in asked.points.items())
        flags = flagged(text) if asked.is_about_person else ()
        return Answer(question=asked.question, text=text, evidence=evidence, flags=flags)

    def judged(self, asked: PreparedQuestion, found: FoundAnswer) -> Answer:
        """The same, with who wrote it."""
        return replace(self.judge(asked, found.text), writer=found.writer)

    def _weighed(self, asked: PreparedQuestion, found: FoundAnswer) -> Answer:
        clauses = self._clauses(asked, found.text, found.drafts)
        return replace(self.judged(asked, found), clauses=clauses)

    def _direct(self, asked: PreparedQuestion) -> DirectAnswer | None:
        """The answer, where no language model is needed for it or none could know it; a task always has one."""
        if asked.task or len(asked.points) != 1:
            return None
        return direct_answer(asked.question, lambda text: self.terms_in(asked, [text])[0])

    def _clauses(self, asked: PreparedQuestion, text: str, drafts: tuple[str, ...]) -> tuple[Clause, ...]:
        template = with_default_slots(check_question(asked.question), list(asked.points))
        means = {slot: self._mean_read(self.entry_of(point)) for slot, point in asked.points.items()}
        found = FoundText(
            text=text,
            drafts=drafts,
            prompt=asked.prompt,
            mean_prompt=template.fill(means),
            target_T=unit(asked.vectors).mean(0),
            terms=lambda texts: self.terms_in(asked, texts),
        )
        return weigh(found, self.engine, self.encoder, shipped_clause_model())

    def terms_in(self, asked: PreparedQuestion, texts: Sequence[str]) -> list[list[ReadTerm]]:
        """The terms that stand in each text; in a question about several points, as the likeliest point has them."""
        found: list[dict[str, ReadTerm]] = [{} for _ in texts]
        for point in asked.points.values():
            some = self.entry_of(point).term_probabilities(texts, point.vector, point.kind)
            for terms, one in zip(found, some, strict=True):
                for term in one:
                    known = terms.get(term.term)
                    if known is None or known.probability < term.probability:
                        terms[term.term] = term
        return [list(terms.values()) for terms in found]

    def _words_in_prompt(self, points: Mapping[str, Point]) -> dict[str, tuple[ReadTerm, ...]]:
        """The words that the reader is told of a point. A question about several is asked without: it gains nothing."""
        if len(points) != 1:
            return {}
        ((slot, point),) = points.items()
        (words,) = self.entry_of(point).prompt_words(point.vector[None], point.kind)
        return {slot: words} if words else {}

    def _evidence(self, slot: str, point: Point, answer_vector: np.ndarray) -> Evidence:
        entry = self.entry_of(point)
        doubts = (entry.concepts[name].caution for name in point.concepts if name in entry.concepts)
        return Evidence(
            slot=slot,
            expression=point.expression,
            is_user=point.kind == "user",
            is_item=point.item_id is not None,
            nearest=self.near(point),
            percentile=self.percentile(point),
            round_trip=float(unit(answer_vector) @ self.read(point)),
            swapped=float(unit(answer_vector) @ self._mean_read(entry)),
            space=point.space,
            label="" if point.item_id is None else entry.space.labels[entry.space.index_of(point.item_id)],
            text=None if point.item_id is None else entry.space.text_of(point.item_id),
            warnings=(*filter(None, (entry.caution, *doubts)), *point.notes),
            words=entry.words(point.vector[None], point.kind)[0],
        )

    def near(self, point: Point, count: int = 5) -> Neighbors:
        """The nearest real items of a point; what it was made from is left out.

        For a user, items are ranked by the dot product, which is what the ratings model predicts.
        """
        space = self.entry_of(point).space
        own = [space.index_of(item) for item in point.parents]
        metric: Metric = "dot" if point.kind == "user" else "cosine"
        found = nearest(space, point.vector[None], count + len(own), metric=metric)
        near = [
            Neighbor(id=space.ids[i], label=space.labels[i], similarity=float(score))
            for i, score in zip(found.indices[0].tolist(), found.scores[0].tolist(), strict=True)
            if i not in own
        ]
        return Neighbors(near[:count])


def points_of(
    x: Any, bundle: Bundle, ask: Callable[[], Asker], *, kind: Literal["user"] | None = None
) -> tuple[Point, ...]:
    """The points that `x` means in the space of an asker, which is made when needed; of a path or a list several.

    `x` is a label, an id (text or a whole number), an expression, a `Point`, a `Space`, an array [D] or [N, D], a row,
    the rows or a column of a frame, or a list of these. `kind="user"` declares that a person is in it; one that nobody
    declared is noticed when the question is prepared. Raises UserError for what is none of these.
    """
    check_one_of("kind", kind, (None, "user"))
    points = _points(x, bundle, ask, kind)
    if kind is None:
        return points
    return tuple(_declared_person(with_person_noticed(point, bundle.entries)) for point in points)


def with_person_noticed(point: Point, entries: Mapping[str, SpaceEntry]) -> Point:
    """The point; marked as about a person, with a note, where its vector is that of a user of any of the spaces."""
    if point.about_person or point.item_id is not None:
        return point
    note = person_note((one.users for one in entries.values() if one.users is not None), point.vector)
    return replace(point, about_person=True, notes=(*point.notes, note)) if note else point


def _declared_person(point: Point) -> Point:
    """A vector of one's own becomes a user; in anything else, such as an item, a person is only said to be."""
    if point.form == "vector":
        return replace(point, kind="user", expression=f"user({point.expression})", form="atom", notes=())
    return replace(point, about_person=True)


def _points(
    x: Any, bundle: Bundle, ask: Callable[[], Asker], kind: Literal["user"] | None
) -> tuple[Point, ...]:
    if isinstance(x, Point):
        return (_checked_point(x, bundle),)
    if isinstance(x, Concept | Direction):
        raise _no_point(x)
    if isinstance(x, str):
        return _named(x, ask(), kind)
    if isinstance(x, Space):
        return tuple(_checked_point(point, bundle) for point in x)
    if isinstance(x, list | tuple) and x and not all(isinstance(one, int | float | np.number) for one in x):
        return tuple(one_point(_points(one, bundle, ask, kind)) for one in x)
    entry = ask().entry
    if isinstance(x, int | np.integer) and not isinstance(x, bool):  # an id of a column of whole numbers
        return (entry.space[find_item(entry.space, str(x), by_id=True)],)
    if (column := column_values(x, entry.space)) is not None:
        return _points(column, bundle, ask, kind)
    rows = rows_of_frame(x, entry.space)
    array = as_array(x) if rows is None else np.empty(len(rows))
    if not array.size:
        raise UserError("no point is given to ask about: what stands there is empty", "give one or more")
    if rows is not None:
        return tuple(point_of_row(row, entry.space, entry.users, kind) for row in rows)
    vectors = array if array.ndim == 2 else [array]
    return tuple(raw_point(entry.space, entry.users, vector, kind=kind) for vector in vectors)


def _of_person(tree: Expression) -> Expression:
    """The expression; one that is only a vector becomes a user's: `[0.1]@films` is read as `user([0.1])@films`."""
    if isinstance(tree, Within):
        return replace(tree, operand=_of_person(tree.operand))
    return replace(tree, is_user=True) if isinstance(tree, VectorLiteral) else tree


def _no_point(x: Concept | Direction) -> UserError:
    moved = f"2*{x.name}" if isinstance(x, Concept) else x.expression
    what = f"{x.name} is a concept" if isinstance(x, Concept) else f"{x.expression} is a direction"
    return UserError(f"{what}, not a point; add it to an item or a user", f'as in "LABEL" + {moved}')


def space_of(x: Any) -> str:
    """The space that a point, a list of points or an expression such as `"Heat"@films` names by itself; "" for none."""
    if isinstance(x, Point):
        return x.space
    if isinstance(x, list | tuple) and x and all(isinstance(one, Point | str) for one in x):
        return space_of(x[0])
    if isinstance(x, str):
        with suppress(UserError):  # a label as it stands is no expression
            tree = parse(x)
            return tree.space if isinstance(tree, Within) else ""
    return ""


def check_asked(question: str, task: str, slots: Mapping[str, Any]) -> None:
    """Raise UserError unless either a question or a task is given, and a point for it."""
    if bool(task) == bool(question):
        raise UserError(
            "a question and a `task` are given" if task else "neither a question nor a `task` is given",
            "ask 'Describe {x}.' or a task such as summary, and say what x is",
        )
    if not slots:
        raise UserError("no point is given to ask about", "write {x} in the question and give x='LABEL'")


def check_slots(question: str, names: Collection[str], function: Callable[..., Any]) -> None:
    """Raise UserError for a keyword that is no slot of the question, but may be a misspelt argument of `function`."""
    template = check_question(question) if question else PromptTemplate("")
    arguments = [name for name, one in signature(function).parameters.items() if one.kind is one.KEYWORD_ONLY]
    for name in names:
        near = [] if name in template.slots else get_close_matches(name, arguments, 1, 0.7)
        if name in near:
            raise UserError(f"`{name}` cannot be given here", "call ask(...), which takes it")
        if near:
            raise UserError(f"there is no argument {name!r}", f"did you mean {near[0]!r}?")
    if template.slots:
        template.check_names(names)


def one_point(points: Sequence[Point]) -> Point:
    """The only one of several points. Raises UserError where there are more or none."""
    if len(points) != 1:
        raise UserError(f"{len(points)} points are given where one is needed", "ask_batch takes several")
    return points[0]


def _checked_point(point: Point, bundle: Bundle) -> Point:
    """The point itself; UserError where it lies in no space here, or is an item of another table of that name."""
    entry = bundle.entry(point.space)
    if point.vector.size != entry.space.dim:
        raise UserError(
            f"{point.expression} has width {point.vector.size}, and {point.space!r} has {entry.space.dim}",
            "take points of the space that was fitted",
        )
    if point.item_id is not None:
        known = entry.space.has(point.item_id)
        own = entry.space.vectors[entry.space.index_of(point.item_id)] if known else None
        if own is None or not np.array_equal(own, point.vector):
            raise UserError(
                f"{point.expression} has another vector in the fitted space {point.space!r}",
                "fit the space that the point comes from, or ask about point.vector",
            )
    if any(name in entry.concepts for name in point.concepts):
        _check_same_concepts(point, entry)
    return point


def _check_same_concepts(point: Point, entry: SpaceEntry) -> None:
    """Raise UserError where a concept was fitted again since: the expression would be that of another point."""
    try:
        now = evaluate(point.expression, entry.scope).vector
    except UserError:  # something else in it is of another bundle
        return
    if not np.allclose(now, point.vector, rtol=1e-3, atol=1e-5 * float(np.abs(point.vector).max())):
        raise UserError(
            f"{point.expression} is another point now: {' or '.join(point.concepts)} was fitted again",
            f"make it again, or ask about point.vector; now it is vs.point({point.expression!r})",
        )


def _named(text: str, asker: Asker, kind: Literal["user"] | None) -> tuple[Point, ...]:
    """A label or an id as it stands, or else an expression."""
    entry = asker.entry
    if entry.space.rows_labelled(text) or entry.space.has(text):
        return (entry.space[text],)
    try:
        return asker.path(_of_person(parse(text)) if kind == "user" else parse(text))
    except UserError:
        if text.strip() in entry.concepts:
            raise
        if not any(mark in text for mark in "\"'(@[+*/"):  # a name rather than a mistake in an expression
            return (entry.space[entry.space.ids[find_item(entry.space, text)]],)
        raise


def selected_task_set(
    bundle: Bundle, space: str, given: str, words: Mapping[str, str] | Sequence[str]
) -> tuple[str, dict[str, str]]:
    """The set that was named, or else the one that the bundle's reader learned for the space; and replaced words.

    Words are {"item": "jacket"} or ["item=jacket"].

    A file is given back by its whole path, so that it is found from any folder when it is remembered. A space of which
    the reader learned no tasks has the neutral set. Raises UserError for a word that is none, and where the file of a
    remembered set is gone.
    """
    replaced = dict(words) if isinstance(words, Mapping) else split_words(words)
    if given:
        return resolved(given), replaced
    name, learned = bundle.manifest.task_set(bundle.entry(space).space.name)
    if name not in SHIPPED and not Path(name).is_file():
        raise UserError(
            f"the bundle remembers the task set {name}, and no such file is there",
            f"give it where it is now with tasks=FILE, or another: {', '.join(SHIPPED)}",
        )
    return name, learned | replaced


def percentiles(entry: SpaceEntry, start: Point, vectors: np.ndarray) -> np.ndarray:
    """[Q] how far vectors [Q, D] of a way from `start` lie from the data, in percent of the real items.

    The items that the start was made from are left out of their neighbours: an item near its start would hold a point
    near the data that has long left it. For an item that is its own distance, which is leave-one-out too. Where the
    start lies among people, people take the place of the items.
    """
    own = [entry.space.index_of(item) for item in start.parents]
    distance = entry.distance("users" if start.kind == "user" else "items")
    return distance.percentile(vectors, exclude=own if distance.space is entry.space else ())
