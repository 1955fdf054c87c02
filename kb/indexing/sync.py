"""Index runs: scan, compare, read, write and embed, in steps that can be repeated.

A run first makes every changed file found by its words: the catalog records the planned change, known vectors are
written into the vector index and old ones deleted, and the catalog marks the change done and queues the passages that
have no vector. Then these are embedded (``kb.indexing.embed``). A run that is killed at any point loses at most a few
seconds of embedding, and the next run continues.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from kb.indexing.embed import Embedding
from kb.indexing.pipeline import ChangeReader, prefetch
from kb.indexing.places import LastRun, compare_places
from kb.indexing.plan import Comparison, compare, lies_below, pages, withheld
from kb.indexing.stopwatch import Stopwatch
from kb.indexing.write import Advance, Stopped, Writer
from kb.records import Failure, FileEvent, IndexProgress, IndexReport, Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from kb.indexing.plan import Key
    from kb.ports import Catalog, Embedder, Files, Reader, ReadingRules, VectorCache, VectorIndex
    from kb.records import FileChange, KnownFile, Subtree

# Comparison of disk and catalog.

_MOUNTS: Final = "mounts"


def mounted_before(catalog: Catalog) -> frozenset[Key]:
    """The mount points inside the folders at the last run, as (folder, path)."""
    return frozenset(catalog.mounts())


def note_mounts(catalog: Catalog, places: Collection[Key]) -> None:
    """Record the mount points, so that a missing one is noticed."""
    if mounted_before(catalog) != frozenset(places):
        catalog.set_meta(_MOUNTS, json.dumps(sorted(places)))


def compare_with_disk(
    files: Files,
    catalog: Catalog,
    *,
    everything: bool = False,
    reread: Callable[[str], bool] = lambda _: False,
) -> tuple[Comparison, tuple[Failure, ...]]:
    """Compare the folders with the catalog; needs neither model nor vectors.

    Args:
        files: The watched folders.
        catalog: The catalog.
        everything: Treat every file as changed.
        reread: Whether the file at a path has to be read again because the code for its format changed.

    Returns:
        The comparison, and the files and folders that cannot be read.
    """
    scan = files.scan()
    missing = tuple(Failure(folder, "", "the folder does not exist") for folder in scan.missing)
    comparison = compare(
        scan,
        catalog.files(),
        everything=everything,
        reread=reread,
        mounted_before=mounted_before(catalog),
    )
    # Only files that would be withheld need a stat; the other missing files are dropped in any case.
    excluded = frozenset(
        file.id for file in withheld(comparison.gone, comparison) if files.stat(file.folder, file.path) is not None
    )
    return replace(comparison, excluded=excluded), scan.problems + missing


def missing(files: Files, catalog: Catalog, counts: Callable[[Failure], bool]) -> Missing:
    """What an answer may lack: waiting files, missing files that are kept, and files that failed.

    Args:
        files: The watched folders.
        catalog: The catalog.
        counts: Whether a file that failed counts: one of a kind that kb never reads does not.
    """
    comparison, problems = compare_with_disk(files, catalog)
    kept = [*comparison.held, *withheld(comparison.gone, comparison)]
    failed = sum(map(counts, catalog.problems())) + _unread(problems, kept)
    return Missing(waiting=comparison.pending, held=len(kept), failed=failed)


def _unread(problems: Iterable[Failure], kept: Iterable[KnownFile]) -> int:
    """The number of problems, without the watched folders that are not there, if their files are kept."""
    of_kept = {file.folder for file in kept}
    return sum(bool(one.path) or one.folder not in of_kept for one in problems)


# The version of the code that read the files: of all formats together, and of each.
_READING: Final = "reading"
_FORMATS: Final = "reading_formats"
# The number of passages that may be read ahead of the model.
PREFETCH_PASSAGES: Final = 4096
# The number of missing files dropped in one transaction, during which searches wait.
_DROPPED_AT_ONCE: Final = 50


class Indexer:
    """Brings the store up to date with the disk.

    Args:
        files: The watched folders.
        reader: Turns bytes into passages.
        embedder: The embedding model.
        cache: The embedding cache.
        catalog: The catalog.
        index: Opens the vector index; called only if there is something to write.
        reading: The versions of the code that reads each format; files of a changed format are read again.
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
        reading: ReadingRules,
    ) -> None:
        self._files = files
        self._reader = reader
        self._embedder = embedder
        self._cache = cache
        self._catalog = catalog
        self._index = index
        self._reading = reading
        self._last: LastRun | None = None
        self._left_out: Missing | None = None

    @property
    def left_out(self) -> Missing | None:
        """What the last run left out of the index, without the failures that the catalog knows; None before one."""
        return self._left_out

    def compare(self, *, full: bool = False) -> tuple[Comparison, tuple[Failure, ...]]:
        """The comparison of disk and catalog, and the files that cannot be read."""
        return compare_with_disk(self._files, self._catalog, everything=full, reread=self._outdated())

    def run(
        self,
        *,
        places: Collection[Subtree] | None = None,
        full: bool = False,
        accept_deletions: bool = False,
        on_progress: Callable[[IndexProgress], None] | None = None,
        on_event: Callable[[FileEvent], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> tuple[IndexReport, Embedding]:
        """Make new and changed files found by their words, and follow moved and removed ones; nothing is embedded.

        Args:
            places: Where something changed since the last run began; None if that is not known. The others are not
                looked at, unless a run that looks at everything might do something else.
            full: Read every file, even if its stat is unchanged.
            accept_deletions: Drop missing files even if most of a folder is missing.
            on_progress: Called after each batch, also of the embedding.
            on_event: Called after each file.
            should_stop: Called between files and batches; the run ends once it returns True, with no file half done.

        Returns:
            The report, and what embeds everything that is queued.
        """
        with Stopwatch() as watch:
            return self._run(
                watch,
                None if full or accept_deletions else places,
                full=full,
                accept_deletions=accept_deletions,
                on_progress=on_progress,
                on_event=on_event or (lambda _: None),
                should_stop=should_stop or (lambda: False),
            )

    def _run(
        self,
        watch: Stopwatch,
        places: Collection[Subtree] | None,
        *,
        full: bool,
        accept_deletions: bool,
        on_progress: Callable[[IndexProgress], None] | None,
        on_event: Callable[[FileEvent], None],
        should_stop: Callable[[], bool],
    ) -> tuple[IndexReport, Embedding]:
        comparison, problems = self._compared(places) or self.compare(full=full)
        self._last = None
        # Recorded before any file is indexed: a run that is killed must not leave files of an unrecorded mount.
        note_mounts(self._catalog, comparison.mounts | comparison.lost)
        outdated = self._outdated()
        self._begin_reading()
        change_reader = ChangeReader(
            self._files, self._reader, self._catalog, comparison, again=lambda path: full or outdated(path)
        )
        change_reader.tally.failures += problems
        progress = _Progress(change_reader, on_progress, watch)
        writer = Writer(
            fingerprint=self._embedder.fingerprint,
            cache=self._cache,
            catalog=self._catalog,
            index=self._index,
            advance=progress.advance,
            should_stop=should_stop,
            on_event=on_event,
        )
        try:
            self._update(change_reader, writer)
            held = self._remove_missing(change_reader, writer, comparison, accept_deletions=accept_deletions)
        except Stopped:
            report = self._report(
                change_reader,
                writer,
                watch.seconds(),
                interrupted=True,
                held=0,
                waiting=_waiting(change_reader, writer, comparison),
            )
            return report, self._embedding(writer, progress.now(), on_progress)
        # Files that could not be read are read again once they are back, even with the same stat.
        if unread := [file.id for file in (*comparison.held, *held) if outdated(file.path)]:
            self._catalog.mark_pending(unread)
        self._note_completed(comparison, problems, [*comparison.held, *held], change_reader.postponed)
        report = self._report(change_reader, writer, watch.seconds(), held=len(held))
        done = replace(progress.now(), words_seconds=report.seconds)
        return report, self._embedding(writer, done, on_progress)

    def _note_completed(
        self,
        comparison: Comparison,
        problems: tuple[Failure, ...],
        kept: Collection[KnownFile],
        postponed: Collection[Subtree],
    ) -> None:
        """Record the end of a complete run, in the catalog and for the next run.

        Args:
            comparison: What it compared.
            problems: The files and folders that cannot be read.
            kept: The missing files that it kept.
            postponed: The places of files that it could not finish.
        """
        note_mounts(
            self._catalog,
            comparison.mounts | {place for place in comparison.lost if any(lies_below(one, {place}) for one in kept)},
        )
        if self._catalog.meta(_READING) != self._reading.version:
            self._catalog.set_meta(_FORMATS, self._reading.formats())
            self._catalog.set_meta(_READING, self._reading.version)
        self._catalog.completed(datetime.now(UTC))
        if comparison.basis is not None and not kept and not comparison.lost:
            self._last = LastRun(comparison.basis, problems, frozenset(postponed))
        self._left_out = Missing(held=len(kept), failed=_unread(problems, kept))

    def _compared(self, places: Collection[Subtree] | None) -> tuple[Comparison, tuple[Failure, ...]] | None:
        """The comparison of some places; None if everything has to be compared."""
        if places is None or self._last is None or self._catalog.meta(_READING) != self._reading.version:
            return None
        return compare_places(self._files, self._catalog, places, self._last)

    def _embedding(
        self, writer: Writer, progress: IndexProgress, on_progress: Callable[[IndexProgress], None] | None
    ) -> Embedding:
        """What embeds the queued passages, and continues the progress of a run."""
        return Embedding(
            embedder=self._embedder,
            cache=self._cache,
            catalog=self._catalog,
            index=self._index,
            progress=progress,
            run=writer.run,
            on_progress=on_progress,
        )

    def dry_run(self, *, full: bool = False) -> IndexReport:
        """Report what ``run`` would do, by content, without splitting or embedding."""
        started = time.monotonic()
        comparison, problems = self.compare(full=full)
        change_reader = ChangeReader(self._files, self._reader, self._catalog, comparison)
        change_reader.tally.failures += problems
        change_reader.count_changes()
        left = change_reader.removed.remaining()
        held = len(withheld(left, comparison))
        change_reader.tally.files["removed"] = len(left) - held
        return self._report(change_reader, None, time.monotonic() - started, held=held)

    def is_outdated(self, path: str) -> bool:
        """Whether the file at a path was read by other code, so that the next run reads it again."""
        return self._outdated()(path)

    def _outdated(self) -> Callable[[str], bool]:
        """A function that tells whether the file at a path was read by outdated code."""
        if self._catalog.meta(_READING) in {self._reading.version, None}:
            return lambda _: False
        return self._reading.changed(self._catalog.meta(_FORMATS))

    def _begin_reading(self) -> None:
        """Record that files are being read by other code than before.

        An interrupted run leaves files of both versions, so changed formats count as outdated until a run completes.
        """
        if self._catalog.meta(_READING) not in {self._reading.version, None}:
            self._catalog.set_meta(_FORMATS, self._reading.common(self._catalog.meta(_FORMATS)))
            self._catalog.set_meta(_READING, "")

    def _update(self, change_reader: ChangeReader, writer: Writer) -> None:
        """Index the existing files.

        Raises:
            Stopped: The user asked to stop.
        """
        try:
            with prefetch(change_reader.changes(), _passages, PREFETCH_PASSAGES) as changes:
                for change in changes:
                    writer.add(change)
            writer.flush()
        finally:
            self._catalog.refresh(change_reader.refreshed)

    def _remove_missing(
        self, change_reader: ChangeReader, writer: Writer, comparison: Comparison, *, accept_deletions: bool
    ) -> list[KnownFile]:
        """Drop the files that are missing and were not moved; returns those that are withheld.

        Raises:
            Stopped: The user asked to stop.
        """
        gone = change_reader.removed.remaining()
        held = [] if accept_deletions else withheld(gone, comparison)
        kept = {file.id for file in held}
        dropped = [file for file in gone if file.id not in kept]
        for page in pages(dropped, _DROPPED_AT_ONCE):
            writer.remove(page)
            change_reader.tally.files["removed"] += len(page)
        return held

    def _report(
        self,
        change_reader: ChangeReader,
        writer: Writer | None,
        seconds: float,
        *,
        held: int,
        interrupted: bool = False,
        waiting: int = 0,
    ) -> IndexReport:
        # Files that were read but not written are not in the index and not counted.
        files = change_reader.tally.files + (writer.done if writer else Counter())
        failures = sorted(set(change_reader.tally.failures), key=lambda one: (one.folder, one.path, one.reason))
        queued = self._catalog.queue_size()
        return IndexReport(
            added=files["added"],
            changed=files["changed"],
            moved=files["moved"],
            removed=files["removed"],
            unchanged=files["unchanged"],
            reused=writer.reused if writer else 0,
            dropped=writer.dropped if writer else 0,
            total=self._catalog.count(),
            seconds=seconds,
            held=held,
            failures=tuple(failures),
            standing=tuple(one for one in failures if one in set(change_reader.tally.standing)),
            interrupted=interrupted,
            waiting=waiting,
            dry_run=writer is None,
            unembedded=queued.passages,
            words_only=queued.files,
            reread=writer.done["unchanged"] if writer else 0,
        )


class _Progress:
    """Adds up the progress and reports it."""

    def __init__(
        self, change_reader: ChangeReader, on_progress: Callable[[IndexProgress], None] | None, watch: Stopwatch
    ) -> None:
        self._change_reader = change_reader
        self._on_progress = on_progress
        self._watch = watch
        self._read = 0
        self._files = 0
        self._size = 0.0
        self._reused = 0

    def advance(self, step: Advance) -> None:
        """Add a step and report the total."""
        self._files += step.files
        self._size += step.size
        self._read += step.read
        self._reused = step.reused
        if self._on_progress is not None:
            self._on_progress(self.now())

    def now(self) -> IndexProgress:
        """The total."""
        return IndexProgress(
            files=self._files,
            files_total=self._change_reader.files_total,
            size=min(int(self._size), self._change_reader.size_total),
            size_total=self._change_reader.size_total,
            embedded=0,
            reused=self._reused,
            seconds=self._watch.seconds(),
            doing="reading",
            read=self._read,
        )


def _waiting(change_reader: ChangeReader, writer: Writer, comparison: Comparison) -> int:
    """The number of files that a stopped run leaves to the next one."""
    left = change_reader.removed.remaining()
    gone = len(left) - len(withheld(left, comparison)) - change_reader.tally.files["removed"]
    return change_reader.files_total - change_reader.settled - writer.done.total() + gone


def _passages(change: FileChange) -> int:
    """The weight of a file in the queue: its passages plus one, so that empty files are bounded too."""
    return 1 + len(change.passages)
