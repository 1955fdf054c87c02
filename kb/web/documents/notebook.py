"""Jupyter notebooks: cells of Markdown rendered, cells of code coloured, each with what it printed."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any, Final

from kb.formats.notebook import cells_of, output_text, text_of
from kb.web.documents.markdown import markdown
from kb.web.documents.markup import HIT, Excerpt, visible
from kb.web.documents.source import fenced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kb.records import StoredPassage

# A larger notebook, in bytes, cells or characters of its cells, is shown as its extracted text, a part at a time. Bytes
# may be pictures; a text of many characters takes long to colour, and browsers long to lay out.
_LARGEST: Final = 4_000_000
_MOST_CELLS: Final = 500
_MOST_CHARACTERS: Final = 250_000
# No lines are marked.
_NOTHING: Final = (0, -1)


def notebook(source: Excerpt, data: bytes, passage: StoredPassage | None) -> str:
    """Return a notebook as HTML, to be sanitized; empty where it is too large, or none.

    Args:
        source: The file, and what leads from it.
        data: Its bytes.
        passage: The passage at which it is open.
    """
    if len(data) > _LARGEST:
        return ""
    try:
        read = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    cells = cells_of(read) if isinstance(read, dict) else None
    if not isinstance(cells, list) or len(cells) > _MOST_CELLS:
        return ""
    language = _language(read)
    numbered = [(number, cell) for number, cell in enumerate(cells, 1) if isinstance(cell, dict)]
    if sum(len(part) for _, cell in numbered for part in (_source_of(cell), *_outputs_of(cell))) > _MOST_CHARACTERS:
        return ""
    return "".join(part for number, cell in numbered for part in _cell(source, number, cell, language, passage))


def _source_of(cell: Mapping[str, Any]) -> str:
    return text_of(cell.get("source", cell.get("input")))


def _outputs_of(cell: Mapping[str, Any]) -> list[str]:
    written = cell.get("outputs")
    return [said for said in map(output_text, written if isinstance(written, list) else ()) if said.strip()]


def _cell(
    source: Excerpt, number: int, cell: Mapping[str, Any], language: str, passage: StoredPassage | None
) -> Iterator[str]:
    text, outputs = _source_of(cell), _outputs_of(cell)
    place = f"cell {number}"
    here = passage if passage and passage.place == place else None
    own = replace(source, text=text, first_line=1, marked=_marked(text, here))
    kind = cell.get("cell_type")
    if not text.strip() and not outputs:
        return
    if kind == "heading":
        yield markdown(replace(own, text=f"# {text}"))
        return
    if kind == "markdown":
        yield markdown(own)
        return
    yield f'<p class="place">{place}</p>'
    yield fenced(text, language if kind == "code" else "", 1, own)
    for said in outputs:
        classes = f"output {HIT}" if _marked(said, here) != _NOTHING else "output"
        yield f'<pre class="{classes}">{escape(visible(said))}</pre>\n'


def _marked(text: str, passage: StoredPassage | None) -> tuple[int, int]:
    """Return the first and the last line of a text that are in a passage, which may hold code and what it printed."""
    if passage is None:
        return _NOTHING
    wanted = passage.text.strip("\n")
    at = text.find(wanted)
    if at >= 0:
        first = text.count("\n", 0, at) + 1
        return first, first + wanted.count("\n")
    lines = {line.strip() for line in wanted.split("\n") if line.strip()}
    found = [number for number, line in enumerate(text.split("\n"), 1) if line.strip() in lines]
    return (found[0], found[-1]) if found else _NOTHING


def _language(read: Mapping[str, Any]) -> str:
    """Return the name of the language of a notebook's code, which is Python unless it says another one."""
    metadata = read.get("metadata")
    facts = metadata.get("language_info") if isinstance(metadata, dict) else None
    return text_of(facts.get("name")) if isinstance(facts, dict) else "python"
