"""What an extraction process is asked for and what it answers, as both sides of the pipe know it."""

from __future__ import annotations

from struct import Struct as Layout
from typing import Final, Protocol

from msgspec import Struct

# In front of each message: how long its description is, and how many bytes of a file follow it. Where a worker asks for
# an image to be recognised it has no description.
FRAME: Final = Layout(">IQ")
# The exit code of a worker that went because it had nothing to do, or had grown: another one can be started.
RETIRED: Final = 75
# The exit code of a process that could not give up its rights; it says why first, and has read no file.
UNCONFINED: Final = 76


class Limits(Struct, frozen=True):
    """What extracting one file may cost.

    Attributes:
        seconds: How long it may take.
        memory: Bytes of memory beyond what the process takes at rest.
        text: Bytes of text (UTF-8) that may come out.
        ocr: The languages of Tesseract in which scanned pages are read; empty: not at all.
        ocr_seconds: How long a file may take instead once its pages have to be recognised.
    """

    seconds: float = 60.0
    memory: int = 1_000_000_000
    text: int = 50_000_000
    ocr: str = ""
    ocr_seconds: float = 600.0


class Started(Struct, tag="started"):
    """What a worker says first: the time of a file begins when its libraries are loaded.

    Attributes:
        in_force: The measures that confine it, as in ``kb.sandbox.syscalls``.
    """

    in_force: list[str]


class Failed(Struct, tag="failed"):
    """What a worker says instead where a measure that the system offers cannot be taken."""

    reason: str


class Recognised(Struct):
    """The text in an image; or why there is none, as in ``Refused``."""

    text: str = ""
    reason: str = ""
    remedy: str = ""


class Task(Struct, frozen=True):
    """One file to extract; its bytes follow. ``name`` is its file name, without folders."""

    extractor: str
    name: str


class Extracted(Struct, kw_only=True, tag="extracted"):
    """The text of a document with its structure; lines count from 1.

    Attributes:
        text: All of it, with line feeds only and without invisible characters.
        headings: As (text, level, first line, last line).
        blocks: What should stay together, as (kind, first line, last line).
        places: Where in the document a line and those below it are, as (first line, name, row, page, soft).
        told: The names of columns, for the rows below them, as (first line, last line, text).
        title: What the document's own properties call it; also ``author`` and ``date`` (ISO 8601), where they say so.
        tags: The labels it has, without signs.
        language: What the document says its language is; empty where it says nothing.
        unread: What of the document was not read, a phrase each.
    """

    text: str
    headings: list[tuple[str, int, int, int]] = []
    blocks: list[tuple[str, int, int]] = []
    places: list[tuple[int, str, int, int, bool]] = []
    told: list[tuple[int, int, str]] = []
    title: str = ""
    author: str = ""
    date: str = ""
    tags: list[str] = []
    language: str = ""
    unread: list[str] = []


class Refused(Struct, tag="refused"):
    """Why a file gives no text, as a sentence without its subject, and what to do about it."""

    reason: str
    remedy: str = ""


class Extracts(Protocol):
    """What turns the bytes of a document into text; ``kb.sandbox.pool.Sandbox`` is the real one."""

    def extract(self, extractor: str, name: str, data: bytes) -> Extracted:
        """The text of a document.

        Raises:
            DocumentError: It gives none.
        """
