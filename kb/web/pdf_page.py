"""Draws a page of a PDF file with a passage marked on it, in the sandbox.

``kb.sandbox.worker`` loads this module as it loads those that extract text, so a damaged or malicious file meets the
same confinement. The picture comes back as text: JSON with a PNG in base64.
"""

from __future__ import annotations

import base64
import codecs
import re
import struct
import unicodedata
import zlib
from typing import TYPE_CHECKING, Final

import msgspec

from kb.formats.builder import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pypdfium2 import PdfDocument, PdfPage, PdfTextPage

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

# A page is drawn this wide, in pixels, whatever its size; one that is much longer than wide is drawn smaller.
_WIDTH: Final = 1_100
_MOST_PIXELS: Final = 4_000_000
_LETTERS: Final = re.compile(r"\w")
# The fewest letters of a line by which it is looked for on its own: a shorter one is found in many places.
_TELLING: Final = 6
# The yellow of a marker; multiplied with the page, so that the text stays as dark as it is.
_MARKER: Final = (255, 236, 150)
_PADDING: Final = 1.5


class Wanted(msgspec.Struct, frozen=True):
    """Which page, and what is marked on it.

    Attributes:
        page: The page, from 1.
        passage: The text of the passage; empty to mark nothing.
    """

    page: int
    passage: str = ""


class Drawn(msgspec.Struct, frozen=True):
    """A page as a picture.

    Attributes:
        png: The picture, in base64.
        pages: How many pages the document has.
        marked: How many rectangles are marked.
        top: Where the topmost of them begins, from 0 at the top of the page to 1.
    """

    png: str
    pages: int
    marked: int
    top: float


def prepare() -> None:
    """Load pdfium."""
    import pypdfium2
    import pypdfium2.raw

    pypdfium2.PdfBitmap.new_native(8, 8, 3).close()
    codecs.lookup("utf-16-le")
    zlib.compress(b"")


def extract(name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Draw a page and give it to the builder, encoded.

    Args:
        name: A ``Wanted`` as JSON.
        data: The bytes of the file.
        builder: Takes the text.

    Raises:
        Unreadable: The file cannot be opened, or has no such page.
    """
    import pypdfium2

    wanted = msgspec.json.decode(name, type=Wanted)
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise Unreadable("cannot be drawn: it is encrypted or damaged", "Open it with its own program") from error
    with document:
        if not 1 <= wanted.page <= len(document):
            raise Unreadable(f"has no page {wanted.page}", "Choose another page")
        builder.set_encoded(msgspec.json.encode(_drawn(document, wanted)).decode())


def _drawn(document: PdfDocument, wanted: Wanted) -> Drawn:
    document.init_forms()
    page = document[wanted.page - 1]
    rectangles = _rectangles(page, wanted.passage) if wanted.passage else []
    _mark(page, rectangles)
    width, height = page.get_size()
    scale = min(_WIDTH / max(width, 1), (_MOST_PIXELS / max(width * height, 1)) ** 0.5)
    bitmap = page.render(scale=scale, rev_byteorder=True, prefer_bgrx=False, may_draw_forms=True)
    png = _png(bitmap.buffer, bitmap.width, bitmap.height, bitmap.stride, bitmap.n_channels)
    return Drawn(base64.b64encode(png).decode(), len(document), len(rectangles), _top(page, rectangles))


def _rectangles(page: PdfPage, passage: str) -> list[tuple[float, float, float, float]]:
    """Return where a passage stands on its page, as (left, bottom, right, top) in points, a rectangle a line."""
    text_page = page.get_textpage()
    count = text_page.count_chars()
    if count <= 0:
        return []
    letters, places = _letters(text_page, count)
    found = [
        text_page.get_rect(at)
        for first, last in _ranges(letters, passage)
        for at in range(text_page.count_rects(places[first], places[last - 1] - places[first] + 1))
    ]
    return [one for one in found if one[2] > one[0] and one[3] > one[1]]


def _top(page: PdfPage, rectangles: Sequence[tuple[float, float, float, float]]) -> float:
    """Return where the topmost rectangle begins, from 0 at the top of the page to 1; 0 if that is turned."""
    if not rectangles or page.get_rotation():
        return 0.0
    _, bottom, _, top = page.get_cropbox()
    highest = max(one[3] for one in rectangles)
    share: float = (top - highest) / max(top - bottom, 1)
    return min(max(share, 0.0), 1.0)


def _letters(text_page: PdfTextPage, count: int) -> tuple[str, list[int]]:
    """Return the letters and digits of a page, and the index of each among its characters.

    Spaces, hyphens and ends of lines are not where the extracted text has them.
    """
    import pypdfium2.raw as pdfium

    letters, places = [], []
    for at in range(count):
        code = pdfium.FPDFText_GetUnicode(text_page, at)
        for letter in _folded(chr(code)) if 0 < code <= 0x10FFFF else "":  # noqa: PLR2004 - the last code point
            letters.append(letter)
            places.append(at)
    return "".join(letters), places


def _folded(text: str) -> str:
    return "".join(_LETTERS.findall(unicodedata.normalize("NFKC", text).casefold()))


def _ranges(letters: str, passage: str) -> Iterator[tuple[int, int]]:
    """Yield where a passage stands among the letters of a page: whole, else line by line."""
    whole = _folded(passage)
    at = letters.find(whole) if whole else -1
    if at >= 0:
        yield at, at + len(whole)
        return
    start = 0
    for line in passage.split("\n"):
        folded = _folded(line)
        if len(folded) < _TELLING:
            continue
        at = letters.find(folded, start)
        # Columns and footnotes may have been put into another order.
        at = letters.find(folded) if at < 0 else at
        if at >= 0:
            yield at, at + len(folded)
            start = at + len(folded)


def _mark(page: PdfPage, rectangles: Sequence[tuple[float, float, float, float]]) -> None:
    """Mark rectangles as with a text marker, in the copy in memory."""
    import pypdfium2.raw as pdfium

    for left, bottom, right, top in rectangles:
        shape = pdfium.FPDFPageObj_CreateNewRect(
            left - _PADDING, bottom - _PADDING, right - left + 2 * _PADDING, top - bottom + 2 * _PADDING
        )
        pdfium.FPDFPageObj_SetFillColor(shape, *_MARKER, 255)
        pdfium.FPDFPath_SetDrawMode(shape, pdfium.FPDF_FILLMODE_WINDING, 0)
        pdfium.FPDFPageObj_SetBlendMode(shape, b"Multiply")
        pdfium.FPDFPage_InsertObject(page, shape)
    if rectangles:
        pdfium.FPDFPage_GenerateContent(page)


def _png(buffer: object, width: int, height: int, stride: int, channels: int) -> bytes:
    """Return a PNG of the pixels of a bitmap.

    Args:
        buffer: The pixels, row by row, one byte a channel.
        width: The width in pixels.
        height: The height in pixels.
        stride: The bytes of a row.
        channels: 1 for grey, 3 for RGB, 4 for RGB and a byte that is not used.
    """
    rows = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # an array of ctypes
    kind = {1: 0, 3: 2, 4: 6}[channels]
    # No filter: pages are mostly even, and the time is better spent on the next one.
    raw = b"".join(b"\0" + bytes(rows[at * stride : at * stride + width * channels]) for at in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )
