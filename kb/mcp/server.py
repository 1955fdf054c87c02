"""The server: the tools and resources over the official SDK, on standard input and output or over HTTP.

One server object answers both eras of the protocol: with a handshake, and without (2026-07-28). Importing this module
imports the SDK.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
import mcp_types as types
import msgspec
from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError

from kb import __version__
from kb.api.cancellation import Cancellation
from kb.errors import KbError
from kb.mcp import resources
from kb.mcp.paths import TEMPLATE
from kb.mcp.schemas import UNTRUSTED, schema_of
from kb.mcp.sources import Call
from kb.mcp.tools import Outcome, answer, asked_again, explained, offered

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.context import ServerRequestContext

    from kb.mcp.sources import KnowledgeSource
    from kb.mcp.tools import Tool

T = TypeVar("T")

_LOG: Final = logging.getLogger("kb.mcp")
# Questions of one client that are answered side by side; others wait.
_SIDE_BY_SIDE: Final = 4
_HOUR_MS: Final = 3_600_000
_BODY: Final = 1_000_000
_SESSIONS: Final = 100
INSTRUCTIONS: Final = (
    "kb searches the user's own notes, documents and code by meaning. Search first, then read the lines you need; "
    "cite path and lines. Each answer says how up to date the index is, and when the files do not answer a question. "
    f"{UNTRUSTED}."
)


class FileServer:
    """Answers the requests of the protocol from a source."""

    def __init__(self, source: KnowledgeSource, *, write: bool = False) -> None:
        self._source = source
        self._tools = {tool.name: tool for tool in offered(write=write)}
        self._limiter: anyio.CapacityLimiter | None = None

    def server(self) -> Server[Any]:
        """The server of the SDK."""
        lasting = CacheHint(ttl_ms=_HOUR_MS, scope="public")
        server: Server[Any] = Server(
            "kb",
            version=__version__,
            title="kb: search your own files",
            instructions=INSTRUCTIONS,
            cache_hints={
                "tools/list": lasting,
                "resources/templates/list": lasting,
                "server/discover": lasting,
            },
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
        )
        # Its traces have nowhere to go: kb sends nothing.
        server.middleware.clear()
        return server

    async def list_tools(
        self, _ctx: ServerRequestContext[Any], _params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """The tools, always in the same order."""
        return types.ListToolsResult(tools=[described(tool) for tool in self._tools.values()])

    async def call_tool(
        self, ctx: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """The result of a tool; what goes wrong is a result that says what to do next.

        Raises:
            MCPError: There is no such tool.
        """
        tool = self._tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"no tool {params.name!r}; there are {', '.join(self._tools)}")
        values = params.arguments or {}
        try:
            outcome = await self._run(ctx, lambda call: answer(tool, self._source, call, values))
        except Exception as error:  # noqa: BLE001 - a fault of kb must not end the session
            _LOG.exception("the tool %s failed", tool.name)
            outcome = Outcome(f"kb failed: {type(error).__name__}: {error}. Tell the user; its log has the details")
        return result_of(outcome)

    async def list_resources(
        self, ctx: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """A page of the files."""
        cursor = params.cursor if params else None
        return await self._asked(ctx, lambda call: resources.listed(self._source, call, cursor))

    async def list_templates(
        self, _ctx: ServerRequestContext[Any], _params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        """The one form of all URIs."""
        template = types.ResourceTemplate(
            uri_template=TEMPLATE,
            name="file",
            description="The text of a file, by its percent-encoded path; #L3-L9 for lines",
            mime_type=resources.TEXT,
        )
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def read_resource(
        self, ctx: ServerRequestContext[Any], params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        """The text of a file."""
        return await self._asked(ctx, lambda call: resources.part(self._source, call, params.uri))

    async def _asked(self, ctx: ServerRequestContext[Any], ask: Callable[[Call], T]) -> T:
        """Answer a request for resources, whose errors the protocol has no results for.

        Raises:
            MCPError: It cannot be answered.
        """
        try:
            return await self._run(ctx, lambda call: asked_again(lambda: ask(call)))
        except KbError as error:
            raise MCPError(types.INVALID_PARAMS, explained(error)) from error

    async def _run(self, ctx: ServerRequestContext[Any], ask: Callable[[Call], T]) -> T:
        """Answer in a thread; where the client cancels, that is left alone, and it and the daemon are told to stop."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_SIDE_BY_SIDE)
        cancellation = Cancellation()
        call = Call(Progress(ctx).report, cancellation.requested)

        def run() -> T:
            return cancellation.run(lambda: ask(call))

        try:
            return await anyio.to_thread.run_sync(run, abandon_on_cancel=True, limiter=self._limiter)
        except anyio.get_cancelled_exc_class():
            cancellation.cancel()
            raise


class Progress:
    """Sends progress from the thread of a call; its numbers rise from one kind of wait to the next, as they must."""

    def __init__(self, ctx: ServerRequestContext[Any]) -> None:
        self._ctx = ctx
        self._base = self._last = 0.0
        self._said = ""

    def report(self, done: float, total: float | None, what: str) -> None:
        """Tell the client how far the call is, unless nothing has changed."""
        if what == self._said:
            return
        if self._base + done <= self._last:
            self._base = self._last
        now = max(self._base + done, self._last + 0.001)
        whole = None if total is None else max(self._base + total, now)
        self._last, self._said = now, what
        anyio.from_thread.run(self._ctx.session.report_progress, now, whole, what)


def described(tool: Tool) -> types.Tool:
    """Return a tool as the protocol describes it."""
    hints = types.ToolAnnotations(
        read_only_hint=not tool.writes,
        destructive_hint=False,
        idempotent_hint=not tool.writes,
        open_world_hint=False,
    )
    return types.Tool(
        name=tool.name,
        description=tool.about,
        input_schema=schema_of(tool.takes),
        output_schema=schema_of(tool.gives),
        annotations=hints,
    )


def result_of(outcome: Outcome) -> types.CallToolResult:
    """Return what a call came to as a result of the protocol."""
    content: list[types.ContentBlock] = [types.TextContent(text=outcome.words)]
    if outcome.result is None:
        return types.CallToolResult(content=content, is_error=True)
    return types.CallToolResult(content=content, structured_content=msgspec.to_builtins(outcome.result))


def serve_stdio(source: KnowledgeSource, *, write: bool = False) -> None:
    """Serve one client on standard input and output, until it closes them."""
    server = FileServer(source, write=write).server()

    async def run() -> None:
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    anyio.run(run)


def http_sessions(source: KnowledgeSource) -> StreamableHTTPSessionManager:
    """Return what answers over Streamable HTTP, with and without sessions; read-only.

    It checks no token, Host or Origin: whoever mounts it does.
    """
    server = FileServer(source).server()
    return StreamableHTTPSessionManager(app=server, max_request_body_size=_BODY, max_sessions=_SESSIONS)
