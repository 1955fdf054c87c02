"""What all views share: the knowledge base behind a pool of threads, templates, and errors as pages."""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, Response

from kb.api.problems import problem_of
from kb.api.waiting import result_of
from kb.errors import KbError, RequestError
from kb.records import MODE_NAMES
from kb.records.wording import count
from kb.search.filters import selected
from kb.web.facets import filter_labels
from kb.web.map.maker import MapMaker
from kb.web.pictures import Pages
from kb.web.query import Fields, Query
from kb.web.selection import Selections
from kb.web.session import Sessions
from kb.web.text import MODE_LABELS, TEXT, within_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from starlette.requests import Request

    from kb.api.events import EventBus
    from kb.api.problems import Problem
    from kb.ports import Knowledge, RunningDaemon
    from kb.records import KnownFile
    from kb.web.viewed import Viewed

    Handler = Callable[[Request], Awaitable[Response]]

_T = TypeVar("_T")
_THREADS: Final = 8
_WAITING: Final = 64
_BODY: Final = 1_000_000
_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_NO_TEXT: Final = re.compile("[\ud800-\udfff]")
_YEAR: Final = "private, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Backend:
    """What the page shows, and what it may do.

    Attributes:
        using: A context that holds the knowledge base while a view uses it.
        content: Returns the bytes of a file by its watched folder and its path in it, if the rules include it.
        launch: Opens a file in the user's editor: its path, line, page (0 for none) and kind; returns the command.
        daemon: The daemon.
        events: What happens in the daemon.
        known: Returns the error with a remedy that an exception of the system stands for, else None.
        say: Receives a sentence about each unexpected error.
    """

    using: Callable[[], AbstractContextManager[Viewed]]
    content: Callable[[str, str], bytes]
    launch: Callable[[str, int, int, str], str]
    daemon: RunningDaemon
    events: EventBus
    known: Callable[[BaseException], KbError | None] = lambda _: None
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class View:
    """A view in the navigation.

    Attributes:
        name: Its name, which is also the name of the text for its label.
        path: Its path.
    """

    name: str
    path: str


class ViewContext:
    """Answers for the views.

    Args:
        backend: What the page shows.
        views: The views in the navigation, in order.
    """

    def __init__(self, backend: Backend, views: Sequence[View]) -> None:
        self.backend = backend
        self.sessions = Sessions()
        self.selections = Selections()
        self.map = MapMaker(backend.using, backend.say)
        self.pages = Pages(backend.content)
        self.stopping = threading.Event()
        self._views = tuple(views)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="kb-page")
        self._room = _THREADS + _WAITING
        self._endings: list[Callable[[], None]] = []

    def on_close(self, end: Callable[[], None]) -> None:
        """Have something ended that would keep the server from closing."""
        self._endings.append(end)

    def stop(self) -> None:
        """End all sessions, and what goes on without end; views at work still answer."""
        self.stopping.set()
        self.sessions.close()
        self.map.stop()
        for end in self._endings:
            end()

    def close(self) -> None:
        """Wait for the views at work, and stop drawing pages."""
        self.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.map.close()
        self.pages.close()

    async def ask(self, request: Request, work: Callable[[Viewed], _T]) -> _T:
        """Use the knowledge base in a thread, unless the browser hangs up before the turn comes.

        Raises:
            KbError: Whatever the knowledge base raises, or too many requests wait.
        """
        if not self._room or self.stopping.is_set():
            raise KbError("the daemon is busy", "Try again in a moment")
        gone = threading.Event()

        def run() -> _T:
            if gone.is_set():
                raise ClientDisconnect
            with self.backend.using() as kb:
                return work(kb)

        self._room -= 1
        job = asyncio.get_running_loop().run_in_executor(self._pool, run)
        job.add_done_callback(self._made_room)
        try:
            return await result_of(job, request)
        finally:
            gone.set()

    def _made_room(self, _job: object) -> None:
        self._room += 1

    def folders(self) -> tuple[str, ...]:
        """The watched folders."""
        return tuple(self.backend.daemon.status()["folders"])

    def files(self, kb: Knowledge, query: Query) -> list[KnownFile]:
        """Return the indexed files that a search looks through: those of its selection that pass its filters.

        Raises:
            RequestError: A filter is not valid, or the selection is no longer kept.
        """
        return selected(self.selections.among(kb.documents(), query.within), query.filters)

    def view(self, handler: Handler) -> Handler:
        """Wrap a handler so that errors become pages, or fragments where a part of a page was asked for."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except ClientDisconnect:
                return Response(status_code=400)
            except HTTPException:
                raise
            except Exception as error:  # noqa: BLE001 - every error becomes a page
                return self.failed(error, part=bool(request.query_params.get("part")))

        return answer

    def failed(self, error: Exception, *, part: bool = False) -> Response:
        """Return the page of an error, with its remedy."""
        problem = self.problem(error)
        template = "error_part.html" if part else "error.html"
        return self.page(template, problem.status, problem=problem)

    def problem(self, error: Exception) -> Problem:
        """Return what a page says of an error; one that is kb's own fault is logged."""
        named = error if isinstance(error, KbError) else self.backend.known(error) or error
        if not isinstance(named, KbError):
            self.backend.say(f"the page failed ({type(error).__name__}: {error})")
        return problem_of(named)

    def page(self, template: str, status: int = 200, /, **values: Any) -> HTMLResponse:  # noqa: ANN401 - values of a template
        """Return a page."""
        return HTMLResponse(self.html(template, **values), status)

    def html(self, template: str, **values: Any) -> str:  # noqa: ANN401 - values of a template
        """Return a page or a part of one as HTML."""
        values.setdefault("query", Query())
        # Names of files may hold bytes that are no text, and addresses too.
        return _NO_TEXT.sub("\ufffd", str(self._templates.get_template(template).render(values)))

    def static(self, name: str) -> Response:
        """Return a file of the page itself.

        Raises:
            HTTPException: There is none of this name.
        """
        data = self._static.get(name)
        if data is None:
            raise HTTPException(404)
        # Its address changes with its content.
        return Response(data, headers={"cache-control": _YEAR}, media_type=_TYPES[name.rpartition(".")[2]])

    @cached_property
    def _static(self) -> Mapping[str, bytes]:
        folder = files("kb.web") / "static"
        return {one.name: one.read_bytes() for one in folder.iterdir() if one.name.rpartition(".")[2] in _TYPES}

    @cached_property
    def _version(self) -> str:
        return hashlib.sha256(b"".join(body for _, body in sorted(self._static.items()))).hexdigest()[:12]

    @cached_property
    def _templates(self) -> Any:  # noqa: ANN401 - an environment of Jinja
        from jinja2 import Environment, PackageLoader, StrictUndefined

        made = Environment(
            loader=PackageLoader("kb.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        made.globals.update(
            t=TEXT,
            views=self._views,
            modes=[(name, MODE_LABELS[name]) for name in MODE_NAMES],
            files_line=lambda number: count(number, "file"),
            filters_of=lambda query: tuple(
                (label, query.without(name, value)) for label, name, value in filter_labels(query, self.folders())
            ),
            within_line=lambda name: within_line(len(self.selections.ids(name))),
            static=lambda name: f"/static/{name}?{self._version}",
        )
        return made


async def form_of(request: Request) -> Fields:
    """Read the fields of a form.

    Raises:
        RequestError: It is too large, or not a form.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise RequestError("this is not a form", "Use the form of the page")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _BODY:
            raise RequestError(f"the form is larger than {_BODY:,} bytes", "Write a shorter note")
    return Fields(bytes(body))
