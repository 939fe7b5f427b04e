"""Texts: sentences, windows and keywords, by plain rules that anyone can check.

Knows English spelling, a little. Knows nothing of entities, vectors or models.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]?\s+(?=[\"'(]?[A-Z0-9])")
_ABBREVIATION = re.compile(r"\b(Mr|Mrs|Ms|Dr|St|Jr|Sr|vs|Lt|Col|Gen|Capt|Sgt|Prof|No|[A-Z])\.$")
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]{2,}")


@cache
def stop_words() -> frozenset[str]:
    """Words that carry no topic (scikit-learn's English list and a few of prose)."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    prose = "named called using used just like new old way make makes made get gets going does did one two"
    prose += " tells told says said asks takes taken begins finds comes goes wants tries film movie package"
    return frozenset(ENGLISH_STOP_WORDS) | frozenset(prose.split())


def split_sentences(text: str) -> list[str]:
    """Sentences in order; a split after a title or an initial (`Dr.`, `J.`) is undone."""
    sentences: list[str] = []
    for part in _SENTENCE_END.split(text):
        if sentences and _ABBREVIATION.search(sentences[-1]):
            sentences[-1] += " " + part
        elif part.strip():
            sentences.append(part.strip())
    return sentences


def opening(text: str, max_chars: int) -> str:
    """Whole sentences from the start while they fit in `max_chars`; a long first one is cut at a word."""
    kept = ""
    for sentence in split_sentences(text):
        longer = f"{kept} {sentence}".strip()
        if len(longer) > max_chars:
            break
        kept = longer
    return kept or (text if len(text) <= max_chars else text[:max_chars].rsplit(" ", 1)[0] + " ...")


def content_words(text: str) -> list[str]:
    """Lower-case words that are not stop words, in order, possessives dropped."""
    words = (re.sub(r"'s?$", "", word.casefold()) for word in _WORD.findall(text))
    return [word for word in words if len(word) > 2 and word not in stop_words()]


def join_words(words: tuple[str, ...]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


@dataclass(frozen=True, slots=True)
class Keywords:
    """Inverse document frequencies of a corpus, and the keywords of a text by tf-idf."""

    weights: Mapping[str, float]

    @classmethod
    def fit(cls, texts: Iterable[str], min_count: int = 5) -> "Keywords":
        """Count in how many texts each word stands; words in fewer than `min_count` texts are dropped."""
        counts: Counter[str] = Counter()
        total = 0
        for text in texts:
            counts.update(set(content_words(text)))
            total += 1
        return cls({w: math.log((1 + total) / (1 + n)) for w, n in counts.items() if n >= min_count})

    def of(self, text: str, limit: int = 5) -> tuple[str, ...]:
        """The `limit` words of highest tf-idf, in the order in which the text has them."""
        counts = Counter(word for word in content_words(text) if word in self.weights)
        ranked = sorted(counts, key=lambda w: -math.sqrt(counts[w]) * self.weights[w])[:limit]
        return tuple(word for word in counts if word in ranked)
