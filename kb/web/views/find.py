"""Find and read: the search with its facets, and the document beside it."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from kb.errors import KbError
from kb.records import Answer, SearchRequest, mode_named
from kb.search.filters import day_of
from kb.search.words import Words, words_of
from kb.web import text
from kb.web.documents.markup import PASSAGE
from kb.web.documents.read import Opened, open_document, place_address
from kb.web.facets import Facet, FacetCounts, facets, typed_filters
from kb.web.names import labelled, named_files
from kb.web.pictures import Page, image_of
from kb.web.query import MOST_HITS, Fields, Query
from kb.web.results import PlaceLink, results_of, shown_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from kb.ports import Knowledge
    from kb.records import KnownFile, StoredPassage
    from kb.web.context import ViewContext
    from kb.web.viewed import Viewed

_RECENT: Final = 12
_SIMILAR: Final = 8
_HITS_HERE: Final = 50
_A_DAY: Final = "private, max-age=86400"


def routes(context: ViewContext) -> list[BaseRoute]:
    """The routes of these views."""
    find = _Find(context)
    return [
        Route("/", context.view(find.find)),
        Route("/read", context.view(find.read)),
        Route("/similar", context.view(find.similar)),
        Route("/page", context.view(find.page)),
        Route("/image", context.view(find.image)),
    ]


@dataclass(frozen=True, slots=True)
class _Reading:
    """A document with what stands around it.

    Attributes:
        opened: The document.
        path: Its path as it is shown.
        day: Its date.
        place: The place of the passage in words.
        quote: The passage as a quotation with its source; empty where there is none.
        position: Which hit of the document the passage is, from 1; 0 if it is none.
        hits: How many hits the document has.
        more_hits: Whether it has more than those.
        previous: The address of the hit before; empty where there is none.
        next: The address of the hit after.
        picture: The address of the picture of the page of a PDF.
        links_to: Where it links to.
        links_from: What links to it.
    """

    opened: Opened
    path: str
    day: str
    place: str
    quote: str
    position: int
    hits: int
    more_hits: bool
    previous: str
    next: str
    picture: str
    links_to: tuple[PlaceLink, ...]
    links_from: tuple[PlaceLink, ...]


@dataclass(frozen=True, slots=True)
class _Listed:
    """Files without a question.

    Attributes:
        files: The address, the file, the path as it is shown and the date of each.
        number: How many files pass the filters; 0 where there are none.
        more: The address of more of them; empty where there are no more, or too many.
    """

    files: tuple[tuple[str, KnownFile, str, str], ...]
    number: int
    more: str


class _Find:
    def __init__(self, context: ViewContext) -> None:
        self._context = context
        self._counts = FacetCounts()

    async def find(self, request: Request) -> Response:
        """The search; with ``part`` only its results or its facets."""
        query = Query.of(request.scope["query_string"])
        part = request.query_params.get("part", "")
        quick = request.query_params.get("quick") == "1"
        if part == "facets":
            return await self._part(
                request, "facets.html", lambda kb: {"query": query, "facets": self._facets(kb, query)}
            )
        if part:
            best = request.query_params.get("best") == "1"
            return await self._part(request, "results.html", lambda kb: self._found(kb, query, quick=quick, best=best))
        return await self._whole(request, query)

    async def read(self, request: Request) -> Response:
        """The search with a document beside it; with ``part`` only the document."""
        query = Query.of(request.scope["query_string"])
        if request.query_params.get("part"):
            return await self._part(request, "document.html", lambda kb: {"query": query, **self._opened(kb, query)})
        return await self._whole(request, query)

    async def similar(self, request: Request) -> Response:
        """The files most similar to one, as a part of a page."""
        query = Query.of(request.scope["query_string"])

        def work(kb: Knowledge) -> dict[str, Any]:
            answer = kb.search(SearchRequest(like=query.file, limit=_SIMILAR))
            files = [hit.passage.file for hit in answer.hits]
            found = [
                PlaceLink(one.title or shown_path(one, self._context.folders()), place_address(query, one))
                for one in files
            ]
            return {"places": found, "like": query.closed().address("/", q="", like=query.file)}

        return await self._part(request, "similar.html", work)

    async def page(self, request: Request) -> Response:
        """A page of a PDF file as a picture, with a passage marked; a header says where on its height that begins."""
        query = Query.of(request.scope["query_string"])

        def work(kb: Knowledge) -> Page:
            shown = kb.show(query.file)
            kb.read(query.file, page=1)
            passage = next((one for one in shown.passages if query.line and one.first_line == query.line), None)
            return self._context.pages.draw(shown.file, query.page, passage.text if passage else "")

        drawn = await self._context.ask(request, work)
        headers = {"cache-control": _A_DAY, **({"kb-marked": f"{drawn.top:.3f}"} if drawn.marked else {})}
        return Response(drawn.png, headers=headers, media_type="image/png")

    async def image(self, request: Request) -> Response:
        """An image that a document embeds."""
        fields = Fields(request.scope["query_string"])
        file, source = fields.text("file"), fields.text("src")

        def work(kb: Knowledge) -> tuple[bytes, str]:
            return image_of(self._context.backend.content, kb.read(file, last_line=1).file, source)

        data, kind = await self._context.ask(request, work)
        return Response(data, media_type=kind)

    async def _part(self, request: Request, template: str, work: Any) -> HTMLResponse:  # noqa: ANN401 - gives values of a template
        return self._context.page(template, **await self._context.ask(request, work))

    async def _whole(self, request: Request, query: Query) -> Response:
        """The whole page, in which an error of a part leaves the others as they are."""

        def work(kb: Viewed) -> dict[str, Any]:
            values: dict[str, Any] = {"document": None, "problem": None, "facets": ()}
            try:
                values |= self._found(kb, query)
                # Beside a document there is no room for them.
                values["facets"] = () if query.file else self._facets(kb, query)
            except KbError as error:
                values |= {
                    "query": query,
                    "results": None,
                    "listed": None,
                    "named": (),
                    "freshness": "",
                    "quick": False,
                    "problem": error,
                }
            if query.file:
                values |= self._opened(kb, query)
            return values

        return self._context.page("find.html", **await self._context.ask(request, work))

    def _found(self, kb: Knowledge, query: Query, *, quick: bool = False, best: bool = True) -> dict[str, Any]:
        """What the template of the results takes; see ``Query.request``."""
        folders = self._context.folders()
        if not query.asks or query.alone:
            listed = None if query.file else self._listed(kb, query)
            values = {"query": query, "results": None, "listed": listed, "named": ()}
            return {**values, "freshness": "", "missing": "", "quick": False}
        answer = kb.search(query.request(self._context.selections.ids(query.within), quick=quick, best=best))
        results = results_of(answer, query, folders)
        # Operators say more than a name.
        named = () if results.read_as or not query.q else named_files(self._context.files(kb, query), query.q)
        return {
            "query": query,
            "results": results,
            "named": tuple(PlaceLink(label, place_address(query, one)) for one, label in labelled(named, folders)),
            "listed": None,
            "freshness": text.freshness_line(answer.index),
            "missing": text.missing_line(answer.missing),
            "quick": quick,
        }

    def _listed(self, kb: Knowledge, query: Query) -> _Listed:
        """The files that pass the filters, where there is no question: those changed last, or by date."""
        folders, narrowed = self._context.folders(), query.narrows
        files = self._context.files(kb, query)
        most = max(query.limit, _RECENT)
        newest = heapq.nlargest(most, files, key=day_of if narrowed else lambda one: one.stat.mtime_ns)
        more = len(files) > most and narrowed and most < MOST_HITS
        return _Listed(
            tuple(
                (place_address(query, one), one, shown_path(one, folders), day_of(one).isoformat()) for one in newest
            ),
            len(files) if narrowed else 0,
            query.address("/", limit=min(2 * most, MOST_HITS)) if more else "",
        )

    def _facets(self, kb: Viewed, query: Query) -> tuple[Facet, ...]:
        files = self._context.selections.among(kb.documents(), query.within)
        folders = self._context.folders()
        counts = self._counts.of(files, query, folders, typed_filters(query.q, kb.overview.files))
        return facets(counts, query, len(files), folders)

    def _opened(self, kb: Knowledge, query: Query) -> dict[str, Any]:
        """What the template of a document takes."""
        try:
            return {"document": self._reading(kb, query)}
        except KbError as error:
            return {"document": None, "problem": error}

    def _reading(self, kb: Knowledge, query: Query) -> _Reading:
        here, words = self._hits_in(kb, query) if query.q else ([], Words())
        opened = open_document(kb, self._context.backend.content, query, words)
        passage, folders = opened.passage, self._context.folders()
        own = [one for one in here if one.file.id == opened.file.id]
        at = next((n for n, one in enumerate(own) if passage and one.id == passage.id), -1)
        line = passage.first_line if passage else query.line
        before = [one for one in own if one.first_line < line]
        after = [one for one in own if one.first_line > line]
        place = text.where(passage) if passage else ""
        return _Reading(
            opened=opened,
            path=shown_path(opened.file, folders),
            day=day_of(opened.file).isoformat(),
            place=place,
            quote=text.quote_of(opened.file, passage.text, opened.place) if passage else "",
            position=at + 1,
            hits=len(own),
            more_hits=len(here) == _HITS_HERE,
            previous=place_address(query, opened.file, before[-1].first_line) if before else "",
            next=place_address(query, opened.file, after[0].first_line) if after else "",
            picture=_picture(opened) if opened.form == "pdf" else "",
            links_to=_linked(query, folders, ((one.target, one.line) for one in opened.links.outgoing)),
            links_from=_linked(query, folders, ((one.source, one.link.line) for one in opened.links.incoming)),
        )

    def _hits_in(self, kb: Knowledge, query: Query) -> tuple[list[StoredPassage], Words]:
        """The hits of the question in one document, in the order of the text, and the words of the question."""
        file = kb.read(query.file, last_line=1).file
        request = SearchRequest(
            query.q,
            limit=_HITS_HERE,
            per_file=0,
            files=(file.id,),
            mode=mode_named(query.mode) if query.mode else None,
            fold=False,
        )
        answer: Answer = kb.search(request)
        return sorted((hit.passage for hit in answer.hits), key=lambda one: one.first_line), words_of(answer.query)


def _linked(
    query: Query, folders: tuple[str, ...], found: Iterable[tuple[KnownFile | None, int | None]]
) -> tuple[PlaceLink, ...]:
    """Return the places that links lead to or stand at, of each file the first."""
    first: dict[int, PlaceLink] = {}
    for file, line in found:
        if file and file.id not in first:
            label = file.title or shown_path(file, folders)
            first[file.id] = PlaceLink(label, place_address(query, file, line) + (f"#{PASSAGE}" if line else ""))
    return tuple(first.values())


def _picture(opened: Opened) -> str:
    """The address of the picture of a page; it names the content, so that a browser keeps no old one."""
    line = opened.passage.first_line if opened.passage else 0
    version = opened.file.content_hash.hex()[:12]
    return f"{Query(file=opened.path, page=opened.page, line=line).address('/page')}&v={version}"
