"""The operations over HTTP: an ASGI application made from the table of operations."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from kb.api.access import require_json
from kb.api.codec import encode, request_of
from kb.api.events import EVENTS, HEARTBEAT, HEARTBEAT_SECONDS, EventResponse, Listener
from kb.api.events import MEDIA_TYPE as EVENT_STREAM
from kb.api.limits import body_of, fields_of_json, fields_of_query, require_within
from kb.api.operations import OPERATIONS, Call
from kb.api.problems import MEDIA_TYPE, NOT_BEGUN, Refusal, problem_of
from kb.api.waiting import TooSlow, result_of
from kb.errors import KbError, RequestError
from kb.records import Claim, FileEvent, IndexProgress, Step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Send
    from starlette.types import Scope as AsgiScope

    from kb.api.access import Access
    from kb.api.events import EventBus
    from kb.api.limits import RequestLimits
    from kb.api.operations import Kind, Operation, Reported, Scope
    from kb.ports import Knowledge, RunningDaemon

    Endpoint = Callable[[Request], Awaitable[Response]]

OPENAPI: Final = "/v1/openapi.json"
CONFIGURATION: Final = "kb-configuration"
_JSON: Final = "application/json"
_LINES: Final = "application/x-ndjson"
_RUNS: Final = 4
_WAITS: Final = 32
# Lines of a stream that wait for a slow client; then the run waits for it too, and then ends.
_LINES_AHEAD: Final = 1_000
_SLOW_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration that answers come from, as the local clients compare it with their own.

    Attributes:
        document: The JSON of ``/local/settings``.
        digest: Identifies it; the header ``kb-configuration`` of every response on the socket.
    """

    document: bytes
    digest: str

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Configuration:
        """The configuration with these values."""
        document = encode(values)
        return cls(document, hashlib.sha256(document).hexdigest()[:16])


@dataclass(frozen=True, slots=True)
class Backend:
    """What answers the requests.

    Attributes:
        using: A context that holds the knowledge base while a request uses it.
        daemon: The daemon.
        configuration: Returns the configuration in effect.
        events: What happens in the daemon.
        follower: Returns a function that receives, beside the client, what happens in one index run.
        wait_for_reload: Waits until an edited configuration is in effect, or what it is given returns true.
        known: Returns the error with a remedy that an exception of the system stands for, else None.
        say: Receives a sentence about each unexpected error.
    """

    using: Callable[[], AbstractContextManager[Knowledge]]
    daemon: RunningDaemon
    configuration: Callable[[], Configuration]
    events: EventBus
    follower: Callable[[], Callable[[IndexProgress | FileEvent], None]]
    wait_for_reload: Callable[[Callable[[], bool]], None] = lambda _: None
    known: Callable[[BaseException], KbError | None] = lambda _: None
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Mounted:
    """Another application at a path of the server.

    Attributes:
        path: The path.
        app: The ASGI application.
        lifespan: Returns the context in which the server runs it.
    """

    path: str
    app: ASGIApp
    lifespan: Callable[[], AbstractAsyncContextManager[None]]


class Api:
    """The operations of some scopes, as an ASGI application.

    Args:
        backend: What answers.
        access: Whom to admit.
        limits: What a request may ask for.
        scopes: The scopes of the operations.
        mounts: More applications, whose requests are admitted by the same rules.
    """

    def __init__(
        self,
        backend: Backend,
        access: Access,
        limits: RequestLimits,
        scopes: Collection[Scope],
        mounts: Sequence[Mounted] = (),
    ) -> None:
        self._backend = backend
        self._access = access
        self._limits = limits
        self._local = "local" in scopes
        self._stopping = threading.Event()
        self._pools: dict[Kind, ThreadPoolExecutor] = {
            "question": ThreadPoolExecutor(limits.running, thread_name_prefix="kb-question"),
            "run": ThreadPoolExecutor(_RUNS, thread_name_prefix="kb-run"),
            "wait": ThreadPoolExecutor(_WAITS, thread_name_prefix="kb-wait"),
        }
        self._room: dict[Kind, int] = {
            "question": limits.running + limits.waiting,
            "run": _RUNS + limits.waiting,
            "wait": _WAITS,
        }
        self._runs: set[threading.Event] = set()
        self._listeners: set[Listener] = set()
        self._operations = tuple(one for one in OPERATIONS if one.scope in scopes)
        self._document = b""
        endpoints = [(one, self._endpoint(one)) for one in self._operations]
        self._direct: dict[tuple[str, str], ASGIApp] = {
            (one.method, one.path): _directly(endpoint) for one, endpoint in endpoints
        }
        self._app = self._application(endpoints, mounts)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        if scope["type"] != "http":
            return
        # Exactly an operation, as nearly always: routing costs more than what it would find out.
        app: ASGIApp = self._direct.get((scope["method"], scope["path"]), self._app)
        try:
            headers = Headers(scope=scope)
            self._access.require(headers)
            if scope["method"] == "POST":
                require_json(headers)
        except Refusal as error:
            app = _failed(error)
        await app(scope, receive, self._marked(send))

    def stop_runs(self) -> None:
        """Ask the operations at work to stop; they may still report what they did."""
        for gone in tuple(self._runs):
            gone.set()

    def stop(self) -> None:
        """Take no more requests, and have those at work end; before the server is closed."""
        self._stopping.set()
        self.stop_runs()
        for listener in tuple(self._listeners):
            listener.close()

    def close(self) -> None:
        """Wait for the operations at work; after the server is closed."""
        self.stop()
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)

    def _application(self, endpoints: Sequence[tuple[Operation, Endpoint]], mounts: Sequence[Mounted]) -> Starlette:
        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with AsyncExitStack() as stack:
                for one in mounts:
                    await stack.enter_async_context(one.lifespan())
                yield

        routes: list[BaseRoute] = [Route(one.path, endpoint, methods=[one.method]) for one, endpoint in endpoints]
        routes.append(Route(EVENTS, self._events, methods=["GET"]))
        routes.append(Route(OPENAPI, self._openapi, methods=["GET"]))
        if self._local:
            routes.append(Route("/local/settings", self._settings, methods=["GET"]))
        routes += [Route(one.path, one.app) for one in mounts]
        app = Starlette(routes=routes, exception_handlers={HTTPException: _http_failed}, lifespan=lifespan)
        app.router.redirect_slashes = False
        return app

    def _marked(self, send: Send) -> Send:
        """Return ``send`` with the headers that all responses have."""

        async def marked(message: Any) -> None:  # noqa: ANN401 - a message of ASGI
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers()]
            await send(message)

        return marked

    def _headers(self) -> list[tuple[bytes, bytes]]:
        # What is answered is the user's own text: no cache keeps it, and no browser takes it for a page.
        headers = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
        if self._local:
            headers.append((CONFIGURATION.encode(), self._backend.configuration().digest.encode()))
        return headers

    async def _settings(self, _: Request) -> Response:
        # Programs compare theirs, as it is on disk, with these.
        await asyncio.to_thread(self._backend.wait_for_reload, self._stopping.is_set)
        return Response(self._backend.configuration().document, media_type=_JSON)

    async def _openapi(self, _: Request) -> Response:
        if not self._document:
            from kb.api.openapi import document

            self._document = encode(document(self._operations, self._limits, token=self._access.token is not None))
        return Response(self._document, media_type=_JSON)

    async def _events(self, http: Request) -> Response:
        if http.method == "HEAD":
            return Response(media_type=EVENT_STREAM)
        if self._stopping.is_set():
            return self._problem(_not_begun())
        if len(self._listeners) >= self._limits.listeners:
            refusal = Refusal(503, "too many clients follow the events", "End one of them, and try again", _RETRY)
            return self._problem(refusal)
        return EventResponse(Listener(self._backend.events, http.headers.get("last-event-id", "")), self._listeners)

    def _endpoint(self, operation: Operation) -> Endpoint:
        async def endpoint(http: Request) -> Response:
            try:
                request = await self._request(operation, http)
                if operation.streams:
                    return StreamingResponse(self._stream(operation, request, _AS_LINES), media_type=_LINES)
                if operation.events and _accepts_events(http):
                    return StreamingResponse(self._stream(operation, request, _AS_EVENTS), media_type=EVENT_STREAM)
                return Response(await self._result(operation, request, http), media_type=_JSON)
            except Exception as error:  # noqa: BLE001 - every error becomes a response
                return self._problem(error)

        return endpoint

    async def _request(self, operation: Operation, http: Request) -> Any:  # noqa: ANN401 - its own type
        """Read the request of an operation."""
        if operation.method == "GET":
            fields = fields_of_query(http.scope["query_string"], operation.takes, self._limits)
        else:
            fields = fields_of_json(await body_of(http, self._limits), self._limits)
        require_within(fields, self._limits, long_texts=operation.scope == "write")
        if missing := [name for name in operation.requires if name not in fields]:
            raise RequestError(f"the request has no field {missing[0]!r}", "See /v1/openapi.json")
        return request_of(fields, operation.takes, strict=operation.method != "GET")

    async def _result(self, operation: Operation, request: Any, http: Request) -> bytes:  # noqa: ANN401 - its own type
        """Run an operation, and return its result as JSON; it is told when the client hangs up."""
        gone = threading.Event()
        work = self._submit(operation, gone, lambda: self._run(operation, request, gone, _nowhere))
        seconds = self._limits.seconds if operation.kind == "question" else None
        try:
            result: bytes = await result_of(work, http, seconds)
        except TooSlow as error:
            what = f"the answer takes longer than {seconds:g} seconds"
            raise Refusal(503, what, "Ask for less, or later", _RETRY) from error
        else:
            if operation.kind == "wait" and gone.is_set():
                # It did not wait to the end, and the client is still there.
                raise _not_begun()
            return result
        finally:
            gone.set()

    def _submit(self, operation: Operation, gone: threading.Event, run: Callable[[], bytes]) -> asyncio.Future[bytes]:
        """Have an operation run by a thread; ``gone`` stays registered until it ends.

        Raises:
            Refusal: Too many wait already.
        """
        kind = operation.kind
        if self._stopping.is_set():
            raise _not_begun()
        if not self._room[kind]:
            raise Refusal(503, "too many requests at once", "Try again in a moment", _RETRY)
        self._room[kind] -= 1
        self._runs.add(gone)

        def ended(_: object) -> None:
            self._room[kind] += 1
            self._runs.discard(gone)

        loop = asyncio.get_running_loop()
        try:
            work = loop.run_in_executor(self._pools[kind], run)
        except BaseException:
            ended(None)
            raise
        work.add_done_callback(ended)
        return work

    def _run(
        self,
        operation: Operation,
        request: Any,  # noqa: ANN401 - its own type
        gone: threading.Event,
        report: Callable[[Reported], None],
    ) -> bytes:
        """Run an operation in this thread."""
        if gone.is_set():
            # Where it is the client that is gone, nobody reads this.
            raise _not_begun()
        backend = self._backend
        # What waits for the index uses no knowledge base, and must not keep the daemon from replacing it.
        held = nullcontext() if operation.kind == "wait" else backend.using()
        with held as kb:
            call = Call(kb, backend.daemon, gone.is_set, report)  # type: ignore[arg-type]  # see above
            return encode(operation.run(call, request))

    async def _stream(self, operation: Operation, request: Any, form: _Form) -> AsyncIterator[bytes]:  # noqa: ANN401 - its own type
        """Run an operation, and yield what happens and its result."""
        gone = threading.Event()
        lines = _Lines(gone, form.heartbeat)
        follow: Callable[[Any], None] = self._backend.follower() if operation.kind == "run" else _nowhere

        def report(one: Reported) -> None:
            follow(one)
            lines.put(form.written(_NAMES[type(one)], encode(one)))

        def run() -> bytes:
            try:
                return form.written("result", self._run(operation, request, gone, report))
            except Exception as error:  # noqa: BLE001 - every error becomes a line
                return form.written("problem", self._body(error))

        try:
            work = self._submit(operation, gone, run)
        except Exception as error:  # noqa: BLE001 - the response has begun
            yield form.written("problem", self._body(error))
            return
        work.add_done_callback(lambda done: lines.end(b"" if done.cancelled() else done.result()))
        try:
            async for line in lines:
                yield line
        finally:
            gone.set()

    def _problem(self, error: Exception) -> Response:
        headers = error.headers if isinstance(error, Refusal) else {}
        return Response(self._body(error), problem_of(self._named(error)).status, headers, MEDIA_TYPE)

    def _body(self, error: Exception) -> bytes:
        """Return the problem details of an error, and log one that is kb's own fault."""
        named = self._named(error)
        if not isinstance(named, (KbError, Refusal)):
            self._backend.say(f"a request failed ({type(error).__name__}: {error})")
        return encode(problem_of(named))

    def _named(self, error: Exception) -> Exception:
        if isinstance(error, ClientDisconnect):
            return Refusal(400, "the request ended before it was complete")
        return error if isinstance(error, (KbError, Refusal)) else self._backend.known(error) or error


def _directly(endpoint: Endpoint) -> ASGIApp:
    """Return an application that is one endpoint, which turns its errors into responses itself."""

    async def application(scope: AsgiScope, receive: Receive, send: Send) -> None:
        http = Request(scope, receive, send)
        response = await endpoint(http)
        await response(scope, receive, send)

    return application


# The names by which a stream tells what happens.
_NAMES: Final[Mapping[type, str]] = {
    IndexProgress: "progress",
    FileEvent: "event",
    Step: "step",
    Claim: "sentence",
}


@dataclass(frozen=True, slots=True)
class _Form:
    """How a stream is written.

    Attributes:
        pattern: What is written of a name and a line of JSON.
        heartbeat: What is written where nothing happens for a while; empty for nothing.
    """

    pattern: bytes
    heartbeat: bytes = b""

    def written(self, name: str, data: bytes) -> bytes:
        """Write one thing that happened."""
        return self.pattern % (name.encode(), data)


_AS_LINES: Final = _Form(b'{"%s":%s}\n')
_AS_EVENTS: Final = _Form(b"event: %s\ndata: %s\n\n", HEARTBEAT)


class _Lines:
    """Lines that a thread writes and one client reads, a bounded number ahead.

    Args:
        gone: Set where the client hangs up; here it is set where the client reads nothing for long.
        heartbeat: What the client gets where there is no line for a while; empty for nothing.
    """

    def __init__(self, gone: threading.Event, heartbeat: bytes) -> None:
        self._gone = gone
        self._heartbeat = heartbeat
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = threading.Semaphore(_LINES_AHEAD)

    def put(self, line: bytes) -> None:
        """Add a line from another thread, and wait while too many are unread."""
        if self._gone.is_set():
            return
        if not self._room.acquire(timeout=_SLOW_SECONDS):
            self._gone.set()
            return
        # The loop is closed where the daemon stops.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._lines.put_nowait, line)

    def end(self, line: bytes) -> None:
        """Add the last line, in the loop."""
        self._lines.put_nowait(line)
        self._lines.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the lines until the last one."""
        while (line := await self._next()) is not None:
            yield line

    async def _next(self) -> bytes | None:
        """Return the next line, or a heartbeat; None after the last one."""
        try:
            line = await asyncio.wait_for(self._lines.get(), HEARTBEAT_SECONDS if self._heartbeat else None)
        except TimeoutError:
            return self._heartbeat
        self._room.release()
        return line


_RETRY: Final = {"Retry-After": str(_RETRY_SECONDS)}


def _not_begun() -> Refusal:
    """The refusal of a request by a daemon that stops, or opens its store anew: nothing was done."""
    return Refusal(503, "the daemon stops or opens its store anew", "Try again in a moment", _RETRY, kind=NOT_BEGUN)


def _nowhere(_: object) -> None:
    """Progress that nobody follows."""


def _accepts_events(http: Request) -> bool:
    """Whether a client asks for server-sent events: they are what it names first, or alone."""
    first = http.headers.get("accept", "").partition(",")[0].partition(";")[0]
    return first.strip().lower() == EVENT_STREAM


def _failed(error: Refusal) -> Response:
    return Response(encode(error.problem), error.status, error.headers, MEDIA_TYPE)


async def _http_failed(_: Request, error: Exception) -> Response:
    """Answer for a path or a method that there is not."""
    if not isinstance(error, HTTPException):
        raise error
    detail = {404: "there is no such address", 405: "this address does not take this method"}.get(error.status_code)
    return _failed(Refusal(error.status_code, detail or error.detail, "See /v1/openapi.json", error.headers))
