"""Finds the legacy encoding of a text that declares none and is not UTF-8.

A detector, chardet, says how well each encoding fits. A few words fit several, so that what a reader would see at once
decides between them: words of two scripts, and letters that no Western language has.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Encodings found in notes. Rare ones are left out, since they are mistaken for one another.
ENCODINGS: Final = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874", "iso8859-2", "iso8859-5",
    "iso8859-7", "koi8-r", "cp932", "euc_jis_2004", "gb18030", "big5hkscs", "cp949", "mac-roman", "mac-cyrillic",
    "cp850", "cp866",
)  # fmt: skip
_WESTERN: Final = "cp1252"
# How much better than it is another encoding of Latin letters has to fit, where nothing else tells them apart: from 1.3
# on, short lines in Spanish, French and German are read right, from 1.5 on, Hungarian ones are not.
_USUAL: Final = 1.45
# What Turkish letters look like in cp1252.
_ICELANDIC: Final = re.compile("[ÐÝÞðýþ]")
_NOT_ICELANDIC: Final = re.compile("[çüÇÜ]")
_ICELANDIC_TOO: Final = re.compile("[áéíóúæÁÉÍÓÚÆ]")
# The letters beyond ASCII of Turkish. Those that are other letters in cp1252 are in no language together with ç and ü.
_TURKISH: Final = frozenset("çÇğĞıİöÖşŞüÜâÂîÎûÛ")
_ONLY_TURKISH: Final = frozenset("ğĞıİşŞ")
# A Ukrainian letter that koi8-r has not is part of a box in it.
_UKRAINIAN_BOX: Final = re.compile("(?<=[\u0410-\u044f])[╓╕╖╜╢╤╥╫]|[╓╕╖╜╢╤╥╫](?=[\u0410-\u044f])")
# No letter has these on both sides.
_AROUND_WORDS: Final = frozenset("¡¿«»\u2039\u203a\u201a„“”…§¤¨†‡•‰")
# Symbols of Western text: those at the same place in most Windows encodings, and others in prices, fractions, sums and
# units. In a word they would be letters of another encoding.
_WESTERN_SYMBOL: Final = re.compile(
    r"(?<![^\0-\x7f])(?:[\xa0¤¦§©«¬\xad®°±µ¶·»]|(?<![A-Za-z])[£¢€¼½¾\xd7÷](?![A-Za-z])|¥(?=\d)"
    r"|(?<=[\w)])(?<![A-Za-z]{3})[²³](?![A-Za-z]))(?![^\0-\x7f])"
)
# What the signs of Latin-9 look like in cp1252, which has them elsewhere: the euro behind a number, and oe in a word.
_LATIN_9: Final = "iso8859-15"
_LATIN_9_SIGN: Final = re.compile(
    r"(?<=\d)[ \xa0]?¤(?![^\0-\x7f]|\s?\d)|(?<=[a-z])½(?=[a-z])|(?<![^\W\d_])¼(?=[a-z]{2})", re.MULTILINE
)
_WINDOWS_SIGN: Final = re.compile(b"[\x80-\x9f]")
# How many times as many letters as characters beyond ASCII a text in Latin-9 has at least.
_PLAINER: Final = 2
_QUOTES: Final = str.maketrans(dict.fromkeys("\u2026\u2018\u2019\u201c\u201d\u2013\u2014", "'"))
_BEYOND_ASCII: Final = re.compile(rb"[\x80-\xff]")
_NOT_ASCII: Final = re.compile("[^\x00-\x7f]")
# Letters of the scripts of one byte a letter stand next to none of another script, and next to no symbol.
_NO_NEIGHBOURS: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "HEBREW", "ARABIC", "THAI"})
# A sentence does not begin with these: capitals of another Cyrillic encoding.
_SMALL_FIRST: Final = re.compile("(?:^|[.!?] )[\u0450-\u045f](?=[\u0430-\u044f])", re.MULTILINE)
_CONTROL: Final = re.compile("[\x7f-\x84\x86-\x9f]")
# What a multi-byte encoding gives for bytes that it has no character for: plainer than any other sign of a mistake.
_PRIVATE: Final = re.compile("[\ue000-\uf8ff]")
_PRIVATE_WEIGHT: Final = 3
# In bytes: what the detector gets.
_SAMPLE: Final = 1 << 12
# In characters: how many of them are looked at for what makes no sense.
_LOOKED_AT: Final = 1 << 9
_MOST_ODD: Final = 0.5


def prepare() -> None:
    """Load the detector with its tables, and the encodings."""
    import chardet

    for text, encoding in (("Grüße aus Köln", _WESTERN), ("Привет, как дела", "koi8-r"), ("会議は明日です", "cp932")):
        chardet.detect_all(text.encode(encoding), include_encodings=ENCODINGS)
    for encoding in (*ENCODINGS, _LATIN_9, "koi8-u"):
        codecs.lookup(encoding)


def legacy_encoding(data: bytes) -> str | None:
    """Return the encoding that a text is most likely in, as Python names it; None if it is in none of ``ENCODINGS``."""
    sample = _sample(data)
    if _is_latin_9(data, sample):
        return _LATIN_9
    if _western_symbols(data, sample):
        return _WESTERN
    if _is_turkish(sample) and decodes(data, "cp1254"):
        return "cp1254"
    likely: dict[str, float] = {}
    for size in _sizes(sample):
        for encoding, score in _likely(sample[:size]):
            likely[encoding] = max(score, likely.get(encoding, score))
    ranked = sorted(likely, key=lambda encoding: (-likely[encoding], ENCODINGS.index(encoding)))
    best = next((encoding for encoding in ranked if decodes(data, encoding)), None)
    return "koi8-u" if best == "koi8-r" and _UKRAINIAN_BOX.search(sample.decode("koi8-r")) else best


def _is_latin_9(data: bytes, sample: bytes) -> bool:
    """Whether a text has signs of Latin-9 among plain letters, and none of Windows."""
    text = sample.decode(_WESTERN, "replace")
    if not _LATIN_9_SIGN.search(text) or _WINDOWS_SIGN.search(data):
        return False
    return sum(one.isascii() and one.isalpha() for one in text) > _PLAINER * len(_NOT_ASCII.findall(text))


def _is_turkish(sample: bytes) -> bool:
    """Whether a text has letters of Turkish in cp1254, and no others beyond ASCII, among as many plain ones."""
    text = sample.decode("cp1254", "replace")
    beyond = [one for one in text if not one.isascii() and one.isalpha()]
    found = set(beyond)
    return (
        found <= _TURKISH
        and not found.isdisjoint(_ONLY_TURKISH)
        and not found.isdisjoint("çÇüÜ")
        and "\ufffd" not in text
        and sum(one.isascii() and one.isalpha() for one in text) >= len(beyond)
    )


def _sizes(sample: bytes) -> Sequence[int]:
    """Return the lengths at which to try a sample, which may end within a character of several bytes.

    Blanks and line ends are never part of one.
    """
    if len(sample) < _SAMPLE:
        return (len(sample),)
    blank = max(sample.rfind(b" "), sample.rfind(b"\n"))
    return (blank,) if 2 * blank > len(sample) else range(len(sample), len(sample) - 4, -1)


def _likely(sample: bytes) -> Iterator[tuple[str, float]]:
    """Yield the encodings in which a sample makes sense, each with how likely it is."""
    import chardet

    found = chardet.detect_all(sample, ignore_threshold=True, compat_names=False, include_encodings=ENCODINGS)
    for one in found:
        encoding = one["encoding"]
        if encoding is None or not decodes(sample, encoding):
            continue
        text = sample.decode(encoding)[:_LOOKED_AT]
        odd = _oddity(text) / max(1, len(_NOT_ASCII.findall(text)))
        if odd < 1:
            yield encoding, one["confidence"] * (1 - odd) * (_usual(text) if encoding == _WESTERN else 1)


def _usual(text: str) -> float:
    """Return by what to multiply how well a text decoded as cp1252 fits."""
    turkish = _ICELANDIC.search(text) and (_NOT_ICELANDIC.search(text) or not _ICELANDIC_TOO.search(text))
    return 1 / _USUAL if turkish else _USUAL


def _western_symbols(data: bytes, sample: bytes) -> bool:
    """Whether all characters beyond ASCII are symbols of cp1252, which a detector may take for letters.

    Args:
        data: The text.
        sample: A sample of it, which is looked at first; a symbol may be at its end without what comes after it.
    """
    if _other_than_symbols(sample) > 1 or not decodes(data, _WESTERN):
        return False
    return _other_than_symbols(data) == 0


def _other_than_symbols(data: bytes) -> int:
    """Count the characters beyond ASCII that are no symbols of cp1252; all if most characters are symbols."""
    text = data.decode(_WESTERN, "replace").translate(_QUOTES)
    symbols, beyond = len(_WESTERN_SYMBOL.findall(text)), len(_NOT_ASCII.findall(text))
    return beyond - symbols if 2 * symbols <= len(text) else beyond


def _oddity(text: str) -> int:
    """Count what wrongly decoded text has.

    These are control characters, characters without a meaning, letters next to those of another script or to a symbol,
    and capitals and quotation marks within words.
    """
    return (
        len(_CONTROL.findall(text))
        + _PRIVATE_WEIGHT * len(_PRIVATE.findall(text))
        + len(_SMALL_FIRST.findall(text))
        + sum(_odd(one, other) for one, other in pairwise(text))
        + sum(map(_odd_within, text, text[1:], text[2:]))
    )


def _odd_within(before: str, one: str, after: str) -> bool:
    if one.isascii() or not before.isalpha():
        return False
    if one == "\u00b7" and after.isalpha():
        return before not in "lL"  # Catalan has it between two of them
    return (one.isupper() and after.islower()) or (one in _AROUND_WORDS and after.isalpha())


def _odd(one: str, other: str) -> bool:
    if one.isascii() and other.isascii():
        return False
    found = {_script(one), _script(other)}
    return len(found) > 1 and "" not in found and not found.isdisjoint(_NO_NEIGHBOURS)


def _script(character: str) -> str:
    """Return the script of a letter, SYMBOL for a symbol; empty for what stands next to letters of any script.

    Chinese, Japanese and Korean text has Latin letters within its lines.
    """
    if character.isascii():
        return "LATIN" if character.isalpha() else ""
    if unicodedata.category(character)[0] in "ZPM" or unicodedata.east_asian_width(character) in "WF":
        return ""
    return unicodedata.name(character, "").partition(" ")[0] if character.isalpha() else "SYMBOL"


def makes_sense(data: bytes, encoding: str) -> bool:
    """Whether a text is valid in an encoding that contains ASCII, and few of the other characters are odd."""
    if not decodes(data, encoding) or b"Az0".decode(encoding) != "Az0":
        return False
    text = _sample(data).decode(encoding, "replace")[:_LOOKED_AT]
    return _oddity(text) < _MOST_ODD * len(_NOT_ASCII.findall(text))


def _sample(data: bytes) -> bytes:
    """Return the beginnings of lines with bytes beyond ASCII, as many as a detector needs."""
    taken = []
    size = 0
    for line in _lines_beyond_ascii(data):
        taken.append(line)
        size += len(line)
        if size >= _SAMPLE:
            break
    return b"\n".join(taken)[:_SAMPLE]


def _lines_beyond_ascii(data: bytes) -> Iterator[bytes]:
    """Yield the lines with a byte over 127; of a long line, the part from shortly before that byte."""
    position = 0
    while found := _BEYOND_ASCII.search(data, position):
        start = max(data.rfind(b"\n", position, found.start()) + 1, position, found.start() - 200)
        end = data.find(b"\n", found.start())
        position = len(data) if end < 0 else end
        yield data[start : min(position, start + _SAMPLE)]


def decodes(data: bytes, encoding: str) -> bool:
    """Whether bytes are valid in an encoding."""
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
