"""Contents of a bundle's folder: its files, whether they are those that its manifest names, and nothing outside."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from vecspeak.bundles.manifest import READER, SPACES, FileFacts, Manifest
from vecspeak.bundles.maps import MAP_FILE
from vecspeak.errors import UserError
from vecspeak.storage import file_digest

_SMALL = 1 << 20
"""Bytes up to which a file of a space is digested when it is opened; of a larger one the size alone is compared."""
_NEEDED = ("items.parquet", "alignment.json", "alignment.safetensors")
"""Files without which a space does not open."""
_AGAIN = "copy or make the bundle again"
_LEVELS = 16
"""Folders one in another: our own bundles have three."""


def file_digests(folder: Path, under: str) -> dict[str, FileFacts]:
    """SHA-256 and size of every file below `folder/under`, by its path in the bundle."""
    paths = sorted(path for path in (folder / under).rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {"sha256": file_digest(path), "size": path.stat().st_size}
        for path in paths
    }


def walk(folder: Path, inside: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below a folder that is no plain folder, by its path there; no link is followed.

    Raises UserError for folders more than 16 levels deep.
    """
    waiting = [inside]
    while waiting:
        above = waiting.pop()
        if above.count("/") >= _LEVELS:
            raise UserError(f"{folder} has folders more than {_LEVELS} levels deep", _AGAIN)
        with os.scandir(folder / above) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                path = f"{above}/{entry.name}" if above else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                else:
                    yield path, entry


def plain_sizes(folder: Path) -> dict[str, int]:
    """Bytes of every file of a bundle, by its path. Raises UserError for a link, a pipe and a device."""
    sizes = {}
    for path, entry in walk(folder):
        if not entry.is_file(follow_symlinks=False):
            what = "a link" if entry.is_symlink() else "a pipe or a device"
            raise UserError(
                f"{folder / path} is {what}, and a bundle holds plain files alone",
                "put the file itself in its place, or copy the bundle again",
            )
        sizes[path] = entry.stat(follow_symlinks=False).st_size
    return sizes


def check_files(folder: Path, manifest: Manifest, *, links: bool = False) -> tuple[list[str], list[str]]:
    """Compare the files with the manifest; return what is missing, such as a concept, and what maps are damaged.

    Both can be done without: a map is made of the vectors, and can be made again.

    The reader's files and the small ones of spaces by digest, the others by size; `VecSpeak.check` digests all. `links`
    are followed in our own package alone. Raises UserError for a file that is another, and one that cannot be missing.
    """
    sizes = {} if links else plain_sizes(folder)
    if links:
        sizes = {path: (folder / path).stat().st_size for path, _ in walk(folder)}
    for relative, facts in manifest.files.items():
        if relative not in sizes:
            raise UserError(f"the bundle {folder} lacks {relative}", _AGAIN)
        _check_file(folder, relative, sizes[relative], facts, _AGAIN)
    missing, damaged = list[str](), list[str]()
    for relative, facts in manifest.space_files.items():
        name = relative.rpartition("/")[2]
        needed = name in _NEEDED
        if relative in sizes and name == MAP_FILE:
            if not _is_noted_file(folder, relative, sizes[relative], facts):
                damaged.append(relative)
        elif relative in sizes:
            without = "" if needed else ", or remove that file to go on without it"
            _check_file(folder, relative, sizes[relative], facts, _AGAIN + without)
        elif needed:
            raise UserError(f"the bundle {folder} lacks {relative}", _AGAIN)
        else:
            missing.append(relative)
    return missing, damaged


def _is_noted_file(folder: Path, relative: str, size: int, facts: FileFacts) -> bool:
    """Whether a file has the size, and where it is digested the digest, that the manifest notes."""
    compared = relative.startswith(f"{READER}/") or size <= _SMALL
    return size == facts["size"] and (not compared or file_digest(folder / relative) == facts["sha256"])


def _check_file(folder: Path, relative: str, size: int, facts: FileFacts, hint: str) -> None:
    if not _is_noted_file(folder, relative, size, facts):
        raise UserError(f"{folder / relative} is damaged: it is not the file the manifest names", hint)


def missing_note(folder: Path, missing: list[str]) -> str:
    """What a person should know of files that are missing; empty where none is."""
    if not missing:
        return ""
    return f"the bundle {folder} lacks {', '.join(missing)}, which its manifest names: it is opened without"


def noted_files(manifest: Manifest) -> Mapping[str, FileFacts]:
    """What the manifest says of all files."""
    return {**manifest.files, **manifest.space_files}


def is_noted(path: str, manifest: Manifest) -> bool:
    """Whether the manifest would name such a file: bundles of format 1 note none of spaces."""
    return bool(manifest.space_files) or not path.startswith(f"{SPACES}/")
