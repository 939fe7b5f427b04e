"""A reader between one and what was trained from it: most of what training added, little of what it cost.

    python scripts/average_readers.py BEFORE AFTER --share 0.5 --out FOLDER

BEFORE and AFTER are bundles, or names of shipped readers. FOLDER becomes a bundle without spaces and without scores.
"""

import argparse
from pathlib import Path

from vecspeak.bundles.bundle import open_reader
from vecspeak.bundles.weights import average_readers


def main() -> None:
    """Write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--share", type=float, default=0.5, help="0 is BEFORE, 1 is AFTER")
    parser.add_argument("--name", default="reader")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    average_readers(
        given.out, open_reader(given.before), open_reader(given.after), given.share, name=given.name
    )
    print(f"written: {given.out}")


if __name__ == "__main__":
    main()
