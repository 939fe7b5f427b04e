"""`vecspeak serve`: bundles over HTTP, as OpenAI's clients ask."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vecspeak.cli import options
from vecspeak.cli.show import note
from vecspeak.console import say

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from vecspeak.api import VecSpeak
    from vecspeak.server import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


def _served(port: int, key_help: str) -> Callable[[Command], Command]:
    """What is served, and where: the argument and options of every command that starts the server."""

    def add(command: Command) -> Command:
        ports, local = click.IntRange(0, 65535), "Another lets other computers ask; it needs a key."
        for one in (
            options.engine,
            click.option("--key-env", default="", metavar="NAME", help=key_help),
            click.option("--host", default="127.0.0.1", show_default=True, help=local),
            click.option("--port", type=ports, default=port, show_default=True, help="0: any free one."),
            click.argument("bundles", type=options.PATH, nargs=-1, required=True, metavar="BUNDLE..."),
        ):
            command = one(command)
        return command

    return add


@click.command()
@_served(8124, "Environment variable with the key that callers must send.")
@click.option(
    "--most-waiting", default=256, show_default=True, type=click.IntRange(1), help="Questions that may wait."
)
@click.option(
    "--timeout", default=120.0, show_default=True, type=click.FloatRange(0.1), help="Seconds a question."
)
@click.option(
    "--sheet",
    type=options.PATH,
    metavar="REPORT",
    help="Let people rate the answers of this report under /rate.",
)
@click.option("--page", is_flag=True, help="The page of `vecspeak explore` at / as well.")
@click.option(
    "--log", "logs", is_flag=True, help="A line of JSON a request on stderr, without what was asked."
)
def serve(
    bundles: tuple[Path, ...],
    *,
    port: int,
    host: str,
    key_env: str,
    engine: str,
    most_waiting: int,
    timeout: float,
    sheet: Path | None,
    page: bool,
    logs: bool,
) -> None:
    """Answer questions about the vectors of BUNDLE over HTTP, until Ctrl-C.

    A bundle is a model by its name: POST /v1/chat/completions takes messages with embeddings in them, /v1/spaces tells
    what is there; /openapi.json describes all. Nothing of a question is written anywhere.

    Examples:
        vecspeak serve movies.bundle

        vecspeak serve movies.bundle --sheet report.json

        VECSPEAK_KEY=... vecspeak serve movies.bundle --host 0.0.0.0 --key-env VECSPEAK_KEY

    """
    settings = _settings(host, key_env, most_waiting, timeout)
    _serve(opened_bundles(bundles, engine), settings, port, sheet, page=page, logs=logs)


@click.command()
@_served(8125, "Environment variable with the key that the page asks for.")
@click.option("--no-open", is_flag=True, help="Print the address, and open no browser.")
def explore(
    bundles: tuple[Path, ...], *, port: int, host: str, key_env: str, engine: str, no_open: bool
) -> None:
    """Open BUNDLE as a page in the browser: a map to look at, to search and to ask, until Ctrl-C.

    It is `vecspeak serve --page`. The page asks this server alone and fetches nothing from elsewhere. A space without a
    map is laid out first, half a minute for 5,000 items; `vecspeak map BUNDLE` does it once.

    Examples:
        vecspeak explore movies.bundle

        vecspeak explore old.bundle new.bundle --no-open

    """
    settings = _settings(host, key_env)
    _serve(opened_bundles(bundles, engine), settings, port, None, page=True, opens=not no_open)


def _settings(host: str, key_env: str, most_waiting: int = 256, seconds: float = 120.0) -> "Settings":
    from vecspeak.errors import require

    key = _key(key_env)
    _check_host(host, key)
    for package in ("fastapi", "uvicorn", "prometheus_client"):
        require(package, "serve")
    from vecspeak.server import Settings

    return Settings(host=host, api_key=key, most_waiting=most_waiting, seconds=seconds)


def opened_bundles(bundles: tuple[Path, ...], engine: str) -> "dict[str, VecSpeak]":
    """The readers of bundles by name; equal ones share their models. Raises UsageError where two have one name."""
    from vecspeak.api import VecSpeak

    found: dict[str, VecSpeak] = {}
    for bundle in bundles:
        reader = VecSpeak.load(bundle, engine=engine, notify=note)
        name = reader.bundle.manifest.name
        if name in found:
            raise click.UsageError(f"two bundles are called {name}; copy one to another name")
        any(reader.share_models(other) for other in found.values())
        found[name] = reader
    return found


def _key(variable: str) -> str:
    """The key of an environment variable. Raises UsageError where that is empty."""
    key = os.environ.get(variable, "") if variable else ""
    if variable and not key:
        raise click.UsageError(
            f"the environment variable {variable} is empty; set it to the key of your callers"
        )
    return key


def _check_host(host: str, key: str) -> None:
    """Raise UsageError for an address that others reach without a key, before anything is loaded."""
    from vecspeak.network import LOOPBACK

    if host.casefold() not in LOOPBACK and not key:
        raise click.UsageError(
            f"others can reach the server at {host}, and it asks for no key; "
            "name the environment variable that holds one with --key-env NAME, or leave out --host"
        )


def _rating(report: Path, host: str) -> "ASGIApp":
    """The page for raters of a report, as `vecspeak rate` has it: with the same folder of ratings."""
    from vecspeak.evaluation.report import read_report
    from vecspeak.raters.server import make_app
    from vecspeak.raters.study import start_study

    return make_app(start_study(report.with_suffix(".ratings"), read_report(report)), host=host)


def _log_requests() -> None:
    import logging

    log = logging.getLogger("vecspeak.server")
    log.addHandler(logging.StreamHandler())
    log.setLevel(logging.INFO)


def _serve(
    readers: "dict[str, VecSpeak]",
    settings: "Settings",
    port: int,
    sheet: Path | None,
    *,
    page: bool = False,
    logs: bool = False,
    opens: bool = False,
) -> None:
    import threading
    import webbrowser

    from vecspeak.http_guard import listen, make_server
    from vecspeak.server import make_app
    from vecspeak.server.heaps import keep_heaps_small

    keep_heaps_small()
    if logs:
        _log_requests()
    rating = _rating(sheet, settings.host) if sheet else None
    app = make_app(readers, settings, sheet=rating, page=page)
    server = make_server(app, seconds_to_stop=10)
    with listen(settings.host, port) as listener:
        name = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"http://{name}:{listener.getsockname()[1]}"
        spaces = ", ".join(
            f"{model}: {', '.join(one.spaces) or 'no space'}" for model, one in readers.items()
        )
        say(f"serving {spaces}", f"ask at {address}/v1   (Ctrl-C stops)")
        if page:
            say(f"look at {address}/")
        if rating:
            say(f"rate at {address}/rate/")
        threading.Thread(target=app.state.serving.open_models, daemon=True).start()
        if opens:
            threading.Thread(target=webbrowser.open, args=(f"{address}/",), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
        app.state.serving.stop()
        say("stopped")
