"""Where lines of text are broken for a terminal: between words, by the columns that they take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kb.records.marks import MARKS
from kb.records.scripts import SPACELESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What ends a word or a sentence in scripts without spaces does not begin a line.
_CLOSING: Final = (
    "\u3001\u3002\uff0c\uff0e\uff1a\uff1b\uff01\uff1f"  # marks that end a part of a sentence
    "\uff09\u300d\u300f\u3011\u3009\u300b\u201d\u2019\u2026\u30fc\u3005"  # brackets, quotes, and marks of length
)
_ATOM: Final = re.compile(rf"[{SPACELESS}][{MARKS}{_CLOSING}\u200d\ufe0f]*|[^\s{SPACELESS}]+")
_WORD: Final = re.compile(r"\S+")
_PATH: Final = re.compile(r"(?:[~.\w-]*[/\\]|[a-z][a-z0-9+.-]*:)\S+", re.ASCII)


def breaks(text: str, first: int, rest: int, measure: Callable[[str], int]) -> list[int]:
    """The places in a text where a new line begins.

    A line ends between words, or between characters of scripts that set no words apart. A word that is longer than a
    line stays whole.

    Args:
        text: A text without line ends.
        first: The columns of the first line.
        rest: The columns of the lines after it.
        measure: How many columns a text takes.
    """
    found: list[int] = []
    room, used, end = first, 0, 0
    for begin, stop in _atoms(text):
        gap = measure(text[end:begin])
        size = measure(text[begin:stop])
        if used and used + gap + size > room:
            found.append(begin)
            room, used = rest, size
        else:
            used += gap + size
        end = stop
    return found


def paths_in(text: str) -> list[tuple[int, int]]:
    """Where paths and addresses stand in a text."""
    return [word.span() for word in _WORD.finditer(text) if _is_path(word[0])]


def _is_path(word: str) -> bool:
    """Whether a word is a path or an address, or holds one as a Markdown link does."""
    return _PATH.match(word) is not None or (word.isascii() and ("/" in word or "\\" in word))


def _atoms(text: str) -> Iterator[tuple[int, int]]:
    """What is never broken: words, paths, and single characters of scripts without spaces."""
    for word in _WORD.finditer(text):
        if _is_path(word[0]):
            yield word.span()
        else:
            yield from ((word.start() + atom.start(), word.start() + atom.end()) for atom in _ATOM.finditer(word[0]))
