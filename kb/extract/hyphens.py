"""Words of a PDF that are divided at the end of a line: the hyphen was typed, or put there to fill the line.

PDFium marks these places and drops the hyphen. Which it was shows in the word and in the rest of the document; where
nothing tells, both forms stand in the text, so that either is found.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pypdfium2 import PdfTextPage

# Where PDFium found a word divided at the end of a line, it leaves one of these in place of the hyphen.
MARK: Final = re.compile("[\x02\ufffe]")
_DIVIDED: Final = re.compile("(?P<before>[\\w-]*)[\x02\ufffe]\r?\n?(?P<after>[\\w-]*)")
_WORD: Final = re.compile(r"\w[\w-]*\w")
_MARKS: Final = frozenset({0x02, 0xFFFE})
# A line that is further below the one above than so many times its height belongs to a footer, or to another text.
_NEAR: Final = 2.5


def gaps(page: PdfTextPage) -> list[bool]:
    """For each mark of a page whether the text goes on far below it, so that the two are apart."""
    import pypdfium2.raw as pdfium

    count = page.count_chars()
    codes = [pdfium.FPDFText_GetUnicode(page, at) for at in range(count)]
    found = []
    for at, code in enumerate(codes):
        if code not in _MARKS:
            continue
        after = next((other for other in range(at + 1, count) if codes[other] > ord(" ")), None)
        if not at or after is None:
            found.append(True)
            continue
        _, bottom, _, top = page.get_charbox(at - 1, loose=True)
        _, low, _, high = page.get_charbox(after, loose=True)
        found.append(bottom - high > _NEAR * max(top - bottom, high - low))
    return found


def words_of(texts: Sequence[str]) -> frozenset[str]:
    """The words of a document, compounds whole, in small letters."""
    return frozenset(word.lower() for text in texts for word in _WORD.findall(text))


def whole(text: str, far: Sequence[bool], words: Collection[str]) -> str:
    """The text of a page with its divided words whole.

    Args:
        text: The text with PDFium's marks.
        far: For each mark whether what follows is another text, as ``gaps`` says.
        words: The words of the document, as ``words_of`` gives them.
    """
    at = iter(far)

    def one(found: re.Match[str]) -> str:
        before, after = found["before"], found["after"]
        if next(at, False) or not (before and after):
            return f"{before}-\n{after}"
        return _form(before, after, words)

    # A word may be divided twice; each mark is looked at once.
    return _DIVIDED.sub(one, text)


def _form(before: str, after: str, words: Collection[str]) -> str:
    joined, typed = before + after, f"{before}-{after}"
    last = before.rpartition("-")[2]
    if not after[0].islower() or last[-1:].isdigit() or len(last) == 1 or "-" in before or last.isupper():
        return typed
    is_known, is_compound = joined.lower() in words, typed.lower() in words
    if is_known != is_compound:
        return joined if is_known else typed
    return f"{joined} ({typed})"
