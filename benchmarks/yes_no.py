"""Yes-or-no questions about held-out movies: how far the stated probability tells yes from no.

    python benchmarks/yes_no.py [--work work/clauses] [--questions 200] [--movies 300] [--out docs/scores]

Two kinds of questions. Even: half of them ask for a word that comes three times or more in the movie's own plot, half
for such a word of another movie's plot that its own does not have; words are drawn alike, among those of at most a
fifth of all texts. The control asks the same of another movie's vector. Any: every word that 0.2% to 20% of texts have,
of every held-out movie, so that yes is as rare as it is; for each verdict, how many words have it, what probability was
stated and in how many plots the word stands. No language model answers. Writes OUT/yes-no.json.
"""

import argparse
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from clauses import held_out
from places import out_folder
from quality import movies_bundle

from vecspeak.answerable import Verdict, verdict
from vecspeak.api import VecSpeak
from vecspeak.demo.data import SEMANTIC
from vecspeak.lexicon.joint import TermReader
from vecspeak.lexicon.readout import logit
from vecspeak.stats import auc, estimate
from vecspeak.storage import write_json
from vecspeak.tasks.task_set import split_sentences

_OFTEN = 3
"""Sentences in which a word comes that a movie is about."""
_LEAST, _MOST = 0.002, 0.2
"""Shares of all texts that may have a word that is asked for."""
_VERDICTS: tuple[Verdict, ...] = ("yes", "likely", "perhaps", "rather not", "unclear", "no")


def _often(reader: TermReader, text: str) -> set[int]:
    """Terms that come three times or more in a text, counted by its sentences."""
    counts = Counter(column for one in split_sentences(text) for column in reader.columns_in(one))
    return {column for column, count in counts.items() if count >= _OFTEN}


def main() -> None:
    """Ask, judge, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("work/clauses"))
    parser.add_argument("--questions", type=int, default=200, help="Even ones, at most.")
    parser.add_argument("--movies", type=int, default=300, help="Of which any word is asked.")
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    given = parser.parse_args()
    vs = VecSpeak.load(movies_bundle(given.work).folder)
    result = {**even(vs, given.questions), "any": any_word(vs, given.movies)}
    print(result)
    write_json(given.out / "yes-no.json", result)


def even(vs: VecSpeak, questions: int) -> dict[str, Any]:
    """How far the probability tells yes from no where they are as many."""
    entry, rng = vs.bundle.entry(SEMANTIC), np.random.default_rng(0)
    ids = held_out(vs, SEMANTIC, questions // 2)
    reader = entry.term_reader
    usable = {
        column
        for column, term in enumerate(reader.terms)
        if reader.kinds[column] == "word" and " " not in term and reader.rates[column] <= _MOST
    }
    texts = [entry.space.text_of(i) or "" for i in ids]
    often = [sorted(_often(reader, text) & usable) for text in texts]
    asked = []
    for row, own in enumerate(often):
        others = [c for c in often[(row + 1) % len(often)] if c not in reader.columns_in(texts[row])]
        if own and others:
            asked += [(row, int(rng.choice(own)), True), (row, int(rng.choice(others)), False)]
    truth = np.array([holds for _, _, holds in asked])
    found, control = np.zeros((2, len(asked))), np.zeros(len(asked))
    for number, (row, column, holds) in enumerate(asked):
        question = f"Is {{x}} about {reader.terms[column]}?"
        answer = vs.ask(question, x=entry.space[ids[row]], effort="quick")
        other = vs.ask(question, x=entry.space[ids[row - 2]], effort="quick")
        assert answer.direct is not None and other.direct is not None
        found[:, number] = answer.direct.raised or 0, answer.direct.probability or 0
        control[number] = other.direct.raised or 0
        print(f"{'yes' if holds else 'no':<4} {answer.text}")
    return {
        "questions": len(asked),
        "auc": auc(found[0], truth),
        "auc_of_the_probability": auc(found[1], truth),
        "auc_of_another_vector": auc(control, truth),
    }


def any_word(vs: VecSpeak, movies: int) -> dict[str, Any]:
    """For each verdict how many questions get it, the probability that was stated, and how often it is yes."""
    entry = vs.bundle.entry(SEMANTIC)
    reader, ids = entry.term_reader, held_out(vs, SEMANTIC, movies)
    columns = np.array(
        [
            column
            for column, (kind, rate) in enumerate(zip(reader.kinds, reader.rates, strict=True))
            if kind == "word" and _LEAST <= rate <= _MOST
        ]
    )
    vectors = np.stack([entry.space[i].vector for i in ids])
    stated = reader.probabilities(vectors, entry.alignment(vectors))[:, columns]
    other = np.roll(stated, 1, axis=0)
    truth = np.zeros((len(ids), len(reader.terms)), dtype=bool)
    for row, i in enumerate(ids):
        truth[row, list(reader.columns_in(entry.space.text_of(i) or ""))] = True
    truth = truth[:, columns]
    rates = np.asarray(reader.rates)[columns]
    return {
        "movies": len(ids),
        "words": len(columns),
        "own": _by_verdict(stated, rates, truth),
        "another": _by_verdict(other, rates, truth),
    }


def _by_verdict(stated: np.ndarray, rates: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    raised = np.exp(logit(stated) - logit(rates))
    verdicts = np.vectorize(verdict, otypes=[object])(stated, raised)
    found = {}
    for name in _VERDICTS:
        has = verdicts == name
        yes = estimate((truth & has).sum(1) / np.maximum(has.sum(1), 1), has.sum(1))
        found[name] = {
            "questions": int(has.sum()),
            "stated": float(stated[has].mean()),
            "yes": asdict(yes),
        }
    return found


if __name__ == "__main__":
    main()
