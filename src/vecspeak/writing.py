"""Asking with a writer: a language model that never saw the vector writes each answer from what was read and said."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vecspeak.asking import Asker, PreparedQuestion
from vecspeak.console import print_line
from vecspeak.engines import Sampling
from vecspeak.model.alignment import unit
from vecspeak.points import Point
from vecspeak.searching import Effort, FoundAnswer, worth_of
from vecspeak.tasks.prose import has_loop
from vecspeak.tasks.replies import prose_of
from vecspeak.writers import Writer
from vecspeak.writers.cleaning import about_the_point
from vecspeak.writers.evidence import TURN, Draft, Read, request

_WRITTEN: dict[Effort | None, int] = {None: 1, "quick": 1, "normal": 4, "high": 8}
"""Texts that a writer draws for an answer."""
_WORDS, _LEAST, _DRAFTS, _NEAREST, _EXTREME = 16, 0.15, 3, 3, 10.0
"""What a writer is sent: words, the least probability of one, drafts, nearest items; percent of a concept's ends."""
_LETTERS, _SAME = 12, 0.9999
"""Letters of a reply that are read for each token that was asked for; cosine from which on an item is the point."""


class WritingAsker(Asker):
    """Asks as an `Asker` does, and has a writer write every answer again."""

    def __init__(self, writer: Writer, *given: Any, **more: Any) -> None:
        """The `writer`, and what an `Asker` takes."""
        super().__init__(*given, **more)
        self.writer = writer

    @property
    def is_direct(self) -> bool:
        """False: nothing can be shown before the writer has written."""
        return False

    def reach(self) -> None:
        """Raise UserError where the writer does not answer: before the search, which takes longer."""
        self.writer.reach()

    def rewritten(
        self,
        questions: Sequence[PreparedQuestion],
        found: Sequence[FoundAnswer],
        sampling: Sampling,
        effort: Effort | None,
    ) -> list[FoundAnswer]:
        """What the writer makes of each; what the reader said where it wrote nothing.

        Of several texts the one is taken that fits what was read best, as in a search.
        """
        if not questions:
            return []
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
        if silent := sum(not one.writer for one in made):
            print_line(
                f"{self.writer.name} wrote nothing usable for {silent} of {len(made)} answers: the reader's stand"
            )
        return made

    def ranked(self, asked: PreparedQuestion, texts: Sequence[str], room: int) -> list[str]:
        """What a writer wrote, cleaned, in the order in which it fits what was read; what goes in circles is left out.

        Of each text so much is read as an answer of `room` tokens may have.
        """
        slots = tuple(asked.points)
        prose = (prose_of(TURN.sub(" ", text[: _LETTERS * room])) for text in texts)
        plain = (about_the_point(text, slots) for text in prose)
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
            if self.writer.share_texts:
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
