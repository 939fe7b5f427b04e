"""Files larger than what is held of them: a process that reads all rows takes no memory for them."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS, WIDTH = 600_000, 128
CHILD = """
import json, resource, sys
import numpy as np
from vecspeak.bulk.sources import open_source, shards_of
source = open_source(sys.argv[1])
numbers = range(-(-source.num_rows // 16384))
next(shards_of(source, 16384, [0]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total, count = 0.0, 0
for _, rows in shards_of(source, 16384, numbers):
    total += float(rows.vectors[:, 0].sum(dtype=np.float64))
    count += len(rows.rows)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"grown_mb": (after - before) / 1024, "total": total, "count": count}))
"""


@pytest.mark.parametrize("ending", ["npy", "parquet"])
def test_reading_a_file_of_300_mb_takes_a_tenth_of_it(tmp_path, ending):
    path = tmp_path / f"large.{ending}"
    vectors = np.arange(1, ROWS * WIDTH + 1, dtype=np.float32).reshape(ROWS, WIDTH) / (ROWS * WIDTH)
    if ending == "npy":
        np.save(path, vectors)
    else:  # one group of rows, as some tools write
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), WIDTH)
        pq.write_table(
            pa.table({"vector": column}), path, row_group_size=ROWS, compression="none", use_dictionary=False
        )
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True, timeout=300
    )
    found = json.loads(done.stdout)
    assert found["count"] == ROWS
    assert found["total"] == pytest.approx(float(vectors[:, 0].sum(dtype=np.float64)))
    # shards of 8 MB, of which a few copies are there at a time
    assert found["grown_mb"] < 80, "the file is held in memory"
