"""Decodes text of unknown encoding, and tells text from binary data.

The encoding is that of a byte order mark, else UTF-16 or UTF-32 if the zero bytes fit, else UTF-8 if valid, else a
legacy encoding. Japanese, Thai and Turkish are recognized by their letters, others by charset-normalizer. If none fits,
the text is UTF-8 with invalid bytes replaced and counted.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# --- Legacy encodings that a few words identify: Japanese, Thai, Turkish --------------------------------------------

_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_HIRAGANA: Final = re.compile("[\u3041-\u3096]")
_JAPANESE: Final = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff5e]")
_KANA: Final = 0.25
_NEARLY: Final = 0.9
# In Thai, signs above and below follow a consonant, and leading vowels precede one.
_THAI_SIGNS: Final = re.compile("[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]")
_THAI_SIGN_PLACED: Final = re.compile(
    "(?<=[\u0e01-\u0e2e\u0e31\u0e34-\u0e3a\u0e47-\u0e4e])[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]"
)
_THAI_FIRST: Final = re.compile("[\u0e40-\u0e44]")
_THAI_LED: Final = re.compile("[\u0e40-\u0e44](?=[\u0e01-\u0e2e])")
_FEWEST_SIGNS: Final = 0.05
# Turkish letters where cp1252 has Icelandic ones, other Turkish letters, and bytes that are not Turkish letters.
_TURKISH_OWN: Final = re.compile(rb"[\xd0\xdd\xde\xf0\xfd\xfe]")
_TURKISH: Final = re.compile(rb"[\xc7\xd6\xdc\xe7\xf6\xfc]")
_NOT_TURKISH: Final = re.compile(
    rb"[\x80-\x84\x86-\x90\x95\x98-\x9f\xa1-\xaa\xac\xae-\xb6\xb8-\xba\xbc-\xc1\xc3-\xc6\xc8-\xcd\xcf\xd1-\xd5]"
    rb"|[\xd7-\xdb\xdf-\xe1\xe3-\xe6\xe8-\xed\xef\xf1-\xf5\xf7-\xfa\xff]"
)


def certain_encoding(data: bytes) -> str:
    """Return the encoding that the letters of a text identify; empty if a detector is needed.

    Args:
        data: The bytes of a text that is not UTF-8.
    """
    if _reads_japanese(data, "cp932"):
        return "cp932"
    if _reads_japanese(data, "euc_jp"):
        return "euc_jp"
    if _reads_thai(data):
        return "cp874"
    return "cp1254" if _reads_turkish(data) else ""


def _text(data: bytes, encoding: str) -> str:
    """Return the characters beyond ASCII of a text; empty if it cannot be decoded."""
    try:
        return "".join(_BEYOND_ASCII.findall(data.decode(encoding)))
    except UnicodeDecodeError:
        return ""


def _reads_japanese(data: bytes, encoding: str) -> bool:
    text = _text(data, encoding)
    hiragana, japanese = len(_HIRAGANA.findall(text)), len(_JAPANESE.findall(text))
    return bool(text) and hiragana >= _KANA * len(text) and japanese >= _NEARLY * len(text)


def _reads_thai(data: bytes) -> bool:
    try:
        text = data.decode("cp874")
    except UnicodeDecodeError:
        return False
    signs, first = len(_THAI_SIGNS.findall(text)), len(_THAI_FIRST.findall(text))
    thai = len(re.findall("[\u0e01-\u0e5b]", text))
    return (
        thai >= _NEARLY * len(_BEYOND_ASCII.findall(text))
        and signs >= _FEWEST_SIGNS * thai > 0
        and len(_THAI_SIGN_PLACED.findall(text)) == signs
        and len(_THAI_LED.findall(text)) >= _NEARLY * first
    )


def _reads_turkish(data: bytes) -> bool:
    """Whether all letters beyond ASCII are Turkish, including a dotless i."""
    return (
        b"\xfd" in data
        and len(_TURKISH_OWN.findall(data)) > 1
        and bool(_TURKISH.search(data) or b"\xfe" in data)
        and not _NOT_TURKISH.search(data)
    )


# --- Decoding -----------------------------------------------------------------------------------------------------

# UTF-32 comes first: its little-endian mark begins with that of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Encodings found in notes, the most common first. Rare ones are left out, since they are mistaken for one another.
LEGACY: Final = (
    "cp1252", "cp1251", "koi8_r", "cp1250", "iso8859_2", "cp932", "gb18030", "big5", "euc_jp", "cp949", "cp1253",
    "cp1254", "cp1255", "cp1256", "mac_roman", "cp850",
)  # fmt: skip
# Symbols of Western text: those at the same place in most Windows encodings, and others in prices, fractions, sums and
# units. In a word they would be letters of another encoding.
_WESTERN_SYMBOL: Final = re.compile(
    r"(?<![^\0-\x7f])(?:[\xa0¤¦§©«¬\xad®°±µ¶·»]|(?<![A-Za-z])[£¢€¼½¾\xd7÷](?![A-Za-z])|¥(?=\d)"
    r"|(?<=[\w)])(?<![A-Za-z]{3})[²³](?![A-Za-z]))(?![^\0-\x7f])"
)
_QUOTES: Final = str.maketrans(dict.fromkeys("\u2026\u2018\u2019\u201c\u201d\u2013\u2014", "'"))
_SAMPLE: Final = 1 << 14
_WIDE_SAMPLE: Final = 1 << 12
# Signatures of binary formats. Files with zero bytes are recognized without one.
_MAGIC: Final = re.compile(
    rb"%PDF-\d|\x89PNG|\xff\xd8\xff|GIF8[79]a|PK(?:\x03\x04|\x05\x06|\x07\x08)|\x1f\x8b|BZh[1-9]1AY&SY|\xfd7zXZ"
    rb"|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!\x1a\x07|\x7fELF|\xca\xfe\xba\xbe|\xcf\xfa\xed\xfe|\xd0\xcf\x11\xe0"
    rb"|SQLite format 3|\x1aE\xdf\xa3|\x89HDF|wOF[F2]\x00"
)
_ESCAPES: Final = re.compile(rb"\x1b\$(?:[@B]|\(D)")
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
        return _legacy(data) or _decoded(data, "utf-8")


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
    return _controls(data) > len(data) * (_MOST_CONTROLS if _is_utf8(data) else _MOST_CONTROLS_LEGACY)


def _marked(data: bytes) -> tuple[bytes, str] | None:
    """Return the byte order mark of a text and its encoding; None if it has no mark."""
    for mark, encoding in _MARKS:
        if data.startswith(mark) and not (encoding == "utf-32-le" and not _decodes(data, encoding)):
            return mark, encoding
    return None


def _escaped(data: bytes) -> str | None:
    """Return the encoding of ASCII text with Japanese escape sequences, as in mails; None if it has none."""
    return "iso2022_jp_ext" if _ESCAPES.search(data) and data.isascii() and _decodes(data, "iso2022_jp_ext") else None


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
        if len(_UNLIKELY.findall(text)) <= len(text) * _MOST_CONTROLS_LEGACY and _decodes(data, encoding):
            return encoding
    return None


def _legacy(data: bytes) -> Decoded | None:
    """Decode a text in the most likely legacy encoding; None if UTF-8 with replacements is better."""
    if _mostly_utf8(data):
        return None
    if _western_symbols(data):
        return _decoded(data, "cp1252")
    sample = _sample(data)
    for size in _sample_sizes(sample):
        if (encoding := certain_encoding(sample[:size])) and _decodes(data, encoding):
            return _decoded(data, encoding)
    from charset_normalizer import from_bytes

    for size in _sample_sizes(sample):
        matches = list(from_bytes(sample[:size], cp_isolation=list(LEGACY), enable_fallback=False))
        # Several may fit equally well: Western text in related encodings, a few words in any.
        ranked = sorted(
            (
                match.chaos,
                _oddity(str(match)),
                encoding != "cp1252",
                -match.coherence,
                LEGACY.index(encoding),
                encoding,
            )
            for match in matches
            for encoding in match.could_be_from_charset
        )
        for *_, encoding in ranked:
            if _decodes(data, encoding):
                return _decoded(data, encoding)
    return None


def _western_symbols(data: bytes) -> bool:
    """Whether all characters beyond ASCII are symbols of cp1252, which a detector may take for letters."""
    if not _decodes(data, "cp1252"):
        return False
    text = data.decode("cp1252").translate(_QUOTES)
    symbols = len(_WESTERN_SYMBOL.findall(text))
    return 0 < 2 * symbols <= len(text) and symbols == len(re.findall(r"[^\0-\x7f]", text))


def _oddity(text: str) -> int:
    """Count the Latin letters next to a letter of another script or a symbol, as in a word decoded wrongly."""
    start = text[:_WIDE_SAMPLE]
    return sum(_latin(one) != _latin(other) and not (_common(one) or _common(other)) for one, other in pairwise(start))


def _latin(character: str) -> bool:
    return unicodedata.name(character, "").startswith("LATIN")


def _common(character: str) -> bool:
    """Whether a character occurs next to letters of any script: blanks, digits, punctuation."""
    return (character.isascii() and not character.isalpha()) or unicodedata.category(character)[0] in "ZP"


def _mostly_utf8(data: bytes) -> bool:
    """Whether most characters beyond ASCII are valid UTF-8, so that a few bytes are damaged."""
    readable = data.decode("utf-8", "ignore")
    bad = data.decode("utf-8", "replace").count("\ufffd") - readable.count("\ufffd")
    return len(re.findall("[^\x00-\x7f]", readable)) > 2 * bad


def _sample(data: bytes) -> bytes:
    """Return the beginnings of lines with bytes beyond ASCII, as many as a detector needs."""
    taken = []
    size = 0
    for line in _lines_beyond_ascii(data):
        taken.append(line)
        size += len(line)
        if size >= _SAMPLE:
            break
    return b"\n".join(taken)[:_SAMPLE]


def _lines_beyond_ascii(data: bytes) -> Iterator[bytes]:
    """Yield the lines with a byte over 127; of a long line, the part from shortly before that byte."""
    position = 0
    beyond = re.compile(rb"[\x80-\xff]")
    while found := beyond.search(data, position):
        start = max(data.rfind(b"\n", position, found.start()) + 1, position, found.start() - 200)
        end = data.find(b"\n", found.start())
        position = len(data) if end < 0 else end
        yield data[start : min(position, start + _SAMPLE)]


def _sample_sizes(sample: bytes) -> tuple[int, ...]:
    """Return the lengths at which to try a sample: it may end within a character of several bytes."""
    return (len(sample),) if len(sample) < _SAMPLE else tuple(range(len(sample), len(sample) - 4, -1))


def _decoded(data: bytes, encoding: str) -> Decoded:
    """Decode a text in a known encoding, with invalid bytes replaced and counted."""
    try:
        return Decoded(_lines(data.decode(encoding)), encoding, 0)
    except UnicodeDecodeError:
        text = data.decode(encoding, "replace")
        replaced = text.count("\ufffd") - data.decode(encoding, "ignore").count("\ufffd")
        return Decoded(_lines(text), encoding, replaced)


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _controls(data: bytes) -> int:
    """Count the control characters that text does not have."""
    return len(data) - len(data.translate(None, _CONTROLS))


def _is_utf8(data: bytes) -> bool:
    return data.isascii() or _decodes(data, "utf-8")


def _lines(text: str) -> str:
    r"""Convert line ends to ``\n``; other line separators of Unicode are kept."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
