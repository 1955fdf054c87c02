"""The HTTP server of the daemon: runs command lines for clients and streams their output back."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from kb.service import arguments
from kb.service.address import PROTOCOL, Undetermined, split
from kb.service.connections import ConnectionLimits
from kb.service.http_server import HttpServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from kb.service.listen import Listening

_BODY: Final = 32_000_000
_API: Final = ("/v1/", "/local/")
_COMMANDS: Final = 8
_FAILED: Final = 2


class _TooMuchError(Exception):
    """A request is larger than any that kb sends."""


def answering(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler so that errors in a request become answers."""

    async def answer(http: Request) -> Response:
        try:
            return await handler(http)
        except (_TooMuchError, ClientDisconnect, MemoryError, RecursionError, ValueError) as error:
            return text_answer(*_complaint(error))

    return answer


def _complaint(error: Exception) -> tuple[str, int]:
    """Return the message and the HTTP status for an error."""
    match error:
        case _TooMuchError():
            return "the request is too large", 413
        case ClientDisconnect():
            return "the request ended before it was complete", 400
        case RecursionError():
            return "this is no request: it is nested too deeply", 400
        case MemoryError():
            return "the daemon is short of memory; try again in a moment", 503
        case _:
            return f"this is no request: {error}", 400


def text_answer(content: str, status: int) -> Response:
    """Return a text answer; it may contain lone surrogates from undecodable names."""
    return Response(content.encode("utf-8", "backslashreplace"), status, media_type="text/plain")


def json_answer(value: Mapping[str, Any]) -> Response:
    """Return a JSON answer in ASCII, since names of folders may contain lone surrogates."""
    return Response(json.dumps(value).encode(), media_type="application/json")


async def object_of(http: Request) -> dict[str, Any]:
    """Read the JSON object of a request; empty where it has no body.

    Raises:
        ValueError: It is not a JSON object.
        _TooMuchError: It is too large.
    """
    body = await _read(http)
    # Not by msgspec, which rejects lone surrogates; they stand for undecodable bytes of names.
    asked = json.loads(body.decode()) if body else {}
    if not isinstance(asked, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - what is wrong is the text of the request
    return asked


async def _read(http: Request) -> bytes:
    """Read the body of a request.

    Raises:
        _TooMuchError: It is too large.
    """
    body = bytearray()
    if int(http.headers.get("content-length", "0")) > _BODY:
        raise _TooMuchError
    async for part in http.stream():
        body += part
        if len(body) > _BODY:
            raise _TooMuchError
    return bytes(body)


class CommandRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A command line, with all that affects its result and output.

    ``lines`` is the height of the terminal, and ``error_columns`` the width of standard error if that is a terminal;
    either is 0 where there is none or the client does not send it.
    """

    args: list[str]
    cwd: str
    env: dict[str, str]
    stdin_tty: bool
    stdout_tty: bool
    stderr_tty: bool
    encoding: list[str]
    columns: int
    lines: int = 0
    error_columns: int = 0
    stdin: str | None = None
    terminal: str = ""
    umask: int = 0

    def __post_init__(self) -> None:
        """Refuse values that no client of kb sends.

        Raises:
            ValueError: A value has a NUL, or the terminal has no width.
        """
        if any("\0" in text for text in (*self.args, self.cwd, *self.env, *self.env.values(), *self.encoding)):
            raise ValueError("it has a NUL in it")
        if self.columns < 1:
            raise ValueError("columns must be at least 1")


class CommandOutput:
    """Sends the output of a command to its client as it is written.

    Args:
        send: Sends one line, from any thread.
    """

    def __init__(self, send: Callable[[bytes | None], None]) -> None:
        self._send = send
        self._gone = threading.Event()
        self._told_to_stop = threading.Event()

    def out(self, text: str) -> None:
        """Write to the client's standard output."""
        self._frame("out", text)

    def err(self, text: str) -> None:
        """Write to the client's standard error."""
        self._frame("err", text)

    def need(self, what: str) -> None:
        """Ask the client to send the command again with its ``stdin`` or a text from its ``editor``."""
        self._frame("need", what)

    def end(self, code: int | None) -> None:
        """Send the exit code, if there is one, and close."""
        if code is not None:
            self._frame("exit", code)
        self._put(None)

    def hang_up(self) -> None:
        """Note that the client is gone, so that the command may stop."""
        self._gone.set()

    def stop(self) -> None:
        """Ask the command to stop because the daemon stops; it may still report what it did."""
        self._told_to_stop.set()

    def stopping(self) -> bool:
        """Whether the command should stop, because the client is gone or the daemon stops."""
        return self._gone.is_set() or self._told_to_stop.is_set()

    def _frame(self, kind: str, value: str | int) -> None:
        self._put(json.dumps({kind: value}).encode() + b"\n")

    def _put(self, data: bytes | None) -> None:
        if self._gone.is_set():
            return
        try:
            self._send(data)
        except RuntimeError:
            # The event loop is closed: the daemon stops.
            self.hang_up()


@dataclass(frozen=True, slots=True)
class Handlers:
    """What the daemon does on request.

    Args:
        run: Runs a command and returns its exit code; None if the command needs input first.
        status: Returns the state of the daemon.
        stop: Requests that the daemon stop, and returns at once.
    """

    run: Callable[[CommandRequest, CommandOutput], int | None]
    status: Callable[[], Mapping[str, Any]]
    stop: Callable[[], None]


class DaemonServer:
    """The HTTP server of the daemon, in a thread of its own.

    Args:
        listening: The listening socket.
        store: The real path of the store; requests for another one are refused.
        version: The version of kb; clients of other versions are refused.
        handlers: What it does on request.
        say: Receives a message about each error that no client waits for.
        api: Answers requests for ``/v1/`` and ``/local/``, whom it admits itself; None for none.
    """

    def __init__(
        self,
        listening: Listening,
        store: str,
        version: str,
        handlers: Handlers,
        say: Callable[[str], None] = lambda _: None,
        *,
        api: ASGIApp | None = None,
    ) -> None:
        self._listening = listening
        self._store = store
        self._version = version
        self._handlers = handlers
        self._outputs: set[CommandOutput] = set()
        self._say = say
        self._pool = ThreadPoolExecutor(_COMMANDS, thread_name_prefix="kb-command")
        self._server = HttpServer(
            _by_path(_Guard(self._routes(), listening), api),
            listening.socket,
            ConnectionLimits(patient=frozenset({"/run"})),
            say,
            name="kb-daemon",
        )

    def start(self) -> None:
        """Start answering, including connections made before."""
        self._server.start()

    def reachable(self) -> bool:
        """Whether the socket is still there; systems clear runtime folders."""
        return self._listening.intact()

    def close(self) -> None:
        """Stop answering; running commands are asked to stop and given a few seconds."""
        self._listening.remove()
        self.stop_commands()
        self._server.close()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def stop_commands(self) -> None:
        """Ask running commands to stop; they may still report what they did."""
        for output in tuple(self._outputs):
            output.stop()

    def _routes(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/run", answering(self._run), methods=["POST"]),
                Route("/status", answering(self._status), methods=["GET"]),
                Route("/stop", answering(self._stop), methods=["POST"]),
            ]
        )

    async def _status(self, _: Request) -> Response:
        return json_answer(dict(self._handlers.status()))

    async def _stop(self, http: Request) -> Response:
        await object_of(http)
        self._handlers.stop()
        return json_answer({"stopping": True})

    async def _run(self, http: Request) -> Response:
        asked = await object_of(http)
        if refused := self._mismatch(asked):
            return text_answer(refused, 409)
        request = msgspec.convert(asked, CommandRequest)
        if _command(request) in arguments.GENERATED.local:
            return text_answer("this command is not run by the daemon", 400)
        return StreamingResponse(self._frames(request), media_type="application/x-ndjson")

    def _mismatch(self, asked: Mapping[str, Any]) -> str:
        """Return why a request is not for this daemon; empty if it is."""
        if (asked.get("protocol"), asked.get("version")) != (PROTOCOL, self._version):
            other = f"kb {self._version}" if asked.get("version") != self._version else "a kb with other commands"
            return f"the daemon runs {other}; restart it: kb watch --stop, then kb watch"
        if asked.get("store") != self._store:
            return f"this daemon serves the store {self._store}"
        return ""

    async def _frames(self, request: CommandRequest) -> AsyncIterator[bytes]:
        """Run a command in a thread and yield its output, until it ends or the client is gone."""
        loop = asyncio.get_running_loop()
        frames: asyncio.Queue[bytes | None] = asyncio.Queue()

        def send(data: bytes | None) -> None:
            loop.call_soon_threadsafe(frames.put_nowait, data)

        output = CommandOutput(send)
        self._outputs.add(output)
        try:
            try:
                self._pool.submit(self._command, request, output)
            except RuntimeError as error:
                output.err(f"kb: the daemon is out of threads ({error}); try again in a moment\n")
                output.end(_FAILED)
            while (data := await frames.get()) is not None:
                yield data
        finally:
            output.hang_up()
            self._outputs.discard(output)

    def _command(self, request: CommandRequest, output: CommandOutput) -> None:
        """Run one command and always report its end to the client."""
        code: int | None = None
        try:
            if not output.stopping():
                code = self._handlers.run(request, output)
        except Exception as error:  # noqa: BLE001 - the command line reports its own errors; this one prevented that
            self._say(f"a command failed ({type(error).__name__}: {error})")
        finally:
            output.end(code)


def _by_path(commands: ASGIApp, api: ASGIApp | None) -> ASGIApp:
    """Return an application that has the API answer for its paths, and the other one for all else."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        chosen = api if api is not None and scope.get("path", "").startswith(_API) else commands
        await chosen(scope, receive, send)

    return application


class _Guard:
    """Admits only kb's own clients: a request from a web page has another host, an origin, or no secret."""

    def __init__(self, app: ASGIApp, listening: Listening) -> None:
        self._app = app
        self._hosts = listening.hosts
        self._secret = listening.secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refused = refusal(scope["method"], headers, self._hosts, self._secret)
        answer = self._app if refused is None else text_answer(refused[1], refused[0])
        await answer(scope, receive, send)


def refusal(method: str, headers: Mapping[str, str], hosts: frozenset[str], secret: str = "") -> tuple[int, str] | None:
    """Return why a request is refused, as HTTP status and message; None if it is not. Header names are lower case."""
    if "origin" in headers:
        return 403, "requests from web pages are refused"
    if headers.get("host") not in hosts:
        return 403, "this host is not served here"
    if secret and not secrets.compare_digest(
        headers.get("authorization", "").encode("latin-1"), f"Bearer {secret}".encode()
    ):
        return 401, "the secret is missing or wrong"
    if method == "POST" and headers.get("content-type") != "application/json":
        return 415, "only application/json is taken"
    return None


def _command(request: CommandRequest) -> str:
    """Return the command of a command line; empty where it has none or cannot be determined here."""
    try:
        return split(request.args).command
    except Undetermined:
        return ""
