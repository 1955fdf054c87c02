"""Documents whose text was extracted: prose under its places, sheets as tables, mails with their headers."""

from __future__ import annotations

import csv
import re
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Final

from kb.web.documents.markup import HIT, Excerpt, linked_text, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kb.records import StoredPassage

_CELL: Final = " | "
_NAMED: Final = re.compile(r"(.+?): (.*)", re.DOTALL)
_HEADER: Final = re.compile(r"(From|To|Cc|Date): (.*)")
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d)?")
_PARAGRAPHS: Final = re.compile(r"\n[ \t]*\n")


def extracted(source: Excerpt, passages: Sequence[StoredPassage]) -> str:
    """Return passages of a document as HTML, to be sanitized: one section a place, such as a slide or a chapter."""
    sheet = source.file.kind == "sheet"
    write = _rows if sheet else _prose
    sections = groupby(passages, key=_sheet_of if sheet else lambda one: one.place)
    return "".join(f"<section>{_place(place)}{write(source, list(group))}</section>\n" for place, group in sections)


def _place(name: str) -> str:
    return f'<p class="place">{escape(visible(name))}</p>' if name else ""


def text(source: Excerpt) -> str:
    """Return plain text as HTML: its lines as they are."""
    lines = "".join(
        f'<span class="{source.classes("line", number, number)}" data-line="{number}">{linked_text(line)}\n</span>'
        for number, line in enumerate(visible(source.text).split("\n"), source.first_line)
    )
    return f'<div class="text">{lines}</div>'


def table(source: Excerpt) -> str:
    """Return comma-separated values as an HTML table, with the number of the line before each row."""
    lines = visible(source.text).split("\n")
    delimiter = max(",;\t|", key=lambda one: sum(line.count(one) for line in lines[:20]))
    reader = csv.reader(lines, delimiter=delimiter)
    rows = []
    before = 0
    try:
        if source.head:
            head = next(csv.reader([visible(source.head)], delimiter=delimiter))
            rows.append(_row(head, 1, hit=False, head=True, shows_number=True))
        for cells in reader:
            number, before = source.first_line + before, reader.line_num
            if cells:
                hit = source.is_marked(number, source.first_line + before - 1)
                rows.append(_row(cells, number, hit=hit, head=number == 1, shows_number=True))
    except csv.Error:
        return text(source)
    return f"<table>{''.join(rows)}</table>"


def _row(cells: Iterable[str], number: int, *, hit: bool, head: bool = False, shows_number: bool = False) -> str:
    tag = "th" if head else "td"
    inner = "".join(f"<{tag}>{linked_text(cell)}</{tag}>" for cell in cells)
    numbered = f'<td class="num">{number}</td>' if shows_number else ""
    return f'<tr data-line="{number}" class="{HIT if hit else ""}">{numbered}{inner}</tr>'


def _sheet_of(passage: StoredPassage) -> str:
    """Return the name of the sheet: places also say the rows."""
    return passage.heading[0] if passage.heading else passage.place


def _rows(source: Excerpt, passages: Iterable[StoredPassage]) -> str:
    """Write the rows of a sheet: their lines say the name of the column before each value, where it has one."""
    lines = [(number, line) for one in passages for number, line in _lines(one) if line.strip()]
    parsed = [(number, _cells(line)) for number, line in lines if _CELL in line or _NAMED.fullmatch(line)]
    columns = list(dict.fromkeys(name for _, cells in parsed for name in cells if name))
    head = "".join(f"<th>{escape(visible(name))}</th>" for name in columns)
    rows = [f"<tr>{head}</tr>"] if columns else []
    known = dict(parsed)
    for number, line in lines:
        cells = known.get(number)
        if cells is None or not any(cells):
            said = visible(line).split(_CELL)
            if said != columns:
                rows.append(_row(said, number, hit=source.is_marked(number, number)))
            continue
        values = [visible(cells.get(name, "")) for name in columns]
        rows.append(_row(values, number, hit=source.is_marked(number, number)))
    return f"<table>{''.join(rows)}</table>"


def _cells(line: str) -> Mapping[str, str]:
    """Return the values of a row by the names of their columns; those without a name under an empty one."""
    cells: dict[str, str] = {}
    for cell in line.split(_CELL):
        named = _NAMED.fullmatch(cell)
        cells[named[1] if named else ""] = named[2] if named else cell
    return cells


def _prose(source: Excerpt, passages: Iterable[StoredPassage]) -> str:
    """Write passages as paragraphs; the first line of a section is its heading, headers of a mail are a list."""
    return "".join(part for passage in passages for part in _blocks(source, passage))


def _blocks(source: Excerpt, passage: StoredPassage) -> Iterator[str]:
    hit = source.is_marked(passage.first_line, passage.last_line)
    classes = f' class="{HIT}"' if hit else ""
    number = passage.first_line
    for block in _PARAGRAPHS.split(visible(passage.text)):
        lines = [line for line in block.strip("\n").split("\n") if line.strip()]
        if (
            number == passage.first_line
            and lines
            and passage.heading
            and lines[0].strip() == passage.heading[-1].strip()
        ):
            level = min(len(passage.heading) + 1, 6)
            yield f'<h{level} data-line="{number}"{classes}>{escape(lines[0])}</h{level}>\n'
            lines = lines[1:]
        headers = [found for line in lines if (found := _HEADER.fullmatch(line))]
        if headers and source.file.kind == "mail" and len(headers) == len(lines):
            said = [(found[1], _TIME.sub(r"\1 \2", found[2])) for found in headers]
            rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in said)
            yield f'<dl class="headers {HIT if hit else ""}" data-line="{number}">{rows}</dl>\n'
        else:
            yield from _lines_and_tables(lines, number, hit=hit)
        number += block.count("\n") + 2


def _lines_and_tables(lines: Sequence[str], number: int, *, hit: bool) -> Iterator[str]:
    """Write lines as they are; several in a row that have cells are a table."""
    for cells, group in groupby(enumerate(lines, number), key=lambda one: _CELL in one[1]):
        part = list(group)
        if cells and len(part) > 1:
            yield f"<table>{''.join(_row(line.split(_CELL), at, hit=hit) for at, line in part)}</table>\n"
        else:
            inner = "\n".join(linked_text(line) for _, line in part)
            yield f'<p data-line="{part[0][0]}" class="text {HIT if hit else ""}">{inner}</p>\n'


def _lines(passage: StoredPassage) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(passage.text.split("\n"), passage.first_line))
