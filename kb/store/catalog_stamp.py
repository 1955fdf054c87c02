"""How kb left the catalog's files, so that a change by anything else is noticed before they are relied on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from kb.errors import CatalogDamaged
from kb.own_files import unusable, write_whole
from kb.store.catalog_schema import SCHEMA

STAMP_FILE: Final = "catalog.left"
_DAMAGED: Final = "damaged"


class CatalogStamp:
    """What was noted about a catalog when it was last closed. Only the holder of the store's lock may write it.

    Args:
        catalog: The catalog's file.
    """

    def __init__(self, catalog: str) -> None:
        self._catalog = catalog
        self._place = Path(catalog).with_name(STAMP_FILE)

    def in_order(self) -> bool:
        """Whether the files are as they were left.

        Raises:
            CatalogDamaged: The catalog turned out to be damaged while it was last used.
        """
        left = self._left()
        if isinstance(left, dict) and _DAMAGED in left:
            raise CatalogDamaged(str(left[_DAMAGED]), SCHEMA.remedy)
        return left is not None and left == self._now()

    def leave(self, damage: str) -> None:
        """Note how the files are, or that they are damaged, so that the next run does not take them for sound.

        Raises:
            StoreError: It cannot be written.
        """
        left = {_DAMAGED: damage} if damage else self._now()
        if left == self._left():
            return
        try:
            write_whole(self._place, json.dumps(left))
        except OSError as error:
            raise unusable(f"the store at {self._place.parent}", error, str(self._place)) from error

    def _left(self) -> object:
        try:
            return json.loads(self._place.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return None

    def _now(self) -> list[list[int]]:
        """Size and modification time of the database, and of its log where there is one."""
        files = (Path(self._catalog), Path(f"{self._catalog}-wal"))
        stats = [path.stat() for path in files if path.is_file()]
        return [[one.st_size, one.st_mtime_ns] for one in stats if one.st_size]
