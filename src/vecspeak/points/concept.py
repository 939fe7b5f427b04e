"""Concept: a named direction of a space, how far it can be trusted, and its JSON file."""

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from markupsafe import Markup

from vecspeak.display import bar, bullets, element, table
from vecspeak.errors import UserError
from vecspeak.points.parser import check_concept_name
from vecspeak.spaces.point import Arithmetic, Direction
from vecspeak.spaces.space import Space
from vecspeak.stats import Finite
from vecspeak.storage import read_json, write_json

FORMAT_VERSION = 2
"""Version of the file; a reader refuses newer ones. Version 1 had no chance, no stability and an AUC only."""
_REFIT = "remove that file, then fit it again with `VecSpeak.fit_concept(...)`"
"""One broken file keeps the whole bundle from opening, so the file has to go before anything can be fitted."""

Measure = Literal["AUC", "pair accuracy", ""]
"""What a score is of; empty where nothing could be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How often the right one of two is put higher, on items that the direction was not fitted on; 0.5 is a coin's.

    For examples that is the area under the ROC curve, for pairs the share in the right order.
    """

    value: Finite
    low: Finite
    """Lower end of the 95% interval: bootstrap over items."""
    high: Finite

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1 or not 0 <= self.value <= 1:
            raise UserError(
                f"the score is {self.value:g} ({self.low:g} to {self.high:g}); all three must lie between 0 and 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """The same score of the same fit where there is nothing to find: labels, or items, shuffled."""

    mean: Finite
    high: Finite
    """95th percentile of the draws."""
    draws: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """Cosine between the direction and those fitted again to bootstrap samples of the items."""

    mean: Finite
    low: Finite
    """5th percentile of the refits."""
    refits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Variance:
    """How much of the items' variance lies along the direction, beside random directions."""

    share: Finite
    random: Finite
    """Mean share of random directions: one in the number of dimensions."""
    random_high: Finite
    """95th percentile of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Concept(Arithmetic):
    """A direction that stands for something items have more or less of; checked when it is made.

    >>> horror = vs.concept("horror", where="genres = Horror", method="mean")
    >>> horror
    Concept('horror' in movies.semantic, AUC 0.8..., genres = Horror)
    >>> horror.is_trusted, horror.score.low > horror.chance.high    # of the same fit on shuffled labels
    (True, True)
    >>> (space["The Thaw"] + 2 * horror).expression
    '"The Thaw" + 2*horror'
    """

    name: str
    """The word that expressions call it by."""
    space: str
    space_digest: str
    """In a space with another digest the direction means nothing."""
    scale: float
    """Standard deviation of the items' projections on the direction: a step of amount 1."""
    method: str
    source: str = ""
    """What counted as having it, such as "genres = Horror"."""
    positives: int = 0
    """Items that have it; 0 for pairs and texts."""
    negatives: int = 0
    pairs: int = 0
    """Judgements "this has more of it than that"; 0 for examples and texts."""
    items: int = 0
    """Different items in the pairs."""
    raters: int = 0
    """People who gave them; 0 where that is not known."""
    measure: Measure = ""
    overlap: Mapping[str, float] = field(default_factory=dict)
    """Cosine with every other concept of the space when it was saved, by name."""
    direction: np.ndarray
    """[D] float32, unit norm, read-only; points towards having it."""
    score: Score | None = None
    """None where nothing says which items have it."""
    chance: Chance | None = None
    """None without a score, and in files of version 1; the two below likewise."""
    stability: Stability | None = None
    variance: Variance | None = None

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

    def __repr__(self) -> str:
        score = f", {self.measure} {self.score.value:.3f}" if self.score else ""
        return f"Concept({self.name!r} in {self.space}{score}, {self.source or self.method})"

    def _repr_html_(self) -> Markup:
        """What it was fitted from, and its score beside that of shuffled labels and a coin's; shown by notebooks."""
        rows = []
        if self.score:
            score = f"{self.score.value:.3f} [{self.score.low:.3f}, {self.score.high:.3f}]"
            rows.append([f"{self.measure} on items that it was not fitted on", bar(self.score.value, score)])
        if self.chance:
            shuffled = f"{self.chance.mean:.3f}, 95% below {self.chance.high:.3f}"
            rows.append(["with shuffled labels", bar(self.chance.mean, shuffled)])
        if self.stability:
            rows.append(["cosine with refits", bar(self.stability.mean, f"{self.stability.mean:.3f}")])
        if self.variance:
            beside = f"{self.variance.share:.2%} ({self.variance.random:.2%} of a random direction)"
            rows.append(["share of the variance", bar(self.variance.share, beside)])
        head = element("p", element("strong", self.name), f" in {self.space}, {self.source or self.method}")
        return element("div", head, table([], rows), bullets((self.caution,) if self.caution else ()))

    def as_term(self) -> Direction:
        """One standard deviation along it, for sums: `space["Heat"] + 2 * funny`."""
        step = self.scale * self.direction.astype(np.float64)
        return Direction(space=self.space, vector=step, expression=self.name, concepts=(self.name,))

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
        values = {name: value for name, value in _plain(self).items() if name != "direction"}
        return values | {"beats_chance": self.beats_chance, "caution": self.caution}


def overlaps(concept: Concept, others: Mapping[str, Concept]) -> dict[str, float]:
    """Cosine of a concept's direction with those of all others of its space, by name, the nearest line first."""
    found = {
        name: float(concept.direction.astype(np.float64) @ other.direction)
        for name, other in others.items()
        if name != concept.name
    }
    return dict(sorted(found.items(), key=lambda one: -abs(one[1])))


def _plain(concept: Concept) -> dict[str, Any]:
    values = {one.name: getattr(concept, one.name) for one in dataclasses.fields(concept)}
    for name, value in values.items():
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            values[name] = dataclasses.asdict(value)
    return values | {"overlap": dict(concept.overlap)}


def save_concept(concept: Concept, path: str | Path) -> None:
    """Write the concept as JSON, whole or not at all."""
    # The shortest decimal that gives the same float32 back keeps the file small and the round trip exact.
    direction = [float(str(number)) for number in concept.direction]
    write_json(path, {"format_version": FORMAT_VERSION, **_plain(concept), "direction": direction})


_IN_FILE = {"direction": list[float], "scale": int | Finite, "overlap": dict[str, Finite]}
_ConceptFile = msgspec.defstruct(
    "_ConceptFile",
    [
        (one.name, one.type, None) if one.default is None else (one.name, _IN_FILE.get(one.name, one.type))
        for one in dataclasses.fields(Concept)
    ],
    kw_only=True,
)
"""The fields of a concept as its file holds them; what may be None may be absent."""


def load_concept(path: str | Path, space: Space) -> Concept:
    """Read a concept for use in this space; files of version 1 too.

    Raises UserError for a file that is broken, of a newer format, of another width, or fitted on other content than
    the space holds now.
    """
    try:
        content = read_json(path)
    except UserError as error:
        raise UserError(error.message, _REFIT) from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise UserError(f"{path} is no concept file: it has no format_version", _REFIT)
    if version > FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {version}; this vecspeak reads up to {FORMAT_VERSION}",
            "pip install --upgrade vecspeak",
        )
    if version == 1:  # an AUC in three keys, and nothing of pairs
        score = {"value": content.get("auc"), "low": content.get("auc_low"), "high": content.get("auc_high")}
        absent = {"pairs": 0, "items": 0, "raters": 0, "overlap": {}}
        content = {**content, **absent, "measure": "AUC", "score": score}
    try:
        concept = Concept(**msgspec.structs.asdict(msgspec.convert(content, _ConceptFile)))
    except (msgspec.ValidationError, UserError, OverflowError) as error:
        raise _explained(error, path) from error
    refit = f"{_REFIT} on {space.name}" + (f" from {concept.source}" if concept.source else "")
    check_fits(concept, space, path, refit)
    return concept


def _explained(error: Exception, path: str | Path) -> UserError:
    """Name the field that msgspec's message is about, or say what the concept itself finds wrong."""
    wrong = error.__cause__ if isinstance(error.__cause__, UserError) else error
    if not isinstance(wrong, msgspec.ValidationError):
        message = wrong.message if isinstance(wrong, UserError) else wrong
        return UserError(f"{path} is broken: {message}", _REFIT)
    name = (re.findall(r"`\$\.(\w+)|field `(\w+)`", str(wrong)) or [("", "")])[0]
    if "$.direction[" in str(wrong):
        return UserError(f"{path} is no concept file: direction holds something else than numbers", _REFIT)
    return UserError(
        f"{path} is no concept file: {name[0] or name[1]} is missing or of the wrong type", _REFIT
    )


def check_fits(concept: Concept, space: Space, what: object = "", hint: str = "") -> None:
    """Raise UserError where the concept, which is called `what`, was fitted on other content than the space holds."""
    what = what or f"the concept {concept.name}"
    hint = hint or f"fit it on {space.name!r} with `VecSpeak.fit_concept(...)`"
    if concept.direction.size != space.dim:
        raise UserError(f"{what} has width {concept.direction.size}; {space.name} needs {space.dim}", hint)
    if concept.space_digest != space.digest:
        raise UserError(
            f"{what} was fitted on other content of {concept.space} (digest {concept.space_digest[:12]}) "
            f"than {space.name} holds now (digest {space.digest[:12]})",
            hint,
        )
