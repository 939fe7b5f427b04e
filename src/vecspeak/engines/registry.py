"""The registry of engines, the only place that names them. No engine's library is imported before that engine opens.

docs/adding-an-engine.md says how to add one; tests/engines/test_contract.py runs over every engine listed here.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vecspeak.bundles import Bundle
from vecspeak.engines.base import Engine
from vecspeak.errors import UserError
from vecspeak.model.pretrained import has_gpu

if TYPE_CHECKING:
    from vecspeak.model.reader import Reader

AUTO = "auto"
"""The fastest engine that can run a bundle's reader on this machine."""
REFERENCE = "transformers"
"""The engine whose answers the others are compared with. It runs every reader, on any device."""


_SHARED_BATCH = 128
"""Answers at once where an engine shares weights that are loaded for losses too: an evaluation, so there are many."""
_REMOTE_SECONDS = 600.0
"""An answer of an engine at an address may take, the time that it waits for others there included."""
LoadedReader = Callable[[], "Reader"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEntry:
    """How one engine is opened, and when it is the one to take."""

    open: Callable[[Bundle, bool, "LoadedReader", str], Engine]
    """Loads a bundle's reader; its base model, without the LoRA, when the second argument is true. An engine that can
    use weights that somebody has loaded already takes them from the third; one that is somewhere else is found at the
    address that the fourth is."""
    unsupported_reason: Callable[[Bundle], str] = lambda bundle: ""
    """Why it cannot run a bundle's reader here, or should leave that to the next engine; empty when it can."""
    opening_note: Callable[[Bundle], str] = lambda bundle: ""
    """What to tell a person before an opening that takes long; empty when it does not."""
    example: str = ""
    """An address, for an engine that is only where a person says: its name is written before it, with a colon."""


def _open_transformers(bundle: Bundle, base_model: bool, reader: LoadedReader, address: str) -> Engine:
    from vecspeak.bundles.weights import best_device, load_reader
    from vecspeak.engines.transformers import TransformersEngine

    if reader is not None:
        return TransformersEngine(reader(), batch_size=_SHARED_BATCH)
    return TransformersEngine(load_reader(bundle, device=best_device(), base_model=base_model))


def _open_openvino(bundle: Bundle, base_model: bool, reader: LoadedReader, address: str) -> Engine:
    from vecspeak.engines.openvino import OpenVINOEngine
    from vecspeak.engines.prepared import open_prepared

    return OpenVINOEngine(open_prepared(bundle, base_model=base_model))


def _openvino_unsupported(bundle: Bundle) -> str:
    from vecspeak.engines.prepared import unsupported_reason

    return "torch is faster on a GPU" if has_gpu() else unsupported_reason(bundle)


def _openvino_note(bundle: Bundle) -> str:
    from vecspeak.engines.prepared import is_prepared

    return "" if is_prepared(bundle) else "preparing the reader for this machine (once, up to half a minute)"


def _open_vllm(bundle: Bundle, base_model: bool, reader: LoadedReader, address: str) -> Engine:
    from vecspeak.engines.front import open_front
    from vecspeak.engines.vllm import open_vllm
    from vecspeak.engines.vllm_http import VLLMServer
    from vecspeak.engines.vllm_model import served_name
    from vecspeak.llm_client import Endpoint

    if base_model:  # the server has the reader alone; baselines are made here
        return open_engine(bundle, AUTO, base_model=True, reader=reader)
    name, key = served_name(bundle), os.environ.get("VLLM_API_KEY", "").strip()
    server = VLLMServer(Endpoint(url=address, model=name, key=key, timeout=_REMOTE_SECONDS, option="engine"))
    return open_vllm(open_front(bundle), server, name)


def _vllm_note(bundle: Bundle) -> str:
    from vecspeak.engines.front import has_front

    return "" if has_front(bundle) else "preparing the reader's embeddings (once, up to half a minute)"


ENGINES: dict[str, EngineEntry] = {
    "openvino": EngineEntry(
        open=_open_openvino, unsupported_reason=_openvino_unsupported, opening_note=_openvino_note
    ),
    "transformers": EngineEntry(open=_open_transformers),
    "vllm": EngineEntry(
        open=_open_vllm,
        unsupported_reason=lambda bundle: "it is only where an address says",
        opening_note=_vllm_note,
        example="http://127.0.0.1:8000",
    ),
}
"""Engines by name; `auto` takes the first that can run a reader, so the fastest come first."""


def resolve_engine(bundle: Bundle, name: str = AUTO) -> str:
    """The engine of that name, with its address if it has one, or for `auto` the one that is fastest here.

    Raises UserError for an unknown one, and for an address where none belongs or is missing.
    """
    if name == AUTO:
        return next(known for known, entry in ENGINES.items() if not entry.unsupported_reason(bundle))
    known, colon, address = name.partition(":")
    if known not in ENGINES:
        raise UserError(
            f"unknown engine {name!r}; known are {', '.join((AUTO, *ENGINES))}", "use `engine='auto'`"
        )
    example = ENGINES[known].example
    if bool(example) != bool(address) or (colon and not address):
        form = f"{known}:{example}" if example else known
        raise UserError(
            f"the engine {known} {'needs' if example else 'takes no'} address, got {name!r}",
            f"write `engine='{form}'`",
        )
    return name


def local_engines() -> tuple[str, ...]:
    """The engines that run in this process and need no address."""
    return tuple(name for name, entry in ENGINES.items() if not entry.example)


def engine_kind(name: str) -> str:
    """The name of an engine without its address: what stands in reports.

    >>> engine_kind("vllm:http://127.0.0.1:8000")
    'vllm'
    """
    return name.partition(":")[0]


def open_engine(
    bundle: Bundle, name: str = AUTO, *, base_model: bool = False, reader: LoadedReader = None
) -> Engine:
    """Load the reader of a bundle, or its base model, into an engine.

    `reader` gives weights that are loaded already, to an engine that can run them as they are. Raises UserError for an
    unknown engine, and for one that cannot run this reader.
    """
    known, _, address = resolve_engine(bundle, name).partition(":")
    return ENGINES[known].open(bundle, base_model, reader, address)


def opening_note(bundle: Bundle, name: str = AUTO) -> str:
    """What to tell a person before an engine is opened that takes long to open; empty when it does not."""
    return ENGINES[engine_kind(resolve_engine(bundle, name))].opening_note(bundle)
