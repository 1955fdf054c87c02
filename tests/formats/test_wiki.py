"""Wiki pages are read as they are shown, with their headings, links, tags, tables and lists."""

from __future__ import annotations

from datetime import date

import pytest

from kb.chunking.split import Chunker
from kb.formats import wiki
from kb.formats.builder import TextBuilder, Unreadable
from kb.formats.registry import REGISTRY
from kb.formats.text import extract
from kb.sandbox.protocol import Extracted, Limits
from kb.testing import FakeTokens


def embedded(text: str, name: str = "a.mediawiki") -> str:
    """What the model reads of a page."""
    chunker = Chunker(FakeTokens(limit=256), 256)
    return "\n".join(one.embedded for one in chunker.split(extract(name, text.encode())))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("'''Mills''' are ''old'', l'''eau''' and it's", "Mills are old, leau and it's"),
        ("[[Mill (town)|mill]]s by [[:Category:Rivers]] and [[Mill (town)|]]", "mills by Category:Rivers and Mill"),
        ("[[Help:Oak|]] [https://x.org/a?b the archive] [https://x.org]", "Oak the archive [https://x.org]"),
        (
            "[[File:a b.jpg|thumb|x250px|alt=A wheel|The wheel of [[Old Mill]] in May]] x",
            "The wheel of Old Mill in May x",
        ),
        ("[[Datei:a.jpg|mini|Das Rad]][[Image:b.png]] x", "Das Rad x"),
        ("mill<ref name=a>Smith, ''Mills''</ref>. <ref name=a />It", "mill (Smith, Mills). It"),
        ("one<br/>two <small>three</small> H<sub>2</sub>O <nowiki>x</nowiki>", "one two three H2O x"),
        ("M&uuml;hle &amp; R&#228;der <!-- not\nthis -->here __NOTOC__ __init__", "Mühle & Räder here  __init__"),
        ("{{Infobox\n| name = Old Mill\n}}", "{{Infobox\n| name = Old Mill\n}}"),
        # What is shown as it is written, attributes with a slash, and what only looks like a tag or a switch.
        ("a <nowiki>[[File:b.png]] <!-- c --></nowiki> [[d|e]]", "a [[File:b.png]] <!-- c --> e"),
        ("<nowiki/>x <math>[[y]]</math> <nowiki>z", "x <math>[[y]]</math> z"),
        ('mill<ref name="http://x.org/a">Smith</ref>', "mill (Smith)"),
        ('if a <b and c> d <span class="k" id=l>m</span>', "if a <b and c> d m"),
        ("__MAIN__ and __NONE__ __NOINDEX__", "__MAIN__ and __NONE__"),
        ("<pre>\n'''x''' [[a|b]]\n</pre>", "<pre>\n'''x''' [[a|b]]\n</pre>"),
        ("{{{\n'''x'''\n}}}", "{{{\n'''x'''\n}}}"),
    ],
)
def test_markup_is_read_as_it_is_shown(text: str, said: str) -> None:
    """Emphasis, links, pictures, notes, tags of HTML and comments; not in code."""
    assert embedded(text) == said


def test_outline_of_mediawiki() -> None:
    """The title of a page is not in its text; categories are tags in several languages."""
    found = extract(
        "Old mill.mediawiki",
        b"Intro to the [[Wheel#Oak|wheel]].\n\n== [[Water|Gear]] ==\nx\n=== Oak ===\n"
        b"y\n[[Category:Mills|*]] [[Kategorie:Wasser]]\n",
    )

    assert (found.title, found.own_title, found.tags) == ("Old mill", "", ("Mills", "Wasser"))
    assert [(one.text, one.level, one.first_line) for one in found.headings] == [("Gear", 2, 3), ("Oak", 3, 5)]
    assert [(one.target, one.line, one.style) for one in found.links] == [
        ("Wheel#Oak", 1, "wiki"),
        ("Water", 3, "wiki"),
    ]


def test_outline_of_vimwiki() -> None:
    """Title, day, tags and headings that are indented to be centred."""
    text = "%title Mill notes\n%date 2024-02-03\n:water:oak:\n  = Wheel =\n- [ ] grease the [[Axle|axle]]\n  - left\n"
    found = extract("x.wiki", text.encode())

    assert (found.title, found.date, found.tags) == ("Mill notes", date(2024, 2, 3), ("water", "oak"))
    assert [(one.text, one.level) for one in found.headings] == [("Wheel", 1)]
    assert [(one.first_line, one.text) for one in found.context] == [(6, "grease the axle")]
    assert "%title" not in embedded(text, "x.wiki")


def test_tables_and_lists_have_context() -> None:
    """Rows have the names of their columns, without attributes; items those above them, in both ways to nest."""
    text = """{| class="wikitable"
|+ Mills
! scope="col" | Town
! style="width:5em" | [[Wheel]]s
|-
| Bonn || 3
|- class="last"
| align=right | Kiel || 4
|}
* oak
** ''wheel''
*** spoke
"""
    found = extract("x.mediawiki", text.encode())

    assert [(one.first_line, one.last_line, one.text) for one in found.context] == [
        (6, 8, "Town | Wheels"),
        (11, 12, "oak"),
        (12, 12, "wheel"),
    ]
    read = embedded(text)
    assert "class" not in read
    assert "| Kiel || 4" in read


EXPORT = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" xml:lang="en">
<siteinfo><sitename>Mill wiki</sitename></siteinfo>
<page><title>Water mill</title><ns>0</ns>
<revision><timestamp>2023-01-01T10:00:00Z</timestamp><text>Old text.</text></revision>
<revision><timestamp>2024-02-01T10:00:00Z</timestamp><model>wikitext</model>
<text xml:space="preserve">'''Mills''' have &amp;uuml; &lt;!-- a
b --&gt;[[wheel]]s.

== Gears ==
of oak
[[Category:Mills]]</text></revision></page>
<page><title>Mill</title><ns>0</ns><redirect title="Water mill"/><revision><text>#REDIRECT</text></revision></page>
<page><title>Template:Box</title><ns>10</ns><revision><text>{{{1}}}</text></revision></page>
<page><title>User:Ana/x.js</title><ns>2</ns><revision><model>javascript</model><text>x()</text></revision></page>
<page><title>Talk:Water mill</title><ns>1</ns><revision><text>Why oak?</text></revision></page></mediawiki>"""


def extracted(data: str) -> Extracted:
    """What comes out of an export."""
    builder = TextBuilder(100_000)
    wiki.extract("x.xml", data.encode(), builder, Limits())
    return builder.build()


def test_export_of_mediawiki() -> None:
    """Each page in its last revision; redirects, templates and scripts are no pages for readers."""
    found = extracted(EXPORT)

    assert (found.title, found.tags) == ("Mill wiki", ["Mills"])
    assert [one[1] for one in found.places] == ["page: Water mill, 2024-02-01", "page: Talk:Water mill"]
    lines = found.text.split("\n")
    assert [line for line in lines if line] == [
        "Water mill", "Mills have ü", "wheels.", "Gears", "of oak", "Talk:Water mill", "Why oak?",
    ]  # fmt: skip
    assert [(text, level, lines[first - 1]) for text, level, first, _ in found.headings if text] == [
        ("Water mill", 1, "Water mill"),
        ("Gears", 2, "Gears"),
        ("Talk:Water mill", 1, "Talk:Water mill"),
    ]


def test_exports_are_recognised() -> None:
    """By their first element, whatever they are called; a file of another kind is none."""
    assert {REGISTRY.of_content(name, EXPORT.encode()).kind for name in ("x.xml", "x.dump")} == {"wiki"}  # type: ignore[union-attr]
    with pytest.raises(Unreadable, match="MediaWiki"):
        extracted("<a/>")
