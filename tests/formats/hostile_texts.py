"""Texts that were made to cost a reader more than they are worth, of any size, for every format that is text.

Each repeats what a parser has to remember, open or look ahead for: brackets that never close, headings at every line,
stairs of indentation, delimiters that might begin anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable


def _again(piece: str, before: str = "", after: str = "") -> Callable[[int], str]:
    return lambda size: before + piece * max(1, (size - len(before) - len(after)) // len(piece)) + after


def _stairs(up: str, down: str, width: int = 1) -> Callable[[int], str]:
    def made(size: int) -> str:
        depth = max(1, int((size / width) ** 0.5))
        steps = [" " * (at * width) for at in range(depth)]
        return "\n".join([*(step + up for step in steps), *(step + down for step in reversed(steps))])

    return made


def _saw(piece: str, width: int) -> Callable[[int], str]:
    return lambda size: "\n".join(" " * (at % width) + piece for at in range(2 * size // (width + 2 * len(piece))))


def _runs(sign: str, most: int, after: str = "", between: str = "\n") -> Callable[[int], str]:
    """Runs of a sign, each of another length."""
    return lambda size: between.join(sign * (at % most + 1) + after for at in range(2 * size // (most * len(sign))))


PLAIN: Final = _again("The quick brown fox jumps over the lazy dog near the river bank, and goes home again.\n\n")
HOSTILE: Final[dict[str, Callable[[int], str]]] = {
    # XML
    "deep in a line.xml": _again("<a>"),
    "deep in lines.xml": _again("<a>\n"),
    "stairs.xml": _stairs("<a>", "</a>"),
    "saw.xml": _saw("<a>", 100),
    "flat.xml": _again("<a>x</a>\n"),
    "attributes.xml": _again('b="c" ', "<a ", ">"),
    "lines of attributes.xml": _again('<a b="c" d="e" f="g"\n'),
    "open attribute.xml": _again("a='", "<a "),
    "entities.xml": _again('<!ENTITY a "&b;&b;">\n', "<!DOCTYPE a [", "]>"),
    "comments.svg": _again("<!--"),
    # JSON and YAML
    "deep in a line.json": _again("["),
    "deep in lines.json": _again("[\n"),
    "stairs.json": _stairs('"a": {', "}"),
    "objects.json": _again('{"a":'),
    "keys.json": _again('"k": 1,\n'),
    "strings.json": _again('"\\"'),
    "stairs.yaml": _stairs("a:", "b: 1"),
    "items in a line.yaml": _again("- "),
    "items.yaml": _again("- a\n"),
    "anchors.yaml": _again("a: &a [*a,*a]\n"),
    "keys.yml": _again("a: 1\n"),
    "saw.yaml": _saw("k: v", 100),
    "low saw.yaml": _saw("key:", 14),
    "records.jsonl": _again("{}\n"),
    "nodes.canvas": _again('{"type":"text","text":"a"},', '{"nodes":[', "{}]}"),
    "deep.canvas": _again("["),
    # TOML and INI
    "tables.toml": _again("[a]\n"),
    "open tables.toml": _again("[ "),
    "dotted table.ini": _again("[a."),
    # Wikis
    "open links.wiki": _again("[[a|"),
    "open files.wiki": _again("[[File:a|thumb "),
    "layout.wiki": lambda size: "[[File:a" + "|thumb" * (size // 6),
    "comments.wiki": _again("<!--"),
    "open notes.wiki": _again("<ref "),
    "open code.wiki": _again("<pre>\n"),
    "written as it is.wiki": _again("<nowiki>a<"),
    "headings.wiki": _again("== a ==\n"),
    "signs.wiki": _again("="),
    "blanks.wiki": _again(" ", "= a", "x"),
    "quotes.wiki": _again("'"),
    "tables.wiki": _again("{|\n! a !! b\n|\n"),
    "cells.wiki": _again("! id=1", "{|\n!"),
    "items.wiki": _again("*"),
    # Escapes
    "codes.json": _again("\\u00fc", '"', '"'),
    "comments.jsonc": _again("/*'"),
    "open strings.strings": _again("'\\\""),
    "open strings.json": _again(' "\\'),
    "long strings.toml": _again('"""'),
    "codes.properties": _again("\\u00fc"),
    "codes.conf": _again("\\u00fc"),
    "lines that go on.properties": _again("a\\\n "),
    "references.xml": _again("&#252;"),
    "open data.xml": _again("<![CDATA[&"),
    "emphasis in a word.md": _again("*a"),
    "links in a word.md": _again("[[a]]"),
    "tags in a word.md": _again("a<b "),
    "joined.rst": _again("*a*\\ "),
    "attributes.adoc": _again("{shy}"),
    "entities.org": _again("\\auml{}"),
    "small.org": _again("a_{2}"),
    "umlauts.tex": _again('"a', "\\usepackage[german]{babel}\n"),
    "comments at line ends.tex": _again("a%\n"),
    # Markdown
    "quotes in a line.md": _again(">"),
    "quotes.md": _runs(">", 300),
    "stairs of items.md": _stairs("- a", "- b", 2),
    "items in a line.md": _again("- "),
    "numbers in a line.md": _again("1. "),
    "stars.md": _again("*"),
    "strong.md": _again("**a "),
    "brackets.md": _again("["),
    "open links.md": _again("[a]("),
    "open pictures.md": _again("!["),
    "wikilinks.md": _again("[["),
    "ticks.md": _runs("`", 600, between="\n\n"),
    "ticks in a line.md": _runs("`", 600, between=" "),
    "tags of HTML.md": _again("<a "),
    "comments of HTML.md": _again("<!--"),
    "declarations.md": _again("<!A"),
    "less.md": _again("<"),
    "characters.md": _again("&amp;"),
    "headings.md": _again("# a\n"),
    "underlined.md": _again("a\n=\n"),
    "long heading.md": _again("a: [", "# "),
    "long underlined heading.md": _again("a: [", "", "\n---\n"),
    "long starred heading.md": _again("*a_", "# "),
    "definitions.md": _again("[a]: b\n"),
    "rows.md": _again("|a|b|\n|-|-|\n"),
    "columns.md": lambda size: "|a" * (size // 4) + "\n" + "|-" * (size // 4),
    "fences.md": _again("```\n"),
    "fences of many lengths.md": _runs("`", 300),
    "formulas.md": _again("$$\n"),
    "lazy.md": _again("> a\nb\n"),
    "tags.md": _again("#a"),
    "properties.md": _again("a:: b\n"),
    "drawers.md": _again(":PROPERTIES:\n"),
    "block ids.md": _again("^a "),
    "lines of block ids.md": _again("a ^a\n"),
    "open references.md": _again("((a"),
    "spaces.md": _again(" "),
    "tabs.md": _again("\t"),
    "blank lines.md": _again(" \n"),
    # front matter
    "flow.md": lambda size: "---\na: " + "[" * min(size, 60_000) + "\n---\n",
    "keys in keys.md": lambda size: "---\n" + "? " * min(size // 2, 30_000) + "\n---\n",
    "tags in front.md": lambda size: "---\ntags: [" + "a," * min(size // 2, 30_000) + "]\n---\n",
    "aliases in front.md": lambda size: (
        "---\na: &a [x]\n" + "".join(f"b{at}: *a\n" for at in range(min(size, 60_000) // 12)) + "---\n"
    ),
    "dotted key.md": lambda size: "+++\n" + "a." * min(size // 2, 30_000) + "a=1\n+++\n",
    "dotted quoted key.md": lambda size: "+++\n" + '"a".' * min(size // 4, 15_000) + "a=1\n+++\n",
    "dotted key in a table.md": lambda size: "+++\na={" + "a . " * min(size // 4, 15_000) + "a=1}\n+++\n",
    "dotted head.md": lambda size: "+++\n[" + "a." * min(size // 2, 30_000) + "a]\n+++\n",
    "deep array.md": lambda size: "+++\na=" + "[" * min(size, 60_000) + "\n+++\n",
    "endless word.md": lambda size: "+++\n" + "a" * min(size, 60_000) + "\n+++\n",
    "quotes in front.md": lambda size: "+++\n" + '"' * min(size, 60_000) + "\n+++\n",
    # Org
    "stars.org": _again("*"),
    "headings.org": _again("* a\n"),
    "deep headings.org": _runs("*", 300, " a"),
    "open links.org": _again("[[a]"),
    "open code.org": _again("#+begin_src\n"),
    "drawers.org": _again(":PROPERTIES:\n"),
    "tags.org": _again(":a", "* "),
    "labels.org": _again("* TODO [#A] a :b:\n"),
    "targets.org": _again("<<"),
    "stamps.org": _again("<2020-01-01 "),
    "keywords.org": _again("#+title: a\n"),
    # reStructuredText and AsciiDoc
    "underlined.rst": _again("a\n=\n"),
    "literal.rst": _again("::\n\n"),
    "literals.rst": _again("a::\n"),
    "saw of literals.rst": _saw("a::", 200),
    "adornment.rst": _again("=="),
    "code.rst": _again(".. code::\n"),
    "headings.adoc": _again("= a\n"),
    "fences.adoc": _again("----\n"),
    "fences in fences.adoc": _again("====\n|===\n----\n"),
    "fences of many lengths.adoc": _runs("-", 300),
    # LaTeX
    "braces.tex": _again("{"),
    "braces.bib": _again("@a{b, c = {"),
    "fields.bib": _again("c = {d},\n", "@a{b,\n"),
    "accents.bib": _again('{\\"o}', "@a{b, c = "),
    "sections in a line.tex": _again("\\section{"),
    "open sections.tex": _again("\\section{\n"),
    "environments.tex": _again("\\begin{itemize}\n"),
    "ends.tex": lambda size: "\\begin{a}" * (size // 18) + "\\end{a}" * (size // 14),
    "verbatim.tex": _again("\\verb|"),
    "verbatim percent.tex": _again("\\verb+%\n"),
    "percent.tex": _again("%"),
    "optional.tex": _again("\\section["),
    "titles.tex": _again("\\title["),
    "links.tex": _again("\\url{%"),
    # tables, subtitles
    "quotes.csv": _again('"'),
    "commas.csv": _again(","),
    "rows.csv": _again("a,b\n"),
    "open quotes.csv": _again('"a\n'),
    "wide rows.csv": _again("a," * 1000 + "\n"),
    "empty rows.tsv": _again("\n"),
    "cues.srt": _again("1\n00:00:00,000 --> 00:00:01,000\na\n\n"),
    "arrows.srt": _again("-->\n"),
    "tags.vtt": _again("<", "WEBVTT\n\n00:00.000 --> 00:01.000\n"),
    "times.vtt": _again("00:00:00.000 --> ", "WEBVTT\n"),
    # text and code
    "a word.txt": _again("a"),
    "letters.txt": _again("a "),
    "ideographs.txt": _again("\u4e00"),
    "no width.txt": _again("\u200b"),
    "dots.txt": _again("."),
    "sentences.txt": _again("a."),
    "escapes.txt": _again("\x1b[0m"),
    "rulers.txt": _again("-" * 79 + "\n"),
    "paragraphs.txt": _again("a\n\n"),
    "tokens.txt": _again("<|endoftext|>"),
    "accents.txt": _again("e\u0301"),
    "emoji.txt": _again("\U0001f600"),
    "lines.txt": _again("a\n"),
    "colons.txt": _again("    a:\n"),
    "brackets.py": _again("("),
    "braces.css": _again("a{"),
    "log.log": _again("2020-01-01 a\n"),
}  # fmt: skip
