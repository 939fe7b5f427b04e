"""Growing: answers that are made in pieces of a few tokens, of which those that score best go on.

1. A prompt is read once; its keys and values are copied into R rows, each with random numbers of its own.
2. Every row draws a piece of 12 tokens.
3. The texts so far are scored, all at once. Equal texts and texts that go in circles are dropped; the B best stay.
4. Of each that stays, all openings of whole sentences are remembered.
5. Those that have not come to their end are copied into R / B rows each, and so on from 2.
6. It ends when none goes on, or when two rounds have brought nothing better.
7. The answer is the opening that scores best of all that were remembered.

Several prompts grow next to each other in one batch. What a text is worth is the caller's business: usually how near it
lies to the vector that was read, so that what chose an answer must not judge it.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from vecspeak.engines.drawing import drawn_tokens, nats_of
from vecspeak.errors import UserError
from vecspeak.tasks.prose import has_loop, openings


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How answers grow; the defaults are those of normal effort."""

    rows: int = 8
    """Rows of each prompt (R)."""
    beams: int = 2
    """Texts that go on after a piece (B)."""
    piece: int = 12
    """Tokens of a piece."""
    patience: int = 1
    """Rounds without a better text that are put up with."""
    nats_weight: float = 0.03
    """What a nat a token of the text costs in score: likelier texts read better."""
    temperature: float = 0.7
    max_new_tokens: int = 96
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.beams <= self.rows <= 256:
            raise UserError(
                f"an answer grows in 1 to 256 rows, of which at least one goes on; got rows={self.rows}, "
                f"beams={self.beams}",
                "use `rows=8, beams=2`",
            )


class RowDecoder(Protocol):
    """What can read a prompt once and go on from there in several rows."""

    def open(self, rows: int, tokens: int) -> None:
        """Make room for rows of so many tokens each; rows of before are gone."""

    def begin(self, prompt: Any) -> Any:
        """A row that has read the prompt."""

    def fork(self, row: Any) -> Any:
        """Another row that stands where this one does."""

    def drop(self, row: Any) -> None:
        """Free a row."""

    def advance(self, rows: Sequence[Any], draw: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """[S, V] logits of the next token of each row; the token that `draw` takes from them is fed to it."""


Score = Callable[[Sequence[int], Sequence[str]], np.ndarray]
"""[S] worth of each text as an answer to the prompt of that number; what is compared are texts of one prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownAnswer:
    """What came of a prompt."""

    text: str
    score: float
    num_tokens: int
    """Tokens that were made for it, in all rows."""
    num_texts: int
    """Texts that were scored."""
    rounds: int


@dataclass(slots=True, eq=False)
class _Leaf:
    """A row and the text that it has made."""

    row: Any
    rng: np.random.Generator
    ids: list[int] = field(default_factory=list)
    nats: float = 0.0
    """Minus the log-likelihood of its tokens."""
    since: int = 0
    """Tokens since it was copied."""
    stopped: bool = False


@dataclass(slots=True, eq=False)
class _Group:
    """The rows of one prompt."""

    number: int
    leaves: list[_Leaf]
    openings: dict[str, float] = field(default_factory=dict)
    """With the nats a token of the text that each began."""
    best: float = -np.inf
    idle: int = 0
    tokens: int = 0
    texts: int = 0
    rounds: int = 0


class Grower:
    """Grows the answers to many prompts with one decoder."""

    def __init__(
        self, decoder: RowDecoder, decode: Callable[[list[int]], str], stop_ids: Sequence[int], growth: Growth
    ) -> None:
        self.decoder = decoder
        self.decode = decode
        self.stop_ids = frozenset(stop_ids)
        self.growth = growth

    def grow(
        self, prompts: Sequence[Any], lengths: Sequence[int], score: Score, *, at_once: int = 64
    ) -> Iterator[tuple[int, GrownAnswer]]:
        """The number of each prompt with its answer, as they come to their end; `at_once` rows together."""
        if not prompts:
            return
        growth = self.growth
        groups_at_once = max(1, at_once // growth.rows)
        # While a round is chosen from, the texts that stay and their copies stand side by side.
        self.decoder.open(
            groups_at_once * (growth.rows + growth.beams) + 1, max(lengths) + growth.max_new_tokens + 1
        )
        waiting, groups = deque(range(len(prompts))), list[_Group]()
        while waiting or groups:
            while waiting and len(groups) < groups_at_once:
                groups.append(self._begin(waiting.popleft(), prompts))
            going = [leaf for group in groups for leaf in group.leaves if not self._rests(leaf)]
            self._advance(going)
            for group in [one for one in groups if all(map(self._rests, one.leaves))]:
                if not self._select(group, score):
                    groups.remove(group)
                    yield group.number, self._answer(group, score)

    def _begin(self, number: int, prompts: Sequence[Any]) -> _Group:
        first = _Leaf(row=self.decoder.begin(prompts[number]), rng=np.random.default_rng(0))
        group = _Group(number=number, leaves=[first])
        self._spread(group)
        return group

    def _rests(self, leaf: _Leaf) -> bool:
        is_longest = len(leaf.ids) >= self.growth.max_new_tokens
        return leaf.stopped or is_longest or leaf.since >= self.growth.piece

    def _spread(self, group: _Group) -> None:
        """Copy each text of the group into as many rows as it has a share of."""
        growth, made = self.growth, list[_Leaf]()
        for place, leaf in enumerate(group.leaves):
            for copy in range(growth.rows // len(group.leaves)):
                seed = [growth.seed, group.number, group.rounds, place, copy]
                made.append(
                    _Leaf(
                        row=leaf.row if copy == 0 else self.decoder.fork(leaf.row),
                        rng=np.random.default_rng(seed),
                        ids=list(leaf.ids),
                        nats=leaf.nats,
                    )
                )
        group.leaves = made

    def _advance(self, leaves: Sequence[_Leaf]) -> None:
        """One token for each row."""
        taken = np.empty(0, np.int64)

        def draw(logits_SV: np.ndarray) -> np.ndarray:
            nonlocal taken
            taken = drawn_tokens(logits_SV, self.growth.temperature, [leaf.rng.random() for leaf in leaves])
            return taken

        logits_SV = self.decoder.advance([leaf.row for leaf in leaves], draw)
        nats_S = nats_of(logits_SV, taken)
        for leaf, token, nats in zip(leaves, taken.tolist(), nats_S.tolist(), strict=True):
            leaf.since += 1
            leaf.nats += nats
            leaf.stopped = token in self.stop_ids
            if not leaf.stopped:
                leaf.ids.append(token)

    def _select(self, group: _Group, score: Score) -> bool:
        """Keep the best texts and spread them; False where the prompt is done."""
        growth = self.growth
        group.rounds += 1
        group.tokens += sum(leaf.since for leaf in group.leaves)
        texts = [self.decode(leaf.ids).strip() for leaf in group.leaves]
        nats = np.array([leaf.nats / max(len(leaf.ids), 1) for leaf in group.leaves])
        distinct = list(dict.fromkeys(texts))
        group.texts += len(distinct)
        worth = dict(zip(distinct, score([group.number] * len(distinct), distinct), strict=True))
        total = np.array([worth[text] for text in texts]) - growth.nats_weight * nats
        best: dict[str, int] = {}
        for place in np.argsort(-total, kind="stable").tolist():
            if len(best) < growth.beams and not has_loop(texts[place]):
                best.setdefault(texts[place], place)
        for text, place in best.items():
            group.openings |= {opening: float(nats[place]) for opening in openings(text)}
        top = max((float(worth[text]) for text in best), default=-np.inf)
        group.idle = 0 if top > group.best else group.idle + 1
        group.best = max(group.best, top)
        live = [place for place in best.values() if not self._is_done(group.leaves[place])]
        if group.idle > growth.patience:
            live = []
        for place, leaf in enumerate(group.leaves):
            if place not in live:
                self.decoder.drop(leaf.row)
        group.leaves = [group.leaves[place] for place in live]
        if live:
            self._spread(group)
        else:
            # Where no sentence ever ended, the texts as they are: the caller sees that they are unfinished.
            group.openings = group.openings or {text: float(nats[place]) for text, place in best.items()}
            group.openings = group.openings or {texts[int(total.argmax())]: float(nats[int(total.argmax())])}
        return bool(live)

    def _is_done(self, leaf: _Leaf) -> bool:
        return leaf.stopped or len(leaf.ids) >= self.growth.max_new_tokens

    def _answer(self, group: _Group, score: Score) -> GrownAnswer:
        texts = list(group.openings)
        worth = score([group.number] * len(texts), texts)
        total = worth - self.growth.nats_weight * np.array(list(group.openings.values()))
        best = int(total.argmax())
        return GrownAnswer(
            text=texts[best], score=float(worth[best]), num_tokens=group.tokens,
            num_texts=group.texts + len(texts), rounds=group.rounds,
        )  # fmt: skip
