"""Answers that a search found about training texts, as targets: the file, and the examples that it gives.

Expert iteration (Anthony et al. 2017): what the reader says after a search, and its true text supports, is what it
learns to say at once.
"""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from vecspeak.errors import UserError
from vecspeak.storage import digest, replace_file
from vecspeak.tasks.corpus import Text
from vecspeak.training.dataset import Example

TASK = "found"
"""What the manifest counts such examples as."""
_MOST_BYTES = 64 << 20
"""Of a file that is opened."""


class FoundTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer about one training text."""

    source: str
    kind: str
    key: str
    text: str
    """The beginning of the text's digest: the answer is about that very text."""
    question: str
    target: str
    cosine: float
    """Of answer and text, by the reader's encoder."""
    precision: float
    """Share of the answer's content words that stand in the text."""


def digest_of(text: Text) -> str:
    """What a found answer knows its text by."""
    return digest(text.text)[:16]


def read_found(path: str | Path) -> list[FoundTarget]:
    """The answers of a gzipped file of JSON lines. Raises UserError for a file that is none."""
    path = Path(path)
    try:
        with gzip.open(path) as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES >> 20} MiB")
        return [msgspec.json.decode(line, type=FoundTarget) for line in content.splitlines()]
    except FileNotFoundError as error:
        raise UserError(
            f"there are no found answers at {path}", "write them with `VecSpeak.iterate(...)`"
        ) from error
    except (OSError, EOFError, ValueError, zlib.error, msgspec.MsgspecError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path} holds no found answers ({reason})", "write them with `VecSpeak.iterate(...)`"
        ) from error


def write_found(path: str | Path, rows: Sequence[FoundTarget]) -> None:
    """Write the file whole, or not at all; equal answers give equal bytes."""
    with replace_file(Path(path)) as beside, beside.open("wb") as raw:
        with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
            file.write(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def found_examples(
    found: Sequence[FoundTarget], texts: Sequence[Text], passes: int, seed: int
) -> tuple[list[Example], int]:
    """An example for each answer and pass in a shuffled order, and how many answers are about none of the texts.

    The texts are those that training may see: an answer about a held-out one is about none of them.
    """
    rows = {(one.source, one.kind, one.key, digest_of(one)): row for row, one in enumerate(texts)}
    known = [(rows.get((one.source, one.kind, one.key, one.text)), one) for one in found]
    examples = [
        Example(task=TASK, question=one.question, rows=(row,), target=one.target)
        for row, one in known
        if row is not None
    ]
    order = np.random.default_rng([seed, 6]).permutation(len(examples) * passes) % max(len(examples), 1)
    return [examples[number] for number in order], sum(row is None for row, _ in known)
