"""The files as resources: ``kb://`` and the path, percent-encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import mcp_types as types

from kb.errors import RequestError
from kb.mcp.paths import one_line, plain, shown, target_of, uri_of
from kb.mcp.schemas import UNTRUSTED

if TYPE_CHECKING:
    from kb.mcp.sources import Call, KnowledgeSource

_PAGE: Final = 100
_DIGITS: Final = 18
# The text of one resource, in characters; the next part has a URI of its own.
_MOST: Final = 100_000
TEXT: Final = "text/plain"


def listed(source: KnowledgeSource, call: Call, cursor: str | None) -> types.ListResourcesResult:
    """Return a page of the files, and the cursor of the next page.

    Raises:
        RequestError: The cursor is not one that a page gave.
    """
    begin = _offset(cursor)
    folders = source.settings.folder_paths()
    with source.opened(call) as kb:
        files = kb.documents()
    page = files[begin : begin + _PAGE]
    found = [
        types.Resource(
            uri=uri_of(one),
            name=shown(one, folders),
            title=one_line(plain(one.title)) or None,
            mime_type=_media(one.kind),
            size=one.stat.size,
        )
        for one in page
    ]
    end = begin + len(page)
    return types.ListResourcesResult(resources=found, next_cursor=str(end) if page and end < len(files) else None)


def part(source: KnowledgeSource, call: Call, uri: str) -> types.ReadResourceResult:
    """Return the text that a URI names, marked as untrusted, with the URI of the rest where it is long.

    Raises:
        KbError: There is no such file in the index, or it has no such lines.
    """
    target = target_of(uri)
    with source.opened(call) as kb:
        found = kb.read(target.name, first_line=target.first_line, last_line=target.last_line)
    text, meta = found.text, {"untrusted": UNTRUSTED}
    if len(text) > _MOST:
        # At the end of a line, unless one line is longer than that.
        text = text[: text.rfind("\n", 0, _MOST) + 1] or text[:_MOST]
        after = found.first_line + text.count("\n") + (not text.endswith("\n"))
        if after <= found.last_line:
            meta["rest"] = f"{uri_of(found.file)}#L{after}-L{found.last_line}"
    content = types.TextResourceContents(uri=uri, mime_type=_media(found.file.kind), text=plain(text), _meta=meta)
    return types.ReadResourceResult(contents=[content])


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _DIGITS):
        raise RequestError("the cursor is not valid", "Begin again without one")
    return int(cursor)


def _media(kind: str) -> str:
    return "text/markdown" if kind == "markdown" else TEXT
