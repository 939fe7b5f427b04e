"""The command line: a thin skin. Each command parses, calls one library function and prints.

Loads neither torch nor a model until a command needs it. Errors of the user become one line and status 2 here.
"""

import io
import sys
from importlib import import_module
from typing import Any

import click

import vecspeak
from vecspeak.console import say
from vecspeak.errors import UserError, one_line

_COMMANDS = {
    "demo": "vecspeak.cli.demo:demo",
    "space": "vecspeak.cli.space:space",
    "fit": "vecspeak.cli.fit:fit",
    "check": "vecspeak.cli.check:check",
    "ask": "vecspeak.cli.ask:ask",
    "words": "vecspeak.cli.words:words",
    "narrate": "vecspeak.cli.narrate:narrate",
    "concept": "vecspeak.cli.concept:concept",
    "trace": "vecspeak.cli.trace:trace",
    "atlas": "vecspeak.cli.atlas:atlas",
    "labels": "vecspeak.cli.labels:labels",
    "map": "vecspeak.cli.map:map_command",
    "describe": "vecspeak.cli.describe:describe",
    "diff": "vecspeak.cli.diff:diff",
    "why": "vecspeak.cli.why:why",
    "axes": "vecspeak.cli.axes:axes",
    "odd": "vecspeak.cli.odd:odd",
    "leaks": "vecspeak.cli.leaks:leaks",
    "drift": "vecspeak.cli.drift:drift",
    "compare": "vecspeak.cli.compare:compare",
    "profile": "vecspeak.cli.profile:profile",
    "evaluate": "vecspeak.cli.evaluate:evaluate",
    "judge": "vecspeak.cli.judge:judge",
    "rate": "vecspeak.cli.rate:rate",
    "serve": "vecspeak.cli.serve:serve",
    "mcp": "vecspeak.cli.mcp:mcp",
    "export": "vecspeak.cli.export:export",
    "explore": "vecspeak.cli.serve:explore",
    "tasks": "vecspeak.cli.tasks:tasks",
    "teach": "vecspeak.cli.teach:teach",
    "train": "vecspeak.cli.train:train",
    "iterate": "vecspeak.cli.iterate:iterate",
}


class _LazyGroup(click.Group):
    """Imports the file of a command when that command is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.command(cls=_LazyGroup)
@click.version_option(vecspeak.__version__, prog_name="vecspeak")
def cli() -> None:
    """Ask any embedding vector a question in plain language.

    Start with: vecspeak demo
    """


def main(arguments: list[str] | None = None) -> Any:
    """Entry point. A user's mistake prints one line and leaves with status 2; so does a broken pipe, silently."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        return cli.main(args=arguments, prog_name="vecspeak", standalone_mode=False)
    except UserError as error:
        from vecspeak.cli.messages import as_options  # loads every command's file

        say(f"vecspeak: {one_line(as_options(str(error), cli))}", err=True)
    except click.UsageError as error:
        hint = f"; see {error.ctx.command_path} --help" if error.ctx else ""
        say(f"vecspeak: {one_line(error.format_message().rstrip('.'), 420)}{hint}", err=True)
    except click.Abort:
        say("vecspeak: stopped", err=True)
        sys.exit(130)
    except UnicodeDecodeError as error:
        say(f"vecspeak: a text is not UTF-8 ({error.reason}); save the table again as UTF-8", err=True)
    except MemoryError:
        say("vecspeak: that does not fit into memory; give a smaller table or fewer numbers", err=True)
    except BrokenPipeError:
        sys.stderr.close()
    except OSError as error:
        place = one_line(str(error.filename or "output"), 300)
        say(f"vecspeak: {error.strerror or error}: {place}; choose another place", err=True)
    sys.exit(2)
