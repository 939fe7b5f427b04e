"""Text judges: how much of an attribute a text shows, by a phrase and an encoder, or by a classifier of real texts.

The classifier counts words (TF-IDF of single words and pairs, logistic regression): on purpose it is no encoder. In the
encoder's own space a concept and a probe of the encoder are one thing, and a judge that agrees with what moved the
point proves nothing. Both give standard deviations of real texts, so that attributes can be compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecspeak.asking import Asker
from vecspeak.bundles import SpaceEntry
from vecspeak.encoders.text import Encoder
from vecspeak.errors import UserError
from vecspeak.evaluation.cases import SHOWN, column_texts
from vecspeak.evaluation.wording import NO_ANSWER
from vecspeak.explore.trace import TextJudge
from vecspeak.points import Concept, rows_where
from vecspeak.points.queries import ColumnComparison
from vecspeak.stats import Estimate
from vecspeak.tables.columns import TEXT_COLUMN
from vecspeak.tasks.task_set import opening

FEWEST = 10
"""Real texts with, and without, an attribute that a classifier is trained on, and that it is tried on."""
FALSE_ALARMS = 0.1
"""A text shows an attribute where its score is above that of all but a tenth of the real texts without it."""
_FOLDS = 5
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhraseJudge:
    """Cosine with a phrase for the attribute minus cosine with a neutral one."""

    encoder: Encoder
    phrase: str
    neutral: str
    center: float = 0.0
    spread: float = 1.0
    """Mean and standard deviation of real texts' scores, where they are known."""

    @property
    def name(self) -> str:
        """How tables call it."""
        return f"encoder, {self.phrase!r}"

    @classmethod
    def among(cls, encoder: Encoder, phrase: str, neutral: str, real: np.ndarray) -> "PhraseJudge":
        """A judge whose unit is the spread of real texts, of which these are unit vectors [M, T]."""
        scores = cls(encoder=encoder, phrase=phrase, neutral=neutral).of_vectors(real)
        spread = max(float(scores.std()), 1e-12)
        return cls(
            encoder=encoder, phrase=phrase, neutral=neutral, center=float(scores.mean()), spread=spread
        )

    def of_vectors(self, vectors: np.ndarray) -> np.ndarray:
        """[...] scores of texts whose unit vectors [..., T] are known."""
        phrase, neutral = self.encoder.encode([self.phrase, self.neutral])
        return np.asarray((vectors @ (phrase - neutral) - self.center) / self.spread)

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """[N] of texts; an empty one is scored as no answer."""
        return self.of_vectors(self.encoder.encode([text.strip() or NO_ANSWER for text in texts]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextJudges:
    """A classifier for each of K attributes, in standard deviations of real texts' scores around their mean."""

    names: tuple[str, ...]
    own: np.ndarray
    """[N, K] scores of the real texts themselves, never by a classifier that saw the text (of five folds)."""
    thresholds: np.ndarray
    """[K] scores from which on a text shows the attribute."""
    auc: Mapping[str, Estimate]
    """Area under the ROC curve on real texts that were kept from training, with its bootstrap interval."""
    _vectorizer: Any
    _models: tuple[Any, ...]
    _centers: np.ndarray
    _spreads: np.ndarray

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """[M, K] of any texts."""
        features = self._vectorizer.transform([text.strip() or NO_ANSWER for text in texts])
        raw = np.stack([model.decision_function(features) for model in self._models], axis=1)
        return np.asarray((raw - self._centers) / self._spreads)

    def judge(self, name: str) -> "OneJudge":
        """The judge of one attribute."""
        return OneJudge(judges=self, attribute=name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OneJudge:
    """One attribute of several, as a judge of its own."""

    judges: TextJudges
    attribute: str

    @property
    def name(self) -> str:
        """How tables call it."""
        auc = self.judges.auc[self.attribute]
        return f"classifier of real texts, AUC {auc:.2f}"

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """[N] of texts."""
        return self.judges.scores(texts)[:, self.judges.names.index(self.attribute)]


def judge_of_source(entry: SpaceEntry, concept: Concept) -> OneJudge | None:
    """A classifier for a concept that was fitted from a metadata value; None where texts or values are too few for one.

    Trained on items that are not held out, as the concept was.
    """
    column, equals, value = concept.source.partition(" = ")
    names = entry.space.metadata.column_names
    if not equals or column not in names or TEXT_COLUMN not in names:
        return None
    mask = np.zeros(entry.space.num_items, dtype=bool)
    mask[rows_where(entry.space, ColumnComparison(column=column, operator="=", value=value))] = True
    texts = column_texts(entry.space, TEXT_COLUMN)
    rows = [row for row, text in enumerate(texts) if text]
    held_out = np.array([entry.space.ids[row] in entry.held_out for row in rows])
    try:
        judges = train_judges([str(texts[row]) for row in rows], {concept.name: mask[rows]}, held_out)
    except UserError:
        return None
    return judges.judge(concept.name)


def train_judges(
    texts: Sequence[str], attributes: Mapping[str, np.ndarray], held_out: np.ndarray, *, seed: int = 0
) -> TextJudges:
    """Classifiers of real texts for the attributes, masks [N] by name, trained where `held_out` [N] is false.

    Of a text the opening counts, as long as answers are. Raises UserError for an attribute that fewer than ten texts
    have, or lack, on either side.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    for name, mask in attributes.items():
        _check(name, mask, held_out)
    openings = [opening(text, SHOWN) for text in texts]
    train = np.flatnonzero(~held_out)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, max_features=60_000)
    vectorizer.fit([openings[row] for row in train])
    features = vectorizer.transform(openings)
    models, columns = [], []
    for mask in attributes.values():
        model, own = _trained(features, mask, held_out, seed)
        models.append(model)
        columns.append(own)
    raw = np.stack(columns, axis=1)
    centers, spreads = raw.mean(0), np.maximum(raw.std(0), 1e-12)
    own = (raw - centers) / spreads
    masks = np.stack(list(attributes.values()), axis=1)
    return TextJudges(
        names=tuple(attributes),
        own=own,
        thresholds=np.array(
            [np.quantile(own[train, k][~masks[train, k]], 1 - FALSE_ALARMS) for k in range(len(models))]
        ),  # fmt: skip
        auc={
            name: auc_of(own[held_out, k], masks[held_out, k], seed=seed) for k, name in enumerate(attributes)
        },
        _vectorizer=vectorizer,
        _models=tuple(models),
        _centers=centers,
        _spreads=spreads,
    )


def _trained(features: Any, mask: np.ndarray, held_out: np.ndarray, seed: int) -> tuple[Any, np.ndarray]:
    """The classifier, and the scores [N] of all texts by one that did not see them."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    model = LogisticRegression(C=10.0, class_weight="balanced", solver="liblinear", random_state=seed)
    train = ~held_out
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    own = np.empty(len(mask))
    # Scores of training texts come from folds that did not see them, so that all texts are scored alike.
    own[train] = cross_val_predict(model, features[train], mask[train], cv=folds, method="decision_function")
    model.fit(features[train], mask[train])
    own[held_out] = model.decision_function(features[held_out])
    return model, own


def _check(name: str, mask: np.ndarray, held_out: np.ndarray) -> None:
    for side, where in (("trained on", ~held_out), ("kept to try it on", held_out)):
        have, lack = int(mask[where].sum()), int((~mask[where]).sum())
        if min(have, lack) < (FEWEST if side == "trained on" else 1):
            raise UserError(
                f"of the texts {side}, {have} have {name} and {lack} do not: too few for a classifier",
                "choose an attribute that more items have",
            )


def auc_of(scores: np.ndarray, mask: np.ndarray, *, seed: int = 0) -> Estimate:
    """Area under the ROC curve; items with and without the attribute are resampled, each side by itself."""
    sides = []
    for side, sign in ((mask, 1.0), (~mask, -1.0)):
        others = np.sort(sign * scores[~side])
        found = [np.searchsorted(others, sign * scores[side], end) for end in ("left", "right")]
        sides.append((found[0] + found[1]) / (2 * others.size))
    rng = np.random.default_rng(seed)
    value = float(sides[0].mean())
    # The AUC is a mean over either side; resampling the sides apart adds their deviations from it.
    drawn = sum(rng.choice(won, (_RESAMPLES, won.size)).mean(1) - won.mean() for won in sides)
    low, high = value + np.percentile(drawn, [2.5, 97.5])
    return Estimate(value, max(float(low), 0.0), min(float(high), 1.0))


_REAL = 2000
"""Items that tell how much real texts vary."""


def judges_of_concept(asker: Asker, entry: SpaceEntry, concept: str) -> list[TextJudge]:
    """The encoder by the concept's name, and where its items are known by their metadata, a classifier of texts."""
    real = entry.alignment(entry.space.vectors[:_REAL])
    found: list[TextJudge] = [PhraseJudge.among(asker.encoder, concept.replace("_", " "), "something", real)]
    if classifier := judge_of_source(entry, entry.concepts[concept]):
        found.insert(0, classifier)
    return found


def is_doubted(judge: TextJudge) -> bool:
    """Whether a classifier may be no better than guessing on real texts."""
    return isinstance(judge, OneJudge) and judge.judges.auc[judge.attribute].low <= 0.5
