"""Ask: the sentences that answer a question, each leading to its place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from kb.web import text
from kb.web.excerpt import plain
from kb.web.query import Query, at_passage
from kb.web.results import results_of, shown_path

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from kb.ports import Knowledge
    from kb.web.desk import Desk


def routes(desk: Desk) -> list[BaseRoute]:
    """The routes of this view."""

    async def ask(request: Request) -> Response:
        query = Query.of(request.scope["query_string"])
        values: dict[str, Any] = {"quotes": (), "results": None, "freshness": "", "missing": ""}
        if query.q:
            values = await desk.ask(request, lambda kb: _answered(desk, kb, query))
        template = "quotes.html" if request.query_params.get("part") else "ask.html"
        return desk.page(template, query=query, **values)

    return [Route("/ask", desk.view(ask))]


def _answered(desk: Desk, kb: Knowledge, query: Query) -> dict[str, Any]:
    """What the template takes: the quotes with their sources, and the passages in which they stand."""
    reply = kb.ask(query.request())
    folders = desk.backend.daemon.status()["folders"]
    hits = {hit.rank: hit for hit in reply.answer.hits}
    quotes = [
        {
            "text": plain(quote.text, passage.file.kind),
            "title": passage.file.title or passage.file.path,
            "source": f"{shown_path(passage.file, folders)}, {text.where(passage)}",
            "address": at_passage(query, passage),
            "cosine": quote.cosine,
        }
        for quote in reply.quotes
        for passage in [hits[quote.rank].passage]
    ]
    results = results_of(reply.answer, query, folders)
    return {
        "quotes": quotes,
        "results": replace(results, more=""),
        "freshness": text.freshness_line(reply.answer.index),
        "missing": text.missing_line(reply.answer.missing),
    }
