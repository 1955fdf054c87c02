"""From bytes to documents, by format."""

from __future__ import annotations

from datetime import date

import pytest

from kb.chunking.split import Chunker
from kb.errors import DocumentError
from kb.formats.text import extract
from kb.records import Block, Heading, Link
from kb.testing import FakeTokens


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/b.md", "markdown"),
        ("B.MARKDOWN", "markdown"),
        ("x.qmd", "markdown"),
        ("x.rst", "rst"),
        ("x.org", "org"),
        ("x.adoc", "asciidoc"),
        ("x.txt", "text"),
        ("README", "text"),
        ("x.unheard-of", "text"),
        (".bashrc", "text"),
        ("x.py", "code"),
        ("x.csv", "csv"),
        ("x.vtt", "subtitles"),
        ("x.tex", "latex"),
        ("x.yaml", "data"),
        ("sub/Makefile", "code"),
    ],
)
def test_suffix_selects_kind(path: str, kind: str) -> None:
    """The case of suffixes does not matter; text with an unknown suffix is plain text."""
    document = extract(path, b"some\r\ntext\n")

    assert document.kind == kind
    assert document.text == "some\ntext\n"


def test_title_from_front_matter() -> None:
    """Title, tags, aliases and date of front matter have priority."""
    text = b"---\ntitle: Mine\ntags: [a]\naliases: [b]\ndate: 2026-01-02\n---\n# Heading\n\nSee [[Other]].\n"

    document = extract("2025-05-05.md", text)

    assert (document.title, document.own_title, document.tags, document.aliases) == ("Mine", "Mine", ("a",), ("b",))
    assert (document.date, document.body_line) == (date(2026, 1, 2), 7)
    assert document.links == (Link("Other", 9, "wiki"),)
    assert document.headings == (Heading("Heading", 1, 7, 7),)


@pytest.mark.parametrize(
    ("path", "text", "title", "own_title"),
    [
        ("n.md", "text\n\n# First\n\n# Second\n", "First", "First"),
        ("n.md", "#\n\n## Named\n", "Named", "Named"),
        ("dir/my note.v2.md", "no heading", "my note.v2", ""),
        ("n.org", "#+title: Kept\n* Heading\n", "Kept", "Kept"),
        ("n.rst", "Title\n=====\n", "Title", "Title"),
        ("n.adoc", "= Title\n", "Title", "Title"),
        ("n.py", "# comment\n", "n", ""),
        ("bad\udcffname.txt", "text", "bad name", ""),
        ("\udcff.txt", "text", "untitled", ""),
    ],
)
def test_title_falls_back_to_stem(path: str, text: str, title: str, own_title: str) -> None:
    """Without front matter the first heading is the title, else the file's stem."""
    document = extract(path, text.encode())

    assert (document.title, document.own_title) == (title, own_title)


FRONT = "title: A\nauthor: Ursula Zebra\nsummary: fermenting kimchi at home"


def front_passages(front: str, body: str, path: str = "x.md") -> list[tuple[str, str, int, int]]:
    """Text, embedded text and lines of the passages of a note."""
    fence = "+++" if " = " in front else "---"
    found = Chunker(FakeTokens(), 64).split(extract(path, f"{fence}\n{front}\n{fence}\n{body}".encode()))
    return [(one.text, one.embedded, one.first_line, one.last_line) for one in found]


def test_front_matter_with_words_is_passage() -> None:
    """It stands at its own lines, is told a title that it does not say, and changes no other passage."""
    body = "# Kimchi\n\nSalt first.\n\n## Later\n\nWait.\n"
    others = front_passages("title: A\ntags: [x]\ndate: 2026-01-02", body)

    assert front_passages(FRONT, body) == [(FRONT, FRONT, 2, 4), *others]
    assert (
        front_passages("aliases:\n  - Levain\nid: 7\nx: 1", body)[0][1] == "Kimchi\naliases:\n  - Levain\nid: 7\nx: 1"
    )
    assert front_passages(FRONT, body, "x.txt")[0][0] == FRONT


@pytest.mark.parametrize(
    ("front", "said"),
    [
        ("title: A\ndate: 2024-01-02\ntags: [a, b]\nlang: de\ndraft: true\nlayout: post\npermalink: /a", False),
        ("id: abc\ncreated: 2024-01-02T10:00Z\nupdated: January 2nd, 2024\ncategories: [x]\ncssclasses: wide", False),
        ("rating: 4\ndone: no\ndue: 2026-01-15T10:00Z\nfrom:\nlinter: null\nkanban-plugin: board", False),
        ("up: '[[Index]]'\nnext: '[[Two]]'\nnav_order: 2\nnav_exclude: yes", False),
        ("author: '[[Ada Lovelace]]'", True),
        ("title: A\nauthor: Ada", True),
        ("DESCRIPTION: what it is", True),
        ("people: [{name: Ada, born: 1815}]", True),
        ('title = "A"\n[extra]\nsubtitle = "of it"', True),
        ('title = "A"\ndate = 2024-01-02\n[taxonomies]\ntags = ["a"]\n[extra]\ncount = 3', False),
    ],
)
def test_front_matter_of_settings_is_not_passage(front: str, said: bool) -> None:
    """Labels, dates, numbers, switches and what programs keep there add no passage to a note with a body."""
    assert [text == front for text, *_ in front_passages(front, "Body.\n")] == ([True, False] if said else [False])


def test_what_cannot_be_seen_is_part_of_no_name() -> None:
    """Soft hyphens and zero-width spaces, in tags of the front matter and of the text, and in headings."""
    document = extract("a.md", "---\ntags: [gar\u200bden]\n---\n# Seed\u00ad list\n\nBeans #com\u00adpost.\n".encode())

    assert (document.title, document.tags) == ("Seed list", ("garden", "compost"))


@pytest.mark.parametrize("front", ["title: A", FRONT, "tags: [a]", "aliases: [Levain]"])
@pytest.mark.parametrize("body", ["", "\n  \n"])
def test_note_with_only_front_matter_is_passage(front: str, body: str) -> None:
    """A file with nothing else can be found by it."""
    assert front_passages(front, body) == [(front, front, 2, 1 + len(front.split("\n")))]
    assert front_passages(front, "")[0] == front_passages(front, body)[0]
    assert Chunker(FakeTokens(), 64).split(extract("x.md", b"---\n---\n")) == ()


def test_dates_from_keywords_and_names() -> None:
    """Org's date and the date at the start of a file name replace front matter."""
    assert extract("x.org", b"#+DATE: <2026-11-22 Sun>\n").date == date(2026, 11, 22)
    assert extract("daily/2026-11-22 walk.md", b"text").date == date(2026, 11, 22)
    assert extract("walk 2026-11-22.md", b"text").date is None


def test_broken_front_matter_is_plain_text() -> None:
    """It is searchable text, but not a heading."""
    document = extract("n.md", b"---\nwhat: [broken\n---\n# Real\n")

    assert (document.own_title, document.body_line) == ("Real", 1)
    assert document.blocks == (Block("text", 1, 3),)


def test_code_has_no_front_matter() -> None:
    """A YAML file that begins with a document marker keeps its text."""
    document = extract("x.yaml", b"---\ntitle: t\n---\na: b\n")

    assert (document.body_line, document.own_title) == (1, "")


def test_legacy_encodings_are_read() -> None:
    """Text is decoded before it is parsed."""
    document = extract("n.md", "# Größe\n".encode("utf-16"))

    assert document.own_title == "Größe"
    assert document.encoding.lower().startswith("utf-16")


def test_empty_files_are_documents() -> None:
    """An empty file is not an error."""
    assert extract("empty.md", b"").text == ""


def test_binary_content_is_refused() -> None:
    """With a sentence and a remedy, whatever the name."""
    with pytest.raises(DocumentError, match="is not text") as caught:
        extract("x.md", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 4)

    assert caught.value.remedy


@pytest.mark.parametrize(
    ("path", "name"), [("a.PDF", "PDF"), ("a.docx", "Word"), ("a.mobi", "e-book"), ("a.jpg", "ima")]
)
def test_unread_formats_are_named_in_error(path: str, name: str) -> None:
    """Even if the bytes could be text."""
    with pytest.raises(DocumentError, match=name) as caught:
        extract(path, b"plain words")

    assert caught.value.remedy


def test_invalid_front_matter_is_reported() -> None:
    """The first invalid keys and lines are named, with the number of others."""
    broken = extract("a.md", b"---\ntitle: Tea: how to\ndate: 2026-01-02\nremember the pot\n---\nbody\n")
    many = "".join(f"key{number}: a: b\n" for number in range(5))

    assert broken.unread == ('front matter is not valid YAML or TOML at "title", "remember the pot"',)
    assert extract("a.md", f"---\ntags: [a]\n{many}---\nbody\n".encode()).unread == (
        'front matter is not valid YAML or TOML at "key0", "key1", "key2" and 2 more',
    )
    assert extract("a.md", b"---\ntitle: Tea\n---\nbody\n").unread == ()
