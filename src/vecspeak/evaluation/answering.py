"""Answers and losses of many prompts, cached on disk as they come, so that nothing is computed twice."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain, islice, takewhile
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np

from vecspeak.console import progress_bar
from vecspeak.encoders.text import Encoder
from vecspeak.engines import Engine, Sampling
from vecspeak.engines.prepared import shared_prefix_lengths
from vecspeak.model.prompt import Prompt, segments_of, vectors_of
from vecspeak.searching import SUPPORT, Effort, FoundAnswer, TermsOf, find_answers
from vecspeak.storage import Cache, digest

if TYPE_CHECKING:
    from vecspeak.model.reader import Reader

_BATCH = 128
_CALL = 1024
"""Prompts that an engine is given at once: as answers end, the next begin."""
_OPENING = 128
"""Characters of a common beginning from which on prompts are sorted together."""
_KEEP = 32
"""Answers that are written together: a kill loses at most this many."""
T = TypeVar("T")
_LONGEST_TARGET = 256
"""Tokens of a target that count."""


def _mark(key: str, prompt: Prompt) -> str:
    parts = ((b"\0text", part) if isinstance(part, str) else (b"\0vector", part.values) for part in prompt)
    return digest(key, *chain.from_iterable(parts))[:24]


def _size(prompt: Prompt) -> int:
    return sum(len(part) for part in prompt if isinstance(part, str))


def answer(
    engine: Engine,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    *,
    key: str,
    cache: Cache,
    progress: str = "",
) -> list[str]:
    """Answer each prompt, in order. Equal prompts are asked once; `key` names the engine and the weights.

    Prompts with a long common beginning are asked together, so that an engine reads it once; the shortest go first.
    Cached answers are not asked again.
    """
    marks = [_mark(f"{key}/{sampling}", prompt) for prompt in prompts]
    known = {mark: text for mark, text in cache.get_many(marks).items() if isinstance(text, str)}
    missing = {mark: prompt for mark, prompt in zip(marks, prompts, strict=True) if mark not in known}
    asked = list(missing)
    waiting = [asked[number] for number in _in_groups([missing[mark] for mark in asked])]
    with progress_bar(
        total=len(waiting), desc=progress, unit="answer", shown=bool(progress and waiting)
    ) as bar:
        for start in range(0, len(waiting), _CALL):
            called = waiting[start : start + _CALL]
            made = engine.answers([missing[mark] for mark in called], sampling)
            for some in batched(made, _KEEP):
                new = {called[number]: text for number, text in some}
                cache.put(new)
                known |= new
                bar.update(len(some))
    return [known[mark] for mark in marks]


def search(
    engine: Engine,
    encoder: Encoder,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    effort: Effort,
    *,
    terms_of: TermsOf | None = None,
    key: str,
    cache: Cache,
    progress: str = "",
) -> list[FoundAnswer]:
    """Search an answer to each prompt, in order, as `searching.find_answers` does; cached as `answer` caches."""
    rule = f"support {SUPPORT}" if terms_of else ""
    marks = [_mark(f"{key}/{effort}/{sampling}/{rule}", prompt) for prompt in prompts]
    known = {mark: msgspec.convert(value, FoundAnswer) for mark, value in cache.get_many(marks).items()}
    missing = {mark: prompt for mark, prompt in zip(marks, prompts, strict=True) if mark not in known}
    called = list(missing)
    vectors = [np.stack(vectors_of(missing[mark])) for mark in called]
    numbers = [marks.index(mark) for mark in called]
    made = find_answers(
        engine, encoder, list(missing.values()), vectors, effort=effort, sampling=sampling,
        terms_of=(lambda number, texts: terms_of(numbers[number], texts)) if terms_of else None,
    )  # fmt: skip
    for number, found in progress_bar(
        made, total=len(called), desc=progress, unit="answer", shown=bool(progress and called)
    ):
        cache.put({called[number]: asdict(found)})
        known[called[number]] = found
    return [known[mark] for mark in marks]


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
    reader: "Reader",
    prompts: Sequence[Prompt],
    targets: Sequence[str],
    *,
    key: str,
    cache: Cache,
    progress: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Measure the loss of each target after its prompt: summed nats [N], and tokens [N]. Cached as answers are.

    Of a target only the first 256 tokens count.
    """
    pairs = list(zip(prompts, targets, strict=True))
    marks = [_mark(f"{key}/loss", (*prompt, f"\0{target}")) for prompt, target in pairs]
    known = {mark: value for mark, value in cache.get_many(marks).items() if _is_loss(value)}
    waiting = [i for mark, i in {mark: i for i, mark in enumerate(marks)}.items() if mark not in known]
    # Rows of like length share a batch, so that little of it is padding.
    waiting.sort(key=lambda i: _size(prompts[i]) + len(targets[i]))
    with progress_bar(total=len(waiting), desc=progress, unit="text", shown=bool(waiting)) as bar:
        for start in range(0, len(waiting), _BATCH):
            batch = waiting[start : start + _BATCH]
            made = zip(*_measured(reader, [pairs[i] for i in batch]), strict=True)
            new = {marks[i]: [float(nats), int(count)] for i, (nats, count) in zip(batch, made, strict=True)}
            cache.put(new)
            known |= new
            bar.update(len(batch))
    values = np.array([known[mark] for mark in marks], dtype=float).reshape(-1, 2)
    return values[:, 0], values[:, 1]


def _is_loss(value: Any) -> bool:
    """Whether a cached value is nats and tokens."""
    is_pair = isinstance(value, list) and len(value) == 2 and all(isinstance(v, int | float) for v in value)
    return is_pair and math.isfinite(value[0]) and value[1] >= 1


def _measured(reader: "Reader", pairs: Sequence[tuple[Prompt, str]]) -> tuple[np.ndarray, np.ndarray]:
    # Imported here: an atlas asks through this module and needs no torch.
    from vecspeak.training.batching import TokenRow
    from vecspeak.training.loss import row_losses

    rows, vectors = [], []
    width = reader.adapter.config.vector_dim
    for prompt, target in pairs:
        before = reader.build_input_ids(segments_of(prompt))
        after = reader.answer_ids(target)[:_LONGEST_TARGET]
        rows.append(TokenRow(ids=np.array(before + after, dtype=np.int32), num_prompt=len(before), rows=()))
        vectors.append(np.array(vectors_of(prompt), dtype=np.float32).reshape(-1, width))
    return row_losses(reader, rows, vectors)
