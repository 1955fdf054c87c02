"""The drawing of the links around a file, and its view."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from kb.records import FileStat, KnownFile, LinkedFile, LinkGraph
from kb.web.graph import drawn

if TYPE_CHECKING:
    from pathlib import Path

    from page_browser import Browser

pytest_plugins = ["page_browser"]


def file(number: int, title: str = "") -> KnownFile:
    """A file of the index."""
    return KnownFile(number, "/notes", f"{number}.md", FileStat(1, 0, 0, number, 1), b"", 0, "done", title=title)


def test_columns() -> None:
    """What leads to a file stands on its left, what it leads to on its right, and no two boxes overlap."""
    linked = [LinkedFile(file(n), 1, 1) for n in range(2, 8)]
    linked += [LinkedFile(file(8), -1, 1), LinkedFile(file(9), 2, 3), LinkedFile(file(10), 2, 2)]
    drawing = drawn(LinkGraph(file(1, "x" * 60), tuple(linked), frozenset({(1, 2), (8, 1), (3, 9), (2, 10), (2, 3)})))
    at = {box.file.id: box for box in drawing.boxes}

    assert at[8].x < at[1].x < at[2].x < at[9].x
    assert at[10].y < at[9].y, "each beside the file by which it was found"
    places = {(box.x, box.y) for box in drawing.boxes}
    assert len(places) == len(drawing.boxes) == 10
    for box in drawing.boxes:
        assert 0 <= box.x <= drawing.width - drawing.box_width
        assert 0 <= box.y <= drawing.height - drawing.box_height
    assert len(drawing.paths) == 5
    assert at[1].label.endswith("…")


def test_alone() -> None:
    """A file without links is drawn by itself."""
    drawing = drawn(LinkGraph(file(1)))

    assert [box.step for box in drawing.boxes] == [0]
    assert drawing.paths == ()


def test_view(browser: Browser, files: Path) -> None:
    """The graph is drawn and listed, and is reachable from the document."""
    address = f"/graph?file={quote(str(files / 'hub.md'))}"
    assert f'href="{address}"' in browser.read(files / "hub.md").text
    text = browser.get(address).text

    assert '<svg viewBox="' in text
    assert ">restic</a>" in text[text.index('id="graph_to"') :]
    assert ">Moving plan</a>" in text[text.index('id="graph_to"') :]
    assert 'id="graph_to_far"' not in text
    assert "No file links to it" in browser.get(f"/graph?file={quote(str(files / 'letter.txt'))}&steps=2").text


def test_nothing_outside_is_drawn(browser: Browser, files: Path) -> None:
    """A file that is not in the index has no graph."""
    assert browser.get(f"/graph?file={quote(str(files.parent / 'secret.md'))}").status == 404
