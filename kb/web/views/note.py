"""Write: a new note, dated, in the first folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kb.errors import KbError, RequestError
from kb.web.context import form_of
from kb.web.query import Query
from kb.web.text import TEXT

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from kb.ports import Knowledge
    from kb.web.context import ViewContext

_BETWEEN_TAGS: Final = re.compile(r"[\s,;]+")
_LONGEST: Final = 1_000_000


def routes(context: ViewContext) -> list[BaseRoute]:
    """The routes of this view."""

    async def form(_: Request) -> Response:
        return context.page("note.html", title="", tags="", text="", problem=None)

    async def save(request: Request) -> Response:
        return await _saved(context, request)

    async def saved(request: Request) -> Response:
        query = Query.of(request.scope["query_string"])

        def indexed(kb: Knowledge) -> bool:
            try:
                return bool(kb.show(query.file).passages)
            except KbError:
                return False

        done = await context.ask(request, indexed)
        return context.page("saved.html", file=query.file, indexed=done, address=query.address("/read"))

    return [
        Route("/note", context.view(form), methods=["GET"]),
        Route("/note", context.view(save), methods=["POST"]),
        Route("/note/saved", context.view(saved)),
    ]


async def _saved(context: ViewContext, request: Request) -> Response:
    """Write a note and lead to it; where that fails, give the form back as it was filled in."""
    fields = await form_of(request)
    text = fields.text("text", _LONGEST).replace("\r\n", "\n")
    given = {"title": fields.text("title").strip(), "tags": fields.text("tags"), "text": text}
    written: list[str] = []

    def work(kb: Knowledge) -> None:
        names = tuple(tag.lstrip("#") for tag in _BETWEEN_TAGS.split(given["tags"]) if tag.lstrip("#"))
        kb.note(text, title=given["title"] or None, tags=names, on_written=written.append)

    if not text.strip():
        empty = RequestError(TEXT["note_empty"].rstrip("."), "Write something first")
        return context.page("note.html", 400, problem=empty, **given)
    try:
        await context.ask(request, work)
    except ClientDisconnect:
        raise
    except Exception as error:  # noqa: BLE001 - what was written is not to be written again, and no text is lost
        problem = context.problem(error)
        # Written but not indexed: the next run does that, and the form must not be sent again.
        if not written:
            return context.page("note.html", problem.status, problem=problem, **given)
    return RedirectResponse(Query(file=written[0]).address("/note/saved"), 303)
