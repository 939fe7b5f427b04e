"""Report: what an evaluation found, as frozen values that a page, a table, a judge and a comparison all read.

A set of entities is answered by systems (the reader, and every baseline) and each answer is scored by measures.
Numbers are kept for each entity, so that two reports can be compared pair by pair. Knows no model.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from vecspeak.evaluation.intervals import Estimate, Series, Statistic

REPORT_VERSION = 2
READER = "reader"
"""Key of the system that is under test."""
OVER_SWAP = "over_swap"
"""Key of the measure by which a reader's answers to tasks are held against answers to other entities."""
ALIKE = "alike"
"""Key of the measure that finds the same answer to several tasks."""
TOLD_APART = "told_apart"
"""Key of the measure by which answers to tasks are held against answers to other tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """How an answer is scored."""

    key: str
    name: str
    """As a table's head says it."""
    what: str
    """One sentence: what it is, with its unit."""
    better: Literal["higher", "lower", ""]
    """Which way is good; empty where neither is."""
    statistic: Statistic = "mean"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What gives an answer for each entity."""

    key: str
    name: str
    what: str
    """One sentence: what it is given and what that shows."""
    estimates: Mapping[str, Estimate]
    """By measure; a measure that does not fit a system is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A training entity near an evaluated one."""

    label: str
    text: str
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One evaluated entity with all its answers."""

    id: str
    label: str
    truth: str
    """What is true of it."""
    nearest: tuple[Known, ...]
    answers: Mapping[str, str]
    """By system."""
    values: Mapping[str, Mapping[str, float]]
    """By system and measure."""
    weights: Mapping[str, Mapping[str, float]]
    """By system and measure; where none is given it is 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedSet:
    """One question asked of one set of entities."""

    name: str
    question: str
    split: str
    """Which split the entities are of."""
    trained_on: bool
    """Whether the reader or the map was fitted on these very entities: then nothing here is held out."""
    among: int
    """How many texts the right one is searched among."""
    nearest_by: str
    """What nearest means here."""
    flags: tuple[str, ...]
    """What a reader must be told first, in plain sentences; empty when all is well."""
    measures: tuple[Measure, ...]
    systems: tuple[System, ...]
    entities: tuple[Entity, ...]

    @property
    def count(self) -> int:
        """How many entities."""
        return len(self.entities)

    def system(self, key: str) -> System | None:
        """The system of that key, if there is one."""
        return next((system for system in self.systems if system.key == key), None)

    def series(self, system: str, measure: str) -> Series | None:
        """One number an entity, as it was measured; None where the system was not measured so."""
        rows = [entity.values.get(system, {}).get(measure) for entity in self.entities]
        if any(row is None for row in rows) or not rows:
            return None
        weights = [entity.weights.get(system, {}).get(measure, 1.0) for entity in self.entities]
        return Series(np.array(rows, dtype=float), np.array(weights, dtype=float))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole evaluation."""

    bundle: str
    """Name of the bundle."""
    made: str
    """When, as ISO 8601 in UTC."""
    settings: Mapping[str, Any]
    """Everything that can change a number: seed, sampling, counts, versions."""
    digests: Mapping[str, str]
    """SHA-256 of the weights, encoders and space, by name."""
    sets: tuple[EvaluatedSet, ...]
    judged: Mapping[str, Any] = field(default_factory=dict)
    """What raters said, by rater; empty before any did."""
    report_version: int = REPORT_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
