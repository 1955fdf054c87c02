"""Sees what happens to a store under the process that owns it for long: deleted, moved away, replaced by another."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kb.errors import KbError
from kb.parts import CACHE_FILE, CATALOG_FILE

if TYPE_CHECKING:
    from kb.parts import Parts

_TWICE: Final = 0.2
_LET_GO: Final = {"vectors": "abandon", "lock": "release"}


class Guard:
    """Looks after the files of a store that is open.

    Args:
        parts: The parts of its owner.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        # Which file a part has open, by its name: the part, and what tells the file from the next one of its name.
        self._seen: dict[str, tuple[object, int, int]] = {}

    def lost(self) -> str:
        """What happened to the store, as a sentence without full stop; empty where nothing did.

        Only for the owner, who has all of it open, and asks once when it has opened it: by that, files are known again.
        Those that this process exchanged itself are not lost.
        """
        parts = self._parts
        where = f"from the store at {parts.store_path}"
        if not parts.lock.in_place():
            there = Path(parts.store_path).is_dir()
            return f"the store at {parts.store_path} was {'replaced by another folder' if there else 'removed'}"
        for name, part in ((CATALOG_FILE, "_catalog"), (CACHE_FILE, "cache")):
            if part in parts.__dict__ and not self._same(name, parts.__dict__[part]):
                return f"{name} was removed {where}"
        return f"the vector index was removed {where}" if parts.vectors.lost() else ""

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
        return self._parts.lock.mend()

    def abandon(self) -> None:
        """Let go of a store that was lost, in place of closing it: nothing is written where it was."""
        for name in ("sandboxes", "vectors", "cache", "_catalog", "lock"):
            part = self._parts.__dict__.pop(name, None)
            if part is None:
                continue
            # What cannot be written any more is lost with the store.
            with suppress(KbError, OSError):
                getattr(part, _LET_GO.get(name, "close"))()

    def _same(self, name: str, part: object) -> bool:
        """Whether a file of the store is the one that a part opened, as far as this was asked before."""
        try:
            found = Path(self._parts.store_path, name).stat()
        except OSError:
            return False
        known = self._seen.get(name)
        if known is None or known[0] is not part:
            known = self._seen[name] = (part, found.st_dev, found.st_ino)
        return known[1:] == (found.st_dev, found.st_ino)
