"""Long tables and lists: every passage of a table is told the names of its columns, that of a list its parents."""

from __future__ import annotations

import pytest

from kb.chunking.split import Chunker
from kb.formats.text import extract
from kb.records import LineContext
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


def in_latex(name: str, head: str) -> str:
    """A table of LaTeX."""
    lines = "".join(f"{a} & {b} & {c} \\\\\n" for a, b, c in ROWS)
    return f"\\begin{{{name}}}{{lll}}\n{head}{lines}\\end{{{name}}}\n"


def marked_up(head: str) -> str:
    """A table of HTML in Markdown."""
    lines = "".join(f"<tr><td>{a}</td><td>{b}</td><td>{c}</td></tr>\n" for a, b, c in ROWS)
    return f"<table>\n{head}{lines}</table>\n"


def drawn(bars: str, rule: str, edge: str = "") -> str:
    """A table as a database prints it: its bars, the rule below the names, and the rule around it."""
    rows = [("Bird", "Wing span", "Nest"), *ROWS]
    lines = [bars.format(a, b, c).rstrip() for a, b, c in rows]
    return "\n".join(filter(None, (edge, lines[0], rule, *lines[1:], edge))) + "\n"


BOXES = "\u251c" + "\u253c".join(["\u2500" * 18, "\u2500" * 11, "\u2500" * 16]) + "\u2524"
MYSQL = f"+-{'-' * 16}-+-{'-' * 9}-+-{'-' * 14}-+"
PIPED = "| {:16} | {:9} | {:14} |"
TABLES = {
    "mysql.txt": drawn(PIPED, MYSQL, MYSQL),
    "postgres.txt": drawn(" {:16} | {:9} | {:14}", f"-{'-' * 16}-+-{'-' * 9}-+-{'-' * 14}-"),
    "boxes.txt": drawn(PIPED.replace("|", "\u2502"), BOXES),
    "columns.txt": drawn("{:18}{:11}{}", f"{'-' * 16}  {'-' * 9}  {'-' * 14}"),
    "equals.text": drawn("  {:18}{:11}{}", f"  {'=' * 16}  {'=' * 9}  {'=' * 14}"),
    "pipes.txt": drawn(PIPED, "|---|:---:|---:|"),
    "pandoc.md": drawn("  {:18}{:11}{}", f"  {'-' * 16}  {'-' * 9}  {'-' * 14}"),
    "code.md": f"```\n{drawn(PIPED, MYSQL, MYSQL)}```\n",
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
    "tabular.tex": in_latex("tabular", "Bird & \\textbf{Wing span} & Nest \\\\ \\hline\n"),
    "rules.tex": in_latex("tabularx", "\\toprule % herons\n  Bird & Wing~span & Nest \\\\[2pt]\n\\midrule\n"),
    "pages.tex": in_latex("longtable", "\\caption{x}\\\\\n\\hline\nBird & Wing span & Nest\\\\\n\\endhead\n"),
    "grid.md": grid(),
    "html.md": marked_up("<tr><th>Bird</th>\n  <th>Wing <b>span</b></th><th>Nest</th></tr>\n"),
    "head.md": marked_up("<thead>\n<tr><th scope=col>Bird<th>Wing span<th>Nest</tr></thead><tbody>\n"),
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


def test_drawn_tables_end() -> None:
    """At the end of code, a heading, a line without bars; names may have several lines below a rule."""
    code = "```\ncolor  sum\n-----  ---\nblue   67\nred    135\n```\n## Next\nText\n"
    boxes = "┌────┬────┐\n│ Ab │ Cd │\n│ c  │ d  │\n├────┼────┤\n│ 1  │ 2  │\n│ 3  │ 4  │\n└────┴────┘\nText\n"
    piped = "x | y\n a | b \n---+---\n 1 | 2\n 3 | 4\n(2 rows)\nText\n"

    assert extract("a.md", code.encode()).context == (LineContext(4, 5, "color | sum"),)
    assert extract("a.txt", boxes.encode()).context == (LineContext(5, 6, "Ab c | Cd d"),)
    assert extract("a.txt", piped.encode()).context == (LineContext(4, 5, "a | b"),)


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
        ("a.tex", "\\begin{tabular}{ll}\na & b \\\\\nc & d \\\\ \\hline\n\\end{tabular}\n"),
        (
            "a.tex",
            "\\begin{verbatim}\n\\begin{tabular}{l}\na & b \\\\ \\hline\nc & d\n\\end{tabular}\n\\end{verbatim}\n",
        ),
        ("a.tex", "\\begin{tabular}{ll}\na & b \\\\ \\hline\n\\end{tabular}\n"),
        ("a.md", "<table>\n<tr><td>a</td></tr>\n<tr><td>b</td></tr>\n</table>\n"),
        ("a.md", "<table>\n<tr><th>a</th></tr></table>\n"),
        ("a.txt", "a  b\n--  --\nonly one row\n\nand text\n"),
        ("a.txt", "+----+----+\n| 1 | 2 |\n| 3 | 4 |\n+----+----+\n"),
        ("a.txt", "Title\n--------\ntext\nand more\n"),
        ("a.txt", " 13.73  read\n------  -----\n 10.00  write\n 9.00  lseek\n"),
        ("a.txt", "-- --\n-- --\n-- --\n\n--  --\n"),
        ("a.md", "Title\n--------\ntext\nand more\n"),
        ("a.md", "==  ==\na   b\n==  ==\nc   d\n==  ==\n\n+=\n"),
        ("a.md", "```\n+---+---+\n| a | b |\n+===+===+\n| c | d |\n+---+---+\n```\n"),
    ],
)
def test_table_without_header_has_no_context(name: str, text: str) -> None:
    """Its first row is one like the others."""
    assert extract(name, text.encode()).context == ()


BELOW = "\n".join(f"offer {at}: slate tile batch {at}, delivered by lorry" for at in range(60)).split("\n")


def nested_in_latex(between: str) -> str:
    """A list of LaTeX, with a sign or a space between the signs of its lists."""
    begin, end = "\\begin{enumerate}" + between, "\\end{enumerate}" + between
    items = "\n".join(f"\\item {one}" for one in BELOW)
    return f"{begin}\\item Bathroom {begin}\\item[a)] Tilers\n{begin}{items}\n{end}{end}{end}\n"


def list_of(first: str, second: str, third: str, between: str = "\n") -> str:
    """A list of three levels, each with its sign."""
    items = [f"{first} Bathroom", f"{second} Tilers", *(f"{third} {one}" for one in BELOW)]
    return between.join(items) + "\n\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.rst", list_of("-", "  -", "    -", "\n\n")),
        ("a.rst", list_of("#.", "   *", "     +", "\n\n")),
        ("a.rst", list_of("(1)", "    2.", "       \u2022", "\n\n")),
        ("a.adoc", list_of("*", "**", "***")),
        ("a.adoc", list_of("-", ".", "..", "\n\n")),
        ("a.adoc", list_of("1.", "* [x]", "** [ ]")),
        ("a.adoc", list_of("*", "** x\n+\n----\n* code\n----\n**", "***")),
        ("a.txt", list_of("-", "  *", "    \u2022")),
        ("a.txt", list_of("-", "\t- [ ]", "\t\t- [x]", "\n\n")),
        ("a.tex", nested_in_latex("\n")),
        ("a.tex", nested_in_latex(" ").replace("enumerate", "itemize")),
    ],
)
def test_parents_are_context_of_lists(name: str, text: str) -> None:
    """In every passage of a long list that does not show them; not in what follows the list."""
    text += "Below it stands a paragraph.\n"
    passages = Chunker(FakeTokens(limit=256), 60).split(extract(name, text.encode()))

    rows = [one for one in passages if "offer" in one.text and "Tilers" not in one.text]
    assert len(rows) > 3
    for one in rows:
        assert "Bathroom" in one.embedded
        assert "Tilers" in one.searched
    last = text.count("\n")
    assert all(one.last_line < last for one in extract(name, text.encode()).context)


def test_a_list_of_asciidoc_ends() -> None:
    """At a heading, and at a paragraph below a blank line; not at a continued line or at an item of another sign."""
    text = "* A\nand on\n** a\n\nText\n\n* B\n- b\n\n== Heading\n* C\n** c\n"

    found = [(one.first_line, one.last_line, one.text) for one in extract("a.adoc", text.encode()).context]

    assert found == [(2, 3, "A"), (8, 8, "B"), (12, 12, "C")]


def test_lists_of_latex_end() -> None:
    """With their environment, also where several are in one line."""
    text = (
        "\\begin{itemize}\n\\item A\n\\begin{enumerate}\n\\item a\n\\end{enumerate}\n"
        "\\item B \\begin{itemize} \\item b\non\n\\end{itemize}\n\\end{itemize}\nText\n"
    )

    found = [(one.first_line, one.last_line, one.text) for one in extract("a.tex", text.encode()).context]

    assert found == [(3, 5, "A"), (7, 8, "B"), (7, 7, "b")]
