"""Headings and code of reStructuredText and AsciiDoc."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.formats.markup import Outline, one_line, parse_asciidoc, parse_rst
from kb.formats.org import parse_org
from kb.records import Block, Heading

if TYPE_CHECKING:
    from collections.abc import Callable


def test_rst_levels_follow_the_order_of_adornments() -> None:
    """Over- and underlined headings differ from underlined ones; a style seen again has its old level."""
    text = "=====\nTitle\n=====\n\nPart\n====\ntext\n\nSub\n---\n\nPart two\n========\n"

    assert parse_rst(text).headings == (
        Heading("Title", 1, 1, 3),
        Heading("Part", 2, 5, 6),
        Heading("Sub", 3, 9, 10),
        Heading("Part two", 2, 12, 13),
    )


def test_rst_tables_transitions_and_code_are_not_headings() -> None:
    """Adornment alone makes no heading, nor does anything inside code."""
    text = (
        "text\n\n----\n\nmore\n\n=====  =====\na      b\n=====  =====\n\n"
        "Example::\n\n  Not\n  ===\n\n  x\n\n.. code-block:: py\n\n   # c\n\n   y\n\nend\nof\n--\n"
    )

    outline = parse_rst(text)

    assert outline.headings == ()
    assert outline.blocks == (Block("code", 13, 16), Block("code", 18, 22))


def test_rst_short_underlines() -> None:
    """An underline may be shorter than its title from four characters on, as docutils has it."""
    assert [heading.text for heading in parse_rst("Long title\n====\n\nAI\n==\n\nAIs\n==\n").headings] == [
        "Long title",
        "AI",
    ]


def test_asciidoc_headings_and_blocks() -> None:
    """Equal signs make headings, listings hide them, tables are tables."""
    text = (
        "= Title\n\n== Part ==\n----\n== no\n----\n|===\n|a |b\n|===\n```py\n# no\n```\n....\nnever closed\n=== Sub\n"
    )

    outline = parse_asciidoc(text)

    assert outline.headings == (Heading("Title", 1, 1, 1), Heading("Part", 2, 3, 3), Heading("Sub", 3, 15, 15))
    assert outline.blocks == (Block("code", 4, 6), Block("table", 7, 9), Block("code", 10, 12))


@pytest.mark.parametrize(
    ("header", "author", "date", "tags"),
    [
        (
            "Ada Byre <ada@example.org>\nv1.0, 2025-03-04\n:keywords: wool, hay",
            "Ada Byre",
            "2025-03-04",
            ("wool", "hay"),
        ),
        (
            "Ada Byre; Bo O'Fenn <b@example.org>\n1.2, March 4, 2025: first draft",
            "Ada Byre, Bo O'Fenn",
            "March 4, 2025",
            (),
        ),
        (":toc:\n:author: Ada\n// a remark\n:revdate: 2025-03-04\n:page-tags: wool", "Ada", "2025-03-04", ("wool",)),
        ("Ada Byre\n2025-03-04", "Ada Byre", "2025-03-04", ()),
        ("The mill turns, and the water runs below it.\nv1, 2025-03-04", "", "", ()),
        ("\nAda Byre\nv1.0, 2025-03-04", "", "", ()),
    ],
)
def test_asciidoc_header(header: str, author: str, date: str, tags: tuple[str, ...]) -> None:
    """Authors, date and keywords stand right below the title; a text there is none of them."""
    outline = parse_asciidoc(f"= Title\n{header}\n\nText.\n")

    assert (outline.author, outline.date, outline.tags) == (author, date, tags)
    assert not parse_asciidoc(f"Text.\n{header}\n").author


@pytest.mark.parametrize(
    ("text", "author", "date", "tags"),
    [
        (
            "Title\n=====\n\n:Author: Ada\n:Date: 2025-03-04\n:Tags: wool, hay\n\nText",
            "Ada",
            "2025-03-04",
            ("wool", "hay"),
        ),
        ("Title\n#####\n:date: 4 March 2025\n:category: farm\n:keywords: a; b", "", "4 March 2025", ("a", "b", "farm")),
        (":Authors: Ada; Bo\n:Abstract: long\n  and longer\n:Date: 2025-03-04\n", "Ada, Bo", "2025-03-04", ()),
        ("Title\n=====\n\nText\n\n:Date: 2025-03-04\n", "", "", ()),
        ("Title\n=====\n\nText\n:Date: 2025-03-04\n", "", "", ()),
    ],
)
def test_restructuredtext_fields(text: str, author: str, date: str, tags: tuple[str, ...]) -> None:
    """Author, date and tags are those at the top or right below the title."""
    outline = parse_rst(text)

    assert (outline.author, outline.date, outline.tags) == (author, date, tags)


def test_one_line_is_short_and_printable() -> None:
    """Line ends, controls and lone surrogates become spaces; a runaway text is cut."""
    assert one_line(" a\x1b\tb\n\ud800c ") == "a b c"
    assert len(one_line("word " * 200)) <= 300


@pytest.mark.parametrize("parse", [parse_rst, parse_org, parse_asciidoc])
@given(text=st.text(alphabet="=-*. :|`+/#\nab", max_size=80), first_line=st.integers(1, 3))
def test_places_are_ordered_for_any_text(parse: Callable[[str, int], Outline], text: str, first_line: int) -> None:
    """Headings and blocks come in order, do not overlap, and stay within the lines that were parsed."""
    text = "\n\n" + text

    outline = parse(text, first_line)

    parts: list[Heading | Block] = [*outline.headings, *outline.blocks]
    places = sorted((place.first_line, place.last_line) for place in parts)
    assert all(first_line <= first <= last <= text.count("\n") + 1 for first, last in places)
    assert all(before[1] < after[0] for before, after in pairwise(places))
    assert list(outline.headings) == sorted(outline.headings, key=lambda heading: heading.first_line)
