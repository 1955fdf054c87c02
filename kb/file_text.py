"""The exact text of an indexed file, by lines or by page; nothing that the rules exclude, and nothing outside."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kb.errors import DocumentBusy, DocumentError, NotIndexed, RequestError
from kb.formats.registry import REGISTRY
from kb.records import FileText, FoundFile
from kb.records.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kb.ports import Files
    from kb.records import KnownFile, StoredPassage

# The passages of one long line were cut between words.
_CUT = " "


class Passages(Protocol):
    """What gives the passages of a file."""

    def passages(self, file: KnownFile, /) -> Sequence[StoredPassage]:
        """The live passages of a file, in order."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file.

    Attributes:
        first_line: The first line.
        last_line: The last line; None for the last one of the file.
        page: The page, instead of lines.

    Raises:
        RequestError: A value is out of range, or lines and a page are given at once.
    """

    first_line: int = 1
    last_line: int | None = None
    page: int | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if self.page is not None and (self.first_line, self.last_line) != (1, None):
            raise RequestError("a page conflicts with lines", "Leave out one of them")
        if self.page is not None and self.page < 1:
            raise RequestError(f"page must be from 1 on, not {self.page}", "The first page is 1")
        if self.first_line < 1:
            raise RequestError(f"first_line must be from 1 on, not {self.first_line}", "The first line is 1")
        if self.last_line is not None and self.last_line < self.first_line:
            raise RequestError(f"last_line {self.last_line} is before first_line {self.first_line}", "Swap them")


def require_readable(files: Files, file: KnownFile) -> None:
    """Check that a file is still there and that the rules still include it.

    Raises:
        NotIndexed: It is gone or excluded.
    """
    if files.stat(file.folder, file.path) is None:
        raise NotIndexed(f"{file.path} is no longer there", "kb index takes it out of the index")
    if not files.belongs(file.folder, file.path):
        raise NotIndexed(f"{file.path} is excluded by the rules for files", "kb index takes it out of the index")


def read_part(files: Files, indexed: Passages, file: KnownFile, part: Part) -> FileText:
    """Read a part of a file.

    Text is read from the disk and decoded as for the index. What was extracted from a document is put together from its
    passages, each at its lines.

    Raises:
        NotIndexed: The file is gone, excluded or no text any more.
        RequestError: It has no such line or page.
        DocumentBusy: It is being written.
    """
    require_readable(files, file)
    if REGISTRY.is_extracted(file.path, file.kind):
        return _extracted(files, indexed.passages(file), file, part)
    if part.page is not None:
        raise RequestError(f"{file.path} has no pages", "Ask for lines")
    from kb.formats.decode import decode

    stat = files.stat(file.folder, file.path) or file.stat
    try:
        source = files.load(FoundFile(file.folder, file.path, stat))
    except DocumentBusy:
        raise
    except DocumentError as error:
        raise NotIndexed(f"{file.path} {error.message}", error.remedy) from error
    lines = decode(source.data).text.split("\n")
    if not lines[-1]:
        lines.pop()
    return _cut(file, lines, part, changed=source.content_hash != file.content_hash)


def _extracted(files: Files, passages: Sequence[StoredPassage], file: KnownFile, part: Part) -> FileText:
    """A part of the text that was extracted from a document."""
    from kb.search.verify import FileStaleness

    parts: dict[int, list[str]] = defaultdict(list)
    for passage in passages:
        for number, line in enumerate(passage.text.split("\n"), passage.first_line):
            parts[number].append(line)
    lines = [_CUT.join(parts.get(number, ())) for number in range(1, max(parts, default=0) + 1)]
    changed = FileStaleness(files).changed(file)
    pages = max((one.page for one in passages if one.page is not None), default=None)
    if part.page is None:
        return _cut(file, lines, part, changed=changed, pages=pages)
    if pages is None:
        raise RequestError(f"{file.path} has no pages", "Ask for lines")
    if part.page > pages:
        raise RequestError(f"{file.path} has {count(pages, 'page')}, no page {part.page}", f"The last one is {pages}")
    before = max((one.last_line for one in passages if one.page is not None and one.page < part.page), default=0)
    own = [one for one in passages if one.page == part.page]
    first = min((one.first_line for one in own), default=before + 1)
    last = max((one.last_line for one in own), default=before)
    return FileText(file, "\n".join(lines[first - 1 : last]), first, last, len(lines), part.page, pages, changed)


def _cut(file: KnownFile, lines: Sequence[str], part: Part, *, changed: bool, pages: int | None = None) -> FileText:
    """Some of the lines of a file."""
    if part.first_line > max(1, len(lines)):
        raise RequestError(
            f"{file.path} has {len(lines)} lines, no line {part.first_line}", f"The last one is {len(lines)}"
        )
    last = len(lines) if part.last_line is None else min(part.last_line, len(lines))
    text = "\n".join(lines[part.first_line - 1 : last])
    return FileText(file, text, part.first_line, last, len(lines), pages=pages, changed=changed)
