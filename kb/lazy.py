"""Values that are built on first use."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Lazy(Generic[T]):
    """A value that is built once, on first use, by whichever thread needs it.

    Args:
        build: Builds the value. An exception is raised to the caller, and the next call builds again.
    """

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        self._lock = RLock()
        # A tuple, because the value may be None.
        self._built: tuple[T] | None = None

    @classmethod
    def of(cls, value: T) -> Lazy[T]:
        """A value that exists already."""
        return cls(lambda: value)

    def get(self) -> T:
        """The value, built if necessary."""
        built = self._built
        if built is None:
            with self._lock:
                built = self._built
                if built is None:
                    built = self._built = (self._build(),)
        return built[0]

    @property
    def built(self) -> T | None:
        """The value if it is built, else None."""
        built = self._built
        return None if built is None else built[0]

    def reset(self) -> None:
        """Build the value again on next use."""
        with self._lock:
            self._built = None
