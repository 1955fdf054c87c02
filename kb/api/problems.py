"""Errors on the wire: RFC 9457 problem details, one for each of kb's exceptions, with its remedy."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from kb.errors import KbError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MEDIA_TYPE: Final = "application/problem+json"
_URN: Final = "urn:kb:error:"
# The type of the problem of a request that was not begun, because the daemon stops.
NOT_BEGUN: Final = "urn:kb:not-begun"
_STATUS: Final[dict[str, int]] = {
    "RequestError": 400,
    "NotIndexed": 404,
    "AmbiguousName": 409,
    "StoreBusy": 503,
    "DocumentBusy": 503,
}
_INTERNAL: Final = 500
_UNABLE: Final = 503


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem as in RFC 9457, with the remedy as one more member.

    Attributes:
        type: Identifies the kind of problem: ``urn:kb:error:`` and the name of kb's exception, ``urn:kb:not-begun``
            where the daemon stops and nothing was done, or ``about:blank``.
        title: The kind of problem in words.
        status: The HTTP status.
        detail: What is wrong, in one sentence.
        remedy: What to do about it.
    """

    type: str
    title: str
    status: int
    detail: str
    remedy: str = ""


class Refusal(Exception):
    """A request is refused for what it is as HTTP, before any operation sees it.

    Args:
        status: The HTTP status.
        detail: What is wrong, in one sentence.
        remedy: What to do about it.
        headers: Headers of the response.
        kind: The type of the problem.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        remedy: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        kind: str = "about:blank",
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = dict(headers or {})
        self.problem = Problem(kind, HTTPStatus(status).phrase, status, detail, remedy)


def as_response(status: int, reason: str) -> tuple[str, bytes]:
    """Return the media type and the body of a response that says why a connection is closed."""
    return MEDIA_TYPE, msgspec.json.encode(Refusal(status, reason).problem)


def problem_of(error: Exception) -> Problem:
    """Return the problem details of an exception."""
    if isinstance(error, Refusal):
        return error.problem
    if not isinstance(error, KbError):
        return Problem("about:blank", "Internal error", _INTERNAL, f"{type(error).__name__}: {error}")
    name = type(error).__name__
    title = (type(error).__doc__ or name).partition("\n")[0].partition(";")[0].rstrip(".")
    return Problem(f"{_URN}{name}", title, _STATUS.get(name, _UNABLE), error.message, error.remedy)


def error_of(problem: Problem) -> KbError:
    """Return the exception that a problem stands for."""
    name = problem.type.removeprefix(_URN)
    kind = next((one for one in _below(KbError) if one.__name__ == name), KbError)
    return kind(problem.detail, problem.remedy)


def _below(kind: type[KbError]) -> Iterator[type[KbError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _below(one)
