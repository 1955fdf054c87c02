"""Calls a function and gives up on it after some time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class TookTooLong(Exception):
    """A call did not return within its time limit."""


def within(seconds: float, call: Callable[[], _T]) -> _T:
    """Call a function in a thread of its own, and give up on it after some time.

    The thread of a call that never returns, such as one that reads a dead mount, ends with the process.

    Raises:
        TookTooLong: It did not return in time.
    """
    returned: list[_T] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            returned.append(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is awaited
            raised.append(error)

    thread = threading.Thread(target=work, name="kb-doctor", daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if not returned:
        raise TookTooLong
    return returned[0]
