"""Places: folders and files on a disk or in an object store, through pyarrow's file systems.

A file on a disk is written beside and renamed. An object store has no rename and needs none: an object is there when
all of it was sent. What was sent in part, where a store shows it, has no footer and is no Parquet file.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from vecspeak.errors import UserError, check_path, first_line
from vecspeak.storage import recover_all, replace_file

_SCHEMES = ("abfs", "file", "gs", "hdfs", "s3")


def is_url(given: object) -> bool:
    """Whether a text names a file system, as s3://bucket/folder does."""
    return (
        isinstance(given, str) and given.partition("://")[0] in (*_SCHEMES, "abfss", "gcs") and "://" in given
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPath:
    """A file or folder of a file system."""

    files: Any
    """A `pyarrow.fs.FileSystem`."""
    path: str
    is_local: bool
    """Whether the path is one of this machine's disks, where files are renamed."""

    @classmethod
    def of(cls, given: Any, what: str, filesystem: Any = None) -> "StoredPath":
        """The place of a path or a URL, or of a path in a file system of pyarrow or fsspec.

        Raises UserError for a URL of another kind, and where its file system cannot be opened.
        """
        from pyarrow import fs

        if filesystem is not None:
            if not isinstance(filesystem, fs.FileSystem):
                filesystem = fs.PyFileSystem(fs.FSSpecHandler(filesystem))
            return cls(files=filesystem, path=str(given).rstrip("/"), is_local=False)
        if isinstance(given, str) and "://" in given:
            if not is_url(given):
                raise UserError(
                    f"`{what}` has the scheme {given.partition('://')[0]!r}",
                    f"give a path, or a URL of one of {', '.join(_SCHEMES)}",
                )
            try:
                files, path = fs.FileSystem.from_uri(given)
            except (pa.ArrowException, OSError, ValueError) as error:
                raise UserError(f"`{what}` cannot be opened: {first_line(error)}", "check the URL") from error
            is_local = isinstance(files, fs.LocalFileSystem)
            return cls(files=files, path=path.rstrip("/"), is_local=is_local)
        path = os.path.realpath(check_path(what, given))
        return cls(files=fs.LocalFileSystem(), path=path, is_local=True)

    def __truediv__(self, name: str) -> "StoredPath":
        return StoredPath(files=self.files, path=f"{self.path}/{name}", is_local=self.is_local)

    def __str__(self) -> str:
        return self.path

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def address(self) -> str:
        """The whole path, and of which kind of file system it is where that is no disk."""
        return self.path if self.is_local else f"{self.files.type_name}:{self.path}"

    def info(self) -> Any:
        """What the file system says of it: a `pyarrow.fs.FileInfo`. Raises UserError where it does not answer."""
        with explained(self, "read"):
            return self.files.get_file_info(self.path)

    def inside(self) -> list[Any]:
        """What lies in a folder, by name; empty where there is none."""
        from pyarrow.fs import FileSelector

        with explained(self, "read"):
            found = self.files.get_file_info(FileSelector(self.path, allow_not_found=True))
        return sorted(found, key=lambda one: one.path)

    def read(self) -> bytes | None:
        """All bytes of a file; None where there is none."""
        from pyarrow.fs import FileType

        if self.info().type != FileType.File:
            return None
        with explained(self, "read"), self.files.open_input_stream(self.path) as file:
            found: bytes = file.read()
        return found

    def make_folder(self) -> None:
        """Make it a folder. Raises UserError where it cannot be made."""
        with explained(self, "write"):
            self.files.create_dir(self.path, recursive=not self.is_local)

    def write(self, put: Callable[[Any], None]) -> None:
        """Write a file by a function that gets it opened: whole, or not to be taken for one."""
        if self.is_local:
            with replace_file(self.path) as beside, pa.OSFile(str(beside), "wb") as file:
                put(file)
            return
        with explained(self, "write"), self.files.open_output_stream(self.path) as file:
            put(file)

    def clean(self) -> None:
        """Remove what kills left in a folder of a disk."""
        if self.is_local and Path(self.path).is_dir():
            recover_all(self.path)


@contextlib.contextmanager
def explained(place: StoredPath, what: str) -> Iterator[None]:
    """Turn what a file system raises into UserError."""
    try:
        yield
    except UserError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"cannot {what} {place}: {first_line(error)}", "check the place and what you may do there"
        ) from error
