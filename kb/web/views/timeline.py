"""Timeline: how many files each month has, leading to them."""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from kb.records.wording import count
from kb.search.filters import day_of
from kb.web.query import Query
from kb.web.text import MONTHS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from kb.ports import Knowledge
    from kb.records import KnownFile
    from kb.web.context import ViewContext

_TALLEST: Final = 40
"""The height of the longest bar, in units of the drawing."""


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the timeline.

    Attributes:
        name: Its name.
        files: How many files it has.
        height: The height of its bar, from 0 to ``_TALLEST``; 1 at least where it has files.
        address: The address of its files.
        label: The month with the number of its files, in words.
    """

    name: str
    files: int
    height: float
    address: str
    label: str


@dataclass(frozen=True, slots=True)
class Year:
    """A year of the timeline.

    Attributes:
        number: The year.
        files: How many files it has.
        address: The address of its files.
        months: Its months.
    """

    number: int
    files: int
    address: str
    months: tuple[Month, ...]


def routes(context: ViewContext) -> list[BaseRoute]:
    """The routes of this view."""

    async def timeline(request: Request) -> Response:
        query = Query.of(request.scope["query_string"]).only_filters()

        def work(kb: Knowledge) -> dict[str, Any]:
            files = context.files(kb, query)
            return {"years": years_of(files, query), "number": len(files)}

        return context.page("timeline.html", query=query, tallest=_TALLEST, **await context.ask(request, work))

    return [Route("/timeline", context.view(timeline))]


def years_of(files: Iterable[KnownFile], query: Query) -> tuple[Year, ...]:
    """Return the years in which files are dated, the newest first.

    Args:
        files: The files.
        query: The filters that stay.
    """
    days = Counter((day.year, day.month) for day in map(day_of, files))
    most = max(days.values(), default=1)
    by_year: Counter[int] = Counter()
    for (year, _), number in days.items():
        by_year[year] += number
    return tuple(
        Year(
            year,
            number,
            query.address("/", since=f"{year:04d}-01-01", until=f"{year:04d}-12-31"),
            tuple(_month(year, month, days[year, month], most, query) for month in range(1, len(MONTHS) + 1)),
        )
        for year, number in sorted(by_year.items(), reverse=True)
    )


def _month(year: int, month: int, files: int, most: int, query: Query) -> Month:
    name = MONTHS[month - 1]
    last = monthrange(year, month)[1]
    return Month(
        name,
        files,
        max(1.0, round(_TALLEST * files / most, 1)) if files else 0.0,
        query.address("/", since=f"{year:04d}-{month:02d}-01", until=f"{year:04d}-{month:02d}-{last:02d}"),
        f"{name} {year}: {count(files, 'file')}",
    )
