"""Answering: what models make of many prompts, kept on disk as it comes, so that nothing is asked twice.

Answers and losses alike. Knows engines, readers, prompts and the file of what is kept. Knows no measure.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from vecspeak.engines import Engine, Sampling
from vecspeak.engines.prepared import shared_prefix_lengths
from vecspeak.model.prompt import Prompt, segments_of, vectors_of
from vecspeak.model.reader import Reader
from vecspeak.storage import Journal
from vecspeak.training.batching import TokenRow
from vecspeak.training.loss import row_losses

_BATCH = 128
_CALL = 1024
"""Prompts that an engine has before it at once: as answers end, the next begin."""
_OPENING = 128
"""Letters of a common beginning that keep prompts together."""
_KEEP = 32
"""Answers that are written together: as many are lost by a kill."""
T = TypeVar("T")
_LONGEST_TARGET = 256
"""Tokens of a target that count."""


class AnswerCache:
    """Answers by a mark of everything they depend on; in a file of JSON lines, or in memory without a path.

    A line that a kill cut short is lost; every whole line is an answer that is never made again.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._journal: Journal | None = None
        self._known: dict[str, str] = {}
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._journal = Journal(path)
            self._known.update(row for row in self._journal.rows() if _is_pair(row))

    def get(self, mark: str) -> str | None:
        """The answer of that mark, if it is known."""
        return self._known.get(mark)

    def put(self, made: dict[str, str]) -> None:
        """Keep answers: on the disk before this returns."""
        self._known.update(made)
        if self._journal is not None:
            self._journal.append(made.items())


def _is_pair(row: object) -> bool:
    """Whether a line is a mark and an answer; others are spoiled."""
    return isinstance(row, list) and len(row) == 2 and all(isinstance(part, str) for part in row)


def _mark(key: str, prompt: Prompt) -> str:
    digest = hashlib.sha256(key.encode())
    for part in prompt:
        digest.update(b"\0text" if isinstance(part, str) else b"\0vector")
        digest.update(part.encode() if isinstance(part, str) else part.values.tobytes())
    return digest.hexdigest()[:24]


def _size(prompt: Prompt) -> int:
    return sum(len(part) for part in prompt if isinstance(part, str))


def answer(
    engine: Engine,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    *,
    key: str,
    kept: AnswerCache,
    progress: str = "",
) -> list[str]:
    """An answer to each prompt, in order. Equal prompts are asked once; `key` names the engine and the weights.

    Prompts of a long common beginning stand together, which an engine reads once for all of them; the shortest go
    first. What was kept before is not asked again.
    """
    marks = [_mark(f"{key}/{sampling}", prompt) for prompt in prompts]
    missing = {m: p for m, p in zip(marks, prompts, strict=True) if kept.get(m) is None}
    asked = list(missing)
    waiting = [asked[number] for number in _in_groups([missing[mark] for mark in asked])]
    with tqdm(total=len(waiting), desc=progress, unit="answer", disable=not (progress and waiting)) as bar:
        for start in range(0, len(waiting), _CALL):
            called = waiting[start : start + _CALL]
            made = engine.answers([missing[mark] for mark in called], sampling)
            for some in batched(made, _KEEP):
                kept.put({called[number]: text for number, text in some})
                bar.update(len(some))
    return [str(kept.get(mark)) for mark in marks]


def _in_groups(prompts: Sequence[Prompt]) -> list[int]:
    """Numbers of the prompts, the shortest first; those of one beginning stand where the shortest of them would."""
    openings = ["".join(map(str, takewhile(_is_text, prompt))) for prompt in prompts]
    lengths = shared_prefix_lengths(openings, shortest=_OPENING)
    groups: dict[object, list[int]] = {}
    for number in sorted(range(len(prompts)), key=lambda number: _size(prompts[number])):
        shared = openings[number][: lengths[number]]
        groups.setdefault(shared or number, []).append(number)
    return [number for group in groups.values() for number in group]


def _is_text(part: object) -> bool:
    return isinstance(part, str)


def batched(values: Iterable[T], count: int) -> Iterator[list[T]]:
    """The values in lists of `count`, as they come; the last may be shorter."""
    rest = iter(values)
    while some := list(islice(rest, count)):
        yield some


def losses(
    reader: Reader,
    prompts: Sequence[Prompt],
    targets: Sequence[str],
    *,
    key: str,
    kept: AnswerCache,
    progress: str,
) -> tuple[np.ndarray, np.ndarray]:
    """How unlikely each target is after its prompt: summed nats [N], and tokens [N]. Kept as answers are.

    Of a target only the first 256 tokens count.
    """
    pairs = list(zip(prompts, targets, strict=True))
    marks = [_mark(f"{key}/loss", (*prompt, f"\0{target}")) for prompt, target in pairs]
    rows = {mark: i for i, mark in enumerate(marks)}
    waiting = [i for mark, i in rows.items() if _kept_loss(kept.get(mark)) is None]
    waiting.sort(key=lambda i: _size(prompts[i]) + len(targets[i]))
    with tqdm(total=len(waiting), desc=progress, unit="text", disable=not waiting) as bar:
        for start in range(0, len(waiting), _BATCH):
            batch = waiting[start : start + _BATCH]
            made = zip(*_measured(reader, [pairs[i] for i in batch]), strict=True)
            found = zip(batch, made, strict=True)
            kept.put({marks[i]: json.dumps([float(nats), int(count)]) for i, (nats, count) in found})
            bar.update(len(batch))
    values = np.array([_kept_loss(kept.get(mark)) for mark in marks], dtype=float).reshape(-1, 2)
    return values[:, 0], values[:, 1]


def _kept_loss(text: str | None) -> tuple[float, int] | None:
    """Nats and tokens as they were kept; None where nothing was, or nothing sensible."""
    try:
        nats, count = json.loads(text or "")
        return (float(nats), int(count)) if math.isfinite(nats) and count >= 1 else None
    except (ValueError, TypeError, RecursionError):
        return None


def _measured(reader: Reader, pairs: Sequence[tuple[Prompt, str]]) -> tuple[np.ndarray, np.ndarray]:
    rows, vectors = [], []
    width = reader.adapter.config.vector_dim
    for prompt, target in pairs:
        before = reader.build_input_ids(segments_of(prompt))
        after = reader.tokenizer.encode(target + reader.chat.stop, add_special_tokens=False)[:_LONGEST_TARGET]
        rows.append(TokenRow(ids=np.array(before + after, dtype=np.int32), num_prompt=len(before), rows=()))
        vectors.append(np.array(vectors_of(prompt), dtype=np.float32).reshape(-1, width))
    return row_losses(reader, rows, vectors)
