"""Parts that are built when they are first asked for."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Lazy(Generic[T]):
    """Something that is built once, when it is first asked for, whichever thread asks.

    Args:
        build: Builds it. What it raises is raised to whoever asked, and the next one has it tried again.
    """

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        self._lock = RLock()
        # A tuple, since what is built may be None.
        self._built: tuple[T] | None = None

    @classmethod
    def of(cls, value: T) -> Lazy[T]:
        """Something that is there already."""
        return cls(lambda: value)

    def get(self) -> T:
        """What was built, now or before."""
        built = self._built
        if built is None:
            with self._lock:
                built = self._built
                if built is None:
                    built = self._built = (self._build(),)
        return built[0]

    @property
    def built(self) -> T | None:
        """What was built before; None where nothing was."""
        built = self._built
        return None if built is None else built[0]

    def forget(self) -> None:
        """Have it built again when it is next asked for."""
        with self._lock:
            self._built = None
