"""Builds the extracted text of a document, with its structure.

Readers of document formats add headings, paragraphs, tables and lists to a ``TextBuilder``. It cleans the text, counts
lines and enforces the size limit. ``build`` returns the result as ``Extracted``.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, Literal

from kb.sandbox.protocol import Extracted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Invisible characters are removed. Zero-width joiners stay, since scripts and emoji need them. Tag characters (U+E0000)
# go, since they can hide whole sentences from a reader.
_INVISIBLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e0fff\U0001d173-\U0001d17a"
)
_CONTROLS: Final = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff"
_NOTHING: Final = re.compile(f"[{_INVISIBLE}{_CONTROLS}]+")
_LINE_ENDS: Final = re.compile("\r\n?|[\u0085\u2028\u2029]")
_LIGATURES: Final = re.compile("[\ufb00-\ufb06]")
_SPACES: Final = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")


def clean(text: str) -> str:
    """Normalize line ends, spaces and ligatures, and remove control and invisible characters."""
    text = _NOTHING.sub("", _LINE_ENDS.sub("\n", text))
    text = _LIGATURES.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return _SPACES.sub(" ", text)


def line(text: str) -> str:
    """Clean a text and join it into one line with single spaces."""
    return " ".join(clean(text).split())


# Alternative texts that say nothing: names of files, and what programs call a picture without looking at it.
_NO_ALTERNATIVE: Final = re.compile(
    r"\S*[/\\]\S*|[^/]*\.(png|jpe?g|gif|webp|svg|bmp|tiff?|ico|emf|wmf|heic|avif)|"
    r"(image|img|picture|photo|graphic|logo|icon|spacer|bild|grafik|foto)?[\W\d_]*",
    re.IGNORECASE,
)
# What PowerPoint and Word add to descriptions that they made up themselves.
_GENERATED: Final = re.compile(r"\s*(Description automatically generated.*|AI-generated content may be incorrect\.?)")


def alternative_text(text: str) -> str:
    """Return the alternative text of a picture as one line; empty if it says nothing about it."""
    text = line(_GENERATED.sub("", text))[:_LONGEST]
    return "" if _NO_ALTERNATIVE.fullmatch(text) else text


# Titles that programs fill in by themselves.
_NO_TITLE: Final = re.compile(
    r"(microsoft (?:office )?(?:word|powerpoint|excel|publisher)(?:\s*[-\u2013:]\s.*)?|"
    r"untitled.*|unbenannt.*|sans (?:titre|nom).*|s[ie]n t[ií]tulo.*|sem t[ií]tulo.*|senza (?:titolo|nome).*|"
    r"naamloos.*|bez (?:názvu|tytułu).*|без (?:имени|названия).*|無題.*|无标题.*|제목 없음.*|"
    r"unknown|(?:do[ck]ument[oe]?|pr[eéä]senta(?:tion|ción|zione))\s?\d*|"
    r"new document.*|neues? dokument.*|nouveau document.*|nuevo documento.*|"
    r"powerpoint[ -]pr[eä]sentati(?:on|e)|(?:apr|pr)[eé]senta\S+ (?:de |do |di |standard di )?powerpoint|"
    r"(?:slide|folie|diapositiv[ea]|layout|page|seite) \d+|title|print|none|[\W\d_]+|full page (?:photo|fax print)|"
    r"(?:scan|img|image|doc|file)[\W\d_]*|scanned (?:document|by .*)|camscanner .*|adobe photoshop pdf|smart document|"
    r"\(?(anonymous|unspecified)\)?|article in press|(?:doi|pii): ?\S+|<?[0-9a-f]{20,}>?|"
    r"[0-9a-f]{8}(?:-[0-9a-f]{4,12}){4}|"
    r"[^/]*\.(docx?|pptx?|xlsx?|csv|odt|ods|odp|rtf|pdf|tex|dvi|ps|eps|indd|qxd|qxp|cdr|pub|wpd|pages|txt|md|html?|tmp|"
    r"jpe?g|png|tiff?)|(?:[a-z]:\\|/|file:|https?://).*|about:\S*)",
    re.IGNORECASE,
)
# Items nested deeper than this are not context of the items below them.
_DEEPEST: Final = 20
_BULLET: Final = re.compile(r"-\s+")
_LONGEST: Final = 300
_MOST_TAGS: Final = 1_000


class TooMuchText(Exception):
    """The text of a document is over the size limit."""


class Unreadable(Exception):
    """A document gives no text.

    Args:
        reason: Why, as a sentence without its subject.
        remedy: What to do about it.
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class TextBuilder:
    """Builds the text and structure of one document.

    Args:
        max_bytes: The most bytes of text (UTF-8) that the document may hold.
        recognise: Returns the text in an image, as ``TextBuilder.recognise`` does; by default no text.
    """

    def __init__(self, max_bytes: int, recognise: Callable[[bytes], str] = lambda _image: "") -> None:
        self._max_bytes = max_bytes
        self._recognise = recognise
        self._size = 0
        self._lines: list[str] = []
        self._result = Extracted(text="")
        self._header_row: tuple[int, str] | None = None
        # Open list items: depth, last line, and the words of the first line.
        self._items: list[tuple[int, int, str]] = []

    def recognise(self, image: bytes) -> str:
        """Return the text in an image, as Tesseract reads it in a process of its own.

        Raises:
            Unreadable: Tesseract is not installed or cannot read the image.
        """
        return self._recognise(image)

    def set_properties(self, title: str | None, author: str | None = "", date: str | None = "") -> None:
        """Set what the document's properties say. A title that a program filled in by itself is ignored."""
        title = line(title or "")[:_LONGEST]
        self._result.title = "" if _NO_TITLE.fullmatch(title) else title
        self._result.author = line(author or "")[:_LONGEST]
        self._result.date = date or ""

    @property
    def has_title(self) -> bool:
        """Whether the document has a title."""
        return bool(self._result.title)

    def set_default_title(self, title: str) -> None:
        """Set the title, unless the document has one."""
        self._result.title = self._result.title or line(title)[:_LONGEST]

    def add_tags(self, tags: Iterable[str], language: str = "") -> None:
        """Add the tags of the document, and set the language that it declares."""
        known = self._result.tags
        known += [tag for one in tags if (tag := line(one)[:_LONGEST]) and tag not in known][: _MOST_TAGS - len(known)]
        self._result.language = language or self._result.language

    def add_unread(self, what: str) -> None:
        """Report a part of the document that is not read, such as ``2 of 10 pages are damaged``."""
        self._result.unread.append(line(what)[:_LONGEST])

    def add_place(
        self, name: str, *, row: int = 0, page: int = 0, soft: bool = False, reset_headings: bool = False
    ) -> None:
        """Begin a place of the document, such as a page, a slide or a sheet, at the next line.

        Args:
            name: What people call it.
            row: Its row, counting from 1; 0 for none.
            page: Its page, counting from 1; 0 for none.
            soft: Whether a passage may run on into it.
            reset_headings: Whether the headings before it do not apply to it.
        """
        number = len(self._lines) + 1
        self._result.places.append((number, line(name)[:_LONGEST], row, page, soft))
        if reset_headings and self._result.headings:
            self._result.headings.append(("", 1, number, number - 1))

    def add_heading(self, text: str, level: int) -> None:
        """Add a heading on a line of its own, unless it is empty."""
        if text := line(text)[:_LONGEST]:
            self._result.headings.append((text, max(1, level), *self._add(text)))
            self.add_blank_line()

    def add_text(self, text: str, kind: Literal["text", "code", "table"] = "text") -> None:
        """Add a block that stays together, such as a paragraph, and a blank line."""
        text = clean(text).strip("\n")
        if text.strip():
            self._result.blocks.append((kind, *self._add(text)))
            self.add_blank_line()

    def add_line(self, text: str) -> None:
        """Add a line that can stand alone, such as a row of a sheet."""
        if text := line(text):
            self._result.blocks.append(("table", *self._add(text)))

    def add_table(self, rows: list[str]) -> None:
        """Add a table that stays together. Its first row is the header, unless a number is in it."""
        if not any(row.strip() for row in rows):
            return
        before = len(self._lines)
        self.add_text("\n".join(rows), "table")
        names = [name.strip() for name in rows[0].split("|")]
        named = len(names) > 1 and not any(name.replace(".", "").replace(",", "").isdigit() for name in names)
        if named and len(self._lines) > before + 2:
            last = len(self._lines) - 1 if not self._lines[-1] else len(self._lines)
            self._result.context.append((before + 2, last, line(rows[0])[:_LONGEST]))

    def add_header_row(self, text: str) -> None:
        """Add a line with the names of the columns. It is the context of the lines up to ``end_table``.

        Lines that follow one another are one header.
        """
        above = self._header_row[1] if self._header_row and self._header_row[0] == len(self._lines) else ""
        self.end_table()
        self.add_line(text)
        if text := line(f"{above} | {text}" if above else text)[:_LONGEST]:
            self._header_row = len(self._lines), text

    def end_table(self) -> None:
        """End the table that ``add_header_row`` began, if one is open."""
        if self._header_row and self._header_row[0] < len(self._lines):
            self._result.context.append((self._header_row[0] + 1, len(self._lines), self._header_row[1]))
        self._header_row = None

    def add_item(self, text: str, depth: int) -> None:
        """Add a list item, ``depth`` lists deep. It is the context of the deeper items that follow."""
        self.end_items(depth - 1)
        before = len(self._lines)
        self.add_text(text)
        if len(self._lines) > before and depth <= _DEEPEST:
            last = len(self._lines) - (not self._lines[-1])
            self._items.append((depth, last, line(_BULLET.sub("", text.partition("\n")[0]))[:_LONGEST]))

    def end_items(self, depth: int = 0) -> None:
        """End the open list items that are deeper than ``depth``."""
        while self._items and self._items[-1][0] > depth:
            _, begun, text = self._items.pop()
            last = len(self._lines) - (bool(self._lines) and not self._lines[-1])
            if last > begun and text:
                self._result.context.append((begun + 1, last, text))

    @property
    def next_line(self) -> int:
        """The number of the line that is added next."""
        return len(self._lines) + 1

    def add_context(self, first: int, last: int, text: str) -> None:
        """Add the context of lines that were added before, such as the names of the columns of a table."""
        if text := line(text)[:_LONGEST]:
            self._result.context.append((first, last, text))

    def add_lines(self, texts: Iterable[str]) -> None:
        """Add consecutive lines, blank ones included."""
        for text in texts:
            self._add(clean(text).rstrip())

    def mark_heading(self, text: str, level: int, back: int) -> None:
        """Mark a line that was added before, ``back`` lines from the end, as a heading."""
        number = len(self._lines) - back + 1
        self._result.headings.append((line(text)[:_LONGEST], level, number, number))

    def add_headings(self, headings: Iterable[tuple[str, int, int, int]]) -> None:
        """Add headings of a text that the caller keeps, as in ``Extracted.headings``."""
        self._result.headings.extend(headings)

    def set_encoded(self, text: str) -> None:
        """Replace the text by a whole document, encoded in a form that its reader decodes."""
        self._lines = [text]

    def add_blank_line(self) -> None:
        """Add a blank line, unless the last line is blank."""
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def build(self) -> Extracted:
        """Return the document."""
        while self._lines and not self._lines[-1]:
            self._lines.pop()
        self._result.text = "\n".join(self._lines) + ("\n" if self._lines else "")
        # The context of list items is added when the last item below them ends.
        self._result.context.sort(key=lambda one: (one[0], -one[1]))
        return self._result

    def _add(self, text: str) -> tuple[int, int]:
        """Add lines and return the numbers of the first and the last.

        Raises:
            TooMuchText: The text is over the limit.
        """
        self._size += len(text.encode("utf-8", "replace")) + 1
        if self._size > self._max_bytes:
            raise TooMuchText
        first = len(self._lines) + 1
        self._lines += text.split("\n")
        return first, len(self._lines)
