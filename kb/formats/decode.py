"""Decodes text of unknown encoding, and tells text from binary data.

The encoding is that of a byte order mark, else UTF-16 or UTF-32 if the zero bytes fit, else UTF-8 if valid, else the
legacy encoding that the text names, else a likely one. If none fits, the text is UTF-8 with invalid bytes replaced and
counted.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final

from kb.formats.charset import told
from kb.formats.legacy import decodes, legacy_encoding

# UTF-32 comes first: its little-endian mark begins with that of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE_SAMPLE: Final = 1 << 12
# Signatures of binary formats. Files with zero bytes are recognized without one.
_MAGIC: Final = re.compile(
    rb"%PDF-\d|\x89PNG|\xff\xd8\xff|GIF8[79]a|PK(?:\x03\x04|\x05\x06|\x07\x08)|\x1f\x8b|BZh[1-9]1AY&SY|\xfd7zXZ"
    rb"|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!\x1a\x07|\x7fELF|\xca\xfe\xba\xbe|\xcf\xfa\xed\xfe|\xd0\xcf\x11\xe0"
    rb"|SQLite format 3|\x1aE\xdf\xa3|\x89HDF|wOF[F2]\x00"
)
# Escape sequences in ASCII text, as in mails, that switch to Japanese and Korean letters.
ESCAPES: Final = {
    "iso2022_jp_ext": re.compile(rb"\x1b\$(?:[@B]|\(D)"),
    "iso2022_kr": re.compile(rb"\x1b\$\)C"),
}
_CONTROLS: Final = bytes(sorted({*range(0x20), 0x7F} - set(b"\b\t\n\v\f\r\x1a\x1b")))
_DAMAGED: Final = "\x00-\x07\x0e-\x19\x1c-\x1f\x7f-\x84\x86-\x9f\ufffd-\uffff"
_FLAWS: Final = re.compile(f"[{_DAMAGED}]")
# Characters that are rare in text and frequent if numbers are read as UTF-16: private use and rare scripts.
_UNLIKELY: Final = re.compile(
    f"[{_DAMAGED}\u3400-\u4dbf\ua000-\ua63f\ud7b0-\uf8ff\ufff0-\uffff\U00010000-\U0001cfff\U00030000-\U0010ffff]"
)
_MOST_CONTROLS: Final = 0.1
_MOST_CONTROLS_LEGACY: Final = 0.01
_FEWEST_ZEROS: Final = 0.15


@dataclass(frozen=True, slots=True)
class Decoded:
    r"""A decoded text.

    Attributes:
        text: The text, with ``\n`` line ends.
        encoding: Its encoding.
        replaced: The number of characters that could not be decoded.
    """

    text: str
    encoding: str
    replaced: int


def decode(data: bytes) -> Decoded:
    r"""Decode a file, without its byte order mark; ``\r\n`` and a lone ``\r`` become ``\n``."""
    marked = _marked(data)
    encoding = marked[1] if marked else _wide(data) or _escaped(data)
    if encoding is not None:
        return _decoded(data[len(marked[0]) if marked else 0 :], encoding)
    try:
        return Decoded(_lines(data.decode("utf-8")), "utf-8", 0)
    except UnicodeDecodeError:
        # If most of it is UTF-8, a few bytes are damaged.
        return _decoded(data, "utf-8" if _mostly_utf8(data) else told(data) or legacy_encoding(data) or "utf-8")


def is_binary(data: bytes) -> bool:
    """Whether a file is not text, by its signature, zero bytes and control characters."""
    if not data:
        return False
    marked = _marked(data)
    if marked is not None:
        mark, encoding = marked
        text = data[len(mark) : len(mark) + _WIDE_SAMPLE].decode(encoding, "replace")
        return len(_FLAWS.findall(text)) > len(text) * _MOST_CONTROLS
    if _MAGIC.match(data):
        return True
    if b"\0" in data:
        return _wide(data) is None
    if _escaped(data):
        return False
    return _controls(data) > len(data) * (_MOST_CONTROLS if _is_utf8(data) else _MOST_CONTROLS_LEGACY)


def _marked(data: bytes) -> tuple[bytes, str] | None:
    """Return the byte order mark of a text and its encoding; None if it has no mark."""
    for mark, encoding in _MARKS:
        if data.startswith(mark) and not (encoding == "utf-32-le" and not decodes(data, encoding)):
            return mark, encoding
    return None


def _escaped(data: bytes) -> str | None:
    """Return the encoding of ASCII text with escape sequences; None if it has none."""
    if b"\x1b$" not in data or not data.isascii():
        return None
    return next((name for name, mark in ESCAPES.items() if mark.search(data) and decodes(data, name)), None)


def _wide(data: bytes) -> str | None:
    """Return the encoding of UTF-16 or UTF-32 text without a mark, by the positions of its zero bytes.

    The high bytes of ASCII characters are zero. Nearly all bytes are valid UTF-16, mostly Chinese, so a file that would
    be text without a stray zero byte must have many more of them.
    """
    sample = data[:_WIDE_SAMPLE]
    if b"\0" not in sample:
        return None
    rest = sample.replace(b"\0", b"")
    little, big = (sample[first::2].count(0) for first in (1, 0))
    if _controls(rest) <= len(rest) * _MOST_CONTROLS_LEGACY and max(little, big) < len(sample) * _FEWEST_ZEROS:
        return None
    orders = ("le", "be") if little >= big else ("be", "le")
    for encoding in (f"{width}-{order}" for width in ("utf-32", "utf-16") for order in orders):
        text = sample.decode(encoding, "ignore")
        if len(_UNLIKELY.findall(text)) <= len(text) * _MOST_CONTROLS_LEGACY and decodes(data, encoding):
            return encoding
    return None


def _mostly_utf8(data: bytes) -> bool:
    """Whether most characters beyond ASCII are valid UTF-8, so that a few bytes are damaged."""
    readable = data.decode("utf-8", "ignore")
    bad = data.decode("utf-8", "replace").count("\ufffd") - readable.count("\ufffd")
    return len(re.findall("[^\x00-\x7f]", readable)) > 2 * bad


def _decoded(data: bytes, encoding: str) -> Decoded:
    """Decode a text in a known encoding, with invalid bytes replaced and counted."""
    try:
        return Decoded(_lines(data.decode(encoding)), encoding, 0)
    except UnicodeDecodeError:
        text = data.decode(encoding, "replace")
        replaced = text.count("\ufffd") - data.decode(encoding, "ignore").count("\ufffd")
        return Decoded(_lines(text), encoding, replaced)


def _controls(data: bytes) -> int:
    """Count the control characters that text does not have."""
    return len(data) - len(data.translate(None, _CONTROLS))


def _is_utf8(data: bytes) -> bool:
    return data.isascii() or decodes(data, "utf-8")


def _lines(text: str) -> str:
    r"""Convert line ends to ``\n``; other line separators of Unicode are kept."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
