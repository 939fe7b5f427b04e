"""Answering: what models make of many prompts, kept on disk as it comes, so that nothing is asked twice.

Answers and losses alike. Knows engines, readers, prompts and the file of what is kept. Knows no measure.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from vecspeak.engines import Engine, Sampling
from vecspeak.files import exclusive
from vecspeak.injection import pieces_of
from vecspeak.model import Reader
from vecspeak.prompts import Prompt, vectors_of
from vecspeak.training.batches import Row
from vecspeak.training.losses import row_losses

_BATCH = 128
_LONGEST_TARGET = 256
"""Tokens of a target that count."""


class KeptAnswers:
    """Answers by a mark of everything they depend on; in a file of JSON lines, or in memory without a path.

    A last line that a kill cut short is dropped when the file is opened; every whole line is an answer that is
    never made again. Processes that write to one file take turns.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._known: dict[str, str] = {}
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._read(path)

    def _read(self, path: Path) -> None:
        if not path.exists():
            return
        with exclusive(path):
            whole = path.read_bytes()
            kept = whole[: whole.rfind(b"\n") + 1]
            if len(kept) < len(whole):
                os.truncate(path, len(kept))
        self._known.update(pair for line in kept.split(b"\n") if (pair := _pair(line)))

    def get(self, mark: str) -> str | None:
        """The answer of that mark, if it is known."""
        return self._known.get(mark)

    def put(self, made: dict[str, str]) -> None:
        """Keep answers: on the disk before this returns."""
        self._known.update(made)
        if self.path is None:
            return
        lines = "".join(json.dumps([mark, text]) + "\n" for mark, text in made.items())
        with exclusive(self.path), self.path.open("ab+") as file:
            if not _ends_whole(file):
                file.write(b"\n")
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())


def _pair(line: bytes) -> tuple[str, str] | None:
    """Mark and answer of a line; None where it is spoiled."""
    try:
        pair = json.loads(line.decode())
    except ValueError:
        return None
    whole = isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
    return (pair[0], pair[1]) if whole else None


def _ends_whole(file: BinaryIO) -> bool:
    """Whether no line was left half: by a full disk, or by a process that was killed after we opened the file."""
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


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
    kept: KeptAnswers,
    progress: str = "",
) -> list[str]:
    """An answer to each prompt, in order. Equal prompts are asked once; `key` names the weights.

    Prompts of like length go together. What was kept before is not asked again.
    """
    marks = [_mark(f"{key}/{sampling}", prompt) for prompt in prompts]
    missing = {m: p for m, p in zip(marks, prompts, strict=True) if kept.get(m) is None}
    waiting = sorted(missing, key=lambda mark: _size(missing[mark]))
    with tqdm(total=len(waiting), desc=progress, unit="answer", disable=not (progress and waiting)) as bar:
        for start in range(0, len(waiting), _BATCH):
            batch = waiting[start : start + _BATCH]
            texts = engine.generate([missing[mark] for mark in batch], sampling)
            kept.put(dict(zip(batch, texts, strict=True)))
            bar.update(len(batch))
    return [str(kept.get(mark)) for mark in marks]


def losses(
    reader: Reader,
    prompts: Sequence[Prompt],
    targets: Sequence[str],
    *,
    key: str,
    kept: KeptAnswers,
    progress: str,
) -> tuple[np.ndarray, np.ndarray]:
    """How unlikely each target is after its prompt: summed nats [N], and tokens [N]. Kept as answers are.

    Of a target only the first 256 tokens count.
    """
    pairs = list(zip(prompts, targets, strict=True))
    marks = [_mark(f"{key}/loss", (*prompt, f"\0{target}")) for prompt, target in pairs]
    rows = {mark: i for i, mark in enumerate(marks)}
    waiting = [i for mark, i in rows.items() if kept.get(mark) is None]
    waiting.sort(key=lambda i: _size(prompts[i]) + len(targets[i]))
    with tqdm(total=len(waiting), desc=progress, unit="text", disable=not waiting) as bar:
        for start in range(0, len(waiting), _BATCH):
            batch = waiting[start : start + _BATCH]
            made = zip(*_measured(reader, [pairs[i] for i in batch]), strict=True)
            found = zip(batch, made, strict=True)
            kept.put({marks[i]: json.dumps([float(nats), int(count)]) for i, (nats, count) in found})
            bar.update(len(batch))
    values = np.array([json.loads(str(kept.get(mark))) for mark in marks], dtype=float).reshape(-1, 2)
    return values[:, 0], values[:, 1]


def _measured(reader: Reader, pairs: Sequence[tuple[Prompt, str]]) -> tuple[np.ndarray, np.ndarray]:
    rows, vectors = [], []
    width = reader.adapter.config.vector_dim
    for prompt, target in pairs:
        before = reader.lay_out(pieces_of(prompt))
        after = reader.tokenizer.encode(target + reader.chat.stop, add_special_tokens=False)[:_LONGEST_TARGET]
        rows.append(Row(ids=np.array(before + after, dtype=np.int32), num_prompt=len(before), rows=()))
        vectors.append(np.array(vectors_of(prompt), dtype=np.float32).reshape(-1, width))
    return row_losses(reader, rows, vectors)
