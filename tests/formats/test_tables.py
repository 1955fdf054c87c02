"""Tables of AsciiDoc and reStructuredText: every passage of a long one is told the names of its columns."""

from __future__ import annotations

import pytest

from kb.chunking.split import Chunker
from kb.formats.text import extract
from kb.testing import FakeTokens

NAMES = "Bird | Wing span | Nest"
ROWS = [(f"heron number {at}", f"{170 + at} cm", f"in the tree {at}") for at in range(40)]


def grid() -> str:
    """A grid table of reStructuredText."""
    rule = f"+{'-' * 20}+{'-' * 13}+{'-' * 20}+\n"
    lines = "".join(f"| {a:19}| {b:12}| {c:19}|\n{rule}" for a, b, c in ROWS)
    names = f"| {'Bird':19}| {'Wing':12}| {'Nest':19}|\n| {'':19}| {'span':12}| {'':19}|\n"
    return f"{rule}{names}{rule.replace('-', '=')}{lines}"


def simple() -> str:
    """A simple table of reStructuredText."""
    rule = f"{'=' * 20}  {'=' * 12}  {'=' * 20}\n"
    lines = "".join(f"{a:20}  {b:12}  {c}\n" for a, b, c in ROWS)
    return f"{rule}{'Bird':20}  {'Wing span':12}  Nest\n{rule}{lines}{rule}"


def listed() -> str:
    """A table of reStructuredText as a list of lists."""
    lines = "".join(f"   * - {a}\n     - {b}\n     - {c}\n" for a, b, c in ROWS)
    names = "   * - Bird\n     - Wing\n       span\n     - Nest\n"
    return f".. list-table:: Herons\n   :widths: auto\n   :header-rows: 1\n\n{names}{lines}"


def separated(option: str, first: str) -> str:
    """A table of reStructuredText as comma-separated values."""
    return f".. csv-table::\n   {option}\n\n{first}" + "".join(f'   "{a}", {b}, {c}\n' for a, b, c in ROWS)


def barred(above: str, head: str, separator: str = "|") -> str:
    """A table of AsciiDoc."""
    lines = "".join(f"|{a} |{b} |{c}\n" if separator == "|" else f'"{a}",{b},{c}\n' for a, b, c in ROWS)
    return f"{above}{separator}===\n{head}{lines}{separator}===\n"


TABLES = {
    "grid.rst": grid(),
    "simple.rst": simple(),
    "list.rst": listed(),
    "values.rst": separated(":header: Bird, Wing span, Nest", ""),
    "rows of values.rst": separated(":header-rows: 1", "   Bird, Wing span, Nest\n"),
    "implied.adoc": barred("", "|Bird |Wing span |Nest\n\n"),
    "close.adoc": barred("", "|Bird|Wing span|Nest\n\n"),
    "option.adoc": barred('.Herons\n[cols="2,1,1",options="header"]\n', "\n|Bird |Wing span |Nest\n"),
    "percent.adoc": barred("[%header%autowidth]\n.Herons\n", "|Bird |Wing span |Nest\n"),
    "names below names.adoc": barred('[%header,cols="3*"]\n', "|Bird\n|Wing span\n^.^s|Nest\n\n"),
    "values.adoc": barred("[%header]\n", "Bird,Wing span,Nest\n", ","),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_header_row_is_context_of_table(name: str) -> None:
    """In what is embedded and searched; the lines that are shown are those of the file, and the text below is apart."""
    text = f"Above the table.\n\n{TABLES[name]}\nBelow it stands a long paragraph about something else.\n"
    passages = Chunker(FakeTokens(limit=256), 60).split(extract(name, text.encode()))
    lines = text.split("\n")

    rows = [one for one in passages if "heron number" in one.text and "Bird" not in one.text]
    assert len(rows) > 3
    for one in rows:
        assert one.embedded.startswith(f"{NAMES}\n")
        assert one.searched.startswith(f"{NAMES}\n")
        assert one.text == "\n".join(lines[one.first_line - 1 : one.last_line])
    (context,) = extract(name, text.encode()).context
    assert "Below" not in "\n".join(lines[context.first_line - 1 : context.last_line])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.rst", "+---+---+\n| a | b |\n+---+---+\n| c | d |\n+---+---+\n"),
        ("a.rst", "==  ==\na   b\nc   d\n==  ==\n\ntext\n"),
        ("a.rst", ".. list-table::\n\n   * - a\n     - b\n   * - c\n     - d\n"),
        ("a.rst", "::\n\n  +---+\n  | a |\n  +===+\n  | b |\n  +---+\n"),
        ("a.rst", "+--\n+==+\n==  ==\n.. list-table::\n.. csv-table::\n"),
        ("a.adoc", "|===\n|a |b\n|c |d\n|===\n"),
        ("a.adoc", '[options="noheader"]\n|===\n|a |b\n\n|c |d\n|===\n'),
        ("a.adoc", "|===\n|a |b\n\n|===\n"),
        ("a.adoc", "|===\n|===\n"),
    ],
)
def test_table_without_header_has_no_context(name: str, text: str) -> None:
    """Its first row is one like the others."""
    assert extract(name, text.encode()).context == ()
