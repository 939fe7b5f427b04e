"""`vecspeak mcp`: a real client starts it and talks over its standard streams, or calls it over HTTP on loopback."""

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from mcp import Client, ClientSession, StdioServerParameters, stdio_client

from vecspeak.agents import Limits, make_agent_app, make_agent_server
from vecspeak.cli import main
from vecspeak.http_guard import listen, make_server

PLAY = """
import sys
sys.path.insert(0, {tests!r})
import fakes
from vecspeak import asking
from vecspeak.cli import main
texts = {texts!r}
encoder = fakes.WordEncoder()
asking.open_engine = lambda *given, **options: print("opened") or fakes.NearestEngine(texts, encoder)
asking.load_named_encoder = lambda *given: encoder
main(["mcp", {folder!r}])
"""
"""The command with the tiny engine and encoder in the place of the shipped ones; it prints where nothing may stand."""


@pytest.fixture
def command(reader, texts):
    tests = str(Path(__file__).parents[1])
    return ["-c", PLAY.format(tests=tests, texts=texts, folder=str(reader.folder))]


def test_a_client_starts_the_command_lists_asks_compares_and_checks(command, reader, texts):
    async def talk():
        asked = StdioServerParameters(command=sys.executable, args=command)
        async with stdio_client(asked) as streams, ClientSession(*streams) as session:
            await session.initialize()
            tools = [one.name for one in (await session.list_tools()).tools]
            pair = {"first": '"Thing 1"', "second": '"Thing 2"'}
            calls = [
                ("ask_vector", {"point": '"Thing 3"'}),
                ("ask_vector", {"point": '"Nothing"'}),
                ("compare", pair),
                ("check", {"answer": texts[1], "point": '"Thing 1"'}),
            ]
            return tools, [await session.call_tool(name, given) for name, given in calls]

    tools, (asked, refused, compared, checked) = asyncio.run(talk())
    assert "ask_vector" in tools and "check" in tools
    own = reader.ask("Describe {x}.", x="Thing 3", effort="quick").text
    assert asked.structured_content["answer"] == own
    assert json.loads(asked.content[0].text)["answer"] == own
    assert refused.is_error and "nearest spellings" in refused.content[0].text
    assert not checked.is_error, checked.content[0].text
    assert compared.structured_content["first"]["point"] == '"Thing 1"'
    assert checked.structured_content["trusted"] is True, checked.content[0].text


def test_nothing_but_the_protocol_is_on_standard_output_and_its_end_ends_the_command(command):
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize",
         "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call",
         "params": {"name": "ask_vector", "arguments": {"point": "\"Thing 3\""}}},
    ]  # fmt: skip
    running = subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    try:
        running.stdin.write("this is no JSON\n" + "".join(json.dumps(one) + "\n" for one in lines))
        running.stdin.flush()
        said = [json.loads(running.stdout.readline())]
        while said[-1].get("id") != 2:
            said.append(json.loads(running.stdout.readline()))
        rest, errors = running.communicate(timeout=30)
    finally:
        running.kill()
    assert all(one["jsonrpc"] == "2.0" for one in said) and said[-1]["result"]["structuredContent"]["answer"]
    assert not rest and "opened" in errors and running.returncode == 0


INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip


def test_every_line_that_is_no_message_gets_an_error_and_the_next_is_answered(command):
    arguments = '{"name": "find_items", "arguments": {"search": "\\ud800"}}'
    call = '{"jsonrpc": "2.0", "id": %s, "method": "tools/call", "params": ' + arguments + "}"
    lines = [
        (call % 7, 7, -32700),
        (call % '"a"', "a", -32700),
        (call % '"\\ud800"', None, -32700),
        ("not json", None, -32700),
        ("[" * 100_000, None, -32700),
        ("\xff\xfe", None, -32700),
        ('{"jsonrpc": "2.0", "id": 8, "call": "tools/list"}', 8, -32600),
        ('{"jsonrpc": "2.0", "id": true, "method": 3}', None, -32600),
        ('{"jsonrpc": "2.0", "id": 9, "result": 3}', None, -32600),
        ("[]", None, -32600),
    ]
    last = {"jsonrpc": "2.0", "id": 99, "method": "tools/list"}
    begun = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    sent = [*(line for line, _, _ in lines), "", json.dumps(INITIALIZE), json.dumps(begun), json.dumps(last)]
    running = subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        running.stdin.write("".join(f"{line}\n" for line in sent).encode("latin-1"))
        running.stdin.flush()
        said = [json.loads(running.stdout.readline()) for _ in range(len(lines) + 2)]
        running.communicate(timeout=30)
    finally:
        running.kill()
    errors = [(one["id"], one["error"]["code"]) for one in said if "error" in one]
    assert errors == [(asked, code) for _, asked, code in lines]
    assert said[-1]["id"] == 99 and said[-1]["result"]["tools"] and running.returncode == 0


@contextlib.contextmanager
def serving(reader):
    """The address of the same server over HTTP, as long as a block lasts."""
    limits = Limits(most_bytes=10_000)
    server = make_server(make_agent_app(make_agent_server({"things": reader}, limits), limits), lifespan="on")
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        finally:
            server.should_exit = True
            thread.join(10)


PING = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
ACCEPT = {"accept": "application/json, text/event-stream"}


def test_the_same_is_called_over_http_on_this_computer(reader):
    async def talk(address):
        async with Client(address) as client:
            bad = await client.call_tool("ask_vector", {"point": '"Nothing"'})
            return bad, await client.call_tool("ask_vector", {"point": '"Thing 3"'})

    with serving(reader) as address:
        bad, good = asyncio.run(talk(address))
    assert bad.is_error and "nearest spellings" in bad.content[0].text
    assert good.structured_content["answer"] == reader.ask("Describe {x}.", x="Thing 3", effort="quick").text


def test_foreign_names_and_pages_and_large_bodies_are_refused(reader):
    with serving(reader) as address:
        for headers, status in (
            ({"host": "evil.example"}, 421),
            ({"origin": "http://evil.example"}, 403),
            ({"origin": "null"}, 403),
            ({}, 200),
        ):
            got = httpx.post(address, json=PING, headers=ACCEPT | headers)
            assert got.status_code == status and "access-control-allow-origin" not in got.headers
        large = PING | {"params": {"cursor": "x" * 20_000}}
        assert httpx.post(address, json=large, headers=ACCEPT).status_code == 413
        for body in (b"", b"{", b"[" * 5000, b"\xff\xfe", b'{"jsonrpc": "2.0", "id": NaN}'):
            headers = ACCEPT | {"content-type": "application/json"}
            assert 400 <= httpx.post(address, content=body, headers=headers).status_code < 500
        assert httpx.post(address, json=PING, headers=ACCEPT).status_code == 200


def test_what_is_missing_is_said_before_anything_is_served(reader, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["mcp", str(tmp_path / "none.bundle")])
    assert ended.value.code == 2 and "none.bundle" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["mcp", str(reader.folder), str(reader.folder)])
    assert "two bundles are called things" in capsys.readouterr().err
