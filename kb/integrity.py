"""Integrity checks: an audit of the catalog when it is opened, and a comparison of each hit with its file."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.errors import CatalogDamaged
from kb.indexing.plan import identify
from kb.own_files import store_error_for
from kb.records import StoredPassage
from kb.search.verify import ReadFiles, Verifier
from kb.store.audit import CatalogStamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.ports import Files, Reader
    from kb.records import KnownFile, Source
    from kb.search.verify import FileStaleness
    from kb.store.catalog import SqliteCatalog

# In bytes. Opening a database for writing takes its write-ahead log and the log's index, 32 kB each.
_LEAST_FREE: Final = 2**17


class Integrity:
    """Audits the catalog of a store, and compares passages with their files.

    Args:
        path: The catalog's file.
        catalog: Returns the catalog.
        files: Returns the watched folders.
        reader: Returns the reader that splits files into passages.
        warn: Called with a sentence for the user.
    """

    def __init__(
        self,
        path: str,
        *,
        catalog: Callable[[], SqliteCatalog],
        files: Callable[[], Files],
        reader: Callable[[], Reader],
        warn: Callable[[str], None],
    ) -> None:
        self._path = Path(path)
        self._catalog = catalog
        self._files = files
        self._reader = reader
        self._warn = warn
        self._stamp = CatalogStamp(path)
        self._audited = False
        self._read = ReadFiles()

    def audit(self) -> None:
        """Check every row, once, of a catalog that changed since kb closed it.

        Raises:
            CatalogDamaged: It cannot be repaired row by row, or was found damaged earlier.
        """
        if self._audited or not self._exists:
            return
        if not self._stamp.is_unchanged() and (count := self._catalog().audit()):
            files = "1 file is" if count == 1 else f"{count} files are"
            self._warn(f"rows of the catalog were changed by something else: kb index reads {files} again")
        self._audited = True

    def skip_audit(self) -> None:
        """Mark a new catalog as audited."""
        self._audited = True

    def refuse_damage(self) -> None:
        """Raise if the catalog was found damaged while this process used it.

        Raises:
            CatalogDamaged: It was.
        """
        if self._catalog().damage:
            raise CatalogDamaged(self._catalog().damage)

    def save(self, damage: str) -> None:
        """Record the state of the closed catalog; the caller holds the lock."""
        if self._exists and (self._audited or damage):
            self._stamp.save(damage)

    def verifier(self, staleness: FileStaleness | None = None) -> Verifier:
        """A verifier for the hits of one answer, with what is known of their files already."""
        from kb.formats.decode import decode

        return Verifier(
            self._files(),
            lambda source: decode(source.data).text,
            self._split,
            self._distrust,
            self._read,
            staleness=staleness,
        )

    def passages(self, file: KnownFile) -> list[StoredPassage]:
        """The live passages of a file, in order, corrected from the file if it has not changed since."""
        verifier = self.verifier()
        checked = [verifier.checked(passage) for passage in self._catalog().passages_of(file.id)]
        return [passage for passage in checked if passage is not None]

    @property
    def _exists(self) -> bool:
        return is_there(str(self._path.parent), self._path.name)

    def _distrust(self, file: KnownFile) -> None:
        """Schedule a file to be read again because its passages differ from the catalog, and warn."""
        self._catalog().read_again([file.id])
        self._warn(f"{file.path}: the catalog did not say what stands in the file; kb index reads it again")

    def _split(self, file: KnownFile, source: Source) -> list[StoredPassage]:
        """The passages of a file as an index run would store them now."""
        document, passages = self._reader().read(source)
        described = replace(file, title=document.title, kind=document.kind, tags=document.tags, date=document.date)
        return [
            StoredPassage(
                id=one.id,
                file=described,
                text=one.text,
                heading=one.heading,
                first_line=one.first_line,
                last_line=one.last_line,
                page=one.page,
                digest=one.digest,
                ordinal=ordinal,
                place=one.place,
            )
            for ordinal, one in enumerate(identify(file.id, passages))
        ]


def is_there(store: str, catalog: str) -> bool:
    """Whether a store has a catalog, of any file type.

    Raises:
        StoreError: The store cannot be accessed.
    """
    try:
        Path(store, catalog).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise store_error_for(f"the store at {store}", error, store) from error
    return True


def only_readable(store: str) -> bool:
    """Whether a store is readable but not writable: by permissions, mount options, or because its disk is full."""
    if not os.access(store, os.R_OK | os.X_OK):
        return False
    return not os.access(store, os.W_OK) or shutil.disk_usage(store).free < _LEAST_FREE
