"""One form of a text for looking it up: composed and decomposed letters, and upper and lower case, are the same."""

import unicodedata
from collections.abc import Container


def folded(text: str) -> str:
    """What texts are looked up by; what is shown stays as it is written.

    >>> folded("Cafe" + chr(0x301)) == folded("CAF" + chr(0xC9))
    True
    """
    return one_form(text).casefold()


def free_name(name: str, taken: Container[str]) -> str:
    """The name with as many "_" behind it as it takes to be no other's.

    >>> free_name("id", {"id", "id_"})
    'id__'
    """
    while name in taken:
        name += "_"
    return name


def one_form(text: str) -> str:
    """The text with its letters composed (Unicode's form NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)
