"""Reads mails and mailboxes with Python's email package: headers, bodies, invitations and attached texts.

Headers may hold bytes beyond ASCII without a declared encoding; they are decoded as far as possible.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from email import policy
from email.header import decode_header
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from kb.formats.builder import Unreadable, clean, line
from kb.formats.charset import decoded, named, prepare
from kb.formats.dates import mail_date
from kb.formats.decode import decode
from kb.formats.html import Piece, parsed
from kb.formats.icalendar import entries
from kb.formats.legacy import legacy_encoding
from kb.formats.vcard import cards

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

# --- Headers ------------------------------------------------------------------------------------------------------

_SURROGATES: Final = re.compile("[\udc80-\udcff]")
_ENCODED_IN_TURN: Final = re.compile(r"\?=\s+=\?")
# Begins Japanese and Korean letters in ASCII text.
_ESCAPE: Final = "\x1b$"
# The line above a signature, in which the space does not mean that it goes on.
_SIGNATURE: Final = "-- "
_FILE_NAME: Final = re.compile(r"(?:file)?name\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;\"]+))", re.IGNORECASE)


def header(message: EmailMessage, name: str) -> str:
    """Return a header as one line; if it cannot be parsed, as it is in the mail."""
    raw = _raw(message, name)
    if _SURROGATES.search(raw) or _ESCAPE in raw:
        return line(_undeclared(raw, charset_of(message)))
    # Python keeps the blank between two encoded words of a name, and decodes each for itself.
    if _ENCODED_IN_TURN.search(raw) and "=?" not in (text := _undeclared(raw, "")):
        return line(text)
    try:
        return line(str(message.get(name) or ""))
    except (ValueError, TypeError, IndexError, AttributeError, LookupError):
        return line(raw)


def file_name(part: MIMEPart, charset: str) -> str:
    """Return the file name of a part; empty if it has none.

    Args:
        part: A part of a mail.
        charset: The encoding of the mail, for bytes without a declared encoding.
    """
    try:
        name = part.get_filename() or ""
    except (ValueError, TypeError, IndexError, AttributeError, LookupError):
        name = ""
    for raw in (_raw(part, "Content-Disposition"), _raw(part, "Content-Type")):
        if _SURROGATES.search(raw) and (found := _FILE_NAME.search(raw)):
            return line(_undeclared(found[1] or found[2], charset))
    return line(name)


# A mail is asked for it by each header and by its texts.
@lru_cache(maxsize=1)
def charset_of(message: EmailMessage) -> str:
    """Return the encoding of a mail: the first that a part declares beside ASCII and UTF-8.

    If none does, it is the likeliest one of its headers and texts without a declaration; empty if these are in UTF-8.
    """
    for part in message.walk():
        charset = _declared(part)
        if charset not in {"", "us-ascii", "utf-8", "utf8"}:
            return charset
    return _likely_charset(message)


def _declared(part: MIMEPart) -> str:
    """Return the encoding that a part declares, in lower case; empty if it declares none."""
    try:
        return str(part.get_content_charset() or "").lower()
    except (ValueError, TypeError, IndexError, AttributeError, LookupError):
        return ""


def _likely_charset(message: EmailMessage) -> str:
    raw = [str(value) for _, value in message.raw_items()]
    found = b"\n".join(_bytes(text) for text in raw if _SURROGATES.search(text))
    for part in message.walk():
        if part.get_content_maintype() == "text" and not _declared(part):
            payload = part.get_payload(decode=True)
            found += b"\n" + payload if isinstance(payload, bytes) else b""
    try:
        found.decode()
    except UnicodeDecodeError:
        return legacy_encoding(found) or ""
    return ""


def _raw(part: MIMEPart, name: str) -> str:
    """Return a header as it is in the mail, with bytes beyond ASCII as surrogates."""
    return next((str(value) for key, value in part.raw_items() if key.lower() == name.lower()), "")


def _undeclared(raw: str, charset: str) -> str:
    """Decode a header with bytes beyond ASCII: as UTF-8 if valid, else in the encoding of the mail."""
    text = _text_of(_bytes(raw), charset)
    if "=?" not in text:
        return text
    try:
        return "".join(
            # Python gives what is not encoded in an encoding of its own.
            part.decode(label or "raw-unicode-escape", "replace") if isinstance(part, bytes) else part
            for part, label in decode_header(text)
        )
    except (ValueError, LookupError):
        return text


def _text_of(data: bytes, charset: str) -> str:
    """Decode bytes that declare no encoding: by their escape sequences, as UTF-8 if valid, else in that of the mail."""
    if _ESCAPE.encode() in data and not charset:
        return decode(data).text
    try:
        return data.decode()
    except UnicodeDecodeError:
        return decoded(data, charset)


def _bytes(raw: str) -> bytes:
    """Return the bytes of a header, whose bytes beyond ASCII are surrogates."""
    try:
        return raw.encode("ascii", "surrogateescape")
    except UnicodeEncodeError:
        return raw.encode()


__all__ = ["extract", "prepare"]

# --- Bodies -------------------------------------------------------------------------------------------------------

_HEADERS: Final = ("From", "To", "Cc", "Date")
_SHOULD_HAVE: Final = ("From", "To", "Subject", "Date", "Received", "Message-ID")
# The line before a mail in a mailbox: sender, weekday and time, with headers below. A sentence may begin with From too.
_BOX: Final = re.compile(
    rb"(?:\A\s*|\n\n)From \S[^\n]{0,200}? (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? [^\n]{0,40}?\d{1,2}:\d{2}[^\n]*\n"
    rb"(?=>?From |[!-9;-~]+:)"
)
# Subtypes of texts for programs.
_NO_PROSE: Final = frozenset({"calendar", "css", "directory", "rfc822-headers", "vcard", "x-amp-html", "x-vcard"})
# Markup of old mails (RFC 1896, RFC 1341), in which two angle brackets are one.
_ENRICHED: Final = frozenset({"text/enriched", "text/richtext"})
_ENRICHED_MARKS: Final = re.compile(
    r"<param>[^<>]{0,200}</param>|(?P<doubled><<)|(?P<break><(?:nl|paragraph)>)|</?[A-Za-z-]{1,60}>", re.IGNORECASE
)
_CALENDARS: Final = frozenset({"text/calendar", "application/ics", "text/x-vcalendar"})
_CARDS: Final = frozenset({"text/vcard", "text/x-vcard", "text/directory"})
_DIGITS: Final = 12
# A boundary with a sign that it may have in quotes only.
_BARE_BOUNDARY: Final = re.compile(rb"(\bboundary=)([^\s\";]*[=/?:()<>@,\[\]][^\s\";]*)", re.IGNORECASE)
_STATUS: Final = re.compile("[0-9A-Fa-f]{4}")
_EXPUNGED: Final = 0x0008
# In bytes. A longer attachment is data or a log, and would hide its mail.
_LONGEST_ATTACHMENT: Final = 1_000_000
# Two alternatives are the same text if they share this share of words; the other one is preferred if it adds more than
# this share.
_SAME: Final = 0.5
_MORE: Final = 0.1
_STUB: Final = 40
_WORDS: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]|\w+")
_ADDRESS: Final = re.compile(r"https?://\S+")
_ON_PROGRAMS: Final = re.compile(r"html|browser|navigat|naveg|mail.?(?:client|program|reader)|e-?mail", re.IGNORECASE)
_ENCODINGS: Final = frozenset({"base64", "quoted-printable"})
_QUOTED_FROM: Final = re.compile(rb"^>(>*From )", re.MULTILINE)


def extract(name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Add a mail, or every mail of a mailbox, to the builder.

    Raises:
        Unreadable: There is no mail in the file.
    """
    data = data.removeprefix(codecs.BOM_UTF8)
    if name.lower().endswith(".emlx"):
        data = _of_apple(data)
    if not name.lower().endswith((".mbox", ".mbx")) and (not _BOX.match(data) or len(list(_messages(data))) == 1):
        message = _parsed(next(_messages(data), data) if _BOX.match(data) else data)
        if not any(message.get(header) for header in _SHOULD_HAVE):
            raise Unreadable("is not a mail: it has no headers", "Open it with a mail program")
        subject = header(message, "Subject")
        builder.set_properties(subject, header(message, "From"), mail_date(header(message, "Date")))
        _mail(builder, message, subject)
        return
    count = 0
    for part in _messages(data):
        message = _parsed(part)
        count += 1
        if _is_deleted(message):
            continue
        subject = header(message, "Subject")
        _mail(builder, message, subject)
    if not count and data.strip():
        raise Unreadable("is not a mailbox: it has no mail", "Open it with a mail program")


def _messages(data: bytes) -> Iterator[bytes]:
    """Yield the mails of a mailbox, without the ``From`` lines before them."""
    data = data.replace(b"\r\n", b"\n")
    starts = [(found.start(), found.end()) for found in _BOX.finditer(data)]
    for at, (_, begin) in enumerate(starts):
        end = starts[at + 1][0] if at + 1 < len(starts) else len(data)
        yield _QUOTED_FROM.sub(rb"\1", data[begin:end])


def _is_deleted(message: EmailMessage) -> bool:
    """Whether Thunderbird has deleted a mail, which stays in its mailbox until that is compacted."""
    status = header(message, "X-Mozilla-Status")
    return _STATUS.fullmatch(status) is not None and int(status, 16) & _EXPUNGED != 0


def _of_apple(data: bytes) -> bytes:
    """Return the mail in a file of Apple Mail, whose first line is its length in bytes; a property list follows."""
    first, _, rest = data.lstrip().partition(b"\n")
    return rest[: int(first)] if first.strip().isdigit() and len(first) < _DIGITS else data


def _parsed(data: bytes) -> EmailMessage:
    """Parse a mail. If it has parts that are not found, because their boundary is not quoted, quote it."""
    parser = BytesParser(EmailMessage, policy=policy.default)
    message = parser.parsebytes(data)
    if any(part.get_content_maintype() == "multipart" and not part.is_multipart() for part in message.walk()):
        return parser.parsebytes(_BARE_BOUNDARY.sub(rb'\1"\2"', data))
    return message


def _mail(builder: TextBuilder, message: EmailMessage, subject: str) -> None:
    day = mail_date(header(message, "Date"))
    builder.add_place("mail: " + ", ".join(filter(None, (subject or "no subject", day))), reset_headings=True)
    builder.add_heading(subject, 1)
    builder.add_text(_headers(message, _HEADERS))
    _put(builder, _texts(message, _body(message), charset_of(message)))
    for paragraph in (*_invitations(message), *_contacts(message)):
        builder.add_text(paragraph)
    charset = charset_of(message)
    names = [file_name(part, charset) or line(part.get_content_type()) for part in _attachments(message)]
    if names:
        builder.add_text("Attachments: " + ", ".join(names))


def _put(builder: TextBuilder, pieces: Iterable[Piece]) -> None:
    """Add the pieces of texts. Rows are lines of one table below a row of column names, else paragraphs of a layout."""
    named = 0  # the number of the open table with column names
    for piece in pieces:
        if piece.kind == "columns":
            if piece.table != named:
                builder.end_table()
                builder.add_blank_line()
            named = piece.table
            builder.add_header_row(piece.text)
        elif piece.kind == "row" and piece.table == named:
            builder.add_line(piece.text)
        else:
            builder.end_table()
            builder.add_blank_line()
            named = 0
            if piece.kind == "item":
                builder.add_item(piece.text, piece.level)
                continue
            builder.end_items(0 if piece.kind == "heading" else piece.level)
            for paragraph in re.split(r"\n\s*\n", clean(piece.text)):
                builder.add_text(paragraph)
    builder.end_table()
    builder.end_items()
    builder.add_blank_line()


def _plain(text: str) -> Piece:
    return Piece("text", 0, text)


def _headers(message: EmailMessage, names: Iterable[str]) -> str:
    return "\n".join(f"{name}: {value}" for name in names if (value := header(message, name)))


def _texts(part: MIMEPart, body: MIMEPart | None, charset: str) -> Iterator[Piece]:
    """Yield the pieces of the texts of a part in order, attached texts and mails included.

    The body counts however long it is. Of alternatives, the one with more words is taken.

    Args:
        part: A part of a mail, or the whole mail.
        body: The part that is its body.
        charset: The encoding of the mail, for what declares none.
    """
    kind = part.get_content_type()
    if not part.is_multipart():
        if part is body or (_is_prose(part) and (not part.get_filename() or _size(part) <= _LONGEST_ATTACHMENT)):
            text = _content(part, charset)
            yield from parsed(text).pieces if kind == "text/html" else [_plain(text)]
        elif part.get_content_maintype() == "multipart":
            yield _plain(_content(part, charset))  # its parts cannot be told apart
    elif kind == "message/rfc822":
        for inner in _parts(part):
            yield _plain(_headers(inner, ("Subject", *_HEADERS)))
            yield from _texts(inner, _body(inner), charset_of(inner))
    elif kind == "multipart/alternative":
        forms = sorted(_parts(part), key=lambda form: form.get_content_type() != "text/plain")
        best: list[Piece] = []
        for form in forms:
            best = _better(best, list(_texts(form, body, charset)))
        yield from best
    else:
        for inner in _parts(part):
            yield from _texts(inner, body, charset)


def _better(one: list[Piece], other: list[Piece]) -> list[Piece]:
    """Return the alternative with more words, the first of two that are alike, or both if they are different texts.

    A plain alternative may be nothing but the advice to open the other one.
    """
    said, told = ("\n".join(piece.text for piece in pieces) for pieces in (one, other))
    words, others = (Counter(_WORDS.findall(_ADDRESS.sub("", text).lower())) for text in (said, told))
    if not words or not others:
        return one if words else other if others else one or other
    if (words & others).total() >= _SAME * min(words.total(), others.total()):
        new, lost = (others - words).total(), (words - others).total()
        return other if new >= 2 * lost and new > _MORE * words.total() else one
    stubs = [
        total < _STUB and _ON_PROGRAMS.search(text) is not None
        for text, total in ((said, words.total()), (told, others.total()))
    ]
    if stubs == [True, False]:
        return other
    return one if stubs == [False, True] else [*other, *one] if others.total() > words.total() else [*one, *other]


def _invitations(message: EmailMessage) -> Iterator[str]:
    """Yield the calendar entries in a mail, each once; often the same one is attached and in the text."""
    found = (
        "\n".join(filter(None, (entry.summary, *entry.facts, entry.description)))
        for data, label in _attached(message, _CALENDARS, ".ics")
        for entry in entries(data, label)
    )
    yield from dict.fromkeys(found)


def _contacts(message: EmailMessage) -> Iterator[str]:
    """Yield the contacts that are attached to a mail."""
    for data, label in _attached(message, _CARDS, ".vcf"):
        yield from cards(data, label)


def _attached(message: EmailMessage, kinds: Container[str], suffix: str) -> Iterator[tuple[bytes, str]]:
    """Yield the parts of some types, or with a suffix, each with the encoding that it declares."""
    for part in message.walk():
        name = file_name(part, "") if not part.is_multipart() else ""
        if part.get_content_type() in kinds or name.lower().endswith(suffix):
            payload = part.get_payload(decode=True)
            yield payload if isinstance(payload, bytes) else b"", part.get_content_charset() or ""


def _body(message: EmailMessage) -> MIMEPart | None:
    return message.get_body(("plain", "html"))


def _is_prose(part: MIMEPart) -> bool:
    return part.get_content_maintype() == "text" and part.get_content_subtype() not in _NO_PROSE


def _size(part: MIMEPart) -> int:
    """Return the length of a part as it is encoded, in bytes."""
    payload = part.get_payload()
    return len(payload) if isinstance(payload, str) else 0


def _parts(part: MIMEPart) -> list[EmailMessage]:
    """Return the parts of a part. A forwarded mail may be encoded, so that Python parses it as it is encoded."""
    payload = part.get_payload()
    inner = [one for one in payload if isinstance(one, EmailMessage)] if isinstance(payload, list) else []
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    if part.get_content_type() == "message/rfc822" and encoding in _ENCODINGS:
        return [_parsed(_transferred(encoding, one.as_bytes().lstrip())) for one in inner]
    return inner


def _transferred(encoding: str, data: bytes) -> bytes:
    """Decode what was encoded for the transfer, as far as it can be: it may be cut off."""
    if encoding == "base64":
        data = b"".join(data.split())
        # One sign behind the last four is no byte, and Python then decodes nothing.
        data = data[: len(data) - (len(data) % 4 == 1)]
    part = BytesParser(policy=policy.default).parsebytes(f"Content-Transfer-Encoding: {encoding}\n\n".encode() + data)
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _content(part: MIMEPart, charset: str) -> str:
    """Decode a part in the encoding that it declares, else that its HTML declares, else in ``charset``."""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    label = _declared(part) or (named(data) if part.get_content_type() == "text/html" else "")
    text = decoded(data, label) if label else _text_of(data, charset)
    if part.get_content_type() in _ENRICHED:
        return _ENRICHED_MARKS.sub(lambda found: "<" if found["doubled"] else "\n" if found["break"] else "", text)
    if part.get_content_type() == "text/plain" and str(part.get_param("format", "")).lower() == "flowed":
        return _unfolded(text, str(part.get_param("delsp", "")).lower() == "yes")
    return text


def _unfolded(text: str, delete_space: bool) -> str:
    """Join the lines of a paragraph that was folded with a space at each end of a line (RFC 3676).

    Args:
        text: The text of a mail with ``format=flowed``.
        delete_space: Whether that space was added by folding, so that it may stand within a word.
    """
    paragraphs: list[list[str]] = []
    flowing: int | None = None  # how deep the quotation is that goes on
    for one in text.splitlines():
        depth = len(one) - len(one.lstrip(">"))
        content = one[depth:].removeprefix(" ")
        if depth == flowing and content != _SIGNATURE:
            if delete_space:
                paragraphs[-1][-1] = paragraphs[-1][-1][:-1]
            paragraphs[-1].append(content)
        else:
            paragraphs.append([">" * depth + " " * bool(depth) + content])
        flowing = depth if content.endswith(" ") and content != _SIGNATURE else None
    return "\n".join(map("".join, paragraphs))


def _attachments(message: EmailMessage) -> Iterator[EmailMessage]:
    for part in message.walk():
        if not part.is_multipart() and part.get_filename():
            yield part
