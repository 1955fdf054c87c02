"""The life of the vector index: opened when first needed, probed when in doubt, made again when broken.

Doubt is an unclean end, or files that are not as kb left them: ChromaDB has no checksums, and a torn file can kill the
process that opens it or give wrong answers without a word.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import RLock
from typing import TYPE_CHECKING, Final, Protocol
from zlib import crc32

from kb.errors import StoreDamaged
from kb.interrupts import undisturbed
from kb.own_files import unusable, write_whole
from kb.ports import VectorIndex
from kb.store.chroma import DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kb.store.generations import Generations
    from kb.store.pairing import Pairing

# A copy of a vector index, for a store that cannot be written: ChromaDB writes wherever it is opened.

_REMEDY = "Make the store writable and run kb rebuild"


class CopiedIndex:
    """The index of a generation, opened in a temporary folder, which goes with it.

    Args:
        generation: The directory of the generation.
        open_index: Opens the index in a directory.
        pairing: Tells an index that is not that of the catalog.

    Raises:
        StoreDamaged: It cannot be read, or is not that of the catalog.
    """

    def __init__(self, generation: str, open_index: OpenIndex, pairing: Pairing) -> None:
        self._folder = TemporaryDirectory(prefix="kb-")
        copy = os.path.join(self._folder.name, "index")  # noqa: PTH118  # plain strings throughout the stores
        try:
            shutil.copytree(generation, copy)
        except (OSError, shutil.Error) as error:
            raise StoreDamaged(f"the vector index {generation} cannot be read: {error}", _REMEDY) from error
        self.index: ClosableIndex = open_index(copy, create=False)
        difference = "another catalog's" if pairing.tied(copy) is False else None
        difference = difference or pairing.difference(self.index, thoroughly=True)
        if difference is not None:
            self.close()
            raise StoreDamaged(f"the vector index {generation} is not that of the catalog ({difference})", _REMEDY)

    def close(self) -> None:
        """Close the index and remove the copy."""
        self.index.close()
        self._folder.cleanup()


STAMP_FILE: Final = "left"


class ClosableIndex(VectorIndex, Protocol):
    """A vector index that lets go of its files."""

    def close(self) -> None:
        """Close the files in order."""


class OpenIndex(Protocol):
    """Opens the vector index of one generation."""

    def __call__(self, directory: str, *, create: bool) -> ClosableIndex:
        """The index in a directory; ``create`` where the directory is new and empty."""


class Source(Protocol):
    """What generations of the vector index are opened with and filled from."""

    def open(self, directory: str, *, create: bool) -> ClosableIndex:
        """The index in a directory; ``create`` where the directory is new and empty."""

    def probe(self, directory: str) -> str | None:
        """Try a generation in a process of its own; the reason where it is not sound."""

    def refill(self, index: VectorIndex, should_stop: Callable[[], bool]) -> None:
        """Fill a new, empty index from the record, and raise where it is told to stop."""

    def generation(self) -> str | None:
        """The generation the catalog belongs to; None where the catalog is new or knows none."""

    def came_into_service(self, generation: str) -> None:
        """Have the catalog belong to this generation from now on."""


def _sum_of(path: Path) -> int | None:
    """The CRC-32 of a file; None if it cannot be read."""
    sum_ = 0
    try:
        with path.open("rb") as stream:
            while part := stream.read(1 << 20):
                sum_ = crc32(part, sum_)
    except OSError:
        return None
    return sum_


class VectorStore:
    """One vector index over time.

    Args:
        generations: The directories of the store.
        source: What generations are opened with and filled from.
        pairing: Ties each generation to the catalog, and tells one that is another catalog's.
        warn: Tells the user what happened.
    """

    def __init__(self, generations: Generations, source: Source, pairing: Pairing, warn: Callable[[str], None]) -> None:
        self._generations = generations
        self._source = source
        self._pairing = pairing
        self._warn = warn
        self._open: ClosableIndex | None = None
        self._doubted = False
        # Held while the index is opened, asked or replaced. Writing goes on beside questions.
        self._swapping = RLock()

    def index(self) -> VectorIndex:
        """The index, opened, and made again first where it is missing or broken."""
        with self._swapping:
            if self._open is None:
                return self._serve()
            return self._open

    @contextmanager
    def using(self) -> Iterator[VectorIndex]:
        """The index for a while in which no other generation takes its place."""
        with self._swapping:
            yield self.index()

    @property
    def opened(self) -> bool:
        """Whether the index is open."""
        return self._open is not None

    def rebuild(self, reason: str = "", should_stop: Callable[[], bool] = lambda: False) -> str:
        """Make the index again beside the old one, switch to it, and remove the old one.

        Args:
            reason: What is wrong with the old one, which is then set aside instead of removed.
            should_stop: Asked now and then while the new one is filled. Where that ends, for this or any other reason,
                nothing is left of the new one, and the old one is served as before.

        Returns:
            The name of the new generation.
        """
        clean = self._open is None and not self._generations.is_unclean()
        self._generations.mark_unclean()
        old = self._generations.current()
        name = self._generations.begin()
        try:
            with undisturbed():
                fresh = self._source.open(self._generations.path(name), create=True)
            try:
                self._source.refill(fresh, should_stop)
            finally:
                fresh.close()
        except BaseException:
            self._generations.discard(name)
            if clean:
                # The old one was not touched, and is as it was left.
                self._generations.mark_clean()
            raise
        with self._swapping, undisturbed():
            self._let_go()
            if old is not None and reason:
                self._generations.set_aside(old)
            self._enter_service(name)
        return name

    def restart(self) -> None:
        """Begin an empty generation, for another model; the old one is removed."""
        with self._swapping:
            self._let_go()
            self._generations.mark_unclean()
            name = self._generations.begin()
            self._source.open(self._generations.path(name), create=True).close()
            self._enter_service(name)

    def doubt(self) -> None:
        """The index gave an error: it is probed before it is served again."""
        with self._swapping:
            self._let_go()
            self._doubted = True

    def close(self) -> None:
        """Close the index in order and note how its files were left."""
        with self._swapping:
            if self._open is None:
                return
            self._let_go()
            if not self._doubted:
                self._leave()

    def abandon(self) -> None:
        """Let go of an index whose store is not at its place any more, and note nothing there."""
        with self._swapping:
            self._let_go()

    def lost(self) -> bool:
        """Whether the files of the open index are not there any more."""
        if self._open is None:
            return False
        name = self._generations.current()
        return name is None or not Path(self._generations.path(name), DATABASE).is_file()

    def trusted(self) -> bool:
        """Whether the generation in service can be served as it is, by the marks alone."""
        if self._open is not None:
            return True
        name = self._generations.current()
        if name is None or name != self._source.generation() or not self._in_order():
            return False
        return self._pairing.tied(self._generations.path(name)) is True

    def _serve(self) -> ClosableIndex:
        """Open the generation in service; where it cannot be trusted make a new one first."""
        name = self._generations.current()
        if name is None or name != self._source.generation():
            self.rebuild()
        else:
            in_order = self._in_order()
            if reason := self._unsound(name):
                self._replace(f"the vector index is damaged ({reason})", reason)
            else:
                self._serve_if_it_belongs(name, in_order=in_order)
        if self._open is not None:
            return self._open
        try:
            return self._opened()
        except StoreDamaged as error:
            self._replace(f"the vector index is damaged ({error.message})", error.message)
            return self._opened()

    def _serve_if_it_belongs(self, name: str, *, in_order: bool) -> None:
        """Open a sound generation and serve it where it is that of the catalog; else make a new one."""
        directory = self._generations.path(name)
        tied = self._pairing.tied(directory)
        if tied is False:
            self._replace("the vector index belongs to another catalog", "another catalog's")
            return
        if not in_order and (changed := self._changed()):
            self._replace(f"the vector index is damaged ({changed} was changed by something else)", changed)
            return
        thoroughly = tied is None or not in_order or self._left().get("passages") != self._pairing.passages()
        try:
            difference = self._pairing.difference(self._opened(), thoroughly=thoroughly)
        except StoreDamaged as error:
            difference = error.message
        if difference is not None:
            self._let_go()
            self._replace(f"the vector index does not fit its catalog ({difference})", difference)
        elif tied is None:
            self._pairing.tie(directory)

    def _replace(self, told: str, reason: str) -> None:
        """Set the generation in service aside and make another."""
        self._warn(f"{told}; it is set aside and made again from the catalog")
        self.rebuild(reason)

    def _opened(self) -> ClosableIndex:
        # Interrupted in the middle, nobody would close it, and it would have to be examined the next time.
        with undisturbed():
            self._generations.mark_unclean()
            opened = self._open = self._source.open(self._directory(), create=False)
        return opened

    def _unsound(self, name: str) -> str | None:
        """Why a generation cannot be served, as far as the marks and a probe tell."""
        in_order = self._in_order()
        self._doubted = False
        return None if in_order else self._source.probe(self._generations.path(name))

    def _in_order(self) -> bool:
        """Whether the last end was clean and the files are as they were left then."""
        return not self._generations.is_unclean() and not self._doubted and self._stamp() == self._left().get("files")

    def _enter_service(self, name: str) -> None:
        """Serve a generation from now on, and remove all others."""
        self._pairing.tie(self._generations.path(name))
        self._generations.switch(name)
        self._source.came_into_service(name)
        self._generations.sweep()
        self._leave()

    def _let_go(self) -> None:
        if self._open is not None:
            open_, self._open = self._open, None
            open_.close()

    def _leave(self) -> None:
        """Note that all is in order: how the files are and which passages they hold, then that the end was clean."""
        files = self._stamp()
        left = {"files": files, "passages": self._pairing.passages(), "sums": self._sums(files)}
        place = self._stamp_path()
        try:
            write_whole(place, json.dumps(left))
        except OSError as error:
            raise unusable(f"the store at {place.parent}", error, str(place)) from error
        self._generations.mark_clean()

    def _left(self) -> dict[str, object]:
        """What was noted at the last clean end; an earlier kb noted the files alone."""
        try:
            left = json.loads(self._stamp_path().read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(left, dict):
            return {}
        return left if {"files", "passages"} <= left.keys() <= {"files", "passages", "sums"} else {"files": left}

    def _sums(self, files: dict[str, list[int]]) -> dict[str, int | None]:
        """The CRC-32 of each file of the graph. A file that is as it was left is not read again."""
        left = self._left()
        before = stamps if isinstance(stamps := left.get("files"), dict) else {}
        known = sums if isinstance(sums := left.get("sums"), dict) else {}
        root = Path(self._directory())
        return {
            path: known[path] if path in known and before.get(path) == stamp else _sum_of(root / path)
            for path, stamp in files.items()
            # The graph lies in a folder of its own, beside SQLite's files and kb's.
            if os.sep in path
        }

    def _changed(self) -> str | None:
        """A file of the graph whose content is not what it was at the last clean end; None after an unclean one.

        ChromaDB has no checksums for them, and one bit decides which passage a point of the graph is: neither a probe
        nor a comparison of ids and vectors sees that in a large index.
        """
        sums = self._left().get("sums")
        if self._generations.is_unclean() or not isinstance(sums, dict):
            return None
        root = Path(self._directory())
        return next((path for path, known in sums.items() if _sum_of(root / path) != known), None)

    def _stamp(self) -> dict[str, list[int]]:
        """Size and modification time of each file of the generation in service."""
        root = Path(self._directory())
        try:
            return {
                str(path.relative_to(root)): [path.stat().st_size, path.stat().st_mtime_ns]
                for path in sorted(root.rglob("*"))
                if path.is_file() and not path.is_symlink()
            }
        except OSError as error:
            raise unusable(f"the vector index in {root}", error, str(root)) from error

    def _stamp_path(self) -> Path:
        return Path(self._directory()).parent / STAMP_FILE

    def _directory(self) -> str:
        """Where the generation in service lies.

        Raises:
            StoreDamaged: There is none.
        """
        name = self._generations.current()
        if name is None:
            raise StoreDamaged("the vector index is gone from the store", "Run kb rebuild")
        return self._generations.path(name)
