"""The page as an ASGI application: views behind the guard, opened by a link that works once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kb.web.context import View, ViewContext
from kb.web.guard import LINK_PATH, Guard, cookie_name, session_of
from kb.web.text import TEXT
from kb.web.views import actions, ask, find, graph, map_view, note, status, tags, timeline

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from kb.web.context import Backend
    from kb.web.map.maker import MapMaker

VIEWS: Final = (
    View("find", "/"),
    View("ask", "/ask"),
    View("tags", "/tags"),
    View("timeline", "/timeline"),
    View("map", "/map"),
    View("write", "/note"),
    View("status", "/status"),
)
_MODULES: Final = (find, ask, map_view, graph, tags, timeline, note, status, actions)


class Page:
    """The page.

    Args:
        backend: What it shows, and what it may do.
        host: Host and port of its links, such as ``127.0.0.1:7421``.
        hosts: The other allowed values of ``Host``, in lower case.
    """

    def __init__(self, backend: Backend, host: str, hosts: Collection[str] = ()) -> None:
        self._context = ViewContext(backend, VIEWS)
        self._host = host
        routes = [route for module in _MODULES for route in module.routes(self._context)]
        app = Starlette(
            routes=[*routes, Route(LINK_PATH, self._open), Route("/static/{name}", self._static)],
            exception_handlers={HTTPException: self._http_failed},
        )
        app.router.redirect_slashes = False
        self._guard = Guard(app, self._context.sessions, {host, *hosts}, self._refuse)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._guard(scope, receive, send)

    def new_link(self) -> str:
        """Return an address that opens the page once, within ten minutes."""
        return f"http://{self._host}{LINK_PATH}?key={self._context.sessions.new_link()}"

    @property
    def map(self) -> MapMaker:
        """What makes the map."""
        return self._context.map

    def stop(self) -> None:
        """End what goes on without end, so that the server can be closed."""
        self._context.stop()

    def close(self) -> None:
        """End all sessions, once the server is closed."""
        self._context.close()

    async def _open(self, request: Request) -> Response:
        """Turn the secret of a link into a session, and lead to an address without it."""
        if self._context.sessions.known(session_of(request.headers)):
            return RedirectResponse("/", 303)
        cookie = self._context.sessions.open(request.query_params.get("key", ""))
        if cookie is None:
            return self._refused(403, "used_link")
        response = RedirectResponse("/", 303)
        name = cookie_name(request.headers["host"])
        response.set_cookie(name, cookie, path="/", httponly=True, samesite="strict")
        return response

    async def _static(self, request: Request) -> Response:
        return self._context.static(request.path_params["name"])

    async def _http_failed(self, _: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        return self._refused(error.status_code, "not_found" if error.status_code == 404 else "not_allowed")  # noqa: PLR2004

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
        await self._refused(status, reason)(scope, receive, send)

    def _refused(self, status: int, reason: str) -> Response:
        return self._context.page("refused.html", status, reason=TEXT[reason])
