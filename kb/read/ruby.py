"""Ruby in the text of notes: the readings of characters stand beside the words and not inside them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kb.records import Block

_RUBY: Final = re.compile(r"<ruby\b[^<>\n]*>(?P<inside>[^\n]{0,2000}?)</ruby>", re.IGNORECASE)
# An end tag may be left out where the next begins.
_READING: Final = re.compile(
    r"<rp\b[^<>]*>[^<]*(?:</rp>)?|<rt\b[^<>]*>(?P<reading>[^<]*)(?:</rt>)?|</?(?:rb|rtc)\b[^<>]*>", re.IGNORECASE
)


def readings_apart(text: str, blocks: Sequence[Block]) -> Iterator[tuple[int, int, str]]:
    """What is read of lines with ruby, as ``Document.spelled``: the words, then the readings at the end of the line.

    Args:
        text: The whole text of the document.
        blocks: Its blocks; in code it is shown as it is.
    """
    if "<ruby" not in text.lower():
        return
    code = {line for one in blocks if one.kind == "code" for line in range(one.first_line, one.last_line + 1)}
    start = 0
    for number, line in enumerate(text.split("\n"), 1):
        readings = []
        for found in _RUBY.finditer(line) if number not in code else ():
            inside = found["inside"]
            readings.append("".join(one["reading"] or "" for one in _READING.finditer(inside)).strip())
            yield start + found.start(), start + found.end(), _READING.sub("", inside)
        start += len(line)
        if said := " ".join(filter(None, readings)):
            yield start, start, f" ({said})"
        start += 1
