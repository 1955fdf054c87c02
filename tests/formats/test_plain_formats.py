"""Formats that are text as they stand: tables, subtitles, LaTeX, structured data. Their lines are those of the file."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest
from growth import is_linear
from hypothesis import given
from hypothesis import strategies as st

from kb.chunking.split import Chunker
from kb.formats.csv_tables import parse_csv, parse_plain
from kb.formats.data import parse_indented, parse_records, parse_svg, parse_toml, parse_xml
from kb.formats.latex import parse_latex
from kb.formats.subtitles import parse_subtitles
from kb.formats.text import extract
from kb.records import Block, Heading, Place
from kb.testing import FakeTokens


def passages(path: str, text: str, most: int = 64) -> list[tuple[str, str, str]]:
    """Text, place and heading trail of each passage of a file."""
    found = Chunker(FakeTokens(), most).split(extract(path, text.encode()))
    return [(one.text, one.place, " > ".join(one.heading)) for one in found]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_header_row_is_context_of_csv_rows(delimiter: str) -> None:
    """Rows are counted as a spreadsheet does, a quoted value may run over lines, and all are told the columns."""
    text = 'Name,Town\nAda,"London,\nEngland"\n\nBob,Paris\n'.replace(",", delimiter).replace(
        f"London{delimiter}", "London"
    )

    outline = parse_csv(text)

    assert outline.headings == (Heading("Name, Town", 1, 1, 1),)
    assert outline.blocks == (Block("table", 1, 1), Block("table", 2, 3), Block("table", 5, 5))
    assert [(place.first_line, place.row, place.soft) for place in outline.places] == [
        (1, 1, False),
        (2, 2, True),
        (5, 4, True),
    ]


def test_empty_rows_count() -> None:
    """Row numbers are those a spreadsheet shows, blank lines and empty cells above and between included."""
    text = '\n\nName,Town\nAda,London\n\n,,,\nBob,"Bern\n\nOld"\nCy,Rome\n'

    places = parse_csv(text).places

    assert [(one.first_line, one.row, one.soft) for one in places] == [
        (3, 3, False),
        (4, 4, True),
        (7, 7, True),
        (10, 8, True),
    ]
    assert [place for _, place, _ in passages("x.csv", text)] == ["rows 3-8"]
    assert [one.text for one in parse_csv(text).headings] == ["Name, Town"]


def test_delimiter_that_excel_names() -> None:
    """The line that names it is no row, and the names of the columns follow it."""
    outline = parse_csv("sep=;\nBird;Nest, if any\nheron;tree\n")

    assert [(one.text, one.first_line) for one in outline.headings] == [("Bird, Nest, if any", 2)]
    assert [(one.first_line, one.row) for one in outline.places] == [(2, 1), (3, 2)]
    assert parse_csv("sep=x\na,b\n").places[0].row == 1


def test_table_without_header() -> None:
    """Numbers are no names of columns, and one column has none."""
    assert parse_csv("1,2\n3,4\n").headings == ()
    assert parse_csv("a\nb\n").headings == ()
    assert parse_csv("").blocks == ()
    assert passages("x.csv", "1,2\n3,4\n") == [("1,2\n3,4", "rows 1-2", "")]


@pytest.mark.parametrize(
    ("text", "names", "first"),
    [
        ("Sales of 2024;;\n;;\nTown;Month;Sum\nBonn;May;3\nKiel;June;4\n", "Town, Month, Sum", 3),
        ("Sales of 2024\n\nTown,Month,Sum\nBonn,May,3\nKiel,June,4\n", "Town, Month, Sum", 3),
        ("Account:;DE12\nTo:;May\nDay;Payee;Use;Sum;Note\n1.5.;A;b;1;\n2.5.;B;c;2;\n", "Day, Payee, Use, Sum, Note", 3),
        (",,North,,South,\nTown,Sum,Share,Rank,Sum,Rank\nBonn,1,2,3,4,5\n", "Town, Sum, Share, Rank, Sum, Rank", 2),
        (",Town,Sum\n0,Bonn,3\n1,Kiel,4\n", "Town, Sum", 1),
        ("Key,Value\na,1\nb,2\n", "Key, Value", 1),
    ],
)  # fmt: skip
def test_title_above_header_row(text: str, names: str, first: int) -> None:
    """The names of the columns are the first row that is not mostly empty; what stands above it is read too."""
    outline = parse_csv(text)

    assert [(one.text, one.first_line) for one in outline.headings] == [(names, first)]
    said = [line for line in text.split("\n") if line.strip(",;")]
    assert [text.split("\n")[one.first_line - 1] for one in outline.blocks] == said


def test_table_in_plain_text() -> None:
    """What a program divided with tabs is a table; what people indent or align with them is text."""
    table = "Weights\n\nBird\tSite\tGrams\nteal\tweir\t340\nheron\tpond\t1500\n"

    assert [(one.text, one.first_line) for one in parse_plain(table).headings] == [("Bird, Site, Grams", 3)]
    assert [place for _, place, _ in passages("x.txt", table)] == ["row 1", "rows 3-5"]
    for text in (
        "Name:\tAnna\nPhone:\t123\nTown:\tBonn\n",
        "der Hund\tthe dog\tnoun\ngehen\tto go\tverb\nrot\tred\tadjective\n",
        "\t\tone\n\t\ttwo 2\n\t\tthree\n",
        "Buy\tmilk\tand bread\nthen go home at 5\nand\tsleep\tuntil 7\nor later\n",
        "- a\n\t- b\n",
    ):
        assert not parse_plain(text).headings
        assert not parse_plain(text).places


def test_rows_are_found_with_their_header() -> None:
    """What the model sees of a row says which columns there are."""
    text = "City,Population\n" + "".join(f"Town {at},some {at} thousand people\n" for at in range(20))
    (first, *_), document = Chunker(FakeTokens(), 32).split(extract("x.csv", text.encode())), extract("x.csv", b"a,b\n")

    assert first.embedded.startswith("City,Population")
    assert all("City, Population" in one[2] for one in passages("x.csv", text, 32))
    assert document.title == "x"


SUBRIP = """1
00:00:11,000 --> 00:00:13,500
<i>Where</i> do the ducks go?

2
01:02:03,000 --> 01:02:05,000
South, of course.
"""


def test_subtitles_have_times() -> None:
    """A cue is placed at its time; numbers, times and tags are not embedded; the text is that of the file."""
    outline = parse_subtitles(SUBRIP)
    (passage,) = Chunker(FakeTokens(), 64).split(extract("x.srt", SUBRIP.encode()))

    assert outline.places == (Place(2, "0:00:11"), Place(6, "1:02:03", soft=True))
    assert passage.embedded.split() == ["Where", "do", "the", "ducks", "go?", "South,", "of", "course."]
    assert (passage.place, passage.text) == ("", SUBRIP.strip()) or passage.place == "0:00:11"


def test_subrip_cue_with_blank_line() -> None:
    """All that stands before the number of the next cue is spoken; the next times end a cue too."""
    text = "1\n00:01,0 --> 00:02,0\n- One?\n\n- Two.\n\n\n2\n00:03,0 --> 00:04,0\n10\n\n"
    text += "3\n00:05,0 --> 00:06,0\nLast\n\nwords\n"

    outline = parse_subtitles(text)
    (passage,) = Chunker(FakeTokens(), 64).split(extract("x.srt", text.encode()))

    assert outline.blocks == (Block("text", 2, 5), Block("text", 9, 10), Block("text", 13, 16))
    assert passage.embedded.split() == ["-", "One?", "-", "Two.", "10", "Last", "words"]
    assert parse_subtitles("00:01,0 --> 00:02,0\na\n00:03,0 --> 00:04,0\nb").blocks == (
        Block("text", 1, 2),
        Block("text", 3, 4),
    )
    assert parse_subtitles("no times\n").blocks == ()


def test_web_subtitles_have_a_title_and_remarks() -> None:
    """The header may name the film; styles and notes are not spoken; hours may be left out."""
    text = "WEBVTT - Ducks\n\nSTYLE\n::cue { color: red }\n\nNOTE a remark\n\n00:05.000 --> 00:07.000\n<v Ada>Quack!\n"
    document = extract("x.vtt", text.encode())
    (passage,) = Chunker(FakeTokens(), 64).split(document)

    assert document.title == "Ducks"
    assert (passage.place, passage.embedded.split()[-1]) == ("0:00:05", "Quack!")
    assert "color" not in passage.embedded


LATEX = r"""\documentclass{article}
\title{On \emph{Ducks}\thanks{To all.}} % a working title
\author{Ada \and Bob}
\date{2024-03-01}
\begin{document}
\section{Ponds}\label{s}
Ducks live in ponds. % really
\subsection*{Very
  Small Ponds}
\begin{verbatim}
\section{not a section}
\end{verbatim}
50\% of them.
\end{document}
"""


def test_latex_has_sections() -> None:
    """Sections, title, author and date; code is no section; comments are not embedded, an escaped percent sign is."""
    document = extract("x.tex", LATEX.encode())
    embedded = "\n".join(one.embedded for one in Chunker(FakeTokens(), 64).split(document))

    assert (document.title, document.author, document.date) == ("On Ducks", "Ada, Bob", date(2024, 3, 1))
    assert document.headings == (
        Heading("Ponds", 3, 6, 6, "\\section \\label{s}"),
        Heading("Very Small Ponds", 4, 8, 9, "\\subsection"),
    )
    assert parse_latex(LATEX).blocks == (Block("code", 10, 12),)
    assert "really" not in embedded
    assert "50\\% of them." in embedded


@pytest.mark.parametrize(
    "line", [r"See \url{https://example.com/a%20kimchi}.", r"\verb|%| kimchi", r"\href{a%b}{kimchi}", r"100\% kimchi"]
)
def test_latex_percent_signs_that_are_not_comments(line: str) -> None:
    """In an address, in code in the line and behind a backslash a percent sign stands for itself."""
    assert passages("x.tex", f"{line} % remark\n") == [(f"{line} % remark", "", "")]
    (passage,) = Chunker(FakeTokens(), 64).split(extract("x.tex", f"{line} % remark\n".encode()))
    assert passage.embedded == line


def test_latex_comments_after_line_breaks() -> None:
    """Two backslashes end a line, so that the percent sign behind them is not escaped."""
    assert parse_latex("a \\\\% remark\n\\verb|open % remark").noise == ((4, 12), (24, 32))


def test_latex_nested_environments() -> None:
    """An environment ends where its own end is; one that never ends hides none that does."""
    text = "\\begin{proof}\n\\begin{figure}\n\\begin{figure}\nx\n\\end{figure}\ny\n\\end{figure}\n\\end{figure}\n"

    assert parse_latex(text).blocks == (Block("text", 2, 7),)
    assert parse_latex("\\begin{figure}\n" + text[14:]).blocks == (Block("text", 1, 8),)


@pytest.mark.parametrize("line", ["\\begin{figure}", "\\end{figure}", "\\section{", "\\verb|%", "\\url{%", "\\\\%"])
@pytest.mark.parametrize("glue", ["\n", ""])
def test_latex_is_read_in_linear_time(line: str, glue: str) -> None:
    """Many beginnings without ends take no more time each than few, in one line or many."""
    assert is_linear(parse_latex, lambda size: glue.join([line] * (size // len(line))), 60_000)


def test_long_entries_of_data_are_headings() -> None:
    """A key whose value is long stands above what is below it; short entries stay whole."""
    steps = "".join(f"    - run: step {at}\n" for at in range(15))
    text = f"name: tests\njobs:\n  build:\n    os: linux\n    steps:\n{steps}  lint:\n    run: ruff\n"

    outline = parse_indented(text)

    assert [(heading.text, heading.level, heading.first_line) for heading in outline.headings] == [
        ("jobs", 1, 2),
        ("build", 2, 3),
        ("steps", 3, 5),
    ]
    assert Block("code", 1, 1) in outline.blocks
    assert Block("code", 21, 22) in outline.blocks
    assert ("jobs > build > steps" in {one[2] for one in passages("x.yml", text)}) is True
    assert extract("x.yml", text.encode()).title == "x"


def test_json_nested_structure() -> None:
    """A closing bracket belongs to its entry."""
    text = '{\n  "name": "x",\n  "deps": {\n' + '    "a": 1,\n' * 15 + "  }\n}\n"

    assert [(heading.text, heading.first_line) for heading in parse_indented(text).headings] == [("deps", 3)]


def test_drawing_has_its_title() -> None:
    """As text, not as markup; a drawing without one has none."""
    assert parse_svg("<svg>\n<title>Plan &amp; section</title>\n<path d='M0'/></svg>").title == "Plan & section"
    assert parse_svg("<svg><text>title</text></svg>").title == ""


def test_xml_headings_are_tag_and_name() -> None:
    """An element of many lines is a heading, with its id or name."""
    inner = "".join(f"    <item>{at}</item>\n" for at in range(14))

    outline = parse_xml(f'<list>\n  <group name="Ducks">\n{inner}  </group>\n</list>\n')

    assert [heading.text for heading in outline.headings] == ["list", "group Ducks"]


def test_tables_and_records() -> None:
    """TOML's tables are headings with levels, each line of JSONL stays whole."""
    assert parse_toml("a = 1\n[tool.ruff]\nx = 1\n[[jobs]]\n").headings == (
        Heading("tool.ruff", 2, 2, 2),
        Heading("jobs", 1, 4, 4),
    )
    assert parse_records('{"a": 1}\n\n{"b": 2}\n').blocks == (Block("table", 1, 1), Block("table", 3, 3))


PIECES = st.sampled_from(
    ["a:", "- b", "  c: 1", "    d", "}", "{", '"k": [', "<x>", "</x>", "", "]", "\t- e", "\\section{x}"]
)


@given(
    st.lists(PIECES, max_size=60), st.sampled_from(["x.yaml", "x.json", "x.xml", "x.toml", "x.csv", "x.tex", "x.srt"])
)
def test_outline_is_ordered_for_any_text(lines: list[str], path: str) -> None:
    """Headings and blocks lie within the text, in order and without overlap, and all words come into passages."""
    text = "\n".join(lines)
    document = extract(path, text.encode())

    for spans in (
        [(one.first_line, one.last_line) for one in document.headings],
        [(one.first_line, one.last_line) for one in document.blocks],
    ):
        assert all(1 <= first <= last <= max(1, len(lines)) for first, last in spans)
        assert all(last < first for (_, last), (first, _) in pairwise(spans))
    found = Chunker(FakeTokens(), 20).split(document)
    assert all(text.split("\n")[one.first_line - 1 : one.last_line] for one in found)
