"""A cache of vectors that looks into another one before anything is embedded, and leaves that one as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kb.ports import VectorCache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray


class ClosableCache(VectorCache, Protocol):
    """A cache that holds a file open."""

    def close(self) -> None:
        """Let go of the file."""


class BorrowingCache:
    """Vectors of its own, else those of a lender.

    Args:
        own: What is kept here; closed with this one.
        lender: Where else to look. Nothing is put into it, and it stays open.
    """

    def __init__(self, own: ClosableCache, lender: VectorCache) -> None:
        self._own = own
        self._lender = lender

    def get(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The vectors that either knows, by digest."""
        found = self._own.get(fingerprint, digests)
        lacking = [digest for digest in digests if digest not in found]
        return found | self._lender.get(fingerprint, lacking) if lacking else found

    def peek(self, fingerprint: str, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The vectors that either knows, by digest, of which none counts as used."""
        found = self._own.peek(fingerprint, digests)
        lacking = [digest for digest in digests if digest not in found]
        return found | self._lender.peek(fingerprint, lacking) if lacking else found

    def put(self, fingerprint: str, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Keep vectors here."""
        self._own.put(fingerprint, vectors)

    def close(self) -> None:
        """Let go of the own file."""
        self._own.close()
