"""Fitting of a space's lexicon: its terms and values, their read-out, and how the sources are joined and judged."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vecspeak.lexicon.joint import (
    DIRECT,
    NEAREST,
    NEIGHBORS,
    SOURCES,
    VALUES,
    WORDS,
    KnownItems,
    SpaceLexicon,
    TermReader,
    joined_weights,
    log_loss,
    pair_features,
)
from vecspeak.lexicon.lexicon import Lexicon
from vecspeak.lexicon.readout import RidgeFit, fit_ridge, low_rank, unit_rows
from vecspeak.lexicon.scores import score_systems
from vecspeak.lexicon.terms import empty_vocabulary, fit_vocabulary

FEWEST_DIRECT = 200
"""Items from which on a space has a read-out of its own."""
FEWEST_JOINED = 30
"""Items from which on sources are joined; with fewer the encoder's lexicon is read as it is."""
FEWEST_CALIBRATING = 100
"""Held-out items from which on sources are joined on half of them; with fewer on known ones, each left out."""
_JOINED_ROWS, _JUDGED_ROWS = 1500, 1000
"""Most items that the sources are joined on, and that judge."""
_RANK = 256
"""Most directions that a read-out is along."""
_BLOCK = 128
"""Rows of all terms in memory at a time."""
_ABSENT = 0.02
"""Share of the pairs of item and absent term that the sources are joined on; each stands for 50."""
_GAIN = 1e-3
"""Share of the log loss that a source must gain, on items that it was not joined on, to be one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LexiconItems:
    """N items with all that a lexicon is fitted to or judged by."""

    vectors: np.ndarray
    """[N, D]"""
    texts: Sequence[str]
    """N texts; empty where the space has none."""
    values: Any
    """[N, W] sparse: which values each item has."""
    mapped: np.ndarray | None
    """[N, T] vectors as the reader reads them, none by a map that saw its own text; None without a map."""

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: np.ndarray) -> "LexiconItems":
        """Some of them."""
        return LexiconItems(
            vectors=self.vectors[rows],
            texts=[self.texts[row] for row in rows.tolist()] if self.texts else [],
            values=self.values[rows],
            mapped=None if self.mapped is None else self.mapped[rows],
        )


def fit_space_lexicon(
    known: LexiconItems, judges: LexiconItems | None, values: Sequence[tuple[str, str]],
    shipped: Lexicon | None, *, stop_words: frozenset[str], max_terms: int = 30_000, origin: str = "", seed: int = 0,
) -> SpaceLexicon | None:  # fmt: skip
    """A lexicon of the known items, scored on the judges; None where there is nothing to read or too little."""
    if len(known) < FEWEST_JOINED or not (known.texts or values):
        return None
    if known.texts:
        fewest = min(20, max(3, len(known) // 400))
        vocabulary = fit_vocabulary(known.texts, stop_words=stop_words, max_terms=max_terms, min_count=fewest)
    else:
        vocabulary = empty_vocabulary()
    terms = _sparse_beside(vocabulary.matrix(known.texts or [""] * len(known)), known.values)
    ridge = _own_ridge(known.vectors, terms)
    first = SpaceLexicon(
        vocabulary=vocabulary, values=tuple(values), readout=ridge.readout if ridge else None,
        rates=(np.asarray(terms.sum(0)).ravel() + 0.5) / (len(known) + 1),
        rare=_rare(known.texts, shipped, vocabulary) if shipped else {}, origin=origin,
    )  # fmt: skip
    # Join on items that nothing was fitted on: the encoder's lexicon may have been fitted on the known ones.
    calibration = None
    if judges is not None and len(judges) >= 2 * FEWEST_CALIBRATING:
        order = np.random.default_rng(seed).permutation(len(judges))
        half = len(judges) // 2
        calibration, judges = judges.take(np.sort(order[:half])), judges.take(np.sort(order[half:]))
    lexicon = replace(first, weights=_joined(first, known, calibration, terms, shipped, ridge, seed))
    if judges is None or not len(judges):
        return lexicon
    return replace(lexicon, scores=_scores(lexicon, known, judges, shipped, seed))


def known_items(items: LexiconItems) -> KnownItems:
    """What the nearest known items are looked up in."""
    rows = [part.indices.tolist() for part in items.values] if items.values.shape[1] else []
    return KnownItems(vectors=unit_rows(items.vectors), texts=items.texts, value_rows=rows)


def _own_ridge(vectors: np.ndarray, terms: Any) -> RidgeFit | None:
    if len(vectors) < FEWEST_DIRECT or not terms.shape[1]:
        return None
    fit = fit_ridge(vectors, terms, units=(True, False))
    return replace(fit, readout=low_rank(fit.readout, _RANK))


def _sparse_beside(first: Any, second: Any) -> Any:
    from scipy.sparse import hstack

    return hstack([first, second], format="csr")


def _rare(texts: Sequence[str], shipped: Lexicon, own: Any) -> dict[str, int]:
    """How many texts have each of the encoder's terms that are none of the own."""
    counts = Counter(column for text in texts for column in shipped.vocabulary.columns_in(text))
    terms = shipped.vocabulary.terms
    return {terms[column]: count for column, count in counts.items() if terms[column] not in own.place}


def _joined(
    lexicon: SpaceLexicon, known: LexiconItems, calibration: LexiconItems | None, terms: Any,
    shipped: Lexicon | None, ridge: RidgeFit | None, seed: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Weights of the words and of the values, with the sources that gain on rows that they were not joined on."""
    rng = np.random.default_rng(seed)
    reader = TermReader(lexicon, shipped, known_items(known))
    items = known if calibration is None else calibration
    has_terms = reader if calibration is None else TermReader(lexicon, shipped, known_items(calibration))
    rows = np.sort(rng.permutation(len(items))[:_JOINED_ROWS])
    features: dict[str, list[np.ndarray]] = {WORDS: [], VALUES: []}
    answers: dict[str, list[np.ndarray]] = {WORDS: [], VALUES: []}
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK]
        direct = np.zeros((len(part), len(reader)), np.float32)
        if ridge is not None and calibration is None:
            direct[:, : reader.num_own] = np.arcsinh(ridge.left_out(known.vectors, terms, part))
        elif ridge is not None:
            direct[:, : reader.num_own] = reader.direct(items.vectors[part])
        mapped = items.mapped[part] if items.mapped is not None else None
        encoder = reader.encoder(mapped) if mapped is not None else np.zeros_like(direct)
        near = reader.nearest(items.vectors[part])
        has = np.zeros(direct.shape, bool)
        for place, row in enumerate(part.tolist()):
            has[place, has_terms.columns_of(row)] = True
        for group in features:
            if group == WORDS and not known.texts:
                continue
            columns = reader.group(group)
            drawn = has[:, columns] | (rng.random((len(part), len(columns))) < _share(group))
            features[group].append(
                pair_features(reader.rates, reader.num_own, columns, (direct, encoder, near), drawn)
            )
            answers[group].append(has[:, columns][drawn])
    found = {}
    for group, parts in features.items():
        if parts and (y := np.concatenate(answers[group])).any():
            x = np.concatenate(parts)
            folds = np.concatenate([np.full(len(one), number % 2) for number, one in enumerate(parts)])
            found[group] = _selected(x, y, np.where(y, 1.0, 1 / _share(group)), folds)
    return found


def _share(group: str) -> float:
    return _ABSENT if group == WORDS else 1.0


def _selected(x: np.ndarray, y: np.ndarray, weights: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Weights of the sources of which each lowers the log loss of the half that it was not joined on."""

    def loss(sources: Sequence[str]) -> float:
        parts = [folds == number for number in np.unique(folds)]
        if len(parts) < 2:
            return log_loss(x, y, weights, joined_weights(x, y, weights, sources))
        return float(np.mean([
            log_loss(x[out], y[out], weights[out], joined_weights(x[~out], y[~out], weights[~out], sources))
            for out in parts
        ]))  # fmt: skip

    sources = [name for n, name in enumerate(SOURCES) if x[:, 3 + 2 * n].any()]
    best = loss(sources)
    for name in list(sources):
        fewer = [one for one in sources if one != name]
        if (without := loss(fewer)) < best * (1 + _GAIN):
            sources, best = fewer, min(best, without)
    return joined_weights(x, y, weights, sources)


def _scores(
    lexicon: SpaceLexicon, known: LexiconItems, judges: LexiconItems, shipped: Lexicon | None, seed: int
) -> Any:
    reader = TermReader(lexicon, shipped, known_items(known))
    rows = np.sort(np.random.default_rng(seed).permutation(len(judges))[:_JUDGED_ROWS])
    own = known_items(judges)
    truth = TermReader(lexicon, shipped, own)
    has = np.zeros((len(rows), len(reader)), bool)
    for place, row in enumerate(rows.tolist()):
        has[place, truth.columns_of(row)] = True
    probabilities = np.concatenate([
        reader.probabilities(
            judges.vectors[part], judges.mapped[part] if judges.mapped is not None else np.zeros((len(part), 0))
        )
        for part in (rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK))
    ])  # fmt: skip
    systems = {}
    if lexicon.readout is not None:
        alone = np.zeros_like(probabilities)
        alone[:, : reader.num_own] = reader.direct(judges.vectors[rows]) * np.sqrt(
            reader.rates[: reader.num_own]
        )
        systems[DIRECT] = alone
    near = np.zeros_like(probabilities)
    for place, items in enumerate(reader.neighbors(judges.vectors[rows])):
        for item in items:
            near[place, reader.columns_of(item)] += 1
    systems[NEAREST] = near / NEIGHBORS + 0.01 * reader.rates
    return score_systems(
        reader.terms, probabilities, reader.rank(probabilities), has, reader.rates, systems, seed=seed
    )
