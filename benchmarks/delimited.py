"""Small tables of text by several readers: how many cells come as they are written.

    pip install duckdb polars pandas
    python benchmarks/delimited.py [--out docs/scores]

Fourteen tables of two rows, as spreadsheets, Spark, IMDb and editors write them: marks that quote nothing, backslashes,
line breaks inside values, semicolons, codes that look like numbers. A reader is right where both cells come as the
file means them, other where a cell is something else, and refused where it raises. Writes OUT/delimited.json.
"""

import argparse
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
from places import out_folder

from vecspeak.storage import write_json
from vecspeak.tables.files import read_table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "tables"))
from delimited_cases import QUOTED  # noqa: E402  (the cases stand beside the test that holds them)

CASES: list[tuple[str, list[str]]] = [
    *QUOTED,
    ("id;name\na;x, y\nb;z\n", ["x, y", "z"]),
    ("id,name\na,01\nb,02\n", ["01", "02"]),
    ("id,name\na,1E2\nb,2E3\n", ["1E2", "2E3"]),
    ("id,name\na,NA\nb,nan\n", ["NA", "nan"]),
    ("id,name\na,true\nb,false\n", ["true", "false"]),
]
"""The file, and what its column `name` holds."""


def readers(file: Path) -> dict[str, Callable[[], list[Any]]]:
    """Each reader's column `name`; those of all text get the separator by the ending, as people would type it."""
    sep = "\t" if file.suffix == ".tsv" else ","
    return {
        "pandas": lambda: pd.read_csv(file, sep=None, engine="python")["name"].tolist(),
        "pandas, all as text": lambda: pd.read_csv(file, sep=sep, dtype=str, keep_default_na=False)[
            "name"
        ].tolist(),
        "polars, all as text": lambda: pl.read_csv(file, separator=sep, infer_schema=False)["name"].to_list(),
        "duckdb": lambda: duckdb.sql(f"SELECT name FROM read_csv('{file}')").to_df()["name"].tolist(),
        "duckdb, all as text": lambda: (
            duckdb.sql(f"SELECT name FROM read_csv('{file}', all_varchar=true)").to_df()["name"].tolist()
        ),
        "vecspeak": lambda: read_table(file, text_columns=("name",)).column("name").to_pylist(),
    }


def main() -> None:
    """Read every table by every reader."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    found: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (text, wanted) in enumerate(CASES):
            file = Path(folder) / f"{number}.{'tsv' if chr(9) in text else 'csv'}"
            file.write_text(text)
            for name, read in readers(file).items():
                try:
                    came = "right" if read() == wanted else "other"
                except Exception:  # whatever a library raises for a file that it does not take
                    came = "refused"
                found.setdefault(name, Counter())[came] += 1
    write_json(given.out / "delimited.json", {name: dict(count) for name, count in found.items()})
    for name, count in found.items():
        print(name, dict(count))


if __name__ == "__main__":
    main()
