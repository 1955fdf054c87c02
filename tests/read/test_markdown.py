"""Headings, blocks and links of Markdown with their exact lines."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.read.markdown import parse_markdown
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


def test_lines_count_from_the_top_of_the_file() -> None:
    """Lines before the body shift every place."""
    outline = parse_markdown("---\na: b\n---\n# H\n\ntext [[L]]\n", first_line=4)

    assert outline.headings == (Heading("H", 1, 4, 4),)
    assert outline.blocks == (Block("text", 6, 6),)
    assert outline.links == (Link("L", 6, "wiki"),)


@settings(deadline=None)
@given(st.text(alphabet="#=-*>`~| \n\tab1.[]()\0\r\f", max_size=120))
def test_any_text_has_ordered_places_inside_itself(text: str) -> None:
    """Headings and blocks come in order, do not overlap, and stay within the lines of the text."""
    outline = parse_markdown(text)
    parts: list[Heading | Block] = [*outline.headings, *outline.blocks]
    places = sorted(
        [(place.first_line, place.last_line) for place in parts],
    )

    assert list(outline.blocks) == sorted(outline.blocks, key=lambda block: block.first_line)
    assert all(1 <= first <= last <= text.count("\n") + 1 for first, last in places)
    assert all(before[1] < after[0] for before, after in pairwise(places))
