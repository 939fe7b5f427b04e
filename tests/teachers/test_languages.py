"""Languages: plain texts of each are told apart, names and short texts are left alone."""

import pytest

from vecspeak.teachers.filters import FUNCTION_WORDS, is_other_language

TEXTS = {
    "en": "The shark hunts the swimmers and the sheriff is alone with his fear of the sea.",
    "de": "Der Hai jagt die Schwimmer und der Sheriff ist mit seiner Angst vor dem Meer allein.",
    "fr": "Le requin chasse les nageurs et le shérif est seul avec sa peur de la mer.",
    "es": "El tiburón caza a los nadadores y el alguacil está solo con su miedo por el mar.",
    "it": "Lo squalo caccia i nuotatori e lo sceriffo è solo con la sua paura del mare.",
    "pt": "O tubarão caça os nadadores e o xerife não está só com o medo que tem do mar.",
    "nl": "De haai jaagt op de zwemmers en de sheriff is alleen met zijn angst voor het water.",
}


@pytest.mark.parametrize("language", FUNCTION_WORDS)
def test_a_language_is_itself_and_no_other(language):
    assert not is_other_language(TEXTS[language], language)
    for other in set(TEXTS) - {language}:
        assert is_other_language(TEXTS[language], other), other


def test_a_language_without_a_table_is_not_checked():
    assert not is_other_language(TEXTS["de"], "fi")


def test_few_words_and_names_show_no_language():
    assert not is_other_language("La La Land", "en")
    assert not is_other_language(
        "Drama, comedy, romance, crime, horror, war, western, musical, mystery", "en"
    )
