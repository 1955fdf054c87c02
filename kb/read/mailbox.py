"""Mails and mailboxes whose names do not say what they are, as mail programs keep them.

Maildir names a message by moment, process and host, MH by a number, and Thunderbird calls a mailbox what its folder
is called. So a file without a suffix that kb knows is looked at: a mail begins with headers that only mails have.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kb.extract.formats import FORMATS
from kb.read.extract import EXTRACTORS, UNREAD

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from kb.extract.formats import Format

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
_MAIL: Final = ".eml"
_BOX: Final = ".mbox"


def mail_without_suffix(name: PurePosixPath, data: bytes) -> Format | None:
    """What kind of mail a file is whose suffix says nothing; None where it is none.

    Args:
        name: Its path below its folder.
        data: Its bytes.
    """
    suffix = name.suffix.lower()
    if suffix in EXTRACTORS or suffix in UNREAD:
        return None
    head = data[:_HEAD]
    begin = _FROM.match(head)
    if not begin and not head[:1].isalpha():
        return None
    names, at = set(), begin.end() if begin else 0
    while found := _HEADER.match(head, at):
        names.add(found[1].lower())
        at = found.end()
    # Headers end with a blank line; two of a mail, one of them of mails alone, stand in no other text.
    blank = head[at : at + 2] in {b"\r\n", b""} or head[at : at + 1] == b"\n" or at >= _HEAD
    if not (blank and names & _FROM_OR_TO):
        return None
    if begin:
        return FORMATS[_BOX]
    return FORMATS[_MAIL] if names & _OF_MAILS and names & {b"date", b"received", b"subject"} else None
