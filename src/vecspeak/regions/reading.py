"""Reading: what the reader says of the middle of a region, and how two places differ, with what checks it.

Knows how points are asked about and where answers are kept. Knows nothing of metadata.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vecspeak.alignment import unit
from vecspeak.asking import Answer, Asked, Asker, Trust
from vecspeak.bundles import Bundle
from vecspeak.engines import Sampling
from vecspeak.points import Point
from vecspeak.prompts import check_question, with_default_slots
from vecspeak.tasks.privacy import check_about_person

QUESTION = "Describe {x}."
COMPARE = "Compare {x} with {y}."
_SECOND = "The second:"
"""Where the half of an answer begins that is about y, in the words that readers learn."""
_TRIFLE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was said of a region's centroid."""

    question: str
    text: str
    trust: Trust
    rank: int | None
    """How many regions of the atlas, and one, the answer fits at least as well as this one: 1 is the best. None
    where there is no atlas."""
    among: int
    """Regions that were looked at for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What was said of two places at once."""

    question: str
    text: str
    trust: tuple[Trust, ...]
    """One a slot."""
    told_apart: float | None
    """How much better each half of the answer fits its own place than the other, in cosine, on average of both: 0 or
    less is an answer that would fit as well the other way round. None where the answer has no two halves."""
    flags: tuple[str, ...] = ()
    """Attributes that the answer states of a person and that ratings do not tell."""

    @property
    def is_told_apart(self) -> bool:
        """Whether the halves fit their own places by more than a trifle (0.05, a rule of thumb)."""
        return self.told_apart is not None and self.told_apart >= _TRIFLE


class RegionReader:
    """Asks about points that no expression names; answers are kept in a file where one is given."""

    def __init__(
        self, asker: Asker, *, weights: str = "", kept: Path | None = None, sampling: Sampling | None = None
    ) -> None:
        from vecspeak.evaluation.answering import KeptAnswers

        self.asker = asker
        self.sampling = sampling or Sampling()
        self._weights = weights
        self._kept = KeptAnswers(kept)

    @classmethod
    def of(cls, bundle: Bundle, asker: Asker, kept: Path | None = None) -> "RegionReader":
        """A reader of a bundle; `kept` is a file of answers that were given before."""
        files = json.dumps([bundle.manifest.reader.base_sha256, bundle.manifest.files], sort_keys=True)
        return cls(asker, weights=hashlib.sha256(files.encode()).hexdigest(), kept=kept)

    def read(
        self,
        question: str,
        points: Sequence[Point],
        *,
        regions: np.ndarray | None = None,
        own: Sequence[int | None] = (),
        progress: str = "",
    ) -> list[Reading]:
        """Ask the same of every point; `regions` [K, D] are the centroids that an answer is held against.

        `own` are the numbers of the regions that the points are the centroids of, None for others.
        Raises UserError for a question that is none.
        """
        asked = [self._prepared(question, {"x": point}) for point in points]
        answers = self._answered(asked, progress)
        vectors = unit(self.asker.encoder.encode([one.text or "(no answer)" for one in answers]))
        numbers = own or [None] * len(points)
        return [
            Reading(
                question=question,
                text=answer.text,
                trust=answer.trust[0],
                rank=None if regions is None else self._rank(vector, answer.trust[0], regions, number),
                among=0 if regions is None else len(regions) + (number is None),
            )
            for answer, vector, number in zip(answers, vectors, numbers, strict=True)
        ]

    def compare(self, question: str, first: Point, second: Point) -> Compared:
        """Ask about two points at once. Raises UserError for a question that is none, or not about both."""
        answer = self._answered([self._prepared(question, {"x": first, "y": second})])[0]
        return Compared(
            question=question,
            text=answer.text,
            trust=answer.trust,
            told_apart=self._told_apart(answer.text, first, second),
            flags=answer.flags,
        )

    def _prepared(self, question: str, points: Mapping[str, Point]) -> Asked:
        template = with_default_slots(check_question(question), list(points))
        prompt = template.fill({slot: self.asker.read(point) for slot, point in points.items()})
        asked = Asked(question=question, points=dict(points), prompt=prompt)
        if asked.is_about_person:
            check_about_person(template.text)
        return asked

    def _answered(self, asked: Sequence[Asked], progress: str = "") -> list[Answer]:
        from vecspeak.evaluation.answering import answer

        engine = self.asker.engine
        texts = answer(
            engine,
            [one.prompt for one in asked],
            self.sampling,
            key=f"{engine.name}/{self._weights}",
            kept=self._kept,
            progress=progress,
        )
        return [self.asker.judge(one, text) for one, text in zip(asked, texts, strict=True)]

    def _rank(self, vector: np.ndarray, trust: Trust, regions: np.ndarray, own: int | None) -> int:
        scores = self.asker.entry.alignment(regions, "made") @ vector
        others = np.delete(scores, own) if own is not None else scores
        return 1 + int((others > trust.round_trip).sum())

    def _told_apart(self, text: str, first: Point, second: Point) -> float | None:
        before, found, after = text.partition(_SECOND)
        if not found or not before.strip() or not after.strip():
            return None
        halves = unit(self.asker.encoder.encode([before.removeprefix("The first:").strip(), after.strip()]))
        apart = self.asker.read(first) - self.asker.read(second)
        return float(((halves[0] - halves[1]) @ apart) / 2)
