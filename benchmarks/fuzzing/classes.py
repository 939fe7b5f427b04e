"""Classes of inputs: for each what is drawn, what vecspeak does with it, and what must hold of the result."""

import contextlib
import gzip
import io
import json
import shutil
import sys
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fuzzing import points, settings, tables
from fuzzing.files import bytes_changed, mutated
from fuzzing.loop import MOST_LETTERS, FuzzClass
from fuzzing.tables import TableFile, table_files
from fuzzing.values import as_json, edited, odd_values, weighted, words
from fuzzing.world import IDS, LABELS, OTHER, SPACE
from vecspeak.bundles import Bundle, load_bundle
from vecspeak.cli import main
from vecspeak.encoders.factorization import factorize, read_ratings
from vecspeak.errors import UserError
from vecspeak.evaluation.report import read_report, read_summary
from vecspeak.model.prompt import check_question, with_default_slots
from vecspeak.points import evaluate, evaluate_path, parse
from vecspeak.points.judgements import read_names, read_pairs
from vecspeak.points.parser import parse_query
from vecspeak.points.queries import Not, rows_where
from vecspeak.report.html import render_page
from vecspeak.spaces import Space
from vecspeak.spaces.io import save_space
from vecspeak.spaces.space import ReadingWarning
from vecspeak.storage import file_digest
from vecspeak.tasks.task_set import load_task_set
from vecspeak.training.dataset import read_target_dataset
from vecspeak.training.found_answers import FoundTarget, read_found
from vecspeak.training.recipe import Targets, load_recipe, recipe_from_dict

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
import reports  # noqa: E402  (small reports whose estimates are true stand beside the tests)


class World:
    """The small world of `world`, opened, with a folder to write cases to."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder, self.scratch = folder, scratch
        scratch.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "query.npy", scratch)

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle as it is."""
        return load_bundle(self.folder / "b.bundle")

    @cached_property
    def spoiled(self) -> tuple[Path, dict[str, bytes]]:
        """A copy of the bundle that cases may spoil, and what its files held."""
        copied = self.scratch / "spoiled.bundle"
        shutil.copytree(self.folder / "b.bundle", copied, dirs_exist_ok=True)
        files = [path for path in sorted(copied.rglob("*")) if path.is_file()]
        return copied, {path.relative_to(copied).as_posix(): path.read_bytes() for path in files}

    def write(self, name: str, data: bytes) -> Path:
        """A file of that name in the scratch folder."""
        path = self.scratch / name
        path.write_bytes(data)
        return path

    # --- what is asked ---

    def expression(self, text: str) -> None:
        """Its printed form means the same points, and every point is finite."""
        tree = parse(text)
        scope, others = self.bundle.entry(SPACE).scope, {OTHER: self.bundle.entry(OTHER).scope}
        found = evaluate_path(tree, scope, others)
        again = evaluate_path(parse(str(tree)), scope, others)
        assert str(parse(str(tree))) == str(tree), "the printed form is another expression"
        for one, other in zip(found, again, strict=True):
            assert np.isfinite(one.vector).all(), "a point of numbers that are not finite"
            assert np.allclose(one.vector, other.vector, rtol=1e-4), "the printed form means another point"
            assert one.about_person == other.about_person, "the printed form hides a person"

    def query(self, text: str) -> None:
        """Its printed form finds the same rows, and what it does not find is found by its opposite."""
        tree, space = parse_query(text), self.bundle.entry(SPACE).space
        rows = set(rows_where(space, tree).tolist())
        assert set(rows_where(space, parse_query(str(tree))).tolist()) == rows, (
            "the printed form finds others"
        )
        rest = set(rows_where(space, Not(operand=tree)).tolist())
        assert rest.isdisjoint(rows) and rest | rows == set(range(len(space))), (
            "a row is found by both or none"
        )

    def question(self, text: str) -> None:
        """Every slot gets its vector and no letter of the question is lost."""
        template = with_default_slots(check_question(text), ["x"])
        prompt = template.fill({name: np.ones(4, np.float32) for name in template.slots})
        assert sum(not isinstance(part, str) for part in prompt) == len(template.slots)
        said = "".join(part for part in prompt if isinstance(part, str))
        assert len(said) == len(template.text) - sum(len(name) + 2 for name in template.slots)

    # --- settings ---

    def recipe(self, data: bytes) -> None:
        """A recipe that holds is read back from its plain values."""
        read = load_recipe(self.write("recipe.toml", data))
        assert recipe_from_dict(json.loads(json.dumps(read.to_dict()))) == read, (
            "a recipe comes back as another"
        )

    def task_set(self, data: bytes) -> None:
        """Every wording of a set that holds has its slots, and no mark is left in a text."""
        read = load_task_set(str(self.write("set.toml", data)))
        for task in read.tasks.values():
            assert all(set(check_question(one).slots) == set(task.slots) for one in task.prompts)

    # --- bundles ---

    def manifest(self, data: bytes) -> None:
        """Opens the bundle with that manifest, and uses it."""
        self.part(("manifest.json", data, False))

    def part(self, case: tuple[str, bytes, bool]) -> None:
        """Opens the bundle with one of its files changed, which the manifest may know of, and uses it."""
        folder, files = self.spoiled
        name, data, is_noted = case
        (folder / name).write_bytes(data)
        try:
            if is_noted:
                manifest = json.loads(files["manifest.json"])
                for table in manifest.values():
                    if isinstance(table, dict) and name in table:
                        table[name] = {"sha256": file_digest(folder / name), "size": len(data)}
                (folder / "manifest.json").write_bytes(as_json(manifest))
            _use(load_bundle(folder))
        finally:
            for one in (name, "manifest.json"):
                (folder / one).write_bytes(files[one])

    # --- tables ---

    def table(self, given: TableFile) -> None:
        """What is read of an unchanged file is what was written; what is saved is read back as it is."""
        for name, data in given.files.items():
            self.write(name, data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ReadingWarning)  # the notes say the same
                space = Space.read(self.scratch / given.name, **given.columns)
        finally:
            for name in given.files:
                (self.scratch / name).unlink()
        assert not given.ids or space.notes or tuple(space.ids) == given.ids, (
            "ids are not those that were written"
        )
        assert not given.ids or space.dim == given.dim, "vectors are not as wide as they were written"
        for name in space.metadata.column_names:
            with contextlib.suppress(UserError):  # a column of another kind
                column = json.dumps(name)
                for query in (f'{column} = "a"', f'{column} < "1999-12-31"', f"{column} >= 3"):
                    rows_where(space, parse_query(query))
        saved = self.scratch / "saved.parquet"
        save_space(space, saved)
        again = Space.load(saved)
        assert again.digest == space.digest and np.array_equal(again.vectors, space.vectors), (
            "a saved space changed"
        )

    def ratings(self, given: TableFile) -> None:
        """Ratings that are read give finite vectors of items and people."""
        path = self.write(given.name, given.files[given.name])
        read = read_ratings(path, **given.columns)
        made = factorize(read, dim=2, iterations=1)
        assert np.isfinite(made.items.vectors).all() and np.isfinite(made.users.vectors).all()

    # --- what models and people wrote ---

    def report(self, case: tuple[bytes, bool]) -> None:
        """A report that is read gives a summary, a table and a page."""
        data, shown = case
        path = self.write("report.json", data)
        report = read_report(path)
        read_summary(path)
        report.to_table()
        if shown:
            render_page(report)

    def targets(self, case: tuple[str, bytes]) -> None:
        """Targets that are read give examples about vectors."""
        folder = self.scratch / "targets"
        if not folder.is_dir():
            shutil.copytree(self.folder / "targets", folder)
        name, data = case
        (folder / name).write_bytes(data)
        try:
            read = read_target_dataset(Targets(folders=(str(folder),)), self.bundle, 0)
            assert np.isfinite(read.vectors).all()
        finally:
            shutil.copy(self.folder / "targets" / name, folder)

    def answers(self, case: tuple[str, bytes]) -> None:
        """Answers of a search, pairs that people judged, and lists of names."""
        name, data = case
        path = self.write(name, data)
        {".gz": read_found, ".txt": read_names}.get(path.suffix, read_pairs)(path)

    def command(self, arguments: tuple[str, ...]) -> None:
        """Ends well, or with status 2 and one line of at most 500 letters on the error stream, and no traceback."""
        said, errors = io.StringIO(), io.StringIO()
        given = [str(self.folder / "b.bundle") if one == "BUNDLE" else one for one in arguments]
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
            try:
                main(given)
                return
            except SystemExit as left:
                assert left.code == 2, f"status {left.code}"
        lines = errors.getvalue().splitlines()  # notes may stand before the last line
        told = [line for line in lines if line.startswith(("vecspeak: ", "Traceback"))]
        assert lines[-1:] == told and lines[-1].startswith("vecspeak: "), (
            "not one line that says what is wrong"
        )
        assert len(lines[-1]) <= MOST_LETTERS + len("vecspeak: "), (
            f"a line of more than {MOST_LETTERS} letters"
        )
        raise UserError("refused")


_ASKED = (
    "random(1)",
    "cluster(1)",
    "random(2) + 2*scary",
    "centroid(year > 1960)",
    'user("7")',
    'user({"Film 1": 3})',
)


def _use(bundle: Bundle) -> None:
    """Everything that a person would ask of a bundle without a language model."""
    for name, entry in bundle.entries.items():
        bundle.manifest.task_set(name)
        for text in _ASKED:
            with contextlib.suppress(UserError):  # a space without people, regions or that concept
                point = evaluate(parse(text), entry.scope)
                entry.distance().percentile(point.vector[None])
                entry.words(point.vector[None], "user" if point.kind == "user" else "item", 3)
    bundle.manifest.knows_tasks  # noqa: B018


# --- what is drawn ---


_anything = st.recursive(
    st.one_of(odd_values, words), lambda inner: st.dictionaries(words, inner, max_size=2), max_leaves=3
)


@st.composite
def _manifests(draw: st.DrawFn, manifest: dict[str, Any]) -> Any:
    """What a stranger's bundle may say of itself by its fields, then perhaps with parts changed."""
    targets = st.fixed_dictionaries(
        {}, optional={"task_sets": _anything, "words": _anything, SPACE: _anything}
    )
    recipe = st.fixed_dictionaries(
        {}, optional={"targets": st.one_of(_anything, st.just({"space": SPACE, "task_set": "words"}))}
    )
    free = {
        "recipe": recipe,
        "data": st.fixed_dictionaries({}, optional={"targets": targets}),
        "scores": st.dictionaries(words, _anything, max_size=2),
    }
    card = manifest["reader"] | draw(st.fixed_dictionaries({}, optional=free))
    spaces = draw(st.permutations(manifest["spaces"]))[: draw(st.integers(0, 2))]
    made = {**manifest, "name": draw(words), "reader": card, "spaces": spaces}
    if "space_files" in manifest:
        noted = manifest["space_files"].items()
        made["space_files"] = {path: facts for path, facts in noted if path.split("/")[1] in spaces}
    return draw(weighted((1, st.just(made)), (2, edited(made))))


@st.composite
def _parts(draw: st.DrawFn, files: dict[str, bytes]) -> tuple[str, bytes, bool]:
    """A file beside the manifest and the reader, and whether whoever changed it wrote its digest down."""
    name = draw(
        st.sampled_from(
            [one for one in sorted(files) if one != "manifest.json" and not one.startswith("reader/")]
        )
    )
    return (
        name,
        draw(weighted((1, st.just(files[name])), (3, mutated(files[name], name)))),
        draw(st.integers(0, 5)) > 0,
    )


@st.composite
def _ratings(draw: st.DrawFn) -> TableFile:
    """Ratings in one of the formats that they come in."""
    ending = draw(st.sampled_from((".csv", ".tsv", ".jsonl", ".parquet", ".inter")))
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from((1, 2.5, 5))),
            min_size=1,
            max_size=12,
        )
    )
    table = tables.pa.table(
        dict(zip(("user_id", "item_id", "rating"), map(list, zip(*rows, strict=True)), strict=True))
    )
    data = tables.WRITERS[".tsv" if ending == ".inter" else ending](table, draw)
    data = draw(mutated(data, f"r{ending}")) if draw(st.booleans()) else data
    columns = {"user": "user_id", "item": "item_id"} | (
        {"rating": "rating"} if draw(st.integers(0, 3)) else {}
    )
    return TableFile(name=f"r{ending}", files={f"r{ending}": data}, columns=columns)


@st.composite
def _targets(draw: st.DrawFn, held_out: frozenset[str], about: bytes) -> tuple[str, bytes]:
    """Lines about items that are free or, under a split, held out, or what they were made from; some with changes."""
    if draw(st.integers(0, 4)) == 0:
        return "about.json", draw(mutated(about, "about.json"))
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        task = draw(st.sampled_from(_TASKS))
        split = draw(st.sampled_from(("train", "train", "holdout")))
        of = [item for item in IDS if (item in held_out) == (split != "train")]
        slots = {slot: draw(st.sampled_from(of)) for slot in task.slots}
        rows.append(
            {
                "task": task.name,
                "slots": slots,
                "text": draw(words),
                "told": "",
                "teacher": "t",
                "split": split,
            }
        )
    data = b"\n".join(as_json(row) for row in [_ROW, *rows])
    return "targets.jsonl", draw(weighted((2, st.just(data)), (1, mutated(data, "targets.jsonl"))))


_TASKS = [task for task in load_task_set("items").tasks.values() if task.about != "person"]
_ROW = {
    "task": "summary",
    "slots": {"x": "m1"},
    "text": "A story.",
    "told": "",
    "teacher": "t",
    "split": "train",
}


def _answers() -> st.SearchStrategy[tuple[str, bytes]]:
    found = FoundTarget(
        source="movies",
        kind="plot",
        key="1",
        text="ab",
        question="Describe {x}.",
        target="It is.",
        cosine=0.5,
        precision=0.5,
    )
    line = json.loads(json.dumps({name: getattr(found, name) for name in FoundTarget.__struct_fields__}))
    lines = st.lists(edited(line, untouched=4), min_size=1, max_size=3).map(
        lambda rows: b"\n".join(map(as_json, rows))
    )
    packed = lines.map(lambda data: gzip.compress(data, mtime=0))
    pairs = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=5)
    table = pairs.map(lambda rows: ("more\tless\n" + "".join(f"{a}\t{b}\n" for a, b in rows)).encode())
    return st.one_of(
        st.tuples(st.just("found.jsonl.gz"), weighted((3, packed), (1, packed.flatmap(bytes_changed)))),
        st.tuples(
            st.just("pairs.tsv"), st.one_of(table, table.flatmap(lambda data: mutated(data, "pairs.tsv")))
        ),
        st.tuples(
            st.just("names.txt"), st.one_of(st.text(max_size=20).map(str.encode), st.binary(max_size=8))
        ),
    )


def _commands() -> st.SearchStrategy[tuple[str, ...]]:
    said = st.just("BUNDLE")
    spaces = st.sampled_from(
        (("--space", SPACE), ("--space", SPACE), ("--space", OTHER), ("--json", "--space", SPACE), ())
    )
    one = st.tuples(st.just("words"), said, points.expressions)
    where = st.tuples(
        st.just("describe"), said, st.just("--no-reader"), st.just("--where"), points.query_texts
    )
    two = st.tuples(st.just("diff"), said, points.expressions, points.expressions, st.just("--no-reader"))
    others = st.sampled_from(
        (
            ("tasks", "list", "nope"),
            ("tasks", "show", "summary"),
            ("concept", "list", "BUNDLE"),
            ("space", "info", "query.npy"),
        )
    )
    with_space = weighted((2, one), (1, where), (1, two))
    drawn = weighted((12, st.tuples(with_space, spaces).map(lambda both: (*both[0], *both[1]))), (1, others))
    return drawn.map(
        lambda given: tuple(one.replace("\0", "?") for one in given)
    )  # no system passes a null on


def classes(world: World) -> list[FuzzClass]:
    """Every class, with its share of the cases."""
    _, files = world.spoiled
    manifest = json.loads(files["manifest.json"])
    about = (world.folder / "targets" / "about.json").read_bytes()
    held_out = frozenset(json.loads(files[f"spaces/{SPACE}/alignment.json"])["held_out"])
    report = json.loads(json.dumps(reports.report(reports.evaluated(reports.entities(3))).to_dict()))
    shown = st.integers(0, 19).map(lambda number: number == 0)
    return [
        FuzzClass("expressions", points.expressions, world.expression, 18),
        FuzzClass("queries", points.query_texts, world.query, 18),
        FuzzClass("questions", points.questions, world.question, 8),
        FuzzClass("recipes", settings.toml_of(settings.recipes), world.recipe, 9),
        FuzzClass("task sets", settings.toml_of(settings.task_sets), world.task_set, 8),
        FuzzClass("manifests", _manifests(manifest).map(as_json), world.manifest, 7),
        FuzzClass("files of a bundle", _parts(files), world.part, 7),
        FuzzClass("tables", table_files(), world.table, 10),
        FuzzClass("ratings", _ratings(), world.ratings, 4),
        FuzzClass("reports", st.tuples(edited(report).map(as_json), shown), world.report, 3),
        FuzzClass("targets", _targets(held_out, about), world.targets, 3),
        FuzzClass("answers, pairs, names", _answers(), world.answers, 3),
        FuzzClass("commands", _commands(), world.command, 2),
    ]
