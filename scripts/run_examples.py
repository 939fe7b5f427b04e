"""Execute the notebooks of examples/ and write their outputs in place: `python scripts/run_examples.py [NAME ...]`.

Outputs hold nothing of the machine: no times, no paths, no messages on stderr. A notebook that needs files which are
not there is skipped with a line.
"""

import os
import resource
import sys
import tempfile
import time
from glob import glob
from pathlib import Path

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[1] / "examples"
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_LONGEST = 600
"""Seconds that one cell may take: the first answer on a machine prepares the reader, which takes half a minute."""

NEEDS = {
    "05_packages_by_dependencies": (
        "/var/lib/apt/lists/*_Packages*",
        "`apt-get update` on a Debian system writes it",
    )
}
"""By notebook: a pattern of files that no package brings, and how they come; without them the notebook is skipped."""


def missing(path: Path) -> str:
    """What a notebook needs that this machine does not have, as a line; empty where it has all."""
    pattern, how = NEEDS.get(path.stem, ("", ""))
    return f"needs {pattern}, which is not here; {how}" if pattern and not glob(pattern) else ""


def execute(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with its outputs, run in an empty folder. Raises CellExecutionError for a cell that fails."""
    with tempfile.TemporaryDirectory(prefix="vecspeak-examples-") as folder:
        # bars and colors depend on the terminal, and a person's own IPython settings on the person
        quiet = {"TQDM_DISABLE": "1", "NO_COLOR": "1", "IPYTHONDIR": folder, "MPLBACKEND": ""}
        env = {name: value for name, value in (os.environ | quiet).items() if value}
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=_LONGEST, coalesce_streams=True, resources=resources)
        client.execute(env=env)
    return cleaned(notebook)


def cleaned(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without messages on stderr and without what a run says of itself."""
    notebook.metadata = nbformat.from_dict(_METADATA)
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    return notebook


def main(names: list[str]) -> None:
    """Run the notebooks whose names begin so, by default all, and print the seconds of each."""
    for path in sorted(EXAMPLES.glob("*.ipynb")):
        if names and not path.name.startswith(tuple(names)):
            continue
        if reason := missing(path):
            print(f"{path.name}: skipped, {reason}", flush=True)
            continue
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        found = execute(nbformat.read(path, as_version=4))
        nbformat.write(found, path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(
            f"{path.name}: {time.perf_counter() - started:.0f} s, {used:.0f} s of processor time", flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
