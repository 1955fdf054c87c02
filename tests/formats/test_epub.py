"""E-books: their pages in order, under the chapters of the table of contents."""

from __future__ import annotations

import made_documents as made
import pytest

from kb.formats import epub
from kb.formats.builder import TextBuilder, Unreadable
from kb.sandbox.protocol import Extracted, Limits

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

    assert (found.text, found.unread) == ("b\n", ["the page OEBPS/text/one a.xhtml, which is missing"])


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
