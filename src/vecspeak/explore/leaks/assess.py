"""Assess: what attacks read of each kind of data, held against chance and against what is known without vectors."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.console import progress_bar
from vecspeak.encoders.text import Encoder
from vecspeak.errors import (
    UserError,
    check_one_of,
    check_seed,
    check_some_of,
    check_text,
    check_whole,
    did_you_mean,
)
from vecspeak.explore.leaks.attacks import PairSplit, at_common_scale, read_all
from vecspeak.explore.leaks.findings import LeakReading, Leaks, ProtectionResult, best_of, graded
from vecspeak.explore.leaks.judging import TestedReading, corrected, judged
from vecspeak.explore.leaks.protections import (
    Protection,
    neighbours,
    protections,
    queries_of,
    share_retained,
)
from vecspeak.explore.leaks.ratings import rating_readings
from vecspeak.explore.leaks.strings import WORDS
from vecspeak.explore.leaks.targets import ANY, LeakTarget, NotMeasured, column_targets, text_targets
from vecspeak.explore.leaks.texts import KnownEncoder, TextPairs, text_readings
from vecspeak.spaces import Space
from vecspeak.spaces.splits import SPLIT_COLUMN
from vecspeak.tables.cells import to_python
from vecspeak.tables.columns import TEXT_COLUMN

FEWEST_ITEMS, _FEWEST_PAIRS = 40, 20
_HELD_OUT, _PAIRS = 2500, 2500
"""Items that are measured at most, and pairs where no number of them is given."""
_ITEM = "item"
_FORM_HELD_OUT, _FORM_TERMS = 1000, 1000
"""The same for each protection: a dozen times are measured."""


def leaks(
    entry: SpaceEntry,
    *,
    encoder: Encoder | None = None,
    attributes: Sequence[str] = (),
    pairs: int | None = None,
    by: str = "",
    protected: bool = True,
    ratings: Mapping[str, Mapping[str, float]] | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Leaks:
    """Measure what can be read from the vectors of a space, and of its people where that is asked for.

    The attacker has `pairs` items with their data, by default half of at most 5,000, and is measured on others; items
    with equal texts, or with one value of the column `by`, stay on one side. With an `encoder` that gives the vectors
    back it can embed texts that it suspects. `attributes` name columns that may say something of persons; `ratings`, by
    person and id of the item, are those that people's vectors were made of. Raises UserError for few items, and for
    columns that are not there.
    """
    space, users = entry.space, entry.users
    check_seed(seed)
    check_one_of("protected", protected, (True, False))
    _check_columns(space, users, attributes, by)
    draw = np.random.default_rng(seed)
    given, split, held_out_by = _divided(space, pairs, by, draw)
    texts, no_texts = text_targets(given)
    columns, no_columns = column_targets(given, attributes=attributes)
    targets = texts + columns
    known = None if encoder is None else KnownEncoder.of(space, encoder)
    whole = TextPairs.of(given, split, texts, known)
    if alike := _given_up(space, given, columns):
        no_texts, whole = [NotMeasured(name="texts", reason=alike)], replace(whole, missing=())
    found = measured(given.vectors, split, targets, whole, draw)
    of_people, no_people, lines = _of_people(entry, attributes, ratings, draw, seed)
    readings = corrected([*found, *of_people])
    judged_titles = {one.title for one in readings}
    unread = [one for one in targets if one.title not in judged_titles]
    return Leaks(
        space=space.name,
        num_items=given.num_items,
        num_pairs=len(split.pairs),
        num_held_out=len(split.held_out),
        num_all=space.num_items,
        held_out_by=held_out_by,
        encoder="" if whole.encoder is None else whole.encoder.name,
        grade=graded(readings),
        reasons=_reasons(readings),
        readings=tuple(readings),
        not_measured=(
            *no_texts,
            *whole.missing,
            *no_columns,
            *(
                NotMeasured(
                    name=one.title, reason="too few of the pairs or of the held-out items differ in it"
                )
                for one in unread
            ),
            *no_people,
            NotMeasured(
                name="labels and ids", reason="whoever gets them with the vectors reads them as they are"
            ),
        ),
        protections=_protected(entry, given, split, targets, whole, ratings, draw, seed, progress)
        if protected
        else (),
        assumed=(*_assumed(space, split, held_out_by, whole), *lines),
    )


def _check_columns(space: Space, users: Space | None, attributes: Sequence[str], by: str) -> None:
    columns = (*space.metadata.column_names, *(users.metadata.column_names if users else ()))
    known = [name for name in columns if name not in (TEXT_COLUMN, SPLIT_COLUMN)]
    if attributes:
        check_some_of("attributes", attributes, known)
    if check_text("by", by) and by not in space.metadata.column_names:
        names = [name for name in space.metadata.column_names if name != TEXT_COLUMN]
        raise UserError(
            f"{space.name} has no column {by!r}",
            did_you_mean(by, names, f"there are {', '.join(names) or 'none'}"),
        )


# --- who has what ---


def _divided(
    space: Space, pairs: int | None, by: str, draw: np.random.Generator
) -> tuple[Space, PairSplit, str]:
    """The items that are looked at, which of them the attacker has, and what is never on both sides."""
    count = space.num_items
    if count < FEWEST_ITEMS:
        raise UserError(
            f"{space.name} has {count} items, and what is read of them is measured from {FEWEST_ITEMS} on",
            "give a larger space",
        )
    wanted = min(count // 2, _PAIRS) if pairs is None else check_whole("pairs", pairs, _FEWEST_PAIRS)
    if wanted > count - _FEWEST_PAIRS:
        raise UserError(
            f"`pairs` is {wanted:,}, and of {count:,} items {_FEWEST_PAIRS} at least are held out",
            f"use `pairs={count // 2}`",
        )
    groups, held_out_by = _groups(space, by)
    order, taken = _first_groups(groups, wanted, draw)
    if not _FEWEST_PAIRS <= taken <= count - _FEWEST_PAIRS:
        if by:
            raise UserError(
                f"{by} does not divide {count:,} items: the largest group has {int(np.bincount(groups).max()):,}",
                f"hold out by another column than {by}, or leave `by` out",
            )
        # texts are nearly all the same: they say nothing, and columns are measured without them
        space = space.changed(metadata=space.metadata.drop_columns([TEXT_COLUMN]))
        order, taken, held_out_by = draw.permutation(count), wanted, _ITEM
    first, rest = order[:taken], order[taken : taken + _HELD_OUT]
    rows = np.concatenate([first, rest])
    split = PairSplit(pairs=np.arange(len(first)), held_out=np.arange(len(first), len(rows)))
    given = space.take(rows)
    return replace(given, vectors=at_common_scale(given.vectors)), split, held_out_by


def _first_groups(groups: np.ndarray, wanted: int, draw: np.random.Generator) -> tuple[np.ndarray, int]:
    """[N] rows, whole groups after each other in a random order, and how many of the first are `wanted` or fewer."""
    number = draw.permutation(int(groups.max()) + 1)[groups]
    sizes = np.bincount(number)
    filled = int(np.searchsorted(np.cumsum(sizes), wanted, side="right"))
    return np.argsort(number, kind="stable"), int(sizes[:filled].sum())


def _given_up(space: Space, given: Space, columns: Sequence[LeakTarget]) -> str:
    """Why texts are not measured though there are some; empty where they are. UserError where nothing else is."""
    if TEXT_COLUMN not in space.metadata.column_names or TEXT_COLUMN in given.metadata.column_names:
        return ""
    groups, _ = _groups(space, "")
    alike = f"{int(np.bincount(groups).max()):,} of {space.num_items:,} have the same one"
    if not columns:
        raise UserError(
            f"of {space.name} neither texts nor a column can be measured: of the texts {alike}",
            "give the items texts that differ, or name a column of persons with `attributes`",
        )
    return alike


def _groups(space: Space, by: str) -> tuple[np.ndarray, str]:
    """[N] numbers of groups that stay together, and what they are."""
    if by:
        keys = [None if value is None else str(value) for value in to_python(space.metadata.column(by), by)]
        what = by
    elif TEXT_COLUMN in space.metadata.column_names:
        texts = to_python(space.metadata.column(TEXT_COLUMN), TEXT_COLUMN)
        keys = [" ".join((text or "").casefold().split()) or None for text in texts]
        what = f"{_ITEM}, equal texts together"
    else:
        keys, what = [None] * space.num_items, _ITEM
    numbers: dict[object, int] = {}
    # what has no key is a group of its own
    return np.array(
        [numbers.setdefault((row,) if key is None else key, len(numbers)) for row, key in enumerate(keys)]
    ), what


def _assumed(space: Space, split: PairSplit, held_out_by: str, whole: TextPairs) -> tuple[str, ...]:
    looked_at = len(split.pairs) + len(split.held_out)
    sampled = "" if looked_at == space.num_items else f", drawn from {space.num_items:,}"
    lines = [
        f"assumed: the attacker has {len(split.pairs):,} other items of this kind, vectors and all data, and is "
        f"measured on {len(split.held_out):,} of which it has the vectors alone{sampled}; held out by {held_out_by}",
    ]
    if whole.encoder is not None:
        lines.append(
            f"assumed: it also has {whole.encoder.name}, which gives these vectors back (mean cosine of "
            f"{whole.encoder.num_compared} texts {whole.encoder.cosine:.3f}), and can embed texts that it suspects"
        )
    return tuple(lines)


# --- what is read ---


def measured(
    vectors: np.ndarray,
    split: PairSplit,
    targets: Sequence[LeakTarget],
    whole: "TextPairs | None",
    draw: np.random.Generator,
    form: Protection | None = None,
) -> list[TestedReading]:
    """What both attacks, and one with the encoder, read of all targets from [N, D] vectors."""
    found = []
    readings = read_all(vectors, split, targets)
    for target, some in zip(targets, readings, strict=True):
        found += [made for one in some if (made := judged(target, one, split, draw)) is not None]
    if whole is not None:
        of_words = next(
            (some for target, some in zip(targets, readings, strict=True) if target is whole.words), []
        )
        found += text_readings(whole, vectors, split, of_words, draw, form)
    return found


def _of_people(
    entry: SpaceEntry,
    attributes: Sequence[str],
    ratings: Mapping[str, Mapping[str, float]] | None,
    draw: np.random.Generator,
    seed: int,
) -> tuple[list[TestedReading], list[NotMeasured], list[str]]:
    """Columns of people that were named as attributes, and their ratings where they are given; what was assumed."""
    users = entry.users
    if users is None:
        return [], [], []
    found: list[TestedReading] = []
    lines: list[str] = []
    _, missing = column_targets(users, attributes=attributes, of_people=True)
    if set(attributes) & set(users.metadata.column_names):
        given, split, _ = _divided(users, None, "", draw)
        targets, missing = column_targets(given, attributes=attributes, of_people=True)
        for one in measured(given.vectors, split, targets, None, draw):
            found.append(
                replace(
                    one,
                    reading=replace(one.reading, name=f"{one.reading.name} of people", held_out_by="person"),
                )
            )
        lines.append(
            f"assumed: of {len(split.held_out):,} people it has the vectors, of {len(split.pairs):,} all"
        )
    if ratings is None:
        reason = "the ratings that people's vectors were made of are not given"
        return found, [*missing, NotMeasured(name="ratings", reason=reason)], lines
    of_ratings, count = rating_readings(entry, ratings, seed)
    if not of_ratings:
        reason = "nobody can be folded in" if entry.fold_in is None else f"{count} people rated enough"
        return found, [*missing, NotMeasured(name="ratings", reason=reason)], lines
    lines.append(
        f"assumed: of {count:,} people, each folded in from half of their ratings, it has the vectors, and the items'"
    )
    return found + of_ratings, missing, lines


def _reasons(readings: Sequence[LeakReading]) -> tuple[str, ...]:
    """What the grade follows from: the worst first, three at most."""
    best = sorted(best_of(readings), key=lambda one: (-one.is_detail * (one.advantage > 0), -one.advantage))
    found = [one.reason for one in best if one.is_found][:3]
    return tuple(found) or ("no attack read more than without the vector, or than from another item's",)


# --- protected vectors ---


def _protected(
    entry: SpaceEntry,
    given: Space,
    split: PairSplit,
    targets: Sequence[LeakTarget],
    whole: TextPairs,
    ratings: Mapping[str, Mapping[str, float]] | None,
    draw: np.random.Generator,
    seed: int,
    progress: bool,
) -> tuple[ProtectionResult, ...]:
    """The same for each form of the vectors; the attacker has its pairs in that form too."""
    rows = queries_of(given, draw)
    before = neighbours(given, given.vectors, rows)
    targets = [replace(one, most=min(one.most, _FORM_TERMS)) for one in targets if one.name != ANY]
    whole = replace(whole, words=next((one for one in targets if one.kind == WORDS and whole.words), None))
    whole = replace(whole, candidates=whole.candidates[whole.candidates < _FORM_HELD_OUT])
    split = replace(split, held_out=split.held_out[:_FORM_HELD_OUT], with_examples=False)
    made = []
    forms = progress_bar(protections(given.dim), desc="protecting", unit="form", shown=progress)
    for number, form in enumerate(forms):
        vectors = form.apply(given.vectors, np.random.default_rng((seed, number)))
        found = measured(vectors, split, targets, whole, np.random.default_rng(seed), form)
        if ratings is not None:
            found += rating_readings(entry, ratings, seed, form, number)[0]
        readings = best_of(corrected(found))
        made.append(
            ProtectionResult(
                name=form.name,
                bytes_each=form.bytes_each,
                neighbours=share_retained(before, neighbours(given, vectors, rows), seed),
                grade=graded(readings),
                readings=tuple(replace(one, examples=()) for one in readings),
            )
        )
    return tuple(made)
