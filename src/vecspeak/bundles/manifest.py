"""Manifest of a bundle: its reader, files and spaces; the one place where older formats are migrated. No torch.

A manifest may come from anybody: every field is checked for its kind, every path for lying inside, and the names of
models in it are names alone (`vecspeak.model.named`).
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec

from vecspeak.errors import UserError, shorten
from vecspeak.storage import read_json

FORMAT_VERSION = 2
"""Of this release. A newer one is refused; an older one is migrated step by step."""
MANIFEST = "manifest.json"
READER, SPACES = "reader", "spaces"
"""Folders of a bundle."""
ADAPTER = f"{READER}/adapter.safetensors"
LORA = f"{READER}/lora/adapter_model.safetensors"
LORA_CONFIG = f"{READER}/lora/adapter_config.json"
_MOST_BYTES = 16 << 20
"""Of a manifest: a thousand times what the shipped one has."""
NEUTRAL_TASKS = "items"
"""Task set for spaces of which nothing is known."""


class FileFacts(TypedDict):
    """What the manifest says of one file: SHA-256 in hex and bytes."""

    sha256: str
    size: Annotated[int, msgspec.Meta(ge=0)]


_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
_ChatText = Annotated[str, msgspec.Meta(max_length=10_000)]


class _Adapter(msgspec.Struct, forbid_unknown_fields=True):
    """Kinds of what `reader.adapter` has; what is missing is told when the weights are opened."""

    vector_dim: _Count = 1
    model_dim: _Count = 1
    hidden_dim: _Count = 1
    num_soft_tokens: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 1
    token_norm: Annotated[float, msgspec.Meta(gt=0, lt=1e9)] = 1.0


class _Chat(msgspec.Struct, forbid_unknown_fields=True):
    before: _ChatText = ""
    after: _ChatText = ""
    stop: _ChatText = ""

    def __post_init__(self) -> None:
        for text in (self.before, self.after, self.stop):
            if any("\ud800" <= letter <= "\udfff" for letter in text):
                raise ValueError("Expected letters, got half of one (a lone surrogate)")


class _RecipeTargets(msgspec.Struct):
    space: str = ""
    task_set: str = ""


class _Recipe(msgspec.Struct):
    """Kinds of what is read of `reader.recipe`."""

    targets: _RecipeTargets | None = None


class _Learned(msgspec.Struct):
    task_sets: dict[str, str] = {}
    words: dict[str, dict[str, str]] = {}


class Terms(msgspec.Struct):
    """Where a source of the training comes from, and its licence, as noted."""

    origin: str = ""
    licence: str = ""


class _Data(msgspec.Struct):
    """Kinds of what is read of `reader.data`."""

    targets: _Learned | None = None
    terms: dict[str, Terms] = {}


_KINDS: Mapping[str, type] = {"adapter": _Adapter, "chat": _Chat, "recipe": _Recipe, "data": _Data}
"""What the plain values of a card hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderCard:
    """What a reader is made of and what is known of it."""

    base_model: str
    """Language model: a known name, or what another is called; never a place where it is looked for."""
    base_sha256: str
    """Digest of the language model's own file where it is known, else empty."""
    encoder: str
    """Text encoder whose vectors it reads: a known name, or what another is called."""
    encoder_sha256: str
    """Digest of that encoder's weights."""
    adapter: dict[str, Any]
    """The adapter's configuration."""
    chat: dict[str, Any]
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
    spaces: Annotated[tuple[str, ...], msgspec.Meta(max_length=1000)] = ()
    """Names of the spaces it holds, in the order in which they were added."""
    without_pairs: dict[str, str] = field(default_factory=dict)
    """Of spaces whose map was found without pairs: how, with the figures that speak for it."""
    space_files: dict[str, FileFacts] = field(default_factory=dict)
    """All files of the spaces, by their path in the bundle; empty in bundles of format 1, which did not note them."""
    made: str = ""
    """When it was written (UTC); empty where nobody noted it."""
    format_version: int = FORMAT_VERSION
    """That of the file."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a field that says nothing is left out."""
        values = dataclasses.asdict(self)
        for name in ("without_pairs", "space_files", "made"):
            if not values[name]:
                del values[name]
        return values

    @property
    def terms(self) -> dict[str, Terms]:
        """Origin and licence of what the reader was trained on, by source."""
        return msgspec.convert(self.reader.data, _Data).terms

    @property
    def knows_tasks(self) -> bool:
        """Whether the reader was trained on tasks that have names."""
        return isinstance(self.reader.data.get("targets"), dict)

    def task_set(self, space: str) -> tuple[str, dict[str, str]]:
        """The task set that the reader learned for a space of that name, and words that replace the set's own.

        The neutral set for a space of which it learned no tasks.
        """
        name, words = self._learned_tasks(space)
        return name or NEUTRAL_TASKS, words

    def learned_tasks_of(self, space: str) -> bool:
        """Whether the reader learned the tasks of a space of that name; of others it can but describe."""
        return bool(self._learned_tasks(space)[0])

    def _learned_tasks(self, space: str) -> tuple[str | None, dict[str, str]]:
        first = msgspec.convert(self.reader.recipe, _Recipe).targets or _RecipeTargets()
        known = msgspec.convert(self.reader.data, _Data).targets or _Learned()
        name = first.task_set if first.space == space else known.task_sets.get(space)
        return name, dict(known.words.get(space, {}))


_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda values: values,  # files of spaces were not noted, which `space_files` says by being empty
}
"""From a version to the next. Version 1 is the first."""


def check_name(name: str) -> str:
    """A space's name is also a folder's. Raises UserError for other than letters, digits, dots, dashes."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", name):
        raise UserError(
            f"{name[:80]!r} is no name for a space: letters, digits, dots and dashes, 64 at most",
            "use `name`",
        )
    return name


def read_manifest(folder: Path) -> Manifest:
    """Read, migrate and check a manifest. Raises UserError for no bundle, a newer one, and a broken one."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} is no bundle: it has no {MANIFEST}", "make one with `VecSpeak.fit(...)`")
    if (size := path.stat().st_size) > _MOST_BYTES:
        raise UserError(
            f"{path} has {size:,} bytes, and a manifest has {_MOST_BYTES:,} at most",
            "copy or make the bundle again",
        )
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
        manifest = _checked(values)
    except msgspec.ValidationError as error:
        raise UserError(
            f"{path} is not complete: {shorten(str(error), 600)}",
            "make the bundle again with `VecSpeak.fit(...)`",
        ) from error
    for name in manifest.spaces:
        check_name(name)
    return manifest


def _checked(values: Any) -> Manifest:
    """ValidationError, with the field's place, for a wrong kind, an unknown field and a path that leads elsewhere."""
    _refuse_unknown(values, Manifest, "$")
    _refuse_unknown(values.get("reader"), ReaderCard, "$.reader")
    manifest = msgspec.convert(values, Manifest)
    for name, kind in _KINDS.items():
        try:
            msgspec.convert(getattr(manifest.reader, name), kind)
        except msgspec.ValidationError as error:
            place = re.sub(r"`\$(.*)`$", rf"`$.reader.{name}\1`", str(error))
            raise msgspec.ValidationError(
                place if place != str(error) else f"{error} - at `$.reader.{name}`"
            ) from error
    for name, inside in (("files", READER), ("space_files", SPACES)):
        for relative in getattr(manifest, name):
            _check_inside(relative, inside, f"$.{name}")
    if len(set(manifest.spaces)) < len(manifest.spaces):
        raise msgspec.ValidationError("Expected every name once - at `$.spaces`")
    if missing := {ADAPTER, LORA, LORA_CONFIG} - set(manifest.files):
        raise msgspec.ValidationError(f"Object missing required field `{min(missing)}` - at `$.files`")
    return manifest


def _check_inside(relative: str, inside: str, place: str) -> None:
    """Such as reader/lora/adapter_config.json: names one below the other, none of which leads out."""
    first, *rest = relative.split("/")
    plain = all(part.isprintable() and not set(part) & set("\\:") for part in rest)
    if first != inside or not rest or not plain or {"", ".", ".."} & set(rest):
        raise msgspec.ValidationError(
            f"Expected the path of a file inside `{inside}/`, got {relative[:80]!r} - at `{place}`"
        )


def _refuse_unknown(values: Any, kind: type, place: str) -> None:
    known = {one.name for one in dataclasses.fields(kind)}
    for name in values if isinstance(values, dict) else ():
        if name not in known:
            given = ascii(name[:60])[1:-1]
            raise msgspec.ValidationError(
                f"Object contains unknown field `{given}`, known are {', '.join(sorted(known))} - at `{place}`"
            )
