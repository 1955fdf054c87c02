"""Whether the files of an answer are still there, and still what was indexed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kb.errors import DocumentError
from kb.records import FoundFile

if TYPE_CHECKING:
    from kb.ports import Files
    from kb.records import KnownFile


class Presence:
    """Looks once at each file of an answer: is it there, is it what was indexed.

    Args:
        files: The watched folders.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._there: dict[int, bool] = {}
        self._changed: dict[int, bool] = {}

    def there(self, file: KnownFile) -> bool:
        """Whether the file still exists."""
        if file.id not in self._there:
            self._there[file.id] = self._files.stat(file.folder, file.path) is not None
        return self._there[file.id]

    def changed(self, file: KnownFile) -> bool:
        """Whether the file's content differs from what was indexed. A new stat alone (``touch``) is no change."""
        if file.id not in self._changed:
            self._changed[file.id] = self._differs(file)
        return self._changed[file.id]

    def _differs(self, file: KnownFile) -> bool:
        stat = self._files.stat(file.folder, file.path)
        if stat is None:
            return True
        if stat == file.stat:
            return False
        try:
            source = self._files.load(FoundFile(file.folder, file.path, stat))
        except DocumentError:
            return True
        return source.content_hash != file.content_hash
