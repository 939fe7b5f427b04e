"""Generation: the shipped reader's answers to real questions, beside transformers' `generate` on padded batches.

    cd benchmarks && python -m speed_cases.generation

Counted are tokens of the answers' texts: no padding, no prompt, nothing after an answer's end.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speed_cases.measure import Growth, Result, Work, compare, grow, has_gpu, tables
from vecspeak.bundles import save_bundle
from vecspeak.bundles.bundle import shipped_reader, shipped_space
from vecspeak.bundles.fitting import fit_space
from vecspeak.bundles.weights import load_reader
from vecspeak.encoders.text import load_encoder
from vecspeak.engines import Engine, Sampling, open_engine
from vecspeak.engines.transformers import TransformersEngine
from vecspeak.model.prompt import Prompt, PromptTemplate
from vecspeak.model.reader import Reader
from vecspeak.spaces import Space
from vecspeak.stats import Series, difference
from vecspeak.tasks.corpus import CORPUS_TASKS

QUESTIONS = (
    "Describe the movie {x}.",
    *(CORPUS_TASKS[name].wordings[0] for name in ("genres", "keywords", "one_sentence")),
)
"""Long and short answers, as in an evaluation of many tasks."""
LONGEST = Sampling(max_new_tokens=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    device: str
    batched: int
    """Prompts of the batched case."""
    plain_batch: int
    """Of them together in the plain way."""
    single: int
    repeats: int


CPU = Size(device="cpu", batched=128, plain_batch=64, single=3, repeats=2)
GPU = Size(device="cuda", batched=2048, plain_batch=256, single=4, repeats=2)


def prompts(count: int, questions: Sequence[str] = QUESTIONS) -> list[Prompt]:
    """Questions in turn, about movies of the shipped space."""
    vectors = Space.load(shipped_space()).vectors
    return [
        PromptTemplate(questions[i % len(questions)]).fill({"x": vectors[i * 7 % len(vectors)]})
        for i in range(count)
    ]


@cache
def reader(dtype: torch.dtype, device: str) -> Reader:
    """The shipped reader for transformers."""
    return load_reader(shipped_reader(), dtype=dtype, device=device)


@cache
def fast() -> Engine:
    """The engine that is the default on this machine."""
    if has_gpu():
        return TransformersEngine(reader(torch.bfloat16, "cuda"), batch_size=512)
    return open_engine(shipped_reader(), "openvino")


def plain_answers(given: Reader, asked: Sequence[Prompt], batch: int) -> Iterator[str]:
    """The plain way, as a reference: padded batches in the order given, each until its longest answer has ended."""
    for start in range(0, len(asked), batch):
        with torch.inference_mode():
            embeds, mask = given.embed_prompts(asked[start : start + batch])
            ids = given.language_model.generate(
                inputs_embeds=embeds,
                attention_mask=mask,
                max_new_tokens=LONGEST.max_new_tokens,
                do_sample=False,
                eos_token_id=given.stop_ids,
                pad_token_id=given.stop_ids[0],
            )
        yield from given.tokenizer.batch_decode(ids, skip_special_tokens=True)


def _count(texts: Sequence[str]) -> float:
    """Tokens of answers."""
    tokenizer: Any = reader(torch.float32, "cuda" if has_gpu() else "cpu").tokenizer
    return float(sum(len(tokenizer.encode(text.strip(), add_special_tokens=False)) for text in texts))


def _warm_up() -> None:
    """Load what is measured, and take the first step of each: the plain ways are too slow to be run once more."""
    asked, few = prompts(2), replace(LONGEST, max_new_tokens=2)
    fast().generate(asked, few)
    list(fast().stream(asked[0], few))
    for dtype in (torch.float32, torch.bfloat16):
        TransformersEngine(reader(dtype, "cuda" if has_gpu() else "cpu")).generate(asked, few)


def batched_case(size: Size) -> Result:
    """Many answers together."""
    asked = prompts(size.batched)
    plain, half = (reader(dtype, size.device) for dtype in (torch.float32, torch.bfloat16))
    ways: dict[str, Work] = {
        f"plain: generate, padded batches of {size.plain_batch}, float32": lambda: _count(
            list(plain_answers(plain, asked, size.plain_batch))
        ),
        "the same in bfloat16": lambda: _count(list(plain_answers(half, asked, size.plain_batch))),
        "ours: transformers, refilled, bfloat16": lambda: _count(
            TransformersEngine(half, batch_size=128).generate(asked, LONGEST)
        ),
    }
    if not has_gpu():
        ways["ours: openvino, int8, paged and refilled (the default)"] = lambda: _count(
            fast().generate(asked, LONGEST)
        )
    _warm_up()
    return compare(f"{size.batched} answers together", ways, unit="token", repeats=size.repeats, warm=0)


def single_case(size: Size) -> Result:
    """One answer after the other, each read as it comes."""
    asked = prompts(size.single, QUESTIONS[:1])
    plain, half = (reader(dtype, size.device) for dtype in (torch.float32, torch.bfloat16))
    ways: dict[str, Work] = {
        "plain: generate, float32": lambda: _count(list(plain_answers(plain, asked, 1))),
        "the same in bfloat16": lambda: _count(list(plain_answers(half, asked, 1))),
        f"ours: {fast().name} (the default)": lambda: _count(
            ["".join(fast().stream(prompt, LONGEST)) for prompt in asked]
        ),
    }
    _warm_up()
    return compare("one answer at a time", ways, unit="token", repeats=size.repeats + 1, warm=0)


def consistency(count: int) -> dict[str, Any]:
    """Whether the fast engine's answers are as consistent as the reference's: SC of both, and their difference.

    The reference is transformers in float32; the movies are held out of the reader's training.
    """
    space, encoder = Space.load(shipped_space()), load_encoder()
    split = space.metadata.column("split").to_pylist()
    rows = [row for row in range(space.num_items) if split[row] != "train"][:count]
    asked = [PromptTemplate(QUESTIONS[0]).fill({"x": space.vectors[row]}) for row in rows]
    made = {}
    for name, engine in (
        (
            "reference",
            TransformersEngine(reader(torch.float32, "cuda" if has_gpu() else "cpu"), batch_size=128),
        ),
        ("fast", fast()),
    ):
        texts = engine.generate(asked, LONGEST)
        found = (encoder.encode([text or "(no answer)" for text in texts]) * space.vectors[rows]).sum(1)
        made[name] = (texts, Series(found))
    equal = np.mean([one == other for one, other in zip(made["reference"][0], made["fast"][0], strict=True)])
    return {
        "movies": len(rows),
        "equal_answers": float(equal),
        **{name: series.estimate() for name, (_, series) in made.items()},
        "difference": difference(made["fast"][1], made["reference"][1]),
    }


def first_token_case(repeats: int) -> Result:
    """From the start of `vecspeak ask` to the first letter on its output, everything installed and warm."""
    space, reader_bundle = Space.load(shipped_space()), shipped_reader()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "movies.bundle"
        entry = fit_space(space, texts=[None] * space.num_items, encoder=load_encoder())
        save_bundle(folder, source=reader_bundle, name="movies", entries={space.name: entry})

        def first(*more: str) -> Work:
            command = [sys.executable, "-m", "vecspeak", "ask", str(folder), QUESTIONS[0]]
            command += ["--at", f'x=id("{space.ids[0]}")', *more]

            def work() -> float:
                with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
                    assert process.stdout is not None and process.stdout.read(1)
                    process.kill()
                return 1.0

            return work

        ways = {"transformers, float32": first("--engine", "transformers"), "the default": first()}
        return compare("first letter of vecspeak ask", ways, unit="start", repeats=repeats)


def growths(size: Size) -> list[Growth]:
    """With the answers that run together, and with the soft tokens and letters before them."""
    engine, counts = fast(), ([1, 8, 32, 128] if size.device == "cpu" else [1, 16, 128, 1024])
    short = replace(LONGEST, max_new_tokens=16)

    def batch_of(count: int) -> Work:
        asked = prompts(count, QUESTIONS[:1])
        return lambda: float(len(engine.generate(asked, short)))

    def length_of(words: int) -> Work:
        vector = Space.load(shipped_space()).vectors[0]
        asked = [PromptTemplate("very " * words + "short: {x}").fill({"x": vector})] * 8
        return lambda: float(len(engine.generate(asked, Sampling(max_new_tokens=1))))

    return [
        grow("16 tokens of answers", "answers together", counts, batch_of, 1),
        grow("first token of 8 answers", "words of the prompt", [64, 256, 1024], length_of, 1),
    ]


def model_growth() -> Growth:
    """Our single-stream decoding with models of SmolLM2's width and fewer or more layers, of random weights."""
    return grow("32 tokens of one answer", "millions of parameters", [45, 81, 135, 241], random_model, 2)


def random_model(millions: float) -> Work:
    """Greedy steps of a model of about so many parameters: how fast it is does not depend on what it says."""
    import openvino as ov

    from vecspeak.engines.openvino import Sampler, single_tokens
    from vecspeak.engines.openvino_graph import DecoderShape, decoder_graph
    from vecspeak.engines.prepared import EXACT, PromptInputs

    layers, width, wide, size = round((millions - 28.3) / 3.54), 576, 1536, 49152
    frequencies = 1e5 ** -(np.arange(0, 64, 2) / 64)
    shape = DecoderShape(
        num_layers=layers, model_dim=width, num_heads=9, num_kv_heads=3, head_dim=64, norm_epsilon=1e-5,
        frequencies=frequencies,
    )  # fmt: skip
    sizes = {"q": (width, width), "k": (192, width), "v": (192, width), "o": (width, width)}
    sizes = {f"self_attn.{name}_proj": form for name, form in sizes.items()}
    sizes |= {"mlp.gate_proj": (wide, width), "mlp.up_proj": (wide, width), "mlp.down_proj": (width, wide)}
    rng = np.random.default_rng(0)
    weights = {
        "model.embed_tokens.weight": rng.normal(size=(size, width)),
        "model.norm.weight": np.ones(width),
    }
    for layer in range(layers):
        name = f"model.layers.{layer}"
        weights |= {f"{name}.{part}.weight": rng.normal(size=form) / 24 for part, form in sizes.items()}
        weights |= {f"{name}.{part}_layernorm.weight": np.ones(width) for part in ("input", "post_attention")}
    narrow = {name: value.astype(np.float32) for name, value in weights.items()}
    table = narrow["model.embed_tokens.weight"]
    request = ov.Core().compile_model(decoder_graph(shape, narrow), "CPU", EXACT).create_infer_request()
    fed, sampling = PromptInputs(embeds_TE=table[:20]), Sampling(max_new_tokens=32)
    return lambda: float(len(list(single_tokens(request, fed, Sampler(sampling), table, ()))))


def results(size: Size | None = None) -> list[Result]:
    """All cases of this part."""
    size = size or (GPU if has_gpu() else CPU)
    return [batched_case(size), single_case(size), first_token_case(3)]


def main() -> None:
    """Print the tables of this part."""
    size = GPU if has_gpu() else CPU
    print(consistency(50))
    print(tables(results(size), growths(size)))


if __name__ == "__main__":
    main()
