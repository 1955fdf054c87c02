"""Scanned pages and images by Tesseract, the program, where it is installed and its use is asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Final

from kb.extract.draft import Unreadable
from kb.records import SCANNED

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

    from kb.extract.draft import Draft
    from kb.extract.wire import Limits

# Tesseract reads best what has about 300 dots an inch; PDF measures in 72 parts of one.
_SCALE: Final = 300 / 72
_LARGEST: Final = 40_000_000


def prepare() -> None:
    """Nothing: Tesseract is a program of its own."""


def extract(_name: str, data: bytes, draft: Draft, limits: Limits) -> None:
    """Put the text of an image into the draft.

    Raises:
        Unreadable: No text is recognised.
    """
    draft.slow()
    text = _recognised(data, limits.ocr)
    if not text.strip():
        raise Unreadable("is an image in which no text was recognised")
    for paragraph in text.split("\n\n"):
        draft.text(paragraph)


def read_page(page: PdfPage, languages: str) -> str:
    """The text on a page of a PDF that is an image."""
    width, height = page.get_size()
    scale = min(_SCALE, (_LARGEST / max(1.0, width * height)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)
    try:
        pixels, stride, across = memoryview(bitmap.buffer), bitmap.stride, bitmap.width
        rows = (pixels[at * stride : at * stride + across] for at in range(bitmap.height))
        return _recognised(b"P5 %d %d 255\n" % (across, bitmap.height) + b"".join(rows), languages)
    finally:
        bitmap.close()


def _recognised(image: bytes, languages: str) -> str:
    program = shutil.which("tesseract")
    if program is None:
        raise Unreadable(f"{SCANNED}, and Tesseract is not installed", "Install tesseract-ocr")
    done = subprocess.run(
        [program, "stdin", "stdout", "-l", languages, "--psm", _layout(program)],
        input=image,
        capture_output=True,
        check=False,
        env=os.environ | {"OMP_THREAD_LIMIT": "1"},
    )
    if done.returncode:
        told = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise Unreadable(f"cannot be read by Tesseract ({told[-160:]})", "Check documents.ocr_languages")
    return done.stdout.decode("utf-8", "replace")


@cache
def _layout(program: str) -> str:
    """How Tesseract looks at a page: turned the right way up where it has learnt that (``osd``)."""
    done = subprocess.run([program, "--list-langs"], capture_output=True, check=False)
    return "1" if b"osd" in done.stdout.split() else "3"
