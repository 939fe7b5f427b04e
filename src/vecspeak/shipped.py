"""What ships in the package: readers, and the space of movies for the demo. Knows where they lie."""

from pathlib import Path

from vecspeak.bundles import Bundle, load_bundle
from vecspeak.bundles.manifest import MANIFEST
from vecspeak.errors import UserError

ASSETS = Path(__file__).parent / "assets"
DEFAULT = "reader"
READERS = {
    DEFAULT: "describes whatever it is asked about; measured in the README",
    "tasks": "the same, trained further on the paper's tasks; measured in docs/tasks.md",
}
"""Readers of the package by name, and what each is."""


def shipped_reader(name: str = DEFAULT) -> Bundle:
    """A packaged reader: reads vectors of all-MiniLM-L6-v2, holds no space yet."""
    folder = ASSETS / name
    if not folder.exists():
        raise UserError(
            f"this installation lacks the shipped reader ({folder})", "pip install --force-reinstall vecspeak"
        )
    return load_bundle(folder)


def open_reader(name: str) -> Bundle:
    """A bundle by its path, or else a reader of the package by its name. Raises UserError where there is neither."""
    if (Path(name) / MANIFEST).is_file() or name not in READERS:
        if not Path(name).exists():
            raise UserError(
                f"no reader {name!r}: neither a bundle's folder nor one of the package",
                f"give a path, {' or '.join(READERS)}",
            )
        return load_bundle(name)
    return shipped_reader(name)


def shipped_space() -> Path:
    """5,000 movies as vectors of all-MiniLM-L6-v2, with titles, genres and the split; no plots."""
    return ASSETS / "movies.parquet"
