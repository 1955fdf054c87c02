"""Line breaking for a terminal: between words, by their width in columns."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from kb.records.characters import MARKS, SPACELESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Characters that must not begin a line in scripts without spaces.
_CLOSING: Final = (
    "\u3001\u3002\uff0c\uff0e\uff1a\uff1b\uff01\uff1f"  # marks that end a part of a sentence
    "\uff09\u300d\u300f\u3011\u3009\u300b\u201d\u2019\u2026\u30fc\u3005"  # brackets, quotes, and marks of length
)
_ATOM: Final = re.compile(rf"[{SPACELESS}][{MARKS}{_CLOSING}\u200d\ufe0f]*|[^\s{SPACELESS}]+")
_WORD: Final = re.compile(r"\S+")
_PATH: Final = re.compile(r"(?:[~.\w-]*[/\\]|[a-z][a-z0-9+.-]*:)\S+", re.ASCII)

# The words of a command: its name, options, quoted values, paths, and placeholders.
_COMMAND: Final = re.compile(
    r"""(?<![\w/.-])(?:kb|kill|rm|\S*/python[\d.]*)
        (?:\ (?:-{1,2}\w\S*|[^\s'"]*(?:'[^']*'|"[^"]*")\S*|[A-Z]{2,}\b\S*|\d+\b|\S*[/=]\S*|&&|kb
              |(?<=use\ )\S+|(?<=--here\ )\S+|(?<=--add\ )\S+|(?<=--force\ )\S+
              |(?:ask|bench|check|completion|config|doctor|eval|index|init|links|list|model|note|open|rebuild|search|show
                 |similar|status|sync|tags|watch|export|fetch|use|verify|pip|install)\b))+
    """,
    re.VERBOSE,
)
_QUOTED: Final = re.compile(r"(?<!\w)'[^'\n]*'(?!\w)")
_INDENT: Final = 4
_SOLID: Final = "_"
_PUNCTUATION: Final = ".,:;)"
# The most words of a path.
_LONGEST: Final = 12


def breaks(text: str, first: int, rest: int, measure: Callable[[str], int]) -> list[int]:
    """Return the positions in a text where a new line begins.

    Lines end between words, or between characters of scripts without spaces. A word longer than a line is not broken.

    Args:
        text: A text without line ends.
        first: The width of the first line in columns.
        rest: The width of the other lines.
        measure: Returns the width of a text in columns.
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
    """Return the positions of paths and URLs in a text."""
    return [word.span() for word in _WORD.finditer(text) if _is_path(word[0])]


def _is_path(word: str) -> bool:
    """Whether a word is a path or a URL, or contains one as a Markdown link does."""
    return _PATH.match(word) is not None or (word.isascii() and ("/" in word or "\\" in word))


def _atoms(text: str) -> Iterator[tuple[int, int]]:
    """Yield what is never broken: words, paths, and single characters of scripts without spaces."""
    for word in _WORD.finditer(text):
        if _is_path(word[0]):
            yield word.span()
        else:
            yield from ((word.start() + atom.start(), word.start() + atom.end()) for atom in _ATOM.finditer(word[0]))


def wrapped(lines: str, width: int, *, there: Callable[[str], bool], indent: int = _INDENT) -> str:
    """Wrap lines of messages for a terminal between words; continuation lines are indented.

    Paths and commands are never broken, so that they can be copied; one wider than the terminal gets its own line.

    Args:
        lines: The lines.
        width: The width of the terminal in columns.
        there: Whether a file exists, to recognise paths with spaces.
        indent: The indent of continuation lines in columns, unless their line is indented further.
    """
    return "\n".join(_wrapped(line, width, there, " " * indent) for line in lines.split("\n"))


def _wrapped(line: str, width: int, there: Callable[[str], bool], indent: str) -> str:
    measure = len if line.isascii() else _cells
    if measure(line) <= width:
        return line
    own = line[: len(line) - len(line.lstrip(" "))]
    indent = max(own, indent, key=len)
    found = breaks(_joined(line, there), width, width - len(indent), measure)
    # Do not break where the next line has no more room.
    places = [0, *(place for place in found if measure(line[:place]) > len(indent)), len(line)]
    return f"\n{indent}".join(line[begin:end].rstrip() for begin, end in pairwise(places))


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _joined(line: str, there: Callable[[str], bool]) -> str:
    """Return a line with spaces replaced where it must not be broken; no character changes its position."""
    whole = list(line)
    spans = [found.span() for pattern in (_COMMAND, _QUOTED) for found in pattern.finditer(line)]
    for begin, end in (*spans, *_paths_with_spaces(line, there)):
        whole[begin:end] = [_SOLID if one == " " else one for one in whole[begin:end]]
    return "".join(whole)


def _paths_with_spaces(line: str, there: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Return the positions of existing paths of several words, each the longest that exists."""
    words = [word.span() for word in _WORD.finditer(line)]
    done = 0
    for at, (begin, _) in enumerate(words):
        if begin < done:
            continue
        for _, end in reversed(words[at + 1 : at + _LONGEST]):
            named = line[begin:end].rstrip(_PUNCTUATION)
            if " " in named and "/" in named and there(named):
                done = end
                yield begin, end
                break
