"""The teacher without a model: targets composed of facts, for the tasks that facts alone answer honestly.

Knows facts and the tasks' sentences. What it cannot tell it leaves empty.
"""

import json
from collections.abc import Iterator, Sequence

from vecspeak.tasks.facts import compose
from vecspeak.tasks.lessons import Lesson
from vecspeak.teachers.base import Written

FACTS = "facts"


class FactsTeacher:
    """Writes what is known; an empty text where the task would need an opinion, or nothing is known."""

    name = FACTS

    def settings_for(self, lesson: Lesson) -> str:
        """The sentences and the facts: what a lesson tells other teachers does not count here."""
        return json.dumps([lesson.task.facts, dict(lesson.facts)], sort_keys=True)

    def write(self, lessons: Sequence[Lesson]) -> Iterator[tuple[int, Written]]:
        """One after the other, at once."""
        for number, lesson in enumerate(lessons):
            text = compose(lesson.task, lesson.facts) or ""
            yield number, Written(text=text, tokens_in=0, tokens_out=0)
