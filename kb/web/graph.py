"""Draws the links around a file in columns: what leads to it on its left, what it leads to on its right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kb.records import KnownFile, LinkGraph

# In units of the drawing.
_WIDTH: Final = 190
_GAP: Final = 70
_HEIGHT: Final = 24
_ROW: Final = 32
_MARGIN: Final = 8
# In characters, as fit into the width of a box.
_LONGEST: Final = 26


@dataclass(frozen=True, slots=True)
class Box:
    """A file in the drawing.

    Attributes:
        file: The file.
        by: The file one step nearer, by which it was found; None for the file in the middle.
        step: Its column, 0 for the one in the middle.
        label: Its title, shortened.
        x: The left edge of its box.
        y: The upper edge.
    """

    file: KnownFile
    by: KnownFile | None
    step: int
    label: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """Where files and links are drawn.

    Attributes:
        boxes: The files.
        paths: The links, as paths of SVG.
        width: The width of the drawing.
        height: Its height.
        box_width: The width of each box.
        box_height: Its height.
    """

    boxes: tuple[Box, ...]
    paths: tuple[str, ...]
    width: int
    height: int
    box_width: int = _WIDTH
    box_height: int = _HEIGHT

    def column(self, step: int) -> tuple[Box, ...]:
        """The files of a step."""
        return tuple(box for box in self.boxes if box.step == step)


def drawn(graph: LinkGraph) -> Drawing:
    """Return where the files and links of a graph are drawn."""
    files = {graph.file.id: graph.file} | {one.file.id: one.file for one in graph.linked}
    by = {one.file.id: one.by for one in graph.linked}
    columns: dict[int, list[int]] = {0: [graph.file.id]}
    for one in graph.linked:
        columns.setdefault(one.step, []).append(one.file.id)
    order: dict[int, int] = {}
    for step in sorted(columns, key=abs):
        # Beside those by which they were found, so that few links cross.
        columns[step].sort(key=lambda id_: order.get(by.get(id_, 0), 0))
        order |= {id_: at for at, id_ in enumerate(columns[step])}
    tallest = max(map(len, columns.values()))
    first = min(columns)
    boxes = []
    for step, ids in sorted(columns.items()):
        top = _MARGIN + (tallest - len(ids)) * _ROW // 2
        for at, id_ in enumerate(ids):
            file = files[id_]
            x = _MARGIN + (step - first) * (_WIDTH + _GAP)
            found_by = files[by[id_]] if id_ in by else None
            boxes.append(Box(file, found_by, step, _shortened(file), x, top + at * _ROW))
    place = {box.file.id: box for box in boxes}
    return Drawing(
        tuple(boxes),
        tuple(_path(place[source], place[target]) for source, target in sorted(graph.links)),
        2 * _MARGIN + (max(columns) - first + 1) * (_WIDTH + _GAP) - _GAP,
        2 * _MARGIN + tallest * _ROW,
    )


def _path(source: Box, target: Box) -> str:
    """Return a curve from the side of one box to that of another."""
    middle = _HEIGHT // 2
    start_y, end_y = source.y + middle, target.y + middle
    if source.step == target.step:
        side = source.x + (_WIDTH if source.step >= 0 else 0)
        bend = side + (_GAP // 2 if source.step >= 0 else -_GAP // 2)
        return f"M{side} {start_y} C{bend} {start_y} {bend} {end_y} {side} {end_y}"
    right = target.step > source.step
    start, end = (source.x + _WIDTH, target.x) if right else (source.x, target.x + _WIDTH)
    bend = (start + end) // 2
    return f"M{start} {start_y} C{bend} {start_y} {bend} {end_y} {end} {end_y}"


def _shortened(file: KnownFile) -> str:
    title = file.title or file.path.rpartition("/")[2]
    return title if len(title) <= _LONGEST else f"{title[: _LONGEST - 1]}…"
