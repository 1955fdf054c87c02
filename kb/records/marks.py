"""The signs that are written over, under or beside a letter and belong to it: vowel signs, viramas, vocalisation.

Regular expressions do not count them among the letters: a pattern without them cuts most words of Hindi, Bengali or
Tamil in pieces.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Where Unicode has them, so that not every one of its characters has to be looked at. Those of Thai, Lao, Myanmar,
# Khmer and the kana are left out: their scripts set no words apart, and are read by runs of characters, marks included.
_BLOCKS: Final = (
    *(range(0x0300, 0x0E00), range(0x0F00, 0x1000), range(0x10A0, 0x1780), range(0x1800, 0x1E00)),
    *(range(0x20D0, 0x2100), range(0x2CE0, 0x2E00), range(0xA660, 0xA9E0), range(0xAA00, 0xAA60)),
    *(range(0xAA80, 0xAC00), range(0xFB1E, 0xFB1F), range(0xFE20, 0xFE30), range(0x101F0, 0x12000)),
    *(range(0x16AF0, 0x16B40), range(0x1E000, 0x1E960)),
)
# What people leave out: the vowel points of Hebrew, Arabic and Syriac, and the stroke that draws an Arabic word out.
_POINTS: Final = (
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
    "\u0711\u0730-\u074a\u0898-\u089f\u08ca-\u08e1\u08e3-\u08ff"
)


def _ranges(codes: Iterable[int]) -> Iterator[str]:
    """Code points in ascending order as ranges for a pattern."""
    first = last = -1
    for code in codes:
        if code != last + 1 or first < 0:
            if first >= 0:
                yield f"{chr(first)}-{chr(last)}"
            first = code
        last = code
    if first >= 0:
        yield f"{chr(first)}-{chr(last)}"


MARKS: Final = "".join(
    _ranges(code for block in _BLOCKS for code in block if unicodedata.category(chr(code)) in {"Mn", "Mc"})
)
"""The marks of all scripts with words set apart, as ranges for a pattern."""

# Joiners between the parts of one letter are not seen; after a letter the non-joiner sets endings apart in Persian.
_MAY_BE_SILENT: Final = re.compile(rf"[{_POINTS}\u200c\u200d]")
_SILENT: Final = re.compile(rf"[{_POINTS}\u200d]|(?<=[{MARKS}])\u200c")


def unpointed(text: str) -> str:
    """A text without vowel points and unseen joiners: the vocalised word and the plain one are one."""
    return _SILENT.sub("", text) if _MAY_BE_SILENT.search(text) else text
