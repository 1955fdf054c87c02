"""The vector index in a store's own folder: opened on first use, checked if it may be damaged, and rebuilt if it is.

It may be damaged if it was not closed properly, or if its files changed since. ChromaDB has no checksums, and a torn
file can crash the process that opens it or silently give wrong answers. ``CopiedIndex`` is for read-only stores.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import RLock
from typing import TYPE_CHECKING, Final, Protocol

from kb.errors import StoreDamaged, StoreError
from kb.interrupts import undisturbed
from kb.own_files import store_error_for, write_atomically
from kb.store.index_stamp import IndexStamp
from kb.store.local_chroma import DATABASE
from kb.store.pairing import Pairing, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kb.ports import KnownVectors, VectorIndex
    from kb.store.generations import Generations
    from kb.store.vectors import ClosableIndex

_REMEDY: Final = "Make the store writable and run kb rebuild"
ID_FILE: Final = "kb.id"


class GenerationSource(Protocol):
    """Opens, probes and fills generations of the vector index."""

    def open(self, directory: str, *, create: bool) -> ClosableIndex:
        """The index in a directory; with ``create``, in a new and empty one."""

    def probe(self, directory: str) -> str | None:
        """Test a generation in a child process; returns what is wrong with it, or None."""

    def refill(
        self,
        index: VectorIndex,
        should_stop: Callable[[], bool],
        previous: KnownVectors,
    ) -> None:
        """Fill a new, empty index from catalog and cache, or with what ``previous`` returns for ids.

        Raises:
            Stopped: ``should_stop`` returned True.
        """

    def generation(self) -> str | None:
        """The generation recorded in the catalog; None if there is none."""

    def activate_generation(self, generation: str) -> None:
        """Record a generation in the catalog."""


def read_id(directory: str) -> str:
    """The id of a generation; empty if it has none."""
    try:
        return Path(directory, ID_FILE).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def write_id(directory: str, id_: str) -> None:
    """Give a generation an id.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        write_atomically(Path(directory, ID_FILE), f"{id_}\n")
    except OSError as error:
        raise store_error_for(f"the vector index in {directory}", error, directory) from error


class CopiedIndex:
    """A copy of a generation in a temporary directory, since ChromaDB writes to every store that it opens.

    Args:
        generation: The directory of the generation.
        source: Opens the index in a directory.
        pairing: Checks that the index belongs to the catalog.

    Raises:
        StoreDamaged: It cannot be read, or does not belong to the catalog.
    """

    def __init__(self, generation: str, source: GenerationSource, pairing: Pairing) -> None:
        with ExitStack() as opened:
            folder = opened.enter_context(TemporaryDirectory(prefix="kb-"))
            copy = os.path.join(folder, "index")  # noqa: PTH118  # plain strings throughout the stores
            try:
                shutil.copytree(generation, copy)
            except (OSError, shutil.Error) as error:
                raise StoreDamaged(f"the vector index {generation} cannot be read: {error}", _REMEDY) from error
            self.index: ClosableIndex = source.open(copy, create=False)
            opened.callback(self.index.close)
            difference = "another catalog's" if pairing.is_paired(read_id(copy)) is False else None
            difference = difference or pairing.difference(self.index, thoroughly=True)
            if difference is not None:
                raise StoreDamaged(
                    f"the vector index {generation} does not belong to the catalog ({difference})", _REMEDY
                )
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Close the index and remove the copy. Closing again is allowed."""
        self._opened.close()


class LocalVectors:
    """The vector index in a store's folder and its generations. Implements ``kb.store.vectors.VectorStore``.

    Args:
        generations: The directories of the generations.
        source: Opens, probes and fills generations.
        pairing: Checks that a generation belongs to the catalog.
        warn: Called with a sentence for the user.
    """

    def __init__(
        self, generations: Generations, source: GenerationSource, pairing: Pairing, warn: Callable[[str], None]
    ) -> None:
        self._generations = generations
        self._source = source
        self._pairing = pairing
        self._warn = warn
        self._stamp = IndexStamp(generations)
        self._open: ClosableIndex | None = None
        self._suspect = False
        # Held while the index is opened, queried or replaced, but not while it is written.
        self._replacing = RLock()

    def index(self) -> VectorIndex:
        """The index, opened if necessary, and rebuilt if it is missing or damaged."""
        with self._replacing:
            if self._open is None:
                return self._open_current()
            return self._open

    @contextmanager
    def using(self) -> Iterator[VectorIndex]:
        """The index, which is not replaced until the context is left."""
        with self._replacing:
            yield self.index()

    def rebuild(self, reason: str = "", should_stop: Callable[[], bool] = lambda: False) -> str:
        """Build a new generation, switch to it, and delete the old one.

        Vectors that the cache lacks are taken from the old one if that is sound. If the rebuild fails or is stopped,
        the new generation is deleted and the old one stays in use.

        Args:
            reason: What is wrong with the old generation, which is then set aside instead of deleted.
            should_stop: Called at intervals while the new generation is filled.

        Returns:
            The name of the new generation.
        """
        clean = self._open is None and not self._generations.is_unclean()
        sound = not reason and self.is_usable()
        self._generations.mark_unclean()
        old = self._generations.current()
        name = self._generations.begin()
        try:
            with undisturbed():
                fresh = self._source.open(self._generations.path(name), create=True)
            try:
                self._source.refill(fresh, should_stop, self._vectors if sound else lambda _: {})
            finally:
                fresh.close()
        except BaseException:
            self._generations.discard(name)
            if clean and self._open is None:
                # The old generation was not opened.
                self._generations.mark_clean()
            raise
        with self._replacing, undisturbed():
            self._close_index()
            if old is not None and reason:
                self._generations.set_aside(old)
            self._activate(name)
        return name

    def _vectors(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors of some ids in the old generation; none if it turns out to be damaged."""
        try:
            with self._replacing:
                return (self._open or self._opened()).vectors(ids)
        except StoreError:
            return {}

    def restart(self) -> None:
        """Replace the index by an empty generation, for another model."""
        with self._replacing:
            self._close_index()
            self._generations.mark_unclean()
            name = self._generations.begin()
            self._source.open(self._generations.path(name), create=True).close()
            self._activate(name)

    def mark_suspect(self) -> None:
        """Close the index after an error, so that it is probed before it is used again."""
        with self._replacing:
            self._close_index()
            self._suspect = True

    def close(self) -> None:
        """Close the index and record the state of its files."""
        with self._replacing:
            if self._open is None:
                return
            self._close_index()
            if not self._suspect:
                self._stamp.save(self._pairing.passages())

    def abandon(self) -> None:
        """Close the index of a lost store without recording anything."""
        with self._replacing:
            self._close_index()

    def lost(self) -> bool:
        """Whether the files of the open index were deleted."""
        if self._open is None:
            return False
        name = self._generations.current()
        return name is None or not Path(self._generations.path(name), DATABASE).is_file()

    def is_usable(self) -> bool:
        """Whether the current generation needs no check or rebuild, judged without opening it."""
        if self._open is not None:
            return True
        name = self._generations.current()
        if name is None or name != self._source.generation() or not self._is_clean():
            return False
        return self._pairing.is_paired(read_id(self._generations.path(name))) is True

    def _open_current(self) -> ClosableIndex:
        """Open the current generation, after a rebuild if it is damaged or unpaired."""
        name = self._generations.current()
        expected = self._source.generation()
        if name is None or name != expected:
            if name is None and expected:
                self._warn("the vector index is missing from the store; it is rebuilt from the catalog")
            self.rebuild()
        else:
            clean = self._is_clean()
            # Before ChromaDB is opened, in the probe's process too: it may write its files again.
            changed = None if clean else self._stamp.changed()
            if reason := self._probe_failure(name):
                self._replace(f"the vector index is damaged ({reason})", reason)
            else:
                self._open_if_paired(name, clean=clean, changed=changed)
        if self._open is not None:
            return self._open
        try:
            return self._opened()
        except StoreDamaged as error:
            self._replace(f"the vector index is damaged ({error.message})", error.message)
            return self._opened()

    def _open_if_paired(self, name: str, *, clean: bool, changed: str | None) -> None:
        """Open a generation that passed the probe if it belongs to the catalog; otherwise rebuild.

        Args:
            name: The generation.
            clean: Whether it was closed properly and its files were unchanged.
            changed: A file of the graph that another program had changed; None if there was none.
        """
        directory = self._generations.path(name)
        paired = self._pairing.is_paired(read_id(directory))
        if paired is False:
            self._replace("the vector index belongs to another catalog", "another catalog's")
            return
        if changed:
            self._replace(f"the vector index is damaged ({changed} was changed by another program)", changed)
            return
        live = self._pairing.live()
        thoroughly = paired is None or not clean or self._stamp.passages() != self._pairing.passages(live)
        try:
            difference = self._pairing.difference(self._opened(), thoroughly=thoroughly, live=live)
        except StoreDamaged as error:
            difference = error.message
        if difference is not None:
            self._close_index()
            self._replace(f"the vector index does not match its catalog ({difference})", difference)
        elif paired is None:
            self._pair(directory)

    def _replace(self, message: str, reason: str) -> None:
        """Set the current generation aside and build another."""
        self._warn(f"{message}; it is set aside and rebuilt from the catalog")
        self.rebuild(reason)

    def _opened(self) -> ClosableIndex:
        # Otherwise an interruption would leave it open, and it would have to be probed the next time.
        with undisturbed():
            self._generations.mark_unclean()
            opened = self._open = self._source.open(self._generations.directory(), create=False)
        return opened

    def _probe_failure(self, name: str) -> str | None:
        """What a probe finds wrong with a generation; None if it is sound or was left clean."""
        clean = self._is_clean()
        self._suspect = False
        return None if clean else self._source.probe(self._generations.path(name))

    def _is_clean(self) -> bool:
        """Whether the generation was closed properly and its files are unchanged since."""
        return not self._suspect and self._stamp.is_clean()

    def _activate(self, name: str) -> None:
        """Switch to a generation and delete all others."""
        self._pair(self._generations.path(name))
        self._generations.switch(name)
        self._source.activate_generation(name)
        self._generations.sweep()
        self._stamp.save(self._pairing.passages())

    def _pair(self, directory: str) -> None:
        """Give a generation a new id, which the catalog then knows it by."""
        id_ = new_id()
        write_id(directory, id_)
        self._pairing.pair(id_)

    def _close_index(self) -> None:
        if self._open is not None:
            open_, self._open = self._open, None
            open_.close()
