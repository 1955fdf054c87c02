"""The vector index of a store, wherever it is kept: in the store's folder, or on a Chroma server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kb.ports import VectorIndex

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from kb.ports import Nearest


class ClosableIndex(VectorIndex, Protocol):
    """A vector index that can be closed."""

    def close(self) -> None:
        """Close the files or the connection."""


class VectorStore(Protocol):
    """The vector index of a store, opened when it is needed, and replaced as a whole."""

    def index(self) -> VectorIndex:
        """The index to write to, opened if necessary, and rebuilt if it is missing or damaged."""

    def using(self) -> AbstractContextManager[Nearest]:
        """The index for one question; no rebuild spoils it until the context is left."""

    def rebuild(self, reason: str = "", should_stop: Callable[[], bool] = ...) -> str:
        """Build a new generation from catalog and cache, switch to it, and return its name.

        If that fails or is stopped, the old generation stays in use.

        Args:
            reason: What is wrong with the old generation; empty if nothing is.
            should_stop: Called at intervals while the new generation is filled.
        """

    def restart(self) -> None:
        """Replace the index by an empty generation, for another model."""

    def is_usable(self) -> bool:
        """Whether the index needs no check or rebuild, judged without opening it."""

    def mark_suspect(self) -> None:
        """Close the index after an error, so that it is checked before it is used again."""

    def lost(self) -> bool:
        """Whether the files of the open index were deleted."""

    def close(self) -> None:
        """Close the index in order."""

    def abandon(self) -> None:
        """Close the index of a lost store without recording anything."""
