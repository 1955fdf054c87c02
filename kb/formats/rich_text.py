"""Prepares RTF for xberg, which leaves out comments and hyphens that do not break, and divides words at groups."""

from __future__ import annotations

import re
from typing import Final

_COMMENT: Final = rb"\*\annotation"
# Groups and escaped signs; the data of a picture may be stored as it is, so its braces are not counted.
_SIGN: Final = re.compile(rb"\\bin(?P<size>\d{1,9}) ?|\\[^a-zA-Z]|[{}]", re.DOTALL)
_HYPHEN: Final = rb"\_"
_LETTER: Final = rb"(?:[A-Za-z0-9\x80-\xff]|\\'[0-9A-Fa-f]{2})"
# A group that ends within a word, and has nothing but formatted text.
_WITHIN_WORD: Final = re.compile(
    rb"(\{(?>(?:\\(?:b|i|ul|strike|sub|super|nosupersub|up|dn|caps|scaps|cf|cb|chcbpat|highlight|fs|f|cs|lang|langfe|langnp|"
    rb"rtlch|ltrch|fcs|af|afs|hich|dbch|loch|insrsid|charrsid|kerning|expnd|expndtw|noproof)-?[0-9]*+ ?)+)"
    rb"[^{}]*" + _LETTER + rb"\})(-?(?:" + _LETTER + rb"|\\u-?[0-9]{1,5} ?(?:\?|\\'[0-9A-Fa-f]{2}))+)"
)


def mended_rtf(data: bytes) -> bytes:
    """Return a document with its comments as paragraphs at its end, with hyphens that break, and with whole words."""
    # xberg puts no space between two groups.
    data = _WITHIN_WORD.sub(rb"\1{\2}", data)
    if _COMMENT not in data and _HYPHEN not in data:
        return data
    kept: list[bytes] = []
    comments: list[bytes] = []
    depth = at = place = 0
    # Where the open comment begins, and how many groups are around it.
    begun, outside = -1, 0
    while sign := _SIGN.search(data, place):
        place = sign.end() + int(sign["size"] or 0)
        if sign[0] == _HYPHEN and begun < 0:
            kept += [data[at : sign.start()], b"-"]
            at = sign.end()
        elif sign[0] == b"{":
            if begun < 0 and data.startswith(_COMMENT, sign.end()):
                kept.append(data[at : sign.start()])
                begun, outside = sign.end() + len(_COMMENT), depth
            depth += 1
        elif sign[0] == b"}" and depth:
            depth -= 1
            if begun >= 0 and depth == outside:
                comments.append(b"\\par{" + data[begun : sign.start()].replace(_HYPHEN, b"-") + b"}")
                begun, at = -1, sign.end()
            elif begun < 0 and not depth:
                return b"".join((*kept, data[at : sign.start()], *comments, data[sign.start() :]))
    return data
