"""Lessons: who is asked about what, before anyone answers: entities drawn for each task, and what a teacher is shown.

Of an item a teacher is shown the text's beginning, kinds and time, never a vector and never its label, which the
vector does not carry (a text may name it). Of a person it is shown the labels of what they rated highest and lowest,
and the kinds and times that they rate above and below their own average; not their id. Items that are held out are in
no lesson for training, nor are people who are (`is_held_out_person`).
"""

import codecs
import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from vecspeak.bounds import check_levels, read_data
from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.search import nearest
from vecspeak.spaces.splits import is_under
from vecspeak.storage import read_json, replace_file, write_json
from vecspeak.tables.cells import to_python
from vecspeak.tables.columns import TEXT_COLUMN
from vecspeak.tasks.names import NAMED, names_in
from vecspeak.tasks.task_set import Keywords, Task, TaskSet, article, join_words, opening, split_sentences

Facts = Mapping[str, str]
"""Words by the name that a sentence calls them; what is not known is not there."""
_LOWER = re.compile(r"\b[a-z][a-z'-]{2,}\b")
_OPENING, _LONG_OPENING, _SENTENCE = 300, 600, 220
_KEYWORDS = 4
_MOST_KINDS = 3
_NO_TOPIC = frozenset(
    "keeps kept packs suits fits gives lets helps needs brings holds lasts turns works looks feels offers shows leaves "
    "starts becomes stays seems uses includes contains provides little large small good great best".split()
)
"""Words that say nothing of a subject by themselves, however rare they are in a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFacts:
    """What is known of one item."""

    id: str
    label: str
    text: str
    """Its text, white space collapsed; empty where it has none."""
    kinds: tuple[str, ...] = ()
    """Genres, tags or categories, in lower case."""
    era: str = ""
    """The decade, as in `the 1990s`."""
    maker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TasteProfile:
    """What a person's own ratings say. Nothing else about them is read."""

    liked: tuple[str, ...]
    """Labels of the items that they rated highest."""
    disliked: tuple[str, ...]
    """Labels of the items that they rated lowest."""
    kinds_over: tuple[str, ...]
    """Kinds that they rate above their own average, the most liked first."""
    kinds_under: tuple[str, ...]
    eras_over: tuple[str, ...]
    eras_under: tuple[str, ...]


def clean_kind(kind: str, items: Collection[str] = ()) -> str:
    """A genre in lower case without the word for what it is a genre of: `films`, or one of the words of `items`.

    `rain jacket` among jackets is `rain`, for sentences put the word behind it; empty where it was that word alone.
    """
    words = "|".join(["films?", "movies?", *map(re.escape, sorted(map(str.casefold, items)))])
    return re.sub(rf"(?:^|\s+)(?:{words})$", "", " ".join(kind.casefold().split()))


def decade(value: object) -> str:
    """`the 1990s` of a year, a date or a text that begins or ends with one; empty where there is none."""
    found = re.search(r"\b(1[0-9]|20)(\d)\d\b", str(value if value is not None else ""))
    return f"the {found[1]}{found[2]}0s" if found else ""


def topics(
    text: str, keywords: Keywords, limit: int, *, without: Collection[str] = frozenset()
) -> tuple[str, ...]:
    """Keywords that the text writes in lower case somewhere: names of people and places tell little of a subject.

    Those of `without`, in lower case, are left out, and words that tell nothing by themselves.
    """
    common = set(_LOWER.findall(text)) - _NO_TOPIC - set(without)
    found: tuple[str, ...] = ()
    for wide in range(limit, 6 * limit, limit):
        found = tuple(word for word in keywords.of(text, wide) if word in common)
        if len(found) >= limit:
            break
    return found[:limit]


def item_facts(
    known: ItemFacts, keywords: Keywords, *, without: Collection[str] = frozenset()
) -> dict[str, str]:
    """Facts of one item: opening, long_opening, first_sentence, keywords, kinds, a_kinds, A_kinds, era, maker.

    `without` are no keywords, nor are the words of its kinds: a sentence that names both would say them twice.
    """
    sentences = [s for s in split_sentences(known.text) if 20 < len(s) <= _SENTENCE]
    found = {
        "opening": opening(known.text, _OPENING) if known.text else "",
        "long_opening": opening(known.text, _LONG_OPENING) if known.text else "",
        "first_sentence": sentences[0] if sentences else "",
        "keywords": join_words(topics(known.text, keywords, _KEYWORDS, without=_said(without, known))),
        "era": known.era,
        "maker": known.maker,
        **_kinds_of_fact("kinds", known.kinds),
    }
    return _that_are_known(found)


def pair_facts(
    first: ItemFacts, second: ItemFacts, keywords: Keywords, *, without: Collection[str] = frozenset()
) -> dict[str, str]:
    """Facts of two items: kinds and keywords of both, of all, and of one only; keywords as in `item_facts`."""
    out = _said(without, first, second)
    words = [topics(known.text, keywords, _KEYWORDS, without=out) for known in (first, second)]
    wide = [topics(known.text, keywords, 5 * _KEYWORDS, without=out) for known in (first, second)]
    both = tuple(word for word in wide[0] if word in wide[1])
    found = {
        "x_keywords": join_words(words[0]),
        "y_keywords": join_words(words[1]),
        "both_keywords": join_words(both[:_KEYWORDS]),
        "x_only_keywords": join_words(tuple(word for word in words[0] if word not in wide[1])),
        "y_only_keywords": join_words(tuple(word for word in words[1] if word not in wide[0])),
        **_kinds_of_fact("both_kinds", tuple(kind for kind in first.kinds if kind in second.kinds)),
        **_kinds_of_fact("all_kinds", tuple(dict.fromkeys((*first.kinds[:2], *second.kinds[:2])))),
        **_kinds_of_fact("x_only_kinds", tuple(kind for kind in first.kinds if kind not in second.kinds)),
        **_kinds_of_fact("y_only_kinds", tuple(kind for kind in second.kinds if kind not in first.kinds)),
    }
    return _that_are_known(found)


def person_facts(taste: TasteProfile) -> dict[str, str]:
    """Facts of a person: liked and disliked kinds and eras."""
    found = {
        "liked_kinds": join_words(taste.kinds_over[:_MOST_KINDS]),
        "disliked_kinds": join_words(taste.kinds_under[:_MOST_KINDS]),
        "liked_eras": join_words(taste.eras_over[:2]),
        "disliked_eras": join_words(taste.eras_under[:2]),
    }
    return _that_are_known(found)


def compose(task: Task, facts: Facts) -> str | None:
    """A target of the task's sentences whose names are all known; None where the task has none or none is known."""
    sentences = [
        NAMED.sub(lambda match: facts[match[1]], sentence)
        for sentence in task.facts
        if all(name in facts for name in names_in(sentence))
    ]
    return " ".join(sentences) or None


def _said(without: Collection[str], *known: ItemFacts) -> set[str]:
    """Words that are said anyway: those given, and those of the items' kinds."""
    return {*without, *(word for one in known for kind in one.kinds for word in re.findall(r"[\w'-]+", kind))}


def _kinds_of_fact(name: str, kinds: Sequence[str]) -> dict[str, str]:
    words = join_words(tuple(kinds[:_MOST_KINDS]))
    with_article = f"{article(words)} {words}" if words else ""
    capital = with_article[:1].upper() + with_article[1:]
    return {name: words, f"a_{name}": with_article, f"A_{name}": capital}


def _that_are_known(found: dict[str, str]) -> dict[str, str]:
    return {name: words for name, words in found.items() if words}


_SHRINK = 5.0
"""Ratings at the person's own average that are added to each group, so that few ratings say little."""
_FEWEST = 3
_LEAST = 0.1
"""Stars that a group must lie above or below the person's average, after shrinking."""
_LISTED = 8


def taste_of(
    ratings: Mapping[str, float], items: Mapping[str, ItemFacts], counts: Mapping[str, int]
) -> TasteProfile:
    """The taste of one person.

    `ratings` are stars by item; items that are not in `items` are left out. `counts` is how many rated each item:
    of equal ratings the best known comes first.
    """
    known = {item: value for item, value in ratings.items() if item in items}
    if not known:
        return TasteProfile(liked=(), disliked=(), kinds_over=(), kinds_under=(), eras_over=(), eras_under=())
    mean = sum(known.values()) / len(known)
    best = sorted(known, key=lambda item: (-known[item], -counts.get(item, 0), item))
    worst = sorted(known, key=lambda item: (known[item], -counts.get(item, 0), item))
    kinds = _differences(((kind, known[item]) for item in known for kind in items[item].kinds), mean)
    eras = _differences(((items[item].era, known[item]) for item in known if items[item].era), mean)
    return TasteProfile(
        liked=tuple(items[item].label for item in best[:_LISTED] if known[item] > mean),
        disliked=tuple(items[item].label for item in worst[:_LISTED] if known[item] < mean),
        kinds_over=_over(kinds),
        kinds_under=_over({name: -value for name, value in kinds.items()}),
        eras_over=_over(eras),
        eras_under=_over({name: -value for name, value in eras.items()}),
    )


def _differences(rated: Iterable[tuple[str, float]], mean: float) -> dict[str, float]:
    """Stars above the mean of each group with enough ratings, shrunk towards it."""
    given: defaultdict[str, list[float]] = defaultdict(list)
    for name, value in rated:
        given[name].append(value - mean)
    return {
        name: sum(values) / (len(values) + _SHRINK)
        for name, values in given.items()
        if len(values) >= _FEWEST
    }


def _over(differences: Mapping[str, float]) -> tuple[str, ...]:
    above = {name: value for name, value in differences.items() if value >= _LEAST}
    return tuple(sorted(above, key=lambda name: (-above[name], name)))


TARGETS, ABOUT = "targets.jsonl", "about.json"
PERSON = "user:"
"""Before the id of a person in a slot; items stand by their id alone."""


class Target(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True,
    rename={"context": "told"},
):  # fmt: skip
    """A text that a reader learns to write about the vectors in its slots: one line of `targets.jsonl`.

    >>> Target(task="summary", slots={"x": "m2"}, text="A heist.", context="Plot: ...", teacher="facts", split="train")
    """

    task: str
    slots: Mapping[str, str]
    """Id of the item in each slot; of a person, `user:ID`."""
    text: str
    context: str
    """All that the teacher read; `told` in files."""
    teacher: str
    split: str
    """`train`, or the name of the split whose entities it is about."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values under the names that files have."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsOrigin:
    """What the targets of a folder were made from: `about.json`."""

    space: str
    space_digest: str
    task_set: str
    """Name of the task set, or the path of its file."""
    words: Mapping[str, str]
    """Words that replace those of the set."""
    split: str
    seed: int


def write_targets(folder: Path, targets: Sequence[Target], about: TargetsOrigin) -> None:
    """Replace the folder's targets; a kill leaves the old ones or the new ones."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ABOUT, asdict(about))
    with replace_file(folder / TARGETS) as beside:
        lines = (json.dumps(target.to_dict(), ensure_ascii=False) for target in targets)
        beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_targets(folder: Path) -> list[Target]:
    """The targets of a folder, in order. Raises UserError where there are none and where a line is not one."""
    path = _existing(folder, TARGETS)
    targets = []
    data = read_data(path)
    check_levels(data, path, by_line=True)
    lines = data.split(b"\n")  # not splitlines: JSON keeps other line ends as they are
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            target = msgspec.json.decode(line.removeprefix(codecs.BOM_UTF8), type=Target)
            if not target.text.strip() or not target.split:
                raise ValueError("an empty text or split")
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"line {number} of {path} is no target ({error})",
                "write the targets again with `VecSpeak.teach(...)`",
            ) from error
        targets.append(target)
    return targets


def read_about(folder: Path) -> TargetsOrigin:
    """What the targets of a folder were made from. Raises UserError where the folder does not say."""
    path = _existing(folder, ABOUT)
    try:
        return msgspec.convert(read_json(path), TargetsOrigin)
    except msgspec.ValidationError as error:
        raise UserError(
            f"{path} is not complete ({error})", "write the targets again with `VecSpeak.teach(...)`"
        ) from error


def _existing(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise UserError(
            f"there are no targets in {folder}",
            f"write some with `VecSpeak.teach(out='{folder}', teacher='facts')`",
        )
    return folder / name


TRAIN = "train"
PERSON_SEED, PERSON_SHARE = 0, 0.1
"""Of the split of people: a tenth of them, whole, by a hash of their ids."""
_FEWEST_LETTERS = 40
_FEWEST_RATINGS = 10
_MIN_COUNT = 5
_TOGETHER = 4
"""Tasks of a set, in its order, whose items are the same."""
_BE_SPECIFIC = "Be specific: it has to be clear which one is meant, and nothing may fit any other as well."


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskExample:
    """One question to a teacher about the entities in a task's slots."""

    task: Task
    slots: Mapping[str, str]
    """Id of the item in each slot; of a person, `user:ID`."""
    split: str
    context: str
    """All that the teacher reads."""
    facts: Mapping[str, str]
    """The same as named words, for targets that are made without a model."""
    texts: tuple[str, ...]
    """What a target may draw on: the texts that it is about, or what was rated."""
    names: tuple[str, ...]
    """Names of the entities asked about: they may not occur unless `texts` have them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExampleData:
    """All that lessons of a space are made of."""

    space: Space
    task_set: TaskSet
    known: tuple[ItemFacts, ...]
    """What is known of each item, in the space's order."""
    rows: Mapping[str, Sequence[int]]
    """Rows with a text by split: `train` and those that are held out."""
    keywords: Keywords
    people: Mapping[str, TasteProfile]
    """Tastes by id of the person."""
    words_of: Callable[[int], Sequence[str]] | None = None
    """The words of a row's text that its vector tells; None where a teacher is not shown any."""

    def split_of_person(self, person: str) -> str:
        """`train`, or `holdout` for people who are in no lesson for training."""
        return "holdout" if is_held_out_person(person) else TRAIN


def is_held_out_person(person: str) -> bool:
    """Whether nothing is trained on a person; by a hash of their id alone."""
    return is_under(PERSON + person, PERSON_SEED, PERSON_SHARE)


def known_items(space: Space, task_set: TaskSet) -> tuple[ItemFacts, ...]:
    """What a space's table knows of its items. Raises UserError where it has no texts."""
    if TEXT_COLUMN not in space.metadata.column_names:
        raise UserError(
            f"the space {space.name!r} has no texts, and targets are written from texts",
            "make the space again with text='COLUMN', then fit it: `VecSpeak.fit(...)`",
        )
    columns = {name: _column(space, names) for name, names in task_set.facts.items()}
    texts = to_python(space.metadata.column(TEXT_COLUMN), TEXT_COLUMN)
    blank = [None] * space.num_items
    values = (columns.get(name, blank) for name in ("kinds", "era", "maker"))
    return tuple(
        ItemFacts(
            id=item,
            label=label,
            text=" ".join(str(text or "").split()),
            kinds=_kinds(kinds, task_set.item_words),
            era=decade(era),
            maker=", ".join(_list(maker)),
        )
        for item, label, text, kinds, era, maker in zip(space.ids, space.labels, texts, *values, strict=True)
    )


def example_data(
    space: Space,
    task_set: TaskSet,
    *,
    splits: Mapping[str, frozenset[str]],
    ratings: Mapping[str, Mapping[str, float]] | None = None,
    words_of: Callable[[int], Sequence[str]] | None = None,
) -> ExampleData:
    """Everything that lessons are made of. `ratings` are stars by person and item; without them nobody is asked about.

    With `words_of` a teacher is shown the words of a row's text that its vector tells, and asked to name them. Keywords
    count how many training texts have a word. Raises UserError where the space has no texts.
    """
    known = known_items(space, task_set)
    rows = _rows(space, known, splits)
    if not rows[TRAIN]:
        raise UserError(
            f"no item of {space.name!r} that may be trained on has a text of {_FEWEST_LETTERS} letters or more",
            "make the space again with text='COLUMN', then fit it: `VecSpeak.fit(...)`, or hold out fewer items",
        )
    texts = [known[row].text for row in rows[TRAIN]]
    return ExampleData(
        space=space,
        task_set=task_set,
        known=known,
        rows=rows,
        keywords=Keywords.fit(texts, min_count=min(_MIN_COUNT, 1 + len(texts) // 100)),
        people=_people(known, rows[TRAIN], ratings or {}),
        words_of=words_of,
    )


def make_task_examples(
    made: ExampleData, *, counts: Mapping[str, int], split: str = TRAIN, seed: int = 0
) -> list[TaskExample]:
    """Lessons of each task that `counts` names, as many as it says or as there are entities.

    A task's lessons depend on its place in the set, the split and the seed, not on how many of other tasks are wanted:
    more of them are the same and some more. Four tasks about an item share their items, so that a teacher reads each
    text once for all four. Raises UserError for a split that the space does not have.
    """
    if split not in made.rows and not (split == "holdout" and made.people):
        raise UserError(
            f"no split {split!r} in the space {made.space.name!r}; it has {', '.join(made.rows)}",
            "use `split`",
        )
    return [
        example
        for name, count in counts.items()
        for example in _of_task(made, made.task_set.task(name), count, split, seed)
    ]


def _of_task(made: ExampleData, task: Task, count: int, split: str, seed: int) -> list[TaskExample]:
    place = list(made.task_set.tasks).index(task.name) // _TOGETHER
    rng = np.random.default_rng([seed, place] if task.about == "item" else [seed, *task.name.encode()])
    if task.about == "person":
        people = sorted(person for person in made.people if made.split_of_person(person) == split)
        drawn = [people[i] for i in rng.permutation(len(people))[:count].tolist()]
        return [_person_example(made, task, person, split) for person in drawn]
    rows = np.asarray(made.rows.get(split, ()), dtype=np.int64)
    selected = rows[rng.permutation(len(rows))[:count]]
    if task.about == "item":
        return [_item_example(made, task, row, split) for row in selected.tolist()]
    seconds = _neighbours(made, selected) if task.about == "neighbour" else _others(rows, selected, rng)
    pairs = zip(selected.tolist(), seconds.tolist(), strict=True)
    return [_pair_example(made, task, x, y, split) for x, y in pairs if x != y]


def _neighbours(made: ExampleData, rows: np.ndarray) -> np.ndarray:
    """The nearest item of each that may be trained on and has a text: the neighbour that a reader may know."""
    if not len(rows):
        return rows
    allowed = np.asarray(made.rows[TRAIN], dtype=np.int64)
    found = nearest(made.space.take(allowed), made.space.vectors[rows], 2)
    near = allowed[found.indices]
    return np.where(near[:, 0] == rows, near[:, -1], near[:, 0])


def _others(rows: np.ndarray, selected: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Any other of the rows for each; itself where there is no other."""
    if len(rows) < 2:
        return selected
    drawn = rng.integers(len(rows), size=len(selected))
    same = rows[drawn] == selected
    return rows[(drawn + same) % len(rows)]


def _item_example(made: ExampleData, task: Task, row: int, split: str) -> TaskExample:
    known = made.known[row]
    context = f"{_shown(made, row)}\n\n{_request(made, task)}"
    return TaskExample(
        task=task,
        slots={"x": known.id},
        split=split,
        context=context,
        facts=item_facts(known, made.keywords, without=made.task_set.own_words),
        texts=(known.text, " ".join(known.kinds), known.maker),
        names=(known.label,),
    )


def _pair_example(made: ExampleData, task: Task, x: int, y: int, split: str) -> TaskExample:
    first, second = made.known[x], made.known[y]
    shown = [_shown(made, row, share=2) for row in (x, y)]
    item = made.task_set.words.get("item", "item")
    context = f"The first {item}.\n{shown[0]}\n\nThe second {item}.\n{shown[1]}\n\n{_request(made, task)}"
    return TaskExample(
        task=task,
        slots={"x": first.id, "y": second.id},
        split=split,
        context=context,
        facts=pair_facts(first, second, made.keywords, without=made.task_set.own_words),
        texts=(first.text, second.text, " ".join((*first.kinds, *second.kinds))),
        names=(first.label, second.label),
    )


def _person_example(made: ExampleData, task: Task, person: str, split: str) -> TaskExample:
    taste, items = made.people[person], made.task_set.words.get("items", "items").capitalize()
    lines = {
        f"{items} that they rated highest": taste.liked,
        f"{items} that they rated lowest": taste.disliked,
        "Kinds that they rate above their own average": taste.kinds_over,
        "Kinds that they rate below their own average": taste.kinds_under,
        "Times that they rate above their own average": taste.eras_over,
        "Times that they rate below their own average": taste.eras_under,
    }
    shown = [f"{name}: {'; '.join(values)}" for name, values in lines.items() if values]
    return TaskExample(
        task=task,
        slots={"x": PERSON + person},
        split=split,
        context="\n".join(shown) + f"\n\n{task.teacher}",
        facts=person_facts(taste),
        texts=tuple(shown),
        names=(),
    )


def _shown(made: ExampleData, row: int, *, share: int = 1) -> str:
    """What a teacher sees of an item: what is known of it, without its name. `share` of several see less text each."""
    known, task_set = made.known[row], made.task_set
    lines = []
    if known.kinds:
        lines.append(f"Kind: {join_words(known.kinds[:5])}")
    lines += [f"Time: {known.era}"] if known.era else []
    text = opening(known.text, task_set.text_letters // share)
    lines.append(f"{task_set.words.get('text', 'text').capitalize()}: {text}")
    if made.words_of and (words := made.words_of(row)):
        lines.append(f"Its words: {', '.join(words)}")
    return "\n".join(lines)


def _request(made: ExampleData, task: Task) -> str:
    """What the teacher is to write: about what matters, where it is shown that."""
    return f"{task.teacher} {_BE_SPECIFIC}" if made.words_of else task.teacher


def _rows(
    space: Space, known: Sequence[ItemFacts], splits: Mapping[str, frozenset[str]]
) -> dict[str, list[int]]:
    usable = [row for row, one in enumerate(known) if len(one.text) >= _FEWEST_LETTERS]
    out = frozenset().union(*splits.values())
    found = {TRAIN: [row for row in usable if space.ids[row] not in out]}
    return found | {name: [row for row in usable if space.ids[row] in ids] for name, ids in splits.items()}


def _people(
    known: Sequence[ItemFacts], rows: Sequence[int], ratings: Mapping[str, Mapping[str, float]]
) -> dict[str, TasteProfile]:
    """Tastes of people with enough ratings, of items that may be trained on."""
    items = {known[row].id: known[row] for row in rows}
    counts: dict[str, int] = {}
    for given in ratings.values():
        for item in given:
            counts[item] = counts.get(item, 0) + 1
    tastes = {
        person: taste_of(given, items, counts)
        for person, given in ratings.items()
        if sum(item in items for item in given) >= _FEWEST_RATINGS
    }
    return {person: taste for person, taste in tastes.items() if taste.kinds_over or taste.kinds_under}


def _column(space: Space, names: Sequence[str]) -> list[object]:
    found = next((name for name in names if name in space.metadata.column_names), None)
    return to_python(space.metadata.column(found), found) if found else [None] * space.num_items


def _list(value: object) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(one) for one in value if one and not isinstance(one, list | dict)]
    if isinstance(value, dict):  # a table in a cell is no kind and no maker
        return []
    return [part.strip() for part in re.split(r"[,|;]", str(value)) if part.strip()] if value else []


def _kinds(value: object, items: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (clean_kind(kind, items) for kind in _list(value)))))
