"""Points that no item sits at: concepts with their controls, and what lies between, on held-out movies.

    python benchmarks/points.py [--bundle demo/movies.bundle] [--pairs 300] [--items 40] [--only slopes|interpolations]

Restartable: killed at any moment, the same command goes on; answers and vectors are kept in the work folder as they
come, fitted concepts too. Writes the numbers alone, without any text, to OUT/points.json and prints two tables in
Markdown. With --only the other half of the file stays as it was. The table of the space of ratings in docs/points.md:

    python benchmarks/points.py --space movies.behavioral --only slopes --question "Describe {x}." --amounts 0 1.5 3
        --soft-attributes FILE --file points-ratings.json

Which attributes: GENRES below, chosen before anything was measured. They are what the genres of the movies have in the
place of the paper's linear, objective attributes (animated, scary, funny, romantic, action filled, ...), or are as
plain: what is seen or told on the screen, not who made a film or for whom. Each has at least 60 movies that are not
held out. With --soft-attributes FILE (Balog et al. 2021) the crowd's attributes of SOFT are measured too, those that
beat chance in this space: fitted from the crowd, and judged by the classifier of the genre that comes nearest. Of the
paper's, "violent", "big budget" and "long" have no such genre and are left out.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from places import out_folder

from vecspeak.bundles import SpaceEntry, load_bundle
from vecspeak.demo.data import SEMANTIC
from vecspeak.engines import Sampling
from vecspeak.evaluation.cases import column_texts
from vecspeak.evaluation.evaluate import Evaluator
from vecspeak.explore.concepts import fit_entry_concept, import_attributes
from vecspeak.points import Concept, load_concept, rows_where, save_concept
from vecspeak.points.judgements import read_soft_attributes
from vecspeak.points.queries import ColumnComparison
from vecspeak.protocols.interpolation import InterpolationConfig, interpolations
from vecspeak.protocols.slopes import Attribute, SlopeConfig, attribute_slopes
from vecspeak.protocols.text_judges import TextJudges, train_judges
from vecspeak.report.tables import interpolations_markdown, points_scores, read_points, slopes_markdown
from vecspeak.storage import check_target, write_json
from vecspeak.tables.columns import TEXT_COLUMN

NEUTRAL = "a movie"
GENRES = {
    "animated": ("Animation", "an animated movie"),
    "scary": ("Horror", "a scary movie"),
    "funny": ("Comedy", "a funny movie"),
    "romantic": ("Romance Film", "a romantic movie"),
    "action_filled": ("Action", "a movie full of action"),
    "thrilling": ("Thriller", "a thrilling movie"),
    "criminal": ("Crime Fiction", "a movie about crime"),
    "futuristic": ("Science Fiction", "a science fiction movie"),
    "fantastic": ("Fantasy", "a fantasy movie"),
    "warlike": ("War film", "a war movie"),
    "western": ("Western", "a western"),
    "musical": ("Musical", "a musical"),
    "documentary": ("Documentary", "a documentary"),
    "sporty": ("Sports", "a movie about sports"),
}
"""Concept, the genre it is fitted from, and the phrase that the encoder judges it by."""
SOFT = {
    "animated": "animated",
    "cartoonish": "animated",
    "scary": "scary",
    "gory": "scary",
    "funny": "funny",
    "romantic": "romantic",
    "action filled": "action_filled",
    "documentary style": "documentary",
}
"""The crowd's attribute, and the entry of GENRES whose classifier and phrase judge it."""
FEWEST = 60


def concepts_of(entry: SpaceEntry, folder: Path) -> dict[str, Concept]:
    """The concepts of GENRES with enough items, fitted on what is not held out; those of an earlier run are read."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, (genre, _) in GENRES.items():
        mask = mask_of(entry, genre)
        fitted = sum(
            has and item not in entry.held_out for has, item in zip(mask, entry.space.ids, strict=True)
        )
        if fitted < FEWEST:
            continue
        path = folder / f"{name}.{entry.space.digest[:12]}.json"
        if not path.exists():
            print(f"fitting {name}", flush=True)
            save_concept(fit_entry_concept(entry, name, "genres", genre), path)
        found[name] = load_concept(path, entry.space)
    return found


def crowd_of(entry: SpaceEntry, path: Path, seed: int) -> dict[str, Concept]:
    """The crowd's concepts that beat chance in this space, by attribute."""
    given = read_soft_attributes(path)
    wanted = [name for name in SOFT if name in given.judgements]
    imported, _ = import_attributes(entry, given, wanted, source=path.name, seed=seed)
    found = {}
    for one in imported:
        if one.concept is not None and one.is_trusted:
            found[one.attribute] = replace(one.concept, name=f"crowd_{one.concept.name}")
        else:
            why = one.reason or (one.concept.caution if one.concept else "")
            print(f"left out: {one.attribute}, {why}", flush=True)
    return found


def mask_of(entry: SpaceEntry, genre: str) -> np.ndarray:
    """[N] bool: which movies have the genre."""
    mask = np.zeros(entry.space.num_items, dtype=bool)
    mask[rows_where(entry.space, ColumnComparison(column="genres", operator="=", value=genre))] = True
    return mask


def judges_of(entry: SpaceEntry, masks: dict[str, np.ndarray]) -> TextJudges:
    """Classifiers of the movies' own texts, trained on movies that are not held out."""
    texts = [text or "(no text)" for text in column_texts(entry.space, TEXT_COLUMN)]
    held_out = np.array([item in entry.held_out for item in entry.space.ids])
    return train_judges(texts, masks, held_out)


def main() -> None:
    """Ask what was not asked yet, then write the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, default=Path("demo/movies.bundle"))
    parser.add_argument("--space", default=SEMANTIC)
    parser.add_argument("--pairs", type=int, default=300, help="random pairs, and as many near ones, at most")
    parser.add_argument("--items", type=int, default=40, help="movies that go along each concept")
    parser.add_argument(
        "--soft-attributes", type=Path, metavar="FILE", help="your copy of soft-attributes.csv"
    )
    parser.add_argument("--amounts", type=float, nargs="*", default=[0.0, 6.0, 12.0])
    parser.add_argument("--question", default="Describe the movie {x}.")
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--only", choices=["slopes", "interpolations"])
    parser.add_argument("--work", type=Path, default=Path("work/points"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    parser.add_argument("--file", default="points.json", help="name of the file in OUT")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    out = given.out / given.file
    given.out.mkdir(parents=True, exist_ok=True)
    check_target(out)
    write_json(out, measured(given, before(out)))
    plain = read_points(out)
    print(f"{slopes_markdown(plain)}\n\n{interpolations_markdown(plain)}")


def before(out: Path) -> dict[str, object]:
    """The numbers that are there already, for the half that is not measured again."""
    return read_points(out) if out.exists() else {"slopes": [], "interpolations": [], "settings": {}}


def measured(given: argparse.Namespace, known: dict[str, object]) -> dict[str, object]:
    """Both halves, or one beside what was known of the other."""
    bundle = load_bundle(given.bundle)
    entry = bundle.entry(given.space)
    run = Evaluator(bundle, keep=given.work / "kept", second="none", engine=given.engine)
    concepts = concepts_of(entry, given.work / "concepts")
    masks = {name: mask_of(entry, GENRES[name][0]) for name in concepts}
    judges = judges_of(entry, masks)
    sampling = Sampling(max_new_tokens=given.max_tokens)
    common = {"question": given.question, "sampling": sampling, "seed": given.seed}
    slopes, between = [], []
    if given.only != "interpolations":
        settings = SlopeConfig(items=given.items, amounts=tuple(given.amounts), **common)
        crowd = crowd_of(entry, given.soft_attributes, given.seed) if given.soft_attributes else {}
        chosen = attributes_of(concepts, crowd)
        slopes = attribute_slopes(run.models(), entry, chosen, judges, settings, run.cache)
    if given.only != "slopes":
        pairs = InterpolationConfig(pairs=given.pairs, **common)
        between = interpolations(run.models(), entry, judges, masks, pairs, run.cache)
    said = {
        "bundle": bundle.manifest.name,
        "space": f"{entry.space.name} {entry.space.digest[:12]}",
        "encoder": bundle.manifest.reader.encoder,
        "language_model": bundle.manifest.reader.base_model,
        "engine": run.engine,
        "question": given.question,
        "max_tokens": given.max_tokens,
        "seed": given.seed,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    made = json.loads(json.dumps(points_scores(slopes, between, said)))
    for half in ("slopes", "interpolations"):
        if given.only and half != given.only:
            made[half] = known[half]
    return made


def attributes_of(concepts: dict[str, Concept], crowd: dict[str, Concept]) -> Sequence[Attribute]:
    """The concepts with what judges them; of the crowd's, those whose genre is there."""
    own = [Attribute(concept=one, phrase=GENRES[name][1], neutral=NEUTRAL) for name, one in concepts.items()]
    return own + [
        Attribute(concept=one, phrase=GENRES[SOFT[name]][1], neutral=NEUTRAL, judge=SOFT[name])
        for name, one in crowd.items()
        if SOFT[name] in concepts
    ]


if __name__ == "__main__":
    main()
