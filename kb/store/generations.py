"""The generations of the vector index in a store: which one is in use, and how it is replaced.

A kill can tear ChromaDB's files, and they never shrink. So a new index is built next to the old one, and one rename
switches to it. A method that is interrupted at any step leaves a store that the next start can use.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.errors import ForeignStore, StoreDamaged, StoreError
from kb.own_files import clear_path, damaged_name, store_error_for, write_atomically
from kb.system.files import sync_directory, sync_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CURRENT_FILE: Final = "current"
UNCLEAN_FILE: Final = "unclean"
GENERATION: Final = re.compile(r"generation-(\d{4,9})")
DAMAGED: Final = re.compile(r"damaged-\d{8}T\d{6}\.\d{6}Z")
# The last number that this process used in each store, which survives deletion of the store.
_BEGUN: Final[dict[Path, int]] = {}


class Generations:
    """The layout of one store. Only the holder of the store's lock may change anything.

    Args:
        store: The store's directory; created if missing, accessible to the user only.
        now: The clock for the names of damaged generations.
        on_step: Called with the name of each step before the disk is changed.

    Raises:
        ForeignStore: ChromaDB's files are in the directory itself, where kb never puts them.
        StoreError: The directory cannot be used.
    """

    def __init__(
        self,
        store: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = Path(os.path.realpath(store))
        self._now = now
        self._step = on_step
        self._begun = _BEGUN.get(self._store, 0)
        with self._translated_errors():
            if (self._store / "chroma.sqlite3").exists():
                raise ForeignStore(
                    f"{self._store} contains a ChromaDB store that kb did not make",
                    "Set store.path to a folder of its own",
                )
            self._store.mkdir(mode=0o700, parents=True, exist_ok=True)

    def current(self) -> str | None:
        """The name of the generation in use; None if there is none."""
        name = self._current_name()
        return name if name is not None and _is_directory(self._store / name) else None

    def path(self, name: str) -> str:
        """The directory of a generation."""
        if GENERATION.fullmatch(name) is None:
            raise ValueError(f"not the name of a generation: {name!r}")
        return str(self._store / name)

    def directory(self) -> str:
        """The directory of the generation in use.

        Raises:
            StoreDamaged: There is none.
        """
        name = self.current()
        if name is None:
            raise StoreDamaged("the vector index is missing from the store", "Run kb rebuild")
        return self.path(name)

    def begin(self) -> str:
        """Create an empty directory for the next generation, which is not in use yet.

        Remains of interrupted calls are deleted first. A name is never used twice.
        """
        with self._translated_errors():
            self._begun = _BEGUN[self._store] = self._last_number() + 1
            name = f"generation-{self._begun:04d}"
            self.sweep()
            self._step("make the directory")
            (self._store / name).mkdir(mode=0o700)
            self._sync_directory(self._store)
        return name

    def adopt(self, directory: str) -> str:
        """Move a complete generation from elsewhere in the store to its place, not in use yet; returns its name."""
        with self._translated_errors():
            self._begun = _BEGUN[self._store] = self._last_number() + 1
            name = f"generation-{self._begun:04d}"
            self._step("move the generation")
            Path(directory).rename(self._store / name)
            self._sync_directory(self._store)
        return name

    def switch(self, name: str) -> None:
        """Use this generation from now on. The previous one stays on the disk until it is discarded."""
        with self._translated_errors():
            if not _is_directory(Path(self.path(name))):
                raise StoreError(f"there is no {name} in the store at {self._store}", "Run kb rebuild")
            self._sync_tree(Path(self.path(name)))
            self._step("write the name")
            write_atomically(self._store / CURRENT_FILE, f"{name}\n", self._step)
            self._sync_directory(self._store)

    def set_aside(self, name: str) -> str:
        """Take a damaged generation out of use, and return the new path of its files.

        Only the newest one is kept, since each is as large as the index and useful only for diagnosis.
        """
        with self._translated_errors():
            target = self._store / damaged_name(self._now())
            self._step("rename the damaged generation")
            Path(self.path(name)).rename(target)
            self._sync_directory(self._store)
            for old in self._damaged()[:-1]:
                self._step("remove an older damaged generation")
                shutil.rmtree(old)
        return str(target)

    def discard(self, name: str) -> None:
        """Delete a generation that is not in use; it need not exist."""
        if name == self._current_name():
            raise ValueError(f"{name} is in use")
        with self._translated_errors(), contextlib.suppress(FileNotFoundError):
            self._step("remove a generation")
            shutil.rmtree(self.path(name))

    def sweep(self) -> None:
        """Delete all generations except the one in use."""
        with self._translated_errors():
            names = self._names()
        for name in names:
            if name != self._current_name():
                self.discard(name)

    def discard_all(self) -> None:
        """Delete every generation, with what says which one is in use and how it was left."""
        with self._translated_errors():
            self._step("remove the name")
            (self._store / CURRENT_FILE).unlink(missing_ok=True)
            for name in self._names():
                self.discard(name)
            (self._store / UNCLEAN_FILE).unlink(missing_ok=True)

    def mark_unclean(self) -> None:
        """Record durably that ChromaDB's files are about to be opened."""
        with self._translated_errors():
            self._step("write the mark")
            write_atomically(self._store / UNCLEAN_FILE, "", self._step)
            self._sync_directory(self._store)

    def mark_clean(self) -> None:
        """Flush ChromaDB's files, which it does not do itself, and record that it was closed properly."""
        with self._translated_errors():
            name = self.current()
            if name is not None:
                self._sync_tree(self._store / name)
            self._step("remove the mark")
            clear_path(self._store / UNCLEAN_FILE)
            (self._store / UNCLEAN_FILE).unlink(missing_ok=True)
            self._sync_directory(self._store)

    def is_unclean(self) -> bool:
        """Whether ChromaDB was not closed properly."""
        return (self._store / UNCLEAN_FILE).exists()

    def _current_name(self) -> str | None:
        """The name in the current file, whether its directory exists or not."""
        try:
            name = (self._store / CURRENT_FILE).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return name if GENERATION.fullmatch(name) else None

    def _names(self) -> list[str]:
        with os.scandir(self._store) as entries:
            return sorted(entry.name for entry in entries if _is_generation(entry))

    def _last_number(self) -> int:
        """The highest number on the disk or used by this process, since ChromaDB may cache a discarded directory.

        The name in the current file counts, because its directory may have been set aside.
        """
        names = [*self._names(), self._current_name() or "generation-0000"]
        return max(self._begun, *(int(name.partition("-")[2]) for name in names))

    def _damaged(self) -> list[Path]:
        return sorted(path for path in self._store.iterdir() if DAMAGED.fullmatch(path.name))

    def _sync_tree(self, directory: Path) -> None:
        self._step("flush a generation")
        for path in (*_files(directory), *(path for path in directory.rglob("*") if _is_directory(path)), directory):
            self._sync(path)

    def _sync_directory(self, directory: Path) -> None:
        self._step("flush a directory")
        self._sync(directory)

    @staticmethod
    def _sync(path: Path) -> None:
        (sync_directory if path.is_dir() else sync_file)(str(path))

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Translate errors of the file system into StoreError."""
        try:
            yield
        except OSError as error:
            raise store_error_for(f"the store at {self._store}", error, str(self._store)) from error


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_generation(entry: os.DirEntry[str]) -> bool:
    return GENERATION.fullmatch(entry.name) is not None and entry.is_dir(follow_symlinks=False)


def _files(directory: Path) -> Iterator[Path]:
    """The regular files below a directory."""
    return (path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
