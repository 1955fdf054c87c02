"""Verification of hits against their files, so that a stale or modified index is never shown as exact."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

from kb.errors import DocumentError
from kb.records import FoundFile, is_racy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kb.ports import Files
    from kb.records import FileStat, KnownFile, Source, StoredPassage


class FileStaleness:
    """Whether the files of an answer still exist and are unchanged; each file is looked at once.

    Args:
        files: The watched folders.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._stats: dict[int, FileStat | None] = {}
        self._changed: dict[int, bool] = {}

    def stat(self, file: KnownFile) -> FileStat | None:
        """The stat of the file; None if it does not exist any more."""
        if file.id not in self._stats:
            self._stats[file.id] = self._files.stat(file.folder, file.path)
        return self._stats[file.id]

    def there(self, file: KnownFile) -> bool:
        """Whether the file still exists."""
        return self.stat(file) is not None

    def changed(self, file: KnownFile) -> bool:
        """Whether the file's content differs from what was indexed. A new stat alone (``touch``) is no change."""
        if file.id not in self._changed:
            self._changed[file.id] = self._differs(file)
        return self._changed[file.id]

    def _differs(self, file: KnownFile) -> bool:
        stat = self.stat(file)
        if stat is None:
            return True
        if stat == file.stat:
            return False
        try:
            source = self._files.load(FoundFile(file.folder, file.path, stat))
        except DocumentError:
            return True
        return source.content_hash != file.content_hash


# How many characters of files are remembered: one takes 1 to 4 bytes.
MOST_CHARACTERS: Final = 32_000_000


@dataclass(slots=True)
class ReadFile:
    """A file that was read and matches the catalog.

    Attributes:
        stat: Its stat when it was read.
        content_hash: Its SHA-256.
        lines: Its lines, decoded as for the index.
        size: Their length in characters.
        fresh: Its passages by id, where it had to be split again; else None.
    """

    stat: FileStat
    content_hash: bytes
    lines: Sequence[str]
    size: int
    fresh: dict[str, StoredPassage] | None = None


class ReadFiles:
    """A cache of files that hits were compared with, so that a daemon reads each of them once.

    Args:
        most: How many characters to keep; the least recently used files are dropped first.
    """

    def __init__(self, most: int = MOST_CHARACTERS) -> None:
        self._most = most
        self._size = 0
        self._files: OrderedDict[int, ReadFile] = OrderedDict()
        self._lock = Lock()

    def get(self, file: KnownFile, stat: FileStat | None) -> ReadFile | None:
        """Return a cached file; None where it, or its record in the catalog, has changed since."""
        with self._lock:
            known = self._files.get(file.id)
            if known is None or (known.stat, known.content_hash) != (stat, file.content_hash):
                return None
            self._files.move_to_end(file.id)
            return known

    def put(self, file: KnownFile, source: Source, lines: Sequence[str]) -> None:
        """Cache a file, unless it differs from what was indexed, or could change again without a new stat."""
        if source.content_hash != file.content_hash or is_racy(source.file.stat, source.read_ns):
            return
        made = ReadFile(source.file.stat, source.content_hash, lines, sum(map(len, lines)))
        with self._lock:
            before = self._files.pop(file.id, None)
            self._size += made.size - (before.size if before else 0)
            self._files[file.id] = made
            while self._size > self._most:
                _, oldest = self._files.popitem(last=False)
                self._size -= oldest.size


class Verifier:
    """Compares the hits of one answer with their files.

    A passage of plain text is compared with the text at its lines. Text extracted from a document has no such lines, so
    the checksum of its row is checked. Where either is wrong, the file is split again, and that decides.

    Args:
        files: The watched folders.
        text_of: Returns the text of a plain-text file, decoded as for the index.
        split: Returns the passages of a file as they are now, as the catalog would store them.
        distrust: Called with a file whose passages in the catalog are not those of the file.
        read: The cache of files that were read for earlier answers.
        staleness: What is known of the files of this answer; None to look at each of them anew.
    """

    def __init__(
        self,
        files: Files,
        text_of: Callable[[Source], str],
        split: Callable[[KnownFile, Source], Sequence[StoredPassage]],
        distrust: Callable[[KnownFile], None],
        read: ReadFiles,
        *,
        staleness: FileStaleness | None = None,
    ) -> None:
        self._files = files
        self._staleness = staleness or FileStaleness(files)
        self._text_of = text_of
        self._split = split
        self._distrust = distrust
        self._read = read
        self._sources: dict[int, Source | None] = {}
        self._lines: dict[int, Sequence[str]] = {}
        self._fresh: dict[int, dict[str, StoredPassage]] = {}
        self._reported: set[int] = set()

    def checked(self, passage: StoredPassage) -> StoredPassage | None:
        """Return the passage as it is in its file, nearly always unchanged; None where it is not there.

        A passage of a file that has changed since it was indexed cannot be compared and is returned as it is; the hit
        is marked as changed.
        """
        if passage.sound and not passage.exact:
            return passage
        file = passage.file
        known = self._read.get(file, self._staleness.stat(file))
        if known is not None and passage.sound and _is_at_its_lines(passage, known.lines):
            return passage
        fresh = known.fresh if known is not None else None
        if fresh is None:
            source = self._source(file)
            if source is None:
                return passage
            lines = self._lines_of(file, source)
            if passage.sound and _is_at_its_lines(passage, lines):
                return passage
            fresh = self._split_again(file, source)
        there = fresh.get(passage.id)
        if there is not None and passage.sound and _visible_part(there) == _visible_part(passage):
            # In some formats passages are not exactly the text at their lines.
            return passage
        if file.id not in self._reported:
            self._reported.add(file.id)
            self._distrust(file)
        return there

    def _source(self, file: KnownFile) -> Source | None:
        """Return the file as it was indexed; None where it has changed."""
        if file.id not in self._sources:
            stat = self._staleness.stat(file)
            source = None
            if stat is not None:
                try:
                    source = self._files.load(FoundFile(file.folder, file.path, stat))
                except DocumentError:
                    # It was deleted or is being written: the hit is marked as changed.
                    source = None
            indexed = source is not None and (source.content_hash == file.content_hash or stat == file.stat)
            self._sources[file.id] = source if indexed else None
        return self._sources[file.id]

    def _lines_of(self, file: KnownFile, source: Source) -> Sequence[str]:
        if file.id not in self._lines:
            self._lines[file.id] = self._text_of(source).split("\n")
            self._read.put(file, source, self._lines[file.id])
        return self._lines[file.id]

    def _split_again(self, file: KnownFile, source: Source) -> dict[str, StoredPassage]:
        if file.id not in self._fresh:
            try:
                self._fresh[file.id] = {one.id: one for one in self._split(file, source)}
            except DocumentError:
                self._fresh[file.id] = {}
            if known := self._read.get(file, self._staleness.stat(file)):
                known.fresh = self._fresh[file.id]
        return self._fresh[file.id]


def _is_at_its_lines(passage: StoredPassage, lines: Sequence[str]) -> bool:
    """Whether the text of a passage is at its lines; a part of a long line is within it."""
    first, last = passage.first_line, passage.last_line
    if first < 1 or passage.text.count("\n") != last - first:
        return False
    return bool(passage.text) and passage.text in "\n".join(lines[first - 1 : last])


def _visible_part(one: StoredPassage) -> tuple[object, ...]:
    """Return what a hit shows of its passage."""
    return (one.text, one.first_line, one.last_line, one.heading, one.page, one.place)
