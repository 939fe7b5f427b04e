"""Concept: a named direction of a space, and its JSON file. Knows nothing of how it was fitted."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vecspeak.errors import UserError
from vecspeak.files import read_json, write_json
from vecspeak.points.grammar import check_concept_name
from vecspeak.spaces.space import Space

FORMAT_VERSION = 1
"""Version of the file; a reader refuses newer ones."""


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
    positives: int
    """Items that had it."""
    negatives: int
    """Items that did not."""
    method: str
    """How the direction was fitted."""
    auc: float
    """Area under the ROC curve on held-out items, the mean of 5 folds; 0.5 is chance."""
    auc_low: float
    """Lower end of the bootstrap 95% interval of the AUC."""
    auc_high: float
    """Upper end of it."""
    source: str = ""
    """What counted as having it, such as "genres = Horror"."""

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
        if not 0 <= self.auc_low <= self.auc_high <= 1 or not 0 <= self.auc <= 1:
            raise UserError(
                f"the AUC of {self.name} is {self.auc:g} ({self.auc_low:g} to {self.auc_high:g}); "
                "all three must lie between 0 and 1",
                "fit the concept again",
            )
        direction.setflags(write=False)
        object.__setattr__(self, "direction", direction)


def save_concept(concept: Concept, path: str | Path) -> None:
    """Write the concept as JSON, whole or not at all."""
    # The shortest decimal that gives the same float32 back keeps the file small and the round trip exact.
    fields = {name: getattr(concept, name) for name in _KINDS if name != "direction"}
    direction = [float(str(number)) for number in concept.direction]
    write_json(path, {"format_version": FORMAT_VERSION, **fields, "direction": direction})


def load_concept(path: str | Path, space: Space) -> Concept:
    """Read a concept for use in this space.

    Raises UserError for a file that is broken, of a newer format, of another width, or fitted on other
    content than the space holds now.
    """
    content = read_json(path)
    _check_format(content, path)
    for name, kind in _KINDS.items():
        if not isinstance(content.get(name), kind) or isinstance(content[name], bool):
            raise UserError(f"{path} is no concept file: {name} is missing or of the wrong type", _REFIT)
    concept = _concept(content, path)
    _check_space(concept, path, space)
    return concept


_REFIT = "fit it again with vecspeak concept fit"

_KINDS: dict[str, Any] = {
    "name": str,
    "space": str,
    "space_digest": str,
    "scale": (int, float),
    "positives": int,
    "negatives": int,
    "method": str,
    "auc": (int, float),
    "auc_low": (int, float),
    "auc_high": (int, float),
    "source": str,
    "direction": list,
}
"""What each field of the file must be."""


def _check_format(content: Any, path: str | Path) -> None:
    version = content.get("format_version") if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise UserError(f"{path} is no concept file: it has no format_version", _REFIT)
    if version > FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {version}; this vecspeak reads up to {FORMAT_VERSION}",
            "pip install --upgrade vecspeak",
        )


def _concept(content: dict[str, Any], path: str | Path) -> Concept:
    if not all(type(number) in (int, float) for number in content["direction"]):
        raise UserError(f"{path} is no concept file: direction holds something else than numbers", _REFIT)
    try:
        return Concept(**{name: content[name] for name in _KINDS})
    except (UserError, OverflowError) as error:
        raise UserError(f"{path} is broken: {error}") from error


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
