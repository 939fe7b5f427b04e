"""Scores as the slow path: the same small run trained the plain way and by us, from one start, scored on one set.

    cd benchmarks && python -m speed_cases.training_scores [--steps 60] [--held-out 300] [--out scores.json]

Real texts of movies and their real vectors. Both ways see the same rows once, in steps of about 2,048 tokens, with
the same rates and no noise; they differ in the order of rows and in how a step is computed. Reported are the
held-out loss and the swap gap of both, and their paired differences, with 95% bootstrap intervals over texts.
"""

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from places import out_file

from speed_cases.measure import has_gpu
from speed_cases.training_plain import PlainTraining
from speed_cases.training_rows import Material, material
from vecspeak.encoders.text import load_encoder
from vecspeak.model.adapter import Adapter
from vecspeak.model.reader import Reader
from vecspeak.stats import Series, difference
from vecspeak.training.batching import TokenRow, make_rows
from vecspeak.training.dataset import Example, TrainingTexts
from vecspeak.training.loss import row_losses
from vecspeak.training.recipe import Noise
from vecspeak.training.run import fresh_reader, start_adapter
from vecspeak.training.step import uncompiled
from vecspeak.training.trainer import Trainer, TrainingRun, rate_factor, single_vector_rows, warmup_steps

_TOKENS = 2048


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Start:
    """What both ways begin with."""

    given: Material
    reader: Reader
    rows: list[TokenRow]
    watched: list[TokenRow]
    watched_vectors: np.ndarray


def _cut(given: Material, tokens: int, reader: Reader) -> list[TokenRow]:
    """The first rows that make that many tokens."""
    rows = given.rows(reader)
    ends = np.cumsum([len(row.ids) for row in rows])
    return rows[: int(np.searchsorted(ends, tokens)) + 1]


def prepare(steps: int, held_out: int, device: str) -> Start:
    """Rows, the vectors of their texts and an adapter that starts in closed form."""
    plain = material(_TOKENS)
    recipe = dataclasses.replace(plain.recipe, noise=Noise())
    encoder = load_encoder()
    reader = fresh_reader(recipe, encoder.dim, device=device)
    rows = _cut(plain, steps * _TOKENS, reader)
    used = sorted({r for row in rows for r in row.rows})
    vectors = np.zeros((len(plain.texts), encoder.dim), np.float32)
    vectors[used] = encoder.encode([plain.texts[r].text for r in used])
    seen = TrainingTexts(texts=[plain.texts[r] for r in used], vectors=vectors[used])
    start_adapter(reader, seen, recipe.seed)
    order = np.random.default_rng(7).permutation(len(plain.held_out))[:held_out]
    texts = [plain.held_out[i] for i in order]
    examples = [
        Example(task="describe", question="Describe {x}.", rows=(row,), target=text.target)
        for row, text in enumerate(texts)
    ]
    return Start(
        given=dataclasses.replace(plain, recipe=recipe, vectors=vectors),
        reader=reader,
        rows=rows,
        watched=make_rows(examples, reader),
        watched_vectors=encoder.encode([text.text for text in texts]),
    )


def train_plain(start: Start, adapter: Adapter, device: str) -> Reader:
    """The reference's run: random order, padded, no compilation."""
    recipe, size = start.given.recipe, np.mean([len(row.ids) for row in start.rows])
    training = PlainTraining(recipe, adapter, dtype=torch.bfloat16, device=device, lora_in_float32=True)
    ours = dict(start.reader.language_model.named_parameters())
    with torch.no_grad():
        for name, parameter in training.model.get_base_model().named_parameters():
            if "lora_" in name:
                parameter.copy_(ours[name])
    count = round(_TOKENS / size)
    order = np.random.default_rng(recipe.seed).permutation(len(start.rows))
    batches = [order[i : i + count] for i in range(0, len(order), count)]
    warmup = warmup_steps(recipe.schedule, len(batches))
    for step, batch in enumerate(batches):
        rows = [start.rows[i] for i in batch]
        vectors = start.given.vectors[[r for row in rows for r in row.rows]]
        training.step(rows, vectors, rate_factor(step / len(batches), step, warmup))
    model = training.model.get_base_model().eval()  # its LoRA is attached
    return dataclasses.replace(start.reader, language_model=model, adapter=adapter)


def train_ours(start: Start) -> Reader:
    """Our run, by the trainer."""
    with tempfile.TemporaryDirectory() as folder:
        run = TrainingRun(
            reader=start.reader,
            recipe=start.given.recipe,
            rows=start.rows,
            vectors=start.given.vectors,
            held_out=single_vector_rows([], start.watched_vectors),
            folder=Path(folder),
        )
        Trainer(run).train()
    return start.reader


def score(reader: Reader, rows: Sequence[TokenRow], vectors: np.ndarray) -> tuple[Series, Series]:
    """Loss a token of each text with its own vector, and the swap gap."""
    with uncompiled():
        right, counts = row_losses(reader, rows, list(vectors[:, None]))
        swapped, _ = row_losses(reader, rows, list(np.roll(vectors, 1, axis=0)[:, None]))
    return Series(right / counts, counts), Series((swapped - right) / counts, counts)


def run(steps: int, held_out: int) -> dict[str, Any]:
    """Both runs and their scores."""
    device = "cuda" if has_gpu() else "cpu"
    start = prepare(steps, held_out, device)
    adapter = Adapter(start.reader.adapter.config).to(device)
    adapter.load_state_dict(start.reader.adapter.state_dict())
    found: dict[str, dict[str, Series]] = {}
    report: dict[str, Any] = {"steps": steps, "rows": len(start.rows), "held_out": held_out, "device": device}
    for way in ("plain", "ours"):
        began = time.perf_counter()
        reader = train_plain(start, adapter, device) if way == "plain" else train_ours(start)
        seconds = time.perf_counter() - began
        loss, gap = score(reader, start.watched, start.watched_vectors)
        found[way] = {"loss": loss, "swap_gap": gap}
        estimates = {name: dataclasses.asdict(series.estimate()) for name, series in found[way].items()}  # type: ignore[arg-type]
        report[way] = {**estimates, "seconds": round(seconds, 1)}
    for name in ("loss", "swap_gap"):
        paired = difference(found["ours"][name], found["plain"][name])
        report[f"{name}_ours_minus_plain"] = dataclasses.asdict(paired) if paired else None
    return report


def main() -> None:
    """Run and print; keep the report where a path is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--held-out", type=int, default=300)
    parser.add_argument("--out", type=out_file)
    given = parser.parse_args()
    report = run(given.steps, given.held_out)
    print(json.dumps(report, indent=1))
    if given.out:
        given.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
