"""`vecspeak judge`: what a language model says of a report's answers, and whether to believe it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit


@click.command()
@click.argument("report", type=options.PATH)
@click.option("--url", required=True, help="Root of an OpenAI-compatible API; most end in /v1.")
@click.option("--model", required=True, help="What the rater is called there.")
@click.option(
    "--system", "systems", multiple=True, metavar="KEY", help="A system to judge; all when not given."
)
@click.option("--set", "sets", multiple=True, metavar="NAME", help="A set to judge; all when not given.")
@options.count_of(1, 100, "Entities, at most.")
@options.seed("Of draw and order.")
@options.requests
@click.option("--cache", type=options.PATH, help="Where replies are kept; beside the output when not given.")
@click.option(
    "--out", type=options.PATH, help="Report to write; REPORT.judged.json beside the input when not given."
)
@options.as_json
def judge(
    report: Path,
    *,
    url: str,
    model: str,
    key_env: str,
    timeout: float,
    out: Path | None,
    cache: Path | None,
    as_json: bool,
    **config: Any,
) -> None:
    """Let a language model rate the answers in REPORT: how fluent, fitting and specific, and which are better.

    It sees texts only, never which system wrote them. Planted items check the rater itself: one that cannot
    tell right from wrong is called so. Stop it whenever you like: the same command goes on.

    Example:
        vecspeak judge scores.json --url http://127.0.0.1:8000/v1 --model NAME --system reader --system nearest_text

    """
    from vecspeak.llm_client import Endpoint
    from vecspeak.raters.llm import JudgeConfig, judge_file

    address = Endpoint(url=url, model=model, key=options.key_of(key_env), timeout=timeout)
    target, found = judge_file(report, address, JudgeConfig(**config), out=out, cache=cache)
    if as_json:
        emit({"report": str(target), "judged": {key: _without_ratings(one) for key, one in found.items()}})
        return
    for entry in found.values():
        click.echo("\n".join(_lines(entry)) + "\n")
    click.echo(f"written: {target}")


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
