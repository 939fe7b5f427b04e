"""Families of language models, each at random weights the whole way: trained, saved, opened again, asked.

    python benchmarks/families.py [--out docs/scores]

What is measured is what tests/model/test_families.py and tests/model/test_gguf.py hold, with the same tiny models.
Writes OUT/families.json; scripts/score_pages.py makes the table of docs/language-models.md of it.
"""

import argparse
import os
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from places import out_folder

from vecspeak.bundles.checking import name_models
from vecspeak.bundles.weights import load_reader
from vecspeak.engines.batching import fits_slots
from vecspeak.engines.prepared import unsupported
from vecspeak.engines.transformers import TransformersEngine
from vecspeak.model.head import output_head
from vecspeak.model.pretrained import load_language_model
from vecspeak.storage import read_json, write_json
from vecspeak.training.lora import lora_targets
from vecspeak.training.recipe import Lora

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "model")]
import test_families as whole_way  # noqa: E402  (the way stands beside the test that holds it)
import test_gguf as files  # noqa: E402

from tiny_models import base_folder, tiny_model  # noqa: E402


def measured(family: str, folder: Path) -> dict[str, Any]:
    """Train, save, open and ask one family; what its reader lost by being saved, and how it is run."""
    (folder / "work").mkdir()
    reader = whole_way.trained(family, folder / "work")
    saved = whole_way.saved(reader, family, folder / "made")
    name_models(saved.manifest.reader, base=base_folder(family))
    loaded = load_reader(saved)
    reader.language_model.float()
    with torch.no_grad():
        ours, theirs = (whole_way.logits(one, whole_way.PROMPTS[1]) for one in (reader, loaded))
    answers = TransformersEngine(loaded).generate(whole_way.PROMPTS, whole_way.GREEDY)
    alone = [TransformersEngine(loaded).generate([one], whole_way.GREEDY)[0] for one in whole_way.PROMPTS]
    head = output_head(loaded.language_model)
    return {
        "class": type(loaded.language_model).__name__,
        "layers": lora_targets(tiny_model(family), Lora()),
        "tied": bool(getattr(loaded.language_model.config, "tie_word_embeddings", False)),
        "scale": head.scale,
        "cap": head.cap,
        "difference": float((ours - theirs).abs().max() / ours.abs().max()),
        "batched_as_alone": answers == alone,
        "continuous": fits_slots(loaded.language_model),
        "openvino": not unsupported(read_json(base_folder(family) / "config.json")),
        "gguf": gguf_difference(family, folder) if family in files.WIDTHS else None,
    }


def gguf_difference(family: str, folder: Path) -> float:
    """Largest difference of a score when the model is opened from its GGUF file, as a share of the largest score."""
    path = folder / f"{family}.gguf"
    model = files.written(path, family)
    loaded, _ = load_language_model(str(path), torch.float32)
    with torch.no_grad():
        wanted, found = model(files.IDS).logits, loaded(files.IDS).logits
    return float((wanted - found).abs().max() / wanted.abs().max())


def main() -> None:
    """Measure every family of the tests."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    given = parser.parse_args()
    found: dict[str, Any] = {"transformers": metadata.version("transformers"), "families": {}}
    for family in whole_way.ALL:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["VECSPEAK_CACHE"] = str(Path(folder) / "cache")
            found["families"][family] = measured(family, Path(folder))
        print(family, found["families"][family], flush=True)
    write_json(given.out / "families.json", found)


if __name__ == "__main__":
    main()
