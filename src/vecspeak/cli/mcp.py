"""`vecspeak mcp`: bundles as tools for agents, over standard input and output or HTTP on this computer."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options
from vecspeak.cli.serve import opened_bundles
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.agents import Limits
    from vecspeak.agents.server import AgentServer


@click.command()
@click.argument("bundles", type=options.PATH, nargs=-1, required=True, metavar="BUNDLE...")
@click.option("--http", is_flag=True, help="Over streamable HTTP on this computer instead of standard input.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8125,
    show_default=True,
    help="Of --http; 0: any free one.",
)
@options.engine
@click.option(
    "--timeout", default=120.0, show_default=True, type=click.FloatRange(0.1), help="Seconds a call."
)
def mcp(bundles: tuple[Path, ...], *, http: bool, port: int, engine: str, timeout: float) -> None:
    """Let agents ask about the vectors of BUNDLE by the Model Context Protocol.

    An agent's client starts this command and talks to it over standard input and output. Every result says whether it
    is to be trusted and why. Nothing of what is asked is written anywhere.

    Examples:
        vecspeak mcp movies.bundle

        vecspeak mcp movies.bundle shop.bundle --http --port 8125

    """
    from vecspeak.errors import require

    require("mcp", "mcp")
    from vecspeak.agents import Limits, make_agent_server

    limits = Limits(seconds=timeout)
    server = make_agent_server(opened_bundles(bundles, engine), limits)
    with contextlib.suppress(KeyboardInterrupt):
        if http:
            _serve(server, limits, port)
        else:
            server.run("stdio")


def _serve(server: "AgentServer", limits: "Limits", port: int) -> None:
    from vecspeak.agents import make_agent_app
    from vecspeak.http_guard import listen, make_server

    host = "127.0.0.1"
    running = make_server(make_agent_app(server, limits, host=host), seconds_to_stop=10, lifespan="on")
    with listen(host, port) as listener:
        say(f"agents call http://{host}:{listener.getsockname()[1]}/mcp   (Ctrl-C stops)")
        running.run(sockets=[listener])
    say("stopped")
