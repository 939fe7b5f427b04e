"""Concepts of a space in a bundle: fitted on items that are not held out, and accepted only when they beat chance."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.console import progress_bar
from vecspeak.encoders.text import Encoder
from vecspeak.errors import (
    UserError,
    check_one_of,
    check_path,
    check_seed,
    check_text,
    check_whole,
    did_you_mean,
    listed,
    shown_value,
)
from vecspeak.model.alignment import Alignment, unit
from vecspeak.points import Concept
from vecspeak.points.calibration import MOST_ITEMS
from vecspeak.points.concept import check_fits, overlaps
from vecspeak.points.concept_fit import (
    concept_from_direction,
    concept_from_metadata,
    concept_from_pairs,
    fit_concept,
    metadata_mask,
)
from vecspeak.points.estimators import Method
from vecspeak.points.judgements import (
    Find,
    Judgement,
    SoftAttributes,
    concept_name,
    finder,
    given_pairs,
    names_to_rows,
    pairs_of,
    read_names,
    read_pairs,
    read_soft_attributes,
    title_finder,
    unquoted,
)
from vecspeak.points.lookup import find_item
from vecspeak.points.parser import parse_query
from vecspeak.points.queries import ColumnComparison, QueryTree, rows_where
from vecspeak.spaces import Space
from vecspeak.spaces.point import Direction
from vecspeak.tables.cells import to_python
from vecspeak.tables.convert import all_there, as_names

Named = Sequence[str | Path] | Path
"""Items by label or id, files of them with one a line, or both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Names that a concept was not fitted on."""

    unknown: tuple[str, ...] = ()
    """Names that mean no item, or several."""
    held_out: tuple[str, ...] = ()
    """Names of items on which nothing is fitted."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is left out and why, a sentence each; none where nothing is."""
        kinds = (
            (self.unknown, "name means no item, or several", "names mean no item, or several"),
            (
                self.held_out,
                "named item is held out, so not fitted on",
                "named items are held out, so not fitted on",
            ),
        )
        return tuple(
            f"{len(names):,} {one if len(names) == 1 else many}: {listed(names)}"
            for names, one, many in kinds
            if names
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A concept and what it does without."""

    concept: Concept
    left_out: LeftOut = LeftOut()


def fit_entry_concept(
    entry: SpaceEntry, name: str, column: str, value: str, *, method: Method = "logistic", seed: int = 0
) -> Concept:
    """A concept from a metadata value, fitted on the items that are not held out.

    Raises UserError for an unknown column or value, and when fewer than 5 items have it or lack it.
    """
    return _of(entry, concept_from_metadata(_fitted_on(entry), name, column, value, method=method, seed=seed))


def concept_from_query(
    entry: SpaceEntry, name: str, query: QueryTree, *, method: Method = "logistic", seed: int = 0
) -> Concept:
    """A concept from the items that a query finds to all others, fitted on the items that are not held out.

    Raises UserError for an unknown column, and when fewer than 5 items are found or left over.
    """
    space = _fitted_on(entry)
    mask = np.zeros(len(space), dtype=bool)
    mask[rows_where(space, query)] = True
    return _of(entry, fit_concept(space, name, mask, method=method, seed=seed, source=str(query)))


def _fitted_on(entry: SpaceEntry) -> Space:
    """The items that are not held out."""
    return entry.space.take([row for row, item in enumerate(entry.space.ids) if item not in entry.held_out])


def _of(entry: SpaceEntry, concept: Concept) -> Concept:
    """The concept as one of the whole space, with its overlap with those that it has."""
    concept = dataclasses.replace(concept, space_digest=entry.space.digest)
    return dataclasses.replace(concept, overlap=overlaps(concept, entry.concepts))


def named_rows(entry: SpaceEntry, labels: Sequence[str], listed: Sequence[str] = ()) -> dict[str, int | None]:
    """Rows by name: of names that were typed, which must each be an item, and of those of a file, which need not.

    A name in double quotes that is no item's is meant without them. Raises UserError with the nearest spellings for
    the first typed name that means no item, or several.
    """
    find = finder(entry.space)
    meant = {name: name if find(name) is not None else unquoted(name) for name in (*labels, *listed)}
    rows: dict[str, int | None] = {meant[label]: find_item(entry.space, meant[label]) for label in labels}
    return rows | {meant[name]: find(meant[name]) for name in listed if meant[name] not in rows}


def concept_from_items(
    entry: SpaceEntry,
    name: str,
    positive: dict[str, int | None],
    negative: dict[str, int | None],
    *,
    method: Method = "logistic",
    seed: int = 0,
    source: str = "",
) -> Fitted:
    """A concept from items by name that have it, and items that do not: all others where none is named.

    Items that are held out are left out, and so are names without a row. Without a source the concept's says how many
    were named and taken. Raises UserError when fewer than 5 are left on a side, and for an item that is on both.
    """
    space, places, left_out = _places(entry, positive | negative)
    masks = []
    for side in (positive, negative):
        mask = np.zeros(len(space), dtype=bool)
        mask[[places[given] for given in side if given in places]] = True
        masks.append(mask)
    try:
        concept = fit_concept(
            space,
            name,
            masks[0],
            negative=masks[1] if negative else None,
            method=method,
            seed=seed,
            source=source or _counted(positive, negative, places),
        )
    except UserError as error:
        raise _with_left_out(error, left_out) from error
    return Fitted(concept=_of(entry, concept), left_out=left_out)


def _counted(positive: dict[str, int | None], negative: dict[str, int | None], places: dict[str, int]) -> str:
    """Such as `12 of 15 named items against all others`."""
    shown = []
    for side in (positive, negative):
        taken = sum(name in places for name in side)
        shown.append(f"{taken:,}" if taken == len(side) else f"{taken:,} of {len(side):,}")
    return f"{shown[0]} named items against {f'{shown[1]} others' if negative else 'all others'}"


def _with_left_out(error: UserError, left_out: LeftOut) -> UserError:
    """The same mistake with the names that were left out, which may be why."""
    shown = "; ".join(left_out.sentences)
    return UserError(f"{error.message} ({shown})" if shown else error.message, error.hint)


def _places(entry: SpaceEntry, rows: dict[str, int | None]) -> tuple[Space, dict[str, int], LeftOut]:
    """The kept items, the row among them that each name means, and the names that mean none of them."""
    space, ids = _fitted_on(entry), entry.space.ids
    known = {name: ids[row] for name, row in rows.items() if row is not None}
    left_out = LeftOut(
        unknown=tuple(name for name, row in rows.items() if row is None),
        held_out=tuple(name for name, item in known.items() if item in entry.held_out),
    )
    places = {name: space.index_of(item) for name, item in known.items() if item not in entry.held_out}
    return space, places, left_out


def concept_from_judgements(
    entry: SpaceEntry,
    name: str,
    judgements: Sequence[Judgement],
    *,
    find: Find | None = None,
    seed: int = 0,
    source: str = "",
) -> Fitted:
    """A concept from pairs by name, of items that are not held out.

    `find` is what a name means: a label or an id, unless another is given. Raises UserError where too few are left.
    """
    found = names_to_rows(_names(judgements), find or finder(entry.space))
    rows: dict[str, int | None] = {**found.found, **dict.fromkeys(found.unknown)}
    space, places, left_out = _places(entry, rows)
    concept = concept_from_pairs(space, name, pairs_of(judgements, places), seed=seed, source=source)
    return Fitted(concept=_of(entry, concept), left_out=left_out)


def _names(judgements: Sequence[Judgement]) -> list[str]:
    return [name for one in judgements for name in (one.more, one.less)]


def concept_from_text(
    entry: SpaceEntry,
    name: str,
    encoder: Encoder,
    text: str,
    *,
    against: str = "",
    check: tuple[str, str] | None = None,
    seed: int = 0,
) -> Concept:
    """The direction in which what the reader reads of an item comes nearer to a text, or to it and not to another.

    With `check`, a metadata column and its value, the items that have it measure how well the text fits. Raises
    UserError for an empty text, two equal ones, and as `metadata_mask` does.
    """
    texts = [text, *([against] if against else [])]
    if not text.strip() or text.strip() == against.strip():
        raise UserError(
            "a text concept needs a text, and another than it is against", "give it as `text='...'`"
        )
    space = _fitted_on(entry)
    mask = None if check is None else metadata_mask(space, *check)
    targets = encoder.encode(texts)
    wanted = targets[0] - (targets[1] if against else 0.0)
    concept = concept_from_direction(
        space,
        name,
        mean_gradient(entry.alignment, space.vectors, wanted, seed=seed),
        check=mask,
        seed=seed,
        source=_text_source(text, against, check),
    )
    return _of(entry, concept)


def _text_source(text: str, against: str, check: tuple[str, str] | None) -> str:
    checked = f", checked by {check[0]} = {check[1]}" if check else ""
    return f'the text "{text}"' + (f' against "{against}"' if against else "") + checked


def mean_gradient(
    alignment: Alignment, vectors: np.ndarray, wanted: np.ndarray, *, seed: int = 0
) -> np.ndarray:
    """[D] float64 gradient, averaged over items [N, D], of the product of a read vector with a vector [T] one wants.

    A read vector is `alignment(v)`, of length 1. So with a text's vector this is how a step of a point changes its
    cosine with the text, and with the difference of two texts' vectors how it changes one cosine minus the other. It is
    the map's adjoint, with the pull of every normalisation taken off, and the same in spaces that are read as they are.
    A pseudo-inverse instead would ask for the point that the map sends to the text: it goes farthest in the dimensions
    of which the map knows least, that is off the data.
    """
    if len(vectors) > MOST_ITEMS:
        selected = np.random.default_rng(seed).choice(len(vectors), MOST_ITEMS, replace=False)
        vectors = vectors[np.sort(selected)]
    vectors = vectors.astype(np.float64)
    before = vectors
    if alignment.matrix is not None and alignment.offset is not None:
        before = alignment.gain * (alignment.standardize(vectors) @ alignment.matrix) + alignment.offset
    pull = _through_unit(before, np.broadcast_to(np.asarray(wanted, dtype=np.float64), before.shape))
    if alignment.matrix is not None:
        pull = (alignment.gain / alignment.spread) * (pull @ alignment.matrix.T)
        pull = _through_unit(vectors, pull) if alignment.unit else pull
    return np.asarray(pull.mean(0))


def _through_unit(vectors: np.ndarray, pull: np.ndarray) -> np.ndarray:
    """[N, D] gradients before a normalisation of vectors [N, D], from those after it."""
    heading = unit(vectors)
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray((pull - (pull * heading).sum(1, keepdims=True) * heading) / lengths)


def name_of_concept(concept: Any) -> str:
    """The name of a concept, or the name that is given. Raises UserError for a sum of concepts and anything else."""
    if isinstance(concept, Direction):
        raise UserError(
            f"`concept` is one concept, got the direction {concept.expression}",
            "give the name of one, or ask about points such as space['LABEL'] + 2*scary",
        )
    return concept.name if isinstance(concept, Concept) else check_text("concept", concept)


def check_same_concept(entry: SpaceEntry, concept: Concept) -> None:
    """Raise UserError where the space's concept of that name is another one, or none."""
    if not np.array_equal(known_concept(entry, concept.name).direction, concept.direction):
        raise UserError(
            f"{concept.name} of {entry.space.name} is another direction now: it was fitted again",
            f"take vs.concept({concept.name!r}), or keep both under names of their own",
        )


def known_concept(entry: SpaceEntry, name: str) -> Concept:
    """The concept of that name, with its overlap with those there are now. UserError with the nearest spellings."""
    if check_text("name", name) not in entry.concepts:
        listed = ", ".join(entry.concepts)
        hint = f"concepts there are: {listed}" if listed else "fit one with `VecSpeak.fit_concept(...)`"
        raise UserError(
            f"{entry.space.name} has no concept {name!r}", did_you_mean(name, entry.concepts, hint)
        )
    found = entry.concepts[name]
    return dataclasses.replace(found, overlap=overlaps(found, entry.concepts))


_METHODS = ("rank", "mean", "ridge", "logistic")
_SOURCES = "`where`, `positives`, `pairs` or `text`"
_COMPANIONS = {
    "negatives": ("positives",),
    "against": ("text",),
    "check": ("text",),
    "method": ("where", "positives"),
}
"""Arguments that go with some sources only."""


def concept_from(
    entry: SpaceEntry,
    name: str,
    encoder: Callable[[], Encoder],
    *,
    where: str = "",
    positives: Named = (),
    negatives: Named = (),
    pairs: Any = None,
    text: str = "",
    against: str = "",
    check: str = "",
    method: str | None = None,
    seed: int = 0,
) -> Fitted:
    """A concept from the one source that is given, fitted on the items that are not held out.

    `positives` and `negatives` are labels or ids, a file with one a line, or a pair of both. Raises UserError for
    none or several sources, and for an argument that goes with another source.
    """
    given = {
        "where": where, "positives": positives, "pairs": pairs, "text": text,
        "negatives": negatives, "against": against, "check": check, "method": method,
    }  # fmt: skip
    check_seed(seed)
    source = _checked_source(given)
    fit: Any = method or "logistic"
    if source == "where":
        query = _query(where, entry)
        if query is not None:
            return Fitted(concept=concept_from_query(entry, name, query, method=fit, seed=seed))
        column, value = _split("where", where)
        return Fitted(concept=fit_entry_concept(entry, name, column, value, method=fit, seed=seed))
    if source == "positives":
        named = {"positives": positives, "negatives": negatives}
        sides = [named_rows(entry, *_names_in(side, names)) for side, names in named.items()]
        return concept_from_items(entry, name, sides[0], sides[1], method=fit, seed=seed)
    if source == "pairs":
        is_file = isinstance(pairs, str | Path)
        judged = read_pairs(check_path("pairs", pairs)) if is_file else given_pairs(pairs)
        shown = f"pairs in {Path(pairs).name}" if is_file else f"{len(judged):,} pairs"
        return concept_from_judgements(entry, name, judged, seed=seed, source=shown)
    checked = _split("check", check) if check else None
    if (
        checked
        and checked[1][:1] in ('"', "'")
        and isinstance(query := _query(check, entry), ColumnComparison)
    ):
        checked = (query.column, str(query.value))
    return Fitted(
        concept=concept_from_text(
            entry, name, encoder(), text, against=against or "", check=checked, seed=seed
        )
    )


def _checked_source(given: dict[str, Any]) -> str:
    """The one source that was given. Raises UserError for none, several, and what goes with none."""
    for name in ("where", "text", "against", "check"):
        check_text(name, "" if given[name] is None else given[name])
    check_one_of("method", given["method"], (None, *_METHODS))
    named = [one for one in ("where", "positives", "pairs", "text") if is_given(given[one])]
    if len(named) != 1:
        what = (
            f"{' and '.join(f'`{one}`' for one in named)} were given" if named else "nothing to fit was given"
        )
        raise UserError(
            f"{what}; a concept is fitted from one of {_SOURCES}", "for example where='genres=Horror'"
        )
    source = named[0]
    if given["method"] == "rank" and source != "pairs":
        raise UserError("method='rank' is for `pairs`", "choose logistic, ridge or mean")
    for name, sources in _COMPANIONS.items():
        is_fine = source in sources or (source == "pairs" and given["method"] == "rank")
        if is_given(given[name]) and not is_fine:
            raise UserError(
                f"`{name}` does not go with `{source}`; it goes with {' or '.join(f'`{one}`' for one in sources)}",
                "leave it out",
            )
    return source


def is_given(value: Any) -> bool:
    """Whether an argument has a value; of an array or a Series its truth would not say so."""
    return value is not None and (
        isinstance(value, Path) or (not hasattr(value, "__len__") or len(value) > 0)
    )


def _names_in(argument: str, side: Any) -> tuple[Sequence[str], Sequence[str]]:
    """Names that were typed, which must be items, and those of a file, which need not be.

    A list, an array, a Series or anything else that goes over names will do. Raises UserError for others.
    """
    if isinstance(side, Path):
        return (), read_names(check_path(argument, side))
    is_list = isinstance(side, Iterable) and not isinstance(side, str | bytes | Mapping | Space)
    if not is_list or hasattr(side, "columns") or getattr(side, "ndim", 1) != 1:
        raise UserError(
            f"`{argument}` is a list of labels or ids, got {shown_value(side)}",
            f"give {argument}=['LABEL', ...], or a Path to a file with one a line",
        )
    if hasattr(side, "to_pylist"):
        given = to_python(side, argument)
    else:
        given = list(side.tolist() if hasattr(side, "tolist") else side)
    typed = [one for one in given if not isinstance(one, Path)]
    listed = [name for one in given if isinstance(one, Path) for name in read_names(one)]
    return all_there(as_names(typed, f"`{argument}`", len(typed)), f"`{argument}`"), listed


def _query(text: str, entry: SpaceEntry) -> QueryTree | None:
    """What `where` says when it is more than COLUMN=VALUE, whose value may be any text without quotes."""
    column, _, value = (part.strip() for part in text.partition("="))
    is_metadata = column not in ("label", "id")  # these are columns of queries alone
    with suppress(UserError):
        metadata_mask(entry.space, column, value)
        return None
    try:
        query = parse_query(text)
    except UserError:
        if not value.startswith("=") and ("=" not in text or column in entry.space.metadata.column_names):
            return None
        raise
    is_plain = isinstance(query, ColumnComparison) and query.operator == "=" and query.column == column
    is_quoted = value[:1] in ('"', "'")  # quotes that no value has are those of a query
    return None if is_plain and is_metadata and not is_quoted else query


def _split(parameter: str, text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals:
        raise UserError(
            f"`{parameter}` takes COLUMN=VALUE, got {text!r}", f"for example {parameter}='genres=Horror'"
        )
    return column.strip(), value.strip()


def check_trusted(fitted: Fitted, *, force: bool) -> None:
    """Raise UserError for a concept that does not beat chance, unless it is wanted anyway."""
    if fitted.concept.beats_chance is False and not force:
        refused = UserError(f"{fitted.concept.caution}; nothing was saved", "keep it anyway with force=True")
        raise _with_left_out(refused, fitted.left_out)


def with_concepts(
    entry: SpaceEntry, concepts: Concept | Iterable[Concept] | Mapping[str, Concept]
) -> SpaceEntry:
    """The entry with these concepts too, in the place of those of the same names, and their overlap with all.

    Raises UserError for a concept that was fitted on another space, or on other content of this one.
    """
    concepts = (concepts,) if isinstance(concepts, Concept) else concepts
    concepts = concepts.values() if isinstance(concepts, Mapping) else concepts
    concepts = list(concepts) if isinstance(concepts, Iterable) else [concepts]
    for concept in concepts:
        if not isinstance(concept, Concept):
            raise UserError(
                f"a concept is added as itself, got {shown_value(concept)}",
                "give concepts that `VecSpeak.concept(...)` fitted",
            )
        check_fits(concept, entry.space)
    together = {**entry.concepts, **{concept.name: concept for concept in concepts}}
    for concept in concepts:
        together[concept.name] = dataclasses.replace(concept, overlap=overlaps(concept, together))
    return dataclasses.replace(entry, concepts=together)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of one attribute."""

    attribute: str
    concept: Concept | None
    """None where too few pairs were left."""
    reason: str = ""
    """Why there is none."""

    @property
    def is_trusted(self) -> bool:
        """Whether it beats chance."""
        return self.concept is not None and self.concept.is_trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptImport:
    """What came of a file of judgements."""

    attributes: tuple[Imported, ...]
    saved: tuple[str, ...]
    """Names of the concepts that the space has now."""
    num_titles: int
    left_out: LeftOut

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        facts = [
            {"attribute": one.attribute, "reason": one.reason} | (one.concept.facts() if one.concept else {})
            for one in self.attributes
        ]
        return {
            "saved": list(self.saved),
            "attributes": facts,
            "titles": self.num_titles,
            "left_out": dataclasses.asdict(self.left_out),
        }


def import_soft_attributes(
    entry: SpaceEntry,
    file: str | Path,
    attributes: Sequence[str] = (),
    *,
    seed: int = 0,
    force: bool = False,
    progress: bool = False,
) -> tuple[SpaceEntry, ConceptImport]:
    """The entry with a concept for each attribute of a file that beats chance, or with `force` for each.

    Raises UserError as `import_attributes` does, and for a file of another form.
    """
    check_seed(seed)
    path = check_path("file", file)
    given = read_soft_attributes(path)
    fits, left_out = import_attributes(
        entry, given, attributes, source=path.name, seed=seed, progress=progress
    )
    wanted = [one.concept for one in fits if one.concept is not None and (one.is_trusted or force)]
    result = ConceptImport(
        attributes=fits,
        saved=tuple(one.name for one in wanted),
        num_titles=len(given.titles),
        left_out=left_out,
    )
    return (with_concepts(entry, wanted) if wanted else entry), result


def import_attributes(
    entry: SpaceEntry,
    given: SoftAttributes,
    attributes: Sequence[str] = (),
    *,
    source: str,
    seed: int = 0,
    progress: bool = False,
) -> tuple[tuple[Imported, ...], LeftOut]:
    """Fit one concept for each attribute (all where none is named), and the titles that no item was found for.

    Raises UserError for an unknown attribute, and two whose names as concepts are the same.
    """
    selected = given.of_attributes(attributes)
    names = {attribute: concept_name(attribute) for attribute in selected}
    if len(set(names.values())) < len(names):
        raise UserError(
            "two attributes have the same name as concepts", "import them one by one with `attribute`"
        )
    find = title_finder(entry.space)
    bar = progress_bar(selected.items(), total=len(selected), desc="fitting", unit="concept", shown=progress)
    fits = tuple(_imported(entry, one, names[one], judged, find, source, seed) for one, judged in bar)
    _, _, left_out = _places(entry, {title: find(title) for title in given.titles})
    return fits, left_out


def _imported(
    entry: SpaceEntry,
    attribute: str,
    name: str,
    judgements: Sequence[Judgement],
    find: Find,
    source: str,
    seed: int,
) -> Imported:
    try:
        fitted = concept_from_judgements(
            entry, name, judgements, find=find, seed=seed, source=f'"{attribute}" in {source}'
        )
    except UserError as error:
        return Imported(attribute=attribute, concept=None, reason=error.message)
    return Imported(attribute=attribute, concept=fitted.concept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Along:
    """Where an item lies along a concept."""

    id: str
    label: str
    amount: float
    """Standard deviations from the items' mean."""


def extremes(entry: SpaceEntry, concept: Concept, count: int) -> tuple[tuple[Along, ...], tuple[Along, ...]]:
    """The items highest along a concept, the highest first, and those lowest along it, the lowest first."""
    check_whole("count", count, 1)
    space = entry.space
    amounts = space.vectors @ concept.direction.astype(np.float64)
    amounts = (amounts - amounts.mean()) / concept.scale
    order = np.argsort(amounts, kind="stable").tolist()
    highest, lowest = (
        tuple(Along(id=space.ids[row], label=space.labels[row], amount=float(amounts[row])) for row in rows)
        for rows in (order[::-1][:count], order[:count])
    )
    return highest, lowest
