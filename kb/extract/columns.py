"""Pages of two columns whose program stored them row by row: PDFium gives their lines across both columns.

A page is only put in order where both sides are running text. Two columns of a table are read row by row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pypdfium2 import PdfTextPage

# A gap between columns is wider than so many times the height of a line, and found in so many rows.
_WIDE: Final = 1.0
_FEWEST: Final = 4
# Beginnings of the lines of a column differ by no more points, indented paragraphs aside.
_ALIGNED: Final = 3.0
_SHARE: Final = 0.6
# Lines of running text have so many words, and are mostly about as long as the longest.
_WORDS: Final = 3.0
_FULL: Final = 0.7
_ALIKE: Final = 0.6
_SURELY: Final = 0.8
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_SPACE: Final = ord(" ")
_LINE_END: Final = ord("\n")
_ENDS: Final = frozenset({_LINE_END, 0x02, 0xFFFE})
_SAMPLE: Final = 12


@dataclass(frozen=True, slots=True)
class _Line:
    """A line with its edges, and its gaps as (where the words before it end, after it begin, place in the text)."""

    text: str
    left: float
    right: float
    gaps: tuple[tuple[float, float, int], ...]


def in_columns(page: PdfTextPage, text: str) -> str | None:
    """The text of a page column by column; None where it does not stand in two columns that are mixed.

    Words that are divided at the end of a line have one of PDFium's marks in place of the hyphen.

    Args:
        page: The page.
        text: Its text as PDFium gives it.
    """
    codes = _codes(page, text)
    spans = list(_spans(codes))
    # Where things stand takes far longer to ask than what they are.
    some = spans[:: max(1, len(spans) // _SAMPLE)]
    if sum(bool(_line(page, codes, *span).gaps) for span in some) < len(some) // _FEWEST:
        return None
    lines = [_line(page, codes, *span) for span in spans]
    edge = _edge(lines)
    if edge is None:
        return None
    divided = [_divided(line, edge) for line in lines]
    if not _are_columns(lines, divided):
        return None
    parts: list[str] = []
    for columns, group in groupby(zip(lines, divided, strict=True), lambda one: _side(*one, edge) != "both"):
        rows = list(group)
        if not columns:
            parts += [line.text for line, _ in rows]
            continue
        for number, side in enumerate(("left", "right")):
            column = [
                both[number].text if both else line.text
                for line, both in rows
                if both or _side(line, both, edge) == side
            ]
            parts += [f"{one[:-1]}\x02" if one.endswith("-") else one for one in column[:-1]] + column[-1:]
    return "\n".join(parts)


def _codes(page: PdfTextPage, text: str) -> list[int]:
    """The characters of a page by their places, which are those of its text unless PDFium leaves some out."""
    import pypdfium2.raw as pdfium

    count = page.count_chars()
    # One beyond 16 bits may take up two places.
    if len(text) == count and max(text, default="") <= "\uffff":
        return list(map(ord, text))
    return [pdfium.FPDFText_GetUnicode(page, at) for at in range(count)]


def _spans(codes: Sequence[int]) -> Iterator[tuple[list[int], str]]:
    """The lines that say something: the places of their characters, and a hyphen where they end within a word."""
    said: list[int] = []
    for at, code in enumerate((*codes, _LINE_END)):
        if code in _ENDS:
            if said:
                # The hyphen of a divided word is not told.
                yield said, "" if code == _LINE_END else "-"
            said = []
        elif code > _SPACE:
            said.append(at)


def _line(page: PdfTextPage, codes: Sequence[int], said: Sequence[int], end: str) -> _Line:
    text = _text(codes[said[0] : said[-1] + 1])
    first, last = page.get_charbox(said[0], loose=True), page.get_charbox(said[-1], loose=True)
    wide = _WIDE * max(first[3] - first[1], 1.0)
    found = []
    for before, after in pairwise(said):
        if after > before + 1:
            ends, begins = page.get_charbox(before, loose=True)[2], page.get_charbox(after, loose=True)[0]
            if begins - ends > wide:
                found.append((ends, begins, len(_text(codes[said[0] : after]))))
    return _Line(text + end, first[0], last[2], tuple(found))


def _text(codes: Sequence[int]) -> str:
    """Characters as PDFium gives them: those beyond 16 bits may come in two halves."""
    return "".join(map(chr, codes)).encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "")


def _edge(lines: Sequence[_Line]) -> float | None:
    """Where the right column begins: where most lines go on behind a gap, or begin."""
    begins = sorted(begins for line in lines for _, begins, _ in line.gaps)
    if len(begins) < _FEWEST:
        return None
    near = [[one for one in begins if 0 <= one - first <= _ALIGNED] for first in begins]
    best = max(near, key=len)
    gaps = [line for line in lines if line.gaps]
    return best[0] if len(best) >= max(_FEWEST, _SHARE * len(gaps)) else None


def _divided(line: _Line, edge: float) -> tuple[_Line, _Line] | None:
    """Both sides of a line that goes on behind the gap."""
    for ends, begins, at in line.gaps:
        # The first line of a paragraph may be indented.
        if ends < edge <= begins + _ALIGNED and begins - edge <= edge - ends + 10 * _ALIGNED:
            left = _Line(line.text[:at].rstrip(), line.left, ends, ())
            return left, _Line(line.text[at:], begins, line.right, ())
    return None


def _side(line: _Line, divided: tuple[_Line, _Line] | None, edge: float) -> str:
    """Which column a line stands in; one that goes across both, as a heading may, stands in neither."""
    if divided:
        return "divided"
    if line.right < edge:
        return "left"
    return "right" if line.left >= edge - _ALIGNED else "both"


def _are_columns(lines: Sequence[_Line], divided: Sequence[tuple[_Line, _Line] | None]) -> bool:
    """Whether both sides are running text of about the same width, with nothing but one gap between them."""
    both = [one for one in divided if one]
    alone = sum(len(line.gaps) == 1 for line, one in zip(lines, divided, strict=True) if one)
    if alone < _SURELY * len(both):
        return False
    left, right = [one[0] for one in both], [one[1] for one in both]
    if not (_is_prose(left) and _is_prose(right)):
        return False
    widths = [max(line.right - line.left for line in column) for column in (left, right)]
    return min(widths) >= _ALIKE * max(widths)


def _is_prose(column: Sequence[_Line]) -> bool:
    """Whether the lines of a column are running text."""
    if len(column) < _FEWEST:
        return False
    widths = [line.right - line.left for line in column]
    words = sum(len(_WORD.findall(line.text)) for line in column) / len(column)
    return words >= _WORDS and median(widths) >= _FULL * max(widths)
