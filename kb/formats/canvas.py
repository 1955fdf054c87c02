"""Reads boards of Obsidian: canvas files, which are JSON, and the text of Excalidraw drawings."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from kb.errors import DocumentError
from kb.formats.decode import decode
from kb.formats.frontmatter import date_in_name
from kb.formats.markdown import read_inline, unescaped
from kb.formats.markup import one_line
from kb.formats.payload import without_payload
from kb.records import Block, Document, Link

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_DRAWING: Final = re.compile(r"^(?:%%[ \t]*\n)?#{1,2} Drawing[ \t]*$", re.MULTILINE)
_NAMED: Final = 60
_DECODER: Final = json.JSONDecoder()


def read_canvas(path: str, data: bytes) -> Document:
    """Read the text of a canvas: cards, file names, groups and the labels of arrows.

    Each is on the line of the file on which its node begins, so that line numbers match; Obsidian writes one card per
    line.

    Raises:
        DocumentError: It is not a canvas.
    """
    decoded = decode(data)
    lines = [""] * (decoded.text.count("\n") + 1)
    try:
        parts = list(_parts(decoded.text))
    except (ValueError, RecursionError) as error:
        raise DocumentError("is not a canvas: its JSON is invalid", "Open it in Obsidian and save it again") from error
    names = {str(node.get("id")): one_line(_words(node))[:_NAMED] for kind, _, node in parts if kind == "nodes"}
    links: list[Link] = []
    for kind, line, part in parts:
        if kind == "nodes":
            links += _links(part, line)
        if words := _words(part) if kind == "nodes" else _arrow(part, names):
            lines[line - 1] = f"{lines[line - 1]} · {words}" if lines[line - 1] else words
    text = without_payload("\n".join(lines))
    inline = read_inline(text, text.split("\n"), ())
    place = PurePosixPath(path)
    return Document(
        text=text,
        kind="canvas",
        title=one_line(place.stem) or "untitled",
        blocks=tuple(Block("text", number, number) for number, line in enumerate(lines, 1) if line),
        tags=tuple(inline.tags),
        links=tuple(sorted([*links, *(link for _, link in inline.links)], key=lambda link: link.line)),
        date=date_in_name(str(place.with_suffix(""))),
        encoding=decoded.encoding,
        replaced=decoded.replaced,
    )


def without_drawing(text: str) -> str:
    """Return the text of an Excalidraw file without the drawing, which may be megabytes of JSON."""
    drawing = _DRAWING.search(text)
    return text if drawing is None else text[: drawing.start()]


def _words(node: dict[str, Any]) -> str:
    """Return the text of a node in one line: of a card, a file name, a URL, or the label of a group."""
    text = node.get("text")
    words = (
        unescaped(text)
        if text and isinstance(text, str)
        else text or node.get("label") or node.get("url") or PurePosixPath(str(node.get("file") or "")).stem
    )
    return " ".join(words.split()) if isinstance(words, str) else ""


def _arrow(edge: dict[str, Any], names: dict[str, str]) -> str:
    """Return the label of an arrow and the nodes that it joins; empty without a label."""
    label = edge.get("label")
    if not isinstance(label, str) or not label.strip():
        return ""
    ends = names.get(str(edge.get("fromNode")), ""), names.get(str(edge.get("toNode")), "")
    return " → ".join(filter(None, (ends[0], " ".join(label.split()), ends[1])))


def _links(node: dict[str, Any], line: int) -> Iterator[Link]:
    """Yield the file that a node shows."""
    file, subpath = node.get("file"), node.get("subpath")
    if isinstance(file, str) and file:
        yield Link(file + (subpath if isinstance(subpath, str) else ""), line, "wiki", embeds=True)


def _parts(text: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield each node and edge with the line on which it begins, in the order of the file.

    Raises:
        ValueError: The text is not a JSON object.
    """
    at = _skipped(text, 0)
    if at == len(text):
        return  # a new canvas
    at = _after(text, at, "{")
    line = counted = 0
    while text[at : at + 1] == '"':
        key, end = _DECODER.raw_decode(text, at)
        at = _after(text, _skipped(text, end), ":")
        if key in {"nodes", "edges"} and text[at : at + 1] == "[":
            at = _skipped(text, at + 1)
            while text[at : at + 1] == "{":
                part, end = _DECODER.raw_decode(text, at)
                line, counted = line + text.count("\n", counted, at), at
                yield key, line + 1, part
                at = _past_comma(text, end)
            at = _after(text, at, "]")
        else:
            _, at = _DECODER.raw_decode(text, at)
        at = _past_comma(text, at)
    _after(text, at, "}")


def _skipped(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _past_comma(text: str, at: int) -> int:
    at = _skipped(text, at)
    return _skipped(text, at + 1) if text[at : at + 1] == "," else at


def _after(text: str, at: int, sign: str) -> int:
    """Return the position after a required sign and the whitespace behind it."""
    if text[at : at + 1] != sign:
        raise ValueError(f"{sign!r} is missing at {at}")
    return _skipped(text, at + 1)
