"""The sentences of a passage, each with its line. A function of values."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from itertools import accumulate
from typing import Final

from kb.records import Sentence

_SENTENCE_END: Final = re.compile(r"[.!?…]+[\"'”\u2019»)\]*_]*(?=\s+[^a-z\s])|[。\uff01\uff1f]+[」』”\u2019)]*")
_HEADING: Final = re.compile(r"#{1,6}\s")
_RULE: Final = re.compile(r"(?:`{3,}|~{3,}).*|[-=|:+*_\s]+")
_ITEM: Final = re.compile(r"(?:[-*+•]|\d{1,4}[.)])\s|\|")
_FENCES: Final = ("```", "~~~")


def sentences(text: str) -> list[Sentence]:
    """The sentences of a passage: list items, table rows and lines of code stand by themselves.

    Headings, fences and rules are left out unless there is nothing else.
    """
    units: list[Sentence] = []
    paragraph: list[Sentence] = []
    headings: list[Sentence] = []
    fenced = False

    def flush() -> None:
        units.extend(_split(paragraph))
        paragraph.clear()

    for number, raw in enumerate(unicodedata.normalize("NFC", text).split("\n")):
        line = Sentence(" ".join(raw.split()), number)
        fence = line.text.startswith(_FENCES)
        if not line.text or fence or _RULE.fullmatch(line.text) or (not fenced and _HEADING.match(line.text)):
            flush()
            fenced ^= fence
            if line.text and _HEADING.match(line.text):
                headings.append(line)
        elif fenced:
            units.append(line)
        else:
            if _ITEM.match(line.text):
                flush()
            paragraph.append(line)
    flush()
    return units or headings or _split([Sentence(" ".join(text.split()), 0)])


def _split(lines: list[Sentence]) -> list[Sentence]:
    """The lines of a paragraph, joined and cut where sentences end."""
    joined = " ".join(line.text for line in lines)
    starts = [0, *accumulate(len(line.text) + 1 for line in lines)]
    ends = [match.end() for match in _SENTENCE_END.finditer(joined)]
    found: list[Sentence] = []
    for first, last in zip([0, *ends], [*ends, len(joined)], strict=True):
        part = joined[first:last].strip()
        if part:
            at = first + joined[first:last].index(part[0])
            found.append(Sentence(part, lines[bisect_right(starts, at) - 1].line))
    return found
