"""How far a knowledge base relies on its store: what is looked over when it is opened, and each hit beside its file."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kb.errors import CatalogDamaged
from kb.indexing.plan import identify
from kb.own_files import unusable
from kb.records import StoredPassage
from kb.search.verify import ReadFiles, Verifier
from kb.store.audit import CatalogStamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from kb.ports import Files, Reader
    from kb.records import KnownFile, Source
    from kb.store.catalog import SqliteCatalog


class Integrity:
    """Looks over the catalog of a store, and compares passages with their files.

    Args:
        path: The catalog's file.
        catalog: Opens the catalog.
        files: Opens the disk.
        reader: Makes what splits files into passages.
        warn: Tells the user what happened, in one sentence.
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
        self._looked_over = False
        self._read = ReadFiles()

    def look_over(self) -> None:
        """Look at every row of a catalog that is not as kb left it, once.

        Raises:
            CatalogDamaged: It cannot be mended row by row, or turned out to be damaged before.
        """
        if self._looked_over or not self._exists:
            return
        if not self._stamp.in_order() and (count := self._catalog().look_over()):
            files = "1 file is" if count == 1 else f"{count} files are"
            self._warn(f"rows of the catalog were changed by something else: kb index reads {files} again")
        self._looked_over = True

    def begin(self) -> None:
        """The catalog was begun anew: there is nothing to look over."""
        self._looked_over = True

    def refuse_damage(self) -> None:
        """Refuse a catalog that turned out to be damaged while this process used it.

        Raises:
            CatalogDamaged: It did.
        """
        if self._catalog().damage:
            raise CatalogDamaged(self._catalog().damage)

    def leave(self, damage: str) -> None:
        """Note how the catalog was left, once it is closed, under the lock of the store."""
        if self._exists and (self._looked_over or damage):
            self._stamp.leave(damage)

    def verifier(self) -> Verifier:
        """Lays the hits of one answer beside their files."""
        from kb.formats.decode import decode

        return Verifier(self._files(), lambda source: decode(source.data).text, self._split, self._distrust, self._read)

    def passages(self, file: KnownFile) -> list[StoredPassage]:
        """The live passages of a file, in order, as they stand in it where it has not changed since."""
        verifier = self.verifier()
        checked = [verifier.checked(passage) for passage in self._catalog().passages_of(file.id)]
        return [passage for passage in checked if passage is not None]

    @property
    def _exists(self) -> bool:
        return is_there(str(self._path.parent), self._path.name)

    def _distrust(self, file: KnownFile) -> None:
        """Have a file read again whose passages in the catalog are not those of the file, and tell of it."""
        self._catalog().read_again([file.id])
        self._warn(f"{file.path}: the catalog did not say what stands in the file; kb index reads it again")

    def _split(self, file: KnownFile, source: Source) -> list[StoredPassage]:
        """The passages of a file as an index run would keep them now."""
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
    """Whether a store has a catalog, whatever it is.

    Raises:
        StoreError: The store may not be looked into.
    """
    try:
        Path(store, catalog).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unusable(f"the store at {store}", error, store) from error
    return True


def only_readable(store: str) -> bool:
    """Whether a store can be read and not be written, by its permissions or by how its disk is mounted."""
    return os.access(store, os.R_OK | os.X_OK) and not os.access(store, os.W_OK)
