"""Looks into the containers of the Office, OpenDocument and EPUB formats before a parser does: locked, or a bomb."""

from __future__ import annotations

import re
import zipfile
from html import unescape
from io import BytesIO
from typing import TYPE_CHECKING, Final

from kb.extract.dates import iso_date
from kb.extract.draft import Unreadable

if TYPE_CHECKING:
    from kb.extract.wire import Limits

_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_MEGABYTE: Final = 1_000_000
_SMALL: Final = 1_000_000
_LOCKED: Final = ("is encrypted: it opens with a password only", "Keep an open copy beside it")


def refuse_locked(_name: str, data: bytes, limits: Limits) -> None:
    """See that a container can be opened, and is no bomb.

    Raises:
        Unreadable: It is encrypted, protected, or unpacks to more than the memory that is allowed.
    """
    if data.startswith(_OLE):
        if _ENCRYPTED in data:
            raise Unreadable(*_LOCKED)
        return
    if not data.startswith(b"PK"):
        return
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return  # the parser may know better, or say so
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
        if _member(archive, "META-INF/rights.xml") or b"adept" in _member(archive, "META-INF/encryption.xml"):
            raise Unreadable("is protected against copying: only its own reader opens it", "Exclude the file")


def properties(data: bytes) -> tuple[str, str, str]:
    """Title, author and day of creation in a container's own properties; empty where it has none."""
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
    """The text of the first element of a name that holds nothing but text."""
    found = re.search(rf"<{name}(?:\s[^<>]*)?>([^<]*)</{name}>", text)
    return unescape(found[1]) if found else ""


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A small file of a container, or nothing."""
    try:
        with archive.open(name) as member:
            return member.read(_SMALL)
    except (KeyError, ValueError, RuntimeError, NotImplementedError, OSError, zipfile.BadZipFile):
        return b""
