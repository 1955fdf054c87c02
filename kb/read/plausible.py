"""Old encodings that a few words give away, where a detector needs a page of them: Japanese, Thai, Turkish."""

from __future__ import annotations

import re
from typing import Final

_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_HIRAGANA: Final = re.compile("[\u3041-\u3096]")
_JAPANESE: Final = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff5e]")
_KANA: Final = 0.25
_NEARLY: Final = 0.9
# Thai: signs above and below stand at a consonant, vowels that are written first stand before one.
_THAI_SIGNS: Final = re.compile("[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]")
_THAI_AT_HOME: Final = re.compile(
    "(?<=[\u0e01-\u0e2e\u0e31\u0e34-\u0e3a\u0e47-\u0e4e])[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]"
)
_THAI_FIRST: Final = re.compile("[\u0e40-\u0e44]")
_THAI_LED: Final = re.compile("[\u0e40-\u0e44](?=[\u0e01-\u0e2e])")
_FEWEST_SIGNS: Final = 0.05
# The letters that Turkish has in the places of Icelandic ones, others of Turkish, and those of neither's neighbours.
_TURKISH_OWN: Final = re.compile(rb"[\xd0\xdd\xde\xf0\xfd\xfe]")
_TURKISH: Final = re.compile(rb"[\xc7\xd6\xdc\xe7\xf6\xfc]")
_NOT_TURKISH: Final = re.compile(
    rb"[\x80-\x84\x86-\x90\x95\x98-\x9f\xa1-\xaa\xac\xae-\xb6\xb8-\xba\xbc-\xc1\xc3-\xc6\xc8-\xcd\xcf\xd1-\xd5]"
    rb"|[\xd7-\xdb\xdf-\xe1\xe3-\xe6\xe8-\xed\xef\xf1-\xf5\xf7-\xfa\xff]"
)


def unmistakable(data: bytes) -> str:
    """The encoding that a text is surely in; empty where a detector has to tell.

    Args:
        data: The bytes of a text that is not UTF-8.
    """
    if _reads_japanese(data, "cp932"):
        return "cp932"
    if _reads_japanese(data, "euc_jp"):
        return "euc_jp"
    if _reads_thai(data):
        return "cp874"
    return "cp1254" if _reads_turkish(data) else ""


def _text(data: bytes, encoding: str) -> str:
    """What is not ASCII in a text; nothing where it does not decode."""
    try:
        return "".join(_BEYOND_ASCII.findall(data.decode(encoding)))
    except UnicodeDecodeError:
        return ""


def _reads_japanese(data: bytes, encoding: str) -> bool:
    text = _text(data, encoding)
    hiragana, japanese = len(_HIRAGANA.findall(text)), len(_JAPANESE.findall(text))
    return bool(text) and hiragana >= _KANA * len(text) and japanese >= _NEARLY * len(text)


def _reads_thai(data: bytes) -> bool:
    try:
        text = data.decode("cp874")
    except UnicodeDecodeError:
        return False
    signs, first = len(_THAI_SIGNS.findall(text)), len(_THAI_FIRST.findall(text))
    thai = len(re.findall("[\u0e01-\u0e5b]", text))
    return (
        thai >= _NEARLY * len(_BEYOND_ASCII.findall(text))
        and signs >= _FEWEST_SIGNS * thai > 0
        and len(_THAI_AT_HOME.findall(text)) == signs
        and len(_THAI_LED.findall(text)) >= _NEARLY * first
    )


def _reads_turkish(data: bytes) -> bool:
    """Whether letters beyond ASCII are those of Turkish alone, the dotless i among them."""
    return (
        b"\xfd" in data
        and len(_TURKISH_OWN.findall(data)) > 1
        and bool(_TURKISH.search(data) or b"\xfe" in data)
        and not _NOT_TURKISH.search(data)
    )
