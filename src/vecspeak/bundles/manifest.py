"""Manifest of a bundle: its reader, files and spaces; the one place where older formats are migrated. No torch."""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from vecspeak.errors import UserError
from vecspeak.storage import read_json

FORMAT_VERSION = 1
"""Of this release. A newer one is refused; an older one is migrated step by step."""
MANIFEST = "manifest.json"
NEUTRAL_TASKS = "items"
"""Task set for spaces of which nothing is known."""


class FileFacts(TypedDict):
    """What the manifest says of one file: SHA-256 in hex and bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderCard:
    """What a reader is made of and what is known of it."""

    base_model: str
    """Language model: a known name or a folder."""
    base_sha256: str
    """Digest of the language model's own file where it is known, else empty."""
    encoder: str
    """Text encoder whose vectors it reads."""
    encoder_sha256: str
    """Digest of that encoder's weights."""
    adapter: dict[str, Any]
    """The adapter's configuration."""
    chat: dict[str, str]
    """The chat format it was trained with."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """The recipe as it was run, with its seed and its split."""
    data: dict[str, Any] = field(default_factory=dict)
    """What it was trained on: sources, licences, counts, digests."""
    scores: dict[str, Any] = field(default_factory=dict)
    """Its own scores, each with an interval: `{value, low, high}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The manifest of a bundle."""

    name: str
    reader: ReaderCard
    files: dict[str, FileFacts]
    """The files of the reader, by their path in the bundle."""
    spaces: tuple[str, ...] = ()
    """Names of the spaces it holds, in the order in which they were added."""
    without_pairs: dict[str, str] = field(default_factory=dict)
    """Of spaces whose map was found without pairs: how, with the figures that speak for it."""
    format_version: int = FORMAT_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a field that earlier releases do not know is left out where it says nothing."""
        values = dataclasses.asdict(self)
        if not self.without_pairs:
            del values["without_pairs"]
        return values

    @property
    def knows_tasks(self) -> bool:
        """Whether the reader was trained on tasks that have names."""
        return isinstance(self.reader.data.get("targets"), dict)

    def task_set(self, space: str) -> tuple[str, dict[str, str]]:
        """The task set that the reader learned for a space of that name, and words that replace the set's own.

        The neutral set for a space of which it learned no tasks.
        """
        known = self.reader.data.get("targets")
        known = known if isinstance(known, dict) else {}
        first = self.reader.recipe.get("targets") or {}
        name = first.get("task_set") if first.get("space") == space else _of(known, "task_sets", space)
        words = _of(known, "words", space)
        return str(name or NEUTRAL_TASKS), dict(words) if isinstance(words, dict) else {}


def _of(values: dict[str, Any], name: str, space: str) -> Any:
    """What a table of `values` has for a space; None where it has nothing."""
    table = values.get(name)
    return table.get(space) if isinstance(table, dict) else None


_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From a version to the next. Version 1 is the first."""


def check_name(name: str) -> str:
    """A space's name is also a folder's. Raises UserError for other than letters, digits, dots, dashes."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", name):
        raise UserError(
            f"{name!r} is no name for a space: letters, digits, dots and dashes, 64 at most", "use `name`"
        )
    return name


def read_manifest(folder: Path) -> Manifest:
    """Read, migrate and check a manifest. Raises UserError for no bundle, a newer one, and a broken one."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} is no bundle: it has no {MANIFEST}", "make one with `VecSpeak.fit(...)`")
    values = read_json(path)
    version = values.get("format_version") if isinstance(values, dict) else None
    if not isinstance(version, int) or version < 1:
        raise UserError(
            f"{path} is no manifest of a bundle", "make the bundle again with `VecSpeak.fit(...)`"
        )
    if version > FORMAT_VERSION:
        raise UserError(
            f"the bundle {folder} has format {version}; this vecspeak reads up to {FORMAT_VERSION}",
            "pip install --upgrade vecspeak",
        )
    for old in range(version, FORMAT_VERSION):
        values = _MIGRATIONS[old](values)
    try:
        _refuse_unknown(values, Manifest, "$")
        _refuse_unknown(values.get("reader"), ReaderCard, "$.reader")
        manifest = msgspec.convert(values, Manifest)
    except msgspec.ValidationError as error:
        raise UserError(
            f"{path} is not complete: {error}", "make the bundle again with `VecSpeak.fit(...)`"
        ) from error
    for name in manifest.spaces:
        check_name(name)
    return manifest


def _refuse_unknown(values: Any, kind: type, place: str) -> None:
    known = {one.name for one in dataclasses.fields(kind)}
    for name in values if isinstance(values, dict) else ():
        if name not in known:
            raise msgspec.ValidationError(f"Object contains unknown field `{name}` - at `{place}`")
