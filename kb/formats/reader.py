"""The reader of the index: turns the bytes of a file into a document and its passages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kb.formats.language import language_of
from kb.formats.text import extract

if TYPE_CHECKING:
    from kb.chunking.split import Chunker
    from kb.formats.binary import BinaryFormats
    from kb.formats.isolated import LongTexts
    from kb.formats.source import SourceCode
    from kb.ports import Edit
    from kb.records import Document, Passage, Source


class DocumentReader:
    """Reads files of every known format and splits them into passages.

    Args:
        chunker: Splits documents.
        edit: Changes each document before it is split.
        binary: Reads files that are not plain text; None to refuse them.
        code: Finds the sections of source code; None to split it at blank lines.
        long: Reads long texts; None to read them like short ones.
    """

    def __init__(
        self,
        chunker: Chunker,
        edit: Edit | None = None,
        binary: BinaryFormats | None = None,
        code: SourceCode | None = None,
        long: LongTexts | None = None,
    ) -> None:
        self._chunker = chunker
        self._edit = edit
        self._binary = binary
        self._code = code
        self._plain = long.read if long else extract

    def read(self, source: Source) -> tuple[Document, tuple[Passage, ...]]:
        """Read a file; return its document and its passages, in the order of the text.

        Raises:
            DocumentError: The file gives no text.
        """
        path, data = source.file.path, source.data
        document = (self._binary and self._binary.read(path, data)) or self._plain(path, data)
        if self._code is not None:
            document = self._code.outlined(path, document)
        document = replace(document, language=language_of(document))
        if self._edit is not None:
            document = self._edit(source.file, document)
        return document, self._chunker.split(document)
