"""What of a clause no vector is read for."""

import pytest

from vecspeak.evidence import ReadTerm
from vecspeak.unread import own_words, read_words

TERMS = {
    "font": ("word", 0.9),
    "band": ("word", 0.8),
    "heads": ("word", 0.4),
    "square": ("word", 0.4),
    "game": ("word", 0.9),
    "caesar": ("name", 0.9),
    "mars": ("name", 0.2),
}


def terms_in(texts):
    return [
        [
            ReadTerm(term=word, probability=TERMS[word][1], rate=0.1, kind=TERMS[word][0])
            for word in text.lower().replace(".", "").split()
            if word in TERMS
        ]
        for text in texts
    ]


@pytest.mark.parametrize(
    ("clause", "unread"),
    [
        ("A game about Caesar.", ()),
        ("A game about Mars.", ("Mars",)),
        ("Mars is a game.", ("Mars",)),
        ('A game called "Square".', ("Square",)),
        ("The band “Heads” plays.", ("Heads", "plays")),
        ('The "game" is a game.', ()),
        ("A font from http://www.openfonts.org/s/2.", ("http://www.openfonts.org/s/2",)),
        ("A font from www.x.org, a game.", ("www.x.org",)),
        ("A game in the 19th century.", ("19th", "century")),
        ("A game of the xtender.", ("xtender",)),
        ("Square-Game is a game.", ("Square-Game",)),
        ("A square-game.", ()),
    ],
)
def test_names_addresses_and_rare_words_are_not_read(clause, unread):
    assert read_words([clause], terms_in)[0].unread == unread


def test_who_calls_an_item_by_its_name_claims_nothing():
    own = own_words(["Mars: the Square"])
    assert [
        one.unread for one in read_words(["Mars is a game, ", 'called "The Square".'], terms_in, own)
    ] == [(), ()]


def test_the_least_likely_word_says_how_far_a_clause_is_from_the_vector():
    (clause,) = read_words(["A game about Mars and a font."], terms_in)
    assert clause.least_lift == 1.0
    unlikely = [[ReadTerm(term="font", probability=0.02, rate=0.1, kind="word")]]
    assert read_words(["Font."], lambda texts: unlikely * len(texts))[0].least_lift == pytest.approx(0.2)
