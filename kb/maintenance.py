"""What a store needs now and then: its vector index made anew, and what was set aside as damaged removed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.errors import CatalogDamaged, StoreError
from kb.indexing.rebuild import put_off, worn_out
from kb.indexing.write import Stopped, fill_centroids
from kb.records import RebuildReport
from kb.store.damage import remove_set_aside

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.container import Container
    from kb.records import FileEvent, IndexReport

# Sees what happens to a store under the process that owns it for long: deleted, moved away, replaced by another.

_TWICE: Final = 0.2


class Guard:
    """Looks after the files of a store that is open.

    Args:
        container: The parts of its owner.
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        # Which file a part has open, by its name: the part, and what tells the file from the next one of its name.
        self._seen: dict[str, tuple[object, int, int]] = {}

    def lost(self) -> str:
        """What happened to the store, as a sentence without full stop; empty where nothing did.

        Only for the owner, who has all of it open, and asks once when it has opened it: by that, files are known again.
        Those that this process exchanged itself are not lost.
        """
        container = self._container
        where = f"from the store at {container.store_path}"
        if not container.lock.in_place():
            there = Path(container.store_path).is_dir()
            return f"the store at {container.store_path} was {'replaced by another folder' if there else 'removed'}"
        store = container.opened
        if store is None:
            return ""
        for name, part in store.files():
            if not self._same(name, part):
                return f"{name} was removed {where}"
        vectors = store.vectors.built
        return f"the vector index was removed {where}" if vectors is not None and vectors.lost() else ""

    def gone(self) -> str:
        """The same, seen twice: a file that is just being exchanged by this process is not lost."""
        if not self.lost():
            return ""
        time.sleep(_TWICE)
        return self.lost()

    def mend_lock(self) -> bool:
        """Make the lock's files again where they were deleted; says whether they were.

        Raises:
            StoreBusy: Another process has a lock file of its own, where no directory can be locked.
        """
        return self._container.lock.mend()

    def abandon(self) -> None:
        """Let go of a store that was lost, in place of closing it: nothing is written where it was."""
        self._container.abandon()

    def _same(self, name: str, part: object) -> bool:
        """Whether a file of the store is the one that a part opened, as far as this was asked before."""
        try:
            found = Path(self._container.store_path, name).stat()
        except OSError:
            return False
        known = self._seen.get(name)
        if known is None or known[0] is not part:
            known = self._seen[name] = (part, found.st_dev, found.st_ino)
        return known[1:] == (found.st_dev, found.st_ino)


def rebuilt(container: Container, on_event: Callable[[FileEvent], None] | None) -> RebuildReport:
    """Make the vector index again because somebody asked for it, and remove what was set aside as damaged.

    Only what was asked for removes that: it holds the text of notes, those deleted since among them, and until then it
    is there for whoever wants to know what happened.
    """
    report = _renewed(container, on_event, _never)
    remove_set_aside(container.store_path)
    return report


def tidied(
    container: Container,
    report: IndexReport,
    on_event: Callable[[FileEvent], None] | None,
    should_stop: Callable[[], bool] | None,
) -> None:
    """See to what an index run leaves behind: other passages to measure by, and dead ones in the vector index.

    The run itself is over and went well: an index that cannot be made anew stays as it is, and is told.
    """
    if not report.interrupted:
        fill_centroids(container.catalog, container.cache, container.embedder.fingerprint)
    # Whoever stopped a run does not want to wait for this; the run that goes on comes here.
    if report.embedded and not report.interrupted:
        container.searcher.measure()
    dead = worn_out(container.catalog, report.dropped)
    if not dead or report.interrupted:
        return
    container.warn(f"the vector index still held {dead} deleted passages: it is made anew")
    try:
        _renewed(container, on_event, should_stop or _never)
    except Stopped:
        # The index of before is served as ever; the end of the next run comes here again.
        return
    except CatalogDamaged:
        raise
    except StoreError as error:
        put_off(container.catalog, dead)
        container.warn(
            f"the vector index could not be made anew ({error.message}); it stays as it is until it holds "
            f"{2 * dead} deleted passages, or kb rebuild is run"
        )


def _renewed(
    container: Container, on_event: Callable[[FileEvent], None] | None, should_stop: Callable[[], bool]
) -> RebuildReport:
    """Make the vector index again from catalog and cache, and index what the cache lacks.

    Raises:
        Stopped: The user asked to stop before the new index was filled; the old one is served on.
    """
    started = time.monotonic()
    generation = container.vectors.rebuild(should_stop=should_stop)
    container.catalog.compact()
    report = container.indexer.run(on_event=on_event, should_stop=should_stop)
    total = container.index().count()
    return RebuildReport(
        generation=generation,
        reused=total - report.embedded,
        embedded=report.embedded,
        seconds=time.monotonic() - started,
    )


def _never() -> bool:
    return False
