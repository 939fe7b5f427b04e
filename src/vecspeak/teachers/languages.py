"""Languages: whether a text is written in the language that it should be in, by small words and by letters.

A table of function words of seven languages, no model. An unknown language is not checked.
"""

import re

_WORDS = {
    "en": "the a and of to in is that it with for as was but this not are be they his her by from an or who at no he",
    "de": "der die das und ist nicht ein eine mit für auf dem den von zu sich auch als wird sind aber wenn nur einen",
    "fr": "le la les et est un une des du dans que qui pour pas sur avec il elle ce au plus sont mais par cette",
    "es": "el la los las y es un una de en que por con para se su del no como pero más este esta al son",
    "it": "il lo la gli e è un una di che in per con non si del della sono ma anche come più dei nel questo",
    "pt": "o a os as e é um uma de em que por com para não se do da no na mas mais como são ao",
    "nl": "de het een en van is dat in niet op te met voor zijn die aan er maar om ook als bij wordt naar",
}
FUNCTION_WORDS = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_FEWEST = 8
"""Words below which a text shows no language."""
_AHEAD, _LEAST = 0.1, 0.2
"""So much larger the share of another language's words must be, and so large at least."""
_FOREIGN = 0.3
"""Share of letters that are not Latin from which a text is in none of the languages of the table."""


def is_other_language(text: str, language: str) -> bool:
    """Whether a text is plainly not in the language; always false for a language that is not in the table."""
    if language not in FUNCTION_WORDS:
        return False
    letters = [letter for letter in text if letter.isalpha()]
    if sum(ord(letter) > 0x24F for letter in letters) > _FOREIGN * max(1, len(letters)):
        return True
    words = re.findall(r"[^\W\d_]+", text.casefold())
    if len(words) < _FEWEST:
        return False
    shares = {
        name: sum(word in known for word in words) / len(words) for name, known in FUNCTION_WORDS.items()
    }
    return max(shares.values()) >= max(_LEAST, shares[language] + _AHEAD)
