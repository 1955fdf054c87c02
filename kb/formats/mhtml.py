"""Reads web pages saved in one file (MHTML): the page and its frames, without pictures and styles."""

from __future__ import annotations

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import TYPE_CHECKING

from kb.formats.builder import Unreadable
from kb.formats.charset import decoded, named, prepare
from kb.formats.dates import iso_date, mail_date
from kb.formats.html import parsed, put
from kb.formats.mail import header

if TYPE_CHECKING:
    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

__all__ = ["extract", "prepare"]


def extract(name: str, data: bytes, builder: TextBuilder, limits: Limits) -> None:
    """Add the text of a saved page to the builder.

    Raises:
        Unreadable: There is no page in it.
    """
    from kb.formats import html

    if data.lstrip()[:1] == b"<":  # an HTML page with this suffix
        html.extract(name, data, builder, limits)
        return
    message = BytesParser(EmailMessage, policy=policy.default).parsebytes(data.lstrip())
    texts = [
        part
        for part in message.walk()
        if not part.is_multipart() and part.get_content_type() in {"text/html", "application/xhtml+xml", "text/plain"}
    ]
    root = message.get_param("start")
    texts.sort(key=lambda part: not root or part.get("Content-ID") != root)
    # If there is an HTML page, plain-text parts are scripts or styles.
    pages = [part for part in texts if part.get_content_type() != "text/plain"] or texts
    if not pages or not message.keys():
        raise Unreadable("is not a saved web page: it has no page", "Open it with a browser")
    for number, part in enumerate(pages):
        payload = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
        page = parsed(decoded(content, part.get_content_charset() or named(content)), had_scripts=True)
        if not number:
            day = iso_date(page.date) or mail_date(header(message, "Date"))
            builder.set_properties(page.title or header(message, "Subject"), page.author, day)
        put(page, builder)
