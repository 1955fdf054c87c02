"""Headings, blocks and links of Markdown with their exact lines."""

from __future__ import annotations

from itertools import pairwise

import pytest
from growth import is_linear
from hypothesis import given
from hypothesis import strategies as st

from kb.formats.markdown import parse_markdown
from kb.records import Block, Heading, Link


def test_headings_of_both_styles_with_lines() -> None:
    """ATX and setext headings are found with level and lines."""
    text = "# One\n\ntext\n\nTwo\nlines\n---\n\n### Three ###\n"

    assert parse_markdown(text).headings == (
        Heading("One", 1, 1, 1),
        Heading("Two lines", 2, 5, 7),
        Heading("Three", 3, 9, 9),
    )


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("`code` and *stress* **more**", "code and stress more"),
        ("A [link](http://example.com) here", "A link here"),
        ("![logo](a.png) Name", "logo Name"),
        ("[[Target|shown]] and [[Other#part]]", "shown and Other"),
        ("Title {#anchor .class}", "Title"),
        ("1 < 2 &amp; snake_case_name", "1 < 2 & snake_case_name"),
        ("Escaped \\*stars\\*", "Escaped *stars*"),
        ("<b>Bold</b> words", "Bold words"),
        ("x" * 500, "x" * 299 + "…"),
        ("", ""),
    ],
)
def test_headings_are_words_without_markup(written: str, text: str) -> None:
    """A heading's text is what a reader sees."""
    assert [heading.text for heading in parse_markdown(f"# {written}\n").headings] == [text]


def test_no_headings_in_code_or_quotes() -> None:
    """Comments in fenced and indented code, and headings inside quotes and lists, divide nothing."""
    text = "```sh\n# no\n```\n\n    # no\n\n> # no\n\n- # no\n\n~~~\n# no\n~~~\n#no\n\n```\n# open to the end\n"

    assert parse_markdown(text).headings == ()


def test_blocks_with_kinds_and_lines() -> None:
    """Fences and tables are one block each, a list one for each item and for each block in it."""
    text = "para\nmore\n\n```py\nx\n\ny\n```\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- one\n- two\n\n  ```\n  z\n  ```\n"

    assert parse_markdown(text).blocks == (
        Block("text", 1, 2),
        Block("code", 4, 8),
        Block("table", 9, 11),
        Block("text", 13, 13),
        Block("text", 14, 14),
        Block("code", 16, 18),
    )


@pytest.mark.parametrize(
    ("text", "blocks", "headings"),
    [
        ("$$\nx\n=\ny\n$$\n", [("code", 1, 5)], []),
        ("so that\n$$ x\n---\n# y $$\n\n# H\n", [("text", 1, 1), ("code", 2, 4)], ["H"]),
        ("$$\n[[x]] #y\n$$ {#eq:1}\nmore\n", [("code", 1, 3), ("text", 4, 4)], []),
        ("- a\n  $$\n  x\n  =\n  $$\n- b\n", [("text", 1, 1), ("code", 2, 5), ("text", 6, 6)], []),
        ("> $$\n> x\n> =\n> $$\n", [("code", 1, 4)], []),
        ("$$x$$ [[L]]\n===\n", [], ["$$x$$ L"]),
        ("$$ is the process\n\n# H\n\nand $$\n", [("text", 1, 1), ("text", 5, 5)], ["H"]),
        ("- $$ a\n\n$$\nx\n$$\n", [("text", 1, 1), ("code", 3, 5)], []),
        ("```\n$$\n```\n$$\n", [("code", 1, 3), ("text", 4, 4)], []),
        ("    $$\n    x\n\n$$\n", [("code", 1, 2), ("text", 4, 4)], []),
    ],
)
def test_displayed_formula_is_one_block(text: str, blocks: list[tuple[str, int, int]], headings: list[str]) -> None:
    """No line in it makes a heading, a tag or a link; one that is not closed before a blank line is a paragraph."""
    outline = parse_markdown(text)

    assert [(one.kind, one.first_line, one.last_line) for one in outline.blocks] == blocks
    assert [heading.text for heading in outline.headings] == headings
    assert outline.tags == ()


@pytest.mark.parametrize("piece", ["$$\n", "$$ x\n", "$$ x\n\n", "> $$ x\n", "- $$ x\n", "$$x$$\n"])
def test_formulas_are_found_in_linear_time(piece: str) -> None:
    """However many are never closed."""
    assert is_linear(parse_markdown, lambda count: piece * count, 4_000)


def test_lines_count_from_the_top_of_the_file() -> None:
    """Lines before the body shift every place."""
    outline = parse_markdown("---\na: b\n---\n# H\n\ntext [[L]]\n", first_line=4)

    assert outline.headings == (Heading("H", 1, 4, 4),)
    assert outline.blocks == (Block("text", 6, 6),)
    assert outline.links == (Link("L", 6, "wiki"),)


@given(st.text(alphabet="#=-*>`~| \n\tab1.[]()\0\r\f", max_size=120))
def test_places_are_ordered_for_any_text(text: str) -> None:
    """Headings and blocks come in order, do not overlap, and stay within the lines of the text."""
    outline = parse_markdown(text)
    parts: list[Heading | Block] = [*outline.headings, *outline.blocks]
    places = sorted(
        [(place.first_line, place.last_line) for place in parts],
    )

    assert list(outline.blocks) == sorted(outline.blocks, key=lambda block: block.first_line)
    assert all(1 <= first <= last <= text.count("\n") + 1 for first, last in places)
    assert all(before[1] < after[0] for before, after in pairwise(places))
