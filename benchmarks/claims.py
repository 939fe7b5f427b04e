"""How well `VecSpeak.check_claims` tells a held-out item's own text from another's, and from a falsified one.

    python benchmarks/claims.py BUNDLE --out docs/scores/claims.json [--space NAME] [--count 24] [--seed 0]
    python benchmarks/claims.py --rows ROWS --out docs/scores/claims.json

Of each held-out item the first two sentences of its own text are checked against its vector; those of the next item as
a control; and its own with one content word of every clause replaced by a random content word of another item's text,
twice. Prints JSON: clauses by verdict with 95% intervals over items, and what would hold by other least lifts. `--rows`
with a bundle writes the clauses, and without one counts written ones again by the verdicts of today.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import msgspec
import numpy as np
from places import out_file
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from vecspeak import VecSpeak
from vecspeak.clauses import split_clauses
from vecspeak.explore.claims import CheckedClaims, CheckedClause
from vecspeak.stats import Series

_LETTERS = 400
_WORD = re.compile(r"(?<![\w'’-])[a-z]{3,}(?![\w'’-])")
_LIFTS = (0, 0.5, 1, 1.5, 2, 3, 5)
_SWAPS = 2


def beginning(text: str) -> str:
    """The first two sentences of a text, cut where they are long."""
    return " ".join(re.split(r"(?<=[.!?])\s+", text.strip())[:2])[:_LETTERS]


def content_words(vs: VecSpeak, space: str, text: str) -> list[re.Match[str]]:
    """The words in lower case of a text that are terms of the lexicon."""
    words = [one for one in _WORD.finditer(text) if one[0] not in ENGLISH_STOP_WORDS]
    entry = vs.entry(space)
    terms = entry.term_probabilities([one[0] for one in words], entry.space.vectors[0]) if words else []
    return [one for one, found in zip(words, terms, strict=True) if found]


def falsified(vs: VecSpeak, space: str, text: str, others: list[str], rng: np.random.Generator) -> str:
    """The text with one content word of every clause replaced; clauses without one are left out."""
    found = []
    for clause in split_clauses(text):
        if words := content_words(vs, space, clause):
            word = words[rng.integers(len(words))]
            found.append(f"{clause[: word.start()]}{rng.choice(others)}{clause[word.end() :]}")
    return "".join(found)


class Row(msgspec.Struct, frozen=True):
    """A text that was checked."""

    kind: str
    item: str
    fits_better_than: float
    clauses: list[dict[str, object]]


def row_of(kind: str, item: str, found: CheckedClaims) -> Row:
    """What is counted of a checked text."""
    return Row(kind, item, found.fits_better_than, [asdict(one) for one in found.clauses])


def share(flags: list[list[bool]]) -> dict[str, float | int]:
    """Of the clauses of each item those that have something; the interval is over items."""
    counts = np.array([len(some) for some in flags if some], float)
    found = Series(np.array([np.mean(some) for some in flags if some]), counts).estimate("mean")
    assert found is not None
    return {"count": sum(map(sum, flags)), "share": found.value, "low": found.low, "high": found.high}


def figures(rows: list[Row]) -> dict[str, object]:
    """Counts of clauses and of whole texts, and what would hold by other rules."""
    items = {
        one.item: [clause for row in rows if row.item == one.item for clause in checked(row)] for one in rows
    }
    texts = list(items.values())
    clauses = [one for some in texts for one in some]
    near = {key: [[rest(one) and one.least_lift >= key for one in some] for some in texts] for key in _LIFTS}
    return {
        "texts": len(rows),
        "of_which_all_clauses_hold": sum(all(c.verdict == "holds" for c in checked(one)) for one in rows),
        "whole_text_nearer_than_90": sum(one.fits_better_than >= 90 for one in rows),
        "clauses": len(clauses),
        "nearer_than_90": sum(one.nearer_than >= 90 for one in clauses),
        "likelier_than_not": sum(one.probability >= 0.5 for one in clauses),
        "verdicts": dict(Counter(one.verdict for one in clauses)),
        "holds": share([[one.verdict == "holds" for one in some] for some in texts]),
        "held_by_least_lift": {str(key): share(flags) for key, flags in near.items()},
    }


def rest(one: CheckedClause) -> bool:
    """Whether it would hold but for its least lift."""
    return one.probability >= 0.5 and one.nearer_than >= 90 and not one.unread


def checked(row: Row) -> list[CheckedClause]:
    """The clauses of a text as the library has them."""
    return [msgspec.convert(one, CheckedClause) for one in row.clauses]


def weighed(vs: VecSpeak, space: str, count: int, seed: int) -> Iterator[Row]:
    """Yield the texts of some held-out items, checked."""
    entry = vs.entry(space)
    known = entry.space
    held_out = sorted(one for one in entry.held_out if (known.text_of(one) or "").strip())
    ids = np.random.default_rng(seed).choice(held_out, min(count, len(held_out)), replace=False).tolist()
    texts = [beginning(known.text_of(one) or "") for one in ids]
    rng = np.random.default_rng(seed)
    words = [[word[0] for word in content_words(vs, known.name, text)] for text in texts]
    points = [vs.point(f'id("{item}")', space=known.name) for item in ids]

    def others(number: int) -> list[str]:
        own = set(_WORD.findall(known.text_of(ids[number]) or ""))
        return [word for some in words[:number] + words[number + 1 :] for word in some if word not in own]

    for kind in ("own", *["falsified"] * _SWAPS, "another's"):
        for number, (item, text) in enumerate(zip(ids, texts, strict=True)):
            said = text
            if kind == "falsified":
                said = falsified(vs, known.name, text, others(number), rng)
            elif kind == "another's":
                said = texts[(number + 1) % len(texts)]
            if said:
                yield row_of(kind, item, vs.check_claims(said, points[number]))


def main() -> None:
    """Check, count and print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("bundle", type=Path, nargs="?")
    asked.add_argument("--space", default="")
    asked.add_argument("--count", type=int, default=24)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--rows", type=Path)
    asked.add_argument("--out", type=out_file)
    given = asked.parse_args()
    if given.bundle:
        rows = list[Row]()
        for row in weighed(VecSpeak.load(given.bundle), given.space, given.count, given.seed):
            rows.append(row)
            if given.rows:
                given.rows.write_bytes(msgspec.json.encode(rows))
    else:
        rows = msgspec.json.decode(given.rows.read_bytes(), type=list[Row])
    kinds = dict.fromkeys(one.kind for one in rows)
    found = json.dumps({kind: figures([one for one in rows if one.kind == kind]) for kind in kinds}, indent=2)
    print(found)
    if given.out:
        given.out.write_text(f"{found}\n")


if __name__ == "__main__":
    main()
