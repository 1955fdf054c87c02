"""Graph: the files one or two links away from one, drawn and listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from kb.web.graph import drawn
from kb.web.query import Query
from kb.web.results import shown_path
from kb.web.text import left_out_line

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from kb.records import KnownFile
    from kb.web.context import ViewContext
    from kb.web.viewed import Viewed

_MOST: Final = 60
# The columns in the order in which they are listed, each with the name of its heading.
_LISTED: Final = ((1, "graph_to"), (-1, "graph_from"), (2, "graph_to_far"), (-2, "graph_from_far"))


def routes(context: ViewContext) -> list[BaseRoute]:
    """The routes of this view."""

    async def graph(request: Request) -> Response:
        query = Query.of(request.scope["query_string"])
        steps = 2 if request.query_params.get("steps") == "2" else 1
        folders = context.folders()

        def work(kb: Viewed) -> dict[str, Any]:
            # Reading refuses what the rules exclude since the last run.
            found = kb.overview.links_around(kb.read(query.file, last_line=1).file, steps, _MOST)
            drawing = drawn(found)
            lists = [
                (name, boxes, left_out_line(found.left_out.get(step, 0)))
                for step, name in _LISTED
                if (boxes := drawing.column(step))
            ]
            return {"graph": found, "drawing": drawing, "lists": lists}

        def address(file: KnownFile, path: str = "/read") -> str:
            return query.only_filters().address(path, file=file.absolute_path)

        values = await context.ask(request, work)
        one = query.only_filters().address("/graph", file=query.file)
        choices = (("graph_one", one, steps == 1), ("graph_two", f"{one}&steps=2", steps > 1))
        return context.page(
            "graph.html",
            query=query.only_filters(),
            steps=steps,
            choices=choices,
            address=address,
            shown=lambda file: shown_path(file, folders),
            **values,
        )

    return [Route("/graph", context.view(graph))]
