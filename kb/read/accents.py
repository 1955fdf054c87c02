r"""Letters that TeX writes as commands, such as ``\"o`` and ``\ss``, and what they are."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# The accents of LaTeX's own fonts (usrguide, "Accents"), each with the mark that Unicode combines with a letter.
_MARKS: Final = {
    "`": "\u0300",
    "'": "\u0301",
    "^": "\u0302",
    "~": "\u0303",
    "=": "\u0304",
    "u": "\u0306",
    ".": "\u0307",
    '"': "\u0308",
    "r": "\u030a",
    "H": "\u030b",
    "v": "\u030c",
    "d": "\u0323",
    "c": "\u0327",
    "k": "\u0328",
    "b": "\u0331",
}
_LETTERS: Final = {
    "ss": "\u00df",
    "SS": "SS",
    "ae": "\u00e6",
    "AE": "\u00c6",
    "oe": "\u0153",
    "OE": "\u0152",
    "aa": "\u00e5",
    "AA": "\u00c5",
    "o": "\u00f8",
    "O": "\u00d8",
    "l": "\u0142",
    "L": "\u0141",
    "i": "\u0131",
    "j": "\u0237",
    "dh": "\u00f0",
    "DH": "\u00d0",
    "dj": "\u0111",
    "DJ": "\u0110",
    "th": "\u00fe",
    "TH": "\u00de",
    "ng": "\u014b",
    "NG": "\u014a",
    "-": "",
}
_NAMED: Final = "|".join(sorted((name for name in _LETTERS if name != "-"), key=len, reverse=True))
_LETTER: Final = r"(?:[A-Za-z]|\\[ij](?![A-Za-z])[ \t]*)"
# A command of a letter needs something between it and what it is over, and swallows the space behind it.
_ACCENT: Final = (
    rf"\\(?P<mark>[`'^~=.\"]|[uvHcdkbr](?=[ \t]*\{{|[ \t]+[A-Za-z]|[ \t]*\\[ij](?![A-Za-z])))[ \t]*"
    rf"(?:\{{[ \t]*(?P<braced>{_LETTER})[ \t]*(?:\{{\}})?\}}|(?P<bare>{_LETTER}))"
)
_SYMBOL: Final = rf"\\(?P<name>{_NAMED})(?![A-Za-z])(?:\{{\}}|[ \t]+)?|\\(?P<break>-)"
_SPELLED: Final = re.compile(
    rf"\\\\|\{{(?:{_ACCENT.replace('mark', 'm').replace('braced', 'b').replace('bare', 'l')}"
    rf"|\\(?P<n>{_NAMED})(?![A-Za-z])[ \t]*)\}}|{_ACCENT}|{_SYMBOL}"
)
# What BibTeX is told to leave in capitals: the braces are no part of the word.
_KEPT: Final = re.compile(r"(?<![\w\\}])\{([^\W_]+)\}(?=[^\W_])|(?<=[^\W_])(?<!\\)\{([^\W_]+)\}")

_COMMAND: Final = re.compile(r"\\[A-Za-z]+\*?\Z")
_LONGEST: Final = 40


def spelled(text: str, start: int = 0) -> Iterator[tuple[int, int, str]]:
    """The letters that are written as commands, as ``Document.spelled``.

    Args:
        text: A stretch of a document, without code.
        start: Where it begins in the document.
    """
    if "\\" not in text:
        return
    for found in _SPELLED.finditer(text):
        mark = found["mark"] or found["m"]
        # The braces around the argument of a command stay.
        argument = found[0][0] == "{" and _COMMAND.search(text, max(0, found.start() - _LONGEST), found.start())
        first, last = start + found.start() + bool(argument), start + found.end() - bool(argument)
        if mark:
            letter = found["braced"] or found["bare"] or found["b"] or found["l"]
            # An accent takes the place of the dot.
            plain = letter.strip().removeprefix("\\")
            yield first, last, unicodedata.normalize("NFC", plain + _MARKS[mark])
        elif name := found["name"] or found["break"] or found["n"]:
            yield first, last, _LETTERS[name]


def written(text: str) -> str:
    """A text with its letters as they are read."""
    parts = []
    at = 0
    for first, last, letter in spelled(text):
        parts += [text[at:first], letter]
        at = last
    return "".join((*parts, text[at:]))


def kept_capitals(text: str) -> Iterator[tuple[int, int, str]]:
    """The words in braces that are a part of a longer one, without these, as ``Document.spelled``."""
    for found in _KEPT.finditer(text):
        yield found.start(), found.end(), found[1] or found[2]
