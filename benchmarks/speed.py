"""Speed: each part of vecspeak beside the plain way to do the same, in turns, in one process.

    python benchmarks/speed.py [--only training generation spaces engines] [--out docs]

Measures on the GPU where there is one, else on the CPU: about thirteen minutes on two cores. Writes
OUT/scores/speed-DEVICE.json, and its tables into OUT/performance.md, between marks. `engines` is measured on request
only: it compares engines for CPUs that have to be installed by hand (see speed_cases/other_engines.py). A part that is
not measured keeps what the file holds.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from places import out_folder
from speed_cases import generation, measure, spaces, training

from vecspeak.storage import read_json, replace_file, write_json

Part = tuple[list[measure.Result], list[measure.Growth], dict[str, Any]]


def _training(quick: bool) -> Part:
    size = training.size_here()
    return training.results(size), [] if quick else training.growths(size), {}


def _generation(quick: bool) -> Part:
    gpu = measure.has_gpu()
    size = generation.GPU if gpu else generation.CPU
    growths = [] if quick else generation.growths(size) + ([] if gpu else [generation.model_growth()])
    told = generation.consistency(500 if gpu else 150)
    plain = {key: value if isinstance(value, int | float) else asdict(value) for key, value in told.items()}
    return generation.results(size), growths, {"consistency": plain}


def _spaces(quick: bool) -> Part:
    results, growths = spaces.run()
    return results, growths, {}


def _engines(quick: bool) -> Part:
    from speed_cases import engines

    return engines.results(), [], {}


PARTS: dict[str, Callable[[bool], Part]] = {
    "training": _training,
    "generation": _generation,
    "spaces": _spaces,
    "engines": _engines,
}
USUAL = ("training", "generation", "spaces")


def machine() -> str:
    """What it was measured on, in words."""
    if measure.has_gpu():
        import torch

        return f"one {torch.cuda.get_device_name()}"
    lines = (
        Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if Path("/proc/cpuinfo").exists()
        else []
    )
    model = next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine()
    )
    return f"{os.cpu_count()} cores of {model}"


def versions() -> dict[str, str]:
    """Of the libraries that do the work; OpenVINO may be missing beside a GPU, where nothing uses it."""
    found = {}
    for name in ("torch", "transformers", "openvino", "numpy", "scikit-learn"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def measured(name: str, quick: bool) -> dict[str, Any]:
    """One part, as plain values."""
    started = time.perf_counter()
    results, growths, more = PARTS[name](quick)
    seconds = time.perf_counter() - started
    print(f"\n## {name} ({seconds:.0f} s)\n\n{measure.tables(results, growths)}\n{more or ''}", flush=True)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "seconds": round(seconds, 1),
        "results": [result.to_dict() for result in results],
        "growths": [growth.to_dict() for growth in growths],
        **more,
    }


def told(name: str, part: dict[str, Any]) -> str:
    """A part of the file as Markdown."""
    results = [
        measure.Result(**{**one, "timings": tuple(measure.Timing(**t) for t in one["timings"])})
        for one in part["results"]
    ]
    growths = [
        measure.Growth(case=one["case"], size=one["size"], points=tuple(map(tuple, one["points"])))
        for one in part["growths"]
    ]
    notes = [f"{result.case}: {result.note}." for result in results if result.note]
    lines = [
        f"### {name.capitalize()}: {part['machine']}, {part['date']}",
        "",
        measure.tables(results, growths),
    ]
    if "consistency" in part:
        lines += ["", _consistency(part["consistency"])]
    return "\n".join([*lines, "", *notes]).rstrip()


def _consistency(told: dict[str, Any]) -> str:
    def cell(one: dict[str, float]) -> str:
        return f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"

    return (
        f"Semantic consistency of the answers about {told['movies']} held-out movies: the reference (transformers, "
        f"float32) {cell(told['reference'])}, the default engine here {cell(told['fast'])}, paired difference "
        f"{cell(told['difference'])}; {told['equal_answers']:.0%} of the answers are equal to the letter."
    )


def write_tables(page: Path, device: str, parts: dict[str, Any]) -> None:
    """Put the tables between the page's marks of the device; a page without them stays as it is."""
    start, end = f"<!-- speed-{device} -->", f"<!-- end of speed-{device} -->"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    if start not in text or end not in text:
        return
    before, after = text.partition(start)[0], text.partition(end)[2]
    tables = "\n\n".join(told(name, parts[name]) for name in PARTS if name in parts)
    with replace_file(page) as beside:
        beside.write_text(f"{before}{start}\n\n{tables}\n\n{end}{after}", encoding="utf-8")


def _docs(given: str) -> Path:
    """The folder of `--out`, with the folder of scores in it."""
    return out_folder(str(out_folder(given) / "scores")).parent


def main() -> None:
    """Measure, write, print; each part is kept as soon as it is measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=USUAL, help="which parts to measure")
    parser.add_argument(
        "--out", type=_docs, default=str(Path(__file__).parents[1] / "docs"), help="folder of docs"
    )
    parser.add_argument("--quick", action="store_true", help="without how training and generation grow")
    given = parser.parse_args()
    device = "gpu" if measure.has_gpu() else "cpu"
    path = given.out / "scores" / f"speed-{device}.json"
    parts = read_json(path) if path.exists() else {}
    for name in given.only:
        parts[name] = measured(name, given.quick)
        write_json(path, parts)
        write_tables(given.out / "performance.md", device, parts)


if __name__ == "__main__":
    main()
