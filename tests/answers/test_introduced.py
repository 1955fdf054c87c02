"""What a sentence that ends with a colon introduces."""

from __future__ import annotations

import pytest

from kb.answers.introduced import MOST_LINES, introduced

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
