"""The headers of a mail as text, those too that hold bytes beyond ASCII which nothing declares."""

from __future__ import annotations

import re
from email.header import decode_header
from typing import TYPE_CHECKING, Final

from kb.extract.charset import decoded
from kb.extract.clean import line

if TYPE_CHECKING:
    from email.message import EmailMessage, MIMEPart

_SURROGATES: Final = re.compile("[\udc80-\udcff]")
_FILE_NAME: Final = re.compile(r"(?:file)?name\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;\"]+))", re.IGNORECASE)


def header(message: EmailMessage, name: str) -> str:
    """A header as one line; one that cannot be understood as it stands."""
    raw = _raw(message, name)
    if _SURROGATES.search(raw):
        return line(_undeclared(raw, charset_of(message)))
    try:
        return line(str(message.get(name) or ""))
    except (ValueError, TypeError, IndexError, AttributeError, LookupError):
        return line(raw)


def file_name(part: MIMEPart, charset: str) -> str:
    """The name of the file that a part is; empty where it has none.

    Args:
        part: A part of a mail.
        charset: The encoding that the mail names, for bytes that nothing declares.
    """
    try:
        name = part.get_filename() or ""
    except (ValueError, TypeError, IndexError, AttributeError, LookupError):
        name = ""
    for raw in (_raw(part, "Content-Disposition"), _raw(part, "Content-Type")):
        if _SURROGATES.search(raw) and (found := _FILE_NAME.search(raw)):
            return line(_undeclared(found[1] or found[2], charset))
    return line(name)


def charset_of(message: EmailMessage) -> str:
    """The encoding that a mail, or the first of its texts that says so, is written in; empty where none is named."""
    for part in message.walk():
        try:
            charset = part.get_content_charset()
        except (ValueError, TypeError, IndexError, AttributeError, LookupError):
            continue
        if charset and charset.lower() not in {"us-ascii", "utf-8", "utf8"}:
            return str(charset)
    return ""


def _raw(part: MIMEPart, name: str) -> str:
    """A header as it stands in the mail, its bytes beyond ASCII as surrogates."""
    return next((str(value) for key, value in part.raw_items() if key.lower() == name.lower()), "")


def _undeclared(raw: str, charset: str) -> str:
    """A header with bytes beyond ASCII: UTF-8 where they make sense in it, else the mail's own encoding."""
    data = raw.encode("ascii", "surrogateescape") if raw.isascii() or _only_bytes(raw) else raw.encode()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = decoded(data, charset or "cp1252")
    if "=?" not in text:
        return text
    try:
        return "".join(
            part.decode(label or "utf-8", "replace") if isinstance(part, bytes) else part
            for part, label in decode_header(text)
        )
    except (ValueError, LookupError):
        return text


def _only_bytes(raw: str) -> bool:
    return all(character.isascii() or "\udc80" <= character <= "\udcff" for character in raw)
