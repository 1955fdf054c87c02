"""Tags: each with the number of its files, leading to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from kb.search.filters import tag_count
from kb.web.query import Query
from kb.web.text import tags_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from kb.ports import Knowledge
    from kb.records import KnownFile
    from kb.web.context import ViewContext

_BY_COUNT: Final = "count"


@dataclass(frozen=True, slots=True)
class TagLine:
    """A tag as it is listed.

    Attributes:
        label: The tag; below its parent only its last part.
        tag: The whole tag.
        depth: How many tags stand above it, from 0; 0 where tags are not listed below one another.
        files: How many files have it or a tag below it.
        address: The address of a search with it.
    """

    label: str
    tag: str
    depth: int
    files: int
    address: str


def routes(context: ViewContext) -> list[BaseRoute]:
    """The routes of this view."""

    async def tags(request: Request) -> Response:
        query = Query.of(request.scope["query_string"]).only_filters()
        by_count = request.query_params.get("sort") == _BY_COUNT

        def work(kb: Knowledge) -> dict[str, Any]:
            files = context.files(kb, query)
            lines = tag_lines(files, query, by_count=by_count)
            tagged = sum(bool(file.tags) for file in files)
            return {"lines": lines, "summary": tags_line(len(lines), tagged)}

        values = await context.ask(request, work)
        orders = (
            ("tags_by_name", query.address("/tags"), not by_count),
            ("tags_by_count", _sorted_address(query), by_count),
        )
        return context.page("tags.html", query=query, orders=orders, **values)

    return [Route("/tags", context.view(tags))]


def tag_lines(files: Iterable[KnownFile], query: Query, *, by_count: bool = False) -> Sequence[TagLine]:
    """Return the tags of files: each below the one above it, or the most frequent first.

    Args:
        files: The files.
        query: The filters that stay.
        by_count: Whether the most frequent one comes first.
    """
    counts = tag_count(files)
    if not by_count:
        # By their parts, so that what is below a tag follows it.
        counts.sort(key=lambda one: one[0].casefold().split("/"))
    lines = []
    for tag, number in counts:
        above, _, last = tag.rpartition("/")
        depth = 0 if by_count else tag.count("/")
        label = tag if by_count or not above else last
        tags = query.tag if tag in query.tag else (*query.tag, tag)
        lines.append(TagLine(label, tag, depth, number, query.address("/", tag=tags)))
    return lines


def _sorted_address(query: Query) -> str:
    address = query.address("/tags")
    return f"{address}{'&' if '?' in address else '?'}sort={_BY_COUNT}"
