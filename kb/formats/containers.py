"""Checks Office, OpenDocument and EPUB files before they are parsed, for encryption and decompression bombs."""

from __future__ import annotations

import re
import zipfile
from html import unescape
from io import BytesIO
from struct import unpack_from
from typing import TYPE_CHECKING, Final

from kb.formats.builder import Unreadable
from kb.formats.dates import iso_date

if TYPE_CHECKING:
    from kb.sandbox.protocol import Limits

_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_MEGABYTE: Final = 1_000_000
_SMALL: Final = 1_000_000
# Offsets in an OLE file ([MS-CFB]); streams under a size are stored in another way.
_SECTOR_SIZE: Final = 30
_ENTRY: Final = 128
_FIRST_SECTOR: Final = 116
_LARGE: Final = 4096
_BEGINNING: Final = 64
# Word's flags ([MS-DOC] 2.5.2); Excel's FilePass record behind the first one ([MS-XLS] 2.4.117), or a write protection;
# PowerPoint's token of an encrypted file ([MS-PPT] 2.3.2).
_WORD_FLAGS: Final = 10
_EXCEL_PASSWORD: Final = re.compile(rb"\x09\x08(?:\x10\0.{16}|\x08\0.{8})(?:\x86\0\0\0)?\x2f\0", re.DOTALL)
_POWERPOINT_PASSWORD: Final = re.compile(rb"\0\0\xf6\x0f.{4}\x14\0\0\0\xdf\xc4\xd1\xf3", re.DOTALL)
_LOCKED: Final = ("is encrypted: it opens with a password only", "Keep an open copy beside it")


def refuse_encrypted(name: str, data: bytes, limits: Limits) -> None:
    """Check that a container is not encrypted and not a decompression bomb.

    Raises:
        Unreadable: It is encrypted, protected, or unpacks to more than the memory limit.
    """
    if data.startswith(_OLE):
        # A mail itself is not encrypted, even if an attachment is.
        if not name.lower().endswith(".msg") and (_ENCRYPTED in data or _has_password(data)):
            raise Unreadable(*_LOCKED)
        return
    if not data.startswith(b"PK"):
        return
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return  # leave the error to the parser
    with archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > limits.memory:
            raise Unreadable(
                f"unpacks to {size / _MEGABYTE:,.0f} MB, over the limit of memory (documents.memory_mb)",
                "Raise the limit, or exclude the file",
            )
        if b"encryption-data" in _member(archive, "META-INF/manifest.xml") or any(
            entry.flag_bits & 1 for entry in archive.infolist()
        ):
            raise Unreadable(*_LOCKED)
        licences = any(_member(archive, name) for name in ("META-INF/rights.xml", "META-INF/license.lcpl"))
        if licences or b"adept" in _member(archive, "META-INF/encryption.xml"):
            raise Unreadable("is protected against copying: only its own reader opens it", "Exclude the file")


def _has_password(data: bytes) -> bool:
    """Whether a document of Office before 2007 is encrypted; parsers would read the encrypted bytes as text."""
    word = _stream(data, "WordDocument")
    if word.startswith((b"\xec\xa5", b"\xdc\xa5")) and len(word) > _WORD_FLAGS + 1:
        return bool(word[_WORD_FLAGS + 1] & 1)
    workbook = _stream(data, "Workbook") or _stream(data, "Book")
    return bool(_EXCEL_PASSWORD.match(workbook) or _POWERPOINT_PASSWORD.search(data))


def _stream(data: bytes, name: str) -> bytes:
    """Return the beginning of a large stream of an OLE file, by its name in the directory ([MS-CFB] 2.6)."""
    wanted = f"{name}\0".encode("utf-16-le")
    entry = data.find(wanted)
    while entry % _ENTRY and entry >= 0:
        entry = data.find(wanted, entry + 1)
    if entry < 0 or entry + _ENTRY > len(data):
        return b""
    first, size = unpack_from("<II", data, entry + _FIRST_SECTOR)
    at = (first + 1) << data[_SECTOR_SIZE]
    return data[at : at + _BEGINNING] if size >= _LARGE else b""


def properties(data: bytes) -> tuple[str, str, str]:
    """Return title, author and day of creation from a container's properties; empty if it has none."""
    if not data.startswith(b"PK"):
        return "", "", ""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            text = (_member(archive, "docProps/core.xml") or _member(archive, "meta.xml")).decode("utf-8", "replace")
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return "", "", ""
    author = _element(text, "dc:creator") or _element(text, "meta:initial-creator")
    created = _element(text, "dcterms:created") or _element(text, "meta:creation-date") or _element(text, "dc:date")
    return _element(text, "dc:title"), author, iso_date(created)


def _element(text: str, name: str) -> str:
    """Return the text of the first element with a name that contains only text."""
    found = re.search(rf"<{name}(?:\s[^<>]*)?>([^<]*)</{name}>", text)
    return unescape(found[1]) if found else ""


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a small file of a container; empty if there is none."""
    try:
        with archive.open(name) as member:
            return member.read(_SMALL)
    except (KeyError, ValueError, RuntimeError, NotImplementedError, OSError, zipfile.BadZipFile):
        return b""
