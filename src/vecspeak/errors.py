"""Errors that a user can mend. Knows nothing of the rest of the package; everything may import it."""

from importlib import import_module
from types import ModuleType


class UserError(ValueError):
    """A user's mistake: what was given and what is allowed (message), and what to type next (hint).

    The command line prints it as one line and leaves with status 2; no traceback is shown.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.message = message
        self.hint = hint


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package, or say which extra brings it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(
            f"this needs the package {module}, which is not installed",
            f"pip install 'vecspeak[{extra}]'",
        ) from error


def first_line(error: BaseException) -> str:
    """What an error of another library says first; its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
