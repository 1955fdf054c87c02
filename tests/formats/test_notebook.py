"""Notebooks: how much is told of what a cell wrote, and what is code in its text."""

from __future__ import annotations

import json

import made_documents as made
import pytest

from kb.formats.builder import TextBuilder, Unreadable
from kb.formats.notebook import extract, text_of
from kb.sandbox.protocol import Extracted, Limits


def extracted(*cells: tuple[str, str] | tuple[str, str, str]) -> Extracted:
    """What comes out of a notebook of these cells."""
    builder = TextBuilder(1_000_000)
    extract("x.ipynb", made.notebook(*cells), builder, Limits())
    return builder.build()


@pytest.mark.parametrize("kind", ["raw", "markdown"])
def test_front_matter_in_the_first_cell(kind: str) -> None:
    """As of Quarto: title, date and tags; a rule in a later cell or in code is none."""
    head = "---\ntitle: Mill\ndate: 2025-03-04\ncategories: [a, b]\n---"
    found = extracted((kind, head), ("markdown", "Text."))

    assert (found.title, found.date, found.tags) == ("Mill", "2025-03-04", ["a", "b"])
    assert extracted(("markdown", "Text."), (kind, head)).title == ""
    assert extracted(("code", head)).title == ""


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("\n" + "x" * 2_500, "x" * 2_000),
        ("short\n" + "x" * 2_500, "short\n" + "x" * 1_994),
        ("a line of a log\n" * 200, "\n".join(["a line of a log"] * 125)),
        ("short\n", "short"),
    ],
)
def test_long_output_is_truncated(written: str, told: str) -> None:
    """It ends with a whole line where that costs little."""
    assert extracted(("code", "print(x)", written)).text == f"print(x)\n\n{told}\n"


@pytest.mark.parametrize(
    "code",
    ["```x```", "```` ```", "```\n# no heading\n```", "~~~\n```\n# no heading\n~~~", "````\n```\n# no heading\n````"],
)
def test_headings_after_code(code: str) -> None:
    """A fence ends with one of its own kind and length, and code on one line is none."""
    document = extracted(("markdown", f"# One\n\n{code}\n\n# Two\n"))
    assert [heading[0] for heading in document.headings] == ["One", "Two"]


@pytest.mark.parametrize("end", ["", "\n"])
def test_lines_with_and_without_their_ends(end: str) -> None:
    """The oldest notebooks keep the lines of a cell without what ends them."""
    assert text_of([f"one{end}", f"two{end}", "three"]) == "one\ntwo\nthree"
    assert text_of(["alone"]) == "alone"


@pytest.mark.parametrize(
    "notebook",
    [
        {"worksheets": [{"cells": 5}, {"cells": [{"cell_type": "code", "input": "sheet()"}]}, 3, {}]},
        {"cells": [None, {"cell_type": "code", "source": "sheet()", "outputs": 5}, {"cell_type": ["code"]}]},
    ],
)
def test_what_is_no_list_is_passed_over(notebook: dict[str, object]) -> None:
    """Cells that are not broken are read."""
    builder = TextBuilder(1_000_000)
    extract("x.ipynb", json.dumps(notebook).encode(), builder, Limits())
    assert builder.build().text == "sheet()\n"


def test_nested_too_deeply() -> None:
    """It is told as what it is: no notebook."""
    with pytest.raises(Unreadable, match="JSON is nested too deeply"):
        extract("x.ipynb", b"[" * 100_000, TextBuilder(1_000_000), Limits())


def test_column_names_and_parent_items_of_markdown_cells() -> None:
    """They are the context of the rows and items below them; a table in code has none."""
    table = "| Bird | Nest |\n|:--|---|\n| heron | reeds |\n| coot | bank |"
    found = extracted(("markdown", f"# Birds\n\n{table}\n\n- Bath\n\n  1. tiles\n  2. taps\n\n```\n{table}\n```\nEnd"))
    lines = found.text.split("\n")

    assert [(lines[first - 1 : last], said) for first, last, said in found.context] == [
        (["| heron | reeds |", "| coot | bank |"], "| Bird | Nest |"),
        (["  1. tiles", "  2. taps"], "Bath"),
    ]


def test_words_of_markdown_cells_are_whole() -> None:
    """Escapes and emphasis do not divide them; code stays as it is."""
    found = extracted(("markdown", "**W**orld &uuml;ber snake\\_case `**a**b`\n```\n**a**b\n```"))

    assert found.text == "World über snake_case `**a**b`\n```\n**a**b\n```\n"
