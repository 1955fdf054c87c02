"""Each format once: its text, its places and its properties."""

from __future__ import annotations

import io
import shutil
import zipfile
from typing import TYPE_CHECKING

import made_documents as made
import pytest

from kb.errors import DocumentError
from kb.formats.registry import REGISTRY
from kb.formats.rich_text import mended_rtf
from kb.sandbox.pool import Sandbox
from kb.sandbox.protocol import Extracted, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

# The module for HTML loads the encodings, which any process for documents has.
PDF = ("kb.formats.html", "kb.formats.pdf")
needs_extra = pytest.mark.skipif(
    not all(one.available for one in REGISTRY.rows if one.in_child), reason="the extra 'documents' is not installed"
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The sandbox as it is used."""
    with_limits = Sandbox(Limits(seconds=30, memory=300_000_000, text=2_000_000))
    yield with_limits
    with_limits.close()


def extracted(sandbox: Sandbox, name: str, data: bytes) -> Extracted:
    """The text of a file."""
    return sandbox.extract(REGISTRY.by_suffix[name[name.rindex(".") :]].reader, name, data)


def places(document: Extracted) -> list[str]:
    """The non-blank lines of the text, each after its place."""
    found = []
    for number, line in enumerate(document.text.split("\n"), 1):
        here = [place for place in document.places if place[0] <= number]
        if line:
            found.append(f"{here[-1][1]} {here[-1][2] or ''}".strip() + f": {line}" if here else line)
    return found


@needs_extra
def test_pdf(sandbox: Sandbox) -> None:
    """Pages, the sections of the table of contents, title, author and day."""
    data = made.pdf(
        [["1 Storage", "Vectors are kept in a local database."], ["2 Search", "They are found by their angle."]],
        title="On Vectors",
        author="Ada",
        toc={"Storage": 1, "Search": 2},
    )

    document = extracted(sandbox, "x.pdf", data)

    assert places(document) == [
        "p. 1: 1 Storage",
        "p. 1: Vectors are kept in a local database.",
        "p. 2: 2 Search",
        "p. 2: They are found by their angle.",
    ]
    assert [place[3] for place in document.places] == [1, 2]
    assert [heading[:2] for heading in document.headings] == [("Storage", 1), ("Search", 1)]
    assert (document.title, document.author, document.date) == ("On Vectors", "Ada", "2024-01-31")


@needs_extra
def test_word(sandbox: Sandbox) -> None:
    """Headings with levels, and the document's properties."""
    data = made.docx(
        [("Heading1", "Tools"), ("", "ChromaDB keeps vectors."), ("Heading2", "Locks"), ("", "One process owns it.")],
        title="Handbook",
        author="Ada Lovelace",
    )

    document = extracted(sandbox, "x.docx", data)

    assert document.text == "Tools\n\nChromaDB keeps vectors.\n\nLocks\n\nOne process owns it.\n"
    assert document.headings == [("Tools", 1, 1, 1), ("Locks", 2, 5, 5)]
    assert (document.title, document.author, document.date) == ("Handbook", "Ada Lovelace", "2024-01-31")


@needs_extra
def test_slides(sandbox: Sandbox) -> None:
    """Each slide is a place with its first line as heading."""
    document = extracted(sandbox, "x.pptx", made.pptx([["Welcome", "First words."], ["Plan", "Ship it on Monday."]]))

    assert places(document) == [
        "slide 1: Welcome",
        "slide 1: First words.",
        "slide 2: Plan",
        "slide 2: Ship it on Monday.",
    ]
    assert [heading[0] for heading in document.headings] == ["Welcome", "", "Plan"]


@needs_extra
def test_opendocument_slides(sandbox: Sandbox) -> None:
    """Slides of a LibreOffice presentation."""
    pages = "".join(
        f'<draw:page draw:name="page{at}"><draw:frame><draw:text-box><text:p>{words}</text:p></draw:text-box>'
        "</draw:frame></draw:page>"
        for at, words in enumerate(("Ducks swim.", "Ducks fly."), 1)
    )

    document = extracted(sandbox, "x.odp", made.opendocument("presentation", pages))

    assert places(document) == ["slide 1: Ducks swim.", "slide 2: Ducks fly."]


@needs_extra
def test_descriptions_of_opendocument_slides(sandbox: Sandbox) -> None:
    """A picture says what its description says."""
    picture = (
        '<draw:frame><draw:image/><svg:title xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0">'
        'weir.png</svg:title><svg:desc xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0">'
        "A heron on the weir</svg:desc></draw:frame>"
    )
    pages = f'<draw:page draw:name="page1">{picture}<text:p>Ponds</text:p></draw:page>'

    document = extracted(sandbox, "x.odp", made.opendocument("presentation", pages))

    assert places(document) == ["slide 1: Ponds", "slide 1: A heron on the weir"]


@needs_extra
def test_opendocument_text(sandbox: Sandbox) -> None:
    """Headings, paragraphs and the title in the document's properties."""
    body = '<text:h text:outline-level="1">Ponds</text:h><text:p>Ducks live here.</text:p>'

    document = extracted(sandbox, "x.odt", made.opendocument("text", body, title="Of Ducks"))

    assert document.text == "Ponds\n\nDucks live here.\n"
    assert (document.headings, document.title) == ([("Ponds", 1, 1, 1)], "Of Ducks")


@needs_extra
def test_sheets(sandbox: Sandbox) -> None:
    """Rows keep their numbers and name the column of each value."""
    data = made.xlsx(
        {
            "Ducks": {3: ["Year", "Count"], 4: [2019, 120], 6: [2020, 135.5]},
            "Notes": {1: ["only words here"]},
        }
    )

    document = extracted(sandbox, "x.xlsx", data)

    assert places(document) == [
        "Ducks: Ducks",
        "Ducks 3: Year | Count",
        "Ducks 4: Year: 2019 | Count: 120",
        "Ducks 6: Year: 2020 | Count: 135.5",
        "Notes: Notes",
        "Notes 1: only words here",
    ]
    assert [place[4] for place in document.places if place[2]] == [False, True, True, False]


@needs_extra
def test_web_page(sandbox: Sandbox) -> None:
    """The main text without menus, scripts and footers."""
    page = (
        b"<html><head><title>Of Ducks</title></head><body><nav><a href='/'>Home</a> <a href='/x'>Shop</a></nav>"
        b"<main><h1>Ducks</h1><p>Ducks are <b>birds</b>.</p><script>var x = 'hidden'</script></main>"
        b"<footer>Cookies</footer></body></html>"
    )

    document = extracted(sandbox, "x.html", page)

    assert document.text == "Ducks\n\nDucks are birds.\n"
    assert document.title == "Of Ducks"


def test_book(sandbox: Sandbox) -> None:
    """Chapters are places."""
    document = extracted(
        sandbox, "x.epub", made.epub([("Call me Ishmael", "Some years ago."), ("The Spouter", "An inn.")])
    )

    assert places(document) == [
        "chapter: Call me Ishmael: Call me Ishmael",
        "chapter: Call me Ishmael: Some years ago.",
        "chapter: The Spouter: The Spouter",
        "chapter: The Spouter: An inn.",
    ]
    assert (document.title, document.author) == ("A Book", "Ada")


@needs_extra
def test_rich_text(sandbox: Sandbox) -> None:
    """The text of an RTF file."""
    assert extracted(sandbox, "x.rtf", rb"{\rtf1\ansi Ducks \b swim\b0 .\par}").text == "Ducks swim.\n"


@needs_extra
def test_comments_and_hyphens_of_rtf(sandbox: Sandbox) -> None:
    """Comments follow the text, which they do not interrupt; a hyphen that does not break is one."""
    comment = (
        rb"{\*\atnid AB}{\*\atnauthor Ada}\chatn {\*\annotation{\*\atndate 1}\pard{\chatn }{On \{deep\} wells\_{x}}}"
    )
    data = rb"{\rtf1\ansi A self\_made " + comment + rb"pump \\_.\par {\b Next}.}"

    assert extracted(sandbox, "x.rtf", data).text == "A self-made pump \\_.\n\nNext.\n\nOn {deep} wells-x\n"


@needs_extra
def test_words_of_several_runs_of_powerpoint(sandbox: Sandbox) -> None:
    """A run ends where the form changes, or where the spelling was checked; a line break divides words."""
    with zipfile.ZipFile(io.BytesIO(made.pptx([["Mills", "Gross|mutter |bakes|, and#so| on"]]))) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    slide = parts["ppt/slides/slide1.xml"].replace("|", "</a:t></a:r>\n<a:r><a:rPr b='1' dirty='0'/><a:t>")
    parts["ppt/slides/slide1.xml"] = slide.replace("#", "</a:t></a:r><a:br/><a:r><a:t>")

    assert extracted(sandbox, "x.pptx", made.zipped(parts)).text == "Mills\n\nGrossmutter bakes, and\n\nso on\n"


@needs_extra
def test_spaces_of_opendocument(sandbox: Sandbox) -> None:
    """Word writes a space at the end of a part of a sentence as an element."""
    body = "<text:p><text:s/>The<text:s/>mill <text:span>turns<text:s text:c='2'/></text:span><text:s/>now.</text:p>"

    assert extracted(sandbox, "x.odt", made.opendocument("text", body)).text.split() == ["The", "mill", "turns", "now."]


@needs_extra
@pytest.mark.parametrize(
    ("written", "said"),
    [
        (rb"{\b W}orld Gro{\i\fs24 \'df}e a{\b b}\u252?c", "World Große abüc"),
        (rb"{\b self}-made {\b one} two {\b one}, two", "self-made one two one, two"),
        (rb"{\f0\fs24 Gross}{\b0 mutter} H{\sub 2}O", "Grossmutter H2O"),
        (rb"text{\footnote Below}more", "textmore\n\nBelow"),
    ],
)
def test_words_of_several_groups_of_rtf(sandbox: Sandbox, written: bytes, said: str) -> None:
    """A word goes on behind a group with formatted text, and behind the mark of a note."""
    assert extracted(sandbox, "x.rtf", rb"{\rtf1\ansi " + written + b"}").text == f"{said}\n"


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (rb"{\rtf1 a\_b {\*\annotation c", rb"{\rtf1 a\_b {\*\annotation c"),
        (rb"{\rtf1 a{\pict\bin3 }}}\_} b\_c}", rb"{\rtf1 a{\pict\bin3 }}}-} b-c}"),
        (rb"{\rtf1 {\*\annotation a}{\*\annotation {b}}c}", rb"{\rtf1 c\par{ a}\par{ {b}}}"),
        (rb"}\_{", rb"}\_{"),
    ],
)
def test_mended_rtf(data: bytes, kept: bytes) -> None:
    """Braces that are escaped, or in the data of pictures, are no groups; what is not closed stays as it is."""
    assert mended_rtf(data) == kept


def test_mail(sandbox: Sandbox) -> None:
    """Headers, the body as text, the names of attachments; encoded words are decoded."""
    mail = (
        b"From: Ada <ada@example.com>\r\nTo: Bob <bob@example.com>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
        b"Date: Tue, 3 Nov 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>The key is under the mat.</p><style>p{}</style>\r\n"
        b"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=plan.pdf\r\n\r\n"
        b"x\r\n--b--\r\n"
    )

    document = extracted(sandbox, "x.eml", mail)

    assert [place[1] for place in document.places] == ["mail: Grüße, 2026-11-03"]
    assert "The key is under the mat.\n\nAttachments: plan.pdf\n" in document.text
    assert "From: Ada <ada@example.com>\nTo: Bob" in document.text
    assert (document.title, document.date) == ("Grüße", "2026-11-03")


def test_mailbox(sandbox: Sandbox) -> None:
    """Each mail of a mailbox is separate, and a quoted From line begins no new mail."""
    box = (
        b"From ada@example.com Tue Nov  3 10:00:00 2026\nSubject: One\nFrom: Ada <a@b.c>\n\nFirst.\n>From here on\n\n"
        b"From bob@example.com Wed Nov  4 10:00:00 2026\nSubject: Two\nDate: Wed, 4 Nov 2026 10:00:00 +0000\n\n"
        b"Second.\n"
    )

    document = extracted(sandbox, "x.mbox", box)

    assert places(document) == [
        "mail: One: One",
        "mail: One: From: Ada <a@b.c>",
        "mail: One: First.",
        "mail: One: From here on",
        "mail: Two, 2026-11-04: Two",
        "mail: Two, 2026-11-04: Date: Wed, 04 Nov 2026 10:00:00 +0000",
        "mail: Two, 2026-11-04: Second.",
    ]


def test_notebook(sandbox: Sandbox) -> None:
    """Cells are numbered as in Jupyter; empty ones are left out; output belongs to its cell."""
    data = made.notebook(
        ("markdown", "# Title\n\nWhy we do it.\n"), ("code", ""), ("code", "print(1)", "one\n"), ("raw", "as it is")
    )

    document = extracted(sandbox, "x.ipynb", data)

    assert places(document) == [
        "cell 1: Title",
        "cell 1: Why we do it.",
        "cell 3: print(1)",
        "cell 3: one",
        "cell 4: as it is",
    ]
    assert document.headings == [("Title", 1, 1, 1)]


@needs_extra
@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("x.pdf", b"%PDF-1.4 and no more", "is damaged: it is not a PDF that can be opened"),
        ("x.pdf", made.pdf([[]]), "has no text, only images"),
        ("x.docx", b"PK\x03\x04 and no more", "seems to be damaged"),
        ("x.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "is encrypted"),
        ("x.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "is encrypted"),
        ("x.odt", made.opendocument("text", "", manifest="<encryption-data/>"), "is encrypted"),
        ("x.epub", made.zipped({"META-INF/rights.xml": "<rights/>"}), "is protected against copying"),
        ("x.ipynb", b"{", "is not a notebook"),
        ("x.ipynb", b"[" * 100_000, "is nested too deeply"),
        ("x.mbox", b"no mail", "is not a mailbox"),
        ("x.eml", b"no mail\n\nat all", "is not a mail"),
    ],
)
def test_files_without_text_give_reason(sandbox: Sandbox, name: str, data: bytes, reason: str) -> None:
    """Damaged, encrypted, protected and empty files."""
    with pytest.raises(DocumentError) as caught:
        extracted(sandbox, name, data)

    assert reason in caught.value.message


def bomb_of(said: int) -> bytes:
    """A container with a file of a byte, of which its list says that it has more."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" ")
        archive.infolist()[0].file_size = said
    return data.getvalue()


@needs_extra
def test_bombs_are_not_unpacked(sandbox: Sandbox) -> None:
    """What a container would take in memory is known before it does."""
    with pytest.raises(DocumentError, match="unpacks to 301 MB"):
        extracted(sandbox, "x.docx", bomb_of(301_000_000))


@needs_extra
@pytest.mark.slow
def test_whole_bombs_are_not_unpacked(sandbox: Sandbox) -> None:
    """One that has what its list says."""
    with pytest.raises(DocumentError, match="unpacks to 301 MB"):
        extracted(sandbox, "x.docx", made.zipped({"word/document.xml": b" " * 301_000_000}))


@needs_extra
def test_entities_are_neither_expanded_nor_fetched(sandbox: Sandbox) -> None:
    """Neither a billion laughs nor a file outside of the document is in the text."""
    laughs = "".join(f'<!ENTITY a{at} "{f"&a{at - 1};" * 10}">' for at in range(1, 10))
    doctype = f'<!DOCTYPE x [<!ENTITY a0 "laugh"><!ENTITY file SYSTEM "file:///etc/passwd">{laughs}]>'
    content = (
        f"{doctype}<w:document xmlns:w='w'><w:body><w:p><w:r><w:t>&a9;&file;</w:t></w:r></w:p></w:body></w:document>"
    )
    good = made.docx([("", "x")])
    data = made.zipped({"word/document.xml": content, "[Content_Types].xml": "<Types/>"})

    assert extracted(sandbox, "x.docx", good).text == "x\n"
    text = extracted(sandbox, "x.docx", data).text
    assert (text.count("laugh"), text.count("root:"), len(text) < 100) == (0, 0, True)


@needs_extra
def test_invisible_characters_are_removed(sandbox: Sandbox) -> None:
    """Zero-width, direction and tag characters are not embedded."""
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "secret")
    data = made.docx([("", f"sa\u200bfe\u202e {hidden}\ufb01ne")])

    assert extracted(sandbox, "x.docx", data).text == "safe fine\n"


needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="Tesseract is not installed")


def scanned() -> bytes:
    """A PDF page that is an image of words."""
    import pypdfium2

    page = pypdfium2.PdfDocument(made.pdf([["The lighthouse keeper wrote every evening."]]))[0]
    pixels = page.render(scale=2, grayscale=True)
    across, down = pixels.width, pixels.height
    rows = b"".join(bytes(pixels.buffer)[at * pixels.stride : at * pixels.stride + across] for at in range(down))
    image = (
        f"<< /Type /XObject /Subtype /Image /Width {across} /Height {down} /ColorSpace /DeviceGray "
        f"/BitsPerComponent 8 /Length {len(rows)} >>\nstream\n"
    ).encode() + rows
    paint = b"595 0 0 842 0 0 cm /I Do"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources <</XObject <</I 5 0 R>>>> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(paint), paint),
        image + b"\nendstream",
    ]
    body = b"%PDF-1.4\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % (at, one) for at, one in enumerate(objects, 1))
    return body + b"trailer << /Root 1 0 R >>\n%%EOF\n"


@needs_extra
@needs_tesseract
def test_scanned_pages_are_read_with_ocr_enabled(sandbox: Sandbox) -> None:
    """Without OCR the reason is that there is no text; with it, the page has its visible words."""
    with_ocr = Sandbox(Limits(seconds=30, ocr="eng"), PDF)
    try:
        document = extracted(with_ocr, "x.pdf", scanned())
    finally:
        with_ocr.close()

    assert places(document) == ["p. 1: The lighthouse keeper wrote every evening."]
    with pytest.raises(DocumentError, match="has no text, only images"):
        extracted(sandbox, "x.pdf", scanned())


@needs_extra
def test_ocr_without_tesseract_gives_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """If Tesseract is not installed, the reason of a scan says so."""
    monkeypatch.setenv("PATH", "/nowhere")
    with_ocr = Sandbox(Limits(seconds=30, ocr="eng"), PDF)
    try:
        with pytest.raises(DocumentError, match="has no text, only images, and Tesseract is not installed"):
            extracted(with_ocr, "x.pdf", scanned())
    finally:
        with_ocr.close()
