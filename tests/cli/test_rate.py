import csv
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from vecspeak.cli.rate import rate
from vecspeak.errors import UserError
from vecspeak.evaluation.report import Entity, EvaluatedSet, Report, System, write_report

KEYS = ("reader", "swapped")


@pytest.fixture
def report(tmp_path):
    """A report of three entities, as a file."""
    entities = tuple(
        Entity(
            id=f"t{number}",
            label=f"Thing {number}",
            truth=f"Truth {number}.",
            nearest=(),
            answers={key: f"{key} says {number}." for key in KEYS},
            values={},
            weights={},
        )
        for number in range(3)
    )
    evaluated = EvaluatedSet(
        name="things",
        question="Describe {x}.",
        split="held out",
        trained_on=False,
        among=3,
        nearest_by="cosine",
        flags=(),
        measures=(),
        systems=tuple(System(key=key, name=key, what="", estimates={}) for key in KEYS),
        entities=entities,
    )
    made = Report(bundle="b", made="2026-01-01T00:00:00Z", settings={}, digests={}, sets=(evaluated,))
    write_report(tmp_path / "report.json", made)
    return tmp_path / "report.json"


def run(*arguments):
    rate.main([str(argument) for argument in arguments], standalone_mode=False)


@pytest.fixture
def started(report):
    """Start the command on a free port; gives the process and its address."""
    running = []

    def start(*options):
        code = "import sys; from vecspeak.cli.rate import rate; rate(sys.argv[1:])"
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(report), "--port", "0", *options],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        running.append(process)
        for line in process.stdout:
            found = re.search(r"http://\S+/", line)
            if found:
                return process, found[0]
        raise AssertionError("the command ended without an address")

    yield start
    for process in running:
        process.kill()
        process.communicate()


def post(address, path, value):
    body, headers = json.dumps(value).encode(), {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(address + path, body, headers), timeout=20
    ) as response:
        return json.load(response)


def rate_next(address):
    """Answer all questions of ann's next item."""
    at = post(address, "api/start", {"rater": "ann"})["at"]
    with urllib.request.urlopen(f"{address}api/item?rater=ann&at={at}", timeout=20) as response:
        item = json.load(response)["item"]
    for question in item["questions"]:
        sent = {"rater": "ann", "item": item["id"], "question": question["key"], "seconds": 1}
        post(address, "api/rating", {**sent, "value": question["values"][-1]})
    return at


def test_a_study_outlives_a_kill_and_ends_with_ctrl_c(started, report, capsys):
    process, address = started()
    assert address.startswith("http://127.0.0.1:")
    assert [rate_next(address) for _ in range(3)] == [1, 2, 3]
    process.kill()
    process, address = started("--count", "50")
    assert [rate_next(address) for _ in range(6)] == [4, 5, 6, 7, 8, 9]
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0 and process.stdout.read() == "stopped\n"
    run(report, "--results")
    printed = capsys.readouterr().out
    assert "things: the mean of what raters said" in printed and "  ann  9 of 9 items" in printed


@pytest.fixture
def rated(report):
    """The file of a report that ann has rated once."""
    from vecspeak.evaluation.report import read_report
    from vecspeak.raters.study import start_study

    study = start_study(report.with_suffix(".ratings"), read_report(report))
    study.add("ann", next(iter(study.sheet.items)), "fits", 4, 2)
    return report


def test_results_are_printed_as_one_json_object(rated, capsys):
    run(rated, "--results", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["agreement"] == {"fits": None} and found["raters"][0]["name"] == "ann"
    assert found["sets"][0]["scored"][0]["questions"]["fits"] == {"value": 4.0, "low": 4.0, "high": 4.0}


def test_ratings_are_exported_as_csv(rated, tmp_path, capsys):
    run(rated, "--export", tmp_path / "ratings.csv")
    assert capsys.readouterr().out == f"wrote 1 ratings to {tmp_path / 'ratings.csv'}\n"
    with (tmp_path / "ratings.csv").open(newline="") as file:
        assert [(row["rater"], row["value"]) for row in csv.DictReader(file)] == [("ann", "4")]


def test_items_go_to_a_tool_and_ratings_come_back(report, tmp_path, capsys):
    items = tmp_path / "items.csv"
    run(report, "--count", 2, "--export-items", items)
    assert capsys.readouterr().out == f"wrote 14 rows to {items}\n"
    with items.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with items.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "value": row["choices"][0]} for row in rows)
    with pytest.raises(UserError, match="14 without a rater"):
        run(report, "--import-ratings", items)
    run(report, "--import-ratings", items, "--rater", "Ann")
    assert "imported 14 ratings of ann; 0 were there already, 0 rows are not" in capsys.readouterr().out
    run(report, "--results")
    assert "  ann  6 of 6 items" in capsys.readouterr().out
    run(report, "--export-items", tmp_path / "items.jsonl", "--tool", "argilla")
    assert '"metadata": {"item": ' in (tmp_path / "items.jsonl").read_text()


def test_telling_begins_no_study(report, tmp_path):
    for options in (["--results"], ["--export", tmp_path / "ratings.csv"]):
        with pytest.raises(UserError, match="there are no ratings in .*report.ratings"):
            run(report, *options)
    assert os.listdir(tmp_path) == ["report.json"]


def test_a_missing_report_and_an_unknown_system_are_the_users_errors(report, tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        run(tmp_path / "none.json")
    with pytest.raises(
        UserError, match="no answers of the system 'nonsense'; give `system` one of: reader, swapped"
    ):
        run(report, "--system", "nonsense")
    assert os.listdir(tmp_path) == ["report.json"]


def test_an_address_of_another_computer_is_refused(report):
    with pytest.raises(UserError, match="cannot listen on 203.0.113.7"):
        run(report, "--host", "203.0.113.7")


def test_help_and_the_sheet_load_no_server_and_no_torch():
    code = (
        "import sys, vecspeak.cli.rate, vecspeak.raters.study; "
        "print([n for n in ('torch', 'sklearn', 'transformers', 'starlette', 'uvicorn') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
