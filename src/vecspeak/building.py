"""Building: train a reader, score it on what it never saw, and save it as a bundle that says so.

Each part resumes by itself.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vecspeak.bundles import Bundle, ReaderCard, load_bundle, save_bundle
from vecspeak.bundles.bundle import check_not_current, check_not_in_bundle, open_reader, shipped_reader
from vecspeak.bundles.weights import adapter_card, save_reader
from vecspeak.console import print_line
from vecspeak.encoders.text import (
    KNOWN_ENCODERS,
    Encoder,
    TextEncoder,
    encoder_title,
    load_encoder,
    name_encoder,
)
from vecspeak.errors import UserError, check_path
from vecspeak.evaluation.corpus_cases import corpus_sets
from vecspeak.evaluation.evaluate import EvaluationConfig, Evaluator, flat_scores
from vecspeak.evaluation.report import write_report
from vecspeak.model.named import name_base
from vecspeak.model.pretrained import KNOWN_MODELS, model_digest, model_title
from vecspeak.stats import estimate
from vecspeak.storage import digest, lock, read_json, recover, recover_all, scratch_folder, write_json
from vecspeak.tasks.examples import ABOUT
from vecspeak.tasks.sources import OWN, SOURCES
from vecspeak.training.dataset import prepare_texts, with_names
from vecspeak.training.recipe import Recipe, Targets
from vecspeak.training.run import TrainingResult, train_reader
from vecspeak.training.trainer import Validation

SHIPPED = "shipped"
"""What `base.start` calls the reader of the package."""
SUMMARY = "summary.json"
"""In the work folder: what the run came to."""
_LOCK = "run"
"""In the work folder: held by the run that is in it."""
_WRITTEN = "bundles.json"
"""In the work folder: the readers that the run wrote, by the path of their bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """A reader that was trained and saved."""

    card: ReaderCard
    summary: dict[str, Any]
    """How far the run went and what it came to, in plain values; see `summary_of`."""

    @property
    def of_targets(self) -> bool:
        """Whether the reader learned targets that a teacher wrote."""
        return self.card.recipe.get("targets") is not None


def _card(
    recipe: Recipe,
    trained: TrainingResult,
    encoder: TextEncoder,
    scores: dict[str, Any],
    start: Bundle | None,
) -> ReaderCard:
    adapter, chat = adapter_card(trained.reader)
    terms = start.manifest.reader.data.get("terms", {}) if start else {}
    terms = terms | {
        name: {"origin": SOURCES[name].origin, "licence": SOURCES[name].licence} for name in recipe.sources
    }
    return ReaderCard(
        base_model=model_title(recipe.base.model),
        base_sha256=model_digest(recipe.base.model),
        encoder=encoder.name,
        encoder_sha256=encoder.digest,
        adapter=adapter,
        chat=chat,
        recipe=recipe.to_dict(),
        data={**trained.data, "terms": terms} | _origin(start),
        scores=scores,
    )


def _origin(start: Bundle | None) -> dict[str, Any]:
    """What a reader that began as another one says of that one: what it was trained on is in both."""
    if start is None:
        return {}
    card = start.manifest.reader
    known = {"name": start.manifest.name, "files": start.manifest.files}
    return {"start": {**known, "recipe": card.recipe, "data": card.data}}


def bundles_of(recipe: Recipe) -> tuple[Bundle | None, Bundle | None]:
    """The bundle that a recipe starts from and the one with the spaces of its targets; None where it names none.

    Raises UserError when one is missing or its spaces were mapped for another encoder.
    """
    name = recipe.base.start
    start = (shipped_reader() if name == SHIPPED else open_reader(name)) if name else None
    if recipe.targets is None:
        return start, None
    if not recipe.targets.bundle:
        raise UserError(
            f"the recipe {recipe.name!r} has targets and names no bundle of their spaces",
            "give `bundle=BUNDLE`",
        )
    spaces = load_bundle(recipe.targets.bundle)
    encoder = spaces.manifest.reader.encoder
    if encoder != recipe.base.encoder:
        raise UserError(
            f"the spaces of {spaces.folder} are mapped to {encoder}, the recipe's reader reads "
            f"{recipe.base.encoder}",
            "correct base.encoder in the recipe, or fit the spaces for it",
        )
    return start, spaces


def with_targets(recipe: Recipe, bundle: str, folders: Sequence[str]) -> Recipe:
    """The recipe with another bundle and other folders of targets, where they are given."""
    if not bundle and not folders:
        return recipe
    targets = recipe.targets or Targets()
    targets = replace(targets, bundle=bundle or targets.bundle, folders=tuple(folders) or targets.folders)
    return replace(recipe, targets=targets)


def with_hours(recipe: Recipe, max_hours: float | None) -> Recipe:
    """The recipe with another time allowed, where one is given. Raises UserError when it is not from 0 to 1,000."""
    if max_hours is None:
        return recipe
    return replace(recipe, schedule=replace(recipe.schedule, max_hours=max_hours))


def train(
    recipe: Recipe,
    work: Path,
    out: Path,
    *,
    bundle: str = "",
    targets: Sequence[str] = (),
    max_hours: float | None = None,
    count: int = 500,
    encoder: str = "",
    texts: Sequence[str] = (),
    start: str = "",
) -> BuildResult:
    """`build_reader` with a recipe in which what is given replaces what stands there.

    Without words in its questions where the encoder is another; said, for the recipe may have asked for them.
    """
    if encoder and encoder != recipe.base.encoder:
        if recipe.words.share:
            print_line(f"no words stand in the questions: there is no lexicon of {encoder_title(encoder)}")
        recipe = recipe.with_encoder(encoder)
    if texts:
        recipe = recipe.with_texts(texts)
    if start:
        recipe = replace(recipe, base=replace(recipe.base, start=start))
    return build_reader(with_hours(with_targets(recipe, bundle, targets), max_hours), work, out, count=count)


def build_reader(recipe: Recipe, work: Path, out: Path, *, count: int = 500) -> BuildResult:
    """Train (or finish training) and save; then score the saved weights and save them again with their scores.

    One run at a time is in a work folder: UserError where another is.

    The scores in the manifest are those on plots of held-out movies; `scores.json` in the work folder has all.
    A `count` of 0, and a recipe without a corpus, leave them out. The bundle keeps the spaces of the targets, and
    what was added to it when the run goes on. `summary.json` in the work folder says what the run came to.
    Raises UserError when something lies at `out` that this run did not write.
    """
    start, spaces = bundles_of(recipe)
    recipe = with_names(recipe)
    check_work(work)
    check_out(out, work)
    work.mkdir(parents=True, exist_ok=True)
    with lock(work / _LOCK, busy=f"another run is in {work}"):
        recover_all(work)  # names of caches are digests: another recipe would not meet what a kill left
        return _built(recipe, start, spaces, work, out, count)


def _built(
    recipe: Recipe, start: Bundle | None, spaces: Bundle | None, work: Path, out: Path, count: int
) -> BuildResult:
    encoder = load_encoder(recipe.base.encoder)
    _name_models(recipe, encoder)
    if OWN in recipe.sources:
        _check_own_texts(recipe, work, count)
    trained = train_reader(recipe, encoder, work, start=start, spaces=spaces)
    card = _card(recipe, trained, encoder, {}, start)
    saving = _Saving(out=out, work=work, name=recipe.name, trained=trained, spaces=spaces)
    saving.save(card)
    if count and recipe.replays:
        run = Evaluator(load_bundle(out), keep=work / "evaluation")
        settings = EvaluationConfig()
        cases = corpus_sets(recipe, run.encoder, work, count=count)
        sets = [found for one in cases for found in run.run([one], settings)]
        write_report(work / "scores.json", run.gather(sets, settings))
        card = _card(recipe, trained, encoder, flat_scores(sets[-1]), start)
        saving.save(card)
    summary = summary_of(recipe, trained, card, work=work, out=out)
    write_json(work / SUMMARY, summary)
    return BuildResult(card=card, summary=summary)


def _name_models(recipe: Recipe, encoder: Encoder) -> None:
    """Note the folders that the recipe names: the bundle holds no place, and opens with what its own maker named."""
    try:
        if isinstance(encoder, TextEncoder) and encoder.name not in KNOWN_ENCODERS:
            name_encoder(encoder.name, encoder.digest, str(encoder.folder))
        if recipe.base.model not in KNOWN_MODELS:
            name_base(model_title(recipe.base.model), model_digest(recipe.base.model), recipe.base.model)
    except OSError as error:
        print_line(f"its models are not noted ({error.strerror}): name them where the bundle is opened")


def _check_own_texts(recipe: Recipe, work: Path, count: int) -> None:
    """Raise UserError where a person's own texts are too few to train on, or to evaluate on, before anything slow."""
    splits = Counter(text.split for text in prepare_texts(recipe, work))
    if splits["train"] < _FEWEST_TEXTS:
        raise UserError(
            f"only {splits['train']} texts to train on; at least {_FEWEST_TEXTS} are needed",
            "give more `texts`",
        )
    if count and splits["held_out"] < _FEWEST_JUDGED:
        raise UserError(
            f"only {splits['held_out']} of the texts are held out; at least {_FEWEST_JUDGED} are needed to evaluate on",
            "give more `texts`, or leave the evaluation out: `count=0`",
        )


def summary_of(
    recipe: Recipe, trained: TrainingResult, card: ReaderCard, *, work: Path, out: Path
) -> dict[str, Any]:
    """What a run came to, in plain values.

    `held_out` has the loss and the swap gap in nats a token, before training and after on the same rows, with 95%
    intervals over entities; it is null where no row is watched, and an interval is where there is one entity.
    `vector_is_read`: whether the swap gap's interval after training lies above 0, of 20 entities or more, and by 0.01.
    """
    outcome, progress = trained.outcome, trained.progress
    held_out: dict[str, Any] | None = None
    if outcome.after:
        held_out = {
            "rows": outcome.after.num_rows,
            "entities": len(outcome.after.sums_E3),
            "before": _measures(outcome.before) if outcome.before else None,
            "after": _measures(outcome.after),
        }
    return {
        "recipe": recipe.name,
        "steps": outcome.steps,
        "planned_steps": outcome.planned,
        "ended_by": outcome.ended_by,
        "max_hours": recipe.schedule.max_hours,
        "seconds": round(progress.seconds, 1),
        "tokens": progress.tokens,
        "examples": progress.examples,
        "held_out": held_out,
        "vector_is_read": None if held_out is None else _is_read(held_out),
        "scores": card.scores,
        "bundle": str(out),
        "spaces": list(load_bundle(out).entries),
        "work": str(work),
    }


_FEWEST_TEXTS, _FEWEST_JUDGED = 20, 5
_FEWEST, _LEAST_GAP = 20, 0.01
"""Entities that an interval takes, and nats a token: a gap below does not change one word in a hundred."""


def _is_read(held_out: dict[str, Any]) -> bool:
    """Whether the swap gap says that the vector is read: it lies above 0, is no trifle, and is of enough entities."""
    gap = held_out["after"]["swap_gap"]
    above = gap["low"] is not None and gap["low"] > 0 and gap["value"] >= _LEAST_GAP
    return bool(above and held_out["entities"] >= _FEWEST)


def _measures(validation: Validation) -> dict[str, Any]:
    """Loss and swap gap of an entity's rows together, so that several targets about one item count as one."""
    right_E, swapped_E, tokens_E = validation.sums_E3.T
    found = {"loss": right_E / tokens_E, "swap_gap": (swapped_E - right_E) / tokens_E}
    made = {name: asdict(estimate(values_E, tokens_E)) for name, values_E in found.items()}
    if len(tokens_E) < 2:
        return {name: {**one, "low": None, "high": None} for name, one in made.items()}
    return made


def check_work(work: Path) -> None:
    """Raise UserError for a work folder that is a file, or that holds a bundle or targets: they stay what they are."""
    check_not_in_bundle(check_path("work", work), "work")
    if work.exists() and not work.is_dir():
        raise UserError(f"`work={work}` is a file", "give the name of a folder")
    for name, what in (("manifest.json", "a bundle"), (ABOUT, "a folder of targets")):
        if (work / name).exists():
            raise UserError(f"`work={work}` is {what}", "give a folder of its own, such as work/mine")


def check_out(out: Path, work: Path) -> None:
    """Raise UserError where nothing can be written at `out`, and where it would replace what this run did not write.

    Nothing is lost: neither what lies there nor hours of training. An empty folder may be written to.
    """
    recover(check_path("out", out))
    check_not_current(out, "out")
    _check_place(out, work)
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "manifest.json").is_file():
        what = "is a folder of something else" if out.is_dir() else "is a file"
        raise UserError(
            f"`out={out}` {what}, and a bundle is a folder", "give the name of a new folder to `out`"
        )
    known = load_bundle(out)
    if _reader_digest(known) not in _written(work).get(os.path.realpath(out), []):
        raise UserError(
            f"there is another bundle at {out} already, {known.manifest.name!r}, that the run in {work} did not "
            "write",
            "give another name to `out`, or the `work` folder of the run that wrote it",
        )


def _check_place(out: Path, work: Path) -> None:
    where = Path(os.path.realpath(out))
    if where in (inside := Path(os.path.realpath(work)), *inside.parents):
        raise UserError(
            f"`out={out}` is the folder of `work={work}`, or one around it", "give another name to `out`"
        )
    above = next(folder for folder in where.parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UserError(
            f"a bundle cannot be written at {out}: {above} is no folder that you may write to",
            "give another name to `out`",
        )


def _reader_digest(bundle: Bundle) -> str:
    """Of the reader's files alone: concepts and spaces that a person added leave it as it is."""
    return digest(dict(bundle.manifest.files))


def _written(work: Path) -> dict[str, list[str]]:
    """What a run noted of its bundles; nothing where its file is none."""
    found = read_json(work / _WRITTEN) if (work / _WRITTEN).exists() else {}
    return (
        {path: known for path, known in found.items() if isinstance(known, list)}
        if isinstance(found, dict)
        else {}
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Saving:
    """How a run saves its reader; it may do so several times."""

    out: Path
    work: Path
    name: str
    trained: TrainingResult
    spaces: Bundle | None

    def save(self, card: ReaderCard) -> None:
        """The reader with its spaces, made beside and put in place as one.

        What lies there is of this run (`check_out`): its spaces stay, with all that was added to them. That the run
        writes this reader is noted first, so that a kill in between leaves no bundle that the run does not know.
        """
        try:
            check_out(self.out, self.work)  # again: hours may have passed
        except UserError as error:
            retained_where = f"the training is kept in {self.work}: the same command then saves it at once"
            raise UserError(error.message, f"{error.hint}; {retained_where}") from error
        self.out.parent.mkdir(parents=True, exist_ok=True)
        retained = load_bundle(self.out) if (self.out / "manifest.json").exists() else self.spaces
        with scratch_folder(self.out) as beside:
            alone = beside / "reader"
            save_reader(alone, self.trained.reader, name=self.name, card=card)
            made = load_bundle(alone)
            self._note(_reader_digest(made))
            save_bundle(self.out, source=made, name=self.name, entries=retained.entries if retained else {})

    def _note(self, reader: str) -> None:
        written, path = _written(self.work), os.path.realpath(self.out)
        known = written.get(path, [])
        if reader not in known:
            write_json(self.work / _WRITTEN, {**written, path: [*known, reader]})
