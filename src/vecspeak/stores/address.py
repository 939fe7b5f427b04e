"""Addresses of collections in stores, such as qdrant:///data/qdrant/shop or postgresql://user@host/db?table=items.

    scheme:///PATH/COLLECTION       a folder or a file of this machine
    scheme://HOST:PORT/COLLECTION   a server; a key or a password comes from an environment variable

A collection may stand behind the path, or as `?table=NAME` (or `collection=`) where the path is a file.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from vecspeak.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A collection of a store, taken apart."""

    scheme: str
    """Which store, such as "qdrant"."""
    path: str = ""
    """Folder or file of this machine, or the database of a server."""
    collection: str = ""
    """Table, collection or index; empty where the store has no names."""
    host: str = ""
    """Server and port as they are typed; empty for a path of this machine."""
    user: str = ""
    password: str = field(default="", repr=False)
    """Never shown and never saved."""
    options: tuple[tuple[str, str], ...] = ()
    """What stands behind the question mark and is none of the above."""

    def option(self, name: str, otherwise: str = "") -> str:
        """What stands behind the question mark under a name."""
        return dict(self.options).get(name, otherwise)

    @property
    def file(self) -> Path:
        """The folder or file. Raises UserError where there is none."""
        path = Path(self.path)
        if not path.exists():
            raise UserError(f"there is no {path}", f"give an existing path: {self.scheme}:///PATH/COLLECTION")
        return path

    @property
    def name(self) -> str:
        """What a space made of it is called."""
        return self.collection or Path(self.path).stem or self.scheme

    @property
    def key(self) -> str:
        """The key of a server, from the environment variable that `?key_env=NAME` names; empty where none is named.

        Raises UserError where that variable is not set.
        """
        variable = self.option("key_env")
        if variable and not os.environ.get(variable):
            raise UserError(
                f"the environment variable {variable} is not set", f"set {variable}, or leave key_env out"
            )
        return os.environ[variable].strip() if variable else ""

    def __str__(self) -> str:
        """The address without a password, so that it may be printed and saved."""
        who = f"{self.user}@" if self.user else ""
        parts = [part.strip("/") for part in (self.path, self.collection) if part.strip("/")]
        return f"{self.scheme}://{who}{self.host}/{'/'.join(parts)}"


def is_address(given: object) -> bool:
    """Whether this is an address of a store and not a file.

    >>> is_address("qdrant:///data/shop"), is_address("items.parquet")
    (True, False)
    """
    return isinstance(given, str) and "://" in given


def parse_address(text: str, *, collections_in_path: bool) -> Address:
    """Take an address apart; the last part of a local path is the collection where stores keep several in a folder.

    Raises UserError for what is no address.
    """
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise UserError(
            f"{text!r} is no address: {error}", "write it as scheme:///PATH/COLLECTION"
        ) from error
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    named = options.pop("table", "") or options.pop("collection", "") or options.pop("index", "")
    path, collection = unquote(parts.path), named
    try:
        name = parts.hostname or ""
        name = f"[{name}]" if ":" in name else name  # an address of IPv6
        host = f"{name}:{parts.port}" if parts.port else name
    except ValueError as error:
        raise UserError(f"{parts.scheme}://{parts.hostname}: {error}", "give a port such as 6333") from error
    if host and not collection and collections_in_path:
        path, collection = "", path.strip("/")
    elif host:
        path = path.strip("/")
    elif not collection and collections_in_path and not Path(path).is_file():
        folder = Path(path)
        if folder.name:
            path, collection = str(folder.parent), folder.name
    return Address(
        scheme=parts.scheme,
        path=path,
        collection=collection,
        host=host,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        options=tuple(options.items()),
    )
