"""Shards: what is said of some rows, as one Parquet file whose footer says of which run and rows it is.

The footer is written last, so a file that was cut has none: a shard is there when its footer is that of the run.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecspeak.bulk.filesystems import StoredPath
from vecspeak.bulk.sources import RowBlock
from vecspeak.evidence import SUPPORTED, Answer
from vecspeak.lexicon.many import BestTerms
from vecspeak.storage import digest
from vecspeak.trust import trust_of

_KEY = b"vecspeak.narration"
_SHOWN = 5
"""Rows that are left out and named."""
_SUREST = 3
"""Words whose probabilities say how sure a row is."""
WORDS, TEXTS = "words", "texts"
FAR, CAUTION = "far", "caution"
"""Flags: farther from the space's items than 99% of them; the space itself is doubted, as the manifest says."""

_TERM = pa.struct([("term", pa.string()), ("column", pa.string()), ("probability", pa.float32())])
_WORDS_SCHEMA = pa.schema([
    ("row", pa.int64()), ("id", pa.string()), ("text", pa.string()), ("words", pa.list_(_TERM)),
    ("sureness", pa.float32()), ("trusted", pa.bool_()), ("flags", pa.list_(pa.string())),
])  # fmt: skip
_NEIGHBOR = pa.struct([("id", pa.string()), ("label", pa.string()), ("similarity", pa.float32())])
_CLAUSE = pa.struct([("text", pa.string()), ("probability", pa.float32())])
_TEXTS_SCHEMA = pa.schema([
    ("row", pa.int64()), ("id", pa.string()), ("text", pa.string()), ("words", pa.list_(_TERM)),
    ("trusted", pa.bool_()), ("flags", pa.list_(pa.string())), ("round_trip", pa.float32()),
    ("swapped", pa.float32()), ("percentile", pa.float32()), ("nearest", pa.list_(_NEIGHBOR)),
    ("clauses", pa.list_(_CLAUSE)),
])  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """What the footer of a shard says."""

    run: str
    """Digest of what the run is of."""
    file: str
    rows: int
    """Rows that were read."""
    written: int
    left_out: Mapping[str, tuple[int, tuple[int, ...]]]
    """Number of the rows that are left out by the reason, and the first of them."""
    without_text: int
    """Rows of which nothing is said: no word is read, or the answer is empty."""
    input_digest: str
    """Of the ids and vectors that were read."""

    @property
    def entry(self) -> dict[str, Any]:
        """As the manifest has it."""
        return {name: value for name, value in asdict(self).items() if name not in ("run", "left_out")}


def shard_name(kind: str, number: int) -> str:
    """Such as words/part-00007.parquet."""
    return f"{kind}/part-{number:05d}.parquet"


def read_shard(place: StoredPath, run: str, name: str, rows: int) -> Shard | None:
    """What a shard's footer says; None where there is no whole file, or one of another run, name or number of rows."""
    try:
        with place.files.open_input_file(place.path) as file:
            footer = pq.read_metadata(file)
            raw = json.loads((footer.metadata or {})[_KEY])
            left_out = {why: (count, tuple(rows)) for why, (count, rows) in raw.pop("left_out").items()}
            found = Shard(**raw, left_out=left_out)
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None
    states = (found.run, found.file, found.rows, found.written)
    return found if states == (run, name, rows, footer.num_rows) else None


def write_shard(place: StoredPath, table: pa.Table, shard: Shard) -> Shard:
    """Write a table with its footer. Raises UserError where it cannot be written."""
    table = table.replace_schema_metadata({_KEY: json.dumps(asdict(shard), sort_keys=True).encode()})
    place.write(lambda file: pq.write_table(table, file, compression="zstd", write_statistics=False))
    return shard


def shard_of(run: str, file: str, rows: RowBlock, count: int, without_text: int) -> Shard:
    """Of `count` rows that were read, with those that are left out."""
    return Shard(
        run=run,
        file=file,
        rows=count,
        written=len(rows.rows),
        left_out={why: (len(some), tuple(some[:_SHOWN])) for why, some in sorted(rows.left_out.items())},
        without_text=without_text,
        input_digest=input_digest(rows),
    )


def input_digest(rows: RowBlock) -> str:
    """Of the numbers, vectors and ids of rows."""
    return digest(rows.rows, rows.vectors, ids_digest(rows.ids))


def ids_digest(ids: pa.Array) -> str:
    """Of strings, missing ones too."""
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([pa.concat_arrays([ids])], ["id"])
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return digest(sink.getvalue().to_pybytes())


def words_table(
    rows: RowBlock,
    best: BestTerms,
    terms: pa.Array,
    columns: pa.Array,
    flags: Sequence[tuple[str, np.ndarray]],
    task: str,
) -> pa.Table:
    """The table of a shard of words. `flags` are names, each with [M] bool of the rows that have it."""
    starts = np.concatenate([[0], np.cumsum(best.counts)])
    taken = pa.array(best.columns)
    words = pa.StructArray.from_arrays(
        [terms.take(taken), columns.take(taken), pa.array(best.probabilities)], fields=list(_TERM)
    )
    has_flag = np.stack([has for _, has in flags], axis=1) if flags else np.zeros((len(rows.rows), 0), bool)
    return pa.table(
        [
            pa.array(rows.rows),
            rows.ids,
            _texts(best, terms, starts, task),
            pa.ListArray.from_arrays(pa.array(starts, pa.int32()), words),
            pa.array(_sureness(best, starts)),
            pa.array(~has_flag.any(axis=1)),
            _lists_of_flags([name for name, _ in flags], has_flag),
        ],
        schema=_WORDS_SCHEMA,
    )


def _texts(best: BestTerms, terms: pa.Array, starts: np.ndarray, task: str) -> pa.Array:
    """What is said in words alone: the likely ones for "tags", the first two for "name"; else nothing."""
    count = len(best.counts)
    if task not in ("tags", "name"):
        return pa.nulls(count, pa.string())
    import pyarrow.compute as pc

    place = np.arange(len(best.columns)) - np.repeat(starts[:-1], best.counts)
    is_said = best.probabilities >= SUPPORTED if task == "tags" else place < 2
    said = np.concatenate(
        [[0], np.cumsum(np.bincount(np.repeat(np.arange(count), best.counts)[is_said], minlength=count))]
    )
    lists = pa.ListArray.from_arrays(pa.array(said, pa.int32()), terms.take(pa.array(best.columns[is_said])))
    joined = pc.binary_join(lists, ", ")
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined)


def _sureness(best: BestTerms, starts: np.ndarray) -> np.ndarray:
    """[M] float32 mean probability of the first three words; 0 where there is none."""
    place = np.arange(len(best.columns)) - np.repeat(starts[:-1], best.counts)
    first = place < _SUREST
    rows = np.repeat(np.arange(len(best.counts)), best.counts)[first]
    sums = np.bincount(rows, best.probabilities[first], minlength=len(best.counts))
    return (sums / np.maximum(np.minimum(best.counts, _SUREST), 1)).astype(np.float32)


def _lists_of_flags(names: Sequence[str], has: np.ndarray) -> pa.Array:
    rows, columns = np.nonzero(has)
    starts = np.searchsorted(rows, np.arange(len(has) + 1))
    return pa.ListArray.from_arrays(
        pa.array(starts, pa.int32()), pa.array(names, pa.string()).take(pa.array(columns, pa.int64()))
    )


def texts_table(rows: RowBlock, answers: Sequence[Answer]) -> pa.Table:
    """The table of a shard of texts, with what each answer is to be judged by."""
    found = [(answer, answer.evidence[0]) for answer in answers]
    judged = [trust_of(answer) for answer in answers]
    columns: dict[str, Any] = {
        "row": pa.array(rows.rows),
        "id": rows.ids,
        "text": [answer.text or None for answer, _ in found],
        "words": [
            [{"term": one.term, "column": one.column, "probability": one.probability} for one in evidence.words]
            for _, evidence in found
        ],
        "trusted": [one.trusted for one in judged],
        "flags": [list(one.reasons) for one in judged],
        "round_trip": [evidence.round_trip for _, evidence in found],
        "swapped": [evidence.swapped for _, evidence in found],
        "percentile": [evidence.percentile for _, evidence in found],
        "nearest": [[{"id": o.id, "label": o.label, "similarity": o.similarity} for o in e.nearest] for _, e in found],
        "clauses": [[{"text": c.text, "probability": c.probability} for c in answer.clauses] for answer, _ in found],
    }  # fmt: skip
    return pa.table(columns, schema=_TEXTS_SCHEMA)


def sureness_of(place: StoredPath) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RowBlock, sureness and trust of a shard of words."""
    with place.files.open_input_file(place.path) as file:
        table = pq.read_table(file, columns=["row", "sureness", "trusted"])
    return tuple(table.column(name).to_numpy() for name in ("row", "sureness", "trusted"))
