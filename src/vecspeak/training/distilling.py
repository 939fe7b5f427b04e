"""Distilling: the language model as it was, told in words what a reader sees as vectors, and its states at the answers.

Its rows hold what a teacher was told and then the very answer tokens of the reader's row, so the states of both line
up one by one. Rows are padded whatever the reader's are, and nothing of this is compiled. Takes no gradient.
Knows rows, readers and LoRA layers. Knows nothing of losses or of the loop.
Shape letters: B rows, T tokens, A answer tokens of a step, D those that are told, R the rest, E model width.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vecspeak.model.reader import Reader
from vecspeak.training.batching import TokenRow, collate
from vecspeak.training.dataset import Example

_MAX_TOKENS = 8192
"""Tokens of told rows that are read at a time, padding included."""


@dataclass(frozen=True, slots=True, eq=False)
class ToldPart:
    """Told rows of like length."""

    ids_BT: Tensor
    places_D: Tensor
    """Places, counted over the rows laid end to end, whose next token is of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """What the language model is told of the rows of one step."""

    parts: tuple[ToldPart, ...]
    told_D: Tensor
    """Which of the step's answer tokens each told one is, in the parts' order."""
    rest_R: Tensor
    """The step's answer tokens of rows of which nothing is told."""

    def each(self, change: Callable[[Tensor], Tensor]) -> "Told":
        """The same with all tensors changed: moved to a device, say."""
        parts = tuple(ToldPart(change(part.ids_BT), change(part.places_D)) for part in self.parts)
        return Told(parts=parts, told_D=change(self.told_D), rest_R=change(self.rest_R))


def told_example(example: Example) -> Example:
    """The same answer after what the teacher was told, in words alone; no brace in it is a slot."""
    question = example.told.replace("{", "(").replace("}", ")")
    return replace(example, question=question, rows=(), told="")


@dataclass(frozen=True, slots=True, eq=False)
class ToldRows:
    """The told row of each row of a run; None where there is none."""

    table: Sequence[TokenRow]
    numbers: np.ndarray
    """[M] place in the table; -1 where nothing is told."""

    def __getitem__(self, index: int) -> TokenRow | None:
        number = int(self.numbers[index])
        return self.table[number] if number >= 0 else None


def tell(rows: Sequence[TokenRow], told: Sequence[TokenRow | None], pad_id: int) -> Told:
    """The told rows of a step whose rows stand in this order. Raises ValueError where two answers differ."""
    counts = [len(row.ids) - row.num_prompt for row in rows]
    starts = np.cumsum([0, *counts])
    numbers = [np.arange(starts[i], starts[i + 1]) for i in range(len(rows))]
    known = {i: row for i, row in enumerate(told) if row is not None}
    for i, row in known.items():
        if not np.array_equal(row.ids[row.num_prompt :], rows[i].ids[rows[i].num_prompt :]):
            raise ValueError(f"row {i} and what is told of it have different answers")
    groups = _groups(known)
    at = [numbers[i] for group in groups for i in group]
    rest = [numbers[i] for i in range(len(rows)) if i not in known]
    return Told(
        parts=tuple(_part([known[i] for i in group], pad_id) for group in groups),
        told_D=_joined(at),
        rest_R=_joined(rest),
    )


def _joined(parts: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int64))


def _groups(known: dict[int, TokenRow]) -> list[list[int]]:
    groups: list[list[int]] = []
    for i in sorted(known, key=lambda i: len(known[i].ids)):
        if groups and (len(groups[-1]) + 1) * len(known[i].ids) <= _MAX_TOKENS:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _part(rows: Sequence[TokenRow], pad_id: int) -> ToldPart:
    ids_BT = collate(rows, pad_id).ids_BT
    width = ids_BT.shape[1]
    places = [np.arange(row.num_prompt - 1, len(row.ids) - 1) + i * width for i, row in enumerate(rows)]
    return ToldPart(ids_BT, _joined(places))


@contextlib.contextmanager
def without_lora(language_model: Any) -> Iterator[None]:
    """A block in which the language model is as it was; what takes gradients is left as it is."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers: list[Any] = [module for module in language_model.modules() if isinstance(module, BaseTunerLayer)]
    flags = [(p, p.requires_grad) for layer in layers for p in layer.parameters()]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


@torch.no_grad()
def told_states(reader: Reader, told: Told) -> Tensor:
    """[D, E] last hidden states of the untouched language model before each told answer token."""
    decoder = reader.language_model.get_decoder()
    states = []
    with without_lora(reader.language_model), torch.compiler.set_stance("force_eager"):
        for part in told.parts:
            hidden_BTE = decoder(input_ids=part.ids_BT, use_cache=False).last_hidden_state
            states.append(hidden_BTE.flatten(0, 1).index_select(0, part.places_D))
    return torch.cat(states)
