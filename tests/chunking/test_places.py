"""Passages stay within their page, slide or cell, and say where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from kb.chunking.split import Chunker, place_of
from kb.records import Block, Document, Heading, Place

if TYPE_CHECKING:
    from collections.abc import Sequence


class Words:
    """Counts words, as a stand-in for a tokenizer."""

    limit = 64

    def count(self, texts: Sequence[str]) -> list[int]:
        """The words of each text, and two for what a model adds."""
        return [len(text.split()) + 2 for text in texts]


SHEET = (
    Place(1, "Sheet1"),
    Place(2, "Sheet1", row=4),
    Place(3, "Sheet1", row=5, soft=True),
    Place(4, "Sheet1", row=9, soft=True),
)


def test_rows_are_named_from_first_to_last() -> None:
    """One row is named alone, several by their ends, and the name of a sheet without any."""
    assert place_of(SHEET, 3, 3).name == "Sheet1 row 5"
    assert place_of(SHEET, 2, 4).name == "Sheet1 rows 4-9"
    assert place_of(SHEET, 1, 1).name == "Sheet1"
    assert place_of((), 1, 2) == Place(1)
    assert place_of((Place(1, row=7),), 1, 1).name == "row 7"


def test_rows_share_passage_and_pages_do_not() -> None:
    """A passage runs on into the next row and never into the next page."""
    sheet = Document(
        "Sheet1\na\nb\nc\n", "sheet", "t", places=SHEET, blocks=tuple(Block("table", n, n) for n in (2, 3, 4))
    )
    pages = Document("a\nb\nc\n", "pdf", "t", places=(Place(1, "p. 1", page=1), Place(3, "p. 2", page=2)))
    chunker = Chunker(Words(), 64)

    assert [(one.text, one.place) for one in chunker.split(sheet)] == [
        ("Sheet1", "Sheet1"),
        ("a\nb\nc", "Sheet1 rows 4-9"),
    ]
    assert [(one.text, one.place, one.page) for one in chunker.split(pages)] == [("a\nb", "p. 1", 1), ("c", "p. 2", 2)]


def test_section_continues_on_next_page() -> None:
    """What follows on the next page is told the same headings; a heading alone at the foot of a page is left to it."""
    document = Document(
        "Intro\ntext\nLast\nmore\n",
        "pdf",
        "t",
        headings=(Heading("Intro", 1, 1, 1), Heading("Last", 1, 3, 3)),
        places=(Place(1, "p. 1", page=1), Place(4, "p. 2", page=2)),
    )

    passages = Chunker(Words(), 64).split(document)

    assert [(one.text, one.heading, one.page) for one in passages] == [
        ("Intro\ntext", ("Intro",), 1),
        ("more", ("Last",), 2),
    ]


def test_empty_heading_ends_headings_before() -> None:
    """A slide without a title is not told the title of the slide before it."""
    document = Document(
        "One\ntext\nmore\n",
        "slides",
        "t",
        headings=(Heading("One", 1, 1, 1), Heading("", 1, 3, 2)),
        places=(Place(1, "slide 1"), Place(3, "slide 2")),
    )

    assert [one.heading for one in Chunker(Words(), 64).split(document)] == [("One",), ()]


@given(st.lists(st.tuples(st.text("ab \n", max_size=400), st.booleans()), min_size=1, max_size=8))
def test_passage_does_not_cross_place(parts: list[tuple[str, bool]]) -> None:
    """Whatever the text, all of it is in passages, and each lies within one place."""
    lines: list[str] = []
    places = []
    headings = []
    for number, (text, headed) in enumerate(parts):
        places.append(Place(len(lines) + 1, f"p. {number}", page=number))
        if headed:
            lines.append(f"heading {number}")
            headings.append(Heading(lines[-1], 1, len(lines), len(lines)))
        lines += text.split("\n")
    document = Document("\n".join(lines), "pdf", "t", headings=tuple(headings), places=tuple(places))

    passages = Chunker(Words(), 20).split(document)

    starts = [place.first_line for place in places[1:]]
    assert not [one for one in passages if any(one.first_line < start <= one.last_line for start in starts)]
    assert all(one.place == place_of(places, one.first_line, one.last_line).name for one in passages)
    told = "".join(one.text + "".join(one.heading) for one in passages)
    assert {letter for text, _ in parts for letter in text.strip()} <= set(told) | {" ", "\n"}
