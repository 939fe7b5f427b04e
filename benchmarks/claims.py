"""How well `VecSpeak.check_claims` tells a held-out item's own text from another item's.

    python benchmarks/claims.py BUNDLE [--space NAME] [--count 24]

Of each held-out item the first two sentences of its own text are checked against its vector, and those of the next item
as the control. Prints JSON: clauses by verdict, how many lie nearer than 90% of others, and whole texts that do.
"""

import argparse
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np

from vecspeak import VecSpeak
from vecspeak.explore.claims import CheckedClaims

_LETTERS = 400


def beginning(text: str) -> str:
    """The first two sentences of a text, cut where they are long."""
    return " ".join(re.split(r"(?<=[.!?])\s+", text.strip())[:2])[:_LETTERS]


def figures(found: list[CheckedClaims]) -> dict[str, object]:
    """Counts of clauses and of whole texts."""
    clauses = [one for checked in found for one in checked.clauses]
    return {
        "texts": len(found),
        "trusted": sum(not one.warnings for one in found),
        "whole_text_nearer_than_90": sum(one.fits_better_than >= 90 for one in found),
        "median_percent": float(np.median([one.fits_better_than for one in found])),
        "clauses": len(clauses),
        "nearer_than_90": sum(one.nearer_than >= 90 for one in clauses),
        "likelier_than_not": sum(one.probability >= 0.5 for one in clauses),
        "verdicts": dict(Counter(one.verdict for one in clauses)),
    }


def main() -> None:
    """Check and print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("bundle", type=Path)
    asked.add_argument("--space", default="")
    asked.add_argument("--count", type=int, default=24)
    given = asked.parse_args()
    vs = VecSpeak.load(given.bundle)
    entry = vs.entry(given.space)
    space = entry.space
    held_out = sorted(one for one in entry.held_out if (space.text_of(one) or "").strip())
    ids = np.random.default_rng(0).choice(held_out, min(given.count, len(held_out)), replace=False).tolist()
    texts = [beginning(space.text_of(one) or "") for one in ids]
    of = {
        "own": [vs.check_claims(text, space[one]) for one, text in zip(ids, texts, strict=True)],
        "another's": [
            vs.check_claims(text, space[one]) for one, text in zip(ids, [*texts[1:], texts[0]], strict=True)
        ],
    }
    print(json.dumps({kind: figures(found) for kind, found in of.items()}, indent=2))


if __name__ == "__main__":
    main()
