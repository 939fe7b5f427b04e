"""The front door: VecSpeak opens a reader, fits spaces to it, asks about points, and explores and measures.

Every command of the command line is one of these calls.
"""

import dataclasses
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from vecspeak import asking, inputs
from vecspeak.asking import Asker, PreparedQuestion
from vecspeak.bundles import Bundle, SpaceEntry, load_bundle, save_bundle
from vecspeak.bundles.bundle import (
    DEFAULT,
    MAKE_A_SPACE,
    check_new_bundle,
    check_not_in_bundle,
    check_same_reader,
    open_reader,
    open_space,
    shipped_reader,
)
from vecspeak.bundles.checking import BundleCheck, check_bundle, name_models
from vecspeak.bundles.lexicons import texts_of
from vecspeak.bundles.merging import merged
from vecspeak.bundles.origin import embedded, encoder_of, likely_encoder
from vecspeak.encoders.text import Encoder
from vecspeak.engines import AUTO, Engine, Sampling, opening_note
from vecspeak.errors import (
    UserError,
    check_one_of,
    check_path,
    check_seed,
    check_some_of,
    check_text,
    check_texts,
    check_whole,
    require,
    shown_value,
)
from vecspeak.evidence import Answer, Answers, Words
from vecspeak.foreign import shown
from vecspeak.inputs import selected_task_set
from vecspeak.points import Concept, Point
from vecspeak.searching import AskedEffort, Effort, checked_effort
from vecspeak.spaces import Space
from vecspeak.storage import digest, lock, recover
from vecspeak.writing import WritingAsker

if TYPE_CHECKING:
    from vecspeak.building import BuildResult
    from vecspeak.bulk import Narration
    from vecspeak.engines.vllm_model import ExportedModel, Precision
    from vecspeak.evaluation.evaluate import Evaluator
    from vecspeak.evaluation.report import Report
    from vecspeak.explore.atlas import Atlas, AtlasFiles
    from vecspeak.explore.axes import AxisMeanings
    from vecspeak.explore.canary import CanaryCheck
    from vecspeak.explore.claims import CheckedClaims
    from vecspeak.explore.compare import Difference
    from vecspeak.explore.concepts import Along, ConceptImport, Fitted
    from vecspeak.explore.drift import Drift
    from vecspeak.explore.item_values import ItemValues
    from vecspeak.explore.leaks import Leaks
    from vecspeak.explore.migration import Migration
    from vecspeak.explore.oddities import Oddities
    from vecspeak.explore.regions import Description, RegionReader
    from vecspeak.explore.tastes import PersonTastes, TasteReader
    from vecspeak.explore.trace import Trace
    from vecspeak.explore.why import Why
    from vecspeak.notebook import MapWidget
    from vecspeak.points.foldin import FoldIn
    from vecspeak.protocols.expert_iteration import Iteration
    from vecspeak.protocols.profile_results import ProfileCheck
    from vecspeak.report.labels import LabelFiles, LabelTool, Outliers
    from vecspeak.server import RunningServer
    from vecspeak.spaces.clusters import Clusters
    from vecspeak.spaces.clusters import Method as ClusterMethod
    from vecspeak.spaces.plane import SpaceMap
    from vecspeak.tasks.task_set import Task, TaskSet
    from vecspeak.teachers.generate import GenerateResult
    from vecspeak.teachers.job import TeachingJob
    from vecspeak.training.recipe import Recipe
    from vecspeak.writers import Writer

Notify = Callable[[str], None]
"""What is called with a sentence that a person should read, such as that a reader is prepared for half a minute."""


def _warn(note: str) -> None:
    warnings.warn(shown(note), stacklevel=3)


class VecSpeak:
    """A reader with the spaces that it reads: fit, ask, explore, measure, save.

    >>> vs = VecSpeak.from_pretrained()    # the reader that the package brings
    >>> vs.fit(space)                      # closed form: seconds, no GPU
    VecSpeak('reader', spaces: movies.semantic (5,000))
    >>> vs.ask("Describe {x}.", x="The Thaw", max_new_tokens=16)    # or an id, an expression, a point, an array [D]
    Answer('..., warnings=0)
    >>> _ = vs.save("movies.bundle")
    >>> VecSpeak.load("movies.bundle")
    VecSpeak('movies', spaces: movies.semantic (5,000))

    The language model is loaded when it is first asked. `engine` names one ("openvino", "transformers", "auto") or is
    one; `encoder` reads answers back and is the reader's own unless another is given. A bundle names the encoder and
    the base model of its reader, and a path in it is never followed: where they are none of the package's and were not
    trained with on this machine, give their folders once, as `encoder=FOLDER` and `base=FOLDER`. Weights are compared.

    Threads may ask one object: their questions are answered one after the other. A `stream` that is left half-read
    blocks nobody; where it goes on after a newer question it raises UserError.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        engine: str | Engine = AUTO,
        encoder: Encoder | str | Path | None = None,
        base: str | Path = "",
        folder: Path | None = None,
        notify: Notify = _warn,
        writer: "Writer | None" = None,
    ) -> None:
        """With a `writer` (`vecspeak.writers.open_writer`) that language model writes every answer of `ask` again."""
        if encoder is not None and not isinstance(encoder, str | Path) and not hasattr(encoder, "encode"):
            raise UserError(
                f"`encoder` is a folder, a name or an encoder, got {shown_value(encoder)}", "leave it out"
            )
        own = encoder if isinstance(encoder, str | Path) else ""
        name_models(bundle.manifest.reader, base=base, encoder=own)
        if bundle.note:
            notify(bundle.note)
        self.bundle = bundle
        self.writer = writer
        self.folder = folder
        """Where `save` writes when it is given no folder."""
        self._engine, self._notify = engine, notify
        self._encoder = None if isinstance(encoder, str | Path) else encoder
        self._models: VecSpeak = self
        """Whose engine and encoder this one uses."""
        self._changed: set[str] = set()
        self._opened = bundle.entries
        self._edited = False
        self._askers: dict[tuple[str, bool], Asker] = {}
        self._taste_readers: dict[str, TasteReader] = {}

    # --- opening and saving ---

    @classmethod
    def from_pretrained(cls, name_or_folder: str | Path = DEFAULT, **options: Any) -> "VecSpeak":
        """Open the package's reader or the reader and spaces of a folder; nothing is fetched.

        Options are those of `VecSpeak(...)`. Raises UserError where there is neither.
        """
        return cls(open_reader(name_or_folder), **options)

    @classmethod
    def load(cls, folder: str | Path, **options: Any) -> "VecSpeak":
        """Open a bundle that `save` or `vecspeak fit` wrote. Raises UserError for a missing, broken or newer one."""
        return cls(load_bundle(folder), folder=Path(folder), **options)

    @staticmethod
    def check(folder: str | Path) -> BundleCheck:
        """Say what a bundle holds, whom it is from, and whether every file is whole; `vecspeak check`.

        All files of the right size are digested, which takes a second for each gigabyte or two; opening digests the
        reader's and small ones alone. No model is opened. Raises UserError for what is no bundle, or has a broken
        manifest.

        >>> VecSpeak.check("movies.bundle").is_whole
        True
        """
        return check_bundle(check_path("folder", folder))

    @classmethod
    def create(cls, folder: str | Path, *, reader: str = "", **options: Any) -> "VecSpeak":
        """Open the bundle at `folder`, or a reader whose spaces will be saved there.

        `reader` is a name of the package or a bundle, by default the reader of the bundle that is there, else the
        package's. Raises UserError, before any work, where no bundle can be written and for another reader.
        """
        folder = check_path("folder", folder)
        recover(folder)
        check_new_bundle(folder)
        existing = load_bundle(folder) if (folder / "manifest.json").exists() else None
        source = open_reader(reader) if reader else existing or shipped_reader()
        check_same_reader(existing, source, folder)
        return cls(existing or source, folder=folder, **options)

    @classmethod
    @contextmanager
    def editing(cls, folder: str | Path, **options: Any) -> Iterator["VecSpeak"]:
        """Open a bundle while no other process may change it; what changed is saved when the block ends well.

        `save`, `write_atlas` and a nested edit of the same bundle may stand in the block.
        """
        load_bundle(folder)  # refuses what is no bundle before anything is written next to it
        check_new_bundle(Path(folder))
        with lock(folder):
            opened = cls.load(folder, **options)
            opened._edited = True
            yield opened
            opened._edited = False
            if opened._changed:
                opened._write(Path(folder))

    def save(self, folder: str | Path | None = None) -> "VecSpeak":
        """Write the reader and its spaces to a folder, whole or not at all; spaces of a bundle that is there stay.

        Concepts that another copy of the bundle saved meanwhile stay too; where both have one of a name, this one's is
        saved. Raises UserError where the folder is something else, or a bundle with another reader, and where a space
        was fitted again meanwhile on other content.
        """
        target = check_path("folder", folder) if folder is not None else self.folder
        if target is None:
            raise UserError("no folder is given to save to", "save('shop.bundle')")
        recover(target)
        check_new_bundle(target)
        with lock(target):  # another process may have added a space meanwhile
            self._write(target)
        return self

    save_pretrained = save

    def _write(self, target: Path) -> None:
        existing = load_bundle(target) if (target / "manifest.json").exists() else None
        check_same_reader(existing, self.bundle, target)
        same = existing is not None and self.folder is not None and target.resolve() == self.folder.resolve()
        entries = dict(existing.entries if existing else {})
        for space, mine in self.bundle.entries.items():
            if space in self._changed or not same:
                entries[space] = merged(mine, self._opened.get(space), entries.get(space), same_bundle=same)
        name = existing.manifest.name if existing else target.stem
        saved = save_bundle(target, source=self.bundle, name=name, entries=entries)
        if self._edited and not same:
            return  # a copy: the bundle that is edited gets its changes when the block ends
        self.bundle, self.folder = saved, target
        self._opened = saved.entries
        self._changed.clear()
        self._askers.clear()

    def export_vllm(self, out: str | Path, *, dtype: "Precision | None" = None) -> "ExportedModel":
        """Write the reader's language model, its LoRA merged, as a folder that a stock vLLM serves; `vecspeak export`.

        `dtype` is "float32", "bfloat16" or "float16", by default that of the base model. The result's `command` starts
        the server, `engine="vllm:http://127.0.0.1:8000"` asks it (docs/vllm.md). Raises UserError for a base of
        quantized weights, and for a folder that holds something else.
        """
        from vecspeak.engines.vllm_model import export_model

        return export_model(self.bundle, check_path("out", out), dtype=dtype)

    # --- what there is ---

    def __repr__(self) -> str:
        spaces = ", ".join(f"{name} ({len(one.space):,})" for name, one in self.bundle.entries.items())
        return f"VecSpeak({self.bundle.manifest.name!r}, spaces: {spaces or 'none yet'})"

    @property
    def spaces(self) -> dict[str, Space]:
        """The spaces by name."""
        return {name: entry.space for name, entry in self.bundle.entries.items()}

    @property
    def space(self) -> Space:
        """The only space. Raises UserError where there are several or none."""
        return self.bundle.entry().space

    def entry(self, space: str = "") -> SpaceEntry:
        """A space with everything that was fitted on it: alignment, splits, concepts, regions."""
        return self.bundle.entry(space)

    def alignment_report(self, space: str = "") -> dict[str, Any]:
        """How a space was mapped, its score on held-out items, and a sentence of what that amounts to (`verdict`)."""
        from vecspeak.model.map_scores import with_verdict

        return with_verdict(self.bundle.entry(space).report)

    @cached_property
    def engine(self) -> Engine:
        """What generates; opened when first used."""
        if self._models is not self:
            return self._models.engine
        if not isinstance(self._engine, str):
            return self._engine
        return asking.open_engine(self.bundle, self._engine)

    @cached_property
    def encoder(self) -> Encoder:
        """What reads answers back, and texts when a space is fitted; loaded when first used."""
        if self._models is not self:
            return self._models.encoder
        card = self.bundle.manifest.reader
        return self._encoder or asking.load_named_encoder(card.encoder, card.encoder_sha256)

    @property
    def engine_owner(self) -> object:
        """What all have in common that take turns with one engine: an engine that was given, or whoever opens it."""
        return self._models if isinstance(self._models._engine, str) else self._models._engine

    def share_models(self, other: "VecSpeak") -> bool:
        """Ask by the engine and encoder of another, which saves a gigabyte; false where the two have not the same.

        Both must have the same files of a reader, and name the same engine. From then on they take turns.
        """
        mine, theirs = self.bundle.manifest, other.bundle.manifest
        same = mine.reader == theirs.reader and mine.files == theirs.files
        named = isinstance(self._engine, str) and self._engine == other._engine
        if not (same and named and self._encoder is other._encoder):
            return False
        self._models = other._models
        return True

    def asker(self, space: str = "", *, words_in_prompts: bool = False) -> Asker:
        """What asks about one of the spaces, with the engine and encoder of this object."""
        entry = self.bundle.entry(space)
        key = (entry.space.name, words_in_prompts)
        if key not in self._askers:
            made = partial(WritingAsker, self.writer) if self.writer else Asker
            self._askers[key] = made(
                entry,
                lambda: self.engine,
                lambda: self.encoder,
                self.bundle.entries,
                words_in_prompts=words_in_prompts,
            )
        return self._askers[key]

    def _keep(self, entry: SpaceEntry) -> None:
        """Put a changed space in the place of the one of its name."""
        name = entry.space.name
        self.bundle = dataclasses.replace(self.bundle, entries={**self.bundle.entries, name: entry})
        self._changed.add(name)
        self._askers.clear()

    # --- fitting ---

    def fit(
        self,
        space: Space | str | Path,
        *,
        users: "Space | None" = None,
        fold_in: "FoldIn | None" = None,
        holdout: float | Collection[str] = 0.1,
        holdout_regions: int = 0,
        holdout_cold: int | None = None,
        seed: int = 0,
        unpaired: bool = False,
        pile: "Space | Sequence[str] | str | Path | None" = None,
        progress: bool = False,
    ) -> "VecSpeak":
        """Map a space to what the reader reads, with the texts of its items, in closed form; `vecspeak fit`.

        `space` may be a file that `vecspeak space` saved; users beside it come along. `users` are people in the same
        vector space, so that `user(42)` is a point. Held out of the fit are a share `holdout` of the items or the items
        with these ids, `holdout_regions` whole regions of 20, and half of the items with at most `holdout_cold`
        ratings. A space that is fitted again keeps its people, concepts and regions; where its content is another,
        `notify` says what is dropped. Raises UserError for too few texts and for an unknown id.

        With `unpaired` no item needs a text: the space is matched as a whole with a `pile` of other texts about the
        same subjects (a list, a file with one a line, a space; by default the shipped plots of movies). Texts that
        there are help as pairs. It takes minutes, and is refused with its figures where chance does as well.
        """
        from vecspeak.bundles.fitting import fit_into

        entry, note = fit_into(
            self.bundle,
            space,
            lambda: self.encoder,
            users=users,
            fold_in=fold_in,
            holdout=holdout,
            holdout_regions=holdout_regions,
            holdout_cold=holdout_cold,
            seed=seed,
            unpaired=unpaired,
            pile=pile,
            beside=self.folder,
            progress=progress,
        )
        self._keep(entry)
        if note:
            self._notify(note)
        if caution := entry.caution:
            warnings.warn(shown(caution), stacklevel=2)
        return self

    # --- points and concepts ---

    def point(self, x: Any, *, kind: Literal["user"] | None = None, space: str = "") -> Point:
        """The one point that `x` means, evaluated once.

        `x` is a label, an id, an expression ('mid("A", "B", 0.3)'), a `Point`, an array [D] of NumPy or torch, or a
        row of a frame with an id or a vector of the space. `kind="user"` declares that a person is in it: the
        privacy rule then holds for questions about it, and a vector is read as a user's. Raises UserError for what is
        none of these.
        """
        point = inputs.one_point(self._path(x, kind=kind, space=space))
        return asking.with_person_noticed(point, self.bundle.entries)

    def _path(self, x: Any, *, kind: Literal["user"] | None, space: str) -> tuple[Point, ...]:
        if not space and len(self.bundle.entries) > 1:  # a point or an "@" may name one of several
            space = inputs.space_of(x)
        return inputs.points_of(x, self.bundle, lambda: self.asker(space), kind=kind)

    def concept(
        self,
        name: str,
        *,
        where: str = "",
        positives: Sequence[str] | Path = (),
        negatives: Sequence[str] | Path = (),
        pairs: Any = None,
        text: str = "",
        against: str = "",
        check: str = "",
        method: Literal["logistic", "ridge", "mean"] | None = None,
        seed: int = 0,
        force: bool = False,
        space: str = "",
    ) -> Concept:
        """Fit a direction from one source and keep it under its name; without a source, the concept of that name.

        Sources: `where`, a metadata query ('genres = "Horror" and year >= 1990'); `positives` (and `negatives`), labels
        or ids; `pairs`, a file or (more, less) pairs; `text`, what it reads like (`against` another, `check`ed by
        COLUMN=VALUE). Raises UserError for a concept that does not beat the same fit on shuffled labels, unless
        `force`. Concepts are arithmetic: `space["Red scarf"] + 2 * formal`.
        """
        from vecspeak.explore.concepts import is_given

        if pairs is None and not any(map(is_given, (where, positives, text))):
            return self._known_concept(name, space)
        fitted = self.fit_concept(
            name,
            where=where,
            positives=positives,
            negatives=negatives,
            pairs=pairs,
            text=text,
            against=against,
            check=check,
            method=method,
            seed=seed,
            force=force,
            space=space,
        )
        return self._known_concept(fitted.concept.name, space)

    def fit_concept(self, name: str, *, force: bool = False, space: str = "", **source: Any) -> "Fitted":
        """As `concept` with a source; the result also says which named items were left out."""
        from vecspeak.explore.concepts import check_trusted, concept_from, with_concepts

        entry = self.bundle.entry(space)
        fitted = concept_from(entry, name, lambda: self.encoder, **source)
        check_trusted(fitted, force=force)
        self._keep(with_concepts(entry, [fitted.concept]))
        return fitted

    def concepts(self, space: str = "") -> dict[str, Concept]:
        """The concepts of a space by name, with their scores, controls and overlap with each other."""
        return {name: self._known_concept(name, space) for name in self.bundle.entry(space).concepts}

    def concept_extremes(
        self, name: str, count: int = 8, *, space: str = ""
    ) -> "tuple[tuple[Along, ...], tuple[Along, ...]]":
        """The items that lie highest along a concept and those that lie lowest, each with its standard deviations."""
        from vecspeak.explore.concepts import extremes

        return extremes(self.bundle.entry(space), self._known_concept(name, space), count)

    def import_concepts(
        self,
        file: str | Path,
        attributes: Sequence[str] = (),
        *,
        seed: int = 0,
        force: bool = False,
        space: str = "",
        progress: bool = False,
    ) -> "ConceptImport":
        """Fit a concept for each attribute that a crowd judged in a file, and keep those that beat chance.

        The file is a CSV in the form of Balog et al. 2021 (soft attributes of movies). `attributes` names some of them;
        `force` keeps those that do not beat chance too. Raises UserError for a file of another form.
        """
        from vecspeak.explore.concepts import import_soft_attributes

        entry, found = import_soft_attributes(
            self.bundle.entry(space), file, attributes, seed=seed, force=force, progress=progress
        )
        if found.saved:
            self._keep(entry)
        return found

    def add_concepts(self, concepts: Concept | Sequence[Concept], *, space: str = "") -> None:
        """Keep concepts that were fitted elsewhere, in the place of those of their names.

        Raises UserError for one that was fitted on another space, or on other content of this one.
        """
        from vecspeak.explore.concepts import with_concepts

        self._keep(with_concepts(self.bundle.entry(space), concepts))

    def remove_concept(self, name: str, *, space: str = "") -> list[str]:
        """Forget a concept; the names of those that are left. Raises UserError for an unknown one."""
        entry = self.bundle.entry(space)
        self._known_concept(name, space)
        left = {other: one for other, one in entry.concepts.items() if other != name}
        self._keep(dataclasses.replace(entry, concepts=left))
        return list(left)

    def _known_concept(self, name: str, space: str) -> Concept:
        from vecspeak.explore.concepts import known_concept

        return known_concept(self.bundle.entry(space), name)

    # --- asking ---

    def ask(self, question: str = "", **arguments: Any) -> Answer:
        """Ask about points in the slots of a question; `vecspeak ask`.

        >>> array = space["The Thaw"].vector
        >>> answer = vs.ask("Describe {x}.", x=array, max_new_tokens=16)
        >>> answer.evidence[0].nearest[0].label    # an array is not known to be an item: the nearest one is itself
        'The Thaw'
        >>> between = 'mid("The Thaw", "Pale Rider", 0.3)'
        >>> len(vs.ask("What do {x} and {y} share?", x=array, y=between, max_new_tokens=16).evidence)
        2

        Arguments are those of `ask_batch`, and a point for each slot (see `point`). Raises UserError before any model
        is loaded for a question or a point that is none, and for several points in a slot.
        """
        answers = self.ask_batch(question, **arguments)
        if len(answers) != 1:
            raise UserError(f"{len(answers)} points are asked about", "ask_batch answers several")
        return answers[0]

    def ask_batch(
        self,
        question: str = "",
        *,
        at: Mapping[str, Any] | None = None,
        task: str = "",
        tasks: str = "",
        words: Mapping[str, str] | Sequence[str] = (),
        kind: Literal["user"] | None = None,
        space: str = "",
        max_new_tokens: int | None = None,
        effort: AskedEffort | None = None,
        words_in_prompt: bool | None = None,
        temperature: float = 0.0,
        seed: int = 0,
        best_of: int = 1,
        strict: bool = False,
        on_words: Callable[[Words], None] | None = None,
        on_text: Callable[[str], None] | None = None,
        **points: Any,
    ) -> Answers:
        """Ask the same about many points: a slot takes an array [N, D], a list, a space, or a path expression.

        Slots with one point keep it in every question. `task` asks a task by its name, from the set `tasks` in which
        `words` are replaced. `at` gives points for slots that are called like an option. `effort` is how much is
        searched: "normal" grows the answer in 8 rows, "high" in 16, and "quick" reads one row that does not loop, as a
        list always does. A question has the words that are read from its points, but for a quick task, unless
        `words_in_prompt=False`. "plain" takes the likeliest tokens as they come, without words and without weights of
        clauses; so is what a temperature draws, or `best_of`, which takes of that many answers the one with the best
        round trip. `strict` refuses points outside the data. Of a single question `on_words` gets what is read from
        its point before the answer is looked for, and `on_text` the pieces of the answer as they come. Answers come in
        the order of the points.
        """
        check_whole("best_of", best_of, 1, 64)
        Sampling(temperature=temperature, seed=seed)  # refused before a point is looked up
        search = checked_effort(effort, temperature, best_of)
        if self.writer and best_of > 1:
            raise UserError("a writer's best text is taken anyway", "leave out `best_of`, or the writer")
        if words_in_prompt is None:
            words_in_prompt = _has_words(search, task)
        asker, prepared = self._prepared(
            question, at=at, task=task, tasks=tasks, words=words, kind=kind, space=space,
            words_in_prompt=words_in_prompt, **points,
        )  # fmt: skip
        for one in prepared if strict else ():
            asker.check_inside(one)
        self._say(one.note for one in prepared)
        sampling = Sampling(
            max_new_tokens=answer_tokens(prepared[0].task) if max_new_tokens is None else max_new_tokens,
            temperature=temperature,
            seed=seed,
        )
        if len(prepared) == 1 and on_words:
            for point in prepared[0].points.values():
                on_words(asker.entry_of(point).words(point.vector[None], point.kind)[0])
        if len(prepared) == 1 and best_of == 1:
            return Answers([asker.answer(prepared[0], sampling, effort=search, on_text=on_text)])
        if best_of == 1:
            return Answers(asker.answer_all(prepared, sampling, effort=search))
        answers = Answers(asker.best_answer(one, best_of, sampling) for one in prepared)
        if on_text and len(answers) == 1:
            on_text(answers[0].text)
        return answers

    def words(
        self,
        x: Any,
        limit: int = 10,
        *,
        among: Sequence[str] | None = None,
        kind: Literal["user"] | None = None,
        space: str = "",
    ) -> Words:
        """The words and column values that a point's vector holds, with their probabilities; `vecspeak words`.

        Read in closed form, without a language model, by what was fitted on the space and by the lexicon of the
        reader's encoder; best first, by probability over the square root of the square root of the base rate. A term
        that the vector makes no likelier than it is of any item is not said of it, so that there may be fewer than
        `limit`, and none where nothing is known that reads the space. `x` is as for `point`. `among` asks for these
        words and values alone, all of them, however little the vector says of them: words(x, among=["wool", "linen"]).
        Raises UserError for no point, and for several, and for a word in `among` that is not read.
        """
        check_whole("limit", limit, 1, 1000)
        point = self._point_or_query(x, kind=kind, space=space)
        entry = self.bundle.entry(point.space)
        if among is None:
            return entry.words(point.vector[None], point.kind, limit)[0]
        return entry.words_among(check_texts("among", among), point.vector, point.kind)

    def narrate(self, out: str | Path, vectors: Any = None, **options: Any) -> "Narration":
        """Write what every row of a large table of vectors says into a folder of Parquet files; `vecspeak narrate`.

        >>> vs.narrate("words", "new.parquet", id="sku", vector="embedding")    # doctest: +SKIP

        `vectors` are a file of the space's encoder: Parquet or a folder of it (with columns `id` and `vector`) and
        `.npy`, read by blocks, an array [N, D], a `Space` or what one is read from; by default the space's own items.
        `task` is "words", "tags" (words likelier than not) or "name" (the first two), without a language model; or
        "describe" or a task of the set `tasks`: then the reader writes a text for all rows, or for the `prose_for`
        surest. `limit` words are written for each row. `out` and `vectors` may be URLs (s3://, gs://, abfs://, hdfs://,
        file://), or paths in a `filesystem` of pyarrow or fsspec. Rows without a usable vector are left out and
        counted. The same call goes on with what a kill left; other inputs, options and bundles are refused there, and
        rows that change meanwhile. `id` and `vector` are names of columns, and refused where there are none.
        `distances=False` leaves out which rows lie far from the space's items, which takes long where it has many.
        `effort` and `max_new_tokens` are those of `ask`. `ray` is the address of a cluster of Ray that does the work,
        else `threads` do. Raises UserError for what does not fit, before anything is written.
        """
        from vecspeak.bulk import narrate

        return narrate(self, out, vectors, **options)

    def tastes(self, x: Any, limit: int = 10, *, space: str = "") -> "PersonTastes":
        """What a person is predicted to like more, and less, than the other people of a space; `vecspeak words`.

        `x` is `user(ID)`, `user({"Heat": 5, ...})`, or an array that is a person's. Kinds, decades, words and trusted
        concepts, each with the percent of the people of whom less of it is predicted, and items behind it; and the few
        items that sum up what sets the person apart. Read in closed form. Raises UserError for a point that is no
        person, and for a space without people.
        """
        from vecspeak.explore.tastes import TasteReader

        point = self.point(x, kind=None if isinstance(x, str | Point) else "user", space=space)
        entry = self.bundle.entry(point.space)
        reader = self._taste_readers.get(entry.space.name)
        if reader is None or reader.entry is not entry:  # the space was fitted again
            self._taste_readers[entry.space.name] = reader = TasteReader(entry)
        return reader.read(point, limit)

    def stream(self, question: str = "", **arguments: Any) -> Iterator[str]:
        """Yield one answer piece by piece; arguments as for `ask`, without `best_of`, `on_words` and `on_text`.

        The `effort` is "quick", or "plain": what grows comes as a whole.
        """
        if self.writer:
            raise UserError("what a writer says comes as a whole", "call ask(...), or leave out the writer")
        effort = arguments.pop("effort", None)
        check_one_of("effort", effort, (None, "plain", "quick"))
        sampling = {key: arguments.pop(key) for key in ("temperature", "seed") if key in arguments}
        search = checked_effort(effort, sampling.get("temperature", 0.0), otherwise="quick")
        room = arguments.pop("max_new_tokens", None)
        words = arguments.pop("words_in_prompt", None)
        words = _has_words(search, arguments.get("task", "")) if words is None else words
        asker, prepared = self._prepared(question, words_in_prompt=words, **arguments)
        if len(prepared) != 1:
            raise UserError(f"{len(prepared)} points are asked about", "ask_batch answers several")
        self._say(one.note for one in prepared)
        room = answer_tokens(prepared[0].task) if room is None else room
        yield from asker.stream(prepared[0], Sampling(max_new_tokens=room, **sampling), effort=search)

    def prepared(
        self,
        question: str = "",
        *,
        at: Mapping[str, Any] | None = None,
        task: str = "",
        effort: Effort | None = None,
        space: str = "",
    ) -> tuple[Asker, PreparedQuestion]:
        """What asks, and one question with its points, ready to be answered; no model is loaded.

        For who answers later or together with others: `asker.answer(prepared, sampling, effort=effort)`. Arguments are
        those of `ask`. Raises UserError as `ask` does.
        """
        asker, (prepared, *others) = self._prepared(
            question, at=at, task=task, space=space, words_in_prompt=_has_words(effort, task)
        )
        if others:
            raise UserError(f"{len(others) + 1} points are asked about", "ask about one")
        return asker, prepared

    def serve(self, *, port: int = 0, api_key: str = "") -> "RunningServer":
        """Answer questions over HTTP on this computer, as OpenAI's clients ask, until it is stopped; `vecspeak serve`.

        >>> with vs.serve() as server:
        ...     server.is_running, server.url.startswith("http://127.0.0.1:")
        (True, True)

        A quick look from a notebook: the server runs in a thread of this process and ends with it, with `stop()`, or
        with its block. Port 0 takes a free one; with an `api_key` callers must send it. Concepts and spaces that are
        added meanwhile are served too. Raises UserError where the port is taken, and where a package is missing.
        """
        for package in ("fastapi", "uvicorn", "prometheus_client"):
            require(package, "serve")
        from vecspeak.server import RunningServer, Settings

        check_whole("port", port, 0, 65_535)
        return RunningServer({self.bundle.manifest.name: self}, Settings(api_key=api_key), port)

    def _prepared(
        self,
        question: str,
        *,
        at: Mapping[str, Any] | None = None,
        task: str = "",
        tasks: str = "",
        words: Mapping[str, str] | Sequence[str] = (),
        kind: Literal["user"] | None = None,
        space: str = "",
        words_in_prompt: bool = False,
        **points: Any,
    ) -> tuple[Asker, tuple[PreparedQuestion, ...]]:
        """The questions, evaluated once. Raises UserError before any model is loaded."""
        check_text("question", question, MAX_QUESTION)
        inputs.check_slots(question, points, self.ask_batch)
        slots = {**_slots_at(at), **points}
        inputs.check_asked(question, task, slots)
        if not space:
            space = next(filter(None, map(inputs.space_of, slots.values())), "")
        asker = self.asker(space, words_in_prompts=words_in_prompt)
        places = {slot: self._path(one, kind=kind, space=space) for slot, one in slots.items()}
        wanted = self.task_set(tasks, words, space=space).task(task) if task else None
        prepared = asker.prepare_path(question, places, wanted)
        if wanted and not self.bundle.manifest.knows_tasks:
            self._notify(f"{_UNTAUGHT}; the package's own knows them")
        return asker, prepared

    def _say(self, notes: Any = ()) -> None:
        """Tell what is to be known before an answer, and where opening the engine takes long."""
        is_opened = "engine" in self.__dict__ or not isinstance(self._engine, str)
        opening = "" if is_opened else opening_note(self.bundle, str(self._engine))
        for note in dict.fromkeys((*notes, opening)):
            if note:
                self._notify(note)

    # --- exploring ---

    def trace(
        self,
        x: Any,
        concept: str | Concept,
        *,
        steps: str | Sequence[float] = "auto",
        question: str = "Describe {x}.",
        controls: int = 1,
        reverse: bool = False,
        strict: bool = False,
        max_new_tokens: int = 64,
        effort: AskedEffort = "quick",
        seed: int = 0,
        space: str = "",
        progress: bool = False,
    ) -> "Trace":
        """Ask at every step along a concept from a point, next to the same steps along random directions.

        `effort` is as for `ask`, the same at every step and control. `steps` are amounts in standard deviations of the
        items: numbers, "-3..3", "-12..12 by 4", or "auto". The result shows itself in a notebook, and `to_pandas()` has
        a row for each step of each path, with the judges' scores.
        """
        from vecspeak.explore.concepts import check_same_concept, name_of_concept
        from vecspeak.explore.trace import trace
        from vecspeak.points.point import amounts_of, checked
        from vecspeak.protocols.text_judges import is_doubted, judges_of_concept

        name = name_of_concept(concept)
        if not space and isinstance(x, Point):
            space = x.space
        search = checked_effort(effort)
        asker = self.asker(space, words_in_prompts=search is not None)
        start = self.point(x, space=space)
        if isinstance(concept, Concept):
            check_same_concept(asker.entry_of(start), concept)
        amounts = amounts_of(steps) if isinstance(steps, str) else checked(steps)
        self._say()
        return trace(
            asker,
            start,
            name,
            amounts,
            question=question,
            controls=controls,
            reverse=reverse,
            strict=strict,
            judges=lambda: judges_of_concept(asker, asker.entry_of(start), name),
            is_doubted=is_doubted,
            sampling=Sampling(max_new_tokens=max_new_tokens),
            effort=search,
            seed=seed,
            progress=progress,
        )

    def region_reader(
        self, space: str = "", *, effort: AskedEffort = "normal", cache: str | Path | None = None
    ) -> "RegionReader":
        """What puts regions of a space into words; answers are cached in a file where one is given."""
        from vecspeak.explore.regions import RegionReader

        search = checked_effort(effort)
        self._say()
        asker = self.asker(space, words_in_prompts=search is not None)
        return RegionReader.from_bundle(self.bundle, asker, _cache_at(cache), effort=search)

    def atlas(
        self,
        *,
        n_regions: int | None = None,
        method: "ClusterMethod" = "auto",
        question: str = "",
        reader: bool = True,
        effort: AskedEffort = "normal",
        seed: int = 0,
        cache: str | Path | None = None,
        space: str = "",
        progress: bool = False,
    ) -> "Atlas":
        """Cut a space into regions, name and describe each; `cluster(7)` is an expression afterwards.

        Without `reader` nothing is put into sentences and no language model is loaded; with it each region is asked
        about with the `effort` of `ask`. `to_pandas()` of the result has a
        row for each region.
        """
        from vecspeak.explore.atlas import QUESTION, make_atlas

        entry = self.bundle.entry(space)

        def read(cut: SpaceEntry) -> "RegionReader":
            self._keep(cut)
            return self.region_reader(cut.space.name, effort=effort, cache=cache)

        before = self.bundle, set(self._changed)
        try:
            made, clusters = make_atlas(
                entry,
                method=method,
                regions=n_regions,
                seed=seed,
                reader=read if reader else None,
                question=question or QUESTION,
                progress=progress,
            )
        except BaseException:  # Ctrl-C too: regions that were not all described do not replace the old ones
            self.bundle, self._changed = before
            self._askers.clear()
            raise
        self._keep(dataclasses.replace(entry, clusters=clusters))
        return made

    def write_atlas(
        self,
        out: str | Path,
        *,
        save: bool = True,
        force: bool = False,
        reader: bool = True,
        space: str = "",
        on_step: Notify | None = None,
        **options: Any,
    ) -> "AtlasFiles":
        """Make an atlas and write it as a table, as JSON and as a page; keep its regions in the bundle if `save`.

        Options are those of `atlas`. Answers are cached in the folder `out`. Raises UserError where that holds an atlas
        of another bundle or space, unless `force`, and where the space was changed meanwhile.
        """
        from vecspeak.explore import atlas as atlases
        from vecspeak.report.html import write_atlas

        out, entry = check_path("out", out), self.bundle.entry(space)
        name, bundle = entry.space.name, self.bundle.folder.resolve().name
        has_changes = name in self._changed
        atlases.make_folder(out)
        if not force:
            atlases.check_folder(out, bundle=bundle, space=name, digest=entry.space.digest)
        if on_step and (found := atlases.disagreement(out, entry.clusters, bundle=bundle, space=name)):
            on_step(f"{found}; all are made anew")
        answers, titles = out / "answers.sqlite", atlases.names_in(out)
        made = self.atlas(reader=reader, cache=answers, space=name, **options)
        clusters = self.bundle.entry(name).clusters
        assert clusters is not None
        written = write_atlas(out, made, entry.space, clusters, bundle=bundle, on_step=on_step)
        if reader or titles != tuple(one.title for one in made.regions):
            atlases.forget_answers(answers, made)
        before = self._save_regions(self.folder, name, clusters) if save and self.folder else None
        if save and self.folder and not has_changes:
            self._changed.discard(name)
        return atlases.AtlasFiles(atlas=made, written=tuple(written), before=before)

    def write_labels(
        self,
        out: str | Path,
        tool: "LabelTool",
        *,
        outliers: "Outliers" = "assign",
        seed: int = 0,
        space: str = "",
    ) -> "LabelFiles":
        """Write the regions of a space's atlas as files that embedding-atlas, datamapplot or BERTopic open.

        They go into `out/TOOL`: a table of the items with their names on every level, and what the tool reads besides.
        Items in no region are labelled after the nearest one (`outliers="assign"`; a column says which) or not at all
        (`"leave"`). What opens them is the result's `usage`. Raises UserError where the space has no regions yet.
        """
        from vecspeak.report.labels import write_labels

        entry = self.bundle.entry(space)
        return write_labels(entry, check_path("out", out), tool, outliers=outliers, seed=seed)

    def map(
        self, space: str = "", *, seed: int | None = None, save: bool = False, on_step: Notify | None = None
    ) -> "SpaceMap":
        """The places of a space's items on a plane; it places any vector there, and reads any place back as a vector.

        Laid out once: half a minute of a core for 5,000 items (`on_step` is called before that). The bundle holds the
        map after `save`, of this object or with `save=True`, and the user's cache does until then. Without a `seed` it
        is the map that is there, else that of seed 0. Raises UserError where openTSNE is not installed.
        `.coordinates` is [N, 2], `.place(vectors)` gives [Q, 2], `.unplace(xy)` gives vectors.
        """
        from vecspeak.bundles import maps

        entry = self.bundle.entry(space)
        has_changes = entry.space.name in self._changed
        found = self.retained_map(space, seed=seed)
        if found is None:
            from vecspeak.spaces.plane import make_map

            if on_step is not None:
                on_step(f"laying out the {entry.space.num_items:,} items of {entry.space.name} (once)")
            found = make_map(entry.space, seed=seed or 0, distance=entry.distance())
            maps.cache_map(found)
            entry.maps[found.seed] = found
            self._changed.add(entry.space.name)
        if save:
            self._save_map(entry.space.name, found)
            if not has_changes:
                self._changed.discard(entry.space.name)
        return found

    def widget(self, space: str = "", *, height: int = 480) -> "MapWidget":
        """The map of a space as a widget of Jupyter, marimo and VS Code: pick, draw around, colour and ask.

        >>> widget = vs.widget()    # doctest: +SKIP
        >>> widget.color_by("word", "lawyer")    # doctest: +SKIP
        >>> widget.selected()    # a frame of the items that somebody drew around    # doctest: +SKIP

        `widget.selection` are the ids of the selected items, and setting it shows them; `widget.point` is the `Point`
        of an item or a place that was picked. A map is laid out once, as by `map`. `height` is in pixels. Nothing is
        fetched from anywhere. Raises UserError where anywidget, or what lays out, is not installed.
        """
        require("anywidget", "notebook")
        from vecspeak.notebook import MapWidget

        check_whole("height", height, 200, 4000)
        return MapWidget(self, self.map(space, on_step=self._notify), height=height)

    def value_sources(self, space: str = "") -> "dict[str, list[str]]":
        """What `item_values` gives: the columns and concepts by name, and whether there are words and regions."""
        from vecspeak.explore.item_values import value_columns

        entry = self.bundle.entry(space)
        return {
            "column": value_columns(entry),
            "concept": list(entry.concepts),
            "word": [""] if len(entry.term_reader) else [],
            "regions": [] if entry.clusters is None else ["regions"],
        }

    def item_values(
        self, source: Literal["column", "concept", "word", "regions"], name: str = "", *, space: str = ""
    ) -> "ItemValues":
        """One value for every item, to colour a map by.

        A column's value, standard deviations along a concept, the probability that the lexicon gives a word, or the
        region (of many, the group that they are in). Raises UserError for a name that is not there.

        >>> vs.item_values("word", "war", space="movies.semantic").shades.shape
        (5000,)
        """
        from vecspeak.explore import item_values

        check_one_of("source", source, ("column", "concept", "word", "regions"))
        entry = self.bundle.entry(space)
        if source == "column":
            return item_values.of_column(entry, check_text("name", name))
        if source == "concept":
            return item_values.of_concept(entry, self._known_concept(name, space))
        if source == "regions":
            return item_values.of_regions(entry)
        return entry.once(("word", name), lambda: item_values.of_word(entry, check_text("name", name)))

    def retained_map(self, space: str = "", *, seed: int | None = None) -> "SpaceMap | None":
        """The map of a space, where it has been made: of this object, the bundle or the cache. Nothing is laid out."""
        from vecspeak.bundles import maps

        entry = self.bundle.entry(space)
        if seed is None and entry.maps:
            return list(entry.maps.values())[-1]
        wanted = check_seed(seed or 0)
        if wanted not in entry.maps and (
            found := maps.cached_map(entry.space, wanted, entry.distances.get("items"))
        ):
            entry.maps[wanted] = found
            self._changed.add(entry.space.name)
        return entry.maps.get(wanted)

    def _save_map(self, space: str, found: "SpaceMap") -> None:
        """Put a map into the bundle as it is on disk now, unless it is there."""
        if self.folder is None:
            raise UserError("no folder is given to save to", "save('shop.bundle')")
        with VecSpeak.editing(self.folder, notify=lambda _: None) as current:  # a damaged map was said
            entry = current.entry(space)
            if entry.space.digest != found.space.digest:
                raise UserError(f"{space!r} was changed while its map was made", "make it again")
            if found.seed not in entry.maps:
                current._keep(dataclasses.replace(entry, maps={found.seed: found}))

    def _save_regions(self, folder: Path, space: str, clusters: "Clusters") -> "Clusters | None":
        """Put regions into the bundle as it is on disk now; what was there, where that was another cut of the items."""
        with VecSpeak.editing(folder) as current:
            entry = current.entry(space)
            if entry.space.digest != clusters.space_digest:
                raise UserError(f"{space!r} was changed while its atlas was made", "make it again")
            current._keep(dataclasses.replace(entry, clusters=clusters))
        before = entry.clusters
        return None if before is None or (before.labels == clusters.labels).all() else before

    def describe(
        self,
        *,
        cluster: int | None = None,
        where: str = "",
        ids: Path | Sequence[str] | None = None,
        question: str = "",
        reader: bool = True,
        effort: AskedEffort = "normal",
        seed: int = 0,
        space: str = "",
    ) -> "Description":
        """What the items of one region share: of the atlas, found by a query, or listed by ids or a file of ids.

        `effort` is that of `ask`, for what the reader says of the region; without `reader` it says nothing.
        """
        from vecspeak.explore.regions import QUESTION, describe, selected_region

        entry = self.bundle.entry(space)
        region = selected_region(entry, cluster, where, ids)
        reads = self.region_reader(entry.space.name, effort=effort) if reader else None
        return describe(entry, region, reader=reads, question=question or QUESTION, seed=seed)

    def diff(
        self,
        first: Any,
        second: Any,
        *,
        question: str = "",
        reader: bool = True,
        seed: int = 0,
        space: str = "",
    ) -> "Difference":
        """What two points or regions (`cluster(3)`, `where: QUERY`, `ids: FILE`) each have that the other has not.

        A point is whatever `point` takes: an expression, a `Point`, an array [D]. `to_pandas()` of the result has the
        values and words that two regions differ in, with lift and interval.
        """
        from vecspeak.explore.compare import diff
        from vecspeak.explore.regions import COMPARE

        space = check_text("space", space) or next(
            (one.space for one in (first, second) if isinstance(one, Point)), ""
        )
        entry = self.bundle.entry(space)
        places = [one if isinstance(one, str) else self.point(one, space=space) for one in (first, second)]
        reads = self.region_reader(entry.space.name) if reader else None
        return diff(entry, *places, reader=reads, question=question or COMPARE, seed=seed)

    def why(self, first: Any, second: Any, *, limit: int = 8, seed: int = 0, space: str = "") -> "Why":
        """Why two points match: their score beside others' and the words that carry it; `vecspeak why`.

        A point is whatever `point` takes, or "text: a query", which the encoder of the space embeds. A person comes
        first, an item second. The score is the sum of what all items have in common, at most `limit` shared words and a
        rest; other pairs' words are the control, and each word is taken out of the first to see how far the second
        falls. `to_pandas()` of the result has a row for each part. Raises UserError for points of two spaces.
        """
        from vecspeak.explore.why import why

        space = check_text("space", space) or next(
            (one.space for one in (first, second) if isinstance(one, Point)), ""
        )
        name = self.bundle.entry(space).space.name
        points = [self._point_or_query(one, space=name) for one in (first, second)]
        return why(self.bundle.entry(name), *points, limit=limit, seed=seed)

    def check_claims(
        self,
        text: str,
        x: Any,
        *,
        question: str = "Describe {x}.",
        others: int = 500,
        kind: Literal["user"] | None = None,
        seed: int = 0,
        space: str = "",
    ) -> "CheckedClaims":
        """Whether what anybody says of a point holds of its vector, clause by clause.

        `text` is an answer to the `question`, whoever wrote it; `x` is as for `point`. Each clause is weighed as those
        of answers are, and held against `others` random items: what fits these as well says nothing of this one.
        Names, numbers and negations are not read, and named. `to_pandas()` of the result has a row for each clause.
        Raises UserError for a text without clauses or of more than 4,000 letters.

        >>> vs.check_claims("A rancher fights for his land.", "The Thaw")
        CheckedClaims("The Thaw", clauses=1, warnings=...)
        """
        from vecspeak.explore.claims import check_claims

        check_text("question", question, MAX_QUESTION)
        point = self.point(x, kind=kind, space=space)
        asker = self.asker(point.space, words_in_prompts=True)
        self._say()
        return check_claims(asker, point, text, question=question, others=others, seed=seed)

    def axes(
        self,
        of: Literal["components", "coordinates", "concepts"] | Mapping[str, Any] = "components",
        *,
        count: int = 10,
        seed: int = 0,
        space: str = "",
    ) -> "AxisMeanings":
        """What lies at both ends of principal components, coordinates, concepts or given directions; `vecspeak axes`.

        Words and values of the items there, scored on items that did not choose them, beside the same of random
        directions: what does no better has no meaning found. `of` may be a mapping from names to arrays [D].
        `to_pandas()` of the result has a row for each axis.
        """
        from vecspeak.explore.axes import axes

        return axes(self.bundle.entry(space), of, count=count, seed=seed)

    def odd(
        self,
        kinds: Collection[str] | None = None,
        *,
        columns: Collection[str] | None = None,
        encoder: bool = True,
        seed: int = 0,
        space: str = "",
    ) -> "Oddities":
        """Which items of a space are odd, and why, in groups; `vecspeak odd`.

        Kinds are "texts" (text and vector disagree, exchanged or shifted rows), "copies" (one vector or nearly one),
        "labels" (improbable values, of the `columns` that are named or of all) and "outliers". Each has a false
        discovery rate of 5% and says what it would find of what was planted. Where the space's encoder is at hand,
        named or recognized, a sample and all suspects are embedded again, unless `encoder` is False. Labels leave
        out what texts or outliers explain, where these are asked for too. Of more than 30,000 items a sample of
        20,000 is looked at. `to_pandas()` and `write(path)` of the result have a row for each item. Raises
        UserError for fewer than 50 items.
        """
        from vecspeak.explore.odd import odd

        entry = self.bundle.entry(space)
        check_one_of("encoder", encoder, (True, False))
        made_by, is_likely = None, False
        if encoder and (kinds is None or "texts" in kinds):
            try:
                made_by = encoder_of(entry.space, lambda: self.encoder)
                if not entry.space.encoder:
                    made_by = likely_encoder(entry.space, texts_of(entry.space), lambda: self.encoder)
                    is_likely = made_by is not None
            except UserError as error:
                self._notify(f"no text is embedded again: {error.message}")
        return odd(
            entry,
            kinds=kinds,
            columns=columns,
            encode=None if made_by is None else made_by.encode,
            likely=made_by.name if made_by is not None and is_likely else "",
            seed=seed,
        )

    def leaks(
        self,
        *,
        attributes: Sequence[str] = (),
        pairs: int | None = None,
        by: str = "",
        encoder: bool = True,
        protected: bool = True,
        ratings: str | Path | None = None,
        user: str = "user_id",
        item: str = "item_id",
        rating: str = "rating",
        seed: int = 0,
        progress: bool = False,
        space: str = "",
    ) -> "Leaks":
        """What somebody who gets the vectors can read from them, and what protecting them costs; `vecspeak leaks`.

        Words, names, numbers, dates and addresses of the texts, columns, whole texts; each by a map that is fitted on
        `pairs` of vectors with their data and by the nearest texts, on items held out, beside base rate and shuffled
        control. With `encoder` the attacker also has the space's encoder, where it is at hand. Items with one value of
        the column `by` are held out together. Columns that say something of persons are measured only where
        `attributes` names them. `ratings` is a table of those that people's vectors were made of. `protected=False`
        leaves out what the same vectors say at less precision, cut and with noise. `to_pandas()` of the result has a
        row for each reading, and `write("leaks.md")` writes a report. Raises UserError for fewer than 40 items.
        """
        from vecspeak.explore.leaks import leaks
        from vecspeak.protocols.people import read_user_ratings

        check_one_of("encoder", encoder, (True, False))
        entry = self.bundle.entry(space)
        columns = {"user": user, "item": item, "rating": rating}
        people = None if ratings is None else read_user_ratings(entry, ratings, **columns).people
        known = None
        if encoder:
            try:
                known = encoder_of(entry.space, lambda: self.encoder)
            except UserError as error:  # without it the rest can be read all the same
                self._notify(f"the attacker is taken to be without the encoder: {error}")
        return leaks(
            entry,
            encoder=known,
            attributes=attributes,
            pairs=pairs,
            by=by,
            protected=protected,
            ratings=people,
            seed=seed,
            progress=progress,
        )

    def query(self, text: str, *, space: str = "") -> Point:
        """The point of a search query, "text: warm scarf", in a space that an encoder at hand made.

        Raises UserError for a space of which the encoder is not known or not at hand.
        """
        words, known = inputs.query_text(text), self.bundle.entry(space).space
        vector = embedded(words, known, lambda: self.encoder)
        return dataclasses.replace(self.point(vector, space=known.name), expression=f"text: {words}")

    def _point_or_query(self, x: Any, *, kind: Literal["user"] | None = None, space: str) -> Point:
        """The point of what may be a query; one that lacks its "text:" is told so."""
        if inputs.is_query(x):
            return self.query(x, space=space)
        try:
            return self.point(x, kind=kind, space=space)
        except UserError as error:
            if inputs.reads_like_query(x):
                raise UserError(
                    error.message, f'as a search query write "text: {x[:60]}"; {error.hint}'
                ) from error
            raise

    @staticmethod
    def drift(
        old: Space | str | Path,
        new: Space | str | Path,
        *,
        regions: int | None = None,
        count: int = 20,
        seed: int = 0,
        space: str = "",
    ) -> "Drift":
        """Compare a space at two dates: what moved beyond noise, which regions changed, what is new and gone.

        Both may be spaces, files of saved spaces or bundles (with the space's name where a bundle holds several). The
        later is rotated onto the earlier by the ids that both have, unless it fits as well as it is.
        """
        from vecspeak.explore.drift import drift

        spaces = [open_space(given, space) for given in (old, new)]
        return drift(*spaces, regions=regions, count=count, seed=seed)

    @staticmethod
    def compare(
        old: Space | str | Path,
        new: Space | str | Path,
        *,
        k: int = 10,
        count: int = 5,
        seed: int = 0,
        space: str = "",
    ) -> "Migration":
        """What changes for whoever exchanges one space of the same items for another; `vecspeak compare`.

        Both may be spaces, files of saved spaces or bundles, of any widths. Neighbours kept, overall and by region;
        what a linear map keeps, and what each space tells apart that the other does not, in words; words and values
        that one tells better, paired and with a false discovery rate; items that moved. Raises UserError where fewer
        than 50 ids are in both.
        """
        from vecspeak.explore.migration import compare

        spaces = (open_space(given, space, hint=MAKE_A_SPACE) for given in (old, new))
        return compare(*spaces, k=k, count=count, seed=seed)

    @staticmethod
    def canary(
        given: Space | str | Path, path: str | Path, *, count: int = 20, seed: int = 0, space: str = ""
    ) -> "CanaryCheck | None":
        """Check a space by a small file of items and vectors; where that is not there, write it and return None.

        It notices an encoder that was changed without a word. Raises UserError for a file that is no canary.
        """
        from vecspeak.explore.canary import check_canary, write_canary

        opened, path = open_space(given, space, hint=MAKE_A_SPACE), check_path("path", path)
        if path.exists():
            return check_canary(path, opened)
        write_canary(path, opened, count=count, seed=seed)
        return None

    @staticmethod
    def save_page(found: Any, path: str | Path) -> Path:
        """Write what `why`, `axes`, `odd`, `leaks`, `compare`, `diff` or `drift` returned as a page (HTML).

        Returns the path. Raises UserError for another object, and where the page cannot be written.
        """
        from vecspeak.report.result import save_page

        return save_page(found, path)

    # --- tasks ---

    def evaluate(
        self,
        question: str = "Describe {x}.",
        *,
        split: str = "holdout",
        target: str = "text",
        count: int = 500,
        baselines: Collection[str] | None = None,
        scorers: Collection[str] | None = None,
        max_new_tokens: int = 64,
        effort: AskedEffort = "plain",
        best_of: int = 1,
        second_encoder: str = "",
        precision: str = "float32",
        seed: int = 0,
        cache: str | Path | None = None,
        space: str = "",
    ) -> "Report":
        """Score answers about items that nothing was fitted on, and those of the shuffled control and every baseline.

        `split` names held-out items (`holdout`, `regions`, `cold`; `train` for what was fitted on) and `target` the
        column of true texts. `baselines` names those to compare with, by default all; those of a language model that
        reads texts ("lm_texts", "lm_labels", "lm_truth") take longest. `scorers` does the same for what is measured:
        "loss" (the swap gap; needs torch), "consistency" and others. `effort` searches for the reader's answers as
        `ask` does, with the words that are read from each vector in its question. `second_encoder` judges
        independently: "" takes all-mpnet-base-v2 where it is installed, "none" none. With a folder `cache` a
        run that was stopped continues. Raises UserError, before a model is loaded, for a split, column, baseline or
        question that does not fit.
        """
        from vecspeak.evaluation.baselines import BASELINES
        from vecspeak.evaluation.cases import CaseSet, check_space, space_cases
        from vecspeak.evaluation.evaluate import EvaluationConfig
        from vecspeak.evaluation.metrics import SCORERS

        entry = self.bundle.entry(space)
        check_space(entry, split, target, question)
        check_whole("count", count, 1)
        check_some_of("baselines", baselines, BASELINES)
        check_some_of("scorers", scorers, SCORERS)
        check_one_of("effort", effort, get_args(AskedEffort))
        search = None if effort == "plain" else effort
        config = EvaluationConfig(
            sampling=Sampling(max_new_tokens=max_new_tokens),
            effort=search,
            words_in_prompt=search is not None,
            best_of=best_of,
            seed=seed,
        )
        run = self._evaluator(cache, second_encoder, precision)
        asked: dict[str, Any] = {"question": question, "split": split, "target": target, "count": count}

        def cases(encoder: Encoder) -> CaseSet:
            return space_cases(entry, encoder, **asked, with_words=config.words_in_prompt, seed=seed).only(
                baselines, scorers
            )

        fewer = {"baselines": baselines, "scorers": scorers}
        said = {name: list(names) for name, names in fewer.items() if names is not None}
        return run.report([cases], config, {"space": space, **asked, **said})

    def _evaluator(self, cache: str | Path | None, second_encoder: str, precision: str) -> "Evaluator":
        from vecspeak.evaluation.evaluate import Evaluator, check_precision

        return Evaluator(
            self.bundle,
            keep=_cache_at(cache),
            second=second_encoder,
            precision=check_precision(precision),
            engine=self._engine,
            opened={"reader": self.engine} if "engine" in self.__dict__ else {},
            # the reader's own, where it is loaded: it remembers the texts of a fit
            encoder=self.__dict__.get("encoder") if self._encoder is None else None,
        )

    def evaluate_tasks(
        self,
        task: Sequence[str] = ("all",),
        *,
        tasks: str = "",
        words: Mapping[str, str] | Sequence[str] = (),
        points: Literal["items", "between", "both"] = "both",
        wording: Literal["train", "held-out"] = "train",
        ratings: str | Path | None = None,
        user: str = "user_id",
        item: str = "item_id",
        rating: str = "rating",
        split: str = "holdout",
        count: int = 500,
        max_new_tokens: int | None = None,
        second_encoder: str = "",
        precision: str = "float32",
        seed: int = 0,
        cache: str | Path | None = None,
        space: str = "",
    ) -> "Report":
        """Score answers to tasks of the set `tasks` about held-out items, points between two of them, or both.

        `task` names tasks, or is ["all"]: then those that cannot be asked of the space are left out. `ratings` (a file
        and its columns `user`, `item`, `rating`) say what people like, where a task is about a person. The rest as for
        `evaluate`. Raises UserError, before a model is loaded, for what cannot be asked.
        """
        from vecspeak.evaluation.evaluate import EvaluationConfig
        from vecspeak.evaluation.task_cases import evaluation_data, plan_tasks, tastes_in_file, wanted_tasks

        check_whole("count", count, 1)
        check_whole("seed", seed, 0)
        check_one_of("points", points, ("items", "between", "both"))
        check_one_of("wording", wording, ("held-out", "train"))
        entry = self.bundle.entry(space)
        name, replaced = selected_task_set(self.bundle, space, tasks, words)
        task_set = self.task_set(name, replaced, space=space)
        asked: dict[str, Any] = {"split": split, "count": count, "points": points, "wording": wording}
        wanted = wanted_tasks(entry, task_set, task, **asked, seed=seed, with_ratings=ratings is not None)
        run = self._evaluator(cache, second_encoder, precision)
        columns = {"user": user, "item": item, "rating": rating}
        tastes = tastes_in_file(entry, task_set, wanted.tasks, ratings, **columns) if ratings else None
        plan = plan_tasks(evaluation_data(entry, run.encoder, split=split, seed=seed, tastes=tastes), wanted)
        for reason in plan.left_out:
            self._notify(f"left out: {reason}")
        # one length for all tasks, so that they are asked together
        longest = max_new_tokens or max(answer_tokens(one, most=256) for one in wanted.tasks)
        config = EvaluationConfig(sampling=Sampling(max_new_tokens=longest), seed=seed)
        said = {"tasks": task_set.name, "words": replaced, "left_out": list(plan.left_out)}
        return run.gather(run.run(plan.cases, config), config, {"space": space, **asked, **said})

    def evaluate_recipe(
        self,
        recipe: "Recipe | str | Path",
        work: str | Path,
        *,
        split: str = "holdout",
        count: int = 500,
        max_new_tokens: int = 64,
        best_of: int = 1,
        second_encoder: str = "",
        precision: str = "float32",
        seed: int = 0,
        cache: str | Path | None = None,
    ) -> "Report":
        """Score answers about texts of a training recipe that training never saw; `work` is the folder of its run.

        `split` is `holdout`, `kinds`, `tasks` or `train`; the rest as for `evaluate`.
        """
        from vecspeak.evaluation.corpus_cases import corpus_sets
        from vecspeak.evaluation.evaluate import EvaluationConfig
        from vecspeak.training.recipe import Recipe, load_recipe

        check_whole("count", count, 1)
        folder = check_path("work", work)
        check_not_in_bundle(folder, "work")
        given = recipe if isinstance(recipe, Recipe) else load_recipe(check_path("recipe", recipe))
        run = self._evaluator(cache, second_encoder, precision)
        cases = corpus_sets(given, run.encoder, folder, split=split, count=count, seed=seed)
        sampling = Sampling(max_new_tokens=max_new_tokens)
        config = EvaluationConfig(sampling=sampling, best_of=best_of, seed=seed)
        asked = {"space": "", "split": split, "question": "Describe {x}.", "target": "text", "count": count}
        return run.gather([found for one in cases for found in run.run([one], config)], config, asked)

    def profile(
        self,
        at: str = "",
        *,
        ratings: str | Path,
        people: int | None = None,
        user: str = "user_id",
        item: str = "item_id",
        rating: str = "rating",
        task: str = "",
        tasks: str = "",
        words: Mapping[str, str] | Sequence[str] = (),
        hide: float = 0.3,
        draws: int = 5,
        max_new_tokens: int | None = None,
        seed: int = 0,
        space: str = "",
    ) -> "ProfileCheck":
        """Write a person's profile from a part of their ratings and check it against the part that was hidden.

        >>> vs.profile("user(42)", ratings="ratings.csv").result.verdict  # doctest: +SKIP

        `at` is a person of the ratings or `user({"Heat": 5, ...})`; with `people` that many held-out people instead.
        The profile ranks what was hidden, and so do another person's profile, the vector itself and what is popular. A
        share `hide` is hidden, `draws` times. Raises UserError, before a model is loaded, where that is not possible.
        """
        from vecspeak.protocols.people import read_user_ratings
        from vecspeak.protocols.profile_results import check_profiles
        from vecspeak.protocols.profiles import Checker, ProfileConfig, person_task

        if bool(at) == bool(people):
            raise UserError(
                "both a person and a number of people are given" if at else "nobody is named",
                "give at='user(42)', or people=10 for people that are held out",
            )
        asker = self.asker(space)
        crowd = read_user_ratings(asker.entry, ratings, user=user, item=item, rating=rating)
        task_set = self.task_set(tasks, words, space=space)
        wanted = person_task(task_set, task)
        sampling = Sampling(max_new_tokens=max_new_tokens or answer_tokens(wanted, most=256))
        config = ProfileConfig(share=hide, draws=draws, seed=seed, sampling=sampling)
        if not self.bundle.manifest.knows_tasks:
            self._notify(f"{_UNTAUGHT}; the package's own knows them")
        checker = Checker(asker, task_set, wanted, crowd, config)
        found = check_profiles(checker, self.bundle, at=at, people=people or 0)
        if people and len(found.checked.people) < people:
            self._notify(f"only {len(found.checked.people)} people who are held out rated enough")
        return found

    def teach(self, out: str | Path, **arguments: Any) -> "GenerateResult":
        """Let a teacher write targets for the tasks of a space into a folder, on which `train` learns them.

        >>> vs.teach("targets", teacher="facts", task=["summary"], count=100)  # doctest: +SKIP

        `teacher` is "facts", a language model's name or folder, or an address, with its `config`. `count` examples of
        each `task` of the set `tasks`, in which `words` are replaced, are drawn from a `split` of the `space` by the
        `seed`. `ratings` (a file, with its columns `user`, `item`, `rating`) are for tasks about people. With
        `read_words` the teacher sees which words of a text its vector tells. What was written before is not asked for
        again. Raises UserError for what cannot be asked.
        """
        job = self.teaching(out, **arguments)
        if job.notice:
            self._notify(job.notice)
        return job.run()

    def teaching(self, out: str | Path, **arguments: Any) -> "TeachingJob":
        """What `teach` would do, checked; `.plan()` counts examples and tokens and asks nobody."""
        from vecspeak.teachers.job import make_job

        return make_job(self.bundle, out, **arguments)

    @staticmethod
    def train(
        recipe: "Recipe | str | Path",
        *,
        work: str | Path,
        out: str | Path,
        bundle: str = "",
        targets: Sequence[str] = (),
        max_hours: float | None = None,
        count: int = 500,
        encoder: str = "",
        texts: Sequence[str] = (),
        start: str = "",
        download: bool = False,
    ) -> "BuildResult":
        """Train a reader as a recipe says and write it as a bundle with its own scores; `VecSpeak.load(out)` opens it.

        `bundle` and `targets` (folders that `teach` wrote) replace those of the recipe, and `max_hours` its time.
        `encoder` (a folder of sentence-transformers) is the one whose vectors the reader is to read, `texts` are files
        of your own texts in place of the recipe's, `start` is a bundle to begin from ("shipped" is the package's
        reader): one of another encoder begins behind a map between the two, fitted on the texts. `download` fetches
        a base that is named as on the Hugging Face hub. The same call
        continues a run that was stopped. The result's `summary` says what came of it; it is in the folder `work` too.
        Raises UserError where something else lies at `out`.
        """
        from vecspeak.training.recipe import Recipe, load_recipe

        given = recipe if isinstance(recipe, Recipe) else load_recipe(check_path("recipe", recipe))
        places = check_path("work", work), check_path("out", out)
        if download:
            from vecspeak.model.pretrained import download_model

            download_model(given.base.model)
        from vecspeak.building import train  # after the recipe is checked: torch takes seconds to load

        return train(
            given, *places, bundle=bundle, targets=targets, max_hours=max_hours, count=count,
            encoder=encoder, texts=texts, start=start,
        )  # fmt: skip

    def iterate(
        self,
        recipe: "Recipe | str | Path",
        *,
        work: str | Path,
        out: str | Path,
        count: int = 1000,
        effort: Effort = "normal",
        max_hours: float = 24.0,
        max_new_tokens: int = 64,
    ) -> "Iteration":
        """Search for answers about `count` training texts of a recipe; those that the texts support go to `out`.

        A recipe learns from that file (.jsonl.gz) by `[answers]`. The same call continues a run that was stopped, and
        `out` is written whole when it ends or its hours do. Raises UserError for an effort that searches nothing.
        """
        from vecspeak.protocols.expert_iteration import iterate
        from vecspeak.training.recipe import Recipe, load_recipe

        check_one_of("effort", effort, ("quick", "normal", "high"))
        given = recipe if isinstance(recipe, Recipe) else load_recipe(check_path("recipe", recipe))
        folder, target = check_path("work", work), check_path("out", out)
        self._say()
        return iterate(
            given, self.engine, self.encoder, folder, target, count=count, effort=effort, max_hours=max_hours,
            weights=digest([self.bundle.manifest.reader.base_sha256, self.bundle.manifest.files]),
            max_new_tokens=max_new_tokens,
        )  # fmt: skip

    def task_set(
        self, tasks: str = "", words: Mapping[str, str] | Sequence[str] = (), *, space: str = ""
    ) -> "TaskSet":
        """A task set by its name or file, by default the one that the reader learned for a space."""
        from vecspeak.tasks.task_set import load_task_set

        return load_task_set(*selected_task_set(self.bundle, space, tasks, words))


def _cache_at(cache: str | Path | None) -> Path | None:
    """Where a cache lies. Raises UserError where the next save would delete it."""
    if cache is not None:
        check_not_in_bundle(check_path("cache", cache), "cache")
    return None if cache is None else Path(cache)


MAX_QUESTION = 4000
"""Characters of a question; a longer one would push the vectors out of what a small language model can hold."""


def _has_words(search: Effort | None, task: str) -> bool:
    """Whether a question has the words of its points, where nobody says: with an effort, but for a quick task.

    A single row of the reader of tasks says the question's own sentence about the words again.
    """
    return search is not None and not (task and search == "quick")


def _slots_at(at: Any) -> dict[str, Any]:
    """The points of the argument `at` by their slots. Raises UserError for what is no mapping."""
    if not isinstance(at or {}, Mapping):
        raise UserError("`at` gives points by their slots", "write at={'x': 'LABEL'}")
    return dict(at or {})


_UNTAUGHT = "this reader learned no tasks by name and will mostly describe"


def answer_tokens(task: "Task | None", most: int = 2048) -> int:
    """Longest answer where nobody says: what the longest target of a task needs, else a paragraph."""
    if task is None:
        return Sampling().max_new_tokens
    from vecspeak.teachers.base import max_answer_tokens  # 0.1 s, which a plain question does not wait for

    return min(max_answer_tokens(task), most)
