"""Lexicon: what words a vector holds, each with the probability that it stands in the vector's text."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from vecspeak.errors import UserError
from vecspeak.evidence import ReadTerm, TermKind, Words
from vecspeak.lexicon.readout import LIFT, Readout, calibrated_on_own, fit_ridge, low_rank
from vecspeak.lexicon.scores import LexiconScores, score_lexicon
from vecspeak.lexicon.terms import Vocabulary, best_columns, fit_vocabulary
from vecspeak.storage import replace_file, replace_folder

_NUMBERS, _TERMS = "lexicon.safetensors", "lexicon.json"


class _Terms(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the JSON file holds."""

    format: int
    terms: list[str]
    kinds: list[TermKind]
    counts: list[int]
    num_texts: int
    forms: dict[str, str]
    origin: str
    unit: bool = True
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

    def deviations(self, vectors: np.ndarray) -> np.ndarray:
        """[N, V] float32: z of each term; the table of weights is made once."""
        return self.readout.away(vectors) @ self._table

    @cached_property
    def _table(self) -> np.ndarray:
        return self.readout.table()

    @cached_property
    def unread(self) -> frozenset[str]:
        """Terms that the scores found not to be read."""
        return frozenset(self.scores.unread) if self.scores else frozenset()

    def words(self, vector: np.ndarray, limit: int = 10, *, fragments: bool = False) -> Words:
        """The terms that say most about a [D] vector, best first: by probability over rate^0.25.

        Terms that held-out texts found not to be read are left out, and fragments of names unless they are asked for.
        A two-word term stands for its words.
        """
        return self.words_of_all(np.asarray(vector, np.float32)[None], limit, fragments=fragments)[0]

    def words_of_all(self, vectors: np.ndarray, limit: int = 10, *, fragments: bool = False) -> list[Words]:
        """The same for each of [N, D] vectors."""
        if limit < 1:
            raise UserError(f"limit must be at least 1, got {limit}", "give `limit=10`")
        probabilities = self.readout.calibrate(self.deviations(vectors))
        rank = probabilities / self.readout.rates**LIFT
        allowed = np.array([
            term not in self.unread and (fragments or kind != "fragment")
            for term, kind in zip(self.vocabulary.terms, self.vocabulary.kinds, strict=True)
        ])  # fmt: skip
        best = best_columns(np.where(allowed, rank, -1), probabilities, self.vocabulary.terms, limit)
        return [
            Words(self._term(column, probabilities[n]) for column in columns)
            for n, columns in enumerate(best)
        ]

    def _term(self, column: int, probabilities: np.ndarray) -> ReadTerm:
        return ReadTerm(
            term=self.vocabulary.terms[column],
            probability=float(probabilities[column]),
            rate=float(self.readout.rates[column]),
            kind=self.vocabulary.kinds[column],
        )

    def support(self, text: str, vector: np.ndarray) -> Words:
        """The terms that stand in a text, with the probability that the vector gives each; in no order of worth."""
        columns = sorted(self.vocabulary.columns_in(text))
        if not columns:
            return Words()
        part = self.readout.take(columns)
        probabilities = part.probabilities(np.asarray(vector, np.float32)[None])[0]
        return Words(
            ReadTerm(
                term=self.vocabulary.terms[column],
                probability=float(probabilities[place]),
                rate=float(part.rates[place]),
                kind=self.vocabulary.kinds[column],
            )
            for place, column in enumerate(columns)
        )

    def save(self, folder: str | Path) -> None:
        """Write `lexicon.safetensors` and `lexicon.json` into a folder, both or none."""
        from safetensors.numpy import save_file

        readout, vocabulary = self.readout, self.vocabulary
        with replace_folder(folder, marker=_TERMS) as beside:
            save_file(
                {
                    "center": readout.center, "weights": readout.weights, "scales": readout.scales,
                    "rates": readout.rates, "calibration": readout.calibration,
                }
                | ({} if readout.basis is None else {"basis": readout.basis}),
                beside / _NUMBERS,
            )  # fmt: skip
            found = _Terms(
                format=1, terms=list(vocabulary.terms), kinds=list(vocabulary.kinds),
                counts=vocabulary.counts.tolist(), num_texts=vocabulary.num_texts, forms=dict(vocabulary.forms),
                origin=self.origin, unit=readout.unit, scores=self.scores,
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
            readout = Readout(**numbers, unit=found.unit)
        except (
            OSError,
            msgspec.MsgspecError,
            SafetensorError,
            json.JSONDecodeError,
            KeyError,
            TypeError,
        ) as error:
            raise UserError(f"{folder} holds no whole lexicon: {error}", "fit it again") from error
        count = len(found.terms)
        width = readout.dim if readout.basis is None else readout.basis.shape[1]
        shapes = {"weights": (count, width), "scales": (count,), "rates": (count,), "calibration": (4,)}
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
    max_terms: int = 30_000, min_count: int = 20, rank: int = 256, origin: str = "", seed: int = 0,
) -> Lexicon:  # fmt: skip
    """Fit a lexicon to texts and their [N, D] vectors, and score it on the held-out ones ([N] bool).

    It is calibrated on texts that it was fitted on, each by the map of all others, so that held-out texts only judge.
    """
    known, judges = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    vocabulary = fit_vocabulary(
        [texts[row] for row in known.tolist()],
        stop_words=stop_words,
        max_terms=max_terms,
        min_count=min_count,
    )
    has = vocabulary.matrix(texts[row] for row in known.tolist())
    of_known = vectors[known]
    fit = fit_ridge(of_known, has)
    fit = replace(fit, readout=low_rank(fit.readout, rank))
    readout = calibrated_on_own(fit, of_known, has, seed=seed)
    lexicon = Lexicon(vocabulary=vocabulary, readout=readout, origin=origin)
    if not len(judges):
        return lexicon
    some = np.sort(np.random.default_rng(seed).permutation(len(known))[:20_000])
    scores = score_lexicon(
        readout, vocabulary.terms, vectors[judges], vocabulary.matrix(texts[row] for row in judges.tolist()),
        of_known[some], has[some], seed=seed,
    )  # fmt: skip
    return replace(lexicon, scores=scores)
