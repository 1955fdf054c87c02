"""Decodes web pages and mails in the encoding that they declare, as browsers interpret it, or else a likely one."""

from __future__ import annotations

import codecs
import importlib
import pkgutil
import re
from typing import Final

from kb.formats import legacy

_META: Final = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_XML: Final = re.compile(rb"\s*<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{1,40})")
_SNIFFED: Final = 4096
_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# Labels of old encodings mean their supersets (https://encoding.spec.whatwg.org/#names-and-labels).
_MEANT: Final = {
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
_UNKNOWN: Final = "\ufffd"
_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]+")


def prepare() -> None:
    """Load every encoding there is, and what detects them."""
    import encodings

    legacy.prepare()

    for module in pkgutil.iter_modules(encodings.__path__):
        try:
            importlib.import_module(f"encodings.{module.name}")
        except ImportError:  # those of other operating systems
            continue


def named(page: bytes) -> str:
    """Return the encoding that an HTML page declares; empty if it declares none."""
    found = _META.search(page[:_SNIFFED]) or _XML.match(page)
    label = found[1].decode() if found else ""
    # A page whose label could be read as ASCII is not in UTF-16.
    return "utf-8" if label.lower().startswith("utf-16") else label


# Encodings of one script each, as editors, compilers and parsers are told them at the top or the end of a text.
_TOLD: Final = re.compile(
    rb"(?:coding|fenc|charset)[ \t]*[:=]?[ \t]*[\"']?([A-Za-z][\w.-]{2,30})"
    rb"|\\(?:usepackage|inputencoding)(?:\[([A-Za-z][\w.-]{2,30})\])?\{(?:inputenc|([A-Za-z][\w.-]{2,30}))\}",
    re.IGNORECASE,
)
_LATEX_NAMES: Final = {"ansinew": "cp1252", "applemac": "mac_roman", "macce": "mac_latin2"}
_LEGACY: Final = re.compile(r"(?:cp\d|iso8859|koi8|mac-|gb|big5|euc_|shift_jis|johab)")
_TOP, _END = 1_000, 300


def told(data: bytes) -> str:
    """Return the legacy encoding that a text names for the programs that read it; empty if it names none that fits."""
    for found in (*_TOLD.finditer(data[:_TOP]), *_TOLD.finditer(data[_TOP:][-_END:])):
        label = next(filter(None, found.groups())).decode().lower()
        encoding = _meant(_LATEX_NAMES.get(label, label))
        # A text may as well speak of the encoding of another one.
        if _LEGACY.match(encoding) and legacy.makes_sense(data, encoding):
            return encoding
    return ""


def decoded(data: bytes, label: str) -> str:
    """Decode bytes in a declared encoding, which may be empty, unknown or wrong.

    A few invalid bytes are replaced. If more of the text beyond ASCII is invalid than valid, UTF-8 is tried, then the
    encoding that is most likely.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    doubtful = []
    for encoding in dict.fromkeys((_meant(label), "utf-8")):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            doubtful.append(encoding)
        except (LookupError, UnicodeError):  # a codec of Python that is not a text encoding
            continue
    for encoding in doubtful:
        text = data.decode(encoding, "replace")
        if 2 * text.count(_UNKNOWN) <= sum(map(len, _BEYOND_ASCII.findall(text))):
            return text
    return data.decode(legacy.legacy_encoding(data) or "cp1252", "replace")


def _meant(label: str) -> str:
    """Return Python's name for the encoding that a label means; UTF-8 if it is unknown or ASCII."""
    label = label.strip().lower()
    for spelled in (label, label.removeprefix("x-"), re.sub(r"-[ie]$", "", label)):
        try:
            name = codecs.lookup(spelled).name
        except (LookupError, ValueError):
            continue
        return "utf-8" if name == "ascii" else _MEANT.get(name, name)
    return "utf-8"
