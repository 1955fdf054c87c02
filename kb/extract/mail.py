"""Mails and mailboxes by Python's email package: headers, the body, the names of attachments."""

from __future__ import annotations

import re
from email import policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from typing import TYPE_CHECKING, Final

from kb.extract.charset import decoded, named, prepare
from kb.extract.clean import clean, line
from kb.extract.dates import mail_date
from kb.extract.draft import Unreadable
from kb.extract.web import seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kb.extract.draft import Draft
    from kb.extract.wire import Limits

__all__ = ["extract", "prepare"]

_HEADERS: Final = ("From", "To", "Cc", "Date")
_SHOULD_HAVE: Final = ("From", "To", "Subject", "Date", "Received", "Message-ID")
# After a blank line the sender, a weekday and a time, and headers below; sentences begin with this word too.
_BOX: Final = re.compile(
    rb"(?:\A\s*|\n\n)From \S[^\n]{0,200}? (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? [^\n]{0,40}?\d{1,2}:\d{2}[^\n]*\n"
    rb"(?=>?From |[!-9;-~]+:)"
)
# Texts that are written for programs.
_NO_PROSE: Final = frozenset({"calendar", "css", "rfc822-headers", "vcard", "x-vcard"})
_QUOTED_FROM: Final = re.compile(rb"^>(>*From )", re.MULTILINE)


def extract(name: str, data: bytes, draft: Draft, _limits: Limits) -> None:
    """Put a mail, or every mail of a mailbox, into the draft.

    Raises:
        Unreadable: There is no mail in it.
    """
    if not name.lower().endswith(".mbox"):
        message = _parsed(data)
        if not any(message.get(header) for header in _SHOULD_HAVE):
            raise Unreadable("is no mail: it has no headers", "Open it with a mail program")
        subject = _header(message, "Subject")
        draft.describe(subject, _header(message, "From"), mail_date(_header(message, "Date")))
        _mail(draft, message, subject)
        return
    count = 0
    for part in _messages(data):
        message = _parsed(part)
        subject = _header(message, "Subject")
        _mail(draft, message, subject)
        count += 1
    if not count and data.strip():
        raise Unreadable("is no mailbox: no mail begins in it", "Open it with a mail program")


def _messages(data: bytes) -> Iterator[bytes]:
    """The mails of a mailbox, which begin with a line of their own each."""
    data = data.replace(b"\r\n", b"\n")
    starts = [(found.start(), found.end()) for found in _BOX.finditer(data)]
    for at, (_, begin) in enumerate(starts):
        end = starts[at + 1][0] if at + 1 < len(starts) else len(data)
        yield _QUOTED_FROM.sub(rb"\1", data[begin:end])


def _parsed(data: bytes) -> EmailMessage:
    return BytesParser(EmailMessage, policy=policy.default).parsebytes(data)


def _mail(draft: Draft, message: EmailMessage, subject: str) -> None:
    day = mail_date(_header(message, "Date"))
    draft.place("mail: " + ", ".join(filter(None, (subject or "no subject", day))), anew=True)
    draft.heading(subject, 1)
    draft.text(_headers(message, _HEADERS))
    for paragraph in re.split(r"\n\s*\n", clean("\n\n".join(_texts(message, _body(message))))):
        draft.text(paragraph)
    names = [line(part.get_filename() or part.get_content_type()) for part in _attachments(message)]
    if names:
        draft.text("Attachments: " + ", ".join(names))


def _header(message: EmailMessage, name: str) -> str:
    """A header as one line; one that cannot be understood as it stands."""
    try:
        return line(str(message.get(name) or ""))
    except (ValueError, TypeError, IndexError, AttributeError, LookupError):
        raw = dict(message.raw_items()).get(name, "")
        return line(str(raw))


def _headers(message: EmailMessage, names: Iterable[str]) -> str:
    return "\n".join(f"{name}: {value}" for name in names if (value := _header(message, name)))


def _texts(part: MIMEPart, body: MIMEPart | None) -> Iterator[str]:
    """The texts of a part in their order, those of mails inside it too; a body is text even where it has a file name.

    Of several forms of the same text it is the plain one, where that says anything, else the first that does.
    """
    kind = part.get_content_type()
    if not part.is_multipart():
        if part is body or (_is_prose(part) and not part.get_filename()):
            text = _content(part)
            yield seen(text) if kind == "text/html" else text
    elif kind == "message/rfc822":
        for inner in _parts(part):
            yield _headers(inner, ("Subject", *_HEADERS))
            yield from _texts(inner, _body(inner))
    elif kind == "multipart/alternative":
        forms = sorted(_parts(part), key=lambda form: form.get_content_type() != "text/plain")
        texts = (list(_texts(form, body)) for form in forms)
        yield from next((said for said in texts if any(text.strip() for text in said)), ())
    else:
        for inner in _parts(part):
            yield from _texts(inner, body)


def _body(message: EmailMessage) -> MIMEPart | None:
    return message.get_body(("plain", "html"))


def _is_prose(part: MIMEPart) -> bool:
    return part.get_content_maintype() == "text" and part.get_content_subtype() not in _NO_PROSE


def _parts(part: MIMEPart) -> list[EmailMessage]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, EmailMessage)] if isinstance(payload, list) else []


def _content(part: MIMEPart) -> str:
    """The text of one part in the encoding that it names, else, where it is a page, in the one that the page names."""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    label = part.get_content_charset() or ""
    return decoded(data, label or (named(data) if part.get_content_type() == "text/html" else ""))


def _attachments(message: EmailMessage) -> Iterator[EmailMessage]:
    for part in message.walk():
        if not part.is_multipart() and part.get_filename():
            yield part
