"""The messages between a sandbox and its extraction process."""

from __future__ import annotations

from struct import Struct as Layout
from typing import Final, Protocol

from msgspec import Struct

# The header of each message: the length of its JSON, and of the file or image that follows. A request to read an image
# has no JSON.
FRAME: Final = Layout(">IQ")
# The exit code of a worker that was idle or had grown too large; another one can be started.
RETIRED: Final = 75
# The exit code of a worker that could not be confined; it has sent the reason and read no file.
UNCONFINED: Final = 76


class Limits(Struct, frozen=True):
    """What extracting one file may cost.

    Attributes:
        seconds: The most time, in seconds.
        memory: The most memory beyond that of the idle process, in bytes.
        text: The most text, in bytes of UTF-8.
        ocr: The languages in which Tesseract reads scanned pages; empty to not read them.
        ocr_seconds: The most time of a file with scanned pages, in seconds.
    """

    seconds: float = 60.0
    memory: int = 1_000_000_000
    text: int = 50_000_000
    ocr: str = ""
    ocr_seconds: float = 600.0


class Started(Struct, tag="started"):
    """The first message of a worker, sent when its libraries are loaded.

    Attributes:
        in_force: The measures that confine it, as in ``kb.sandbox.syscalls``.
    """

    in_force: list[str]


class Failed(Struct, tag="failed"):
    """The first message of a worker that could not be confined."""

    reason: str


class OcrResult(Struct):
    """The text in an image, or the reason why there is none, as in ``Refused``."""

    text: str = ""
    reason: str = ""
    remedy: str = ""


class Task(Struct, frozen=True):
    """A file to extract; its bytes follow.

    Attributes:
        extractor: The full name of the module that extracts it.
        name: Its file name, without folders.
    """

    extractor: str
    name: str


class Extracted(Struct, kw_only=True, tag="extracted"):
    """The text of a document, with its structure. Lines count from 1.

    Attributes:
        text: The text, with line feeds as line ends and without invisible characters.
        headings: Its headings, as (text, level, first line, last line).
        blocks: Lines that should stay together, as (kind, first line, last line).
        places: Its places, as (first line, name, row, page, soft).
        context: Column names and parent list items, for the lines below them, as (first line, last line, text).
        title: The title in its properties, or empty.
        author: The author in its properties, or empty.
        date: The date in its properties (ISO 8601), or empty.
        tags: Its tags, without ``#``.
        language: The language that it declares, or empty.
        unread: The parts that were not read, a phrase each.
    """

    text: str
    headings: list[tuple[str, int, int, int]] = []
    blocks: list[tuple[str, int, int]] = []
    places: list[tuple[int, str, int, int, bool]] = []
    context: list[tuple[int, int, str]] = []
    title: str = ""
    author: str = ""
    date: str = ""
    tags: list[str] = []
    language: str = ""
    unread: list[str] = []


class Refused(Struct, tag="refused"):
    """Why a file gives no text.

    Attributes:
        reason: Why, as a sentence without its subject.
        remedy: What to do about it.
    """

    reason: str
    remedy: str = ""


class Extracts(Protocol):
    """Extracts documents; implemented by ``kb.sandbox.pool.Sandbox``."""

    def extract(self, extractor: str, name: str, data: bytes) -> Extracted:
        """Extract the text of a document.

        Raises:
            DocumentError: It gives no text.
        """
