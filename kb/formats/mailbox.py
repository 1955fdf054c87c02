"""Recognizes mails and mailboxes without a suffix.

Maildir names a message by time, process and host, MH by a number, and Thunderbird names a mailbox like its folder. So
files without a known suffix are recognized by their content: a mail begins with headers that only mails have.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

_HEAD: Final = 1 << 16
# The line that begins each mail of a mailbox: sender, weekday, and a time.
_FROM: Final = re.compile(
    rb"\s{0,80}From \S[^\r\n]{0,200}? (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? [^\r\n]{0,40}?\d{1,2}:\d{2}[^\r\n]*\r?\n"
)
_HEADER: Final = re.compile(rb">?([!-9;-~]{1,100}):[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*")
_FROM_OR_TO: Final = frozenset({b"from", b"to", b"sender", b"return-path", b"delivered-to", b"received"})
_OF_MAILS: Final = frozenset(
    {b"received", b"message-id", b"mime-version", b"return-path", b"delivered-to", b"x-mozilla-status", b"content-type"}
)


def is_mail(data: bytes) -> bool:
    """Whether a file is a mail: it begins with headers that only mails have."""
    data = data.removeprefix(codecs.BOM_UTF8)
    names = _headers(data, 0) if data[:1].isalpha() else frozenset()
    return bool(names & _FROM_OR_TO and names & _OF_MAILS and names & {b"date", b"received", b"subject"})


def is_mailbox(data: bytes) -> bool:
    """Whether a file is a mailbox: it begins with a separator line and the headers of a mail."""
    begin = _FROM.match(data[:_HEAD])
    return begin is not None and bool(_headers(data, begin.end()) & _FROM_OR_TO)


def _headers(data: bytes, at: int) -> frozenset[bytes]:
    """Return the names of the headers at an offset in lower case; none unless a blank line follows them.

    No other text begins with two headers of mails, one of them used only in mails.
    """
    head, names = data[:_HEAD], set()
    while found := _HEADER.match(head, at):
        names.add(found[1].lower())
        at = found.end()
    blank = head[at : at + 2] in {b"\r\n", b""} or head[at : at + 1] == b"\n" or at >= _HEAD
    return frozenset(names) if blank else frozenset()
