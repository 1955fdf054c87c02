"""Requests as clients send them: what the client of a daemon and that of another machine have in common."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from kb.api.codec import encode

if TYPE_CHECKING:
    from kb.api.operations import Operation
    from kb.records import Filters

ANY_SECONDS: Final = sys.float_info.max
"""As many seconds as it takes: JSON has no infinity."""


def path_and_body(operation: Operation, request: object) -> tuple[str, bytes | None]:
    """Return the path of a request, with its query, and its body; GET has none.

    Args:
        operation: The operation.
        request: The request, or its fields; None where it has none. Fields of a query that are None are left out.
    """
    if operation.method == "POST":
        return operation.path, encode({} if request is None else request)
    given = request if isinstance(request, dict) else {}
    pairs = {name: value for name, value in given.items() if value is not None}
    query = urlencode(pairs, doseq=True, errors="surrogateescape")
    return f"{operation.path}?{query}" if query else operation.path, None


def filter_fields(filters: Filters | None) -> dict[str, Any]:
    """Return the fields of ``FilesRequest`` that say the same as filters; none without filters."""
    if filters is None:
        return {}
    return {
        "path": filters.paths,
        "tag": filters.tags,
        "type": filters.types,
        "lang": filters.languages,
        "since": filters.since,
        "until": filters.until,
    }
