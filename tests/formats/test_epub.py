"""E-books: their pages in order, under the chapters of the table of contents."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZipFile

import made_documents as made
import pytest

from kb.formats import epub
from kb.formats.builder import TextBuilder, Unreadable
from kb.sandbox.protocol import Extracted, Limits

CONTAINER, PACKAGE, ONE = "META-INF/container.xml", "OEBPS/b.opf", "OEBPS/text/one a.xhtml"
XHTML = '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body>{}</body></html>'
METADATA = (
    '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Heron</dc:title>'
    "<dc:creator>Ana Weir</dc:creator><dc:creator>Bo Reed</dc:creator><dc:subject>birds</dc:subject>"
    "<dc:language>en-GB</dc:language><dc:date>2019-05-06</dc:date></metadata>"
)
NAV = (
    '<html><body><nav epub:type="toc" xmlns:epub="x"><ol><li><a href="text/one%20a.xhtml">The mill</a></li>'
    '<li><a href="text/two.xhtml#b">The <em>weir</em></a></li></ol></nav></body></html>'
)
NCX = (
    '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>The mill</text></navLabel>'
    '<content src="text/one%20a.xhtml"/></navPoint><navPoint><navLabel><text>The weir</text></navLabel>'
    '<content src="text/two.xhtml#b"/></navPoint></navMap></ncx>'
)
CONTENTS = {
    "nav": ('<item id="n" href="n.xhtml" properties="nav" media-type="application/xhtml+xml"/>', "n.xhtml", NAV),
    "ncx": ('<item id="n" href="n.ncx" media-type="application/x-dtbncx+xml"/>', "n.ncx", NCX),
    "none": ("", "unused", ""),
}


def book(one: str, two: str, contents: str = "none", *, leave_out: str = "") -> bytes:
    """An e-book of two pages, which the manifest lists in another order."""
    item, name, text = CONTENTS[contents]
    page = '<item id="{}" href="{}" media-type="application/xhtml+xml"/>'.format
    opf = (
        f'<package xmlns="http://www.idpf.org/2007/opf">{METADATA}<manifest>{page("b", "text/two.xhtml")}'
        f'{page("a", "text/one%20a.xhtml")}{item}<item id="p" href="p.png" media-type="image/png"/></manifest>'
        '<spine><itemref idref="n"/><itemref idref="a"/><itemref idref="b"/><itemref idref="gone"/></spine></package>'
    )
    files = {
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OEBPS/b.opf"/></rootfiles></container>',
        "OEBPS/b.opf": opf,
        "OEBPS/text/one a.xhtml": XHTML.format(one),
        "OEBPS/text/two.xhtml": XHTML.format(two),
        f"OEBPS/{name}": text,
    }
    data: bytes = made.zipped({name: text for name, text in files.items() if name != leave_out})
    return data


def read(data: bytes) -> Extracted:
    """What is read of a book."""
    builder = TextBuilder(1_000_000)
    epub.extract("x.epub", data, builder, Limits())
    return builder.build()


def member(data: bytes, name: str) -> str:
    """The text of a file in a book."""
    with ZipFile(BytesIO(data)) as archive:
        return archive.read(name).decode()


def changed(data: bytes, name: str, text: str) -> bytes:
    """A book with another text in a file."""
    with ZipFile(BytesIO(data)) as archive:
        files = {one: archive.read(one).decode() for one in archive.namelist()}
    made_again: bytes = made.zipped(files | {name: text})
    return made_again


def places(found: Extracted) -> list[tuple[int, str]]:
    """The lines at which places begin."""
    return [(line, name) for line, name, *_ in found.places]


@pytest.mark.parametrize("contents", ["nav", "ncx"])
def test_contents_name_pages_without_headings(contents: str) -> None:
    """The table of contents itself is not text of the book."""
    found = read(book("<p>The heron waits.</p>", "<p>The water falls.</p>", contents))

    assert found.text == "The heron waits.\n\nThe water falls.\n"
    assert places(found) == [(1, "chapter: The mill"), (3, "chapter: The weir")]


def test_headings_name_chapters() -> None:
    """The highest headings of which there are several begin chapters, wherever they stand in a page."""
    one = "<h1>The Heron</h1><h2>Morning</h2><p>It waits.</p><h3>Later</h3><p>It stays.</p><h2>Noon</h2><p>It eats.</p>"
    found = read(book(one, "<h2>Evening</h2><p>It sleeps.</p>", "nav"))

    lines = found.text.split("\n")
    assert [lines[line - 1] for line, _ in places(found)] == ["The Heron", "Morning", "Noon", "Evening"]
    assert [name for _, name in places(found)][1:] == ["chapter: Morning", "chapter: Noon", "chapter: Evening"]


def test_properties() -> None:
    """Title, authors, subjects, language and day are those of the package."""
    found = read(book("<p>a</p>", "<p>b</p>"))

    assert (found.title, found.author, found.date) == ("The Heron", "Ana Weir, Bo Reed", "2019-05-06")
    assert (found.tags, found.language) == (["birds"], "en")


def test_notes_are_read_and_their_marks_are_no_part_of_words() -> None:
    """Notes stand in asides, which a web page has around its text; readings are put behind their paragraph."""
    one = '<p>It waits<a epub:type="noteref" href="#n">1</a> by the <ruby>\u5ddd<rt>kawa</rt></ruby>.</p>'
    two = '<p>It falls<sup><a href="#n">2</a></sup>.</p><aside epub:type="footnote" id="n"><p>All day.</p></aside>'

    assert read(book(one, two)).text == "It waits 1 by the \u5ddd. (kawa)\n\nIt falls 2.\n\nAll day.\n"


def test_missing_page_is_told() -> None:
    """The other pages are read."""
    found = read(book("<p>a</p>", "<p>b</p>", leave_out="OEBPS/text/one a.xhtml"))

    assert (found.text, found.unread) == ("b\n", ["the page OEBPS/text/one a.xhtml, which is missing or damaged"])


def test_damaged_page_is_told() -> None:
    """The other pages are read; a page that cannot be unpacked is one thing, one with a wrong checksum another."""
    data = book("<p>The heron waits by the weir.</p>" * 20, "<p>b</p>")
    begin = data.index(b"one a.xhtml") + len("one a.xhtml")

    for at in range(begin, begin + 30):
        found = read(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        assert (found.text, found.unread) == ("b\n", [f"the page {ONE}, which is missing or damaged"])


def test_damaged_contents_are_told() -> None:
    """They only name chapters."""
    found = read(changed(book("<p>a</p>", "<p>b</p>", "nav"), "OEBPS/n.xhtml", "no XML"))

    assert found.text == "a\n\nb\n"
    assert [one.partition(",")[0] for one in found.unread] == ["the table of contents"]


def test_only_the_table_of_contents_names_chapters() -> None:
    """Not the list of printed pages, nor that of the parts of the book, which stand beside it."""
    others = "".join(
        f'<nav epub:type="{kind}"><ol><li><a href="text/{page}">{title}</a></li></ol></nav>'
        for kind, page, title in [("page-list", "two.xhtml", "23"), ("landmarks", "one%20a.xhtml", "Begin reading")]
    )
    contents = '<nav epub:type="toc"><ol><li><a href="text/one%20a.xhtml">The mill</a></li></ol></nav>'
    found = read(changed(book("<p>a</p>", "<p>b</p>", "nav"), "OEBPS/n.xhtml", f"<html>{others}{contents}</html>"))

    assert places(found) == [(1, "chapter: The mill")]


def test_page_that_is_listed_twice_is_read_once() -> None:
    """Otherwise a small file could take any time."""
    data = book("<p>a</p>", "<p>b</p>")
    spine = member(data, PACKAGE).replace('<itemref idref="a"/>', '<itemref idref="a"/>' * 3)

    assert read(changed(data, PACKAGE, spine)).text == "a\n\nb\n"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('media-type="text/x-oeb1-document"', "a\n\nb\n"),
        ('media-type="Application/XHTML+XML"', "a\n\nb\n"),
        ("", "a\n\nb\n"),
        ('media-type="image/svg+xml"', ""),
    ],
)
def test_types_of_pages(written: str, text: str) -> None:
    """Old books have another type; without one, the name tells."""
    data = book("<p>a</p>", "<p>b</p>")
    package = member(data, PACKAGE).replace('media-type="application/xhtml+xml"', written)

    assert read(changed(data, PACKAGE, package)).text == text


def test_path_of_the_package_may_have_dots() -> None:
    """It is a path like others."""
    data = book("<p>a</p>", "<p>b</p>")
    container = member(data, CONTAINER).replace(PACKAGE, f"./x/../{PACKAGE}")

    assert read(changed(data, CONTAINER, container)).text == "a\n\nb\n"


@pytest.mark.parametrize(
    "data",
    [
        b"PK no archive",
        made.zipped({"a.txt": "text"}),
        book("", "", leave_out="OEBPS/b.opf"),
        made.zipped({"META-INF/container.xml": "<container/>"}),
    ],
    ids=["no archive", "no container", "no package", "no root file"],
)
def test_no_book(data: bytes) -> None:
    """What is no e-book is named so."""
    with pytest.raises(Unreadable, match="is not an e-book"):
        read(data)
