"""What a page does besides showing: opening a file in the editor; and the list of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from kb.errors import KbError
from kb.web.context import form_of
from kb.web.query import Query

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from kb.ports import Knowledge
    from kb.web.context import ViewContext

# Of the ids of all selected files, in characters: about 100,000 files.
_LONGEST: Final = 900_000
# No id has more.
_DIGITS: Final = 16
# Each with the name of the text that says what it does.
KEYS: Final = (
    ("/", "key_search"),
    ("↓ ↑ or j k", "key_move"),
    ("Enter", "key_enter"),
    ("o", "key_open"),
    ("e", "key_editor"),
    ("n p", "key_hits"),
    ("c", "key_copy"),
    ("Esc", "key_escape"),
    ("← → ↑ ↓", "key_map"),
    ("Shift + arrow", "key_map_pan"),
    ("+ - 0", "key_map_zoom"),
    ("s x", "key_map_select"),
    ("Enter", "key_map_read"),
    ("?", "key_help"),
)


def routes(context: ViewContext) -> list[BaseRoute]:
    """The routes of this view."""

    async def launch(request: Request) -> Response:
        fields = await form_of(request)

        def work(kb: Knowledge) -> str:
            # Only what is in the index is opened, however the file is named.
            file = kb.read(fields.text("file"), last_line=1).file
            return context.backend.launch(
                file.absolute_path, max(1, fields.number("line", 1)), fields.number("page"), file.kind
            )

        try:
            command = await context.ask(request, work)
        except KbError as error:
            return JSONResponse({"problem": error.message, "remedy": error.remedy}, 409)
        return JSONResponse({"command": command})

    async def select(request: Request) -> Response:
        """Keep a selection of files, and lead to a search within it: ``to`` names the view, ``q`` the question."""
        fields = await form_of(request)
        ids = [
            int(one)
            for one in fields.text("ids", _LONGEST).split(",")
            if one.isascii() and one.isdecimal() and len(one) < _DIGITS
        ]
        within = context.selections.keep(ids)
        path = "/ask" if fields.text("to") == "ask" else "/"
        return RedirectResponse(Query(q=fields.text("q").strip(), within=within).address(path), 303)

    async def keys(_: Request) -> Response:
        return context.page("keys.html", keys=KEYS)

    return [
        Route("/launch", context.view(launch), methods=["POST"]),
        Route("/select", context.view(select), methods=["POST"]),
        Route("/keys", context.view(keys)),
    ]
