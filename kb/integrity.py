"""How far a knowledge base relies on its store: what is looked over when it is opened, and each hit beside its file."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kb.errors import CatalogDamaged
from kb.index.plan import identify
from kb.records import StoredPassage
from kb.search.verify import ReadFiles, Verifier
from kb.store.catalog_stamp import CatalogStamp
from kb.store.own_files import unusable

if TYPE_CHECKING:
    from kb.parts import Parts
    from kb.records import KnownFile, Source


class Integrity:
    """Looks over the catalog of some parts, and lays passages beside their files.

    Args:
        parts: The parts.
        catalog: The catalog's file.
    """

    def __init__(self, parts: Parts, catalog: str) -> None:
        self._parts = parts
        self._catalog = catalog
        self._looked_over = False
        self._read = ReadFiles()

    def look_over(self) -> None:
        """Look at every row of a catalog that is not as kb left it, once.

        Raises:
            CatalogDamaged: It cannot be mended row by row, or turned out to be damaged before.
        """
        if self._looked_over or not self._parts.exists:
            return
        if not self._stamp.in_order() and (count := self._parts.catalog.look_over()):
            files = "1 file is" if count == 1 else f"{count} files are"
            self._parts.warn(f"rows of the catalog were changed by something else: kb index reads {files} again")
        self._looked_over = True

    def begin(self) -> None:
        """The catalog was begun anew: there is nothing to look over."""
        self._looked_over = True

    def refuse_damage(self) -> None:
        """Refuse a catalog that turned out to be damaged while this process used it.

        Raises:
            CatalogDamaged: It did.
        """
        if self._parts.catalog.damage:
            raise CatalogDamaged(self._parts.catalog.damage)

    def leave(self, damage: str) -> None:
        """Note how the catalog was left, once it is closed, under the lock of the store."""
        if self._parts.exists and (self._looked_over or damage):
            self._stamp.leave(damage)

    def verifier(self) -> Verifier:
        """Lays the hits of one answer beside their files."""
        from kb.read.decode import decode

        return Verifier(
            self._parts.files, lambda source: decode(source.data).text, self._split, self._distrust, self._read
        )

    def passages(self, file: KnownFile) -> list[StoredPassage]:
        """The live passages of a file, in order, as they stand in it where it has not changed since."""
        verifier = self.verifier()
        checked = [verifier.checked(passage) for passage in self._parts.catalog.passages_of(file.id)]
        return [passage for passage in checked if passage is not None]

    @cached_property
    def _stamp(self) -> CatalogStamp:
        return CatalogStamp(self._catalog)

    def _distrust(self, file: KnownFile) -> None:
        """Have a file read again whose passages in the catalog are not those of the file, and tell of it."""
        self._parts.catalog.read_again([file.id])
        self._parts.warn(f"{file.path}: the catalog did not say what stands in the file; kb index reads it again")

    def _split(self, file: KnownFile, source: Source) -> list[StoredPassage]:
        """The passages of a file as an index run would keep them now."""
        document, passages = self._parts.reader.read(source)
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
