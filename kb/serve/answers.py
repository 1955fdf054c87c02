"""What the handlers of a daemon share: how a request's JSON is read, and how its faults become 4xx and a sentence."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

_BODY: Final = 32_000_000


class _TooMuchError(Exception):
    """A request is larger than any that kb makes."""


def answering(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A handler whose complaints about a request are answers."""

    async def answer(http: Request) -> Response:
        try:
            return await handler(http)
        except (_TooMuchError, ClientDisconnect, MemoryError, RuntimeError, ValueError, OverflowError) as error:
            return text_answer(*_complaint(error))

    return answer


def _complaint(error: Exception) -> tuple[str, int]:
    """What an error means for who asked, and the status."""
    match error:
        case _TooMuchError():
            return "the request is too large", 413
        case ClientDisconnect():
            return "the request ended before it was complete", 400
        case RecursionError():
            return "this is no request: it is nested too deeply", 400
        case MemoryError() | RuntimeError():
            # Of threads, there is none left that could do it.
            what = "memory" if isinstance(error, MemoryError) else f"threads ({error})"
            return f"the daemon is short of {what}; try again in a moment", 503
        case _:
            return f"this is no request: {error}", 400


def text_answer(content: str, status: int) -> Response:
    """A sentence, which may quote names that are no Unicode."""
    return Response(content.encode("utf-8", "backslashreplace"), status, media_type="text/plain")


def json_answer(value: Mapping[str, Any]) -> Response:
    """An object, in ASCII: names of folders may be no Unicode."""
    return Response(json.dumps(value).encode(), media_type="application/json")


def seconds_of(value: object) -> float | None:
    """How long to wait, as it was asked for.

    Raises:
        ValueError: It is no number of seconds.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("timeout must be a number of seconds")
    return float(value)


async def object_of(http: Request) -> dict[str, Any]:
    """The JSON object of a request; empty where it has no body.

    Raises:
        ValueError: It is something else.
        _TooMuchError: It is too large.
    """
    body = await _read(http)
    # Not by msgspec: lone surrogates stand for the bytes of names that are no Unicode.
    asked = json.loads(body.decode()) if body else {}
    if not isinstance(asked, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - what is wrong is the text of the request
    return asked


async def _read(http: Request) -> bytes:
    """The body of a request.

    Raises:
        _TooMuchError: It is too large.
    """
    body = bytearray()
    if int(http.headers.get("content-length", "0")) > _BODY:
        raise _TooMuchError
    async for part in http.stream():
        body += part
        if len(body) > _BODY:
            raise _TooMuchError
    return bytes(body)
