"""Where lines of text are broken for a terminal: between words, by the columns that they take."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from kb.records.characters import MARKS, SPACELESS

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

# The words of a command: its name, options, values in quotes, paths, and what stands for a value.
_COMMAND: Final = re.compile(
    r"""(?<![\w/.-])(?:kb|kill|rm|\S*/python[\d.]*)
        (?:\ (?:-{1,2}\w\S*|[^\s'"]*(?:'[^']*'|"[^"]*")\S*|[A-Z]{2,}\b\S*|\d+\b|\S*[/=]\S*|&&|kb
              |(?<=use\ )\S+|(?<=--here\ )\S+|(?<=--add\ )\S+|(?<=--force\ )\S+
              |(?:ask|bench|check|completion|config|eval|index|init|links|list|model|note|open|rebuild|search|show
                 |similar|status|sync|tags|watch|export|fetch|use|verify|pip|install)\b))+
    """,
    re.VERBOSE,
)
_QUOTED: Final = re.compile(r"(?<!\w)'[^'\n]*'(?!\w)")
_INDENT: Final = 4
_SOLID: Final = "_"
_PUNCTUATION: Final = ".,:;)"
# More words than this are no path.
_LONGEST: Final = 12


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


def wrapped(lines: str, width: int, *, there: Callable[[str], bool], indent: int = _INDENT) -> str:
    """Lines of messages for a terminal, broken between words; what goes on below is indented.

    A path is never broken, nor a command, which would not run when it is pasted: one that is wider than the terminal
    has a line of its own.

    Args:
        lines: The lines.
        width: The columns of the terminal.
        there: Whether a file is there, so that a path with spaces in it is known.
        indent: The columns by which what goes on below is indented, unless its line is further.
    """
    return "\n".join(_wrapped(line, width, there, " " * indent) for line in lines.split("\n"))


def _wrapped(line: str, width: int, there: Callable[[str], bool], indent: str) -> str:
    measure = len if line.isascii() else _cells
    if measure(line) <= width:
        return line
    own = line[: len(line) - len(line.lstrip(" "))]
    indent = max(own, indent, key=len)
    found = breaks(_joined(line, there), width, width - len(indent), measure)
    # A break that leaves no more room than there was is none.
    places = [0, *(place for place in found if measure(line[:place]) > len(indent)), len(line)]
    return f"\n{indent}".join(line[begin:end].rstrip() for begin, end in pairwise(places))


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _joined(line: str, there: Callable[[str], bool]) -> str:
    """A line with its spaces replaced where it must not be broken; every character keeps its place."""
    whole = list(line)
    spans = [found.span() for pattern in (_COMMAND, _QUOTED) for found in pattern.finditer(line)]
    for begin, end in (*spans, *_paths_with_spaces(line, there)):
        whole[begin:end] = [_SOLID if one == " " else one for one in whole[begin:end]]
    return "".join(whole)


def _paths_with_spaces(line: str, there: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Where files that are there are named by several words, each the longest name that is one."""
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
