"""Reads the outline of reStructuredText and AsciiDoc line by line: headings, code blocks and the header rows of tables.

``Outline``, which the readers of all text formats return, and ``one_line`` are defined here as well.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from kb.formats.escapes import asciidoc_escapes, by_line, rst_escapes
from kb.records import Block, Heading, LineContext
from kb.records.characters import seen

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from kb.records import Link, Name, Place

# --- Header rows of AsciiDoc tables -------------------------------------------------------------------------------

_ATTRIBUTES: Final = re.compile(r"\[(.*)\]\s*")
_TITLE: Final = re.compile(r"\.[^\s.].*")
_HAS_HEADER: Final = re.compile(r"%[\w%]*\bheader\b|\b(?:options|opts)\s*=\s*\"?[^\]]*?\bheader\b")
_NO_HEADER: Final = re.compile(r"noheader")
_COLUMNS: Final = re.compile(r"\bcols\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^,\]]+))")
_MULTIPLIED: Final = re.compile(r"(\d+)\*")
# Before the bar of a cell there may be a span and an alignment.
_CELL: Final = re.compile(r"(?:(?<!\S)(?:(?:\d+|\.\d+|\d+\.\d+)[+*])?[<^>.]{0,4}[a-z]?)?(?<!\\)(?:\||(?<!\S)!)")
_SEPARATORS: Final = {",": ",", ":": ":"}


def asciidoc_columns(lines: Sequence[str], first: int, last: int) -> LineContext | None:
    """Return the header row of the table between two delimiter lines, counting from 0, as the context of its rows."""
    options = _options_above(lines, first)
    begin = next((at for at in range(first + 1, last) if lines[at].strip()), last)
    if begin == last or _NO_HEADER.search(options):
        return None
    columns = _count(options)
    # A first row right below the delimiter, with a blank line below it, is an implicit header.
    implied = begin == first + 1 and begin + 1 < last and not lines[begin + 1].strip()
    if not implied and not _HAS_HEADER.search(options):
        return None
    cells, end = _cells(lines[begin], lines[first]), begin + 1
    while len(cells) < columns and end < last and lines[end].strip():
        cells += _cells(lines[end], lines[first])
        end += 1
    text = " | ".join(cells)
    has_rows = any(lines[at].strip() for at in range(end, last))
    return LineContext(begin + 2, last, text) if text and has_rows else None


def _options_above(lines: Sequence[str], first: int) -> str:
    """Return the block attributes above the delimiter of a table."""
    found = []
    for at in range(first - 1, max(-1, first - 4), -1):
        if attributes := _ATTRIBUTES.fullmatch(lines[at]):
            found.append(attributes[1])
        elif not _TITLE.fullmatch(lines[at]):
            break
    return ",".join(found)


def _count(options: str) -> int:
    """Return the number of columns that a table declares; 0 if it declares none."""
    found = _COLUMNS.search(options)
    if found is None:
        return 0
    parts = [part.strip() for part in re.split("[,;]", next(filter(None, found.groups()), "")) if part.strip()]
    return sum(min(int(many[1]), 100) if (many := _MULTIPLIED.match(part)) else 1 for part in parts)


def _cells(line: str, delimiter: str) -> list[str]:
    if separator := _SEPARATORS.get(delimiter.strip()[0]):
        return [cell.strip() for cell in _values(line, separator)]
    return [cell.strip() for cell in _CELL.split(line) if cell.strip()]


def _values(line: str, separator: str = ",") -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return [line]


# --- Tables drawn in plain text -----------------------------------------------------------------------------------

# The rule below the names of the columns, as databases, Pandoc and other programs draw it: strokes of two or more
# columns, between bars or blanks.
_DRAWN_RULE: Final = re.compile(
    r"\s*[+|├╞╠┣]?[-=─═━:]{2,}(?:(?:[+|┼╪╬╋]| +)[-=─═━:]{2,})+[+|┤╡╣┫]?\s*|\s*[|├╞╠┣][-=─═━:]{2,}[|┤╡╣┫]\s*"
)
_DRAWN: Final = re.compile(r"[\s+|:=\u2500-\u257f-]*")
# The rule above the names, as the one below them.
_CORNERS: Final = str.maketrans("┌┬┐╔╦╗┏┳┓╭╮", "├┼┤╠╬╣┣╋┫├┤")
_DRAWN_COLUMN: Final = re.compile("[-=─═━:]{2,}")
_BARS: Final = re.compile("[|│║┃]")
_DRAWN_END: Final = re.compile(r"\s*(?:```|~~~|#{1,6} )")
_NUMBER: Final = re.compile(r"\s*[-+]?\d[\d.,]*%?\s*")
_FEWEST_DRAWN: Final = 2
_MOST_NAMES: Final = 3


def drawn_columns(lines: Sequence[str], start: int, tables: Container[int]) -> Iterator[LineContext]:
    """Yield the names of the columns of drawn tables as context of their rows.

    The rows end at a blank line, a rule, the end of code, a heading, or a line without bars where the names have some.

    Args:
        lines: All lines of a text.
        start: The line to begin with, counting from 0.
        tables: The lines that are known to be tables, counting from 0.
    """
    for at in range(start + 1, len(lines) - 1):
        if at in tables or _DRAWN.fullmatch(lines[at - 1]) or not _DRAWN_RULE.fullmatch(lines[at]):
            continue
        barred = _BARS.search(lines[at - 1]) is not None
        end = at
        while end + 1 < len(lines) and _is_drawn_row(lines[end + 1], barred=barred):
            end += 1
        rows = list(_drawn_names(lines, at, start)) if end - at >= _FEWEST_DRAWN else []
        # Without names, the first row is one like the others.
        if any(_NUMBER.fullmatch(cell) for row in rows for cell in row):
            continue
        if context := _header_context(rows, at + 2, end + 1):
            yield replace(context, text=one_line(context.text))


def _is_drawn_row(line: str, *, barred: bool) -> bool:
    return not (_DRAWN.fullmatch(line) or _DRAWN_END.match(line) or (barred and not _BARS.search(line)))


def _drawn_names(lines: Sequence[str], rule: int, start: int) -> Iterator[list[str]]:
    """Yield the lines of names above a rule, divided into cells: several if another rule is above them."""
    if not _BARS.search(lines[rule - 1]):
        begins = [one.start() for one in _DRAWN_COLUMN.finditer(lines[rule])]
        yield [lines[rule - 1][low:high] for low, high in zip([0, *begins[1:]], [*begins[1:], None], strict=True)]
        return
    tops = range(rule - 2, max(start, rule - 2 - _MOST_NAMES) - 1, -1)
    top = next((at for at in tops if not _BARS.search(lines[at]) or _DRAWN.fullmatch(lines[at])), rule - 2)
    first = top + 1 if top >= start and _DRAWN_RULE.fullmatch(lines[top].translate(_CORNERS)) else rule - 1
    yield from (_BARS.split(line) for line in lines[first:rule])


# --- Tables of reStructuredText -----------------------------------------------------------------------------------

_GRID_RULE: Final = re.compile(r"\s*\+(?:[-=]+\+)+\s*")
_GRID_HEAD: Final = re.compile(r"\s*\+(?:=+\+)+\s*")
_SIMPLE_RULE: Final = re.compile(r"\s*=+(?:\s+=+)+\s*")
_DIRECTIVE: Final = re.compile(r"(\s*)\.\.\s+(list-table|csv-table)::")
_OPTION: Final = re.compile(r"\s*:([\w-]+):\s*(.*)")
_ROW: Final = re.compile(r"(\s*)\*\s+-\s*(.*)")
_VALUE: Final = re.compile(r"\s*-\s+(.*)")


def rst_columns(lines: Sequence[str], start: int, code: Container[int]) -> Iterator[LineContext]:
    """Yield the header rows of the tables in a text as context of their rows; ``code`` holds line numbers from 0."""
    at = start
    while at < len(lines):
        line = lines[at]
        found: tuple[LineContext | None, int] | None = None
        if at in code:
            pass
        elif line.lstrip()[:1] == "+" and _GRID_RULE.fullmatch(line):
            found = _grid(lines, at)
        elif line.lstrip()[:1] == "=" and _SIMPLE_RULE.fullmatch(line):
            found = _simple(lines, at)
        elif directive := _DIRECTIVE.match(line):
            found = _listed(lines, at, len(directive[1]), directive[2])
        context, end = found or (None, at)
        if context:
            yield context
        at = max(end, at) + 1


def _grid(lines: Sequence[str], at: int) -> tuple[LineContext | None, int]:
    """Read a grid table, whose header is above the rule of ``=``; return its context and last line."""
    end = at
    while end + 1 < len(lines) and lines[end + 1].lstrip()[:1] in {"+", "|"}:
        end += 1
    head = next((row for row in range(at + 1, end) if _GRID_HEAD.fullmatch(lines[row])), 0)
    rows = [lines[row].strip().strip("|").split("|") for row in range(at + 1, head) if lines[row].lstrip()[:1] == "|"]
    return _header_context(rows, at + 3, end + 1) if end > head else None, end


def _simple(lines: Sequence[str], at: int) -> tuple[LineContext | None, int]:
    """Read a simple table: rule, header, rule, rows, rule. With two rules it has no header."""
    edges = [(found.start(), found.end()) for found in re.finditer("=+", lines[at])]
    rules = [at]
    for row in range(at + 1, len(lines)):
        if _SIMPLE_RULE.fullmatch(lines[row]):
            rules.append(row)
            # Below the last rule is a blank line or nothing.
            if len(rules) > 2 or row + 1 == len(lines) or not lines[row + 1].strip():  # noqa: PLR2004 - three at most
                break
        elif not lines[row].strip() and len(rules) == 1:
            break  # a header has no blank lines
    if len(rules) < 3:  # noqa: PLR2004 - three at most
        return None, rules[-1]
    starts = [start for start, _ in edges]
    rows = [
        [lines[row][low:high] for low, high in zip(starts, [*starts[1:], None], strict=True)]
        for row in range(at + 1, rules[1])
        if not re.fullmatch(r"[\s-]*", lines[row])
    ]
    return _header_context(rows, at + 3, rules[2]), rules[2]


def _directive(lines: Sequence[str], at: int, indent: int) -> tuple[dict[str, str], int, int]:
    """Return the options of a directive, the first line of its content (0 for none), and its last line."""
    options: dict[str, str] = {}
    body, end = 0, at
    for row in range(at + 1, len(lines)):
        line = lines[row]
        if not line.strip():
            continue
        if len(line) - len(line.lstrip()) <= indent:
            break
        end = row
        option = _OPTION.fullmatch(line)
        if option and not body:
            options[option[1].lower()] = option[2].strip()
        body = body or (0 if option else row)
    return options, body, end


def _listed(lines: Sequence[str], at: int, indent: int, kind: str) -> tuple[LineContext | None, int]:
    """Read a ``list-table`` or ``csv-table``; return its context and last line."""
    options, body, end = _directive(lines, at, indent)
    if not body:
        return None, end
    names = options.get("header", "")
    if kind == "csv-table" and names:
        return _header_context([_values(names)], body + 1, end + 1), end
    if not options.get("header-rows", "0").isdigit() or int(options.get("header-rows", "0")) < 1:
        return None, end
    if kind == "csv-table":
        return _header_context([_values(lines[body].strip())], body + 2, end + 1), end
    first = _ROW.fullmatch(lines[body])
    return _list_of_lists(lines, body, end, first[2]) if first else None, end


def _list_of_lists(lines: Sequence[str], body: int, end: int, name: str) -> LineContext | None:
    """Return the header of a ``list-table``, whose first name is known."""
    cells, row = [name], body + 1
    while row <= end and not _ROW.fullmatch(lines[row]):
        value = _VALUE.fullmatch(lines[row])
        if value:
            cells.append(value[1])
        elif lines[row].strip():
            cells[-1] += f" {lines[row].strip()}"
        row += 1
    return _header_context([cells], body + 2, end + 1) if row <= end else None


def _header_context(rows: Sequence[Sequence[str]], first: int, last: int) -> LineContext | None:
    """Join the lines of a header row into one context for a range of lines, counting from 1.

    The range begins at the second line of the header, since a passage may begin there.
    """
    if not rows or first > last:
        return None
    columns = [
        " ".join(cell.strip() for row in rows if at < len(row) and (cell := row[at]).strip())
        for at in range(max(map(len, rows)))
    ]
    text = " | ".join(filter(None, columns))
    return LineContext(first, last, text) if text else None


# --- Outline ------------------------------------------------------------------------------------------------------

# In characters. Every passage below a heading repeats it in its trail, so an endless line must not be one.
LONGEST_LINE: Final = 300
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Outline:
    """What the markup of a text says: its structure, links and metadata.

    The fields are those of ``Document``. ``title`` is empty unless the text declares one, and ``date`` is as written.
    """

    headings: tuple[Heading, ...] = ()
    blocks: tuple[Block, ...] = ()
    links: tuple[Link, ...] = ()
    title: str = ""
    tags: tuple[str, ...] = ()
    date: str = ""
    aliases: tuple[str, ...] = ()
    names: tuple[Name, ...] = ()
    noise: tuple[tuple[int, int], ...] = ()
    substitutions: tuple[tuple[int, int, str], ...] = ()
    context: tuple[LineContext, ...] = ()
    language: str = ""
    author: str = ""
    places: tuple[Place, ...] = ()


def one_line(text: str) -> str:
    """Join a text into one line of bounded length, without what cannot be seen, lone surrogates or double spaces."""
    line = " ".join(_CONTROLS.sub(" ", seen(text)).split())
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1].rstrip() + "…"


def parents_of_items(
    lines: Sequence[str], start: int, code: Container[int], item: re.Pattern[str]
) -> Iterator[LineContext]:
    """Yield the first line of each list item, as the context of the lines below that are indented deeper.

    Args:
        lines: All lines of a text.
        start: The line to begin with, counting from 0.
        code: The lines that are not markup, counting from 0.
        item: The first line of an item; its groups are the indentation and the text.
    """
    open_: list[tuple[int, int, str]] = []
    last = start - 1
    for number in range(start, len(lines) + 1):
        line = lines[number] if number < len(lines) else "."
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip()) if number < len(lines) else 0
        while open_ and open_[-1][0] >= indent:
            _, begun, text = open_.pop()
            if last > begun:
                yield LineContext(begun + 2, last + 1, text)
        if number < len(lines) and number not in code and (found := item.fullmatch(line)):
            open_.append((len(found[1]), number, one_line(found[2])))
        last = number


def in_order(context: Iterable[LineContext]) -> tuple[LineContext, ...]:
    """Return the context of lines in order, the outer one first."""
    return tuple(sorted(context, key=lambda one: (one.first_line, -one.last_line)))


# --- Plain text ---------------------------------------------------------------------------------------------------

_ITEM: Final = re.compile(r"(\s*)[-+*\u2022\u2023\u25e6]\s+(?:\[[ xX]\]\s+)?(\S.*)")


def parse_text(text: str, first_line: int = 1) -> Outline:
    """Read the lists and drawn tables of a plain text: an item is the context of those indented deeper below it."""
    lines = text.split("\n")
    columns = list(drawn_columns(lines, first_line - 1, ()))
    tables = {number for one in columns for number in range(one.first_line - 1, one.last_line)}
    return Outline(context=in_order([*columns, *parents_of_items(lines, first_line - 1, tables, _ITEM)]))


# --- reStructuredText ---------------------------------------------------------------------------------------------

# A star and a dash begin a row of a list table.
_RST_ITEM: Final = re.compile(r"(\s*)(?:[-+*\u2022]|(?:\d{1,9}|#)[.)]|\(\d{1,9}\))\s+((?!-\s)\S.*)")
_ADORNMENT: Final = re.compile(r"([!-/:-@\[-`{-~])\1*\s*")
_RST_CODE: Final = re.compile(r"(\s*)\.\.\s+(?:code|code-block|sourcecode|parsed-literal)::")
_RST_COMMENT: Final = re.compile(r"\s*\.\.(\s|$)")


_RST_FIELD: Final = re.compile(r":(?P<name>[\w-]+):\s+(?P<value>\S.*)")
_RST_TAGS: Final = ("tags", "keywords", "category")


def _rst_facts(lines: Sequence[str], start: int, headings: Sequence[Heading]) -> Outline:
    """Return author, date and tags in the fields at the top of a text or below its title."""
    begin = next((at for at in range(start, len(lines)) if lines[at].strip()), len(lines))
    if headings and headings[0].first_line == begin + 1:
        begin = next((at for at in range(headings[0].last_line, len(lines)) if lines[at].strip()), len(lines))
    fields: dict[str, str] = {}
    for one in takewhile(str.strip, lines[begin:]):
        if found := _RST_FIELD.fullmatch(one.rstrip()):
            fields.setdefault(found["name"].lower(), found["value"])
        elif not fields or not one[0].isspace():
            break
    tags = [tag.strip() for name in _RST_TAGS for tag in re.split("[,;]", fields.get(name, ""))]
    return Outline(
        author=fields.get("author") or ", ".join(part.strip() for part in fields.get("authors", "").split(";")),
        date=fields.get("date", ""),
        tags=tuple(dict.fromkeys(filter(None, tags))),
    )


def parse_rst(text: str, first_line: int = 1) -> Outline:
    """Read the outline of reStructuredText. The level of a heading is that of the first use of its adornment."""
    lines = text.split("\n")
    code = tuple(_rst_code(lines, first_line - 1))
    literal = {number for block in code for number in range(block.first_line - 1, block.last_line)}
    levels: dict[tuple[str, bool], int] = {}
    headings = []
    at = first_line - 1
    while at < len(lines):
        found = None if at in literal else _rst_heading(lines, at)
        if found is None:
            at += 1
            continue
        title, style, size = found
        level = levels.setdefault(style, len(levels) + 1)
        headings.append(Heading(one_line(title), level, at + 1, at + size))
        at += size
    columns = [replace(one, text=one_line(one.text)) for one in rst_columns(lines, first_line - 1, literal)]
    tables = {number for one in columns for number in range(one.first_line - 2, one.last_line)}
    parents = parents_of_items(lines, first_line - 1, literal | tables, _RST_ITEM)
    return replace(
        _rst_facts(lines, first_line - 1, headings),
        headings=tuple(headings),
        blocks=code,
        substitutions=tuple(by_line(lines, first_line - 1, literal, rst_escapes)),
        context=in_order([*columns, *parents]),
    )


def _rst_heading(lines: Sequence[str], at: int) -> tuple[str, tuple[str, bool], int] | None:
    """Return title, (adornment, overlined) and number of lines of the heading that begins at a line, if one does."""
    first, second, third = (lines[at + step] if at + step < len(lines) else "" for step in range(3))
    if _is_adornment(first) and not _is_adornment(second) and second.strip():
        fits = len(first.rstrip()) >= len(second.rstrip()) or len(first.rstrip()) > 3  # noqa: PLR2004 - docutils' rule
        if fits and third.rstrip() == first.rstrip():
            return second.strip(), (first[0], True), 3
    if not first.strip() or first[0].isspace() or _is_adornment(first) or not _is_adornment(second):
        return None
    if at and lines[at - 1].strip() and not _is_adornment(lines[at - 1]):
        return None  # the last line of a paragraph, with a transition or a table rule below it
    # docutils takes an underline shorter than its title only from four characters on.
    long_enough = len(second.rstrip()) >= min(len(first.rstrip()), 4)
    return (first.strip(), (second[0], False), 2) if long_enough and not _RST_COMMENT.match(first) else None


def _is_adornment(line: str) -> bool:
    return len(line.rstrip()) > 1 and _ADORNMENT.fullmatch(line) is not None


def _rst_code(lines: Sequence[str], start: int) -> Iterator[Block]:
    """Yield code directives and literal blocks: the indented lines below them, blank lines included."""
    at = start
    while at < len(lines):
        line = lines[at]
        directive = _RST_CODE.match(line)
        if directive or (line.rstrip().endswith("::") and not _RST_COMMENT.match(line)):
            last = _indented_until(lines, at)
            if last > at:
                yield Block("code", (at if directive else _first_text(lines, at + 1)) + 1, last + 1)
                at = last
        at += 1


def _indented_until(lines: Sequence[str], at: int) -> int:
    """The last line of the block below line ``at`` that is indented deeper, or ``at`` itself."""
    indent = _indent(lines[at])
    last = at
    for number in range(at + 1, len(lines)):
        if not lines[number].strip():
            continue
        if _indent(lines[number]) <= indent:
            break
        last = number
    return last


def _first_text(lines: Sequence[str], at: int) -> int:
    while not lines[at].strip():
        at += 1
    return at


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


# --- AsciiDoc -----------------------------------------------------------------------------------------------------

_ADOC_HEADING: Final = re.compile(r"(={1,6}|#{1,6})\s+(\S.*)")
_ADOC_ITEM: Final = re.compile(r"\s*(\*{1,6}|-|\.{1,6}|\d{1,9}\.)\s+(?:\[[ xX*]\]\s+)?(\S.*)")
_ADOC_FENCE: Final = re.compile(r"(-{4,}|\.{4,}|\+{4,}|/{4,}|```)\s*|(```)\w+\s*|([|,:!]={3,})\s*")


# The lines of an AsciiDoc header: attributes, authors, and the version with its day and a remark.
_ADOC_ATTRIBUTE: Final = re.compile(r":(?P<name>[\w-]+):(?:\s+(?P<value>.*))?")
_ADOC_AUTHOR: Final = r"[^\W\d_][\w'.-]*(?: [\w'.-]+){0,3}(?: +<[^<>\s]+>)?"
_ADOC_AUTHORS: Final = re.compile(rf"{_ADOC_AUTHOR}(?:; *{_ADOC_AUTHOR})*")
_ADOC_REVISION: Final = re.compile(r"(?:v?\d[\w.-]*, *)?(?P<date>[^:]+)(?::.*)?")
_ADOC_TAGS: Final = ("keywords", "tags", "page-tags")


def parse_asciidoc(text: str, first_line: int = 1) -> Outline:
    """The outline of AsciiDoc; listings, literals, passthroughs and comments are code, ``|===`` is a table.

    Author, date and keywords are those of the header below the title.
    """
    lines = text.split("\n")
    headings, blocks, context = [], [], []
    number = first_line - 1
    closers = _closing_lines(lines, number)
    while number < len(lines):
        fence = _adoc_fence(lines[number])
        end = closers.get(number, number) if fence else number
        if fence and end > number:
            is_table = fence.endswith("===")
            blocks.append(Block("table" if is_table else "code", number + 1, end + 1))
            if is_table and (names := asciidoc_columns(lines, number, end)):
                context.append(replace(names, text=one_line(names.text)))
        elif found := _ADOC_HEADING.fullmatch(lines[number].rstrip()):
            title = re.sub(r"\s+=+$", "", found[2])
            headings.append(Heading(one_line(title), len(found[1]), number + 1, number + 1))
        number = end + 1
    inside = {at for one in blocks for at in range(one.first_line - 1, one.last_line)}
    code = {at for one in blocks if one.kind == "code" for at in range(one.first_line - 1, one.last_line)}
    return replace(
        _adoc_header(lines, first_line - 1),
        headings=tuple(headings),
        blocks=tuple(blocks),
        substitutions=tuple(by_line(lines, first_line - 1, code, asciidoc_escapes)),
        context=in_order([*context, *_adoc_parents(lines, first_line - 1, inside)]),
    )


def _adoc_header(lines: Sequence[str], start: int) -> Outline:
    """Return what the header of a document says: the lines below its title, up to a blank one."""
    title = next((at for at in range(start, len(lines)) if lines[at].strip()), len(lines))
    if title == len(lines) or not lines[title].startswith("= "):
        return Outline()
    header = [one.rstrip() for one in takewhile(str.strip, lines[title + 1 :])]
    attributes = {
        found["name"].lower(): found["value"] or "" for one in header if (found := _ADOC_ATTRIBUTE.fullmatch(one))
    }
    said = [one for one in header if not _ADOC_ATTRIBUTE.fullmatch(one) and not one.startswith("//")]
    people = _ADOC_AUTHORS.fullmatch(said[0]) if said else None
    names = [one.partition("<")[0].strip() for one in said[0].split(";")] if people else []
    revision = _ADOC_REVISION.fullmatch(said[1]) if people and len(said) > 1 else None
    tags = [tag.strip() for name in _ADOC_TAGS for tag in attributes.get(name, "").split(",")]
    return Outline(
        author=attributes.get("author") or ", ".join(names),
        date=attributes.get("revdate") or attributes.get("date") or (revision["date"] if revision else ""),
        tags=tuple(dict.fromkeys(filter(None, tags))),
    )


def _adoc_parents(lines: Sequence[str], start: int, inside: Container[int]) -> Iterator[LineContext]:
    """Yield the first line of each list item, as the context of the deeper items below it.

    A sign that is new in its list begins a deeper one. A paragraph after a blank line ends the list, and so does a
    heading; a block, and what a plus sign joins to an item, do not.
    """
    open_: list[tuple[str, int, str]] = []
    last = start - 1
    for number in range(start, len(lines) + 1):
        line = lines[number] if number < len(lines) else "= end"
        if number in inside or not line.strip():
            continue
        found = _ADOC_ITEM.fullmatch(line)
        sign = "." if found and found[1][0].isdigit() else found[1] if found else ""
        ends = not found and (_ADOC_HEADING.match(line) or (not lines[number - 1].strip() and number > start))
        while open_ and (ends or sign in [one[0] for one in open_]):
            of, begun, text = open_.pop()
            if last > begun:
                yield LineContext(begun + 2, last + 1, text)
            if of == sign:
                break
        if found:
            open_.append((sign, number, one_line(found[2])))
        last = number


def _adoc_fence(line: str) -> str:
    found = _ADOC_FENCE.fullmatch(line)
    return next(group for group in found.groups() if group) if found else ""


def _closing_lines(lines: Sequence[str], start: int) -> dict[int, int]:
    """For each delimiter line the next one that is the same: where its block ends, if it is a beginning."""
    following: dict[str, int] = {}
    closers: dict[int, int] = {}
    for number in range(len(lines) - 1, start - 1, -1):
        if not (fence := _adoc_fence(lines[number])):
            continue
        if fence in following:
            closers[number] = following[fence]
        # "```python" opens a block and never closes one.
        if lines[number].rstrip() == fence:
            following[fence] = number
    return closers
