"""Reads what is new on the disk and says what each file is about to become."""

from __future__ import annotations

import threading
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from kb.errors import DocumentBusy, DocumentError
from kb.indexing.plan import Comparison, Departed, identify, wrongly_failed
from kb.records import Failure, FileChange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kb.ports import Catalog, Files, Reader
    from kb.records import FileKind, FoundFile, KnownFile, Source

# Does the next things while the last one is still being used: files are read while the model is at work.

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


@dataclass(slots=True)
class Tally:
    """What a run has found: files by what became of them, and each failure; standing ones were so before the run."""

    files: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    standing: list[Failure] = field(default_factory=list)


class Gatherer:
    """Goes through the files of a comparison that have to be looked at.

    Args:
        files: The watched folders.
        reader: Turns bytes into passages.
        catalog: Gives ids to new files.
        comparison: The disk beside the catalog.
        again: Whether the file at a path is split again even where its content is the same.
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
        self.departed = Departed(comparison.gone)
        self.refreshed: list[tuple[int, FoundFile, int]] = []
        self.tally = Tally()
        self.tally.files["unchanged"] = len(comparison.unchanged)
        self.tally.standing += [Failure(file.folder, file.path, file.reason) for file in comparison.failed]
        self.tally.failures += self.tally.standing
        # Files that are done without being written: they are as they were, went meanwhile, or have to wait.
        self.settled = 0
        self.files_total = len(self._suspects)
        self.size_total = sum(found.stat.size for found, _ in self._suspects)

    def changes(self) -> Iterator[FileChange]:
        """Every file that has to be written, one after another; reading happens as they are asked for."""
        for found, known in self._suspects:
            try:
                source = self._files.load(found)
            except DocumentBusy as error:
                # What is known of it stays as it is: half of a change would be worse than the text before it.
                self._note_failure(found, error.message)
                self.settled += 1
                continue
            except DocumentError as error:
                yield from self._unopened(found, known, error.message)
                continue
            before = known or self.departed.claim(source.file, source.content_hash)
            kind = _kind(source, before)
            if before is not None and kind == "unchanged" and not (self._again(found.path) or wrongly_failed(before)):
                self._keep(source, before)
            elif changed := self._change(source, before, kind):
                yield changed

    def survey(self) -> None:
        """Count what ``changes`` would give, by content alone, without splitting anything."""
        for found, known in self._suspects:
            try:
                source = self._files.load(found)
            except DocumentError as error:
                if self._files.stat(found.folder, found.path) is not None:
                    self._note_failure(found, error.message)
                continue
            before = known or self.departed.claim(source.file, source.content_hash)
            self.tally.files[_kind(source, before)] += 1

    def _unopened(self, found: FoundFile, known: KnownFile | None, reason: str) -> Iterator[FileChange]:
        """A file that cannot be opened, which is tried anew at every run: what hinders it need not change its stat."""
        if self._files.stat(found.folder, found.path) is None:
            # It went since the scan, perhaps to another name: the next scan says where it is.
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
        """A file that was touched, or read too soon after it was written: only its stat is new."""
        self.settled += 1
        self.refreshed.append((before.id, source.file, source.read_ns))
        if before.state == "failed":
            self._note_failure(source.file, before.reason)
            self.tally.standing.append(self.tally.failures[-1])
        else:
            self.tally.files["unchanged"] += 1

    def _change(self, source: Source, before: KnownFile | None, kind: FileKind) -> FileChange | None:
        """What a file becomes; None where it has to be tried again, and what is known of it stays as it is."""
        file_id = before.id if before else self._catalog.new_id()
        try:
            document, passages = self._reader.read(source)
        except DocumentBusy as error:
            self._note_failure(source.file, error.message)
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
            # A run that died while it moved a file may have left the old path beside the vectors.
            relabel=before is not None and (moved or before.state == "pending"),
        )

    def _note_failure(self, found: FoundFile, reason: str) -> None:
        self.tally.failures.append(Failure(found.folder, found.path, reason))


def _kind(source: Source, before: KnownFile | None) -> FileKind:
    """What became of a file, by its content: added, moved, changed or unchanged."""
    if before is None:
        return "added"
    if before.key != source.file.key:
        return "moved"
    unchanged = before.content_hash == source.content_hash and before.state != "pending"
    return "unchanged" if unchanged else "changed"
