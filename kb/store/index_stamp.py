"""Detects changes to the files of the vector index that kb did not make.

ChromaDB has no checksums. So when kb closes the index, it records the files of the generation in use, and compares them
when the index is opened again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zlib import crc32

from kb.own_files import store_error_for, write_atomically
from kb.records.files import RACY_NS

if TYPE_CHECKING:
    from kb.store.generations import Generations

STAMP_FILE: Final = "left"


class IndexStamp:
    """What the files of the generation in use were when it was closed.

    Only the holder of the store's lock may write it.

    Args:
        generations: The directories of the generations.
    """

    def __init__(self, generations: Generations) -> None:
        self._generations = generations

    def is_clean(self) -> bool:
        """Whether the generation was closed properly and its files are unchanged since."""
        return not self._generations.is_unclean() and self._files() == self._saved().get("files")

    def passages(self) -> object:
        """The digest of the passages at that time; None if it was not recorded."""
        return self._saved().get("passages")

    def changed(self) -> str | None:
        """A file of the graph with another checksum than recorded; None if the index was not closed properly.

        One bit decides which passage a node of the graph stands for. In a large index neither a probe nor a comparison
        of ids and vectors notices that.
        """
        sums = self._saved().get("sums")
        if self._generations.is_unclean() or not isinstance(sums, dict):
            return None
        root = Path(self._generations.directory())
        return next((path for path, known in sums.items() if _sum_of(root / path) != known), None)

    def resized(self) -> str | None:
        """A file that is gone or has another size than recorded; None if none has."""
        before, now = self._saved().get("files"), self._files()
        known = before.items() if isinstance(before, dict) else ()
        return next((path for path, stamp in known if now.get(path, [])[:1] != stamp[:1]), None)

    def save(self, passages: str) -> None:
        """Record files, checksums and passages, and then that the index was closed properly.

        Args:
            passages: A digest of the passages of the catalog that have a vector.

        Raises:
            StoreError: It cannot be written.
        """
        files = self._files()
        left = {"files": files, "passages": passages, "sums": self._sums(files)}
        place = self._place()
        try:
            write_atomically(place, json.dumps(left))
        except OSError as error:
            raise store_error_for(f"the store at {place.parent}", error, str(place)) from error
        self._generations.mark_clean()

    def _saved(self) -> dict[str, object]:
        """What was recorded when the index was last closed; earlier versions recorded only files."""
        try:
            left = json.loads(self._place().read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(left, dict):
            return {}
        return left if {"files", "passages"} <= left.keys() <= {"files", "passages", "sums"} else {"files": left}

    def _sums(self, files: dict[str, list[int]]) -> dict[str, int | None]:
        """The CRC-32 of each file of the graph. Files that have not changed since the last one are not read again."""
        left = self._saved()
        before = stamps if isinstance(stamps := left.get("files"), dict) else {}
        known = sums if isinstance(sums := left.get("sums"), dict) else {}
        try:
            saved = self._place().stat().st_mtime_ns
        except OSError:
            saved = 0
        root = Path(self._generations.directory())
        return {
            path: known[path]
            # A file that was written just before may have been written again without a change of its stat.
            if path in known and before.get(path) == stamp and stamp[1] < saved - RACY_NS
            else _sum_of(root / path)
            for path, stamp in files.items()
            # The graph is in a directory of its own, unlike the files of SQLite and kb.
            if os.sep in path
        }

    def _files(self) -> dict[str, list[int]]:
        """Size and modification time of each file of the current generation."""
        root = Path(self._generations.directory())
        try:
            return {
                str(path.relative_to(root)): [path.stat().st_size, path.stat().st_mtime_ns]
                for path in sorted(root.rglob("*"))
                if path.is_file() and not path.is_symlink()
            }
        except OSError as error:
            raise store_error_for(f"the vector index in {root}", error, str(root)) from error

    def _place(self) -> Path:
        return Path(self._generations.directory()).parent / STAMP_FILE


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
