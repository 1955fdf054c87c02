"""Writes changed files into the store: found by their words at once, and by meaning where their vectors are known.

A text without a known vector is queued in the catalog; ``kb.indexing.embed`` embeds what is queued.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kb.indexing.plan import labels, pages, vector_steps
from kb.records import FileEvent, VectorRecord
from kb.records.centroid import leading_centroid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.ports import Catalog, VectorCache, VectorIndex
    from kb.records import FileChange, KnownFile, Passage
    from kb.records.reports import Doing

# Centroids of files that an earlier version of kb indexed.

_CENTROIDS_KEY: Final = "middles"
# The number of files in one transaction, during which searches wait.
_PAGE: Final = 200


def fill_centroids(catalog: Catalog, cache: VectorCache, fingerprint: str) -> None:
    """Compute missing centroids from cached vectors, once per store and model.

    A file with a vector that is no longer in the cache is skipped; searches then use the vector index.
    """
    if catalog.meta(_CENTROIDS_KEY) == fingerprint:
        return
    lacking = catalog.files_without_centroid()
    for page in pages(lacking, _PAGE):
        catalog.store_centroids(known_centroids(catalog, cache, fingerprint, page))
    catalog.set_meta(_CENTROIDS_KEY, fingerprint)


def known_centroids(
    catalog: Catalog,
    cache: VectorCache,
    fingerprint: str,
    file_ids: Sequence[int],
    made: Mapping[bytes, NDArray[np.float32]] | None = None,
) -> dict[int, NDArray[np.float32]]:
    """The centroids of those files that have several passages, whose vectors are all known.

    Args:
        catalog: The catalog.
        cache: The embedding cache.
        fingerprint: The fingerprint of the model.
        file_ids: The files.
        made: Vectors that need not be looked up in the cache.
    """
    of_file = {file_id: own for file_id, own in catalog.digests(file_ids).items() if len(own) > 1}
    known = dict(made or {})
    unknown = {digest for own in of_file.values() for digest in own} - known.keys()
    known |= cache.peek(fingerprint, list(unknown))
    return {
        file_id: leading_centroid([known[digest] for digest in own])
        for file_id, own in of_file.items()
        if all(digest in known for digest in own)
    }


# The most passages, and the most files, in one transaction, during which searches wait; one file may exceed it.
WRITTEN_AT_ONCE: Final = 256
_FILES_AT_ONCE: Final = 1000


class Stopped(Exception):
    """The user asked to stop. Not an error; the vectors computed so far are in the cache."""


@dataclass(frozen=True, slots=True)
class Advance:
    """A step of progress.

    Attributes:
        files: The number of files completed since the last step.
        size: The number of bytes completed since the last step.
        read: The number of files read since the last step.
        doing: The current activity.
        embedded: The number of passages embedded so far.
        reused: The number of passages with known vectors so far.
        settled: The number of queued passages that got a vector since the last step.
        tokens: The number of tokens of those.
    """

    files: int = 0
    size: float = 0.0
    read: int = 0
    doing: Doing = "embedding"
    embedded: int = 0
    reused: int = 0
    settled: int = 0
    tokens: int = 0


class Writer:
    """Collects files into groups, and writes each group.

    Args:
        fingerprint: The fingerprint of the model.
        cache: The embedding cache.
        catalog: The catalog.
        index: Opens the vector index; called only if there is something to write.
        advance: Called with the progress after each file read and each group written.
        should_stop: Called between files.
        on_event: Called after each file.
    """

    def __init__(
        self,
        *,
        fingerprint: str,
        cache: VectorCache,
        catalog: Catalog,
        index: Callable[[], VectorIndex],
        advance: Callable[[Advance], None],
        should_stop: Callable[[], bool],
        on_event: Callable[[FileEvent], None],
    ) -> None:
        self._fingerprint = fingerprint
        self._cache = cache
        self._catalog = catalog
        self._index = index
        self._advance = advance
        self._should_stop = should_stop
        self._on_event = on_event
        # The number of this run among those that queue passages.
        self.run = catalog.next_run()
        self._changes: list[FileChange] = []
        self._passages = 0
        # The number of written files by kind of change.
        self.done: Counter[str] = Counter()
        self.reused = 0
        self.dropped = 0

    def add(self, change: FileChange) -> None:
        """Add a file to the group, after writing the group if there is no room in it.

        Raises:
            Stopped: The user asked to stop; the files of the group are unchanged.
        """
        if self._should_stop():
            raise Stopped
        full = self._passages + len(change.passages) > WRITTEN_AT_ONCE or len(self._changes) >= _FILES_AT_ONCE
        if self._changes and full:
            self.flush()
        self._changes.append(change)
        self._passages += len(change.passages)
        self._report(read=1)

    def flush(self) -> None:
        """Write the group; on failure its files are left to the next run."""
        changes, self._changes, self._passages = self._changes, [], 0
        if changes:
            self._write(changes)

    def remove(self, files: Sequence[KnownFile]) -> None:
        """Remove files: vectors first, so that the catalog never loses track of them.

        The files are marked pending before that: after an interruption the next run may find them back unchanged.

        Raises:
            Stopped: The user asked to stop; the files are unchanged.
        """
        if self._should_stop():
            raise Stopped
        file_ids = [file.id for file in files]
        self._catalog.mark_pending(file_ids)
        gone = [id_ for ids in self._catalog.passage_ids(file_ids).values() for id_ in ids]
        if gone:
            self._index().delete(gone)
        self._catalog.remove(file_ids)
        self.dropped += len(gone)
        for file in files:
            self._on_event(FileEvent("removed", file.folder, file.path, passages=file.passages))

    def _report(self, *, files: int = 0, size: float = 0.0, read: int = 0) -> None:
        self._advance(Advance(files, size, read, "reading", reused=self.reused))

    def _write(self, changes: Sequence[FileChange]) -> None:
        """Mark files pending, write the vectors that are known, delete old ones, and mark the files done."""
        digests = {one.digest for change in changes for one in change.passages}
        vectors = self._cache.get(self._fingerprint, list(digests))
        file_ids = [change.file_id for change in changes]
        present = self._catalog.passage_ids(file_ids)
        self._catalog.begin(changes)
        records: list[VectorRecord] = []
        relabelled: list[tuple[str, dict[str, str | int]]] = []
        leaving: list[str] = []
        queued: dict[int, list[Passage]] = {}
        for change in changes:
            steps = vector_steps(change.passages, present.get(change.file_id, {}))
            leaving += steps.delete
            write = set(steps.write)
            wanted = [one for one in change.passages if one.id in write]
            records += [_record(change, one, vectors[one.digest]) for one in wanted if one.digest in vectors]
            queued[change.file_id] = [one for one in wanted if one.digest not in vectors]
            if change.relabel:
                relabelled += [(one.id, _labels(change, one)) for one in change.passages if one.id not in write]
        if records:
            self._index().upsert(records)
        if relabelled:
            self._index().relabel([id_ for id_, _ in relabelled], [label for _, label in relabelled])
        if leaving:
            self._index().delete(leaving)
        waiting = [one for own in queued.values() for one in own]
        complete = [change for change in changes if not queued[change.file_id]]
        self._catalog.finish(file_ids, _centroids(complete, vectors), waiting, self.run)
        self.dropped += len(leaving)
        self._report_written(changes, queued)

    def _report_written(self, changes: Sequence[FileChange], queued: Mapping[int, Sequence[Passage]]) -> None:
        """Count files that were written, and report them."""
        self.done.update(change.kind for change in changes)
        self.reused += sum(len(change.passages) - len(queued[change.file_id]) for change in changes)
        self._report(files=len(changes), size=sum(change.file.stat.size for change in changes))
        counted: set[bytes] = set()
        for change in changes:
            # A text that occurs several times is embedded once.
            new = {one.digest for one in queued[change.file_id]} - counted
            counted |= new
            if change.kind != "unchanged":
                self._on_event(_event(change, len(change.passages) - len(new)))


def _centroids(
    changes: Sequence[FileChange], vectors: Mapping[bytes, NDArray[np.float32]]
) -> dict[int, NDArray[np.float32]]:
    """The centroid of each file with several passages whose vectors are known; a single passage has its own vector."""
    return {
        change.file_id: leading_centroid([vectors[one.digest] for one in change.passages])
        for change in changes
        if len(change.passages) > 1 and all(one.digest in vectors for one in change.passages)
    }


def _event(change: FileChange, reused: int) -> FileEvent:
    return FileEvent(
        kind=change.kind if change.kind != "unchanged" else "changed",
        folder=change.file.folder,
        path=change.file.path,
        before=change.before,
        passages=len(change.passages),
        reused=reused,
        reason=change.reason,
    )


def _record(change: FileChange, one: Passage, vector: NDArray[np.float32]) -> VectorRecord:
    return VectorRecord(one.id, vector, one.text, _labels(change, one))


def _labels(change: FileChange, one: Passage) -> dict[str, str | int]:
    return labels(change.file_id, change.file.path, one.heading)
