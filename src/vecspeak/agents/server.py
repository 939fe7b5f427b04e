"""The server of agents: tools over stdio or HTTP on this computer; a mistake is one sentence, never a traceback."""

import contextlib
import json
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from inspect import cleandoc
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    CallToolResult,
    ErrorData,
    InputRequiredResult,
    JSONRPCError,
    ToolAnnotations,
)
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.responses import JSONResponse

from vecspeak import __version__
from vecspeak.agents.desk import Limits
from vecspeak.agents.tools import INSTRUCTIONS, Tools
from vecspeak.api import VecSpeak
from vecspeak.errors import UserError, did_you_mean, listed, one_line
from vecspeak.http_guard import NO_PAGE, Guard

_log = logging.getLogger("vecspeak.agents")


class AgentServer(MCPServer[Any]):
    """A server whose errors say what was given, what is allowed and what to type next."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool. Raises ToolError with a sentence for whatever cannot be done."""
        try:
            await self._check_arguments(name, arguments)
            return await super().call_tool(name, arguments, context)
        except UserError as error:
            raise ToolError(str(error)) from error
        except ToolError as error:
            raise _in_words(error) from error.__cause__

    async def run_stdio_async(self) -> None:
        """Serve on standard input and output; a line that is no message gets an error, which mcp itself leaves out."""
        async with stdio_server() as (read, write), anyio.create_task_group() as tasks:
            forward, messages = anyio.create_memory_object_stream[SessionMessage](0)

            async def each_line() -> None:
                async with forward:
                    async for one in read:
                        if isinstance(one, SessionMessage):
                            await forward.send(one)
                        elif (refused := refusal_of_line(one)) is not None:
                            await write.send(SessionMessage(refused))

            tasks.start_soon(each_line)
            inner = self._lowlevel_server
            await inner.run(messages, write, inner.create_initialization_options())
            tasks.cancel_scope.cancel()

    async def _check_arguments(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Raise UserError for a tool that is none, and for an argument that the tool does not take."""
        tools = {one.name: one.input_schema.get("properties", {}) for one in await self.list_tools()}
        if name not in tools:
            raise UserError(
                f"there is no tool {name!r}; there are {', '.join(tools)}",
                did_you_mean(name, tools, "call one of them"),
            )
        for one in arguments:
            if one not in tools[name]:
                raise UserError(
                    f"{name} takes no argument {one!r}; it takes {', '.join(tools[name]) or 'none'}",
                    did_you_mean(one, tools[name], "leave it out"),
                )


def refusal_of_line(error: Exception) -> JSONRPCError | None:
    """The answer to a line that could not be read as a message, with its id where that can be; None to an empty line.

    A response that could not be read has the id of a question of ours, which no answer may have.
    """
    details = (
        error.errors(include_url=False, include_context=False) if isinstance(error, ValidationError) else []
    )
    given = next((one["input"] for one in details if isinstance(one["input"], dict)), None)
    line = next((one["input"] for one in details if one["type"] == "json_invalid"), None)
    if isinstance(line, str):
        if not line.strip():
            return None
        with contextlib.suppress(
            ValueError, RecursionError
        ):  # json reads a lone surrogate, which pydantic does not
            given = json.loads(line)
    code, said = (
        (INVALID_REQUEST, "this is no message of JSON-RPC 2.0")
        if line is None
        else (PARSE_ERROR, "this line cannot be read as JSON in UTF-8")
    )
    is_request = isinstance(given, dict) and not {"result", "error"} & given.keys()
    asked = given.get("id") if is_request and given is not None else None
    if isinstance(asked, bool) or not isinstance(asked, int | str) or not str(asked).isascii():
        asked = None
    return JSONRPCError(jsonrpc="2.0", id=asked, error=ErrorData(code=code, message=said))


def _in_words(error: ToolError) -> ToolError:
    """The same error in words that help whoever called."""
    cause = error.__cause__
    if isinstance(cause, UserError):
        return ToolError(str(cause))
    if isinstance(cause, ValidationError):
        errors = cause.errors(include_url=False, include_input=False, include_context=False)
        found = dict.fromkeys(f"{one['loc'][0]}: {one['msg']}" for one in errors if one["loc"])
        return ToolError(one_line(f"{listed(found, 4)}; the tool's schema says what each argument takes"))
    if isinstance(error, UnexpectedToolError):  # a mistake of ours, of which the caller learns the kind alone
        kind = type(cause).__name__ if cause else "an error"
        return UnexpectedToolError(f"the server failed with {kind}; its log says where")
    return error


@contextlib.asynccontextmanager
async def _flushing(_: MCPServer[Any]) -> AsyncIterator[None]:
    """What anything printed meanwhile leaves before standard output is the protocol's no longer: it goes to stderr."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()


def make_agent_server(readers: Mapping[str, VecSpeak], limits: Limits | None = None) -> AgentServer:
    """Make the server of tools about the spaces of readers, which are named after their bundles.

    `.run("stdio")` serves on standard input and output until that ends; `mcp.Client(server)` calls it in process.
    Raises UserError where there is no space.
    """
    tools = Tools(readers, limits or Limits())
    server = AgentServer(
        "vecspeak", instructions=INSTRUCTIONS, version=__version__, log_level="ERROR", lifespan=_flushing
    )
    for call in tools.all:
        server.add_tool(
            call,
            description=cleandoc(call.__doc__ or ""),
            annotations=ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False),
        )
    return server


def make_agent_app(
    server: AgentServer, limits: Limits | None = None, *, host: str = "127.0.0.1"
) -> Starlette:
    """Make the application that serves the same over streamable HTTP at /mcp; it needs a lifespan.

    It answers under a name of this computer alone, and no page of another site.
    """
    app = server.streamable_http_app(
        stateless_http=True,
        json_response=True,
        max_request_body_size=(limits or Limits()).most_bytes,
        host=host,
    )
    app.add_middleware(Guard, host=host, policy=NO_PAGE, refusal=_refusal)
    return app


def _refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)
