"""The demo's bundle: made once, and opened again for as long as nothing that it was made of changes."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from vecspeak import __version__
from vecspeak.bundles import Bundle, SpaceEntry, load_bundle, save_bundle
from vecspeak.bundles.fitting import fit_space, texts_of
from vecspeak.demo.chapters import ATLAS_SEED, REGIONS
from vecspeak.demo.data import (
    BEHAVIORAL,
    CONCEPTS,
    FACTORS,
    LEFT_OUT,
    MIN_RATINGS,
    SEMANTIC,
    SPLIT_SEED,
    SPLIT_SHARE,
    Sources,
    behavioral_space,
    plots,
)
from vecspeak.encoders.text import Encoder
from vecspeak.errors import UserError
from vecspeak.explore.atlas import make_atlas
from vecspeak.explore.concepts import fit_entry_concept, with_concepts
from vecspeak.points.foldin import FoldIn
from vecspeak.spaces import Space
from vecspeak.spaces.splits import choose_splits
from vecspeak.storage import digest, file_digest
from vecspeak.tables.columns import TEXT_COLUMN

_KEY = "demo_key"
_CONTENT = 5
"""Goes up when something else of the same things is put into the bundle; 2 has how its viewers were made,
3 what it takes to trust its concepts, 4 the regions of the movies, 5 their names of today and their levels."""


def demo_bundle(
    folder: Path, *, reader: Bundle, sources: Sources, encoder: Encoder, say: Callable[[str], None]
) -> Bundle:
    """The bundle with both spaces: opened when it is there and fits, else made. Raises UserError as saving does."""
    key = _key_of(reader, sources, encoder)
    retained = _opened(folder, key)
    if retained is not None:
        say(f"using {folder}")
        return retained
    say("making the space of plots, its concepts and its regions (once)")
    semantic = _semantic_entry(sources, encoder)
    say("making the space of ratings and mapping it to the reader (once)")
    entries = {SEMANTIC: semantic, BEHAVIORAL: _behavioral_entry(sources, encoder)}
    marked = {
        name: dataclasses.replace(entry, report={**entry.report, _KEY: key})
        for name, entry in entries.items()
    }
    return save_bundle(folder, source=reader, name="movies", entries=marked)


def _opened(folder: Path, key: str) -> Bundle | None:
    """The bundle that is there, if it is whole and was made of the same things."""
    try:
        bundle = load_bundle(folder)
    except UserError:
        return None
    fits = set(bundle.entries) == {SEMANTIC, BEHAVIORAL} and all(
        entry.report.get(_KEY) == key for entry in bundle.entries.values()
    )
    return bundle if fits else None


def _key_of(reader: Bundle, sources: Sources, encoder: Encoder) -> str:
    """Digest of everything that the bundle is made of."""
    files = (
        sources.space,
        sources.movies,
        *(sources.ratings / f"ml-100k.{kind}" for kind in ("inter", "item")),
    )
    parts = [
        __version__,
        reader.manifest.to_dict(),
        encoder.name,
        [file_digest(path) for path in files],
        _CONTENT,
        [FACTORS, MIN_RATINGS, SPLIT_SEED, SPLIT_SHARE, LEFT_OUT, CONCEPTS, REGIONS, ATLAS_SEED],
    ]
    return digest(parts)


def _semantic_entry(sources: Sources, encoder: Encoder) -> SpaceEntry:
    space = _with_plots(Space.load(sources.space), sources.movies)
    splits = choose_splits(space, share=SPLIT_SHARE, seed=SPLIT_SEED)
    entry = fit_space(space, texts=texts_of(space), encoder=encoder, splits=splits)
    entry = with_concepts(
        entry, [fit_entry_concept(entry, name, "genres", genre) for name, genre in CONCEPTS.items()]
    )
    _, clusters = make_atlas(entry, regions=REGIONS, seed=ATLAS_SEED)
    return dataclasses.replace(entry, clusters=clusters)


def _with_plots(space: Space, csv: Path) -> Space:
    """The space with its plots as texts, so that answers can be compared with them. The bundle is not for sharing."""
    known = plots(csv)
    texts = pa.array([known.get(item) for item in space.ids], type=pa.string())
    return dataclasses.replace(space, metadata=space.metadata.append_column(TEXT_COLUMN, texts))


def _behavioral_entry(sources: Sources, encoder: Encoder) -> SpaceEntry:
    made = behavioral_space(sources.ratings, sources.movies)
    return fit_space(
        made.space,
        texts=made.texts,
        encoder=encoder,
        users=made.users,
        fold_in=FoldIn(settings=made.settings),
        splits=made.splits,
        progress=True,
    )
