"""Data of a run: texts chosen from the corpus, their vectors, and the examples made of both.

Of models it knows an encoder's `encode` alone. What is prepared is cached in the folder and reused when the recipe's
part of it is the same.
"""

import dataclasses
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.bundles.lexicons import shipped_lexicon
from vecspeak.console import progress_bar
from vecspeak.encoders.text import Encoder
from vecspeak.errors import UserError
from vecspeak.model.alignment import Kind
from vecspeak.model.prompt import PromptTemplate
from vecspeak.model.words import prompt_words, with_listed
from vecspeak.storage import digest, replace_file
from vecspeak.tables.cells import to_python
from vecspeak.tasks.corpus import CORPUS_TASKS, CorpusTask, Text, build_corpus, load_corpus, save_corpus
from vecspeak.tasks.examples import (
    PERSON,
    TRAIN,
    Target,
    TargetsOrigin,
    is_held_out_person,
    read_about,
    read_targets,
)
from vecspeak.tasks.task_set import Keywords, Task, TaskSet, load_task_set
from vecspeak.training.recipe import PromptWords, Recipe, Targets

_CHUNK = 4096
_READ = 256
"""Vectors whose words are read at a time: all terms of each are in memory."""
_MOST_WORDS, _FEWEST_WORDS = 16, 4
"""Words that are read from a vector, and the fewest that are drawn for a question."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingTexts:
    """The texts that training may see, and their vectors."""

    texts: list[Text]
    vectors: np.ndarray
    """[N, D] float32 unit vectors, row i of text i; may be memory-mapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One question with its answer; its vectors are rows of the run's table."""

    task: str
    question: str
    rows: tuple[int, ...]
    target: str


def held_out_kinds(recipe: Recipe) -> frozenset[str]:
    """Kinds of text that training never saw, of whatever entity.

    Only such texts of held-out entities are new in both ways: a training entity was met in its other texts.
    """
    return frozenset(recipe.hold_out.kinds)


def held_out_tasks(recipe: Recipe) -> frozenset[str]:
    """Names of the tasks that training never asked."""
    return frozenset(recipe.hold_out.tasks)


def _corpus_key(recipe: Recipe) -> str:
    parts: list[object] = [recipe.seed, dict(recipe.sources), dict(recipe.split), dict(recipe.texts)]
    if kinds := held_out_kinds(recipe):
        parts.append(sorted(kinds))  # only then: what was prepared before kinds could be held out stays valid
    return digest(parts)[:16]


def prepare_texts(recipe: Recipe, folder: Path) -> list[Text]:
    """All texts of the recipe's sources with their split, cached as `texts-*.parquet` in the folder."""
    path = folder / f"texts-{_corpus_key(recipe)}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        texts = build_corpus(recipe.source_paths(), seed=recipe.seed, shares=recipe.split)
        with replace_file(path) as beside:
            save_corpus(texts, beside)
    return load_corpus(path)


def choose_texts(texts: Sequence[Text], recipe: Recipe) -> list[Text]:
    """Training texts, at most `recipe.texts[kind]` of each kind, drawn evenly with the recipe's seed.

    None of a kind that the recipe holds out; the draw of the others does not depend on that.
    """
    by_kind: defaultdict[str, list[Text]] = defaultdict(list)
    for text in texts:
        if text.split == "train":
            by_kind[text.kind].append(text)
    rng = np.random.default_rng(recipe.seed)
    selected: list[Text] = []
    for kind, limit in recipe.texts.items():
        order = rng.permutation(len(by_kind[kind]))[:limit]
        if kind not in recipe.hold_out.kinds:
            selected += [by_kind[kind][index] for index in order]
    return selected


def encode_texts(texts: Sequence[Text], encoder: Encoder, path: Path) -> np.ndarray:
    """Vectors of the texts, written to `path` as they come: a run that was stopped goes on where it was."""
    done_path = path.with_suffix(".parts")
    done_path.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        chunks = range(0, len(texts), _CHUNK)
        for start in progress_bar(chunks, desc="encoding texts", unit="chunk"):
            part = done_path / f"{start:09d}.npy"
            if not part.exists():
                vectors = encoder.encode([text.text for text in texts[start : start + _CHUNK]])
                _save_array(part, vectors.astype(np.float32))
        parts = [np.load(done_path / f"{start:09d}.npy", allow_pickle=False) for start in chunks]
        _save_array(path, np.concatenate(parts))
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _save_array(path: Path, array: np.ndarray) -> None:
    with replace_file(path) as beside, beside.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def prepare(recipe: Recipe, encoder: Encoder, folder: Path) -> TrainingTexts:
    """Texts and vectors of a run, from the cache where they are there. UserError when there is no text."""
    texts = choose_texts(prepare_texts(recipe, folder), recipe)
    if not texts:
        raise UserError(
            f"the recipe {recipe.name!r} finds no text to train on in {', '.join(recipe.sources)}",
            "correct [texts] and [split] in the recipe",
        )
    path = folder / f"vectors-{_corpus_key(recipe)}.npy"
    return TrainingTexts(texts=texts, vectors=encode_texts(texts, encoder, path))


def read_words(data: TrainingTexts, encoder: str, folder: Path, recipe: Recipe) -> list[list[str]]:
    """The words that the package's lexicon reads from each text's vector, best first; cached in the folder.

    Raises UserError for an encoder without a lexicon.
    """
    lexicon = shipped_lexicon(encoder)
    if lexicon is None:
        raise UserError(
            f"the recipe has words in its questions, and there is no lexicon of {encoder}",
            "set words.share to 0",
        )
    key = digest([_corpus_key(recipe), *lexicon.vocabulary.terms])[:16]
    path = folder / f"words-{key}.parquet"
    if not path.exists():
        found: list[list[str]] = []
        starts = range(0, len(data.vectors), _READ)
        for start in progress_bar(starts, desc="reading words", unit="chunk"):
            some = lexicon.words_of_all(np.asarray(data.vectors[start : start + _READ]), _MOST_WORDS)
            found += [[term.term for term in prompt_words(one, _MOST_WORDS)] for one in some]
        with replace_file(path) as beside:
            pq.write_table(pa.table({"words": found}), beside)
    words: list[list[str]] = to_python(pq.read_table(path).column("words"), "words")
    return words


def with_training_words(
    examples: Sequence[Example], words: Sequence[Sequence[str]], settings: PromptWords, seed: list[int]
) -> list[Example]:
    """The examples, with words behind a share of the questions about one vector; `words` are those of each row.

    Some are left out and some are another row's, so that the reader leans on vector and words alike.
    """
    rng = np.random.default_rng(seed)
    found = []
    for example in examples:
        if len(example.rows) != 1 or rng.random() >= settings.share:
            found.append(example)
            continue
        count = int(rng.integers(min(_FEWEST_WORDS, settings.most), settings.most + 1))
        own, other = words[example.rows[0]][:count], words[int(rng.integers(len(words)))]
        shown = [
            other[int(rng.integers(len(other)))] if other and rng.random() < settings.wrong else word
            for word in own
            if rng.random() >= settings.missing
        ]
        question = with_listed(example.question, list(dict.fromkeys(shown)))
        found.append(dataclasses.replace(example, question=question))
    return found


def texts_digest(texts: Sequence[Text]) -> str:
    """SHA-256 over the texts in order: what the run was trained on, without carrying it."""
    return digest(f"{text.text}\0" for text in texts)


def _partners(rows: np.ndarray, vectors: np.ndarray, near: bool, rng: np.random.Generator) -> np.ndarray:
    """A second row for each: any other, or the nearest of a random 4,096 by cosine."""
    others = rng.integers(len(vectors), size=len(rows))
    others = np.where(others == rows, (others + 1) % len(vectors), others)
    if not near:
        return others
    for start in range(0, len(rows), 512):
        block = rows[start : start + 512]
        pool = np.sort(rng.choice(len(vectors), size=min(4096, len(vectors)), replace=False))
        scores = np.asarray(vectors[block]) @ np.asarray(vectors[pool]).T
        scores[block[:, None] == pool[None, :]] = -np.inf
        others[start : start + 512] = pool[scores.argmax(1)]
    return others


def _draw_tasks(
    texts: Sequence[Text], rows: np.ndarray, recipe: Recipe, rng: np.random.Generator
) -> list[CorpusTask]:
    """A task for each row by the recipe's weights; movie tasks only where the text is of a movie."""
    names = list(recipe.tasks)
    never = held_out_tasks(recipe)
    weights = np.array([0.0 if name in never else recipe.tasks[name] for name in names])
    only_plots = np.array([name in ("plot", "genres") for name in names])
    drawn = []
    for row in rows:
        allowed = weights * np.where(only_plots, texts[row].kind in ("plot", "passage", "facts"), True)
        drawn.append(
            CORPUS_TASKS[
                names[rng.choice(len(names), p=allowed / allowed.sum())] if allowed.any() else "describe"
            ]
        )
    return drawn


def make_examples(data: TrainingTexts, recipe: Recipe, words: Sequence[Sequence[str]] = ()) -> list[Example]:
    """The shuffled examples of one run: `passes[kind]` questions about each text, a share of them with its words.

    A task that does not fit a text falls back to `describe`; where the recipe holds that out, there is no
    question. Raises UserError when no example is left.
    """
    rng = np.random.default_rng(recipe.seed + 1)
    times = np.array([recipe.passes.get(text.kind, 1) for text in data.texts])
    rows = rng.permutation(np.repeat(np.arange(len(data.texts)), times))
    tasks = _draw_tasks(data.texts, rows, recipe, rng)
    keywords = Keywords.fit((text.text for text in data.texts), min_count=20)
    seconds = {near: _partners(rows, data.vectors, near, rng) for near in (False, True)}
    examples = []
    for index, (row, task) in enumerate(zip(rows.tolist(), tasks, strict=True)):
        used = (row, int(seconds[task.near][index]))[: task.num_slots]
        target = task.target(tuple(data.texts[r] for r in used), keywords)
        if target is None:
            task, used = CORPUS_TASKS["describe"], (row,)
            target = data.texts[row].target
        if task.name in recipe.hold_out.tasks:
            continue
        question = task.wordings[rng.integers(len(task.wordings))]
        examples.append(Example(task=task.name, question=question, rows=used, target=target))
    if not examples:
        raise UserError(
            f"the recipe {recipe.name!r} leaves no question to train on",
            "correct [tasks], [passes] and [hold_out] in the recipe",
        )
    return with_training_words(examples, words, recipe.words, [recipe.seed, 4]) if words else examples


def summary(data: TrainingTexts, examples: Sequence[Example]) -> dict[str, dict[str, int]]:
    """Counts by kind of text and by task, for the manifest."""
    return {
        "texts": dict(Counter(text.kind for text in data.texts)),
        "examples": dict(Counter(example.task for example in examples)),
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TargetDataset:
    """All examples that targets give, and the vectors that they are about."""

    examples: list[Example]
    """Task by task, pass after pass, each pass in an order of its own."""
    validation: list[Example]
    """About one held-out vector each; nothing trains on them."""
    vectors: np.ndarray
    """[N, T] float32 unit vectors as the reader reads them."""
    facts: dict[str, Any]
    """What a manifest says of the targets."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Folder:
    path: Path
    about: TargetsOrigin
    entry: SpaceEntry
    task_set: TaskSet
    targets: list[Target]


@dataclass(slots=True)
class _Vectors:
    """Rows of the vectors asked for, each entity once."""

    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    asked: list[tuple[SpaceEntry, np.ndarray, Kind]] = field(default_factory=list)

    def row(self, entry: SpaceEntry, entity: str, is_person: bool) -> int:
        key = (entry.space.name, entity)
        if key not in self.rows:
            self.rows[key] = len(self.asked)
            self.asked.append((entry, _vector(entry, entity, is_person), "user" if is_person else "item"))
        return self.rows[key]

    @property
    def read(self) -> np.ndarray:
        """[N, T] what the reader sees of each: what asking about it gives."""
        return np.stack([entry.alignment(vector[None], kind)[0] for entry, vector, kind in self.asked])

    def words(self) -> list[list[str]]:
        """The words of each, as asking has them."""
        found: list[list[str]] = [[] for _ in self.asked]
        groups: defaultdict[tuple[str, Kind], list[int]] = defaultdict(list)
        for row, (entry, _, kind) in enumerate(self.asked):
            groups[entry.space.name, kind].append(row)
        for (_, kind), rows in groups.items():
            entry = self.asked[rows[0]][0]
            vectors = np.stack([self.asked[row][1] for row in rows])
            for row, words in zip(rows, entry.words(vectors, kind, _MOST_WORDS), strict=True):
                found[row] = [term.term for term in prompt_words(words, _MOST_WORDS)]
        return found


def _vector(entry: SpaceEntry, entity: str, is_person: bool) -> np.ndarray:
    """[D] the vector of an entity in its own space."""
    space = entry.users if is_person else entry.space
    if space is None:
        raise UserError(
            f"targets are about people, and the space {entry.space.name!r} of the bundle has none",
            "make the bundle from the space with its people, or set the weight of those tasks to 0",
        )
    vector: np.ndarray = space.vectors[space.index_of(entity.removeprefix(PERSON) if is_person else entity)]
    return vector


def with_names(recipe: Recipe) -> Recipe:
    """The recipe with the space and the task set of its first folder of targets, as it is kept in a bundle."""
    if recipe.targets is None:
        return recipe
    if not recipe.targets.folders:
        raise UserError(f"the recipe {recipe.name!r} names no folder of targets", "give `targets=FOLDER`")
    about = read_about(Path(recipe.targets.folders[0]))
    targets = dataclasses.replace(recipe.targets, space=about.space, task_set=about.task_set)
    return dataclasses.replace(recipe, targets=targets)


def read_target_dataset(
    targets: Targets, bundle: Bundle, seed: int, words: PromptWords | None = None
) -> TargetDataset:
    """Examples of all folders, with `words` behind a share of the questions.

    Raises UserError for targets of another space, about an entity that is held out or unknown, in a task that
    their set lacks, and when none is left.
    """
    _check_different(targets.folders)
    folders = [_open(Path(path), bundle) for path in targets.folders]
    _check_weights(targets.weights, folders)
    vectors = _Vectors()
    by_task: defaultdict[str, list[tuple[_Folder, Target]]] = defaultdict(list)
    held_out: list[tuple[_Folder, Target]] = []
    for folder in folders:
        for target in folder.targets:
            if targets.weights.get(target.task, 1.0) > 0:
                (by_task[target.task] if target.split == TRAIN else held_out).append((folder, target))
    examples = [
        example
        for name, shown in by_task.items()
        for example in _of_task(shown, targets.passes, [seed, *name.encode()], vectors)
    ]
    if not examples:
        raise UserError(
            f"no target to train on in {', '.join(targets.folders)}",
            f"write some with `VecSpeak.teach(out='{targets.folders[0]}', teacher='facts')`, "
            "and leave some task its weight",
        )
    facts = _facts(folders, by_task)
    validation = _validation(held_out, seed, vectors)
    if words and words.share:
        examples = with_training_words(examples, vectors.words(), words, [seed, 5])
    return TargetDataset(
        examples=examples,
        validation=validation,
        vectors=vectors.read,
        facts=facts,
    )


def _check_different(folders: Sequence[str]) -> None:
    """Raise UserError for a folder that is given twice: its targets would count twice."""
    seen: set[Path] = set()
    for one in folders:
        if (path := Path(one).resolve()) in seen:
            raise UserError(f"the folder of targets {one} is given twice", "give it once")
        seen.add(path)


def _open(path: Path, bundle: Bundle) -> _Folder:
    about = read_about(path)
    entry = bundle.entry(about.space)
    if entry.space.digest != about.space_digest:
        raise UserError(
            f"the targets in {path} are about another space {about.space!r} than that of {bundle.folder}: "
            f"digest {about.space_digest[:12]}, not {entry.space.digest[:12]}",
            "give the bundle that they were written for, or write them again",
        )
    folder = _Folder(
        path=path,
        about=about,
        entry=entry,
        task_set=load_task_set(about.task_set, about.words),
        targets=read_targets(path),
    )
    for target in folder.targets:
        _check(target, folder)
    return folder


def _check(target: Target, folder: _Folder) -> None:
    """Raise UserError for a target that fits no task, or trains on what is held out."""
    task = folder.task_set.task(target.task)
    if set(target.slots) != set(task.slots):
        raise UserError(
            f"a target in {folder.path} has the slots {', '.join(target.slots)}; the task {task.name} has "
            f"{', '.join(task.slots)}",
            "write the targets again",
        )
    held_out = [entity for entity in target.slots.values() if _is_held_out(entity, task, folder.entry)]
    if target.split == TRAIN and held_out:
        raise UserError(
            f"a target in {folder.path} is for training and about {held_out[0]}, which is held out",
            "write the targets again from this bundle, or mark that target with its split",
        )
    if target.split != TRAIN and not held_out:
        raise UserError(
            f"a target in {folder.path} is of the split {target.split!r} and about "
            f"{' and '.join(target.slots.values())}, which {folder.entry.space.name!r} does not hold out: "
            "what is watched may not be what is trained on",
            "write the targets again from this bundle",
        )


def _is_held_out(entity: str, task: Task, entry: SpaceEntry) -> bool:
    if task.about == "person":
        return is_held_out_person(entity.removeprefix(PERSON))
    return entity in entry.held_out


def _check_weights(weights: Mapping[str, float], folders: Sequence[_Folder]) -> None:
    known = list(dict.fromkeys(name for folder in folders for name in folder.task_set.tasks))
    if unknown := [name for name in weights if name not in known]:
        raise UserError(
            f"targets.weights has {unknown[0]!r}; the task set has {', '.join(known)}", "correct the recipe"
        )


def _of_task(
    targets: Sequence[tuple[_Folder, Target]], passes: int, seed: list[int], vectors: _Vectors
) -> list[Example]:
    """All targets of a task, as often as they may come, each time in a wording that training may ask."""
    rng = np.random.default_rng(seed)
    examples = []
    for _ in range(passes):
        for number in rng.permutation(len(targets)).tolist():
            folder, target = targets[number]
            prompts = folder.task_set.task(target.task).prompts
            wording = prompts[rng.integers(len(prompts))]
            examples.append(_example(folder, target, wording, vectors))
    return examples


def _example(folder: _Folder, target: Target, wording: str, vectors: _Vectors) -> Example:
    task: Task = folder.task_set.task(target.task)
    is_person = task.about == "person"
    rows = tuple(
        vectors.row(folder.entry, target.slots[slot], is_person) for slot in PromptTemplate(wording).slots
    )
    return Example(task=task.name, question=wording, rows=rows, target=target.text)


def _validation(held_out: Sequence[tuple[_Folder, Target]], seed: int, vectors: _Vectors) -> list[Example]:
    """Targets about one held-out vector, in random order, in the task's first wording."""
    order = np.random.default_rng([seed, 3]).permutation(len(held_out))
    asked = [held_out[i] for i in order if len(held_out[i][1].slots) == 1]
    return [
        _example(folder, target, folder.task_set.task(target.task).question, vectors)
        for folder, target in asked
    ]


def _facts(
    folders: Sequence[_Folder], by_task: Mapping[str, Sequence[tuple[_Folder, Target]]]
) -> dict[str, Any]:
    used = [target for shown in by_task.values() for _, target in shown]
    return {
        "targets": {name: len(shown) for name, shown in by_task.items()},
        "teachers": sorted({target.teacher for target in used}),
        "sha256": digest(json.dumps(target.to_dict(), sort_keys=True) + "\0" for target in used),
        # Of several sets about one space the first is asked by name: the others are trained beside it.
        "task_sets": {folder.about.space: folder.about.task_set for folder in reversed(folders)},
        "words": {folder.about.space: dict(folder.about.words) for folder in reversed(folders)},
        "spaces": {folder.entry.space.name: folder.entry.space.digest for folder in folders},
    }


_SHORT = 0.95
"""A task that got less than this of its share, and everything that it has, is short."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mixture:
    """The examples of a run in their order."""

    order: np.ndarray
    """[M] numbers of examples: those of the corpus first, then those of targets."""
    tokens: dict[str, int]
    """Tokens planned of each task of targets."""
    short: dict[str, float]
    """Tasks with too few targets, and how much of their share they give."""
    total: int
    """Tokens of the whole run."""


def levelled(weights: np.ndarray, limits: np.ndarray, total: float) -> np.ndarray:
    """What each gets of a total by weight, none more than its limit; what some cannot take goes to the others."""
    given = np.where(weights > 0, limits, 0.0).astype(float)
    is_open = weights > 0
    while is_open.any():
        level = (total - given[~is_open].sum()) / weights[is_open].sum()
        over = is_open & (weights * level >= limits)
        if not over.any():
            given[is_open] = weights[is_open] * level
            break
        is_open &= ~over
    return given


def interleave(streams: Sequence[np.ndarray], rates: Sequence[float], until: float = np.inf) -> np.ndarray:
    """[M, 2] stream and place in it: streams of examples with these tokens, each let run at its own rate.

    A stream that has ended leaves the others as they are. `until` is the time at which all end.
    """
    times = [(np.cumsum(one) - one / 2) / rate for one, rate in zip(streams, rates, strict=True)]
    numbers = [np.full(len(one), number) for number, one in enumerate(streams)]
    places = [np.arange(len(one)) for one in streams]
    when = np.concatenate(times)
    order = np.argsort(when, kind="stable")
    order = order[when[order] <= until]
    return np.stack([np.concatenate(numbers), np.concatenate(places)], 1)[order]


def _targets_order(
    tokens: np.ndarray, tasks: Sequence[str], weights: Mapping[str, float], total: float
) -> np.ndarray:
    """Numbers of targets with tasks at their rates; with a known total a task of few is spread over all of it."""
    names = [name for name in dict.fromkeys(tasks) if weights.get(name, 1.0) > 0]
    if not names:
        return np.zeros(0, dtype=np.int64)
    of_task = np.asarray(tasks)
    rows = [np.flatnonzero(of_task == name) for name in names]
    rates = np.array([weights.get(name, 1.0) for name in names])
    if total:
        rates = levelled(rates, np.array([tokens[one].sum() for one in rows], dtype=float), total)
    order = interleave([tokens[one] for one in rows], rates.tolist())
    return np.array([rows[stream][place] for stream, place in order], dtype=np.int64)


def mix(
    corpus: np.ndarray,
    targets: np.ndarray,
    tasks: Sequence[str],
    *,
    share: float,
    weights: Mapping[str, float],
    max_tokens: int = 0,
) -> Mixture:
    """The order of a run over [C] tokens of corpus examples and [T] tokens of targets, `tasks` naming those'.

    Each kind of example is taken in the order in which it is given. The run ends with the kind that ends first,
    or at `max_tokens` (0 is no limit). A share of 1 leaves the corpus out.
    """
    selected = _targets_order(targets, tasks, weights, share * max_tokens)
    streams, rates = [targets[selected]], [share]
    if share < 1:
        streams, rates = [*streams, corpus], [*rates, 1 - share]
    until = min(one.sum() / rate for one, rate in zip(streams, rates, strict=True))
    both = interleave(streams, rates, until)
    order, is_target = both[:, 1].copy(), both[:, 0] == 0
    order[is_target] = len(corpus) + selected[order[is_target]]
    sizes = np.concatenate([corpus, targets])[order]
    retained = np.cumsum(sizes) - sizes < (max_tokens or np.inf)
    given, short = _given(order[retained & is_target] - len(corpus), targets, tasks, weights)
    return Mixture(order=order[retained], tokens=given, short=short, total=int(sizes[retained].sum()))


def _given(
    used: np.ndarray, tokens: np.ndarray, tasks: Sequence[str], weights: Mapping[str, float]
) -> tuple[dict[str, int], dict[str, float]]:
    """Tokens that each task gives, and of those with too few targets the part of their share that they give."""
    of_task, is_used = np.asarray(tasks), np.isin(np.arange(len(tokens)), used)
    whole = {name: of_task == name for name in dict.fromkeys(tasks) if weights.get(name, 1.0) > 0}
    given = {name: int(tokens[rows & is_used].sum()) for name, rows in whole.items()}
    share = sum(given.values()) / max(sum(weights.get(name, 1.0) for name in given), 1e-9)
    parts = {name: count / max(share * weights.get(name, 1.0), 1e-9) for name, count in given.items()}
    short = {
        name: round(part, 3) for name, part in parts.items() if part < _SHORT and is_used[whole[name]].all()
    }
    return given, short
