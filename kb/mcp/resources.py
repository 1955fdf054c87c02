"""The files as resources: ``kb://`` and the path, percent-encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kb.errors import RequestError
from kb.mcp.paths import one_line, plain, shown, target_of, uri_of

if TYPE_CHECKING:
    from kb.mcp.sources import Call, KnowledgeSource

_PAGE: Final = 100
_DIGITS: Final = 18
# The text of one resource, in characters; the next part has a URI of its own.
_MOST: Final = 100_000
MARKDOWN: Final = "text/markdown"
TEXT: Final = "text/plain"


@dataclass(frozen=True, slots=True)
class FileResource:
    """A file, as a list of resources names it; ``size`` is in bytes."""

    uri: str
    name: str
    title: str
    media: str
    size: int


@dataclass(frozen=True, slots=True)
class ResourcePart:
    """The text of a file, or of some of its lines.

    Attributes:
        uri: The URI that was read.
        media: The media type.
        text: The text.
        rest: The URI of the lines that follow; empty where there are none.
    """

    uri: str
    media: str
    text: str
    rest: str = ""


def listed(source: KnowledgeSource, call: Call, cursor: str | None) -> tuple[tuple[FileResource, ...], str | None]:
    """Return a page of the files, and the cursor of the next page.

    Raises:
        RequestError: The cursor is not one that a page gave.
    """
    begin = _offset(cursor)
    folders = source.settings.folder_paths()
    with source.opened(call) as kb:
        files = kb.documents()
    page = files[begin : begin + _PAGE]
    found = tuple(
        FileResource(uri_of(one), shown(one, folders), one_line(plain(one.title)), _media(one.kind), one.stat.size)
        for one in page
    )
    end = begin + len(page)
    return found, str(end) if page and end < len(files) else None


def part(source: KnowledgeSource, call: Call, uri: str) -> ResourcePart:
    """Return the text that a URI names.

    Raises:
        KbError: There is no such file in the index, or it has no such lines.
    """
    target = target_of(uri)
    with source.opened(call) as kb:
        found = kb.read(target.name, first_line=target.first_line, last_line=target.last_line)
    text, rest = found.text, ""
    if len(text) > _MOST:
        # At the end of a line, unless one line is longer than that.
        text = text[: text.rfind("\n", 0, _MOST) + 1] or text[:_MOST]
        after = found.first_line + text.count("\n") + (not text.endswith("\n"))
        rest = f"{uri_of(found.file)}#L{after}-L{found.last_line}" if after <= found.last_line else ""
    return ResourcePart(uri, _media(found.file.kind), plain(text), rest)


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _DIGITS):
        raise RequestError("the cursor is not valid", "Begin again without one")
    return int(cursor)


def _media(kind: str) -> str:
    return MARKDOWN if kind == "markdown" else TEXT
