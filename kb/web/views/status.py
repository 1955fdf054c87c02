"""Status: what is indexed, what is not and why, and what the daemon does, as it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response
from starlette.routing import Route

from kb.api.events import MEDIA_TYPE, EventResponse, Listener
from kb.errors import KbError
from kb.formats.registry import REGISTRY
from kb.records.wording import count
from kb.web.text import freshness_line, remedies, size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from kb.ports import Knowledge
    from kb.records import Status
    from kb.web.context import ViewContext

_MOST_LISTENERS: Final = 16
_LISTED: Final = 500


def routes(context: ViewContext) -> list[BaseRoute]:
    """The routes of this view."""
    events = _Events(context)

    async def status(request: Request) -> Response:
        def work(kb: Knowledge) -> dict[str, Any]:
            found = kb.status()
            failed = [one for one in found.problems if not REGISTRY.unread(one.path, one.reason)]
            facts = _facts(found)
            return {
                "status": found,
                "facts": facts,
                "failed": failed,
                "remedies": list(remedies(found.problems)),
                "fine": _is_fine(found),
                "listed": _LISTED,
            }

        values = await context.ask(request, work)
        daemon = context.backend.daemon.status()
        template = "status_part.html" if request.query_params.get("part") else "status.html"
        return context.page(template, daemon=daemon, run=run_line(daemon), state=_state_line(daemon), **values)

    return [Route("/status", context.view(status)), Route("/events", context.view(events.follow))]


class _Events:
    """The events of the daemon, for the browsers that follow them."""

    def __init__(self, context: ViewContext) -> None:
        self._context = context
        self._listeners: set[Listener] = set()
        context.on_close(self._close)

    async def follow(self, request: Request) -> Response:
        """All events from now on, as server-sent events."""
        if request.method == "HEAD":
            return Response(media_type=MEDIA_TYPE)
        if len(self._listeners) >= _MOST_LISTENERS:
            raise KbError("too many windows follow the events", "Close some of them")
        listener = Listener(self._context.backend.events, request.headers.get("last-event-id", ""))
        return EventResponse(listener, self._listeners)

    def _close(self) -> None:
        for listener in tuple(self._listeners):
            listener.close()


def run_line(daemon: Mapping[str, Any]) -> str:
    """Return the progress of the index run in one line; empty where none is under way."""
    run = daemon.get("run")
    if not run:
        return ""
    if run.get("to_embed"):
        return f"{run['doing']}: {run['embedded']:,} of {count(run['to_embed'], 'passage')}"
    return f"{run['doing']}: {run['indexed']:,} of {count(run['files'], 'file')}"


def _state_line(daemon: Mapping[str, Any]) -> str:
    state = str(daemon["state"])
    reason = f" ({daemon['reason']})" if daemon["reason"] else ""
    waiting = f", {count(daemon['waiting'], 'change')} waiting" if daemon["waiting"] else ""
    return f"{state}{reason}{waiting}"


def _facts(status: Status) -> list[tuple[str, str]]:
    """Return the facts about the index, each with its name."""
    facts = [
        ("Files", f"{status.files:,}"),
        *([("Not read", _not_read(status))] if status.unread else []),
        ("Passages", f"{status.passages:,}"),
        ("Model", f"{status.model}{f', {status.runtime}' if status.runtime else ''}"),
        ("Indexed", _as_of(status)),
        *([("Progress", waits)] if (waits := freshness_line(status.index)) and status.index.as_of else []),
        ("Folders", ", ".join(status.folders)),
        ("Store", f"{status.store}, {size(status.size)}"),
    ]
    if status.server:
        facts.append(("Chroma server", f"{status.server.url}: vectors, paths and headings are sent there"))
        if status.server.problem:
            facts.append(("Server away", status.server.problem))
    if status.replaced:
        facts.append(("Undecodable characters", f"in {count(status.replaced, 'file')}"))
    return facts


def _not_read(status: Status) -> str:
    return REGISTRY.unread_kinds((one.path, one.reason) for one in status.problems)


def _as_of(status: Status) -> str:
    as_of = status.index.as_of
    return as_of.astimezone().strftime("%Y-%m-%d %H:%M:%S") if as_of else freshness_line(status.index)


def _is_fine(status: Status) -> bool:
    return not (status.failed or status.held or status.partly or status.set_aside or freshness_line(status.index))
