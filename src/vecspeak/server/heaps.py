"""Memory of a process that serves for long: what answers took goes back to the system.

glibc gives every thread a heap of its own and keeps what was freed in it, so that each of thirty threads ends up with
what its largest answer took. Elsewhere (musl, macOS, Windows) nothing is done.
"""

import contextlib
import ctypes
import threading
import time

_M_ARENA_MAX = -8
"""Of glibc's mallopt: how many heaps threads may have."""
_HEAPS = 2
_SECONDS = 30.0


def keep_heaps_small() -> None:
    """Let threads share two heaps from now on, and twice a minute give back what is free in them."""
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_ARENA_MAX, _HEAPS)
        trim = library.malloc_trim
        threading.Thread(target=_give_back, args=(trim,), name="vecspeak-heaps", daemon=True).start()


def _give_back(trim: "ctypes._NamedFuncPointer") -> None:
    while True:
        time.sleep(_SECONDS)
        trim(0)
