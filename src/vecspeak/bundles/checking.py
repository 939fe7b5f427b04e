"""Checking a bundle: what it holds, whom it is from, and whether all of it is whole. No model is opened."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vecspeak.bundles.bundle import Bundle, SpaceEntry, load_bundle
from vecspeak.bundles.contents import is_noted, noted_files, walk
from vecspeak.bundles.manifest import MANIFEST, FileFacts, Manifest, ReaderCard, read_manifest
from vecspeak.encoders.text import KNOWN_ENCODERS, name_encoder
from vecspeak.errors import UserError, check_path
from vecspeak.model.named import name_base, named_models, noted_as
from vecspeak.model.pretrained import KNOWN_MODELS
from vecspeak.storage import file_digest, recover

State = Literal["whole", "changed", "missing", "extra", "link", "no digest"]
"""`extra`: the manifest does not name it; `no digest`: bundles of format 1 note none of spaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """A file of a bundle, held against the manifest."""

    path: str
    state: State
    size: int | None
    """Bytes; None for what is not there or is no plain file."""
    sha256: str
    """Of what is there, where it was read; else as noted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCheck:
    """A model that the manifest names."""

    name: str
    sha256: str
    place: str
    """`package`, the path that a person named, or empty: the model has to be named first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceCheck:
    """A space of a bundle in a few facts."""

    name: str
    items: int
    dim: int
    users: int
    concepts: tuple[str, ...]
    regions: int
    map: str
    """How it is mapped to the encoder: identity, ridge or unpaired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleCheck:
    """What `VecSpeak.check` found."""

    folder: str
    name: str
    made: str
    """When it was written (UTC), as noted; empty where nobody noted it."""
    format_version: int
    encoder: ModelCheck
    base: ModelCheck
    trained_on: dict[str, str]
    """Origin and licence of the sources, as noted."""
    began_as: str
    """The reader that its training began from, as noted; else empty."""
    spaces: tuple[SpaceCheck, ...]
    files: tuple[FileCheck, ...]
    """All but the manifest itself."""
    error: str
    """Why it does not open; empty where it does."""

    @property
    def is_whole(self) -> bool:
        """Whether it opens and no file is missing, changed, a link or unknown."""
        return not self.error and all(one.state in ("whole", "no digest") for one in self.files)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"is_whole": self.is_whole, **asdict(self)}


def name_models(card: ReaderCard, *, base: str | Path = "", encoder: str | Path = "") -> None:
    """Note which folders a person gives as the base model and the encoder of a reader.

    Raises UserError for what is not there, and for other weights than the manifest's.
    """
    for name, given in (("base", base), ("encoder", encoder)):
        check_path(name, given)
    if encoder:
        name_encoder(card.encoder, card.encoder_sha256, str(encoder))
    if base:
        name_base(card.base_model, card.base_sha256, str(base))


def check_bundle(folder: Path) -> BundleCheck:
    """Read the manifest, digest every file, and open the bundle. Raises UserError for what has no sound manifest."""
    recover(folder)
    manifest = read_manifest(folder)
    card, files = manifest.reader, _files(folder, manifest)
    opened, error = _opened(folder)
    damaged = opened.damaged if opened else ()  # also what nobody noted a digest of
    files = tuple(replace(one, state="changed") if one.path in damaged else one for one in files)
    start = card.data.get("start")
    return BundleCheck(
        folder=str(folder),
        name=manifest.name,
        made=manifest.made,
        format_version=manifest.format_version,
        encoder=_model(card.encoder, card.encoder_sha256, card.encoder in KNOWN_ENCODERS),
        base=_model(card.base_model, card.base_sha256, card.base_model in KNOWN_MODELS),
        trained_on={
            name: "; ".join(filter(None, (one.origin, one.licence))) for name, one in manifest.terms.items()
        },
        began_as=str(start.get("name", "")) if isinstance(start, dict) else "",
        spaces=tuple(map(_space, opened.entries.values())) if opened else (),
        files=files,
        error=error,
    )


def _opened(folder: Path) -> tuple[Bundle | None, str]:
    try:
        return load_bundle(folder), ""
    except UserError as error:
        return None, str(error)


def _files(folder: Path, manifest: Manifest) -> tuple[FileCheck, ...]:
    noted = noted_files(manifest)
    found = []
    for path, entry in walk(folder):
        if path == MANIFEST:  # it was read, and notes no digest of its own
            continue
        facts = noted.get(path)
        if not entry.is_file(follow_symlinks=False):
            found.append(
                FileCheck(path=path, state="link", size=None, sha256=facts["sha256"] if facts else "")
            )
            continue
        size = entry.stat(follow_symlinks=False).st_size
        state, sha256 = _compared(folder / path, size, facts, noted=is_noted(path, manifest))
        found.append(FileCheck(path=path, state=state, size=size, sha256=sha256))
    there = {one.path for one in found}
    gone = [
        FileCheck(path=path, state="missing", size=None, sha256=facts["sha256"])
        for path, facts in noted.items()
        if path not in there
    ]
    return tuple(sorted(found + gone, key=lambda one: one.path))


def _compared(path: Path, size: int, facts: FileFacts | None, *, noted: bool) -> tuple[State, str]:
    """State and digest of a file; what the manifest has with another size, or should have and has not, is not read."""
    if facts is None:
        return ("extra", "") if noted else ("no digest", file_digest(path))
    if size != facts["size"]:
        return "changed", facts["sha256"]
    sha256 = file_digest(path)
    return "whole" if sha256 == facts["sha256"] else "changed", sha256


def _model(name: str, sha256: str, packaged: bool) -> ModelCheck:
    named = named_models().get(noted_as(name, sha256))
    return ModelCheck(name=name, sha256=sha256, place="package" if packaged else named.place if named else "")


def _space(entry: SpaceEntry) -> SpaceCheck:
    return SpaceCheck(
        name=entry.space.name,
        items=entry.space.num_items,
        dim=entry.space.dim,
        users=entry.users.num_items if entry.users is not None else 0,
        concepts=tuple(entry.concepts),
        regions=entry.clusters.num_regions if entry.clusters else 0,
        map=str(entry.report.get("kind", "")),
    )
