"""Errors that a user can mend."""

from collections.abc import Iterable
from difflib import get_close_matches
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


def nearest_spellings(word: str, allowed: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """The allowed names that look most like the word, best first; upper and lower case do not matter.

    Names far from the word are left out, so the answer may be empty.
    """
    by_folded: dict[str, str] = {}
    for name in allowed:
        by_folded.setdefault(name.casefold(), name)
    folded = get_close_matches(word.casefold(), by_folded.keys(), n=count, cutoff=0.5)
    return tuple(by_folded[name] for name in folded)


def did_you_mean(word: str, allowed: Iterable[str], otherwise: str) -> str:
    """A hint: the nearest spellings as a question, or the other text where nothing is near."""
    nearest = nearest_spellings(word, allowed)
    return f"did you mean {' or '.join(repr(name) for name in nearest)}?" if nearest else otherwise
