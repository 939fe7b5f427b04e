"""Yes-or-no questions about held-out movies: how far the stated probability tells yes from no.

    python benchmarks/yes_no.py [--work work/clauses] [--questions 40] [--out docs/scores]

Half of the questions ask for a word that comes three times or more in the movie's own plot, half for such a word of
another movie's plot that its own does not have; words are drawn alike, among those of at most a fifth of all texts. The
control asks the same of another movie's vector. No language model answers. Writes OUT/yes-no.json.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from clauses import held_out
from places import out_folder
from quality import movies_bundle

from vecspeak.answerable import LIKELY
from vecspeak.api import VecSpeak
from vecspeak.demo.data import SEMANTIC
from vecspeak.lexicon.joint import TermReader
from vecspeak.stats import auc, estimate
from vecspeak.storage import write_json
from vecspeak.tasks.task_set import split_sentences

_OFTEN = 3
"""Sentences in which a word comes that a movie is about."""
_MOST = 0.2
"""Share of all texts that may have a word that is asked for."""


def _often(reader: TermReader, text: str) -> set[int]:
    """Terms that come three times or more in a text, counted by its sentences."""
    counts = Counter(column for one in split_sentences(text) for column in reader.columns_in(one))
    return {column for column, count in counts.items() if count >= _OFTEN}


def main() -> None:
    """Ask, judge, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("work/clauses"))
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    given = parser.parse_args()
    vs = VecSpeak.load(movies_bundle(given.work).folder)
    entry, rng = vs.bundle.entry(SEMANTIC), np.random.default_rng(0)
    ids = held_out(vs, SEMANTIC, given.questions // 2)
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
    found, control = np.zeros(len(asked)), np.zeros(len(asked))
    for number, (row, column, holds) in enumerate(asked):
        question = f"Is {{x}} about {reader.terms[column]}?"
        answer = vs.ask(question, x=entry.space[ids[row]], effort="quick")
        other = vs.ask(question, x=entry.space[ids[row - 2]], effort="quick")
        assert answer.direct is not None and other.direct is not None
        found[number], control[number] = answer.direct.probability or 0, other.direct.probability or 0
        print(f"{'yes' if holds else 'no':<4} {answer.text}")
    right = estimate(((found >= LIKELY) == truth).astype(float))
    assert right is not None
    result = {
        "questions": len(asked),
        "auc": auc(found, truth),
        "auc_of_another_vector": auc(control, truth),
        "accuracy": {"value": right.value, "low": right.low, "high": right.high},
        "accuracy_always_yes": float(truth.mean()),
    }
    print(result)
    write_json(given.out / "yes-no.json", result)


if __name__ == "__main__":
    main()
