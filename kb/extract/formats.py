"""Which formats are extracted by which code, and which library that needs. Imports nothing of what it names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Final


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of document.

    Attributes:
        kind: What kb calls it, as in ``kb list --json``.
        extractor: The module of this room that reads it.
        noun: What people call such files.
        library: The package it needs; empty where Python is enough.
    """

    kind: str
    extractor: str
    noun: str
    library: str = ""


_OFFICE: Final = "xberg"
_FORMATS: Final = {
    ".pdf": Format("pdf", "pdf", "PDF files", "pypdfium2"),
    ".docx .docm .dotx .doc": Format("word", "office", "Word documents", _OFFICE),
    ".odt .ott": Format("word", "office", "OpenDocument texts", _OFFICE),
    ".rtf": Format("word", "office", "Rich Text documents", _OFFICE),
    ".pptx .pptm .ppsx .ppt": Format("slides", "office", "PowerPoint presentations", _OFFICE),
    ".odp .otp": Format("slides", "impress", "OpenDocument presentations"),
    ".xlsx .xlsm .xlsb .xls": Format("sheet", "sheet", "Excel workbooks", "python_calamine"),
    ".ods .ots": Format("sheet", "sheet", "OpenDocument spreadsheets", "python_calamine"),
    ".html .htm .xhtml": Format("web", "web", "web pages"),
    ".mhtml .mht": Format("web", "saved", "saved web pages"),
    ".epub": Format("ebook", "office", "e-books", _OFFICE),
    ".msg": Format("mail", "office", "Outlook messages", _OFFICE),
    ".eml": Format("mail", "mail", "mails"),
    ".emlx": Format("mail", "mail", "mails of Apple Mail"),
    ".mbox .mbx": Format("mail", "mail", "mailboxes"),
    ".ics .ical .vcs": Format("calendar", "agenda", "calendars"),
    ".vcf .vcard": Format("contact", "card", "contacts"),
    ".enex": Format("note", "enex", "notes of Evernote"),
    ".fb2": Format("ebook", "fb2", "FictionBook e-books"),
    ".ipynb": Format("notebook", "notebook", "notebooks"),
}
FORMATS: Final[dict[str, Format]] = {suffix: one for suffixes, one in _FORMATS.items() for suffix in suffixes.split()}
# Suffixes of files that are larger than their text.
DOCUMENTS: Final = frozenset(FORMATS)
IMAGES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
IMAGE: Final = Format("image", "scan", "images")


@cache
def installed(library: str) -> bool:
    """Whether a library is there to be used."""
    return not library or find_spec(library) is not None


def libraries() -> tuple[str, ...]:
    """The libraries that are installed, of those any format needs."""
    return tuple(sorted({one.library for one in FORMATS.values() if one.library and installed(one.library)}))


def extractors() -> tuple[str, ...]:
    """The modules that read documents whose library is installed, and images."""
    return tuple(sorted({one.extractor for one in FORMATS.values() if installed(one.library)} | {IMAGE.extractor}))
