"""Encrypted files are reported as such, including Office formats before 2007."""

from __future__ import annotations

from struct import pack

import made_documents as made
import pytest

from kb.formats.builder import Unreadable
from kb.formats.containers import refuse_encrypted
from kb.sandbox.protocol import Limits

MANIFEST = '<m:file-entry m:full-path="{}"><m:encryption-data m:checksum-type="x"/></m:file-entry>'


def ole(name: str, stream: bytes) -> bytes:
    """A compound file ([MS-CFB]) with one stream: the header, a sector of the directory, the stream."""
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(30, b"\0") + pack("<H", 9)
    stream = stream.ljust(4096, b"\0")
    entry = f"{name}\0".encode("utf-16-le").ljust(116, b"\0") + pack("<IQ", 1, len(stream))
    return header.ljust(512, b"\0") + entry.rjust(256, b"\0").ljust(512, b"\0") + stream


def word(*, locked: bool) -> bytes:
    """The beginning of a Word document: the flag of the encryption is one of its first bits."""
    return ole("WordDocument", b"\xec\xa5\xc1\x00" + bytes(6) + pack("<H", 0x12F8 | locked << 8))


def excel(*, locked: bool) -> bytes:
    """The beginning of a workbook: a record of its version, one of the password where it has one, and others."""
    locks = pack("<HH", 0x2F, 6) + bytes(6)
    return ole("Workbook", pack("<HH", 0x809, 16) + bytes(16) + locks * locked + pack("<HHH", 0xE1, 2, 0))


def powerpoint(*, locked: bool) -> bytes:
    """The record that says who had a presentation open, and with what kind of file."""
    return ole("Current User", pack("<HHIII", 0, 0xFF6, 32, 20, 0xF3D1C4DF if locked else 0xE391C05F))


def flagged(data: bytes) -> bytes:
    """A ZIP file whose entries say that they are encrypted."""
    found = bytearray(data)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = found.find(mark)
        while at >= 0:
            found[at + flags] |= 1
            at = found.find(mark, at + 1)
    return bytes(found)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.doc", word(locked=True)),
        ("x.xls", excel(locked=True)),
        ("x.ppt", powerpoint(locked=True)),
        ("x.pptx", ole("EncryptedPackage", b"")),
        ("x.xlsx", flagged(made.xlsx({"Ducks": {1: ["x"]}}))),
        ("x.odt", made.opendocument("text", "", manifest=MANIFEST.format("content.xml"))),
        ("x.ods", made.zipped({"META-INF/manifest.xml": MANIFEST.format("encrypted-package")})),
    ],
)
def test_encrypted_files_are_reported(name: str, data: bytes) -> None:
    """No parser reads the encrypted bytes as text or damage."""
    with pytest.raises(Unreadable, match="is encrypted: it opens with a password only"):
        refuse_encrypted(name, data, Limits())


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.doc", word(locked=False)),
        ("x.xls", excel(locked=False)),
        ("x.ppt", powerpoint(locked=False)),
        ("x.doc", word(locked=True)[:700]),
        ("x.docx", made.docx([("", "x")])),
        # A mail is open even where what is attached to it is not.
        ("x.msg", ole("EncryptedPackage", b"")),
    ],
)
def test_open_files_are_not_reported_as_encrypted(name: str, data: bytes) -> None:
    """No file is refused by mistake."""
    refuse_encrypted(name, data, Limits())


def test_protected_book_is_reported() -> None:
    """A book with a license opens only in its own reader."""
    with pytest.raises(Unreadable, match="is protected against copying"):
        refuse_encrypted("x.epub", made.zipped({"META-INF/license.lcpl": "{}"}), Limits())
