"""Writes changed files into the store: embeds new texts, then changes catalog and vector index in repeatable steps."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kb.indexing.plan import labels, pages, vector_steps
from kb.records import FileEvent, VectorRecord
from kb.records.centroid import centroid_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.ports import Catalog, Embedder, VectorCache, VectorIndex
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
    lacking = frozenset(catalog.files_without_centroid())
    of_file: dict[int, list[bytes]] = {}
    for _, file_id, digest in catalog.live() if lacking else ():
        if file_id in lacking:
            of_file.setdefault(file_id, []).append(digest)
    for page in pages(of_file.items(), _PAGE):
        known = cache.peek(fingerprint, list({digest for _, digests in page for digest in digests}))
        catalog.store_centroids(
            {
                file_id: centroid_of([known[digest] for digest in digests])
                for file_id, digests in page
                if all(digest in known for digest in digests)
            }
        )
    catalog.set_meta(_CENTROIDS_KEY, fingerprint)


# How long the model works before its vectors are cached, and before files become searchable.
SLICE_SECONDS: Final = 5.0
WINDOW_SECONDS: Final = 30.0
_FIRST_WINDOW: Final = 256
_LARGEST_WINDOW: Final = 4096
_SMALLEST_SLICE: Final = 32
_FILES_IN_WINDOW: Final = 1000
# The most passages in one transaction, during which searches wait; a single file may exceed it.
_WRITTEN_AT_ONCE: Final = 256


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
    """

    files: int = 0
    size: float = 0.0
    read: int = 0
    doing: Doing = "embedding"
    embedded: int = 0
    reused: int = 0


class Writer:
    """Collects files into windows, and embeds and writes each window.

    Args:
        embedder: The embedding model, for texts that are not in the cache.
        cache: The embedding cache.
        catalog: The catalog.
        index: Opens the vector index; called only if there is something to write.
        advance: Called with the progress after each batch.
        should_stop: Called between batches.
        on_event: Called after each file.
    """

    def __init__(
        self,
        *,
        embedder: Embedder,
        cache: VectorCache,
        catalog: Catalog,
        index: Callable[[], VectorIndex],
        advance: Callable[[Advance], None],
        should_stop: Callable[[], bool],
        on_event: Callable[[FileEvent], None],
    ) -> None:
        self._embedder = embedder
        self._cache = cache
        self._catalog = catalog
        self._index = index
        self._advance = advance
        self._should_stop = should_stop
        self._on_event = on_event
        self._rate = 0.0
        # The number of written files by kind of change.
        self.done: Counter[str] = Counter()
        self.embedded = 0
        self.reused = 0
        self.dropped = 0
        self._begin_window()

    def _begin_window(self) -> None:
        """Start a new window of files that are embedded and written together."""
        self._changes: list[FileChange] = []
        # The number of passages of each file that need no embedding.
        self._reused: list[int] = []
        self._vectors: dict[bytes, NDArray[np.float32]] = {}
        self._missing: dict[bytes, Passage] = {}
        self._passages = 0

    def add(self, change: FileChange) -> None:
        """Add a file to the window, and write the window if it is full.

        Raises:
            Stopped: The user asked to stop; the files of the window are unchanged.
        """
        if self._should_stop():
            raise Stopped
        self._changes.append(change)
        self._passages += len(change.passages)
        self._reused.append(len(change.passages) - self._look_up(change))
        self._report(read=1, doing="reading")
        # Known vectors take memory, though no time: a warm cache must not put everything into one window.
        full = self._passages >= _LARGEST_WINDOW or len(self._changes) >= _FILES_IN_WINDOW
        if full or len(self._missing) >= self._passages_in(WINDOW_SECONDS, _FIRST_WINDOW):
            self.flush()

    def flush(self) -> None:
        """Write the window; on failure its files are left to the next run."""
        try:
            if self._changes:
                self._write_window()
        finally:
            self._begin_window()

    def _write_window(self) -> None:
        size = sum(change.file.stat.size for change in self._changes)
        self._embed(size)
        for changes in _groups(self._changes):
            self._write(changes)
        self.done.update(change.kind for change in self._changes)
        self.reused += sum(self._reused)
        self._report(files=len(self._changes), size=0.0 if self._missing else size)
        for change, reused in zip(self._changes, self._reused, strict=True):
            if change.kind != "unchanged":
                self._on_event(_event(change, reused))

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

    def _report(self, *, files: int = 0, size: float = 0.0, read: int = 0, doing: Doing = "embedding") -> None:
        self._advance(Advance(files, size, read, doing, self.embedded, self.reused))

    def _look_up(self, change: FileChange) -> int:
        """Look up the vectors of a file in the cache; returns the number of texts without one."""
        wanted = {passage.digest: passage for passage in change.passages}
        unknown = [digest for digest in wanted if digest not in self._vectors and digest not in self._missing]
        self._vectors.update(self._cache.get(self._embedder.fingerprint, unknown))
        lacking = [digest for digest in unknown if digest not in self._vectors]
        self._missing.update((digest, wanted[digest]) for digest in lacking)
        return len(lacking)

    def _embed(self, size: int) -> None:
        """Embed the texts without vectors in slices, and cache the vectors of each slice.

        Sorting by length keeps padding small. The longest texts come first, so that a lack of memory shows at once and
        the remaining time is not underestimated.
        """
        waiting = sorted(self._missing.values(), key=lambda passage: -passage.tokens)
        start = 0
        if waiting and not self._rate:
            self._report(doing="loading the model")
        while start < len(waiting):
            if self._should_stop():
                raise Stopped
            part = waiting[start : start + self._passages_in(SLICE_SECONDS, _SMALLEST_SLICE)]
            began = time.monotonic()
            matrix = self._embedder.embed_documents(
                [passage.embedded for passage in part], [passage.tokens for passage in part]
            )
            self._rate = len(part) / max(time.monotonic() - began, 1e-6)
            made = {passage.digest: vector for passage, vector in zip(part, matrix, strict=True)}
            self._cache.put(self._embedder.fingerprint, made)
            self._vectors.update(made)
            self.embedded += len(part)
            start += len(part)
            self._report(size=size * len(part) / len(waiting))

    def _passages_in(self, seconds: float, at_first: int) -> int:
        """The number of passages the model embeds in that time, measured on the last slice."""
        if not self._rate:
            return at_first
        return int(min(max(self._rate * seconds, _SMALLEST_SLICE), _LARGEST_WINDOW))

    def _write(self, changes: Sequence[FileChange]) -> None:
        """Mark files pending, write new vectors, delete old ones, and mark the files done."""
        file_ids = [change.file_id for change in changes]
        present = self._catalog.passage_ids(file_ids)
        self._catalog.begin(changes)
        records: list[VectorRecord] = []
        relabelled: list[tuple[str, dict[str, str | int]]] = []
        leaving: list[str] = []
        for change in changes:
            steps = vector_steps(change.passages, present.get(change.file_id, {}))
            leaving += steps.delete
            write = set(steps.write)
            records += [_record(change, one, self._vectors) for one in change.passages if one.id in write]
            if change.relabel:
                relabelled += [(one.id, _labels(change, one)) for one in change.passages if one.id not in write]
        if records:
            self._index().upsert(records)
        if relabelled:
            self._index().relabel([id_ for id_, _ in relabelled], [label for _, label in relabelled])
        if leaving:
            self._index().delete(leaving)
        self._catalog.finish(file_ids, _centroids(changes, self._vectors))
        self.dropped += len(leaving)


def _groups(changes: Sequence[FileChange]) -> Iterator[list[FileChange]]:
    """Split files into groups with a limited number of passages, in order."""
    group: list[FileChange] = []
    passages = 0
    for change in changes:
        if group and passages + len(change.passages) > _WRITTEN_AT_ONCE:
            yield group
            group, passages = [], 0
        group.append(change)
        passages += len(change.passages)
    if group:
        yield group


def _centroids(
    changes: Sequence[FileChange], vectors: dict[bytes, NDArray[np.float32]]
) -> dict[int, NDArray[np.float32]]:
    """The centroid of each file with several passages; a single passage has its own vector."""
    return {
        change.file_id: centroid_of([vectors[one.digest] for one in change.passages])
        for change in changes
        if len(change.passages) > 1
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


def _record(change: FileChange, one: Passage, vectors: dict[bytes, NDArray[np.float32]]) -> VectorRecord:
    return VectorRecord(one.id, vectors[one.digest], one.text, _labels(change, one))


def _labels(change: FileChange, one: Passage) -> dict[str, str | int]:
    return labels(change.file_id, change.file.path, one.heading)
