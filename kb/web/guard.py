"""Admits the browser that was given a link, and nobody else; sets the headers that keep documents from acting."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from starlette.types import ASGIApp, Receive, Scope, Send

    from kb.web.session import Sessions

    Refuse = Callable[[Scope, Receive, Send, int, str], Awaitable[None]]

LINK_PATH: Final = "/open"
_PUBLIC: Final = (LINK_PATH, "/static/")
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Nothing is told to other origins. Not "no-referrer": browsers then send "Origin: null" with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def cookie_name(host: str) -> str:
    """Return the name of the session's cookie: ports share cookies, so each daemon has its own name."""
    return f"kb-{host.rpartition(':')[2]}"


class Guard:
    """Checks each request before a view sees it.

    Args:
        app: The views.
        sessions: The sessions.
        hosts: The allowed values of ``Host``, in lower case, such as ``127.0.0.1:7420``.
        refuse: Sends a page that says why a request is refused, with an HTTP status and the name of a text.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, hosts: Collection[str], refuse: Refuse) -> None:
        self._app = app
        self._sessions = sessions
        self._hosts = frozenset(hosts)
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        send = _with_headers(send)
        reason = self._refusal(scope["method"], scope["path"], Headers(scope=scope))
        if reason:
            await self._refuse(scope, receive, send, *reason)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        """Return why a request is refused, as HTTP status and the name of a text; None if it is not."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "wrong_host"
        if not _is_own(method, headers, hosts[0].lower()):
            return 403, "other_page"
        if path.startswith(_PUBLIC) or self._sessions.known(session_of(headers)):
            return None
        return 401, "no_session"


def session_of(headers: Headers) -> str:
    """Return the cookie of the session that a request belongs to; empty if it has none."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    found = cookies.get(cookie_name(headers.get("host", "")))
    return found.value if found else ""


def _is_own(method: str, headers: Headers, host: str) -> bool:
    """Whether a request comes from a page of this server, or from the user, rather than from another page."""
    own = f"http://{host}"
    if any(origin.lower() != own for origin in headers.getlist("origin")):
        return False
    if method not in {"GET", "HEAD"}:
        return "origin" in headers
    # Other ports of this machine are the same site, so SameSite does not keep their pages away. A link that was
    # clicked there may lead here.
    navigates = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return headers.get("sec-fetch-site", "none") in {"none", "same-origin"} or navigates


def _with_headers(send: Send) -> Send:
    async def marked(message: Any) -> None:  # noqa: ANN401 - a message of ASGI
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", [])}
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in present]
            if b"cache-control" not in present:
                # What is shown is the user's own text.
                added.append((b"cache-control", b"no-store"))
            message["headers"] = [*message.get("headers", []), *added]
        await send(message)

    return marked
