"""Where the benchmarks write: a place that cannot be written is refused before anything is measured."""

import argparse
from pathlib import Path

from vecspeak.errors import UserError
from vecspeak.storage import check_target


def out_folder(given: str) -> Path:
    """The folder of `--out`, made where it is not there. For argparse, which shows why it cannot be written to."""
    folder = Path(given)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_target(folder / "scores.json")
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot make the folder {folder}: {error.strerror}") from error
    except UserError as error:
        raise argparse.ArgumentTypeError(f"nothing can be written in {folder}: {error}") from error
    return folder


def out_file(given: str) -> Path:
    """The file of `--out`, in a folder that is made where it is not there. For argparse, as `out_folder`."""
    path = Path(given)
    out_folder(str(path.parent))
    try:
        check_target(path)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return path
