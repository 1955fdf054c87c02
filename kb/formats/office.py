"""Reads Word, PowerPoint, OpenDocument text, RTF and Outlook messages with xberg."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from kb.formats.builder import Unreadable
from kb.formats.containers import refuse_encrypted
from kb.formats.dates import iso_date
from kb.formats.office_xml import mended
from kb.formats.registry import REGISTRY
from kb.formats.rich_text import mended_rtf
from kb.formats.slide_parts import in_order, side_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from xberg import DocumentNode, ExtractedDocument, ExtractionResult

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

_BY_PAGE: Final = frozenset({".pptx", ".pptm", ".ppsx"})
_MENDED: Final = frozenset({".docx", ".docm", ".dotx", ".odt", ".ott", ".pptx", ".pptm", ".ppsx"})
_SLIDES: Final = _BY_PAGE | {".ppt"}
_TITLES: Final = frozenset({"paragraph", "title", "heading"})
_LONGEST_TITLE: Final = 120
_PAGE_NUMBER: Final = re.compile(r"\W*\d*\W*")
_MOST_UNPACKED: Final = 400_000_000
# The markup that the tree adds to text, of Markdown and HTML.
_IMAGE: Final = re.compile(r"!\[([^\]]*)\]\([^)\s]*(?:\s\"[^\"]*\")?\)")
_REFERENCE: Final = re.compile(r"\A\[\^[0-9]+\]: |\[\^[0-9]+\]|\[cmt:[0-9]+\]")
_MARKS: Final = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*|</?(?:u|s|sub|sup|mark)>")

_loop: asyncio.AbstractEventLoop | None = None


def prepare() -> None:
    """Load xberg, and start its threads with a small document."""
    global _loop  # noqa: PLW0603 - one loop for the life of the process, made while that can still open what it needs
    _loop = asyncio.new_event_loop()
    _tree(".rtf", rb"{\rtf1 x}", "x.rtf", 1_000_000)


def extract(name: str, data: bytes, builder: TextBuilder, limits: Limits) -> None:
    """Add the document's headings, paragraphs and tables to the builder.

    Raises:
        Unreadable: It is encrypted or not a document.
    """
    refuse_encrypted(name, data, limits)
    suffix = PurePosixPath(name.lower()).suffix
    if suffix in _BY_PAGE:
        data = in_order(data)
    if suffix in _MENDED:
        data = mended(data)
    elif suffix == ".rtf":
        data = mended_rtf(data)
    found = _tree(suffix, data, name, limits.memory)
    about = found.metadata
    # In Outlook messages the subject is the title; in other documents it is a topic.
    title = about.subject if suffix == ".msg" else about.title
    day = iso_date(about.created_at)
    builder.set_properties(title, ", ".join(about.authors or ()), day)
    nodes = found.document.nodes if found.document else ()
    pieces = list(_pieces(nodes))
    body = _Body(builder)
    if suffix == ".msg":
        builder.add_place("mail: " + ", ".join(filter(None, (about.subject or "no subject", day))), reset_headings=True)
        builder.add_heading(about.subject or "", 1)
    if suffix in _SLIDES:
        body.slides(pieces, suffix, side_texts(data) if suffix in _BY_PAGE else {})
    else:
        body.whole(pieces)
    body.end()


@dataclass(frozen=True, slots=True)
class _Piece:
    """A node of xberg's document tree, with its content, and in how many lists it is."""

    node: DocumentNode
    content: dict[str, Any]
    depth: int

    @property
    def kind(self) -> str:
        """Its kind: a heading, a paragraph, a table."""
        return str(self.content["node_type"])

    @property
    def text(self) -> str:
        """Its text."""
        return _plain(self.content.get("text") or self.content.get("description") or self.content.get("content") or "")

    @property
    def repeated(self) -> bool:
        """Whether it is repeated on every page: a header or footer."""
        return str(self.node.content_layer) in {"header", "footer"}


def _pieces(nodes: Sequence[DocumentNode]) -> Iterator[_Piece]:
    depths: list[int] = []
    for node in nodes:
        above = depths[node.parent] if node.parent is not None and node.parent < len(depths) else 0
        piece = _Piece(node, json.loads(str(node.content)), above)
        depths.append(above + (piece.kind == "list"))
        yield piece


def _tree(suffix: str, data: bytes, name: str, memory: int) -> ExtractedDocument:
    """Extract a file with xberg.

    Raises:
        Unreadable: It is encrypted.
        ValueError: xberg cannot read it.
    """
    from xberg import _xberg

    # By default, xberg reads text in pictures, caches results, and opens attachments.
    config = _xberg.ExtractionConfig(
        use_cache=False,
        disable_ocr=True,
        include_document_structure=True,
        enable_quality_processing=False,
        max_archive_depth=0,
        security_limits=_xberg.SecurityLimits(max_archive_size=min(memory, _MOST_UNPACKED)),
    )
    task = _xberg.ExtractInput.from_bytes(
        data, REGISTRY.by_suffix[suffix].media, name.encode("ascii", "replace").decode()
    )

    async def found() -> ExtractionResult:
        return await _xberg.extract(task, config)

    result = _loop.run_until_complete(found()) if _loop else None
    if result is None or not result.results:
        told = result.errors[0].message if result and result.errors else "nothing was found in it"
        if "password" in told.lower() or "encrypt" in told.lower():
            raise Unreadable("is encrypted: it opens with a password only", "Keep an open copy beside it")
        raise ValueError(told)
    return result.results[0]


class _Body:
    """Adds pieces to a text builder; the items of a list stay together."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        # How deep each item of the open list is nested, and its text.
        self._items: list[tuple[int, str]] = []

    def end(self) -> None:
        """End the open list, if there is one. An item is the context of those nested in it."""
        items, self._items = self._items, []
        first = self._builder.next_line
        self._builder.add_text("\n".join(text for _, text in items))
        open_: list[tuple[int, int, str]] = []
        for depth, text in (*items, (0, "")):
            while open_ and open_[-1][0] >= depth:
                _, begun, parent = open_.pop()
                if begun < first:
                    self._builder.add_context(begun, first - 1, parent)
            first += text.count("\n") + 1
            open_.append((depth, first, text.partition("\n")[0].removeprefix("- ")))

    def whole(self, pieces: Sequence[_Piece]) -> None:
        """Add pieces in order; headers and footers, once and at the end."""
        for piece in pieces:
            self._put(piece)
        self.end()
        repeated = (
            "\n".join(_rows(piece.content["grid"])) if piece.kind == "table" else piece.text
            for piece in pieces
            if piece.repeated
        )
        for text in dict.fromkeys(repeated):
            if not _PAGE_NUMBER.fullmatch(text):
                self._builder.add_text(text)

    def slides(self, pieces: Sequence[_Piece], suffix: str, beside: Mapping[int, Sequence[str]]) -> None:
        """Add the slides of a presentation; a short first line of a slide is its heading.

        Args:
            pieces: The pieces of all slides, in order.
            suffix: The suffix of the file.
            beside: The descriptions of pictures and the comments on a slide, by its number; they follow its text.
        """
        slides: dict[int, list[_Piece]] = {number: [] for number, texts in beside.items() if texts}
        current = 0
        for piece in pieces:
            current = _slide(piece, suffix) or current
            slides.setdefault(current, []).append(piece)
        for number in sorted(slides):
            self._slide(number, slides[number], beside.get(number, ()))

    def _slide(self, number: int, pieces: Sequence[_Piece], beside: Sequence[str]) -> None:
        """Add a slide; pieces with the number 0 are on none."""
        if number:
            self._builder.add_blank_line()
            self._builder.add_place(f"slide {number}", reset_headings=True)
        begun = False
        for piece in pieces:
            if piece.kind == "slide":
                # The old format stores the title only in the slide itself.
                if title := str(piece.content.get("title") or ""):
                    self._builder.add_heading(title, 1)
                    begun = True
                continue
            if not begun and piece.kind in _TITLES and 0 < len(piece.text) <= _LONGEST_TITLE:
                self._builder.add_heading(piece.text, 1)
            else:
                self._put(piece)
            begun = True
        self.end()
        for text in beside:
            self._builder.add_text(text)

    def _put(self, piece: _Piece) -> None:
        """Add a piece."""
        # A list in a list is part of it.
        if piece.repeated or piece.kind == "slide" or (piece.kind == "list" and piece.depth):
            return
        if piece.kind == "list_item":
            self._items += [(piece.depth, f"- {piece.text}")] if piece.text else []
            return
        self.end()
        match piece.kind:
            case "heading":
                self._builder.add_heading(piece.text, piece.content["level"])
            case "code":
                self._builder.add_text(piece.content.get("text") or "", "code")
            case "table":
                self._builder.add_table(list(_rows(piece.content["grid"])))
            case "metadata_block":
                self._builder.add_text(
                    "\n".join(f"{entry['key']}: {entry['value']}" for entry in _headers(piece.content))
                )
            case "group":
                pass  # its heading is a separate piece
            case _:
                self._builder.add_text(piece.text)


def _slide(piece: _Piece, suffix: str) -> int:
    """Return the number of the slide that a piece declares; 0 if it declares none."""
    if suffix in _BY_PAGE:
        return 0 if piece.kind == "slide" else piece.node.page or 0
    return int(piece.content["number"]) if piece.kind == "slide" else 0


def _headers(content: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Yield the headers of a mail, without the subject."""
    for entry in content.get("entries") or ():
        if entry["key"] in {"From", "To", "Cc", "CC", "Date"}:
            yield entry


def _rows(grid: dict[str, Any]) -> Iterator[str]:
    """Yield the rows of a table, with bars between cells. A cell over several columns is used once."""
    rows: dict[int, dict[int, str]] = {}
    for cell in grid["cells"]:
        rows.setdefault(cell["row"], {})[cell["col"]] = " ".join(_plain(cell["content"]).split())
    for number in sorted(rows):
        if any(rows[number].values()):
            yield " | ".join(rows[number][column] for column in sorted(rows[number]))


def _plain(text: str) -> str:
    """Remove the inline markup that xberg adds to text."""
    text = _REFERENCE.sub("", _IMAGE.sub(r"\1", text))
    return _MARKS.sub(lambda found: found[1] or "", text).strip()
