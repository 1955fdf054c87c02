"""Stretches of a text that say nothing: brackets, bare tags, rulers and empty cells, one after another and no word.

A few of them belong to the text around them. A megabyte of them, such as elements nested a hundred thousand deep, costs
a model as much as a book and can answer no question, so long stretches become no passage, whatever the format.
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

# Drawings made of signs and rulers across a page are shorter; counted without space.
LEAST: Final = 400
# Signs that share a line with words stay with them, unless there are more than this.
_BESIDE: Final = 100
# ASCII but letters and digits, what is unseen, general punctuation, and what boxes are drawn with.
_SIGN: Final = "[^0-9A-Za-z\u00a1-\u00ac\u00ae-\u1fff\u2070-\u24ff\u25a0-\u2fff\u3001-\ufefe\uff00-\U0010ffff]"
# An element that has neither text nor values, a marked section, an environment of LaTeX without arguments.
_TAG: Final = (
    r"</?[A-Za-z_][\w.:-]{0,80}+(?:\s++[\w.:-]{1,80}+\s*+=\s*+(?:\"\s*+\"|'\s*+')){0,16}+\s*+/?>"
    r"|<!\[CDATA\[|\\(?:begin|end)\{[A-Za-z]{1,40}+\*?\}"
)
# A stretch begins where the text does, or after a character that says something.
_HOLLOW: Final = re.compile(rf"(?<!{_SIGN})(?:{_TAG}|{_SIGN}){{32,}}+")
_HOLLOW_LINE: Final = re.compile(rf"(?:{_TAG}|{_SIGN})*+")


def hollow(text: str) -> tuple[tuple[int, int], ...]:
    """The long stretches of a text in which there is no word, as character offsets in order.

    Where one runs over several lines it is whole lines: the signs before and after it stay with the words beside them.
    """
    found = []
    for stretch in _HOLLOW.finditer(text):
        start, end = stretch.span()
        if end - start < LEAST or len("".join(stretch[0].split())) < LEAST:
            continue
        first = text.find("\n", start, end) + 1
        if first and start > 0 and first - start <= _BESIDE:
            start = first
        last = text.rfind("\n", start, end) + 1
        if last and end < len(text) and end - last <= _BESIDE:
            end = last
        found.append((start, end))
    return tuple(found)


def is_hollow(line: str) -> bool:
    """Whether there is no word in a line."""
    return _HOLLOW_LINE.fullmatch(line) is not None


def without_hollow(outline: Outline, text: str) -> Outline:
    """The outline of a text without what lies in stretches that say nothing.

    The last heading of a stretch stays: what is below it does not belong to the one above.
    """
    stretches = hollow(text)
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
        told=_outside(outline.told, lines),
        places=tuple(place for place in outline.places if not place.soft or _around(lines, place.first_line) is None),
        noise=tuple(one for one in outline.noise if not _covered(stretches, *one)),
    )


def _outside(ones: Iterable[_T], lines: Sequence[tuple[int, int]]) -> tuple[_T, ...]:
    """Those that have a line outside of some stretches of lines."""
    return tuple(one for one in ones if not _covered(lines, one.first_line, one.last_line))


def _around(lines: Sequence[tuple[int, int]], line: int) -> int | None:
    """Which of some stretches a line lies in."""
    at = bisect_right(lines, line, key=lambda one: one[0]) - 1
    return at if at >= 0 and line <= lines[at][1] else None


def _covered(stretches: Sequence[tuple[int, int]], first: int, last: int) -> bool:
    at = bisect_right(stretches, first, key=lambda one: one[0]) - 1
    return at >= 0 and last <= stretches[at][1]
