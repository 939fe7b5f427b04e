"""Narrating: words for every row of a table of vectors, and texts of the reader for all of them or the surest.

A run is a folder: `manifest.json`, which says what it is of, `words/part-00000.parquet` and so on, and where texts are
asked for `texts/`. The manifest is written first, with `complete` false, and once more when every shard is there. What
was killed goes on where it stopped: a shard is one that was written whole, or it is written anew.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import vecspeak
from vecspeak.bulk.filesystems import StoredPath
from vecspeak.bulk.jobs import (
    DESCRIBE,
    READ,
    Opener,
    RunOptions,
    Speaker,
    TextsJob,
    TextsThere,
    WordsJob,
    WordsThere,
    on_threads,
    shard_rows,
    single_blas,
    task_digest,
)
from vecspeak.bulk.shards import TEXTS, WORDS, Shard, input_digest, read_shard, shard_name, sureness_of
from vecspeak.bulk.sources import RowBlock, Source, SpaceSource, check_no_columns, open_source, shards_of
from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.console import print_line, progress_bar
from vecspeak.errors import UserError, check_one_of, check_text, check_whole, did_you_mean, listed
from vecspeak.lexicon.many import ManyWords
from vecspeak.spaces import Space
from vecspeak.storage import check_folder_of, digest, lock

MANIFEST = "manifest.json"
_SHARD_BYTES = 32 << 20
"""Bytes of the vectors of a shard of words, at most."""
_TEXT_ROWS = 256
"""Rows of a shard of texts."""
_GATHERED = 65_536
"""Rows whose vectors are in memory at a time while texts are made."""
_COMPARED = 16
"""Shards that are there and whose rows are read again, where a run goes on."""
_NAMED = 5
"""Rows that are left out and named for each reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Narration:
    """What a run wrote, and where.

    >>> found = vs.narrate("out", task="tags")    # doctest: +SKIP
    >>> found.rows == found.written + sum(found.left_out.values())    # doctest: +SKIP
    True
    """

    out: str
    task: str
    rows: int
    """Rows of the input."""
    written: int
    """Rows of which there are words."""
    texts: int
    """Rows of which the reader wrote a text."""
    left_out: Mapping[str, int]
    """Rows without a usable vector, by what is wrong with them."""
    without_text: int
    """Rows of which nothing is said: no word is read of them, or the text is empty."""
    shards: int
    resumed: int
    """Shards that were there before this call."""
    seconds: float
    """Time of this call."""
    caution: str = ""
    """Why what is said of the space would be made up; mostly empty."""

    @property
    def lines(self) -> list[str]:
        """What a person should know."""
        there = f", of which {self.resumed:,} were there before" if self.resumed else ""
        found = [f"{self.written:,} of {self.rows:,} rows in {self.out}: {self.shards:,} shards{there}"]
        found += [f"  {self.texts:,} texts by the reader"] * bool(self.texts)
        found += [f"  left out: {count:,} rows with {why}" for why, count in self.left_out.items()]
        found += [f"  nothing is said of {self.without_text:,} rows"] * bool(self.without_text)
        return [*found, *([f"  CAUTION: {self.caution}"] if self.caution else [])]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {
            "left_out": dict(self.left_out)
        }

    def __str__(self) -> str:
        return "\n".join(self.lines)


def narrate(
    speaker: Speaker,
    out: str | Path,
    vectors: Any = None,
    *,
    task: str = "words",
    prose_for: int | None = None,
    limit: int = 10,
    distances: bool = True,
    effort: str = "quick",
    max_new_tokens: int | None = None,
    tasks: str = "",
    id: str = "",
    vector: str = "",
    space: str = "",
    ray: str = "",
    threads: int | None = None,
    rows_per_shard: int | None = None,
    filesystem: Any = None,
    progress: bool = False,
) -> Narration:
    """Write what is said of every row; `VecSpeak.narrate` says it all."""
    started = time.perf_counter()
    entry = speaker.entry(space)
    settings = _checked(
        speaker, entry,
        RunOptions(
            task=task, prose_for=prose_for, limit=check_whole("limit", limit, 1, 1000), distances=distances,
            effort=effort, max_new_tokens=max_new_tokens, tasks=tasks,
        ),
    )  # fmt: skip
    threads = check_whole("threads", (os.cpu_count() or 1) if threads is None else threads, 1, 1024)
    source = _source(entry, vectors, id, vector, filesystem)
    size = check_whole(
        "rows_per_shard", _shard_rows(source.width) if rows_per_shard is None else rows_per_shard, 1
    )
    run = _BulkRun(
        speaker, entry, source, settings, StoredPath.of(out, "out", filesystem), size, ray, threads, progress
    )
    with run.alone():
        found = run.finish()
    return replace(found, seconds=round(time.perf_counter() - started, 3))


def _checked(speaker: Speaker, entry: SpaceEntry, settings: RunOptions) -> RunOptions:
    """The settings. Raises UserError for a task that is none, and for prose where none is written."""
    check_text("task", settings.task)
    check_one_of("distances", settings.distances, (True, False))
    if settings.task in (*READ, DESCRIBE):
        if settings.prose_for is not None and not settings.has_prose:
            raise UserError(
                f"the task {settings.task!r} is read without the reader, so there is no prose for some rows",
                f"leave `prose_for` out, or take task={DESCRIBE!r}",
            )
    else:
        there = speaker.task_set(settings.tasks, space=entry.space.name)
        if settings.task not in there.tasks:
            names = [*READ, DESCRIBE, *there.tasks]
            raise UserError(
                f"there is no task {settings.task!r}",
                did_you_mean(settings.task, names, f"one is {DESCRIBE!r}"),
            )
        if there.task(settings.task).slots != ("x",):
            raise UserError(
                f"the task {settings.task!r} is about two points, and a row is one", f"take task={DESCRIBE!r}"
            )
    if settings.prose_for is not None:
        check_whole("prose_for", settings.prose_for, 1)
    check_one_of("effort", settings.effort, ("plain", "quick", "normal", "high"))
    return replace(settings, task_digest=task_digest(speaker, settings, entry.space.name))


def _source(entry: SpaceEntry, vectors: Any, ids: str, vector: str, filesystem: Any) -> Source:
    """The rows. Raises UserError where they cannot be of the space: another width, another encoder."""
    space = entry.space
    if vectors is None:
        check_no_columns("a space", ids, vector)
        return SpaceSource.of(space)
    source = open_source(vectors, ids=ids, vector=vector, filesystem=filesystem)
    if source.width != space.dim:
        raise UserError(
            f"the vectors have {source.width} numbers, and those of {space.name!r} have {space.dim}",
            "give vectors of the encoder that made the space",
        )
    made_by = getattr(source, "encoder", "")
    if made_by and space.encoder and made_by != space.encoder:
        raise UserError(
            f"the vectors were made by {made_by!r}, and those of {space.name!r} by {space.encoder!r}",
            "embed the texts by the encoder of the space",
        )
    return source


def _shard_rows(width: int) -> int:
    """Rows of a shard: a power of two, of 32 MB of vectors at most."""
    return 1 << max(8, int(np.log2(_SHARD_BYTES / (4 * width))))


class _BulkRun:
    """A run: what it is of, what is there of it, and the rest of it."""

    def __init__(
        self, speaker: Speaker, entry: SpaceEntry, source: Source, settings: RunOptions, out: StoredPath,
        size: int, ray: str, threads: int, progress: bool,
    ) -> None:  # fmt: skip
        self.speaker, self.entry, self.source, self.settings = speaker, entry, source, settings
        self.out, self.size, self.ray, self.threads, self.progress = out, size, ray, threads, progress
        self.are_items = isinstance(source, SpaceSource) and source.digest == entry.space.digest
        self.identity: dict[str, Any] = {
            "format": 1,
            "vecspeak": vecspeak.__version__,
            "options": {**asdict(settings), "rows_per_shard": size},
            "inputs": {**source.state, "width": source.width},
            "bundle": {
                "name": speaker.bundle.manifest.name,
                "space": entry.space.name,
                "digest": bundle_digest(speaker.bundle, entry, reader=settings.has_prose),
            },
        }
        self.digest = digest(self.identity)
        self.count = -(-source.num_rows // size)
        self.resumed = 0

    def alone(self) -> Any:
        """What holds other processes of this machine off the folder. Raises UserError where none can be made."""
        if self.out.is_local:
            check_folder_of(self.out.path)
        return (
            lock(self.out.path, busy=f"another run is in {self.out}") if self.out.is_local else nullcontext()
        )

    def finish(self) -> Narration:
        """Write what is missing, then the manifest."""
        self._begin()
        with self._explained():
            words = self._words()
            texts = self._texts(words) if self.settings.has_prose else []
            self._check_inputs()
        for kind in (WORDS, TEXTS):
            (self.out / kind).clean()
        left_out = _left_out(words)
        self._write_manifest({
            "complete": True,
            "rows": self.source.num_rows,
            "written": sum(one.written for one in words),
            "left_out": left_out,
            "without_text": sum(one.without_text for one in texts or words),
            "caution": self.entry.caution,
            "inputs_digest": digest([one.input_digest for one in words]),
            "shards": [one.entry for one in (*words, *texts)],
        })  # fmt: skip
        return Narration(
            out=str(self.out),
            task=self.settings.task,
            rows=self.source.num_rows,
            written=sum(one.written for one in words),
            texts=sum(one.written for one in texts),
            left_out={why: one["rows"] for why, one in left_out.items()},
            without_text=sum(one.without_text for one in texts or words),
            shards=len(words) + len(texts),
            resumed=self.resumed,
            seconds=0.0,
            caution=self.entry.caution,
        )

    def _begin(self) -> None:
        """Make the folder, or see that what is there is of this very run. Raises UserError where it is not."""
        self.out.clean()
        raw = (self.out / MANIFEST).read()
        if raw is None:
            if self.out.inside():
                raise UserError(
                    f"{self.out} holds other files and no {MANIFEST}", "give the name of a new folder"
                )
            self.out.make_folder()
            self._write_manifest({"complete": False})
        else:
            self._check_manifest(raw)
        for kind in (WORDS, TEXTS) if self.settings.has_prose else (WORDS,):
            (self.out / kind).make_folder()

    def _check_manifest(self, raw: bytes) -> None:
        """Raise UserError where a manifest is broken, or that of another run."""
        try:
            known = msgspec.json.decode(raw, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise UserError(
                f"{self.out / MANIFEST} is broken: {error}", "give the name of a new folder"
            ) from error
        other = [name for name, value in self.identity.items() if known.get(name) != value]
        if other:
            named = " and ".join(
                "another version" if one in ("format", "vecspeak") else f"other {one}" for one in other
            )
            raise UserError(
                f"{self.out} holds a narration with {named}, and what is there is not mixed with this one",
                "give the name of a new folder, or remove that one",
            )

    def _write_manifest(self, more: Mapping[str, Any]) -> None:
        text = json.dumps({**self.identity, **more}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (self.out / MANIFEST).write(lambda file: file.write(text.encode()))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """A block after which an error tells whether rows changed, and Ctrl-C how the run goes on."""
        try:
            yield
        except UserError:
            self._check_inputs()
            raise
        except KeyboardInterrupt:
            print_line(f"what is in {self.out} is kept; the same command goes on")
            raise

    def _check_inputs(self) -> None:
        """Raise UserError where a file of the rows is not as it was when the run began."""
        for file in self.source.files_of(0, self.source.num_rows):
            try:
                file.check()
            except UserError as error:
                raise self._changed(f"{file.place} changed while the run went on") from error

    def _check_rows(self, rows: RowBlock, shard: Shard) -> None:
        """Raise UserError where the rows of a shard of words are not those that it was made of."""
        if input_digest(rows) != shard.input_digest:
            raise self._changed(f"the rows of {shard.file} are not those that it was made of")

    def _changed(self, what: str) -> UserError:
        there = [
            f"{kind}/{one.base_name}"
            for kind in (WORDS, TEXTS)
            for one in (self.out / kind).inside()
            if one.base_name.startswith("part-")
        ]
        return UserError(
            f"{what}, and the {len(there):,} shards in {self.out} are of the old ones: {listed(there) or 'none yet'}",
            f"remove {self.out} to begin anew",
        )

    def _there(self, kind: str, total: int, size: int) -> dict[int, Shard]:
        """The shards that are there, by their numbers, of `total` rows with `size` in each."""
        names = {one.base_name for one in (self.out / kind).inside()}
        found = {}
        for number in range(-(-total // size)):
            name = shard_name(kind, number)
            if name.partition("/")[2] not in names:
                continue
            rows = shard_rows(total, size, number)
            if shard := read_shard(self.out / name, self.digest, name, rows):
                found[number] = shard
        self.resumed += len(found)
        return found

    def _words(self) -> list[Shard]:
        found = self._there(WORDS, self.source.num_rows, self.size)
        there = sorted(found)
        # a few, evenly spread: to read all rows again may take as long as a network is slow
        some = sorted({there[round(at)] for at in np.linspace(0, len(there) - 1, _COMPARED)} if there else ())
        for number, rows in shards_of(self.source, self.size, some):
            self._check_rows(rows, found[number])
        missing = [number for number in range(self.count) if number not in found]
        if missing:
            job = self._words_job()
            with self._bar("words", self.source.num_rows, sum(one.rows for one in found.values())) as bar:
                for number, shard in self._done(job, missing):
                    found[number] = shard
                    bar.update(shard.rows)
        return [found[number] for number in range(self.count)]

    def _words_job(self) -> WordsJob:
        entry, space = self.entry, self.entry.space
        distance = None
        if self.settings.distances and not self.are_items:
            # the items' texts are not needed, and are not sent to other machines
            distance = replace(entry.distance(), space=Space.from_arrays(space.vectors))
        return WordsJob(
            run=self.digest, out=self.out, source=self.source, size=self.size, task=self.settings.task,
            distance=distance, many=ManyWords(entry.term_reader, entry.alignment, self.settings.limit),
            is_doubted=bool(entry.caution),
        )  # fmt: skip

    def _done(self, job: WordsJob, missing: Sequence[int]) -> Iterator[tuple[int, Shard]]:
        if self.ray:
            from vecspeak.bulk.on_ray import on_ray

            yield from on_ray(self.ray, WordsThere(job=job), ((number, None) for number in missing))
            return
        with single_blas():
            yield from on_threads(job, missing, self.threads)

    def _texts(self, words: Sequence[Shard]) -> list[Shard]:
        selected = self._selected()
        count = -(-len(selected) // _TEXT_ROWS)
        found = self._there(TEXTS, len(selected), _TEXT_ROWS)
        missing = [number for number in range(count) if number not in found]
        with self._bar(self.settings.task, len(selected), sum(one.rows for one in found.values())) as bar:
            for number, shard in self._written_texts(words, selected, missing):
                found[number] = shard
                bar.update(shard.rows)
        return [found[number] for number in range(count)]

    def _written_texts(
        self, words: Sequence[Shard], selected: np.ndarray, missing: Sequence[int]
    ) -> Iterator[tuple[int, Shard]]:
        job = TextsJob(
            run=self.digest, out=self.out, speaker=self._opener(), space=self.entry.space.name,
            settings=self.settings, are_items=self.are_items,
        )  # fmt: skip
        given = self._gathered(words, selected, missing)
        if self.ray:
            from vecspeak.bulk.on_ray import on_ray

            yield from on_ray(self.ray, TextsThere(job=job), given)
            return
        for number, rows in given:
            yield number, job.write(number, rows)

    def _opener(self) -> Callable[[], Speaker]:
        """What gives the reader: this one, or on other machines the bundle of this folder."""
        if not self.ray:
            return lambda: self.speaker
        if self.speaker.folder is None:
            raise UserError("the bundle is not saved, so other machines cannot open it", "save it first")
        return Opener(type(self.speaker).load, str(self.speaker.folder.resolve()))  # type: ignore[attr-defined]

    def _selected(self) -> np.ndarray:
        """Rows of which the reader writes, ascending: all, or the surest of those that are trusted first."""
        parts = [sureness_of(self.out / shard_name(WORDS, number)) for number in range(self.count)]
        rows, sureness, trusted = (np.concatenate(one) for one in zip(*parts, strict=True))
        if self.settings.prose_for is None:
            return rows
        order = np.lexsort((rows, -sureness, ~trusted.astype(bool)))
        return np.sort(rows[order[: self.settings.prose_for]])

    def _gathered(
        self, words: Sequence[Shard], selected: np.ndarray, missing: Sequence[int]
    ) -> Iterator[tuple[int, RowBlock]]:
        """The rows of the shards of texts that are missing, as many in memory as one pass may hold.

        Raises UserError where they are not those that the shards of words were made of.
        """
        step = _GATHERED // _TEXT_ROWS
        for start in range(0, len(missing), step):
            numbers = missing[start : start + step]
            wanted = np.concatenate([selected[one * _TEXT_ROWS : (one + 1) * _TEXT_ROWS] for one in numbers])
            shards = np.unique(wanted // self.size).tolist()
            parts = []
            for number, part in shards_of(self.source, self.size, shards):
                self._check_rows(part, words[number])
                parts.append(part.take(np.flatnonzero(np.isin(part.rows, wanted))))
            rows, at = RowBlock.joined(parts), 0
            for number in numbers:
                count = len(selected[number * _TEXT_ROWS : (number + 1) * _TEXT_ROWS])
                yield number, rows.take(np.arange(at, at + count))
                at += count

    def _bar(self, what: str, total: int, done: int) -> Any:
        return progress_bar(
            total=total, initial=done, desc=what, unit="row", shown=None if self.progress else False
        )


def _left_out(shards: Iterable[Shard]) -> dict[str, dict[str, Any]]:
    """Number and first rows of what is left out, by the reason."""
    found: dict[str, dict[str, Any]] = {}
    for shard in shards:
        for why, (count, rows) in shard.left_out.items():
            one = found.setdefault(why, {"rows": 0, "first": []})
            one["rows"] += count
            one["first"] = [*one["first"], *rows][:_NAMED]
    return found


def bundle_digest(bundle: Bundle, entry: SpaceEntry, *, reader: bool) -> str:
    """Of everything that words are read with; and of the reader, where it writes."""
    alignment, found = entry.alignment, entry.term_reader
    parts: list[Any] = [entry.space.digest, alignment.numbers(), alignment.arrays().values().__iter__()]
    own = entry.lexicon.readout if entry.lexicon else None
    for readout in (own, found.shipped.readout if found.shipped else None):
        if readout is not None:
            named = (readout.center, readout.weights, readout.scales, readout.rates, readout.calibration)
            parts += [*named, *([] if readout.basis is None else [readout.basis])]
    weights = entry.lexicon.weights if entry.lexicon else {}
    parts += [list(found.terms), found.rates, np.packbits(found.shown)]
    parts += [{name: one.tolist() for name, one in sorted(weights.items())}, entry.caution]
    if reader:
        card = bundle.manifest.reader
        parts += [card.base_sha256, bundle.manifest.files]
    return digest(*parts)
