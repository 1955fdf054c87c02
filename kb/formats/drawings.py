"""Reads the words of charts and of SmartArt diagrams, which Office files keep in parts of their own."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from kb.formats.builder import line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree import ElementTree as ET

_MOST_POINTS: Final = 50


def chart_titles(root: ET.Element) -> Iterator[str]:
    """Yield the title of a chart, and those of its axes."""
    for title in _all(root, "title"):
        if text := _words(title):
            yield text


def axis_titles(root: ET.Element) -> Iterator[str]:
    """Yield the titles of the axes of a chart."""
    for area in _all(root, "plotArea"):
        yield from chart_titles(area)


def chart_series(root: ET.Element) -> Iterator[str]:
    """Yield each series of a chart on a line: its name, and its values after their categories."""
    for series in _all(root, "ser"):
        names = [_words(one) for one in series if _local(one) == "tx"]
        categories, values = (
            [line(point.text or "") for one in series if _local(one) in kinds for point in _all(one, "v")]
            for kinds in ({"cat", "xVal"}, {"val", "yVal"})
        )
        points = zip_longest(categories, map(_number, values), fillvalue="")
        # Of a curve, nobody reads the points.
        few = max(len(categories), len(values)) <= _MOST_POINTS
        said = ", ".join(" ".join(filter(None, point)) for point in points) if few else ""
        if text := ": ".join(filter(None, (*names, said))):
            yield text


def diagram_texts(root: ET.Element) -> Iterator[str]:
    """Yield the text of each shape of a diagram."""
    for shape in _all(root, "pt"):
        for body in shape:
            if _local(body) == "t" and (text := _words(body)):
                yield text


def _words(element: ET.Element) -> str:
    """Return the text in an element, of its paragraphs or of the cells that it refers to."""
    paragraphs = ["".join(one.text or "" for one in _all(paragraph, "t")) for paragraph in _all(element, "p")]
    return line(" ".join(paragraphs or [one.text or "" for one in _all(element, "v")]))


def _number(text: str) -> str:
    """Return a number without the digits that its form in the file adds, such as 4.4000000000000004."""
    try:
        return f"{float(text):.15g}"
    except ValueError:
        return text


def _all(element: ET.Element, name: str) -> Iterator[ET.Element]:
    return (one for one in element.iter() if _local(one) == name)


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
