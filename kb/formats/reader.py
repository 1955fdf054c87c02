"""The reader that the index uses: bytes of a file in, its document and passages out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kb.formats.language import language_of
from kb.formats.text import extract

if TYPE_CHECKING:
    from kb.chunking.split import Chunker
    from kb.formats.binary import ForeignFormats
    from kb.formats.isolated import LongTexts
    from kb.formats.source import SourceCode
    from kb.ports import Edit
    from kb.records import Document, Passage, Source


class DocumentReader:
    """Reads files of every format that kb knows and splits them into passages.

    Args:
        chunker: How documents are split; it holds the measure of the embedding model.
        edit: Changes each document before it is split.
        foreign: Reads what is not plain text; without it such files are refused.
        code: Gives source code its sections; without it such files are split at blank lines.
        long: Reads long texts; without it they are read as short ones are.
    """

    def __init__(
        self,
        chunker: Chunker,
        edit: Edit | None = None,
        foreign: ForeignFormats | None = None,
        code: SourceCode | None = None,
        long: LongTexts | None = None,
    ) -> None:
        self._chunker = chunker
        self._edit = edit
        self._foreign = foreign
        self._code = code
        self._plain = long.read if long else extract

    def read(self, source: Source) -> tuple[Document, tuple[Passage, ...]]:
        """The document and its passages, in the order of the text.

        Raises:
            DocumentError: The file holds nothing kb can read as text.
        """
        path, data = source.file.path, source.data
        document = (self._foreign and self._foreign.read(path, data)) or self._plain(path, data)
        if self._code is not None:
            document = self._code.outlined(path, document)
        document = replace(document, language=language_of(document))
        if self._edit is not None:
            document = self._edit(source.file, document)
        return document, self._chunker.split(document)
