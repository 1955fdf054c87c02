"""Gathers the text of a document piece by piece and keeps count of lines, places and size."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, Literal

from kb.sandbox.protocol import Extracted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Text without what nobody sees: controls, invisible and direction characters, and the codes of PDF line breaks.

# Zero-width joiners stay where scripts and emoji need them. Tags (U+E0000) can hide whole sentences from a reader.
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
    """The text as a reader sees it: one kind of line end, plain spaces, letters instead of ligatures."""
    text = _NOTHING.sub("", _LINE_ENDS.sub("\n", text))
    text = _LIGATURES.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return _SPACES.sub(" ", text)


def line(text: str) -> str:
    """A text as one line without doubled spaces."""
    return " ".join(clean(text).split())


# Properties that programs fill in by themselves say nothing about a document.
_NO_TITLE: Final = re.compile(
    r"(microsoft (word|powerpoint|excel) - .*|untitled.*|unknown|document\d*|presentation\d*|powerpoint presentation|"
    r"slide \d+|title|none|[\W\d_]+|(?:scan|img|image|doc|file)[\W\d_]*|new document.*|neues? dokument.*|"
    r"\(?(anonymous|unspecified)\)?|"
    r"[^/]*\.(docx?|pptx?|xlsx?|odt|ods|odp|rtf|pdf|tex|dvi|ps|indd|qxd|cdr|pub|wpd|pages|txt|md|html?)|"
    r"(?:[a-z]:\\|/|file:).*)",
    re.IGNORECASE,
)
# What is told of a line has an end, however deep it stands.
_DEEPEST: Final = 20
_BULLET: Final = re.compile(r"-\s+")
_LONGEST: Final = 300
_MOST_TAGS: Final = 1_000


class TooMuchText(Exception):
    """A document holds more text than is allowed."""


class Unreadable(Exception):
    """A document gives no text, for a reason that can be told.

    Args:
        reason: A sentence without its subject.
        remedy: What to do about it.
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class Draft:
    """A document in the making.

    Args:
        most: The most bytes of text it may hold.
        recognise: Gives the text in an image, as ``recognised`` does; without it none is recognised.
    """

    def __init__(self, most: int, recognise: Callable[[bytes], str] = lambda _image: "") -> None:
        self._most = most
        self._recognise = recognise
        self._size = 0
        self._lines: list[str] = []
        self._result = Extracted(text="")
        self._columns: tuple[int, str] | None = None
        # The items that are open: how deep, the last line of each, and its first one's words.
        self._items: list[tuple[int, int, str]] = []

    def recognised(self, image: bytes) -> str:
        """The text in an image, read by Tesseract in a process of its own; it may take longer than parsing.

        Raises:
            Unreadable: Tesseract is not installed or does not read it.
        """
        return self._recognise(image)

    def describe(self, title: str | None, author: str | None = "", date: str | None = "") -> None:
        """Take over what the document's properties say of it, where that means anything."""
        title = line(title or "")[:_LONGEST]
        self._result.title = "" if _NO_TITLE.fullmatch(title) else title
        self._result.author = line(author or "")[:_LONGEST]
        self._result.date = date or ""

    @property
    def is_titled(self) -> bool:
        """Whether the properties have said a title that means anything."""
        return bool(self._result.title)

    def entitle(self, title: str) -> None:
        """Take over a title from the text, where the properties have none."""
        self._result.title = self._result.title or line(title)[:_LONGEST]

    def label(self, tags: Iterable[str], language: str = "") -> None:
        """Take over the labels of a document, and the language that it says it is in."""
        known = self._result.tags
        known += [tag for one in tags if (tag := line(one)[:_LONGEST]) and tag not in known][: _MOST_TAGS - len(known)]
        self._result.language = language or self._result.language

    def unread(self, what: str) -> None:
        """Tell what of the document is not read, as ``2 of 10 pages are damaged``."""
        self._result.unread.append(line(what)[:_LONGEST])

    def place(self, name: str, *, row: int = 0, page: int = 0, soft: bool = False, anew: bool = False) -> None:
        """What comes next stands at this place of the document.

        Args:
            name: How people call it.
            row: Its row, counting from 1, where it has one.
            page: Its page, counting from 1, where it has one.
            soft: A passage may run on into it.
            anew: The headings before it do not hold for it.
        """
        number = len(self._lines) + 1
        self._result.places.append((number, line(name)[:_LONGEST], row, page, soft))
        if anew and self._result.headings:
            self._result.headings.append(("", 1, number, number - 1))

    def heading(self, text: str, level: int) -> None:
        """A heading on a line of its own; an empty one is left out."""
        if text := line(text)[:_LONGEST]:
            self._result.headings.append((text, max(1, level), *self._add(text)))
            self.gap()

    def text(self, text: str, kind: Literal["text", "code", "table"] = "text") -> None:
        """A paragraph, or another piece that stays together, and a blank line."""
        text = clean(text).strip("\n")
        if text.strip():
            self._result.blocks.append((kind, *self._add(text)))
            self.gap()

    def line(self, text: str) -> None:
        """One line that can stand alone, as a row of a sheet does."""
        if text := line(text):
            self._result.blocks.append(("table", *self._add(text)))

    def table(self, rows: list[str]) -> None:
        """A table that stays together; its first row names the columns, unless a number stands in it."""
        if not any(row.strip() for row in rows):
            return
        before = len(self._lines)
        self.text("\n".join(rows), "table")
        names = [name.strip() for name in rows[0].split("|")]
        named = len(names) > 1 and not any(name.replace(".", "").replace(",", "").isdigit() for name in names)
        if named and len(self._lines) > before + 2:
            last = len(self._lines) - 1 if not self._lines[-1] else len(self._lines)
            self._result.told.append((before + 2, last, line(rows[0])[:_LONGEST]))

    def columns(self, text: str) -> None:
        """The names of the columns, on a line of their own: they hold for the lines up to the end of the table."""
        self.end_table()
        self.line(text)
        if text := line(text)[:_LONGEST]:
            self._columns = len(self._lines), text

    def end_table(self) -> None:
        """The names of columns hold no further."""
        if self._columns and self._columns[0] < len(self._lines):
            self._result.told.append((self._columns[0] + 1, len(self._lines), self._columns[1]))
        self._columns = None

    def item(self, text: str, depth: int) -> None:
        """An item of a list, ``depth`` lists deep; it holds for the deeper ones that follow."""
        self.end_items(depth - 1)
        before = len(self._lines)
        self.text(text)
        if len(self._lines) > before and depth <= _DEEPEST:
            last = len(self._lines) - (not self._lines[-1])
            self._items.append((depth, last, line(_BULLET.sub("", text.partition("\n")[0]))[:_LONGEST]))

    def end_items(self, depth: int = 0) -> None:
        """Items that are deeper than this hold no further."""
        while self._items and self._items[-1][0] > depth:
            _, begun, text = self._items.pop()
            last = len(self._lines) - (bool(self._lines) and not self._lines[-1])
            if last > begun and text:
                self._result.told.append((begun + 1, last, text))

    def lines(self, texts: Iterable[str]) -> None:
        """Lines as they follow one another, blank ones included."""
        for text in texts:
            self._add(clean(text).rstrip())

    def headed(self, text: str, level: int, back: int) -> None:
        """A line that was added already, ``back`` lines before the end, is a heading."""
        number = len(self._lines) - back + 1
        self._result.headings.append((line(text)[:_LONGEST], level, number, number))

    def outline(self, headings: Iterable[tuple[str, int, int, int]]) -> None:
        """The structure of a text that is kept by who asked for it, as in ``Extracted.headings``."""
        self._result.headings.extend(headings)

    def encoded(self, text: str) -> None:
        """A whole document in a form that only its reader knows; nothing else is in the draft."""
        self._lines = [text]

    def gap(self) -> None:
        """A blank line, unless there is one."""
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def done(self) -> Extracted:
        """The document as far as it was gathered."""
        while self._lines and not self._lines[-1]:
            self._lines.pop()
        self._result.text = "\n".join(self._lines) + ("\n" if self._lines else "")
        # What is told of an item is known when the last one below it has ended.
        self._result.told.sort(key=lambda one: (one[0], -one[1]))
        return self._result

    def _add(self, text: str) -> tuple[int, int]:
        """Add lines and give the first and the last one's number."""
        self._size += len(text.encode("utf-8", "replace")) + 1
        if self._size > self._most:
            raise TooMuchText
        first = len(self._lines) + 1
        self._lines += text.split("\n")
        return first, len(self._lines)
