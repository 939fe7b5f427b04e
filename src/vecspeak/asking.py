"""Asking: a question and named points become an answer, with what is needed to judge it.

Prints nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

import numpy as np

from vecspeak.answerable import direct_answer
from vecspeak.beginnings import beginning_of
from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.clauses import FoundText, shipped_clause_model, weigh
from vecspeak.console import progress_bar
from vecspeak.encoders.text import Encoder, load_named_encoder
from vecspeak.engines import AUTO, Engine, Sampling, open_engine, turns_of
from vecspeak.engines.token_log import OnPiece, TokenLog, logged_answers, logged_stream
from vecspeak.errors import UserError
from vecspeak.evidence import OUTSIDE, Answer, Clause, DirectAnswer, Evidence, Neighbor, Neighbors, ReadTerm
from vecspeak.model.alignment import unit
from vecspeak.model.prompt import (
    Prompt,
    check_question,
    vectors_of,
    with_beginning,
    with_default_slots,
)
from vecspeak.model.words import with_words
from vecspeak.points import Point, Scope, evaluate, evaluate_path
from vecspeak.points.expressions import Expression, ItemName, Within
from vecspeak.points.raw import person_note
from vecspeak.searching import Effort, FoundAnswer, find_answers, whole_sentences
from vecspeak.spaces.search import Metric, nearest
from vecspeak.tasks.privacy import check_about_person, flagged
from vecspeak.tasks.task_set import Task
from vecspeak.unread import ClauseWords, own_words, read_words


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


_WEIGHED_TOGETHER = 32
"""Answers whose clauses are weighed in one pass of the models."""
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
    ) -> None:
        """`words_in_prompts`: whether questions have the words that the lexicon reads from their point."""
        self.entry = entry
        self.entries = {**(entries or {}), entry.space.name: entry}
        self._means: dict[str, np.ndarray] = {}
        self.words_in_prompts = words_in_prompts
        self._open_engine = open_engine
        self._open_encoder = open_encoder

    @classmethod
    def from_bundle(cls, bundle: Bundle, *, space: str = "", engine: str = AUTO) -> "Asker":
        """An asker of a bundle's space; the model and the encoder are loaded when first needed.

        So a mistake in a question or an expression is told at once.
        """
        card = bundle.manifest.reader
        return cls(
            bundle.entry(space),
            lambda: open_engine(bundle, engine),
            lambda: load_named_encoder(card.encoder, card.encoder_sha256),
            bundle.entries,
        )

    @property
    def is_direct(self) -> bool:
        """Whether what the engine says is the answer, so that its pieces can be shown as they come."""
        return True

    def reach(self) -> None:
        """Nothing: what else has to be there for an answer is reached here, before it is looked for."""

    def rewritten(
        self,
        questions: Sequence[PreparedQuestion],
        found: Sequence[FoundAnswer],
        sampling: Sampling,
        effort: Effort | None,
    ) -> list[FoundAnswer]:
        """The answers as they are shown: as they were found."""
        return list(found)

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
                    code="outside_data",
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
        if not self.is_direct or effort not in (None, "quick"):
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
            pieces_made, log = self._logged_stream(asked, sampling, effort)
            for piece in pieces_made:
                pieces.append(piece)
                if on_text:
                    on_text(piece)
        text = "".join(pieces).strip()
        found = FoundAnswer(
            text=text,
            nats=log.nats(0, text) if log else None,
            is_cut=log is not None and log.fills(0, sampling.max_new_tokens),
        )
        return self._weighed([asked], [found])[0] if effort else self.judged(asked, found)

    def stream(
        self, asked: PreparedQuestion, sampling: Sampling, *, effort: Effort | None = None
    ) -> Iterator[str]:
        """Yield the pieces of an answer of quick effort, or of a plain draw, as they come."""
        return self._logged_stream(asked, sampling, effort)[0]

    def _logged_stream(
        self, asked: PreparedQuestion, sampling: Sampling, effort: Effort | None
    ) -> tuple[Iterator[str], TokenLog | None]:
        """The same, with what its tokens cost once they are there."""
        if effort is None:
            return logged_stream(self.engine, asked.prompt, sampling)
        if direct := self._direct(asked):
            return iter([direct.text]), None
        drawn, log = logged_stream(self.engine, asked.searched, sampling.penalized)
        pieces = whole_sentences(drawn, sampling.max_new_tokens)
        return (chain([f"{asked.beginning} "], pieces) if asked.beginning else pieces), log

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
        made = self.each_answer(questions, sampling, effort=effort, progress=progress)
        return [answer for _, answer in made]

    def each_answer(
        self,
        questions: Sequence[PreparedQuestion],
        sampling: Sampling | None = None,
        *,
        effort: Effort | None = None,
        progress: str = "",
        on_found: Callable[[], None] | None = None,
        on_piece: OnPiece | None = None,
    ) -> Iterator[tuple[int, Answer]]:
        """Find all answers together, then yield the number of each question with its answer, as each is judged.

        `on_found` is called whenever a text is found or judged; what it raises stops the rest. `on_piece` gets the
        pieces of answers that are not searched for while they are made, where nothing rewrites them; False from it
        ends that one.
        """
        directs = [self._direct(asked) if effort else None for asked in questions]
        written = [asked for asked, direct in zip(questions, directs, strict=True) if not direct]
        if written:
            self.reach()
        drafts = self.find(
            written, sampling, effort=effort, progress=progress, on_found=on_found,
            on_piece=_renumbered(on_piece, [number for number, direct in enumerate(directs) if not direct]),
        )  # fmt: skip
        found = self.rewritten(written, drafts, sampling or Sampling(), effort)
        made = self._each_judged(written, found, is_weighed=effort is not None)
        for number, (asked, direct) in enumerate(zip(questions, directs, strict=True)):
            if on_found:
                on_found()
            yield number, replace(self.judge(asked, direct.text), direct=direct) if direct else next(made)

    def _each_judged(
        self, questions: Sequence[PreparedQuestion], found: Sequence[FoundAnswer], *, is_weighed: bool
    ) -> Iterator[Answer]:
        """Yield the answers with their evidence, in order; clauses are weighed for some together."""
        if not is_weighed:
            yield from map(self.judged, questions, found)
            return
        for start in range(0, len(questions), _WEIGHED_TOGETHER):
            some = slice(start, start + _WEIGHED_TOGETHER)
            yield from self._weighed(questions[some], found[some])

    def find(
        self,
        questions: Sequence[PreparedQuestion],
        sampling: Sampling | None = None,
        *,
        effort: Effort | None = None,
        progress: str = "",
        on_found: Callable[[], None] | None = None,
        on_piece: OnPiece | None = None,
    ) -> list[FoundAnswer]:
        """What the language model says of each, not judged; plain draws without an effort.

        `on_found` is called for each text that is found; what it raises stops the others.
        """
        sampling = sampling or Sampling()
        prompts = [asked.searched if effort else asked.prompt for asked in questions]
        if not prompts:
            return []
        with turns_of(self.engine):
            made: Iterator[tuple[int, FoundAnswer]]
            if effort is None:
                made = _drawn(self.engine, prompts, sampling, on_piece if self.is_direct else None)
            else:
                vectors = [asked.vectors for asked in questions]
                made = find_answers(
                    self.engine, self.encoder, prompts, vectors, effort=effort, sampling=sampling,
                    terms_of=lambda number, texts: self.terms_in(questions[number], texts),
                    on_piece=on_piece if self.is_direct else None,
                )  # fmt: skip
            bar = progress_bar(made, total=len(prompts), desc=progress, unit="answer", shown=bool(progress))
            found = dict[int, FoundAnswer]()
            for number, one in bar:
                found[number] = one
                if on_found:
                    on_found()
        return [found[number] for number in range(len(prompts))]

    def judge(self, asked: PreparedQuestion, text: str) -> Answer:
        """The evidence beside an answer."""
        vector = self.encoder.encode([text or "(no answer)"])[0]
        evidence = tuple(self._evidence(slot, point, vector) for slot, point in asked.points.items())
        flags = flagged(text) if asked.is_about_person else ()
        return Answer(question=asked.question, text=text, evidence=evidence, flags=flags)

    def judged(self, asked: PreparedQuestion, found: FoundAnswer) -> Answer:
        """The same, with who wrote it, and whether the room ended it."""
        return replace(self.judge(asked, found.text), writer=found.writer, is_cut=found.is_cut)

    def _weighed(self, questions: Sequence[PreparedQuestion], found: Sequence[FoundAnswer]) -> list[Answer]:
        texts = [self._found_text(asked, one) for asked, one in zip(questions, found, strict=True)]
        clauses = self._clauses(texts)
        return [
            replace(self.judged(asked, one), clauses=some)
            for asked, one, some in zip(questions, found, clauses, strict=True)
        ]

    def _direct(self, asked: PreparedQuestion) -> DirectAnswer | None:
        """The answer, where no language model is needed for it or none could know it; a task always has one."""
        if asked.task or len(asked.points) != 1:
            return None
        return direct_answer(asked.question, lambda text: self.terms_in(asked, [text])[0])

    def clauses_of(self, asked: PreparedQuestion, text: str) -> tuple[Clause, ...]:
        """The clauses of an answer, whoever wrote it, each with the probability that it holds; `weigh`."""
        return self._clauses([self._found_text(asked, FoundAnswer(text=text))])[0]

    def _clauses(self, found: Sequence[FoundText]) -> list[tuple[Clause, ...]]:
        return weigh(found, self.engine, self.encoder, shipped_clause_model())

    def _found_text(self, asked: PreparedQuestion, found: FoundAnswer) -> FoundText:
        template = with_default_slots(check_question(asked.question), list(asked.points))
        means = {slot: self._mean_read(self.entry_of(point)) for slot, point in asked.points.items()}
        return FoundText(
            text=found.text,
            drafts=found.drafts,
            prompt=asked.prompt,
            mean_prompt=template.fill(means),
            target_T=unit(asked.vectors).mean(0),
            nats=found.nats,
            terms=lambda texts: self.terms_in(asked, texts),
            own=self._own_words(asked),
        )

    def read_words(self, asked: PreparedQuestion, clauses: Sequence[str]) -> list[ClauseWords]:
        """Of each clause of a text what no vector is read for; `unread.read_words`."""
        return read_words(clauses, lambda texts: self.terms_in(asked, texts), self._own_words(asked))

    def _own_words(self, asked: PreparedQuestion) -> frozenset[str]:
        spaces = [(point.item_id, self.entry_of(point).space) for point in asked.points.values()]
        return own_words(
            space.labels[space.index_of(item)]
            for item, space in spaces
            if item is not None and space.has(item)
        )

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
            held_out=point.item_id in entry.held_out,
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


def _drawn(
    engine: Engine, prompts: Sequence[Prompt], sampling: Sampling, on_piece: OnPiece | None
) -> Iterator[tuple[int, FoundAnswer]]:
    """Plain draws as they end; whether their room ended them, where the engine counts what it draws."""
    for number, text, log in logged_answers(engine, prompts, sampling, on_piece):
        is_cut = log is not None and log.fills(number, sampling.max_new_tokens)
        yield number, FoundAnswer(text=text, is_cut=is_cut)


def _renumbered(on_piece: OnPiece | None, numbers: Sequence[int]) -> OnPiece | None:
    """The same for places in a list of which `numbers` says what each is called."""
    return on_piece and (lambda place, piece: on_piece(numbers[place], piece))


def with_person_noticed(point: Point, entries: Mapping[str, SpaceEntry]) -> Point:
    """The point; marked as about a person, with a note, where its vector is that of a user of any of the spaces."""
    if point.about_person or point.item_id is not None:
        return point
    note = person_note((one.users for one in entries.values() if one.users is not None), point.vector)
    return replace(point, about_person=True, notes=(*point.notes, note)) if note else point


def percentiles(entry: SpaceEntry, start: Point, vectors: np.ndarray) -> np.ndarray:
    """[Q] how far vectors [Q, D] of a way from `start` lie from the data, in percent of the real items.

    The items that the start was made from are left out of their neighbours: an item near its start would hold a point
    near the data that has long left it. For an item that is its own distance, which is leave-one-out too. Where the
    start lies among people, people take the place of the items.
    """
    own = [entry.space.index_of(item) for item in start.parents]
    distance = entry.distance("users" if start.kind == "user" else "items")
    return distance.percentile(vectors, exclude=own if distance.space is entry.space else ())
