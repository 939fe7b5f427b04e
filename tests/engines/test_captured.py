"""Whether a step can be captured as a CUDA graph: what can be known without a GPU, and what waits for one."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tiny_models import FAMILIES, tiny_model, tiny_reader
from vecspeak.engines import Sampling
from vecspeak.engines import batching as slots
from vecspeak.engines.batching import (
    BatchingConfig,
    FixedSteps,
    PromptBatch,
    Slots,
    decode,
    fits_slots,
    sampling_draws,
)
from vecspeak.engines.transformers import TransformersEngine

WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "lift_fresh"}
"""Operations that wait for the device or take numbers from the host."""
SLOTTED = [family for family in FAMILIES if fits_slots(tiny_model(family))]
GREEDY, DRAWN = Sampling(max_new_tokens=40), Sampling(max_new_tokens=40, temperature=0.8)
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


class Operations(TorchDispatchMode):
    """Names of all operations, with the shapes they were given."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        shapes = [tuple(one.shape) for one in args if isinstance(one, torch.Tensor)]
        self.seen.append((func.overloadpacket.__name__, *shapes))
        return func(*args, **(kwargs or {}))


def filled(model, sampling, device="cpu"):
    """Three slots, two of them with an answer on its way."""
    made = Slots(model, 3, 64, sampling)
    embedding = model.get_input_embeddings()
    rows = [embedding(torch.arange(2, 2 + length, device=device)).detach() for length in (5, 9)]
    made.begin([0, 2], [5, 9], sampling_draws([0, 1], sampling), made.read([0, 2], rows, 0))
    return made


def tokens_of(model, sampling, asked, **batching):
    embedding = model.get_input_embeddings()
    device = embedding.weight.device
    work = PromptBatch(
        lengths=list(map(len, asked)),
        prefixes=[tuple(row[:2]) for row in asked],
        embed=lambda numbers: [embedding(torch.tensor(asked[i], device=device)).detach() for i in numbers],
    )
    answers = [[] for _ in asked]
    for number, token in decode(model, work, sampling, [17, 40, 41], BatchingConfig(**batching)):
        answers[number].append(token)
    return answers


@pytest.mark.parametrize("penalized", [False, True])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize("family", SLOTTED)
def test_every_step_is_the_same_operations_on_the_same_shapes_and_none_waits(family, temperature, penalized):
    sampling = Sampling(max_new_tokens=20, temperature=temperature)
    steps = FixedSteps(filled(tiny_model(family), sampling.penalized if penalized else sampling))
    traces = []
    for _ in range(4):
        with torch.inference_mode(), Operations() as operations:
            steps._step()
        traces.append(operations.seen)
    assert traces[1:] == traces[:1] * 3
    names = {name for name, *_ in traces[0]}
    assert "index_put_" in names and not names & WAITING


def test_operations_that_wait_would_be_noticed():
    with Operations() as operations:
        values = torch.tensor([1.0, 0.0])
        values[values > 0].sum().item()
    assert {name for name, *_ in operations.seen} & WAITING


def test_what_warming_up_writes_changes_no_answer(monkeypatch):
    """A stand-in for graphs that runs the step when it is replayed, and once while it is captured."""
    captured = []

    class Graph:
        def replay(self):
            captured[-1]._step()

    capture = FixedSteps._capture

    def watched(steps):
        captured.append(steps)
        return capture(steps)

    def nothing(*given, **named):
        return nullcontext()

    stream = SimpleNamespace(wait_stream=lambda other: None)
    cuda = SimpleNamespace(
        CUDAGraph=Graph, Stream=lambda: stream, current_stream=lambda: stream,
        stream=nothing, device=nothing, graph=nothing, set_stream=nothing,
    )  # fmt: skip
    model, rows = tiny_model(), [[5, 6, *range(20, 20 + n)] for n in (3, 9, 5, 1, 12)]
    sampling = Sampling(max_new_tokens=55, temperature=1.0)  # fills the slots to their last places
    wanted = tokens_of(model, sampling, rows)
    monkeypatch.setattr(FixedSteps, "_capture", watched)
    monkeypatch.setattr(slots, "_captures", lambda model: True)
    monkeypatch.setattr(slots.torch, "cuda", cuda)
    assert tokens_of(model, sampling, rows, rows=2, fixed=True, window=3) == wanted
    assert len(captured) == 1


def test_a_step_that_cannot_be_captured_is_made_as_it_is_and_says_so(monkeypatch, capsys):
    tried = []

    def capture(steps):
        tried.append(steps)
        steps._step()  # what it writes before it fails is undone
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    model, rows = tiny_model(), [[5, 6, *range(20, 20 + n)] for n in (3, 9, 5, 1, 12)]
    sampling = Sampling(max_new_tokens=55, temperature=1.0)
    wanted = tokens_of(model, sampling, rows)
    monkeypatch.setattr(FixedSteps, "_capture", capture)
    monkeypatch.setattr(slots, "_captures", lambda model: True)
    assert tokens_of(model, sampling, rows, rows=2, fixed=True, window=3) == wanted
    assert len(tried) == 1
    said = (
        "answers are made step by step, which is slower: operation not permitted when stream is capturing\n"
    )
    assert capsys.readouterr().err == said


@on_gpu
@pytest.mark.parametrize("family", SLOTTED)
@pytest.mark.parametrize("sampling", [GREEDY, DRAWN, GREEDY.penalized, DRAWN.penalized])
def test_captured_steps_give_what_steps_give(family, sampling):
    model, rows = tiny_model(family).cuda(), [[5, 6, *range(20, 20 + n)] for n in (3, 9, 5, 1, 12, 7)]
    captured = tokens_of(model, sampling, rows, rows=4, fixed=True, window=8)
    assert captured == tokens_of(model, sampling, rows, rows=4)


@on_gpu
def test_a_second_call_replays_the_graph_of_the_first():
    reader = tiny_reader()
    reader.language_model.cuda()
    reader.adapter.cuda()
    engine = TransformersEngine(reader, batch_size=4)
    asked = [("Describe this.",), ("What is this?",)] * 4
    first = engine.generate(asked, Sampling(max_new_tokens=20))
    (kept,) = engine._spare.values()
    graph = kept._graph
    assert graph is not None and engine.generate(asked, Sampling(max_new_tokens=20)) == first
    assert next(iter(engine._spare.values()))._graph is graph


@on_gpu
def test_a_captured_step_waits_for_nothing():
    steps = FixedSteps(filled(tiny_model().cuda(), GREEDY.penalized, "cuda"))
    steps(1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        steps._graph.replay()
    finally:
        torch.cuda.set_sync_debug_mode("default")
