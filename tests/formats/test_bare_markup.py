"""Texts of only structure give no passage and cost little, and words in them keep their lines."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import pytest
from growth import is_linear

from kb.chunking.split import Chunker
from kb.formats.bare_markup import MIN_LENGTH, find_bare_markup
from kb.formats.text import extract
from kb.testing import FakeTokens

if TYPE_CHECKING:
    from kb.records import Passage

# Of each format what can be nested or repeated without a word, as what stands before and after the words.
STRUCTURE: Final = {
    "nested.xml": ("<row>\n", "</row>\n"),
    "in a line.xml": ("<row>", "</row>"),
    "closed.xml": ("<row/>\n", "<row></row>\n"),
    "named spaces.xml": ('<x:row xmlns:x="">\n', "</x:row>\n"),
    "marked.xml": ("<![CDATA[", "]]>"),
    "outline.xml": ("  <outline>\n", "  </outline>\n"),
    "empty outline.xml": ('<outline text="" type = "">\n', "</outline>\n"),
    "groups.svg": ("<g>", "</g>\n"),
    "arrays.json": ("[\n", "]\n"),
    "empty objects.json": ("{},\n", '{"": ""},\n'),
    "items.yaml": ("- - - -\n", "-\n"),
    "documents.yaml": ("---\n", "...\n"),
    "flow.yaml": ("[{", "}]"),
    "records.jsonl": ("[]\n", "{}\n"),
    "tables.ini": ("[]\n", "[[]]\n"),
    "nested.html": ("<div>\n", "</div>\n"),
    "divisions.md": ("<div>\n", "</div>\n"),
    "quotes.md": (">" * 30 + "\n", ">\n"),
    "items.md": ("- \n", "* *\n"),
    "headings.md": ("#\n", "##\n"),
    "cells.md": ("|  |  |\n", "|--|--|\n"),
    "rulers.md": ("-" * 79 + "\n", "***\n"),
    "stars.org": ("*" * 9 + "\n", "** \n"),
    "bare headings.org": ("* \n", "*** \n"),
    "environments.tex": ("\\begin{center}\n", "\\end{center}\n"),
    "braces.tex": ("{\n", "}\n"),
    "comments.tex": ("%\n", "%%\n"),
    "rulers.rst": ("====\n", "\n----\n"),
    "fences.adoc": ("--\n", "====\n"),
    "cells.csv": (",,,\n", ',"",\n'),
    "boxes.txt": ("\u2502   \u2502\n", "\u251c\u2500\u2500\u2500\u2524\n"),
    "invisible.txt": ("\u200b\u2060", "\ufeff"),
    "brackets.py": ("(\n", ")\n"),
}  # fmt: skip
WORDS: Final = "where the swallows nest in winter"
SIZE: Final = 4_000


def passages_of(name: str, text: str) -> tuple[Passage, ...]:
    """The passages of a file of plain text."""
    # What a browser shows of a page is found in another process; the text that is split is the same.
    path = name.replace(".html", ".xml")
    return Chunker(FakeTokens(limit=256), 100).split(extract(path, text.encode()))


def repeated(piece: str, size: int = SIZE) -> str:
    """A piece again and again."""
    return piece * (size // len(piece))


@pytest.mark.parametrize("name", STRUCTURE)
def test_bare_markup_is_not_passage(name: str) -> None:
    """Nothing of a text without words is embedded."""
    before, after = STRUCTURE[name]

    assert passages_of(name, repeated(before) + repeated(after)) == ()


@pytest.mark.parametrize("name", STRUCTURE)
def test_words_inside_bare_markup_keep_their_line(name: str) -> None:
    """Words between, above and below elements are one passage each, with exactly their lines."""
    before, after = STRUCTURE[name]
    end = "" if before.endswith("\n") else "\n"
    text = f"Above all\n\n{repeated(before)}{end}\n{WORDS}\n\n{repeated(after)}\nBelow all\n"

    passages = passages_of(name, text)
    found = {word: one for one in passages for word in ("Above", "swallows", "Below") if word in one.text}

    assert found.keys() == {"Above", "swallows", "Below"}
    lines = text.split("\n")
    for one in found.values():
        assert "\n".join(lines[one.first_line - 1 : one.last_line]).strip() == one.text.strip()
    assert found["swallows"].first_line <= lines.index(WORDS) + 1 <= found["swallows"].last_line
    assert found["swallows"].last_line - found["swallows"].first_line <= 1
    assert len(passages) == 3


@pytest.mark.parametrize("name", ["nested.xml", "arrays.json", "bare headings.org", "comments.tex", "cells.csv"])
def test_bare_markup_is_removed_from_outline(name: str) -> None:
    """The child process returns no block, heading or place of it."""
    before, after = STRUCTURE[name]
    document = extract(name, (repeated(before) + "words\n" + repeated(after)).encode())

    carried = (document.headings, document.blocks, document.context, document.places, document.noise)
    assert sum(map(len, carried)) <= 5


def test_heading_above_bare_markup_does_not_apply_below() -> None:
    """Empty headings end a section like others."""
    text = f"# Birds\n\nSwallows.\n\n{repeated('#' + chr(10))}\nA list of fish.\n"

    assert [one.heading for one in passages_of("a.md", text)] == [("Birds",), ()]


def test_markup_next_to_words_is_kept() -> None:
    """Brackets in the line of a word are shown with it."""
    text = "[\n" * MIN_LENGTH + '[{"a": "word"}],\n' + "]\n" * MIN_LENGTH

    assert [(one.text, one.first_line) for one in passages_of("a.json", text)] == [('[{"a": "word"}],', MIN_LENGTH + 1)]


@pytest.mark.parametrize(
    "text",
    [
        "+---+\n|   |\n+---+\n" * 20,
        "a drawing\n" + "/\\_/\\\n" * 60,
        "\n" * 5_000,
        " " * 5_000,
        "<a>x</a>\n" * 500,
        '<a href="x"/>\n' * 500,
        "\u4e00\u3002" * 500,
        "\U0001f600" * 1_000,
        "1, 2, 3, " * 500,
        "\u00e9" * 1_000,
        "\\begin{tabular}{ll}\n" * 500,
    ],
)
def test_words_and_short_markup_are_kept(text: str) -> None:
    """Small drawings, values, words of any script and whitespace are not long markup."""
    assert find_bare_markup(text) == ()


@pytest.mark.parametrize(
    "piece",
    ["<a", "<a ", "<a b=", '<a b="', "<a\n", "\\begin{", "\\begin{a", "<![CDATA", "---a", "-" * 31 + "a", "</", "< a>"],
)
def test_search_for_bare_markup_is_linear(piece: str) -> None:
    """Near matches are examined only once."""
    assert is_linear(find_bare_markup, partial(repeated, piece), 200_000)


def test_equal_texts_are_counted_once() -> None:
    """The tokens of a repeated line are counted once."""

    class Counts(FakeTokens):
        texts = 0

        def count(self, texts: object) -> list[int]:
            assert isinstance(texts, list)
            self.texts += len(texts)
            return super().count(texts)

    tokens = Counts(limit=256)
    Chunker(tokens, 100).split(extract("a.json", ('"key": "value",\n' * 5_000).encode()))

    assert tokens.texts < 500
