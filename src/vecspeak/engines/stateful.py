"""One prompt on the plain graph, which keeps what it read: one answer token by token, or several rows that part.

The plain graph opens from its compiled form; that of many rows takes seconds to compile in each process, longer than
an answer takes to grow. So one prompt grows here: all its rows are as long as each other, which is what a graph with
one past for all needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecspeak.engines.drawing import nats_of
from vecspeak.engines.prepared import PromptInputs
from vecspeak.model.quiet_openvino import ov


def run_stateful(
    request: Any, embeds_BTE: np.ndarray, past: int, order_B: np.ndarray | None = None
) -> np.ndarray:
    """[B, T, V] logits after T new tokens of each row, `past` tokens after the beginning; a view until the next run.

    Row b goes on from row `order_B[b]` of the run before, by default from the row of its own number. Rows that nobody
    goes on from are gone.
    """
    rows, count = embeds_BTE.shape[:2]
    total = past + count
    given = {
        "inputs_embeds": embeds_BTE.astype(np.float32, copy=False),
        "attention_mask": np.ones((rows, total), dtype=np.int64),
        "position_ids": np.repeat(np.arange(past, total)[None], rows, axis=0),
        "beam_idx": np.arange(rows, dtype=np.int32) if order_B is None else order_B.astype(np.int32),
        "sampled": np.arange(rows, dtype=np.int64),
    }
    for name, value in given.items():
        request.set_tensor(name, ov.Tensor(value))
    request.infer()
    found: np.ndarray = request.get_output_tensor(0).data
    return found


def single_logits(request: Any, embeds_TE: np.ndarray, past: int) -> np.ndarray:
    """[V] logits after the new tokens [T, E] of the one row, of which `past` were read before."""
    return np.array(run_stateful(request, embeds_TE[None], past)[0, -1])  # a copy: the next run writes there


def stateful_nats(
    request: Any, prompts: Sequence[PromptInputs], ids: Sequence[Sequence[int]], embedding_VE: np.ndarray
) -> list[np.ndarray]:
    """For each prompt the [T] nats of the tokens of a given answer to it, as `PagedDecoder.nats` gives them."""
    found = []
    for prompt, made in zip(prompts, ids, strict=True):
        if not len(made):
            found.append(np.empty(0))
            continue
        request.reset_state()
        # Token t of the answer is foretold by the logits at the place before it. What comes before the first is read
        # by itself, as its logits are not wanted.
        start = len(prompt.embeds_TE) - 1
        if start:
            run_stateful(request, prompt.embeds_TE[None, :start], 0)
        read_TE = np.concatenate([prompt.embeds_TE[start:], embedding_VE[list(made[:-1])]])
        logits_TV = run_stateful(request, read_TE[None], start)[0]
        found.append(nats_of(logits_TV, np.asarray(made, np.int64)))
    return found


@dataclass(slots=True, eq=False)
class _Row:
    """A row of the graph."""

    place: int
    """In the run after which it stands."""
    run: int
    waiting_TE: np.ndarray
    """Input embeddings that the next step reads."""


class StatefulRows:
    """Rows of one prompt for `Grower`, all of the same length: a row that misses a step is gone."""

    def __init__(self, request: Any, embedding_VE: np.ndarray) -> None:
        self.request = request
        self.embedding_VE = embedding_VE
        self._past = self._run = 0

    def open(self, rows: int, tokens: int) -> None:
        """Forget what was read; the graph makes its own room."""
        self.request.reset_state()
        self._past = self._run = 0

    def begin(self, prompt: PromptInputs) -> _Row:
        """A row that reads the prompt in its first step. Raises RuntimeError for a second prompt."""
        if self._past:
            raise RuntimeError("the rows of one prompt grow at a time: open again before the next")
        return _Row(place=0, run=0, waiting_TE=prompt.embeds_TE)

    def fork(self, row: _Row) -> _Row:
        """Another row that stands where this one does."""
        return _Row(place=row.place, run=row.run, waiting_TE=row.waiting_TE)

    def drop(self, row: _Row) -> None:
        """Nothing: what no row goes on from is gone with the next step."""

    def step(self, rows: Sequence[_Row]) -> np.ndarray:
        """[S, V] float32 logits of the next token of each row, which hold until the next step.

        Raises RuntimeError for a row that was left out of the last step.
        """
        if any(row.run != self._run for row in rows):
            raise RuntimeError("a row was left out of the last step, and its keys and values are gone")
        embeds_STE = np.stack([row.waiting_TE for row in rows])
        logits_STV = run_stateful(self.request, embeds_STE, self._past, np.array([row.place for row in rows]))
        self._past += embeds_STE.shape[1]
        self._run += 1
        for place, row in enumerate(rows):
            row.place, row.run = place, self._run
        return logits_STV[:, -1]

    def feed(self, row: _Row, token: int) -> None:
        """Give a row the token that its next step reads."""
        row.waiting_TE = self.embedding_VE[token : token + 1]
