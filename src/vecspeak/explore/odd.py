"""Odd items: outliers, near copies, items whose text and vector disagree, and mislabelled ones, grouped by why.

Each kind has a tested rule with a false discovery rate of 5% and says beside what it found what it would have found:
random directions, shuffled texts and values given to items without them go through the same rule. Where nothing is
found this figure says whether that means anything.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from vecspeak.bundles import SpaceEntry
from vecspeak.bundles.lexicons import texts_of
from vecspeak.display import LABEL
from vecspeak.errors import UserError, check_seed, check_some_of, did_you_mean, listed, shorten, shown_value
from vecspeak.explore import disagreement
from vecspeak.explore.contrast import Facts, contrast, is_number
from vecspeak.explore.copies import COPY_KINDS, CopyKind, copy_kind
from vecspeak.explore.mislabels import Mislabel, by_value, mislabels
from vecspeak.explore.neighbourhoods import (
    Neighbourhoods,
    lone_items,
    looked_at,
    near_copies,
    neighbourhoods,
    odd_makes,
)
from vecspeak.explore.oddities import LEAST_POWER, OddGroup, OddItem, Oddities, OddKind
from vecspeak.explore.reembedding import SAME, Encode, Reembedding, reembedded
from vecspeak.spaces import Space
from vecspeak.spaces.search import unit_rows
from vecspeak.tables.columns import TEXT_COLUMN

FEWEST = 50
"""Items that what is usual of a space can be read from."""
KINDS = ("texts", "copies", "labels", "outliers")
_NEAR, _WORDS, _LETTERS = 3, 6, 300
"""Nearest items that are named, words of a group, and letters of a text."""
_SHARED = 3
"""Outliers that must have a value or a word in common to be a group."""
_ONE = "all items have one vector"
_ALONE = "nothing in common"
_LENGTHS = ("longer vectors", "shorter vectors")
_MOST_SHARED = 5
"""Groups of outliers by what they have in common."""
_ALIKE = 2.0
"""Times the squared length of a random group's mean from which on a group's mean is read."""
_SHORT = 20
"""Letters below which a text says hardly anything."""


def odd(
    entry: SpaceEntry,
    *,
    kinds: Collection[str] | None = None,
    columns: Collection[str] | None = None,
    encode: Encode | None = None,
    likely: str = "",
    seed: int = 0,
) -> Oddities:
    """Find the odd items of a space, of some `kinds` or all.

    `columns` are those whose values are judged, by default all that hold values. `encode` embeds texts as those of the
    space were: where it is given, and gives the space's vectors, a sample and all suspects are compared exactly.
    `likely` is its name where the space does not name it, which the control then says.
    Raises UserError for fewer than 50 items, and for another kind or column.
    """
    check_seed(seed)
    check_some_of("kinds", kinds, KINDS)
    space = entry.space
    if space.num_items < FEWEST:
        raise UserError(
            f"{space.name!r} has {space.num_items} items, and what is odd is told from {FEWEST} on",
            "give a space of more items",
        )
    _check_columns(space, columns)
    finder = _Finder(entry, columns, encode, likely, seed)
    asked = [name for name in KINDS if kinds is None or name in kinds]
    # labels last: what texts or outliers explain is left out of them
    looks = {"texts": finder.texts, "copies": finder.copies, "outliers": finder.outliers}
    made: dict[str, OddKind] = {}
    for name in sorted(asked, key=lambda name: name == "labels"):
        made[name] = finder.labels(tuple(made.values())) if name == "labels" else looks[name]()
    found = tuple(made[name] for name in asked)
    return Oddities(
        space=space.name, num_items=space.num_items, num_asked=len(finder.rows), kinds=finder.in_words(found)
    )


def _check_columns(space: Space, columns: Collection[str] | None) -> None:
    """Raise UserError where a column is not there, or holds what is not judged."""
    held = {one.name: one.type for one in space.metadata.schema if one.name != TEXT_COLUMN}
    # names of columns that are not there are refused below, where numbers and other columns are known
    given = [one for one in columns if isinstance(one, str)] if isinstance(columns, Collection) else []
    check_some_of("columns", columns, [*held, *given])
    judged = [name for name, kind in held.items() if not is_number(kind)]
    otherwise = (
        f"its columns with values are {listed(map(repr, judged), 10)}"
        if judged
        else "it has none with values"
    )
    for column in columns or ():
        if column not in held:
            raise UserError(
                f"{space.name!r} has no column {shown_value(column)} whose values could be judged",
                did_you_mean(str(column), held, otherwise),
            )
        if is_number(held[column]):
            raise UserError(
                f"column {column!r} of {space.name!r} is numeric, and values are judged of columns of text, of yes and "
                "no, and of lists of them",
                otherwise,
            )


class _Finder:
    """A space with what is known of its items; what several kinds need is made once."""

    def __init__(
        self,
        entry: SpaceEntry,
        columns: Collection[str] | None,
        encode: Encode | None,
        likely: str,
        seed: int,
    ) -> None:
        self.entry, self.space, self.columns = entry, entry.space, columns
        self.encode, self.likely, self.seed = encode, likely, seed
        self.rows = looked_at(self.space.num_items, seed)

    @cached_property
    def own_texts(self) -> list[str]:
        """N texts, blank where an item has none; empty where the space has no texts."""
        return texts_of(self.space)

    @cached_property
    def known(self) -> Neighbourhoods:
        return neighbourhoods(self.space, self.rows)

    @cached_property
    def facts(self) -> Facts:
        """Of the items that are looked at."""
        is_whole = len(self.rows) == self.space.num_items
        return Facts.from_space(self.space if is_whole else self.space.take(self.rows))

    # --- items ---

    def item(
        self, row: int, score: float, note: str, near: Sequence[int] | None = None, number: int = 0
    ) -> OddItem:
        place = int(self.known.places()[row]) if near is None else -1
        if near is None:
            near = self.known.near[place, :_NEAR].tolist() if place >= 0 else []
        labels = self.space.labels
        return OddItem(
            row=row,
            id=self.space.ids[row],
            label=labels[row],
            score=round(score, 4),
            note=note,
            text=self.own_texts[row][:_LETTERS] if self.own_texts else "",
            near=tuple(labels[one] for one in near),
            set=number,
        )

    # --- texts ---

    def texts(self) -> OddKind:
        """Items whose text and vector disagree."""
        if not self.own_texts:
            return _not_looked_at("texts", "the space has no texts")
        if self.known.is_one_vector:
            return _not_looked_at("texts", _ONE)
        words = self.facts.words.matrix
        having = np.flatnonzero(np.asarray(words.sum(1)).ravel())
        few = ""
        if len(having) < disagreement.FEWEST:
            few = f"{len(having):,} items have words that others have too, and the map needs {disagreement.FEWEST}"
        elif (self.facts.words.counts(having) == len(having)).all():
            few = "all texts have the same words, which tell no item from another"
        if few:
            exact = self._embedded_again(self.rows)
            return self._texts_by_exact(exact) if exact else _not_looked_at("texts", few)
        rows = self.rows[having]
        fits = disagreement.fit_texts(self.space.vectors[rows], words[having], self.seed)
        found = disagreement.disagreements(fits, rows, self.seed)
        figures = {
            "of_shuffled": found.of_shuffled,
            "explained": fits.explained,
        }
        control = f"of texts given to another item {found.of_shuffled:.0%} would be found"
        if found.runs and found.of_shuffled < LEAST_POWER:
            control += ", so that no single row is judged; runs are longer than any of texts at random"
        exact = self._embedded_again(rows[found.suspects])
        without = np.empty(0, np.int64)
        if exact:
            found, without, right = self._corrected(rows, fits, found, exact)
            figures |= _exact_figures(exact) | {"right_after_all": float(right)}
            control = f"{self._of_sample(exact)}; {control}"
        cosine = dict(zip(exact.rows.tolist(), exact.cosines.tolist(), strict=True)) if exact else {}
        groups = self._shifted(rows, found) + self._disagreeing(rows, found, cosine)
        if len(without):
            groups.append(self._of_other_texts(without, cosine))
        return OddKind(
            kind="texts", groups=tuple(groups), num_items=len(rows), control=control, figures=figures
        )

    def _corrected(
        self,
        rows: np.ndarray,
        fits: disagreement.TextFits,
        found: disagreement.Disagreements,
        exact: Reembedding,
    ) -> tuple[disagreement.Disagreements, np.ndarray, int]:
        """The disagreements after embedding again, the rows [W] that the map has no words of, and how many were right.

        What was embedded again counts by that alone, what was not by the map.
        """
        place = np.full(self.space.num_items, -1)
        place[rows] = np.arange(len(rows))
        differing = place[exact.differing]
        in_runs = np.concatenate([run for run, _ in found.runs] or [np.empty(0, np.int64)])
        by_map = found.found[~np.isin(found.found, place[exact.rows])]
        right = int((np.isin(found.found, place[exact.rows]) & ~np.isin(found.found, differing)).sum())
        both = np.concatenate([differing[(differing >= 0) & ~np.isin(differing, in_runs)], by_map])
        both = both[np.argsort(-found.depths[both], kind="stable")]
        partners = disagreement.exchanged(fits, found.usual, found.spread, both)
        corrected = replace(found, found=both, partners=partners)
        return corrected, exact.differing[differing < 0], right

    def _embedded_again(self, suspects: np.ndarray) -> Reembedding | None:
        if self.encode is None:
            return None
        found = reembedded(self.space, self.own_texts, suspects, self.encode, self.seed)
        return found if found is not None and found.is_same_encoder else None

    def _texts_by_exact(self, exact: Reembedding) -> OddKind:
        cosine = dict(zip(exact.rows.tolist(), exact.cosines.tolist(), strict=True))
        groups = [self._of_other_texts(exact.differing, cosine)] if len(exact.differing) else []
        return OddKind(
            kind="texts",
            groups=tuple(groups),
            num_items=len(exact.rows),
            control=self._of_sample(exact),
            figures=_exact_figures(exact),
        )

    def _of_sample(self, exact: Reembedding) -> str:
        share = exact.share
        by = (
            f" by {self.likely}, which made most vectors, though the space does not say so"
            if self.likely
            else ""
        )
        return (
            f"embedded again{by}, {share.value:.0%} [{share.low:.0%}, {share.high:.0%}] of a random sample have a "
            f"cosine below {SAME} with their texts"
            f"{'; name the encoder when the space is fitted' if self.likely else ''}"
        )

    def _of_other_texts(self, rows: np.ndarray, cosine: dict[int, float]) -> OddGroup:
        return OddGroup(
            name="another text",
            reason="the encoder makes another vector of the text: the text was changed afterwards, or is another's; "
            "embed them again",
            items=tuple(
                self.item(row, 1 - cosine[row], f"embedded again, its text has a cosine of {cosine[row]:.2f}")
                for row in rows.tolist()
            ),
        )

    def _shifted(self, rows: np.ndarray, found: disagreement.Disagreements) -> list[OddGroup]:
        groups = []
        for number, (run, shift) in enumerate(sorted(found.runs, key=lambda one: -len(one[0])), 1):
            first, last = int(rows[run[0]]), int(rows[run[-1]])
            where = f"{abs(shift)} row{'s' * (abs(shift) > 1)} {'below' if shift > 0 else 'above'}"
            worst = run[np.argsort(-found.depths[run], kind="stable")].tolist()
            groups.append(
                OddGroup(
                    name=f"rows {first} to {last} shifted",
                    reason=f"of consecutive rows the text {where} fits the vector better than the own: a row was lost "
                    "or added before they were put together; join texts and vectors by id",
                    items=tuple(
                        self.item(
                            int(rows[one]),
                            float(found.depths[one]),
                            f"the text of row {int(rows[one]) + shift} fits",
                            number=number,
                        )
                        for one in worst
                    ),
                )
            )
        return groups

    def _disagreeing(
        self, rows: np.ndarray, found: disagreement.Disagreements, cosine: dict[int, float]
    ) -> list[OddGroup]:
        exchanged: list[OddItem] = []
        others: list[OddItem] = []
        numbers: dict[frozenset[int], int] = {}
        for place, partner in zip(found.found.tolist(), found.partners.tolist(), strict=True):
            row, depth = int(rows[place]), float(found.depths[place])
            again = f"; embedded again, its text has a cosine of {cosine[row]:.2f}" if row in cosine else ""
            if partner >= 0:
                number = numbers.setdefault(frozenset((place, partner)), len(numbers) + 1)
                note = f"the text of {shorten(self.space.labels[int(rows[partner])], LABEL)} fits its vector{again}"
                exchanged.append(self.item(row, depth, note, number=number))
            else:
                note = f"its text fits {depth:.1f} standard deviations less than such texts do{again}"
                others.append(self.item(row, depth, note))
        groups = []
        if exchanged:
            groups.append(
                OddGroup(
                    name="exchanged texts",
                    reason="the text of each fits the other's vector: two rows were exchanged; exchange them again",
                    items=tuple(sorted(exchanged, key=lambda one: one.set)),
                )
            )
        if others:
            groups.append(
                OddGroup(
                    name="text and vector disagree",
                    reason="what the text says is not in the vector: a wrong row, or a text that was changed "
                    "afterwards; embed them again",
                    items=tuple(others),
                )
            )
        return groups

    # --- copies ---

    def copies(self) -> OddKind:
        """Sets of items with one vector, or nearly one, by what their texts have in common."""
        found = near_copies(self.known)
        by_kind: dict[CopyKind, list[OddItem]] = {}
        for number, (rows, are_equal) in enumerate(zip(found.sets, found.are_equal, strict=True), 1):
            texts = [self.own_texts[row] for row in rows.tolist()] if self.own_texts else []
            kind = copy_kind(texts, are_equal=are_equal, has_texts=bool(self.own_texts))
            vectors = self.space.vectors[rows] / self.space.lengths[rows][:, None]
            cosines = np.clip(vectors @ vectors[0], -1, 1)
            cosines[0] = cosines[1:].max()
            for place, row in enumerate(rows.tolist()):
                near = [one for one in rows[: _NEAR + 1].tolist() if one != row][:_NEAR]
                note = f"one of {len(rows):,} with {'one vector' if are_equal else f'a cosine of {cosines[place]:.3f}'}"
                by_kind.setdefault(kind, []).append(self.item(row, float(cosines[place]), note, near, number))
        groups = [
            OddGroup(name=kind.name, reason=kind.reason, items=tuple(by_kind[kind]))
            for kind in COPY_KINDS
            if kind in by_kind
        ]
        nearest = f"; the nearest two that are not have {found.nearest:.3f}" if found.nearest > -1 else ""
        return OddKind(
            kind="copies",
            groups=tuple(groups),
            num_items=self.space.num_items,
            control=f"by the space's own near pairs a copy has a cosine of {found.limit:.3f} or more{nearest}",
            figures={"limit": found.limit, "nearest": found.nearest},
        )

    # --- labels ---

    def labels(self, others: Sequence[OddKind] = ()) -> OddKind:
        """Items with an improbable value of a column, without those that other kinds explain by a wrong vector."""
        if self.known.is_one_vector:
            return _not_looked_at("labels", _ONE)
        values = self.facts.values
        left_out = {one for one in values.columns if self.columns is not None and one not in self.columns}
        if len(self.rows) < self.space.num_items:
            values = Facts.from_space(_without_texts(self.space)).values
        values = values.without(left_out)
        found = mislabels(self.known, values, self.rows, self.seed)
        more = f"; vectors do not tell {found.unread:,} values, which are not judged" if found.unread else ""
        if not found.num_values:
            return _not_looked_at("labels", f"no column has a value that can be judged{more}")
        elsewhere = {
            item.row
            for kind in others
            if kind.kind in ("texts", "outliers")
            for group in kind.groups
            if group.name not in _LENGTHS
            for item in group.items
        }
        explained = {one.row for one in found.found if one.row in elsewhere}
        if explained:
            more += f"; {len(explained):,} more items are left out here, for their vectors are odd (texts, outliers)"
        some = [one for one in found.found if one.row not in explained]
        return OddKind(
            kind="labels",
            groups=tuple(self._of_wrong_values(one) for one in by_value(some)),
            num_items=len(self.rows),
            control=f"of {found.num_values:,} values, given to items without them, {found.of_shuffled:.0%} would be "
            f"found{more}",
            figures={
                "num_values": float(found.num_values),
                "unread": float(found.unread),
                "of_shuffled": found.of_shuffled,
                "left_out": float(len(explained)),
            },
        )

    def _of_wrong_values(self, some: Sequence[Mislabel]) -> OddGroup:
        """A group of one column's mislabels, named after what they have in common."""
        column = shorten(some[0].column, LABEL)
        values, instead = ({getattr(one, name) for one in some} for name in ("value", "instead"))
        value = shorten(values.pop(), LABEL) if len(values) == 1 else "single values"
        among = f" among {shorten(instead.pop(), LABEL)}" if len(instead) == 1 else ""
        return OddGroup(
            name=f"{column}: {value}{among}",
            reason=f"by their vectors and their nearest items their {column} is another: mislabelled, or rightly "
            "unlike the others",
            items=tuple(
                self.item(
                    one.row,
                    one.depth,
                    f"{one.share:.0%} of its nearest have {shorten(one.value, LABEL)}, {one.share_instead:.0%} have "
                    f"{shorten(one.instead, LABEL)}",
                )
                for one in some
            ),
        )

    # --- outliers ---

    def outliers(self) -> OddKind:
        """Vectors of another make, and items far from all others by what these have in common."""
        if self.known.is_one_vector:
            return _not_looked_at("outliers", _ONE)
        makes, found = odd_makes(self.space), lone_items(self.known, self.seed)
        groups = []
        if len(makes.constant):
            items = tuple(self.item(row, 1.0, "all its numbers are one") for row in makes.constant.tolist())
            reason = "all numbers of a vector are the same, which no encoder gives: a placeholder; embed them again"
            groups.append(OddGroup(name="constant vectors", reason=reason, items=items))
        for name, rows in zip(_LENGTHS, (makes.longer, makes.shorter), strict=True):
            if len(rows):
                groups.append(
                    OddGroup(
                        name=name,
                        reason=f"their vectors are {name.split()[0]} than the others' ({makes.usual:.3g}): made "
                        "otherwise, or not normalized",
                        items=tuple(
                            self.item(
                                row,
                                float(abs(np.log(makes.lengths[row] / makes.usual))),
                                f"length {makes.lengths[row]:.3g}",
                            )
                            for row in rows.tolist()
                        ),
                    )
                )
        lone = {
            int(row): self.item(
                int(row),
                float(distance),
                f"distance {distance:.2f} from its nearest, {times:.2f} times theirs",
            )
            for row, distance, times in zip(found.rows, found.distances, found.times, strict=True)
        }
        groups += [
            OddGroup(
                name=name,
                reason=f"far from all others (usual distance from the ten nearest {found.usual:.2f}){what}",
                items=tuple(lone[row] for row in rows),
            )
            for name, what, rows in self._in_common(list(lone))
        ]
        return OddKind(
            kind="outliers",
            groups=tuple(groups),
            num_items=len(self.rows),
            control=f"of random directions {found.of_random:.0%} would be found; the farthest item has a distance of "
            f"{found.farthest:.2f}, the usual one {found.usual:.2f}, the limit is {found.limit:.2f}; "
            f"{found.unvisited:.0%} are near to none",
            figures={
                "of_random": found.of_random,
                "farthest": found.farthest,
                "usual": found.usual,
                "limit": found.limit,
                "unvisited": found.unvisited,
            },
        )

    def _in_common(self, rows: list[int]) -> list[tuple[str, str, list[int]]]:
        """Name, end of the reason and rows of groups: hardly a text, a shared value or word, nothing."""
        left, groups = list(rows), []
        if self.own_texts:
            short = [row for row in left if len(self.own_texts[row]) < _SHORT]
            if short:
                groups.append(("hardly a text", ", with no text or a few letters", short))
                left = [row for row in left if row not in set(short)]
        while len(left) >= _SHARED and len(groups) < _MOST_SHARED:
            shared = self._most_shared(left)
            if shared is None:
                break
            name, having = shared
            groups.append((name, f", and {name} is more frequent among them", having))
            left = [row for row in left if row not in set(having)]
        if left:
            groups.append((_ALONE, ", each by itself", left))
        return groups

    def _most_shared(self, rows: list[int]) -> tuple[str, list[int]] | None:
        """The value or word that sets most of some rows apart, and those that have it."""
        places = self._places(rows)
        if len(places) < _SHARED or len(places) == len(self.rows):
            return None
        for one in contrast(self.facts, places).features:
            table = self.facts.words if one.column == TEXT_COLUMN else self.facts.values
            number = next(
                place
                for place, pair in enumerate(zip(table.columns, table.names, strict=True))
                if pair == (one.column, one.name)
            )
            having = np.asarray(table.matrix[places][:, [number]].todense()).ravel() > 0
            if having.sum() >= _SHARED:
                inside = set(self.rows[places[having]].tolist())
                return shorten(one.name, LABEL), [row for row in rows if row in inside]
        return None

    # --- words ---

    def _places(self, rows: Sequence[int]) -> np.ndarray:
        """Places among the rows that are looked at, of those that are."""
        return np.flatnonzero(np.isin(self.rows, np.asarray(rows, np.int64)))

    def in_words(self, kinds: Sequence[OddKind]) -> tuple[OddKind, ...]:
        """The same kinds, with what sets each group apart and what is read from its mean."""
        return tuple(
            replace(kind, groups=tuple(self._group_in_words(group) for group in kind.groups))
            for kind in kinds
        )

    def _group_in_words(self, group: OddGroup) -> OddGroup:
        rows = [one.row for one in group.items]
        apart: tuple[str, ...] = ()
        # items that say the same count once: their words would be found for being there many times
        first_of = {one.set: one.row for one in reversed(group.items) if one.set}
        is_one_text = any(kind.is_one_text and kind.name == group.name for kind in COPY_KINDS)
        places = self._places(list(first_of.values()) if is_one_text else rows)
        outside = np.setdiff1d(np.arange(len(self.rows)), self._places(rows))
        if len(places) >= _SHARED and len(outside):
            found = contrast(self.facts, places, outside)
            apart = tuple(dict.fromkeys(shorten(one.name, LABEL) for one in found.features))[:_WORDS]
        read = () if group.name == _ALONE else self._read(list(first_of.values()) if is_one_text else rows)
        return replace(group, over_represented=apart, read=read)

    def _read(self, rows: list[int]) -> tuple[str, ...]:
        """Words of the mean of some vectors, where it is one: none where they point as random ones do."""
        usual, spread = self._mean
        mean = unit_rows(self.space.vectors[rows]).astype(np.float64).mean(0)
        # the squared length of the mean of n random deviations is 1/n of theirs
        if len(rows) * float(((mean - usual) ** 2).sum()) < _ALIKE * spread or not mean.any():
            return ()
        if not self.entry.term_reader.terms:
            return ()
        words = self.entry.words(
            (mean * np.median(self.space.lengths)).astype(np.float32)[None], limit=_WORDS
        )[0]
        return tuple(one.term for one in words)

    @cached_property
    def _mean(self) -> tuple[np.ndarray, float]:
        """[D] mean of the vectors at length 1, and the mean square of their deviations."""
        vectors = unit_rows(self.space.vectors[self.rows]).astype(np.float64)
        mean = vectors.mean(0)
        return mean, float(((vectors - mean) ** 2).sum(1).mean())


def _without_texts(space: Space) -> Space:
    """The space with its columns alone, whose texts are not read again."""
    if TEXT_COLUMN not in space.metadata.column_names:
        return space
    left = space.metadata.drop_columns([TEXT_COLUMN])
    return space.changed(metadata=left if left.num_columns else pa.table({}))


def _not_looked_at(kind: str, why: str) -> OddKind:
    return OddKind(kind=kind, groups=(), num_items=0, control=why, figures={})


def _exact_figures(exact: Reembedding) -> dict[str, float]:
    share = exact.share
    return {
        "embedded_again": float(len(exact.rows)),
        "differing": share.value,
        "differing_low": share.low,
        "differing_high": share.high,
    }
