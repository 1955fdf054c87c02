"""What an Org file says: headings, code, tags, properties, timestamps and links."""

from __future__ import annotations

import pytest
from growth import is_linear

from kb.formats.org import parse_org
from kb.formats.text import extract
from kb.records import Block, Heading, Link, Name


def test_org_headings_and_keywords() -> None:
    """Stars make headings; keywords, priorities and tags are no part of their text."""
    text = (
        "#+TITLE: My file\n#+FILETAGS: :work:db:\n#+date: <2026-11-22 Sun>\n\n"
        "* TODO [#A] First thing  :tag:other:\n** DONE\n** A [[https://x.y][link]]\n*bold* text\n"
    )

    outline = parse_org(text)

    assert outline.headings == (
        Heading("First thing", 1, 5, 5, "TODO [#A] tag other"),
        Heading("", 2, 6, 6, "DONE"),
        Heading("A link", 2, 7, 7),
    )
    assert (outline.title, outline.tags, outline.date) == (
        "My file",
        ("work", "db", "tag", "other"),
        "<2026-11-22 Sun>",
    )


def test_org_blocks_are_code() -> None:
    """A source block is one block and hides its stars; one that never ends hides nothing."""
    text = "#+BEGIN_SRC sh\n* no\n\nx\n#+END_SRC\n#+begin_quote\n* yes\n#+end_quote\n#+begin_example\n* open\n"

    outline = parse_org(text)

    assert outline.blocks == (Block("code", 1, 5),)
    assert [heading.text for heading in outline.headings] == ["yes", "open"]


def test_org_drawers_are_noise() -> None:
    """Ids can be linked to, other names and the day of creation are taken, and none of it is embedded."""
    text = (
        ':PROPERTIES:\n:ID: 5f1c\n:ROAM_ALIASES: "Vector store" vs\n:CREATED: [2026-01-15 Thu]\n:END:\n#+title: T\n'
        "* H\n:PROPERTIES:\n:CUSTOM_ID: here\n:END:\nText <<spot>>.\n:LOGBOOK:\n- closed\n* Next\n#+STARTUP: fold\n"
    )

    outline = parse_org(text)

    assert outline.names == (Name("block", "5f1c", 2), Name("block", "here", 9), Name("block", "spot", 11))
    assert (outline.aliases, outline.date) == (("Vector store", "vs"), "[2026-01-15 Thu]")
    assert [text[start:end] for start, end in outline.noise if not text[start:end].startswith(":")] == [
        "#+STARTUP: fold"
    ]
    assert ":CUSTOM_ID: here" in [text[start:end] for start, end in outline.noise]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("* TODO Pay\n  DEADLINE: <2026-01-15 Thu>\n", "2026-01-15"),
        ("* A <2026-01-15 Thu 10:00-11:00>\n* B [2026-01-15 Thu +1w]\n", "2026-01-15"),
        ("* A <2026-01-15 Thu>\n* B <2026-01-16 Fri>\n", ""),
        ("#+DATE: 2026-01-01\n<2026-01-15 Thu>\n", "2026-01-01"),
        ("#+begin_src x\n<2026-01-15 Thu>\n#+end_src\n", ""),
    ],
)
def test_org_date_from_timestamps_of_one_day(text: str, day: str) -> None:
    """A keyword goes before timestamps; several days are no date of the file."""
    assert parse_org(text).date == day


def test_org_links() -> None:
    """Files with what to look for, ids, headings of the file itself; a bare picture is shown, the web is left out."""
    text = (
        "[[file:b.org::*Part][b]] [[./pic.png]] [[file:pic.png][p]] [[id:5f1c][x]] [[*Here]] [[#cid]] [[spot]]\n"
        "[[https://x.y/a.org]] [[mailto:a@b.c]]\n"
    )

    assert parse_org(text).links == (
        Link("b.org::*Part", 1, "org"),
        Link("./pic.png", 1, "org", embeds=True),
        Link("pic.png", 1, "org"),
        Link("5f1c", 1, "id"),
        Link("::*Here", 1, "org"),
        Link("::#cid", 1, "org"),
        Link("::spot", 1, "org"),
    )


def test_org_language() -> None:
    """The keyword for exporting is the document's own word about its language."""
    assert extract("a.org", b"#+LANGUAGE: de\nText\n").language == "de"


@pytest.mark.parametrize(("begin", "piece"), [("* ", ":a"), ("", "[["), ("", "[[a]["), ("", "<2026-01-15 ")])
def test_org_long_line_is_read_quickly(begin: str, piece: str) -> None:
    """No line makes reading it a matter of seconds."""
    assert is_linear(parse_org, lambda size: begin + piece * (size // len(piece)), 200_000)


@pytest.mark.parametrize(
    "heading",
    ["Meta", "References", "TODO Links :web:", "See also", "Notes [0/3]", "Tâches [50%]", "2024", "[2024-01-05 Fri]"],
)
def test_generic_heading_is_not_title(heading: str) -> None:
    """Where nothing else says what a file is called, a heading that may stand in any file leaves that to its name."""
    document = extract("zettel/weaving.org", f"* {heading}\n\ntext\n* Looms\n".encode())

    assert (document.title, document.own_title) == ("weaving", "")
    assert extract("x.org", f"#+title: Weaving\n* {heading}\n".encode()).title == "Weaving"
    assert extract("x.org", b"* Looms\n").title == "Looms"
