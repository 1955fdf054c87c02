"""Does the next things while the last one is still being used: files are read while the model is at work."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_T = TypeVar("_T")


class _Shelf(Generic[_T]):
    """What has been made and not been taken yet, up to some weight."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._things: deque[tuple[_T, int]] = deque()
        self._weight = 0
        self._changed = threading.Condition()
        self._ended = False
        self._unwanted = False
        self._error: BaseException | None = None

    def put(self, thing: _T, weight: int) -> bool:
        """Add a thing once there is room; False where nobody takes any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._unwanted or not self._things or self._weight < self._most)
            self._things.append((thing, weight))
            self._weight += weight
            self._changed.notify_all()
            return not self._unwanted

    def end(self, error: BaseException | None) -> None:
        """There will be no more, because of an error or of the end."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def refuse(self) -> None:
        """Nobody takes any more."""
        with self._changed:
            self._unwanted = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[_T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._things or self._ended)
                if not self._things:
                    if self._error is not None:
                        raise self._error
                    return
                thing, weight = self._things.popleft()
                self._weight -= weight
                self._changed.notify_all()
            yield thing


@contextmanager
def ahead(things: Iterable[_T], weigh: Callable[[_T], int], most: int) -> Iterator[Iterable[_T]]:
    """Lends things in their order, made by a thread of their own before they are asked for.

    An error of the making comes to whoever takes, after all that was made before it. At the end, however it comes, the
    thread has ended too: nothing is made behind anyone's back.

    Args:
        things: What to make.
        weigh: How much room one of them takes.
        most: How much of them may wait; one may always.
    """
    shelf: _Shelf[_T] = _Shelf(most)

    def make() -> None:
        try:
            for thing in things:
                if not shelf.put(thing, weigh(thing)):
                    break
        except BaseException as error:  # noqa: BLE001 - it is raised where the things are taken
            shelf.end(error)
        else:
            shelf.end(None)

    thread = threading.Thread(target=make, name="kb-ahead", daemon=True)
    thread.start()
    at_once = False
    try:
        yield shelf
    except KeyboardInterrupt:
        # Whoever insists does not wait for a large file that is being read.
        at_once = True
        raise
    finally:
        shelf.refuse()
        if not at_once:
            thread.join()
