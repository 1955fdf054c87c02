"""Selections of files, made on the map: kept in memory, so that an address can name one."""

from __future__ import annotations

import threading
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from kb.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kb.records import KnownFile

_KEPT: Final = 64
_NAME: Final = 16


class Selections:
    """The last selections, by name. They end with the page, as its sessions do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: dict[str, tuple[int, ...]] = {}

    def keep(self, ids: Iterable[int]) -> str:
        """Keep a selection and return its name, which is the same for the same files.

        Args:
            ids: The ids of the files.

        Raises:
            RequestError: There are none.
        """
        chosen = tuple(sorted(set(ids)))
        if not chosen:
            raise RequestError("no file is selected", "Select some files first")
        name = sha256(",".join(map(str, chosen)).encode()).hexdigest()[:_NAME]
        with self._lock:
            # The one used last stands last.
            self._ids.pop(name, None)
            self._ids[name] = chosen
            while len(self._ids) > _KEPT:
                del self._ids[next(iter(self._ids))]
        return name

    def ids(self, name: str) -> tuple[int, ...]:
        """Return the ids of the files of a selection; none if the name is empty, for all files.

        Raises:
            RequestError: There is no selection of this name any more.
        """
        if not name:
            return ()
        with self._lock:
            found = self._ids.pop(name, None)
            if found is None:
                raise RequestError("this selection of files is no longer kept", "Select the files on the map again")
            self._ids[name] = found
            return found

    def among(self, files: Sequence[KnownFile], name: str) -> list[KnownFile]:
        """Return those of some files that are in a selection; all of them if the name is empty.

        Raises:
            RequestError: There is no selection of this name any more.
        """
        only = frozenset(self.ids(name))
        return [file for file in files if file.id in only] if only else list(files)
