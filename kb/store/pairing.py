"""Checks that a vector index belongs to its catalog.

They are separate files, and a backup, a sync or a copy can combine files of different stores; an index of other notes
would find nothing. So each generation has an id that is recorded in the catalog, and its content is compared with the
catalog when it is opened: by a sample if nothing indicates a mismatch, otherwise passage by passage.
"""

from __future__ import annotations

import hashlib
import uuid
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from kb.ports import VectorIndex

_META_KEY: Final = "generation id"
_SAMPLE: Final = 64
_PAGE: Final = 500
# Vectors are stored as they were computed: float32 keeps 7 digits.
_TOLERANCE: Final = 1e-4


def new_id() -> str:
    """An id for a generation that no other has."""
    return uuid.uuid4().hex


class PairedCatalog(Protocol):
    """The part of the catalog that describes the expected vectors."""

    def meta(self, key: str) -> str | None:
        """A stored value."""

    def with_vectors(self) -> list[tuple[str, int, bytes]]:
        """Every live passage with a vector as (id, file id, digest), by file id and order."""

    def pending_ids(self) -> list[str]:
        """The ids of passages whose vectors may be missing: they wait to be embedded, or a change was interrupted."""


class WritableCatalog(PairedCatalog, Protocol):
    """The same, where the id of a generation can be recorded too."""

    def set_meta(self, key: str, value: str) -> None:
        """Store a value durably."""


class PairCheck:
    """Compares generations of the vector index with a catalog, which is only read.

    Args:
        catalog: Returns the catalog.
        computed: Returns the cached vectors of digests.
    """

    def __init__(
        self,
        catalog: Callable[[], PairedCatalog],
        computed: Callable[[Sequence[bytes]], dict[bytes, NDArray[np.float32]]],
    ) -> None:
        self._catalog = catalog
        self._computed = computed

    def is_paired(self, id_: str) -> bool | None:
        """Whether the id of a generation is the recorded one; None if generation or catalog has none."""
        known = self._catalog().meta(_META_KEY)
        return id_ == known if id_ and known else None

    def live(self) -> list[tuple[str, int, bytes]]:
        """Every live passage with a vector as (id, file id, digest); of a million, reading them takes seconds."""
        return self._catalog().with_vectors()

    def passages(self, live: Iterable[tuple[str, int, bytes]] | None = None) -> str:
        """A digest of the passages of the catalog that have a vector.

        Args:
            live: These passages, from ``live``; None to read them.
        """
        return _digest(id_ for id_, _, _ in (self.live() if live is None else live))

    def difference(
        self, index: VectorIndex, *, thoroughly: bool, live: Sequence[tuple[str, int, bytes]] | None = None
    ) -> str | None:
        """How an index differs from the catalog, for messages; None if it does not.

        Args:
            index: The open index.
            thoroughly: Compare every id and vector instead of the count and a sample.
            live: The passages of the catalog that have a vector, from ``live``; None to read them.
        """
        passages = self.live() if live is None else live
        unsettled = self._catalog().pending_ids()
        count = index.count()
        if not len(passages) <= count <= len(passages) + len(unsettled):
            return f"it has {count} vectors, and the catalog has {len(passages)} passages"
        step = 1 if thoroughly else max(1, len(passages) // _SAMPLE)
        known = {id_: digest for id_, _, digest in passages[::step]}
        if not thoroughly:
            return self._wrong(index, known)
        unknown = set(index.ids()) - known.keys() - set(unsettled)
        if unknown:
            return f"it has {len(unknown)} vectors of passages that are not in the catalog"
        return self._wrong(index, known)

    def _wrong(self, index: VectorIndex, live: dict[str, bytes]) -> str | None:
        """How many live passages lack a vector or have a wrong one, for messages; None if there are none."""
        lacking = wrong = 0
        for page in _pages(live):
            stored = index.vectors(page)
            lacking += len(page) - len(stored)
            computed = self._computed([live[id_] for id_ in stored])
            if both := [(vector, computed[live[id_]]) for id_, vector in stored.items() if live[id_] in computed]:
                apart = np.abs(np.stack([one for one, _ in both]) - np.stack([other for _, other in both]))
                # Not "any is larger", which would accept NaN.
                wrong += len(both) - int((apart <= _TOLERANCE).all(axis=1).sum())
        if lacking:
            return f"it lacks the vectors of {lacking} of {len(live)} passages"
        return f"{wrong} of {len(live)} vectors are not those of their texts" if wrong else None


class Pairing(PairCheck):
    """Pairs generations of the vector index with a catalog.

    Args:
        catalog: Returns the catalog.
        computed: Returns the cached vectors of digests.
    """

    def __init__(
        self,
        catalog: Callable[[], WritableCatalog],
        computed: Callable[[Sequence[bytes]], dict[bytes, NDArray[np.float32]]],
    ) -> None:
        super().__init__(catalog, computed)
        self._writable = catalog

    def pair(self, id_: str) -> None:
        """Record in the catalog the id that a generation was given, which is from ``new_id``."""
        self._writable().set_meta(_META_KEY, id_)


def _digest(ids: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for id_ in ids:
        digest.update(id_.encode() + b"\n")
    return digest.hexdigest()


def _pages(ids: Iterable[str]) -> Iterator[list[str]]:
    walk = iter(ids)
    while page := list(islice(walk, _PAGE)):
        yield page
