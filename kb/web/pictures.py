"""Pictures: pages of PDF files, drawn in the sandbox, and the images that documents embed."""

from __future__ import annotations

import base64
import posixpath
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from kb.errors import DocumentError, NotIndexed
from kb.web.pdf_page import Drawn, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kb.records import KnownFile
    from kb.sandbox.pool import Sandbox

    Load = Callable[[str, str], bytes]

_MODULE: Final = "kb.web.pdf_page"
_SECONDS: Final = 20.0
_MEMORY: Final = 600_000_000
# Text of a page as it is sent; a picture is larger by a third in base64.
_TEXT: Final = 30_000_000
# The pictures that are kept, in bytes. A page of text takes some hundred thousand, one that is a photograph millions.
_KEPT_BYTES: Final = 32_000_000
_MOST_BYTES: Final = 30_000_000
# How long a passage is at most that is looked for on a page, in characters.
_LONGEST_PASSAGE: Final = 20_000


@dataclass(frozen=True, slots=True)
class Page:
    """A drawn page.

    Attributes:
        png: The picture.
        pages: How many pages the document has.
        marked: How many rectangles are marked on it.
        top: Where the topmost of them begins, from 0 at the top of the page to 1.
    """

    png: bytes
    pages: int
    marked: int
    top: float


class Pages:
    """Draws pages of PDF files, and keeps the last ones.

    Args:
        load: Returns the bytes of a file, by its watched folder and its path in it.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._sandbox: Sandbox | None = None
        self._kept: OrderedDict[tuple[bytes, int, str], Page] = OrderedDict()

    def draw(self, file: KnownFile, page: int, passage: str = "") -> Page:
        """Return a page as a picture, with a passage marked on it.

        Raises:
            DocumentError: It cannot be drawn.
        """
        key = (file.content_hash, page, passage)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            sandbox = self._sandbox = self._sandbox or _new_sandbox()
        wanted = msgspec.json.encode(Wanted(page, _text_of(passage))).decode()
        answer = sandbox.extract(_MODULE, wanted, self._load(file.folder, file.path))
        drawn = msgspec.json.decode(answer.text, type=Drawn)
        made = Page(base64.b64decode(drawn.png), drawn.pages, drawn.marked, drawn.top)
        with self._lock:
            self._kept[key] = made
            while sum(len(one.png) for one in self._kept.values()) > _KEPT_BYTES:
                self._kept.popitem(last=False)
        return made

    def close(self) -> None:
        """Stop the process that draws."""
        with self._lock:
            sandbox, self._sandbox = self._sandbox, None
            self._kept.clear()
        if sandbox is not None:
            sandbox.close()


def _new_sandbox() -> Sandbox:
    from kb.sandbox.pool import Sandbox
    from kb.sandbox.protocol import Limits

    return Sandbox(Limits(seconds=_SECONDS, memory=_MEMORY, text=_TEXT), [_MODULE])


def _text_of(passage: str) -> str:
    return passage[:_LONGEST_PASSAGE].encode("utf-8", "replace").decode()


# Raster images by their first bytes. SVG is none of them: it is a document, and can hold scripts.
_SIGNATURES: Final = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (4, b"ftypavif", "image/avif"),
)


def media_type(data: bytes) -> str:
    """Return the media type of a raster image by its first bytes; empty for anything else."""
    return next((kind for at, signature, kind in _SIGNATURES if data[at : at + len(signature)] == signature), "")


def image_of(load: Load, document: KnownFile, source: str) -> tuple[bytes, str]:
    """Return an image that a document embeds, and its media type.

    It is looked for beside the document, then from the top of its watched folder. Hidden files and folders, links and
    whatever lies outside of the folder are never read.

    Args:
        load: Returns the bytes of a file, by its watched folder and its path in it.
        document: The document.
        source: Where the image is, as the document says.

    Raises:
        NotIndexed: There is no such image.
    """
    missing = NotIndexed("there is no such image", "Look at the path in the document")
    for path in _places(document, source):
        try:
            data = load(document.folder, path)
        except DocumentError:
            continue
        kind = media_type(data)
        if kind and len(data) <= _MOST_BYTES:
            return data, kind
    raise missing


def has_image(document: KnownFile, source: str) -> bool:
    """Whether there is a file where ``image_of`` would look for an image."""
    try:
        return any(Path(document.folder, path).is_file() for path in _places(document, source))
    except OSError:  # a name that no file can have
        return False


def _places(document: KnownFile, source: str) -> Iterator[str]:
    """Yield the paths of an image in the folder of its document: beside that, and from the top of the folder."""
    beside = posixpath.dirname(document.path)
    for place in dict.fromkeys((posixpath.join(beside, source.lstrip("/")), source.lstrip("/"))):
        path = posixpath.normpath(place)
        if not (path.startswith((".", "/")) or "/." in path or "\0" in path or "\\" in path):
            yield path
