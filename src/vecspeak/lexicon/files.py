"""Files of a space's lexicon: numbers as safetensors, terms as JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from vecspeak.bounds import read_small
from vecspeak.errors import UserError
from vecspeak.evidence import TermKind
from vecspeak.lexicon.joint import SpaceLexicon
from vecspeak.lexicon.readout import Readout
from vecspeak.lexicon.scores import LexiconScores
from vecspeak.lexicon.terms import Vocabulary

_NUMBERS, _TERMS = "lexicon.safetensors", "lexicon.json"
_MOST_BYTES = 32 << 20
"""Of the terms: 20,000 with their forms and counts take half a megabyte."""
_LARGEST, _MOST_FORMS = 1e6, 50
"""Of a weight, and forms for each term."""
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _SpaceTerms(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the JSON file holds."""

    format: int
    digest: str
    """Of the space that it was fitted on."""
    terms: list[str]
    kinds: list[TermKind]
    counts: list[_Count]
    num_texts: _Count
    forms: dict[str, str]
    values: list[tuple[str, str]]
    rare: dict[str, _Count]
    weights: dict[str, list[float]]
    unit: bool
    origin: str
    scores: LexiconScores | None = None


def save_space_lexicon(lexicon: SpaceLexicon, folder: Path, digest: str) -> None:
    """Write the two files into the folder of a space, which nobody reads yet."""
    vocabulary, readout = lexicon.vocabulary, lexicon.readout
    arrays = {"rates": lexicon.rates.astype(np.float32)}
    if readout is not None:
        arrays |= {"center": readout.center, "weights": readout.weights, "scales": readout.scales}
        arrays |= {} if readout.basis is None else {"basis": readout.basis}
    save_file(arrays, folder / _NUMBERS)
    found = _SpaceTerms(
        format=1,
        digest=digest,
        terms=list(vocabulary.terms),
        kinds=list(vocabulary.kinds),
        counts=vocabulary.counts.tolist(),
        num_texts=vocabulary.num_texts,
        forms=dict(vocabulary.forms),
        values=list(lexicon.values),
        rare=dict(lexicon.rare),
        weights={name: one.tolist() for name, one in lexicon.weights.items()},
        unit=readout.unit if readout else True,
        origin=lexicon.origin,
        scores=lexicon.scores,
    )
    (folder / _TERMS).write_bytes(msgspec.json.encode(found))


def load_space_lexicon(folder: Path, digest: str, dim: int) -> SpaceLexicon | None:
    """What was saved; None where nothing was, or for other vectors of width `dim`. UserError for broken files."""
    if not (folder / _TERMS).is_file():
        return None
    try:
        found = msgspec.json.decode(read_small(folder / _TERMS, _MOST_BYTES), type=_SpaceTerms)
        if found.digest != digest:
            return None
        arrays = load_file(folder / _NUMBERS)
        return _checked(found, arrays, dim)
    except UserError:  # of a larger file, which says so itself
        raise
    except (OSError, msgspec.MsgspecError, SafetensorError, KeyError, AttributeError, ValueError) as error:
        raise UserError(
            f"the lexicon in {folder} is damaged ({error})", "fit the space again with `VecSpeak.fit(...)`"
        ) from error


def _checked(found: _SpaceTerms, arrays: Mapping[str, np.ndarray], dim: int) -> SpaceLexicon:
    count = len(found.terms) + len(found.values)
    width = arrays["basis"].shape[-1] if "basis" in arrays else dim
    shapes = {
        "rates": (count,), "center": (dim,), "weights": (count, width), "scales": (count,), "basis": (dim, width)
    }  # fmt: skip
    for name, array in arrays.items():
        if array.shape != shapes[name] or not np.isfinite(array).all():
            raise ValueError(f"{name} must be {list(shapes[name])} finite numbers")
    if len(found.kinds) != len(found.terms) or len(found.counts) != len(found.terms):
        raise ValueError("its terms do not fit each other")
    if len(found.forms) > _MOST_FORMS * (len(found.terms) + 1):
        raise ValueError(f"it has {len(found.forms):,} forms of {len(found.terms):,} terms")
    if any(len(one) != 9 or not (np.abs(one) <= _LARGEST).all() for one in found.weights.values()):
        raise ValueError(f"its weights must be 9 numbers from -{_LARGEST:,.0f} to {_LARGEST:,.0f}")
    readout = None
    if "weights" in arrays:
        numbers = {name: arrays[name] for name in ("center", "weights", "scales", "rates")}
        readout = Readout(
            **numbers, calibration=np.array([0.0, 1.0, 0.0, 0.0]), unit=found.unit, basis=arrays.get("basis")
        )
    return SpaceLexicon(
        vocabulary=Vocabulary(
            terms=tuple(found.terms), kinds=tuple(found.kinds), counts=np.array(found.counts, np.int64),
            num_texts=found.num_texts, forms=found.forms,
        ),
        values=tuple(found.values),
        readout=readout,
        rates=arrays["rates"],
        rare=found.rare,
        weights={name: np.array(one) for name, one in found.weights.items()},
        origin=found.origin,
        scores=found.scores,
    )  # fmt: skip
