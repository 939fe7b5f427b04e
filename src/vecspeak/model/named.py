"""Named models: encoders and base models that a person named on this machine, by the digest of their weights.

A bundle may come from anybody. Its manifest says which encoder and which base model its reader was made with, by name
and digest; a path in it is a note and is never followed. What the package knows opens by its name. Anything else opens
only where this person named it once, by training with it or by `vecspeak check BUNDLE --base FOLDER`, and only while
the weights there are those of the manifest. What was named stands in the user's cache.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from vecspeak.errors import UserError
from vecspeak.model.pretrained import KNOWN_MODELS, locate_model, model_digest
from vecspeak.storage import cache_folder, lock, read_json, write_json

_FILE = "models.json"
"""In the cache: what was named, by the digest of its weights and its name."""


class NamedModel(msgspec.Struct, frozen=True):
    """A folder or file that a person named."""

    name: str
    """What the manifest calls it."""
    place: str
    """Its whole path."""
    files: list[tuple[str, int, int]]
    """Names, sizes and times of its weights when their digest was taken: it is taken again where these are others."""


def named_models() -> dict[str, NamedModel]:
    """What was named on this machine, by digest and name, the latest last; nothing of a broken file."""
    path = cache_folder() / _FILE
    try:
        return msgspec.convert(read_json(path), dict[str, NamedModel]) if path.is_file() else {}
    except (UserError, msgspec.ValidationError):
        return {}


def noted_as(name: str, sha256: str) -> str:
    """What a model of a manifest is noted by: its digest, which old manifests lack, and its name.

    Two models may have the same weights and read them otherwise.
    """
    return f"{sha256 or 'no digest'} {name}"


def name_model(name: str, place: Path, sha256: str) -> None:
    """Note that a person named the model at `place` for what is noted so (`noted_as`). UserError without a cache."""
    place, path = place.resolve(), cache_folder() / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock(path):
        known = named_models()
        known.pop(sha256, None)
        known[sha256] = NamedModel(name, str(place), stamp_of(place))
        write_json(path, msgspec.to_builtins(known))


def named_place(
    name: str, sha256: str, digest_of: Callable[[str], str], *, kind: str, parameter: str
) -> Path:
    """Where a model lies that a manifest names by its digest, and that a person named too.

    `digest_of` takes the digest of the weights at a path again, `kind` and `parameter` are words for errors. Raises
    UserError for what nobody named here, and where other weights lie there now.
    """
    hint = f"name it, if you trust it: `VecSpeak.load({parameter}='FOLDER')`"
    one = named_models().get(noted_as(name, sha256))
    if one is None:
        which = "" if sha256 else ", without a digest of its weights"
        raise UserError(
            f"the bundle names the {kind} {name!r}{which}, which is none of the package's, and a name or a path in a "
            "bundle is not followed",
            hint,
        )
    place = Path(one.place)
    if not place.exists():
        raise UserError(f"the {kind} {name!r} of this bundle was {place}, which is gone", hint)
    if stamp_of(place) != one.files and (not sha256 or digest_of(one.place) != sha256):
        raise UserError(f"{place} holds another model than the {kind} {name!r} of this bundle", hint)
    return place


def check_packaged(name: str, sha256: str, known: str, kind: str) -> None:
    """Raise UserError where a manifest has another digest than the package of the model that it names (`known`)."""
    if sha256 and known and sha256 != known:
        raise UserError(
            f"the bundle's reader was made with other weights than the package's of the {kind} {name!r}: their digest "
            f"is {sha256[:12]}, the package's {known[:12]}",
            "get the bundle again from whoever made it",
        )


def check_named(name: str, sha256: str, given: object, found: str, kind: str) -> None:
    """Raise UserError where what a person gave has another digest (`found`) than the manifest has."""
    if sha256 and found != sha256:
        raise UserError(
            f"{given} is not the {kind} {name!r} that the bundle's reader was made with: its weights have the digest "
            f"{found[:12]}, those were {sha256[:12]}",
            "give the one it was made with",
        )


def name_base(name: str, sha256: str, given: str) -> None:
    """Note what a person gives as the base model of a bundle that calls it `name`. UserError for other weights."""
    found = model_digest(given)
    check_named(name, sha256, given, found, "language model")
    path = Path(given)
    name_model(name, path if path.exists() else locate_model(given), noted_as(name, sha256))


def base_place(name: str, sha256: str) -> str:
    """What `load_language_model` opens for a base model that a manifest names; UserError as `named_place`."""
    if name in KNOWN_MODELS:
        check_packaged(name, sha256, KNOWN_MODELS[name].sha256, "language model")
        return name
    return str(named_place(name, sha256, model_digest, kind="language model", parameter="base"))


def stamp_of(place: Path) -> list[tuple[str, int, int]]:
    """Of a file, or of the weights in a folder and the folders in it."""
    found = (
        [place]
        if place.is_file()
        else sorted(place.glob("*.safetensors")) + sorted(place.glob("*/*.safetensors"))
    )
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found]
