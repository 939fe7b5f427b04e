"""Two readers on the same held-out entities, paired: whether the second is no worse as a reader than the first.

    python benchmarks/readers.py FIRST SECOND [--count 150] [--work work/readers] [--out docs/scores]

FIRST and SECOND are bundles, or names of shipped readers. Asked of movies by plots, movies by ratings and, where the
data is installed, words. Greedy answers by the fastest engine, losses by torch. For each set: consistency by encoder,
loss and swap gap of both readers, and second minus first with a 95% bootstrap interval over entities. Restartable.
"""

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from places import out_folder
from quality import WORDS, movies_bundle, words_bundle

from vecspeak.bundles import Bundle, save_bundle
from vecspeak.bundles.bundle import open_reader
from vecspeak.bundles.weights import load_reader
from vecspeak.demo.data import BEHAVIORAL, SEMANTIC
from vecspeak.encoders.text import load_encoder
from vecspeak.engines import Sampling, open_engine
from vecspeak.errors import UserError
from vecspeak.evaluation.answering import answer, losses
from vecspeak.evaluation.baselines import READ
from vecspeak.evaluation.cases import CaseSet, space_cases
from vecspeak.evaluation.wording import NO_ANSWER
from vecspeak.stats import Estimate, Series, difference
from vecspeak.storage import Cache, write_json

QUESTIONS = {SEMANTIC: "Describe the movie {x}.", BEHAVIORAL: "Describe {x}.", WORDS: "Describe {x}."}


def spaces(work: Path) -> Iterator[Bundle]:
    """The bundles whose entities are asked about."""
    yield movies_bundle(work)
    try:
        yield words_bundle(work)
    except UserError as error:
        print(f"words are left out: {error}")


def with_reader(spaces: Bundle, reader: Bundle, folder: Path) -> Bundle:
    """The same spaces with another reader."""
    return save_bundle(folder, source=reader, name=spaces.manifest.name, entries=spaces.entries)


def measured(bundle: Bundle, cases: CaseSet, cache: Cache) -> dict[str, Series]:
    """Consistency of the greedy answers, loss and swap gap of the truth, entity by entity."""
    encoder, key = load_encoder(), str(bundle.manifest.files)
    assert READ.prompts is not None and cases.truth is not None
    prompts = READ.prompts(cases, 0)
    texts = answer(
        open_engine(bundle),
        prompts,
        Sampling(max_new_tokens=80),
        key=f"{key}/reader",
        cache=cache,
        progress=cases.name,
    )
    vectors = encoder.encode([text.strip() or NO_ANSWER for text in texts])
    reader = load_reader(bundle)
    found = {}
    for name, given in (("right", prompts), ("swapped", cases.roll(prompts))):
        found[name] = losses(reader, given, cases.targets, key=f"{key}/reader", cache=cache, progress=name)
    nats, counts = found["right"]
    return {
        "consistency": Series(np.einsum("nt,nt->n", vectors, cases.truth)),
        "loss": Series(nats / counts, counts),
        "swap gap": Series((found["swapped"][0] - nats) / counts, counts),
    }


def compared(first: dict[str, Series], second: dict[str, Series]) -> dict[str, dict[str, Estimate | None]]:
    """Each measure of both, and second minus first."""
    return {
        name: {
            "first": first[name].estimate(),
            "second": second[name].estimate(),
            "difference": difference(second[name], first[name]),
        }
        for name in first
    }


def _cell(found: Estimate | None) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]" if found else "–"


def main() -> None:
    """Measure both on every set, then write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--work", type=Path, default=Path("work/readers"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    readers = [open_reader(name) for name in (given.first, given.second)]
    report: dict[str, Any] = {"first": given.first, "second": given.second, "sets": {}}
    lines = ["| set | measure | first | second | second minus first |", "|---|---|---|---|---|"]
    cache, encoder = Cache(given.work / "answers.sqlite"), load_encoder()
    for bundle in spaces(given.work):
        for name, entry in bundle.entries.items():
            cases = space_cases(entry, encoder, question=QUESTIONS[name], count=given.count)
            both = [
                measured(with_reader(bundle, reader, given.work / f"reader-{number}"), cases, cache)
                for number, reader in enumerate(readers)
            ]
            found = compared(*both)
            report["sets"][name] = {
                "count": len(cases.ids),
                **{
                    key: {k: e and dataclasses.asdict(e) for k, e in one.items()}
                    for key, one in found.items()
                },
            }
            lines += [
                f"| {name} ({len(cases.ids)}) | {key} | {' | '.join(_cell(e) for e in one.values())} |"
                for key, one in found.items()
            ]
    given.out.mkdir(parents=True, exist_ok=True)
    write_json(given.out / "readers.json", report)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
