"""Where sentences end, and where they only seem to."""

from __future__ import annotations

import pytest

from kb.search.sentences import sentences, units


@pytest.mark.parametrize(
    "sentence",
    [
        "Ask Dr. Smith or Prof. Ito about it.",
        "Take a fruit, e.g. Cox apples, i.e. No. 5 in the list.",
        "It is in Fig. 3 of Vol. 2, cf. Sec. 4.",
        "Das gilt z. B. Montags, u.a. Nr. 7, vgl. Abb. 2 bzw. Kap. 3.",
        "Am 3. Oktober zieht der Nachbar in den 2. Stock.",
        "J. R. R. Tolkien wrote it, and the U.S. Army read it.",
        "It costs 3.50 EUR since v2.14.3 of the 1.5 GB image.",
        "Edit config.toml and see https://example.org/a.b/C.D for more.",
        "Meet at 5 p.m. in the hall of Smith et al. Berlin.",
        "Der Hrsg. Meier sagt, d.h. Er schreibt.",
        "1. Open the door.",
    ],
)
def test_an_abbreviation_ends_no_sentence(sentence: str) -> None:
    """It is one, and another one follows."""
    assert [one.text for one in sentences(f"{sentence} Then it rains.")] == [sentence, "Then it rains."]


@pytest.mark.parametrize(
    "text",
    [
        "We left in 1999. Then it rained.",
        "We met at 5 p.m. Then it rained.",
        "Bring cups, plates etc. Then it rained.",
        "So do I. Then it rained.",
        "See config.toml. Then it rained.",
        'She said "no." Then it rained.',
        "He watched TV. Then it rained.",
        "They have v1.2. Then it rained.",
        "Was it so? Then it rained.",
        "I said no. Then it rained.",
    ],
)
def test_a_sentence_ends_all_the_same(text: str) -> None:
    """What is no abbreviation there."""
    assert [one.text for one in sentences(text)][-1] == "Then it rained."


def test_what_stands_on_lines_of_its_own_is_known() -> None:
    """Items, facts, lines that Markdown breaks, code by its fence or indent; not what goes on in an item."""
    text = (
        "Prose goes\non here.\n\n- item\n\n    more of it\n\nName: Ana\nTel: 12\n\n    code\n      deeper\n\n"
        "one  \ntwo\n\n```\n  fenced\n```\n"
    )

    found = [(unit.text, unit.own, unit.indent) for unit in units(text)]

    assert found == [
        ("Prose goes on here.", False, 0),
        ("- item", True, 0),
        ("more of it", False, 0),
        ("Name: Ana", True, 0),
        ("Tel: 12", True, 0),
        ("code", True, 4),
        ("deeper", True, 6),
        ("one", True, 0),
        ("two", False, 0),
        ("fenced", True, 2),
    ]


@pytest.mark.parametrize("indent", ["", " ", "   "])
def test_headings_of_markdown_are_no_sentences(indent: str) -> None:
    """They may be indented by up to three blanks; with four a line is code."""
    assert [one.text for one in sentences(f"Before.\n{indent}## Where\nFound in the mill.")] == [
        "Before.",
        "Found in the mill.",
    ]
    assert [one.text for one in sentences("Before.\n\n    # a comment\n    run\n")] == ["Before.", "# a comment", "run"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            ":PROPERTIES:\n:ID: 52cc5684\n:END:\nThe mill has two wheels.\nOne turns.",
            ["The mill has two wheels.", "One turns."],
        ),
        ("* Wheel\n:LOGBOOK:\nCLOCK: [2024-01-01 Mon 10:00]\n:END:\n\nIt turns.", ["It turns."]),
        ("* Wheel\n  :properties:\n  :ID: a\n  :end:", ["* Wheel"]),
        ("* Wheel\n:PROPERTIES:\n:ID: a\n* Dam\nIt is wet.", ["It is wet."]),
        ("The tags :a:b: and :END: are text.", ["The tags :a:b: and :END: are text."]),
        (
            "Grease it:\n#+begin_src sh\n  grease --all   # twice\n\n  * stop\n#+end_src\nThen wait. And go.",
            ["Grease it:", "grease --all # twice", "* stop", "Then wait.", "And go."],
        ),
        ("#+BEGIN_EXAMPLE\na. B\nc\n#+END_EXAMPLE", ["a. B", "c"]),
        (
            "#+begin_quote\nWater is soft.\nIt wears stone.\n#+end_quote\nSo.",
            ["Water is soft.", "It wears stone.", "So."],
        ),
        ("A wheel.\n#+attr_html: :width 60%\n[[file:wheel.png]]", ["A wheel.", "[[file:wheel.png]]"]),
        (
            "#+hugo_slug: wheel\n#+results[2a]: one\n#+caption: A wheel.\nIt turns.",
            ["#+caption: A wheel.", "It turns."],
        ),
        ("#+begin_src sh\ngrease", ["grease"]),
        ("Fences of Markdown:\n```\na. B\n```", ["Fences of Markdown:", "a. B"]),
        ("#+begin_src md\n```\na. B\n```\n#+end_src\nIt is. So.", ["a. B", "It is.", "So."]),
    ],
)
def test_markup_of_org_is_no_sentence(text: str, expected: list[str]) -> None:
    """Drawers, what begins and ends a block, and keywords for programs; lines of code are sentences."""
    assert [one.text for one in sentences(text, "org")] == expected


def test_what_is_markup_in_org_alone_is_text_elsewhere() -> None:
    """Markdown has other fences."""
    assert len(sentences("Note this:\n#+begin_src sh\nls\n#+end_src", "markdown")) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".. card:: Mills\n   :animate: fade-in\n   :class-card: wide\n\n   They grind corn.\n", ["They grind corn."]),
        (".. _mills:\n\nThe mills\n\n.. image:: mill.png\n   :alt: A mill\n", ["The mills"]),
        (
            ".. note:: Stop the wheel first.\n   Then open the sluice.\n",
            ["Stop the wheel first.", "Then open the sluice."],
        ),
        (".. |logo| image:: logo.svg\n\nOne stone turns.\n", ["One stone turns."]),
        (":Author: Ines Vogel\n:Year: 1903\n", [":Author: Ines Vogel :Year: 1903"]),
        (".. toctree::\n   :maxdepth: 2\n", [".. toctree:: :maxdepth: 2"]),
    ],
)
def test_markup_of_restructuredtext_is_no_sentence(text: str, expected: list[str]) -> None:
    """Names and options of directives are for programs; where there is nothing else, they are shown."""
    assert [one.text for one in sentences(text, "rst")] == expected
    assert sentences(text, "markdown") != sentences(text, "rst") or expected[0].startswith((":", ".. t"))


def test_headings_of_org_are_no_sentences() -> None:
    """They begin with stars at the margin; an indented star is an item there, and in Markdown every star."""
    text = "* Provenance\n** Where\nFound in the mill.\n  * an oak chest\n"

    assert [one.text for one in sentences(text, "org")] == ["Found in the mill.", "* an oak chest"]
    assert [one.text for one in sentences("* one\n* two\n", "markdown")] == ["* one", "* two"]
    assert [one.text for one in sentences("* Provenance\n", "org")] == ["* Provenance"]


def test_every_line_of_code_is_a_unit() -> None:
    """Whatever it looks like in Markdown; what says nothing is left out."""
    assert [one.text for one in sentences("# a comment\nf(x) {\n}\ng. H\n", "code")] == [
        "# a comment",
        "f(x) {",
        "g. H",
    ]
