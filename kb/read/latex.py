"""LaTeX: its sections, title, author and date, and the environments that stay whole. Comments are not embedded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from kb.read.accents import kept_capitals, spelled, written
from kb.read.markup import Outline, one_line
from kb.records import Block, Heading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LEVELS: Final = {
    "part": 1,
    "chapter": 2,
    "section": 3,
    "subsection": 4,
    "subsubsection": 5,
    "paragraph": 6,
    "subparagraph": 7,
}
_SECTION: Final = re.compile(rf"\s*\\({'|'.join(_LEVELS)})\*?\s*(?:\[[^\[\]\n]*\])?\s*\{{")
_BEGIN: Final = re.compile(r"\s*\\begin\{([A-Za-z]+\*?)\}")
_WHOLE: Final[dict[str, Literal["code", "table", "text"]]] = {
    "verbatim": "code",
    "lstlisting": "code",
    "minted": "code",
    "equation": "text",
    "align": "text",
    "table": "table",
    "tabular": "table",
    "figure": "text",
    "abstract": "text",
    "theorem": "text",
    "proof": "text",
    "itemize": "text",
    "enumerate": "text",
}
_EDGE: Final = re.compile(r"\\(begin|end)\{([A-Za-z]+\*?)\}")
# A percent sign begins a comment unless it is escaped, or stands in an address or in code in the line.
_PERCENT: Final = re.compile(
    r"\\(?:url|href|nolinkurl|path)\{[^{}]*\}|\\(?:verb\*?|lstinline)(?P<mark>[^\w\s*{\[]).{0,1000}?(?P=mark)"
    r"|\\.|(?P<comment>%)"
)
_FACT: Final = re.compile(r"\\(title|author|date)\s*(?:\[[^\[\]\n]*\])?\s*\{")
_COMMAND: Final = re.compile(
    r"\\(?:thanks|footnote|label|inst|texorpdfstring)\s*\{[^{}]*\}|\\[A-Za-z]+\*?\s?|\\[^A-Za-z]|[{}$~]"
)
# The names of commands and of labels are for LaTeX alone.
_LABEL: Final = re.compile(r"\\(?:label\s*\{[^{}]*\}|[A-Za-z]+)")
_LONGEST: Final = 20
_AUTHORS: Final = re.compile(r"\s*\\(?:and|And|AND)\b")


def parse_latex(text: str, first_line: int = 1) -> Outline:
    """The outline of a LaTeX file.

    Args:
        text: The whole text of the file.
        first_line: The line to begin with.
    """
    lines = text.split("\n")
    blocks = tuple(_blocks(lines, first_line - 1))
    code = {
        number for block in blocks if block.kind == "code" for number in range(block.first_line, block.last_line + 1)
    }
    noise: list[tuple[int, int]] = []
    letters: list[tuple[int, int, str]] = []
    headings: list[Heading] = []
    facts: dict[str, str] = {}
    offset = sum(len(line) + 1 for line in lines[: first_line - 1])
    for number, line in enumerate(lines[first_line - 1 :], first_line):
        if number not in code:
            plain = _without_comment(line)
            if len(plain) < len(line):
                noise.append((offset + len(plain), offset + len(line)))
            letters += spelled(plain, offset)
            if found := _SECTION.match(plain):
                words, last = _argument(lines, number - 1, found.end())
                labels = " ".join(_LABEL.findall("\n".join(lines[number - 1 : last + 1])))
                headings.append(Heading(_words(words), _LEVELS[found[1]], number, last + 1, labels))
            elif (fact := _FACT.search(plain)) and fact[1] not in facts:
                facts[fact[1]] = _argument(lines, number - 1, fact.end())[0]
        offset += len(line) + 1
    return Outline(
        headings=tuple(_in_order(headings)),
        blocks=blocks,
        title=_words(facts.get("title", "")),
        author=_words(_AUTHORS.sub(", ", facts.get("author", ""))),
        date=_words(facts.get("date", "")),
        noise=tuple(noise),
        spelled=tuple(letters),
    )


def parse_bibtex(text: str, _first_line: int = 1) -> Outline:
    """How the letters of a bibliography are read; its entries have no outline."""
    return Outline(spelled=tuple(sorted((*spelled(text), *kept_capitals(text)))))


def _in_order(headings: Sequence[Heading]) -> Iterator[Heading]:
    """Headings that do not overlap: two may stand in one line."""
    last = 0
    for heading in headings:
        if heading.first_line > last:
            yield heading
            last = heading.last_line


def _without_comment(line: str) -> str:
    """A line up to the comment in it."""
    if "%" not in line:
        return line
    return next((line[: found.start()] for found in _PERCENT.finditer(line) if found["comment"]), line)


def _argument(lines: Sequence[str], number: int, start: int) -> tuple[str, int]:
    """What stands up to the closing brace, and the line in which that is; at most some lines are looked at."""
    depth, parts = 1, []
    for at in range(number, min(number + _LONGEST, len(lines))):
        line = _without_comment(lines[at])
        begin = start if at == number else 0
        for position in range(begin, len(line)):
            if line[position] in "{}" and (position == 0 or line[position - 1] != "\\"):
                depth += 1 if line[position] == "{" else -1
                if depth == 0:
                    parts.append(line[begin:position])
                    return " ".join(parts), at
        parts.append(line[begin:])
    return lines[number][start:], number


def _words(text: str) -> str:
    """What a reader sees of a title: no commands, no braces."""
    return one_line(_COMMAND.sub(lambda found: " " if found[0][0] in "\\~" else "", written(text)))


def _blocks(lines: Sequence[str], start: int) -> Iterator[Block]:
    """Environments that should stay whole, the outermost of several; one that never ends is none."""
    ends = _ends(lines, start)
    number = start
    while number < len(lines):
        found = _BEGIN.match(lines[number])
        kind = _WHOLE.get(found[1].rstrip("*")) if found else None
        last = ends.get((number, found[1]), number) if found and kind else number
        if kind and last > number:
            yield Block(kind, number + 1, last + 1)
        number = last + 1


def _ends(lines: Sequence[str], start: int) -> dict[tuple[int, str], int]:
    """The line in which each environment ends, by the line in which it begins and its name; the outermost of a line."""
    ends: dict[tuple[int, str], int] = {}
    open_: dict[str, list[int]] = {}
    for number in range(start, len(lines)):
        for edge, name in _EDGE.findall(lines[number]):
            begun = open_.setdefault(name, [])
            if edge == "begin":
                begun.append(number)
            elif begun:
                ends[begun.pop(), name] = number
    return ends
