"""The registry of engines. Imports no engine's library until that engine is opened."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from vecspeak.bundles import Bundle
from vecspeak.engines.base import Engine
from vecspeak.errors import UserError
from vecspeak.model.pretrained import has_gpu

if TYPE_CHECKING:
    from vecspeak.model.reader import Reader


def _transformers(bundle: Bundle, *, base_model: bool, reader: Callable[[], "Reader"] | None) -> Engine:
    from vecspeak.bundles.weights import best_device, load_reader
    from vecspeak.engines.transformers import TransformersEngine

    if reader is not None:
        return TransformersEngine(reader(), batch_size=_SHARED_BATCH)
    return TransformersEngine(load_reader(bundle, device=best_device(), base_model=base_model))


def _openvino(bundle: Bundle, *, base_model: bool, reader: Callable[[], "Reader"] | None) -> Engine:
    from vecspeak.engines.openvino import OpenVINOEngine
    from vecspeak.engines.prepared import open_prepared

    return OpenVINOEngine(open_prepared(bundle, base_model=base_model))


_SHARED_BATCH = 128
ENGINES: dict[str, Callable[..., Engine]] = {"openvino": _openvino, "transformers": _transformers}
AUTO = "auto"
"""The fastest engine that can run a bundle's reader on this machine."""


def resolve_engine(bundle: Bundle, name: str = AUTO) -> str:
    """The engine of that name, or for `auto` the one that is fastest here. Raises UserError for an unknown one."""
    if name in ENGINES:
        return name
    if name != AUTO:
        raise UserError(
            f"unknown engine {name!r}; known are {', '.join((AUTO, *ENGINES))}", "use --engine auto"
        )
    from vecspeak.engines.prepared import unsupported_reason

    return "transformers" if has_gpu() or unsupported_reason(bundle) else "openvino"


def open_engine(
    bundle: Bundle,
    name: str = AUTO,
    *,
    base_model: bool = False,
    reader: Callable[[], "Reader"] | None = None,
) -> Engine:
    """Load the reader of a bundle, or its base model, into an engine. Raises UserError for an unknown engine.

    `reader` gives weights that are loaded already, to an engine that can run them as they are.
    """
    return ENGINES[resolve_engine(bundle, name)](bundle, base_model=base_model, reader=reader)


def opening_note(bundle: Bundle, name: str = AUTO) -> str:
    """What to tell a person before an engine is opened that takes long to open; empty when it does not."""
    if resolve_engine(bundle, name) != "openvino":
        return ""
    from vecspeak.engines.prepared import is_prepared

    return "" if is_prepared(bundle) else "preparing the reader for this machine (once, up to half a minute)"
