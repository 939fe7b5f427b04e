"""Jobs: what is done with a shard, by a thread or by another machine; a shard that is done twice is the same file."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

import vecspeak
from vecspeak.bulk.filesystems import StoredPath
from vecspeak.bulk.shards import (
    CAUTION,
    FAR,
    TEXTS,
    WORDS,
    Shard,
    shard_name,
    shard_of,
    texts_table,
    words_table,
    write_shard,
)
from vecspeak.bulk.sources import RowBlock, Source, shards_of
from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.errors import UserError
from vecspeak.evidence import OUTSIDE, Answers
from vecspeak.lexicon.many import ManyWords
from vecspeak.spaces.search import DataDistance

READ = ("words", "tags", "name")
"""What is said without a language model."""
DESCRIBE = "describe"
"""Asks no task of a set but for a description."""


class Speaker(Protocol):
    """What asks: a `VecSpeak`."""

    bundle: Bundle
    folder: Path | None

    def entry(self, space: str = "") -> SpaceEntry:
        """A space with what was fitted on it."""
        ...

    def ask_batch(self, question: str = "", **arguments: Any) -> Answers:
        """Answers about many points."""
        ...

    def task_set(self, tasks: str = "", words: Any = (), *, space: str = "") -> Any:
        """The tasks that may be asked by name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What is said of the rows; checked by `narrate`."""

    task: str = "words"
    prose_for: int | None = None
    """Rows of which the reader writes, the surest; None for all where the task is one of its own."""
    limit: int = 10
    distances: bool = True
    effort: str = "quick"
    max_new_tokens: int | None = None
    tasks: str = ""

    @property
    def has_prose(self) -> bool:
        """Whether the reader writes."""
        return self.task not in READ


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WordsJob:
    """Writes shards of words; several threads and machines may use one."""

    run: str
    out: StoredPath
    task: str
    many: ManyWords
    distance: DataDistance | None
    """How far vectors lie from the space's items; None for its items themselves, or where nobody asks."""
    is_doubted: bool

    def write(self, number: int, rows: RowBlock, count: int) -> Shard:
        """Words of a shard of `count` rows."""
        best = self.many.best(rows.vectors)
        flags = [(CAUTION, np.ones(len(rows.rows), bool))] if self.is_doubted else []
        if self.distance is not None and len(rows.rows):
            flags.append((FAR, self.distance.percentile(rows.vectors) >= OUTSIDE))
        terms, columns = pa.array(self.many.terms, pa.string()), pa.array(self.many.term_columns, pa.string())
        table = words_table(rows, best, terms, columns, flags, self.task)
        name = shard_name(WORDS, number)
        blank = table.column("text").null_count if self.task != "words" else int((best.counts == 0).sum())
        return write_shard(self.out / name, table, shard_of(self.run, name, rows, count, blank))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextsJob:
    """Writes shards of texts: the reader is asked about their rows together."""

    run: str
    out: StoredPath
    speaker: Callable[[], Speaker]
    space: str
    settings: RunOptions
    are_items: bool
    """Whether the rows are the space's own items, by their ids."""

    def write(self, number: int, rows: RowBlock, count: int) -> Shard:
        """Texts of the rows of a shard."""
        speaker, settings = self.speaker(), self.settings
        space = speaker.entry(self.space).space
        x = [space[row] for row in rows.rows.tolist()] if self.are_items else rows.vectors
        is_question = settings.task == DESCRIBE
        answers = speaker.ask_batch(
            "Describe {x}." if is_question else "",
            at={"x": x}, task="" if is_question else settings.task, tasks="" if is_question else settings.tasks,
            space=space.name, effort=settings.effort, max_new_tokens=settings.max_new_tokens,
        )  # fmt: skip
        table, name = texts_table(rows, answers), shard_name(TEXTS, number)
        blank = table.column("text").null_count
        return write_shard(self.out / name, table, shard_of(self.run, name, rows, count, blank))


def single_blas() -> Any:
    """While it is entered a product of matrices takes one thread: shards are what is split."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="blas")


def on_threads(
    job: WordsJob, source: Source, size: int, numbers: Sequence[int], threads: int
) -> Iterator[tuple[int, Shard]]:
    """Write the shards with these numbers, in order, some at a time; one more than there are threads is in memory."""
    waiting: deque[tuple[int, Future[Shard]]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for number, rows in shards_of(source, size, numbers):
            waiting.append((number, pool.submit(job.write, number, rows, _count(source, size, number))))
            while len(waiting) > threads:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _count(source: Source, size: int, number: int) -> int:
    """Rows of a shard, those that are left out too."""
    return min(size, source.num_rows - number * size)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WordsThere:
    """A job of words for another machine, which reads the rows itself."""

    job: WordsJob
    source: Source
    size: int
    version: str = vecspeak.__version__

    def __call__(self, number: int, _given: Any) -> Shard:
        """Write one shard. Raises UserError where another version of vecspeak is there."""
        _check_version(self.version)
        ((_, rows),) = shards_of(self.source, self.size, [number])
        return self.job.write(number, rows, _count(self.source, self.size, number))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextsThere:
    """A job of texts for another machine, which gets the rows and opens the bundle itself."""

    job: TextsJob
    version: str = vecspeak.__version__

    def __call__(self, number: int, rows: RowBlock) -> Shard:
        """Write one shard. Raises UserError where another version of vecspeak is there."""
        _check_version(self.version)
        return self.job.write(number, rows, len(rows.rows))


def _check_version(expected: str) -> None:
    if vecspeak.__version__ != expected:
        raise UserError(
            f"a machine of the cluster has vecspeak {vecspeak.__version__}, and this one {expected}",
            "install one version everywhere",
        )


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens a bundle's folder, once a process."""

    load: Callable[[str], Speaker]
    folder: str

    def __call__(self) -> Speaker:
        """The bundle that lies there. Raises UserError where there is none."""
        return _opened_once(self.load, self.folder)


@cache
def _opened_once(load: Callable[[str], Speaker], folder: str) -> Speaker:
    return load(folder)
