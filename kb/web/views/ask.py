"""Ask: the sentences that answer a question, each leading to its place; shown as they come."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from kb.records import Claim
from kb.web import text
from kb.web.excerpt import plain
from kb.web.query import Query, at_passage
from kb.web.results import results_of, shown_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from kb.ports import Knowledge
    from kb.records import Hit, Quote, Reply, Step
    from kb.web.context import ViewContext


def routes(context: ViewContext) -> list[BaseRoute]:
    """The routes of this view."""

    async def ask(request: Request) -> Response:
        query = Query.of(request.scope["query_string"])
        if not query.q:
            return context.page("ask.html", query=query, claims=(), quotes=(), reply=None, results=None)
        if request.query_params.get("part"):
            return StreamingResponse(_streamed(context, request, query), media_type="application/x-ndjson")
        asked = query.request(context.selections.ids(query.within))
        values = await context.ask(request, lambda kb: _answered(context, query, kb.ask(asked)))
        return context.page("ask.html", query=query, **values)

    return [Route("/ask", context.view(ask))]


@dataclass(frozen=True, slots=True)
class _Source:
    """A quote as it is shown.

    Attributes:
        text: The sentence.
        title: The title of its document.
        place: The place of its passage.
        address: The address of that.
        introduced: The lines that the sentence introduces.
    """

    text: str
    title: str
    place: str
    address: str
    introduced: str


async def _streamed(context: ViewContext, request: Request, query: Query) -> AsyncIterator[bytes]:
    """Yield lines of JSON: ``step`` and ``claim`` while the answer is made, at the end ``html``."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    gone = threading.Event()

    def tell(one: Step | Claim) -> None:
        line = {"claim": one.text} if isinstance(one, Claim) else {"step": one.text}
        loop.call_soon_threadsafe(lines.put_nowait, line)

    def work(kb: Knowledge) -> dict[str, Any]:
        asked = query.request(context.selections.ids(query.within))
        return _answered(context, query, kb.ask(asked, on_step=tell, should_stop=gone.is_set))

    job = asyncio.ensure_future(context.ask(request, work))
    try:
        while not job.done() or not lines.empty():
            line = asyncio.ensure_future(lines.get())
            await asyncio.wait({job, line}, return_when=asyncio.FIRST_COMPLETED)
            if line.done():
                yield _line(line.result())
            else:
                line.cancel()
        yield _line(_ending(context, query, job.result))
    finally:
        gone.set()
        job.cancel()


def _ending(context: ViewContext, query: Query, result: Callable[[], Mapping[str, Any]]) -> dict[str, str]:
    """Return the last line: the whole answer as HTML, or why there is none."""
    try:
        return {"html": context.html("quotes.html", query=query, **result())}
    except Exception as error:  # noqa: BLE001 - every error becomes a part of the page
        return {"html": context.html("error_part.html", problem=context.problem(error))}


def _line(value: Mapping[str, str]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _answered(context: ViewContext, query: Query, reply: Reply) -> dict[str, Any]:
    """What the template takes: the claims or quotes with their sources, and the passages in which they stand."""
    folders = context.folders()
    hits = {hit.rank: hit for hit in reply.answer.hits}

    def source(quote: Quote) -> _Source:
        hit: Hit = hits[quote.rank]
        file = hit.passage.file
        return _Source(
            plain(quote.text, file.kind),
            file.title or file.path,
            f"{shown_path(file, folders)}, {text.where(hit.passage)}",
            at_passage(query, hit.passage),
            quote.introduced,
        )

    return {
        "reply": reply,
        "claims": [(claim.text, [source(quote) for quote in claim.quotes]) for claim in reply.claims],
        "quotes": [source(quote) for quote in reply.quotes],
        "results": replace(results_of(reply.answer, query, folders), more=""),
        "asked": text.asked_line(reply),
        "freshness": text.freshness_line(reply.answer.index),
        "missing": text.missing_line(reply.answer.missing),
    }
