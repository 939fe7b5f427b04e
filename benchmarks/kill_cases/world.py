"""The tiny world in which commands are killed: a reader of two layers, 45 items, and every command that writes.

It is the world of the tests (tests/worlds.py), whose encoder counts ten words: a command takes a fraction of a second,
and writes the same files as it does of millions of items. What a command says and writes depends on a seed, or on one
of two tables, so that old and new can be told apart.
"""

import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "training")]
BUNDLE, OTHER, TOLD, MADE = "b.bundle", "trained.bundle", "told.bundle", "new.bundle"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command that writes."""

    name: str
    arguments: Callable[[int], list[str]]
    """Of run 0, which makes the old state, and of run 1, which is killed."""
    written: tuple[str, ...]
    """Files and folders, each of which must be the old or the new one as a whole."""
    probe: tuple[str, ...]
    """A command that opens what was written, and must say what it said of the old or of the new; empty for none."""
    is_new: bool = False
    """Whether nothing is there before: run 0 is left out."""
    prepare: Callable[[], None] = lambda: with_words()
    """What is replaced by something small in the process."""
    is_big: bool = False
    """Whether a run takes seconds: it is killed less often."""
    may_be_part: bool = False
    """Whether a run that fails leaves the part that it has, which the next one completes."""
    says: bool = False
    """Whether it is the command's own answer that must be the same after a rerun: what it writes is a cache."""
    done: str = ""
    """What the command says, with status 2, where an earlier run did all there was to do."""


def with_words() -> None:
    """Let every command encode texts by counting words."""
    from fakes import WordEncoder

    class Named(WordEncoder):
        digest = "0" * 64

    _replace_encoder(Named())


def with_large_vectors() -> None:
    """Let all vectors count as too large to be copied into memory, so that they are converted into the cache."""
    from vecspeak.tables import mapped

    with_words()
    mapped.LARGE_BYTES = 1


def with_found_answers() -> None:
    """Let `iterate` have ten texts and a search that answers at once; the lexicon is the shipped one."""
    import numpy as np

    from vecspeak.protocols import expert_iteration
    from vecspeak.searching import FoundAnswer
    from vecspeak.tasks.corpus import Text
    from vecspeak.training.dataset import TrainingTexts

    true = "A shark hunts a boat near an island while the mayor waits for the summer guests."
    texts = [
        Text(
            source="movies", kind="plot", key=f"k{number}", title="T", text=f"{true} {number}.", target=true, tags=(),
            split="train",
        )
        for number in range(10)
    ]  # fmt: skip

    class Encoder:
        name, digest, dim = "all-minilm-l6-v2", "0" * 64, 384

        def encode(self, texts: Any, **_: Any) -> Any:
            rows = [np.random.default_rng(list(one[:12].encode())).normal(size=384) for one in texts]
            return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)

    def find(engine: Any, encoder: Any, prompts: Any, vectors: Any, **_: Any) -> Any:
        for number, _ in enumerate(prompts):
            yield number, FoundAnswer(text=true, drafts=("A horse.",))

    def prepared(recipe: Any, encoder: Any, folder: Path) -> TrainingTexts:
        folder.mkdir(exist_ok=True)
        return data

    data = TrainingTexts(texts=texts, vectors=Encoder().encode([one.text for one in texts]))
    expert_iteration.prepare = prepared
    expert_iteration.find_answers = find
    expert_iteration._BLOCK = 3  # the journal is added to several times
    _replace_encoder(Encoder())


def _replace_encoder(encoder: Any) -> None:
    """Let every module open this encoder, whether a person or a bundle names it."""
    for module in [one for key, one in sys.modules.items() if key.startswith("vecspeak.")]:
        for name in ("load_encoder", "load_named_encoder"):
            if name in vars(module):
                setattr(module, name, lambda *_, **__: encoder)


def build(folder: Path) -> None:
    """Write the tables, bundles and reports that the commands read. Trains the tiny reader: some seconds."""
    import lessons
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    import lesson_kit
    import local_rater
    import worlds
    from tiny_models import base_folder
    from vecspeak.bundles import load_bundle, save_bundle
    from vecspeak.cli import main
    from vecspeak.evaluation.report import write_report
    from vecspeak.storage import copy_folder

    _name_base(base_folder())
    worlds.bundle(folder / BUNDLE)
    with_words()
    main(["concept", "fit", str(folder / BUNDLE), "spooky", "--where", "tags=ghost", "--force"])
    (folder / OTHER).mkdir()
    copy_folder(worlds.trained_folder(), folder / OTHER)
    made = worlds.space()
    told = dataclasses.replace(
        made, metadata=pa.table({"text": [text * 2 for text in lesson_kit.ANSWERS[:45]]})
    )
    source = load_bundle(worlds.trained_folder())
    save_bundle(folder / TOLD, source=source, name="told", entries={"pairs": worlds.entry(space=told)})
    for run in (0, 1):
        texts = [f"{text} {'again' if run else 'once'}" for text in worlds.PAIRS]
        rows = {"id": list(made.ids), "label": list(made.labels), "text": texts}
        vectors = made.vectors + np.float32(0.01 * run)
        table = pa.table({**rows, "vector": pa.array(list(vectors), pa.list_(pa.float32()))})
        pq.write_table(table, folder / f"vectors{run}.parquet")
        pq.write_table(table.drop_columns(["vector"]), folder / f"texts{run}.parquet")
        drawn = np.random.default_rng(run)
        ratings = [
            f"u{user},p{item},{drawn.integers(1, 6)}"
            for user in range(30)
            for item in drawn.permutation(45)[:12]
        ]
        (folder / f"ratings{run}.csv").write_text("\n".join(["user,item,rating", *ratings]) + "\n")
    write_report(folder / "scores.json", local_rater.report(local_rater.evaluated_set(8)))
    spaces = lessons.bundle(folder / "people.bundle")
    for name, targets in (("some", lessons.some_targets()), ("held", lessons.held_out_targets())):
        lessons.write(folder / name, spaces, targets)
    (folder / "own.toml").write_text(_recipe(base_folder(), worlds.ENCODER.name, worlds.trained_folder()))
    (folder / "found.toml").write_text((ROOT / "recipes" / "reader.toml").read_text(encoding="utf-8"))


def _name_base(base: Path) -> None:
    """Note the tiny base model as one that a person named, where bundles open no other."""
    from vecspeak.model.pretrained import model_digest

    with contextlib.suppress(ImportError):
        from vecspeak.model.named import name_model

        name_model(str(base), base, model_digest(str(base)))


def _recipe(base: Path, encoder: str, start: Path) -> str:
    return f"""
name = "own"
[base]
model = {json.dumps(str(base))}
encoder = "{encoder}"
start = {json.dumps(str(start))}
[targets]
share = 1.0
[adapter]
hidden_dim = 32
num_soft_tokens = 2
[lora]
rank = 8
alpha = 16
targets = ["q_proj", "v_proj", "o_proj", "down_proj"]
[[stages]]
name = "joint"
share = 1.0
[schedule]
tokens_per_step = 1024
max_hours = 1e-9
"""


_RATINGS = ("--folder", "probe.ratings", "--export-items", "probe.csv")
_INFO = ("space", "info", "--json")
_WORDS_OF = ("describe", BUNDLE, "--cluster", "1", "--no-reader", "--json")
_ASK = (
    "ask",
    BUNDLE,
    "Describe {x}.",
    "--at",
    'x="Pair 3"',
    "--max-tokens",
    "4",
    "--effort",
    "plain",
    "--engine",
    "transformers",
    "--json",
)


def cases(url: str) -> tuple[Case, ...]:
    """Every command that writes; `url` is where the rater of `judge` answers."""
    columns = ("--id", "id", "--label", "label", "--text", "text")

    def fit(run: int, out: str) -> list[str]:
        return [
            *("fit", f"vectors{run}.parquet", *columns, "--vector", "vector", "--name", "pairs"),
            *("--reader", OTHER, "--out", out),
        ]

    return (
        Case(
            name="space embed",
            arguments=lambda run: ["space", "embed", f"texts{run}.parquet", *columns, "--out", "sem.parquet"],
            written=("sem.parquet",),
            probe=(*_INFO, "sem.parquet"),
        ),
        Case(
            name="space factorize",
            arguments=lambda run: [
                *("space", "factorize", f"ratings{run}.csv", "--user", "user", "--item", "item"),
                *("--rating", "rating", "--labels", "texts0.parquet", "--id", "id", "--label", "label"),
                *("--dim", "4", "--out", "beh.parquet"),
            ],
            written=("beh.parquet + users",),
            probe=(*_INFO, "beh.parquet"),
        ),
        Case(
            name="fit",
            arguments=lambda run: fit(run, MADE),
            written=(MADE,),
            probe=("concept", "list", MADE, "--json"),
            is_new=True,
        ),
        Case(
            name="fit over a bundle",
            arguments=lambda run: fit(run, MADE),
            written=(MADE,),
            probe=("words", MADE, '"Pair 3"', "--json"),
        ),
        Case(
            name="fit of a large table",
            arguments=lambda run: fit(run, MADE),
            written=(MADE,),
            probe=("concept", "list", MADE, "--json"),
            prepare=with_large_vectors,
        ),
        Case(
            name="concept fit",
            arguments=lambda run: [
                *("concept", "fit", BUNDLE, "ghostly", "--where", "tags=ghost", "--method"),
                *(("mean", "ridge")[run], "--force", "--seed", str(run)),
            ],
            written=(BUNDLE,),
            probe=("concept", "list", BUNDLE, "--json"),
        ),
        Case(
            name="concept remove",
            arguments=lambda run: (
                ["concept", "remove", BUNDLE, "ghostly"]
                if run
                else [*("concept", "fit", BUNDLE, "ghostly", "--where", "tags=ghost", "--force")]
            ),
            written=(BUNDLE,),
            probe=("concept", "list", BUNDLE, "--json"),
            done="has no concept 'ghostly'",
        ),
        Case(
            name="atlas",
            arguments=lambda run: [
                *("atlas", BUNDLE, "--no-reader", "--method", "kmeans", "--regions", str(4 + run)),
            ],
            written=("atlas/regions.csv", "atlas/regions.json", "atlas/atlas.html", BUNDLE),
            probe=_WORDS_OF,
        ),
        Case(
            name="atlas with the reader",
            arguments=lambda run: [
                *("atlas", BUNDLE, "--method", "kmeans", "--regions", str(4 + run), "--effort", "quick"),
                *("--engine", "transformers"),
            ],
            written=("atlas/regions.csv", "atlas/regions.json", "atlas/atlas.html", BUNDLE),
            probe=_WORDS_OF,
            is_big=True,
        ),
        Case(
            name="trace",
            arguments=lambda run: [
                *("trace", BUNDLE, '"Pair 3"', "--along", "spooky", "--steps", "0,1"),
                *("--seed", str(run), "--max-tokens", "4", "--engine", "transformers", "--out", "t.html"),
            ],
            written=("t.html",),
            probe=(),
        ),
        Case(
            name="leaks",
            arguments=lambda run: [
                *(
                    "leaks",
                    BUNDLE,
                    "--no-encoder",
                    "--no-protections",
                    "--seed",
                    str(run),
                    "--out",
                    "leaks.md",
                ),
            ],
            written=("leaks.md",),
            probe=(),
        ),
        Case(
            name="evaluate",
            arguments=lambda run: [
                *("evaluate", BUNDLE, "--second-encoder", "none", "--max-tokens", "4", "--count", "5"),
                *("--seed", str(run), "--out", "r.json"),
            ],
            written=("r.json", "r.html"),
            probe=("rate", "r.json", "--count", "2", *_RATINGS),
            is_big=True,
        ),
        Case(
            name="judge",
            arguments=lambda run: [
                *("judge", "scores.json", "--url", url, "--model", "rater", "--count", "4"),
                *("--seed", str(run), "--out", "judged.json"),
            ],
            written=("judged.json",),
            probe=("rate", "judged.json", *_RATINGS),
        ),
        Case(
            name="rate",
            arguments=lambda run: [
                *("rate", "scores.json", "--count", str(3 + run), "--export-items", "items.jsonl"),
            ],
            written=("items.jsonl", "scores.ratings/study.json"),
            probe=("rate", "scores.json", "--export-items", "probe.csv"),
        ),
        Case(
            name="teach",
            arguments=lambda run: [
                *("teach", TOLD, "--tasks", "items", "--teacher", "facts", "--count", "4"),
                *("--seed", str(run), "--out", "targets"),
            ],
            written=("targets/targets.jsonl",),
            probe=(),
            may_be_part=True,
        ),
        Case(
            name="train",
            arguments=lambda run: [
                *("train", "own.toml", "--bundle", "people.bundle", "--targets", "some", "--targets"),
                *("held", "--work", "work", "--out", "mine.bundle", "--max-hours", ("1e-9", "2e-9")[run]),
            ],
            written=("mine.bundle",),
            probe=("concept", "list", "mine.bundle", "--json"),
            is_big=True,
        ),
        Case(
            name="iterate",
            arguments=lambda run: [
                *("iterate", "found.toml", "--work", "work", "--reader", OTHER, "--engine", "transformers"),
                *("--count", str(6 + 3 * run), "--out", "found.jsonl.gz"),
            ],
            written=("found.jsonl.gz",),
            probe=(),
            prepare=with_found_answers,
        ),
        Case(
            name="ask, first use of the cache",
            arguments=lambda run: [*_ASK[:-3], "--engine", "openvino", "--json"],
            written=(),
            probe=(),
            is_new=True,
            says=True,
        ),
    )
