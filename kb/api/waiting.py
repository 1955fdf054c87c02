"""Waiting for what a thread does for a client, as long as the client is there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.requests import Request

T = TypeVar("T")

# Most answers are there by then. Whether the client is still there is looked at from then on, which costs a task.
_SOON: Final = 0.05


class TooSlow(Exception):
    """The time for an answer is over."""


async def result_of(work: asyncio.Future[T], http: Request, seconds: float | None = None) -> T:
    """Return the result of a thread; one that is given up goes on, and what it then raises is ignored.

    Args:
        work: What the thread does.
        http: The request that it is done for, whose body was read.
        seconds: How long to wait; None for any time.

    Raises:
        ClientDisconnect: The client hung up.
        TooSlow: It takes longer.
    """
    try:
        first = _SOON if seconds is None else min(_SOON, seconds)
        await asyncio.wait([work], timeout=first)
        if not work.done():
            await _until_done(work, http, None if seconds is None else seconds - first)
        return work.result()
    finally:
        work.add_done_callback(lambda done: done.cancelled() or done.exception())


async def _until_done(work: asyncio.Future[T], http: Request, seconds: float | None) -> None:
    """Wait for a thread.

    Raises:
        ClientDisconnect: The client hung up.
        TooSlow: It takes longer.
    """
    hung_up = asyncio.ensure_future(_disconnected(http))
    # Of any types: what matters is which ends first.
    both: list[asyncio.Future[Any]] = [work, hung_up]
    try:
        await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return
        if hung_up.done():
            raise ClientDisconnect
        raise TooSlow
    finally:
        hung_up.cancel()


async def _disconnected(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass
