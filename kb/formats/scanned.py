"""Prepares scanned pages and images for Tesseract, which runs in a process of its own.

A parser may start no program. It hands the image to its owner, which has Tesseract read it (``kb.sandbox.ocr``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kb.formats.builder import Unreadable

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

# Tesseract reads best what has about 300 dots an inch; PDF measures in 72 parts of one.
_SCALE: Final = 300 / 72
_LARGEST: Final = 40_000_000


def prepare() -> None:
    """Nothing: Tesseract is a program of its own."""


def extract(_name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Add the text of an image to the builder.

    Raises:
        Unreadable: No text is recognised.
    """
    text = builder.recognise(data)
    if not text.strip():
        raise Unreadable("is an image in which no text was recognised")
    for paragraph in text.split("\n\n"):
        builder.add_text(paragraph)


def read_page(page: PdfPage, builder: TextBuilder) -> str:
    """The text on a page of a PDF that is an image.

    Raises:
        Unreadable: Tesseract is not installed or does not read it.
    """
    width, height = page.get_size()
    scale = min(_SCALE, (_LARGEST / max(1.0, width * height)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)
    try:
        pixels, stride, across = memoryview(bitmap.buffer), bitmap.stride, bitmap.width
        rows = (pixels[at * stride : at * stride + across] for at in range(bitmap.height))
        return builder.recognise(b"P5 %d %d 255\n" % (across, bitmap.height) + b"".join(rows))
    finally:
        bitmap.close()
