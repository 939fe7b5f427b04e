"""Growing: answers that are made in pieces of a few tokens, of which those that score best go on.

1. A prompt is read once; R rows go on from its keys and values, each with random numbers of its own.
2. Every row draws a piece of 8 tokens.
3. Empty texts, equal ones and those that go in circles are dropped. The others are scored, those of all prompts that
   wait in one call; the B best stay.
4. Of each that stays, all openings of whole sentences are remembered.
5. Those that have not come to their end go on in R / B rows each, and so on from 2.
6. It ends when none goes on, or when three rounds have brought nothing better.
7. The answer is the opening that scores best of all that were remembered.

Several prompts grow next to each other in one batch, and what comes of one depends on the seed and its number alone.
What a text is worth is the caller's business: usually how near it lies to the vector that was read, so that what chose
an answer must not judge it. Engines without rows draw whole answers, and the best opening of these is taken.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from vecspeak.engines.base import BEST_OF_TEMPERATURE, Engine, Sampling
from vecspeak.engines.drawing import drawn_tokens, nats_of
from vecspeak.errors import UserError, check_number, check_whole
from vecspeak.model.prompt import Prompt
from vecspeak.tasks.prose import has_loop, openings

_MOST_DRAFTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How answers grow; the defaults are those of normal effort."""

    rows: int = 8
    """Rows of each prompt (R)."""
    beams: int = 2
    """Texts that go on after a piece (B)."""
    piece: int = 8
    """Tokens of a piece."""
    patience: int = 2
    """Rounds without a better text that are put up with."""
    nats_weight: float = 0.03
    """What a nat a token of a text costs when those that go on are chosen: likelier texts read better."""
    temperature: float = BEST_OF_TEMPERATURE
    max_new_tokens: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.beams <= self.rows <= 256:
            raise UserError(
                f"an answer grows in 1 to 256 rows, of which at least one goes on; got rows={self.rows}, "
                f"beams={self.beams}",
                "use `rows=8, beams=2`",
            )
        check_whole("piece", self.piece, 1, 2048)
        check_whole("patience", self.patience, 0, 2048)
        check_number("nats_weight", self.nats_weight, 0, 10)
        Sampling(
            max_new_tokens=self.max_new_tokens, temperature=self.temperature, seed=self.seed
        )  # checks them


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

    def step(self, rows: Sequence[Any]) -> np.ndarray:
        """[S, V] float32 logits of the next token of each row, which hold until the next step."""

    def feed(self, row: Any, token: int) -> None:
        """Give a row the token that its next step reads."""


Score = Callable[[Sequence[int], Sequence[str]], np.ndarray]
"""[S] worth of each text, none of them empty, as an answer to the prompt of that number.

Texts of several prompts come in one call; those of one prompt are compared with each other.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownAnswer:
    """What came of a prompt."""

    text: str
    """Empty where nothing was ever said."""
    score: float
    """-inf for an empty text."""
    num_tokens: int
    """Tokens that were made for it, in all rows; 0 where the engine does not say."""
    num_texts: int
    """Texts that were scored."""
    rounds: int
    drafts: tuple[str, ...] = ()
    """Other texts of whole sentences that were met, the best first, 16 at most.

    Of two of which one begins with the other, which are one draw at two times, only the better one is there, and none
    that begins with the answer or that the answer begins with.
    """


@runtime_checkable
class GrowingEngine(Protocol):
    """An engine whose answers grow; not every one has rows that go on from where another stands."""

    def grow(
        self, prompts: Sequence[Prompt], growth: Growth, score: Score
    ) -> Iterator[tuple[int, GrownAnswer]]:
        """The number of each prompt with its grown answer, as they come to their end."""


def search(
    engine: Engine, prompts: Sequence[Prompt], growth: Growth, score: Score
) -> Iterator[tuple[int, GrownAnswer]]:
    """The number of each prompt with the best answer that was found, as they come.

    Answers of at most two pieces, in which growing wins nothing, are drawn as a whole, and so are those of engines
    that cannot grow any.
    """
    if isinstance(engine, GrowingEngine) and growth.max_new_tokens > 2 * growth.piece:
        return engine.grow(prompts, growth, score)
    return _best_draws(engine, prompts, growth, score)


def _best_draws(
    engine: Engine, prompts: Sequence[Prompt], growth: Growth, score: Score
) -> Iterator[tuple[int, GrownAnswer]]:
    """The best opening of whole sentences without a loop, of as many answers to each prompt as there are rows."""
    sampling = Sampling(
        max_new_tokens=growth.max_new_tokens, temperature=growth.temperature, seed=growth.seed
    )
    asked = [prompt for prompt in prompts for _ in range(growth.rows)]
    drawn: list[dict[int, str]] = [{} for _ in prompts]
    for place, text in engine.answers(asked, sampling):
        number, copy = divmod(place, growth.rows)
        drawn[number][copy] = text
        if len(drawn[number]) == growth.rows:
            met = _Met(number=number)
            for _, one in sorted(drawn[number].items()):
                met.note(one, openings(one))
            _rate([(met, met.candidates)], score)
            yield number, met.answer(num_tokens=0, rounds=1)


@dataclass(slots=True, eq=False)
class _Met:
    """The texts of one prompt that were met, and what those are worth that were scored."""

    number: int
    worth: dict[str, float] = field(default_factory=dict)
    whole: dict[str, None] = field(default_factory=dict)
    """Openings of whole sentences that may be the answer."""
    unfinished: dict[str, None] = field(default_factory=dict)
    """Texts without a loop, which stand in where no sentence ever ended."""
    loops: dict[str, None] = field(default_factory=dict)
    """Texts with one, which stand in where there are no others."""
    drafts: dict[str, float] = field(default_factory=dict)
    """The longest whole opening of every text that was scored, with what the text is worth."""

    def note(self, text: str, whole: Sequence[str]) -> None:
        """Remember a text and openings of it."""
        self.whole |= dict.fromkeys(one for one in whole if not has_loop(one))
        if text:
            (self.loops if has_loop(text) else self.unfinished)[text] = None

    @property
    def candidates(self) -> list[str]:
        """What the answer is taken from: whole sentences if there are any."""
        return list(self.whole or self.unfinished or self.loops)

    def answer(self, *, num_tokens: int, rounds: int) -> GrownAnswer:
        """The best of the candidates, which are scored."""
        text = max(self.candidates, key=self.worth.__getitem__, default="")
        drafts = {one: self.worth[one] for one in self.whole} | self.drafts
        return GrownAnswer(
            text=text, score=self.worth.get(text, -np.inf), num_tokens=num_tokens, num_texts=len(self.worth),
            rounds=rounds, drafts=_other_draws(text, drafts),
        )  # fmt: skip


def _other_draws(answer: str, drafts: dict[str, float]) -> tuple[str, ...]:
    """The drafts, best first, without those that begin as the answer or one before does, or the other way round."""
    found = [answer]
    for text in sorted(drafts, key=lambda text: -drafts[text]):
        if not any(text.startswith(one) or one.startswith(text) for one in found):
            found.append(text)
    return tuple(found[1 : _MOST_DRAFTS + 1])


def _rate(asked: Sequence[tuple[_Met, Sequence[str]]], score: Score) -> None:
    """Score the texts that were not scored yet, in one call."""
    new = [(met, text) for met, texts in asked for text in dict.fromkeys(texts) if text not in met.worth]
    if new:
        found = score([met.number for met, _ in new], [text for _, text in new])
        for (met, text), worth in zip(new, found, strict=True):
            met.worth[text] = float(worth)


@dataclass(slots=True, eq=False)
class _Leaf:
    """A row and the text that it has made."""

    row: Any
    """Of several leaves until their first step, which is the same for all."""
    rng: np.random.Generator
    ids: list[int] = field(default_factory=list)
    nats: float = 0.0
    """Minus the log-likelihood of its tokens."""
    since: int = 0
    """Tokens since it was copied."""
    stopped: bool = False
    text: str = ""
    """Since it rests."""


@dataclass(slots=True, eq=False)
class _Group:
    """The rows of one prompt."""

    met: _Met
    leaves: list[_Leaf]
    best: float = -np.inf
    idle: int = 0
    tokens: int = 0
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
        """The number of each prompt with its answer, as they come to their end; `at_once` rows together.

        All rows are free in the end, also where nobody asks for the rest or the score raises.
        """
        if not prompts:
            return
        growth = self.growth
        groups_at_once = min(max(1, at_once // growth.rows), len(prompts))
        self.decoder.open(groups_at_once * growth.rows, max(lengths) + growth.max_new_tokens + 1)
        waiting, groups = deque(range(len(prompts))), list[_Group]()
        try:
            while waiting or groups:
                while waiting and len(groups) < groups_at_once:
                    groups.append(self._begin(waiting.popleft(), prompts))
                self._advance([leaf for group in groups for leaf in group.leaves if not self._rests(leaf)])
                resting = [group for group in groups if all(map(self._rests, group.leaves))]
                for group in self._choose(resting, score):
                    groups.remove(group)
                    yield group.met.number, group.met.answer(num_tokens=group.tokens, rounds=group.rounds)
        finally:
            rows = {id(leaf.row): leaf.row for group in groups for leaf in group.leaves}
            for row in rows.values():
                self.decoder.drop(row)

    def _begin(self, number: int, prompts: Sequence[Any]) -> _Group:
        first = _Leaf(row=self.decoder.begin(prompts[number]), rng=np.random.default_rng(0))
        group = _Group(met=_Met(number=number), leaves=[first])
        self._spread(group)
        return group

    def _rests(self, leaf: _Leaf) -> bool:
        return self._is_done(leaf) or leaf.since >= self.growth.piece

    def _is_done(self, leaf: _Leaf) -> bool:
        return leaf.stopped or len(leaf.ids) >= self.growth.max_new_tokens

    def _spread(self, group: _Group) -> None:
        """Let each text of the group go on in as many leaves as it has a share of."""
        growth, made = self.growth, list[_Leaf]()
        for place, leaf in enumerate(group.leaves):
            for copy in range(growth.rows // len(group.leaves)):
                seed = [growth.seed, group.met.number, group.rounds, place, copy]
                made.append(
                    _Leaf(
                        row=leaf.row,
                        rng=np.random.default_rng(seed),
                        ids=list(leaf.ids),
                        nats=leaf.nats,
                    )
                )
        group.leaves = made

    def _advance(self, leaves: Sequence[_Leaf]) -> None:
        """One token for each leaf."""
        rows = list({id(leaf.row): leaf.row for leaf in leaves}.values())
        places = {id(row): place for place, row in enumerate(rows)}
        logits_SV = self.decoder.step(rows)
        if len(rows) < len(leaves):
            logits_SV = logits_SV[[places[id(leaf.row)] for leaf in leaves]]
        randoms = [leaf.rng.random() for leaf in leaves]
        tokens_S = drawn_tokens(logits_SV, self.growth.temperature, randoms)
        nats_S = nats_of(logits_SV, tokens_S)
        for leaf in leaves:  # the first leaf of a row goes on in it, the others in copies
            if places.pop(id(leaf.row), None) is None:
                leaf.row = self.decoder.fork(leaf.row)
        for leaf, token, nats in zip(leaves, tokens_S.tolist(), nats_S.tolist(), strict=True):
            self.decoder.feed(leaf.row, token)
            leaf.since += 1
            leaf.nats += nats
            leaf.stopped = token in self.stop_ids
            if not leaf.stopped:
                leaf.ids.append(token)

    def _choose(self, groups: Sequence[_Group], score: Score) -> list[_Group]:
        """Let the best texts of groups of which all rows rest go on; the groups that are done, their answers scored."""
        for group in groups:
            for leaf in group.leaves:
                leaf.text = self.decode(leaf.ids).strip()
        hopeful = [
            [leaf for leaf in group.leaves if leaf.text and not has_loop(leaf.text)] for group in groups
        ]
        _rate(
            [
                (group.met, [leaf.text for leaf in leaves])
                for group, leaves in zip(groups, hopeful, strict=True)
            ],
            score,
        )
        done = [
            group for group, leaves in zip(groups, hopeful, strict=True) if not self._select(group, leaves)
        ]
        _rate([(group.met, group.met.candidates) for group in done], score)
        return done

    def _select(self, group: _Group, hopeful: Sequence[_Leaf]) -> bool:
        """Keep the best of the texts that were scored and spread them; False where the prompt is done."""
        met, growth = group.met, self.growth
        group.rounds += 1
        group.tokens += sum(leaf.since for leaf in group.leaves)
        for leaf in hopeful:
            if whole := openings(leaf.text):
                met.drafts[whole[-1]] = max(met.worth[leaf.text], met.drafts.get(whole[-1], -np.inf))
        ranked = sorted(
            hopeful,
            key=lambda leaf: growth.nats_weight * leaf.nats / max(len(leaf.ids), 1) - met.worth[leaf.text],
        )
        distinct: dict[str, _Leaf] = {}
        for leaf in ranked:
            distinct.setdefault(leaf.text, leaf)
        best = list(distinct.values())[: growth.beams]
        for leaf in best:
            met.note(leaf.text, openings(leaf.text))
        if not hopeful:  # something to show where all texts go in circles
            met.loops |= {leaf.text: None for leaf in group.leaves if leaf.text}
        top = max((met.worth[leaf.text] for leaf in best), default=-np.inf)
        group.idle = 0 if top > group.best else group.idle + 1
        group.best = max(group.best, top)
        going = [leaf for leaf in best if not self._is_done(leaf)] if group.idle <= growth.patience else []
        for leaf in group.leaves:
            if leaf not in going:
                self.decoder.drop(leaf.row)
        group.leaves = going
        if going:
            self._spread(group)
        return bool(going)
