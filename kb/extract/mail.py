"""Mails and mailboxes by Python's email package: headers, the body, the names of attachments."""

from __future__ import annotations

import importlib
import pkgutil
import re
from email import policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

from kb.extract.clean import clean, line
from kb.extract.dates import mail_date
from kb.extract.draft import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb.extract.draft import Draft
    from kb.extract.wire import Limits

_HEADERS: Final = ("From", "To", "Cc", "Date")
_SHOULD_HAVE: Final = ("From", "To", "Subject", "Date", "Received", "Message-ID")
_BOX: Final = re.compile(rb"^From [^\n]*\d{2}:\d{2}[^\n]*\n", re.MULTILINE)
_QUOTED_FROM: Final = re.compile(rb"^>(>*From )", re.MULTILINE)
_UNSEEN: Final = frozenset({"script", "style", "head", "title", "template"})
_LINES: Final = frozenset(
    {"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "table", "ul", "ol", "blockquote", "hr"}
)


def prepare() -> None:
    """Load every encoding a mail may be in."""
    import encodings

    for module in pkgutil.iter_modules(encodings.__path__):
        try:
            importlib.import_module(f"encodings.{module.name}")
        except ImportError:  # those of other operating systems
            continue


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
    draft.text("\n".join(f"{name}: {value}" for name in _HEADERS if (value := _header(message, name))))
    for paragraph in re.split(r"\n\s*\n", clean(_body(message))):
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


def _body(message: EmailMessage) -> str:
    """The text of a mail: its plain part, else what its HTML says."""
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    text = _content(part)
    return _seen(text) if part.get_content_type() == "text/html" else text


def _content(part: MIMEPart) -> str:
    try:
        return str(part.get_content())
    except (LookupError, ValueError):  # an encoding nobody knows
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _attachments(message: EmailMessage) -> Iterator[EmailMessage]:
    for part in message.walk():
        if not part.is_multipart() and part.get_filename():
            yield part


class _Seen(HTMLParser):
    """Gathers what a reader of a mail in HTML sees."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - HTMLParser's
        """Begin a line where a browser does."""
        self._unseen += tag in _UNSEEN
        if tag in _LINES:
            self.parts.append("\n\n" if tag == "p" else "\n")

    def handle_endtag(self, tag: str) -> None:
        """See again what follows something unseen."""
        self._unseen -= tag in _UNSEEN and self._unseen > 0
        if tag in {"p", "table", "div"}:
            self.parts.append("\n\n" if tag != "div" else "\n")

    def handle_data(self, data: str) -> None:
        """Keep the words, with their spaces folded."""
        if not self._unseen:
            self.parts.append(re.sub(r"\s+", " ", data))


def _seen(html: str) -> str:
    parser = _Seen()
    parser.feed(html)
    parser.close()
    return "\n".join(one.strip() for one in "".join(parser.parts).split("\n"))
