r"""Letters written as commands of TeX are read as letters, in .tex and .bib; the lines stay as they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from kb.chunking.split import Chunker
from kb.formats.latex import decode_accents
from kb.formats.text import extract

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kb.records import Passage


class _Words:
    """Counts words and signs."""

    limit = 1000

    def count(self, texts: Sequence[str]) -> list[int]:
        """The length of each text."""
        return [2 + len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def split(path: str, text: str) -> tuple[Passage, ...]:
    """The passages of a text."""
    return Chunker(_Words(), 256).split(extract(path, text.encode()))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (r"K\"oln", "K\u00f6ln"),
        (r"K\"{o}ln, K{\"o}ln, K{\"{o}}ln", "K\u00f6ln, K\u00f6ln, K\u00f6ln"),
        (r"Stra\ss e, Stra\ss{}e, Stra{\ss}e", "Stra\u00dfe, Stra\u00dfe, Stra\u00dfe"),
        (r"Fran\c{c}ois, Fran\c cois", "Fran\u00e7ois, Fran\u00e7ois"),
        (r"na\"{\i}ve, na\"\i ve", "na\u00efve, na\u00efve"),
        (r"Erd\H{o}s {\v S}koda Dvo\v{r}\'ak", "Erd\u0151s \u0160koda Dvo\u0159\u00e1k"),
        (r"\L{}\'od\'z, {\L}ód\'z", "\u0141\u00f3d\u017a, \u0141\u00f3d\u017a"),
        (r"{\O}rsted, S\o ren, \AA rhus, \th or, c\oe ur", "\u00d8rsted, S\u00f8ren, \u00c5rhus, \u00feor, c\u0153ur"),
        (r"Nguy{\~{\^e}}n, Tr\'{\^a}n, H\`{\^{o}}, S\.{\d{s}}", "Nguy\u1ec5n, Tr\u1ea5n, H\u1ed3, S\u1e69"),
        (r"\'{\^x}", "x\u0302\u0301"),
        (r"M\"udigkeits\-problem", "M\u00fcdigkeitsproblem"),
        (r"\textbf{\"A}rger", "\\textbf{\u00c4}rger"),
        (r"\cite{a} \section{x} \\'a \over \dots \bar \o", "\\cite{a} \\section{x} \\\\'a \\over \\dots \\bar \u00f8"),
        (r"\c{} \"{} C:\users \ssx", r"\c{} \"{} C:\users \ssx"),
    ],
)
def test_accents_are_decoded(typed: str, expected: str) -> None:
    """With braces and without; a command of another name stays, and so does a line break before a quotation mark."""
    assert decode_accents(typed) == expected


def test_passage_shows_commands_and_embeds_letters() -> None:
    """Title, author and headings too; in code a backslash is a backslash."""
    text = (
        '\\title{Stra\\ss e}\n\\author{J\\"org}\n\\begin{document}\n'
        "\\section{Einf\\\"uhrung}\nErd\\H{o}s ist hier. % \\'a\n"
        '\\begin{verbatim}\nK\\"oln\n\\end{verbatim}\n\\end{document}\n'
    )
    document = extract("a.tex", text.encode())
    passages = split("a.tex", text)

    assert (document.title, document.author) == ("Stra\u00dfe", "J\u00f6rg")
    assert document.headings[0].text == "Einf\u00fchrung"
    assert all(passage.text in text for passage in passages)
    assert "Erd\u0151s ist hier." in passages[-1].embedded
    assert "Erd\u0151s ist hier. % \\'a" in passages[-1].searched
    assert 'K\\"oln' in passages[-1].embedded


def test_bibliography_embeds_words_without_braces() -> None:
    """Braces keep capitals in titles; around whole words they are as good as spaces."""
    fields = (
        "author = {Garc{\\'i}a}",
        "title = {A {B}ayesian {DNA}s of {Storks}}",
        "note = {{S}\\\"atze von {C}{\\'e}saire}",
    )
    (passage,) = split("r.bib", "@book{x,\n  " + ",\n  ".join(fields) + "\n}\n")

    assert "{Garc\u00eda}" in passage.embedded
    assert "Bayesian DNAs of {Storks}" in passage.embedded
    assert "{B}ayesian {DNA}s" in passage.text
    assert "S\u00e4tze von C\u00e9saire" in passage.embedded
    assert "Bayesian" in passage.searched


def test_text_without_commands_is_searched_as_is() -> None:
    """Nothing is kept twice."""
    assert split("a.tex", "\\section{A}\nplain % comment\n")[0].searched == ""
