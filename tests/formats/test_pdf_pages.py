"""Words divided at the ends of lines, what is written on pages, and titles that programs made up."""

# ruff: noqa: E501 - the objects of a PDF in one piece
from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from kb.formats.builder import TextBuilder
from kb.formats.pdf import join_divided_words, words_of
from kb.formats.registry import installed
from kb.sandbox.protocol import Extracted, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

needs_pdfium = pytest.mark.skipif(not installed("pypdfium2"), reason="the extra 'documents' is not installed")


def pdf(
    pages: list[list[tuple[int, str]]], *objects: str, title: str = "", sizes: Mapping[str, int] | None = None
) -> bytes:
    """A PDF of pages with lines at heights; further objects are the annotations of the first page, from number 10.

    Lines have the sizes given by their text, else 11 points.
    """
    points = sizes or {}
    body: dict[int, str] = {3: "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>", 4: f"<</Title({title})>>"}
    numbers = count(10 + len(objects))
    kids = []
    for at, lines in enumerate(pages):
        text = "".join(f"BT /F {points.get(said, 11)} Tf 60 {height} Td ({said}) Tj ET\n" for height, said in lines)
        content, page = next(numbers), next(numbers)
        notes = " ".join(f"{10 + number} 0 R" for number in range(len(objects))) if not at else ""
        body[content] = f"<</Length {len(text)}>>stream\n{text}endstream"
        body[page] = (
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {content} 0 R/Resources<</Font<</F 3 0 R>>>>"
            f"/Annots[{notes}]>>"
        )
        kids.append(f"{page} 0 R")
    body |= {10 + at: made for at, made in enumerate(objects)}
    fields = " ".join(f"{10 + at} 0 R" for at, made in enumerate(objects) if "/Widget" in made)
    body[1] = f"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[{fields}]>>>>"
    body[2] = f"<</Type/Pages/Count {len(kids)}/Kids[{' '.join(kids)}]>>"
    made, places = b"%PDF-1.7\n", {}
    for number, said in sorted(body.items()):
        places[number] = len(made)
        made += f"{number} 0 obj\n{said}\nendobj\n".encode("latin-1")
    table = "".join(
        f"{places[number]:010} 00000 n \n" if number in places else "0000000000 00000 f \n"
        for number in range(1, max(body) + 1)
    )
    size = max(body) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<</Size {size}/Root 1 0 R/Info 4 0 R>>\nstartxref\n{len(made)}\n%%EOF"
    return made + end.encode()


def extracted(data: bytes) -> Extracted:
    """What comes out of a PDF."""
    from kb.formats.pdf import extract

    builder = TextBuilder(100_000)
    extract("x.pdf", data, builder, Limits())
    return builder.build()


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("COVID\x0219", "", "COVID-19"),
        ("A\x02levels and e\ufffe\r\nmail", "", "A-levels and e-mail"),
        ("Smith\x02Jones", "", "Smith-Jones"),
        ("state-of-the\x02art", "", "state-of-the-art"),
        ("docu\x02mentation", "the Documentation", "documentation"),
        ("well\x02known", "a well-known maker", "well-known"),
        ("price\x02determining", "", "pricedetermining (price-determining)"),
        ("con\u2010\r\ntainers", "a container, containers", "containers"),
        ("state\u2010of\u2010\nthe\u2010art", "", "state\u2010of-the\u2010art"),
        ("Baden\u2010\nBaden", "", "Baden\u2010\nBaden"),
        ("Haupt\x02und Nebenstraße", "", "Haupt- und Nebenstraße"),
        ("col\x02or", "a color", "color"),
        ("jo\x02doe@example.org", "", "jo-doe@example.org"),
        ("https://example.org/long\x02path", "", "https://example.org/long-path"),
        ("my\x02notes.txt or a\x02way. Then", "", "my-notes.txt or a-way. Then"),
        ("on pages 10-\n12 of it", "", "on pages 10-12 of it"),
        ("of the years 1999\u2013\r\n2004", "", "of the years 1999\u20132004"),
        ("on A4-\nPapier", "", "on A4-Papier"),
        ("2019-\n2020-\n", "", "2019-\n2020-\n"),
        ("THE INTER\x02NATIONAL RULES", "International rules", "THE INTERNATIONAL RULES"),
        ("AT BADEN\x02BADEN", "Baden-Baden", "AT BADEN-BADEN"),
        ("FORM AB\x02CD", "", "FORM AB-CD"),
    ],
)
def test_divided_words(text: str, words: str, said: str) -> None:
    """A typed hyphen stays, one that fills the line goes; in doubt both forms can be found."""
    assert join_divided_words(text, [False, False], words_of([words])) == said


@needs_pdfium
def test_divided_word_is_not_joined_to_footer() -> None:
    """A last line that ends with a hyphen has nothing to do with the number of the page far below it."""
    found = extracted(pdf([[(750, "It settled on the bran-"), (40, "Page 1")], [(750, "In May it left.")]]))

    assert "bran-\nPage 1" in found.text


SILT = "The silt that a river carries to its mouth is largely "


@needs_pdfium
@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        # The rest of the document knows the word, or its hyphen, or neither.
        (["indepen-"], ["dent of independent tides."], ["independent", "of independent tides."]),
        (["rain-"], ["fed, as rain-fed rivers are."], ["rain-fed,", "as rain-fed rivers are."]),
        (["sea-"], ["bound."], ["seabound (sea-bound)."]),
        # Page numbers and running titles stand between.
        (["indepen-", "12"], ["On deltas 13", "dent.", "It is independent."], ["independent.", "12", "On deltas 13"]),
        (
            ["indepen-", "- iv -"],
            ["Deltas, ch. 2", "dent."],
            ["independent (indepen-dent).", "- iv -", "Deltas, ch. 2"],
        ),
        # No word goes on there.
        (["fine-"], ["Grained silt."], ["fine-", "Grained silt."]),
        (["fine-"], ["und grobkörnig."], ["fine-", "und grobkörnig."]),
        (["10-"], ["fold."], ["10-", "fold."]),
        (["indepen-", "1 See below."], ["dent."], ["indepen-", "1 See below.", "dent."]),
        (["indepen-"], ["A new chapter", "dent."], ["indepen-", "A new chapter", "dent."]),
    ],
)
def test_words_divided_between_pages(first: list[str], second: list[str], said: list[str]) -> None:
    """They are joined as those between lines are, on the first page."""
    first = [f"{SILT}{first[0]}", *first[1:]]
    pages = [["Deltas, ch. 1", *first], second, ["On deltas 15", "Deltas, ch. 3"]]
    found = extracted(pdf([[(750 - 60 * at, line) for at, line in enumerate(lines)] for lines in pages]))

    lines = [line for line in found.text.replace(SILT, "").split("\n") if line]
    assert lines[1 : 1 + len(said)] == said
    assert [place[1] for place in found.places if place[1] != "p. 2"] == ["p. 1", "p. 3"]


@needs_pdfium
def test_forms_and_notes() -> None:
    """Values with the names of their fields, free text, notes and comments are text of their page; hidden ones and passwords are not."""
    box = "/Rect[60 600 300 620]"
    found = extracted(
        pdf(
            [[(750, "A paper on deltas.")], [(750, "Silt.")]],
            f"<</Type/Annot/Subtype/Widget/FT/Tx/T(name)/V(Wilhelmina){box}>>",
            f"<</Type/Annot/Subtype/Widget/FT/Btn/T(member)/TU(Lifetime member)/V/Off/AS/Off{box}>>",
            f"<</Type/Annot/Subtype/Highlight/Contents(the sturgeon argument)/QuadPoints[60 620 300 620 60 600 300 600]{box}>>",
            f"<</Type/Annot/Subtype/FreeText/Contents(heron colony)/DA(/F 11 Tf){box}>>",
            f"<</Type/Annot/Subtype/Text/Contents(a secret)/F 2{box}>>",
            f"<</Type/Annot/Subtype/Widget/FT/Ch/T(damage)/Ff 131072/Opt[[(1)(Hail)][(2)(Flood)]]/V(1){box}>>",
            f"<</Type/Annot/Subtype/Widget/FT/Ch/T(crops)/Ff 2097152/Opt[(Oats)(Rye)(Beans)]/V[(Oats)(Beans)]{box}>>",
            f"<</Type/Annot/Subtype/Widget/FT/Ch/T(other)/Ff 393216/Opt[(Oats)]/V(Spelt){box}>>",
            f"<</Type/Annot/Subtype/Widget/FT/Tx/T(code)/Ff 8192/V(opensesame){box}>>",
        )
    )

    assert [line for line in found.text.split("\n") if line] == [
        "A paper on deltas.",
        "name: Wilhelmina",
        "the sturgeon argument",
        "heron colony",
        "damage: Hail",
        "crops: Oats, Beans",
        "other: Spelt",
        "Silt.",
    ]
    assert [place[1] for place in found.places] == ["p. 1", "p. 2"]


@needs_pdfium
@pytest.mark.parametrize(
    "title",
    [
        "4711", "untitled", "Microsoft Word - deltas.doc", "final version 2.docx", "C:\\\\x\\\\y", "Microsoft PowerPoint",
        "Layout 1", "about:blank", "doi:10.1000/4711", "Full page photo", "Unbenanntes Dokument", "Sans titre",
        "Apresentacao do PowerPoint", "<4D6963726F736F667420576F7264>", "https://example.org/deltas",
        "Scanned by CamScanner",
    ],
)  # fmt: skip
def test_generated_title_is_replaced(title: str) -> None:
    """Where the property is junk the first line is the title; one that means something is kept."""
    assert extracted(pdf([[(750, "On river deltas"), (736, "Silt settles.")]], title=title)).title == "On river deltas"


@needs_pdfium
@pytest.mark.parametrize(
    "title", ["Print money", "Microsoft Word for writers", "Documents of the mill", "Slides of 1990"]
)
def test_title_that_means_something_is_kept(title: str) -> None:
    """Though it begins like one that a program makes up."""
    assert extracted(pdf([[(750, "On river deltas"), (736, "Silt settles.")]], title=title)).title == title


FORM = ["UNITED STATES", "FORM 7", "For the quarter that ended in June", "Ponds and Sons", "(Name of the company)"]


@needs_pdfium
@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"Ponds and Sons": 20, "FORM 7": 16}, "Ponds and Sons"),
        ({"Ponds and Sons": 16, "FORM 7": 16}, "FORM 7 Ponds and Sons"),
        ({"Ponds and Sons": 16, "(Name of the company)": 16}, "Ponds and Sons (Name of the company)"),
        ({"UNITED STATES": 16, "For the quarter that ended in June": 16, "(Name of the company)": 16}, "UNITED STATES"),
        ({"Ponds and Sons": 12}, "UNITED STATES"),
        ({}, "UNITED STATES"),
    ],
)
def test_title_in_the_largest_type(sizes: dict[str, int], expected: str) -> None:
    """A generated title is replaced by what stands in the largest type, if that is larger than the text."""
    lines = [
        *((760 - 20 * at, said) for at, said in enumerate(FORM)),
        *((600 - 14 * at, "Silt settles.") for at in range(20)),
    ]

    assert extracted(pdf([lines], title="0004711-22-000070", sizes=sizes)).title == expected


@needs_pdfium
def test_numbers_in_large_type_are_no_title() -> None:
    """A page number or a list of letters is not what a document is called."""
    lines = [(760, "12"), (700, "On river deltas"), (680, "Silt settles.")]

    assert extracted(pdf([lines], title="untitled", sizes={"12": 40})).title == "On river deltas"


@needs_pdfium
def test_meaningful_titles_are_kept() -> None:
    """A title of the document's own is kept; without any property the file's name is left to say it."""
    assert (
        extracted(pdf([[(750, "Page head")]], title="On 4711 and 2.docx in use")).title == "On 4711 and 2.docx in use"
    )
    assert extracted(pdf([[(750, "Page head")]])).title == ""
