"""Finds long stretches of markup without words: brackets, empty tags, rulers and empty table cells.

Short ones belong to the text around them. A megabyte of them, such as elements nested a hundred thousand deep, takes as
long to embed as a book and answers no question, so long stretches are left out of passages in every format.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kb.formats.markup import Outline

    _T = TypeVar("_T", bound=Any)

# In characters, without whitespace. ASCII drawings and rulers are shorter.
MIN_LENGTH: Final = 400
# Up to this many characters of a stretch stay with the words on their line.
_BESIDE: Final = 100
# ASCII other than letters and digits, invisible characters, general punctuation, and box drawing characters.
_SIGN: Final = "[^0-9A-Za-z\u00a1-\u00ac\u00ae-\u1fff\u2070-\u24ff\u25a0-\u2fff\u3001-\ufefe\uff00-\U0010ffff]"
# A tag without attribute values, the start of a CDATA section, a LaTeX environment without arguments.
_TAG: Final = (
    r"</?[A-Za-z_][\w.:-]{0,80}+(?:\s++[\w.:-]{1,80}+\s*+=\s*+(?:\"\s*+\"|'\s*+')){0,16}\s*+/?>"
    r"|<!\[CDATA\[|\\(?:begin|end)\{[A-Za-z]{1,40}+\*?\}"
)
# Signs that begin no tag, section or environment.
_OTHER: Final = _SIGN.replace("[^", r"[^<\\")
_BARE: Final = rf"(?>(?:{_TAG}|{_OTHER}++|[<\\])*)"
# A stretch begins at the start of the text or after a character of a word.
_BARE_MARKUP: Final = re.compile(rf"(?<!{_SIGN})(?=(?:(?>{_TAG}|{_SIGN})){{32}}){_BARE}")
_BARE_LINE: Final = re.compile(_BARE)


def find_bare_markup(text: str) -> tuple[tuple[int, int], ...]:
    """Find the long stretches of a text without words, as character offsets in order.

    A stretch over several lines is reduced to whole lines, so that markup next to words stays with them.
    """
    found = []
    for stretch in _BARE_MARKUP.finditer(text):
        start, end = stretch.span()
        if end - start < MIN_LENGTH or len("".join(stretch[0].split())) < MIN_LENGTH:
            continue
        first = text.find("\n", start, end) + 1
        if first and start > 0 and first - start <= _BESIDE:
            start = first
        last = text.rfind("\n", start, end) + 1
        if last and end < len(text) and end - last <= _BESIDE:
            end = last
        found.append((start, end))
    return tuple(found)


def is_bare_markup(line: str) -> bool:
    """Whether a line has no words."""
    return _BARE_LINE.fullmatch(line) is not None


def without_bare_markup(outline: Outline, text: str) -> Outline:
    """Remove the parts of an outline that are in stretches of bare markup.

    The last heading of each stretch is kept, since the text below it does not belong to a heading above.
    """
    stretches = find_bare_markup(text)
    if not stretches:
        return outline
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    lines = [(bisect_right(starts, start), bisect_right(starts, end - 1)) for start, end in stretches]
    last = {_around(lines, heading.first_line): heading for heading in outline.headings}
    return replace(
        outline,
        headings=tuple(
            heading
            for heading in outline.headings
            if (at := _around(lines, heading.first_line)) is None or last[at] is heading
        ),
        blocks=_outside(outline.blocks, lines),
        context=_outside(outline.context, lines),
        places=tuple(place for place in outline.places if not place.soft or _around(lines, place.first_line) is None),
        noise=tuple(one for one in outline.noise if not _covered(stretches, *one)),
    )


def _outside(ones: Iterable[_T], lines: Sequence[tuple[int, int]]) -> tuple[_T, ...]:
    """Return the items that have a line outside some ranges of lines."""
    return tuple(one for one in ones if not _covered(lines, one.first_line, one.last_line))


def _around(lines: Sequence[tuple[int, int]], line: int) -> int | None:
    """Return the index of the range that a line is in; None if it is in none."""
    at = bisect_right(lines, line, key=lambda one: one[0]) - 1
    return at if at >= 0 and line <= lines[at][1] else None


def _covered(stretches: Sequence[tuple[int, int]], first: int, last: int) -> bool:
    at = bisect_right(stretches, first, key=lambda one: one[0]) - 1
    return at >= 0 and last <= stretches[at][1]
