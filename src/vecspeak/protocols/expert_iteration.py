"""Expert iteration: what a search finds about training texts, and the texts support, is kept as targets.

The texts are those that training may see, so nothing of a held-out entity is asked about. The reader's encoder and
the words of the true text choose; a second encoder takes no part, so that it can still judge what is learned.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vecspeak.bundles.lexicons import shipped_lexicon
from vecspeak.console import progress_bar
from vecspeak.encoders.text import Encoder
from vecspeak.engines import Engine, Sampling
from vecspeak.errors import UserError, check_whole
from vecspeak.lexicon.lexicon import Lexicon
from vecspeak.model.prompt import PromptTemplate
from vecspeak.model.words import NUM_WORDS, with_listed
from vecspeak.searching import Effort, find_answers
from vecspeak.storage import Journal, digest, recover_all
from vecspeak.tasks.corpus import CORPUS_TASKS
from vecspeak.tasks.prose import ends_sentence, has_loop
from vecspeak.training.dataset import prepare, read_words
from vecspeak.training.found_answers import FoundTarget, digest_of, write_found
from vecspeak.training.recipe import Recipe

_BLOCK = 64
"""Texts that are asked about together; what a kill loses."""
_PLOTS = ("plot", "passage")
NOTHING, CIRCLES, FAR, WRONG = (
    "nothing was said",
    "goes in circles",
    "far from the text",
    "words are not in the text",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRule:
    """Which answers become targets."""

    least_cosine: float = 0.5
    """Of answer and text, by the reader's encoder."""
    least_precision: float = 0.3
    """Share of the answer's content words that stand in the text."""
    precision_weight: float = 0.1
    """What the share is worth beside the cosine when the best of an answer and its drafts is taken."""


@dataclass(slots=True, kw_only=True)
class Iteration:
    """What came of a run."""

    kept: list[FoundTarget] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """How many texts gave no target, by reason."""

    @property
    def asked(self) -> int:
        """Texts that were asked about."""
        return len(self.kept) + self.left_out.total()

    def note(self, found: FoundTarget | str) -> None:
        """Count a target, or the reason why there is none."""
        if isinstance(found, str):
            self.left_out[found] += 1
        else:
            self.kept.append(found)


def iterate(
    recipe: Recipe, engine: Engine, encoder: Encoder, folder: Path, out: Path, *, count: int,
    weights: str, effort: Effort = "normal", rule: KeepRule | None = None, max_hours: float = 24.0,
    max_new_tokens: int = 64,
) -> Iteration:  # fmt: skip
    """Ask about `count` training texts of the recipe, drawn evenly, and write to `out` what is worth learning.

    Replies are kept in the folder as they come, those of each reader (`weights` is its digest) apart: a run that was
    stopped goes on. `out` is written when the run ends, at `max_hours` at the latest. Raises UserError for a count
    below 1 and an encoder without a lexicon.
    """
    check_whole("count", count, 1)
    lexicon = shipped_lexicon(encoder.name)
    if lexicon is None:
        raise UserError(
            f"there is no lexicon of {encoder.name}", "take a recipe of the encoder all-minilm-l6-v2"
        )
    recover_all(folder)  # what kills left under the names of other recipes
    searcher = Searcher(recipe, engine, encoder, folder, lexicon, effort, max_new_tokens)
    rows = np.random.default_rng([recipe.seed, 9]).permutation(len(searcher.data.texts))[:count].tolist()
    key = digest([weights, searcher.sampling.max_new_tokens, searcher.sampling.seed, NUM_WORDS])[:12]
    journal = Journal(folder / f"found-{effort}-{key}.jsonl")
    known = {(one["row"], one["text"]): one["texts"] for one in journal.rows()}
    missing = [row for row in rows if searcher.key(row) not in known]
    end = time.monotonic() + 3600 * max_hours
    with progress_bar(
        total=len(rows), initial=len(rows) - len(missing), desc="searching", unit="text", shown=True
    ) as bar:
        for start in range(0, len(missing), _BLOCK):
            if time.monotonic() >= end:
                break
            block = missing[start : start + _BLOCK]
            replies = dict(zip(block, searcher.search(block), strict=True))
            journal.append({"row": row, "text": searcher.key(row)[1], "texts": replies[row]} for row in block)
            known |= {searcher.key(row): texts for row, texts in replies.items()}
            bar.update(len(block))
    made, rule = Iteration(), rule or KeepRule()
    for row in rows:
        if (texts := known.get(searcher.key(row))) is not None:
            made.note(searcher.best(row, texts, rule))
    write_found(out, made.kept)
    return made


class Searcher:
    """Asks about training texts, and holds what comes against them."""

    def __init__(
        self, recipe: Recipe, engine: Engine, encoder: Encoder, folder: Path, lexicon: Lexicon, effort: Effort,
        max_new_tokens: int,
    ) -> None:  # fmt: skip
        self.data = prepare(recipe, encoder, folder)
        self.words = read_words(self.data, encoder.name, folder, recipe)
        self.engine, self.encoder, self.lexicon, self.effort = engine, encoder, lexicon, effort
        self.sampling = Sampling(max_new_tokens=max_new_tokens, seed=recipe.seed)

    def key(self, row: int) -> tuple[int, str]:
        """What a reply is known by."""
        return row, digest_of(self.data.texts[row])

    def question(self, row: int) -> str:
        """How a text is asked about: as a movie where it is one's plot."""
        wordings = CORPUS_TASKS["plot" if self.data.texts[row].kind in _PLOTS else "describe"].wordings
        return wordings[row % len(wordings)]

    def search(self, rows: Sequence[int]) -> list[list[str]]:
        """The answer about each text, and the other drafts."""
        vectors = [np.asarray(self.data.vectors[row])[None] for row in rows]
        prompts = [
            PromptTemplate(with_listed(self.question(row), self.words[row][:NUM_WORDS])).fill(
                {"x": vector[0]}
            )
            for row, vector in zip(rows, vectors, strict=True)
        ]
        found: list[list[str]] = [[] for _ in rows]
        for number, one in find_answers(
            self.engine, self.encoder, prompts, vectors, effort=self.effort, sampling=self.sampling,
            terms_of=lambda number, texts: [self.lexicon.support(text, vectors[number][0]) for text in texts],
        ):  # fmt: skip
            found[number] = [one.text, *one.drafts]
        return found

    def best(self, row: int, texts: Sequence[str], rule: KeepRule) -> FoundTarget | str:
        """The text that is worth learning, or why none is."""
        whole = [text for text in dict.fromkeys(texts) if text.strip()]
        straight = [text for text in whole if not has_loop(text) and ends_sentence(text)]
        if not straight:
            return CIRCLES if whole else NOTHING
        columns = self.lexicon.vocabulary.columns_in
        true = columns(self.data.texts[row].text)
        said = [columns(text) for text in straight]
        precision = np.array([len(one & true) / max(len(one), 1) for one in said])
        cosine = self.encoder.encode(straight) @ np.asarray(self.data.vectors[row])
        at = int((cosine + rule.precision_weight * precision).argmax())
        if precision[at] < rule.least_precision:
            return WRONG
        if cosine[at] < rule.least_cosine:
            return FAR
        text = self.data.texts[row]
        return FoundTarget(
            source=text.source, kind=text.kind, key=text.key, text=digest_of(text), question=self.question(row),
            target=straight[at], cosine=round(float(cosine[at]), 3), precision=round(float(precision[at]), 3),
        )  # fmt: skip
