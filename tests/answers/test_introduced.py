"""What a sentence that ends with a colon introduces."""

from __future__ import annotations

import pytest

from kb.answers.introduced import MOST_LINES, has_block, introduced, lead_in

FENCED = "First. Mount the disk\nby its label:\n\n```bash\nmkdir -p /mnt/disk\n\nmount -L disk /mnt/disk\n```\nDone."


def test_a_block_of_code_without_its_fences() -> None:
    """Empty lines in it belong to it; the sentence may begin on a line above its colon."""
    found = introduced(FENCED, "Mount the disk by its label:", 0)

    assert found is not None
    assert found.text == "mkdir -p /mnt/disk\n\nmount -L disk /mnt/disk"
    assert (found.first, found.last) == (4, 6)


@pytest.mark.parametrize(
    ("passage", "sentence", "text"),
    [
        ("Run it:\n\n    make\n\n    make install\n\nThen wait.", "Run it:", "make\n\nmake install"),
        ("You need:\n- flour\n- salt\n\nMix them.", "You need:", "- flour\n- salt"),
        ("**He said:**\n\nGo home\nat once.\n\nWe went.", "**He said:**", "Go home\nat once."),
        ("答案如下\uff1a\n\n四十二。", "答案如下\uff1a", "四十二。"),
        ("Cafe\u0301s:\n\n~~~\nA\n```\n~~~", "Caf\xe9s:", "A\n```"),
        ("An open one:\n```\nkb index", "An open one:", "kb index"),
        ("By Windows:\r\n\r\n```\r\nkb index\r\n```\r\n", "By Windows:", "kb index"),
        ("In Org:\n\n#+begin_src sh\nmake\n\nmake all\n#+END_SRC\nDone.", "In Org:", "make\n\nmake all"),
        ("In AsciiDoc:\n\n[source,sh]\n----\nmake\n\nmake all\n----\nDone.", "In AsciiDoc:", "make\n\nmake all"),
        ("In reST::\n\n  make\n\n  make all\n\nDone.", "In reST::", "make\n\nmake all"),
        ("In Sphinx:\n\n.. code-block:: sh\n   :linenos:\n\n   make\n\nDone.", "In Sphinx:", "make"),
        (
            "Apart:\n\n- one\n\n  more\n\n- two\n  wrapped\nlazily\n\nDone.",
            "Apart:",
            "- one\n\n  more\n\n- two\n  wrapped\nlazily",
        ),
        ("- Within:\n  - one\n  - two\n- Next", "- Within:", "- one\n- two"),
        ("Then:\nmake\n```\ncode\n```", "Then:", "make"),
    ],
)
def test_kinds_of_blocks(passage: str, sentence: str, text: str) -> None:
    """Code by indent, lists, paragraphs, code as each format marks it, and fences that are not closed."""
    found = introduced(passage, sentence, 0)
    assert found is not None
    assert found.text == text


@pytest.mark.parametrize(
    ("passage", "sentence", "line"),
    [
        ("It is so.\n\n```\nmake\n```", "It is so.", 0),
        ("The end:", "The end:", 0),
        ("The end:\n\n", "The end:", 0),
        ("Part one:\n\n## Part two\n\nText.", "Part one:", 0),
        ("```yaml\non:\n  push:\n```", "on:", 1),
        ("Look:\n\n    if x:\n        y\n", "if x:", 2),
        ("Nothing:\n```\n\n```\nText.", "Nothing:", 0),
        ("Setext:\n-------\n\nText.", "Setext:", 0),
        ("AsciiDoc:\n\n== Part two\n\nText.", "AsciiDoc:", 0),
        ("A rule:\n\n---\n\nText.", "A rule:", 0),
        ("A picture:\n\n![A disk](disk.png)\n\nText.", "A picture:", 0),
        ("A directive:\n\n.. image:: disk.png\n\nText.", "A directive:", 0),
        ("- An item:\n- The next one", "- An item:", 0),
        ("- One:\n\n  Two:\n- Three", "Two:", 2),
    ],
)
def test_nothing_is_introduced(passage: str, sentence: str, line: int) -> None:
    """By a sentence without a colon, at the end, before headings, rules, pictures, next items, and by code."""
    assert introduced(passage, sentence, line) is None


def test_a_long_block_is_cut() -> None:
    """The ellipsis is the last line; what is not shown is no part of it."""
    found = introduced("\n".join(["All of them:", *(f"- {number}" for number in range(40))]), "All of them:", 0)

    assert found is not None
    assert found.text.splitlines()[-2:] == [f"- {MOST_LINES - 2}", "…"]
    assert (len(found.text.splitlines()), found.last) == (MOST_LINES, MOST_LINES - 1)


@pytest.mark.parametrize(
    ("passage", "line", "sentence", "text"),
    [
        (FENCED, 6, "Mount the disk by its label:", "mkdir -p /mnt/disk\n\nmount -L disk /mnt/disk"),
        ("You need:\n- flour\n- salt\n\nMix them.", 2, "You need:", "- flour\n- salt"),
        ("So it is done.\n\n```\nmake\n```", 3, "So it is done.", "make"),
        ("Outer:\n\n- Within:\n  - one\n  - two\n", 4, "- Within:", "- one\n- two"),
    ],
)
def test_what_introduces_a_line(passage: str, line: int, sentence: str, text: str) -> None:
    """The nearest sentence with a colon, or right above a block of code."""
    found = lead_in(passage, line)
    assert found is not None
    assert (found[0].text, found[1].text) == (sentence, text)
    assert has_block(passage)("", line)


def test_a_lead_in_is_told_from_others_on_its_line() -> None:
    """By its text; one without a colon is not shown with its block."""
    shows = has_block("First. Run:\n\n    make\n\nSo it is done.\n\n```\nls\n```")
    assert [shows("First.", 0), shows("Run:", 0), shows("make", 2), shows("So it is done.", 4)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_line_of_a_long_block_is_shown_with_what_follows_it() -> None:
    """The block is cut before it; an ellipsis says that something is left out."""
    found = lead_in("\n".join(["All of them:", *(f"- {number}" for number in range(40))]), 31)

    assert found is not None
    assert found[1].text.splitlines() == ["…", *(f"- {number}" for number in range(30, 40))]
    assert (found[1].first, found[1].last) == (31, 40)


@pytest.mark.parametrize(
    ("passage", "line"), [("It is so.\n\n- one", 2), ("It is so. Yes.", 0), ("Run:\nmake\n\nDone.", 3)]
)
def test_a_line_that_nothing_introduces(passage: str, line: int) -> None:
    """A list after a full stop, a sentence, and what stands after the block."""
    assert lead_in(passage, line) is None
    assert not has_block(passage)("", line)
