"""`vecspeak judge`: what a language model says of a report's answers, and whether to believe it."""

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from vecspeak.evaluation.report import Report

_path = click.Path(path_type=Path)


@click.command()
@click.argument("report", type=_path)
@click.option("--url", required=True, help="Root of an OpenAI-compatible API; most end in /v1.")
@click.option("--model", required=True, help="What the rater is called there.")
@click.option(
    "--key-env", default="", metavar="NAME", help="Environment variable with the key, if it takes one."
)
@click.option(
    "--system", "systems", multiple=True, metavar="KEY", help="A system to judge; all when not given."
)
@click.option("--set", "sets", multiple=True, metavar="NAME", help="A set to judge; all when not given.")
@click.option("--count", default=100, show_default=True, type=click.IntRange(1), help="Entities, at most.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**32 - 1), help="Of draw and order."
)
@click.option(
    "--concurrency", default=4, show_default=True, type=click.IntRange(1, 64), help="Asked at a time."
)
@click.option(
    "--timeout", default=120.0, show_default=True, type=click.FloatRange(1), help="Seconds a reply."
)
@click.option("--cache", type=_path, help="Where replies are kept; beside the output when not given.")
@click.option(
    "--out", type=_path, help="Report to write; REPORT.judged.json beside the input when not given."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def judge(report: Path, *, out: Path | None, cache: Path | None, as_json: bool, **options: Any) -> None:
    """Let a language model rate the answers in REPORT: how fluent, fitting and specific, and which are better.

    It sees texts only, never which system wrote them. Planted items check the rater itself: one that cannot
    tell right from wrong is called so. Stop it whenever you like: the same command goes on.

    Example:
        vecspeak judge scores.json --url http://127.0.0.1:8000/v1 --model NAME --system reader --system nearest_text

    """
    from vecspeak.evaluation.report import read_report
    from vecspeak.llm_client import Endpoint
    from vecspeak.raters.llm import ChatRater, JudgeConfig, JudgeReplies, judge_report

    target = out or report.with_name(f"{report.stem}.judged.json")
    address = Endpoint(
        url=options["url"], model=options["model"], key=key_of(options["key_env"]), timeout=options["timeout"]
    )
    given = read_report(report)
    _earlier(given, target)
    rater = ChatRater(address, JudgeReplies(cache or target.with_suffix(".replies.jsonl")))
    names = [field.name for field in dataclasses.fields(JudgeConfig)]
    judged = judge_report(given, rater, JudgeConfig(**{name: options[name] for name in names}))
    found = {key: entry for key, entry in judged.judged.items() if entry is not given.judged.get(key)}
    _write(given, found, target)
    if as_json:
        plain = {key: _without_ratings(entry) for key, entry in found.items()}
        click.echo(json.dumps({"report": str(target), "judged": plain}, ensure_ascii=False))
        return
    for entry in found.values():
        click.echo("\n".join(_lines(entry)) + "\n")
    click.echo(f"written: {target}")


def key_of(name: str) -> str:
    """The key that the variable holds; none where no variable is named, so that no server gets one by mistake."""
    from vecspeak.errors import UserError

    if name and not os.environ.get(name):
        raise UserError(
            f"the environment variable {name} is not set",
            f"set {name}, or leave --key-env out if no key is needed",
        )
    return os.environ[name].strip() if name else ""


def _earlier(report: "Report", target: Path) -> dict[str, Any]:
    """The ratings that the target holds already; UserError where they are of another report."""
    from vecspeak.errors import UserError
    from vecspeak.evaluation.report import read_report
    from vecspeak.storage import check_target

    check_target(target)
    if not target.exists():
        return {}
    earlier = read_report(target)
    if dataclasses.replace(earlier, judged={}) != dataclasses.replace(report, judged={}):
        raise UserError(
            f"{target} holds the ratings of another report", "remove it, or give another file to --out"
        )
    return dict(earlier.judged)


def _write(report: "Report", found: dict[str, Any], target: Path) -> None:
    """Write the whole report; what other raters said of it, in the input or at the target, stays."""
    from vecspeak.evaluation.report import write_report
    from vecspeak.storage import lock

    with lock(target):
        judged = {**report.judged, **_earlier(report, target), **found}
        write_report(target, dataclasses.replace(report, judged=judged))


def _without_ratings(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value for key, value in entry.items() if key not in ("ratings", "planted_ratings", "questions")
    }


def _lines(entry: dict[str, Any]) -> Iterator[str]:
    """What a rater found, for a terminal: the check of the rater first."""
    from vecspeak.report.tables import TRAINED_ON

    checks = entry["checks"]
    if entry["trained_on"]:
        yield TRAINED_ON
    yield f"{entry['set']}: {entry['entities']:,} entities rated by {entry['model']} at {entry['url_host']}"
    yield checks["verdict"] if checks["trusted"] else f"DO NOT TRUST: {checks['verdict']}"
    scales = ("fluent", "fits", "specific")
    yield f"  {'from 1 to 5':<24}" + "".join(f"{name:<20}" for name in scales).rstrip()
    for system, values in entry["systems"].items():
        yield f"  {system:<24}" + "".join(f"{_number(values.get(name)):<20}" for name in scales).rstrip()
    for kind in ("right", "wrong", "broken"):
        cells = "".join(f"{_number(checks[kind].get(name)):<20}" for name in scales).rstrip()
        yield f"  {f'(planted {kind})':<24}{cells}"
    for baseline, pair in entry["pairs"].items():
        yield f"  reader against {baseline}: {_pair(pair)}"
    if checks["pair"]:
        yield f"  (planted right against wrong: {_pair(checks['pair'])})"
    yield f"  {entry['asked']:,} questions asked, {entry['cached']:,} kept from before, " + (
        f"{entry['unanswered']:,} without a usable reply"
    )


def _number(estimate: dict[str, Any] | None) -> str:
    return f"{estimate['value']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]" if estimate else "-"


def _pair(pair: dict[str, Any]) -> str:
    shares = ", ".join(
        f"{word} {pair[key]['value']:.0%} [{pair[key]['low']:.0%}, {pair[key]['high']:.0%}]"
        for key, word in (("win", "better"), ("tie", "tied"), ("loss", "worse"))
    )
    flips = "" if pair["flips"] is None else f"; the order changed {pair['flips']:.0%} of the verdicts"
    return shares + flips
