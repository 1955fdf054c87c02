"""Whether a hit says what stands in its file: an index that was changed by something else is never shown as exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kb.errors import DocumentError
from kb.records import FoundFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kb.ports import Files
    from kb.records import KnownFile, Source, StoredPassage


class Verifier:
    """Lays the hits of one answer beside their files.

    A passage of plain text is the text at its lines. What was extracted from a document has no lines of its own to lie
    beside, so the checksum of its row has to do. Where either is wrong the file is split again, and that decides.

    Args:
        files: The watched folders.
        text_of: The text of a file of plain text, as it was decoded for the index.
        split: The passages of a file as they are now, as the catalog would keep them.
        distrust: Told of a file whose passages in the catalog are not those of the file.
    """

    def __init__(
        self,
        files: Files,
        text_of: Callable[[Source], str],
        split: Callable[[KnownFile, Source], Sequence[StoredPassage]],
        distrust: Callable[[KnownFile], None],
    ) -> None:
        self._files = files
        self._text_of = text_of
        self._split = split
        self._distrust = distrust
        self._sources: dict[int, Source | None] = {}
        self._lines: dict[int, list[str]] = {}
        self._fresh: dict[int, dict[str, StoredPassage]] = {}
        self._told: set[int] = set()

    def checked(self, passage: StoredPassage) -> StoredPassage | None:
        """The passage as it stands in its file, which is nearly always as it is; None where it does not stand there.

        A passage of a file that has changed since it was indexed cannot be compared and comes back as it is: the hit
        is marked as changed.
        """
        if passage.sound and not passage.exact:
            return passage
        source = self._source(passage.file)
        if source is None or (passage.sound and self._stands(passage, source)):
            return passage
        fresh = self._split_again(passage.file, source).get(passage.id)
        if fresh is not None and passage.sound and _same(fresh, passage):
            # A format whose passages are not quite the text at their lines.
            return passage
        if passage.file.id not in self._told:
            self._told.add(passage.file.id)
            self._distrust(passage.file)
        return fresh

    def _source(self, file: KnownFile) -> Source | None:
        """The file as it was indexed; None where it is another by now."""
        if file.id not in self._sources:
            stat = self._files.stat(file.folder, file.path)
            source = None
            if stat is not None:
                try:
                    source = self._files.load(FoundFile(file.folder, file.path, stat))
                except DocumentError:
                    # It went or is being written at this moment: the hit is marked as changed.
                    source = None
            indexed = source is not None and (source.content_hash == file.content_hash or stat == file.stat)
            self._sources[file.id] = source if indexed else None
        return self._sources[file.id]

    def _stands(self, passage: StoredPassage, source: Source) -> bool:
        """Whether the text at the lines of a passage is that of the passage."""
        if passage.file.id not in self._lines:
            self._lines[passage.file.id] = self._text_of(source).split("\n")
        there = self._lines[passage.file.id][passage.first_line - 1 : passage.last_line]
        return passage.first_line >= 1 and "\n".join(there) == passage.text

    def _split_again(self, file: KnownFile, source: Source) -> dict[str, StoredPassage]:
        if file.id not in self._fresh:
            try:
                self._fresh[file.id] = {one.id: one for one in self._split(file, source)}
            except DocumentError:
                self._fresh[file.id] = {}
        return self._fresh[file.id]


def _same(one: StoredPassage, other: StoredPassage) -> bool:
    return (one.text, one.first_line, one.last_line, one.heading, one.page, one.place) == (
        other.text,
        other.first_line,
        other.last_line,
        other.heading,
        other.page,
        other.place,
    )
