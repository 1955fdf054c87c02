"""Sees what happens to a store under the process that owns it for long: deleted, moved away, replaced by another."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kb.container import Container

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
