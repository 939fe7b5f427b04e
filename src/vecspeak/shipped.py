"""What ships in the package: readers, and the space of movies for the demo. Knows where they lie."""

from pathlib import Path

from vecspeak.bundles import Bundle, load_bundle
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
    """A reader of the package by its name, or a bundle by its path. Raises UserError where there is neither."""
    if name in READERS:
        return shipped_reader(name)
    if not Path(name).exists():
        raise UserError(
            f"no reader {name!r}: neither {' nor '.join(READERS)} nor a bundle's folder", "correct --reader"
        )
    return load_bundle(name)


def shipped_space() -> Path:
    """5,000 movies as vectors of all-MiniLM-L6-v2, with titles, genres and the split; no plots."""
    return ASSETS / "movies.parquet"
