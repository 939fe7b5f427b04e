import dataclasses
import json
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fakes import NearestEngine
from vecspeak.bundles import load_bundle, save_bundle
from vecspeak.bundles.contents import file_digests
from vecspeak.bundles.fitting import fit_space
from vecspeak.cli import main
from vecspeak.spaces.io import save_space


@pytest.fixture
def bundle(space, texts, encoder, source, tmp_path):
    entry = fit_space(space, texts=texts, encoder=encoder, splits={"holdout": space.ids[:24]})
    return save_bundle(tmp_path / "things.bundle", source=source, name="things", entries={"things": entry})


@pytest.fixture
def fails(capsys):
    """Run a command that must fail: status 2, one line, no traceback. Gives the line."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        assert stopped.value.code == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("vecspeak: ")
        return lines[0]

    return run


def table(tmp_path, vectors, **columns):
    path = tmp_path / "table.parquet"
    ids = [f"a{i}" for i in range(len(vectors))]
    pq.write_table(pa.table({"id": ids, "label": ids, "vector": vectors, **columns}), path)
    return path


def columns(*more):
    return ("--id", "id", "--label", "label", "--vector", "vector", *more)


def test_help_loads_neither_torch_nor_numpy():
    code = (
        "import sys; from vecspeak.cli import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'transformers'} & set(sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    for name in ("demo", "space", "fit", "ask", "concept", "evaluate", "train"):
        assert name in found.stdout


@pytest.mark.parametrize("command", ["space", "fit", "ask", "concept", "evaluate", "train", "demo"])
def test_every_command_has_help(command, capsys):
    main([command, "--help"])
    assert "Usage:" in capsys.readouterr().out


def test_an_unknown_command_and_option_are_one_line(fails):
    assert "nonsense" in fails("nonsense")
    assert "--nonsense" in fails("ask", "b", "q", "--nonsense")


def test_a_missing_bundle_says_how_to_make_one(fails, tmp_path):
    assert "vecspeak fit" in fails("ask", tmp_path / "none", "Describe {x}.", "--at", 'x="A"')


@pytest.mark.parametrize(
    ("question", "at", "message"),
    [
        ("Describe {x}.", 'x="Thing 1', "character"),
        ("Describe {x}.", 'x="Thnig 1"', "Thing 1"),
        ("Describe {x}.", "x=nobody", "nobody"),
        ("Describe {x}.", "x=user(3)", "user"),
        ("Describe {y}.", 'x="Thing 1"', "{y}"),
        ("Describe {x} and {y}.", 'x="Thing 1"', "--at y=EXPRESSION"),
    ],
)
def test_a_mistake_in_asking_is_one_line(fails, bundle, question, at, message):
    assert message in fails("ask", bundle.folder, question, "--at", at)


def test_asking_without_a_point_says_how(fails, bundle):
    assert "--at" in fails("ask", bundle.folder, "Describe {x}.")


def test_an_unknown_space_lists_those_there_are(fails, bundle):
    assert "things" in fails("ask", bundle.folder, "Describe {x}.", "--at", 'x="A"', "--space", "movies")


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0, float("nan")], [0.0, 1.0]], "NaN"),
        ([[1.0, float("inf")], [0.0, 1.0]], "inf"),
        ([[0.0, 0.0], [0.0, 1.0]], "zero"),
        ([[1.0, 2.0], [1.0]], "width"),
        ([], "no rows"),
    ],
)
def test_bad_vectors_are_one_line_and_leave_the_old_bundle(fails, tmp_path, bundle, vectors, message):
    before = sorted((p, p.read_bytes()) for p in bundle.folder.rglob("*") if p.is_file())
    path = table(tmp_path, pa.array(vectors, pa.list_(pa.float32())))
    line = fails("fit", path, *columns("--out", bundle.folder), "--strict")
    assert message.casefold() in line.casefold()
    assert before == sorted((p, p.read_bytes()) for p in bundle.folder.rglob("*") if p.is_file())


def test_a_missing_column_lists_those_there_are(fails, tmp_path):
    path = table(tmp_path, [[1.0, 2.0], [2.0, 1.0]])
    line = fails("fit", path, "--id", "id", "--label", "name", "--vector", "vector", "--out", tmp_path / "b")
    assert "name" in line and "label" in line


def test_a_file_that_is_no_table_is_one_line(fails, tmp_path):
    path = tmp_path / "rubbish.parquet"
    path.write_bytes(b"rubbish")
    assert "rubbish.parquet" in fails("fit", path, *columns("--out", tmp_path / "b"))


def test_concepts_are_fitted_listed_and_kept(bundle, capsys):
    main(["concept", "fit", str(bundle.folder), "scary", "--where", "scary=true", "--json"])
    made = json.loads(capsys.readouterr().out)
    assert made["score"]["value"] > 0.9 and made["positives"] + made["negatives"] == 96
    main(["concept", "list", str(bundle.folder)])
    assert "scary" in capsys.readouterr().out


def test_an_unknown_value_lists_those_there_are(fails, bundle):
    line = fails("concept", "fit", bundle.folder, "scary", "--where", "horror=yes")
    assert "scary" in line


def test_a_damaged_bundle_is_one_line(fails, bundle):
    path = bundle.folder / "reader" / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert "damaged" in fails("ask", bundle.folder, "Describe {x}.", "--at", 'x="Thing 1"')


def test_a_bundle_of_a_newer_format_says_to_upgrade(fails, bundle):
    path = bundle.folder / "manifest.json"
    path.write_text(path.read_text().replace('"format_version": 2', '"format_version": 3'))
    assert "--upgrade" in fails("ask", bundle.folder, "Describe {x}.", "--at", 'x="Thing 1"')


def test_a_space_with_other_vectors_than_its_file_says_is_refused(fails, bundle):
    path = bundle.folder / "spaces" / "things" / "items.parquet"
    rows = pq.read_table(path)
    vectors = np.asarray(rows.column("vector").to_pylist(), dtype=np.float32) * 2
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    pq.write_table(rows.set_column(rows.column_names.index("vector"), "vector", column), path)
    assert "items.parquet" in fails("ask", bundle.folder, "Describe {x}.", "--at", 'x="Thing 1"')


@pytest.fixture
def fitted(monkeypatch, encoder, source):
    """`vecspeak fit` with the small encoder and the stand-in reader."""
    monkeypatch.setattr("vecspeak.asking.load_named_encoder", lambda *_: encoder)
    monkeypatch.setattr("vecspeak.api.shipped_reader", lambda: source)

    def run(space, path, *more):
        save_space(space, path)
        main(["fit", str(path), *map(str, more)])

    return run


def test_fitting_into_a_bundle_adds_a_space_to_those_there_are(fitted, space, bundle, tmp_path):
    fitted(dataclasses.replace(space, name="others"), tmp_path / "others.parquet", "--out", bundle.folder)
    assert set(load_bundle(bundle.folder).entries) == {"things", "others"}


def test_a_bundle_that_a_kill_left_half_renamed_keeps_its_spaces(fitted, space, bundle, tmp_path):
    bundle.folder.rename(bundle.folder.with_name(f".{bundle.folder.name}.deadbeef.old"))
    fitted(dataclasses.replace(space, name="others"), tmp_path / "others.parquet", "--out", bundle.folder)
    assert set(load_bundle(bundle.folder).entries) == {"things", "others"}


def test_a_bundle_does_not_change_its_reader_under_its_spaces(fails, fitted, space, bundle, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(bundle.folder, other)
    (other / "reader" / "adapter.safetensors").write_bytes(b"another")
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["files"] = file_digests(other, "reader")
    (other / "manifest.json").write_text(json.dumps(manifest))
    save_space(space, tmp_path / "more.parquet")
    line = fails("fit", tmp_path / "more.parquet", "--reader", other, "--out", bundle.folder)
    assert "another reader" in line


def test_vectors_that_say_nothing_are_called_so(fitted, space, tmp_path, capsys):
    noise = np.random.default_rng(3).normal(size=space.vectors.shape).astype(np.float32)
    silent = dataclasses.replace(space, vectors=noise)
    fitted(silent, tmp_path / "noise.parquet", "--holdout", "0.4", "--out", tmp_path / "noise.bundle")
    assert "NOTHING SHOWS THAT THE VECTORS SAY ANYTHING" in capsys.readouterr().out


@pytest.mark.parametrize("label", ["Heat", "It's Heat, not $HOME", 'The "Heat"'])
def test_the_line_to_ask_by_is_a_command_that_runs(
    fitted, space, texts, encoder, tmp_path, capsys, monkeypatch, label
):
    twice = dataclasses.replace(space, labels=(label, label, *space.labels[2:]))
    out = tmp_path / "my things.bundle"
    fitted(twice, tmp_path / "twice.parquet", "--out", out)
    fitted(dataclasses.replace(space, name="single"), tmp_path / "single.parquet", "--out", out)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("ask it:")]
    monkeypatch.setattr("vecspeak.asking.open_engine", lambda *_: NearestEngine(texts, encoder))
    monkeypatch.setattr("vecspeak.api.opening_note", lambda *_: "")
    for line, said in zip(lines, (f'id("t0") "{label}"', '"Thing 0"'), strict=True):
        command = shlex.split(line.removeprefix("ask it:"))
        assert command[0] == "vecspeak"
        more = (
            [] if "--space" in command else ["--space", "things"]
        )  # there was one space when it was printed
        main([*command[1:], *more])
        printed = capsys.readouterr().out
        assert f"{{x}} = {said}  (" in printed and f"its own text    {texts[0]}" in printed


def with_ratings(space):
    return dataclasses.replace(
        space, metadata=space.metadata.append_column("num_ratings", pa.array([i % 30 for i in range(120)]))
    )


HARDER = ("--holdout-regions", "1", "--holdout-cold", "9")


def test_harder_splits_are_kept_counted_and_scored(fitted, space, tmp_path, capsys):
    out = tmp_path / "rated.bundle"
    fitted(with_ratings(space), tmp_path / "rated.parquet", *HARDER, "--out", out, "--json")
    told = json.loads(capsys.readouterr().out)
    splits = load_bundle(out).entry().splits
    assert set(splits) == {"holdout", "regions", "cold"} and all(splits.values())
    assert told["split_items"] == {name: len(ids) for name, ids in splits.items()}
    assert told["splits"]["regions"]["items"] == len(splits["regions"])


def test_every_split_has_its_line(fitted, space, tmp_path, capsys):
    out = tmp_path / "rated.bundle"
    fitted(with_ratings(space), tmp_path / "rated.parquet", *HARDER, "--out", out)
    printed = capsys.readouterr().out
    assert re.search(r"held out of the fit: holdout \d+, regions \d+, cold \d+ items", printed)
    for name in ("holdout", "regions", "cold"):
        assert re.search(rf"on \d+ held-out items \({name}\): cosine \d\.\d+", printed)
    assert re.search(r"by num_ratings: (\S+ \d+% \(\d+ items\), )+10-29 \d+% \(\d+ items\)\n", printed)


def test_cold_items_without_their_column_are_one_line(fails, fitted, space, tmp_path):
    save_space(space, tmp_path / "things.parquet")
    line = fails("fit", tmp_path / "things.parquet", "--holdout-cold", 5, "--out", tmp_path / "b")
    assert "has no column 'num_ratings'" in line and "text, scary" in line
    assert not (tmp_path / "b").exists()


def test_a_column_that_holds_everything_out_is_named(fails, fitted, space, tmp_path):
    marks = space.metadata.append_column("split", pa.array(["held_out"] * 120))
    save_space(dataclasses.replace(space, metadata=marks), tmp_path / "out.parquet")
    line = fails("fit", tmp_path / "out.parquet", "--out", tmp_path / "b")
    assert "all 120 items of 'things' are held out" in line and "column 'split'" in line


def test_a_full_output_is_one_line(bundle):
    path = str(bundle.folder / "spaces" / "things" / "items.parquet")
    code = f"from vecspeak.cli import main; main(['space', 'info', {path!r}])"
    with open("/dev/full", "w") as full:
        found = subprocess.run(
            [sys.executable, "-uc", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert found.returncode == 2
    assert found.stderr.strip().splitlines()[-1].startswith("vecspeak: ")
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("name", ["base_model", "encoder"])
def test_a_manifest_with_a_number_for_a_name_is_one_line(fails, bundle, name):
    path = bundle.folder / "manifest.json"
    values = json.loads(path.read_text())
    values["reader"][name] = 5
    path.write_text(json.dumps(values))
    assert f"at `$.reader.{name}`" in fails("ask", bundle.folder, "Describe {x}.", "--at", 'x="Thing 1"')


class TurnEngine:
    """Answers each prompt with the next text, and remembers how it was asked."""

    name = "turns"

    def __init__(self, texts):
        self.texts = texts
        self.asked = []

    def generate(self, prompts, sampling):
        self.asked.append((len(prompts), sampling.temperature, sampling.seed))
        return self.texts[: len(prompts)]

    def answers(self, prompts, sampling):
        yield from enumerate(self.generate(prompts, sampling))

    def stream(self, prompt, sampling):
        self.asked.append(("stream", sampling.temperature, sampling.seed))
        yield from (self.texts[0][:5], self.texts[0][5:])


@pytest.fixture
def asking(monkeypatch, bundle, encoder, texts, capsys):
    """`vecspeak ask` about Thing 3 with an engine whose third answer is the right one; output and engine."""
    engine = TurnEngine([texts[40], texts[50], texts[3], texts[60]])
    monkeypatch.setattr("vecspeak.asking.open_engine", lambda bundle, name: engine)
    monkeypatch.setattr("vecspeak.api.opening_note", lambda bundle, name: "")
    monkeypatch.setattr("vecspeak.asking.load_named_encoder", lambda *_: encoder)

    def run(*more, at='x="Thing 3"'):
        main(["ask", str(bundle.folder), "Describe {x}.", "--at", at, *map(str, more)])
        return capsys.readouterr().out, engine

    return run


def test_the_best_of_several_answers_is_printed_with_its_evidence(asking, texts):
    printed, engine = asking("--best-of", 4, "--seed", 7)
    assert engine.asked == [(4, 0.7, 7)]
    assert f"\n\n{texts[3]}\n" in printed and printed.startswith("words: ")
    assert re.search(r"round trip +[01]\.\d\d \(against other items", printed)
    assert not any(texts[i] in printed for i in (40, 50, 60))


def test_the_best_of_several_answers_is_in_the_json(asking, texts):
    best, _ = asking("--best-of", 4, "--temperature", 1.1, "--json")
    first, engine = asking("--effort", "plain", "--json")
    assert engine.asked == [(4, 1.1, 0), ("stream", 0.0, 0)]
    best, first = json.loads(best), json.loads(first)
    assert (best["text"], first["text"]) == (texts[3], texts[40])
    assert best["question"] == "Describe {x}."
    assert best["trust"][0]["slot"] == "x"
    assert best["trust"][0]["round_trip"] > first["trust"][0]["round_trip"] + 0.2


def test_one_answer_is_streamed_and_nothing_is_chosen(asking, texts):
    printed, engine = asking("--effort", "plain")
    assert engine.asked == [("stream", 0.0, 0)] and f"\n\n{texts[40]}\n" in printed


def test_a_path_is_answered_step_by_step(asking, texts):
    printed, engine = asking("--effort", "plain", at='x=between("Thing 3", "Thing 4") steps 3')
    assert engine.asked == [(3, 0.0, 0)]
    parts = printed.split("--- ")[1:]
    assert [part.startswith(f"{step} of 3\nwords: ") for step, part in enumerate(parts, 1)] == [True] * 3
    assert [f"\n\n{texts[row]}\n" in part for part, row in zip(parts, (40, 50, 3), strict=True)] == [True] * 3
    assert '{x} = mid("Thing 3", "Thing 4", 0.5)' in printed


def test_the_answers_of_a_path_are_in_the_json(asking, texts):
    printed, _ = asking("--json", "--effort", "plain", at='x=between("Thing 3", "Thing 4") steps 2')
    found = json.loads(printed)["path"]
    assert [one["text"] for one in found] == [texts[40], texts[50]]
    assert [one["trust"][0]["is_item"] for one in found] == [True, True]
    assert found[0]["trust"][0]["is_outside"] is False


def test_a_point_outside_the_data_is_answered_with_a_mark_and_refused_by_the_strict(asking, fails, bundle):
    far = 'x="Thing 3" - 3*"Thing 4" - 3*"Thing 5"'
    assert "OUTSIDE THE DATA" in asking("--effort", "quick", at=far)[0]
    line = fails("ask", bundle.folder, "Describe {x}.", "--at", far, "--strict")
    assert "lies outside the data" in line and "leave out --strict" in line


@pytest.mark.parametrize("count", ["0", "-1", "65", "many"])
def test_the_best_of_none_or_of_too_many_is_refused(fails, bundle, count):
    line = fails("ask", bundle.folder, "Describe {x}.", "--at", 'x="Thing 1"', "--best-of", count)
    assert "--best-of" in line and count in line


def test_a_fit_that_is_stopped_goes_on_and_one_that_fails_leaves_nothing(
    fitted, fails, monkeypatch, encoder, space, tmp_path, capsys
):
    """Stopped while it encodes its second half; what was encoded before is never encoded again."""
    asked = []

    class Stops(type(encoder)):
        def encode(self, texts, **more):
            asked.append(len(texts))
            if len(asked) == 2:
                raise KeyboardInterrupt
            return super().encode(texts, **more)

    monkeypatch.setattr("vecspeak.encoders.text._CHUNK", 60)
    out, path = tmp_path / "fitted.bundle", tmp_path / "things.parquet"
    with monkeypatch.context() as patched:
        fitted_by = Stops()
        patched.setattr("vecspeak.asking.load_named_encoder", lambda *_: fitted_by)
        save_space(space, path)
        with pytest.raises(SystemExit):
            main(["fit", str(path), "--out", str(out)])
    assert asked == [60, 60] and (tmp_path / ".fitted.bundle.vectors").is_file()
    asked.clear()
    monkeypatch.setattr(type(encoder), "encode", _counting(type(encoder).encode, asked))
    fitted(space, path, "--out", out)
    assert asked == [60] and load_bundle(out).entry().space.num_items == 120
    assert not list(tmp_path.glob(".fitted.bundle.vectors*"))
    save_space(dataclasses.replace(space, metadata=space.metadata.select(["scary"])), path)
    capsys.readouterr()
    fails("fit", path, "--out", tmp_path / "none.bundle")
    assert not list(tmp_path.glob(".none*"))


def _counting(encode, asked):
    def counted(self, texts, **more):
        asked.append(len(texts))
        return encode(self, texts, **more)

    return counted
