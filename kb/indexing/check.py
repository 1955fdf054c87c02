"""Compares disk, catalog and vectors, passage by passage, and repairs differences. Tests use it as their oracle."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from kb.errors import DocumentError
from kb.indexing.plan import identify, pages
from kb.records import CheckReport, Difference, FoundFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from kb.indexing.plan import Comparison
    from kb.indexing.sync import Indexer
    from kb.ports import Catalog, Embedder, Files, Reader, VectorCache, VectorIndex
    from kb.records import KnownFile, Passage, StoredPassage

_PAGE: Final = 1000
# Vectors are stored as they were computed: float32 keeps 7 digits, so a larger difference is not rounding.
_TOLERANCE: Final = 1e-4


class VectorsInMemory(Protocol):
    """All vectors, where questions are answered from memory."""

    def ids(self) -> Iterable[str]:
        """All ids."""

    def vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors of the known ids."""


class Checker:
    """Finds all differences between the disk, the catalog and the vector index.

    A repair leaves texts without a known vector to be embedded, as any index run does.

    Args:
        files: The watched folders.
        reader: Splits files, to compare stored passages with new ones.
        embedder: The model of the vectors.
        cache: The vectors as they were computed.
        catalog: The catalog.
        index: Opens the vector index, whose changes are made in memory too.
        in_memory: Returns the vectors that questions are answered from; None if the vector index answers them.
        indexer: Repairs differences by indexing.
    """

    def __init__(
        self,
        *,
        files: Files,
        reader: Reader,
        embedder: Embedder,
        cache: VectorCache,
        catalog: Catalog,
        index: Callable[[], VectorIndex],
        in_memory: Callable[[], VectorsInMemory | None] = lambda: None,
        indexer: Indexer,
    ) -> None:
        self._files = files
        self._reader = reader
        self._embedder = embedder
        self._cache = cache
        self._catalog = catalog
        self._index = index
        self._in_memory = in_memory
        self._indexer = indexer

    def check(self, *, repair: bool = False) -> CheckReport:
        """Compare everything; with ``repair``, repair the differences and compare again.

        Returns:
            The remaining differences, and the number of those repaired.
        """
        before = self._compare()
        if not repair or not before.differences:
            return before
        self._repair()
        after = self._compare()
        return CheckReport(
            after.files,
            after.passages,
            after.vectors,
            after.differences,
            # A file that changes meanwhile is another difference.
            repaired=max(0, len(before.differences) - len(after.differences)),
            unembedded=after.unembedded,
        )

    def _compare(self) -> CheckReport:
        comparison, _ = self._indexer.compare()
        differences = [*self._disk(comparison), *self._vectors()]
        known = self._catalog.files()
        waiting = self._catalog.queue_size().passages
        return CheckReport(
            len(known), self._catalog.count(), self._index().count(), tuple(differences), unembedded=waiting
        )

    def _repair(self) -> None:
        """Delete vectors of unknown passages, mark files with differences pending, and read these again."""
        known = self._known_ids()
        unknown = {id_ for id_ in self._stored_ids() if id_ not in known}
        if unknown:
            self._index().delete(sorted(unknown))
        suspects = {file.id for file, _ in self._differing_files()}
        suspects |= {passage.file.id for passage, _ in self._wrong_vectors()}
        self._catalog.mark_pending(sorted(suspects))
        self._indexer.run()

    def _disk(self, comparison: Comparison) -> Iterator[Difference]:
        """Yield the differences between the catalog and the disk."""
        for new in comparison.new:
            yield Difference("file not indexed", new.path)
        for gone in comparison.gone:
            yield Difference("file gone", gone.path)
        for file, difference in self._differing_files(comparison):
            yield Difference(difference.kind, file.path, difference.detail)

    def _differing_files(self, comparison: Comparison | None = None) -> Iterator[tuple[KnownFile, Difference]]:
        """Yield known files whose content or passages differ from those of a new index."""
        comparison = comparison or self._indexer.compare()[0]
        there = [(FoundFile(file.folder, file.path, file.stat), file) for file in comparison.unchanged]
        for found, known in [*comparison.suspect, *there]:
            difference = self._file_difference(found, known)
            if difference:
                yield known, difference

    def _file_difference(self, found: FoundFile, known: KnownFile) -> Difference | None:
        if known.state == "pending":
            return Difference("interrupted", known.path, "indexing it did not finish")
        try:
            source = self._files.load(found)
        except DocumentError as error:
            return None if known.state == "failed" else Difference("file changed", known.path, error.message)
        if source.content_hash != known.content_hash:
            return Difference("file changed", known.path)
        if known.state == "failed":
            return None
        try:
            _, passages = self._reader.read(source)
        except DocumentError as error:
            return Difference("file unreadable", known.path, error.message)
        detail = _passage_difference(identify(known.id, passages), self._catalog.passages_of(known.id))
        if detail and self._indexer.is_outdated(known.path):
            detail = "this version of kb reads it differently; kb index reads it again"
        return Difference("passage wrong", known.path, detail) if detail else None

    def _known_ids(self) -> frozenset[str]:
        return frozenset(passage.id for passage in self._catalog.all_passages())

    def _vectors(self) -> Iterator[Difference]:
        """Yield the differences between the vector index and the catalog."""
        for passage, kind in self._wrong_vectors():
            place = f"{passage.file.path}:{passage.first_line}"
            yield Difference("vector wrong", place, kind) if kind != "missing" else Difference("vector missing", place)
        known = self._known_ids()
        for id_ in dict.fromkeys(self._stored_ids()):
            if id_ not in known:
                yield Difference("vector unknown", id_)

    def _stored_ids(self) -> Iterator[str]:
        """Yield the ids in the vector index and in memory."""
        in_memory = self._in_memory()
        return chain(self._index().ids(), in_memory.ids() if in_memory is not None else ())

    def _wrong_vectors(self) -> Iterator[tuple[StoredPassage, str]]:
        """Yield passages whose vector is missing or wrong, each with what is wrong with it.

        A passage that waits to be embedded lacks nothing.
        """
        for page in pages(self._catalog.all_passages(), _PAGE):
            stored = self._index().vectors([passage.id for passage in page])
            in_memory = self._in_memory()
            held = in_memory.vectors([passage.id for passage in page]) if in_memory is not None else stored
            computed = self._cache.get(self._embedder.fingerprint, [passage.digest for passage in page])
            embedded = self._catalog.passage_ids(list({passage.file.id for passage in page}))
            for passage in page:
                is_embedded = embedded[passage.file.id][passage.id]
                vector = stored.get(passage.id)
                if vector is None:
                    wrong = "missing" if is_embedded else ""
                elif not abs(float(np.linalg.norm(vector)) - 1.0) < _TOLERANCE:
                    wrong = "it is not a unit vector"
                elif _differ(vector, computed.get(passage.digest)):
                    wrong = "it is not the vector of this text"
                elif is_embedded and (passage.id not in held or _differ(vector, held[passage.id])):
                    wrong = "the one in memory is not the stored one"
                else:
                    wrong = ""
                if wrong:
                    yield passage, wrong


def _differ(vector: NDArray[np.float32], other: NDArray[np.float32] | None) -> bool:
    """Whether two vectors differ by more than rounding; False if the other one is not known."""
    return other is not None and not np.allclose(vector, other, rtol=0, atol=_TOLERANCE)


def _passage_difference(fresh: Sequence[Passage], stored: Sequence[StoredPassage]) -> str:
    """How stored passages differ from those of the file, for messages; empty if they do not."""
    if [one.id for one in fresh] != [one.id for one in stored]:
        return f"{len(stored)} passages stored, {len(fresh)} in the file"
    for one, other in zip(fresh, stored, strict=True):
        mine = (one.text, one.first_line, one.last_line, one.heading, one.page, one.place)
        if mine != (other.text, other.first_line, other.last_line, other.heading, other.page, other.place):
            return f"the passage at line {one.first_line} differs from the file"
    return ""
