"""Slides of PowerPoint by their order, each with its own notes, the descriptions of its pictures, and comments."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING

import made_documents as made
import pytest

from kb.formats.registry import installed
from kb.formats.slide_parts import in_order, side_texts
from kb.sandbox.pool import Sandbox
from kb.sandbox.protocol import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# The module for HTML loads the encodings, which any process for documents has.
OFFICE = ("kb.formats.html", "kb.formats.office")
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
NOTES_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.notesSlide+xml"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Where presentations are parsed, with the limits as they are used."""
    if not installed("xberg"):
        pytest.skip("the extra 'documents' is not installed")
    with_limits = Sandbox(Limits(seconds=30, memory=300_000_000, text=2_000_000), OFFICE)
    yield with_limits
    with_limits.close()


def unpacked(data: bytes) -> dict[str, bytes]:
    """The files in an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def deck(
    slides: Sequence[str],
    *,
    order: Sequence[int] = (),
    notes: Mapping[int, tuple[int, str]] | None = None,
    pictures: Mapping[int, str] | None = None,
) -> bytes:
    """A presentation.

    Args:
        slides: The text of each slide.
        order: The numbers of their files in the order in which they are shown; empty for the order of the files.
        notes: For the number of a slide's file, that of its notes and their text.
        pictures: For the number of a slide's file, the description of its picture.
    """
    files = unpacked(made.pptx([[text] for text in slides]))
    if order:
        listed = "".join(f'<p:sldId id="{300 + at}" r:id="rId{at}"/>' for at in order).encode()
        presentation = files["ppt/presentation.xml"]
        files["ppt/presentation.xml"] = re.sub(rb"(?<=<p:sldIdLst>).*(?=</p:sldIdLst>)", listed, presentation)
    for slide, (number, text) in (notes or {}).items():
        own = unpacked(made.pptx([[text]]))["ppt/slides/slide1.xml"]
        placeholder = b'<p:nvPr><p:ph type="body" idx="1"/></p:nvPr>'
        own = own.replace(b"<p:nvPr/>", placeholder).replace(b"p:sld ", b"p:notes ").replace(b"p:sld>", b"p:notes>")
        files[f"ppt/notesSlides/notesSlide{number}.xml"] = own
        files[f"ppt/slides/_rels/slide{slide}.xml.rels"] = relation("notesSlide", f"notesSlides/notesSlide{number}.xml")
        files[f"ppt/notesSlides/_rels/notesSlide{number}.xml.rels"] = relation("slide", f"slides/slide{slide}.xml")
        override = f'<Override PartName="/ppt/notesSlides/notesSlide{number}.xml" ContentType="{NOTES_TYPE}"/></Types>'
        files["[Content_Types].xml"] = files["[Content_Types].xml"].replace(b"</Types>", override.encode())
    for slide, text in (pictures or {}).items():
        name = f"ppt/slides/slide{slide}.xml"
        picture = f"<p:pic><p:nvPicPr><p:cNvPr id='9' name='p' descr='{text}'/></p:nvPicPr></p:pic></p:spTree>"
        files[name] = files[name].replace(b"</p:spTree>", picture.encode())
    return made.zipped(files)


def relation(kind: str, target: str) -> bytes:
    """The file of a relationship to another part."""
    return (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="rId1" Type="{RELATIONS}/{kind}" Target="../{target}"/></Relationships>'
    ).encode()


def slides(sandbox: Sandbox, data: bytes) -> dict[str, str]:
    """The lines of each slide, joined."""
    document = sandbox.extract("kb.formats.office", "x.pptx", data)
    lines = document.text.split("\n")
    starts = [place[0] - 1 for place in document.places]
    ends = [*starts[1:], len(lines)]
    return {
        place[1]: " / ".join(filter(None, lines[start:end]))
        for place, start, end in zip(document.places, starts, ends, strict=True)
    }


def test_notes_are_those_of_their_slide(sandbox: Sandbox) -> None:
    """The first notes of a file are often not those of its first slide."""
    data = deck(["Ponds", "Ducks", "Newts"], notes={3: (1, "Mention the crest."), 2: (2, "Show the drake.")})

    assert slides(sandbox, data) == {
        "slide 1": "Ponds",
        "slide 2": "Ducks / Notes: / Show the drake.",
        "slide 3": "Newts / Notes: / Mention the crest.",
    }


def test_slides_count_as_they_are_shown(sandbox: Sandbox) -> None:
    """A slide that was moved takes its notes and pictures along."""
    data = deck(
        ["Ponds", "Ducks", "Newts"],
        order=(3, 1, 2),
        notes={3: (1, "Mention the crest.")},
        pictures={1: "A mill behind willows"},
    )

    assert slides(sandbox, data) == {
        "slide 1": "Newts / Notes: / Mention the crest.",
        "slide 2": "Ponds / A mill behind willows",
        "slide 3": "Ducks",
    }


def test_more_than_ten_slides_in_reverse(sandbox: Sandbox) -> None:
    """Numbers are compared as numbers, and none is renamed twice."""
    data = deck([f"Text {at}" for at in range(1, 13)], order=range(12, 0, -1))

    assert slides(sandbox, data) == {f"slide {at}": f"Text {13 - at}" for at in range(1, 13)}


def test_slides_in_order_stay_as_they_are() -> None:
    """Nothing is written anew where file names and order agree, or where the list of slides is wrong."""
    for data in (deck(["Ponds", "Ducks"], notes={2: (2, "Quack.")}), deck(["Ponds"], order=(7,)), b"PK\3\4", b""):
        assert in_order(data) == data


def test_every_other_file_is_kept() -> None:
    """All references to what is renamed follow it."""
    data = deck(["Ponds", "Ducks"], order=(2, 1), notes={2: (7, "Quack.")})
    old, new = unpacked(data), unpacked(in_order(data))

    renamed = {"slide2.xml.rels": "slide1.xml.rels", "notesSlide7.xml": "notesSlide1.xml"}
    expected = {re.sub("slide2.xml.rels|notesSlide7.xml", lambda name: renamed[name[0]], name) for name in old}
    assert new.keys() == expected
    assert new["ppt/slides/slide1.xml"] == old["ppt/slides/slide2.xml"]
    assert b'"../notesSlides/notesSlide1.xml"' in new["ppt/slides/_rels/slide1.xml.rels"]
    assert b'"../slides/slide1.xml"' in new["ppt/notesSlides/_rels/notesSlide1.xml.rels"]
    assert b'"/ppt/notesSlides/notesSlide1.xml"' in new["[Content_Types].xml"]


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ("A heron on the weir", ["A heron on the weir"]),
        ("A heron.\n\nDescription automatically generated with low confidence", ["A heron."]),
        ("IMG_2041.jpg", []),
        ("C:\\pictures\\weir.png", []),
        ("Picture 3", []),
        ("", []),
    ],
)
def test_descriptions_that_say_something(described: str, said: list[str]) -> None:
    """Names of files and of nothing in particular are left out."""
    text = described.replace("\n", "&#10;")

    assert side_texts(deck(["Ponds"], pictures={1: text})).get(1, []) == said


_OLD = (
    '<p:cmLst xmlns:p="x"><p:cm authorId="0"><p:text>Ask the miller</p:text></p:cm>'
    '<p:cm authorId="7"><p:text> </p:text></p:cm></p:cmLst>'
)
_NEW_TEXT = "<n:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p><a:p><a:r><a:t>{}</a:t></a:r></a:p></n:txBody>".format
_NEW = (
    '<n:cmLst xmlns:n="x" xmlns:a="y"><n:cm authorId="{4F}"><n:replyLst><n:reply authorId="{50}">'
    f"{_NEW_TEXT('Done', 'today')}</n:reply></n:replyLst>{_NEW_TEXT('Ask the', 'miller')}</n:cm></n:cmLst>"
)


@pytest.mark.parametrize(
    ("comments", "authors", "said"),
    [
        (_OLD, ("commentAuthors", '<l><a id="0" name="Ana"/></l>'), ["Comment: Ana: Ask the miller"]),
        (_OLD, ("presProps", "<l/>"), ["Comment: Ask the miller"]),
        (
            _NEW,
            ("authors", '<l><a id="{4F}" name="Ana"/><a id="{50}" name="Bo"/></l>'),
            ["Comment: Ana: Ask the miller", "Comment: Bo: Done today"],
        ),
    ],
)
def test_comments_of_slides(comments: str, authors: tuple[str, str], said: list[str]) -> None:
    """Of the old form and the new one, with replies, each with its author."""
    files = unpacked(deck(["Ponds", "Ducks"]))
    files["ppt/slides/_rels/slide2.xml.rels"] = relation("comments", "comments/comment1.xml")
    files["ppt/comments/comment1.xml"] = comments.encode()
    files[f"ppt/{authors[0]}.xml"] = authors[1].encode()

    found = side_texts(made.zipped(files))

    assert (found[1], found[2]) == ([], said)


def test_a_damaged_presentation_has_no_descriptions() -> None:
    """The parser tells what is wrong with it."""
    assert side_texts(b"PK\3\4") == {}
