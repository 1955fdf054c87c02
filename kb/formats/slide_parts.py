"""Numbers the parts of a PowerPoint presentation by the order of its slides, and finds what xberg leaves out.

A slide's number is its position in the presentation, and its notes are those that it refers to; the names of their
files say neither. xberg goes by these names. It leaves out the descriptions of pictures, titles of axes, and comments.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from kb.formats.builder import alternative_text, line
from kb.formats.drawings import axis_titles

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRESENTATION: Final = "ppt/presentation.xml"
_TYPES: Final = "[Content_Types].xml"
_AUTHORS: Final = ("ppt/commentAuthors.xml", "ppt/authors.xml")
# Slides and notes as every program names them; xberg reads no others.
_NUMBERED: Final = re.compile(r"ppt/(slides/slide|notesSlides/notesSlide)(\d+)\.xml")
_REFERENCE: Final = re.compile(rb"\b(slides/(?:_rels/)?slide|notesSlides/(?:_rels/)?notesSlide)(\d+)(?=\.xml)")
_PARTS: Final = re.compile(r"ppt/((?:slides|notesSlides)/(?:_rels/)?(?:slide|notesSlide))(\d+)(\.xml(?:\.rels)?)")
_ID: Final = re.compile(r"\{http://[^}]*/relationships\}id")
_DAMAGE: Final = (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, RuntimeError, OSError, ET.ParseError)


def in_order(data: bytes) -> bytes:
    """Return a presentation whose slides, and the notes of each, are numbered by their order; unchanged if they are."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            numbers = _numbers(archive)
            if all(new == old for (_, old), new in numbers.items()):
                return data
            made = BytesIO()
            with zipfile.ZipFile(made, "w") as renamed:
                for name in dict.fromkeys(archive.namelist()):
                    content = archive.read(name)
                    if name == _TYPES or name.endswith(".rels"):
                        content = _REFERENCE.sub(lambda found: _renumbered(found, numbers), content)
                    renamed.writestr(_new_name(name, numbers), content)
            return made.getvalue()
    except _DAMAGE:
        return data  # xberg reports the error


def side_texts(data: bytes) -> dict[int, list[str]]:
    """Return the descriptions of pictures and charts, titles of axes, and the comments, by the number of the slide.

    Those of a damaged presentation are left out.

    Args:
        data: A presentation whose slides are numbered by their order.
    """
    found: dict[int, list[str]] = {}
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            for name in archive.namelist():
                part = _NUMBERED.fullmatch(name)
                if part is None or part[1] != "slides/slide":
                    continue
                content = archive.read(name)
                described = list(_described(part_of(content))) if b"descr=" in content else []
                found[int(part[2])] = [*described, *_axes(archive, name), *_comments(archive, name)]
    except _DAMAGE:
        return {}
    return found


def _numbers(archive: zipfile.ZipFile) -> dict[tuple[str, int], int]:
    """Return the new number of each slide and notes file, by the beginning of its name and its old number.

    Files that no slide refers to are numbered last.
    """
    slides, notes = "slides/slide", "notesSlides/notesSlide"
    there = [(part[1], int(part[2])) for name in archive.namelist() if (part := _NUMBERED.fullmatch(name))]
    targets = targets_of(archive, _PRESENTATION)
    order = [targets.get(id_, "") for id_ in _slide_ids(part_of(archive.read(_PRESENTATION)))]
    numbers: dict[tuple[str, int], int] = {}
    for number, name in enumerate(order, 1):
        part = _NUMBERED.fullmatch(name)
        if part is None or part[1] != slides or (key := (slides, int(part[2]))) not in there or key in numbers:
            raise ValueError(f"{name or 'a slide'} is not where its presentation says")
        numbers[key] = number
        for target in targets_of(archive, name).values():
            if (of := _NUMBERED.fullmatch(target)) and of[1] == notes and (notes, int(of[2])) in there:
                numbers.setdefault((notes, int(of[2])), number)
    last = len(order)
    for key in there:
        if key not in numbers:
            last += 1
            numbers[key] = last
    return numbers


def targets_of(archive: zipfile.ZipFile, name: str) -> dict[str, str]:
    """Return the files that a part of the archive refers to, by the id of the relationship."""
    folder, file = posixpath.split(name)
    relations = f"{folder}/_rels/{file}.rels"
    if relations not in archive.namelist():
        return {}
    return {
        one.get("Id", ""): posixpath.normpath(posixpath.join("/", folder, one.get("Target", ""))).lstrip("/")
        for one in part_of(archive.read(relations))
        if one.get("TargetMode") != "External"
    }


def _slide_ids(presentation: ET.Element) -> Iterator[str]:
    """Yield the ids of the relationships to the slides, in their order."""
    for element in presentation.iter():
        if element.tag.endswith("}sldId"):
            yield next((value for name, value in element.attrib.items() if _ID.fullmatch(name)), "")


def _described(slide: ET.Element) -> Iterator[str]:
    """Yield the descriptions on a slide."""
    for element in slide.iter():
        if element.tag.endswith("}cNvPr") and (text := alternative_text(element.get("descr", ""))):
            yield text


def _axes(archive: zipfile.ZipFile, slide: str) -> Iterator[str]:
    """Yield the titles of the axes of charts on a slide."""
    for name in targets_of(archive, slide).values():
        if name.startswith("ppt/charts/chart") and name in archive.namelist():
            yield from axis_titles(part_of(archive.read(name)))


def _comments(archive: zipfile.ZipFile, slide: str) -> Iterator[str]:
    """Yield the comments on a slide and the replies to them, each with its author: of the old form and the new one."""
    for name in targets_of(archive, slide).values():
        if not name.startswith("ppt/comments/") or name not in archive.namelist():
            continue
        authors = {
            one.get("id"): one.get("name", "")
            for part in _AUTHORS
            if part in archive.namelist()
            for one in part_of(archive.read(part))
        }
        for one in part_of(archive.read(name)).iter():
            said = [child for child in one if child.tag.rpartition("}")[2] in {"text", "txBody"}]
            if text := line(" ".join("".join(part.itertext()) for child in said for part in _paragraphs(child))):
                who = line(authors.get(one.get("authorId"), ""))
                yield f"Comment: {who}: {text}" if who else f"Comment: {text}"


def _paragraphs(body: ET.Element) -> list[ET.Element]:
    """Return the paragraphs of a text; itself where it has none."""
    return [one for one in body if one.tag.endswith("}p")] or [body]


def part_of(text: bytes) -> ET.Element:
    """Parse a part of the archive.

    Raises:
        ValueError: It declares entities, as no presentation does.
    """
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise ValueError("it declares entities")
    return ET.fromstring(text)  # noqa: S314 - no entities in it


def _renumbered(found: re.Match[bytes], numbers: dict[tuple[str, int], int]) -> bytes:
    key = (found[1].decode().replace("_rels/", ""), int(found[2]))
    return found[1] + str(numbers.get(key, key[1])).encode()


def _new_name(name: str, numbers: dict[tuple[str, int], int]) -> str:
    part = _PARTS.fullmatch(name)
    if part is None:
        return name
    number = numbers.get((part[1].replace("_rels/", ""), int(part[2])), int(part[2]))
    return f"ppt/{part[1]}{number}{part[3]}"
