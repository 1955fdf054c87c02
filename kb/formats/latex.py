r"""Reads the outline of LaTeX and BibTeX files.

An outline of LaTeX has the sections, title, author and date, the environments that stay whole, and the comments, which
are not embedded. In both formats, letters written as commands, such as ``\"o`` and ``\ss``, are read as letters.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, Literal

from kb.formats.escapes import latex_joins
from kb.formats.markup import Outline, in_order, one_line
from kb.records import Block, Heading, LineContext

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

# --- Letters written as commands ----------------------------------------------------------------------------------

# The accents of LaTeX's own fonts (usrguide, "Accents") and the combining characters of Unicode.
_MARKS: Final = {
    "`": "\u0300",
    "'": "\u0301",
    "^": "\u0302",
    "~": "\u0303",
    "=": "\u0304",
    "u": "\u0306",
    ".": "\u0307",
    '"': "\u0308",
    "r": "\u030a",
    "H": "\u030b",
    "v": "\u030c",
    "d": "\u0323",
    "c": "\u0327",
    "k": "\u0328",
    "b": "\u0331",
}
_LETTERS: Final = {
    "ss": "\u00df",
    "SS": "SS",
    "ae": "\u00e6",
    "AE": "\u00c6",
    "oe": "\u0153",
    "OE": "\u0152",
    "aa": "\u00e5",
    "AA": "\u00c5",
    "o": "\u00f8",
    "O": "\u00d8",
    "l": "\u0142",
    "L": "\u0141",
    "i": "\u0131",
    "j": "\u0237",
    "dh": "\u00f0",
    "DH": "\u00d0",
    "dj": "\u0111",
    "DJ": "\u0110",
    "th": "\u00fe",
    "TH": "\u00de",
    "ng": "\u014b",
    "NG": "\u014a",
    "-": "",
}
_NAMED: Final = "|".join(sorted((name for name in _LETTERS if name != "-"), key=len, reverse=True))
_LETTER: Final = r"(?:[A-Za-z]|\\[ij](?![A-Za-z])[ \t]*)"
# A letter with an accent may have another one, as in Vietnamese.
_BRACED: Final = rf"(?:{_LETTER}|\\(?:[`'^~=.\"](?:[A-Za-z]|\{{[A-Za-z]\}})|[uvHcdkbr]\{{[A-Za-z]\}}))"
# A command of one letter must be separated from its argument, and swallows the space after it.
_ACCENT: Final = (
    rf"\\(?P<mark>[`'^~=.\"]|[uvHcdkbr](?=[ \t]*\{{|[ \t]+[A-Za-z]|[ \t]*\\[ij](?![A-Za-z])))[ \t]*"
    rf"(?:\{{[ \t]*(?P<braced>{_BRACED})[ \t]*(?:\{{\}})?\}}|(?P<bare>{_LETTER}))"
)
_SYMBOL: Final = rf"\\(?P<name>{_NAMED})(?![A-Za-z])(?:\{{\}}|[ \t]+)?|\\(?P<break>-)"
_ACCENTED: Final = re.compile(
    rf"\\\\|\{{(?:{_ACCENT.replace('mark', 'm').replace('braced', 'b').replace('bare', 'l')}"
    rf"|\\(?P<n>{_NAMED})(?![A-Za-z])[ \t]*)\}}|{_ACCENT}|{_SYMBOL}"
)
# Braces protect capitals from BibTeX; they are not part of the word. It may go on with an accented letter.
_PROTECTED: Final = re.compile(
    r"(?<![\w\\}])\{([^\W_]+)\}(?=[^\W_]|\{?\\[`'^~=.\"A-Za-z])|(?<=[^\W_])(?<!\\)\{([^\W_]+)\}"
)

_ACCENT_COMMAND: Final = re.compile(r"\\[A-Za-z]+\*?\Z")
_LONGEST_ACCENT: Final = 40
_DOTLESS: Final = len(r"\i")


def find_accents(text: str, start: int = 0) -> Iterator[tuple[int, int, str]]:
    """Yield the letters that are written as commands, as ``Document.substitutions``.

    Args:
        text: A stretch of a document, without code.
        start: Its offset in the document.
    """
    if "\\" not in text:
        return
    for found in _ACCENTED.finditer(text):
        mark = found["mark"] or found["m"]
        # Braces around the argument of a command are kept.
        argument = found[0][0] == "{" and _ACCENT_COMMAND.search(
            text, max(0, found.start() - _LONGEST_ACCENT), found.start()
        )
        first, last = start + found.start() + bool(argument), start + found.end() - bool(argument)
        if mark:
            letter = found["braced"] or found["bare"] or found["b"] or found["l"]
            # An accent replaces the dot of i and j.
            plain = letter.strip()
            plain = decode_accents(plain) if len(plain) > _DOTLESS else plain.removeprefix("\\")
            yield first, last, unicodedata.normalize("NFC", plain + _MARKS[mark])
        elif name := found["name"] or found["break"] or found["n"]:
            yield first, last, _LETTERS[name]


def decode_accents(text: str) -> str:
    """Replace the letters that are written as commands."""
    parts = []
    at = 0
    for first, last, letter in find_accents(text):
        parts += [text[at:first], letter]
        at = last
    return "".join((*parts, text[at:]))


def find_protected_words(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield parts of words in braces, without the braces, as ``Document.substitutions``."""
    for found in _PROTECTED.finditer(text):
        yield found.start(), found.end(), found[1] or found[2]


# --- Outline ------------------------------------------------------------------------------------------------------

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
    "tabularx": "table",
    "tabulary": "table",
    "longtable": "table",
    "figure": "text",
    "abstract": "text",
    "theorem": "text",
    "proof": "text",
    "itemize": "text",
    "enumerate": "text",
}
_TABLES: Final = frozenset({"tabular", "tabularx", "tabulary", "longtable"})
# A rule, or the end of a header that is repeated on each page.
_RULE: Final = re.compile(r"\\(?:hline|midrule|cmidrule|endhead|endfirsthead)\b")
_TABLE_BEGIN: Final = re.compile(r"\s*\\begin\{[A-Za-z]+\*?\}(?:\[[^\]]*\])?(?:\{[^{}]*\})*")
_ROW_END: Final = re.compile(r"\\\\(?:\*|\[[^\]]*\])?")
_CELL_END: Final = re.compile(r"(?<!\\)&")
# Items nested deeper than this are not context of the items below them.
_DEEPEST: Final = 20
_LIST_SIGN: Final = re.compile(
    r"\\(begin|end)\{(?:itemize|enumerate|description|compactitem|compactenum)\*?\}"
    r"|\\item\b\s*(?:\[[^\]]*\])?([^\\\n]*+(?:\\(?!(?:begin|end|item)\b)[^\\\n]*+)*)"
)
_EDGE: Final = re.compile(r"\\(begin|end)\{([A-Za-z]+\*?)\}")
# A percent sign begins a comment unless it is escaped, or is in a URL or in inline code.
_PERCENT: Final = re.compile(
    r"\\(?:url|href|nolinkurl|path)\{[^{}]*\}|\\(?:verb\*?|lstinline)(?P<mark>[^\w\s*{\[]).{0,1000}?(?P=mark)"
    r"|\\.|(?P<comment>%)"
)
_GERMAN: Final = re.compile(r"\\(?:documentclass|usepackage|setmainlanguage)\b[^\n]{0,300}(?:german|austrian)")
_FACT: Final = re.compile(r"\\(title|author|date)\s*(?:\[[^\[\]\n]*\])?\s*\{")
_COMMAND: Final = re.compile(
    r"\\(?:thanks|footnote|label|inst|texorpdfstring)\s*\{[^{}]*\}|\\[A-Za-z]+\*?\s?|\\[^A-Za-z]|[{}$~]"
)
# Commands and labels of a heading are not words of its title.
_LABEL: Final = re.compile(r"\\(?:label\s*\{[^{}]*\}|[A-Za-z]+)")
_LONGEST: Final = 20
_AUTHORS: Final = re.compile(r"\s*\\(?:and|And|AND)\b")


def parse_latex(text: str, first_line: int = 1) -> Outline:
    """Read the outline of a LaTeX file.

    Args:
        text: The whole text of the file.
        first_line: The line to begin with, counting from 1.
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
    german = _GERMAN.search(text) is not None
    for number, line in enumerate(lines[first_line - 1 :], first_line):
        if number not in code:
            plain = _without_comment(line)
            if len(plain) < len(line):
                noise.append((offset + len(plain), offset + len(line)))
                # Without the line end and the space behind it, a word goes on in the next line.
                following = lines[number] if number < len(lines) else ""
                if line[len(plain) :].strip() == "%" and plain[-1:].isalpha() and following.lstrip()[:1].isalpha():
                    end = offset + len(line) + 1 + len(following) - len(following.lstrip())
                    letters.append((offset + len(plain), end, ""))
            letters += find_accents(plain, offset)
            letters += (
                (offset + first, offset + last, said) for first, last, said in latex_joins(plain, german=german)
            )
            if found := _SECTION.match(plain):
                words, last = _argument(lines, number - 1, found.end())
                labels = " ".join(_LABEL.findall("\n".join(lines[number - 1 : last + 1])))
                headings.append(Heading(_words(words), _LEVELS[found[1]], number, last + 1, labels))
            else:
                for fact in _FACT.finditer(plain):
                    if fact[1] not in facts:
                        facts[fact[1]] = _argument(lines, number - 1, fact.end())[0]
        offset += len(line) + 1
    return Outline(
        headings=tuple(_in_order(headings)),
        blocks=blocks,
        title=_words(facts.get("title", "")),
        author=_words(_AUTHORS.sub(", ", facts.get("author", ""))),
        date=_words(facts.get("date", "")),
        noise=tuple(noise),
        substitutions=tuple(sorted(letters)),
        context=in_order([*_columns(lines, first_line - 1, code), *_parents(lines, first_line - 1, code)]),
    )


def parse_bibtex(text: str, _first_line: int = 1) -> Outline:
    """Read a BibTeX file; its outline has substitutions only."""
    return Outline(substitutions=tuple(sorted((*find_accents(text), *find_protected_words(text)))))


def _columns(lines: Sequence[str], start: int, code: Container[int]) -> Iterator[LineContext]:
    """Yield the header row of each table as the context of its other rows: the first row, if a rule is below it."""
    for (number, name), last in sorted(_ends(lines, start).items()):
        if name.rstrip("*") not in _TABLES or number + 1 in code:
            continue
        header = ""
        for at in range(number, min(number + _LONGEST, last)):
            line = _TABLE_BEGIN.sub("", _without_comment(lines[at]))
            row, _, rest = _ROW_END.sub("\n", line).partition("\n")
            is_row = _CELL_END.search(row) is not None
            if header and is_row:
                break  # a second row, with no rule above it
            if is_row:
                header = one_line(" | ".join(filter(None, map(_words, _CELL_END.split(row)))))
            if header and _RULE.search(rest if is_row else row):
                if at + 2 <= last:
                    yield LineContext(at + 2, last, header)
                break


def _parents(lines: Sequence[str], start: int, code: Container[int]) -> Iterator[LineContext]:
    """Yield the first line of each list item, as the context of the lines of the lists in it."""
    depth = 0
    open_: list[tuple[int, int, str]] = []
    for number in range(start, len(lines)):
        if number + 1 in code:
            continue
        for found in _LIST_SIGN.finditer(_without_comment(lines[number])):
            depth += (found[1] == "begin") - (found[1] == "end")
            while open_ and open_[-1][0] >= depth + (found[1] is not None):
                _, begun, text = open_.pop()
                if number > begun + 1:
                    yield LineContext(begun + 2, number, text)
            if found[1] is None and len(open_) < _DEEPEST and (text := _words(found[2])):
                open_.append((depth, number, text))
    yield from (LineContext(begun + 2, len(lines), text) for _, begun, text in open_ if len(lines) > begun + 1)


def _in_order(headings: Sequence[Heading]) -> Iterator[Heading]:
    """Yield headings that do not overlap; of two in one line, the first."""
    last = 0
    for heading in headings:
        if heading.first_line > last:
            yield heading
            last = heading.last_line


def _without_comment(line: str) -> str:
    """Return a line up to its comment."""
    if "%" not in line:
        return line
    return next((line[: found.start()] for found in _PERCENT.finditer(line) if found["comment"]), line)


def _argument(lines: Sequence[str], number: int, start: int) -> tuple[str, int]:
    """Return the text up to the closing brace, and the line of that; if it is not near, the rest of the line."""
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
    """Return the words of a title, without commands and braces."""
    return one_line(_COMMAND.sub(lambda found: " " if found[0][0] in "\\~" else "", decode_accents(text)))


def _blocks(lines: Sequence[str], start: int) -> Iterator[Block]:
    """Yield the outermost environments that should stay whole; one without an end is skipped."""
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
    """Map each environment, by the line of its begin and its name, to the line of its end; lines count from 0."""
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
