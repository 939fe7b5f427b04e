"""What ships in the package: the reader and the space of movies for the demo. Knows where they lie."""

from pathlib import Path

from vecspeak.bundles import Bundle, load_bundle
from vecspeak.errors import UserError

ASSETS = Path(__file__).parent / "assets"


def shipped_reader() -> Bundle:
    """The packaged reader: reads vectors of all-MiniLM-L6-v2, holds no space yet."""
    folder = ASSETS / "reader"
    if not folder.exists():
        raise UserError(
            f"this installation lacks the shipped reader ({folder})", "pip install --force-reinstall vecspeak"
        )
    return load_bundle(folder)


def shipped_space() -> Path:
    """5,000 movies as vectors of all-MiniLM-L6-v2, with titles, genres and the split; no plots."""
    return ASSETS / "movies.parquet"
