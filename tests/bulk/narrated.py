"""Tables of rows, and what runs wrote of them."""

import pyarrow as pa
import pyarrow.parquet as pq


def write(path, vectors, **columns):
    """A table of ids and vectors, with lists of any length."""
    lists = pa.array(
        [None if one is None else list(map(float, one)) for one in vectors], pa.list_(pa.float32())
    )
    ids = pa.array([f"r{row}" for row in range(len(lists))])
    pq.write_table(pa.table({"sku": ids, "vector": lists, **columns}), path, row_group_size=90)


def said(out, kind="words"):
    """All rows of a run, in order."""
    parts = sorted((out / kind).glob("*.parquet"))
    return pa.concat_tables([pq.read_table(part) for part in parts]).to_pylist()


def content(out):
    """Every file of a run by its name."""
    return {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()
    }
