"""Merging: one space of a bundle that was opened, changed, and changed on disk meanwhile."""

from dataclasses import replace

from vecspeak.bundles.bundle import SpaceEntry
from vecspeak.errors import UserError


def merged(
    mine: SpaceEntry, opened: SpaceEntry | None, on_disk: SpaceEntry | None, *, same_bundle: bool
) -> SpaceEntry:
    """The entry to save: what was changed since it was opened, on top of what is on disk now.

    `opened` is the entry as it was read from `same_bundle` or another. Concepts are merged by name: own ones win, and
    removed ones stay removed. Raises UserError where the space on disk is another by now and this one is the old one.
    """
    if on_disk is None:
        return mine
    refitted = opened is None or mine.alignment is not opened.alignment
    if mine.space.digest != on_disk.space.digest:
        if same_bundle and not refitted:
            raise UserError(
                f"the space {mine.space.name!r} was fitted again on other content since this bundle was opened",
                "open the bundle again and repeat what was changed, or save to another folder",
            )
        return mine
    known = {} if opened is None else opened.concepts
    own = {name: one for name, one in mine.concepts.items() if one is not known.get(name)}
    theirs = {
        name: one for name, one in on_disk.concepts.items() if name in mine.concepts or name not in known
    }
    # in the order of this copy, then what another one added
    both = {name: own.get(name) or theirs.get(name) for name in (*mine.concepts, *theirs)}
    concepts = {name: one for name, one in both.items() if one is not None}
    is_cut = mine.clusters is not (opened.clusters if opened else None)
    clusters = mine.clusters if is_cut else on_disk.clusters
    base = on_disk if same_bundle and not refitted else mine
    maps = {
        seed: one for seed, one in (on_disk.maps | mine.maps).items() if one.space.digest == mine.space.digest
    }
    return replace(base, concepts=concepts, clusters=clusters, maps=maps)
