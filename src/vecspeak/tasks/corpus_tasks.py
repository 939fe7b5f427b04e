"""Corpus tasks: questions about one or two vectors of texts, and the answers that those texts give.

Knows texts, wordings and rules that make a target from texts. Knows nothing of vectors' values or models.
Every target is a plain function of the texts: no teacher is needed, and nothing is in it that the texts lack.
"""

from collections.abc import Callable
from dataclasses import dataclass

from vecspeak.tasks.corpus import Text
from vecspeak.tasks.texts import Keywords, content_words, join_words, opening, split_sentences

_NOUNS = {
    "plot": "A movie",
    "facts": "A movie",
    "passage": "Part of a movie's plot",
    "pair": "A moment in a movie",
    "sentence": "A moment in a movie",
    "definition": "A word that means something",
    "example": "A phrase",
    "description": "A software package",
    "summary": "A software package",
}


@dataclass(frozen=True, slots=True)
class CorpusTask:
    """A question in several wordings, and its target from the texts; `None` where it does not fit them."""

    name: str
    wordings: tuple[str, ...]
    target: Callable[[tuple[Text, ...], Keywords], str | None]
    num_slots: int = 1
    near: bool = False
    """Whether the second text should be near the first."""


def _describe(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    return texts[0].target


def _plot(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    return texts[0].target if texts[0].kind in ("plot", "passage") else None


def _one_sentence(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    sentences = split_sentences(texts[0].target)
    return sentences[0] if len(sentences) > 1 and 30 < len(sentences[0]) < 220 else None


def _keywords(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    words = keywords.of(texts[0].text)
    return ", ".join(words) if len(words) >= 3 else None


def _about(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    words = keywords.of(texts[0].text, 3)
    return f"{_NOUNS[texts[0].kind]}, about {join_words(words)}." if len(words) == 3 else None


def _genres(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    return ", ".join(texts[0].tags[:4]) if texts[0].kind in ("plot", "facts") and texts[0].tags else None


def _compare(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    first, second = (opening(text.target, 140) for text in texts)
    return f"The first: {first} The second: {second}"


def _common(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    first, second = ({w[:6]: w for w in content_words(text.text) if w in keywords.weights} for text in texts)
    shared = sorted((w for k, w in first.items() if k in second), key=lambda w: -keywords.weights[w])
    if shared:
        return f"Both are about {join_words(tuple(shared[:3]))}."
    words = [join_words(keywords.of(text.text, 2)) for text in texts]
    return f"Little. The first is about {words[0]}; the second is about {words[1]}." if all(words) else None


CORPUS_TASKS: dict[str, CorpusTask] = {
    task.name: task
    for task in (
        CorpusTask("describe", ("Describe {x}.", "What does {x} say?", "Put {x} into words."), _describe),
        CorpusTask(
            "plot",
            (
                "Describe the movie {x}.",
                "Write the plot of the movie {x}.",
                "What happens in the movie {x}?",
            ),
            _plot,
        ),
        CorpusTask(
            "one_sentence",
            ("Describe {x} in one sentence.", "Sum up {x} in a single sentence.", "In one sentence: {x}"),
            _one_sentence,
        ),
        CorpusTask(
            "keywords", ("List the keywords of {x}.", "Which words sum up {x}?", "Keywords: {x}"), _keywords
        ),
        CorpusTask(
            "about",
            ("What is {x} about?", "What is the subject of {x}?", "What kind of thing is {x}?"),
            _about,
        ),
        CorpusTask("genres", ("List the genres of the movie {x}.", "What genre is the movie {x}?"), _genres),
        CorpusTask("compare", ("Compare {x} with {y}.", "Compare {x} and {y}."), _compare, num_slots=2),
        CorpusTask(
            "common",
            ("What do {x} and {y} have in common?", "What is shared by {x} and {y}?"),
            _common,
            num_slots=2,
            near=True,
        ),
    )
}
