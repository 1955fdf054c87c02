"""Boards of Obsidian: canvas and Excalidraw."""

from __future__ import annotations

import json

import pytest

from kb.errors import DocumentError
from kb.formats.text import extract
from kb.records import Link

CANVAS = """{
\t"nodes":[
\t\t{"id":"a","type":"text","text":"Where do backups go?\\n\\n#backup [[Disks]]","x":0,"y":0,"width":1,"height":1},
\t\t{"id":"b","type":"file","file":"notes/Plan.md","subpath":"#Later","x":0,"y":0,"width":1,"height":1},
\t\t{"id":"g","type":"group","label":"Storage","x":0,"y":0,"width":1,"height":1},
\t\t{"id":"l","type":"link","url":"https://example.com","x":0,"y":0,"width":1,"height":1}
\t],
\t"edges":[
\t\t{"id":"e","fromNode":"a","fromSide":"left","toNode":"b","toSide":"top","label":"answered by"},
\t\t{"id":"f","fromNode":"a","toNode":"g"}
\t]
}
"""


def test_canvas_text_keeps_lines() -> None:
    """Cards, files, groups and labelled arrows are on the lines of their nodes, with their tags and links."""
    document = extract("Board.canvas", CANVAS.encode())

    assert document.text.split("\n")[2:9] == [
        "Where do backups go? #backup [[Disks]]",
        "Plan",
        "Storage",
        "https://example.com",
        "",
        "",
        "Where do backups go? #backup [[Disks]] → answered by → Plan",
    ]
    assert document.text.count("\n") == CANVAS.count("\n")
    assert (document.kind, document.title, document.tags) == ("canvas", "Board", ("backup",))
    assert document.links[:2] == (Link("Disks", 3, "wiki"), Link("notes/Plan.md#Later", 4, "wiki", embeds=True))


def test_canvas_on_one_line_with_unknown_keys() -> None:
    """Other programs write one line, or edges first; unknown keys are ignored."""
    board = {
        "version": {"x": [1, {}]},
        "edges": [{"label": "to", "fromNode": 1, "toNode": 2}],
        "nodes": [{"id": 1, "text": "A"}],
    }

    assert extract("b.canvas", json.dumps(board).encode()).text == "A → to · A"


@pytest.mark.parametrize("text", ["", " \n", "{}", '{"nodes":[],"edges":[]}'])
def test_empty_canvas_has_no_text(text: str) -> None:
    """A new board is not an error."""
    assert extract("b.canvas", text.encode()).text.strip() == ""


@pytest.mark.parametrize(
    "text", ["no json", "[]", '{"nodes":[{]}', '{"nodes":[', '{"nodes":' + "[" * 100_000, '{"a":1', '{"nodes":[{}}']
)
def test_broken_canvas_is_refused(text: str) -> None:
    """Only this file fails."""
    with pytest.raises(DocumentError, match="is not a canvas"):
        extract("b.canvas", text.encode())


def test_excalidraw_text_elements() -> None:
    """The packed drawing is not read, and the ids of its elements are not embedded."""
    text = (
        "---\nexcalidraw-plugin: parsed\n---\n# Excalidraw Data\n\n## Text Elements\nBackups go to the safe ^a1b2\n\n"
        "%%\n## Drawing\n```compressed-json\n" + "N4KAkARALgngDgUwgLgAQQQDwMYEMA2AlgCYBOuA\n" * 50 + "```\n%%\n"
    )

    document = extract("drawing.excalidraw.md", text.encode())

    assert text.startswith(document.text)
    assert document.text.endswith("Backups go to the safe ^a1b2\n\n")
    assert [document.text[start:end] for start, end in document.noise] == ["^a1b2"]
