"""Engines for CPUs side by side: the shipped reader on transformers, OpenVINO, ONNX Runtime and llama.cpp.

One answer of 48 tokens, and 64 answers of 24 tokens together, from prompts of one length. The note says of each how far
its first logits lie from the reference's (mean over the vocabulary, in standard deviations of the reference's logits)
and how often its first token is the same. What is not installed is left out.
"""

import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speed_cases.generation import prompts, reader
from speed_cases.measure import Result, Work, compare
from speed_cases.other_engines import Decode, llama_decoder, onnx_decoder, write_gguf
from vecspeak.bundles.bundle import shipped_reader
from vecspeak.engines import Sampling, open_engine
from vecspeak.engines.openvino import OpenVINOEngine, Sampler
from vecspeak.engines.prepared import PromptInputs
from vecspeak.model.pretrained import KNOWN_MODELS, packaged_gguf

ROWS, SINGLE, BATCHED = 64, 48, 24


def _transformers(dtype: torch.dtype) -> Decode:
    given = reader(dtype, "cpu")

    def decode(embeds_BTE: np.ndarray, steps: int) -> np.ndarray:
        made = given.language_model.generate(
            inputs_embeds=torch.from_numpy(embeds_BTE).to(dtype),
            attention_mask=torch.ones(embeds_BTE.shape[:2], dtype=torch.long),
            max_new_tokens=steps,
            min_new_tokens=steps,
            do_sample=False,
            pad_token_id=given.stop_ids[0],
            return_dict_in_generate=True,
            output_logits=True,
        )
        return np.asarray(made.logits[0].float().numpy())

    return decode


def _openvino() -> Decode:
    engine = open_engine(shipped_reader(), "openvino")
    assert isinstance(engine, OpenVINOEngine)

    def decode(embeds_BTE: np.ndarray, steps: int) -> np.ndarray:
        first: list[np.ndarray] = []
        choose = Sampler(Sampling())

        def watched(logits: np.ndarray, rows: list[int]) -> np.ndarray:
            if len(first) < len(embeds_BTE):
                first.extend(logits[: len(embeds_BTE) - len(first)].copy())
            return choose(logits, rows)

        fed = [PromptInputs(embeds_TE=one) for one in embeds_BTE]
        list(engine.decode(fed, watched, (), steps))
        return np.array(first)

    return decode


def _decoders(folder: Path) -> dict[str, Callable[[], Decode]]:
    """Every engine that is installed, with the form of its weights."""
    model = reader(torch.float32, "cpu").language_model
    weights = {name: value.float().numpy() for name, value in model.state_dict().items()}
    config: dict[str, Any] = {**model.config.to_dict(), "theta": model.config.rope_parameters["rope_theta"]}
    made: dict[str, Callable[[], Decode]] = {
        "transformers, float32": lambda: _transformers(torch.float32),
        "transformers, bfloat16": lambda: _transformers(torch.bfloat16),
        "openvino, int8": _openvino,
    }
    if find_spec("onnxruntime") and find_spec("onnx"):
        for bits in (8, 4):
            made[f"onnxruntime, {bits} bits in blocks of 64"] = lambda bits=bits: onnx_decoder(
                weights, config, bits
            )
        dynamic = {**config, "dynamic": True}
        made["onnxruntime, int8, one scale for all activations"] = lambda: onnx_decoder(weights, dynamic, 8)
    if find_spec("xllamacpp"):
        source = packaged_gguf("smollm2-135m-instruct", KNOWN_MODELS["smollm2-135m-instruct"])
        for kind in ("Q8_0", "Q4_0"):

            def llama(kind: str = kind) -> Decode:
                write_gguf(folder / f"{kind}.gguf", weights, source, kind)
                return llama_decoder(folder / f"{kind}.gguf", weights, ROWS)

            made[f"llama.cpp, {kind}"] = llama
    return made


def results() -> list[Result]:
    """Both cases, every engine in turn."""
    given = reader(torch.float32, "cpu")
    with torch.inference_mode():
        embeds = given.embed_prompts(prompts(ROWS, ("Describe the movie {x}.",)))[0].numpy()
    with tempfile.TemporaryDirectory() as name:
        decoders = {way: make() for way, make in _decoders(Path(name)).items()}
        wanted = decoders["transformers, float32"](embeds, 1)
        notes = []
        for way, decode in decoders.items():
            found = decode(embeds, 1)
            same = (found.argmax(-1) == wanted.argmax(-1)).mean()
            notes.append(
                f"{way}: off by {np.abs(found - wanted).mean() / wanted.std():.4f}, same token {same:.0%}"
            )

        def work(decode: Decode, rows: int, steps: int) -> Work:
            def once() -> float:
                decode(embeds[:rows], steps)
                return float(rows * steps)

            return once

        return [
            compare(
                case,
                {way: work(decode, rows, steps) for way, decode in decoders.items()},
                unit="token",
                note=note,
            )
            for case, rows, steps, note in (
                (f"one answer of {SINGLE} tokens", 1, SINGLE, "; ".join(notes)),
                (f"{ROWS} answers of {BATCHED} tokens together", ROWS, BATCHED, ""),
            )
        ]
