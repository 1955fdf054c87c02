"""What a sentence that ends with a colon introduces: code, a list or a paragraph. Functions of values."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_LINES: Final = 16
_MORE: Final = "…"
_COLON: Final = re.compile(r"[:\uff1a][*_\"'”»)\]]*\Z")
_FENCE: Final = re.compile(r"\s*(`{3,}|~{3,})")
_HEADING: Final = re.compile(r"#{1,6}\s")
_INDENTED: Final = re.compile(r" {4}|\t")


@dataclass(frozen=True, slots=True)
class Introduced:
    """Lines of a passage that a sentence introduces.

    Attributes:
        text: The lines, without fences and common indent; where there are more than ``MOST_LINES``, the last one is
            an ellipsis.
        first: The number of the first of them in the passage, from 0.
        last: The number of the last one, shown or not.
    """

    text: str
    first: int
    last: int


def introduced(passage: str, sentence: str, line: int) -> Introduced | None:
    """Return what a sentence introduces; None if it does not end with a colon, or is code itself, or nothing follows.

    Args:
        passage: The text of the passage.
        sentence: The sentence, with single spaces.
        line: The line of the passage on which it begins, from 0.
    """
    lines = unicodedata.normalize("NFC", passage).split("\n")
    if not _COLON.search(sentence) or _is_code(lines, line):
        return None
    after = _end(lines, sentence, line) + 1
    first = next((at for at in range(after, len(lines)) if lines[at].strip()), len(lines))
    if first == len(lines) or _HEADING.match(lines[first]):
        return None
    if opening := _FENCE.match(lines[first]):
        first += 1
        block = list(takewhile(lambda one: not one.lstrip().startswith(opening[1]), lines[first:]))
    elif _INDENTED.match(lines[first]):
        block = list(takewhile(lambda one: not one.strip() or _INDENTED.match(one), lines[first:]))
    else:
        block = list(takewhile(str.strip, lines[first:]))
    shown = block if len(block) <= MOST_LINES else [*block[: MOST_LINES - 1], _MORE]
    text = textwrap.dedent("\n".join(shown)).strip("\n")
    return Introduced(text, first, first + len(block) - 1) if text.strip() else None


def _end(lines: Sequence[str], sentence: str, line: int) -> int:
    """Return the line on which a sentence ends."""
    read = ""
    for at in range(line, len(lines)):
        read = f"{read} {' '.join(lines[at].split())}"
        if sentence in read:
            return at
    return line


def _is_code(lines: Sequence[str], at: int) -> bool:
    """Whether a line is code, by its indent or the fences above it."""
    fences = sum(1 for one in lines[:at] if _FENCE.match(one))
    return fences % 2 == 1 or bool(_INDENTED.match(lines[at]))
