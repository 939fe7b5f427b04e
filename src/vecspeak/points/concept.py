"""Concept: a named direction of a space, what it takes to trust it, and its JSON file.

Knows nothing of how directions are fitted or measured.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from vecspeak.errors import UserError
from vecspeak.files import read_json, write_json
from vecspeak.points.grammar import check_concept_name
from vecspeak.spaces.space import Space

FORMAT_VERSION = 2
"""Version of the file; a reader refuses newer ones. Version 1 had no chance, no stability and an AUC only."""

Measure = Literal["AUC", "pair accuracy", ""]
"""What a score is of; empty where nothing could be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How often the right one of two is put higher, on items that the direction was not fitted on; 0.5 is a coin's.

    Of examples that is the area under the ROC curve, of pairs the share of pairs in the right order.
    """

    value: float
    low: float
    """Lower end of the 95% interval: bootstrap over items."""
    high: float
    """Upper end of it."""

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1 or not 0 <= self.value <= 1:
            raise UserError(
                f"the score is {self.value:g} ({self.low:g} to {self.high:g}); all three must lie between 0 and 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """The same score of the same fit where there is nothing to find: labels, or items, shuffled."""

    mean: float
    high: float
    """95th percentile of the draws."""
    draws: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """Cosine between the direction and those fitted again to bootstrap samples of the items."""

    mean: float
    low: float
    """5th percentile of the refits."""
    refits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Variance:
    """How much of the items' variance lies along the direction, beside random directions."""

    share: float
    random: float
    """Mean share of random directions: one in the number of dimensions."""
    random_high: float
    """95th percentile of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Concept:
    """A direction that stands for something items have more or less of; checked when it is made."""

    name: str
    """The word that expressions call it by."""
    space: str
    """Name of the space it was fitted on."""
    space_digest: str
    """Digest of that space: in another the direction means nothing."""
    direction: np.ndarray
    """[D] float32, unit norm, read-only; points towards having it."""
    scale: float
    """Standard deviation of the items' projections on the direction: what amount 1 moves by."""
    method: str
    """How the direction was fitted."""
    source: str = ""
    """What counted as having it, such as "genres = Horror"."""
    positives: int = 0
    """Items that had it; 0 for pairs and texts."""
    negatives: int = 0
    """Items that did not."""
    pairs: int = 0
    """Judgements "this has more of it than that"; 0 for examples and texts."""
    items: int = 0
    """Different items in the pairs."""
    raters: int = 0
    """People who gave them; 0 where that is not known."""
    measure: Measure = ""
    score: Score | None = None
    """None where nothing says which items have it."""
    chance: Chance | None = None
    """None without a score, and in files of older versions."""
    stability: Stability | None = None
    """None where nothing was fitted, and in files of older versions."""
    variance: Variance | None = None
    """None in files of older versions."""
    overlap: Mapping[str, float] = field(default_factory=dict)
    """Cosine with every other concept of the space when it was saved, by name."""

    def __post_init__(self) -> None:
        check_concept_name(self.name)
        direction = np.array(self.direction, dtype=np.float32)
        norm = float(np.linalg.norm(direction.astype(np.float64)))
        if direction.ndim != 1 or not math.isclose(norm, 1.0, abs_tol=1e-3):
            raise UserError(
                f"the direction of {self.name} has shape {direction.shape} and length {norm:g}; "
                "it must be one vector of length 1",
                "fit the concept again",
            )
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise UserError(
                f"the scale of {self.name} is {self.scale:g}; it must be above 0", "fit the concept again"
            )
        direction.setflags(write=False)
        object.__setattr__(self, "direction", direction)

    @property
    def beats_chance(self) -> bool | None:
        """Whether the score's low end is above the 95th percentile of chance; None where one is not known.

        That is stricter than either alone, on purpose: whoever fits sixty concepts would otherwise keep two or three
        that mean nothing.
        """
        if self.score is None or self.chance is None:
            return None
        return self.score.low > self.chance.high

    @property
    def caution(self) -> str:
        """One line on why not to trust it, for whoever uses it; empty when there is no reason."""
        if self.score is None:
            return f"{self.name} comes from a text alone: no item was checked against it"
        if self.chance is None:
            return f"{self.name} was fitted by an older version: chance was not measured"
        if not self.beats_chance:
            return (
                f"{self.name} does not beat chance: {self.measure} {self.score.value:.3f} ({self.score.low:.3f} to "
                f"{self.score.high:.3f}), shuffled {self.chance.high:.3f}"
            )
        return ""

    @property
    def is_trusted(self) -> bool:
        """Whether there is nothing to be cautious of."""
        return not self.caution

    def facts(self) -> dict[str, Any]:
        """Everything but the direction, as JSON takes it."""
        values = {name: getattr(self, name) for name in (*_KINDS, *_NUMBERS)}
        values = {name: _plain(value) for name, value in values.items() if name != "direction"}
        return values | {"beats_chance": self.beats_chance, "caution": self.caution}


def overlaps(concept: Concept, others: Mapping[str, Concept]) -> dict[str, float]:
    """Cosine of a concept's direction with those of all others of its space, by name, the nearest line first."""
    found = {
        name: float(concept.direction.astype(np.float64) @ other.direction)
        for name, other in others.items()
        if name != concept.name
    }
    return dict(sorted(found.items(), key=lambda one: -abs(one[1])))


def save_concept(concept: Concept, path: str | Path) -> None:
    """Write the concept as JSON, whole or not at all."""
    # The shortest decimal that gives the same float32 back keeps the file small and the round trip exact.
    direction = [float(str(number)) for number in concept.direction]
    fields = {name: _plain(getattr(concept, name)) for name in (*_KINDS, *_NUMBERS)}
    write_json(path, {"format_version": FORMAT_VERSION, **fields, "direction": direction})


def load_concept(path: str | Path, space: Space) -> Concept:
    """Read a concept for use in this space; files of version 1 too.

    Raises UserError for a file that is broken, of a newer format, of another width, or fitted on other
    content than the space holds now.
    """
    try:
        read = read_json(path)
    except UserError as error:
        raise UserError(error.message, _REFIT) from error
    concept = _concept(_checked(read, path), path)
    _check_space(concept, path, space)
    return concept


_REFIT = "remove that file, then fit it again with vecspeak concept fit"
"""One broken file keeps the whole bundle from opening, so the file has to go before anything can be fitted."""

_KINDS: dict[str, Any] = {
    "name": str,
    "space": str,
    "space_digest": str,
    "scale": (int, float),
    "method": str,
    "source": str,
    "positives": int,
    "negatives": int,
    "pairs": int,
    "items": int,
    "raters": int,
    "measure": str,
    "overlap": dict,
    "direction": list,
}
"""What each field of the file must be."""

_NUMBERS: dict[str, Any] = {"score": Score, "chance": Chance, "stability": Stability, "variance": Variance}
"""Fields of the file that are null, or the numbers of one of these."""


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return dict(value) if isinstance(value, Mapping) else value


def _is(value: Any, kind: Any) -> bool:
    """Of that type; no bool for a number, nor NaN or an infinity, which JSON cannot hold."""
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    return not isinstance(value, float) or math.isfinite(value)


def _checked(content: Any, path: str | Path) -> dict[str, Any]:
    """The content of a file of any known version, as this version would write it."""
    version: Any = content.get("format_version") if isinstance(content, dict) else None
    if not _is(version, int) or version < 1:
        raise UserError(f"{path} is no concept file: it has no format_version", _REFIT)
    if version > FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {version}; this vecspeak reads up to {FORMAT_VERSION}",
            "pip install --upgrade vecspeak",
        )
    values: dict[str, Any] = _migrated(content) if version == 1 else content
    for name, kind in _KINDS.items():
        if not _is(values.get(name), kind):
            raise _wrong(path, name)
    if values["measure"] not in get_args(Measure):
        raise _wrong(path, "measure")
    if not all(_is(cosine, (int, float)) for cosine in values["overlap"].values()):
        raise _wrong(path, "overlap")
    return values


def _wrong(path: str | Path, name: str) -> UserError:
    return UserError(f"{path} is no concept file: {name} is missing or of the wrong type", _REFIT)


def _migrated(content: dict[str, Any]) -> dict[str, Any]:
    score = {"value": content.get("auc"), "low": content.get("auc_low"), "high": content.get("auc_high")}
    absent = {"pairs": 0, "items": 0, "raters": 0, "overlap": {}}
    return {**content, **absent, "measure": "AUC", "score": score}


def _concept(content: dict[str, Any], path: str | Path) -> Concept:
    if not all(type(number) in (int, float) for number in content["direction"]):
        raise UserError(f"{path} is no concept file: direction holds something else than numbers", _REFIT)
    try:
        numbers = {name: _numbers(content.get(name), kind, name, path) for name, kind in _NUMBERS.items()}
        return Concept(**{name: content[name] for name in _KINDS}, **numbers)
    except (UserError, OverflowError) as error:
        if isinstance(error, UserError) and error.hint == _REFIT:
            raise
        message = error.message if isinstance(error, UserError) else error
        raise UserError(f"{path} is broken: {message}", _REFIT) from error


def _numbers(values: Any, kind: Any, name: str, path: str | Path) -> Any:
    if values is None:
        return None
    names = [one.name for one in dataclasses.fields(kind)]
    if not isinstance(values, dict) or not all(_is(values.get(one), (int, float)) for one in names):
        raise _wrong(path, name)
    return kind(**{one: values[one] for one in names})


def _check_space(concept: Concept, path: str | Path, space: Space) -> None:
    refit = f"{_REFIT} on {space.name}" + (f" from {concept.source}" if concept.source else "")
    if concept.direction.size != space.dim:
        raise UserError(
            f"{path} has width {concept.direction.size}; {space.name} needs {space.dim}",
            refit,
        )
    if concept.space_digest != space.digest:
        raise UserError(
            f"{path} was fitted on other content of {concept.space} (digest {concept.space_digest[:12]}) "
            f"than {space.name} holds now (digest {space.digest[:12]})",
            refit,
        )
