"""Steps that Ctrl-C and SIGTERM do not cut in two: what comes meanwhile has its effect when the step is done."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HELD: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold signals back for a moment whose middle leaves files in doubt, such as the opening of ChromaDB.

    Only those that Python code handles: what ends the process by itself cannot be held. In other threads than the main
    one there is nothing to hold, since Python runs no handlers there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Callable[[int, Any], Any]] = {}
    came: list[int] = []
    for number in _HELD:
        before = signal.getsignal(number)
        if callable(before):
            handlers[number] = before
            signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for one, handler in handlers.items():
            signal.signal(one, handler)
        for one in dict.fromkeys(came):
            handlers[one](one, None)
