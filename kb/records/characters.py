"""Normalization of characters for comparison: accents, apostrophes, hyphens, invisible characters.

Functions of values, applied to passages, phrases and questions alike, but never to text that is shown.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The signs that are written over, under or beside a letter and belong to it: vowel signs, viramas, vocalisation.
#
# Regular expressions do not count them among the letters: a pattern without them cuts most words of Hindi, Bengali or
# Tamil in pieces.

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
    """Return ascending code points as ranges for a pattern."""
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
    """Return a text without vowel points and invisible joiners, so that vocalised and plain words are equal."""
    return _SILENT.sub("", text) if _MAY_BE_SILENT.search(text) else text


# The characters of scripts whose words are not set apart by spaces, as ranges for a pattern.

THREES: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Thai, Lao, Myanmar, Khmer: scripts of many signs to a word, which is told by three in a row."""

TWOS: Final = (
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Kana and the marks of repetition
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
    "\uac00-\ud7af"  # Hangul: Korean words grow by endings
)
"""Chinese, Japanese and Korean: a word is told by two in a row."""

SPACELESS: Final = THREES + TWOS
"""All of them."""


# Unicode's Default_Ignorable_Code_Point: nothing is drawn for them. Those of the second group join or set apart the
# letters of some scripts, or choose the picture of an emoji; between other letters they mean nothing either.
_ALWAYS: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_JOINING: Final = "\u200c\u200d\ufe00-\ufe0f"
_ALPHABETIC: Final = "A-Za-z\u00aa-\u052f\u1c80-\u1c8f\u1d00-\u1fff\u2c60-\u2c7f\ua640-\ua69f\ua720-\ua7ff"
_MAY_BE_UNSEEN: Final = re.compile(f"[{_ALWAYS}{_JOINING}]")
# A soft hyphen at the end of a line is seen, and divides a word.
_UNSEEN: Final = re.compile(rf"\u00ad[ \t]*\n[ \t]*(?=[^\W\d_])|[{_ALWAYS}]+")
# After a digit or sign a variation selector makes an emoji; after a letter it chooses one of its drawn forms.
_UNSEEN_BETWEEN: Final = re.compile(
    rf"(?<=[{_ALPHABETIC}])[\u200c\u200d]+(?=[{_ALPHABETIC}])|(?<=[^\W\d_])[\ufe00-\ufe0f]+"
)

_APOSTROPHES: Final = (
    "`\u00b4\u02b9\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\u055a\u05f3\u1fbf\u1fef\u1ffd"
    "\u2018\u2019\u201a\u201b\u2032\u2035\ua78c"
)
_HYPHENS: Final = "\u058a\u05be\u1806\u2010\u2011\u2012\u2013\u2043\u207b\u208b\u2212\ufe58\ufe63\uff0d"
_DASHES: Final = "\u2014\u2015\u2e3a\u2e3b"
_ONE_SIGN: Final = str.maketrans({**dict.fromkeys(_APOSTROPHES, "'"), **dict.fromkeys(_HYPHENS, "-")})
_ONE_DASH: Final = str.maketrans(dict.fromkeys(_DASHES, "-"))

# Letters of their own right, written without their stroke or as two where a keyboard has them not.
_WRITTEN: Final = {
    "\u00df": "ss",
    "\u00e6": "ae",
    "\u00f0": "d",
    "\u00fe": "th",
    "\u0131": "i",
    "\u0138": "k",
    "\u014b": "n",
    "\u0153": "oe",
    "\u0237": "j",
    "\u0254": "o",
    "\u0259": "e",
    "\u025b": "e",
    "\u01dd": "e",
    "\u0269": "i",
    "\u028a": "u",
    "\u0192": "f",
    "\u01bf": "w",
    "\u021d": "g",
    "\u0263": "g",
    "\u0292": "z",
}
_BASE: Final = re.compile(r"LATIN SMALL LETTER (?:DOTLESS )?([A-Z]) WITH .*")
_ACCENTS: Final = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff]")


def seen(text: str) -> str:
    """Return a text without invisible characters, such as zero-width spaces, and without soft hyphens in words."""
    if text.isascii() or not _MAY_BE_UNSEEN.search(text):
        return text
    return _UNSEEN_BETWEEN.sub("", _UNSEEN.sub("", text))


def one_sign(text: str) -> str:
    """Return a text with one form of apostrophe and hyphen; single quotation marks become apostrophes."""
    return text.translate(_ONE_SIGN)


def one_dash(text: str) -> str:
    """Return a text with hyphens in place of dashes."""
    return text if text.isascii() else text.translate(_ONE_DASH)


def unaccented(word: str) -> str:
    """Return a word in lower case without accents, strokes and ligatures."""
    if word.isascii():
        return word
    plain = _ACCENTS.sub("", unicodedata.normalize("NFD", word)).translate(_table())
    return unicodedata.normalize("NFC", plain)


@cache
def _table() -> dict[int, str]:
    """Return a table from each small Latin letter that is a variant of another, by its Unicode name, to that one."""
    found = {}
    for code in (*range(0x0180, 0x02B0), *range(0x1D00, 0x1DC0), *range(0x2C60, 0x2C80), *range(0xA720, 0xA800)):
        if named := _BASE.fullmatch(unicodedata.name(chr(code), "")):
            found[code] = named[1].lower()
    for letter in "\u00f8\u0111\u0127\u0142\u0167":
        found[ord(letter)] = _BASE.sub(r"\1", unicodedata.name(letter)).lower()
    return {**found, **{ord(letter): written for letter, written in _WRITTEN.items()}}


def compared(text: str) -> tuple[str, list[int]]:
    """Return a text in lower case, without accents and invisible characters, and the position of each character.

    Positions are those in the given text, with its length at the end.
    """
    parts: list[str] = []
    places: list[int] = []
    unseen = {at for found in _all_unseen(text) for at in range(*found)}
    for at, character in enumerate(text):
        if at in unseen or _ACCENTS.match(character):
            continue
        part = character.lower() if character.isascii() else one_sign(unaccented(character.casefold()))
        parts.append(part)
        places.extend([at] * len(part))
    places.append(len(text))
    return "".join(parts), places


def _all_unseen(text: str) -> list[tuple[int, int]]:
    if text.isascii() or not _MAY_BE_UNSEEN.search(text):
        return []
    return [found.span() for pattern in (_UNSEEN, _UNSEEN_BETWEEN) for found in pattern.finditer(text)]
