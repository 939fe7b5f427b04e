"""The notebooks of examples/ run as they stand, on the reader of the package, and what they claim holds."""

import importlib.util
import json
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
spec = importlib.util.spec_from_file_location("run_examples", ROOT / "scripts" / "run_examples.py")
run_examples = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run_examples)

CLAIMS = {
    "01_ask_your_vectors": {
        "an array is answered like its item": "by_array.text == answer.text",
        "another vector has another answer": "other.text != answer.text",
        "arithmetic is the expression": "bool(np.allclose(written.vector, counted.vector, atol=1e-6))",
        "the answer is about its item": "answer.evidence[0].is_clear",
        "a batch is nearer to its own vectors": "bool(frame.round_trip.mean() > frame.swapped.mean() + 0.15)",
        "the nearest item of an array is its item": "bool((frame.nearest.str[0] == unseen.label[:12].values).all())",
        "pieces": "len(piece) > 0",
    },
    "02_is_it_read": {
        "the own vector fits best": "bool(said[0] @ point.vector > max(said[1:] @ point.vector) + 0.1)",
        "own plots beat others": "bool(own.mean() > others.mean() + 0.2)",
        "most answers find their plot": "bool(found >= 8)",
        "gaps are clear of zero": "bool((gaps.low > 0.05).all())",
        "intervals part": "bool(scores.loc['sc'].low['reader'] > scores.loc['sc'].high[['swapped', 'mean']].max())",
        "no warning but one": "all(one.startswith('No second encoder') for one in report.sets[0].flags)",
        "age is refused": "'the question asks for age' in refused",
    },
    "03_concepts_and_traces": {
        "the concept beats shuffled labels": "horror.beats_chance and horror.score.low > 0.8",
        "a coin is no concept": "'does not beat chance' in refused and list(vs.entry().concepts) == ['horror']",
        "arithmetic": "moved.expression == '\"Two Tickets to Paradise\" + 8*horror'",
        "moving changes the answer": "before.text != after.text",
        "horror rises most along horror": "slopes.idxmax() == 'horror' and bool(slopes['horror'] > 0.2)",
        "most regions fit": "atlas.found_back[0] >= 3 and len(atlas.regions) == 6",
        "random groups differ in nothing": "random.shared.num_found <= 2 < difference.more_in_first.num_found",
    },
    "04_your_own_domain": {
        "the vectors say something": "'NOTHING' not in alignment['verdict']",
        "shuffled rows say nothing": "verdict.startswith('NOTHING SHOWS')",
        "cosine over the mean": "alignment['held_out']['cosine'] > alignment['held_out']['cosine_of_mean'] + 0.1",
        "answers follow vectors": "bool(scores.low['reader'] > scores.high['swapped'])",
        "the nearest text is better": "bool(scores.low['nearest_text'] > scores.high['reader'])",
        "regions share words": "words_found['regions'] > 40 and words_found['random groups'] <= 2",
    },
    "05_packages_by_dependencies": {
        "the vectors say something": "'NOTHING' not in report['verdict'] and report['held_out']['p_shuffled'] <= 0.01",
        "shuffled vectors say nothing": "verdict.startswith('NOTHING SHOWS')",
        "the rank is far from chance": "report['held_out']['centered_median_rank_percent'] < 15",
        "words are the package's own": "shares['its own words'].low > shares['of any other'].high",
        "more than the section": "shares['its own words'].value > shares['of another of its section'].value + 0.02",
        "kinds are read": "by_kind['what it is'].low > 0.7",
        "praise is read less": "by_kind['what it is'].value > by_kind['how it is praised'].value",
        "answers follow vectors": "scores.value['reader'] > scores.value['swapped']",
        "regions have words": "sum(map(len, atlas.to_pandas()['words'])) > 40",
    },
    "06_images": {
        "the vectors say something": "report['held_out']['p_shuffled'] <= 0.01",
        "digits are read": "carried.words['digit'].low > 0.8",
        "ink, slant and width are read": "all(carried.words[name].low > 0.75 for name in ('line', 'slant', 'width'))",
        "color is not": "carried.words['color'].low < 0.5 < carried.words['color'].high",
        "another image's words are not": 'all(carried["another image\'s"][name].high < 0.8 for name in said)',
        "shuffled vectors say nothing": "verdict.startswith('NOTHING SHOWS')",
        "color is no concept": "'does not beat chance' in refused and list(vs.entry().concepts) == ['leaning']",
        "slant moves with its concept": "slants['right'][4] > 0.8 and slants['left'][-4] > 0.8",
        "the ends of the path": "chance['three'].iloc[0] > 0.5 and chance['eight'].iloc[-1] > 0.5",
    },
}
"""By notebook: expressions that must be true after its last cell."""


def test_every_notebook_is_held_to_claims():
    assert [path.stem for path in NOTEBOOKS] == list(CLAIMS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_as_it_ran_and_tells_nothing_of_a_machine(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [one for cell in code for one in cell.outputs]
    assert len(outputs) > len(code) / 2 and {one.output_type for one in outputs} <= {
        "stream",
        "execute_result",
        "display_data",
    }
    shown = json.dumps(outputs)
    assert not any(word in shown for word in ("/home/", "/root/", "/tmp/", "site-packages", "Traceback"))
    assert path.stat().st_size < 200_000 and run_examples.cleaned(notebook) == nbformat.read(
        path, as_version=4
    )


def test_an_example_whose_files_are_not_there_is_skipped_with_a_line(monkeypatch, capsys, tmp_path):
    (path,) = (one for one in NOTEBOOKS if one.stem in run_examples.NEEDS)
    monkeypatch.setattr(run_examples, "NEEDS", {path.stem: (str(tmp_path / "*_Packages*"), "write it")})
    run_examples.main([path.name])
    assert capsys.readouterr().out == f"{path.name}: skipped, {run_examples.missing(path)}\n"
    (tmp_path / "main_Packages.lz4").touch()
    assert run_examples.missing(path) == "" == run_examples.missing(NOTEBOOKS[0])


@pytest.mark.model
@pytest.mark.parametrize(
    "path",
    [NOTEBOOKS[0], *(pytest.param(path, marks=pytest.mark.long) for path in NOTEBOOKS[1:])],
    ids=lambda path: path.stem,
)
def test_a_notebook_runs_and_its_claims_hold(path):
    if reason := run_examples.missing(path):
        pytest.skip(reason)
    notebook = nbformat.read(path, as_version=4)
    claims = CLAIMS[path.stem]
    shown = ", ".join(f"{name!r}: bool({claim})" for name, claim in claims.items())
    asked = f"import json; print(json.dumps({{{shown}}}))"
    notebook.cells.append(nbformat.v4.new_code_cell(asked))
    ran = run_examples.execute(notebook)
    found = json.loads(ran.cells[-1].outputs[0].text)
    assert [name for name in claims if not found[name]] == []
