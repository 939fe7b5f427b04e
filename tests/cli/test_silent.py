"""No command that names no address opens a socket; SECURITY.md says what each command sends."""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import every_command
from vecspeak.cli import cli, options
from vecspeak.cli.rate import rate
from vecspeak.http_guard import listen
from vecspeak.network import LOOPBACK

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ELSEWHERE = {"judge", "serve", "explore", "mcp", "train", "iterate", "demo"}
"""Commands that are not run here: one that is always given an address, two that serve, and three that take minutes."""


def leaves(group, path=""):
    """The names of all commands, as they are typed."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        typed = f"{path} {name}".strip()
        yield from leaves(command, typed) if isinstance(command, click.Group) else [typed]


COMMANDS = set(leaves(cli))


def run_here(line):
    return next(name for name in sorted(COMMANDS, key=len, reverse=True) if f"{line} ".startswith(f"{name} "))


def test_every_command_is_run_or_said_to_be_left_out():
    lines = every_command.COMMANDS.strip().splitlines()
    run = {run_here(line) for line in lines if re.match(r"[a-z]", line)}
    assert run | ELSEWHERE == COMMANDS and not run & ELSEWHERE


@pytest.mark.model
def test_no_command_that_names_no_address_opens_a_socket(tmp_path):
    offline = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")
    environment = {name: value for name, value in os.environ.items() if name not in offline}
    program = [sys.executable, str(ROOT / "tests" / "every_command.py"), str(tmp_path)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert [one for one in found if one["reached"]] == []
    assert [(one["command"], one["said"]) for one in found if one["status"]] == []


def test_what_is_forbidden_is_seen(tmp_path):
    """The test above would see a connection, a name that is looked up, and a datagram."""
    code = (
        "import socket, urllib.request, contextlib, every_command as it\n"
        "it.COMMANDS = 'tasks list'; it.write_data = lambda folder: None\n"
        "import vecspeak.cli as cli\n"
        "def main(line):\n"
        "    for reach in (lambda: socket.create_connection(('127.0.0.1', 1)),\n"
        "                  lambda: urllib.request.urlopen('http://vecspeak.invalid'),\n"
        "                  lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))):\n"
        "        with contextlib.suppress(OSError): reach()\n"
        "cli.main = main\n"
        "it.main('.')\n"
    )
    path = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    (one,) = json.loads(done.stdout)
    assert {said.split()[0] for said in one["reached"]} >= {"socket.getaddrinfo", "socket.sendto"}
    assert len(one["reached"]) == 3


def test_people_rate_on_this_computer_alone_unless_it_is_said_otherwise():
    (host,) = (option for option in rate.params if option.name == "host")
    assert host.default in LOOPBACK
    from vecspeak.raters import server

    assert inspect.signature(server.make_app).parameters["host"].default in LOOPBACK
    with listen(host.default, 0) as listener:
        assert listener.getsockname()[0] in LOOPBACK


def reaches_out(name):
    """Whether an option of a command takes an address, a download or a host."""
    command = cli
    for word in name.split():
        command = command.get_command(click.Context(command), word)
    names = {"writer", "teacher", "url", "download", "host", "http"}
    return any(one.name in names or one.type is options.SOURCE for one in command.params)


def test_the_page_says_of_every_command_what_it_sends():
    rows = re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|", PAGE.partition("## What is sent")[2], re.MULTILINE)
    said = {name: words for cell, words in rows for name in re.findall("`([^`]*)`", cell)}
    said = {name: words for name, words in said.items() if name in COMMANDS}
    assert set(said) == COMMANDS
    assert {name for name, words in said.items() if words != "nothing"} == set(filter(reaches_out, COMMANDS))
