"""Run cases of inputs that once failed: each makes its files and says what to type, and what came is printed.

    python scripts/run_cases.py FOLDER [NAME ...] [--work work/cases]

FOLDER holds a file NAME.py a case, which writes its files into the folder that it is given and prints the commands to
type there, each behind "$ ". A traceback is a failure; what else came is for reading beside the case's own words.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path


def run_case(script: Path, folder: Path) -> int:
    """Make the files of a case and type its commands; how many ended in a traceback."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    said = subprocess.run(
        [sys.executable, script.name, folder], cwd=script.parent, capture_output=True, text=True
    )
    if said.returncode:
        print(
            f"== {script.stem}: its files cannot be made: {said.stderr.strip().splitlines()[-1:]}", flush=True
        )
        return 1
    failures = 0
    print(f"== {script.stem}", flush=True)
    for line in said.stdout.splitlines():
        if not line.startswith("$ "):
            print(f"   {line}")
            continue
        command = [sys.executable, "-m", *shlex.split(line[2:])]
        if any(part.endswith("case.bundle") for part in command) and "fit" in command:
            shutil.rmtree(folder / "case.bundle", ignore_errors=True)
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=dict(os.environ))
        failures += "Traceback" in found.stderr
        said_err = [one for one in found.stderr.splitlines() if one.strip() and "%|" not in one]
        told = [*said_err[-8:], *found.stdout.splitlines()[:12]]
        print(
            f"   {line}\n      -> {found.returncode}", *(f"      {one}" for one in told), sep="\n", flush=True
        )
    return failures


def main() -> None:
    """Run the cases that are named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--work", type=Path, default=Path("work/cases"))
    given = parser.parse_args()
    scripts = sorted(one for one in given.folder.glob("[0-9]*.py"))
    chosen = [one for one in scripts if not given.names or any(one.stem.startswith(n) for n in given.names)]
    failures = sum(run_case(script.resolve(), (given.work / script.stem).resolve()) for script in chosen)
    print(f"{len(chosen)} cases, {failures} commands with a traceback")
    raise SystemExit(failures > 0)


if __name__ == "__main__":
    main()
