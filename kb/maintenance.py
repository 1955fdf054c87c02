"""Maintenance of a store: rebuilding the vector index, and noticing that an open store was deleted or replaced.

The index is rebuilt on request, and after a run once it holds more deleted passages than live ones.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.errors import CatalogDamaged, StoreError
from kb.indexing.rebuild import excess_deletions, postpone_rebuild
from kb.indexing.write import Stopped, fill_centroids
from kb.overview import MAP_FILE
from kb.store.damage import remove_set_aside

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.container import Container
    from kb.ports import EmbeddingRun
    from kb.records import FileEvent, IndexReport

_RECHECK_SECONDS: Final = 0.2


class StoreMonitor:
    """Checks whether an open store is still the one at its path.

    Args:
        container: The container of the process that holds the store.
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        # By file name: the object that has the file open, and the file's device and inode.
        self._seen: dict[str, tuple[object, int, int]] = {}

    def lost(self) -> str:
        """Why the store is lost, as a sentence without a full stop; empty if it is not.

        The first call, right after opening, records the identity of each file. Files that this process replaces are not
        lost. The caller holds the lock.
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

    def confirmed_lost(self) -> str:
        """Like ``lost``, confirmed by a second check, since this process may be replacing a file just now."""
        if not self.lost():
            return ""
        time.sleep(_RECHECK_SECONDS)
        return self.lost()

    def restore_lock(self) -> bool:
        """Recreate the lock's files if they were deleted; returns whether they were.

        Raises:
            StoreBusy: Another process holds a new lock file, on a file system where directories cannot be locked.
        """
        return self._container.lock.mend()

    def abandon(self) -> None:
        """Close a lost store without writing anything at its path."""
        self._container.abandon()

    def _same(self, name: str, part: object) -> bool:
        """Whether a file of the store is still the one that was recorded for its object."""
        try:
            found = Path(self._container.store_path, name).stat()
        except OSError:
            return False
        known = self._seen.get(name)
        if known is None or known[0] is not part:
            known = self._seen[name] = (part, found.st_dev, found.st_ino)
        return known[1:] == (found.st_dev, found.st_ino)


def rebuild_index(container: Container, on_event: Callable[[FileEvent], None] | None) -> tuple[str, EmbeddingRun]:
    """Rebuild the vector index on request, and delete the damaged files that were set aside.

    Those may hold the text of deleted notes, but are kept for inspection until the user asks for a rebuild. The map of
    the page, which holds words of notes, is removed too; the page makes it again.

    Returns:
        The new generation, and what embeds the texts whose vectors are missing.
    """
    generation, embedding = _rebuild_and_index(container, on_event)
    remove_set_aside(container.store_path)
    Path(container.store_path, MAP_FILE).unlink(missing_ok=True)
    return generation, embedding


def maintain_after_run(
    container: Container,
    report: IndexReport,
    on_event: Callable[[FileEvent], None] | None,
    should_stop: Callable[[], bool] | None,
) -> None:
    """Fill in missing centroids after a run, and rebuild an index with many deleted passages.

    The run itself has succeeded: if the rebuild fails, the index stays in use and the user is warned.
    """
    if not report.interrupted:
        fill_centroids(container.catalog, container.cache, container.embedder.fingerprint)
        container.store.settle_exact()
    deleted = excess_deletions(container.catalog, report.dropped)
    if not deleted or report.interrupted:
        return
    container.warn(f"the vector index still held {deleted} deleted passages: it is made anew")
    try:
        _rebuild_and_index(container, on_event, should_stop)
    except Stopped:
        # The old index stays in use; the next run tries again.
        return
    except CatalogDamaged:
        raise
    except StoreError as error:
        postpone_rebuild(container.catalog, deleted)
        container.warn(
            f"the vector index could not be made anew ({error.message}); it stays as it is until it holds "
            f"{2 * deleted} deleted passages, or kb rebuild is run"
        )


def _rebuild_and_index(
    container: Container,
    on_event: Callable[[FileEvent], None] | None,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[str, EmbeddingRun]:
    """Rebuild the vector index from catalog and cache, and read the files whose vectors are missing again.

    Raises:
        Stopped: The user stopped it before the new index was complete; the old one stays in use.
    """
    generation = container.vectors.rebuild(should_stop=should_stop or (lambda: False))
    container.catalog.compact()
    container.store.settle_exact(cache_filled=True)
    _, embedding = container.indexer.run(on_event=on_event, should_stop=should_stop)
    return generation, embedding
