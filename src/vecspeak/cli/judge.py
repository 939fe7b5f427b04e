"""`vecspeak judge`: what a language model says of a report's answers, and whether to believe it."""

from pathlib import Path
from typing import Any

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit
from vecspeak.console import say


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
    from vecspeak.report.terminal import judged_lines

    address = Endpoint(url=url, model=model, key=options.key_of(key_env), timeout=timeout)
    target, found = judge_file(report, address, JudgeConfig(**config), out=out, cache=cache)
    if as_json:
        emit({"report": str(target), "judged": {key: _without_ratings(one) for key, one in found.items()}})
        return
    for entry in found.values():
        say(*judged_lines(entry), "")
    say(f"written: {target}")


def _without_ratings(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value for key, value in entry.items() if key not in ("ratings", "planted_ratings", "questions")
    }
