"""Tokens and answers a second of vLLM, OpenVINO and transformers, at 1, 8 and 64 questions at a time, in one run.

    VECSPEAK_VLLM=.venv-vllm/bin/python python benchmarks/served.py [--out docs/scores]

All three answer the same questions with the shipped reader, greedily, 48 tokens at most, on the same cores; vLLM and
transformers in float32, OpenVINO as it is. `make test-vllm` makes the environment of vLLM. Writes OUT/vllm.json;
scripts/score_pages.py makes the table of docs/vllm.md of it.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from places import out_folder

from vecspeak import VecSpeak
from vecspeak.engines import Engine
from vecspeak.storage import write_json

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "engines"))
import test_real_vllm as real  # noqa: E402  (the server and the questions stand beside the test that holds them)

AT_ONCE = {1: 4, 8: 16, 64: 64}
"""Questions at a time, and how many are asked."""
ROUNDS = 2
"""Engines take turns; the fastest of their rounds counts, for other work has the cores at times."""


def timed(engine: Engine, prompts: list[Any], at_once: int) -> tuple[float, list[str]]:
    """Seconds of all prompts, so many at a time, and the answers."""
    start, answers = time.perf_counter(), list[str]()
    for first in range(0, len(prompts), at_once):
        answers += engine.generate(prompts[first : first + at_once], real.GREEDY)
    return time.perf_counter() - start, answers


def measured(
    engines: dict[str, Engine], prompts: list[Any], tokenizer: Any
) -> Iterator[list[dict[str, Any]]]:
    """The rows so far, one for each engine and number of questions at a time."""
    rows = []
    for at_once, count in AT_ONCE.items():
        asked = [prompts[number % len(prompts)] for number in range(count)]
        best: dict[str, tuple[float, list[str]]] = {}
        for engine in engines.values():
            engine.generate(
                asked[: min(at_once, 2)], real.GREEDY
            )  # compiles: one answer has another graph than several
        for _ in range(ROUNDS):
            for name, engine in engines.items():
                best[name] = min(best.get(name, (float("inf"), [])), timed(engine, asked, at_once))
        reference = best["transformers"][1]
        for name, (seconds, answers) in best.items():
            tokens = sum(len(tokenizer.encode(text, add_special_tokens=False)) for text in answers)
            row = {
                "engine": name, "at_once": at_once, "answers": count, "seconds": round(seconds, 2),
                "answers_a_second": round(count / seconds, 3), "tokens_a_second": round(tokens / seconds, 1),
                "as_transformers": sum(one == other for one, other in zip(answers, reference, strict=True)),
            }  # fmt: skip
            rows.append(row)
            print(row, flush=True)
        yield rows


def main() -> None:
    """Export the reader, serve it, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=out_folder, default=Path("docs/scores"))
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        exported = VecSpeak.from_pretrained().export_vllm(folder / "model")
        with real.serving(exported.command, folder / "log.txt") as address:
            names = {"transformers": "transformers", "openvino": "openvino", "vllm": f"vllm:{address}"}
            readers = {name: VecSpeak.from_pretrained(engine=engine) for name, engine in names.items()}
            vs = readers["vllm"]
            prompts = real.questions(vs.encoder)
            engines = {name: one.engine for name, one in readers.items()}
            tokenizer = engines["transformers"].reader.tokenizer  # type: ignore[attr-defined]
            versions = {name: metadata.version(name) for name in ("transformers", "openvino", "torch")}
            for rows in measured(engines, prompts, tokenizer):
                write_json(out / "vllm.json", {"vllm": "0.32.0, CPU", "versions": versions, "rows": rows})


if __name__ == "__main__":
    main()
