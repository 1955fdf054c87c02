"""One form of what is written in several: letters without accents, one apostrophe, one hyphen, nothing that is unseen.

Functions of values, used alike on passages, phrases and questions. What is shown is never changed by them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final

# Unicode's Default_Ignorable_Code_Point: nothing is drawn for them. Those of the second group join or set apart the
# letters of some scripts, or choose the picture of an emoji; between other letters they mean nothing either.
_ALWAYS: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_JOINING: Final = "\u200c\u200d\ufe00-\ufe0f"
_ALPHABETIC: Final = "A-Za-z\u00aa-\u052f\u1c80-\u1c8f\u1d00-\u1fff\u2c60-\u2c7f\ua640-\ua69f\ua720-\ua7ff"
_MAY_BE_UNSEEN: Final = re.compile(f"[{_ALWAYS}{_JOINING}]")
_UNSEEN: Final = re.compile(f"[{_ALWAYS}]+")
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
    """A text without the characters for which nothing is drawn, such as soft hyphens and zero-width spaces."""
    if text.isascii() or not _MAY_BE_UNSEEN.search(text):
        return text
    return _UNSEEN_BETWEEN.sub("", _UNSEEN.sub("", text))


def one_sign(text: str) -> str:
    """A text with one apostrophe and one hyphen, whatever their form: a single quotation mark is an apostrophe too."""
    return text.translate(_ONE_SIGN)


def one_dash(text: str) -> str:
    """A text in which a dash is a hyphen."""
    return text if text.isascii() else text.translate(_ONE_DASH)


def unaccented(word: str) -> str:
    """A word in lower case without the accents, strokes and ligatures that people leave out."""
    if word.isascii():
        return word
    plain = _ACCENTS.sub("", unicodedata.normalize("NFD", word)).translate(_table())
    return unicodedata.normalize("NFC", plain)


@cache
def _table() -> dict[int, str]:
    """Every small Latin letter that Unicode names as another one with something, by that other one."""
    found = {}
    for code in (*range(0x0180, 0x02B0), *range(0x1D00, 0x1DC0), *range(0x2C60, 0x2C80), *range(0xA720, 0xA800)):
        if named := _BASE.fullmatch(unicodedata.name(chr(code), "")):
            found[code] = named[1].lower()
    for letter in "\u00f8\u0111\u0127\u0142\u0167":
        found[ord(letter)] = _BASE.sub(r"\1", unicodedata.name(letter)).lower()
    return {**found, **{ord(letter): written for letter, written in _WRITTEN.items()}}


def compared(text: str) -> tuple[str, list[int]]:
    """A text in lower case, without accents and what is unseen, and where in it each character of that stood.

    The places are those of the characters of the text, and its length at the end.
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
