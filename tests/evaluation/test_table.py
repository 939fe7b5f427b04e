import json
from pathlib import Path

import numpy as np
import pytest

from vecspeak.evaluation.evaluate import Scores
from vecspeak.evaluation.metrics import consistency, retrieval, swap_gap
from vecspeak.evaluation.table import is_read, markdown, plain

ROOT = Path(__file__).parents[2]


def scores(swapped):
    eye = np.eye(4, dtype=np.float32)
    right, tokens = np.array([30.0, 12.0, 8.0, 9.0]), np.array([10, 4, 2, 3])
    return Scores(
        name="plots",
        count=4,
        question="Describe {x}.",
        nearest_by="cosine",
        swap_gap=swap_gap(right, right + swapped, tokens),
        semantic_consistency=consistency(eye, eye, np.roll(eye, 1, axis=0)),
        retrieval=retrieval(eye, eye, eye),
        examples=(),
    ).to_dict()


def test_a_vector_that_is_not_read_is_called_so():
    assert not is_read(scores(0))
    assert any("NOT READ" in line for line in plain(scores(0)))


def test_a_vector_that_is_read_is_not():
    assert is_read(scores(np.array([10.0, 4.0, 2.0, 3.0])))
    assert not any("NOT READ" in line for line in plain(scores(np.array([10.0, 4.0, 2.0, 3.0]))))


def test_every_number_of_the_table_stands_with_its_interval():
    lines = markdown([scores(1.0), scores(0.0)]).splitlines()
    assert lines[0] == "| on held-out | plots (4) | plots (4) |"
    assert "| semantic consistency of the answer | 1.000 [1.000, 1.000] | 1.000 [1.000, 1.000] |" in lines


@pytest.mark.parametrize("name", ["reader", "behavioral"])
def test_the_readmes_table_is_what_the_report_says(name):
    report = json.loads((ROOT / "docs" / "scores" / f"{name}.json").read_text(encoding="utf-8"))
    assert markdown(report["scores"]) in (ROOT / "README.md").read_text(encoding="utf-8")
