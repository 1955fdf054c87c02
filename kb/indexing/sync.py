"""Makes the store follow the disk: scan, compare, read, embed, write, in steps that can be repeated.

New texts are embedded first and their vectors kept in the cache; only then does the catalog say what is about to
happen, the vector index change, and the catalog call it done. A run that is stopped or killed anywhere loses at most
the batch it was computing, and the next one goes on.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from kb.indexing.pipeline import Gatherer, ahead
from kb.indexing.plan import Comparison, compare, lies_below, pages, withheld
from kb.indexing.write import Advance, Stopped, Writer
from kb.records import Failure, FileEvent, IndexProgress, IndexReport, Missing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from kb.indexing.plan import Key
    from kb.ports import Catalog, Embedder, Files, Reader, ReadingRules, VectorCache, VectorIndex
    from kb.records import FileChange, KnownFile

# Lays the disk beside the catalog: one scan, and a look at the files that it lacks where so many went at once.

_MOUNTS: Final = "mounts"


def mounted_before(catalog: Catalog) -> frozenset[Key]:
    """Where file systems were mounted inside the folders when their files were indexed, as (folder, path)."""
    return frozenset((folder, path) for folder, path in json.loads(catalog.meta(_MOUNTS) or "[]"))


def note_mounts(catalog: Catalog, places: Collection[Key]) -> None:
    """Remember where file systems are mounted, for when one of them is gone."""
    if mounted_before(catalog) != frozenset(places):
        catalog.set_meta(_MOUNTS, json.dumps(sorted(places)))


def look(
    files: Files,
    catalog: Catalog,
    *,
    everything: bool = False,
    reread: Callable[[str], bool] = lambda _: False,
) -> tuple[Comparison, tuple[Failure, ...]]:
    """The disk beside the catalog, and what on the disk cannot be taken in; needs neither model nor vectors.

    Args:
        files: The watched folders.
        catalog: What is known of them.
        everything: Take every file as one to look at.
        reread: Whether the file at a path has to be read again, since its format is read by other rules now.
    """
    scan = files.scan()
    missing = tuple(Failure(folder, "", "the folder is not there") for folder in scan.missing)
    comparison = compare(
        scan,
        catalog.files(),
        everything=everything,
        reread=reread,
        mounted_before=mounted_before(catalog),
    )
    # Only what would be withheld is worth a stat each: all else that a scan lacks is let go anyway.
    excluded = frozenset(
        file.id for file in withheld(comparison.gone, comparison) if files.stat(file.folder, file.path) is not None
    )
    return replace(comparison, excluded=excluded), scan.problems + missing


def missing(files: Files, catalog: Catalog) -> Missing:
    """What an answer may lack: files that wait, that are kept though they are gone, that could not be indexed."""
    comparison, problems = look(files, catalog)
    return Missing(
        waiting=comparison.pending,
        held=len(comparison.held) + len(withheld(comparison.gone, comparison)),
        failed=sum(file.state == "failed" for file in catalog.files()) + len(problems),
    )


# Tells how long a run takes, without the time in which its process was suspended (Ctrl-Z) or the machine slept.

_LOOK_SECONDS: Final = 0.25
# A process that was merely busy, or kept waiting by others, is back sooner, or has used the processor meanwhile.
_SUSPENDED_SECONDS: Final = 5.0
_BUSY: Final = 0.1


class Stopwatch:
    """Seconds since it was started. A thread of its own looks at the clock, so that a gap is noticed.

    Args:
        clock: Seconds that never go back.
        used: Seconds of processor time that this process has used.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, used: Callable[[], float] = time.process_time
    ) -> None:
        self._clock = clock
        self._used = used
        self._started = self._looked = clock()
        self._used_then = used()
        self._suspended = 0.0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kb-stopwatch", daemon=True)

    def seconds(self) -> float:
        """Seconds since the start, without those in which the process was suspended."""
        with self._lock:
            now, used = self._clock(), self._used()
            gap = now - self._looked
            if gap > _SUSPENDED_SECONDS and used - self._used_then < _BUSY * gap:
                self._suspended += gap
            self._looked, self._used_then = now, used
            return now - self._started - self._suspended

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            self.seconds()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


# By which rules the files were read: the version as a whole, and that of each format.
_READING: Final = "reading"
_FORMATS: Final = "reading_formats"
# How many passages may be read before the model is ready for them.
AHEAD: Final = 4096
# How many files that are gone are dropped in one transaction of the catalog: questions wait meanwhile.
_DROPPED_AT_ONCE: Final = 50


class Indexer:
    """Brings the store in line with the disk.

    Args:
        files: The watched folders.
        reader: Turns bytes into passages.
        embedder: The model.
        cache: Vectors by digest.
        catalog: The record.
        index: Opens the vector index; called only when there is something to write.
        reading: The version of the rules by which files are read: those whose rules are not those of last time are
            read again.
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

    def compare(self, *, full: bool = False) -> tuple[Comparison, tuple[Failure, ...]]:
        """The disk beside the catalog, and what on the disk cannot be taken at all."""
        return look(self._files, self._catalog, everything=full, reread=self._outdated())

    def run(
        self,
        *,
        full: bool = False,
        accept_deletions: bool = False,
        on_progress: Callable[[IndexProgress], None] | None = None,
        on_event: Callable[[FileEvent], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> IndexReport:
        """Index what is new, changed, moved or gone.

        Args:
            full: Read every file, whatever its stat says.
            accept_deletions: Let go even where most of a folder went at once.
            on_event: Told of each file once it is done.
            on_progress: Called after each batch.
            should_stop: Asked between files and batches; when true the run ends, and no file is left half done.
        """
        with Stopwatch() as watch:
            return self._run(
                watch,
                full=full,
                accept_deletions=accept_deletions,
                on_progress=on_progress,
                on_event=on_event or _unheard,
                should_stop=should_stop or _never,
            )

    def _run(
        self,
        watch: Stopwatch,
        *,
        full: bool,
        accept_deletions: bool,
        on_progress: Callable[[IndexProgress], None] | None,
        on_event: Callable[[FileEvent], None],
        should_stop: Callable[[], bool],
    ) -> IndexReport:
        comparison, problems = self.compare(full=full)
        # Before the first of their files is indexed: a run that dies must not leave files whose mount nobody knows.
        note_mounts(self._catalog, comparison.mounts | comparison.lost)
        outdated = self._outdated()
        self._begin_reading()
        gatherer = Gatherer(
            self._files, self._reader, self._catalog, comparison, again=lambda path: full or outdated(path)
        )
        gatherer.tally.failures += problems
        progress = _Progress(gatherer, on_progress, watch)
        writer = Writer(
            embedder=self._embedder,
            cache=self._cache,
            catalog=self._catalog,
            index=self._index,
            advance=progress.advance,
            should_stop=should_stop,
            on_event=on_event,
        )
        try:
            self._follow(gatherer, writer)
            held = self._let_go(gatherer, writer, comparison, accept_deletions=accept_deletions)
        except Stopped:
            return self._report(
                gatherer,
                writer,
                watch.seconds(),
                interrupted=True,
                held=0,
                waiting=_waiting(gatherer, writer, comparison),
            )
        # What could not be read is read anew once it is there again, though its stat be the same.
        if unread := [file.id for file in (*comparison.held, *held) if outdated(file.path)]:
            self._catalog.unsettle(unread)
        kept = [*comparison.held, *held]
        note_mounts(
            self._catalog,
            comparison.mounts | {place for place in comparison.lost if any(lies_below(one, {place}) for one in kept)},
        )
        if self._catalog.meta(_READING) != self._reading.version:
            self._catalog.set_meta(_FORMATS, self._reading.formats())
            self._catalog.set_meta(_READING, self._reading.version)
        self._catalog.completed(datetime.now(UTC))
        if writer.embedded:
            # What follows takes a large model a while.
            progress.advance(Advance(doing="finishing", embedded=writer.embedded, reused=writer.reused))
        return self._report(gatherer, writer, watch.seconds(), held=len(held))

    def dry_run(self, *, full: bool = False) -> IndexReport:
        """What ``run`` would do with the files, by content, without splitting or embedding anything."""
        started = time.monotonic()
        comparison, problems = self.compare(full=full)
        gatherer = Gatherer(self._files, self._reader, self._catalog, comparison)
        gatherer.tally.failures += problems
        gatherer.survey()
        left = gatherer.departed.left()
        held = len(withheld(left, comparison))
        gatherer.tally.files["removed"] = len(left) - held
        return self._report(gatherer, None, time.monotonic() - started, held=held)

    def _outdated(self) -> Callable[[str], bool]:
        """Which files were read by rules that are no longer in force, as a function of their path."""
        if self._catalog.meta(_READING) in {self._reading.version, None}:
            return lambda _: False
        return self._reading.changed(self._catalog.meta(_FORMATS))

    def _begin_reading(self) -> None:
        """Note that files are being read by other rules than before.

        A run that stops among them leaves some read by each: none of those formats counts as read until one is through,
        whatever the rules are then.
        """
        if self._catalog.meta(_READING) not in {self._reading.version, None}:
            self._catalog.set_meta(_FORMATS, self._reading.common(self._catalog.meta(_FORMATS)))
            self._catalog.set_meta(_READING, "")

    def _follow(self, gatherer: Gatherer, writer: Writer) -> None:
        """Take in the files that are there.

        Raises:
            Stopped: The user asked to stop.
        """
        try:
            with ahead(gatherer.changes(), _passages, AHEAD) as changes:
                for change in changes:
                    writer.add(change)
            writer.flush()
        finally:
            self._catalog.refresh(gatherer.refreshed)

    def _let_go(
        self, gatherer: Gatherer, writer: Writer, comparison: Comparison, *, accept_deletions: bool
    ) -> list[KnownFile]:
        """Drop the files that are gone and were not found elsewhere; those of them that are kept all the same.

        Raises:
            Stopped: The user asked to stop.
        """
        gone = gatherer.departed.left()
        held = [] if accept_deletions else withheld(gone, comparison)
        kept = {file.id for file in held}
        dropped = [file for file in gone if file.id not in kept]
        for page in pages(dropped, _DROPPED_AT_ONCE):
            writer.remove(page)
            gatherer.tally.files["removed"] += len(page)
        return held

    def _report(
        self,
        gatherer: Gatherer,
        writer: Writer | None,
        seconds: float,
        *,
        held: int,
        interrupted: bool = False,
        waiting: int = 0,
    ) -> IndexReport:
        # What was read ahead and not written is not in the index, and not counted.
        files = gatherer.tally.files + (writer.done if writer else Counter())
        failures = sorted(set(gatherer.tally.failures), key=lambda one: (one.folder, one.path, one.reason))
        return IndexReport(
            added=files["added"],
            changed=files["changed"],
            moved=files["moved"],
            removed=files["removed"],
            unchanged=files["unchanged"],
            embedded=writer.embedded if writer else 0,
            reused=writer.reused if writer else 0,
            dropped=writer.dropped if writer else 0,
            total=self._catalog.count(),
            seconds=seconds,
            held=held,
            failures=tuple(failures),
            standing=tuple(one for one in failures if one in set(gatherer.tally.standing)),
            interrupted=interrupted,
            waiting=waiting,
            dry_run=writer is None,
        )


class _Progress:
    """Adds up what has been done and tells whoever asked."""

    def __init__(
        self, gatherer: Gatherer, on_progress: Callable[[IndexProgress], None] | None, watch: Stopwatch
    ) -> None:
        self._gatherer = gatherer
        self._on_progress = on_progress
        self._watch = watch
        self._read = 0
        self._files = 0
        self._size = 0.0

    def advance(self, step: Advance) -> None:
        """One more step is done."""
        self._files += step.files
        self._size += step.size
        self._read += step.read
        if self._on_progress is None:
            return
        self._on_progress(
            IndexProgress(
                files=self._files,
                files_total=self._gatherer.files_total,
                size=min(int(self._size), self._gatherer.size_total),
                size_total=self._gatherer.size_total,
                embedded=step.embedded,
                reused=step.reused,
                seconds=self._watch.seconds(),
                doing=step.doing,
                read=self._read,
            )
        )


def _waiting(gatherer: Gatherer, writer: Writer, comparison: Comparison) -> int:
    """How many files a run that was stopped leaves to the next one."""
    left = gatherer.departed.left()
    gone = len(left) - len(withheld(left, comparison)) - gatherer.tally.files["removed"]
    return gatherer.files_total - gatherer.settled - writer.done.total() + gone


def _unheard(_: FileEvent) -> None:
    """What happens to events where nobody listens."""


def _never() -> bool:
    return False


def _passages(change: FileChange) -> int:
    """How many passages a file has, itself counted: files without any are no reason to read all of them at once."""
    return 1 + len(change.passages)
