"""Training: a step of SmolLM2-135M with the LoRA of recipes/reader.toml, beside the plain step and the peer's.

    cd benchmarks && python -m speed_cases.training

Counted are tokens that are not padding. What packs hold once for all rows (the opening of the chat) counts once for
each row, in every way: the same rows are the same number of tokens whoever trains on them.
"""

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from speed_cases.measure import Growth, Result, Work, compare, grow, has_gpu, tables
from speed_cases.training_plain import PlainTraining, Way
from speed_cases.training_rows import Material, material, our_reader, with_soft_tokens
from vecspeak.model.reader import Reader
from vecspeak.training.batching import TokenRow
from vecspeak.training.recipe import Speed
from vecspeak.training.trainer import Trainer, TrainingRun, single_vector_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured: enough on a GPU to fill it, little enough on a CPU to end."""

    device: str
    tokens: int
    """Of a step of ours."""
    plain_tokens: int
    """Of a step of the references: they hold all logits."""
    steps: int
    repeats: int
    peak_side: int
    """Of the square matrices whose product is the peak."""


CPU = Size(device="cpu", tokens=2048, plain_tokens=2048, steps=1, repeats=2, peak_side=2048)
_USUAL = Speed()
GPU = Size(device="cuda", tokens=65_536, plain_tokens=16_384, steps=10, repeats=3, peak_side=8192)


def size_here() -> Size:
    """For this machine."""
    return GPU if has_gpu() else CPU


def trainer_of(
    reader: Reader, rows: Sequence[TokenRow], vectors: np.ndarray, tokens: int, speed: Speed = _USUAL
) -> Trainer:
    """Our trainer in a folder of its own, over the rows once; what was compiled for another one is forgotten."""
    torch._dynamo.reset()
    recipe = dataclasses.replace(material(tokens).recipe, speed=speed)
    folder = Path(tempfile.mkdtemp(prefix="vecspeak-speed-"))
    held_out = single_vector_rows([], vectors)
    return Trainer(
        TrainingRun(
            reader=reader, recipe=recipe, rows=rows, vectors=vectors, held_out=held_out, folder=folder
        )
    )


def our_steps(trainer: Trainer, steps: int) -> Work:
    """Some steps of ours a run, from the start again when the rows are used up."""

    def work() -> float:
        before = trainer.progress.tokens
        for _ in range(steps):
            if trainer.progress.step >= len(trainer.plan):
                trainer.progress.step, trainer.inputs = 0, trainer.inputs_from(0)
            trainer.step()
        trainer.mean_loss()
        trainer.progress.losses.clear()
        return trainer.progress.tokens - before

    return work


def _random_batches(rows: Sequence[TokenRow], tokens: int) -> Iterator[list[TokenRow]]:
    """Batches of as many rows as have, on average, that many tokens; the rows are in random order already."""
    count = round(tokens / np.mean([len(row.ids) for row in rows]))
    while True:
        yield from (list(rows[i : i + count]) for i in range(0, len(rows) - count, count))


def plain_steps(given: Material, reader: Reader, size: Size, dtype: torch.dtype, way: Way = "plain") -> Work:
    """Some steps of a reference a run."""
    adapter = with_soft_tokens(reader, reader.adapter.config.num_soft_tokens).adapter
    training = PlainTraining(given.recipe, adapter, dtype=dtype, device=size.device, way=way)
    batches = _random_batches(given.rows(reader), size.plain_tokens)

    def work() -> float:
        done = 0
        for _ in range(1 if way == "peer" else size.steps):
            batch = next(batches)
            done += training.step(batch, given.vectors[[r for row in batch for r in row.rows]])
        return done

    return work


def step_case(size: Size) -> Result:
    """Our step beside the plain one and the peer's."""
    given = material(size.tokens)
    reader = our_reader(given.recipe, size.device)
    trainer = trainer_of(reader, given.rows(reader), given.vectors, size.tokens)
    half = torch.bfloat16
    ways: dict[str, Work] = {}
    if size.device == "cpu":
        ways["plain: padded, bfloat16"] = plain_steps(given, reader, size, half)
        ways["plain: padded, float32"] = plain_steps(given, reader, size, torch.float32)
    else:
        ways["plain: padded, bfloat16 by autocast"] = plain_steps(given, reader, size, half)
    ways["peer: token by token, padded"] = plain_steps(given, reader, size, half, "peer")
    ways[f"ours: {trainer.mode.name}{', compiled' if trainer.mode.compiled else ''}"] = our_steps(
        trainer, size.steps
    )
    note = f"SmolLM2-135M, LoRA; {size.tokens:,} token places a step of ours, {size.plain_tokens:,} tokens a plain one"
    # A CPU needs no warming up, and the plain ways are slow there.
    warm = 0 if size.device == "cpu" else 1
    return compare("training step", ways, unit="token", repeats=size.repeats, warm=warm, note=note)


def flops_per_token(reader: Reader, rows: Sequence[TokenRow]) -> float:
    """6 x parameters that train, 4 x those that do not (no weight gradient), a token; the head: 4 x an answer token.

    Left out: attention scores, the adapter (once a vector), and the input embedding, which is looked up.
    """
    decoder = reader.language_model.get_decoder()
    embedded = reader.embedding.weight.numel()
    named = dict(decoder.named_parameters())
    trained = sum(p.numel() for name, p in named.items() if "lora_" in name)
    frozen = sum(p.numel() for p in named.values()) - trained - embedded
    answers = sum(len(row.ids) - row.num_prompt for row in rows) / sum(len(row.ids) for row in rows)
    return 6 * trained + 4 * frozen + 4 * embedded * answers


def flops_by_rule(reader: Reader) -> float:
    """The usual rule, for comparisons with other reports: 6 x all parameters of the language model, a token."""
    named = reader.language_model.get_decoder().named_parameters()
    return 6.0 * sum(p.numel() for name, p in named if "lora_" not in name)


def utilisation_case(size: Size) -> Result:
    """What of the peak of a matrix product, in the same run and precision, a step turns into training."""
    given = material(size.tokens)
    reader = our_reader(given.recipe, size.device)
    rows = given.rows(reader)
    steps = our_steps(trainer_of(reader, rows, given.vectors, size.tokens), size.steps)
    per_token, by_rule, side = flops_per_token(reader, rows), flops_by_rule(reader), size.peak_side
    left, right = (torch.randn(side, side, device=size.device, dtype=torch.bfloat16) for _ in range(2))

    def product() -> float:
        times = 100 if size.device == "cuda" else 10
        for _ in range(times):
            left @ right
        return times * 2 * side**3 / 1e9

    ways: dict[str, Work] = {
        f"product of two {side} x {side} matrices": product,
        "our step": lambda: steps() * per_token / 1e9,
        "the same, counted as 6 x parameters x tokens": lambda: steps() * by_rule / 1e9,
    }
    note = "ratio = utilisation; " + " ".join((flops_per_token.__doc__ or "").split())
    return compare("utilisation, bfloat16", ways, unit="GFLOP", repeats=size.repeats, note=note)


def _one_size(rows: Sequence[TokenRow], count: int, length: int) -> list[TokenRow]:
    """Rows of exactly that length, with one vector, made of the longest: cut, or their answers repeated."""
    chosen = [row for row in rows if len(row.rows) == 1][:count]
    made = []
    for row in chosen:
        answer = np.resize(row.ids[row.num_prompt :], max(length - row.num_prompt, 1))
        made.append(dataclasses.replace(row, ids=np.concatenate([row.ids[: row.num_prompt], answer])))
    return made


def growths(size: Size) -> list[Growth]:
    """With the tokens of a step, with the length of rows (as many rows), and with K (as many rows)."""
    given = material(size.tokens)
    reader = our_reader(given.recipe, size.device)
    rows = given.rows(reader, 0 if size.device == "cuda" else 1500)

    def step_of(tokens: int) -> Work:
        return our_steps(trainer_of(reader, rows, given.vectors, tokens), 1)

    def length_of(length: int) -> Work:
        count = size.tokens // 4 // 64
        tokens = count * length
        speed = _USUAL if size.device == "cpu" else Speed(pack_length=min(4096, tokens // 128 * 128))
        made = _one_size(rows, count, length)
        return our_steps(trainer_of(reader, made, given.vectors, max(tokens, 256), speed), 1)

    def soft_tokens_of(count: int) -> Work:
        other = with_soft_tokens(reader, count)
        num_rows = size.tokens // 4 // 64
        made = given.rows(other, num_rows)
        tokens = max(sum(len(row.ids) for row in made), 256)
        return our_steps(trainer_of(other, made, given.vectors, tokens), 1)

    sizes = [size.tokens // 4, size.tokens // 2, size.tokens]
    repeats = 1 if size.device == "cpu" else 3
    return [
        grow("training step", "tokens a step", sizes, step_of, repeats),
        grow("training step", "length of rows", [64, 128, 256], length_of, repeats),
        grow("training step", "soft tokens a vector (K)", [1, 4, 16, 32], soft_tokens_of, repeats),
    ]


def results(size: Size | None = None) -> list[Result]:
    """All cases of this part."""
    size = size or size_here()
    return [step_case(size), utilisation_case(size)]


def main() -> None:
    """Print the tables of this part."""
    size = size_here()
    print(tables(results(size), growths(size)))


if __name__ == "__main__":
    main()
