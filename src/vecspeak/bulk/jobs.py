"""Jobs: what is done with a shard, by a thread or by another machine; a shard that is done twice is the same file."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
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
from vecspeak.console import print_line
from vecspeak.errors import UserError
from vecspeak.evidence import OUTSIDE, Answers
from vecspeak.lexicon.many import ManyWords
from vecspeak.spaces.search import DataDistance
from vecspeak.storage import digest

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
    task_digest: str = ""
    """Of what the task of a set says; empty for those that are of none."""

    @property
    def has_prose(self) -> bool:
        """Whether the reader writes."""
        return self.task not in READ


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WordsJob:
    """Writes shards of words; several threads and machines may use one."""

    run: str
    out: StoredPath
    source: Source
    size: int
    """Rows of a shard, those that are left out too."""
    task: str
    many: ManyWords
    distance: DataDistance | None
    """How far vectors lie from the space's items; None for its items themselves, or where nobody asks."""
    is_doubted: bool

    def write(self, number: int, rows: RowBlock) -> Shard:
        """Words of a shard. Raises UserError where the files of its rows changed since the run began."""
        best = self.many.best(rows.vectors)
        flags = [(CAUTION, np.ones(len(rows.rows), bool))] if self.is_doubted else []
        if self.distance is not None and len(rows.rows):
            flags.append((FAR, self.distance.percentile(rows.vectors) >= OUTSIDE))
        terms, columns = pa.array(self.many.terms, pa.string()), pa.array(self.many.term_columns, pa.string())
        table = words_table(rows, best, terms, columns, flags, self.task)
        name = shard_name(WORDS, number)
        blank = table.column("text").null_count if self.task != "words" else int((best.counts == 0).sum())
        start, count = number * self.size, shard_rows(self.source.num_rows, self.size, number)
        shard = shard_of(self.run, name, rows, count, blank)
        for file in self.source.files_of(start, start + count):
            file.check()
        return write_shard(self.out / name, table, shard)


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

    def write(self, number: int, rows: RowBlock) -> Shard:
        """Texts of the rows of a shard. Raises UserError where the task changed since the run began."""
        speaker, settings = self.speaker(), self.settings
        if task_digest(speaker, settings, self.space) != settings.task_digest:
            raise UserError(
                f"the task {settings.task!r} changed while the run went on",
                "put its file back and run this again, or give the name of a new folder",
            )
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
        return write_shard(self.out / name, table, shard_of(self.run, name, rows, len(rows.rows), blank))


def task_digest(speaker: Speaker, settings: RunOptions, space: str) -> str:
    """Of what the task says, words of its set filled in; empty for what is read, and a description."""
    if settings.task in (*READ, DESCRIBE):
        return ""
    return digest(asdict(speaker.task_set(settings.tasks, space=space).task(settings.task)))


def single_blas() -> Any:
    """While it is entered a product of matrices takes one thread: shards are what is split."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="blas")


def on_threads(job: WordsJob, numbers: Sequence[int], threads: int) -> Iterator[tuple[int, Shard]]:
    """Write the shards with these numbers, in order, some at a time; one more than there are threads is in memory."""
    waiting: deque[tuple[int, Future[Shard]]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for number, rows in shards_of(job.source, job.size, numbers):
            waiting.append((number, pool.submit(job.write, number, rows)))
            while len(waiting) > threads:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    except KeyboardInterrupt:
        print_line("the shards under way are ended, then the run stops; Ctrl-C again loses them")
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def shard_rows(total: int, size: int, number: int) -> int:
    """Rows of a shard where each but the last has `size`."""
    return min(size, total - number * size)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WordsThere:
    """A job of words for another machine, which reads the rows itself."""

    job: WordsJob
    version: str = vecspeak.__version__

    def __call__(self, number: int, _given: Any) -> Shard:
        """Write one shard. Raises UserError where another version of vecspeak is there."""
        _check_version(self.version)
        ((_, rows),) = shards_of(self.job.source, self.job.size, [number])
        return self.job.write(number, rows)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextsThere:
    """A job of texts for another machine, which gets the rows and opens the bundle itself."""

    job: TextsJob
    version: str = vecspeak.__version__

    def __call__(self, number: int, rows: RowBlock) -> Shard:
        """Write one shard. Raises UserError where another version of vecspeak is there."""
        _check_version(self.version)
        return self.job.write(number, rows)


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
