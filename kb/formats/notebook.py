"""Reads Jupyter notebooks from their JSON: the source and output of each cell."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

from kb.formats.builder import Unreadable, clean
from kb.formats.frontmatter import FrontMatter, read_front_matter
from kb.formats.markdown import unescaped
from kb.formats.markup import parents_of_items
from kb.records import LineContext

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from kb.formats.builder import TextBuilder
    from kb.sandbox.protocol import Limits

_HEADING: Final = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
# A fence of backticks is followed by none on its line; ```x``` is inline code.
_FENCE: Final = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
_ITEM: Final = re.compile(r"(\s*)(?:[-+*]|\d{1,9}[.)])\s+(?:\[[ xX]\]\s+)?(\S.*)")
_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# The most output of a cell: the rest of long logs and tables is rarely useful.
_LONGEST_OUTPUT: Final = 2_000


def prepare() -> None:
    """Load what reads front matter."""
    for fence in ("---", "+++"):
        read_front_matter(f"{fence}\n{fence}\n")


def extract(_name: str, data: bytes, builder: TextBuilder, _limits: Limits) -> None:
    """Add every cell to the builder.

    Raises:
        Unreadable: It is not a notebook.
    """
    try:
        notebook = json.loads(data)
    except ValueError as error:
        raise Unreadable("is not a notebook: its JSON is invalid", "Open it with Jupyter") from error
    except RecursionError as error:
        raise Unreadable("is not a notebook: its JSON is nested too deeply", "Exclude the file") from error
    if not isinstance(notebook, dict) or not isinstance(cells := cells_of(notebook), list):
        raise Unreadable("is not a notebook: it has no cells", "Open it with Jupyter")
    metadata = notebook.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    front = _front_matter(cells)
    title = front.title or text_of(metadata.get("title") or metadata.get("name"))
    builder.set_properties(title, _authors(metadata), front.date.isoformat() if front.date else "")
    builder.add_tags(front.tags, front.language)
    for number, cell in enumerate(cells, 1):
        if isinstance(cell, dict):
            _cell(builder, number, cell)


def _front_matter(cells: Sequence[Any]) -> FrontMatter:
    """Return the front matter in the first cell, where Quarto has it; the cell is text as well."""
    first = cells[0] if cells and isinstance(cells[0], dict) else {}
    return read_front_matter(text_of(first.get("source")) if first.get("cell_type") in {"raw", "markdown"} else "")


def cells_of(notebook: dict[str, Any]) -> object:
    """Return the cells, which are in worksheets up to version 3 of the format."""
    sheets = notebook.get("worksheets")
    if "cells" in notebook or not isinstance(sheets, list):
        return notebook.get("cells")
    found = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
    return [cell for cells in found if isinstance(cells, list) for cell in cells]


def _cell(builder: TextBuilder, number: int, cell: dict[str, Any]) -> None:
    kind = cell.get("cell_type")
    source = text_of(cell.get("source", cell.get("input")))
    outputs = cell.get("outputs") if kind == "code" else None
    written = [text for text in map(output_text, outputs if isinstance(outputs, list) else ()) if text.strip()]
    if not source.strip() and not written:
        return
    builder.add_place(f"cell {number}")
    if kind == "heading":
        level = cell.get("level")
        builder.add_heading(source, level if isinstance(level, int) else 1)
    elif kind == "markdown":
        _markdown(builder, source)
    else:
        builder.add_text(source, "code")
        for text in written:
            builder.add_text(text, "code")


def _markdown(builder: TextBuilder, source: str) -> None:
    """Add the headings and paragraphs of a Markdown cell, with the context of its tables and lists."""
    lines = clean(source).split("\n")
    code: set[int] = set()
    # The lines of paragraphs, counting from 0, and their lines in the document.
    placed: list[int] = []
    added: list[int] = []
    fenced = ""
    paragraph: list[str] = []
    for number, line in enumerate(lines):
        fence = _FENCE.match(line)
        if fence or fenced:
            code.add(number)
        if fence and not fenced:
            fenced = fence[1]
        elif fence and fence[1].startswith(fenced) and not fence[2].strip():
            fenced = ""
        heading = None if fenced else _HEADING.match(line)
        if heading or (not line.strip() and not fenced):
            builder.add_text("\n".join(paragraph))
            paragraph = []
        if heading:
            builder.add_heading(heading[2], len(heading[1]))
        elif line.strip() or fenced:
            placed.append(number)
            added.append(builder.next_line + len(paragraph))
            paragraph.append(line if number in code else unescaped(line))
    builder.add_text("\n".join(paragraph))
    for one in (*_columns(lines, code), *parents_of_items(lines, 0, code, _ITEM)):
        first, last = bisect_left(placed, one.first_line - 1), bisect_left(placed, one.last_line) - 1
        if first <= last:
            builder.add_context(added[first], added[last], one.text)


def _columns(lines: Sequence[str], code: Container[int]) -> Iterator[LineContext]:
    """Yield the header row of each table as the context of its other rows."""
    number = 1
    while number < len(lines):
        signs = set(lines[number].strip())
        if "|" in lines[number - 1] and {"|", "-"} <= signs <= set("|-: \t") and number not in code:
            below = number + 1
            while below < len(lines) and lines[below].strip():
                below += 1
            if below > number + 1:
                yield LineContext(number + 2, below, lines[number - 1])
            number = below
        number += 1


def output_text(output: object) -> str:
    """Return an output of a cell as plain text, shortened if necessary."""
    if not isinstance(output, dict):
        return ""
    data = output.get("data")
    if "ename" in output:
        text = f"{text_of(output.get('ename'))}: {text_of(output.get('evalue'))}"
    elif isinstance(data, dict):
        text = text_of(data.get("text/plain") or data.get("text/markdown"))
    else:
        text = text_of(output.get("text"))
    text = _COLOURS.sub("", text).strip("\n")
    if len(text) <= _LONGEST_OUTPUT:
        return text
    beginning = text[:_LONGEST_OUTPUT]
    lines = beginning.rpartition("\n")[0]
    return lines if 2 * len(lines) >= _LONGEST_OUTPUT else beginning


def _authors(metadata: dict[str, Any]) -> str:
    authors = metadata.get("authors")
    return ", ".join(_names(authors)) if isinstance(authors, list) else ""


def _names(authors: list[Any]) -> Iterator[str]:
    for author in authors:
        name = text_of(author.get("name")) if isinstance(author, dict) else text_of(author)
        if name:
            yield name


def text_of(value: object) -> str:
    """Return a text, which may be a list of lines; in the oldest notebooks these have no ends."""
    if isinstance(value, list):
        lines = [part for part in value if isinstance(part, str)]
        return ("" if any(line.endswith("\n") for line in lines) else "\n").join(lines)
    return value if isinstance(value, str) else ""
