"""Feed: what each step computes on, made ready before the step asks: tokens, places, vectors with their noise.

A step's input depends on the run's rows, seed and step number alone, whichever process makes it. Everything
that would make a GPU wait (how many slots, which places) is worked out here, on the CPU.
Shape letters: B rows or packs, T tokens, S vectors, N vector width, P soft tokens, A answer tokens.
"""

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vecspeak.model.prompt import PLACEHOLDER
from vecspeak.model.reader import IGNORED
from vecspeak.training.batching import Batch, PackedPlan, PaddedPlan, TokenRow
from vecspeak.training.recipe import Noise

_AHEAD = 4
"""Steps that lie ready beside a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepInput:
    """Inputs of one step; `slots_P` and `answers_A` index tokens of all rows laid end to end."""

    ids_BT: Tensor
    vectors_SN: Tensor
    """float32; rows of zeros where the step has fewer vectors than its fixed size."""
    slots_P: Tensor
    """Where the soft tokens stand; the last token of the first pack for vectors that fill up."""
    answers_A: Tensor
    """Places whose next token is of an answer; 0 where it fills up."""
    targets_A: Tensor
    """Those next tokens; IGNORED where it fills up."""
    positions_BT: Tensor | None
    documents_BT: Tensor | None
    num_answers: int
    """Answer tokens that count."""
    num_tokens: int
    num_rows: int

    def _each(self, change: Any) -> "StepInput":
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        tensors = {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **tensors)

    def pin_memory(self) -> "StepInput":
        """In memory that a GPU copies from by itself (torch's DataLoader calls this)."""
        return self._each(Tensor.pin_memory)

    def to(self, device: torch.device) -> "StepInput":
        """On the device; from pinned memory without waiting."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))


class BatchPlan(Protocol):
    """Which rows each step of a run takes."""

    def __len__(self) -> int: ...

    def batch(self, step: int, rows: Sequence[TokenRow], pad_id: int) -> Batch:
        """The tokens of one step."""


def add_noise(vectors_SN: np.ndarray, noise: Noise, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of random strength on a random part of unit vectors (a vector may get none)."""
    strength = rng.uniform(0, noise.max_sd, size=(len(vectors_SN), 1))
    noisy = rng.random((len(vectors_SN), 1)) < noise.share
    return (vectors_SN + noisy * strength * rng.standard_normal(vectors_SN.shape)).astype(np.float32)


def _filled(values: Tensor, size: int, value: int) -> Tensor:
    if len(values) > size:
        raise ValueError(f"a step has {len(values)} places, its plan allows {size}")
    return torch.cat([values, values.new_full((size - len(values), *values.shape[1:]), value)])


def step_input(batch: Batch, vectors_SN: np.ndarray, num_soft_tokens: int) -> StepInput:
    """Places of slots and answers of a batch. Raises ValueError when slots and soft tokens do not count the same."""
    slots_P = (batch.ids_BT == PLACEHOLDER).flatten().nonzero()[:, 0]
    if len(slots_P) != len(vectors_SN) * num_soft_tokens:
        given = len(vectors_SN) * num_soft_tokens
        raise ValueError(
            f"the rows have {len(slots_P)} soft token slots, the vectors make {given} soft tokens"
        )
    # the state at place t predicts the token at t + 1: labels move one to the left, and the last place
    # predicts nothing
    next_BT = torch.roll(batch.labels_BT, -1, dims=1)
    next_BT[:, -1] = IGNORED
    answers_A = (next_BT != IGNORED).flatten().nonzero()[:, 0]
    return StepInput(
        ids_BT=batch.ids_BT,
        vectors_SN=torch.from_numpy(np.ascontiguousarray(vectors_SN, dtype=np.float32)),
        slots_P=slots_P,
        answers_A=answers_A,
        targets_A=next_BT.flatten()[answers_A],
        positions_BT=batch.positions_BT,
        documents_BT=batch.documents_BT,
        num_answers=len(answers_A),
        num_tokens=batch.num_tokens,
        num_rows=batch.num_rows,
    )


def fixed_size(made: StepInput, num_vectors: int, num_answers: int, num_soft_tokens: int) -> StepInput:
    """The same step with vectors and answers filled up, so that every step of a plan has the same shapes."""
    # Compiled steps and CUDA kernels want one shape. Vectors that fill up write into the last token of the
    # first pack, which is padding in every plan; answers that fill up read place 0 with an ignored target.
    num_slots, unread = num_vectors * num_soft_tokens, made.ids_BT.shape[1] - 1
    values = {field.name: getattr(made, field.name) for field in fields(made)}
    values |= {
        "vectors_SN": _filled(made.vectors_SN, num_vectors, 0),
        "slots_P": _filled(made.slots_P, num_slots, unread),
        "answers_A": _filled(made.answers_A, num_answers, 0),
        "targets_A": _filled(made.targets_A, num_answers, IGNORED),
    }
    return StepInput(**values)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Feed(Dataset[StepInput]):
    """The inputs of all steps of a run, each made when asked for."""

    rows: Sequence[TokenRow]
    vectors: np.ndarray
    """[N, D]; may be memory-mapped."""
    plan: PaddedPlan | PackedPlan
    noise: Noise
    seed: int
    pad_id: int
    num_soft_tokens: int

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, step: int) -> StepInput:
        batch = self.plan.batch(step, self.rows, self.pad_id)
        # a generator for each step: noise is the same after a resume, and in whichever process the step is
        # made
        rng = np.random.default_rng([self.seed, step])
        vectors = add_noise(np.asarray(self.vectors[batch.rows_S]), self.noise, rng)
        made = step_input(batch, vectors, self.num_soft_tokens)
        if isinstance(self.plan, PackedPlan):
            made = fixed_size(made, self.plan.num_vectors, self.plan.num_answers, self.num_soft_tokens)
        return made


def _as_it_is(made: Any) -> Any:
    return made


def ahead(feed: Feed, start: int, *, pinned: bool) -> Iterator[StepInput]:
    """Inputs of the steps from `start` on, made by another process while the last ones are used."""
    can_fork = "fork" in multiprocessing.get_all_start_methods()  # else the rows would be copied whole
    loader: DataLoader[StepInput] = DataLoader(
        feed,
        batch_size=None,
        sampler=range(start, len(feed)),
        num_workers=1 if can_fork else 0,
        prefetch_factor=_AHEAD if can_fork else None,
        multiprocessing_context="fork" if can_fork else None,
        collate_fn=_as_it_is,
        pin_memory=pinned,
        generator=torch.Generator(),  # its own, so that loading draws nothing from the run's
    )
    yield from loader


def inputs_from(feed: Feed, start: int, device: torch.device) -> Iterator[StepInput]:
    """Inputs of the steps from `start` on, on the device.

    Beside a GPU they are made ahead and copied from pinned memory. On a CPU they are made when asked for: a
    second process would take the cores that compute.
    """
    if device.type == "cuda":
        yield from (made.to(device) for made in ahead(feed, start, pinned=True))
    else:
        yield from (feed[step] for step in range(start, len(feed)))
