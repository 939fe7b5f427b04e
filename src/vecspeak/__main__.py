"""`python -m vecspeak`, and the command `vecspeak`: from its first line on, Ctrl-C ends it with one line alone."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # `signal` itself takes 2 ms to import, for its enums
import os
import sys

STOPPED = 130
"""Status of a command that was stopped."""


def _stop(*_: object) -> None:
    """End at once: before the imports are done, and after the command is, nothing is being written."""
    os.write(2, b"vecspeak: stopped\n")
    os._exit(STOPPED)


def main() -> None:
    """Run the command line; where Ctrl-C is ignored, as in the background, it stays so."""
    before = _signal.getsignal(_signal.SIGINT)
    ours = before is _signal.default_int_handler
    if ours:
        _signal.signal(_signal.SIGINT, _stop)
    from vecspeak.cli import main as run  # a tenth of a second, which a traceback would name

    try:
        if ours:
            _signal.signal(_signal.SIGINT, before)
        run()
    except KeyboardInterrupt:
        _stop()
    except SystemExit as error:
        if error.code == STOPPED:
            _leave()  # Python remembers a Ctrl-C that somebody caught, and would end by the signal
        raise
    finally:
        if ours:
            _signal.signal(_signal.SIGINT, _stop)  # Python's own end takes as long


def _leave() -> None:
    """What Python does at its end, then status 130."""
    import atexit

    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(STOPPED)


if __name__ == "__main__":
    main()
