"""Files that fuzzing found, on which Arrow ends the process instead of raising: they are refused like others."""

import subprocess
import sys
from pathlib import Path

import pytest

READ = "import sys; from vecspeak.spaces import Space; Space.read(sys.argv[1], id='id', label='label', vector='vector')"
FILES = {"histogram.parquet": "a histogram of levels that is longer than there are levels"}
"""Files beside this one, and what is wrong with them."""


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_may_end_the_process_is_refused(name):
    path = Path(__file__).parent / name
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr  # -6 is an abort
    assert "vecspeak.errors.UserError" in done.stderr
