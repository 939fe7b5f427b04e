"""The library's messages as the command line says them: parameters become options, functions become commands."""

import re
from functools import cache
from typing import NamedTuple

import click

_OPTIONS = {
    "header": "--no-header",
    "max_new_tokens": "--max-tokens",
    "n_regions": "--regions",
    "words": "--word",
    "positives": "--positive",
    "negatives": "--negative",
}
_COMMANDS = {
    "atlas": "vecspeak atlas BUNDLE",
    "create": "vecspeak fit",
    "evaluate": "vecspeak evaluate BUNDLE",
    "export_vllm": "vecspeak export vllm BUNDLE",
    "load": "vecspeak check BUNDLE",
    "run_demo": "vecspeak demo",
    "start_study": "vecspeak rate",
    "task_set": "vecspeak tasks list",
    "teach": "vecspeak teach BUNDLE",
}
"""What the library calls otherwise; all other names come from the commands."""


class Spellings(NamedTuple):
    """What the commands call the library's parameters (`space`: `--space`) and functions (`fit`: `vecspeak fit`)."""

    options: dict[str, str]
    commands: dict[str, str]


@cache
def command_names(root: click.Command) -> Spellings:
    """Names from the click commands themselves. Imports the files of all commands, which are light."""
    names = Spellings({}, {})
    _collect(root, "vecspeak", names)
    options = names.options
    plurals = {f"{name}s": option for name, option in options.items() if f"{name}s" not in options}
    return Spellings(plurals | options | _OPTIONS, names.commands | _COMMANDS)


def _collect(command: click.Command, path: str, names: Spellings) -> None:
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            option = max(parameter.opts, key=len)
            names.options.setdefault(option.lstrip("-").replace("-", "_"), option)
    if not isinstance(command, click.Group):
        return
    context, group = click.Context(command), path.partition(" ")[2]
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        # `vecspeak concept fit` is also `fit_concept`: `fit` alone is another command.
        for function in (f"{name}_{group}" if group else name, name):
            names.commands.setdefault(function, f"{path} {name}")
        _collect(below, f"{path} {name}", names)


_VALUE = r"'[^']*'|\"[^\"]*\"|\{[^}]*\}|True|-?[0-9.]+[0-9]|[0-9]|\.\.\.|[A-Z][A-Z.]*"
_CALL = re.compile(r"`(?:[A-Za-z.]+\.)?(\w+)\(([^`]*)\)`")
_QUOTED = re.compile(rf"`(\w+)(?:=({_VALUE}|[^`]*))?`")
_BARE = re.compile(rf"(?<![\w\"'.=-])([a-z]\w*)=({_VALUE})(?![\w.])")


def as_options(message: str, root: click.Command | None = None) -> str:
    """A message of the library as the command line says it; by default with the names of the command that runs.

    `max_new_tokens=96` is `--max-tokens 96`, `strict=True` is `--strict`, a parameter in backticks is its option,
    `VecSpeak.fit(..., text='COLUMN')` in backticks is `vecspeak fit ... --text COLUMN`.
    """
    if "`" not in message and "=" not in message:
        return message
    names = command_names(root or click.get_current_context().find_root().command)

    def call(found: re.Match[str]) -> str:
        command = names.commands.get(found[1])
        if command is None:
            return found[0]
        given = re.split(r", (?=\w+=|\.\.\.)", found[2]) if found[2] not in ("", "...") else []
        return " ".join([command, *(_plain(re.sub(r"^(\w+)=(.*)$", option, one)) for one in given)])

    def option(found: re.Match[str]) -> str:
        return _option(found[1], found[2], names) or found[0]

    def quoted(found: re.Match[str]) -> str:
        if found[2] and found[1] not in names.options:
            return (
                f"--at {found[1]}={found[2]}"  # every other name that takes a value is a slot of the question
            )
        return option(found)

    message = _CALL.sub(call, message)
    message = _QUOTED.sub(quoted, message)
    return _BARE.sub(option, message)


def _option(name: str, value: str | None, names: Spellings) -> str | None:
    """`--name value`; None for a name that no command has."""
    option = names.options.get(name)
    if option is None or value in (None, "True", "False"):
        return option
    assert value is not None
    if value.startswith("{"):  # words={'item': 'jacket'}
        pairs = re.sub(r"'(\w+)': '(\w+)'", r"\1=\2", value[1:-1])
        return f"{option} {pairs}"
    return f"{option} {_plain(value)}"


def _plain(value: str) -> str:
    """A value as it is typed: quoted only where a shell would not take it as one word."""
    return value if re.search(r"[\s()*?\[]", value) else value.strip("'")
