"""Reads new and changed files ahead of the embedding model.

``ChangeReader`` turns the files of a comparison into changes; ``prefetch`` reads them on a thread of its own.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from kb.errors import DocumentBusy, DocumentError
from kb.indexing.plan import Comparison, RemovedFiles, identify, wrongly_failed
from kb.records import Failure, FileChange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kb.ports import Catalog, Files, Reader
    from kb.records import FileKind, FoundFile, KnownFile, Source

# Prefetching: files are read while the model computes.

_T = TypeVar("_T")


class _BoundedQueue(Generic[_T]):
    """A queue of prefetched items with a limited total weight."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: deque[tuple[_T, int]] = deque()
        self._weight = 0
        self._changed = threading.Condition()
        self._ended = False
        self._refused = False
        self._error: BaseException | None = None

    def put(self, item: _T, weight: int) -> bool:
        """Add an item once there is room; False after ``refuse``."""
        with self._changed:
            self._changed.wait_for(lambda: self._refused or not self._items or self._weight < self._most)
            self._items.append((item, weight))
            self._weight += weight
            self._changed.notify_all()
            return not self._refused

    def end(self, error: BaseException | None) -> None:
        """Mark the end of the items, with the error that caused it."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def refuse(self) -> None:
        """Stop accepting items."""
        with self._changed:
            self._refused = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[_T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._ended)
                if not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                item, weight = self._items.popleft()
                self._weight -= weight
                self._changed.notify_all()
            yield item


@contextmanager
def prefetch(items: Iterable[_T], weigh: Callable[[_T], int], most: int) -> Iterator[Iterable[_T]]:
    """Iterate over items that a background thread produces in advance, in order.

    An exception of the iterable is raised to the consumer after the items before it. The thread has ended when the
    context is left.

    Args:
        items: The iterable to consume in the thread.
        weigh: The weight of an item.
        most: The largest total weight of waiting items; a single item may exceed it.
    """
    queue: _BoundedQueue[_T] = _BoundedQueue(most)

    def produce() -> None:
        try:
            for item in items:
                if not queue.put(item, weigh(item)):
                    break
        except BaseException as error:  # noqa: BLE001 - it is raised to the consumer
            queue.end(error)
        else:
            queue.end(None)

    thread = threading.Thread(target=produce, name="kb-prefetch", daemon=True)
    thread.start()
    interrupted = False
    try:
        yield queue
    except KeyboardInterrupt:
        # Do not wait for a large file that is being read.
        interrupted = True
        raise
    finally:
        queue.refuse()
        if not interrupted:
            thread.join()


@dataclass(slots=True)
class Tally:
    """What a run has found.

    Attributes:
        files: The number of files by kind of change.
        failures: The files that could not be indexed.
        standing: Those of them that failed in an earlier run already.
    """

    files: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    standing: list[Failure] = field(default_factory=list)


class ChangeReader:
    """Reads the files of a comparison that may have changed.

    Args:
        files: The watched folders.
        reader: Turns bytes into passages.
        catalog: Assigns ids to new files.
        comparison: The comparison of disk and catalog.
        again: Whether the file at a path is split again even if its content is the same.
    """

    def __init__(
        self,
        files: Files,
        reader: Reader,
        catalog: Catalog,
        comparison: Comparison,
        *,
        again: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._files = files
        self._reader = reader
        self._catalog = catalog
        self._again = again
        self._suspects: tuple[tuple[FoundFile, KnownFile | None], ...] = (
            *((found, None) for found in comparison.new),
            *comparison.suspect,
        )
        self.removed = RemovedFiles(comparison.gone)
        self.refreshed: list[tuple[int, FoundFile, int]] = []
        self.tally = Tally()
        self.tally.files["unchanged"] = len(comparison.unchanged) + comparison.elsewhere
        self.tally.standing += [Failure(file.folder, file.path, file.reason) for file in comparison.failed]
        self.tally.failures += self.tally.standing
        # Files that are to be tried again, and that the catalog does not say so of.
        self.postponed: set[tuple[str, str]] = set()
        # Files that need no write: unchanged, removed in the meantime, or postponed.
        self.settled = 0
        self.files_total = len(self._suspects)
        self.size_total = sum(found.stat.size for found, _ in self._suspects)

    def changes(self) -> Iterator[FileChange]:
        """Yield every file that has to be written; each is read when it is requested."""
        for found, known in self._suspects:
            try:
                source = self._files.load(found)
            except DocumentBusy as error:
                # The old text stays: half of a change would be worse.
                self._note_failure(found, error.message)
                self.postponed.add(found.key)
                self.settled += 1
                continue
            except DocumentError as error:
                yield from self._unopened(found, known, error.message)
                continue
            before = known or self.removed.claim(source.file, source.content_hash)
            kind = _kind(source, before)
            if before is not None and kind == "unchanged" and not (self._again(found.path) or wrongly_failed(before)):
                self._keep(source, before)
            elif changed := self._change(source, before, kind):
                yield changed

    def count_changes(self) -> None:
        """Count what ``changes`` would yield, by content, without splitting."""
        for found, known in self._suspects:
            try:
                source = self._files.load(found)
            except DocumentError as error:
                if self._files.stat(found.folder, found.path) is not None:
                    self._note_failure(found, error.message)
                continue
            before = known or self.removed.claim(source.file, source.content_hash)
            self.tally.files[_kind(source, before)] += 1

    def _unopened(self, found: FoundFile, known: KnownFile | None, reason: str) -> Iterator[FileChange]:
        """A file that cannot be opened. It is tried in every run, since its stat need not change once it can be."""
        if self._files.stat(found.folder, found.path) is None:
            # It was removed or renamed since the scan; the next scan finds it.
            self.postponed.add(found.key)
            self.settled += 1
            return
        self._note_failure(found, reason)
        tried_ns = found.stat.mtime_ns
        if known is not None and known.state == "failed" and known.reason == reason:
            self.tally.standing.append(self.tally.failures[-1])
            self.refreshed.append((known.id, found, tried_ns))
            self.settled += 1
            return
        file_id = known.id if known else self._catalog.new_id()
        yield FileChange(file_id, found, b"", tried_ns, reason=reason, kind="failed")

    def _keep(self, source: Source, before: KnownFile) -> None:
        """A file with the same content: only its stat is updated."""
        self.settled += 1
        self.refreshed.append((before.id, source.file, source.read_ns))
        if before.state == "failed":
            self._note_failure(source.file, before.reason)
            self.tally.standing.append(self.tally.failures[-1])
        else:
            self.tally.files["unchanged"] += 1

    def _change(self, source: Source, before: KnownFile | None, kind: FileKind) -> FileChange | None:
        """The change of a file; None if it has to be tried again and keeps its old state."""
        file_id = before.id if before else self._catalog.new_id()
        try:
            document, passages = self._reader.read(source)
        except DocumentBusy as error:
            self._note_failure(source.file, error.message)
            self.postponed.add(source.file.key)
            self.settled += 1
            return None
        except DocumentError as error:
            self._note_failure(source.file, error.message)
            return FileChange(
                file_id, source.file, source.content_hash, source.read_ns, reason=error.message, kind="failed"
            )
        moved = kind == "moved"
        return FileChange(
            file_id,
            source.file,
            source.content_hash,
            source.read_ns,
            document,
            identify(file_id, passages),
            kind=kind,
            before=before.path if before and moved else "",
            # A run that was killed during a move may have left the old path in the labels.
            relabel=before is not None and (moved or before.state == "pending"),
        )

    def _note_failure(self, found: FoundFile, reason: str) -> None:
        self.tally.failures.append(Failure(found.folder, found.path, reason))


def _kind(source: Source, before: KnownFile | None) -> FileKind:
    """The kind of change, by content: added, moved, changed or unchanged."""
    if before is None:
        return "added"
    if before.key != source.file.key:
        return "moved"
    unchanged = before.content_hash == source.content_hash and before.state != "pending"
    return "unchanged" if unchanged else "changed"
