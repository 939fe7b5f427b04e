"""Searching for an answer: from one greedy row to many that are grown, as much as the effort allows.

All that answers goes through here (asking, exploring, evaluating), so that what is measured is what is shown.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vecspeak.encoders.text import Encoder
from vecspeak.engines import Engine, Sampling
from vecspeak.engines.base import TokenNats
from vecspeak.engines.growing import Growth, search
from vecspeak.engines.token_log import OnPiece, logged_answers
from vecspeak.errors import UserError, check_one_of
from vecspeak.evidence import ReadTerm
from vecspeak.model.alignment import unit
from vecspeak.model.prompt import Beginning, Prompt, whole_answer
from vecspeak.model.words import copies_words, words_given
from vecspeak.tasks.prose import ends_sentence, openings

Effort = Literal["quick", "normal", "high"]
EFFORTS: tuple[Effort, ...] = ("quick", "normal", "high")
AskedEffort = Literal["plain", "quick", "normal", "high"]
"""Plain is no search: the likeliest tokens as they come, or a draw."""
_GROWTH = {
    "normal": Growth(rows=8, beams=2, nats_weight=0.03),
    "high": Growth(rows=16, beams=4, nats_weight=0.03),
}
TermsOf = Callable[[int, Sequence[str]], Sequence[Sequence[ReadTerm]]]
"""The terms that stand in each of some texts, with their probabilities of the prompt of that number."""
SUPPORT = 0.02
"""Cosine that a nat of the mean log odds of a text's terms is worth: more of what is said is then true, at no cosine
that the true text or another encoder would see (experiments/LOG.md, "Support by the lexicon")."""
_MOST_ODDS = 4.0
_COPIED = 1.0
"""Cosine that a text loses which says again what the question says of the words: its sentence, or a list of them."""
_FIRST_ENTRY = "1."
"""How a list begins."""
_LAST_SENTENCE = 24
"""Tokens before the longest answer's end from which on only whole sentences are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAnswer:
    """What a search came to."""

    text: str
    drafts: tuple[str, ...] = ()
    """Other texts that were met, best first; none where one row was read."""
    writer: str = ""
    """Name of the language model that wrote it from evidence; empty for the reader."""
    nats: TokenNats | None = None
    """What its tokens cost as they were drawn after its own prompt; None where that is not known."""
    is_cut: bool = False
    """Whether the room ended it, where the engine counts what it draws."""


def checked_effort(
    effort: AskedEffort | None, temperature: float = 0.0, best_of: int = 1, *, otherwise: Effort = "normal"
) -> Effort | None:
    """The effort of an answer, `otherwise` where none is asked for; None is a plain draw.

    A temperature, or several draws, asks for one. Raises UserError where a search is asked for beside them.
    """
    check_one_of("effort", effort, (None, "plain", *EFFORTS))
    is_drawn = temperature > 0 or best_of > 1
    if effort in EFFORTS and is_drawn:
        given = f"best_of={best_of}" if best_of > 1 else f"temperature={temperature:g}"
        raise UserError(f"`effort` searches, and `{given}` draws without a search", "leave out one of them")
    if effort is None:
        return None if is_drawn else otherwise
    return None if effort == "plain" else effort


def growth_of(effort: Effort, sampling: Sampling) -> Growth | None:
    """How answers of an effort grow; None for the quick one, which is a single row."""
    check_one_of("effort", effort, EFFORTS)
    if effort == "quick":
        return None
    return replace(_GROWTH[effort], max_new_tokens=sampling.max_new_tokens, seed=sampling.seed)


def find_answers(
    engine: Engine,
    encoder: Encoder,
    prompts: Sequence[Prompt],
    vectors: Sequence[np.ndarray],
    *,
    effort: Effort = "normal",
    sampling: Sampling | None = None,
    terms_of: TermsOf | None = None,
    on_piece: OnPiece | None = None,
) -> Iterator[tuple[int, FoundAnswer]]:
    """Yield the number of each prompt with its answer, as searches end.

    `on_piece` gets the pieces of answers that are read in one row, as they come, where the engine shows them.

    `vectors` holds for each prompt the [S, T] vectors that it reads: a text is worth its mean cosine with them, its
    round trip, and with `terms_of` what the lexicon holds of its words. What chose an answer must not judge it: that is
    for a second encoder and the true text. A beginning that a prompt forces is part of its answer, and of no text's
    worth: all have it.
    """
    sampling = sampling or Sampling()
    growth = growth_of(effort, sampling)
    at_once = [number for number, prompt in enumerate(prompts) if growth is None or begins_list(prompt)]
    if at_once:
        some = [prompts[number] for number in at_once]
        for place, one in _read_answers(engine, some, sampling.penalized, at_once, on_piece):
            yield at_once[place], one
    if growth and len(at_once) < len(prompts):
        grown = sorted(set(range(len(prompts))) - set(at_once))
        some = [prompts[number] for number in grown]
        read = [vectors[number] for number in grown]
        terms = (lambda place, texts: terms_of(grown[place], texts)) if terms_of else None
        for place, found in _grown_answers(engine, encoder, some, read, growth, terms):
            yield grown[place], found


def _read_answers(
    engine: Engine,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    numbers: Sequence[int],
    on_piece: OnPiece | None,
) -> Iterator[tuple[int, FoundAnswer]]:
    """Yield the place of each prompt with an answer of one row; `numbers` are those that `on_piece` knows them by."""
    gates = [SentenceGate(sampling.max_new_tokens) for _ in prompts]

    def show(place: int, piece: str) -> bool:
        is_first = not gates[place].text
        shown = gates[place].push(piece)
        if on_piece is None or not shown:
            return True
        return on_piece(numbers[place], whole_answer(prompts[place], shown.lstrip()) if is_first else shown)

    for place, text, log in logged_answers(engine, prompts, sampling, show):
        is_cut = log is not None and log.fills(place, sampling.max_new_tokens)
        if log:
            rest = gates[place].end(is_full=is_cut)
            if on_piece and rest:
                on_piece(numbers[place], rest)
            text = gates[place].text.strip()
        elif not ends_sentence(text):
            text = (openings(text) or [text])[-1]
        whole = whole_answer(prompts[place], text)
        yield place, FoundAnswer(text=whole, nats=log.nats(place, whole) if log else None, is_cut=is_cut)


def begins_list(prompt: Prompt) -> bool:
    """Whether a prompt's answer is a list, which is not grown: its best opening would be a part of it."""
    return isinstance(prompt[-1], Beginning) and prompt[-1] == _FIRST_ENTRY


def _grown_answers(
    engine: Engine, encoder: Encoder, prompts: Sequence[Prompt], vectors: Sequence[np.ndarray], growth: Growth,
    terms_of: TermsOf | None,
) -> Iterator[tuple[int, FoundAnswer]]:  # fmt: skip
    given = [words_given(prompt) for prompt in prompts]
    targets_NT = np.stack([unit(read).mean(0) for read in vectors])

    def worth(numbers: Sequence[int], texts: Sequence[str]) -> np.ndarray:
        terms: list[Sequence[ReadTerm]] = [()] * len(texts)
        for number in dict.fromkeys(numbers) if terms_of else ():
            own = [row for row, one in enumerate(numbers) if one == number]
            for row, some in zip(own, terms_of(number, [texts[row] for row in own]), strict=True):  # type: ignore[misc]
                terms[row] = some
        copied = [copies_words(text, given[number]) for number, text in zip(numbers, texts, strict=True)]
        return worth_of(encoder, texts, targets_NT[list(numbers)], terms) - _COPIED * np.array(copied)

    for number, grown in search(engine, prompts, growth, worth):
        text, *drafts = (whole_answer(prompts[number], one) for one in (grown.text, *grown.drafts))
        yield number, FoundAnswer(text=text, drafts=tuple(drafts))


def worth_of(
    encoder: Encoder, texts: Sequence[str], targets: np.ndarray, terms: Sequence[Sequence[ReadTerm]]
) -> np.ndarray:
    """[S] how far each text fits what was read: its cosine with [S, T] or [T] targets, and what its terms are worth."""
    cosines: np.ndarray = (unit(encoder.encode(list(texts))) * targets).sum(1)
    return cosines + SUPPORT * support(terms)


def support(terms: Sequence[Sequence[ReadTerm]]) -> np.ndarray:
    """[S] mean log odds of the terms of each text, each of -4 to 4; 0 for a text without terms."""
    found = np.zeros(len(terms))
    for row, some in enumerate(terms):
        if some:
            shares = np.clip([term.probability for term in some], 1e-6, 1 - 1e-6)
            found[row] = np.clip(np.log(shares / (1 - shares)), -_MOST_ODDS, _MOST_ODDS).mean()
    return found


class SentenceGate:
    """Lets the pieces of an answer of at most `room` tokens through, without a last sentence that the limit cut off.

    Near the limit pieces are held back until their sentence ends. An answer in which no sentence ends stays as it is.
    """

    def __init__(self, room: int) -> None:
        self.text = ""
        """What was let through."""
        self._room, self._held, self._count, self._has_end = room, "", 0, False

    def push(self, piece: str) -> str:
        """What is let through with the next piece."""
        self._count += 1
        self._held += piece
        is_end = ends_sentence(self.text + self._held)
        self._has_end |= is_end
        return self._release() if is_end or self._count <= self._room - _LAST_SENTENCE else ""

    def end(self, *, is_full: bool | None = None) -> str:
        """What is let through at the end; `is_full` tells whether the limit ended it, else the pieces are counted."""
        is_full = self._count >= self._room if is_full is None else is_full
        return "" if is_full and self._has_end else self._release()

    def _release(self) -> str:
        released, self._held = self._held, ""
        self.text += released
        return released


def whole_sentences(pieces: Iterable[str], room: int) -> Iterator[str]:
    """Yield what a gate lets through of the pieces of an answer.

    >>> "".join(whole_sentences(["A man", " wakes.", " He", " runs"], 4))
    'A man wakes.'
    """
    gate = SentenceGate(room)
    for piece in pieces:
        if shown := gate.push(piece):
            yield shown
    if rest := gate.end():
        yield rest
