"""Lexicon: what words a vector holds, each with the probability that it stands in the vector's text."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from vecspeak.errors import UserError
from vecspeak.lexicon.readout import LIFT, Readout
from vecspeak.lexicon.scores import LexiconScores
from vecspeak.lexicon.terms import TermKind, Vocabulary
from vecspeak.storage import replace_file, replace_folder

_NUMBERS, _TERMS = "lexicon.safetensors", "lexicon.json"
_WHOLE = 0.5
"""Least probability of a two-word term beside that of its word: from there on it is shown in the word's place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTerm:
    """A term that is read from a vector."""

    term: str
    probability: float
    """That it stands in the vector's text, calibrated on held-out texts."""
    rate: float
    """Share of all texts that have it: what would be said of any vector."""
    kind: TermKind = "word"

    @property
    def lift(self) -> float:
        """How many times as probable as in any text."""
        return self.probability / self.rate

    def __str__(self) -> str:
        return f"{self.term} {self.probability:.2f}"


class _Terms(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the JSON file holds."""

    format: int
    terms: list[str]
    kinds: list[TermKind]
    counts: list[int]
    num_texts: int
    forms: dict[str, str]
    origin: str
    scores: LexiconScores | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Lexicon:
    """V terms and how they are read from vectors of width D."""

    vocabulary: Vocabulary
    readout: Readout
    origin: str = ""
    """What texts it was fitted on."""
    scores: LexiconScores | None = None
    """On held-out texts; None where it was not scored."""

    @cached_property
    def unread(self) -> frozenset[str]:
        """Terms that the scores found not to be read."""
        return frozenset(self.scores.unread) if self.scores else frozenset()

    def words(self, vector: np.ndarray, limit: int = 10, *, fragments: bool = False) -> list[ReadTerm]:
        """The terms that say most about a [D] vector, best first: by probability over rate^0.25.

        Terms that held-out texts found not to be read are left out, and fragments of names unless they are asked for.
        A two-word term stands for its words.
        """
        return self.words_of_all(np.asarray(vector, np.float32)[None], limit, fragments=fragments)[0]

    def words_of_all(
        self, vectors: np.ndarray, limit: int = 10, *, fragments: bool = False
    ) -> list[list[ReadTerm]]:
        """The same for each of [N, D] vectors."""
        if limit < 1:
            raise UserError(f"limit must be at least 1, got {limit}", "give `limit=10`")
        probabilities = self.readout.probabilities(vectors)
        rank = probabilities / self.readout.rates**LIFT
        allowed = np.array([
            term not in self.unread and (fragments or kind != "fragment")
            for term, kind in zip(self.vocabulary.terms, self.vocabulary.kinds, strict=True)
        ])  # fmt: skip
        rank = np.where(allowed, rank, -1)
        # Twice the limit, and some: two-word terms take the places of their words.
        most = min(2 * limit + 10, int(allowed.sum()))
        order = np.argsort(-rank, axis=1, kind="stable")[:, :most]
        return [self._distinct(row, probabilities[n], limit) for n, row in enumerate(order)]

    def _distinct(self, columns: np.ndarray, probabilities: np.ndarray, limit: int) -> list[ReadTerm]:
        terms, found = self.vocabulary.terms, list[int]()
        for column in columns.tolist():
            words = set(terms[column].split())
            rivals = [other for other in found if words & set(terms[other].split())]
            if not rivals:
                found.append(column)
            elif len(words) == 2 and all(
                set(terms[other].split()) < words and probabilities[column] >= _WHOLE * probabilities[other]
                for other in rivals
            ):
                place = found.index(rivals[0])
                found = [other for other in found if other not in rivals]
                found.insert(place, column)
        return [self._term(column, probabilities) for column in found[:limit]]

    def _term(self, column: int, probabilities: np.ndarray) -> ReadTerm:
        return ReadTerm(
            term=self.vocabulary.terms[column],
            probability=float(probabilities[column]),
            rate=float(self.readout.rates[column]),
            kind=self.vocabulary.kinds[column],
        )

    def support(self, text: str, vector: np.ndarray) -> list[ReadTerm]:
        """The terms that stand in a text, with the probability that the vector gives each; in no order of worth."""
        columns = sorted(self.vocabulary.columns_in(text))
        if not columns:
            return []
        part = self.readout.take(columns)
        probabilities = part.probabilities(np.asarray(vector, np.float32)[None])[0]
        return [
            ReadTerm(
                term=self.vocabulary.terms[column],
                probability=float(probabilities[place]),
                rate=float(part.rates[place]),
                kind=self.vocabulary.kinds[column],
            )
            for place, column in enumerate(columns)
        ]

    def save(self, folder: str | Path) -> None:
        """Write `lexicon.safetensors` and `lexicon.json` into a folder, both or none."""
        from safetensors.numpy import save_file

        readout, vocabulary = self.readout, self.vocabulary
        with replace_folder(folder, marker=_TERMS) as beside:
            save_file(
                {
                    "center": readout.center, "weights": readout.weights, "scales": readout.scales,
                    "rates": readout.rates, "calibration": readout.calibration,
                },
                beside / _NUMBERS,
            )  # fmt: skip
            found = _Terms(
                format=1, terms=list(vocabulary.terms), kinds=list(vocabulary.kinds),
                counts=vocabulary.counts.tolist(), num_texts=vocabulary.num_texts, forms=dict(vocabulary.forms),
                origin=self.origin, scores=self.scores,
            )  # fmt: skip
            with replace_file(beside / _TERMS) as path:
                path.write_bytes(msgspec.json.encode(found))

    @classmethod
    def load(cls, folder: str | Path) -> "Lexicon":
        """Read what `save` wrote. Raises UserError for what is no whole lexicon."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        folder = Path(folder)
        try:
            found = msgspec.json.decode((folder / _TERMS).read_bytes(), type=_Terms)
            numbers = load_file(folder / _NUMBERS)
            readout = Readout(**{name: numbers[name] for name in Readout.__dataclass_fields__})
        except (OSError, msgspec.MsgspecError, SafetensorError, json.JSONDecodeError, KeyError) as error:
            raise UserError(f"{folder} holds no whole lexicon: {error}", "fit it again") from error
        count = len(found.terms)
        shapes = {"weights": (count, readout.dim), "scales": (count,), "rates": (count,), "calibration": (4,)}
        for name, shape in shapes.items():
            array = getattr(readout, name)
            if array.shape != shape or not np.isfinite(array).all():
                raise UserError(
                    f"{name} of the lexicon in {folder} must be {list(shape)} finite numbers", "fit it again"
                )
        if len(found.kinds) != count or len(found.counts) != count or len(set(found.terms)) != count:
            raise UserError(f"the terms of the lexicon in {folder} do not fit each other", "fit it again")
        vocabulary = Vocabulary(
            terms=tuple(found.terms), kinds=tuple(found.kinds), counts=np.array(found.counts, np.int64),
            num_texts=found.num_texts, forms=found.forms,
        )  # fmt: skip
        return cls(vocabulary=vocabulary, readout=readout, origin=found.origin, scores=found.scores)


def fit_lexicon(
    texts: Sequence[str], vectors: np.ndarray, held_out: np.ndarray, *, stop_words: frozenset[str],
    max_terms: int = 30_000, min_count: int = 20, origin: str = "", seed: int = 0,
) -> Lexicon:  # fmt: skip
    """Fit a lexicon to texts and their [N, D] vectors, and score it on the held-out ones ([N] bool).

    Held-out texts are halved: one half calibrates, the other judges; so the judges saw neither fit.
    """
    from vecspeak.lexicon.readout import fit_readout
    from vecspeak.lexicon.scores import score_lexicon
    from vecspeak.lexicon.terms import fit_vocabulary

    known, out = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    out = np.random.default_rng(seed).permutation(out)
    calibration, judges = out[: len(out) // 2], out[len(out) // 2 :]
    vocabulary = fit_vocabulary(
        [texts[row] for row in known.tolist()],
        stop_words=stop_words,
        max_terms=max_terms,
        min_count=min_count,
    )
    known_has, calibration_has, judges_has = (
        vocabulary.matrix(texts[row] for row in rows.tolist()) for rows in (known, calibration, judges)
    )
    readout = fit_readout(vectors[known], known_has, vectors[calibration], calibration_has, seed=seed)
    some = np.random.default_rng(seed).permutation(len(known))[:20_000]
    scores = score_lexicon(
        readout,
        vocabulary.terms,
        vectors[judges],
        judges_has,
        vectors[known[some]],
        known_has[some],
        seed=seed,
    )
    return Lexicon(vocabulary=vocabulary, readout=readout, origin=origin, scores=scores)
